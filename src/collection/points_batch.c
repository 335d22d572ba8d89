/*
 * points_batch.c
 *		Rows given as JSON, checked and gathered for a statement that writes many at once. See points.h.
 *
 * Every value is checked before the first row is written, so that the message can name the row and the field.
 */
#include "points.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "value.h"

static const char meta_name[] = "$meta";

const VcField *
vc_points_primary(const VcCollection *coll)
{
	if (coll->primary < 0)
		ereport(ERROR,
				(vc_errcode(VC_E_INVALID_PARAMETER),
				 errmsg("collection \"%s\" has no primary key", NameStr(coll->relname)),
				 errdetail("Points are identified by the primary key."), errhint("Add a primary key to the table.")));
	return &coll->fields[coll->primary];
}

Datum
vc_points_ids(const VcCollection *coll, ArrayType *ids, Oid *arraytype, int *count)
{
	const VcField *primary = vc_points_primary(coll);
	Oid typid = primary->typid == VARCHAROID ? TEXTOID : primary->typid;
	Datum *values;
	bool *nulls;
	int16 typlen;
	bool typbyval;
	char typalign;

	deconstruct_array(ids, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, count);
	for (int i = 0; i < *count; i++)
	{
		if (nulls[i])
			ereport(ERROR, (vc_errcode(VC_E_MISSING_PARAMETER), errmsg("id %d is null", i + 1),
							errdetail("Ids are never null."), errhint("Leave it out of the array.")));
		if (typid != TEXTOID)
			values[i] = vc_value_id(primary, TextDatumGetCString(values[i]));
	}
	*arraytype = get_array_type(typid);
	get_typlenbyvalalign(typid, &typlen, &typbyval, &typalign);
	return PointerGetDatum(construct_array(values, *count, typid, typlen, typbyval, typalign));
}

/* ---- type ids: an array of text under another name, for its casts ---- */

PG_FUNCTION_INFO_V1(vc_ids_in);
Datum
vc_ids_in(PG_FUNCTION_ARGS)
{
	/* array_in keeps what it looks up in the caller's FmgrInfo, so it cannot be called directly. */
	return OidInputFunctionCall(F_ARRAY_IN, PG_GETARG_CSTRING(0), TEXTOID, -1);
}

PG_FUNCTION_INFO_V1(vc_ids_recv);
Datum
vc_ids_recv(PG_FUNCTION_ARGS)
{
	return OidReceiveFunctionCall(F_ARRAY_RECV, (StringInfo)PG_GETARG_POINTER(0), TEXTOID, -1);
}

/* ---- reading ---- */

static VcBatch *
batch_create(const VcCollection *coll, int nrows)
{
	VcBatch *batch = palloc0(sizeof(VcBatch));

	batch->coll = coll;
	batch->nrows = nrows;
	batch->ncolumns = coll->nfields + 1;
	batch->columns = palloc0(sizeof(VcColumn) * batch->ncolumns);
	for (int i = 0; i < batch->ncolumns; i++)
	{
		batch->columns[i].values = palloc0(sizeof(Datum) * (nrows + 1));
		batch->columns[i].nulls = palloc0(sizeof(bool) * (nrows + 1));
		batch->columns[i].present = palloc0(sizeof(bool) * (nrows + 1));
	}
	batch->order = palloc(sizeof(int) * (nrows + 1));
	for (int i = 0; i < nrows; i++)
		batch->order[i] = i;
	return batch;
}

static int
column_of_key(const VcCollection *coll, const JsonbValue *key)
{
	for (int i = 0; i < coll->nfields; i++)
	{
		const char *name = NameStr(coll->fields[i].name);

		if (strncmp(name, key->val.string.val, key->val.string.len) == 0 && name[key->val.string.len] == '\0')
			return i;
	}
	return -1;
}

