/*
 * bench_layouts.c
 *		Which node layout should vc_hnsw have? Builds one graph over real vectors in memory and searches it through several
 *		layouts of the same nodes and links, counting page visits, recall and time. docs/hnsw-layout.md has its table.
 *
 * usage: bench_layouts BASE QUERIES TRUTH DIM l2|cosine
 *		raw row-major float32 files, and the exact neighbours of each query as int32; test/bench/data makes them
 *
 * Layouts: "ids" is the classic one, where a node has its vector and its neighbours' ids, and every neighbour costs a visit to its
 * own page. "B bits" has RaBitQ codes of B bits for all 32 neighbours in the node, so that only nodes that are expanded are visited.
 * "compact, B bits" has 1-bit codes of the neighbours, factors as bfloat16, no link distances, and in place of the vector its own
 * code of B bits: what was found is then ranked by exact distances, in the order of the codes' lower bounds, until ten are sure to
 * be the nearest. The last column counts those looked up.
 * "mean" is 1 bit where the mean of a node's estimates counts, less a part of its deviation, as in src/hnsw/search.c; elsewhere the lowest
 * counts. "1 bit in D" has codes of more dimensions than the vectors, and the mean.
 * The stop rule is the same: the best of the frontier is worse than the ef-th best exact distance.
 */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels/vc_kernels.h"
#include "quantize/compact.h"
#include "quantize/rabitq.h"
#include "quantize/random.h"
#include "quantize/rotation.h"

#define DEGREE 32
#define CHOSEN 16
#define PAGE 8192
#define K 10
#define OPTIMISM 0.2f /* as in src/hnsw/search.c */

typedef struct Ranked
{
	float	 distance;
	uint32_t id;
} Ranked;

typedef struct Heap
{
	Ranked	*item; /* from 1; a min-heap by sign * distance */
	uint32_t count;
	float	 sign;
} Heap;

static uint32_t	   rows, queries, dim, padded;
static float	  *base, *query;
static int32_t	  *truth;
static uint32_t	   truth_k;
static VcRotation *rotation;
static float	  *rotated; /* [rows][padded] */

/* The graph, apart from any layout. */
static uint32_t (*links)[DEGREE];
static float (*link_distance)[DEGREE];
static uint8_t *nlinks;

/* Codes of one width, as a layout holds them. */
static int		bits;
static uint8_t *blocks; /* [rows][vc_rabitq_block_size] */
static float (*add)[DEGREE], (*rescale)[DEGREE];

/* The nodes' own codes, for the compact layout; 0 bits for the others. */
#define EPSILON 4 /* as in src/hnsw/value.c */
static int				 own_bits;
static uint8_t			*own_codes;
static VcCompactFactors *own;
static float			*decoded; /* [rows][padded] */
static VcCompactQuery	 own_query;
static uint64_t			 fetches;

static uint32_t *seen_round, *visited_round, round_;
static float	*seen_best, *seen_mean, *seen_weight;
static bool		 by_mean;
static Heap		 frontier, nearest;
static Ranked	*found;
static uint32_t	 nfound;
static uint64_t	 visits;

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static void *
need(size_t bytes)
{
	void *p = calloc(1, bytes);

	if (p == NULL)
	{
		perror("bench_layouts");
		exit(1);
	}
	return p;
}

static void *
read_file(const char *name, size_t *bytes)
{
	FILE *f = fopen(name, "rb");
	void *data;

	if (f == NULL || fseek(f, 0, SEEK_END) != 0)
	{
		perror(name);
		exit(1);
	}
	*bytes = (size_t) ftell(f);
	rewind(f);
	data = need(*bytes + 1);
	if (fread(data, 1, *bytes, f) != *bytes)
	{
		perror(name);
		exit(1);
	}
	fclose(f);
	return data;
}

static void
push(Heap *h, float distance, uint32_t id)
{
	uint32_t i = ++h->count;

	while (i > 1 && h->sign * h->item[i / 2].distance > h->sign * distance)
	{
		h->item[i] = h->item[i / 2];
		i /= 2;
	}
	h->item[i] = (Ranked){distance, id};
}

