/*
 * frontier.c
 *		The lists of an index in order of their centroids' distance from a value.
 *
 * Lists are rows of the root, or of its branches where they are many (train.c): all of them are estimated from their codes,
 * 32 at a time, and only those whose lower bound comes up get their exact distance. A heap holds lower bounds and exact
 * distances side by side, and what leaves it exact is nearer than everything still in it.
 *
 * With branches, only the nearest of them are opened: so many that what they hold is SPREAD times what has been taken out.
 * A near list in a branch that is far as a whole comes later than it should, or, to an insert, not at all; so the order is
 * very nearly that of the distances, as good as it needs to be for searching and better than opening everything is worth.
 *
 * An inserter keeps what it has read of the root in memory, since it asks for one list again and again: the blocks of a chain
 * as they are, and the centroids it has compared. A scan reads pages. Share locks one page at a time.
 */
#include "ivf/ivf.h"

#include <math.h>

#include "kernels/vc_kernels.h"
#include "kernels/vc_quant.h"
#include "miscadmin.h"

/* Lists are few and a missed one costs much: their bound is near-certain whatever vc_ivf.epsilon says. */
#define FRONTIER_EPSILON 2.5f

#define SPREAD 8
#define FIRST_BRANCHES 8

/* No more centroids are kept in memory than take so many bytes. */
#define MAX_KEPT_BYTES (64 * 1024 * 1024)

/* A chain of the root: the root itself, which is the first, or one of its branches. */
typedef struct Chain
{
	BlockNumber head;
	char	   *blocks; /* [nblocks] of header and codes, as on their pages; null until kept */
	uint32		nblocks;
	float	   *centroids; /* [nblocks * 32][padded]; null unless kept */
	bool	   *is_kept;   /* which of them have been read */
	float		g;		   /* of the query from the chain's centre, and |q - c| */
	float		distance;
} Chain;

typedef struct Entry
{
	float		key; /* g, or a lower bound of it */
	bool		exact;
	uint8		slot; /* where the centroid lies */
	uint32		chain;
	uint32		block; /* of the chain, counted from its start */
	BlockNumber vectors;
	BlockNumber head;
	float		g;
	float		distance;
} Entry;

/* Entries, smallest key first once ordered. */
typedef struct EntryHeap
{
	Entry *items;
	uint32 count;
	uint32 room;
} EntryHeap;

struct VcIvfFrontier
{
	VcIvf			 *ivf;
	MemoryContext	  context; /* of all that is kept from one query to the next */
	const VcIvfQuery *query;
	EntryHeap		  lists;
	EntryHeap		  branches; /* not yet opened */
	uint32			  opened;	/* lists in the branches that are */
	uint32			  taken;	/* lists that have left */
	Chain			 *chains;	/* root, then branches in the root's order */
	uint8			 *scratch;
	float			 *centre; /* of the root, once read */
	bool			  has_centre;
	VcIvfVector		 *vector;
	bool			  keep;
	Size			  kept_bytes;
	float			 *estimates; /* of a chain's lists, [estimate_room] */
	uint32			  estimate_room;
};

VcIvfFrontier *
vc_ivf_frontier_new(VcIvf *ivf, bool keep)
{
	VcIvfFrontier *frontier = palloc0(sizeof(VcIvfFrontier));

	frontier->ivf = ivf;
	frontier->context = CurrentMemoryContext;
	frontier->chains = palloc0(sizeof(Chain) * (ivf->meta.branches + 1));
	frontier->chains[0].head = ivf->meta.root;
	frontier->scratch = palloc(ivf->root.plane);
	frontier->centre = palloc0(sizeof(float) * ivf->root.padded);
	frontier->vector = palloc(ivf->root.vector_bytes);
	frontier->keep = keep;
	return frontier;
}

static void
sift_down(EntryHeap *heap, uint32 at)
{
	Entry entry = heap->items[at];

	for (;;)
	{
		uint32 child = at * 2 + 1;

		if (child >= heap->count)
			break;
		if (child + 1 < heap->count && heap->items[child + 1].key < heap->items[child].key)
			child++;
		if (!(heap->items[child].key < entry.key))
			break;
		heap->items[at] = heap->items[child];
		at = child;
	}
	heap->items[at] = entry;
}

