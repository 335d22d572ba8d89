/*
 * quant_impl.h
 *		The kernels of vc_quant.h, compiled once per instruction set: included by each isa_*.c before table_impl.h.
 *
 * Code that the compiler vectorises well by itself is plain C; sixteen-lane arithmetic uses the compiler's vector type,
 * which becomes one, two or four registers as the instruction set has it. Only byte shuffles and byte products are
 * written per instruction set, told apart by VF_LANES of its lanes_*.h.
 */
#include "kernels/vc_quant.h"

#include <string.h>

#if VF_LANES >= 8
#include <immintrin.h>
#elif VF_LANES == 4
#include <simde/x86/ssse3.h>
#endif

/* Sixteen lanes, and the same at any address. */
typedef float vc_v16f __attribute__((vector_size(64)));
typedef int32_t vc_v16i __attribute__((vector_size(64)));
typedef float vc_v16f_at __attribute__((vector_size(64), aligned(4), may_alias));

/* Macros, because a function that passes such a vector would mean something else to each instruction set. */
#define VC_LOAD16(p) ((vc_v16f) * (const vc_v16f_at *) (p))
#define VC_STORE16(p, v) (*(vc_v16f_at *) (p) = (v))

/*
 * FastScan. Sums of bytes are kept in 16-bit lanes: the sum of whole words carries odd bytes times 256 above the even
 * ones, the sum of words shifted right carries the odd bytes alone, and the difference modulo 2^16 recovers the even
 * ones. 256 groups of 255 fit in 16 bits, so at most 1,024 dimensions go by before the lanes are widened.
 */
#define VC_FASTSCAN_CHUNK 256

#if VF_LANES == 1
static void
VC_KERNEL(quant_fastscan)(const uint8_t *block, const uint8_t *lut, size_t groups, uint32_t sum[32])
{
	memset(sum, 0, 32 * sizeof(uint32_t));
	for (size_t g = 0; g < groups; g++, block += 16, lut += 16)
		for (int j = 0; j < 16; j++)
		{
			sum[j] += lut[block[j] & 15];
			sum[j + 16] += lut[block[j] >> 4];
		}
}
#elif VF_LANES == 16
VC_INLINE __m256i
vc_fold_lanes(__m512i words)
{
	__m256i x = _mm256_add_epi16(_mm512_castsi512_si256(words), _mm512_extracti64x4_epi64(words, 1));

	/* The two 128-bit lanes hold the same eight vectors; leave their sum in the low lane. */
	return _mm256_add_epi16(x, _mm256_permute2x128_si256(x, x, 1));
}

VC_INLINE void
vc_add_words(uint32_t *sum, __m512i all, __m512i odd)
{
	__m256i a = vc_fold_lanes(all);
	__m256i o = vc_fold_lanes(odd);
	__m128i even = _mm256_castsi256_si128(_mm256_sub_epi16(a, _mm256_slli_epi16(o, 8)));
	__m128i odd8 = _mm256_castsi256_si128(o);
	__m512i wide = _mm512_cvtepu16_epi32(
		_mm256_set_m128i(_mm_unpackhi_epi16(even, odd8), _mm_unpacklo_epi16(even, odd8)));

	_mm512_storeu_si512(sum, _mm512_add_epi32(_mm512_loadu_si512(sum), wide));
}

