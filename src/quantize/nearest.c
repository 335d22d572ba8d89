/*
 * nearest.c
 *		See nearest.h.
 *
 * Rows are taken in batches that stay in the CPU's cache. Those that have a part among their nearest are brought together, some at a
 * time, and compared with the part's centroids by the kernel that compares rows with all of them.
 *
 * The nearest parts are looked into in steps. Of each centroid it is known how far the nearest one of the other parts is, and a
 * row that is clearly nearer to what it has found than that is done: in data that lie in clusters, most rows are after one part
 * or four. Of those that are not, a part is passed over whose centroids, as far as they lie from its centre, are hardly as near as what
 * has been found.
 */
#include "quantize/nearest.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "kernels/vc_kernels.h"
#include "kernels/vc_quant.h"
#include "quantize/kmeans.h"

/* Rows of a batch, as many as have so many values, and those compared at a time: whole tiles of every instruction set's kernels. */
#define MAX_BATCH 4096
#define BATCH_VALUES 524288
#define TOGETHER 96

#define TILE 12

#define FEW_PARTS 64

/*
 * How far off, as a multiple of the squared distance to what a row has found, the next centroid must be for the row to be done. Four
 * leaves no doubt; with this, rows of generated clusters come out as well as if all looked into all their parts.
 */
#define CLEAR 1.3f
#define ROUNDING 1e-5f /* of a squared distance that comes from products, as a share of the squared length */

/*
 * How far, of how far a part's centroids lie from its centre on average, the nearest of them is expected to lie in a row's direction. One
 * would stand for a centroid on the line between the two; of some tens of centroids in many dimensions none is.
 */
#define TOWARDS 0.8f

/* How many of the nearest parts have been looked into after each step. */
static const uint32_t steps[] = {1, 3, 7, VC_NEAREST_PARTS};

#define NO_PART UINT32_MAX

struct VcNearest
{
	uint32_t dim;
	uint32_t n;
	uint32_t parts;
	uint32_t batch;			  /* rows, between two ticks */
	VcNearestTick tick;
	void *arg;
	uint32_t *starts;		  /* [parts + 1]: the panels of each part */
	float *panels;			  /* of the centroids, part by part */
	float *half_norms;
	uint32_t *number;		  /* [panels * VC_PANEL]: of the centroids in panels */
	float *clear;			  /* [n]: squared distance up to which a row that found this centroid is done */
	float *centre_panels;
	float *centre_half_norms;
	float *spread;			  /* [parts]: of the centroids around their centre: the root of the mean squared distance */
	float *centre_score;	  /* [batch][parts, rounded up]: infinite where there is nothing to compare */
	float *together;		  /* [TOGETHER][dim] */
	float *score;			  /* [TOGETHER] */
	uint32_t *index;		  /* [TOGETHER] */
	float *best;			  /* [batch] */
	float *norm;			  /* [batch]: squared length */
	uint32_t *open;			  /* [batch]: the rows that are not done */
	uint32_t *near;			  /* [batch][VC_NEAREST_PARTS]: parts, the nearest first */
	uint32_t *fill;			  /* [parts + 1]: where the rows of each part, and those of none, are in: */
	uint32_t *rows;			  /* [batch * VC_NEAREST_PARTS] */
};

static uint32_t
batch_rows(uint32_t dim)
{
	uint32_t rows = BATCH_VALUES / dim;

	return rows < TOGETHER ? TOGETHER : rows > MAX_BATCH ? MAX_BATCH : rows;
}

/* Adds room for n items, aligned to a cache line; sticks at SIZE_MAX. */
static size_t
reserve(size_t *total, size_t n, size_t size)
{
	size_t at = *total;
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes) || __builtin_add_overflow(at, bytes, total) || *total > SIZE_MAX - 64)
		*total = SIZE_MAX - 64;
	else
		*total = (*total + 63) & ~(size_t) 63;
	return at;
}

