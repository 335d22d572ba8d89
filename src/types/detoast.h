/*
 * detoast.h
 *		Fetching values that are stored out of line, one row after the other.
 */
#ifndef VC_DETOAST_H
#define VC_DETOAST_H

#include "vectorcoll.h"

#include "fmgr.h"
#include "storage/block.h"
#include "storage/off.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* Where the next value of a scan over a table is looked for. */
typedef struct VcDetoastPlace
{
	Oid toast_table;
	BlockNumber block; /* InvalidBlockNumber where nothing is known */
	OffsetNumber offset;
	int wait;  /* values to leave to the server before looking again */
	int wrong; /* guesses failed since one was right */
} VcDetoastPlace;

extern void vc_detoast_place_init(VcDetoastPlace *place);

/* A value that is stored out of line, as detoast_attr gives it. */
extern struct varlena *vc_detoast_in_order(VcDetoastPlace *place, struct varlena *value);

/* The same for any value of a scan. */
static inline Datum
vc_detoast_next(VcDetoastPlace *place, Datum value)
{
	if (VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(value)))
		return PointerGetDatum(vc_detoast_in_order(place, (struct varlena *) DatumGetPointer(value)));
	return value;
}

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
