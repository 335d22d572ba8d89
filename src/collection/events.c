/*
 * events.c
 *		Events of loading and writing, those of failed transactions included.
 *
 * An event is a row of vectorcoll.event_log and a NOTIFY on channel vectorcoll_events, both written in the transaction
 * that raises it. When that transaction, or the subtransaction the event belongs to, is rolled back, row and NOTIFY are
 * gone; so every event is also remembered here until its fate is known, and those that were rolled back are handed to a
 * background worker, which writes them in a transaction of its own with committed = false.
 *
 * The hand-over goes through an outbox: a small shared memory segment of the session, made when the session raises its
 * first event, while errors are still allowed. At the end of a transaction nothing may fail, so there events are only
 * copied into free slots of the ring and a worker is registered, which neither allocates nor raises. When no worker slot
 * is free the events wait in the outbox for the next end of a transaction, or for the end of the session, which
 * tries once more. What does not fit in the outbox is counted and reported as one event EVENTS_LOST.
 *
 * The ring has one producer, the session, and one consumer, the worker; head and tail only grow, each written by one
 * side, under the spinlock that also guards who is there (worker_active, session_gone). The last of the two to leave unpins
 * the segment. It works without shared_preload_libraries.
 */
#include "collection.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/spin.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#define VC_EVENT_CHANNEL "vectorcoll_events"
#define VC_OUTBOX_SLOTS 32
#define VC_EVENT_DETAILS 400 /* bytes of details that survive a rollback; longer ones are dropped whole */

/* One event, self-contained and of fixed size, so that copying it cannot fail. */
typedef struct VcEvent
{
	TimestampTz at;
	Oid role;
	int32 pid;
	FullTransactionId xact;
	SubTransactionId subxact; /* not meaningful in the outbox */
	bool lost;				  /* its subtransaction was rolled back */
	char event[NAMEDATALEN];
	char collection[2 * NAMEDATALEN];
	char details[VC_EVENT_DETAILS]; /* a JSON object */
} VcEvent;

typedef struct VcOutbox
{
	slock_t mutex;
	bool worker_active; /* a worker is registered or running, and will look again before it leaves */
	bool session_gone;
	uint32 head;	/* events put in so far; written by the session */
	uint32 tail;	/* events taken out so far; written by the worker */
	uint32 dropped; /* events that found no slot since the last hand-over */
	VcEvent slots[VC_OUTBOX_SLOTS];
} VcOutbox;

/* What travels to the worker in bgw_extra. */
typedef struct VcOutboxRequest
{
	Oid database;
	dsm_handle handle;
} VcOutboxRequest;

StaticAssertDecl(sizeof(VcOutboxRequest) <= BGW_EXTRALEN, "outbox request must fit bgw_extra");

static VcOutbox *outbox = NULL;
static dsm_handle outbox_handle;

/* Events of the current transaction whose fate is open. Grows by doubling, at emission only. */
static VcEvent *pending = NULL;
static int pending_count = 0;
static int pending_size = 0;

/*---------------------------------------------------------------- outbox ----*/

/* Registers a worker for the outbox. Allocates nothing; false when no slot is free. */
static bool
register_worker(void)
{
	BackgroundWorker worker = {0};
	VcOutboxRequest request = {.database = MyDatabaseId, .handle = outbox_handle};

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_library_name, "vectorcoll", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "vc_event_worker_main", sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, "vectorcoll events", sizeof(worker.bgw_name));
	strlcpy(worker.bgw_type, "vectorcoll events", sizeof(worker.bgw_type));
	memcpy(worker.bgw_extra, &request, sizeof(request));
	return RegisterDynamicBackgroundWorker(&worker, NULL);
}

/* Makes sure a worker will see what is in the outbox. */
static void
wake_worker(void)
{
	bool needed;

	SpinLockAcquire(&outbox->mutex);
	needed = !outbox->worker_active && outbox->head != outbox->tail;
	if (needed)
		outbox->worker_active = true;
	SpinLockRelease(&outbox->mutex);
	if (needed && !register_worker())
	{
		SpinLockAcquire(&outbox->mutex);
		outbox->worker_active = false;
		SpinLockRelease(&outbox->mutex);
	}
}

