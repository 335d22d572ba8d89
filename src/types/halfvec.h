/*
 * halfvec.h, a vector of IEEE binary16 values, 1 to VC_MAX_DIM dimensions. Stored as vector is, with two bytes an element.
 */
#ifndef VC_HALFVEC_H
#define VC_HALFVEC_H

#include "vectorcoll.h"
#include "fmgr.h"

typedef struct VcHalfvec
{
	int32 vl_len_; /* varlena header, never touched directly */
	int16 dim;
	int16 unused; /* zero */
	uint16 x[FLEXIBLE_ARRAY_MEMBER];
} VcHalfvec;

#define VC_HALFVEC_SIZE(dim) (offsetof(VcHalfvec, x) + sizeof(uint16) * (Size) (dim))
#define DatumGetVcHalfvec(d) ((VcHalfvec *) PG_DETOAST_DATUM(d))
#define PG_GETARG_HALFVEC_P(n) DatumGetVcHalfvec(PG_GETARG_DATUM(n))
#define PG_RETURN_HALFVEC_P(x) PG_RETURN_POINTER(x)

/* A zeroed halfvec of `dim` dimensions in the current context. */
extern VcHalfvec *vc_halfvec_new(int dim);

#endif /* VC_HALFVEC_H */
