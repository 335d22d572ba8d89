/*
 * handler.c
 *		What PostgreSQL asks an access method for: its properties, its options and settings, costs and operator class checks.
 */
#include "ivf/ivf.h"

#include <math.h>

#include "access/amapi.h"
#include "access/heaptoast.h"
#include "access/reloptions.h"
#include "access/stratnum.h"
#include "am/cost.h"
#include "am/opclass.h"
#include "commands/progress.h"
#include "commands/vacuum.h"
#include "fmgr.h"
#include "ivf/progress.h"
#include "nodes/pathnodes.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "types/distance_cost.h"
#include "utils/guc.h"
#include "utils/rel.h"

int	   vc_ivf_probes;
double vc_ivf_target_recall;
double vc_ivf_epsilon;
int	   vc_ivf_max_scan_tuples;

static relopt_kind option_kind;

/* Without quotes, PostgreSQL's grammar takes float for the name of a type. */
static relopt_enum_elt_def storage_values[] = {{"heap", VC_IVF_STORAGE_HEAP},
											   {"half", VC_IVF_STORAGE_HALF},
											   {"float", VC_IVF_STORAGE_FLOAT},
											   {"pg_catalog.float8", VC_IVF_STORAGE_FLOAT},
											   {(const char *) NULL, 0}};

static relopt_enum_elt_def quantization_values[] = {
	{"none", VC_IVF_QUANTIZATION_NONE}, {"rabitq", VC_IVF_QUANTIZATION_RABITQ}, {(const char *) NULL, 0}};

void
vc_ivf_init_guc(void)
{
	option_kind = add_reloption_kind();
	add_int_reloption(option_kind, "lists", "lists the rows are divided into; 0 chooses from their number", 0, 0,
					  VC_IVF_MAX_LISTS, AccessExclusiveLock);
	add_enum_reloption(option_kind, "quantization", "what lists hold of rows: codes (\"rabitq\"), or only values (\"none\")",
					   quantization_values, VC_IVF_QUANTIZATION_RABITQ, "Valid values are \"none\" and \"rabitq\".",
					   AccessExclusiveLock);
	add_enum_reloption(option_kind, "storage",
					   "what rows are compared by in the end: the table's values (\"heap\"), or copies in the index",
					   storage_values, VC_IVF_STORAGE_DEFAULT, "Valid values are \"heap\", \"half\" and \"float\".",
					   AccessExclusiveLock);
	add_int_reloption(option_kind, "bits", "bits for each dimension; more leave fewer rows to compare exactly", 1, 1,
					  VC_RABITQ_MAX_BITS, AccessExclusiveLock);
	add_bool_reloption(option_kind, "spill", "put each row into a second list, which complements the nearest", false,
					   AccessExclusiveLock);
	DefineCustomIntVariable("vc_ivf.probes", "How many lists a vc_ivf search looks at to begin with.",
							"0 chooses from vc_ivf.target_recall, by what the index measured when it was built. It does "
							"not limit the number of rows returned.",
							&vc_ivf_probes, 0, 0, VC_IVF_MAX_PROBES, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomRealVariable("vc_ivf.target_recall", "Share of the true nearest rows a vc_ivf search should find.",
							 "Used where vc_ivf.probes is 0.", &vc_ivf_target_recall, 0.95, 0.0, 1.0, PGC_USERSET, 0, NULL,
							 NULL, NULL);
	DefineCustomRealVariable("vc_ivf.epsilon", "Width of the error bound within which a vc_ivf search ranks rows exactly.",
							 "In standard errors; less is faster and misses more. 0 chooses what suits the recall that "
							 "vc_ivf.target_recall or vc_ivf.probes is good for.",
							 &vc_ivf_epsilon, 0.0, 0.0, 10.0, PGC_USERSET, 0, NULL, NULL, NULL);
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
		{"quantization", RELOPT_TYPE_ENUM, offsetof(VcIvfOptions, quantization)},
		{"spill", RELOPT_TYPE_BOOL, offsetof(VcIvfOptions, spill)},
	};
	VcIvfOptions *options = build_reloptions(reloptions, validate, option_kind, sizeof(VcIvfOptions), table, lengthof(table));

	if (validate && options != NULL && options->quantization == VC_IVF_QUANTIZATION_NONE)
	{
		if (options->storage == VC_IVF_STORAGE_HEAP)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("quantization = none needs values in the index"),
							errhint("Use storage = float or storage = half, or leave it out.")));
		if (options->bits != 1)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("bits are those of codes, which quantization = none has none of")));
	}
	return (bytea *) options;
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

