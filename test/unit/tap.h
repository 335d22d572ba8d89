/*
 * tap.h
 *		What a unit test prints: one "ok N - what" or "not ok N - what" line a test, "# ..." lines that explain a failure,
 *		and the plan at the end. A program returns tap_done() from main.
 */
#ifndef VC_TAP_H
#define VC_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static int tap_count;
static int tap_failures;

__attribute__((format(printf, 1, 2), unused)) static void
tap_diag(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("# ");
	vprintf(format, args);
	printf("\n");
	va_end(args);
}

__attribute__((format(printf, 2, 3), unused)) static bool
tap_ok(bool passed, const char *format, ...)
{
	va_list args;

	tap_count++;
	if (!passed)
		tap_failures++;
	va_start(args, format);
	printf("%sok %d - ", passed ? "" : "not ", tap_count);
	vprintf(format, args);
	printf("\n");
	va_end(args);
	return passed;
}

__attribute__((unused)) static int
tap_done(void)
{
	printf("1..%d\n", tap_count);
	if (tap_failures > 0)
		tap_diag("%d of %d failed", tap_failures, tap_count);
	return tap_failures > 0 ? 1 : 0;
}

#endif /* VC_TAP_H */
