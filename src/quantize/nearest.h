/*
 * nearest.h
 *		The nearest of many centroids, for many rows at a time: for assigning rows to clusters where comparing each with all would
 *		take too long.
 *
 * The centroids are in parts, some tens in each, that somebody has cut them into. A row is compared with the parts' centres, and then
 * with the centroids of the VC_NEAREST_PARTS nearest parts, or of fewer where what it has found lies well apart from the centroids
 * of all other parts, or a part's centroids hardly come as near: part after part, all rows that it is near to. What this
 * misses is nearly as near: with 2,000 centroids of generated clusters in 44 parts, distances squared come out .7 % too high on average.
 */
#ifndef VC_NEAREST_H
#define VC_NEAREST_H

#include <stddef.h>
#include <stdint.h>

#define VC_NEAREST_PARTS 12

typedef struct VcNearest VcNearest;

/* Whether that takes less time than comparing with all of n centroids, which are in sqrt(n) parts or so. */
static inline int
vc_nearest_pays(uint32_t n)
{
	return n >= 768;
}

/* Bytes for n centroids in so many parts, to be aligned as malloc does; SIZE_MAX where that overflows. */
extern size_t vc_nearest_size(uint32_t dim, uint32_t n, uint32_t parts);

/* Called again and again while something takes long, many times a second; it may leave by longjmp. */
typedef void (*VcNearestTick)(void *arg);

/* Prepare centroids[n][dim], of which part_of[n] tells the parts, and these parts' centres[parts][dim]. The tick, or null, serves later calls, too. */
extern VcNearest *vc_nearest_build(void *memory, uint32_t dim, const float *centroids, uint32_t n, const uint32_t *part_of,
								   const float *centres, uint32_t parts, VcNearestTick tick, void *arg);

/* The nearest centroid of each of nrows rows by squared distance. Some thousand rows at a time are best. */
extern void vc_nearest_find(VcNearest *nearest, const float *rows, size_t nrows, uint32_t *index);

#endif /* VC_NEAREST_H */