static void
VC_KERNEL(quant_fastscan)(const uint8_t *block, const uint8_t *lut, size_t groups, uint32_t sum[32])
{
	const __m512i nibble = _mm512_set1_epi8(15);

	memset(sum, 0, 32 * sizeof(uint32_t));
	while (groups > 0)
	{
		size_t chunk = groups < VC_FASTSCAN_CHUNK ? groups : VC_FASTSCAN_CHUNK;
		__m512i lo = _mm512_setzero_si512();
		__m512i lo_odd = lo;
		__m512i hi = lo;
		__m512i hi_odd = lo;

		groups -= chunk;
		for (; chunk > 0;)
		{
			size_t step = chunk < 4 ? chunk : 4;
			__mmask64 mask = step == 4 ? ~(__mmask64) 0 : (((__mmask64) 1 << (step * 16)) - 1);
			__m512i codes = _mm512_maskz_loadu_epi8(mask, block);
			__m512i table = _mm512_maskz_loadu_epi8(mask, lut);
			__m512i l = _mm512_shuffle_epi8(table, _mm512_and_si512(codes, nibble));
			__m512i h = _mm512_shuffle_epi8(table, _mm512_and_si512(_mm512_srli_epi16(codes, 4), nibble));

			lo = _mm512_add_epi16(lo, l);
			lo_odd = _mm512_add_epi16(lo_odd, _mm512_srli_epi16(l, 8));
			hi = _mm512_add_epi16(hi, h);
			hi_odd = _mm512_add_epi16(hi_odd, _mm512_srli_epi16(h, 8));
			block += step * 16;
			lut += step * 16;
			chunk -= step;
		}
		vc_add_words(sum, lo, lo_odd);
		vc_add_words(sum + 16, hi, hi_odd);
	}
}
#elif VF_LANES == 8
VC_INLINE void
vc_add_words(uint32_t *sum, __m256i all, __m256i odd)
{
	__m128i a = _mm_add_epi16(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
	__m128i o = _mm_add_epi16(_mm256_castsi256_si128(odd), _mm256_extracti128_si256(odd, 1));
	__m128i even = _mm_sub_epi16(a, _mm_slli_epi16(o, 8));
	__m256i first = _mm256_cvtepu16_epi32(_mm_unpacklo_epi16(even, o));
	__m256i second = _mm256_cvtepu16_epi32(_mm_unpackhi_epi16(even, o));

	_mm256_storeu_si256((__m256i *) sum, _mm256_add_epi32(_mm256_loadu_si256((__m256i *) sum), first));
	_mm256_storeu_si256((__m256i *) (sum + 8), _mm256_add_epi32(_mm256_loadu_si256((__m256i *) (sum + 8)), second));
}

static void
VC_KERNEL(quant_fastscan)(const uint8_t *block, const uint8_t *lut, size_t groups, uint32_t sum[32])
{
	const __m256i nibble = _mm256_set1_epi8(15);

	memset(sum, 0, 32 * sizeof(uint32_t));
	while (groups > 0)
	{
		size_t chunk = groups < VC_FASTSCAN_CHUNK ? groups : VC_FASTSCAN_CHUNK;
		__m256i lo = _mm256_setzero_si256();
		__m256i lo_odd = lo;
		__m256i hi = lo;
		__m256i hi_odd = lo;

		groups -= chunk;
		for (; chunk > 0;)
		{
			size_t step = chunk < 2 ? 1 : 2;
			__m256i codes;
			__m256i table;
			__m256i l;
			__m256i h;

			if (step == 2)
			{
				codes = _mm256_loadu_si256((const __m256i *) block);
				table = _mm256_loadu_si256((const __m256i *) lut);
			}
			else
			{
				codes = _mm256_zextsi128_si256(_mm_loadu_si128((const __m128i *) block));
				table = _mm256_zextsi128_si256(_mm_loadu_si128((const __m128i *) lut));
			}
			l = _mm256_shuffle_epi8(table, _mm256_and_si256(codes, nibble));
			h = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(codes, 4), nibble));
			lo = _mm256_add_epi16(lo, l);
			lo_odd = _mm256_add_epi16(lo_odd, _mm256_srli_epi16(l, 8));
			hi = _mm256_add_epi16(hi, h);
			hi_odd = _mm256_add_epi16(hi_odd, _mm256_srli_epi16(h, 8));
			block += step * 16;
			lut += step * 16;
			chunk -= step;
		}
		vc_add_words(sum, lo, lo_odd);
		vc_add_words(sum + 16, hi, hi_odd);
	}
}
#else
VC_INLINE void
vc_add_words(uint32_t *sum, simde__m128i all, simde__m128i odd)
{
	const simde__m128i zero = simde_mm_setzero_si128();
	simde__m128i even = simde_mm_sub_epi16(all, simde_mm_slli_epi16(odd, 8));
	simde__m128i half[2] = {simde_mm_unpacklo_epi16(even, odd), simde_mm_unpackhi_epi16(even, odd)};

	for (int i = 0; i < 4; i++)
	{
		simde__m128i *p = (simde__m128i *) (sum + 4 * i);
		simde__m128i wide = i % 2 == 0 ? simde_mm_unpacklo_epi16(half[i / 2], zero)
									   : simde_mm_unpackhi_epi16(half[i / 2], zero);

		simde_mm_storeu_si128(p, simde_mm_add_epi32(simde_mm_loadu_si128(p), wide));
	}
}

