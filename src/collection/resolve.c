/*
 * resolve.c
 *		Names to tables, tables to models, and the cache of models.
 *
 * Locks: none beyond what catalogue look-ups take. A model may be stale by the time it is used, as any name look-up may;
 * statements compiled from it fail or are replanned by the server's own checks when the table has changed.
 */
#include "search.h"

#include <ctype.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/sinval.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

static const char *const dtype_names[] = {
	[VC_DT_NONE] = "none",
	[VC_DT_BOOL] = "bool",
	[VC_DT_INT8] = "int8",
	[VC_DT_INT16] = "int16",
	[VC_DT_INT32] = "int32",
	[VC_DT_INT64] = "int64",
	[VC_DT_FLOAT] = "float",
	[VC_DT_DOUBLE] = "double",
	[VC_DT_VARCHAR] = "varchar",
	[VC_DT_TEXT] = "text",
	[VC_DT_JSON] = "json",
	[VC_DT_ARRAY] = "array",
	[VC_DT_TIMESTAMPTZ] = "timestamptz",
	[VC_DT_UUID] = "uuid",
	[VC_DT_FLOAT_VECTOR] = "float_vector",
	[VC_DT_FLOAT16_VECTOR] = "float16_vector",
	[VC_DT_BINARY_VECTOR] = "binary_vector",
	[VC_DT_SPARSE_FLOAT_VECTOR] = "sparse_float_vector",
};

static const struct
{
	const char *name;
	const char *operator;
} metrics[] = {
	[VC_METRIC_NONE] = {"NONE", NULL},		 [VC_METRIC_L2] = {"L2", "<->"},
	[VC_METRIC_IP] = {"IP", "<#>"},			 [VC_METRIC_COSINE] = {"COSINE", "<=>"},
	[VC_METRIC_L1] = {"L1", "<+>"},			 [VC_METRIC_HAMMING] = {"HAMMING", "<~>"},
	[VC_METRIC_JACCARD] = {"JACCARD", "<%>"},
};

VcDtype
vc_dtype_from_name(const char *name)
{
	for (int i = 1; i < lengthof(dtype_names); i++)
		if (strcmp(name, dtype_names[i]) == 0)
			return (VcDtype) i;
	return VC_DT_NONE;
}

const char *
vc_dtype_name(VcDtype dtype)
{
	return dtype_names[dtype];
}

VcMetric
vc_metric_from_name(const char *name)
{
	for (int i = 1; i < lengthof(metrics); i++)
		if (pg_strcasecmp(name, metrics[i].name) == 0)
			return (VcMetric) i;
	return VC_METRIC_NONE;
}

const char *
vc_metric_name(VcMetric metric)
{
	return metrics[metric].name;
}

const char *
vc_metric_operator(VcMetric metric)
{
	return metrics[metric].operator;
}

Oid
vc_extension_schema(void)
{
	Oid extension = get_extension_oid("vectorcoll", false);
	Oid result = InvalidOid;
	Relation rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(extension));
	scan = systable_beginscan(rel, ExtensionOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		result = ((Form_pg_extension) GETSTRUCT(tuple))->extnamespace;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	Assert(OidIsValid(result));
	return result;
}

/*----------------------------------------------------------------- names ----*/

/* Copies an identifier of `len` bytes to dst after checking the rule every collection name follows. */
static void
check_identifier(const char *part, size_t len, const char *whole, NameData *dst)
{
	bool ok = len > 0 && len < NAMEDATALEN && (isalpha((unsigned char) part[0]) || part[0] == '_') &&
			  !IS_HIGHBIT_SET(part[0]);

	for (size_t i = 0; ok && i < len; i++)
		ok = !IS_HIGHBIT_SET(part[i]) && (isalnum((unsigned char) part[i]) || part[i] == '_');
	if (!ok)
		ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER), errmsg("invalid collection name \"%s\"", whole),
						errdetail("A name is a letter or underscore followed by letters, digits or underscores, at most %d bytes.",
								  NAMEDATALEN - 1),
						errhint("Write the name alone, or schema.name.")));
	memset(dst, 0, sizeof(*dst));
	memcpy(NameStr(*dst), part, len);
}

