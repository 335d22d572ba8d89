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
#include "am/peek.h"
#include "storage/bufmgr.h"
#include "types/chunks.h"
#include "utils/rel.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* Blocks looked at for one value. */
#define MAX_LOOKS 6
#define MAX_WAIT 1024

/* After so many values in turn that were not found the marks are forgotten. */
#define MISSES_TO_START_ANEW 3

struct VcToast
{
	VcToastMap *map;
	Relation	table; /* once needed */
	BlockNumber nblocks;
	VcCached   *cached; /* where the table's pages are, or null */
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

/* Forget a mark. The ends are to be looked at again, since it may have been one. */
static void
forget_mark(VcToastMap *map, int at)
{
	map->n--;
	memmove(map->mark + at, map->mark + at + 1, sizeof(VcToastMark) * (map->n - at));
	map->ends = 0;
}

/* Forget the marks in a block. */
static void
forget_marks_in(VcToastMap *map, BlockNumber block)
{
	for (int i = map->n; i-- > 0;)
		if (map->mark[i].block == block)
			forget_mark(map, i);
}

static Buffer
pin_block(void *arg, Relation table, BlockNumber block)
{
	VcToast *toast = arg;

	return toast->cached ? vc_cache_read(toast->cached, table, block) : ReadBuffer(table, block);
}

static void
look(VcToast *toast, BlockNumber block, Oid id, VcChunksSeen *seen)
{
	Buffer buffer = pin_block(toast, toast->table, block);

	vc_chunks_look(buffer, id, seen);
	ReleaseBuffer(buffer);
}

/* The table's ends, which nearly all values lie between. */
static void
mark_ends(VcToast *toast)
{
	VcChunksSeen seen;

	look(toast, 0, InvalidOid, &seen);
	if (seen.greater != InvalidOid)
		add_mark(toast->map, seen.greater, 0);
	look(toast, toast->nblocks - 1, OID_MAX, &seen);
	if (seen.smaller != InvalidOid)
		add_mark(toast->map, seen.smaller, toast->nblocks - 1);
	toast->map->ends = toast->nblocks;
}

/* The marks to both sides of an id; false where it is beyond all of them. */
static bool
marks_around(VcToast *toast, Oid id, VcToastMark *low, VcToastMark *high)
{
	VcToastMap *map = toast->map;
	int			at = marks_up_to(map, id);
	bool		beyond = at == 0 || (at == map->n && map->mark[at - 1].id < id);

	if (beyond && map->ends != toast->nblocks)
	{
		mark_ends(toast);
		at = marks_up_to(map, id);
		beyond = at == 0 || (at == map->n && map->mark[at - 1].id < id);
	}
	if (beyond)
		return false;
	*low = map->mark[at - 1];
	*high = map->mark[Min(at, map->n - 1)];
	return true;
}

/* Where between two marks a value is likely to lie. */
static BlockNumber
between(const VcToastMark *low, const VcToastMark *high, Oid id)
{
	if (high->id == low->id)
		return low->block;
	return low->block + (BlockNumber) ((double) (id - low->id) / (high->id - low->id) * (high->block - low->block));
}

/*
 * Where a value's first chunk lies. What is seen on a longer way is remembered. A value that does not lie where its id belongs, because an
 * update has put it where there was room, misleads the search for its neighbours, if it is a mark: that one is forgotten.
 */
static bool
find(VcToast *toast, Oid id, BlockNumber *block, OffsetNumber *offset)
{
	VcToastMap *map = toast->map;
	VcToastMark low;
	VcToastMark high;

	/* The table may have been cut short. */
	while (map->n > 0 && map->mark[map->n - 1].block >= toast->nblocks)
		forget_mark(map, map->n - 1);
	if (!marks_around(toast, id, &low, &high))
		return false;
	for (int looks = 0; looks < MAX_LOOKS; looks++)
	{
		VcChunksSeen seen;
		bool		 right;

		*block = between(&low, &high, id);
		look(toast, *block, id, &seen);
		*offset = seen.offset;
		if (*offset != InvalidOffsetNumber)
		{
			if (looks > 0)
				add_mark(map, id, *block);
			return true;
		}

		/* Where old and new values share a block, it belongs where the nearer id does. */
		right = seen.smaller != InvalidOid && (seen.greater == InvalidOid || id - seen.smaller <= seen.greater - id);
		if (right && *block < high.block)
		{
			low = (VcToastMark){seen.smaller, *block + 1};
			if (seen.smaller_starts && looks > 0)
				add_mark(map, seen.smaller, *block);
		}
		else if (!right && seen.greater != InvalidOid && *block > low.block)
		{
			high = (VcToastMark){seen.greater, *block - 1};
			if (seen.greater_starts && looks > 0)
				add_mark(map, seen.greater, *block);
		}
		else
		{
			/* Beyond the mark that was to be its neighbour. */
			forget_marks_in(map, *block);
			return false;
		}
	}
	return false;
}

/* Open the TOAST table, unless that was done; false where guessing is of no use. */
static bool
open_table(VcToast *toast, Oid id)
{
	if (toast->table == NULL)
	{
		toast->table = table_open(id, AccessShareLock);
		toast->nblocks = RelationGetNumberOfBlocks(toast->table);
		if (toast->table->rd_tableam == GetHeapamTableAmRoutine() && toast->nblocks <= VC_PEEK_MAX_BLOCKS)
			toast->cached = vc_cache_get(toast->table);
	}
	return toast->table->rd_tableam == GetHeapamTableAmRoutine() && RelationGetRelid(toast->table) == id && toast->nblocks > 0;
}

/* A value is seldom longer than what is left of its first page and the next one. */
typedef struct Expected
{
	const char *page;
	const char *next; /* or null */
	Oid			id;
	Size		size;
} Expected;

void
vc_toast_expect(VcToast *toast, Oid toast_table, const struct varatt_external *pointers, int n)
{
	Expected values[VC_PEEK_ROWS];
	int		 known = 0;

	Assert(n <= VC_PEEK_ROWS);
	if (n == 0 || toast->map->wait > 0 || !open_table(toast, toast_table) || toast->cached == NULL)
		return;
	for (int i = 0; i < n; i++)
	{
		Expected   *value = &values[known];
		VcToastMark low;
		VcToastMark high;
		BlockNumber block;

		if (VARATT_EXTERNAL_IS_COMPRESSED(pointers[i]) || !marks_around(toast, pointers[i].va_valueid, &low, &high))
			continue;
		block = between(&low, &high, pointers[i].va_valueid);
		value->page = vc_cache_whereabouts(toast->cached, block);
		value->next = vc_cache_whereabouts(toast->cached, block + 1);
		value->id = pointers[i].va_valueid;
		value->size = VARATT_EXTERNAL_GET_EXTSIZE(pointers[i]);
		if (value->page == NULL)
			continue;
		vc_chunks_prefetch_page(value->page);
		if (value->next)
			vc_chunks_prefetch_page(value->next);
		known++;
	}
	for (int i = 0; i < known; i++)
	{
		vc_chunks_prefetch_heads(values[i].page);
		if (values[i].next)
			vc_chunks_prefetch_heads(values[i].next);
	}
	for (int i = 0; i < known; i++)
		if (vc_chunks_prefetch_value(values[i].page, values[i].id) < values[i].size && values[i].next)
			(void) vc_chunks_prefetch_value(values[i].next, values[i].id);
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
	if (!open_table(toast, pointer.va_toastrelid))
		return detoast_attr(value);

	size = VARATT_EXTERNAL_GET_EXTSIZE(pointer);
	result = palloc(size + VARHDRSZ);
	SET_VARSIZE(result, size + VARHDRSZ);
	if (find(toast, pointer.va_valueid, &block, &offset) &&
		vc_chunks_read(toast->table, toast->nblocks, &block, &offset, pointer.va_valueid, VARDATA(result), size,
					   pin_block, toast))
	{
		map->wrong = 0;
		return result;
	}
	pfree(result);

	/* Once may be because of an update. Where it goes on, all marks may be of rows since gone. */
	map->wrong++;
	if (map->wrong % MISSES_TO_START_ANEW == 0)
	{
		map->n = 0;
		map->ends = 0;
	}
	map->wait = map->wrong < 2 ? 0 : Min(1 << Min(map->wrong, 10), MAX_WAIT);
	return detoast_attr(value);
}
