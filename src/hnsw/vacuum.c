/*
 * vacuum.c
 *		VACUUM: three passes over the index, each linear.
 *
 *	1. Mark. Heap TIDs of dead rows are taken out of their nodes; a node left without any is marked VC_HNSW_DEAD. From
 *	   then on inserts do not link to it; scans still pass through it, and do not return it.
 *	   Then wait, through the insert lock, for inserts that may have chosen links before.
 *	2. Repair. Each live node that links to dead ones gets, in their place, neighbours of theirs: the nearest by the
 *	   estimates that lie beside the dead node's links, checked exactly. The nodes of dead values on upper levels are dead
 *	   too, and a dead entry is replaced.
 *	3. Free. No live node links to dead ones any more; their slots are marked free and told to the free space map.
 *
 * A scan may still hold the id of a node freed in pass 3. It finds the slot free, or used by another value, whose row its
 * snapshot cannot see; both do no harm (scan.c). If vacuum is interrupted, the nodes it has marked stay dead and the next
 * vacuum takes them up.
 */
#include "hnsw/hnsw.h"

#include <math.h>

#include "commands/vacuum.h"
#include "miscadmin.h"
#include "storage/freespace.h"
#include "storage/indexfsm.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"

/* Before codes tell whether an offer is dominated, so many of the nearest neighbours do, which takes far less. */
#define GUARDS 6

/* A node of an upper level; or a hub, with nothing below it. */
typedef struct UpperNode
{
	VcHnswId id;
	VcHnswId down;
	uint8	 level;
} UpperNode;

typedef struct VacuumState
{
	VcHnswGraph				graph;
	IndexBulkDeleteResult  *stats;
	IndexBulkDeleteCallback callback;
	void				   *callback_state;
	BlockNumber				nblocks;
	uint8				   *dead; /* a bit for each id below nblocks * slots_per_page */
	uint64					ndead;
	UpperNode			   *upper;
	Size					nupper;
	Size					upper_size;

	/* For repairs. */
	VcHnswQuery query;		 /* the repaired node's value */
	VcHnswQuery offer_query; /* a new neighbour's */
	float	   *residual;
	uint8	   *code;
	char	   *own;	  /* the repaired node's value */
	char	   *theirs;	  /* a new neighbour's */
	char	   *guards;	  /* [GUARDS][value_bytes]: the nearest neighbours' */
	float		guard_scale[GUARDS];
	float		guard_distance[GUARDS];
	int			nguards;
} VacuumState;

static bool
is_dead(VacuumState *v, VcHnswId id)
{
	uint64 limit = (uint64) v->nblocks * v->graph.shape.slots_per_page;

	return id < limit && (v->dead[id / 8] >> (id % 8)) & 1;
}

static void
set_dead(VacuumState *v, VcHnswId id)
{
	if (!is_dead(v, id))
	{
		v->dead[id / 8] |= 1 << (id % 8);
		v->ndead++;
	}
}

/* ---- pass 1 ---- */

/* Keep the TIDs that are not dead, with their keys where there are key columns; returns how many. */
static int
keep_live(VacuumState *v, ItemPointerData *tids, int n, const VcKeyLayout *layout, void *keys)
{
	int kept = 0;

	for (int i = 0; i < n; i++)
	{
		VcKeyRow row;

		if (v->callback(&tids[i], v->callback_state))
		{
			v->stats->tuples_removed++;
			continue;
		}
		if (layout && kept < i)
		{
			vc_keys_get(layout, keys, i, &row);
			vc_keys_put(layout, keys, kept, &row);
		}
		tids[kept++] = tids[i];
	}
	return kept;
}

