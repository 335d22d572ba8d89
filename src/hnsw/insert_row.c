/*
 * insert_row.c
 *		Insertion of a table's row into an index on disk, with an inserter that this process keeps from one row to the next.
 */
#include "hnsw/hnsw.h"

#include "storage/lmgr.h"
#include "utils/memutils.h"

/*
 * What an insertion needs is kept for the next one, because getting it anew costs as much as a good part of the search. An error
 * leaves it in use; then it is thrown away.
 */
#define SPARE_LIMIT ((Size) 4 * 1024 * 1024)

static struct
{
	MemoryContext	context;
	MemoryContext	row_context;
	VcHnswGraph		graph;
	VcHnswInserter *inserter;
	bool			in_use;
} spare;

static void
throw_away_spare(void)
{
	if (spare.context)
		MemoryContextDelete(spare.context);
	memset(&spare, 0, sizeof(spare));
}

/* Open the index, with an inserter over it. */
static void
borrow_spare(Relation index)
{
	MemoryContext old;

	if (spare.in_use || (spare.context && !vc_hnsw_open_again(&spare.graph, index, VC_HNSW_TO_LINK)))
		throw_away_spare();
	if (spare.context == NULL)
	{
		spare.in_use = true;
		spare.context = AllocSetContextCreate(TopMemoryContext, "vc_hnsw insert", ALLOCSET_DEFAULT_SIZES);
		spare.row_context = AllocSetContextCreate(spare.context, "vc_hnsw row", ALLOCSET_DEFAULT_SIZES);
		old = MemoryContextSwitchTo(spare.context);
		vc_hnsw_open(&spare.graph, index, VC_HNSW_TO_LINK);
		spare.inserter = vc_hnsw_inserter_new(&spare.graph);
		MemoryContextSwitchTo(old);
	}
	spare.in_use = true;
}

void
vc_hnsw_insert_row(Relation index, Datum *values, bool *isnull, ItemPointer tid)
{
	MemoryContext old;
	VcValue		  value;
	VcKeyRow	  keys;

	borrow_spare(index);
	old = MemoryContextSwitchTo(spare.row_context);
	vc_hnsw_read_key(&spare.graph, values[0], &value);
	if (spare.graph.keys)
		vc_keys_row(&spare.graph.keys->node, index, values, isnull, &keys);

	/* Vacuum takes this lock exclusively, for a moment, to know that nobody still links to the nodes it found dead. */
	LockPage(index, VC_HNSW_INSERT_LOCK_BLOCK, ShareLock);
	if (!vc_hnsw_insert(spare.inserter, &value, &keys, tid))
		elog(ERROR, "no room for a node on disk");
	UnlockPage(index, VC_HNSW_INSERT_LOCK_BLOCK, ShareLock);

	MemoryContextSwitchTo(old);
	MemoryContextReset(spare.row_context);
	spare.in_use = false;
	if (MemoryContextMemAllocated(spare.context, true) > SPARE_LIMIT)
		throw_away_spare();
}