static void
VC_KERNEL(quant_fastscan)(const uint8_t *block, const uint8_t *lut, size_t groups, uint32_t sum[32])
{
	const simde__m128i nibble = simde_mm_set1_epi8(15);

	memset(sum, 0, 32 * sizeof(uint32_t));
	while (groups > 0)
	{
		size_t chunk = groups < VC_FASTSCAN_CHUNK ? groups : VC_FASTSCAN_CHUNK;
		simde__m128i lo = simde_mm_setzero_si128();
		simde__m128i lo_odd = lo;
		simde__m128i hi = lo;
		simde__m128i hi_odd = lo;

		groups -= chunk;
		for (; chunk > 0; chunk--, block += 16, lut += 16)
		{
			simde__m128i codes = simde_mm_loadu_si128((const simde__m128i *) block);
			simde__m128i table = simde_mm_loadu_si128((const simde__m128i *) lut);
			simde__m128i l = simde_mm_shuffle_epi8(table, simde_mm_and_si128(codes, nibble));
			simde__m128i h = simde_mm_shuffle_epi8(table, simde_mm_and_si128(simde_mm_srli_epi16(codes, 4), nibble));

			lo = simde_mm_add_epi16(lo, l);
			lo_odd = simde_mm_add_epi16(lo_odd, simde_mm_srli_epi16(l, 8));
			hi = simde_mm_add_epi16(hi, h);
			hi_odd = simde_mm_add_epi16(hi_odd, simde_mm_srli_epi16(h, 8));
		}
		vc_add_words(sum, lo, lo_odd);
		vc_add_words(sum + 16, hi, hi_odd);
	}
}
#endif

static void
VC_KERNEL(quant_estimate32)(const uint32_t sum[32], const float *add, const float *rescale, float g, float step, float bias,
				 float out[32])
{
	for (int i = 0; i < 32; i++)
		out[i] = add[i] + g + rescale[i] * (step * (float) (int32_t) sum[i] + bias);
}

static uint32_t
VC_KERNEL(quant_below32)(const float est[32], const float *err, float scale, float limit)
{
#if VF_LANES == 16
	__m512 s = _mm512_set1_ps(scale);
	__m512 l = _mm512_set1_ps(limit);
	__m512 a = _mm512_fnmadd_ps(s, _mm512_loadu_ps(err), _mm512_loadu_ps(est));
	__m512 b = _mm512_fnmadd_ps(s, _mm512_loadu_ps(err + 16), _mm512_loadu_ps(est + 16));

	return (uint32_t) _mm512_cmp_ps_mask(a, l, _CMP_NGE_UQ) | (uint32_t) _mm512_cmp_ps_mask(b, l, _CMP_NGE_UQ) << 16;
#elif VF_LANES == 8
	__m256 s = _mm256_set1_ps(scale);
	__m256 l = _mm256_set1_ps(limit);
	uint32_t mask = 0;

	for (int i = 0; i < 32; i += 8)
	{
		__m256 low = _mm256_fnmadd_ps(s, _mm256_loadu_ps(err + i), _mm256_loadu_ps(est + i));

		mask |= (uint32_t) _mm256_movemask_ps(_mm256_cmp_ps(low, l, _CMP_NGE_UQ)) << i;
	}
	return mask;
#else
	uint32_t mask = 0;

	for (int i = 0; i < 32; i++)
		mask |= (uint32_t) !(est[i] - scale * err[i] >= limit) << i;
	return mask;
#endif
}

/* Permutes the lanes of a vector by constants. Clang knows only the second form, GCC 11 only the first. */
#if defined(__clang__)
#define VC_SHUFFLE16(v, ...) __builtin_shufflevector(v, v, __VA_ARGS__)
#else
#define VC_SHUFFLE16(v, ...) __builtin_shuffle(v, (vc_v16i){__VA_ARGS__})
#endif
#define VC_SWAP1 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14
#define VC_SWAP2 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13
#define VC_SWAP4 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11
#define VC_SWAP8 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7

#define VC_ABS16(v) ((vc_v16f) ((vc_v16i) (v) & INT32_MAX))

