/*
 * value.c
 *		JSON to a column's type. See value.h.
 *
 * Strict where a silent conversion would hide a mistake: a string is no number, a fraction no integer, a short vector
 *is not padded. Vectors may also come as text in their type's own notation, which is what jsonb_build_object makes of a
 * vector value.
 */
#include "value.h"

#include <float.h>
#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "types/sparsevec.h"
#include "types/vector.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

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
		*value = OidInputFunctionCall(input, (char *)text, ioparam, typmod);
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		/* A cancelled query or a lack of memory is not the text's fault. */
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_DATA_EXCEPTION &&
			ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_PROGRAM_LIMIT_EXCEEDED)
			PG_RE_THROW();
		FlushErrorState();
		fault = error->message;
	}
	PG_END_TRY();
	return fault;
}

void
vc_value_error(const VcField *field, int row, const char *hint, const char *format, ...)
{
	StringInfoData what;
	va_list args;
	int need;

	initStringInfo(&what);
	for (;;)
	{
		va_start(args, format);
		need = appendStringInfoVA(&what, format, args);
		va_end(args);
		if (need == 0)
			break;
		enlargeStringInfo(&what, need);
	}
	ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER),
					errmsg("invalid value for field \"%s\": %s", NameStr(field->name), what.data),
					row > 0 ? errdetail("It is in row %d; the field's type is %s.", row, vc_dtype_name(field->dtype))
							: errdetail("The field's type is %s.", vc_dtype_name(field->dtype)),
					errhint("%s", hint)));
}

static const char *
json_kind(const JsonbValue *value)
{
	switch (value->type)
	{
	case jbvNull:
		return "null";
	case jbvString:
		return "a string";
	case jbvNumeric:
		return "a number";
	case jbvBool:
		return "a boolean";
	case jbvBinary:
		return JsonContainerIsArray(value->val.binary.data) ? "an array" : "an object";
	default:
		return "another kind of value";
	}
}

static void
wrong_kind(const VcField *field, int row, const JsonbValue *value, const char *expected)
{
	vc_value_error(field, row, psprintf("Pass %s.", expected), "expected %s, got %s", expected, json_kind(value));
}

static bool
is_array(const JsonbValue *value)
{
	return value->type == jbvBinary && JsonContainerIsArray(value->val.binary.data);
}

static char *
numeric_text(const JsonbValue *value)
{
	return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
}

static char *
string_text(const JsonbValue *value)
{
	return pnstrdup(value->val.string.val, value->val.string.len);
}

/* ---- numbers ---- */

bool
vc_value_integer(const char *number, int64 *value)
{
	size_t digits = strspn(number + (*number == '-'), "0123456789") + (*number == '-');
	char *end;

	if (number[digits] != '\0' &&
		(number[digits] != '.' || strspn(number + digits + 1, "0") != strlen(number + digits + 1)))
		return false;
	errno = 0;
	*value = strtoll(number, &end, 10);
	return errno == 0 && end > number && *number != '\0';
}

static Datum
integer_from_json(const VcField *field, JsonbValue *value, int row)
{
	static const struct
	{
		VcDtype dtype;
		int64 min;
		int64 max;
	} ranges[] = {{VC_DT_INT8, -128, 127},
				  {VC_DT_INT16, PG_INT16_MIN, PG_INT16_MAX},
				  {VC_DT_INT32, PG_INT32_MIN, PG_INT32_MAX},
				  {VC_DT_INT64, PG_INT64_MIN, PG_INT64_MAX}};
	char *text;
	int64 i;

	if (value->type != jbvNumeric)
		wrong_kind(field, row, value, "an integer");
	text = numeric_text(value);
	for (int k = 0; k < lengthof(ranges); k++)
		if (field->dtype == ranges[k].dtype && (!vc_value_integer(text, &i) || i < ranges[k].min || i > ranges[k].max))
			vc_value_error(
				field, row,
				psprintf("Pass an integer from " INT64_FORMAT " to " INT64_FORMAT ".", ranges[k].min, ranges[k].max),
				"%s is not an integer of this type", text);
	switch (field->typid)
	{
	case INT2OID:
		return Int16GetDatum((int16)i);
	case INT4OID:
		return Int32GetDatum((int32)i);
	default:
		return Int64GetDatum(i);
	}
}

