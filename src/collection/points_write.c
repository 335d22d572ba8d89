/*
 * points_write.c
 *		insert, upsert, delete and the payload operations. See points.h.
 *
 * Rows are written by ordinary INSERT, UPDATE and DELETE statements over arrays of values, so that defaults,
 *constraints, triggers, partitions and row level security do their part; a statement serves all rows that give the same
 *columns.
 */
#include "points.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "filter_compile.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "entity.h"
#include "search.h"
#include "types/vector.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/tuplestore.h"
#include "value.h"

/* Rows one statement writes at most: bounds the memory its arrays take. */
#define ROWS_PER_STATEMENT 20000

typedef enum WriteMode
{
	WRITE_INSERT,
	WRITE_UPSERT,
	WRITE_INSERT_ONLY,
	WRITE_UPDATE_ONLY
} WriteMode;

typedef struct Write
{
	VcBatch *batch;
	WriteMode mode;
	bool partial;
	text *partition_name;
	Datum *ids; /* of rows written, by row; NULL: not wanted */
} Write;

/* ---- partitions and keys ---- */

/*
 * Raises VC200 unless the partition exists, which _default does unless it was dropped by hand; true when rows must say which
 * they go to.
 */
static bool
check_partition(const VcCollection *coll, text *name)
{
	Datum names[1] = {name ? PointerGetDatum(name) : CStringGetTextDatum("_default")};

	if (name == NULL && !coll->named_partitions)
		return false;
	vc_check_partitions(coll, construct_array(names, 1, TEXTOID, -1, false, TYPALIGN_INT));
	return name && coll->named_partitions;
}

/* The columns of the primary key, quoted: what ON CONFLICT names. */
static char *
primary_key_columns(const VcCollection *coll)
{
	Relation rel = table_open(coll->relid, AccessShareLock);
	Bitmapset *attrs = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_PRIMARY_KEY);
	StringInfoData columns;
	int attr = -1;

	initStringInfo(&columns);
	while ((attr = bms_next_member(attrs, attr)) >= 0)
	{
		if (columns.len > 0)
			appendStringInfoString(&columns, ", ");
		vc_append_name(&columns, get_attname(coll->relid, attr + FirstLowInvalidHeapAttributeNumber, false));
	}
	table_close(rel, NoLock);
	return columns.data;
}

/* Whether a column may be set by an update: part of the key is what rows are found by. */
static bool
is_key_column(const VcCollection *coll, int column)
{
	return column == coll->primary || (column < coll->nfields && coll->fields[column].is_partition_key);
}

static bool
has_column(VcBatch *batch, int column)
{
	return column < batch->coll->nfields || batch->coll->enable_dynamic;
}

/* ---- one statement over the rows of one shape ---- */

/* ON CONFLICT (key) DO UPDATE SET: every column in a full upsert, those given in a partial one. */
static void
append_conflict(Write *write, int row, StringInfo sql)
{
	VcBatch *batch = write->batch;
	const char *word = " DO UPDATE SET ";

	appendStringInfo(sql, " ON CONFLICT (%s)", primary_key_columns(batch->coll));
	for (int i = 0; write->mode == WRITE_UPSERT && i < batch->ncolumns; i++)
	{
		if (!has_column(batch, i) || is_key_column(batch->coll, i) ||
			(write->partial && !batch->columns[i].present[row]))
			continue;
		appendStringInfoString(sql, word);
		vc_batch_append_column(batch, i, sql);
		appendStringInfoString(sql, " = ");
		if (write->partial && i == batch->coll->nfields)
			appendStringInfoString(sql, "t.\"$meta\" OPERATOR(pg_catalog.||) ");
		appendStringInfoString(sql, "EXCLUDED.");
		vc_batch_append_column(batch, i, sql);
		word = ", ";
	}
	if (word[0] == ' ')
		appendStringInfoString(sql, " DO NOTHING");
}

static void
build_insert(Write *write, VcStatement *st, int first, int n)
{
	VcBatch *batch = write->batch;
	int row = batch->order[first];
	const char *word = "";

	appendStringInfoString(&st->sql, "INSERT INTO ");
	vc_append_table(&st->sql, batch->coll);
	appendStringInfoString(&st->sql, " AS t (");
	for (int i = 0; i < batch->ncolumns; i++)
		if (batch->columns[i].present[row])
		{
			appendStringInfoString(&st->sql, word);
			vc_batch_append_column(batch, i, &st->sql);
			word = ", ";
		}
	if (write->partition_name)
		appendStringInfo(&st->sql, "%s\"$partition\"", word);
	appendStringInfoString(&st->sql, ") SELECT ");
	word = "";
	for (int i = 0; i < batch->ncolumns; i++)
		if (batch->columns[i].present[row])
		{
			appendStringInfoString(&st->sql, word);
			vc_batch_append_unnest(batch, i, first, n, st);
			word = ", ";
		}
	if (write->partition_name)
		appendStringInfo(&st->sql, "%s$%d", word,
						 vc_statement_param(st, TEXTOID, PointerGetDatum(write->partition_name)));
	if (write->mode != WRITE_INSERT && write->mode != WRITE_UPDATE_ONLY)
		append_conflict(write, row, &st->sql);
}

