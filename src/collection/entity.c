/*
 * entity.c
 *		A row's columns to the jsonb entity that reads return. See entity.h.
 *
 * Keys of the dynamic field lie beside the declared fields, which win where a key is both. The object is made here, not
 * by jsonb_build_object in the statement, because that looks up types and output functions for every value of every
 *row.
 */
#include "entity.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "fmgr.h"
#include "types/sparsevec.h"
#include "types/vector.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

/* ---- which columns ---- */

/* Types this file turns into json itself; others go through to_jsonb. */
static bool
is_native(const VcField *field)
{
	if (field->dtype != VC_DT_NONE)
		return true;
	switch (field->typid)
	{
	case BOOLOID:
	case INT2OID:
	case INT4OID:
	case INT8OID:
	case FLOAT4OID:
	case FLOAT8OID:
	case NUMERICOID:
	case TEXTOID:
	case VARCHAROID:
	case JSONBOID:
	case TIMESTAMPTZOID:
	case UUIDOID:
		return true;
	default:
		return false;
	}
}

static void
add_field(VcEntity *entity, const VcField *field)
{
	for (int i = 0; i < entity->nfields; i++)
		if (entity->fields[i] == field)
			return;
	entity->as_json[entity->nfields] = !is_native(field);
	entity->fields[entity->nfields++] = field;
}

static void
add_name(VcEntity *entity, char *name)
{
	const VcField *field = vc_collection_field(entity->coll, name);

	if (strcmp(name, "*") == 0)
	{
		for (int i = 0; i < entity->coll->nfields; i++)
			add_field(entity, &entity->coll->fields[i]);
		entity->meta = entity->all_keys = entity->coll->enable_dynamic;
		return;
	}
	if (field)
	{
		add_field(entity, field);
		return;
	}
	if (!entity->coll->enable_dynamic)
		ereport(ERROR, (vc_errcode(VC_E_FIELD_NOT_FOUND), errmsg("field \"%s\" does not exist", name),
						errdetail("Collection \"%s.%s\" declares no such field and has no dynamic field.",
								  NameStr(entity->coll->nspname), NameStr(entity->coll->relname)),
						errhint("vectorcoll.describe_collection lists the fields.")));
	entity->meta = true;
	if (strcmp(name, "$meta") == 0)
		entity->all_keys = true;
	else
		entity->keys[entity->nkeys++] = name;
}

VcEntity *
vc_entity_plan(const VcCollection *coll, ArrayType *output_fields)
{
	VcEntity *entity = palloc0(sizeof(VcEntity));
	Datum *names = NULL;
	bool *nulls = NULL;
	int n = 0;

	entity->coll = coll;
	entity->fields = palloc(sizeof(VcField *) * (coll->nfields + 1));
	entity->as_json = palloc(sizeof(bool) * (coll->nfields + 1));
	if (output_fields == NULL)
	{
		for (int i = 0; i < coll->nfields; i++)
			if (!VC_DTYPE_IS_VECTOR(coll->fields[i].dtype))
				add_field(entity, &coll->fields[i]);
		entity->meta = entity->all_keys = coll->enable_dynamic;
		return entity;
	}
	deconstruct_array(output_fields, TEXTOID, -1, false, TYPALIGN_INT, &names, &nulls, &n);
	entity->keys = palloc(sizeof(char *) * (n + 1));
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER), errmsg("output_fields contains a null"),
							errdetail("Element %d is null.", i + 1), errhint("Name fields, or pass '{*}' for all.")));
		add_name(entity, TextDatumGetCString(names[i]));
	}
	return entity;
}

void
vc_entity_append_columns(VcEntity *entity, StringInfo sql)
{
	for (int i = 0; i < entity->nfields; i++)
	{
		appendStringInfoString(sql, entity->as_json[i] ? ", pg_catalog.to_jsonb(t." : ", t.");
		vc_append_name(sql, NameStr(entity->fields[i]->name));
		if (entity->as_json[i])
			appendStringInfoChar(sql, ')');
	}
	if (entity->meta)
		appendStringInfoString(sql, ", t.\"$meta\"");
}

/* ---- values ---- */

static void
push_string(JsonbParseState **state, JsonbIteratorToken token, char *string, int length)
{
	JsonbValue value = {.type = jbvString};

	value.val.string.val = string;
	value.val.string.len = length;
	pushJsonbValue(state, token, &value);
}

