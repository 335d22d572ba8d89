/*
 * sq8.c
 *		See sq8.h.
 */
#include "quantize/sq8.h"

#include <math.h>

float
vc_sq8_scale(const float *values, size_t n)
{
	float most = 0.0f;

	for (size_t i = 0; i < n; i++)
	{
		float m = fabsf(values[i]);

		most = m > most ? m : most;
	}
	return most >= 127 * 0x1p-149f ? most / 127.0f : 1.0f;
}

void
vc_sq8_encode(const float *values, size_t n, float scale, int8_t *code)
{
	for (size_t i = 0; i < n; i++)
	{
		float v = values[i] / scale;

		/* Clipped first, so that the conversion is defined; halves go away from zero. */
		v = v > 127.0f ? 127.0f : v;
		v = v < -127.0f ? -127.0f : v;
		code[i] = (int8_t) (int32_t) (v + (v < 0.0f ? -0.5f : 0.5f));
	}
}
