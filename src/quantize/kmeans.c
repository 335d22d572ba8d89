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

/* Rows between two calls of the tick function where rows are compared by codes. */
#define TICK_ROWS 2048

/* The parts of the workspace, and how far the work has come. */
typedef struct State
{
	const VcKmeans *params;
	uint64_t random;
	float *panels;
	float *half_norms;
	double *sums;	  /* [most clusters in one run][dim] */
	uint32_t *counts; /* [clusters] */
	uint32_t *part;	  /* [nrows]: cluster of each row */
	uint32_t *next;	  /* [nrows]: the same for the round at hand */
	float *score;	  /* [nrows] */
	float *coarse;	  /* [parts][dim] */
	uint32_t *bounds; /* [parts + 1]: rows of each part, after reordering */
	uint32_t *home;	  /* [clusters]: the part of each */
	char *nearest;	  /* memory for comparing by codes */
	uint32_t parts;	  /* that clusters are in */
	double work_done;
	double work_total;
} State;

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

/* Lays out the workspace: sizes alone where base is null. */
static size_t
lay_out(State *state, const VcKmeans *params, size_t nrows, char *base)
{
	size_t dim = params->dim;
	size_t most = params->clusters;
	uint32_t parts = coarse_parts(params, nrows);
	size_t total = 0;

#define PLACE(member, n) \
	do \
	{ \
		if (base != NULL) \
			state->member = (void *) (base + total); \
		reserve(&total, n, sizeof(*state->member)); \
	} while (0)
	if (most > SIZE_MAX / 64 / (dim + 1) || nrows > SIZE_MAX / 64)
		return SIZE_MAX;
	PLACE(panels, vc_panels_size(most, (uint32_t) dim));
	PLACE(half_norms, vc_panels_norms_size(most));
	PLACE(sums, most * dim);
	PLACE(counts, most);
	PLACE(part, nrows);
	PLACE(next, nrows);
	PLACE(score, nrows);
	PLACE(coarse, parts * dim);
	PLACE(bounds, (size_t) parts + 1);
	PLACE(home, most);
	PLACE(nearest, parts > 1 ? vc_nearest_size((uint32_t) dim, (uint32_t) most, parts) : 0);
#undef PLACE
	return total;
}

size_t
vc_kmeans_workspace(const VcKmeans *params, size_t nrows)
{
	State state;
	size_t total = lay_out(&state, params, nrows, NULL);

	return total > SIZE_MAX - 64 ? SIZE_MAX : total + 64; /* to align its start */
}

static void
advance(State *state, double work)
{
	state->work_done += work;
	if (state->params->tick != NULL)
		state->params->tick(state->params->arg,
							state->work_done < state->work_total ? state->work_done / state->work_total : 1.0);
}

/* state->next[i] = the nearest of k centroids for each of n rows. */
static void
assign(State *state, const float *rows, size_t n, const float *centroids, uint32_t k)
{
	uint32_t dim = state->params->dim;
	size_t npanels = vc_panels_norms_size(k) / VC_PANEL;
	double row_work = (double) npanels * VC_PANEL * dim;
	size_t batch = row_work >= TICK_WORK ? 1 : (size_t) (TICK_WORK / row_work);

	batch = (batch + 11) / 12 * 12; /* whole tiles of every instruction set's `nearest` */
	vc_panels_build(centroids, k, dim, state->panels, state->half_norms);
	for (size_t i = 0; i < n; i += batch)
	{
		size_t count = n - i < batch ? n - i : batch;

		vc_kernels->quant->nearest(rows + i * dim, dim, count, state->panels, state->half_norms, npanels, dim,
								   state->score + i, state->next + i);
		advance(state, row_work * (double) count);
	}
}

/* What comparing a row by codes costs, in multiplications: as much as this many exact comparisons for each part. */
static double
coded_work(const VcKmeans *params, uint32_t parts)
{
	return (double) params->dim * (2.0 * parts + 2.0 * VC_NEAREST_PARTS);
}

