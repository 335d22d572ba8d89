/*
 * lanes_512.h
 *		Sixteen lanes: AVX-512 F, BW, DQ, VL with VPOPCNTDQ. Tails are masked loads and stores throughout.
 */
#ifndef VC_LANES_512_H
#define VC_LANES_512_H

#include <immintrin.h>

#include "kernels/isa.h"

typedef __m512 VF;
#define VF_LANES 16
#define VF_UNROLL 4

VC_INLINE VF
vf_zero(void)
{
	return _mm512_setzero_ps();
}

VC_INLINE VF
vf_add(VF a, VF b)
{
	return _mm512_add_ps(a, b);
}

VC_INLINE VF
vf_sub(VF a, VF b)
{
	return _mm512_sub_ps(a, b);
}

VC_INLINE VF
vf_fma(VF a, VF b, VF c)
{
	return _mm512_fmadd_ps(a, b, c);
}

VC_INLINE VF
vf_abs(VF a)
{
	return _mm512_abs_ps(a);
}

VC_INLINE float
vf_sum(VF a)
{
	__m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
	__m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
	__m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));

	return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

/* One bit for each of the first count (below 16) lanes. */
VC_INLINE __mmask16
first_lanes(size_t count)
{
	return (__mmask16) _bzhi_u32(0xffff, (unsigned) count);
}

VC_INLINE VF
vf_load_f32(const void *base, size_t i)
{
	return _mm512_loadu_ps((const float *) base + i);
}

VC_INLINE VF
vf_load_part_f32(const void *base, size_t i, size_t count)
{
	return _mm512_maskz_loadu_ps(first_lanes(count), (const float *) base + i);
}

VC_INLINE VF
vf_load_f16(const void *base, size_t i)
{
	return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *) ((const uint16_t *) base + i)));
}

VC_INLINE VF
vf_load_part_f16(const void *base, size_t i, size_t count)
{
	return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first_lanes(count), (const uint16_t *) base + i));
}

VC_INLINE void
vf_store_f32(float *dst, VF v)
{
	_mm512_storeu_ps(dst, v);
}

VC_INLINE void
vf_store_part_f32(float *dst, VF v, size_t count)
{
	_mm512_mask_storeu_ps(dst, first_lanes(count), v);
}

VC_INLINE __m256i
narrow_f16(VF v)
{
	return _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

VC_INLINE void
vf_store_f16(uint16_t *dst, VF v)
{
	_mm256_storeu_si256((__m256i *) dst, narrow_f16(v));
}

VC_INLINE void
vf_store_part_f16(uint16_t *dst, VF v, size_t count)
{
	_mm256_mask_storeu_epi16(dst, first_lanes(count), narrow_f16(v));
}

typedef __m512i VB;
#define VB_BYTES 64

VC_INLINE VB
vb_zero(void)
{
	return _mm512_setzero_si512();
}

VC_INLINE VB
vb_load(const uint8_t *p)
{
	return _mm512_loadu_si512(p);
}

VC_INLINE VB
vb_load_part(const uint8_t *p, size_t count)
{
	return _mm512_maskz_loadu_epi8(_bzhi_u64(~UINT64_C(0), (unsigned) count), p);
}

VC_INLINE VB
vb_xor(VB a, VB b)
{
	return _mm512_xor_si512(a, b);
}

VC_INLINE VB
vb_and(VB a, VB b)
{
	return _mm512_and_si512(a, b);
}

VC_INLINE VB
vb_or(VB a, VB b)
{
	return _mm512_or_si512(a, b);
}

VC_INLINE VB
vb_count(VB v)
{
	return _mm512_popcnt_epi64(v);
}

VC_INLINE VB
vb_add64(VB a, VB b)
{
	return _mm512_add_epi64(a, b);
}

VC_INLINE uint64_t
vb_sum64(VB v)
{
	return (uint64_t) _mm512_reduce_add_epi64(v);
}

#endif /* VC_LANES_512_H */