/* UPDATE by key. In a full update what is not given takes its default, as it would in a new row. */
static void
build_update(Write *write, VcStatement *st, int first, int n)
{
	VcBatch *batch = write->batch;
	const VcCollection *coll = batch->coll;
	int row = batch->order[first];
	StringInfoData from;
	const char *word = " SET ";

	initStringInfo(&from);
	appendStringInfoString(&st->sql, "UPDATE ");
	vc_append_table(&st->sql, coll);
	appendStringInfoString(&st->sql, " AS t");
	for (int i = 0; i < batch->ncolumns; i++)
	{
		if (!has_column(batch, i) || is_key_column(coll, i) || (write->partial && !batch->columns[i].present[row]))
			continue;
		appendStringInfoString(&st->sql, word);
		vc_batch_append_column(batch, i, &st->sql);
		if (!batch->columns[i].present[row])
			appendStringInfoString(&st->sql, " = DEFAULT");
		else if (write->partial && i == coll->nfields)
			appendStringInfo(&st->sql, " = t.\"$meta\" OPERATOR(pg_catalog.||) u.c%d", i);
		else
			appendStringInfo(&st->sql, " = u.c%d", i);
		word = ", ";
	}
	/* Nothing but the key was given: the rows are counted as they are. */
	if (word[0] == ' ')
	{
		appendStringInfoString(&st->sql, word);
		vc_append_name(&st->sql, NameStr(coll->fields[coll->primary].name));
		appendStringInfoString(&st->sql, " = t.");
		vc_append_name(&st->sql, NameStr(coll->fields[coll->primary].name));
	}
	appendStringInfoString(&st->sql, " FROM (SELECT ");
	word = "";
	for (int i = 0; i < batch->ncolumns; i++)
		if (batch->columns[i].present[row])
		{
			appendStringInfoString(&st->sql, word);
			vc_batch_append_unnest(batch, i, first, n, st);
			appendStringInfo(&st->sql, " AS c%d", i);
			word = ", ";
		}
	appendStringInfoString(&st->sql, ") AS u WHERE t.");
	vc_append_name(&st->sql, NameStr(coll->fields[coll->primary].name));
	appendStringInfo(&st->sql, " OPERATOR(pg_catalog.=) u.c%d", coll->primary);
	if (write->partition_name)
		appendStringInfo(&st->sql, " AND t.\"$partition\" OPERATOR(pg_catalog.=) $%d",
						 vc_statement_param(st, TEXTOID, PointerGetDatum(write->partition_name)));
}

/*
 * A partition key is part of the primary key, as PostgreSQL asks; to its users the id alone is. So an upsert that gives
 * a row another partition key takes the row out of its old partition first.
 */
static void
delete_from_other_partitions(Write *write, int first, int n)
{
	VcBatch *batch = write->batch;
	const VcCollection *coll = batch->coll;
	VcStatement st;
	int part = -1;

	for (int i = 0; i < coll->nfields; i++)
		if (coll->fields[i].is_partition_key)
			part = i;
	if (part < 0 || !batch->columns[part].present[batch->order[first]] ||
		!batch->columns[coll->primary].present[batch->order[first]])
		return;
	vc_statement_init(&st);
	appendStringInfoString(&st.sql, "DELETE FROM ");
	vc_append_table(&st.sql, coll);
	appendStringInfoString(&st.sql, " AS t USING (SELECT ");
	vc_batch_append_unnest(batch, coll->primary, first, n, &st);
	appendStringInfoString(&st.sql, " AS id, ");
	vc_batch_append_unnest(batch, part, first, n, &st);
	appendStringInfoString(&st.sql, " AS part) AS u WHERE t.");
	vc_append_name(&st.sql, NameStr(coll->fields[coll->primary].name));
	appendStringInfoString(&st.sql, " OPERATOR(pg_catalog.=) u.id AND t.");
	vc_append_name(&st.sql, NameStr(coll->fields[part].name));
	appendStringInfoString(&st.sql, " OPERATOR(pg_catalog.<>) u.part");
	vc_statement_run(&st, coll, false, NULL);
}

/* A partial row that lacks a field every new row must have can only change a row that is there. */
static bool
is_complete(VcBatch *batch, int row)
{
	for (int i = 0; i < batch->coll->nfields; i++)
	{
		const VcField *field = &batch->coll->fields[i];

		if (!batch->columns[i].present[row] && !field->nullable && !field->has_default && !field->auto_id)
			return false;
	}
	return true;
}

