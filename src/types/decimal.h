/*
 * decimal.h
 *		Decimal text to binary32 and binary16, correctly rounded (nearest, ties to even), whatever the locale. Pure C:
 *		nothing here knows the server, so unit tests, benchmarks and fuzzers reach it directly.
 *
 * A number is [+-] digits [. digits] [e [+-] digits] with a digit somewhere before the exponent. Words (nan, inf) and
 * hexadecimal are not numbers. A magnitude that rounds beyond the largest finite value gives infinity; one that rounds
 * below the smallest subnormal gives zero; both keep the sign.
 */
#ifndef VC_DECIMAL_H
#define VC_DECIMAL_H

#include <stddef.h>
#include <stdint.h>

/*
 * Read the number that starts at `p`; nothing at or past `end` is read. Returns the first byte past the number, or null
 * where none starts at `p`; then *value is untouched.
 */
extern const char *vc_decimal_to_f32(const char *p, const char *end, float *value);
extern const char *vc_decimal_to_f16(const char *p, const char *end, uint16_t *value);

/* Why a list ended where it did. */
typedef enum VcDecimalEnd
{
	VC_DECIMAL_END_LIST,	 /* after a number, at something that is neither white space nor a comma, or at the end */
	VC_DECIMAL_END_NOT_NUMBER, /* where a number should start: at the list's first byte or after a comma */
	VC_DECIMAL_END_RANGE,	 /* at a number beyond the largest finite value */
	VC_DECIMAL_END_CAPACITY	 /* at a number that would be one too many */
} VcDecimalEnd;

/*
 * Read numbers separated by commas, white space allowed around each, into x[0 .. capacity). Sets *count to the numbers
 * stored and *stop to where reading ended, past white space; returns why.
 */
extern VcDecimalEnd vc_decimal_list_f32(const char *p, const char *end, float *x, size_t capacity, size_t *count,
										const char **stop);
extern VcDecimalEnd vc_decimal_list_f16(const char *p, const char *end, uint16_t *x, size_t capacity, size_t *count,
										const char **stop);

/* White space as the text formats understand it: the C locale's, in any locale. */
static inline int
vc_is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

#endif /* VC_DECIMAL_H */
