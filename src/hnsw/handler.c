/*
 * handler.c
 *		What PostgreSQL asks an access method for: its properties, its options and settings, costs and operator class checks.
 */
#include "hnsw/hnsw.h"

#include <math.h>

#include "access/amapi.h"
#include "access/reloptions.h"
#include "access/stratnum.h"
#include "am/cost.h"
#include "am/opclass.h"
#include "commands/progress.h"
#include "commands/vacuum.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "types/check.h"
#include "utils/guc.h"
#include "utils/memutils.h"

int	   vc_hnsw_ef_search;
double vc_hnsw_target_recall;
int	   vc_hnsw_max_scan_tuples;

static relopt_kind option_kind;

static relopt_enum_elt_def storage_values[] = {
	{"full", VC_HNSW_STORAGE_FULL},
	{"compact", VC_HNSW_STORAGE_COMPACT},
	{NULL},
};

void
vc_hnsw_init_guc(void)
{
	option_kind = add_reloption_kind();
	add_int_reloption(option_kind, "m", "links a new node gets in each level; nodes hold up to twice as many",
					  VC_HNSW_DEFAULT_M, VC_HNSW_MIN_M, VC_HNSW_MAX_M, AccessExclusiveLock);
	add_int_reloption(option_kind, "ef_construction", "candidates among which a new node's links are chosen",
					  VC_HNSW_DEFAULT_EF_CONSTRUCTION, VC_HNSW_MIN_EF_CONSTRUCTION, VC_HNSW_MAX_EF_CONSTRUCTION,
					  AccessExclusiveLock);
	add_enum_reloption(option_kind, "storage", "what nodes keep of their values", storage_values, VC_HNSW_STORAGE_FULL,
					   "Valid values are \"full\" and \"compact\".", AccessExclusiveLock);
	DefineCustomIntVariable("vc_hnsw.ef_search", "How many nearest rows a vc_hnsw search finds before it returns the first.",
							"More finds true neighbours more reliably and takes longer. It does not limit the number of "
							"rows returned.",
							&vc_hnsw_ef_search, VC_HNSW_DEFAULT_EF_SEARCH, VC_HNSW_MIN_EF_SEARCH, VC_HNSW_MAX_EF_SEARCH,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomRealVariable("vc_hnsw.target_recall", "Share of the true nearest rows a vc_hnsw search should find.",
							 "Searches are as wide as the index measured that this takes. 0 leaves that to "
							 "vc_hnsw.ef_search; 1 reads the whole index.",
							 &vc_hnsw_target_recall, 0.0, 0.0, 1.0, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("vc_hnsw.max_scan_tuples", "Rows a vc_hnsw scan may look at before it gives up.",
							"For scans whose WHERE clause rejects most rows. 0 means no limit: a scan goes on until it has "
							"as many rows as wanted or has seen them all.",
							&vc_hnsw_max_scan_tuples, 0, 0, INT_MAX, PGC_USERSET, 0, NULL, NULL, NULL);
	MarkGUCPrefixReserved("vc_hnsw");
}

static bytea *
hnsw_options(Datum reloptions, bool validate)
{
	static const relopt_parse_elt table[] = {
		{"m", RELOPT_TYPE_INT, offsetof(VcHnswOptions, m)},
		{"ef_construction", RELOPT_TYPE_INT, offsetof(VcHnswOptions, ef_construction)},
		{"storage", RELOPT_TYPE_ENUM, offsetof(VcHnswOptions, storage)},
	};

	return (bytea *) build_reloptions(reloptions, validate, option_kind, sizeof(VcHnswOptions), table, lengthof(table));
}

static char *
hnsw_phase_name(int64 phase)
{
	switch (phase)
	{
		case PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE:
			return "initializing";
		case PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE + 1:
			return "sampling table";
		case PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE + 2:
			return "building graph";
		case PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE + 3:
			return "measuring searches";
		case PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE + 4:
			return "writing index";
		default:
			return NULL;
	}
}

/* The ef that a scan begins with, and the rows it is good for. */
static double
first_ef(Oid index_oid, double *serves)
{
	Relation	index;
	VcHnswGraph graph;
	VcHnswWidth width;

	if (vc_hnsw_target_recall == 0)
	{
		*serves = VC_HNSW_EF_SERVES(vc_hnsw_ef_search);
		return vc_hnsw_ef_search;
	}
	index = index_open(index_oid, NoLock);
	vc_hnsw_open(&graph, index, VC_HNSW_TO_SEARCH);
	index_close(index, NoLock);
	vc_hnsw_plan_width(&graph.calibration, vc_hnsw_target_recall, &width);
	*serves = vc_hnsw_width_serves(&width, width.few);
	return width.few;
}

/*
 * A search visits more than one node for each of the ef_search it is to find, and others on its way there; measured on real data
 * between 1.2 and 7 for each (docs/hnsw-layout.md). Each costs an exact distance and 32 estimates: half a microsecond, where the planner's
 * units for a sequential scan come to about 700 for a millisecond. Rows beyond those that the first ef is good for make the search go on
 * with a larger one, farther from what the CPU has at hand, so each of them costs as much as a dozen visits. `make bench
 * BENCH="--parts plans"` measures whether plans are chosen well.
 */
#define VISIT_COST (160 * cpu_operator_cost)
#define VISITS_A_ROW 12

/*
 * The list of keys is read in the time of a visit for each 150, and then the nodes are visited that it leads to. They lie anywhere in the
 * index, as the rows that a B-tree leads to do in the table, and what the planner thinks of those is far from the truth when few of many
 * pages are visited and all are in memory. So that the two are compared by what sets them apart, a node costs a share of what such a row does.
 */
#define LIST_VISITS_TO_START 100
#define LIST_KEYS_A_VISIT 150
#define LIST_KEYS_A_PAGE 500
#define LISTED_SHARE 0.6
#define LISTED_ROW_COST (40 * cpu_operator_cost)

static void
hnsw_cost_estimate(PlannerInfo *root, IndexPath *path, double loop_count, Cost *startup_cost, Cost *total_cost,
				   Selectivity *selectivity, double *correlation, double *pages)
{
	double	   rows = Max(path->indexinfo->tuples, 1);
	double	   share = Max(vc_cost_keys_selectivity(root, path), 1 / rows);
	double	   serves;
	double	   ef = first_ef(path->indexinfo->indexoid, &serves);
	double	   start = Min((1.5 * ef + 8 * log(rows + 1)) / share, rows); /* what the conditions reject is visited too */
	double	   until;
	double	   list = vc_hnsw_list_visits(rows, rows * share);
	VcScanCost scan;

	scan.wanted = vc_cost_rows_wanted(root, path, share);
	until = start + VISITS_A_ROW * Max(scan.wanted - serves, 0) / share;
	scan.start = start * VISIT_COST;
	scan.start_pages = start;
	scan.until = until * VISIT_COST;
	scan.until_pages = Min(until, rows);
	if (path->indexclauses != NIL && list < until)
	{
		Cost   list_cost = (LIST_VISITS_TO_START + rows / LIST_KEYS_A_VISIT) * VISIT_COST +
						 LISTED_SHARE * vc_cost_scattered_rows(path, rows * share) + rows * share * LISTED_ROW_COST;
		double list_pages = rows / LIST_KEYS_A_PAGE + rows * share;

		/* The list is taken at once where it is the shorter way; else when searches have come to as much, most often to half of it. */
		if (list < start)
		{
			scan.start = list_cost;
			scan.start_pages = list_pages;
			scan.until = list_cost;
			scan.until_pages = list_pages;
		}
		else
		{
			scan.until = Max(start, list / 2) * VISIT_COST + list_cost;
			scan.until_pages = Max(start, list / 2) + list_pages;
		}
	}
	vc_cost_estimate(root, path, &scan, startup_cost, total_cost, selectivity, correlation, pages);
	(void) loop_count;
}

static bool
hnsw_validate(Oid opclass)
{
	return vc_opclass_validate(opclass, "vc_hnsw");
}

bool
vc_hnsw_aminsert(Relation index, Datum *values, bool *isnull, ItemPointer tid, Relation heap,
				 IndexUniqueCheck check_unique, bool index_unchanged, struct IndexInfo *index_info)
{
	if (!isnull[0])
		vc_hnsw_insert_row(index, values, isnull, tid);
	return false;
}

PG_FUNCTION_INFO_V1(vc_hnsw_handler);

Datum
vc_hnsw_handler(PG_FUNCTION_ARGS)
{
	IndexAmRoutine *am = makeNode(IndexAmRoutine);

	am->amstrategies = BTMaxStrategyNumber; /* of key columns; a vector's has one */
	am->amsupport = VC_KEY_HASH_PROC;
	am->amcanorderbyop = true;
	am->amcanmulticol = true;
	am->amoptionalkey = true;
	am->amsearcharray = true;
	am->amsearchnulls = true;
	am->amparallelvacuumoptions = VACUUM_OPTION_PARALLEL_BULKDEL;
	am->amkeytype = InvalidOid;

	am->ambuild = vc_hnsw_build;
	am->ambuildempty = vc_hnsw_build_empty;
	am->aminsert = vc_hnsw_aminsert;
	am->ambulkdelete = vc_hnsw_bulk_delete;
	am->amvacuumcleanup = vc_hnsw_vacuum_cleanup;
	am->amcostestimate = hnsw_cost_estimate;
	am->amoptions = hnsw_options;
	am->ambuildphasename = hnsw_phase_name;
	am->amvalidate = hnsw_validate;
	am->ambeginscan = vc_hnsw_begin_scan;
	am->amrescan = vc_hnsw_rescan;
	am->amgettuple = vc_hnsw_get_tuple;
	am->amendscan = vc_hnsw_end_scan;
	PG_RETURN_POINTER(am);
}
