/*
 * query.c
 *		What a search needs of the value it looks for: the value itself, and where nodes have codes, its rotation and the tables
 *		that estimates are made of.
 */
#include "hnsw/hnsw.h"

#include <math.h>

#include "kernels/vc_kernels.h"

/*
 * An estimate is off by some third of rescale * |query - node|, whatever the bits of the code. Of what a mean may be off, so
 * much is taken off, in the same unit: chosen by recall at equal numbers of visits (docs/hnsw-layout.md).
 */
#define OPTIMISM 0.2f

/*
 * Each of the D/4 entries of a table that a product is the sum of is rounded to a step, so the product is off by step * sqrt(D/4/12).
 * Where that, so many times, is more than |query - node|, it is no longer small beside a code's own error, and the table is not
 * used. That happens among values that are near to each other beside their distance from the origin. Compact nodes'
 * short factors are no better than the table.
 */
#define COARSE 6.0f

/* What follows from the rotated value. */
static void
init_tables(VcHnswGraph *graph, VcHnswQuery *query)
{
	const VcHnswShape *shape = &graph->shape;

	vc_rabitq_query_init(&query->rabitq, query->rotated, shape->padded, (uint8_t *) query->rabitq.lut);
	query->near = shape->compact ? 0 : COARSE * query->rabitq.step * sqrtf((float) shape->padded / 4 / 12);
	query->unit = 1;
	query->optimism = OPTIMISM;
	if (graph->metric->kind == VC_METRIC_IP)
	{
		/* Nodes have `rescale` for squared L2 distances. */
		query->rabitq.step /= 2;
		query->rabitq.bias /= 2;
		query->unit /= 2;
	}
	if (graph->metric->kind == VC_METRIC_IP || graph->metric->kind == VC_METRIC_IP_LINKING)
		query->norm2 = vc_kernels->norm2_f32(query->rotated, shape->padded);
	if (shape->compact)
		vc_compact_query_init(&query->own, &shape->own, query->rotated, query->own_memory);
}

static void
set_value(VcHnswGraph *graph, VcHnswQuery *query, const void *data, float scale)
{
	query->data = data;
	query->scale = scale;
	if (query->floats)
		vc_kernels->f16_to_f32(data, query->floats, graph->shape.dim);
}

void
vc_hnsw_query_init(VcHnswGraph *graph, VcHnswQuery *query, const VcValue *value)
{
	const VcHnswShape *shape = &graph->shape;

	set_value(graph, query, value->data, value->scale);
	if (!shape->coded)
		return;
	vc_metric_to_float(graph->metric, value->data, value->scale, shape->dim, query->rotated);
	vc_hnsw_rotate(graph, query->rotated);
	init_tables(graph, query);
}

void
vc_hnsw_query_init_node(VcHnswGraph *graph, VcHnswQuery *query, const void *value, float scale)
{
	set_value(graph, query, value, scale);
	if (!graph->shape.coded)
		return;
	vc_hnsw_rotated(graph, value, scale, query->rotated);
	init_tables(graph, query);
}

void
vc_hnsw_query_alloc(VcHnswGraph *graph, VcHnswQuery *query)
{
	memset(query, 0, sizeof(*query));
	if (graph->metric->distance_to_floats && !graph->shape.compact)
		query->floats = palloc(sizeof(float) * graph->shape.dim);
	if (graph->shape.coded)
	{
		query->rotated = palloc(sizeof(float) * graph->shape.padded);
		query->rabitq.lut = palloc(vc_rabitq_lut_size(graph->shape.padded));
		if (graph->shape.compact)
			query->own_memory = palloc(vc_compact_query_size(graph->shape.padded));
	}
}
