/*
 * assign.h
 *		The lists of many rows at once, for a build.
 */
#ifndef VC_IVF_ASSIGN_H
#define VC_IVF_ASSIGN_H

#include "ivf/ivf.h"

/* Rows on their way into an index that nobody else sees yet but the processes that build it. */
typedef struct VcIvfBatch VcIvfBatch;

/*
 * Null where the index is better served by inserting one row after the other: under inner product with many lists, which nearest.h
 * does not know, or with spill; with spill and branches; or with lists beyond memory.
 */
extern VcIvfBatch *vc_ivf_batch_new(VcIvf *ivf);

/* Take in a row, and write those there are when there are many; *err grows by the `err` of the codes written. */
extern void vc_ivf_batch_add(VcIvfBatch *batch, ItemPointer tid, const VcValue *value, const VcKeyRow *keys, double *err);

/* Write the rest. */
extern void vc_ivf_batch_finish(VcIvfBatch *batch, double *err);

#endif /* VC_IVF_ASSIGN_H */