/* Splits "schema.name"; schema comes back empty when there is none. A namespace given both ways must agree. */
static void
split_name(const char *name, const char *namespace, NameData *nspname, NameData *relname)
{
	const char *dot;

	if (name == NULL)
		ereport(ERROR, (vc_errcode(VC_E_MISSING_PARAMETER), errmsg("collection name is missing"),
						errdetail("The name is null."), errhint("Pass the collection's name.")));
	dot = strchr(name, '.');
	memset(nspname, 0, sizeof(*nspname));
	if (dot)
		check_identifier(name, dot - name, name, nspname);
	check_identifier(dot ? dot + 1 : name, strlen(dot ? dot + 1 : name), name, relname);
	if (namespace)
	{
		NameData given;

		check_identifier(namespace, strlen(namespace), namespace, &given);
		if (dot && strcmp(NameStr(given), NameStr(*nspname)) != 0)
			ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER), errmsg("collection name \"%s\" is not in namespace \"%s\"", name, namespace),
							errdetail("The name is qualified with another namespace than the one given."),
							errhint("Give the namespace in one of the two places.")));
		*nspname = given;
	}
}

/*
 * The search_path that the innermost pinned function displaced, or NULL when the one in force is the caller's own.
 * A function's SET clause saves the previous value on the setting's stack; its top entry is what we want.
 */
static const char *
displaced_search_path(void)
{
	static struct config_string *setting = NULL;

	if (setting == NULL)
	{
#if PG_VERSION_NUM >= 160000
		setting = (struct config_string *) find_option("search_path", false, false, ERROR);
#else
		struct config_generic **all = get_guc_variables();

		for (int i = 0; i < GetNumConfigOptions(); i++)
			if (strcmp(all[i]->name, "search_path") == 0)
				setting = (struct config_string *) all[i];
#endif
		Assert(setting != NULL);
	}
	if (setting->gen.stack == NULL || setting->gen.stack->state != GUC_SAVE ||
		strcmp(*setting->variable, VC_PINNED_PATH) != 0)
		return NULL;
	return setting->gen.stack->prior.val.stringval;
}

int
vc_push_search_path(const char *path)
{
	int level;

	if (path == NULL)
		return -1;
	level = NewGUCNestLevel();
	(void) set_config_option("search_path", path, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return level;
}

void
vc_pop_search_path(int level)
{
	if (level >= 0)
		AtEOXact_GUC(true, level);
}

static bool
has_schema_usage(Oid nspoid)
{
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(NamespaceRelationId, nspoid, GetUserId(), ACL_USAGE) == ACLCHECK_OK;
#else
	return pg_namespace_aclcheck(nspoid, GetUserId(), ACL_USAGE) == ACLCHECK_OK;
#endif
}

Oid
vc_name_lookup(const char *name, const char *namespace, const char *path)
{
	NameData nspname;
	NameData relname;
	Oid result;

	split_name(name, namespace, &nspname, &relname);
	if (NameStr(nspname)[0] != '\0')
	{
		Oid nspoid = get_namespace_oid(NameStr(nspname), true);

		if (!OidIsValid(nspoid) || !has_schema_usage(nspoid))
			return InvalidOid;
		return get_relname_relid(NameStr(relname), nspoid);
	}
	else
	{
		int level = vc_push_search_path(path);

		result = RelnameGetRelid(NameStr(relname)); /* skips schemas without USAGE, as a query would */
		vc_pop_search_path(level);
	}
	return result;
}

/*----------------------------------------------------------- model cache ----*/

typedef struct VcCacheEntry
{
	Oid relid;		   /* hash key: a table, or an alias view */
	bool valid;
	Oid target;		   /* for an alias, the collection's table; else InvalidOid */
	VcCollection *coll; /* NULL when the relation is not a collection */
	MemoryContext cxt;
} VcCacheEntry;

static HTAB *cache = NULL;

/* Whether entries were invalidated since the cache was looked through for relations that are gone. */
static bool entries_invalidated = false;

/* Contexts of models that were invalidated while somebody may have been using them; freed when the transaction ends. */
static List *garbage = NIL;

static void
drop_model(VcCacheEntry *entry)
{
	if (entry->cxt)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		garbage = lappend(garbage, entry->cxt);
		MemoryContextSwitchTo(old);
	}
	entry->cxt = NULL;
	entry->coll = NULL;
}

