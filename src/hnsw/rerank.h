/*
 * rerank.h
 *		The rows of a scan whose index has codes in place of values, by the distances of the values in the table.
 */
#ifndef VC_HNSW_RERANK_H
#define VC_HNSW_RERANK_H

#include "hnsw/hnsw.h"

#include "utils/snapshot.h"

typedef struct VcHnswRanked
{
	float			distance; /* exact */
	float			rough;	  /* what the search took it for */
	VcHnswId		id;		  /* the node it came from */
	ItemPointerData tid;
} VcHnswRanked;

typedef struct VcHnswRerank VcHnswRerank;

/* Lives in the current context, but for what vc_hnsw_rerank_free lets go. */
extern VcHnswRerank *vc_hnsw_rerank_new(VcHnswGraph *graph);
extern void vc_hnsw_rerank_free(VcHnswRerank *rerank);

/* Forget all rows, before another query. */
extern void vc_hnsw_rerank_reset(VcHnswRerank *rerank);

/*
 * Rank the rows of a node, of which the search had the distance `rough`: those that the snapshot sees. No lock on an index page may
 * be held.
 */
extern void vc_hnsw_rerank_add(VcHnswRerank *rerank, Relation table, Snapshot snapshot, const VcHnswQuery *query,
							   VcHnswId id, float rough, const ItemPointerData *tids, Size ntids);

/* The distance of a node's rows without ranking them; false where the snapshot sees none. */
extern bool vc_hnsw_rerank_distance(VcHnswRerank *rerank, Relation table, Snapshot snapshot, const VcHnswQuery *query,
									const ItemPointerData *tids, Size ntids, float *distance);

/* Rows that are likely to be fetched next, VC_PEEK_ROWS of them at most: have them brought into the CPU's cache. */
extern void vc_hnsw_rerank_expect(VcHnswRerank *rerank, Relation table, const ItemPointerData *tids, int n);

/* The nearest row, or null; and take it off. */
extern const VcHnswRanked *vc_hnsw_rerank_first(VcHnswRerank *rerank);
extern void vc_hnsw_rerank_pop(VcHnswRerank *rerank);

/* Put the nearest row, which comes too late to be returned in order, by for the end; at the end, rank those again. */
extern void vc_hnsw_rerank_postpone(VcHnswRerank *rerank);
extern bool vc_hnsw_rerank_resume(VcHnswRerank *rerank);

#endif /* VC_HNSW_RERANK_H */
