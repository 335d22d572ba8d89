/*
 * casts.c
 *		Arrays to and from the vector types, and the vector types to one another. Every cast function has the type
 *		modifier as its second argument, -1 where there is none.
 */
#include "vectorcoll.h"

#include "catalog/pg_type.h"
#include "kernels/vc_kernels.h"
#include "types/check.h"
#include "types/decimal.h"
#include "types/halfvec.h"
#include "types/sparsevec.h"
#include "types/vector.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/*
 * A numeric, by way of its text, as the server itself does it; but rounded by our own reader, which lets what is too small
 * for a float become zero, as it does in a literal.
 */
static float
numeric_as_float(Datum numeric)
{
	char *text = DatumGetCString(DirectFunctionCall1(numeric_out, numeric));
	float value;

	if (vc_decimal_to_f32(text, text + strlen(text), &value) == NULL)
		value = strcmp(text, "NaN") == 0 ? NAN : INFINITY;
	pfree(text);
	return value;
}

/* One element of an integer[], real[], double precision[] or numeric[]; beyond float's range it is infinite. */
static inline float
element_as_float(Oid type, Datum element)
{
	switch (type)
	{
		case INT4OID:
			return (float) DatumGetInt32(element);
		case FLOAT4OID:
			return DatumGetFloat4(element);
		case FLOAT8OID:
			return (float) DatumGetFloat8(element);
		case NUMERICOID:
			return numeric_as_float(element);
		default:
			ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION), errmsg("unsupported array type")));
	}
}

/*
 * The elements of an array as floats, palloc'd. The array must be one-dimensional (22000) without nulls (22004), and have
 * as many elements as the type and its modifier allow; elements must be finite.
 */
static float *
array_as_floats(ArrayType *array, const char *type_name, int32 typmod, int max_dim, int *dim)
{
	Oid type = ARR_ELEMTYPE(array);
	int16 length;
	bool by_value;
	char align;
	Datum *elements;
	float *x;
	int n;

	if (ARR_NDIM(array) > 1)
		ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION), errmsg("array must be 1-D")));
	if (ARR_HASNULL(array) && array_contains_nulls(array))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("array must not contain nulls")));

	n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	vc_check_dim(type_name, n, max_dim, NULL);
	vc_check_typmod(typmod, n, NULL);

	get_typlenbyvalalign(type, &length, &by_value, &align);
	deconstruct_array(array, type, length, by_value, align, &elements, NULL, &n);
	x = palloc(n * sizeof(float));
	for (int i = 0; i < n; i++)
	{
		x[i] = element_as_float(type, elements[i]);
		vc_check_finite(type_name, x[i]);
	}
	pfree(elements);
	*dim = n;
	return x;
}

static VcHalfvec *
floats_to_halfvec(const float *x, int dim)
{
	VcHalfvec *v = vc_halfvec_new(dim);

	vc_kernels->f32_to_f16(x, v->x, dim);
	for (int i = 0; i < dim; i++)
	{
		if (unlikely((v->x[i] & 0x7c00) == 0x7c00))
			ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
							errmsg("\"%g\" is out of range for type halfvec", x[i])));
	}
	return v;
}

static VcSparsevec *
floats_to_sparsevec(const float *x, int dim)
{
	VcSparsevec *v;
	int nnz = 0;
	int n = 0;

	for (int i = 0; i < dim; i++)
		nnz += x[i] != 0;
	if (nnz > VC_SPARSEVEC_MAX_NNZ)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("sparsevec cannot have more than %d non-zero elements", VC_SPARSEVEC_MAX_NNZ)));
	v = vc_sparsevec_new(dim, nnz);
	for (int i = 0; i < dim; i++)
	{
		if (x[i] != 0)
		{
			v->indices[n] = i;
			VC_SPARSEVEC_VALUES(v)[n] = x[i];
			n++;
		}
	}
	return v;
}

/* real[] with these elements, built in place: construct_array would want a Datum each. */
static ArrayType *
floats_to_array(const float *x, int dim)
{
	Size size = ARR_OVERHEAD_NONULLS(1) + dim * sizeof(float);
	ArrayType *array = palloc0(size);

	SET_VARSIZE(array, size);
	array->ndim = 1;
	array->dataoffset = 0;
	array->elemtype = FLOAT4OID;
	ARR_DIMS(array)[0] = dim;
	ARR_LBOUND(array)[0] = 1;
	memcpy(ARR_DATA_PTR(array), x, dim * sizeof(float));
	return array;
}

static float *
halfvec_as_floats(const VcHalfvec *v)
{
	float *x = palloc(v->dim * sizeof(float));

	vc_kernels->f16_to_f32(v->x, x, v->dim);
	return x;
}

PG_FUNCTION_INFO_V1(vc_array_to_vector);
Datum
vc_array_to_vector(PG_FUNCTION_ARGS)
{
	int dim;
	float *x = array_as_floats(PG_GETARG_ARRAYTYPE_P(0), "vector", PG_GETARG_INT32(1), VC_MAX_DIM, &dim);
	VcVector *v = vc_vector_new(dim);

	memcpy(v->x, x, dim * sizeof(float));
	PG_RETURN_VECTOR_P(v);
}

