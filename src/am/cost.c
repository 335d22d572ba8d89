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

/*
 * The rows wanted where LIMIT has a parameter. The planner takes it for a tenth of all rows, which nobody asks of an index for the nearest
 * ones: with costs for so many a plan made before the value is known would sort the whole table.
 */
#define USUAL_LIMIT 10

Selectivity
vc_cost_keys_selectivity(PlannerInfo *root, IndexPath *path)
{
	List *conditions = get_quals_from_indexclauses(path->indexclauses);

	return clauselist_selectivity(root, conditions, path->indexinfo->rel->relid, JOIN_INNER, NULL);
}

/* Whether a LIMIT of the rows themselves is given by a parameter whose value is not known yet. */
static bool
has_unknown_limit(PlannerInfo *root)
{
	const Query *query = root->parse;

	return query->limitCount != NULL && !IsA(query->limitCount, Const) && root->limit_tuples < 0 && query->groupClause == NIL &&
		   query->groupingSets == NIL && query->distinctClause == NIL && !query->hasAggs && !query->hasWindowFuncs &&
		   !query->hasTargetSRFs && !root->hasHavingQual;
}

double
vc_cost_rows_wanted(PlannerInfo *root, IndexPath *path, Selectivity passing)
{
	double rows = Max(path->indexinfo->tuples * passing, 1);
	double limit = has_unknown_limit(root) ? USUAL_LIMIT : root->limit_tuples;

	/* Of other relations that the query joins, each row may want any number of this one's. */
	if (bms_membership(root->all_baserels) != BMS_SINGLETON || limit < 0)
		return rows;
	return Min(rows, Max(limit * rows / Max(path->path.rows, 1), 1));
}

Cost
vc_cost_scattered_rows(IndexPath *path, double rows)
{
	RelOptInfo *table = path->indexinfo->rel;
	double		random_page_cost;
	double		seq_page_cost;
	double		all = Max(table->pages, 1);
	double		fetched = Min(2 * all * rows / (2 * all + rows), all);

	/* As for a bitmap scan: the more of the pages, the less at random. */
	get_tablespace_page_costs(table->reltablespace, &random_page_cost, &seq_page_cost);
	return fetched * (random_page_cost - (random_page_cost - seq_page_cost) * sqrt(fetched / all));
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
vc_cost_estimate(PlannerInfo *root, IndexPath *path, const VcScanCost *scan, Cost *startup_cost, Cost *total_cost,
				 Selectivity *selectivity, double *correlation, double *pages)
{
	IndexOptInfo *index = path->indexinfo;
	double        rows;
	double		  page_cost;
	double		  random_page_cost;
	double		  cached;
	Cost		  more;

	*selectivity = vc_cost_keys_selectivity(root, path);
	*correlation = 0;
	*pages = index->pages;
	rows = Max(index->tuples, 1) * *selectivity;

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
	 * An index that fits the cache is taken to be in it: it is read at random all the time. What does not fit costs a
	 * random page each.
	 */
	get_tablespace_page_costs(index->reltablespace, &random_page_cost, NULL);
	cached = index->pages > 0 ? Min(1.0, (double) effective_cache_size / index->pages) : 1;
	page_cost = (1 - cached) * random_page_cost;

	/*
	 * The planner takes costs between the first row and the last to rise evenly, and asks for a share of the rows. So the last row is
	 * made to cost what makes the wanted ones cost what they do.
	 */
	*startup_cost = scan->start + scan->start_pages * page_cost;
	more = scan->until + scan->until_pages * page_cost - *startup_cost;
	*total_cost = *startup_cost + more * Max(rows / scan->wanted, 1) + rows * cpu_index_tuple_cost;
}