static void
order(EntryHeap *heap)
{
	for (uint32 i = heap->count / 2; i-- > 0;)
		sift_down(heap, i);
}

static Entry
pop(EntryHeap *heap)
{
	Entry top = heap->items[0];

	heap->items[0] = heap->items[--heap->count];
	if (heap->count > 0)
		sift_down(heap, 0);
	return top;
}

/* ---- centroids ---- */

/* The centroid of a list or branch; valid until the next call. */
static const float *
centroid_of(VcIvfFrontier *frontier, const Entry *entry)
{
	Size   padded = frontier->ivf->root.padded;
	Chain *chain = &frontier->chains[entry->chain];
	Size   number = (Size) entry->block * VC_RABITQ_BLOCK + entry->slot;

	if (chain->centroids != NULL && chain->is_kept[number])
		return chain->centroids + number * padded;
	vc_ivf_read_vector(frontier->ivf, &frontier->ivf->root, entry->vectors, entry->slot, frontier->vector);
	if (chain->centroids != NULL)
	{
		memcpy(chain->centroids + number * padded, frontier->vector->data, sizeof(float) * padded);
		chain->is_kept[number] = true;
	}
	return (const float *) frontier->vector->data;
}

/* Replace the lower bound of an entry by what it bounds. */
static void
make_exact(VcIvfFrontier *frontier, Entry *entry)
{
	vc_ivf_centre_distance(frontier->ivf, frontier->query, centroid_of(frontier, entry), &entry->g, &entry->distance);
	entry->key = isnan(entry->g) ? INFINITY : entry->g;
	entry->exact = true;
}

/* The first entry of a heap in exact order, taken out; false where there is none. */
static bool
take_nearest(VcIvfFrontier *frontier, EntryHeap *heap, Entry *nearest)
{
	while (heap->count > 0 && !heap->items[0].exact)
	{
		make_exact(frontier, &heap->items[0]);
		sift_down(heap, 0);
	}
	if (heap->count == 0)
		return false;
	*nearest = pop(heap);
	return true;
}

/* ---- chains ---- */

/* Estimates of the lists of a block. */
static void
estimate_block(VcIvfFrontier *frontier, const Chain *chain, const VcIvfBlock *block, const uint8 *codes,
			   float estimate[VC_RABITQ_BLOCK])
{
	vc_rabitq_estimate32(&frontier->query->rabitq, codes, 1, block->add, block->rescale, chain->g, estimate);
}

/* The lower bound of a list from its estimate. */
static inline float
bound_of(const Chain *chain, const VcIvfBlock *block, int slot, float estimate)
{
	float bound = estimate - block->err[slot] * (chain->distance * FRONTIER_EPSILON);

	return isnan(bound) ? -INFINITY : bound;
}

static void
add_entries(VcIvfFrontier *frontier, EntryHeap *heap, uint32 chain, uint32 number, const VcIvfBlock *block,
			const float estimate[VC_RABITQ_BLOCK])
{
	if (heap->count + VC_RABITQ_BLOCK > heap->room)
	{
		heap->room = Max(heap->room * 2, Max(frontier->ivf->meta.lists / 2, 128) + VC_RABITQ_BLOCK);
		if (heap->items == NULL)
			heap->items = MemoryContextAllocHuge(frontier->context, sizeof(Entry) * heap->room);
		else
			heap->items = repalloc_huge(heap->items, sizeof(Entry) * heap->room);
	}
	for (uint32 live = block->live; live != 0; live &= live - 1)
	{
		int	   slot = pg_rightmost_one_pos32(live);
		Entry *entry = &heap->items[heap->count++];

		entry->key = bound_of(&frontier->chains[chain], block, slot, estimate[slot]);
		entry->exact = false;
		entry->slot = slot;
		entry->chain = chain;
		entry->block = number;
		entry->vectors = block->vectors;
		entry->head = ItemPointerGetBlockNumberNoCheck(&block->tid[slot]);
	}
}

