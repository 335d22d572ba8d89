/*
 * metric.c
 *		The metrics an operator class can name. See metric.h.
 */
#include "am/metric.h"

#include <float.h>
#include <math.h>

#include "access/genam.h"
#include "am/sparse.h"
#include "fmgr.h"
#include "kernels/ref.h"
#include "kernels/vc_kernels.h"
#include "types/halfvec.h"
#include "types/vector.h"
#include "utils/varbit.h"

#define UNUSED_SCALES ((void) a_scale, (void) b_scale)

static float
l2_f32(const void *a, float a_scale, const void *b, float b_scale, uint32 dim)
{
	UNUSED_SCALES;
	return vc_kernels->l2sq_f32(a, b, dim);
}

static float
ip_f32(const void *a, float a_scale, const void *b, float b_scale, uint32 dim)
{
	UNUSED_SCALES;
	return -vc_kernels->ip_f32(a, b, dim);
}

static float
cosine_f32(const void *a, float a_scale, const void *b, float b_scale, uint32 dim)
{
	return 2 - 2 * (vc_kernels->ip_f32(a, b, dim) * a_scale * b_scale);
}

static float
l1_f32(const void *a, float a_scale, const void *b, float b_scale, uint32 dim)
{
	UNUSED_SCALES;
	return vc_kernels->l1_f32(a, b, dim);
}

static float
l2_f16(const void *a, float a_scale, const void *b, float b_scale, uint32 dim)
{
	UNUSED_SCALES;
	return vc_kernels->l2sq_f16(a, b, dim);
}

static float
ip_f16(const void *a, float a_scale, const void *b, float b_scale, uint32 dim)
{
	UNUSED_SCALES;
	return -vc_kernels->ip_f16(a, b, dim);
}

static float
cosine_f16(const void *a, float a_scale, const void *b, float b_scale, uint32 dim)
{
	return 2 - 2 * (vc_kernels->ip_f16(a, b, dim) * a_scale * b_scale);
}

static float
l1_f16(const void *a, float a_scale, const void *b, float b_scale, uint32 dim)
{
	UNUSED_SCALES;
	return vc_kernels->l1_f16(a, b, dim);
}

/* Halves against floats, which give the same numbers as the halves the floats come from. */

static float
l2_f16f32(const void *a, float a_scale, const float *b, float b_scale, uint32 dim)
{
	UNUSED_SCALES;
	return vc_kernels->l2sq_f16f32(a, b, dim);
}

static float
ip_f16f32(const void *a, float a_scale, const float *b, float b_scale, uint32 dim)
{
	UNUSED_SCALES;
	return -vc_kernels->ip_f16f32(a, b, dim);
}

static float
cosine_f16f32(const void *a, float a_scale, const float *b, float b_scale, uint32 dim)
{
	return 2 - 2 * (vc_kernels->ip_f16f32(a, b, dim) * a_scale * b_scale);
}

static float
l1_f16f32(const void *a, float a_scale, const float *b, float b_scale, uint32 dim)
{
	UNUSED_SCALES;
	return vc_kernels->l1_f16f32(a, b, dim);
}

static float
hamming_bit(const void *a, float a_scale, const void *b, float b_scale, uint32 dim)
{
	UNUSED_SCALES;
	return (float) vc_kernels->hamming(a, b, (dim + 7) / 8);
}

static float
jaccard_bit(const void *a, float a_scale, const void *b, float b_scale, uint32 dim)
{
	uint64_t common;
	uint64_t either;

	UNUSED_SCALES;
	vc_kernels->and_or_popcount(a, b, (dim + 7) / 8, &common, &either);
	return common == 0 ? 1.0f : 1.0f - (float) ((double) common / (double) either);
}

static float
l2_sparse(const void *a, float a_scale, const void *b, float b_scale, uint32 dim)
{
	UNUSED_SCALES;
	return vc_sparse_stored_l2sq(a, b, dim);
}

static float
ip_sparse(const void *a, float a_scale, const void *b, float b_scale, uint32 dim)
{
	UNUSED_SCALES;
	return -vc_sparse_stored_ip(a, b, dim);
}

static float
cosine_sparse(const void *a, float a_scale, const void *b, float b_scale, uint32 dim)
{
	return 2 - 2 * (vc_sparse_stored_ip(a, b, dim) * a_scale * b_scale);
}

static float
l1_sparse(const void *a, float a_scale, const void *b, float b_scale, uint32 dim)
{
	UNUSED_SCALES;
	return vc_sparse_stored_l1(a, b, dim);
}

