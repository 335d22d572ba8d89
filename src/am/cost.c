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

void
vc_cost_estimate(PlannerInfo *root, IndexPath *path, double loop_count, const VcScanCost *scan, Cost *startup_cost,
				 Cost *total_cost, Selectivity *selectivity, double *correlation, double *pages)
{
	IndexOptInfo *index = path->indexinfo;
	double		  rows = Max(index->tuples, 1);
	double		  visits = Min(scan->start_visits, rows);
	double		  all_visits = visits + scan->row_visits * rows;
	double		  page_cost;
	double		  random_page_cost;
	double		  cached;

	*selectivity = 1;
	*correlation = 0;
	*pages = index->pages;

	/*
	 * Rows come in the order of one distance. Without one (as for a partial index whose predicate is implied), or with a second one
	 * to break ties, the scan cannot do what is asked. From 18 on a path is first judged by the number of its disabled nodes.
	 */
	if (list_length(path->indexorderbys) != 1)
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

	*startup_cost = visits * (scan->visit_cpu + page_cost);
	*total_cost = all_visits * (scan->visit_cpu + page_cost) + rows * cpu_index_tuple_cost;
	(void) root;
	(void) loop_count;
}