/* Lays everything out after the struct: sizes alone where base is null. */
static size_t
lay_out(VcNearest *nearest, char *base, uint32_t dim, uint32_t n, uint32_t parts)
{
	size_t total = 0;
	size_t most_panels = (size_t) n / VC_PANEL + parts; /* each part may leave one half empty */
	uint32_t batch = batch_rows(dim);

#define PLACE(member, count) \
	do \
	{ \
		size_t at_ = reserve(&total, count, sizeof(*nearest->member)); \
		if (base != NULL) \
			nearest->member = (void *) (base + at_); \
	} while (0)
	if (most_panels > SIZE_MAX / 64 / VC_PANEL / ((size_t) dim + 1))
		return SIZE_MAX;
	reserve(&total, 1, sizeof(VcNearest));
	PLACE(starts, (size_t) parts + 1);
	PLACE(panels, most_panels * VC_PANEL * dim);
	PLACE(half_norms, most_panels * VC_PANEL);
	PLACE(number, most_panels * VC_PANEL);
	PLACE(clear, n);
	PLACE(centre_panels, vc_panels_size(parts, dim));
	PLACE(centre_half_norms, vc_panels_norms_size(parts));
	PLACE(spread, parts);
	PLACE(centre_score, batch * vc_panels_norms_size(parts));
	PLACE(together, (size_t) TOGETHER * dim);
	PLACE(score, TOGETHER);
	PLACE(index, TOGETHER);
	PLACE(best, batch);
	PLACE(norm, batch);
	PLACE(open, batch);
	PLACE(near, (size_t) batch * VC_NEAREST_PARTS);
	PLACE(fill, (size_t) parts + 1);
	PLACE(rows, (size_t) batch * VC_NEAREST_PARTS);
#undef PLACE
	return total;
}

size_t
vc_nearest_size(uint32_t dim, uint32_t n, uint32_t parts)
{
	VcNearest nearest;
	size_t size = lay_out(&nearest, NULL, dim, n, parts);

	return size > SIZE_MAX - 128 ? SIZE_MAX : size + 64; /* to align its start */
}

/*
 * Of few parts: where a part belongs is how many have a lower score, and nothing in this is a branch to guess wrong. False where two
 * have the same score and so the same place.
 */
static bool
nearest_of_few(const float *score, uint32_t padded, uint32_t parts, uint32_t part[VC_NEAREST_PARTS])
{
	uint32_t place[FEW_PARTS];
	bool found = true;

	for (uint32_t k = 0; k < VC_NEAREST_PARTS; k++)
		place[k] = NO_PART;
	for (uint32_t p = 0; p < parts; p++)
	{
		float s = score[p];
		int32_t lower = 0;

		for (uint32_t i = 0; i < padded; i++)
			lower += score[i] < s;
		place[lower] = p;
	}
	for (uint32_t k = 0; k < VC_NEAREST_PARTS; k++)
		found &= place[k] != NO_PART;
	memcpy(part, place, VC_NEAREST_PARTS * sizeof(*part));
	return found;
}

static void
nearest_of_many(const float *score, uint32_t parts, uint32_t part[VC_NEAREST_PARTS])
{
	float least[VC_NEAREST_PARTS];
	uint32_t count = 0;

	for (uint32_t p = 0; p < parts; p++)
	{
		float s = score[p];
		uint32_t at;

		if (count < VC_NEAREST_PARTS)
			at = count++;
		else if (s < least[VC_NEAREST_PARTS - 1])
			at = VC_NEAREST_PARTS - 1;
		else
			continue;
		for (; at > 0 && least[at - 1] > s; at--)
		{
			least[at] = least[at - 1];
			part[at] = part[at - 1];
		}
		least[at] = s;
		part[at] = p;
	}
}

