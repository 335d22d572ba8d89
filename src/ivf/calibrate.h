/*
 * calibrate.h
 *		How many lists searches should probe, measured on a build's sample, by one process or several.
 */
#ifndef VC_IVF_CALIBRATE_H
#define VC_IVF_CALIBRATE_H

#include "ivf/team.h"

/* One process's part in it. */
typedef struct VcIvfCalibration VcIvfCalibration;

/* Bytes for what is found, which all see who take part. */
extern Size vc_ivf_calibration_size(uint64 count);

/* Allocates in the current memory context. There are four rows at least, and two lists. */
extern VcIvfCalibration *vc_ivf_calibration_new(VcIvf *ivf, const float *rows, uint64 count, const float *centroids, uint32 lists,
												void *found);

/*
 * Measure, with some of the rows as queries, how many lists must be probed to find a given share of the nearest rows, and
 * note it in ivf->meta. A sample is thinner than the table, so that neighbours are farther apart in it and spread over
 * more lists: the measure errs on the side of more. The same with one in eight of the rows tells how the number grows
 * when fewer rows count.
 *
 * `run` has vc_ivf_calibration_task called for each task of a job, by whoever, and returns when all have been.
 */
extern void vc_ivf_calibrate(VcIvfCalibration *calibration, void (*run)(void *arg, VcIvfJob job, uint32 tasks), void *arg);
extern void vc_ivf_calibration_task(VcIvfCalibration *calibration, VcIvfJob job, uint32 task);

#endif /* VC_IVF_CALIBRATE_H */
