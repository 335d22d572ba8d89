/*
 * vcdata.c
 *		Makes the benchmark's data sets: base vectors, query vectors and exact nearest neighbours.
 *
 *		vcdata idx OUT.f32 LIMIT < images.idx3-ubyte		Fashion-MNIST's image file as floats, first LIMIT images
 *		vcdata wink IN.json BASE.f32 QUERY.f32			word vectors, 1,000 words held out as queries
 *		vcdata clustered ROWS DIM SEED BASE.f32 QUERY.f32	generated vectors, 1,000 queries from the same clusters
 *		vcdata truth BASE.f32 QUERY.f32 DIM METRIC GT.i32 [LOW HIGH]	exact neighbours; METRIC is l2, ip, cosine or l1;
 *															only among rows whose filter value is in LOW..HIGH-1
 *
 * Files are raw: row-major float32 (.f32) and int32 (.i32) in host byte order without a header; the row count follows
 * from the size. GT.i32 holds TRUTH_K row numbers for each query, nearest first, ties in row order, -1 where there are
 * no more rows.
 *
 * The generator is a mixture, shaped after what is known of text and image embeddings: points lie near a subspace of
 * few dimensions, in clusters of unequal size and width, with a little noise in every dimension. A latent point is
 * z = centre + width * normal in min(DIM/4, 48) dimensions; the vector is A z / sqrt(latent) + 0.05 * normal, A a fixed
 * normal matrix. Clusters: one for 500 rows, size proportional to 1 / sqrt(rank), width log-normal around 0.5. All of
 * it comes from SEED through xoshiro256**, so two machines make the same files up to the last bit of sin, cos and log.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TRUTH_SLACK 64 /* further candidates kept by the float pass, so that the double pass can put right its rounding */
#define N_QUERIES 1000

static FILE *
xopen(const char *path)
{
	FILE *f = fopen(path, "wb");

	if (!f)
		die("could not create %s: %s", path, strerror(errno));
	return f;
}

static void
xwrite(const void *p, size_t size, FILE *f, const char *path)
{
	if (fwrite(p, 1, size, f) != size)
		die("could not write %s: %s", path, strerror(errno));
}

static void
xclose(FILE *f, const char *path)
{
	if (fclose(f) != 0)
		die("could not write %s: %s", path, strerror(errno));
}

/* ---- Fashion-MNIST: the IDX format, big-endian header then one byte a pixel ---- */

static uint32_t
read_be32(FILE *f)
{
	unsigned char b[4];

	if (fread(b, 1, 4, f) != 4)
		die("the image file ends inside its header");
	return (uint32_t) b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3];
}

static void
make_idx(const char *out, long limit)
{
	uint32_t magic = read_be32(stdin);
	uint32_t rows = read_be32(stdin);
	uint32_t height = read_be32(stdin);
	uint32_t width = read_be32(stdin);
	FILE *f;
	size_t dim;

	if (magic != 0x00000803 || height == 0 || width == 0 || height > 4096 || width > 4096)
		die("standard input is not an IDX file of images (unsigned byte, three dimensions)");
	dim = (size_t) height * width;
	f = xopen(out);
	{
		unsigned char *pixels = xmalloc(dim);
		float *v = xmalloc(dim * sizeof(float));

		for (uint32_t i = 0; i < rows && i < limit; i++)
		{
			if (fread(pixels, 1, dim, stdin) != dim)
				die("the image file ends after %u of %u images", i, rows);
			for (size_t j = 0; j < dim; j++)
				v[j] = pixels[j];
			xwrite(v, dim * sizeof(float), f, out);
		}
		/* To its end, for the sake of whoever writes the other images into a pipe. */
		while (fread(pixels, 1, dim, stdin) > 0)
			;
		free(pixels);
		free(v);
	}
	xclose(f, out);
}

/* ---- wink: {"size":N,"dimensions":D,...,"vectors":{"word":[D floats, norm, index],...},"unkVector":...} ---- */

/* Skips a JSON string that starts at p (its opening quote); returns what follows the closing quote. */
static const char *
skip_string(const char *p, const char *end)
{
	for (p++; p < end && *p != '"'; p++)
		if (*p == '\\')
			p++;
	if (p >= end)
		die("the JSON file ends inside a string");
	return p + 1;
}

static const char *
find_key(const char *p, const char *end, const char *key)
{
	const char *hit = memmem(p, end - p, key, strlen(key));

	if (!hit)
		die("the JSON file has no %s", key);
	return hit + strlen(key);
}