/* How near each part is to each row, and the nearest part of each. */
static void
score_parts(VcNearest *nearest, const float *rows, uint32_t nrows)
{
	uint32_t padded = (uint32_t) vc_panels_norms_size(nearest->parts);

	vc_kernels->quant->panel_scores(rows, nearest->dim, nrows, nearest->centre_panels, nearest->centre_half_norms,
									padded / VC_PANEL, nearest->dim, nearest->centre_score);
	for (uint32_t i = 0; i < nrows; i++)
	{
		float *score = nearest->centre_score + (size_t) i * padded;
		float least = INFINITY;
		uint32_t part = 0;

		for (uint32_t p = 0; p < padded; p++)
		{
			score[p] = score[p] == score[p] ? score[p] : INFINITY;
			least = score[p] < least ? score[p] : least;
		}
		while (part < nearest->parts - 1 && score[part] > least)
			part++;
		nearest->near[(size_t) i * VC_NEAREST_PARTS] = part;
	}
}

/* The nearest parts of each open row, in order. */
static void
choose_parts(VcNearest *nearest, uint32_t nopen)
{
	uint32_t padded = (uint32_t) vc_panels_norms_size(nearest->parts);

	for (uint32_t i = 0; i < nopen; i++)
	{
		const float *score = nearest->centre_score + (size_t) nearest->open[i] * padded;
		uint32_t *part = nearest->near + (size_t) nearest->open[i] * VC_NEAREST_PARTS;

		if (nearest->parts > FEW_PARTS || nearest->parts < VC_NEAREST_PARTS || !nearest_of_few(score, padded, nearest->parts, part))
			nearest_of_many(score, nearest->parts, part);
	}
}

/* Put `parts` in the place of those parts that the open rows have nothing to look for in. */
static void
pass_over(VcNearest *nearest, uint32_t nopen, uint32_t from, uint32_t to)
{
	uint32_t padded = (uint32_t) vc_panels_norms_size(nearest->parts);

	for (uint32_t i = 0; i < nopen; i++)
	{
		uint32_t row = nearest->open[i];
		const float *score = nearest->centre_score + (size_t) row * padded;
		uint32_t *near = nearest->near + (size_t) row * VC_NEAREST_PARTS;
		float found = 2 * nearest->best[row] + nearest->norm[row];

		for (uint32_t k = from; k < to; k++)
		{
			float spread = nearest->spread[near[k]];
			float distance = 2 * score[near[k]] + nearest->norm[row];

			if (distance + spread * (spread - 2 * TOWARDS * sqrtf(distance > 0 ? distance : 0)) > found)
				near[k] = nearest->parts;
		}
	}
}

/*
 * Which of the open rows are to be compared with which parts, of those that are their nearest from `from` to `to`: nearest->rows,
 * part by part, each part's ending at its `fill`.
 */
static void
gather(VcNearest *nearest, uint32_t nopen, uint32_t from, uint32_t to)
{
	uint32_t before = 0;

	memset(nearest->fill, 0, ((size_t) nearest->parts + 1) * sizeof(uint32_t));
	for (uint32_t i = 0; i < nopen; i++)
	{
		const uint32_t *near = nearest->near + (size_t) nearest->open[i] * VC_NEAREST_PARTS;

		for (uint32_t k = from; k < to; k++)
			nearest->fill[near[k]]++;
	}
	for (uint32_t p = 0; p <= nearest->parts; p++)
	{
		uint32_t count = nearest->fill[p];

		nearest->fill[p] = before;
		before += count;
	}
	for (uint32_t i = 0; i < nopen; i++)
	{
		uint32_t row = nearest->open[i];
		const uint32_t *near = nearest->near + (size_t) row * VC_NEAREST_PARTS;

		for (uint32_t k = from; k < to; k++)
			nearest->rows[nearest->fill[near[k]]++] = row;
	}
}

/* Compare some rows, given by their numbers, with the centroids of a part. */
static void
compare(VcNearest *nearest, const float *rows, const uint32_t *number, uint32_t count, uint32_t part, uint32_t *index)
{
	uint32_t dim = nearest->dim;
	uint32_t first = nearest->starts[part];
	uint32_t whole = (count + TILE - 1) / TILE * TILE; /* what is left over takes as long row by row; others make up the tile */

	for (uint32_t i = 0; i < count; i++)
		memcpy(nearest->together + (size_t) i * dim, rows + (size_t) number[i] * dim, dim * sizeof(float));
	vc_kernels->quant->nearest(nearest->together, dim, whole, nearest->panels + (size_t) first * VC_PANEL * dim,
							   nearest->half_norms + (size_t) first * VC_PANEL, nearest->starts[part + 1] - first, dim,
							   nearest->score, nearest->index);
	for (uint32_t i = 0; i < count; i++)
		if (nearest->score[i] < nearest->best[number[i]])
		{
			nearest->best[number[i]] = nearest->score[i];
			index[number[i]] = nearest->number[first * VC_PANEL + nearest->index[i]];
		}
}

