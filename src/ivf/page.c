/*
 * page.c
 *		Pages of a vc_ivf index: the meta page, segments of lists, vector pages.
 *
 * Locks: the first page of a segment stands for the segment, its code pages and its blocks' vector pages: whoever reads
 * those of a row while it may change holds that page's lock. A second segment page is locked only to append a segment
 * (the last one, then the new one) and never the other way round. The hint in a list's first page is changed with no
 * other lock held.
 *
 * WAL: generic records, one page each but for linking a new segment and moving a row (two). The live bit of a row is set by the last record
 * of its insertion, so a crash in between leaves a slot that nobody looks at.
 */
#include "ivf/ivf.h"

#include "am/scan.h"
#include "ivf/change.h"
#include "ivf/free.h"
#include "kernels/prefetch.h"
#include "kernels/vc_kernels.h"
#include "kernels/vc_quant.h"
#include "miscadmin.h"
#include "storage/buf_internals.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* Of a value, before the CPU sees for itself how it is read. */
#define PREFETCHED_BYTES 512

const double vc_ivf_targets[VC_IVF_TARGETS] = {0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999};

static void
fill_shape(VcIvfShape *shape, uint32 padded, int bits, Size value_bytes, const VcKeyLayout *keys)
{
	Size room = VC_PAGE_PAYLOAD - sizeof(VcIvfSegment);
	Size block_bytes = sizeof(VcIvfBlock);

	memset(shape, 0, sizeof(*shape));
	if (keys != NULL)
	{
		shape->keys = *keys;
		block_bytes += keys->bytes;
	}
	shape->padded = padded;
	shape->plane = bits > 0 ? vc_rabitq_plane_size(padded) : 0;
	if (block_bytes + shape->plane <= room)
	{
		shape->segment_blocks = room / (block_bytes + shape->plane);
		shape->segment_pages = 1;
		shape->first_codes = shape->segment_blocks * shape->plane;
	}
	else
	{
		/* Pages are cut at whole bytes of a packed code, eight dimensions, which take 32 bytes of a block. */
		StaticAssertStmt(VC_PAGE_PAYLOAD % 32 == 0, "a page holds whole groups of codes");
		shape->segment_blocks = 1;
		shape->first_codes = (room - block_bytes) / 32 * 32;
		shape->segment_pages = 1 + (shape->plane - shape->first_codes + VC_PAGE_PAYLOAD - 1) / VC_PAGE_PAYLOAD;
	}
	shape->keys_at = sizeof(VcIvfSegment) + shape->segment_blocks * sizeof(VcIvfBlock);
	shape->codes = shape->keys_at + shape->segment_blocks * shape->keys.bytes;
	shape->bits = bits;
	if (bits > 1)
	{
		shape->refine_bytes = offsetof(VcIvfRefinement, planes) + (bits - 1) * shape->plane;
		shape->refine_page = shape->segment_pages;
		shape->segment_pages += (shape->segment_blocks * shape->refine_bytes + VC_PAGE_PAYLOAD - 1) / VC_PAGE_PAYLOAD;
	}
	shape->pages_per_vector = 1;
	shape->value_bytes = value_bytes;
	if (value_bytes == 0)
		return;
	shape->vector_bytes = INTALIGN(offsetof(VcIvfVector, data) + value_bytes);
	shape->vectors_per_page = VC_PAGE_PAYLOAD / shape->vector_bytes;
	if (shape->vectors_per_page > 0)
		shape->block_vector_pages = (VC_RABITQ_BLOCK + shape->vectors_per_page - 1) / shape->vectors_per_page;
	else
	{
		shape->pages_per_vector = (shape->vector_bytes + VC_PAGE_PAYLOAD - 1) / VC_PAGE_PAYLOAD;
		shape->block_vector_pages = VC_RABITQ_BLOCK * shape->pages_per_vector;
	}
}

static void
fill_shapes(VcIvf *ivf)
{
	uint32		padded = vc_rotation_padded(ivf->meta.dim);
	VcKeyLayout keys;

	vc_keys_layout(&keys, ivf->index, VC_RABITQ_BLOCK);
	if (sizeof(VcIvfSegment) + sizeof(VcIvfBlock) + keys.bytes > VC_PAGE_PAYLOAD)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("index \"%s\" has too many key columns", RelationGetRelationName(ivf->index)),
						errdetail("Keys of %d rows, %zu bytes, do not fit a page.", VC_RABITQ_BLOCK, keys.bytes)));
	ivf->stored = ivf->meta.storage == VC_IVF_STORAGE_HALF ? vc_metric_of_halves(ivf->metric) : ivf->metric;
	fill_shape(&ivf->rows, padded, ivf->meta.bits,
			   ivf->meta.storage != VC_IVF_STORAGE_HEAP ? vc_metric_bytes(ivf->stored, ivf->meta.dim) : 0, &keys);
	fill_shape(&ivf->root, padded, 1, sizeof(float) * padded, NULL);
}

