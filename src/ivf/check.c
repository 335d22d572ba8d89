/*
 * check.c
 *		vectorcoll.ivf_check(index, heapallindexed): everything an index promises, held against what its pages say.
 *
 * Held are the pages' kinds and links, each page belonging to one place, bounds and finiteness of what is stored, each row
 * being there once, values in the index being those of their rows, and codes and factors being what encoding the value gives
 * again. With heapallindexed every row the table shows to a fresh snapshot must be in the index, with the code of its
 * value. The first fault is raised as XX002, naming the block.
 *
 * The table is locked in share mode, so that nothing changes meanwhile.
 */
#include "ivf/walk.h"

#include <math.h>

#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* Factors are computed with other roundings on other CPUs. */
#define FACTOR_TOLERANCE 1e-4

typedef struct RowPlace
{
	ItemPointerData tid;
	uint8			block;
	uint8			slot;
	uint32			list;
	BlockNumber		segment;
	bool			spilled;
} RowPlace;

typedef struct CheckState
{
	VcIvf		 *ivf;
	VcIvfWalk	  walk;
	RowPlace	 *rows; /* in the order of their TIDs, once sorted */
	uint64		  nrows;
	uint64		  room;
	float		 *rotated;
	float		 *residual;
	VcIvfRow	  row;
	uint8		 *stored;
	VcIvfRefinement *refinement;
	uint8		 *scratch;
	VcIvfVector	 *vector;
	VcIvfVector	 *expected;
	uint64		  found;
	MemoryContext row_context;
} CheckState;

static bool
about_equal(float a, float b, double scale)
{
	return !(fabs((double) a - b) > FACTOR_TOLERANCE * (scale + fabs((double) a)));
}

/* The code of a rotated value against its list's centroid, and what is stored for it. */
static void
check_code(CheckState *check, const VcIvfShape *shape, const RowPlace *place, Page page, const float *centre)
{
	VcIvf		   *ivf = check->ivf;
	VcIvfBlock	   *block = vc_ivf_blocks(page) + place->block;
	const uint8	   *codes = vc_ivf_codes(ivf, shape, place->segment, page, place->block, check->scratch);
	uint32			padded = shape->padded;
	VcRabitqFactors factors;
	double			scale = 0;
	int				slot = place->slot;

	for (uint32 i = 0; i < padded; i++)
	{
		check->residual[i] = check->rotated[i] - centre[i];
		scale += (double) check->residual[i] * check->residual[i] + (double) centre[i] * centre[i];
	}
	vc_ivf_row_encode(ivf, shape, check->residual, centre, &check->row);
	if (shape->plane > 0)
	{
		vc_rabitq_unpack1(codes, padded, slot, check->stored);
		if (memcmp(check->row.bits, check->stored, (padded + 7) / 8) != 0)
			vc_page_corrupted(ivf->index, place->segment, "the code of slot %d of block %u is not that of its value", slot,
							  place->block);
	}
	factors = check->row.factors;
	if (!about_equal(factors.add, block->add[slot], scale) || !about_equal(factors.rescale, block->rescale[slot], 0) ||
		!about_equal(factors.err, block->err[slot], 0))
		vc_page_corrupted(ivf->index, place->segment, "the factors of slot %d of block %u are not those of its value", slot,
						  place->block);
	if (shape->bits <= 1)
		return;
	vc_ivf_read_refinement(ivf, shape, place->segment, place->block, check->refinement);
	vc_rabitq_unpack(check->refinement->planes, padded, shape->bits - 1, slot, check->stored);
	for (uint32 i = 0; i < padded; i++) /* the highest bit is the one-bit code */
		check->row.code[i] &= (1 << (shape->bits - 1)) - 1;
	factors = check->row.code_factors;
	if (memcmp(check->row.code, check->stored, padded) != 0 ||
		!about_equal(factors.add, check->refinement->add[slot], scale) ||
		!about_equal(factors.rescale, check->refinement->rescale[slot], 0) ||
		!about_equal(factors.err, check->refinement->err[slot], 0))
		vc_page_corrupted(ivf->index, place->segment, "the finer code of slot %d of block %u is not that of its value", slot,
						  place->block);
}

static void
rotate_stored(CheckState *check, const VcIvfVector *vector)
{
	VcValue value = {.data = vector->data, .dim = check->ivf->meta.dim, .scale = vector->scale};

	if (check->ivf->metric->kind == VC_METRIC_COSINE && vector->scale == 0)
		memset(check->rotated, 0, sizeof(float) * check->ivf->rows.padded);
	else
	{
		vc_metric_to_float(check->ivf->metric, value.data, value.scale, value.dim, check->rotated);
		vc_rotation_apply(check->ivf->rotation, check->rotated, check->rotated);
	}
}

