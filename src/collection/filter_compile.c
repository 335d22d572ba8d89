/*
 * filter_compile.c
 *		The expression language's tree to SQL: fields, arithmetic, comparisons, lists, functions. See filter_compile.h.
 *
 * What holds throughout: a missing key, a null and a json value of another type make a condition unknown, as null does
 *in SQL; unknown is not true, and neither is its negation.
 */
#include "filter_compile.h"

#include <stdarg.h>

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* Lists up to this long become one indexable containment each; longer ones a single pass over the elements. */
#define MAX_CONTAINS_TERMS 8

static VcOperand compile_value(VcFilterContext *c, const VcFilterNode *node);

void
vc_filter_error(VcFilterContext *c, const VcFilterNode *node, const char *detail, const char *format, ...)
{
	size_t length = strlen(c->source);
	size_t position = Min(node->pos, length);
	va_list args;
	StringInfoData message;
	int need;

	initStringInfo(&message);
	for (;;)
	{
		va_start(args, format);
		need = appendStringInfoVA(&message, format, args);
		va_end(args);
		if (need == 0)
			break;
		enlargeStringInfo(&message, need);
	}
	ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER), errmsg("%s", message.data),
					errdetail("%s (at byte %zu of the filter, near \"%.*s\")", detail, position + 1,
							  pg_mbcliplen(c->source + position, length - position, 40), c->source + position),
					errhint("See docs/filters.md for what goes together.")));
}

VcValueClass
vc_filter_class(Oid typid)
{
	switch (typid)
	{
	case BOOLOID:
		return VCX_BOOL;
	case INT2OID:
	case INT4OID:
	case INT8OID:
	case FLOAT4OID:
	case FLOAT8OID:
	case NUMERICOID:
		return VCX_NUMBER;
	case TEXTOID:
	case VARCHAROID:
	case BPCHAROID:
		return VCX_STRING;
	case TIMESTAMPTZOID:
	case TIMESTAMPOID:
	case DATEOID:
		return VCX_TIME;
	case INTERVALOID:
		return VCX_INTERVAL;
	case UUIDOID:
		return VCX_UUID;
	case JSONBOID:
		return VCX_JSON;
	default:
		return OidIsValid(get_element_type(typid)) ? VCX_ARRAY : VCX_LITERAL;
	}
}

static const char *
class_name(VcValueClass class)
{
	static const char *const names[] = {"a constant",  "a boolean", "a number", "a string", "a timestamp",
										"an interval", "a uuid",    "an array", "json"};

	return names[class];
}

static VcOperand
operand(VcValueClass class, Oid typid, const char *sql)
{
	VcOperand result = {.class = class, .typid = typid, .sql = sql};

	return result;
}

VcOperand
vc_filter_literal_operand(const VcFilterNode *node)
{
	VcOperand result = {.class = VCX_LITERAL, .node = node};

	return result;
}

/* ---- fields ---- */

/* A path below a jsonb, by -> steps; with [] in it, what a lax jsonpath finds first. */
static char *
json_path_sql(const char *base, List *path)
{
	StringInfoData sql;
	ListCell *lc;

	initStringInfo(&sql);
	appendStringInfoString(&sql, base);
	foreach (lc, path)
	{
		const VcFilterNode *step = lfirst(lc);
		char *rest = pstrdup(sql.data);

		resetStringInfo(&sql);
		if (step->kind == VCF_STRING)
			appendStringInfo(&sql, "(%s OPERATOR(pg_catalog.->) %s::pg_catalog.text)", rest,
							 quote_literal_cstr(step->text));
		else if (step->kind == VCF_INT)
			appendStringInfo(&sql, "(%s OPERATOR(pg_catalog.->) %d)", rest, (int)step->i);
		else
			appendStringInfo(&sql, "(%s OPERATOR(pg_catalog.->) 0)", rest);
	}
	return sql.data;
}

static VcOperand
json_operand(const char *base, List *path)
{
	VcOperand result = {.class = VCX_JSON, .typid = JSONBOID, .base = base, .path = path};

	result.sql = json_path_sql(base, path);
	return result;
}

