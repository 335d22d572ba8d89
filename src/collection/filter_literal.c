/*
 * filter_literal.c
 *		Constants of a filter as parameters: values of a column's type, jsonb, arrays; and templates, which are
 *constants that arrive in a separate object.
 */
#include "filter_compile.h"
#include "value.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"

static void *
arena_alloc(void *context, size_t bytes)
{
	return palloc(bytes);
}

static VcFilterArena server_arena = {arena_alloc, NULL};

/* ---- templates ---- */

static VcFilterNode *
node_from_json(VcFilterContext *c, const VcFilterNode *at, JsonbValue *value)
{
	VcFilterNode *node = vc_filter_node(&server_arena, VCF_NULL, at->pos);

	switch (value->type)
	{
	case jbvNull:
		break;
	case jbvBool:
		node->kind = VCF_BOOL;
		node->negated = value->val.boolean;
		break;
	case jbvString:
		node->kind = VCF_STRING;
		node->text = pnstrdup(value->val.string.val, value->val.string.len);
		node->length = value->val.string.len;
		break;
	case jbvNumeric:
		node->text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
		node->length = strlen(node->text);
		node->kind = VCF_FLOAT;
		if (strspn(node->text, "-0123456789") == node->length && node->length < 19)
		{
			node->kind = VCF_INT;
			node->i = strtoll(node->text, NULL, 10);
		}
		break;
	case jbvBinary:
	{
		JsonbIterator *it = JsonbIteratorInit(value->val.binary.data);
		JsonbIteratorToken token;
		JsonbValue item;

		if (!JsonContainerIsArray(value->val.binary.data))
			vc_filter_error(c, at, "A template stands for a constant or a list.", "template \"%s\" is an object",
							at->text);
		node->kind = VCF_LIST;
		while ((token = JsonbIteratorNext(&it, &item, true)) != WJB_DONE)
			if (token == WJB_ELEM)
				vc_filter_append(&server_arena, node, node_from_json(c, at, &item));
		break;
	}
	default:
		vc_filter_error(c, at, "A template stands for a constant or a list.", "template \"%s\" has an unusable value",
						at->text);
	}
	return node;
}

const VcFilterNode *
vc_filter_resolve(VcFilterContext *c, const VcFilterNode *node)
{
	JsonbValue *value = NULL;

	if (node->kind != VCF_TEMPLATE)
		return node;
	if (c->templates)
		value = getKeyJsonValueFromContainer(&c->templates->root, node->text, node->length, NULL);
	if (value == NULL)
		ereport(ERROR, (vc_errcode(VC_E_MISSING_PARAMETER), errmsg("template \"%s\" has no value", node->text),
						errdetail("The filter uses {%s}.", node->text),
						errhint("Pass filter_params => '{\"%s\": ...}'.", node->text)));
	return node_from_json(c, node, value);
}

/* ---- single values ---- */

/* Escapes give UTF-8 whatever the server's encoding. */
static const char *
node_text(const VcFilterNode *node)
{
	if (GetDatabaseEncoding() != PG_UTF8)
		pg_verifymbstr(node->text, node->length, false);
	return node->text;
}

static const char *
kind_name(const VcFilterNode *node)
{
	switch (node->kind)
	{
	case VCF_NULL:
		return "null";
	case VCF_BOOL:
		return "a boolean";
	case VCF_INT:
	case VCF_FLOAT:
		return "a number";
	case VCF_STRING:
		return "a string";
	case VCF_TIMESTAMP:
		return "a timestamp";
	case VCF_INTERVAL:
		return "an interval";
	case VCF_LIST:
		return "a list";
	default:
		return "an object";
	}
}

