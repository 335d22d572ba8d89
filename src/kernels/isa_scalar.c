/*
 * isa_scalar.c
 *		The kernels in plain C: the yardstick, and what any CPU can run.
 */
#include "kernels/isa.h"

#define VC_ISA_NAME scalar
#define VC_ISA_LABEL "scalar"
#include "kernels/lanes_scalar.h"

#include "kernels/distance_impl.h"
#include "kernels/bits_impl.h"
#include "kernels/single_impl.h"
#include "kernels/quant_impl.h"

#include "kernels/table_impl.h"
