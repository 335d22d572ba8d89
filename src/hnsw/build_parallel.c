/*
 * build_parallel.c
 *		Building with parallel workers: the leader and its workers share the table scan and an arena in dynamic shared memory,
 *		and insert into it as concurrent backends insert into an index on disk, with the arena's locks in place of buffer locks.
 *
 * When the arena is full, one process writes it out while the others stand still between two rows; from then on all work on disk.
 * Standing still is arranged with a counter of those at work and a condition variable, not with a lock, so that the build can
 * be cancelled while it writes.
 *
 * After the last row all processes measure the graph and write it out, each of these steps begun by all together, because either
 * needs a graph that nobody changes. A worker that starts late begins with the step that the others are at.
 */
#include "hnsw/build.h"

#include "access/parallel.h"
#include "access/table.h"
#include "access/tableam.h"
#include "am/workers.h"
#include "catalog/index.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/barrier.h"
#include "storage/condition_variable.h"
#include "storage/spin.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#define KEY_SHARED UINT64CONST(0x56430001)
#define KEY_SCAN UINT64CONST(0x56430002)
#define KEY_QUERY UINT64CONST(0x56430003)
#define KEY_LISTS UINT64CONST(0x56430004)

/* What all processes do, one after the other. */
enum
{
	STEP_LOAD,
	STEP_MEASURE,
	STEP_WRITE
};

struct VcHnswShared
{
	Oid				  heap_oid;
	Oid				  index_oid;
	bool			  concurrent;
	bool			  logged; /* the index is */
	VcHnswMeta		  meta;
	dsa_handle		  dsa;
	pg_atomic_uint64  rows; /* inserted so far, for the progress report */
	ConditionVariable changed;
	Barrier			  barrier; /* its phases are the steps */
	VcHnswMeasure	  measure;
	pg_atomic_uint32  next_block; /* to be logged, where all are on disk */

	slock_t mutex; /* protects the rest */
	int		inserting;	/* processes between enter and leave */
	bool	spilling;	/* one waits for them to leave, or writes */
	bool	on_disk;	/* the arena has been written out */
	double	heap_rows;
	double	index_rows;

	VcArena arena; /* variable length */
};

void
vc_hnsw_build_enter(VcHnswBuild *build)
{
	VcHnswShared *shared = build->shared;

	for (;;)
	{
		bool go;
		bool on_disk;

		SpinLockAcquire(&shared->mutex);
		go = !shared->spilling;
		if (go)
			shared->inserting++;
		on_disk = shared->on_disk;
		SpinLockRelease(&shared->mutex);
		if (go)
		{
			ConditionVariableCancelSleep();
			if (on_disk && build->graph.store.arena)
				vc_store_leave_arena(&build->graph.store);
			return;
		}
		ConditionVariableSleep(&shared->changed, WAIT_EVENT_PARALLEL_CREATE_INDEX_SCAN);
	}
}

void
vc_hnsw_build_leave(VcHnswBuild *build)
{
	VcHnswShared *shared = build->shared;
	bool		  last;

	SpinLockAcquire(&shared->mutex);
	shared->inserting--;
	last = shared->spilling && shared->inserting == 0;
	SpinLockRelease(&shared->mutex);
	if (last)
		ConditionVariableBroadcast(&shared->changed);
}

void
vc_hnsw_build_spill(VcHnswBuild *build)
{
	VcHnswShared *shared = build->shared;
	bool		  mine;
	bool		  alone;

	SpinLockAcquire(&shared->mutex);
	mine = !shared->spilling && !shared->on_disk;
	if (mine)
		shared->spilling = true;
	SpinLockRelease(&shared->mutex);
	if (!mine)
		return; /* the next enter waits for the one that does it */

	for (;;)
	{
		SpinLockAcquire(&shared->mutex);
		alone = shared->inserting == 0;
		SpinLockRelease(&shared->mutex);
		if (alone)
			break;
		ConditionVariableSleep(&shared->changed, WAIT_EVENT_PARALLEL_CREATE_INDEX_SCAN);
	}
	ConditionVariableCancelSleep();
	vc_store_write_out(&build->graph.store, false);
	SpinLockAcquire(&shared->mutex);
	shared->on_disk = true;
	shared->spilling = false;
	SpinLockRelease(&shared->mutex);
	ConditionVariableBroadcast(&shared->changed);
}

