/*
 * decimal.c
 *		Decimal text to binary32 and binary16, correctly rounded. See decimal.h for the contract.
 *
 * A literal of 1,536 numbers must not cost more than the search it starts, so a number is read in three steps, each
 * trying to avoid the next:
 *
 *	1. Scan. Digits go into a 64-bit integer w, eight bytes at a time where eight can be read (Lemire, "Number parsing
 *	   at a gigabyte per second", 2021); the decimal point and the exponent go into a power of ten q. The value is
 *	   w * 10^q, or within one unit of w above that where more than 19 digits were given.
 *	2. Where w and 10^|q| are exact in binary64, one division or multiplication gives the value rounded once (Clinger
 *	   1990). Rounding it again, to the target, is only wrong when the first rounding landed on the midpoint of two
 *	   target values, because midpoints are binary64 values themselves and rounding is monotone. That is checked.
 *	   Otherwise w is multiplied by a truncated 64-bit 10^q (the idea of Eisel and Lemire; they keep 128 bits because
 *	   binary64 leaves few spare bits, while our targets leave forty). The product's error is a known handful of units,
 *	   so all but about one in 2^36 inputs are safely to one side of the midpoint.
 *	3. The rest, and exact ties, compare the decimal with the midpoint in integers of a thousand bits.
 *
 * Read one after the other, each number has to wait for the end of the one before. In a list, the commas are found first,
 * 64 bytes at a time, and the numbers between them are then read independently of one another (the order of work is that
 * of Langdale and Lemire, "Parsing gigabytes of JSON per second", 2019).
 */
#include "types/decimal.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include <simde/x86/sse2.h>

/* Step 2 relies on binary64 arithmetic without excess precision. */
_Static_assert(FLT_EVAL_METHOD == 0, "binary64 arithmetic must not carry excess precision");
_Static_assert(DBL_MANT_DIG == 53 && FLT_MANT_DIG == 24, "float and double must be binary32 and binary64");

/* A target format: significand bits with the hidden one, and the exponent of the last bit of a subnormal. */
typedef struct Format
{
	int mant_bits;
	int sub_exp;  /* value of a subnormal is mantissa * 2^sub_exp */
	int max_exp;  /* exponents e with 2^e finite end here */
} Format;

static const Format format_f32 = {24, -149, 127};
static const Format format_f16 = {11, -24, 15};

/* What the scan found: (w + [0, 1)) * 10^q, or exactly w * 10^q unless truncated. */
typedef struct Decimal
{
	uint64_t w;
	int64_t q;
	int negative;
	int truncated;		/* digits past the 19th were left out of w */
	const char *digits; /* first digit, or the point before it */
	const char *digits_end;
	int64_t digits_exp; /* power of ten of the last digit in the text */
} Decimal;

#define MAX_W_DIGITS 19

/*
 * 10^q = p * 2^(floor(q * log2 10) - 63) with p in [2^63, 2^64), truncated, exact for q in 0 .. 27. Below the first,
 * 10^19 * 10^q is under half the smallest subnormal float; above the last, 10^q is beyond the largest float.
 */
