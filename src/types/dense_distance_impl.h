/*
 * dense_distance_impl.h
 *		Distances and norms of a dense vector type; see dense_impl.h. Distances want equal dimensions (22000) and return
 *		float8. What the functions detoast is left to the memory context they run in, as sorts and scans reset it per row.
 */
#define VC_PASTE_(a, b) a##b
#define VC_PASTE(a, b) VC_PASTE_(a, b)
#define VC_KERNEL(name) vc_kernels->VC_PASTE(name##_, VC_SUFFIX)
#define VC_REF(name) VC_PASTE(vc_ref_##name##_, VC_SUFFIX)

static inline double
measure_l2sq(const VC_TYPE *a, const VC_TYPE *b)
{
	float sum = VC_KERNEL(l2sq)(a->x, b->x, a->dim);

	return likely(vc_squares_trusted(sum)) ? sum : VC_REF(l2sq)(a->x, b->x, a->dim);
}

static inline double
measure_ip(const VC_TYPE *a, const VC_TYPE *b)
{
	float sum = VC_KERNEL(ip)(a->x, b->x, a->dim);

	return likely(isfinite(sum)) ? sum : VC_REF(ip)(a->x, b->x, a->dim);
}

static inline double
measure_l1(const VC_TYPE *a, const VC_TYPE *b)
{
	float sum = VC_KERNEL(l1)(a->x, b->x, a->dim);

	return likely(isfinite(sum)) ? sum : VC_REF(l1)(a->x, b->x, a->dim);
}

static inline double
measure_cosine(const VC_TYPE *a, const VC_TYPE *b)
{
	VcDots dots = VC_KERNEL(dots)(a->x, b->x, a->dim);
	VcRefDots exact;

	if (likely(vc_squares_trusted(dots.aa) && vc_squares_trusted(dots.bb) && isfinite(dots.ab)))
		return vc_cosine_distance(dots.ab, dots.aa, dots.bb);
	exact = VC_REF(dots)(a->x, b->x, a->dim);
	return vc_cosine_distance(exact.ab, exact.aa, exact.bb);
}

static inline double
measure_norm(const VC_TYPE *a)
{
	float sum = VC_KERNEL(norm2)(a->x, a->dim);

	return sqrt(likely(vc_squares_trusted(sum)) ? sum : VC_REF(norm2)(a->x, a->dim));
}

/* Fetch the two arguments, of the same dimensions. */
static inline void
get_pair(FunctionCallInfo fcinfo, VC_TYPE **a, VC_TYPE **b)
{
	*a = (VC_TYPE *) vc_detoast_arg(fcinfo, 0);
	*b = (VC_TYPE *) vc_detoast_arg(fcinfo, 1);
	vc_check_same_dims(VC_TYPE_NAME, (*a)->dim, (*b)->dim);
}

PG_FUNCTION_INFO_V1(VC_FUNCTION(l2_distance));
Datum
VC_FUNCTION(l2_distance)(PG_FUNCTION_ARGS)
{
	VC_TYPE *a, *b;

	get_pair(fcinfo, &a, &b);
	PG_RETURN_FLOAT8(sqrt(measure_l2sq(a, b)));
}

PG_FUNCTION_INFO_V1(VC_FUNCTION(l2_squared_distance));
Datum
VC_FUNCTION(l2_squared_distance)(PG_FUNCTION_ARGS)
{
	VC_TYPE *a, *b;

	get_pair(fcinfo, &a, &b);
	PG_RETURN_FLOAT8(measure_l2sq(a, b));
}

PG_FUNCTION_INFO_V1(VC_FUNCTION(inner_product));
Datum
VC_FUNCTION(inner_product)(PG_FUNCTION_ARGS)
{
	VC_TYPE *a, *b;

	get_pair(fcinfo, &a, &b);
	PG_RETURN_FLOAT8(measure_ip(a, b));
}

/* Negative, because ordering operators only order ascending. */
PG_FUNCTION_INFO_V1(VC_FUNCTION(negative_inner_product));
Datum
VC_FUNCTION(negative_inner_product)(PG_FUNCTION_ARGS)
{
	VC_TYPE *a, *b;

	get_pair(fcinfo, &a, &b);
	PG_RETURN_FLOAT8(-measure_ip(a, b));
}

PG_FUNCTION_INFO_V1(VC_FUNCTION(cosine_distance));
Datum
VC_FUNCTION(cosine_distance)(PG_FUNCTION_ARGS)
{
	VC_TYPE *a, *b;

	get_pair(fcinfo, &a, &b);
	PG_RETURN_FLOAT8(measure_cosine(a, b));
}

PG_FUNCTION_INFO_V1(VC_FUNCTION(l1_distance));
Datum
VC_FUNCTION(l1_distance)(PG_FUNCTION_ARGS)
{
	VC_TYPE *a, *b;

	get_pair(fcinfo, &a, &b);
	PG_RETURN_FLOAT8(measure_l1(a, b));
}

/* The angle between vectors of norm one, as a share of pi. */
PG_FUNCTION_INFO_V1(VC_FUNCTION(spherical_distance));
Datum
VC_FUNCTION(spherical_distance)(PG_FUNCTION_ARGS)
{
	VC_TYPE *a, *b;

	get_pair(fcinfo, &a, &b);
	PG_RETURN_FLOAT8(vc_spherical_distance(measure_ip(a, b)));
}

PG_FUNCTION_INFO_V1(VC_FUNCTION(norm));
Datum
VC_FUNCTION(norm)(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(measure_norm((VC_TYPE *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0))));
}

/* A zero vector stays zero. */
PG_FUNCTION_INFO_V1(VC_FUNCTION(l2_normalize));
Datum
VC_FUNCTION(l2_normalize)(PG_FUNCTION_ARGS)
{
	VC_TYPE *a = (VC_TYPE *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0));
	VC_TYPE *result = VC_NEW(a->dim);
	double norm = measure_norm(a);

	/* No element exceeds the norm, so nothing overflows. */
	if (norm > 0)
	{
		for (int i = 0; i < a->dim; i++)
			result->x[i] = VC_STORE((float) (VC_LOAD(a->x[i]) / norm));
	}
	PG_RETURN_POINTER(result);
}