static void
read_field(VcBatch *batch, int column, int row, JsonbValue *value)
{
	const VcField *field = &batch->coll->fields[column];
	VcColumn *to = &batch->columns[column];

	if (value->type == jbvNull)
	{
		/* A default stands in for null, as it does in Milvus. */
		if (field->has_default && !field->nullable)
			return;
		if (!field->nullable)
			vc_value_error(field, row + 1, "Pass a value, or declare the field nullable.",
						   "null in a field that is not nullable");
		to->nulls[row] = true;
	}
	else
		to->values[row] = vc_value_from_json(field, value, row + 1);
	to->present[row] = true;
}

static void
unknown_field(const VcCollection *coll, const JsonbValue *key, int row)
{
	ereport(ERROR, (vc_errcode(VC_E_FIELD_NOT_FOUND),
					errmsg("field \"%.*s\" does not exist", Min(key->val.string.len, 63), key->val.string.val),
					errdetail("Row %d has it; collection \"%s.%s\" declares no such field and has no dynamic field.",
							  row + 1, NameStr(coll->nspname), NameStr(coll->relname)),
					errhint("Leave the key out, or add it with vectorcoll.add_collection_field.")));
}

/* Keys given under "$meta" lie beside those given at the top. */
static void
push_meta_object(JsonbParseState **state, JsonbValue *value, int row)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue item;

	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER),
						errmsg("invalid value for field \"%s\": expected an object", meta_name),
						errdetail("It is in row %d.", row + 1),
						errhint("Write keys of the dynamic field beside the declared fields.")));
	it = JsonbIteratorInit(value->val.binary.data);
	while ((token = JsonbIteratorNext(&it, &item, true)) != WJB_DONE)
		if (token == WJB_KEY || token == WJB_VALUE)
			pushJsonbValue(state, token, &item);
}

static void
read_row(VcBatch *batch, int row, JsonbContainer *object)
{
	const VcCollection *coll = batch->coll;
	VcColumn *meta = &batch->columns[coll->nfields];
	JsonbParseState *state = NULL;
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbIteratorToken token;
	JsonbValue item;
	JsonbValue key;
	bool dynamic = false;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	while ((token = JsonbIteratorNext(&it, &item, true)) != WJB_DONE)
	{
		int column;

		if (token == WJB_KEY)
			key = item;
		if (token != WJB_VALUE)
			continue;
		if ((column = column_of_key(coll, &key)) >= 0)
		{
			read_field(batch, column, row, &item);
			continue;
		}
		if (!coll->enable_dynamic)
			unknown_field(coll, &key, row);
		dynamic = true;
		if (key.val.string.len == sizeof(meta_name) - 1 &&
			memcmp(key.val.string.val, meta_name, sizeof(meta_name) - 1) == 0)
		{
			push_meta_object(&state, &item, row);
			continue;
		}
		pushJsonbValue(&state, WJB_KEY, &key);
		pushJsonbValue(&state, WJB_VALUE, &item);
	}
	if (dynamic)
	{
		meta->values[row] = JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL)));
		meta->present[row] = true;
	}
}

void
vc_batch_check_complete(VcBatch *batch, int row)
{
	StringInfoData missing;
	const VcField *field;

	initStringInfo(&missing);
	for (int i = 0; i < batch->coll->nfields; i++)
	{
		field = &batch->coll->fields[i];
		if (!batch->columns[i].present[row] && !field->nullable && !field->has_default && !field->auto_id)
			appendStringInfo(&missing, "%s\"%s\"", missing.len ? ", " : "", NameStr(field->name));
	}
	if (missing.len > 0)
		ereport(ERROR, (vc_errcode(VC_E_MISSING_PARAMETER), errmsg("row %d has no value for %s", row + 1, missing.data),
						errdetail("The fields are not nullable and have no default."),
						errhint("Give every such field a value.")));
}