/* The field and the path below it. A name that is not declared is a key of the dynamic field. */
VcOperand
vc_filter_field(VcFilterContext *c, const VcFilterNode *node)
{
	const VcField *field = c->element ? NULL : vc_collection_field(c->coll, node->text);
	bool dynamic = !c->element && strcmp(node->text, "$meta") == 0 && c->coll->enable_dynamic;
	List *path = NIL;
	StringInfoData column;
	VcOperand result;

	if (field == NULL && !dynamic)
	{
		VcFilterNode *key = palloc0(sizeof(VcFilterNode));

		if (!c->element && !c->coll->enable_dynamic)
			ereport(ERROR, (vc_errcode(VC_E_FIELD_NOT_FOUND), errmsg("field \"%s\" does not exist", node->text),
							errdetail("Collection \"%s.%s\" declares no such field and has no dynamic field.",
									  NameStr(c->coll->nspname), NameStr(c->coll->relname)),
							errhint("vectorcoll.describe_collection lists the fields.")));
		key->kind = VCF_STRING;
		key->text = node->text;
		key->length = node->length;
		path = list_make1(key);
	}
	for (int i = 0; i < node->nargs; i++)
		path = lappend(path, node->args[i]);
	if (c->element)
		return json_operand(c->element, path);

	initStringInfo(&column);
	appendStringInfoString(&column, "t.");
	vc_append_name(&column, field ? NameStr(field->name) : "$meta");
	if (field == NULL)
		return json_operand(column.data, path);
	result = operand(vc_filter_class(field->typid), field->typid, column.data);
	if (result.class == VCX_JSON)
		return json_operand(column.data, path);
	if (result.class == VCX_ARRAY && node->nargs == 1 && node->args[0]->kind == VCF_INT)
	{
		Oid element = get_element_type(field->typid);

		/* Elements count from 0 in a filter and from 1 in SQL. */
		return operand(vc_filter_class(element), element, psprintf("%s[%d]", column.data, (int)node->args[0]->i + 1));
	}
	if (node->nargs > 0 && !(result.class == VCX_ARRAY && node->args[0]->kind == VCF_WILDCARD && node->nargs == 1))
		vc_filter_error(c, node, psprintf("The field is of type %s.", format_type_be(field->typid)),
						"field \"%s\" has no parts to select by subscript", node->text);
	if (result.class == VCX_LITERAL)
	{
		if (VC_DTYPE_IS_VECTOR(field->dtype))
			vc_filter_error(c, node, "Vectors are compared by search, not by filters.", "field \"%s\" is a vector",
							node->text);
		vc_filter_error(c, node, psprintf("The field is of type %s.", format_type_be(field->typid)),
						"field \"%s\" cannot be filtered by", node->text);
	}
	return result;
}

char *
vc_filter_json_number(const char *sql)
{
	return psprintf(
		"(CASE WHEN pg_catalog.jsonb_typeof(%s) OPERATOR(pg_catalog.=) 'number' THEN %s::pg_catalog.numeric END)", sql,
		sql);
}

char *
vc_filter_as_text(VcFilterContext *c, VcOperand x)
{
	if (x.class == VCX_STRING)
		return (char *)x.sql;
	return psprintf("(CASE WHEN pg_catalog.jsonb_typeof(%s) OPERATOR(pg_catalog.=) 'string' THEN %s "
					"OPERATOR(pg_catalog.#>>) '{}'::pg_catalog.text[] END)",
					x.sql, x.sql);
}

/* ---- arithmetic ---- */

