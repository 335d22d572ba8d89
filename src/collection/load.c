/*
 * load.c
 *		Residency of collections in shared_buffers: measuring it, bringing blocks in, throwing them out, and the background
 *		worker that does the bringing when nobody wants to wait.
 *
 * The blocks of a collection are those of the main forks of its tables, their TOAST tables, and the indexes of both.
 * Measuring looks each block up in the buffer mapping table under a shared partition lock, as a read of it would, and
 * pins nothing. Loading reads blocks through ReadBuffer. Both hold ACCESS SHARE on every relation, taken parents first.
 *
 * Releasing: from 17 on, each resident buffer is evicted by the server's EvictUnpinnedBuffer, which writes it out if
 * dirty; a pinned one is tried again for a while. Before 17 there is no such call, and buffers may only be dropped
 * where nobody can be dirtying them: under ACCESS EXCLUSIVE on table, TOAST table and indexes, after
 * FlushRelationBuffers has written every dirty one (and registered it for the next checkpoint's fsync).
 *
 * Whoever loads holds the lock of kind "load" on the relation's oid, which is how others see that a load is under way and
 * why a worker that dies leaves nothing behind.
 */
#include "collection.h"

#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/buf_internals.h"
#include "storage/bufmgr.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/smgr.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* How far ahead of the read the kernel is told to fetch. */
#define VC_PREFETCH_BLOCKS 64
/* Blocks between two looks at whether the load is still wanted. */
#define VC_CHECK_BLOCKS 4096
/* A load that cannot keep all blocks in memory gives up after so many passes; the rest was evicted by other traffic. */
#define VC_LOAD_PASSES 8
/* Tries to evict a buffer somebody has pinned, a millisecond apart. */
#define VC_EVICT_TRIES 100

/* What travels to the worker in bgw_extra. */
typedef struct VcLoadRequest
{
	Oid database;
	Oid relid;
	TransactionId requester; /* the worker waits for its commit before it looks for the request */
} VcLoadRequest;

StaticAssertDecl(sizeof(VcLoadRequest) <= BGW_EXTRALEN, "load request must fit bgw_extra");

/*-------------------------------------------------------------- relations ----*/

/* Appends a table's oid and those of its indexes, locking those; the table is locked. */
static List *
add_with_indexes(List *oids, Oid relid, LOCKMODE lockmode)
{
	Relation rel = relation_open(relid, NoLock);
	ListCell *lc;

	oids = lappend_oid(oids, relid);
	foreach (lc, RelationGetIndexList(rel))
	{
		LockRelationOid(lfirst_oid(lc), lockmode);
		oids = lappend_oid(oids, lfirst_oid(lc));
	}
	relation_close(rel, NoLock);
	return oids;
}

/*
 * Every relation that holds blocks of the collection or partition, each locked once in `lockmode` to the end of the
 * transaction. *parents receives those that are locked and hold none.
 */
static List *
storage_relations(Oid relid, LOCKMODE lockmode, List **parents)
{
	Relation root = try_relation_open(relid, lockmode);
	List *tree;
	List *oids = NIL;
	ListCell *lc;

	*parents = NIL;
	if (root == NULL)
		vc_collection_gone();
	relation_close(root, NoLock);
	tree = find_all_inheritors(relid, lockmode, NULL);
	foreach (lc, tree)
	{
		Relation rel = relation_open(lfirst_oid(lc), NoLock);
		Oid toast = rel->rd_rel->reltoastrelid;

		if (RELKIND_HAS_STORAGE(rel->rd_rel->relkind))
		{
			oids = add_with_indexes(oids, RelationGetRelid(rel), lockmode);
			if (OidIsValid(toast))
			{
				LockRelationOid(toast, lockmode);
				oids = add_with_indexes(oids, toast, lockmode);
			}
		}
		else
			*parents = lappend_oid(*parents, RelationGetRelid(rel));
		relation_close(rel, NoLock);
	}
	return oids;
}

/* Raises 42501 unless the current user may read the table, which is not locked yet and may be gone. */
static void
check_select(Oid relid)
{
	bool missing = false;
	AclResult result = pg_class_aclcheck_ext(relid, GetUserId(), ACL_SELECT, &missing);

	if (missing)
		vc_collection_gone();
	if (result != ACLCHECK_OK)
		aclcheck_error(result, get_relkind_objtype(get_rel_relkind(relid)), get_rel_name(relid));
}

