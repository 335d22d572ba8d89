/*
 * calibrate.c
 *		How wide a search must be for the recall that is asked for: vc_hnsw.target_recall.
 *
 * That depends on the data, so it is measured: some nodes' values are searched for as if the nodes were not there (a search that may
 * pass through the very value it looks for finds its neighbours too easily), with ef growing step by step until the nearest rows
 * do not change any more. These count as the true ones, and each step's recall is the share of them found by then. The node that is
 * left out was what held its neighbours together, so real queries fare a little better than the measure says.
 *
 * The meta page keeps the ef that each of some recalls takes for 10 rows and for 100. Between recalls the share missed goes
 * with a power of ef, and so does ef with the number of rows. A scan does not know how many rows will be wanted; it returns no
 * row of a rank that its ef is not good for, but searches on with a larger one (scan.c).
 *
 * Measured when an index is built, by vacuum when it has become twice as large, and by vectorcoll.hnsw_calibrate.
 */
#include "hnsw/hnsw.h"

#include <math.h>

#include "access/xlog.h"
#include "am/owner.h"
#include "common/pg_prng.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/spin.h"
#include "tcop/utility.h"
#include "utils/memutils.h"

const double vc_hnsw_targets[VC_HNSW_TARGETS] = {0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999};

#define SAMPLE 100
#define MIN_NODES 1000 /* smaller indexes are swept, or nearly so */
#define TRIES_A_SAMPLE 50 /* places looked at for one node that will do */
#define FIRST_EF 10
#define MAX_STEPS VC_HNSW_MEASURE_STEPS /* up to 2560 */
#define FEW 10
#define MANY 100

/* What is taken to be so until it was measured: what data hard to search needed. */
static const uint32 unmeasured[VC_HNSW_TARGETS][2] = {{10, 100},  {20, 120},  {40, 200},   {80, 320},
													  {200, 600}, {400, 1000}, {800, 1600}, {2500, 4000}};

int
vc_hnsw_compare_floats(const void *a, const void *b)
{
	float x = *(const float *) a;
	float y = *(const float *) b;

	return (x > y) - (x < y);
}

/* The k-th smallest distance of the live nodes found, or the largest; sorted[] has room for all. *count is how many count. */
static float
kth_distance(const VcHnswFound *found, uint32 n, uint32 k, float *sorted, uint32 *count)
{
	uint32 live = 0;

	for (uint32 i = 0; i < n; i++)
		if (!(found[i].flags & VC_HNSW_DEAD) && !isnan(found[i].distance))
			sorted[live++] = found[i].distance;
	*count = Min(live, k);
	if (live == 0)
		return -INFINITY;
	qsort(sorted, live, sizeof(float), vc_hnsw_compare_floats);
	return sorted[*count - 1];
}

static uint32
count_within(const VcHnswFound *found, uint32 n, float distance)
{
	uint32 count = 0;

	for (uint32 i = 0; i < n; i++)
		if (!(found[i].flags & VC_HNSW_DEAD) && found[i].distance <= distance)
			count++;
	return count;
}

/* Search for a node's value around the node, and add what the steps missed. False where the search cannot go around it. */
static bool
measure_node(VcHnswGraph *graph, VcHnswSearch *search, const VcHnswQuery *query, VcHnswId id, VcHnswMisses *misses)
{
	VcHnswFound *found;
	float		*sorted;
	VcHnswId	 start;
	int			 level;
	uint32		 found_by[MAX_STEPS];
	uint32		 n;
	uint32		 few;
	uint32		 many;
	float		 few_within;
	float		 many_within;
	int			 steps = 0;

	if (!vc_hnsw_entry(graph, &start, &level))
		return false;
	start = vc_hnsw_descend(graph, search, query, start, level, 0);
	if (start == VC_HNSW_NONE || start == id)
		return false;
	vc_hnsw_search_start(search, query, start);
	vc_hnsw_search_exclude(search, id);
	for (bool more = true; more && steps < MAX_STEPS; steps++)
	{
		uint32 before = steps > 0 ? found_by[steps - 1] : 0;

		more = vc_hnsw_search_run(search, FIRST_EF << steps, UINT32_MAX);
		found = vc_hnsw_search_found(search, &n);
		found_by[steps] = n;
		if (FIRST_EF << steps <= MANY)
			continue;
		sorted = palloc_extended(sizeof(float) * n, MCXT_ALLOC_HUGE);
		many_within = kth_distance(found, n, MANY, sorted, &many);
		pfree(sorted);
		if (count_within(found, before, many_within) >= many)
		{
			steps++;
			break; /* this step found nothing that matters */
		}
	}
	found = vc_hnsw_search_found(search, &n);
	sorted = palloc_extended(sizeof(float) * Max(n, 1), MCXT_ALLOC_HUGE);
	few_within = kth_distance(found, n, FEW, sorted, &few);
	many_within = kth_distance(found, n, MANY, sorted, &many);
	pfree(sorted);
	for (int i = 0; i < MAX_STEPS; i++)
	{
		uint32 by = found_by[Min(i, steps - 1)];

		misses->few[i] += few - Min(few, count_within(found, by, few_within));
		misses->many[i] += many - Min(many, count_within(found, by, many_within));
	}
	misses->few_of += few;
	misses->many_of += many;
	return true;
}

