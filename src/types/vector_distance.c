/*
 * vector_distance.c
 *		Distances and norms of type vector. All of them want equal dimensions (22000) and return float8.
 */
#include "types/vector.h"

#include "types/check.h"

#define VC_ELEMENT float
#define VC_SUFFIX f32
#include "types/measures_impl.h"

/* Fetch two vectors of the same dimensions; the memory of a detoasted one goes with the caller's per-row context. */
static inline int
get_pair(FunctionCallInfo fcinfo, VcVector **a, VcVector **b)
{
	*a = PG_GETARG_VECTOR_P(0);
	*b = PG_GETARG_VECTOR_P(1);
	vc_check_same_dims("vector", (*a)->dim, (*b)->dim);
	return (*a)->dim;
}

PG_FUNCTION_INFO_V1(vc_vector_l2_distance);
Datum
vc_vector_l2_distance(PG_FUNCTION_ARGS)
{
	VcVector *a, *b;
	int dim = get_pair(fcinfo, &a, &b);

	PG_RETURN_FLOAT8(sqrt(measure_l2sq(a->x, b->x, dim)));
}

PG_FUNCTION_INFO_V1(vc_vector_l2_squared_distance);
Datum
vc_vector_l2_squared_distance(PG_FUNCTION_ARGS)
{
	VcVector *a, *b;
	int dim = get_pair(fcinfo, &a, &b);

	PG_RETURN_FLOAT8(measure_l2sq(a->x, b->x, dim));
}

PG_FUNCTION_INFO_V1(vc_vector_inner_product);
Datum
vc_vector_inner_product(PG_FUNCTION_ARGS)
{
	VcVector *a, *b;
	int dim = get_pair(fcinfo, &a, &b);

	PG_RETURN_FLOAT8(measure_ip(a->x, b->x, dim));
}

/* Negative, because an ordering operator is only used ascending. */
PG_FUNCTION_INFO_V1(vc_vector_negative_inner_product);
Datum
vc_vector_negative_inner_product(PG_FUNCTION_ARGS)
{
	VcVector *a, *b;
	int dim = get_pair(fcinfo, &a, &b);

	PG_RETURN_FLOAT8(-measure_ip(a->x, b->x, dim));
}

PG_FUNCTION_INFO_V1(vc_vector_cosine_distance);
Datum
vc_vector_cosine_distance(PG_FUNCTION_ARGS)
{
	VcVector *a, *b;
	int dim = get_pair(fcinfo, &a, &b);

	PG_RETURN_FLOAT8(measure_cosine(a->x, b->x, dim));
}

PG_FUNCTION_INFO_V1(vc_vector_l1_distance);
Datum
vc_vector_l1_distance(PG_FUNCTION_ARGS)
{
	VcVector *a, *b;
	int dim = get_pair(fcinfo, &a, &b);

	PG_RETURN_FLOAT8(measure_l1(a->x, b->x, dim));
}

PG_FUNCTION_INFO_V1(vc_vector_spherical_distance);
Datum
vc_vector_spherical_distance(PG_FUNCTION_ARGS)
{
	VcVector *a, *b;
	int dim = get_pair(fcinfo, &a, &b);

	PG_RETURN_FLOAT8(vc_spherical_distance(measure_ip(a->x, b->x, dim)));
}

PG_FUNCTION_INFO_V1(vc_vector_norm);
Datum
vc_vector_norm(PG_FUNCTION_ARGS)
{
	VcVector *a = PG_GETARG_VECTOR_P(0);

	PG_RETURN_FLOAT8(measure_norm(a->x, a->dim));
}

/* A zero vector stays zero. */
PG_FUNCTION_INFO_V1(vc_vector_l2_normalize);
Datum
vc_vector_l2_normalize(PG_FUNCTION_ARGS)
{
	VcVector *a = PG_GETARG_VECTOR_P(0);
	VcVector *result = vc_vector_new(a->dim);
	double norm = measure_norm(a->x, a->dim);

	/* No element exceeds the norm, so this cannot overflow. */
	if (norm > 0)
	{
		for (int i = 0; i < a->dim; i++)
			result->x[i] = (float) (a->x[i] / norm);
	}
	PG_RETURN_VECTOR_P(result);
}
