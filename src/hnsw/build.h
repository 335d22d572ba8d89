/*
 * build.h
 *		What build.c and build_parallel.c share.
 */
#ifndef VC_HNSW_BUILD_H
#define VC_HNSW_BUILD_H

#include "hnsw/hnsw.h"
#include "hnsw/lists.h"

#include "nodes/execnodes.h"
#include "types/detoast.h"

typedef struct VcHnswShared VcHnswShared;

/*
 * What dynamic shared memory may take beside the arena's pages: its first segment, which is too small for a chunk, and its
 * maps.
 */
#define VC_HNSW_ARENA_OVERHEAD ((Size) 2 * 1024 * 1024)

/* One process that inserts rows. */
typedef struct VcHnswBuild
{
	VcHnswGraph		graph;
	VcHnswInserter *inserter;
	VcDetoastPlace	place;	/* of the next value of the table */
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
 * The steps after the last row, each of which may be taken by several processes together: measure how wide searches must be, and put
 * the pages on disk, logged if they are to be. `next` counts the blocks that are logged where all pages are on disk already.
 */
extern void vc_hnsw_build_measure(VcHnswBuild *build, const VcHnswMeta *meta, VcHnswMeasure *measure);
extern void vc_hnsw_build_write(VcHnswBuild *build, bool log, pg_atomic_uint32 *next);

/*
 * build_parallel.c: load all rows with up to `workers` workers beside this process, measure, and write the pages. Returns
 * false, with nothing done, where none could be started or where shared memory is short.
 */
extern bool vc_hnsw_build_parallel(VcHnswBuild *build, Relation heap, Relation index, IndexInfo *index_info,
								   const VcHnswMeta *meta, uint32 max_blocks, const VcHnswListsPlan *plan,
								   int workers, IndexBuildResult *result, VcHnswCalibration *calibration);

/* Around each insertion where several processes insert: waits while one of them writes the pages out. */
extern void vc_hnsw_build_enter(VcHnswBuild *build);
extern void vc_hnsw_build_leave(VcHnswBuild *build);

/* Memory is at its limit: write the pages out, alone, unless another process has done so meanwhile. */
extern void vc_hnsw_build_spill(VcHnswBuild *build);

/* Count rows inserted by all; the leader reports them. */
extern void vc_hnsw_build_count(VcHnswBuild *build, uint64 rows);

#endif /* VC_HNSW_BUILD_H */
