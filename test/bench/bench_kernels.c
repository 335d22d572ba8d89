/*
 * bench_kernels.c
 *		Nanoseconds and GB/s of every kernel and instruction set, in the first-level cache and from memory, beside what loading
 *		the same bytes and doing nothing with them takes.
 *
 * usage: bench_kernels [NAME]...     only kernels whose name begins with one of these (l2sq, ip_f16, ...)
 *
 * One operand is a query that stays; the other walks over rows that lie as vectors lie in a table, eight bytes of header
 * before each, so most vector loads straddle cache lines. "In cache" is as many rows as fit 24 kB with the query; "memory"
 * walks a gigabyte, and each measurement starts where the last one ended. The limit is a loop of the same shape, called the
 * same way, in the same register width, that only loads. GB/s counts both operands in cache and the rows alone in memory.
 * Every figure is the best of several repetitions, since everything that disturbs a measurement makes it longer.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels/vc_kernels.h"

#define CACHE_BYTES (24 * 1024)
#define MEMORY_BYTES ((size_t) 1 << 30)
#define WALK_BYTES ((size_t) 48 << 20) /* of memory, in one repetition */
#define CACHE_RUN_NS 200000			   /* length of one repetition in cache */
#define HEADER 8

/* Rows of one measurement; first is an index into memory that wraps at wrap. */
typedef struct Rows
{
	const uint8_t *base;
	size_t stride;
	size_t first;
	size_t wrap;
	size_t count;
} Rows;

static volatile float sink;

/* How one kernel is run over rows: the query q is the constant operand. */
typedef void (*Run)(const VcKernels *k, const void *q, Rows rows, size_t n);

#define FOR_ROWS(rows) \
	for (size_t visited = 0, at = (rows).first; visited < (rows).count; visited++, at = at + 1 < (rows).wrap ? at + 1 : 0)

#define ROW(rows) ((const void *) ((rows).base + at * (rows).stride + HEADER))

#define DEFINE_RUN(name, call, result) \
	static void run_##name(const VcKernels *k, const void *q, Rows rows, size_t n) \
	{ \
		float sum = 0; \
\
		FOR_ROWS(rows) \
		{ \
			const void *row = ROW(rows); \
\
			sum += (float) (call) result; \
		} \
		sink = sum; \
	}

static inline uint64_t
and_or_sum(const VcKernels *k, const void *a, const void *b, size_t n)
{
	uint64_t common;
	uint64_t either;

	k->and_or_popcount(a, b, n, &common, &either);
	return common + either;
}

static inline float
widen(const VcKernels *k, const void *row, size_t n)
{
	static float out[4096];

	k->f16_to_f32(row, out, n);
	return out[0];
}

static inline float
narrow(const VcKernels *k, const void *row, size_t n)
{
	static uint16_t out[4096];

	k->f32_to_f16(row, out, n);
	return out[0];
}

DEFINE_RUN(l2sq_f32, k->l2sq_f32(q, row, n), )
DEFINE_RUN(ip_f32, k->ip_f32(q, row, n), )
DEFINE_RUN(l1_f32, k->l1_f32(q, row, n), )
DEFINE_RUN(dots_f32, k->dots_f32(q, row, n), .ab)
DEFINE_RUN(norm2_f32, k->norm2_f32(row, n), )
DEFINE_RUN(l2sq_f16, k->l2sq_f16(q, row, n), )
DEFINE_RUN(ip_f16, k->ip_f16(q, row, n), )
DEFINE_RUN(l1_f16, k->l1_f16(q, row, n), )
DEFINE_RUN(dots_f16, k->dots_f16(q, row, n), .ab)
DEFINE_RUN(norm2_f16, k->norm2_f16(row, n), )
DEFINE_RUN(l2sq_f16f32, k->l2sq_f16f32(row, q, n), )
DEFINE_RUN(ip_f16f32, k->ip_f16f32(row, q, n), )
DEFINE_RUN(l1_f16f32, k->l1_f16f32(row, q, n), )
DEFINE_RUN(dots_f16f32, k->dots_f16f32(row, q, n), .ab)
DEFINE_RUN(f16_to_f32, widen(k, row, n), )
DEFINE_RUN(f32_to_f16, narrow(k, row, n), )
DEFINE_RUN(hamming, k->hamming(q, row, n / 8), )
DEFINE_RUN(and_or_popcount, and_or_sum(k, q, row, n / 8), )

