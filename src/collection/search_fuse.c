/*
 * search_fuse.c
 *		hybrid_search: several searches of one collection, over dense and sparse vectors and text, fused into one order.
 *
 *   rrf        each list gives a row 1 / (k + its rank); ranks count from 1 (Cormack, Clarke, Buettcher 2009)
 *   weighted   each list gives a row its score, brought to 0 .. 1 by the metric's own range, times the list's weight
 *   dbsf       each list gives a row its score, brought to 0 .. 1 by mean and three standard deviations of the list
 */
#include "search.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "points.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "value.h"

#define MAX_REQUESTS 16
#define MAX_WINDOW VC_SEARCH_MAX_TOP_K

typedef enum FuseMethod
{
	FUSE_RRF,
	FUSE_WEIGHTED,
	FUSE_DBSF
} FuseMethod;

typedef struct FuseHit
{
	char *id;
	double score; /* of its list, then its part of the fused score */
	int rank;     /* in its list, from 1 */
} FuseHit;

typedef struct FuseList
{
	MemoryContext context;
	VcMetric metric;
	double weight;
	FuseHit *hits;
	int nhits;
	int room;
} FuseList;

/* ---- requests ---- */

static const char request_keys[] =
	"A request has anns_field, data, and may have limit, search_params, filter and weight.";

static void
bad_request(int number, const char *message)
{
	ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER), errmsg("invalid request %d: %s", number, message),
					errdetail("It is element %d of requests.", number), errhint("%s", request_keys)));
}

static JsonbValue *
member(JsonbContainer *object, const char *key)
{
	JsonbValue *value = getKeyJsonValueFromContainer(object, key, strlen(key), NULL);

	return value && value->type == jbvNull ? NULL : value;
}

static double
number_member(JsonbValue *value, int number, const char *message)
{
	if (value->type != jbvNumeric)
		bad_request(number, message);
	return DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value->val.numeric)));
}

static void
check_keys(JsonbContainer *object, int number)
{
	static const char *const known[] = {"anns_field", "data",   "limit",  "top_k", "search_params",
										"param",      "params", "filter", "expr",  "weight"};
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbIteratorToken token;
	JsonbValue item;

	while ((token = JsonbIteratorNext(&it, &item, true)) != WJB_DONE)
	{
		bool found = token != WJB_KEY;

		for (int i = 0; !found && i < lengthof(known); i++)
			found = item.val.string.len == strlen(known[i]) &&
					memcmp(item.val.string.val, known[i], item.val.string.len) == 0;
		if (!found)
			bad_request(number, psprintf("unknown key \"%.*s\"", Min(item.val.string.len, 63), item.val.string.val));
	}
}

/* The query: a value of the field as an insert takes it, in a list of one as Milvus writes it, or words for a text
 * field. */
static void
read_data(VcSearch *search, JsonbValue *data, int number)
{
	if (!VC_DTYPE_IS_VECTOR(search->field->dtype))
	{
		if (data->type != jbvString)
			bad_request(number, "data for a text field must be a string");
		search->words = cstring_to_text_with_len(data->val.string.val, data->val.string.len);
		return;
	}
	if (data->type == jbvBinary && JsonContainerIsArray(data->val.binary.data) &&
		JsonContainerSize(data->val.binary.data) == 1)
	{
		JsonbValue *only = getIthJsonbValueFromContainer(data->val.binary.data, 0);

		if (only && (only->type == jbvBinary || only->type == jbvString))
			data = only;
	}
	search->query = vc_value_from_json(search->field, data, 0);
	search->query_type = search->field->typid;
}

