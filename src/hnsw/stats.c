/*
 * stats.c
 *		vectorcoll.hnsw_stats(index): what an index consists of.
 *
 * Inserts and vacuum are kept out meanwhile, so that what is counted belongs together.
 */
#include "hnsw/walk.h"

#include "am/owner.h"
#include "fmgr.h"
#include "funcapi.h"

/* Heap TIDs of live nodes. */
static uint64
count_rows(VcHnswWalk *walk)
{
	Size			 size = VC_HNSW_INLINE_TIDS;
	ItemPointerData *tids = palloc(sizeof(ItemPointerData) * size);
	uint64			 rows = 0;

	for (uint64 id = 0; id < vc_hnsw_walk_slots(walk); id++)
		if ((walk->slot[id] & VC_HNSW_WALK_USED) && vc_hnsw_walk_level(walk, id) == 0)
			rows += vc_hnsw_node_tids(&walk->graph, id, NULL, &tids, &size);
	pfree(tids);
	return rows;
}

PG_FUNCTION_INFO_V1(vc_hnsw_stats);

Datum
vc_hnsw_stats(PG_FUNCTION_ARGS)
{
	Relation   table;
	Relation   index;
	VcHnswWalk walk;
	TupleDesc  desc;
	uint64	   rows;
	Datum	   values[15];
	bool	   isnull[15] = {0};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	vc_owner_open(PG_GETARG_OID(0), "vc_hnsw", ShareLock, &table, &index);
	vc_hnsw_walk(&walk, index);
	rows = count_rows(&walk);

	values[0] = Int64GetDatum((int64) rows);
	values[1] = Int64GetDatum((int64) walk.nodes);
	values[2] = Int64GetDatum((int64) walk.dead);
	values[3] = Int64GetDatum((int64) walk.apart);
	values[4] = Int64GetDatum((int64) walk.unreached);
	values[5] = Int64GetDatum((int64) walk.upper);
	values[6] = Int32GetDatum(walk.levels);
	isnull[7] = walk.nodes == 0;
	values[7] = Float8GetDatum(walk.nodes > 0 ? (double) walk.links / walk.nodes : 0);
	values[8] = Int64GetDatum((int64) walk.free_slots);
	values[9] = Int64GetDatum((int64) walk.nblocks);
	values[10] = Int64GetDatum((int64) walk.pages[VC_HNSW_NODES]);
	values[11] = Int64GetDatum((int64) walk.pages[VC_HNSW_TAIL]);
	values[12] = Int64GetDatum((int64) walk.pages[VC_HNSW_TIDS]);
	values[13] = Int64GetDatum((int64) walk.pages[0]);
	isnull[14] = rows == 0;
	values[14] = Float8GetDatum(rows > 0 ? (double) walk.nblocks * BLCKSZ / rows : 0);
	vc_owner_close(table, index);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, isnull)));
}
