/*
 * scan.c
 *		Ordered scans: rows leave in the order of their exact distance, however many are asked for.
 *
 * The codes give each row of the lists probed a lower bound of its distance. Rows wait in a heap by what is known of their
 * distance: that bound at first; when it comes up, the exact distance, or with values in half precision the range it lies
 * in, and when that comes up and overlaps with the next row's, the exact distance from the table. A row leaves when its distance is
 * below everything known of the others. So only as many distances are computed as the error of the codes makes
 * necessary, without knowing how many rows will be wanted.
 *
 * Most rows of the lists probed will never be wanted and are not even put into the first heap: a gathering takes only rows
 * with bounds below a ceiling, the estimate of the HORIZON-th nearest row seen. When rows up to the ceiling have left, the
 * lists are gathered again for the rows between it and a higher one. What a row's bound is depends on nothing but the row
 * and the query, so that each is gathered once.
 *
 * Conditions on keys are tested block by block before anything is estimated. The fewer rows pass, the more lists the nearest
 * of them are spread over: how many more, the build has measured (vc_ivf_probes_to_use), and which share passes, the scan
 * sees in the lists it has probed.
 *
 * When a tenth of the rows of the probed lists has left, twice as many lists are probed: a LIMIT, or a WHERE clause that
 * rejects most rows, never runs dry while there are rows. Rows of the new lists that are nearer than one which has left
 * already are kept until everything else has been returned: the order stays exact, and no row is lost.
 *
 * Share locks one page at a time, none between calls; no heap page is touched while one is held.
 */
#include "ivf/ivf.h"

#include <math.h>

#include "access/relscan.h"
#include "am/fetch.h"
#include "am/scan.h"
#include "kernels/vc_kernels.h"
#include "kernels/vc_quant.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "types/check.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#define HORIZON 100
#define FINE_HORIZON 25 /* with codes of more bits: their estimates are closer to the distances */
#define HORIZON_GROWTH 8
#define RANKED_TOGETHER 8
#define SHARE_BEFORE_WIDENING 10 /* widen when one in so many rows has left */

/* What the key of a candidate is. */
typedef enum Known
{
	KNOWN_BOUND, /* a lower bound of its distance, from its code */
	KNOWN_RANGE, /* the lower end of a range that the exact distance lies in */
	KNOWN_EXACT
} Known;

typedef struct Candidate
{
	float key;
	union
	{
		BlockNumber vectors; /* KNOWN_BOUND: vector pages of the row's block, or InvalidBlockNumber */
		float		high;	 /* KNOWN_RANGE: the upper end */
	};
	ItemPointerData tid;
	uint8			slot;
	uint8			known;
} Candidate;

/* A heap of items, smallest key first. */
typedef struct CandidateHeap
{
	Candidate  *items;
	uint64 count;
	uint64 room;
} CandidateHeap;

typedef struct TidEntry
{
	uint64 key;
	char   status; /* simplehash's */
} TidEntry;

typedef struct VcIvfScan
{
	VcScan		   scan; /* first */
	VcIvf		   ivf;
	VcIvfQuery	   query;
	VcIvfFrontier *frontier;
	bool		   started;
	BlockNumber	   table_blocks; /* at least */
	double		   epsilon;

	VcIvfProbe *probes;
	uint32		nprobes;
	uint32		probe_room;
	bool		all_probed;
	VcKeyFilter *filter; /* conditions on keys; null: none */
	uint64		rows_looked; /* live rows in the lists probed */
	uint64		rows_seen; /* of them, those that pass the conditions */
	uint64		rows_left; /* rows that have left, wanted or not */

	float  ceiling; /* rows with bounds below it have been gathered, from every list probed */
	uint64 horizon;
	float *nearest; /* [horizon] estimates, largest first, while the first ceiling is being found */
	uint64 nnearest;

	struct tidset_hash *met; /* with spill: rows met, so that a second copy is left out */

	CandidateHeap waiting;
	CandidateHeap late; /* nearer than a row that has left before they were found */
	float	 last; /* distance of the row that left last */

	uint8			*scratch;
	VcIvfRefinement *refinement; /* where codes have more than one bit */
	double			 table_error; /* of a finer estimate, per unit of its rescale factor */
	VcIvfView		 view; /* of values in the index */

	VcFetch		 *fetch; /* once a value of the table is needed */
	MemoryContext context;
} VcIvfScan;

