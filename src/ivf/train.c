/*
 * train.c
 *		From a sample of rows to an index's lists: centroids, how many lists a search should probe, the empty lists.
 */
#include "ivf/train.h"

#include <math.h>

#include "commands/progress.h"
#include "kernels/vc_kernels.h"
#include "kernels/vc_quant.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "quantize/kmeans.h"

#define ITERATIONS 6
#define REFINEMENTS 1

/* Fewer rows than this are one list: it takes no longer to look at them all. */
#define MIN_ROWS 1000

#define CALIBRATION_QUERIES 100
#define CALIBRATION_NEIGHBOURS 10
#define THIN 8 /* one row in so many, to learn what conditions that few rows pass do */

uint32
vc_ivf_choose_lists(double rows)
{
	double lists;

	if (rows < MIN_ROWS)
		return 1;
	lists = rows <= 2e6 ? rows / VC_IVF_ROWS_PER_LIST : Max(4 * sqrt(rows), 4000);
	return (uint32) Max(1, Min(lists, VC_IVF_MAX_LISTS));
}

/* ---- training ---- */

static void
kmeans_tick(void *arg, double done)
{
	CHECK_FOR_INTERRUPTS();
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, (int64) (done * 100));
}

float *
vc_ivf_train(VcIvf *ivf, float *rows, uint64 count, uint32 *lists)
{
	uint32	 padded = ivf->rows.padded;
	VcKmeans params = {.dim = padded, .clusters = *lists, .iterations = ITERATIONS, .refinements = REFINEMENTS,
					   .seed = ivf->meta.seed, .tick = kmeans_tick};
	Size	 workspace_bytes;
	void	*workspace;
	float	*centroids;

	workspace_bytes = vc_kmeans_workspace(&params, count);
	if (workspace_bytes / 1024 > (Size) maintenance_work_mem)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("%u lists of %u dimensions do not fit into maintenance_work_mem", *lists,
							   ivf->meta.dim),
						errhint("Raise maintenance_work_mem to %zu MB, or use fewer lists.",
								workspace_bytes / 1024 / 1024 * 2 + 1)));
	workspace = palloc_extended(workspace_bytes, MCXT_ALLOC_HUGE);
	centroids = palloc_extended(sizeof(float) * *lists * padded, MCXT_ALLOC_HUGE);
	*lists = vc_kmeans(&params, rows, count, centroids, workspace);
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

/* The nearest rows seen so far, in order. */
typedef struct Nearest
{
	float  distance[CALIBRATION_NEIGHBOURS];
	uint64 row[CALIBRATION_NEIGHBOURS];
	int	   count;
} Nearest;

static inline void
note_row(Nearest *nearest, float distance, uint64 row)
{
	int at = nearest->count;

	if (at == CALIBRATION_NEIGHBOURS && !(distance < nearest->distance[at - 1]))
		return;
	if (at < CALIBRATION_NEIGHBOURS)
		nearest->count++;
	else
		at--;
	for (; at > 0 && nearest->distance[at - 1] > distance; at--)
	{
		nearest->distance[at] = nearest->distance[at - 1];
		nearest->row[at] = nearest->row[at - 1];
	}
	nearest->distance[at] = distance;
	nearest->row[at] = row;
}

/* How many lists must be probed for each of the rows to be found. */
static void
note_ranks(const Nearest *nearest, const uint32 *list_of, const float *list_distance, uint32 lists, uint32 *ranks)
{
	for (int i = 0; i < CALIBRATION_NEIGHBOURS; i++)
	{
		ranks[i] = 1;
		if (i < nearest->count)
			for (uint32 l = 0; l < lists; l++)
				ranks[i] += list_distance[l] < list_distance[list_of[nearest->row[i]]];
	}
}

static uint32
quantile(const uint32 *ranks, uint32 n, double share)
{
	return ranks[Min((uint32) ceil(share * n) - 1, n - 1)];
}

void
vc_ivf_calibrate(VcIvf *ivf, const float *rows, uint64 count, const float *centroids, uint32 lists)
{
	Size	padded = ivf->rows.padded;
	uint32	nqueries = Min(CALIBRATION_QUERIES, count / 4);
	uint32	nranks = nqueries * CALIBRATION_NEIGHBOURS;
	uint32 *ranks;
	uint32 *thin_ranks; /* of the nearest among one row in THIN */
	double	growth = 0;
	float  *panels;
	float  *half_norms;
	float  *scores;
	uint32 *list_of;
	float  *list_distance;

	for (int i = 0; i < VC_IVF_TARGETS; i++)
		ivf->meta.probes[i] = 1;
	ivf->meta.thin_growth = 0;
	if (lists < 2 || nqueries == 0)
		return;
	ranks = palloc(sizeof(uint32) * nranks);
	thin_ranks = palloc(sizeof(uint32) * nranks);
	panels = palloc_extended(sizeof(float) * vc_panels_size(lists, padded), MCXT_ALLOC_HUGE);
	half_norms = palloc(sizeof(float) * vc_panels_norms_size(lists));
	scores = palloc_extended(sizeof(float) * count, MCXT_ALLOC_HUGE);
	list_of = palloc_extended(sizeof(uint32) * count, MCXT_ALLOC_HUGE);
	list_distance = palloc(sizeof(float) * lists);
	vc_panels_build(centroids, lists, padded, panels, half_norms);
	for (uint64 i = 0; i < count; i += 1024)
	{
		vc_kernels->quant->nearest(rows + i * padded, padded, Min(1024, count - i), panels, half_norms,
								   vc_panels_norms_size(lists) / VC_PANEL, padded, scores + i, list_of + i);
		CHECK_FOR_INTERRUPTS();
	}
	for (uint32 q = 0; q < nqueries; q++)
	{
		const float *query = rows + (count / nqueries * q) * padded;
		Nearest		 nearest = {.count = 0};
		Nearest		 thin = {.count = 0};

		CHECK_FOR_INTERRUPTS();
		for (uint64 i = 0; i < count; i++)
		{
			const float *row = rows + i * padded;
			float		 distance;

			if (row == query)
				continue;
			distance = sample_distance(ivf, query, row);
			note_row(&nearest, distance, i);
			if (i % THIN == 0)
				note_row(&thin, distance, i);
		}
		for (uint32 l = 0; l < lists; l++)
			list_distance[l] = sample_distance(ivf, query, centroids + l * padded);
		note_ranks(&nearest, list_of, list_distance, lists, ranks + q * CALIBRATION_NEIGHBOURS);
		note_ranks(&thin, list_of, list_distance, lists, thin_ranks + q * CALIBRATION_NEIGHBOURS);
	}
	qsort(ranks, nranks, sizeof(uint32), compare_uint32);
	qsort(thin_ranks, nranks, sizeof(uint32), compare_uint32);
	for (int i = 0; i < VC_IVF_TARGETS; i++)
	{
		ivf->meta.probes[i] = Min(quantile(ranks, nranks, vc_ivf_targets[i]), PG_UINT16_MAX);
		growth += log((double) quantile(thin_ranks, nranks, vc_ivf_targets[i]) / quantile(ranks, nranks, vc_ivf_targets[i]));
	}
	ivf->meta.thin_growth = (float) Max(0, Min(growth / VC_IVF_TARGETS / log(THIN), 1));
	pfree(ranks);
	pfree(thin_ranks);
	pfree(panels);
	pfree(half_norms);
	pfree(scores);
	pfree(list_of);
	pfree(list_distance);
}

/* ---- writing ---- */

void
vc_ivf_write_lists(VcIvf *ivf, const float *centroids, uint32 lists)
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
}
