/*
 * check.c
 *		vectorcoll.hnsw_check(index, heapallindexed): everything an index promises, held against what its pages say.
 *
 * Held are the kinds of pages and the bounds of headers, links being to other nodes of the same level and no two to the same,
 * link distances, codes and factors being what the values give again, upper nodes standing above the same value, lists of heap
 * TIDs being whole and each page in one of them, and each row being there once. With heapallindexed every row that the table
 * shows to a fresh snapshot must be in the index, under its value. The first fault is raised as XX002, naming the block.
 *
 * Live nodes that no link leads to are no fault: scans find them when they sweep the index (scan.c). More than a few make
 * searches worse, so a warning tells how many there are.
 *
 * The table is locked in share mode, so that nothing changes meanwhile. Two passes: header, links and TIDs of each node, then
 * for each link the neighbour's value, which costs a rotation and a coding each.
 */
#include "hnsw/walk.h"

#include <float.h>
#include <math.h>

#include "access/tableam.h"
#include "am/owner.h"
#include "catalog/index.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* Factors and rotated values are computed with other roundings on other CPUs. */
#define FACTOR_TOLERANCE 1e-3
#define SIGN_TOLERANCE 1e-5

/* A compact node keeps 8 bits of a factor. */
#define SHORT_FACTOR_TOLERANCE (1.0 / 128)

/* Of codes of several bits the lower ones may be chosen otherwise there, within the error of the last one. */
#define LONG_FACTOR_TOLERANCE 0.1

/* A link keeps 7 bits of its distance. */
#define DISTANCE_TOLERANCE (1.0 / 64)

typedef struct RowPlace
{
	ItemPointerData tid;
	bool            listed; /* with these keys in the list of keys */
	VcHnswId		id;
	uint32          keys; /* a digest of them, where there are key columns */
} RowPlace;

typedef struct CheckState
{
	VcHnswWalk walk;
	RowPlace  *rows; /* in the order of their TIDs, once sorted */
	uint64	   nrows;
	uint64	   room;
	uint8	  *chained; /* [nblocks]: the page is in a list of TIDs */

	VcHnswNode	  *node; /* [slot_size], the node under test */
	char		  *value; /* of a neighbour */
	float		  *own_rotated;
	float		  *rotated;
	float		  *residual;
	uint8		  *code;
	uint8		  *stored;
	MemoryContext row_context;
} CheckState;

static inline BlockNumber
block_of(CheckState *check, VcHnswId id)
{
	return vc_hnsw_block(&check->walk.graph.shape, id);
}

/* ---- header and heap TIDs ---- */

static void
add_row(CheckState *check, VcHnswId id, BlockNumber block, ItemPointer tid, uint32 keys)
{
	if (!ItemPointerIsValid(tid))
		vc_page_corrupted(check->walk.index, block, "node %u has an invalid row pointer", id);
	if (check->nrows == check->room)
	{
		check->room *= 2;
		check->rows = repalloc_huge(check->rows, sizeof(RowPlace) * check->room);
	}
	check->rows[check->nrows++] = (RowPlace){*tid, false, id, keys};
}

static uint32
digest_of_row(const VcKeyLayout *layout, const VcKeyRow *row)
{
	return row->nulls ^ hash_bytes((const unsigned char *) row->value, sizeof(int64) * layout->columns);
}

/* A digest of the keys of a row in a key block; 0 without key columns. */
static uint32
digest_of(const VcKeyLayout *layout, const void *keys, uint32 slot)
{
	VcKeyRow row;

	if (layout == NULL)
		return 0;
	vc_keys_get(layout, keys, slot, &row);
	return digest_of_row(layout, &row);
}