void
vc_ivf_meta_fill(VcIvfMeta *meta, Relation index)
{
	const VcMetric *metric;
	VcIvfOptions   *options = (VcIvfOptions *) index->rd_options;
	VcKeyLayout		keys;

	vc_keys_layout(&keys, index, VC_RABITQ_BLOCK); /* for its errors */
	metric = vc_metric_of(index, 1);
	memset(meta, 0, sizeof(*meta));
	meta->magic = VC_IVF_MAGIC;
	meta->version = VC_IVF_VERSION;
	meta->element = metric->element;
	meta->metric = metric->kind;
	meta->bits = options == NULL ? 1 : options->quantization == VC_IVF_QUANTIZATION_NONE ? 0 : options->bits;
	meta->storage = options != NULL ? options->storage : VC_IVF_STORAGE_DEFAULT;
	meta->spill = options != NULL && options->spill;
	if (meta->storage == VC_IVF_STORAGE_DEFAULT)
		meta->storage = meta->bits > 0 ? VC_IVF_STORAGE_HEAP : VC_IVF_STORAGE_FLOAT;
	meta->dim = vc_metric_declared_dim(metric, index, 1);
	meta->seed = UINT64CONST(0x766563746f72) ^ meta->dim; /* any will do; a fixed one makes rebuilds agree */
	meta->root = InvalidBlockNumber;
	meta->centre = InvalidBlockNumber;
	for (int i = 0; i < VC_IVF_TRAININGS; i++)
		meta->retired[i] = meta->retired_centre[i] = InvalidBlockNumber;
	meta->free[VC_IVF_FREE_SEGMENTS] = meta->free[VC_IVF_FREE_VECTORS] = InvalidBlockNumber;
}

static Size
rotation_size(const VcIvfMeta *meta)
{
	return vc_rotation_size(vc_rotation_padded(meta->dim));
}

static VcRotation *
make_rotation(void *memory, const VcIvfMeta *meta)
{
	vc_rotation_init(memory, meta->dim, vc_rotation_padded(meta->dim), meta->seed);
	return memory;
}

void
vc_ivf_read_meta(Relation index, const VcMetric *metric, VcIvfMeta *meta)
{
	Buffer buffer = ReadBuffer(index, VC_IVF_META_BLOCK);
	Page   page = BufferGetPage(buffer);

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	vc_page_check(index, VC_IVF_META_BLOCK, page, VC_IVF_MAGIC, VC_IVF_META, sizeof(VcIvfMeta));
	memcpy(meta, VcPageGetPayload(page), sizeof(*meta));
	UnlockReleaseBuffer(buffer);
	if (meta->magic != VC_IVF_MAGIC)
		vc_page_corrupted(index, VC_IVF_META_BLOCK, "the meta page is damaged");
	if (meta->version != VC_IVF_VERSION)
		ereport(ERROR, (errcode(ERRCODE_INDEX_CORRUPTED),
						errmsg("index \"%s\" has format version %u, which this version of vectorcoll does not read",
							   RelationGetRelationName(index), meta->version),
						errdetail("It reads version %d.", VC_IVF_VERSION), errhint("Rebuild it with REINDEX INDEX.")));
	if (meta->element != metric->element || meta->metric != metric->kind)
		vc_page_corrupted(index, VC_IVF_META_BLOCK, "the index was made by another operator class");
	if (meta->dim < 1 || meta->dim > VC_MAX_DIM * 8 || meta->lists < 1 || meta->lists > VC_IVF_MAX_LISTS ||
		meta->storage > VC_IVF_STORAGE_FLOAT || meta->bits > VC_RABITQ_MAX_BITS ||
		(meta->bits == 0 && meta->storage == VC_IVF_STORAGE_HEAP) || meta->branches > meta->lists)
		vc_page_corrupted(index, VC_IVF_META_BLOCK, "%u dimensions, %u lists or %u bits are out of range", meta->dim,
						  meta->lists, meta->bits);
}

void
vc_ivf_open(VcIvf *ivf, Relation index)
{
	VcRotation *rotation = index->rd_amcache;

	memset(ivf, 0, sizeof(*ivf));
	ivf->index = index;
	ivf->fork = MAIN_FORKNUM;
	ivf->wal = true;
	ivf->cached = vc_cache_get(index);
	ivf->metric = vc_metric_of(index, 1);

	/* Read each time: an index that trains itself changes it. The rotation never changes and is kept. */
	vc_ivf_read_meta(index, ivf->metric, &ivf->meta);
	if (rotation == NULL || rotation->dim != ivf->meta.dim || rotation->seed != ivf->meta.seed)
	{
		index->rd_amcache = NULL;
		rotation = make_rotation(MemoryContextAlloc(index->rd_indexcxt, rotation_size(&ivf->meta)), &ivf->meta);
		index->rd_amcache = rotation;
	}

	/* A copy, because the relation's cache may be thrown away while the index is open. */
	ivf->rotation = memcpy(palloc(rotation_size(&ivf->meta)), rotation, rotation_size(&ivf->meta));
	fill_shapes(ivf);
}