/* Copy a node's value for a query; false where it is none that could be searched for. */
static bool
take_node(VcHnswGraph *graph, VcHnswId id, void *value, float *scale)
{
	VcHold			  hold;
	const VcHnswNode *node = vc_hnsw_node(graph, &hold, id);
	bool			  fits = (node->flags & (VC_HNSW_USED | VC_HNSW_DEAD | VC_HNSW_APART)) == VC_HNSW_USED && node->level == 0;

	if (fits)
	{
		const void *from = vc_hnsw_node_value(&graph->shape, node);

		memcpy(value, from, vc_hnsw_value_size(&graph->shape, from));
		*scale = node->scale;
	}
	vc_hnsw_done(graph, &hold);
	return fits;
}

/* The ef at which so large a share is missed and no more. */
static uint32
ef_for_misses(const double *misses, double of, double share)
{
	double last = log(FIRST_EF);
	double last_missed = 1;
	double slope = -1;

	for (int i = 0; i < MAX_STEPS; i++)
	{
		double at = log(FIRST_EF << i);
		double missed = Min((misses[i] + 1) / (of + 1), last_missed); /* none seen is not none */

		if (i == 0 && missed <= share)
			return FIRST_EF;
		if (i > 0 && missed < last_missed)
			slope = (log(missed) - log(last_missed)) / (at - last);
		if (missed <= share)
			return (uint32) ceil(exp(last + (log(share) - log(last_missed)) / slope));
		last = at;
		last_missed = missed;
	}
	return (uint32) Min(ceil(exp(last + (log(share) - log(last_missed)) / Min(slope, -0.25))), VC_HNSW_MAX_EF_SEARCH);
}

static double
room_for_nodes(VcHnswGraph *graph)
{
	return (double) (vc_store_nblocks(&graph->store) - 1) * graph->shape.slots_per_page / graph->shape.pages_per_node;
}

bool
vc_hnsw_calibration_is_due(Relation index)
{
	VcHnswGraph graph;

	vc_hnsw_open(&graph, index, VC_HNSW_TO_SEARCH);
	return room_for_nodes(&graph) >= Max(2 * graph.calibration.nodes, MIN_NODES);
}

void
vc_hnsw_measure_init(VcHnswMeasure *measure)
{
	pg_atomic_init_u32(&measure->tries, 0);
	pg_atomic_init_u32(&measure->taken, 0);
	SpinLockInit(&measure->mutex);
	memset(&measure->misses, 0, sizeof(measure->misses));
}

static void
add_misses(VcHnswMisses *to, const VcHnswMisses *misses)
{
	for (int i = 0; i < MAX_STEPS; i++)
	{
		to->few[i] += misses->few[i];
		to->many[i] += misses->many[i];
	}
	to->few_of += misses->few_of;
	to->many_of += misses->many_of;
}

void
vc_hnsw_measure(VcHnswMeasure *measure, VcHnswGraph *graph)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "vc_hnsw calibration", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	VcHnswMisses  misses = {0};
	VcHnswSearch *search = vc_hnsw_search_new(graph);
	void		 *value = palloc(graph->shape.value_bytes);
	uint64		  places = (uint64) vc_store_nblocks(&graph->store) * graph->shape.slots_per_page;
	uint32		  try;
	VcHnswQuery	  query;

	vc_hnsw_query_alloc(graph, &query);
	while (room_for_nodes(graph) >= MIN_NODES && pg_atomic_read_u32(&measure->taken) < SAMPLE &&
		   (try = pg_atomic_fetch_add_u32(&measure->tries, 1)) < SAMPLE * TRIES_A_SAMPLE)
	{
		pg_prng_state random;
		VcHnswId	  id;
		float		  scale;

		/* The places are the same whoever looks at them. */
		pg_prng_seed(&random, graph->shape.seed + try);
		id = (VcHnswId) pg_prng_uint64_range(&random, graph->shape.slots_per_page, places - 1);
		CHECK_FOR_INTERRUPTS();
		if (!vc_hnsw_is_node_block(graph, vc_hnsw_block(&graph->shape, id)) || !take_node(graph, id, value, &scale))
			continue;
		if (pg_atomic_fetch_add_u32(&measure->taken, 1) >= SAMPLE)
			break;
		vc_hnsw_query_init_node(graph, &query, value, scale);
		if (!measure_node(graph, search, &query, id, &misses))
			pg_atomic_fetch_sub_u32(&measure->taken, 1);
	}
	SpinLockAcquire(&measure->mutex);
	add_misses(&measure->misses, &misses);
	SpinLockRelease(&measure->mutex);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

