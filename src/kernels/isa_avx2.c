/*
 * isa_avx2.c
 *		The kernels for AVX2 with FMA and F16C. Empty where the architecture has no such thing.
 */
#include "kernels/isa.h"

#ifdef VC_ISA_X86

#if !(defined(__AVX2__) && defined(__FMA__) && defined(__F16C__) && defined(__BMI2__) && defined(__POPCNT__))
#error "isa_avx2.c needs the -m flags the Makefile gives it"
#endif

#define VC_ISA_NAME avx2
#define VC_ISA_LABEL "avx2"
#include "kernels/lanes_256.h"

#include "kernels/distance_impl.h"
#include "kernels/bits_impl.h"
#include "kernels/single_impl.h"
#include "kernels/quant_impl.h"

#include "kernels/table_impl.h"

#endif /* VC_ISA_X86 */