void
vc_ivf_open_new(VcIvf *ivf, Relation index, ForkNumber fork, const VcIvfMeta *meta)
{
	memset(ivf, 0, sizeof(*ivf));
	ivf->index = index;
	ivf->fork = fork;
	ivf->cached = fork == MAIN_FORKNUM ? vc_cache_get(index) : NULL;
	ivf->metric = vc_metric_of(index, 1);
	ivf->meta = *meta;
	ivf->rotation = make_rotation(palloc(rotation_size(meta)), meta);
	fill_shapes(ivf);
}

void
vc_ivf_add_meta(VcIvf *ivf)
{
	Buffer buffer;

	vc_page_extend(ivf->index, ivf->fork, 1, &buffer);
	if (BufferGetBlockNumber(buffer) != VC_IVF_META_BLOCK)
		elog(ERROR, "index \"%s\" is not empty", RelationGetRelationName(ivf->index));
	vc_page_init(BufferGetPage(buffer), VC_IVF_MAGIC, VC_IVF_META, sizeof(VcIvfMeta));
	MarkBufferDirty(buffer);
	UnlockReleaseBuffer(buffer);
}

Buffer
vc_ivf_read_block(VcIvf *ivf, BlockNumber block)
{
	if (unlikely(block >= ivf->nblocks))
		ivf->nblocks = RelationGetNumberOfBlocksInFork(ivf->index, ivf->fork);
	if (unlikely(block >= ivf->nblocks || block == VC_IVF_META_BLOCK))
		vc_page_corrupted(ivf->index, block, "something refers to this block, which %s",
						  block == VC_IVF_META_BLOCK ? "is the meta page" : "does not exist");
	vc_work.pages++;
	if (likely(ivf->cached != NULL))
		return vc_cache_read(ivf->cached, ivf->index, block);
	return ReadBufferExtended(ivf->index, ivf->fork, block, RBM_NORMAL, NULL);
}

void
vc_ivf_prefetch_segment(VcIvf *ivf, const VcIvfShape *shape, BlockNumber block)
{
	const char *page = ivf->cached != NULL && block != InvalidBlockNumber ? vc_cache_whereabouts(ivf->cached, block) : NULL;

	if (page == NULL)
		return;
	vc_prefetch(GetBufferDescriptor(ivf->cached->recent[block] - 1), sizeof(BufferDesc));
	vc_prefetch(page, PREFETCHED_BYTES);
	vc_prefetch(page + SizeOfPageHeaderData + shape->codes, PREFETCHED_BYTES);
}

Buffer
vc_ivf_read_segment(VcIvf *ivf, const VcIvfShape *shape, BlockNumber block, int mode)
{
	Buffer buffer = vc_ivf_read_block(ivf, block);

	LockBuffer(buffer, mode);
	vc_page_check(ivf->index, block, BufferGetPage(buffer), VC_IVF_MAGIC, VC_IVF_SEGMENT,
				  shape->codes + shape->first_codes);
	if ((vc_ivf_segment(BufferGetPage(buffer))->list == VC_IVF_ROOT) != (shape == &ivf->root))
		vc_page_corrupted(ivf->index, block, "a segment of the root and one of rows are mixed up");
	return buffer;
}

const uint8 *
vc_ivf_codes(VcIvf *ivf, const VcIvfShape *shape, BlockNumber segment, Page page, int block, uint8 *scratch)
{
	const uint8 *codes = (const uint8 *) VcPageGetPayload(page) + shape->codes;
	Size		 done = shape->first_codes;

	if (done >= shape->plane)
		return codes + block * shape->plane;
	memcpy(scratch, codes, done);
	for (uint32 i = 1; done < shape->plane; i++)
	{
		Buffer buffer = vc_ivf_read_block(ivf, segment + i);
		Size   bytes = Min(VC_PAGE_PAYLOAD, shape->plane - done);

		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		vc_page_check(ivf->index, segment + i, BufferGetPage(buffer), VC_IVF_MAGIC, VC_IVF_CODES, bytes);
		memcpy(scratch + done, VcPageGetPayload(BufferGetPage(buffer)), bytes);
		UnlockReleaseBuffer(buffer);
		done += bytes;
	}
	return scratch;
}

/* Pin and share-lock the page with byte `at` of a segment's refinements; *bytes, what is wanted, comes down to what it has. */
static const char *
read_refinement_page(VcIvf *ivf, const VcIvfShape *shape, BlockNumber segment, Size at, Size *bytes, Buffer *buffer)
{
	BlockNumber block = segment + shape->refine_page + at / VC_PAGE_PAYLOAD;

	*buffer = vc_ivf_read_block(ivf, block);
	LockBuffer(*buffer, BUFFER_LOCK_SHARE);
	vc_page_check(ivf->index, block, BufferGetPage(*buffer), VC_IVF_MAGIC, VC_IVF_CODES, VC_PAGE_PAYLOAD);
	*bytes = Min(*bytes, VC_PAGE_PAYLOAD - at % VC_PAGE_PAYLOAD);
	return VcPageGetPayload(BufferGetPage(*buffer)) + at % VC_PAGE_PAYLOAD;
}

