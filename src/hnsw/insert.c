/*
 * insert.c
 *		Insertion of one value, into an index on disk and into one that is being built alike.
 *
 * After Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using Hierarchical Navigable Small
 * World graphs" (2018): the value's level is drawn at random; in each of its levels the ef_construction nearest nodes are
 * searched, m of them chosen so that none is nearer to another chosen one than to the value (then filled up with the nearest
 * of the rest), and the new node and each chosen one are linked both ways.
 *
 * Departures: the search for candidates stops when half of ef_construction have settled, or when more visits than that (PATIENCE) in
 * a row were not among the nearest half of ef_construction, or at six times as many: a graph's quality depends on candidates from all
 * around rather than on the last of the nearest, and on hard data a full search visits many times more. Above level 0, where one value
 * in 32 stands, the search is a full one: what upper levels do not lead to, searches may not find. All nodes of a level have the
 * same number of links (2m, rounded up to a FastScan block of 32), and a node that has them all decides about a new link from its
 * own page alone. Instead of pruning its neighbours against each other, it compares the newcomer with them, by estimates from the codes it holds: the query table of the new value, made for the search,
 * serves for that. Each link remembers whether it is spare, that is, whether a nearer neighbour makes up for it; a newcomer takes
 * the place of the farthest spare link, or, where there is none, of the farthest. The value's nearest node always links to it,
 * so that there is a way to every node.
 *
 * Order of writes: first the new node, whole, then each back link as a change of its own. Until the first back link a crash
 * leaves a node that nobody refers to; after it every state is a graph with fewer links. A value that the index has already is
 * no new node but a further heap TID of that one.
 */
#include "hnsw/lists.h"

#include <math.h>

#include "common/pg_prng.h"
#include "kernels/vc_kernels.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* So often in a row no vacuum gets in the way of one insert. */
#define MAX_TRIES 1000

/* A compact node has room for few row pointers; so many nodes of one value are made before one takes a page for them. */
#define TWINS 4

/*
 * After so many visits in a row that found nothing of interest, a search for candidates is over; on a level that it only passes through,
 * so many.
 */
#define PATIENCE(ef_construction) Max((ef_construction) * 5 / 8, 16)
#define DESCEND_PATIENCE 12

/* The same among hubs. */
#define FAR_PATIENCE 24

/* Above level 0 it visits at most so many, when rows are inserted into an index on disk. */
#define UPPER_VISITS(ef_construction) (16 * (ef_construction))

/* A search for candidates finds about so many nodes for each that is wanted, where data are hard. */
#define KEPT 4

/* What is decided for one level before anything is written; or for a hub's links to other hubs. */
typedef struct LevelPlan
{
	uint32		nchosen;
	uint32		most;	  /* that may be chosen */
	int			first;	  /* place of the first in the image */
	VcHnswId   *chosen;	  /* [most], nearest first */
	float	   *distance; /* [most], from the value */
	float	   *rotated;  /* [most][padded], the chosen values; coded only */
	VcHnswNode *image;	  /* [slot_size], the node to be; a hub's two plans share it */
} LevelPlan;

/* A node that the new one is to link to in another's place. */
typedef struct Adopted
{
	VcHnswId	  id;
	float		  distance;
	VcHnswFactors factors;
	uint8		 *code; /* [padded]; coded only */
} Adopted;

struct VcHnswInserter
{
	VcHnswGraph	 *graph;
	VcHnswQuery	  query;
	VcHnswSearch *search;
	VcHnswLists	 *lists; /* null but in a build */

	VcHnswOrdered *order; /* [order_size]: distances and places of what a search found */
	uint32		   order_size;

	VcHnswFound *candidates; /* [ef_construction], nearest first */
	uint32		 ncandidates;
	const void **values; /* [ef_construction], theirs; compact: as rotated vectors */
	char		*copies; /* [ef_construction][copy_stride], where they cannot be looked at in place */
	char		*kept;	 /* [KEPT * ef_construction][copy_stride]: values that the search kept */
	float		*error2; /* [ef_construction], vc_hnsw_error2; compact only */
	bool		*equal;	 /* [ef_construction]: the node is one of the new value */

	VcHnswStored stored;	   /* the new value */
	char		*stored_room; /* [value_bytes]; compact only */
	float		*own_rotated;  /* the vector that it stands for, rotated: query.rotated unless compact */

	const VcKeyRow *keys; /* of the row, where there are key columns */
	VcHnswId        row;  /* the node of level 0 it was put into */

	VcHnswId *lost; /* [m], or [far_links] if those are more: what links led to that have been given to the new node */
	uint32	  nlost;
	Adopted	 *adopted; /* as many */

