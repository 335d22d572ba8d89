/*
 * repack.c
 *		After VACUUM: rows of sparse lists move to the lists' front, and the pages behind become free.
 *
 * A scan that is between two segments of a list would miss a row that moves, or see it twice, and one that has noted the place
 * of a list would find other pages there. So lists are repacked while nobody looks: under an access exclusive lock on the
 * index, which is taken only if it can be had at once, as VACUUM takes it to cut off a table's empty end. Everyone who reads
 * the index holds a weaker one until the end of the transaction, and everyone who writes, until the end of the statement. The lock is given back after every moment's
 * work. It is logged, so a standby's queries are out of the way, too, when it replays the changes.
 *
 * A row moves by one record over both pages; a page that becomes free, and what referred to it, are changed by one, too. So
 * a crash leaves a list that is repacked in part.
 */
#include "ivf/repack.h"

#include "access/xact.h"
#include "ivf/change.h"
#include "ivf/free.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"

/* Others are let in after so many milliseconds. */
#define TURN_MS 20

/* How often, and how long apart in milliseconds, the lock is asked for. */
#define LOCK_TRIES 10
#define LOCK_PAUSE_MS 20

typedef struct Segments
{
	BlockNumber *blocks;
	uint32		 count;
	uint32		 room;
} Segments;

/* The segments of a chain; returns how many rows they hold. */
static uint64
collect_segments(VcIvf *ivf, const VcIvfShape *shape, BlockNumber head, Segments *segments)
{
	uint64		rows = 0;
	BlockNumber nblocks = RelationGetNumberOfBlocks(ivf->index);

	segments->count = 0;
	for (BlockNumber block = head; block != InvalidBlockNumber;)
	{
		Buffer		buffer = vc_ivf_read_segment(ivf, shape, block, BUFFER_LOCK_SHARE);
		VcIvfBlock *blocks = vc_ivf_blocks(BufferGetPage(buffer));

		if (segments->count == segments->room)
		{
			segments->room = Max(64, segments->room * 2);
			segments->blocks = segments->blocks == NULL ? palloc(sizeof(BlockNumber) * segments->room)
														: repalloc_huge(segments->blocks, sizeof(BlockNumber) * segments->room);
		}
		segments->blocks[segments->count++] = block;
		for (uint32 i = 0; i < shape->segment_blocks; i++)
			rows += pg_popcount32(blocks[i].live);
		block = vc_ivf_segment(BufferGetPage(buffer))->next;
		UnlockReleaseBuffer(buffer);
		CHECK_FOR_INTERRUPTS();
		if (segments->count > nblocks)
			vc_page_corrupted(ivf->index, head, "the list runs in a circle");
	}
	return rows;
}

static void
clear_vectors(Page page, void *arg)
{
	vc_ivf_blocks(page)[*(int *) arg].vectors = InvalidBlockNumber;
}

static void
clear_next(Page page, void *arg)
{
	vc_ivf_segment(page)->next = InvalidBlockNumber;
}

/* Free the vector pages of a segment whose first page is exclusively locked. */
static void
free_vectors(VcIvf *ivf, const VcIvfShape *shape, Buffer buffer)
{
	for (int i = 0; i < shape->segment_blocks; i++)
	{
		BlockNumber vectors = vc_ivf_blocks(BufferGetPage(buffer))[i].vectors;

		if (vectors != InvalidBlockNumber && shape == &ivf->rows)
			vc_ivf_free_unit(ivf, VC_IVF_FREE_VECTORS, vectors, buffer, clear_vectors, &i);
		else if (vectors != InvalidBlockNumber)
			vc_ivf_free_run(ivf, vectors, shape->block_vector_pages);
	}
}

/* Move a list's rows to its first segments, and free those that are left empty. */
static void
repack_list(VcIvf *ivf, VcIvfMover *mover, const Segments *segments)
{
	const VcIvfShape *shape = &ivf->rows;
	BlockNumber		  head = segments->blocks[0];
	uint32			  to = 0;
	uint32			  last = segments->count - 1;

	while (to < last)
	{
		Buffer buffer = vc_ivf_read_segment(ivf, shape, segments->blocks[to], BUFFER_LOCK_EXCLUSIVE);
		Buffer from = vc_ivf_read_segment(ivf, shape, segments->blocks[last], BUFFER_LOCK_EXCLUSIVE);
		bool   emptied = vc_ivf_move_rows(mover, from, buffer);

		if (emptied)
			free_vectors(ivf, shape, from);
		UnlockReleaseBuffer(from);
		UnlockReleaseBuffer(buffer);
		CHECK_FOR_INTERRUPTS();
		if (!emptied)
		{
			to++;
			continue;
		}
		buffer = vc_ivf_read_segment(ivf, shape, segments->blocks[last - 1], BUFFER_LOCK_EXCLUSIVE);
		vc_ivf_free_unit(ivf, VC_IVF_FREE_SEGMENTS, segments->blocks[last], buffer, clear_next, NULL);
		UnlockReleaseBuffer(buffer);
		last--;
	}
	vc_ivf_note_room(ivf, shape, head, segments->blocks[to]);
}

