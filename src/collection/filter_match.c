/*
 * filter_match.c
 *		Conditions only the JSON language has, to SQL. See filter_compile.h.
 *
 * A field that holds an array matches when one of its elements does. For jsonb that is what a lax jsonpath means
 *anyway, so a condition becomes `base @? '$."key" ? (@ == 5)'`, which a GIN index (jsonb_path_ops) serves; long lists
 *become a look at each element, which compares by hash. Every condition is true or not: what is missing does not match,
 *and must_not (IS NOT TRUE) accepts it, as Qdrant does.
 */
#include "filter_compile.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/lsyscache.h"

#define MAX_PATH_TERMS 16

/* ---- jsonpath ---- */

static void
path_append(StringInfo out, List *path)
{
	ListCell *lc;

	appendStringInfoChar(out, '$');
	foreach (lc, path)
	{
		const VcFilterNode *step = lfirst(lc);

		if (step->kind == VCF_STRING)
		{
			appendStringInfoChar(out, '.');
			escape_json(out, step->text);
		}
		else if (step->kind == VCF_INT)
			appendStringInfo(out, "[%d]", (int)step->i);
		else
			appendStringInfoString(out, "[*]");
	}
}

static void
path_append_value(VcFilterContext *c, StringInfo out, const VcFilterNode *value)
{
	switch (value->kind)
	{
	case VCF_BOOL:
		appendStringInfoString(out, value->negated ? "true" : "false");
		break;
	case VCF_INT:
	case VCF_FLOAT:
		appendStringInfoString(out, value->text);
		break;
	default:
		escape_json(out, value->text);
	}
}

static char *
path_param(VcFilterContext *c, StringInfo path)
{
	return psprintf(
		"$%d", vc_statement_param(c->st, JSONPATHOID, DirectFunctionCall1(jsonpath_in, CStringGetDatum(path->data))));
}

/* base @? path, false rather than null for a row without the json. */
static char *
path_exists(VcFilterContext *c, VcOperand x, StringInfo path)
{
	return psprintf("(%s OPERATOR(pg_catalog.@?) %s)", x.base, path_param(c, path));
}

/* The elements behind a path, each as e.v. */
static char *
path_elements(VcFilterContext *c, VcOperand x)
{
	StringInfoData path;

	initStringInfo(&path);
	path_append(&path, x.path);
	appendStringInfoString(&path, "[*]");
	return psprintf("pg_catalog.jsonb_path_query(%s, %s, '{}', TRUE) AS e(v)", x.base, path_param(c, &path));
}

/* ---- conditions ---- */

static const char *const jsonpath_symbols[] = {
	[VCF_OP_LT] = "<", [VCF_OP_LE] = "<=", [VCF_OP_GT] = ">", [VCF_OP_GE] = ">="};

static char *
match_value(VcFilterContext *c, const VcFilterNode *node)
{
	VcOperand x = vc_filter_field(c, node->args[0]);
	StringInfoData path;

	if (x.class == VCX_ARRAY)
		return vc_filter_contains(c, x, node->args[1], VCF_FN_ARRAY_CONTAINS);
	if (x.class != VCX_JSON)
		return vc_filter_compare(c, node, VCF_OP_EQ, x, vc_filter_literal_operand(node->args[1]));
	initStringInfo(&path);
	path_append(&path, x.path);
	appendStringInfoString(&path, " ? (@ == ");
	path_append_value(c, &path, node->args[1]);
	appendStringInfoChar(&path, ')');
	return path_exists(c, x, &path);
}

static char *
match_any(VcFilterContext *c, const VcFilterNode *node)
{
	VcOperand x = vc_filter_field(c, node->args[0]);
	const VcFilterNode *list = node->args[1];
	StringInfoData path;

	if (x.class == VCX_ARRAY)
		return vc_filter_contains(c, x, list, VCF_FN_ARRAY_CONTAINS_ANY);
	if (x.class != VCX_JSON)
		return vc_filter_in(c, x, list, false);
	if (list->nargs > MAX_PATH_TERMS)
		return psprintf("EXISTS (SELECT 1 FROM %s WHERE e.v OPERATOR(pg_catalog.=) ANY (%s))", path_elements(c, x),
						vc_filter_jsonb_array(c, list));
	if (list->nargs == 0)
		return pstrdup("FALSE");
	initStringInfo(&path);
	path_append(&path, x.path);
	for (int i = 0; i < list->nargs; i++)
	{
		appendStringInfoString(&path, i ? " || @ == " : " ? (@ == ");
		path_append_value(c, &path, list->args[i]);
	}
	appendStringInfoChar(&path, ')');
	return path_exists(c, x, &path);
}

