/*
 * search_iterator.c
 *		search_iterator: one search in batches, each continued by the state that came with the batch before. See search.h.
 *
 * A state says where a walk is: distance and key of its last row. Whoever has it can go on, in this transaction or another,
 * in this session or another. Within a transaction the walk also leaves a cursor open, remembered under a hash of the
 * request and the state; the batch that follows takes its rows from there, so a walk over n rows costs one scan however
 * small its batches are. Without the cursor (another transaction, a rollback to a savepoint, too many walks at once) the
 * search begins anew and passes over what was seen.
 *
 * An open cursor keeps the table in use, as any cursor does, and DDL in the same session would be refused. So the functions
 * that change a collection close its walks first; DDL by hand finds them closed once the walk or the transaction has ended.
 */
#include "search.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "common/shortest_dec.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "value.h"

#define MAX_WALKS 8

typedef struct WalkKey
{
	uint64 low; /* two hashes: 128 bits do not collide by chance */
	uint64 high;
} WalkKey;

typedef struct Walk
{
	char portal[NAMEDATALEN]; /* by name, which the server never gives twice: it may be closed behind our back */
	Oid relid;
	uint64 used;
	WalkKey key;
} Walk;

static Walk walks[MAX_WALKS];
static uint64 walks_used = 0;

/* ---- what is asked for, as a hash ---- */

static void
add_bytes(WalkKey *key, const void *bytes, size_t length)
{
	key->low = hash_combine64(key->low, hash_bytes_extended(bytes, (int)length, 1));
	key->high = hash_combine64(key->high, hash_bytes_extended(bytes, (int)length, 2));
}

static void
add_param(WalkKey *key, Oid type, Datum value)
{
	int16 typlen;
	bool typbyval;

	get_typlenbyval(type, &typlen, &typbyval);
	add_bytes(key, &type, sizeof(type));
	if (typbyval)
		add_bytes(key, &value, sizeof(value));
	else if (typlen > 0)
		add_bytes(key, DatumGetPointer(value), typlen);
	else
	{
		struct varlena *bytes = PG_DETOAST_DATUM_PACKED(value);

		add_bytes(key, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	}
}

/* Of the statement as it is for the first batch, before it says where to go on; who asks; and how. */
static WalkKey
request_key(const VcSearch *search)
{
	const VcStatement *st = search->st;
	Oid user = GetUserId();
	WalkKey key = {0};

	add_bytes(&key, &user, sizeof(user));
	add_bytes(&key, &search->coll->relid, sizeof(Oid));
	add_bytes(&key, st->sql.data, st->sql.len);
	for (int i = 0; i < st->nparams; i++)
		if (!st->nulls[i])
			add_param(&key, st->types[i], st->values[i]);
	for (int i = 0; i < search->nsettings; i++)
	{
		add_bytes(&key, search->settings[i].name, strlen(search->settings[i].name));
		add_bytes(&key, search->settings[i].value, strlen(search->settings[i].value));
	}
	return key;
}

static WalkKey
key_at(WalkKey request, const char *state)
{
	add_bytes(&request, state, strlen(state));
	return request;
}

/* ---- walks ---- */

static Portal
walk_portal(const Walk *walk)
{
	Portal portal = walk->portal[0] ? GetPortalByName(walk->portal) : NULL;

	return portal && portal->status == PORTAL_READY ? portal : NULL;
}

static void
walk_close(Walk *walk)
{
	Portal portal = walk_portal(walk);

	if (portal)
		SPI_cursor_close(portal);
	walk->portal[0] = '\0';
}

static Walk *
walk_find(WalkKey key)
{
	for (int i = 0; i < MAX_WALKS; i++)
		if (walks[i].key.low == key.low && walks[i].key.high == key.high && walk_portal(&walks[i]))
			return &walks[i];
	return NULL;
}

/* The least recently used one makes room. */
static Walk *
walk_open(VcSearch *search)
{
	Walk *walk = &walks[0];
	Portal portal = vc_search_open(search);

	for (int i = 0; i < MAX_WALKS; i++)
	{
		if (walk_portal(&walks[i]) == NULL)
			walks[i].used = 0;
		if (walks[i].used < walk->used)
			walk = &walks[i];
	}
	walk_close(walk);
	strlcpy(walk->portal, portal->name, sizeof(walk->portal));
	walk->relid = search->coll->relid;
	return walk;
}

void
vc_search_close_walks(Oid relid)
{
	for (int i = 0; i < MAX_WALKS; i++)
		if (walks[i].relid == relid)
			walk_close(&walks[i]);
}

/* ---- the function ---- */

/* "distance:id": a double in its shortest exact form, and the key. */
static void
parse_state(VcSearch *search, char *state)
{
	char *colon = strchr(state, ':');
	char *end;

	if (colon)
	{
		search->resume_distance = strtod(state, &end);
		if (end == colon && end != state)
		{
			search->resume = true;
			search->resume_id = vc_value_id(&search->coll->fields[search->coll->primary], colon + 1);
			return;
		}
	}
	ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER), errmsg("invalid iterator state \"%s\"", state),
					errdetail("It is not what search_iterator returned."),
					errhint("Pass the state of the last row of the batch before.")));
}