/* The pages of a node's list of TIDs; each may be in one list only, so that a list that runs in a circle is told too. */
static uint64
check_overflow(CheckState *check, VcHnswId id, BlockNumber block)
{
	VcHnswWalk *walk = &check->walk;
	const VcHnswKeys *keys = walk->graph.keys;
	uint64            count = 0;
	BlockNumber from = block_of(check, id);

	while (block != InvalidBlockNumber)
	{
		VcHold			  hold;
		const VcHnswTids *tids;
		BlockNumber		  next;

		CHECK_FOR_INTERRUPTS();
		if (block >= walk->nblocks || walk->kind[block] != VC_HNSW_TIDS)
			vc_page_corrupted(walk->index, from, "the row pointers of node %u go on in block %u, which has none", id, block);
		if (check->chained[block])
			vc_page_corrupted(walk->index, from, "the row pointers of node %u go on in block %u, which is in a list already",
							  id, block);
		check->chained[block] = 1;
		vc_hold_init(&hold);
		tids = (VcHnswTids *) VcPageGetPayload(
			vc_store_read(&walk->graph.store, &hold, block, VC_HNSW_TIDS, VC_PAGE_PAYLOAD));
		if (tids->count > vc_hnsw_tids_max(&walk->graph))
			vc_page_corrupted(walk->index, block, "the page says it has %u row pointers", tids->count);
		for (uint32 i = 0; i < tids->count; i++)
			add_row(check, id, block, (ItemPointer) &tids->tid[i],
					digest_of(keys ? &keys->tids : NULL, keys ? vc_hnsw_tids_keys(keys, tids) : NULL, i));
		count += tids->count;
		next = tids->next;
		vc_store_release(&walk->graph.store, &hold);
		from = block;
		block = next;
	}
	return count;
}

static void
check_header(CheckState *check, VcHnswId id)
{
	VcHnswWalk		 *walk = &check->walk;
	const VcHnswNode *node = check->node;
	BlockNumber		  block = block_of(check, id);
	bool			  dead = (node->flags & VC_HNSW_DEAD) != 0;
	uint64			  overflow = 0;

	if (node->level > 0)
	{
		if (node->tids > 0)
			vc_page_corrupted(walk->index, block, "node %u of level %u has row pointers", id, node->level);
		if (!dead)
			vc_hnsw_walk_check_link(walk, id, node->down, node->level - 1);
		return;
	}
	for (int i = 0; i < node->tids; i++)
		add_row(check, id, block, (ItemPointer) &node->tid[i],
				digest_of(walk->graph.keys ? &walk->graph.keys->node : NULL,
						  vc_hnsw_node_keys(&walk->graph.shape, node), i));
	overflow = check_overflow(check, id, node->overflow);
	if (dead != (node->tids + overflow == 0))
		vc_page_corrupted(walk->index, block, "node %u is %s and has " UINT64_FORMAT " row pointers", id,
						  dead ? "dead" : "alive", node->tids + overflow);
	if ((node->flags & VC_HNSW_APART) && node->links > 0)
		vc_page_corrupted(walk->index, block, "node %u has no distance from anything, but links", id);
}

/* ---- links ---- */

/* How far a recomputed distance may be off for other reasons than how it is stored. */
static double
rounding_error(CheckState *check, const void *theirs, float their_scale)
{
	VcHnswGraph *graph = &check->walk.graph;
	uint32		 dim = graph->shape.dim;

	if (graph->metric->kind == VC_METRIC_IP_LINKING)
	{
		/* What cancels out may be much larger than what is left: a value's distance from itself is its square, negative. */
		const void *own = vc_hnsw_node_value(&graph->shape, check->node);

		return 1e-5 * (fabs((double) graph->metric->distance(own, 1, own, 1, dim)) +
					   fabs((double) graph->metric->distance(theirs, their_scale, theirs, their_scale, dim)));
	}
	return graph->metric->kind == VC_METRIC_COSINE || graph->metric->kind == VC_METRIC_JACCARD ? 1e-5 : 0;
}

static void
check_distance(CheckState *check, VcHnswId id, int link, float scale)
{
	VcHnswGraph *graph = &check->walk.graph;
	float		 stored = vc_hnsw_unpack_distance(vc_hnsw_links_distance(&graph->shape, check->node)[link]);
	float		 distance = graph->metric->distance(vc_hnsw_node_value(&graph->shape, check->node), check->node->scale,
													check->value, scale, graph->shape.dim);
	double		 slack = DISTANCE_TOLERANCE * fabs((double) distance) + rounding_error(check, check->value, scale);

	if (stored == distance || fabs((double) stored - distance) <= slack)
		return;
	vc_page_corrupted(check->walk.index, block_of(check, id), "link %d of node %u has distance %g where %g was expected", link,
					  id, stored, distance);
}

static bool
about_equal(const VcHnswShape *shape, float a, float b, double scale)
{
	double tolerance = shape->bits > 1 ? LONG_FACTOR_TOLERANCE : shape->compact ? SHORT_FACTOR_TOLERANCE : FACTOR_TOLERANCE;

	return fabs((double) a - b) <= tolerance * (scale + fabs((double) a));
}

