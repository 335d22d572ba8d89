/*
 * outbox.c
 *		Writes that outlive the transaction they come from: a ring in shared memory, and the worker that empties it.
 *
 * The ring is a small shared memory segment of the session, made when it first needs one, while errors are still allowed.
 * At the end of a transaction nothing may fail, so there items are only copied into free slots and a worker is
 * registered, which neither allocates nor raises. When no worker slot is free, items wait in the outbox for the next end
 * of a transaction, or for the end of the session, which tries once more. A session that waits for an answer keeps
 * trying.
 *
 * The ring has one producer, the session, and one consumer, the worker; head and tail only grow, each written by one
 * side, under the spinlock that also guards who is there (worker_active, session_gone). The worker takes items in order, so a
 * lease given up by one transaction is free before the next one asks. The last of the two to leave unpins the segment. It
 * works without shared_preload_libraries.
 */
#include "outbox.h"

#include "access/xact.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/spin.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#define VC_OUTBOX_SLOTS 32
#define VC_OUTBOX_RESERVED 4	/* slots that events leave to orders */
#define VC_OUTBOX_PATIENCE 30000 /* ms a session waits for its order before it gives up */

typedef struct VcOutboxItem
{
	bool is_order;
	union
	{
		VcEvent event;
		VcLeaseOrder order;
	} u;
} VcOutboxItem;

typedef struct VcOutbox
{
	slock_t mutex;
	PGPROC *session;	/* whose latch is set when items are done */
	bool worker_active; /* a worker is registered or running, and will look again before it leaves */
	bool session_gone;
	uint32 head;		/* items put in so far; written by the session */
	uint32 tail;		/* items carried out so far; written by the worker */
	uint32 dropped;		/* events that found no slot since the last hand-over */
	VcLeaseReply reply; /* to the last order before tail */
	VcOutboxItem slots[VC_OUTBOX_SLOTS];
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

/*--------------------------------------------------------------- session ----*/

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
	strlcpy(worker.bgw_function_name, "vc_outbox_worker_main", sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, "vectorcoll outbox", sizeof(worker.bgw_name));
	strlcpy(worker.bgw_type, "vectorcoll outbox", sizeof(worker.bgw_type));
	memcpy(worker.bgw_extra, &request, sizeof(request));
	return RegisterDynamicBackgroundWorker(&worker, NULL);
}

void
vc_outbox_wake(void)
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

/* What found no worker when it was put in is handed over after whatever transaction comes next. */
static void
end_of_transaction(XactEvent event, void *arg)
{
	if (outbox && (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE))
		vc_outbox_wake();
}

/* The session detaches: at its end, after its last transaction was rolled back. */
static void
session_leaves(dsm_segment *segment, Datum arg)
{
	bool unpin;

	vc_outbox_wake();
	SpinLockAcquire(&outbox->mutex);
	outbox->session_gone = true;
	outbox->session = NULL;
	unpin = !outbox->worker_active;
	SpinLockRelease(&outbox->mutex);
	if (unpin)
		dsm_unpin_segment(outbox_handle);
	outbox = NULL;
}

void
vc_outbox_open(void)
{
	dsm_segment *segment;

	if (outbox)
		return;
	segment = dsm_create(sizeof(VcOutbox), 0);
	dsm_pin_mapping(segment);
	dsm_pin_segment(segment);
	outbox = dsm_segment_address(segment);
	outbox_handle = dsm_segment_handle(segment);
	memset(outbox, 0, sizeof(VcOutbox));
	SpinLockInit(&outbox->mutex);
	outbox->session = MyProc;
	on_dsm_detach(segment, session_leaves, (Datum) 0);
	/* Before those of whoever puts items in, and so called after them. */
	RegisterXactCallback(end_of_transaction, NULL);
}

/* Puts an item in if no more than so many are there. *place: its number. */
static bool
put(const VcOutboxItem *item, uint32 most, uint32 *place)
{
	bool fits;

	SpinLockAcquire(&outbox->mutex);
	fits = outbox->head - outbox->tail < most;
	if (fits)
	{
		*place = outbox->head;
		outbox->slots[outbox->head++ % VC_OUTBOX_SLOTS] = *item;
	}
	SpinLockRelease(&outbox->mutex);
	return fits;
}

void
vc_outbox_put_event(const VcEvent *event)
{
	VcOutboxItem item = {.is_order = false, .u.event = *event};
	uint32 place;

	if (!put(&item, VC_OUTBOX_SLOTS - VC_OUTBOX_RESERVED, &place))
	{
		SpinLockAcquire(&outbox->mutex);
		outbox->dropped++;
		SpinLockRelease(&outbox->mutex);
	}
}

