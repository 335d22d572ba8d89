/*
 * search_more.c
 *		search_groups and recommend. See search.h.
 */
#include "search.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "points.h"
#include "types/vector.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "value.h"

/* ---- search_groups ---- */

#define MAX_GROUP_SIZE 1000

/* Rows looked at beyond the last group found, for groups that are not full; strict_group_size looks at all. */
#define GROUP_PATIENCE 10

typedef struct GroupKey
{
	uint64 low; /* two hashes of the value: 128 bits do not collide by chance */
	uint64 high;
} GroupKey;

typedef struct GroupEntry
{
	GroupKey key;
	int group;
} GroupEntry;

typedef struct GroupHit
{
	Datum values[5];
	struct GroupHit *next;
} GroupHit;

typedef struct HitGroup
{
	int count;
	GroupHit *first;
	GroupHit *last;
} HitGroup;

typedef struct GroupSink
{
	MemoryContext context;
	HTAB *index;
	HitGroup *groups;
	int ngroups;
	int wanted;
	int group_size;
	int full;
	bool strict;
	int64 seen;
	int64 patience;
} GroupSink;

static bool
put_group_hit(void *arg, VcSearch *search, VcHit *hit)
{
	GroupSink *sink = arg;
	MemoryContext old;
	GroupKey key;
	GroupEntry *entry;
	HitGroup *group;
	GroupHit *row;
	Jsonb *value;
	bool found;

	sink->seen++;
	if (hit->slot->tts_isnull[hit->extra_column])
		return true;
	value = DatumGetJsonbP(hit->slot->tts_values[hit->extra_column]);
	if (JB_ROOT_IS_SCALAR(value))
	{
		JsonbValue scalar;

		JsonbExtractScalar(&value->root, &scalar);
		if (scalar.type == jbvNull)
			return true;
	}
	/* The type's own hash: 5 and 5.0 are one group. */
	key.low = DatumGetUInt64(DirectFunctionCall2(jsonb_hash_extended, JsonbPGetDatum(value), Int64GetDatum(1)));
	key.high = DatumGetUInt64(DirectFunctionCall2(jsonb_hash_extended, JsonbPGetDatum(value), Int64GetDatum(2)));
	entry = hash_search(sink->index, &key, sink->ngroups < sink->wanted ? HASH_ENTER : HASH_FIND, &found);
	if (entry && !found)
		entry->group = sink->ngroups++;
	group = entry ? &sink->groups[entry->group] : NULL;
	if (group && group->count < sink->group_size)
	{
		old = MemoryContextSwitchTo(sink->context);
		row = palloc0(sizeof(GroupHit));
		row->values[0] = JsonbPGetDatum(DatumGetJsonbPCopy(JsonbPGetDatum(value)));
		row->values[1] = PointerGetDatum(PG_DETOAST_DATUM_COPY(
			PointerGetDatum(vc_entity_id(search->coll->fields[search->coll->primary].typid, hit->id))));
		row->values[2] = Float8GetDatum(hit->distance);
		row->values[3] = Float8GetDatum(hit->score);
		row->values[4] = JsonbPGetDatum(vc_entity_build(search->entity, hit->slot, hit->entity_column));
		MemoryContextSwitchTo(old);
		if (group->last)
			group->last->next = row;
		else
			group->first = row;
		group->last = row;
		if (++group->count == sink->group_size)
			sink->full++;
	}
	if (sink->full == sink->wanted)
		return false;
	return sink->strict || sink->ngroups < sink->wanted || sink->seen < sink->patience;
}

/*
 * search_groups(name, query, group_by, top_k, filter, search_params, output_fields, anns_field, partition_names, skip,
 * filter_params, group_size, strict_group_size): the nearest rows of each of the nearest groups.
 */