/* Lane-wise: where ? yes : no, where a vector of 0 and -1. */
#define VC_SELECT16(where, yes, no) ((vc_v16f) (((vc_v16i) (yes) & (where)) | ((vc_v16i) (no) & ~(where))))

/* How wide a query's table must be: the largest sum of |q_i| over a group; and the sum over all. */
VC_INLINE void
vc_lut_range(const float *q, size_t groups, float *widest, float *total)
{
	vc_v16f most = {};
	vc_v16f sums = {};
	size_t g = 0;

	for (; g + 4 <= groups; g += 4)
	{
		vc_v16f v = VC_ABS16(VC_LOAD16(q + 4 * g));
		vc_v16f group;
		vc_v16i more;

		sums += v;
		v += VC_SHUFFLE16(v, VC_SWAP1);
		group = v + VC_SHUFFLE16(v, VC_SWAP2);
		more = group > most;
		most = VC_SELECT16(more, group, most);
	}
	*widest = 0.0f;
	*total = 0.0f;
	for (int i = 0; i < 16; i++)
	{
		*widest = most[i] > *widest ? most[i] : *widest;
		*total += sums[i];
	}
	for (; g < groups; g++)
	{
		const float *p = q + 4 * g;
		float group = (__builtin_fabsf(p[0]) + __builtin_fabsf(p[1])) + (__builtin_fabsf(p[2]) + __builtin_fabsf(p[3]));

		*widest = group > *widest ? group : *widest;
		*total += group;
	}
}

/* Sixteen floats within 0..255, truncated to bytes. */
VC_INLINE void
vc_store_bytes(uint8_t *out, const vc_v16f *values)
{
#if VF_LANES == 16
	_mm_storeu_si128((__m128i *) out, _mm512_cvtepi32_epi8(_mm512_cvttps_epi32((__m512) *values)));
#elif VF_LANES == 8
	const float *v = (const float *) values;
	__m256i words = _mm256_packs_epi32(_mm256_cvttps_epi32(_mm256_load_ps(v)), _mm256_cvttps_epi32(_mm256_load_ps(v + 8)));
	__m256i ordered = _mm256_permute4x64_epi64(words, 0xD8); /* packing works within 128-bit halves */

	_mm_storeu_si128((__m128i *) out,
					 _mm_packus_epi16(_mm256_castsi256_si128(ordered), _mm256_extracti128_si256(ordered, 1)));
#else
	for (int i = 0; i < 16; i++)
		out[i] = (uint8_t) (int32_t) (*values)[i];
#endif
}

static void
VC_KERNEL(quant_lut_build)(const float *q, size_t groups, uint8_t *lut, float *step, float *abs_sum)
{
	/* All ones in the lanes whose number, the nibble looked up, has the bit of dimension 0, 1, 2, 3. */
	const vc_v16i bit0 = {0, -1, 0, -1, 0, -1, 0, -1, 0, -1, 0, -1, 0, -1, 0, -1};
	const vc_v16i bit1 = {0, 0, -1, -1, 0, 0, -1, -1, 0, 0, -1, -1, 0, 0, -1, -1};
	const vc_v16i bit2 = {0, 0, 0, 0, -1, -1, -1, -1, 0, 0, 0, 0, -1, -1, -1, -1};
	const vc_v16i bit3 = {0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1};
	float widest;
	float inverse;

	vc_lut_range(q, groups, &widest, abs_sum);
	if (!(widest > 0.0f) || widest > 3.0e38f)
	{
		*step = 0.0f;
		memset(lut, 0, groups * 16);
		return;
	}
	*step = widest / 255.0f;
	inverse = 255.0f / widest;
	if (inverse > 3.0e38f) /* a query of denormals */
		inverse = 0.0f;
	for (size_t g = 0; g < groups; g++, lut += 16)
	{
		float v[4];
		float base = 0.5f; /* rounds, once the sum is truncated */
		vc_v16f sums;

		/* Bits that agree with a negative sign are the clear ones: they count in the base, and set bits take them off. */
		for (int i = 0; i < 4; i++)
		{
			v[i] = q[4 * g + i] * inverse;
			base += (__builtin_fabsf(v[i]) - v[i]) * 0.5f; /* -v[i] where negative, without a branch */
		}
		sums = ((vc_v16f){} + base) + (vc_v16f) ((vc_v16i) ((vc_v16f){} + v[0]) & bit0);
		sums += (vc_v16f) ((vc_v16i) ((vc_v16f){} + v[1]) & bit1);
		sums += (vc_v16f) ((vc_v16i) ((vc_v16f){} + v[2]) & bit2);
		sums += (vc_v16f) ((vc_v16i) ((vc_v16f){} + v[3]) & bit3);

		/* Within 0.5 and 255.5 but for rounding: neither end is passed after truncation. */
		vc_store_bytes(lut, &sums);
	}
}

