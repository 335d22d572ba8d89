/*
 * lease.c
 *		Who may load a collection: leases with fencing tokens, and the session's own short memory of a lease held elsewhere.
 *
 * A lease is a row: holder, token, expiry. It is taken, renewed and given up in transactions of their own, by way of the
 * outbox, so others see it at once, and it expires however long the transaction of its holder goes on. Taking it over once it
 * expired or was released raises the token, so a holder that lost it is recognised by its token.
 *
 * This file remembers the leases the current transaction relies on. Before each batch a load calls _lease_keep, which renews
 * a lease at half its time and raises when it was lost; until a lease expires nobody can have taken it, so no look is needed.
 * Before the transaction commits, each token is checked once more under a lock on the row, which a takeover skips: so
 * none can come between the check and the commit. A load's own lease is given up by that same statement, hence at the very
 * moment its rows appear; when its transaction or subtransaction is rolled back, the outbox gives it up. A holder that dies
 * with the server leaves its row, which expires.
 *
 * Who drops a collection holds the lock of kind "lease" on it instead, to the end of the transaction: that lease is worth
 * exactly as long as its transaction. Whoever acquires tries that lock first, and never waits for it.
 */
#include "outbox.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

/* How a transaction relies on a lease. */
typedef enum VcLeaseUse
{
	VC_LEASE_LOAD,	/* taken by a load: ends with the transaction */
	VC_LEASE_TAKEN, /* taken by acquire_lease: ends with the transaction only if that is rolled back */
	VC_LEASE_USED	/* taken before, and used by a load: goes on */
} VcLeaseUse;

typedef struct VcHeldLease
{
	Oid relid;
	VcLeaseUse use;
	int64 token; /* 0: asked for and not answered yet */
	Interval ttl;
	TimestampTz renew_at;
	SubTransactionId subxact;
} VcHeldLease;

/* Grows by doubling, where errors are allowed. */
static VcHeldLease *held = NULL;
static int held_count = 0;
static int held_size = 0;

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

