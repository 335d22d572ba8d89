/*
 * store.h
 *		Pages of an index, on disk or, while it is being built, in memory. Code that walks and changes an index goes through
 *		a VcStore and does not know which of the two it works on; block numbers are the same in both.
 *
 * On disk, a change is one generic WAL record (wal.h) over at most VC_STORE_MAX_PAGES pages: pages taken with vc_store_write or
 * vc_store_extend under one hold become durable together, at vc_store_commit, or not at all. With wal = false (an index
 * not yet visible to anyone) pages are changed in place and only marked dirty; the builder logs the whole relation at its end.
 *
 * In memory, pages lie in chunks that are allocated as needed up to a limit. Where several processes build together, the
 * chunks are in dynamic shared memory and each page is guarded by one of VC_STORE_LOCKS lightweight locks, chosen by
 * block number. Since blocks share locks, a process holds at most one of them at a time. A page that belongs to another
 * page (its owner holds the only reference) is protected by the owner's lock; the _owned calls are for those.
 */
#ifndef VC_STORE_H
#define VC_STORE_H

#include "vectorcoll.h"

#include "am/cache.h"
#include "am/page.h"
#include "am/wal.h"
#include "kernels/prefetch.h"
#include "storage/buf_internals.h"
#include "storage/lwlock.h"
#include "utils/dsa.h"

#define VC_STORE_MAX_PAGES VC_WAL_MAX_PAGES

/*
 * Dynamic shared memory comes in segments of powers of two, and each has some pages of its own: chunks are a little smaller than one, so
 * that several fill a segment.
 */
#define VC_STORE_CHUNK_PAGES 480
#define VC_STORE_LOCKS 4096

/* The arena of a build: lies in shared memory where several processes build, else in the builder's own. */
typedef struct VcArena
{
	pg_atomic_uint32 nblocks;	 /* pages handed out */
	pg_atomic_uint32 written;	 /* of those, how many somebody writes out */
	uint32			 max_blocks; /* no more than this: the memory limit */
	bool			 shared;
	LWLock			 grow;		 /* held to add a chunk */
	uint32			 nchunks;
	LWLock			 locks[VC_STORE_LOCKS];
	dsa_pointer		 chunks[FLEXIBLE_ARRAY_MEMBER]; /* or, where not shared, plain pointers */
} VcArena;

typedef struct VcStore
{
	Relation	  index;
	MemoryContext context; /* for what lives as long as the store */
	uint32		magic;
	bool		wal;
	BlockNumber nblocks; /* the relation has at least so many blocks */
	VcArena	   *arena;	 /* null: on disk */
	dsa_area   *dsa;
	char	  **chunks;	 /* of the arena, as this process sees them; null where not yet mapped */
	VcCached   *cached;	 /* on disk: what this backend knows of the index */
} VcStore;

typedef struct VcHold
{
	int				  npages;
	bool			  exclusive;
	bool			  locked[VC_STORE_MAX_PAGES]; /* in a shared arena: we hold this page's lock */
	BlockNumber		  block[VC_STORE_MAX_PAGES];
	Buffer			  buffer[VC_STORE_MAX_PAGES];
	Page			  page[VC_STORE_MAX_PAGES];
	VcWal			 *wal;
} VcHold;

/* A store over an index on disk. */
extern void vc_store_open(VcStore *store, Relation index, uint32 magic, bool wal);

/* Bytes of an arena of at most max_blocks pages, and a new one in that memory. */
extern Size vc_arena_size(uint32 max_blocks);
extern void vc_arena_init(VcArena *arena, uint32 max_blocks, bool shared, int tranche);

/* Let a store work in an arena; dsa is null where it is not shared. */
extern void vc_store_attach_arena(VcStore *store, VcArena *arena, dsa_area *dsa);

/* Go over to disk, where another process has written the arena out. */
extern void vc_store_leave_arena(VcStore *store);

/*
 * Append the arena's pages to the relation, which has none yet, in the order of their blocks, and log them if asked to; the store
 * then works on disk, without WAL. Several processes may do so together, at a time when nobody changes pages: each returns when no
 * page is left that another is not writing.
 */