	LevelPlan plans[VC_HNSW_MAX_LEVEL + 1];
	LevelPlan far; /* of a hub; compact only */
	bool	  hub; /* the new node is to be one */
	float	 *residual; /* [padded] */
	uint8	 *code;		/* [padded] */
};

static Size
copy_stride(const VcHnswShape *shape)
{
	return MAXALIGN(shape->compact ? sizeof(float) * shape->padded : shape->value_bytes);
}

VcHnswInserter *
vc_hnsw_inserter_new(VcHnswGraph *graph)
{
	const VcHnswShape *shape = &graph->shape;
	VcHnswInserter	  *in = palloc0(sizeof(VcHnswInserter));
	uint32			   most = Max(shape->m, shape->far_links);

	in->graph = graph;
	vc_hnsw_query_alloc(graph, &in->query);
	in->search = vc_hnsw_search_new(graph);
	in->candidates = palloc(sizeof(VcHnswFound) * shape->ef_construction);
	in->order_size = 2 * shape->ef_construction;
	in->order = palloc(sizeof(VcHnswOrdered) * in->order_size);
	in->values = palloc(sizeof(void *) * shape->ef_construction);
	in->equal = palloc(sizeof(bool) * shape->ef_construction);
	in->own_rotated = in->query.rotated;
	if (shape->compact)
	{
		in->error2 = palloc(sizeof(float) * shape->ef_construction);
		in->stored_room = palloc(shape->value_bytes);
		in->own_rotated = palloc(sizeof(float) * shape->padded);
	}
	in->copies = palloc_extended(copy_stride(shape) * shape->ef_construction, MCXT_ALLOC_HUGE);
	if (graph->store.arena == NULL && !shape->compact)
	{
		/* A second visit for a candidate's value would cost as much as its copy. */
		in->kept = palloc_extended(copy_stride(shape) * KEPT * shape->ef_construction, MCXT_ALLOC_HUGE);
		vc_hnsw_search_keep_values(in->search, in->kept, copy_stride(shape), KEPT * shape->ef_construction);
	}
	in->lost = palloc(sizeof(VcHnswId) * most);
	in->adopted = palloc0(sizeof(Adopted) * most);
	if (shape->coded)
	{
		in->residual = palloc(sizeof(float) * shape->padded);
		in->code = palloc(shape->padded);
		for (uint32 i = 0; i < most; i++)
			in->adopted[i].code = palloc(shape->padded);
	}
	return in;
}

void
vc_hnsw_inserter_use_lists(VcHnswInserter *in, VcHnswLists *lists)
{
	in->lists = lists;
}

static void
plan_alloc(VcHnswInserter *in, LevelPlan *plan, uint32 most)
{
	const VcHnswShape *shape = &in->graph->shape;
	MemoryContext	   old = MemoryContextSwitchTo(GetMemoryChunkContext(in));

	plan->most = most;
	plan->chosen = palloc(sizeof(VcHnswId) * most);
	plan->distance = palloc(sizeof(float) * most);
	if (shape->coded)
		plan->rotated = palloc_extended(sizeof(float) * shape->padded * most, MCXT_ALLOC_HUGE);
	MemoryContextSwitchTo(old);
}

static LevelPlan *
level_plan(VcHnswInserter *in, int level)
{
	const VcHnswShape *shape = &in->graph->shape;
	LevelPlan		  *plan = &in->plans[level];

	if (plan->image == NULL)
	{
		plan_alloc(in, plan, shape->m);
		plan->image = MemoryContextAlloc(GetMemoryChunkContext(in), shape->slot_size);
	}
	memset(plan->image, 0, shape->slot_size);
	plan->nchosen = 0;
	return plan;
}

/* The plan of a hub's links to others; the image is that of level 0, which has been planned. */
static LevelPlan *
far_plan(VcHnswInserter *in)
{
	const VcHnswShape *shape = &in->graph->shape;
	LevelPlan		  *plan = &in->far;

	if (plan->chosen == NULL)
		plan_alloc(in, plan, shape->far_links);
	plan->image = in->plans[0].image;
	plan->first = shape->degree - shape->far_links;
	plan->nchosen = 0;
	return plan;
}

/* A level drawn so that each holds a 32nd of the nodes of the one below. A compact node of any above 0 is a hub. */
static int
draw_level(const VcHnswShape *shape)
{
	uint32 mask = (1 << shape->level_bits) - 1;
	int	   level = 0;

	while (level < VC_HNSW_MAX_LEVEL && (pg_prng_uint32(&pg_global_prng_state) & mask) == 0)
		level++;
	return level;
}