/* Constants of an expression without a field take the type they are written in. */
static VcOperand
literal_by_itself(VcFilterContext *c, VcOperand x)
{
	Oid typid;

	switch (x.node->kind)
	{
	case VCF_BOOL:
		typid = BOOLOID;
		break;
	case VCF_INT:
		typid = INT8OID;
		break;
	case VCF_FLOAT:
		typid = FLOAT8OID;
		break;
	case VCF_STRING:
		typid = TEXTOID;
		break;
	case VCF_TIMESTAMP:
		typid = TIMESTAMPTZOID;
		break;
	case VCF_INTERVAL:
		typid = INTERVALOID;
		break;
	default:
		vc_filter_error(c, x.node, "Only \"in\" and the contains functions take lists.", "a list cannot stand here");
	}
	return operand(vc_filter_class(typid), typid, vc_filter_value(c, x.node, typid));
}

/*
 * The type a number constant takes beside an operand of type `other`: the column's own float type, so that 0.1 equals a
 * stored 0.1; exact decimals beside decimals; otherwise 64 bits.
 */
static Oid
number_type_beside(const VcFilterNode *node, Oid other)
{
	if (other == FLOAT4OID || other == FLOAT8OID || other == NUMERICOID)
		return other;
	return node->kind == VCF_INT ? INT8OID : FLOAT8OID;
}

/* An operand of arithmetic as a number; other is the type across the operator. */
static VcOperand
as_number(VcFilterContext *c, const VcFilterNode *at, VcOperand x, Oid other)
{
	if (x.class == VCX_LITERAL)
	{
		if (x.node->kind == VCF_INT || x.node->kind == VCF_FLOAT)
		{
			Oid typid = number_type_beside(x.node, other);

			return operand(VCX_NUMBER, typid, vc_filter_value(c, x.node, typid));
		}
		x = literal_by_itself(c, x);
	}
	if (x.class == VCX_JSON)
		return operand(VCX_NUMBER, NUMERICOID, vc_filter_json_number(x.sql));
	if (x.class != VCX_NUMBER)
		vc_filter_error(c, at, psprintf("It has %s.", class_name(x.class)), "arithmetic needs numbers");
	return x;
}

static bool
is_integer(Oid typid)
{
	return typid == INT2OID || typid == INT4OID || typid == INT8OID;
}

/* The type an operator of two numeric types gives, as PostgreSQL resolves it. */
static Oid
wider_number(Oid a, Oid b)
{
	static const Oid order[] = {INT2OID, INT4OID, INT8OID, NUMERICOID, FLOAT4OID, FLOAT8OID};
	int rank_a = 0;
	int rank_b = 0;

	for (int i = 0; i < lengthof(order); i++)
	{
		rank_a = order[i] == a ? i : rank_a;
		rank_b = order[i] == b ? i : rank_b;
	}
	/* float4 beside anything but float4 is computed in float8. */
	if (a != b && Max(rank_a, rank_b) == 4)
		return FLOAT8OID;
	return order[Max(rank_a, rank_b)];
}

static VcOperand
compile_arithmetic(VcFilterContext *c, const VcFilterNode *node)
{
	static const char *const symbols[] = {[VCF_OP_ADD] = "+", [VCF_OP_SUB] = "-", [VCF_OP_MUL] = "*",
										  [VCF_OP_DIV] = "/", [VCF_OP_MOD] = "%", [VCF_OP_POW] = "^"};
	VcOperand left = compile_value(c, node->args[0]);
	VcOperand right = compile_value(c, node->args[1]);
	Oid typid;

	if (left.class == VCX_TIME && right.class == VCX_LITERAL && right.node->kind == VCF_INTERVAL)
	{
		if (node->op != VCF_OP_ADD && node->op != VCF_OP_SUB)
			vc_filter_error(c, node, "Intervals are added and subtracted.", "no such operator for timestamps");
		return operand(VCX_TIME, left.typid == DATEOID ? TIMESTAMPOID : left.typid,
					   psprintf("(%s OPERATOR(pg_catalog.%s) %s)", left.sql, symbols[node->op],
								vc_filter_value(c, right.node, INTERVALOID)));
	}
	if ((node->op == VCF_OP_DIV || node->op == VCF_OP_MOD) && right.class == VCX_LITERAL &&
		((right.node->kind == VCF_INT && right.node->i == 0) ||
		 (right.node->kind == VCF_FLOAT && strtod(right.node->text, NULL) == 0)))
		vc_filter_error(c, right.node, "The divisor is a constant.", "division by zero in filter");
	left = as_number(c, node->args[0], left, right.class == VCX_JSON ? NUMERICOID : right.typid);
	right = as_number(c, node->args[1], right, left.typid);
	typid = wider_number(left.typid, right.typid);
	if (node->op == VCF_OP_POW)
		return operand(
			VCX_NUMBER, FLOAT8OID,
			psprintf("(%s::pg_catalog.float8 OPERATOR(pg_catalog.^) %s::pg_catalog.float8)", left.sql, right.sql));
	if (node->op == VCF_OP_MOD && !is_integer(typid))
		return operand(
			VCX_NUMBER, NUMERICOID,
			psprintf("(%s::pg_catalog.numeric OPERATOR(pg_catalog.%%) %s::pg_catalog.numeric)", left.sql, right.sql));
	return operand(VCX_NUMBER, typid,
				   psprintf("(%s OPERATOR(pg_catalog.%s) %s)", left.sql, symbols[node->op], right.sql));
}

