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
#include "storage/buf.h"
#include "storage/off.h"
#include "utils/relcache.h"

/*
 * Fill `result` with the `size` bytes of a value that is not compressed, whose first chunk is thought to lie at this place, the others behind
 * it; moves the place behind them. False where they are not there; then result has anything in it. The table has nblocks at least.
 * Who knows where its pages are gives a function that pins one, with its argument; null otherwise.
 */
typedef Buffer (*VcChunksPin)(void *arg, Relation toast, BlockNumber block);
extern bool vc_chunks_read(Relation toast, BlockNumber nblocks, BlockNumber *block, OffsetNumber *offset, Oid id,
						   char *result, Size size, VcChunksPin pin, void *arg);

/* What a block holds beside a value. */
typedef struct VcChunksSeen
{
	OffsetNumber offset;		/* of the value's first chunk; 0 where it is not there */
	Oid			 smaller;		/* of other chunks, the greatest id below the value's, InvalidOid where there is none; */
	Oid			 greater;		/* the least above it, or the value's own, of a later chunk of it */
	bool		 smaller_starts; /* whether that one's first chunk is there */
	bool		 greater_starts;
} VcChunksSeen;

/* Look for a value's first chunk in a block that is pinned and not locked. Where it is there, no more may be seen. */
extern void vc_chunks_look(Buffer buffer, Oid id, VcChunksSeen *seen);

/*
 * Bring a value into the CPU's cache, of which only the page is known where it is thought to begin, in three steps: the page's head, those of
 * its chunks, and then the value's own chunks. For many values each step is taken for all before the next, so that the CPU waits for memory as
 * often as for one. The page need not be pinned, nor still be one of the TOAST table. The last step returns how many bytes it asked for: a
 * value may go on in the next page.
 */
extern void vc_chunks_prefetch_page(const char *page);
extern void vc_chunks_prefetch_heads(const char *page);
extern Size vc_chunks_prefetch_value(const char *page, Oid id);

#endif /* VC_CHUNKS_H */
