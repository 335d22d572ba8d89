/*
 * query.c
 *		Comparing a value with lists and rows: exact distances, and the lists in order of their centroids' distance.
 *
 * The lists are rows of the root, so all are estimated first, 32 at a time, and only those whose lower bound comes up get
 * their exact distance: a heap holds lower bounds and exact distances side by side, and what leaves it exact is nearer than
 * everything still in it. Share locks one page at a time.
 */
#include "ivf/ivf.h"

#include <math.h>

#include "am/scan.h"
#include "kernels/ref.h"
#include "kernels/vc_kernels.h"
#include "kernels/vc_quant.h"
#include "miscadmin.h"

/* Lists are few and a missed one costs much: their bound is near-certain whatever vc_ivf.epsilon says. */
#define FRONTIER_EPSILON 2.5f

/* No more centroids are kept in memory than take so many bytes. */
#define MAX_KEPT_BYTES (64 * 1024 * 1024)

typedef struct Entry
{
	float		key; /* g, or a lower bound of it */
	bool		exact;
	uint8		slot; /* where the centroid lies */
	uint32		number; /* in the order of the root */
	BlockNumber vectors;
	BlockNumber head;
	float		g;
	float		distance;
} Entry;

struct VcIvfFrontier
{
	VcIvf			 *ivf;
	const VcIvfQuery *query;
	Entry			 *heap; /* smallest key first, once ordered */
	uint32			  count;
	uint32			  room;
	uint8			 *scratch;
	float			 *centre; /* of the root, once read */
	bool			  has_centre;
	VcIvfVector		 *vector;
	float			 *kept; /* [lists][padded], centroids read before; null unless they are kept */
	bool			 *is_kept;
};

void
vc_ivf_query_alloc(VcIvf *ivf, VcIvfQuery *query)
{
	query->floats = ivf->metric->distance_to_floats != NULL ? palloc(sizeof(float) * ivf->meta.dim) : NULL;
	query->rotated = palloc(sizeof(float) * ivf->rows.padded);
	query->lut = palloc(vc_rabitq_lut_size(ivf->rows.padded));
}

void
vc_ivf_to_float(VcIvf *ivf, const VcValue *value, float *out)
{
	if (ivf->metric->element == VC_ELEMENT_BIT)
	{
		const uint8 *bits = value->data;

		/* Differing bits are the squared distance of vectors of zeros and ones. */
		for (uint32 i = 0; i < ivf->meta.dim; i++)
			out[i] = bits[i / 8] >> (7 - i % 8) & 1;
	}
	else
		vc_metric_to_float(ivf->metric, value->data, value->scale, ivf->meta.dim, out);
}

void
vc_ivf_query_init(VcIvf *ivf, VcIvfQuery *query, const VcValue *value)
{
	if (value != NULL)
		query->value = *value;
	else
		query->value = (VcValue){.dim = ivf->meta.dim, .is_zero = true};
	if (query->value.is_zero || query->value.data == NULL)
		memset(query->rotated, 0, sizeof(float) * ivf->rows.padded);
	else
	{
		vc_ivf_to_float(ivf, value, query->rotated);
		vc_rotation_apply(ivf->rotation, query->rotated, query->rotated);
	}
	if (query->value.data != NULL && query->floats != NULL)
		vc_kernels->f16_to_f32(query->value.data, query->floats, ivf->meta.dim);
	if (query->value.data != NULL && ivf->stored != ivf->metric)
		query->norm = sqrt(vc_ref_norm2_f32(query->value.data, ivf->meta.dim));
	vc_rabitq_query_init(&query->rabitq, query->rotated, ivf->rows.padded, query->lut);
}

