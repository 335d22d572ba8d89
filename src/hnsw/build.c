/*
 * build.c
 *		CREATE INDEX and REINDEX: the graph is built in memory, within maintenance_work_mem, by the same insertion as
 *		later rows; then its pages are written out as they are. When memory runs out, they are written out early and
 *		the rest of the rows is inserted into them. What differs from later insertions is how a value's neighbours are
 *		found: by lists of codes (lists.h) rather than by a search of the graph.
 *
 * Nothing is WAL-logged while the index is built; at the end all its pages are, as they are written out, and the meta page once
 * more when all is known that it tells. A crash before that leaves an index that was never committed.
 */
#include "hnsw/build.h"
#include "hnsw/lists.h"

#include "access/tableam.h"
#include "access/xloginsert.h"
#include "am/workers.h"
#include "catalog/index.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "types/check.h"
#include "utils/memutils.h"

#define PHASE_SAMPLE (PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE + 1)
#define PHASE_LOAD (PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE + 2)
#define PHASE_CALIBRATE (PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE + 3)
#define PHASE_WRITE (PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE + 4)

/* Lists (lists.h) get no more than one part in so many of maintenance_work_mem. */
#define LISTS_SHARE 4

#define REPORT_EVERY 64 /* rows */

#define LOG_BATCH 128 /* pages logged by one process before another may take its turn */

void
vc_hnsw_build_prepare(VcHnswBuild *build)
{
	build->inserter = vc_hnsw_inserter_new(&build->graph);
	vc_detoast_place_init(&build->place);
	build->row_context = AllocSetContextCreate(CurrentMemoryContext, "vc_hnsw build row", ALLOCSET_DEFAULT_SIZES);
}

void
vc_hnsw_build_use_lists(VcHnswBuild *build, VcHnswListsShared *lists)
{
	/* Estimates err, so more candidates are looked at than are wanted. */
	uint32 most = build->graph.shape.ef_construction * 3 / 2;

	vc_hnsw_inserter_use_lists(build->inserter, vc_hnsw_lists_attach(lists, &build->graph, most));
}

void
vc_hnsw_build_row(Relation index, ItemPointer tid, Datum *values, bool *isnull, bool tuple_is_alive, void *arg)
{
	VcHnswBuild	 *build = arg;
	MemoryContext old;
	VcValue		  value;
	VcKeyRow      keys;
	bool		  done = false;

	if (isnull[0])
		return;
	old = MemoryContextSwitchTo(build->row_context);
	vc_hnsw_read_key(&build->graph, vc_detoast_next(&build->place, values[0]), &value);
	if (build->graph.keys)
		vc_keys_row(&build->graph.keys->node, index, values, isnull, &keys);
	while (!done)
	{
		if (build->shared)
			vc_hnsw_build_enter(build);
		done = vc_hnsw_insert(build->inserter, &value, &keys, tid);
		if (build->shared)
			vc_hnsw_build_leave(build);
		if (done)
			break;
		ereport(DEBUG1, (errmsg("vc_hnsw graph does not fit into maintenance_work_mem")));
		if (build->shared)
			vc_hnsw_build_spill(build);
		else
			vc_store_write_out(&build->graph.store, false);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(build->row_context);
	build->rows++;
	if ((uint64) build->rows % REPORT_EVERY == 0)
	{
		if (build->shared)
			vc_hnsw_build_count(build, REPORT_EVERY);
		else
			pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, (int64) build->rows);
	}
}

void
vc_hnsw_build_meta(VcHnswGraph *graph, const VcHnswMeta *meta)
{
	BlockNumber block;
	Buffer		buffer = InvalidBuffer;
	VcHold		hold;
	Page		page;

	vc_hold_init(&hold);
	if (!vc_store_extend(&graph->store, 1, &block, &buffer))
		elog(ERROR, "no room for the meta page");
	page = vc_store_fresh(&graph->store, &hold, block, buffer, VC_HNSW_META, sizeof(VcHnswMeta) + vc_hnsw_origin_size(graph));
	memcpy(VcPageGetPayload(page), meta, sizeof(*meta));
	((VcHnswMeta *) VcPageGetPayload(page))->shifted = graph->origin != NULL;
	vc_hnsw_origin_write(graph, VcPageGetPayload(page) + sizeof(VcHnswMeta));
	vc_store_commit(&graph->store, &hold);
}

/* Pages that may be built in memory: maintenance_work_mem less the lists and what each process needs for insertion itself. */
static uint32
arena_blocks(const VcHnswShape *shape, const VcHnswListsPlan *plan, int workers)
{
	const Size mb = 1024 * 1024;
	Size limit = (Size) maintenance_work_mem * 1024 - vc_hnsw_lists_size(plan, shape);
	Size value = Max(shape->value_bytes, shape->compact ? sizeof(float) * shape->padded : 0);
	Size own = (workers + 1) * (shape->ef_construction * value + 4 * mb) + 3 * mb;

	if (workers > 0)
		own += VC_HNSW_ARENA_OVERHEAD;

	limit = Max(limit, own + mb) - own;
	return (uint32) Min(limit / BLCKSZ, (Size) MaxBlockNumber);
}

static void
load_serially(VcHnswBuild *build, Relation heap, Relation index, IndexInfo *index_info, const VcHnswMeta *meta,
			  uint32 max_blocks, const VcHnswListsPlan *plan, IndexBuildResult *result)
{
	VcArena *arena = palloc(vc_arena_size(max_blocks));

	vc_arena_init(arena, max_blocks, false, 0);
	vc_store_attach_arena(&build->graph.store, arena, NULL);
	vc_hnsw_build_meta(&build->graph, meta);
	vc_hnsw_build_prepare(build);
	if (plan->lists > 0)
	{
		VcHnswListsShared *lists =
			palloc_extended(vc_hnsw_lists_size(plan, &build->graph.shape), MCXT_ALLOC_HUGE);

		vc_hnsw_lists_init(lists, plan, &build->graph.shape);
		vc_hnsw_build_use_lists(build, lists);
	}
	result->heap_tuples = table_index_build_scan(heap, index, index_info, true, true, vc_hnsw_build_row, build, NULL);
	result->index_tuples = build->rows;
}