static void
VC_KERNEL(quant_signs)(const float *r, size_t n, uint8_t *packed)
{
	size_t i = 0;

#if VF_LANES == 16
	for (; i + 16 <= n; i += 16)
	{
		uint16_t mask = _mm512_cmp_ps_mask(_mm512_loadu_ps(r + i), _mm512_setzero_ps(), _CMP_GT_OQ);

		memcpy(packed + i / 8, &mask, sizeof(mask));
	}
#elif VF_LANES == 8
	for (; i + 8 <= n; i += 8)
		packed[i / 8] = (uint8_t) _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(r + i), _mm256_setzero_ps(), _CMP_GT_OQ));
#elif VF_LANES == 4
	for (; i + 8 <= n; i += 8)
	{
		simde__m128 zero = simde_mm_setzero_ps();
		int low = simde_mm_movemask_ps(simde_mm_cmpgt_ps(simde_mm_loadu_ps(r + i), zero));
		int high = simde_mm_movemask_ps(simde_mm_cmpgt_ps(simde_mm_loadu_ps(r + i + 4), zero));

		packed[i / 8] = (uint8_t) (low | high << 4);
	}
#endif
	for (; i < n; i += 8)
	{
		uint8_t byte = 0;

		for (size_t j = i; j < n && j < i + 8; j++)
			byte |= (uint8_t) ((r[j] > 0.0f) << (j - i));
		packed[i / 8] = byte;
	}
}

static VcSignProducts
VC_KERNEL(quant_sign_products)(const float *r, const float *c, size_t n)
{
	vc_v16f rr = {};
	vc_v16f rs = {};
	vc_v16f cs = {};
	vc_v16f rc = {};
	VcSignProducts sum = {0};
	size_t i = 0;

	for (; i + 16 <= n; i += 16)
	{
		vc_v16f a = VC_LOAD16(r + i);
		vc_v16f b = VC_LOAD16(c + i);
		vc_v16i flip = (a <= 0.0f) & INT32_MIN;

		rr += a * a;
		rs += VC_ABS16(a);
		cs += (vc_v16f) ((vc_v16i) b ^ flip);
		rc += a * b;
	}
	for (int j = 0; j < 16; j++)
	{
		sum.rr += rr[j];
		sum.rs += rs[j];
		sum.cs += cs[j];
		sum.rc += rc[j];
	}
	for (; i < n; i++)
	{
		sum.rr += r[i] * r[i];
		sum.rs += __builtin_fabsf(r[i]);
		sum.cs += r[i] > 0.0f ? c[i] : -c[i];
		sum.rc += r[i] * c[i];
	}
	return sum;
}

/* Bit i set where lane i is positive. */
VC_INLINE uint16_t
vc_positive16(const vc_v16f *r)
{
#if VF_LANES == 16
	return _mm512_cmp_ps_mask((__m512) *r, _mm512_setzero_ps(), _CMP_GT_OQ);
#elif VF_LANES == 8
	const float *v = (const float *) r;
	__m256 zero = _mm256_setzero_ps();
	int low = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_load_ps(v), zero, _CMP_GT_OQ));
	int high = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_load_ps(v + 8), zero, _CMP_GT_OQ));

	return (uint16_t) (low | high << 8);
#else
	uint16_t mask = 0;

#if VF_LANES == 4
	for (int i = 0; i < 4; i++)
	{
		simde__m128 part = simde_mm_loadu_ps((const float *) r + 4 * i);

		mask |= (uint16_t) (simde_mm_movemask_ps(simde_mm_cmpgt_ps(part, simde_mm_setzero_ps())) << (4 * i));
	}
