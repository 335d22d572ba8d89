/*
 * lock.c
 *		Definition locks and timeouts of the functions that change a collection.
 *
 * A definition lock is on a name, not on an oid, so that two sessions creating the same collection meet. It is an
 * exclusive heavyweight lock held to the end of the transaction: lock_timeout, cancel and the deadlock detector work on
 * it as on any table lock. Its tag is of the advisory class with a fourth field of our own, which keeps it apart from
 * every pg_advisory_lock (those have 1 or 2 there). Names that hash alike share a lock, which costs waiting, not truth.
 * Whoever takes several takes them through one call, which sorts them.
 */
#include "collection.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/resowner.h"
#include "utils/syscache.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#define VC_LOCK_CLASS 22083 /* 'V' << 8 | 'C': field 4 of our lock tags */
#define VC_LOCK_ATTEMPTS 10 /* as many as the loop around _again makes */

void
vc_set_locktag(LOCKTAG *tag, const char *kind, const char *key)
{
	uint64 hash = hash_bytes_extended((const unsigned char *) key, strlen(key),
									  hash_bytes((const unsigned char *) kind, strlen(kind)));

	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, (uint32) (hash >> 32), (uint32) hash, VC_LOCK_CLASS);
}

/* On a standby the server refuses locks of this strength with a code of its own (55000); what is refused is a write. */
static void
check_writable(LOCKMODE mode)
{
	if (mode > RowExclusiveLock)
		PreventCommandDuringRecovery("a change of a collection");
}

/*
 * One attempt to wait for a lock, in a subtransaction so that the wait can be undone. False when the deadlock detector chose
 * us: only the lock itself is given back, so that is of use to who holds no other that somebody in the cycle wants.
 */
static bool
wait_for_lock(const LOCKTAG *tag, LOCKMODE mode, bool last)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool acquired = true;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		(void) LockAcquire(tag, mode, false, false);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		if (last || error->sqlerrcode != ERRCODE_T_R_DEADLOCK_DETECTED)
			ReThrowError(error);
		FreeErrorData(error);
		acquired = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return acquired;
}

/*
 * The first lock of a function on something that DDL by hand locks as well. Two sessions with DDL by hand may lock each other
 * out; who merely stands in line between them can be the one whom the deadlock detector turns away, and asks again.
 */
static void
lock_patiently(const LOCKTAG *tag, LOCKMODE mode)
{
	check_writable(mode);
	if (LockAcquire(tag, mode, false, true) == LOCKACQUIRE_NOT_AVAIL)
	{
		if (IsInParallelMode()) /* which allows no subtransactions */
			(void) LockAcquire(tag, mode, false, false);
		else
			for (int attempt = 1; !wait_for_lock(tag, mode, attempt == VC_LOCK_ATTEMPTS);)
				attempt++;
	}
	AcceptInvalidationMessages();
}

void
vc_lock_table(Oid relid, LOCKMODE mode)
{
	LOCKTAG tag;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, relid);
	lock_patiently(&tag, mode);
}

void
vc_lock_schema(Oid nspoid)
{
	LOCKTAG tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, NamespaceRelationId, nspoid, 0);
	lock_patiently(&tag, AccessShareLock);
}

void
vc_definition_lock(const char *qualified)
{
	LOCKTAG tag;

	vc_set_locktag(&tag, "definition", qualified);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	AcceptInvalidationMessages();
}

int
vc_lockmode(const char *name)
{
	static const char *const names[] = {"", "ACCESS SHARE", "ROW SHARE", "ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE",
										"SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE"};

	for (int i = 1; i < lengthof(names); i++)
		if (strcmp(name, names[i]) == 0)
			return i;
	elog(ERROR, "unknown lock mode \"%s\"", name);
}

static int
compare_tags(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(LOCKTAG));
}

/*
 * Whoever may not use what a key stands for shall not keep its users waiting: the schema of a name, the table of a load.
 */