static uint64
write_run(Write *write, int first, int n)
{
	VcBatch *batch = write->batch;
	int row = batch->order[first];
	bool update = write->mode == WRITE_UPDATE_ONLY;
	bool must_exist = write->mode == WRITE_UPSERT && write->partial && !is_complete(batch, row);
	VcStatement st;
	uint64 processed;

	if (!batch->columns[batch->coll->primary].present[row] && (update || must_exist))
		ereport(ERROR,
				(vc_errcode(VC_E_MISSING_PARAMETER),
				 errmsg("row %d has no value for \"%s\"", row + 1, NameStr(vc_points_primary(batch->coll)->name)),
				 errdetail("The primary key says which row to change."), errhint("Give every row its key.")));
	if (write->mode == WRITE_UPSERT && !write->partial)
		delete_from_other_partitions(write, first, n);
	vc_statement_init(&st);
	if (update || must_exist)
		build_update(write, &st, first, n);
	else
		build_insert(write, &st, first, n);
	if (write->ids)
	{
		appendStringInfoString(&st.sql, " RETURNING t.");
		vc_append_name(&st.sql, NameStr(vc_points_primary(batch->coll)->name));
	}
	processed = vc_statement_run(&st, batch->coll, false, NULL);
	if (must_exist && processed < n)
		ereport(ERROR,
				(vc_errcode(VC_E_MISSING_PARAMETER),
				 errmsg("%d of %d rows of a partial upsert do not exist and are not complete", (int)(n - processed), n),
				 errdetail("A new row needs every field that is not nullable and has no default."),
				 errhint("Give these fields, or use mode => 'update_only' to skip rows that do not exist.")));
	/* Rows come back in the order they went in. */
	for (int i = 0; write->ids && i < processed && i < n; i++)
	{
		bool isnull;
		Datum id = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);

		write->ids[batch->order[first + i]] = PointerGetDatum(vc_entity_id(vc_points_primary(batch->coll)->typid, id));
	}
	return processed;
}

/* An insert in full mode gives "$meta" of its own even where no row has a key for it. */
static void
complete_meta(Write *write)
{
	VcBatch *batch = write->batch;
	VcColumn *meta = &batch->columns[batch->coll->nfields];
	Datum empty = (Datum)0;

	if (!batch->coll->enable_dynamic || write->partial)
		return;
	for (int i = 0; i < batch->nrows; i++)
		if (!meta->present[i])
		{
			if (empty == (Datum)0)
				empty = DirectFunctionCall1(jsonb_in, CStringGetDatum("{}"));
			meta->values[i] = empty;
			meta->present[i] = true;
		}
}

static uint64
write_all(Write *write)
{
	VcBatch *batch = write->batch;
	uint64 processed = 0;

	complete_meta(write);
	if (write->mode != WRITE_INSERT)
		vc_batch_merge_duplicates(batch, write->partial);
	vc_batch_group(batch);
	for (int first = 0; first < batch->nrows;)
	{
		int n = Min(vc_batch_run(batch, first), ROWS_PER_STATEMENT);

		CHECK_FOR_INTERRUPTS();
		processed += write_run(write, first, n);
		first += n;
	}
	return processed;
}

/* ---- insert, upsert ---- */

static void
start_write(Write *write, FunctionCallInfo fcinfo, bool partial, int partition_arg)
{
	char *name = vc_arg_name(fcinfo, 0, "name");
	const VcCollection *coll = vc_collection_by_name(name);

	vc_arg_required(fcinfo, 1, "data");
	memset(write, 0, sizeof(*write));
	vc_points_primary(coll);
	write->partial = partial;
	write->partition_name = VC_ARG_TEXT(partition_arg);
	if (!check_partition(coll, write->partition_name))
		write->partition_name = NULL;
	write->batch = vc_batch_read(coll, PG_GETARG_JSONB_P(1), partial);
}

/* insert(name, data jsonb, partition_name) -> the number of rows */
PG_FUNCTION_INFO_V1(vc_insert);
Datum
vc_insert(PG_FUNCTION_ARGS)
{
	Write write;
	uint64 processed;

	start_write(&write, fcinfo, false, 2);
	SPI_connect();
	processed = write_all(&write);
	SPI_finish();
	PG_RETURN_INT64((int64)processed);
}

/* insert_returning(name, data jsonb, partition_name) -> the ids, in the order of data */
PG_FUNCTION_INFO_V1(vc_insert_returning);
Datum
vc_insert_returning(PG_FUNCTION_ARGS)
{
	Write write;
	VcResult result;
	int nrows;

	start_write(&write, fcinfo, false, 2);
	nrows = write.batch->nrows;
	write.ids = palloc0(sizeof(Datum) * (nrows + 1));
	vc_result_start(&result, fcinfo);
	SPI_connect();
	write_all(&write);
	for (int i = 0; i < nrows; i++)
	{
		bool nulls[1] = {false};

		/* A trigger may have kept the row out. */
		if (write.ids[i] != (Datum)0)
			vc_result_put(&result, &write.ids[i], nulls);
	}
	SPI_finish();
	return (Datum)0;
}