static Ranked
pop(Heap *h)
{
	Ranked	 top = h->item[1];
	Ranked	 last = h->item[h->count--];
	uint32_t i = 1;

	for (uint32_t c = 2; c <= h->count; c = 2 * i)
	{
		if (c < h->count && h->sign * h->item[c + 1].distance < h->sign * h->item[c].distance)
			c++;
		if (h->sign * h->item[c].distance >= h->sign * last.distance)
			break;
		h->item[i] = h->item[c];
		i = c;
	}
	h->item[i] = last;
	return top;
}

static float
limit(uint32_t ef)
{
	return nearest.count == ef ? nearest.item[1].distance : INFINITY;
}

static void
note(float distance, uint32_t id, uint32_t ef)
{
	found[nfound++] = (Ranked){distance, id};
	if (nearest.count < ef)
		push(&nearest, distance, id);
	else if (distance < nearest.item[1].distance)
	{
		pop(&nearest);
		push(&nearest, distance, id);
	}
}

static float
exact(const float *q, uint32_t id)
{
	visits++;
	return vc_kernels->l2sq_f32(q, base + (size_t) id * dim, dim);
}

/* What a compact node says of its distance; *bound is what the distance is at least. */
static float
coded(uint32_t id, float *bound)
{
	double product = vc_compact_product(&own_query, own_codes + id * vc_compact_size(padded, own_bits), own[id].k);
	double distance = own[id].norm2 + own_query.norm2 - 2 * product;

	*bound = (float) (distance - 2 * vc_compact_error(&own_query, &own[id], product, EPSILON));
	return (float) distance;
}

static float
bfloat(float f)
{
	uint32_t u;

	memcpy(&u, &f, sizeof(u));
	u = (u + 0x7FFF + (u >> 16 & 1)) & 0xFFFF0000;
	memcpy(&f, &u, sizeof(u));
	return f;
}

static void
start(void)
{
	round_++;
	frontier.count = nearest.count = nfound = 0;
}

/* What counts as the distance of a node that was seen, after one more estimate, of this rescale and from a node so far away. */
static float
mean_estimate(uint32_t link, float estimate, float rescaled, float distance)
{
	float variance = rescaled * rescaled * distance;
	float weight = 1 / (variance > 1e-30f ? variance : 1e-30f);

	if (seen_weight[link] == 0)
		seen_mean[link] = estimate;
	seen_weight[link] += weight;
	seen_mean[link] += (estimate - seen_mean[link]) * (weight / seen_weight[link]);
	return seen_mean[link] - OPTIMISM / sqrtf(seen_weight[link]);
}

/* Search through codes. `n` nodes exist, the entry is 0. */
static void
search_codes(const float *q, const VcRabitqQuery *table, uint32_t ef)
{
	size_t stride = vc_rabitq_block_size(padded, bits);

	start();
	push(&frontier, -INFINITY, 0);
	while (frontier.count > 0 && frontier.item[1].distance <= limit(ef))
	{
		Ranked	 first = pop(&frontier);
		uint32_t id = first.id;
		float	 distance, estimate[DEGREE];

		if (visited_round[id] == round_)
			continue;
		if (by_mean && seen_round[id] == round_ && seen_best[id] > first.distance)
		{
			push(&frontier, seen_best[id], id);
			continue;
		}
		visited_round[id] = round_;
		if (own_bits > 0)
		{
			float bound;

			visits++;
			distance = coded(id, &bound);
			note(distance, id, ef);
			/* The codes' centre is the decoded vector, which is off by an error orthogonal to the vector. */
			distance += own[id].err * own[id].err * (float) (padded - 1);
		}
		else
		{
			distance = exact(q, id);
			note(distance, id, ef);
		}
		vc_rabitq_estimate32(table, blocks + id * stride, bits, add[id], rescale[id], distance, estimate);
		for (int i = 0; i < nlinks[id]; i++)
		{
			uint32_t link = links[id][i];

			if (!(estimate[i] < limit(ef)) || visited_round[link] == round_)
				continue;
			if (seen_round[link] != round_)
			{
				seen_round[link] = round_;
				seen_best[link] = INFINITY;
				seen_weight[link] = 0;
			}
			if (by_mean)
				estimate[i] = mean_estimate(link, estimate[i], rescale[id][i], distance);
			if (!(estimate[i] < seen_best[link]))
			{
				if (by_mean)
					seen_best[link] = estimate[i];
				continue;
			}
			seen_best[link] = estimate[i];
			push(&frontier, estimate[i], link);
		}
	}
}

