/*
 * parallel.c
 *		The processes of a build: tasks shared out among them, and the pass that puts rows into lists.
 *
 * Workers share the table scan and insert as concurrent sessions would: what keeps them apart are the locks of page.c.
 * Before that they take tasks of what the leader has to do. Shared memory holds the scan, the job at hand and a few counters; what
 * training needs is in a segment of its own, which is gone when rows are put into lists.
 */
#include "ivf/build.h"

#include "access/parallel.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "am/workers.h"
#include "catalog/index.h"
#include "commands/progress.h"
#include "ivf/train.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/condition_variable.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#define KEY_SHARED UINT64CONST(0xB100000000000001)

struct VcIvfShared
{
	Oid		  heap;
	Oid		  index;
	bool	  concurrent;
	VcIvfMeta untrained; /* as it was when workers were started */

	slock_t	   mutex; /* of all up to `through` */
	uint64	   serial; /* of the job at hand; each has another */
	VcIvfJob   job;
	uint32	   tasks;
	uint32	   taken;
	uint32	   completed;
	dsm_handle training;
	VcIvfMeta  trained; /* for the last job */
	int		   done;	/* participants that are through with it */
	double	   heap_tuples;
	double	   err; /* sum over all rows */
	bool	   broken_hot_chain;

	ConditionVariable begun;   /* a job */
	ConditionVariable through; /* with all tasks, or with the last job */

	pg_atomic_uint64 rows; /* put in so far, for progress */
};

struct VcIvfTeam
{
	ParallelContext *context;
	VcIvfShared		*shared;
	Snapshot		 snapshot; /* null where none was registered */
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

/* ---- tasks ---- */

static bool
take_task(VcIvfShared *shared, uint64 serial, uint32 *task)
{
	bool taken;

	SpinLockAcquire(&shared->mutex);
	taken = shared->serial == serial && shared->taken < shared->tasks;
	if (taken)
		*task = shared->taken++;
	SpinLockRelease(&shared->mutex);
	return taken;
}

static void
complete_task(VcIvfShared *shared)
{
	bool last;

	SpinLockAcquire(&shared->mutex);
	last = ++shared->completed == shared->tasks;
	SpinLockRelease(&shared->mutex);
	if (last)
		ConditionVariableSignal(&shared->through);
}

static uint64
begin_job(VcIvfShared *shared, VcIvfJob job, uint32 tasks)
{
	uint64 serial;

	SpinLockAcquire(&shared->mutex);
	serial = ++shared->serial;
	shared->job = job;
	shared->tasks = tasks;
	shared->taken = shared->completed = 0;
	SpinLockRelease(&shared->mutex);
	ConditionVariableBroadcast(&shared->begun);
	return serial;
}

/* Wait for the job after the one last seen. */
static VcIvfJob
next_job(VcIvfShared *shared, uint64 *serial)
{
	VcIvfJob job;

	ConditionVariablePrepareToSleep(&shared->begun);
	for (;;)
	{
		bool next;

		SpinLockAcquire(&shared->mutex);
		next = shared->serial != *serial;
		*serial = shared->serial;
		job = shared->job;
		SpinLockRelease(&shared->mutex);
		if (next)
			break;
		ConditionVariableSleep(&shared->begun, WAIT_EVENT_PARALLEL_CREATE_INDEX_SCAN);
	}
	ConditionVariableCancelSleep();
	return job;
}

/* Take part in all jobs up to the last one, but not in that. */
static void
help_training(VcIvfShared *shared, Relation heap, Relation index)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "vc_ivf training", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	VcIvfTrainer *trainer = NULL;
	IndexInfo	 *index_info = BuildIndexInfo(index);
	uint64		  serial = 0;
	VcIvfJob	  job;
	VcIvf		  ivf;

