/*
 * value.c
 *		Values that an index keeps beside its codes, or in their place: how they are stored, and what they tell of a distance.
 *
 * With storage = float a value is stored as its column has it, and its distance is exact. With storage = half a vector is stored
 * in half precision, together with a bound of how far that moved it; by the triangle inequality the exact distance lies in a narrow
 * range around the stored value's. A scan goes to the table only for rows whose ranges overlap (scan.c). Halves and bits
 * are stored as they are either way.
 *
 * The bound is a float cut to its upper sixteen bits and rounded up; it is infinite where half precision has no number for a
 * value.
 */
#include "ivf/ivf.h"

#include <math.h>

#include "kernels/f16.h"
#include "kernels/vc_kernels.h"

/* An upper bound as the upper half of a float; for what is not below infinity, infinity. */
static uint16
round_up(double bound)
{
	float  value = (float) bound;
	uint32 bits;

	if (!(bound < 3.0e38))
		value = INFINITY;
	memcpy(&bits, &value, sizeof(bits));
	if (value == INFINITY)
		return (uint16) (bits >> 16);
	return (uint16) ((bits + 0x1FFFF) >> 16); /* past the rounding to float as well */
}

static float
bound_of(const VcIvfVector *vector)
{
	uint32 bits = (uint32) vector->moved << 16;
	float  value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* What the kernels' sums are off by, relative to the sum of their terms' sizes (src/kernels/README.md), for two sums. */
static double
rounding(uint32 dim)
{
	return (dim / 4 + 16) * 0x1p-23;
}

/* Store value[dim] in half precision; returns the bound. */
static uint16
store_halves(VcIvf *ivf, const float *value, uint16 *halves)
{
	uint32 dim = ivf->meta.dim;
	double moved = 0;
	double norm = 0;

	vc_kernels->f32_to_f16(value, halves, dim);
	for (uint32 i = 0; i < dim; i++)
	{
		double by = (double) value[i] - vc_f16_to_f32(halves[i]);

		moved += by * by;
		norm += (double) value[i] * value[i];
	}
	moved = sqrt(moved);

	/* An inner product's rounding goes by the values' lengths, a squared distance's by itself. */
	if (ivf->metric->kind != VC_METRIC_L2)
		moved += rounding(dim) * sqrt(norm);
	return round_up(moved);
}

void
vc_ivf_value_store(VcIvf *ivf, ItemPointer tid, const VcValue *value, VcIvfVector *out)
{
	out->tid = *tid;
	out->moved = 0;
	out->scale = value->is_zero ? 0 : value->scale;
	if (ivf->stored != ivf->metric)
		out->moved = store_halves(ivf, value->data, (uint16 *) out->data);
	else
		memcpy(out->data, value->data, ivf->rows.value_bytes);
}

bool
vc_ivf_value_range(VcIvf *ivf, const VcIvfQuery *query, const VcIvfVector *vector, float *low, float *high)
{
	double bound;
	double distance;
	double around;

	if (ivf->stored == ivf->metric)
	{
		*low = *high = vc_ivf_distance(ivf, query, vector->data, vector->scale);
		return true;
	}
	if (query->value.data == NULL || query->value.is_zero || (ivf->metric->kind == VC_METRIC_COSINE && vector->scale == 0))
	{
		*low = *high = INFINITY;
		return true;
	}
	bound = bound_of(vector);
	distance = ivf->stored->distance_to_floats(vector->data, vector->scale, query->value.data, query->value.scale,
											   ivf->meta.dim);
	switch (ivf->metric->kind)
	{
		case VC_METRIC_L2:
			/* (d - bound)^2 and (d + bound)^2 */
			around = 2 * sqrt(distance) * bound;
			*low = (float) ((sqrt(distance) > bound ? distance - around + bound * bound : 0) * (1 - rounding(ivf->meta.dim)));
			*high = (float) ((distance + around + bound * bound) * (1 + rounding(ivf->meta.dim)));
			break;
		case VC_METRIC_COSINE:
			around = 2 * bound * vector->scale;
			*low = (float) (distance - around);
			*high = (float) (distance + around);
			break;
		default:
			around = bound * query->norm;
			*low = (float) (distance - around);
			*high = (float) (distance + around);
	}
	if (isfinite(distance) && isfinite(around) && isfinite(*low) && isfinite(*high))
		return false;
	*low = -INFINITY; /* no telling: the table's value is wanted */
	*high = INFINITY;
	return false;
}