/*
 * Every 341st word is a query, so they come from all frequencies. Each array ends with the vector's norm and the
 * word's index, which are not part of the vector.
 */
static void
make_wink(const char *in, const char *base_path, const char *query_path)
{
	size_t size;
	const char *text = map_file(in, &size);
	const char *end = text + size;
	long rows = strtol(find_key(text, end, "\"size\":"), NULL, 10);
	long dim = strtol(find_key(text, end, "\"dimensions\":"), NULL, 10);
	const char *p = find_key(text, end, "\"vectors\":{");
	FILE *base = xopen(base_path);
	FILE *query = xopen(query_path);
	long step = rows / (N_QUERIES + 1);
	long queries = 0;
	float *v;

	if (rows <= N_QUERIES || dim < 1 || dim > 16000)
		die("%s: unexpected size %ld or dimensions %ld", in, rows, dim);
	v = xmalloc(dim * sizeof(float));
	for (long i = 0; i < rows; i++)
	{
		if (*p == ',')
			p++;
		if (p >= end || *p != '"')
			die("%s: word %ld of %ld is missing", in, i, rows);
		p = skip_string(p, end);
		if (p + 2 >= end || p[0] != ':' || p[1] != '[')
			die("%s: word %ld has no array", in, i);
		p += 2;
		for (long j = 0; j < dim; j++)
		{
			char *next;

			v[j] = strtof(p, &next);
			if (next == p || *next != ',')
				die("%s: word %ld has fewer than %ld numbers", in, i, dim);
			p = next + 1;
		}
		p = memchr(p, ']', end - p);
		if (!p)
			die("%s: word %ld has no end", in, i);
		p++;
		if (i % step == step / 2 && queries < N_QUERIES)
		{
			xwrite(v, dim * sizeof(float), query, query_path);
			queries++;
		}
		else
			xwrite(v, dim * sizeof(float), base, base_path);
	}
	xclose(base, base_path);
	xclose(query, query_path);
}

/* ---- generated clusters ---- */

typedef struct Rng
{
	uint64_t s[4];
	double spare;
	int has_spare;
} Rng;

static uint64_t
rotl(uint64_t x, int k)
{
	return x << k | x >> (64 - k);
}

static uint64_t
rng_next(Rng *r)
{
	uint64_t result = rotl(r->s[1] * 5, 7) * 9;
	uint64_t t = r->s[1] << 17;

	r->s[2] ^= r->s[0];
	r->s[3] ^= r->s[1];
	r->s[1] ^= r->s[2];
	r->s[0] ^= r->s[3];
	r->s[2] ^= t;
	r->s[3] = rotl(r->s[3], 45);
	return result;
}

static void
rng_seed(Rng *r, uint64_t seed)
{
	for (int i = 0; i < 4; i++)
	{
		uint64_t z = seed += 0x9e3779b97f4a7c15u; /* splitmix64 */

		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
		z = (z ^ z >> 27) * 0x94d049bb133111ebu;
		r->s[i] = z ^ z >> 31;
	}
	r->has_spare = 0;
}

static double
rng_uniform(Rng *r)
{
	return ((rng_next(r) >> 11) + 0.5) * 0x1p-53; /* strictly between 0 and 1 */
}

static double
rng_normal(Rng *r)
{
	double radius, angle;

	if (r->has_spare)
	{
		r->has_spare = 0;
		return r->spare;
	}
	radius = sqrt(-2 * log(rng_uniform(r)));
	angle = 2 * M_PI * rng_uniform(r);
	r->spare = radius * sin(angle);
	r->has_spare = 1;
	return radius * cos(angle);
}

typedef struct Mixture
{
	int dim;
	int latent;
	long clusters;
	float *map;		/* latent x dim */
	float *centre;	/* clusters x latent */
	float *width;	/* clusters */
	double *upto;	/* clusters: cumulative share of the rows */
} Mixture;

static void
write_points(const Mixture *m, Rng *r, long rows, const char *path)
{
	FILE *f = xopen(path);
	float *v = xmalloc(m->dim * sizeof(float));
	float scale = 1 / sqrtf(m->latent);

	for (long i = 0; i < rows; i++)
	{
		double u = rng_uniform(r);
		long lo = 0;
		long hi = m->clusters - 1;

		while (lo < hi)
		{
			long mid = (lo + hi) / 2;

			if (m->upto[mid] < u)
				lo = mid + 1;
			else
				hi = mid;
		}
		for (int j = 0; j < m->dim; j++)
			v[j] = 0.05f * (float) rng_normal(r);
		for (int l = 0; l < m->latent; l++)
		{
			float z = (m->centre[lo * m->latent + l] + m->width[lo] * (float) rng_normal(r)) * scale;
			const float *row = m->map + (size_t) l * m->dim;

			for (int j = 0; j < m->dim; j++)
				v[j] += z * row[j];
		}
		xwrite(v, m->dim * sizeof(float), f, path);
	}
	free(v);
	xclose(f, path);
}