void
vc_ivf_read_refinement(VcIvf *ivf, const VcIvfShape *shape, BlockNumber segment, int block, VcIvfRefinement *out)
{
	Size start = block * shape->refine_bytes;

	for (Size done = 0; done < shape->refine_bytes;)
	{
		Size		bytes = shape->refine_bytes - done;
		Buffer		buffer;
		const char *page = read_refinement_page(ivf, shape, segment, start + done, &bytes, &buffer);

		memcpy((char *) out + done, page, bytes);
		UnlockReleaseBuffer(buffer);
		done += bytes;
	}
}

void
vc_ivf_refine_sums(VcIvf *ivf, const VcIvfShape *shape, BlockNumber segment, int block, const uint8 *lut,
				   uint32 sum[VC_RABITQ_BLOCK], VcIvfRefinement *out)
{
	const VcQuantKernels *quant = vc_kernels->quant;
	Size				  start = block * shape->refine_bytes;
	Size				  factors = offsetof(VcIvfRefinement, planes);

	for (int i = 0; i < VC_RABITQ_BLOCK; i++)
		sum[i] <<= shape->bits - 1;
	for (Size done = 0; done < shape->refine_bytes;)
	{
		Size		bytes = shape->refine_bytes - done;
		Buffer		buffer;
		const char *page = read_refinement_page(ivf, shape, segment, start + done, &bytes, &buffer);
		Size		end = done + bytes;

		/* A page holds whole groups; a plane may go on in the next one. */
		while (done < end)
		{
			Size part;

			if (done < factors)
			{
				part = Min(end, factors) - done;
				memcpy((char *) out + done, page, part);
			}
			else
			{
				Size   plane = (done - factors) / shape->plane;
				Size   in_plane = (done - factors) % shape->plane;
				int	   weight = shape->bits - 2 - (int) plane;
				uint32 more[VC_RABITQ_BLOCK];

				part = Min(end - done, shape->plane - in_plane);
				quant->fastscan((const uint8 *) page, lut + in_plane, part / 16, more);
				for (int i = 0; i < VC_RABITQ_BLOCK; i++)
					sum[i] += more[i] << weight;
			}
			done += part;
			page += part;
		}
		UnlockReleaseBuffer(buffer);
	}
}

void
vc_ivf_write_meta(VcIvf *ivf)
{
	Buffer buffer = ReadBufferExtended(ivf->index, ivf->fork, VC_IVF_META_BLOCK, RBM_NORMAL, NULL);
	VcIvfChange change;
	VcIvfMeta  *meta;

	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	vc_ivf_change_begin(ivf, &change);
	meta = (VcIvfMeta *) VcPageGetPayload(vc_ivf_change_page(&change, buffer, false));
	if (ivf->wal) /* others may have taken free pages meanwhile */
		memcpy(ivf->meta.free, meta->free, sizeof(meta->free));
	*meta = ivf->meta;
	vc_ivf_change_end(&change);
	UnlockReleaseBuffer(buffer);
}

/* Vector pages, holding zeros. */
static BlockNumber
add_vector_pages(VcIvf *ivf, uint32 count)
{
	BlockNumber first = InvalidBlockNumber;
	Buffer	   *buffers = palloc(sizeof(Buffer) * count);

	vc_ivf_take_pages(ivf, VC_IVF_FREE_VECTORS, count, buffers);
	for (uint32 i = 0; i < count; i++)
	{
		VcIvfChange change;

		if (i == 0)
			first = BufferGetBlockNumber(buffers[0]);
		vc_ivf_change_begin(ivf, &change);
		vc_page_init(vc_ivf_change_page(&change, buffers[i], true), VC_IVF_MAGIC, VC_IVF_VECTORS, VC_PAGE_PAYLOAD);
		vc_ivf_change_end(&change);
		UnlockReleaseBuffer(buffers[i]);
	}
	pfree(buffers);
	return first;
}

static void
init_segment(const VcIvfShape *shape, Page page, uint32 list)
{
	VcIvfSegment *segment;

	vc_page_init(page, VC_IVF_MAGIC, VC_IVF_SEGMENT, shape->codes + shape->first_codes);
	segment = vc_ivf_segment(page);
	segment->next = InvalidBlockNumber;
	segment->room = InvalidBlockNumber;
	segment->list = list;
	for (uint32 i = 0; i < shape->segment_blocks; i++)
		vc_ivf_blocks(page)[i].vectors = InvalidBlockNumber;
}

/*
 * A new segment; where `last` is given, the last segment of its list, pinned and exclusively locked, it is linked there.
 */