/* ---- comparisons ---- */

static const char *
compare_symbol(VcFilterOp op)
{
	static const char *const symbols[] = {[VCF_OP_EQ] = "=",  [VCF_OP_NE] = "<>", [VCF_OP_LT] = "<",
										  [VCF_OP_LE] = "<=", [VCF_OP_GT] = ">",  [VCF_OP_GE] = ">="};

	return symbols[op];
}

static VcFilterOp
mirror(VcFilterOp op)
{
	switch (op)
	{
	case VCF_OP_LT:
		return VCF_OP_GT;
	case VCF_OP_LE:
		return VCF_OP_GE;
	case VCF_OP_GT:
		return VCF_OP_LT;
	case VCF_OP_GE:
		return VCF_OP_LE;
	default:
		return op;
	}
}

static char *
binary(const char *left, const char *symbol, const char *right)
{
	return psprintf("(%s OPERATOR(pg_catalog.%s) %s)", left, symbol, right);
}

static bool
path_is_keys(List *path)
{
	ListCell *lc;

	foreach (lc, path)
		if (((const VcFilterNode *)lfirst(lc))->kind != VCF_STRING)
			return false;
	return path != NIL;
}

/* A json path beside a constant. Equality through a path of keys is containment, which a GIN index serves. */
static char *
compare_json_literal(VcFilterContext *c, VcFilterOp op, VcOperand x, const VcFilterNode *value)
{
	bool keys = path_is_keys(x.path);

	switch (op)
	{
	case VCF_OP_EQ:
		return keys && value->kind != VCF_LIST ? binary(x.base, "@>", vc_filter_jsonb(c, value, x.path, false))
											   : binary(x.sql, "=", vc_filter_jsonb(c, value, NIL, false));
	case VCF_OP_NE:
		return psprintf("(%s OPERATOR(pg_catalog.<>) %s AND %s OPERATOR(pg_catalog.<>) 'null'::pg_catalog.jsonb)",
						x.sql, vc_filter_jsonb(c, value, NIL, false), x.sql);
	default:
		if (value->kind == VCF_INT || value->kind == VCF_FLOAT)
			return binary(vc_filter_json_number(x.sql), compare_symbol(op), vc_filter_value(c, value, NUMERICOID));
		if (value->kind == VCF_STRING)
			return binary(vc_filter_as_text(c, x), compare_symbol(op), vc_filter_value(c, value, TEXTOID));
		vc_filter_error(c, value, "Only numbers and strings have an order in json.",
						"json value cannot be compared like this");
	}
}

