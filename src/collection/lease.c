/*
 * lease.c
 *		Who may load a collection: leases with fencing tokens, and the session's own short memory of a lease held elsewhere.
 *
 * A lease is a row: holder, token, expiry. Taking it over an expired or released one raises the token, so a holder that
 * lost it is recognised by its token. A lease may be held across transactions (acquire, load in pieces, release) or within
 * one. Within one, nobody else can see the row yet; so whoever takes or uses a lease also holds the lock of kind "lease" on
 * the table until the end of the transaction, and trying that lock, which never waits, is the first thing a rival does.
 * A holder that dies within a transaction loses both at once; one that dies between transactions is taken over
 * when the lease expires. Since a writer holds the lock while its token is checked and until it commits, no takeover
 * can happen between the check and the commit.
 */
#include "collection.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Tables this session has seen leased elsewhere, or loads itself, and until when it remembers. A handful at most. */
typedef struct VcLocalFlag
{
	Oid relid;
	TimestampTz until;
	bool own; /* set by a load of this session; gone with its transaction or subtransaction */
	SubTransactionId subxact;
} VcLocalFlag;

#define VC_LOCAL_FLAGS 64

static VcLocalFlag flags[VC_LOCAL_FLAGS];

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

static bool
try_lease_lock(Oid relid)
{
	LOCKTAG tag;
	char key[16];

	snprintf(key, sizeof(key), "%u", relid);
	vc_set_locktag(&tag, "lease", key);
	return LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

/* Runs a statement on the lease table and returns its single bigint, or null. */
static NullableDatum
lease_statement(const char *sql, int nargs, Oid *argtypes, Datum *values)
{
	NullableDatum result = {.isnull = true};

	SPI_connect();
	if (vc_catalog_exec(sql, nargs, argtypes, values, NULL) == 1)
		result.value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &result.isnull);
	SPI_finish();
	return result;
}

/* _lease_acquire(relid oid, holder text, ttl interval) -> token, or null when somebody else holds the lease. */
PG_FUNCTION_INFO_V1(vc_lease_acquire);
PGDLLEXPORT Datum
vc_lease_acquire(PG_FUNCTION_ARGS)
{
	Oid argtypes[] = {OIDOID, TEXTOID, INTERVALOID};
	Datum values[] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), PG_GETARG_DATUM(2)};
	NullableDatum token;

	vc_lock_existing(PG_GETARG_OID(0));
	vc_check_writable(PG_GETARG_OID(0));
	if (!try_lease_lock(PG_GETARG_OID(0)))
		PG_RETURN_NULL();
	token = lease_statement("INSERT INTO vectorcoll.lease AS l (relid, holder, token, acquired_at, expires_at)"
							" VALUES ($1, $2, 1, clock_timestamp(), clock_timestamp() + $3)"
							" ON CONFLICT (relid) DO UPDATE SET holder = excluded.holder, token = l.token + 1,"
							"        acquired_at = excluded.acquired_at, expires_at = excluded.expires_at"
							"  WHERE l.holder IS NULL OR l.expires_at <= clock_timestamp()"
							" RETURNING token",
							3, argtypes, values);
	if (token.isnull)
		PG_RETURN_NULL();
	PG_RETURN_INT64(DatumGetInt64(token.value));
}

/* _lease_use(relid oid, token int8) -> false unless the token is that of the lease; until commit nobody takes it over. */
PG_FUNCTION_INFO_V1(vc_lease_use);
PGDLLEXPORT Datum
vc_lease_use(PG_FUNCTION_ARGS)
{
	Oid argtypes[] = {OIDOID, INT8OID};
	Datum values[] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)};

	vc_check_writable(PG_GETARG_OID(0));
	if (!try_lease_lock(PG_GETARG_OID(0)))
		PG_RETURN_BOOL(false);
	PG_RETURN_BOOL(!lease_statement("SELECT l.token FROM vectorcoll.lease l WHERE l.relid = $1 AND l.token = $2 AND l.holder IS NOT NULL",
									2, argtypes, values)
						.isnull);
}

/* _lease_renew(relid oid, token int8, ttl interval) -> false when the lease was lost. */
PG_FUNCTION_INFO_V1(vc_lease_renew);
PGDLLEXPORT Datum
vc_lease_renew(PG_FUNCTION_ARGS)
{
	Oid argtypes[] = {OIDOID, INT8OID, INTERVALOID};
	Datum values[] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), PG_GETARG_DATUM(2)};

	vc_check_writable(PG_GETARG_OID(0));
	PG_RETURN_BOOL(!lease_statement("UPDATE vectorcoll.lease l SET expires_at = clock_timestamp() + $3"
									" WHERE l.relid = $1 AND l.token = $2 AND l.holder IS NOT NULL RETURNING l.token",
									3, argtypes, values)
						.isnull);
}

