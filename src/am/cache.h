/*
 * cache.h
 *		What a backend remembers of an index from one scan to the next: what follows from its meta page, and in which buffer
 *		each block was last seen.
 *
 * An entry is good for one file of the index, whose meta page never changes in what is cached; the access method checks the
 * rotation's seed against the meta page, because the number of a dropped file may be used again. Pointers into an entry
 * stay valid until the end of the transaction: only there memory is freed, of indexes that are gone or have another file, and of
 * all when it is too much.
 */
#ifndef VC_CACHE_H
#define VC_CACHE_H

#include "vectorcoll.h"

#include "am/toast.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"

/* What names an index's file, which PostgreSQL 16 renamed. */
#if PG_VERSION_NUM >= 160000
#define VC_INDEX_FILE(index) ((index)->rd_locator)
typedef RelFileLocator VcIndexFile;
#else
#define VC_INDEX_FILE(index) ((index)->rd_node)
typedef RelFileNode VcIndexFile;
#endif

typedef struct VcCached
{
	MemoryContext	 context; /* all of it is there */
	VcIndexFile		 file;
	struct VcCached *next; /* once given up: another one */

	void	   *data;	 /* the access method's, or null in a new entry */
	BlockNumber nblocks; /* the index is at least so long */
	Buffer	   *recent;	 /* [nrecent], InvalidBuffer where unknown */
	BlockNumber nrecent;
	VcToastMap	toast; /* where the table's values lie */
} VcCached;

/* The entry of an index or a table, made if there is none. */
extern VcCached *vc_cache_get(Relation relation);

/* Memory for an entry's data. */
extern void *vc_cache_alloc(VcCached *cached, Size bytes);

/* Make room for hints about blocks up to nblocks. */
extern void vc_cache_grow(VcCached *cached, BlockNumber nblocks);

/*
 * Pin a block of the relation's main fork, which must exist. Looking a page up in the server's buffer table costs a search's time
 * several times over, so we remember where we last saw it; the server checks that it is still there.
 */
extern Buffer vc_cache_read(VcCached *cached, Relation relation, BlockNumber block);

/*
 * Where a block's page was last seen in shared memory, for bringing it into the CPU's cache before it is read; null where
 * that is not known. What lies there now may be another page, and may change at any moment.
 */
static inline const char *
vc_cache_whereabouts(const VcCached *cached, BlockNumber block)
{
	if (block < cached->nrecent && cached->recent[block] > 0)
		return BufferGetBlock(cached->recent[block]);
	return NULL;
}

#endif /* VC_CACHE_H */
