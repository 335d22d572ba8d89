/*
 * distance.h
 *		When the kernels' float sums can be trusted, and what cosine distance is made of.
 *
 * Kernels sum in float. A sum that overflows, or squares so small that float loses them, is computed once more in double
 * (kernels/ref.h), so that any two valid vectors have a right and finite distance. The test costs two comparisons; the
 * second computation only happens next to the ends of float's range and where a sum of squares is zero.
 * dense_distance_impl.h applies this to each type.
 */
#ifndef VC_DISTANCE_H
#define VC_DISTANCE_H

#include "postgres.h"

#include <float.h>
#include <math.h>

#include "kernels/ref.h"
#include "kernels/vc_kernels.h"

/*
 * A square below 2^-126 is rounded to a multiple of 2^-149. Over 16,000 terms that is an error of at most 1.2e-41, from
 * here on less than float's own rounding of the sum.
 */
#define VC_SMALLEST_TRUSTED_SQUARES 1e-33f

static inline bool
vc_squares_trusted(float sum)
{
	return sum >= VC_SMALLEST_TRUSTED_SQUARES && sum <= FLT_MAX;
}

/* Cosine distance from the sums; NaN where a vector is zero. Rounding may not carry it outside [0, 2]. */
static inline double
vc_cosine_distance(double ab, double aa, double bb)
{
	double similarity = ab / sqrt(aa * bb);

	if (similarity > 1)
		similarity = 1;
	else if (similarity < -1)
		similarity = -1;
	return 1 - similarity;
}

/* Angle between unit vectors of the given inner product, as a share of pi. */
static inline double
vc_spherical_distance(double ab)
{
	if (ab > 1)
		ab = 1;
	else if (ab < -1)
		ab = -1;
	return acos(ab) / M_PI;
}

#endif /* VC_DISTANCE_H */