/* A number by its text; what JSON has no number for (NaN, infinity) becomes a string. */
static void
push_number_text(JsonbParseState **state, JsonbIteratorToken token, char *text)
{
	JsonbValue value = {.type = jbvNumeric};

	if (strpbrk(text, "nN"))
	{
		push_string(state, token, text, strlen(text));
		return;
	}
	value.val.numeric = DatumGetNumeric(
		DirectFunctionCall3(numeric_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
	pushJsonbValue(state, token, &value);
}

static void
push_float(JsonbParseState **state, JsonbIteratorToken token, float f)
{
	char text[FLOAT_SHORTEST_DECIMAL_LEN];
	JsonbValue value = {.type = jbvNumeric};

	if (f == truncf(f) && fabsf(f) < 1e9f)
	{
		value.val.numeric = int64_to_numeric((int64)f);
		pushJsonbValue(state, token, &value);
		return;
	}
	float_to_shortest_decimal_buf(f, text);
	push_number_text(state, token, pstrdup(text));
}

static void
push_integer(JsonbParseState **state, JsonbIteratorToken token, int64 i)
{
	JsonbValue value = {.type = jbvNumeric};

	value.val.numeric = int64_to_numeric(i);
	pushJsonbValue(state, token, &value);
}

static void
push_array(JsonbParseState **state, Oid typid, Datum datum)
{
	Oid element = get_element_type(typid);
	int16 typlen;
	bool typbyval;
	char typalign;
	Datum *values;
	bool *nulls;
	int n;

	get_typlenbyvalalign(element, &typlen, &typbyval, &typalign);
	deconstruct_array(DatumGetArrayTypeP(datum), element, typlen, typbyval, typalign, &values, &nulls, &n);
	pushJsonbValue(state, WJB_BEGIN_ARRAY, NULL);
	for (int i = 0; i < n; i++)
		vc_entity_push(state, WJB_ELEM, element, values[i], nulls[i]);
	pushJsonbValue(state, WJB_END_ARRAY, NULL);
}

/* A dense vector's numbers, from its text form; "[1,2.5]" is split at the commas. */
static void
push_vector_text(JsonbParseState **state, char *text)
{
	pushJsonbValue(state, WJB_BEGIN_ARRAY, NULL);
	for (char *number = strtok(text, "[,]"); number; number = strtok(NULL, "[,]"))
		push_number_text(state, WJB_ELEM, number);
	pushJsonbValue(state, WJB_END_ARRAY, NULL);
}

static void
push_sparse(JsonbParseState **state, const VcSparsevec *vector)
{
	const float *values = VC_SPARSEVEC_VALUES(vector);

	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < vector->nnz; i++)
	{
		char *key = psprintf("%d", vector->indices[i]);

		push_string(state, WJB_KEY, key, strlen(key));
		push_float(state, WJB_VALUE, values[i]);
	}
	pushJsonbValue(state, WJB_END_OBJECT, NULL);
}

static char *
output_text(Oid typid, Datum value)
{
	Oid output;
	bool varlena;

	getTypeOutputInfo(typid, &output, &varlena);
	return OidOutputFunctionCall(output, value);
}

/* Vector types by name: their oids differ from database to database. */
static bool
push_extension_type(JsonbParseState **state, Oid typid, Datum value)
{
	char *name = format_type_be(typid);
	size_t length = strlen(name);

	if (length >= 9 && strcmp(name + length - 9, "sparsevec") == 0)
		push_sparse(state, DatumGetVcSparsevec(value));
	else if (length >= 7 && strcmp(name + length - 7, "halfvec") == 0)
		push_vector_text(state, output_text(typid, value));
	else if (length >= 6 && strcmp(name + length - 6, "vector") == 0)
	{
		VcVector *vector = DatumGetVcVector(value);

		pushJsonbValue(state, WJB_BEGIN_ARRAY, NULL);
		for (int i = 0; i < vector->dim; i++)
			push_float(state, WJB_ELEM, vector->x[i]);
		pushJsonbValue(state, WJB_END_ARRAY, NULL);
	}
	else
		return false;
	return true;
}

void
vc_entity_push(JsonbParseState **state, JsonbIteratorToken token, Oid typid, Datum datum, bool isnull)
{
	JsonbValue value;
	char *string;

	if (isnull)
	{
		value.type = jbvNull;
		pushJsonbValue(state, token, &value);
		return;
	}
	switch (typid)
	{
	case BOOLOID:
		value.type = jbvBool;
		value.val.boolean = DatumGetBool(datum);
		pushJsonbValue(state, token, &value);
		return;
	case INT2OID:
		push_integer(state, token, DatumGetInt16(datum));
		return;
	case INT4OID:
		push_integer(state, token, DatumGetInt32(datum));
		return;
	case INT8OID:
		push_integer(state, token, DatumGetInt64(datum));
		return;
	case FLOAT4OID:
		if (isnan(DatumGetFloat4(datum)) || isinf(DatumGetFloat4(datum)))
			push_number_text(state, token, output_text(typid, datum));
		else
			push_float(state, token, DatumGetFloat4(datum));
		return;
	case FLOAT8OID:
	case NUMERICOID:
		push_number_text(state, token, output_text(typid, datum));
		return;
	case TEXTOID:
	case VARCHAROID:
		push_string(state, token, VARDATA_ANY(PG_DETOAST_DATUM_PACKED(datum)),
					VARSIZE_ANY_EXHDR(PG_DETOAST_DATUM_PACKED(datum)));
		return;
	case JSONBOID:
	{
		Jsonb *jsonb = DatumGetJsonbP(datum);

		if (JB_ROOT_IS_SCALAR(jsonb))
			JsonbExtractScalar(&jsonb->root, &value);
		else
		{
			value.type = jbvBinary;
			value.val.binary.data = &jsonb->root;
			value.val.binary.len = VARSIZE(jsonb) - VARHDRSZ;
		}
		pushJsonbValue(state, token, &value);
		return;
	}
	case TIMESTAMPTZOID:
		string = JsonEncodeDateTime(NULL, datum, TIMESTAMPTZOID, NULL);
		push_string(state, token, string, strlen(string));
		return;
	default:
		break;
	}
	if (OidIsValid(get_element_type(typid)))
		push_array(state, typid, datum);
	else if (!push_extension_type(state, typid, datum))
	{
		string = output_text(typid, datum);
		push_string(state, token, string, strlen(string));
	}
}

text *
vc_entity_id(Oid typid, Datum value)
{
	char digits[MAXINT8LEN + 1];

	switch (typid)
	{
	case INT8OID:
		return cstring_to_text_with_len(digits, pg_lltoa(DatumGetInt64(value), digits));
	case TEXTOID:
	case VARCHAROID:
		return DatumGetTextPP(value);
	default:
		return cstring_to_text(output_text(typid, value));
	}
}

/* ---- the object ---- */

/* The keys of a dynamic field that are asked for. */
static void
push_meta(VcEntity *entity, JsonbParseState **state, Jsonb *meta)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue value;

	if (!JB_ROOT_IS_OBJECT(meta))
		return;
	if (!entity->all_keys)
	{
		for (int i = 0; i < entity->nkeys; i++)
		{
			JsonbValue *found =
				getKeyJsonValueFromContainer(&meta->root, entity->keys[i], strlen(entity->keys[i]), NULL);

			if (found == NULL)
				continue;
			push_string(state, WJB_KEY, entity->keys[i], strlen(entity->keys[i]));
			pushJsonbValue(state, WJB_VALUE, found);
		}
		return;
	}
	it = JsonbIteratorInit(&meta->root);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
		if (token == WJB_KEY || token == WJB_VALUE)
			pushJsonbValue(state, token, &value);
}

Jsonb *
vc_entity_build(VcEntity *entity, TupleTableSlot *slot, int first)
{
	JsonbParseState *state = NULL;
	int meta = first + entity->nfields;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	/* Of two values of one key the later counts, so declared fields come last. */
	if (entity->meta && !slot->tts_isnull[meta])
		push_meta(entity, &state, DatumGetJsonbP(slot->tts_values[meta]));
	for (int i = 0; i < entity->nfields; i++)
	{
		const VcField *field = entity->fields[i];

		push_string(&state, WJB_KEY, (char *)NameStr(field->name), strlen(NameStr(field->name)));
		vc_entity_push(&state, WJB_VALUE, entity->as_json[i] ? JSONBOID : field->typid, slot->tts_values[first + i],
					   slot->tts_isnull[first + i]);
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}
