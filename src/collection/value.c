/*
 * value.c
 *		JSON to a column's type, and back to the jsonb entity that reads return. See value.h.
 */
#include "value.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/*
 * Catching the error without a subtransaction is safe for these functions alone: they take no locks, pin no buffers and
 * call nobody, so that nothing but memory is left behind.
 */
char *
vc_value_input(Oid typid, const char *text, int32 typmod, Datum *value)
{
	MemoryContext context = CurrentMemoryContext;
	char *volatile fault = NULL;
	Oid input;
	Oid ioparam;

	getTypeInputInfo(typid, &input, &ioparam);
	PG_TRY();
	{
		*value = OidInputFunctionCall(input, (char *) text, ioparam, typmod);
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		fault = error->message;
	}
	PG_END_TRY();
	return fault;
}
