/*
 * graph.c
 *		The meta page, nodes and the pages they lie on.
 *
 * Locks: a node is read under a share lock and changed under an exclusive lock on its first page; that lock also protects
 * the node's further pages and its overflow pages, whose own locks are taken after it. Only one node's first page is
 * locked at a time. The meta page's lock is taken before any node's.
 *
 * WAL: each change of a node of up to VC_STORE_MAX_PAGES pages is one record. A larger node is written tails first, so that
 * a crash leaves pages nobody refers to; a link of it is changed in three steps (taken away, codes replaced, put back), so that a
 * crash leaves a node with a link less.
 */
#include "hnsw/hnsw.h"

#include "common/pg_prng.h"
#include "miscadmin.h"
#include "storage/freespace.h"
#include "types/check.h"
#include "utils/memutils.h"

typedef struct CachedGraph
{
	VcHnswShape shape;
	bool        has_keys;
	VcHnswKeys  keys;
	float	   *origin;	  /* behind the rotation, or null */
	VcRotation	rotation; /* variable length, last; only where coded */
} CachedGraph;

void
vc_hnsw_meta_fill(VcHnswMeta *meta, Relation index)
{
	VcHnswOptions  *options = (VcHnswOptions *) index->rd_options;
	VcHnswKeys      keys;
	bool            has_keys = vc_hnsw_keys_fill(&keys, index, options && options->storage == VC_HNSW_STORAGE_COMPACT);
	const VcMetric *metric = vc_metric_of(index, 1);
	VcHnswShape		shape;

	memset(meta, 0, sizeof(*meta));
	meta->magic = VC_HNSW_MAGIC;
	meta->version = VC_HNSW_VERSION;
	meta->element = metric->element;
	meta->metric = metric->kind;
	meta->m = options ? options->m : VC_HNSW_DEFAULT_M;
	meta->ef_construction = options ? options->ef_construction : VC_HNSW_DEFAULT_EF_CONSTRUCTION;
	meta->storage = options ? options->storage : VC_HNSW_STORAGE_FULL;
	meta->dim = vc_metric_declared_dim(metric, index, 1);
	meta->seed = pg_prng_uint64(&pg_global_prng_state);
	meta->entry = VC_HNSW_NONE;
	meta->insert_block = InvalidBlockNumber;
	meta->keys = InvalidBlockNumber;
	meta->keys_room = InvalidBlockNumber;
	if (meta->ef_construction < 2 * meta->m)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("ef_construction must be greater than or equal to 2 * m"),
						errdetail("ef_construction is %d and m is %d.", meta->ef_construction, meta->m)));
	if (meta->storage == VC_HNSW_STORAGE_COMPACT && !vc_metric_is_coded(metric))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("storage = compact is not possible for this operator class"),
						errdetail("Values of L1, Hamming and Jaccard distance and sparse vectors have no codes."),
						errhint("Leave the option away, or set it to full.")));
	vc_hnsw_shape_fill(&shape, metric, meta, has_keys ? &keys : NULL);
	meta->slot_size = shape.slot_size;
}

static void
check_meta(Relation index, const VcMetric *metric, const VcHnswMeta *meta, const VcHnswKeys *keys)
{
	VcHnswShape shape;

	if (meta->magic != VC_HNSW_MAGIC)
		vc_page_corrupted(index, VC_HNSW_META_BLOCK, "the meta page has the wrong magic number");
	if (meta->version != VC_HNSW_VERSION)
		ereport(ERROR, (errcode(ERRCODE_INDEX_CORRUPTED),
						errmsg("index \"%s\" has format version %u, which this version of vectorcoll does not read",
							   RelationGetRelationName(index), meta->version),
						errdetail("It reads version %d.", VC_HNSW_VERSION),
						errhint("Rebuild it with REINDEX INDEX.")));
	if (meta->element != metric->element || meta->metric != metric->kind || meta->dim < 1 ||
		meta->dim > vc_metric_max_dim(metric) || meta->m < VC_HNSW_MIN_M || meta->m > VC_HNSW_MAX_M ||
		meta->ef_construction < VC_HNSW_MIN_EF_CONSTRUCTION || meta->ef_construction > VC_HNSW_MAX_EF_CONSTRUCTION ||
		meta->entry_level > VC_HNSW_MAX_LEVEL || meta->storage > VC_HNSW_STORAGE_COMPACT ||
		(meta->storage == VC_HNSW_STORAGE_COMPACT && !vc_metric_is_coded(metric)) || meta->shifted > vc_metric_is_coded(metric))
		vc_page_corrupted(index, VC_HNSW_META_BLOCK, "the meta page contradicts the index definition");
	vc_hnsw_shape_fill(&shape, metric, meta, keys);
	if ((keys != NULL) != (meta->keys != InvalidBlockNumber))
		vc_page_corrupted(index, VC_HNSW_META_BLOCK, "the meta page %s a list of keys", keys ? "lacks" : "has");
	if (shape.slot_size != meta->slot_size)
		vc_page_corrupted(index, VC_HNSW_META_BLOCK, "nodes have %u bytes where %zu were expected", meta->slot_size,
						  shape.slot_size);
}

