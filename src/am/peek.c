/*
 * peek.c
 *		See peek.h.
 */
#include "am/peek.h"

#include "access/heapam.h"
#include "access/tableam.h"
#include "kernels/prefetch.h"
#include "storage/buf_internals.h"
#include "storage/bufmgr.h"

void
vc_peek(const VcCached *table, const ItemPointerData *tids, int n, Size bytes, VcPeeked *rows)
{
	const char *items[VC_PEEK_ROWS];

	Assert(n <= VC_PEEK_ROWS);
	for (int i = 0; i < n; i++)
	{
		BlockNumber	 block = ItemPointerGetBlockNumberNoCheck(&tids[i]);
		OffsetNumber offset = ItemPointerGetOffsetNumberNoCheck(&tids[i]);

		rows[i].row = offset > 0 && offset <= MaxHeapTuplesPerPage ? vc_cache_whereabouts(table, block) : NULL;
		if (rows[i].row == NULL)
			continue;
		items[i] = rows[i].row + SizeOfPageHeaderData + sizeof(ItemIdData) * (offset - 1);
		vc_prefetch(GetBufferDescriptor(table->recent[block] - 1), sizeof(BufferDesc));
		vc_prefetch(rows[i].row, SizeOfPageHeaderData);
		vc_prefetch(items[i], sizeof(ItemIdData));
	}
	for (int i = 0; i < n; i++)
	{
		ItemIdData item;

		if (rows[i].row == NULL)
			continue;
		memcpy(&item, items[i], sizeof(item));
		rows[i].length = ItemIdGetLength(&item);
		if (ItemIdGetOffset(&item) + rows[i].length > BLCKSZ)
		{
			rows[i].row = NULL;
			continue;
		}
		rows[i].row += ItemIdGetOffset(&item);
		vc_prefetch(rows[i].row, Min(rows[i].length, bytes));
	}
}

VcCached *
vc_peek_table(IndexScanDesc scan)
{
	Relation table = scan->heapRelation;

	if (scan->xs_heapfetch == NULL || table->rd_tableam != GetHeapamTableAmRoutine() || RelationUsesLocalBuffers(table))
		return NULL;
	return vc_cache_get(table);
}

void
vc_peek_note(IndexScanDesc scan, VcCached *table)
{
	Buffer		buffer = ((IndexFetchHeapData *) scan->xs_heapfetch)->xs_cbuf;
	BlockNumber block;

	if (!BufferIsValid(buffer))
		return;
	block = BufferGetBlockNumber(buffer);
	if (block >= VC_PEEK_MAX_BLOCKS)
		return;
	vc_cache_grow(table, block + 1);
	table->recent[block] = buffer;
}
