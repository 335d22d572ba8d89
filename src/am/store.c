/*
 * store.c
 *		Pages of an index on disk or in an arena. See store.h.
 */
#include "am/store.h"

#include "access/xloginsert.h"
#include "catalog/pg_control.h"
#include "am/scan.h"
#include "miscadmin.h"
#include "storage/smgr.h"
#include "utils/memutils.h"

#ifdef __linux__
#include <sys/mman.h>
#endif

/* Pages written out at a time: as many as a WAL record takes, and a whole part of a chunk. */
#define WRITE_BATCH XLR_MAX_BLOCK_ID

StaticAssertDecl(VC_STORE_CHUNK_PAGES % WRITE_BATCH == 0, "a chunk must be written by whole batches");

void
vc_store_open(VcStore *store, Relation index, uint32 magic, bool wal)
{
	memset(store, 0, sizeof(*store));
	store->index = index;
	store->context = CurrentMemoryContext;
	store->magic = magic;
	store->wal = wal;
	store->cached = vc_cache_get(index);
	store->nblocks = store->cached->nblocks;
}

BlockNumber
vc_store_nblocks(VcStore *store)
{
	if (store->arena)
		return pg_atomic_read_u32(&store->arena->nblocks);
	store->nblocks = RelationGetNumberOfBlocks(store->index);
	store->cached->nblocks = store->nblocks;
	return store->nblocks;
}

/* ---- arena ---- */

static uint32
arena_max_chunks(uint32 max_blocks)
{
	return (max_blocks + VC_STORE_CHUNK_PAGES - 1) / VC_STORE_CHUNK_PAGES;
}

Size
vc_arena_size(uint32 max_blocks)
{
	return add_size(offsetof(VcArena, chunks), mul_size(sizeof(dsa_pointer), arena_max_chunks(max_blocks)));
}

void
vc_arena_init(VcArena *arena, uint32 max_blocks, bool shared, int tranche)
{
	pg_atomic_init_u32(&arena->nblocks, 0);
	pg_atomic_init_u32(&arena->written, 0);
	arena->max_blocks = max_blocks;
	arena->shared = shared;
	arena->nchunks = 0;
	LWLockInitialize(&arena->grow, tranche);
	for (int i = 0; i < VC_STORE_LOCKS; i++)
		LWLockInitialize(&arena->locks[i], tranche);
}

void
vc_store_attach_arena(VcStore *store, VcArena *arena, dsa_area *dsa)
{
	store->arena = arena;
	store->dsa = dsa;
	store->chunks = palloc0(sizeof(char *) * arena_max_chunks(arena->max_blocks));
}

static inline Page
arena_page(VcStore *store, BlockNumber block)
{
	uint32 chunk = block / VC_STORE_CHUNK_PAGES;

	if (unlikely(store->chunks[chunk] == NULL))
		store->chunks[chunk] = dsa_get_address(store->dsa, store->arena->chunks[chunk]);
	return store->chunks[chunk] + (Size) (block % VC_STORE_CHUNK_PAGES) * BLCKSZ;
}

static inline LWLock *
arena_lock(VcStore *store, BlockNumber block)
{
	return &store->arena->locks[block % VC_STORE_LOCKS];
}

/* A graph is walked at random: with small memory pages, finding out where each lies costs as much as the walk. */
static void
prefer_huge_pages(char *start, Size size)
{
#ifdef MADV_HUGEPAGE
	const uintptr_t huge = 2 * 1024 * 1024;
	uintptr_t		from = ((uintptr_t) start + huge - 1) & ~(huge - 1);
	uintptr_t		to = ((uintptr_t) start + size) & ~(huge - 1);

	if (to > from)
		(void) madvise((void *) from, to - from, MADV_HUGEPAGE);
#else
	(void) start;
	(void) size;
#endif
}

