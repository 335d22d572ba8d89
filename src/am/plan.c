/*
 * plan.c
 *		Spares ordered scans a distance computation for each row they return.
 *
 * SELECT id ... ORDER BY v <-> $1 LIMIT 10 has the distance as a hidden ("resjunk") column of its plan, although nothing reads it
 * when the rows come from an index in that order. The executor computes it all the same, which means fetching each vector
 * from the table and often from its TOAST table: a third of a fast search's time. After the planner is done we look for Limit directly
 * over a scan of one of our indexes and put NULL in the place of that column.
 *
 * That is safe because the column is hidden (nothing above a Limit refers to hidden columns of it), because Limit looks at sort columns
 * only for WITH TIES, which is left alone, and because our access methods return exact order, so that the executor never compares
 * distances of its own (xs_recheckorderby is never set). A distance that the query returns is no hidden column and stays.
 */
#include "am/plan.h"

#include "access/genam.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/plannodes.h"
#include "optimizer/planner.h"
#include "miscadmin.h"
#include "utils/syscache.h"

static planner_hook_type next_planner;

bool
vc_plan_is_our_method(Oid am)
{
	char *name = get_am_name(am);

	return name && (strcmp(name, "vc_hnsw") == 0 || strcmp(name, "vc_ivf") == 0);
}

static bool
is_our_index(Oid index)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(index));
	Oid		  am;

	if (!HeapTupleIsValid(tuple))
		return false;
	am = ((Form_pg_class) GETSTRUCT(tuple))->relam;
	ReleaseSysCache(tuple);
	return vc_plan_is_our_method(am);
}

static void
hide_distances(IndexScan *scan)
{
	ListCell *lc;

	if (scan->indexorderbyorig == NIL || !is_our_index(scan->indexid))
		return;
	foreach (lc, scan->scan.plan.targetlist)
	{
		TargetEntry *entry = lfirst(lc);

		if (entry->resjunk && list_member(scan->indexorderbyorig, entry->expr))
			entry->expr = (Expr *) makeNullConst(exprType((Node *) entry->expr), -1,
												 exprCollation((Node *) entry->expr));
	}
}

static void walk(Plan *plan);

static void
walk_list(List *plans)
{
	ListCell *lc;

	foreach (lc, plans)
		walk(lfirst(lc));
}

static void
walk(Plan *plan)
{
	if (plan == NULL)
		return;
	check_stack_depth();
	switch (nodeTag(plan))
	{
		case T_Limit:
			if (((Limit *) plan)->limitOption == LIMIT_OPTION_COUNT && IsA(plan->lefttree, IndexScan))
				hide_distances((IndexScan *) plan->lefttree);
			break;
		case T_Append:
			walk_list(((Append *) plan)->appendplans);
			break;
		case T_MergeAppend:
			walk_list(((MergeAppend *) plan)->mergeplans);
			break;
		case T_SubqueryScan:
			walk(((SubqueryScan *) plan)->subplan);
			break;
		default:
			break;
	}
	walk(plan->lefttree);
	walk(plan->righttree);
}

static PlannedStmt *
plan_and_hide(Query *query, const char *query_string, int cursor_options, ParamListInfo params)
{
	PlannedStmt *stmt = next_planner ? next_planner(query, query_string, cursor_options, params)
									 : standard_planner(query, query_string, cursor_options, params);

	walk(stmt->planTree);
	walk_list(stmt->subplans);
	return stmt;
}

void
vc_plan_init(void)
{
	next_planner = planner_hook;
	planner_hook = plan_and_hide;
}
