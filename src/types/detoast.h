/*
 * detoast.h
 *		Fetching values that are stored out of line, one row after the other.
 */
#ifndef VC_DETOAST_H
#define VC_DETOAST_H

#include "vectorcoll.h"

#include "fmgr.h"

/* Argument `n` of the running function, in line and with an aligned header, as PG_DETOAST_DATUM gives it. */
extern pg_noinline struct varlena *vc_detoast_external(FunctionCallInfo fcinfo, int n);

static inline struct varlena *
vc_detoast_arg(FunctionCallInfo fcinfo, int n)
{
	Datum value = PG_GETARG_DATUM(n);

	if (VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(value)))
		return vc_detoast_external(fcinfo, n);
	return PG_DETOAST_DATUM(value);
}

#endif /* VC_DETOAST_H */
