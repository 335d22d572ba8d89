/*
 * lanes_128.h
 *		Four lanes through SIMDe: SSE2 on x86-64, NEON on arm64, plain vector code elsewhere.
 */
#ifndef VC_LANES_128_H
#define VC_LANES_128_H

#include <simde/x86/sse2.h>
#include <simde/x86/fma.h>
#include <simde/x86/avx512/popcnt.h>

#ifdef __aarch64__
#include <arm_neon.h>
#endif

#include "kernels/isa.h"
#include "kernels/lanes_part.h"

typedef simde__m128 VF;
#define VF_LANES 4
#define VF_UNROLL 4

VC_INLINE VF
vf_zero(void)
{
	return simde_mm_setzero_ps();
}

VC_INLINE VF
vf_add(VF a, VF b)
{
	return simde_mm_add_ps(a, b);
}

VC_INLINE VF
vf_sub(VF a, VF b)
{
	return simde_mm_sub_ps(a, b);
}

VC_INLINE VF
vf_fma(VF a, VF b, VF c)
{
#ifdef SIMDE_X86_SSE2_NATIVE
	return _mm_add_ps(_mm_mul_ps(a, b), c);
#else
	return simde_mm_fmadd_ps(a, b, c);
#endif
}

VC_INLINE VF
vf_abs(VF a)
{
	return simde_mm_andnot_ps(simde_mm_set1_ps(-0.0f), a);
}

VC_INLINE float
vf_sum(VF a)
{
	VF pairs = simde_mm_add_ps(a, simde_mm_movehl_ps(a, a));

	return simde_mm_cvtss_f32(simde_mm_add_ss(pairs, simde_mm_shuffle_ps(pairs, pairs, 1)));
}

VC_INLINE VF
vf_load_f32(const void *base, size_t i)
{
	return simde_mm_loadu_ps((const float *) base + i);
}

VC_INLINE VF
vf_load_part_f32(const void *base, size_t i, size_t count)
{
	const float *p = (const float *) base + i;

	return simde_mm_setr_ps(count > 0 ? p[0] : 0, count > 1 ? p[1] : 0, count > 2 ? p[2] : 0, 0);
}

VC_INLINE void
vf_store_f32(float *dst, VF v)
{
	simde_mm_storeu_ps(dst, v);
}

VC_INLINE void
vf_store_part_f32(float *dst, VF v, size_t count)
{
	float all[VF_LANES];

	simde_mm_storeu_ps(all, v);
	memcpy(dst, all, count * sizeof(float));
}

#ifdef __aarch64__

/* Every arm64 CPU converts halves in hardware; SIMDe uses that only where half arithmetic is there too. */
VC_INLINE VF
widen_f16(uint64_t halves)
{
	return simde__m128_from_neon_f32(vcvt_f32_f16(vreinterpret_f16_u64(vcreate_u64(halves))));
}

VC_INLINE uint64_t
narrow_f16(VF v)
{
	return vget_lane_u64(vreinterpret_u64_f16(vcvt_f16_f32(simde__m128_to_neon_f32(v))), 0);
}

#else

VC_INLINE simde__m128i
select_si128(simde__m128i mask, simde__m128i yes, simde__m128i no)
{
	return simde_mm_or_si128(simde_mm_and_si128(mask, yes), simde_mm_andnot_si128(mask, no));
}

/*
 * Four halves to float in integer arithmetic. Subnormals go through an integer conversion, not through the usual
 * multiplication of float subnormals: that would take a microcode assist each, and come out as zero in a process that
 * some library has switched to flush-to-zero.
 */
VC_INLINE VF
widen_f16(uint64_t halves)
{
	simde__m128i packed = simde_mm_cvtsi64_si128((int64_t) halves);
	simde__m128i h = simde_mm_unpacklo_epi16(packed, simde_mm_setzero_si128());
	simde__m128i magnitude = simde_mm_and_si128(h, simde_mm_set1_epi32(0x7fff));
	simde__m128i sign = simde_mm_slli_epi32(simde_mm_xor_si128(h, magnitude), 16);
	simde__m128i is_subnormal = simde_mm_cmplt_epi32(magnitude, simde_mm_set1_epi32(0x400));
	simde__m128i is_special = simde_mm_cmpgt_epi32(magnitude, simde_mm_set1_epi32(0x7bff));
	simde__m128i is_nan = simde_mm_cmpgt_epi32(magnitude, simde_mm_set1_epi32(0x7c00));
	simde__m128i normal = simde_mm_add_epi32(simde_mm_slli_epi32(magnitude, 13), simde_mm_set1_epi32(112 << 23));
	simde__m128i subnormal =
		simde_mm_castps_si128(simde_mm_mul_ps(simde_mm_cvtepi32_ps(magnitude), simde_mm_set1_ps(0x1p-24f)));

	/* infinity and NaN: from exponent 31 + 112 on to 255; NaN made quiet */
	normal = simde_mm_add_epi32(normal, simde_mm_and_si128(is_special, simde_mm_set1_epi32(112 << 23)));
	normal = simde_mm_or_si128(normal, simde_mm_and_si128(is_nan, simde_mm_set1_epi32(0x400000)));
	return simde_mm_castsi128_ps(simde_mm_or_si128(sign, select_si128(is_subnormal, subnormal, normal)));
}

