/*
 * sparsevec.h, a vector given by its non-zero elements: up to 1,000,000,000 dimensions, up to VC_MAX_DIM non-zeros.
 *
 * Stored: varlena header, dim, nnz, unused (zero), nnz zero-based indices ascending, then nnz non-zero finite floats.
 */
#ifndef VC_SPARSEVEC_H
#define VC_SPARSEVEC_H

#include "vectorcoll.h"
#include "fmgr.h"

#define VC_SPARSEVEC_MAX_DIM 1000000000
#define VC_SPARSEVEC_MAX_NNZ 16000

typedef struct VcSparsevec
{
	int32 vl_len_; /* varlena header, never touched directly */
	int32 dim;
	int32 nnz;
	int32 unused; /* zero */
	int32 indices[FLEXIBLE_ARRAY_MEMBER];
} VcSparsevec;

#define VC_SPARSEVEC_SIZE(nnz) (offsetof(VcSparsevec, indices) + (sizeof(int32) + sizeof(float)) * (Size) (nnz))
#define VC_SPARSEVEC_VALUES(v) ((float *) ((char *) (v) + offsetof(VcSparsevec, indices) + sizeof(int32) * (v)->nnz))
#define DatumGetVcSparsevec(d) ((VcSparsevec *) PG_DETOAST_DATUM(d))
#define PG_GETARG_SPARSEVEC_P(n) DatumGetVcSparsevec(PG_GETARG_DATUM(n))
#define PG_RETURN_SPARSEVEC_P(x) PG_RETURN_POINTER(x)

/* A sparsevec with room for nnz elements, indices and values zeroed, in the current context. */
extern VcSparsevec *vc_sparsevec_new(int dim, int nnz);

#endif /* VC_SPARSEVEC_H */
