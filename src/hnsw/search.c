/*
 * search.c
 *		Best-first search of one level.
 *
 * The frontier is a heap of nodes seen but not visited, ordered by the estimate of their distance that came with the link
 * they were seen through. Visiting the best of them costs one page: it gives the node's exact distance and estimates for all its
 * neighbours at once. The search stops when the frontier's best estimate is worse than the ef-th best exact distance.
 *
 * A node may be seen through several links, each with an estimate of its own, centred elsewhere; the lowest counts (the
 * frontier then has the node twice, and the second time it is passed over). Neighbours whose estimate is worse than the
 * ef-th best distance are not kept. When the search goes on with a larger ef, the visited nodes are looked at once more to
 * find them; since ef at least doubles each time, that costs no more than the search itself.
 *
 * Metrics without codes (L1, Hamming, Jaccard) have no estimates: there each neighbour is visited when it is first seen, and the
 * frontier holds exact distances of nodes whose links have not been followed.
 *
 * No page is locked while this file's own structures are worked on, and no memory is allocated per visit.
 */
#include "hnsw/hnsw.h"

#include <math.h>

#include "am/scan.h"
#include "kernels/vc_kernels.h"
#include "kernels/vc_quant.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/memutils.h"


/* What is known of a node that was seen: an open-addressed table, emptied by counting `round` up. */
typedef struct Seen
{
	VcHnswId id;
	uint32	 round;
	float	 best;	  /* lowest estimate so far */
	uint32	 visited;  /* 0: not yet; else its place in found[] + 1, or VISITED_FREE */
} Seen;

#define TOUCH_STRIDE 192
#define TOUCH_AHEAD 3
#define LONE_TOUCH_AHEAD 8

/* A search of few visits: how many of the best are touched when they are seen, of so many that are kept, and when it ends at last. */
#define FEW_TOUCHED 4
#define FEW_ROOM(visits) ((visits) + (visits) / 4 + 4)
#define FEW_MOST 4

/*
 * A node that is farther from a value than the mean of its own neighbours are from it is hardly the nearest: the search went astray, or
 * the value lies apart from all others, and then its links are worth more visits, too. So much farther, and so many times longer.
 */
#define FEW_ASTRAY 0.2f
#define FEW_MOST_ASTRAY 8
#define SPARE_LIMIT ((Size) 4 * 1024 * 1024)

#define VISITED_FREE UINT32_MAX /* visited, but there is no node */

struct VcHnswSearch
{
	VcHnswGraph		  *graph;
	const VcHnswQuery *query;
	MemoryContext	   context;

	Seen  *seen;
	uint32 seen_mask;
	uint32 seen_count;
	uint32 round;

	VcHnswOrdered *frontier; /* min-heap, from 1 */
	uint32	frontier_count;
	uint32	frontier_size;

	float *nearest; /* max-heap, from 1: the distances of the ef nearest live nodes found */
	uint32 nearest_count;
	uint32 nearest_size;
	uint32 ef;

	VcHnswFound *found;
	uint32		 found_count;
	uint32		 found_size;

	/* Of a search of few visits: the least distance of a live node, and the mean of its neighbours' distances from that one. */
	float least;
	float around;

	/* Copies of the values of the first nodes found, `values_room` of them at most. */
	char  *values;
	Size   values_stride;
	uint32 values_room;

	/* Of the node being visited: its neighbours and what is known of their distance. */
	VcHnswId links[VC_HNSW_MAX_DEGREE];
	float	 estimates[VC_HNSW_MAX_DEGREE];
};

VcHnswSearch *
vc_hnsw_search_new(VcHnswGraph *graph)
{
	VcHnswSearch *s = palloc0(sizeof(VcHnswSearch));

	s->graph = graph;
	s->context = CurrentMemoryContext;
	s->seen_mask = 4096 - 1;
	s->seen = palloc0(sizeof(Seen) * (s->seen_mask + 1));
	s->frontier_size = 1024;
	s->frontier = palloc(sizeof(VcHnswOrdered) * s->frontier_size);
	s->nearest_size = 256;
	s->nearest = palloc(sizeof(float) * s->nearest_size);
	s->found_size = 256;
	s->found = palloc(sizeof(VcHnswFound) * s->found_size);
	return s;
}