#else
	for (int i = 0; i < 16; i++)
		mask |= (uint16_t) (((*r)[i] > 0.0f) << i);
#endif
	return mask;
#endif
}

static VcSignProducts
VC_KERNEL(quant_sign_difference)(const float *a, const float *c, size_t n, uint8_t *packed)
{
	vc_v16f rr = {};
	vc_v16f rs = {};
	vc_v16f cs = {};
	vc_v16f rc = {};
	VcSignProducts sum = {0};
	size_t i = 0;

	for (; i + 16 <= n; i += 16)
	{
		vc_v16f b = VC_LOAD16(c + i);
		vc_v16f r = VC_LOAD16(a + i) - b;
		vc_v16i flip = (r <= 0.0f) & INT32_MIN;
		uint16_t mask = vc_positive16(&r);

		packed[i / 8] = (uint8_t) mask;
		packed[i / 8 + 1] = (uint8_t) (mask >> 8);
		rr += r * r;
		rs += VC_ABS16(r);
		cs += (vc_v16f) ((vc_v16i) b ^ flip);
		rc += r * b;
	}
	for (int j = 0; j < 16; j++)
	{
		sum.rr += rr[j];
		sum.rs += rs[j];
		sum.cs += cs[j];
		sum.rc += rc[j];
	}
	for (size_t at = i; at < n; at += 8)
		packed[at / 8] = 0;
	for (; i < n; i++)
	{
		float r = a[i] - c[i];

		packed[i / 8] |= (uint8_t) ((r > 0.0f) << (i % 8));
		sum.rr += r * r;
		sum.rs += __builtin_fabsf(r);
		sum.cs += r > 0.0f ? c[i] : -c[i];
		sum.rc += r * c[i];
	}
	return sum;
}

/* One stage of butterflies, between lanes whose numbers differ in bit h: a + b in the lower, a - b in the upper. */
#define VC_LANE_BUTTERFLY(v, h, ...) \
	do \
	{ \
		const vc_v16i lane_ = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}; \
		const vc_v16i sign_ = ((lane_ & (h)) != 0) & INT32_MIN; \
		(v) = VC_SHUFFLE16(v, __VA_ARGS__) + (vc_v16f) ((vc_v16i) (v) ^ sign_); \
	} while (0)

static void
VC_KERNEL(quant_hadamard)(float *x, unsigned log2n)
{
	size_t n = (size_t) 1 << log2n;

	if (n < 16)
	{
		for (size_t h = 1; h < n; h *= 2)
			for (size_t i = 0; i < n; i++)
				if ((i & h) == 0)
				{
					float a = x[i];
					float b = x[i + h];

					x[i] = a + b;
					x[i + h] = a - b;
				}
		return;
	}
	for (size_t i = 0; i < n; i += 16)
	{
		vc_v16f v = VC_LOAD16(x + i);

		VC_LANE_BUTTERFLY(v, 1, VC_SWAP1);
		VC_LANE_BUTTERFLY(v, 2, VC_SWAP2);
		VC_LANE_BUTTERFLY(v, 4, VC_SWAP4);
		VC_LANE_BUTTERFLY(v, 8, VC_SWAP8);
		VC_STORE16(x + i, v);
	}
	/* Two stages a pass, so that half as many loads and stores are needed; an odd last stage goes alone. */
	for (size_t h = 16; h < n;)
	{
		if (h * 2 < n)
		{
			for (size_t base = 0; base < n; base += 4 * h)
				for (size_t i = base; i < base + h; i += 16)
				{
					vc_v16f a = VC_LOAD16(x + i);
					vc_v16f b = VC_LOAD16(x + i + h);
					vc_v16f c = VC_LOAD16(x + i + 2 * h);
					vc_v16f d = VC_LOAD16(x + i + 3 * h);
					vc_v16f ab = a + b;
					vc_v16f a_b = a - b;
					vc_v16f cd = c + d;
					vc_v16f c_d = c - d;

					VC_STORE16(x + i, ab + cd);
					VC_STORE16(x + i + h, a_b + c_d);
					VC_STORE16(x + i + 2 * h, ab - cd);
					VC_STORE16(x + i + 3 * h, a_b - c_d);
				}
			h *= 4;
		}
		else
		{
			for (size_t i = 0; i < h; i += 16)
			{
				vc_v16f a = VC_LOAD16(x + i);
				vc_v16f b = VC_LOAD16(x + i + h);

				VC_STORE16(x + i, a + b);
				VC_STORE16(x + i + h, a - b);
			}
			h *= 2;
		}
	}
}

