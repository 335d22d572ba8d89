/*
 * vc_kernels.h
 *		Distances and their relatives over plain arrays, one table of function pointers per instruction set.
 *
 * Pure C with SIMDe: nothing here knows the server. The same source is compiled once per instruction set
 * (isa_scalar.c, isa_baseline.c, isa_avx2.c, isa_avx512.c) and dispatch.c picks the best the CPU has.
 *
 * Every kernel accepts n = 0, any alignment its element type allows, and input of any value; it reads exactly the elements
 * given. Float kernels sum in float, in several lanes: README.md has the bound on the error. NaN and infinity propagate,
 * subnormals count. A sum beyond FLT_MAX is infinite, or NaN where partial sums of an inner product overflowed in opposite
 * directions; callers that must not see that recompute in double (ref.h).
 * Half precision values are IEEE binary16 as uint16_t. "f16f32" kernels take a half array first and a float array second.
 */
#ifndef VC_KERNELS_H
#define VC_KERNELS_H

#include <stddef.h>
#include <stdint.h>

typedef enum VcIsa
{
	VC_ISA_SCALAR,
	VC_ISA_BASELINE, /* SSE2 on x86-64, NEON on arm64 */
	VC_ISA_AVX2,	 /* with FMA and F16C */
	VC_ISA_AVX512,	 /* F, BW, DQ, VL, VNNI, VPOPCNTDQ */
	VC_ISA_COUNT
} VcIsa;

/* <a,b>, |a|^2 and |b|^2, summed in one pass. */
typedef struct VcDots
{
	float ab;
	float aa;
	float bb;
} VcDots;

typedef struct VcKernels
{
	const char *name; /* "scalar", "sse2" or "neon", "avx2", "avx512" */

	/* Squared L2, inner product, L1, the three dot products for cosine, squared norm. */
	float (*l2sq_f32)(const float *a, const float *b, size_t n);
	float (*ip_f32)(const float *a, const float *b, size_t n);
	float (*l1_f32)(const float *a, const float *b, size_t n);
	VcDots (*dots_f32)(const float *a, const float *b, size_t n);
	float (*norm2_f32)(const float *a, size_t n);

	float (*l2sq_f16)(const uint16_t *a, const uint16_t *b, size_t n);
	float (*ip_f16)(const uint16_t *a, const uint16_t *b, size_t n);
	float (*l1_f16)(const uint16_t *a, const uint16_t *b, size_t n);
	VcDots (*dots_f16)(const uint16_t *a, const uint16_t *b, size_t n);
	float (*norm2_f16)(const uint16_t *a, size_t n);

	float (*l2sq_f16f32)(const uint16_t *a, const float *b, size_t n);
	float (*ip_f16f32)(const uint16_t *a, const float *b, size_t n);
	float (*l1_f16f32)(const uint16_t *a, const float *b, size_t n);
	VcDots (*dots_f16f32)(const uint16_t *a, const float *b, size_t n);

	void (*f16_to_f32)(const uint16_t *src, float *dst, size_t n);
	void (*f32_to_f16)(const float *src, uint16_t *dst, size_t n); /* round to nearest even; overflow gives infinity */

	/* Bit strings, n in bytes: differing bits; and common bits / bits in either. */
	uint64_t (*hamming)(const uint8_t *a, const uint8_t *b, size_t n);
	void (*and_or_popcount)(const uint8_t *a, const uint8_t *b, size_t n, uint64_t *common, uint64_t *either);

	const struct VcQuantKernels *quant; /* over quantised vectors: vc_quant.h */
} VcKernels;

/* The table in use. Never null; set once at load, replaced only by vc_kernels_select. */
extern const VcKernels *vc_kernels;

/* The best instruction set this CPU and operating system support. */
extern VcIsa vc_kernels_detect(void);

/* The table of one instruction set, or null where this build or CPU lacks it. */
extern const VcKernels *vc_kernels_table(VcIsa isa);

/* Make `isa` the one in use; returns 0 where the CPU lacks it, and changes nothing. */
extern int vc_kernels_select(VcIsa isa);

#endif /* VC_KERNELS_H */
