/*
 * assign.c
 *		The lists of many rows at once, for a build. See assign.h.
 *
 * A row that is inserted by itself is compared with the lists by codes in the root's pages (frontier.c). A build has the
 * centroids in memory and thousands of rows at hand: where lists are few it compares all rows with all of them, exactly,
 * many rows and sixteen centroids at a time, and where they are many with those of the nearest parts (quantize/nearest.h), for which
 * the lists are cut into about sqrt(lists) parts. Then rows are written list by list, so that pages are in the CPU's cache.
 *
 * A row goes to the list whose centroid is nearest as the metric has it. By inner product that is not where k-means had it, but
 * it brings the long vectors, which most queries want, together in the lists that most queries probe first.
 *
 * With spill a row also goes to the list that a second copy is best off in. That takes the distances to all lists, which give the
 * nearest one as well.
 *
 * Every process that takes part in a build reads the centroids from the root and cuts them itself: some milliseconds.
 * Where a list has room each process remembers by itself, and notes in the list's first page at its end.
 */
#include "ivf/assign.h"

#include <math.h>

#include "ivf/train.h"
#include "kernels/vc_kernels.h"
#include "kernels/vc_quant.h"
#include "miscadmin.h"
#include "quantize/kmeans.h"
#include "quantize/nearest.h"

#define MAX_ROWS 4096
#define MIN_ROWS 64
#define MAX_ROW_BYTES ((Size) 8 * 1024 * 1024) /* of the rows of a batch */
#define MAX_LIST_BYTES ((Size) 64 * 1024 * 1024) /* of all centroids */

/* Rows; whole tiles of every instruction set's `nearest`. */
#define BETWEEN_INTERRUPTS 96

#define PREFETCH_AHEAD 4 /* copies of rows */

#define SCORED_ROWS 48 /* whose distances to all lists are at hand, with spill: whole tiles again */
#define NO_LIST UINT32_MAX

struct VcIvfBatch
{
	VcIvf *ivf;

	uint32		 nlists;
	float		*centroids; /* [nlists][padded] */
	BlockNumber *heads;
	VcIvfRoom	*room; /* [nlists] */
	VcNearest	*nearest; /* null: all are compared */
	float		*panels;
	float		*half_norms;

	uint32			 max_rows;
	uint32			 nrows;
	float			*rows; /* [max_rows][padded] */
	ItemPointerData *tids;
	VcKeyRow		*keys;	  /* where the index has key columns */
	char			*vectors; /* [max_rows] of rows.vector_bytes, where values are kept */
	uint32			 ncopies; /* as many as rows, and with spill second ones after them */
	uint32			*list;	  /* of each copy */
	uint32			*second_of; /* the row of each second copy */
	uint32			*order;	  /* copies in order of their lists */
	uint32			*starts;  /* [nlists] */
	float			*score;	  /* with spill [SCORED_ROWS][nlists, whole panels] */

	float	*residual;
	VcIvfRow row;
};

/* Whether there are so many lists that rows are compared with those of some parts only. */
static bool
in_parts(const VcIvf *ivf)
{
	return vc_nearest_pays(ivf->meta.lists) && !ivf->meta.spill;
}

/* Whether this is not made for such an index. */
static bool
row_by_row(const VcIvf *ivf)
{
	Size list_bytes = sizeof(float) * ivf->rows.padded * ivf->meta.lists;
	bool by_product = ivf->metric->kind == VC_METRIC_IP;

	return (ivf->meta.spill && (by_product || ivf->meta.lists > VC_IVF_MAX_FLAT)) || (by_product && in_parts(ivf)) ||
		   list_bytes > MAX_LIST_BYTES || list_bytes > (Size) maintenance_work_mem * 1024 / 8;
}

static void
tick(void *arg)
{
	CHECK_FOR_INTERRUPTS();
	(void) arg;
}

static void
prepare_lists(VcIvfBatch *batch)
{
	VcIvf  *ivf = batch->ivf;
	uint32	padded = ivf->rows.padded;

	if (in_parts(ivf))
	{
		uint32 *part_of = palloc(sizeof(uint32) * batch->nlists);
		uint32	parts;
		float  *centres = vc_ivf_cut_lists(ivf, batch->centroids, batch->nlists, &parts, part_of);
		void   *memory = palloc_extended(vc_nearest_size(padded, batch->nlists, parts), MCXT_ALLOC_HUGE);

		batch->nearest = vc_nearest_build(memory, padded, batch->centroids, batch->nlists, part_of, centres, parts, tick, NULL);
		pfree(part_of);
	}
	else
	{
		batch->panels = palloc_extended(sizeof(float) * vc_panels_size(batch->nlists, padded), MCXT_ALLOC_HUGE);
		batch->half_norms = palloc(sizeof(float) * vc_panels_norms_size(batch->nlists));
		vc_panels_build(batch->centroids, batch->nlists, padded, batch->panels, batch->half_norms);
		if (ivf->metric->kind == VC_METRIC_IP) /* what is smallest then is the negative product alone */
			memset(batch->half_norms, 0, sizeof(float) * batch->nlists);
	}
}

