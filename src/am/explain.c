/*
 * explain.c
 *		EXPLAIN (ANALYZE) of a scan of one of our indexes: pages visited and distances computed. From PostgreSQL 18 on, which lets
 *		extensions add to a node; elsewhere vectorcoll.scan_stats() tells of the scan that ended last.
 *
 * What is printed is what the process that prints has counted, over all of the node's loops. An ordered scan runs in one process; where
 * that is a worker below a Gather, the leader has nothing to tell of it and prints nothing.
 */
#include "am/explain.h"

#if PG_VERSION_NUM >= 180000

#include "am/plan.h"
#include "am/scan.h"
#include "commands/explain.h"
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#include "nodes/execnodes.h"
#include "utils/rel.h"

static explain_per_node_hook_type next_hook;

static void
explain_scan(PlanState *state, List *ancestors, const char *relationship, const char *plan_name, ExplainState *es)
{
	if (next_hook)
		next_hook(state, ancestors, relationship, plan_name, es);
	if (es->analyze && IsA(state, IndexScanState))
	{
		IndexScanDesc scan = ((IndexScanState *) state)->iss_ScanDesc;
		VcScan		 *own = scan ? scan->opaque : NULL;

		if (own == NULL || !vc_plan_is_our_method(scan->indexRelation->rd_rel->relam) || own->searches == 0)
			return;
		ExplainPropertyUInteger("Pages Visited", NULL, own->work.pages, es);
		ExplainPropertyUInteger("Distances Computed", NULL, own->work.distances, es);
	}
}

void
vc_explain_init(void)
{
	next_hook = explain_per_node_hook;
	explain_per_node_hook = explain_scan;
}

#else

void
vc_explain_init(void)
{
}

#endif
