/*
 * train.c
 *		From a sample of rows to an index's lists: centroids, how many lists a search should probe, the empty lists.
 */
#include "ivf/train.h"

#include <math.h>

#include "am/workers.h"
#include "commands/progress.h"
#include "ivf/calibrate.h"
#include "kernels/vc_kernels.h"
#include "kernels/vc_quant.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "quantize/kmeans.h"
#include "utils/memutils.h"

#define ITERATIONS 6
#define REFINEMENTS 1

#define SPARE_SHARED 1.1 /* of shared memory that a team takes, what there must be */

#define BLOCKS_TOGETHER 64 /* of the table, that one process reads for the sample */

/* Fewer rows than this are one list: it takes no longer to look at them all. */
#define MIN_ROWS 1000

uint32
vc_ivf_choose_lists(double rows)
{
	double lists;

	if (rows < MIN_ROWS)
		return 1;
	lists = rows <= 2e6 ? rows / VC_IVF_ROWS_PER_LIST : Max(4 * sqrt(rows), 4000);
	return (uint32) Max(1, Min(lists, VC_IVF_MAX_LISTS));
}

/* ---- training ---- */

/* What all who train together see, at the start of their memory. */
typedef struct Training
{
	uint64		room;	/* rows and lists that there is memory for */
	uint32		wanted; /* lists */
	BlockNumber blocks;
	uint64		count; /* rows there are */
	uint32		lists; /* found */
} Training;

struct VcIvfTrainer
{
	VcIvf		*ivf;
	VcIvfTeam	*team;	  /* null for a worker, and where there is none */
	dsm_segment *segment; /* null where one process trains alone */
	VcKmeans	 params;
	uint64		 count;

	Training	*training;
	BlockNumber *blocks; /* to be read for the sample */
	uint32		*kept;	 /* rows of each BLOCKS_TOGETHER of them */
	VcSample	 sample;
	float	 *rows;
	float	 *centroids;
	void	 *kmeans;	   /* what all share of it */
	void	 *calibration; /* and of this */

	VcKmeansHelper	 *helper;
	VcIvfCalibration *calibrator;
};

static void
worker_tick(void *arg, double done)
{
	CHECK_FOR_INTERRUPTS();
}

static void
leader_tick(void *arg, double done)
{
	CHECK_FOR_INTERRUPTS();
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, (int64) (done * 100));
}

static void
do_task(void *arg, VcIvfJob job, uint32 task)
{
	vc_ivf_trainer_task(arg, job, task);
}

/* Have all tasks of a job done. */
static void
run_job(void *arg, VcIvfJob job, uint32 tasks)
{
	VcIvfTrainer *trainer = arg;

	if (trainer->team != NULL)
		vc_ivf_team_run(trainer->team, job, tasks, do_task, trainer);
	else
		for (uint32 task = 0; task < tasks; task++)
			vc_ivf_trainer_task(trainer, job, task);
}

static void
share_kmeans(void *arg, VcKmeansHelper *self, uint32 tasks)
{
	((VcIvfTrainer *) arg)->helper = self;
	run_job(arg, VC_IVF_JOB_KMEANS, tasks);
}

static VcIvfTrainer *
make_trainer(VcIvf *ivf, VcIvfTeam *team, uint32 lists, void (*tick)(void *arg, double done))
{
	VcIvfTrainer *trainer = palloc0(sizeof(VcIvfTrainer));

	trainer->ivf = ivf;
	trainer->team = team;
	trainer->params = (VcKmeans){.dim = ivf->rows.padded, .clusters = lists, .iterations = ITERATIONS, .refinements = REFINEMENTS,
								 .seed = ivf->meta.seed, .tick = tick, .arg = trainer};
	return trainer;
}

static uint32
sample_tasks(BlockNumber blocks)
{
	return blocks / BLOCKS_TOGETHER + (blocks % BLOCKS_TOGETHER > 0);
}

