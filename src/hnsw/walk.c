/*
 * walk.c
 *		See walk.h. Share-locks one node at a time. Two bytes a block and one a slot are kept in memory.
 */
#include "hnsw/walk.h"

#include "miscadmin.h"
#include "utils/memutils.h"

static void
walk_meta(VcHnswWalk *walk)
{
	vc_hnsw_open(&walk->graph, walk->index, VC_HNSW_TO_LINK);
	walk->nblocks = vc_store_nblocks(&walk->graph.store);
	(void) vc_hnsw_entry(&walk->graph, &walk->entry, &walk->entry_level);
}

/* Which kind of page each block is; a node larger than a page must have all its pages. */
static void
walk_pages(VcHnswWalk *walk)
{
	for (BlockNumber block = 0; block < walk->nblocks; block++)
	{
		VcHold hold;
		uint16 kind;

		CHECK_FOR_INTERRUPTS();
		if (vc_store_read_any(&walk->graph.store, &hold, block, &kind))
			vc_store_release(&walk->graph.store, &hold);
		if (kind > VC_HNSW_KEYS)
			vc_page_corrupted(walk->index, block, "the page is of unknown kind %u", kind);
		if ((kind == VC_HNSW_META) != (block == VC_HNSW_META_BLOCK))
			vc_page_corrupted(walk->index, block, "the page is of kind %u", kind);
		walk->kind[block] = kind;
		walk->pages[kind]++;
	}
	for (BlockNumber block = 0; block < walk->nblocks; block++)
		if (walk->kind[block] == VC_HNSW_NODES)
			for (uint32 i = 1; i < walk->graph.shape.pages_per_node; i++)
				if (block + i >= walk->nblocks || walk->kind[block + i] != VC_HNSW_TAIL)
					vc_page_corrupted(walk->index, block, "the node's page %u is missing", i);
}

static void
walk_nodes(VcHnswWalk *walk)
{
	const VcHnswShape *shape = &walk->graph.shape;

	for (BlockNumber block = 0; block < walk->nblocks; block++)
	{
		if (walk->kind[block] != VC_HNSW_NODES)
			continue;
		CHECK_FOR_INTERRUPTS();
		for (uint32 slot = 0; slot < shape->slots_per_page; slot++)
		{
			VcHnswId		  id = block * shape->slots_per_page + slot;
			VcHold			  hold;
			const VcHnswNode *node = vc_hnsw_node_header(&walk->graph, &hold, id);
			VcHnswNode		  header = *node;
			uint32			  links = 0;

			for (int i = 0; i < node->links; i++)
				links += vc_hnsw_links(node)[i] != VC_HNSW_NONE;
			vc_hnsw_done(&walk->graph, &hold);
			if (header.flags & ~(VC_HNSW_USED | VC_HNSW_DEAD | VC_HNSW_APART | VC_HNSW_HUB))
				vc_page_corrupted(walk->index, block, "node %u has unknown flags %#x", id, header.flags);
			if (!(header.flags & VC_HNSW_USED))
			{
				walk->free_slots++;
				continue;
			}
			walk->slot[id] = header.level << VC_HNSW_WALK_LEVEL_SHIFT | VC_HNSW_WALK_USED |
							 (header.flags & VC_HNSW_DEAD ? VC_HNSW_WALK_DEAD : 0) |
							 (header.flags & VC_HNSW_APART ? VC_HNSW_WALK_APART : 0);
			walk->levels = Max(walk->levels, header.level + 1);
			if (header.level > 0)
			{
				walk->upper++;
				continue;
			}
			walk->nodes++;
			walk->upper += (header.flags & VC_HNSW_HUB) != 0;
			walk->links += links;
			walk->dead += (header.flags & VC_HNSW_DEAD) != 0;
			walk->apart += (header.flags & VC_HNSW_APART) != 0;
		}
	}
}

