/*
 * bench_parse.c
 *		Microseconds to read the text of a vector, as vector, as halfvec and with a strtof loop, for the forms clients write.
 *
 * usage: bench_parse [DIMENSIONS]     1,536 unless given
 *
 * Every figure is the best of many repetitions, since everything that disturbs a measurement makes it longer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "types/decimal.h"

#define REPETITIONS 2000

typedef struct Form
{
	const char *name;
	const char *format;
	double scale;
} Form;

static const Form forms[] = {
	{"float, nine digits", "%.9g", 0.1},
	{"double, as JSON has it", "%.17g", 0.1},
	{"six decimals", "%.6f", 1},
	{"whole numbers to 255", "%.0f", 255},
	{"exponents", "%.8e", 1e-6},
};

static double
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec * 1e6 + (double) t.tv_nsec / 1e3;
}

static void
read_strtof(const char *text, float *x, int n)
{
	char *p = (char *) text;

	for (int i = 0; i < n; i++)
	{
		x[i] = strtof(p, &p);
		p++;
	}
}

int
main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 1536;
	char *text = malloc((size_t) n * 32 + 1);
	float *f = malloc((size_t) n * sizeof(float));
	uint16_t *h = malloc((size_t) n * sizeof(uint16_t));

	if (n < 1 || text == NULL || f == NULL || h == NULL)
		return 1;
	printf("%d numbers%30s %10s %10s %10s %8s\n", n, "bytes", "vector us", "halfvec us", "strtof us", "GB/s");
	srand(1);
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
	{
		double best[3] = {1e9, 1e9, 1e9};
		size_t length = 0;
		size_t count;
		const char *stop;

		for (int k = 0; k < n; k++)
		{
			double value = (rand() / (double) RAND_MAX * 2 - 1) * forms[i].scale;

			length += (size_t) sprintf(text + length, forms[i].format, i == 0 ? (double) (float) value : value);
			text[length++] = ',';
		}
		text[--length] = '\0';

		for (int r = 0; r < REPETITIONS; r++)
		{
			double t[4];

			t[0] = now_us();
			vc_decimal_list_f32(text, text + length, f, (size_t) n, &count, &stop);
			t[1] = now_us();
			vc_decimal_list_f16(text, text + length, h, (size_t) n, &count, &stop);
			t[2] = now_us();
			read_strtof(text, f, n);
			t[3] = now_us();
			for (int k = 0; k < 3; k++)
				best[k] = t[k + 1] - t[k] < best[k] ? t[k + 1] - t[k] : best[k];
		}
		printf("  %-28s %10zu %10.2f %10.2f %10.2f %8.2f\n", forms[i].name, length, best[0], best[1], best[2],
			   (double) length / best[0] / 1e3);
	}
	return 0;
}
