/*
 * page.c
 *		Pages of both access methods. See page.h. Takes the relation extension lock in vc_page_extend and vc_page_extend_among; writes
 *		no WAL: what a page holds is logged by whoever fills it.
 */
#include "am/page.h"

#include "storage/freespace.h"
#include "storage/lmgr.h"

/* Where others wait to extend a relation, whoever does extends it by so many pages for each of them, too. */
#define SPARES_FOR_EACH 8
#define SPARES_AT_MOST 64

void
vc_page_init(Page page, uint32 magic, uint16 kind, Size used)
{
	VcPageOpaque *opaque;

	Assert(used <= VC_PAGE_PAYLOAD && kind >= 1 && kind <= VC_PAGE_MAX_KIND);
	PageInit(page, BLCKSZ, sizeof(VcPageOpaque));
	((PageHeader) page)->pd_lower = SizeOfPageHeaderData + used;
	opaque = VcPageGetOpaque(page);
	opaque->magic = magic;
	opaque->kind = kind;
	opaque->page_id = VC_PAGE_ID;
	((PageHeader) page)->pd_prune_xid = magic + kind;
}

uint16
vc_page_kind(Relation index, BlockNumber block, Page page, uint32 magic)
{
	PageHeader header = (PageHeader) page;
	uint32	   kind = header->pd_prune_xid - magic;

	if (unlikely(header->pd_special != BLCKSZ - MAXALIGN(sizeof(VcPageOpaque))))
		vc_page_corrupted(index, block, PageIsNew(page) ? "the page is all zeros" : "the page header is damaged");
	if (unlikely(kind < 1 || kind > VC_PAGE_MAX_KIND))
		vc_page_corrupted(index, block, "the page does not belong to this access method");
	return kind;
}

void
vc_page_check(Relation index, BlockNumber block, Page page, uint32 magic, uint16 kind, Size used)
{
	PageHeader header = (PageHeader) page;
	uint16	   found = vc_page_kind(index, block, page, magic);

	if (unlikely(found != kind))
		vc_page_corrupted(index, block, "the page is of kind %u where %u was expected", found, kind);
	if (unlikely(header->pd_lower < SizeOfPageHeaderData + used || header->pd_lower > header->pd_special))
		vc_page_corrupted(index, block, "the page holds fewer bytes than its kind needs");
}

void
vc_page_corrupted(Relation index, BlockNumber block, const char *what, ...)
{
	va_list args;
	char	detail[256];

	va_start(args, what);
	vsnprintf(detail, sizeof(detail), what, args);
	va_end(args);
	ereport(ERROR,
			(errcode(ERRCODE_INDEX_CORRUPTED),
			 errmsg("index \"%s\" is corrupted at block %u: %s", RelationGetRelationName(index), block, detail),
			 errhint("Rebuild it with REINDEX INDEX.")));
}

void
vc_page_extend(Relation index, ForkNumber fork, int count, Buffer *buffers)
{
	LockRelationForExtension(index, ExclusiveLock);
#if PG_VERSION_NUM >= 160000
	/* One call may extend by fewer than asked; the pages must be consecutive, hence the lock across calls. */
	for (int got = 0; got < count;)
	{
		uint32 extended = 0;

		(void) ExtendBufferedRelBy(BMR_REL(index), fork, NULL, EB_SKIP_EXTENSION_LOCK, count - got, buffers + got,
								   &extended);
		for (uint32 i = 0; i < extended; i++)
			LockBuffer(buffers[got + i], BUFFER_LOCK_EXCLUSIVE);
		got += extended;
	}
#else
	for (int i = 0; i < count; i++)
		buffers[i] = ReadBufferExtended(index, fork, P_NEW, RBM_ZERO_AND_LOCK, NULL);
#endif
	UnlockRelationForExtension(index, ExclusiveLock);
}

/* Extend by a page that stays as it is, all zeros. The extension lock is held. */
static BlockNumber
extend_by_spare(Relation index)
{
	Buffer		buffer;
	BlockNumber block;

#if PG_VERSION_NUM >= 160000
	buffer = ExtendBufferedRel(BMR_REL(index), MAIN_FORKNUM, NULL, EB_SKIP_EXTENSION_LOCK);
#else
	buffer = ReadBufferExtended(index, MAIN_FORKNUM, P_NEW, RBM_NORMAL, NULL);
#endif
	block = BufferGetBlockNumber(buffer);
	ReleaseBuffer(buffer);
	return block;
}

BlockNumber
vc_page_extend_among(Relation index, Size bytes, Buffer *buffer)
{
	BlockNumber block;
	BlockNumber first;
	BlockNumber spare = InvalidBlockNumber;
	int			spares = 0;

	*buffer = InvalidBuffer;
	if (!ConditionalLockRelationForExtension(index, ExclusiveLock))
	{
		LockRelationForExtension(index, ExclusiveLock);
		block = GetPageWithFreeSpace(index, bytes);
		if (block != InvalidBlockNumber)
		{
			UnlockRelationForExtension(index, ExclusiveLock);
			return block;
		}
		spares = Min(RelationExtensionLockWaiterCount(index) * SPARES_FOR_EACH, SPARES_AT_MOST);
	}
#if PG_VERSION_NUM >= 160000
	*buffer = ExtendBufferedRel(BMR_REL(index), MAIN_FORKNUM, NULL, EB_SKIP_EXTENSION_LOCK | EB_LOCK_FIRST);
#else
	*buffer = ReadBufferExtended(index, MAIN_FORKNUM, P_NEW, RBM_ZERO_AND_LOCK, NULL);
#endif
	first = BufferGetBlockNumber(*buffer);
	for (int i = 0; i < spares; i++)
	{
		spare = extend_by_spare(index);
		RecordPageWithFreeSpace(index, spare, bytes);
	}
	/* What the map's leaves say is seen by those who search it from its root. */
	if (spares > 0)
		FreeSpaceMapVacuumRange(index, first, spare + 1);
	UnlockRelationForExtension(index, ExclusiveLock);
	return first;
}
