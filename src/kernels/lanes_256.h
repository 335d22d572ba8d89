/*
 * lanes_256.h
 *		Eight lanes: AVX2 with FMA and F16C. Masked loads read no masked-out element, so tails need no scalar loop.
 */
#ifndef VC_LANES_256_H
#define VC_LANES_256_H

#include <immintrin.h>

#include "kernels/isa.h"
#include "kernels/lanes_part.h"

typedef __m256 VF;
#define VF_LANES 8
#define VF_UNROLL 4

VC_INLINE VF
vf_zero(void)
{
	return _mm256_setzero_ps();
}

VC_INLINE VF
vf_add(VF a, VF b)
{
	return _mm256_add_ps(a, b);
}

VC_INLINE VF
vf_sub(VF a, VF b)
{
	return _mm256_sub_ps(a, b);
}

VC_INLINE VF
vf_fma(VF a, VF b, VF c)
{
	return _mm256_fmadd_ps(a, b, c);
}

VC_INLINE VF
vf_abs(VF a)
{
	return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}

VC_INLINE float
vf_sum(VF a)
{
	__m128 four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
	__m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));

	return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

/* All ones in the first count lanes. */
VC_INLINE __m256i
first_lanes(size_t count)
{
	return _mm256_cmpgt_epi32(_mm256_set1_epi32((int) count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

VC_INLINE VF
vf_load_f32(const void *base, size_t i)
{
	return _mm256_loadu_ps((const float *) base + i);
}

VC_INLINE VF
vf_load_part_f32(const void *base, size_t i, size_t count)
{
	return _mm256_maskload_ps((const float *) base + i, first_lanes(count));
}

VC_INLINE VF
vf_load_f16(const void *base, size_t i)
{
	return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *) ((const uint16_t *) base + i)));
}

VC_INLINE VF
vf_load_part_f16(const void *base, size_t i, size_t count)
{
	const uint16_t *p = (const uint16_t *) base + i;
	uint64_t low;
	uint64_t high = 0;

	if (count >= 4)
	{
		memcpy(&low, p, sizeof(low));
		high = part_u16x3(p + 4, count - 4);
	}
	else
		low = part_u16x3(p, count);
	return _mm256_cvtph_ps(_mm_set_epi64x((long long) high, (long long) low));
}

VC_INLINE void
vf_store_f32(float *dst, VF v)
{
	_mm256_storeu_ps(dst, v);
}

VC_INLINE void
vf_store_part_f32(float *dst, VF v, size_t count)
{
	_mm256_maskstore_ps(dst, first_lanes(count), v);
}

VC_INLINE void
vf_store_f16(uint16_t *dst, VF v)
{
	_mm_storeu_si128((__m128i *) dst, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

VC_INLINE void
vf_store_part_f16(uint16_t *dst, VF v, size_t count)
{
	uint16_t all[VF_LANES];

	vf_store_f16(all, v);
	memcpy(dst, all, count * sizeof(uint16_t));
}

typedef __m256i VB;
#define VB_BYTES 32

VC_INLINE VB
vb_zero(void)
{
	return _mm256_setzero_si256();
}

VC_INLINE VB
vb_load(const uint8_t *p)
{
	return _mm256_loadu_si256((const __m256i *) p);
}

/* count (0 to 16) bytes, zeros after them. */
VC_INLINE __m128i
part_u8x16(const uint8_t *p, size_t count)
{
	uint64_t low = part_u8x8(p, count);
	uint64_t high = count > 8 ? part_u8x8(p + 8, count - 8) : 0;

	return _mm_set_epi64x((long long) high, (long long) low);
}

VC_INLINE VB
vb_load_part(const uint8_t *p, size_t count)
{
	if (count < 16)
		return _mm256_zextsi128_si256(part_u8x16(p, count));
	return _mm256_setr_m128i(_mm_loadu_si128((const __m128i *) p), part_u8x16(p + 16, count - 16));
}

VC_INLINE VB
vb_xor(VB a, VB b)
{
	return _mm256_xor_si256(a, b);
}

VC_INLINE VB
vb_and(VB a, VB b)
{
	return _mm256_and_si256(a, b);
}

VC_INLINE VB
vb_or(VB a, VB b)
{
	return _mm256_or_si256(a, b);
}

/* Bits per nibble by table look-up, nibbles to bytes, bytes to 64-bit sums. */
VC_INLINE VB
vb_count(VB v)
{
	const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2,
										   3, 2, 3, 3, 4);
	const __m256i nibble = _mm256_set1_epi8(0x0f);
	__m256i low = _mm256_shuffle_epi8(table, _mm256_and_si256(v, nibble));
	__m256i high = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(v, 4), nibble));

	return _mm256_sad_epu8(_mm256_add_epi8(low, high), _mm256_setzero_si256());
}

VC_INLINE VB
vb_add64(VB a, VB b)
{
	return _mm256_add_epi64(a, b);
}

VC_INLINE uint64_t
vb_sum64(VB v)
{
	__m128i two = _mm_add_epi64(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));

	return (uint64_t) _mm_extract_epi64(two, 0) + (uint64_t) _mm_extract_epi64(two, 1);
}

#endif /* VC_LANES_256_H */
