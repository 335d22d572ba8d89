/*
 * single_impl.h
 *		The kernels of vc_quant.h over codes that are compared one at a time, not in blocks of 32: signed bytes, and the packed codes of
 *		quantize/compact.h. Included by each isa_*.c before quant_impl.h, whose table has them.
 */
#include "kernels/vc_quant.h"

#include <string.h>

#if VF_LANES >= 8
#include <immintrin.h>
#endif

#if VF_LANES == 8
VC_INLINE int32_t
vc_total8(__m256i sums)
{
	uint32_t lanes[8];
	uint32_t total = 0; /* squared distances may be beyond 2^31 */

	_mm256_storeu_si256((__m256i *) lanes, sums);
	for (int j = 0; j < 8; j++)
		total += lanes[j];
	return (int32_t) total;
}
#endif

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

	for (; i + 16 <= n; i += 16)
	{
		__m256i va = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *) (a + i)));
		__m256i vb = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *) (b + i)));

		acc = _mm256_add_epi32(acc, _mm256_madd_epi16(va, vb));
	}
	sum = vc_total8(acc);
#endif
	for (; i < n; i++)
		sum += (int32_t) a[i] * b[i];
	return sum;
}

static void
VC_KERNEL(quant_unpack)(const uint8_t *restrict packed, int bits, size_t n, int8_t *restrict out)
{
	size_t half = n / 2;
	size_t quarter = n / 4;

	if (bits == 8)
	{
		memcpy(out, packed, n);
		return;
	}
	for (size_t i = 0; i < half; i++)
	{
		out[i] = (int8_t) (packed[i] & 15);
		out[half + i] = (int8_t) (packed[i] >> 4);
	}
	if (bits == 6)
	{
		const uint8_t *restrict upper = packed + half;

		for (size_t i = 0; i < quarter; i++)
		{
			out[i] = (int8_t) (out[i] | (upper[i] & 3) << 4);
			out[quarter + i] = (int8_t) (out[quarter + i] | (upper[i] & 12) << 2);
			out[half + i] = (int8_t) (out[half + i] | (upper[i] & 48));
			out[half + quarter + i] = (int8_t) (out[half + quarter + i] | (upper[i] & 192) >> 2);
		}
	}
}

static void
VC_KERNEL(quant_ip_packed)(const uint8_t *packed, int bits, size_t n, const int8_t *a, const int8_t *b, int32_t product[2])
{
	size_t quarter = n / 4;
	const uint8_t *upper = packed + 2 * quarter;
	int32_t sum_a = 0;
	int32_t sum_b = 0;
	size_t i = 0;

	/* A quarter of the values lies in the low halves of the first bytes, one in those of the next, two in the high halves. */
#if VF_LANES == 16
	const __m512i nibble = _mm512_set1_epi8(15);
	const __m512i pair = _mm512_set1_epi8(48);
	__m512i dot_a = _mm512_setzero_si512();
	__m512i dot_b = dot_a;

	for (; i < quarter; i += 64)
	{
		__mmask64 mask = quarter - i >= 64 ? ~(__mmask64) 0 : (((__mmask64) 1 << (quarter - i)) - 1);
		__m512i first = _mm512_maskz_loadu_epi8(mask, packed + i);
		__m512i next = _mm512_maskz_loadu_epi8(mask, packed + quarter + i);
		__m512i u = bits == 6 ? _mm512_maskz_loadu_epi8(mask, upper + i) : _mm512_setzero_si512();
		__m512i x[4] = {
			_mm512_or_si512(_mm512_and_si512(first, nibble), _mm512_and_si512(_mm512_slli_epi16(u, 4), pair)),
			_mm512_or_si512(_mm512_and_si512(next, nibble), _mm512_and_si512(_mm512_slli_epi16(u, 2), pair)),
			_mm512_or_si512(_mm512_and_si512(_mm512_srli_epi16(first, 4), nibble), _mm512_and_si512(u, pair)),
			_mm512_or_si512(_mm512_and_si512(_mm512_srli_epi16(next, 4), nibble), _mm512_and_si512(_mm512_srli_epi16(u, 2), pair))};

		for (int k = 0; k < 4; k++)
		{
			dot_a = _mm512_dpbusd_epi32(dot_a, x[k], _mm512_maskz_loadu_epi8(mask, a + k * quarter + i));
			dot_b = _mm512_dpbusd_epi32(dot_b, x[k], _mm512_maskz_loadu_epi8(mask, b + k * quarter + i));
		}
	}
	sum_a = _mm512_reduce_add_epi32(dot_a);
	sum_b = _mm512_reduce_add_epi32(dot_b);
#elif VF_LANES == 8
	const __m256i nibble = _mm256_set1_epi8(15);
	const __m256i pair = _mm256_set1_epi8(48);
	const __m256i ones = _mm256_set1_epi16(1);
	__m256i dot_a = _mm256_setzero_si256();
	__m256i dot_b = dot_a;

	for (; i + 32 <= quarter; i += 32)
	{
		__m256i first = _mm256_loadu_si256((const __m256i *) (packed + i));
		__m256i next = _mm256_loadu_si256((const __m256i *) (packed + quarter + i));
		__m256i u = bits == 6 ? _mm256_loadu_si256((const __m256i *) (upper + i)) : _mm256_setzero_si256();
		__m256i x[4] = {
			_mm256_or_si256(_mm256_and_si256(first, nibble), _mm256_and_si256(_mm256_slli_epi16(u, 4), pair)),
			_mm256_or_si256(_mm256_and_si256(next, nibble), _mm256_and_si256(_mm256_slli_epi16(u, 2), pair)),
			_mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(first, 4), nibble), _mm256_and_si256(u, pair)),
			_mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(next, 4), nibble), _mm256_and_si256(_mm256_srli_epi16(u, 2), pair))};

		/* Two products of at most 63 * 128 fit 16 bits. */
		for (int k = 0; k < 4; k++)
		{
			__m256i va = _mm256_loadu_si256((const __m256i *) (a + k * quarter + i));
			__m256i vb = _mm256_loadu_si256((const __m256i *) (b + k * quarter + i));

			dot_a = _mm256_add_epi32(dot_a, _mm256_madd_epi16(_mm256_maddubs_epi16(x[k], va), ones));
			dot_b = _mm256_add_epi32(dot_b, _mm256_madd_epi16(_mm256_maddubs_epi16(x[k], vb), ones));
		}
	}
	sum_a = vc_total8(dot_a);
	sum_b = vc_total8(dot_b);
