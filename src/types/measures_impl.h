/*
 * measures_impl.h
 *		The measures of one element type, overflow and underflow handled; see distance.h. Included once by the file of
 *		each type, after VC_ELEMENT (the C type of an element) and VC_SUFFIX (the kernels' name for it).
 */
#include "types/distance.h"

#define VC_PASTE_(a, b) a##b
#define VC_PASTE(a, b) VC_PASTE_(a, b)
#define VC_KERNEL(name) vc_kernels->VC_PASTE(name##_, VC_SUFFIX)
#define VC_REF(name) VC_PASTE(vc_ref_##name##_, VC_SUFFIX)

static inline double
measure_l2sq(const VC_ELEMENT *a, const VC_ELEMENT *b, size_t n)
{
	float sum = VC_KERNEL(l2sq)(a, b, n);

	return likely(vc_squares_trusted(sum)) ? sum : VC_REF(l2sq)(a, b, n);
}

static inline double
measure_ip(const VC_ELEMENT *a, const VC_ELEMENT *b, size_t n)
{
	float sum = VC_KERNEL(ip)(a, b, n);

	return likely(isfinite(sum)) ? sum : VC_REF(ip)(a, b, n);
}

static inline double
measure_l1(const VC_ELEMENT *a, const VC_ELEMENT *b, size_t n)
{
	float sum = VC_KERNEL(l1)(a, b, n);

	return likely(isfinite(sum)) ? sum : VC_REF(l1)(a, b, n);
}

static inline double
measure_cosine(const VC_ELEMENT *a, const VC_ELEMENT *b, size_t n)
{
	VcDots dots = VC_KERNEL(dots)(a, b, n);
	VcRefDots exact;

	if (likely(vc_squares_trusted(dots.aa) && vc_squares_trusted(dots.bb) && isfinite(dots.ab)))
		return vc_cosine_distance(dots.ab, dots.aa, dots.bb);
	exact = VC_REF(dots)(a, b, n);
	return vc_cosine_distance(exact.ab, exact.aa, exact.bb);
}

static inline double
measure_norm(const VC_ELEMENT *a, size_t n)
{
	float sum = VC_KERNEL(norm2)(a, n);

	return sqrt(likely(vc_squares_trusted(sum)) ? sum : VC_REF(norm2)(a, n));
}

#undef VC_PASTE_
#undef VC_PASTE
#undef VC_KERNEL
#undef VC_REF
