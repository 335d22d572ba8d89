/*
 * fetch.h
 *		Indexed values from the table, by the TIDs that an index holds. No lock on an index page may be held meanwhile.
 */
#ifndef VC_FETCH_H
#define VC_FETCH_H

#include "vectorcoll.h"

#include "am/metric.h"
#include "storage/itemptr.h"
#include "utils/snapshot.h"

typedef struct VcFetch VcFetch;

/*
 * XX002 where a TID from an index lies beyond the table, which the server would take for a missing file. *known is how many blocks
 * the table has at least, 0 at first: tables do not shrink while they are scanned.
 */
extern void vc_fetch_check_tid(Relation index, Relation table, BlockNumber *known, const ItemPointerData *tid);

/* For the first column of an index of `dim` dimensions. Memory comes from the current context, but for what vc_fetch_close frees. */
extern VcFetch *vc_fetch_open(Relation index, Relation table, const VcMetric *metric, uint32 dim);

/*
 * The value of the row that a TID in the index stands for, as `snapshot` sees it; false where it sees none. The value lives
 * until the next call.
 */
extern bool vc_fetch_value(VcFetch *fetch, ItemPointer tid, Snapshot snapshot, VcValue *value);

/*
 * Rows that will probably be fetched soon, VC_PEEK_ROWS of them at most: those in pages whose place in shared buffers is known are brought
 * into the CPU's cache, with their values, step by step for all at once, so that it waits for memory as often as for one.
 */
extern void vc_fetch_expect(VcFetch *fetch, const ItemPointerData *tids, int n);

/* Whether the value fetched last was stored out of line, which takes many times as long. */
extern bool vc_fetch_is_slow(const VcFetch *fetch);

/* Let go of the table's page that was read last. */
extern void vc_fetch_reset(VcFetch *fetch);

extern void vc_fetch_close(VcFetch *fetch);

#endif /* VC_FETCH_H */
