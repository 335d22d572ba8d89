/*
 * build.h
 *		What build.c and build_parallel.c share.
 */
#ifndef VC_HNSW_BUILD_H
#define VC_HNSW_BUILD_H

#include "hnsw/hnsw.h"
#include "hnsw/lists.h"

#include "nodes/execnodes.h"

typedef struct VcHnswShared VcHnswShared;

/* One process that inserts rows. */
typedef struct VcHnswBuild
{
	VcHnswGraph		graph;
	VcHnswInserter *inserter;
	MemoryContext	row_context;
	double			rows;	/* inserted by this process */
	bool			leader; /* reports progress */
	VcHnswShared   *shared; /* null: nobody else inserts */
} VcHnswBuild;

/* Make a process ready to insert; its store must be set up. Then the callback of the table scan. */
extern void vc_hnsw_build_prepare(VcHnswBuild *build);
extern void vc_hnsw_build_row(Relation index, ItemPointer tid, Datum *values, bool *isnull, bool tuple_is_alive, void *arg);

/* Let it find neighbours by lists. */
extern void vc_hnsw_build_use_lists(VcHnswBuild *build, VcHnswListsShared *lists);

/* The meta page, as the first page of a store. */
extern void vc_hnsw_build_meta(VcHnswGraph *graph, const VcHnswMeta *meta);

/*
 * build_parallel.c: load all rows with up to `workers` workers beside this process. Returns false, with nothing done, where
 * none could be started or where shared memory is short. Otherwise build->graph.store is as a serial load leaves it.
 */
extern bool vc_hnsw_build_parallel(VcHnswBuild *build, Relation heap, Relation index, IndexInfo *index_info,
								   const VcHnswMeta *meta, uint32 max_blocks, const VcHnswListsPlan *plan,
								   int workers, double *heap_rows, double *index_rows);

/* Be done with shared memory, after the pages are written out. */
extern void vc_hnsw_build_parallel_end(VcHnswBuild *build);

/* Around each insertion where several processes insert: waits while one of them writes the pages out. */
extern void vc_hnsw_build_enter(VcHnswBuild *build);
extern void vc_hnsw_build_leave(VcHnswBuild *build);

/* Memory is at its limit: write the pages out, alone, unless another process has done so meanwhile. */
extern void vc_hnsw_build_spill(VcHnswBuild *build);

/* Count rows inserted by all; the leader reports them. */
extern void vc_hnsw_build_count(VcHnswBuild *build, uint64 rows);

#endif /* VC_HNSW_BUILD_H */
