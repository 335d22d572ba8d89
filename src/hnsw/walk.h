/*
 * walk.h
 *		Every page and node of an index once, and what leads to them: what check.c and stats.c go by.
 */
#ifndef VC_HNSW_WALK_H
#define VC_HNSW_WALK_H

#include "hnsw/hnsw.h"

/* What a slot holds. */
#define VC_HNSW_WALK_USED 1
#define VC_HNSW_WALK_DEAD 2
#define VC_HNSW_WALK_APART 4
#define VC_HNSW_WALK_REACHED 8
#define VC_HNSW_WALK_LEVEL_SHIFT 4

typedef struct VcHnswWalk
{
	VcHnswGraph graph;
	Relation	index;
	BlockNumber nblocks;
	uint8	   *kind; /* [nblocks], 0 for a page never initialised */
	uint8	   *slot; /* [nblocks * slots_per_page]: level << VC_HNSW_WALK_LEVEL_SHIFT | VC_HNSW_WALK_... */
	VcHnswId	entry;
	int			entry_level;

	uint64 nodes;	/* of level 0 */
	uint64 upper;	/* of other levels; compact: hubs */
	uint64 dead;	/* of level 0 */
	uint64 apart;	/* of level 0 */
	uint64 free_slots;
	uint64 unreached; /* live nodes of level 0 that no search comes to */
	uint64 links;	/* of level 0 */
	int	   levels;
	uint64 pages[VC_HNSW_KEYS + 1]; /* by kind */
} VcHnswWalk;

/*
 * Read the index from end to end, then follow its links from the entry. Raises XX002 for pages of unknown kind, for a large node
 * without all its pages, for headers out of bounds and for links to what is not a node of the same level.
 */
extern void vc_hnsw_walk(VcHnswWalk *walk, Relation index);

/* XX002 unless a link of node `from`, or of the meta page where that is VC_HNSW_NONE, is to a node of this level. */
extern void vc_hnsw_walk_check_link(VcHnswWalk *walk, VcHnswId from, VcHnswId to, int level);

static inline uint64
vc_hnsw_walk_slots(const VcHnswWalk *walk)
{
	return (uint64) walk->nblocks * walk->graph.shape.slots_per_page;
}

static inline int
vc_hnsw_walk_level(const VcHnswWalk *walk, VcHnswId id)
{
	return walk->slot[id] >> VC_HNSW_WALK_LEVEL_SHIFT;
}

#endif /* VC_HNSW_WALK_H */
