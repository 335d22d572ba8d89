/*
 * sparse_merge.c
 *		The sums over sparse lists (src/types/sparse_merge.h) against the same sums over dense arrays, for lists of every
 *		pair of sizes and overlaps. Values are small integers, so sums are exact and must be equal.
 */
#include "tap.h"
#include "types/sparse_merge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DIM 6000

static float dense_a[DIM];
static float dense_b[DIM];

/* A list whose indices are about `gap` apart from `first` on, and its dense form. */
static VcSparse
make_list(int32_t *index, float *value, float *dense, int first, int gap, int n)
{
	int32_t at = first;
	int32_t count = 0;

	memset(dense, 0, DIM * sizeof(float));
	for (; count < n && at < DIM; count++)
	{
		index[count] = at;
		value[count] = (float) (rand() % 17 - 8);
		if (value[count] == 0)
			value[count] = 9;
		dense[at] = value[count];
		at += gap > 1 ? 1 + rand() % (2 * gap - 1) : 1;
	}
	return (VcSparse){count, index, value};
}

/* The same list with narrow indices, kept in index[]. */
static VcSparse16
narrow(VcSparse list, uint16_t *index)
{
	for (int32_t i = 0; i < list.n; i++)
		index[i] = (uint16_t) list.index[i];
	return (VcSparse16){list.n, index, list.value};
}

int
main(void)
{
	static int32_t index_a[DIM], index_b[DIM];
	static uint16_t narrow_a[DIM], narrow_b[DIM];
	static float value_a[DIM], value_b[DIM];
	static const int sizes[] = {0, 1, 2, 3, 7, 31, 32, 33, 64, 100, 1000, 5000};
	static const int gaps[] = {1, 2, 10, 100};
	const int nsizes = sizeof(sizes) / sizeof(sizes[0]);
	const int ngaps = sizeof(gaps) / sizeof(gaps[0]);
	int wrong = 0;
	int wrong16 = 0;
	int tried = 0;

	srand(20261120);
	for (int i = 0; i < nsizes * nsizes * ngaps * ngaps * 4; i++)
	{
		int n = i / (nsizes * nsizes * ngaps * ngaps);
		VcSparse a = make_list(index_a, value_a, dense_a, n & 1 ? rand() % DIM : 0, gaps[i / nsizes / nsizes % ngaps],
							   sizes[i % nsizes]);
		VcSparse b = make_list(index_b, value_b, dense_b, n & 2 ? rand() % DIM : 0,
							   gaps[i / nsizes / nsizes / ngaps % ngaps], sizes[i / nsizes % nsizes]);
		VcSparse16 a16 = narrow(a, narrow_a);
		VcSparse16 b16 = narrow(b, narrow_b);
		double ip = 0;
		double l2sq = 0;
		double l1 = 0;
		double norm2 = 0;

		for (int k = 0; k < DIM; k++)
		{
			double diff = (double) dense_a[k] - dense_b[k];

			ip += (double) dense_a[k] * dense_b[k];
			l2sq += diff * diff;
			l1 += fabs(diff);
			norm2 += (double) dense_a[k] * dense_a[k];
		}
		tried++;
		wrong16 += vc_sparse16_ip(a16, b16) != ip || vc_sparse16_l2sq(a16, b16) != l2sq || vc_sparse16_l1(a16, b16) != l1 ||
				   vc_sparse16_norm2(a16) != norm2;
		if (ip != vc_sparse_ip(a, b) || l2sq != vc_sparse_l2sq(a, b) || l1 != vc_sparse_l1(a, b) ||
			norm2 != vc_sparse_norm2(a))
		{
			if (wrong++ < 5)
				tap_diag("%d and %d elements: %g %g, %g %g, %g %g, %g %g", a.n, b.n, ip, vc_sparse_ip(a, b), l2sq,
						 vc_sparse_l2sq(a, b), l1, vc_sparse_l1(a, b), norm2, vc_sparse_norm2(a));
		}
	}
	tap_ok(wrong == 0, "%d pairs of lists sum as their dense forms do", tried);
	tap_ok(wrong16 == 0, "so they do with indices of two bytes, but for %d", wrong16);
	return tap_done();
}