static void
check_segment(VcIvfWalk *walk, const VcIvfShape *shape, uint32 list, BlockNumber segment, Page page, void *arg)
{
	CheckState *check = arg;
	VcIvf	   *ivf = check->ivf;
	VcIvfBlock *blocks = vc_ivf_blocks(page);

	for (uint32 i = 0; i < shape->segment_blocks; i++)
	{
		if (blocks[i].vectors != InvalidBlockNumber)
		{
			if (shape->value_bytes == 0)
				vc_page_corrupted(ivf->index, segment, "block %u has vector pages in an index without", i);
			vc_ivf_walk_claim(walk, segment, blocks[i].vectors, shape->block_vector_pages);
		}
		else if (blocks[i].live != 0 && shape->value_bytes > 0)
			vc_page_corrupted(ivf->index, segment, "block %u has no vector pages", i);
		for (uint32 live = blocks[i].live; live != 0; live &= live - 1)
		{
			int		  slot = pg_rightmost_one_pos32(live);
			RowPlace *row;

			if (!ItemPointerIsValid(&blocks[i].tid[slot]))
				vc_page_corrupted(ivf->index, segment, "slot %d of block %u has an invalid row pointer", slot, i);
			if (!isfinite(blocks[i].add[slot]) || !isfinite(blocks[i].rescale[slot]) || !isfinite(blocks[i].err[slot]) ||
				blocks[i].err[slot] < 0)
				vc_page_corrupted(ivf->index, segment, "slot %d of block %u has factors that no row has", slot, i);
			if (list == VC_IVF_ROOT)
				continue;
			if (check->nrows == check->room)
			{
				check->room *= 2;
				check->rows = repalloc_huge(check->rows, sizeof(RowPlace) * check->room);
			}
			row = &check->rows[check->nrows++];
			*row = (RowPlace){blocks[i].tid[slot], i, slot, list, segment, blocks[i].spilled >> slot & 1};
			if (row->spilled && !ivf->meta.spill)
				vc_page_corrupted(ivf->index, segment, "slot %d of block %u is a second copy in an index without", slot, i);
			if (shape->value_bytes > 0)
			{
				vc_ivf_read_vector(ivf, shape, blocks[i].vectors, slot, check->vector);
				if (!ItemPointerEquals(&check->vector->tid, &blocks[i].tid[slot]))
					vc_page_corrupted(ivf->index, segment, "the value of slot %d of block %u belongs to another row", slot, i);
				if (ivf->stored == ivf->metric)
				{
					rotate_stored(check, check->vector);
					check_code(check, shape, row, page, walk->centroids + (Size) list * shape->padded);
				}
			}
		}
	}
}

static int
compare_places(const void *a, const void *b)
{
	const RowPlace *p = a;
	const RowPlace *q = b;
	int				order = ItemPointerCompare((ItemPointer) &p->tid, (ItemPointer) &q->tid);

	return order != 0 ? order : (int) p->spilled - (int) q->spilled;
}

/* What the index holds of a row, in one of its places. */
static void
check_place(CheckState *check, Relation index, const RowPlace *place, ItemPointer tid, const VcValue *value, Datum *values,
			bool *isnull)
{
	VcIvf *ivf = check->ivf;
	Buffer buffer;

	buffer = vc_ivf_read_segment(ivf, &ivf->rows, place->segment, BUFFER_LOCK_SHARE);
	if (ivf->rows.keys.columns > 0)
	{
		VcKeyRow expected;
		VcKeyRow stored;

		vc_keys_row(&ivf->rows.keys, index, values, isnull, &expected);
		vc_keys_get(&ivf->rows.keys, vc_ivf_keys(&ivf->rows, BufferGetPage(buffer), place->block), place->slot, &stored);
		if (!vc_keys_equal(&ivf->rows.keys, &expected, &stored))
			vc_page_corrupted(index, place->segment, "the keys of slot %u of block %u are not those of its row",
							  place->slot, place->block);
	}
	check_code(check, &ivf->rows, place, BufferGetPage(buffer),
			   check->walk.centroids + (Size) place->list * ivf->rows.padded);
	if (ivf->rows.value_bytes > 0)
	{
		VcIvfBlock *block = vc_ivf_blocks(BufferGetPage(buffer)) + place->block;

		vc_ivf_read_vector(ivf, &ivf->rows, block->vectors, place->slot, check->vector);
		vc_ivf_value_store(ivf, tid, value, check->expected);
		if (memcmp(check->vector, check->expected, ivf->rows.vector_bytes) != 0)
			vc_page_corrupted(index, place->segment, "the value of slot %u of block %u is not that of its row", place->slot,
							  place->block);
	}
	UnlockReleaseBuffer(buffer);
}