/* Search with the exact distance of every neighbour. */
static void
search_ids(const float *q, uint32_t ef)
{
	float distance = exact(q, 0);

	start();
	seen_round[0] = round_;
	note(distance, 0, ef);
	push(&frontier, distance, 0);
	while (frontier.count > 0 && frontier.item[1].distance <= limit(ef))
	{
		uint32_t id = pop(&frontier).id;

		for (int i = 0; i < nlinks[id]; i++)
		{
			uint32_t link = links[id][i];

			if (seen_round[link] == round_)
				continue;
			seen_round[link] = round_;
			distance = exact(q, link);
			if (distance < limit(ef))
			{
				note(distance, link, ef);
				push(&frontier, distance, link);
			}
		}
	}
}

static int
compare(const void *a, const void *b)
{
	float x = ((const Ranked *) a)->distance, y = ((const Ranked *) b)->distance;

	return x < y ? -1 : x > y;
}

/* Set slot `i` of a node's codes to a neighbour. */
static void
encode(uint32_t id, int i, uint32_t link)
{
	static float	residual[65536];
	static uint8_t	code[65536];
	VcRabitqFactors f;
	const float	   *from = own_bits > 0 ? decoded : rotated;
	const float	   *centre = from + (size_t) id * padded, *other = from + (size_t) link * padded;

	for (uint32_t j = 0; j < padded; j++)
		residual[j] = other[j] - centre[j];
	vc_rabitq_encode(VC_RABITQ_L2, residual, centre, padded, bits, code, &f);
	vc_rabitq_pack(blocks + id * vc_rabitq_block_size(padded, bits), padded, bits, i, code);
	add[id][i] = own_bits > 0 ? bfloat(f.add) : f.add;
	rescale[id][i] = own_bits > 0 ? bfloat(f.rescale) : f.rescale;
}

/* Rank what was found by exact distances until the first K are sure. */
static void
rerank(const float *q)
{
	uint64_t before = visits;
	uint32_t fetched = 0;

	for (uint32_t i = 0; i < nfound; i++)
		(void) coded(found[i].id, &found[i].distance);
	qsort(found, nfound, sizeof(Ranked), compare);
	nearest.count = 0;
	while (fetched < nfound && (nearest.count < K || found[fetched].distance < nearest.item[1].distance))
	{
		Ranked f = found[fetched++];

		f.distance = exact(q, f.id);
		if (nearest.count == K && f.distance >= nearest.item[1].distance)
			continue;
		if (nearest.count == K)
			pop(&nearest);
		push(&nearest, f.distance, f.id);
	}
	fetches += fetched;
	visits = before;
	nfound = nearest.count;
	memcpy(found, nearest.item + 1, sizeof(Ranked) * nfound);
}

static void
link_back(uint32_t id, uint32_t newcomer, float distance, const VcRabitqQuery *table, bool force)
{
	float between[DEGREE];
	int	  at = -1, farthest = 0;
	bool  dominated = false;

	if (nlinks[id] < DEGREE)
		at = nlinks[id]++;
	else
	{
		vc_rabitq_estimate32(table, blocks + id * vc_rabitq_block_size(padded, bits), bits, add[id], rescale[id], distance,
							 between);
		for (int i = 0; i < DEGREE; i++)
		{
			float d = link_distance[id][i];

			if (d > link_distance[id][farthest])
				farthest = i;
			dominated |= d < distance && between[i] < distance;
			if (d > distance && between[i] < d && (at < 0 || d > link_distance[id][at]))
				at = i;
		}
		if (dominated && !force)
			return;
		if (at < 0)
			at = farthest;
	}
	links[id][at] = newcomer;
	link_distance[id][at] = distance;
	encode(id, at, newcomer);
}

