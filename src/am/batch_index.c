/*
 * batch_index.c
 *		The queries of a knn_batch answered by an index, by this process and parallel workers.
 *
 * Each process opens one scan and starts it anew for each query, as the inner side of a nested loop would, but without an executor
 * around it: rows are found visible or not under the statement's snapshot, and their distances are those that the index has
 * computed. Queries near each other are taken one after another, since they visit the same pages.
 *
 * The first few queries are answered alone, to see how long the others will take: a worker has to be started, and then meets every page
 * of the index for the first time, which costs as much as thousands of quick searches.
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
#include "optimizer/optimizer.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "tcop/tcopprot.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#define MAX_PIVOTS 64

/* There is a worker for so many queries at most, and for so many milliseconds of searching where parallel_setup_cost is the usual 1000. */
#define QUERIES_PER_WORKER 200
#define MS_PER_WORKER 150

/* Queries answered before that is known. */
#define QUERIES_ALONE 32

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

/* What a process answers queries with. */
typedef struct Answerer
{
	VcBatch		   *batch;
	Relation		index;
	const int	   *order;
	RegProcedure	procedure;
	TupleTableSlot *slot;
	IndexScanDesc	scan;
} Answerer;

static void
answerer_begin(Answerer *answerer, VcBatch *batch, Relation table, Relation index, const int *order)
{
	answerer->batch = batch;
	answerer->index = index;
	answerer->order = order;
	answerer->procedure = get_opcode(batch->target.operator);
	answerer->slot = table_slot_create(table, NULL);
#if PG_VERSION_NUM >= 180000
	answerer->scan = index_beginscan(table, index, GetActiveSnapshot(), NULL, 0, 1);
#else
	answerer->scan = index_beginscan(table, index, GetActiveSnapshot(), 0, 1);
#endif
	vc_scan_want_distances(answerer->scan);
}

static void
answerer_end(Answerer *answerer)
{
	index_endscan(answerer->scan);
	ExecDropSingleTupleTableSlot(answerer->slot);
}

/* Take queries, in their order, until there are none left before `end`, and answer them. */
static void
answer_share(Answerer *answerer, pg_atomic_uint32 *next, uint32 end)
{
	VcBatch		 *batch = answerer->batch;
	IndexScanDesc scan = answerer->scan;
	uint32		  first;

	while ((first = pg_atomic_fetch_add_u32(next, QUERIES_AT_A_TIME)) < end)
	{
		for (uint32 i = first; i < Min(first + QUERIES_AT_A_TIME, end); i++)
		{
			int			query = answerer->order[i];
			ScanKeyData key;

			ScanKeyEntryInitialize(&key, SK_ORDER_BY, 1, 1, batch->target.type, answerer->index->rd_indcollation[0],
								   answerer->procedure, batch->queries[query]);
			index_rescan(scan, NULL, 0, &key, 1);
			while (batch->counts[query] < batch->k && index_getnext_slot(scan, ForwardScanDirection, answerer->slot))
			{
				VcBatchAnswer *answer = vc_batch_add(batch, query);

				CHECK_FOR_INTERRUPTS();
				answer->table = batch->target.table;
				answer->tid = answerer->slot->tts_tid;
				answer->isnull = scan->xs_orderbynulls[0];
				answer->distance = answer->isnull ? 0 : DatumGetFloat8(scan->xs_orderbyvals[0]);
			}
		}
	}
}