/*
 * A search's memory is lent to a scan and given back, because getting it anew costs as much as a small search. What an
 * error keeps from being given back is taken back at the end of the transaction.
 */
static VcHnswSearch *spare;
static MemoryContext lending_context;

static void
take_back(XactEvent event, void *arg)
{
	if ((event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT) && lending_context &&
		(spare == NULL || MemoryContextMemAllocated(lending_context, true) > SPARE_LIMIT))
	{
		MemoryContextReset(lending_context);
		spare = NULL;
	}
	(void) arg;
}

VcHnswSearch *
vc_hnsw_search_borrow(VcHnswGraph *graph)
{
	VcHnswSearch *s = spare;
	MemoryContext old;

	if (s)
	{
		spare = NULL;
		s->graph = graph;
		return s;
	}
	if (lending_context == NULL)
	{
		lending_context = AllocSetContextCreate(CacheMemoryContext, "vc_hnsw searches", ALLOCSET_DEFAULT_SIZES);
		RegisterXactCallback(take_back, NULL);
	}
	old = MemoryContextSwitchTo(lending_context);
	s = vc_hnsw_search_new(graph);
	MemoryContextSwitchTo(old);
	return s;
}

void
vc_hnsw_search_return(VcHnswSearch *s)
{
	if (spare == NULL)
		spare = s;
}

/* What follows from the rotated value. */
static void
init_tables(VcHnswGraph *graph, VcHnswQuery *query)
{
	const VcHnswShape *shape = &graph->shape;

	vc_rabitq_query_init(&query->rabitq, query->rotated, shape->padded, (uint8_t *) query->rabitq.lut);
	if (graph->metric->kind == VC_METRIC_IP)
	{
		/* Nodes have `rescale` for squared L2 distances. */
		query->rabitq.step /= 2;
		query->rabitq.bias /= 2;
	}
	if (shape->compact)
		vc_compact_query_init(&query->own, query->rotated, shape->padded, shape->own_bits, query->own_memory);
}

static void
set_value(VcHnswGraph *graph, VcHnswQuery *query, const void *data, float scale)
{
	query->data = data;
	query->scale = scale;
	if (query->floats)
		vc_kernels->f16_to_f32(data, query->floats, graph->shape.dim);
}

void
vc_hnsw_query_init(VcHnswGraph *graph, VcHnswQuery *query, const VcValue *value)
{
	const VcHnswShape *shape = &graph->shape;

	set_value(graph, query, value->data, value->scale);
	if (!shape->coded)
		return;
	vc_metric_to_float(graph->metric, value->data, value->scale, shape->dim, query->rotated);
	vc_rotation_apply(graph->rotation, query->rotated, query->rotated);
	init_tables(graph, query);
}

void
vc_hnsw_query_init_node(VcHnswGraph *graph, VcHnswQuery *query, const void *value, float scale)
{
	set_value(graph, query, value, scale);
	if (!graph->shape.coded)
		return;
	vc_hnsw_rotated(graph, value, scale, query->rotated);
	init_tables(graph, query);
}

void
vc_hnsw_query_alloc(VcHnswGraph *graph, VcHnswQuery *query)
{
	memset(query, 0, sizeof(*query));
	if (graph->metric->distance_to_floats && !graph->shape.compact)
		query->floats = palloc(sizeof(float) * graph->shape.dim);
	if (graph->shape.coded)
	{
		query->rotated = palloc(sizeof(float) * graph->shape.padded);
		query->rabitq.lut = palloc(vc_rabitq_lut_size(graph->shape.padded));
		if (graph->shape.compact)
			query->own_memory = palloc(vc_compact_query_size(graph->shape.padded));
	}
}

/* ---- nodes seen ---- */

static inline uint32
hash_id(VcHnswId id)
{
	return id * UINT32_C(0x9E3779B1) ^ (id >> 15);
}