/* As vc_f32_to_f16, four at a time. Adding 0.5 leaves a subnormal half in the low mantissa bits, rounded by the adder. */
VC_INLINE uint64_t
narrow_f16(VF v)
{
	simde__m128i bits = simde_mm_castps_si128(v);
	simde__m128i magnitude = simde_mm_and_si128(bits, simde_mm_set1_epi32(0x7fffffff));
	simde__m128i sign = simde_mm_slli_epi32(simde_mm_srli_epi32(bits, 31), 15);
	simde__m128i is_nan = simde_mm_cmpgt_epi32(magnitude, simde_mm_set1_epi32(0x7f800000));
	simde__m128i is_special = simde_mm_cmpgt_epi32(magnitude, simde_mm_set1_epi32(0x477fefff));
	simde__m128i is_subnormal = simde_mm_cmplt_epi32(magnitude, simde_mm_set1_epi32(0x38800000));
	simde__m128i payload = simde_mm_and_si128(simde_mm_srli_epi32(magnitude, 13), simde_mm_set1_epi32(0x3ff));
	simde__m128i special =
		simde_mm_or_si128(simde_mm_set1_epi32(0x7c00),
						  simde_mm_and_si128(is_nan, simde_mm_or_si128(simde_mm_set1_epi32(0x200), payload)));
	simde__m128i odd = simde_mm_and_si128(simde_mm_srli_epi32(magnitude, 13), simde_mm_set1_epi32(1));
	simde__m128i normal = simde_mm_srli_epi32(
		simde_mm_add_epi32(simde_mm_add_epi32(magnitude, simde_mm_set1_epi32(0xfff - 0x38000000)), odd), 13);
	simde__m128 half_added = simde_mm_add_ps(simde_mm_castsi128_ps(magnitude), simde_mm_set1_ps(0.5f));
	simde__m128i subnormal = simde_mm_sub_epi32(simde_mm_castps_si128(half_added), simde_mm_set1_epi32(0x3f000000));
	simde__m128i result = select_si128(is_special, special, select_si128(is_subnormal, subnormal, normal));

	/* sign-extended, so that the signed pack below keeps all sixteen bits */
	result = simde_mm_srai_epi32(simde_mm_slli_epi32(simde_mm_or_si128(result, sign), 16), 16);
	return (uint64_t) simde_mm_cvtsi128_si64(simde_mm_packs_epi32(result, result));
}

#endif

VC_INLINE VF
vf_load_f16(const void *base, size_t i)
{
	uint64_t halves;

	memcpy(&halves, (const uint16_t *) base + i, sizeof(halves));
	return widen_f16(halves);
}

VC_INLINE VF
vf_load_part_f16(const void *base, size_t i, size_t count)
{
	return widen_f16(part_u16x3((const uint16_t *) base + i, count));
}

VC_INLINE void
vf_store_f16(uint16_t *dst, VF v)
{
	uint64_t halves = narrow_f16(v);

	memcpy(dst, &halves, sizeof(halves));
}

VC_INLINE void
vf_store_part_f16(uint16_t *dst, VF v, size_t count)
{
	uint64_t halves = narrow_f16(v);

	memcpy(dst, &halves, count * sizeof(uint16_t));
}

typedef simde__m128i VB;
#define VB_BYTES 16

VC_INLINE VB
vb_zero(void)
{
	return simde_mm_setzero_si128();
}

VC_INLINE VB
vb_load(const uint8_t *p)
{
	return simde_mm_loadu_si128((const simde__m128i *) p);
}

VC_INLINE VB
vb_load_part(const uint8_t *p, size_t count)
{
	uint64_t low = part_u8x8(p, count);
	uint64_t high = count > 8 ? part_u8x8(p + 8, count - 8) : 0;

	return simde_mm_set_epi64x((int64_t) high, (int64_t) low);
}

VC_INLINE VB
vb_xor(VB a, VB b)
{
	return simde_mm_xor_si128(a, b);
}

VC_INLINE VB
vb_and(VB a, VB b)
{
	return simde_mm_and_si128(a, b);
}

VC_INLINE VB
vb_or(VB a, VB b)
{
	return simde_mm_or_si128(a, b);
}

VC_INLINE VB
vb_count(VB v)
{
	return simde_mm_sad_epu8(simde_mm_popcnt_epi8(v), simde_mm_setzero_si128());
}

VC_INLINE VB
vb_add64(VB a, VB b)
{
	return simde_mm_add_epi64(a, b);
}

VC_INLINE uint64_t
vb_sum64(VB v)
{
	return (uint64_t) simde_mm_cvtsi128_si64(simde_mm_add_epi64(v, simde_mm_unpackhi_epi64(v, v)));
}

#endif /* VC_LANES_128_H */