VcBatch *
vc_batch_read(const VcCollection *coll, Jsonb *data, bool partial)
{
	VcBatch *batch;
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue item;
	int row = 0;

	if (JB_ROOT_IS_OBJECT(data))
	{
		batch = batch_create(coll, 1);
		read_row(batch, 0, &data->root);
		if (!partial)
			vc_batch_check_complete(batch, 0);
		return batch;
	}
	if (!JB_ROOT_IS_ARRAY(data) || JB_ROOT_IS_SCALAR(data))
		ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER), errmsg("data is neither an object nor an array of objects"),
						errdetail("It is a single value."), errhint("Write {\"id\": 1, ...} or [{...}, {...}].")));
	batch = batch_create(coll, JB_ROOT_COUNT(data));
	it = JsonbIteratorInit(&data->root);
	while ((token = JsonbIteratorNext(&it, &item, true)) != WJB_DONE)
	{
		if (token != WJB_ELEM)
			continue;
		CHECK_FOR_INTERRUPTS();
		if (item.type != jbvBinary || !JsonContainerIsObject(item.val.binary.data))
			ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER), errmsg("row %d is not an object", row + 1),
							errdetail("Each element of data is one row."),
							errhint("Write [{\"id\": 1, ...}, {\"id\": 2, ...}].")));
		read_row(batch, row, item.val.binary.data);
		if (!partial)
			vc_batch_check_complete(batch, row);
		row++;
	}
	return batch;
}

/* ---- order ---- */

/* Two rows by what columns they give; the same shape compares equal. */
static int
compare_shapes(VcBatch *batch, int a, int b)
{
	for (int i = 0; i < batch->ncolumns; i++)
		if (batch->columns[i].present[a] != batch->columns[i].present[b])
			return batch->columns[i].present[a] ? -1 : 1;
	return 0;
}

static int
compare_rows_by_shape(const void *a, const void *b, void *arg)
{
	int left = *(const int *)a;
	int right = *(const int *)b;
	int shape = compare_shapes(arg, left, right);

	return shape != 0 ? shape : left - right;
}

void
vc_batch_group(VcBatch *batch)
{
	qsort_arg(batch->order, batch->nrows, sizeof(int), compare_rows_by_shape, batch);
}

int
vc_batch_run(VcBatch *batch, int first)
{
	int n = 1;

	while (first + n < batch->nrows && compare_shapes(batch, batch->order[first], batch->order[first + n]) == 0)
		n++;
	return n;
}

/* Keys compare as bytes: equal keys have equal bytes in every type a key may have. */
static int
compare_keys(VcBatch *batch, int a, int b)
{
	const VcField *primary = vc_points_primary(batch->coll);
	VcColumn *key = &batch->columns[batch->coll->primary];
	struct varlena *left;
	struct varlena *right;
	int order;

	if (!key->present[a] || !key->present[b])
		return (int)key->present[b] - (int)key->present[a];
	if (get_typbyval(primary->typid))
		return key->values[a] < key->values[b] ? -1 : key->values[a] > key->values[b];
	if (get_typlen(primary->typid) > 0)
		return memcmp(DatumGetPointer(key->values[a]), DatumGetPointer(key->values[b]), get_typlen(primary->typid));
	left = (struct varlena *)DatumGetPointer(key->values[a]);
	right = (struct varlena *)DatumGetPointer(key->values[b]);
	order = memcmp(VARDATA_ANY(left), VARDATA_ANY(right), Min(VARSIZE_ANY_EXHDR(left), VARSIZE_ANY_EXHDR(right)));
	return order != 0 ? order : (int)VARSIZE_ANY_EXHDR(left) - (int)VARSIZE_ANY_EXHDR(right);
}

static int
compare_rows_by_key(const void *a, const void *b, void *arg)
{
	int left = *(const int *)a;
	int right = *(const int *)b;
	int key = compare_keys(arg, left, right);

	return key != 0 ? key : left - right;
}

static void
merge_row(VcBatch *batch, int from, int to)
{
	for (int i = 0; i < batch->ncolumns; i++)
	{
		VcColumn *column = &batch->columns[i];

		if (!column->present[from])
			continue;
		if (i == batch->coll->nfields && column->present[to])
			column->values[to] = DirectFunctionCall2(jsonb_concat, column->values[to], column->values[from]);
		else
			column->values[to] = column->values[from];
		column->nulls[to] = column->nulls[from];
		column->present[to] = true;
	}
}