static void
grow_seen(VcHnswSearch *s)
{
	uint32 old_size = s->seen_mask + 1;
	Seen  *old = s->seen;

	s->seen_mask = old_size * 2 - 1;
	s->seen = MemoryContextAllocExtended(s->context, sizeof(Seen) * (Size) old_size * 2,
										 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (uint32 i = 0; i < old_size; i++)
	{
		uint32 at;

		if (old[i].round != s->round)
			continue;
		at = hash_id(old[i].id) & s->seen_mask;
		while (s->seen[at].round == s->round)
			at = (at + 1) & s->seen_mask;
		s->seen[at] = old[i];
	}
	pfree(old);
}

/* The entry of a node, made if there is none: then best is infinite. */
static inline Seen *
see(VcHnswSearch *s, VcHnswId id)
{
	uint32 at = hash_id(id) & s->seen_mask;

	while (s->seen[at].round == s->round)
	{
		if (s->seen[at].id == id)
			return &s->seen[at];
		at = (at + 1) & s->seen_mask;
	}
	if (unlikely(s->seen_count >= s->seen_mask / 2))
	{
		grow_seen(s);
		return see(s, id);
	}
	s->seen_count++;
	s->seen[at].id = id;
	s->seen[at].round = s->round;
	s->seen[at].best = INFINITY;
	s->seen[at].visited = 0;
	return &s->seen[at];
}

/* The entry of a node, or null. */
static Seen *
seen_entry(VcHnswSearch *s, VcHnswId id)
{
	uint32 at = hash_id(id) & s->seen_mask;

	while (s->seen[at].round == s->round)
	{
		if (s->seen[at].id == id)
			return &s->seen[at];
		at = (at + 1) & s->seen_mask;
	}
	return NULL;
}

const VcHnswFound *
vc_hnsw_search_lookup(VcHnswSearch *s, VcHnswId id)
{
	Seen *seen = seen_entry(s, id);

	if (seen == NULL || seen->visited == 0 || seen->visited == VISITED_FREE)
		return NULL;
	return &s->found[seen->visited - 1];
}

/* ---- heaps ---- */

/*
 * Start bringing the page of a node that is likely to be visited next into the CPU's cache: the lines that are needed first, and
 * one of each memory page; the CPU goes on from there by itself.
 */
static inline void
touch(VcHnswSearch *s, VcHnswId id)
{
	const VcHnswShape *shape = &s->graph->shape;
	const char		  *page = vc_store_whereabouts(&s->graph->store, id / shape->slots_per_page);
	const char		  *node;

	if (page == NULL)
		return;
	__builtin_prefetch(page);
	if (shape->sparse)
		return; /* where the node lies, the page says */
	node = VcPageGetPayload(page) + (id % shape->slots_per_page) * shape->slot_size;
	for (Size at = 0; at < Min(shape->slot_size, VC_PAGE_PAYLOAD); at += TOUCH_STRIDE)
		__builtin_prefetch(node + at);
}

/* The same where only the header and the value will be looked at. */
static inline void
touch_value(VcHnswSearch *s, VcHnswId id)
{
	const VcHnswShape *shape = &s->graph->shape;
	const char		  *page = vc_store_whereabouts(&s->graph->store, id / shape->slots_per_page);
	const char		  *node;

	if (page == NULL)
		return;
	if (s->graph->store.arena == NULL)
		__builtin_prefetch(page);
	if (shape->sparse || shape->pages_per_node > 1)
		return;
	node = VcPageGetPayload(page) + (id % shape->slots_per_page) * shape->slot_size;
	__builtin_prefetch(node);
	for (Size at = shape->value; at < shape->slot_size; at += TOUCH_STRIDE)
		__builtin_prefetch(node + at);
}

static inline void
frontier_push(VcHnswSearch *s, VcHnswOrdered r)
{
	uint32 i;

	if (unlikely(s->frontier_count + 2 > s->frontier_size))
	{
		s->frontier_size *= 2;
		s->frontier = repalloc_huge(s->frontier, sizeof(VcHnswOrdered) * (Size) s->frontier_size);
	}
	i = ++s->frontier_count;
	while (i > 1 && s->frontier[i >> 1] > r)
	{
		s->frontier[i] = s->frontier[i >> 1];
		i >>= 1;
	}
	s->frontier[i] = r;
	if (i == 1)
		touch(s, (VcHnswId) r);
}

static inline void
frontier_pop(VcHnswSearch *s)
{
	VcHnswOrdered *heap = s->frontier;
	VcHnswOrdered	last = heap[s->frontier_count--];
	uint32	n = s->frontier_count;
	uint32	i = 1;

	for (uint32 child = 2; child <= n; child = 2 * i)
	{
		child += child < n && heap[child + 1] < heap[child];
		if (heap[child] >= last)
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = last;
}

/* A live node was found: keep the ef nearest distances. */
static inline void
note_distance(VcHnswSearch *s, float distance)
{
	float *heap = s->nearest;
	uint32 i;

	if (s->nearest_count < s->ef)
	{
		i = ++s->nearest_count;
		while (i > 1 && heap[i >> 1] < distance)
		{
			heap[i] = heap[i >> 1];
			i >>= 1;
		}
		heap[i] = distance;
	}
	else if (distance < heap[1])
	{
		uint32 n = s->nearest_count;

		i = 1;
		for (uint32 child = 2; child <= n; child = 2 * i)
		{
			child += child < n && heap[child + 1] > heap[child];
			if (heap[child] <= distance)
				break;
			heap[i] = heap[child];
			i = child;
		}
		heap[i] = distance;
	}
}

/* Beyond this distance nothing is of interest under the current ef. */
static inline float
limit_of(const VcHnswSearch *s)
{
	return s->nearest_count == s->ef ? s->nearest[1] : INFINITY;
}

/* ---- visits ---- */

static inline bool
is_live(const VcHnswFound *found)
{
	return !(found->flags & (VC_HNSW_DEAD | VC_HNSW_REJECTED));
}

static bool
is_rejected(void *arg, VcHnswId id, const ItemPointerData *tids, uint32 n, const VcKeyLayout *layout, const void *keys)
{
	VcHnswFound       *f = ((void **) arg)[0];
	const VcKeyFilter *filter = ((void **) arg)[1];

	for (uint32 i = 0; i < n; i++)
		if (vc_keys_pass(filter, layout, keys, i))
		{
			f->flags &= ~VC_HNSW_REJECTED;
			return false;
		}
	(void) id;
	(void) tids;
	return true;
}

/* Of a locked node, keep the rows that are wanted: of those that do not lie in the node, only whether there are any. */
static void
keep_wanted(VcHnswSearch *s, VcHnswFound *f, const VcHnswNode *node)
{
	const VcKeyFilter *filter = s->query->filter;
	const VcHnswGraph *graph = s->graph;
	const void        *keys = vc_hnsw_node_keys(&graph->shape, node);

	f->tids = 0;
	for (int i = 0; i < node->tids; i++)
		if (vc_keys_pass(filter, &graph->keys->node, keys, i))
			f->tid[f->tids++] = node->tid[i];
	if (f->tids > 0)
		return;
	f->flags |= VC_HNSW_REJECTED;
	if (f->overflow)
	{
		void *arg[2] = {f, (void *) filter};

		vc_hnsw_each_tids(s->graph, f->id, node, is_rejected, arg);
	}
}

static void
record(VcHnswSearch *s, VcHnswId id, const VcHnswNode *node, float distance, float bound)
{
	VcHnswFound *f;

	if (unlikely(s->found_count == s->found_size))
	{
		s->found_size *= 2;
		s->found = repalloc_huge(s->found, sizeof(VcHnswFound) * (Size) s->found_size);
	}
	if (s->found_count < s->values_room)
	{
		const void *value = vc_hnsw_node_value(&s->graph->shape, node);

		memcpy(s->values + s->values_stride * s->found_count, value, vc_hnsw_value_size(&s->graph->shape, value));
	}
	f = &s->found[s->found_count++];
	f->distance = distance;
	f->bound = bound;
	f->scale = node->scale;
	f->id = id;
	f->down = node->down;
	f->flags = node->flags;
	f->level = node->level;
	f->tids = node->tids;
	f->overflow = node->level == 0 && node->overflow != InvalidBlockNumber;
	if (s->query->filter && node->level == 0)
		keep_wanted(s, f, node);
	else
		memcpy(f->tid, node->tid, sizeof(f->tid));
}

static inline float
exact_distance(VcHnswSearch *s, const VcHnswNode *node, float *bound)
{
	vc_work.distances++;
	if (s->graph->shape.compact)
		return vc_hnsw_compact_distance(s->graph, s->query, node, bound);
	return *bound = vc_hnsw_distance(s->graph, s->query, node);
}

/* Keep the neighbours of a locked node, with estimates given its exact distance, for after the lock. Returns how many. */
static inline uint32
estimate_links(VcHnswSearch *s, const VcHnswNode *node, float distance)
{
	memcpy(s->links, vc_hnsw_links(node), sizeof(VcHnswId) * node->links);
	vc_hnsw_estimate(&s->graph->shape, &s->query->rabitq, node, distance, s->estimates);
	return node->links;
}

/* Of the kept neighbours from `from` on, up to 32, those that may be nearer than limit: a bit for each. */
static inline uint32
links_below(VcHnswSearch *s, uint32 from, uint32 n, float limit)
{
	static const float no_errors[VC_RABITQ_BLOCK];
	uint32			   below = vc_kernels->quant->below32(s->estimates + from, no_errors, 0, limit);

	return n - from < VC_RABITQ_BLOCK ? below & ((UINT32_C(1) << (n - from)) - 1) : below;
}

/* Put the kept neighbours that promise something into the frontier. */
static inline void
push_links(VcHnswSearch *s, uint32 n)
{
	float limit = limit_of(s);

	for (uint32 from = 0; from < n; from += VC_RABITQ_BLOCK)
		for (uint32 below = links_below(s, from, n, limit); below != 0; below &= below - 1)
		{
			uint32 i = from + pg_rightmost_one_pos32(below);
			Seen  *seen;

			if (!(s->estimates[i] < limit) || s->links[i] == VC_HNSW_NONE)
				continue;
			seen = see(s, s->links[i]);
			if (seen->visited || s->estimates[i] >= seen->best)
				continue;
			seen->best = s->estimates[i];
			frontier_push(s, vc_hnsw_ordered(s->estimates[i], s->links[i]));
		}
}

/* The mean distance of a node's neighbours from it; infinite where nodes do not say. */
static float
mean_distance(const VcHnswShape *shape, const VcHnswNode *node)
{
	float  sum = 0;
	uint32 n = 0;

	for (uint32 i = 0; i < node->links && !shape->compact; i++)
		if (vc_hnsw_links(node)[i] != VC_HNSW_NONE)
		{
			sum += vc_hnsw_unpack_distance(vc_hnsw_links_distance(shape, node)[i]);
			n++;
		}
	return n > 0 ? sum / (float) n : INFINITY;
}

/*
 * Visit a node of a coded graph: find its distance, and keep its neighbours with their estimates. Returns how many; nothing
 * is found where there is no node. In a search of few visits, note what its end depends on.
 */
static inline uint32
visit_links(VcHnswSearch *s, VcHnswId id, bool few)
{
	VcHold			  hold;
	const VcHnswNode *node = vc_hnsw_node(s->graph, &hold, id);
	float			  distance;
	float			  bound;
	uint32			  n;

	if (unlikely((node->flags & (VC_HNSW_USED | VC_HNSW_APART)) != VC_HNSW_USED))
	{
		vc_hnsw_done(s->graph, &hold);
		return 0;
	}
	distance = exact_distance(s, node, &bound);
	n = estimate_links(s, node, distance);
	if (few && distance < s->least && !(node->flags & VC_HNSW_DEAD))
	{
		s->least = distance;
		s->around = mean_distance(&s->graph->shape, node);
	}
	record(s, id, node, distance, bound);
	vc_hnsw_done(s->graph, &hold);

	see(s, id)->visited = s->found_count;
	if (is_live(&s->found[s->found_count - 1]))
		note_distance(s, distance);
	return n;
}

/* The same, and its neighbours into the frontier. */
static void
visit_coded(VcHnswSearch *s, VcHnswId id)
{
	push_links(s, visit_links(s, id, false));
}

/* Look at a visited node's neighbours again, for those that an earlier, smaller ef left out. */
static void
revisit_coded(VcHnswSearch *s, const VcHnswFound *found)
{
	VcHold			  hold;
	const VcHnswNode *node = vc_hnsw_node(s->graph, &hold, found->id);
	uint32			  n = 0;

	if (node->flags & VC_HNSW_USED)
		n = estimate_links(s, node, found->distance);
	vc_hnsw_done(s->graph, &hold);
	push_links(s, n);
}

/* Without codes: find a node's distance and put the node itself into the frontier, unless that was done. */
static void
visit_plain(VcHnswSearch *s, VcHnswId id)
{
	VcHold			  hold;
	const VcHnswNode *node;
	Seen			 *seen = see(s, id);
	float			  distance;
	float			  bound;

	if (seen->visited)
		return;
	seen->visited = VISITED_FREE;
	node = vc_hnsw_node(s->graph, &hold, id);
	if (unlikely((node->flags & (VC_HNSW_USED | VC_HNSW_APART)) != VC_HNSW_USED))
	{
		vc_hnsw_done(s->graph, &hold);
		return;
	}
	distance = exact_distance(s, node, &bound);
	record(s, id, node, distance, bound);
	vc_hnsw_done(s->graph, &hold);

	seen->visited = s->found_count;
	if (is_live(&s->found[s->found_count - 1]))
		note_distance(s, distance);
	frontier_push(s, vc_hnsw_ordered(distance, id));
}

static void
expand_plain(VcHnswSearch *s, VcHnswId id)
{
	VcHold			  hold;
	const VcHnswNode *node = vc_hnsw_node(s->graph, &hold, id);
	uint32			  n = node->flags & VC_HNSW_USED ? node->links : 0;

	memcpy(s->links, vc_hnsw_links(node), sizeof(VcHnswId) * n);
	vc_hnsw_done(s->graph, &hold);
	for (uint32 i = 0; i < n; i++)
		if (s->links[i] != VC_HNSW_NONE)
			visit_plain(s, s->links[i]);
}

/* ---- the search ---- */

void
vc_hnsw_search_reset(VcHnswSearch *s)
{
	if (++s->round == 0)
	{
		memset(s->seen, 0, sizeof(Seen) * (Size) (s->seen_mask + 1));
		s->round = 1;
	}
	s->seen_count = 0;
	s->frontier_count = 0;
	s->nearest_count = 0;
	s->found_count = 0;
	s->ef = 0;
}

void
vc_hnsw_search_start(VcHnswSearch *s, const VcHnswQuery *query, VcHnswId entry)
{
	vc_hnsw_search_reset(s);
	s->query = query;
	if (s->graph->shape.coded)
	{
		see(s, entry)->best = -INFINITY;
		frontier_push(s, vc_hnsw_ordered(-INFINITY, entry));
	}
	else
	{
		s->ef = 1;
		visit_plain(s, entry);
	}
}

void
vc_hnsw_search_keep_values(VcHnswSearch *s, char *values, Size stride, uint32 room)
{
	s->values = values;
	s->values_stride = stride;
	s->values_room = room;
}

const void *
vc_hnsw_search_value(VcHnswSearch *s, uint32 i)
{
	return i < s->values_room ? s->values + s->values_stride * i : NULL;
}

void
vc_hnsw_search_expect(VcHnswSearch *s, VcHnswId id)
{
	touch_value(s, id);
}

void
vc_hnsw_search_exclude(VcHnswSearch *s, VcHnswId id)
{
	see(s, id)->visited = VISITED_FREE;
}

float
vc_hnsw_search_limit(VcHnswSearch *s)
{
	return s->frontier_count == 0 ? INFINITY : limit_of(s);
}

/* Go over to a larger ef: find the ef nearest again, and what the old ef had left out of the frontier. */
static void
widen(VcHnswSearch *s, uint32 ef)
{
	uint32 visited = s->found_count;
	bool   first = s->ef == 0;

	s->ef = ef;
	if (ef + 1 > s->nearest_size)
	{
		/* ef may be far more than there are nodes; the heap's size follows what was found. */
		while (ef + 1 > s->nearest_size)
			s->nearest_size *= 2;
		pfree(s->nearest);
		s->nearest = MemoryContextAllocHuge(s->context, sizeof(float) * (Size) s->nearest_size);
	}
	s->nearest_count = 0;
	for (uint32 i = 0; i < visited; i++)
		if (is_live(&s->found[i]))
			note_distance(s, s->found[i].distance);
	if (s->graph->shape.coded && !first)
		for (uint32 i = 0; i < visited; i++)
		{
			CHECK_FOR_INTERRUPTS();
			revisit_coded(s, &s->found[i]);
		}
}

bool
vc_hnsw_search_run(VcHnswSearch *s, uint32 ef, uint32 max_found)
{
	bool coded = s->graph->shape.coded;

	if (ef > s->ef)
		widen(s, ef);
	while (s->frontier_count > 0 && s->found_count < max_found)
	{
		VcHnswOrdered best = s->frontier[1];
		VcHnswId id = (VcHnswId) best;

		if (vc_hnsw_ordered_distance(best) > limit_of(s))
			return true;
		frontier_pop(s);
		for (uint32 i = 1; i <= Min(s->frontier_count, TOUCH_AHEAD); i++)
			touch(s, (VcHnswId) s->frontier[i]);
		CHECK_FOR_INTERRUPTS();
		if (coded)
		{
			Seen *seen = see(s, id);

			if (seen->visited)
				continue;
			seen->visited = VISITED_FREE;
			visit_coded(s, id);
		}
		else
			expand_plain(s, id);
	}
	return s->frontier_count > 0;
}

void
vc_hnsw_search_visit(VcHnswSearch *s, const VcHnswQuery *query, const VcHnswId *ids, Size n)
{
	s->query = query;
	for (Size i = 0; i < Min(n, LONE_TOUCH_AHEAD); i++)
		touch_value(s, ids[i]);
	for (Size i = 0; i < n; i++)
	{
		Seen             *seen = see(s, ids[i]);
		VcHold            hold;
		const VcHnswNode *node;

		CHECK_FOR_INTERRUPTS();
		if (i + LONE_TOUCH_AHEAD < n)
			touch_value(s, ids[i + LONE_TOUCH_AHEAD]);
		if (seen->visited)
			continue;
		seen->visited = VISITED_FREE;
		node = vc_hnsw_node(s->graph, &hold, ids[i]);
		if ((node->flags & (VC_HNSW_USED | VC_HNSW_DEAD)) == VC_HNSW_USED && node->level == 0)
		{
			float distance = NAN;
			float bound = NAN;

			if (query->data && !(node->flags & VC_HNSW_APART))
				distance = exact_distance(s, node, &bound);
			record(s, ids[i], node, distance, bound);
			seen->visited = s->found_count;
		}
		vc_hnsw_done(s->graph, &hold);
	}
}

/* ---- a search of few visits ---- */

/*
 * Keep a node that was seen among the `room` best. They lie in order, the best last: so few are moved sooner than a heap is put
 * in order.
 */
static inline void
few_keep(VcHnswSearch *s, uint32 room, VcHnswOrdered r)
{
	VcHnswOrdered *kept = s->frontier;
	uint32		   at;

	if (s->frontier_count == room)
	{
		/* The worst, at the start, gives way. */
		for (at = 0; at + 1 < room && kept[at + 1] > r; at++)
			kept[at] = kept[at + 1];
	}
	else
	{
		for (at = s->frontier_count++; at > 0 && kept[at - 1] < r; at--)
			kept[at] = kept[at - 1];
	}
	kept[at] = r;
	if (at + FEW_TOUCHED >= s->frontier_count)
		touch(s, (VcHnswId) r);
}

/* Keep those of n neighbours that promise to be among the `room` best. */
static inline void
few_keep_links(VcHnswSearch *s, uint32 n, uint32 room)
{
	float limit = limit_of(s);

	if (s->frontier_count > room)
	{
		memmove(s->frontier, s->frontier + s->frontier_count - room, sizeof(VcHnswOrdered) * room);
		s->frontier_count = room;
	}
	for (uint32 from = 0; from < n; from += VC_RABITQ_BLOCK)
	{
		uint32 below;

		if (s->frontier_count == room)
			limit = Min(limit, vc_hnsw_ordered_distance(s->frontier[0]));
		for (below = links_below(s, from, n, limit); below != 0; below &= below - 1)
		{
			uint32 i = from + pg_rightmost_one_pos32(below);
			Seen  *seen;

			if (!(s->estimates[i] < limit) || s->links[i] == VC_HNSW_NONE)
				continue;
			seen = see(s, s->links[i]);
			if (seen->visited || s->estimates[i] >= seen->best)
				continue;
			seen->best = s->estimates[i];
			few_keep(s, room, vc_hnsw_ordered(s->estimates[i], s->links[i]));
			if (s->frontier_count == room)
				limit = Min(limit, vc_hnsw_ordered_distance(s->frontier[0]));
		}
	}
}

/* When the search is to end: later while it may have gone astray. */
static inline uint32
few_visits(VcHnswSearch *s, uint32 ef, uint32 patience)
{
	if (ef > 1 && s->least > s->around + FEW_ASTRAY * fabsf(s->around))
		return FEW_MOST_ASTRAY * patience;
	return Min(s->found_count + patience, FEW_MOST * patience);
}

void
vc_hnsw_search_few(VcHnswSearch *s, const VcHnswQuery *query, VcHnswId entry, uint32 ef, uint32 patience)
{
	uint32 visits = patience;

	Assert(s->graph->shape.coded);
	vc_hnsw_search_reset(s);
	s->query = query;
	widen(s, ef);
	if (s->frontier_size < FEW_ROOM(patience))
	{
		s->frontier_size = FEW_ROOM(patience);
		s->frontier = repalloc_huge(s->frontier, sizeof(VcHnswOrdered) * (Size) s->frontier_size);
	}
	s->least = INFINITY;
	see(s, entry)->best = -INFINITY;
	few_keep(s, 1, vc_hnsw_ordered(-INFINITY, entry));
	while (s->frontier_count > 0 && s->found_count < visits)
	{
		VcHnswOrdered best = s->frontier[--s->frontier_count];
		VcHnswId	  id = (VcHnswId) best;
		float		  least = s->least;
		uint32		  n;
		Seen		 *seen;

		if (vc_hnsw_ordered_distance(best) > limit_of(s))
			break;
		seen = see(s, id);
		if (seen->visited)
			continue;
		seen->visited = VISITED_FREE;
		for (uint32 i = 1; i <= Min(s->frontier_count, TOUCH_AHEAD); i++)
			touch(s, (VcHnswId) s->frontier[s->frontier_count - i]);
		CHECK_FOR_INTERRUPTS();
		n = visit_links(s, id, true);
		if (s->least < least)
			visits = few_visits(s, ef, patience);
		/* No more than can be visited. Some are kept twice, since a node may be seen again with a lower estimate. */
		few_keep_links(s, n, FEW_ROOM(Min(visits - s->found_count, patience)));
	}
}

VcHnswFound *
vc_hnsw_search_found(VcHnswSearch *s, uint32 *count)
{
	*count = s->found_count;
	return s->found;
}

VcHnswId
vc_hnsw_search_nearest(VcHnswSearch *s, bool down)
{
	const VcHnswFound *best = NULL;

	for (uint32 i = 0; i < s->found_count; i++)
		if (best == NULL || s->found[i].distance < best->distance)
			best = &s->found[i];
	if (best == NULL)
		return VC_HNSW_NONE;
	return down ? best->down : best->id;
}

VcHnswId
vc_hnsw_descend(VcHnswSearch *s, const VcHnswQuery *query, VcHnswId entry, int from, int level)
{
	for (; from > level && entry != VC_HNSW_NONE; from--)
	{
		vc_hnsw_search_start(s, query, entry);
		vc_hnsw_search_run(s, VC_HNSW_DESCEND_EF, UINT32_MAX);
		entry = vc_hnsw_search_nearest(s, true);
	}
	return entry;
}