static bool
try_lease_lock(Oid relid, LOCKTAG *tag)
{
	char key[16];

	snprintf(key, sizeof(key), "%u", relid);
	vc_set_locktag(tag, "lease", key);
	return LockAcquire(tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

/*---------------------------------------------------- writing, in the worker ----*/

/* Token and expiry of the row a statement returned; zeroes when it returned none. */
static VcLeaseReply
lease_statement(const char *sql, int nargs, Oid *argtypes, Datum *values)
{
	VcLeaseReply reply = {0};
	bool isnull;

	if (vc_catalog_exec(sql, nargs, argtypes, values, NULL) == 1)
	{
		reply.token = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
		reply.expires_at = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
	}
	return reply;
}

VcLeaseReply
vc_lease_perform(const VcLeaseOrder *order)
{
	Oid argtypes[] = {OIDOID, INT8OID, INTERVALOID, TEXTOID};
	Datum values[] = {ObjectIdGetDatum(order->relid), Int64GetDatum(order->token), IntervalPGetDatum(&order->ttl),
					  CStringGetTextDatum(order->holder)};
	VcLeaseReply reply = {0};

	SPI_connect();
	switch (order->verb)
	{
		case VC_LEASE_ACQUIRE:
			reply = lease_statement("INSERT INTO vectorcoll.lease (relid, holder, token, acquired_at, expires_at)"
									" SELECT $1, $4, 1, now.at, now.at + $3 FROM (SELECT clock_timestamp() AS at) now"
									" ON CONFLICT (relid) DO NOTHING RETURNING token, expires_at",
									4, argtypes, values);
			if (reply.token == 0) /* a row that is locked is one whose holder commits this moment */
				reply = lease_statement("UPDATE vectorcoll.lease l SET holder = $4, token = l.token + 1,"
										"       acquired_at = free.at, expires_at = free.at + $3"
										"  FROM (SELECT relid, clock_timestamp() AS at FROM vectorcoll.lease WHERE relid = $1"
										"           AND (holder IS NULL OR expires_at <= clock_timestamp()) FOR UPDATE SKIP LOCKED) free"
										" WHERE l.relid = free.relid RETURNING l.token, l.expires_at",
										4, argtypes, values);
			break;
		case VC_LEASE_RENEW:
			reply = lease_statement("UPDATE vectorcoll.lease l SET expires_at = clock_timestamp() + $3"
									" WHERE l.relid = $1 AND l.token = $2 AND l.holder IS NOT NULL RETURNING l.token, l.expires_at",
									3, argtypes, values);
			break;
		case VC_LEASE_RELEASE: /* the row stays, to keep the token rising, but not that of a table which was never committed */
			reply = lease_statement("UPDATE vectorcoll.lease l SET holder = NULL, expires_at = clock_timestamp()"
									" WHERE l.relid = $1 AND l.token = $2 AND l.holder IS NOT NULL RETURNING l.token, l.expires_at",
									2, argtypes, values);
			vc_catalog_exec("DELETE FROM vectorcoll.lease l WHERE l.relid = $1 AND l.holder IS NULL"
							" AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = $1)",
							1, argtypes, values, NULL);
			break;
	}
	SPI_finish();
	return reply;
}

/*---------------------------------------------- what this transaction relies on ----*/

static VcHeldLease *
find_held(Oid relid)
{
	for (int i = 0; i < held_count; i++)
		if (held[i].relid == relid)
			return &held[i];
	return NULL;
}

static void
forget_held(VcHeldLease *lease)
{
	*lease = held[--held_count];
}

/* For transactions and subtransactions that are rolled back; never fails. */
static void
give_up(const VcHeldLease *lease)
{
	VcLeaseOrder order = {.verb = VC_LEASE_RELEASE, .relid = lease->relid, .token = lease->token};

	if (lease->use == VC_LEASE_USED)
		return;
	vc_outbox_put_order(&order);
	vc_outbox_wake();
}

pg_noreturn static void
lease_lost(Oid relid, int64 token)
{
	char *relname = get_rel_name(relid);

	ereport(ERROR, (vc_errcode(VC_E_LEASE_HELD), errmsg("lease of collection \"%s\" was lost", relname ? relname : "?"),
					errdetail("Token %lld is not that of the lease.", (long long) token),
					errhint("Another holder took it over after it expired, or it was released; acquire it again and start over.")));
}

/*
 * Before the commit: each token is that of its lease, as the newest snapshot tells, and stays it. The lease of a table that
 * this transaction dropped went with it.
 */
static void
settle_held(void)
{
	for (int i = 0; i < held_count; i++)
	{
		Oid argtypes[] = {OIDOID, INT8OID};
		Datum values[] = {ObjectIdGetDatum(held[i].relid), Int64GetDatum(held[i].token)};
		const char *sql = held[i].use == VC_LEASE_LOAD
							  ? "UPDATE vectorcoll.lease l SET holder = NULL, expires_at = clock_timestamp()"
								" WHERE l.relid = $1 AND l.token = $2 AND l.holder IS NOT NULL"
							  : "SELECT FROM vectorcoll.lease l WHERE l.relid = $1 AND l.token = $2 AND l.holder IS NOT NULL FOR UPDATE";
		uint64 found;

		if (held[i].use == VC_LEASE_TAKEN || !SearchSysCacheExists1(RELOID, ObjectIdGetDatum(held[i].relid)))
			continue;
		SPI_connect();
		found = vc_catalog_write_latest(sql, 2, argtypes, values);
		SPI_finish();
		if (found == 0)
			lease_lost(held[i].relid, held[i].token);
	}
}

static void
end_of_transaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE)
		settle_held();
	else if (event == XACT_EVENT_ABORT)
		for (int i = 0; i < held_count; i++)
			give_up(&held[i]);
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		held_count = 0;
}

static void
end_of_subtransaction(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	for (int i = held_count - 1; i >= 0; i--)
	{
		if (held[i].subxact != mine)
			continue;
		held[i].subxact = parent;
		if (event == SUBXACT_EVENT_ABORT_SUB)
		{
			give_up(&held[i]);
			forget_held(&held[i]);
		}
	}
}

