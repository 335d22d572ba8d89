/*
 * sq8.h
 *		Scalar codes: signed bytes with one scale for all vectors, symmetric about zero, for distances that need to be quick
 *		rather than exact (graph building). value = scale * code; |value| above 127 * scale is clipped.
 *
 * Inner product and squared distance of the values are scale^2 times those of the codes, which the kernels ip_i8 and
 * l2sq_i8 give exactly.
 */
#ifndef VC_SQ8_H
#define VC_SQ8_H

#include <stddef.h>
#include <stdint.h>

/* The scale at which none of n values is clipped; 1 where all are zero. */
extern float vc_sq8_scale(const float *values, size_t n);

/* Encode n values, rounding to nearest. scale > 0. */
extern void vc_sq8_encode(const float *values, size_t n, float scale, int8_t *code);

#endif /* VC_SQ8_H */
