/*
 * tids.c
 *		The heap TIDs of a value, in its node and on pages of row pointers.
 *
 * Locks: the node's lock covers its pages of row pointers, whose own locks are taken after it.
 * WAL: a TID added is one record, of the node, the page of row pointers and a new one of those.
 */
#include "hnsw/hnsw.h"

bool
vc_hnsw_node_add_tid(VcHnswGraph *graph, VcHnswId id, const VcHnswStored *stored, ItemPointer tid, const VcKeyRow *keys,
					 bool may_overflow)
{
	const VcHnswShape *shape = &graph->shape;
	VcHold			   hold;
	const VcHnswNode  *whole;
	VcHnswNode		  *node = vc_hnsw_node_head_for_update(graph, &hold, id, &whole);
	VcHnswTids		  *tids = NULL;

	if ((node->flags & (VC_HNSW_USED | VC_HNSW_DEAD)) != VC_HNSW_USED || node->level != 0 ||
		!vc_hnsw_has_value(shape, whole, stored) || (node->tids == shape->inline_tids && !may_overflow))
	{
		vc_hnsw_done(graph, &hold);
		return false;
	}
	if (node->tids < shape->inline_tids)
	{
		if (graph->keys)
			vc_keys_put(&graph->keys->node, vc_hnsw_node_keys(shape, node), node->tids, keys);
		node->tid[node->tids++] = *tid;
	}
	else
	{
		if (node->overflow != InvalidBlockNumber)
			tids = (VcHnswTids *) VcPageGetPayload(
				vc_store_write_owned(&graph->store, &hold, node->overflow, VC_HNSW_TIDS, VC_PAGE_PAYLOAD));
		if (tids == NULL || tids->count >= vc_hnsw_tids_max(graph))
		{
			BlockNumber next = node->overflow;
			Buffer		buffer = InvalidBuffer;
			BlockNumber block;

			if (!vc_store_extend(&graph->store, 1, &block, &buffer))
			{
				vc_hnsw_done(graph, &hold);
				return false;
			}
			tids = (VcHnswTids *) VcPageGetPayload(
				vc_store_fresh(&graph->store, &hold, block, buffer, VC_HNSW_TIDS, VC_PAGE_PAYLOAD));
			tids->next = next;
			node->overflow = block;
		}
		if (graph->keys)
			vc_keys_put(&graph->keys->tids, vc_hnsw_tids_keys(graph->keys, tids), tids->count, keys);
		tids->tid[tids->count++] = *tid;
	}
	vc_hnsw_node_commit(graph, &hold, id, -1);
	return true;
}

void
vc_hnsw_each_tids(VcHnswGraph *graph, VcHnswId id, const VcHnswNode *node, VcHnswVisitTids visit, void *arg)
{
	const VcHnswKeys *keys = graph->keys;
	BlockNumber       overflow = node->overflow;
	BlockNumber       chain = 0;
	bool              go_on =
		visit(arg, id, node->tid, node->tids, keys ? &keys->node : NULL, vc_hnsw_node_keys(&graph->shape, node));

	while (go_on && overflow != InvalidBlockNumber)
	{
		VcHold      owned;
		VcHnswTids *page;

		vc_hold_init(&owned);
		page = (VcHnswTids *) VcPageGetPayload(
			vc_store_read_owned(&graph->store, &owned, overflow, VC_HNSW_TIDS, VC_PAGE_PAYLOAD));
		if (page->count > vc_hnsw_tids_max(graph) || ++chain > graph->store.nblocks)
			vc_page_corrupted(graph->store.index, overflow, "the row pointers of node %u are damaged", id);
		go_on = visit(arg, id, page->tid, page->count, keys ? &keys->tids : NULL,
					  keys ? vc_hnsw_tids_keys(keys, page) : NULL);
		overflow = page->next;
		vc_store_release(&graph->store, &owned);
	}
}

void
vc_hnsw_node_each_tids(VcHnswGraph *graph, VcHnswId id, VcHnswVisitTids visit, void *arg)
{
	VcHold			  hold;
	const VcHnswNode *node = vc_hnsw_node_header(graph, &hold, id);

	if ((node->flags & (VC_HNSW_USED | VC_HNSW_DEAD)) == VC_HNSW_USED && node->level == 0)
		vc_hnsw_each_tids(graph, id, node, visit, arg);
	vc_hnsw_done(graph, &hold);
}

typedef struct Gathering
{
	const VcKeyFilter *filter;
	ItemPointerData  **tids;
	Size              *size;
	Size               count;
} Gathering;

static bool
gather_tids(void *arg, VcHnswId id, const ItemPointerData *tids, uint32 n, const VcKeyLayout *layout, const void *keys)
{
	Gathering *g = arg;

	if (g->count + n > *g->size)
	{
		*g->size = Max(g->count + n, *g->size * 2);
		*g->tids = repalloc_huge(*g->tids, sizeof(ItemPointerData) * *g->size);
	}
	for (uint32 i = 0; i < n; i++)
		if (g->filter == NULL || vc_keys_pass(g->filter, layout, keys, i))
			(*g->tids)[g->count++] = tids[i];
	(void) id;
	return true;
}

Size
vc_hnsw_node_tids(VcHnswGraph *graph, VcHnswId id, const VcKeyFilter *filter, ItemPointerData **tids, Size *size)
{
	Gathering g = {filter, tids, size, 0};

	vc_hnsw_node_each_tids(graph, id, gather_tids, &g);
	return g.count;
}
