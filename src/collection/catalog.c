/*
 * catalog.c
 *		Every write to the registry. Its tables belong to the extension's owner and nobody else may write them; the
 *		functions here check what the caller may do to the table a row is about, then write the row as the owner. They
 *		are the whole of the trusted code: what surrounds them runs with the caller's rights.
 *
 * A caller can describe only tables of their own, and only truthfully: _register and _redefine ask
 * vectorcoll._check_definition, in the database, whether schema and table agree.
 */
#include "collection.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

Oid
vc_catalog_relid(const char *relname)
{
	Oid nspoid = get_namespace_oid("vectorcoll", false);
	Oid relid = get_relname_relid(relname, nspoid);

	if (!OidIsValid(relid))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("table \"vectorcoll.%s\" does not exist", relname),
						errhint("Run ALTER EXTENSION vectorcoll UPDATE.")));
	return relid;
}

void
vc_collection_gone(void)
{
	ereport(ERROR, (vc_errcode(VC_E_NOT_FOUND), errmsg("collection does not exist"),
					errdetail("Another session dropped it meanwhile."),
					errhint("vectorcoll.list_collections() shows the collections there are.")));
}

void
vc_lock_existing(Oid relid)
{
	vc_lock_table(relid, AccessShareLock);
	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
		vc_collection_gone();
}

static Oid
relation_owner(Oid relid)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid owner;

	if (!HeapTupleIsValid(tuple))
		vc_collection_gone();
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

void
vc_check_owner(Oid relid)
{
	(void) relation_owner(relid); /* the right error for a table that is gone */
#if PG_VERSION_NUM >= 160000
	if (!object_ownercheck(RelationRelationId, relid, GetUserId()))
#else
	if (!pg_class_ownercheck(relid, GetUserId()))
#endif
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(get_rel_relkind(relid)), get_rel_name(relid));
}

void
vc_check_writable(Oid relid)
{
	AclMode any = ACL_INSERT | ACL_UPDATE | ACL_DELETE;
	bool missing = false;
	AclResult result = pg_class_aclcheck_ext(relid, GetUserId(), any, &missing);

	if (missing)
		vc_collection_gone();
	if (result != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, get_relkind_objtype(get_rel_relkind(relid)), get_rel_name(relid));
}

static uint64
exec_as_owner(const char *sql, int nargs, Oid *argtypes, Datum *values, const char *nulls, Snapshot snapshot, bool read_only)
{
	Oid saved_userid;
	int saved_context;
	int rc;
	int level = vc_push_search_path(VC_PINNED_PATH);

	/*
	 * The path is pinned first: an operator the caller slipped into it must not run with the owner's rights. Both are
	 * restored by the transaction machinery if the statement fails.
	 */
	GetUserIdAndSecContext(&saved_userid, &saved_context);
	SetUserIdAndSecContext(relation_owner(vc_catalog_relid("collection_def")),
						   saved_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_NOFORCE_RLS);
	if (snapshot == InvalidSnapshot)
		rc = SPI_execute_with_args(sql, nargs, argtypes, values, nulls, false, 0);
	else
	{
		SPIPlanPtr plan = SPI_prepare(sql, nargs, argtypes);

		if (plan == NULL)
			elog(ERROR, "registry statement failed: %s", SPI_result_code_string(SPI_result));
		rc = SPI_execute_snapshot(plan, values, nulls, snapshot, InvalidSnapshot, read_only, false, 0);
		SPI_freeplan(plan);
	}
	SetUserIdAndSecContext(saved_userid, saved_context);
	vc_pop_search_path(level);
	if (rc < 0)
		elog(ERROR, "registry statement failed: %s", SPI_result_code_string(rc));
	return SPI_processed;
}

uint64
vc_catalog_exec(const char *sql, int nargs, Oid *argtypes, Datum *values, const char *nulls)
{
	return exec_as_owner(sql, nargs, argtypes, values, nulls, InvalidSnapshot, false);
}

/* Under the latest snapshot, whatever the transaction's isolation level. */
static uint64
exec_latest(const char *sql, int nargs, Oid *argtypes, Datum *values, bool read_only)
{
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	uint64 result = exec_as_owner(sql, nargs, argtypes, values, NULL, snapshot, read_only);

	UnregisterSnapshot(snapshot);
	return result;
}

uint64
vc_catalog_read(const char *sql, int nargs, Oid *argtypes, Datum *values)
{
	return exec_latest(sql, nargs, argtypes, values, true);
}

uint64
vc_catalog_write_latest(const char *sql, int nargs, Oid *argtypes, Datum *values)
{
	return exec_latest(sql, nargs, argtypes, values, false);
}

void
vc_forget(Oid relid)
{
	if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
		CacheInvalidateRelcacheByRelid(relid);
}

/*
 * _register(relid oid, schema jsonb, properties jsonb, field_options jsonb): makes a table a collection.
 */
