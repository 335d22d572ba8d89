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
#include "common/pg_prng.h"
#include "ivf/progress.h"
#include "kernels/vc_kernels.h"
#include "kernels/vc_quant.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "quantize/kmeans.h"
#include "quantize/random.h"
#include "types/check.h"
#include "utils/memutils.h"
#include "utils/sampling.h"

#define SAMPLE_PER_LIST 64
#define MIN_SAMPLE 10000 /* and so many anyway: the number of lists is not known before rows are counted */
#define FIRST_BLOCKS 128 /* of the table, to learn how many rows a block has */
#define ITERATIONS 6
#define REFINEMENTS 1

/* Fewer rows than this are one list: it takes no longer to look at them all. */
#define MIN_ROWS 1000

#define CALIBRATION_QUERIES 100
#define CALIBRATION_NEIGHBOURS 10

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

static uint32
choose_lists(double rows)
{
	double lists;

	if (rows < MIN_ROWS)
		return 1;
	lists = rows <= 2e6 ? rows / VC_IVF_ROWS_PER_LIST : Max(4 * sqrt(rows), 4000);
	return (uint32) Max(1, Min(lists, VC_IVF_MAX_LISTS));
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
		*lists = choose_lists(rows);
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

/* ---- training ---- */

static void
kmeans_tick(void *arg, double done)
{
	CHECK_FOR_INTERRUPTS();
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, (int64) (done * 100));
}

/* Centroids of the sample; its rows are reordered. The number of lists may come down. */
static float *
train(Sample *sample, uint32 *lists)
{
	uint32	 padded = sample->ivf->rows.padded;
	VcKmeans params = {.dim = padded, .clusters = *lists, .iterations = ITERATIONS, .refinements = REFINEMENTS,
					   .seed = sample->ivf->meta.seed, .tick = kmeans_tick};
	Size	 workspace_bytes;
	void	*workspace;
	float	*centroids;

	workspace_bytes = vc_kmeans_workspace(&params, sample->count);
	if (workspace_bytes / 1024 > (Size) maintenance_work_mem)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("%u lists of %u dimensions do not fit into maintenance_work_mem", *lists,
							   sample->ivf->meta.dim),
						errhint("Raise maintenance_work_mem to %zu MB, or use fewer lists.",
								workspace_bytes / 1024 / 1024 * 2 + 1)));
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, VC_IVF_PHASE_KMEANS);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_TOTAL, 100);
	workspace = palloc_extended(workspace_bytes, MCXT_ALLOC_HUGE);
	centroids = palloc_extended(sizeof(float) * *lists * padded, MCXT_ALLOC_HUGE);
	*lists = vc_kmeans(&params, sample->rows, sample->count, centroids, workspace);
	pfree(workspace);
	return centroids;
}

/* ---- how many lists to probe ---- */

static int
compare_uint32(const void *a, const void *b)
{
	uint32 x = *(const uint32 *) a;
	uint32 y = *(const uint32 *) b;

	return x < y ? -1 : x > y;
}

/* A row of the sample as the metric compares it with another: smaller is nearer. */
static float
sample_distance(VcIvf *ivf, const float *a, const float *b)
{
	return ivf->metric->kind == VC_METRIC_IP ? -vc_kernels->ip_f32(a, b, ivf->rows.padded)
											 : vc_kernels->l2sq_f32(a, b, ivf->rows.padded);
}

/*
 * Measure, with rows of the sample as queries, how many lists must be probed to find a given share of the nearest rows. The
 * sample is thinner than the table, so that neighbours are farther apart in it and spread over more lists: the measure
 * errs on the side of more.
 */
