/*
 * build.c
 *		CREATE INDEX and REINDEX: the graph is built in memory, within maintenance_work_mem, by the same insertion as
 *		later rows; then its pages are written out as they are. When memory runs out, they are written out early and
 *		the rest of the rows is inserted into them.
 *
 * Nothing is WAL-logged while the index is built; at the end all its pages are, in one pass. A crash before that leaves an
 * index that was never committed.
 */
#include "hnsw/hnsw.h"

#include "access/tableam.h"
#include "access/xloginsert.h"
#include "catalog/index.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "pgstat.h"
#include "types/check.h"
#include "utils/memutils.h"

#define PHASE_LOAD (PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE + 1)
#define PHASE_WRITE (PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE + 2)

typedef struct BuildState
{
	VcHnswGraph		graph;
	VcHnswInserter *inserter;
	MemoryContext	row_context;
	double			rows;
} BuildState;

static void
report_written(BlockNumber done, BlockNumber total)
{
	if (done == 1)
		pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, PHASE_WRITE);
	(void) total;
}

static void
build_row(Relation index, ItemPointer tid, Datum *values, bool *isnull, bool tuple_is_alive, void *arg)
{
	BuildState	 *state = arg;
	MemoryContext old;
	VcValue		  value;

	if (isnull[0])
		return;
	old = MemoryContextSwitchTo(state->row_context);
	vc_metric_value(state->graph.metric, values[0], &value);
	vc_check_same_dims(state->graph.metric->type_name, state->graph.shape.dim, value.dim);
	if (!vc_hnsw_insert(state->inserter, &value, tid))
	{
		ereport(DEBUG1, (errmsg("vc_hnsw graph does not fit into maintenance_work_mem after %.0f rows", state->rows)));
		vc_store_write_out(&state->graph.store, NULL);
		if (!vc_hnsw_insert(state->inserter, &value, tid))
			elog(ERROR, "no room for a node on disk");
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(state->row_context);
	state->rows++;
	if (((uint64) state->rows & 255) == 0)
		pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, (int64) state->rows);
}

/* The meta page, as the first page of a store. */
static void
add_meta_page(VcHnswGraph *graph, const VcHnswMeta *meta)
{
	BlockNumber block;
	Buffer		buffer = InvalidBuffer;
	VcHold		hold;
	Page		page;

	vc_hold_init(&hold);
	if (!vc_store_extend(&graph->store, 1, &block, &buffer))
		elog(ERROR, "no room for the meta page");
	page = vc_store_fresh(&graph->store, &hold, block, buffer, VC_HNSW_META, sizeof(VcHnswMeta));
	memcpy(VcPageGetPayload(page), meta, sizeof(*meta));
	vc_store_commit(&graph->store, &hold);
}

/* Pages that may be built in memory: maintenance_work_mem less what insertion itself needs. */
static uint32
arena_blocks(const VcHnswShape *shape)
{
	Size limit = (Size) maintenance_work_mem * 1024;
	Size own = (Size) shape->ef_construction * shape->value_bytes + 4 * 1024 * 1024;

	limit = Max(limit, own + 1024 * 1024) - own;
	return (uint32) Min(limit / BLCKSZ, (Size) MaxBlockNumber);
}

IndexBuildResult *
vc_hnsw_build(Relation heap, Relation index, struct IndexInfo *index_info)
{
	IndexBuildResult *result = palloc0(sizeof(IndexBuildResult));
	BuildState		  state = {0};
	VcHnswMeta		  meta;
	VcArena			 *arena;

	if (RelationGetNumberOfBlocks(index) != 0)
		elog(ERROR, "index \"%s\" already contains data", RelationGetRelationName(index));

	vc_hnsw_meta_fill(&meta, index);
	vc_hnsw_open_new(&state.graph, index, &meta);
	arena = palloc(vc_arena_size(arena_blocks(&state.graph.shape)));
	vc_arena_init(arena, arena_blocks(&state.graph.shape), false, 0);
	vc_store_attach_arena(&state.graph.store, arena, NULL);
	add_meta_page(&state.graph, &meta);
	state.inserter = vc_hnsw_inserter_new(&state.graph);
	state.row_context = AllocSetContextCreate(CurrentMemoryContext, "vc_hnsw build row", ALLOCSET_DEFAULT_SIZES);

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, PHASE_LOAD);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_TOTAL, (int64) Max(heap->rd_rel->reltuples, 0));
	result->heap_tuples = table_index_build_scan(heap, index, index_info, true, true, build_row, &state, NULL);
	result->index_tuples = state.rows;
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, (int64) state.rows);

	if (state.graph.store.arena)
		vc_store_write_out(&state.graph.store, report_written);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, PHASE_WRITE);
	vc_hnsw_note(&state.graph, VC_HNSW_NONE, 0);
	if (RelationNeedsWAL(index))
		log_newpage_range(index, MAIN_FORKNUM, 0, RelationGetNumberOfBlocks(index), true);
	return result;
}

void
vc_hnsw_build_empty(Relation index)
{
	VcHnswMeta		  meta;
	Buffer			  buffer;
	Page			  page;

	/* Generic WAL would not log a page of an unlogged index, but the init fork must reach the standby and survive a crash. */
	vc_hnsw_meta_fill(&meta, index);
	vc_page_extend(index, INIT_FORKNUM, 1, &buffer);
	START_CRIT_SECTION();
	page = BufferGetPage(buffer);
	vc_page_init(page, VC_HNSW_MAGIC, VC_HNSW_META, sizeof(VcHnswMeta));
	memcpy(VcPageGetPayload(page), &meta, sizeof(meta));
	MarkBufferDirty(buffer);
	log_newpage_buffer(buffer, true);
	END_CRIT_SECTION();
	UnlockReleaseBuffer(buffer);
}
