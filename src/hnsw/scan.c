/*
 * scan.c
 *		Ordered index scans: SELECT ... ORDER BY column <-> query [LIMIT n].
 *
 * The search finds the ef_search nearest rows; all but the last quarter are returned in order of their exact distances. If more rows are
 * wanted, because of a larger LIMIT or because a WHERE clause rejected some, it goes on with ef doubled, as often as needed. What a
 * wider search finds nearer than rows already returned comes too late to be returned in order, so it is kept for the end.
 *
 * With vc_hnsw.target_recall the index's own measure gives ef (calibrate.c); rows are returned up to the rank that ef is good for, and then ef
 * is doubled.
 *
 * Once ef comes near the number of nodes, walking the graph costs more than reading the index from end to end, and that is
 * what is done: for small indexes at once, so that they give exact answers, and for large ones after a long scan. The
 * sweep also finds what no link leads to, such as zero vectors under cosine, so that a scan without LIMIT returns
 * every row. It takes eight bytes a node.
 *
 * Of a compact index (rerank.c) a node's distance is known roughly, with a lower bound. Nodes then wait by that bound; when it comes
 * up, the node's value is fetched from the table, and its rows wait anew, by their exact distance. A row is returned when no bound is
 * lower. So no more values are fetched than the codes' errors make necessary, without knowing how many rows will be wanted. A bound that
 * was too high, one in thirty thousand, is one more way for a row to come too late. Nor is a value fetched where the node is nearer
 * than all the others without doubt: its rows are next, and the executor has no use for their distance.
 *
 * Scans hold no lock between rows. A node may therefore be emptied or reused by vacuum after it was found. Rows are looked up
 * under the query's snapshot, in which a heap TID that vacuum has given to another row is not visible, so no wrong row can
 * come of that.
 */
#include "hnsw/rerank.h"

#include <math.h>

#include "access/relscan.h"
#include "am/peek.h"
#include "am/scan.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/predicate.h"
#include "types/check.h"
#include "utils/memutils.h"

/* A sweep of the whole index is cheaper than a search for more than this share of its nodes. */
#define SWEEP_SHARE 4

/* After so many nodes, and whenever there are twice as many, a search asks whether the list of keys is the shorter way. */
#define FIRST_LOOK 32

/* The visits that settle one node where data are neither easy nor hard, and how many settled nodes say as much. */
#define USUAL_VISITS 2.0
#define USUAL_WEIGHT 16.0

/*
 * A node is nearer than others without doubt when that much more than the error that bounds allow for would not change it: six
 * deviations of its own distance beside four or more of the others', which a row in a thousand million exceeds.
 */
#define WITHOUT_DOUBT 1.5f

/* Of the rows that wait, so many are brought into the CPU's cache at once: those of a LIMIT of 10. */
#define EXPECTED 12

/* Of each, where the executor will read it: the head that says who sees it. */
#define EXPECTED_BYTES 64

typedef struct Waiting
{
	float	 distance; /* compact: what it is at least */
	VcHnswId id;
} Waiting;

typedef struct ScanState
{
	VcScan		  scan; /* first */
	VcHnswGraph	  graph;
	VcHnswSearch *search;
	VcHnswQuery	  query;
	MemoryContext context;	   /* for the life of the scan */
	MemoryContext row_context; /* the query value, if it had to be detoasted */

	bool   started;
	bool   by_distance; /* false: the query is NULL or has no direction; any order will do */
	bool   all_found;	/* nothing is left to be found */
	bool   resumed;		/* compact: nor is any row too late any more */
	int	   expected;	/* so many more of the waiting, or as many as come up before them, are on their way */
	uint32 ef;
	bool   by_recall; /* ef follows from vc_hnsw.target_recall */
	VcHnswWidth width;
	uint64 serves; /* the rows that ef is good for */
	uint32 taken; /* how many of the search's found nodes are in waiting[] or gone */
	uint32    wanted; /* of them, those with rows that pass the conditions on keys */
	uint32    settled_before; /* nodes that the search had settled when ef became what it is */
	bool      listed; /* the list of keys has been read: the nodes it has are in ids[] */
	VcHnswId *ids;
	Size      nids;
	uint64 returned;

	Waiting *waiting; /* min-heap, from 0 */
	Size	 nwaiting;
	Size	 waiting_size;
	float	 last; /* distance returned last, or what it is at most */
	bool	 exact; /* it is that distance */
	VcHnswId unfetched; /* or else, the node that was returned */
	Waiting *late; /* found nearer than `last`; returned at the end */
	Size	 nlate;
	Size	 late_size;

	VcHnswRerank *rerank; /* compact only */

	ItemPointerData *tids; /* of the node being returned */
	Size			 ntids;
	Size			 tids_size;
	Size			 next_tid;
	VcHnswId		 tids_of; /* that node */
	BlockNumber		 heap_blocks; /* the table has at least so many */
	VcCached		*table; /* where its pages are, or null */
} ScanState;

