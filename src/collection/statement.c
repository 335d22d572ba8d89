/*
 * statement.c
 *		Building, planning, caching and running the SQL behind the functions on points and search. See statement.h.
 *
 * The plan cache is a hash table with a bound: each entry holds a saved SPI plan, which locks and revalidates itself
 * (plancache.c). A table that is renamed gets new text and with it a new entry; the old one falls out when the least
 * recently used entry makes room. Plans for tables that are gone are freed before the next one is made.
 */
#include "statement.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "nodes/params.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#define PLAN_CACHE_SIZE 512

typedef struct PlanKey
{
	Oid relid;
	uint32 length;
	uint64 hash; /* of the text and the parameter types */
} PlanKey;

typedef struct PlanEntry
{
	PlanKey key;
	dlist_node lru;
	SPIPlanPtr plan;
	char *sql;
	Oid *types;
	int nparams;
	int running; /* executions on the stack: a trigger or policy may search while it inserts; not evicted meanwhile */
} PlanEntry;

static char extension_schema[NAMEDATALEN] = "";

static void
forget_extension_schema(Datum arg, int cacheid, uint32 hash)
{
	extension_schema[0] = '\0';
}

static HTAB *plans = NULL;
static dlist_head plans_by_use = DLIST_STATIC_INIT(plans_by_use);
static int nplans = 0;
static bool tables_changed = false; /* since the plans were looked through for tables that are gone */

void
vc_statement_init(VcStatement *st)
{
	memset(st, 0, sizeof(*st));
	initStringInfo(&st->sql);
	st->room = 8;
	st->types = palloc(sizeof(Oid) * st->room);
	st->values = palloc(sizeof(Datum) * st->room);
	st->nulls = palloc(sizeof(bool) * st->room);
}

int
vc_statement_param_or_null(VcStatement *st, Oid type, Datum value, bool isnull)
{
	if (st->nparams >= VC_STATEMENT_MAX_PARAMS)
		ereport(ERROR, (vc_errcode(VC_E_LIMIT), errmsg("statement has too many parameters"),
						errdetail("At most %d constants and fields fit in one statement.", VC_STATEMENT_MAX_PARAMS),
						errhint("Write long lists with \"in\" instead of chains of \"or\".")));
	if (st->nparams == st->room)
	{
		st->room *= 2;
		st->types = repalloc(st->types, sizeof(Oid) * st->room);
		st->values = repalloc(st->values, sizeof(Datum) * st->room);
		st->nulls = repalloc(st->nulls, sizeof(bool) * st->room);
	}
	st->types[st->nparams] = type;
	st->values[st->nparams] = value;
	st->nulls[st->nparams] = isnull;
	return ++st->nparams;
}

int
vc_statement_param(VcStatement *st, Oid type, Datum value)
{
	return vc_statement_param_or_null(st, type, value, false);
}

/* Always quoted: whether a bare name would do depends on the server's list of key words. */
void
vc_append_name(StringInfo out, const char *name)
{
	appendStringInfoChar(out, '"');
	for (; *name; name++)
	{
		if (*name == '"')
			appendStringInfoChar(out, '"');
		appendStringInfoChar(out, *name);
	}
	appendStringInfoChar(out, '"');
}

void
vc_append_table(StringInfo out, const VcCollection *coll)
{
	vc_append_name(out, NameStr(coll->nspname));
	appendStringInfoChar(out, '.');
	vc_append_name(out, NameStr(coll->relname));
}

/* The schema our types and operators are in, remembered until the catalogues that say so change. */
static const char *
extension_schema_name(void)
{
	static bool registered = false;

	if (!registered)
	{
		CacheRegisterSyscacheCallback(TYPEOID, forget_extension_schema, (Datum)0);
		CacheRegisterSyscacheCallback(NAMESPACEOID, forget_extension_schema, (Datum)0);
		registered = true;
	}
	if (extension_schema[0] == '\0')
	{
		char *name = get_namespace_name(vc_extension_schema());

		strlcpy(extension_schema, name, sizeof(extension_schema));
	}
	return extension_schema;
}

void
vc_append_vector_operator(StringInfo out, const char *operator)
{
	appendStringInfoString(out, " OPERATOR(");
	vc_append_name(out, extension_schema_name());
	appendStringInfo(out, ".%s) ", operator);
}

static void
plan_forget(PlanEntry *entry)
{
	dlist_delete(&entry->lru);
	SPI_freeplan(entry->plan);
	pfree(entry->sql);
	pfree(entry->types);
	hash_search(plans, &entry->key, HASH_REMOVE, NULL);
	nplans--;
}

void
vc_statement_tables_changed(void)
{
	tables_changed = true;
}

/* Forgets the plans for tables that are gone. */
static void
plans_forget_dropped(void)
{
	dlist_mutable_iter iter;

	tables_changed = false;
	dlist_foreach_modify(iter, &plans_by_use)
	{
		PlanEntry *entry = dlist_container(PlanEntry, lru, iter.cur);

		if (entry->running == 0 && !SearchSysCacheExists1(RELOID, ObjectIdGetDatum(entry->key.relid)))
			plan_forget(entry);
	}
}