static Size
origin_at(const VcHnswShape *shape)
{
	return MAXALIGN(offsetof(CachedGraph, rotation) + (shape->coded ? vc_rotation_size(shape->padded) : 0));
}

static Size
cached_size(const VcHnswShape *shape, bool shifted)
{
	return origin_at(shape) + (shifted ? sizeof(float) * shape->padded : 0);
}

/* All but what is allocated. */
static void
graph_set(VcHnswGraph *graph, const CachedGraph *cached, VcHnswPurpose purpose)
{
	graph->shape = cached->shape;
	if (purpose == VC_HNSW_TO_LINK)
		graph->metric = vc_metric_linking(graph->metric);
	else if (graph->shape.links_add_ip > 0)
		graph->shape.links_add = graph->shape.links_add_ip;
	graph->rotation = cached->shape.coded ? &cached->rotation : NULL;
	graph->origin = cached->origin;
	graph->keys = cached->has_keys ? &cached->keys : NULL;
	graph->fill_block = InvalidBlockNumber;
}

static void
graph_init(VcHnswGraph *graph, const CachedGraph *cached, VcHnswPurpose purpose)
{
	graph_set(graph, cached, purpose);
	graph->image = cached->shape.pages_per_node > 1 ? palloc(cached->shape.slot_size) : NULL;
	graph->unpacked = NULL;
	if (cached->shape.compact)
	{
		graph->unpacked = palloc(cached->shape.padded);
		graph->centre = palloc(sizeof(float) * cached->shape.padded);
		graph->lut = palloc(vc_rabitq_lut_size(cached->shape.padded));
	}
	graph->none = cached->shape.sparse ? palloc0(cached->shape.value + sizeof(uint32)) : NULL;
}

static void
cached_fill(CachedGraph *cached, const VcHnswShape *shape, const VcHnswKeys *keys)
{
	cached->shape = *shape;
	cached->has_keys = keys != NULL;
	cached->origin = NULL;
	if (keys)
		cached->keys = *keys;
	if (shape->coded)
		vc_rotation_init(&cached->rotation, shape->dim, shape->padded, shape->seed);
}

/* Open the store, read the meta page, and find or make what the backend remembers of the index. */
static const CachedGraph *
open_index(VcHnswGraph *graph, Relation index)
{
	VcHold		 hold;
	VcHnswMeta	 meta;
	CachedGraph *cached;

	graph->metric = vc_metric_of(index, 1);
	vc_store_open(&graph->store, index, VC_HNSW_MAGIC, true);
	vc_hold_init(&hold);
	meta = *(VcHnswMeta *) VcPageGetPayload(
		vc_store_read(&graph->store, &hold, VC_HNSW_META_BLOCK, VC_HNSW_META, sizeof(VcHnswMeta)));
	vc_store_release(&graph->store, &hold);

	cached = graph->store.cached->data;
	if (cached == NULL || cached->shape.seed != meta.seed)
	{
		VcHnswShape shape;
		VcHnswKeys  keys;
		bool        has_keys = vc_hnsw_keys_fill(&keys, index, meta.storage == VC_HNSW_STORAGE_COMPACT);

		check_meta(index, graph->metric, &meta, has_keys ? &keys : NULL);
		vc_hnsw_shape_fill(&shape, graph->metric, &meta, has_keys ? &keys : NULL);
		cached = vc_cache_alloc(graph->store.cached, cached_size(&shape, meta.shifted));
		cached_fill(cached, &shape, has_keys ? &keys : NULL);
		if (meta.shifted)
		{
			cached->origin = (float *) ((char *) cached + origin_at(&shape));
			vc_hnsw_origin_read(graph, &shape, cached->origin);
		}
		graph->store.cached->data = cached;
	}
	graph->calibration = meta.calibration;
	return cached;
}

void
vc_hnsw_open(VcHnswGraph *graph, Relation index, VcHnswPurpose purpose)
{
	const CachedGraph *cached = open_index(graph, index);

	graph_init(graph, cached, purpose);
}