static void
read_request(VcSearch *search, FuseList *list, const char *name, JsonbContainer *object, int number, int window)
{
	JsonbValue *field = member(object, "anns_field");
	JsonbValue *data = member(object, "data");
	JsonbValue *limit = member(object, "limit") ? member(object, "limit") : member(object, "top_k");
	JsonbValue *params = member(object, "search_params");
	JsonbValue *filter = member(object, "filter") ? member(object, "filter") : member(object, "expr");
	JsonbValue *weight = member(object, "weight");
	const VcField *found;
	char *field_name;

	check_keys(object, number);
	if (field == NULL || field->type != jbvString || data == NULL)
		bad_request(number, "anns_field and data are required");
	vc_search_init(search, name, NULL, InvalidOid);
	field_name = pnstrdup(field->val.string.val, field->val.string.len);
	found = vc_collection_field(search->coll, field_name);
	if (found && VC_DTYPE_IS_VECTOR(found->dtype))
	{
		search->field = found;
		search->metric = found->metric;
	}
	else
		vc_search_text_field(search, field_name);
	read_data(search, data, number);
	search->top_k = window;
	if (limit)
	{
		double d = number_member(limit, number, "limit must be an integer");

		if (d != floor(d) || d < 1 || d > MAX_WINDOW)
			bad_request(number, psprintf("limit must be an integer from 1 to %d", MAX_WINDOW));
		search->top_k = (int)d;
	}
	if (params == NULL)
		params = member(object, "param") ? member(object, "param") : member(object, "params");
	if (params)
	{
		if (params->type != jbvBinary || !JsonContainerIsObject(params->val.binary.data))
			bad_request(number, "search_params must be an object");
		vc_search_params(search, JsonbValueToJsonb(params));
	}
	if (filter)
	{
		if (filter->type == jbvString)
			search->second_filter = cstring_to_text_with_len(filter->val.string.val, filter->val.string.len);
		else if (filter->type == jbvBinary && JsonContainerIsObject(filter->val.binary.data))
			search->second_filter =
				cstring_to_text(JsonbToCString(NULL, filter->val.binary.data, filter->val.binary.len));
		else
			bad_request(number, "filter must be a string or an object");
	}
	list->metric = search->metric;
	list->weight = weight ? number_member(weight, number, "weight must be a number") : 1;
}

/* ---- lists ---- */

static bool
put_list_hit(void *arg, VcSearch *search, VcHit *hit)
{
	FuseList *list = arg;
	MemoryContext old = MemoryContextSwitchTo(list->context);

	if (list->nhits == list->room)
	{
		list->room = list->room ? list->room * 2 : 64;
		list->hits =
			list->hits ? repalloc(list->hits, sizeof(FuseHit) * list->room) : palloc(sizeof(FuseHit) * list->room);
	}
	list->hits[list->nhits].id =
		text_to_cstring(vc_entity_id(search->coll->fields[search->coll->primary].typid, hit->id));
	list->hits[list->nhits].score = hit->score;
	list->hits[list->nhits].rank = list->nhits + 1;
	list->nhits++;
	MemoryContextSwitchTo(old);
	return true;
}

/* A score in 0 .. 1, higher better: what the weighted ranker of Milvus does for each metric. */
static double
normal_score(VcMetric metric, double score)
{
	switch (metric)
	{
	case VC_METRIC_COSINE:
		return (1 + score) / 2;
	case VC_METRIC_IP:
		return 0.5 + atan(score) / M_PI;
	case VC_METRIC_NONE: /* relevance of text, never negative */
		return 2 * atan(score) / M_PI;
	default:
		return 1 - 2 * atan(score) / M_PI;
	}
}

static bool
lower_is_better(VcMetric metric)
{
	return metric != VC_METRIC_COSINE && metric != VC_METRIC_IP && metric != VC_METRIC_NONE;
}

static void
dbsf_scores(FuseList *list)
{
	double sum = 0;
	double squares = 0;
	double deviation;

	for (int i = 0; i < list->nhits; i++)
	{
		if (lower_is_better(list->metric))
			list->hits[i].score = -list->hits[i].score;
		sum += list->hits[i].score;
	}
	sum /= Max(list->nhits, 1);
	for (int i = 0; i < list->nhits; i++)
		squares += (list->hits[i].score - sum) * (list->hits[i].score - sum);
	deviation = list->nhits > 1 ? sqrt(squares / (list->nhits - 1)) : 0;
	for (int i = 0; i < list->nhits; i++)
		list->hits[i].score =
			deviation > 0 ? Max(0, Min(1, (list->hits[i].score - sum + 3 * deviation) / (6 * deviation))) : 0.5;
}

static void
score_list(FuseList *list, FuseMethod method, double k)
{
	if (method == FUSE_DBSF)
		dbsf_scores(list);
	for (int i = 0; i < list->nhits; i++)
	{
		FuseHit *hit = &list->hits[i];

		if (method == FUSE_RRF)
			hit->score = 1 / (k + hit->rank);
		else if (method == FUSE_WEIGHTED)
			hit->score = list->weight * normal_score(list->metric, hit->score);
		if (isnan(hit->score))
			hit->score = 0;
	}
}

static int
compare_ids(const void *a, const void *b)
{
	return strcmp(((const FuseHit *)a)->id, ((const FuseHit *)b)->id);
}

static int
compare_fused(const void *a, const void *b)
{
	const FuseHit *left = a;
	const FuseHit *right = b;

	if (left->score != right->score)
		return left->score > right->score ? -1 : 1;
	return strcmp(left->id, right->id);
}