extern void vc_store_write_out(VcStore *store, bool log);

/* Start an empty hold. */
static inline void
vc_hold_init(VcHold *hold)
{
	hold->npages = 0;
	hold->exclusive = false;
	hold->wal = NULL;
}

/*
 * Pin and share-lock a block as the only page of `hold`, check that it is of `kind` with `used` bytes, and return it.
 * Raises XX002 for a block that is not what it should be or does not exist. Undone by vc_store_release.
 */
extern Page vc_store_read(VcStore *store, VcHold *hold, BlockNumber block, uint16 kind, Size used);

/* The same for a page whose owner is locked by the caller, through another hold. */
extern Page vc_store_read_owned(VcStore *store, VcHold *hold, BlockNumber block, uint16 kind, Size used);

/*
 * Share-lock whatever page a block is, for sweeps over the relation: *kind is 0, and the page need not be released, where it
 * was never initialised (as a crash just after extending leaves it).
 */
extern Page vc_store_read_any(VcStore *store, VcHold *hold, BlockNumber block, uint16 *kind);

/*
 * Add a block to `hold` exclusively locked, and return a page that may be changed: on disk with WAL it is a copy, which
 * takes effect at vc_store_commit.
 */
extern Page vc_store_write(VcStore *store, VcHold *hold, BlockNumber block, uint16 kind, Size used);
extern Page vc_store_write_owned(VcStore *store, VcHold *hold, BlockNumber block, uint16 kind, Size used);

/*
 * The same in two steps, for a hold of one page of which little is changed: lock the block exclusively and look at it, then, if
 * it is to be changed, get a page of which the bytes [from, to) may be. Those are payload, and all that there is in the page.
 */
extern Page vc_store_lock(VcStore *store, VcHold *hold, BlockNumber block, uint16 kind, Size used);
extern Page vc_store_change(VcStore *store, VcHold *hold, int from, int to);

/* Where that page is a copy, change bytes behind `to`, too, which lie VC_WAL_STRIDE from each other. Once, before the commit. */
extern void vc_store_change_strided(VcStore *store, VcHold *hold, int at, int count, const uint8 *bytes);

/*
 * Extend by `count` consecutive blocks, not yet initialised; on disk buffers[] gets them pinned and locked. False where an
 * arena is at its limit; on disk it always succeeds. Each page is then added to a hold, initialised with `used` bytes of
 * zeros, by vc_store_fresh.
 */
extern bool vc_store_extend(VcStore *store, int count, BlockNumber *first, Buffer *buffers);
extern Page vc_store_fresh(VcStore *store, VcHold *hold, BlockNumber block, Buffer buffer, uint16 kind, Size used);

/* Make the changes of all pages of the hold effective, and let them go. */
extern void vc_store_commit(VcStore *store, VcHold *hold);

/* Make the changes effective, but keep the pages, for further changes. hold->page[] may be other pointers afterwards. */
extern void vc_store_flush(VcStore *store, VcHold *hold);

/* Let all pages of the hold go; changes are undone (on disk with WAL) or must not have been made. */
extern void vc_store_release(VcStore *store, VcHold *hold);

/* Blocks there are now. */
extern BlockNumber vc_store_nblocks(VcStore *store);

/*
 * Where a block's page was last seen in memory, for bringing it into the CPU's cache before it is read; null where that
 * is not known. What lies there now may be another page: the address may be prefetched, never read.
 */
static inline const char *
vc_store_whereabouts(VcStore *store, BlockNumber block)
{
	if (store->arena)
	{
		const char *chunk = store->chunks[block / VC_STORE_CHUNK_PAGES];

		return chunk ? chunk + (Size) (block % VC_STORE_CHUNK_PAGES) * BLCKSZ : NULL;
	}
	if (block < store->cached->nrecent && store->cached->recent[block] > 0)
	{
		Buffer buffer = store->cached->recent[block];

		vc_prefetch(GetBufferDescriptor(buffer - 1), sizeof(BufferDesc));
		return BufferGetBlock(buffer);
	}
	return NULL;
}

#endif /* VC_STORE_H */
