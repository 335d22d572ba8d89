/*
 * search.c
 *		Best-first search of one level.
 *
 * The frontier is a heap of nodes seen but not visited, ordered by the estimate of their distance that came with the link
 * they were seen through. Visiting the best of them costs one page: it gives the node's exact distance and estimates for all its
 * neighbours at once. The search stops when the frontier's best estimate is worse than the ef-th best exact distance.
 *
 * A node may be seen through several links, each with an estimate of its own, centred elsewhere. Their mean counts, each weighted by the
 * reciprocal of its variance, less a part of the deviation that the mean has left: a node seen once, of which little is
 * known, is tried sooner than one that several estimates put at the same distance. A node that a further estimate brings
 * nearer is put into the frontier again, and passed over the second time; one that it moves away stays where it is until it
 * comes up, and then goes back to where it belongs. Estimates worse than the ef-th best distance are neither kept nor counted. When
 * the search goes on with a larger ef, the visited nodes are looked at once more to find them; since ef at least doubles each
 * time, that costs no more than the search itself.
 *
 * Most searches end by themselves; the hardest would go on for many times as long as the others, for little. They end after
 * MOST_VISITS, once there are ef nodes. Where rows have to pass conditions there is no such end: how many do not is not known. Nor is there
 * one without codes, where most visits are of nodes that nothing was known of.
 *
 * Metrics without codes (L1, Hamming, Jaccard) have no estimates: there each neighbour is visited when it is first seen, and the
 * frontier holds exact distances of nodes whose links have not been followed.
 *
 * No page is locked while this file's own structures are worked on, and no memory is allocated per visit.
 */
#include "hnsw/hnsw.h"

#include <math.h>

#include "am/scan.h"
#include "kernels/prefetch.h"
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
	float	 best;	  /* what counts as its distance: the key it has in the frontier, or a larger one */
	float	 mean;	  /* of the estimates so far */
	float	 variance; /* of the mean; negative: there was no estimate */
	uint32	 visited;  /* 0: not yet; else its place in found[] + 1, or VISITED_FREE */
} Seen;

/*
 * When a search ends that does not end by itself. For a small ef there must be some hundreds of visits all the same: a query that is itself a
 * row finds its own node at once, and with it the exact distances of that node's links, so that estimates are measured by a narrow limit
 * from the start, and many that are too low come up before the neighbours that are not linked to that node.
 */
#define MOST_VISITS(ef) ((uint64) VC_HNSW_MOST_VISITS * (ef) + 384)

/*
 * Every line of a node is asked for: some CPUs fetch by themselves what follows, others do not, and search a third faster for it. More than the
 * one node ahead leaves less of the way to memory for the one that is next.
 */
#define LONE_TOUCH_AHEAD 8

/* So many of the frontier are probably wanted when ef nodes are. */
#define REACH(ef) ((ef) + 16)

/*
 * A search of few visits goes on to so many times `patience` at most. Where data are hard it nearly always comes to that; where they are
 * easy all that is left is farther long before.
 */
#define FEW_MOST 6

/*
 * A node that is farther from a value than the mean of its own neighbours are from it is hardly the nearest: the search went astray, or
 * the value lies apart from all others, and then its links are worth more visits, too. So much farther, and so many times longer.
 */
#define FEW_ASTRAY 0.2f
#define FEW_MOST_ASTRAY 10
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
	bool	left_out; /* neighbours were, because they are beyond the limit: a larger ef would find more */
	float	reach;	  /* estimates from here on are left out, too, for the time being */
	uint32	reach_at; /* once the frontier has so many, reach is looked for again */

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

	bool far_only; /* links from hub to hub are followed, no others */

	/* Copies of the values of the first nodes found, `values_room` of them at most. */
	char  *values;
	Size   values_stride;
	uint32 values_room;

	/* Of the node being visited: its neighbours and what is known of their distance. */
	VcHnswId links[VC_HNSW_MAX_DEGREE];
	float	 estimates[VC_HNSW_MAX_DEGREE];
	float	 rescales[VC_HNSW_MAX_DEGREE];
	float	 apart; /* its L2 distance from the query */
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
		s->far_only = false;
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
	s->seen[at].variance = -1;
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