/* The session detaches: at its end, after its last transaction was rolled back. */
static void
session_leaves(dsm_segment *segment, Datum arg)
{
	bool unpin;

	wake_worker();
	SpinLockAcquire(&outbox->mutex);
	outbox->session_gone = true;
	unpin = !outbox->worker_active;
	SpinLockRelease(&outbox->mutex);
	if (unpin)
		dsm_unpin_segment(outbox_handle);
	outbox = NULL;
}

static void
outbox_put(const VcEvent *event)
{
	SpinLockAcquire(&outbox->mutex);
	if (outbox->head - outbox->tail < VC_OUTBOX_SLOTS)
		outbox->slots[outbox->head++ % VC_OUTBOX_SLOTS] = *event;
	else
		outbox->dropped++;
	SpinLockRelease(&outbox->mutex);
}

static void
end_of_transaction(XactEvent event, void *arg)
{
	bool aborted = event == XACT_EVENT_ABORT;

	if (pending_count == 0 || (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE))
		return;
	for (int i = 0; i < pending_count; i++)
		if (aborted || pending[i].lost)
			outbox_put(&pending[i]);
	pending_count = 0;
	wake_worker();
}

static void
end_of_subtransaction(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	for (int i = pending_count - 1; i >= 0; i--)
	{
		if (pending[i].subxact != mine)
			continue;
		pending[i].subxact = parent;
		if (event == SUBXACT_EVENT_ABORT_SUB)
			pending[i].lost = true;
	}
}

static void
make_outbox(void)
{
	dsm_segment *segment = dsm_create(sizeof(VcOutbox), 0);

	dsm_pin_mapping(segment);
	dsm_pin_segment(segment);
	outbox = dsm_segment_address(segment);
	outbox_handle = dsm_segment_handle(segment);
	memset(outbox, 0, sizeof(VcOutbox));
	SpinLockInit(&outbox->mutex);
	on_dsm_detach(segment, session_leaves, (Datum) 0);
	RegisterXactCallback(end_of_transaction, NULL);
	RegisterSubXactCallback(end_of_subtransaction, NULL);
}

/*------------------------------------------------------------------ emit ----*/

/* Writes the row and the NOTIFY in the current transaction, as the registry's owner. SPI is not connected. */
static void
write_event(const VcEvent *event, const char *details, bool committed)
{
	Oid argtypes[] = {TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID, INT4OID, OIDOID, TEXTOID, BOOLOID};
	char xact[32];
	Datum values[] = {TimestampTzGetDatum(event->at), CStringGetTextDatum(event->event), CStringGetTextDatum(event->collection),
					  CStringGetTextDatum(details), Int32GetDatum(event->pid), ObjectIdGetDatum(event->role), (Datum) 0,
					  BoolGetDatum(committed)};

	snprintf(xact, sizeof(xact), UINT64_FORMAT, U64FromFullTransactionId(event->xact));
	values[6] = CStringGetTextDatum(xact);
	SPI_connect();
	vc_catalog_exec("WITH e AS (INSERT INTO vectorcoll.event_log (at, event, collection, details, pid, role, xact, committed)"
					" VALUES ($1, $2, $3, $4::jsonb, $5, pg_get_userbyid($6), $7::xid8, $8) RETURNING *)"
					" SELECT pg_notify('" VC_EVENT_CHANNEL "', jsonb_build_object('id', e.id, 'at', e.at, 'event', e.event,"
					"        'collection', e.collection, 'committed', e.committed)::text) FROM e",
					8, argtypes, values, NULL);
	SPI_finish();
}

/*
 * _emit(relid oid, event text, details jsonb): the caller may write to the collection. Events say what its users did
 * with it, so one who may not write cannot put words into the log.
 */
