/*
 * search.c
 *		The request, the statement it becomes, and the functions that are a single search. See search.h.
 *
 * The statement is `SELECT key, field <-> $1, columns FROM table WHERE ... ORDER BY field <-> $1 LIMIT k`, which is
 *what the planner matches to an index; everything but the LIMIT is a parameter, so that one plan serves all searches of
 *a shape. LIMIT is a constant because the planner needs to know it. Rows go from the executor to the result without a
 *copy of the tuple in between.
 */
#include "search.h"

#include <math.h>

#include "access/table.h"
#include "catalog/pg_type.h"
#include "filter_compile.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "tcop/pquery.h"
#include "types/sparsevec.h"
#include "types/vector.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"
#include "value.h"

/* ---- arguments and results ---- */

void
vc_arg_required(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR, (vc_errcode(VC_E_MISSING_PARAMETER), errmsg("parameter \"%s\" is missing", name),
						errdetail("The parameter is null."), errhint("Pass a value for %s.", name)));
}

char *
vc_arg_name(FunctionCallInfo fcinfo, int n, const char *name)
{
	vc_arg_required(fcinfo, n, name);
	return text_to_cstring(PG_GETARG_TEXT_PP(n));
}

text *
vc_arg_filter(FunctionCallInfo fcinfo, int n)
{
	Jsonb *jsonb;

	if (PG_ARGISNULL(n))
		return NULL;
	if (get_fn_expr_argtype(fcinfo->flinfo, n) != JSONBOID)
		return PG_GETARG_TEXT_PP(n);
	jsonb = PG_GETARG_JSONB_P(n);
	return cstring_to_text(JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb)));
}

/*
 * The executor's own description of the row is used and no setDesc is returned: looking the OUT columns up in pg_proc,
 * as InitMaterializedSRF does, would cost more than the rest of a small search.
 */
void
vc_result_start(VcResult *result, FunctionCallInfo fcinfo)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *)fcinfo->resultinfo;
	MemoryContext old;

	if (rsinfo == NULL || !IsA(rsinfo, ReturnSetInfo) || !(rsinfo->allowedModes & SFRM_Materialize) ||
		rsinfo->expectedDesc == NULL)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("set-valued function called in context that cannot accept a set"),
						errhint("Call the function in FROM.")));
	old = MemoryContextSwitchTo(rsinfo->econtext->ecxt_per_query_memory);
	result->store = tuplestore_begin_heap((rsinfo->allowedModes & SFRM_Materialize_Random) != 0, false, work_mem);
	MemoryContextSwitchTo(old);
	result->desc = rsinfo->expectedDesc;
	result->row = AllocSetContextCreate(CurrentMemoryContext, "vectorcoll row", ALLOCSET_DEFAULT_SIZES);
	rsinfo->returnMode = SFRM_Materialize;
	rsinfo->setResult = result->store;
	rsinfo->setDesc = NULL;
}

void
vc_result_put(VcResult *result, Datum *values, bool *nulls)
{
	tuplestore_putvalues(result->store, result->desc, values, nulls);
}

/* ---- the request ---- */

/* Whether a query of the type can search the field: the same type, or one that casts to it. */
static bool
query_fits(const VcField *field, Oid query_type)
{
	Oid func;

	if (!VC_DTYPE_IS_VECTOR(field->dtype))
		return false;
	if (query_type == field->typid)
		return true;
	if (field->typid == BITOID)
		return query_type == VARBITOID;
	return find_coercion_pathway(field->typid, query_type, COERCION_IMPLICIT, &func) == COERCION_PATH_FUNC &&
		   field->dtype != VC_DT_SPARSE_FLOAT_VECTOR;
}