static WriteMode
parse_mode(const char *mode)
{
	if (strcmp(mode, "upsert") == 0)
		return WRITE_UPSERT;
	if (strcmp(mode, "insert_only") == 0)
		return WRITE_INSERT_ONLY;
	if (strcmp(mode, "update_only") == 0)
		return WRITE_UPDATE_ONLY;
	ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER), errmsg("unknown upsert mode \"%s\"", mode),
					errdetail("It says what happens to rows that exist and to rows that do not."),
					errhint("Use upsert, insert_only or update_only.")));
}

/* upsert(name, data jsonb, mode, partial_update, partition_name) -> the number of rows written */
PG_FUNCTION_INFO_V1(vc_upsert);
Datum
vc_upsert(PG_FUNCTION_ARGS)
{
	Write write;
	uint64 processed;
	char *mode_name = vc_arg_name(fcinfo, 2, "mode");
	WriteMode mode = parse_mode(mode_name);
	bool partial = !PG_ARGISNULL(3) && PG_GETARG_BOOL(3);

	if (partial && mode == WRITE_INSERT_ONLY)
		ereport(ERROR,
				(vc_errcode(VC_E_INVALID_PARAMETER), errmsg("partial_update and mode insert_only exclude each other"),
				 errdetail("insert_only leaves rows that exist as they are."), errhint("Drop one of the two.")));
	start_write(&write, fcinfo, partial, 4);
	write.mode = mode;
	SPI_connect();
	processed = write_all(&write);
	SPI_finish();
	PG_RETURN_INT64((int64)processed);
}

/* ---- typed arrays ---- */

/* The field the vectors of a typed insert go to: the only dense one, where other vectors may stay away. */
static const VcField *
bulk_vector_field(const VcCollection *coll)
{
	const VcField *found = NULL;
	bool clear = true;

	for (int i = 0; i < coll->nfields; i++)
	{
		const VcField *field = &coll->fields[i];
		bool dense = field->dtype == VC_DT_FLOAT_VECTOR || field->dtype == VC_DT_FLOAT16_VECTOR;

		if (dense && found)
			clear = false;
		else if (dense)
			found = field;
		else if (VC_DTYPE_IS_VECTOR(field->dtype) && !field->nullable)
			clear = false;
	}
	if (found == NULL || !clear)
		ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER),
						errmsg("collection \"%s\" needs other vectors than those of one dense field",
							   NameStr(coll->relname)),
						errdetail("Arrays of vectors are for its only dense field; sparse and binary ones must be nullable."),
						errhint("Pass rows as jsonb, or write the table with INSERT or COPY.")));
	return found;
}

/* Every vector is there and has the field's dimension. */
static void
check_vectors(const VcField *field, ArrayType *vectors)
{
	ArrayIterator it = array_create_iterator(vectors, 0, NULL);
	Datum value;
	bool isnull;
	int row = 0;

	while (array_iterate(it, &value, &isnull))
	{
		row++;
		if (isnull && !field->nullable)
			vc_value_error(field, row, "Pass a vector for every row.", "null in a field that is not nullable");
		if (!isnull && field->dim > 0 && DatumGetVcVector(value)->dim != field->dim)
			vc_value_error(field, row, psprintf("Pass vectors of %d dimensions.", field->dim),
						   "vector has %d dimensions, the field %d", DatumGetVcVector(value)->dim, field->dim);
	}
	array_free_iterator(it);
}

/* Whether a payload is one object of keys that are all the dynamic field's, so that it can be stored as it is. */
static bool
is_plain_payload(const VcCollection *coll, Jsonb *payload)
{
	if (!coll->enable_dynamic || !JB_ROOT_IS_OBJECT(payload) ||
		getKeyJsonValueFromContainer(&payload->root, "$meta", 5, NULL) != NULL)
		return false;
	for (int i = 0; i < coll->nfields; i++)
	{
		const char *name = NameStr(coll->fields[i].name);

		if (getKeyJsonValueFromContainer(&payload->root, name, strlen(name), NULL) != NULL)
			return false;
	}
	return true;
}

