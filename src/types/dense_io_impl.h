/*
 * dense_io_impl.h
 *		Text, binary form and type modifier of a dense vector type; see dense_impl.h.
 */
#if VC_WIRE_BITS == 32
#define VC_WIRE_TYPE uint32
#define VC_FROM_WIRE pg_ntoh32
#define VC_TO_WIRE pg_hton32
#else
#define VC_WIRE_TYPE uint16
#define VC_FROM_WIRE pg_ntoh16
#define VC_TO_WIRE pg_hton16
#endif

StaticAssertDecl(sizeof(VC_ELEMENT) == sizeof(VC_WIRE_TYPE), "an element is sent as it is stored");

/* The layout is what existing data files hold. */
StaticAssertDecl(offsetof(VC_TYPE, dim) == 4, "dim follows the varlena header");
StaticAssertDecl(offsetof(VC_TYPE, unused) == 6, "unused follows dim");
StaticAssertDecl(offsetof(VC_TYPE, x) == 8, "elements start at byte 8");

/* The dimensions of a stored value, reading no more of one kept out of line than its first chunk. */
static int
get_dim(Datum value)
{
	VC_TYPE *head = (VC_TYPE *) PG_DETOAST_DATUM_SLICE(value, 0, offsetof(VC_TYPE, x) - VARHDRSZ);
	int dim = head->dim;

	if ((Pointer) head != DatumGetPointer(value))
		pfree(head);
	return dim;
}

PG_FUNCTION_INFO_V1(VC_FUNCTION(in));
Datum
VC_FUNCTION(in)(PG_FUNCTION_ARGS)
{
	int32 typmod = PG_GETARG_INT32(2);
	Node *escontext = VC_ESCONTEXT(fcinfo);
	VcLiteral literal;
	VC_TYPE *v;
	VcDecimalEnd why;
	const char *stop;
	size_t count;

	if (!vc_literal_open(&literal, PG_GETARG_CSTRING(0), VC_TYPE_NAME, escontext))
		PG_RETURN_NULL();

	v = VC_NEW(literal.capacity);
	why = VC_READ_LIST(literal.elements, literal.end, v->x, literal.capacity, &count, &stop);
	if (!vc_literal_close(&literal, why, stop) || !vc_check_typmod(typmod, (int) count, escontext))
		PG_RETURN_NULL();

	/* Every comma stood between two elements, or closing would have failed. */
	Assert(count == literal.capacity);
	PG_RETURN_POINTER(v);
}

PG_FUNCTION_INFO_V1(VC_FUNCTION(out));
Datum
VC_FUNCTION(out)(PG_FUNCTION_ARGS)
{
	VC_TYPE *v = (VC_TYPE *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0));
	char *text = palloc((Size) v->dim * (VC_WRITE_MAX + 1) + 2);
	char *p = text;

	*p++ = '[';
	for (int i = 0; i < v->dim; i++)
	{
		if (i > 0)
			*p++ = ',';
		p += VC_WRITE(v->x[i], p);
	}
	*p++ = ']';
	*p = '\0';

	PG_FREE_IF_COPY(v, 0);
	PG_RETURN_CSTRING(text);
}

PG_FUNCTION_INFO_V1(VC_FUNCTION(typmod_in));
Datum
VC_FUNCTION(typmod_in)(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(vc_typmod_in(VC_TYPE_NAME, PG_GETARG_ARRAYTYPE_P(0), VC_MAX_DIM));
}

/*
 * int16 dim, int16 zero, then the elements, all big-endian. Whoever calls a receive function checks for bytes left over.
 */
PG_FUNCTION_INFO_V1(VC_FUNCTION(recv));
Datum
VC_FUNCTION(recv)(PG_FUNCTION_ARGS)
{
	StringInfo buf = (StringInfo) PG_GETARG_POINTER(0);
	int32 typmod = PG_GETARG_INT32(2);
	int16 dim = (int16) pq_getmsgint(buf, 2);
	int16 unused = (int16) pq_getmsgint(buf, 2);
	const VC_WIRE_TYPE exponent = sizeof(VC_WIRE_TYPE) == sizeof(uint16) ? 0x7C00 : 0x7F800000;
	const char *elements;
	bool finite = true;
	VC_TYPE *v;

	vc_check_dim(VC_TYPE_NAME, dim, VC_MAX_DIM, NULL);
	vc_check_typmod(typmod, dim, NULL);
	vc_check_unused(unused);

	/* Nothing is allocated before the message is known to hold the elements it promises. */
	elements = pq_getmsgbytes(buf, dim * sizeof(VC_ELEMENT));
	v = VC_NEW(dim);
	for (int i = 0; i < dim; i++)
	{
		VC_WIRE_TYPE bits;

		memcpy(&bits, elements + i * sizeof(bits), sizeof(bits));
		bits = VC_FROM_WIRE(bits);
		finite &= (bits & exponent) != exponent;
		memcpy(&v->x[i], &bits, sizeof(bits));
	}
	for (int i = 0; !finite && i < dim; i++)
		vc_check_finite(VC_TYPE_NAME, VC_LOAD(v->x[i]));

	PG_RETURN_POINTER(v);
}

PG_FUNCTION_INFO_V1(VC_FUNCTION(send));
Datum
VC_FUNCTION(send)(PG_FUNCTION_ARGS)
{
	VC_TYPE *v = (VC_TYPE *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0));
	Size size = v->dim * sizeof(VC_ELEMENT);
	StringInfoData buf;
	char *p;

	pq_begintypsend(&buf);
	pq_sendint16(&buf, v->dim);
	pq_sendint16(&buf, v->unused);

	/* Straight into the buffer: this is what a client that reads whole tables waits for. */
	enlargeStringInfo(&buf, (int) size);
	p = buf.data + buf.len;
	for (int i = 0; i < v->dim; i++)
	{
		VC_WIRE_TYPE bits;

		memcpy(&bits, &v->x[i], sizeof(bits));
		bits = VC_TO_WIRE(bits);
		memcpy(p + i * sizeof(bits), &bits, sizeof(bits));
	}
	buf.len += (int) size;

	PG_FREE_IF_COPY(v, 0);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/* Cast to the same type with a type modifier; a value out of line stays there. */
PG_FUNCTION_INFO_V1(VC_FUNCTION(typmod));
Datum
VC_FUNCTION(typmod)(PG_FUNCTION_ARGS)
{
	Datum value = PG_GETARG_DATUM(0);

	vc_check_typmod(PG_GETARG_INT32(1), get_dim(value), NULL);
	PG_RETURN_DATUM(value);
}

PG_FUNCTION_INFO_V1(VC_FUNCTION(dims));
Datum
VC_FUNCTION(dims)(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(get_dim(PG_GETARG_DATUM(0)));
}