#define SH_PREFIX tidset
#define SH_ELEMENT_TYPE TidEntry
#define SH_KEY_TYPE uint64
#define SH_KEY key
#define SH_HASH_KEY(tb, key) murmurhash32((uint32) (key ^ key >> 32))
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* Whether a row has been met before, in another list; from now on it has. */
static bool
met_before(VcIvfScan *state, const Candidate *item)
{
	uint64 key = (uint64) ItemPointerGetBlockNumberNoCheck(&item->tid) << 16 | ItemPointerGetOffsetNumberNoCheck(&item->tid);
	bool   found;

	if (!state->ivf.meta.spill)
		return false;
	if (state->met == NULL)
		state->met = tidset_create(state->context, 1024, NULL);
	(void) tidset_insert(state->met, key, &found);
	return found;
}

/* ---- heaps ---- */

static void
heap_sift_down(CandidateHeap *heap, uint64 at)
{
	Candidate item = heap->items[at];

	for (;;)
	{
		uint64 child = at * 2 + 1;

		if (child >= heap->count)
			break;
		if (child + 1 < heap->count && heap->items[child + 1].key < heap->items[child].key)
			child++;
		if (!(heap->items[child].key < item.key))
			break;
		heap->items[at] = heap->items[child];
		at = child;
	}
	heap->items[at] = item;
}

/* At the end, without regard to the order. */
static void
heap_append(CandidateHeap *heap, const Candidate *item)
{
	if (heap->count == heap->room)
	{
		heap->room = heap->room == 0 ? 1024 : heap->room * 2;
		if (heap->items == NULL)
			heap->items = palloc(sizeof(Candidate) * heap->room);
		else
			heap->items = repalloc_huge(heap->items, sizeof(Candidate) * heap->room);
	}
	heap->items[heap->count++] = *item;
}

static void
heap_order(CandidateHeap *heap)
{
	for (uint64 i = heap->count / 2; i-- > 0;)
		heap_sift_down(heap, i);
}

