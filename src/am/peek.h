/*
 * peek.h
 *		Rows of a heap brought into the CPU's cache before somebody fetches them, many at once, so that it waits for memory as often as
 *		for one.
 *
 * Where a page lies in shared buffers is known from when it was read last (cache.h). It is looked at without pin or lock: what is read
 * there may be anything, and serves as a hint only.
 */
#ifndef VC_PEEK_H
#define VC_PEEK_H

#include "vectorcoll.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "am/cache.h"
#include "storage/itemid.h"
#include "storage/itemptr.h"

/* Tables of more blocks, 16 GB, are not remembered: it would take too much memory in each backend. */
#define VC_PEEK_MAX_BLOCKS (2 * 1024 * 1024)

#define VC_PEEK_ROWS 16

/* A row, as far as it can be known: null where it is not, and how long it is. */
typedef struct VcPeeked
{
	const char *row;
	Size		length;
} VcPeeked;

/* Ask for `bytes` of each of n rows, VC_PEEK_ROWS at most, and say where they are. */
extern void vc_peek(const VcCached *table, const ItemPointerData *tids, int n, Size bytes, VcPeeked *rows);

/* The entry of a scan's table, or null where its pages are not to be remembered. Good until the end of the transaction. */
extern VcCached *vc_peek_table(IndexScanDesc scan);

/* Remember where the executor has found the row that a scan returned last. */
extern void vc_peek_note(IndexScanDesc scan, VcCached *table);

#endif /* VC_PEEK_H */
