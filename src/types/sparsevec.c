/*
 * sparsevec.c
 *		Type sparsevec: the elements that are not zero. Text, binary form and type modifier.
 *
 * Text is {index:value,...}/dimensions with indices from one, in any order; zeros are dropped. What is stored and sent has
 * indices from zero, ascending, and no zeros, and whatever makes a value keeps to that.
 */
#include "types/sparsevec.h"

#include "common/shortest_dec.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "types/check.h"
#include "types/decimal.h"
#include "utils/builtins.h"

#define TYPE_NAME "sparsevec"

StaticAssertDecl(offsetof(VcSparsevec, dim) == 4, "dim follows the varlena header");
StaticAssertDecl(offsetof(VcSparsevec, unused) == 12, "unused follows nnz");
StaticAssertDecl(offsetof(VcSparsevec, indices) == 16, "indices start at byte 16");

VcSparsevec *
vc_sparsevec_new(int dim, int nnz)
{
	Size size = VC_SPARSEVEC_SIZE(nnz);
	VcSparsevec *v = palloc0(size);

	Assert(dim >= 1 && dim <= VC_SPARSEVEC_MAX_DIM);
	Assert(nnz >= 0 && nnz <= VC_SPARSEVEC_MAX_NNZ && nnz <= dim);
	SET_VARSIZE(v, size);
	v->dim = dim;
	v->nnz = nnz;
	return v;
}

/* One element as it stands in the text, its index from zero. */
typedef struct Element
{
	int32 index;
	float value;
} Element;

/* Where reading the text has got to. */
typedef struct Reader
{
	const char *text;
	const char *p;
	const char *end;
	Node *escontext;
} Reader;

static bool
syntax_error(const Reader *r, const char *expected)
{
	vc_ereturn(r->escontext, false,
			   (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				errmsg("invalid input syntax for type %s: \"%s\"", TYPE_NAME, r->text),
				errdetail("Expected %s at character %d.", expected,
						  pg_mbstrlen_with_len(r->text, (int) (r->p - r->text)) + 1)));
}

static void
skip_space(Reader *r)
{
	while (r->p < r->end && vc_is_space(*r->p))
		r->p++;
}

static bool
expect(Reader *r, char c, const char *name)
{
	skip_space(r);
	if (r->p == r->end || *r->p != c)
		return syntax_error(r, name);
	r->p++;
	skip_space(r);
	return true;
}

/* An integer without exponent or fraction; beyond 2^31 it stays there, which every caller refuses. */
static bool
read_integer(Reader *r, int64 *value, const char *name)
{
	bool negative = r->p < r->end && *r->p == '-';
	const char *digits = r->p + negative;
	const char *p = digits;
	int64 n = 0;

	for (; p < r->end && *p >= '0' && *p <= '9'; p++)
		n = Min(n * 10 + (*p - '0'), (int64) 1 << 31);
	if (p == digits)
		return syntax_error(r, name);
	r->p = p;
	*value = negative ? -n : n;
	return true;
}

static bool
read_value(Reader *r, float *value)
{
	const char *start = r->p;
	const char *past = vc_decimal_to_f32(start, r->end, value);

	if (past == NULL)
		return syntax_error(r, "a number");
	if (isinf(*value))
		vc_ereturn(r->escontext, false,
				   (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					errmsg("\"%.*s\" is out of range for type %s", (int) (past - start), start, TYPE_NAME)));
	r->p = past;
	return true;
}

/* The elements between the braces, zeros left out. */
static bool
read_elements(Reader *r, Element *elements, int *count)
{
	int n = 0;

	skip_space(r);
	if (r->p < r->end && *r->p == '}')
	{
		*count = 0;
		return true;
	}
	for (;;)
	{
		int64 index;
		float value;

		skip_space(r);
		if (!read_integer(r, &index, "an index") || !expect(r, ':', "\":\"") || !read_value(r, &value))
			return false;
		if (index < 1 || index > VC_SPARSEVEC_MAX_DIM)
			vc_ereturn(r->escontext, false,
					   (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
						errmsg("%s index is out of range", TYPE_NAME),
						errdetail("Indices count from 1 to the number of dimensions.")));
		if (value != 0)
		{
			elements[n].index = (int32) index - 1;
			elements[n].value = value;
			n++;
		}
		skip_space(r);
		if (r->p == r->end || *r->p != ',')
			break;
		r->p++;
	}
	*count = n;
	return true;
}

