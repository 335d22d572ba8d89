/*
 * compact.h
 *		Codes of 4 to 8 bits a dimension for vectors that are compared one at a time, where blocks of 32 (rabitq.h) do
 *		not help. The codes are RaBitQ's, centred on the origin; what differs is how they are packed and how a query meets them.
 *
 * All vectors are rotated and have D dimensions, a multiple of 4 and at most 65,535. With x the code about its middle, o the vector and
 * k = |o|^2 / <o, x>, the point kx is the vector plus an error e that is orthogonal to it. So <q, kx> estimates <q, o>, and misses
 * by <q, e> alone, which depends on nothing but the part of q that is orthogonal to o: of the size of |q - o| for the vectors that
 * are near, however far both are from the origin. The error's direction being random, <q, e> is about normally
 * distributed with deviation |q_orthogonal| |e| / sqrt(D - 1), and never more than |q_orthogonal| |e|.
 *
 * The query is rounded to 16 bits a dimension, two planes of signed bytes, whose products with a code are exact integers. That
 * puts <q, kx> off by another error of no direction, with deviation step |kx| / sqrt(12).
 *
 * Packed, a code of 4 bits has dimension i < D/2 in the low half of byte i and dimension D/2 + i in the high half. One of 6 bits has
 * its lower 4 bits like that, followed by D/4 bytes: two bits each of dimensions i, D/4 + i, D/2 + i and 3D/4 + i. One of 8
 * has a byte for each dimension, less 128. Behind a code of 4 or 6 bits there may be one bit more of each of the first dimensions, the
 * lowest one: dimension i has bit i % 8 of byte i / 8. That way a code takes whatever room there is.
 */
#ifndef VC_COMPACT_H
#define VC_COMPACT_H

#include <stddef.h>
#include <stdint.h>

/* What is kept beside a code. */
typedef struct VcCompactFactors
{
	float norm2; /* |o|^2; infinite where float cannot say, or the factors are not finite: then nothing is known */
	float k;
	float err; /* |e| / sqrt(D - 1); of a vector that counts as zero, |o| */
} VcCompactFactors;

/* How vectors are coded. */
typedef struct VcCompactForm
{
	uint32_t dim;	/* D */
	int bits;		/* of each dimension: 4, 6 or 8 */
	uint32_t finer; /* so many dimensions have one bit more: a multiple of 8, 0 where bits is 8 */
} VcCompactForm;

/* A query prepared for any number of codes of one form. */
typedef struct VcCompactQuery
{
	int8_t *high;	  /* [D] */
	int8_t *low;	  /* [D] */
	VcCompactForm form;
	double step;  /* value of one unit of `low` */
	double offset; /* to be added to the products with a packed code for <q, x> */
	double norm2;  /* |q|^2 */
} VcCompactQuery;

static inline size_t
vc_compact_size(const VcCompactForm *form)
{
	return (size_t) form->dim / 4 * (size_t) (form->bits / 2) + form->finer / 8;
}

/* Bytes that the caller provides for a query. */
static inline size_t
vc_compact_query_size(uint32_t dim)
{
	return (size_t) dim * 2;
}

/* Encode v[dim]; scratch has dim bytes, packed vc_compact_size. */
extern void vc_compact_encode(const VcCompactForm *form, const float *v, uint8_t *scratch, uint8_t *packed,
							  VcCompactFactors *factors);

/* out[dim] = kx; scratch has dim bytes. */
extern void vc_compact_decode(const VcCompactForm *form, const uint8_t *packed, float k, int8_t *scratch, float *out);

extern void vc_compact_query_init(VcCompactQuery *query, const VcCompactForm *form, const float *v, int8_t *memory);

/* The estimate of <q, o>. */
extern double vc_compact_product(const VcCompactQuery *query, const uint8_t *packed, float k);

/*
 * How far such an estimate may be off, with epsilon deviations of the code's error and of the query's allowed for; for the code's without
 * doubt where sqrt(D - 1) is less than epsilon. Infinite where nothing is known.
 */
extern double vc_compact_error(const VcCompactQuery *query, const VcCompactFactors *factors, double product,
							   double epsilon);

#endif /* VC_COMPACT_H */
