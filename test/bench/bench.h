/*
 * bench.h
 *		What vcdata and vcbench share: errors, memory, files of vectors, exact distances.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TRUTH_K 100 /* neighbours a query has in a truth file */

typedef enum Metric
{
	METRIC_L2,
	METRIC_IP,
	METRIC_COSINE,
	METRIC_L1
} Metric;

/* Raw rows mapped from a file. The mapping lives as long as the process. */
typedef struct Rows
{
	const float *data;
	long count;
	int dim;
} Rows;

/* Prints "PROGRAM: message" and exits with status 1. */
extern void die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Never return null. */
extern void *xmalloc(size_t size);
extern void *xrealloc(void *p, size_t size);

/* A decimal number from min to max, or die naming `what`. */
extern long number(const char *text, long min, long max, const char *what);

extern Metric parse_metric(const char *name); /* l2, ip, cosine, l1 */

extern const void *map_file(const char *path, size_t *size);
extern Rows map_rows(const char *path, int dim);

/*
 * Distance in double, smaller is nearer: squared L2, minus inner product, minus cosine, L1. Infinite where there is no
 * cosine.
 */
extern double exact_distance(const float *a, const float *b, int dim, Metric metric);

/*
 * The filter column's value of a row: 0 to 999, each of them in a thousandth of the rows, unrelated to the vectors.
 * A condition f < 100 selects 10 %.
 */
extern int filter_value(long row);

static inline const float *
row_at(const Rows *rows, long i)
{
	return rows->data + (size_t) i * rows->dim;
}

#endif /* BENCH_H */
