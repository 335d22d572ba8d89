/*
 * decimal.c
 *		Holds the decimal reader (src/types/decimal.h) against strtof and, for binary16, against exact rounding of a
 *		decimal that was made to lie on, above or below a midpoint.
 *
 * usage: decimal [MILLIONS [SEED]]: random strings tried per group. The default keeps `make test` short; `decimal 50` tries
 * 300 million. Each group prints its seed. VC_UNIT_QUICK=1 in the environment tries few, for emulators.
 */
#include "tap.h"
#include "types/decimal.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
static uint64_t state;

static uint64_t
next_random(void)
{
	/* splitmix64 */
	uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static uint32_t
bits_of(float f)
{
	uint32_t bits;

	memcpy(&bits, &f, 4);
	return bits;
}

static float
float_of(uint32_t bits)
{
	float f;

	memcpy(&f, &bits, 4);
	return f;
}

/* Parse a copy that ends where its allocation ends, so that sanitizers see any read past the end. */
static bool
same_as_strtof(const char *text, size_t length)
{
	float expected = strtof(text, NULL);
	float got = -1;
	const char *past = vc_decimal_to_f32(text, text + length, &got);

	if (past == text + length && bits_of(got) == bits_of(expected))
		return true;
	tap_diag("%s: got %a, strtof gives %a%s", text, got, expected, past == text + length ? "" : ", stopped early");
	return false;
}

/* The exact decimal expansion of the midpoint between a finite float and the next one up. */
static void
midpoint_text(char *text, size_t size, uint32_t bits)
{
	double midpoint = ((double) float_of(bits) + (double) float_of(bits + 1)) / 2;

	/* Above the largest finite value, the midpoint to where the next would be. */
	if (bits + 1 == 0x7f800000)
		midpoint = (double) FLT_MAX + ldexp(1, 103);
	snprintf(text, size, "%.*e", 140, midpoint);
}

typedef bool (*Trial)(void);

static bool
trial_shortest(void)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%.9g", float_of((uint32_t) next_random() & 0xff7fffff));

	return same_as_strtof(text, n);
}

static bool
trial_double(void)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%.17g", ((double) (int64_t) next_random()) * 0x1p-63);

	return same_as_strtof(text, n);
}

static bool
trial_fixed(void)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%.*f", (int) (next_random() % 20),
					 ((double) (int64_t) next_random()) * ldexp(1, -(int) (next_random() % 80)));

	return same_as_strtof(text, n);
}

/* Random digits, point and exponent, with zeros and nines more likely than chance has them. */
static bool
trial_digits(void)
{
	char text[256];
	int n = 0;
	int digits = 1 + (int) (next_random() % (next_random() % 8 ? 25 : 180));
	int point = (int) (next_random() % (digits + 1));

	if (next_random() & 1)
		text[n++] = next_random() & 1 ? '-' : '+';
	for (int i = 0; i < digits; i++)
	{
		uint64_t r = next_random();

		if (i == point)
			text[n++] = '.';
		text[n++] = (char) ('0' + ((r & 7) == 0 ? 0 : (r & 7) == 1 ? 9 : (r >> 8) % 10));
	}
	if (next_random() & 1)
		n += sprintf(text + n, "%c%s%d", next_random() & 1 ? 'e' : 'E', next_random() & 1 ? "-" : "",
					 (int) (next_random() % (next_random() % 4 ? 50 : 250)));
	text[n] = '\0';
	return same_as_strtof(text, n);
}

/* On a midpoint, and a hair to either side of it. */
static bool
trial_midpoint(void)
{
	char text[256];
	char *e;
	uint32_t bits = (uint32_t) (next_random() % 0x7f800000);
	int extra = (int) (next_random() % 3);

	if (next_random() % 4 == 0)
		bits &= 0xffff;
	midpoint_text(text, sizeof(text), bits);
	e = strchr(text, 'e');
	if (extra == 1)
		e[-1] = '1';
	else if (extra == 2)
	{
		/* Lower the last digit that is not zero. */
		char *digit = e - 1;

		while (*digit == '0' || *digit == '.')
			*digit = *digit == '.' ? '.' : '9', digit--;
		(*digit)--;
	}
	return same_as_strtof(text, strlen(text));
}