typedef void (*BlockVisit)(VcIvfFrontier *frontier, uint32 chain, uint32 number, const VcIvfBlock *block,
						   const uint8 *codes, void *arg);

/* Go through the blocks of a chain that hold something, from its pages. */
static void
visit_pages(VcIvfFrontier *frontier, uint32 chain, BlockVisit visit, void *arg)
{
	VcIvf	   *ivf = frontier->ivf;
	VcIvfShape *shape = &ivf->root;
	BlockNumber segment = frontier->chains[chain].head;
	uint32		number = 0;
	uint32		segments = 0;

	while (segment != InvalidBlockNumber)
	{
		Buffer		buffer = vc_ivf_read_segment(ivf, shape, segment, BUFFER_LOCK_SHARE);
		Page		page = BufferGetPage(buffer);
		VcIvfBlock *blocks = vc_ivf_blocks(page);

		for (uint32 i = 0; i < shape->segment_blocks && blocks[i].live != 0; i++)
			visit(frontier, chain, number++, &blocks[i], vc_ivf_codes(ivf, shape, segment, page, i, frontier->scratch), arg);
		segment = vc_ivf_segment(page)->next;
		UnlockReleaseBuffer(buffer);
		CHECK_FOR_INTERRUPTS();
		if (segments++ > ivf->meta.lists) /* each has one at least */
			vc_page_corrupted(ivf->index, frontier->chains[chain].head, "the root runs in a circle");
	}
}

static Size
kept_block_bytes(const VcIvfFrontier *frontier)
{
	return sizeof(VcIvfBlock) + frontier->ivf->root.plane;
}

static void
keep_block(VcIvfFrontier *frontier, uint32 chain_number, uint32 number, const VcIvfBlock *block, const uint8 *codes,
		   void *arg)
{
	Chain *chain = &frontier->chains[chain_number];
	uint32 *room = arg;
	char   *to;

	if (number == *room)
	{
		*room = Max(*room * 2, 4);
		chain->blocks = chain->blocks == NULL
							? MemoryContextAllocHuge(frontier->context, kept_block_bytes(frontier) * *room)
							: repalloc_huge(chain->blocks, kept_block_bytes(frontier) * *room);
	}
	to = chain->blocks + kept_block_bytes(frontier) * number;
	memcpy(to, block, sizeof(VcIvfBlock));
	memcpy(to + sizeof(VcIvfBlock), codes, frontier->ivf->root.plane);
	chain->nblocks = number + 1;
}

/* Bring a chain into memory, with room for its centroids while there is some. */
static void
keep_chain(VcIvfFrontier *frontier, uint32 number)
{
	Chain *chain = &frontier->chains[number];
	uint32 room = 0;
	Size   bytes;

	if (chain->blocks != NULL)
		return;
	visit_pages(frontier, number, keep_block, &room);
	bytes = sizeof(float) * frontier->ivf->root.padded * VC_RABITQ_BLOCK * chain->nblocks;
	if (frontier->kept_bytes + bytes > MAX_KEPT_BYTES)
		return;
	frontier->kept_bytes += bytes;
	chain->centroids = MemoryContextAllocHuge(frontier->context, bytes);
	chain->is_kept = MemoryContextAllocZero(frontier->context, sizeof(bool) * VC_RABITQ_BLOCK * chain->nblocks);
}

static void
collect_block(VcIvfFrontier *frontier, uint32 chain, uint32 number, const VcIvfBlock *block, const uint8 *codes, void *arg)
{
	float estimate[VC_RABITQ_BLOCK];

	estimate_block(frontier, &frontier->chains[chain], block, codes, estimate);
	add_entries(frontier, arg, chain, number, block, estimate);
}

