/*
 * rotation.c
 *		See rotation.h. The steps are kernels, so that each is vectorised for the CPU at hand.
 */
#include "quantize/rotation.h"

#include <string.h>

#include "kernels/vc_kernels.h"
#include "kernels/vc_quant.h"
#include "quantize/random.h"

#define ROUNDS 4

size_t
vc_rotation_size(uint32_t padded)
{
	return offsetof(VcRotation, signs) + padded;
}

void
vc_rotation_init(VcRotation *rotation, uint32_t dim, uint32_t padded, uint64_t seed)
{
	uint64_t state = seed;

	rotation->seed = seed;
	rotation->dim = dim;
	rotation->padded = padded;
	for (uint32_t i = 0; i < rotation->padded; i++)
		rotation->signs[i] = (uint8_t) (vc_random_next(&state) >> 60);
}

static unsigned
floor_log2(uint32_t n)
{
	return 31 - (unsigned) __builtin_clz(n);
}

/* 2^(-k/2), from constants: the square root is rounded once and alike everywhere. */
static float
transform_scale(unsigned k)
{
	return (float) (1.0 / (double) (UINT64_C(1) << (k / 2)) * (k % 2 ? 0.70710678118654752440 : 1.0));
}

void
vc_rotation_apply(const VcRotation *rotation, const float *in, float *out)
{
	const VcQuantKernels *quant = vc_kernels->quant;
	uint32_t n = rotation->padded;
	unsigned k = floor_log2(n);
	uint32_t span = UINT32_C(1) << k;

	if (out != in)
		memcpy(out, in, rotation->dim * sizeof(float));
	memset(out + rotation->dim, 0, (n - rotation->dim) * sizeof(float));
	for (unsigned round = 0; round < ROUNDS; round++)
	{
		float *part = round % 2 == 0 ? out : out + (n - span);

		quant->flip(out, rotation->signs, round, n);
		quant->scale(part, span, transform_scale(k));
		quant->hadamard(part, k);
		if (span < n)
			quant->butterfly(out, n / 2);
	}
	if (span < n)
		quant->scale(out, n, 0.25f); /* four Kac steps, each sqrt(2) too long */
}

void
vc_rotation_invert(const VcRotation *rotation, float *in, float *out)
{
	const VcQuantKernels *quant = vc_kernels->quant;
	uint32_t n = rotation->padded;
	unsigned k = floor_log2(n);
	uint32_t span = UINT32_C(1) << k;

	/* Each step is its own inverse up to scale, so the same steps are taken backwards. */
	for (unsigned round = ROUNDS; round-- > 0;)
	{
		float *part = round % 2 == 0 ? in : in + (n - span);

		if (span < n)
			quant->butterfly(in, n / 2);
		quant->scale(part, span, transform_scale(k));
		quant->hadamard(part, k);
		quant->flip(in, rotation->signs, round, n);
	}
	if (span < n)
		quant->scale(in, n, 0.25f);
	memmove(out, in, rotation->dim * sizeof(float));
}