static void
check_may_lock(const char *kind, const char *key)
{
	char *nspname;
	Oid nspoid;
	AclResult result;

	if (strcmp(kind, "load") == 0)
	{
		Oid relid = (Oid) strtoul(key, NULL, 10);
		bool missing = false;

		result = pg_class_aclcheck_ext(relid, GetUserId(), ACL_SELECT, &missing);
		if (!missing && result != ACLCHECK_OK)
			aclcheck_error(result, get_relkind_objtype(get_rel_relkind(relid)), get_rel_name(relid));
		return;
	}
	nspname = pstrdup(key);
	nspname[strcspn(nspname, ".")] = '\0';
	nspoid = get_namespace_oid(nspname, true);
	if (!OidIsValid(nspoid))
		return;
#if PG_VERSION_NUM >= 160000
	result = object_aclcheck(NamespaceRelationId, nspoid, GetUserId(), ACL_USAGE);
#else
	result = pg_namespace_aclcheck(nspoid, GetUserId(), ACL_USAGE);
#endif
	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_SCHEMA, nspname);
}

/* _lock(kind text, keys text[]): takes the exclusive locks of that kind on all keys, in one global order. */
PG_FUNCTION_INFO_V1(vc_lock);
PGDLLEXPORT Datum
vc_lock(PG_FUNCTION_ARGS)
{
	char *kind = text_to_cstring(PG_GETARG_TEXT_PP(0));
	Datum *keys;
	int nkeys;
	LOCKTAG *tags;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT, &keys, NULL, &nkeys);
	tags = palloc0_array(LOCKTAG, Max(nkeys, 1));
	for (int i = 0; i < nkeys; i++)
	{
		char *key = TextDatumGetCString(keys[i]);

		check_may_lock(kind, key);
		vc_set_locktag(&tags[i], kind, key);
	}
	qsort(tags, nkeys, sizeof(LOCKTAG), compare_tags);
	for (int i = 0; i < nkeys; i++)
		(void) LockAcquire(&tags[i], ExclusiveLock, false, false);
	AcceptInvalidationMessages();
	PG_RETURN_VOID();
}

/* _lock_namespace(name text): ACCESS EXCLUSIVE on the schema, which the caller owns, as DROP SCHEMA takes it. */
PG_FUNCTION_INFO_V1(vc_lock_namespace);
PGDLLEXPORT Datum
vc_lock_namespace(PG_FUNCTION_ARGS)
{
	char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	Oid nspoid = get_namespace_oid(name, false);
	LOCKTAG tag;

#if PG_VERSION_NUM >= 160000
	if (!object_ownercheck(NamespaceRelationId, nspoid, GetUserId()))
#else
	if (!pg_namespace_ownercheck(nspoid, GetUserId()))
#endif
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_SCHEMA, name);
	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, NamespaceRelationId, nspoid, 0);
	lock_patiently(&tag, AccessExclusiveLock);
	(void) get_namespace_oid(name, false);
	PG_RETURN_VOID();
}

/*-------------------------------------------------------------- timeouts ----*/

/*
 * The timeout argument of a function cancels its own statement when it fires, exactly as statement_timeout does. The
 * function does its work in a block with an exception handler, that is, in a subtransaction: the timer is armed inside
 * and disarmed when that subtransaction ends either way. The handler catches query_canceled and lets _again turn
 * it into VC905 if the timer was the cause. An inner call with a timeout of its own runs under the outer one's. When the
 * function starts again after a deadlock, the deadline stays that of its first attempt.
 */
static TimeoutId timer = MAX_TIMEOUTS;
static SubTransactionId timer_owner = InvalidSubTransactionId;
static TimestampTz timer_deadline = 0;
static volatile sig_atomic_t timer_fired = false;

static void
on_timeout(void)
{
	timer_fired = true;
	QueryCancelPending = true;
	InterruptPending = true;
	SetLatch(MyLatch);
}

static void
disarm(void)
{
	disable_timeout(timer, false);
	timer_owner = InvalidSubTransactionId;
}