/* A column or computed value beside a constant. */
static char *
compare_literal(VcFilterContext *c, const VcFilterNode *at, VcFilterOp op, VcOperand x, const VcFilterNode *value)
{
	Oid typid = x.typid;

	if (x.class == VCX_JSON)
		return compare_json_literal(c, op, x, value);
	if (x.class == VCX_ARRAY)
	{
		int dropped = 0;

		if (value->kind != VCF_LIST || (op != VCF_OP_EQ && op != VCF_OP_NE))
			vc_filter_error(c, at, "Use array_contains for one element; == and != compare with a whole list.",
							"array cannot be compared like this");
		return binary(x.sql, compare_symbol(op),
					  vc_filter_value_array(c, value, get_element_type(x.typid), x.typid, &dropped));
	}
	if (x.class == VCX_BOOL && op != VCF_OP_EQ && op != VCF_OP_NE)
		vc_filter_error(c, at, "Booleans are equal or not.", "booleans have no order in a filter");
	if (x.class == VCX_NUMBER && (value->kind == VCF_INT || value->kind == VCF_FLOAT))
	{
		typid = number_type_beside(value, x.typid);
		/* Exact where the field is: an integer is not rounded to the nearest float to be compared. */
		if (value->kind == VCF_FLOAT && is_integer(x.typid))
			typid = NUMERICOID;
	}
	else if (x.class == VCX_STRING)
		typid = TEXTOID;
	return binary(x.sql, compare_symbol(op), vc_filter_value(c, value, typid));
}

char *
vc_filter_compare(VcFilterContext *c, const VcFilterNode *at, VcFilterOp op, VcOperand left, VcOperand right)
{
	if (left.class == VCX_LITERAL && right.class == VCX_LITERAL)
		left = literal_by_itself(c, left);
	if (left.class == VCX_LITERAL)
		return compare_literal(c, at, mirror(op), right, left.node);
	if (right.class == VCX_LITERAL)
		return compare_literal(c, at, op, left, right.node);

	if (left.class == VCX_JSON && right.class == VCX_JSON)
	{
		if (op == VCF_OP_EQ || op == VCF_OP_NE)
			return binary(left.sql, compare_symbol(op), right.sql);
		return binary(vc_filter_json_number(left.sql), compare_symbol(op), vc_filter_json_number(right.sql));
	}
	if (left.class == VCX_JSON || right.class == VCX_JSON)
	{
		VcOperand *json = left.class == VCX_JSON ? &left : &right;
		VcOperand *other = json == &left ? &right : &left;

		if (other->class == VCX_NUMBER)
			json->sql = vc_filter_json_number(json->sql);
		else if (other->class == VCX_STRING)
			json->sql = vc_filter_as_text(c, *json);
		else
			vc_filter_error(c, at, psprintf("json is compared with %s.", class_name(other->class)),
							"operands cannot be compared");
	}
	else if (left.class != right.class || (left.class == VCX_ARRAY && left.typid != right.typid))
		vc_filter_error(c, at, psprintf("One is %s, the other %s.", class_name(left.class), class_name(right.class)),
						"operands cannot be compared");
	return binary(left.sql, compare_symbol(op), right.sql);
}

char *
vc_filter_in(VcFilterContext *c, VcOperand left, const VcFilterNode *list, bool negated)
{
	const char *form = negated ? "(%s OPERATOR(pg_catalog.<>) ALL (%s))" : "(%s OPERATOR(pg_catalog.=) ANY (%s))";
	char *array;

	list = vc_filter_resolve(c, list);
	if (list->kind != VCF_LIST)
		vc_filter_error(c, list, "Write a list as [1, 2, 3].", "expected a list after \"in\"");
	if (left.class == VCX_LITERAL)
		left = literal_by_itself(c, left);
	if (left.class == VCX_ARRAY)
		vc_filter_error(c, list, "Use array_contains_any.", "an array cannot be in a list");
	if (left.class == VCX_JSON)
		array = vc_filter_jsonb_array(c, list);
	else
	{
		Oid typid = left.class == VCX_STRING ? TEXTOID : left.typid;

		array = vc_filter_value_array(c, list, typid, get_array_type(typid), NULL);
	}
	return psprintf(form, left.sql, array);
}