/* An entry for a lease, its token not known yet. */
static VcHeldLease *
add_held(Oid relid, VcLeaseUse use, const Interval *ttl)
{
	if (held == NULL)
	{
		vc_outbox_open();
		RegisterXactCallback(end_of_transaction, NULL);
		RegisterSubXactCallback(end_of_subtransaction, NULL);
	}
	if (held_count == held_size)
	{
		int size = Max(8, held_size * 2);

		held = held ? repalloc_huge(held, sizeof(VcHeldLease) * size)
					: MemoryContextAlloc(TopMemoryContext, sizeof(VcHeldLease) * size);
		held_size = size;
	}
	held[held_count] = (VcHeldLease){.relid = relid, .use = use, .ttl = *ttl, .subxact = GetCurrentSubTransactionId()};
	return &held[held_count++];
}

static void
set_held(VcHeldLease *lease, VcLeaseReply reply)
{
	TimestampTz now = GetCurrentTimestamp();

	lease->token = reply.token;
	lease->renew_at = now + (reply.expires_at - now) / 2;
}

/*---------------------------------------------------------- SQL functions ----*/

/*
 * _lease_acquire(relid oid, holder text, ttl interval, for_load bool) -> token, or null when somebody else holds the lease.
 * for_load: until this transaction ends; else until it is released, or this transaction is rolled back.
 */
PG_FUNCTION_INFO_V1(vc_lease_acquire);
PGDLLEXPORT Datum
vc_lease_acquire(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	VcLeaseUse use = PG_GETARG_BOOL(3) ? VC_LEASE_LOAD : VC_LEASE_TAKEN;
	VcLeaseOrder order = {.verb = VC_LEASE_ACQUIRE, .relid = relid, .ttl = *PG_GETARG_INTERVAL_P(2)};
	VcHeldLease *lease = find_held(relid);
	VcLeaseReply reply;
	LOCKTAG tag;

	vc_lock_existing(relid);
	vc_check_writable(relid);
	if (lease && lease->use == VC_LEASE_LOAD && use == VC_LEASE_LOAD)
		PG_RETURN_INT64(lease->token); /* an earlier load of this transaction */
	if (lease || !try_lease_lock(relid, &tag))
		PG_RETURN_NULL();
	text_to_cstring_buffer(PG_GETARG_TEXT_PP(1), order.holder, sizeof(order.holder));
	lease = add_held(relid, use, &order.ttl);
	reply = vc_outbox_order(&order);
	LockRelease(&tag, ExclusiveLock, false);
	if (reply.token == 0)
	{
		forget_held(lease);
		PG_RETURN_NULL();
	}
	set_held(lease, reply);
	PG_RETURN_INT64(reply.token);
}

/* _lease_use(relid oid, token int8, ttl interval) -> false unless the token is that of the lease. Renews it. */
PG_FUNCTION_INFO_V1(vc_lease_use);
PGDLLEXPORT Datum
vc_lease_use(PG_FUNCTION_ARGS)
{
	VcLeaseOrder order = {.verb = VC_LEASE_RENEW, .relid = PG_GETARG_OID(0), .token = PG_GETARG_INT64(1), .ttl = *PG_GETARG_INTERVAL_P(2)};
	VcHeldLease *lease = find_held(order.relid);
	VcLeaseReply reply;

	vc_lock_existing(order.relid);
	vc_check_writable(order.relid);
	vc_outbox_open();
	if (order.token <= 0)
		PG_RETURN_BOOL(false);
	reply = vc_outbox_order(&order);
	if (reply.token == 0)
		PG_RETURN_BOOL(false);
	if (lease == NULL)
		lease = add_held(order.relid, VC_LEASE_USED, &order.ttl);
	set_held(lease, reply);
	PG_RETURN_BOOL(true);
}

/* Renews the lease a load relies on once half its time is over; VC902 when it was lost. */
static void
keep_lease(Oid relid)
{
	VcHeldLease *lease = find_held(relid);
	VcLeaseOrder order = {.verb = VC_LEASE_RENEW, .relid = relid};
	VcLeaseReply reply;

	CHECK_FOR_INTERRUPTS();
	if (lease == NULL || GetCurrentTimestamp() < lease->renew_at)
		return;
	order.token = lease->token;
	order.ttl = lease->ttl;
	reply = vc_outbox_order(&order);
	if (reply.token == 0)
		lease_lost(relid, order.token);
	set_held(lease, reply);
}