static double
double_from_json(const VcField *field, JsonbValue *value, int row, double limit)
{
	char *text;
	double d;

	if (value->type != jbvNumeric)
		wrong_kind(field, row, value, "a number");
	text = numeric_text(value);
	d = strtod(text, NULL);
	if (fabs(d) > limit)
		vc_value_error(field, row, "Pass a number the type can hold.", "%.60s is out of range", text);
	return d;
}

/* ---- strings ---- */

static Datum
string_from_json(const VcField *field, JsonbValue *value, int row)
{
	if (value->type != jbvString)
		wrong_kind(field, row, value, "a string");
	if (field->max_length > 0 && value->val.string.len > field->max_length)
		vc_value_error(field, row, "Shorten the string, or declare the field with a larger max_length.",
					   "string of %d bytes exceeds max_length %d", value->val.string.len, field->max_length);
	return PointerGetDatum(cstring_to_text_with_len(value->val.string.val, value->val.string.len));
}

static Datum
parsed_from_json(const VcField *field, JsonbValue *value, int row, const char *expected)
{
	Datum result;
	char *fault;

	if (value->type != jbvString)
		wrong_kind(field, row, value, expected);
	fault = vc_value_input(field->typid, string_text(value), field->typmod, &result);
	if (fault)
		vc_value_error(field, row, psprintf("Pass %s.", expected), "%s", fault);
	return result;
}

/* ---- arrays ---- */

static Datum
array_from_json(const VcField *field, JsonbValue *value, int row)
{
	VcField element = *field;
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue item;
	Datum *values;
	int16 typlen;
	bool typbyval;
	char typalign;
	int n = 0;

	if (!is_array(value))
		wrong_kind(field, row, value, "an array");
	n = JsonContainerSize(value->val.binary.data);
	if (field->max_capacity > 0 && n > field->max_capacity)
		vc_value_error(field, row, "Pass fewer elements, or declare the field with a larger max_capacity.",
					   "array of %d elements exceeds max_capacity %d", n, field->max_capacity);
	element.dtype = field->element_type;
	element.typid = get_element_type(field->typid);
	values = palloc(sizeof(Datum) * (n + 1));
	n = 0;
	it = JsonbIteratorInit(value->val.binary.data);
	while ((token = JsonbIteratorNext(&it, &item, true)) != WJB_DONE)
	{
		if (token != WJB_ELEM)
			continue;
		if (item.type == jbvNull)
			vc_value_error(field, row, "Leave the element out.", "element %d is null", n);
		values[n++] = vc_value_from_json(&element, &item, row);
	}
	get_typlenbyvalalign(element.typid, &typlen, &typbyval, &typalign);
	return PointerGetDatum(construct_array(values, n, element.typid, typlen, typbyval, typalign));
}

/* ---- vectors ---- */

static void
check_dim(const VcField *field, int row, int dim)
{
	if (field->dim > 0 && dim != field->dim)
		vc_value_error(field, row, psprintf("Pass a vector of %d dimensions.", field->dim),
					   "vector has %d dimensions, the field %d", dim, field->dim);
}

/* The numbers of a JSON array, each within the limit. */
static float *
floats_from_json(const VcField *field, JsonbValue *value, int row, double limit, int *dim)
{
	JsonbIterator *it = JsonbIteratorInit(value->val.binary.data);
	JsonbIteratorToken token;
	JsonbValue item;
	float *x;

	*dim = JsonContainerSize(value->val.binary.data);
	check_dim(field, row, *dim);
	if (*dim < 1 || *dim > VC_MAX_DIM)
		vc_value_error(field, row, psprintf("Vectors have 1 to %d dimensions.", VC_MAX_DIM), "vector has %d dimensions",
					   *dim);
	x = palloc(sizeof(float) * *dim);
	*dim = 0;
	while ((token = JsonbIteratorNext(&it, &item, true)) != WJB_DONE)
		if (token == WJB_ELEM)
			x[(*dim)++] = (float)double_from_json(field, &item, row, limit);
	return x;
}

static Datum
vector_text_input(const VcField *field, char *text, int row)
{
	Datum result;
	char *fault = vc_value_input(field->typid, text, field->typmod, &result);

	if (fault)
		vc_value_error(field, row, "Pass an array of finite numbers, one per dimension.", "%s", fault);
	return result;
}

static Datum
float_vector_from_json(const VcField *field, JsonbValue *value, int row)
{
	VcVector *result;
	float *x;
	int dim;

	if (value->type == jbvString)
		return vector_text_input(field, string_text(value), row);
	if (!is_array(value))
		wrong_kind(field, row, value, "an array of numbers");
	x = floats_from_json(field, value, row, FLT_MAX, &dim);
	result = vc_vector_new(dim);
	memcpy(result->x, x, sizeof(float) * dim);
	return PointerGetDatum(result);
}

