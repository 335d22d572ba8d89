/*
 * bit.c
 *		Distances of the server's own type bit.
 */
#include "vectorcoll.h"

#include "fmgr.h"
#include "kernels/vc_kernels.h"
#include "utils/varbit.h"

/* Bits past the length are zero in every VarBit, so whole bytes can be compared. */
static void
get_pair(FunctionCallInfo fcinfo, VarBit **a, VarBit **b)
{
	*a = PG_GETARG_VARBIT_P(0);
	*b = PG_GETARG_VARBIT_P(1);
	if (unlikely(VARBITLEN(*a) != VARBITLEN(*b)))
		ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
						errmsg("different bit lengths %d and %d", VARBITLEN(*a), VARBITLEN(*b))));
}

PG_FUNCTION_INFO_V1(vc_bit_hamming_distance);
Datum
vc_bit_hamming_distance(PG_FUNCTION_ARGS)
{
	VarBit *a, *b;

	get_pair(fcinfo, &a, &b);
	PG_RETURN_FLOAT8((double) vc_kernels->hamming(VARBITS(a), VARBITS(b), VARBITBYTES(a)));
}

/* One where nothing is common, also for two strings without a set bit. */
PG_FUNCTION_INFO_V1(vc_bit_jaccard_distance);
Datum
vc_bit_jaccard_distance(PG_FUNCTION_ARGS)
{
	VarBit *a, *b;
	uint64_t common;
	uint64_t either;

	get_pair(fcinfo, &a, &b);
	vc_kernels->and_or_popcount(VARBITS(a), VARBITS(b), VARBITBYTES(a), &common, &either);
	PG_RETURN_FLOAT8(common == 0 ? 1 : 1 - (double) common / (double) either);
}
