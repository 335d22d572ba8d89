/*
 * detoast.c
 *		Fetching values that are stored out of line, one row after the other.
 *
 * A vector of more than about 500 dimensions is cut into chunks, rows of the table's TOAST table. The server looks every
 * value up in that table's index, which in an exact search costs far more than the distance. But a scan meets values in the
 * order in which they were written, and then the chunks of one value lie right behind those of the one before. So we
 * remember, for each argument of a running function and for the building of an index, where the last value ended, and look
 * there first.
 *
 * A guess is never trusted (chunks.h). Anything else, a compressed value, a TOAST table that is not a heap, a wrong guess, is left to
 * the server. Where guesses keep failing, because rows come in another order, looking is given up for longer and longer.
 *
 * Locks: AccessShareLock on the TOAST table for the time of one call, as the server takes it.
 */
#include "types/detoast.h"

#include "types/chunks.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/heapam.h"
#include "access/heaptoast.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/toast_internals.h"
#include "storage/bufmgr.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#define MAX_ARGS 2
#define FIRST_WAIT 2   /* one value is no scan */
#define MAX_WAIT 1024

typedef VcDetoastPlace Place;

typedef struct State
{
	Place place[MAX_ARGS];
} State;

void
vc_detoast_place_init(VcDetoastPlace *place)
{
	memset(place, 0, sizeof(*place));
	place->block = InvalidBlockNumber;
	place->wait = FIRST_WAIT;
}

/* Ask the index where the value's last chunk is, and set the place behind it. */
static void
find_place(Relation toast, Place *place, Oid id)
{
	SnapshotData snapshot = {.snapshot_type = SNAPSHOT_TOAST};
	Relation *indexes;
	int count;
	int valid;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	place->block = InvalidBlockNumber;
	valid = toast_open_indexes(toast, AccessShareLock, &indexes, &count);
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(id));
	scan = systable_beginscan_ordered(toast, indexes[valid], &snapshot, 1, &key);
	while ((tuple = systable_getnext_ordered(scan, ForwardScanDirection)) != NULL)
	{
		place->block = ItemPointerGetBlockNumber(&tuple->t_self);
		place->offset = OffsetNumberNext(ItemPointerGetOffsetNumber(&tuple->t_self));
	}
	systable_endscan_ordered(scan);
	toast_close_indexes(indexes, count, AccessShareLock);
}

/* The place to look for this argument. */
static Place *
place_of(FunctionCallInfo fcinfo, int n)
{
	State *state = fcinfo->flinfo->fn_extra;

	if (state == NULL)
	{
		state = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(State));
		for (int i = 0; i < MAX_ARGS; i++)
			vc_detoast_place_init(&state->place[i]);
		fcinfo->flinfo->fn_extra = state;
	}
	return &state->place[n];
}

struct varlena *
vc_detoast_external(FunctionCallInfo fcinfo, int n)
{
	struct varlena *value = (struct varlena *) PG_GETARG_POINTER(n);

	if (fcinfo->flinfo == NULL || n >= MAX_ARGS)
		return detoast_attr(value);
	return vc_detoast_in_order(place_of(fcinfo, n), value);
}

struct varlena *
vc_detoast_in_order(VcDetoastPlace *place, struct varlena *value)
{
	struct varatt_external pointer;
	struct varlena *result;
	Relation toast;
	bool misled = false;

	VARATT_EXTERNAL_GET_POINTER(pointer, value);
	if (place->wait > 0)
	{
		place->wait--;
		return detoast_attr(value);
	}
	if (VARATT_EXTERNAL_IS_COMPRESSED(pointer))
		return detoast_attr(value);

	toast = table_open(pointer.va_toastrelid, AccessShareLock);
	if (place->block != InvalidBlockNumber && place->toast_table == pointer.va_toastrelid)
	{
		Size size = VARATT_EXTERNAL_GET_EXTSIZE(pointer);

		result = palloc(size + VARHDRSZ);
		SET_VARSIZE(result, size + VARHDRSZ);
		if (vc_chunks_read(toast, RelationGetNumberOfBlocks(toast), &place->block, &place->offset, pointer.va_valueid,
						   VARDATA(result), size, NULL, NULL))
		{
			place->wrong = 0;
			table_close(toast, AccessShareLock);
			return result;
		}
		pfree(result);
		place->wrong++;
		misled = true;
	}

	/*
	 * The server finds the value. Where it was is worth a look-up of our own, unless that has just misled us again: then
	 * the scan does not follow the chunks, and the next attempt waits.
	 */
	result = detoast_attr(value);
	place->block = InvalidBlockNumber;
	if (misled && place->wrong >= 2)
		place->wait = Min(8 << Min(place->wrong, 10), MAX_WAIT);
	else if (toast->rd_tableam == GetHeapamTableAmRoutine())
	{
		place->toast_table = pointer.va_toastrelid;
		find_place(toast, place, pointer.va_valueid);
	}
	else
		place->wait = INT_MAX;
	table_close(toast, AccessShareLock);
	return result;
}
