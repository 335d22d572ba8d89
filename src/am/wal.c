/*
 * wal.c
 *		See wal.h.
 *
 * As in the server's own generic records, what lies between pd_lower and pd_upper is no part of a page: it is zero in the buffer after
 * a change, and replay makes it so.
 */
#include "am/wal.h"

#include "access/rmgr.h"
#include "access/xact.h"
#include "access/xloginsert.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* Offset and length of a fragment, before its bytes. */
#define FRAGMENT_HEADER (2 * sizeof(OffsetNumber))

/* Equal bytes between two fragments cost less than a header up to here. */
#define GAP 8

/* No delta is longer: each fragment of a page but the last is followed by more equal bytes than its header has. */
#define MAX_DELTA (BLCKSZ + 8 * FRAGMENT_HEADER)

typedef struct WalPage
{
	Buffer buffer;
	bool   whole;
	int	   from; /* only these bytes may have been changed; 0 and BLCKSZ: all, the header too */
	int	   to;
	int	   strided_at;
	int	   strided_count; /* of strided[] */
	uint8  strided[VC_WAL_MAX_STRIDES];
	int	   delta_bytes;
	char   delta[MAX_DELTA + FRAGMENT_HEADER + 1];
} WalPage;

struct VcWal
{
	VcWal  *next; /* of all that this backend has */
	bool	used;
	bool	logged;
	int		npages;
	WalPage page[VC_WAL_MAX_PAGES];
	PGAlignedBlock image[VC_WAL_MAX_PAGES];
};

static VcWal *all;

/* An error leaves one in use. */
static void
free_all(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT)
		for (VcWal *wal = all; wal; wal = wal->next)
			wal->used = false;
	(void) arg;
}

VcWal *
vc_wal_start(Relation index)
{
	VcWal *wal = all;

	while (wal && wal->used)
		wal = wal->next;
	if (wal == NULL)
	{
		if (all == NULL)
			RegisterXactCallback(free_all, NULL);
		wal = MemoryContextAlloc(TopMemoryContext, sizeof(VcWal));
		wal->next = all;
		all = wal;
	}
	wal->used = true;
	wal->logged = RelationNeedsWAL(index);
	wal->npages = 0;
	return wal;
}

static char *
add_page(VcWal *wal, Buffer buffer, bool whole, int from, int to)
{
	int i = wal->npages++;

	if (i >= VC_WAL_MAX_PAGES)
		elog(ERROR, "more than %d pages in a WAL record", VC_WAL_MAX_PAGES);
	wal->page[i].buffer = buffer;
	wal->page[i].whole = whole;
	wal->page[i].from = from;
	wal->page[i].to = to;
	wal->page[i].strided_count = 0;
	return wal->image[i].data;
}

Page
vc_wal_register(VcWal *wal, Buffer buffer, bool whole)
{
	char *image = add_page(wal, buffer, whole, 0, BLCKSZ);

	memcpy(image, BufferGetPage(buffer), BLCKSZ);
	return image;
}

Page
vc_wal_register_part(VcWal *wal, Buffer buffer, int from, int to)
{
	char *image = add_page(wal, buffer, false, from, to);
	Page  page = BufferGetPage(buffer);

	Assert(from >= SizeOfPageHeaderData && to <= ((PageHeader) page)->pd_lower);
	memcpy(image, page, SizeOfPageHeaderData);
	memcpy(image + from, (char *) page + from, to - from);
	return image;
}

void
vc_wal_set_strided(VcWal *wal, int at, int count, const uint8 *bytes)
{
	WalPage *page = &wal->page[wal->npages - 1];

	Assert(page->strided_count == 0 && page->from > 0 && at >= page->to);
	Assert(count <= VC_WAL_MAX_STRIDES && at + (count - 1) * VC_WAL_STRIDE < BLCKSZ);
	page->strided_at = at;
	page->strided_count = count;
	memcpy(page->strided, bytes, count);
}

static void
add_fragment(WalPage *page, const char *image, int from, int to)
{
	OffsetNumber header[2] = {(OffsetNumber) from, (OffsetNumber) (to - from)};

	Assert(page->delta_bytes + FRAGMENT_HEADER + (to - from) <= MAX_DELTA);
	memcpy(page->delta + page->delta_bytes, header, FRAGMENT_HEADER);
	memcpy(page->delta + page->delta_bytes + FRAGMENT_HEADER, image + from, to - from);
	page->delta_bytes += FRAGMENT_HEADER + (to - from);
}