/* Compare the open rows with those parts that are their nearest from `from` to `to`. */
static void
look_into(VcNearest *nearest, const float *rows, uint32_t nopen, uint32_t from, uint32_t to, uint32_t *index)
{
	uint32_t at = 0;

	gather(nearest, nopen, from, to);
	for (uint32_t p = 0; p < nearest->parts; p++)
		while (at < nearest->fill[p])
		{
			uint32_t count = nearest->fill[p] - at < TOGETHER ? nearest->fill[p] - at : TOGETHER;

			compare(nearest, rows, nearest->rows + at, count, p, index);
			at += count;
		}
}

/* Start on a batch: all rows are open and have found nothing. Returns how many parts each has. */
static uint32_t
start_batch(VcNearest *nearest, const float *rows, uint32_t nrows, uint32_t *index)
{
	if (nearest->tick != NULL)
		nearest->tick(nearest->arg);
	score_parts(nearest, rows, nrows);
	for (uint32_t i = 0; i < nrows; i++)
	{
		nearest->norm[i] = vc_kernels->norm2_f32(rows + (size_t) i * nearest->dim, nearest->dim);
		nearest->best[i] = INFINITY;
		nearest->open[i] = i;
		index[i] = 0;
	}
	return nearest->parts < VC_NEAREST_PARTS ? nearest->parts : VC_NEAREST_PARTS;
}

/* Keep the open rows that may have a nearer centroid in another part than they have found; returns how many there are. */
static uint32_t
keep_open(VcNearest *nearest, uint32_t nopen, const uint32_t *index)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < nopen; i++)
	{
		uint32_t row = nearest->open[i];
		float distance = 2 * nearest->best[row] + nearest->norm[row] * (1 + ROUNDING);

		nearest->open[kept] = row;
		kept += !(distance <= nearest->clear[index[row]]);
	}
	return kept;
}

static void
find_batch(VcNearest *nearest, const float *rows, uint32_t nrows, uint32_t *index)
{
	uint32_t each = start_batch(nearest, rows, nrows, index);
	uint32_t nopen = nrows;
	uint32_t from = 0;

	for (size_t s = 0; s < sizeof(steps) / sizeof(*steps) && from < each; s++)
	{
		uint32_t to = steps[s] < each ? steps[s] : each;

		if (from == 1)
			choose_parts(nearest, nopen);
		if (from > 0)
			pass_over(nearest, nopen, from, to);
		look_into(nearest, rows, nopen, from, to, index);
		if (to < each)
			nopen = keep_open(nearest, nopen, index);
		from = to;
	}
}

static void
measure_spread(VcNearest *nearest, const float *centroids, const uint32_t *part_of, const float *centres)
{
	uint32_t *count = nearest->fill;

	memset(count, 0, nearest->parts * sizeof(*count));
	memset(nearest->spread, 0, nearest->parts * sizeof(*nearest->spread));
	for (uint32_t i = 0; i < nearest->n; i++)
	{
		nearest->spread[part_of[i]] += vc_kernels->l2sq_f32(centroids + (size_t) i * nearest->dim,
															centres + (size_t) part_of[i] * nearest->dim, nearest->dim);
		count[part_of[i]]++;
	}
	for (uint32_t p = 0; p < nearest->parts; p++)
		nearest->spread[p] = count[p] > 0 ? sqrtf(nearest->spread[p] / (float) count[p]) : 0;
}