/* Start bringing a node that is likely to be visited next into the CPU's cache. */
static inline void
touch(VcHnswSearch *s, VcHnswId id)
{
	const VcHnswShape *shape = &s->graph->shape;
	const char		  *page = vc_store_whereabouts(&s->graph->store, id / shape->slots_per_page);
	const char		  *node;

	if (page == NULL)
		return;
	vc_prefetch(page, SizeOfPageHeaderData);
	if (shape->sparse)
		return; /* where the node lies, the page says */
	node = VcPageGetPayload(page) + (id % shape->slots_per_page) * shape->slot_size;
	vc_prefetch(node, Min(shape->slot_size, VC_PAGE_PAYLOAD));
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
		vc_prefetch(page, SizeOfPageHeaderData);
	if (shape->sparse || shape->pages_per_node > 1)
		return;
	node = VcPageGetPayload(page) + (id % shape->slots_per_page) * shape->slot_size;
	vc_prefetch(node, sizeof(VcHnswNode));
	vc_prefetch(node + shape->value, shape->value_bytes);
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

/*
 * Until ef nodes are found there is no limit, and most of what goes into the frontier never comes up. So once it has twice as many as
 * are probably wanted, what is farther than those is left out; the worst of a heap's first n is farther than n - 1 others. If the limit
 * then turns out to be higher, reach_further makes up for it.
 */
static inline void
set_reach(VcHnswSearch *s)
{
	uint32 wanted = REACH(s->ef);
	uint32 worst = 1;

	for (uint32 i = 2; i <= wanted; i++)
		if (s->frontier[i] > s->frontier[worst])
			worst = i;
	s->reach = Min(s->reach, vc_hnsw_ordered_distance(s->frontier[worst]));
	s->reach_at = 2 * s->frontier_count;
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
	s->apart = vc_hnsw_estimate(s->graph, s->query, node, distance, s->estimates, s->rescales);
	if (unlikely(s->far_only))
	{
		int first, end;

		vc_hnsw_places(&s->graph->shape, node, true, &first, &end);
		memmove(s->links, s->links + first, sizeof(VcHnswId) * (end - first));
		memmove(s->estimates, s->estimates + first, sizeof(float) * (end - first));
		memmove(s->rescales, s->rescales + first, sizeof(float) * (end - first));
		return end - first;
	}
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

/* Count an estimate among those of a node that was seen. The first, which is most nodes' only one, takes neither division nor root. */
static inline void
add_estimate(const VcHnswSearch *s, Seen *seen, float estimate, float rescale)
{
	float deviation = fabsf(rescale) * s->apart;
	float variance;
	float sum;

	/* So near the end of what a float can hold squares are of no use: the estimate counts as it is. */
	if (unlikely(!(deviation <= 1e18f)))
		deviation = 0;
	variance = deviation * deviation;
	if (seen->variance < 0)
	{
		seen->mean = estimate;
		seen->variance = variance;
		seen->best = estimate - s->query->optimism * deviation;
		return;
	}
	sum = seen->variance + variance;
	if (sum > 0)
	{
		float share = seen->variance / sum;

		seen->mean += (estimate - seen->mean) * share;
		seen->variance = variance * share;
	}
	seen->best = seen->mean - s->query->optimism * sqrtf(seen->variance);
}

/* Put the kept neighbours that promise something, those of estimates from `least` on, into the frontier. */
static inline void
push_links(VcHnswSearch *s, uint32 n, float least)
{
	float limit = Min(limit_of(s), s->reach);

	for (uint32 from = 0; from < n; from += VC_RABITQ_BLOCK)
	{
		uint32 below = links_below(s, from, n, limit);

		s->left_out |= limit < INFINITY && pg_popcount32(below) < Min(n - from, VC_RABITQ_BLOCK);
		for (; below != 0; below &= below - 1)
		{
			uint32 i = from + pg_rightmost_one_pos32(below);
			Seen  *seen;
			float  best;

			if (!(s->estimates[i] < limit) || s->estimates[i] < least || s->links[i] == VC_HNSW_NONE)
				continue;
			seen = see(s, s->links[i]);
			if (seen->visited)
				continue;
			best = seen->best;
			add_estimate(s, seen, s->estimates[i], s->rescales[i]);
			if (seen->best < best)
				frontier_push(s, vc_hnsw_ordered(seen->best, s->links[i]));
		}
	}
	if (unlikely(s->frontier_count >= s->reach_at) && s->nearest_count < s->ef)
		set_reach(s);
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
	push_links(s, visit_links(s, id, false), -INFINITY);
}

/* Look at a visited node's neighbours again, for those that an earlier, smaller ef left out: all that were not nearer than `limit`. */
static void
revisit_coded(VcHnswSearch *s, const VcHnswFound *found, float limit)
{
	VcHold			  hold;
	const VcHnswNode *node = vc_hnsw_node(s->graph, &hold, found->id);
	uint32			  n = 0;

	if (node->flags & VC_HNSW_USED)
		n = estimate_links(s, node, found->distance);
	vc_hnsw_done(s->graph, &hold);
	push_links(s, n, limit);
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
	s->left_out = false;
	s->reach = INFINITY;
	s->reach_at = UINT32_MAX;
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
vc_hnsw_search_far_only(VcHnswSearch *s, bool far_only)
{
	s->far_only = far_only;
}

void
vc_hnsw_search_exclude(VcHnswSearch *s, VcHnswId id)
{
	see(s, id)->visited = VISITED_FREE;
}

float
vc_hnsw_search_limit(VcHnswSearch *s)
{
	return s->frontier_count == 0 && !s->left_out ? INFINITY : limit_of(s);
}

uint32
vc_hnsw_search_settled(VcHnswSearch *s)
{
	float  next = s->frontier_count > 0 ? vc_hnsw_ordered_distance(s->frontier[1]) : INFINITY;
	uint32 n = 0;

	for (uint32 i = 0; i < s->found_count; i++)
		n += s->found[i].distance <= next;
	return n;
}

/* Go over to a larger ef: find the ef nearest again, and what the old ef had left out of the frontier. */
static void
widen(VcHnswSearch *s, uint32 ef)
{
	uint32 visited = s->found_count;
	bool   first = s->ef == 0;
	float  limit = Min(limit_of(s), s->reach);

	s->ef = ef;
	s->reach = INFINITY;
	s->reach_at = UINT32_MAX;
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
	{
		s->left_out = false;
		for (uint32 i = 0; i < visited; i++)
		{
			CHECK_FOR_INTERRUPTS();
			revisit_coded(s, &s->found[i], limit);
		}
	}
}

/* Before a search ends with a limit that is beyond its reach: look at what was left out. True if it was, and may be the first now. */
static bool
reach_further(VcHnswSearch *s)
{
	float  reach = s->reach;
	uint32 visited = s->found_count;

	if (!(reach < limit_of(s)))
		return false;
	s->reach = INFINITY;
	s->reach_at = UINT32_MAX;
	for (uint32 i = 0; i < visited; i++)
	{
		CHECK_FOR_INTERRUPTS();
		revisit_coded(s, &s->found[i], reach);
	}
	return true;
}

/* Take the first of the frontier out of it, and have the one that may be next on its way. */
static inline void
next_first(VcHnswSearch *s)
{
	frontier_pop(s);
	if (s->frontier_count > 0)
		touch(s, (VcHnswId) s->frontier[1]);
	CHECK_FOR_INTERRUPTS();
}

/*
 * The same where nodes have codes: true, and it counts as visited, unless it was visited
 * before, or has gone back to where it belongs.
 */
static inline bool
take_first(VcHnswSearch *s)
{
	VcHnswOrdered first = s->frontier[1];
	VcHnswId	  id = (VcHnswId) first;
	Seen		 *seen;

	next_first(s);
	seen = see(s, id);
	if (seen->visited)
		return false;
	if (seen->best > vc_hnsw_ordered_distance(first))
	{
		frontier_push(s, vc_hnsw_ordered(seen->best, id));
		return false;
	}
	seen->visited = VISITED_FREE;
	return true;
}

bool
vc_hnsw_search_run(VcHnswSearch *s, uint32 ef, uint32 max_found)
{
	bool   coded = s->graph->shape.coded;
	uint64 most = coded && s->query->filter == NULL ? MOST_VISITS(ef) : PG_UINT64_MAX;

	if (ef > s->ef)
	{
		widen(s, ef);
		if (coded && s->query->filter == NULL)
			s->reach_at = 2 * REACH(ef);
	}
	while (s->found_count < max_found)
	{
		float	 limit = limit_of(s);
		VcHnswId id;

		if (s->found_count >= most && limit < INFINITY)
			break;
		if (s->frontier_count == 0 || vc_hnsw_ordered_distance(s->frontier[1]) > limit)
		{
			if (!reach_further(s))
				break;
			continue;
		}
		id = (VcHnswId) s->frontier[1];
		if (!coded)
		{
			next_first(s);
			expand_plain(s, id);
		}
		else if (take_first(s))
			visit_coded(s, id);
	}
	return s->frontier_count > 0 || s->left_out;
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

/* When the search is to end, now that it has come nearer: later while it may have gone astray. */
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
	uint32 last = patience; /* it ends with this visit, unless one before it is among the ef nearest */

	Assert(s->graph->shape.coded);
	vc_hnsw_search_start(s, query, entry);
	widen(s, ef);
	s->least = INFINITY;
	while (s->frontier_count > 0 && s->found_count < last)
	{
		VcHnswOrdered best = s->frontier[1];
		VcHnswId	  id = (VcHnswId) best;
		float		  limit = limit_of(s);
		uint32		  had = s->nearest_count;
		uint32		  n;

		if (vc_hnsw_ordered_distance(best) > limit)
			break;
		if (!take_first(s))
			continue;
		n = visit_links(s, id, true);
		if (s->nearest_count > had || limit_of(s) < limit)
			last = few_visits(s, ef, patience);
		push_links(s, n, -INFINITY);
	}
}

VcHnswFound *
vc_hnsw_search_found(VcHnswSearch *s, uint32 *count)
{
	*count = s->found_count;
	return s->found;
}
