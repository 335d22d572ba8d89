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
#define CALIBRATION_BATCH 32
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

/* The list of a row's second copy, as vc_ivf_frontier_spill finds it. */
static uint32
spill_list(VcIvf *ivf, const float *row, uint32 nearest, const float *centroids, uint32 lists)
{
	Size		 padded = ivf->rows.padded;
	const float *centroid = centroids + nearest * padded;
	float		*residual = palloc(sizeof(float) * padded);
	float		 squared_residual;
	float		 row_along;
	float		 best = INFINITY;
	uint32		 list = nearest;

	for (uint32 j = 0; j < padded; j++)
		residual[j] = row[j] - centroid[j];
	squared_residual = vc_kernels->norm2_f32(residual, padded);
	row_along = vc_kernels->ip_f32(row, residual, padded);
	for (uint32 l = 0; l < lists; l++)
	{
		const float *other = centroids + l * padded;
		float		 squared = vc_kernels->l2sq_f32(row, other, padded);

		if (l != nearest && squared < best)
		{
			float loss = vc_ivf_spill_loss(squared, row_along - vc_kernels->ip_f32(other, residual, padded), squared_residual);

			if (loss < best)
			{
				best = loss;
				list = l;
			}
		}
	}
	pfree(residual);
	return list;
}