/* A row of the table: it must be in the index, with this value's code. */
static void
check_row(Relation index, ItemPointer tid, Datum *values, bool *isnull, bool tuple_is_alive, void *arg)
{
	CheckState	 *check = arg;
	VcIvf		 *ivf = check->ivf;
	RowPlace	  key = {.tid = *tid};
	RowPlace	 *place;
	MemoryContext old;
	VcValue		  value;

	if (isnull[0])
		return;
	CHECK_FOR_INTERRUPTS();
	place = check->nrows == 0 ? NULL : bsearch(&key, check->rows, check->nrows, sizeof(RowPlace), compare_places);
	if (place == NULL)
		ereport(ERROR, (errcode(ERRCODE_INDEX_CORRUPTED),
						errmsg("index \"%s\" lacks row (%u,%u)", RelationGetRelationName(index),
							   ItemPointerGetBlockNumber(tid), ItemPointerGetOffsetNumber(tid)),
						errhint("Rebuild it with REINDEX INDEX.")));
	old = MemoryContextSwitchTo(check->row_context);
	vc_metric_value(ivf->metric, values[0], &value);
	if (value.dim != ivf->meta.dim)
		vc_page_corrupted(index, VC_IVF_META_BLOCK, "it says that values have %u dimensions, row (%u,%u) has %u", ivf->meta.dim,
						  ItemPointerGetBlockNumber(tid), ItemPointerGetOffsetNumber(tid), value.dim);
	if (value.is_zero)
		memset(check->rotated, 0, sizeof(float) * ivf->rows.padded);
	else
	{
		vc_metric_to_float(ivf->metric, value.data, value.scale, value.dim, check->rotated);
		vc_rotation_apply(ivf->rotation, check->rotated, check->rotated);
	}
	check_place(check, index, place, tid, &value, values, isnull);
	if (place + 1 < check->rows + check->nrows && ItemPointerEquals(&place[1].tid, tid))
		check_place(check, index, place + 1, tid, &value, values, isnull);
	MemoryContextSwitchTo(old);
	MemoryContextReset(check->row_context);
	check->found++;
}

static void
check_table(CheckState *check, Relation table, Relation index)
{
	IndexInfo	 *index_info = BuildIndexInfo(index);
	Snapshot	  snapshot = RegisterSnapshot(GetTransactionSnapshot());
	TableScanDesc scan = table_beginscan_strat(table, snapshot, 0, NULL, true, true);

	/* As a concurrent build scans: with a snapshot, so that rows it does not show are left out. */
	index_info->ii_Concurrent = true;
	index_info->ii_Unique = false;
	index_info->ii_ExclusionOps = NULL;
	table_index_build_scan(table, index, index_info, true, false, check_row, check, scan);
	UnregisterSnapshot(snapshot);
}

PG_FUNCTION_INFO_V1(vc_ivf_check);

Datum
vc_ivf_check(PG_FUNCTION_ARGS)
{
	bool	   heapallindexed = PG_GETARG_BOOL(1);
	Relation   table;
	Relation   index;
	VcIvf	   ivf;
	CheckState check;

	memset(&check, 0, sizeof(check));
	vc_ivf_open_for_owner(PG_GETARG_OID(0), ShareLock, &table, &index);
	vc_ivf_open(&ivf, index);
	check.ivf = &ivf;
	check.room = 1024;
	check.rows = palloc(sizeof(RowPlace) * check.room);
	check.rotated = palloc(sizeof(float) * ivf.rows.padded);
	check.residual = palloc(sizeof(float) * ivf.rows.padded);
	vc_ivf_row_alloc(&ivf, &ivf.rows, &check.row);
	check.stored = palloc(ivf.rows.padded);
	check.refinement = palloc(offsetof(VcIvfRefinement, planes) + ivf.rows.bits * ivf.rows.plane);
	check.scratch = palloc(ivf.rows.plane);
	check.vector = palloc0(Max(ivf.rows.vector_bytes, sizeof(VcIvfVector)));
	check.expected = palloc0(Max(ivf.rows.vector_bytes, sizeof(VcIvfVector)));
	check.row_context = AllocSetContextCreate(CurrentMemoryContext, "vc_ivf check", ALLOCSET_DEFAULT_SIZES);

	vc_ivf_walk(&check.walk, &ivf, check_segment, &check);
	vc_ivf_walk_free(&check.walk);
	qsort(check.rows, check.nrows, sizeof(RowPlace), compare_places);
	for (uint64 i = 1; i < check.nrows; i++)
		if (compare_places(&check.rows[i - 1], &check.rows[i]) == 0 ||
			(ItemPointerEquals(&check.rows[i - 1].tid, &check.rows[i].tid) && check.rows[i - 1].list == check.rows[i].list))
			vc_page_corrupted(index, check.rows[i].segment, "row (%u,%u) is in the index twice",
							  ItemPointerGetBlockNumber(&check.rows[i].tid), ItemPointerGetOffsetNumber(&check.rows[i].tid));
	if (heapallindexed)
		check_table(&check, table, index);
	vc_ivf_close_for_owner(ShareLock, table, index);
	PG_RETURN_VOID();
}
