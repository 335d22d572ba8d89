/*
 * free.h
 *		Pages that nothing refers to any more, and their use for new segments and vector pages.
 */
#ifndef VC_IVF_FREE_H
#define VC_IVF_FREE_H

#include "ivf/ivf.h"

/* The first of pages that are free together; the others hold what they held before. */
typedef struct VcIvfFree
{
	BlockNumber next; /* of the chain; or InvalidBlockNumber */
	uint32		pages;
} VcIvfFree;

/* What free pages are good for: they lie side by side, as many as that takes. */
typedef enum VcIvfFreeFor
{
	VC_IVF_FREE_SEGMENTS = 0,
	VC_IVF_FREE_VECTORS
} VcIvfFreeFor;

/* How many pages are free together in a chain. */
static inline uint32
vc_ivf_free_pages(const VcIvf *ivf, VcIvfFreeFor purpose)
{
	return purpose == VC_IVF_FREE_SEGMENTS ? ivf->rows.segment_pages : ivf->rows.block_vector_pages;
}

/*
 * `count` consecutive pages, pinned and exclusively locked in buffers[], to be initialised: free ones, or new ones at the
 * end of the index. A crash before something refers to them loses them until REINDEX.
 */
extern void vc_ivf_take_pages(VcIvf *ivf, VcIvfFreeFor purpose, uint32 count, Buffer *buffers);

/*
 * Make pages free. `last`, if given, is the exclusively locked page that refers to them, and clear(its copy) takes the
 * reference out in the same record. Nobody may still read what the pages hold.
 */
extern void vc_ivf_free_unit(VcIvf *ivf, VcIvfFreeFor purpose, BlockNumber first, Buffer last,
							 void (*clear)(Page page, void *arg), void *arg);

/* The same for any number of consecutive pages that nothing refers to. */
extern void vc_ivf_free_run(VcIvf *ivf, BlockNumber first, uint32 count);

/* Pin and share-lock the first of free pages, checked. */
extern Buffer vc_ivf_read_free(VcIvf *ivf, BlockNumber block, int mode);

#endif /* VC_IVF_FREE_H */
