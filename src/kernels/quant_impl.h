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

	return (uint32_t) _mm512_cmp_ps_mask(a, l, _CMP_LT_OQ) | (uint32_t) _mm512_cmp_ps_mask(b, l, _CMP_LT_OQ) << 16;
#elif VF_LANES == 8
	__m256 s = _mm256_set1_ps(scale);
	__m256 l = _mm256_set1_ps(limit);
	uint32_t mask = 0;

	for (int i = 0; i < 32; i += 8)
	{
		__m256 low = _mm256_fnmadd_ps(s, _mm256_loadu_ps(err + i), _mm256_loadu_ps(est + i));

		mask |= (uint32_t) _mm256_movemask_ps(_mm256_cmp_ps(low, l, _CMP_LT_OQ)) << i;
	}
	return mask;
#else
	uint32_t mask = 0;

	for (int i = 0; i < 32; i++)
		mask |= (uint32_t) (est[i] - scale * err[i] < limit) << i;
	return mask;
#endif
}

static void
VC_KERNEL(quant_lut_build)(const float *q, size_t groups, uint8_t *lut, float *step, float *abs_sum)
{
	float widest = 0.0f;
	float total = 0.0f;
	float inverse;

	for (size_t g = 0; g < groups; g++)
	{
		const float *p = q + 4 * g;
		float range = (__builtin_fabsf(p[0]) + __builtin_fabsf(p[1])) + (__builtin_fabsf(p[2]) + __builtin_fabsf(p[3]));

		widest = range > widest ? range : widest;
		total += range;
	}
	*abs_sum = total;
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
	for (size_t g = 0; g < groups; g++)
	{
		const float *p = q + 4 * g;
		float v[4];
		float sums[16];

		/* Bits that agree with a negative sign are the clear ones, hence the start value and the signed steps. */
		sums[0] = 0.5f;
		for (int i = 0; i < 4; i++)
		{
			v[i] = p[i] * inverse;
			sums[0] += v[i] < 0.0f ? -v[i] : 0.0f;
		}
		sums[1] = sums[0] + v[0];
		for (int i = 0; i < 2; i++)
			sums[2 + i] = sums[i] + v[1];
		for (int i = 0; i < 4; i++)
			sums[4 + i] = sums[i] + v[2];
		for (int i = 0; i < 8; i++)
			sums[8 + i] = sums[i] + v[3];
		for (int i = 0; i < 16; i++)
		{
			int32_t entry = (int32_t) sums[i]; /* sums[i] is 0.5 or more but for rounding: truncation rounds it */

			entry = entry < 0 ? 0 : entry;
			lut[g * 16 + i] = (uint8_t) (entry > 255 ? 255 : entry);
		}
	}
}

static int32_t
VC_KERNEL(quant_ip_i8)(const int8_t *a, const int8_t *b, size_t n)
{
	int32_t sum = 0;
	size_t i = 0;

#if VF_LANES == 16
	/* The instruction multiplies unsigned by signed bytes: a + 128 stands for a, and 128 * sum(b) is taken off. */
	const __m512i offset = _mm512_set1_epi8((char) 0x80);
	const __m512i ones = _mm512_set1_epi8(1);
	__m512i dot = _mm512_setzero_si512();
	__m512i total = _mm512_setzero_si512();

	for (; i < n; i += 64)
	{
		__mmask64 mask = n - i >= 64 ? ~(__mmask64) 0 : (((__mmask64) 1 << (n - i)) - 1);
		__m512i va = _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, a + i), offset);
		__m512i vb = _mm512_maskz_loadu_epi8(mask, b + i);

		dot = _mm512_dpbusd_epi32(dot, va, vb);
		total = _mm512_dpbusd_epi32(total, ones, vb);
	}
	return _mm512_reduce_add_epi32(_mm512_sub_epi32(dot, _mm512_slli_epi32(total, 7)));
#elif VF_LANES == 8
	__m256i acc = _mm256_setzero_si256();
	int32_t lanes[8];

	for (; i + 16 <= n; i += 16)
	{
		__m256i va = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *) (a + i)));
		__m256i vb = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *) (b + i)));

		acc = _mm256_add_epi32(acc, _mm256_madd_epi16(va, vb));
	}
	_mm256_storeu_si256((__m256i *) lanes, acc);
	for (int j = 0; j < 8; j++)
		sum += lanes[j];
#endif
	for (; i < n; i++)
		sum += (int32_t) a[i] * b[i];
	return sum;
}

