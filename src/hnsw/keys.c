/*
 * keys.c
 *		The list of keys: for every row of an index with key columns its keys, its heap TID and the node it is in.
 *
 * Keys lie in the nodes, too, where a search tests them as it goes along. When few rows pass, a search would have to
 *visit most of the index to come upon them. The list has nothing but keys, column by column: reading it from end to end
 *tests some thousand rows in the time of one or two visits of nodes, and only the nodes of rows that pass are visited
 *then.
 *
 * The list says where to look, the node what is there: whoever follows the list tests the node's own keys again. So the
 *list may have rows too many, and an insertion or a vacuum that ends half-way does no harm as long as no row is missing
 *that a snapshot sees. An insertion adds its row after the node has it, before the row is committed.
 *
 * The pages are a chain that begins at VcHnswMeta.keys and only grows, at its end; vacuum makes room in pages and sets
 *the hint keys_room back to the first that has any. Rows never move from one page to another, so that a sweep, which
 *locks one page at a time, misses none that was there when it began.
 *
 * Locks: a page of the list is locked while no node is; the last one and a new one after it are locked together. The
 *meta page is never locked while a page of the list is. WAL: one record for each row added, of one page or, with a new
 *page, of two.
 */
#include "hnsw/hnsw.h"

#include "miscadmin.h"
#include "utils/memutils.h"

bool
vc_hnsw_keys_fill(VcHnswKeys *keys, Relation index, bool compact)
{
	uint32 n;

	memset(keys, 0, sizeof(*keys));
	vc_keys_layout(&keys->node, index, compact ? VC_HNSW_COMPACT_TIDS : VC_HNSW_INLINE_TIDS);
	if (keys->node.columns == 0)
		return false;

	/* What is before the keys is aligned to 8 bytes, too. */
	n = vc_keys_capacity(index, VC_PAGE_PAYLOAD - offsetof(VcHnswTids, tid) - sizeof(int64), sizeof(ItemPointerData));
	vc_keys_layout(&keys->tids, index, n);
	keys->tids_at = MAXALIGN(offsetof(VcHnswTids, tid) + n * sizeof(ItemPointerData));

	n = vc_keys_capacity(index, VC_PAGE_PAYLOAD - offsetof(VcHnswKeyPage, node) - sizeof(int64),
						 sizeof(VcHnswId) + sizeof(ItemPointerData));
	vc_keys_layout(&keys->list, index, n);
	keys->list_tids_at = offsetof(VcHnswKeyPage, node) + n * sizeof(VcHnswId);
	keys->list_at = MAXALIGN(keys->list_tids_at + n * sizeof(ItemPointerData));
	Assert(keys->tids_at + keys->tids.bytes <= VC_PAGE_PAYLOAD && keys->list_at + keys->list.bytes <= VC_PAGE_PAYLOAD);
	return true;
}

/* ---- pages ---- */

static void
init_page(Page page)
{
	vc_page_init(page, VC_HNSW_MAGIC, VC_HNSW_KEYS, VC_PAGE_PAYLOAD);
	((VcHnswKeyPage *) VcPageGetPayload(page))->next = InvalidBlockNumber;
}

Buffer
vc_hnsw_keys_first(Relation index, ForkNumber fork)
{
	Buffer buffer;

	vc_page_extend(index, fork, 1, &buffer);
	init_page(BufferGetPage(buffer));
	MarkBufferDirty(buffer);
	return buffer;
}

static void
check_page(VcHnswGraph *graph, BlockNumber block, const VcHnswKeyPage *page)
{
	if (page->count > graph->keys->list.capacity)
		vc_page_corrupted(graph->store.index, block, "the page says it has the keys of %u rows", page->count);
}

const VcHnswKeyPage *
vc_hnsw_keys_page(VcHnswGraph *graph, VcHold *hold, BlockNumber block)
{
	const VcHnswKeyPage *page;

	vc_hold_init(hold);
	page = (VcHnswKeyPage *) VcPageGetPayload(vc_store_read(&graph->store, hold, block, VC_HNSW_KEYS, VC_PAGE_PAYLOAD));
	check_page(graph, block, page);
	return page;
}

static VcHnswKeyPage *
page_for_update(VcHnswGraph *graph, VcHold *hold, BlockNumber block)
{
	VcHnswKeyPage *page;

	vc_hold_init(hold);
	page =
		(VcHnswKeyPage *) VcPageGetPayload(vc_store_write(&graph->store, hold, block, VC_HNSW_KEYS, VC_PAGE_PAYLOAD));
	check_page(graph, block, page);
	return page;
}

