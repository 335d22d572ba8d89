/*
 * nearest.c
 *		See nearest.h.
 */
#include "quantize/nearest.h"

#include <math.h>
#include <string.h>

#include "kernels/vc_kernels.h"
#include "kernels/vc_quant.h"
#include "quantize/rabitq.h"

/* The bounds of codes, in standard errors: one centroid in forty is off by more, and seldom the nearest. */
#define EPSILON 2.0f

/* 32 centroids of one part, followed by their codes. */
typedef struct Block
{
	float add[VC_RABITQ_BLOCK];
	float rescale[VC_RABITQ_BLOCK];
	float err[VC_RABITQ_BLOCK];
	uint32_t number[VC_RABITQ_BLOCK];
} Block;

struct VcNearest
{
	uint32_t dim;
	uint32_t parts;
	const float *centroids;
	const float *centres;
	uint32_t *starts; /* [parts + 1]: blocks of each part */
	char *blocks;
	size_t block_bytes;
	uint8_t *lut;
};

static size_t
block_bytes(uint32_t dim)
{
	return sizeof(Block) + vc_rabitq_plane_size(dim);
}

/* Adds the bytes of n items, aligned to a cache line; sticks at SIZE_MAX. */
static size_t
more(size_t total, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes) || __builtin_add_overflow(total, bytes, &total) || total > SIZE_MAX - 64)
		return SIZE_MAX;
	return (total + 63) & ~(size_t) 63;
}

/* What comes before the blocks. */
static size_t
head_size(uint32_t dim, uint32_t parts)
{
	return more(more(more(more(0, 1, sizeof(VcNearest)), (size_t) parts + 1, sizeof(uint32_t)), dim, sizeof(float)), 1,
				vc_rabitq_lut_size(dim));
}

size_t
vc_nearest_size(uint32_t dim, uint32_t n, uint32_t parts)
{
	/* Each part may leave a block half empty. */
	size_t size = more(head_size(dim, parts), (size_t) n / VC_RABITQ_BLOCK + parts, block_bytes(dim));

	return size > SIZE_MAX - 64 ? SIZE_MAX : size + 64; /* to align its start */
}

static Block *
block_at(const VcNearest *nearest, uint32_t number)
{
	return (Block *) (nearest->blocks + nearest->block_bytes * number);
}

static void
put_centroid(VcNearest *nearest, uint32_t part, uint32_t block_number, int slot, uint32_t number, float *residual)
{
	uint32_t dim = nearest->dim;
	Block *block = block_at(nearest, block_number);
	const float *centroid = nearest->centroids + (size_t) number * dim;
	const float *centre = nearest->centres + (size_t) part * dim;
	uint8_t *packed = nearest->lut; /* not needed yet, and larger */
	VcRabitqFactors factors;

	for (uint32_t i = 0; i < dim; i++)
		residual[i] = centroid[i] - centre[i];
	vc_rabitq_encode1(VC_RABITQ_L2, residual, centre, dim, packed, &factors);
	vc_rabitq_pack1((uint8_t *) (block + 1), dim, slot, packed);
	block->add[slot] = factors.add;
	block->rescale[slot] = factors.rescale;
	block->err[slot] = factors.err;
	block->number[slot] = number;
}

VcNearest *
vc_nearest_build(void *memory, uint32_t dim, const float *centroids, uint32_t n, const uint32_t *part_of,
				 const float *centres, uint32_t parts)
{
	char *base = (char *) (((uintptr_t) memory + 63) & ~(uintptr_t) 63);
	VcNearest *nearest = (VcNearest *) base;
	size_t at = more(0, 1, sizeof(VcNearest));
	float *residual;
	uint32_t blocks = 0;

	nearest->dim = dim;
	nearest->parts = parts;
	nearest->centroids = centroids;
	nearest->centres = centres;
	nearest->starts = (uint32_t *) (base + at);
	at = more(at, (size_t) parts + 1, sizeof(uint32_t));
	residual = (float *) (base + at);
	at = more(at, dim, sizeof(float));
	nearest->lut = (uint8_t *) (base + at);
	nearest->blocks = base + head_size(dim, parts);
	nearest->block_bytes = block_bytes(dim);

	/* Counted first, then the starts, which move on as a part's blocks are filled, by one centroid at a time. */
	memset(nearest->starts, 0, ((size_t) parts + 1) * sizeof(uint32_t));
	for (uint32_t i = 0; i < n; i++)
		nearest->starts[part_of[i]]++;
	for (uint32_t p = 0; p <= parts; p++)
	{
		uint32_t count = p < parts ? (nearest->starts[p] + VC_RABITQ_BLOCK - 1) / VC_RABITQ_BLOCK : 0;

		nearest->starts[p] = blocks;
		blocks += count;
	}
	memset(nearest->blocks, 0, nearest->block_bytes * blocks);
	for (uint32_t b = 0; b < blocks; b++)
		for (int slot = 0; slot < VC_RABITQ_BLOCK; slot++)
		{
			block_at(nearest, b)->add[slot] = INFINITY; /* an empty slot is never near */
			block_at(nearest, b)->number[slot] = UINT32_MAX;
		}
	for (uint32_t i = 0; i < n; i++)
	{
		uint32_t part = part_of[i];
		uint32_t b = nearest->starts[part];
		int slot = 0;

		while (block_at(nearest, b)->number[slot] != UINT32_MAX)
			if (++slot == VC_RABITQ_BLOCK)
			{
				slot = 0;
				b++;
			}
		put_centroid(nearest, part, b, slot, i, residual);
	}
	return nearest;
}