static SPIPlanPtr
plan_prepare(VcStatement *st)
{
	int options =
		(st->fast_start ? CURSOR_OPT_FAST_PLAN | CURSOR_OPT_NO_SCROLL : CURSOR_OPT_PARALLEL_OK) |
		(st->generic ? CURSOR_OPT_GENERIC_PLAN : 0);
	SPIPlanPtr plan = SPI_prepare_cursor(st->sql.data, st->nparams, st->types, options);

	if (plan == NULL)
		elog(ERROR, "could not prepare statement: %s", SPI_result_code_string(SPI_result));
	return plan;
}

/* Makes room for one more plan, unless all are running. */
static void
plan_evict(void)
{
	dlist_iter iter;

	dlist_reverse_foreach(iter, &plans_by_use)
	{
		PlanEntry *entry = dlist_container(PlanEntry, lru, iter.cur);

		if (entry->running == 0)
		{
			plan_forget(entry);
			return;
		}
	}
}

static bool
plan_matches(const PlanEntry *entry, const VcStatement *st)
{
	return entry->nparams == st->nparams && memcmp(entry->types, st->types, sizeof(Oid) * st->nparams) == 0 &&
		   strcmp(entry->sql, st->sql.data) == 0;
}

/* The entry with the statement's plan, made if it is not there. NULL when the place is taken by a running namesake. */
static PlanEntry *
plan_get(VcStatement *st, const VcCollection *coll)
{
	PlanKey key = {.relid = coll->relid, .length = st->sql.len};
	PlanEntry *entry;
	SPIPlanPtr plan;
	char *sql;
	Oid *types;

	if (plans == NULL)
	{
		HASHCTL ctl = {.keysize = sizeof(PlanKey), .entrysize = sizeof(PlanEntry), .hcxt = CacheMemoryContext};

		plans = hash_create("vectorcoll plans", 128, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	key.hash = hash_bytes_extended((const unsigned char *)st->sql.data, st->sql.len, st->generic + 2 * st->fast_start);
	key.hash ^= hash_bytes_extended((const unsigned char *)st->types, sizeof(Oid) * st->nparams, 1);
	entry = hash_search(plans, &key, HASH_FIND, NULL);
	if (entry && plan_matches(entry, st))
	{
		dlist_move_head(&plans_by_use, &entry->lru);
		return entry;
	}
	if (entry && entry->running > 0)
		return NULL;
	if (entry) /* two texts with one hash: the newer one stays */
		plan_forget(entry);

	if (tables_changed)
		plans_forget_dropped();
	plan = plan_prepare(st);
	if (nplans >= PLAN_CACHE_SIZE)
		plan_evict();
	if (SPI_keepplan(plan) != 0)
		elog(ERROR, "could not keep plan");
	sql = MemoryContextStrdup(CacheMemoryContext, st->sql.data);
	types = MemoryContextAlloc(CacheMemoryContext, sizeof(Oid) * (st->nparams + 1));
	memcpy(types, st->types, sizeof(Oid) * st->nparams);
	entry = hash_search(plans, &key, HASH_ENTER, NULL);
	entry->plan = plan;
	entry->sql = sql;
	entry->types = types;
	entry->nparams = st->nparams;
	entry->running = 0;
	dlist_push_head(&plans_by_use, &entry->lru);
	nplans++;
	return entry;
}

/*
 * Whether keeping the plan can pay: a text of several kilobytes (a filter of hundreds of terms) will hardly come again
 * and would push plans out that do.
 */
static bool
plan_is_worth_keeping(const VcStatement *st)
{
	return st->sql.len <= 8192;
}

static ParamListInfo
param_list(const VcStatement *st)
{
	ParamListInfo params = makeParamList(st->nparams);

	for (int i = 0; i < st->nparams; i++)
	{
		params->params[i].value = st->values[i];
		params->params[i].isnull = st->nulls[i];
		params->params[i].pflags = PARAM_FLAG_CONST;
		params->params[i].ptype = st->types[i];
	}
	return params;
}

uint64
vc_statement_run(VcStatement *st, const VcCollection *coll, bool read_only, DestReceiver *dest)
{
	SPIExecuteOptions options = {0};
	PlanEntry *volatile entry = plan_is_worth_keeping(st) ? plan_get(st, coll) : NULL;
	int rc = 0;

	options.params = param_list(st);
	options.read_only = read_only;
	options.dest = dest;
	if (entry == NULL)
		rc = SPI_execute_plan_extended(plan_prepare(st), &options);
	else
	{
		entry->running++;
		PG_TRY();
		{
			rc = SPI_execute_plan_extended(entry->plan, &options);
		}
		PG_FINALLY();
		{
			entry->running--;
		}
		PG_END_TRY();
	}
	if (rc < 0)
		elog(ERROR, "could not run statement: %s", SPI_result_code_string(rc));
	return SPI_processed;
}

Portal
vc_statement_open(VcStatement *st, const VcCollection *coll)
{
	PlanEntry *entry = plan_is_worth_keeping(st) ? plan_get(st, coll) : NULL;
	Portal portal =
		SPI_cursor_open_with_paramlist(NULL, entry ? entry->plan : plan_prepare(st), param_list(st), true);

	/* Nobody else's business: not in pg_cursors. */
	portal->visible = false;
	return portal;
}