static char *
match_except(VcFilterContext *c, const VcFilterNode *node)
{
	VcOperand x = vc_filter_field(c, node->args[0]);
	Oid element;

	if (x.class == VCX_JSON)
		return psprintf("EXISTS (SELECT 1 FROM %s WHERE e.v OPERATOR(pg_catalog.<>) ALL (%s))", path_elements(c, x),
						vc_filter_jsonb_array(c, node->args[1]));
	if (x.class != VCX_ARRAY)
		return vc_filter_in(c, x, node->args[1], true);
	element = get_element_type(x.typid);
	if (vc_filter_class(element) == VCX_STRING)
		element = TEXTOID;
	return psprintf("EXISTS (SELECT 1 FROM pg_catalog.unnest(%s) AS e(v) WHERE e.v OPERATOR(pg_catalog.<>) ALL (%s))",
					x.sql, vc_filter_value_array(c, node->args[1], element, get_array_type(element), NULL));
}

static char *
match_text(VcFilterContext *c, const VcFilterNode *node)
{
	VcOperand x = vc_filter_field(c, node->args[0]);
	VcOperand element = {.class = VCX_JSON, .typid = JSONBOID, .sql = "e.v"};

	if (x.class == VCX_STRING)
		return vc_filter_text(c, x.sql, node->args[1], node->op, 0, 0);
	if (x.class == VCX_JSON)
		return psprintf("EXISTS (SELECT 1 FROM %s WHERE %s)", path_elements(c, x),
						vc_filter_text(c, vc_filter_as_text(c, element), node->args[1], node->op, 0, 0));
	if (x.class == VCX_ARRAY && vc_filter_class(get_element_type(x.typid)) == VCX_STRING)
		return psprintf("EXISTS (SELECT 1 FROM pg_catalog.unnest(%s) AS e(v) WHERE %s)", x.sql,
						vc_filter_text(c, "e.v", node->args[1], node->op, 0, 0));
	vc_filter_error(c, node->args[0], "It has no text.", "match text needs a string field");
}

/* All bounds on one value, given as an operand. */
static char *
range_of(VcFilterContext *c, const VcFilterNode *node, VcOperand x)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "(TRUE");
	for (int i = 1; i < node->nargs; i++)
		appendStringInfo(
			&sql, " AND %s",
			vc_filter_compare(c, node, node->args[i]->op, x, vc_filter_literal_operand(node->args[i]->args[0])));
	appendStringInfoChar(&sql, ')');
	return sql.data;
}

static char *
match_range(VcFilterContext *c, const VcFilterNode *node)
{
	VcOperand x = vc_filter_field(c, node->args[0]);
	StringInfoData path;

	if (x.class == VCX_ARRAY)
	{
		Oid element = get_element_type(x.typid);
		VcOperand one = {.class = vc_filter_class(element), .typid = element, .sql = "e.v"};

		return psprintf("EXISTS (SELECT 1 FROM pg_catalog.unnest(%s) AS e(v) WHERE %s)", x.sql, range_of(c, node, one));
	}
	if (x.class != VCX_JSON)
		return range_of(c, node, x);
	initStringInfo(&path);
	path_append(&path, x.path);
	for (int i = 1; i < node->nargs; i++)
	{
		appendStringInfo(&path, "%s@ %s ", i > 1 ? " && " : " ? (", jsonpath_symbols[node->args[i]->op]);
		path_append_value(c, &path, node->args[i]->args[0]);
	}
	if (node->nargs > 1)
		appendStringInfoChar(&path, ')');
	return path_exists(c, x, &path);
}

/* How many values a field has: none where it is missing or null, the elements of an array, else one. */
static char *
values_of(VcFilterContext *c, VcOperand x)
{
	if (x.class == VCX_ARRAY)
		return psprintf("COALESCE(pg_catalog.cardinality(%s), 0)", x.sql);
	if (x.class != VCX_JSON)
		return psprintf("(CASE WHEN %s IS NULL THEN 0 ELSE 1 END)", x.sql);
	return psprintf(
		"(CASE WHEN COALESCE(pg_catalog.jsonb_typeof(%s), 'null') OPERATOR(pg_catalog.=) 'null' THEN 0 "
		"WHEN pg_catalog.jsonb_typeof(%s) OPERATOR(pg_catalog.=) 'array' THEN pg_catalog.jsonb_array_length(%s) "
		"ELSE 1 END)",
		x.sql, x.sql, x.sql);
}