#define MIN_Q (-64)
#define MAX_Q 38
static const uint64_t power_of_ten[MAX_Q - MIN_Q + 1] = {
	0xa87fea27a539e9a5, 0xd29fe4b18e88640e, 0x83a3eeeef9153e89, 0xa48ceaaab75a8e2b, 0xcdb02555653131b6,
	0x808e17555f3ebf11, 0xa0b19d2ab70e6ed6, 0xc8de047564d20a8b, 0xfb158592be068d2e, 0x9ced737bb6c4183d,
	0xc428d05aa4751e4c, 0xf53304714d9265df, 0x993fe2c6d07b7fab, 0xbf8fdb78849a5f96, 0xef73d256a5c0f77c,
	0x95a8637627989aad, 0xbb127c53b17ec159, 0xe9d71b689dde71af, 0x9226712162ab070d, 0xb6b00d69bb55c8d1,
	0xe45c10c42a2b3b05, 0x8eb98a7a9a5b04e3, 0xb267ed1940f1c61c, 0xdf01e85f912e37a3, 0x8b61313bbabce2c6,
	0xae397d8aa96c1b77, 0xd9c7dced53c72255, 0x881cea14545c7575, 0xaa242499697392d2, 0xd4ad2dbfc3d07787,
	0x84ec3c97da624ab4, 0xa6274bbdd0fadd61, 0xcfb11ead453994ba, 0x81ceb32c4b43fcf4, 0xa2425ff75e14fc31,
	0xcad2f7f5359a3b3e, 0xfd87b5f28300ca0d, 0x9e74d1b791e07e48, 0xc612062576589dda, 0xf79687aed3eec551,
	0x9abe14cd44753b52, 0xc16d9a0095928a27, 0xf1c90080baf72cb1, 0x971da05074da7bee, 0xbce5086492111aea,
	0xec1e4a7db69561a5, 0x9392ee8e921d5d07, 0xb877aa3236a4b449, 0xe69594bec44de15b, 0x901d7cf73ab0acd9,
	0xb424dc35095cd80f, 0xe12e13424bb40e13, 0x8cbccc096f5088cb, 0xafebff0bcb24aafe, 0xdbe6fecebdedd5be,
	0x89705f4136b4a597, 0xabcc77118461cefc, 0xd6bf94d5e57a42bc, 0x8637bd05af6c69b5, 0xa7c5ac471b478423,
	0xd1b71758e219652b, 0x83126e978d4fdf3b, 0xa3d70a3d70a3d70a, 0xcccccccccccccccc, 0x8000000000000000,
	0xa000000000000000, 0xc800000000000000, 0xfa00000000000000, 0x9c40000000000000, 0xc350000000000000,
	0xf424000000000000, 0x9896800000000000, 0xbebc200000000000, 0xee6b280000000000, 0x9502f90000000000,
	0xba43b74000000000, 0xe8d4a51000000000, 0x9184e72a00000000, 0xb5e620f480000000, 0xe35fa931a0000000,
	0x8e1bc9bf04000000, 0xb1a2bc2ec5000000, 0xde0b6b3a76400000, 0x8ac7230489e80000, 0xad78ebc5ac620000,
	0xd8d726b7177a8000, 0x878678326eac9000, 0xa968163f0a57b400, 0xd3c21bcecceda100, 0x84595161401484a0,
	0xa56fa5b99019a5c8, 0xcecb8f27f4200f3a, 0x813f3978f8940984, 0xa18f07d736b90be5, 0xc9f2c9cd04674ede,
	0xfc6f7c4045812296, 0x9dc5ada82b70b59d, 0xc5371912364ce305, 0xf684df56c3e01bc6, 0x9a130b963a6c115c,
	0xc097ce7bc90715b3, 0xf0bdc21abb48db20, 0x96769950b50d88f4,
};

/* floor(q * log2 10), exact over the table's range. */
static inline int
floor_log2_pow10(int q)
{
	return (217706 * q) >> 16;
}