/* Bits an element takes on either side; a query of none is not read. */
static const struct
{
	const char *name;
	Run run;
	int query_bits;
	int row_bits;
} kernels[] = {
	{"l2sq_f32", run_l2sq_f32, 32, 32},
	{"ip_f32", run_ip_f32, 32, 32},
	{"l1_f32", run_l1_f32, 32, 32},
	{"dots_f32", run_dots_f32, 32, 32},
	{"norm2_f32", run_norm2_f32, 0, 32},
	{"l2sq_f16", run_l2sq_f16, 16, 16},
	{"ip_f16", run_ip_f16, 16, 16},
	{"l1_f16", run_l1_f16, 16, 16},
	{"dots_f16", run_dots_f16, 16, 16},
	{"norm2_f16", run_norm2_f16, 0, 16},
	{"l2sq_f16f32", run_l2sq_f16f32, 32, 16},
	{"ip_f16f32", run_ip_f16f32, 32, 16},
	{"l1_f16f32", run_l1_f16f32, 32, 16},
	{"dots_f16f32", run_dots_f16f32, 32, 16},
	{"f16_to_f32", run_f16_to_f32, 0, 16},
	{"f32_to_f16", run_f32_to_f16, 0, 32},
	{"hamming", run_hamming, 1, 1},
	{"and_or_popcount", run_and_or_popcount, 1, 1},
};
#define KERNELS_COUNT ((int) (sizeof(kernels) / sizeof(kernels[0])))

/*
 * The load loops. The empty asm is all that uses a loaded value: it must be in a register there, and nothing else happens to
 * it. Four vectors of each operand a turn, as in the kernels.
 */
#if defined(__x86_64__) || defined(__i386__)
#define REGISTER "v"
#define TARGET(isa) __attribute__((target(isa), noinline))
#else
#define REGISTER "w"
#define TARGET(isa) __attribute__((noinline))
#endif

typedef float V4 __attribute__((aligned(1), may_alias));
typedef float V16 __attribute__((vector_size(16), aligned(1), may_alias));
typedef float V32 __attribute__((vector_size(32), aligned(1), may_alias));
typedef float V64 __attribute__((vector_size(64), aligned(1), may_alias));

typedef void (*LoadPair)(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size);

#define LOAD(V, p) __asm__ volatile("" ::REGISTER(*(const V *) (p)))

/* One operand from `i` on, four vectors a turn; the end is one more load that overlaps. */
#define LOAD_REST(V, width, p, size) \
	for (; size - i >= 4 * (width); i += 4 * (width)) \
	{ \
		LOAD(V, p + i); \
		LOAD(V, p + i + (width)); \
		LOAD(V, p + i + 2 * (width)); \
		LOAD(V, p + i + 3 * (width)); \
	} \
	for (; size - i >= (width); i += (width)) \
		LOAD(V, p + i); \
	if (i < size) \
	LOAD(V, size < (width) ? p : p + size - (width))

#define DEFINE_LOAD(V, width, target) \
	target static void load_##V(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size) \
	{ \
		size_t shared = a_size < b_size ? a_size : b_size; \
		size_t both = 0; \
		size_t i; \
\
		for (; shared - both >= 4 * (width); both += 4 * (width)) \
		{ \
			LOAD(V, a + both); \
			LOAD(V, b + both); \
			LOAD(V, a + both + (width)); \
			LOAD(V, b + both + (width)); \
			LOAD(V, a + both + 2 * (width)); \
			LOAD(V, b + both + 2 * (width)); \
			LOAD(V, a + both + 3 * (width)); \
			LOAD(V, b + both + 3 * (width)); \
		} \
		i = both; \
		LOAD_REST(V, width, a, a_size); \
		i = both; \
		LOAD_REST(V, width, b, b_size); \
	}

DEFINE_LOAD(V4, 4, TARGET("sse2"))
DEFINE_LOAD(V16, 16, TARGET("sse2"))
#if defined(__x86_64__) || defined(__i386__)
DEFINE_LOAD(V32, 32, TARGET("avx2"))
DEFINE_LOAD(V64, 64, TARGET("avx512f"))
static const LoadPair load_pairs[VC_ISA_COUNT] = {load_V4, load_V16, load_V32, load_V64};
#else
static const LoadPair load_pairs[VC_ISA_COUNT] = {load_V4, load_V16, NULL, NULL};
#endif

static double
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec * 1e9 + (double) t.tv_nsec;
}

/* What is measured: a kernel, or, with kernel < 0, loading alone. */
typedef struct Subject
{
	int kernel;
	VcIsa isa;
	size_t n;
	size_t query_size;
	size_t row_size;
} Subject;

static const uint8_t *query;
static const uint8_t *memory;

static void
run(const Subject *subject, Rows rows)
{
	LoadPair volatile load = load_pairs[subject->isa];

	if (subject->kernel >= 0)
		kernels[subject->kernel].run(vc_kernels_table(subject->isa), query, rows, subject->n);
	else
		FOR_ROWS(rows)
			load(query, subject->query_size, ROW(rows), subject->row_size);
}

static size_t
stride_of(const Subject *subject)
{
	return (HEADER + subject->row_size + 7) / 8 * 8;
}

/* Nanoseconds a row, for a kernel and for loading alone. */
typedef struct Times
{
	double kernel;
	double limit;
} Times;

