/*
 * scan.c
 *		See scan.h; and vectorcoll.scan_stats(), which tells what scans of this session took.
 */
#include "am/scan.h"

#include <math.h>

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/rel.h"

VcWork vc_work;

/* Scans of this session: all that have ended, and the last of them. */
static uint64 ended;
static VcScan last;
static Oid	  last_index;

void
vc_scan_begin(IndexScanDesc scan)
{
	if (scan->numberOfOrderBys == 0)
		return;
	scan->xs_orderbyvals = palloc0(sizeof(Datum) * scan->numberOfOrderBys);
	scan->xs_orderbynulls = palloc(sizeof(bool) * scan->numberOfOrderBys);
	memset(scan->xs_orderbynulls, true, sizeof(bool) * scan->numberOfOrderBys);
}

void
vc_scan_want_distances(IndexScanDesc scan)
{
	((VcScan *) scan->opaque)->distances = true;
}

void
vc_scan_set_no_distance(IndexScanDesc scan)
{
	if (scan->xs_orderbynulls != NULL)
		scan->xs_orderbynulls[0] = true;
}

void
vc_scan_set_distance(IndexScanDesc scan, const VcMetric *metric, float distance)
{
	if (scan->xs_orderbyvals == NULL)
		return;
	scan->xs_orderbynulls[0] = (scan->orderByData->sk_flags & SK_ISNULL) != 0;
	scan->xs_orderbyvals[0] = Float8GetDatum(vc_metric_to_operator(metric, distance));
}

void
vc_scan_end(IndexScanDesc scan)
{
	ended++;
	last = *(VcScan *) scan->opaque;
	last_index = RelationGetRelid(scan->indexRelation);
}

VcScan
vc_scan_last(void)
{
	return last;
}

void
vc_scan_add_share(const VcScan *share)
{
	last.searches += share->searches;
	last.workers += share->searches > 0;
	last.work.pages += share->work.pages;
	last.work.distances += share->work.distances;
	vc_work.pages += share->work.pages;
	vc_work.distances += share->work.distances;
}

PG_FUNCTION_INFO_V1(vc_scan_stats);

Datum
vc_scan_stats(PG_FUNCTION_ARGS)
{
	TupleDesc desc;
	Datum	  values[8];
	bool	  isnull[8] = {0};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = Int64GetDatum((int64) ended);
	values[1] = Int64GetDatum((int64) vc_work.pages);
	values[2] = Int64GetDatum((int64) vc_work.distances);
	values[3] = ObjectIdGetDatum(last_index);
	values[4] = Int64GetDatum((int64) last.searches);
	values[5] = Int64GetDatum((int64) last.work.pages);
	values[6] = Int64GetDatum((int64) last.work.distances);
	values[7] = Int64GetDatum((int64) last.workers);
	for (int i = 3; i < 8; i++)
		isnull[i] = ended == 0;
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, isnull)));
}