bool
vc_hnsw_open_again(VcHnswGraph *graph, Relation index, VcHnswPurpose purpose)
{
	VcHnswGraph		   old = *graph;
	const CachedGraph *cached = open_index(graph, index);

	graph_set(graph, cached, purpose);
	old.shape.seed = graph->shape.seed;
	if (memcmp(&old.shape, &graph->shape, sizeof(VcHnswShape)) == 0 && old.metric == graph->metric)
		return true;
	*graph = old;
	return false;
}

void
vc_hnsw_open_new(VcHnswGraph *graph, Relation index, const VcHnswMeta *meta, VcHnswPurpose purpose)
{
	VcHnswShape	 shape;
	VcHnswKeys   keys;
	bool         has_keys = vc_hnsw_keys_fill(&keys, index, meta->storage == VC_HNSW_STORAGE_COMPACT);
	CachedGraph *cached;

	graph->metric = vc_metric_of(index, 1);
	vc_store_open(&graph->store, index, VC_HNSW_MAGIC, false);
	vc_hnsw_shape_fill(&shape, graph->metric, meta, has_keys ? &keys : NULL);
	cached = palloc(cached_size(&shape, false));
	cached_fill(cached, &shape, has_keys ? &keys : NULL);
	graph_init(graph, cached, purpose);
}

void
vc_hnsw_read_key(VcHnswGraph *graph, Datum datum, VcValue *value)
{
	const VcHnswShape *shape = &graph->shape;

	vc_metric_value(graph->metric, datum, value);
	vc_check_same_dims(graph->metric->type_name, shape->dim, value->dim);
	if (shape->sparse && vc_hnsw_value_size(shape, value->data) > shape->value_bytes)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("sparsevec has too many non-zero elements for index \"%s\"",
							   RelationGetRelationName(graph->store.index)),
						errdetail("It has %u; a page holds a node of up to %u.", vc_sparse_stored_count(value->data),
								  vc_sparse_stored_capacity(shape->dim, shape->value_bytes))));
}

bool
vc_hnsw_entry(VcHnswGraph *graph, VcHnswId *entry, int *level)
{
	VcHold		hold;
	VcHnswMeta *meta;

	vc_hold_init(&hold);
	meta = (VcHnswMeta *) VcPageGetPayload(
		vc_store_read(&graph->store, &hold, VC_HNSW_META_BLOCK, VC_HNSW_META, sizeof(VcHnswMeta)));
	*entry = meta->entry;
	*level = meta->entry_level;
	if (graph->fill_block == InvalidBlockNumber && graph->store.arena == NULL)
		graph->fill_block = meta->insert_block;
	vc_store_release(&graph->store, &hold);
	return *entry != VC_HNSW_NONE;
}

void
vc_hnsw_note(VcHnswGraph *graph, VcHnswId entry, int level)
{
	VcHold		hold;
	VcHnswMeta *meta;
	bool		changed = false;

	vc_hold_init(&hold);
	meta = (VcHnswMeta *) VcPageGetPayload(
		vc_store_write(&graph->store, &hold, VC_HNSW_META_BLOCK, VC_HNSW_META, sizeof(VcHnswMeta)));
	if (entry != VC_HNSW_NONE && (meta->entry == VC_HNSW_NONE || level > meta->entry_level))
	{
		meta->entry = entry;
		meta->entry_level = level;
		changed = true;
	}
	if (graph->store.arena == NULL && meta->insert_block != graph->fill_block)
	{
		meta->insert_block = graph->fill_block;
		changed = true;
	}
	if (changed)
		vc_store_commit(&graph->store, &hold);
	else
		vc_store_release(&graph->store, &hold);
}

void
vc_hnsw_set_calibration(VcHnswGraph *graph, const VcHnswCalibration *calibration)
{
	VcHold		hold;
	VcHnswMeta *meta;

	vc_hold_init(&hold);
	meta = (VcHnswMeta *) VcPageGetPayload(
		vc_store_write(&graph->store, &hold, VC_HNSW_META_BLOCK, VC_HNSW_META, sizeof(VcHnswMeta)));
	meta->calibration = *calibration;
	vc_store_commit(&graph->store, &hold);
}

void
vc_hnsw_replace_entry(VcHnswGraph *graph, VcHnswId old, VcHnswId entry, int level)
{
	VcHold		hold;
	VcHnswMeta *meta;

	vc_hold_init(&hold);
	meta = (VcHnswMeta *) VcPageGetPayload(
		vc_store_write(&graph->store, &hold, VC_HNSW_META_BLOCK, VC_HNSW_META, sizeof(VcHnswMeta)));
	if (meta->entry != old)
	{
		vc_store_release(&graph->store, &hold);
		return;
	}
	meta->entry = entry;
	meta->entry_level = level;
	vc_store_commit(&graph->store, &hold);
}

/* ---- nodes ---- */

