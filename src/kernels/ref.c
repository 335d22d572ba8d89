/*
 * ref.c
 *		Reference distances in double. Nothing here is tuned: the loops say what the kernels must compute.
 */
#include "kernels/ref.h"

#include <math.h>

#include "kernels/f16.h"

static inline double
widen_f32(float x)
{
	return (double) x;
}

static inline double
widen_f16(uint16_t x)
{
	return (double) vc_f16_to_f32(x);
}

/* The four functions of one pair of element types; WA and WB widen an element of A and of B to double. */
#define DEFINE_PAIR(type, A, WA, B, WB) \
	double vc_ref_l2sq_##type(const A *a, const B *b, size_t n) \
	{ \
		double sum = 0; \
\
		for (size_t i = 0; i < n; i++) \
		{ \
			double diff = WA(a[i]) - WB(b[i]); \
\
			sum += diff * diff; \
		} \
		return sum; \
	} \
\
	double vc_ref_ip_##type(const A *a, const B *b, size_t n) \
	{ \
		double sum = 0; \
\
		for (size_t i = 0; i < n; i++) \
			sum += WA(a[i]) * WB(b[i]); \
		return sum; \
	} \
\
	double vc_ref_l1_##type(const A *a, const B *b, size_t n) \
	{ \
		double sum = 0; \
\
		for (size_t i = 0; i < n; i++) \
			sum += fabs(WA(a[i]) - WB(b[i])); \
		return sum; \
	} \
\
	VcRefDots vc_ref_dots_##type(const A *a, const B *b, size_t n) \
	{ \
		VcRefDots dots = {0, 0, 0}; \
\
		for (size_t i = 0; i < n; i++) \
		{ \
			double x = WA(a[i]); \
			double y = WB(b[i]); \
\
			dots.ab += x * y; \
			dots.aa += x * x; \
			dots.bb += y * y; \
		} \
		return dots; \
	}

DEFINE_PAIR(f32, float, widen_f32, float, widen_f32)
DEFINE_PAIR(f16, uint16_t, widen_f16, uint16_t, widen_f16)
DEFINE_PAIR(f16f32, uint16_t, widen_f16, float, widen_f32)

double
vc_ref_norm2_f32(const float *a, size_t n)
{
	return vc_ref_ip_f32(a, a, n);
}

double
vc_ref_norm2_f16(const uint16_t *a, size_t n)
{
	return vc_ref_ip_f16(a, a, n);
}

static unsigned
count_bits(unsigned byte)
{
	unsigned count = 0;

	for (; byte != 0; byte &= byte - 1)
		count++;
	return count;
}

uint64_t
vc_ref_hamming(const uint8_t *a, const uint8_t *b, size_t n)
{
	uint64_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += count_bits(a[i] ^ b[i]);
	return count;
}

void
vc_ref_and_or_popcount(const uint8_t *a, const uint8_t *b, size_t n, uint64_t *common, uint64_t *either)
{
	*common = 0;
	*either = 0;
	for (size_t i = 0; i < n; i++)
	{
		*common += count_bits(a[i] & b[i]);
		*either += count_bits(a[i] | b[i]);
	}
}