/*
 * A search misses rows in two ways: their lists are not probed, or the estimate of their distance is off by more than
 * its bound, so that the search ends before they come up. Of the misses that a target recall leaves, lists get LISTS_SHARE
 * and bounds the rest. Where the bounds are epsilon standard errors wide, a row right at the end of an answer is missed
 * with the chance that a normal distribution has beyond epsilon; one that is nearer, less easily. Measured with all lists
 * probed, over all of ten nearest rows: 0.4 times that chance with 100 dimensions, 0.2 with 784.
 */
#define LISTS_SHARE 0.75
#define MISSED_BEYOND 0.4

/* What all lists together are taken to hold, where a number of lists was asked for and not a recall. */
#define RECALL_OF_ALL 0.9999

#define MAX_EPSILON 5.0 /* bounds so wide hold for every row */

/* The lists that hold this share of the nearest rows, as the build measured it. */
static double
probes_for(const VcIvfMeta *meta, double share)
{
	int above = 0;

	if (share > vc_ivf_targets[VC_IVF_TARGETS - 1])
	{
		double last = vc_ivf_targets[VC_IVF_TARGETS - 1];

		if (share >= RECALL_OF_ALL)
			return meta->lists;
		return meta->probes[VC_IVF_TARGETS - 1] +
			   (share - last) / (RECALL_OF_ALL - last) * ((double) meta->lists - meta->probes[VC_IVF_TARGETS - 1]);
	}
	while (share > vc_ivf_targets[above])
		above++;
	if (above == 0)
		return meta->probes[0];
	return meta->probes[above - 1] + (share - vc_ivf_targets[above - 1]) /
										 (vc_ivf_targets[above] - vc_ivf_targets[above - 1]) *
										 ((double) meta->probes[above] - meta->probes[above - 1]);
}

/* The other way round: the share of the nearest rows that so many lists hold. */
static double
share_of(const VcIvfMeta *meta, double probes)
{
	double low = 0;
	double high = 1;

	if (probes >= meta->lists)
		return RECALL_OF_ALL;
	for (int i = 0; i < 20; i++)
	{
		double middle = (low + high) / 2;

		if (probes_for(meta, middle) <= probes)
			low = middle;
		else
			high = middle;
	}
	return Min(low, RECALL_OF_ALL);
}

uint32
vc_ivf_probes_to_use(const VcIvfMeta *meta, double passing)
{
	double probes = vc_ivf_probes;
	double measured_at = meta->built_rows > meta->sample ? meta->sample / meta->built_rows : 1;

	if (vc_ivf_probes == 0)
		probes = probes_for(meta, 1 - (1 - vc_ivf_target_recall) * LISTS_SHARE);

	/* What was measured was measured on a sample, where neighbours are as thinly spread as under such a condition. */
	if (passing < measured_at)
		probes *= pow(measured_at / passing, meta->thin_growth);
	return (uint32) Max(1, Min(ceil(probes), meta->lists));
}

/* Abramowitz and Stegun, 26.2.23: where the normal distribution has the chance p, up to a half, beyond. Error below 5e-4. */
static double
normal_quantile(double p)
{
	double t = sqrt(-2 * log(p));

	return t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
}

double
vc_ivf_epsilon_to_use(const VcIvfMeta *meta)
{
	double misses; /* all that the search may miss */

	if (meta->sample == 0)
		return Max(vc_ivf_epsilon, MAX_EPSILON); /* one list of few rows promises to be exact */
	if (vc_ivf_epsilon > 0)
		return vc_ivf_epsilon;
	misses = vc_ivf_probes > 0 ? (1 - share_of(meta, vc_ivf_probes)) / LISTS_SHARE : 1 - vc_ivf_target_recall;
	misses *= (1 - LISTS_SHARE) / MISSED_BEYOND;
	return misses > 0 ? Min(MAX_EPSILON, normal_quantile(Min(misses, 0.5))) : MAX_EPSILON;
}

/*
 * A search reads the root and the lists it probes before it returns the first row, and compares some rows exactly. The codes leave a
 * share of the rows probed in doubt: measured, 80 of 2,350 with 784 dimensions and 900 of 29,300 with 100. In an index that has one list
 * and promises to be exact, most rows are compared, up to a number that falls with the error of codes. A row of the table costs more to
 * look at than one in the index.
 *
 * The first rows come with those; each of many later ones leaves others in doubt, and makes the scan gather rows, and in the end
 * lists, again, the more of them the more rows there are: measured with 32 dimensions, up to a thousand rows take two microseconds each
 * where there are 10,000, two and a half where there are 100,000, and four of a million; further ones half of that to all of it.
 *
 * A page of codes takes as long as one of a table does in a sequential scan, which finds fewer rows in it.
 */