/* Bytes of a node on its i-th page, i > 0. */
static inline Size
tail_bytes(const VcHnswShape *shape, uint32 i)
{
	return Min(shape->slot_size - i * VC_PAGE_PAYLOAD, VC_PAGE_PAYLOAD);
}

/* The node of a slot; graph->none, which is not in use, where a page of sparse values has none there. */
static VcHnswNode *
sparse_node_on_page(VcHnswGraph *graph, BlockNumber block, Page page, uint32 slot)
{
	const VcHnswShape *shape = &graph->shape;
	char			  *payload = VcPageGetPayload(page);
	Size			   at = ((VcHnswSlots *) payload)->offset[slot];
	VcHnswNode		  *node;

	if (at == 0)
	{
		memset(graph->none, 0, shape->value + sizeof(uint32));
		return graph->none;
	}
	node = (VcHnswNode *) (payload + at);
	if (unlikely(at < VC_HNSW_SLOTS_BYTES || at != MAXALIGN(at) || at + shape->value + sizeof(uint32) > VC_PAGE_PAYLOAD ||
				 vc_sparse_stored_count(vc_hnsw_node_value(shape, node)) >
					 vc_sparse_stored_capacity(shape->dim, VC_PAGE_PAYLOAD - at - shape->value)))
		vc_page_corrupted(graph->store.index, block, "the node in slot %u does not fit the page", slot);
	return node;
}

static inline VcHnswNode *
node_on_page(VcHnswGraph *graph, BlockNumber block, Page page, uint32 slot)
{
	if (unlikely(graph->shape.sparse))
		return sparse_node_on_page(graph, block, page, slot);
	return (VcHnswNode *) (VcPageGetPayload(page) + slot * graph->shape.slot_size);
}

/* Bytes of payload that a page of sparse values has left, if what was freed is pushed together. */
static Size
sparse_room(VcHnswGraph *graph, BlockNumber block, Page page)
{
	Size used = VC_HNSW_SLOTS_BYTES;

	for (uint32 slot = 0; slot < VC_HNSW_SPARSE_SLOTS; slot++)
	{
		VcHnswNode *node = sparse_node_on_page(graph, block, page, slot);

		if (node->flags & VC_HNSW_USED)
			used += vc_hnsw_node_size(&graph->shape, node);
	}
	return VC_PAGE_PAYLOAD - Min(used, VC_PAGE_PAYLOAD);
}

/* Push the nodes in use together at the start of a page of sparse values. */
static void
sparse_compact(VcHnswGraph *graph, BlockNumber block, Page page)
{
	PGAlignedBlock old;
	VcHnswSlots	  *slots = (VcHnswSlots *) VcPageGetPayload(page);
	Size		   end = VC_HNSW_SLOTS_BYTES;

	memcpy(old.data, page, BLCKSZ);
	for (uint32 slot = 0; slot < VC_HNSW_SPARSE_SLOTS; slot++)
	{
		VcHnswNode *node = sparse_node_on_page(graph, block, (Page) old.data, slot);
		Size		size;

		slots->offset[slot] = 0;
		if (!(node->flags & VC_HNSW_USED))
			continue;
		size = vc_hnsw_node_size(&graph->shape, node);
		if (end + size > VC_PAGE_PAYLOAD)
			vc_page_corrupted(graph->store.index, block, "the nodes of the page overlap");
		memcpy(VcPageGetPayload(page) + end, node, size);
		slots->offset[slot] = (uint16) end;
		end += size;
	}
	slots->end = (uint16) end;
}

/* Put a node of a sparse value on a page that may be changed; the slot, or -1 where there is none or too little room. */
static int
sparse_put(VcHnswGraph *graph, BlockNumber block, Page page, const VcHnswNode *image)
{
	VcHnswSlots *slots = (VcHnswSlots *) VcPageGetPayload(page);
	Size		 size = vc_hnsw_node_size(&graph->shape, image);
	int			 slot = 0;

	while (slot < VC_HNSW_SPARSE_SLOTS && sparse_node_on_page(graph, block, page, slot)->flags & VC_HNSW_USED)
		slot++;
	if (slot == VC_HNSW_SPARSE_SLOTS)
		return -1;
	if (slots->end == 0)
		slots->end = VC_HNSW_SLOTS_BYTES;
	if (slots->end + size > VC_PAGE_PAYLOAD)
	{
		if (sparse_room(graph, block, page) < size)
			return -1;
		sparse_compact(graph, block, page);
	}
	if (slots->end < VC_HNSW_SLOTS_BYTES || slots->end != MAXALIGN(slots->end))
		vc_page_corrupted(graph->store.index, block, "the page's nodes end at byte %u", slots->end);
	memcpy(VcPageGetPayload(page) + slots->end, image, size);
	slots->offset[slot] = slots->end;
	slots->end += size;
	return slot;
}

