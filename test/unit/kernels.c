/*
 * kernels.c
 *		Every kernel of every instruction set this CPU has, against the reference in double.
 *
 * Two kinds of data carry most of the proof. Small integers make every float sum exact, so the result must equal the
 * reference to the last bit at every dimension: an element lost, read twice or paired with the wrong one shows. Real values
 * of widely different sizes are held to a bound on rounding that follows from the number of additions in a chain, not from
 * observation, so a pass is never luck. All arrays lie against a guard page, at every alignment a float or half can have.
 *
 * VC_UNIT_QUICK=1 in the environment samples the larger dimensions, for emulators.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "guarded.h"
#include "tap.h"

#include "kernels/f16.h"
#include "kernels/ref.h"
#include "kernels/vc_kernels.h"

#define MAX_DIM 4100
#define MARGIN 16 /* elements a placement may be shifted by */

typedef enum Op
{
	OP_L2SQ,
	OP_IP,
	OP_L1,
	OP_DOTS,
	OP_NORM2,
	OP_COUNT
} Op;

typedef enum Types
{
	TYPES_F32,
	TYPES_F16,
	TYPES_F16F32,
	TYPES_COUNT
} Types;

static const char *const op_names[OP_COUNT] = {"l2sq", "ip", "l1", "dots", "norm2"};
static const char *const type_names[TYPES_COUNT] = {"f32", "f16", "f16f32"};

/* How many independent sums each set keeps (lanes times unrolling); a chain has dim / sums additions. */
static const int sums_of_isa[VC_ISA_COUNT] = {4, 16, 32, 64};

/* Up to three numbers: dots gives ab, aa, bb. */
typedef struct Result
{
	int count;
	double value[3];
} Result;

/* One set of operands in both element types. Half values are what the mixed kernels see for a. */
static float a32[MAX_DIM];
static float b32[MAX_DIM];
static uint16_t a16[MAX_DIM];
static uint16_t b16[MAX_DIM];

static Guarded memory_a;
static Guarded memory_b;

static bool quick;

static bool
kernel_exists(Op op, Types types)
{
	return !(op == OP_NORM2 && types == TYPES_F16F32);
}

static size_t
size_of_a(Types types)
{
	return types == TYPES_F32 ? sizeof(float) : sizeof(uint16_t);
}

static size_t
size_of_b(Types types)
{
	return types == TYPES_F16 ? sizeof(uint16_t) : sizeof(float);
}

static const void *
operand_a(Types types)
{
	return types == TYPES_F32 ? (const void *) a32 : (const void *) a16;
}

static const void *
operand_b(Types types)
{
	return types == TYPES_F16 ? (const void *) b16 : (const void *) b32;
}

static Result
one(double value)
{
	return (Result){1, {value, 0, 0}};
}

static Result
run_kernel(const VcKernels *k, Op op, Types types, const void *a, const void *b, size_t n)
{
	VcDots dots;

	switch (op)
	{
		case OP_L2SQ:
			return one(types == TYPES_F32	? k->l2sq_f32(a, b, n)
					   : types == TYPES_F16 ? k->l2sq_f16(a, b, n)
											: k->l2sq_f16f32(a, b, n));
		case OP_IP:
			return one(types == TYPES_F32	? k->ip_f32(a, b, n)
					   : types == TYPES_F16 ? k->ip_f16(a, b, n)
											: k->ip_f16f32(a, b, n));
		case OP_L1:
			return one(types == TYPES_F32	? k->l1_f32(a, b, n)
					   : types == TYPES_F16 ? k->l1_f16(a, b, n)
											: k->l1_f16f32(a, b, n));
		case OP_DOTS:
			dots = types == TYPES_F32	? k->dots_f32(a, b, n)
				   : types == TYPES_F16 ? k->dots_f16(a, b, n)
										: k->dots_f16f32(a, b, n);
			return (Result){3, {dots.ab, dots.aa, dots.bb}};
		default:
			return one(types == TYPES_F32 ? k->norm2_f32(a, n) : k->norm2_f16(a, n));
	}
}