static void
make_clustered(long rows, int dim, long seed, const char *base, const char *query)
{
	Mixture m = {.dim = dim, .latent = dim / 4 > 48 ? 48 : dim / 4 < 1 ? 1 : dim / 4, .clusters = rows / 500 + 1};
	double total = 0;
	Rng r;

	rng_seed(&r, seed);
	m.map = xmalloc(sizeof(float) * m.latent * m.dim);
	m.centre = xmalloc(sizeof(float) * m.clusters * m.latent);
	m.width = xmalloc(sizeof(float) * m.clusters);
	m.upto = xmalloc(sizeof(double) * m.clusters);
	for (long i = 0; i < (long) m.latent * m.dim; i++)
		m.map[i] = rng_normal(&r);
	for (long i = 0; i < m.clusters * m.latent; i++)
		m.centre[i] = rng_normal(&r);
	for (long i = 0; i < m.clusters; i++)
	{
		m.width[i] = 0.5 * exp(0.4 * rng_normal(&r));
		m.upto[i] = total += 1 / sqrt(i + 1.0);
	}
	for (long i = 0; i < m.clusters; i++)
		m.upto[i] /= total;
	write_points(&m, &r, rows, base);
	write_points(&m, &r, N_QUERIES, query);
	free(m.map);
	free(m.centre);
	free(m.width);
	free(m.upto);
}

/* ---- exact neighbours; no code is shared with the extension that they are to judge ---- */

typedef struct Near
{
	double distance;
	int32_t row;
} Near;

typedef struct Truth
{
	Rows base;
	Rows query;
	Metric metric;
	float *inv_norm; /* cosine: 1 / |base row| */
	int low;		 /* filter values that count: low..high-1 */
	int high;
	int32_t *out; /* queries x TRUTH_K */
	long next;	  /* first query no thread has taken */
} Truth;

#define QUERIES_A_PASS 8 /* queries compared while a base row is in cache */
#define KEEP (TRUTH_K + TRUTH_SLACK)

/* Sixteen independent sums, so that the compiler may use vector registers without being allowed to reorder sums. */
#define LANES 16

#ifdef __x86_64__
__attribute__((target_clones("default", "avx2", "avx512f")))
#endif
static float
fast_distance(const float *a, const float *b, int n, Metric metric)
{
	float lane[LANES] = {0};
	float sum = 0;
	int i = 0;

	if (metric == METRIC_L2)
	{
		for (; i + LANES <= n; i += LANES)
			for (int l = 0; l < LANES; l++)
				lane[l] += (a[i + l] - b[i + l]) * (a[i + l] - b[i + l]);
		for (; i < n; i++)
			sum += (a[i] - b[i]) * (a[i] - b[i]);
	}
	else if (metric == METRIC_L1)
	{
		for (; i + LANES <= n; i += LANES)
			for (int l = 0; l < LANES; l++)
				lane[l] += fabsf(a[i + l] - b[i + l]);
		for (; i < n; i++)
			sum += fabsf(a[i] - b[i]);
	}
	else
	{
		for (; i + LANES <= n; i += LANES)
			for (int l = 0; l < LANES; l++)
				lane[l] -= a[i + l] * b[i + l];
		for (; i < n; i++)
			sum -= a[i] * b[i];
	}
	for (int l = 0; l < LANES; l++)
		sum += lane[l];
	return sum;
}

static int
cmp_near(const void *a, const void *b)
{
	const Near *x = a;
	const Near *y = b;

	if (x->distance != y->distance)
		return x->distance < y->distance ? -1 : 1;
	return (x->row > y->row) - (x->row < y->row);
}