float
vc_ivf_distance(VcIvf *ivf, const VcIvfQuery *query, const void *data, float scale)
{
	float distance;

	if (query->value.data == NULL || query->value.is_zero || (ivf->metric->kind == VC_METRIC_COSINE && scale == 0))
		return INFINITY;
	vc_work.distances++;
	if (query->floats != NULL)
		distance = ivf->metric->distance_to_floats(data, scale, query->floats, query->value.scale, ivf->meta.dim);
	else
		distance = ivf->metric->distance(query->value.data, query->value.scale, data, scale, ivf->meta.dim);
	return isnan(distance) ? INFINITY : distance;
}

void
vc_ivf_centre_distance(VcIvf *ivf, const VcIvfQuery *query, const float *centre, float *g, float *distance)
{
	float l2 = vc_kernels->l2sq_f32(query->rotated, centre, ivf->rows.padded);

	*g = ivf->metric->kind == VC_METRIC_IP ? -vc_kernels->ip_f32(query->rotated, centre, ivf->rows.padded) : l2;
	*distance = sqrtf(l2);
}

VcIvfFrontier *
vc_ivf_frontier_new(VcIvf *ivf, bool keep)
{
	VcIvfFrontier *frontier = palloc0(sizeof(VcIvfFrontier));
	Size		   bytes = sizeof(float) * ivf->meta.lists * ivf->root.padded;

	frontier->ivf = ivf;
	frontier->room = ivf->meta.lists + 1;
	frontier->heap = palloc(sizeof(Entry) * frontier->room);
	frontier->scratch = palloc(ivf->root.plane);
	frontier->centre = palloc0(sizeof(float) * ivf->root.padded);
	frontier->vector = palloc(ivf->root.vector_bytes);
	if (keep && bytes <= MAX_KEPT_BYTES)
	{
		frontier->kept = palloc(bytes);
		frontier->is_kept = palloc0(sizeof(bool) * ivf->meta.lists);
	}
	return frontier;
}

/* The centroid of a list; valid until the next call. */
static const float *
centroid_of(VcIvfFrontier *frontier, const Entry *entry)
{
	uint32 padded = frontier->ivf->root.padded;
	float *kept = NULL;

	if (frontier->kept != NULL && entry->number < frontier->ivf->meta.lists)
	{
		kept = frontier->kept + (Size) entry->number * padded;
		if (frontier->is_kept[entry->number])
			return kept;
	}
	vc_ivf_read_vector(frontier->ivf, &frontier->ivf->root, entry->vectors, entry->slot, frontier->vector);
	if (kept != NULL)
	{
		memcpy(kept, frontier->vector->data, sizeof(float) * padded);
		frontier->is_kept[entry->number] = true;
	}
	return (const float *) frontier->vector->data;
}

/* Replace the lower bound of an entry by what it bounds. */
static void
make_exact(VcIvfFrontier *frontier, Entry *entry)
{
	vc_ivf_centre_distance(frontier->ivf, frontier->query, centroid_of(frontier, entry), &entry->g, &entry->distance);
	entry->key = isnan(entry->g) ? INFINITY : entry->g;
	entry->exact = true;
}

static void
fill_probe(VcIvfProbe *probe, const Entry *entry)
{
	probe->head = entry->head;
	probe->g = entry->g;
	probe->distance = entry->distance;
}

