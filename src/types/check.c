/*
 * check.c
 *		The errors that vector, halfvec and sparsevec raise alike.
 */
#include "types/check.h"

void
vc_error_different_dims(const char *type_name, int a, int b)
{
	ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION), errmsg("different %s dimensions %d and %d", type_name, a, b)));
}

void
vc_error_not_finite(const char *type_name, float value)
{
	if (isnan(value))
		ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION), errmsg("NaN not allowed in %s", type_name)));
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("infinite value not allowed in %s", type_name)));
}

bool
vc_check_dim(const char *type_name, int64 dim, int max_dim, Node *escontext)
{
	if (unlikely(dim < 1))
		vc_ereturn(escontext, false,
				   (errcode(ERRCODE_DATA_EXCEPTION), errmsg("%s must have at least 1 dimension", type_name)));
	if (unlikely(dim > max_dim))
		vc_ereturn(escontext, false,
				   (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					errmsg("%s cannot have more than %d dimensions", type_name, max_dim)));
	return true;
}

bool
vc_check_typmod(int32 typmod, int dim, Node *escontext)
{
	if (unlikely(typmod != -1 && typmod != dim))
		vc_ereturn(escontext, false,
				   (errcode(ERRCODE_DATA_EXCEPTION), errmsg("expected %d dimensions, not %d", typmod, dim)));
	return true;
}

void
vc_check_unused(int32 unused)
{
	if (unlikely(unused != 0))
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("expected unused to be 0, not %d", unused)));
}

int32
vc_typmod_in(const char *type_name, ArrayType *modifiers, int max_dim)
{
	int n;
	int32 *value = ArrayGetIntegerTypmods(modifiers, &n);

	if (n != 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid type modifier"),
						errdetail("Type %s takes one modifier, the number of dimensions.", type_name)));
	if (*value < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("dimensions for type %s must be at least 1", type_name)));
	if (*value > max_dim)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("dimensions for type %s cannot exceed %d", type_name, max_dim)));
	return *value;
}
