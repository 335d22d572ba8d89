/*
 * fetch.c
 *		See fetch.h.
 *
 * Where the table is a heap, the snapshot an MVCC one and the index over a column, which is nearly always, rows are read from their
 * pages without a slot in between, and we remember in which buffers pages were seen (cache.h). A search that compares hundreds of
 * rows spends most of its time here. The page that was read last stays pinned, as in any index scan; it is locked only while
 * the row is looked for.
 */
#include "am/fetch.h"

#include "access/heapam.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "am/peek.h"
#include "catalog/index.h"
#include "executor/executor.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

struct VcFetch
{
	const VcMetric		*metric;
	uint32				 dim;
	IndexFetchTableData *table;
	TupleTableSlot		*row;
	VcToast				*toast;
	VcToastMap			*map; /* its */
	IndexInfo			*index_info;
	Relation			 index;
	BlockNumber			 table_blocks; /* at least */
	EState				*estate; /* for an index over an expression */
	MemoryContext		 row_context;
	VcCached			*cached; /* of a heap */
	AttrNumber			 attnum;
	Buffer				 buffer;
	BlockNumber			 block; /* that the buffer holds */
	bool				 slow;
};

/* Of a row, before the CPU sees for itself how it is read. */
#define PREFETCHED_BYTES 512

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
	fetch->map = &vc_cache_get(index)->toast;
	fetch->toast = vc_toast_open(fetch->map);
	fetch->index_info = BuildIndexInfo(index);
	if (fetch->index_info->ii_Expressions != NIL)
		fetch->estate = CreateExecutorState();
	else
		fetch->attnum = fetch->index_info->ii_IndexAttrNumbers[0];
	fetch->table_blocks = RelationGetNumberOfBlocks(table);
	if (fetch->estate == NULL && table->rd_tableam == GetHeapamTableAmRoutine() && fetch->table_blocks <= VC_PEEK_MAX_BLOCKS)
		fetch->cached = vc_cache_get(table);
	fetch->buffer = InvalidBuffer;
	fetch->row_context = AllocSetContextCreate(CurrentMemoryContext, "vectorcoll row", ALLOCSET_DEFAULT_SIZES);
	return fetch;
}

static void
let_go(VcFetch *fetch)
{
	if (BufferIsValid(fetch->buffer))
		ReleaseBuffer(fetch->buffer);
	fetch->buffer = InvalidBuffer;
}

static void
set_value(VcFetch *fetch, Datum datum, VcValue *value)
{
	if (VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(datum)))
		datum = PointerGetDatum(vc_toast_fetch(fetch->toast, (struct varlena *) DatumGetPointer(datum)));
	vc_metric_value(fetch->metric, datum, value);
}

/* The value of a row of a heap; false where the snapshot sees none. */
static bool
value_from_heap(VcFetch *fetch, const ItemPointerData *tid, Snapshot snapshot, Datum *datum, bool *isnull)
{
	Relation		table = fetch->table->rel;
	ItemPointerData at = *tid;
	BlockNumber		block = ItemPointerGetBlockNumber(tid);
	HeapTupleData	row;
	bool			seen;

	if (!BufferIsValid(fetch->buffer) || fetch->block != block)
	{
		let_go(fetch);
		fetch->buffer = vc_cache_read(fetch->cached, table, block);
		fetch->block = block;
	}
	LockBuffer(fetch->buffer, BUFFER_LOCK_SHARE);
	seen = heap_hot_search_buffer(&at, table, fetch->buffer, snapshot, &row, NULL, true);
	LockBuffer(fetch->buffer, BUFFER_LOCK_UNLOCK);
	if (!seen)
		return false;
	*datum = heap_getattr(&row, fetch->attnum, RelationGetDescr(table), isnull);
	if (!*isnull && VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(*datum)))
		fetch->map->at = DatumGetPointer(*datum) - (char *) row.t_data;
	return true;
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
	MemoryContextReset(fetch->row_context);
	if (fetch->cached != NULL && IsMVCCSnapshot(snapshot))
	{
		if (!value_from_heap(fetch, tid, snapshot, &values[0], &isnull[0]))
			return false;
		fetch->slow = !isnull[0] && VARATT_IS_EXTERNAL(DatumGetPointer(values[0]));
		old = MemoryContextSwitchTo(fetch->row_context);
		if (!isnull[0])
			set_value(fetch, values[0], value);
		MemoryContextSwitchTo(old);
		return !isnull[0] && value->dim == fetch->dim;
	}

	fetch->slow = true;
	ExecClearTuple(fetch->row);
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
		set_value(fetch, values[0], value);
	MemoryContextSwitchTo(old);
	return !isnull[0] && value->dim == fetch->dim;
}

/* What seems to point to a value out of line, where that was in the row seen last; false where nothing does. */
static bool
peek_pointer(const VcPeeked *peeked, Size at, struct varatt_external *pointer)
{
	const char *value;

	if (peeked->row == NULL || at + VARHDRSZ_EXTERNAL + sizeof(*pointer) > peeked->length)
		return false;
	value = peeked->row + at;
	if (!VARATT_IS_EXTERNAL_ONDISK(value))
		return false;
	memcpy(pointer, VARDATA_EXTERNAL(value), sizeof(*pointer));
	return true;
}

void
vc_fetch_expect(VcFetch *fetch, const ItemPointerData *tids, int n)
{
	Oid					   toast = fetch->table->rel->rd_rel->reltoastrelid;
	VcPeeked			   rows[VC_PEEK_ROWS];
	struct varatt_external pointers[VC_PEEK_ROWS];
	int					   npointers = 0;

	if (fetch->cached == NULL)
		return;
	vc_peek(fetch->cached, tids, n, PREFETCHED_BYTES, rows);
	if (fetch->map->at == 0 || !OidIsValid(toast))
		return;
	for (int i = 0; i < n; i++)
		if (peek_pointer(&rows[i], fetch->map->at, &pointers[npointers]) && pointers[npointers].va_toastrelid == toast)
			npointers++;
	vc_toast_expect(fetch->toast, toast, pointers, npointers);
}

bool
vc_fetch_is_slow(const VcFetch *fetch)
{
	return fetch->slow;
}

void
vc_fetch_reset(VcFetch *fetch)
{
	let_go(fetch);
	ExecClearTuple(fetch->row);
	table_index_fetch_reset(fetch->table);
}

void
vc_fetch_close(VcFetch *fetch)
{
	let_go(fetch);
	vc_toast_close(fetch->toast);
	table_index_fetch_end(fetch->table);
	ExecDropSingleTupleTableSlot(fetch->row);
	if (fetch->estate != NULL)
		FreeExecutorState(fetch->estate);
	MemoryContextDelete(fetch->row_context);
	pfree(fetch);
}