/* Through the type's text form, which rounds to half precision in one place. */
static Datum
half_vector_from_json(const VcField *field, JsonbValue *value, int row)
{
	StringInfoData text;
	float *x;
	int dim;

	if (value->type == jbvString)
		return vector_text_input(field, string_text(value), row);
	if (!is_array(value))
		wrong_kind(field, row, value, "an array of numbers");
	x = floats_from_json(field, value, row, 65504, &dim);
	initStringInfo(&text);
	for (int i = 0; i < dim; i++)
		appendStringInfo(&text, "%c%.9g", i ? ',' : '[', x[i]);
	appendStringInfoChar(&text, ']');
	return vector_text_input(field, text.data, row);
}

static Datum
binary_vector_from_json(const VcField *field, JsonbValue *value, int row)
{
	StringInfoData bits;
	Datum result;
	char *fault;

	initStringInfo(&bits);
	if (value->type == jbvString)
		appendBinaryStringInfo(&bits, value->val.string.val, value->val.string.len);
	else if (is_array(value))
	{
		JsonbIterator *it = JsonbIteratorInit(value->val.binary.data);
		JsonbIteratorToken token;
		JsonbValue item;

		while ((token = JsonbIteratorNext(&it, &item, true)) != WJB_DONE)
		{
			char *number;

			if (token != WJB_ELEM)
				continue;
			number = item.type == jbvNumeric ? numeric_text(&item) : "";
			if (strcmp(number, "0") != 0 && strcmp(number, "1") != 0)
				vc_value_error(field, row, "Pass a string of 0 and 1, or an array of them.", "element %d is not a bit",
							   bits.len);
			appendStringInfoChar(&bits, number[0]);
		}
	}
	else
		wrong_kind(field, row, value, "a string of 0 and 1");
	if (strspn(bits.data, "01") != bits.len)
		vc_value_error(field, row, "Pass a string of 0 and 1, or an array of them.",
					   "string has other characters than 0 and 1");
	check_dim(field, row, bits.len);
	fault = vc_value_input(field->typid, bits.data, field->typmod, &result);
	if (fault)
		vc_value_error(field, row, "Pass a string of 0 and 1, or an array of them.", "%s", fault);
	return result;
}

typedef struct SparseElement
{
	int64 index; /* from 0 */
	float value;
} SparseElement;

static int
compare_elements(const void *a, const void *b)
{
	const SparseElement *left = a;
	const SparseElement *right = b;

	return left->index < right->index ? -1 : left->index > right->index;
}

/*
 * Sparse vectors as Milvus writes them, {"17": 0.5}, or as Qdrant does, {"indices": [17], "values": [0.5]}; indices
 * count from 0. All of a field have one dimension, so that any two can be compared: the column's, or else the largest.
 */