void
vc_hnsw_measured(VcHnswMeasure *measure, VcHnswGraph *graph, VcHnswCalibration *calibration)
{
	const VcHnswMisses *misses = &measure->misses;

	memset(calibration, 0, sizeof(*calibration));
	if (pg_atomic_read_u32(&measure->taken) < SAMPLE)
		return;
	calibration->nodes = room_for_nodes(graph);
	for (int i = 0; i < VC_HNSW_TARGETS; i++)
	{
		calibration->ef[i][0] = ef_for_misses(misses->few, misses->few_of, 1 - vc_hnsw_targets[i]);
		calibration->ef[i][1] = Max(ef_for_misses(misses->many, misses->many_of, 1 - vc_hnsw_targets[i]), MANY);
	}
}

void
vc_hnsw_calibrate(Relation index, VcHnswCalibration *calibration)
{
	VcHnswMeasure measure;
	VcHnswGraph	  graph;

	vc_hnsw_measure_init(&measure);
	vc_hnsw_open(&graph, index, VC_HNSW_TO_SEARCH);
	vc_hnsw_measure(&measure, &graph);
	vc_hnsw_measured(&measure, &graph, calibration);
}

/* ---- what follows for a scan ---- */

/* The page that they come from may be damaged: whatever it says is no more work than a user may ask for. */
static double
ef_measured(uint32 ef)
{
	return Max(Min(ef, VC_HNSW_MAX_EF_SEARCH), 1);
}

/* The ef that a recall takes for few (0) or many (1) rows. */
static double
ef_at(const uint32 (*ef)[2], double recall, int rows)
{
	int	   above = 1;
	double share;
	double less;
	double result;

	if (recall <= vc_hnsw_targets[0])
		return ef_measured(ef[0][rows]);
	while (above < VC_HNSW_TARGETS - 1 && recall > vc_hnsw_targets[above])
		above++;
	share = (log(1 - vc_hnsw_targets[above - 1]) - log(1 - recall)) /
			(log(1 - vc_hnsw_targets[above - 1]) - log(1 - vc_hnsw_targets[above]));
	less = log(ef_measured(ef[above - 1][rows]));
	result = exp(less + share * (log(ef_measured(ef[above][rows])) - less));
	return Min(result, VC_HNSW_MAX_EF_SEARCH);
}

void
vc_hnsw_plan_width(const VcHnswCalibration *calibration, double recall, VcHnswWidth *width)
{
	const uint32(*ef)[2] = calibration->nodes > 0 ? calibration->ef : unmeasured;
	double few;

	if (recall >= 1)
	{
		/* Only a sweep finds all: an ef beyond any index makes one. */
		*width = (VcHnswWidth){.few = VC_HNSW_MAX_EF_SEARCH, .power = 1, .all = true};
		return;
	}
	few = ef_at(ef, recall, 0);
	width->few = (uint32) ceil(few);
	width->power = Max(0.1, log(Max(ef_at(ef, recall, 1), few) / few) / log((double) MANY / FEW));
	width->all = false;
}

uint64
vc_hnsw_width_serves(const VcHnswWidth *width, uint64 ef)
{
	if (ef < width->few)
		return 0;
	return (uint64) Min(FEW * pow((double) ef / width->few, 1 / width->power), Max((double) ef, FEW));
}

/* ---- the function ---- */

PG_FUNCTION_INFO_V1(vc_hnsw_calibrate_index);

Datum
vc_hnsw_calibrate_index(PG_FUNCTION_ARGS)
{
	ReturnSetInfo	 *result = (ReturnSetInfo *) fcinfo->resultinfo;
	VcHnswCalibration calibration;
	VcHnswGraph		  graph;
	Relation		  table;
	Relation		  index;

	PreventCommandIfReadOnly("hnsw_calibrate()");
	PreventCommandDuringRecovery("hnsw_calibrate()");
	InitMaterializedSRF(fcinfo, 0);
	vc_owner_open(PG_GETARG_OID(0), "vc_hnsw", ShareUpdateExclusiveLock, &table, &index);
	vc_hnsw_calibrate(index, &calibration);
	vc_hnsw_open(&graph, index, VC_HNSW_TO_SEARCH);
	vc_hnsw_set_calibration(&graph, &calibration);
	for (int i = 0; i < VC_HNSW_TARGETS && calibration.nodes > 0; i++)
	{
		Datum values[3] = {Float8GetDatum(vc_hnsw_targets[i]), Int32GetDatum((int32) calibration.ef[i][0]),
						   Int32GetDatum((int32) calibration.ef[i][1])};
		bool  isnull[3] = {false};

		tuplestore_putvalues(result->setResult, result->setDesc, values, isnull);
	}
	vc_owner_close(table, index);
	return (Datum) 0;
}
