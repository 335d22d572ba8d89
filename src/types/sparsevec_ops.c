/*
 * sparsevec_ops.c
 *		Distances, norms and comparison of type sparsevec. Distances want equal dimensions (22000).
 */
#include "types/sparsevec.h"

#include "types/check.h"
#include "types/distance.h"
#include "types/sparse_merge.h"

static inline VcSparse
elements_of(const VcSparsevec *v)
{
	return (VcSparse){v->nnz, v->indices, VC_SPARSEVEC_VALUES(v)};
}

static inline void
get_pair(FunctionCallInfo fcinfo, VcSparse *a, VcSparse *b)
{
	VcSparsevec *x = PG_GETARG_SPARSEVEC_P(0);
	VcSparsevec *y = PG_GETARG_SPARSEVEC_P(1);

	vc_check_same_dims("sparsevec", x->dim, y->dim);
	*a = elements_of(x);
	*b = elements_of(y);
}

PG_FUNCTION_INFO_V1(vc_sparsevec_l2_distance);
Datum
vc_sparsevec_l2_distance(PG_FUNCTION_ARGS)
{
	VcSparse a, b;

	get_pair(fcinfo, &a, &b);
	PG_RETURN_FLOAT8(sqrt(vc_sparse_l2sq(a, b)));
}

PG_FUNCTION_INFO_V1(vc_sparsevec_l2_squared_distance);
Datum
vc_sparsevec_l2_squared_distance(PG_FUNCTION_ARGS)
{
	VcSparse a, b;

	get_pair(fcinfo, &a, &b);
	PG_RETURN_FLOAT8(vc_sparse_l2sq(a, b));
}

PG_FUNCTION_INFO_V1(vc_sparsevec_inner_product);
Datum
vc_sparsevec_inner_product(PG_FUNCTION_ARGS)
{
	VcSparse a, b;

	get_pair(fcinfo, &a, &b);
	PG_RETURN_FLOAT8(vc_sparse_ip(a, b));
}

PG_FUNCTION_INFO_V1(vc_sparsevec_negative_inner_product);
Datum
vc_sparsevec_negative_inner_product(PG_FUNCTION_ARGS)
{
	VcSparse a, b;

	get_pair(fcinfo, &a, &b);
	PG_RETURN_FLOAT8(-vc_sparse_ip(a, b));
}

PG_FUNCTION_INFO_V1(vc_sparsevec_cosine_distance);
Datum
vc_sparsevec_cosine_distance(PG_FUNCTION_ARGS)
{
	VcSparse a, b;

	get_pair(fcinfo, &a, &b);
	PG_RETURN_FLOAT8(vc_cosine_distance(vc_sparse_ip(a, b), vc_sparse_norm2(a), vc_sparse_norm2(b)));
}

PG_FUNCTION_INFO_V1(vc_sparsevec_l1_distance);
Datum
vc_sparsevec_l1_distance(PG_FUNCTION_ARGS)
{
	VcSparse a, b;

	get_pair(fcinfo, &a, &b);
	PG_RETURN_FLOAT8(vc_sparse_l1(a, b));
}

PG_FUNCTION_INFO_V1(vc_sparsevec_norm);
Datum
vc_sparsevec_norm(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(sqrt(vc_sparse_norm2(elements_of(PG_GETARG_SPARSEVEC_P(0)))));
}

/* Elements that vanish beside the norm are dropped, because zeros are not stored; a zero vector stays zero. */
PG_FUNCTION_INFO_V1(vc_sparsevec_l2_normalize);
Datum
vc_sparsevec_l2_normalize(PG_FUNCTION_ARGS)
{
	VcSparsevec *v = PG_GETARG_SPARSEVEC_P(0);
	const float *values = VC_SPARSEVEC_VALUES(v);
	double norm = sqrt(vc_sparse_norm2(elements_of(v)));
	VcSparsevec *result;
	int nnz = 0;
	int n = 0;

	for (int i = 0; i < v->nnz; i++)
		nnz += (float) (values[i] / norm) != 0;
	result = vc_sparsevec_new(v->dim, nnz);
	for (int i = 0; i < v->nnz; i++)
	{
		float value = (float) (values[i] / norm);

		if (value == 0)
			continue;
		result->indices[n] = v->indices[i];
		VC_SPARSEVEC_VALUES(result)[n] = value;
		n++;
	}
	PG_RETURN_SPARSEVEC_P(result);
}

/*
 * The order that the same vectors have as type vector: by the first of the shared dimensions in which they differ, where
 * what is not stored is zero; then by dimensions.
 */
static int
compare(const VcSparsevec *a, const VcSparsevec *b)
{
	int32 shared = Min(a->dim, b->dim);
	int i = 0;
	int j = 0;

	for (;;)
	{
		int32 x = i < a->nnz && a->indices[i] < shared ? a->indices[i] : shared;
		int32 y = j < b->nnz && b->indices[j] < shared ? b->indices[j] : shared;
		float p = x <= y && x < shared ? VC_SPARSEVEC_VALUES(a)[i] : 0;
		float q = y <= x && y < shared ? VC_SPARSEVEC_VALUES(b)[j] : 0;

		if (p != q)
			return p < q ? -1 : 1;
		if (x == shared && y == shared)
			return (a->dim > b->dim) - (a->dim < b->dim);
		i += x <= y;
		j += y <= x;
	}
}

static int
compare_args(FunctionCallInfo fcinfo)
{
	VcSparsevec *a = PG_GETARG_SPARSEVEC_P(0);
	VcSparsevec *b = PG_GETARG_SPARSEVEC_P(1);
	int order = compare(a, b);

	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return order;
}

#define VC_FUNCTION(f) vc_sparsevec_##f
#include "types/compare_impl.h"