/* Take dead TIDs out of the overflow pages of a node in block `head`, which is locked; returns how many are left. */
static uint64
clean_overflow(VacuumState *v, BlockNumber head, BlockNumber block)
{
	const VcHnswKeys *keys = v->graph.keys;
	uint64            left = 0;
	BlockNumber pages = 0;

	while (block != InvalidBlockNumber)
	{
		VcHold		hold;
		VcHnswTids *tids;
		int			kept;

		if (block == head || pages++ > v->graph.store.nblocks)
			vc_page_corrupted(v->graph.store.index, head, "a list of row pointers runs in a circle");
		vc_hold_init(&hold);
		tids = (VcHnswTids *) VcPageGetPayload(
			vc_store_write_owned(&v->graph.store, &hold, block, VC_HNSW_TIDS, VC_PAGE_PAYLOAD));
		if (tids->count > vc_hnsw_tids_max(&v->graph))
			vc_page_corrupted(v->graph.store.index, block, "the page says it has %u row pointers", tids->count);
		kept = keep_live(v, tids->tid, tids->count, keys ? &keys->tids : NULL,
						 keys ? vc_hnsw_tids_keys(keys, tids) : NULL);
		left += kept;
		block = tids->next;
		if (kept < (int) tids->count)
		{
			tids->count = kept;
			vc_store_commit(&v->graph.store, &hold);
		}
		else
			vc_store_release(&v->graph.store, &hold);
	}
	return left;
}

/* Take dead TIDs out of a node, and mark it dead if none are left. */
static void
clean_node(VacuumState *v, VcHnswId id)
{
	VcHold		hold;
	const VcHnswNode *whole;
	VcHnswNode *node = vc_hnsw_node_head_for_update(&v->graph, &hold, id, &whole);
	int			kept;
	uint64		overflow;
	bool		changed;

	if (!(node->flags & VC_HNSW_USED) || node->level > 0)
	{
		vc_hnsw_done(&v->graph, &hold);
		return;
	}
	overflow = clean_overflow(v, vc_hnsw_block(&v->graph.shape, id), node->overflow);
	kept = keep_live(v, node->tid, node->tids, v->graph.keys ? &v->graph.keys->node : NULL,
					 vc_hnsw_node_keys(&v->graph.shape, node));
	changed = kept < node->tids;
	node->tids = kept;
	if (kept == 0 && overflow == 0)
	{
		changed |= !(node->flags & VC_HNSW_DEAD);
		node->flags |= VC_HNSW_DEAD;
		set_dead(v, id);
	}
	else
		v->stats->num_index_tuples += kept + overflow;
	if (changed)
		vc_hnsw_node_commit(&v->graph, &hold, id, -1);
	else
		vc_hnsw_done(&v->graph, &hold);
}

static void
add_upper(VacuumState *v, VcHnswId id, VcHnswId down, uint8 level)
{
	if (v->nupper == v->upper_size)
	{
		v->upper_size *= 2;
		v->upper = repalloc_huge(v->upper, sizeof(UpperNode) * v->upper_size);
	}
	v->upper[v->nupper++] = (UpperNode){id, down, level};
}

static void
mark_block(VacuumState *v, BlockNumber block)
{
	const VcHnswShape *shape = &v->graph.shape;
	VcHnswId		  *work = palloc(sizeof(VcHnswId) * shape->slots_per_page);
	uint32			   nwork = 0;

	if (!vc_hnsw_is_node_block(&v->graph, block))
	{
		pfree(work);
		return;
	}
	for (uint32 slot = 0; slot < shape->slots_per_page; slot++)
	{
		VcHnswId		  id = block * shape->slots_per_page + slot;
		VcHold			  hold;
		const VcHnswNode *node = vc_hnsw_node_header(&v->graph, &hold, id);
		bool			  needed = false;

		if (node->flags & VC_HNSW_USED)
		{
			if (node->level > 0)
			{
				add_upper(v, id, node->down, node->level);
				/* Marked by a vacuum that did not get to its end; what is below may be another value's by now. */
				if (node->flags & VC_HNSW_DEAD)
					set_dead(v, id);
			}
			else
			{
				needed = node->overflow != InvalidBlockNumber || node->tids == 0;
				for (int i = 0; i < node->tids && !needed; i++)
					needed = v->callback((ItemPointer) &node->tid[i], v->callback_state);
				if (!needed)
					v->stats->num_index_tuples += node->tids;
				if (node->flags & VC_HNSW_HUB)
					add_upper(v, id, VC_HNSW_NONE, 0);
			}
		}
		vc_hnsw_done(&v->graph, &hold);
		if (needed)
			work[nwork++] = id;
	}
	for (uint32 i = 0; i < nwork; i++)
		clean_node(v, work[i]);
	pfree(work);
}

static int
compare_upper(const void *a, const void *b)
{
	return (int) ((const UpperNode *) a)->level - (int) ((const UpperNode *) b)->level;
}

