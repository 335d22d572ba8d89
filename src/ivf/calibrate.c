/*
 * calibrate.c
 *		How many lists searches should probe, measured on a build's sample. See calibrate.h.
 *
 * The nearest rows of each query are looked for in the sample a chunk at a time, and then those of all chunks are brought together; after
 * that, each query's ranks are a task of their own. Chunks are the same however many processes take part, and so is what comes out.
 */
#include "ivf/calibrate.h"

#include <math.h>

#include "kernels/vc_kernels.h"
#include "kernels/vc_quant.h"
#include "miscadmin.h"
#include "quantize/kmeans.h"

#define QUERIES 100
#define NEIGHBOURS 10
#define BATCH 96 /* whole tiles of every instruction set's kernel */
#define CHUNK (BATCH * 192) /* rows of a task: each starts without knowing how near the nearest are */
#define ROUNDING 1e-5 /* of a distance that comes from products, as a share of the squared lengths */
#define TILE 12 /* rows, of every instruction set's kernel */
StaticAssertDecl(NEIGHBOURS <= TILE, "the neighbours of a query fit into a tile");
#define THIN 8 /* one row in so many, to learn what conditions that few rows pass do */

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
	float  distance[NEIGHBOURS];
	uint64 row[NEIGHBOURS];
	int	   count;
} Nearest;

