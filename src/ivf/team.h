/*
 * team.h
 *		The processes of a build: the leader says what there is to do, and each takes tasks of it until there are none left.
 *
 * Who comes late takes part in what is left then, and nobody waits for it before the rows are put into lists.
 */
#ifndef VC_IVF_TEAM_H
#define VC_IVF_TEAM_H

#include "ivf/ivf.h"
#include "nodes/execnodes.h"
#include "storage/dsm.h"

typedef enum VcIvfJob
{
	VC_IVF_JOB_NONE = 0, /* nothing to do yet */
	VC_IVF_JOB_SAMPLE,	 /* tasks of train.c */
	VC_IVF_JOB_KMEANS,
	VC_IVF_JOB_NEAREST, /* and of calibrate.c */
	VC_IVF_JOB_RANKS,
	VC_IVF_JOB_ROWS /* no tasks: rows are shared out by the table's scan; the last job */
} VcIvfJob;

typedef struct VcIvfTeam VcIvfTeam;

/* Start as many workers as the plan for the build has. Null where there are none. */
extern VcIvfTeam *vc_ivf_team_start(Relation heap, Relation index, IndexInfo *index_info, VcIvf *ivf);

/* How many processes there are at most, with this one. */
extern int vc_ivf_team_size(VcIvfTeam *team);

/* Where workers find what train.c needs. */
extern void vc_ivf_team_train(VcIvfTeam *team, dsm_handle training);

/* Have all tasks from 0 on done, some of them here by calls of `work`. */
extern void vc_ivf_team_run(VcIvfTeam *team, VcIvfJob job, uint32 tasks, void (*work)(void *arg, VcIvfJob job, uint32 task), void *arg);

#endif /* VC_IVF_TEAM_H */