PG_FUNCTION_INFO_V1(vc_search_groups);
Datum
vc_search_groups(PG_FUNCTION_ARGS)
{
	HASHCTL ctl = {.keysize = sizeof(GroupKey), .entrysize = sizeof(GroupEntry), .hcxt = CurrentMemoryContext};
	VcSearch search;
	VcStatement st;
	VcResult result;
	GroupSink sink = {.context = CurrentMemoryContext};
	char *name = vc_arg_name(fcinfo, 0, "name");
	Oid query_type = get_fn_expr_argtype(fcinfo->flinfo, 1);
	int skip;
	bool array;

	vc_arg_required(fcinfo, 1, "query");
	vc_arg_required(fcinfo, 2, "group_by");
	vc_arg_required(fcinfo, 11, "group_size");
	sink.group_size = PG_GETARG_INT32(11);
	if (sink.group_size < 1 || sink.group_size > MAX_GROUP_SIZE)
		ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER), errmsg("group_size is out of range: %d", sink.group_size),
						errdetail("It goes from 1 to %d.", MAX_GROUP_SIZE),
						errhint("Fetch further rows of a group with a filter.")));
	vc_search_init(&search, name, VC_ARG_CSTRING(7), query_type);
	vc_search_query(&search, PG_GETARG_DATUM(1), query_type);
	vc_search_arguments(&search, fcinfo, 3);
	vc_statement_init(&st);
	search.st = &st;
	search.extra_column = vc_points_value_sql(&st, search.coll, PG_GETARG_TEXT_PP(2), &array);
	skip = search.skip;
	sink.wanted = search.top_k + skip;
	sink.strict = !PG_ARGISNULL(12) && PG_GETARG_BOOL(12);
	sink.patience = (int64)sink.wanted * sink.group_size * GROUP_PATIENCE;
	sink.index = hash_create("vectorcoll groups", 128, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	sink.groups = palloc0(sizeof(HitGroup) * sink.wanted);
	search.top_k = 0; /* the sink says when to stop */
	search.skip = 0;
	vc_result_start(&result, fcinfo);
	SPI_connect();
	vc_search_run(&search, put_group_hit, &sink);
	for (int i = skip; i < sink.ngroups; i++)
		for (GroupHit *row = sink.groups[i].first; row; row = row->next)
		{
			bool nulls[5] = {false};

			vc_result_put(&result, row->values, nulls);
		}
	SPI_finish();
	return (Datum)0;
}

/* ---- recommend ---- */

#define MAX_EXAMPLES 100

typedef struct Examples
{
	int n;
	VcVector **vectors;
} Examples;

static void
add_example(Examples *examples, VcVector *vector)
{
	if (examples->n == MAX_EXAMPLES)
		ereport(ERROR, (vc_errcode(VC_E_LIMIT), errmsg("too many examples"),
						errdetail("At most %d positive and %d negative.", MAX_EXAMPLES, MAX_EXAMPLES),
						errhint("Average some of them first.")));
	examples->vectors[examples->n++] = vector;
}

/* The vectors of points, as type vector whatever the field's type. Raises when a point is not there. */
static void
add_points(VcSearch *search, Examples *examples, ArrayType *ids, Oid vector_type)
{
	VcStatement st;
	Oid arraytype;
	int count;
	Datum keys = vc_points_ids(search->coll, ids, &arraytype, &count);
	uint64 found;

	if (count == 0)
		return;
	vc_statement_init(&st);
	appendStringInfoString(&st.sql, "SELECT t.");
	vc_append_name(&st.sql, NameStr(search->field->name));
	appendStringInfo(&st.sql, "::%s FROM ", format_type_extended(vector_type, -1, FORMAT_TYPE_FORCE_QUALIFY));
	vc_append_table(&st.sql, search->coll);
	appendStringInfoString(&st.sql, " AS t WHERE t.");
	vc_append_name(&st.sql, NameStr(search->coll->fields[search->coll->primary].name));
	appendStringInfo(&st.sql, " OPERATOR(pg_catalog.=) ANY ($%d) AND t.", vc_statement_param(&st, arraytype, keys));
	vc_append_name(&st.sql, NameStr(search->field->name));
	appendStringInfoString(&st.sql, " IS NOT NULL");
	found = vc_statement_run(&st, search->coll, true, NULL);
	for (uint64 i = 0; i < found; i++)
	{
		bool isnull;

		add_example(examples, (VcVector *)PG_DETOAST_DATUM_COPY(
								  SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull)));
	}
	if (found < count)
		ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER), errmsg("an example does not exist"),
						errdetail("Of %d ids, %d have a vector in field \"%s\".", count, (int)found,
								  NameStr(search->field->name)),
						errhint("Pass ids of points of the collection, each once.")));
}