static BlockNumber
add_segment(VcIvf *ivf, const VcIvfShape *shape, uint32 list, Buffer last)
{
	Buffer	   *buffers = palloc(sizeof(Buffer) * shape->segment_pages);
	BlockNumber block;
	VcIvfChange		change;

	vc_ivf_take_pages(ivf, VC_IVF_FREE_SEGMENTS, shape->segment_pages, buffers);
	block = BufferGetBlockNumber(buffers[0]);
	for (uint32 i = 1; i < shape->segment_pages; i++)
	{
		vc_ivf_change_begin(ivf, &change);
		vc_page_init(vc_ivf_change_page(&change, buffers[i], true), VC_IVF_MAGIC, VC_IVF_CODES, VC_PAGE_PAYLOAD);
		vc_ivf_change_end(&change);
		UnlockReleaseBuffer(buffers[i]);
	}
	vc_ivf_change_begin(ivf, &change);
	init_segment(shape, vc_ivf_change_page(&change, buffers[0], true), list);
	if (BufferIsValid(last))
		vc_ivf_segment(vc_ivf_change_page(&change, last, false))->next = block;
	vc_ivf_change_end(&change);
	UnlockReleaseBuffer(buffers[0]);
	pfree(buffers);
	return block;
}

BlockNumber
vc_ivf_new_list(VcIvf *ivf, const VcIvfShape *shape, uint32 list)
{
	return add_segment(ivf, shape, list, InvalidBuffer);
}

/* The first page and the offset of an entry. */
static BlockNumber
vector_place(const VcIvfShape *shape, BlockNumber vectors, int slot, Size *offset)
{
	if (shape->vectors_per_page == 0)
	{
		*offset = 0;
		return vectors + slot * shape->pages_per_vector;
	}
	*offset = slot % shape->vectors_per_page * shape->vector_bytes;
	return vectors + slot / shape->vectors_per_page;
}

static void
write_vector(VcIvf *ivf, const VcIvfShape *shape, BlockNumber vectors, int slot, const VcIvfVector *vector)
{
	Size		offset;
	BlockNumber block = vector_place(shape, vectors, slot, &offset);

	for (Size done = 0; done < shape->vector_bytes; block++)
	{
		Buffer buffer = vc_ivf_read_block(ivf, block);
		Size   bytes = Min(VC_PAGE_PAYLOAD - offset, shape->vector_bytes - done);
		VcIvfChange change;

		LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
		vc_page_check(ivf->index, block, BufferGetPage(buffer), VC_IVF_MAGIC, VC_IVF_VECTORS, VC_PAGE_PAYLOAD);
		vc_ivf_change_begin(ivf, &change);
		memcpy(VcPageGetPayload(vc_ivf_change_page(&change, buffer, false)) + offset, (const char *) vector + done, bytes);
		vc_ivf_change_end(&change);
		UnlockReleaseBuffer(buffer);
		done += bytes;
	}
}

void
vc_ivf_read_vector(VcIvf *ivf, const VcIvfShape *shape, BlockNumber vectors, int slot, VcIvfVector *out)
{
	Size		offset;
	BlockNumber block = vector_place(shape, vectors, slot, &offset);

	for (Size done = 0; done < shape->vector_bytes; block++)
	{
		Buffer buffer = vc_ivf_read_block(ivf, block);
		Size   bytes = Min(VC_PAGE_PAYLOAD - offset, shape->vector_bytes - done);

		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		vc_page_check(ivf->index, block, BufferGetPage(buffer), VC_IVF_MAGIC, VC_IVF_VECTORS, VC_PAGE_PAYLOAD);
		memcpy((char *) out + done, VcPageGetPayload(BufferGetPage(buffer)) + offset, bytes);
		UnlockReleaseBuffer(buffer);
		done += bytes;
	}
}

void
vc_ivf_prefetch_vector(VcIvf *ivf, const VcIvfShape *shape, BlockNumber vectors, int slot)
{
	Size		offset;
	BlockNumber block = vector_place(shape, vectors, slot, &offset);
	const char *page = ivf->cached != NULL ? vc_cache_whereabouts(ivf->cached, block) : NULL;

	if (page == NULL)
		return;
	vc_prefetch(GetBufferDescriptor(ivf->cached->recent[block] - 1), sizeof(BufferDesc));
	vc_prefetch(page, SizeOfPageHeaderData);
	vc_prefetch(page + SizeOfPageHeaderData + offset, Min(shape->vector_bytes, PREFETCHED_BYTES));
}

void
vc_ivf_view_init(const VcIvfShape *shape, VcIvfView *view)
{
	view->buffer = InvalidBuffer;
	view->block = InvalidBlockNumber;
	view->copy = shape->value_bytes > 0 && shape->vectors_per_page == 0 ? palloc(shape->vector_bytes) : NULL;
}

const VcIvfVector *
vc_ivf_view_vector(VcIvf *ivf, const VcIvfShape *shape, VcIvfView *view, BlockNumber vectors, int slot)
{
	Size		offset;
	BlockNumber block = vector_place(shape, vectors, slot, &offset);

	if (shape->vectors_per_page == 0)
	{
		vc_ivf_read_vector(ivf, shape, vectors, slot, view->copy);
		return view->copy;
	}
	if (!BufferIsValid(view->buffer) || view->block != block)
	{
		vc_ivf_view_end(view);
		view->buffer = vc_ivf_read_block(ivf, block);
		view->block = block;
		LockBuffer(view->buffer, BUFFER_LOCK_SHARE);
		vc_page_check(ivf->index, block, BufferGetPage(view->buffer), VC_IVF_MAGIC, VC_IVF_VECTORS, VC_PAGE_PAYLOAD);
	}
	return (const VcIvfVector *) (VcPageGetPayload(BufferGetPage(view->buffer)) + offset);
}

