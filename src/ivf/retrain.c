/*
 * retrain.c
 *		An index made on an empty or small table gets lists of its own accord when rows are there.
 *
 * When a list of an index made on fewer than VC_IVF_TRAINS_BELOW rows grows by a segment and the index now has eight times
 * the rows, the inserting process gives it new lists, for eight times as many again: at about 1,000 rows and at about
 * 8,000, after which the lists are good for hundreds of thousands. That takes it some tenths of a second.
 *
 * The new lists are written beside the old ones, while others go on to put rows into those. Then, under the exclusive
 * lock on the meta page that keeps other writers out, the rows that came meanwhile are put in, too, and the meta page is changed:
 * a few milliseconds. A crash before that leaves pages that nobody refers to until REINDEX. The old lists stay, since
 * scans that read the meta page before may still read them: what their snapshots see was put in before, and is all there. The
 * next vacuum that finds nobody at it frees their pages.
 *
 * Rows come from the table, by the TIDs in the index; one that is not there even for SnapshotAny is dead to all and is left
 * out. Vacuum waits until the training is over, and there is none while it is at work: it would take rows out of the old
 * lists alone.
 */
#include "ivf/train.h"

#include "am/fetch.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#define FIRST_ROWS 1000
#define GROWTH 8

/* With so many rows an index is due for new lists. One list serves until there are rows enough for several. */
static double
rows_due(const VcIvfMeta *meta)
{
	return meta->sample == 0 ? FIRST_ROWS : Max(FIRST_ROWS, GROWTH * meta->built_rows);
}

/* Rows the index has, by its pages: exact enough, and never far too low. */
static double
estimated_rows(VcIvf *ivf)
{
	double pages_per_block = (double) ivf->rows.segment_pages / ivf->rows.segment_blocks + ivf->rows.block_vector_pages;

	return RelationGetNumberOfBlocks(ivf->index) / pages_per_block * VC_RABITQ_BLOCK;
}

typedef struct Rows
{
	ItemPointerData *tids;
	VcKeyRow		*keys; /* where the index has key columns */
	uint64			 count;
	uint64			 room;
} Rows;

/* The TIDs and keys of all live rows. */
static void
collect_rows(VcIvf *ivf, Rows *rows)
{
	MemoryContext	context = AllocSetContextCreate(CurrentMemoryContext, "vc_ivf lists", ALLOCSET_DEFAULT_SIZES);
	MemoryContext	old = MemoryContextSwitchTo(context);
	VcIvfQuery		query;
	VcIvfFrontier  *frontier;
	VcIvfProbe		probe;

	/* Any query will do to go through the lists. */
	vc_ivf_query_alloc(ivf, &query);
	vc_ivf_query_init(ivf, &query, NULL);
	frontier = vc_ivf_frontier_new(ivf, false);
	vc_ivf_frontier_start(frontier, &query);
	MemoryContextSwitchTo(old);
	while (vc_ivf_frontier_next(frontier, &probe))
	{
		BlockNumber here = probe.head;

		while (here != InvalidBlockNumber)
		{
			Buffer		buffer = vc_ivf_read_segment(ivf, &ivf->rows, here, BUFFER_LOCK_SHARE);
			VcIvfBlock *blocks = vc_ivf_blocks(BufferGetPage(buffer));

			for (uint32 i = 0; i < ivf->rows.segment_blocks; i++)
				for (uint32 live = blocks[i].live & ~blocks[i].spilled; live != 0; live &= live - 1)
				{
					if (rows->count == rows->room)
					{
						rows->room *= 2;
						rows->tids = repalloc_huge(rows->tids, sizeof(ItemPointerData) * rows->room);
						if (rows->keys != NULL)
							rows->keys = repalloc_huge(rows->keys, sizeof(VcKeyRow) * rows->room);
					}
					if (rows->keys != NULL)
						vc_keys_get(&ivf->rows.keys, vc_ivf_keys(&ivf->rows, BufferGetPage(buffer), i),
									pg_rightmost_one_pos32(live), &rows->keys[rows->count]);
					rows->tids[rows->count++] = blocks[i].tid[pg_rightmost_one_pos32(live)];
				}
			here = vc_ivf_segment(BufferGetPage(buffer))->next;
			UnlockReleaseBuffer(buffer);
			CHECK_FOR_INTERRUPTS();
		}
	}
	MemoryContextDelete(context);
}

/* Note the old lists, which scans may still read: the next vacuum frees them. */
static void
retire(VcIvfMeta *meta, const VcIvfMeta *old)
{
	for (int i = 0; i < VC_IVF_TRAININGS; i++)
		if (meta->retired[i] == InvalidBlockNumber)
		{
			meta->retired[i] = old->root;
			meta->retired_centre[i] = old->centre;
			return;
		}
}

static int
compare_tids(const void *a, const void *b)
{
	return ItemPointerCompare((ItemPointer) a, (ItemPointer) b);
}

/* What putting rows into the new lists needs. */
typedef struct Copy
{
	VcIvf		  *ivf;
	VcFetch		  *fetch;
	VcIvfInserter *inserter;
	double		   rows;
	double		   err; /* sum over them */
} Copy;