#define START_COST (4000 * cpu_operator_cost) /* preparing a query */
#define PAGE_COST (480 * cpu_operator_cost)
#define ROW_COST (40 * cpu_operator_cost) /* comparing it exactly, in the index; and returning one of the first */
#define OPERATORS_IN_LINE 20 /* for getting at a value in a row of the table */
#define DOUBTFUL_FIRST 20
#define DOUBTFUL_SHARE 0.04
#define DOUBTFUL_ROWS(dim, bits) (8000.0 / sqrt(dim) / (bits)) /* where bounds are meant to hold for every row */
#define EARLY_ROWS 100
#define EARLY_ROW_COST (120 * cpu_operator_cost)
#define MIDDLE_ROWS 1000
#define FARTHER(rows) Max(log10(rows) - 3, 0.5)
#define MIDDLE_ROW_COST(rows) (500 * cpu_operator_cost * FARTHER(rows))
#define LATE_ROW_COST(rows) (228 * cpu_operator_cost * FARTHER(rows))

/* What it takes, beyond the comparison, to get at a value that is not in the index. */
static Cost
value_cost(const VcIvf *ivf)
{
	Size bytes = vc_metric_bytes(ivf->metric, ivf->meta.dim);

	if (ivf->meta.storage != VC_IVF_STORAGE_HEAP)
		return 0;
	return (bytes > TOAST_TUPLE_THRESHOLD ? vc_operators_to_fetch(bytes) : OPERATORS_IN_LINE) * cpu_operator_cost;
}

/*
 * What returning so many rows costs, of an index of so many. Where there are no codes, no row that was read is in doubt. Getting at the values of
 * rows returned is not in it: the planner adds it, as a distance that the query asks for.
 */
static Cost
rows_cost(const VcIvfMeta *meta, double returned, double rows)
{
	double early = meta->bits > 0 ? Min(returned, EARLY_ROWS) : returned;
	double middle = Min(returned, Max(MIDDLE_ROWS, early)) - early;

	return early * EARLY_ROW_COST + middle * MIDDLE_ROW_COST(rows) + (returned - early - middle) * LATE_ROW_COST(rows);
}

/* Rows compared exactly before the first is returned, of those that pass in the lists probed. */
static double
doubtful_rows(const VcIvfMeta *meta, double rows)
{
	if (meta->bits == 0)
		return 0;
	if (meta->sample == 0)
		return Min(rows, DOUBTFUL_ROWS(meta->dim, meta->bits));
	return Min(rows, DOUBTFUL_FIRST + rows * DOUBTFUL_SHARE / meta->bits);
}

static void
ivf_cost_estimate(PlannerInfo *root, IndexPath *path, double loop_count, Cost *startup_cost, Cost *total_cost,
				  Selectivity *selectivity, double *correlation, double *pages)
{
	IndexOptInfo *info = path->indexinfo;
	Relation	  index = index_open(info->indexoid, NoLock);
	VcIvf		  ivf;
	VcScanCost	  scan;
	double		  rows = Max(info->tuples, 1);
	double		  rows_per_page;
	double		  passing = vc_cost_keys_selectivity(root, path);
	double		  share;
	double		  probed;
	Cost		  value;

	vc_ivf_open(&ivf, index);
	index_close(index, NoLock);
	value = value_cost(&ivf);
	rows_per_page = (double) ivf.rows.segment_blocks * VC_RABITQ_BLOCK / ivf.rows.segment_pages;
	share = (double) vc_ivf_probes_to_use(&ivf.meta, Max(passing, 1e-6)) / ivf.meta.lists;
	probed = share * rows * (ivf.meta.spill ? 2 : 1);
	scan.start_pages = (ivf.meta.lists + probed) / rows_per_page;
	scan.start = START_COST + scan.start_pages * PAGE_COST +
				 doubtful_rows(&ivf.meta, probed * passing) * (ROW_COST + value);

	/* Many rows make more lists be read, in the end all. */
	scan.wanted = vc_cost_rows_wanted(root, path, passing);
	scan.until_pages = Max(scan.start_pages, (ivf.meta.lists + rows) / rows_per_page * Min(scan.wanted / Max(rows * passing, 1), 1));
	scan.until = scan.start + (scan.until_pages - scan.start_pages) * PAGE_COST + rows_cost(&ivf.meta, scan.wanted, rows);
	vc_cost_estimate(root, path, &scan, startup_cost, total_cost, selectivity, correlation, pages);
	(void) loop_count;
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

	am->amstrategies = BTMaxStrategyNumber; /* of key columns; a vector's has one */
	am->amsupport = VC_KEY_HASH_PROC;
	am->amcanorderbyop = true;
	am->amcanmulticol = true;
	am->amoptionalkey = true;
	am->amsearcharray = true;
	am->amsearchnulls = true;
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
