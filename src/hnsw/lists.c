/*
 * lists.c
 *		See lists.h. Writes no WAL; the only locks are the lists' own spinlocks.
 */
#include "hnsw/lists.h"

#include <math.h>

#include "kernels/prefetch.h"
#include "kernels/vc_kernels.h"
#include "kernels/vc_quant.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "quantize/kmeans.h"
#include "storage/spin.h"
#include "utils/memutils.h"

/* A graph of fewer rows is searched as fast. */
#define MIN_ROWS 5000

#define ROWS_PER_LIST 384
#define SAMPLE_PER_LIST 32
#define KMEANS_ROUNDS 4

/* Rows enough for an origin. */
#define MIN_SAMPLE 256

/* Lists scanned for one value: more when a build starts, so that so many codes are. */
#define PROBES 12
#define MIN_SCANNED 2048

/* Putting more than so many in order takes longer than it saves: there are tens of thousands at first where the table is large. */
#define MOST_IN_ORDER 64

/* So many times what is wanted is kept before all but the best are thrown away. */
#define ROOM 4

#define NO_BLOCK UINT32_MAX

typedef struct CodeList
{
	slock_t mutex; /* of whoever appends */
	uint32 first;  /* block; valid where there is one */
	uint32 last;
	pg_atomic_uint32 count; /* of codes that may be read */
} CodeList;

/* A block starts with this, followed by the codes. */
typedef struct CodeBlock
{
	uint32 next;
	VcHnswId id[VC_RABITQ_BLOCK];
	float add[VC_RABITQ_BLOCK];
	float rescale[VC_RABITQ_BLOCK];
	uint8 codes[FLEXIBLE_ARRAY_MEMBER];
} CodeBlock;

/* Followed by the lists, the centroids and the blocks. */
struct VcHnswListsShared
{
	uint32 lists;
	uint32 blocks;
	uint32 block_bytes;
	pg_atomic_uint32 used; /* blocks handed out */
	pg_atomic_uint32 full;
	Size centroids_at;
	Size blocks_at;
};

struct VcHnswLists
{
	VcHnswListsShared *shared;
	const VcHnswGraph *graph;
	CodeList *list;
	const float *centroids;
	char *blocks;

	uint32 most;
	VcHnswOrdered *best; /* [ROOM * most]: estimates and nodes, ordering as the estimate does */
	uint32 nbest;
	VcHnswId *ids;                 /* [most] */
	VcHnswOrdered *nearest; /* [lists]: distances and lists */
	uint32		   probes;	/* so many lists are scanned */
	uint32 home;                   /* the list nearest to the last query */
	float *residual;               /* [padded] */
	uint8 *code;                   /* [padded] */
};

static Size
block_bytes(const VcHnswShape *shape)
{
	return CACHELINEALIGN(offsetof(CodeBlock, codes) + shape->block_bytes);
}

/* ---- the plan ---- */

static void
kmeans_tick(void *arg, double done)
{
	CHECK_FOR_INTERRUPTS();
	(void)arg;
	(void)done;
}