void
vc_ivf_view_end(VcIvfView *view)
{
	if (BufferIsValid(view->buffer))
		UnlockReleaseBuffer(view->buffer);
	view->buffer = InvalidBuffer;
}

BlockNumber
vc_ivf_new_vector(VcIvf *ivf, const VcIvfShape *shape, const VcIvfVector *vector)
{
	BlockNumber block = add_vector_pages(ivf, shape->pages_per_vector);

	write_vector(ivf, shape, block, 0, vector);
	return block;
}

/* Write a code into the pages after the first of a segment. */
static void
write_further_codes(VcIvf *ivf, const VcIvfShape *shape, BlockNumber segment, int slot, const uint8 *code)
{
	Size done = shape->first_codes;

	for (uint32 i = 1; done < shape->plane; i++)
	{
		Buffer buffer = vc_ivf_read_block(ivf, segment + i);
		Size   bytes = Min(VC_PAGE_PAYLOAD, shape->plane - done);
		VcIvfChange change;

		LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
		vc_page_check(ivf->index, segment + i, BufferGetPage(buffer), VC_IVF_MAGIC, VC_IVF_CODES, bytes);
		vc_ivf_change_begin(ivf, &change);
		vc_rabitq_pack1((uint8 *) VcPageGetPayload(vc_ivf_change_page(&change, buffer, false)), bytes / 4, slot, code + done / 32);
		vc_ivf_change_end(&change);
		UnlockReleaseBuffer(buffer);
		done += bytes;
	}
}

/* Write what refines a slot's one-bit code; its planes are taken from a block of one row. */
static void
write_refinement(VcIvf *ivf, const VcIvfShape *shape, BlockNumber segment, int block, int slot, const VcIvfRow *row)
{
	const float *factors = (const float *) &row->code_factors;
	Size		 start = block * shape->refine_bytes;
	Size		 planes = start + offsetof(VcIvfRefinement, planes);
	Size		 end = start + shape->refine_bytes;

	for (Size page_start = start / VC_PAGE_PAYLOAD * VC_PAGE_PAYLOAD; page_start < end; page_start += VC_PAGE_PAYLOAD)
	{
		BlockNumber page_block = segment + shape->refine_page + page_start / VC_PAGE_PAYLOAD;
		Size		page_end = page_start + VC_PAGE_PAYLOAD;
		Buffer		buffer = vc_ivf_read_block(ivf, page_block);
		char	   *payload;
		VcIvfChange		change;

		LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
		vc_page_check(ivf->index, page_block, BufferGetPage(buffer), VC_IVF_MAGIC, VC_IVF_CODES, VC_PAGE_PAYLOAD);
		vc_ivf_change_begin(ivf, &change);
		payload = VcPageGetPayload(vc_ivf_change_page(&change, buffer, false));
		for (int i = 0; i < 3; i++)
		{
			Size at = start + (i * VC_RABITQ_BLOCK + slot) * sizeof(float);

			if (at >= page_start && at < page_end)
				memcpy(payload + (at - page_start), &factors[i], sizeof(float));
		}
		for (int bit = shape->bits - 2; bit >= 0; bit--)
		{
			Size plane = planes + (shape->bits - 2 - bit) * shape->plane;
			Size from = Max(plane, page_start);
			Size to = Min(plane + shape->plane, page_end);

			for (Size at = from; at < to; at += 16)
			{
				const uint8 *code = row->code + (at - plane) / 4;
				uint8		*byte = (uint8 *) payload + (at - page_start) + slot % 16;
				int			 shift = slot < 16 ? 0 : 4;
				unsigned	 nibble = (code[0] >> bit & 1) | (code[1] >> bit & 1) << 1 | (code[2] >> bit & 1) << 2 |
									  (code[3] >> bit & 1) << 3;

				*byte = (uint8) ((*byte & (0xF0 >> shift)) | nibble << shift);
			}
		}
		vc_ivf_change_end(&change);
		UnlockReleaseBuffer(buffer);
	}
}

void
vc_ivf_row_alloc(VcIvf *ivf, const VcIvfShape *shape, VcIvfRow *row)
{
	memset(row, 0, sizeof(*row));
	row->bits = palloc((shape->padded + 7) / 8);
	if (shape->bits > 1)
		row->code = palloc(shape->padded);
	if (shape->value_bytes > 0)
		row->vector = palloc0(shape->vector_bytes);
}

void
vc_ivf_row_encode(VcIvf *ivf, const VcIvfShape *shape, const float *residual, const float *centre, VcIvfRow *row)
{
	VcRabitqMetric metric = vc_metric_rabitq(ivf->metric);

	vc_rabitq_encode1(metric, residual, centre, shape->padded, row->bits, &row->factors);
	if (shape->bits > 1)
		vc_rabitq_encode(metric, residual, centre, shape->padded, shape->bits, row->code, &row->code_factors);
}

