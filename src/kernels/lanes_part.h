/*
 * lanes_part.h
 *		Partial loads for instruction sets without masked ones: fewer elements than a vector holds, without touching a
 *		byte past them.
 */
#ifndef VC_LANES_PART_H
#define VC_LANES_PART_H

#include "kernels/isa.h"

/* count (0 to 3) halves in the low bits of a word, zeros above. */
VC_INLINE uint64_t
part_u16x3(const uint16_t *p, size_t count)
{
	uint64_t word = 0;

	if (count & 2)
	{
		uint32_t two;

		memcpy(&two, p, sizeof(two));
		word = two;
		if (count & 1)
			word |= (uint64_t) p[2] << 32;
	}
	else if (count & 1)
		word = p[0];
	return word;
}

/* count (0 to 8) bytes in the low bits of a word, zeros above. Two overlapping loads; no loop, no library call. */
VC_INLINE uint64_t
part_u8x8(const uint8_t *p, size_t count)
{
	if (count >= 8)
	{
		uint64_t word;

		memcpy(&word, p, sizeof(word));
		return word;
	}
	if (count >= 4)
	{
		uint32_t low;
		uint32_t high;

		memcpy(&low, p, sizeof(low));
		memcpy(&high, p + count - 4, sizeof(high));
		return low | ((uint64_t) high << (8 * (count - 4)));
	}
	if (count == 0)
		return 0;
	return p[0] | ((uint64_t) p[count / 2] << (8 * (count / 2))) | ((uint64_t) p[count - 1] << (8 * (count - 1)));
}

#endif /* VC_LANES_PART_H */