/* Insert rows one after another, as vc_hnsw does, in one level. */
static void
build(uint32_t ef)
{
	uint8_t *lut = need(vc_rabitq_lut_size(padded));

	for (uint32_t id = 1; id < rows; id++)
	{
		VcRabitqQuery table;
		uint32_t	  chosen[CHOSEN], n = 0, best;

		vc_rabitq_query_init(&table, rotated + (size_t) id * padded, padded, lut);
		search_codes(base + (size_t) id * dim, &table, ef);
		qsort(found, nfound, sizeof(Ranked), compare);
		best = found[0].id;
		for (uint32_t i = 0; i < nfound && i < 2 * ef && n < CHOSEN; i++)
		{
			bool good = true;

			for (uint32_t j = 0; j < n && good; j++)
				good = vc_kernels->l2sq_f32(base + (size_t) found[i].id * dim, base + (size_t) found[chosen[j]].id * dim,
											dim) >= found[i].distance;
			if (good)
				chosen[n++] = i;
		}
		for (uint32_t i = 0; i < n; i++)
		{
			Ranked f = found[chosen[i]];

			links[id][i] = f.id;
			link_distance[id][i] = f.distance;
			encode(id, i, f.id);
		}
		nlinks[id] = n;
		for (uint32_t i = 0; i < n; i++)
			link_back(found[chosen[i]].id, id, found[chosen[i]].distance, &table, found[chosen[i]].id == best);
	}
	free(lut);
}

static void
report(const char *name, size_t bytes, bool codes)
{
	static const uint32_t sweep[] = {10, 16, 24, 40, 64, 100, 160, 250, 400, 640};
	uint8_t				 *lut = need(vc_rabitq_lut_size(padded));
	float				 *q_rotated = need(sizeof(float) * padded);
	int8_t				 *memory = need(vc_compact_query_size(padded));

	for (size_t s = 0; s < sizeof(sweep) / sizeof(sweep[0]); s++)
	{
		uint32_t hits = 0;
		double	 started = now();

		visits = fetches = 0;
		for (uint32_t i = 0; i < queries; i++)
		{
			const float	 *q = query + (size_t) i * dim;
			VcRabitqQuery table;

			if (codes)
			{
				vc_rotation_apply(rotation, q, q_rotated);
				vc_rabitq_query_init(&table, q_rotated, padded, lut);
				if (own_bits > 0)
					vc_compact_query_init(&own_query, q_rotated, padded, own_bits, memory);
				search_codes(q, &table, sweep[s]);
				if (own_bits > 0)
					rerank(q);
			}
			else
				search_ids(q, sweep[s]);
			qsort(found, nfound, sizeof(Ranked), compare);
			for (uint32_t j = 0; j < K && j < nfound; j++)
				for (uint32_t k = 0; k < K; k++)
					hits += truth[(size_t) i * truth_k + k] == (int32_t) found[j].id;
		}
		printf("| %s | %zu | %.2f | %u | %.4f | %.0f | %.1f | %.0f | %.1f |\n", name, bytes, (double) PAGE / bytes, sweep[s],
			   hits / (double) (K * queries), visits / (double) queries, (now() - started) / queries * 1e6,
			   (now() - started) / visits * 1e9, fetches / (double) queries);
		if (hits >= 0.999 * K * queries)
			break;
	}
	free(lut);
	free(q_rotated);
	free(memory);
}

static void
normalise(float *v, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
	{
		float scale = 1 / sqrtf(vc_kernels->norm2_f32(v + (size_t) i * dim, dim));

		for (uint32_t j = 0; j < dim; j++)
			v[(size_t) i * dim + j] *= scale;
	}
}

/* Rotate all rows into so many dimensions. */
static void
rotate(uint32_t into)
{
	free(rotation);
	free(rotated);
	padded = into;
	rotation = need(vc_rotation_size(padded));
	vc_rotation_init(rotation, dim, padded, 1);
	rotated = need(sizeof(float) * padded * (size_t) rows);
	for (uint32_t i = 0; i < rows; i++)
		vc_rotation_apply(rotation, base + (size_t) i * dim, rotated + (size_t) i * padded);
}

/* Report the layout of nodes with codes of `bits` bits in `padded` dimensions. */
static void
report_codes(const char *name)
{
	size_t block = vc_rabitq_block_size(padded, bits);

	free(blocks);
	blocks = need(block * rows);
	for (uint32_t i = 0; i < rows; i++)
		for (int j = 0; j < nlinks[i]; j++)
			encode(i, j, links[i][j]);
	report(name, sizeof(float) * dim + 12 * DEGREE + block, true);
}

