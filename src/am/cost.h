/*
 * cost.h
 *		What a nearest-neighbour scan costs, in the planner's units.
 *
 * The access methods say how many nodes or blocks a search for the first rows looks at and what each costs; the rest is the
 * same for both. A scan without an ORDER BY that the index can serve is never worth it: its cost is infinite.
 */
#ifndef VC_COST_H
#define VC_COST_H

#include "vectorcoll.h"

#include "nodes/pathnodes.h"

typedef struct VcScanCost
{
	double start_visits; /* pages looked at before the first row can be returned */
	double row_visits;	 /* further ones for each row after that */
	double visit_cpu;	 /* CPU cost of one */
	double
		key_visits; /* what testing the keys of all rows, and looking at those alone that pass, comes to; 0: cannot */
} VcScanCost;

/* The share of an index's rows that pass the conditions on its key columns; 1 where there are none. */
extern Selectivity vc_cost_keys_selectivity(PlannerInfo *root, IndexPath *path);

/*
 * How many rows a query wants of an index scan, all that pass or what its LIMIT needs, given the share that passes the conditions on
 * keys; 0 where that cannot be told.
 */
extern double vc_cost_rows_wanted(PlannerInfo *root, IndexPath *path, Selectivity passing);

extern void vc_cost_estimate(PlannerInfo *root, IndexPath *path, double loop_count, const VcScanCost *scan,
							 Cost *startup_cost, Cost *total_cost, Selectivity *selectivity, double *correlation,
							 double *pages);

#endif /* VC_COST_H */
