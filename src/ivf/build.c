/*
 * build.c
 *		CREATE INDEX and REINDEX: sample the table, find centroids, then put every row into its list as later inserts do.
 *
 * Memory: the sample, the centroids and k-means' workspace stay within maintenance_work_mem; the lists are built in shared
 * buffers. Nothing is WAL-logged while the index is built; at the end all its pages are, in one pass. A crash before
 * that leaves an index that was never committed.
 *
 * Workers: the same insertion runs in parallel processes, each on its share of the table's blocks; the locks are those of
 * concurrent inserts (parallel.c).
 */
#include "ivf/build.h"

#include <math.h>

#include "access/tableam.h"
#include "access/xloginsert.h"
#include "catalog/index.h"
#include "ivf/progress.h"
#include "ivf/train.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "quantize/random.h"
#include "types/check.h"
#include "utils/memutils.h"
#include "utils/sampling.h"

#define SAMPLE_PER_LIST 64
#define MIN_SAMPLE 10000 /* and so many anyway: the number of lists is not known before rows are counted */
#define FIRST_BLOCKS 128 /* of the table, to learn how many rows a block has */

/* ---- sampling ---- */

typedef struct Sample
{
	VcIvf		 *ivf;
	float		 *rows; /* [room][padded], rotated */
	uint64		  room;
	uint64		  count;
	double		  seen; /* rows in the blocks read */
	uint64		  random;
	MemoryContext row_context;
} Sample;

/* Reservoir sampling: each row seen is kept with equal chance. */
static void
sample_row(Relation index, ItemPointer tid, Datum *values, bool *isnull, bool tuple_is_alive, void *arg)
{
	Sample		 *sample = arg;
	VcIvf		 *ivf = sample->ivf;
	MemoryContext old;
	VcValue		  value;
	uint64		  place;

	if (isnull[0])
		return;
	sample->seen++;
	place = sample->count < sample->room ? sample->count : vc_random_below(&sample->random, (uint64) sample->seen);
	if (place >= sample->room)
		return;
	old = MemoryContextSwitchTo(sample->row_context);
	vc_metric_value(ivf->metric, values[0], &value);
	vc_check_same_dims(ivf->metric->type_name, ivf->meta.dim, value.dim);
	if (!value.is_zero) /* zero vectors have no direction: they would pull centroids to where nothing is */
	{
		float *row = sample->rows + place * ivf->rows.padded;

		if (place == sample->count)
			sample->count++;
		vc_ivf_to_float(ivf, &value, row);
		vc_rotation_apply(ivf->rotation, row, row);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(sample->row_context);
}

static void
sample_blocks(Relation heap, Relation index, IndexInfo *index_info, Sample *sample, BlockNumber nblocks, BlockNumber count)
{
	BlockSamplerData sampler;

	if (count >= nblocks)
	{
		table_index_build_range_scan(heap, index, index_info, false, true, false, 0, InvalidBlockNumber, sample_row, sample,
									 NULL);
		return;
	}
	BlockSampler_Init(&sampler, nblocks, count, (uint32) vc_random_next(&sample->random));
	while (BlockSampler_HasMore(&sampler))
	{
		CHECK_FOR_INTERRUPTS();
		table_index_build_range_scan(heap, index, index_info, false, true, false, BlockSampler_Next(&sampler), 1, sample_row,
									 sample, NULL);
	}
}

/*
 * Rows to train on, from as much of the table as it takes; returns how many rows the table has, by estimate. *lists is
 * what the options ask for, 0 to choose, and is set.
 */
static double
take_sample(Relation heap, Relation index, IndexInfo *index_info, Sample *sample, uint32 *lists)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(heap);
	Size		row_bytes = sizeof(float) * sample->ivf->rows.padded;
	Size		memory = (Size) maintenance_work_mem * 1024;
	double		rows;
	double		wanted;

	/* Half of the memory for the sample; centroids and workspace, for a 64th as many rows, take less than the other half. */
	sample->room = Max(memory / 2 / row_bytes, 2);
	sample->rows = palloc_extended(sample->room * row_bytes, MCXT_ALLOC_HUGE);
	sample->row_context = AllocSetContextCreate(CurrentMemoryContext, "vc_ivf sample", ALLOCSET_DEFAULT_SIZES);
	sample_blocks(heap, index, index_info, sample, nblocks, FIRST_BLOCKS);
	rows = nblocks > FIRST_BLOCKS ? sample->seen / FIRST_BLOCKS * nblocks : sample->seen;
	if (*lists == 0)
		*lists = vc_ivf_choose_lists(rows);
	wanted = Min(Max((double) SAMPLE_PER_LIST * *lists, MIN_SAMPLE), (double) sample->room);
	if (nblocks > FIRST_BLOCKS && sample->count < wanted)
	{
		sample->count = 0;
		sample->seen = 0;
		sample->room = wanted;
		sample_blocks(heap, index, index_info, sample, nblocks, (BlockNumber) Min(nblocks, ceil(wanted * nblocks / rows)));
	}
	return rows;
}