static bool
code_sign(const VcHnswShape *shape, const uint8 *code, uint32 i)
{
	return shape->bits == 1 ? (code[i / 8] >> (i % 8)) & 1 : (code[i] >> (shape->bits - 1)) & 1;
}

static void
check_code(CheckState *check, VcHnswId id, int link, float scale)
{
	VcHnswGraph		  *graph = &check->walk.graph;
	const VcHnswShape *shape = &graph->shape;
	uint32			   padded = shape->padded;
	VcHnswFactors	   factors;
	VcHnswFactors	   kept;
	double			   size = 0;
	bool			   wrong = false;

	vc_hnsw_rotated(graph, check->value, scale, check->rotated);
	for (uint32 i = 0; i < padded; i++)
		size += (double) check->rotated[i] * check->rotated[i] + (double) check->own_rotated[i] * check->own_rotated[i];
	vc_hnsw_encode(graph, check->rotated, check->own_rotated, check->residual, check->code, &factors);
	vc_hnsw_get_code(shape, check->node, link, check->stored);
	/* The highest bit of a code is the sign of the residual. The lower ones are chosen by a search that may end elsewhere. */
	for (uint32 i = 0; i < padded && !wrong; i++)
		wrong = code_sign(shape, check->code, i) != code_sign(shape, check->stored, i) &&
				fabs((double) (check->rotated[i] - check->own_rotated[i])) > SIGN_TOLERANCE * sqrt(size);
	if (wrong)
		vc_page_corrupted(check->walk.index, block_of(check, id), "the code of link %d of node %u is not that of its value",
						  link, id);
	vc_hnsw_get_factors(shape, check->node, link, &kept);
	if (!vc_hnsw_expect_factors(shape, check->node, link, &factors) ||
		!about_equal(shape, factors.add, kept.add, size) || !about_equal(shape, factors.add_ip, kept.add_ip, size) ||
		!about_equal(shape, factors.rescale, kept.rescale, sqrt(size / padded)))
		vc_page_corrupted(check->walk.index, block_of(check, id),
						  "the factors of link %d of node %u are not those of its value", link, id);
}

static int
compare_ids(const void *a, const void *b)
{
	VcHnswId x = *(const VcHnswId *) a;
	VcHnswId y = *(const VcHnswId *) b;

	return x < y ? -1 : x > y;
}

/* The links of a live node, before their values are looked at: to others of its level, to each once, or once as another hub. */
static void
check_targets(CheckState *check, VcHnswId id, bool far)
{
	const VcHnswNode *node = check->node;
	VcHnswId		  sorted[VC_HNSW_MAX_DEGREE];
	int				  n = 0;
	int				  first;
	int				  end;

	vc_hnsw_places(&check->walk.graph.shape, node, far, &first, &end);
	for (int i = first; i < Min(end, node->links); i++)
	{
		VcHnswId link = vc_hnsw_links(node)[i];

		if (link == VC_HNSW_NONE)
			continue;
		vc_hnsw_walk_check_link(&check->walk, id, link, node->level);
		if (link == id)
			vc_page_corrupted(check->walk.index, block_of(check, id), "node %u links to itself", id);
		sorted[n++] = link;
	}
	qsort(sorted, n, sizeof(VcHnswId), compare_ids);
	for (int i = 1; i < n; i++)
		if (sorted[i] == sorted[i - 1])
			vc_page_corrupted(check->walk.index, block_of(check, id), "node %u links to node %u twice", id, sorted[i]);
}

/* Copy a node's value; returns its scale, and its flags if asked for. */
static float
read_value(CheckState *check, VcHnswId id, uint8 *flags)
{
	VcHnswGraph		 *graph = &check->walk.graph;
	VcHold			  hold;
	const VcHnswNode *node = vc_hnsw_node(graph, &hold, id);
	float			  scale = node->scale;

	if (flags)
		*flags = node->flags;
	memcpy(check->value, vc_hnsw_node_value(&graph->shape, node),
		   vc_hnsw_value_size(&graph->shape, vc_hnsw_node_value(&graph->shape, node)));
	vc_hnsw_done(graph, &hold);
	return scale;
}

