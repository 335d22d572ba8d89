/*
 * lanes_scalar.h
 *		One lane: the vector operations of the kernels in plain C. The Makefile keeps the compiler from vectorising
 *		isa_scalar.c, so that this stays what its name says, the yardstick of the others.
 *
 * The operations every lanes_*.h defines, here and once:
 *	VF, VF_LANES			a vector of floats and how many
 *	VF_UNROLL				how many vectors a loop takes at a time, enough to cover the latency of an add with independent sums
 *	vf_load_T(base, i)		VF_LANES elements of type T from element i on, as floats; needs the alignment of T only
 *	vf_load_part_T(base, i, count)	the same for count < VF_LANES elements, zero in the other lanes; touches only these
 *	vf_store_T, vf_store_part_T	the reverse; to half rounds to nearest even
 *	vf_fma(a, b, c)			a * b + c, fused where the hardware can
 *	VB, VB_BYTES			a vector of bytes and how many
 *	vb_count(v)				set bits of v, as sums in 64-bit lanes; vb_add64 adds such, vb_sum64 sums the lanes
 */
#ifndef VC_LANES_SCALAR_H
#define VC_LANES_SCALAR_H

#include "kernels/f16.h"
#include "kernels/isa.h"
#include "kernels/lanes_part.h"

typedef float VF;
#define VF_LANES 1
#define VF_UNROLL 4

VC_INLINE VF
vf_zero(void)
{
	return 0;
}

VC_INLINE VF
vf_add(VF a, VF b)
{
	return a + b;
}

VC_INLINE VF
vf_sub(VF a, VF b)
{
	return a - b;
}

VC_INLINE VF
vf_fma(VF a, VF b, VF c)
{
	return a * b + c;
}

VC_INLINE VF
vf_abs(VF a)
{
	return __builtin_fabsf(a);
}

VC_INLINE float
vf_sum(VF a)
{
	return a;
}

VC_INLINE VF
vf_load_f32(const void *base, size_t i)
{
	return ((const float *) base)[i];
}

VC_INLINE VF
vf_load_part_f32(const void *base, size_t i, size_t count)
{
	return count > 0 ? vf_load_f32(base, i) : 0;
}

VC_INLINE VF
vf_load_f16(const void *base, size_t i)
{
	return vc_f16_to_f32(((const uint16_t *) base)[i]);
}

VC_INLINE VF
vf_load_part_f16(const void *base, size_t i, size_t count)
{
	return count > 0 ? vf_load_f16(base, i) : 0;
}

VC_INLINE void
vf_store_f32(float *dst, VF v)
{
	*dst = v;
}

VC_INLINE void
vf_store_part_f32(float *dst, VF v, size_t count)
{
	if (count > 0)
		*dst = v;
}

VC_INLINE void
vf_store_f16(uint16_t *dst, VF v)
{
	*dst = vc_f32_to_f16(v);
}

VC_INLINE void
vf_store_part_f16(uint16_t *dst, VF v, size_t count)
{
	if (count > 0)
		*dst = vc_f32_to_f16(v);
}

typedef uint64_t VB;
#define VB_BYTES 8

VC_INLINE VB
vb_zero(void)
{
	return 0;
}

VC_INLINE VB
vb_load(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

VC_INLINE VB
vb_load_part(const uint8_t *p, size_t count)
{
	return part_u8x8(p, count);
}

VC_INLINE VB
vb_xor(VB a, VB b)
{
	return a ^ b;
}

VC_INLINE VB
vb_and(VB a, VB b)
{
	return a & b;
}

VC_INLINE VB
vb_or(VB a, VB b)
{
	return a | b;
}

/* Not __builtin_popcountll, which is a library call where the POPCNT instruction may not be assumed. */
VC_INLINE VB
vb_count(VB v)
{
	v -= (v >> 1) & UINT64_C(0x5555555555555555);
	v = (v & UINT64_C(0x3333333333333333)) + ((v >> 2) & UINT64_C(0x3333333333333333));
	v = (v + (v >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	return (v * UINT64_C(0x0101010101010101)) >> 56;
}

VC_INLINE VB
vb_add64(VB a, VB b)
{
	return a + b;
}

VC_INLINE uint64_t
vb_sum64(VB v)
{
	return v;
}

#endif /* VC_LANES_SCALAR_H */
