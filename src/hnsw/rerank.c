/*
 * rerank.c
 *		See rerank.h.
 *
 * The rows of a node have equal values (hnsw.h, VcHnswOwn), so one that the snapshot sees tells the distance of all; which of the
 * others it sees the executor finds out, as with every row. Between calls the table's page that was read last stays pinned, as in any
 * index scan; the table is read without a lock or pin on the index.
 */
#include "hnsw/rerank.h"

#include "am/scan.h"

#include <math.h>

#include "am/fetch.h"
#include "miscadmin.h"
#include "utils/memutils.h"

typedef struct Rows
{
	VcHnswRanked *row;
	Size		  count;
	Size		  room;
} Rows;

struct VcHnswRerank
{
	VcHnswGraph	 *graph;
	MemoryContext context;
	VcFetch		 *fetch; /* once needed */
	Rows		  heap;	 /* nearest first */
	Rows		  late;
};

VcHnswRerank *
vc_hnsw_rerank_new(VcHnswGraph *graph)
{
	VcHnswRerank *rerank = palloc0(sizeof(VcHnswRerank));

	rerank->graph = graph;
	rerank->context = CurrentMemoryContext;
	return rerank;
}

void
vc_hnsw_rerank_free(VcHnswRerank *rerank)
{
	if (rerank->fetch)
		vc_fetch_close(rerank->fetch);
}

void
vc_hnsw_rerank_reset(VcHnswRerank *rerank)
{
	if (rerank->fetch)
		vc_fetch_reset(rerank->fetch);
	rerank->heap.count = 0;
	rerank->late.count = 0;
}

static inline bool
before(const VcHnswRanked *a, const VcHnswRanked *b)
{
	/* NaN, where sums were beyond float, is last. */
	return a->distance < b->distance || (isnan(b->distance) && !isnan(a->distance));
}

static void
make_room(VcHnswRerank *rerank, Rows *rows)
{
	if (rows->count < rows->room)
		return;
	rows->room = Max(rows->room * 2, 64);
	rows->row = rows->row ? repalloc_huge(rows->row, rows->room * sizeof(VcHnswRanked))
						  : MemoryContextAlloc(rerank->context, rows->room * sizeof(VcHnswRanked));
}

static void
push(VcHnswRerank *rerank, const VcHnswRanked *row)
{
	Rows *heap = &rerank->heap;
	Size  i = heap->count;

	make_room(rerank, heap);
	heap->count++;
	while (i > 0 && before(row, &heap->row[(i - 1) / 2]))
	{
		heap->row[i] = heap->row[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	heap->row[i] = *row;
}

static void
open_fetch(VcHnswRerank *rerank, Relation table)
{
	MemoryContext old;

	if (rerank->fetch)
		return;
	old = MemoryContextSwitchTo(rerank->context);
	rerank->fetch = vc_fetch_open(rerank->graph->store.index, table, rerank->graph->metric, rerank->graph->shape.dim);
	MemoryContextSwitchTo(old);
}

/* The first of a node's rows that the snapshot sees, and its distance; ntids where it sees none. */
static Size
first_seen(VcHnswRerank *rerank, Relation table, Snapshot snapshot, const VcHnswQuery *query, const ItemPointerData *tids, Size ntids,
		   float *distance)
{
	VcHnswGraph *graph = rerank->graph;
	VcValue		 value;
	Size		 i = 0;

	open_fetch(rerank, table);
	while (i < ntids && !vc_fetch_value(rerank->fetch, (ItemPointer) &tids[i], snapshot, &value))
	{
		CHECK_FOR_INTERRUPTS();
		i++;
	}
	if (i == ntids)
		return i;
	vc_work.distances++;
	*distance = value.is_zero ? NAN : graph->metric->distance(value.data, value.scale, query->data, query->scale, graph->shape.dim);
	return i;
}

void
vc_hnsw_rerank_add(VcHnswRerank *rerank, Relation table, Snapshot snapshot, const VcHnswQuery *query, VcHnswId id,
				   float rough, const ItemPointerData *tids, Size ntids)
{
	VcHnswRanked row = {.id = id, .rough = rough};

	for (Size i = first_seen(rerank, table, snapshot, query, tids, ntids, &row.distance); i < ntids; i++)
	{
		row.tid = tids[i];
		push(rerank, &row);
	}
}

bool
vc_hnsw_rerank_distance(VcHnswRerank *rerank, Relation table, Snapshot snapshot, const VcHnswQuery *query, const ItemPointerData *tids,
						Size ntids, float *distance)
{
	return first_seen(rerank, table, snapshot, query, tids, ntids, distance) < ntids;
}

void
vc_hnsw_rerank_expect(VcHnswRerank *rerank, Relation table, const ItemPointerData *tids, int n)
{
	open_fetch(rerank, table);
	vc_fetch_expect(rerank->fetch, tids, n);
}

const VcHnswRanked *
vc_hnsw_rerank_first(VcHnswRerank *rerank)
{
	return rerank->heap.count > 0 ? &rerank->heap.row[0] : NULL;
}

void
vc_hnsw_rerank_pop(VcHnswRerank *rerank)
{
	Rows		*heap = &rerank->heap;
	VcHnswRanked last = heap->row[--heap->count];
	Size		 i = 0;

	for (Size child = 1; child < heap->count; child = 2 * i + 1)
	{
		if (child + 1 < heap->count && before(&heap->row[child + 1], &heap->row[child]))
			child++;
		if (!before(&heap->row[child], &last))
			break;
		heap->row[i] = heap->row[child];
		i = child;
	}
	if (heap->count > 0)
		heap->row[i] = last;
}

void
vc_hnsw_rerank_postpone(VcHnswRerank *rerank)
{
	make_room(rerank, &rerank->late);
	rerank->late.row[rerank->late.count++] = rerank->heap.row[0];
	vc_hnsw_rerank_pop(rerank);
}

bool
vc_hnsw_rerank_resume(VcHnswRerank *rerank)
{
	if (rerank->late.count == 0)
		return false;
	for (Size i = 0; i < rerank->late.count; i++)
		push(rerank, &rerank->late.row[i]);
	rerank->late.count = 0;
	return true;
}