/* _lease_release(relid oid, token int8) -> false when it was lost before. The row stays, to keep the token rising. */
PG_FUNCTION_INFO_V1(vc_lease_release);
PGDLLEXPORT Datum
vc_lease_release(PG_FUNCTION_ARGS)
{
	Oid argtypes[] = {OIDOID, INT8OID};
	Datum values[] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)};

	vc_check_writable(PG_GETARG_OID(0));
	PG_RETURN_BOOL(!lease_statement("UPDATE vectorcoll.lease l SET holder = NULL, expires_at = clock_timestamp()"
									" WHERE l.relid = $1 AND l.token = $2 AND l.holder IS NOT NULL RETURNING l.token",
									2, argtypes, values)
						.isnull);
}

/*----------------------------------------------------------- local flags ----*/

static void
forget_own_flags(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		for (int i = 0; i < VC_LOCAL_FLAGS; i++)
			if (flags[i].own)
			{
				flags[i].relid = InvalidOid;
				flags[i].own = false;
			}
}

static void
forget_own_flags_of_subtransaction(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	for (int i = 0; i < VC_LOCAL_FLAGS; i++)
	{
		if (!flags[i].own || flags[i].subxact != mine)
			continue;
		flags[i].subxact = parent;
		if (event == SUBXACT_EVENT_ABORT_SUB)
		{
			flags[i].relid = InvalidOid;
			flags[i].own = false;
		}
	}
}

/* _local_flag(relid oid) -> whether this session remembers a load of the table under way. */
PG_FUNCTION_INFO_V1(vc_local_flag);
PGDLLEXPORT Datum
vc_local_flag(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();

	for (int i = 0; i < VC_LOCAL_FLAGS; i++)
		if (flags[i].relid == PG_GETARG_OID(0) && (flags[i].own || flags[i].until > now))
			PG_RETURN_BOOL(true);
	PG_RETURN_BOOL(false);
}

/* _set_local_flag(relid oid, seconds int): remembers for so long, or with null until the end of the transaction; 0 forgets. */
PG_FUNCTION_INFO_V1(vc_set_local_flag);
PGDLLEXPORT Datum
vc_set_local_flag(PG_FUNCTION_ARGS)
{
	static bool registered = false;
	Oid relid = PG_GETARG_OID(0);
	TimestampTz now = GetCurrentTimestamp();
	VcLocalFlag *slot = &flags[0];

	if (!registered)
	{
		RegisterXactCallback(forget_own_flags, NULL);
		RegisterSubXactCallback(forget_own_flags_of_subtransaction, NULL);
		registered = true;
	}
	for (int i = 0; i < VC_LOCAL_FLAGS; i++)
	{
		if (flags[i].relid == relid)
		{
			slot = &flags[i];
			break;
		}
		/* Otherwise a free slot, or the one that ends first. */
		if (OidIsValid(slot->relid) && (!OidIsValid(flags[i].relid) || flags[i].until < slot->until))
			slot = &flags[i];
	}
	slot->own = PG_ARGISNULL(1);
	slot->subxact = GetCurrentSubTransactionId();
	slot->until = slot->own ? DT_NOEND : TimestampTzPlusMilliseconds(now, INT64CONST(1000) * PG_GETARG_INT32(1));
	slot->relid = !slot->own && PG_GETARG_INT32(1) == 0 ? InvalidOid : relid;
	PG_RETURN_VOID();
}

/*---------------------------------------------------------------- loader ----*/

/*
 * _call_loader(loader regproc, path text) -> setof jsonb: what the loader returns, run along the search_path of whoever
 * called the outermost function. It is read to its end before the first row comes back, so a loader that fails half way has
 * caused no write. Beyond work_mem the rows go to a file.
 */
PG_FUNCTION_INFO_V1(vc_call_loader);
PGDLLEXPORT Datum
vc_call_loader(PG_FUNCTION_ARGS)
{
	Oid function = PG_GETARG_OID(0);
	char *path = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	char *sql = psprintf("SELECT r FROM %s() AS r",
						 quote_qualified_identifier(get_namespace_name(get_func_namespace(function)), get_func_name(function)));
	int level;
	Portal portal;
	SPIPlanPtr plan;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	level = vc_push_search_path(path);
	SPI_connect();
	plan = SPI_prepare(sql, 0, NULL);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	portal = SPI_cursor_open(NULL, plan, NULL, NULL, false);
	for (;;)
	{
		SPI_cursor_fetch(portal, true, 1000);
		if (SPI_processed == 0)
			break;
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			bool isnull;
			Datum value = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);

			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &value, &isnull);
		}
		SPI_freetuptable(SPI_tuptable);
		CHECK_FOR_INTERRUPTS();
	}
	SPI_cursor_close(portal);
	SPI_finish();
	vc_pop_search_path(level);
	return (Datum) 0;
}