/* Whether the payloads need no more than a look: the collection has only key, vector and dynamic field. */
static bool
payloads_are_plain(const VcCollection *coll, ArrayType *payloads)
{
	ArrayIterator it;
	Datum value;
	bool isnull;
	bool plain = true;

	for (int i = 0; i < coll->nfields; i++)
		if (i != coll->primary && !VC_DTYPE_IS_VECTOR(coll->fields[i].dtype) && !coll->fields[i].nullable &&
			!coll->fields[i].has_default)
			return false;
	if (payloads == NULL)
		return true;
	it = array_create_iterator(payloads, 0, NULL);
	while (plain && array_iterate(it, &value, &isnull))
		plain = !isnull && is_plain_payload(coll, DatumGetJsonbP(value));
	array_free_iterator(it);
	return plain;
}

/* The arrays as they are, straight into the table. */
static uint64
insert_plain(const VcCollection *coll, const VcField *vector, ArrayType *ids, ArrayType *vectors, ArrayType *payloads,
			 text *partition_name)
{
	const VcField *primary = vc_points_primary(coll);
	VcStatement st;

	vc_statement_init(&st);
	appendStringInfoString(&st.sql, "INSERT INTO ");
	vc_append_table(&st.sql, coll);
	appendStringInfoString(&st.sql, " (");
	vc_append_name(&st.sql, NameStr(vector->name));
	if (ids)
	{
		appendStringInfoString(&st.sql, ", ");
		vc_append_name(&st.sql, NameStr(primary->name));
	}
	appendStringInfo(&st.sql, "%s%s) SELECT pg_catalog.unnest($%d)", payloads ? ", \"$meta\"" : "",
					 partition_name ? ", \"$partition\"" : "",
					 vc_statement_param(&st, get_array_type(ARR_ELEMTYPE(vectors)), PointerGetDatum(vectors)));
	if (ids)
		appendStringInfo(&st.sql, ", pg_catalog.unnest($%d)",
						 vc_statement_param(&st, INT8ARRAYOID, PointerGetDatum(ids)));
	if (payloads)
		appendStringInfo(&st.sql, ", pg_catalog.unnest($%d)",
						 vc_statement_param(&st, JSONBARRAYOID, PointerGetDatum(payloads)));
	if (partition_name)
		appendStringInfo(&st.sql, ", $%d", vc_statement_param(&st, TEXTOID, PointerGetDatum(partition_name)));
	return vc_statement_run(&st, coll, false, NULL);
}

/* Payloads with declared fields go through the checks rows given as jsonb go through. */
static VcBatch *
batch_from_arrays(const VcCollection *coll, const VcField *vector, ArrayType *ids, ArrayType *vectors,
				  ArrayType *payloads, int n)
{
	int vector_column = vector - coll->fields;
	JsonbParseState *state = NULL;
	VcBatch *batch;
	Datum *values[3] = {NULL, NULL, NULL};
	bool *nulls[3] = {NULL, NULL, NULL};
	int16 typlen;
	bool typbyval;
	char typalign;
	int count;

	get_typlenbyvalalign(ARR_ELEMTYPE(vectors), &typlen, &typbyval, &typalign);
	deconstruct_array(vectors, ARR_ELEMTYPE(vectors), typlen, typbyval, typalign, &values[0], &nulls[0], &count);
	if (ids)
		deconstruct_array(ids, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &values[1], &nulls[1], &count);
	if (payloads)
		deconstruct_array(payloads, JSONBOID, -1, false, TYPALIGN_INT, &values[2], &nulls[2], &count);
	pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	for (int i = 0; i < n; i++)
	{
		if (payloads && !nulls[2][i])
			vc_entity_push(&state, WJB_ELEM, JSONBOID, values[2][i], false);
		else
		{
			pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
			pushJsonbValue(&state, WJB_END_OBJECT, NULL);
		}
	}
	batch = vc_batch_read(coll, JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_ARRAY, NULL)), true);
	for (int i = 0; i < n; i++)
	{
		VcColumn *column = &batch->columns[vector_column];

		if (column->present[i] || (ids && batch->columns[coll->primary].present[i]))
			ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER),
							errmsg("payload %d gives the key or the vector a second time", i + 1),
							errdetail("They come in arrays of their own."), errhint("Leave them out of the payload.")));
		column->values[i] = values[0][i];
		column->nulls[i] = nulls[0][i];
		column->present[i] = true;
		if (ids)
		{
			batch->columns[coll->primary].values[i] = values[1][i];
			batch->columns[coll->primary].present[i] = true;
		}
		vc_batch_check_complete(batch, i);
	}
	return batch;
}