static inline void
check_node(VcHnswGraph *graph, VcHnswId id, const VcHnswNode *node)
{
	if (unlikely(node->links > graph->shape.degree || node->level > VC_HNSW_MAX_LEVEL ||
				 node->tids > graph->shape.inline_tids))
		vc_page_corrupted(graph->store.index, vc_hnsw_block(&graph->shape, id),
						  "node %u has %u links, level %u, %u row pointers", id, node->links, node->level, node->tids);
	if (unlikely((node->flags & VC_HNSW_HUB) && (graph->shape.far_links == 0 || node->links != graph->shape.degree)))
		vc_page_corrupted(graph->store.index, vc_hnsw_block(&graph->shape, id), "node %u is a hub of %u links", id, node->links);
	/* To be locked while this block is: it had better be another. */
	if (unlikely(node->level == 0 && node->overflow == vc_hnsw_block(&graph->shape, id)))
		vc_page_corrupted(graph->store.index, node->overflow, "the row pointers of node %u go on in its own page", id);
}

/* Copy a node's further pages, its first being locked, to the image. */
static void
read_tails(VcHnswGraph *graph, BlockNumber block, Page head)
{
	const VcHnswShape *shape = &graph->shape;

	memcpy(graph->image, VcPageGetPayload(head), VC_PAGE_PAYLOAD);
	for (uint32 i = 1; i < shape->pages_per_node; i++)
	{
		VcHold hold;
		Page   page;

		vc_hold_init(&hold);
		page = vc_store_read_owned(&graph->store, &hold, block + i, VC_HNSW_TAIL, tail_bytes(shape, i));
		memcpy(graph->image + i * VC_PAGE_PAYLOAD, VcPageGetPayload(page), tail_bytes(shape, i));
		vc_store_release(&graph->store, &hold);
	}
}

const VcHnswNode *
vc_hnsw_node_header(VcHnswGraph *graph, VcHold *hold, VcHnswId id)
{
	const VcHnswShape *shape = &graph->shape;
	VcHnswNode		  *node;
	Page			   page;

	vc_hold_init(hold);
	page = vc_store_read(&graph->store, hold, id / shape->slots_per_page, VC_HNSW_NODES, vc_hnsw_head_bytes(shape));
	node = node_on_page(graph, id / shape->slots_per_page, page, id % shape->slots_per_page);
	check_node(graph, id, node);
	return node;
}

const VcHnswNode *
vc_hnsw_node(VcHnswGraph *graph, VcHold *hold, VcHnswId id)
{
	const VcHnswNode *node = vc_hnsw_node_header(graph, hold, id);

	if (graph->shape.pages_per_node == 1)
		return node;
	read_tails(graph, hold->block[0], hold->page[0]);
	return (VcHnswNode *) graph->image;
}

/* Of a locked page of nodes of equal size, change one slot, or the first bytes of it. */
static Page
change_slot(VcHnswGraph *graph, VcHold *hold, uint32 slot, Size bytes)
{
	int from = (int) (SizeOfPageHeaderData + slot * graph->shape.slot_size);

	return vc_store_change(&graph->store, hold, from, (int) (from + bytes));
}

VcHnswNode *
vc_hnsw_node_for_update(VcHnswGraph *graph, VcHold *hold, VcHnswId id)
{
	const VcHnswShape *shape = &graph->shape;
	BlockNumber		   block = id / shape->slots_per_page;
	VcHnswNode		  *node;
	Page			   page;

	vc_hold_init(hold);
	if (shape->pages_per_node > 1 || shape->sparse)
		page = vc_store_write(&graph->store, hold, block, VC_HNSW_NODES, vc_hnsw_head_bytes(shape));
	else
	{
		(void) vc_store_lock(&graph->store, hold, block, VC_HNSW_NODES, vc_hnsw_head_bytes(shape));
		page = change_slot(graph, hold, id % shape->slots_per_page, shape->slot_size);
	}
	node = node_on_page(graph, id / shape->slots_per_page, page, id % shape->slots_per_page);
	check_node(graph, id, node);
	if (shape->pages_per_node > 1)
	{
		read_tails(graph, block, page);
		node = (VcHnswNode *) graph->image;
	}
	return node;
}

