/*
 * batch_index.c
 *		The queries of a knn_batch answered by an index, by this process and parallel workers.
 *
 * Each process opens one scan and starts it anew for each query, as the inner side of a nested loop would, but without an executor
 * around it: rows are found visible or not under the statement's snapshot, and their distances are those that the index has
 * computed. Queries near each other are taken one after another, since they visit the same pages.
 *
 * With workers, queries and answers are in dynamic shared memory. A process takes the next few queries when it is done with its last
 * ones, so the leader does not wait for workers to start, and does everything where none can be had. Fetching rows evaluates nothing but the
 * column, so what runs in a worker is safe there; an index over an expression, and a temporary table, stay with one process.
 */
#include "am/batch.h"

#include <math.h>

#include "access/genam.h"
#include "access/parallel.h"
#include "access/table.h"
#include "access/tableam.h"
#include "am/metric.h"
#include "am/scan.h"
#include "catalog/pg_class.h"
#include "executor/instrument.h"
#include "miscadmin.h"
#include "optimizer/cost.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "tcop/tcopprot.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#define MAX_PIVOTS 64

/* A worker takes some milliseconds to start: as long as some tens of searches, which the others must have left by then. */
#define QUERIES_PER_WORKER 200

/* How many queries a process takes at a time: some, for what the cache still holds, but few, so that all end together. */
#define QUERIES_AT_A_TIME 4

#define KEY_SHARED UINT64CONST(0x56430101)
#define KEY_ORDER UINT64CONST(0x56430102)
#define KEY_COUNTS UINT64CONST(0x56430103)
#define KEY_ANSWERS UINT64CONST(0x56430104)
#define KEY_QUERIES UINT64CONST(0x56430105)
#define KEY_WORKERS UINT64CONST(0x56430106)
#define KEY_TEXT UINT64CONST(0x56430107)

typedef struct Shared
{
	VcBatchTarget	 target; /* but for its text */
	int				 n;
	int				 k;
	int				 query_size;
	pg_atomic_uint32 next; /* place in the order of the first query that nobody has taken */
} Shared;

/* What a worker tells of its work. */
typedef struct Worker
{
	VcScan		scan;
	BufferUsage buffers;
	WalUsage	wal;
} Worker;

/*
 * An order in which queries near each other follow each other: some of them are pivots, each of which is followed by the
 * queries it is nearest to. That costs some distances a query, a hundredth of a search.
 */
static int *
order_queries(const VcBatch *batch, const VcMetric *metric)
{
	int			  npivots = (int) Min(MAX_PIVOTS, sqrt(batch->n));
	int			 *order = palloc(sizeof(int) * batch->n);
	int			 *pivot = palloc(sizeof(int) * batch->n);
	int			 *start = palloc0(sizeof(int) * (npivots + 1));
	VcValue		 *pivots = palloc(sizeof(VcValue) * npivots);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "knn_batch query", ALLOCSET_SMALL_SIZES);
	MemoryContext old;

	for (int p = 0; p < npivots; p++)
		vc_metric_value(metric, batch->queries[(int64) p * batch->n / npivots], &pivots[p]);
	old = MemoryContextSwitchTo(context);
	for (int i = 0; i < batch->n; i++)
	{
		VcValue value;
		float	nearest = INFINITY;

		CHECK_FOR_INTERRUPTS();
		vc_metric_value(metric, batch->queries[i], &value);
		pivot[i] = 0;
		for (int p = 0; p < npivots && value.dim == pivots[p].dim; p++)
		{
			float distance = metric->distance(value.data, value.scale, pivots[p].data, pivots[p].scale, value.dim);

			if (distance < nearest)
			{
				nearest = distance;
				pivot[i] = p;
			}
		}
		start[pivot[i] + 1]++;
		MemoryContextReset(context);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	for (int p = 0; p < npivots; p++)
		start[p + 1] += start[p];
	for (int i = 0; i < batch->n; i++)
		order[start[pivot[i]]++] = i;
	return order;
}

