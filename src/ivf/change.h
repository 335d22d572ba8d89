/*
 * change.h
 *		Changes to locked pages that become durable together: one generic WAL record, or none while an index is built.
 */
#ifndef VC_IVF_CHANGE_H
#define VC_IVF_CHANGE_H

#include "am/wal.h"
#include "ivf/ivf.h"

typedef struct VcIvfChange
{
	VcWal			 *state;
	Buffer			  buffer[VC_WAL_MAX_PAGES];
	int				  count;
} VcIvfChange;

static inline void
vc_ivf_change_begin(VcIvf *ivf, VcIvfChange *change)
{
	change->state = ivf->wal ? vc_wal_start(ivf->index) : NULL;
	change->count = 0;
}

/* The page to be changed: with WAL a copy, which counts from vc_ivf_change_end on. */
static inline Page
vc_ivf_change_page(VcIvfChange *change, Buffer buffer, bool is_new)
{
	Assert(change->count < VC_WAL_MAX_PAGES);
	change->buffer[change->count++] = buffer;
	if (change->state == NULL)
		return BufferGetPage(buffer);
	return vc_wal_register(change->state, buffer, is_new);
}

static inline void
vc_ivf_change_end(VcIvfChange *change)
{
	if (change->state != NULL)
		vc_wal_finish(change->state);
	else
		for (int i = 0; i < change->count; i++)
			MarkBufferDirty(change->buffer[i]);
}

#endif /* VC_IVF_CHANGE_H */
