/*
 * kmeans.c
 *		See kmeans.h.
 */
#include "quantize/kmeans.h"

#include <math.h>
#include <string.h>

#include "kernels/vc_kernels.h"
#include "kernels/vc_quant.h"
#include "quantize/nearest.h"
#include "quantize/random.h"

/* Multiplications between two calls of the tick function: a few milliseconds on a slow CPU. */
#define TICK_WORK 4.0e6

/* Rows of the sample for each part of the first level, which is a rough cut. */
#define ROWS_PER_PART 256

/* Rows between two calls of the tick function where rows are compared with some parts only. */
#define TICK_ROWS 2048

/* Rows between two of them otherwise, at most: whole tiles of every instruction set's `nearest`. */
#define BATCH_ROWS 4092

/* What is done by tasks. */
typedef enum Job
{
	JOB_CUT,	/* rows of a block get their part */
	JOB_PARTS,	/* a part gets its clusters */
	JOB_ASSIGN, /* rows of a block get their cluster among all */
	JOB_MEANS	/* some clusters get their means */
} Job;

#define BLOCK_ROWS (2 * TICK_ROWS)
#define MEANS_TASKS 16 /* where there are helpers: each looks at the clusters of all rows */

/* What all who take part see of the work; at the start of the workspace. */
typedef struct Shared
{
	Job job;
	uint32_t serial;	/* of the job: who has prepared for another has to do so again */
	uint32_t parts;		/* that clusters are in */
	uint32_t made;		/* clusters */
	uint32_t tasks;
	uint64_t work_done; /* in multiplications; atomic */
	double work_total;
} Shared;

/* The parts of the workspace, and of the memory of one who takes part. */
struct VcKmeansHelper
{
	const VcKmeans *params;
	float *rows;
	size_t nrows;
	float *centroids;

	Shared *shared;
	uint32_t *part;	  /* [nrows]: cluster of each row */
	uint32_t *next;	  /* [nrows]: the same for the round at hand */
	float *coarse;	  /* [parts][dim] */
	uint32_t *bounds; /* [parts + 1]: rows of each part, after reordering */
	uint32_t *first;  /* [parts + 1]: clusters of each part */
	uint32_t *home;	  /* [clusters]: the part of each */

	uint64_t random;
	uint32_t prepared; /* serial of the job that the next are made for */
	float *panels;
	float *half_norms;
	double *sums;		/* [most clusters in one run][dim] */
	uint32_t *counts;	/* [clusters] */
	float *score;		/* [BATCH_ROWS] */
	char *memory;		/* for: */
	VcNearest *nearest; /* comparing with some parts only */
};

typedef VcKmeansHelper State;

size_t
vc_panels_size(size_t n, uint32_t dim)
{
	return (n + VC_PANEL - 1) / VC_PANEL * VC_PANEL * dim;
}

size_t
vc_panels_norms_size(size_t n)
{
	return (n + VC_PANEL - 1) / VC_PANEL * VC_PANEL;
}

void
vc_panels_build(const float *centroids, size_t n, uint32_t dim, float *panels, float *half_norms)
{
	size_t padded = vc_panels_norms_size(n);

	for (size_t c = 0; c < padded; c++)
	{
		float *column = panels + c / VC_PANEL * VC_PANEL * dim + c % VC_PANEL;

		half_norms[c] = c < n ? vc_kernels->norm2_f32(centroids + c * dim, dim) / 2 : INFINITY;
		for (uint32_t j = 0; j < dim; j++)
			column[(size_t) j * VC_PANEL] = c < n ? centroids[c * dim + j] : 0.0f;
	}
}

/* Parts of the first level; 1 where one level is enough. */
static uint32_t
coarse_parts(const VcKmeans *params, size_t nrows)
{
	if (params->clusters <= VC_KMEANS_FLAT || nrows <= params->clusters)
		return 1;
	return (uint32_t) lround(sqrt(params->clusters));
}

/* Adds room for n items of `size` bytes, aligned to a cache line; sticks at SIZE_MAX on overflow. */
static void
reserve(size_t *total, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes) || __builtin_add_overflow(*total, bytes, total) ||
		__builtin_add_overflow(*total, 63, total))
		*total = SIZE_MAX;
	else
		*total &= ~(size_t) 63;
}