/* Where everything is in the memory that all see; returns its size. With a null base that alone. */
static Size
lay_out(VcIvfTrainer *trainer, char *base, uint64 room, BlockNumber blocks)
{
	Size row_bytes = sizeof(float) * trainer->ivf->rows.padded;
	Size blocks_at = CACHELINEALIGN(sizeof(Training));
	Size kept_at = CACHELINEALIGN(add_size(blocks_at, mul_size(sizeof(BlockNumber), blocks)));
	Size rows_at = CACHELINEALIGN(add_size(kept_at, mul_size(sizeof(uint32), sample_tasks(blocks))));
	Size centroids_at = CACHELINEALIGN(add_size(rows_at, mul_size(row_bytes, room)));
	Size kmeans_at = CACHELINEALIGN(add_size(centroids_at, mul_size(row_bytes, trainer->params.clusters)));
	Size calibration_at = CACHELINEALIGN(add_size(kmeans_at, vc_kmeans_shared_size(&trainer->params, room)));

	if (base != NULL)
	{
		trainer->training = (Training *) base;
		trainer->blocks = (BlockNumber *) (base + blocks_at);
		trainer->kept = (uint32 *) (base + kept_at);
		trainer->rows = (float *) (base + rows_at);
		trainer->centroids = (float *) (base + centroids_at);
		trainer->kmeans = base + kmeans_at;
		trainer->calibration = base + calibration_at;
	}
	return add_size(calibration_at, vc_ivf_calibration_size(room));
}

/* Whether there is memory for all of a team beside the rows, which take half of it at most. */
static bool
team_fits(VcIvfTrainer *trainer, uint64 room)
{
	Size own = vc_kmeans_helper_size(&trainer->params, room);
	Size centroids = sizeof(float) * trainer->ivf->rows.padded * trainer->params.clusters;
	Size shared = vc_kmeans_shared_size(&trainer->params, room);

	return shared < MaxAllocHugeSize && own < MaxAllocHugeSize / vc_ivf_team_size(trainer->team) &&
		   shared + centroids + vc_ivf_calibration_size(room) + own * vc_ivf_team_size(trainer->team) <= (Size) maintenance_work_mem * 1024 / 2;
}

VcIvfTrainer *
vc_ivf_trainer_new(VcIvf *ivf, VcIvfTeam *team, uint64 room, uint32 lists, BlockNumber blocks)
{
	VcIvfTrainer *trainer = make_trainer(ivf, team, lists, leader_tick);

	if (team != NULL && team_fits(trainer, room) && vc_workers_have_memory(SPARE_SHARED * lay_out(trainer, NULL, room, blocks)))
		trainer->segment = dsm_create(lay_out(trainer, NULL, room, blocks), DSM_CREATE_NULL_IF_MAXSEGMENTS);
	if (trainer->segment == NULL)
	{
		trainer->team = NULL;
		return trainer;
	}
	trainer->params.share = share_kmeans;
	(void) lay_out(trainer, dsm_segment_address(trainer->segment), room, blocks);
	*trainer->training = (Training){.room = room, .wanted = lists, .blocks = blocks};
	vc_ivf_team_train(team, dsm_segment_handle(trainer->segment));
	return trainer;
}

VcIvfTrainer *
vc_ivf_trainer_join(VcIvf *ivf, Relation heap, IndexInfo *index_info, dsm_handle training)
{
	dsm_segment	 *segment = dsm_attach(training);
	Training	 *shared;
	VcIvfTrainer *trainer;

	if (segment == NULL)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("could not map dynamic shared memory segment")));
	shared = dsm_segment_address(segment);
	trainer = make_trainer(ivf, NULL, shared->wanted, worker_tick);
	trainer->segment = segment;
	(void) lay_out(trainer, (char *) shared, shared->room, shared->blocks);
	vc_sample_helper(&trainer->sample, heap, ivf->index, index_info, ivf->metric, ivf->rotation);
	return trainer;
}

/* The place of the rows of some blocks, up to that of the next blocks'. */
static uint64
rows_from(const Training *training, uint32 task)
{
	return Min((uint64) task * BLOCKS_TOGETHER, training->blocks) * training->room / training->blocks;
}

