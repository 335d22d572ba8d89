/*
 * progress.h
 *		Phases of a build, as pg_stat_progress_create_index shows them.
 */
#ifndef VC_IVF_PROGRESS_H
#define VC_IVF_PROGRESS_H

#include "commands/progress.h"

#define VC_IVF_PHASE_SAMPLE (PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE + 1)
#define VC_IVF_PHASE_KMEANS (PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE + 2)
#define VC_IVF_PHASE_ROWS (PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE + 3)
#define VC_IVF_PHASE_LOG (PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE + 4)

#endif /* VC_IVF_PROGRESS_H */