#define PLACE(member, n) \
	do \
	{ \
		if (base != NULL) \
			state->member = (void *) (base + total); \
		reserve(&total, n, sizeof(*state->member)); \
	} while (0)

/* Lays out what all share: sizes alone where base is null. */
static size_t
lay_out_shared(State *state, const VcKmeans *params, size_t nrows, char *base)
{
	size_t most = params->clusters;
	uint32_t parts = coarse_parts(params, nrows);
	size_t total = 0;

	if (most > SIZE_MAX / 64 / ((size_t) params->dim + 1) || nrows > SIZE_MAX / 64)
		return SIZE_MAX;
	PLACE(shared, 1);
	PLACE(part, nrows);
	PLACE(next, nrows);
	PLACE(coarse, (size_t) parts * params->dim);
	PLACE(bounds, (size_t) parts + 1);
	PLACE(first, (size_t) parts + 1);
	PLACE(home, most);
	return total;
}

/* Lays out what each has of its own. */
static size_t
lay_out_own(State *state, const VcKmeans *params, size_t nrows, char *base)
{
	size_t dim = params->dim;
	size_t most = params->clusters;
	uint32_t parts = coarse_parts(params, nrows);
	size_t total = 0;

	if (most > SIZE_MAX / 64 / (dim + 1))
		return SIZE_MAX;
	PLACE(panels, vc_panels_size(most, (uint32_t) dim));
	PLACE(half_norms, vc_panels_norms_size(most));
	PLACE(sums, most * dim);
	PLACE(counts, most);
	PLACE(score, BATCH_ROWS);
	PLACE(memory, parts > 1 && vc_nearest_pays(params->clusters) ? vc_nearest_size((uint32_t) dim, (uint32_t) most, parts) : 0);
	return total;
}
#undef PLACE

static char *
aligned(void *memory)
{
	return (char *) (((uintptr_t) memory + 63) & ~(uintptr_t) 63);
}

static size_t
with_room_to_align(size_t size)
{
	return size > SIZE_MAX - 64 ? SIZE_MAX : size + 64;
}

size_t
vc_kmeans_shared_size(const VcKmeans *params, size_t nrows)
{
	State state;

	return with_room_to_align(lay_out_shared(&state, params, nrows, NULL));
}

size_t
vc_kmeans_helper_size(const VcKmeans *params, size_t nrows)
{
	State state;
	size_t total = lay_out_own(&state, params, nrows, NULL);

	reserve(&total, 1, sizeof(State));
	return with_room_to_align(total);
}

size_t
vc_kmeans_workspace(const VcKmeans *params, size_t nrows)
{
	size_t total = vc_kmeans_shared_size(params, nrows);

	reserve(&total, vc_kmeans_helper_size(params, nrows), 1);
	return total;
}

VcKmeansHelper *
vc_kmeans_helper(const VcKmeans *params, float *rows, size_t nrows, float *centroids, void *shared, void *memory)
{
	State *state = (State *) aligned(memory);

	memset(state, 0, sizeof(*state));
	state->params = params;
	state->rows = rows;
	state->nrows = nrows;
	state->centroids = centroids;
	lay_out_shared(state, params, nrows, aligned(shared));
	lay_out_own(state, params, nrows, aligned(state + 1));
	return state;
}

static void
advance(State *state, double work)
{
	double total = state->shared->work_total;
	double done = (double) __atomic_add_fetch(&state->shared->work_done, (uint64_t) work, __ATOMIC_RELAXED);

	if (state->params->tick != NULL)
		state->params->tick(state->params->arg, done < total ? done / total : 1.0);
}

/* Make the panels of k centroids. */
static void
prepare(State *state, const float *centroids, uint32_t k)
{
	vc_panels_build(centroids, k, state->params->dim, state->panels, state->half_norms);
}