/* Id of the buffer that holds the block, or -1. It may be gone the moment this returns. */
static int
find_buffer(Relation rel, BlockNumber block)
{
	BufferTag tag;
	uint32 hash;
	LWLock *lock;
	int id;

#if PG_VERSION_NUM >= 160000
	InitBufferTag(&tag, &rel->rd_locator, MAIN_FORKNUM, block);
#else
	INIT_BUFFERTAG(tag, rel->rd_node, MAIN_FORKNUM, block);
#endif
	hash = BufTableHashCode(&tag);
	lock = BufMappingPartitionLock(hash);
	LWLockAcquire(lock, LW_SHARED);
	id = BufTableLookup(&tag, hash);
	LWLockRelease(lock);
	return id;
}

static void
measure(List *oids, int64 *total, int64 *resident)
{
	ListCell *lc;

	*total = *resident = 0;
	foreach (lc, oids)
	{
		Relation rel = relation_open(lfirst_oid(lc), NoLock);
		BlockNumber nblocks = RelationGetNumberOfBlocks(rel);

		*total += nblocks;
		for (BlockNumber block = 0; block < nblocks; block++)
		{
			if (block % VC_CHECK_BLOCKS == 0)
				CHECK_FOR_INTERRUPTS();
			if (find_buffer(rel, block) >= 0)
				(*resident)++;
		}
		relation_close(rel, NoLock);
	}
}

/*
 * _memory(relid oid, OUT total_bytes int8, OUT resident_bytes int8). Gives its locks back: who goes on to wait for a
 * load must not stand in the way of those the load waits behind.
 */
PG_FUNCTION_INFO_V1(vc_memory);
PGDLLEXPORT Datum
vc_memory(PG_FUNCTION_ARGS)
{
	TupleDesc tupdesc;
	int64 total;
	int64 resident;
	Datum values[2];
	bool nulls[2] = {false, false};
	List *parents;
	List *oids = storage_relations(PG_GETARG_OID(0), AccessShareLock, &parents);
	ListCell *lc;

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	measure(oids, &total, &resident);
	foreach (lc, list_concat(oids, parents))
		UnlockRelationOid(lfirst_oid(lc), AccessShareLock);
	values[0] = Int64GetDatum(total * BLCKSZ);
	values[1] = Int64GetDatum(resident * BLCKSZ);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), values, nulls)));
}

/*------------------------------------------------------------------ load ----*/

/* Writes the row that says what was asked for or done; null: takes it away. */
static void
write_state(Oid relid, const char *state, const char *failure)
{
	Oid argtypes[] = {OIDOID, TEXTOID, TIMESTAMPTZOID, TEXTOID};
	Datum values[] = {ObjectIdGetDatum(relid), state ? CStringGetTextDatum(state) : (Datum) 0,
					  TimestampTzGetDatum(PgStartTime), failure ? CStringGetTextDatum(failure) : (Datum) 0};
	char nulls[] = {' ', ' ', ' ', failure ? ' ' : 'n'};

	SPI_connect();
	if (state == NULL)
		vc_catalog_exec("DELETE FROM vectorcoll.load_state WHERE relid = $1", 1, argtypes, values, NULL);
	else
		vc_catalog_exec("INSERT INTO vectorcoll.load_state AS s (relid, state, server_start, failure) VALUES ($1, $2, $3, $4)"
						" ON CONFLICT (relid) DO UPDATE SET state = $2, server_start = $3, failure = $4,"
						" changed_at = clock_timestamp()",
						4, argtypes, values, nulls);
	SPI_finish();
	vc_forget(relid);
}

static bool
still_wanted(Oid relid)
{
	Oid argtypes[] = {OIDOID};
	Datum values[] = {ObjectIdGetDatum(relid)};
	bool wanted;

	SPI_connect();
	wanted = vc_catalog_read("SELECT FROM vectorcoll.load_state WHERE relid = $1", 1, argtypes, values) > 0;
	SPI_finish();
	return wanted;
}

/* Reads the blocks that are missing. Returns false when the request was withdrawn meanwhile. */
static bool
read_missing(Oid relid, List *oids, bool in_worker)
{
	ListCell *lc;
	uint64 seen = 0;

	foreach (lc, oids)
	{
		Relation rel = relation_open(lfirst_oid(lc), NoLock);
		BlockNumber nblocks = RelationGetNumberOfBlocks(rel);
		BlockNumber ahead = 0;

		for (BlockNumber block = 0; block < nblocks; block++)
		{
			CHECK_FOR_INTERRUPTS();
			if (in_worker && ++seen % VC_CHECK_BLOCKS == 0 && !still_wanted(relid))
			{
				relation_close(rel, NoLock);
				return false;
			}
			if (find_buffer(rel, block) >= 0)
				continue;
			for (ahead = Max(ahead, block + 1); ahead < nblocks && ahead <= block + VC_PREFETCH_BLOCKS; ahead++)
				PrefetchBuffer(rel, MAIN_FORKNUM, ahead);
			ReleaseBuffer(ReadBufferExtended(rel, MAIN_FORKNUM, block, RBM_NORMAL, NULL));
		}
		relation_close(rel, NoLock);
	}
	return true;
}