void
vc_hnsw_build_count(VcHnswBuild *build, uint64 rows)
{
	uint64 all = pg_atomic_add_fetch_u64(&build->shared->rows, rows);

	if (build->leader)
		pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, (int64) all);
}

/* Scan this process's share of the table. */
static void
load_share(VcHnswBuild *build, Relation heap, Relation index, IndexInfo *index_info, ParallelTableScanDesc scan)
{
	VcHnswShared *shared = build->shared;
	double		  heap_rows;

	index_info->ii_Concurrent = shared->concurrent;
	heap_rows = table_index_build_scan(heap, index, index_info, true, build->leader, vc_hnsw_build_row, build,
									   table_beginscan_parallel(heap, scan));
	SpinLockAcquire(&shared->mutex);
	shared->heap_rows += heap_rows;
	shared->index_rows += build->rows;
	SpinLockRelease(&shared->mutex);
}

/* Another process may have written the arena out since this one put its last row in. */
static void
leave_arena_if_written(VcHnswBuild *build)
{
	bool on_disk;

	SpinLockAcquire(&build->shared->mutex);
	on_disk = build->shared->on_disk;
	SpinLockRelease(&build->shared->mutex);
	if (on_disk && build->graph.store.arena)
		vc_store_leave_arena(&build->graph.store);
}

/* Take part in the steps that are not over yet. */
static void
take_part(VcHnswBuild *build, Relation heap, Relation index, IndexInfo *index_info, ParallelTableScanDesc scan)
{
	VcHnswShared *shared = build->shared;
	int			  step = BarrierAttach(&shared->barrier);

	if (step == STEP_LOAD)
	{
		load_share(build, heap, index, index_info, scan);
		BarrierArriveAndWait(&shared->barrier, WAIT_EVENT_PARALLEL_CREATE_INDEX_SCAN);
		step++;
	}
	leave_arena_if_written(build);
	if (step == STEP_MEASURE)
	{
		vc_hnsw_build_measure(build, &shared->meta, &shared->measure);
		BarrierArriveAndWait(&shared->barrier, WAIT_EVENT_PARALLEL_CREATE_INDEX_SCAN);
		step++;
	}
	if (step == STEP_WRITE)
	{
		vc_hnsw_build_write(build, shared->logged, &shared->next_block);
		BarrierArriveAndWait(&shared->barrier, WAIT_EVENT_PARALLEL_CREATE_INDEX_SCAN);
	}
	BarrierDetach(&shared->barrier);
}

PGDLLEXPORT void vc_hnsw_build_worker(dsm_segment *segment, shm_toc *toc);

/* A worker's main function. */
void
vc_hnsw_build_worker(dsm_segment *segment, shm_toc *toc)
{
	VcHnswShared *shared = shm_toc_lookup(toc, KEY_SHARED, false);
	VcHnswBuild	  build = {0};
	Relation	  heap;
	Relation	  index;
	LOCKMODE	  heap_lock = shared->concurrent ? ShareUpdateExclusiveLock : ShareLock;
	LOCKMODE	  index_lock = shared->concurrent ? RowExclusiveLock : AccessExclusiveLock;
	dsa_area	 *dsa;
	VcHnswListsShared *lists;

	debug_query_string = shm_toc_lookup(toc, KEY_QUERY, true);
	if (debug_query_string)
		pgstat_report_activity(STATE_RUNNING, debug_query_string);
	heap = table_open(shared->heap_oid, heap_lock);
	index = index_open(shared->index_oid, index_lock);
	dsa = dsa_attach(shared->dsa);

	build.shared = shared;
	vc_hnsw_open_new(&build.graph, index, &shared->meta, VC_HNSW_TO_LINK);
	vc_store_attach_arena(&build.graph.store, &shared->arena, dsa);
	vc_hnsw_origin_join(&build.graph);
	vc_hnsw_build_prepare(&build);
	lists = shm_toc_lookup(toc, KEY_LISTS, true);
	if (lists)
		vc_hnsw_build_use_lists(&build, lists);
	take_part(&build, heap, index, BuildIndexInfo(index), shm_toc_lookup(toc, KEY_SCAN, false));

	index_close(index, index_lock);
	table_close(heap, heap_lock);
	dsa_detach(dsa);
	(void) segment;
}

static void
end_parallel(ParallelContext *context, Snapshot snapshot)
{
	if (IsMVCCSnapshot(snapshot))
		UnregisterSnapshot(snapshot);
	DestroyParallelContext(context);
	ExitParallelMode();
}

