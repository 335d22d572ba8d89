/*
 * cost.c
 *		Cost estimates of both access methods. See cost.h.
 */
#include "am/cost.h"

#include <math.h>

#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/float.h"
#include "utils/selfuncs.h"
#include "utils/spccache.h"

Selectivity
vc_cost_keys_selectivity(PlannerInfo *root, IndexPath *path)
{
	List *conditions = get_quals_from_indexclauses(path->indexclauses);

	return clauselist_selectivity(root, conditions, path->indexinfo->rel->relid, JOIN_INNER, NULL);
}

double
vc_cost_rows_wanted(PlannerInfo *root, IndexPath *path, Selectivity passing)
{
	double rows = Max(path->indexinfo->tuples * passing, 1);

	/* Of other relations that the query joins, each row may want any number of this one's. */
	if (bms_membership(root->all_baserels) != BMS_SINGLETON)
		return 0;
	if (root->limit_tuples >= 0)
		return Min(rows, root->limit_tuples * rows / Max(path->path.rows, 1));
	return root->tuple_fraction == 0 ? rows : 0;
}

/* Rows whose vector is null are not in the index, so it cannot answer a query for them. */
static bool
wants_null_vectors(IndexPath *path)
{
	ListCell *lc;

	foreach (lc, path->indexclauses)
	{
		IndexClause *clause = lfirst(lc);
		NullTest    *test = (NullTest *) clause->rinfo->clause;

		if (clause->indexcol == 0 && IsA(test, NullTest) && test->nulltesttype == IS_NULL)
			return true;
	}
	return false;
}

void
vc_cost_estimate(PlannerInfo *root, IndexPath *path, double loop_count, const VcScanCost *scan, Cost *startup_cost,
				 Cost *total_cost, Selectivity *selectivity, double *correlation, double *pages)
{
	IndexOptInfo *index = path->indexinfo;
	double		  rows = Max(index->tuples, 1);
	double        passing = vc_cost_keys_selectivity(root, path);
	double        visits;
	double        all_visits;
	double		  page_cost;
	double		  random_page_cost;
	double		  cached;

	*selectivity = passing;
	*correlation = 0;
	*pages = index->pages;

	/*
	 * Rows come in the order of one distance. Without one (as for a partial index whose predicate is implied), or with a second one
	 * to break ties, the scan cannot do what is asked. From 18 on a path is first judged by the number of its disabled nodes.
	 */
	if (list_length(path->indexorderbys) != 1 || wants_null_vectors(path))
	{
		*startup_cost = get_float8_infinity();
		*total_cost = get_float8_infinity();
#if PG_VERSION_NUM >= 180000
		path->path.disabled_nodes += 2;
#endif
		return;
	}

	/*
	 * Conditions on keys are tested inside: what they reject costs a visit of the index at most, and none of the table.
	 * A search passes through rows that are rejected, and visits as many more nodes; where that is more than it takes
	 * to test all keys first and visit what passes, it does that.
	 */
	visits = Min(scan->start_visits / Max(passing, 1 / rows), rows);
	all_visits = visits + scan->row_visits * rows;
	if (path->indexclauses != NIL && scan->key_visits > 0)
	{
		visits = Min(visits, scan->key_visits);
		all_visits = Max(visits, Min(all_visits, scan->key_visits));
	}

	/*
	 * An index that fits the cache is taken to be in it: it is read at random all the time. What does not fit costs a
	 * random page each.
	 */
	get_tablespace_page_costs(index->reltablespace, &random_page_cost, NULL);
	cached = index->pages > 0 ? Min(1.0, (double) effective_cache_size / index->pages) : 1;
	page_cost = (1 - cached) * random_page_cost;

	*startup_cost = visits * (scan->visit_cpu + page_cost);
	*total_cost = all_visits * (scan->visit_cpu + page_cost) + passing * rows * cpu_index_tuple_cost;
	(void) loop_count;
}