static void
cache_invalidate(Datum arg, Oid relid)
{
	vc_statement_tables_changed(); /* by way of this callback, since the server has room for ten */
	if (OidIsValid(relid))
	{
		VcCacheEntry *entry = hash_search(cache, &relid, HASH_FIND, NULL);

		if (entry)
		{
			entry->valid = false;
			entries_invalidated = true;
		}
	}
	else
	{
		HASH_SEQ_STATUS seq;
		VcCacheEntry *entry;

		hash_seq_init(&seq, cache);
		while ((entry = hash_seq_search(&seq)) != NULL)
			entry->valid = false;
		entries_invalidated = true;
	}
}

/* Forgets the relations that are gone, so that a session which makes and drops collections does not grow. */
static void
cache_forget_dropped(void)
{
	HASH_SEQ_STATUS seq;
	VcCacheEntry *entry;

	entries_invalidated = false;
	hash_seq_init(&seq, cache);
	while ((entry = hash_seq_search(&seq)) != NULL)
		if (!entry->valid && get_rel_relkind(entry->relid) == '\0')
		{
			drop_model(entry);
			hash_search(cache, &entry->relid, HASH_REMOVE, NULL);
		}
}

static void
cache_end_of_transaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
	{
		ListCell *lc;

		foreach (lc, garbage)
			MemoryContextDelete((MemoryContext) lfirst(lc));
		list_free(garbage);
		garbage = NIL;
	}
}

static void
cache_init(void)
{
	HASHCTL ctl = {.keysize = sizeof(Oid), .entrysize = sizeof(VcCacheEntry)};

	cache = hash_create("vectorcoll collections", 64, &ctl, HASH_ELEM | HASH_BLOBS);
	CacheRegisterRelcacheCallback(cache_invalidate, (Datum) 0);
	RegisterXactCallback(cache_end_of_transaction, NULL);
}

static char *
spi_string(HeapTuple tuple, int column)
{
	return SPI_getvalue(tuple, SPI_tuptable->tupdesc, column);
}

static int32
spi_int(HeapTuple tuple, int column)
{
	bool isnull;
	Datum value = SPI_getbinval(tuple, SPI_tuptable->tupdesc, column, &isnull);

	return isnull ? 0 : DatumGetInt32(value);
}

static bool
spi_bool(HeapTuple tuple, int column)
{
	bool isnull;
	Datum value = SPI_getbinval(tuple, SPI_tuptable->tupdesc, column, &isnull);

	return !isnull && DatumGetBool(value);
}

/* One row per field, in declaration order. $1 is the table's oid. */
static const char model_query[] =
	"SELECT d.id::text, (d.schema->>'enable_dynamic_field')::bool, f.name, f.dtype, f.element_type,"
	"       d.field_options #>> ARRAY[f.name, 'metric_type'], f.dim, f.max_length, f.max_capacity,"
	"       f.is_primary, f.auto_id, f.is_partition_key, f.nullable, vectorcoll._is_loaded(d.relid)"
	"  FROM vectorcoll.collection_def d,"
	"      ROWS FROM (jsonb_to_recordset(d.schema->'fields') AS"
	"         (name text, dtype text, element_type text, dim int4,"
	"          max_length int4, max_capacity int4, is_primary bool,"
	"          auto_id bool, is_partition_key bool, nullable bool))"
	"       WITH ORDINALITY f"
	" WHERE d.relid = $1 ORDER BY f.ordinality";