static void
VC_KERNEL(quant_butterfly)(float *x, size_t half)
{
	float *y = x + half;

	for (size_t i = 0; i < half; i++)
	{
		float a = x[i];
		float b = y[i];

		x[i] = a + b;
		y[i] = a - b;
	}
}

static void
VC_KERNEL(quant_scale)(float *x, size_t n, float s)
{
	for (size_t i = 0; i < n; i++)
		x[i] *= s;
}

static void
VC_KERNEL(quant_flip)(float *x, const uint8_t *signs, unsigned bit, size_t n)
{
	for (size_t i = 0; i < n; i++)
	{
		uint32_t word;

		memcpy(&word, x + i, sizeof(word));
		word ^= (uint32_t) (signs[i] >> bit & 1) << 31;
		memcpy(x + i, &word, sizeof(word));
	}
}

#if VF_LANES == 16
#define VC_NEAREST_ROWS 12
#elif VF_LANES == 8
#define VC_NEAREST_ROWS 6
#else
#define VC_NEAREST_ROWS 3
#endif

/* v = the lesser of v and v permuted. */
#define VC_LEAST_LANE(type, v, ...) \
	do \
	{ \
		type other_ = VC_SHUFFLE16(v, __VA_ARGS__); \
		vc_v16i less_ = other_ < (v); \
		(v) = (type) (((vc_v16i) other_ & less_) | ((vc_v16i) (v) & ~less_)); \
	} while (0)

/* Sixteen lanes in vectors as the CPU has them: gcc keeps longer ones in memory. */
#define VC_PARTS (VF_LANES == 1 ? 1 : 16 / VF_LANES)
typedef float vc_part __attribute__((vector_size(64 / VC_PARTS)));
typedef float vc_part_at __attribute__((vector_size(64 / VC_PARTS), aligned(4), may_alias));

/* Inner products of rows with a panel's columns. `count` is a constant in the end, so the row loops unroll and sums stay in registers. */
VC_INLINE void
vc_panel_products(const float *rows, size_t stride, size_t count, const float *panel, size_t dim, vc_v16f *acc)
{
	vc_part sum[VC_NEAREST_ROWS][VC_PARTS];

	for (size_t r = 0; r < count; r++)
		for (size_t i = 0; i < VC_PARTS; i++)
			sum[r][i] = (vc_part){};
	for (size_t j = 0; j < dim; j++)
	{
		vc_part column[VC_PARTS];

		for (size_t i = 0; i < VC_PARTS; i++)
			column[i] = *(const vc_part_at *) (panel + j * VC_PANEL + i * (VC_PANEL / VC_PARTS));
		for (size_t r = 0; r < count; r++)
			for (size_t i = 0; i < VC_PARTS; i++)
				sum[r][i] += column[i] * rows[r * stride + j];
	}
	for (size_t r = 0; r < count; r++)
		memcpy(&acc[r], sum[r], sizeof(acc[r]));
}

VC_INLINE void
vc_nearest_rows(const float *rows, size_t stride, size_t count, const float *panels, const float *half_norms,
				size_t npanels, size_t dim, float *score, uint32_t *index)
{
	vc_v16f best[VC_NEAREST_ROWS];
	vc_v16i where[VC_NEAREST_ROWS];

	for (size_t r = 0; r < count; r++)
	{
		best[r] = (vc_v16f){} + __builtin_inff();
		where[r] = (vc_v16i){};
	}
	for (size_t p = 0; p < npanels; p++, panels += dim * VC_PANEL)
	{
		vc_v16f acc[VC_NEAREST_ROWS];
		vc_v16f half_norm = VC_LOAD16(half_norms + p * VC_PANEL);

		vc_panel_products(rows, stride, count, panels, dim, acc);
		for (size_t r = 0; r < count; r++)
		{
			vc_v16f value = half_norm - acc[r];
			vc_v16i less = value < best[r];

			best[r] = VC_SELECT16(less, value, best[r]);
			where[r] = (less & (int32_t) p) | (where[r] & ~less);
		}
	}
	for (size_t r = 0; r < count; r++)
	{
		const vc_v16i lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
		vc_v16f least = best[r];
		vc_v16i place = where[r] * VC_PANEL + lane;

		/* The least in every lane, then the first of the places that have it. */
		VC_LEAST_LANE(vc_v16f, least, VC_SWAP8);
		VC_LEAST_LANE(vc_v16f, least, VC_SWAP4);
		VC_LEAST_LANE(vc_v16f, least, VC_SWAP2);
		VC_LEAST_LANE(vc_v16f, least, VC_SWAP1);
		place |= (best[r] != least) & INT32_MAX;
		VC_LEAST_LANE(vc_v16i, place, VC_SWAP8);
		VC_LEAST_LANE(vc_v16i, place, VC_SWAP4);
		VC_LEAST_LANE(vc_v16i, place, VC_SWAP2);
		VC_LEAST_LANE(vc_v16i, place, VC_SWAP1);
		score[r] = least[0];
		index[r] = (uint32_t) place[0];
	}
}

