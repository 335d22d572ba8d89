/*
 * isa.h
 *		Internal to kernels/: names shared by the per-ISA files and dispatch.c.
 *
 * An isa_*.c file defines VC_ISA_NAME and VC_ISA_LABEL, includes the lanes_*.h with its vector types, then the *_impl.h
 * files with the kernels (static, named <op>_<type>_<isa>), and last table_impl.h, which gathers them into its VcKernels.
 */
#ifndef VC_KERNELS_ISA_H
#define VC_KERNELS_ISA_H

#include <stdbool.h>
#include <string.h>

#include "kernels/vc_kernels.h"

#if defined(__x86_64__) || defined(__i386__)
#define VC_ISA_X86 1
#endif

#define VC_PASTE_(name, isa) name##_##isa
#define VC_PASTE(name, isa) VC_PASTE_(name, isa)

/* VC_KERNEL(l2sq_f32) is l2sq_f32_avx2 in isa_avx2.c */
#define VC_KERNEL(name) VC_PASTE(name, VC_ISA_NAME)

/* Inlined even where the optimiser would rather not: these are called with constant function arguments. */
#define VC_INLINE static inline __attribute__((always_inline, unused))

extern const VcKernels vc_kernels_scalar;
extern const VcKernels vc_kernels_baseline;
#ifdef VC_ISA_X86
extern const VcKernels vc_kernels_avx2;
extern const VcKernels vc_kernels_avx512;
#endif

#endif /* VC_KERNELS_ISA_H */