/* Put rows into the new lists, but for those in done[], which is in order. */
static void
copy_rows(Copy *copy, const Rows *rows, const ItemPointerData *done, uint64 ndone)
{
	VcValue value;

	for (uint64 i = 0; i < rows->count; i++)
	{
		float err;

		CHECK_FOR_INTERRUPTS();
		if (ndone > 0 && bsearch(&rows->tids[i], done, ndone, sizeof(ItemPointerData), compare_tids) != NULL)
			continue;
		if (!vc_fetch_value(copy->fetch, &rows->tids[i], SnapshotAny, &value))
			continue;
		(void) vc_ivf_insert_value(copy->inserter, &rows->tids[i], &value, rows->keys != NULL ? &rows->keys[i] : NULL, &err);
		copy->err += err;
		copy->rows++;
	}
}

/*
 * Give the index new lists, as many as wanted or, for 0, as suit the rows. The caller sees to it that nobody else does, and
 * that no vacuum is at work.
 */
static void
retrain(VcIvf *old, Relation table, uint32 wanted_lists)
{
	VcIvf		   ivf = *old;
	Size		   padded = ivf.rows.padded;
	Rows		   rows = {.room = 1024};
	VcFetch		  *fetch;
	float		  *sample;
	VcIvfTrainer  *trainer;
	uint64		   sampled = 0;
	uint64		   room;
	uint32		   lists;
	Copy		   copy;
	ItemPointerData *done;
	uint64		   ndone;
	VcValue		   value;

	rows.tids = palloc(sizeof(ItemPointerData) * rows.room);
	if (ivf.rows.keys.columns > 0)
		rows.keys = palloc(sizeof(VcKeyRow) * rows.room);
	collect_rows(&ivf, &rows);
	if (rows.count < rows_due(&ivf.meta))
		return; /* many pages, but few rows in them */
	room = Max(2, Min(rows.count, (Size) maintenance_work_mem * 1024 / 2 / (sizeof(float) * padded)));
	sample = palloc_extended(sizeof(float) * padded * room, MCXT_ALLOC_HUGE);
	fetch = vc_fetch_open(ivf.index, table, ivf.metric, ivf.meta.dim);
	for (uint64 i = 0; i < rows.count && sampled < room; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!vc_fetch_value(fetch, &rows.tids[i], SnapshotAny, &value) || value.is_zero)
			continue;
		vc_metric_to_float(ivf.metric, value.data, value.scale, ivf.meta.dim, sample + sampled * padded);
		vc_rotation_apply(ivf.rotation, sample + sampled * padded, sample + sampled * padded);
		sampled++;
	}

	/* Where most rows turn out to be dead there is nothing to gain: the next growth asks again. */
	lists = wanted_lists > 0 ? wanted_lists : vc_ivf_choose_lists((double) rows.count * GROWTH);
	/* Whoever inserts did not ask for this: with little memory there are fewer lists rather than an error. */
	lists = vc_ivf_lists_that_fit(&ivf, lists, sampled);
	if (sampled >= FIRST_ROWS / 2 && lists > 1)
	{
		trainer = vc_ivf_trainer_new(&ivf, NULL, sampled, lists, 0);
		vc_ivf_train(trainer, sample, sampled);
		vc_ivf_trainer_end(trainer);
		retire(&ivf.meta, &old->meta);
		pfree(sample);
		copy = (Copy){.ivf = &ivf, .fetch = fetch, .inserter = vc_ivf_inserter_new(&ivf)};
		copy_rows(&copy, &rows, NULL, 0);

		/* From here on writers wait. */
		LockPage(ivf.index, VC_IVF_META_BLOCK, ExclusiveLock);
		ndone = rows.count;
		done = palloc_extended(sizeof(ItemPointerData) * ndone, MCXT_ALLOC_HUGE);
		memcpy(done, rows.tids, sizeof(ItemPointerData) * ndone);
		qsort(done, ndone, sizeof(ItemPointerData), compare_tids);
		rows.count = 0;
		collect_rows(old, &rows);
		copy_rows(&copy, &rows, done, ndone);
		ivf.meta.built_rows = copy.rows;
		ivf.meta.built_err = copy.rows > 0 ? copy.err / copy.rows : 0;
		vc_ivf_write_meta(&ivf);
		UnlockPage(ivf.index, VC_IVF_META_BLOCK, ExclusiveLock);
	}
	vc_fetch_close(fetch);
}

void
vc_ivf_retrain_if_due(Relation index, Relation table)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "vc_ivf retrain", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	VcIvf		  ivf;
	VcIvfOptions *options = (VcIvfOptions *) index->rd_options;
	uint32		  lists = options != NULL ? options->lists : 0;

	vc_ivf_open(&ivf, index);

	/* A vacuum, or another process that has had this idea: the next growth asks again. */
	if (lists != 1 && (lists == 0 || ivf.meta.sample == 0) && vc_ivf_may_train(&ivf.meta) &&
		estimated_rows(&ivf) >= rows_due(&ivf.meta) &&
		ConditionalLockPage(index, VC_IVF_TRAINING_LOCK, ExclusiveLock))
	{
		vc_ivf_open(&ivf, index);
		if (vc_ivf_may_train(&ivf.meta) && estimated_rows(&ivf) >= rows_due(&ivf.meta))
			retrain(&ivf, table, lists);
		UnlockPage(index, VC_IVF_TRAINING_LOCK, ExclusiveLock);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}
