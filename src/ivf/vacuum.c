/*
 * vacuum.c
 *		VACUUM: one pass over all lists, clearing the live bits of dead rows in place; afterwards sparse lists are repacked.
 *
 * Why that is safe against scans: a scan takes a row's TID out under the page's share lock and fetches the tuple later.
 * The tuple may be gone by then, or its place used by a newer one; the scan's snapshot, older than either, sees neither. Only
 * MVCC snapshots scan. A freed slot is used again by the next insert into the list; a scan that has noted the slot's vector
 * entry compares the TID there with the one it has.
 *
 * Locks: each segment's first page exclusively, one at a time. WAL: a generic record for each page that changes.
 */
#include "ivf/ivf.h"

#include "am/wal.h"
#include "commands/vacuum.h"
#include "ivf/repack.h"
#include "miscadmin.h"
#include "storage/lmgr.h"

typedef struct Vacuum
{
	VcIvf					ivf;
	IndexBulkDeleteResult  *stats;
	IndexBulkDeleteCallback callback; /* null: only count */
	void				   *callback_state;
	uint64					copies; /* slots in use, second copies included */
} Vacuum;

/* Clear what is dead in a segment, whose first page is exclusively locked; true if there is room afterwards. */
static bool
clean_segment(Vacuum *vacuum, Buffer buffer)
{
	VcIvfBlock		 *blocks = vc_ivf_blocks(BufferGetPage(buffer));
	uint32			  nblocks = vacuum->ivf.rows.segment_blocks;
	VcWal			 *xlog = NULL;
	bool			  room = false;

	for (uint32 i = 0; i < nblocks; i++)
	{
		uint32 dead = 0;

		for (uint32 live = blocks[i].live; live != 0 && vacuum->callback != NULL; live &= live - 1)
		{
			int slot = pg_rightmost_one_pos32(live);

			if (vacuum->callback(&blocks[i].tid[slot], vacuum->callback_state))
				dead |= (uint32) 1 << slot;
		}
		if (dead != 0 && xlog == NULL)
		{
			/* From here on the copy is what counts; the bits of earlier blocks are equal in both. */
			xlog = vc_wal_start(vacuum->ivf.index);
			blocks = vc_ivf_blocks(vc_wal_register(xlog, buffer, false));
		}
		if (dead != 0)
			blocks[i].live &= ~dead;
		vacuum->stats->tuples_removed += pg_popcount32(dead & ~blocks[i].spilled);
		vacuum->stats->num_index_tuples += pg_popcount32(blocks[i].live & ~blocks[i].spilled);
		vacuum->copies += pg_popcount32(blocks[i].live);
		room |= blocks[i].live != PG_UINT32_MAX;
	}
	if (xlog != NULL)
		vc_wal_finish(xlog);
	return room;
}

static void
clean_list(Vacuum *vacuum, BlockNumber head)
{
	VcIvf	   *ivf = &vacuum->ivf;
	BlockNumber here = head;
	BlockNumber room = InvalidBlockNumber;
	uint64		copies_before = vacuum->copies;
	uint64		segments = 0;

	while (here != InvalidBlockNumber)
	{
		Buffer		buffer;
		BlockNumber next;

#if PG_VERSION_NUM >= 180000
		vacuum_delay_point(false);
#else
		vacuum_delay_point();
#endif
		buffer = vc_ivf_read_segment(ivf, &ivf->rows, here, BUFFER_LOCK_EXCLUSIVE);
		if (clean_segment(vacuum, buffer) && room == InvalidBlockNumber)
			room = here;
		next = vc_ivf_segment(BufferGetPage(buffer))->next;
		UnlockReleaseBuffer(buffer);
		here = next;
		vc_ivf_check_length(ivf, head, ++segments);
	}
	if (vc_ivf_repack_pays(ivf, (uint64) (vacuum->copies - copies_before), segments))
		vacuum->stats->pages_free += segments * ivf->rows.segment_pages / 2;
	if (vacuum->callback != NULL && room != InvalidBlockNumber)
		vc_ivf_note_room(ivf, &ivf->rows, head, room);
}

static IndexBulkDeleteResult *
vacuum_index(IndexVacuumInfo *info, IndexBulkDeleteResult *stats, IndexBulkDeleteCallback callback, void *callback_state)
{
	Vacuum		vacuum = {.callback = callback, .callback_state = callback_state};
	VcIvf	   *ivf = &vacuum.ivf;
	BlockNumber *heads;
	uint32		count;

	if (stats == NULL)
		stats = palloc0(sizeof(IndexBulkDeleteResult));
	vacuum.stats = stats;

	/* No new lists while rows are taken out: they would bring back what has been taken out. */
	LockPage(info->index, VC_IVF_TRAINING_LOCK, ShareLock);
	vc_ivf_open(ivf, info->index);
	stats->num_index_tuples = 0;
	stats->pages_free = 0; /* those that repacking would set free */
	for (int i = 0; i < VC_IVF_TRAININGS; i++)
		stats->pages_free += ivf->meta.retired[i] != InvalidBlockNumber;
	stats->estimated_count = false;
	heads = vc_ivf_heads(ivf, &count);
	for (uint32 i = 0; i < count; i++)
		clean_list(&vacuum, heads[i]);
	pfree(heads);
	UnlockPage(info->index, VC_IVF_TRAINING_LOCK, ShareLock);
	stats->num_pages = RelationGetNumberOfBlocks(info->index);
	return stats;
}

IndexBulkDeleteResult *
vc_ivf_bulkdelete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats, IndexBulkDeleteCallback callback,
				  void *callback_state)
{
	return vacuum_index(info, stats, callback, callback_state);
}

IndexBulkDeleteResult *
vc_ivf_vacuumcleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats)
{
	if (info->analyze_only)
		return stats;

	/* Nothing was dead: only the count of rows is wanted. */
	if (stats == NULL)
		stats = vacuum_index(info, NULL, NULL, NULL);
	if (stats->pages_free > 0)
		vc_ivf_repack(info->index);
	return stats;
}