static void
sample_task(VcIvfTrainer *trainer, uint32 task)
{
	const Training *training = trainer->training;
	BlockNumber		first = task * BLOCKS_TOGETHER;
	uint64			place = rows_from(training, task);

	trainer->kept[task] = (uint32) vc_sample_read(&trainer->sample, trainer->blocks + first, Min(BLOCKS_TOGETHER, training->blocks - first),
												  trainer->rows + place * trainer->ivf->rows.padded, rows_from(training, task + 1) - place,
												  trainer->ivf->meta.seed + task);
}

/* Rows from the end go to where some blocks had fewer than there was place for; returns how many rows there are. */
static uint64
close_gaps(VcIvfTrainer *trainer)
{
	Size   padded = trainer->ivf->rows.padded;
	uint32 last = sample_tasks(trainer->training->blocks) - 1;

	for (uint32 task = 0; task < last; task++)
	{
		uint64 place = rows_from(trainer->training, task);

		while (place + trainer->kept[task] < rows_from(trainer->training, task + 1) && task < last)
			if (trainer->kept[last] == 0)
				last--;
			else
				memcpy(trainer->rows + (place + trainer->kept[task]++) * padded,
					   trainer->rows + (rows_from(trainer->training, last) + --trainer->kept[last]) * padded, sizeof(float) * padded);
	}
	return rows_from(trainer->training, last) + trainer->kept[last];
}

void
vc_ivf_trainer_sample(VcIvfTrainer *trainer, VcSample *sample, uint64 wanted)
{
	if (trainer->segment == NULL || trainer->training->blocks == 0)
	{
		vc_sample_fill(sample, wanted, trainer->rows);
		return;
	}
	vc_sample_choose(sample, trainer->blocks, trainer->training->blocks);
	trainer->sample = *sample;
	run_job(trainer, VC_IVF_JOB_SAMPLE, sample_tasks(trainer->training->blocks));
	vc_sample_use(sample, trainer->rows, close_gaps(trainer));
}

void
vc_ivf_trainer_end(VcIvfTrainer *trainer)
{
	if (trainer->segment != NULL)
		dsm_detach(trainer->segment);
	pfree(trainer);
}

void
vc_ivf_trainer_task(VcIvfTrainer *trainer, VcIvfJob job, uint32 task)
{
	Training *training = trainer->training;

	if (job == VC_IVF_JOB_SAMPLE)
	{
		sample_task(trainer, task);
		return;
	}
	if (job == VC_IVF_JOB_KMEANS)
	{
		if (trainer->helper == NULL)
			trainer->helper = vc_kmeans_helper(&trainer->params, trainer->rows, training->count, trainer->centroids, trainer->kmeans,
											   palloc_extended(vc_kmeans_helper_size(&trainer->params, training->count), MCXT_ALLOC_HUGE));
		vc_kmeans_task(trainer->helper, task);
		return;
	}
	if (trainer->calibrator == NULL)
		trainer->calibrator = vc_ivf_calibration_new(trainer->ivf, trainer->rows, training->count, trainer->centroids, training->lists,
													 trainer->calibration);
	vc_ivf_calibration_task(trainer->calibrator, job, task);
}

static bool
fits_alone(const VcIvfTrainer *trainer, uint64 count)
{
	return vc_kmeans_workspace(&trainer->params, count) / 1024 <= (Size) maintenance_work_mem;
}

uint32
vc_ivf_lists_that_fit(VcIvf *ivf, uint32 lists, uint64 count)
{
	VcIvfTrainer *trainer = make_trainer(ivf, NULL, lists, worker_tick);

	while (trainer->params.clusters > 1 && !fits_alone(trainer, count))
		trainer->params.clusters -= trainer->params.clusters / 8 + 1;
	lists = trainer->params.clusters;
	pfree(trainer);
	return lists;
}

