/*
 * isa_avx512.c
 *		The kernels for AVX-512 (F, BW, DQ, VL, VNNI, VPOPCNTDQ). Empty where the architecture has no such thing.
 */
#include "kernels/isa.h"

#ifdef VC_ISA_X86

#if !(defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && \
	  defined(__AVX512VL__) && defined(__AVX512VNNI__) && defined(__AVX512VPOPCNTDQ__))
#error "isa_avx512.c needs the -m flags the Makefile gives it"
#endif

#define VC_ISA_NAME avx512
#define VC_ISA_LABEL "avx512"
#include "kernels/lanes_512.h"

#include "kernels/distance_impl.h"
#include "kernels/bits_impl.h"
#include "kernels/single_impl.h"
#include "kernels/quant_impl.h"

#include "kernels/table_impl.h"

#endif /* VC_ISA_X86 */