static Datum
sparse_vector_from_json(const VcField *field, JsonbValue *value, int row)
{
	JsonbContainer *object;
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue item;
	JsonbValue *lists[2];
	SparseElement *elements;
	VcSparsevec *result;
	float *values;
	int dim = field->typmod > 0 ? field->typmod : VC_SPARSEVEC_MAX_DIM;
	int n;
	int stored = 0;

	if (value->type == jbvString)
		return vector_text_input(field, string_text(value), row);
	if (value->type != jbvBinary || is_array(value))
		wrong_kind(field, row, value, "an object of index and value");
	object = value->val.binary.data;
	n = JsonContainerSize(object);
	lists[0] = n == 2 ? getKeyJsonValueFromContainer(object, "indices", 7, NULL) : NULL;
	lists[1] = n == 2 ? getKeyJsonValueFromContainer(object, "values", 6, NULL) : NULL;
	if (lists[0] && lists[1])
	{
		if (!is_array(lists[0]) || !is_array(lists[1]) ||
			JsonContainerSize(lists[0]->val.binary.data) != JsonContainerSize(lists[1]->val.binary.data))
			vc_value_error(field, row, "Pass two arrays of equal length.", "indices and values do not match");
		n = JsonContainerSize(lists[0]->val.binary.data);
	}
	elements = palloc(sizeof(SparseElement) * (n + 1));
	for (int list = 0; list < (lists[0] && lists[1] ? 2 : 1); list++)
	{
		int i = 0;

		it = JsonbIteratorInit(lists[0] && lists[1] ? lists[list]->val.binary.data : object);
		while ((token = JsonbIteratorNext(&it, &item, true)) != WJB_DONE)
		{
			bool index = token == WJB_KEY || (token == WJB_ELEM && list == 0);

			if (token != WJB_KEY && token != WJB_VALUE && token != WJB_ELEM)
				continue;
			if (index)
			{
				char *text = item.type == jbvString && token == WJB_KEY ? string_text(&item)
							 : item.type == jbvNumeric                  ? numeric_text(&item)
																		: "";

				if (!vc_value_integer(text, &elements[i].index) || elements[i].index < 0 ||
					elements[i].index >= dim)
					vc_value_error(field, row, psprintf("Indices go from 0 to %d.", dim - 1),
								   "\"%.40s\" is not an index", text);
			}
			else
				elements[i].value = (float)double_from_json(field, &item, row, FLT_MAX);
			if (token != WJB_KEY)
				i++;
		}
	}
	pg_qsort(elements, n, sizeof(SparseElement), compare_elements);
	for (int i = 0; i < n; i++)
	{
		if (i > 0 && elements[i].index == elements[i - 1].index)
			vc_value_error(field, row, "Give each index once.", "index " INT64_FORMAT " appears twice",
						   elements[i].index);
		stored += elements[i].value != 0;
	}
	if (stored > VC_SPARSEVEC_MAX_NNZ)
		vc_value_error(field, row, psprintf("A sparse vector has at most %d non-zero values.", VC_SPARSEVEC_MAX_NNZ),
					   "vector has %d non-zero values", stored);
	result = palloc0(VC_SPARSEVEC_SIZE(stored));
	SET_VARSIZE(result, VC_SPARSEVEC_SIZE(stored));
	result->dim = dim;
	result->nnz = stored;
	values = VC_SPARSEVEC_VALUES(result);
	stored = 0;
	for (int i = 0; i < n; i++)
		if (elements[i].value != 0)
		{
			result->indices[stored] = (int32)elements[i].index;
			values[stored++] = elements[i].value;
		}
	return PointerGetDatum(result);
}

/* ---- all of them ---- */

Datum
vc_value_from_json(const VcField *field, JsonbValue *value, int row)
{
	switch (field->dtype)
	{
	case VC_DT_BOOL:
		if (value->type != jbvBool)
			wrong_kind(field, row, value, "true or false");
		return BoolGetDatum(value->val.boolean);
	case VC_DT_INT8:
	case VC_DT_INT16:
	case VC_DT_INT32:
	case VC_DT_INT64:
		return integer_from_json(field, value, row);
	case VC_DT_FLOAT:
		return Float4GetDatum((float4)double_from_json(field, value, row, FLT_MAX));
	case VC_DT_DOUBLE:
		return Float8GetDatum(double_from_json(field, value, row, DBL_MAX));
	case VC_DT_VARCHAR:
	case VC_DT_TEXT:
		return string_from_json(field, value, row);
	case VC_DT_JSON:
		return JsonbPGetDatum(JsonbValueToJsonb(value));
	case VC_DT_ARRAY:
		return array_from_json(field, value, row);
	case VC_DT_TIMESTAMPTZ:
		return parsed_from_json(field, value, row, "a timestamp such as \"2025-01-31T12:00:00Z\"");
	case VC_DT_UUID:
		return parsed_from_json(field, value, row, "a uuid");
	case VC_DT_FLOAT_VECTOR:
		return float_vector_from_json(field, value, row);
	case VC_DT_FLOAT16_VECTOR:
		return half_vector_from_json(field, value, row);
	case VC_DT_BINARY_VECTOR:
		return binary_vector_from_json(field, value, row);
	case VC_DT_SPARSE_FLOAT_VECTOR:
		return sparse_vector_from_json(field, value, row);
	default:
		vc_value_error(field, row, "Write the column with plain SQL.",
					   "columns of this type cannot be written from json");
	}
}

Datum
vc_value_id(const VcField *primary, const char *id)
{
	Datum result;
	char *fault;

	if (primary->dtype == VC_DT_VARCHAR || primary->dtype == VC_DT_TEXT)
		return CStringGetTextDatum(id);
	fault = vc_value_input(primary->typid, id, -1, &result);
	if (fault)
		ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER), errmsg("invalid id: %s", fault),
						errdetail("The primary key \"%s\" is of type %s.", NameStr(primary->name),
								  format_type_be(primary->typid)),
						errhint("Pass ids of the primary key's type.")));
	return result;
}
