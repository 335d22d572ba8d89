/*
 * f16.h
 *		IEEE binary16 to and from float, one value at a time, in integer arithmetic: what the scalar kernels, the reference
 *		and callers that parse or print single values use. The hardware conversions of the other instruction sets give the
 *		same bits for every input.
 */
#ifndef VC_F16_H
#define VC_F16_H

#include <stdint.h>
#include <string.h>

/* Exact; a signalling NaN comes out quiet with its payload, as the hardware has it. */
static inline float
vc_f16_to_f32(uint16_t h)
{
	uint32_t sign = (uint32_t) (h & 0x8000) << 16;
	uint32_t exponent = (h >> 10) & 0x1f;
	uint32_t mantissa = h & 0x3ff;
	uint32_t bits;
	float value;

	if (exponent == 0)
	{
		/* zero or subnormal: mantissa * 2^-24 is exact in float */
		value = (float) mantissa * 0x1p-24f;
		memcpy(&bits, &value, sizeof(bits));
		bits |= sign;
	}
	else if (exponent == 0x1f)
		bits = sign | 0x7f800000 | (mantissa << 13) | (mantissa != 0 ? 0x400000 : 0);
	else
		bits = sign | ((exponent + 112) << 23) | (mantissa << 13);

	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* Rounds to nearest, ties to even; from 65520 on the result is infinity; NaN stays NaN, quiet, with its top payload bits. */
static inline uint16_t
vc_f32_to_f16(float value)
{
	uint32_t bits;
	uint16_t sign;

	memcpy(&bits, &value, sizeof(bits));
	sign = (uint16_t) ((bits >> 16) & 0x8000);
	bits &= 0x7fffffff;

	if (bits > 0x7f800000)
		return (uint16_t) (sign | 0x7e00 | ((bits >> 13) & 0x3ff));
	if (bits >= 0x477ff000) /* 65520, halfway between 65504 and the next power of two */
		return (uint16_t) (sign | 0x7c00);
	if (bits >= 0x38800000) /* 2^-14, the least normal half: rounding may carry into the exponent, as it should */
	{
		bits += 0xfff + ((bits >> 13) & 1);
		return (uint16_t) (sign | ((bits - 0x38000000) >> 13));
	}
	if (bits > 0x33000000) /* above 2^-25, half the least subnormal */
	{
		uint32_t mantissa = (bits & 0x7fffff) | 0x800000;
		uint32_t shift = 126 - (bits >> 23);
		uint32_t result = mantissa >> shift;
		uint32_t rest = mantissa & ((1u << shift) - 1);
		uint32_t half = 1u << (shift - 1);

		if (rest > half || (rest == half && (result & 1) != 0))
			result++;
		return (uint16_t) (sign | result);
	}
	return sign;
}

#endif /* VC_F16_H */
