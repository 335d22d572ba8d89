/*
 * chunks.h
 *		Chunks of values that are stored out of line, read where they are thought to lie.
 *
 * The server looks a value's chunks up in the TOAST table's index. Who has a good guess at their place spares the descent, which
 * costs more than reading them. A guess is never trusted: a chunk counts when it carries the value's id and the expected number and is
 * visible to SnapshotToast, which is all that the server asks of what it finds through the index.
 *
 * The caller holds AccessShareLock on the TOAST table, which is a heap; with it nobody truncates the table, so a block below its present
 * size can be read. One buffer at a time is pinned and share-locked. Nothing is written.
 */
#ifndef VC_CHUNKS_H
#define VC_CHUNKS_H

#include "vectorcoll.h"

#include "storage/block.h"
#include "storage/off.h"
#include "utils/relcache.h"

/*
 * Fill `result` with the `size` bytes of a value that is not compressed, whose first chunk is thought to lie at this place, the others behind
 * it; moves the place behind them. False where they are not there; then result has anything in it. The table has nblocks at least.
 */
extern bool vc_chunks_read(Relation toast, BlockNumber nblocks, BlockNumber *block, OffsetNumber *offset, Oid id,
						   char *result, Size size);

/*
 * What lies in a block: the ids of the first and the last chunk in it, and the offset of a value's first chunk, 0 where it has none.
 * False where there are no chunks.
 */
extern bool vc_chunks_look(Relation toast, BlockNumber block, Oid id, Oid *first, Oid *last, OffsetNumber *offset);

#endif /* VC_CHUNKS_H */