#define ST_SORT sort_ordered
#define ST_ELEMENT_TYPE VcHnswOrdered
#define ST_COMPARE(a, b) (*(a) < *(b) ? -1 : *(a) > *(b))
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

static bool
any_live(VcHnswInserter *in)
{
	uint32		 n;
	VcHnswFound *found = vc_hnsw_search_found(in->search, &n);

	for (uint32 i = 0; i < n; i++)
		if (!(found[i].flags & VC_HNSW_DEAD))
			return true;
	return false;
}

/*
 * Search a level for candidates. While vacuum is at work the nearest nodes may all be dead; a value must be linked to live ones,
 * or those would be lost to searches that start at it.
 */
static void
search_candidates(VcHnswInserter *in, VcHnswId start, int level)
{
	const VcHnswShape *shape = &in->graph->shape;
	uint32			   ef = (shape->ef_construction + 1) / 2;
	/* Without codes every neighbour seen is a node found. */
	uint32			   limit = shape->coded ? 2 * shape->ef_construction : UINT32_MAX;

	if (shape->coded && level > 0 && in->graph->store.wal)
	{
		ef = shape->ef_construction;
		limit = UPPER_VISITS(shape->ef_construction);
	}
	else if (shape->coded)
	{
		vc_hnsw_search_few(in->search, &in->query, start, ef, PATIENCE(shape->ef_construction));
		if (any_live(in))
			return;
	}
	vc_hnsw_search_start(in->search, &in->query, start);
	while (vc_hnsw_search_run(in->search, ef, limit) && !any_live(in) && limit < UINT32_MAX / 2)
		limit *= 2;
}

/* From the entry down to (not into) `level`, as vc_hnsw_descend goes, but to the first node that has no nearer neighbour. */
static VcHnswId
descend(VcHnswInserter *in, VcHnswId entry, int from, int level)
{
	if (!in->graph->shape.coded)
		return vc_hnsw_descend(in->graph, in->search, &in->query, entry, from, level);
	for (; from > level && entry != VC_HNSW_NONE; from--)
	{
		vc_hnsw_search_few(in->search, &in->query, entry, 1, DESCEND_PATIENCE);
		entry = vc_hnsw_search_nearest(in->search, true);
	}
	return entry;
}

/* Find candidates of level 0 by the lists. */
static void
scan_candidates(VcHnswInserter *in)
{
	const VcHnswId *ids;
	uint32			n = vc_hnsw_lists_search(in->lists, &in->query, &ids);

	vc_hnsw_search_reset(in->search);
	vc_hnsw_search_visit(in->search, &in->query, ids, n);
}

/* The node of level 0 that stands below the entry, if it is live. */
static VcHnswId
live_below(VcHnswInserter *in, VcHnswId entry)
{
	VcHnswId id = entry;

	for (int level = VC_HNSW_MAX_LEVEL; level >= 0 && id != VC_HNSW_NONE; level--)
	{
		VcHold			  hold;
		const VcHnswNode *node = vc_hnsw_node_header(in->graph, &hold, id);
		bool			  live = (node->flags & (VC_HNSW_USED | VC_HNSW_DEAD)) == VC_HNSW_USED;
		bool			  arrived = node->level == 0;
		VcHnswId		  down = node->down;

		vc_hnsw_done(in->graph, &hold);
		if (arrived)
			return live ? id : VC_HNSW_NONE;
		id = down;
	}
	return VC_HNSW_NONE;
}