static void
load_field(VcField *field, HeapTuple tuple, Oid relid)
{
	char *element_type = spi_string(tuple, 5);
	char *metric = spi_string(tuple, 6);
	HeapTuple att;

	namestrcpy(&field->name, spi_string(tuple, 3));
	field->dtype = vc_dtype_from_name(spi_string(tuple, 4));
	field->element_type = element_type ? vc_dtype_from_name(element_type) : VC_DT_NONE;
	field->dim = spi_int(tuple, 7);
	field->max_length = spi_int(tuple, 8);
	field->max_capacity = spi_int(tuple, 9);
	field->is_primary = spi_bool(tuple, 10);
	field->auto_id = spi_bool(tuple, 11);
	field->is_partition_key = spi_bool(tuple, 12);
	field->nullable = spi_bool(tuple, 13);
	if (VC_DTYPE_IS_VECTOR(field->dtype))
	{
		field->metric = metric ? vc_metric_from_name(metric) : VC_METRIC_NONE;
		if (field->metric == VC_METRIC_NONE)
			field->metric = field->dtype == VC_DT_BINARY_VECTOR			? VC_METRIC_HAMMING
							: field->dtype == VC_DT_SPARSE_FLOAT_VECTOR ? VC_METRIC_IP
																		: VC_METRIC_COSINE;
	}
	att = SearchSysCacheAttName(relid, NameStr(field->name));
	if (HeapTupleIsValid(att))
	{
		Form_pg_attribute form = (Form_pg_attribute) GETSTRUCT(att);

		field->attnum = form->attnum;
		field->typid = form->atttypid;
		field->typmod = form->atttypmod;
		field->has_default = form->atthasdef || form->attidentity != '\0';
		ReleaseSysCache(att);
	}
	/* To the schema a primary key is int64 or varchar; values must fit the column of a table that was adopted. */
	if (field->is_primary)
		switch (field->typid)
		{
			case INT2OID:
				field->dtype = VC_DT_INT16;
				break;
			case INT4OID:
				field->dtype = VC_DT_INT32;
				break;
			case UUIDOID:
				field->dtype = VC_DT_UUID;
				break;
		}
}

static void
load_model(VcCacheEntry *entry, int nfields)
{
	Oid relid = entry->relid;
	Oid nspoid = get_rel_namespace(relid);
	char *nspname = get_namespace_name(nspoid);
	char *relname = get_rel_name(relid);
	VcCollection *coll;

	if (nspname == NULL || relname == NULL)
		return; /* dropped this moment */
	entry->cxt = AllocSetContextCreate(CacheMemoryContext, "vectorcoll collection", ALLOCSET_SMALL_SIZES);
	coll = MemoryContextAllocZero(entry->cxt, offsetof(VcCollection, fields) + sizeof(VcField) * nfields);
	coll->relid = relid;
	coll->relnamespace = nspoid;
	namestrcpy(&coll->nspname, nspname);
	namestrcpy(&coll->relname, relname);
	coll->partitioned = get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE;
	coll->named_partitions = coll->partitioned && get_attnum(relid, "$partition") != InvalidAttrNumber;
	coll->primary = -1;
	coll->first_vector = -1;
	strlcpy(coll->id, spi_string(SPI_tuptable->vals[0], 1), sizeof(coll->id));
	coll->enable_dynamic = spi_bool(SPI_tuptable->vals[0], 2);
	coll->loaded = spi_bool(SPI_tuptable->vals[0], 14);
	for (int i = 0; i < nfields; i++)
	{
		VcField *field = &coll->fields[coll->nfields];

		load_field(field, SPI_tuptable->vals[i], relid);
		if (field->attnum == InvalidAttrNumber)
			continue; /* dropped by hand in this very transaction, before the event trigger ran */
		if (field->is_primary)
			coll->primary = coll->nfields;
		if (VC_DTYPE_IS_VECTOR(field->dtype) && coll->first_vector < 0)
			coll->first_vector = coll->nfields;
		coll->nfields++;
	}
	entry->coll = coll;
}

/* Fills the entry from the registry, whatever the caller may read of it: rights are checked on the table, when used. */
static void
load_entry(VcCacheEntry *entry)
{
	Oid argtypes[] = {OIDOID};
	Datum values[] = {ObjectIdGetDatum(entry->relid)};
	char relkind = get_rel_relkind(entry->relid);

	drop_model(entry);
	entry->target = InvalidOid;
	entry->valid = true; /* first, so that an invalidation arriving meanwhile is not lost */

	SPI_connect();
	if (relkind == RELKIND_VIEW)
	{
		if (vc_catalog_read("SELECT d.relid FROM vectorcoll.alias_def a JOIN vectorcoll.collection_def d"
							" ON d.id = a.collection_id WHERE a.relid = $1",
							1, argtypes, values) == 1)
		{
			bool isnull;
			Datum target = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);

			if (!isnull)
				entry->target = DatumGetObjectId(target);
		}
	}
	else if (relkind == RELKIND_RELATION || relkind == RELKIND_PARTITIONED_TABLE)
	{
		uint64 nfields = vc_catalog_read(model_query, 1, argtypes, values);

		if (nfields > 0)
			load_model(entry, (int) nfields);
	}
	SPI_finish();
}

