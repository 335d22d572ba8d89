/*
 * quantize.c
 *		Rotation, RaBitQ, scalar codes and k-means, and their kernels on every instruction set of this CPU. Prints TAP.
 */
#include <float.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/vc_kernels.h"
#include "kernels/vc_quant.h"
#include "quantize/compact.h"
#include "quantize/kmeans.h"
#include "quantize/nearest.h"
#include "quantize/rabitq.h"
#include "quantize/random.h"
#include "quantize/rotation.h"
#include "quantize/sq8.h"

static int tests;
static int failures;
static uint64_t state = 20240817;

static void __attribute__((format(printf, 2, 3)))
ok(bool good, const char *format, ...)
{
	va_list args;

	failures += !good;
	printf("%sok %d - ", good ? "" : "not ", ++tests);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

static void *
get(size_t size)
{
	void *p = malloc(size > 0 ? size : 1);

	if (p == NULL)
		abort();
	return p;
}

static float
uniform(void)
{
	return (float) (vc_random_double(&state) * 2 - 1);
}

/* Normally distributed, by Box and Muller. */
static float
normal(void)
{
	double u = 1.0 - vc_random_double(&state);

	return (float) (sqrt(-2.0 * log(u)) * cos(6.283185307179586 * vc_random_double(&state)));
}

/* n values from a pool of normal ones, starting anywhere: making each anew would take most of the test's time. */
static void
normals(float *v, size_t n)
{
	enum
	{
		POOL = 1 << 18
	};
	static float pool[POOL];
	size_t at;

	if (pool[0] == 0)
		for (size_t i = 0; i < POOL; i++)
			pool[i] = normal();
	at = (size_t) vc_random_below(&state, POOL);
	for (size_t i = 0; i < n; i++, at = (at + 1) % POOL)
		v[i] = pool[at];
}

static double
dot(const float *a, const float *b, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (double) a[i] * b[i];
	return sum;
}

/* The kernels of one instruction set against plain loops. */
static void
test_kernels(const VcKernels *kernels)
{
	const VcQuantKernels *quant = kernels->quant;
	bool good = true;
	int seen = 0;

	for (size_t groups = 0; groups <= 1025; groups += groups < 40 ? 1 : 67)
	{
		/* Exactly sized and misaligned, so that a checker sees any read too many. */
		uint8_t *block = get(groups * 16 + 1);
		uint8_t *lut = get(groups * 16 + 1);
		uint32_t want[32] = {0};
		uint32_t sum[32];

		for (size_t i = 1; i < groups * 16 + 1; i++)
		{
			block[i] = (uint8_t) vc_random_next(&state);
			lut[i] = groups % 2 ? 255 : (uint8_t) vc_random_next(&state);
		}
		for (size_t g = 0; g < groups; g++)
			for (int j = 0; j < 32; j++)
				want[j] += lut[1 + g * 16 + (block[1 + g * 16 + j % 16] >> (j / 16 * 4) & 15)];
		quant->fastscan(block + 1, lut + 1, groups, sum);
		good &= memcmp(sum, want, sizeof(want)) == 0;
		seen++;
		free(block);
		free(lut);
	}
	ok(good && seen > 40, "%s: FastScan equals the plain sum", kernels->name);

	good = true;
	for (size_t n = 0; n < 300; n++)
	{
		int8_t *a = get(n);
		int8_t *b = get(n);
		int32_t ip = 0;
		uint32_t l2 = 0;

		for (size_t i = 0; i < n; i++)
		{
			a[i] = n % 7 == 0 ? -128 : (int8_t) vc_random_next(&state);
			b[i] = n % 14 == 0 ? 127 : (int8_t) vc_random_next(&state);
			ip += a[i] * b[i];
			l2 += (uint32_t) ((a[i] - b[i]) * (a[i] - b[i]));
		}
		good &= quant->ip_i8(a, b, n) == ip && quant->l2sq_i8(a, b, n) == l2;
		free(a);
		free(b);
	}
	ok(good, "%s: products and distances of signed bytes are exact", kernels->name);

	good = true;
	for (int round = 0; round < 100; round++)
	{
		uint32_t sum[32];
		float add[32], rescale[32], err[32], out[32];
		float g = normal();
		float limit = normal();
		uint32_t mask;

		for (int i = 0; i < 32; i++)
		{
			sum[i] = (uint32_t) vc_random_below(&state, 1 << 28);
			add[i] = normal();
			rescale[i] = normal() / (1 << 20);
			err[i] = fabsf(normal());
		}
		quant->estimate32(sum, add, rescale, g, 0.25f, -3.0f, out);
		mask = quant->below32(out, err, 0.5f, limit);
		for (int i = 0; i < 32; i++)
		{
			double want = add[i] + (double) g + rescale[i] * (0.25 * sum[i] - 3.0);
			double low = (double) out[i] - 0.5 * err[i];

			good &= fabs(want - out[i]) <= 1e-5 * (1 + fabs(want));
			good &= fabs(low - limit) < 1e-6 * fabs(low) || (mask >> i & 1) == (low < limit);
		}
		for (int i = 0; i < 32; i++)
			out[i] = i % 2 ? NAN : INFINITY;
		good &= quant->below32(out, err, 0.5f, limit) == 0xAAAAAAAA;
	}
	ok(good, "%s: estimates and masks equal the plain formula", kernels->name);

	good = true;
	for (size_t groups = 1; groups < 260; groups += 3)
	{
		float *q = get(groups * 4 * sizeof(float));
		uint8_t *lut = get(groups * 16);
		float step, abs_sum;
		double widest = 0, total = 0;

		normals(q, groups * 4);
		for (size_t i = 0; i < groups * 4; i++)
		{
			q[i] *= groups % 5 == 0 ? 1e-40f : groups % 7 == 0 ? 1e30f : 1;
			if (groups % 4 == 0 && i % 3 == 0)
				q[i] = 0;
			total += fabs(q[i]);
		}
		quant->lut_build(q, groups, lut, &step, &abs_sum);
		for (size_t g = 0; g < groups; g++)
		{
			double range = 0;

			for (int i = 0; i < 4; i++)
				range += fabs(q[g * 4 + i]);
			widest = range > widest ? range : widest;
		}
		good &= fabs(abs_sum - total) <= 1e-4 * total && fabs(step - widest / 255) <= 1e-5 * widest + 1e-44;
		for (size_t g = 0; g < groups && groups % 5 != 0; g++)
			for (int n = 0; n < 16; n++)
			{
				double sum = 0;

				for (int i = 0; i < 4; i++)
					sum += ((n >> i & 1) != 0) == (q[g * 4 + i] > 0) ? fabs(q[g * 4 + i]) : 0;
				good &= fabs(lut[g * 16 + n] - sum / step) <= 0.5001;
			}
		free(q);
		free(lut);
	}
	ok(good, "%s: query tables are rounded to within half a step", kernels->name);

	good = true;
	for (size_t n = 0; n < 200; n++)
	{
		float *r = get(n * sizeof(float));
		float *c = get(n * sizeof(float));
		uint8_t *bits = get((n + 7) / 8);
		uint8_t *other_bits = get((n + 7) / 8);
		float *a = get(n * sizeof(float));
		VcSignProducts p, other;
		double rs = 0, cs = 0;

		normals(r, n);
		normals(c, n);
		for (size_t i = 0; i < n; i += 3)
			r[i] = i % 2 ? -0.0f : 0.0f;
		quant->signs(r, n, bits);
		p = quant->sign_products(r, c, n);
		for (size_t i = 0; i < (n + 7) / 8 * 8; i++)
			good &= (bits[i / 8] >> (i % 8) & 1) == (i < n && r[i] > 0);
		for (size_t i = 0; i < n; i++)
		{
			rs += fabs(r[i]);
			cs += r[i] > 0 ? c[i] : -c[i];
		}
		good &= fabs(p.rr - dot(r, r, n)) < 1e-4 * (1 + n) && fabs(p.rc - dot(r, c, n)) < 1e-4 * (1 + n) &&
				fabs(p.rs - rs) < 1e-4 * (1 + n) && fabs(p.cs - cs) < 1e-4 * (1 + n);
		for (size_t i = 0; i < n; i++)
		{
			a[i] = r[i] + c[i];
			r[i] = a[i] - c[i];
		}
		quant->signs(r, n, bits);
		p = quant->sign_products(r, c, n);
		other = quant->sign_difference(a, c, n, other_bits);
		good &= memcmp(bits, other_bits, (n + 7) / 8) == 0 && fabsf(p.rr - other.rr) <= 1e-5f * (1 + n) &&
				fabsf(p.rs - other.rs) <= 1e-5f * (1 + n) && fabsf(p.cs - other.cs) <= 1e-5f * (1 + n) &&
				fabsf(p.rc - other.rc) <= 1e-5f * (1 + n);
		free(a);
		free(other_bits);
		free(r);
		free(c);
		free(bits);
	}
	ok(good, "%s: signs and their products, of a vector and of a difference", kernels->name);

	good = true;
	for (size_t n = 1; n < 70; n += 3)
		for (size_t dim = 1; dim < 40; dim += 4)
		{
			size_t nrows = 29;
			float *rows = get(nrows * dim * sizeof(float));
			float *centroids = get(n * dim * sizeof(float));
			float *panels = get(vc_panels_size(n, (uint32_t) dim) * sizeof(float));
			float *norms = get(vc_panels_norms_size(n) * sizeof(float));
			size_t padded = vc_panels_norms_size(n);
			float *scores = get(nrows * padded * sizeof(float));
			float score[29];
			uint32_t index[29];

			normals(rows, nrows * dim);
			normals(centroids, n * dim);
			vc_panels_build(centroids, n, (uint32_t) dim, panels, norms);
			quant->nearest(rows, dim, nrows, panels, norms, padded / VC_PANEL, dim, score, index);
			quant->panel_scores(rows, dim, nrows, panels, norms, padded / VC_PANEL, dim, scores);
			for (size_t r = 0; r < nrows; r++)
			{
				double best = INFINITY;

				for (size_t c = 0; c < n; c++)
				{
					double d = dot(centroids + c * dim, centroids + c * dim, dim) / 2 -
							   dot(centroids + c * dim, rows + r * dim, dim);

					best = d < best ? d : best;
					good &= fabs(scores[r * padded + c] - d) < 1e-4 * (1 + fabs(d)) && scores[r * padded + c] >= score[r];
				}
				for (size_t c = n; c < padded; c++)
					good &= scores[r * padded + c] == INFINITY;
				good &= index[r] < n && fabs(score[r] - best) < 1e-4 * (1 + fabs(best));
				if (index[r] < n)
				{
					const float *c = centroids + index[r] * dim;

					good &= fabs(dot(c, c, dim) / 2 - dot(c, rows + r * dim, dim) - best) < 1e-4 * (1 + fabs(best));
				}
			}
			free(rows);
			free(centroids);
			free(panels);
			free(norms);
			free(scores);
		}
	ok(good, "%s: nearest finds the nearest of all that panel_scores tells", kernels->name);
}

static VcRotation *
make_rotation(uint32_t dim, uint32_t padded, uint64_t seed)
{
	VcRotation *rotation = get(vc_rotation_size(padded));

	vc_rotation_init(rotation, dim, padded, seed);
	return rotation;
}

static void
test_rotation(void)
{
	static const uint32_t dims[] = {1, 2, 3, 4, 5, 7, 12, 16, 31, 100, 128, 384, 784, 1000, 1536, 4099, 16000};
	bool lengths = true, angles = true, inverts = true, same = true;

	for (size_t d = 0; d < 2 * sizeof(dims) / sizeof(dims[0]); d++)
	{
		/* The second time into more dimensions than are needed. */
		uint32_t dim = dims[d / 2];
		uint32_t padded = vc_rotation_padded(d % 2 == 0 ? dim : dim + dim / 5 + 4);
		VcRotation *rotation = make_rotation(dim, padded, 42 + d);
		float *a = get(dim * sizeof(float));
		float *b = get(dim * sizeof(float));
		float *ra = get(padded * sizeof(float));
		float *rb = get(padded * sizeof(float));
		float *again = get(padded * sizeof(float));
		VcIsa before = vc_kernels_detect();

		normals(a, dim);
		normals(b, dim);
		vc_rotation_apply(rotation, a, ra);
		vc_rotation_apply(rotation, b, rb);
		lengths &= fabs(dot(ra, ra, padded) / dot(a, a, dim) - 1) < 1e-5;
		angles &= fabs(dot(ra, rb, padded) - dot(a, b, dim)) < 1e-5 * sqrt(dot(a, a, dim) * dot(b, b, dim));
		for (int isa = 0; isa < VC_ISA_COUNT; isa++)
			if (vc_kernels_select((VcIsa) isa))
			{
				vc_rotation_apply(rotation, a, again);
				same &= memcmp(again, ra, padded * sizeof(float)) == 0;
			}
		vc_kernels_select(before);
		vc_rotation_invert(rotation, again, rb);
		for (uint32_t i = 0; i < dim; i++)
			inverts &= fabs(rb[i] - a[i]) < 1e-5 * (1 + fabs(a[i]));
		free(rotation);
		free(a);
		free(b);
		free(ra);
		free(rb);
		free(again);
	}
	ok(lengths, "rotation keeps lengths");
	ok(angles, "rotation keeps inner products");
	ok(inverts, "rotation inverts");
	ok(same, "rotation is the same bit for bit on every instruction set");

	/* Pinned, so that a change which would unsettle stored indexes shows, on any architecture. */
	{
		VcRotation *rotation = make_rotation(100, 100, 7);
		float v[100];
		uint64_t hash = UINT64_C(0xcbf29ce484222325);

		for (int i = 0; i < 100; i++)
			v[i] = (float) (i % 17 - 8) / 4;
		vc_rotation_apply(rotation, v, v);
		for (int i = 0; i < 100; i++)
		{
			uint32_t word;

			memcpy(&word, v + i, 4);
			hash = (hash ^ word) * UINT64_C(0x100000001b3);
		}
		ok(hash == UINT64_C(0x55463341a97dca75), "rotation of seed 7 is the one stored indexes rely on (%llx)",
		   (unsigned long long) hash);
		free(rotation);
	}
	{
		/* One coordinate must spread over all: else codes of sparse data would say nothing. */
		uint32_t dim = 784;
		VcRotation *rotation = make_rotation(dim, dim, 3);
		float v[784] = {0};
		float most = 0;

		v[5] = 1;
		vc_rotation_apply(rotation, v, v);
		for (uint32_t i = 0; i < dim; i++)
			most = fabsf(v[i]) > most ? fabsf(v[i]) : most;
		ok(most < 6 / sqrt(dim), "rotation spreads a unit vector (largest coordinate %.3f)", most);
		free(rotation);
	}
}

/*
 * 100,000 pairs of query and vector about a centre: the mean error must be within three standard errors of zero, and the
 * share of errors beyond err * |q - c| * 1.9 what it is for a normal distribution cut there, 6 % at most. Each hundred
 * pairs has its own rotation, since the estimate is unbiased over rotations.
 */
static void
test_estimator(uint32_t dim, uint32_t padded, int bits, VcRabitqMetric metric)
{
	const int rotations = getenv("VC_UNIT_QUICK") != NULL ? 40 : 1000;
	const int pairs = 100;
	float *o = get(dim * sizeof(float));
	float *q = get(dim * sizeof(float));
	float *c = get(dim * sizeof(float));
	float *ro = get(padded * sizeof(float));
	float *rq = get(padded * sizeof(float));
	float *rc = get(padded * sizeof(float));
	float *r = get(padded * sizeof(float));
	uint8_t *code = get(padded);
	uint8_t *block = calloc(1, vc_rabitq_block_size(padded, bits));
	uint8_t *lut = get(vc_rabitq_lut_size(padded));
	double sum = 0, sum2 = 0, worst_table = 0, worst_share = 0, worst_fine = 0;
	double spread = 0;
	long outside = 0;

	for (int i = 0; i < rotations; i++)
	{
		VcRotation *rotation = make_rotation(dim, padded, vc_random_next(&state));
		double batch = 0;

		normals(c, dim);
		vc_rotation_apply(rotation, c, rc);
		for (int p = 0; p < pairs; p++)
		{
			float add[32] = {0}, rescale[32] = {0}, estimates[32];
			int slot = p % 32;
			VcRabitqFactors factors;
			VcRabitqQuery query;
			double truth = 0, qc = 0, rr = 0, error, g;

			normals(o, dim);
			normals(q, dim);
			for (uint32_t j = 0; j < dim; j++)
			{
				o[j] += c[j];
				q[j] = c[j] + q[j] * 0.7f;
			}
			vc_rotation_apply(rotation, o, ro);
			vc_rotation_apply(rotation, q, rq);
			for (uint32_t j = 0; j < padded; j++)
			{
				r[j] = ro[j] - rc[j];
				qc += ((double) rq[j] - rc[j]) * ((double) rq[j] - rc[j]);
				rr += (double) r[j] * r[j];
				truth += metric == VC_RABITQ_L2 ? ((double) rq[j] - ro[j]) * ((double) rq[j] - ro[j])
												: -(double) rq[j] * ro[j];
			}
			g = metric == VC_RABITQ_L2 ? qc : -dot(rq, rc, padded);
			vc_rabitq_encode(metric, r, rc, padded, bits, code, &factors);
			error = (vc_rabitq_estimate_exact(rq, code, padded, bits, &factors, g) - truth) / sqrt(qc * rr);
			batch += error;
			spread += error * error;
			outside += fabs(error) * sqrt(rr) > factors.err * 1.9;

			vc_rabitq_pack(block, padded, bits, slot, code);
			vc_rabitq_query_init(&query, rq, padded, lut);
			add[slot] = factors.add;
			rescale[slot] = factors.rescale;
			vc_rabitq_estimate32(&query, block, bits, add, rescale, (float) g, estimates);
			error = fabs(estimates[slot] - vc_rabitq_estimate_exact(rq, code, padded, bits, &factors, g));
			worst_table = fmax(worst_table, error / sqrt(qc * rr));

			/* Each of the table's entries is off by half a step at most. */
			worst_share = fmax(worst_share, (error - 1e-4 * (1 + fabs(truth))) /
												(0.5 * query.step * (padded / 4) * ((1 << bits) - 1) * fabs(factors.rescale)));
			vc_rabitq_estimate32_fine(rq, padded, block, bits, add, rescale, (float) g, estimates);
			error = fabs(estimates[slot] - vc_rabitq_estimate_exact(rq, code, padded, bits, &factors, g));
			worst_fine = fmax(worst_fine, error / (1 + fabs(truth) + fabs(factors.add)));
		}
		batch /= pairs;
		sum += batch;
		sum2 += batch * batch;
		free(rotation);
	}
	{
		double mean = sum / rotations;
		double se = sqrt((sum2 / rotations - mean * mean) / (rotations - 1));
		double beyond = (double) outside / (rotations * pairs);
		const char *name = metric == VC_RABITQ_L2 ? "L2" : "IP";

		ok(fabs(mean) <= 3 * se, "%s, %u dimensions in %u, %d bits: unbiased (mean %.2g, standard error %.2g, deviation %.4f)", name,
		   dim, padded, bits, mean, se, sqrt(spread / (rotations * pairs)));
		ok(beyond < 0.075, "%s, %u dimensions in %u, %d bits: %.2f %% of errors beyond the bound", name, dim, padded, bits, 100 * beyond);
		ok(worst_share <= 1, "%s, %u dimensions in %u, %d bits: the table adds at most %.4f, %.0f %% of what it may", name, dim, padded, bits,
		   worst_table, 100 * worst_share);
		ok(worst_fine < 2e-5, "%s, %u dimensions in %u, %d bits: without the table off by %.2g at most", name, dim, padded, bits, worst_fine);
	}
	free(o);
	free(q);
	free(c);
	free(ro);
	free(rq);
	free(rc);
	free(r);
	free(code);
	free(block);
	free(lut);
}

static void
test_codes(void)
{
	bool kept = true, signs = true, packed = true, finite = true, exact = true;

	for (int bits = 1; bits <= 8; bits++)
	{
		uint32_t dim = 60;
		uint8_t codes[32][60], back[60];
		uint8_t *block = calloc(1, vc_rabitq_block_size(dim, bits));

		for (int round = 0; round < 3; round++)
			for (int slot = 0; slot < 32; slot++)
			{
				float r[60];
				VcRabitqFactors factors;

				normals(r, dim);
				vc_rabitq_encode(VC_RABITQ_L2, r, NULL, dim, bits, codes[slot], &factors);
				vc_rabitq_pack(block, dim, bits, slot, codes[slot]);
				for (uint32_t i = 0; i < dim; i++)
					signs &= (codes[slot][i] >> (bits - 1)) == (r[i] > 0);
			}
		for (int slot = 0; slot < 32; slot++)
		{
			vc_rabitq_unpack(block, dim, bits, slot, back);
			kept &= memcmp(back, codes[slot], dim) == 0;
		}
		free(block);
	}
	ok(kept, "codes come back from a block, whatever was written beside them");
	ok(signs, "the first plane is the sign of the residual");

	for (int round = 0; round < 40; round++)
	{
		uint32_t dim = 4 * (1 + (uint32_t) vc_random_below(&state, 40));
		float r[160], c[160];
		uint8_t code[160], bits[20], bits_back[20], column[40], *one, *other;
		VcRabitqFactors a, b;
		int slot = (int) vc_random_below(&state, 32);

		normals(r, dim);
		normals(c, dim);
		one = calloc(1, vc_rabitq_block_size(dim, 1));
		other = calloc(1, vc_rabitq_block_size(dim, 1));
		vc_rabitq_encode(VC_RABITQ_IP, r, c, dim, 1, code, &a);
		vc_rabitq_encode1(VC_RABITQ_IP, r, c, dim, bits, &b);
		vc_rabitq_pack(one, dim, 1, slot, code);
		vc_rabitq_column1(other, dim, slot, bits, column);
		vc_rabitq_pack1(other, dim, slot, bits);
		for (uint32_t i = 0; i < dim / 4; i++)
			packed &= column[i] == other[VC_RABITQ_FIRST(slot) + 16 * i];
		vc_rabitq_unpack1(other, dim, slot, bits_back);
		packed &= memcmp(one, other, vc_rabitq_block_size(dim, 1)) == 0 && memcmp(&a, &b, sizeof(a)) == 0 &&
				  memcmp(bits, bits_back, (dim + 7) / 8) == 0;
		free(one);
		free(other);
	}
	ok(packed, "bit strings and codes of one bit agree");

	for (int bits = 1; bits <= 8; bits++)
		for (int which = 0; which < 6; which++)
		{
			static const float sizes[] = {0, 1e-45f, 1e-30f, 1e20f, 3e38f, FLT_MAX};
			float r[8], c[8];
			uint8_t code[8];
			VcRabitqFactors f;

			for (int i = 0; i < 8; i++)
			{
				r[i] = i % 3 == 0 ? -sizes[which] : sizes[which];
				c[i] = which == 5 ? FLT_MAX : 1;
			}
			vc_rabitq_encode(which % 2 ? VC_RABITQ_L2 : VC_RABITQ_IP, r, c, 8, bits, code, &f);
			finite &= isfinite(f.add) && isfinite(f.rescale) && f.err >= 0 && isfinite(f.err);
			if (which == 0)
				exact &= f.add == 0 && f.rescale == 0 && f.err == 0;
		}
	ok(finite, "factors are finite for residuals from zero to FLT_MAX");
	ok(exact, "a vector at its centre has no error");
}

/* Whether every instruction set unpacks what was packed, and has the products of what it would unpack. */
static bool
unpacks_alike(const uint8_t *packed, const VcCompactForm *form)
{
	uint32_t dim = form->dim;
	int bits = form->bits;
	const uint8_t *finer = packed + dim / 4 * (uint32_t) (bits / 2);
	int8_t *expected = get(dim + 1);
	int8_t *unpacked = get(dim + 1);
	int8_t *a = get(dim);
	int8_t *b = get(dim);
	int32_t product[2] = {0};
	int32_t sum[2] = {0};
	bool good = true;

	vc_kernels_table(VC_ISA_SCALAR)->quant->unpack(packed, bits, dim, expected);
	for (uint32_t i = 0; i < dim; i++)
	{
		a[i] = (int8_t) (i % 3 == 0 ? -128 : (int) (i * 37 % 256) - 128);
		b[i] = (int8_t) (i % 5 == 0 ? 127 : (int) (i * 91 % 256) - 128);
		product[0] += expected[i] * a[i];
		product[1] += expected[i] * b[i];
		if (i < form->finer && finer[i / 8] >> (i % 8) & 1)
		{
			sum[0] += a[i];
			sum[1] += b[i];
		}
	}
	for (int isa = 0; isa < VC_ISA_COUNT; isa++)
	{
		const VcKernels *kernels = vc_kernels_table((VcIsa) isa);

		if (kernels == NULL)
			continue;
		unpacked[dim] = 77;
		kernels->quant->unpack(packed, bits, dim, unpacked);
		good &= memcmp(unpacked, expected, dim) == 0 && unpacked[dim] == 77;
		if (bits < 8)
		{
			int32_t got[2];

			kernels->quant->ip_packed(packed, bits, dim, a, b, got);
			good &= got[0] == product[0] && got[1] == product[1];
			kernels->quant->ip_bits(finer, form->finer, a, b, got);
			good &= got[0] == sum[0] && got[1] == sum[1];
		}
	}
	free(a);
	free(b);
	free(expected);
	free(unpacked);
	return good;
}

/* Codes of single vectors: what is packed comes back, estimates are as near as they are said to be. */
static void
test_compact(uint32_t dim, int bits, uint32_t finer)
{
	enum { VECTORS = 200, QUERIES = 20 };
	static const double distances[] = {0, 0.01, 0.3, 1, 10};
	float *o = get(dim * sizeof(float));
	float *q = get(dim * sizeof(float));
	float *decoded = get(dim * sizeof(float));
	uint8_t *code = get(dim);
	VcCompactForm form = {dim, bits, finer};
	int all = finer > 0 ? bits + 1 : bits;
	uint8_t *packed = get(vc_compact_size(&form));
	int8_t *memory = get(vc_compact_query_size(dim));
	double squares = 0, expected = 0;
	long beyond = 0, total = 0;
	bool whole = true, middle = true, alike = true;

	for (int v = 0; v < VECTORS; v++)
	{
		VcCompactFactors f;
		VcRabitqFactors r;
		double along = 0, norm2 = 0;

		normals(o, dim);
		vc_compact_encode(&form, o, code, packed, &f);
		vc_rabitq_encode(VC_RABITQ_IP, o, NULL, dim, all, code, &r);
		vc_compact_decode(&form, packed, 1, (int8_t *) memory, decoded);
		for (uint32_t i = 0; i < dim; i++)
		{
			float x = (float) code[i];

			if (finer > 0 && i >= finer)
				x = (float) (code[i] / 2 * 2) + 0.5f;
			whole &= decoded[i] == x - (float) ((1 << all) - 1) / 2;
			along += o[i] * (double) decoded[i] * f.k;
			norm2 += o[i] * (double) o[i];
		}
		alike &= unpacks_alike(packed, &form);
		middle &= fabs(along - norm2) < 1e-4 * norm2 && fabs(f.norm2 - norm2) < 1e-4 * norm2;
		for (int i = 0; i < QUERIES; i++)
		{
			VcCompactQuery query;
			double truth = 0, product, bound;
			double away = distances[i % 5];

			normals(q, dim);
			for (uint32_t j = 0; j < dim; j++)
				q[j] = o[j] + (float) away * q[j];
			for (uint32_t j = 0; j < dim; j++)
				truth += q[j] * (double) o[j];
			vc_compact_query_init(&query, &form, q, memory);
			product = vc_compact_product(&query, packed, f.k);
			bound = vc_compact_error(&query, &f, product, 3);
			total++;
			beyond += fabs(product - truth) > bound;
			if (away == 1)
			{
				squares += (product - truth) * (product - truth);
				expected += bound * bound / (dim > 10 ? 9 : dim - 1);
			}
		}
	}
	ok(whole && alike, "%u dimensions, %d bits, %u with one more: codes come back from their bytes", dim, bits, finer);
	ok(middle, "%u dimensions, %d bits, %u with one more: the error is orthogonal to the vector", dim, bits, finer);
	/* In few dimensions three deviations are more than the code can err, and only the rounding of the query's may be beyond its three. */
	ok(beyond <= (dim <= 10 ? total / 1000 : total / 100), "%u dimensions, %d bits, %u with one more: %ld of %ld products beyond three deviations",
	   dim, bits, finer, beyond, total);
	ok(squares < 1.5 * expected && squares > expected / 4, "%u dimensions, %d bits, %u with one more: the deviation is the one foreseen (%.2g of it)",
	   dim, bits, finer, sqrt(squares / expected));
	free(o);
	free(q);
	free(decoded);
	free(code);
	free(packed);
	free(memory);
}

/* The ends of float's range: an estimate, or the word that there is none. */
static void
test_compact_range(void)
{
	enum { DIM = 32 };
	static const VcCompactForm form = {DIM, 6, 16};
	static const float magnitudes[] = {0, 1e-45f, 1e-30f, 1e-15f, 1, 1e15f, 1e20f, 3e38f};
	float o[DIM], q[DIM], decoded[DIM];
	uint8_t code[DIM], packed[DIM];
	int8_t memory[DIM * 2];
	bool good = true;

	for (int a = 0; a < 8; a++)
		for (int b = 0; b < 8; b++)
		{
			VcCompactFactors f;
			VcCompactQuery query;
			double truth = 0, product, bound;

			for (int i = 0; i < DIM; i++)
			{
				o[i] = magnitudes[a] * (i % 3 - 1);
				q[i] = magnitudes[b] * (float) ((i % 5 - 2) / 2.0);
				truth += o[i] * (double) q[i];
			}
			vc_compact_encode(&form, o, code, packed, &f);
			vc_compact_query_init(&query, &form, q, memory);
			product = vc_compact_product(&query, packed, f.k);
			bound = vc_compact_error(&query, &f, product, 6);
			vc_compact_decode(&form, packed, f.k, memory, decoded);
			good &= isfinite(product) && !isnan(bound) && isfinite(decoded[0]);
			good &= fabs(product - truth) <= bound + 1e-3 * fabs(truth) + 1e-30;
		}
	ok(good, "codes of vectors from zero to FLT_MAX are as near as they say");
}

static void
test_sq8(void)
{
	float v[1000];
	int8_t code[1000];
	float scale;
	bool good = true;

	normals(v, 1000);
	scale = vc_sq8_scale(v, 1000);
	vc_sq8_encode(v, 1000, scale, code);
	for (int i = 0; i < 1000; i++)
		good &= fabsf(v[i] - scale * code[i]) <= 0.5001f * scale;
	vc_sq8_encode(v, 1000, scale / 4, code);
	for (int i = 0; i < 1000; i++)
		good &= code[i] >= -127 && (fabsf(v[i]) < scale / 4 * 127 || abs(code[i]) == 127);
	memset(v, 0, sizeof(v));
	good &= vc_sq8_scale(v, 1000) > 0;
	vc_sq8_encode(v, 1000, vc_sq8_scale(v, 1000), code);
	good &= code[0] == 0;
	ok(good, "scalar codes are rounded to nearest and clipped");
}

typedef struct Progress
{
	int calls;
	double last;
	bool ordered;
} Progress;

static void
note_progress(void *arg, double done)
{
	Progress *progress = arg;

	progress->calls++;
	progress->ordered &= done >= progress->last && done <= 1;
	progress->last = done;
}

/* Three who take part in k-means, each with memory of its own; of three tasks in a row each does one. */
#define CREW 3

typedef struct Crew
{
	VcKmeansHelper *helper[CREW];
	uint32_t tasks;
	uint32_t jobs;
} Crew;

typedef struct Member
{
	Crew *crew;
	uint32_t number;
} Member;

static void *
do_tasks(void *arg)
{
	Member *member = arg;

	for (uint32_t task = member->number; task < member->crew->tasks; task += CREW)
		vc_kmeans_task(member->crew->helper[member->number], task);
	return NULL;
}

static void
share_tasks(void *arg, VcKmeansHelper *self, uint32_t tasks)
{
	Crew *crew = arg;
	pthread_t thread[CREW];
	Member member[CREW];

	crew->helper[0] = self;
	crew->tasks = tasks;
	crew->jobs++;
	for (uint32_t i = 0; i < CREW; i++)
	{
		member[i] = (Member){crew, i};
		if (i > 0 && pthread_create(&thread[i], NULL, do_tasks, &member[i]) != 0)
			abort();
	}
	do_tasks(&member[0]);
	for (uint32_t i = 1; i < CREW; i++)
		pthread_join(thread[i], NULL);
}

/* The same by three; returns how many clusters there are, and in *jobs how often the three went to work. */
static uint32_t
kmeans_by_three(const VcKmeans *alone, const float *data, size_t n, float *centroids, uint32_t *jobs)
{
	Crew crew = {.jobs = 0};
	VcKmeans params = *alone;
	float *rows = get(n * params.dim * sizeof(float));
	void *shared = get(vc_kmeans_shared_size(&params, n));
	void *memory[CREW];
	uint32_t made;

	params.tick = NULL;
	params.share = share_tasks;
	params.arg = &crew;
	memcpy(rows, data, n * params.dim * sizeof(float));
	for (uint32_t i = 0; i < CREW; i++)
	{
		memory[i] = get(vc_kmeans_helper_size(&params, n));
		if (i > 0)
			crew.helper[i] = vc_kmeans_helper(&params, rows, n, centroids, shared, memory[i]);
	}
	made = vc_kmeans_shared(&params, rows, n, centroids, shared, memory[0]);
	for (uint32_t i = 0; i < CREW; i++)
		free(memory[i]);
	free(shared);
	free(rows);
	*jobs = crew.jobs;
	return made;
}

/* Runs k-means and checks what it promises; returns the mean squared distance to the nearest centroid. */
static double
run_kmeans(const char *what, const float *data, size_t n, uint32_t dim, uint32_t clusters, bool spherical, uint32_t *made_out)
{
	Progress progress = {.ordered = true};
	VcKmeans params = {.dim = dim, .clusters = clusters, .iterations = 8, .refinements = 2, .spherical = spherical,
					   .seed = 99, .tick = note_progress, .arg = &progress};
	float *rows = get(n * dim * sizeof(float));
	float *centroids = get((size_t) clusters * dim * sizeof(float));
	float *again = get((size_t) clusters * dim * sizeof(float));
	void *workspace = get(vc_kmeans_workspace(&params, n));
	uint32_t made, made_again, jobs;
	uint32_t *counts = calloc(clusters, sizeof(uint32_t));
	bool finite = true, used = true, unit = true;
	double total = 0;

	memcpy(rows, data, n * dim * sizeof(float));
	made = vc_kmeans(&params, rows, n, centroids, workspace);
	made_again = kmeans_by_three(&params, data, n, again, &jobs);
	ok(made == made_again && memcmp(centroids, again, (size_t) made * dim * sizeof(float)) == 0,
	   "%s: the same by one and by three, %u of %u clusters", what, made, clusters);
	ok((jobs > 0) == (clusters > VC_KMEANS_FLAT && n > clusters), "%s: there was work for three %u times", what, jobs);
	for (size_t i = 0; i < (size_t) made * dim; i++)
		finite &= isfinite(centroids[i]);
	for (size_t i = 0; i < n; i++)
	{
		double best = INFINITY;
		uint32_t where = 0;

		for (uint32_t c = 0; c < made; c++)
		{
			double d = 0;

			for (uint32_t j = 0; j < dim; j++)
				d += ((double) data[i * dim + j] - centroids[c * dim + j]) * ((double) data[i * dim + j] - centroids[c * dim + j]);
			if (d < best)
			{
				best = d;
				where = c;
			}
		}
		counts[where]++;
		total += best;
	}
	for (uint32_t c = 0; c < made; c++)
	{
		used &= counts[c] > 0;
		if (spherical)
			unit &= fabs(dot(centroids + c * dim, centroids + c * dim, dim) - 1) < 1e-4;
	}
	ok(made >= 1 && made <= clusters && made <= n && finite, "%s: finite", what);
	ok(used, "%s: no cluster is empty", what);
	ok(unit, "%s: lengths", what);
	ok(progress.ordered && progress.calls > 0, "%s: progress rises (%d calls)", what, progress.calls);
	free(rows);
	free(centroids);
	free(again);
	free(workspace);
	free(counts);
	*made_out = made;
	return total / (double) n;
}

static void
test_kmeans(void)
{
	uint32_t dim = 8;
	size_t n = 6000;
	float *data = get(n * dim * sizeof(float));
	uint32_t made;
	double error;
	bool sorted = true;

	/* 30 tight clusters: a good run finds them, or all but a few. */
	for (size_t i = 0; i < n; i++)
		for (uint32_t j = 0; j < dim; j++)
			data[i * dim + j] = (float) ((i % 30 * 7919 + j * 104729) % 97) / 10 + normal() * 0.01f;
	error = run_kmeans("30 clusters in 40", data, n, dim, 40, false, &made);
	ok(made == 40 && error < 0.5, "30 clusters in 40: error %.4f", error);

	normals(data, n * dim);
	error = run_kmeans("normal data in 200", data, n, dim, 200, false, &made);
	ok(made >= 190 && error < 8 * 0.45, "normal data in 200: error %.3f", error);

	for (size_t i = 0; i < n; i++)
	{
		double norm = sqrt(dot(data + i * dim, data + i * dim, dim));

		for (uint32_t j = 0; j < dim; j++)
			data[i * dim + j] = (float) (data[i * dim + j] / norm);
	}
	run_kmeans("directions in 100", data, n, dim, 100, true, &made);
	ok(made >= 90, "directions in 100: %u made", made);

	for (size_t i = 0; i < n * dim; i++)
		data[i] = 3.25f;
	run_kmeans("constant data", data, 1000, dim, 64, false, &made);
	ok(made == 1, "constant data: one cluster");

	/* So many clusters that rows are compared with those of the nearest parts only. */
	run_kmeans("constant data, 500 wanted", data, n, dim, 500, false, &made);
	ok(made == 1, "constant data, 500 wanted: one cluster");
	normals(data, n * dim);
	error = run_kmeans("normal data in 500", data, n, dim, 500, false, &made);
	ok(made >= 475 && error < 8 * 0.36, "normal data in 500: %u made, error %.3f", made, error);
	for (size_t i = 0; i < n; i++)
		for (uint32_t j = 0; j < dim; j++)
			data[i * dim + j] = data[i % 300 * dim + j];
	error = run_kmeans("three hundred different rows", data, n, dim, 500, false, &made);
	ok(made > 250 && made <= 300 && error < 0.5, "three hundred different rows: %u clusters, error %.3f", made, error);
	for (size_t i = 0; i < n / 2 * dim; i++)
		data[i] = 7.0f;
	run_kmeans("half of the rows equal", data, n, dim, 500, false, &made);
	ok(made > 200, "half of the rows equal: %u clusters", made);
	for (size_t i = 0; i < n; i++)
		for (uint32_t j = 0; j < dim; j++)
			data[i * dim + j] = (float) i * (float) (j + 1);
	data[0] = 1e18f;
	run_kmeans("a line and a row far off it", data, n, dim, 500, false, &made);
	ok(made > 250, "a line and a row far off it: %u clusters", made);

	for (size_t i = 0; i < n; i++)
		for (uint32_t j = 0; j < dim; j++)
			data[i * dim + j] = (float) (i % 5 + j);
	run_kmeans("five different rows", data, n, dim, 100, false, &made);
	ok(made == 5, "five different rows: five clusters, got %u", made);

	normals(data, 10 * dim);
	run_kmeans("one row", data, 1, dim, 50, false, &made);
	ok(made == 1, "one row: one cluster");
	run_kmeans("ten rows in 200", data, 10, dim, 200, false, &made);
	ok(made == 10, "ten rows in 200: ten clusters, got %u", made);

	/* The same by way of parts: rows of 240 dimensions. */
	ok(vc_nearest_pays(820), "820 clusters are found by way of parts");
	{
		size_t wide = 7200;
		float *rows = get(wide * 240 * sizeof(float));

		normals(rows, wide * 240);
		for (size_t i = 0; i < wide; i++)
			for (uint32_t j = 0; j < 240; j++)
				rows[i * 240 + j] = rows[i * 240 + j] * 0.3f + (float) ((i % 600 * 7919 + j * 104729) % 97) / 50;
		error = run_kmeans("600 clusters in 820", rows, wide, 240, 820, false, &made);
		ok(made >= 750 && error < 240 * 0.09 * 1.2, "600 clusters in 820: %u made, error %.3f", made, error);
		for (size_t i = 0; i < wide * 240; i++)
			rows[i] = (float) (i / 240 % 90 + i % 240);
		run_kmeans("ninety different rows", rows, wide, 240, 820, false, &made);
		ok(made <= 90 && made > 60, "ninety different rows: %u clusters", made);
		for (size_t i = 0; i < wide * 240; i++)
			rows[i] = -2.5f;
		run_kmeans("constant wide data", rows, wide, 240, 820, false, &made);
		ok(made == 1, "constant wide data: one cluster");
		free(rows);
	}

	for (size_t i = 0; i < 200 * dim; i++)
		data[i] = uniform() * FLT_MAX;
	{
		VcKmeans params = {.dim = dim, .clusters = 60, .iterations = 5, .refinements = 1, .seed = 1};
		float centroids[60 * 8];
		void *workspace = get(vc_kmeans_workspace(&params, 200));

		made = vc_kmeans(&params, data, 200, centroids, workspace);
		for (uint32_t i = 0; i < made * dim; i++)
			sorted &= isfinite(centroids[i]);
		ok(made >= 1 && sorted, "values up to FLT_MAX: %u finite clusters", made);
		free(workspace);
	}
	for (size_t i = 0; i < 200 * dim; i++)
		data[i] = 0;
	run_kmeans("zeros", data, 200, dim, 3, false, &made);
	ok(made == 1, "zeros: one cluster");
	{
		VcKmeans params = {.dim = UINT32_MAX, .clusters = UINT32_MAX};

		ok(vc_kmeans_workspace(&params, SIZE_MAX) == SIZE_MAX, "sizes that overflow are told");
	}
	free(data);
}

/*
 * Clusters found by way of parts: in twelve at most the nearest, in more one that is hardly farther. The less the parts lie apart, the
 * fewer rows find their cluster in the part that is nearest to them.
 */
static void
test_nearest(uint32_t dim, uint32_t n, uint32_t parts, float apart)
{
	uint32_t queries = 500, exact = 0, in_range = 0;
	float *centroids = get((size_t) n * dim * sizeof(float));
	float *centres = get((size_t) parts * dim * sizeof(float));
	float *rows = get((size_t) queries * dim * sizeof(float));
	float *row = rows;
	uint32_t *part_of = get(n * sizeof(uint32_t));
	uint32_t *got = get(queries * sizeof(uint32_t));
	void *memory = get(vc_nearest_size(dim, n, parts));
	VcNearest *nearest;
	double found = 0, best = 0;

	normals(centres, (size_t) parts * dim);
	for (size_t i = 0; i < (size_t) parts * dim; i++)
		centres[i] *= apart;
	for (uint32_t i = 0; i < n; i++)
	{
		part_of[i] = (uint32_t) vc_random_below(&state, parts);
		normals(centroids + (size_t) i * dim, dim);
		for (uint32_t j = 0; j < dim; j++)
			centroids[(size_t) i * dim + j] = centroids[(size_t) i * dim + j] * 0.7f + centres[(size_t) part_of[i] * dim + j];
	}
	nearest = vc_nearest_build(memory, dim, centroids, n, part_of, centres, parts, NULL, NULL);
	normals(rows, (size_t) queries * dim);
	for (uint32_t q = 0; q < queries; q++)
	{
		const float *of = centroids + vc_random_below(&state, n) * dim;

		for (uint32_t j = 0; j < dim; j++)
			rows[(size_t) q * dim + j] = rows[(size_t) q * dim + j] * 0.7f + of[j];
	}
	vc_nearest_find(nearest, rows, queries, got);
	for (uint32_t q = 0; q < queries; q++)
	{
		const float *of = rows + (size_t) q * dim;
		uint32_t want = 0, alone;

		for (uint32_t i = 1; i < n; i++)
			if (vc_kernels->l2sq_f32(of, centroids + (size_t) i * dim, dim) <
				vc_kernels->l2sq_f32(of, centroids + (size_t) want * dim, dim))
				want = i;
		vc_nearest_find(nearest, of, 1, &alone);
		exact += got[q] == want;
		in_range += got[q] < n && alone == got[q];
		found += got[q] < n ? vc_kernels->l2sq_f32(of, centroids + (size_t) got[q] * dim, dim) : INFINITY;
		best += vc_kernels->l2sq_f32(of, centroids + (size_t) want * dim, dim);
	}
	ok(in_range == queries && exact >= queries * (parts <= VC_NEAREST_PARTS ? 0.99 : 0.9) && found <= best * 1.02,
	   "nearest of %u in %u parts %.1f apart, %u dimensions: %u of %u, %.4f times as far", n, parts, apart, dim, exact, queries,
	   found / best);
	for (uint32_t j = 0; j < dim; j++)
		row[j] = NAN;
	vc_nearest_find(nearest, row, 1, got);
	ok(got[0] < n, "a row of NaN gets some cluster");
	memcpy(row, centroids + (size_t) (n / 2) * dim, dim * sizeof(float));
	vc_nearest_find(nearest, row, 1, got);
	ok(got[0] == n / 2, "a row on a centroid gets it");
	free(centroids);
	free(centres);
	free(rows);
	free(got);
	free(part_of);
	free(memory);
}

int
main(void)
{
	static const uint32_t dims[] = {4, 30, 100, 128, 784};

	vc_kernels_select(vc_kernels_detect());
	for (int isa = 0; isa < VC_ISA_COUNT; isa++)
		if (isa <= (int) vc_kernels_detect() && vc_kernels_table((VcIsa) isa) != NULL)
			test_kernels(vc_kernels_table((VcIsa) isa));
	test_rotation();
	test_codes();
	for (size_t i = 0; i < sizeof(dims) / sizeof(dims[0]); i++)
		for (int metric = VC_RABITQ_L2; metric <= VC_RABITQ_IP; metric++)
			test_estimator(dims[i], vc_rotation_padded(dims[i]), i == 1 ? 2 : 1, (VcRabitqMetric) metric);
	test_estimator(128, 128, 2, VC_RABITQ_L2);
	test_estimator(128, 128, 4, VC_RABITQ_IP);
	test_estimator(128, 128, 8, VC_RABITQ_L2);
	test_estimator(100, 120, 1, VC_RABITQ_L2);
	test_estimator(100, 152, 1, VC_RABITQ_IP);
	for (int bits = 4; bits <= 8; bits += 2)
	{
		test_compact(4, bits, 0);
		test_compact(100, bits, 0);
		test_compact(784, bits, 0);
	}
	test_compact(8, 4, 8);
	test_compact(100, 4, 96);
	test_compact(384, 4, 384);
	test_compact(768, 6, 768);
	test_compact(784, 6, 768);
	test_compact(784, 6, 40);
	test_compact_range();
	test_sq8();
	test_kmeans();
	test_nearest(64, 1, 1, 1);
	test_nearest(32, 700, 12, 1);
	test_nearest(32, 700, 12, 0.3f);
	test_nearest(128, 1500, 40, 1);
	test_nearest(64, 1500, 40, 0.5f);
	test_nearest(100, 300, 200, 1);
	ok(vc_nearest_size(UINT32_MAX - 3, UINT32_MAX, UINT32_MAX) == SIZE_MAX, "sizes that overflow are told");
	printf("1..%d\n", tests);
	return failures > 0;
}