/* Entries for everything in a chain, with lower bounds, in no order. */
static void
collect(VcIvfFrontier *frontier, uint32 number, EntryHeap *heap)
{
	const Chain *chain = &frontier->chains[number];

	if (!frontier->keep)
	{
		visit_pages(frontier, number, collect_block, heap);
		return;
	}
	keep_chain(frontier, number);
	for (uint32 i = 0; i < chain->nblocks; i++)
	{
		const char *block = chain->blocks + kept_block_bytes(frontier) * i;

		collect_block(frontier, number, i, (const VcIvfBlock *) block, (const uint8 *) block + sizeof(VcIvfBlock), heap);
	}
}

/* Set out with a query: the distance from the root's centre, and with branches their order. */
static void
begin(VcIvfFrontier *frontier, const VcIvfQuery *query)
{
	VcIvf *ivf = frontier->ivf;

	frontier->query = query;
	frontier->lists.count = 0;
	frontier->branches.count = 0;
	frontier->opened = 0;
	frontier->taken = 0;
	if (!frontier->has_centre)
	{
		vc_ivf_read_vector(ivf, &ivf->root, ivf->meta.centre, 0, frontier->vector);
		memcpy(frontier->centre, frontier->vector->data, sizeof(float) * ivf->root.padded);
		frontier->has_centre = true;
	}
	vc_ivf_centre_distance(ivf, query, frontier->centre, &frontier->chains[0].g, &frontier->chains[0].distance);
	if (ivf->meta.branches > 0)
	{
		collect(frontier, 0, &frontier->branches);
		order(&frontier->branches);
	}
}

/* The nearest branch not yet opened, as a chain; false where there is none. */
static bool
next_branch(VcIvfFrontier *frontier, uint32 *chain)
{
	Entry branch;

	if (!take_nearest(frontier, &frontier->branches, &branch))
		return false;
	*chain = branch.block * VC_RABITQ_BLOCK + branch.slot + 1;
	if (*chain > frontier->ivf->meta.branches)
		vc_page_corrupted(frontier->ivf->index, frontier->ivf->meta.root, "the root has more branches than the meta page says");
	frontier->chains[*chain].head = branch.head;
	frontier->chains[*chain].g = branch.g;
	frontier->chains[*chain].distance = branch.distance;
	return true;
}

void
vc_ivf_frontier_start(VcIvfFrontier *frontier, const VcIvfQuery *query)
{
	begin(frontier, query);
	if (frontier->ivf->meta.branches == 0)
	{
		collect(frontier, 0, &frontier->lists);
		order(&frontier->lists);
	}
}

static bool
next_list(VcIvfFrontier *frontier, Entry *list)
{
	uint32 chain;
	bool   more = false;

	while (frontier->branches.count > 0 &&
		   (frontier->opened < SPREAD * (frontier->taken + 1) || frontier->lists.count == 0 ||
			frontier->ivf->meta.branches - frontier->branches.count < FIRST_BRANCHES))
	{
		uint32 before = frontier->lists.count;

		if (!next_branch(frontier, &chain))
			break;
		collect(frontier, chain, &frontier->lists);
		frontier->opened += frontier->lists.count - before;
		more = true;
	}
	if (more)
		order(&frontier->lists);
	if (!take_nearest(frontier, &frontier->lists, list))
		return false;
	frontier->taken++;
	return true;
}

bool
vc_ivf_frontier_next(VcIvfFrontier *frontier, VcIvfProbe *probe)
{
	Entry list;

	if (!next_list(frontier, &list))
		return false;
	*probe = (VcIvfProbe){list.head, list.g, list.distance};
	return true;
}

/* ---- the nearest list alone ---- */

static const VcIvfBlock *
kept_block(const VcIvfFrontier *frontier, const Chain *chain, uint32 number)
{
	return (const VcIvfBlock *) (chain->blocks + kept_block_bytes(frontier) * number);
}

/* Let a list of a kept chain be *best, if it is nearer than that. */
static void
try_list(VcIvfFrontier *frontier, uint32 chain, uint32 number, int slot, Entry *best)
{
	const VcIvfBlock *block = kept_block(frontier, &frontier->chains[chain], number);
	Entry			  entry = {.slot = slot,
							   .chain = chain,
							   .block = number,
							   .vectors = block->vectors,
							   .head = ItemPointerGetBlockNumberNoCheck(&block->tid[slot])};

	make_exact(frontier, &entry);
	if (entry.key < best->key || !best->exact)
		*best = entry;
}