/* Opened as one that is being built: what is on disk may lack its list of keys. */
void
vc_hnsw_build_measure(VcHnswBuild *build, const VcHnswMeta *meta, VcHnswMeasure *measure)
{
	VcHnswGraph graph;

	if (build->leader)
		pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, PHASE_CALIBRATE);
	vc_hnsw_open_new(&graph, build->graph.store.index, meta, VC_HNSW_TO_SEARCH);
	graph.store = build->graph.store;
	vc_hnsw_origin_join(&graph);
	vc_hnsw_measure(measure, &graph);
}

void
vc_hnsw_build_write(VcHnswBuild *build, bool log, pg_atomic_uint32 *next)
{
	VcStore	   *store = &build->graph.store;
	BlockNumber nblocks;
	BlockNumber from;

	if (build->leader)
		pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, PHASE_WRITE);
	if (store->arena)
	{
		vc_store_write_out(store, log);
		return;
	}
	nblocks = log ? vc_store_nblocks(store) : 0;
	while ((from = pg_atomic_fetch_add_u32(next, LOG_BATCH)) < nblocks)
		log_newpage_range(store->index, MAIN_FORKNUM, from, Min(from + LOG_BATCH, nblocks), true);
}

IndexBuildResult *
vc_hnsw_build(Relation heap, Relation index, struct IndexInfo *index_info)
{
	IndexBuildResult *result = palloc0(sizeof(IndexBuildResult));
	VcHnswBuild		  build = {0};
	VcHnswMeta		  meta;
	VcHnswCalibration calibration;
	VcHnswListsPlan	  plan;
	BlockNumber		  written;
	uint32			  max_blocks;
	int				  workers;

	if (RelationGetNumberOfBlocks(index) != 0)
		elog(ERROR, "index \"%s\" already contains data", RelationGetRelationName(index));

	vc_hnsw_meta_fill(&meta, index);
	vc_hnsw_open_new(&build.graph, index, &meta, VC_HNSW_TO_LINK);
	build.leader = true;
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, PHASE_SAMPLE);
	vc_hnsw_lists_plan(&plan, &build.graph, heap, index_info, (Size) maintenance_work_mem * 1024 / LISTS_SHARE);
	workers = vc_workers_for_build(heap, index);
	max_blocks = arena_blocks(&build.graph.shape, &plan, workers);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, PHASE_LOAD);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_TOTAL, (int64) Max(heap->rd_rel->reltuples, 0));
	if (workers == 0 || !vc_hnsw_build_parallel(&build, heap, index, index_info, &meta, max_blocks, &plan, workers,
												result, &calibration))
	{
		VcHnswMeasure	 measure;
		pg_atomic_uint32 next;

		load_serially(&build, heap, index, index_info, &meta, max_blocks, &plan, result);
		vc_hnsw_measure_init(&measure);
		vc_hnsw_build_measure(&build, &meta, &measure);
		vc_hnsw_measured(&measure, &build.graph, &calibration);
		pg_atomic_init_u32(&next, 0);
		vc_hnsw_build_write(&build, RelationNeedsWAL(index), &next);
	}
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, (int64) result->index_tuples);

	/* What remains are new pages, and the meta page. */
	written = vc_store_nblocks(&build.graph.store);
	if (build.graph.keys)
		vc_hnsw_keys_build(&build.graph);
	vc_hnsw_note(&build.graph, VC_HNSW_NONE, 0);
	vc_hnsw_set_calibration(&build.graph, &calibration);
	if (RelationNeedsWAL(index))
	{
		log_newpage_range(index, MAIN_FORKNUM, written, RelationGetNumberOfBlocks(index), true);
		log_newpage_range(index, MAIN_FORKNUM, VC_HNSW_META_BLOCK, VC_HNSW_META_BLOCK + 1, true);
	}
	return result;
}

void
vc_hnsw_build_empty(Relation index)
{
	VcHnswMeta		  meta;
	VcHnswKeys        keys;
	Buffer			  buffer;
	Buffer            keys_buffer = InvalidBuffer;
	Page			  page;

	/* Generic WAL would not log a page of an unlogged index, but the init fork must reach the standby and survive a crash. */
	vc_hnsw_meta_fill(&meta, index);
	vc_page_extend(index, INIT_FORKNUM, 1, &buffer);
	if (vc_hnsw_keys_fill(&keys, index, meta.storage == VC_HNSW_STORAGE_COMPACT))
	{
		keys_buffer = vc_hnsw_keys_first(index, INIT_FORKNUM);
		meta.keys = meta.keys_room = BufferGetBlockNumber(keys_buffer);
	}
	START_CRIT_SECTION();
	page = BufferGetPage(buffer);
	vc_page_init(page, VC_HNSW_MAGIC, VC_HNSW_META, sizeof(VcHnswMeta));
	memcpy(VcPageGetPayload(page), &meta, sizeof(meta));
	MarkBufferDirty(buffer);
	log_newpage_buffer(buffer, true);
	if (BufferIsValid(keys_buffer))
		log_newpage_buffer(keys_buffer, true);
	END_CRIT_SECTION();
	UnlockReleaseBuffer(buffer);
	if (BufferIsValid(keys_buffer))
		UnlockReleaseBuffer(keys_buffer);
}