static const double exact_pow10[] = {1e0,  1e1,	 1e2,  1e3,	 1e4,  1e5,	 1e6,  1e7,	 1e8,  1e9,	 1e10, 1e11,
									 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
#define MAX_EXACT_POW10 22

static const uint64_t integer_pow10[] = {UINT64_C(1),
										 UINT64_C(10),
										 UINT64_C(100),
										 UINT64_C(1000),
										 UINT64_C(10000),
										 UINT64_C(100000),
										 UINT64_C(1000000),
										 UINT64_C(10000000),
										 UINT64_C(100000000),
										 UINT64_C(1000000000),
										 UINT64_C(10000000000),
										 UINT64_C(100000000000),
										 UINT64_C(1000000000000),
										 UINT64_C(10000000000000),
										 UINT64_C(100000000000000),
										 UINT64_C(1000000000000000),
										 UINT64_C(10000000000000000)};

#define ALL_ZEROS UINT64_C(0x3030303030303030)
#define HIGH_BITS UINT64_C(0x8080808080808080)

/* Eight characters less '0', the first in the lowest byte: the high bit of each byte that was no digit. */
static inline uint64_t
not_digits(uint64_t bytes)
{
	return (((bytes & ~HIGH_BITS) + UINT64_C(0x7676767676767676)) | bytes) & HIGH_BITS;
}

/* Eight digits, the first in the lowest byte, as a number: pairs, fours, the eight. */
static inline uint64_t
eight_digits(uint64_t bytes)
{
	bytes = (bytes & UINT64_C(0x000f000f000f000f)) * 10 + ((bytes >> 8) & UINT64_C(0x000f000f000f000f));
	bytes = (bytes & UINT64_C(0x000000ff000000ff)) * 100 + ((bytes >> 16) & UINT64_C(0x000000ff000000ff));
	return (bytes & UINT64_C(0xffffffff)) * 10000 + (bytes >> 32);
}

static inline int
is_digit(char c)
{
	return (unsigned char) (c - '0') < 10;
}

/*
 * Append the digits at *p to *w, wrapping silently past 2^64, and move *p past them.
 */
static inline void
scan_digits(const char **p, const char *end, uint64_t *w)
{
	const char *s = *p;
	uint64_t acc = *w;

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	while (end - s >= 8)
	{
		uint64_t bytes;
		uint64_t other;
		int n;

		memcpy(&bytes, s, 8);
		bytes ^= ALL_ZEROS;
		other = not_digits(bytes);
		n = other ? __builtin_ctzll(other) >> 3 : 8;

		/*
		 * Move the digits to the top so that zeros stand before them. How many there are is hard to predict, hence no
		 * branch on it, and two shifts, because all 64 bits may go.
		 */
		bytes = bytes << (32 - 4 * n) << (32 - 4 * n);
		acc = acc * integer_pow10[n] + eight_digits(bytes);
		s += n;
		if (n < 8)
			goto done;
	}
#endif
	while (s < end && is_digit(*s))
		acc = acc * 10 + (uint64_t) (*s++ - '0');
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
done:
#endif
	*p = s;
	*w = acc;
}

/*
 * More digits than surely fit: drop leading zeros, and where more than MAX_W_DIGITS are left, take that many.
 */
static void
limit_digits(Decimal *d)
{
	const char *s = d->digits;
	uint64_t w = 0;
	int kept = 0;
	int64_t left_out = 0;

	for (; s < d->digits_end; s++)
	{
		if (*s == '.' || (*s == '0' && w == 0))
			continue;
		if (kept < MAX_W_DIGITS)
		{
			w = w * 10 + (uint64_t) (*s - '0');
			kept++;
		}
		else
			left_out++;
	}
	d->w = w;
	d->q += left_out;
	d->truncated = left_out > 0;
}

/*
 * Step 1. Returns the first byte past the number, or null.
 */
static inline const char *
scan_number(const char *p, const char *end, Decimal *d)
{
	int64_t ndigits;

	if (p == end)
		return NULL;
	d->negative = *p == '-';
	p += d->negative | (*p == '+');

	d->w = 0;
	d->q = 0;
	d->truncated = 0;
	d->digits = p;

	/* One digit before the point is the usual case. */
	if (end - p >= 2 && is_digit(p[0]) && p[1] == '.')
		d->w = (uint64_t) (*p++ - '0');
	else
		scan_digits(&p, end, &d->w);
	ndigits = p - d->digits;
	if (p < end && *p == '.')
	{
		const char *fraction = ++p;

		scan_digits(&p, end, &d->w);
		d->q = -(int64_t) (p - fraction);
		ndigits -= d->q;
	}
	if (ndigits == 0)
		return NULL;
	d->digits_end = p;
	d->digits_exp = d->q;

	if (p < end && (*p == 'e' || *p == 'E'))
	{
		int negative = 0;
		int64_t e = 0;

		p++;
		if (p < end && (*p == '-' || *p == '+'))
			negative = *p++ == '-';
		if (p >= end || !is_digit(*p))
			return NULL;

		/* Text is at most 1 GB, so no digits could bring an exponent past the clamp back into range. */
		for (; p < end && is_digit(*p); p++)
		{
			if (e < INT64_C(100000000000))
				e = e * 10 + (*p - '0');
		}
		d->q += negative ? -e : e;
		d->digits_exp = d->q;
	}

	if (__builtin_expect(ndigits > MAX_W_DIGITS, 0))
		limit_digits(d);
	return p;
}

/* Enough 32-bit limbs for either side of the comparison in exceeds_midpoint: both stay below 2^1000. */
#define BIG_LIMBS 32
#define MAX_EXACT_DIGITS 120

typedef struct Big
{
	int n;
	uint32_t limb[BIG_LIMBS];
} Big;

/* b = b * factor + addend */
static void
big_mul_add(Big *b, uint32_t factor, uint32_t addend)
{
	uint64_t carry = addend;

	for (int i = 0; i < b->n; i++)
	{
		carry += (uint64_t) b->limb[i] * factor;
		b->limb[i] = (uint32_t) carry;
		carry >>= 32;
	}
	if (carry)
		b->limb[b->n++] = (uint32_t) carry;
}

static void
big_mul_pow5(Big *b, int power)
{
	for (; power >= 13; power -= 13)
		big_mul_add(b, 1220703125, 0);
	for (; power > 0; power--)
		big_mul_add(b, 5, 0);
}

static void
big_shift_left(Big *b, int bits)
{
	for (; bits >= 31; bits -= 31)
		big_mul_add(b, UINT32_C(1) << 31, 0);
	big_mul_add(b, UINT32_C(1) << bits, 0);
}

static int
big_compare(const Big *a, const Big *b)
{
	if (a->n != b->n)
		return a->n < b->n ? -1 : 1;
	for (int i = a->n - 1; i >= 0; i--)
	{
		if (a->limb[i] != b->limb[i])
			return a->limb[i] < b->limb[i] ? -1 : 1;
	}
	return 0;
}

/*
 * Step 3: compare the whole decimal with midpoint * 2^exp2; negative, zero, positive. The caller has established that
 * the two agree to about 60 bits, which bounds every size here.
 *
 * The midpoint of two floats has at most 113 significant decimal digits. When the decimal's first 120 agree with it,
 * any later digit other than zero decides.
 */
static __attribute__((noinline)) int
compare_with_midpoint(const Decimal *d, uint32_t midpoint, int exp2)
{
	Big decimal = {0};
	Big binary = {1, {midpoint}};
	int64_t exp10 = d->digits_exp;
	int kept = 0;
	int more = 0;
	int order;

	for (const char *s = d->digits; s < d->digits_end; s++)
	{
		if (*s == '.' || (*s == '0' && decimal.n == 0))
			continue;
		if (kept < MAX_EXACT_DIGITS)
		{
			big_mul_add(&decimal, 10, (uint32_t) (*s - '0'));
			kept++;
		}
		else
		{
			more |= *s != '0';
			exp10++;
		}
	}

	/* decimal * 5^exp10 * 2^exp10 against midpoint * 2^exp2, with no factor left below one */
	if (exp10 >= 0)
		big_mul_pow5(&decimal, (int) exp10);
	else
		big_mul_pow5(&binary, (int) -exp10);
	if (exp10 >= exp2)
		big_shift_left(&decimal, (int) exp10 - exp2);
	else
		big_shift_left(&binary, exp2 - (int) exp10);

	order = big_compare(&decimal, &binary);
	return order ? order : more;
}

/*
 * Step 2 by 64-bit product: the bits that the value (w + [0, 1)) * 10^q, or w * 10^q where not `truncated`, has in the
 * target format, without the sign. Returns 1 when sure. Otherwise the value is next to a midpoint: *bits is the lower
 * neighbour without its exponent, and the midpoint is (2 * *bits + 1) * 2^(*last_exp - 1).
 */
static inline __attribute__((always_inline)) int
estimate(uint64_t w, int64_t q, int truncated, const Format *format, uint32_t *bits, int *last_exp)
{
	unsigned __int128 product;
	uint64_t m;
	uint64_t rest;
	uint64_t half;
	uint64_t slack;
	int lz;
	int exp2;
	int drop;

	*last_exp = format->sub_exp;
	*bits = 0;
	if (w == 0 || q < MIN_Q)
		return 1;
	*bits = (uint32_t) (2 * format->max_exp + 1) << (format->mant_bits - 1);
	if (q > MAX_Q)
		return 1;

	/* value = m * 2^exp2 with m in [2^63, 2^64) */
	lz = __builtin_clzll(w);
	product = (unsigned __int128) (w << lz) * power_of_ten[q - MIN_Q];
	m = (uint64_t) (product >> 64);
	exp2 = 64 - lz + floor_log2_pow10((int) q) - 63;
	if (!(m >> 63))
	{
		m = (uint64_t) (product >> 63);
		exp2--;
	}

	/*
	 * m is too small by less than `slack`: one unit for the truncated power, one for the lower half of the product,
	 * both doubled by the shift above; and where digits were left out, w is too small by less than one part in 10^18,
	 * that is 18.5 units of m.
	 */
	slack = truncated ? 64 : 4;

	/* Bits of m past the target's last bit: all but mant_bits, more for a subnormal. */
	drop = 64 - format->mant_bits;
	if (exp2 + drop < format->sub_exp)
		drop = format->sub_exp - exp2;
	*last_exp = exp2 + drop;
	if (*last_exp + format->mant_bits - 1 > format->max_exp)
	{
		*last_exp = format->sub_exp;
		return 1;
	}

	if (drop < 64)
	{
		*bits = (uint32_t) (m >> drop);
		rest = m & ((UINT64_C(1) << drop) - 1);
		half = UINT64_C(1) << (drop - 1);
	}
	else
	{
		/* All of m is past the last bit; at 65 it is just under half of that, though the slack may cover the gap. */
		*bits = 0;
		if (drop > 65)
			return 1;
		rest = drop == 64 ? m : m >> 1;
		half = UINT64_C(1) << 63;
	}

	if (rest <= half && half - rest <= slack)
		return 0;
	*bits += rest > half;
	return 1;
}

/*
 * A normal number's hidden bit adds one to the exponent field, and so does a carry out of rounding: from a subnormal to the
 * smallest normal number, and from the largest finite one to infinity.
 */
static inline uint32_t
with_exponent(uint32_t bits, int last_exp, const Format *format)
{
	return bits + ((uint32_t) (last_exp - format->sub_exp) << (format->mant_bits - 1));
}

/* Steps 2 and 3 for anything a scan has found, without the sign. */
static inline __attribute__((always_inline)) uint32_t
round_decimal(const Decimal *d, const Format *format)
{
	uint32_t bits;
	int last_exp;

	if (!estimate(d->w, d->q, d->truncated, format, &bits, &last_exp))
	{
		int order = compare_with_midpoint(d, 2 * bits + 1, last_exp - 1);

		bits += order > 0 || (order == 0 && (bits & 1));
	}
	return with_exponent(bits, last_exp, format);
}

/*
 * Clinger's case: w * 10^q rounded once, to binary64, with both factors exact. Returns 0 where that does not settle the
 * float: on a midpoint of floats, and among the subnormal ones.
 */
static inline int
exact_product(uint64_t w, int64_t q, double *value)
{
	const uint64_t below = (UINT64_C(1) << (53 - 24)) - 1;
	uint64_t bits;

	if (w >> 53 || q < -MAX_EXACT_POW10 || q > MAX_EXACT_POW10)
		return 0;
	if (q < 0)
		*value = (double) w / exact_pow10[-q];
	else
		*value = (double) w * exact_pow10[q];
	memcpy(&bits, value, 8);
	return (*value >= FLT_MIN || w == 0) && (bits & below) != (below >> 1) + 1;
}

/* Signs are as good as random, so they are set, not branched on. */
static inline float
signed_f32(float magnitude, int negative)
{
	uint32_t bits;

	memcpy(&bits, &magnitude, 4);
	bits |= (uint32_t) negative << 31;
	memcpy(&magnitude, &bits, 4);
	return magnitude;
}

static inline float
float_of_bits(uint32_t bits)
{
	float f;

	memcpy(&f, &bits, 4);
	return f;
}

static float
round_to_f32(const Decimal *d)
{
	double exact;

	if (!d->truncated && exact_product(d->w, d->q, &exact))
		return signed_f32((float) exact, d->negative);
	return signed_f32(float_of_bits(round_decimal(d, &format_f32)), d->negative);
}

static uint16_t
round_to_f16(const Decimal *d)
{
	return (uint16_t) (d->negative << 15 | round_decimal(d, &format_f16));
}

const char *
vc_decimal_to_f32(const char *p, const char *end, float *value)
{
	Decimal d;

	p = scan_number(p, end, &d);
	if (p != NULL)
		*value = round_to_f32(&d);
	return p;
}

const char *
vc_decimal_to_f16(const char *p, const char *end, uint16_t *value)
{
	Decimal d;

	p = scan_number(p, end, &d);
	if (p != NULL)
		*value = round_to_f16(&d);
	return p;
}

/* The commas of a text, found ahead of their use. */
typedef struct Commas
{
	const char *block; /* 64 bytes, of whose commas `mask` has those not yet taken */
	const char *end;
	uint64_t mask;
} Commas;

static inline uint64_t
comma_mask(const char *block)
{
	const simde__m128i comma = simde_mm_set1_epi8(',');
	uint64_t mask = 0;

	for (int i = 0; i < 4; i++)
	{
		simde__m128i bytes = simde_mm_loadu_si128((const simde__m128i *) (block + 16 * i));

		mask |= (uint64_t) (uint32_t) simde_mm_movemask_epi8(simde_mm_cmpeq_epi8(bytes, comma)) << (16 * i);
	}
	return mask;
}

/* The next comma, or null from the last block that is not whole on. */
static inline const char *
next_comma(Commas *commas)
{
	const char *comma;

	while (commas->mask == 0)
	{
		if (commas->end - commas->block < 128)
			return NULL;
		commas->block += 64;
		commas->mask = comma_mask(commas->block);
	}
	comma = commas->block + __builtin_ctzll(commas->mask);
	commas->mask &= commas->mask - 1;
	return comma;
}

/* How many bytes before the end of a number scan_quick reads, whatever the number's length. */
#define QUICK_WINDOW 24

/* Sixteen bytes from keep_last + n on keep the last n of sixteen. */
static const unsigned char keep_last[32] = {0,	  0,	0,	  0,	0,	  0,	0,	  0,	0,	  0,	0,
											0,	  0,	0,	  0,	0,	  0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
											0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

/*
 * The last n <= 16 characters before `end` as a number; returns 0 where one is no digit. The same sum as in scan_digits,
 * over twice the width: pairs, fours, eights.
 */
static inline int
sixteen_digits(const char *end, ptrdiff_t n, uint64_t *value)
{
	const simde__m128i nine = simde_mm_set1_epi8(9);
	simde__m128i x = simde_mm_loadu_si128((const simde__m128i *) (end - 16));
	uint64_t eights;

	x = simde_mm_xor_si128(x, simde_mm_set1_epi8('0'));
	x = simde_mm_and_si128(x, simde_mm_loadu_si128((const simde__m128i *) (keep_last + n)));
	if (simde_mm_movemask_epi8(simde_mm_cmpeq_epi8(simde_mm_max_epu8(x, nine), nine)) != 0xffff)
		return 0;

	x = simde_mm_add_epi16(simde_mm_mullo_epi16(simde_mm_and_si128(x, simde_mm_set1_epi16(0xff)), simde_mm_set1_epi16(10)),
						   simde_mm_srli_epi16(x, 8));
	x = simde_mm_madd_epi16(x, simde_mm_set1_epi32(1 << 16 | 100));
	x = simde_mm_packs_epi32(x, x);
	x = simde_mm_madd_epi16(x, simde_mm_set1_epi32(1 << 16 | 10000));
	eights = (uint64_t) simde_mm_cvtsi128_si64(x);
	*value = (eights & UINT64_C(0xffffffff)) * 100000000 + (eights >> 32);
	return 1;
}

/*
 * Step 1 for the forms nearly all numbers in a list have: an optional minus, then a digit, a point and up to 24 digits, or
 * up to 24 digits alone, filling p .. end. The QUICK_WINDOW bytes before `end` must be readable. Returns 0 for any other
 * form, and for more digits than 64 bits hold.
 */
static inline int
scan_quick(const char *p, const char *end, uint64_t *w, int *q, int *negative)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	int point;
	ptrdiff_t n;

	*negative = *p == '-';
	p += *negative;
	if (p == end)
		return 0;
	point = p[1] == '.';
	n = end - p - 2 * point; /* the digits after the point, or all of them */
	if (n < 1 || n > QUICK_WINDOW)
		return 0;
	*q = point ? (int) -n : 0;

	if (n <= 16)
	{
		unsigned whole = point ? (unsigned char) (p[0] - '0') : 0;

		if (!sixteen_digits(end, n, w) || whole > 9)
			return 0;
		*w += whole * integer_pow10[n];
	}
	else
	{
		/* Up to 19 digits that count; more only as zeros before them. */
		uint64_t first;

		memcpy(&first, end - QUICK_WINDOW, 8);
		first = (first ^ ALL_ZEROS) & (UINT64_MAX << (8 * (QUICK_WINDOW - n)));
		if (not_digits(first) || !sixteen_digits(end, 16, w))
			return 0;
		first = eight_digits(first);
		if (first >= 1000 || (point && p[0] != '0'))
			return 0;
		*w += first * integer_pow10[16];
	}
	return 1;
#else
	return 0;
#endif
}

/* Read a number of those forms, where no more than step 2 is needed to round it; 24 digits are never out of range. */
static inline int
quick_f32(const char *p, const char *end, float *value)
{
	uint64_t w;
	int q;
	int negative;
	double exact;
	uint32_t bits;
	int last_exp;

	if (!scan_quick(p, end, &w, &q, &negative))
		return 0;
	if (exact_product(w, q, &exact))
		*value = signed_f32((float) exact, negative);
	else if (estimate(w, q, 0, &format_f32, &bits, &last_exp))
		*value = signed_f32(float_of_bits(with_exponent(bits, last_exp, &format_f32)), negative);
	else
		return 0;
	return 1;
}

/* The same for a half, which may well be out of range: that is left to the long way. */
static inline int
quick_f16(const char *p, const char *end, uint16_t *value)
{
	uint64_t w;
	int q;
	int negative;
	uint32_t bits;
	int last_exp;

	if (!scan_quick(p, end, &w, &q, &negative) || !estimate(w, q, 0, &format_f16, &bits, &last_exp))
		return 0;
	bits = with_exponent(bits, last_exp, &format_f16);
	*value = (uint16_t) (negative << 15 | bits);
	return bits < 0x7c00;
}

/* The long way for one element. Returns null where there is no number or one out of range, and says which. */
static inline const char *
read_element(const char *p, const char *end, int half, void *x, size_t n, VcDecimalEnd *why)
{
	float f = 0;
	uint16_t h = 0;

	p = half ? vc_decimal_to_f16(p, end, &h) : vc_decimal_to_f32(p, end, &f);
	*why = p == NULL ? VC_DECIMAL_END_NOT_NUMBER : VC_DECIMAL_END_RANGE;
	if (p == NULL || (half ? (h & 0x7fff) == 0x7c00 : isinf(f)))
		return NULL;
	if (half)
		((uint16_t *) x)[n] = h;
	else
		((float *) x)[n] = f;
	return p;
}

/*
 * The list readers differ only in the element; `half` is a constant in each and folds away.
 */
static inline __attribute__((always_inline)) VcDecimalEnd
decimal_list(const char *p, const char *end, int half, void *x, size_t capacity, size_t *count, const char **stop)
{
	const char *start = p;
	Commas commas = {p - 64, end, 0};
	size_t n = 0;
	VcDecimalEnd why;

	for (;;)
	{
		const char *comma = next_comma(&commas);
		const char *past;

		if (comma != NULL && comma - start >= QUICK_WINDOW && n < capacity &&
			(half ? quick_f16(p, comma, (uint16_t *) x + n) : quick_f32(p, comma, (float *) x + n)))
		{
			n++;
			p = comma + 1;
			continue;
		}

		while (p < end && vc_is_space(*p))
			p++;
		if (n == capacity)
		{
			why = scan_number(p, end, &(Decimal){0}) ? VC_DECIMAL_END_CAPACITY : VC_DECIMAL_END_NOT_NUMBER;
			break;
		}
		past = read_element(p, end, half, x, n, &why);
		if (past == NULL)
			break;
		n++;

		/* No number holds a comma, so where one was found ahead, this is it. */
		for (p = past; p < end && vc_is_space(*p);)
			p++;
		if (p == end || *p != ',')
		{
			why = VC_DECIMAL_END_LIST;
			break;
		}
		p++;
	}
	*count = n;
	*stop = p;
	return why;
}

VcDecimalEnd
vc_decimal_list_f32(const char *p, const char *end, float *x, size_t capacity, size_t *count, const char **stop)
{
	return decimal_list(p, end, 0, x, capacity, count, stop);
}

VcDecimalEnd
vc_decimal_list_f16(const char *p, const char *end, uint16_t *x, size_t capacity, size_t *count, const char **stop)
{
	return decimal_list(p, end, 1, x, capacity, count, stop);
}