static void
load_blocks(Oid relid, bool in_worker)
{
	List *parents;
	List *oids = storage_relations(relid, AccessShareLock, &parents);
	int64 total;
	int64 resident;

	measure(oids, &total, &resident);
	if (total > (int64) (vc_load_max_share * NBuffers))
		ereport(ERROR, (vc_errcode(VC_E_LIMIT), errmsg("collection is too large to load"),
						errdetail("It has %lld MB, and vectorcoll.load_max_share allows %lld MB of the %lld MB of shared_buffers.",
								  (long long) (total * BLCKSZ / 1048576),
								  (long long) (vc_load_max_share * NBuffers * BLCKSZ / 1048576),
								  (long long) ((int64) NBuffers * BLCKSZ / 1048576)),
						errhint("Raise shared_buffers, or load some of its partitions.")));
	for (int pass = 0; pass < VC_LOAD_PASSES && resident < total; pass++)
	{
		if (!read_missing(relid, oids, in_worker))
			return;
		measure(oids, &total, &resident);
	}
	if (resident < total)
		ereport(ERROR, (vc_errcode(VC_E_LIMIT), errmsg("collection does not stay in memory"),
						errdetail("After %d passes %lld of its %lld blocks are in shared_buffers; other traffic evicts them.",
								  VC_LOAD_PASSES, (long long) resident, (long long) total),
						errhint("Raise shared_buffers, or release other collections.")));
	if (!in_worker || still_wanted(relid))
		write_state(relid, "Loaded", NULL);
}

/* _load_now(relid oid): brings every block of a collection or partition into shared_buffers, and says so in load_state. */
PG_FUNCTION_INFO_V1(vc_load_now);
PGDLLEXPORT Datum
vc_load_now(PG_FUNCTION_ARGS)
{
	check_select(PG_GETARG_OID(0));
	load_blocks(PG_GETARG_OID(0), false);
	PG_RETURN_VOID();
}

/*--------------------------------------------------------------- release ----*/

#if PG_VERSION_NUM >= 170000
static void
evict_relation(Relation rel)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(rel);

	for (BlockNumber block = 0; block < nblocks; block++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int attempt = 0; attempt < VC_EVICT_TRIES; attempt++)
		{
			int id = find_buffer(rel, block);
			bool evicted;
#if PG_VERSION_NUM >= 180000
			bool flushed;
#endif

			/*
			 * The buffer may hold another block by now; evicting that one costs a read later, no more. Hence the check
			 * of the mapping again on the next turn.
			 */
			if (id < 0)
				break;
#if PG_VERSION_NUM >= 180000
			evicted = EvictUnpinnedBuffer(id + 1, &flushed);
#else
			evicted = EvictUnpinnedBuffer(id + 1);
#endif
			if (!evicted)
				pg_usleep(1000);
		}
	}
}
#else
static void
evict_relation(Relation rel)
{
	ForkNumber forks[] = {MAIN_FORKNUM, FSM_FORKNUM, VISIBILITYMAP_FORKNUM};
	BlockNumber first[] = {0, 0, 0};

	Assert(CheckRelationLockedByMe(rel, AccessExclusiveLock, true));
	FlushRelationBuffers(rel);
#if PG_VERSION_NUM >= 160000
	DropRelationBuffers(RelationGetSmgr(rel), forks, lengthof(forks), first);
#else
	DropRelFileNodeBuffers(RelationGetSmgr(rel), forks, lengthof(forks), first);
#endif
}
#endif

/* _release_blocks(relid oid) -> bytes that left shared_buffers. The caller owns the table. */
PG_FUNCTION_INFO_V1(vc_release_blocks);
PGDLLEXPORT Datum
vc_release_blocks(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	List *oids;
	List *parents;
	ListCell *lc;
	int64 total;
	int64 before;
	int64 after;

	vc_check_owner(relid);
	oids = storage_relations(relid, PG_VERSION_NUM >= 170000 ? AccessShareLock : AccessExclusiveLock, &parents);
	measure(oids, &total, &before);
	foreach (lc, oids)
	{
		Relation rel = relation_open(lfirst_oid(lc), NoLock);

		evict_relation(rel);
		relation_close(rel, NoLock);
	}
	measure(oids, &total, &after);
	PG_RETURN_INT64(Max(before - after, 0) * BLCKSZ);
}