/* Where a row is: in a segment whose first page is exclusively locked. */
typedef struct Place
{
	Buffer buffer;
	int	   block;
	int	   slot;
} Place;

/* Fill a free slot of a segment whose first page is exclusively locked. A row that moves leaves the place it was in. */
static void
fill_slot(VcIvf *ivf, const VcIvfShape *shape, Buffer buffer, int block_number, int slot, ItemPointer tid,
		  const VcIvfRow *row, const Place *from)
{
	BlockNumber segment = BufferGetBlockNumber(buffer);
	VcIvfBlock *block = vc_ivf_blocks(BufferGetPage(buffer)) + block_number;
	BlockNumber vectors = block->vectors;
	Size		plane = Min(shape->plane, shape->first_codes);
	Page		page;
	VcIvfChange		change;

	Assert((block->live & ((uint32) 1 << slot)) == 0);
	if (shape->value_bytes > 0)
	{
		if (vectors == InvalidBlockNumber)
			vectors = add_vector_pages(ivf, shape->block_vector_pages);
		write_vector(ivf, shape, vectors, slot, row->vector);
	}
	write_further_codes(ivf, shape, segment, slot, row->bits);
	if (shape->bits > 1)
		write_refinement(ivf, shape, segment, block_number, slot, row);

	vc_ivf_change_begin(ivf, &change);
	page = vc_ivf_change_page(&change, buffer, false);
	block = vc_ivf_blocks(page) + block_number;
	block->live |= (uint32) 1 << slot;
	if (row->spilled)
		block->spilled |= (uint32) 1 << slot;
	else
		block->spilled &= ~((uint32) 1 << slot);
	block->vectors = vectors;
	block->add[slot] = row->factors.add;
	block->rescale[slot] = row->factors.rescale;
	block->err[slot] = row->factors.err;
	block->tid[slot] = *tid;
	if (shape->keys.columns > 0)
		vc_keys_put(&shape->keys, vc_ivf_keys(shape, page, block_number), slot, row->keys);
	vc_rabitq_pack1((uint8 *) VcPageGetPayload(page) + shape->codes + block_number * shape->plane, plane / 4, slot,
					row->bits);
	if (from != NULL)
		vc_ivf_blocks(vc_ivf_change_page(&change, from->buffer, false))[from->block].live &= ~((uint32) 1 << from->slot);
	vc_ivf_change_end(&change);
}

struct VcIvfMover
{
	VcIvf			 *ivf;
	const VcIvfShape *shape;
	VcIvfRow		  row;
	VcKeyRow		  keys;
	uint8			 *scratch;
	VcIvfRefinement	 *refinement;
};

VcIvfMover *
vc_ivf_mover_new(VcIvf *ivf, const VcIvfShape *shape)
{
	VcIvfMover *mover = palloc0(sizeof(VcIvfMover));

	mover->ivf = ivf;
	mover->shape = shape;
	vc_ivf_row_alloc(ivf, shape, &mover->row);
	mover->row.keys = &mover->keys;
	mover->scratch = palloc(shape->plane);
	if (shape->bits > 1)
		mover->refinement = palloc(shape->refine_bytes);
	return mover;
}

/* Read all there is of a row. */
static void
read_row(VcIvfMover *mover, const Place *place)
{
	VcIvf			 *ivf = mover->ivf;
	const VcIvfShape *shape = mover->shape;
	VcIvfRow		 *row = &mover->row;
	Page			  page = BufferGetPage(place->buffer);
	VcIvfBlock		 *block = vc_ivf_blocks(page) + place->block;
	BlockNumber		  segment = BufferGetBlockNumber(place->buffer);
	int				  slot = place->slot;

	row->spilled = block->spilled >> slot & 1;
	row->factors = (VcRabitqFactors){block->add[slot], block->rescale[slot], block->err[slot]};
	if (shape->plane > 0)
		vc_rabitq_unpack1(vc_ivf_codes(ivf, shape, segment, page, place->block, mover->scratch), shape->padded, slot,
						  row->bits);
	if (shape->bits > 1)
	{
		VcIvfRefinement *fine = mover->refinement;

		vc_ivf_read_refinement(ivf, shape, segment, place->block, fine);
		vc_rabitq_unpack(fine->planes, shape->padded, shape->bits - 1, slot, row->code);
		row->code_factors = (VcRabitqFactors){fine->add[slot], fine->rescale[slot], fine->err[slot]};
	}
	if (shape->value_bytes > 0)
		vc_ivf_read_vector(ivf, shape, block->vectors, slot, row->vector);
	if (shape->keys.columns > 0)
		vc_keys_get(&shape->keys, vc_ivf_keys(shape, page, place->block), slot, &mover->keys);
}