/* From what was found take the ef_construction nearest live nodes of the level, or hubs, and look up their values. */
static void
collect_candidates(VcHnswInserter *in, int level, bool hubs)
{
	VcHnswGraph		  *graph = in->graph;
	const VcHnswShape *shape = &graph->shape;
	bool			   in_place = graph->store.arena != NULL && shape->pages_per_node == 1 && !shape->compact;
	uint32			   nfound;
	VcHnswFound		  *found = vc_hnsw_search_found(in->search, &nfound);
	uint32			   live = 0;

	if (nfound > in->order_size)
	{
		in->order_size = nfound * 2;
		in->order = repalloc_huge(in->order, sizeof(VcHnswOrdered) * in->order_size);
	}
	for (uint32 i = 0; i < nfound; i++)
		if (!(found[i].flags & VC_HNSW_DEAD) && !isnan(found[i].distance) && (!hubs || found[i].flags & VC_HNSW_HUB))
			in->order[live++] = vc_hnsw_ordered(found[i].distance, i);
	sort_ordered(in->order, live);
	in->ncandidates = 0;
	for (uint32 o = 0; o < live && in->ncandidates < shape->ef_construction; o++)
	{
		uint32			  i = (uint32) in->order[o];
		VcHold			  hold;
		const VcHnswNode *node;
		uint32			  n = in->ncandidates;

		in->values[n] = vc_hnsw_search_value(in->search, i);
		if (in->values[n])
		{
			/* It was found to be live, and vacuum frees no node before this insertion is over. */
			if (found[i].level == level)
			{
				in->candidates[n] = found[i];
				in->equal[n] = vc_hnsw_same_value(shape, in->values[n], in->stored.value);
				in->ncandidates++;
			}
			continue;
		}
		node = vc_hnsw_node(graph, &hold, found[i].id);

		if ((node->flags & (VC_HNSW_USED | VC_HNSW_DEAD)) == VC_HNSW_USED && node->level == level)
		{
			in->candidates[n] = found[i];
			if (in_place)
				in->values[n] = vc_hnsw_node_value(shape, node); /* never changes once the node is there */
			else
			{
				char	   *copy = in->copies + copy_stride(shape) * n;
				const void *value = vc_hnsw_node_value(shape, node);

				if (shape->compact)
				{
					vc_hnsw_rotated(graph, value, node->scale, (float *) copy);
					in->error2[n] = vc_hnsw_error2(graph, node);
				}
				else
					memcpy(copy, value, vc_hnsw_value_size(shape, value));
				in->values[n] = copy;
			}
			in->equal[n] = vc_hnsw_has_value(shape, node, &in->stored);
			in->ncandidates++;
		}
		vc_hnsw_done(graph, &hold);
	}
}

/* Add a neighbour to the image of the node to be. */
static void
plan_link(VcHnswInserter *in, LevelPlan *plan, uint32 candidate, bool spare)
{
	VcHnswGraph		  *graph = in->graph;
	const VcHnswShape *shape = &graph->shape;
	VcHnswNode		  *image = plan->image;
	uint32			   i = plan->nchosen++;
	int				   place = plan->first + (int) i;

	plan->chosen[i] = in->candidates[candidate].id;
	plan->distance[i] = in->candidates[candidate].distance;
	vc_hnsw_set_link(shape, image, place, plan->chosen[i], plan->distance[i], spare);
	image->links = Max(image->links, place + 1);
	if (shape->coded)
	{
		float			*rotated = plan->rotated + (Size) shape->padded * i;
		VcHnswFactors factors;

		if (shape->compact)
			memcpy(rotated, in->values[candidate], sizeof(float) * shape->padded);
		else
			vc_hnsw_rotated(graph, in->values[candidate], in->candidates[candidate].scale, rotated);
		vc_hnsw_encode(graph, rotated, in->own_rotated, in->residual, in->code, &factors);
		vc_hnsw_set_code(shape, image, place, in->code, &factors);
	}
}

/* The distance between two candidates. */
static inline float
distance_between(VcHnswInserter *in, uint32 a, uint32 b)
{
	const VcHnswShape *shape = &in->graph->shape;

	if (!shape->compact)
		return in->graph->metric->distance(in->values[a], in->candidates[a].scale, in->values[b], in->candidates[b].scale,
										   shape->dim);
	/* Both vectors are off their values, in directions that have nothing to do with each other. */
	if (in->graph->metric->kind == VC_METRIC_IP_LINKING)
	{
		VcDots dots = vc_kernels->dots_f32(in->values[a], in->values[b], shape->padded);

		return (dots.aa + dots.bb - in->error2[a] - in->error2[b]) / 2 - 2 * dots.ab;
	}
	return vc_kernels->l2sq_f32(in->values[a], in->values[b], shape->padded) - in->error2[a] - in->error2[b];
}

/* Choose the neighbours among the candidates and make the image's links. */
static void
choose_links(VcHnswInserter *in, LevelPlan *plan)
{
	uint32			   n = in->ncandidates;
	bool			   taken[VC_HNSW_MAX_EF_CONSTRUCTION] = {0};
	uint32			   chosen[VC_HNSW_MAX_M];
	uint32			   nchosen = 0;
	uint32			   nspare;

	for (uint32 i = 0; i < n && nchosen < plan->most; i++)
	{
		bool good = true;

		for (uint32 j = 0; j < nchosen && good; j++)
			good = distance_between(in, i, chosen[j]) >= in->candidates[i].distance;
		if (good)
		{
			chosen[nchosen++] = i;
			taken[i] = true;
		}
	}
	nspare = plan->most - nchosen;
	plan->image->scale = in->stored.scale; /* compact: the unit of the links' factors */
	/* Nearest first, so that the first link is to the nearest. */
	for (uint32 i = 0; i < n; i++)
	{
		if (taken[i])
			plan_link(in, plan, i, false);
		else if (nspare > 0)
		{
			plan_link(in, plan, i, true);
			nspare--;
		}
	}
}