/* How far from each centroid the nearest of another part is, as far as the nearest parts tell. */
static void
measure_clear(VcNearest *nearest, const float *centroids, const uint32_t *part_of)
{
	for (uint32_t first = 0; first < nearest->n; first += nearest->batch)
	{
		const float *rows = centroids + (size_t) first * nearest->dim;
		uint32_t count = nearest->n - first < nearest->batch ? nearest->n - first : nearest->batch;
		uint32_t index[MAX_BATCH];
		uint32_t each = start_batch(nearest, rows, count, index);

		choose_parts(nearest, count);

		/* Its own part, or else the farthest, goes last, and that one is not looked into. */
		for (uint32_t i = 0; i < count; i++)
		{
			uint32_t *near = nearest->near + (size_t) i * VC_NEAREST_PARTS;
			uint32_t k = 0;

			while (k < each - 1 && near[k] != part_of[first + i])
				k++;
			memmove(near + k, near + k + 1, (each - 1 - k) * sizeof(*near));
		}
		look_into(nearest, rows, count, 0, each - 1, index);
		for (uint32_t i = 0; i < count; i++)
			nearest->clear[first + i] = (2 * nearest->best[i] + nearest->norm[i]) / CLEAR;
	}
}

VcNearest *
vc_nearest_build(void *memory, uint32_t dim, const float *centroids, uint32_t n, const uint32_t *part_of,
				 const float *centres, uint32_t parts, VcNearestTick tick, void *arg)
{
	char *base = (char *) (((uintptr_t) memory + 63) & ~(uintptr_t) 63);
	VcNearest *nearest = (VcNearest *) base;
	uint32_t panels = 0;

	lay_out(nearest, base, dim, n, parts);
	nearest->dim = dim;
	nearest->n = n;
	nearest->parts = parts;
	nearest->batch = batch_rows(dim);
	nearest->tick = tick;
	nearest->arg = arg;

	/* How many each part has, and so where its panels start; then each centroid goes to the next place of its part. */
	memset(nearest->fill, 0, ((size_t) parts + 1) * sizeof(uint32_t));
	for (uint32_t i = 0; i < n; i++)
		nearest->fill[part_of[i]]++;
	for (uint32_t p = 0; p < parts; p++)
	{
		nearest->starts[p] = panels;
		panels += (nearest->fill[p] + VC_PANEL - 1) / VC_PANEL;
		nearest->fill[p] = nearest->starts[p] * VC_PANEL;
	}
	nearest->starts[parts] = panels;
	memset(nearest->panels, 0, (size_t) panels * VC_PANEL * dim * sizeof(float));
	for (size_t i = 0; i < (size_t) panels * VC_PANEL; i++)
	{
		nearest->half_norms[i] = INFINITY;
		nearest->number[i] = 0;
	}
	for (uint32_t i = 0; i < n; i++)
	{
		const float *centroid = centroids + (size_t) i * dim;
		uint32_t at = nearest->fill[part_of[i]]++;
		float *column = nearest->panels + (size_t) (at / VC_PANEL) * VC_PANEL * dim + at % VC_PANEL;

		nearest->number[at] = i;
		nearest->half_norms[at] = vc_kernels->norm2_f32(centroid, dim) / 2;
		for (uint32_t j = 0; j < dim; j++)
			column[(size_t) j * VC_PANEL] = centroid[j];
	}
	vc_panels_build(centres, parts, dim, nearest->centre_panels, nearest->centre_half_norms);
	for (uint32_t p = 0; p < parts; p++)
		if (nearest->starts[p] == nearest->starts[p + 1])
			nearest->centre_half_norms[p] = INFINITY; /* nothing in it is near */
	memset(nearest->together, 0, (size_t) TOGETHER * dim * sizeof(float));
	measure_spread(nearest, centroids, part_of, centres);
	measure_clear(nearest, centroids, part_of);
	return nearest;
}

void
vc_nearest_find(VcNearest *nearest, const float *rows, size_t nrows, uint32_t *index)
{
	for (size_t i = 0; i < nrows; i += nearest->batch)
		find_batch(nearest, rows + i * nearest->dim, (uint32_t) (nrows - i < nearest->batch ? nrows - i : nearest->batch),
				   index + i);
}