static int
compare_elements(const void *a, const void *b)
{
	int32 x = ((const Element *) a)->index;
	int32 y = ((const Element *) b)->index;

	return (x > y) - (x < y);
}

/* Indices strictly ascending, sorting where they are not, and below dim. */
static bool
order_elements(Element *elements, int n, int dim, Node *escontext)
{
	bool sorted = true;

	for (int i = 1; i < n; i++)
		sorted &= elements[i - 1].index < elements[i].index;
	if (!sorted)
		qsort(elements, n, sizeof(Element), compare_elements);

	for (int i = 1; i < n; i++)
	{
		if (elements[i - 1].index == elements[i].index)
			vc_ereturn(escontext, false,
					   (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
						errmsg("%s indices must not contain duplicates", TYPE_NAME),
						errdetail("Index %d is given twice.", elements[i].index + 1)));
	}
	if (n > 0 && elements[n - 1].index >= dim)
		vc_ereturn(escontext, false,
				   (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					errmsg("%s index is out of range", TYPE_NAME),
					errdetail("Index %d is beyond %d dimensions.", elements[n - 1].index + 1, dim)));
	return true;
}

PG_FUNCTION_INFO_V1(vc_sparsevec_in);
Datum
vc_sparsevec_in(PG_FUNCTION_ARGS)
{
	char *text = PG_GETARG_CSTRING(0);
	int32 typmod = PG_GETARG_INT32(2);
	Reader r = {text, text, text + strlen(text), VC_ESCONTEXT(fcinfo)};
	int64 capacity = 1;
	Element *elements;
	VcSparsevec *v;
	int64 dim;
	int nnz;

	if (!expect(&r, '{', "\"{\""))
		PG_RETURN_NULL();
	for (const char *p = r.p; p < r.end; p++)
		capacity += *p == ',';
	if (capacity > VC_SPARSEVEC_MAX_NNZ)
		vc_ereturn(r.escontext, (Datum) 0,
				   (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					errmsg("%s cannot have more than %d non-zero elements", TYPE_NAME, VC_SPARSEVEC_MAX_NNZ)));
	elements = palloc(capacity * sizeof(Element));

	if (!read_elements(&r, elements, &nnz) || !expect(&r, '}', "\",\" or \"}\"") || !expect(&r, '/', "\"/\"") ||
		!read_integer(&r, &dim, "the number of dimensions"))
		PG_RETURN_NULL();
	skip_space(&r);
	if (r.p != r.end)
	{
		syntax_error(&r, "the end");
		PG_RETURN_NULL();
	}
	if (!vc_check_dim(TYPE_NAME, dim, VC_SPARSEVEC_MAX_DIM, r.escontext) ||
		!vc_check_typmod(typmod, (int) dim, r.escontext) ||
		!order_elements(elements, nnz, (int) dim, r.escontext))
		PG_RETURN_NULL();

	v = vc_sparsevec_new((int) dim, nnz);
	for (int i = 0; i < nnz; i++)
	{
		v->indices[i] = elements[i].index;
		VC_SPARSEVEC_VALUES(v)[i] = elements[i].value;
	}
	pfree(elements);
	PG_RETURN_SPARSEVEC_P(v);
}