typedef struct BatchSink
{
	VcResult result;
	MemoryContext context;
	char *state; /* of the last row */
} BatchSink;

static bool
put_iterator_hit(void *arg, VcSearch *search, VcHit *hit)
{
	BatchSink *sink = arg;
	Datum values[5];
	bool nulls[5] = {false};
	char number[DOUBLE_SHORTEST_DECIMAL_LEN];
	text *id = vc_entity_id(search->coll->fields[search->coll->primary].typid, hit->id);

	if (sink->state)
		pfree(sink->state);
	double_to_shortest_decimal_buf(hit->distance, number);
	sink->state = MemoryContextStrdup(sink->context, psprintf("%s:%s", number, text_to_cstring(id)));
	values[0] = PointerGetDatum(id);
	values[1] = Float8GetDatum(hit->distance);
	values[2] = Float8GetDatum(hit->score);
	values[3] = JsonbPGetDatum(vc_entity_build(search->entity, hit->slot, hit->entity_column));
	values[4] = CStringGetTextDatum(sink->state);
	vc_result_put(&sink->result, values, nulls);
	return true;
}

/*
 * search_iterator(name, query, batch_size, filter, search_params, output_fields, anns_field, partition_names, skip,
 * filter_params, state): one batch, and with each row the state that continues behind it.
 */
PG_FUNCTION_INFO_V1(vc_search_iterator);
Datum
vc_search_iterator(PG_FUNCTION_ARGS)
{
	VcSearch search;
	VcStatement st;
	BatchSink sink = {.context = CurrentMemoryContext};
	char *name = vc_arg_name(fcinfo, 0, "name");
	char *state = VC_ARG_CSTRING(10);
	Oid query_type = get_fn_expr_argtype(fcinfo->flinfo, 1);
	int batch_size;
	WalkKey request;
	Walk *walk;

	vc_arg_required(fcinfo, 1, "query");
	vc_search_init(&search, name, VC_ARG_CSTRING(6), query_type);
	vc_search_query(&search, PG_GETARG_DATUM(1), query_type);
	vc_search_arguments(&search, fcinfo, 2);
	batch_size = search.top_k;
	search.top_k = 0; /* fetching says how many */
	search.round_decimal = -1; /* the state is exact */
	search.order_by_id = true;
	vc_result_start(&sink.result, fcinfo);
	SPI_connect();
	vc_statement_init(&st);
	search.st = &st;
	vc_search_build(&search);
	request = request_key(&search);
	walk = state ? walk_find(key_at(request, state)) : NULL;
	if (walk == NULL)
	{
		if (state)
		{
			parse_state(&search, state);
			search.skip = 0; /* it was left out at the beginning */
			vc_statement_init(&st);
			vc_search_build(&search);
		}
		walk = walk_open(&search);
	}
	walk->used = ++walks_used;
	if (vc_search_fetch(&search, walk_portal(walk), batch_size, put_iterator_hit, &sink))
		walk->key = key_at(request, sink.state);
	else
		walk_close(walk);
	SPI_finish();
	return (Datum)0;
}
