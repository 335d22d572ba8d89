/*
 * stats.c
 *		vectorcoll.ivf_stats(index): how an index's lists look, and whether a REINDEX would pay.
 */
#include "ivf/walk.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"

/* Beyond these a rebuilt index is noticeably smaller, faster or better. */
#define GROWTH_LIMIT 4.0
#define ERROR_LIMIT 1.25
#define FREE_LIMIT 0.5
#define IMBALANCE_LIMIT 6.0
#define UNTRAINED_LIMIT 1000

typedef struct Stats
{
	uint64 *list_rows;
	uint64	rows;
	uint64	copies; /* the same, second copies included */
	uint64	slots; /* in segments of rows, live or free */
	uint64	tail;  /* free slots in the last segment of each list; those before it are VACUUM's work */
	double	err;
} Stats;

static void
count_segment(VcIvfWalk *walk, const VcIvfShape *shape, uint32 list, BlockNumber segment, Page page, void *arg)
{
	Stats	   *stats = arg;
	VcIvfBlock *blocks = vc_ivf_blocks(page);

	if (list == VC_IVF_ROOT)
		return;
	if (vc_ivf_segment(page)->next == InvalidBlockNumber)
		stats->tail += shape->segment_blocks * VC_RABITQ_BLOCK;
	for (uint32 i = 0; i < shape->segment_blocks; i++)
	{
		stats->list_rows[list] += pg_popcount32(blocks[i].live);
		if (vc_ivf_segment(page)->next == InvalidBlockNumber)
			stats->tail -= pg_popcount32(blocks[i].live);
		stats->slots += VC_RABITQ_BLOCK;
		stats->rows += pg_popcount32(blocks[i].live & ~blocks[i].spilled);
		for (uint32 live = blocks[i].live & ~blocks[i].spilled; live != 0; live &= live - 1)
			stats->err += blocks[i].err[pg_rightmost_one_pos32(live)];
	}
}

static const char *
advice(const VcIvfMeta *meta, const Stats *stats, double imbalance, double err_growth, double free)
{
	/* What lists cannot do without: the last segment of each is half empty on average. */
	if (meta->sample == 0 && stats->rows >= UNTRAINED_LIMIT)
		return "REINDEX: the index was built on too few rows to have lists";
	if (meta->sample > 0 && stats->rows > GROWTH_LIMIT * VC_IVF_ROWS_PER_LIST * meta->lists &&
		stats->rows > 2 * meta->built_rows)
		return "REINDEX: the table has outgrown its lists";
	if (meta->sample > 0 && err_growth > ERROR_LIMIT)
		return "REINDEX: the rows have moved away from the centroids";
	if (meta->sample > 0 && imbalance > IMBALANCE_LIMIT)
		return "REINDEX: few lists hold most rows";
	if (free > FREE_LIMIT && stats->rows > UNTRAINED_LIMIT && stats->rows < meta->built_rows / 2)
		return "REINDEX: most of the index is free space";
	return NULL;
}

static int
compare_uint64(const void *a, const void *b)
{
	uint64 x = *(const uint64 *) a;
	uint64 y = *(const uint64 *) b;

	return x < y ? -1 : x > y;
}

/* Rows of the smallest list, of those at each tenth of the way, and of the largest. */
static Datum
list_sizes(uint64 *list_rows, uint32 lists)
{
	Datum sizes[11];

	qsort(list_rows, lists, sizeof(uint64), compare_uint64);
	for (int i = 0; i <= 10; i++)
		sizes[i] = Int64GetDatum((int64) list_rows[(uint64) (lists - 1) * i / 10]);
	return PointerGetDatum(construct_array(sizes, 11, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

PG_FUNCTION_INFO_V1(vc_ivf_stats);

Datum
vc_ivf_stats(PG_FUNCTION_ARGS)
{
	Relation	table;
	Relation	index;
	VcIvf		ivf;
	VcIvfWalk	walk;
	Stats		stats = {0};
	double		squares = 0;
	double		imbalance;
	double		mean_err;
	double		err_growth;
	double		free;
	const char *what;
	TupleDesc	desc;
	Datum		values[14];
	bool		isnull[14] = {0};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	vc_ivf_open_for_owner(PG_GETARG_OID(0), AccessShareLock, &table, &index);
	vc_ivf_open(&ivf, index);
	stats.list_rows = palloc0(sizeof(uint64) * ivf.meta.lists);
	vc_ivf_walk(&walk, &ivf, count_segment, &stats);
	if (!RecoveryInProgress())
		vc_ivf_walk_free(&walk);
	for (uint32 i = 0; i < ivf.meta.lists; i++)
	{
		stats.copies += stats.list_rows[i];
		squares += (double) stats.list_rows[i] * stats.list_rows[i];
	}
	imbalance = stats.copies > 0 ? squares * ivf.meta.lists / ((double) stats.copies * stats.copies) : 1;
	mean_err = stats.rows > 0 ? stats.err / stats.rows : 0;
	err_growth = ivf.meta.built_err > 0 && stats.rows > 0 ? mean_err / ivf.meta.built_err : 1;
	free = stats.slots > 0 ? 1 - (double) stats.copies / stats.slots : 0;
	what = advice(&ivf.meta, &stats, imbalance, err_growth, free);

	values[0] = Int64GetDatum((int64) stats.rows);
	values[1] = Int32GetDatum((int32) ivf.meta.lists);
	values[2] = Int64GetDatum((int64) ivf.meta.sample);
	values[3] = Int64GetDatum((int64) ivf.meta.built_rows);
	values[4] = Int64GetDatum((int64) walk.nblocks);
	values[5] = Int64GetDatum((int64) walk.nfree);
	values[6] = list_sizes(stats.list_rows, ivf.meta.lists);
	values[7] = Float8GetDatum(imbalance);
	values[8] = Float8GetDatum(free);
	values[9] = Float8GetDatum(stats.slots > 0 ? (double) stats.tail / stats.slots : 0);
	values[10] = Float8GetDatum(stats.slots > 0 ? (double) (stats.slots - stats.copies - stats.tail) / stats.slots : 0);
	values[11] = Float8GetDatum(mean_err);
	values[12] = Float8GetDatum(err_growth);
	isnull[13] = what == NULL;
	values[13] = what == NULL ? (Datum) 0 : CStringGetTextDatum(what);
	vc_ivf_close_for_owner(AccessShareLock, table, index);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, isnull)));
}