static char *
compile_like(VcFilterContext *c, const VcFilterNode *node)
{
	VcOperand left = compile_value(c, node->args[0]);
	const VcFilterNode *pattern = vc_filter_resolve(c, node->args[1]);
	int escapes = 0;

	if (pattern->kind != VCF_STRING)
		vc_filter_error(c, pattern, "A pattern is a string.", "expected a string after \"like\"");
	for (const char *at = pattern->text + pattern->length; at > pattern->text && at[-1] == '\\'; at--)
		escapes++;
	if (escapes % 2 == 1)
		vc_filter_error(c, pattern, "A backslash escapes the character after it.",
						"pattern ends with its escape character");
	if (left.class == VCX_LITERAL)
		left = literal_by_itself(c, left);
	if (left.class != VCX_STRING && left.class != VCX_JSON)
		vc_filter_error(c, node->args[0], psprintf("It has %s.", class_name(left.class)), "\"like\" needs a string");
	return binary(vc_filter_as_text(c, left), node->negated ? "!~~" : "~~", vc_filter_value(c, pattern, TEXTOID));
}

static char *
compile_is_null(VcFilterContext *c, const VcFilterNode *node)
{
	VcOperand x = vc_filter_field(c, node->args[0]);

	if (x.class != VCX_JSON)
		return psprintf("(%s IS %sNULL)", x.sql, node->negated ? "NOT " : "");
	/* Qdrant's is_null is about a null that is there, not about a key that is not. */
	if (node->i == 1)
		return psprintf("(%s(%s OPERATOR(pg_catalog.=) 'null'::pg_catalog.jsonb) IS TRUE)", node->negated ? "NOT " : "",
						x.sql);
	return psprintf("(COALESCE(%s, 'null'::pg_catalog.jsonb) OPERATOR(pg_catalog.%s) 'null'::pg_catalog.jsonb)", x.sql,
					node->negated ? "<>" : "=");
}

/* ---- functions ---- */

char *
vc_filter_array_length(VcFilterContext *c, VcOperand array)
{
	if (array.class == VCX_ARRAY)
		return psprintf("pg_catalog.cardinality(%s)", array.sql);
	return psprintf("(CASE WHEN pg_catalog.jsonb_typeof(%s) OPERATOR(pg_catalog.=) 'array' THEN "
					"pg_catalog.jsonb_array_length(%s) END)",
					array.sql, array.sql);
}

/* One element in a json array: as containment where that is exact and indexable. */
static char *
json_contains_one(VcFilterContext *c, VcOperand array, const VcFilterNode *value)
{
	value = vc_filter_resolve(c, value);
	if (value->kind != VCF_LIST && path_is_keys(array.path))
		return binary(array.base, "@>", vc_filter_jsonb(c, value, array.path, true));
	return psprintf("EXISTS (SELECT 1 FROM pg_catalog.jsonb_array_elements(CASE WHEN pg_catalog.jsonb_typeof(%s) "
					"OPERATOR(pg_catalog.=) 'array' THEN %s END) AS e(v) WHERE e.v OPERATOR(pg_catalog.=) %s)",
					array.sql, array.sql, vc_filter_jsonb(c, value, NIL, false));
}

static char *
json_contains(VcFilterContext *c, VcOperand array, const VcFilterNode *value, VcFilterFunction function)
{
	StringInfoData sql;

	if (function == VCF_FN_JSON_CONTAINS)
		return json_contains_one(c, array, value);
	if (function == VCF_FN_JSON_CONTAINS_ANY && value->nargs > MAX_CONTAINS_TERMS)
		return psprintf(
			"EXISTS (SELECT 1 FROM pg_catalog.jsonb_array_elements(CASE WHEN pg_catalog.jsonb_typeof(%s) "
			"OPERATOR(pg_catalog.=) 'array' THEN %s END) AS e(v) WHERE e.v OPERATOR(pg_catalog.=) ANY (%s))",
			array.sql, array.sql, vc_filter_jsonb_array(c, value));
	initStringInfo(&sql);
	appendStringInfo(&sql, "(%s", function == VCF_FN_JSON_CONTAINS_ANY ? "FALSE" : "TRUE");
	for (int i = 0; i < value->nargs; i++)
		appendStringInfo(&sql, " %s %s", function == VCF_FN_JSON_CONTAINS_ANY ? "OR" : "AND",
						 json_contains_one(c, array, value->args[i]));
	appendStringInfoChar(&sql, ')');
	return sql.data;
}