static Numeric
node_numeric(VcFilterContext *c, const VcFilterNode *node)
{
	const char *exponent = strpbrk(node->text, "eE");

	if (exponent && (strlen(exponent) > 5 || abs(atoi(exponent + 1)) > 400))
		vc_filter_error(c, node, "Exponents go from -400 to 400.", "number %s is out of range", node->text);
	return DatumGetNumeric(
		DirectFunctionCall3(numeric_in, CStringGetDatum(node->text), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

/*
 * The constant as a value of an integer type, false if none is equal to it. Not an error: an integer field differs from
 * 1.5 as surely as from 2.
 */
static bool
node_integer(const VcFilterNode *node, Oid typid, Datum *value)
{
	int64 i = node->i;

	if (node->kind == VCF_FLOAT)
	{
		double d = strtod(node->text, NULL);

		if (d != floor(d) || d < -9.2e18 || d > 9.2e18)
			return false;
		i = (int64)d;
	}
	if (typid == INT2OID)
	{
		*value = Int16GetDatum((int16)i);
		return i >= PG_INT16_MIN && i <= PG_INT16_MAX;
	}
	if (typid == INT4OID)
	{
		*value = Int32GetDatum((int32)i);
		return i >= PG_INT32_MIN && i <= PG_INT32_MAX;
	}
	*value = Int64GetDatum(i);
	return true;
}

static Datum
node_float(VcFilterContext *c, const VcFilterNode *node, Oid typid)
{
	double d = node->kind == VCF_INT ? (double)node->i : strtod(node->text, NULL);

	if (isinf(d) || (typid == FLOAT4OID && isinf((float)d)))
		vc_filter_error(c, node, "The field's type has a smaller range.", "number %s is out of range", node->text);
	return typid == FLOAT4OID ? Float4GetDatum((float)d) : Float8GetDatum(d);
}

static Datum
node_input(VcFilterContext *c, const VcFilterNode *node, Oid typid)
{
	Datum value;
	char *fault = vc_value_input(typid, node->text, -1, &value);

	if (fault)
		vc_filter_error(c, node, psprintf("%s.", fault), "a constant in the filter does not fit its field's type");
	return value;
}

/* The value of the constant in the type; false when it is a number the type cannot hold. Raises when of another class.
 */
static bool
node_datum(VcFilterContext *c, const VcFilterNode *node, Oid typid, Datum *value)
{
	bool number = node->kind == VCF_INT || node->kind == VCF_FLOAT;

	switch (vc_filter_class(typid))
	{
	case VCX_BOOL:
		if (node->kind != VCF_BOOL)
			break;
		*value = BoolGetDatum(node->negated);
		return true;
	case VCX_NUMBER:
		if (!number)
			break;
		if (typid == NUMERICOID)
			*value = NumericGetDatum(node_numeric(c, node));
		else if (typid == FLOAT4OID || typid == FLOAT8OID)
			*value = node_float(c, node, typid);
		else
			return node_integer(node, typid, value);
		return true;
	case VCX_STRING:
		if (node->kind != VCF_STRING)
			break;
		/* text, varchar and bpchar share their representation; blanks at the end of bpchar do not count. */
		*value = PointerGetDatum(cstring_to_text_with_len(node_text(node), node->length));
		return true;
	case VCX_TIME:
		if (node->kind != VCF_STRING && node->kind != VCF_TIMESTAMP)
			break;
		*value = node_input(c, node, typid);
		return true;
	case VCX_UUID:
		if (node->kind != VCF_STRING)
			break;
		*value = node_input(c, node, typid);
		return true;
	case VCX_INTERVAL:
		if (node->kind != VCF_INTERVAL)
			break;
		*value = node_input(c, node, typid);
		return true;
	default:
		break;
	}
	vc_filter_error(c, node,
					psprintf("The filter has %s where the field's type, %s, needs another.", kind_name(node),
							 format_type_be(typid)),
					"type mismatch in filter");
}

char *
vc_filter_value(VcFilterContext *c, const VcFilterNode *node, Oid typid)
{
	Datum value;

	/* A number the type cannot hold is compared in a type that can. */
	if (!node_datum(c, node, typid, &value))
	{
		typid = node->kind == VCF_INT ? INT8OID : NUMERICOID;
		if (!node_datum(c, node, typid, &value))
			elog(ERROR, "no type for number %s", node->text);
	}
	return psprintf("$%d", vc_statement_param(c->st, typid, value));
}

char *
vc_filter_value_array(VcFilterContext *c, const VcFilterNode *list, Oid typid, Oid arraytype, int *dropped)
{
	Datum *values = palloc(sizeof(Datum) * (list->nargs + 1));
	int16 typlen;
	bool typbyval;
	char typalign;
	int n = 0;

	for (int i = 0; i < list->nargs; i++)
		if (node_datum(c, vc_filter_resolve(c, list->args[i]), typid, &values[n]))
			n++;
		else if (dropped)
			(*dropped)++;
	get_typlenbyvalalign(typid, &typlen, &typbyval, &typalign);
	return psprintf("$%d",
					vc_statement_param(c->st, arraytype,
									   PointerGetDatum(construct_array(values, n, typid, typlen, typbyval, typalign))));
}

/* ---- jsonb ---- */

static JsonbValue *
push_node(VcFilterContext *c, JsonbParseState **state, const VcFilterNode *node, JsonbIteratorToken token)
{
	JsonbValue value;

	node = vc_filter_resolve(c, node);
	switch (node->kind)
	{
	case VCF_NULL:
		value.type = jbvNull;
		break;
	case VCF_BOOL:
		value.type = jbvBool;
		value.val.boolean = node->negated;
		break;
	case VCF_INT:
	case VCF_FLOAT:
		value.type = jbvNumeric;
		value.val.numeric = node_numeric(c, node);
		break;
	case VCF_STRING:
		value.type = jbvString;
		value.val.string.val = (char *)node_text(node);
		value.val.string.len = node->length;
		break;
	case VCF_LIST:
		pushJsonbValue(state, WJB_BEGIN_ARRAY, NULL);
		for (int i = 0; i < node->nargs; i++)
			push_node(c, state, node->args[i], WJB_ELEM);
		return pushJsonbValue(state, WJB_END_ARRAY, NULL);
	default:
		vc_filter_error(c, node, "Compare it with a timestamptz field.", "%s has no equal in json", kind_name(node));
	}
	if (*state == NULL)
	{
		JsonbValue *copy = palloc(sizeof(JsonbValue));

		*copy = value;
		return copy;
	}
	return pushJsonbValue(state, token, &value);
}

char *
vc_filter_jsonb(VcFilterContext *c, const VcFilterNode *node, List *path, bool array)
{
	JsonbParseState *state = NULL;
	JsonbValue *result = NULL;
	ListCell *lc;

	foreach (lc, path)
	{
		const VcFilterNode *step = lfirst(lc);
		JsonbValue key = {.type = jbvString};

		key.val.string.val = (char *)step->text;
		key.val.string.len = step->length;
		pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
		pushJsonbValue(&state, WJB_KEY, &key);
	}
	if (array)
		pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	result = push_node(c, &state, node, array ? WJB_ELEM : WJB_VALUE);
	if (array)
		result = pushJsonbValue(&state, WJB_END_ARRAY, NULL);
	for (int i = 0; i < list_length(path); i++)
		result = pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	return psprintf("$%d", vc_statement_param(c->st, JSONBOID, JsonbPGetDatum(JsonbValueToJsonb(result))));
}

char *
vc_filter_jsonb_array(VcFilterContext *c, const VcFilterNode *list)
{
	Datum *values = palloc(sizeof(Datum) * (list->nargs + 1));

	for (int i = 0; i < list->nargs; i++)
	{
		JsonbParseState *state = NULL;

		values[i] = JsonbPGetDatum(JsonbValueToJsonb(push_node(c, &state, list->args[i], WJB_ELEM)));
	}
	return psprintf("$%d", vc_statement_param(c->st, JSONBARRAYOID,
											  PointerGetDatum(construct_array(values, list->nargs, JSONBOID, -1, false,
																			  TYPALIGN_INT))));
}

/* ---- reading ---- */

VcFilterNode *
vc_filter_read(const text *filter)
{
	VcFilterError error = {0};
	const char *input = VARDATA_ANY(filter);
	size_t length = VARSIZE_ANY_EXHDR(filter);
	VcFilterNode *node = vc_filter_parse(&server_arena, input, length, &error);
	int near;

	if (node)
		return node;
	/* A name cut in the middle of a character, and a quoted one the client's encoding lacks, must not spoil the
	 * message. */
	for (char *at = error.message; *at; at++)
		if (IS_HIGHBIT_SET(*at))
			*at = '?';
	near = pg_mbcliplen(input + Min(error.position, length), length - Min(error.position, length), 40);
	ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER), errmsg("invalid filter: %s", error.message),
					error.position < length
						? errdetail("At byte %zu, near \"%.*s\".", error.position + 1, near, input + error.position)
						: errdetail("At the end of the filter."),
					error.hint[0] ? errhint("%s", error.hint) : errhint("See docs/filters.md for the grammar.")));
}
