/*
 * wal.h
 *		Changes of index pages as generic WAL records: the interface of access/generic_xlog.h, several times cheaper.
 *
 * A record is one of the server's generic resource manager (RM_GENERIC_ID): for each page, fragments of offset, length and bytes,
 * each two bytes, two bytes and so many. The server's own code replays it, and wal_consistency_checking knows it. What
 * differs is how the fragments are found. The server compares a page with its copy byte by byte, which for an insertion
 * that changes a few bytes on each of 17 pages took longer than anything else but the search; here it is done by words. And the
 * copies lie in memory that the backend keeps.
 *
 * Usage: start; for each page, locked exclusively, register its buffer and change the copy that is returned; finish, which writes the
 * record and makes the changes in the buffers, or abort. Every buffer stays locked until then.
 */
#ifndef VC_WAL_H
#define VC_WAL_H

#include "vectorcoll.h"

#include "access/generic_xlog.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"

#define VC_WAL_MAX_PAGES MAX_GENERIC_XLOG_PAGES

typedef struct VcWal VcWal;

extern VcWal *vc_wal_start(Relation index);

/* A copy of a page for change. whole: the page is new, and logged as an image rather than by what has changed. */
extern Page vc_wal_register(VcWal *wal, Buffer buffer, bool whole);

/*
 * The same for changes of nothing but the bytes [from, to) of a page, which lie before its pd_lower: of the copy only those and
 * the page header may be looked at.
 */
extern Page vc_wal_register_part(VcWal *wal, Buffer buffer, int from, int to);

/*
 * Of the page registered last, in part, change `count` bytes that lie VC_WAL_STRIDE from each other, too: the first at `at`, which the
 * bytes registered do not reach. Where they lie is known, so nothing need be copied and compared to find it out.
 */
#define VC_WAL_STRIDE 16
#define VC_WAL_MAX_STRIDES (BLCKSZ / VC_WAL_STRIDE)

extern void vc_wal_set_strided(VcWal *wal, int at, int count, const uint8 *bytes);

extern void vc_wal_finish(VcWal *wal);
extern void vc_wal_abort(VcWal *wal);

#endif /* VC_WAL_H */