static void
check_links(CheckState *check, VcHnswId id)
{
	VcHnswGraph		  *graph = &check->walk.graph;
	const VcHnswShape *shape = &graph->shape;
	const VcHnswNode  *node = check->node;
	void			  *own = vc_hnsw_node_value(shape, node);
	int				   first_far;
	int				   end;

	check_targets(check, id, false);
	check_targets(check, id, true);
	vc_hnsw_places(shape, node, true, &first_far, &end);
	if (node->level > 0)
	{
		float scale = read_value(check, node->down, NULL);

		if (scale != node->scale || !vc_hnsw_same_value(shape, check->value, own))
			vc_page_corrupted(check->walk.index, block_of(check, id), "node %u stands above node %u, which has another value",
							  id, node->down);
	}
	if (shape->coded)
		vc_hnsw_rotated(graph, own, node->scale, check->own_rotated);
	for (int i = 0; i < node->links; i++)
	{
		float scale;
		uint8 flags;

		if (vc_hnsw_links(node)[i] == VC_HNSW_NONE)
			continue;
		CHECK_FOR_INTERRUPTS();
		scale = read_value(check, vc_hnsw_links(node)[i], &flags);
		if (i >= first_far && !(flags & VC_HNSW_HUB))
			vc_page_corrupted(check->walk.index, block_of(check, id), "link %d of node %u is to node %u, which is no hub", i, id,
							  vc_hnsw_links(node)[i]);
		if (!shape->compact)
			check_distance(check, id, i, scale);
		if (shape->coded)
			check_code(check, id, i, scale);
	}
}

static void
check_nodes(CheckState *check)
{
	VcHnswWalk *walk = &check->walk;

	for (uint64 i = 0; i < vc_hnsw_walk_slots(walk); i++)
	{
		VcHnswId		  id = (VcHnswId) i;
		VcHold			  hold;
		const VcHnswNode *node;

		if (!(walk->slot[id] & VC_HNSW_WALK_USED))
			continue;
		CHECK_FOR_INTERRUPTS();
		node = vc_hnsw_node(&walk->graph, &hold, id);
		memcpy(check->node, node, vc_hnsw_node_size(&walk->graph.shape, node));
		vc_hnsw_done(&walk->graph, &hold);
		check_header(check, id);
		/* A dead node waits for vacuum; what it links to may be gone already. */
		if (!(check->node->flags & VC_HNSW_DEAD))
			check_links(check, id);
	}
	for (BlockNumber block = 0; block < walk->nblocks; block++)
		if (walk->kind[block] == VC_HNSW_TIDS && !check->chained[block])
			ereport(DEBUG1, (errmsg("block %u of index \"%s\" is in no list of row pointers", block,
									RelationGetRelationName(walk->index))));
}

/* ---- rows ---- */

static int
compare_places(const void *a, const void *b)
{
	return ItemPointerCompare((ItemPointer) & ((const RowPlace *) a)->tid, (ItemPointer) & ((const RowPlace *) b)->tid);
}

static void
check_rows(CheckState *check)
{
	qsort(check->rows, check->nrows, sizeof(RowPlace), compare_places);
	for (uint64 i = 1; i < check->nrows; i++)
		if (compare_places(&check->rows[i - 1], &check->rows[i]) == 0)
			vc_page_corrupted(check->walk.index, block_of(check, check->rows[i].id),
							  "nodes %u and %u both have row (%u,%u)", check->rows[i - 1].id, check->rows[i].id,
							  ItemPointerGetBlockNumber(&check->rows[i].tid),
							  ItemPointerGetOffsetNumber(&check->rows[i].tid));
}

/*
 * Whether a compact node is one of this value. The code may have been made on another CPU and differ where a value lies between two
 * levels; what it stands for must be as far off as the node says.
 */