/* insert(collection, ids bigint[], vectors vector[], payload jsonb[], partition_name) -> the number of rows */
PG_FUNCTION_INFO_V1(vc_insert_arrays);
Datum
vc_insert_arrays(PG_FUNCTION_ARGS)
{
	const VcCollection *coll = vc_collection_by_name(vc_arg_name(fcinfo, 0, "collection"));
	const VcField *primary = vc_points_primary(coll);
	const VcField *vector = bulk_vector_field(coll);
	ArrayType *ids = VC_ARG_ARRAY(1);
	ArrayType *vectors;
	ArrayType *payloads = VC_ARG_ARRAY(3);
	text *partition_name = VC_ARG_TEXT(4);
	uint64 processed;
	int n;

	vc_arg_required(fcinfo, 2, "vectors");
	vectors = PG_GETARG_ARRAYTYPE_P(2);
	n = ArrayGetNItems(ARR_NDIM(vectors), ARR_DIMS(vectors));
	if ((ids && ArrayGetNItems(ARR_NDIM(ids), ARR_DIMS(ids)) != n) ||
		(payloads && ArrayGetNItems(ARR_NDIM(payloads), ARR_DIMS(payloads)) != n))
		ereport(ERROR,
				(vc_errcode(VC_E_INVALID_PARAMETER), errmsg("arrays are of unequal length"),
				 errdetail("There are %d ids, %d vectors and %d payloads.",
						   ids ? ArrayGetNItems(ARR_NDIM(ids), ARR_DIMS(ids)) : 0, n,
						   payloads ? ArrayGetNItems(ARR_NDIM(payloads), ARR_DIMS(payloads)) : 0),
				 errhint("Pass one element of each per row; payload may be null, and ids where the key is auto_id.")));
	if (ids == NULL && !primary->auto_id && !primary->has_default)
		ereport(ERROR, (vc_errcode(VC_E_MISSING_PARAMETER), errmsg("parameter \"ids\" is missing"),
						errdetail("The primary key \"%s\" is not auto_id.", NameStr(primary->name)),
						errhint("Pass an id for every row.")));
	if (ids && primary->typid != INT8OID)
		ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER),
						errmsg("ids are integers, the primary key \"%s\" is %s", NameStr(primary->name),
							   format_type_be(primary->typid)),
						errdetail("Typed arrays are for collections with an int64 key."),
						errhint("Pass rows as jsonb, or write the table with INSERT or COPY.")));
	if (ids && array_contains_nulls(ids))
		ereport(ERROR, (vc_errcode(VC_E_MISSING_PARAMETER), errmsg("an id is null"), errdetail("Ids are never null."),
						errhint("Pass an id for every row.")));
	check_vectors(vector, vectors);
	if (!check_partition(coll, partition_name))
		partition_name = NULL;
	SPI_connect();
	if (vector->typid == ARR_ELEMTYPE(vectors) && payloads_are_plain(coll, payloads))
		processed = n == 0 ? 0 : insert_plain(coll, vector, ids, vectors, payloads, partition_name);
	else
	{
		Write write = {.mode = WRITE_INSERT, .partition_name = partition_name};

		if (vector->typid != ARR_ELEMTYPE(vectors))
			vectors = vc_cast_array(vectors, vector->typid);
		write.batch = batch_from_arrays(coll, vector, ids, vectors, payloads, n);
		processed = write_all(&write);
	}
	SPI_finish();
	PG_RETURN_INT64((int64)processed);
}

/* ---- which rows ---- */

/*
 * " WHERE" the rows that ids or filter say, exactly one of which is given. A blank filter is refused: that it means
 * every row is no surprise in a search, but it would be in a delete.
 */
static void
append_target(VcStatement *st, const VcCollection *coll, ArrayType *ids, text *filter, text *partition_name,
			  Jsonb *filter_params)
{
	char *more = NULL;
	ArrayType *partitions = NULL;

	if ((ids == NULL) == (filter == NULL))
		ereport(ERROR, (vc_errcode(ids ? VC_E_INVALID_PARAMETER : VC_E_MISSING_PARAMETER),
						errmsg(ids ? "ids and filter exclude each other" : "either ids or filter must be given"),
						errdetail("They say which points are meant."), errhint("Pass exactly one of the two.")));
	if (filter && strspn(text_to_cstring(filter), " \t\r\n") == VARSIZE_ANY_EXHDR(filter))
		ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER), errmsg("filter is blank"),
						errdetail("It would mean every point of the collection."),
						errhint("Pass 'true' if that is what you want.")));
	if (partition_name)
	{
		Datum names[1] = {PointerGetDatum(partition_name)};

		partitions = construct_array(names, 1, TEXTOID, -1, false, TYPALIGN_INT);
	}
	if (ids)
	{
		Oid arraytype;
		int count;
		Datum keys = vc_points_ids(coll, ids, &arraytype, &count);
		StringInfoData sql;

		initStringInfo(&sql);
		appendStringInfoString(&sql, "t.");
		vc_append_name(&sql, NameStr(vc_points_primary(coll)->name));
		appendStringInfo(&sql, " OPERATOR(pg_catalog.=) ANY ($%d)", vc_statement_param(st, arraytype, keys));
		more = sql.data;
	}
	vc_append_where(st, coll, filter, filter_params, partitions, more);
}