/* The cache entry of a relation, valid, or NULL when the relation is gone. */
static VcCacheEntry *
cache_get(Oid relid)
{
	VcCacheEntry *entry;
	bool found;

	if (cache == NULL)
		cache_init();
	entry = hash_search(cache, &relid, HASH_FIND, NULL);
	if (entry && entry->valid)
		return entry;
	if (entries_invalidated)
		cache_forget_dropped();
	entry = hash_search(cache, &relid, HASH_ENTER, &found);
	if (!found)
	{
		entry->valid = false;
		entry->target = InvalidOid;
		entry->coll = NULL;
		entry->cxt = NULL;
	}
	for (int attempt = 0; !entry->valid && attempt < 3; attempt++)
	{
		if (get_rel_relkind(relid) == '\0')
		{
			drop_model(entry);
			hash_search(cache, &relid, HASH_REMOVE, NULL);
			return NULL;
		}
		PG_TRY();
		{
			load_entry(entry);
		}
		PG_CATCH();
		{
			entry->valid = false;
			PG_RE_THROW();
		}
		PG_END_TRY();
	}
	return entry;
}

const VcCollection *
vc_collection_by_relid(Oid relid)
{
	VcCacheEntry *entry = cache_get(relid);

	if (entry && OidIsValid(entry->target))
		entry = cache_get(entry->target);
	return entry ? entry->coll : NULL;
}

void
vc_collection_require_loaded(const VcCollection *coll)
{
	if (vc_require_loaded && !coll->loaded)
		ereport(ERROR, (vc_errcode(VC_E_NOT_LOADED),
						errmsg("collection \"%s.%s\" is not loaded", NameStr(coll->nspname), NameStr(coll->relname)),
						errdetail("The setting vectorcoll.require_loaded is on."),
						errhint("Call vectorcoll.load_collection, or turn the setting off.")));
}

const VcField *
vc_collection_field(const VcCollection *coll, const char *name)
{
	for (int i = 0; i < coll->nfields; i++)
		if (strcmp(NameStr(coll->fields[i].name), name) == 0)
			return &coll->fields[i];
	return NULL;
}

static void
collection_not_found(const char *name, const char *namespace, Oid relid)
{
	char relkind = OidIsValid(relid) ? get_rel_relkind(relid) : '\0';

	if (relkind == RELKIND_RELATION || relkind == RELKIND_PARTITIONED_TABLE)
		ereport(ERROR, (vc_errcode(VC_E_NOT_FOUND), errmsg("collection \"%s\" does not exist", name),
						errdetail("There is a table of that name, which is not a collection."),
						errhint("Call vectorcoll.adopt_table to make the table a collection.")));
	ereport(ERROR,
			(vc_errcode(VC_E_NOT_FOUND), errmsg("collection \"%s\" does not exist", name),
			 namespace ? errdetail("Namespace \"%s\" has no collection or alias of that name that you may use.", namespace)
					   : errdetail("No schema of the search path that you may use has a collection or alias of that name."),
			 errhint("vectorcoll.list_collections() shows the collections there are; qualify the name with its namespace.")));
}

/*
 * What a name stands for, with the table locked: as the parser does, the look-up is repeated until no invalidation came in
 * while the lock was waited for. path as in vc_name_lookup. NULL when there is none.
 */
static const VcCollection *
lookup_locked(const char *name, const char *namespace, const char *path, LOCKMODE lockmode)
{
	Oid held = InvalidOid;

	for (;;)
	{
		uint64 seen = SharedInvalidMessageCounter;
		Oid relid = vc_name_lookup(name, namespace, path);
		const VcCollection *coll = OidIsValid(relid) ? vc_collection_by_relid(relid) : NULL;

		if (OidIsValid(held) && (coll == NULL || coll->relid != held))
		{
			UnlockRelationOid(held, lockmode);
			held = InvalidOid;
		}
		if (coll == NULL)
			return NULL;
		if (!OidIsValid(held))
		{
			held = coll->relid;
			if (coll->partitioned)
				vc_lock_schema(coll->relnamespace); /* DROP SCHEMA locks partitions before their parent */
			vc_lock_table(held, lockmode);
		}
		if (seen == SharedInvalidMessageCounter)
			return coll;
	}
}