static bool
stands_for(CheckState *check, VcHnswId id, const VcValue *value)
{
	VcHnswGraph		  *graph = &check->walk.graph;
	const VcHnswShape *shape = &graph->shape;
	VcHold			   hold;
	const VcHnswNode  *node = vc_hnsw_node(graph, &hold, id);
	VcHnswOwn		   own = node->own;
	bool			   apart = (node->flags & VC_HNSW_APART) != 0;
	double			   error2 = vc_hnsw_error2(graph, node);
	VcHnswStored	   stored;
	double			   norm2 = 0;
	double			   off2 = 0;

	vc_hnsw_rotated(graph, vc_hnsw_node_value(shape, node), node->scale, check->rotated);
	vc_hnsw_done(graph, &hold);
	if (apart || value->is_zero)
		return apart && value->is_zero;
	vc_metric_to_float(graph->metric, value->data, value->scale, shape->dim, check->own_rotated);
	vc_hnsw_rotate(graph, check->own_rotated);
	vc_hnsw_store_value(graph, value, check->own_rotated, check->value, &stored);
	if (stored.own.hash != own.hash)
		return false;
	/* Beyond the range of float nothing more is known. */
	if (!isfinite(stored.own.norm2) || !isfinite(own.norm2))
		return isfinite(stored.own.norm2) == isfinite(own.norm2);
	for (uint32 i = 0; i < shape->padded; i++)
	{
		double off = (double) check->own_rotated[i] - check->rotated[i];

		norm2 += (double) check->own_rotated[i] * check->own_rotated[i];
		off2 += off * off;
	}
	return fabs(norm2 - own.norm2) <= FACTOR_TOLERANCE * norm2 + FLT_MIN * shape->padded &&
		   off2 <= 1.02 * error2 + FACTOR_TOLERANCE * FACTOR_TOLERANCE * norm2;
}

/* ---- the list of keys ---- */

static int
compare_rows(const void *a, const void *b)
{
	const RowPlace *x = a;
	const RowPlace *y = b;
	int             order = compare_places(x, y);

	if (order != 0)
		return order;
	return x->id != y->id ? (x->id < y->id ? -1 : 1) : (x->keys > y->keys) - (x->keys < y->keys);
}

/* Read the list, and note which rows are in it as their nodes have them. Rows that no node has may be left over. */
static void
check_keys(CheckState *check)
{
	VcHnswWalk       *walk = &check->walk;
	const VcHnswKeys *keys = walk->graph.keys;
	BlockNumber       from = VC_HNSW_META_BLOCK;
	uint64            room = check->nrows + 1;
	uint64            n = 0;
	RowPlace         *listed = palloc_extended(sizeof(RowPlace) * room, MCXT_ALLOC_HUGE);

	for (BlockNumber block = vc_hnsw_keys_head(&walk->graph); block != InvalidBlockNumber;)
	{
		VcHold               hold;
		const VcHnswKeyPage *page;
		BlockNumber          next;

		CHECK_FOR_INTERRUPTS();
		if (block >= walk->nblocks || walk->kind[block] != VC_HNSW_KEYS)
			vc_page_corrupted(walk->index, from, "the list of keys goes on in block %u, which has none", block);
		if (check->chained[block])
			vc_page_corrupted(walk->index, from, "the list of keys goes on in block %u, which is in a list already",
							  block);
		check->chained[block] = 1;
		page = vc_hnsw_keys_page(&walk->graph, &hold, block);
		next = page->next;
		if (n + page->count > room)
		{
			room = Max(room * 2, n + page->count);
			listed = repalloc_huge(listed, sizeof(RowPlace) * room);
		}
		for (uint32 i = 0; i < page->count; i++)
		{
			if (page->node[i] >= vc_hnsw_walk_slots(walk) ||
				walk->kind[block_of(check, page->node[i])] != VC_HNSW_NODES)
				vc_page_corrupted(walk->index, block, "the list of keys leads to node %u, which does not exist",
								  page->node[i]);
			listed[n++] = (RowPlace){vc_hnsw_keys_tids(keys, page)[i], true, page->node[i],
									 digest_of(&keys->list, vc_hnsw_keys_block(keys, page), i)};
		}
		vc_store_release(&walk->graph.store, &hold);
		from = block;
		block = next;
	}
	qsort(listed, n, sizeof(RowPlace), compare_rows);
	for (uint64 i = 0; i < check->nrows; i++)
		check->rows[i].listed = bsearch(&check->rows[i], listed, n, sizeof(RowPlace), compare_rows) != NULL;
	pfree(listed);
}