static int64
run_write(VcStatement *st, const VcCollection *coll)
{
	uint64 processed;

	SPI_connect();
	processed = vc_statement_run(st, coll, false, NULL);
	SPI_finish();
	return (int64)processed;
}

/* delete(name, ids, filter, partition_name, filter_params) -> the number of rows */
PG_FUNCTION_INFO_V1(vc_delete);
Datum
vc_delete(PG_FUNCTION_ARGS)
{
	const VcCollection *coll = vc_collection_by_name(vc_arg_name(fcinfo, 0, "name"));
	VcStatement st;

	vc_statement_init(&st);
	appendStringInfoString(&st.sql, "DELETE FROM ");
	vc_append_table(&st.sql, coll);
	appendStringInfoString(&st.sql, " AS t");
	append_target(&st, coll, VC_ARG_ARRAY(1), VC_ARG_TEXT(2), VC_ARG_TEXT(3), VC_ARG_JSONB(4));
	PG_RETURN_INT64(run_write(&st, coll));
}

/* ---- payload ---- */

/* A field that is payload: neither key nor vector nor what decides on the partition. */
static bool
is_payload(const VcField *field)
{
	return !field->is_primary && !field->is_partition_key && !VC_DTYPE_IS_VECTOR(field->dtype);
}

static void
start_update(VcStatement *st, const VcCollection *coll)
{
	vc_statement_init(st);
	appendStringInfoString(&st->sql, "UPDATE ");
	vc_append_table(&st->sql, coll);
	appendStringInfoString(&st->sql, " AS t SET ");
}

/* "name = ", with a comma before all but the first. */
static void
append_assignment(VcStatement *st, const char *name, bool *first)
{
	appendStringInfoString(&st->sql, *first ? "" : ", ");
	vc_append_name(&st->sql, name);
	appendStringInfoString(&st->sql, " = ");
	*first = false;
}

/* An update that changes nothing still counts the rows it means. */
static void
end_assignments(VcStatement *st, const VcCollection *coll, bool first)
{
	const char *name = NameStr(vc_points_primary(coll)->name);

	if (!first)
		return;
	append_assignment(st, name, &first);
	appendStringInfoString(&st->sql, "t.");
	vc_append_name(&st->sql, name);
}

/* set_payload and overwrite_payload(name, payload, ids, filter, partition_name, filter_params) -> the number of rows */
static Datum
change_payload(FunctionCallInfo fcinfo, bool overwrite)
{
	const VcCollection *coll = vc_collection_by_name(vc_arg_name(fcinfo, 0, "name"));
	VcBatch *batch;
	VcStatement st;
	bool first = true;
	Jsonb *payload;

	vc_arg_required(fcinfo, 1, "payload");
	payload = PG_GETARG_JSONB_P(1);
	if (!JB_ROOT_IS_OBJECT(payload))
		ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER), errmsg("payload is not an object"),
						errdetail("It is an array or a single value."), errhint("Write {\"key\": value}.")));
	batch = vc_batch_read(coll, payload, true);
	start_update(&st, coll);
	for (int i = 0; i < coll->nfields; i++)
	{
		const VcField *field = &coll->fields[i];
		VcColumn *column = &batch->columns[i];

		if (column->present[0] && !is_payload(field))
			ereport(ERROR,
					(vc_errcode(VC_E_INVALID_PARAMETER), errmsg("field \"%s\" is not payload", NameStr(field->name)),
					 errdetail("Keys, partition keys and vectors are not."), errhint("Use upsert to change them.")));
		if (column->present[0])
		{
			append_assignment(&st, NameStr(field->name), &first);
			appendStringInfo(&st.sql, "$%d",
							 vc_statement_param_or_null(&st, field->typid, column->values[0], column->nulls[0]));
		}
		else if (overwrite && is_payload(field))
		{
			if (!field->nullable && !field->has_default)
				ereport(ERROR, (vc_errcode(VC_E_MISSING_PARAMETER),
								errmsg("payload has no value for \"%s\"", NameStr(field->name)),
								errdetail("The field is not nullable and has no default."),
								errhint("Give it a value, or use set_payload.")));
			append_assignment(&st, NameStr(field->name), &first);
			appendStringInfoString(&st.sql, "DEFAULT");
		}
	}
	if (batch->columns[coll->nfields].present[0])
	{
		append_assignment(&st, "$meta", &first);
		appendStringInfo(&st.sql, "%s$%d", overwrite ? "" : "t.\"$meta\" OPERATOR(pg_catalog.||) ",
						 vc_statement_param(&st, JSONBOID, batch->columns[coll->nfields].values[0]));
	}
	else if (overwrite && coll->enable_dynamic)
	{
		append_assignment(&st, "$meta", &first);
		appendStringInfoString(&st.sql, "'{}'::pg_catalog.jsonb");
	}
	end_assignments(&st, coll, first);
	append_target(&st, coll, VC_ARG_ARRAY(2), VC_ARG_TEXT(3), VC_ARG_TEXT(4), VC_ARG_JSONB(5));
	PG_RETURN_INT64(run_write(&st, coll));
}