/* The first place from `at` where two pages differ, or `to`. */
static inline int
find_difference(const char *a, const char *b, int at, int to)
{
	while (at < to && at % sizeof(uint64) != 0 && a[at] == b[at])
		at++;
	if (at % sizeof(uint64) == 0)
		while (at + (int) sizeof(uint64) <= to && *(const uint64 *) (a + at) == *(const uint64 *) (b + at))
			at += sizeof(uint64);
	while (at < to && a[at] == b[at])
		at++;
	return at;
}

/* Fragments for the bytes [from, to) of an image; those up to `known` may be equal to what is in the buffer. */
static void
add_differences(WalPage *page, const char *old, const char *image, int from, int known, int to)
{
	int at = find_difference(old, image, from, known);

	while (at < known)
	{
		int start = at;
		int end = at;

		/* On, while the next difference is near. */
		do
		{
			while (at < known && old[at] != image[at])
				at++;
			end = at;
			at = find_difference(old, image, at, known);
		} while (at < known && at - end <= GAP);
		if (at == known && to > known && known - end <= GAP)
		{
			add_fragment(page, image, start, to);
			return;
		}
		add_fragment(page, image, start, end);
	}
	if (to > known)
		add_fragment(page, image, known, to);
}

/*
 * Fragments of a byte each. Whether one is needed is as good as random, so all are written, and what is not needed is written over:
 * the last may begin where a delta of MAX_DELTA bytes ends.
 */
static void
add_strided(WalPage *page, const char *old)
{
	char *p = page->delta + page->delta_bytes;
	int	  at = page->strided_at;

	for (int i = 0; i < page->strided_count; i++, at += VC_WAL_STRIDE)
	{
		OffsetNumber header[2] = {(OffsetNumber) at, 1};

		memcpy(p, header, FRAGMENT_HEADER);
		p[FRAGMENT_HEADER] = (char) page->strided[i];
		p += (uint8) old[at] != page->strided[i] ? FRAGMENT_HEADER + 1 : 0;
	}
	page->delta_bytes = (int) (p - page->delta);
}

static void
compute_delta(WalPage *page, const char *old, const char *image)
{
	int lower = ((PageHeader) image)->pd_lower;
	int upper = ((PageHeader) image)->pd_upper;
	int old_lower = ((PageHeader) old)->pd_lower;
	int old_upper = ((PageHeader) old)->pd_upper;

	page->delta_bytes = 0;
	if (page->from > 0)
	{
		add_differences(page, old, image, page->from, page->to, page->to);
		add_strided(page, old);
		return;
	}
	add_differences(page, old, image, 0, Min(lower, old_lower), lower);
	if (upper < old_upper)
		add_fragment(page, image, upper, old_upper);
	add_differences(page, old, image, Max(upper, old_upper), BLCKSZ, BLCKSZ);
}

void
vc_wal_finish(VcWal *wal)
{
	XLogRecPtr lsn = InvalidXLogRecPtr;

	for (int i = 0; i < wal->npages; i++)
		if (wal->logged && !wal->page[i].whole)
			compute_delta(&wal->page[i], BufferGetPage(wal->page[i].buffer), wal->image[i].data);

	if (wal->logged)
		XLogBeginInsert();
	START_CRIT_SECTION();
	for (int i = 0; i < wal->npages; i++)
	{
		WalPage	  *page = &wal->page[i];
		char	  *image = wal->image[i].data;
		Page	   target = BufferGetPage(page->buffer);
		PageHeader header = (PageHeader) image;

		if (page->from == 0)
			memset(image + header->pd_lower, 0, header->pd_upper - header->pd_lower);
		memcpy((char *) target + page->from, image + page->from, page->to - page->from);
		for (int s = 0; s < page->strided_count; s++)
			((uint8 *) target)[page->strided_at + s * VC_WAL_STRIDE] = page->strided[s];
		MarkBufferDirty(page->buffer);
		if (!wal->logged)
			continue;
		XLogRegisterBuffer(i, page->buffer, REGBUF_STANDARD | (page->whole ? REGBUF_FORCE_IMAGE : 0));
		if (!page->whole)
			XLogRegisterBufData(i, page->delta, page->delta_bytes);
	}
	if (wal->logged)
	{
		lsn = XLogInsert(RM_GENERIC_ID, 0);
		for (int i = 0; i < wal->npages; i++)
			PageSetLSN(BufferGetPage(wal->page[i].buffer), lsn);
	}
	END_CRIT_SECTION();
	wal->used = false;
}

void
vc_wal_abort(VcWal *wal)
{
	wal->used = false;
}