static void
sift_down(Entry *heap, uint32 count, uint32 at)
{
	Entry entry = heap[at];

	for (;;)
	{
		uint32 child = at * 2 + 1;

		if (child >= count)
			break;
		if (child + 1 < count && heap[child + 1].key < heap[child].key)
			child++;
		if (!(heap[child].key < entry.key))
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = entry;
}

static void
add_entry(VcIvfFrontier *frontier, const VcIvfBlock *block, int slot, float key)
{
	Entry *entry;

	if (frontier->count == frontier->room)
	{
		frontier->room *= 2;
		frontier->heap = repalloc_huge(frontier->heap, sizeof(Entry) * frontier->room);
	}
	entry = &frontier->heap[frontier->count++];
	entry->key = isnan(key) ? -INFINITY : key;
	entry->head = ItemPointerGetBlockNumberNoCheck(&block->tid[slot]);
	entry->vectors = block->vectors;
	entry->slot = slot;
	entry->number = frontier->count - 1;
	entry->exact = false;
}

/* Entries for all lists, with lower bounds, in no order. */
static void
collect_lists(VcIvfFrontier *frontier, const VcIvfQuery *query)
{
	VcIvf	   *ivf = frontier->ivf;
	VcIvfShape *shape = &ivf->root;
	BlockNumber block = ivf->meta.root;
	float		g;
	float		distance;

	frontier->query = query;
	frontier->count = 0;
	if (!frontier->has_centre)
	{
		vc_ivf_read_vector(ivf, shape, ivf->meta.centre, 0, frontier->vector);
		memcpy(frontier->centre, frontier->vector->data, sizeof(float) * shape->padded);
		frontier->has_centre = true;
	}
	vc_ivf_centre_distance(ivf, query, frontier->centre, &g, &distance);
	while (block != InvalidBlockNumber)
	{
		Buffer		buffer = vc_ivf_read_segment(ivf, shape, block, BUFFER_LOCK_SHARE);
		Page		page = BufferGetPage(buffer);
		VcIvfBlock *blocks = vc_ivf_blocks(page);

		for (uint32 i = 0; i < shape->segment_blocks && blocks[i].live != 0; i++)
		{
			const uint8 *codes = vc_ivf_codes(ivf, shape, block, page, i, frontier->scratch);
			float		 estimate[VC_RABITQ_BLOCK];

			vc_rabitq_estimate32(&query->rabitq, codes, 1, blocks[i].add, blocks[i].rescale, g, estimate);
			for (uint32 live = blocks[i].live; live != 0; live &= live - 1)
			{
				int slot = pg_rightmost_one_pos32(live);

				add_entry(frontier, &blocks[i], slot,
						  estimate[slot] - blocks[i].err[slot] * distance * FRONTIER_EPSILON);
			}
		}
		block = vc_ivf_segment(page)->next;
		UnlockReleaseBuffer(buffer);
		CHECK_FOR_INTERRUPTS();
	}
}

void
vc_ivf_frontier_start(VcIvfFrontier *frontier, const VcIvfQuery *query)
{
	collect_lists(frontier, query);
	for (uint32 i = frontier->count / 2; i-- > 0;)
		sift_down(frontier->heap, frontier->count, i);
}

/* Without ordering the rest: the entry with the lowest bound comes first, then whatever its distance does not rule out. */
bool
vc_ivf_frontier_nearest(VcIvfFrontier *frontier, const VcIvfQuery *query, VcIvfProbe *probe, float *centroid)
{
	Entry *best;

	collect_lists(frontier, query);
	if (frontier->count == 0)
		return false;
	best = frontier->heap;
	for (uint32 i = 1; i < frontier->count; i++)
		if (frontier->heap[i].key < best->key)
			best = &frontier->heap[i];
	make_exact(frontier, best);
	for (uint32 i = 0; i < frontier->count; i++)
	{
		Entry *entry = &frontier->heap[i];

		if (entry->key < best->key)
		{
			make_exact(frontier, entry);
			if (entry->key < best->key)
				best = entry;
		}
	}
	memcpy(centroid, centroid_of(frontier, best), sizeof(float) * frontier->ivf->root.padded);
	fill_probe(probe, best);
	return true;
}

bool
vc_ivf_frontier_next(VcIvfFrontier *frontier, VcIvfProbe *probe)
{
	Entry *top = frontier->heap;

	while (frontier->count > 0 && !top->exact)
	{
		make_exact(frontier, top);
		sift_down(frontier->heap, frontier->count, 0);
	}
	if (frontier->count == 0)
		return false;
	fill_probe(probe, top);
	*top = frontier->heap[--frontier->count];
	if (frontier->count > 0)
		sift_down(frontier->heap, frontier->count, 0);
	return true;
}
