/*
 * points_read.c
 *		get, query, scroll, count and facet. See points.h.
 */
#include "points.h"

#include "catalog/pg_type.h"
#include "entity.h"
#include "filter_compile.h"
#include "funcapi.h"
#include "search.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"
#include "value.h"

/* ---- rows as (id, entity) ---- */

typedef struct RowReceiver
{
	DestReceiver pub;
	VcResult result;
	VcEntity *entity;
	Oid id_type;
} RowReceiver;

static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	RowReceiver *receiver = (RowReceiver *)self;
	MemoryContext old = MemoryContextSwitchTo(receiver->result.row);
	Datum values[2];
	bool nulls[2] = {false, false};

	slot_getallattrs(slot);
	values[0] = PointerGetDatum(vc_entity_id(receiver->id_type, slot->tts_values[0]));
	values[1] = JsonbPGetDatum(vc_entity_build(receiver->entity, slot, 1));
	vc_result_put(&receiver->result, values, nulls);
	MemoryContextSwitchTo(old);
	MemoryContextReset(receiver->result.row);
	return true;
}

static void
receiver_startup(DestReceiver *self, int operation, TupleDesc desc)
{
}

static void
receiver_nothing(DestReceiver *self)
{
}

typedef struct Read
{
	const VcCollection *coll;
	VcEntity *entity;
	VcStatement st;
} Read;

static void
start_read(Read *read, FunctionCallInfo fcinfo, ArrayType *output_fields)
{
	read->coll = vc_collection_by_name(vc_arg_name(fcinfo, 0, "name"));
	vc_collection_require_loaded(read->coll);
	vc_points_primary(read->coll);
	read->entity = vc_entity_plan(read->coll, output_fields);
	vc_statement_init(&read->st);
	appendStringInfoString(&read->st.sql, "SELECT t.");
	vc_append_name(&read->st.sql, NameStr(vc_points_primary(read->coll)->name));
	vc_entity_append_columns(read->entity, &read->st.sql);
	appendStringInfoString(&read->st.sql, " FROM ");
	vc_append_table(&read->st.sql, read->coll);
	appendStringInfoString(&read->st.sql, " AS t");
}

static Datum
run_read(Read *read, FunctionCallInfo fcinfo)
{
	RowReceiver receiver = {.pub = {.receiveSlot = receive_row,
									.rStartup = receiver_startup,
									.rShutdown = receiver_nothing,
									.rDestroy = receiver_nothing,
									.mydest = DestNone},
							.entity = read->entity,
							.id_type = vc_points_primary(read->coll)->typid};

	vc_result_start(&receiver.result, fcinfo);
	SPI_connect();
	vc_statement_run(&read->st, read->coll, true, &receiver.pub);
	SPI_finish();
	return (Datum)0;
}

static void
append_primary(Read *read)
{
	appendStringInfoString(&read->st.sql, "t.");
	vc_append_name(&read->st.sql, NameStr(vc_points_primary(read->coll)->name));
}

/* get(name, ids, output_fields, partition_names): in the order of ids; those that are not there are left out. */
PG_FUNCTION_INFO_V1(vc_get);
Datum
vc_get(PG_FUNCTION_ARGS)
{
	Read read;
	Oid arraytype;
	int count;
	int ids;

	start_read(&read, fcinfo, VC_ARG_ARRAY(2));
	vc_arg_required(fcinfo, 1, "ids");
	ids = vc_statement_param(&read.st, 0, vc_points_ids(read.coll, PG_GETARG_ARRAYTYPE_P(1), &arraytype, &count));
	read.st.types[ids - 1] = arraytype;
	appendStringInfo(&read.st.sql, " JOIN pg_catalog.unnest($%d) WITH ORDINALITY AS k(id, n) ON ", ids);
	append_primary(&read);
	appendStringInfoString(&read.st.sql, " OPERATOR(pg_catalog.=) k.id");
	vc_append_where(&read.st, read.coll, NULL, NULL, VC_ARG_ARRAY(3), NULL);
	appendStringInfoString(&read.st.sql, " ORDER BY k.n");
	return run_read(&read, fcinfo);
}

static void
check_top_k(int top_k, const char *hint)
{
	if (top_k < 1 || top_k > VC_SEARCH_MAX_TOP_K)
		ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER), errmsg("top_k is out of range: %d", top_k),
						errdetail("It goes from 1 to %d.", VC_SEARCH_MAX_TOP_K), errhint("%s", hint)));
}

/* query(name, filter, output_fields, top_k, skip, partition_names, filter_params): rows by key. */
PG_FUNCTION_INFO_V1(vc_query);
Datum
vc_query(PG_FUNCTION_ARGS)
{
	Read read;

	start_read(&read, fcinfo, VC_ARG_ARRAY(2));
	if (!PG_ARGISNULL(3))
		check_top_k(PG_GETARG_INT32(3), "Leave it null for no limit.");
	if (!PG_ARGISNULL(4) && PG_GETARG_INT32(4) < 0)
		ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER), errmsg("skip is out of range: %d", PG_GETARG_INT32(4)),
						errdetail("It must not be negative."), errhint("Pass 0 to begin with the first row.")));
	vc_append_where(&read.st, read.coll, vc_arg_filter(fcinfo, 1), VC_ARG_JSONB(6), VC_ARG_ARRAY(5), NULL);
	appendStringInfoString(&read.st.sql, " ORDER BY ");
	append_primary(&read);
	if (!PG_ARGISNULL(3))
		appendStringInfo(&read.st.sql, " LIMIT %d", PG_GETARG_INT32(3));
	if (!PG_ARGISNULL(4) && PG_GETARG_INT32(4) > 0)
		appendStringInfo(&read.st.sql, " OFFSET %d", PG_GETARG_INT32(4));
	return run_read(&read, fcinfo);
}