static const VcField *
search_field(const VcCollection *coll, const char *anns_field, Oid query_type)
{
	const VcField *field = NULL;
	int candidates = 0;

	if (anns_field)
	{
		field = vc_collection_field(coll, anns_field);
		if (field == NULL)
			ereport(ERROR, (vc_errcode(VC_E_FIELD_NOT_FOUND), errmsg("field \"%s\" does not exist", anns_field),
							errdetail("Collection \"%s.%s\" has no such field.", NameStr(coll->nspname),
									  NameStr(coll->relname)),
							errhint("vectorcoll.describe_collection lists the fields.")));
		if (!query_fits(field, query_type))
			ereport(
				ERROR,
				(vc_errcode(VC_E_INVALID_PARAMETER),
				 errmsg("field \"%s\" cannot be searched with this query", anns_field),
				 errdetail("The field is %s, the query %s.", format_type_be(field->typid), format_type_be(query_type)),
				 errhint("Use search for dense, search_sparse for sparse and search_binary for binary vectors.")));
		return field;
	}
	for (int i = 0; i < coll->nfields; i++)
		if (query_fits(&coll->fields[i], query_type))
		{
			field = &coll->fields[i];
			candidates++;
		}
	if (candidates == 0)
		ereport(ERROR,
				(vc_errcode(VC_E_FIELD_NOT_FOUND),
				 errmsg("no field can be searched with a %s", format_type_be(query_type)),
				 errdetail("Collection \"%s.%s\" has no such vector field.", NameStr(coll->nspname),
						   NameStr(coll->relname)),
				 errhint("Use search for dense, search_sparse for sparse and search_binary for binary vectors.")));
	if (candidates > 1)
		ereport(ERROR, (vc_errcode(VC_E_MISSING_PARAMETER), errmsg("parameter \"anns_field\" is missing"),
						errdetail("Collection \"%s.%s\" has %d fields this query could search.", NameStr(coll->nspname),
								  NameStr(coll->relname), candidates),
						errhint("Name the vector field to search in anns_field.")));
	return field;
}

static void
require_primary(const VcCollection *coll)
{
	if (coll->primary < 0)
		ereport(ERROR,
				(vc_errcode(VC_E_INVALID_PARAMETER),
				 errmsg("collection \"%s\" has no primary key", NameStr(coll->relname)),
				 errdetail("Results are identified by the primary key."), errhint("Add a primary key to the table.")));
}

void
vc_search_init(VcSearch *search, const char *name, const char *anns_field, Oid query_type)
{
	memset(search, 0, sizeof(*search));
	search->coll = vc_collection_by_name(name);
	vc_collection_require_loaded(search->coll);
	require_primary(search->coll);
	search->round_decimal = -1;
	if (OidIsValid(query_type))
	{
		search->field = search_field(search->coll, anns_field, query_type);
		search->metric = search->field->metric;
	}
}

void
vc_search_text_field(VcSearch *search, const char *name)
{
	const VcField *field = vc_collection_field(search->coll, name);

	if (field == NULL)
		ereport(ERROR, (vc_errcode(VC_E_FIELD_NOT_FOUND), errmsg("field \"%s\" does not exist", name),
						errdetail("Collection \"%s.%s\" has no such field.", NameStr(search->coll->nspname),
								  NameStr(search->coll->relname)),
						errhint("vectorcoll.describe_collection lists the fields.")));
	if (field->typid != TEXTOID && field->typid != VARCHAROID)
		ereport(ERROR,
				(vc_errcode(VC_E_INVALID_PARAMETER), errmsg("field \"%s\" is not a string field", name),
				 errdetail("Its type is %s.", format_type_be(field->typid)), errhint("Name a varchar or text field.")));
	search->field = field;
	search->metric = VC_METRIC_NONE;
}

/* Dimensions of a query, for types that have them in a fixed place; -1 for others. */
static int
query_dim(Oid query_type, const VcField *field, Datum query)
{
	if (field->dtype == VC_DT_FLOAT_VECTOR || field->dtype == VC_DT_FLOAT16_VECTOR)
		return DatumGetVcVector(query)->dim; /* halfvec has dim in the same place */
	if (field->dtype == VC_DT_BINARY_VECTOR)
		return DatumGetInt32(DirectFunctionCall1(bitlength, query));
	return -1;
}

/* A sparse query with the dimension the field's values have: how many there are beyond its last non-zero says nothing. */
static Datum
sparse_query(const VcField *field, Datum query)
{
	VcSparsevec *sparse = DatumGetVcSparsevec(query);
	VcSparsevec *result;

	if (field->typmod <= 0 || sparse->dim == field->typmod)
		return PointerGetDatum(sparse);
	if (sparse->nnz > 0 && sparse->indices[sparse->nnz - 1] >= field->typmod)
		ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER),
						errmsg("query vector has %d dimensions, field \"%s\" has %d", sparse->dim, NameStr(field->name),
							   field->typmod),
						errdetail("It has a value in dimension %d.", sparse->indices[sparse->nnz - 1] + 1),
						errhint("Pass a query within the field's dimensions.")));
	result = palloc(VARSIZE(sparse));
	memcpy(result, sparse, VARSIZE(sparse));
	result->dim = field->typmod;
	return PointerGetDatum(result);
}

