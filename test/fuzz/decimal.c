/*
 * decimal.c
 *		Fuzz target for the text of vectors (src/types/decimal.h): any bytes, read as a list, end where reading them number
 *		by number ends, with the same numbers, and those are the ones strtof reads.
 *
 *	clang -g -O1 -fsanitize=fuzzer,address,undefined -Isrc -o fuzz-decimal test/fuzz/decimal.c src/types/decimal.c
 *	./fuzz-decimal -max_len=400 -max_total_time=300
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "types/decimal.h"

#define CAPACITY 64

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the list readers do, without their shortcuts. Halves are read where `half`. */
static VcDecimalEnd
read_plainly(const char *p, const char *end, int half, void *x, size_t *count, const char **stop)
{
	VcDecimalEnd why;

	*count = 0;
	for (;;)
	{
		float f = 0;
		uint16_t h = 0;
		const char *past;

		while (p < end && vc_is_space(*p))
			p++;
		past = half ? vc_decimal_to_f16(p, end, &h) : vc_decimal_to_f32(p, end, &f);
		why = VC_DECIMAL_END_NOT_NUMBER;
		if (past == NULL)
			break;
		why = VC_DECIMAL_END_CAPACITY;
		if (*count == CAPACITY)
			break;
		why = VC_DECIMAL_END_RANGE;
		if (half ? (h & 0x7fff) == 0x7c00 : isinf(f))
			break;
		if (half)
			((uint16_t *) x)[*count] = h;
		else
			((float *) x)[*count] = f;
		++*count;
		for (p = past; p < end && vc_is_space(*p);)
			p++;
		why = VC_DECIMAL_END_LIST;
		if (p == end || *p != ',')
			break;
		p++;
	}
	*stop = p;
	return why;
}

static void
check_strtof(const char *p, const char *end)
{
	float f;
	const char *past = vc_decimal_to_f32(p, end, &f);
	char *copy;
	float expected;

	if (past == NULL)
		return;

	/* strtof wants a terminating zero, and would read on into hexadecimal. */
	copy = malloc((size_t) (past - p) + 1);
	if (copy == NULL)
		abort();
	memcpy(copy, p, (size_t) (past - p));
	copy[past - p] = '\0';
	expected = strtof(copy, NULL);
	if (memcmp(&expected, &f, sizeof(f)) != 0)
		abort();
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *) data;
	const char *end = text + size;

	for (int half = 0; half < 2; half++)
	{
		float x[CAPACITY];
		float y[CAPACITY];
		size_t n;
		size_t m;
		const char *stop_x;
		const char *stop_y;
		VcDecimalEnd why = half ? vc_decimal_list_f16(text, end, (uint16_t *) x, CAPACITY, &n, &stop_x)
								: vc_decimal_list_f32(text, end, x, CAPACITY, &n, &stop_x);

		if (read_plainly(text, end, half, y, &m, &stop_y) != why || n != m || stop_x != stop_y ||
			memcmp(x, y, n * (half ? sizeof(uint16_t) : sizeof(float))) != 0)
			abort();
	}
	check_strtof(text, end);
	return 0;
}
