/*
 * kmeans.h
 *		Cluster centres of a sample: Lloyd's rounds with blocked assignment, in two levels where there are many clusters.
 *
 * With more than VC_KMEANS_FLAT clusters the sample is first cut into about sqrt(C) parts, then each part into its share
 * of the C clusters, in proportion to its rows. A few rounds over all clusters afterwards move the borders that the first
 * cut drew; in them a row finds its cluster by codes (nearest.h). All of it costs little more than C^1.5 for a sample in proportion to
 * C.
 *
 * What comes out is never empty and always finite: every centroid is the mean of at least one row of the sample that was
 * nearest to it in the last round, as far as codes tell where those are used (of equal rows, one cluster is made), so data with fewer different
 * rows than clusters asked for give fewer clusters. The same seed, sample and instruction set give the same result. No threads, no allocation: the caller provides
 * the workspace.
 */
#ifndef VC_KMEANS_H
#define VC_KMEANS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VC_KMEANS_FLAT 48 /* up to this many clusters are found in one level */

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
 * Rows laid out for the kernel `nearest`: n rows in panels of VC_PANEL. Sizes are in floats.
 */
extern size_t vc_panels_size(size_t n, uint32_t dim);
extern size_t vc_panels_norms_size(size_t n);
extern void vc_panels_build(const float *centroids, size_t n, uint32_t dim, float *panels, float *half_norms);

#endif /* VC_KMEANS_H */