/* How many lists must be probed for each of the rows to be found; a row is in the list whose centroid is nearest. */
static void
note_ranks(VcIvf *ivf, const Nearest *nearest, const float *rows, const float *centroids, const float *panels, const float *half_norms,
		   const float *list_distance, uint32 lists, uint32 *ranks)
{
	Size padded = ivf->rows.padded;

	for (int i = 0; i < CALIBRATION_NEIGHBOURS; i++)
	{
		float  score;
		uint32 list;

		ranks[i] = 1;
		if (i >= nearest->count)
			continue;
		vc_kernels->quant->nearest(rows + nearest->row[i] * padded, padded, 1, panels, half_norms,
								   vc_panels_norms_size(lists) / VC_PANEL, padded, &score, &list);
		if (ivf->meta.spill && lists <= VC_IVF_MAX_FLAT)
		{
			uint32 second = spill_list(ivf, rows + nearest->row[i] * padded, list, centroids, lists);

			if (list_distance[second] < list_distance[list])
				list = second;
		}
		for (uint32 l = 0; l < lists; l++)
			ranks[i] += list_distance[l] < list_distance[list];
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
	float  *list_distance;
	Nearest *nearest;
	Nearest *thin;

	for (int i = 0; i < VC_IVF_TARGETS; i++)
		ivf->meta.probes[i] = 1;
	ivf->meta.thin_growth = 0;
	if (lists < 2 || nqueries == 0)
		return;
	ranks = palloc(sizeof(uint32) * nranks);
	thin_ranks = palloc(sizeof(uint32) * nranks);
	panels = palloc_extended(sizeof(float) * vc_panels_size(lists, padded), MCXT_ALLOC_HUGE);
	half_norms = palloc(sizeof(float) * vc_panels_norms_size(lists));
	list_distance = palloc(sizeof(float) * lists);
	vc_panels_build(centroids, lists, padded, panels, half_norms);
	nearest = palloc0(sizeof(Nearest) * nqueries);
	thin = palloc0(sizeof(Nearest) * nqueries);

	/* Some rows at a time against all queries, so that memory is read once. */
	for (uint64 first = 0; first < count; first += CALIBRATION_BATCH)
	{
		CHECK_FOR_INTERRUPTS();
		for (uint32 q = 0; q < nqueries; q++)
			for (uint64 i = first; i < Min(first + CALIBRATION_BATCH, count); i++)
			{
				float distance;

				if (i == count / nqueries * q)
					continue;
				distance = sample_distance(ivf, rows + count / nqueries * q * padded, rows + i * padded);
				note_row(&nearest[q], distance, i);
				if (i % THIN == 0)
					note_row(&thin[q], distance, i);
			}
	}
	for (uint32 q = 0; q < nqueries; q++)
	{
		const float *query = rows + (count / nqueries * q) * padded;

		for (uint32 l = 0; l < lists; l++)
			list_distance[l] = sample_distance(ivf, query, centroids + l * padded);
		note_ranks(ivf, &nearest[q], rows, centroids, panels, half_norms, list_distance, lists,
				   ranks + q * CALIBRATION_NEIGHBOURS);
		note_ranks(ivf, &thin[q], rows, centroids, panels, half_norms, list_distance, lists,
				   thin_ranks + q * CALIBRATION_NEIGHBOURS);
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
	pfree(list_distance);
	pfree(nearest);
	pfree(thin);
}

/* ---- writing ---- */

/* A chain of the root that is being written: its centre, and room for a row. */
typedef struct RootChain
{
	BlockNumber	 head;
	const float *centre;
	VcIvfRow	*row;
	float		*residual;
} RootChain;

/* Add a row to a chain: a centroid, and what it is the centroid of. */
static void
add_centroid(VcIvf *ivf, RootChain *chain, const float *centroid, BlockNumber of)
{
	VcIvfRow *row = chain->row;
	uint32	  padded = ivf->root.padded;

	CHECK_FOR_INTERRUPTS();
	memcpy(row->vector->data, centroid, sizeof(float) * padded);
	row->vector->scale = 1;
	ItemPointerSet(&row->vector->tid, of, 1);
	for (uint32 j = 0; j < padded; j++)
		chain->residual[j] = centroid[j] - chain->centre[j];
	vc_ivf_row_encode(ivf, &ivf->root, chain->residual, chain->centre, row);
	vc_ivf_add_row(ivf, &ivf->root, chain->head, &row->vector->tid, row);
}

/* Add an empty list to a chain. */
static void
add_list(VcIvf *ivf, RootChain *chain, const float *centroid, uint32 number)
{
	add_centroid(ivf, chain, centroid, vc_ivf_new_list(ivf, &ivf->rows, number));
}

#define SAMPLE_PER_BRANCH 32
#define ASSIGN_BATCH 256

static void
branches_tick(void *arg, double done)
{
	CHECK_FOR_INTERRUPTS();
}

float *
vc_ivf_cut_lists(VcIvf *ivf, const float *centroids, uint32 lists, uint32 *branches, uint32 *branch_of)
{
	Size	 padded = ivf->root.padded;
	VcKmeans params = {.dim = padded, .clusters = (uint32) sqrt(lists), .iterations = ITERATIONS, .seed = ivf->meta.seed, .tick = branches_tick};
	uint32	 count = Min(lists, SAMPLE_PER_BRANCH * params.clusters);
	float	*sample = palloc_extended(sizeof(float) * padded * count, MCXT_ALLOC_HUGE);
	float	*found = palloc_extended(sizeof(float) * padded * params.clusters, MCXT_ALLOC_HUGE);
	void	*workspace = palloc_extended(vc_kmeans_workspace(&params, count), MCXT_ALLOC_HUGE);
	float	*scores = palloc(sizeof(float) * lists);
	float	*panels;
	float	*half_norms;

	for (uint32 i = 0; i < count; i++)
		memcpy(sample + (Size) i * padded, centroids + (Size) ((uint64) i * lists / count) * padded, sizeof(float) * padded);
	*branches = vc_kmeans(&params, sample, count, found, workspace);
	panels = palloc_extended(sizeof(float) * vc_panels_size(*branches, padded), MCXT_ALLOC_HUGE);
	half_norms = palloc(sizeof(float) * vc_panels_norms_size(*branches));
	vc_panels_build(found, *branches, padded, panels, half_norms);
	for (uint32 i = 0; i < lists; i += ASSIGN_BATCH)
	{
		CHECK_FOR_INTERRUPTS();
		vc_kernels->quant->nearest(centroids + i * padded, padded, Min(ASSIGN_BATCH, lists - i), panels, half_norms,
								   vc_panels_norms_size(*branches) / VC_PANEL, padded, scores + i, branch_of + i);
	}
	pfree(sample);
	pfree(workspace);
	pfree(scores);
	pfree(panels);
	pfree(half_norms);
	return found;
}

void
vc_ivf_write_lists(VcIvf *ivf, const float *centroids, uint32 lists)
{
	VcIvfShape *shape = &ivf->root;
	Size		padded = shape->padded;
	double	   *sum = palloc0(sizeof(double) * padded);
	float	   *centre = palloc(sizeof(float) * padded);
	VcIvfRow	row;
	RootChain	root = {.centre = centre, .row = &row, .residual = palloc(sizeof(float) * padded)};

	vc_ivf_row_alloc(ivf, shape, &row);
	for (uint32 l = 0; l < lists; l++)
		for (uint32 j = 0; j < padded; j++)
			sum[j] += centroids[l * padded + j];
	for (uint32 j = 0; j < padded; j++)
		centre[j] = (float) (sum[j] / lists);
	memcpy(row.vector->data, centre, sizeof(float) * padded);
	row.vector->scale = 1;
	ivf->meta.lists = lists;
	ivf->meta.branches = 0;
	ivf->meta.centre = vc_ivf_new_vector(ivf, shape, row.vector);
	ivf->meta.root = root.head = vc_ivf_new_list(ivf, shape, VC_IVF_ROOT);
	if (lists <= VC_IVF_MAX_FLAT)
	{
		for (uint32 l = 0; l < lists; l++)
			add_list(ivf, &root, centroids + l * padded, l);
	}
	else
	{
		uint32 *branch_of = palloc(sizeof(uint32) * lists);
		uint32	branches;
		float  *branch_centroids = vc_ivf_cut_lists(ivf, centroids, lists, &branches, branch_of);
		uint32	number = 0;

		for (uint32 b = 0; b < branches; b++)
		{
			RootChain branch = root;

			branch.head = InvalidBlockNumber;
			branch.centre = branch_centroids + b * padded;
			for (uint32 l = 0; l < lists; l++)
				if (branch_of[l] == b)
				{
					if (branch.head == InvalidBlockNumber)
						branch.head = vc_ivf_new_list(ivf, shape, VC_IVF_ROOT);
					add_list(ivf, &branch, centroids + l * padded, number++);
				}
			if (branch.head == InvalidBlockNumber)
				continue;
			add_centroid(ivf, &root, branch.centre, branch.head);
			ivf->meta.branches++;
		}
		Assert(number == lists);
	}
}
