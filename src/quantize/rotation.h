/*
 * rotation.h
 *		A random orthogonal map of D dimensions, made from a 64-bit seed.
 *
 * Four rounds, each: random sign flips, a fast Walsh-Hadamard transform over 2^floor(log2 D) coordinates (the first ones
 * in even rounds, the last ones in odd), and, where D is not a power of two, one step of Kac's walk that mixes the halves.
 * After Gao et al., "RaBitQ" (SIGMOD 2024 and 2025), where such a map stands in for a dense random rotation at the cost
 * of O(D log D). The rounds are orthonormal, so distances and inner products of rotated vectors are those of the
 * vectors, up to float rounding.
 *
 * The result is the same bit for bit on every CPU and instruction set: additions follow one fixed tree, and no
 * multiplication feeds an addition in the same expression, so there is nothing for a compiler to contract. A standby or
 * a rebuild with the same seed therefore gets the same codes.
 */
#ifndef VC_ROTATION_H
#define VC_ROTATION_H

#include <stddef.h>
#include <stdint.h>

typedef struct VcRotation
{
	uint64_t seed;
	uint32_t dim;	 /* dimensions of the vectors as given */
	uint32_t padded; /* dimensions of the rotated vectors, a multiple of 4, at least dim */
	uint8_t signs[]; /* [padded]; bit r flips the coordinate in round r */
} VcRotation;

/*
 * The fewest dimensions of a rotated vector: dim rounded up to a multiple of 4. Codes of more dimensions are longer, and
 * more exact: the values are spread over all of them.
 */
static inline uint32_t
vc_rotation_padded(uint32_t dim)
{
	return (dim + 3) & ~UINT32_C(3);
}

/* Bytes the caller provides for a rotation. */
extern size_t vc_rotation_size(uint32_t padded);

/* Make the rotation of `seed`; dim is at least 1, and padded at least vc_rotation_padded(dim) and a multiple of 4. */
extern void vc_rotation_init(VcRotation *rotation, uint32_t dim, uint32_t padded, uint64_t seed);

/* out[padded] = the rotation of in[dim]. in and out may be the same array. */
extern void vc_rotation_apply(const VcRotation *rotation, const float *in, float *out);

/* out[dim] = the inverse rotation of in[padded], scratch as in; in is overwritten. */
extern void vc_rotation_invert(const VcRotation *rotation, float *in, float *out);

#endif /* VC_ROTATION_H */