bool
vc_hnsw_build_parallel(VcHnswBuild *build, Relation heap, Relation index, IndexInfo *index_info,
					   const VcHnswMeta *meta, uint32 max_blocks, const VcHnswListsPlan *plan, int workers,
					   IndexBuildResult *result, VcHnswCalibration *calibration)
{
	Size				  shared_size = add_size(offsetof(VcHnswShared, arena), vc_arena_size(max_blocks));
	ParallelContext		 *context;
	dsa_area			 *area;
	Snapshot			  snapshot;
	Size				  scan_size;
	Size				  query_size = debug_query_string ? strlen(debug_query_string) + 1 : 0;
	ParallelTableScanDesc scan;
	VcHnswShared		 *shared;
	Size				  lists_size = vc_hnsw_lists_size(plan, &build->graph.shape);
	VcHnswListsShared	 *lists = NULL;

	if (!vc_workers_have_memory(1.2 * BLCKSZ * (double) max_blocks + lists_size))
		return false;
	EnterParallelMode();
	context = CreateParallelContext("vectorcoll", "vc_hnsw_build_worker", workers);
	snapshot = index_info->ii_Concurrent ? RegisterSnapshot(GetTransactionSnapshot()) : SnapshotAny;
	scan_size = table_parallelscan_estimate(heap, snapshot);
	shm_toc_estimate_chunk(&context->estimator, shared_size);
	shm_toc_estimate_chunk(&context->estimator, scan_size);
	shm_toc_estimate_chunk(&context->estimator, query_size);
	shm_toc_estimate_chunk(&context->estimator, lists_size);
	shm_toc_estimate_keys(&context->estimator, 4);
	InitializeParallelDSM(context);
	if (context->seg == NULL)
	{
		end_parallel(context, snapshot);
		return false;
	}

	shared = shm_toc_allocate(context->toc, shared_size);
	memset(shared, 0, sizeof(VcHnswShared));
	shared->heap_oid = RelationGetRelid(heap);
	shared->index_oid = RelationGetRelid(index);
	shared->concurrent = index_info->ii_Concurrent;
	shared->logged = RelationNeedsWAL(index);
	shared->meta = *meta;
	pg_atomic_init_u64(&shared->rows, 0);
	ConditionVariableInit(&shared->changed);
	BarrierInit(&shared->barrier, 0);
	vc_hnsw_measure_init(&shared->measure);
	pg_atomic_init_u32(&shared->next_block, 0);
	SpinLockInit(&shared->mutex);
	vc_arena_init(&shared->arena, max_blocks, true, LWTRANCHE_PARALLEL_QUERY_DSA);
	area = dsa_create(LWTRANCHE_PARALLEL_QUERY_DSA);
	/* Its segments double in size, and could be twice as large as what is in them. */
	dsa_set_size_limit(area, (Size) Max(max_blocks, VC_STORE_CHUNK_PAGES) * BLCKSZ + VC_HNSW_ARENA_OVERHEAD);
	shared->dsa = dsa_get_handle(area);
	shm_toc_insert(context->toc, KEY_SHARED, shared);
	scan = shm_toc_allocate(context->toc, scan_size);
	table_parallelscan_initialize(heap, scan, snapshot);
	shm_toc_insert(context->toc, KEY_SCAN, scan);
	if (debug_query_string)
	{
		char *query = shm_toc_allocate(context->toc, query_size);

		memcpy(query, debug_query_string, query_size);
		shm_toc_insert(context->toc, KEY_QUERY, query);
	}

	if (lists_size > 0)
	{
		lists = shm_toc_allocate(context->toc, lists_size);
		vc_hnsw_lists_init(lists, plan, &build->graph.shape);
		shm_toc_insert(context->toc, KEY_LISTS, lists);
	}

	build->shared = shared;
	vc_store_attach_arena(&build->graph.store, &shared->arena, area);
	vc_hnsw_build_meta(&build->graph, meta);
	vc_hnsw_build_prepare(build);
	if (lists)
		vc_hnsw_build_use_lists(build, lists);
	LaunchParallelWorkers(context);
	take_part(build, heap, index, index_info, scan);

	/* Workers that could not be started, or died, are noticed here. */
	WaitForParallelWorkersToFinish(context);
	result->heap_tuples = shared->heap_rows;
	result->index_tuples = shared->index_rows;
	vc_hnsw_measured(&shared->measure, &build->graph, calibration);
	build->shared = NULL;
	dsa_detach(area);
	end_parallel(context, snapshot);
	return true;
}
