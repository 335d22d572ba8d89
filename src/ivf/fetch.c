/*
 * fetch.c
 *		Indexed values from the table, by the TIDs the index holds. No lock on an index page may be held meanwhile.
 */
#include "ivf/ivf.h"

#include "access/relscan.h"
#include "access/tableam.h"
#include "catalog/index.h"
#include "executor/executor.h"
#include "utils/memutils.h"
#include "utils/rel.h"

struct VcIvfFetch
{
	VcIvf				*ivf;
	IndexFetchTableData *table;
	TupleTableSlot		*row;
	IndexInfo			*index_info;
	EState				*estate; /* for an index over an expression */
	MemoryContext		 row_context;
};

VcIvfFetch *
vc_ivf_fetch_open(VcIvf *ivf, Relation table)
{
	VcIvfFetch *fetch = palloc0(sizeof(VcIvfFetch));

	fetch->ivf = ivf;
	fetch->table = table_index_fetch_begin(table);
	fetch->row = table_slot_create(table, NULL);
	fetch->index_info = BuildIndexInfo(ivf->index);
	if (fetch->index_info->ii_Expressions != NIL)
		fetch->estate = CreateExecutorState();
	fetch->row_context = AllocSetContextCreate(CurrentMemoryContext, "vc_ivf row", ALLOCSET_DEFAULT_SIZES);
	return fetch;
}

bool
vc_ivf_fetch_value(VcIvfFetch *fetch, ItemPointer tid, Snapshot snapshot, VcValue *value)
{
	ItemPointerData at = *tid; /* the call moves it along the chain of versions */
	MemoryContext	old;
	Datum			values[INDEX_MAX_KEYS];
	bool			isnull[INDEX_MAX_KEYS];
	bool			again = false;
	bool			seen;

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
		vc_metric_value(fetch->ivf->metric, values[0], value);
	MemoryContextSwitchTo(old);
	return !isnull[0] && value->dim == fetch->ivf->meta.dim;
}

void
vc_ivf_fetch_close(VcIvfFetch *fetch)
{
	table_index_fetch_end(fetch->table);
	ExecDropSingleTupleTableSlot(fetch->row);
	if (fetch->estate != NULL)
		FreeExecutorState(fetch->estate);
	MemoryContextDelete(fetch->row_context);
	pfree(fetch);
}
