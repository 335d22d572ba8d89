/*
 * aggregate.c
 *		avg and sum of vector and halfvec. The state sums in double, so that the result is right whatever the order of the
 *		rows, and travels between parallel workers as bytes in the machine's own order.
 */
#include "vectorcoll.h"

#include "kernels/vc_kernels.h"
#include "types/check.h"
#include "types/detoast.h"
#include "types/halfvec.h"
#include "types/vector.h"
#include "utils/float.h"

typedef struct AggState
{
	int64 count;
	int32 dim;
	int32 unused; /* zero */
	double sum[FLEXIBLE_ARRAY_MEMBER];
} AggState;

#define AGG_STATE_SIZE(dim) (offsetof(AggState, sum) + sizeof(double) * (Size) (dim))

static AggState *
new_state(FunctionCallInfo fcinfo, int dim)
{
	MemoryContext context;
	AggState *state;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "aggregate function called in non-aggregate context");
	state = MemoryContextAllocZero(context, AGG_STATE_SIZE(dim));
	state->dim = dim;
	return state;
}

/* The state as it stands, made if it is not there yet. Rows of other dimensions than the first are an error. */
static AggState *
state_for_row(FunctionCallInfo fcinfo, const char *type_name, int dim)
{
	AggState *state = PG_ARGISNULL(0) ? new_state(fcinfo, dim) : (AggState *) PG_GETARG_POINTER(0);

	vc_check_same_dims(type_name, state->dim, dim);
	state->count++;
	return state;
}

PG_FUNCTION_INFO_V1(vc_vector_accum);
Datum
vc_vector_accum(PG_FUNCTION_ARGS)
{
	AggState *state;
	VcVector *v;

	if (PG_ARGISNULL(1))
		return PG_ARGISNULL(0) ? (fcinfo->isnull = true, (Datum) 0) : PG_GETARG_DATUM(0);
	v = (VcVector *) vc_detoast_arg(fcinfo, 1);
	state = state_for_row(fcinfo, "vector", v->dim);
	for (int i = 0; i < v->dim; i++)
		state->sum[i] += v->x[i];
	PG_FREE_IF_COPY(v, 1);
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(vc_halfvec_accum);
Datum
vc_halfvec_accum(PG_FUNCTION_ARGS)
{
	AggState *state;
	VcHalfvec *v;

	if (PG_ARGISNULL(1))
		return PG_ARGISNULL(0) ? (fcinfo->isnull = true, (Datum) 0) : PG_GETARG_DATUM(0);
	v = (VcHalfvec *) vc_detoast_arg(fcinfo, 1);
	state = state_for_row(fcinfo, "halfvec", v->dim);
	for (int i = 0; i < v->dim;)
	{
		float block[256];
		int n = Min(v->dim - i, (int) lengthof(block));

		vc_kernels->f16_to_f32(v->x + i, block, n);
		for (int j = 0; j < n; j++)
			state->sum[i + j] += block[j];
		i += n;
	}
	PG_FREE_IF_COPY(v, 1);
	PG_RETURN_POINTER(state);
}

/* Of either type: a worker's states are of the aggregate's one type. */
PG_FUNCTION_INFO_V1(vc_agg_combine);
Datum
vc_agg_combine(PG_FUNCTION_ARGS)
{
	AggState *into = PG_ARGISNULL(0) ? NULL : (AggState *) PG_GETARG_POINTER(0);
	AggState *from = PG_ARGISNULL(1) ? NULL : (AggState *) PG_GETARG_POINTER(1);

	if (from == NULL)
	{
		if (into == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(into);
	}
	if (into == NULL)
		into = new_state(fcinfo, from->dim);
	vc_check_same_dims("vector", into->dim, from->dim);
	into->count += from->count;
	for (int i = 0; i < from->dim; i++)
		into->sum[i] += from->sum[i];
	PG_RETURN_POINTER(into);
}

PG_FUNCTION_INFO_V1(vc_agg_serialize);
Datum
vc_agg_serialize(PG_FUNCTION_ARGS)
{
	AggState *state = (AggState *) PG_GETARG_POINTER(0);
	Size size = AGG_STATE_SIZE(state->dim);
	bytea *bytes = palloc(VARHDRSZ + size);

	SET_VARSIZE(bytes, VARHDRSZ + size);
	memcpy(VARDATA(bytes), state, size);
	PG_RETURN_BYTEA_P(bytes);
}

PG_FUNCTION_INFO_V1(vc_agg_deserialize);
Datum
vc_agg_deserialize(PG_FUNCTION_ARGS)
{
	bytea *bytes = PG_GETARG_BYTEA_PP(0);
	Size size = VARSIZE_ANY_EXHDR(bytes);
	AggState *state = palloc(Max(size, AGG_STATE_SIZE(0)));

	memcpy(state, VARDATA_ANY(bytes), size);
	if (size < AGG_STATE_SIZE(0) || state->dim < 0 || size != AGG_STATE_SIZE(state->dim))
		elog(ERROR, "invalid aggregate state of %zu bytes", size);
	PG_RETURN_POINTER(state);
}

/* The sums over `divisor` as a vector. A mean cannot exceed its largest element; a sum can: 22003. */
static VcVector *
state_as_vector(const AggState *state, double divisor)
{
	VcVector *result = vc_vector_new(state->dim);

	for (int i = 0; i < state->dim; i++)
	{
		result->x[i] = (float) (state->sum[i] / divisor);
		if (unlikely(isinf(result->x[i])))
			float_overflow_error();
	}
	return result;
}

static VcHalfvec *
state_as_halfvec(const AggState *state, double divisor)
{
	VcVector *floats = state_as_vector(state, divisor);
	VcHalfvec *result = vc_halfvec_new(state->dim);

	vc_kernels->f32_to_f16(floats->x, result->x, state->dim);
	for (int i = 0; i < state->dim; i++)
	{
		if (unlikely((result->x[i] & 0x7c00) == 0x7c00))
			float_overflow_error();
	}
	pfree(floats);
	return result;
}

/* Final functions are strict: no rows, no state, null. */
PG_FUNCTION_INFO_V1(vc_vector_avg);
Datum
vc_vector_avg(PG_FUNCTION_ARGS)
{
	AggState *state = (AggState *) PG_GETARG_POINTER(0);

	PG_RETURN_VECTOR_P(state_as_vector(state, (double) state->count));
}

PG_FUNCTION_INFO_V1(vc_vector_sum);
Datum
vc_vector_sum(PG_FUNCTION_ARGS)
{
	PG_RETURN_VECTOR_P(state_as_vector((AggState *) PG_GETARG_POINTER(0), 1));
}

PG_FUNCTION_INFO_V1(vc_halfvec_avg);
Datum
vc_halfvec_avg(PG_FUNCTION_ARGS)
{
	AggState *state = (AggState *) PG_GETARG_POINTER(0);

	PG_RETURN_HALFVEC_P(state_as_halfvec(state, (double) state->count));
}

PG_FUNCTION_INFO_V1(vc_halfvec_sum);
Datum
vc_halfvec_sum(PG_FUNCTION_ARGS)
{
	PG_RETURN_HALFVEC_P(state_as_halfvec((AggState *) PG_GETARG_POINTER(0), 1));
}