void
vc_search_query(VcSearch *search, Datum query, Oid query_type)
{
	const VcField *field = search->field;
	int dim = query_dim(query_type, field, query);
	Oid func;

	if (field->dim > 0 && dim >= 0 && dim != field->dim)
		ereport(ERROR,
				(vc_errcode(VC_E_INVALID_PARAMETER),
				 errmsg("query vector has %d dimensions, field \"%s\" has %d", dim, NameStr(field->name), field->dim),
				 errdetail("Distances need equal dimensions."), errhint("Pass a query of %d dimensions.", field->dim)));
	search->query = field->dtype == VC_DT_SPARSE_FLOAT_VECTOR ? sparse_query(field, query) : query;
	search->query_type = query_type;
	if (query_type == field->typid || query_type == VARBITOID)
		search->query_type = field->typid;
	else if (find_coercion_pathway(field->typid, query_type, COERCION_EXPLICIT, &func) == COERCION_PATH_FUNC)
	{
		/* Once here rather than once a row. */
		search->query = OidFunctionCall3(func, query, Int32GetDatum(-1), BoolGetDatum(true));
		search->query_type = field->typid;
	}
}

void
vc_search_limits(VcSearch *search, bool top_k_null, int top_k, bool skip_null, int skip)
{
	if (top_k_null)
		ereport(ERROR,
				(vc_errcode(VC_E_MISSING_PARAMETER), errmsg("parameter \"top_k\" is missing"),
				 errdetail("The parameter is null."), errhint("Pass a number from 1 to %d.", VC_SEARCH_MAX_TOP_K)));
	if (top_k < 1 || top_k > VC_SEARCH_MAX_TOP_K)
		ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER), errmsg("top_k is out of range: %d", top_k),
						errdetail("It goes from 1 to %d.", VC_SEARCH_MAX_TOP_K),
						errhint("Use search_iterator to go further.")));
	if (skip_null)
		skip = 0;
	if (skip < 0 || skip > 1000000 - top_k)
		ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER), errmsg("skip is out of range: %d", skip),
						errdetail("It is at least 0, and top_k and skip together at most 1000000."),
						errhint("Use search_iterator to go further.")));
	search->top_k = top_k;
	search->skip = skip;
}

double
vc_search_score(VcMetric metric, double distance)
{
	switch (metric)
	{
	case VC_METRIC_NONE: /* full text */
	case VC_METRIC_IP:
		return distance == 0 ? 0 : -distance;
	case VC_METRIC_COSINE:
		return 1 - distance;
	default:
		return distance;
	}
}

/* ---- conditions ---- */

void
vc_check_partitions(const VcCollection *coll, ArrayType *partition_names)
{
	Relation rel = table_open(coll->relid, AccessShareLock);
	PartitionDesc parts = coll->named_partitions ? RelationGetPartitionDesc(rel, true) : NULL;
	Datum *names;
	bool *nulls;
	int n;

	deconstruct_array(partition_names, TEXTOID, -1, false, TYPALIGN_INT, &names, &nulls, &n);

	for (int i = 0; i < n; i++)
	{
		char *name = nulls[i] ? "(null)" : TextDatumGetCString(names[i]);
		bool found = !coll->named_partitions && strcmp(name, "_default") == 0;

		for (int k = 0; parts && parts->boundinfo && k < parts->boundinfo->ndatums; k++)
			found = found || strcmp(name, TextDatumGetCString(parts->boundinfo->datums[k][0])) == 0;
		if (!found)
			ereport(ERROR, (vc_errcode(VC_E_PARTITION_NOT_FOUND), errmsg("partition \"%s\" does not exist", name),
							coll->partitioned && !coll->named_partitions
								? errdetail("Collection \"%s.%s\" has no named partitions; those it has are read and written as one.",
											NameStr(coll->nspname), NameStr(coll->relname))
								: errdetail("Collection \"%s.%s\" has no partition of that name.", NameStr(coll->nspname),
											NameStr(coll->relname)),
							coll->partitioned && !coll->named_partitions
								? errhint("A filter on the field they are made by leaves the others out.")
								: errhint("vectorcoll.list_partitions lists them.")));
	}
	table_close(rel, NoLock);
}

/* A parameter a name: of an array in one parameter the server knows no partition to leave out when it starts a generic plan. */
static void
append_partitions(VcStatement *st, const char *word, ArrayType *partition_names)
{
	Datum *names;
	bool *nulls;
	int n;

	deconstruct_array(partition_names, TEXTOID, -1, false, TYPALIGN_INT, &names, &nulls, &n);
	appendStringInfo(&st->sql, "%st.\"$partition\" OPERATOR(pg_catalog.=) ANY (ARRAY[", word);
	for (int i = 0; i < n; i++)
		appendStringInfo(&st->sql, "%s$%d", i > 0 ? ", " : "", vc_statement_param(st, TEXTOID, names[i]));
	appendStringInfoString(&st->sql, "])");
}