/* Make sure the chunk exists; false where memory is at its limit or cannot be had. */
static bool
arena_add_chunk(VcStore *store, uint32 chunk)
{
	VcArena	   *arena = store->arena;
	const Size	size = (Size) VC_STORE_CHUNK_PAGES * BLCKSZ;
	bool		ok = true;

	if (!arena->shared)
	{
		if (chunk >= arena->nchunks)
		{
			store->chunks[chunk] = MemoryContextAllocHuge(store->context, size);
			prefer_huge_pages(store->chunks[chunk], size);
			arena->nchunks = chunk + 1;
		}
		return true;
	}

	LWLockAcquire(&arena->grow, LW_EXCLUSIVE);
	while (ok && chunk >= arena->nchunks)
	{
		dsa_pointer p = dsa_allocate_extended(store->dsa, size, DSA_ALLOC_HUGE | DSA_ALLOC_NO_OOM);

		ok = DsaPointerIsValid(p);
		if (ok)
			arena->chunks[arena->nchunks++] = p;
	}
	LWLockRelease(&arena->grow);
	return ok;
}

/* `count` new blocks of the arena; false at the limit. */
static bool
arena_extend(VcStore *store, int count, BlockNumber *first)
{
	VcArena *arena = store->arena;
	uint32	 n = pg_atomic_read_u32(&arena->nblocks);

	/* The chunks come first, so that a block number handed out always has memory behind it. */
	do
	{
		if (n + count > arena->max_blocks)
			return false;
		for (uint32 chunk = n / VC_STORE_CHUNK_PAGES; chunk <= (n + count - 1) / VC_STORE_CHUNK_PAGES; chunk++)
			if (!arena_add_chunk(store, chunk))
				return false;
	} while (!pg_atomic_compare_exchange_u32(&arena->nblocks, &n, n + count));
	*first = n;
	return true;
}

/* ---- disk ---- */

/*
 * Pin a block. Looking a page up in the server's buffer table costs a search's time several times over, so we remember where we last
 * saw it; the server checks that it is still there.
 */
static Buffer
disk_read(VcStore *store, BlockNumber block)
{
	VcCached *cached = store->cached;
	Buffer	  buffer;

	if (block < cached->nrecent)
	{
		buffer = cached->recent[block];
		if (buffer != InvalidBuffer && ReadRecentBuffer(VC_INDEX_FILE(store->index), MAIN_FORKNUM, block, buffer))
			return buffer;
	}
	if (unlikely(block >= store->nblocks))
	{
		if (block >= vc_store_nblocks(store))
			vc_page_corrupted(store->index, block, "something refers to this block, which does not exist");
	}
	buffer = ReadBuffer(store->index, block);
	if (unlikely(block >= cached->nrecent))
		vc_cache_grow(cached, Max(store->nblocks, block + 1));
	cached->recent[block] = buffer;
	return buffer;
}

/* ---- both ---- */

static void
let_go(VcStore *store, VcHold *hold)
{
	for (int i = hold->npages - 1; i >= 0; i--)
	{
		if (!store->arena)
			UnlockReleaseBuffer(hold->buffer[i]);
		else if (hold->locked[i])
			LWLockRelease(arena_lock(store, hold->block[i]));
	}
	vc_hold_init(hold);
}

/* Lock a page of the arena unless it is owned by one that is locked. */
static Page
arena_take(VcStore *store, VcHold *hold, int i, BlockNumber block, bool owned, LWLockMode mode)
{
	hold->locked[i] = store->arena->shared && !owned;
	if (hold->locked[i])
		LWLockAcquire(arena_lock(store, block), mode);
	return arena_page(store, block);
}

static Page
store_read(VcStore *store, VcHold *hold, BlockNumber block, uint16 kind, Size used, bool owned)
{
	Page page;

	Assert(hold->npages == 0);
	vc_work.pages++;
	if (store->arena)
		page = arena_take(store, hold, 0, block, owned, LW_SHARED);
	else
	{
		hold->buffer[0] = disk_read(store, block);
		LockBuffer(hold->buffer[0], BUFFER_LOCK_SHARE);
		page = BufferGetPage(hold->buffer[0]);
		vc_page_check(store->index, block, page, store->magic, kind, used);
	}
	hold->npages = 1;
	hold->exclusive = false;
	hold->block[0] = block;
	hold->page[0] = page;
	return page;
}

Page
vc_store_read(VcStore *store, VcHold *hold, BlockNumber block, uint16 kind, Size used)
{
	return store_read(store, hold, block, kind, used, false);
}

