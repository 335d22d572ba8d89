/*
 * compare_impl.h
 *		The comparison operators and the B-tree support function of a type, over its compare_args(fcinfo), which returns
 *		an int below, equal to or above zero. Included once by each type; VC_FUNCTION(f) is the C name of function f.
 */
PG_FUNCTION_INFO_V1(VC_FUNCTION(lt));
Datum
VC_FUNCTION(lt)(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_args(fcinfo) < 0);
}

PG_FUNCTION_INFO_V1(VC_FUNCTION(le));
Datum
VC_FUNCTION(le)(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_args(fcinfo) <= 0);
}

PG_FUNCTION_INFO_V1(VC_FUNCTION(eq));
Datum
VC_FUNCTION(eq)(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_args(fcinfo) == 0);
}

PG_FUNCTION_INFO_V1(VC_FUNCTION(ne));
Datum
VC_FUNCTION(ne)(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_args(fcinfo) != 0);
}

PG_FUNCTION_INFO_V1(VC_FUNCTION(ge));
Datum
VC_FUNCTION(ge)(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_args(fcinfo) >= 0);
}

PG_FUNCTION_INFO_V1(VC_FUNCTION(gt));
Datum
VC_FUNCTION(gt)(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_args(fcinfo) > 0);
}

PG_FUNCTION_INFO_V1(VC_FUNCTION(cmp));
Datum
VC_FUNCTION(cmp)(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(compare_args(fcinfo));
}
