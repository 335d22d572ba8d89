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
vc_hnsw_encode(const VcHnswGraph *graph, const float *vector, const float *centre, float *residual, uint8 *code,
			   VcHnswFactors *factors)
{
	const VcHnswShape *shape = &graph->shape;
	VcRabitqFactors	   by_l2;
	float			   apart2 = shape->compact ? vc_kernels->l2sq_f32(vector, centre, shape->padded) : 0;

	if (shape->bits == 1)
		vc_rabitq_encode1_from(VC_RABITQ_L2, vector, centre, shape->padded, code, &by_l2);
	if (shape->bits > 1 || shape->links_add_ip > 0)
		for (uint32 i = 0; i < shape->padded; i++)
			residual[i] = vector[i] - centre[i];
	if (shape->bits > 1)
		vc_rabitq_encode(VC_RABITQ_L2, residual, centre, shape->padded, shape->bits, code, &by_l2);
	*factors = (VcHnswFactors){.add = by_l2.add, .rescale = by_l2.rescale};
	if (shape->compact)
		factors->product = by_l2.add - apart2;
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

/*
 * A compact node's `rescale`, which is never positive, in a byte: five bits of exponent and three of mantissa, in units of the
 * factor of the node's own code, to which it is roughly proportional. Off by 6 % at most, where the code is off by 30. What `add` has of the product
 * with the centre is made to fit, so that the rounding counts for no more than the distance from the node.
 */
#define RESCALE_MANTISSA 3
#define RESCALE_SHIFT (23 - RESCALE_MANTISSA)
#define RESCALE_LEAST ((127 - 16) << RESCALE_MANTISSA) /* 2^-16, as the upper bits of a float */

static inline float
rescale_unit(const VcHnswNode *node)
{
	return node->scale > 0 ? node->scale : 1;
}

static uint8
pack_rescale(float rescale, float unit)
{
	float  f = -rescale / unit;
	uint32 bits;
	int32  packed;

	if (!(f > 0))
		return 0;
	memcpy(&bits, &f, sizeof(bits));
	packed = (int32) ((bits + (UINT32_C(1) << (RESCALE_SHIFT - 1))) >> RESCALE_SHIFT) - RESCALE_LEAST;
	return (uint8) Max(Min(packed, UINT8_MAX), 0);
}

static inline float
unpack_rescale(uint8 packed, float unit)
{
	uint32 bits = packed == 0 ? 0 : ((uint32) packed + RESCALE_LEAST) << RESCALE_SHIFT;
	float  f;

	memcpy(&f, &bits, sizeof(f));
	return -f * unit;
}

/* Factors with another `rescale`. */
static void
change_rescale(const VcHnswShape *shape, VcHnswFactors *factors, float rescale)
{
	float change = factors->rescale < 0 ? factors->product * (rescale / factors->rescale - 1) : 0;

	factors->add += change;
	if (shape->links_add_ip > 0)
		factors->add_ip += change / 2;
	factors->rescale = rescale;
}

bool
vc_hnsw_expect_factors(const VcHnswShape *shape, const VcHnswNode *node, int link, VcHnswFactors *factors)
{
	uint8 kept;

	if (!shape->compact)
		return true;
	kept = vc_hnsw_links_bytes(node, shape->links_rescale)[link];
	if (abs((int) kept - pack_rescale(factors->rescale, rescale_unit(node))) > 1)
		return false;
	change_rescale(shape, factors, unpack_rescale(kept, rescale_unit(node)));
	return true;
}

void
vc_hnsw_get_factors(const VcHnswShape *shape, const VcHnswNode *node, int link, VcHnswFactors *factors)
{
	*factors = (VcHnswFactors){0};
	if (shape->compact)
	{
		factors->add = vc_hnsw_unpack_short(vc_hnsw_links_short(node, shape->links_add)[link]);
		factors->rescale = unpack_rescale(vc_hnsw_links_bytes(node, shape->links_rescale)[link], rescale_unit(node));
		if (shape->links_add_ip > 0)
			factors->add_ip = vc_hnsw_unpack_short(vc_hnsw_links_short(node, shape->links_add_ip)[link]);
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
vc_hnsw_set_factors(const VcHnswShape *shape, VcHnswNode *node, int link, const VcHnswFactors *factors)
{
	if (shape->compact)
	{
		float		  unit = rescale_unit(node);
		uint8		  packed = pack_rescale(factors->rescale, unit);
		VcHnswFactors fit = *factors;

		change_rescale(shape, &fit, unpack_rescale(packed, unit));
		vc_hnsw_links_bytes(node, shape->links_rescale)[link] = packed;
		vc_hnsw_links_short(node, shape->links_add)[link] = vc_hnsw_pack_short(fit.add);
		if (shape->links_add_ip > 0)
			vc_hnsw_links_short(node, shape->links_add_ip)[link] = vc_hnsw_pack_short(fit.add_ip);
	}
	else
	{
		vc_hnsw_links_add(shape, node)[link] = factors->add;
		vc_hnsw_links_rescale(shape, node)[link] = factors->rescale;
		if (shape->links_add_ip > 0)
			vc_hnsw_links_add_ip(shape, node)[link] = factors->add_ip;
	}
}

void
vc_hnsw_set_code(const VcHnswShape *shape, VcHnswNode *node, int link, const uint8 *code,
				 const VcHnswFactors *factors)
{
	uint8 *block = vc_hnsw_codes(shape, node) + link / VC_RABITQ_BLOCK * shape->block_bytes;

	vc_hnsw_set_factors(shape, node, link, factors);
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

/*
 * How a query lies to a node. For inner products, what a link's residual r has in common with the query is taken apart at a multiple of
 * the node: <q, r> = <q - share c, r> + share <c, r>. The second part is known, and the first, which the code estimates, is off by
 * a part of |q - share c|: least where that is at a right angle to the node, and then much less than |q - c| for a query that is
 * much shorter than the node.
 */
typedef struct Lie
{
	float apart; /* |q - share c| */
	float share;
} Lie;

static inline Lie
lie_of(const VcHnswGraph *graph, const VcHnswQuery *query, const VcHnswNode *node, float distance)
{
	const VcMetric *metric = graph->metric;
	float			norm2;
	float			product;
	float			rest2;

	if (likely(graph->shape.links_add_ip == 0))
		return (Lie){sqrtf(Max(distance, 0)), 1};
	if (graph->shape.compact)
		norm2 = node->own.norm2;
	else
	{
		const void *value = vc_hnsw_node_value(&graph->shape, node);

		norm2 = -metric->distance(value, node->scale, value, node->scale, graph->shape.dim);
	}
	product = metric->kind == VC_METRIC_IP ? -distance : ((query->norm2 + norm2) / 2 - distance) / 2;
	rest2 = query->norm2 - product / norm2 * product;
	/* A node without a length, or one whose square float cannot hold. */
	if (!(rest2 < INFINITY))
		return (Lie){sqrtf(query->norm2), 1};
	return (Lie){sqrtf(Max(rest2, 0)), product / norm2};
}

/* A link's factors that lie as floats, or as bfloat16s in compact nodes. */
static inline float
factor_at(const VcHnswShape *shape, const VcHnswNode *node, Size factors, int link)
{
	const char *at = (const char *) node + factors;

	return shape->compact ? vc_hnsw_unpack_short(((const uint16 *) at)[link]) : ((const float *) at)[link];
}

/* The links' factors `add` for a share of the node; room has as many. */
static const float *
add_of_links(const VcHnswShape *shape, const VcHnswNode *node, float share, float *room)
{
	if (!shape->compact && share == 1)
		return vc_hnsw_links_add(shape, node);
	for (int i = 0; i < shape->degree; i++)
		room[i] = factor_at(shape, node, shape->links_add, i);
	if (share == 1)
		return room;
	/* Both factors are for a share of one. That for inner products is nothing else, the one for links has it twice. */
	if (shape->links_add == shape->links_add_ip)
		for (int i = 0; i < shape->degree; i++)
			room[i] *= share;
	else
		for (int i = 0; i < shape->degree; i++)
			room[i] += 2 * (share - 1) * factor_at(shape, node, shape->links_add_ip, i);
	return room;
}

static void
estimate_by_table(const VcHnswShape *shape, const VcRabitqQuery *query, const VcHnswNode *node, float distance, float share,
				  float *estimates, float *rescales)
{
	const uint8 *block = vc_hnsw_codes(shape, node);
	float		 room[VC_HNSW_MAX_DEGREE];
	const float *add = add_of_links(shape, node, share, room);

	if (shape->compact)
	{
		const uint8 *packed = vc_hnsw_links_bytes(node, shape->links_rescale);
		float		 unit = rescale_unit(node);

		for (int i = 0; i < shape->degree; i++)
			rescales[i] = unpack_rescale(packed[i], unit);
	}
	else
		memcpy(rescales, vc_hnsw_links_rescale(shape, node), sizeof(float) * shape->degree);
	for (int i = 0; i < node->links; i += VC_RABITQ_BLOCK, block += shape->block_bytes)
		vc_rabitq_estimate32(query, block, shape->bits, add + i, rescales + i, distance, estimates + i);
}

static void
estimate_finely(const VcHnswShape *shape, const VcHnswQuery *query, const VcHnswNode *node, float distance, float share,
				float *estimates, float *rescales)
{
	const uint8 *block = vc_hnsw_codes(shape, node);
	float		 room[VC_HNSW_MAX_DEGREE];
	const float *add = add_of_links(shape, node, share, room);
	float		 weighed[VC_HNSW_MAX_DEGREE];

	memcpy(rescales, vc_hnsw_links_rescale(shape, node), sizeof(float) * shape->degree);
	for (int i = 0; i < shape->degree; i++)
		weighed[i] = rescales[i] * query->unit;
	for (int i = 0; i < node->links; i += VC_RABITQ_BLOCK, block += shape->block_bytes)
		vc_rabitq_estimate32_fine(query->rotated, shape->padded, block, shape->bits, add + i, weighed + i, distance,
								  estimates + i);
}

float
vc_hnsw_estimate(const VcHnswGraph *graph, const VcHnswQuery *query, const VcHnswNode *node, float distance, float *estimates,
				 float *rescales)
{
	Lie lie = lie_of(graph, query, node, distance);

	if (likely(!(lie.apart < query->near)))
		estimate_by_table(&graph->shape, &query->rabitq, node, distance, lie.share, estimates, rescales);
	else
		estimate_finely(&graph->shape, query, node, distance, lie.share, estimates, rescales);
	return lie.apart;
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
		float		  rescales[VC_HNSW_MAX_DEGREE];

		vc_hnsw_rotated(graph, vc_hnsw_node_value(shape, node), node->scale, graph->centre);
		vc_rabitq_query_init(&own, graph->centre, shape->padded, graph->lut);
		if (graph->metric->kind == VC_METRIC_IP_LINKING)
			g = -vc_kernels->norm2_f32(graph->centre, shape->padded) - vc_hnsw_error2(graph, node);
		else
			g = -2 * vc_hnsw_error2(graph, node);
		estimate_by_table(shape, &own, node, g, 1, distances, rescales);
		return;
	}
	for (int i = 0; i < node->links; i++)
		distances[i] = vc_hnsw_unpack_distance(vc_hnsw_links_distance(shape, node)[i]);
}
