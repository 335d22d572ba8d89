/*
 * origin.c
 *		The origin that rotated values are counted from: about the middle of the values that an index was built from.
 *
 * Codes, and the tables that estimates are made of, err in proportion to the lengths of the vectors they stand for, distances do
 * not depend on where those begin. Values that all lie on one side of zero, as many embeddings do, would be told apart less well the farther
 * away they are; counted from their middle they are as if they lay around zero. That is the
 * median of each dimension, because a few values very far away would take a mean with them, and leave nothing of the others. Inner products do depend on it: their indexes have no
 * origin. Neither has an index that was empty when it was made.
 *
 * It is chosen when a build has its sample, never changes, and stands on the meta page as bfloat16, because any vector near the middle will do, as
 * long as it is always the same. Where the dimensions are too many for that page there is none.
 */
#include "hnsw/hnsw.h"

#include <math.h>

#include "miscadmin.h"

#define ORIGIN_BYTES(shape) (sizeof(uint16) * (shape)->padded)

/* Rows that are enough to tell the middle. */
#define MOST_ROWS 255

void
vc_hnsw_origin_choose(VcHnswGraph *graph, const float *rows, Size n)
{
	const VcHnswShape *shape = &graph->shape;
	Size			   nlooked = Min(n, MOST_ROWS);
	float			   looked[MOST_ROWS];

	if (!shape->coded || graph->metric->kind == VC_METRIC_IP || graph->metric->kind == VC_METRIC_IP_LINKING || n == 0 ||
		sizeof(VcHnswMeta) + ORIGIN_BYTES(shape) > VC_PAGE_PAYLOAD)
		return;
	graph->origin = palloc(sizeof(float) * shape->padded);
	for (uint32 i = 0; i < shape->padded; i++)
	{
		CHECK_FOR_INTERRUPTS();
		for (Size row = 0; row < nlooked; row++)
			looked[row] = rows[row * n / nlooked * shape->padded + i];
		qsort(looked, nlooked, sizeof(float), vc_hnsw_compare_floats);
		graph->origin[i] = vc_hnsw_unpack_short(vc_hnsw_pack_short(looked[nlooked / 2]));
	}
}

Size
vc_hnsw_origin_size(const VcHnswGraph *graph)
{
	return graph->origin ? ORIGIN_BYTES(&graph->shape) : 0;
}

void
vc_hnsw_origin_write(const VcHnswGraph *graph, void *room)
{
	uint16 *packed = room;

	for (uint32 i = 0; graph->origin && i < graph->shape.padded; i++)
		packed[i] = vc_hnsw_pack_short(graph->origin[i]);
}

void
vc_hnsw_origin_read(VcHnswGraph *graph, const VcHnswShape *shape, float *origin)
{
	VcHold		  hold;
	const uint16 *packed;
	bool		  valid = true;

	vc_hold_init(&hold);
	packed = (uint16 *) (VcPageGetPayload(vc_store_read(&graph->store, &hold, VC_HNSW_META_BLOCK, VC_HNSW_META,
														sizeof(VcHnswMeta) + ORIGIN_BYTES(shape))) +
						 sizeof(VcHnswMeta));
	for (uint32 i = 0; i < shape->padded; i++)
	{
		origin[i] = vc_hnsw_unpack_short(packed[i]);
		valid &= isfinite(origin[i]);
	}
	vc_store_release(&graph->store, &hold);
	if (!valid)
		vc_page_corrupted(graph->store.index, VC_HNSW_META_BLOCK, "the origin has a dimension that is not finite");
}

void
vc_hnsw_origin_join(VcHnswGraph *graph)
{
	VcHold hold;
	bool   shifted;

	vc_hold_init(&hold);
	shifted = ((VcHnswMeta *) VcPageGetPayload(
				   vc_store_read(&graph->store, &hold, VC_HNSW_META_BLOCK, VC_HNSW_META, sizeof(VcHnswMeta))))
				  ->shifted;
	vc_store_release(&graph->store, &hold);
	if (!shifted)
		return;
	graph->origin = palloc(sizeof(float) * graph->shape.padded);
	vc_hnsw_origin_read(graph, &graph->shape, graph->origin);
}

void
vc_hnsw_rotate(const VcHnswGraph *graph, float *vector)
{
	vc_rotation_apply(graph->rotation, vector, vector);
	if (graph->origin)
		for (uint32 i = 0; i < graph->shape.padded; i++)
			vector[i] -= graph->origin[i];
}