/* A node of an upper level is dead when the one below it is. */
static void
mark_upper(VacuumState *v)
{
	qsort(v->upper, v->nupper, sizeof(UpperNode), compare_upper);
	for (Size i = 0; i < v->nupper; i++)
	{
		VcHold		hold;
		VcHnswNode *node;
		const VcHnswNode *whole;

		if (!is_dead(v, v->upper[i].down) || is_dead(v, v->upper[i].id))
			continue;
		node = vc_hnsw_node_head_for_update(&v->graph, &hold, v->upper[i].id, &whole);
		node->flags |= VC_HNSW_DEAD;
		vc_hnsw_node_commit(&v->graph, &hold, v->upper[i].id, -1);
		set_dead(v, v->upper[i].id);
	}
}

/* ---- pass 2 ---- */

/* If searches start at a dead node, let them start at the highest live one, or at a hub. */
static void
replace_entry(VacuumState *v)
{
	VcHnswId live = VC_HNSW_NONE;
	int		 level = 0;
	VcHnswId entry;
	int		 entry_level;

	if (!vc_hnsw_entry(&v->graph, &entry, &entry_level) || !is_dead(v, entry))
		return;
	for (Size i = v->nupper; i > 0 && live == VC_HNSW_NONE; i--)
		if (!is_dead(v, v->upper[i - 1].id))
		{
			live = v->upper[i - 1].id;
			level = v->upper[i - 1].level;
		}
	for (BlockNumber block = 1; live == VC_HNSW_NONE && block < vc_store_nblocks(&v->graph.store); block++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!vc_hnsw_is_node_block(&v->graph, block))
			continue;
		for (uint32 slot = 0; slot < v->graph.shape.slots_per_page && live == VC_HNSW_NONE; slot++)
		{
			VcHnswId		  id = block * v->graph.shape.slots_per_page + slot;
			VcHold			  hold;
			const VcHnswNode *node = vc_hnsw_node_header(&v->graph, &hold, id);

			if ((node->flags & (VC_HNSW_USED | VC_HNSW_DEAD | VC_HNSW_APART)) == VC_HNSW_USED && node->level == 0)
				live = id;
			vc_hnsw_done(&v->graph, &hold);
		}
	}
	vc_hnsw_replace_entry(&v->graph, entry, live, level);
}

typedef struct Offer
{
	VcHnswId id;
	float	 distance; /* from the repaired node: an estimate, then exact */
} Offer;

/* What the repair of a node has to choose from: its dead neighbours' live neighbours, and theirs where those are too few. */
typedef struct Offers
{
	Offer *live;
	Size   nlive;
	Offer *dead; /* the first `expanded` have been looked at */
	Size   ndead;
	Size   expanded;
	bool   far; /* those of hubs, by the links from hub to hub */
} Offers;

/* Beyond this many dead nodes we do not look for live ones behind them. */
#define MAX_EXPANDED 128

/*
 * Of the live ones so many, the nearest first, are looked at for the places of `dead` links: about as many as an insert chooses from. Later
 * ones are nearly always dominated, and each look costs as much as a visit of a search.
 */
#define OFFERS_LOOKED_AT(shape, dead) (2 * (shape)->m + 2 * (dead))

static int
compare_offers(const void *a, const void *b)
{
	const Offer *x = a;
	const Offer *y = b;

	return x->distance < y->distance ? -1 : x->distance > y->distance;
}

static void
offer_dead(Offers *offers, VcHnswId id, float distance)
{
	for (Size i = 0; i < offers->ndead; i++)
		if (offers->dead[i].id == id)
			return;
	offers->dead[offers->ndead++] = (Offer){id, distance};
}

/* Offer the links of a dead node, with estimates of their distances from the node under repair. */
static void
expand_dead(VacuumState *v, VcHnswId id, Offers *offers)
{
	VcHnswGraph		  *graph = &v->graph;
	const VcHnswShape *shape = &graph->shape;
	VcHold			   hold;
	const VcHnswNode  *node = vc_hnsw_node(graph, &hold, id);
	float			   estimates[VC_HNSW_MAX_DEGREE];
	float			   rescales[VC_HNSW_MAX_DEGREE];
	int				   first;
	int				   end;

	if (shape->coded)
	{
		float distance = vc_hnsw_distance(graph, &v->query, node);

		vc_hnsw_estimate(graph, &v->query, node, distance, estimates, rescales);
	}
	else
		vc_hnsw_link_distances(graph, node, estimates);
	vc_hnsw_places(shape, node, offers->far, &first, &end);
	for (int i = first; i < Min(end, node->links); i++)
	{
		VcHnswId link = vc_hnsw_links(node)[i];

		if (link == VC_HNSW_NONE)
			continue;
		if (is_dead(v, link))
			offer_dead(offers, link, estimates[i]);
		else
			offers->live[offers->nlive++] = (Offer){link, estimates[i]};
	}
	vc_hnsw_done(graph, &hold);
}