/* Midpoints cut to 8 to 40 digits: near misses for the fast paths. */
static bool
trial_near_midpoint(void)
{
	char text[256];
	uint32_t bits = (uint32_t) (next_random() % 0x7f800000);
	double midpoint = ((double) float_of(bits) + (double) float_of(bits + 1)) / 2;
	int n;

	if (bits + 1 == 0x7f800000)
		return true;
	n = snprintf(text, sizeof(text), "%.*e", 7 + (int) (next_random() % 33), midpoint);
	return same_as_strtof(text, n);
}

static void
group(const char *name, Trial trial, uint64_t count)
{
	uint64_t seed = state;
	int wrong = 0;

	for (uint64_t i = 0; i < count && wrong < 5; i++)
		wrong += !trial();
	tap_ok(wrong == 0, "%llu %s (seed %llu)", (unsigned long long) count, name, (unsigned long long) seed);
}

/* A half's value as a double, which holds it exactly. */
static double
half_value(uint16_t h)
{
	int exp = (h >> 10) & 31;
	double m = exp ? (h & 1023) + 1024 : h & 1023;

	return ldexp(m, (exp ? exp : 1) - 25);
}

/*
 * Every finite half reads back from its own decimal; every midpoint goes to the even neighbour, and one part in 10^30
 * above or below it goes there.
 */
static void
test_halves(void)
{
	int wrong = 0;

	for (int h = 0; h < 0x7c00 && wrong < 5; h++)
	{
		double value = half_value((uint16_t) h);
		double next = h == 0x7bff ? 65536 : half_value((uint16_t) (h + 1));
		uint16_t expected[4] = {(uint16_t) h, (uint16_t) (h & 1 ? h + 1 : h), (uint16_t) (h + 1), (uint16_t) h};
		char text[4][128];

		snprintf(text[0], sizeof(text[0]), "-%.40e", value);
		snprintf(text[1], sizeof(text[1]), "-%.40e", (value + next) / 2);
		strcpy(text[2], text[1]);
		*(strchr(text[2], 'e') - 1) = '1';
		snprintf(text[3], sizeof(text[3]), "-%.17e", (value + next) / 2 * (1 - 0x1p-50));
		for (int i = 0; i < 4; i++)
		{
			uint16_t got = 1;
			const char *past = vc_decimal_to_f16(text[i], text[i] + strlen(text[i]), &got);

			if (past != text[i] + strlen(text[i]) || got != (0x8000 | expected[i]))
			{
				tap_diag("%s: got %04x, expected %04x", text[i], got, 0x8000 | expected[i]);
				wrong++;
			}
		}
	}
	tap_ok(wrong == 0, "every half, every midpoint of halves and both sides of it");
}

static void
test_not_numbers(void)
{
	static const char *const texts[] = {"",	   "-",	  "+",	 ".",	 "-.",	"e5",	"1e",  "1e+", "nan",
										"inf", "--1", "+-1", "x",	 " 1",	",",	"]",   "e",	  ".e1"};
	bool ok = true;
	float f;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
	{
		if (vc_decimal_to_f32(texts[i], texts[i] + strlen(texts[i]), &f) != NULL)
		{
			tap_diag("\"%s\" was taken for a number", texts[i]);
			ok = false;
		}
	}
	tap_ok(ok, "what is no number is not taken for one");
}