/* Let the nearest list of a kept chain be *best, if it is nearer than that. */
static void
improve(VcIvfFrontier *frontier, uint32 chain_number, Entry *best)
{
	const VcQuantKernels *quant = vc_kernels->quant;
	Chain				 *chain = &frontier->chains[chain_number];
	float				  scale = chain->distance * FRONTIER_EPSILON;
	float				  lowest = best->exact ? best->key : INFINITY;
	uint32				  first = 0;
	int					  first_slot = -1;

	if (chain->nblocks * VC_RABITQ_BLOCK > frontier->estimate_room)
	{
		frontier->estimate_room = chain->nblocks * VC_RABITQ_BLOCK;
		if (frontier->estimates != NULL)
			pfree(frontier->estimates);
		frontier->estimates = MemoryContextAllocHuge(frontier->context, sizeof(float) * frontier->estimate_room);
	}

	/* The one with the lowest bound first: its distance rules most others out. */
	for (uint32 i = 0; i < chain->nblocks; i++)
	{
		const VcIvfBlock *block = kept_block(frontier, chain, i);
		float			 *estimate = frontier->estimates + i * VC_RABITQ_BLOCK;

		estimate_block(frontier, chain, block, (const uint8 *) (block + 1), estimate);
		for (uint32 low = quant->below32(estimate, block->err, scale, lowest) & block->live; low != 0; low &= low - 1)
		{
			int	  slot = pg_rightmost_one_pos32(low);
			float bound = bound_of(chain, block, slot, estimate[slot]);

			if (bound < lowest)
			{
				lowest = bound;
				first = i;
				first_slot = slot;
			}
		}
	}
	if (first_slot >= 0)
		try_list(frontier, chain_number, first, first_slot, best);
	for (uint32 i = 0; i < chain->nblocks; i++)
	{
		const VcIvfBlock *block = kept_block(frontier, chain, i);
		const float		 *estimate = frontier->estimates + i * VC_RABITQ_BLOCK;
		uint32			  low = block->live;

		if (best->exact)
			low &= quant->below32(estimate, block->err, scale, best->key);
		for (; low != 0; low &= low - 1)
		{
			int slot = pg_rightmost_one_pos32(low);

			if ((i != first || slot != first_slot) &&
				(!best->exact || bound_of(chain, block, slot, estimate[slot]) < best->key))
				try_list(frontier, chain_number, i, slot, best);
		}
	}
}

bool
vc_ivf_frontier_nearest(VcIvfFrontier *frontier, const VcIvfQuery *query, VcIvfProbe *probe, float *centroid)
{
	Entry  best = {.key = INFINITY};
	uint32 chain = 0;

	Assert(frontier->keep);
	begin(frontier, query);
	if (frontier->ivf->meta.branches == 0)
	{
		keep_chain(frontier, 0);
		improve(frontier, 0, &best);
	}
	else
		for (int i = 0; (i < FIRST_BRANCHES || !best.exact) && next_branch(frontier, &chain); i++)
		{
			keep_chain(frontier, chain);
			improve(frontier, chain, &best);
		}
	if (!best.exact)
		return false;
	memcpy(centroid, centroid_of(frontier, &best), sizeof(float) * frontier->ivf->root.padded);
	*probe = (VcIvfProbe){best.head, best.g, best.distance};
	return true;
}

/* No more lists than these are looked at for the second copy of a row. */
#define MAX_SPILL_LISTS 64

