/*
 * assign.c
 *		The lists of many rows at once, for a build. See assign.h.
 *
 * A row that is inserted by itself is compared with the lists by codes in the root's pages (frontier.c). A build has the
 * centroids in memory and thousands of rows at hand: where lists are few it compares all rows with all of them, exactly,
 * many rows and sixteen centroids at a time, and where they are many by codes (quantize/nearest.h), for which the lists are cut
 * into about sqrt(lists) parts. Then rows are written list by list, so that pages are in the CPU's cache.
 *
 * A row goes to the list whose centroid is nearest as the metric has it. By inner product that is not where k-means had it, but
 * it brings the long vectors, which most queries want, together in the lists that most queries probe first.
 *
 * Every process that takes part in a build reads the centroids from the root and makes its own codes: some milliseconds.
 * Where a list has room each process remembers by itself, and notes in the list's first page at its end.
 */
#include "ivf/assign.h"

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

#define BETWEEN_INTERRUPTS 96 /* rows; whole tiles of every instruction set's `nearest` */

struct VcIvfBatch
{
	VcIvf *ivf;

	uint32		 nlists;
	float		*centroids; /* [nlists][padded] */
	BlockNumber *heads;
	BlockNumber *room; /* [nlists]: no segment before it has any */
	VcNearest	*nearest; /* null: all are compared */
	float		*panels;
	float		*half_norms;

	uint32			 max_rows;
	uint32			 nrows;
	float			*rows; /* [max_rows][padded] */
	ItemPointerData *tids;
	VcKeyRow		*keys;	  /* where the index has key columns */
	char			*vectors; /* [max_rows] of rows.vector_bytes, where values are kept */
	uint32			*list;	  /* of each row */
	uint32			*order;	  /* rows in order of their lists */
	uint32			*starts;  /* [nlists] */
	float			*score;

	float	*residual;
	VcIvfRow row;
};

/* Whether there are so many lists that rows are compared with them by their codes. */
static bool
by_code(const VcIvf *ivf)
{
	return vc_nearest_pays(ivf->rows.padded, ivf->meta.lists);
}

static void
prepare_lists(VcIvfBatch *batch)
{
	VcIvf  *ivf = batch->ivf;
	uint32	padded = ivf->rows.padded;

	if (by_code(ivf))
	{
		uint32 *part_of = palloc(sizeof(uint32) * batch->nlists);
		uint32	parts;
		float  *centres = vc_ivf_cut_lists(ivf, batch->centroids, batch->nlists, &parts, part_of);
		void   *memory = palloc_extended(vc_nearest_size(padded, batch->nlists, parts), MCXT_ALLOC_HUGE);

		batch->nearest = vc_nearest_build(memory, padded, batch->centroids, batch->nlists, part_of, centres, parts);
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
	Size		list_bytes = sizeof(float) * padded * ivf->meta.lists;
	Size		row_bytes = sizeof(float) * padded + ivf->rows.vector_bytes;

	if (ivf->meta.spill || (ivf->metric->kind == VC_METRIC_IP && by_code(ivf)) || list_bytes > MAX_LIST_BYTES || list_bytes > (Size) maintenance_work_mem * 1024 / 8)
		return NULL;
	batch = palloc0(sizeof(VcIvfBatch));
	batch->ivf = ivf;
	batch->nlists = ivf->meta.lists;
	batch->centroids = palloc_extended(list_bytes, MCXT_ALLOC_HUGE);
	batch->heads = palloc(sizeof(BlockNumber) * batch->nlists);
	batch->room = palloc(sizeof(BlockNumber) * batch->nlists);
	vc_ivf_centroids(ivf, batch->heads, batch->centroids);
	memcpy(batch->room, batch->heads, sizeof(BlockNumber) * batch->nlists);
	prepare_lists(batch);

	batch->max_rows = Max(MIN_ROWS, Min(MAX_ROWS, Min(MAX_ROW_BYTES, (Size) maintenance_work_mem * 1024 / 8) / row_bytes));
	batch->rows = palloc_extended(sizeof(float) * padded * batch->max_rows, MCXT_ALLOC_HUGE);
	batch->tids = palloc(sizeof(ItemPointerData) * batch->max_rows);
	if (ivf->rows.keys.columns > 0)
		batch->keys = palloc(sizeof(VcKeyRow) * batch->max_rows);
	if (ivf->rows.value_bytes > 0)
		batch->vectors = palloc_extended(ivf->rows.vector_bytes * batch->max_rows, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	batch->list = palloc(sizeof(uint32) * batch->max_rows);
	batch->order = palloc(sizeof(uint32) * batch->max_rows);
	batch->score = palloc(sizeof(float) * batch->max_rows);
	batch->starts = palloc(sizeof(uint32) * batch->nlists);
	batch->residual = palloc(sizeof(float) * padded);
	vc_ivf_row_alloc(ivf, &ivf->rows, &batch->row);
	return batch;
}

static void
assign_rows(VcIvfBatch *batch)
{
	Size padded = batch->ivf->rows.padded;

	for (uint32 i = 0; i < batch->nrows; i += BETWEEN_INTERRUPTS)
	{
		uint32 count = Min(BETWEEN_INTERRUPTS, batch->nrows - i);

		CHECK_FOR_INTERRUPTS();
		if (batch->nearest == NULL)
			vc_kernels->quant->nearest(batch->rows + i * padded, padded, count, batch->panels, batch->half_norms,
									   vc_panels_norms_size(batch->nlists) / VC_PANEL, padded, batch->score + i,
									   batch->list + i);
		else
			for (uint32 j = i; j < i + count; j++)
				batch->list[j] = vc_nearest_find(batch->nearest, batch->rows + j * padded);
	}
}

/* Rows in order of their lists, and of each list as they came. */
static void
order_rows(VcIvfBatch *batch)
{
	uint32 *starts = batch->starts;
	uint32	before = 0;

	memset(starts, 0, sizeof(uint32) * batch->nlists);
	for (uint32 i = 0; i < batch->nrows; i++)
		starts[batch->list[i]]++;
	for (uint32 l = 0; l < batch->nlists; l++)
	{
		uint32 count = starts[l];

		starts[l] = before;
		before += count;
	}
	for (uint32 i = 0; i < batch->nrows; i++)
		batch->order[starts[batch->list[i]]++] = i;
}

static void
write_rows(VcIvfBatch *batch, double *err)
{
	VcIvf *ivf = batch->ivf;
	Size   padded = ivf->rows.padded;

	assign_rows(batch);
	order_rows(batch);
	for (uint32 i = 0; i < batch->nrows; i++)
	{
		uint32		 at = batch->order[i];
		uint32		 list = batch->list[at];
		const float *row = batch->rows + at * padded;
		const float *centroid = batch->centroids + list * padded;

		CHECK_FOR_INTERRUPTS();
		for (Size j = 0; j < padded; j++)
			batch->residual[j] = row[j] - centroid[j];
		vc_ivf_row_encode(ivf, &ivf->rows, batch->residual, centroid, &batch->row);
		batch->row.keys = batch->keys != NULL ? &batch->keys[at] : NULL;
		if (batch->vectors != NULL)
			batch->row.vector = (VcIvfVector *) (batch->vectors + at * ivf->rows.vector_bytes);
		batch->room[list] = vc_ivf_add_row_from(ivf, &ivf->rows, batch->room[list], &batch->tids[at], &batch->row);
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
		if (batch->room[l] != batch->heads[l])
			vc_ivf_note_room(ivf, &ivf->rows, batch->heads[l], batch->room[l]);
}
