/*
 * dispatch.c
 *		Finds out what the CPU and the operating system can run, and keeps the kernel table in use.
 *
 * The choice is made once, when the library is loaded, before anything can call a kernel; a null table never shows. Asking
 * the CPU is not enough: wide registers may be used only where the operating system saves them on a context switch, which
 * XGETBV tells.
 */
#include "kernels/isa.h"

#ifdef VC_ISA_X86

#include <cpuid.h>

/* Register sets in XCR0: SSE and AVX; then opmask and the upper halves and upper sixteen of the 512-bit registers. */
#define XCR0_AVX 0x06
#define XCR0_AVX512 0xe6

static uint32_t
read_xcr0(void)
{
	uint32_t low;
	uint32_t high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return low;
}

static bool
has_all(unsigned value, unsigned mask)
{
	return (value & mask) == mask;
}

static VcIsa
detect(void)
{
	const unsigned need_leaf1_ecx = bit_OSXSAVE | bit_AVX | bit_FMA | bit_F16C | bit_POPCNT;
	const unsigned need_avx2_ebx = bit_AVX2 | bit_BMI2;
	const unsigned need_avx512_ebx = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
	const unsigned need_avx512_ecx = bit_AVX512VNNI | bit_AVX512VPOPCNTDQ;
	unsigned eax;
	unsigned ebx;
	unsigned ecx;
	unsigned edx;
	uint32_t xcr0;

	if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !has_all(ecx, need_leaf1_ecx))
		return VC_ISA_BASELINE;
	xcr0 = read_xcr0();
	if (!has_all(xcr0, XCR0_AVX))
		return VC_ISA_BASELINE;
	if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) || !has_all(ebx, need_avx2_ebx))
		return VC_ISA_BASELINE;
	if (has_all(xcr0, XCR0_AVX512) && has_all(ebx, need_avx512_ebx) && has_all(ecx, need_avx512_ecx))
		return VC_ISA_AVX512;
	return VC_ISA_AVX2;
}

#else

static VcIsa
detect(void)
{
	return VC_ISA_BASELINE;
}

#endif /* VC_ISA_X86 */

static const VcKernels *const tables[VC_ISA_COUNT] = {
	[VC_ISA_SCALAR] = &vc_kernels_scalar,
	[VC_ISA_BASELINE] = &vc_kernels_baseline,
#ifdef VC_ISA_X86
	[VC_ISA_AVX2] = &vc_kernels_avx2,
	[VC_ISA_AVX512] = &vc_kernels_avx512,
#endif
};

const VcKernels *vc_kernels = &vc_kernels_scalar;

VcIsa
vc_kernels_detect(void)
{
	static VcIsa best = VC_ISA_COUNT;

	if (best == VC_ISA_COUNT)
		best = detect();
	return best;
}

const VcKernels *
vc_kernels_table(VcIsa isa)
{
	/* The sets are ordered: a CPU that has one has those before it. */
	if ((unsigned) isa >= VC_ISA_COUNT || isa > vc_kernels_detect())
		return NULL;
	return tables[isa];
}

int
vc_kernels_select(VcIsa isa)
{
	const VcKernels *table = vc_kernels_table(isa);

	if (table == NULL)
		return 0;
	vc_kernels = table;
	return 1;
}

__attribute__((constructor)) static void
select_best(void)
{
	vc_kernels_select(vc_kernels_detect());
}
