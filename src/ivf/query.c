/*
 * query.c
 *		A value prepared for comparison with lists and rows, and its exact distances.
 */
#include "ivf/ivf.h"

#include <math.h>

#include "am/scan.h"
#include "kernels/ref.h"
#include "kernels/vc_kernels.h"

void
vc_ivf_query_alloc(VcIvf *ivf, VcIvfQuery *query)
{
	query->floats = ivf->metric->distance_to_floats != NULL ? palloc(sizeof(float) * ivf->meta.dim) : NULL;
	query->rotated = palloc(sizeof(float) * ivf->rows.padded);
	query->lut = palloc(vc_rabitq_lut_size(ivf->rows.padded));
}

void
vc_ivf_query_init(VcIvf *ivf, VcIvfQuery *query, const VcValue *value)
{
	if (value != NULL)
		query->value = *value;
	else
		query->value = (VcValue){.dim = ivf->meta.dim, .is_zero = true};
	if (query->value.is_zero || query->value.data == NULL)
		memset(query->rotated, 0, sizeof(float) * ivf->rows.padded);
	else
	{
		vc_metric_to_float(ivf->metric, value->data, value->scale, ivf->meta.dim, query->rotated);
		vc_rotation_apply(ivf->rotation, query->rotated, query->rotated);
	}
	if (query->value.data != NULL && query->floats != NULL)
		vc_kernels->f16_to_f32(query->value.data, query->floats, ivf->meta.dim);
	if (query->value.data != NULL && ivf->stored != ivf->metric)
		query->norm = sqrt(vc_ref_norm2_f32(query->value.data, ivf->meta.dim));
	vc_rabitq_query_init(&query->rabitq, query->rotated, ivf->rows.padded, query->lut);
}

float
vc_ivf_distance(VcIvf *ivf, const VcIvfQuery *query, const void *data, float scale)
{
	float distance;

	if (query->value.data == NULL || query->value.is_zero || (ivf->metric->kind == VC_METRIC_COSINE && scale == 0))
		return INFINITY;
	vc_work.distances++;
	if (query->floats != NULL)
		distance = ivf->metric->distance_to_floats(data, scale, query->floats, query->value.scale, ivf->meta.dim);
	else
		distance = ivf->metric->distance(query->value.data, query->value.scale, data, scale, ivf->meta.dim);
	return isnan(distance) ? INFINITY : distance;
}

void
vc_ivf_centre_distance(VcIvf *ivf, const VcIvfQuery *query, const float *centre, float *g, float *distance)
{
	float l2 = vc_kernels->l2sq_f32(query->rotated, centre, ivf->rows.padded);

	*g = ivf->metric->kind == VC_METRIC_IP ? -vc_kernels->ip_f32(query->rotated, centre, ivf->rows.padded) : l2;
	*distance = sqrtf(l2);
}