char *
vc_filter_contains(VcFilterContext *c, VcOperand array, const VcFilterNode *value, VcFilterFunction function)
{
	int dropped = 0;
	char *list;

	value = vc_filter_resolve(c, value);
	/* Both families serve arrays and json; the type of the field decides. */
	if (function >= VCF_FN_ARRAY_CONTAINS)
		function -= VCF_FN_ARRAY_CONTAINS - VCF_FN_JSON_CONTAINS;
	if (function != VCF_FN_JSON_CONTAINS && value->kind != VCF_LIST)
		vc_filter_error(c, value, "The _all and _any forms take a list.", "expected a list");
	if (array.class == VCX_JSON)
		return json_contains(c, array, value, function);
	if (array.class != VCX_ARRAY)
		vc_filter_error(c, value, psprintf("The first argument is %s.", class_name(array.class)),
						"contains needs an array or json");
	if (function == VCF_FN_JSON_CONTAINS)
	{
		VcFilterNode *one = palloc0(sizeof(VcFilterNode));

		one->kind = VCF_LIST;
		one->pos = value->pos;
		one->nargs = 1;
		one->args = palloc(sizeof(VcFilterNode *));
		one->args[0] = (VcFilterNode *)value;
		value = one;
	}
	list = vc_filter_value_array(c, value, get_element_type(array.typid), array.typid, &dropped);
	if (function == VCF_FN_JSON_CONTAINS_ANY)
		return binary(array.sql, "&&", list);
	if (dropped > 0)
		return psprintf("(FALSE AND %s IS NOT NULL)", list);
	return binary(array.sql, "@>", list);
}

/* The values of an array or json array, for conditions on any of them. */
static char *
compile_call_condition(VcFilterContext *c, const VcFilterNode *node)
{
	VcOperand x;

	if (node->function == VCF_FN_RANDOM_SAMPLE)
	{
		const VcFilterNode *share = vc_filter_resolve(c, node->args[0]);

		if ((share->kind != VCF_FLOAT && share->kind != VCF_INT) || strtod(share->text, NULL) <= 0 ||
			strtod(share->text, NULL) > 1)
			vc_filter_error(c, share, "It is the share of rows to keep.",
							"random_sample takes a number above 0, at most 1");
		return binary("pg_catalog.random()", "<", vc_filter_value(c, share, FLOAT8OID));
	}
	x = compile_value(c, node->args[0]);
	switch (node->function)
	{
	case VCF_FN_TEXT_MATCH:
	case VCF_FN_PHRASE_MATCH:
		if (x.class != VCX_STRING && x.class != VCX_JSON)
			vc_filter_error(c, node->args[0], "The first argument is the field to look in.", "%s needs a string field",
							node->text);
		return vc_filter_text(c, vc_filter_as_text(c, x), node->args[1],
							  node->function == VCF_FN_TEXT_MATCH ? VCF_TEXT_ANY : VCF_TEXT_PHRASE, (int)node->i,
							  (int)node->i);
	case VCF_FN_ARRAY_LENGTH:
		vc_filter_error(c, node, "Compare it with a number.", "array_length is not a condition");
	default:
		if (!vc_filter_is_value(node->args[1]))
			vc_filter_error(c, node->args[1], "The second argument is what to look for.", "expected a constant");
		return vc_filter_contains(c, x, node->args[1], node->function);
	}
}

/* ---- the tree ---- */

