/*
 * free.c
 *		Free pages: two chains that begin in the meta page, one of pages for segments and one of vector pages.
 *
 * Vacuum puts pages there while it alone can see the index (repack.c); who adds a segment or vector pages takes the first
 * of the chain. The meta page's content lock guards both chains; a free page is locked after it. Whoever comes
 * here may hold segments' locks; nobody takes one while holding the meta page's.
 */
#include "ivf/free.h"

#include "ivf/change.h"

static BlockNumber *
chain_of(Page meta, VcIvfFreeFor purpose)
{
	return &((VcIvfMeta *) VcPageGetPayload(meta))->free[purpose];
}

static Buffer
read_meta(VcIvf *ivf, int mode)
{
	Buffer buffer = ReadBuffer(ivf->index, VC_IVF_META_BLOCK);

	LockBuffer(buffer, mode);
	vc_page_check(ivf->index, VC_IVF_META_BLOCK, BufferGetPage(buffer), VC_IVF_MAGIC, VC_IVF_META, sizeof(VcIvfMeta));
	return buffer;
}

Buffer
vc_ivf_read_free(VcIvf *ivf, BlockNumber block, int mode)
{
	Buffer buffer = vc_ivf_read_block(ivf, block);

	LockBuffer(buffer, mode);
	vc_page_check(ivf->index, block, BufferGetPage(buffer), VC_IVF_MAGIC, VC_IVF_FREE, sizeof(VcIvfFree));
	return buffer;
}

void
vc_ivf_take_pages(VcIvf *ivf, VcIvfFreeFor purpose, uint32 count, Buffer *buffers)
{
	Buffer		meta;
	BlockNumber first;
	VcIvfFree  *unit;
	VcIvfChange change;

	/* While an index is built nothing is free; and only pages for rows are kept in chains. */
	if (!ivf->wal || count != vc_ivf_free_pages(ivf, purpose))
	{
		vc_page_extend(ivf->index, ivf->fork, count, buffers);
		return;
	}
	meta = read_meta(ivf, BUFFER_LOCK_SHARE);
	first = *chain_of(BufferGetPage(meta), purpose);
	if (first != InvalidBlockNumber)
	{
		LockBuffer(meta, BUFFER_LOCK_UNLOCK);
		LockBuffer(meta, BUFFER_LOCK_EXCLUSIVE);
		first = *chain_of(BufferGetPage(meta), purpose);
	}
	if (first == InvalidBlockNumber)
	{
		UnlockReleaseBuffer(meta);
		vc_page_extend(ivf->index, ivf->fork, count, buffers);
		return;
	}
	buffers[0] = vc_ivf_read_free(ivf, first, BUFFER_LOCK_EXCLUSIVE);
	unit = (VcIvfFree *) VcPageGetPayload(BufferGetPage(buffers[0]));
	if (unit->pages != count)
		vc_page_corrupted(ivf->index, first, "%u pages are free where %u were expected", unit->pages, count);
	for (uint32 i = 1; i < count; i++)
	{
		buffers[i] = vc_ivf_read_block(ivf, first + i);
		LockBuffer(buffers[i], BUFFER_LOCK_EXCLUSIVE);
	}
	vc_ivf_change_begin(ivf, &change);
	*chain_of(vc_ivf_change_page(&change, meta, false), purpose) = unit->next;
	vc_ivf_change_end(&change);
	UnlockReleaseBuffer(meta);
}

void
vc_ivf_free_unit(VcIvf *ivf, VcIvfFreeFor purpose, BlockNumber first, Buffer last, void (*clear)(Page page, void *arg),
				 void *arg)
{
	Buffer		 meta;
	Buffer		 buffer;
	BlockNumber *chain;
	Page		 page;
	VcIvfFree	*unit;
	VcIvfChange	 change;

	meta = read_meta(ivf, BUFFER_LOCK_EXCLUSIVE);
	buffer = vc_ivf_read_block(ivf, first);
	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	if (vc_page_kind(ivf->index, first, BufferGetPage(buffer), VC_IVF_MAGIC) == VC_IVF_FREE)
		vc_page_corrupted(ivf->index, first, "a page that is in use is among the free ones");
	vc_ivf_change_begin(ivf, &change);
	chain = chain_of(vc_ivf_change_page(&change, meta, false), purpose);
	page = vc_ivf_change_page(&change, buffer, true);
	vc_page_init(page, VC_IVF_MAGIC, VC_IVF_FREE, sizeof(VcIvfFree));
	unit = (VcIvfFree *) VcPageGetPayload(page);
	unit->next = *chain;
	unit->pages = vc_ivf_free_pages(ivf, purpose);
	*chain = first;
	if (BufferIsValid(last))
		clear(vc_ivf_change_page(&change, last, false), arg);
	vc_ivf_change_end(&change);
	UnlockReleaseBuffer(buffer);
	UnlockReleaseBuffer(meta);
}

void
vc_ivf_free_run(VcIvf *ivf, BlockNumber first, uint32 count)
{
	uint32 pages = vc_ivf_free_pages(ivf, VC_IVF_FREE_SEGMENTS);

	for (uint32 i = 0; i + pages <= count; i += pages)
		vc_ivf_free_unit(ivf, VC_IVF_FREE_SEGMENTS, first + i, InvalidBuffer, NULL, NULL);
}