bool
vc_ivf_frontier_spill(VcIvfFrontier *frontier, const VcIvfQuery *query, const VcIvfProbe *nearest,
					  const float *nearest_centroid, VcIvfProbe *probe, float *centroid)
{
	uint32		 padded = frontier->ivf->root.padded;
	bool		 by_distance = frontier->ivf->metric->kind != VC_METRIC_IP;
	const float *row = query->rotated;
	float		*residual = palloc(sizeof(float) * padded);
	float		 squared_residual;
	float		 row_along;
	float		 best = INFINITY;
	bool		 found = false;
	Entry		 list;
	VcIvfProbe	 next;

	for (uint32 j = 0; j < padded; j++)
		residual[j] = row[j] - nearest_centroid[j];
	squared_residual = vc_kernels->norm2_f32(residual, padded);
	row_along = vc_kernels->ip_f32(row, residual, padded);

	/* A list's loss is no less than its squared distance: lists come in that order until none can be better. */
	vc_ivf_frontier_start(frontier, query);
	for (int i = 0; i < MAX_SPILL_LISTS && next_list(frontier, &list); i++)
	{
		const float *other = centroid_of(frontier, &list);
		float		 squared = vc_kernels->l2sq_f32(row, other, padded);
		float		 loss;

		next = (VcIvfProbe){list.head, list.g, list.distance};
		if (next.head == nearest->head)
			continue;
		if (by_distance && found && !(squared < best))
			break;

		loss = vc_ivf_spill_loss(squared, row_along - vc_kernels->ip_f32(other, residual, padded), squared_residual);
		if (!found || loss < best)
		{
			best = loss;
			found = true;
			*probe = next;
			memcpy(centroid, other, sizeof(float) * padded);
		}
	}
	pfree(residual);
	return found;
}

/* ---- all lists, in the root's order ---- */

typedef struct Heads
{
	BlockNumber *items;
	uint32		 count;
	uint32		 limit;
	float		*centroids; /* null: not wanted */
} Heads;

static void
note_heads(VcIvfFrontier *frontier, uint32 chain, uint32 number, const VcIvfBlock *block, const uint8 *codes, void *arg)
{
	Heads *heads = arg;
	Size   padded = frontier->ivf->root.padded;

	for (uint32 live = block->live; live != 0; live &= live - 1)
	{
		int slot = pg_rightmost_one_pos32(live);

		if (heads->count == heads->limit)
			vc_page_corrupted(frontier->ivf->index, frontier->chains[chain].head,
							  "the root has more than the %u rows of the meta page", heads->limit);
		if (heads->centroids != NULL)
		{
			vc_ivf_read_vector(frontier->ivf, &frontier->ivf->root, block->vectors, slot, frontier->vector);
			memcpy(heads->centroids + heads->count * padded, frontier->vector->data, sizeof(float) * padded);
		}
		heads->items[heads->count++] = ItemPointerGetBlockNumberNoCheck(&block->tid[slot]);
	}
}

/* Of as many lists as lists->limit says. */
static void
visit_lists(VcIvf *ivf, Heads *lists)
{
	VcIvfFrontier *frontier = vc_ivf_frontier_new(ivf, false);
	uint32		   branches = ivf->meta.branches;
	Heads		   top = {palloc(sizeof(BlockNumber) * Max(branches, 1)), 0, branches, NULL};

	visit_pages(frontier, 0, note_heads, branches > 0 ? &top : lists);
	for (uint32 i = 0; i < top.count; i++)
	{
		frontier->chains[i + 1].head = top.items[i];
		visit_pages(frontier, i + 1, note_heads, lists);
	}
}

BlockNumber *
vc_ivf_heads(VcIvf *ivf, uint32 *count)
{
	Heads lists = {palloc(sizeof(BlockNumber) * ivf->meta.lists), 0, ivf->meta.lists, NULL};

	visit_lists(ivf, &lists);
	*count = lists.count;
	return lists.items;
}

void
vc_ivf_centroids(VcIvf *ivf, BlockNumber *heads, float *centroids)
{
	Heads lists = {heads, 0, ivf->meta.lists, centroids};

	visit_lists(ivf, &lists);
	if (lists.count != ivf->meta.lists)
		vc_page_corrupted(ivf->index, ivf->meta.root, "the root has %u rows where the meta page says %u", lists.count,
						  ivf->meta.lists);
}