void
vc_hnsw_lists_plan(VcHnswListsPlan *plan, VcHnswGraph *graph, Relation heap, IndexInfo *index_info,
				   Size memory_limit)
{
	const VcHnswShape *shape = &graph->shape;
	Size row_bytes = sizeof(float) * shape->padded;
	VcSample sample;
	VcKmeans params = {.dim = shape->padded,
					   .iterations = KMEANS_ROUNDS,
					   .refinements = 1,
					   .spherical = graph->metric->kind == VC_METRIC_COSINE,
					   .seed = shape->seed,
					   .tick = kmeans_tick};
	MemoryContext context;
	MemoryContext old;
	Size workspace;

	memset(plan, 0, sizeof(*plan));
	if (!shape->coded)
		return;
	context = AllocSetContextCreate(CurrentMemoryContext, "vc_hnsw lists", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	vc_sample_begin(&sample, heap, graph->store.index, index_info, graph->metric, graph->rotation,
					Max(memory_limit / 4 / row_bytes, 1), shape->seed);
	params.clusters = (uint32)Min(sample.table_rows / ROWS_PER_LIST, UINT32_MAX / SAMPLE_PER_LIST);
	vc_sample_fill(&sample, Max((uint64)params.clusters * SAMPLE_PER_LIST, MIN_SAMPLE), NULL);
	params.clusters = Min(params.clusters, sample.count / (SAMPLE_PER_LIST / 4));
	workspace = vc_kmeans_workspace(&params, sample.count);
	/* Half a block of each list is empty at the end, and the estimate of the rows is one. */
	plan->blocks = (uint32)Min(sample.table_rows * 1.1 / VC_RABITQ_BLOCK + params.clusters, UINT32_MAX);
	if (sample.table_rows >= MIN_ROWS && params.clusters >= 2 && workspace <= memory_limit / 2 &&
		(Size)plan->blocks * block_bytes(shape) <= memory_limit)
	{
		plan->centroids = MemoryContextAllocHuge(old, row_bytes * params.clusters);
		plan->lists =
			vc_kmeans(&params, sample.rows, sample.count, plan->centroids, palloc_extended(workspace, MCXT_ALLOC_HUGE));
	}
	MemoryContextSwitchTo(old);
	vc_hnsw_origin_choose(graph, sample.rows, sample.count);
	for (Size i = 0; graph->origin && i < (Size) plan->lists * shape->padded; i++)
		plan->centroids[i] -= graph->origin[i % shape->padded];
	MemoryContextDelete(context);
}

/* ---- memory ---- */

static Size
centroids_at(const VcHnswListsPlan *plan)
{
	return CACHELINEALIGN(add_size(MAXALIGN(sizeof(VcHnswListsShared)), mul_size(sizeof(CodeList), plan->lists)));
}

static Size
blocks_at(const VcHnswListsPlan *plan, const VcHnswShape *shape)
{
	return CACHELINEALIGN(add_size(centroids_at(plan), mul_size(sizeof(float) * shape->padded, plan->lists)));
}

Size
vc_hnsw_lists_size(const VcHnswListsPlan *plan, const VcHnswShape *shape)
{
	if (plan->lists == 0)
		return 0;
	return add_size(blocks_at(plan, shape), mul_size(block_bytes(shape), plan->blocks));
}

static CodeList *
list_array(VcHnswListsShared *shared)
{
	return (CodeList *)((char *)shared + MAXALIGN(sizeof(VcHnswListsShared)));
}

void
vc_hnsw_lists_init(VcHnswListsShared *shared, const VcHnswListsPlan *plan, const VcHnswShape *shape)
{
	CodeList *list = list_array(shared);

	shared->lists = plan->lists;
	shared->blocks = plan->blocks;
	shared->block_bytes = block_bytes(shape);
	shared->centroids_at = centroids_at(plan);
	shared->blocks_at = blocks_at(plan, shape);
	pg_atomic_init_u32(&shared->used, 0);
	pg_atomic_init_u32(&shared->full, 0);
	for (uint32 i = 0; i < plan->lists; i++)
	{
		SpinLockInit(&list[i].mutex);
		list[i].first = list[i].last = NO_BLOCK;
		pg_atomic_init_u32(&list[i].count, 0);
	}
	memcpy((char *)shared + shared->centroids_at, plan->centroids, sizeof(float) * shape->padded * plan->lists);
}

VcHnswLists *
vc_hnsw_lists_attach(VcHnswListsShared *shared, const VcHnswGraph *graph, uint32 most)
{
	VcHnswLists *lists = palloc0(sizeof(VcHnswLists));

	lists->shared = shared;
	lists->graph = graph;
	lists->list = list_array(shared);
	lists->centroids = (const float *)((char *)shared + shared->centroids_at);
	lists->blocks = (char *)shared + shared->blocks_at;
	lists->most = most;
	lists->best = palloc(sizeof(VcHnswOrdered) * ROOM * most);
	lists->ids = palloc(sizeof(VcHnswId) * most);
	lists->nearest = palloc_extended(sizeof(VcHnswOrdered) * shared->lists, MCXT_ALLOC_HUGE);
	lists->probes = shared->lists;
	lists->residual = palloc(sizeof(float) * graph->shape.padded);
	lists->code = palloc(graph->shape.padded);
	return lists;
}

bool
vc_hnsw_lists_usable(const VcHnswLists *lists)
{
	return pg_atomic_read_u32(&lists->shared->full) == 0;
}

static inline CodeBlock *
block_of(const VcHnswLists *lists, uint32 block)
{
	return (CodeBlock *)(lists->blocks + (Size)block * lists->shared->block_bytes);
}

static inline const float *
centroid_of(const VcHnswLists *lists, uint32 list)
{
	return lists->centroids + (Size)list * lists->graph->shape.padded;
}

/* ---- search ---- */

/* Bounds that the kernel is to allow for: estimates stand for themselves here. */
static const float no_errors[VC_RABITQ_BLOCK];

/* Distances of rotated vectors, as the graph's metric has them. */
static float
distance_of(const VcHnswLists *lists, const float *a, const float *b)
{
	if (lists->graph->metric->kind == VC_METRIC_IP_LINKING)
	{
		VcDots dots = vc_kernels->dots_f32(a, b, lists->graph->shape.padded);

		return (dots.aa + dots.bb) / 2 - 2 * dots.ab;
	}
	return vc_kernels->l2sq_f32(a, b, lists->graph->shape.padded);
}

static inline void
swap(VcHnswOrdered *a, VcHnswOrdered *b)
{
	VcHnswOrdered c = *a;

	*a = *b;
	*b = c;
}

/* Reorder values so that the k least come first. */
static void
least_first(VcHnswOrdered *values, uint32 n, uint32 k)
{
	uint32 from = 0;
	uint32 to = n;

	while (to - from > 1)
	{
		VcHnswOrdered pivot = values[from + (to - 1 - from) / 2];
		uint32 i = from;
		uint32 j = to - 1;

		for (;;)
		{
			while (values[i] < pivot)
				i++;
			while (values[j] > pivot)
				j--;
			if (i >= j)
				break;
			swap(values + i++, values + j--);
		}
		if (k <= j)
			to = j + 1;
		else
			from = j + 1;
	}
}

/* The distance of the largest of the n least that least_first put first. */
static float
largest(const VcHnswOrdered *values, uint32 n)
{
	VcHnswOrdered most = values[0];

	for (uint32 i = 1; i < n; i++)
		most = Max(most, values[i]);
	return vc_hnsw_ordered_distance(most);
}

/* Scan one list for estimates below the limit; returns the limit as it is then. */
static float
scan_list(VcHnswLists *lists, const VcHnswQuery *query, uint32 l, float distance, float limit)
{
	const VcHnswShape *shape = &lists->graph->shape;
	uint32 count = pg_atomic_read_u32(&lists->list[l].count);
	uint32 at;

	/* What the count counts was written before it: read it after. */
	pg_read_barrier();
	at = lists->list[l].first;
	for (uint32 from = 0; from < count; from += VC_RABITQ_BLOCK)
	{
		const CodeBlock *block = block_of(lists, at);
		uint32 n = Min(count - from, VC_RABITQ_BLOCK);
		float estimates[VC_RABITQ_BLOCK];
		uint32 below;

		if (from + VC_RABITQ_BLOCK < count)
			vc_prefetch(block_of(lists, block->next), 1);
		vc_rabitq_estimate32(&query->rabitq, block->codes, shape->bits, block->add, block->rescale, distance,
							 estimates);
		below = vc_kernels->quant->below32(estimates, no_errors, 0, limit);
		if (n < VC_RABITQ_BLOCK)
			below &= (UINT32_C(1) << n) - 1;
		for (; below != 0; below &= below - 1)
		{
			int i = pg_rightmost_one_pos32(below);

			if (!(estimates[i] < limit))
				continue; /* not a number */
			lists->best[lists->nbest++] = vc_hnsw_ordered(estimates[i], block->id[i]);
			if (lists->nbest == ROOM * lists->most)
			{
				least_first(lists->best, lists->nbest, lists->most);
				lists->nbest = lists->most;
				limit = largest(lists->best, lists->most);
			}
		}
		at = block->next;
	}
	return limit;
}

static inline VcHnswOrdered
list_from(const VcHnswLists *lists, const float *rotated, uint32 l)
{
	return vc_hnsw_ordered(distance_of(lists, rotated, centroid_of(lists, l)), l);
}

/* The k nearest lists of the first n in `nearest`, in order: those behind them are further. */
static void
few_nearest(VcHnswOrdered *nearest, uint32 n, uint32 k)
{
	if (k < n)
		least_first(nearest, n, k);
	for (uint32 i = 1; i < k; i++)
		for (uint32 j = i; j > 0 && nearest[j - 1] > nearest[j]; j--)
			swap(nearest + j - 1, nearest + j);
}

/*
 * Put the lists nearest to a vector into lists->nearest; returns how many. The nearest PROBES come first and in order: what is found there
 * rules out most of the rest.
 */
static uint32
nearest_lists(VcHnswLists *lists, const float *rotated)
{
	VcHnswOrdered *nearest = lists->nearest;
	uint32 n = 0;

	if (lists->probes > MOST_IN_ORDER)
	{
		for (uint32 l = 0; l < lists->shared->lists; l++)
			nearest[l] = list_from(lists, rotated, l);
		if (lists->probes < lists->shared->lists)
			least_first(nearest, lists->shared->lists, lists->probes);
		few_nearest(nearest, lists->probes, PROBES);
		return lists->probes;
	}
	for (uint32 l = 0; l < lists->shared->lists; l++)
	{
		VcHnswOrdered list = list_from(lists, rotated, l);
		uint32 i;

		if (n == lists->probes && list > nearest[n - 1])
			continue;
		for (i = n < lists->probes ? n++ : n - 1; i > 0 && nearest[i - 1] > list; i--)
			nearest[i] = nearest[i - 1];
		nearest[i] = list;
	}
	return n;
}

uint32
vc_hnsw_lists_search(VcHnswLists *lists, const VcHnswQuery *query, const VcHnswId **ids)
{
	uint32 scanned = 0;
	float limit = INFINITY;
	uint32 nnearest;

	nnearest = nearest_lists(lists, query->rotated);
	lists->home = (uint32)lists->nearest[0];
	lists->nbest = 0;
	for (uint32 i = 0; i < nnearest; i++)
	{
		uint32 l = (uint32)lists->nearest[i];

		scanned += pg_atomic_read_u32(&lists->list[l].count);
		limit = scan_list(lists, query, l, vc_hnsw_ordered_distance(lists->nearest[i]), limit);
	}
	/* Lists fill up as the build goes on, and fewer of them do. */
	if (scanned > 2 * MIN_SCANNED && lists->probes > PROBES)
		lists->probes = Max(PROBES, (uint32) ((uint64) lists->probes * MIN_SCANNED * 3 / 2 / scanned));
	if (lists->nbest > lists->most)
		least_first(lists->best, lists->nbest, lists->most);
	lists->nbest = Min(lists->nbest, lists->most);
	for (uint32 i = 0; i < lists->nbest; i++)
		lists->ids[i] = (VcHnswId)lists->best[i];
	*ids = lists->ids;
	return lists->nbest;
}

void
vc_hnsw_lists_add(VcHnswLists *lists, VcHnswId id, const float *rotated)
{
	const VcHnswShape *shape = &lists->graph->shape;
	CodeList *list = &lists->list[lists->home];
	const float *centroid = centroid_of(lists, lists->home);
	VcHnswFactors factors;
	CodeBlock *block;
	uint32 count;
	uint32 slot;

	vc_hnsw_encode(lists->graph, rotated, centroid, lists->residual, lists->code, &factors);

	SpinLockAcquire(&list->mutex);
	count = pg_atomic_read_u32(&list->count);
	slot = count % VC_RABITQ_BLOCK;
	if (slot == 0)
	{
		uint32 fresh = pg_atomic_fetch_add_u32(&lists->shared->used, 1);

		if (fresh >= lists->shared->blocks)
		{
			SpinLockRelease(&list->mutex);
			pg_atomic_write_u32(&lists->shared->full, 1);
			return;
		}
		if (list->first == NO_BLOCK)
			list->first = fresh;
		else
			block_of(lists, list->last)->next = fresh;
		list->last = fresh;
		memset(block_of(lists, fresh), 0, lists->shared->block_bytes);
	}
	block = block_of(lists, list->last);
	block->id[slot] = id;
	block->add[slot] = factors.add;
	block->rescale[slot] = factors.rescale;
	if (shape->bits == 1)
		vc_rabitq_pack1(block->codes, shape->padded, slot, lists->code);
	else
		vc_rabitq_pack(block->codes, shape->padded, shape->bits, slot, lists->code);
	pg_write_barrier();
	pg_atomic_write_u32(&list->count, count + 1);
	SpinLockRelease(&list->mutex);
}
