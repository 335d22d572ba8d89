/*
 * compact.c
 *		See compact.h.
 */
#include "quantize/compact.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "kernels/vc_kernels.h"
#include "kernels/vc_quant.h"
#include "quantize/rabitq.h"

#define LANES 16

#define QUERY_LEVELS 32512 /* the largest value of two planes: 127 * 256 */

/* The deviation of what is rounded to whole steps; with kx a little longer than o. */
#define STEP_DEVIATION 0.3

/* Norms and k are floats: products come out so far off, of the squares they are about. */
#define FLOAT_ROUNDING (1.0 / (1 << 22))

/*
 * With one bit more of some dimensions, x is counted in the steps of those: a dimension without it lies in the middle of two of
 * them.
 */
static bool
is_finer(const VcCompactForm *form)
{
	return form->finer > 0;
}

/* Where the bits that some dimensions have more lie in a packed code. */
static size_t
finer_at(const VcCompactForm *form)
{
	return (size_t) form->dim / 4 * (size_t) (form->bits / 2);
}

/* Bits of a dimension, the one that some have included. */
static int
all_bits(const VcCompactForm *form)
{
	return form->bits + is_finer(form);
}

static void
pack(const VcCompactForm *form, const uint8_t *code, uint8_t *packed)
{
	uint32_t half = form->dim / 2;
	uint32_t quarter = form->dim / 4;
	uint8_t *finer = packed + finer_at(form);
	int low = is_finer(form);

	if (form->bits == 8)
	{
		for (uint32_t i = 0; i < form->dim; i++)
			packed[i] = (uint8_t) (code[i] ^ 0x80);
		return;
	}
	for (uint32_t i = 0; i < half; i++)
		packed[i] = (uint8_t) ((code[i] >> low & 15) | (code[half + i] >> low & 15) << 4);
	if (form->bits == 6)
		for (uint32_t i = 0; i < quarter; i++)
			packed[half + i] = (uint8_t) (code[i] >> low >> 4 | code[quarter + i] >> low >> 4 << 2 | code[half + i] >> low >> 4 << 4 |
										  code[half + quarter + i] >> low >> 4 << 6);
	for (uint32_t i = 0; i < form->finer; i += 8)
	{
		unsigned byte = 0;

		for (uint32_t j = 0; j < 8; j++)
			byte |= (code[i + j] & 1u) << j;
		finer[i / 8] = (uint8_t) byte;
	}
}

/* What is to be added to an unpacked code for the code about its middle. */
static double
middle(const VcCompactForm *form)
{
	return form->bits == 8 ? 0.5 : -((1 << all_bits(form)) - 1) / 2.0;
}

/*
 * The lowest bit of some dimensions only: of the others it is dropped, and the factors are those of the point that is left.
 */
static void
coarsen(const VcCompactForm *form, const float *v, uint8_t *code, VcRabitqFactors *factors)
{
	double m = middle(form);
	double vv = 0.0;
	double vx = 0.0;
	double xx = 0.0;

	for (uint32_t i = 0; i < form->dim; i++)
	{
		double x = code[i] + m;

		if (i >= form->finer)
			x = (code[i] & ~1) + 0.5 + m;
		vv += (double) v[i] * v[i];
		vx += v[i] * x;
		xx += x * x;
	}
	vc_rabitq_factors(VC_RABITQ_IP, vv, vx, xx, form->dim, factors);
}

/* The largest magnitude; in lanes, which the compiler makes vectors of. */
static float
largest(const float *v, uint32_t dim)
{
	float lanes[LANES] = {0};
	float most = 0.0f;
	uint32_t i = 0;

	for (; i + LANES <= dim; i += LANES)
		for (int j = 0; j < LANES; j++)
		{
			float m = fabsf(v[i + j]);

			lanes[j] = m > lanes[j] ? m : lanes[j];
		}
	for (; i < dim; i++)
		most = fabsf(v[i]) > most ? fabsf(v[i]) : most;
	for (int j = 0; j < LANES; j++)
		most = lanes[j] > most ? lanes[j] : most;
	return most;
}

void
vc_compact_encode(const VcCompactForm *form, const float *v, uint8_t *scratch, uint8_t *packed, VcCompactFactors *factors)
{
	VcRabitqFactors f;
	float norm2 = vc_kernels->norm2_f32(v, form->dim);

	/* Of an inner product the factors are -k and the error; the third is zero without a centre. */
	vc_rabitq_encode(VC_RABITQ_IP, v, NULL, form->dim, all_bits(form), scratch, &f);
	if (is_finer(form) && form->finer < form->dim)
		coarsen(form, v, scratch, &f);
	pack(form, scratch, packed);
	*factors = (VcCompactFactors){norm2, -f.rescale, f.err};
	if (f.err == FLT_MAX || !(norm2 <= FLT_MAX))
		*factors = (VcCompactFactors){INFINITY, 0.0f, 0.0f};
	else if (!(norm2 > FLT_MIN * (float) form->dim))
	{
		/* Squares that float cannot tell from zero: the vector counts as zero, and errs by all of it. */
		*factors = (VcCompactFactors){0.0f, 0.0f, largest(v, form->dim) * sqrtf((float) form->dim)};
	}
}

