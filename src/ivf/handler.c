/*
 * handler.c
 *		What PostgreSQL asks an access method for: its properties, its options and settings, costs and operator class checks.
 */
#include "ivf/ivf.h"

#include <math.h>

#include "access/amapi.h"
#include "access/reloptions.h"
#include "am/cost.h"
#include "am/opclass.h"
#include "commands/progress.h"
#include "commands/vacuum.h"
#include "fmgr.h"
#include "ivf/progress.h"
#include "nodes/pathnodes.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/guc.h"
#include "utils/rel.h"

int	   vc_ivf_probes;
double vc_ivf_target_recall;
double vc_ivf_epsilon;
int	   vc_ivf_max_scan_tuples;

static relopt_kind option_kind;

static relopt_enum_elt_def storage_values[] = {
	{"heap", VC_IVF_STORAGE_HEAP}, {"index", VC_IVF_STORAGE_INDEX}, {(const char *) NULL, 0}};

void
vc_ivf_init_guc(void)
{
	option_kind = add_reloption_kind();
	add_int_reloption(option_kind, "lists", "lists the rows are divided into; 0 chooses from their number", 0, 0,
					  VC_IVF_MAX_LISTS, AccessExclusiveLock);
	add_enum_reloption(option_kind, "storage", "where rows are read for exact distances: \"heap\" or \"index\"",
					   storage_values, VC_IVF_STORAGE_HEAP, "Valid values are \"heap\" and \"index\".", AccessExclusiveLock);
	add_int_reloption(option_kind, "bits", "bits for each dimension; more leave fewer rows to compare exactly", 1, 1,
					  VC_RABITQ_MAX_BITS, AccessExclusiveLock);
	DefineCustomIntVariable("vc_ivf.probes", "How many lists a vc_ivf search looks at to begin with.",
							"0 chooses from vc_ivf.target_recall, by what the index measured when it was built. It does "
							"not limit the number of rows returned.",
							&vc_ivf_probes, 0, 0, VC_IVF_MAX_PROBES, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomRealVariable("vc_ivf.target_recall", "Share of the true nearest rows a vc_ivf search should find.",
							 "Used where vc_ivf.probes is 0.", &vc_ivf_target_recall, 0.95, 0.0, 1.0, PGC_USERSET, 0, NULL,
							 NULL, NULL);
	DefineCustomRealVariable("vc_ivf.epsilon", "Width of the error bound within which a vc_ivf search ranks rows exactly.",
							 "In standard errors: 1.9 misses next to nothing, less is faster and misses more.",
							 &vc_ivf_epsilon, 1.9, 0.0, 10.0, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("vc_ivf.max_scan_tuples", "Rows a vc_ivf scan may look at before it stops taking more lists.",
							"For scans whose WHERE clause rejects most rows. 0 means no limit: a scan goes on until it has "
							"as many rows as wanted or has seen them all.",
							&vc_ivf_max_scan_tuples, 0, 0, INT_MAX, PGC_USERSET, 0, NULL, NULL, NULL);
	MarkGUCPrefixReserved("vc_ivf");
}

static bytea *
ivf_options(Datum reloptions, bool validate)
{
	static const relopt_parse_elt table[] = {
		{"lists", RELOPT_TYPE_INT, offsetof(VcIvfOptions, lists)},
		{"storage", RELOPT_TYPE_ENUM, offsetof(VcIvfOptions, storage)},
		{"bits", RELOPT_TYPE_INT, offsetof(VcIvfOptions, bits)},
	};

	return (bytea *) build_reloptions(reloptions, validate, option_kind, sizeof(VcIvfOptions), table, lengthof(table));
}

static char *
ivf_phase_name(int64 phase)
{
	switch (phase)
	{
		case PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE:
			return "initializing";
		case VC_IVF_PHASE_SAMPLE:
			return "sampling table";
		case VC_IVF_PHASE_KMEANS:
			return "finding centroids";
		case VC_IVF_PHASE_ROWS:
			return "assigning rows to lists";
		case VC_IVF_PHASE_LOG:
			return "writing index";
		default:
			return NULL;
	}
}

uint32
vc_ivf_probes_to_use(const VcIvfMeta *meta)
{
	int	  above = 0;
	uint32 probes;

	if (vc_ivf_probes > 0)
		probes = vc_ivf_probes;
	else if (vc_ivf_target_recall > vc_ivf_targets[VC_IVF_TARGETS - 1])
		probes = meta->lists;
	else
	{
		while (vc_ivf_target_recall > vc_ivf_targets[above])
			above++;
		probes = meta->probes[above];
		if (above > 0)
		{
			double share = (vc_ivf_target_recall - vc_ivf_targets[above - 1]) /
						   (vc_ivf_targets[above] - vc_ivf_targets[above - 1]);

			probes = meta->probes[above - 1] + (uint32) (share * (probes - meta->probes[above - 1]) + 0.999);
		}
	}
	return Max(1, Min(probes, meta->lists));
}

/*
 * A search reads the root and the lists it probes before it returns the first row; a visit is a page, or a row compared
 * exactly. How many rows the codes leave in doubt falls with the error of the codes: measured, 80 of 60,000 rows with 784
 * dimensions and 900 of 340,000 with 100. A row of the table costs more to look at than one in the index. Further rows
 * come from what was read, until one in ten has been returned and more lists are read.
 */
#define DOUBTFUL_ROWS(dim, bits) (8000.0 / sqrt(dim) / (bits))
#define TABLE_ROW_VISITS 1.5

static void
ivf_cost_estimate(PlannerInfo *root, IndexPath *path, double loop_count, Cost *startup_cost, Cost *total_cost,
				  Selectivity *selectivity, double *correlation, double *pages)
{
	IndexOptInfo *info = path->indexinfo;
	Relation	  index = index_open(info->indexoid, NoLock);
	VcIvf		  ivf;
	VcScanCost	  scan;
	double		  rows_per_page;
	double		  share;
	double		  probed;

	vc_ivf_open(&ivf, index);
	index_close(index, NoLock);
	rows_per_page = (double) ivf.rows.segment_blocks * VC_RABITQ_BLOCK / ivf.rows.segment_pages;
	share = (double) vc_ivf_probes_to_use(&ivf.meta) / ivf.meta.lists;
	probed = share * Max(info->tuples, 1);
	scan.start_visits = (ivf.meta.lists + probed) / rows_per_page +
						Min(probed, DOUBTFUL_ROWS(ivf.meta.dim, ivf.meta.bits)) *
							(ivf.meta.storage == VC_IVF_STORAGE_HEAP ? TABLE_ROW_VISITS : 1);
	scan.row_visits = 1;
	scan.visit_cpu = 40 * cpu_operator_cost;
	vc_cost_estimate(root, path, loop_count, &scan, startup_cost, total_cost, selectivity, correlation, pages);
}

static bool
ivf_validate(Oid opclass)
{
	return vc_opclass_validate(opclass, "vc_ivf");
}

PG_FUNCTION_INFO_V1(vc_ivf_handler);

Datum
vc_ivf_handler(PG_FUNCTION_ARGS)
{
	IndexAmRoutine *am = makeNode(IndexAmRoutine);

	am->amstrategies = 1;
	am->amsupport = 1;
	am->amcanorderbyop = true;
	am->amoptionalkey = true;
	am->amparallelvacuumoptions = VACUUM_OPTION_PARALLEL_BULKDEL;
	am->amkeytype = InvalidOid;

	am->ambuild = vc_ivf_build;
	am->ambuildempty = vc_ivf_buildempty;
	am->aminsert = vc_ivf_insert;
	am->ambulkdelete = vc_ivf_bulkdelete;
	am->amvacuumcleanup = vc_ivf_vacuumcleanup;
	am->amcostestimate = ivf_cost_estimate;
	am->amoptions = ivf_options;
	am->ambuildphasename = ivf_phase_name;
	am->amvalidate = ivf_validate;
	am->ambeginscan = vc_ivf_beginscan;
	am->amrescan = vc_ivf_rescan;
	am->amgettuple = vc_ivf_gettuple;
	am->amendscan = vc_ivf_endscan;
	PG_RETURN_POINTER(am);
}
