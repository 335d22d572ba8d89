/*
 * shape.c
 *		How a node is laid out: what follows from the meta page, the same for the life of an index. README.md has it as a table.
 */
#include "hnsw/hnsw.h"

/*
 * One bit a dimension says enough from very few dimensions on: estimates that err make a search look around, and more
 * exact ones visit fewer nodes but find less at the same ef (docs/hnsw-layout.md). Only where one bit would leave next to nothing
 * to tell neighbours apart by are there more.
 */
static int
code_bits(uint32 dim)
{
	const uint32 enough = 16;

	return dim >= enough ? 1 : (int) Min(VC_RABITQ_MAX_BITS, (enough + dim - 1) / dim);
}

/* Of compact nodes one in 2^HUB_BITS is a hub, with so many links to other hubs. */
#define HUB_BITS 7
#define FAR_LINKS 8

/* Slots of a page and pages of a node, from the node's size. */
static void
count_slots(VcHnswShape *shape)
{
	shape->slots_per_page = shape->sparse ? VC_HNSW_SPARSE_SLOTS : Max(1, VC_PAGE_PAYLOAD / shape->slot_size);
	shape->pages_per_node = (shape->slot_size + VC_PAGE_PAYLOAD - 1) / VC_PAGE_PAYLOAD;
}

static void
set_own(VcHnswShape *shape, int bits, uint32 finer)
{
	shape->own = (VcCompactForm){.dim = shape->padded, .bits = bits, .finer = finer};
	shape->value_bytes = vc_compact_size(&shape->own);
	shape->slot_size = TYPEALIGN(sizeof(uint32), shape->value + shape->value_bytes);
	count_slots(shape);
}

/*
 * Compact nodes: `at` is where the codes of the links end. A value's code has as many bits as cost no node of a page, or no page
 * of a node: a pair of bits in all dimensions, and what room is left then, one bit more in some. There are no upper levels, whose
 * nodes would take room that no value is in; hubs serve in their place.
 */
static void
fill_compact(VcHnswShape *shape, Size at)
{
	uint32 slots;
	uint32 pages;
	Size   room;

	shape->inline_tids = VC_HNSW_COMPACT_TIDS;
	shape->level_bits = HUB_BITS;
	shape->far_links = FAR_LINKS;
	shape->value = at;
	set_own(shape, 4, 0);
	slots = shape->slots_per_page;
	pages = shape->pages_per_node;
	for (int bits = 8; bits >= 4; bits -= 2)
	{
		set_own(shape, bits, 0);
		if (shape->slots_per_page == slots && shape->pages_per_node == pages)
			break;
	}
	if (shape->own.bits == 8)
		return;
	room = TYPEALIGN_DOWN(sizeof(uint32), VC_PAGE_PAYLOAD * pages / slots) - (at + shape->value_bytes);
	set_own(shape, shape->own.bits, (uint32) Min(room, shape->padded / 8) * 8);
}

/* The layout with codes of so many dimensions. */
static void
lay_out(VcHnswShape *shape, const VcMetric *metric, const VcHnswMeta *meta, const VcHnswKeys *keys, uint32 padded)
{
	Size at = sizeof(VcHnswNode);
	Size factor;

	memset(shape, 0, sizeof(*shape));
	shape->dim = meta->dim;
	shape->padded = padded;
	shape->coded = vc_metric_is_coded(metric);
	shape->m = meta->m;
	shape->ef_construction = meta->ef_construction;
	shape->degree = (2 * meta->m + VC_RABITQ_BLOCK - 1) / VC_RABITQ_BLOCK * VC_RABITQ_BLOCK;
	shape->seed = meta->seed;
	shape->sparse = metric->element == VC_ELEMENT_SPARSE;
	shape->compact = meta->storage == VC_HNSW_STORAGE_COMPACT;
	shape->inline_tids = VC_HNSW_INLINE_TIDS;
	shape->level_bits = 5;
	factor = shape->compact ? sizeof(uint16) : sizeof(float);

	at += sizeof(VcHnswId) * shape->degree;
	if (shape->coded)
	{
		shape->bits = code_bits(shape->padded);
		shape->block_bytes = vc_rabitq_block_size(shape->padded, shape->bits);
		shape->links_add = at;
		at += factor * shape->degree;
		if (metric->kind == VC_METRIC_IP)
		{
			shape->links_add_ip = at;
			at += factor * shape->degree;
		}
		shape->links_rescale = at;
		at += (shape->compact ? sizeof(uint8) : sizeof(float)) * shape->degree;
	}
	StaticAssertStmt(sizeof(VcHnswNode) + VC_HNSW_MAX_DEGREE * 18 +
							 VC_KEYS_MAX * (sizeof(int64) * (VC_HNSW_INLINE_TIDS + 1) + 1) <=
						 VC_PAGE_PAYLOAD,
					 "header, links and keys must lie in a node's first page");
	if (shape->compact)
	{
		shape->links_spare = at;
		at += shape->degree / 8;
		shape->keys = at;
		if (keys)
			at += keys->node.bytes;
		shape->codes = at;
		fill_compact(shape, at + shape->block_bytes * (shape->degree / VC_RABITQ_BLOCK));
		return;
	}
	shape->links_distance = at;
	at = MAXALIGN(at + sizeof(uint16) * shape->degree);
	shape->keys = at;
	if (keys)
		at = MAXALIGN(at + keys->node.bytes);
	shape->codes = at;
	at = MAXALIGN(at + shape->block_bytes * (shape->degree / VC_RABITQ_BLOCK));
	shape->value = at;
	shape->value_bytes = shape->sparse ? MAXALIGN_DOWN(VC_PAGE_PAYLOAD - VC_HNSW_SLOTS_BYTES) - at
									   : vc_metric_bytes(metric, meta->dim);
	shape->slot_size = MAXALIGN(at + shape->value_bytes);
	count_slots(shape);
}

/*
 * Codes of few dimensions take what room there is in a page, up to so many: they are spread over more dimensions than the values
 * have, and the more exact for it, at no cost in nodes a page. Beyond, longer codes cost more to read than they save.
 */
#define WIDEST_CODE 256

void
vc_hnsw_shape_fill(VcHnswShape *shape, const VcMetric *metric, const VcHnswMeta *meta, const VcHnswKeys *keys)
{
	uint32 least = vc_rotation_padded(meta->dim);

	lay_out(shape, metric, meta, keys, least);
	if (!shape->coded || shape->compact || shape->sparse || shape->bits > 1 || shape->pages_per_node > 1)
		return;
	for (uint32 padded = least + 4; padded <= WIDEST_CODE; padded += 4)
	{
		VcHnswShape wider;

		lay_out(&wider, metric, meta, keys, padded);
		if (wider.slots_per_page < shape->slots_per_page)
			break;
		*shape = wider;
	}
}