static Result
run_reference(Op op, Types types, const void *a, const void *b, size_t n)
{
	VcRefDots dots;

	switch (op)
	{
		case OP_L2SQ:
			return one(types == TYPES_F32	? vc_ref_l2sq_f32(a, b, n)
					   : types == TYPES_F16 ? vc_ref_l2sq_f16(a, b, n)
											: vc_ref_l2sq_f16f32(a, b, n));
		case OP_IP:
			return one(types == TYPES_F32	? vc_ref_ip_f32(a, b, n)
					   : types == TYPES_F16 ? vc_ref_ip_f16(a, b, n)
											: vc_ref_ip_f16f32(a, b, n));
		case OP_L1:
			return one(types == TYPES_F32	? vc_ref_l1_f32(a, b, n)
					   : types == TYPES_F16 ? vc_ref_l1_f16(a, b, n)
											: vc_ref_l1_f16f32(a, b, n));
		case OP_DOTS:
			dots = types == TYPES_F32	? vc_ref_dots_f32(a, b, n)
				   : types == TYPES_F16 ? vc_ref_dots_f16(a, b, n)
										: vc_ref_dots_f16f32(a, b, n);
			return (Result){3, {dots.ab, dots.aa, dots.bb}};
		default:
			return one(types == TYPES_F32 ? vc_ref_norm2_f32(a, n) : vc_ref_norm2_f16(a, n));
	}
}

/* Sums of the absolute values of the terms: what rounding errors are proportional to. */
static Result
magnitudes(Op op, Types types, const void *a, const void *b, size_t n)
{
	Result sums = run_reference(op, types, a, b, n);

	if (op == OP_IP || op == OP_DOTS)
	{
		sums.value[0] = 0;
		for (size_t i = 0; i < n; i++)
		{
			double x = types == TYPES_F32 ? ((const float *) a)[i] : vc_f16_to_f32(((const uint16_t *) a)[i]);
			double y = types == TYPES_F16 ? vc_f16_to_f32(((const uint16_t *) b)[i]) : ((const float *) b)[i];

			sums.value[0] += fabs(x * y);
		}
	}
	return sums;
}

/* A reproducible generator, so that a failure repeats. */
static uint64_t random_state = 42;

static uint32_t
random_u32(void)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t) (random_state >> 32);
}

/* In [-1, 1). */
static float
random_signed(void)
{
	return (float) (int32_t) random_u32() * 0x1p-31f;
}

static void
set_operands(size_t i, float a, float b)
{
	a32[i] = a;
	b32[i] = b;
	a16[i] = vc_f32_to_f16(a);
	b16[i] = vc_f32_to_f16(b);
}

/*
 * The places an operand can lie: flush with the guard page behind it, which takes it through every alignment as the
 * dimension grows; flush with the one before it; or an odd number of elements further.
 */
typedef enum Place
{
	PLACE_END,
	PLACE_START,
	PLACE_ODD
} Place;

static const Place places[][2] = {{PLACE_END, PLACE_END}, {PLACE_START, PLACE_ODD}, {PLACE_ODD, PLACE_END}};
#define PLACES_COUNT (sizeof(places) / sizeof(places[0]))

static void *
put(Guarded memory, Place place, const void *source, size_t n, size_t size)
{
	uint8_t *p = place == PLACE_END ? memory.end - n * size : memory.start;

	if (place == PLACE_ODD)
		p += (2 * (n % 7) + 1) * size;
	return n > 0 ? memcpy(p, source, n * size) : p;
}

/* The first failure of each kernel of each set; later ones only count. */
typedef struct Verdict
{
	long failures;
	char first[200];
} Verdict;

static Verdict verdicts[VC_ISA_COUNT][TYPES_COUNT][OP_COUNT];