/* The same by the clusters' codes, for clusters in parts. */
static void
assign_coded(State *state, const float *rows, size_t n, const float *centroids, uint32_t k)
{
	VcNearest *nearest = vc_nearest_build(state->nearest, state->params->dim, centroids, k, state->home, state->coarse,
										  state->parts);

	for (size_t i = 0; i < n; i++)
	{
		state->next[i] = vc_nearest_find(nearest, rows + i * state->params->dim);
		if ((i + 1) % TICK_ROWS == 0)
			advance(state, coded_work(state->params, state->parts) * TICK_ROWS);
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

/* Each centroid that has rows becomes their mean. */
static void
take_means(State *state, const float *rows, size_t n, float *centroids, uint32_t k)
{
	uint32_t dim = state->params->dim;

	memset(state->sums, 0, (size_t) k * dim * sizeof(double));
	memset(state->counts, 0, k * sizeof(uint32_t));
	for (size_t i = 0; i < n; i++)
	{
		const float *row = rows + i * dim;
		double *sum = state->sums + (size_t) state->part[i] * dim;

		state->counts[state->part[i]]++;
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
			uint32_t c = state->part[i];

			/* Once a cluster, at its first row; sums[c][0] marks it done. */
			if (isnan(state->sums[(size_t) c * dim]))
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

/* Assign the rows and drop centroids that got none. */
static uint32_t
keep_used(State *state, const float *rows, size_t n, float *centroids, uint32_t k)
{
	assign(state, rows, n, centroids, k);
	memset(state->counts, 0, k * sizeof(uint32_t));
	for (size_t i = 0; i < n; i++)
		state->counts[state->next[i]]++;
	return drop_empty(state, n, centroids, k);
}

/* A round over clusters that are in parts: where rows belong among all of them, and their means. */
static void
refine(State *state, const float *rows, size_t n, float *centroids, uint32_t k)
{
	if (vc_nearest_pays(state->params->dim, k))
		assign_coded(state, rows, n, centroids, k);
	else
		assign(state, rows, n, centroids, k);
	memcpy(state->part, state->next, n * sizeof(uint32_t));
	take_means(state, rows, n, centroids, k);
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
			state->work_done += (double) (rounds - round - 1) * (double) n * k * state->params->dim;
			return;
		}
		take_means(state, rows, n, centroids, k);
		fill_empty(state, rows, n, centroids, k);
	}
}

/* One level: k clusters of n rows, starting from rows picked at random. */
static uint32_t
flat(State *state, const float *rows, size_t n, float *centroids, uint32_t k)
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
	return keep_used(state, rows, n, centroids, k);
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

/* Cut the rows into parts, by some of them from all over the sample, and bring those of each part together. */
static uint32_t
cut_parts(State *state, float *rows, size_t n, uint32_t parts)
{
	uint32_t dim = state->params->dim;
	size_t some = (size_t) parts * ROWS_PER_PART;

	if (some >= n)
		parts = flat(state, rows, n, state->coarse, parts);
	else
	{
		for (size_t i = 0; i < some; i++)
		{
			size_t from = (size_t) ((double) i * (double) n / (double) some);

			if (from > i)
				swap_rows(rows + i * dim, rows + from * dim, dim);
		}
		parts = flat(state, rows, some, state->coarse, parts);
		assign(state, rows, n, state->coarse, parts);
		memcpy(state->part, state->next, n * sizeof(uint32_t));
	}
	sort_by_part(state, rows, n, parts);
	return parts;
}

uint32_t
vc_kmeans(const VcKmeans *params, float *rows, size_t nrows, float *centroids, void *workspace)
{
	State state = {.params = params, .random = params->seed};
	uint32_t dim = params->dim;
	uint32_t parts = coarse_parts(params, nrows);
	double per_round = (double) nrows * dim;
	double some;
	uint32_t made = 0;
	uint32_t left = params->clusters;

	lay_out(&state, params, nrows, (char *) (((uintptr_t) workspace + 63) & ~(uintptr_t) 63));
	if (parts == 1)
	{
		state.work_total = per_round * params->clusters * (params->iterations + 1);
		return flat(&state, rows, nrows, centroids, params->clusters);
	}

	some = (double) parts * ROWS_PER_PART < (double) nrows ? (double) parts * ROWS_PER_PART / (double) nrows : 1.0;
	state.work_total =
		per_round * (parts * (some * (params->iterations + 1) + (some < 1.0)) +
					 (double) params->clusters / parts * (params->iterations + 1)) +
		(vc_nearest_pays(dim, params->clusters) ? nrows * coded_work(params, parts) : per_round * params->clusters) *
			(params->refinements > 0 ? params->refinements : 1);
	parts = cut_parts(&state, rows, nrows, parts);
	for (uint32_t p = 0; p < parts; p++)
	{
		size_t first = state.bounds[p];
		size_t n = state.bounds[p + 1] - first;
		double rows_left = (double) (nrows - first);
		uint32_t later = parts - p - 1; /* each later part needs one cluster at least */
		double share = round((double) left * (double) n / rows_left);
		uint32_t k = share < 1 ? 1 : share > left - later ? left - later : (uint32_t) share;

		k = flat(&state, rows + first * dim, n, centroids + (size_t) made * dim, k);
		for (uint32_t c = made; c < made + k; c++)
			state.home[c] = p;
		made += k;
		left -= k;
	}
	if (params->refinements == 0)
		return keep_used(&state, rows, nrows, centroids, made);

	/* A cluster that loses all rows is not given others: there are few, and it would leave its part. */
	state.parts = parts;
	for (uint32_t round = 0; round < params->refinements; round++)
		refine(&state, rows, nrows, centroids, made);
	return drop_empty(&state, nrows, centroids, made);
}
