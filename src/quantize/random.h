/*
 * random.h
 *		A small generator with the same output everywhere, for what must be rebuilt from a stored seed.
 *		splitmix64 (Steele, Lea and Flood, 2014): every seed is good, and the state is one word.
 */
#ifndef VC_RANDOM_H
#define VC_RANDOM_H

#include <stdint.h>

static inline uint64_t
vc_random_next(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

/* Uniform in [0, n), n > 0. The bias, n / 2^64, is beneath notice. */
static inline uint64_t
vc_random_below(uint64_t *state, uint64_t n)
{
	return (uint64_t) ((unsigned __int128) vc_random_next(state) * n >> 64);
}

/* Uniform in [0, 1). */
static inline double
vc_random_double(uint64_t *state)
{
	return (double) (vc_random_next(state) >> 11) * 0x1p-53;
}

#endif /* VC_RANDOM_H */
