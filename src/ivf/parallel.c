/*
 * parallel.c
 *		The pass of a build that puts rows into lists, by one process or several.
 *
 * Workers share the table scan and insert as concurrent sessions would: what keeps them apart are the locks of page.c.
 * Shared memory holds the scan and a few counters.
 */
#include "ivf/build.h"

#include "access/parallel.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "am/workers.h"
#include "catalog/index.h"
#include "commands/progress.h"
#include "pgstat.h"
#include "storage/condition_variable.h"
#include "utils/snapmgr.h"

#define KEY_SHARED UINT64CONST(0xB100000000000001)

struct VcIvfShared
{
	Oid		  heap;
	Oid		  index;
	bool	  concurrent;
	VcIvfMeta meta;

	slock_t			  mutex; /* of the next four */
	int				  done;	 /* participants that are through */
	double			  heap_tuples;
	double			  err; /* sum over all rows */
	bool			  broken_hot_chain;
	ConditionVariable through;

	pg_atomic_uint64 rows; /* put in so far, for progress */
};

static ParallelTableScanDesc
shared_scan(VcIvfShared *shared)
{
	return (ParallelTableScanDesc) ((char *) shared + BUFFERALIGN(sizeof(VcIvfShared)));
}

PGDLLEXPORT void vc_ivf_parallel_build_main(dsm_segment *segment, shm_toc *toc);

void
vc_ivf_report_rows(VcIvfBuilder *builder)
{
	uint64 rows = (uint64) builder->rows;

	/* Called every 256 rows. Workers cannot report, but what they add the leader sees. */
	if (builder->shared != NULL)
		rows = pg_atomic_add_fetch_u64(&builder->shared->rows, 256);
	if (!IsParallelWorker())
		pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, (int64) rows);
}

/* Take part in a parallel build until the scan is through. */
static void
build_share(VcIvfShared *shared, Relation heap, Relation index, IndexInfo *index_info, VcIvf *ivf)
{
	VcIvfBuilder  builder;
	TableScanDesc scan = table_beginscan_parallel(heap, shared_scan(shared));
	double		  tuples;

	vc_ivf_builder_init(&builder, ivf);
	builder.shared = shared;
	index_info->ii_Concurrent = shared->concurrent;
	tuples = table_index_build_scan(heap, index, index_info, true, !IsParallelWorker(), vc_ivf_build_row, &builder, scan);
	vc_ivf_builder_finish(&builder);
	pg_atomic_fetch_add_u64(&shared->rows, (uint64) builder.rows & 255);

	SpinLockAcquire(&shared->mutex);
	shared->done++;
	shared->heap_tuples += tuples;
	shared->err += builder.err;
	shared->broken_hot_chain |= index_info->ii_BrokenHotChain;
	SpinLockRelease(&shared->mutex);
	ConditionVariableSignal(&shared->through);
}

void
vc_ivf_parallel_build_main(dsm_segment *segment, shm_toc *toc)
{
	VcIvfShared *shared = shm_toc_lookup(toc, KEY_SHARED, false);
	LOCKMODE	 heap_mode = shared->concurrent ? ShareUpdateExclusiveLock : ShareLock;
	LOCKMODE	 index_mode = shared->concurrent ? RowExclusiveLock : AccessExclusiveLock;
	Relation	 heap = table_open(shared->heap, heap_mode);
	Relation	 index = index_open(shared->index, index_mode);
	VcIvf		 ivf;

	vc_ivf_open_new(&ivf, index, MAIN_FORKNUM, &shared->meta);
	build_share(shared, heap, index, BuildIndexInfo(index), &ivf);
	index_close(index, index_mode);
	table_close(heap, heap_mode);
}

/* False where no worker can be had: nothing has been done then. */
static bool
build_in_parallel(Relation heap, Relation index, IndexInfo *index_info, int workers, VcIvf *ivf, IndexBuildResult *result)
{
	bool			 concurrent = index_info->ii_Concurrent;
	Snapshot		 snapshot = concurrent ? RegisterSnapshot(GetTransactionSnapshot()) : SnapshotAny;
	ParallelContext *context;
	VcIvfShared		*shared;
	Size			 size;
	int				 participants;

	EnterParallelMode();
	context = CreateParallelContext("vectorcoll", "vc_ivf_parallel_build_main", workers);
	size = add_size(BUFFERALIGN(sizeof(VcIvfShared)), table_parallelscan_estimate(heap, snapshot));
	shm_toc_estimate_chunk(&context->estimator, size);
	shm_toc_estimate_keys(&context->estimator, 1);
	InitializeParallelDSM(context);
	if (context->seg == NULL)
	{
		if (concurrent)
			UnregisterSnapshot(snapshot);
		DestroyParallelContext(context);
		ExitParallelMode();
		return false;
	}
	shared = shm_toc_allocate(context->toc, size);
	memset(shared, 0, sizeof(*shared));
	shared->heap = RelationGetRelid(heap);
	shared->index = RelationGetRelid(index);
	shared->concurrent = concurrent;
	shared->meta = ivf->meta;
	SpinLockInit(&shared->mutex);
	ConditionVariableInit(&shared->through);
	pg_atomic_init_u64(&shared->rows, 0);
	table_parallelscan_initialize(heap, shared_scan(shared), snapshot);
	shm_toc_insert(context->toc, KEY_SHARED, shared);
	LaunchParallelWorkers(context);
	participants = context->nworkers_launched + 1;
	ereport(DEBUG1, (errmsg_internal("building index \"%s\" with %d parallel workers", RelationGetRelationName(index),
									 context->nworkers_launched)));

	/* Shared with workers that may not have started yet: an error in one of them ends the wait. */
	build_share(shared, heap, index, index_info, ivf);
	WaitForParallelWorkersToAttach(context);
	for (;;)
	{
		int done;

		SpinLockAcquire(&shared->mutex);
		done = shared->done;
		SpinLockRelease(&shared->mutex);
		if (done == participants)
			break;
		ConditionVariableSleep(&shared->through, WAIT_EVENT_PARALLEL_CREATE_INDEX_SCAN);
	}
	ConditionVariableCancelSleep();
	WaitForParallelWorkersToFinish(context);
	result->heap_tuples = shared->heap_tuples;
	result->index_tuples = pg_atomic_read_u64(&shared->rows);
	index_info->ii_BrokenHotChain |= shared->broken_hot_chain;
	ivf->meta.built_rows = result->index_tuples;
	ivf->meta.built_err = result->index_tuples > 0 ? shared->err / result->index_tuples : 0;
	if (concurrent)
		UnregisterSnapshot(snapshot);
	DestroyParallelContext(context);
	ExitParallelMode();
	return true;
}

void
vc_ivf_build_rows(Relation heap, Relation index, IndexInfo *index_info, VcIvf *ivf, IndexBuildResult *result)
{
	VcIvfBuilder builder;
	int			 workers = vc_workers_for_build(heap, index);

	if (workers > 0 && build_in_parallel(heap, index, index_info, workers, ivf, result))
		return;
	vc_ivf_builder_init(&builder, ivf);
	result->heap_tuples = table_index_build_scan(heap, index, index_info, true, true, vc_ivf_build_row, &builder, NULL);
	vc_ivf_builder_finish(&builder);
	result->index_tuples = builder.rows;
	ivf->meta.built_rows = builder.rows;
	ivf->meta.built_err = builder.rows > 0 ? builder.err / builder.rows : 0;
}
