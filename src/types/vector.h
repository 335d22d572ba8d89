/*
 * vector.h, a float4 vector of 1 to VC_MAX_DIM dimensions.
 *
 * Stored: varlena header, dim, unused (zero), then dim floats. Values are finite. The wire format is the same without
 * the varlena header, big-endian.
 */
#ifndef VC_VECTOR_H
#define VC_VECTOR_H

#include "vectorcoll.h"
#include "fmgr.h"

typedef struct VcVector
{
	int32 vl_len_; /* varlena header, never touched directly */
	int16 dim;
	int16 unused; /* zero */
	float x[FLEXIBLE_ARRAY_MEMBER];
} VcVector;

#define VC_VECTOR_SIZE(dim) (offsetof(VcVector, x) + sizeof(float) * (Size) (dim))
#define DatumGetVcVector(d) ((VcVector *) PG_DETOAST_DATUM(d))
#define PG_GETARG_VECTOR_P(n) DatumGetVcVector(PG_GETARG_DATUM(n))
#define PG_RETURN_VECTOR_P(x) PG_RETURN_POINTER(x)

/* A zeroed vector of `dim` dimensions in the current context. */
extern VcVector *vc_vector_new(int dim);

#endif /* VC_VECTOR_H */