const VcCollection *
vc_collection_by_name(const char *name)
{
	const VcCollection *coll = lookup_locked(name, NULL, NULL, AccessShareLock);

	if (coll == NULL)
		collection_not_found(name, NULL, vc_name_lookup(name, NULL, NULL));
	return coll;
}

/*--------------------------------------------------------- SQL functions ----*/

static const VcCollection *
resolve_once(const char *name, const char *namespace, bool alias_ok, bool missing_ok)
{
	Oid relid = vc_name_lookup(name, namespace, displaced_search_path());
	const VcCollection *coll = OidIsValid(relid) ? vc_collection_by_relid(relid) : NULL;

	if (coll == NULL)
	{
		if (missing_ok)
			return NULL;
		collection_not_found(name, namespace, relid);
	}
	if (coll->relid != relid && !alias_ok)
		ereport(ERROR, (vc_errcode(VC_E_NAME_TAKEN), errmsg("\"%s\" is an alias, not a collection", name),
						errdetail("It stands for collection \"%s.%s\".", NameStr(coll->nspname), NameStr(coll->relname)),
						errhint("Name the collection itself, or use the alias functions.")));
	return coll;
}

/*
 * _resolve(name text, namespace text, alias_ok bool, missing_ok bool) -> oid of the collection's table.
 * For functions with a pinned search_path: looks along the path the pin displaced.
 */
PG_FUNCTION_INFO_V1(vc_resolve);
PGDLLEXPORT Datum
vc_resolve(PG_FUNCTION_ARGS)
{
	char *name = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *namespace = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	const VcCollection *coll = resolve_once(name, namespace, PG_GETARG_BOOL(2), PG_GETARG_BOOL(3));

	if (coll == NULL)
		PG_RETURN_NULL();
	PG_RETURN_OID(coll->relid);
}

/*
 * _resolve_read(name text, namespace text) -> the same with ACCESS SHARE on the table until the transaction ends, so that
 * it is still there, under that name, for the statements that follow. Not for use before a definition lock is taken.
 */
PG_FUNCTION_INFO_V1(vc_resolve_read);
PGDLLEXPORT Datum
vc_resolve_read(PG_FUNCTION_ARGS)
{
	char *name = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *namespace = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	const VcCollection *coll = lookup_locked(name, namespace, displaced_search_path(), AccessShareLock);

	if (coll == NULL)
		collection_not_found(name, namespace, vc_name_lookup(name, namespace, displaced_search_path()));
	PG_RETURN_OID(coll->relid);
}

/*
 * _resolve_locked(name text, namespace text, lockmode text): for changes: under the definition lock, then, if a mode is
 * given ('SHARE', ...), with the table locked in it, which takes its owner. Aliases are refused. What the name stands for may
 * change while we wait, so it is looked up again until locks and name agree.
 */
PG_FUNCTION_INFO_V1(vc_resolve_locked);
PGDLLEXPORT Datum
vc_resolve_locked(PG_FUNCTION_ARGS)
{
	char *name = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *namespace = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	LOCKMODE lockmode = PG_ARGISNULL(2) ? NoLock : vc_lockmode(text_to_cstring(PG_GETARG_TEXT_PP(2)));
	char *locked = NULL;

	for (;;)
	{
		const VcCollection *coll = resolve_once(name, namespace, false, false);
		char *qualified = psprintf("%s.%s", NameStr(coll->nspname), NameStr(coll->relname));

		if (locked == NULL || strcmp(locked, qualified) != 0)
		{
			vc_lock_schema(coll->relnamespace);
			vc_definition_lock(qualified);
			locked = qualified;
		}
		else if (lockmode == NoLock)
		{
			vc_search_close_walks(coll->relid);
			PG_RETURN_OID(coll->relid);
		}
		else
		{
			Oid relid = coll->relid;

			vc_check_owner(relid);
			vc_lock_table(relid, lockmode);
			coll = resolve_once(name, namespace, false, true);
			if (coll && coll->relid == relid)
			{
				vc_search_close_walks(relid);
				PG_RETURN_OID(relid);
			}
			UnlockRelationOid(relid, lockmode);
		}
	}
}

