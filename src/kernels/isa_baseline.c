/*
 * isa_baseline.c
 *		The kernels every CPU of this architecture can run: SSE2 on x86-64, NEON on arm64.
 */
#include "kernels/isa.h"

#define VC_ISA_NAME baseline
#if defined(VC_ISA_X86)
#define VC_ISA_LABEL "sse2"
#elif defined(__aarch64__)
#define VC_ISA_LABEL "neon"
#else
#define VC_ISA_LABEL "baseline"
#endif
#include "kernels/lanes_128.h"

#include "kernels/distance_impl.h"
#include "kernels/bits_impl.h"
#include "kernels/single_impl.h"
#include "kernels/quant_impl.h"

#include "kernels/table_impl.h"