static void
report(const char *what)
{
	for (int isa = 0; isa < VC_ISA_COUNT; isa++)
	{
		if (vc_kernels_table(isa) == NULL)
			continue;
		for (int types = 0; types < TYPES_COUNT; types++)
			for (int op = 0; op < OP_COUNT; op++)
			{
				const Verdict *verdict = &verdicts[isa][types][op];

				if (!kernel_exists(op, types))
					continue;
				if (!tap_ok(verdict->failures == 0, "%s %s_%s: %s", vc_kernels_table(isa)->name, op_names[op],
							type_names[types], what))
					tap_diag("%ld failures, first: %s", verdict->failures, verdict->first);
			}
	}
	memset(verdicts, 0, sizeof(verdicts));
}

/* The same number, or both NaN. */
static bool
same(double x, double y)
{
	return x == y || (isnan(x) && isnan(y));
}

static bool
within_rounding(double result, double reference, double magnitude, size_t n, int isa)
{
	const double unit = 0x1p-24;
	double additions = (double) n / sums_of_isa[isa] + 16;
	double tolerance = additions * unit * magnitude + (double) n * 0x1p-149;

	if (isinf(result))
		return fabs(reference) + tolerance >= FLT_MAX && (result > 0) == (reference > 0);
	return fabs(result - reference) <= tolerance;
}

/* Runs one kernel of all sets on the first n operands in one placement, and judges each number it gives. */
static void
check_kernel(Op op, Types types, size_t n, const Place place[2], const Result *reference, const Result *magnitude)
{
	const void *a = put(memory_a, place[0], operand_a(types), n, size_of_a(types));
	const void *b = put(memory_b, place[1], operand_b(types), n, size_of_b(types));

	for (int isa = 0; isa < VC_ISA_COUNT; isa++)
	{
		const VcKernels *k = vc_kernels_table(isa);
		Verdict *verdict = &verdicts[isa][types][op];
		Result result;

		if (k == NULL)
			continue;
		result = run_kernel(k, op, types, a, b, n);
		for (int i = 0; i < result.count; i++)
		{
			bool passed = magnitude == NULL
							  ? same(result.value[i], (double) (float) reference->value[i])
							  : within_rounding(result.value[i], reference->value[i], magnitude->value[i], n, isa);

			if (!passed && verdict->failures++ == 0)
				snprintf(verdict->first, sizeof(verdict->first), "dim %zu, output %d, places %d %d: got %.9g, reference %.17g",
						 n, i, place[0], place[1], result.value[i], reference->value[i]);
		}
	}
}

/* All kernels on all dimensions; exact asks for equality with the reference rounded to float. */
static void
check_all_dims(bool exact)
{
	for (size_t n = 0; n <= MAX_DIM; n += (quick && n >= 260) ? 61 : 1)
		for (int types = 0; types < TYPES_COUNT; types++)
			for (int op = 0; op < OP_COUNT; op++)
			{
				Result reference;
				Result magnitude;

				if (!kernel_exists(op, types))
					continue;
				reference = run_reference(op, types, operand_a(types), operand_b(types), n);
				if (!exact)
					magnitude = magnitudes(op, types, operand_a(types), operand_b(types), n);
				for (size_t p = 0; p < PLACES_COUNT; p++)
					check_kernel(op, types, n, places[p], &reference, exact ? NULL : &magnitude);
			}
}

/* All kernels on the first n operands, equality asked for. */
static void
check_special(size_t n)
{
	for (int types = 0; types < TYPES_COUNT; types++)
		for (int op = 0; op < OP_COUNT; op++)
			if (kernel_exists(op, types))
			{
				Result reference = run_reference(op, types, operand_a(types), operand_b(types), n);

				check_kernel(op, types, n, places[0], &reference, NULL);
			}
}

static void
test_integers(void)
{
	for (size_t i = 0; i < MAX_DIM; i++)
		set_operands(i, (float) ((int) (random_u32() % 17) - 8), (float) ((int) (random_u32() % 17) - 8));
	check_all_dims(true);
	report("exact on integers, 0 to 4100 dimensions, every alignment, against guard pages");
}

static void
test_reals(void)
{
	/* sizes over a factor of 2^12, signs mixed: cancellation in ip, swamping in the sums */
	for (size_t i = 0; i < MAX_DIM; i++)
		set_operands(i, ldexpf(random_signed(), (int) (random_u32() % 12)), ldexpf(random_signed(), (int) (random_u32() % 12)));
	check_all_dims(false);
	report("within the rounding bound, 0 to 4100 dimensions, every alignment");
}