static void
end_of_subtransaction(SubXactEvent event, SubTransactionId mysubid, SubTransactionId parentsubid, void *arg)
{
	if (mysubid != timer_owner || (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB))
		return;
	disarm();
	if (!timer_fired)
		return;
	/* It fired after the work was done, which then stands, or as another error ended it, and shall cancel nothing else. */
	QueryCancelPending = false;
	if (event == SUBXACT_EVENT_COMMIT_SUB)
		timer_fired = false;
}

static void
end_of_transaction(XactEvent event, void *arg)
{
	if (timer_owner != InvalidSubTransactionId)
		disarm();
	timer_fired = false;
}

/*
 * _timeout_start(timeout interval, attempt int): arms the timer for the current subtransaction; null or an armed timer:
 * nothing.
 */
PG_FUNCTION_INFO_V1(vc_timeout_start);
PGDLLEXPORT Datum
vc_timeout_start(PG_FUNCTION_ARGS)
{
	if (timer == MAX_TIMEOUTS)
	{
		timer = RegisterTimeout(USER_TIMEOUT, on_timeout);
		RegisterSubXactCallback(end_of_subtransaction, NULL);
		RegisterXactCallback(end_of_transaction, NULL);
	}
	if (timer_owner != InvalidSubTransactionId)
		PG_RETURN_VOID();
	timer_fired = false;
	if (PG_ARGISNULL(0))
		PG_RETURN_VOID();
	if (PG_GETARG_INT32(1) == 1)
	{
		Interval *timeout = PG_GETARG_INTERVAL_P(0);
		double ms = (double) timeout->time / 1000.0 +
					((double) timeout->month * DAYS_PER_MONTH + timeout->day) * SECS_PER_DAY * 1000.0;

		if (!(ms >= 1 && ms <= INT_MAX))
			ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER), errmsg("invalid timeout"),
							errdetail("A timeout is at least one millisecond and at most 24 days."),
							errhint("Leave timeout null to wait as long as lock_timeout and statement_timeout allow.")));
		timer_deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), (int64) ms);
	}
	timer_owner = GetCurrentSubTransactionId();
	enable_timeout_at(timer, timer_deadline);
	PG_RETURN_VOID();
}

/*
 * _again(function text, sqlstate text, attempt int) -> whether the function starts again: an attempt ended by the deadlock
 * detector, unless it was the last. Raises VC905 if the timer was the cause.
 */
PG_FUNCTION_INFO_V1(vc_again);
PGDLLEXPORT Datum
vc_again(PG_FUNCTION_ARGS)
{
	bool deadlock = strcmp(text_to_cstring(PG_GETARG_TEXT_PP(1)), unpack_sql_state(ERRCODE_T_R_DEADLOCK_DETECTED)) == 0;

	if (timer_fired)
	{
		timer_fired = false;
		ereport(ERROR, (vc_errcode(VC_E_TIMED_OUT), errmsg("%s timed out", text_to_cstring(PG_GETARG_TEXT_PP(0))),
						errdetail("Its timeout passed while it waited or worked; nothing was changed."),
						errhint("Try again with a longer timeout, or see pg_locks for the session that holds the collection.")));
	}
	PG_RETURN_BOOL(deadlock && PG_GETARG_INT32(2) < VC_LOCK_ATTEMPTS);
}

/*
 * _lock_relation(relid oid, lockmode text) -> whether the relation is there, locked. On that relation alone; LOCK TABLE
 * would go on to a view's tables. Any mode but ACCESS SHARE takes its owner.
 */
PG_FUNCTION_INFO_V1(vc_lock_relation);
PGDLLEXPORT Datum
vc_lock_relation(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	LOCKMODE lockmode = vc_lockmode(text_to_cstring(PG_GETARG_TEXT_PP(1)));

	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
		PG_RETURN_BOOL(false);
	if (lockmode != AccessShareLock)
		vc_check_owner(relid);
	check_writable(lockmode);
	LockRelationOid(relid, lockmode);
	if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
		PG_RETURN_BOOL(true);
	UnlockRelationOid(relid, lockmode);
	PG_RETURN_BOOL(false);
}