int
main(int argc, char **argv)
{
	size_t bytes;
	double started;

	if (argc < 6)
	{
		fprintf(stderr, "usage: bench_layouts BASE QUERIES TRUTH DIM l2|cosine\n");
		return 2;
	}
	dim = atoi(argv[4]);
	base = read_file(argv[1], &bytes);
	rows = bytes / sizeof(float) / dim;
	query = read_file(argv[2], &bytes);
	queries = bytes / sizeof(float) / dim;
	truth = read_file(argv[3], &bytes);
	truth_k = bytes / sizeof(int32_t) / queries;
	if (strcmp(argv[5], "cosine") == 0)
	{
		normalise(base, rows);
		normalise(query, queries);
	}

	rotate(vc_rotation_padded(dim));
	links = need(sizeof(*links) * rows);
	link_distance = need(sizeof(*link_distance) * rows);
	nlinks = need(rows);
	add = need(sizeof(*add) * rows);
	rescale = need(sizeof(*rescale) * rows);
	seen_round = need(sizeof(uint32_t) * rows);
	visited_round = need(sizeof(uint32_t) * rows);
	seen_best = need(sizeof(float) * rows);
	seen_mean = need(sizeof(float) * rows);
	seen_weight = need(sizeof(float) * rows);
	found = need(sizeof(Ranked) * rows);
	frontier.item = need(sizeof(Ranked) * ((size_t) rows * DEGREE + 2));
	frontier.sign = 1;
	nearest.item = need(sizeof(Ranked) * 4096);
	nearest.sign = -1;

	setvbuf(stdout, NULL, _IOLBF, 0);
	started = now();
	bits = 1;
	blocks = need(vc_rabitq_block_size(padded, bits) * rows);
	build(32);
	printf("%u rows of %u dimensions, graph built in %.1f s, instruction set %s\n\n", rows, dim, now() - started,
		   vc_kernels->name);
	printf("| layout | bytes a node | nodes a page | ef | recall@10 | visits | us a query | ns a visit | looked up |\n");
	printf("|---|---|---|---|---|---|---|---|---|\n");
	report("ids", sizeof(float) * dim + 4 * DEGREE, false);
	for (bits = 1; bits <= 8; bits *= 2)
	{
		char name[16];

		snprintf(name, sizeof(name), "%d bit%s", bits, bits > 1 ? "s" : "");
		report_codes(name);
	}
	bits = 1;
	by_mean = true;
	report_codes("1 bit, mean");
	for (uint32_t share = 5; share >= 2; share -= 3)
	{
		char name[32];

		rotate(vc_rotation_padded(dim + dim / share));
		snprintf(name, sizeof(name), "1 bit in %u, mean", padded);
		report_codes(name);
	}
	by_mean = false;
	rotate(vc_rotation_padded(dim));
	free(blocks);
	blocks = need(vc_rabitq_block_size(padded, bits) * rows);
	own_codes = need(vc_compact_size(padded, 8) * rows);
	own = need(sizeof(*own) * rows);
	decoded = need(sizeof(float) * padded * (size_t) rows);
	for (own_bits = 4; own_bits <= 8; own_bits += 2)
	{
		char	 name[32];
		uint8_t *scratch = need(padded);

		for (uint32_t i = 0; i < rows; i++)
		{
			uint8_t *code = own_codes + i * vc_compact_size(padded, own_bits);

			vc_compact_encode(rotated + (size_t) i * padded, padded, own_bits, scratch, code, &own[i]);
			vc_compact_decode(code, own[i].k, padded, own_bits, (int8_t *) scratch, decoded + (size_t) i * padded);
		}
		for (uint32_t i = 0; i < rows; i++)
			for (int j = 0; j < nlinks[i]; j++)
				encode(i, j, links[i][j]);
		snprintf(name, sizeof(name), "compact, %d bits", own_bits);
		report(name, 32 + 8 * DEGREE + vc_rabitq_block_size(padded, bits) + vc_compact_size(padded, own_bits), true);
		free(scratch);
	}
	return 0;
}