/* The parts nearest to a row, in order; returns how many. */
static uint32_t
nearest_parts(const VcNearest *nearest, const float *row, uint32_t part[VC_NEAREST_PARTS], float distance[VC_NEAREST_PARTS])
{
	uint32_t count = 0;

	for (uint32_t p = 0; p < nearest->parts; p++)
	{
		float d = vc_kernels->l2sq_f32(row, nearest->centres + (size_t) p * nearest->dim, nearest->dim);
		uint32_t at;

		if (isnan(d))
			d = INFINITY;
		if (nearest->starts[p] == nearest->starts[p + 1])
			continue;
		if (count < VC_NEAREST_PARTS)
			at = count++;
		else if (d < distance[VC_NEAREST_PARTS - 1])
			at = VC_NEAREST_PARTS - 1;
		else
			continue;
		for (; at > 0 && distance[at - 1] > d; at--)
		{
			distance[at] = distance[at - 1];
			part[at] = part[at - 1];
		}
		distance[at] = d;
		part[at] = p;
	}
	return count;
}

/* Let a centroid be the best one, if it is nearer. */
static inline void
compare(const VcNearest *nearest, const float *row, uint32_t number, uint32_t *best, float *best_distance)
{
	float d = vc_kernels->l2sq_f32(row, nearest->centroids + (size_t) number * nearest->dim, nearest->dim);

	if (d < *best_distance || (d == *best_distance && number < *best))
	{
		*best_distance = d;
		*best = number;
	}
}

static int
lowest_of(const float estimate[VC_RABITQ_BLOCK])
{
	int lowest = 0;

	for (int i = 1; i < VC_RABITQ_BLOCK; i++)
		if (estimate[i] < estimate[lowest])
			lowest = i;
	return lowest;
}

uint32_t
vc_nearest_find(VcNearest *nearest, const float *row)
{
	const VcQuantKernels *quant = vc_kernels->quant;
	uint32_t part[VC_NEAREST_PARTS];
	float distance[VC_NEAREST_PARTS];
	uint32_t count = nearest_parts(nearest, row, part, distance);
	uint32_t best = UINT32_MAX;
	float best_distance = INFINITY;
	VcRabitqQuery query;

	vc_rabitq_query_init(&query, row, nearest->dim, nearest->lut);
	for (uint32_t i = 0; i < count; i++)
	{
		float scale = sqrtf(distance[i]) * EPSILON;

		for (uint32_t b = nearest->starts[part[i]]; b < nearest->starts[part[i] + 1]; b++)
		{
			const Block *block = block_at(nearest, b);
			float estimate[VC_RABITQ_BLOCK];

			vc_rabitq_estimate32(&query, (const uint8_t *) (block + 1), 1, block->add, block->rescale, distance[i],
								 estimate);
			if (best == UINT32_MAX) /* a good one to begin with rules most of the others out */
				compare(nearest, row, block->number[lowest_of(estimate)], &best, &best_distance);
			for (uint32_t may = quant->below32(estimate, block->err, scale, best_distance); may != 0; may &= may - 1)
			{
				int slot = __builtin_ctz(may);

				if (!(estimate[slot] - scale * block->err[slot] > best_distance) && block->number[slot] != UINT32_MAX)
					compare(nearest, row, block->number[slot], &best, &best_distance);
			}
		}
	}
	return best == UINT32_MAX ? 0 : best;
}