PG_FUNCTION_INFO_V1(vc_emit);
PGDLLEXPORT Datum
vc_emit(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	char *name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	Jsonb *json = PG_GETARG_JSONB_P(2);
	char *details = JsonbToCString(NULL, &json->root, VARSIZE(json));
	char *nspname = get_namespace_name(get_rel_namespace(relid));
	char *relname = get_rel_name(relid);
	VcEvent *event;

	vc_check_writable(relid);
	if (nspname == NULL || relname == NULL)
		PG_RETURN_VOID();
	if (outbox == NULL)
		make_outbox();
	if (pending_count == pending_size)
	{
		int size = Max(16, pending_size * 2);

		pending = pending ? repalloc_huge(pending, sizeof(VcEvent) * size)
						  : MemoryContextAllocZero(TopMemoryContext, sizeof(VcEvent) * size);
		pending_size = size;
	}
	event = &pending[pending_count];
	memset(event, 0, sizeof(*event));
	event->at = GetCurrentTimestamp();
	event->role = GetUserId();
	event->pid = MyProcPid;
	event->xact = GetTopFullTransactionId();
	event->subxact = GetCurrentSubTransactionId();
	strlcpy(event->event, name, sizeof(event->event));
	snprintf(event->collection, sizeof(event->collection), "%s.%s", nspname, relname);
	strlcpy(event->details, strlen(details) < VC_EVENT_DETAILS ? details : "{}", sizeof(event->details));
	pending_count++;
	write_event(event, details, true);
	PG_RETURN_VOID();
}

/*---------------------------------------------------------------- worker ----*/

/* Writes what is in the outbox in one transaction; true when there was something. */
static bool
drain(VcOutbox *box)
{
	uint32 head;
	uint32 tail;
	uint32 dropped;

	SpinLockAcquire(&box->mutex);
	head = box->head;
	tail = box->tail;
	dropped = box->dropped;
	SpinLockRelease(&box->mutex);
	if (head == tail)
		return false;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	/* Slots between tail and head are not written by the session until tail has moved. */
	for (uint32 i = tail; i != head; i++)
		write_event(&box->slots[i % VC_OUTBOX_SLOTS], box->slots[i % VC_OUTBOX_SLOTS].details, false);
	if (dropped > 0)
	{
		VcEvent lost = box->slots[(head - 1) % VC_OUTBOX_SLOTS];
		char details[64];

		strlcpy(lost.event, "EVENTS_LOST", sizeof(lost.event));
		snprintf(details, sizeof(details), "{\"count\": %u}", dropped);
		write_event(&lost, details, false);
	}
	PopActiveSnapshot();
	CommitTransactionCommand();

	SpinLockAcquire(&box->mutex);
	box->tail = head;
	box->dropped -= dropped;
	SpinLockRelease(&box->mutex);
	return true;
}

/* Leaves if the outbox is empty, or by force: the worker goes, and takes the segment along if the session is gone. */
static bool
worker_leaves(VcOutbox *box, dsm_handle handle, bool force)
{
	bool leave;
	bool unpin;

	SpinLockAcquire(&box->mutex);
	leave = force || box->head == box->tail;
	unpin = leave && box->session_gone;
	if (leave)
		box->worker_active = false;
	SpinLockRelease(&box->mutex);
	if (unpin)
		dsm_unpin_segment(handle);
	return leave;
}

static void
worker_detaches(dsm_segment *segment, Datum arg)
{
	VcOutbox *box = dsm_segment_address(segment);

	if (box->worker_active)
		worker_leaves(box, dsm_segment_handle(segment), true);
}

PGDLLEXPORT void vc_event_worker_main(Datum arg);

void
vc_event_worker_main(Datum arg)
{
	VcOutboxRequest request;
	dsm_segment *segment;
	VcOutbox *box;

	memcpy(&request, MyBgworkerEntry->bgw_extra, sizeof(request));
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	segment = dsm_attach(request.handle);
	if (segment == NULL)
		return; /* the session ended and another worker emptied its outbox */
	dsm_pin_mapping(segment);
	box = dsm_segment_address(segment);
	on_dsm_detach(segment, worker_detaches, (Datum) 0);
	BackgroundWorkerInitializeConnectionByOid(request.database, InvalidOid, 0);
	pgstat_report_activity(STATE_RUNNING, "vectorcoll: events of failed transactions");
	do
	{
		while (drain(box))
			;
	} while (!worker_leaves(box, request.handle, false));
	proc_exit(0);
}