	index_info->ii_Concurrent = shared->concurrent;
	vc_ivf_open_new(&ivf, index, MAIN_FORKNUM, &shared->untrained);
	while ((job = next_job(shared, &serial)) != VC_IVF_JOB_ROWS)
	{
		uint32 task;

		while (take_task(shared, serial, &task))
		{
			/* While a task is not completed, the leader does not take the segment away. */
			if (trainer == NULL)
				trainer = vc_ivf_trainer_join(&ivf, heap, index_info, shared->training);
			vc_ivf_trainer_task(trainer, job, task);
			complete_task(shared);
		}
	}
	if (trainer != NULL)
		vc_ivf_trainer_end(trainer);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

void
vc_ivf_team_run(VcIvfTeam *team, VcIvfJob job, uint32 tasks, void (*work)(void *arg, VcIvfJob job, uint32 task), void *arg)
{
	VcIvfShared *shared = team->shared;
	uint64		 serial = begin_job(shared, job, tasks);
	uint32		 task;

	while (take_task(shared, serial, &task))
	{
		work(arg, job, task);
		complete_task(shared);
	}
	ConditionVariablePrepareToSleep(&shared->through);
	for (;;)
	{
		bool completed;

		SpinLockAcquire(&shared->mutex);
		completed = shared->completed == tasks;
		SpinLockRelease(&shared->mutex);
		if (completed)
			break;
		ConditionVariableSleep(&shared->through, WAIT_EVENT_PARALLEL_CREATE_INDEX_SCAN);
	}
	ConditionVariableCancelSleep();
}

int
vc_ivf_team_size(VcIvfTeam *team)
{
	return team->context->nworkers_launched + 1;
}

void
vc_ivf_team_train(VcIvfTeam *team, dsm_handle training)
{
	team->shared->training = training;
}

/* ---- the team ---- */

void
vc_ivf_parallel_build_main(dsm_segment *segment, shm_toc *toc)
{
	VcIvfShared *shared = shm_toc_lookup(toc, KEY_SHARED, false);
	LOCKMODE	 heap_mode = shared->concurrent ? ShareUpdateExclusiveLock : ShareLock;
	LOCKMODE	 index_mode = shared->concurrent ? RowExclusiveLock : AccessExclusiveLock;
	Relation	 heap = table_open(shared->heap, heap_mode);
	Relation	 index = index_open(shared->index, index_mode);
	VcIvf		 ivf;

	help_training(shared, heap, index);
	vc_ivf_open_new(&ivf, index, MAIN_FORKNUM, &shared->trained);
	build_share(shared, heap, index, BuildIndexInfo(index), &ivf);
	index_close(index, index_mode);
	table_close(heap, heap_mode);
}

VcIvfTeam *
vc_ivf_team_start(Relation heap, Relation index, IndexInfo *index_info, VcIvf *ivf)
{
	int				 workers = vc_workers_for_build(heap, index);
	bool			 concurrent = index_info->ii_Concurrent;
	Snapshot		 snapshot;
	ParallelContext *context;
	VcIvfShared		*shared;
	VcIvfTeam		*team;
	Size			 size;

	if (workers == 0)
		return NULL;
	snapshot = concurrent ? RegisterSnapshot(GetTransactionSnapshot()) : SnapshotAny;
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
		return NULL;
	}
	shared = shm_toc_allocate(context->toc, size);
	memset(shared, 0, sizeof(*shared));
	shared->heap = RelationGetRelid(heap);
	shared->index = RelationGetRelid(index);
	shared->concurrent = concurrent;
	shared->untrained = ivf->meta;
	SpinLockInit(&shared->mutex);
	ConditionVariableInit(&shared->begun);
	ConditionVariableInit(&shared->through);
	pg_atomic_init_u64(&shared->rows, 0);
	table_parallelscan_initialize(heap, shared_scan(shared), snapshot);
	shm_toc_insert(context->toc, KEY_SHARED, shared);
	LaunchParallelWorkers(context);
	ereport(DEBUG1, (errmsg_internal("building index \"%s\" with %d parallel workers", RelationGetRelationName(index),
									 context->nworkers_launched)));
	team = palloc(sizeof(VcIvfTeam));
	*team = (VcIvfTeam){.context = context, .shared = shared, .snapshot = concurrent ? snapshot : NULL};
	return team;
}

static void
build_in_parallel(Relation heap, Relation index, IndexInfo *index_info, VcIvf *ivf, VcIvfTeam *team, IndexBuildResult *result)
{
	VcIvfShared *shared = team->shared;

	shared->trained = ivf->meta;
	(void) begin_job(shared, VC_IVF_JOB_ROWS, 0);

	/* Shared with workers that may not have started yet: an error in one of them ends the wait. */
	build_share(shared, heap, index, index_info, ivf);
	WaitForParallelWorkersToAttach(team->context);
	for (;;)
	{
		int done;

		SpinLockAcquire(&shared->mutex);
		done = shared->done;
		SpinLockRelease(&shared->mutex);
		if (done == vc_ivf_team_size(team))
			break;
		ConditionVariableSleep(&shared->through, WAIT_EVENT_PARALLEL_CREATE_INDEX_SCAN);
	}
	ConditionVariableCancelSleep();
	WaitForParallelWorkersToFinish(team->context);
	result->heap_tuples = shared->heap_tuples;
	result->index_tuples = pg_atomic_read_u64(&shared->rows);
	index_info->ii_BrokenHotChain |= shared->broken_hot_chain;
	ivf->meta.built_rows = result->index_tuples;
	ivf->meta.built_err = result->index_tuples > 0 ? shared->err / result->index_tuples : 0;
	if (team->snapshot != NULL)
		UnregisterSnapshot(team->snapshot);
	DestroyParallelContext(team->context);
	ExitParallelMode();
	pfree(team);
}

void
vc_ivf_build_rows(Relation heap, Relation index, IndexInfo *index_info, VcIvf *ivf, VcIvfTeam *team, IndexBuildResult *result)
{
	VcIvfBuilder builder;

	if (team != NULL)
	{
		build_in_parallel(heap, index, index_info, ivf, team, result);
		return;
	}
	vc_ivf_builder_init(&builder, ivf);
	result->heap_tuples = table_index_build_scan(heap, index, index_info, true, true, vc_ivf_build_row, &builder, NULL);
	vc_ivf_builder_finish(&builder);
	result->index_tuples = builder.rows;
	ivf->meta.built_rows = builder.rows;
	ivf->meta.built_err = builder.rows > 0 ? builder.err / builder.rows : 0;
}
