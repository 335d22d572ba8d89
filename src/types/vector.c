/*
 * vector.c
 *		Input and output of type vector: text, binary, type modifier.
 */
#include "types/vector.h"

#include "common/shortest_dec.h"
#include "libpq/pqformat.h"
#include "port/pg_bswap.h"
#include "types/check.h"
#include "types/literal.h"

/* The layout is what existing data files hold. */
StaticAssertDecl(offsetof(VcVector, dim) == 4, "dim follows the varlena header");
StaticAssertDecl(offsetof(VcVector, x) == 8, "elements start at byte 8");

#define TYPE_NAME "vector"

VcVector *
vc_vector_new(int dim)
{
	Size size = VC_VECTOR_SIZE(dim);
	VcVector *v = palloc0(size);

	Assert(dim >= 1 && dim <= VC_MAX_DIM);
	SET_VARSIZE(v, size);
	v->dim = dim;
	return v;
}

int
vc_vector_dim(Datum value)
{
	VcVector *head = (VcVector *) PG_DETOAST_DATUM_SLICE(value, 0, offsetof(VcVector, x) - VARHDRSZ);
	int dim = head->dim;

	if ((Pointer) head != DatumGetPointer(value))
		pfree(head);
	return dim;
}

PG_FUNCTION_INFO_V1(vc_vector_in);
Datum
vc_vector_in(PG_FUNCTION_ARGS)
{
	int32 typmod = PG_GETARG_INT32(2);
	Node *escontext = VC_ESCONTEXT(fcinfo);
	VcLiteral literal;
	VcVector *v;
	VcDecimalEnd why;
	const char *stop;
	size_t count;

	if (!vc_literal_open(&literal, PG_GETARG_CSTRING(0), TYPE_NAME, escontext))
		PG_RETURN_NULL();

	v = vc_vector_new(literal.capacity);
	why = vc_decimal_list_f32(literal.elements, literal.end, v->x, literal.capacity, &count, &stop);
	if (!vc_literal_close(&literal, why, stop) || !vc_check_typmod(typmod, (int) count, escontext))
		PG_RETURN_NULL();

	/* Every comma stood between two elements, or closing would have failed. */
	Assert(count == literal.capacity);
	PG_RETURN_VECTOR_P(v);
}

PG_FUNCTION_INFO_V1(vc_vector_out);
Datum
vc_vector_out(PG_FUNCTION_ARGS)
{
	VcVector *v = PG_GETARG_VECTOR_P(0);
	char *text = palloc((Size) v->dim * FLOAT_SHORTEST_DECIMAL_LEN + 2);
	char *p = text;

	*p++ = '[';
	for (int i = 0; i < v->dim; i++)
	{
		if (i > 0)
			*p++ = ',';
		p += float_to_shortest_decimal_bufn(v->x[i], p);
	}
	*p++ = ']';
	*p = '\0';

	PG_FREE_IF_COPY(v, 0);
	PG_RETURN_CSTRING(text);
}

PG_FUNCTION_INFO_V1(vc_vector_typmod_in);
Datum
vc_vector_typmod_in(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(vc_typmod_in(TYPE_NAME, PG_GETARG_ARRAYTYPE_P(0), VC_MAX_DIM));
}

/*
 * int16 dim, int16 zero, then the elements. Whoever calls a receive function checks for bytes left over.
 */
PG_FUNCTION_INFO_V1(vc_vector_recv);
Datum
vc_vector_recv(PG_FUNCTION_ARGS)
{
	StringInfo buf = (StringInfo) PG_GETARG_POINTER(0);
	int32 typmod = PG_GETARG_INT32(2);
	int16 dim = (int16) pq_getmsgint(buf, 2);
	int16 unused = (int16) pq_getmsgint(buf, 2);
	const char *elements;
	VcVector *v;

	vc_check_dim(TYPE_NAME, dim, VC_MAX_DIM, NULL);
	vc_check_typmod(typmod, dim, NULL);
	if (unused != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("expected unused to be 0, not %d", unused)));

	/* Nothing is allocated before the message is known to hold the elements it promises. */
	elements = pq_getmsgbytes(buf, dim * sizeof(float));
	v = vc_vector_new(dim);
	for (int i = 0; i < dim; i++)
	{
		uint32 bits;

		memcpy(&bits, elements + i * sizeof(float), sizeof(bits));
		bits = pg_ntoh32(bits);
		memcpy(&v->x[i], &bits, sizeof(bits));
	}
	for (int i = 0; i < dim; i++)
		vc_check_finite(TYPE_NAME, v->x[i]);

	PG_RETURN_VECTOR_P(v);
}

PG_FUNCTION_INFO_V1(vc_vector_send);
Datum
vc_vector_send(PG_FUNCTION_ARGS)
{
	VcVector *v = PG_GETARG_VECTOR_P(0);
	StringInfoData buf;

	pq_begintypsend(&buf);
	enlargeStringInfo(&buf, 2 * sizeof(int16) + v->dim * sizeof(float));
	pq_writeint16(&buf, v->dim);
	pq_writeint16(&buf, v->unused);
	for (int i = 0; i < v->dim; i++)
	{
		uint32 bits;

		memcpy(&bits, &v->x[i], sizeof(bits));
		pq_writeint32(&buf, bits);
	}
	PG_FREE_IF_COPY(v, 0);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/* Cast to the same type with a type modifier. */
PG_FUNCTION_INFO_V1(vc_vector_typmod);
Datum
vc_vector_typmod(PG_FUNCTION_ARGS)
{
	Datum value = PG_GETARG_DATUM(0);

	vc_check_typmod(PG_GETARG_INT32(1), vc_vector_dim(value), NULL);
	PG_RETURN_DATUM(value);
}

PG_FUNCTION_INFO_V1(vc_vector_dims);
Datum
vc_vector_dims(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(vc_vector_dim(PG_GETARG_DATUM(0)));
}