/* Lists of an index over no rows: one, whose centroid is the origin. */
static void
write_untrained(VcIvf *ivf)
{
	float *origin = palloc0(sizeof(float) * ivf->rows.padded);

	for (int i = 0; i < VC_IVF_TARGETS; i++)
		ivf->meta.probes[i] = 1;
	ivf->meta.sample = 0;
	vc_ivf_write_lists(ivf, origin, 1);
}

void
vc_ivf_build_row(Relation index, ItemPointer tid, Datum *values, bool *isnull, bool tuple_is_alive, void *arg)
{
	VcIvfBuilder *builder = arg;
	MemoryContext old;
	VcValue		  value;
	VcKeyRow	  keys;
	float		  err;

	if (isnull[0])
		return;
	old = MemoryContextSwitchTo(builder->row_context);
	vc_metric_value(builder->ivf->metric, values[0], &value);
	vc_check_same_dims(builder->ivf->metric->type_name, builder->ivf->meta.dim, value.dim);
	vc_keys_row(&builder->ivf->rows.keys, index, values, isnull, &keys);
	(void) vc_ivf_insert_value(builder->inserter, tid, &value, &keys, &err);
	builder->err += err;
	MemoryContextSwitchTo(old);
	MemoryContextReset(builder->row_context);
	builder->rows++;
	if (((uint64) builder->rows & 255) == 0)
		vc_ivf_report_rows(builder);
}

void
vc_ivf_builder_init(VcIvfBuilder *builder, VcIvf *ivf)
{
	memset(builder, 0, sizeof(*builder));
	builder->ivf = ivf;
	builder->inserter = vc_ivf_inserter_new(ivf);
	builder->row_context = AllocSetContextCreate(CurrentMemoryContext, "vc_ivf build row", ALLOCSET_DEFAULT_SIZES);
}

IndexBuildResult *
vc_ivf_build(Relation heap, Relation index, IndexInfo *index_info)
{
	IndexBuildResult *result = palloc(sizeof(IndexBuildResult));
	MemoryContext	  context = AllocSetContextCreate(CurrentMemoryContext, "vc_ivf build", ALLOCSET_DEFAULT_SIZES);
	MemoryContext	  old = MemoryContextSwitchTo(context);
	VcIvfOptions	 *options = (VcIvfOptions *) index->rd_options;
	VcIvfMeta		  meta;
	VcIvf			  ivf;
	Sample			  sample;
	uint32			  lists = options != NULL ? options->lists : 0;
	double			  rows;

	if (RelationGetNumberOfBlocks(index) != 0)
		elog(ERROR, "index \"%s\" already contains data", RelationGetRelationName(index));
	vc_ivf_meta_fill(&meta, index);
	vc_ivf_open_new(&ivf, index, MAIN_FORKNUM, &meta);

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, VC_IVF_PHASE_SAMPLE);
	memset(&sample, 0, sizeof(sample));
	sample.ivf = &ivf;
	sample.random = meta.seed;
	rows = take_sample(heap, index, index_info, &sample, &lists);
	vc_ivf_add_meta(&ivf);
	if (sample.count < 2 || lists < 2)
		write_untrained(&ivf);
	else
	{
		float *centroids;

		pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, VC_IVF_PHASE_KMEANS);
		pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_TOTAL, 100);
		centroids = vc_ivf_train(&ivf, sample.rows, sample.count, &lists);
		ivf.meta.sample = (uint32) sample.count;
		vc_ivf_calibrate(&ivf, sample.rows, sample.count, centroids, lists);
		vc_ivf_write_lists(&ivf, centroids, lists);
		pfree(centroids);
	}
	pfree(sample.rows);

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, VC_IVF_PHASE_ROWS);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_TOTAL, (int64) rows);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, 0);
	vc_ivf_build_rows(heap, index, index_info, &ivf, result);
	vc_ivf_write_meta(&ivf);

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, VC_IVF_PHASE_LOG);
	if (RelationNeedsWAL(index))
		log_newpage_range(index, MAIN_FORKNUM, 0, RelationGetNumberOfBlocks(index), true);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return result;
}

void
vc_ivf_buildempty(Relation index)
{
	VcIvfMeta meta;
	VcIvf	  ivf;

	vc_ivf_meta_fill(&meta, index);
	vc_ivf_open_new(&ivf, index, INIT_FORKNUM, &meta);
	vc_ivf_add_meta(&ivf);
	write_untrained(&ivf);
	vc_ivf_write_meta(&ivf);
	log_newpage_range(index, INIT_FORKNUM, 0, RelationGetNumberOfBlocksInFork(index, INIT_FORKNUM), true);
}