/*
 * Collect offers for a node that links to `ndead` dead ones, links[first..nlinks). Where most nodes are dead, the live ones lie behind several dead ones;
 * nearest first, so that the way leads to where the dead neighbours were.
 */
static void
collect_offers(VacuumState *v, const VcHnswId *links, int first, int nlinks, int ndead, Offers *offers)
{
	const VcHnswShape *shape = &v->graph.shape;

	offers->live = palloc(sizeof(Offer) * shape->degree * Max(ndead, MAX_EXPANDED));
	offers->dead = palloc(sizeof(Offer) * (shape->degree * Max(ndead, MAX_EXPANDED) + ndead));
	offers->nlive = offers->ndead = offers->expanded = 0;
	for (int i = first; i < nlinks; i++)
		if (is_dead(v, links[i]))
			offer_dead(offers, links[i], -INFINITY);
	while (offers->expanded < offers->ndead &&
		   (offers->expanded < (Size) ndead || (offers->expanded < MAX_EXPANDED && offers->nlive < 4 * (Size) ndead)))
	{
		Size  nearest = offers->expanded;
		Offer swap;

		for (Size i = nearest + 1; i < offers->ndead; i++)
			if (offers->dead[i].distance < offers->dead[nearest].distance)
				nearest = i;
		swap = offers->dead[nearest];
		offers->dead[nearest] = offers->dead[offers->expanded];
		offers->dead[offers->expanded++] = swap;
		expand_dead(v, swap.id, offers);
	}
	qsort(offers->live, offers->nlive, sizeof(Offer), compare_offers);
}

/* Look at an offered node: its exact distance, and its value. False if it will not do. */
static bool
accept_offer(VacuumState *v, Offer *offer, int level, bool far, float *scale)
{
	VcHnswGraph		  *graph = &v->graph;
	const VcHnswShape *shape = &graph->shape;
	VcHold			   hold;
	const VcHnswNode  *node = vc_hnsw_node(graph, &hold, offer->id);
	bool			   good;

	good = (node->flags & (VC_HNSW_USED | VC_HNSW_DEAD | VC_HNSW_APART)) == VC_HNSW_USED && node->level == level &&
		   (!far || node->flags & VC_HNSW_HUB);
	if (good)
	{
		offer->distance = vc_hnsw_distance(graph, &v->query, node);
		*scale = node->scale;
		memcpy(v->theirs, vc_hnsw_node_value(shape, node), vc_hnsw_value_size(shape, vc_hnsw_node_value(shape, node)));
	}
	vc_hnsw_done(graph, &hold);
	return good;
}

/* Make the offer accepted last a query, for estimates of its distance from others and for codes. */
static void
prepare_offer(VacuumState *v, float scale)
{
	vc_hnsw_query_init_node(&v->graph, &v->offer_query, v->theirs, scale);
}

/* Keep the values of a node's nearest live neighbours, of links[first..nlinks); the node's own is the query. */
static void
find_guards(VacuumState *v, const VcHnswId *links, const float *distances, int first, int nlinks)
{
	VcHnswGraph		  *graph = &v->graph;
	const VcHnswShape *shape = &graph->shape;
	int				   nearest[GUARDS];
	int				   n = 0;

	v->nguards = 0;
	if (!shape->coded || shape->compact)
		return;
	for (int i = first; i < nlinks; i++)
	{
		int at;

		if (links[i] == VC_HNSW_NONE || is_dead(v, links[i]) || (n == GUARDS && !(distances[i] < distances[nearest[n - 1]])))
			continue;
		for (at = n < GUARDS ? n++ : n - 1; at > 0 && distances[i] < distances[nearest[at - 1]]; at--)
			nearest[at] = nearest[at - 1];
		nearest[at] = i;
	}
	for (int i = 0; i < n; i++)
	{
		VcHold			  hold;
		const VcHnswNode *node = vc_hnsw_node(graph, &hold, links[nearest[i]]);

		if ((node->flags & (VC_HNSW_USED | VC_HNSW_DEAD | VC_HNSW_APART)) == VC_HNSW_USED)
		{
			memcpy(v->guards + v->nguards * shape->value_bytes, vc_hnsw_node_value(shape, node), shape->value_bytes);
			v->guard_scale[v->nguards] = node->scale;
			v->guard_distance[v->nguards++] = vc_hnsw_distance(graph, &v->query, node);
		}
		vc_hnsw_done(graph, &hold);
	}
}