PG_FUNCTION_INFO_V1(vc_set_payload);
Datum
vc_set_payload(PG_FUNCTION_ARGS)
{
	return change_payload(fcinfo, false);
}

PG_FUNCTION_INFO_V1(vc_overwrite_payload);
Datum
vc_overwrite_payload(PG_FUNCTION_ARGS)
{
	return change_payload(fcinfo, true);
}

/* delete_payload(name, keys text[], ids, filter, partition_name, filter_params) -> the number of rows */
PG_FUNCTION_INFO_V1(vc_delete_payload);
Datum
vc_delete_payload(PG_FUNCTION_ARGS)
{
	const VcCollection *coll = vc_collection_by_name(vc_arg_name(fcinfo, 0, "name"));
	VcStatement st;
	bool first = true;
	Datum *keys;
	bool *nulls;
	Datum *dynamic;
	int ndynamic = 0;
	int n;

	vc_arg_required(fcinfo, 1, "keys");
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT, &keys, &nulls, &n);
	dynamic = palloc(sizeof(Datum) * (n + 1));
	start_update(&st, coll);
	for (int i = 0; i < n; i++)
	{
		char *name = nulls[i] ? "" : TextDatumGetCString(keys[i]);
		const VcField *field = vc_collection_field(coll, name);
		bool twice = false;

		for (int k = 0; k < i; k++)
			twice = twice || (!nulls[k] && !nulls[i] && strcmp(TextDatumGetCString(keys[k]), name) == 0);
		if (twice)
			continue;
		if (field == NULL && (!coll->enable_dynamic || nulls[i]))
			ereport(ERROR, (vc_errcode(VC_E_FIELD_NOT_FOUND), errmsg("field \"%s\" does not exist", name),
							errdetail("Collection \"%s.%s\" declares no such field and has no dynamic field.",
									  NameStr(coll->nspname), NameStr(coll->relname)),
							errhint("vectorcoll.describe_collection lists the fields.")));
		if (field == NULL)
		{
			dynamic[ndynamic++] = keys[i];
			continue;
		}
		if (!is_payload(field) || (!field->nullable && !field->has_default))
			ereport(ERROR,
					(vc_errcode(VC_E_INVALID_PARAMETER), errmsg("field \"%s\" cannot be deleted from a point", name),
					 errdetail("It is a key or a vector, or it is not nullable and has no default."),
					 errhint("Name nullable fields and keys of the dynamic field.")));
		append_assignment(&st, name, &first);
		appendStringInfoString(&st.sql, field->nullable ? "NULL" : "DEFAULT");
	}
	if (ndynamic > 0)
	{
		append_assignment(&st, "$meta", &first);
		appendStringInfo(
			&st.sql, "t.\"$meta\" OPERATOR(pg_catalog.-) $%d",
			vc_statement_param(&st, TEXTARRAYOID,
							   PointerGetDatum(construct_array(dynamic, ndynamic, TEXTOID, -1, false, TYPALIGN_INT))));
	}
	end_assignments(&st, coll, first);
	append_target(&st, coll, VC_ARG_ARRAY(2), VC_ARG_TEXT(3), VC_ARG_TEXT(4), VC_ARG_JSONB(5));
	PG_RETURN_INT64(run_write(&st, coll));
}

/* clear_payload(name, ids, filter, partition_name, filter_params) -> the number of rows */
PG_FUNCTION_INFO_V1(vc_clear_payload);
Datum
vc_clear_payload(PG_FUNCTION_ARGS)
{
	const VcCollection *coll = vc_collection_by_name(vc_arg_name(fcinfo, 0, "name"));
	VcStatement st;
	bool first = true;

	start_update(&st, coll);
	for (int i = 0; i < coll->nfields; i++)
	{
		const VcField *field = &coll->fields[i];

		/* What must have a value and has no default keeps the one it has. */
		if (!is_payload(field) || (!field->nullable && !field->has_default))
			continue;
		append_assignment(&st, NameStr(field->name), &first);
		appendStringInfoString(&st.sql, field->nullable ? "NULL" : "DEFAULT");
	}
	if (coll->enable_dynamic)
	{
		append_assignment(&st, "$meta", &first);
		appendStringInfoString(&st.sql, "'{}'::pg_catalog.jsonb");
	}
	end_assignments(&st, coll, first);
	append_target(&st, coll, VC_ARG_ARRAY(1), VC_ARG_TEXT(2), VC_ARG_TEXT(3), VC_ARG_JSONB(4));
	PG_RETURN_INT64(run_write(&st, coll));
}
