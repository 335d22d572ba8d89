/*
 * chunks.c
 *		See chunks.h.
 */
#include "types/chunks.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "kernels/prefetch.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* In a page lie four chunks of full length. */
#define PREFETCHED_CHUNKS 8

/* Of a chunk's row, which has no nulls: the length of its head and of the value's id behind it. */
#define CHUNK_ID_END (MAXALIGN(SizeofHeapTupleHeader) + sizeof(Oid))

/* The value's id and the chunk's number. (chunk_id oid, chunk_seq int4, chunk_data bytea), none of them null: fixed offsets. */
static bool
read_key(Page page, OffsetNumber offset, HeapTuple tuple, Oid *id, int32 *number)
{
	ItemId		item = PageGetItemId(page, offset);
	const char *fields;

	if (!ItemIdIsNormal(item))
		return false;
	tuple->t_data = (HeapTupleHeader) PageGetItem(page, item);
	tuple->t_len = ItemIdGetLength(item);
	if (HeapTupleHasNulls(tuple) || HeapTupleHeaderGetNatts(tuple->t_data) != 3)
		return false;
	fields = (const char *) tuple->t_data + tuple->t_data->t_hoff;
	memcpy(id, fields, sizeof(*id));
	memcpy(number, fields + sizeof(*id), sizeof(*number));
	return true;
}

/*
 * The data of the chunk at this place of a locked page, if it is chunk `number` of value `id`, and null otherwise.
 */
static const char *
chunk_at(Page page, Buffer buffer, Oid table, BlockNumber block, OffsetNumber offset, Oid id, int32 number, Size *size)
{
	SnapshotData snapshot = {.snapshot_type = SNAPSHOT_TOAST};
	HeapTupleData tuple;
	const struct varlena *data;
	Oid chunk_id;
	int32 chunk_number;

	if (!read_key(page, offset, &tuple, &chunk_id, &chunk_number) || chunk_id != id || chunk_number != number)
		return NULL;
	tuple.t_tableOid = table;
	ItemPointerSet(&tuple.t_self, block, offset);
	if (!HeapTupleSatisfiesVisibility(&tuple, &snapshot, buffer))
		return NULL;

	/* Chunks are never compressed. */
	data = (const struct varlena *) ((const char *) tuple.t_data + tuple.t_data->t_hoff + sizeof(chunk_id) +
									 sizeof(chunk_number));
	if (VARATT_IS_EXTERNAL(data) || VARATT_IS_COMPRESSED(data) ||
		(const char *) data + VARSIZE_ANY(data) > (const char *) tuple.t_data + tuple.t_len)
		return NULL;
	*size = VARSIZE_ANY_EXHDR(data);
	return VARDATA_ANY(data);
}

bool
vc_chunks_read(Relation toast, BlockNumber nblocks, BlockNumber *at_block, OffsetNumber *at_offset, Oid id, char *result,
			   Size size, VcChunksPin pin, void *arg)
{
	BlockNumber block = *at_block;
	OffsetNumber offset = *at_offset;
	Size done = 0;
	int32 number = 0;

	while (done < size)
	{
		Buffer buffer;
		Page page;
		OffsetNumber last;

		if (block >= nblocks)
			return false;
		buffer = pin ? pin(arg, toast, block) : ReadBuffer(toast, block);
		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		page = BufferGetPage(buffer);
		last = PageIsNew(page) ? 0 : PageGetMaxOffsetNumber(page);
		for (; offset <= last && done < size; offset++)
		{
			Size length;
			const char *data = chunk_at(page, buffer, RelationGetRelid(toast), block, offset, id, number, &length);

			if (data == NULL || length > size - done)
			{
				UnlockReleaseBuffer(buffer);
				return false;
			}
			memcpy(result + done, data, length);
			done += length;
			number++;
		}
		UnlockReleaseBuffer(buffer);
		if (offset > last)
		{
			block++;
			offset = FirstOffsetNumber;
		}
	}
	*at_block = block;
	*at_offset = offset;
	return true;
}

void
vc_chunks_look(Buffer buffer, Oid id, VcChunksSeen *seen)
{
	Page page = BufferGetPage(buffer);
	OffsetNumber n;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	n = PageIsNew(page) ? 0 : PageGetMaxOffsetNumber(page);
	/* The page's head tells where chunks begin, so the CPU can wait for all of them at once. */
	for (OffsetNumber i = FirstOffsetNumber; i <= Min(n, PREFETCHED_CHUNKS); i++)
		vc_prefetch((char *) page + ItemIdGetOffset(PageGetItemId(page, i)), 1);
	memset(seen, 0, sizeof(*seen));
	for (OffsetNumber i = FirstOffsetNumber; i <= n && seen->offset == InvalidOffsetNumber; i++)
	{
		HeapTupleData tuple;
		Oid chunk_id;
		int32 number;

		if (!read_key(page, i, &tuple, &chunk_id, &number))
			continue;
		if (chunk_id == id && number == 0)
			seen->offset = i;
		else if (chunk_id < id && chunk_id >= seen->smaller)
		{
			seen->smaller_starts = number == 0 || (chunk_id == seen->smaller && seen->smaller_starts);
			seen->smaller = chunk_id;
		}
		else if (chunk_id >= id && (seen->greater == InvalidOid || chunk_id <= seen->greater))
		{
			seen->greater_starts = number == 0 || (chunk_id == seen->greater && seen->greater_starts);
			seen->greater = chunk_id;
		}
	}
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
}

void
vc_chunks_prefetch_page(const char *page)
{
	vc_prefetch(page, SizeOfPageHeaderData + PREFETCHED_CHUNKS * sizeof(ItemIdData));
}

/* The i-th chunk, from 0, of a page that is not pinned: null where nothing there can be one. */
static const char *
peek_chunk(const char *page, int i, Size *length)
{
	LocationIndex lower;
	ItemIdData item;

	memcpy(&lower, page + offsetof(PageHeaderData, pd_lower), sizeof(lower));
	if (SizeOfPageHeaderData + (i + 1) * sizeof(item) > lower)
		return NULL;
	memcpy(&item, page + SizeOfPageHeaderData + i * sizeof(item), sizeof(item));
	*length = ItemIdGetLength(&item);
	if (!ItemIdIsNormal(&item) || ItemIdGetOffset(&item) + *length > BLCKSZ || *length < CHUNK_ID_END)
		return NULL;
	return page + ItemIdGetOffset(&item);
}

void
vc_chunks_prefetch_heads(const char *page)
{
	for (int i = 0; i < PREFETCHED_CHUNKS; i++)
	{
		Size length;
		const char *chunk = peek_chunk(page, i, &length);

		if (chunk)
			vc_prefetch(chunk, CHUNK_ID_END);
	}
}

Size
vc_chunks_prefetch_value(const char *page, Oid id)
{
	Size sum = 0;

	for (int i = 0; i < PREFETCHED_CHUNKS; i++)
	{
		Size length;
		const char *chunk = peek_chunk(page, i, &length);
		Oid chunk_id;

		if (chunk == NULL)
			continue;
		memcpy(&chunk_id, chunk + CHUNK_ID_END - sizeof(chunk_id), sizeof(chunk_id));
		if (chunk_id != id)
			continue;
		vc_prefetch(chunk, length);
		sum += length;
	}
	return sum;
}
