/*
 * cache.c
 *		Per-backend memory of indexes. See cache.h.
 *
 * An entry has a memory context of its own. It is given up when the relation has another file by now, or is gone; the server's
 * message that a relation was changed makes us look for its row in the catalog before the next entry is looked up. What was given up
 * is freed at the end of the transaction.
 */
#include "am/cache.h"

#include "access/xact.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

/* Beyond this many bytes everything is forgotten at the end of the transaction. */
#define CACHE_LIMIT ((Size) 64 * 1024 * 1024)

typedef struct Entry
{
	Oid		  relation; /* key */
	bool	  changed;	/* since its row in the catalog was seen last */
	VcCached *cached;
} Entry;

static MemoryContext cache_context;
static HTAB		   *cache;

/* Whether an entry's relation was changed; whether memory was taken since the limit was last looked at. */
static bool any_changed;
static bool any_taken;

/* Given up in this transaction. */
static VcCached *given_up;

static void
end_of_transaction(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	while (given_up != NULL)
	{
		VcCached *next = given_up->next;

		MemoryContextDelete(given_up->context);
		given_up = next;
	}
	if (any_taken && MemoryContextMemAllocated(cache_context, true) > CACHE_LIMIT)
	{
		MemoryContextReset(cache_context);
		cache = NULL;
		any_changed = false;
	}
	any_taken = false;
	(void) arg;
}

/* Note what was changed. Nothing is freed here: this may be called while entries are in use. */
static void
note_change(Datum arg, Oid relation)
{
	Entry *entry;

	if (cache == NULL)
		return;
	if (OidIsValid(relation))
	{
		entry = hash_search(cache, &relation, HASH_FIND, NULL);
		if (entry != NULL)
			entry->changed = any_changed = true;
	}
	else
	{
		HASH_SEQ_STATUS all;

		hash_seq_init(&all, cache);
		while ((entry = hash_seq_search(&all)) != NULL)
			entry->changed = any_changed = true;
	}
	(void) arg;
}

static void
give_up(VcCached *cached)
{
	cached->next = given_up;
	given_up = cached;
}

/* Give up the entries of relations that are gone. */
static void
give_up_dropped(void)
{
	HASH_SEQ_STATUS all;
	Entry		   *entry;

	/* Looking a row up may bring news of further changes. */
	any_changed = false;
	hash_seq_init(&all, cache);
	while ((entry = hash_seq_search(&all)) != NULL)
	{
		if (!entry->changed)
			continue;
		entry->changed = false;
		if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(entry->relation)))
		{
			give_up(entry->cached);
			hash_search(cache, &entry->relation, HASH_REMOVE, NULL);
		}
	}
}

static void
start_cache(void)
{
	HASHCTL control = {0};

	if (cache_context == NULL)
	{
		cache_context = AllocSetContextCreate(CacheMemoryContext, "vectorcoll indexes", ALLOCSET_DEFAULT_SIZES);
		RegisterXactCallback(end_of_transaction, NULL);
		CacheRegisterRelcacheCallback(note_change, (Datum) 0);
	}
	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(Entry);
	control.hcxt = cache_context;
	cache = hash_create("vectorcoll indexes", 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static VcCached *
new_cached(Relation relation)
{
	MemoryContext context = AllocSetContextCreate(cache_context, "vectorcoll index", ALLOCSET_SMALL_SIZES);
	VcCached	 *cached = MemoryContextAllocZero(context, sizeof(VcCached));

	cached->context = context;
	cached->file = VC_INDEX_FILE(relation);
	any_taken = true;
	return cached;
}

VcCached *
vc_cache_get(Relation relation)
{
	Oid			id = RelationGetRelid(relation);
	VcIndexFile file = VC_INDEX_FILE(relation);
	VcCached   *cached;
	Entry	   *entry;
	bool		found;

	if (cache == NULL)
		start_cache();
	if (any_changed)
		give_up_dropped();
	entry = hash_search(cache, &id, HASH_FIND, NULL);
	if (likely(entry != NULL && memcmp(&entry->cached->file, &file, sizeof(file)) == 0))
		return entry->cached;

	cached = new_cached(relation);
	entry = hash_search(cache, &id, HASH_ENTER, &found);
	if (found)
		give_up(entry->cached);
	entry->changed = false;
	entry->cached = cached;
	return cached;
}

void *
vc_cache_alloc(VcCached *cached, Size bytes)
{
	any_taken = true;
	return MemoryContextAllocExtended(cached->context, bytes, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
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
	recent = vc_cache_alloc(cached, sizeof(Buffer) * (Size) size);
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
