/*
 * walk.h
 *		Visiting every segment of every list, for checking and counting.
 */
#ifndef VC_IVF_WALK_H
#define VC_IVF_WALK_H

#include "ivf/ivf.h"

/* Open an index for inspection by its owner, the table with table_mode; errors name what is wrong with `index`. */
extern void vc_ivf_open_for_owner(Oid index_oid, LOCKMODE table_mode, Relation *table, Relation *index);
extern void vc_ivf_close_for_owner(LOCKMODE table_mode, Relation table, Relation index);

typedef struct VcIvfWalk
{
	VcIvf	   *ivf;
	BlockNumber nblocks;
	uint8	   *seen; /* a bit for each block of the relation */
	BlockNumber nseen;
	BlockNumber nfree; /* pages in the chains of free ones */
	uint32		nlists;
	BlockNumber *heads;	  /* [nlists] */
	float	   *centroids; /* [nlists][padded] */
} VcIvfWalk;

/* Called with a segment's first page share-locked. list is VC_IVF_ROOT for the root. */
typedef void (*VcIvfVisit)(VcIvfWalk *walk, const VcIvfShape *shape, uint32 list, BlockNumber segment, Page page, void *arg);

/*
 * Visit all segments, list by list. Raises XX002 where a chain leads to a page twice, or to one that is not what it should be.
 */
extern void vc_ivf_walk(VcIvfWalk *walk, VcIvf *ivf, VcIvfVisit visit, void *arg);

/* Follow the chains of free pages, after vc_ivf_walk, while nothing changes the index. */
extern void vc_ivf_walk_free(VcIvfWalk *walk);

/* Note that pages belong to what is being walked; XX002 if one has been met before. */
extern void vc_ivf_walk_claim(VcIvfWalk *walk, BlockNumber from, BlockNumber first, uint32 count);

#endif /* VC_IVF_WALK_H */