/* One support function per metric and type; it takes and ignores an internal argument so that SQL cannot call it. */
#define METRIC(name, element_, kind_, type_name_, to_floats)                                                           \
	PG_FUNCTION_INFO_V1(vc_metric_##name);                                                                             \
	Datum vc_metric_##name(PG_FUNCTION_ARGS)                                                                           \
	{                                                                                                                  \
		static const VcMetric metric = {element_, kind_, type_name_, name, to_floats};                                 \
		PG_RETURN_POINTER(&metric);                                                                                    \
	}

METRIC(l2_f32, VC_ELEMENT_F32, VC_METRIC_L2, "vector", NULL)
METRIC(ip_f32, VC_ELEMENT_F32, VC_METRIC_IP, "vector", NULL)
METRIC(cosine_f32, VC_ELEMENT_F32, VC_METRIC_COSINE, "vector", NULL)
METRIC(l1_f32, VC_ELEMENT_F32, VC_METRIC_L1, "vector", NULL)
METRIC(l2_f16, VC_ELEMENT_F16, VC_METRIC_L2, "halfvec", l2_f16f32)
METRIC(ip_f16, VC_ELEMENT_F16, VC_METRIC_IP, "halfvec", ip_f16f32)
METRIC(cosine_f16, VC_ELEMENT_F16, VC_METRIC_COSINE, "halfvec", cosine_f16f32)
METRIC(l1_f16, VC_ELEMENT_F16, VC_METRIC_L1, "halfvec", l1_f16f32)
METRIC(hamming_bit, VC_ELEMENT_BIT, VC_METRIC_HAMMING, "bit", NULL)
METRIC(jaccard_bit, VC_ELEMENT_BIT, VC_METRIC_JACCARD, "bit", NULL)
METRIC(l2_sparse, VC_ELEMENT_SPARSE, VC_METRIC_L2, "sparsevec", NULL)
METRIC(ip_sparse, VC_ELEMENT_SPARSE, VC_METRIC_IP, "sparsevec", NULL)
METRIC(cosine_sparse, VC_ELEMENT_SPARSE, VC_METRIC_COSINE, "sparsevec", NULL)
METRIC(l1_sparse, VC_ELEMENT_SPARSE, VC_METRIC_L1, "sparsevec", NULL)

const VcMetric *
vc_metric_of(Relation index, int attno)
{
	FmgrInfo *proc = index_getprocinfo(index, attno, VC_METRIC_PROC);

	return (const VcMetric *) DatumGetPointer(FunctionCall1(proc, PointerGetDatum(NULL)));
}

static const char *const metric_names[] = {
	[VC_METRIC_L2] = "L2",	[VC_METRIC_IP] = "IP",			 [VC_METRIC_COSINE] = "COSINE",
	[VC_METRIC_L1] = "L1",	[VC_METRIC_HAMMING] = "HAMMING", [VC_METRIC_JACCARD] = "JACCARD",
};

const char *
vc_metric_kind_name(VcMetricKind kind)
{
	return metric_names[kind];
}

VcMetricKind
vc_metric_kind_named(const char *name)
{
	for (int kind = VC_METRIC_L2; kind < lengthof(metric_names); kind++)
		if (pg_strcasecmp(name, metric_names[kind]) == 0)
			return kind;
	return 0;
}

double
vc_metric_to_operator(const VcMetric *metric, float distance)
{
	if (metric->kind == VC_METRIC_L2)
		return sqrt(distance);
	if (metric->kind == VC_METRIC_COSINE)
		return isinf(distance) ? NAN : (double) distance / 2; /* of zero vectors there is none */
	return distance;
}

/* Half of squared L2 plus the negative inner product; infinite where float cannot say. */
static float
linking_distance(VcDots dots)
{
	float distance = (dots.aa + dots.bb) / 2 - 2 * dots.ab;

	return isnan(distance) ? INFINITY : distance;
}

static float
linking_f32(const void *a, float a_scale, const void *b, float b_scale, uint32 dim)
{
	UNUSED_SCALES;
	return linking_distance(vc_kernels->dots_f32(a, b, dim));
}

static float
linking_f16(const void *a, float a_scale, const void *b, float b_scale, uint32 dim)
{
	UNUSED_SCALES;
	return linking_distance(vc_kernels->dots_f16(a, b, dim));
}

static float
linking_f16f32(const void *a, float a_scale, const float *b, float b_scale, uint32 dim)
{
	UNUSED_SCALES;
	return linking_distance(vc_kernels->dots_f16f32(a, b, dim));
}

static float
linking_sparse(const void *a, float a_scale, const void *b, float b_scale, uint32 dim)
{
	float distance = vc_sparse_stored_l2sq(a, b, dim) / 2 - vc_sparse_stored_ip(a, b, dim);

	UNUSED_SCALES;
	return isnan(distance) ? INFINITY : distance;
}

const VcMetric *
vc_metric_linking(const VcMetric *metric)
{
	static const VcMetric for_ip[] = {
		{VC_ELEMENT_F32, VC_METRIC_IP_LINKING, "vector", linking_f32, NULL},
		{VC_ELEMENT_F16, VC_METRIC_IP_LINKING, "halfvec", linking_f16, linking_f16f32},
		{VC_ELEMENT_SPARSE, VC_METRIC_IP_LINKING, "sparsevec", linking_sparse, NULL},
	};

	if (metric->kind == VC_METRIC_IP)
		for (int i = 0; i < lengthof(for_ip); i++)
			if (for_ip[i].element == metric->element)
				return &for_ip[i];
	return metric;
}

const VcMetric *
vc_metric_of_halves(const VcMetric *metric)
{
	static const VcMetric halves[] = {
		{VC_ELEMENT_F16, VC_METRIC_L2, "halfvec", l2_f16, l2_f16f32},
		{VC_ELEMENT_F16, VC_METRIC_IP, "halfvec", ip_f16, ip_f16f32},
		{VC_ELEMENT_F16, VC_METRIC_COSINE, "halfvec", cosine_f16, cosine_f16f32},
	};

	if (metric->element == VC_ELEMENT_F32)
		for (int i = 0; i < lengthof(halves); i++)
			if (halves[i].kind == metric->kind)
				return &halves[i];
	return metric;
}

Size
vc_metric_bytes(const VcMetric *metric, uint32 dim)
{
	switch (metric->element)
	{
		case VC_ELEMENT_F32:
			return sizeof(float) * (Size) dim;
		case VC_ELEMENT_F16:
			return sizeof(uint16) * (Size) dim;
		case VC_ELEMENT_BIT:
			return ((Size) dim + 7) / 8;
		case VC_ELEMENT_SPARSE:
			break;
	}
	pg_unreachable();
}

/* |v|^2, from a float sum of squares where that can be trusted and from a double one at the ends of the range. */
static double
norm2(const VcMetric *metric, const void *data, uint32 dim)
{
	bool   half = metric->element == VC_ELEMENT_F16;
	double sum;

	if (metric->element == VC_ELEMENT_SPARSE)
		return vc_sparse_stored_norm2(data, dim);
	sum = half ? vc_kernels->norm2_f16(data, dim) : vc_kernels->norm2_f32(data, dim);
	if (!(sum > FLT_MIN * (double) dim && sum <= FLT_MAX))
		sum = half ? vc_ref_norm2_f16(data, dim) : vc_ref_norm2_f32(data, dim);
	return sum;
}

void
vc_metric_value(const VcMetric *metric, Datum datum, VcValue *value)
{
	value->scale = 1;
	value->is_zero = false;
	switch (metric->element)
	{
		case VC_ELEMENT_F32:
		{
			VcVector *v = DatumGetVcVector(datum);

			value->data = v->x;
			value->dim = v->dim;
			break;
		}
		case VC_ELEMENT_F16:
		{
			VcHalfvec *v = DatumGetVcHalfvec(datum);

			value->data = v->x;
			value->dim = v->dim;
			break;
		}
		case VC_ELEMENT_BIT:
		{
			VarBit *v = DatumGetVarBitP(datum);

			value->data = VARBITS(v);
			value->dim = VARBITLEN(v);
			break;
		}
		case VC_ELEMENT_SPARSE:
		{
			VcSparsevec *v = DatumGetVcSparsevec(datum);

			value->data = vc_sparse_store(v);
			value->dim = v->dim;
			break;
		}
	}
	if (metric->kind == VC_METRIC_COSINE)
	{
		double sum = norm2(metric, value->data, value->dim);

		value->is_zero = sum == 0;
		value->scale = value->is_zero ? 0 : (float) (1 / sqrt(sum));
	}
}

uint32
vc_metric_max_dim(const VcMetric *metric)
{
	switch (metric->element)
	{
		case VC_ELEMENT_F32:
		case VC_ELEMENT_F16:
			return VC_MAX_DIM;
		case VC_ELEMENT_BIT:
			return VC_MAX_DIM * 8;
		case VC_ELEMENT_SPARSE:
			return VC_SPARSEVEC_MAX_DIM;
	}
	pg_unreachable();
}

uint32
vc_metric_declared_dim(const VcMetric *metric, Relation index, int attno)
{
	int32  typmod = TupleDescAttr(index->rd_att, attno - 1)->atttypmod;
	uint32 limit = vc_metric_max_dim(metric);

	if (typmod < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("column does not have dimensions"),
				 errdetail("Column %d of index \"%s\" is of type %s without a length.", attno,
						   RelationGetRelationName(index), metric->type_name),
				 errhint("Give the column or the indexed expression its dimensions, as in %s(3).", metric->type_name)));
	if ((uint32) typmod > limit)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("column cannot have more than %u dimensions for an index", limit)));
	return typmod;
}

void
vc_metric_to_float(const VcMetric *metric, const void *data, float scale, uint32 dim, float *out)
{
	switch (metric->element)
	{
		case VC_ELEMENT_F16:
			vc_kernels->f16_to_f32(data, out, dim);
			break;
		case VC_ELEMENT_BIT:
			/* Differing bits are the squared distance of vectors of zeros and ones. */
			for (uint32 i = 0; i < dim; i++)
				out[i] = ((const uint8 *) data)[i / 8] >> (7 - i % 8) & 1;
			break;
		default:
			memcpy(out, data, sizeof(float) * dim);
	}
	if (metric->kind == VC_METRIC_COSINE)
		for (uint32 i = 0; i < dim; i++)
			out[i] *= scale;
}
