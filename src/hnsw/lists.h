/*
 * lists.h
 *		Lists of codes beside a graph that is being built. A new value's neighbours are found by scanning the lists
 *nearest to it, block by block of 32 codes, which is several times faster than a search of the graph and finds nearer
 *ones.
 *
 * A list has a centroid, from a sample of the table; a value is in the list whose centroid is nearest, as a code of its
 * residual. Only values of level 0 nodes are in lists. The lists live in one piece of memory that several processes may
 * share: positions in it are numbers, not pointers. They are for the time of a build only.
 *
 * Concurrency: a list is appended to under its spinlock and read without one; its count is raised when a code is whole,
 *and blocks before that never change but for codes that the count does not cover yet. When the memory is used up the
 *lists are full for good, and candidates are searched for in the graph.
 */
#ifndef VC_HNSW_LISTS_H
#define VC_HNSW_LISTS_H

#include "am/sample.h"
#include "hnsw/hnsw.h"

typedef struct VcHnswListsShared VcHnswListsShared;

/*
 * How to divide the rows of a table into lists, from a sample of them: fills the plan, and gives the graph its origin. lists is 0 where they
 * do not pay. memory_limit is for the lists and for what finding their centroids takes, in bytes.
 */
typedef struct VcHnswListsPlan
{
	uint32 lists;
	uint32 blocks;    /* of 32 codes, for all lists */
	float *centroids; /* [lists][padded] */
} VcHnswListsPlan;

extern void vc_hnsw_lists_plan(VcHnswListsPlan *plan, VcHnswGraph *graph, Relation heap, IndexInfo *index_info,
							   Size memory_limit);

/* Bytes of the lists of a plan, and empty ones in that memory. */
extern Size vc_hnsw_lists_size(const VcHnswListsPlan *plan, const VcHnswShape *shape);
extern void vc_hnsw_lists_init(VcHnswListsShared *shared, const VcHnswListsPlan *plan, const VcHnswShape *shape);

/* A process's own part; find at most `most` nodes at a time. */
extern VcHnswLists *vc_hnsw_lists_attach(VcHnswListsShared *shared, const VcHnswGraph *graph, uint32 most);

/* Whether candidates can be found here: not once a value found no room. */
extern bool vc_hnsw_lists_usable(const VcHnswLists *lists);

/* Find nodes near to a query, in no order; returns how many, at most `most`. */
extern uint32 vc_hnsw_lists_search(VcHnswLists *lists, const VcHnswQuery *query, const VcHnswId **ids);

/* Add a node, given as the rotated vector that it stands for, to the list nearest to the query just searched for. */
extern void vc_hnsw_lists_add(VcHnswLists *lists, VcHnswId id, const float *rotated);

#endif /* VC_HNSW_LISTS_H */