/* Whether one of them is nearer to the node than the offer accepted last, and nearer to the offer than the node is. */
static bool
is_guarded(VacuumState *v, const Offer *offer, float scale)
{
	const VcHnswGraph *graph = &v->graph;
	const VcHnswShape *shape = &graph->shape;

	for (int i = 0; i < v->nguards; i++)
		if (v->guard_distance[i] < offer->distance &&
			graph->metric->distance(v->guards + i * shape->value_bytes, v->guard_scale[i], v->theirs, scale, shape->dim) <
				offer->distance)
			return true;
	return false;
}

static bool
is_linked(const VcHnswId *links, int n, VcHnswId id)
{
	for (int i = 0; i < n; i++)
		if (links[i] == id)
			return true;
	return false;
}

/* Whether a node has a live neighbour in links[first..nlinks) nearer to it than the offer, and nearer to the offer than it is. */
static bool
is_dominated(VacuumState *v, VcHnswId id, const VcHnswId *links, int first, int nlinks, const Offer *offer)
{
	VcHnswGraph		  *graph = &v->graph;
	const VcHnswShape *shape = &graph->shape;
	VcHold			   hold;
	const VcHnswNode  *node = vc_hnsw_node(graph, &hold, id);
	float			   between[VC_HNSW_MAX_DEGREE];
	float			   rescales[VC_HNSW_MAX_DEGREE];
	float			   distances[VC_HNSW_MAX_DEGREE];
	bool			   nearer[VC_HNSW_MAX_DEGREE];
	bool			   dominated = false;

	nlinks = Min(nlinks, node->links);
	vc_hnsw_link_distances(graph, node, distances);
	for (int i = first; i < nlinks; i++)
		nearer[i] = links[i] != VC_HNSW_NONE && !is_dead(v, links[i]) && vc_hnsw_links(node)[i] == links[i] &&
					distances[i] < offer->distance;
	if (shape->coded)
		vc_hnsw_estimate(graph, &v->offer_query, node, offer->distance, between, rescales);
	vc_hnsw_done(graph, &hold);

	for (int i = first; i < nlinks && !dominated; i++)
	{
		if (!nearer[i])
			continue;
		if (!shape->coded)
		{
			node = vc_hnsw_node(graph, &hold, links[i]);
			between[i] = vc_hnsw_distance(graph, &v->offer_query, node);
			vc_hnsw_done(graph, &hold);
		}
		dominated = between[i] < offer->distance;
	}
	return dominated;
}

/*
 * Put an accepted offer in the place of a dead link, or nothing if offer is null. `dead` is VC_HNSW_NONE for a place that was
 * empty, or just beyond the links there are.
 */
static void
replace_link(VacuumState *v, VcHnswId id, int at, VcHnswId dead, const Offer *offer)
{
	VcHnswGraph		  *graph = &v->graph;
	const VcHnswShape *shape = &graph->shape;
	VcHold			   hold;
	VcHnswNode		  *node;
	const VcHnswNode  *whole;
	VcHnswFactors	   factors = {0};

	if (offer && shape->coded)
		vc_hnsw_encode(graph, v->offer_query.rotated, v->query.rotated, v->residual, v->code, &factors);
	node = vc_hnsw_node_head_for_update(graph, &hold, id, &whole);
	if (dead == VC_HNSW_NONE && at == node->links)
	{
		vc_hnsw_links(node)[at] = VC_HNSW_NONE;
		node->links++;
	}
	if (at >= node->links || vc_hnsw_links(node)[at] != dead)
	{
		/* An insert was faster. */
		vc_hnsw_done(graph, &hold);
		return;
	}
	if (offer)
	{
		vc_hnsw_set_link(shape, node, at, offer->id, offer->distance, false);
		if (shape->coded)
			vc_hnsw_change_code(graph, &hold, node, whole, at, v->code, &factors);
	}
	else
		vc_hnsw_links(node)[at] = VC_HNSW_NONE;
	vc_hnsw_node_commit(graph, &hold, id, offer ? at : -1);
}