IndexScanDesc
vc_hnsw_begin_scan(Relation index, int nkeys, int norderbys)
{
	IndexScanDesc scan = RelationGetIndexScan(index, nkeys, norderbys);
	ScanState	 *state = palloc0(sizeof(ScanState));

	state->context = CurrentMemoryContext;
	state->row_context = AllocSetContextCreate(CurrentMemoryContext, "vc_hnsw scan query", ALLOCSET_SMALL_SIZES);
	vc_hnsw_open(&state->graph, index, VC_HNSW_TO_SEARCH);
	state->search = vc_hnsw_search_borrow(&state->graph);
	vc_hnsw_query_alloc(&state->graph, &state->query);
	state->waiting_size = 256;
	state->waiting = palloc(sizeof(Waiting) * state->waiting_size);
	state->tids_size = VC_HNSW_INLINE_TIDS;
	state->tids = palloc(sizeof(ItemPointerData) * state->tids_size);
	if (state->graph.shape.compact)
		state->rerank = vc_hnsw_rerank_new(&state->graph);
	scan->opaque = state;
	vc_scan_begin(scan);
	return scan;
}

void
vc_hnsw_rescan(IndexScanDesc scan, ScanKey keys, int nkeys, ScanKey orderbys, int norderbys)
{
	ScanState *state = scan->opaque;

	if (keys && scan->numberOfKeys > 0)
		memmove(scan->keyData, keys, sizeof(ScanKeyData) * scan->numberOfKeys);
	if (orderbys && scan->numberOfOrderBys > 0)
		memmove(scan->orderByData, orderbys, sizeof(ScanKeyData) * scan->numberOfOrderBys);
	state->started = false;
}

void
vc_hnsw_end_scan(IndexScanDesc scan)
{
	ScanState *state = scan->opaque;

	vc_scan_end(scan);
	vc_hnsw_search_return(state->search);
	if (state->rerank)
		vc_hnsw_rerank_free(state->rerank);
	MemoryContextDelete(state->row_context);
	pfree(state);
	scan->opaque = NULL;
}

/* ---- nodes waiting to be returned ---- */

static inline bool
before(const Waiting *a, const Waiting *b)
{
	/* NaN, of nodes that have no distance, is last. */
	return a->distance < b->distance || (isnan(b->distance) && !isnan(a->distance));
}

static void *
room_for(void *array, Size *size, Size count, Size element)
{
	if (count < *size)
		return array;
	*size = Max(*size * 2, 64);
	return array ? repalloc_huge(array, *size * element) : palloc(*size * element);
}