static uint32_t
VC_KERNEL(quant_l2sq_i8)(const int8_t *a, const int8_t *b, size_t n)
{
	uint32_t sum = 0;
	size_t i = 0;

#if VF_LANES == 16
	__m512i acc = _mm512_setzero_si512();

	for (; i < n; i += 32)
	{
		__mmask32 mask = n - i >= 32 ? ~(__mmask32) 0 : (((__mmask32) 1 << (n - i)) - 1);
		__m512i d = _mm512_sub_epi16(_mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(mask, a + i)),
									 _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(mask, b + i)));

		acc = _mm512_dpwssd_epi32(acc, d, d);
	}
	return (uint32_t) _mm512_reduce_add_epi32(acc);
#elif VF_LANES == 8
	__m256i acc = _mm256_setzero_si256();
	uint32_t lanes[8];

	for (; i + 16 <= n; i += 16)
	{
		__m256i d = _mm256_sub_epi16(_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *) (a + i))),
									 _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *) (b + i))));

		acc = _mm256_add_epi32(acc, _mm256_madd_epi16(d, d));
	}
	_mm256_storeu_si256((__m256i *) lanes, acc);
	for (int j = 0; j < 8; j++)
		sum += lanes[j];
#endif
	for (; i < n; i++)
	{
		int32_t d = (int32_t) a[i] - b[i];

		sum += (uint32_t) (d * d);
	}
	return sum;
}

/* One pass of butterflies between lanes whose numbers differ in bit `h`, for h = 1, 2, 4, 8. */
#define VC_LANE_BUTTERFLY(v, h, ...) \
	do \
	{ \
		const vc_v16i order_ = {__VA_ARGS__}; \
		const vc_v16i lane_ = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}; \
		const vc_v16i sign_ = ((lane_ & (h)) != 0) & (vc_v16i) ((vc_v16i){} + INT32_MIN); \
		(v) = VC_SHUFFLE16(v, order_, __VA_ARGS__) + (vc_v16f) ((vc_v16i) (v) ^ sign_); \
	} while (0)
#if defined(__clang__)
#define VC_SHUFFLE16(v, order, ...) __builtin_shufflevector(v, v, __VA_ARGS__)
#else
#define VC_SHUFFLE16(v, order, ...) __builtin_shuffle(v, order)
#endif

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

		VC_LANE_BUTTERFLY(v, 1, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
		VC_LANE_BUTTERFLY(v, 2, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
		VC_LANE_BUTTERFLY(v, 4, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
		VC_LANE_BUTTERFLY(v, 8, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
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

/* `count` is a constant where this is called, so the row loops unroll and the sums stay in registers. */
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

		for (size_t r = 0; r < count; r++)
			acc[r] = (vc_v16f){};
		for (size_t j = 0; j < dim; j++)
		{
			vc_v16f column = VC_LOAD16(panels + j * VC_PANEL);

			for (size_t r = 0; r < count; r++)
				acc[r] += column * rows[r * stride + j];
		}
		for (size_t r = 0; r < count; r++)
		{
			vc_v16f value = half_norm - acc[r];
			vc_v16i less = value < best[r];

			best[r] = (vc_v16f) (((vc_v16i) value & less) | ((vc_v16i) best[r] & ~less));
			where[r] = (less & (int32_t) p) | (where[r] & ~less);
		}
	}
	for (size_t r = 0; r < count; r++)
	{
		int lane = 0;

		for (int i = 1; i < VC_PANEL; i++)
			if (best[r][i] < best[r][lane] || (best[r][i] == best[r][lane] && where[r][i] < where[r][lane]))
				lane = i;
		score[r] = best[r][lane];
		index[r] = (uint32_t) where[r][lane] * VC_PANEL + (uint32_t) lane;
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

static const VcQuantKernels VC_KERNEL(vc_quant_kernels) = {
	.fastscan = VC_KERNEL(quant_fastscan),
	.estimate32 = VC_KERNEL(quant_estimate32),
	.below32 = VC_KERNEL(quant_below32),
	.lut_build = VC_KERNEL(quant_lut_build),
	.ip_i8 = VC_KERNEL(quant_ip_i8),
	.l2sq_i8 = VC_KERNEL(quant_l2sq_i8),
	.hadamard = VC_KERNEL(quant_hadamard),
	.butterfly = VC_KERNEL(quant_butterfly),
	.scale = VC_KERNEL(quant_scale),
	.flip = VC_KERNEL(quant_flip),
	.nearest = VC_KERNEL(quant_nearest),
};
