/*
 * link.c
 *		What a node says of its neighbours: their codes, the factors that go with them, and so their estimated distances.
 *
 * Everything here works on a node that the caller has locked, or on the image of one; README.md has the layout.
 */
#include "hnsw/hnsw.h"

#include <float.h>
#include <math.h>

#include "kernels/vc_kernels.h"

/*
 * In an inner product index `rescale` is that of the distance nodes are linked by, which is also that of L2: twice that of inner
 * products. What is added differs by how much longer the neighbour is than the node: |o - q|^2 is |o|^2 - 2 <o, q> + |q|^2,
 * of which the distance for links has half the squares, and the inner product, doubled, none.
 */
void
vc_hnsw_encode(const VcHnswGraph *graph, const float *residual, const float *centre, uint8 *code,
			   VcHnswFactors *factors)
{
	const VcHnswShape *shape = &graph->shape;
	VcRabitqFactors	   by_l2;

	if (shape->bits == 1)
		vc_rabitq_encode1(VC_RABITQ_L2, residual, centre, shape->padded, code, &by_l2);
	else
		vc_rabitq_encode(VC_RABITQ_L2, residual, centre, shape->padded, shape->bits, code, &by_l2);
	*factors = (VcHnswFactors){.add = by_l2.add, .rescale = by_l2.rescale};
	if (shape->links_add_ip > 0 && by_l2.err < FLT_MAX)
	{
		double longer = 0;

		for (uint32 i = 0; i < shape->padded; i++)
			longer += residual[i] * (residual[i] + 2.0 * centre[i]);
		if (fabs(longer) < FLT_MAX && fabs(by_l2.add - longer) < FLT_MAX)
		{
			factors->add = (float) (by_l2.add - longer / 2);
			factors->add_ip = (float) ((by_l2.add - longer) / 2);
		}
		else
			*factors = (VcHnswFactors){0};
	}
}

/* bfloat16, rounded to nearest; what is beyond its range becomes its largest. */
static inline uint16
pack_short(float f)
{
	uint32 bits;

	memcpy(&bits, &f, sizeof(bits));
	return (bits & 0x80000000) >> 16 |
		   Min((bits & 0x7FFFFFFF) + 0x7FFF + ((bits >> 16) & 1), UINT32_C(0x7F7F0000)) >> 16;
}

static inline float
unpack_short(uint16 packed)
{
	uint32 bits = (uint32) packed << 16;
	float  f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

void
vc_hnsw_get_factors(const VcHnswShape *shape, const VcHnswNode *node, int link, VcHnswFactors *factors)
{
	factors->add_ip = 0;
	if (shape->compact)
	{
		factors->add = unpack_short(vc_hnsw_links_short(node, shape->links_add)[link]);
		factors->rescale =
			unpack_short(vc_hnsw_links_short(node, shape->links_rescale)[link] | VC_HNSW_COMPACT_SPARE);
		if (shape->links_add_ip > 0)
			factors->add_ip = unpack_short(vc_hnsw_links_short(node, shape->links_add_ip)[link]);
	}
	else
	{
		factors->add = vc_hnsw_links_add(shape, node)[link];
		factors->rescale = vc_hnsw_links_rescale(shape, node)[link];
		if (shape->links_add_ip > 0)
			factors->add_ip = vc_hnsw_links_add_ip(shape, node)[link];
	}
}

void
vc_hnsw_set_code(const VcHnswShape *shape, VcHnswNode *node, int link, const uint8 *code,
				 const VcHnswFactors *factors)
{
	uint8 *block = vc_hnsw_codes(shape, node) + link / VC_RABITQ_BLOCK * shape->block_bytes;

	if (shape->compact)
	{
		uint16 *rescale = vc_hnsw_links_short(node, shape->links_rescale) + link;

		vc_hnsw_links_short(node, shape->links_add)[link] = pack_short(factors->add);
		*rescale = (*rescale & VC_HNSW_COMPACT_SPARE) | (pack_short(factors->rescale) & ~VC_HNSW_COMPACT_SPARE);
		if (shape->links_add_ip > 0)
			vc_hnsw_links_short(node, shape->links_add_ip)[link] = pack_short(factors->add_ip);
	}
	else
	{
		vc_hnsw_links_add(shape, node)[link] = factors->add;
		vc_hnsw_links_rescale(shape, node)[link] = factors->rescale;
		if (shape->links_add_ip > 0)
			vc_hnsw_links_add_ip(shape, node)[link] = factors->add_ip;
	}
	if (shape->bits == 1)
		vc_rabitq_pack1(block, shape->padded, link % VC_RABITQ_BLOCK, code);
	else
		vc_rabitq_pack(block, shape->padded, shape->bits, link % VC_RABITQ_BLOCK, code);
}

void
vc_hnsw_get_code(const VcHnswShape *shape, const VcHnswNode *node, int link, uint8 *code)
{
	const uint8 *block = vc_hnsw_codes(shape, node) + link / VC_RABITQ_BLOCK * shape->block_bytes;

	if (shape->bits == 1)
		vc_rabitq_unpack1(block, shape->padded, link % VC_RABITQ_BLOCK, code);
	else
		vc_rabitq_unpack(block, shape->padded, shape->bits, link % VC_RABITQ_BLOCK, code);
}

void
vc_hnsw_estimate(const VcHnswShape *shape, const VcRabitqQuery *query, const VcHnswNode *node, float distance,
				 float *estimates)
{
	const uint8 *block = vc_hnsw_codes(shape, node);
	const float *add = vc_hnsw_links_add(shape, node);
	const float *rescale = vc_hnsw_links_rescale(shape, node);
	float		 wide[2][VC_HNSW_MAX_DEGREE];

	if (shape->compact)
	{
		const uint16 *short_add = vc_hnsw_links_short(node, shape->links_add);
		const uint16 *short_rescale = vc_hnsw_links_short(node, shape->links_rescale);

		for (int i = 0; i < shape->degree; i++)
		{
			wide[0][i] = unpack_short(short_add[i]);
			wide[1][i] = unpack_short(short_rescale[i] | VC_HNSW_COMPACT_SPARE);
		}
		add = wide[0];
		rescale = wide[1];
	}
	for (int i = 0; i < node->links; i += VC_RABITQ_BLOCK, block += shape->block_bytes)
		vc_rabitq_estimate32(query, block, shape->bits, add + i, rescale + i, distance, estimates + i);
}

void
vc_hnsw_link_distances(const VcHnswGraph *graph, const VcHnswNode *node, float *distances)
{
	const VcHnswShape *shape = &graph->shape;

	if (shape->compact)
	{
		/*
		 * Estimates of the neighbours' distances from the node itself. They are those of the vectors that the two codes stand
		 * for, so they are too large by the squares of both errors, which are about the same.
		 */
		VcRabitqQuery own;
		float		  g;

		vc_hnsw_rotated(graph, vc_hnsw_node_value(shape, node), node->scale, graph->centre);
		vc_rabitq_query_init(&own, graph->centre, shape->padded, graph->lut);
		if (graph->metric->kind == VC_METRIC_IP_LINKING)
			g = -vc_kernels->norm2_f32(graph->centre, shape->padded) - vc_hnsw_error2(graph, node);
		else
			g = -2 * vc_hnsw_error2(graph, node);
		vc_hnsw_estimate(shape, &own, node, g, distances);
		return;
	}
	for (int i = 0; i < node->links; i++)
		distances[i] = vc_hnsw_unpack_distance(vc_hnsw_links_distance(shape, node)[i]);
}