/* _lease_keep(relid oid): the same, before a batch. */
PG_FUNCTION_INFO_V1(vc_lease_keep);
PGDLLEXPORT Datum
vc_lease_keep(PG_FUNCTION_ARGS)
{
	keep_lease(PG_GETARG_OID(0));
	PG_RETURN_VOID();
}

/* _lease_renew(relid oid, token int8, ttl interval) -> false when the lease was lost. */
PG_FUNCTION_INFO_V1(vc_lease_renew);
PGDLLEXPORT Datum
vc_lease_renew(PG_FUNCTION_ARGS)
{
	VcLeaseOrder order = {.verb = VC_LEASE_RENEW, .relid = PG_GETARG_OID(0), .token = PG_GETARG_INT64(1), .ttl = *PG_GETARG_INTERVAL_P(2)};

	vc_check_writable(order.relid);
	vc_outbox_open();
	PG_RETURN_BOOL(order.token > 0 && vc_outbox_order(&order).token != 0);
}

/* _lease_release(relid oid, token int8) -> false when it was lost before. One that this transaction loads under ends with it. */
PG_FUNCTION_INFO_V1(vc_lease_release);
PGDLLEXPORT Datum
vc_lease_release(PG_FUNCTION_ARGS)
{
	VcLeaseOrder order = {.verb = VC_LEASE_RELEASE, .relid = PG_GETARG_OID(0), .token = PG_GETARG_INT64(1)};
	VcHeldLease *lease = find_held(order.relid);

	vc_check_writable(order.relid);
	vc_outbox_open();
	if (lease && lease->token == order.token && lease->use == VC_LEASE_USED)
	{
		lease->use = VC_LEASE_LOAD;
		PG_RETURN_BOOL(true);
	}
	if (lease && lease->token == order.token)
		forget_held(lease);
	PG_RETURN_BOOL(order.token > 0 && vc_outbox_order(&order).token != 0);
}

/*
 * _lease_block(relid oid) -> false when somebody else holds the lease; else nobody can acquire it before this transaction
 * ends. For what deletes the collection. The lease that a load of this transaction holds is no obstacle.
 */
PG_FUNCTION_INFO_V1(vc_lease_block);
PGDLLEXPORT Datum
vc_lease_block(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	Oid argtypes[] = {OIDOID};
	Datum values[] = {ObjectIdGetDatum(relid)};
	VcHeldLease *lease = find_held(relid);
	bool free;
	LOCKTAG tag;

	vc_check_writable(relid);
	if (!try_lease_lock(relid, &tag))
		PG_RETURN_BOOL(false);
	if (lease && lease->use == VC_LEASE_LOAD)
		PG_RETURN_BOOL(true);
	SPI_connect();
	free = vc_catalog_read("SELECT FROM vectorcoll.lease l"
						   " WHERE l.relid = $1 AND l.holder IS NOT NULL AND l.expires_at > clock_timestamp()",
						   1, argtypes, values) == 0;
	SPI_finish();
	PG_RETURN_BOOL(free);
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
 * _call_loader(relid oid, loader regproc, path text) -> setof jsonb: what the loader returns, run along the search_path of
 * whoever called the outermost function; the lease of the collection is kept meanwhile. It is read to its end before the first row comes back, so a loader that fails half way has
 * caused no write; called from the select list, one in SQL gives its rows as it goes, and the lease is kept between them. Beyond work_mem the rows go to a file.
 */
PG_FUNCTION_INFO_V1(vc_call_loader);
PGDLLEXPORT Datum
vc_call_loader(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	Oid function = PG_GETARG_OID(1);
	char *path = PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2));
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	char *sql = psprintf("SELECT %s()",
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
		keep_lease(relid);
	}
	SPI_cursor_close(portal);
	SPI_finish();
	vc_pop_search_path(level);
	return (Datum) 0;
}
