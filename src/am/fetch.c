/*
 * fetch.c
 *		See fetch.h.
 */
#include "am/fetch.h"

#include "access/relscan.h"
#include "access/tableam.h"
#include "catalog/index.h"
#include "executor/executor.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"

struct VcFetch
{
	const VcMetric		*metric;
	uint32				 dim;
	IndexFetchTableData *table;
	TupleTableSlot		*row;
	IndexInfo			*index_info;
	Relation			 index;
	BlockNumber			 table_blocks; /* at least */
	EState				*estate; /* for an index over an expression */
	MemoryContext		 row_context;
};

void
vc_fetch_check_tid(Relation index, Relation table, BlockNumber *known, const ItemPointerData *tid)
{
	BlockNumber block = ItemPointerGetBlockNumberNoCheck(tid);

	if (likely(block < *known))
		return;
	*known = RelationGetNumberOfBlocks(table);
	if (block >= *known)
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("index \"%s\" is corrupted: it points to a row in block %u of a table of %u",
						RelationGetRelationName(index), block, *known),
				 errhint("Rebuild it with REINDEX INDEX.")));
}

VcFetch *
vc_fetch_open(Relation index, Relation table, const VcMetric *metric, uint32 dim)
{
	VcFetch *fetch = palloc0(sizeof(VcFetch));

	fetch->metric = metric;
	fetch->dim = dim;
	fetch->index = index;
	fetch->table = table_index_fetch_begin(table);
	fetch->row = table_slot_create(table, NULL);
	fetch->index_info = BuildIndexInfo(index);
	if (fetch->index_info->ii_Expressions != NIL)
		fetch->estate = CreateExecutorState();
	fetch->row_context = AllocSetContextCreate(CurrentMemoryContext, "vectorcoll row", ALLOCSET_DEFAULT_SIZES);
	return fetch;
}

bool
vc_fetch_value(VcFetch *fetch, ItemPointer tid, Snapshot snapshot, VcValue *value)
{
	ItemPointerData at = *tid; /* the call moves it along the chain of versions */
	MemoryContext	old;
	Datum			values[INDEX_MAX_KEYS];
	bool			isnull[INDEX_MAX_KEYS];
	bool			again = false;
	bool			seen;

	vc_fetch_check_tid(fetch->index, fetch->table->rel, &fetch->table_blocks, tid);
	ExecClearTuple(fetch->row);
	MemoryContextReset(fetch->row_context);
	do
		seen = table_index_fetch_tuple(fetch->table, &at, snapshot, fetch->row, &again, NULL);
	while (!seen && again);
	if (!seen)
		return false;

	old = MemoryContextSwitchTo(fetch->row_context);
	if (fetch->estate != NULL)
	{
		ResetPerTupleExprContext(fetch->estate);
		GetPerTupleExprContext(fetch->estate)->ecxt_scantuple = fetch->row;
		FormIndexDatum(fetch->index_info, fetch->row, fetch->estate, values, isnull);
	}
	else
		values[0] = slot_getattr(fetch->row, fetch->index_info->ii_IndexAttrNumbers[0], &isnull[0]);
	if (!isnull[0])
		vc_metric_value(fetch->metric, values[0], value);
	MemoryContextSwitchTo(old);
	return !isnull[0] && value->dim == fetch->dim;
}

void
vc_fetch_reset(VcFetch *fetch)
{
	ExecClearTuple(fetch->row);
	table_index_fetch_reset(fetch->table);
}

void
vc_fetch_close(VcFetch *fetch)
{
	table_index_fetch_end(fetch->table);
	ExecDropSingleTupleTableSlot(fetch->row);
	if (fetch->estate != NULL)
		FreeExecutorState(fetch->estate);
	MemoryContextDelete(fetch->row_context);
	pfree(fetch);
}
