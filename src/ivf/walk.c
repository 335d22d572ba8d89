/*
 * walk.c
 *		See walk.h. Share locks one segment at a time.
 */
#include "ivf/walk.h"

#include "ivf/free.h"

#include <math.h>

#include "access/table.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

void
vc_ivf_open_for_owner(Oid index_oid, LOCKMODE table_mode, Relation *table, Relation *index)
{
	Oid	 table_oid = IndexGetRelation(index_oid, true);
	bool owner;

	/* The table first, as everywhere. */
	if (!OidIsValid(table_oid))
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("\"%s\" is not an index", get_rel_name(index_oid))));
	*table = table_open(table_oid, table_mode);
	*index = index_open(index_oid, AccessShareLock);
	if ((*index)->rd_rel->relam != get_am_oid("vc_ivf", false))
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("index \"%s\" is not a vc_ivf index", RelationGetRelationName(*index))));
#if PG_VERSION_NUM >= 160000
	owner = object_ownercheck(RelationRelationId, index_oid, GetUserId());
#else
	owner = pg_class_ownercheck(index_oid, GetUserId());
#endif
	if (!owner)
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_INDEX, RelationGetRelationName(*index));
	if (RELATION_IS_OTHER_TEMP(*index))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot look into temporary indexes of other sessions")));
}

void
vc_ivf_close_for_owner(LOCKMODE table_mode, Relation table, Relation index)
{
	index_close(index, AccessShareLock);
	table_close(table, table_mode);
}

void
vc_ivf_walk_claim(VcIvfWalk *walk, BlockNumber from, BlockNumber first, uint32 count)
{
	for (uint32 i = 0; i < count; i++)
	{
		BlockNumber block = first + i;

		if (first == InvalidBlockNumber || block >= walk->nblocks)
			vc_page_corrupted(walk->ivf->index, from, "a link leads to block %u of %u", block, walk->nblocks);
		if (walk->seen[block / 8] & (1 << block % 8))
			vc_page_corrupted(walk->ivf->index, from, "a link leads to block %u, which has been met before", block);
		walk->seen[block / 8] |= 1 << block % 8;
		walk->nseen++;
	}
}

static void
walk_list(VcIvfWalk *walk, const VcIvfShape *shape, uint32 list, BlockNumber from, BlockNumber head, VcIvfVisit visit,
		  void *arg)
{
	BlockNumber block = head;

	while (block != InvalidBlockNumber)
	{
		Buffer		  buffer;
		Page		  page;
		VcIvfSegment *segment;
		BlockNumber	  next;

		CHECK_FOR_INTERRUPTS();
		vc_ivf_walk_claim(walk, from, block, shape->segment_pages);
		buffer = vc_ivf_read_segment(walk->ivf, shape, block, BUFFER_LOCK_SHARE);
		page = BufferGetPage(buffer);
		segment = vc_ivf_segment(page);
		if (list != VC_IVF_ROOT && segment->list != list)
			vc_page_corrupted(walk->ivf->index, block, "a segment of list %u is linked into list %u", segment->list, list);
		if (block != head && segment->room != InvalidBlockNumber)
			vc_page_corrupted(walk->ivf->index, block, "a segment that is not the first of its list has a hint");
		visit(walk, shape, list, block, page, arg);
		next = segment->next;
		UnlockReleaseBuffer(buffer);
		from = block;
		block = next;
	}
}

typedef struct RootVisit
{
	VcIvfVisit visit;
	void	  *arg;
	VcIvfVector *vector;
	BlockNumber *branches; /* gets the branches' first blocks, where the root has those; else null */
	uint32		 nbranches;
} RootVisit;

