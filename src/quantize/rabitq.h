/*
 * rabitq.h
 *		RaBitQ: codes of 1 to 8 bits a dimension with an unbiased distance estimate and an error bound.
 *		Gao and Long, SIGMOD 2024 (one bit); Gao et al., SIGMOD 2025 (more bits). Departures: the best code of more than
 *		one bit is found by a short search over scales and a pass of single-step improvements instead of the exact sweep;
 *		the query table takes the query's sign pattern as its zero, so that entries are non-negative and the correction
 *		needs only the sum of |q_i|.
 *
 * All vectors here are rotated (rotation.h) and have D dimensions, a multiple of 4. A vector o is coded relative to a
 * centre c, as the residual r = o - c. What is estimated is a distance from a query q:
 *	VC_RABITQ_L2	|q - o|^2
 *	VC_RABITQ_IP	-<q, o>; of unit vectors, 1 + this is the cosine distance
 *
 * With xu the code, x = xu - (2^B - 1) / 2 and k = |r|^2 / <r, x>:
 *	estimate = add + g + rescale * (<xu, q> - (2^B - 1) / 2 * sum(q))
 *	L2: add = |r|^2 + 2k<c, x>	  rescale = -2k	  g = |q - c|^2
 *	IP: add = -<r, c> + k<c, x>	  rescale = -k	  g = -<q, c>
 * The estimate misses by at most err * |q - c| * epsilon, where epsilon 1.9 is near-certain and less trades recall for
 * speed. The query table does not depend on c: one table serves a whole search. But its rounding error is
 * proportional to |q|, so data far from the origin should be shifted by a common mean first (L2), or the table made from
 * q - c and the vectors encoded with centre NULL (add without its <c, x> term).
 *
 * A block holds the codes of 32 vectors for FastScan: B planes, the most significant bit first, each as vc_quant.h
 * describes. The first plane alone is the one-bit code of the vector, to be used with one-bit factors.
 *
 * Nothing is allocated; the caller provides the arrays. Finite input of any size is safe: a vector whose factors would
 * overflow gets the largest error, so that it is never ruled out by its bound.
 */
#ifndef VC_RABITQ_H
#define VC_RABITQ_H

#include <stddef.h>
#include <stdint.h>

#define VC_RABITQ_BLOCK 32 /* vectors in a block */
#define VC_RABITQ_MAX_BITS 8

typedef enum VcRabitqMetric
{
	VC_RABITQ_L2,
	VC_RABITQ_IP
} VcRabitqMetric;

/* The factors of one vector; on disk and in blocks they lie as three arrays. */
typedef struct VcRabitqFactors
{
	float add;
	float rescale;
	float err;
} VcRabitqFactors;

/* A query prepared for any number of blocks. */
typedef struct VcRabitqQuery
{
	const uint8_t *lut; /* [vc_rabitq_lut_size(D)] */
	uint32_t dim;		/* D */
	float step;			/* value of one unit of the table */
	float bias;			/* to be added for each weight of 1: -sum|q_i| / 2 */
} VcRabitqQuery;

/* Bytes of one plane of a block, of a block of `bits` planes, and of a query table. */
static inline size_t
vc_rabitq_plane_size(uint32_t dim)
{
	return (size_t) dim / 4 * 16;
}

static inline size_t
vc_rabitq_block_size(uint32_t dim, int bits)
{
	return vc_rabitq_plane_size(dim) * (size_t) bits;
}

static inline size_t
vc_rabitq_lut_size(uint32_t dim)
{
	return (size_t) dim / 4 * 16;
}

/*
 * Encode residual[dim] relative to centre[dim] (NULL stands for the origin) into code[dim], one value a byte, below 2^bits.
 * The highest bit of each value is set exactly where the residual is positive.
 */
extern void vc_rabitq_encode(VcRabitqMetric metric, const float *residual, const float *centre, uint32_t dim, int bits,
							 uint8_t *code, VcRabitqFactors *factors);

/* The factors, without a centre, of any point x that stands for a residual r, from <r,r>, <r,x> and <x,x>. */
extern void vc_rabitq_factors(VcRabitqMetric metric, double rr, double rx, double xx, uint32_t dim, VcRabitqFactors *factors);

/* As above for one bit, straight into bit string `packed` of dim / 8 bytes rounded up, dimension i at bit i % 8. */
extern void vc_rabitq_encode1(VcRabitqMetric metric, const float *residual, const float *centre, uint32_t dim,
							  uint8_t *packed, VcRabitqFactors *factors);

/* The same for a vector and its centre, neither of them NULL, in one pass over both. */
extern void vc_rabitq_encode1_from(VcRabitqMetric metric, const float *vector, const float *centre, uint32_t dim,
								   uint8_t *packed, VcRabitqFactors *factors);

/* Write a code into slot 0..31 of a block, leaving the other slots as they are; and read it back. */
extern void vc_rabitq_pack(uint8_t *block, uint32_t dim, int bits, int slot, const uint8_t *code);
extern void vc_rabitq_unpack(const uint8_t *block, uint32_t dim, int bits, int slot, uint8_t *code);

/* The same for a one-bit code in a bit string and a block of one plane. */
extern void vc_rabitq_pack1(uint8_t *block, uint32_t dim, int slot, const uint8_t *packed);
extern void vc_rabitq_unpack1(const uint8_t *block, uint32_t dim, int slot, uint8_t *packed);

/* The dim / 4 bytes that vc_rabitq_pack1 would write to block + VC_RABITQ_FIRST(slot) and every 16 bytes from there on. */
#define VC_RABITQ_FIRST(slot) ((slot) % 16)
extern void vc_rabitq_column1(const uint8_t *block, uint32_t dim, int slot, const uint8_t *packed, uint8_t *column);

/* Prepare a query; lut has vc_rabitq_lut_size(dim) bytes and must live as long as the query is used. */
extern void vc_rabitq_query_init(VcRabitqQuery *query, const float *rotated_query, uint32_t dim, uint8_t *lut);

/*
 * The estimates of all 32 vectors of a block. add and rescale have 32 elements; g as above. Slots that hold nothing give
 * values without meaning.
 */
extern void vc_rabitq_estimate32(const VcRabitqQuery *query, const uint8_t *block, int bits, const float *add,
								 const float *rescale, float g, float out[VC_RABITQ_BLOCK]);

/*
 * The same from the rotated query itself, without a table and its rounding error: for data that are near to each other beside
 * their distance from the origin. Several times as slow.
 */
extern void vc_rabitq_estimate32_fine(const float *rotated_query, uint32_t dim, const uint8_t *block, int bits, const float *add,
									  const float *rescale, float g, float out[VC_RABITQ_BLOCK]);

/* The estimate of one vector from its code, in double: the reference the kernels are held against. */
extern double vc_rabitq_estimate_exact(const float *rotated_query, const uint8_t *code, uint32_t dim, int bits,
									   const VcRabitqFactors *factors, double g);

#endif /* VC_RABITQ_H */