void
vc_append_where(VcStatement *st, const VcCollection *coll, text *filter, Jsonb *filter_params,
				ArrayType *partition_names, const char *more)
{
	const char *word = " WHERE ";

	if (more)
	{
		appendStringInfo(&st->sql, "%s%s", word, more);
		word = " AND ";
	}
	if (partition_names)
	{
		vc_check_partitions(coll, partition_names);
		if (coll->named_partitions && ArrayGetNItems(ARR_NDIM(partition_names), ARR_DIMS(partition_names)) > 0)
		{
			append_partitions(st, word, partition_names);
			word = " AND ";
		}
	}
	if (filter)
	{
		appendStringInfoString(&st->sql, word);
		vc_filter_compile(st, coll, filter, filter_params);
	}
}

/* ---- the statement ---- */

static void
append_distance(VcSearch *search, StringInfo sql, int query)
{
	appendStringInfoString(sql, "t.");
	vc_append_name(sql, NameStr(search->field->name));
	vc_append_vector_operator(sql, vc_metric_operator(search->metric));
	appendStringInfo(sql, "$%d", query);
}

/* Relevance of a text to the query's words, negated so that the best comes first. */
static char *
text_distance(VcSearch *search, int query)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql,
						   "(OPERATOR(pg_catalog.-) pg_catalog.ts_rank_cd(pg_catalog.to_tsvector('pg_catalog.simple'::"
						   "pg_catalog.regconfig, t.");
	vc_append_name(&sql, NameStr(search->field->name));
	appendStringInfo(&sql, "), $%d, 1)::pg_catalog.float8)", query);
	return sql.data;
}

/* What of the range can be said in WHERE: its near side. The far side ends the scan, see receive. */
static char *
near_bound(VcSearch *search, const char *distance)
{
	int bound = vc_statement_param(search->st, FLOAT8OID, Float8GetDatum(search->range_filter));

	if (search->metric == VC_METRIC_COSINE)
		return psprintf("((1::pg_catalog.float8 OPERATOR(pg_catalog.-) (%s)) OPERATOR(pg_catalog.<=) $%d)", distance,
						bound);
	if (search->metric == VC_METRIC_IP)
		return psprintf("((OPERATOR(pg_catalog.-) (%s)) OPERATOR(pg_catalog.<=) $%d)", distance, bound);
	return psprintf("((%s) OPERATOR(pg_catalog.>=) $%d)", distance, bound);
}

/* Behind a row in the order of distance, then key: how an iterator goes on. */
static char *
resume_condition(VcSearch *search, const char *distance)
{
	int d = vc_statement_param(search->st, FLOAT8OID, Float8GetDatum(search->resume_distance));
	int id = vc_statement_param(search->st, vc_search_id_type(search->coll), search->resume_id);
	StringInfoData key;

	initStringInfo(&key);
	vc_append_name(&key, NameStr(search->coll->fields[search->coll->primary].name));
	return psprintf(
		"((%s) OPERATOR(pg_catalog.>) $%d OR ((%s) OPERATOR(pg_catalog.=) $%d AND t.%s OPERATOR(pg_catalog.>) $%d))",
		distance, d, distance, d, key.data, id);
}

/* A filter as text of its own, its parameters added to the statement. */
static char *
second_filter(VcSearch *search)
{
	VcStatement *st = search->st;
	int start = st->sql.len;
	char *condition;

	vc_filter_compile(st, search->coll, search->second_filter, search->filter_params);
	condition = pstrdup(st->sql.data + start);
	st->sql.len = start;
	st->sql.data[start] = '\0';
	return condition;
}

Oid
vc_search_id_type(const VcCollection *coll)
{
	Oid typid = coll->fields[coll->primary].typid;

	return typid == VARCHAROID ? TEXTOID : typid;
}

/*
 * Whether the receiver ends the scan. The planner is then told nothing of top_k: within a radius there are far fewer rows,
 * and for the 16,384 that range_search allows it would rather sort the table.
 */
static bool
stops_early(const VcSearch *search)
{
	return search->top_k == 0 || search->has_radius;
}