VcIvfBatch *
vc_ivf_batch_new(VcIvf *ivf)
{
	VcIvfBatch *batch;
	Size		padded = ivf->rows.padded;
	Size		row_bytes = sizeof(float) * padded + ivf->rows.vector_bytes;
	Size		copies = ivf->meta.spill ? 2 : 1;

	if (row_by_row(ivf))
		return NULL;
	batch = palloc0(sizeof(VcIvfBatch));
	batch->ivf = ivf;
	batch->nlists = ivf->meta.lists;
	batch->centroids = palloc_extended(sizeof(float) * padded * batch->nlists, MCXT_ALLOC_HUGE);
	batch->heads = palloc(sizeof(BlockNumber) * batch->nlists);
	batch->room = palloc0(sizeof(VcIvfRoom) * batch->nlists);
	vc_ivf_centroids(ivf, batch->heads, batch->centroids);
	for (uint32 l = 0; l < batch->nlists; l++)
		batch->room[l].segment = batch->heads[l];
	prepare_lists(batch);

	batch->max_rows = Max(MIN_ROWS, Min(MAX_ROWS, Min(MAX_ROW_BYTES, (Size) maintenance_work_mem * 1024 / 8) / row_bytes));
	batch->rows = palloc_extended(sizeof(float) * padded * batch->max_rows, MCXT_ALLOC_HUGE);
	batch->tids = palloc(sizeof(ItemPointerData) * batch->max_rows);
	if (ivf->rows.keys.columns > 0)
		batch->keys = palloc(sizeof(VcKeyRow) * batch->max_rows);
	if (ivf->rows.value_bytes > 0)
		batch->vectors = palloc_extended(ivf->rows.vector_bytes * batch->max_rows, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	batch->list = palloc(sizeof(uint32) * batch->max_rows * copies);
	batch->second_of = palloc(sizeof(uint32) * batch->max_rows * (copies - 1));
	batch->order = palloc(sizeof(uint32) * batch->max_rows * copies);
	batch->score = palloc(sizeof(float) * (ivf->meta.spill ? SCORED_ROWS * vc_panels_norms_size(batch->nlists) : batch->max_rows));
	batch->starts = palloc(sizeof(uint32) * batch->nlists);
	batch->residual = palloc(sizeof(float) * padded);
	vc_ivf_row_alloc(ivf, &ivf->rows, &batch->row);
	return batch;
}

static void
assign_rows(VcIvfBatch *batch)
{
	Size padded = batch->ivf->rows.padded;

	if (batch->nearest != NULL)
	{
		vc_nearest_find(batch->nearest, batch->rows, batch->nrows, batch->list);
		return;
	}
	for (uint32 i = 0; i < batch->nrows; i += BETWEEN_INTERRUPTS)
	{
		CHECK_FOR_INTERRUPTS();
		vc_kernels->quant->nearest(batch->rows + i * padded, padded, Min(BETWEEN_INTERRUPTS, batch->nrows - i), batch->panels,
								   batch->half_norms, vc_panels_norms_size(batch->nlists) / VC_PANEL, padded, batch->score + i,
								   batch->list + i);
	}
}

/* The list with the least score but for one, which may be NO_LIST; NO_LIST where no score can be compared. */
static uint32
least_score(const VcIvfBatch *batch, const float *score, uint32 but)
{
	float  least = INFINITY;
	uint32 list = NO_LIST;

	for (uint32 l = 0; l < batch->nlists; l++)
		if (score[l] < least && l != but)
		{
			least = score[l];
			list = l;
		}
	return list;
}

/* The list for a row's second copy, or NO_LIST: as vc_ivf_frontier_spill has it, from scores that tell all distances. */
static uint32
second_list(VcIvfBatch *batch, const float *row, const float *score, uint32 nearest)
{
	Size		 padded = batch->ivf->rows.padded;
	const float *centroid = batch->centroids + nearest * padded;
	float		*residual = batch->residual;
	float		 norm = vc_kernels->norm2_f32(row, padded);
	float		 best = INFINITY;
	float		 limit = INFINITY; /* a score from here on is of a distance that is no less than the best loss */
	float		 squared_residual;
	float		 row_along;
	uint32		 first = least_score(batch, score, nearest); /* most are ruled out by its loss */
	uint32		 list = NO_LIST;

	if (first == NO_LIST)
		return NO_LIST;
	for (Size j = 0; j < padded; j++)
		residual[j] = row[j] - centroid[j];
	squared_residual = vc_kernels->norm2_f32(residual, padded);
	row_along = vc_kernels->ip_f32(row, residual, padded);
	for (uint32 i = 0; i <= batch->nlists; i++)
	{
		uint32 l = i == 0 ? first : i - 1;
		float  loss;

		if (!(score[l] < limit) || l == nearest)
			continue;
		loss = vc_ivf_spill_loss(2 * score[l] + norm,
								 row_along - vc_kernels->ip_f32(batch->centroids + l * padded, residual, padded), squared_residual);
		if (loss < best || list == NO_LIST)
		{
			best = loss;
			limit = (best - norm) / 2;
			list = l;
		}
	}
	return list;
}

/* The lists of both copies of each row. */
static void
assign_copies(VcIvfBatch *batch)
{
	Size   padded = batch->ivf->rows.padded;
	uint32 scores = (uint32) vc_panels_norms_size(batch->nlists);

	for (uint32 from = 0; from < batch->nrows; from += SCORED_ROWS)
	{
		uint32 count = Min(SCORED_ROWS, batch->nrows - from);

		CHECK_FOR_INTERRUPTS();
		vc_kernels->quant->panel_scores(batch->rows + from * padded, padded, count, batch->panels, batch->half_norms, scores / VC_PANEL,
										padded, batch->score);
		for (uint32 i = 0; i < count; i++)
		{
			const float *score = batch->score + (Size) i * scores;
			uint32		 nearest = least_score(batch, score, NO_LIST);
			uint32		 second;

			batch->list[from + i] = nearest == NO_LIST ? 0 : nearest;
			second = second_list(batch, batch->rows + (from + i) * padded, score, batch->list[from + i]);
			if (second == NO_LIST)
				continue;
			batch->second_of[batch->ncopies - batch->nrows] = from + i;
			batch->list[batch->ncopies++] = second;
		}
	}
}

/* Copies in order of their lists, and of each list as they came. */
static void
order_copies(VcIvfBatch *batch)
{
	uint32 *starts = batch->starts;
	uint32	before = 0;

	memset(starts, 0, sizeof(uint32) * batch->nlists);
	for (uint32 i = 0; i < batch->ncopies; i++)
		starts[batch->list[i]]++;
	for (uint32 l = 0; l < batch->nlists; l++)
	{
		uint32 count = starts[l];

		starts[l] = before;
		before += count;
	}
	for (uint32 i = 0; i < batch->ncopies; i++)
		batch->order[starts[batch->list[i]]++] = i;
}

static void
write_rows(VcIvfBatch *batch, double *err)
{
	VcIvf *ivf = batch->ivf;
	Size   padded = ivf->rows.padded;

	batch->ncopies = batch->nrows;
	if (ivf->meta.spill)
		assign_copies(batch);
	else
		assign_rows(batch);
	order_copies(batch);
	for (uint32 i = 0; i < batch->ncopies; i++)
	{
		uint32		 copy = batch->order[i];
		bool		 spilled = copy >= batch->nrows;
		uint32		 at = spilled ? batch->second_of[copy - batch->nrows] : copy;
		uint32		 list = batch->list[copy];
		const float *row = batch->rows + at * padded;
		const float *centroid = batch->centroids + list * padded;

		CHECK_FOR_INTERRUPTS();
		if (i + PREFETCH_AHEAD < batch->ncopies)
			vc_ivf_prefetch_room(&ivf->rows, &batch->room[batch->list[batch->order[i + PREFETCH_AHEAD]]]);
		for (Size j = 0; j < padded; j++)
			batch->residual[j] = row[j] - centroid[j];
		vc_ivf_row_encode(ivf, &ivf->rows, batch->residual, centroid, &batch->row);
		batch->row.spilled = spilled;
		batch->row.keys = batch->keys != NULL ? &batch->keys[at] : NULL;
		if (batch->vectors != NULL)
			batch->row.vector = (VcIvfVector *) (batch->vectors + at * ivf->rows.vector_bytes);
		vc_ivf_add_row_from(ivf, &ivf->rows, &batch->room[list], &batch->tids[at], &batch->row);
		if (!spilled)
			*err += batch->row.factors.err;
	}
	batch->nrows = 0;
}

void
vc_ivf_batch_add(VcIvfBatch *batch, ItemPointer tid, const VcValue *value, const VcKeyRow *keys, double *err)
{
	VcIvf *ivf = batch->ivf;
	uint32 at = batch->nrows++;
	float *row = batch->rows + at * (Size) ivf->rows.padded;

	if (value->is_zero)
		memset(row, 0, sizeof(float) * ivf->rows.padded);
	else
	{
		vc_metric_to_float(ivf->metric, value->data, value->scale, ivf->meta.dim, row);
		vc_rotation_apply(ivf->rotation, row, row);
	}
	batch->tids[at] = *tid;
	if (batch->keys != NULL)
		batch->keys[at] = *keys;
	if (batch->vectors != NULL)
		vc_ivf_value_store(ivf, tid, value, (VcIvfVector *) (batch->vectors + at * ivf->rows.vector_bytes));
	if (batch->nrows == batch->max_rows)
		write_rows(batch, err);
}

void
vc_ivf_batch_finish(VcIvfBatch *batch, double *err)
{
	VcIvf *ivf = batch->ivf;

	write_rows(batch, err);
	for (uint32 l = 0; l < batch->nlists; l++)
		if (batch->room[l].segment != batch->heads[l])
			vc_ivf_note_room(ivf, &ivf->rows, batch->heads[l], batch->room[l].segment);
}