/* Memory for one process that trains alone, for k-means and for what comes after it. */
static void
train_alone(VcIvfTrainer *trainer, float *rows, uint64 count)
{
	uint32 lists = trainer->params.clusters;
	Size   bytes = vc_kmeans_workspace(&trainer->params, count);

	if (!fits_alone(trainer, count))
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("%u lists of %u dimensions do not fit into maintenance_work_mem", lists,
							   trainer->ivf->meta.dim),
						errhint("Raise maintenance_work_mem to %zu MB, or use fewer lists.", bytes / 1024 / 1024 * 2 + 1)));
	trainer->training = palloc0(sizeof(Training));
	trainer->rows = rows;
	trainer->kmeans = palloc_extended(vc_kmeans_shared_size(&trainer->params, count), MCXT_ALLOC_HUGE);
	trainer->centroids = palloc_extended(sizeof(float) * trainer->ivf->rows.padded * lists, MCXT_ALLOC_HUGE);
	trainer->calibration = palloc_extended(vc_ivf_calibration_size(count), MCXT_ALLOC_HUGE);
}

static void
calibrate(VcIvfTrainer *trainer)
{
	VcIvfMeta *meta = &trainer->ivf->meta;
	Training  *training = trainer->training;

	for (int i = 0; i < VC_IVF_TARGETS; i++)
		meta->probes[i] = 1;
	meta->thin_growth = 0;
	if (training->lists < 2 || training->count < 4)
		return;
	trainer->calibrator = vc_ivf_calibration_new(trainer->ivf, trainer->rows, training->count, trainer->centroids, training->lists,
												 trainer->calibration);
	vc_ivf_calibrate(trainer->calibrator, run_job, trainer);
}