void
vc_batch_merge_duplicates(VcBatch *batch, bool partial)
{
	int n = 0;

	qsort_arg(batch->order, batch->nrows, sizeof(int), compare_rows_by_key, batch);
	for (int i = 0; i < batch->nrows; i++)
	{
		int row = batch->order[i];

		/* Rows without a key are new rows, each its own. */
		if (n == 0 || !batch->columns[batch->coll->primary].present[row] ||
			compare_keys(batch, batch->order[n - 1], row) != 0)
			batch->order[n++] = row;
		else if (partial)
			merge_row(batch, row, batch->order[n - 1]);
		else
			batch->order[n - 1] = row;
	}
	batch->nrows = n;
}

ArrayType *
vc_cast_array(ArrayType *array, Oid typid)
{
	Oid from = ARR_ELEMTYPE(array);
	int16 typlen;
	bool typbyval;
	char typalign;
	Datum *values;
	bool *nulls;
	int dims[1];
	int lbs[1] = {1};
	Oid func;

	get_typlenbyvalalign(from, &typlen, &typbyval, &typalign);
	deconstruct_array(array, from, typlen, typbyval, typalign, &values, &nulls, &dims[0]);
	if (find_coercion_pathway(typid, from, COERCION_ASSIGNMENT, &func) != COERCION_PATH_FUNC)
		elog(ERROR, "no cast from %s to %s", format_type_be(from), format_type_be(typid));
	for (int i = 0; i < dims[0]; i++)
		if (!nulls[i])
			values[i] = OidFunctionCall3(func, values[i], Int32GetDatum(-1), BoolGetDatum(false));
	get_typlenbyvalalign(typid, &typlen, &typbyval, &typalign);
	return construct_md_array(values, nulls, dims[0] > 0 ? 1 : 0, dims, lbs, typid, typlen, typbyval, typalign);
}

/* ---- into a statement ---- */

void
vc_batch_append_column(VcBatch *batch, int column, StringInfo sql)
{
	vc_append_name(sql, column < batch->coll->nfields ? NameStr(batch->coll->fields[column].name) : meta_name);
}

void
vc_batch_append_unnest(VcBatch *batch, int column, int first, int n, VcStatement *st)
{
	VcColumn *from = &batch->columns[column];
	Oid typid = column < batch->coll->nfields ? batch->coll->fields[column].typid : JSONBOID;
	Oid element = get_element_type(typid);
	Oid stored = OidIsValid(element) ? TEXTOID : typid;
	Datum *values = palloc(sizeof(Datum) * n);
	bool *nulls = palloc(sizeof(bool) * n);
	int dims[1] = {n};
	int lbs[1] = {1};
	int16 typlen;
	bool typbyval;
	char typalign;
	ArrayType *array;

	get_typlenbyvalalign(stored, &typlen, &typbyval, &typalign);
	for (int i = 0; i < n; i++)
	{
		int row = batch->order[first + i];

		nulls[i] = from->nulls[row];
		values[i] = from->values[row];
		if (OidIsValid(element) && !nulls[i])
		{
			Oid output;
			bool varlena;

			getTypeOutputInfo(typid, &output, &varlena);
			values[i] = CStringGetTextDatum(OidOutputFunctionCall(output, values[i]));
		}
	}
	array = construct_md_array(values, nulls, 1, dims, lbs, stored, typlen, typbyval, typalign);
	appendStringInfo(&st->sql, "pg_catalog.unnest($%d)",
					 vc_statement_param(st, get_array_type(stored), PointerGetDatum(array)));
	if (OidIsValid(element))
		appendStringInfo(&st->sql, "::%s", format_type_extended(typid, -1, FORMAT_TYPE_FORCE_QUALIFY));
}