static void
add_vectors(VcSearch *search, Examples *examples, ArrayType *vectors)
{
	ArrayIterator it;
	Datum value;
	bool isnull;

	if (vectors == NULL)
		return;
	it = array_create_iterator(vectors, 0, NULL);
	while (array_iterate(it, &value, &isnull))
	{
		VcVector *vector = isnull ? NULL : DatumGetVcVector(value);

		if (vector == NULL || (search->field->dim > 0 && vector->dim != search->field->dim))
			ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER),
							errmsg("example vector has %d dimensions, field \"%s\" has %d", vector ? vector->dim : 0,
								   NameStr(search->field->name), search->field->dim),
							errdetail("A null counts as none."), errhint("Pass vectors of the field's dimension.")));
		add_example(examples, vector);
	}
	array_free_iterator(it);
}

static void
mean(const Examples *examples, double *x, int dim)
{
	for (int k = 0; k < dim; k++)
	{
		x[k] = 0;
		for (int i = 0; i < examples->n; i++)
			x[k] += examples->vectors[i]->x[k];
		x[k] /= examples->n;
	}
}

/* As far from the mean of the negative examples, beyond the mean of the positive ones, as these are from each other. */
static VcVector *
average_query(const Examples *positive, const Examples *negative)
{
	int dim = positive->vectors[0]->dim;
	double *p = palloc(sizeof(double) * dim);
	double *n = palloc(sizeof(double) * dim);
	VcVector *query = vc_vector_new(dim);

	mean(positive, p, dim);
	if (negative->n > 0)
		mean(negative, n, dim);
	for (int k = 0; k < dim; k++)
		query->x[k] = (float)(negative->n > 0 ? 2 * p[k] - n[k] : p[k]);
	return query;
}

typedef struct CandidateSink
{
	MemoryContext context;
	Datum *ids;
	int n;
	int room;
} CandidateSink;

static bool
put_candidate(void *arg, VcSearch *search, VcHit *hit)
{
	CandidateSink *sink = arg;
	MemoryContext old = MemoryContextSwitchTo(sink->context);

	if (sink->n == sink->room)
	{
		sink->room *= 2;
		sink->ids = repalloc(sink->ids, sizeof(Datum) * sink->room);
	}
	sink->ids[sink->n++] = PointerGetDatum(PG_DETOAST_DATUM_COPY(
		PointerGetDatum(vc_entity_id(search->coll->fields[search->coll->primary].typid, hit->id))));
	MemoryContextSwitchTo(old);
	return true;
}

/* The best similarity to any of the examples, as SQL; higher is nearer for every metric. */
static char *
best_similarity(VcSearch *search, const Examples *examples)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "GREATEST(");
	for (int i = 0; i < examples->n; i++)
	{
		VcSearch one = *search;

		vc_search_query(&one, PointerGetDatum(examples->vectors[i]), search->query_type);
		appendStringInfoString(&sql, i ? ", " : "");
		appendStringInfo(&sql, "%s::pg_catalog.float8 OPERATOR(pg_catalog.-) (t.",
						 search->metric == VC_METRIC_COSINE ? "1" : "0");
		vc_append_name(&sql, NameStr(search->field->name));
		vc_append_vector_operator(&sql, vc_metric_operator(search->metric));
		appendStringInfo(&sql, "$%d)", vc_statement_param(search->st, one.query_type, one.query));
	}
	appendStringInfoChar(&sql, ')');
	return sql.data;
}

/* x / (1 + |x|) moved to 0 .. 1, so that scores of positive and negative examples do not overlap. */
static char *
squash(const char *x)
{
	return psprintf("(0.5::pg_catalog.float8 OPERATOR(pg_catalog.*) (%s OPERATOR(pg_catalog./) (1::pg_catalog.float8 "
					"OPERATOR(pg_catalog.+) "
					"pg_catalog.abs(%s)) OPERATOR(pg_catalog.+) 1::pg_catalog.float8))",
					x, x);
}

typedef struct RecommendReceiver
{
	DestReceiver pub;
	VcSearch *search;
	VcResult result;
} RecommendReceiver;