/* Sizes at which an exponent, a run of zeros or a run of digits could overflow something. */
static void
test_extremes(void)
{
	static const struct
	{
		const char *text;
		float value;
	} cases[] = {{"1e999999999999999999999", INFINITY},
				 {"-1e999999999999999999999", -INFINITY},
				 {"1e-999999999999999999999", 0},
				 {"0e999999999999999999999", 0},
				 {"-0e5", -0.0f},
				 {"3.4028235677973367e38", INFINITY},
				 {"3.4028235677973366e38", FLT_MAX},
				 {"7.0064923216240853546186479164495806564013097093825788587853e-46", 0},
				 {"7.0064923216240853546186479164495806564013097093825788587854e-46", 1e-45f},
				 {"7.1e-46", 1e-45f},
				 {"18446744073709551615", 18446744073709551615.0f},
				 {"18446744073709551616", 18446744073709551616.0f},
				 {"99999999999999999999999999999999999999", 1e38f}};
	bool ok = true;
	size_t zeros = 300000;
	char *text = malloc(zeros + 32);
	float f = -1;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		const char *past = vc_decimal_to_f32(cases[i].text, cases[i].text + strlen(cases[i].text), &f);

		if (past == NULL || *past || bits_of(f) != bits_of(cases[i].value))
		{
			tap_diag("%s: got %a", cases[i].text, f);
			ok = false;
		}
	}

	memset(text, '0', zeros);
	text[1] = '.';
	strcpy(text + zeros, "25e299999");
	ok &= vc_decimal_to_f32(text, text + strlen(text), &f) != NULL && f == 2.5f;
	memset(text, '9', zeros);
	strcpy(text + zeros, "e-300000");
	ok &= vc_decimal_to_f32(text, text + strlen(text), &f) != NULL && f == 1;
	free(text);
	tap_ok(ok, "extreme exponents and lengths");
}

static void
test_lists(void)
{
	static const char longer[] = "1,23456";
	static const struct
	{
		const char *text;
		VcDecimalEnd why;
		size_t count;
		size_t stop;
	} cases[] = {{"1,2,3", VC_DECIMAL_END_LIST, 3, 5},
				 {" 1 ,\t2\n, 3 ]", VC_DECIMAL_END_LIST, 3, 11},
				 {"1,2,3,4,5", VC_DECIMAL_END_CAPACITY, 4, 8},
				 {"1,,2", VC_DECIMAL_END_NOT_NUMBER, 1, 2},
				 {"1,2,", VC_DECIMAL_END_NOT_NUMBER, 2, 4},
				 {"", VC_DECIMAL_END_NOT_NUMBER, 0, 0},
				 {"1, 1e39", VC_DECIMAL_END_RANGE, 1, 3},
				 {"1 2", VC_DECIMAL_END_LIST, 1, 2},
				 {"1x", VC_DECIMAL_END_LIST, 1, 1}};
	bool ok = true;
	float f[4];
	uint16_t h[4];
	size_t count;
	const char *stop;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		const char *text = cases[i].text;
		VcDecimalEnd why = vc_decimal_list_f32(text, text + strlen(text), f, 4, &count, &stop);
		bool same = why == cases[i].why && count == cases[i].count && stop == text + cases[i].stop;

		why = vc_decimal_list_f16(text, text + strlen(text), h, 4, &count, &stop);
		same &= why == cases[i].why && count == cases[i].count && stop == text + cases[i].stop;
		if (!same)
			tap_diag("\"%s\"", text);
		ok &= same;
	}
	tap_ok(ok, "lists end where and why they should");

	/* The end given is the end, whatever follows it in memory. */
	ok = vc_decimal_list_f32(longer, longer + 4, f, 4, &count, &stop) == VC_DECIMAL_END_LIST && count == 2 && f[1] == 23;
	tap_ok(ok, "a list ends at the end given");
}

/* One number in one of the forms clients write, and in some they rarely do. */
static int
append_number(char *text, size_t size)
{
	double value = ((double) (int64_t) next_random()) * 0x1p-63;

	switch (next_random() % 12)
	{
		case 0:
			return snprintf(text, size, "%.9g", (float) value);
		case 1:
			return snprintf(text, size, "%.17g", value * 1e-3);
		case 2:
			return snprintf(text, size, "%d", (int) (value * 300));
		case 3:
			return snprintf(text, size, "%.*f", (int) (next_random() % 30), value);
		case 4:
			return snprintf(text, size, "%.*f", (int) (next_random() % 30), value * 20);
		case 5:
			return snprintf(text, size, "%llu", (unsigned long long) next_random() >> next_random() % 64);
		case 6:
			return snprintf(text, size, "%.0f", value * 1e24);
		case 7:
			return snprintf(text, size, "0");
		case 8:
			return snprintf(text, size, "-0.0");
		case 9:
			return snprintf(text, size, " %.3e\t", value);
		case 10:
			return snprintf(text, size, "%s.5", value < 0 ? "-" : "+");
		default:
			return snprintf(text, size, "%.6f", value);
	}
}

