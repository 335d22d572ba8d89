/*
 * vc_quant.h
 *		Kernels over quantised vectors, one table per instruction set, reached as vc_kernels->quant.
 *
 * Same rules as vc_kernels.h: pure C, any n, unaligned input. Kernels said to be exact give the same bits on every
 * instruction set; the others differ in rounding only.
 */
#ifndef VC_QUANT_H
#define VC_QUANT_H

#include <stddef.h>
#include <stdint.h>

#define VC_FASTSCAN_VECTORS 32	  /* vectors in a FastScan block */
#define VC_FASTSCAN_GROUP_BYTES 16 /* bytes of a block, and of a look-up table, for one group of four dimensions */
#define VC_PANEL 16				  /* rows interleaved in one panel of `nearest` */

typedef struct VcSignProducts
{
	float rr;
	float rs;
	float cs;
	float rc;
} VcSignProducts;

typedef struct VcQuantKernels
{
	/*
	 * For each of the 32 vectors of a block, the sum over all groups of lut[group][nibble]. A block holds, for each
	 * group, 16 bytes whose low nibbles belong to vectors 0..15 and whose high nibbles belong to 16..31. Exact.
	 */
	void (*fastscan)(const uint8_t *block, const uint8_t *lut, size_t groups, uint32_t sum[32]);

	/* out[i] = add[i] + g + rescale[i] * (step * sum[i] + bias) */
	void (*estimate32)(const uint32_t sum[32], const float *add, const float *rescale, float g, float step, float bias,
					   float out[32]);

	/* Bit i of the result: est[i] - scale * err[i] < limit, or either is NaN: what cannot be compared is not ruled out. */
	uint32_t (*below32)(const float est[32], const float *err, float scale, float limit);

	/*
	 * The look-up table of a query of 4 * groups dimensions: entry n of a group is the sum of |q_i| over those of its
	 * four dimensions whose bit in n agrees with the sign of q_i, in units of *step, rounded. *abs_sum is sum |q_i|.
	 * Returns with *step = 0 and a zero table for a zero query.
	 */
	void (*lut_build)(const float *q, size_t groups, uint8_t *lut, float *step, float *abs_sum);

	/* Bit i % 8 of packed[i / 8] set where r[i] > 0, the rest of the (n + 7) / 8 bytes clear. Exact. */
	void (*signs)(const float *r, size_t n, uint8_t *packed);

	/* With s the signs of r, -1 where r[i] <= 0: <r,r>, <r,s>, <c,s> and <r,c>. */
	VcSignProducts (*sign_products)(const float *r, const float *c, size_t n);

	/* Both for r = a - c, in one pass: packed as by `signs`, the products as by `sign_products`. */
	VcSignProducts (*sign_difference)(const float *a, const float *c, size_t n, uint8_t *packed);

	/* Inner product and squared distance of signed bytes. Exact; n at most 65,535. */
	int32_t (*ip_i8)(const int8_t *a, const int8_t *b, size_t n);
	uint32_t (*l2sq_i8)(const int8_t *a, const int8_t *b, size_t n);

	/*
	 * The n values, a multiple of 4, of a code of 4 or 6 bits packed as quantize/compact.h says; one of 8 bits is its
	 * own. Exact.
	 */
	void (*unpack)(const uint8_t *packed, int bits, size_t n, int8_t *out);

	/*
	 * The inner products of such a code, of 4 or 6 bits, with two vectors of signed bytes, without unpacking it. Exact; n a
	 * multiple of 4, at most 65,535.
	 */
	void (*ip_packed)(const uint8_t *packed, int bits, size_t n, const int8_t *a, const int8_t *b, int32_t product[2]);

	/*
	 * The sums of those of two vectors of signed bytes whose bit, i % 8 of bits[i / 8], is set. Exact; n a multiple of 8, at most 65,535.
	 */
	void (*ip_bits)(const uint8_t *bits, size_t n, const int8_t *a, const int8_t *b, int32_t sum[2]);

	/*
	 * In place and not normalised: the fast Walsh-Hadamard transform of 2^log2n values; (x, y) -> (x + y, x - y)
	 * across the two halves of 2 * half values; multiplication by s; the sign of x[i] flipped where bit `bit` of
	 * signs[i] is set. Exact: each output is one fixed tree of additions.
	 */
	void (*hadamard)(float *x, unsigned log2n);
	void (*butterfly)(float *x, size_t half);
	void (*scale)(float *x, size_t n, float s);
	void (*flip)(float *x, const uint8_t *signs, unsigned bit, size_t n);

	/*
	 * For each of nrows rows the panel row that minimises half_norm - <row, panel row>, and that minimum. panels holds
	 * npanels * dim * VC_PANEL floats: element j of the i-th row of a panel is at [j * VC_PANEL + i]; half_norms has
	 * VC_PANEL a panel, +infinity for the rows that pad the last one. Ties go to the lower index; a row with no
	 * comparable panel row (NaN) gets index 0 and score +infinity.
	 */
	void (*nearest)(const float *rows, size_t stride, size_t nrows, const float *panels, const float *half_norms,
					size_t npanels, size_t dim, float *score, uint32_t *index);

	/* All that `nearest` takes the least of: score[npanels * VC_PANEL] for each of nrows rows. */
	void (*panel_scores)(const float *rows, size_t stride, size_t nrows, const float *panels, const float *half_norms,
						 size_t npanels, size_t dim, float *score);
} VcQuantKernels;

#endif /* VC_QUANT_H */
