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

static void
sample_blocks(VcSample *sample, BlockNumber nblocks, BlockNumber count)
{
	BlockSamplerData sampler;

	sample->count = 0;
	sample->seen = 0;
	if (count >= nblocks)
	{
		scan_range(sample, 0, InvalidBlockNumber);
		return;
	}
	BlockSampler_Init(&sampler, nblocks, count, (uint32)vc_random_next(&sample->random));
	while (BlockSampler_HasMore(&sampler))
	{
		CHECK_FOR_INTERRUPTS();
		scan_range(sample, BlockSampler_Next(&sampler), 1);
	}
}

void
vc_sample_begin(VcSample *sample, Relation heap, Relation index, IndexInfo *index_info, const VcMetric *metric,
				const VcRotation *rotation, uint64 room, uint64 seed)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(heap);

	memset(sample, 0, sizeof(*sample));
	sample->heap = heap;
	sample->index = index;
	sample->index_info = index_info;
	sample->metric = metric;
	sample->rotation = rotation;
	sample->room = Max(room, 2);
	sample->random = seed;
	vc_detoast_place_init(&sample->place);
	sample->rows = palloc_extended(mul_size(sample->room, sizeof(float) * rotation->padded), MCXT_ALLOC_HUGE);
	sample->row_context = AllocSetContextCreate(CurrentMemoryContext, "vectorcoll sample row", ALLOCSET_DEFAULT_SIZES);
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

void
vc_sample_fill(VcSample *sample, uint64 wanted)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(sample->heap);

	wanted = Min(wanted, sample->room);
	if (nblocks <= FIRST_BLOCKS || sample->count >= wanted)
	{
		keep_some(sample, wanted);
		return;
	}
	sample->room = wanted;
	sample_blocks(sample, nblocks,
				  (BlockNumber)Min(nblocks, ceil((double)wanted * nblocks / Max(sample->table_rows, 1))));
}

void
vc_sample_end(VcSample *sample)
{
	pfree(sample->rows);
	MemoryContextDelete(sample->row_context);
}