/* next[i] = the nearest of k centroids, of which there are panels, for each of n rows. */
static void
assign_prepared(State *state, const float *rows, size_t n, uint32_t k, uint32_t *next)
{
	uint32_t dim = state->params->dim;
	size_t npanels = vc_panels_norms_size(k) / VC_PANEL;
	double row_work = (double) npanels * VC_PANEL * dim;
	size_t batch = row_work >= TICK_WORK ? 1 : (size_t) (TICK_WORK / row_work);

	batch = (batch + 11) / 12 * 12; /* whole tiles of every instruction set's `nearest` */
	batch = batch < BATCH_ROWS ? batch : BATCH_ROWS;
	for (size_t i = 0; i < n; i += batch)
	{
		size_t count = n - i < batch ? n - i : batch;

		vc_kernels->quant->nearest(rows + i * dim, dim, count, state->panels, state->half_norms, npanels, dim,
								   state->score, next + i);
		advance(state, row_work * (double) count);
	}
}

/* The same where there are none yet, for state->next. */
static void
assign(State *state, const float *rows, size_t n, const float *centroids, uint32_t k)
{
	prepare(state, centroids, k);
	assign_prepared(state, rows, n, k, state->next);
}

/* What comparing a row with the clusters of some parts costs, in multiplications. */
static double
parted_work(const VcKmeans *params, uint32_t parts)
{
	double looked_in = parts < VC_NEAREST_PARTS ? parts : VC_NEAREST_PARTS;

	return (double) params->dim * (parts + looked_in / parts * params->clusters);
}

/* The same for clusters in parts, where a row is compared with those of the nearest parts only. */
static void
assign_parted(State *state, const float *rows, size_t n, uint32_t *next)
{
	for (size_t i = 0; i < n; i += TICK_ROWS)
	{
		size_t count = n - i < TICK_ROWS ? n - i : TICK_ROWS;

		vc_nearest_find(state->nearest, rows + i * state->params->dim, count, next + i);
		advance(state, parted_work(state->params, state->shared->parts) * (double) count);
	}
}

/* Give the centroid length 1. Rows that cancel out have no direction: the row given stands in. */
static void
make_unit(float *centroid, const float *row, uint32_t dim)
{
	const float *from = centroid;
	double norm = 0.0;

	for (uint32_t j = 0; j < dim; j++)
		norm += (double) centroid[j] * centroid[j];
	if (norm == 0.0)
	{
		from = row;
		for (uint32_t j = 0; j < dim; j++)
			norm += (double) row[j] * row[j];
	}
	norm = sqrt(norm);
	for (uint32_t j = 0; j < dim; j++)
		centroid[j] = norm > 0.0 ? (float) (from[j] / norm) : 0.0f;
}

/* Of the centroids from `from` up to `to`, each that has rows becomes their mean. */
static void
take_means(State *state, const float *rows, size_t n, float *centroids, uint32_t from, uint32_t to)
{
	uint32_t dim = state->params->dim;
	uint32_t k = to - from;

	centroids += (size_t) from * dim;
	memset(state->sums, 0, (size_t) k * dim * sizeof(double));
	memset(state->counts, 0, k * sizeof(uint32_t));
	for (size_t i = 0; i < n; i++)
	{
		const float *row = rows + i * dim;
		uint32_t c = state->part[i] - from;
		double *sum = state->sums + (size_t) c * dim;

		if (c >= k)
			continue;
		state->counts[c]++;
		for (uint32_t j = 0; j < dim; j++)
			sum[j] += row[j];
	}
	for (uint32_t c = 0; c < k; c++)
	{
		double *sum = state->sums + (size_t) c * dim;
		double inverse = 1.0 / state->counts[c];

		if (state->counts[c] > 0)
			for (uint32_t j = 0; j < dim; j++)
				centroids[(size_t) c * dim + j] = (float) (sum[j] * inverse);
	}
	if (state->params->spherical)
		for (size_t i = 0; i < n; i++)
		{
			uint32_t c = state->part[i] - from;

			/* Once a cluster, at its first row; sums[c][0] marks it done. */
			if (c >= k || isnan(state->sums[(size_t) c * dim]))
				continue;
			state->sums[(size_t) c * dim] = NAN;
			make_unit(centroids + (size_t) c * dim, rows + i * dim, dim);
		}
}

static double
distance2(const float *a, const float *b, uint32_t dim)
{
	double sum = 0.0;

	for (uint32_t j = 0; j < dim; j++)
	{
		double d = (double) a[j] - b[j];

		sum += d * d;
	}
	return sum;
}

/*
 * Move centroids without rows onto rows: each takes the outermost row of the largest cluster that has one away from its
 * centre. Leaves them where no cluster can give a row.
 */