PG_FUNCTION_INFO_V1(vc_sparsevec_out);
Datum
vc_sparsevec_out(PG_FUNCTION_ARGS)
{
	VcSparsevec *v = PG_GETARG_SPARSEVEC_P(0);
	const float *values = VC_SPARSEVEC_VALUES(v);
	char *text = palloc((Size) v->nnz * (10 + 1 + FLOAT_SHORTEST_DECIMAL_LEN + 1) + 15);
	char *p = text;

	*p++ = '{';
	for (int i = 0; i < v->nnz; i++)
	{
		if (i > 0)
			*p++ = ',';
		p += pg_ltoa(v->indices[i] + 1, p);
		*p++ = ':';
		p += float_to_shortest_decimal_bufn(values[i], p);
	}
	*p++ = '}';
	*p++ = '/';
	pg_ltoa(v->dim, p);

	PG_FREE_IF_COPY(v, 0);
	PG_RETURN_CSTRING(text);
}

PG_FUNCTION_INFO_V1(vc_sparsevec_typmod_in);
Datum
vc_sparsevec_typmod_in(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(vc_typmod_in(TYPE_NAME, PG_GETARG_ARRAYTYPE_P(0), VC_SPARSEVEC_MAX_DIM));
}

/*
 * int32 dim, nnz and zero, then nnz indices from zero, ascending, then nnz floats other than zero; all big-endian.
 */
PG_FUNCTION_INFO_V1(vc_sparsevec_recv);
Datum
vc_sparsevec_recv(PG_FUNCTION_ARGS)
{
	StringInfo buf = (StringInfo) PG_GETARG_POINTER(0);
	int32 typmod = PG_GETARG_INT32(2);
	int32 dim = (int32) pq_getmsgint(buf, 4);
	int32 nnz = (int32) pq_getmsgint(buf, 4);
	int32 unused = (int32) pq_getmsgint(buf, 4);
	VcSparsevec *v;
	float *values;
	int32 last = -1;

	vc_check_dim(TYPE_NAME, dim, VC_SPARSEVEC_MAX_DIM, NULL);
	vc_check_typmod(typmod, dim, NULL);
	vc_check_unused(unused);
	if (nnz < 0 || nnz > dim)
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("invalid number of non-zero elements for %s: %d", TYPE_NAME, nnz)));
	if (nnz > VC_SPARSEVEC_MAX_NNZ)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("%s cannot have more than %d non-zero elements", TYPE_NAME, VC_SPARSEVEC_MAX_NNZ)));

	v = vc_sparsevec_new(dim, nnz);
	values = VC_SPARSEVEC_VALUES(v);
	for (int i = 0; i < nnz; i++)
	{
		v->indices[i] = (int32) pq_getmsgint(buf, 4);
		if (v->indices[i] <= last || v->indices[i] >= dim)
			ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
							errmsg("%s indices must be in ascending order and below the number of dimensions", TYPE_NAME)));
		last = v->indices[i];
	}
	for (int i = 0; i < nnz; i++)
	{
		values[i] = pq_getmsgfloat4(buf);
		vc_check_finite(TYPE_NAME, values[i]);
		if (values[i] == 0)
			ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
							errmsg("binary representation of %s cannot contain zero values", TYPE_NAME)));
	}
	PG_RETURN_SPARSEVEC_P(v);
}

PG_FUNCTION_INFO_V1(vc_sparsevec_send);
Datum
vc_sparsevec_send(PG_FUNCTION_ARGS)
{
	VcSparsevec *v = PG_GETARG_SPARSEVEC_P(0);
	const float *values = VC_SPARSEVEC_VALUES(v);
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendint32(&buf, v->dim);
	pq_sendint32(&buf, v->nnz);
	pq_sendint32(&buf, v->unused);
	for (int i = 0; i < v->nnz; i++)
		pq_sendint32(&buf, v->indices[i]);
	for (int i = 0; i < v->nnz; i++)
		pq_sendfloat4(&buf, values[i]);

	PG_FREE_IF_COPY(v, 0);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/* Cast to the same type with a type modifier. */
PG_FUNCTION_INFO_V1(vc_sparsevec_typmod);
Datum
vc_sparsevec_typmod(PG_FUNCTION_ARGS)
{
	VcSparsevec *v = PG_GETARG_SPARSEVEC_P(0);

	vc_check_typmod(PG_GETARG_INT32(1), v->dim, NULL);
	PG_RETURN_SPARSEVEC_P(v);
}
