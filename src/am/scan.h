/*
 * scan.h
 *		What a scan of either access method tells besides its rows: their distances, and what it took to find them.
 *
 * A distance goes where PostgreSQL has a place for it, xs_orderbyvals of the scan, as the operator would return it up to float
 * rounding. Nobody need compute it again, for which the vector would have to be fetched (batch_index.c does not).
 */
#ifndef VC_SCAN_H
#define VC_SCAN_H

#include "vectorcoll.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "am/metric.h"

/* What work was done: by this process so far (vc_work), or in one scan. */
typedef struct VcWork
{
	uint64 pages;	  /* of an index, looked at; each time one is locked counts */
	uint64 distances; /* exact ones computed */
} VcWork;

extern VcWork vc_work;

/* The first member of what an access method keeps in scan->opaque; stays through rescans. */
typedef struct VcScan
{
	uint64 searches; /* queries answered, the first and those of rescans */
	uint64 workers;	 /* parallel workers that answered some of them */
	VcWork work;
	VcWork before; /* vc_work when the access method was entered last */
	bool   distances; /* the caller reads xs_orderbyvals: a row whose place is certain is not returned without its distance */
} VcScan;

/* Prepare a scan that has just been made. */
extern void vc_scan_begin(IndexScanDesc scan);

/* Ask for distances, as the executor does not. */
extern void vc_scan_want_distances(IndexScanDesc scan);

/* Say what the row to be returned is away from the query; or that nothing more is known of it than its place. */
extern void vc_scan_set_distance(IndexScanDesc scan, const VcMetric *metric, float distance);
extern void vc_scan_set_no_distance(IndexScanDesc scan);

/* Remember the scan, which is about to end, for vectorcoll.scan_stats. */
extern void vc_scan_end(IndexScanDesc scan);

/* What the scan of this session that ended last did; and what a worker that had a share in that scan did besides. */
extern VcScan vc_scan_last(void);
extern void vc_scan_add_share(const VcScan *share);

/* Around whatever a scan does in this process; several scans take turns, as below a MergeAppend. */
static inline void
vc_scan_enter(IndexScanDesc scan)
{
	((VcScan *) scan->opaque)->before = vc_work;
}

static inline void
vc_scan_leave(IndexScanDesc scan)
{
	VcScan *own = scan->opaque;

	own->work.pages += vc_work.pages - own->before.pages;
	own->work.distances += vc_work.distances - own->before.distances;
}

#endif /* VC_SCAN_H */
