/*
 * sample.h
 *		Rows of a table for an index that is about to be built on it: how many there are, and some of their values.
 *
 * Blocks are chosen at random and all their rows read, those that the index would have; of the rows each has the same
 *chance. A table of few blocks is read whole. Values are as they are coded: as floats, normalised for cosine, rotated.
 */
#ifndef VC_SAMPLE_H
#define VC_SAMPLE_H

#include "am/metric.h"
#include "nodes/execnodes.h"
#include "quantize/rotation.h"
#include "types/detoast.h"

typedef struct VcSample
{
	float *rows; /* [count][rotation->padded] */
	uint64 count;
	double table_rows; /* of the table, by estimate; NULLs and values without direction are none */

	/* The rest is sample.c's. */
	Relation heap;
	Relation index;
	IndexInfo *index_info;
	const VcMetric *metric;
	const VcRotation *rotation;
	MemoryContext row_context;
	VcDetoastPlace place;
	uint64 room;
	bool placed; /* the rows are in somebody else's memory */
	double seen;
	uint64 random;
} VcSample;

/* Look at a table: table_rows is set, and rows are the first found, at most `room`. 22000 for a value of other
 * dimensions. */
extern void vc_sample_begin(VcSample *sample, Relation heap, Relation index, IndexInfo *index_info,
							const VcMetric *metric, const VcRotation *rotation, uint64 room, uint64 seed);

/*
 * Read so many rows that `wanted` of them, at most the room, can be kept, where there are so many. `place` is memory for so many that the
 * rows are to be in; null: they stay in the sample's own.
 */
extern void vc_sample_fill(VcSample *sample, uint64 wanted, float *place);

/*
 * The same by several processes. So many blocks at random are to be read; 0 where this is not worth sharing. Who reads has a sample of
 * its own, vc_sample_helper's or the one begun, and reads some blocks' rows into some place for `room` of them; how many there are is
 * returned.
 */
extern BlockNumber vc_sample_blocks(VcSample *sample, uint64 wanted);
extern void vc_sample_choose(VcSample *sample, BlockNumber *blocks, BlockNumber count);
extern void vc_sample_helper(VcSample *sample, Relation heap, Relation index, IndexInfo *index_info, const VcMetric *metric,
							 const VcRotation *rotation);
extern uint64 vc_sample_read(VcSample *sample, const BlockNumber *blocks, BlockNumber count, float *place, uint64 room, uint64 seed);

/* These are the sample's rows now. */
extern void vc_sample_use(VcSample *sample, float *rows, uint64 count);

/* Free the rows. */
extern void vc_sample_end(VcSample *sample);

#endif /* VC_SAMPLE_H */
