/*
 * nearest.h
 *		The nearest of many centroids, found by their codes: for assigning rows to clusters where comparing each with all would
 *		take too long.
 *
 * The centroids are in parts, some tens in each, that somebody has cut them into; their one-bit codes are centred on the
 * part's centre. A row is compared with the centres, and the codes of the VC_NEAREST_PARTS nearest parts tell which centroids
 * may be nearest: those few are compared exactly. What this misses is nearly as near: with 2,000 centroids of generated clusters in
 * 44 parts, distances squared come out 0.4 % too high on average.
 */
#ifndef VC_NEAREST_H
#define VC_NEAREST_H

#include <stddef.h>
#include <stdint.h>

#define VC_NEAREST_PARTS 12

typedef struct VcNearest VcNearest;

/*
 * Whether finding one of n centroids by codes takes less time than comparing with all of them, many rows at a time: measured,
 * twice as much at 680 centroids of 100 dimensions, as much at 245 of 784, half at 2,000 of 128.
 */
static inline int
vc_nearest_pays(uint32_t dim, uint32_t n)
{
	return dim % 4 == 0 && n >= 64 && (uint64_t) dim * n >= 196608;
}

/* Bytes for n centroids in so many parts, to be aligned as malloc does; SIZE_MAX where that overflows. */
extern size_t vc_nearest_size(uint32_t dim, uint32_t n, uint32_t parts);

/*
 * Prepare centroids[n][dim], dim a multiple of 4, of which part_of[n] tells the parts, and these parts' centres[parts][dim].
 * Both must stay as they are for as long as the result is used.
 */
extern VcNearest *vc_nearest_build(void *memory, uint32_t dim, const float *centroids, uint32_t n, const uint32_t *part_of,
								   const float *centres, uint32_t parts);

/* The nearest centroid by squared distance; of equally near ones, usually the first. */
extern uint32_t vc_nearest_find(VcNearest *nearest, const float *row);

#endif /* VC_NEAREST_H */
