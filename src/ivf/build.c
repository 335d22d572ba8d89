/*
 * build.c
 *		CREATE INDEX and REINDEX: sample the table, find centroids, then put every row into its list.
 *
 * Memory: the sample, the centroids and k-means' workspace stay within maintenance_work_mem, and so do, after them, the
 * centroids and rows of a batch (assign.c); the lists are built in shared buffers. Nothing is WAL-logged while the index is built; at the end all its pages are, in one pass. A crash before
 * that leaves an index that was never committed.
 *
 * Workers take tasks of the training, in which the result does not depend on who does what; then the same insertion runs in all
 * processes, each on its share of the table's blocks, and the locks are those of concurrent inserts (parallel.c).
 */
#include "ivf/build.h"

#include "access/xloginsert.h"
#include "am/sample.h"
#include "catalog/index.h"
#include "ivf/progress.h"
#include "ivf/train.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "types/check.h"
#include "utils/memutils.h"

#define SAMPLE_PER_LIST 64
#define MIN_SAMPLE 10000 /* and so many anyway, to measure how many lists to probe */

/* Lists of an index over no rows: one, whose centroid is the origin. */
static void
write_untrained(VcIvf *ivf)
{
	float *origin = palloc0(sizeof(float) * ivf->rows.padded);

	for (int i = 0; i < VC_IVF_TARGETS; i++)
		ivf->meta.probes[i] = 1;
	ivf->meta.sample = 0;
	vc_ivf_write_lists(ivf, origin, 1);
}

void
vc_ivf_build_row(Relation index, ItemPointer tid, Datum *values, bool *isnull, bool tuple_is_alive, void *arg)
{
	VcIvfBuilder *builder = arg;
	MemoryContext old;
	VcValue		  value;
	VcKeyRow	  keys;
	float		  err;

	if (isnull[0])
		return;
	old = MemoryContextSwitchTo(builder->row_context);
	vc_metric_value(builder->ivf->metric, vc_detoast_next(&builder->place, values[0]), &value);
	vc_check_same_dims(builder->ivf->metric->type_name, builder->ivf->meta.dim, value.dim);
	vc_keys_row(&builder->ivf->rows.keys, index, values, isnull, &keys);
	if (builder->batch != NULL)
		vc_ivf_batch_add(builder->batch, tid, &value, &keys, &builder->err);
	else
	{
		(void) vc_ivf_insert_value(builder->inserter, tid, &value, &keys, &err);
		builder->err += err;
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(builder->row_context);
	builder->rows++;
	if (((uint64) builder->rows & 255) == 0)
		vc_ivf_report_rows(builder);
}

void
vc_ivf_builder_init(VcIvfBuilder *builder, VcIvf *ivf)
{
	memset(builder, 0, sizeof(*builder));
	builder->ivf = ivf;
	builder->batch = vc_ivf_batch_new(ivf);
	if (builder->batch == NULL)
		builder->inserter = vc_ivf_inserter_new(ivf);
	vc_detoast_place_init(&builder->place);
	builder->row_context = AllocSetContextCreate(CurrentMemoryContext, "vc_ivf build row", ALLOCSET_DEFAULT_SIZES);
}

void
vc_ivf_builder_finish(VcIvfBuilder *builder)
{
	if (builder->batch != NULL)
		vc_ivf_batch_finish(builder->batch, &builder->err);
}

/* All at once: who looks in between would see the last phase's progress in this one. */
static void
start_phase(int phase, int64 total)
{
	const int	params[] = {PROGRESS_CREATEIDX_SUBPHASE, PROGRESS_CREATEIDX_TUPLES_TOTAL, PROGRESS_CREATEIDX_TUPLES_DONE};
	const int64 values[] = {phase, total, 0};

	pgstat_progress_update_multi_param(lengthof(params), params, values);
}

IndexBuildResult *
vc_ivf_build(Relation heap, Relation index, IndexInfo *index_info)
{
	IndexBuildResult *result = palloc(sizeof(IndexBuildResult));
	MemoryContext	  context = AllocSetContextCreate(CurrentMemoryContext, "vc_ivf build", ALLOCSET_DEFAULT_SIZES);
	MemoryContext	  old = MemoryContextSwitchTo(context);
	VcIvfOptions	 *options = (VcIvfOptions *) index->rd_options;
	VcIvfMeta		  meta;
	VcIvf			  ivf;
	VcSample		  sample;
	uint32			  lists = options != NULL ? options->lists : 0;
	uint64			  wanted;
	VcIvfTeam		 *team;
	VcIvfTrainer	 *trainer;
	double			  rows;

	if (RelationGetNumberOfBlocks(index) != 0)
		elog(ERROR, "index \"%s\" already contains data", RelationGetRelationName(index));
	vc_ivf_meta_fill(&meta, index);
	vc_ivf_open_new(&ivf, index, MAIN_FORKNUM, &meta);

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, VC_IVF_PHASE_SAMPLE);
	/* Half of the memory for the sample; centroids and workspace, for a 64th as many rows, take less than the other half. */
	vc_sample_begin(&sample, heap, index, index_info, ivf.metric, ivf.rotation,
					(Size) maintenance_work_mem * 1024 / 2 / (sizeof(float) * ivf.rows.padded), meta.seed);
	rows = sample.table_rows;
	if (lists == 0)
		lists = vc_ivf_choose_lists(rows);
	/* No more than there are, as far as the estimate can be trusted: a team has memory for all that are wanted. */
	wanted = (uint64) Min(Max((double) SAMPLE_PER_LIST * lists, MIN_SAMPLE), rows * 1.25 + 1000);
	team = vc_ivf_team_start(heap, index, index_info, &ivf);
	trainer = vc_ivf_trainer_new(&ivf, lists < 2 ? NULL : team, Min(wanted, sample.room), lists,
								 vc_sample_blocks(&sample, wanted));
	vc_ivf_trainer_sample(trainer, &sample, wanted);
	vc_ivf_add_meta(&ivf);
	if (sample.count < 2 || lists < 2)
		write_untrained(&ivf);
	else
	{
		start_phase(VC_IVF_PHASE_KMEANS, 100);
		vc_ivf_train(trainer, sample.rows, sample.count);
	}
	vc_ivf_trainer_end(trainer);
	vc_sample_end(&sample);

	start_phase(VC_IVF_PHASE_ROWS, (int64) rows);
	vc_ivf_build_rows(heap, index, index_info, &ivf, team, result);
	vc_ivf_write_meta(&ivf);

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, VC_IVF_PHASE_LOG);
	if (RelationNeedsWAL(index))
		log_newpage_range(index, MAIN_FORKNUM, 0, RelationGetNumberOfBlocks(index), true);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return result;
}

void
vc_ivf_buildempty(Relation index)
{
	VcIvfMeta meta;
	VcIvf	  ivf;

	vc_ivf_meta_fill(&meta, index);
	vc_ivf_open_new(&ivf, index, INIT_FORKNUM, &meta);
	vc_ivf_add_meta(&ivf);
	write_untrained(&ivf);
	vc_ivf_write_meta(&ivf);
	log_newpage_range(index, INIT_FORKNUM, 0, RelationGetNumberOfBlocksInFork(index, INIT_FORKNUM), true);
}