/* All lists in one, a row's parts added up, best first. */
static FuseHit *
fuse(FuseList *lists, int nlists, int *nfused)
{
	FuseHit *all;
	int total = 0;
	int n = 0;

	for (int i = 0; i < nlists; i++)
		total += lists[i].nhits;
	all = palloc(sizeof(FuseHit) * (total + 1));
	for (int i = 0; i < nlists; i++)
		for (int k = 0; k < lists[i].nhits; k++)
			all[n++] = lists[i].hits[k];
	qsort(all, total, sizeof(FuseHit), compare_ids);
	n = 0;
	for (int i = 0; i < total; i++)
	{
		if (n > 0 && strcmp(all[n - 1].id, all[i].id) == 0)
			all[n - 1].score += all[i].score;
		else
			all[n++] = all[i];
	}
	qsort(all, n, sizeof(FuseHit), compare_fused);
	*nfused = n;
	return all;
}

/* ---- arguments of the ranker ---- */

static void
bad_rerank(const char *message)
{
	ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER), errmsg("invalid rerank_params: %s", message),
					errdetail("rrf takes {\"k\": 60}, weighted {\"weights\": [0.7, 0.3]}, dbsf nothing."),
					errhint("Leave rerank_params out for the defaults.")));
}

static void
read_weights(JsonbValue *value, FuseList *lists, int nlists)
{
	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data) ||
		JsonContainerSize(value->val.binary.data) != nlists)
		bad_rerank(psprintf("weights must be an array of %d numbers, one a request", nlists));
	for (int i = 0; i < nlists; i++)
	{
		JsonbValue *weight = getIthJsonbValueFromContainer(value->val.binary.data, i);

		if (weight->type != jbvNumeric)
			bad_rerank("weights must be numbers");
		lists[i].weight =
			DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(weight->val.numeric)));
		if (!(lists[i].weight >= 0 && lists[i].weight <= 1))
			bad_rerank("weights go from 0 to 1");
	}
}

static FuseMethod
read_rerank(const char *name, Jsonb *params, FuseList *lists, int nlists, double *k)
{
	FuseMethod method = FUSE_RRF;
	const char *key = "k";
	JsonbValue *value;

	if (strcmp(name, "weighted") == 0)
		method = FUSE_WEIGHTED, key = "weights";
	else if (strcmp(name, "dbsf") == 0)
		method = FUSE_DBSF, key = "";
	else if (strcmp(name, "rrf") != 0)
		ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER), errmsg("unknown rerank \"%s\"", name),
						errdetail("It says how several lists become one."), errhint("Use rrf, weighted or dbsf.")));
	*k = 60;
	if (params == NULL)
		return method;
	if (!JB_ROOT_IS_OBJECT(params))
		bad_rerank("it is not an object");
	value = member(&params->root, key);
	if (JB_ROOT_COUNT(params) != (value != NULL))
		bad_rerank(psprintf("unknown key for %s", name));
	if (value && method == FUSE_WEIGHTED)
		read_weights(value, lists, nlists);
	else if (value)
	{
		if (value->type != jbvNumeric)
			bad_rerank("k must be a number");
		*k = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value->val.numeric)));
		if (!(*k > 0 && *k < 16384))
			bad_rerank("k must be above 0 and below 16384");
	}
	return method;
}

/* ---- the result ---- */

typedef struct FusedReceiver
{
	DestReceiver pub;
	VcResult result;
	VcEntity *entity;
	const FuseHit *hits;
	int64 last;
} FusedReceiver;

