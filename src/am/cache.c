/*
 * cache.c
 *		Per-backend memory of indexes. See cache.h.
 */
#include "am/cache.h"

#include "access/xact.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

/* Beyond this many bytes everything is forgotten at the end of the transaction. */
#define CACHE_LIMIT ((Size) 64 * 1024 * 1024)

#if PG_VERSION_NUM >= 160000
typedef RelFileLocator FileKey;
#else
typedef RelFileNode FileKey;
#endif

typedef struct Entry
{
	FileKey	 key;
	VcCached cached;
} Entry;

static MemoryContext cache_context;
static HTAB		   *cache;

static void
trim(XactEvent event, void *arg)
{
	if ((event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT) && cache_context &&
		MemoryContextMemAllocated(cache_context, true) > CACHE_LIMIT)
	{
		MemoryContextReset(cache_context);
		cache = NULL;
	}
	(void) arg;
}

VcCached *
vc_cache_get(Relation index)
{
	Entry  *entry;
	FileKey key = VC_INDEX_FILE(index);
	bool	found;

	if (cache_context == NULL)
	{
		cache_context = AllocSetContextCreate(CacheMemoryContext, "vectorcoll indexes", ALLOCSET_DEFAULT_SIZES);
		RegisterXactCallback(trim, NULL);
	}
	if (cache == NULL)
	{
		HASHCTL control = {0};

		control.keysize = sizeof(FileKey);
		control.entrysize = sizeof(Entry);
		control.hcxt = cache_context;
		cache = hash_create("vectorcoll indexes", 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	entry = hash_search(cache, &key, HASH_ENTER, &found);
	if (!found)
		memset(&entry->cached, 0, sizeof(VcCached));
	return &entry->cached;
}

void *
vc_cache_alloc(Size bytes)
{
	return MemoryContextAllocExtended(cache_context, bytes, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

void
vc_cache_grow(VcCached *cached, BlockNumber nblocks)
{
	BlockNumber size = Max(cached->nrecent, 64);
	Buffer	   *recent;

	if (nblocks <= cached->nrecent)
		return;
	while (size < nblocks)
		size = size > MaxBlockNumber / 2 ? MaxBlockNumber : size * 2;
	/* The old array is not freed: a scan of this transaction may hold it. It is at most as large as the new one. */
	recent = vc_cache_alloc(sizeof(Buffer) * (Size) size);
	if (cached->nrecent > 0)
		memcpy(recent, cached->recent, sizeof(Buffer) * cached->nrecent);
	cached->recent = recent;
	cached->nrecent = size;
}

Buffer
vc_cache_read(VcCached *cached, Relation relation, BlockNumber block)
{
	Buffer buffer;

	if (likely(block < cached->nrecent))
	{
		buffer = cached->recent[block];
		/* A temporary relation's file may have another one's number. */
		if (buffer != InvalidBuffer && BufferIsLocal(buffer) == RelationUsesLocalBuffers(relation) &&
			ReadRecentBuffer(VC_INDEX_FILE(relation), MAIN_FORKNUM, block, buffer))
			return buffer;
	}
	buffer = ReadBuffer(relation, block);
	if (block >= cached->nrecent)
		vc_cache_grow(cached, block + 1);
	cached->recent[block] = buffer;
	return buffer;
}
