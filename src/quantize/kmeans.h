/*
 * kmeans.h
 *		Cluster centres of a sample: Lloyd's rounds with blocked assignment, in two levels where there are many clusters.
 *
 * With more than VC_KMEANS_FLAT clusters the sample is first cut into about sqrt(C) parts, then each part into its share
 * of the C clusters, in proportion to its rows. A few rounds over all clusters afterwards move the borders that the first
 * cut drew; in them a row looks for its cluster in the nearest parts (nearest.h). All of it costs little more than C^1.5 for a sample in proportion to
 * C.
 *
 * What comes out is never empty and always finite: every centroid is the mean of at least one row of the sample that was
 * nearest to it in the last round, as far as was looked (of equal rows, one cluster is made), so data with fewer different
 * rows than clusters asked for give fewer clusters. The same seed, sample and instruction set give the same result, however many take part. No threads, no allocation: the caller provides
 * the workspace, and the others where some are to help.
 */
#ifndef VC_KMEANS_H
#define VC_KMEANS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VC_KMEANS_FLAT 48 /* up to this many clusters are found in one level */

/* One who takes part. */
typedef struct VcKmeansHelper VcKmeansHelper;

typedef struct VcKmeans
{
	uint32_t dim;
	uint32_t clusters;	  /* how many are wanted, 1 or more */
	uint32_t iterations;  /* Lloyd rounds of each level, 1 or more */
	uint32_t refinements; /* rounds over all clusters after two levels */
	bool spherical;		  /* centroids get length 1: for rows of length 1 */
	uint64_t seed;

	/*
	 * Called every few milliseconds with the share of the work done, 0 to 1. May leave by longjmp: nothing needs freeing.
	 * May be null.
	 */
	void (*tick)(void *arg, double done);

	/*
	 * Where others help, in vc_kmeans_shared: has vc_kmeans_task called once for each task from 0 up to `tasks`, by the caller with
	 * `self` and by others with helpers of their own, and returns when all of these calls have. Null where nobody does.
	 */
	void (*share)(void *arg, VcKmeansHelper *self, uint32_t tasks);
	void *arg;
} VcKmeans;

/* Bytes of workspace for a sample of nrows, or SIZE_MAX where that overflows. To be aligned as malloc does. */
extern size_t vc_kmeans_workspace(const VcKmeans *params, size_t nrows);

/*
 * Find centroids[clusters * dim] for rows[nrows * dim], nrows from 1 to UINT32_MAX, all finite. The rows are reordered.
 * Returns the number of centroids, 1 to params->clusters.
 */
extern uint32_t vc_kmeans(const VcKmeans *params, float *rows, size_t nrows, float *centroids, void *workspace);

/*
 * The same with others, who may be other processes: the rows, the centroids and `shared` are memory that all see, `memory` is one's
 * own, and the sizes are those of the workspace's two parts. A helper has the same parameters, but a tick of its own, and is made
 * once vc_kmeans_shared has begun.
 */
extern size_t vc_kmeans_shared_size(const VcKmeans *params, size_t nrows);
extern size_t vc_kmeans_helper_size(const VcKmeans *params, size_t nrows);
extern uint32_t vc_kmeans_shared(const VcKmeans *params, float *rows, size_t nrows, float *centroids, void *shared, void *memory);
extern VcKmeansHelper *vc_kmeans_helper(const VcKmeans *params, float *rows, size_t nrows, float *centroids, void *shared, void *memory);
extern void vc_kmeans_task(VcKmeansHelper *helper, uint32_t task);

/*
 * Rows laid out for the kernel `nearest`: n rows in panels of VC_PANEL. Sizes are in floats.
 */
extern size_t vc_panels_size(size_t n, uint32_t dim);
extern size_t vc_panels_norms_size(size_t n);
extern void vc_panels_build(const float *centroids, size_t n, uint32_t dim, float *panels, float *half_norms);

#endif /* VC_KMEANS_H */