void
vc_ivf_train(VcIvfTrainer *trainer, float *rows, uint64 count)
{
	VcIvf		 *ivf = trainer->ivf;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "vc_ivf training", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Training	 *training;
	void		 *own;

	if (trainer->segment == NULL)
		train_alone(trainer, rows, count);
	training = trainer->training;
	training->count = count;
	own = palloc_extended(vc_kmeans_helper_size(&trainer->params, count), MCXT_ALLOC_HUGE);
	training->lists = vc_kmeans_shared(&trainer->params, rows, count, trainer->centroids, trainer->kmeans, own);
	pfree(own);
	ivf->meta.sample = (uint32) count;
	calibrate(trainer);
	vc_ivf_write_lists(ivf, trainer->centroids, training->lists);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/* ---- writing ---- */

/* A chain of the root that is being written: its centre, and room for a row. */
typedef struct RootChain
{
	BlockNumber	 head;
	const float *centre;
	VcIvfRow	*row;
	float		*residual;
} RootChain;

/* Add a row to a chain: a centroid, and what it is the centroid of. */
static void
add_centroid(VcIvf *ivf, RootChain *chain, const float *centroid, BlockNumber of)
{
	VcIvfRow *row = chain->row;
	uint32	  padded = ivf->root.padded;

	CHECK_FOR_INTERRUPTS();
	memcpy(row->vector->data, centroid, sizeof(float) * padded);
	row->vector->scale = 1;
	ItemPointerSet(&row->vector->tid, of, 1);
	for (uint32 j = 0; j < padded; j++)
		chain->residual[j] = centroid[j] - chain->centre[j];
	vc_ivf_row_encode(ivf, &ivf->root, chain->residual, chain->centre, row);
	vc_ivf_add_row(ivf, &ivf->root, chain->head, &row->vector->tid, row);
}

/* Add an empty list to a chain. */
static void
add_list(VcIvf *ivf, RootChain *chain, const float *centroid, uint32 number)
{
	add_centroid(ivf, chain, centroid, vc_ivf_new_list(ivf, &ivf->rows, number));
}

#define SAMPLE_PER_BRANCH 32
#define ASSIGN_BATCH 256

float *
vc_ivf_cut_lists(VcIvf *ivf, const float *centroids, uint32 lists, uint32 *branches, uint32 *branch_of)
{
	Size	 padded = ivf->root.padded;
	VcKmeans params = {.dim = padded, .clusters = (uint32) sqrt(lists), .iterations = ITERATIONS, .seed = ivf->meta.seed, .tick = worker_tick};
	uint32	 count = Min(lists, SAMPLE_PER_BRANCH * params.clusters);
	float	*sample = palloc_extended(sizeof(float) * padded * count, MCXT_ALLOC_HUGE);
	float	*found = palloc_extended(sizeof(float) * padded * params.clusters, MCXT_ALLOC_HUGE);
	void	*workspace = palloc_extended(vc_kmeans_workspace(&params, count), MCXT_ALLOC_HUGE);
	float	*scores = palloc(sizeof(float) * lists);
	float	*panels;
	float	*half_norms;

	for (uint32 i = 0; i < count; i++)
		memcpy(sample + (Size) i * padded, centroids + (Size) ((uint64) i * lists / count) * padded, sizeof(float) * padded);
	*branches = vc_kmeans(&params, sample, count, found, workspace);
	panels = palloc_extended(sizeof(float) * vc_panels_size(*branches, padded), MCXT_ALLOC_HUGE);
	half_norms = palloc(sizeof(float) * vc_panels_norms_size(*branches));
	vc_panels_build(found, *branches, padded, panels, half_norms);
	for (uint32 i = 0; i < lists; i += ASSIGN_BATCH)
	{
		CHECK_FOR_INTERRUPTS();
		vc_kernels->quant->nearest(centroids + i * padded, padded, Min(ASSIGN_BATCH, lists - i), panels, half_norms,
								   vc_panels_norms_size(*branches) / VC_PANEL, padded, scores + i, branch_of + i);
	}
	pfree(sample);
	pfree(workspace);
	pfree(scores);
	pfree(panels);
	pfree(half_norms);
	return found;
}

void
vc_ivf_write_lists(VcIvf *ivf, const float *centroids, uint32 lists)
{
	VcIvfShape *shape = &ivf->root;
	Size		padded = shape->padded;
	double	   *sum = palloc0(sizeof(double) * padded);
	float	   *centre = palloc(sizeof(float) * padded);
	VcIvfRow	row;
	RootChain	root = {.centre = centre, .row = &row, .residual = palloc(sizeof(float) * padded)};

	vc_ivf_row_alloc(ivf, shape, &row);
	for (uint32 l = 0; l < lists; l++)
		for (uint32 j = 0; j < padded; j++)
			sum[j] += centroids[l * padded + j];
	for (uint32 j = 0; j < padded; j++)
		centre[j] = (float) (sum[j] / lists);
	memcpy(row.vector->data, centre, sizeof(float) * padded);
	row.vector->scale = 1;
	ivf->meta.lists = lists;
	ivf->meta.branches = 0;
	ivf->meta.centre = vc_ivf_new_vector(ivf, shape, row.vector);
	ivf->meta.root = root.head = vc_ivf_new_list(ivf, shape, VC_IVF_ROOT);
	if (lists <= VC_IVF_MAX_FLAT)
	{
		for (uint32 l = 0; l < lists; l++)
			add_list(ivf, &root, centroids + l * padded, l);
	}
	else
	{
		uint32 *branch_of = palloc(sizeof(uint32) * lists);
		uint32	branches;
		float  *branch_centroids = vc_ivf_cut_lists(ivf, centroids, lists, &branches, branch_of);
		uint32	number = 0;

		for (uint32 b = 0; b < branches; b++)
		{
			RootChain branch = root;

			branch.head = InvalidBlockNumber;
			branch.centre = branch_centroids + b * padded;
			for (uint32 l = 0; l < lists; l++)
				if (branch_of[l] == b)
				{
					if (branch.head == InvalidBlockNumber)
						branch.head = vc_ivf_new_list(ivf, shape, VC_IVF_ROOT);
					add_list(ivf, &branch, centroids + l * padded, number++);
				}
			if (branch.head == InvalidBlockNumber)
				continue;
			add_centroid(ivf, &root, branch.centre, branch.head);
			ivf->meta.branches++;
		}
		Assert(number == lists);
	}
}