VcHnswNode *
vc_hnsw_node_head_for_update(VcHnswGraph *graph, VcHold *hold, VcHnswId id, const VcHnswNode **whole)
{
	const VcHnswShape *shape = &graph->shape;
	BlockNumber		   block = id / shape->slots_per_page;
	uint32			   slot = id % shape->slots_per_page;
	Page			   page;

	if (shape->pages_per_node > 1 || shape->sparse || shape->bits > 1)
	{
		VcHnswNode *node = vc_hnsw_node_for_update(graph, hold, id);

		*whole = node;
		return node;
	}
	vc_hold_init(hold);
	page = vc_store_lock(&graph->store, hold, block, VC_HNSW_NODES, vc_hnsw_head_bytes(shape));
	*whole = node_on_page(graph, block, page, slot);
	check_node(graph, id, *whole);
	return node_on_page(graph, block, change_slot(graph, hold, slot, shape->codes), slot);
}

void
vc_hnsw_change_code(VcHnswGraph *graph, VcHold *hold, VcHnswNode *node, const VcHnswNode *whole, int link, const uint8 *code,
					const VcHnswFactors *factors)
{
	const VcHnswShape *shape = &graph->shape;
	const uint8		  *block = vc_hnsw_codes(shape, whole) + link / VC_RABITQ_BLOCK * shape->block_bytes;
	int				   slot = link % VC_RABITQ_BLOCK;
	uint8			   column[VC_WAL_MAX_STRIDES];

	if (node == whole)
	{
		vc_hnsw_set_code(shape, node, link, code, factors);
		return;
	}
	StaticAssertStmt(VC_WAL_STRIDE == 16, "the bytes of a code in a block lie so far apart");
	vc_hnsw_set_factors(shape, node, link, factors);
	vc_rabitq_column1(block, shape->padded, slot, code, column);
	vc_store_change_strided(&graph->store, hold,
							(int) (block - (const uint8 *) BufferGetPage(hold->buffer[0])) + VC_RABITQ_FIRST(slot),
							(int) shape->padded / 4, column);
}

/* Write the image's i-th page, to a page of the same hold or, where the node has more pages than a hold, of its own. */
static void
write_tail(VcHnswGraph *graph, VcHold *hold, BlockNumber block, uint32 i)
{
	const VcHnswShape *shape = &graph->shape;
	Page page = vc_store_write_owned(&graph->store, hold, block + i, VC_HNSW_TAIL, tail_bytes(shape, i));

	memcpy(VcPageGetPayload(page), graph->image + i * VC_PAGE_PAYLOAD, tail_bytes(shape, i));
}

void
vc_hnsw_node_commit(VcHnswGraph *graph, VcHold *hold, VcHnswId id, int link)
{
	const VcHnswShape *shape = &graph->shape;
	BlockNumber		   block = id / shape->slots_per_page;

	if (shape->pages_per_node > 1)
	{
		if (link >= 0 && shape->coded && shape->pages_per_node <= VC_STORE_MAX_PAGES)
		{
			for (uint32 i = 1; i < shape->pages_per_node; i++)
				write_tail(graph, hold, block, i);
		}
		else if (link >= 0 && shape->coded)
		{
			vc_hnsw_links(node_on_page(graph, block, hold->page[0], 0))[link] = VC_HNSW_NONE;
			vc_store_flush(&graph->store, hold);
			for (uint32 i = 1; i < shape->pages_per_node; i++)
			{
				VcHold tail;

				vc_hold_init(&tail);
				write_tail(graph, &tail, block, i);
				vc_store_commit(&graph->store, &tail);
			}
		}
		memcpy(VcPageGetPayload(hold->page[0]), graph->image, VC_PAGE_PAYLOAD);
	}
	vc_store_commit(&graph->store, hold);
}

/* Put a one-page node into a free slot of a block; VC_HNSW_NONE if it has none. */
static VcHnswId
fill_slot(VcHnswGraph *graph, BlockNumber block, const VcHnswNode *image)
{
	const VcHnswShape *shape = &graph->shape;
	VcHold			   hold;
	Page			   page;

	vc_hold_init(&hold);
	if (shape->sparse)
	{
		int slot;

		page = vc_store_write(&graph->store, &hold, block, VC_HNSW_NODES, vc_hnsw_head_bytes(shape));
		slot = sparse_put(graph, block, page, image);
		if (slot >= 0)
		{
			vc_store_commit(&graph->store, &hold);
			return block * shape->slots_per_page + slot;
		}
		vc_store_release(&graph->store, &hold);
		return VC_HNSW_NONE;
	}
	page = vc_store_lock(&graph->store, &hold, block, VC_HNSW_NODES, vc_hnsw_head_bytes(shape));
	for (uint32 slot = 0; slot < shape->slots_per_page; slot++)
	{
		if (!(node_on_page(graph, block, page, slot)->flags & VC_HNSW_USED))
		{
			page = change_slot(graph, &hold, slot, shape->slot_size);
			memcpy(node_on_page(graph, block, page, slot), image, shape->slot_size);
			vc_store_commit(&graph->store, &hold);
			return block * shape->slots_per_page + slot;
		}
	}
	vc_store_release(&graph->store, &hold);
	return VC_HNSW_NONE;
}