static VcOperand
compile_value(VcFilterContext *c, const VcFilterNode *node)
{
	VcOperand x;

	check_stack_depth();
	node = vc_filter_resolve(c, node);
	switch (node->kind)
	{
	case VCF_FIELD:
		return vc_filter_field(c, node);
	case VCF_ARITH:
		return compile_arithmetic(c, node);
	case VCF_NEGATE:
		x = as_number(c, node->args[0], compile_value(c, node->args[0]), InvalidOid);
		return operand(VCX_NUMBER, x.typid, psprintf("(OPERATOR(pg_catalog.-) %s)", x.sql));
	case VCF_CALL:
		if (node->function == VCF_FN_ARRAY_LENGTH)
		{
			x = compile_value(c, node->args[0]);
			if (x.class != VCX_ARRAY && x.class != VCX_JSON)
				vc_filter_error(c, node->args[0], psprintf("It has %s.", class_name(x.class)),
								"array_length needs an array");
			return operand(VCX_NUMBER, INT4OID, vc_filter_array_length(c, x));
		}
		break;
	default:
		if (node->kind <= VCF_LIST)
			return vc_filter_literal_operand(node);
		break;
	}
	return operand(VCX_BOOL, BOOLOID, vc_filter_condition(c, node));
}

static char *
compile_list(VcFilterContext *c, const VcFilterNode *node, const char *word, const char *empty)
{
	StringInfoData sql;

	if (node->nargs == 0)
		return pstrdup(empty);
	initStringInfo(&sql);
	for (int i = 0; i < node->nargs; i++)
		appendStringInfo(&sql, "%s%s", i ? word : "(", vc_filter_condition(c, node->args[i]));
	appendStringInfoChar(&sql, ')');
	return sql.data;
}

char *
vc_filter_condition(VcFilterContext *c, const VcFilterNode *node)
{
	VcOperand x;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	switch (node->kind)
	{
	case VCF_AND:
		return compile_list(c, node, " AND ", "TRUE");
	case VCF_OR:
		return compile_list(c, node, " OR ", "FALSE");
	case VCF_NOT:
		return psprintf(node->negated ? "(%s IS NOT TRUE)" : "(NOT %s)", vc_filter_condition(c, node->args[0]));
	case VCF_COMPARE:
		return vc_filter_compare(c, node, node->op, compile_value(c, node->args[0]), compile_value(c, node->args[1]));
	case VCF_IN:
		return vc_filter_in(c, compile_value(c, node->args[0]), node->args[1], node->negated);
	case VCF_LIKE:
		return compile_like(c, node);
	case VCF_IS_NULL:
		return compile_is_null(c, node);
	case VCF_EXISTS:
		return psprintf("(%s IS NOT NULL)", vc_filter_field(c, node->args[0]).sql);
	case VCF_CALL:
		if (node->function != VCF_FN_ARRAY_LENGTH)
			return compile_call_condition(c, node);
		break;
	default:
		if (node->kind >= VCF_MATCH)
			return vc_filter_match(c, node);
		break;
	}
	/* A value where a condition is asked for: true, false, a boolean field, a json true. */
	x = compile_value(c, node);
	if (x.class == VCX_LITERAL && x.node->kind == VCF_BOOL)
		return pstrdup(x.node->negated ? "TRUE" : "FALSE");
	if (x.class == VCX_JSON)
		return binary(x.sql, "=", "'true'::pg_catalog.jsonb");
	if (x.class != VCX_BOOL)
		vc_filter_error(c, node, psprintf("It has %s.", class_name(x.class)), "expected a condition");
	return psprintf("(%s)", x.sql);
}

void
vc_filter_compile(VcStatement *st, const VcCollection *coll, const text *filter, Jsonb *templates)
{
	VcFilterContext c = {.st = st, .coll = coll, .templates = templates, .source = text_to_cstring(filter)};

	if (templates && !JB_ROOT_IS_OBJECT(templates))
		ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER), errmsg("filter_params is not a JSON object"),
						errdetail("Got %.40s.", JsonbToCString(NULL, &templates->root, VARSIZE(templates))),
						errhint("Pass an object of names and values, such as '{\"x\": 5}'.")));
	appendStringInfoString(&st->sql, vc_filter_condition(&c, vc_filter_read(filter)));
}