void
vc_search_build(VcSearch *search)
{
	VcStatement *st = search->st;
	StringInfoData distance;
	StringInfoData more;

	initStringInfo(&distance);
	initStringInfo(&more);
	if (search->words)
	{
		VcFilterContext c = {.st = st, .coll = search->coll, .source = ""};
		VcFilterNode words = {.kind = VCF_STRING, .text = text_to_cstring(search->words)};

		words.length = strlen(words.text);
		appendStringInfo(&more, "%s",
						 vc_filter_text(&c, psprintf("t.%s", quote_identifier(NameStr(search->field->name))), &words,
										VCF_TEXT_ANY, 0, 0));
		/* vc_filter_text has just added the tsquery. */
		appendStringInfoString(&distance, text_distance(search, st->nparams));
	}
	else
		append_distance(search, &distance, vc_statement_param(st, search->query_type, search->query));

	/*
	 * Among equals by key, but only there: before PostgreSQL 16 an order by distance and key matches no index, while an
	 * order by distance inside leaves the incremental sort the rest. The limit that limits nothing keeps the planner from
	 * flattening the two, and from looking inside only for the path that is cheapest to the end.
	 */
	if (search->order_by_id)
		appendStringInfoString(&st->sql, "SELECT q.* FROM (");
	appendStringInfoString(&st->sql, "SELECT t.");
	vc_append_name(&st->sql, NameStr(search->coll->fields[search->coll->primary].name));
	appendStringInfo(&st->sql, ", %s", distance.data);
	if (search->entity)
		vc_entity_append_columns(search->entity, &st->sql);
	if (search->extra_column)
		appendStringInfo(&st->sql, ", %s", search->extra_column);
	appendStringInfoString(&st->sql, " FROM ");
	vc_append_table(&st->sql, search->coll);
	appendStringInfoString(&st->sql, " AS t");

	/* Rows without a vector are in no index; without one they must not turn up either. */
	if (search->field->nullable)
	{
		appendStringInfo(&more, "%st.", more.len ? " AND " : "");
		vc_append_name(&more, NameStr(search->field->name));
		appendStringInfoString(&more, " IS NOT NULL");
	}
	if (search->has_range_filter)
		appendStringInfo(&more, "%s%s", more.len ? " AND " : "", near_bound(search, distance.data));
	if (search->resume)
		appendStringInfo(&more, "%s%s", more.len ? " AND " : "", resume_condition(search, distance.data));
	if (search->second_filter)
		appendStringInfo(&more, "%s%s", more.len ? " AND " : "", second_filter(search));
	if (search->extra_condition)
		appendStringInfo(&more, "%s%s", more.len ? " AND " : "", search->extra_condition);
	vc_append_where(st, search->coll, search->filter, search->filter_params, search->partition_names,
					more.len ? more.data : NULL);

	appendStringInfo(&st->sql, " ORDER BY %s%s", distance.data,
					 search->exact ? " OPERATOR(pg_catalog.+) 0::pg_catalog.float8" : "");
	if (search->order_by_id)
		appendStringInfoString(&st->sql, " LIMIT 9223372036854775807) AS q ORDER BY 2, 1");
	if (!stops_early(search))
		appendStringInfo(&st->sql, " LIMIT %d", search->top_k);
	if (search->skip > 0)
		appendStringInfo(&st->sql, " OFFSET %d", search->skip);
	st->fast_start = stops_early(search);
	st->generic = search->filter == NULL && search->second_filter == NULL && search->words == NULL;
}

/* ---- running it ---- */

typedef struct HitReceiver
{
	DestReceiver pub;
	VcSearch *search;
	VcHitSink sink;
	void *arg;
	MemoryContext row;
	bool stopped;
	int hits;
} HitReceiver;

static bool
in_range(const VcSearch *search, const VcHit *hit)
{
	if (!search->has_radius)
		return true;
	if (search->metric == VC_METRIC_IP || search->metric == VC_METRIC_COSINE)
		return search->radius < hit->score;
	return hit->distance < search->radius;
}

static double
rounded(double value, int digits)
{
	double scale = pow(10, digits);

	return digits < 0 ? value : round(value * scale) / scale;
}

