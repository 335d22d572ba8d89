/*
 * ref.h
 *		The kernels once more, in double and one element after the other: what the unit test holds every instruction set
 *		against, and what a caller falls back on where the float sum overflowed or is not exact enough.
 *
 * No float input overflows these: 16,000 squares of differences of FLT_MAX stay below 1e82. NaN and infinity propagate.
 */
#ifndef VC_REF_H
#define VC_REF_H

#include <stddef.h>
#include <stdint.h>

/* <a,b>, |a|^2 and |b|^2; cosine similarity is ab / sqrt(aa * bb), whose product may not overflow here either. */
typedef struct VcRefDots
{
	double ab;
	double aa;
	double bb;
} VcRefDots;

extern double vc_ref_l2sq_f32(const float *a, const float *b, size_t n);
extern double vc_ref_ip_f32(const float *a, const float *b, size_t n);
extern double vc_ref_l1_f32(const float *a, const float *b, size_t n);
extern VcRefDots vc_ref_dots_f32(const float *a, const float *b, size_t n);
extern double vc_ref_norm2_f32(const float *a, size_t n);

extern double vc_ref_l2sq_f16(const uint16_t *a, const uint16_t *b, size_t n);
extern double vc_ref_ip_f16(const uint16_t *a, const uint16_t *b, size_t n);
extern double vc_ref_l1_f16(const uint16_t *a, const uint16_t *b, size_t n);
extern VcRefDots vc_ref_dots_f16(const uint16_t *a, const uint16_t *b, size_t n);
extern double vc_ref_norm2_f16(const uint16_t *a, size_t n);

extern double vc_ref_l2sq_f16f32(const uint16_t *a, const float *b, size_t n);
extern double vc_ref_ip_f16f32(const uint16_t *a, const float *b, size_t n);
extern double vc_ref_l1_f16f32(const uint16_t *a, const float *b, size_t n);
extern VcRefDots vc_ref_dots_f16f32(const uint16_t *a, const float *b, size_t n);

extern uint64_t vc_ref_hamming(const uint8_t *a, const uint8_t *b, size_t n);
extern void vc_ref_and_or_popcount(const uint8_t *a, const uint8_t *b, size_t n, uint64_t *common, uint64_t *either);

#endif /* VC_REF_H */
