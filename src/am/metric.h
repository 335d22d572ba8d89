/*
 * metric.h
 *		What an operator class tells its access method: the element type and the metric. Every operator class has one
 *		support function (number 1), which returns a VcMetric; both access methods read keys and compute distances through it.
 *
 * Inside an index a value is its bare elements (VcValue.data) plus, for cosine, the reciprocal of its norm, so that values
 * are stored as given and distances are those of the operators up to float rounding:
 *	L2			squared distance
 *	IP			negative inner product
 *	COSINE		2 - 2 cos, the squared distance of the normalised values
 *	IP_LINKING	squared distance / 2 - inner product
 *	L1			sum of absolute differences
 *	HAMMING		differing bits
 *	JACCARD		1 - common / either
 * A sparse value is kept as am/sparse.h says and has no fixed size.
 * All of them order as the operators do. Sums are in float, those beyond FLT_MAX compare as infinite.
 */
#ifndef VC_METRIC_H
#define VC_METRIC_H

#include "vectorcoll.h"

#include "quantize/rabitq.h"
#include "utils/rel.h"

#define VC_METRIC_PROC 1 /* support function number */

typedef enum VcElement
{
	VC_ELEMENT_F32 = 1, /* vector */
	VC_ELEMENT_F16,		/* halfvec */
	VC_ELEMENT_BIT,		/* bit */
	VC_ELEMENT_SPARSE	/* sparsevec */
} VcElement;

typedef enum VcMetricKind
{
	VC_METRIC_L2 = 1,
	VC_METRIC_IP,
	VC_METRIC_COSINE,
	VC_METRIC_L1,
	VC_METRIC_HAMMING,
	VC_METRIC_JACCARD,
	VC_METRIC_IP_LINKING /* no operator's: vc_metric_linking */
} VcMetricKind;

typedef struct VcMetric VcMetric;

struct VcMetric
{
	VcElement	 element;
	VcMetricKind kind;
	const char	*type_name; /* of the column, for messages */

	/* Distance of two values of `dim` dimensions; scales are 1 except for cosine. */
	float (*distance)(const void *a, float a_scale, const void *b, float b_scale, uint32 dim);

	/* The same number, with the second value converted to floats once for many distances; null where that saves nothing. */
	float (*distance_to_floats)(const void *a, float a_scale, const float *b, float b_scale, uint32 dim);
};

typedef struct VcValue
{
	const void *data;	/* [vc_metric_bytes] */
	uint32		dim;	/* dimensions, or bits */
	float		scale;	/* 1 / norm for cosine, otherwise 1 */
	bool		is_zero; /* a zero vector under cosine: it has no distance from anything */
} VcValue;

/* The metric of an index column. */
extern const VcMetric *vc_metric_of(Relation index, int attno);

/* How a metric is called in SQL, as in create_collection; and the metric of that name in any case of letters, or 0. */
extern const char *vc_metric_kind_name(VcMetricKind kind);
extern VcMetricKind vc_metric_kind_named(const char *name);

/* What an operator returns where the index has this distance. */
extern double vc_metric_to_operator(const VcMetric *metric, float distance);

/* The metric by which a graph links values that are searched by this one: for inner product another, else the same. */
extern const VcMetric *vc_metric_linking(const VcMetric *metric);

/* The metric by which vectors kept in half precision are compared for this one; itself where values are not floats. */
extern const VcMetric *vc_metric_of_halves(const VcMetric *metric);

/* Bytes of a value of `dim` dimensions; not for sparse values. */
extern Size vc_metric_bytes(const VcMetric *metric, uint32 dim);

/* Read a key. The data points into the datum or, where it had to be detoasted or brought into another form, is new. */
extern void vc_metric_value(const VcMetric *metric, Datum datum, VcValue *value);

/* Dimensions a value may have in an index. */
extern uint32 vc_metric_max_dim(const VcMetric *metric);

/* The dimensions an index column is declared with; 22023 where it has none, 54000 where they are too many. */
extern uint32 vc_metric_declared_dim(const VcMetric *metric, Relation index, int attno);

/* Whether RaBitQ can estimate this metric, and as which of its own. */
static inline bool
vc_metric_is_coded(const VcMetric *metric)
{
	return metric->element != VC_ELEMENT_SPARSE &&
		   (metric->kind == VC_METRIC_L2 || metric->kind == VC_METRIC_IP || metric->kind == VC_METRIC_COSINE);
}

static inline VcRabitqMetric
vc_metric_rabitq(const VcMetric *metric)
{
	return metric->kind == VC_METRIC_IP ? VC_RABITQ_IP : VC_RABITQ_L2;
}

/* The value as floats in the space that is coded: normalised for cosine. Not for sparse. */
extern void vc_metric_to_float(const VcMetric *metric, const void *data, float scale, uint32 dim, float *out);

#endif /* VC_METRIC_H */