/*----------------------------------------------------------------- state ----*/

/*
 * _set_load_state(relid oid, state text): for the owner, when a load of the whole is taken apart into loads of partitions;
 * null forgets the load. Everybody else's way to a state is a load.
 */
PG_FUNCTION_INFO_V1(vc_set_load_state);
PGDLLEXPORT Datum
vc_set_load_state(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	char *state = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));

	vc_check_owner(relid);
	if (state)
		vc_lock_existing(relid); /* its row goes with it, so it must not go before the row is there */
	if (state && strcmp(state, "Loaded") != 0)
		elog(ERROR, "unknown load state \"%s\"", state);
	write_state(relid, state, NULL);
	PG_RETURN_VOID();
}

static void
load_locktag(LOCKTAG *tag, Oid relid)
{
	char key[16];

	snprintf(key, sizeof(key), "%u", relid);
	vc_set_locktag(tag, "load", key);
}

/* _load_running(relid oid) -> whether another session or a worker is loading it now. */
PG_FUNCTION_INFO_V1(vc_load_running);
PGDLLEXPORT Datum
vc_load_running(PG_FUNCTION_ARGS)
{
	LOCKTAG tag;

	load_locktag(&tag, PG_GETARG_OID(0));
	if (LockAcquire(&tag, ShareLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
		PG_RETURN_BOOL(true);
	LockRelease(&tag, ShareLock, false);
	PG_RETURN_BOOL(false);
}

/*---------------------------------------------------------------- worker ----*/

/*
 * _start_load_worker(relid oid) -> false when no worker slot is free. Writes the request; the load starts when this
 * transaction commits.
 */
PG_FUNCTION_INFO_V1(vc_start_load_worker);
PGDLLEXPORT Datum
vc_start_load_worker(PG_FUNCTION_ARGS)
{
	BackgroundWorker worker = {0};
	VcLoadRequest request = {.database = MyDatabaseId, .relid = PG_GETARG_OID(0), .requester = InvalidTransactionId};

	check_select(request.relid);
	vc_lock_existing(request.relid);
	write_state(request.relid, "Loading", NULL);
	request.requester = GetTopTransactionId();
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_ConsistentState;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_library_name, "vectorcoll", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "vc_load_worker_main", sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_type, "vectorcoll load", sizeof(worker.bgw_type));
	snprintf(worker.bgw_name, sizeof(worker.bgw_name), "vectorcoll load of relation %u", request.relid);
	memcpy(worker.bgw_extra, &request, sizeof(request));
	PG_RETURN_BOOL(RegisterDynamicBackgroundWorker(&worker, NULL));
}

/* One attempt at the load, in a transaction of its own; errors are the caller's. */
static void
worker_load(const VcLoadRequest *request)
{
	LOCKTAG tag;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	load_locktag(&tag, request->relid);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	if (still_wanted(request->relid))
	{
		pgstat_report_activity(STATE_RUNNING, "vectorcoll: loading a collection");
		load_blocks(request->relid, true);
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
}

/* Notes in the registry why the load failed; the state is then NotLoad. */
static void
worker_note_failure(Oid relid, const char *message)
{
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (still_wanted(relid))
		write_state(relid, "Failed", message);
	PopActiveSnapshot();
	CommitTransactionCommand();
}

/*
 * The worker connects as the bootstrap superuser: the requester may be a role that cannot log in. It runs no code of
 * theirs, it only reads blocks of a table that the requester was allowed to read.
 */
PGDLLEXPORT void vc_load_worker_main(Datum arg);

void
vc_load_worker_main(Datum arg)
{
	VcLoadRequest request;
	MemoryContext context;

	memcpy(&request, MyBgworkerEntry->bgw_extra, sizeof(request));
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(request.database, InvalidOid, 0);
	context = AllocSetContextCreate(TopMemoryContext, "vectorcoll load", ALLOCSET_DEFAULT_SIZES);

	StartTransactionCommand();
	XactLockTableWait(request.requester, NULL, NULL, XLTW_None);
	CommitTransactionCommand();

	PG_TRY();
	{
		worker_load(&request);
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		AbortCurrentTransaction();
		worker_note_failure(request.relid, error->message);
	}
	PG_END_TRY();
	proc_exit(0);
}