/* Put a node on new pages, or, if `first` is given, over a freed node's pages. */
static VcHnswId
fill_pages(VcHnswGraph *graph, BlockNumber reuse, const VcHnswNode *image)
{
	const VcHnswShape *shape = &graph->shape;
	Buffer			  *buffers = NULL;
	BlockNumber		   first = reuse;
	VcHold			   hold;
	Page			   page;

	if (reuse == InvalidBlockNumber)
	{
		buffers = palloc(sizeof(Buffer) * shape->pages_per_node);
		if (!vc_store_extend(&graph->store, shape->pages_per_node, &first, buffers))
		{
			pfree(buffers);
			return VC_HNSW_NONE;
		}
	}
	else
	{
		/* The first page stays locked, so that nobody else takes the same free node. */
		vc_hold_init(&hold);
		page = vc_store_write(&graph->store, &hold, first, VC_HNSW_NODES, vc_hnsw_head_bytes(shape));
		if (node_on_page(graph, first, page, 0)->flags & VC_HNSW_USED)
		{
			vc_store_release(&graph->store, &hold);
			return VC_HNSW_NONE;
		}
	}
	for (uint32 i = shape->pages_per_node - 1; i > 0; i--)
	{
		VcHold tail;

		vc_hold_init(&tail);
		page = buffers
				   ? vc_store_fresh(&graph->store, &tail, first + i, buffers[i], VC_HNSW_TAIL, tail_bytes(shape, i))
				   : vc_store_write_owned(&graph->store, &tail, first + i, VC_HNSW_TAIL, tail_bytes(shape, i));
		memcpy(VcPageGetPayload(page), (const char *) image + i * VC_PAGE_PAYLOAD, tail_bytes(shape, i));
		vc_store_commit(&graph->store, &tail);
	}
	if (buffers)
	{
		vc_hold_init(&hold);
		page = vc_store_fresh(&graph->store, &hold, first, buffers[0], VC_HNSW_NODES, vc_hnsw_head_bytes(shape));
		pfree(buffers);
	}
	else
		page = hold.page[0];
	if (shape->sparse)
		(void) sparse_put(graph, first, page, image);
	else
		memcpy(VcPageGetPayload(page), image, Min(shape->slot_size, VC_PAGE_PAYLOAD));
	vc_store_commit(&graph->store, &hold);
	return first * shape->slots_per_page;
}

/*
 * The free space map rounds down what it is told of and up what it is asked for, to a 256th of a page: in between, what is free
 * would never be found. A node larger than half a page counts as that much, unless nodes differ in size.
 */
static Size
fsm_bytes(const VcHnswShape *shape, Size size)
{
	Size step = BLCKSZ / 256;

	return Max((shape->sparse ? size : Min(size, BLCKSZ / 2)) / step, 1) * step;
}

/* What the map should know of a page of nodes with a free slot. */
static Size
room_of(VcHnswGraph *graph, BlockNumber block)
{
	VcHold hold;
	Page   page;
	Size   room;

	if (!graph->shape.sparse)
		return fsm_bytes(&graph->shape, graph->shape.slot_size);
	vc_hold_init(&hold);
	page = vc_store_read(&graph->store, &hold, block, VC_HNSW_NODES, vc_hnsw_head_bytes(&graph->shape));
	room = sparse_room(graph, block, page);
	vc_store_release(&graph->store, &hold);
	return room;
}

void
vc_hnsw_note_room(VcHnswGraph *graph, BlockNumber block)
{
	RecordPageWithFreeSpace(graph->store.index, block, room_of(graph, block));
}

/* Put a node of one page or less on a page that is new and locked. */
static VcHnswId
fill_new(VcHnswGraph *graph, BlockNumber block, Buffer buffer, const VcHnswNode *image)
{
	const VcHnswShape *shape = &graph->shape;
	VcHold			   hold;
	Page			   page;

	vc_hold_init(&hold);
	page = vc_store_fresh(&graph->store, &hold, block, buffer, VC_HNSW_NODES, vc_hnsw_head_bytes(shape));
	if (shape->sparse)
		(void) sparse_put(graph, block, page, image);
	else
		memcpy(VcPageGetPayload(page), image, shape->slot_size);
	vc_store_commit(&graph->store, &hold);
	return block * shape->slots_per_page;
}

