/*
 * conditions.c
 *		Offers the planner ordered scans with conditions that it does not see can be tested inside an index:
 *
 *		key = ANY (array), which IN is. Before 17 the planner takes it that an index gives up its order for such a condition
 *			on any column but the first, as a B-tree then does.
 *		key, NOT key, key IS TRUE and key IS FALSE of a boolean column. The planner turns key = true into the first, and
 *			back for indexes of the server's own alone.
 *
 * For each ordered path over one of our indexes there is another one with such conditions, and costs decide.
 */
#include "am/conditions.h"

#include "vectorcoll.h"

#include "am/plan.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "utils/lsyscache.h"

static set_rel_pathlist_hook_type next_hook;

/* Whether a condition compares a key column with an array that can be evaluated before the scan begins. */
static bool
is_in_list(PlannerInfo *root, IndexOptInfo *index, int column, Node *condition)
{
#if PG_VERSION_NUM < 170000
	ScalarArrayOpExpr *clause = (ScalarArrayOpExpr *) condition;

	return IsA(condition, ScalarArrayOpExpr) && clause->useOr &&
		   match_index_to_operand(linitial(clause->args), column, index) &&
		   op_in_opfamily(clause->opno, index->opfamily[column]) &&
		   (!OidIsValid(index->indexcollations[column]) || index->indexcollations[column] == clause->inputcollid) &&
		   !bms_is_member(index->rel->relid, pull_varnos(root, lsecond(clause->args))) &&
		   !contain_volatile_functions(lsecond(clause->args));
#else
	return false;
#endif
}

/* A condition on a boolean column, as a comparison with a constant; null for other conditions. */
static Expr *
as_comparison(IndexOptInfo *index, int column, Node *condition)
{
	Node *operand = condition;
	bool  value = true;

	if (index->opcintype[column] != BOOLOID)
		return NULL;
	if (is_notclause(condition))
	{
		operand = (Node *) get_notclausearg(condition);
		value = false;
	}
	else if (IsA(condition, BooleanTest))
	{
		BooleanTest *test = (BooleanTest *) condition;

		if (test->booltesttype != IS_TRUE && test->booltesttype != IS_FALSE)
			return NULL;
		operand = (Node *) test->arg;
		value = test->booltesttype == IS_TRUE;
	}
	if (!match_index_to_operand(operand, column, index))
		return NULL;
	return make_opclause(BooleanEqualOperator, BOOLOID, false, copyObject((Expr *) operand),
						 (Expr *) makeBoolConst(value, false), InvalidOid, InvalidOid);
}

/* A condition as one that an index can test on a column; null where there is no such thing. */
static RestrictInfo *
as_index_condition(PlannerInfo *root, IndexOptInfo *index, int column, RestrictInfo *condition)
{
	Expr *comparison;

	if (condition->pseudoconstant || !restriction_is_securely_promotable(condition, index->rel))
		return NULL;
	if (is_in_list(root, index, column, (Node *) condition->clause))
		return condition;
	comparison = as_comparison(index, column, (Node *) condition->clause);
	return comparison != NULL ? make_simple_restrictinfo(root, comparison) : NULL;
}

/* The conditions that a scan of an index could have, in the order of columns: those that a path has, and those above. */
static List *
clauses_of(PlannerInfo *root, IndexOptInfo *index, IndexPath *path)
{
	List	 *clauses = NIL;
	ListCell *lc;

	for (int column = 0; column < index->nkeycolumns; column++)
	{
		if (path->indexinfo == index)
			foreach (lc, path->indexclauses)
				if (lfirst_node(IndexClause, lc)->indexcol == column)
					clauses = lappend(clauses, lfirst(lc));
		foreach (lc, index->indrestrictinfo)
		{
			RestrictInfo *condition = column > 0 ? as_index_condition(root, index, column, lfirst(lc)) : NULL;
			IndexClause	 *clause;

			if (condition == NULL)
				continue;
			clause = makeNode(IndexClause);
			clause->rinfo = lfirst(lc);
			clause->indexquals = list_make1(condition);
			clause->indexcol = column;
			clauses = lappend(clauses, clause);
		}
	}
	return clauses;
}

/* Whether an index orders by what a path over another index of the table is ordered by. */
static bool
has_same_order(IndexOptInfo *index, IndexPath *path)
{
	OpExpr *order = linitial(path->indexorderbys);

	return index == path->indexinfo ||
		   (index->relam == path->indexinfo->relam && index->opfamily[0] == path->indexinfo->opfamily[0] &&
			(index->indpred == NIL || index->predOK) && match_index_to_operand(linitial(order->args), 0, index));
}

static void
add_paths(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	List	 *added = NIL;
	ListCell *lc;
	ListCell *lc2;

	if (next_hook)
		next_hook(root, rel, rti, rte);
	foreach (lc, rel->pathlist)
	{
		IndexPath *path = lfirst(lc);

		if (!IsA(path, IndexPath) || path->path.param_info != NULL || list_length(path->indexorderbys) != 1 ||
			!vc_plan_is_our_method(path->indexinfo->relam))
			continue;
		foreach (lc2, rel->indexlist)
		{
			IndexOptInfo *index = lfirst(lc2);
			List		 *clauses;

			if (index->nkeycolumns < 2 || !has_same_order(index, path))
				continue;
			clauses = clauses_of(root, index, path);
			if (list_length(clauses) > (index == path->indexinfo ? list_length(path->indexclauses) : 0))
				added = lappend(added, create_index_path(root, index, clauses, path->indexorderbys, path->indexorderbycols,
														 path->path.pathkeys, ForwardScanDirection, false,
														 rel->lateral_relids, 1.0, false));
		}
	}
	foreach (lc, added)
		add_path(rel, lfirst(lc));
}

void
vc_conditions_init(void)
{
	next_hook = set_rel_pathlist_hook;
	set_rel_pathlist_hook = add_paths;
}
