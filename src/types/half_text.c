/*
 * half_text.c
 *		See half_text.h. binary16 is so narrow that no cleverness is needed: scaled to five digits before the point, a value
 *		and the interval that rounds to it are exact in binary64, so each length from one digit on can simply be tried.
 */
#include "types/half_text.h"

#include <string.h>

#include "kernels/f16.h"

static const double power_of_ten[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12};

/* Does the decimal, an integer, round to the value whose neighbours' midpoints are `low` below and `high` above? */
static inline int
rounds_back(double decimal, double value, double low, double high, int even)
{
	double gap = decimal < value ? value - decimal : decimal - value;
	double limit = decimal < value ? low : high;

	return even ? gap <= limit : gap < limit;
}

int
vc_half_to_text(uint16_t half, char *text)
{
	char *p = text;
	int field = (half >> 10) & 31;
	int subnormal = field == 0;
	double value = vc_f16_to_f32(half & 0x7fff);
	double high;
	double low;
	double scale;
	int exp10 = 4;
	int32_t digits = 0;
	int n = 5;
	char buf[5];

	if (half & 0x8000)
		*p++ = '-';
	if (value == 0)
	{
		*p++ = '0';
		return (int) (p - text);
	}

	/* Half a unit in the last place to either side; below a power of two the units are half as large. */
	high = vc_f16_to_f32((uint16_t) ((subnormal ? 1 : field) << 10)) * 0x1p-11;
	low = (half & 0x3ff) == 0 && field > 1 ? high / 2 : high;

	/* 10^exp10 <= value; the product with 10^12 or less is exact: 11 bits times 28 bits and a power of two. */
	while (value * power_of_ten[4 - exp10] < 1e4)
		exp10--;
	scale = power_of_ten[4 - exp10];
	value *= scale;
	high *= scale;
	low *= scale;

	for (int32_t unit = 10000; unit >= 1; unit /= 10)
	{
		int32_t below = (int32_t) (value / unit) * unit;
		int32_t above = below + unit;
		int even = (half & 1) == 0;

		digits = value - below <= above - value ? below : above;
		if (rounds_back(digits, value, low, high, even))
			break;
		digits = below + above - digits;
		if (rounds_back(digits, value, low, high, even))
			break;
	}

	/* Five digits, or 100000; then without the zeros at the end. */
	if (digits == 100000)
	{
		digits = 10000;
		exp10++;
	}
	for (int i = 4; i >= 0; i--, digits /= 10)
		buf[i] = (char) ('0' + digits % 10);
	while (n > 1 && buf[n - 1] == '0')
		n--;

	if (exp10 < -4)
	{
		*p++ = buf[0];
		if (n > 1)
		{
			*p++ = '.';
			memcpy(p, buf + 1, (size_t) n - 1);
			p += n - 1;
		}
		memcpy(p, "e-0", 3);
		p += 3;
		*p++ = (char) ('0' - exp10);
	}
	else if (exp10 < 0)
	{
		memcpy(p, "0.000", (size_t) (1 - exp10));
		p += 1 - exp10;
		memcpy(p, buf, (size_t) n);
		p += n;
	}
	else
	{
		/* buf holds zeros up to the point where digits end before it. */
		int whole = exp10 + 1;

		memcpy(p, buf, (size_t) whole);
		p += whole;
		if (n > whole)
		{
			*p++ = '.';
			memcpy(p, buf + whole, (size_t) (n - whole));
			p += n - whole;
		}
	}
	return (int) (p - text);
}