/* Put a node on a page that the free space map offers, if it has room or has not been used yet. */
static VcHnswId
fill_offered(VcHnswGraph *graph, BlockNumber block, const VcHnswNode *image)
{
	const VcHnswShape *shape = &graph->shape;
	VcHold			   hold;
	uint16			   kind;
	Buffer			   buffer;
	VcHnswId		   id;

	if (vc_store_read_any(&graph->store, &hold, block, &kind) != NULL)
	{
		vc_store_release(&graph->store, &hold);
		if (kind != VC_HNSW_NODES)
			return VC_HNSW_NONE;
		return shape->pages_per_node == 1 ? fill_slot(graph, block, image) : fill_pages(graph, block, image);
	}
	if (shape->pages_per_node > 1)
		return VC_HNSW_NONE;
	buffer = ReadBuffer(graph->store.index, block);
	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	if (!PageIsNew(BufferGetPage(buffer)))
	{
		/* Others were offered it, too. */
		UnlockReleaseBuffer(buffer);
		return VC_HNSW_NONE;
	}
	id = fill_new(graph, block, buffer, image);
	if (shape->slots_per_page == 1)
		RecordPageWithFreeSpace(graph->store.index, block, 0);
	return id;
}

VcHnswId
vc_hnsw_node_add(VcHnswGraph *graph, const VcHnswNode *image)
{
	const VcHnswShape *shape = &graph->shape;
	bool			   small = shape->slots_per_page > 1;
	/* Rounded up, where sizes differ, as the map does: what it offers then has room. */
	Size			   size = fsm_bytes(shape, vc_hnsw_node_size(shape, image) + (shape->sparse ? BLCKSZ / 256 - 1 : 0));
	VcHnswId		   id;

	if (small && graph->fill_block != InvalidBlockNumber)
	{
		id = fill_slot(graph, graph->fill_block, image);
		if (id != VC_HNSW_NONE)
			return id;
		/* What is left there may do for a smaller one. */
		if (shape->sparse && graph->store.arena == NULL && graph->store.wal)
			vc_hnsw_note_room(graph, graph->fill_block);
	}
	if (graph->store.arena == NULL && graph->store.wal)
	{
		BlockNumber block = GetPageWithFreeSpace(graph->store.index, size);

		/*
		 * What the map says may be stale, and after a crash even be of pages that never came to be free, since it is not
		 * logged: correct it and ask again, until it has nothing more to offer.
		 */
		while (block != InvalidBlockNumber && block < vc_store_nblocks(&graph->store))
		{
			id = fill_offered(graph, block, image);
			if (id != VC_HNSW_NONE)
			{
				graph->fill_block = block;
				return id;
			}
			block = RecordAndGetPageWithFreeSpace(graph->store.index, block, 0, size);
		}
		for (id = VC_HNSW_NONE; shape->pages_per_node == 1; RecordPageWithFreeSpace(graph->store.index, block, 0))
		{
			Buffer buffer;

			CHECK_FOR_INTERRUPTS();
			block = vc_page_extend_among(graph->store.index, size, &buffer);
			if (BufferIsValid(buffer))
				id = fill_new(graph, block, buffer, image);
			else if (block < vc_store_nblocks(&graph->store))
				id = fill_offered(graph, block, image);
			if (id != VC_HNSW_NONE)
			{
				graph->fill_block = block;
				return id;
			}
		}
	}
	id = fill_pages(graph, InvalidBlockNumber, image);
	if (id != VC_HNSW_NONE)
		graph->fill_block = vc_hnsw_block(shape, id);
	return id;
}

bool
vc_hnsw_node_add_first(VcHnswGraph *graph, const VcHnswNode *image, VcHnswId *id)
{
	VcHold		hold;
	VcHnswMeta *meta;

	vc_hold_init(&hold);
	meta = (VcHnswMeta *) VcPageGetPayload(
		vc_store_write(&graph->store, &hold, VC_HNSW_META_BLOCK, VC_HNSW_META, sizeof(VcHnswMeta)));
	if (meta->entry != VC_HNSW_NONE)
	{
		vc_store_release(&graph->store, &hold);
		return false;
	}
	/* On a new page, because in an arena the lock of any other might be the one held on the meta page. */
	*id = fill_pages(graph, InvalidBlockNumber, image);
	if (*id == VC_HNSW_NONE)
	{
		vc_store_release(&graph->store, &hold);
		return true;
	}
	graph->fill_block = vc_hnsw_block(&graph->shape, *id);
	meta->entry = *id;
	meta->entry_level = 0;
	meta->insert_block = graph->fill_block;
	vc_store_commit(&graph->store, &hold);
	return true;
}

bool
vc_hnsw_is_node_block(VcHnswGraph *graph, BlockNumber block)
{
	VcHold hold;
	uint16 kind;

	if (vc_store_read_any(&graph->store, &hold, block, &kind) == NULL)
		return false;
	vc_store_release(&graph->store, &hold);
	return kind == VC_HNSW_NODES;
}
