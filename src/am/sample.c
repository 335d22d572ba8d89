/*
 * sample.c
 *		See sample.h. Takes no locks of its own and writes nothing.
 */
#include "am/sample.h"

#include <math.h>

#include "access/tableam.h"
#include "miscadmin.h"
#include "quantize/random.h"
#include "storage/bufmgr.h"
#include "storage/shmem.h"
#include "types/check.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/sampling.h"

#define FIRST_BLOCKS 128 /* of the table, to learn how many rows a block has */

/* Reservoir sampling: each row seen is kept with equal chance. */
static void
sample_row(Relation index, ItemPointer tid, Datum *values, bool *isnull, bool tuple_is_alive, void *arg)
{
	VcSample *sample = arg;
	MemoryContext old;
	VcValue value;
	uint64 place;

	if (isnull[0])
		return;
	sample->seen++;
	place = sample->count < sample->room ? sample->count : vc_random_below(&sample->random, (uint64)sample->seen);
	if (place >= sample->room)
		return;
	old = MemoryContextSwitchTo(sample->row_context);
	vc_metric_value(sample->metric, vc_detoast_next(&sample->place, values[0]), &value);
	vc_check_same_dims(sample->metric->type_name, sample->rotation->dim, value.dim);
	if (value.is_zero)
		sample->seen--; /* it has no direction: it would pull means to where nothing is */
	else
	{
		float *row = sample->rows + place * sample->rotation->padded;

		if (place == sample->count)
			sample->count++;
		vc_metric_to_float(sample->metric, value.data, value.scale, value.dim, row);
		vc_rotation_apply(sample->rotation, row, row);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(sample->row_context);
	(void)index;
	(void)tid;
	(void)tuple_is_alive;
}

static void
scan_range(VcSample *sample, BlockNumber first, BlockNumber count)
{
	table_index_build_range_scan(sample->heap, sample->index, sample->index_info, false,
								 !sample->index_info->ii_Concurrent, false, first, count, sample_row, sample, NULL);
}

/* So many blocks at random, in order. */
void
vc_sample_choose(VcSample *sample, BlockNumber *blocks, BlockNumber count)
{
	BlockSamplerData sampler;

	BlockSampler_Init(&sampler, RelationGetNumberOfBlocks(sample->heap), count, (uint32)vc_random_next(&sample->random));
	for (BlockNumber i = 0; i < count; i++)
		blocks[i] = BlockSampler_Next(&sampler);
}

static void
read_blocks(VcSample *sample, const BlockNumber *blocks, BlockNumber count)
{
	sample->count = 0;
	sample->seen = 0;
	for (BlockNumber i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		scan_range(sample, blocks[i], 1);
	}
}

static void
sample_blocks(VcSample *sample, BlockNumber nblocks, BlockNumber count)
{
	BlockNumber *blocks;

	if (count >= nblocks)
	{
		sample->count = 0;
		sample->seen = 0;
		scan_range(sample, 0, InvalidBlockNumber);
		return;
	}
	blocks = palloc_extended(sizeof(BlockNumber) * count, MCXT_ALLOC_HUGE);
	vc_sample_choose(sample, blocks, count);
	read_blocks(sample, blocks, count);
	pfree(blocks);
}

void
vc_sample_helper(VcSample *sample, Relation heap, Relation index, IndexInfo *index_info, const VcMetric *metric,
				 const VcRotation *rotation)
{
	memset(sample, 0, sizeof(*sample));
	sample->heap = heap;
	sample->index = index;
	sample->index_info = index_info;
	sample->metric = metric;
	sample->rotation = rotation;
	vc_detoast_place_init(&sample->place);
	sample->row_context = AllocSetContextCreate(CurrentMemoryContext, "vectorcoll sample row", ALLOCSET_DEFAULT_SIZES);
}

void
vc_sample_begin(VcSample *sample, Relation heap, Relation index, IndexInfo *index_info, const VcMetric *metric,
				const VcRotation *rotation, uint64 room, uint64 seed)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(heap);

	vc_sample_helper(sample, heap, index, index_info, metric, rotation);
	sample->room = Max(room, 2);
	sample->random = seed;
	sample->rows = palloc_extended(mul_size(sample->room, sizeof(float) * rotation->padded), MCXT_ALLOC_HUGE);
	sample_blocks(sample, nblocks, FIRST_BLOCKS);
	sample->table_rows = nblocks > FIRST_BLOCKS ? sample->seen / FIRST_BLOCKS * nblocks : sample->seen;
}

/* Keep `wanted` of the rows, each with equal chance: they lie in the order of the table, so the first ones will not do. */
static void
keep_some(VcSample *sample, uint64 wanted)
{
	Size padded = sample->rotation->padded;

	for (uint64 i = 0; i < wanted && wanted < sample->count; i++)
	{
		float *row = sample->rows + i * padded;
		float *other = sample->rows + (i + vc_random_below(&sample->random, sample->count - i)) * padded;

		for (Size j = 0; j < padded; j++)
		{
			float swap = row[j];

			row[j] = other[j];
			other[j] = swap;
		}
	}
	sample->count = Min(sample->count, wanted);
}

/* Of how many blocks so many rows are to be expected. */
static BlockNumber
blocks_for(VcSample *sample, BlockNumber nblocks, uint64 wanted)
{
	return (BlockNumber)Min(nblocks, ceil((double)wanted * nblocks / Max(sample->table_rows, 1)));
}

/* From here on the rows are elsewhere. */
static void
move_rows(VcSample *sample, float *place)
{
	if (place == NULL)
		return;
	memcpy(place, sample->rows, sizeof(float) * sample->rotation->padded * sample->count);
	pfree(sample->rows);
	sample->rows = place;
	sample->placed = true;
}

void
vc_sample_fill(VcSample *sample, uint64 wanted, float *place)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(sample->heap);

	wanted = Min(wanted, sample->room);
	if (nblocks <= FIRST_BLOCKS || sample->count >= wanted)
	{
		keep_some(sample, wanted);
		move_rows(sample, place);
		return;
	}
	sample->room = wanted;
	sample->count = 0;
	move_rows(sample, place);
	sample_blocks(sample, nblocks, blocks_for(sample, nblocks, wanted));
}

BlockNumber
vc_sample_blocks(VcSample *sample, uint64 wanted)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(sample->heap);
	BlockNumber count;

	wanted = Min(wanted, sample->room);
	if (nblocks <= FIRST_BLOCKS || sample->count >= wanted)
		return 0;
	count = blocks_for(sample, nblocks, wanted);
	return count < nblocks ? count : 0;
}

uint64
vc_sample_read(VcSample *sample, const BlockNumber *blocks, BlockNumber count, float *place, uint64 room, uint64 seed)
{
	VcSample own = *sample;

	own.rows = place;
	own.room = room;
	own.random = seed;
	read_blocks(&own, blocks, count);
	sample->place = own.place;
	return own.count;
}

void
vc_sample_use(VcSample *sample, float *rows, uint64 count)
{
	sample->count = 0;
	move_rows(sample, rows);
	sample->count = count;
}

void
vc_sample_end(VcSample *sample)
{
	if (!sample->placed)
		pfree(sample->rows);
	MemoryContextDelete(sample->row_context);
}