static bool
receive_recommended(TupleTableSlot *slot, DestReceiver *self)
{
	RecommendReceiver *receiver = (RecommendReceiver *)self;
	VcSearch *search = receiver->search;
	MemoryContext old = MemoryContextSwitchTo(receiver->result.row);
	Datum values[4];
	bool nulls[4] = {false};

	slot_getallattrs(slot);
	values[0] = PointerGetDatum(vc_entity_id(search->coll->fields[search->coll->primary].typid, slot->tts_values[0]));
	values[2] = slot->tts_values[1];
	values[1] = Float8GetDatum(-DatumGetFloat8(slot->tts_values[1]));
	values[3] = JsonbPGetDatum(vc_entity_build(search->entity, slot, 2));
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

/*
 * best_score: each point by its nearest example, positive or negative. Candidates are the neighbours of the positive
 * examples; without positive ones every row is looked at.
 */
static void
recommend_best(VcSearch *search, Examples *positive, Examples *negative, Datum excluded, Oid excluded_type,
			   FunctionCallInfo fcinfo)
{
	RecommendReceiver receiver = {.pub = {.receiveSlot = receive_recommended,
										  .rStartup = receiver_startup,
										  .rShutdown = receiver_nothing,
										  .rDestroy = receiver_nothing,
										  .mydest = DestNone},
								  .search = search};
	CandidateSink sink = {.context = CurrentMemoryContext, .room = 256};
	const char *key_name = NameStr(search->coll->fields[search->coll->primary].name);
	Oid query_type = search->query_type;
	VcStatement st;
	StringInfoData more;
	char *score;

	sink.ids = palloc(sizeof(Datum) * sink.room);
	for (int i = 0; i < positive->n; i++)
	{
		VcSearch one = *search;

		one.st = NULL;
		one.entity = NULL;
		one.skip = 0;
		one.top_k = Min((search->top_k + search->skip) * 4 + 100, VC_SEARCH_MAX_TOP_K);
		vc_search_query(&one, PointerGetDatum(positive->vectors[i]), query_type);
		vc_search_run(&one, put_candidate, &sink);
	}
	vc_statement_init(&st);
	search->st = &st;
	initStringInfo(&more);
	appendStringInfoString(&more, "t.");
	vc_append_name(&more, NameStr(search->field->name));
	appendStringInfoString(&more, " IS NOT NULL");
	if (positive->n > 0)
	{
		Oid arraytype;
		int count;
		Datum keys = vc_points_ids(search->coll, construct_array(sink.ids, sink.n, TEXTOID, -1, false, TYPALIGN_INT),
								   &arraytype, &count);

		appendStringInfoString(&more, " AND t.");
		vc_append_name(&more, key_name);
		appendStringInfo(&more, " OPERATOR(pg_catalog.=) ANY ($%d)", vc_statement_param(&st, arraytype, keys));
	}
	appendStringInfoString(&more, " AND t.");
	vc_append_name(&more, key_name);
	appendStringInfo(&more, " OPERATOR(pg_catalog.<>) ALL ($%d)", vc_statement_param(&st, excluded_type, excluded));
	if (positive->n > 0 && negative->n > 0)
	{
		char *p = best_similarity(search, positive);
		char *n = best_similarity(search, negative);

		score = psprintf("(CASE WHEN %s OPERATOR(pg_catalog.>) %s THEN %s ELSE OPERATOR(pg_catalog.-) %s END)", p, n,
						 squash(p), squash(n));
	}
	else if (positive->n > 0)
		score = squash(best_similarity(search, positive));
	else
		score = psprintf("(OPERATOR(pg_catalog.-) %s)", squash(best_similarity(search, negative)));
	appendStringInfoString(&st.sql, "SELECT t.");
	vc_append_name(&st.sql, key_name);
	appendStringInfo(&st.sql, ", %s", score);
	vc_entity_append_columns(search->entity, &st.sql);
	appendStringInfoString(&st.sql, " FROM ");
	vc_append_table(&st.sql, search->coll);
	appendStringInfoString(&st.sql, " AS t");
	vc_append_where(&st, search->coll, search->filter, search->filter_params, search->partition_names, more.data);
	appendStringInfo(&st.sql, " ORDER BY 2 DESC, 1 LIMIT %d OFFSET %d", search->top_k, search->skip);
	vc_result_start(&receiver.result, fcinfo);
	vc_statement_run(&st, search->coll, true, &receiver.pub);
}

static bool
put_recommended(void *arg, VcSearch *search, VcHit *hit)
{
	VcResult *result = arg;
	Datum values[4];
	bool nulls[4] = {false};

	values[0] = PointerGetDatum(vc_entity_id(search->coll->fields[search->coll->primary].typid, hit->id));
	values[1] = Float8GetDatum(hit->distance);
	values[2] = Float8GetDatum(hit->score);
	values[3] = JsonbPGetDatum(vc_entity_build(search->entity, hit->slot, hit->entity_column));
	vc_result_put(result, values, nulls);
	return true;
}

/* The examples' own points are no recommendation. */
static Datum
excluded_ids(VcSearch *search, ArrayType *positive, ArrayType *negative, Oid *arraytype)
{
	Datum *values[2] = {NULL, NULL};
	Datum *all;
	bool *nulls;
	int n[2] = {0, 0};
	int count;

	if (positive)
		deconstruct_array(positive, TEXTOID, -1, false, TYPALIGN_INT, &values[0], &nulls, &n[0]);
	if (negative)
		deconstruct_array(negative, TEXTOID, -1, false, TYPALIGN_INT, &values[1], &nulls, &n[1]);
	all = palloc(sizeof(Datum) * (n[0] + n[1] + 1));
	for (int i = 0; i < n[0] + n[1]; i++)
		all[i] = i < n[0] ? values[0][i] : values[1][i - n[0]];
	return vc_points_ids(search->coll, construct_array(all, n[0] + n[1], TEXTOID, -1, false, TYPALIGN_INT), arraytype,
						 &count);
}

/*
 * recommend(name, positive, negative, top_k, filter, search_params, output_fields, anns_field, partition_names, skip,
 * filter_params, strategy, positive_vectors, negative_vectors)
 */
PG_FUNCTION_INFO_V1(vc_recommend);
Datum
vc_recommend(PG_FUNCTION_ARGS)
{
	VcSearch search;
	char *name = vc_arg_name(fcinfo, 0, "name");
	char *strategy = vc_arg_name(fcinfo, 11, "strategy");
	Oid vector_type = get_element_type(get_fn_expr_argtype(fcinfo->flinfo, 12));
	VcVector *room[2][MAX_EXAMPLES];
	Examples positive = {.vectors = room[0]};
	Examples negative = {.vectors = room[1]};
	bool best = strcmp(strategy, "best_score") == 0;
	Oid excluded_type;
	Datum excluded;

	if (!best && strcmp(strategy, "average_vector") != 0)
		ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER), errmsg("unknown strategy \"%s\"", strategy),
						errdetail("It says how several examples become one order."),
						errhint("Use average_vector or best_score.")));
	vc_search_init(&search, name, VC_ARG_CSTRING(7), vector_type);
	vc_search_arguments(&search, fcinfo, 3);
	excluded = excluded_ids(&search, VC_ARG_ARRAY(1), VC_ARG_ARRAY(2), &excluded_type);
	SPI_connect();
	if (VC_ARG_ARRAY(1))
		add_points(&search, &positive, VC_ARG_ARRAY(1), vector_type);
	if (VC_ARG_ARRAY(2))
		add_points(&search, &negative, VC_ARG_ARRAY(2), vector_type);
	add_vectors(&search, &positive, VC_ARG_ARRAY(12));
	add_vectors(&search, &negative, VC_ARG_ARRAY(13));
	if (positive.n == 0 && (!best || negative.n == 0))
		ereport(ERROR, (vc_errcode(VC_E_MISSING_PARAMETER), errmsg("recommend needs a positive example"),
						errdetail("positive and positive_vectors are empty."),
						errhint("Pass ids or vectors; strategy best_score also takes negative examples alone.")));
	search.query_type = vector_type;
	if (best)
		recommend_best(&search, &positive, &negative, excluded, excluded_type, fcinfo);
	else
	{
		VcStatement st;
		VcResult result;
		StringInfoData more;

		vc_statement_init(&st);
		search.st = &st;
		initStringInfo(&more);
		appendStringInfoString(&more, "t.");
		vc_append_name(&more, NameStr(search.coll->fields[search.coll->primary].name));
		appendStringInfo(&more, " OPERATOR(pg_catalog.<>) ALL ($%d)", vc_statement_param(&st, excluded_type, excluded));
		search.extra_condition = more.data;
		vc_search_query(&search, PointerGetDatum(average_query(&positive, &negative)), vector_type);
		vc_result_start(&result, fcinfo);
		vc_search_run(&search, put_recommended, &result);
	}
	SPI_finish();
	return (Datum)0;
}