/*
 * Search the hubs for those that the new one is to be linked with, after its neighbours have been planned. False where the
 * entry is no hub, so that no way leads to any.
 */
static bool
plan_far(VcHnswInserter *in, VcHnswId entry)
{
	const VcHnswFound *start;
	LevelPlan		  *plan = far_plan(in);

	vc_hnsw_search_far_only(in->search, true);
	vc_hnsw_search_few(in->search, &in->query, entry, 2 * plan->most, FAR_PATIENCE);
	vc_hnsw_search_far_only(in->search, false);
	collect_candidates(in, 0, true);
	choose_links(in, plan);
	start = vc_hnsw_search_lookup(in->search, entry);
	return start && start->flags & VC_HNSW_HUB;
}

/* Whether the node to be has a link to this one. */
static bool
links_to(const LevelPlan *plan, VcHnswId id)
{
	for (uint32 i = 0; i < plan->nchosen; i++)
		if (plan->chosen[i] == id)
			return true;
	return false;
}

/* What becomes of a newcomer at a node: the link it takes, or -1, whether that link is spare, and what it led to before. */
typedef struct Place
{
	int		 link;
	bool	 spare;
	VcHnswId before;
} Place;

/*
 * Find a newcomer at `distance` a place among the links of a node as vc_hnsw_node_head_for_update gave it; between[] are its
 * neighbours' distances from the newcomer. A free place is taken at once; otherwise, of the spare links the farthest gives way, and if
 * there is none the farthest of all; never to a newcomer that is spare itself or farther, unless forced.
 *
 * A link is not spare because of a newcomer that does not lead on to where it led, or nothing might in the end. So only
 * those become spare that are to nodes the newcomer links to; and if there are any that are farther than the newcomer, one of
 * them gives way.
 *
 * A hub's neighbours and the hubs that it is linked with have places of their own, and do not compete.
 */
static Place
find_place(const VcHnswGraph *graph, VcHnswNode *node, const VcHnswNode *whole, const float *between, float distance,
		   bool force, bool far, const LevelPlan *plan)
{
	const VcHnswShape *shape = &graph->shape;

	float distances[VC_HNSW_MAX_DEGREE];
	Place place = {-1, false, VC_HNSW_NONE};
	int	  farthest = -1;
	int	  farthest_spare = -1;
	int	  farthest_known = -1;
	int	  had = node->links;
	int	  first;
	int	  end;

	vc_hnsw_places(shape, node, far, &first, &end);
	vc_hnsw_link_distances(graph, whole, distances);
	for (int i = first; i < Min(end, node->links); i++)
	{
		float	 d = distances[i];
		VcHnswId id = vc_hnsw_links(node)[i];
		bool	 spare;

		if (id == VC_HNSW_NONE)
		{
			place.link = i;
			continue;
		}
		spare = vc_hnsw_link_is_spare(shape, node, i);
		if (d <= distance)
			place.spare |= between[i] < distance;
		else if ((spare || between[i] < d) && links_to(plan, id))
		{
			if (!spare)
				vc_hnsw_link_make_spare(shape, node, i);
			spare = true;
			if (farthest_known < 0 || d > distances[farthest_known])
				farthest_known = i;
		}
		if (farthest < 0 || d > distances[farthest])
			farthest = i;
		if (spare && (farthest_spare < 0 || d > distances[farthest_spare]))
			farthest_spare = i;
	}
	if (place.link >= 0)
		return place;
	if (node->links < end)
		place.link = node->links++;
	else if (farthest_known >= 0)
		place.link = farthest_known;
	else if (farthest_spare >= 0 && (force || !place.spare || distances[farthest_spare] > distance))
		place.link = farthest_spare;
	else if (force || (!place.spare && distances[farthest] > distance))
		place.link = farthest;
	if (place.link >= 0 && place.link < had && place.link != farthest_known)
		place.before = vc_hnsw_links(node)[place.link];
	return place;
}

/* Without codes the distances between a node's neighbours and the newcomer are computed, with the node unlocked. */
static void
compute_between(VcHnswInserter *in, const VcHnswId *links, int n, float *between)
{
	VcHnswGraph *graph = in->graph;

	for (int i = 0; i < n; i++)
	{
		VcHold			  hold;
		const VcHnswNode *node;

		between[i] = INFINITY;
		if (links[i] == VC_HNSW_NONE)
			continue;
		node = vc_hnsw_node(graph, &hold, links[i]);
		if (node->flags & VC_HNSW_USED)
			between[i] = vc_hnsw_distance(graph, &in->query, node);
		vc_hnsw_done(graph, &hold);
	}
}