Page
vc_store_read_owned(VcStore *store, VcHold *hold, BlockNumber block, uint16 kind, Size used)
{
	return store_read(store, hold, block, kind, used, true);
}

Page
vc_store_read_any(VcStore *store, VcHold *hold, BlockNumber block, uint16 *kind)
{
	Page page;

	vc_work.pages++;
	vc_hold_init(hold);
	if (store->arena)
		page = arena_take(store, hold, 0, block, false, LW_SHARED);
	else
	{
		hold->buffer[0] = disk_read(store, block);
		LockBuffer(hold->buffer[0], BUFFER_LOCK_SHARE);
		page = BufferGetPage(hold->buffer[0]);
	}
	hold->npages = 1;
	hold->block[0] = block;
	hold->page[0] = page;
	if (PageIsNew(page))
	{
		let_go(store, hold);
		*kind = 0;
		return NULL;
	}
	*kind = vc_page_kind(store->index, block, page, store->magic);
	return page;
}

/* Add a locked page to an exclusive hold; returns the page to be changed. */
static Page
hold_add(VcStore *store, VcHold *hold, BlockNumber block, Buffer buffer, Page page, bool whole)
{
	int i = hold->npages++;

	Assert(i < VC_STORE_MAX_PAGES);
	hold->exclusive = true;
	if (!store->arena && store->wal)
	{
		if (hold->wal == NULL)
			hold->wal = vc_wal_start(store->index);
		page = vc_wal_register(hold->wal, buffer, whole);
	}
	hold->block[i] = block;
	hold->buffer[i] = buffer;
	hold->page[i] = page;
	return page;
}

static Page
lock_exclusively(VcStore *store, VcHold *hold, BlockNumber block, uint16 kind, Size used, bool owned, Buffer *buffer)
{
	Page page;

	Assert(hold->npages == 0 || (hold->exclusive && hold->npages < VC_STORE_MAX_PAGES));
	*buffer = InvalidBuffer;
	if (store->arena)
		return arena_take(store, hold, hold->npages, block, owned, LW_EXCLUSIVE);
	*buffer = disk_read(store, block);
	LockBuffer(*buffer, BUFFER_LOCK_EXCLUSIVE);
	page = BufferGetPage(*buffer);
	vc_page_check(store->index, block, page, store->magic, kind, used);
	return page;
}

static Page
store_write(VcStore *store, VcHold *hold, BlockNumber block, uint16 kind, Size used, bool owned)
{
	Buffer buffer;
	Page   page = lock_exclusively(store, hold, block, kind, used, owned, &buffer);

	return hold_add(store, hold, block, buffer, page, false);
}

Page
vc_store_lock(VcStore *store, VcHold *hold, BlockNumber block, uint16 kind, Size used)
{
	Assert(hold->npages == 0);
	hold->page[0] = lock_exclusively(store, hold, block, kind, used, false, &hold->buffer[0]);
	hold->block[0] = block;
	hold->npages = 1;
	hold->exclusive = true;
	return hold->page[0];
}

Page
vc_store_change(VcStore *store, VcHold *hold, int from, int to)
{
	Assert(hold->npages == 1 && hold->exclusive && hold->wal == NULL);
	if (!store->arena && store->wal)
	{
		hold->wal = vc_wal_start(store->index);
		hold->page[0] = vc_wal_register_part(hold->wal, hold->buffer[0], from, to);
	}
	return hold->page[0];
}

void
vc_store_change_strided(VcStore *store, VcHold *hold, int at, int count, const uint8 *bytes)
{
	Assert(!store->arena && hold->npages == 1 && hold->wal);
	vc_wal_set_strided(hold->wal, at, count, bytes);
	(void) store;
}

Page
vc_store_write(VcStore *store, VcHold *hold, BlockNumber block, uint16 kind, Size used)
{
	return store_write(store, hold, block, kind, used, false);
}

Page
vc_store_write_owned(VcStore *store, VcHold *hold, BlockNumber block, uint16 kind, Size used)
{
	return store_write(store, hold, block, kind, used, true);
}

