/*
 * repack.h
 *		Making lists of which vacuum left little shorter, and their pages free.
 */
#ifndef VC_IVF_REPACK_H
#define VC_IVF_REPACK_H

#include "ivf/ivf.h"

/* Whether repacking a list of so many rows in so many segments pays. */
static inline bool
vc_ivf_repack_pays(const VcIvf *ivf, uint64 rows, uint64 segments)
{
	uint64 per_segment = (uint64) ivf->rows.segment_blocks * VC_RABITQ_BLOCK;

	return segments > 1 && Max(1, (rows + per_segment - 1) / per_segment) * 2 <= segments;
}

/* Repack all lists for which that pays, and free those that the index had before it trained itself, unless somebody looks. */
extern void vc_ivf_repack(Relation index);

#endif /* VC_IVF_REPACK_H */