/* Where the list begins, and, if asked for, the page to look for room at first. */
static BlockNumber
read_meta(VcHnswGraph *graph, BlockNumber *room)
{
	VcHold		hold;
	VcHnswMeta *meta;
	BlockNumber head;

	vc_hold_init(&hold);
	meta = (VcHnswMeta *) VcPageGetPayload(
		vc_store_read(&graph->store, &hold, VC_HNSW_META_BLOCK, VC_HNSW_META, sizeof(VcHnswMeta)));
	head = meta->keys;
	if (room)
		*room = meta->keys_room != InvalidBlockNumber ? meta->keys_room : head;
	vc_store_release(&graph->store, &hold);
	return head;
}

static void
note_room(VcHnswGraph *graph, BlockNumber room)
{
	VcHold		hold;
	VcHnswMeta *meta;

	vc_hold_init(&hold);
	meta = (VcHnswMeta *) VcPageGetPayload(
		vc_store_write(&graph->store, &hold, VC_HNSW_META_BLOCK, VC_HNSW_META, sizeof(VcHnswMeta)));
	meta->keys_room = room;
	vc_store_commit(&graph->store, &hold);
}

BlockNumber
vc_hnsw_keys_head(VcHnswGraph *graph)
{
	return read_meta(graph, NULL);
}

/* A chain cannot be longer than the file: one that goes on runs in a circle. */
static void
check_chain(VcHnswGraph *graph, BlockNumber block, BlockNumber *length)
{
	if (++*length > graph->store.nblocks && *length > vc_store_nblocks(&graph->store))
		vc_page_corrupted(graph->store.index, block, "the list of keys runs in a circle");
}

/* ---- adding ---- */

static void
put_row(VcHnswGraph *graph, VcHnswKeyPage *page, VcHnswId id, const ItemPointerData *tid, const VcKeyRow *row)
{
	const VcHnswKeys *keys = graph->keys;
	uint32			  at = page->count++;

	page->node[at] = id;
	vc_hnsw_keys_tids(keys, page)[at] = *tid;
	vc_keys_put(&keys->list, vc_hnsw_keys_block(keys, page), at, row);
}

/* Add a new page to a hold that has the last one. */
static VcHnswKeyPage *
append_page(VcHnswGraph *graph, VcHold *hold, BlockNumber *block)
{
	VcHnswKeyPage *last = (VcHnswKeyPage *) VcPageGetPayload(hold->page[0]);
	Buffer		   buffer;
	VcHnswKeyPage *page;

	(void) vc_store_extend(&graph->store, 1, block, &buffer);
	page = (VcHnswKeyPage *) VcPageGetPayload(
		vc_store_fresh(&graph->store, hold, *block, buffer, VC_HNSW_KEYS, VC_PAGE_PAYLOAD));
	page->next = InvalidBlockNumber;
	last->next = *block;
	return page;
}

void
vc_hnsw_keys_add(VcHnswGraph *graph, VcHnswId id, ItemPointer tid, const VcKeyRow *keys)
{
	BlockNumber	   room;
	BlockNumber	   block;
	BlockNumber	   length = 0;
	VcHold		   hold;
	VcHnswKeyPage *page;

	(void) read_meta(graph, &room);
	block = room;
	page = page_for_update(graph, &hold, block);
	while (page->count >= graph->keys->list.capacity)
	{
		BlockNumber next = page->next;

		if (next == InvalidBlockNumber)
			page = append_page(graph, &hold, &block);
		else
		{
			vc_store_release(&graph->store, &hold);
			CHECK_FOR_INTERRUPTS();
			check_chain(graph, next, &length);
			block = next;
			page = page_for_update(graph, &hold, block);
		}
	}
	put_row(graph, page, id, tid, keys);
	vc_store_commit(&graph->store, &hold);
	if (block != room)
		note_room(graph, block);
}

/* ---- building ---- */

/* One node's rows, kept so that no node is locked while the list is. */
typedef struct Rows
{
	ItemPointerData *tids;
	VcKeyRow		*keys;
	Size			 count;
	Size			 room;
} Rows;

static bool
collect_rows(void *arg, VcHnswId id, const ItemPointerData *tids, uint32 n, const VcKeyLayout *layout, const void *keys)
{
	Rows *rows = arg;

	if (rows->count + n > rows->room)
	{
		rows->room = Max(rows->count + n, rows->room * 2);
		rows->tids = repalloc_huge(rows->tids, sizeof(ItemPointerData) * rows->room);
		rows->keys = repalloc_huge(rows->keys, sizeof(VcKeyRow) * rows->room);
	}
	for (uint32 i = 0; i < n; i++)
	{
		rows->tids[rows->count] = tids[i];
		vc_keys_get(layout, keys, i, &rows->keys[rows->count++]);
	}
	(void) id;
	return true;
}