/* A row of the table: it must be in the index, under its value and with its keys. */
static void
check_row(Relation index, ItemPointer tid, Datum *values, bool *isnull, bool tuple_is_alive, void *arg)
{
	CheckState		  *check = arg;
	VcHnswGraph		  *graph = &check->walk.graph;
	RowPlace		   key = {.tid = *tid};
	RowPlace		  *place;
	MemoryContext	   old;
	VcValue			   value;
	float			   scale;

	if (isnull[0])
		return;
	CHECK_FOR_INTERRUPTS();
	place = check->nrows == 0 ? NULL : bsearch(&key, check->rows, check->nrows, sizeof(RowPlace), compare_places);
	if (place == NULL)
		ereport(ERROR, (errcode(ERRCODE_INDEX_CORRUPTED),
						errmsg("index \"%s\" lacks row (%u,%u)", RelationGetRelationName(index),
							   ItemPointerGetBlockNumber(tid), ItemPointerGetOffsetNumber(tid)),
						errhint("Rebuild it with REINDEX INDEX.")));
	old = MemoryContextSwitchTo(check->row_context);
	vc_metric_value(graph->metric, values[0], &value);
	scale = graph->shape.compact ? value.scale : read_value(check, place->id, NULL);
	if (value.dim != graph->shape.dim || scale != value.scale ||
		!(graph->shape.compact ? stands_for(check, place->id, &value)
							   : vc_hnsw_same_value(&graph->shape, check->value, value.data)))
		vc_page_corrupted(index, block_of(check, place->id), "row (%u,%u) has another value than node %u",
						  ItemPointerGetBlockNumber(tid), ItemPointerGetOffsetNumber(tid), place->id);
	if (graph->keys)
	{
		VcKeyRow keys;

		vc_keys_row(&graph->keys->node, index, values, isnull, &keys);
		if (digest_of_row(&graph->keys->node, &keys) != place->keys)
			vc_page_corrupted(index, block_of(check, place->id), "row (%u,%u) has other keys than in node %u",
							  ItemPointerGetBlockNumber(tid), ItemPointerGetOffsetNumber(tid), place->id);
		if (!place->listed)
			vc_page_corrupted(index, block_of(check, place->id), "the list of keys lacks row (%u,%u) of node %u",
							  ItemPointerGetBlockNumber(tid), ItemPointerGetOffsetNumber(tid), place->id);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(check->row_context);
}

static void
check_table(CheckState *check, Relation table, Relation index)
{
	IndexInfo	 *index_info = BuildIndexInfo(index);
	Snapshot	  snapshot = RegisterSnapshot(GetTransactionSnapshot());
	TableScanDesc scan = table_beginscan_strat(table, snapshot, 0, NULL, true, true);

	/* As a concurrent build scans: with a snapshot, so that rows it does not show are left out. */
	index_info->ii_Concurrent = true;
	index_info->ii_Unique = false;
	index_info->ii_ExclusionOps = NULL;
	table_index_build_scan(table, index, index_info, true, false, check_row, check, scan);
	UnregisterSnapshot(snapshot);
}

PG_FUNCTION_INFO_V1(vc_hnsw_check);

Datum
vc_hnsw_check(PG_FUNCTION_ARGS)
{
	bool			   heapallindexed = PG_GETARG_BOOL(1);
	const VcHnswShape *shape;
	Relation		   table;
	Relation		   index;
	CheckState		   check;

	memset(&check, 0, sizeof(check));
	vc_owner_open(PG_GETARG_OID(0), "vc_hnsw", ShareLock, &table, &index);
	vc_hnsw_walk(&check.walk, index);
	shape = &check.walk.graph.shape;
	check.room = 1024;
	check.rows = palloc(sizeof(RowPlace) * check.room);
	check.chained = palloc_extended(check.walk.nblocks, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	check.node = palloc(shape->slot_size);
	check.value = palloc(shape->value_bytes);
	if (shape->coded)
	{
		check.own_rotated = palloc(sizeof(float) * shape->padded);
		check.rotated = palloc(sizeof(float) * shape->padded);
		check.residual = palloc(sizeof(float) * shape->padded);
		check.code = palloc(shape->padded);
		check.stored = palloc(shape->padded);
	}
	check.row_context = AllocSetContextCreate(CurrentMemoryContext, "vc_hnsw check", ALLOCSET_DEFAULT_SIZES);

	check_nodes(&check);
	check_rows(&check);
	if (check.walk.graph.keys)
		check_keys(&check);
	if (heapallindexed)
		check_table(&check, table, index);
	if (check.walk.unreached > 0)
		ereport(WARNING,
				(errmsg("no link of index \"%s\" leads to " UINT64_FORMAT " of its " UINT64_FORMAT " values",
						RelationGetRelationName(index), check.walk.unreached, check.walk.nodes),
				 errdetail("Scans that read the whole index return them; those that stop before do not."),
				 errhint("REINDEX INDEX links every value again.")));
	vc_owner_close(table, index);
	PG_RETURN_VOID();
}