/* scroll(name, top_k, after, filter, output_fields, partition_names, filter_params): rows by key behind the key
 * `after`. */
PG_FUNCTION_INFO_V1(vc_scroll);
Datum
vc_scroll(PG_FUNCTION_ARGS)
{
	Read read;
	char *after = VC_ARG_CSTRING(2);
	char *more = NULL;

	start_read(&read, fcinfo, VC_ARG_ARRAY(4));
	vc_arg_required(fcinfo, 1, "top_k");
	check_top_k(PG_GETARG_INT32(1), "Read on from the last row's id, by after.");
	if (after)
	{
		const VcField *primary = vc_points_primary(read.coll);
		Oid typid = primary->typid == VARCHAROID ? TEXTOID : primary->typid;
		StringInfoData sql;

		initStringInfo(&sql);
		appendStringInfoString(&sql, "t.");
		vc_append_name(&sql, NameStr(primary->name));
		appendStringInfo(&sql, " OPERATOR(pg_catalog.>) $%d",
						 vc_statement_param(&read.st, typid, vc_value_id(primary, after)));
		more = sql.data;
	}
	vc_append_where(&read.st, read.coll, VC_ARG_TEXT(3), VC_ARG_JSONB(6), VC_ARG_ARRAY(5), more);
	appendStringInfoString(&read.st.sql, " ORDER BY ");
	append_primary(&read);
	appendStringInfo(&read.st.sql, " LIMIT %d", PG_GETARG_INT32(1));
	return run_read(&read, fcinfo);
}

/* count(name, filter, partition_names, filter_params): exactly, under the caller's snapshot. */
PG_FUNCTION_INFO_V1(vc_count);
Datum
vc_count(PG_FUNCTION_ARGS)
{
	const VcCollection *coll = vc_collection_by_name(vc_arg_name(fcinfo, 0, "name"));
	VcStatement st;
	bool isnull;
	int64 count;

	vc_collection_require_loaded(coll);
	vc_statement_init(&st);
	appendStringInfoString(&st.sql, "SELECT pg_catalog.count(*) FROM ");
	vc_append_table(&st.sql, coll);
	appendStringInfoString(&st.sql, " AS t");
	vc_append_where(&st, coll, vc_arg_filter(fcinfo, 1), VC_ARG_JSONB(3), VC_ARG_ARRAY(2), NULL);
	SPI_connect();
	vc_statement_run(&st, coll, true, NULL);
	count = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	PG_RETURN_INT64(count);
}

char *
vc_points_value_sql(VcStatement *st, const VcCollection *coll, text *key, bool *array)
{
	VcFilterNode *node = vc_filter_read(key);
	VcFilterContext c = {.st = st, .coll = coll, .source = text_to_cstring(key)};
	VcOperand x;

	if (node->kind != VCF_FIELD)
		vc_filter_error(&c, node, "Write a name or a path such as doc[\"key\"].", "\"%s\" is not a field", c.source);
	x = vc_filter_field(&c, node);
	*array = x.class == VCX_ARRAY || x.class == VCX_JSON;
	return x.class == VCX_JSON ? (char *)x.sql : psprintf("pg_catalog.to_jsonb(%s)", x.sql);
}

/* facet(name, key, top_k, filter, partition_names, filter_params): the commonest values of a field, each element of an
 * array. */
PG_FUNCTION_INFO_V1(vc_facet);
Datum
vc_facet(PG_FUNCTION_ARGS)
{
	const VcCollection *coll = vc_collection_by_name(vc_arg_name(fcinfo, 0, "name"));
	VcStatement st;
	VcResult result;
	bool array;
	char *value;

	vc_collection_require_loaded(coll);
	vc_arg_required(fcinfo, 1, "key");
	vc_arg_required(fcinfo, 2, "top_k");
	check_top_k(PG_GETARG_INT32(2), "Narrow the rows down by a filter.");
	vc_statement_init(&st);
	value = vc_points_value_sql(&st, coll, PG_GETARG_TEXT_PP(1), &array);
	appendStringInfo(&st.sql, "SELECT %s, pg_catalog.count(*) FROM ", array ? "e.v" : value);
	vc_append_table(&st.sql, coll);
	appendStringInfoString(&st.sql, " AS t");
	if (array)
		appendStringInfo(&st.sql,
						 " CROSS JOIN LATERAL pg_catalog.jsonb_array_elements(CASE WHEN pg_catalog.jsonb_typeof(%s) "
						 "OPERATOR(pg_catalog.=) 'array' THEN %s ELSE pg_catalog.jsonb_build_array(%s) END) AS e(v)",
						 value, value, value);
	vc_append_where(&st, coll, VC_ARG_TEXT(3), VC_ARG_JSONB(5), VC_ARG_ARRAY(4),
					psprintf("COALESCE(%s, 'null'::pg_catalog.jsonb) OPERATOR(pg_catalog.<>) 'null'::pg_catalog.jsonb",
							 array ? "e.v" : value));
	appendStringInfo(&st.sql, " GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT %d", PG_GETARG_INT32(2));
	vc_result_start(&result, fcinfo);
	SPI_connect();
	vc_statement_run(&st, coll, true, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		Datum values[2];
		bool nulls[2];

		for (int k = 0; k < 2; k++)
			values[k] = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, k + 1, &nulls[k]);
		vc_result_put(&result, values, nulls);
	}
	SPI_finish();
	return (Datum)0;
}