/* Link the i-th node of a plan to the new node. */
static void
link_back(VcHnswInserter *in, LevelPlan *plan, uint32 i, VcHnswId newcomer, int level)
{
	VcHnswId		   id = plan->chosen[i];
	float			   distance = plan->distance[i];
	bool			   force = i == 0;
	bool			   far = plan == &in->far;
	VcHnswGraph		  *graph = in->graph;
	const VcHnswShape *shape = &graph->shape;
	VcHnswNode		  *node;
	const VcHnswNode  *whole;
	VcHold			   hold;
	VcHnswId		   seen[VC_HNSW_MAX_DEGREE];
	float			   between[VC_HNSW_MAX_DEGREE];
	float			   rescales[VC_HNSW_MAX_DEGREE];
	int				   nseen = 0;
	int				   at;
	Place			   place;

retry:
	node = vc_hnsw_node_head_for_update(graph, &hold, id, &whole);
	if ((node->flags & (VC_HNSW_USED | VC_HNSW_DEAD)) != VC_HNSW_USED || node->level != level)
	{
		vc_hnsw_done(graph, &hold);
		return;
	}
	if (shape->coded)
		vc_hnsw_estimate(graph, &in->query, whole, distance, between, rescales);
	else if (node->links < shape->degree)
	{
		/* Computing them would cost a visit each; while there is room it does not matter which links are spare. */
		for (int i = 0; i < node->links; i++)
			between[i] = INFINITY;
	}
	else if (nseen != node->links || memcmp(seen, vc_hnsw_links(node), sizeof(VcHnswId) * nseen) != 0)
	{
		nseen = node->links;
		memcpy(seen, vc_hnsw_links(node), sizeof(VcHnswId) * nseen);
		vc_hnsw_done(graph, &hold);
		compute_between(in, seen, nseen, between);
		CHECK_FOR_INTERRUPTS();
		goto retry;
	}
	place = find_place(graph, node, whole, between, distance, force, far, plan);
	at = place.link;
	if (at < 0)
	{
		vc_hnsw_done(graph, &hold);
		return;
	}

	vc_hnsw_set_link(shape, node, at, newcomer, distance, place.spare);
	if (shape->coded)
	{
		const float	 *rotated = plan->rotated + (Size) shape->padded * i;
		VcHnswFactors factors;

		vc_hnsw_encode(graph, in->own_rotated, rotated, in->residual, in->code, &factors);
		vc_hnsw_change_code(graph, &hold, node, whole, at, in->code, &factors);
	}
	vc_hnsw_node_commit(graph, &hold, id, at);
	if (place.before != VC_HNSW_NONE)
	{
		in->lost[in->nlost++] = place.before;
		vc_hnsw_search_expect(in->search, place.before);
	}
}

/* The code and the distance of a node that the new one is to link to; false where it is no longer there. */
static bool
prepare_link(VcHnswInserter *in, VcHnswId id, int level, Adopted *adopted)
{
	VcHnswGraph		  *graph = in->graph;
	const VcHnswShape *shape = &graph->shape;
	VcHold			   hold;
	const VcHnswNode  *node = vc_hnsw_node(graph, &hold, id);
	bool			   there = (node->flags & (VC_HNSW_USED | VC_HNSW_DEAD)) == VC_HNSW_USED && node->level == level;

	if (there)
	{
		adopted->id = id;
		adopted->distance = vc_hnsw_distance(graph, &in->query, node);
		if (shape->coded)
			vc_hnsw_rotated(graph, vc_hnsw_node_value(shape, node), node->scale, in->residual);
	}
	vc_hnsw_done(graph, &hold);
	if (there && shape->coded)
		vc_hnsw_encode(graph, in->residual, in->own_rotated, in->residual, adopted->code, &adopted->factors);
	return there && !isnan(adopted->distance);
}

/*
 * Where links gave way to the new node, let it lead on to where they led, as far as it has room. So whatever could be come to can
 * still be.
 */