bool
vc_store_extend(VcStore *store, int count, BlockNumber *first, Buffer *buffers)
{
	if (store->arena)
		return arena_extend(store, count, first);
	vc_page_extend(store->index, MAIN_FORKNUM, count, buffers);
	*first = BufferGetBlockNumber(buffers[0]);
	return true;
}

Page
vc_store_fresh(VcStore *store, VcHold *hold, BlockNumber block, Buffer buffer, uint16 kind, Size used)
{
	Page page;

	/* In an arena nobody knows the new page yet, so it needs no lock. */
	if (store->arena)
		hold->locked[hold->npages] = false;
	page = hold_add(store, hold, block, buffer, store->arena ? arena_page(store, block) : BufferGetPage(buffer),
					true);
	vc_page_init(page, store->magic, kind, used);
	return page;
}

static void
finish_changes(VcStore *store, VcHold *hold)
{
	Assert(hold->exclusive);
	if (store->arena)
		return;
	if (hold->wal)
		vc_wal_finish(hold->wal);
	else
		for (int i = 0; i < hold->npages; i++)
			MarkBufferDirty(hold->buffer[i]);
	hold->wal = NULL;
}

void
vc_store_commit(VcStore *store, VcHold *hold)
{
	finish_changes(store, hold);
	let_go(store, hold);
}

void
vc_store_flush(VcStore *store, VcHold *hold)
{
	bool logged = hold->wal != NULL;

	finish_changes(store, hold);
	if (logged)
	{
		hold->wal = vc_wal_start(store->index);
		for (int i = 0; i < hold->npages; i++)
			hold->page[i] = vc_wal_register(hold->wal, hold->buffer[i], false);
	}
}

void
vc_store_release(VcStore *store, VcHold *hold)
{
	if (hold->wal)
		vc_wal_abort(hold->wal);
	let_go(store, hold);
}

void
vc_store_leave_arena(VcStore *store)
{
	store->arena = NULL;
	store->wal = false;
	(void) vc_store_nblocks(store);
}

/* Append so many of the arena's pages: those of the blocks that the relation is extended by, whichever they are. */
static void
write_pages(VcStore *store, int count, bool log)
{
	Buffer buffers[WRITE_BATCH];

	vc_page_extend(store->index, MAIN_FORKNUM, count, buffers);
	for (int i = 0; i < count; i++)
		memcpy(BufferGetPage(buffers[i]), arena_page(store, BufferGetBlockNumber(buffers[i])), BLCKSZ);
	if (log)
		XLogEnsureRecordSpace(WRITE_BATCH - 1, 0);
	START_CRIT_SECTION();
	for (int i = 0; i < count; i++)
		MarkBufferDirty(buffers[i]);
	if (log)
	{
		XLogRecPtr end;

		XLogBeginInsert();
		for (int i = 0; i < count; i++)
			XLogRegisterBuffer(i, buffers[i], REGBUF_FORCE_IMAGE | REGBUF_STANDARD);
		end = XLogInsert(RM_XLOG_ID, XLOG_FPI);
		for (int i = 0; i < count; i++)
			PageSetLSN(BufferGetPage(buffers[i]), end);
	}
	END_CRIT_SECTION();
	for (int i = 0; i < count; i++)
		UnlockReleaseBuffer(buffers[i]);
}

void
vc_store_write_out(VcStore *store, bool log)
{
	VcArena	   *arena = store->arena;
	BlockNumber total = vc_store_nblocks(store);
	BlockNumber from;

	while ((from = pg_atomic_fetch_add_u32(&arena->written, WRITE_BATCH)) < total)
	{
		CHECK_FOR_INTERRUPTS();
		write_pages(store, (int) Min(total - from, WRITE_BATCH), log);

		/* A chunk of our own goes as soon as it is written, so that memory does not count twice. */
		if (!arena->shared && (from + WRITE_BATCH) % VC_STORE_CHUNK_PAGES == 0)
		{
			pfree(store->chunks[from / VC_STORE_CHUNK_PAGES]);
			store->chunks[from / VC_STORE_CHUNK_PAGES] = NULL;
		}
	}
	vc_store_leave_arena(store);
}
