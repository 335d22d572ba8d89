/*
 * train.h
 *		From a sample of rows to an index's lists.
 */
#ifndef VC_IVF_TRAIN_H
#define VC_IVF_TRAIN_H

#include "ivf/ivf.h"

/* How many lists suit a table of so many rows. */
extern uint32 vc_ivf_choose_lists(double rows);

/*
 * Centroids of rows[count][padded], which are reordered; *lists, how many are wanted, may come down. Raises 54000 where
 * maintenance_work_mem is too small. Reports per cent as the progress of a build.
 */
extern float *vc_ivf_train(VcIvf *ivf, float *rows, uint64 count, uint32 *lists);

/*
 * Measure, with some of the rows as queries, how many lists must be probed to find a given share of the nearest rows, and
 * note it in ivf->meta. A sample is thinner than the table, so that neighbours are farther apart in it and spread over
 * more lists: the measure errs on the side of more. The same with one in eight of the rows tells how the number grows
 * when fewer rows count.
 */
extern void vc_ivf_calibrate(VcIvf *ivf, const float *rows, uint64 count, const float *centroids, uint32 lists);

/*
 * Cut lists into about sqrt(lists) branches by their centroids[lists][padded]; branch_of[lists] tells each one's. Returns the
 * branches' own centroids.
 */
extern float *vc_ivf_cut_lists(VcIvf *ivf, const float *centroids, uint32 lists, uint32 *branches, uint32 *branch_of);

/* Make a root and empty lists for the centroids, and note them in ivf->meta. */
extern void vc_ivf_write_lists(VcIvf *ivf, const float *centroids, uint32 lists);

#endif /* VC_IVF_TRAIN_H */
