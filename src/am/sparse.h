/*
 * sparse.h
 *		How an index keeps a sparse vector: the non-zero values, then their indices, of two bytes each where the
 *		dimensions are few enough for that, so that a page holds more of them.
 *
 *		offset		bytes		what
 *		0			4			number of non-zeros, n
 *		4			4 n			values
 *		4 + 4 n		2 n or 4 n	indices, ascending from zero; two bytes each for up to 65,536 dimensions
 */
#ifndef VC_AM_SPARSE_H
#define VC_AM_SPARSE_H

#include "vectorcoll.h"

#include "types/sparsevec.h"

/* Bytes of n non-zeros of a vector of `dim` dimensions, and how many non-zeros so many bytes hold. */
extern Size	  vc_sparse_stored_size(uint32 dim, uint32 n);
extern uint32 vc_sparse_stored_capacity(uint32 dim, Size bytes);

/* How many non-zeros a stored value has. */
static inline uint32
vc_sparse_stored_count(const void *value)
{
	return *(const uint32 *) value;
}

/* The stored form, in the current context. */
extern void *vc_sparse_store(const VcSparsevec *v);

/* Sums over stored values, in float. */
extern float vc_sparse_stored_ip(const void *a, const void *b, uint32 dim);
extern float vc_sparse_stored_l2sq(const void *a, const void *b, uint32 dim);
extern float vc_sparse_stored_l1(const void *a, const void *b, uint32 dim);
extern double vc_sparse_stored_norm2(const void *a, uint32 dim);

#endif /* VC_AM_SPARSE_H */