/* Free all pages of a list that nothing refers to. */
static void
free_list(VcIvf *ivf, const VcIvfShape *shape, const Segments *segments)
{
	for (uint32 i = 0; i < segments->count; i++)
	{
		Buffer buffer = vc_ivf_read_segment(ivf, shape, segments->blocks[i], BUFFER_LOCK_EXCLUSIVE);

		free_vectors(ivf, shape, buffer);
		UnlockReleaseBuffer(buffer);
		vc_ivf_free_run(ivf, segments->blocks[i], shape->segment_pages);
		CHECK_FOR_INTERRUPTS();
	}
}

/* The heads of all lists that a retired root has; it had few rows, and no branches. */
static void
collect_heads(VcIvf *ivf, const Segments *root, Segments *heads)
{
	heads->count = 0;
	for (uint32 i = 0; i < root->count; i++)
	{
		Buffer		buffer = vc_ivf_read_segment(ivf, &ivf->root, root->blocks[i], BUFFER_LOCK_SHARE);
		VcIvfBlock *blocks = vc_ivf_blocks(BufferGetPage(buffer));
		uint32		most = heads->count + ivf->root.segment_blocks * VC_RABITQ_BLOCK;

		if (most > heads->room)
		{
			heads->room = most * 2;
			heads->blocks = heads->blocks == NULL ? palloc(sizeof(BlockNumber) * heads->room)
												  : repalloc_huge(heads->blocks, sizeof(BlockNumber) * heads->room);
		}
		for (uint32 j = 0; j < ivf->root.segment_blocks; j++)
			for (uint32 live = blocks[j].live; live != 0; live &= live - 1)
				heads->blocks[heads->count++] =
					ItemPointerGetBlockNumberNoCheck(&blocks[j].tid[pg_rightmost_one_pos32(live)]);
		UnlockReleaseBuffer(buffer);
	}
}

/* Free the lists that the index had before it trained itself. Until that is noted, a crash makes them be lost. */
static void
free_retired(VcIvf *ivf)
{
	for (int i = 0; i < VC_IVF_TRAININGS; i++)
	{
		BlockNumber retired = ivf->meta.retired[i];
		BlockNumber centre = ivf->meta.retired_centre[i];
		Segments	root = {0};
		Segments	heads = {0};
		Segments	segments = {0};

		if (retired == InvalidBlockNumber)
			continue;
		ivf->meta.retired[i] = InvalidBlockNumber;
		ivf->meta.retired_centre[i] = InvalidBlockNumber;
		vc_ivf_write_meta(ivf);
		(void) collect_segments(ivf, &ivf->root, retired, &root);
		collect_heads(ivf, &root, &heads);
		for (uint32 j = 0; j < heads.count; j++)
		{
			(void) collect_segments(ivf, &ivf->rows, heads.blocks[j], &segments);
			free_list(ivf, &ivf->rows, &segments);
		}
		free_list(ivf, &ivf->root, &root);
		vc_ivf_free_run(ivf, centre, ivf->root.pages_per_vector);
	}
}

static bool
lock_index(Relation index)
{
	for (int i = 0; i < LOCK_TRIES; i++)
	{
		if (ConditionalLockRelation(index, AccessExclusiveLock))
			return true;
		CHECK_FOR_INTERRUPTS();
		pg_usleep(LOCK_PAUSE_MS * 1000);
	}
	return false;
}

static bool
has_trained(VcIvf *ivf)
{
	VcIvfMeta meta;

	vc_ivf_read_meta(ivf->index, ivf->metric, &meta);
	return meta.root != ivf->meta.root;
}

void
vc_ivf_repack(Relation index)
{
	MemoryContext context;
	MemoryContext old;
	VcIvf		  ivf;
	BlockNumber	 *heads;
	uint32		  count;
	Segments	  segments = {0};
	VcIvfMover	 *mover;
	bool		  locked = true;
	instr_time	  start;

	/* The lock is logged under a transaction's number, which cannot be had beside parallel workers. */
	if (IsInParallelMode() || !lock_index(index))
		return;
	context = AllocSetContextCreate(CurrentMemoryContext, "vc_ivf repack", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	vc_ivf_open(&ivf, index);
	free_retired(&ivf);
	heads = vc_ivf_heads(&ivf, &count);
	mover = vc_ivf_mover_new(&ivf, &ivf.rows);
	INSTR_TIME_SET_CURRENT(start);
	for (uint32 i = 0; i < count; i++)
	{
		uint64	   rows = collect_segments(&ivf, &ivf.rows, heads[i], &segments);
		instr_time now;

		if (vc_ivf_repack_pays(&ivf, rows, segments.count))
			repack_list(&ivf, mover, &segments);
		INSTR_TIME_SET_CURRENT(now);
		INSTR_TIME_SUBTRACT(now, start);
		if (INSTR_TIME_GET_MILLISEC(now) < TURN_MS)
			continue;
		UnlockRelation(index, AccessExclusiveLock);
		locked = lock_index(index);
		if (!locked || has_trained(&ivf)) /* an index that has trained itself meanwhile has other lists */
			break;
		INSTR_TIME_SET_CURRENT(start);
	}
	if (locked)
		UnlockRelation(index, AccessExclusiveLock);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}