static bool
receive(TupleTableSlot *slot, DestReceiver *self)
{
	HitReceiver *receiver = (HitReceiver *)self;
	VcSearch *search = receiver->search;
	MemoryContext old = MemoryContextSwitchTo(receiver->row);
	VcHit hit = {.slot = slot, .entity_column = 2};
	bool go_on;

	slot_getallattrs(slot);
	hit.id = slot->tts_values[0];
	hit.distance = slot->tts_isnull[1] ? (double)NAN : DatumGetFloat8(slot->tts_values[1]);
	hit.score = vc_search_score(search->metric, hit.distance);
	hit.extra_column = 2 + (search->entity ? search->entity->nfields + search->entity->meta : 0);
	/* Rows come by distance: beyond the range there is nothing more to see. */
	go_on = in_range(search, &hit);
	if (go_on && search->round_decimal >= 0)
	{
		hit.distance = rounded(hit.distance, search->round_decimal);
		hit.score = rounded(hit.score, search->round_decimal);
	}
	go_on = go_on && receiver->sink(receiver->arg, search, &hit);
	go_on = go_on && ++receiver->hits != search->top_k;
	receiver->stopped = !go_on;
	MemoryContextSwitchTo(old);
	MemoryContextReset(receiver->row);
	return go_on;
}

static void
receiver_startup(DestReceiver *self, int operation, TupleDesc desc)
{
}

static void
receiver_shutdown(DestReceiver *self)
{
}

static void
apply_settings(VcSearch *search)
{
	for (int i = 0; i < search->nsettings; i++)
	{
		VcSearchSetting *setting = &search->settings[i];

		/* Below ERROR the server reports a refused value by its result. */
		if (set_config_option(setting->name, setting->value, superuser() ? PGC_SUSET : PGC_USERSET, PGC_S_SESSION,
							  GUC_ACTION_SAVE, true, DEBUG5, false) <= 0)
			ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER),
							errmsg("invalid search parameter for \"%s\": %s", setting->name, setting->value),
							errdetail("The setting does not exist or does not take this value."),
							errhint("SHOW %s tells what it is now.", setting->name)));
	}
}

static HitReceiver *
hit_receiver(VcSearch *search, VcHitSink sink, void *arg)
{
	HitReceiver *receiver = palloc0(sizeof(HitReceiver));

	receiver->pub.receiveSlot = receive;
	receiver->pub.rStartup = receiver_startup;
	receiver->pub.rShutdown = receiver_shutdown;
	receiver->pub.rDestroy = receiver_shutdown;
	receiver->pub.mydest = DestNone;
	receiver->search = search;
	receiver->sink = sink;
	receiver->arg = arg;
	receiver->row = AllocSetContextCreate(CurrentMemoryContext, "vectorcoll hit", ALLOCSET_DEFAULT_SIZES);
	return receiver;
}

/* Settings for one execution; the level goes to AtEOXact_GUC, an error unwinds it. 0: nothing to set. */
static int
push_settings(VcSearch *search)
{
	int level = search->nsettings > 0 || stops_early(search) ? NewGUCNestLevel() : 0;

	apply_settings(search);
	/*
	 * Whoever takes the rows stops when it has enough: plan for the first rows, not for all of them. Of a filter that few
	 * rows pass, a millionth would be none, and the cheapest way to it a walk through the whole vector index.
	 */
	if (stops_early(search))
		set_config_option("cursor_tuple_fraction", search->filter ? "0.01" : "1e-6", PGC_USERSET, PGC_S_SESSION,
						  GUC_ACTION_SAVE, true, 0, false);
	return level;
}

static void
pop_settings(int level)
{
	if (level > 0)
		AtEOXact_GUC(true, level);
}

void
vc_search_run(VcSearch *search, VcHitSink sink, void *arg)
{
	HitReceiver *receiver = hit_receiver(search, sink, arg);
	VcStatement st;
	int level;

	if (search->st == NULL)
	{
		vc_statement_init(&st);
		search->st = &st;
	}
	vc_search_build(search);
	level = push_settings(search);
	vc_statement_run(search->st, search->coll, true, &receiver->pub);
	pop_settings(level);
	MemoryContextDelete(receiver->row);
	if (search->st == &st)
		search->st = NULL;
}

Portal
vc_search_open(VcSearch *search)
{
	int level = push_settings(search);
	Portal portal = vc_statement_open(search->st, search->coll);

	pop_settings(level);
	return portal;
}

bool
vc_search_fetch(VcSearch *search, Portal portal, int count, VcHitSink sink, void *arg)
{
	HitReceiver *receiver = hit_receiver(search, sink, arg);
	int level = push_settings(search);
	uint64 fetched = PortalRunFetch(portal, FETCH_FORWARD, count, &receiver->pub);

	pop_settings(level);
	MemoryContextDelete(receiver->row);
	return fetched == count && !receiver->stopped;
}

/* ---- SQL functions that are a single search ---- */

typedef struct ResultSink
{
	VcResult result;
	int query_no; /* first column of search_batch; 0: there is none */
} ResultSink;

