/*
 * dense_ops_impl.h
 *		Arithmetic, parts and comparison of a dense vector type; see dense_impl.h.
 */

/* Operands are finite, so an element that is not has overflowed: 22003. */
static void
check_overflow(const VC_TYPE *v)
{
	bool finite = true;

	for (int i = 0; i < v->dim; i++)
		finite &= fabsf(VC_LOAD(v->x[i])) <= FLT_MAX;
	if (unlikely(!finite))
		float_overflow_error();
}

PG_FUNCTION_INFO_V1(VC_FUNCTION(add));
Datum
VC_FUNCTION(add)(PG_FUNCTION_ARGS)
{
	VC_TYPE *a, *b, *result;

	get_pair(fcinfo, &a, &b);
	result = VC_NEW(a->dim);
	for (int i = 0; i < a->dim; i++)
		result->x[i] = VC_STORE(VC_LOAD(a->x[i]) + VC_LOAD(b->x[i]));
	check_overflow(result);
	PG_RETURN_POINTER(result);
}

PG_FUNCTION_INFO_V1(VC_FUNCTION(sub));
Datum
VC_FUNCTION(sub)(PG_FUNCTION_ARGS)
{
	VC_TYPE *a, *b, *result;

	get_pair(fcinfo, &a, &b);
	result = VC_NEW(a->dim);
	for (int i = 0; i < a->dim; i++)
		result->x[i] = VC_STORE(VC_LOAD(a->x[i]) - VC_LOAD(b->x[i]));
	check_overflow(result);
	PG_RETURN_POINTER(result);
}

/* Element by element. A product that vanishes is an error as it is for float4: 22003, underflow. */
PG_FUNCTION_INFO_V1(VC_FUNCTION(mul));
Datum
VC_FUNCTION(mul)(PG_FUNCTION_ARGS)
{
	VC_TYPE *a, *b, *result;
	bool underflow = false;

	get_pair(fcinfo, &a, &b);
	result = VC_NEW(a->dim);
	for (int i = 0; i < a->dim; i++)
	{
		float x = VC_LOAD(a->x[i]);
		float y = VC_LOAD(b->x[i]);

		result->x[i] = VC_STORE(x * y);
		underflow |= VC_LOAD(result->x[i]) == 0 && x != 0 && y != 0;
	}
	check_overflow(result);
	if (unlikely(underflow))
		float_underflow_error();
	PG_RETURN_POINTER(result);
}

PG_FUNCTION_INFO_V1(VC_FUNCTION(concat));
Datum
VC_FUNCTION(concat)(PG_FUNCTION_ARGS)
{
	VC_TYPE *a = (VC_TYPE *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0));
	VC_TYPE *b = (VC_TYPE *) PG_DETOAST_DATUM(PG_GETARG_DATUM(1));
	int dim = a->dim + b->dim;
	VC_TYPE *result;

	vc_check_dim(VC_TYPE_NAME, dim, VC_MAX_DIM, NULL);
	result = VC_NEW(dim);
	memcpy(result->x, a->x, a->dim * sizeof(VC_ELEMENT));
	memcpy(result->x + a->dim, b->x, b->dim * sizeof(VC_ELEMENT));
	PG_RETURN_POINTER(result);
}

/*
 * subvector(v, start, count): elements start .. start + count - 1, counted from one, of which those that exist; like
 * substring(), except that nothing left is an error, because a vector has a dimension (22000).
 */
PG_FUNCTION_INFO_V1(VC_FUNCTION(subvector));
Datum
VC_FUNCTION(subvector)(PG_FUNCTION_ARGS)
{
	VC_TYPE *a = (VC_TYPE *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0));
	int64 first = PG_GETARG_INT32(1);
	int64 past = first + PG_GETARG_INT32(2);
	VC_TYPE *result;

	first = Max(first, 1);
	past = Min(past, (int64) a->dim + 1);
	vc_check_dim(VC_TYPE_NAME, past - first, VC_MAX_DIM, NULL);
	result = VC_NEW((int) (past - first));
	memcpy(result->x, a->x + first - 1, result->dim * sizeof(VC_ELEMENT));
	PG_RETURN_POINTER(result);
}

/* One bit an element, set where it is positive. */
PG_FUNCTION_INFO_V1(VC_FUNCTION(binary_quantize));
Datum
VC_FUNCTION(binary_quantize)(PG_FUNCTION_ARGS)
{
	VC_TYPE *a = (VC_TYPE *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0));
	VarBit *result = palloc0(VARBITTOTALLEN(a->dim));

	SET_VARSIZE(result, VARBITTOTALLEN(a->dim));
	VARBITLEN(result) = a->dim;
	for (int i = 0; i < a->dim; i++)
		VARBITS(result)[i / 8] |= (VC_LOAD(a->x[i]) > 0) << (7 - i % 8);
	PG_RETURN_VARBIT_P(result);
}

/*
 * The B-tree order: element by element, and where one value is the beginning of the other, the shorter first. Zeros of
 * either sign are equal. Sorts and B-trees want comparisons not to leak.
 */
static int
compare_args(FunctionCallInfo fcinfo)
{
	VC_TYPE *a = (VC_TYPE *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0));
	VC_TYPE *b = (VC_TYPE *) PG_DETOAST_DATUM(PG_GETARG_DATUM(1));
	int shared = Min(a->dim, b->dim);
	int order = (a->dim > b->dim) - (a->dim < b->dim);

	for (int i = 0; i < shared; i++)
	{
		float x = VC_LOAD(a->x[i]);
		float y = VC_LOAD(b->x[i]);

		if (x != y)
		{
			order = x < y ? -1 : 1;
			break;
		}
	}
	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return order;
}

#include "types/compare_impl.h"
