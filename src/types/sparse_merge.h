/*
 * sparse_merge.h
 *		Sums over two lists of (index, value) with ascending indices: inner product, squared L2, L1. Pure C.
 *
 * Sums are taken in double: a merge waits for its comparisons, so the wider sum costs nothing, and cannot overflow.
 */
#ifndef VC_SPARSE_MERGE_H
#define VC_SPARSE_MERGE_H

#include <stdint.h>

typedef struct VcSparse
{
	int32_t n;
	const int32_t *index; /* ascending, no duplicates */
	const float *value;
} VcSparse;

/* The same with indices of two bytes, as indexes keep them where dimensions are few enough. */
typedef struct VcSparse16
{
	int32_t n;
	const uint16_t *index;
	const float *value;
} VcSparse16;

extern double vc_sparse_ip(VcSparse a, VcSparse b);
extern double vc_sparse_l2sq(VcSparse a, VcSparse b);
extern double vc_sparse_l1(VcSparse a, VcSparse b);
extern double vc_sparse_norm2(VcSparse a);

extern double vc_sparse16_ip(VcSparse16 a, VcSparse16 b);
extern double vc_sparse16_l2sq(VcSparse16 a, VcSparse16 b);
extern double vc_sparse16_l1(VcSparse16 a, VcSparse16 b);
extern double vc_sparse16_norm2(VcSparse16 a);

#endif /* VC_SPARSE_MERGE_H */