/* Eight bits as eight bytes of 0 or 1, in the order of memory. */
static inline void
spread(uint8_t bits, int8_t out[8])
{
	for (int j = 0; j < 8; j++)
		out[j] = (int8_t) (bits >> j & 1);
}

void
vc_compact_decode(const VcCompactForm *form, const uint8_t *packed, float k, int8_t *scratch, float *out)
{
	const uint8_t *finer = packed + finer_at(form);
	float m = (float) middle(form);

	vc_kernels->quant->unpack(packed, form->bits, form->dim, scratch);
	if (!is_finer(form))
	{
		for (uint32_t i = 0; i < form->dim; i++)
			out[i] = ((float) scratch[i] + m) * k;
		return;
	}
	for (uint32_t i = 0; i < form->finer; i += 8)
	{
		int8_t bit[8];

		spread(finer[i / 8], bit);
		for (int j = 0; j < 8; j++)
			out[i + j] = ((float) (scratch[i + j] * 2 + bit[j]) + m) * k;
	}
	for (uint32_t i = form->finer; i < form->dim; i++)
		out[i] = ((float) (scratch[i] * 2) + 0.5f + m) * k;
}

void
vc_compact_query_init(VcCompactQuery *query, const VcCompactForm *form, const float *v, int8_t *memory)
{
	uint32_t dim = form->dim;
	float most = largest(v, dim);
	int8_t *restrict high = memory;
	int8_t *restrict low = memory + dim;
	float inverse;
	int32_t sum = 0; /* of as many levels as there are dimensions: far from overflow */
	int32_t coarse = 0; /* of the dimensions that have no bit more than others */

	query->high = high;
	query->low = low;
	query->form = *form;
	query->norm2 = vc_kernels->norm2_f32(v, dim);
	query->step = (double) most / QUERY_LEVELS;
	inverse = most > 0 ? QUERY_LEVELS / most : 0.0f;
	if (!(query->norm2 > FLT_MIN * (double) dim))
		query->norm2 = (double) most * most * dim; /* at most: float cannot say */
	/* Where the reciprocal of the step or the norm leaves the range of float, nothing is known. */
	if (!(inverse <= FLT_MAX) || !(query->norm2 <= FLT_MAX))
	{
		query->norm2 = INFINITY;
		query->step = 0;
		inverse = 0.0f;
	}
	if (!(inverse > 0))
		memset(memory, 0, 2 * (size_t) dim);
	for (uint32_t i = 0; inverse > 0 && i < dim; i++)
	{
		float scaled = v[i] * inverse;
		int32_t level = (int32_t) (scaled + (scaled < 0.0f ? -0.5f : 0.5f));
		int32_t upper = (level + 128) >> 8;

		high[i] = (int8_t) upper;
		low[i] = (int8_t) (level - upper * 256);
		sum += level;
	}
	for (uint32_t i = form->finer; is_finer(form) && i < dim; i++)
		coarse += high[i] * 256 + low[i];
	query->offset = (double) sum * middle(form) + (double) coarse / 2;
}

double
vc_compact_product(const VcCompactQuery *query, const uint8_t *packed, float k)
{
	const VcQuantKernels *quant = vc_kernels->quant;
	const VcCompactForm *form = &query->form;
	int32_t products[2];
	double product;

	if (form->bits < 8)
		quant->ip_packed(packed, form->bits, form->dim, query->high, query->low, products);
	else
	{
		products[0] = quant->ip_i8((const int8_t *) packed, query->high, form->dim);
		products[1] = quant->ip_i8((const int8_t *) packed, query->low, form->dim);
	}
	product = (double) products[0] * 256 + products[1];
	if (is_finer(form))
	{
		quant->ip_bits(packed + finer_at(form), form->finer, query->high, query->low, products);
		product = product * 2 + (double) products[0] * 256 + products[1];
	}
	return (product + query->offset) * query->step * k;
}

double
vc_compact_error(const VcCompactQuery *query, const VcCompactFactors *factors, double product, double epsilon)
{
	double certain = sqrt(query->form.dim - 1.0);
	double norm;
	double along;
	double spread;
	double root;
	double rounding;

	if (!(factors->norm2 <= FLT_MAX) || !(query->norm2 <= FLT_MAX))
		return INFINITY;
	if (!(factors->norm2 > 0.0f))
		return sqrt(query->norm2) * factors->err;

	/*
	 * The part of q that is orthogonal to o is known only as well as <q, o> is, which is what we are about to say. With
	 * t = |q_orthogonal|, the error is at most spread |o| t, so t^2 <= |q|^2 - (|product| / |o| - spread t)^2: solved for t.
	 */
	norm = sqrt(factors->norm2);
	along = fabs(product) / norm;
	spread = (epsilon < certain ? epsilon : certain) * factors->err / norm;
	root = query->norm2 * (1 + spread * spread) - along * along;
	rounding = epsilon * STEP_DEVIATION * query->step * norm + FLOAT_ROUNDING * (factors->norm2 + query->norm2);
	return spread * norm * (spread * along + sqrt(root > 0 ? root : 0)) / (1 + spread * spread) + rounding;
}