static bool
receive_fused(TupleTableSlot *slot, DestReceiver *self)
{
	FusedReceiver *receiver = (FusedReceiver *)self;
	MemoryContext old = MemoryContextSwitchTo(receiver->result.row);
	int64 place;
	Datum values[4];
	bool nulls[4] = {false};

	slot_getallattrs(slot);
	place = DatumGetInt64(slot->tts_values[0]);
	/* One key may be in several named partitions; the lists knew it as one. */
	if (place != receiver->last)
	{
		const FuseHit *hit = &receiver->hits[place - 1];

		values[0] = CStringGetTextDatum(hit->id);
		values[1] = Float8GetDatum(-hit->score);
		values[2] = Float8GetDatum(hit->score);
		values[3] = JsonbPGetDatum(vc_entity_build(receiver->entity, slot, 1));
		vc_result_put(&receiver->result, values, nulls);
	}
	receiver->last = place;
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

static void
return_fused(VcSearch *search, const FuseHit *hits, int n, FunctionCallInfo fcinfo)
{
	FusedReceiver receiver = {.pub = {.receiveSlot = receive_fused,
									  .rStartup = receiver_startup,
									  .rShutdown = receiver_nothing,
									  .rDestroy = receiver_nothing,
									  .mydest = DestNone},
							  .entity = search->entity,
							  .hits = hits};
	Datum *ids = palloc(sizeof(Datum) * (n + 1));
	VcStatement st;
	Oid arraytype;
	Datum keys;
	int count;

	for (int i = 0; i < n; i++)
		ids[i] = CStringGetTextDatum(hits[i].id);
	keys = vc_points_ids(search->coll, construct_array(ids, n, TEXTOID, -1, false, TYPALIGN_INT), &arraytype, &count);
	vc_statement_init(&st);
	appendStringInfoString(&st.sql, "SELECT k.n");
	vc_entity_append_columns(search->entity, &st.sql);
	appendStringInfoString(&st.sql, " FROM ");
	vc_append_table(&st.sql, search->coll);
	appendStringInfo(&st.sql, " AS t JOIN pg_catalog.unnest($%d) WITH ORDINALITY AS k(id, n) ON t.",
					 vc_statement_param(&st, arraytype, keys));
	vc_append_name(&st.sql, NameStr(search->coll->fields[search->coll->primary].name));
	appendStringInfoString(&st.sql, " OPERATOR(pg_catalog.=) k.id");
	vc_append_where(&st, search->coll, NULL, NULL, search->partition_names, NULL);
	appendStringInfoString(&st.sql, " ORDER BY k.n");
	vc_result_start(&receiver.result, fcinfo);
	vc_statement_run(&st, search->coll, true, &receiver.pub);
}

/*
 * hybrid_search(name, requests jsonb, rerank, top_k, filter, rerank_params, output_fields, partition_names, skip,
 * filter_params)
 */
PG_FUNCTION_INFO_V1(vc_hybrid_search);
Datum
vc_hybrid_search(PG_FUNCTION_ARGS)
{
	char *name = vc_arg_name(fcinfo, 0, "name");
	Jsonb *requests;
	FuseList lists[MAX_REQUESTS];
	VcSearch searches[MAX_REQUESTS];
	VcSearch outer;
	FuseMethod method;
	FuseHit *fused;
	double k;
	int n;
	int nfused;

	vc_arg_required(fcinfo, 1, "requests");
	vc_arg_required(fcinfo, 2, "rerank");
	vc_search_init(&outer, name, NULL, InvalidOid);
	vc_search_limits(&outer, PG_ARGISNULL(3), PG_ARGISNULL(3) ? 0 : PG_GETARG_INT32(3), PG_ARGISNULL(8),
					 PG_ARGISNULL(8) ? 0 : PG_GETARG_INT32(8));
	outer.entity = vc_entity_plan(outer.coll, VC_ARG_ARRAY(6));
	outer.partition_names = VC_ARG_ARRAY(7);
	requests = PG_GETARG_JSONB_P(1);
	if (!JB_ROOT_IS_ARRAY(requests) || JB_ROOT_IS_SCALAR(requests) || JB_ROOT_COUNT(requests) < 1 ||
		JB_ROOT_COUNT(requests) > MAX_REQUESTS)
		ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER),
						errmsg("requests must be an array of 1 to %d objects", MAX_REQUESTS),
						errdetail("Each is one search to fuse."), errhint("%s", request_keys)));
	n = JB_ROOT_COUNT(requests);
	memset(lists, 0, sizeof(lists));
	for (int i = 0; i < n; i++)
	{
		JsonbValue *request = getIthJsonbValueFromContainer(&requests->root, i);

		if (request->type != jbvBinary || !JsonContainerIsObject(request->val.binary.data))
			bad_request(i + 1, "it is not an object");
		read_request(&searches[i], &lists[i], name, request->val.binary.data, i + 1,
					 Min(outer.top_k + outer.skip, MAX_WINDOW));
		searches[i].filter = VC_ARG_TEXT(4);
		searches[i].filter_params = VC_ARG_JSONB(9);
		searches[i].partition_names = outer.partition_names;
	}
	method = read_rerank(text_to_cstring(PG_GETARG_TEXT_PP(2)), VC_ARG_JSONB(5), lists, n, &k);
	SPI_connect();
	for (int i = 0; i < n; i++)
	{
		lists[i].context = CurrentMemoryContext;
		vc_search_run(&searches[i], put_list_hit, &lists[i]);
		score_list(&lists[i], method, k);
	}
	fused = fuse(lists, n, &nfused);
	outer.skip = Min(outer.skip, nfused);
	return_fused(&outer, fused + outer.skip, Min(outer.top_k, nfused - outer.skip), fcinfo);
	SPI_finish();
	return (Datum)0;
}