/* Max-heap of the KEEP nearest so far: replaces the root and restores the order. */
static void
heap_replace(Near *heap, int n, Near item)
{
	int i = 0;

	for (;;)
	{
		int child = 2 * i + 1;

		if (child >= n)
			break;
		if (child + 1 < n && heap[child + 1].distance > heap[child].distance)
			child++;
		if (heap[child].distance <= item.distance)
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = item;
}

static void *
truth_worker(void *arg)
{
	Truth *t = arg;
	Near *heap = xmalloc(sizeof(Near) * QUERIES_A_PASS * KEEP);
	long first;

	while ((first = __atomic_fetch_add(&t->next, QUERIES_A_PASS, __ATOMIC_RELAXED)) < t->query.count)
	{
		int batch = t->query.count - first < QUERIES_A_PASS ? t->query.count - first : QUERIES_A_PASS;

		for (int i = 0; i < batch * KEEP; i++)
			heap[i] = (Near){INFINITY, -1};
		for (long row = 0; row < t->base.count; row++)
		{
			const float *v = row_at(&t->base, row);
			int f = filter_value(row);

			if (f < t->low || f >= t->high)
				continue;
			for (int q = 0; q < batch; q++)
			{
				double d = fast_distance(v, row_at(&t->query, first + q), t->base.dim, t->metric);

				if (t->inv_norm)
					d *= t->inv_norm[row];
				if (d < heap[q * KEEP].distance)
					heap_replace(heap + q * KEEP, KEEP, (Near){d, row});
			}
		}
		for (int q = 0; q < batch; q++)
		{
			Near *near = heap + q * KEEP;

			for (int i = 0; i < KEEP; i++)
				if (near[i].row >= 0)
					near[i].distance = exact_distance(row_at(&t->base, near[i].row), row_at(&t->query, first + q),
													  t->base.dim, t->metric);
			qsort(near, KEEP, sizeof(Near), cmp_near);
			for (int i = 0; i < TRUTH_K; i++)
				t->out[(first + q) * TRUTH_K + i] = near[i].row;
		}
	}
	free(heap);
	return NULL;
}

static void
make_truth(Truth *t, const char *path)
{
	pthread_t thread[64];
	long threads = sysconf(_SC_NPROCESSORS_ONLN);
	size_t size = sizeof(int32_t) * t->query.count * TRUTH_K;
	FILE *f;

	threads = threads < 1 ? 1 : threads > 64 ? 64 : threads;
	t->out = xmalloc(size);
	if (t->metric == METRIC_COSINE)
	{
		t->inv_norm = xmalloc(sizeof(float) * t->base.count);
		for (long i = 0; i < t->base.count; i++)
		{
			const float *v = row_at(&t->base, i);
			double norm = sqrt(-exact_distance(v, v, t->base.dim, METRIC_IP));

			t->inv_norm[i] = norm > 0 ? 1 / norm : NAN; /* NaN never enters the heap */
		}
	}
	for (int i = 0; i < threads; i++)
		if (pthread_create(&thread[i], NULL, truth_worker, t) != 0)
			die("could not start a thread");
	for (int i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	f = xopen(path);
	xwrite(t->out, size, f, path);
	xclose(f, path);
	free(t->out);
	free(t->inv_norm);
}

int
main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	if (strcmp(verb, "idx") == 0 && argc == 4)
		make_idx(argv[2], number(argv[3], 1, INT32_MAX, "LIMIT"));
	else if (strcmp(verb, "wink") == 0 && argc == 5)
		make_wink(argv[2], argv[3], argv[4]);
	else if (strcmp(verb, "clustered") == 0 && argc == 7)
		make_clustered(number(argv[2], TRUTH_K, INT32_MAX, "ROWS"), number(argv[3], 1, 16000, "DIM"),
					   number(argv[4], 0, INT32_MAX, "SEED"), argv[5], argv[6]);
	else if (strcmp(verb, "truth") == 0 && (argc == 7 || argc == 9))
	{
		int dim = number(argv[4], 1, 16000, "DIM");
		Truth t = {.base = map_rows(argv[2], dim), .query = map_rows(argv[3], dim), .metric = parse_metric(argv[5])};

		t.low = argc == 9 ? number(argv[7], 0, 1000, "LOW") : 0;
		t.high = argc == 9 ? number(argv[8], 0, 1000, "HIGH") : 1000;
		make_truth(&t, argv[6]);
	}
	else
	{
		fputs("usage: vcdata idx OUT.f32 LIMIT < images\n"
			  "       vcdata wink IN.json BASE.f32 QUERY.f32\n"
			  "       vcdata clustered ROWS DIM SEED BASE.f32 QUERY.f32\n"
			  "       vcdata truth BASE.f32 QUERY.f32 DIM l2|ip|cosine|l1 GT.i32 [LOW HIGH]\n",
			  stderr);
		return 2;
	}
	return 0;
}