static void
VC_KERNEL(quant_nearest)(const float *rows, size_t stride, size_t nrows, const float *panels, const float *half_norms,
			  size_t npanels, size_t dim, float *score, uint32_t *index)
{
	size_t i = 0;

	for (; i + VC_NEAREST_ROWS <= nrows; i += VC_NEAREST_ROWS)
		vc_nearest_rows(rows + i * stride, stride, VC_NEAREST_ROWS, panels, half_norms, npanels, dim, score + i,
						index + i);
	for (; i < nrows; i++)
		vc_nearest_rows(rows + i * stride, stride, 1, panels, half_norms, npanels, dim, score + i, index + i);
}

VC_INLINE void
vc_panel_scores_rows(const float *rows, size_t stride, size_t count, const float *panels, const float *half_norms,
					 size_t npanels, size_t dim, float *score)
{
	for (size_t p = 0; p < npanels; p++, panels += dim * VC_PANEL)
	{
		vc_v16f acc[VC_NEAREST_ROWS];
		vc_v16f half_norm = VC_LOAD16(half_norms + p * VC_PANEL);

		vc_panel_products(rows, stride, count, panels, dim, acc);
		for (size_t r = 0; r < count; r++)
			VC_STORE16(score + (r * npanels + p) * VC_PANEL, half_norm - acc[r]);
	}
}

static void
VC_KERNEL(quant_panel_scores)(const float *rows, size_t stride, size_t nrows, const float *panels, const float *half_norms,
							  size_t npanels, size_t dim, float *score)
{
	size_t i = 0;

	for (; i + VC_NEAREST_ROWS <= nrows; i += VC_NEAREST_ROWS)
		vc_panel_scores_rows(rows + i * stride, stride, VC_NEAREST_ROWS, panels, half_norms, npanels, dim,
							 score + i * npanels * VC_PANEL);
	for (; i < nrows; i++)
		vc_panel_scores_rows(rows + i * stride, stride, 1, panels, half_norms, npanels, dim,
							 score + i * npanels * VC_PANEL);
}

static const VcQuantKernels VC_KERNEL(vc_quant_kernels) = {
	.fastscan = VC_KERNEL(quant_fastscan),
	.estimate32 = VC_KERNEL(quant_estimate32),
	.below32 = VC_KERNEL(quant_below32),
	.lut_build = VC_KERNEL(quant_lut_build),
	.signs = VC_KERNEL(quant_signs),
	.sign_products = VC_KERNEL(quant_sign_products),
	.sign_difference = VC_KERNEL(quant_sign_difference),
	.ip_i8 = VC_KERNEL(quant_ip_i8),
	.l2sq_i8 = VC_KERNEL(quant_l2sq_i8),
	.unpack = VC_KERNEL(quant_unpack),
	.ip_packed = VC_KERNEL(quant_ip_packed),
	.ip_bits = VC_KERNEL(quant_ip_bits),
	.hadamard = VC_KERNEL(quant_hadamard),
	.butterfly = VC_KERNEL(quant_butterfly),
	.scale = VC_KERNEL(quant_scale),
	.flip = VC_KERNEL(quant_flip),
	.nearest = VC_KERNEL(quant_nearest),
	.panel_scores = VC_KERNEL(quant_panel_scores),
};