static void
wait_push(ScanState *state, float distance, VcHnswId id)
{
	Waiting item = {distance, id};
	Size	i = state->nwaiting;

	state->waiting = room_for(state->waiting, &state->waiting_size, i, sizeof(Waiting));
	state->nwaiting++;
	while (i > 0 && before(&item, &state->waiting[(i - 1) / 2]))
	{
		state->waiting[i] = state->waiting[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	state->waiting[i] = item;
}

static Waiting
wait_pop(ScanState *state)
{
	Waiting top = state->waiting[0];
	Waiting last = state->waiting[--state->nwaiting];
	Size	i = 0;

	for (Size child = 1; child < state->nwaiting; child = 2 * i + 1)
	{
		if (child + 1 < state->nwaiting && before(&state->waiting[child + 1], &state->waiting[child]))
			child++;
		if (!before(&state->waiting[child], &last))
			break;
		state->waiting[i] = state->waiting[child];
		i = child;
	}
	if (state->nwaiting > 0)
		state->waiting[i] = last;
	return top;
}

/* ---- finding ---- */

/* Take over what the search has found since last time. */
static void
take_found(ScanState *state)
{
	uint32		 n;
	VcHnswFound *found = vc_hnsw_search_found(state->search, &n);

	for (; state->taken < n; state->taken++)
	{
		VcHnswFound *f = &found[state->taken];

		if (f->flags & (VC_HNSW_DEAD | VC_HNSW_REJECTED))
			continue;
		state->wanted++;
		if (state->rerank)
		{
			wait_push(state, f->bound, f->id);
			continue;
		}
		/* In order of distance a row that was found too late cannot be returned any more, until everything is. */
		if (state->returned > 0 && f->distance < state->last)
		{
			state->late = room_for(state->late, &state->late_size, state->nlate, sizeof(Waiting));
			state->late[state->nlate++] = (Waiting){f->distance, f->id};
		}
		else
			wait_push(state, f->distance, f->id);
	}
}

/* Read the whole index: everything not found yet, and what came late, is put among the waiting. */
static void
sweep(ScanState *state)
{
	VcHnswGraph		  *graph = &state->graph;
	const VcHnswShape *shape = &graph->shape;

	for (BlockNumber block = 1; block < vc_store_nblocks(&graph->store); block++)
	{
		for (uint32 slot = 0; slot < shape->slots_per_page; slot++)
		{
			VcHnswId		  id = block * shape->slots_per_page + slot;
			VcHold			  hold;
			const VcHnswNode *node;
			float			  distance = NAN;

			CHECK_FOR_INTERRUPTS();
			if (slot == 0 && !vc_hnsw_is_node_block(graph, block))
				break;
			if (vc_hnsw_search_lookup(state->search, id))
				continue;
			node = vc_hnsw_node(graph, &hold, id);
			if ((node->flags & (VC_HNSW_USED | VC_HNSW_DEAD)) != VC_HNSW_USED || node->level > 0)
			{
				vc_hnsw_done(graph, &hold);
				continue;
			}
			if (state->by_distance && !(node->flags & VC_HNSW_APART) && state->rerank)
				(void) vc_hnsw_compact_distance(graph, &state->query, node, &distance);
			else if (state->by_distance && !(node->flags & VC_HNSW_APART))
				distance = vc_hnsw_distance(graph, &state->query, node);
			vc_work.distances += !isnan(distance);
			vc_hnsw_done(graph, &hold);
			if (state->returned > 0 && distance < state->last && !state->rerank)
			{
				state->late = room_for(state->late, &state->late_size, state->nlate, sizeof(Waiting));
				state->late[state->nlate++] = (Waiting){distance, id};
			}
			else
				wait_push(state, distance, id);
		}
	}
	state->all_found = true;
}

/* Whether looking at so many rows more would go beyond what the settings allow. */
static bool
is_beyond_cap(const ScanState *state, Size more)
{
	return vc_hnsw_max_scan_tuples > 0 && state->taken + more >= (Size) vc_hnsw_max_scan_tuples;
}

static bool
is_most_of_index(ScanState *state, uint64 ef)
{
	VcStore			  *store = &state->graph.store;
	const VcHnswShape *shape = &state->graph.shape;
	uint64			   per_block = shape->slots_per_page;

	/* The length known may be an old one, but indexes only grow. */
	if (ef * SWEEP_SHARE * shape->pages_per_node < store->nblocks * per_block)
		return false;
	return ef * SWEEP_SHARE * shape->pages_per_node >= vc_store_nblocks(store) * per_block;
}

/*
 * Where there are conditions on keys, a search passes through nodes whose rows are not wanted, as many for each that is
 * as the conditions reject; the list of keys leads to those that are wanted alone. Whether the search, going on until it has
 * all that are as near as the ef-th that is wanted, would visit more than the list costs. Whoever wants more than the first ef may
 * want any number: from then on what went before counts too, so that all searches together never cost much more than the list.
 *
 * Three things tell: the share of wanted nodes so far, one deviation more than was seen, because the list is long where the share was
 * underrated; how many visits it took to settle one node, which at first says more of the way to the neighbourhood than of what it
 * is like there and counts less; and the list's own count once that was read.
 */
static bool
is_list_shorter(ScanState *state)
{
	const VcHnswShape *shape = &state->graph.shape;
	double             nodes = (double) state->graph.store.nblocks * shape->slots_per_page / shape->pages_per_node;
	double             wanted = state->wanted + 1.0;
	double             share = Min((wanted + sqrt(wanted) / 2) / (state->taken + 2.0), 1.0);
	double             settled = vc_hnsw_search_settled(state->search);
	double             visits = Min((state->taken + USUAL_VISITS * USUAL_WEIGHT) / (settled + USUAL_WEIGHT), VC_HNSW_MOST_VISITS);
	double             search = Max(state->ef / share - (settled - state->settled_before), 1 / share) * visits;

	if (state->listed)
		return state->nids * VC_HNSW_LONE_VISIT < search;
	return vc_hnsw_list_visits(nodes, nodes * share) < search;
}

/* Read the list of keys. */
static void
read_list(ScanState *state)
{
	MemoryContext old = MemoryContextSwitchTo(state->row_context);

	state->ids = vc_hnsw_keys_sweep(&state->graph, state->query.filter, &state->nids);
	state->listed = true;
	MemoryContextSwitchTo(old);
}

/* Put all that the list of keys leads to, and what came late, among the waiting. */
static void
visit_listed(ScanState *state)
{
	if (!state->listed)
		read_list(state);
	vc_hnsw_search_visit(state->search, &state->query, state->ids, state->nids);
	take_found(state);
	state->all_found = true;
}

/* The ef to begin with, then larger ones. */
static void
widen(ScanState *state)
{
	if (state->ef > 0)
		state->ef = (uint32) Min((uint64) state->ef * 2, PG_INT32_MAX);
	else
		state->ef = state->by_recall ? state->width.few : vc_hnsw_ef_search;
	state->serves = state->by_recall ? vc_hnsw_width_serves(&state->width, state->ef) : VC_HNSW_EF_SERVES(state->ef);
}

/* The same as find_more, where there are conditions on keys. */
static void
find_more_wanted(ScanState *state)
{
	uint32 until;

	if (state->ef > 0 && state->by_distance)
		state->settled_before = vc_hnsw_search_settled(state->search);
	widen(state);
	for (;;)
	{
		if (state->by_distance && !state->listed && is_list_shorter(state))
			read_list(state);
		/* What the list leads to may be more than there was reason to think. */
		if (!state->by_distance || (state->listed && is_list_shorter(state) && !is_beyond_cap(state, state->nids)))
			break;
		until = Max(state->taken * 2, FIRST_LOOK);
		if (!vc_hnsw_search_run(state->search, state->ef, until))
		{
			take_found(state);
			break;
		}
		take_found(state);
		if (state->taken < until || is_beyond_cap(state, 0))
			return;
	}
	visit_listed(state);
}

/* Have rows waiting that are sure to be next, or find out that there are none. */
static void
find_more(ScanState *state)
{
	bool   more = false;

	if (state->query.filter)
	{
		find_more_wanted(state);
		return;
	}
	widen(state);
	if (state->by_distance && !state->width.all && !is_most_of_index(state, state->ef))
		more = vc_hnsw_search_run(state->search, state->ef, UINT32_MAX);
	take_found(state);
	if (!more)
		sweep(state);
}

static void
start(IndexScanDesc scan)
{
	ScanState	 *state = scan->opaque;
	VcHnswGraph	 *graph = &state->graph;
	MemoryContext old;
	VcValue		  value;
	VcHnswId	  entry;
	int			  level;

	pgstat_count_index_scan(scan->indexRelation);
#if PG_VERSION_NUM >= 180000
	if (scan->instrument)
		scan->instrument->nsearches++;
#endif
	PredicateLockRelation(scan->indexRelation, scan->xs_snapshot);

	state->scan.searches++;
	state->started = true;
	state->table = vc_peek_table(scan);
	state->by_distance = false;
	state->all_found = false;
	state->resumed = false;
	state->expected = 0;
	state->ef = 0;
	state->width.all = false;
	state->by_recall = vc_hnsw_target_recall > 0;
	if (state->by_recall)
		vc_hnsw_plan_width(&graph->calibration, vc_hnsw_target_recall, &state->width);
	state->taken = 0;
	state->wanted = 0;
	state->settled_before = 0;
	state->listed = false;
	state->returned = 0;
	state->nwaiting = 0;
	state->nlate = 0;
	state->ntids = 0;
	state->next_tid = 0;
	vc_hnsw_search_reset(state->search);
	if (state->rerank)
		vc_hnsw_rerank_reset(state->rerank);
	if (scan->numberOfOrderBys == 0)
		elog(ERROR, "vc_hnsw indexes can only be scanned in order of a distance");
	MemoryContextReset(state->row_context);
	old = MemoryContextSwitchTo(state->row_context);
	state->query.data = NULL;
	state->query.filter =
		vc_keys_filter(graph->keys ? &graph->keys->node : NULL, scan->indexRelation, scan->keyData, scan->numberOfKeys);
	MemoryContextSwitchTo(old);
	if (state->query.filter && state->query.filter->never)
	{
		state->all_found = true;
		return;
	}
	if (scan->orderByData->sk_flags & SK_ISNULL)
		return;

	old = MemoryContextSwitchTo(state->row_context);
	vc_metric_value(graph->metric, scan->orderByData->sk_argument, &value);
	MemoryContextSwitchTo(old);
	vc_check_same_dims(graph->metric->type_name, graph->shape.dim, value.dim);
	if (value.is_zero || !vc_hnsw_entry(graph, &entry, &level))
		return;

	vc_hnsw_query_init(graph, &state->query, &value);
	state->by_distance = true;
	entry = vc_hnsw_descend(graph, state->search, &state->query, entry, level, 0);
	if (entry != VC_HNSW_NONE)
		vc_hnsw_search_start(state->search, &state->query, entry);
	else
		vc_hnsw_search_reset(state->search);
}

/* Fill tids[] with the rows of a node. */
static void
load_tids(ScanState *state, VcHnswId id)
{
	const VcHnswFound *found = vc_hnsw_search_lookup(state->search, id);

	state->next_tid = 0;
	state->tids_of = id;
	if (found && !found->overflow)
	{
		memcpy(state->tids, found->tid, sizeof(ItemPointerData) * found->tids);
		state->ntids = found->tids;
	}
	else
		state->ntids = vc_hnsw_node_tids(&state->graph, id, state->query.filter, &state->tids, &state->tids_size);
}

/* The executor would take a row pointer beyond the table for a missing file. Tables do not shrink while they are scanned. */
static void
check_tid(IndexScanDesc scan, ScanState *state, ItemPointer tid)
{
	BlockNumber block = ItemPointerGetBlockNumberNoCheck(tid);

	if (likely(block < state->heap_blocks) || scan->heapRelation == NULL)
		return;
	state->heap_blocks = RelationGetNumberOfBlocks(scan->heapRelation);
	if (block >= state->heap_blocks)
		vc_page_corrupted(scan->indexRelation, vc_hnsw_block(&state->graph.shape, state->tids_of),
						  "node %u points to a row in block %u of a table of %u", state->tids_of, block,
						  state->heap_blocks);
}

/* Make the nearest row that was ranked the next one, if nothing can come before it. */
static bool
take_ranked(ScanState *state, float limit)
{
	const VcHnswRanked *first;

	while ((first = vc_hnsw_rerank_first(state->rerank)) != NULL)
	{
		Waiting row = {first->distance, first->id};

		if (state->nwaiting > 0 && before(&state->waiting[0], &row))
			return false;
		/* One of the ef that the search took for the nearest is, whatever its distance turned out to be. */
		if (!state->all_found && !(row.distance <= limit || first->rough <= limit))
			return false;
		if (state->returned > 0 && row.distance < state->last && !state->resumed)
		{
			vc_hnsw_rerank_postpone(state->rerank);
			continue;
		}
		state->last = row.distance;
		state->exact = true;
		state->tids[0] = first->tid;
		state->ntids = 1;
		state->next_tid = 0;
		state->tids_of = row.id;
		vc_hnsw_rerank_pop(state->rerank);
		return true;
	}
	return false;
}

/*
 * Compact: whether a node, which waits no more, is nearer than all that wait and have been ranked, whatever its distance is; *most is what
 * that is at most. What is too late, or beyond the limit of the search, is to be ranked.
 */
static bool
is_nearest(const ScanState *state, const VcHnswFound *found, float limit, float *most)
{
	const VcHnswRanked *first = vc_hnsw_rerank_first(state->rerank);

	if (state->scan.distances || found == NULL || !(state->all_found || found->distance <= limit) ||
		(state->returned > 0 && found->bound < state->last))
		return false;
	*most = found->distance + WITHOUT_DOUBT * (found->distance - found->bound);
	return isfinite(*most) && !(state->nwaiting > 0 && state->waiting[0].distance < *most) && !(first && first->distance < *most);
}

/*
 * Compact: before more is looked for, find out what the row returned last is away, if that is not known: what is found nearer than it may be
 * still comes too late, and what is not does not. Where the snapshot saw none of the node's rows its bound will do.
 */
static void
settle_last(IndexScanDesc scan, ScanState *state)
{
	const VcHnswFound *found = vc_hnsw_search_lookup(state->search, state->unfetched);

	load_tids(state, state->unfetched);
	if (!vc_hnsw_rerank_distance(state->rerank, scan->heapRelation, scan->xs_snapshot, &state->query, state->tids, state->ntids, &state->last))
		state->last = found ? found->bound : -INFINITY;
	state->exact = true;
	state->ntids = state->next_tid = 0;
}

/* Have the rows that come up next on their way, all at once: the heap's first, more or less. */
static void
expect_first(IndexScanDesc scan, ScanState *state)
{
	ItemPointerData tids[EXPECTED];
	VcPeeked		rows[EXPECTED];
	int				n = 0;

	state->expected = Min(state->nwaiting, EXPECTED);
	for (int i = 0; i < state->expected; i++)
	{
		const VcHnswFound *found = vc_hnsw_search_lookup(state->search, state->waiting[i].id);

		if (found && found->tids > 0)
			tids[n++] = found->tid[0];
	}
	if (state->rerank)
		vc_hnsw_rerank_expect(state->rerank, scan->heapRelation, tids, n);
	else if (state->table)
		vc_peek(state->table, tids, n, EXPECTED_BYTES, rows);
}

static bool
next_row(IndexScanDesc scan)
{
	ScanState *state = scan->opaque;

	if (!state->started)
		start(scan);
	else if (state->table)
		vc_peek_note(scan, state->table);

	while (state->next_tid == state->ntids)
	{
		Waiting item;
		float	limit = state->all_found ? INFINITY : vc_hnsw_search_limit(state->search);

		CHECK_FOR_INTERRUPTS();
		if (state->rerank && (state->all_found || state->returned < state->serves) && take_ranked(state, limit))
			break;

		/* What waits beyond the limit of the search might still be overtaken by something not yet found. */
		if (state->nwaiting > 0 &&
			(state->all_found || (state->returned < state->serves && !(state->waiting[0].distance > limit))))
		{
			if (state->expected == 0)
				expect_first(scan, state);
			state->expected--;
			item = wait_pop(state);
			load_tids(state, item.id);
			if (state->rerank && !isnan(item.distance))
			{
				const VcHnswFound *found = vc_hnsw_search_lookup(state->search, item.id);
				float			   most;

				if (is_nearest(state, found, limit, &most))
				{
					state->last = most;
					state->exact = false;
					state->unfetched = item.id;
					continue;
				}
				for (Size i = 0; i < state->ntids; i++)
					check_tid(scan, state, &state->tids[i]);
				vc_hnsw_rerank_add(state->rerank, scan->heapRelation, scan->xs_snapshot, &state->query, item.id,
								   found ? found->distance : item.distance, state->tids, state->ntids);
				state->ntids = 0;
			}
			else
			{
				state->last = item.distance;
				state->exact = true;
			}
			continue;
		}
		if (!state->all_found)
		{
			if (is_beyond_cap(state, 0))
				state->all_found = true;
			else
			{
				if (state->rerank && state->returned > 0 && !state->exact)
					settle_last(scan, state);
				find_more(state);
			}
			continue;
		}
		if (state->rerank && !state->resumed)
		{
			state->resumed = true;
			if (vc_hnsw_rerank_resume(state->rerank))
				continue;
		}
		if (state->nlate == 0)
			return false;
		for (Size i = 0; i < state->nlate; i++)
			wait_push(state, state->late[i].distance, state->late[i].id);
		state->nlate = 0;
	}

	scan->xs_heaptid = state->tids[state->next_tid++];
	check_tid(scan, state, &scan->xs_heaptid);
	scan->xs_recheck = state->query.filter && state->query.filter->recheck;
	scan->xs_recheckorderby = false;
	if (state->exact)
		vc_scan_set_distance(scan, state->graph.metric, state->last);
	else
		vc_scan_set_no_distance(scan);
	state->returned++;
	return true;
}

bool
vc_hnsw_get_tuple(IndexScanDesc scan, ScanDirection direction)
{
	bool found;

	Assert(ScanDirectionIsForward(direction));
	vc_scan_enter(scan);
	found = next_row(scan);
	vc_scan_leave(scan);
	return found;
}