/*
 * Link an accepted offer back to the node it was accepted for, whose value is the query: into a free place or that of a dead
 * link. Links between the dead went both ways, and without this one nothing might lead to the node any more.
 */
static void
link_back(VacuumState *v, VcHnswId id, VcHnswId to, float distance, bool far)
{
	VcHnswGraph		  *graph = &v->graph;
	const VcHnswShape *shape = &graph->shape;
	VcHold			   hold;
	const VcHnswNode  *whole;
	VcHnswNode		  *node = vc_hnsw_node_head_for_update(graph, &hold, id, &whole);
	int				   at = -1;
	int				   dead = -1;
	bool			   linked = (node->flags & (VC_HNSW_USED | VC_HNSW_DEAD)) != VC_HNSW_USED;
	int				   first;
	int				   end;

	vc_hnsw_places(shape, node, far, &first, &end);
	for (int i = first; i < Min(end, node->links); i++)
	{
		VcHnswId link = vc_hnsw_links(node)[i];

		linked |= link == to;
		if (link == VC_HNSW_NONE)
			at = i;
		else if (is_dead(v, link) && dead < 0)
			dead = i;
	}
	/* Through a dead link this node is to find more neighbours of its own: it goes only where there is no other room. */
	if (at < 0)
		at = node->links < end ? node->links : dead;
	if (linked || at < 0)
	{
		vc_hnsw_done(graph, &hold);
		return;
	}
	node->links = Max(node->links, at + 1);
	vc_hnsw_set_link(shape, node, at, to, distance, false);
	if (shape->coded)
	{
		VcHnswFactors factors;

		vc_hnsw_encode(graph, v->query.rotated, v->offer_query.rotated, v->residual, v->code, &factors);
		vc_hnsw_change_code(graph, &hold, node, whole, at, v->code, &factors);
	}
	vc_hnsw_node_commit(graph, &hold, id, at);
}

