/*
 * compact.c
 *		See compact.h.
 */
#include "quantize/compact.h"

#include <float.h>
#include <math.h>
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

static void
pack(const uint8_t *code, uint32_t dim, int bits, uint8_t *packed)
{
	uint32_t half = dim / 2;
	uint32_t quarter = dim / 4;

	if (bits == 8)
	{
		for (uint32_t i = 0; i < dim; i++)
			packed[i] = (uint8_t) (code[i] ^ 0x80);
		return;
	}
	for (uint32_t i = 0; i < half; i++)
		packed[i] = (uint8_t) ((code[i] & 15) | (code[half + i] & 15) << 4);
	if (bits == 6)
		for (uint32_t i = 0; i < quarter; i++)
			packed[half + i] = (uint8_t) (code[i] >> 4 | code[quarter + i] >> 4 << 2 | code[half + i] >> 4 << 4 |
										  code[half + quarter + i] >> 4 << 6);
}

/* What is to be added to an unpacked code for the code about its middle. */
static double
middle(int bits)
{
	return bits == 8 ? 0.5 : -((1 << bits) - 1) / 2.0;
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
vc_compact_encode(const float *v, uint32_t dim, int bits, uint8_t *scratch, uint8_t *packed, VcCompactFactors *factors)
{
	VcRabitqFactors f;
	float norm2 = vc_kernels->norm2_f32(v, dim);

	/* Of an inner product the factors are -k and the error; the third is zero without a centre. */
	vc_rabitq_encode(VC_RABITQ_IP, v, NULL, dim, bits, scratch, &f);
	pack(scratch, dim, bits, packed);
	*factors = (VcCompactFactors){norm2, -f.rescale, f.err};
	if (f.err == FLT_MAX || !(norm2 <= FLT_MAX))
		*factors = (VcCompactFactors){INFINITY, 0.0f, 0.0f};
	else if (!(norm2 > FLT_MIN * (float) dim))
	{
		/* Squares that float cannot tell from zero: the vector counts as zero, and errs by all of it. */
		*factors = (VcCompactFactors){0.0f, 0.0f, largest(v, dim) * sqrtf((float) dim)};
	}
}

void
vc_compact_decode(const uint8_t *packed, float k, uint32_t dim, int bits, int8_t *scratch, float *out)
{
	float m = (float) middle(bits);

	vc_kernels->quant->unpack(packed, bits, dim, scratch);
	for (uint32_t i = 0; i < dim; i++)
		out[i] = ((float) scratch[i] + m) * k;
}

void
vc_compact_query_init(VcCompactQuery *query, const float *v, uint32_t dim, int bits, int8_t *memory)
{
	float most = largest(v, dim);
	int8_t *restrict high = memory;
	int8_t *restrict low = memory + dim;
	float inverse;
	int32_t sum = 0; /* of as many levels as there are dimensions: far from overflow */

	query->high = high;
	query->low = low;
	query->dim = dim;
	query->bits = bits;
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
	query->offset = (double) sum * middle(bits);
}

double
vc_compact_product(const VcCompactQuery *query, const uint8_t *packed, float k)
{
	const VcQuantKernels *quant = vc_kernels->quant;
	int32_t products[2];

	if (query->bits < 8)
		quant->ip_packed(packed, query->bits, query->dim, query->high, query->low, products);
	else
	{
		products[0] = quant->ip_i8((const int8_t *) packed, query->high, query->dim);
		products[1] = quant->ip_i8((const int8_t *) packed, query->low, query->dim);
	}
	return ((double) products[0] * 256 + products[1] + query->offset) * query->step * k;
}

double
vc_compact_error(const VcCompactQuery *query, const VcCompactFactors *factors, double product, double epsilon)
{
	double certain = sqrt(query->dim - 1.0);
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