static bool
put_hit(void *arg, VcSearch *search, VcHit *hit)
{
	ResultSink *sink = arg;
	Datum values[5];
	bool nulls[5] = {false};
	int n = 0;

	if (sink->query_no > 0)
		values[n++] = Int32GetDatum(sink->query_no);
	values[n++] = PointerGetDatum(vc_entity_id(search->coll->fields[search->coll->primary].typid, hit->id));
	values[n++] = Float8GetDatum(hit->distance);
	values[n++] = Float8GetDatum(hit->score);
	values[n++] = JsonbPGetDatum(vc_entity_build(search->entity, hit->slot, hit->entity_column));
	vc_result_put(&sink->result, values, nulls);
	return true;
}

/* What the arguments after query mean in every function of this shape; `at` is the position of top_k. */
void
vc_search_arguments(VcSearch *search, FunctionCallInfo fcinfo, int at)
{
	vc_search_limits(search, PG_ARGISNULL(at), PG_ARGISNULL(at) ? 0 : PG_GETARG_INT32(at), PG_ARGISNULL(at + 6),
					 PG_ARGISNULL(at + 6) ? 0 : PG_GETARG_INT32(at + 6));
	search->filter = vc_arg_filter(fcinfo, at + 1);
	vc_search_params(search, VC_ARG_JSONB(at + 2));
	search->entity = vc_entity_plan(search->coll, VC_ARG_ARRAY(at + 3));
	search->partition_names = VC_ARG_ARRAY(at + 5);
	search->filter_params = VC_ARG_JSONB(at + 7);
}

/*
 * search(name, query, top_k, filter, search_params, output_fields, anns_field, partition_names, skip, filter_params)
 * and its sisters for other types of query; the type is the declared one of the second argument.
 */
PG_FUNCTION_INFO_V1(vc_search);
Datum
vc_search(PG_FUNCTION_ARGS)
{
	VcSearch search;
	ResultSink sink = {.query_no = 0};
	char *name = vc_arg_name(fcinfo, 0, "name");
	Oid query_type = get_fn_expr_argtype(fcinfo->flinfo, 1);

	vc_arg_required(fcinfo, 1, "query");
	vc_search_init(&search, name, VC_ARG_CSTRING(6), query_type);
	vc_search_query(&search, PG_GETARG_DATUM(1), query_type);
	vc_search_arguments(&search, fcinfo, 2);
	vc_result_start(&sink.result, fcinfo);
	SPI_connect();
	vc_search_run(&search, put_hit, &sink);
	SPI_finish();
	return (Datum)0;
}

/* search_batch(name, queries vector[], ...): the same for each of several queries, numbered from 1. */
PG_FUNCTION_INFO_V1(vc_search_batch);
Datum
vc_search_batch(PG_FUNCTION_ARGS)
{
	VcSearch search;
	ResultSink sink = {.query_no = 0};
	char *name = vc_arg_name(fcinfo, 0, "name");
	ArrayType *queries;
	Oid query_type;
	Datum *values;
	bool *nulls;
	int16 typlen;
	bool typbyval;
	char typalign;
	int n;

	vc_arg_required(fcinfo, 1, "queries");
	queries = PG_GETARG_ARRAYTYPE_P(1);
	query_type = ARR_ELEMTYPE(queries);
	vc_search_init(&search, name, VC_ARG_CSTRING(6), query_type);
	vc_search_arguments(&search, fcinfo, 2);
	get_typlenbyvalalign(query_type, &typlen, &typbyval, &typalign);
	deconstruct_array(queries, query_type, typlen, typbyval, typalign, &values, &nulls, &n);
	for (int i = 0; i < n; i++)
		if (nulls[i])
			ereport(ERROR, (vc_errcode(VC_E_MISSING_PARAMETER), errmsg("query %d is missing", i + 1),
							errdetail("The element is null."), errhint("Leave it out of the array.")));
	vc_result_start(&sink.result, fcinfo);
	SPI_connect();
	for (int i = 0; i < n; i++)
	{
		sink.query_no = i + 1;
		search.st = NULL;
		vc_search_query(&search, values[i], query_type);
		vc_search_run(&search, put_hit, &sink);
	}
	SPI_finish();
	return (Datum)0;
}

/*
 * range_search(name, query, radius, range_filter, filter, search_params, output_fields, anns_field, partition_names,
 * top_k, skip, filter_params)
 */