void
vc_hnsw_walk_check_link(VcHnswWalk *walk, VcHnswId from, VcHnswId to, int level)
{
	BlockNumber at = from == VC_HNSW_NONE ? VC_HNSW_META_BLOCK : vc_hnsw_block(&walk->graph.shape, from);

	if (to >= vc_hnsw_walk_slots(walk))
		vc_page_corrupted(walk->index, at, "node %u leads to node %u, which does not exist", from, to);
	if (!(walk->slot[to] & VC_HNSW_WALK_USED))
		vc_page_corrupted(walk->index, at, "node %u leads to node %u, which is free", from, to);
	if (vc_hnsw_walk_level(walk, to) != level)
		vc_page_corrupted(walk->index, at, "node %u leads to node %u on level %d where level %d was expected", from, to,
						  vc_hnsw_walk_level(walk, to), level);
	if (walk->slot[to] & VC_HNSW_WALK_APART)
		vc_page_corrupted(walk->index, at, "node %u leads to node %u, which has no distance", from, to);
}

static bool
is_node(VcHnswWalk *walk, VcHnswId id, int level)
{
	return id < vc_hnsw_walk_slots(walk) && (walk->slot[id] & VC_HNSW_WALK_USED) && vc_hnsw_walk_level(walk, id) == level;
}

static inline void
reach(VcHnswWalk *walk, VcHnswId *queue, uint64 *tail, VcHnswId id)
{
	if (walk->slot[id] & VC_HNSW_WALK_REACHED)
		return;
	walk->slot[id] |= VC_HNSW_WALK_REACHED;
	queue[(*tail)++] = id;
}

/* From the entry along all links: what searches can come to. */
static void
walk_links(VcHnswWalk *walk)
{
	VcHnswId *queue = palloc_extended(sizeof(VcHnswId) * (walk->nodes + walk->upper + 1), MCXT_ALLOC_HUGE);
	VcHnswId *links = palloc(sizeof(VcHnswId) * (walk->graph.shape.degree + 1));
	uint64	  tail = 0;

	if (walk->entry != VC_HNSW_NONE)
	{
		vc_hnsw_walk_check_link(walk, VC_HNSW_NONE, walk->entry, walk->entry_level);
		reach(walk, queue, &tail, walk->entry);
	}
	for (uint64 head = 0; head < tail; head++)
	{
		VcHnswId		  id = queue[head];
		VcHold			  hold;
		const VcHnswNode *node;
		VcHnswId		  down;
		int				  level;
		int				  n;
		bool			  dead;

		CHECK_FOR_INTERRUPTS();
		node = vc_hnsw_node_header(&walk->graph, &hold, id);
		n = node->links;
		level = node->level;
		down = node->down;
		memcpy(links, vc_hnsw_links(node), sizeof(VcHnswId) * n);
		vc_hnsw_done(&walk->graph, &hold);
		dead = (walk->slot[id] & VC_HNSW_WALK_DEAD) != 0;
		if (level > 0)
			links[n++] = down;
		for (int i = 0; i < n; i++)
		{
			int expected = level > 0 && i == n - 1 ? level - 1 : level;

			/* What a dead node leads to may have been freed before it. */
			if (links[i] == VC_HNSW_NONE || (dead && !is_node(walk, links[i], expected)))
				continue;
			vc_hnsw_walk_check_link(walk, id, links[i], expected);
			reach(walk, queue, &tail, links[i]);
		}
	}
	pfree(queue);
	pfree(links);

	for (uint64 id = 0; id < vc_hnsw_walk_slots(walk); id++)
		if ((walk->slot[id] & (VC_HNSW_WALK_USED | VC_HNSW_WALK_DEAD | VC_HNSW_WALK_APART | VC_HNSW_WALK_REACHED)) ==
				VC_HNSW_WALK_USED &&
			vc_hnsw_walk_level(walk, id) == 0)
			walk->unreached++;
}

void
vc_hnsw_walk(VcHnswWalk *walk, Relation index)
{
	memset(walk, 0, sizeof(*walk));
	walk->index = index;
	walk_meta(walk);
	walk->kind = palloc_extended(walk->nblocks, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	walk->slot = palloc_extended(vc_hnsw_walk_slots(walk), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	walk_pages(walk);
	walk_nodes(walk);
	walk_links(walk);
}