static void
adopt_lost(VcHnswInserter *in, VcHnswId id, int level, bool far)
{
	VcHnswGraph		  *graph = in->graph;
	const VcHnswShape *shape = &graph->shape;
	uint32			   n = 0;

	for (uint32 i = 0; i < in->nlost; i++)
		n += prepare_link(in, in->lost[i], level, &in->adopted[n]);
	in->nlost = 0;
	for (uint32 i = 0; i < n;)
	{
		VcHold		hold;
		VcHnswNode *node = vc_hnsw_node_for_update(graph, &hold, id);
		int			at = -1;

		/* Of a node of many pages, one link at a time can be changed. */
		for (bool more = true; more && i < n; i++)
		{
			Adopted *adopted = &in->adopted[i];
			int		 place = -1;
			bool	 linked = node->level != level || (node->flags & (VC_HNSW_USED | VC_HNSW_DEAD)) != VC_HNSW_USED;
			int		 first;
			int		 end;

			vc_hnsw_places(shape, node, far, &first, &end);
			for (int j = first; j < Min(end, node->links); j++)
			{
				linked |= vc_hnsw_links(node)[j] == adopted->id;
				if (vc_hnsw_links(node)[j] == VC_HNSW_NONE)
					place = j;
			}
			if (place < 0 && node->links < end)
				place = node->links;
			if (linked || place < 0)
				continue;
			at = place;
			node->links = Max(node->links, at + 1);
			vc_hnsw_set_link(shape, node, at, adopted->id, adopted->distance, true);
			if (shape->coded)
				vc_hnsw_set_code(shape, node, at, adopted->code, &adopted->factors);
			more = shape->pages_per_node <= VC_STORE_MAX_PAGES;
		}
		if (at >= 0)
			vc_hnsw_node_commit(graph, &hold, id, at);
		else
			vc_hnsw_done(graph, &hold);
	}
}

/* Fill in what a node says of itself. */
static void
plan_node(VcHnswInserter *in, LevelPlan *plan, const VcValue *value, int level, VcHnswId down, ItemPointer tid)
{
	const VcHnswShape *shape = &in->graph->shape;
	VcHnswNode		  *image = plan->image;

	image->flags = VC_HNSW_USED | (value->is_zero ? VC_HNSW_APART : 0);
	image->level = level;
	if (in->hub)
	{
		image->flags |= VC_HNSW_HUB;
		image->links = shape->degree;
		for (int i = in->plans[0].nchosen; i < shape->degree; i++)
			if (i < in->far.first || i >= in->far.first + (int) in->far.nchosen)
				vc_hnsw_links(image)[i] = VC_HNSW_NONE;
	}
	if (level == 0)
	{
		image->overflow = InvalidBlockNumber;
		image->tid[0] = *tid;
		image->tids = 1;
		if (in->graph->keys)
			vc_keys_put(&in->graph->keys->node, vc_hnsw_node_keys(shape, image), 0, in->keys);
	}
	else
		image->down = down;
	vc_hnsw_set_value(shape, image, &in->stored);
}

/* If a candidate has this very value, make the heap row another one of it. */
static bool
add_to_equal(VcHnswInserter *in, ItemPointer tid)
{
	uint32 nequal = 0;

	/* Versions of a row come and go: a further small node is better than a page for each of several rows. */
	if (in->graph->shape.compact)
	{
		for (uint32 i = 0; i < in->ncandidates; i++)
		{
			nequal += in->equal[i];
			if (in->equal[i] &&
				vc_hnsw_node_add_tid(in->graph, in->candidates[i].id, &in->stored, tid, in->keys, false))
			{
				in->row = in->candidates[i].id;
				return true;
			}
		}
		if (nequal < TWINS)
			return false;
	}
	for (uint32 i = 0; i < in->ncandidates; i++)
		if (in->equal[i] && vc_hnsw_node_add_tid(in->graph, in->candidates[i].id, &in->stored, tid, in->keys, true))
		{
			in->row = in->candidates[i].id;
			return true;
		}
	return false;
}