/* Repair a node's links to its neighbours, or a hub's to others. */
static void
repair_node(VacuumState *v, VcHnswId id, bool far)
{
	VcHnswGraph		  *graph = &v->graph;
	const VcHnswShape *shape = &graph->shape;
	VcHold			   hold;
	const VcHnswNode  *node = vc_hnsw_node(graph, &hold, id);
	VcHnswId		   links[VC_HNSW_MAX_DEGREE];
	int				   level = node->level;
	Offers			   offers = {.far = far};
	int				   ndead = 0;
	int				   nlive = 0;
	int				   first;
	int				   end;
	int				   nlinks;
	int				   had;
	int				   wanted;
	int				   enough;
	int				   at;
	float			   scale;
	float			   distances[VC_HNSW_MAX_DEGREE];

	vc_hnsw_places(shape, node, far, &first, &end);
	nlinks = had = Min(end, node->links);
	wanted = far ? shape->far_links / 2 : shape->m;
	enough = (end - first) * 3 / 4;
	at = first;
	if ((node->flags & (VC_HNSW_USED | VC_HNSW_DEAD)) != VC_HNSW_USED)
	{
		vc_hnsw_done(graph, &hold);
		return;
	}
	memcpy(links, vc_hnsw_links(node), sizeof(VcHnswId) * nlinks);
	while ((node->flags & VC_HNSW_HUB) && had > first && links[had - 1] == VC_HNSW_NONE)
		had--; /* a hub's links are counted with the places that are empty */
	for (int i = first; i < nlinks; i++)
		ndead += is_dead(v, links[i]);
	if (ndead == 0)
	{
		vc_hnsw_done(graph, &hold);
		return;
	}
	memcpy(v->own, vc_hnsw_node_value(shape, node), vc_hnsw_value_size(shape, vc_hnsw_node_value(shape, node)));
	scale = node->scale;
	vc_hnsw_link_distances(graph, node, distances);
	vc_hnsw_done(graph, &hold);

	vc_hnsw_query_init_node(graph, &v->query, v->own, scale);
	find_guards(v, links, distances, first, nlinks);
	collect_offers(v, links, first, nlinks, ndead, &offers);

	/*
	 * The nearest that no nearer neighbour stands in front of, as an insert would choose; then, as long as it has few, the nearest of the
	 * rest. Without the first rule links get shorter with each vacuum, and searches get lost.
	 */
	for (int i = first; i < nlinks; i++)
		nlive += links[i] != VC_HNSW_NONE && !is_dead(v, links[i]);
	for (int pass = 0; pass < 2; pass++)
	{
		int looked_at = 0;

		for (Size next = 0; next < offers.nlive && looked_at < OFFERS_LOOKED_AT(shape, ndead); next++)
		{
			Offer *offer = &offers.live[next];
			float  their_scale;

			/* Places of dead links first; a node with few links gets more than it had. */
			while (at < nlinks && !is_dead(v, links[at]) && !(at >= had && links[at] == VC_HNSW_NONE))
				at++;
			if (at >= had && nlive >= wanted)
				break;
			if (at == nlinks)
			{
				if (nlinks == end)
					break;
				links[nlinks++] = VC_HNSW_NONE;
			}
			if (pass == 1 && nlive >= enough)
				break;
			if (offer->id == id || is_linked(links + first, nlinks - first, offer->id) ||
				!accept_offer(v, offer, level, far, &their_scale))
				continue;
			looked_at++;
			if (pass == 0 && is_guarded(v, offer, their_scale))
				continue;
			prepare_offer(v, their_scale);
			if (pass == 0 && is_dominated(v, id, links, first, nlinks, offer))
				continue;
			replace_link(v, id, at, links[at], offer);
			link_back(v, offer->id, id, offer->distance, far);
			links[at] = offer->id;
			nlive++;
		}
	}
	for (int i = first; i < nlinks; i++)
		if (is_dead(v, links[i]))
			replace_link(v, id, i, links[i], NULL);
	pfree(offers.live);
	pfree(offers.dead);
}

static void
repair_block(VacuumState *v, BlockNumber block)
{
	const VcHnswShape *shape = &v->graph.shape;

	if (!vc_hnsw_is_node_block(&v->graph, block))
		return;
	for (uint32 slot = 0; slot < shape->slots_per_page; slot++)
	{
		VcHnswId		  id = block * shape->slots_per_page + slot;
		VcHold			  hold;
		const VcHnswNode *node;
		bool			  needed = false;
		bool			  hub;

		if (is_dead(v, id))
			continue;
		node = vc_hnsw_node_header(&v->graph, &hold, id);
		if (node->flags & VC_HNSW_USED)
			for (int i = 0; i < node->links && !needed; i++)
				needed = is_dead(v, vc_hnsw_links(node)[i]);
		hub = (node->flags & VC_HNSW_HUB) != 0;
		vc_hnsw_done(&v->graph, &hold);
		if (needed)
			repair_node(v, id, false);
		if (needed && hub)
			repair_node(v, id, true);
	}
}

/* ---- pass 3 ---- */

/* Pages of a dead node's overflow list become empty pages of nodes, where a node is no larger than a page. */
static void
free_overflow(VacuumState *v, BlockNumber block)
{
	VcHnswGraph		  *graph = &v->graph;
	const VcHnswShape *shape = &graph->shape;

	while (block != InvalidBlockNumber && shape->pages_per_node == 1)
	{
		VcHold		hold;
		Page		page;
		BlockNumber next;

		vc_hold_init(&hold);
		page = vc_store_write_owned(&graph->store, &hold, block, VC_HNSW_TIDS, offsetof(VcHnswTids, tid));
		next = ((VcHnswTids *) VcPageGetPayload(page))->next;
		vc_page_init(page, VC_HNSW_MAGIC, VC_HNSW_NODES, vc_hnsw_head_bytes(shape));
		vc_store_commit(&graph->store, &hold);
		vc_hnsw_note_room(graph, block);
		block = next;
	}
}