bool
vc_ivf_move_rows(VcIvfMover *mover, Buffer from, Buffer to)
{
	uint32 nblocks = mover->shape->segment_blocks;
	uint32 into = 0;

	for (uint32 i = 0; i < nblocks; i++)
		while (vc_ivf_blocks(BufferGetPage(from))[i].live != 0)
		{
			uint32			live = vc_ivf_blocks(BufferGetPage(from))[i].live;
			Place			place = {from, i, pg_rightmost_one_pos32(live)};
			ItemPointerData tid = vc_ivf_blocks(BufferGetPage(from))[i].tid[place.slot];

			while (into < nblocks && vc_ivf_blocks(BufferGetPage(to))[into].live == PG_UINT32_MAX)
				into++;
			if (into == nblocks)
				return false;
			read_row(mover, &place);
			fill_slot(mover->ivf, mover->shape, to, into,
					  pg_rightmost_one_pos32(~vc_ivf_blocks(BufferGetPage(to))[into].live), &tid, &mover->row, &place);
		}
	return true;
}

void
vc_ivf_note_room(VcIvf *ivf, const VcIvfShape *shape, BlockNumber head, BlockNumber room)
{
	Buffer buffer = vc_ivf_read_segment(ivf, shape, head, BUFFER_LOCK_EXCLUSIVE);
	VcIvfChange change;

	if (vc_ivf_segment(BufferGetPage(buffer))->room != room)
	{
		vc_ivf_change_begin(ivf, &change);
		vc_ivf_segment(vc_ivf_change_page(&change, buffer, false))->room = room;
		vc_ivf_change_end(&change);
	}
	UnlockReleaseBuffer(buffer);
}

/* Put a row into the first free slot from a segment on, and note which; true if a segment was added for it. */
static bool
add_row(VcIvf *ivf, const VcIvfShape *shape, VcIvfRoom *room, ItemPointer tid, const VcIvfRow *row)
{
	BlockNumber here = room->segment;
	uint64		segments = 0;
	bool		grown = false;

	for (;;)
	{
		Buffer		buffer;
		VcIvfBlock *blocks;
		BlockNumber next;
		uint32		list;

		CHECK_FOR_INTERRUPTS();
		buffer = vc_ivf_read_segment(ivf, shape, here, BUFFER_LOCK_EXCLUSIVE);
		blocks = vc_ivf_blocks(BufferGetPage(buffer));
		for (uint32 i = 0; i < shape->segment_blocks; i++)
			if (blocks[i].live != PG_UINT32_MAX)
			{
				fill_slot(ivf, shape, buffer, i, pg_rightmost_one_pos32(~blocks[i].live), tid, row, NULL);
				UnlockReleaseBuffer(buffer);
				room->segment = here;
				room->buffer = buffer;
				room->block = (int) i;
				return grown;
			}
		next = vc_ivf_segment(BufferGetPage(buffer))->next;
		list = vc_ivf_segment(BufferGetPage(buffer))->list;
		if (next == InvalidBlockNumber)
		{
			next = add_segment(ivf, shape, list, buffer);
			grown = true;
		}
		UnlockReleaseBuffer(buffer);
		here = next;
		vc_ivf_check_length(ivf, room->segment, ++segments);
	}
}

void
vc_ivf_add_row_from(VcIvf *ivf, const VcIvfShape *shape, VcIvfRoom *room, ItemPointer tid, const VcIvfRow *row)
{
	(void) add_row(ivf, shape, room, tid, row);
}

#define PREFETCH_CODES 1024 /* bytes; a CPU has no more requests to memory under way than some tens */

void
vc_ivf_prefetch_room(const VcIvfShape *shape, const VcIvfRoom *room)
{
	Page		page;
	VcIvfBlock *block;
	char	   *codes;

	if (room->buffer <= 0) /* not known, or of a temporary table */
		return;
	page = BufferGetPage(room->buffer);
	block = vc_ivf_blocks(page) + room->block;
	codes = VcPageGetPayload(page) + shape->codes + room->block * shape->plane;
	vc_prefetch(page, SizeOfPageHeaderData);
	for (int i = 0; i < room->block; i++)
		vc_prefetch(vc_ivf_blocks(page) + i, 1);
	vc_prefetch(block, sizeof(VcIvfBlock));
	vc_prefetch(codes, Min(Min(shape->plane, shape->first_codes), PREFETCH_CODES));
}

bool
vc_ivf_add_row(VcIvf *ivf, const VcIvfShape *shape, BlockNumber head, ItemPointer tid, const VcIvfRow *row)
{
	Buffer		buffer = vc_ivf_read_segment(ivf, shape, head, BUFFER_LOCK_SHARE);
	BlockNumber from = vc_ivf_segment(BufferGetPage(buffer))->room;
	VcIvfRoom	room = {.segment = from == InvalidBlockNumber ? head : from};
	bool		grown;

	UnlockReleaseBuffer(buffer);
	from = room.segment;
	grown = add_row(ivf, shape, &room, tid, row);
	if (room.segment != from)
		vc_ivf_note_room(ivf, shape, head, room.segment);
	return grown;
}
