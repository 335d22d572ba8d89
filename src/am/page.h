/*
 * page.h
 *		What the pages of both access methods have in common: the mark at their end, the check on every read, how the
 *		relation grows.
 *
 * Every page ends in a VcPageOpaque, whose last field tells tools such as pg_filedump whose page this is. The check on
 * each read does not go there: at the far end of the page it would cost a cache miss of its own. It looks at the page
 * header's pd_prune_xid, which PostgreSQL uses in heap pages only; here it holds magic + kind. Data lies
 * between the page header and pd_lower, so that generic WAL logs it and full-page images leave the hole out.
 */
#ifndef VC_PAGE_H
#define VC_PAGE_H

#include "vectorcoll.h"

#include "storage/bufmgr.h"
#include "storage/bufpage.h"
#include "utils/rel.h"

typedef struct VcPageOpaque
{
	uint32 magic;	/* of the access method: a page of another index, or garbage, is told at once */
	uint16 kind;	/* the access method's page kinds, 1 and up */
	uint16 page_id; /* VC_PAGE_ID */
} VcPageOpaque;

#define VC_PAGE_ID 0xFF7C
#define VC_PAGE_MAX_KIND 255
#define VC_PAGE_PAYLOAD (BLCKSZ - SizeOfPageHeaderData - MAXALIGN(sizeof(VcPageOpaque)))

#define VcPageGetOpaque(page) ((VcPageOpaque *) PageGetSpecialPointer(page))
#define VcPageGetPayload(page) ((char *) (page) + SizeOfPageHeaderData)

/* Make `page` an empty page of `kind` with `used` bytes of zeroed payload. */
extern void vc_page_init(Page page, uint32 magic, uint16 kind, Size used);

/*
 * Raise XX002 unless `page`, block `block` of `index`, is a page of this kind with at least `used` bytes of payload. A
 * few comparisons: meant for every read. The caller holds a lock on the buffer.
 */
extern void vc_page_check(Relation index, BlockNumber block, Page page, uint32 magic, uint16 kind, Size used);

/* The kind of a page of this access method; XX002 for any other page. */
extern uint16 vc_page_kind(Relation index, BlockNumber block, Page page, uint32 magic);

/* XX002 naming index and block, with a hint to REINDEX. `what` is a clause such as "node 12 has 200 links". */
pg_noreturn extern void vc_page_corrupted(Relation index, BlockNumber block, const char *what, ...)
	pg_attribute_printf(3, 4);

/* Extend a fork by `count` consecutive pages, returned pinned and exclusively locked in buffers[], not yet initialised. */
extern void vc_page_extend(Relation index, ForkNumber fork, int count, Buffer *buffers);

/*
 * The same for one page among many writers, who otherwise wait for each other: whoever had to wait looks whether the free space map has a
 * page with so many bytes by now, and returns that, with *buffer invalid; or extends by pages for all who wait, too, which are left as zeros
 * and told to the map.
 */
extern BlockNumber vc_page_extend_among(Relation index, Size bytes, Buffer *buffer);

#endif /* VC_PAGE_H */