void
vc_hnsw_keys_build(VcHnswGraph *graph)
{
	const VcHnswShape *shape = &graph->shape;
	BlockNumber		   nblocks = vc_store_nblocks(&graph->store);
	Buffer			   buffer = vc_hnsw_keys_first(graph->store.index, MAIN_FORKNUM);
	BlockNumber		   head = BufferGetBlockNumber(buffer);
	BlockNumber		   block = head;
	Rows			   rows = {.room = 64};
	VcHold			   hold;
	VcHnswKeyPage	  *page;
	VcHnswMeta		  *meta;

	Assert(graph->store.arena == NULL && !graph->store.wal);
	UnlockReleaseBuffer(buffer);
	rows.tids = palloc(sizeof(ItemPointerData) * rows.room);
	rows.keys = palloc(sizeof(VcKeyRow) * rows.room);
	for (BlockNumber node_block = VC_HNSW_META_BLOCK + 1; node_block < nblocks; node_block++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!vc_hnsw_is_node_block(graph, node_block))
			continue;
		for (uint32 slot = 0; slot < shape->slots_per_page; slot++)
		{
			VcHnswId id = node_block * shape->slots_per_page + slot;

			rows.count = 0;
			vc_hnsw_node_each_tids(graph, id, collect_rows, &rows);
			if (rows.count == 0)
				continue;
			page = page_for_update(graph, &hold, block);
			for (Size i = 0; i < rows.count; i++)
			{
				if (page->count >= graph->keys->list.capacity)
				{
					(void) append_page(graph, &hold, &block);
					vc_store_commit(&graph->store, &hold);
					page = page_for_update(graph, &hold, block);
				}
				put_row(graph, page, id, &rows.tids[i], &rows.keys[i]);
			}
			vc_store_commit(&graph->store, &hold);
		}
	}
	pfree(rows.tids);
	pfree(rows.keys);

	vc_hold_init(&hold);
	meta = (VcHnswMeta *) VcPageGetPayload(
		vc_store_write(&graph->store, &hold, VC_HNSW_META_BLOCK, VC_HNSW_META, sizeof(VcHnswMeta)));
	meta->keys = head;
	meta->keys_room = block;
	vc_store_commit(&graph->store, &hold);
}

/* ---- reading ---- */

VcHnswId *
vc_hnsw_keys_sweep(VcHnswGraph *graph, const VcKeyFilter *filter, Size *count)
{
	const VcHnswKeys *keys = graph->keys;
	uint8			  pass[VC_KEYS_MAX_CAPACITY];
	Size			  room = 1024;
	VcHnswId		 *ids = palloc(sizeof(VcHnswId) * room);
	Size			  n = 0;
	BlockNumber		  length = 0;

	for (BlockNumber block = vc_hnsw_keys_head(graph); block != InvalidBlockNumber;)
	{
		VcHold				 hold;
		const VcHnswKeyPage *page = vc_hnsw_keys_page(graph, &hold, block);
		BlockNumber			 next = page->next;

		if (n + page->count > room)
		{
			room = Max(room * 2, n + page->count);
			ids = repalloc_huge(ids, sizeof(VcHnswId) * room);
		}
		vc_keys_pass_all(filter, &keys->list, vc_hnsw_keys_block(keys, page), page->count, pass);
		for (uint32 i = 0; i < page->count; i++)
		{
			/* Without a branch, which no CPU would foresee. */
			ids[n] = page->node[i];
			n += pass[i];
		}
		vc_store_release(&graph->store, &hold);
		CHECK_FOR_INTERRUPTS();
		check_chain(graph, block, &length);
		block = next;
	}
	*count = n;
	return ids;
}

/* ---- vacuum ---- */

void
vc_hnsw_keys_clean(VcHnswGraph *graph, IndexBulkDeleteCallback dead, void *arg)
{
	const VcHnswKeys *keys = graph->keys;
	BlockNumber		  room = InvalidBlockNumber;
	BlockNumber		  last = InvalidBlockNumber;
	BlockNumber		  length = 0;

	for (BlockNumber block = vc_hnsw_keys_head(graph); block != InvalidBlockNumber;)
	{
		VcHold			 hold;
		VcHnswKeyPage	*page;
		ItemPointerData *tids;
		uint32			 kept = 0;
		BlockNumber		 next;

		CHECK_FOR_INTERRUPTS();
		page = page_for_update(graph, &hold, block);
		tids = vc_hnsw_keys_tids(keys, page);
		for (uint32 i = 0; i < page->count; i++)
		{
			VcKeyRow row;

			if (dead(&tids[i], arg))
				continue;
			if (kept < i)
			{
				page->node[kept] = page->node[i];
				tids[kept] = tids[i];
				vc_keys_get(&keys->list, vc_hnsw_keys_block(keys, page), i, &row);
				vc_keys_put(&keys->list, vc_hnsw_keys_block(keys, page), kept, &row);
			}
			kept++;
		}
		next = page->next;
		if (kept < page->count)
		{
			page->count = kept;
			vc_store_commit(&graph->store, &hold);
		}
		else
			vc_store_release(&graph->store, &hold);
		if (kept < keys->list.capacity && room == InvalidBlockNumber)
			room = block;
		check_chain(graph, block, &length);
		last = block;
		block = next;
	}
	note_room(graph, room != InvalidBlockNumber ? room : last);
}