PG_FUNCTION_INFO_V1(vc_range_search);
Datum
vc_range_search(PG_FUNCTION_ARGS)
{
	VcSearch search;
	ResultSink sink = {.query_no = 0};
	char *name = vc_arg_name(fcinfo, 0, "name");
	Oid query_type = get_fn_expr_argtype(fcinfo->flinfo, 1);

	vc_arg_required(fcinfo, 1, "query");
	vc_arg_required(fcinfo, 2, "radius");
	vc_search_init(&search, name, VC_ARG_CSTRING(7), query_type);
	vc_search_query(&search, PG_GETARG_DATUM(1), query_type);
	vc_search_limits(&search, PG_ARGISNULL(9), PG_ARGISNULL(9) ? 0 : PG_GETARG_INT32(9), PG_ARGISNULL(10),
					 PG_ARGISNULL(10) ? 0 : PG_GETARG_INT32(10));
	search.radius = PG_GETARG_FLOAT8(2);
	search.has_radius = true;
	search.has_range_filter = !PG_ARGISNULL(3);
	search.range_filter = PG_ARGISNULL(3) ? 0 : PG_GETARG_FLOAT8(3);
	if (isnan(search.radius) || isnan(search.range_filter))
		ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER), errmsg("radius and range_filter must be numbers"),
						errdetail("One of them is NaN."), errhint("Pass finite numbers.")));
	search.filter = VC_ARG_TEXT(4);
	vc_search_params(&search, VC_ARG_JSONB(5));
	search.entity = vc_entity_plan(search.coll, VC_ARG_ARRAY(6));
	search.partition_names = VC_ARG_ARRAY(8);
	search.filter_params = VC_ARG_JSONB(11);
	vc_result_start(&sink.result, fcinfo);
	SPI_connect();
	vc_search_run(&search, put_hit, &sink);
	SPI_finish();
	return (Datum)0;
}

/* explain_search(as search): the plan of the statement a search runs, one line a row. */
PG_FUNCTION_INFO_V1(vc_explain_search);
Datum
vc_explain_search(PG_FUNCTION_ARGS)
{
	VcSearch search;
	VcResult result;
	VcStatement st;
	char *name = vc_arg_name(fcinfo, 0, "name");
	Oid query_type = get_fn_expr_argtype(fcinfo->flinfo, 1);
	int level;

	vc_arg_required(fcinfo, 1, "query");
	vc_search_init(&search, name, VC_ARG_CSTRING(6), query_type);
	vc_search_query(&search, PG_GETARG_DATUM(1), query_type);
	vc_search_arguments(&search, fcinfo, 2);
	vc_result_start(&result, fcinfo);
	SPI_connect();
	vc_statement_init(&st);
	appendStringInfoString(&st.sql, PG_GETARG_BOOL(10) ? "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) "
													   : "EXPLAIN (COSTS OFF) ");
	if (stops_early(&search))
		appendStringInfoString(&st.sql, "DECLARE search NO SCROLL CURSOR FOR "); /* planned like the search */
	search.st = &st;
	level = push_settings(&search);
	vc_search_build(&search);
	vc_statement_run(&st, search.coll, false, NULL);
	pop_settings(level);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool nulls[1] = {false};
		Datum line = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, nulls);

		vc_result_put(&result, &line, nulls);
	}
	SPI_finish();
	return (Datum)0;
}

/* search_text(name, query text, text_field, top_k, ...): full text by relevance. */
PG_FUNCTION_INFO_V1(vc_search_text);
Datum
vc_search_text(PG_FUNCTION_ARGS)
{
	VcSearch search;
	ResultSink sink = {.query_no = 0};
	char *name = vc_arg_name(fcinfo, 0, "name");
	char *text_field;

	vc_arg_required(fcinfo, 1, "query");
	text_field = vc_arg_name(fcinfo, 2, "text_field");
	vc_search_init(&search, name, NULL, InvalidOid);
	vc_search_text_field(&search, text_field);
	search.words = PG_GETARG_TEXT_PP(1);
	vc_search_limits(&search, PG_ARGISNULL(3), PG_ARGISNULL(3) ? 0 : PG_GETARG_INT32(3), PG_ARGISNULL(7),
					 PG_ARGISNULL(7) ? 0 : PG_GETARG_INT32(7));
	search.filter = VC_ARG_TEXT(4);
	search.entity = vc_entity_plan(search.coll, VC_ARG_ARRAY(5));
	search.partition_names = VC_ARG_ARRAY(6);
	search.filter_params = VC_ARG_JSONB(8);
	vc_result_start(&sink.result, fcinfo);
	SPI_connect();
	vc_search_run(&search, put_hit, &sink);
	SPI_finish();
	return (Datum)0;
}
