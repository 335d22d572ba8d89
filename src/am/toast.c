/*
 * toast.c
 *		See toast.h.
 *
 * The server looks each value up in the TOAST table's index, which takes longer than all else about a row. But ids are given to values in the
 * order in which they are stored, and values of one column are equally large, so that a value's block follows from its id, by
 * interpolation between places where ids have been seen: the table's ends at first, then whatever a search has come by. Each block
 * looked at narrows the range, as in any interpolation search; most values are found in the first.
 *
 * A guess is never trusted (types/chunks.h). What is not found in a few blocks, because updates have put it elsewhere, is left to the server,
 * and so is a compressed value; where that keeps happening, guessing is given up for longer and longer.
 */
#include "am/toast.h"

#include "access/detoast.h"
#include "access/heapam.h"
#include "access/table.h"
#include "storage/bufmgr.h"
#include "types/chunks.h"
#include "utils/rel.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* Blocks looked at for one value. */
#define MAX_LOOKS 6
#define MAX_WAIT 1024

struct VcToast
{
	VcToastMap *map;
	Relation	table; /* once needed */
	BlockNumber nblocks;
};

VcToast *
vc_toast_open(VcToastMap *map)
{
	VcToast *toast = palloc0(sizeof(VcToast));

	toast->map = map;
	return toast;
}

void
vc_toast_close(VcToast *toast)
{
	if (toast->table)
		table_close(toast->table, AccessShareLock);
	pfree(toast);
}

/* The number of marks with ids of at most this one. */
static int
marks_up_to(const VcToastMap *map, Oid id)
{
	int low = 0;
	int high = map->n;

	while (low < high)
	{
		int middle = (low + high) / 2;

		if (map->mark[middle].id <= id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Remember a place, unless it contradicts those known: blocks must rise with ids. */
static void
add_mark(VcToastMap *map, Oid id, BlockNumber block)
{
	int at = marks_up_to(map, id);

	if ((at > 0 && (map->mark[at - 1].id == id || map->mark[at - 1].block > block)) ||
		(at < map->n && map->mark[at].block < block))
		return;
	if (map->n == VC_TOAST_MARKS)
	{
		/* Every other mark goes; the ends stay. */
		map->n = 0;
		for (int i = 0; i < VC_TOAST_MARKS; i++)
			if (i % 2 == 0 || i == VC_TOAST_MARKS - 1)
				map->mark[map->n++] = map->mark[i];
		at = marks_up_to(map, id);
	}
	memmove(map->mark + at + 1, map->mark + at, sizeof(VcToastMark) * (map->n - at));
	map->mark[at] = (VcToastMark){id, block};
	map->n++;
}

/* The table's ends, which all values lie between. */
static void
mark_ends(VcToast *toast)
{
	Oid			 first;
	Oid			 last;
	OffsetNumber offset;

	toast->map->n = 0;
	if (vc_chunks_look(toast->table, 0, InvalidOid, &first, &last, &offset))
		add_mark(toast->map, first, 0);
	if (vc_chunks_look(toast->table, toast->nblocks - 1, InvalidOid, &first, &last, &offset))
		add_mark(toast->map, last, toast->nblocks - 1);
}

/* Where a value's first chunk lies. */
static bool
find(VcToast *toast, Oid id, BlockNumber *block, OffsetNumber *offset)
{
	VcToastMap *map = toast->map;
	VcToastMark low;
	VcToastMark high;
	int			at;

	at = marks_up_to(map, id);
	if (at == 0 || (at == map->n && map->mark[at - 1].id < id))
	{
		mark_ends(toast);
		at = marks_up_to(map, id);
		if (at == 0 || (at == map->n && map->mark[at - 1].id < id))
			return false;
	}
	low = map->mark[at - 1];
	high = map->mark[Min(at, map->n - 1)];
	for (int look = 0; look < MAX_LOOKS; look++)
	{
		Oid first;
		Oid last;

		*block = low.block;
		if (high.id > low.id)
			*block += (BlockNumber) ((double) (id - low.id) / (high.id - low.id) * (high.block - low.block));
		if (*block >= toast->nblocks || !vc_chunks_look(toast->table, *block, id, &first, &last, offset))
			return false;
		if (*offset != InvalidOffsetNumber)
		{
			if (look > 0)
				add_mark(map, id, *block);
			return true;
		}
		if (id <= first && *block > low.block)
			high = (VcToastMark){first, *block - 1};
		else if (id > last && *block < high.block)
			low = (VcToastMark){last, *block + 1};
		else
			return false;
		if (high.id < id)
			high.id = id;
		if (low.id > id)
			low.id = id;
	}
	return false;
}

struct varlena *
vc_toast_fetch(VcToast *toast, struct varlena *value)
{
	VcToastMap			  *map = toast->map;
	struct varatt_external pointer;
	struct varlena		  *result;
	BlockNumber			   block;
	OffsetNumber		   offset;
	Size				   size;

	VARATT_EXTERNAL_GET_POINTER(pointer, value);
	if (VARATT_EXTERNAL_IS_COMPRESSED(pointer))
		return detoast_attr(value);
	if (map->wait > 0)
	{
		map->wait--;
		return detoast_attr(value);
	}
	if (toast->table == NULL)
	{
		toast->table = table_open(pointer.va_toastrelid, AccessShareLock);
		toast->nblocks = RelationGetNumberOfBlocks(toast->table);
	}
	if (toast->table->rd_tableam != GetHeapamTableAmRoutine() || RelationGetRelid(toast->table) != pointer.va_toastrelid ||
		toast->nblocks == 0)
		return detoast_attr(value);

	size = VARATT_EXTERNAL_GET_EXTSIZE(pointer);
	result = palloc(size + VARHDRSZ);
	SET_VARSIZE(result, size + VARHDRSZ);
	if (find(toast, pointer.va_valueid, &block, &offset) &&
		vc_chunks_read(toast->table, toast->nblocks, &block, &offset, pointer.va_valueid, VARDATA(result), size))
	{
		map->wrong = 0;
		return result;
	}
	pfree(result);

	/* The marks may be of before the table was cut short, or of rows since gone. */
	map->n = 0;
	map->wrong++;
	map->wait = map->wrong < 2 ? 0 : Min(1 << Min(map->wrong, 10), MAX_WAIT);
	return detoast_attr(value);
}