/* The two by turns, so that what else the machine does falls on both. */
static Times
best_of(Subject subject, const Rows rows[2], int repeats, size_t wander)
{
	double best[2] = {1e30, 1e30};

	for (int i = 0; i < 2 * repeats; i++)
	{
		static size_t offset = 0; /* in memory, where the next walk starts */
		Subject turn = subject;
		Rows walk = rows[i % 2];
		double start;
		double each;

		if (i % 2 == 1)
			turn.kernel = -1;
		if (wander > 0)
		{
			walk.first = offset / walk.stride % walk.wrap;
			offset = (offset + wander) % MEMORY_BYTES;
		}
		start = now_ns();
		run(&turn, walk);
		each = (now_ns() - start) / (double) walk.count;
		if (each < best[i % 2])
			best[i % 2] = each;
	}
	return (Times){best[0], best[1]};
}

/* Everything in the first-level cache. */
static Times
time_in_cache(Subject subject)
{
	Rows rows[2] = {{memory, stride_of(&subject), 0, 0, 1024}};

	rows[0].wrap = (CACHE_BYTES - subject.query_size) / rows[0].stride;
	if (rows[0].wrap == 0)
		rows[0].wrap = 1;
	rows[1] = rows[0];
	for (int i = 0; i < 2; i++)
	{
		Subject turn = subject;
		double start;

		if (i == 1)
			turn.kernel = -1;
		run(&turn, rows[i]);
		start = now_ns();
		run(&turn, rows[i]);
		rows[i].count = (size_t) (CACHE_RUN_NS / ((now_ns() - start) / 1024)) + 1;
	}
	return best_of(subject, rows, 20, 0);
}

/* Rows from memory. */
static Times
time_in_memory(Subject subject)
{
	Rows rows[2] = {{memory, stride_of(&subject), 0, 0, 0}};

	rows[0].wrap = MEMORY_BYTES / rows[0].stride - 1;
	rows[0].count = WALK_BYTES / rows[0].stride;
	rows[1] = rows[0];
	return best_of(subject, rows, 4, WALK_BYTES);
}

static double
time_memcpy(void)
{
	uint8_t *target = malloc(WALK_BYTES);
	double best = 1e30;

	for (size_t offset = 0; offset + WALK_BYTES <= MEMORY_BYTES; offset += WALK_BYTES)
	{
		double start = now_ns();
		double took;

		memcpy(target, memory + offset, WALK_BYTES);
		took = now_ns() - start;
		sink = target[offset % WALK_BYTES];
		if (took < best)
			best = took;
	}
	free(target);
	return best;
}

static bool
wanted(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strncmp(name, argv[i], strlen(argv[i])) == 0)
			return true;
	return argc == 1;
}

/*
 * Halves between 1/4 and 1 of either sign. Two of them side by side are a float between 2^-23 and 2^-6, so the same memory
 * serves every kernel, and no square of either is subnormal, which would measure something else.
 */
static void
fill(uint16_t *halves, size_t count)
{
	uint64_t state = 1;

	for (size_t i = 0; i < count; i++)
	{
		state = state * UINT64_C(6364136223846793005) + 1;
		halves[i] = (uint16_t) ((0x3400 + (state >> 33) % (0x3c00 - 0x3400)) | ((state >> 63) << 15));
	}
}

int
main(int argc, char **argv)
{
	static const size_t dims[] = {100, 384, 768, 1536};
	uint8_t *pages = aligned_alloc(4096, MEMORY_BYTES);
	uint8_t *query_page = aligned_alloc(4096, 16384);

	if (pages == NULL || query_page == NULL)
	{
		fprintf(stderr, "out of memory\n");
		return 1;
	}
	fill((uint16_t *) pages, MEMORY_BYTES / 2);
	fill((uint16_t *) query_page, 8192);
	memory = pages;
	query = query_page + HEADER;

	printf("memcpy of %zu MB: %.1f GB/s\n\n", WALK_BYTES >> 20, (double) WALK_BYTES / time_memcpy());
	printf("%-16s%-8s%5s | %9s%8s%8s%8s | %9s%8s%8s%8s\n", "kernel", "isa", "dim", "cache ns", "GB/s", "limit", "x limit",
		   "memory ns", "GB/s", "limit", "x limit");
	for (int kernel = 0; kernel < KERNELS_COUNT; kernel++)
	{
		if (!wanted(kernels[kernel].name, argc, argv))
			continue;
		for (int isa = 0; isa < VC_ISA_COUNT; isa++)
			for (size_t d = 0; d < sizeof(dims) / sizeof(dims[0]) && vc_kernels_table(isa) != NULL; d++)
			{
				Subject subject = {kernel, isa, dims[d], dims[d] * kernels[kernel].query_bits / 8,
								   dims[d] * kernels[kernel].row_bits / 8};
				double both = (double) (subject.query_size + subject.row_size);
				double row = (double) subject.row_size;
				Times cache = time_in_cache(subject);
				Times mem = time_in_memory(subject);

				printf("%-16s%-8s%5zu | %9.1f%8.1f%8.1f%8.2f | %9.1f%8.1f%8.1f%8.2f\n", kernels[kernel].name,
					   vc_kernels_table(isa)->name, dims[d], cache.kernel, both / cache.kernel, both / cache.limit,
					   cache.kernel / cache.limit, mem.kernel, row / mem.kernel, row / mem.limit, mem.kernel / mem.limit);
				fflush(stdout);
			}
	}
	return 0;
}