static bool
insert_value(VcHnswInserter *in, const VcValue *value, ItemPointer tid)
{
	VcHnswGraph *graph = in->graph;
	int			 level = draw_level(&graph->shape);
	VcHnswId	 entry;
	VcHnswId	 id;
	int			 entry_level;
	BlockNumber	 fill_block = graph->fill_block;
	int			 tries = 0;
	bool		 by_lists = in->lists && vc_hnsw_lists_usable(in->lists);
	bool		 has_hubs = graph->shape.far_links > 0;
	bool		 entry_is_hub = true;
	bool		 to_be_hub = has_hubs && level > 0;

	in->hub = false;
	if (has_hubs)
		level = 0;
	if (value->is_zero)
	{
		LevelPlan *plan = level_plan(in, 0);

		/* For the page where the last insert found room. */
		(void) vc_hnsw_entry(graph, &entry, &entry_level);
		fill_block = graph->fill_block;
		vc_hnsw_store_value(graph, value, NULL, in->stored_room, &in->stored);
		plan_node(in, plan, value, 0, VC_HNSW_NONE, tid);
		in->row = vc_hnsw_node_add(graph, plan->image);
		if (in->row == VC_HNSW_NONE)
			return false;
		if (graph->store.arena == NULL && graph->fill_block != fill_block)
			vc_hnsw_note(graph, VC_HNSW_NONE, 0);
		return true;
	}

	vc_hnsw_query_init(graph, &in->query, value);
	vc_hnsw_store_value(graph, value, in->query.rotated, in->stored_room, &in->stored);
	if (graph->shape.compact)
		vc_hnsw_rotated(graph, in->stored.value, in->stored.scale, in->own_rotated);
	for (;;)
	{
		VcHnswId start;

		if (!vc_hnsw_entry(graph, &entry, &entry_level))
		{
			LevelPlan *plan = level_plan(in, 0);

			in->hub = has_hubs;
			if (in->hub)
				(void) far_plan(in);
			plan_node(in, plan, value, 0, VC_HNSW_NONE, tid);
			if (vc_hnsw_node_add_first(graph, plan->image, &id))
			{
				in->row = id;
				if (by_lists && id != VC_HNSW_NONE)
				{
					scan_candidates(in);
					vc_hnsw_lists_add(in->lists, id, in->own_rotated);
				}
				return id != VC_HNSW_NONE;
			}
			in->hub = false;
			continue;
		}
		if (by_lists && level == 0)
		{
			/* Most values need no way down. */
			scan_candidates(in);
			collect_candidates(in, 0, false);
			if (add_to_equal(in, tid))
				return true;
			if (in->ncandidates > 0)
			{
				choose_links(in, level_plan(in, 0));
				break;
			}
		}
		start = descend(in, entry, entry_level, Min(level, entry_level));
		for (int l = Min(level, entry_level); l >= 0 && start != VC_HNSW_NONE; l--)
		{
			if (by_lists && l == 0)
				scan_candidates(in);
			else
				search_candidates(in, start, l);
			collect_candidates(in, l, false);
			/* What is dead may lead to nothing but what is dead; what lives is not to be left behind for that. */
			if (l == 0 && in->ncandidates == 0 && (start = live_below(in, entry)) != VC_HNSW_NONE)
			{
				search_candidates(in, start, l);
				collect_candidates(in, l, false);
			}
			if (l == 0 && add_to_equal(in, tid))
				return true;
			choose_links(in, level_plan(in, l));
			start = vc_hnsw_search_nearest(in->search, l > 0);
		}
		if (start != VC_HNSW_NONE)
			break;
		/* The way led through a node that vacuum has just taken out; the next try finds another, unless there never was one. */
		if (++tries == MAX_TRIES)
			vc_page_corrupted(graph->store.index, vc_hnsw_block(&graph->shape, entry),
							  "no way leads from the entry, node %u on level %d, to level 0", entry, entry_level);
		CHECK_FOR_INTERRUPTS();
	}

	if (to_be_hub)
	{
		entry_is_hub = plan_far(in, entry);
		in->hub = true;
	}
	id = VC_HNSW_NONE;
	for (int l = 0; l <= level; l++)
	{
		LevelPlan *plan = l <= entry_level ? &in->plans[l] : level_plan(in, l);

		plan_node(in, plan, value, l, id, tid);
		id = vc_hnsw_node_add(graph, plan->image);
		if (id == VC_HNSW_NONE)
		{
			/* Out of room above level 0: the value is in the index, only not on that level. */
			if (l > 0)
				return true;
			return false;
		}
		if (l == 0)
			in->row = id;
		for (uint32 i = 0; i < plan->nchosen; i++)
			link_back(in, plan, i, id, l);
		adopt_lost(in, id, l, false);
	}
	for (uint32 i = 0; in->hub && i < in->far.nchosen; i++)
		link_back(in, &in->far, i, id, 0);
	if (in->hub)
		adopt_lost(in, id, 0, true);
	if (by_lists)
		vc_hnsw_lists_add(in->lists, in->row, in->own_rotated);
	/* Among dead nodes only, nothing leads to the new one unless searches start there. */
	if (in->plans[0].nchosen == 0 || !entry_is_hub)
		vc_hnsw_replace_entry(graph, entry, id, level);
	else if (level > entry_level || (graph->store.arena == NULL && graph->fill_block != fill_block))
		vc_hnsw_note(graph, level > entry_level ? id : VC_HNSW_NONE, level);
	return true;
}

bool
vc_hnsw_insert(VcHnswInserter *in, const VcValue *value, const VcKeyRow *keys, ItemPointer tid)
{
	in->keys = keys;
	in->nlost = 0;
	if (!insert_value(in, value, tid))
		return false;
	/* Last, so that whoever finds the row in the list finds it in its node. */
	if (in->graph->keys && in->graph->store.wal)
		vc_hnsw_keys_add(in->graph, in->row, tid, keys);
	return true;
}