/* How many workers there may be. */
static int
most_workers(const VcBatch *batch, Relation table)
{
	int workers = RelationGetParallelWorkers(table, max_parallel_workers_per_gather);

	if (IsParallelWorker() || batch->target.attno == 0 || table->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		return 0;
	return Min(Min(workers, max_parallel_workers_per_gather), batch->n / QUERIES_PER_WORKER);
}

/* How many of them are worth while, for what is left to be done. */
static int
workers_wanted(int most, double milliseconds)
{
	double setup = parallel_setup_cost / 1000 * MS_PER_WORKER;

	return milliseconds < setup * most ? (int) (milliseconds / setup) : most;
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
	Answerer	   answerer;

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
	answerer_begin(&answerer, &batch, table, index, shm_toc_lookup(toc, KEY_ORDER, false));
	answer_share(&answerer, &shared->next, batch.n);
	answerer_end(&answerer);
	worker->scan = vc_scan_last();
	index_close(index, AccessShareLock);
	table_close(table, AccessShareLock);
	InstrEndParallelQuery(&worker->buffers, &worker->wal);
	(void) segment;
}

/* Put queries, order, and answers and places for them, where workers find them; the batch uses them there, too. */
static Shared *
share_batch(VcBatch *batch, ParallelContext *context, const int *order, uint32 done, Size query_size, Size answers_size)
{
	Shared *shared = shm_toc_allocate(context->toc, sizeof(Shared));
	int	   *shared_order = shm_toc_allocate(context->toc, sizeof(int) * batch->n);
	char   *queries = shm_toc_allocate(context->toc, query_size);
	char   *next = queries;
	VcBatchAnswer *answers = shm_toc_allocate(context->toc, answers_size);
	int	   *counts = shm_toc_allocate(context->toc, sizeof(int) * batch->n);

	shared->target = batch->target;
	shared->target.value = NULL;
	shared->n = batch->n;
	shared->k = batch->k;
	pg_atomic_init_u32(&shared->next, done);
	shm_toc_insert(context->toc, KEY_SHARED, shared);

	memcpy(shared_order, order, sizeof(int) * batch->n);
	shm_toc_insert(context->toc, KEY_ORDER, shared_order);

	for (int i = 0; i < batch->n; i++)
		datumSerialize(batch->queries[i], false, false, -1, &next);
	shm_toc_insert(context->toc, KEY_QUERIES, queries);

	memcpy(counts, batch->counts, sizeof(int) * batch->n);
	batch->counts = counts;
	shm_toc_insert(context->toc, KEY_COUNTS, counts);
	for (int i = 0; i < batch->n; i++)
	{
		VcBatchAnswer *places = answers + (Size) i * batch->k;

		if (counts[i] > 0)
			memcpy(places, batch->answers[i], sizeof(VcBatchAnswer) * counts[i]);
		batch->rooms[i] = batch->k;
		batch->answers[i] = places;
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
answer_in_parallel(Answerer *answerer, uint32 done, int nworkers)
{
	VcBatch			*batch = answerer->batch;
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

	shared = share_batch(batch, context, answerer->order, done, query_size, answers_size);
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
	answer_share(answerer, &shared->next, batch->n);
	answerer_end(answerer);
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
	int		 nworkers = most_workers(batch, table);
	uint32	 done = nworkers > 0 ? Min(QUERIES_ALONE, batch->n) : 0;
	Answerer answerer;
	pg_atomic_uint32 next;
	instr_time start;
	instr_time time;

	pg_atomic_init_u32(&next, 0);
	answerer_begin(&answerer, batch, table, index, order);
	if (done > 0)
	{
		INSTR_TIME_SET_CURRENT(start);
		answer_share(&answerer, &next, done);
		INSTR_TIME_SET_CURRENT(time);
		INSTR_TIME_SUBTRACT(time, start);
		nworkers = workers_wanted(nworkers, INSTR_TIME_GET_MILLISEC(time) / done * (batch->n - done));
		pg_atomic_write_u32(&next, done);
	}
	ereport(DEBUG1, (errmsg_internal("answering %d queries by index \"%s\" with up to %d parallel workers", batch->n,
									 RelationGetRelationName(index), nworkers)));
	if (nworkers > 0)
		answer_in_parallel(&answerer, done, nworkers);
	else
	{
		answer_share(&answerer, &next, batch->n);
		answerer_end(&answerer);
	}
	pfree(order);
	index_close(index, NoLock);
	table_close(table, NoLock);
}