void
vc_outbox_put_order(const VcLeaseOrder *order)
{
	VcOutboxItem item = {.is_order = true, .u.order = *order};
	uint32 place;

	(void) put(&item, VC_OUTBOX_SLOTS, &place); /* a lease that is not given up in time expires */
}

VcLeaseReply
vc_outbox_order(const VcLeaseOrder *order)
{
	VcOutboxItem item = {.is_order = true, .u.order = *order};
	TimestampTz give_up = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), VC_OUTBOX_PATIENCE);
	VcLeaseReply reply = {0};
	uint32 place = 0;
	bool is_in = false;
	bool done = false;

	while (!done)
	{
		CHECK_FOR_INTERRUPTS();
		if (!is_in)
			is_in = put(&item, VC_OUTBOX_SLOTS, &place);
		vc_outbox_wake();
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 50, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		SpinLockAcquire(&outbox->mutex);
		done = is_in && (int32) (outbox->tail - place) > 0;
		reply = outbox->reply;
		SpinLockRelease(&outbox->mutex);
		if (!done && GetCurrentTimestamp() > give_up)
			ereport(ERROR, (vc_errcode(VC_E_LIMIT), errmsg("no background worker is free to write the lease"),
							errdetail("A lease is written in a transaction of its own, which takes a worker; none came in %d seconds.",
									  VC_OUTBOX_PATIENCE / 1000),
							errhint("Raise max_worker_processes, or see the server's log for why the worker failed.")));
	}
	return reply;
}

/*---------------------------------------------------------------- worker ----*/

/* Carries out what is in the outbox in one transaction; false when there was nothing. */
static bool
drain(VcOutbox *box)
{
	uint32 head;
	uint32 tail;
	uint32 dropped;
	VcLeaseReply reply;

	SpinLockAcquire(&box->mutex);
	head = box->head;
	tail = box->tail;
	dropped = box->dropped;
	reply = box->reply;
	SpinLockRelease(&box->mutex);
	if (head == tail)
		return false;

	StartTransactionCommand();
	/* Slots between tail and head are not written by the session until tail has moved. */
	for (uint32 i = tail; i != head; i++)
	{
		VcOutboxItem *item = &box->slots[i % VC_OUTBOX_SLOTS];

		PushActiveSnapshot(GetTransactionSnapshot());
		if (item->is_order)
		{
			VcLeaseOrder order = item->u.order;

			if (order.token == 0)
				order.token = reply.token;
			reply = vc_lease_perform(&order);
		}
		else
		{
			vc_event_write(&item->u.event, item->u.event.details, false);
			if (dropped > 0)
			{
				VcEvent lost = item->u.event;
				char details[64];

				strlcpy(lost.event, "EVENTS_LOST", sizeof(lost.event));
				snprintf(details, sizeof(details), "{\"count\": %u}", dropped);
				vc_event_write(&lost, details, false);
				SpinLockAcquire(&box->mutex);
				box->dropped -= dropped;
				SpinLockRelease(&box->mutex);
				dropped = 0;
			}
		}
		PopActiveSnapshot();
	}
	CommitTransactionCommand();

	SpinLockAcquire(&box->mutex);
	box->tail = head;
	box->reply = reply;
	if (box->session)
		SetLatch(&box->session->procLatch);
	SpinLockRelease(&box->mutex);
	return true;
}

static bool worker_left = false; /* this worker has; the flag in the outbox may be its successor's by then */

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
	worker_left = leave;
	if (unpin)
		dsm_unpin_segment(handle);
	return leave;
}

static void
worker_detaches(dsm_segment *segment, Datum arg)
{
	if (!worker_left)
		worker_leaves(dsm_segment_address(segment), dsm_segment_handle(segment), true);
}

PGDLLEXPORT void vc_outbox_worker_main(Datum arg);

/* Connects as the bootstrap superuser, as the requester may be a role that cannot log in; it runs none of their code. */
void
vc_outbox_worker_main(Datum arg)
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
	/* What a database sets for its sessions must not keep us from writing. */
	SetConfigOption("default_transaction_isolation", "read committed", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_read_only", "off", PGC_SUSET, PGC_S_OVERRIDE);
	pgstat_report_activity(STATE_RUNNING, "vectorcoll: leases, and events of failed transactions");
	do
	{
		while (drain(box))
			;
	} while (!worker_leaves(box, request.handle, false));
	proc_exit(0);
}