static char *
match_has_id(VcFilterContext *c, const VcFilterNode *node)
{
	VcFilterNode *field = palloc0(sizeof(VcFilterNode));

	if (c->element || c->coll->primary < 0)
		vc_filter_error(c, node, "Ids belong to points of a collection that has a primary key.",
						"has_id cannot stand here");
	field->kind = VCF_FIELD;
	field->pos = node->pos;
	field->text = NameStr(c->coll->fields[c->coll->primary].name);
	return vc_filter_in(c, vc_filter_field(c, field), node->args[0], false);
}

static char *
match_has_vector(VcFilterContext *c, const VcFilterNode *node)
{
	const VcField *field = vc_collection_field(c->coll, node->args[0]->text);
	StringInfoData sql;

	if (c->element || field == NULL || !VC_DTYPE_IS_VECTOR(field->dtype))
		ereport(ERROR,
				(vc_errcode(VC_E_FIELD_NOT_FOUND), errmsg("vector field \"%s\" does not exist", node->args[0]->text),
				 errdetail("has_vector asks for a vector field of the collection."),
				 errhint("vectorcoll.describe_collection lists the fields.")));
	initStringInfo(&sql);
	appendStringInfoString(&sql, "(t.");
	vc_append_name(&sql, NameStr(field->name));
	appendStringInfoString(&sql, " IS NOT NULL)");
	return sql.data;
}

/* One element of an array of objects meets the whole condition. */
static char *
match_nested(VcFilterContext *c, const VcFilterNode *node)
{
	VcOperand x = vc_filter_field(c, node->args[0]);
	const char *outer = c->element;
	StringInfoData path;
	char *name = psprintf("n%d", ++c->nested);
	char *from;
	char *condition;

	if (x.class != VCX_JSON)
		vc_filter_error(c, node->args[0], "Only json holds objects.", "nested needs a json field");
	initStringInfo(&path);
	path_append(&path, x.path);
	appendStringInfoString(&path, "[*]");
	from = psprintf("pg_catalog.jsonb_path_query(%s, %s, '{}', TRUE) AS %s(v)", x.base, path_param(c, &path), name);
	c->element = psprintf("%s.v", name);
	condition = vc_filter_condition(c, node->args[1]);
	c->element = outer;
	return psprintf("EXISTS (SELECT 1 FROM %s WHERE %s)", from, condition);
}

static char *
match_at_least(VcFilterContext *c, const VcFilterNode *node)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "((0");
	for (int i = 0; i < node->nargs; i++)
		appendStringInfo(&sql, " OPERATOR(pg_catalog.+) (CASE WHEN %s THEN 1 ELSE 0 END)",
						 vc_filter_condition(c, node->args[i]));
	appendStringInfo(&sql, ") OPERATOR(pg_catalog.>=) %d)", (int)Min(node->i, PG_INT32_MAX));
	return sql.data;
}

char *
vc_filter_match(VcFilterContext *c, const VcFilterNode *node)
{
	VcOperand count = {.class = VCX_NUMBER, .typid = INT4OID};

	switch (node->kind)
	{
	case VCF_MATCH:
		return match_value(c, node);
	case VCF_MATCH_ANY:
		return match_any(c, node);
	case VCF_MATCH_EXCEPT:
		return match_except(c, node);
	case VCF_MATCH_TEXT:
		return match_text(c, node);
	case VCF_RANGE:
		return match_range(c, node);
	case VCF_VALUES_COUNT:
		count.sql = values_of(c, vc_filter_field(c, node->args[0]));
		return range_of(c, node, count);
	case VCF_IS_EMPTY:
		return psprintf("(%s OPERATOR(pg_catalog.%s) 0)", values_of(c, vc_filter_field(c, node->args[0])),
						node->negated ? ">" : "=");
	case VCF_HAS_ID:
		return match_has_id(c, node);
	case VCF_HAS_VECTOR:
		return match_has_vector(c, node);
	case VCF_NESTED:
		return match_nested(c, node);
	case VCF_AT_LEAST:
		return match_at_least(c, node);
	default:
		elog(ERROR, "unexpected filter node %d", (int)node->kind);
	}
}