static void
heap_push(CandidateHeap *heap, const Candidate *item)
{
	uint64 at = heap->count;

	heap_append(heap, item);
	while (at > 0 && item->key < heap->items[(at - 1) / 2].key)
	{
		heap->items[at] = heap->items[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	heap->items[at] = *item;
}

static Candidate
heap_pop(CandidateHeap *heap)
{
	Candidate top = heap->items[0];

	heap->items[0] = heap->items[--heap->count];
	if (heap->count > 0)
		heap_sift_down(heap, 0);
	return top;
}

/* ---- gathering ---- */

/*
 * Note an estimate below the ceiling: the `horizon` smallest are kept, largest first, and the largest of them, once there
 * are so many, is the new ceiling.
 */
static void
lower_ceiling(VcIvfScan *state, float estimate)
{
	float *heap = state->nearest;
	uint64 at;

	if (state->nnearest < state->horizon)
	{
		at = state->nnearest++;
		while (at > 0 && heap[(at - 1) / 2] < estimate)
		{
			heap[at] = heap[(at - 1) / 2];
			at = (at - 1) / 2;
		}
	}
	else
	{
		for (at = 0;;)
		{
			uint64 child = at * 2 + 1;

			if (child >= state->nnearest)
				break;
			if (child + 1 < state->nnearest && heap[child + 1] > heap[child])
				child++;
			if (!(heap[child] > estimate))
				break;
			heap[at] = heap[child];
			at = child;
		}
	}
	heap[at] = estimate;
	if (state->nnearest == state->horizon)
		state->ceiling = heap[0];
}

/*
 * Replace the one-bit estimates of a block by those of all bits; returns which of `rows` are still below the ceiling.
 *
 * The rounding of the query table, a tenth of the error of one-bit codes, is as large as that of four bits: it is
 * taken into the bound as the independent error it is. bound[] comes with the bounds of one bit, and gets the higher of both:
 * a row that one gathering left out by its first bound must not be taken for an earlier one's by its second.
 */
static uint32
refine(VcIvfScan *state, BlockNumber segment, int block, const VcIvfProbe *probe, uint32 rows, uint32 *sum, float *estimate,
	   float *bound)
{
	VcIvf			*ivf = &state->ivf;
	VcIvfRefinement *fine = state->refinement;
	VcRabitqQuery	*query = &state->query.rabitq;
	double			 scale = probe->distance * state->epsilon;
	uint32			 below = 0;

	vc_ivf_refine_sums(ivf, &ivf->rows, segment, block, query->lut, sum, fine);
	vc_kernels->quant->estimate32(sum, fine->add, fine->rescale, probe->g, query->step,
								  query->bias * (float) ((1 << ivf->rows.bits) - 1), estimate);
	for (; rows != 0; rows &= rows - 1)
	{
		int	   slot = pg_rightmost_one_pos32(rows);
		double code_error = scale * fine->err[slot];
		double table_error = state->table_error * fine->rescale[slot];

		bound[slot] = Max(bound[slot], (float) (estimate[slot] - sqrt(code_error * code_error + table_error * table_error)));
		if (!(bound[slot] >= state->ceiling) || state->ceiling == INFINITY)
			below |= (uint32) 1 << slot;
	}
	return below;
}

/* Which of a block's rows pass the conditions on keys. */
static uint32
passing(const VcIvfScan *state, Page page, int block)
{
	const VcIvfShape *shape = &state->ivf.rows;
	uint8			  pass[VC_RABITQ_BLOCK];
	uint32			  rows = 0;

	vc_keys_pass_all(state->filter, &shape->keys, vc_ivf_keys(shape, page, block), VC_RABITQ_BLOCK, pass);
	for (int slot = 0; slot < VC_RABITQ_BLOCK; slot++)
		rows |= (uint32) pass[slot] << slot;
	return rows;
}

/* Put a row among those that wait, unless an earlier gathering has. */
static inline void
gather_row(VcIvfScan *state, const VcIvfBlock *block, int slot, Candidate *item, float floor, bool search_ceiling,
		   float estimate)
{
	if (isnan(item->key)) /* huge values: no bound at all */
		item->key = -INFINITY;
	if (item->key < floor)
		return;
	item->slot = slot;
	item->tid = block->tid[slot];
	heap_append(&state->waiting, item);
	if (search_ceiling && estimate < state->ceiling)
		lower_ceiling(state, estimate);
}

/* Gather rows of a block without codes, by the distances of its values. */
static void
gather_values(VcIvfScan *state, const VcIvfBlock *block, uint32 rows, float floor, bool search_ceiling)
{
	for (; rows != 0; rows &= rows - 1)
	{
		int				   slot = pg_rightmost_one_pos32(rows);
		const VcIvfVector *vector = vc_ivf_view_vector(&state->ivf, &state->ivf.rows, &state->view, block->vectors, slot);
		Candidate		   item;
		float			   high;

		item.known = vc_ivf_value_range(&state->ivf, &state->query, vector, &item.key, &high) ? KNOWN_EXACT : KNOWN_RANGE;
		item.high = high;
		if (item.key < state->ceiling || state->ceiling == INFINITY)
			gather_row(state, block, slot, &item, floor, search_ceiling, high);
	}
	vc_ivf_view_end(&state->view);
}

/*
 * Gather rows with bounds in [floor, ceiling) from a list. With search_ceiling, the ceiling comes down as rows are seen. The list that
 * will be read after it may be named.
 */
static void
gather_list(VcIvfScan *state, const VcIvfProbe *probe, BlockNumber next_list, float floor, bool search_ceiling, bool count_rows)
{
	const VcQuantKernels *quant = vc_kernels->quant;
	VcIvf				 *ivf = &state->ivf;
	VcIvfShape			 *shape = &ivf->rows;
	BlockNumber			  segment = probe->head;
	float				  scale = probe->distance * (float) state->epsilon;
	uint64				  nsegments = 0;

	while (segment != InvalidBlockNumber)
	{
		Buffer		buffer = vc_ivf_read_segment(ivf, shape, segment, BUFFER_LOCK_SHARE);
		Page		page = BufferGetPage(buffer);
		VcIvfBlock *blocks = vc_ivf_blocks(page);
		BlockNumber next = vc_ivf_segment(page)->next;

		vc_ivf_prefetch_segment(ivf, shape, next != InvalidBlockNumber ? next : next_list);
		for (uint32 i = 0; i < shape->segment_blocks; i++)
		{
			const uint8 *codes;
			float		 estimate[VC_RABITQ_BLOCK];
			float		 bound[VC_RABITQ_BLOCK];
			uint32		 sum[VC_RABITQ_BLOCK];
			uint32		 rows = blocks[i].live;

			if (rows == 0)
				continue;
			if (count_rows)
				state->rows_looked += pg_popcount32(rows);
			if (state->filter != NULL && (rows &= passing(state, page, i)) == 0)
				continue;
			if (count_rows)
				state->rows_seen += pg_popcount32(rows);
			if (shape->plane == 0)
			{
				gather_values(state, &blocks[i], rows, floor, search_ceiling);
				continue;
			}
			codes = vc_ivf_codes(ivf, shape, segment, page, i, state->scratch);
			quant->fastscan(codes, state->query.lut, shape->padded / 4, sum);
			quant->estimate32(sum, blocks[i].add, blocks[i].rescale, probe->g, state->query.rabitq.step,
							  state->query.rabitq.bias, estimate);
			if (state->ceiling < INFINITY)
				rows &= quant->below32(estimate, blocks[i].err, scale, state->ceiling);
			if (rows == 0)
				continue;
			for (int slot = 0; slot < VC_RABITQ_BLOCK; slot++)
				bound[slot] = estimate[slot] - scale * blocks[i].err[slot];
			if (shape->bits > 1)
				rows = refine(state, segment, i, probe, rows, sum, estimate, bound);
			for (; rows != 0; rows &= rows - 1)
			{
				int		  slot = pg_rightmost_one_pos32(rows);
				Candidate item = {.key = bound[slot], .vectors = shape->value_bytes > 0 ? blocks[i].vectors : InvalidBlockNumber,
								  .known = KNOWN_BOUND};

				gather_row(state, &blocks[i], slot, &item, floor, search_ceiling, estimate[slot]);
			}
		}
		segment = next;
		UnlockReleaseBuffer(buffer);
		CHECK_FOR_INTERRUPTS();
		vc_ivf_check_length(ivf, probe->head, ++nsegments);
	}
}

/* Gather from all lists probed the rows between the ceiling and a new one. */
static void
raise_ceiling(VcIvfScan *state, bool count_rows)
{
	float  floor = state->ceiling;
	uint64 before = state->waiting.count;
	uint64 kept = before;

	state->ceiling = INFINITY;
	state->nnearest = 0;
	if (state->nearest == NULL)
		state->nearest = palloc_extended(sizeof(float) * state->horizon, MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < state->nprobes; i++)
		gather_list(state, &state->probes[i], i + 1 < state->nprobes ? state->probes[i + 1].head : InvalidBlockNumber, floor, true,
					count_rows);

	/* Rows gathered before the ceiling came down to where it is now belong to a later gathering. */
	for (uint64 i = before; i < state->waiting.count; i++)
		if (state->waiting.items[i].key < state->ceiling || state->ceiling == INFINITY)
			state->waiting.items[kept++] = state->waiting.items[i];
	state->waiting.count = kept;
	heap_order(&state->waiting);

	/* The next step is larger; one that would hold half of all rows anyway takes the rest. */
	pfree(state->nearest);
	state->nearest = NULL;
	state->horizon *= HORIZON_GROWTH;
}

/* Take up to n more lists; returns the number of the first. */
static uint32
probe_more(VcIvfScan *state, uint32 n)
{
	uint32 first = state->nprobes;

	while (n-- > 0)
	{
		if (state->nprobes == state->probe_room)
		{
			state->probe_room *= 2;
			state->probes = repalloc_huge(state->probes, sizeof(VcIvfProbe) * state->probe_room);
		}
		if (!vc_ivf_frontier_next(state->frontier, &state->probes[state->nprobes]))
		{
			state->all_probed = true;
			break;
		}
		state->nprobes++;
	}
	return first;
}

static bool
may_widen(const VcIvfScan *state)
{
	return !state->all_probed && (vc_ivf_max_scan_tuples == 0 || state->rows_looked < vc_ivf_max_scan_tuples);
}

/* n more lists: rows below the ceiling are gathered from them. */
static void
widen(VcIvfScan *state, uint32 n)
{
	uint32 first = probe_more(state, n);

	for (uint32 i = first; i < state->nprobes; i++)
		gather_list(state, &state->probes[i], i + 1 < state->nprobes ? state->probes[i + 1].head : InvalidBlockNumber, -INFINITY,
					false, true);
	heap_order(&state->waiting);
}

/* ---- distances ---- */

/* The exact distance of a row, from the table; false where the scan's snapshot does not see it. */
static bool
rank_from_table(IndexScanDesc scan, VcIvfScan *state, Candidate *item)
{
	VcValue value;

	if (state->fetch == NULL)
		state->fetch = vc_fetch_open(scan->indexRelation, scan->heapRelation, state->ivf.metric, state->ivf.meta.dim);
	if (!vc_fetch_value(state->fetch, &item->tid, scan->xs_snapshot, &value))
		return false;
	item->key = vc_ivf_distance(&state->ivf, &state->query, value.data, value.is_zero ? 0 : value.scale);
	item->known = KNOWN_EXACT;
	return true;
}

/* What the index's copy tells. A slot that holds another row by now was vacuumed: that row was dead to everyone. */
static bool
rank_from_index(VcIvfScan *state, Candidate *item)
{
	VcIvf			  *ivf = &state->ivf;
	const VcIvfVector *vector = vc_ivf_view_vector(ivf, &ivf->rows, &state->view, item->vectors, item->slot);
	bool			   is_same = ItemPointerEquals((ItemPointer) &vector->tid, &item->tid);
	float			   high;

	if (is_same)
	{
		item->known = vc_ivf_value_range(ivf, &state->query, vector, &item->key, &high) ? KNOWN_EXACT : KNOWN_RANGE;
		item->high = high;
	}
	vc_ivf_view_end(&state->view);
	return is_same;
}

/* Find out more about a row; false where there is none to see, or it has been met in another list. */
static bool
rank(IndexScanDesc scan, VcIvfScan *state, Candidate *item)
{
	if (item->known == KNOWN_BOUND && met_before(state, item))
		return false;
	if (item->known == KNOWN_BOUND && item->vectors != InvalidBlockNumber)
		return rank_from_index(state, item);
	return rank_from_table(scan, state, item);
}

/*
 * Find out more about the first row that waits. While rows wait by their bounds, the first few are ranked together, so that
 * the CPU fetches one while it compares another: most of the time goes to waiting for memory. The last of them may have been ranked
 * in vain, which matters where a value takes long to get.
 */
static void
rank_first(IndexScanDesc scan, VcIvfScan *state)
{
	CandidateHeap *heap = &state->waiting;
	Candidate	   some[RANKED_TOGETHER];
	int			   most = state->fetch != NULL && vc_fetch_is_slow(state->fetch) ? 1 : RANKED_TOGETHER;
	int			   count = 0;

	do
		some[count++] = heap_pop(heap);
	while (count < most && heap->count > 0 && some[0].known == KNOWN_BOUND && heap->items[0].known == KNOWN_BOUND &&
		   heap->items[0].key <= state->ceiling);
	if (count > 1)
	{
		if (some[0].vectors != InvalidBlockNumber)
			for (int i = 1; i < count; i++)
				vc_ivf_prefetch_vector(&state->ivf, &state->ivf.rows, some[i].vectors, some[i].slot);
		else if (state->fetch != NULL)
		{
			ItemPointerData tids[RANKED_TOGETHER];

			for (int i = 0; i < count; i++)
				tids[i] = some[i].tid;
			vc_fetch_expect(state->fetch, tids, count);
		}
	}
	for (int i = 0; i < count; i++)
	{
		if (rank(scan, state, &some[i]))
			heap_push(heap, &some[i]);
		else
			state->rows_left++;
	}
}

/* Whether the first row that waits is known to be nearer than all others. */
static bool
first_is_nearest(const VcIvfScan *state)
{
	const CandidateHeap *heap = &state->waiting;
	const Candidate		*first = &heap->items[0];

	if (first->known != KNOWN_RANGE)
		return first->known == KNOWN_EXACT;
	return first->key >= state->last && (first->high <= state->ceiling || state->ceiling == INFINITY) &&
		   (heap->count < 2 || first->high <= heap->items[1].key) && (heap->count < 3 || first->high <= heap->items[2].key);
}

/* ---- the access method's functions ---- */

IndexScanDesc
vc_ivf_beginscan(Relation index, int nkeys, int norderbys)
{
	IndexScanDesc scan = RelationGetIndexScan(index, nkeys, norderbys);
	VcIvfScan	 *state = palloc0(sizeof(VcIvfScan));

	state->context = AllocSetContextCreate(CurrentMemoryContext, "vc_ivf scan", ALLOCSET_DEFAULT_SIZES);
	scan->opaque = state;
	vc_scan_begin(scan);
	return scan;
}

void
vc_ivf_rescan(IndexScanDesc scan, ScanKey keys, int nkeys, ScanKey orderbys, int norderbys)
{
	VcIvfScan	 *state = scan->opaque;
	MemoryContext context = state->context;
	VcScan		  own = state->scan;

	if (state->fetch != NULL)
		vc_fetch_close(state->fetch);
	MemoryContextReset(context);
	memset(state, 0, sizeof(*state));
	state->context = context;
	state->scan = own;
	if (keys && scan->numberOfKeys > 0)
		memmove(scan->keyData, keys, sizeof(ScanKeyData) * scan->numberOfKeys);
	if (orderbys && scan->numberOfOrderBys > 0)
		memmove(scan->orderByData, orderbys, scan->numberOfOrderBys * sizeof(ScanKeyData));
}

static void
start(IndexScanDesc scan, VcIvfScan *state)
{
	Relation index = scan->indexRelation;
	VcIvf	*ivf = &state->ivf;
	uint32	 nprobes;
	VcValue	 value;

	state->scan.searches++;
	state->started = true;
	vc_ivf_open(ivf, index);
	state->filter = vc_keys_filter(&ivf->rows.keys, index, scan->keyData, scan->numberOfKeys);
	pgstat_count_index_scan(index);
	if (state->filter != NULL && state->filter->never)
	{
		state->all_probed = true;
		state->ceiling = INFINITY;
		return;
	}
	vc_ivf_query_alloc(ivf, &state->query);
	state->frontier = vc_ivf_frontier_new(ivf, false);
	state->scratch = palloc(ivf->rows.plane);
	if (ivf->rows.bits > 1)
		state->refinement = palloc(offsetof(VcIvfRefinement, planes));
	vc_ivf_view_init(&ivf->rows, &state->view);
	if (scan->orderByData->sk_flags & SK_ISNULL)
		vc_ivf_query_init(ivf, &state->query, NULL);
	else
	{
		vc_metric_value(ivf->metric, scan->orderByData->sk_argument, &value);
		vc_check_same_dims(ivf->metric->type_name, ivf->meta.dim, value.dim);
		vc_ivf_query_init(ivf, &state->query, &value);
	}
	state->epsilon = vc_ivf_epsilon_to_use(&ivf->meta);

	/* An entry of the table is off by up to half a step, evenly; a plane has one for each group and twice the next's weight. */
	state->table_error = state->epsilon * state->query.rabitq.step *
						 sqrt(ivf->rows.padded / 4 / 12.0 * (pow(4, ivf->rows.bits) - 1) / 3);
	state->ceiling = -INFINITY;
	state->horizon = ivf->rows.bits > 1 ? FINE_HORIZON : HORIZON;
	state->last = -INFINITY;
	state->probe_room = 64;
	state->probes = palloc(sizeof(VcIvfProbe) * state->probe_room);
	vc_ivf_frontier_start(state->frontier, &state->query);
	nprobes = vc_ivf_probes_to_use(&ivf->meta, 1);
	(void) probe_more(state, nprobes);
	raise_ceiling(state, true);
	while (state->filter != NULL && may_widen(state))
	{
		double share = ((double) state->rows_seen + 1) / (state->rows_looked + 1);

		nprobes = vc_ivf_probes_to_use(&ivf->meta, share);
		if (nprobes <= state->nprobes)
			break;
		widen(state, nprobes - state->nprobes);
	}
}

/* The next row in order; false at the end. */
static bool
next_item(IndexScanDesc scan, VcIvfScan *state, Candidate *item)
{
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		if (may_widen(state) && state->rows_left * SHARE_BEFORE_WIDENING >= state->rows_seen)
			widen(state, state->nprobes);
		if (state->waiting.count > 0 && (state->waiting.items[0].key <= state->ceiling || state->ceiling == INFINITY))
		{
			if (!first_is_nearest(state))
			{
				rank_first(scan, state);
				continue;
			}
			*item = heap_pop(&state->waiting);
			state->rows_left++;
			if (state->ivf.rows.plane == 0 && met_before(state, item))
				continue;
			if (item->key >= state->last)
			{
				state->last = item->known == KNOWN_RANGE ? item->high : item->key;
				return true;
			}
			heap_push(&state->late, item);
		}
		else if (state->ceiling < INFINITY)
			raise_ceiling(state, false);
		else if (may_widen(state))
			widen(state, state->nprobes);
		else if (state->late.count > 0)
		{
			*item = heap_pop(&state->late);
			return true;
		}
		else
			return false;
	}
}

bool
vc_ivf_gettuple(IndexScanDesc scan, ScanDirection dir)
{
	VcIvfScan	 *state = scan->opaque;
	MemoryContext old;
	Candidate		  item;
	bool		  found;

	Assert(ScanDirectionIsForward(dir));
	if (scan->orderByData == NULL || scan->numberOfOrderBys != 1)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("cannot scan a vc_ivf index without order")));
	if (scan->xs_snapshot != NULL && !IsMVCCSnapshot(scan->xs_snapshot))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("vc_ivf indexes need an MVCC snapshot")));

	old = MemoryContextSwitchTo(state->context);
	vc_scan_enter(scan);
	if (!state->started)
		start(scan, state);
	found = next_item(scan, state, &item);
	vc_scan_leave(scan);
	MemoryContextSwitchTo(old);
	if (!found)
		return false;
	if (scan->heapRelation != NULL)
		vc_fetch_check_tid(scan->indexRelation, scan->heapRelation, &state->table_blocks, &item.tid);
	scan->xs_heaptid = item.tid;
	scan->xs_recheck = state->filter != NULL && state->filter->recheck;
	scan->xs_recheckorderby = false;
	vc_scan_set_distance(scan, state->ivf.metric, item.key);
	return true;
}

void
vc_ivf_endscan(IndexScanDesc scan)
{
	VcIvfScan *state = scan->opaque;

	vc_scan_end(scan);
	if (state->fetch != NULL)
		vc_fetch_close(state->fetch);
	MemoryContextDelete(state->context);
	pfree(state);
}