static void
fill_empty(State *state, const float *rows, size_t n, float *centroids, uint32_t k)
{
	uint32_t dim = state->params->dim;

	for (uint32_t c = 0; c < k; c++)
	{
		while (state->counts[c] == 0)
		{
			uint32_t largest = 0;
			size_t outermost = 0;
			double far = 0.0;

			for (uint32_t i = 1; i < k; i++)
				if (state->counts[i] > state->counts[largest])
					largest = i;
			if (state->counts[largest] < 2)
				return;
			for (size_t i = 0; i < n; i++)
				if (state->part[i] == largest)
				{
					double d = distance2(rows + i * dim, centroids + (size_t) largest * dim, dim);

					if (d > far)
					{
						far = d;
						outermost = i;
					}
				}
			if (far > 0.0)
			{
				state->counts[largest]--;
				state->part[outermost] = c;
				state->counts[c] = 1;
				memcpy(centroids + (size_t) c * dim, rows + outermost * dim, dim * sizeof(float));
				if (state->params->spherical)
					make_unit(centroids + (size_t) c * dim, rows + outermost * dim, dim);
			}
			else
				state->counts[largest] = 1; /* all its rows are equal: not to be asked again */
		}
		advance(state, 0);
	}
}

/* Drop centroids that got no rows, by counts and next; returns how many are left. state->part tells each row's. */
static uint32_t
drop_empty(State *state, size_t n, float *centroids, uint32_t k)
{
	uint32_t dim = state->params->dim;
	uint32_t kept = 0;

	for (uint32_t c = 0; c < k; c++)
	{
		if (state->counts[c] == 0)
			continue;
		memmove(centroids + (size_t) kept * dim, centroids + (size_t) c * dim, dim * sizeof(float));
		state->counts[c] = kept++; /* from here on, the new number */
	}
	for (size_t i = 0; i < n; i++)
		state->part[i] = state->counts[state->next[i]];
	return kept;
}

/* Drop centroids that are of no row by state->next. */
static uint32_t
keep_used(State *state, size_t n, float *centroids, uint32_t k)
{
	memset(state->counts, 0, k * sizeof(uint32_t));
	for (size_t i = 0; i < n; i++)
		state->counts[state->next[i]]++;
	return drop_empty(state, n, centroids, k);
}

static void
lloyd(State *state, const float *rows, size_t n, float *centroids, uint32_t k, uint32_t rounds)
{
	for (uint32_t round = 0; round < rounds; round++)
	{
		size_t moved = 0;

		assign(state, rows, n, centroids, k);
		for (size_t i = 0; i < n; i++)
		{
			moved += round == 0 || state->part[i] != state->next[i];
			state->part[i] = state->next[i];
		}
		if (moved == 0)
		{
			__atomic_add_fetch(&state->shared->work_done, (uint64_t) (rounds - round - 1) * n * k * state->params->dim, __ATOMIC_RELAXED);
			return;
		}
		take_means(state, rows, n, centroids, 0, k);
		fill_empty(state, rows, n, centroids, k);
	}
}

/* k clusters of n rows, starting from rows picked at random. Some may be empty. */
static uint32_t
find_clusters(State *state, const float *rows, size_t n, float *centroids, uint32_t k)
{
	uint32_t dim = state->params->dim;
	uint32_t chosen = 0;

	if (k > n)
		k = (uint32_t) n;

	/* Selection sampling: k of n rows, each set of k equally likely. */
	for (size_t i = 0; i < n && chosen < k; i++)
		if (vc_random_below(&state->random, n - i) < k - chosen)
		{
			float *centroid = centroids + (size_t) chosen++ * dim;

			memcpy(centroid, rows + i * dim, dim * sizeof(float));
			if (state->params->spherical)
				make_unit(centroid, rows + i * dim, dim);
		}
	lloyd(state, rows, n, centroids, k, state->params->iterations);
	return k;
}

/* One level: up to k clusters of n rows, none empty. */
static uint32_t
flat(State *state, const float *rows, size_t n, float *centroids, uint32_t k)
{
	k = find_clusters(state, rows, n, centroids, k);
	assign(state, rows, n, centroids, k);
	return keep_used(state, n, centroids, k);
}

