/*
 * rabitq.c
 *		See rabitq.h.
 *
 * Codes come out alike on every instruction set: signs are comparisons, and the sums that choose a code of more bits are
 * taken in sixteen fixed lanes, compiled without contraction to fused multiply-add. Factors may differ in the last digit.
 */
#include "quantize/rabitq.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "kernels/vc_kernels.h"
#include "kernels/vc_quant.h"

#define LANES 16

static double
lane_total(const float lanes[LANES])
{
	double total = 0.0;

	for (int i = 0; i < LANES; i++)
		total += lanes[i];
	return total;
}

/* <r,r>, <r,x>, <c,x> and <r,c>, all that the factors of a code need. */
typedef struct Products
{
	double rr;
	double rx;
	double cx;
	double rc;
} Products;

/* For x = sign(r) / 2, positive where r > 0. */
static Products
one_bit_products(const float *r, const float *c, uint32_t dim)
{
	VcSignProducts p = vc_kernels->quant->sign_products(r, c != NULL ? c : r, dim);

	if (c == NULL)
		p.cs = p.rc = 0.0f;
	return (Products){p.rr, p.rs / 2.0, p.cs / 2.0, p.rc};
}

/* xx = |x|^2 of the code. */
static void
factors_from_products(VcRabitqMetric metric, Products p, double xx, uint32_t dim, VcRabitqFactors *factors)
{
	double k;
	double spread;
	double add;
	double rescale;
	double err;

	if (!(p.rr > 0.0))
	{
		/* The vector is its centre, as far as float tells: the estimate is exact. */
		*factors = (VcRabitqFactors){0};
		if (p.rr == 0.0)
			return;
	}
	k = p.rr / p.rx;
	spread = p.rr * xx / (p.rx * p.rx) - 1.0;
	err = sqrt(p.rr) * sqrt((spread > 0.0 ? spread : 0.0) / (dim - 1));
	if (metric == VC_RABITQ_L2)
	{
		add = p.rr + 2.0 * k * p.cx;
		rescale = -2.0 * k;
		err *= 2.0;
	}
	else
	{
		add = k * p.cx - p.rc;
		rescale = -k;
	}
	if (fabs(add) < FLT_MAX && fabs(rescale) < FLT_MAX && err < FLT_MAX)
		*factors = (VcRabitqFactors){(float) add, (float) rescale, (float) err};
	else
		*factors = (VcRabitqFactors){0.0f, 0.0f, FLT_MAX};
}

void
vc_rabitq_factors(VcRabitqMetric metric, double rr, double rx, double xx, uint32_t dim, VcRabitqFactors *factors)
{
	factors_from_products(metric, (Products){.rr = rr, .rx = rx}, xx, dim, factors);
}

void
vc_rabitq_encode1(VcRabitqMetric metric, const float *residual, const float *centre, uint32_t dim, uint8_t *packed,
				  VcRabitqFactors *factors)
{
	vc_kernels->quant->signs(residual, dim, packed);
	factors_from_products(metric, one_bit_products(residual, centre, dim), dim / 4.0, dim, factors);
}

void
vc_rabitq_encode1_from(VcRabitqMetric metric, const float *vector, const float *centre, uint32_t dim, uint8_t *packed,
					   VcRabitqFactors *factors)
{
	VcSignProducts p = vc_kernels->quant->sign_difference(vector, centre, dim, packed);

	factors_from_products(metric, (Products){p.rr, p.rs / 2.0, p.cs / 2.0, p.rc}, dim / 4.0, dim, factors);
}

/* The step, in units of the residual's root mean square, that suits normally distributed residuals best. */
static const float gaussian_step[VC_RABITQ_MAX_BITS + 1] = {0,		0,		0.996f, 0.586f, 0.335f,
															0.188f, 0.104f, 0.057f, 0.031f};

/* The lower of two, as one instruction: fminf would be a call, for the sake of NaN. */
static inline float
lower(float a, float b)
{
	return a < b ? a : b;
}

/*
 * Quantise r to the grid of the given inverse step; gives <r,x> and <x,x>.
 * Values are kept as floats xu - half, and the code is written later, once the best grid is known.
 */
static void
try_grid(const float *r, uint32_t dim, float inverse_step, float half, double *rx, double *xx)
{
	float rx_lanes[LANES] = {0};
	float xx_lanes[LANES] = {0};
	uint32_t i = 0;

	for (; i + LANES <= dim; i += LANES)
		for (int j = 0; j < LANES; j++)
		{
			float m = fabsf(r[i + j]);
			float level = (float) (int32_t) lower(m * inverse_step, half) + 0.5f;

			rx_lanes[j] += m * level;
			xx_lanes[j] += level * level;
		}
	for (; i < dim; i++)
	{
		float m = fabsf(r[i]);
		float level = (float) (int32_t) lower(m * inverse_step, half) + 0.5f;

		rx_lanes[i % LANES] += m * level;
		xx_lanes[i % LANES] += level * level;
	}
	*rx = lane_total(rx_lanes);
	*xx = lane_total(xx_lanes);
}