static void
visit_root(VcIvfWalk *walk, const VcIvfShape *shape, uint32 list, BlockNumber segment, Page page, void *arg)
{
	RootVisit  *root = arg;
	VcIvfBlock *blocks = vc_ivf_blocks(page);

	for (uint32 i = 0; i < shape->segment_blocks; i++)
		for (uint32 live = blocks[i].live; live != 0; live &= live - 1)
		{
			int	   slot = pg_rightmost_one_pos32(live);
			float *centroid;

			if (root->branches != NULL ? root->nbranches == walk->ivf->meta.branches : walk->nlists == walk->ivf->meta.lists)
				vc_page_corrupted(walk->ivf->index, segment, "the root has more rows than the meta page says");
			vc_ivf_read_vector(walk->ivf, shape, blocks[i].vectors, slot, root->vector);
			if (!ItemPointerEquals(&root->vector->tid, &blocks[i].tid[slot]))
				vc_page_corrupted(walk->ivf->index, segment, "the centroid of slot %d of block %u belongs to another list", slot, i);
			centroid = (float *) root->vector->data;
			for (uint32 j = 0; j < shape->padded; j++)
				if (!isfinite(centroid[j]))
					vc_page_corrupted(walk->ivf->index, segment, "the centroid of slot %d of block %u is not finite", slot, i);
			if (root->branches != NULL)
			{
				root->branches[root->nbranches++] = ItemPointerGetBlockNumberNoCheck(&blocks[i].tid[slot]);
				continue;
			}
			memcpy(walk->centroids + (Size) walk->nlists * shape->padded, centroid, sizeof(float) * shape->padded);
			walk->heads[walk->nlists++] = ItemPointerGetBlockNumberNoCheck(&blocks[i].tid[slot]);
		}
	root->visit(walk, shape, list, segment, page, root->arg);
}

static void
walk_free(VcIvfWalk *walk, VcIvfFreeFor purpose)
{
	uint32		pages = vc_ivf_free_pages(walk->ivf, purpose);
	BlockNumber from = VC_IVF_META_BLOCK;

	for (BlockNumber block = walk->ivf->meta.free[purpose]; block != InvalidBlockNumber;)
	{
		Buffer	  buffer;
		VcIvfFree unit;

		CHECK_FOR_INTERRUPTS();
		vc_ivf_walk_claim(walk, from, block, pages);
		buffer = vc_ivf_read_free(walk->ivf, block, BUFFER_LOCK_SHARE);
		unit = *(VcIvfFree *) VcPageGetPayload(BufferGetPage(buffer));
		UnlockReleaseBuffer(buffer);
		if (unit.pages != pages)
			vc_page_corrupted(walk->ivf->index, block, "%u pages are free where %u were expected", unit.pages, pages);
		walk->nfree += pages;
		from = block;
		block = unit.next;
	}
}

void
vc_ivf_walk(VcIvfWalk *walk, VcIvf *ivf, VcIvfVisit visit, void *arg)
{
	RootVisit root = {.visit = visit, .arg = arg, .vector = palloc(ivf->root.vector_bytes)};

	if (ivf->meta.branches > 0)
		root.branches = palloc(sizeof(BlockNumber) * ivf->meta.branches);
	memset(walk, 0, sizeof(*walk));
	walk->ivf = ivf;
	walk->nblocks = RelationGetNumberOfBlocks(ivf->index);
	walk->seen = palloc0(walk->nblocks / 8 + 1);
	walk->heads = palloc(sizeof(BlockNumber) * ivf->meta.lists);
	walk->centroids = palloc_extended(sizeof(float) * ivf->meta.lists * ivf->root.padded, MCXT_ALLOC_HUGE);
	vc_ivf_walk_claim(walk, VC_IVF_META_BLOCK, VC_IVF_META_BLOCK, 1);
	vc_ivf_walk_claim(walk, VC_IVF_META_BLOCK, ivf->meta.centre, ivf->root.pages_per_vector);
	walk_list(walk, &ivf->root, VC_IVF_ROOT, VC_IVF_META_BLOCK, ivf->meta.root, visit_root, &root);
	if (root.branches != NULL)
	{
		BlockNumber *branches = root.branches;

		root.branches = NULL;
		for (uint32 i = 0; i < root.nbranches; i++)
			walk_list(walk, &ivf->root, VC_IVF_ROOT, ivf->meta.root, branches[i], visit_root, &root);
	}
	if (walk->nlists != ivf->meta.lists)
		vc_page_corrupted(ivf->index, ivf->meta.root, "the root has %u lists, the meta page says %u", walk->nlists,
						  ivf->meta.lists);
	for (uint32 list = 0; list < walk->nlists; list++)
		walk_list(walk, &ivf->rows, list, ivf->meta.root, walk->heads[list], visit, arg);
}

void
vc_ivf_walk_free(VcIvfWalk *walk)
{
	walk_free(walk, VC_IVF_FREE_SEGMENTS);
	walk_free(walk, VC_IVF_FREE_VECTORS);
}