PG_FUNCTION_INFO_V1(vc_register);
PGDLLEXPORT Datum
vc_register(PG_FUNCTION_ARGS)
{
	Oid argtypes[] = {OIDOID, JSONBOID, JSONBOID, JSONBOID};
	Datum values[] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), PG_GETARG_DATUM(2), PG_GETARG_DATUM(3)};
	Oid relid = PG_GETARG_OID(0);

	vc_check_owner(relid);
	SPI_connect();
	vc_catalog_exec("SELECT vectorcoll._check_definition($1, $2)", 2, argtypes, values, NULL);
	vc_catalog_exec("INSERT INTO vectorcoll.collection_def (relid, nspname, relname, schema, schema_hash, properties, field_options)"
					" SELECT c.oid, n.nspname, c.relname, $2, vectorcoll.schema_hash($2), $3, $4"
					"   FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
					"  WHERE c.oid = $1",
					4, argtypes, values, NULL);
	SPI_finish();
	vc_forget(relid);
	PG_RETURN_VOID();
}

/*
 * _redefine(relid oid, schema jsonb, properties jsonb, field_options jsonb): replaces what is not null.
 */
PG_FUNCTION_INFO_V1(vc_redefine);
PGDLLEXPORT Datum
vc_redefine(PG_FUNCTION_ARGS)
{
	Oid argtypes[] = {OIDOID, JSONBOID, JSONBOID, JSONBOID};
	Datum values[4];
	char nulls[4];
	Oid relid = PG_GETARG_OID(0);

	vc_check_owner(relid);
	for (int i = 0; i < 4; i++)
	{
		nulls[i] = PG_ARGISNULL(i) ? 'n' : ' ';
		values[i] = PG_ARGISNULL(i) ? (Datum) 0 : PG_GETARG_DATUM(i);
	}
	SPI_connect();
	if (!PG_ARGISNULL(1))
		vc_catalog_exec("SELECT vectorcoll._check_definition($1, $2)", 2, argtypes, values, NULL);
	vc_catalog_exec("UPDATE vectorcoll.collection_def SET schema = COALESCE($2, schema),"
					" schema_hash = vectorcoll.schema_hash(COALESCE($2, schema)),"
					" properties = COALESCE($3, properties), field_options = COALESCE($4, field_options)"
					" WHERE relid = $1",
					4, argtypes, values, nulls);
	SPI_finish();
	vc_forget(relid);
	PG_RETURN_VOID();
}

/*
 * _set_alias(view oid, relid oid): the view stands for the collection from now on. The caller owns both, so that nobody
 * can put an alias in the way of another owner's drop.
 */
PG_FUNCTION_INFO_V1(vc_set_alias);
PGDLLEXPORT Datum
vc_set_alias(PG_FUNCTION_ARGS)
{
	Oid argtypes[] = {OIDOID, OIDOID};
	Datum values[] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)};
	Oid view = PG_GETARG_OID(0);
	Oid relid = PG_GETARG_OID(1);

	vc_check_owner(view);
	vc_check_owner(relid);
	if (get_rel_relkind(view) != RELKIND_VIEW || vc_collection_by_relid(relid) == NULL)
		ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER), errmsg("an alias is a view that stands for a collection"),
						errdetail("One of the two relations is neither."),
						errhint("Use vectorcoll.create_alias.")));
	SPI_connect();
	if (vc_catalog_exec("INSERT INTO vectorcoll.alias_def AS a (relid, nspname, relname, collection_id)"
						" SELECT v.oid, n.nspname, v.relname, d.id"
						"   FROM pg_class v JOIN pg_namespace n ON n.oid = v.relnamespace, vectorcoll.collection_def d"
						"  WHERE v.oid = $1 AND d.relid = $2 FOR KEY SHARE OF d"
						" ON CONFLICT (nspname, relname) DO UPDATE"
						"    SET relid = excluded.relid, collection_id = excluded.collection_id, changed_at = excluded.changed_at",
						2, argtypes, values, NULL) == 0)
		ereport(ERROR, (vc_errcode(VC_E_NOT_FOUND), errmsg("collection \"%s\" does not exist", get_rel_name(relid)),
						errdetail("Its table ceased to be a collection meanwhile."),
						errhint("vectorcoll.list_collections() shows the collections there are.")));
	SPI_finish();
	vc_forget(view);
	vc_forget(relid);
	PG_RETURN_VOID();
}

/* _retarget(old oid, new oid): the collection's table is another from now on; the caller owns both. */
PG_FUNCTION_INFO_V1(vc_retarget);
PGDLLEXPORT Datum
vc_retarget(PG_FUNCTION_ARGS)
{
	Oid argtypes[] = {OIDOID, OIDOID};
	Datum values[] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)};

	vc_check_owner(PG_GETARG_OID(0));
	vc_check_owner(PG_GETARG_OID(1));
	SPI_connect();
	vc_catalog_exec("SELECT vectorcoll._check_definition($2, d.schema) FROM vectorcoll.collection_def d WHERE d.relid = $1", 2,
					argtypes, values, NULL);
	vc_catalog_exec("UPDATE vectorcoll.collection_def d SET relid = $2, nspname = n.nspname, relname = c.relname"
					"  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $2 AND d.relid = $1",
					2, argtypes, values, NULL);
	SPI_finish();
	vc_forget(PG_GETARG_OID(0));
	vc_forget(PG_GETARG_OID(1));
	PG_RETURN_VOID();
}

/* _forget(relid oid): for the event triggers, which write the registry in SQL. */
PG_FUNCTION_INFO_V1(vc_forget_relation);
PGDLLEXPORT Datum
vc_forget_relation(PG_FUNCTION_ARGS)
{
	vc_forget(PG_GETARG_OID(0));
	PG_RETURN_VOID();
}