/*
 * The inverse step whose grid points closest in angle to r. Rotated residuals are nearly normal, so it is never far from
 * the Gaussian one: a few to either side are tried, and improve_code sees to the rest.
 */
static float
best_inverse_step(const float *r, uint32_t dim, int bits, float rms)
{
	static const float tries[] = {1.0f, 0.9f, 1.1f, 0.8f, 1.22f};
	float half = (float) ((1 << (bits - 1)) - 1) + 0.25f;
	float centre = 1.0f / (rms * gaussian_step[bits]);
	float best = centre;
	double best_cosine = -1.0;

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++)
	{
		double rx;
		double xx;

		try_grid(r, dim, centre * tries[i], half, &rx, &xx);
		if (rx * rx > best_cosine * xx)
		{
			best_cosine = rx * rx / xx;
			best = centre * tries[i];
		}
	}
	return best;
}

/* One pass over the dimensions, moving a code by one step wherever that turns x towards r. */
static void
improve_code(const float *r, uint32_t dim, int bits, uint8_t *code, double *rx, double *xx)
{
	int top = (1 << (bits - 1)) - 1;

	for (uint32_t i = 0; i < dim; i++)
	{
		double m = fabsf(r[i]);
		int level = r[i] > 0.0f ? code[i] - top - 1 : top - code[i];
		double x = level + 0.5;
		int best = level;

		for (int step = -1; step <= 1; step += 2)
		{
			double new_rx = *rx + step * m;
			double new_xx = *xx + step * 2 * x + 1.0;

			if (level + step < 0 || level + step > top)
				continue;
			if (new_rx * new_rx * *xx > *rx * *rx * new_xx)
			{
				*rx = new_rx;
				*xx = new_xx;
				best = level + step;
				break;
			}
		}
		code[i] = (uint8_t) (r[i] > 0.0f ? top + 1 + best : top - best);
	}
}

void
vc_rabitq_encode(VcRabitqMetric metric, const float *residual, const float *centre, uint32_t dim, int bits, uint8_t *code,
				 VcRabitqFactors *factors)
{
	Products p = one_bit_products(residual, centre, dim);
	int top = (1 << (bits - 1)) - 1;
	float inverse_step;
	double xx = 0.0;
	double rms = sqrt(p.rr / dim);

	/* Values whose squares overflow or vanish in float keep their signs only; the factors see to the rest. */
	if (bits == 1 || !(rms > 1e-30) || !(rms < 1e30))
	{
		for (uint32_t i = 0; i < dim; i++)
			code[i] = (uint8_t) (residual[i] > 0.0f ? top + 1 : top);
		factors_from_products(metric, p, dim / 4.0, dim, factors);
		return;
	}
	inverse_step = best_inverse_step(residual, dim, bits, (float) rms);
	p.rx = 0.0;
	for (uint32_t i = 0; i < dim; i++)
	{
		float m = fabsf(residual[i]);
		int level = (int) lower(m * inverse_step, (float) top + 0.25f);

		code[i] = (uint8_t) (residual[i] > 0.0f ? top + 1 + level : top - level);
		p.rx += (double) m * (level + 0.5);
		xx += (level + 0.5) * (level + 0.5);
	}
	improve_code(residual, dim, bits, code, &p.rx, &xx);
	p.cx = 0.0;
	if (centre != NULL)
		for (uint32_t i = 0; i < dim; i++)
			p.cx += centre[i] * ((double) code[i] - top - 0.5);
	factors_from_products(metric, p, xx, dim, factors);
}

void
vc_rabitq_pack(uint8_t *block, uint32_t dim, int bits, int slot, const uint8_t *code)
{
	int shift = slot < 16 ? 0 : 4;
	uint8_t keep = (uint8_t) (0xF0 >> shift);
	uint8_t *byte = block + slot % 16;

	for (int bit = bits - 1; bit >= 0; bit--)
		for (uint32_t i = 0; i < dim; i += 4, byte += 16)
		{
			unsigned nibble = (code[i] >> bit & 1) | (code[i + 1] >> bit & 1) << 1 | (code[i + 2] >> bit & 1) << 2 |
							  (code[i + 3] >> bit & 1) << 3;

			*byte = (uint8_t) ((*byte & keep) | nibble << shift);
		}
}

void
vc_rabitq_unpack(const uint8_t *block, uint32_t dim, int bits, int slot, uint8_t *code)
{
	int shift = slot < 16 ? 0 : 4;
	const uint8_t *byte = block + slot % 16;

	memset(code, 0, dim);
	for (int bit = bits - 1; bit >= 0; bit--)
		for (uint32_t i = 0; i < dim; i += 4, byte += 16)
			for (int j = 0; j < 4; j++)
				code[i + j] |= (uint8_t) ((*byte >> (shift + j) & 1) << bit);
}