/* A value that is not finite, at every position of small vectors; all other elements are 1 and 2. */
static void
test_not_finite(void)
{
	const float values[] = {NAN, -NAN, INFINITY, -INFINITY};

	for (size_t i = 0; i < MAX_DIM; i++)
		set_operands(i, 1, 2);
	for (size_t n = 1; n <= 140; n += (n < 70 ? 1 : 23))
		for (size_t i = 0; i < n; i++)
			for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++)
			{
				set_operands(i, values[v], 2);
				check_special(n);
				set_operands(i, 1, values[v]);
				check_special(n);
				set_operands(i, values[v], values[v]);
				check_special(n);
				/* infinity times zero */
				set_operands(i, values[v], 0);
				check_special(n);
				set_operands(i, 1, 2);
			}
	report("NaN and infinity propagate from every position");
}

/*
 * Multiples of the least subnormal on one side, a large power of two on the other, so that products are exact and normal:
 * a set that flushes subnormals to zero gives zero. Half subnormals likewise.
 */
static void
test_subnormals(void)
{
	for (size_t i = 0; i < MAX_DIM; i++)
	{
		a32[i] = (float) (1 + random_u32() % 64) * 0x1p-149f;
		b32[i] = 0x1p100f;
		a16[i] = (uint16_t) (1 + random_u32() % 64);
		b16[i] = (uint16_t) (0x8000 | (random_u32() % 64));
	}
	for (size_t n = 1; n <= 300; n++)
	{
		Result reference = run_reference(OP_IP, TYPES_F32, a32, b32, n);

		check_kernel(OP_IP, TYPES_F32, n, places[0], &reference, NULL);
		for (int op = 0; op < OP_COUNT; op++)
		{
			reference = run_reference(op, TYPES_F16, a16, b16, n);
			check_kernel(op, TYPES_F16, n, places[0], &reference, NULL);
		}
		reference = run_reference(OP_IP, TYPES_F16F32, a16, b32, n);
		check_kernel(OP_IP, TYPES_F16F32, n, places[0], &reference, NULL);
	}
	/* differences of subnormals are subnormal and exact */
	for (size_t i = 0; i < MAX_DIM; i++)
		b32[i] = -(float) (random_u32() % 64) * 0x1p-149f;
	for (size_t n = 1; n <= 300; n++)
	{
		Result reference = run_reference(OP_L1, TYPES_F32, a32, b32, n);

		check_kernel(OP_L1, TYPES_F32, n, places[0], &reference, NULL);
	}
	report("subnormals are not flushed to zero");
}

/* Sums on either side of FLT_MAX: finite and right below, infinite above; l1 and halves stay finite. */
static void
test_huge(void)
{
	const float sizes[] = {1e18f, 5e18f, 1.8e19f, 1e20f, 1e37f, 1.7e38f, FLT_MAX};

	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
	{
		for (size_t i = 0; i < MAX_DIM; i++)
		{
			a32[i] = sizes[s];
			b32[i] = -sizes[s];
			a16[i] = 0x7bff;
			b16[i] = 0xfbff;
		}
		for (size_t n = 1; n <= MAX_DIM; n = n * 5 / 4 + 1)
			for (int types = 0; types < TYPES_COUNT; types++)
				for (int op = 0; op < OP_COUNT; op++)
				{
					Result reference;
					Result magnitude;

					if (!kernel_exists(op, types))
						continue;
					reference = run_reference(op, types, operand_a(types), operand_b(types), n);
					magnitude = magnitudes(op, types, operand_a(types), operand_b(types), n);
					check_kernel(op, types, n, places[0], &reference, &magnitude);
				}
	}
	report("huge values give the right finite sum, or infinity where it exceeds FLT_MAX");
}