static void
free_block(VacuumState *v, BlockNumber block)
{
	VcHnswGraph		  *graph = &v->graph;
	const VcHnswShape *shape = &graph->shape;
	bool			   any = false;

	for (uint32 slot = 0; slot < shape->slots_per_page; slot++)
	{
		VcHnswId	id = block * shape->slots_per_page + slot;
		VcHold		hold;
		VcHnswNode *node;
		const VcHnswNode *whole;
		BlockNumber overflow;

		if (!is_dead(v, id))
			continue;
		node = vc_hnsw_node_head_for_update(graph, &hold, id, &whole);
		overflow = node->level == 0 ? node->overflow : InvalidBlockNumber;
		node->flags = 0;
		node->links = 0;
		node->tids = 0;
		node->overflow = InvalidBlockNumber;
		vc_hnsw_node_commit(graph, &hold, id, -1);
		free_overflow(v, overflow);
		any = true;
	}
	if (any)
		vc_hnsw_note_room(graph, block);
}

/* ---- all ---- */

static void
for_each_block(VacuumState *v, BlockNumber nblocks, void (*pass)(VacuumState *v, BlockNumber block))
{
	for (BlockNumber block = VC_HNSW_META_BLOCK + 1; block < nblocks; block++)
	{
#if PG_VERSION_NUM >= 180000
		vacuum_delay_point(false);
#else
		vacuum_delay_point();
#endif
		pass(v, block);
	}
}

IndexBulkDeleteResult *
vc_hnsw_bulk_delete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats, IndexBulkDeleteCallback callback,
					void *callback_state)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "vc_hnsw vacuum", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old;
	VacuumState	  v = {0};

	if (stats == NULL)
		stats = palloc0(sizeof(IndexBulkDeleteResult));
	old = MemoryContextSwitchTo(context);
	v.stats = stats;
	v.callback = callback;
	v.callback_state = callback_state;
	stats->num_index_tuples = 0;
	vc_hnsw_open(&v.graph, info->index, VC_HNSW_TO_LINK);
	v.nblocks = vc_store_nblocks(&v.graph.store);
	v.dead = palloc_extended((Size) v.nblocks * v.graph.shape.slots_per_page / 8 + 1, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	v.upper_size = 1024;
	v.upper = palloc(sizeof(UpperNode) * v.upper_size);
	vc_hnsw_query_alloc(&v.graph, &v.query);
	vc_hnsw_query_alloc(&v.graph, &v.offer_query);
	v.own = palloc(v.graph.shape.value_bytes);
	v.theirs = palloc(v.graph.shape.value_bytes);
	v.guards = palloc(GUARDS * v.graph.shape.value_bytes);
	if (v.graph.shape.coded)
	{
		v.residual = palloc(sizeof(float) * v.graph.shape.padded);
		v.code = palloc(v.graph.shape.padded);
	}

	for_each_block(&v, v.nblocks, mark_block);
	if (v.graph.keys)
		vc_hnsw_keys_clean(&v.graph, callback, callback_state);
	if (v.ndead > 0)
	{
		mark_upper(&v);
		LockPage(info->index, VC_HNSW_INSERT_LOCK_BLOCK, ExclusiveLock);
		UnlockPage(info->index, VC_HNSW_INSERT_LOCK_BLOCK, ExclusiveLock);
		replace_entry(&v);
		/* Nodes added since the start may link to dead ones too, until the wait was over. */
		for_each_block(&v, vc_store_nblocks(&v.graph.store), repair_block);
		for_each_block(&v, v.nblocks, free_block);
		stats->pages_deleted = 0;
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return stats;
}

IndexBulkDeleteResult *
vc_hnsw_vacuum_cleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats)
{
	VcHnswGraph		  graph;
	VcHnswCalibration calibration;

	if (info->analyze_only)
		return stats;
	if (stats == NULL)
	{
		stats = palloc0(sizeof(IndexBulkDeleteResult));
		stats->num_index_tuples = info->num_heap_tuples;
		stats->estimated_count = true;
	}
	stats->num_pages = RelationGetNumberOfBlocks(info->index);
	FreeSpaceMapVacuum(info->index);

	/* What was measured of a smaller index holds no more. */
	if (vc_hnsw_calibration_is_due(info->index))
	{
		vc_hnsw_calibrate(info->index, &calibration);
		vc_hnsw_open(&graph, info->index, VC_HNSW_TO_SEARCH);
		vc_hnsw_set_calibration(&graph, &calibration);
	}
	return stats;
}
