/*
 * half_text.c
 *		Every finite half: its text (src/types/half_text.h) reads back as the same half, no shorter text does, and of the
 *		shortest it is the nearest.
 */
#include "tap.h"
#include "types/decimal.h"
#include "types/half_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/f16.h"


static bool
reads_as(const char *text, uint16_t half)
{
	uint16_t got;
	const char *past = vc_decimal_to_f16(text, text + strlen(text), &got);

	return past != NULL && *past == '\0' && got == half;
}

static int
significant_digits(const char *text)
{
	int n = 0;
	int zeros = 0;

	for (; *text && *text != 'e'; text++)
	{
		if (*text == '0' && n > 0)
			zeros++;
		else if (*text >= '1' && *text <= '9')
		{
			n += zeros + 1;
			zeros = 0;
		}
	}
	return n;
}

/*
 * Is there a decimal of n digits that reads as the half? The candidates are the nearest to the value and the ones next
 * to it, because the interval of a power of two is lopsided.
 */
static bool
has_shorter(uint16_t half, int n)
{
	double value = vc_f16_to_f32(half);
	char text[64];

	for (int step = -1; step <= 1; step++)
	{
		double unit;

		snprintf(text, sizeof(text), "%.*e", n - 1, value);
		unit = pow(10, atoi(strchr(text, 'e') + 1) - (n - 1));
		snprintf(text, sizeof(text), "%.*e", n - 1, value + step * unit);
		if (reads_as(text, half))
			return true;
	}
	return false;
}

int
main(void)
{
	static const struct
	{
		uint16_t half;
		const char *text;
	} cases[] = {{0x0000, "0"},		 {0x8000, "-0"},	  {0x3c00, "1"},	   {0xbc00, "-1"},		{0x2e66, "0.1"},
				 {0x7bff, "65500"},	 {0x0001, "6e-08"},	  {0x0400, "6.104e-05"}, {0x068e, "0.0001"}, {0x63d0, "1000"},
				 {0x4248, "3.14"},	 {0x7c00 - 1, "65500"}};
	int wrong = 0;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		char text[VC_HALF_TEXT_LEN + 1];

		text[vc_half_to_text(cases[i].half, text)] = '\0';
		if (strcmp(text, cases[i].text) != 0)
		{
			tap_diag("%04x: %s, expected %s", cases[i].half, text, cases[i].text);
			wrong++;
		}
	}
	tap_ok(wrong == 0, "known texts");

	wrong = 0;
	for (unsigned i = 0; i < 0x10000 && wrong < 10; i++)
	{
		uint16_t half = (uint16_t) i;
		char text[VC_HALF_TEXT_LEN + 2];
		char nearest[64];
		double value;
		int length;
		int n;

		if ((half & 0x7c00) == 0x7c00)
			continue;
		value = vc_f16_to_f32(half);
		memset(text, '#', sizeof(text));
		length = vc_half_to_text(half, text);
		if (length > VC_HALF_TEXT_LEN || text[length] != '#')
		{
			tap_diag("%04x: wrote past its %d bytes", half, length);
			wrong++;
			continue;
		}
		text[length] = '\0';
		n = significant_digits(text);
		if (!reads_as(text, half) || (n > 1 && has_shorter(half, n - 1)))
		{
			tap_diag("%04x = %.12g: %s", half, value, text);
			wrong++;
		}
		if (n == 0)
			continue;
		snprintf(nearest, sizeof(nearest), "%.*e", n - 1, value);
		if (reads_as(nearest, half) && fabs(atof(text) - value) > fabs(atof(nearest) - value))
		{
			tap_diag("%04x = %.12g: %s, but %s is nearer", half, value, text, nearest);
			wrong++;
		}
	}
	tap_ok(wrong == 0, "every half reads back, from its shortest and nearest text");

	return tap_done();
}