static uint32_t
bits_of(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static float
float_of(uint32_t bits)
{
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* The scalar conversions against values known from the format's definition. */
static void
test_half_format(void)
{
	static const struct
	{
		float value;
		uint16_t half;
	} known[] = {{0.0f, 0},
				 {-0.0f, 0x8000},
				 {1.0f, 0x3c00},
				 {-2.0f, 0xc000},
				 {65504.0f, 0x7bff},
				 {0x1p-14f, 0x0400},
				 {0x1p-24f, 0x0001},
				 {0x3ffp-24f, 0x03ff},
				 {1.0f + 0x1p-10f, 0x3c01},
				 {1.0f / 3, 0x3555},
				 {INFINITY, 0x7c00},
				 {-INFINITY, 0xfc00}};
	bool passed = true;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
	{
		passed &= vc_f32_to_f16(known[i].value) == known[i].half;
		if (known[i].half != 0x3555)
			passed &= bits_of(vc_f16_to_f32(known[i].half)) == bits_of(known[i].value);
	}
	tap_ok(passed, "half: known values");

	passed = vc_f32_to_f16(65519.996f) == 0x7bff && vc_f32_to_f16(65520.0f) == 0x7c00 &&
			 vc_f32_to_f16(-65520.0f) == 0xfc00 && vc_f32_to_f16(FLT_MAX) == 0x7c00;
	tap_ok(passed, "half: 65520 is the first float that overflows");

	/* ties: 1 + 2^-11 lies between 0x3c00 and 0x3c01, 1 + 3 * 2^-11 between 0x3c01 and 0x3c02 */
	passed = vc_f32_to_f16(1 + 0x1p-11f) == 0x3c00 && vc_f32_to_f16(1 + 0x3p-11f) == 0x3c02 &&
			 vc_f32_to_f16(0x1p-25f) == 0 && vc_f32_to_f16(0x3p-25f) == 2 &&
			 vc_f32_to_f16(float_of(bits_of(0x1p-25f) + 1)) == 1;
	tap_ok(passed, "half: ties round to even, subnormals too");

	tap_ok(isnan(vc_f16_to_f32(0x7e00)) && isnan(vc_f16_to_f32(0x7c01)) && (vc_f32_to_f16(NAN) & 0x7fff) > 0x7c00 &&
			   vc_f32_to_f16(float_of(0x7f800001)) == 0x7e00,
		   "half: NaN stays NaN");
}

/* All 65536 halves to float; and to half, all floats near one and near the middle of two. Bit for bit as the scalar code. */
static void
test_conversions(const VcKernels *k)
{
	enum
	{
		CHUNK = 4096
	};
	static uint16_t halves[CHUNK];
	static float floats[CHUNK];
	static uint16_t back[CHUNK];
	bool widens = true;
	bool narrows = true;

	for (uint32_t base = 0; base < 0x10000; base += CHUNK)
	{
		for (uint32_t i = 0; i < CHUNK; i++)
			halves[i] = (uint16_t) (base + i);
		k->f16_to_f32(halves, floats, CHUNK);
		for (uint32_t i = 0; i < CHUNK; i++)
			if (bits_of(floats[i]) != bits_of(vc_f16_to_f32(halves[i])))
			{
				if (widens)
					tap_diag("%04x: got %08x", halves[i], bits_of(floats[i]));
				widens = false;
			}
	}
	tap_ok(widens, "%s f16_to_f32: all halves, bit for bit", k->name);

	/* In steps of half a half's last place, each with its neighbours; the low ranges in full detail below. */
	for (int offset = -2; offset <= 2 && narrows; offset++)
		for (uint64_t bits = 0; bits <= 0xffffffff; bits += (uint64_t) CHUNK << 12)
		{
			for (uint32_t i = 0; i < CHUNK; i++)
				floats[i] = float_of((uint32_t) bits + (i << 12) + (uint32_t) offset);
			k->f32_to_f16(floats, back, CHUNK);
			for (uint32_t i = 0; i < CHUNK; i++)
				if (back[i] != vc_f32_to_f16(floats[i]))
				{
					if (narrows)
						tap_diag("%08x: got %04x, reference %04x", bits_of(floats[i]), back[i], vc_f32_to_f16(floats[i]));
					narrows = false;
				}
		}
	for (int round = 0; round < 500 && narrows; round++)
	{
		for (uint32_t i = 0; i < CHUNK; i++)
			floats[i] = float_of((random_u32() & 0x87ffffff) + 0x30000000);
		k->f32_to_f16(floats, back, CHUNK);
		for (uint32_t i = 0; i < CHUNK; i++)
			narrows &= back[i] == vc_f32_to_f16(floats[i]);
	}
	tap_ok(narrows, "%s f32_to_f16: all midpoints and their neighbours, bit for bit", k->name);
}

/* Conversions write exactly n elements: the byte before stays, the one after is a guard page. */
static void
test_conversion_tails(const VcKernels *k)
{
	static uint16_t halves[200];
	static float floats[200];
	bool passed = true;

	for (size_t i = 0; i < 200; i++)
	{
		floats[i] = random_signed() * 100;
		halves[i] = vc_f32_to_f16(floats[i]);
	}
	for (size_t n = 0; n < 200; n++)
	{
		uint16_t *half_source = put(memory_a, PLACE_END, halves, n, sizeof(uint16_t));
		float *float_target = (float *) (memory_b.end - n * sizeof(float));
		float *float_source;
		uint16_t *half_target;

		memset(memory_b.start, 0xa5, (size_t) (memory_b.end - memory_b.start));
		k->f16_to_f32(half_source, float_target, n);
		for (size_t i = 0; i < n; i++)
			passed &= float_target[i] == vc_f16_to_f32(halves[i]);
		passed &= ((uint8_t *) float_target)[-1] == 0xa5;

		float_source = put(memory_a, PLACE_END, floats, n, sizeof(float));
		half_target = (uint16_t *) (memory_b.end - n * sizeof(uint16_t));
		memset(memory_b.start, 0xa5, (size_t) (memory_b.end - memory_b.start));
		k->f32_to_f16(float_source, half_target, n);
		for (size_t i = 0; i < n; i++)
			passed &= half_target[i] == halves[i];
		passed &= ((uint8_t *) half_target)[-1] == 0xa5;

		/* and not past the end where there is room */
		k->f32_to_f16(float_source, (uint16_t *) memory_b.start, n);
		k->f16_to_f32((uint16_t *) memory_b.start, (float *) (memory_b.start + 1024), n);
		passed &= memory_b.start[n * sizeof(uint16_t)] == 0xa5 && memory_b.start[1024 + n * sizeof(float)] == 0xa5;
		memset(memory_b.start, 0xa5, 4096);
	}
	tap_ok(passed, "%s f16_to_f32, f32_to_f16: write exactly n elements, n = 0 to 199", k->name);
}

static void
test_bits(int isa)
{
	const VcKernels *k = vc_kernels_table(isa);
	static uint8_t a[MAX_DIM];
	static uint8_t b[MAX_DIM];
	bool hamming = true;
	bool counts = true;

	for (size_t i = 0; i < MAX_DIM; i++)
	{
		/* all-ones stretches, where byte-wide counters would overflow */
		a[i] = i % 1000 < 600 ? (uint8_t) random_u32() : 0xff;
		b[i] = i % 1000 < 600 ? (uint8_t) random_u32() : (uint8_t) ((i / 1000) % 2 ? 0xff : 0);
	}
	for (size_t n = 0; n <= MAX_DIM; n += (quick && n >= 260) ? 61 : 1)
		for (size_t p = 0; p < PLACES_COUNT; p++)
		{
			const uint8_t *x = put(memory_a, places[p][0], a, n, 1);
			const uint8_t *y = put(memory_b, places[p][1], b, n, 1);
			uint64_t common;
			uint64_t either;
			uint64_t want_common;
			uint64_t want_either;

			vc_ref_and_or_popcount(a, b, n, &want_common, &want_either);
			k->and_or_popcount(x, y, n, &common, &either);
			counts &= common == want_common && either == want_either;
			hamming &= k->hamming(x, y, n) == vc_ref_hamming(a, b, n);
		}
	tap_ok(hamming, "%s hamming: 0 to 4100 bytes, every alignment, against guard pages", k->name);
	tap_ok(counts, "%s and_or_popcount: 0 to 4100 bytes, every alignment, against guard pages", k->name);
}

/* The reference, against sums done by hand. */
static void
test_reference(void)
{
	const float a[] = {1, -2, 3};
	const float b[] = {4, 5, -6};
	const uint16_t ha[] = {0x3c00, 0xc000, 0x4200};
	const uint16_t hb[] = {0x4400, 0x4500, 0xc600};
	const uint8_t x[] = {0xff, 0x01};
	const uint8_t y[] = {0x0f, 0x03};
	VcRefDots dots = vc_ref_dots_f16f32(ha, b, 3);
	uint64_t common;
	uint64_t either;

	tap_ok(vc_ref_l2sq_f32(a, b, 3) == 139 && vc_ref_l2sq_f16(ha, hb, 3) == 139 && vc_ref_l2sq_f16f32(ha, b, 3) == 139,
		   "reference: squared L2");
	tap_ok(vc_ref_ip_f32(a, b, 3) == -24 && vc_ref_ip_f16(ha, hb, 3) == -24 && vc_ref_ip_f16f32(ha, b, 3) == -24,
		   "reference: inner product");
	tap_ok(vc_ref_l1_f32(a, b, 3) == 19 && vc_ref_l1_f16(ha, hb, 3) == 19 && vc_ref_l1_f16f32(ha, b, 3) == 19,
		   "reference: L1");
	tap_ok(dots.ab == -24 && dots.aa == 14 && dots.bb == 77 && vc_ref_norm2_f32(a, 3) == 14 &&
			   vc_ref_norm2_f16(hb, 3) == 77,
		   "reference: dots and norms");
	vc_ref_and_or_popcount(x, y, 2, &common, &either);
	tap_ok(vc_ref_hamming(x, y, 2) == 5 && common == 5 && either == 10, "reference: bits");
}

static void
test_dispatch(void)
{
	const VcKernels *best = vc_kernels_table(vc_kernels_detect());

	tap_diag("this CPU: %s", best->name);
	tap_ok(vc_kernels == best, "the best set is in use from the start");
	tap_ok(vc_kernels_select(VC_ISA_SCALAR) && strcmp(vc_kernels->name, "scalar") == 0, "scalar can be chosen");
	tap_ok(!vc_kernels_select(VC_ISA_COUNT) && strcmp(vc_kernels->name, "scalar") == 0,
		   "a set that does not exist is refused and changes nothing");
	tap_ok(vc_kernels_select(vc_kernels_detect()) && vc_kernels == best, "the best can be chosen again");

	for (int isa = 0; isa < VC_ISA_COUNT; isa++)
	{
		const VcKernels *k = vc_kernels_table(isa);
		void (*members[sizeof(VcKernels) / sizeof(void (*)(void))])(void);
		bool complete = true;

		if (k == NULL)
		{
			tap_ok(isa > (int) vc_kernels_detect(), "set %d is absent because this CPU or build lacks it", isa);
			continue;
		}
		memcpy(members, k, sizeof(members));
		for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
			complete &= members[i] != NULL;
		tap_ok(complete, "%s has every kernel", k->name);
	}
}

int
main(void)
{
	/* what a kernel that crashes has printed until then should be seen */
	setvbuf(stdout, NULL, _IOLBF, 0);
	quick = getenv("VC_UNIT_QUICK") != NULL;
	memory_a = guarded_alloc((MAX_DIM + MARGIN) * sizeof(float));
	memory_b = guarded_alloc((MAX_DIM + MARGIN) * sizeof(float));

	test_reference();
	test_half_format();
	test_dispatch();
	test_integers();
	test_reals();
	test_not_finite();
	test_subnormals();
	test_huge();
	for (int isa = 0; isa < VC_ISA_COUNT; isa++)
		if (vc_kernels_table(isa) != NULL)
		{
			test_conversions(vc_kernels_table(isa));
			test_conversion_tails(vc_kernels_table(isa));
			test_bits(isa);
		}
	return tap_done();
}
