/*
 * check.h
 *		What the types check alike, and the errors they raise when a check fails. The tests are inline and the errors
 *		are not, because the tests run once a row and the errors once a statement.
 *
 * Messages and SQLSTATEs are the ones pgvector's clients know where they know any. A function that takes `escontext`
 * reports there when the server has soft errors (16 on) and the caller asked for them, and then returns false.
 */
#ifndef VC_CHECK_H
#define VC_CHECK_H

#include "vectorcoll.h"

#include <float.h>
#include <math.h>

#include "nodes/nodes.h"
#include "utils/array.h"

/* Report a fault in input text and return `value` from the caller: softly where the server can. */
#if PG_VERSION_NUM >= 160000
#include "nodes/miscnodes.h"
#define vc_ereturn(escontext, value, ...) ereturn(escontext, value, __VA_ARGS__)
#define VC_ESCONTEXT(fcinfo) ((fcinfo)->context)
#else
#define vc_ereturn(escontext, value, ...)                                                                              \
	do                                                                                                                 \
	{                                                                                                                  \
		(void) (escontext);                                                                                            \
		ereport(ERROR, __VA_ARGS__);                                                                                   \
		return value;                                                                                                  \
	} while (0)
#define VC_ESCONTEXT(fcinfo) NULL
#endif

/* 22000, naming both dimensions. */
pg_noreturn extern pg_noinline void vc_error_different_dims(const char *type_name, int a, int b);

static inline void
vc_check_same_dims(const char *type_name, int a, int b)
{
	if (unlikely(a != b))
		vc_error_different_dims(type_name, a, b);
}

/* 1 <= dim <= max_dim; 22000 and 54000. */
extern bool vc_check_dim(const char *type_name, int64 dim, int max_dim, Node *escontext);

/* dim is what the type modifier says, if it says anything; 22000. */
extern bool vc_check_typmod(int32 typmod, int dim, Node *escontext);

/* The reserved field of a binary message is zero; 22P03. */
extern void vc_check_unused(int32 unused);

/* The type modifier (n) from the array of cstrings that a typmod_in function gets, 1 <= n <= max_dim; 22023. */
extern int32 vc_typmod_in(const char *type_name, ArrayType *modifiers, int max_dim);

/* An element that came from elsewhere than text: NaN is 22000, infinity 22003. */
pg_noreturn extern pg_noinline void vc_error_not_finite(const char *type_name, float value);

static inline void
vc_check_finite(const char *type_name, float value)
{
	if (unlikely(!isfinite(value)))
		vc_error_not_finite(type_name, value);
}

#endif /* VC_CHECK_H */
