/*
 * train.h
 *		From a sample of rows to an index's lists.
 */
#ifndef VC_IVF_TRAIN_H
#define VC_IVF_TRAIN_H

#include "am/sample.h"
#include "ivf/team.h"

/* How many lists suit a table of so many rows. */
extern uint32 vc_ivf_choose_lists(double rows);

/* As many of these lists as one process can find among so many rows within maintenance_work_mem. */
extern uint32 vc_ivf_lists_that_fit(VcIvf *ivf, uint32 lists, uint64 count);

/* One process's part in training. */
typedef struct VcIvfTrainer VcIvfTrainer;

/*
 * For up to so many rows and lists, with a team where there is one and memory for all who are in it. A team reads so many blocks of the
 * table.
 */
extern VcIvfTrainer *vc_ivf_trainer_new(VcIvf *ivf, VcIvfTeam *team, uint64 room, uint32 lists, BlockNumber blocks);

/* Fill the sample, where all who take part see it. */
extern void vc_ivf_trainer_sample(VcIvfTrainer *trainer, VcSample *sample, uint64 wanted);

/*
 * Lists for rows[count][padded], which are reordered: finds centroids and how many lists to probe, makes a root and empty lists,
 * and notes all of it in ivf->meta. Raises 54000 where maintenance_work_mem is too small. Reports per cent as the progress of a
 * build.
 */
extern void vc_ivf_train(VcIvfTrainer *trainer, float *rows, uint64 count);

/* A worker's part: it joins when it has taken its first task. */
extern VcIvfTrainer *vc_ivf_trainer_join(VcIvf *ivf, Relation heap, IndexInfo *index_info, dsm_handle training);
extern void vc_ivf_trainer_task(VcIvfTrainer *trainer, VcIvfJob job, uint32 task);

extern void vc_ivf_trainer_end(VcIvfTrainer *trainer);

/*
 * Cut lists into about sqrt(lists) branches by their centroids[lists][padded]; branch_of[lists] tells each one's. Returns the
 * branches' own centroids.
 */
extern float *vc_ivf_cut_lists(VcIvf *ivf, const float *centroids, uint32 lists, uint32 *branches, uint32 *branch_of);

/* Make a root and empty lists for the centroids, and note them in ivf->meta. */
extern void vc_ivf_write_lists(VcIvf *ivf, const float *centroids, uint32 lists);

#endif /* VC_IVF_TRAIN_H */
