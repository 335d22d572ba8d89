/*
 * value.c
 *		Values as nodes keep them: as given, or with storage = compact as a code (quantize/compact.h) of the rotated value.
 *
 * A code says what a value's distance from a query is about and what it is at least; the index scan fetches the value itself from the
 * table where that does not decide. Inside the index everything goes by the vector that the code stands for: codes of
 * links are residuals between such vectors, so that they can be made again, and checked, from the index alone.
 */
#include "hnsw/hnsw.h"

#include <math.h>

#include "common/hashfn.h"

/*
 * Deviations of a code's error that a lower bound allows for: one value in thirty thousand is nearer than its bound. The rounding of the
 * rotation is not counted: it comes to some 2e-7 of a vector's length, a code's error to some 1e-2 of its length from the origin, which is
 * a bfloat16 and so leaves at least 1e-3 of the length.
 */
#define EPSILON 4.0

/* A bfloat16 that is at least as large; f is not negative. */
static uint16
round_up(float f)
{
	uint32 bits;

	memcpy(&bits, &f, sizeof(bits));
	return (uint16) (Min(bits + 0xFFFF, UINT32_C(0x7F7F0000)) >> 16);
}

static VcCompactFactors
factors_of(const VcHnswNode *node)
{
	uint32			 bits = (uint32) node->own.err << 16;
	VcCompactFactors factors = {.norm2 = node->own.norm2, .k = node->scale};

	memcpy(&factors.err, &bits, sizeof(bits));
	return factors;
}

void
vc_hnsw_store_value(VcHnswGraph *graph, const VcValue *value, const float *rotated, void *room, VcHnswStored *stored)
{
	const VcHnswShape *shape = &graph->shape;
	VcCompactFactors   factors;

	memset(stored, 0, sizeof(*stored));
	stored->value = value->data;
	stored->scale = value->scale;
	if (!shape->compact)
		return;
	stored->value = room;
	if (rotated == NULL)
	{
		/* A zero vector under cosine: nothing asks for its distance. */
		memset(room, 0, shape->value_bytes);
		stored->scale = 0;
		return;
	}
	vc_compact_encode(&shape->own, rotated, (uint8 *) graph->unpacked, room, &factors);
	stored->scale = factors.k;
	stored->own.norm2 = factors.norm2;
	stored->own.err = round_up(factors.err);
	stored->own.hash = (uint16) hash_bytes(value->data, (int) vc_metric_bytes(graph->metric, shape->dim));
}

void
vc_hnsw_set_value(const VcHnswShape *shape, VcHnswNode *node, const VcHnswStored *stored)
{
	memcpy(vc_hnsw_node_value(shape, node), stored->value, vc_hnsw_value_size(shape, stored->value));
	node->scale = stored->scale;
	if (shape->compact)
		node->own = stored->own;
}

bool
vc_hnsw_has_value(const VcHnswShape *shape, const VcHnswNode *node, const VcHnswStored *stored)
{
	return (!shape->compact ||
			(node->scale == stored->scale && memcmp(&node->own, &stored->own, sizeof(VcHnswOwn)) == 0)) &&
		   vc_hnsw_same_value(shape, vc_hnsw_node_value(shape, node), stored->value);
}

void
vc_hnsw_rotated(const VcHnswGraph *graph, const void *value, float scale, float *out)
{
	const VcHnswShape *shape = &graph->shape;

	if (shape->compact)
	{
		vc_compact_decode(&shape->own, value, scale, graph->unpacked, out);
		return;
	}
	vc_metric_to_float(graph->metric, value, scale, shape->dim, out);
	vc_hnsw_rotate(graph, out);
}

float
vc_hnsw_error2(const VcHnswGraph *graph, const VcHnswNode *node)
{
	float err;

	if (!graph->shape.compact)
		return 0;
	err = factors_of(node).err;
	return err * err * (float) (graph->shape.padded - 1);
}

float
vc_hnsw_compact_distance(const VcHnswGraph *graph, const VcHnswQuery *query, const VcHnswNode *node, float *bound)
{
	const VcHnswShape *shape = &graph->shape;
	double			   product = vc_compact_product(&query->own, vc_hnsw_node_value(shape, node), node->scale);
	bool			   squared = graph->metric->kind != VC_METRIC_IP;
	double			   squares = (double) node->own.norm2 + query->own.norm2;
	double			   distance = squared ? Max(squares - 2 * product, 0) : -product;

	if (graph->metric->kind == VC_METRIC_IP_LINKING)
	{
		distance = squares / 2 - 2 * product;
		if (isnan(distance))
			distance = INFINITY;
	}
	if (bound)
	{
		VcCompactFactors factors = factors_of(node);
		double error = vc_compact_error(&query->own, &factors, product, EPSILON);

		*bound = (float) (distance - (squared ? 2 * error : error));
		/* Nothing is known of values whose squares are beyond float: any distance is possible. */
		if (isnan(*bound))
			*bound = -INFINITY;
	}
	return (float) distance;
}