#endif
	for (; i < quarter; i++)
	{
		int u = bits == 6 ? upper[i] : 0;
		int x[4] = {(packed[i] & 15) | (u & 3) << 4, (packed[quarter + i] & 15) | (u & 12) << 2, packed[i] >> 4 | (u & 48),
					packed[quarter + i] >> 4 | (u & 192) >> 2};

		for (int k = 0; k < 4; k++)
		{
			sum_a += x[k] * a[k * quarter + i];
			sum_b += x[k] * b[k * quarter + i];
		}
	}
	product[0] = sum_a;
	product[1] = sum_b;
}

static void
VC_KERNEL(quant_ip_bits)(const uint8_t *bits, size_t n, const int8_t *a, const int8_t *b, int32_t sum[2])
{
	int32_t sum_a = 0;
	int32_t sum_b = 0;
	size_t i = 0;

#if VF_LANES == 16
	const __m512i ones = _mm512_set1_epi8(1);
	__m512i dot_a = _mm512_setzero_si512();
	__m512i dot_b = dot_a;

	for (; i < n; i += 64)
	{
		uint64_t mask = 0;

		memcpy(&mask, bits + i / 8, n - i >= 64 ? 8 : (n - i) / 8);
		dot_a = _mm512_dpbusd_epi32(dot_a, ones, _mm512_maskz_loadu_epi8(mask, a + i));
		dot_b = _mm512_dpbusd_epi32(dot_b, ones, _mm512_maskz_loadu_epi8(mask, b + i));
	}
	sum_a = _mm512_reduce_add_epi32(dot_a);
	sum_b = _mm512_reduce_add_epi32(dot_b);
#elif VF_LANES == 8
	/* Byte j of the result tests bit j % 8 of byte j / 8. */
	const __m256i bytes = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3);
	const __m256i which = _mm256_set1_epi64x((long long) UINT64_C(0x8040201008040201));
	const __m256i byte_ones = _mm256_set1_epi8(1);
	const __m256i word_ones = _mm256_set1_epi16(1);
	__m256i dot_a = _mm256_setzero_si256();
	__m256i dot_b = dot_a;

	for (; i + 32 <= n; i += 32)
	{
		int32_t word;
		__m256i set;

		memcpy(&word, bits + i / 8, sizeof(word));
		set = _mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32(word), bytes), which);
		set = _mm256_and_si256(_mm256_cmpeq_epi8(set, which), byte_ones);
		dot_a = _mm256_add_epi32(
			dot_a, _mm256_madd_epi16(_mm256_maddubs_epi16(set, _mm256_loadu_si256((const __m256i *) (a + i))), word_ones));
		dot_b = _mm256_add_epi32(
			dot_b, _mm256_madd_epi16(_mm256_maddubs_epi16(set, _mm256_loadu_si256((const __m256i *) (b + i))), word_ones));
	}
	sum_a = vc_total8(dot_a);
	sum_b = vc_total8(dot_b);
#endif
	for (; i < n; i += 8)
		for (int j = 0; j < 8; j++)
		{
			int set = -(bits[i / 8] >> j & 1);

			sum_a += a[i + j] & set;
			sum_b += b[i + j] & set;
		}
	sum[0] = sum_a;
	sum[1] = sum_b;
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

	for (; i + 16 <= n; i += 16)
	{
		__m256i d = _mm256_sub_epi16(_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *) (a + i))),
									 _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *) (b + i))));

		acc = _mm256_add_epi32(acc, _mm256_madd_epi16(d, d));
	}
	sum = (uint32_t) vc_total8(acc);
#endif
	for (; i < n; i++)
	{
		int32_t d = (int32_t) a[i] - b[i];

		sum += (uint32_t) (d * d);
	}
	return sum;
}