static void
swap_rows(float *a, float *b, uint32_t dim)
{
	for (uint32_t j = 0; j < dim; j++)
	{
		float swap = a[j];

		a[j] = b[j];
		b[j] = swap;
	}
}

/* Bring the rows of each part together; state->bounds gets where each part starts. */
static void
sort_by_part(State *state, float *rows, size_t n, uint32_t parts)
{
	uint32_t dim = state->params->dim;
	uint32_t *fill = state->counts;

	memset(state->bounds, 0, ((size_t) parts + 1) * sizeof(uint32_t));
	for (size_t i = 0; i < n; i++)
		state->bounds[state->part[i] + 1]++;
	for (uint32_t p = 0; p < parts; p++)
		state->bounds[p + 1] += state->bounds[p];
	memcpy(fill, state->bounds, parts * sizeof(uint32_t));

	/* Follow each cycle of the permutation: swap a row to where it belongs until one that belongs here arrives. */
	for (uint32_t p = 0; p < parts; p++)
		while (fill[p] < state->bounds[p + 1])
		{
			uint32_t here = fill[p];
			uint32_t belongs = state->part[here];
			uint32_t there = fill[belongs]++;
			float *a = rows + (size_t) here * dim;
			float *b = rows + (size_t) there * dim;

			if (belongs == p)
				continue; /* there == here */
			state->part[here] = state->part[there];
			state->part[there] = belongs;
			swap_rows(a, b, dim);
		}
}

/* ---- tasks ---- */

static void
block_task(State *state, uint32_t task)
{
	Shared *shared = state->shared;
	size_t first = (size_t) task * BLOCK_ROWS;
	size_t n = state->nrows - first < BLOCK_ROWS ? state->nrows - first : BLOCK_ROWS;
	const float *rows = state->rows + first * state->params->dim;

	if (shared->job == JOB_CUT)
		assign_prepared(state, rows, n, shared->parts, state->part + first);
	else if (state->nearest != NULL)
		assign_parted(state, rows, n, state->next + first);
	else
		assign_prepared(state, rows, n, shared->made, state->next + first);
}

static void
go_on(void *state)
{
	advance(state, 0);
}

static void
prepare_for_job(State *state)
{
	Shared *shared = state->shared;

	state->nearest = NULL;
	if (shared->job == JOB_CUT)
		prepare(state, state->coarse, shared->parts);
	else if (shared->job == JOB_ASSIGN && vc_nearest_pays(shared->made))
		state->nearest = vc_nearest_build(state->memory, state->params->dim, state->centroids, shared->made, state->home,
										  state->coarse, shared->parts, go_on, state);
	else if (shared->job == JOB_ASSIGN)
		prepare(state, state->centroids, shared->made);
	state->prepared = shared->serial;
}

/* Each part has random numbers of its own, whoever looks for its clusters. */
static void
part_task(State *state, uint32_t part)
{
	State own = *state;
	size_t first = state->bounds[part];

	own.part += first;
	own.next += first;
	own.random = state->params->seed + part + 1;
	own.random = vc_random_next(&own.random);
	find_clusters(&own, state->rows + first * state->params->dim, state->bounds[part + 1] - first,
				  state->centroids + (size_t) state->first[part] * state->params->dim,
				  state->first[part + 1] - state->first[part]);
}

void
vc_kmeans_task(VcKmeansHelper *helper, uint32_t task)
{
	Shared *shared = helper->shared;

	if (helper->prepared != shared->serial)
		prepare_for_job(helper);
	if (shared->job == JOB_PARTS)
		part_task(helper, task);
	else if (shared->job == JOB_MEANS)
		take_means(helper, helper->rows, helper->nrows, helper->centroids,
				   (uint32_t) ((uint64_t) shared->made * task / shared->tasks),
				   (uint32_t) ((uint64_t) shared->made * (task + 1) / shared->tasks));
	else
		block_task(helper, task);
}

static void
run_job(State *state, Job job, uint32_t tasks)
{
	Shared *shared = state->shared;

	shared->job = job;
	shared->tasks = tasks;
	shared->serial++;
	if (state->params->share != NULL)
		state->params->share(state->params->arg, state, tasks);
	else
		for (uint32_t task = 0; task < tasks; task++)
			vc_kmeans_task(state, task);
}