static void
calibrate(Sample *sample, const float *centroids, uint32 lists)
{
	VcIvf  *ivf = sample->ivf;
	Size	padded = ivf->rows.padded;
	uint32	nqueries = Min(CALIBRATION_QUERIES, sample->count / 4);
	uint32	nranks = nqueries * CALIBRATION_NEIGHBOURS;
	uint32 *ranks;
	float  *panels;
	float  *half_norms;
	float  *scores;
	uint32 *list_of;
	float  *list_distance;

	for (int i = 0; i < VC_IVF_TARGETS; i++)
		ivf->meta.probes[i] = 1;
	if (lists < 2 || nqueries == 0)
		return;
	ranks = palloc(sizeof(uint32) * nranks);
	panels = palloc_extended(sizeof(float) * vc_panels_size(lists, padded), MCXT_ALLOC_HUGE);
	half_norms = palloc(sizeof(float) * vc_panels_norms_size(lists));
	scores = palloc_extended(sizeof(float) * sample->count, MCXT_ALLOC_HUGE);
	list_of = palloc_extended(sizeof(uint32) * sample->count, MCXT_ALLOC_HUGE);
	list_distance = palloc(sizeof(float) * lists);
	vc_panels_build(centroids, lists, padded, panels, half_norms);
	for (uint64 i = 0; i < sample->count; i += 1024)
	{
		vc_kernels->quant->nearest(sample->rows + i * padded, padded, Min(1024, sample->count - i), panels, half_norms,
								   vc_panels_norms_size(lists) / VC_PANEL, padded, scores + i, list_of + i);
		CHECK_FOR_INTERRUPTS();
	}
	for (uint32 q = 0; q < nqueries; q++)
	{
		const float *query = sample->rows + (sample->count / nqueries * q) * padded;
		float		 best[CALIBRATION_NEIGHBOURS];
		uint64		 found[CALIBRATION_NEIGHBOURS];
		int			 n = 0;

		CHECK_FOR_INTERRUPTS();
		for (uint64 i = 0; i < sample->count; i++)
		{
			const float *row = sample->rows + i * padded;
			float		 d;
			int			 at;

			if (row == query)
				continue;
			d = sample_distance(ivf, query, row);
			if (n == CALIBRATION_NEIGHBOURS && !(d < best[n - 1]))
				continue;
			at = n < CALIBRATION_NEIGHBOURS ? n++ : n - 1;
			for (; at > 0 && best[at - 1] > d; at--)
			{
				best[at] = best[at - 1];
				found[at] = found[at - 1];
			}
			best[at] = d;
			found[at] = i;
		}
		for (uint32 l = 0; l < lists; l++)
			list_distance[l] = sample_distance(ivf, query, centroids + l * padded);
		for (int i = 0; i < CALIBRATION_NEIGHBOURS; i++)
		{
			uint32 rank = 1;

			if (i < n)
				for (uint32 l = 0; l < lists; l++)
					rank += list_distance[l] < list_distance[list_of[found[i]]];
			ranks[q * CALIBRATION_NEIGHBOURS + i] = rank;
		}
	}
	qsort(ranks, nranks, sizeof(uint32), compare_uint32);
	for (int i = 0; i < VC_IVF_TARGETS; i++)
	{
		uint32 at = (uint32) ceil(vc_ivf_targets[i] * nranks) - 1;

		ivf->meta.probes[i] = Min(ranks[Min(at, nranks - 1)], PG_UINT16_MAX);
	}
	pfree(ranks);
	pfree(panels);
	pfree(half_norms);
	pfree(scores);
	pfree(list_of);
	pfree(list_distance);
}

/* ---- writing ---- */

/* Meta page, root and empty lists, for the centroids given. */
static void
write_lists(VcIvf *ivf, const float *centroids, uint32 lists)
{
	VcIvfShape	*shape = &ivf->root;
	uint32		 padded = shape->padded;
	double		*sum = palloc0(sizeof(double) * padded);
	float		*root_centre = palloc(sizeof(float) * padded);
	float		*residual = palloc(sizeof(float) * padded);
	VcIvfRow	 row;
	float		*centre;

	vc_ivf_row_alloc(ivf, shape, &row);
	centre = (float *) row.vector->data;
	vc_ivf_add_meta(ivf);
	for (uint32 l = 0; l < lists; l++)
		for (uint32 j = 0; j < padded; j++)
			sum[j] += centroids[(Size) l * padded + j];
	for (uint32 j = 0; j < padded; j++)
		root_centre[j] = (float) (sum[j] / lists);
	memcpy(centre, root_centre, sizeof(float) * padded);
	row.vector->scale = 1;
	ivf->meta.lists = lists;
	ivf->meta.centre = vc_ivf_new_vector(ivf, shape, row.vector);
	ivf->meta.root = vc_ivf_new_list(ivf, shape, VC_IVF_ROOT);
	for (uint32 l = 0; l < lists; l++)
	{
		BlockNumber head;

		CHECK_FOR_INTERRUPTS();
		memcpy(centre, centroids + (Size) l * padded, sizeof(float) * padded);
		head = vc_ivf_new_list(ivf, &ivf->rows, l);
		ItemPointerSet(&row.vector->tid, head, 1); /* a macro that evaluates its argument twice */
		for (uint32 j = 0; j < padded; j++)
			residual[j] = centre[j] - root_centre[j];
		vc_ivf_row_encode(ivf, shape, residual, root_centre, &row);
		vc_ivf_add_row(ivf, shape, ivf->meta.root, &row.vector->tid, &row);
	}
	vc_ivf_write_meta(ivf);
}

/* An index over no rows: one list, whose centroid is the origin. */
static void
write_untrained(VcIvf *ivf)
{
	float *origin = palloc0(sizeof(float) * ivf->rows.padded);

	for (int i = 0; i < VC_IVF_TARGETS; i++)
		ivf->meta.probes[i] = 1;
	ivf->meta.sample = 0;
	write_lists(ivf, origin, 1);
}

void
vc_ivf_build_row(Relation index, ItemPointer tid, Datum *values, bool *isnull, bool tuple_is_alive, void *arg)
{
	VcIvfBuilder *builder = arg;
	MemoryContext old;
	VcValue		  value;

	if (isnull[0])
		return;
	old = MemoryContextSwitchTo(builder->row_context);
	vc_metric_value(builder->ivf->metric, values[0], &value);
	vc_check_same_dims(builder->ivf->metric->type_name, builder->ivf->meta.dim, value.dim);
	builder->err += vc_ivf_insert_value(builder->inserter, tid, &value);
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
	if (sample.count < 2 || lists < 2)
		write_untrained(&ivf);
	else
	{
		float *centroids = train(&sample, &lists);

		ivf.meta.sample = (uint32) sample.count;
		calibrate(&sample, centroids, lists);
		write_lists(&ivf, centroids, lists);
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
	write_untrained(&ivf);
	log_newpage_range(index, INIT_FORKNUM, 0, RelationGetNumberOfBlocksInFork(index, INIT_FORKNUM), true);
}