void
vc_rabitq_pack1(uint8_t *block, uint32_t dim, int slot, const uint8_t *packed)
{
	int shift = slot < 16 ? 0 : 4;
	uint8_t keep = (uint8_t) (0xF0 >> shift);
	uint8_t *byte = block + slot % 16;

	for (uint32_t i = 0; i < dim; i += 4, byte += 16)
		*byte = (uint8_t) ((*byte & keep) | (packed[i / 8] >> (i % 8) & 15) << shift);
}

void
vc_rabitq_column1(const uint8_t *block, uint32_t dim, int slot, const uint8_t *packed, uint8_t *column)
{
	int shift = slot < 16 ? 0 : 4;
	uint8_t keep = (uint8_t) (0xF0 >> shift);
	const uint8_t *byte = block + VC_RABITQ_FIRST(slot);

	for (uint32_t i = 0; i < dim; i += 4, byte += 16)
		*column++ = (uint8_t) ((*byte & keep) | (packed[i / 8] >> (i % 8) & 15) << shift);
}

void
vc_rabitq_unpack1(const uint8_t *block, uint32_t dim, int slot, uint8_t *packed)
{
	int shift = slot < 16 ? 0 : 4;
	const uint8_t *byte = block + slot % 16;

	memset(packed, 0, (dim + 7) / 8);
	for (uint32_t i = 0; i < dim; i += 4, byte += 16)
		packed[i / 8] |= (uint8_t) ((*byte >> shift & 15) << (i % 8));
}

void
vc_rabitq_query_init(VcRabitqQuery *query, const float *rotated_query, uint32_t dim, uint8_t *lut)
{
	float abs_sum;

	query->lut = lut;
	query->dim = dim;
	vc_kernels->quant->lut_build(rotated_query, dim / 4, lut, &query->step, &abs_sum);

	/*
	 * A table entry is <xu, q> less its minimum, -sum of the negative parts; so <xu, q> - sum(q) / 2 is the entries' sum
	 * plus -sum of negative parts - sum(q) / 2 = -sum|q_i| / 2.
	 */
	query->bias = -abs_sum / 2;
}

void
vc_rabitq_estimate32(const VcRabitqQuery *query, const uint8_t *block, int bits, const float *add, const float *rescale,
					 float g, float out[VC_RABITQ_BLOCK])
{
	const VcQuantKernels *quant = vc_kernels->quant;
	size_t groups = query->dim / 4;
	uint32_t sum[VC_RABITQ_BLOCK];
	uint32_t plane[VC_RABITQ_BLOCK];

	quant->fastscan(block, query->lut, groups, sum);
	for (int bit = 1; bit < bits; bit++)
	{
		block += groups * 16;
		quant->fastscan(block, query->lut, groups, plane);
		for (int i = 0; i < VC_RABITQ_BLOCK; i++)
			sum[i] = sum[i] * 2 + plane[i];
	}
	quant->estimate32(sum, add, rescale, g, query->step, query->bias * (float) ((1 << bits) - 1), out);
}

/* What the 16 codes of four dimensions contribute to <x, q>. */
static void
group_products(const float *q, float product[16])
{
	product[0] = -(q[0] + q[1] + q[2] + q[3]) / 2;
	for (int bit = 0; bit < 4; bit++)
		for (int n = 1 << bit; n < 2 << bit; n++)
			product[n] = product[n - (1 << bit)] + q[bit];
}

void
vc_rabitq_estimate32_fine(const float *rotated_query, uint32_t dim, const uint8_t *block, int bits, const float *add,
						  const float *rescale, float g, float out[VC_RABITQ_BLOCK])
{
	float product[16];
	float sum[VC_RABITQ_BLOCK] = {0};

	for (int bit = 0; bit < bits; bit++)
	{
		for (int i = 0; i < VC_RABITQ_BLOCK; i++)
			sum[i] *= 2;
		for (uint32_t at = 0; at < dim; at += 4, block += 16)
		{
			group_products(rotated_query + at, product);
			for (int i = 0; i < 16; i++)
			{
				sum[i] += product[block[i] & 15];
				sum[i + 16] += product[block[i] >> 4];
			}
		}
	}
	for (int i = 0; i < VC_RABITQ_BLOCK; i++)
		out[i] = add[i] + g + rescale[i] * sum[i];
}

double
vc_rabitq_estimate_exact(const float *rotated_query, const uint8_t *code, uint32_t dim, int bits,
						 const VcRabitqFactors *factors, double g)
{
	double half = ((1 << bits) - 1) / 2.0;
	double product = 0.0;

	for (uint32_t i = 0; i < dim; i++)
		product += rotated_query[i] * (code[i] - half);
	return factors->add + g + factors->rescale * product;
}