/* _caller_path() -> the search_path of whoever called the pinned function that calls this; null when it is not pinned. */
PG_FUNCTION_INFO_V1(vc_caller_path);
PGDLLEXPORT Datum
vc_caller_path(PG_FUNCTION_ARGS)
{
	const char *path = displaced_search_path();

	if (path == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(path));
}

/* _lookup(name text, namespace text) -> oid of any relation of that name along the caller's path, or null. */
PG_FUNCTION_INFO_V1(vc_lookup);
PGDLLEXPORT Datum
vc_lookup(PG_FUNCTION_ARGS)
{
	char *name = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *namespace = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	Oid relid = vc_name_lookup(name, namespace, displaced_search_path());

	if (!OidIsValid(relid))
		PG_RETURN_NULL();
	PG_RETURN_OID(relid);
}

/*
 * _target(name text, namespace text, OUT nspname name, OUT relname name): where a new object of that name goes, which is
 * the caller's current schema unless the name or the argument says otherwise. Checks the names, and that the schema exists,
 * and locks it as creating something in it would.
 */
PG_FUNCTION_INFO_V1(vc_target);
PGDLLEXPORT Datum
vc_target(PG_FUNCTION_ARGS)
{
	char *name = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *namespace = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	NameData *nspname = palloc(sizeof(NameData));
	NameData *relname = palloc(sizeof(NameData));
	Oid nspoid;
	TupleDesc tupdesc;
	Datum values[2];
	bool nulls[2] = {false, false};

	split_name(name, namespace, nspname, relname);
	if (NameStr(*nspname)[0] == '\0')
	{
		int level = vc_push_search_path(displaced_search_path());
		List *path = fetch_search_path(false);
		char *first = path == NIL ? NULL : get_namespace_name(linitial_oid(path));

		if (first == NULL)
			ereport(ERROR, (errcode(ERRCODE_UNDEFINED_SCHEMA), errmsg("no schema has been selected to create in"),
							errhint("Set search_path or qualify the name with a namespace.")));
		namestrcpy(nspname, first);
		vc_pop_search_path(level);
	}
	else if (!OidIsValid(get_namespace_oid(NameStr(*nspname), true)))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_SCHEMA), errmsg("namespace \"%s\" does not exist", NameStr(*nspname)),
						errdetail("A namespace is a schema of this database."),
						errhint("Call vectorcoll.create_namespace first.")));
	nspoid = get_namespace_oid(NameStr(*nspname), false);
	vc_lock_schema(nspoid);
	if (get_namespace_oid(NameStr(*nspname), true) != nspoid)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_SCHEMA), errmsg("namespace \"%s\" does not exist", NameStr(*nspname)),
						errdetail("Another session dropped it meanwhile."), errhint("Call vectorcoll.create_namespace first.")));
	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = NameGetDatum(nspname);
	values[1] = NameGetDatum(relname);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), values, nulls)));
}

/* _raise(sqlstate text, message text, detail text, hint text): raises an error of class VC. */
PG_FUNCTION_INFO_V1(vc_raise);
PGDLLEXPORT Datum
vc_raise(PG_FUNCTION_ARGS)
{
	char *state = PG_ARGISNULL(0) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *message = PG_ARGISNULL(1) ? "unknown error" : text_to_cstring(PG_GETARG_TEXT_PP(1));
	char *detail = PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2));
	char *hint = PG_ARGISNULL(3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(3));

	if (strlen(state) != 5 || strncmp(state, "VC", 2) != 0 || strspn(state + 2, "0123456789") != 3)
		elog(ERROR, "not an SQLSTATE of class VC: \"%s\"", state);
	ereport(ERROR, (errcode(MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4])), errmsg("%s", message),
					detail ? errdetail("%s", detail) : 0, hint ? errhint("%s", hint) : 0));
}
