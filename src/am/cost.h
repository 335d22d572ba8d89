/*
 * cost.h
 *		What a nearest-neighbour scan costs, in the planner's units.
 *
 * The access methods say what a search for the first row costs and what one for as many rows as are wanted; the rest is the
 * same for both. A scan without an ORDER BY that the index can serve is never worth it: its cost is infinite.
 */
#ifndef VC_COST_H
#define VC_COST_H

#include "vectorcoll.h"

#include "nodes/pathnodes.h"

typedef struct VcScanCost
{
	Cost   start;		/* what the CPU does before the first row can be returned */
	double start_pages; /* pages of the index looked at by then */
	double wanted;		/* so many rows, more than none */
	Cost   until;		/* what the CPU does until so many have been returned, all in all */
	double until_pages;
} VcScanCost;

/* The share of an index's rows that pass the conditions on its key columns; 1 where there are none. */
extern Selectivity vc_cost_keys_selectivity(PlannerInfo *root, IndexPath *path);

/*
 * How many rows a query wants of an index scan, given the share that passes the conditions on keys: what its LIMIT needs (a few where
 * that is a parameter), and where there is none, or other relations make that uncertain, all that pass.
 */
extern double vc_cost_rows_wanted(PlannerInfo *root, IndexPath *path, Selectivity passing);

/* What the planner thinks it costs to get at so many of a table's rows that lie anywhere in it, in the order in which they lie. */
extern Cost vc_cost_scattered_rows(IndexPath *path, double rows);

/* The outputs of an access method's cost estimate. */
extern void vc_cost_estimate(PlannerInfo *root, IndexPath *path, const VcScanCost *scan, Cost *startup_cost, Cost *total_cost,
							 Selectivity *selectivity, double *correlation, double *pages);

#endif /* VC_COST_H */