/* Take queries, in this order, until there are none left, and answer them. */
static void
answer_share(VcBatch *batch, Relation table, Relation index, const int *order, pg_atomic_uint32 *next)
{
	TupleTableSlot *slot = table_slot_create(table, NULL);
	Snapshot		snapshot = GetActiveSnapshot();
	RegProcedure	procedure = get_opcode(batch->target.operator);
	IndexScanDesc	scan;
	uint32			first;

#if PG_VERSION_NUM >= 180000
	scan = index_beginscan(table, index, snapshot, NULL, 0, 1);
#else
	scan = index_beginscan(table, index, snapshot, 0, 1);
#endif
	while ((first = pg_atomic_fetch_add_u32(next, QUERIES_AT_A_TIME)) < (uint32) batch->n)
	{
		for (uint32 i = first; i < Min(first + QUERIES_AT_A_TIME, (uint32) batch->n); i++)
		{
			int			query = order[i];
			ScanKeyData key;

			ScanKeyEntryInitialize(&key, SK_ORDER_BY, 1, 1, batch->target.type, index->rd_indcollation[0], procedure,
								   batch->queries[query]);
			index_rescan(scan, NULL, 0, &key, 1);
			while (batch->counts[query] < batch->k && index_getnext_slot(scan, ForwardScanDirection, slot))
			{
				VcBatchAnswer *answer = vc_batch_add(batch, query);

				CHECK_FOR_INTERRUPTS();
				answer->table = batch->target.table;
				answer->tid = slot->tts_tid;
				answer->isnull = scan->xs_orderbynulls[0];
				answer->distance = answer->isnull ? 0 : DatumGetFloat8(scan->xs_orderbyvals[0]);
			}
		}
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
}

/* How many workers to ask for. */
static int
workers_wanted(const VcBatch *batch, Relation table)
{
	int workers = RelationGetParallelWorkers(table, max_parallel_workers_per_gather);

	if (IsParallelWorker() || batch->target.attno == 0 || table->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		return 0;
	return Min(Min(workers, max_parallel_workers_per_gather), batch->n / QUERIES_PER_WORKER);
}

PGDLLEXPORT void vc_batch_worker(dsm_segment *segment, shm_toc *toc);

/* A worker's main function. */
void
vc_batch_worker(dsm_segment *segment, shm_toc *toc)
{
	Shared		  *shared = shm_toc_lookup(toc, KEY_SHARED, false);
	Worker		  *worker = (Worker *) shm_toc_lookup(toc, KEY_WORKERS, false) + ParallelWorkerNumber;
	VcBatchAnswer *answers = shm_toc_lookup(toc, KEY_ANSWERS, false);
	char		  *queries = shm_toc_lookup(toc, KEY_QUERIES, false);
	VcBatch		   batch = {.target = shared->target, .n = shared->n, .k = shared->k};
	Relation	   table;
	Relation	   index;

	debug_query_string = shm_toc_lookup(toc, KEY_TEXT, true);
	if (debug_query_string)
		pgstat_report_activity(STATE_RUNNING, debug_query_string);
	InstrStartParallelQuery();
	table = table_open(batch.target.table, AccessShareLock);
	index = index_open(batch.target.index, AccessShareLock);
	batch.counts = shm_toc_lookup(toc, KEY_COUNTS, false);
	batch.queries = palloc(sizeof(Datum) * batch.n);
	batch.rooms = palloc(sizeof(int) * batch.n);
	batch.answers = palloc(sizeof(VcBatchAnswer *) * batch.n);
	for (int i = 0; i < batch.n; i++)
	{
		bool isnull;

		batch.queries[i] = datumRestore(&queries, &isnull);
		batch.rooms[i] = batch.k;
		batch.answers[i] = answers + (Size) i * batch.k;
	}
	answer_share(&batch, table, index, shm_toc_lookup(toc, KEY_ORDER, false), &shared->next);
	worker->scan = vc_scan_last();
	index_close(index, AccessShareLock);
	table_close(table, AccessShareLock);
	InstrEndParallelQuery(&worker->buffers, &worker->wal);
	(void) segment;
}

/* Put queries, order and places for answers where workers find them; the batch uses them there, too. */
static Shared *
share_batch(VcBatch *batch, ParallelContext *context, const int *order, Size query_size, Size answers_size)
{
	Shared *shared = shm_toc_allocate(context->toc, sizeof(Shared));
	int	   *shared_order = shm_toc_allocate(context->toc, sizeof(int) * batch->n);
	char   *queries = shm_toc_allocate(context->toc, query_size);
	char   *next = queries;
	VcBatchAnswer *answers = shm_toc_allocate(context->toc, answers_size);

	shared->target = batch->target;
	shared->target.value = NULL;
	shared->n = batch->n;
	shared->k = batch->k;
	pg_atomic_init_u32(&shared->next, 0);
	shm_toc_insert(context->toc, KEY_SHARED, shared);

	memcpy(shared_order, order, sizeof(int) * batch->n);
	shm_toc_insert(context->toc, KEY_ORDER, shared_order);

	for (int i = 0; i < batch->n; i++)
		datumSerialize(batch->queries[i], false, false, -1, &next);
	shm_toc_insert(context->toc, KEY_QUERIES, queries);

	batch->counts = shm_toc_allocate(context->toc, sizeof(int) * batch->n);
	memset(batch->counts, 0, sizeof(int) * batch->n);
	shm_toc_insert(context->toc, KEY_COUNTS, batch->counts);
	for (int i = 0; i < batch->n; i++)
	{
		batch->rooms[i] = batch->k;
		batch->answers[i] = answers + (Size) i * batch->k;
	}
	shm_toc_insert(context->toc, KEY_ANSWERS, answers);
	return shared;
}

/* Answers in shared memory become the batch's own. */
static void
keep_answers(VcBatch *batch, int *counts)
{
	memcpy(counts, batch->counts, sizeof(int) * batch->n);
	batch->counts = counts;
	for (int i = 0; i < batch->n; i++)
	{
		Size		   size = sizeof(VcBatchAnswer) * counts[i];
		VcBatchAnswer *own = MemoryContextAlloc(batch->context, Max(size, 1));

		memcpy(own, batch->answers[i], size);
		batch->answers[i] = own;
		batch->rooms[i] = counts[i];
	}
}

static void
answer_in_parallel(VcBatch *batch, Relation table, Relation index, const int *order, int nworkers)
{
	ParallelContext *context;
	Shared			*shared;
	Worker			*workers;
	int				*counts = batch->counts;
	Size			 query_size = 0;
	Size			 answers_size = mul_size(mul_size(sizeof(VcBatchAnswer), batch->k), batch->n);
	Size			 text_size = debug_query_string ? strlen(debug_query_string) + 1 : 0;

	for (int i = 0; i < batch->n; i++)
		query_size = add_size(query_size, datumEstimateSpace(batch->queries[i], false, false, -1));

	EnterParallelMode();
	context = CreateParallelContext("vectorcoll", "vc_batch_worker", nworkers);
	shm_toc_estimate_chunk(&context->estimator, sizeof(Shared));
	shm_toc_estimate_chunk(&context->estimator, mul_size(sizeof(int), batch->n));
	shm_toc_estimate_chunk(&context->estimator, query_size);
	shm_toc_estimate_chunk(&context->estimator, mul_size(sizeof(int), batch->n));
	shm_toc_estimate_chunk(&context->estimator, answers_size);
	shm_toc_estimate_chunk(&context->estimator, mul_size(sizeof(Worker), nworkers));
	shm_toc_estimate_chunk(&context->estimator, text_size);
	shm_toc_estimate_keys(&context->estimator, 7);
	InitializeParallelDSM(context);

	shared = share_batch(batch, context, order, query_size, answers_size);
	workers = shm_toc_allocate(context->toc, mul_size(sizeof(Worker), nworkers));
	memset(workers, 0, sizeof(Worker) * nworkers);
	shm_toc_insert(context->toc, KEY_WORKERS, workers);
	if (debug_query_string)
	{
		char *text = shm_toc_allocate(context->toc, text_size);

		memcpy(text, debug_query_string, text_size);
		shm_toc_insert(context->toc, KEY_TEXT, text);
	}

	LaunchParallelWorkers(context);
	answer_share(batch, table, index, order, &shared->next);
	WaitForParallelWorkersToFinish(context);
	for (int i = 0; i < context->nworkers_launched; i++)
	{
		InstrAccumParallelQuery(&workers[i].buffers, &workers[i].wal);
		vc_scan_add_share(&workers[i].scan);
	}
	keep_answers(batch, counts);
	DestroyParallelContext(context);
	ExitParallelMode();
}

void
vc_batch_by_index(VcBatch *batch)
{
	Relation table = table_open(batch->target.table, AccessShareLock);
	Relation index = index_open(batch->target.index, AccessShareLock);
	int		*order = order_queries(batch, vc_metric_of(index, 1));
	int		 nworkers = workers_wanted(batch, table);

	ereport(DEBUG1, (errmsg_internal("answering %d queries by index \"%s\" with up to %d parallel workers", batch->n,
									 RelationGetRelationName(index), nworkers)));
	if (nworkers > 0)
		answer_in_parallel(batch, table, index, order, nworkers);
	else
	{
		pg_atomic_uint32 next;

		pg_atomic_init_u32(&next, 0);
		answer_share(batch, table, index, order, &next);
	}
	pfree(order);
	index_close(index, NoLock);
	table_close(table, NoLock);
}