/* A list of such numbers, from an exact allocation, is what its numbers are one by one; both element types. */
static bool
trial_list(void)
{
	static char text[400 * 64];
	static float f[400];
	static uint16_t h[400];
	size_t n = 1 + next_random() % 400;
	size_t length = 0;
	size_t count = 0;
	const char *stop = NULL;
	const char *p;
	char *copy;
	bool ok;

	for (size_t i = 0; i < n; i++)
	{
		length += append_number(text + length, 64);
		text[length++] = ',';
	}
	copy = malloc(--length);
	memcpy(copy, text, length);
	text[length] = '\0';

	ok = vc_decimal_list_f32(copy, copy + length, f, 400, &count, &stop) == VC_DECIMAL_END_LIST && count == n &&
		 stop == copy + length;
	p = text;
	for (size_t i = 0; i < n && ok; i++)
	{
		char *past;

		ok = bits_of(strtof(p, &past)) == bits_of(f[i]);
		if (!ok)
			tap_diag("element %zu: %a from %.40s", i, f[i], p);
		p = past + strcspn(past, ",") + 1;
	}

	/* Halves: the integers may be out of range, which ends the list there. */
	p = text;
	vc_decimal_list_f16(copy, copy + length, h, 400, &count, &stop);
	for (size_t i = 0; i < count && ok; i++)
	{
		uint16_t expected = 0;

		p += strspn(p, " ");
		ok = vc_decimal_to_f16(p, p + strlen(p), &expected) && expected == h[i];
		if (!ok)
			tap_diag("element %zu: half %04x, alone %04x, from %.40s", i, h[i], expected, p);
		p += strcspn(p, ",") + 1;
	}
	free(copy);
	return ok;
}

/* Lists with one byte replaced end where the same text read number by number ends. */
static bool
trial_broken_list(void)
{
	static const char bytes[] = ",,..--+eExN \t]0\xff";
	static char text[40 * 64];
	static float f[40];
	size_t n = 1 + next_random() % 40;
	size_t length = 0;
	size_t count;
	size_t expected = 0;
	const char *stop;
	const char *p;
	char *copy;
	bool ok;

	for (size_t i = 0; i < n; i++)
	{
		length += append_number(text + length, 64);
		text[length++] = ',';
	}
	text[next_random() % length] = bytes[next_random() % (sizeof(bytes) - 1)];
	copy = malloc(length);
	memcpy(copy, text, length);

	/* One by one, white space skipped. */
	p = copy;
	for (;;)
	{
		const char *past;
		float value;

		while (p < copy + length && vc_is_space(*p))
			p++;
		past = vc_decimal_to_f32(p, copy + length, &value);
		if (past == NULL || isinf(value) || expected == 40)
			break;
		expected++;
		for (p = past; p < copy + length && vc_is_space(*p);)
			p++;
		if (p == copy + length || *p != ',')
			break;
		p++;
	}
	vc_decimal_list_f32(copy, copy + length, f, 40, &count, &stop);
	ok = count == expected && stop == p;
	if (!ok)
		tap_diag("%zu numbers to byte %td, expected %zu to byte %td: %.*s", count, stop - copy, expected, p - copy,
				 (int) length, copy);
	free(copy);
	return ok;
}

int
main(int argc, char **argv)
{
	double millions = argc > 1 ? atof(argv[1]) : getenv("VC_UNIT_QUICK") != NULL ? 0.03 : 3;
	uint64_t count = (uint64_t) (millions * 1e6);

	state = argc > 2 ? strtoull(argv[2], NULL, 10) : 20261120;

	test_not_numbers();
	test_extremes();
	test_lists();
	test_halves();
	group("floats of nine digits as strtof reads them", trial_shortest, count);
	group("doubles of 17 digits as strtof reads them", trial_double, count);
	group("fixed-point decimals as strtof reads them", trial_fixed, count);
	group("strings of digits as strtof reads them", trial_digits, count);
	group("midpoints and their neighbours as strtof reads them", trial_midpoint, count);
	group("shortened midpoints as strtof reads them", trial_near_midpoint, count);
	group("lists as strtof reads their numbers", trial_list, count / 100);
	group("broken lists as read number by number", trial_broken_list, count / 10);
	return tap_done();
}