PG_FUNCTION_INFO_V1(vc_array_to_halfvec);
Datum
vc_array_to_halfvec(PG_FUNCTION_ARGS)
{
	int dim;
	float *x = array_as_floats(PG_GETARG_ARRAYTYPE_P(0), "halfvec", PG_GETARG_INT32(1), VC_MAX_DIM, &dim);

	PG_RETURN_HALFVEC_P(floats_to_halfvec(x, dim));
}

PG_FUNCTION_INFO_V1(vc_array_to_sparsevec);
Datum
vc_array_to_sparsevec(PG_FUNCTION_ARGS)
{
	int dim;
	float *x = array_as_floats(PG_GETARG_ARRAYTYPE_P(0), "sparsevec", PG_GETARG_INT32(1), VC_SPARSEVEC_MAX_DIM, &dim);

	PG_RETURN_SPARSEVEC_P(floats_to_sparsevec(x, dim));
}

PG_FUNCTION_INFO_V1(vc_vector_to_float4);
Datum
vc_vector_to_float4(PG_FUNCTION_ARGS)
{
	VcVector *v = PG_GETARG_VECTOR_P(0);

	PG_RETURN_ARRAYTYPE_P(floats_to_array(v->x, v->dim));
}

PG_FUNCTION_INFO_V1(vc_halfvec_to_float4);
Datum
vc_halfvec_to_float4(PG_FUNCTION_ARGS)
{
	VcHalfvec *v = PG_GETARG_HALFVEC_P(0);

	PG_RETURN_ARRAYTYPE_P(floats_to_array(halfvec_as_floats(v), v->dim));
}

PG_FUNCTION_INFO_V1(vc_vector_to_halfvec);
Datum
vc_vector_to_halfvec(PG_FUNCTION_ARGS)
{
	VcVector *v = PG_GETARG_VECTOR_P(0);

	vc_check_typmod(PG_GETARG_INT32(1), v->dim, NULL);
	PG_RETURN_HALFVEC_P(floats_to_halfvec(v->x, v->dim));
}

PG_FUNCTION_INFO_V1(vc_halfvec_to_vector);
Datum
vc_halfvec_to_vector(PG_FUNCTION_ARGS)
{
	VcHalfvec *v = PG_GETARG_HALFVEC_P(0);
	VcVector *result;

	vc_check_typmod(PG_GETARG_INT32(1), v->dim, NULL);
	result = vc_vector_new(v->dim);
	vc_kernels->f16_to_f32(v->x, result->x, v->dim);
	PG_RETURN_VECTOR_P(result);
}

PG_FUNCTION_INFO_V1(vc_vector_to_sparsevec);
Datum
vc_vector_to_sparsevec(PG_FUNCTION_ARGS)
{
	VcVector *v = PG_GETARG_VECTOR_P(0);

	vc_check_typmod(PG_GETARG_INT32(1), v->dim, NULL);
	PG_RETURN_SPARSEVEC_P(floats_to_sparsevec(v->x, v->dim));
}

PG_FUNCTION_INFO_V1(vc_halfvec_to_sparsevec);
Datum
vc_halfvec_to_sparsevec(PG_FUNCTION_ARGS)
{
	VcHalfvec *v = PG_GETARG_HALFVEC_P(0);

	vc_check_typmod(PG_GETARG_INT32(1), v->dim, NULL);
	PG_RETURN_SPARSEVEC_P(floats_to_sparsevec(halfvec_as_floats(v), v->dim));
}

PG_FUNCTION_INFO_V1(vc_sparsevec_to_vector);
Datum
vc_sparsevec_to_vector(PG_FUNCTION_ARGS)
{
	VcSparsevec *v = PG_GETARG_SPARSEVEC_P(0);
	VcVector *result;

	vc_check_dim("vector", v->dim, VC_MAX_DIM, NULL);
	vc_check_typmod(PG_GETARG_INT32(1), v->dim, NULL);
	result = vc_vector_new(v->dim);
	for (int i = 0; i < v->nnz; i++)
		result->x[v->indices[i]] = VC_SPARSEVEC_VALUES(v)[i];
	PG_RETURN_VECTOR_P(result);
}

PG_FUNCTION_INFO_V1(vc_sparsevec_to_halfvec);
Datum
vc_sparsevec_to_halfvec(PG_FUNCTION_ARGS)
{
	VcSparsevec *v = PG_GETARG_SPARSEVEC_P(0);
	float *x;

	vc_check_dim("halfvec", v->dim, VC_MAX_DIM, NULL);
	vc_check_typmod(PG_GETARG_INT32(1), v->dim, NULL);
	x = palloc0(v->dim * sizeof(float));
	for (int i = 0; i < v->nnz; i++)
		x[v->indices[i]] = VC_SPARSEVEC_VALUES(v)[i];
	PG_RETURN_HALFVEC_P(floats_to_halfvec(x, v->dim));
}
