/*
 * simd.c
 *		The setting vectorcoll.simd and the function vectorcoll.simd_level(): which instruction set the distance kernels
 *		use. kernels/ itself knows no server; this is its only glue.
 *
 * The setting holds for one session and takes effect at once, because callers look up vc_kernels for every call or scan.
 */
#include "vectorcoll.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "kernels/vc_kernels.h"

/* Values of the setting that are no VcIsa. */
#define SIMD_AUTO (-1)
#define SIMD_OTHER_ARCHITECTURE (-2)

#if defined(__x86_64__) || defined(__i386__)
#define SIMD_SSE2 VC_ISA_BASELINE
#define SIMD_NEON SIMD_OTHER_ARCHITECTURE
#elif defined(__aarch64__)
#define SIMD_SSE2 SIMD_OTHER_ARCHITECTURE
#define SIMD_NEON VC_ISA_BASELINE
#else
#define SIMD_SSE2 SIMD_OTHER_ARCHITECTURE
#define SIMD_NEON SIMD_OTHER_ARCHITECTURE
#endif

/* SHOW prints the first name of a value, so "baseline" comes before what it is called on one architecture. */
static const struct config_enum_entry simd_options[] = {
	{"auto", SIMD_AUTO, false},
	{"scalar", VC_ISA_SCALAR, false},
	{"baseline", VC_ISA_BASELINE, false},
	{"sse2", SIMD_SSE2, SIMD_SSE2 == SIMD_OTHER_ARCHITECTURE},
	{"neon", SIMD_NEON, SIMD_NEON == SIMD_OTHER_ARCHITECTURE},
	{"avx2", VC_ISA_AVX2, false},
	{"avx512", VC_ISA_AVX512, false},
	{NULL, 0, false},
};

static int simd_setting = SIMD_AUTO;

PG_FUNCTION_INFO_V1(vc_simd_level);

static bool
check_simd(int *newval, void **extra, GucSource source)
{
	if (*newval == SIMD_AUTO)
		return true;
	if (*newval == SIMD_OTHER_ARCHITECTURE || vc_kernels_table((VcIsa) *newval) == NULL)
	{
		GUC_check_errcode(ERRCODE_FEATURE_NOT_SUPPORTED);
		GUC_check_errmsg("this CPU does not support the instruction set chosen by \"vectorcoll.simd\"");
		GUC_check_errdetail("The best it supports is \"%s\".", vc_kernels_table(vc_kernels_detect())->name);
		GUC_check_errhint("Set \"vectorcoll.simd\" to \"auto\" to use the best available.");
		return false;
	}
	return true;
}

static void
assign_simd(int newval, void *extra)
{
	vc_kernels_select(newval == SIMD_AUTO ? vc_kernels_detect() : (VcIsa) newval);
}

void
vc_kernels_init_guc(void)
{
	DefineCustomEnumVariable("vectorcoll.simd",
							 "Sets the instruction set used to compute distances.",
							 "\"auto\" is the best this CPU supports. The others are for tests and comparisons.",
							 &simd_setting, SIMD_AUTO, simd_options, PGC_USERSET, 0, check_simd, assign_simd, NULL);
}

/* vectorcoll.simd_level() returns text: the instruction set in use in this session. */
Datum
vc_simd_level(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(vc_kernels->name));
}
