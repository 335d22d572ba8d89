/*
 * vector_ops.c
 *		Arithmetic, comparison and the pieces of type vector.
 */
#include "types/vector.h"

#include "types/check.h"
#include "utils/float.h"
#include "utils/varbit.h"

/* An element that is not finite here is an overflow: the operands were finite. 22003. */
static void
check_overflow(const VcVector *v)
{
	bool finite = true;

	for (int i = 0; i < v->dim; i++)
		finite &= fabsf(v->x[i]) <= FLT_MAX;
	if (unlikely(!finite))
		float_overflow_error();
}

PG_FUNCTION_INFO_V1(vc_vector_add);
Datum
vc_vector_add(PG_FUNCTION_ARGS)
{
	VcVector *a = PG_GETARG_VECTOR_P(0);
	VcVector *b = PG_GETARG_VECTOR_P(1);
	VcVector *result;

	vc_check_same_dims("vector", a->dim, b->dim);
	result = vc_vector_new(a->dim);
	for (int i = 0; i < a->dim; i++)
		result->x[i] = a->x[i] + b->x[i];
	check_overflow(result);
	PG_RETURN_VECTOR_P(result);
}

PG_FUNCTION_INFO_V1(vc_vector_sub);
Datum
vc_vector_sub(PG_FUNCTION_ARGS)
{
	VcVector *a = PG_GETARG_VECTOR_P(0);
	VcVector *b = PG_GETARG_VECTOR_P(1);
	VcVector *result;

	vc_check_same_dims("vector", a->dim, b->dim);
	result = vc_vector_new(a->dim);
	for (int i = 0; i < a->dim; i++)
		result->x[i] = a->x[i] - b->x[i];
	check_overflow(result);
	PG_RETURN_VECTOR_P(result);
}

/* Element by element. A product that vanishes is an error as it is for float4: 22003, underflow. */
PG_FUNCTION_INFO_V1(vc_vector_mul);
Datum
vc_vector_mul(PG_FUNCTION_ARGS)
{
	VcVector *a = PG_GETARG_VECTOR_P(0);
	VcVector *b = PG_GETARG_VECTOR_P(1);
	VcVector *result;
	bool underflow = false;

	vc_check_same_dims("vector", a->dim, b->dim);
	result = vc_vector_new(a->dim);
	for (int i = 0; i < a->dim; i++)
	{
		result->x[i] = a->x[i] * b->x[i];
		underflow |= result->x[i] == 0 && a->x[i] != 0 && b->x[i] != 0;
	}
	check_overflow(result);
	if (unlikely(underflow))
		float_underflow_error();
	PG_RETURN_VECTOR_P(result);
}

PG_FUNCTION_INFO_V1(vc_vector_concat);
Datum
vc_vector_concat(PG_FUNCTION_ARGS)
{
	VcVector *a = PG_GETARG_VECTOR_P(0);
	VcVector *b = PG_GETARG_VECTOR_P(1);
	int dim = a->dim + b->dim;
	VcVector *result;

	vc_check_dim("vector", dim, VC_MAX_DIM, NULL);
	result = vc_vector_new(dim);
	memcpy(result->x, a->x, a->dim * sizeof(float));
	memcpy(result->x + a->dim, b->x, b->dim * sizeof(float));
	PG_RETURN_VECTOR_P(result);
}

/*
 * subvector(v, start, count): elements start .. start + count - 1, counted from one, of which those that exist; like
 * substring(), except that nothing left is an error, because a vector has a dimension (22000).
 */
PG_FUNCTION_INFO_V1(vc_vector_subvector);
Datum
vc_vector_subvector(PG_FUNCTION_ARGS)
{
	VcVector *a = PG_GETARG_VECTOR_P(0);
	int64 first = PG_GETARG_INT32(1);
	int64 past = first + PG_GETARG_INT32(2);
	VcVector *result;

	first = Max(first, 1);
	past = Min(past, (int64) a->dim + 1);
	vc_check_dim("vector", past - first, VC_MAX_DIM, NULL);
	result = vc_vector_new((int) (past - first));
	memcpy(result->x, a->x + first - 1, result->dim * sizeof(float));
	PG_RETURN_VECTOR_P(result);
}

/* One bit an element, set where it is positive. */
PG_FUNCTION_INFO_V1(vc_vector_binary_quantize);
Datum
vc_vector_binary_quantize(PG_FUNCTION_ARGS)
{
	VcVector *a = PG_GETARG_VECTOR_P(0);
	VarBit *result = palloc0(VARBITTOTALLEN(a->dim));

	SET_VARSIZE(result, VARBITTOTALLEN(a->dim));
	VARBITLEN(result) = a->dim;
	for (int i = 0; i < a->dim; i++)
		VARBITS(result)[i / 8] |= (a->x[i] > 0) << (7 - i % 8);
	PG_RETURN_VARBIT_P(result);
}

/* Element by element, and where one is the beginning of the other, the shorter first. Zeros of either sign are equal. */
int
vc_vector_compare(const VcVector *a, const VcVector *b)
{
	int shared = Min(a->dim, b->dim);

	for (int i = 0; i < shared; i++)
	{
		if (a->x[i] != b->x[i])
			return a->x[i] < b->x[i] ? -1 : 1;
	}
	return a->dim == b->dim ? 0 : (a->dim < b->dim ? -1 : 1);
}

/* Comparisons are called by sorts and B-trees, which want them not to leak. */
static int
compare_args(FunctionCallInfo fcinfo)
{
	VcVector *a = PG_GETARG_VECTOR_P(0);
	VcVector *b = PG_GETARG_VECTOR_P(1);
	int order = vc_vector_compare(a, b);

	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return order;
}

PG_FUNCTION_INFO_V1(vc_vector_lt);
Datum
vc_vector_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_args(fcinfo) < 0);
}

PG_FUNCTION_INFO_V1(vc_vector_le);
Datum
vc_vector_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_args(fcinfo) <= 0);
}

PG_FUNCTION_INFO_V1(vc_vector_eq);
Datum
vc_vector_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_args(fcinfo) == 0);
}

PG_FUNCTION_INFO_V1(vc_vector_ne);
Datum
vc_vector_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_args(fcinfo) != 0);
}

PG_FUNCTION_INFO_V1(vc_vector_ge);
Datum
vc_vector_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_args(fcinfo) >= 0);
}

PG_FUNCTION_INFO_V1(vc_vector_gt);
Datum
vc_vector_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_args(fcinfo) > 0);
}

PG_FUNCTION_INFO_V1(vc_vector_cmp);
Datum
vc_vector_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(compare_args(fcinfo));
}