static inline void
note_row(Nearest *nearest, float distance, uint64 row)
{
	int at = nearest->count;

	if (at == NEIGHBOURS && !(distance < nearest->distance[at - 1]))
		return;
	if (at < NEIGHBOURS)
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

/* The queries of a calibration, laid out so that many rows are compared with all of them at once. */
typedef struct Queries
{
	uint32		 count;
	uint32		 padded; /* whole panels */
	const float *rows;
	uint64		 step; /* query q is row q * step of the sample */
	float		*panels;
	float		*half_norms; /* as the metric has it: zero for an inner product */
	float		*norms;		 /* squared lengths */
	float		*limits;	 /* a score from here on is of no row to note */
	float		*thin_limits;
	float		*scores; /* [BATCH][padded] */
	Nearest		*nearest; /* [count], of the chunk at hand */
	Nearest		*thin;	  /* among one row in THIN */
} Queries;

static void
queries_init(VcIvf *ivf, Queries *queries, const float *rows, uint64 count)
{
	Size   padded = ivf->rows.padded;
	uint32 n = Min(QUERIES, count / 4);
	float *copies = palloc_extended(sizeof(float) * padded * n, MCXT_ALLOC_HUGE);

	queries->count = n;
	queries->padded = vc_panels_norms_size(n);
	queries->rows = rows;
	queries->step = count / n;
	queries->panels = palloc_extended(sizeof(float) * vc_panels_size(n, padded), MCXT_ALLOC_HUGE);
	queries->half_norms = palloc(sizeof(float) * queries->padded);
	queries->norms = palloc0(sizeof(float) * queries->padded);
	queries->limits = palloc(sizeof(float) * queries->padded);
	queries->thin_limits = palloc(sizeof(float) * queries->padded);
	queries->scores = palloc(sizeof(float) * BATCH * queries->padded);
	for (uint32 q = 0; q < n; q++)
		memcpy(copies + q * padded, rows + q * queries->step * padded, sizeof(float) * padded);
	vc_panels_build(copies, n, padded, queries->panels, queries->half_norms);
	for (uint32 q = 0; q < queries->padded; q++)
	{
		if (q < n)
			queries->norms[q] = 2 * queries->half_norms[q];
		if (q < n && ivf->metric->kind == VC_METRIC_IP)
			queries->half_norms[q] = 0;
	}
	pfree(copies);
}

/* The score from which on a row is not among the nearest, but for what depends on the row. */
static float
score_limit(VcIvf *ivf, const Nearest *nearest, float query_norm)
{
	float farthest = nearest->distance[NEIGHBOURS - 1];

	if (nearest->count < NEIGHBOURS)
		return INFINITY;
	if (ivf->metric->kind != VC_METRIC_IP)
		farthest /= 2;
	return farthest + (float) ROUNDING * query_norm;
}

/* Compare a row, whose scores are given, with the queries that it may be near to. Scores leave room for rounding; distances decide. */
static void
compare_with_queries(VcIvf *ivf, Queries *queries, uint64 at, const float *scores)
{
	Size		 padded = ivf->rows.padded;
	const float *row = queries->rows + at * padded;
	const float *limits = at % THIN == 0 ? queries->thin_limits : queries->limits;
	float		 norm = vc_kernels->norm2_f32(row, padded);
	float		 beyond = (float) ROUNDING * norm - (ivf->metric->kind == VC_METRIC_IP ? 0 : norm / 2);
	int			 near = 0;

	for (uint32 q = 0; q < queries->padded; q++)
		near |= scores[q] < limits[q] + beyond;
	if (near == 0)
		return;
	for (uint32 q = 0; q < queries->count; q++)
	{
		float distance;

		if (!(scores[q] < limits[q] + beyond) || at == q * queries->step)
			continue;
		distance = sample_distance(ivf, queries->rows + q * queries->step * padded, row);
		note_row(&queries->nearest[q], distance, at);
		queries->limits[q] = score_limit(ivf, &queries->nearest[q], queries->norms[q]);
		if (at % THIN == 0)
		{
			note_row(&queries->thin[q], distance, at);
			queries->thin_limits[q] = score_limit(ivf, &queries->thin[q], queries->norms[q]);
		}
	}
}

/* What is found: memory that all who take part see. */
typedef struct Found
{
	uint32	ranks[2][QUERIES * NEIGHBOURS]; /* of the nearest rows, and of the nearest among one row in THIN */
	Nearest nearest[FLEXIBLE_ARRAY_MEMBER][2][QUERIES]; /* of each chunk; then of all in the first */
} Found;

struct VcIvfCalibration
{
	VcIvf		*ivf;
	const float *rows;
	uint64		 count;
	const float *centroids;
	uint32		 lists;
	Found		*found;
	Queries		 queries;

	float *panels; /* of the centroids; null until they are needed */
	float *half_norms;
	float *list_distance;
};

static uint32
chunks(uint64 count)
{
	return (uint32) ((count + CHUNK - 1) / CHUNK);
}

Size
vc_ivf_calibration_size(uint64 count)
{
	return add_size(offsetof(Found, nearest), mul_size(chunks(count), 2 * QUERIES * sizeof(Nearest)));
}

VcIvfCalibration *
vc_ivf_calibration_new(VcIvf *ivf, const float *rows, uint64 count, const float *centroids, uint32 lists, void *found)
{
	VcIvfCalibration *calibration = palloc0(sizeof(VcIvfCalibration));

	calibration->ivf = ivf;
	calibration->rows = rows;
	calibration->count = count;
	calibration->centroids = centroids;
	calibration->lists = lists;
	calibration->found = found;
	queries_init(ivf, &calibration->queries, rows, count);
	return calibration;
}

/* Find the nearest rows of each query in a chunk: some rows at a time against all queries. */
static void
find_nearest(VcIvfCalibration *calibration, uint32 chunk)
{
	VcIvf	*ivf = calibration->ivf;
	Queries *queries = &calibration->queries;
	Size	 padded = ivf->rows.padded;
	uint64	 end = Min(calibration->count, (uint64) (chunk + 1) * CHUNK);

	queries->nearest = calibration->found->nearest[chunk][0];
	queries->thin = calibration->found->nearest[chunk][1];
	memset(calibration->found->nearest[chunk], 0, sizeof(calibration->found->nearest[chunk]));
	for (uint32 q = 0; q < queries->padded; q++)
		queries->limits[q] = queries->thin_limits[q] = q < queries->count ? INFINITY : -INFINITY;
	for (uint64 first = (uint64) chunk * CHUNK; first < end; first += BATCH)
	{
		uint64 batch = Min(BATCH, end - first);

		CHECK_FOR_INTERRUPTS();
		vc_kernels->quant->panel_scores(queries->rows + first * padded, padded, batch, queries->panels, queries->half_norms,
										queries->padded / VC_PANEL, padded, queries->scores);
		for (uint64 i = 0; i < batch; i++)
			compare_with_queries(ivf, queries, first + i, queries->scores + i * queries->padded);
	}
}

/* The nearest rows of all chunks, in the place of those of the first. */
static void
bring_together(VcIvfCalibration *calibration)
{
	Found *found = calibration->found;

	for (uint32 chunk = 1; chunk < chunks(calibration->count); chunk++)
		for (uint32 thin = 0; thin < 2; thin++)
			for (uint32 q = 0; q < calibration->queries.count; q++)
			{
				const Nearest *more = &found->nearest[chunk][thin][q];

				for (int i = 0; i < more->count; i++)
					note_row(&found->nearest[0][thin][q], more->distance[i], more->row[i]);
			}
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
note_ranks(VcIvfCalibration *calibration, const Nearest *nearest, uint32 *ranks)
{
	VcIvf		*ivf = calibration->ivf;
	Size		 padded = ivf->rows.padded;
	const float *rows = calibration->rows;
	const float *list_distance = calibration->list_distance;
	uint32		 lists = calibration->lists;
	float		*together = palloc0(sizeof(float) * padded * TILE);
	float		 score[TILE];
	uint32		 list_of[TILE];

	/* A whole tile of rows takes hardly longer than one. */
	for (int i = 0; i < nearest->count; i++)
		memcpy(together + i * padded, rows + nearest->row[i] * padded, sizeof(float) * padded);
	vc_kernels->quant->nearest(together, padded, TILE, calibration->panels, calibration->half_norms,
							   vc_panels_norms_size(lists) / VC_PANEL, padded, score, list_of);
	pfree(together);
	for (int i = 0; i < NEIGHBOURS; i++)
	{
		uint32 list = list_of[i];

		ranks[i] = 1;
		if (i >= nearest->count)
			continue;
		if (ivf->meta.spill && lists <= VC_IVF_MAX_FLAT)
		{
			uint32 second = spill_list(ivf, rows + nearest->row[i] * padded, list, calibration->centroids, lists);

			if (list_distance[second] < list_distance[list])
				list = second;
		}
		for (uint32 l = 0; l < lists; l++)
			ranks[i] += list_distance[l] < list_distance[list];
	}
}

static void
rank_lists(VcIvfCalibration *calibration, uint32 q)
{
	VcIvf		*ivf = calibration->ivf;
	Size		 padded = ivf->rows.padded;
	uint32		 lists = calibration->lists;
	const float *query = calibration->rows + q * calibration->queries.step * padded;

	CHECK_FOR_INTERRUPTS();
	if (calibration->panels == NULL)
	{
		calibration->panels = palloc_extended(sizeof(float) * vc_panels_size(lists, padded), MCXT_ALLOC_HUGE);
		calibration->half_norms = palloc(sizeof(float) * vc_panels_norms_size(lists));
		calibration->list_distance = palloc(sizeof(float) * lists);
		vc_panels_build(calibration->centroids, lists, padded, calibration->panels, calibration->half_norms);
	}
	for (uint32 l = 0; l < lists; l++)
		calibration->list_distance[l] = sample_distance(ivf, query, calibration->centroids + l * padded);
	for (uint32 thin = 0; thin < 2; thin++)
		note_ranks(calibration, &calibration->found->nearest[0][thin][q], calibration->found->ranks[thin] + q * NEIGHBOURS);
}

void
vc_ivf_calibration_task(VcIvfCalibration *calibration, VcIvfJob job, uint32 task)
{
	if (job == VC_IVF_JOB_NEAREST)
		find_nearest(calibration, task);
	else
		rank_lists(calibration, task);
}

static uint32
quantile(const uint32 *ranks, uint32 n, double share)
{
	return ranks[Min((uint32) ceil(share * n) - 1, n - 1)];
}

void
vc_ivf_calibrate(VcIvfCalibration *calibration, void (*run)(void *arg, VcIvfJob job, uint32 tasks), void *arg)
{
	VcIvfMeta *meta = &calibration->ivf->meta;
	uint32	   nranks = calibration->queries.count * NEIGHBOURS;
	uint32	  *ranks = calibration->found->ranks[0];
	uint32	  *thin_ranks = calibration->found->ranks[1];
	double	   growth = 0;

	run(arg, VC_IVF_JOB_NEAREST, chunks(calibration->count));
	bring_together(calibration);
	run(arg, VC_IVF_JOB_RANKS, calibration->queries.count);
	qsort(ranks, nranks, sizeof(uint32), compare_uint32);
	qsort(thin_ranks, nranks, sizeof(uint32), compare_uint32);
	for (int i = 0; i < VC_IVF_TARGETS; i++)
	{
		meta->probes[i] = Min(quantile(ranks, nranks, vc_ivf_targets[i]), PG_UINT16_MAX);
		growth += log((double) quantile(thin_ranks, nranks, vc_ivf_targets[i]) / quantile(ranks, nranks, vc_ivf_targets[i]));
	}
	meta->thin_growth = (float) Max(0, Min(growth / VC_IVF_TARGETS / log(THIN), 1));
}