static uint32_t
blocks(const State *state)
{
	return (uint32_t) ((state->nrows + BLOCK_ROWS - 1) / BLOCK_ROWS);
}

/* Cut the rows into parts, by some of them from all over the sample, and bring those of each part together. */
static void
cut_parts(State *state, uint32_t parts)
{
	uint32_t dim = state->params->dim;
	float *rows = state->rows;
	size_t n = state->nrows;
	size_t some = (size_t) parts * ROWS_PER_PART;

	if (some >= n)
		state->shared->parts = flat(state, rows, n, state->coarse, parts);
	else
	{
		for (size_t i = 0; i < some; i++)
		{
			size_t from = (size_t) ((double) i * (double) n / (double) some);

			if (from > i)
				swap_rows(rows + i * dim, rows + from * dim, dim);
		}
		state->shared->parts = flat(state, rows, some, state->coarse, parts);
		run_job(state, JOB_CUT, blocks(state));
	}
	sort_by_part(state, rows, n, state->shared->parts);
}

/* How many clusters each part gets: in proportion to its rows, and one at least. */
static void
share_clusters(State *state)
{
	uint32_t parts = state->shared->parts;
	uint32_t made = 0;
	uint32_t left = state->params->clusters;

	for (uint32_t p = 0; p < parts; p++)
	{
		size_t n = state->bounds[p + 1] - state->bounds[p];
		double rows_left = (double) (state->nrows - state->bounds[p]);
		uint32_t later = parts - p - 1; /* each later part needs one cluster at least */
		double share = round((double) left * (double) n / rows_left);
		uint32_t k = share < 1 ? 1 : share > left - later ? left - later : (uint32_t) share;

		if (k > n)
			k = (uint32_t) n;
		state->first[p] = made;
		for (uint32_t c = made; c < made + k; c++)
			state->home[c] = p;
		made += k;
		left -= k;
	}
	state->first[parts] = state->shared->made = made;
}

/* The work there is with so many parts, in multiplications. */
static double
two_levels_work(const VcKmeans *params, size_t nrows, uint32_t parts)
{
	double per_round = (double) nrows * params->dim;
	double some = (double) parts * ROWS_PER_PART < (double) nrows ? (double) parts * ROWS_PER_PART / (double) nrows : 1.0;
	double among_all = vc_nearest_pays(params->clusters) ? (double) nrows * parted_work(params, parts) : per_round * params->clusters;

	return per_round * (parts * (some * (params->iterations + 1) + (some < 1.0)) +
						(double) params->clusters / parts * params->iterations) +
		   among_all * (params->refinements > 0 ? params->refinements : 1);
}

uint32_t
vc_kmeans_shared(const VcKmeans *params, float *rows, size_t nrows, float *centroids, void *shared, void *memory)
{
	State *state = vc_kmeans_helper(params, rows, nrows, centroids, shared, memory);
	uint32_t parts = coarse_parts(params, nrows);

	memset(state->shared, 0, sizeof(*state->shared));
	state->random = params->seed;
	if (parts == 1)
	{
		state->shared->work_total = (double) nrows * params->dim * params->clusters * (params->iterations + 1);
		return flat(state, rows, nrows, centroids, params->clusters);
	}
	state->shared->work_total = two_levels_work(params, nrows, parts);
	cut_parts(state, parts);
	share_clusters(state);
	run_job(state, JOB_PARTS, state->shared->parts);

	/* A cluster that loses all rows is not given others: there are few, and it would leave its part. */
	for (uint32_t round = 0; round < params->refinements; round++)
	{
		/* Where rows belong among all clusters, and their means. */
		run_job(state, JOB_ASSIGN, blocks(state));
		memcpy(state->part, state->next, nrows * sizeof(uint32_t));
		run_job(state, JOB_MEANS, params->share != NULL ? MEANS_TASKS : 1);
	}
	if (params->refinements == 0)
		assign(state, rows, nrows, centroids, state->shared->made);
	return keep_used(state, nrows, centroids, state->shared->made);
}

uint32_t
vc_kmeans(const VcKmeans *params, float *rows, size_t nrows, float *centroids, void *workspace)
{
	return vc_kmeans_shared(params, rows, nrows, centroids, workspace,
							(char *) workspace + vc_kmeans_shared_size(params, nrows));
}
