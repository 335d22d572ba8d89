/*
 * events.c
 *		Events of loading and writing, those of failed transactions included.
 *
 * An event is a row of vectorcoll.event_log and a NOTIFY on channel vectorcoll_events, both written in the transaction
 * that raises it. When that transaction, or the subtransaction the event belongs to, is rolled back, row and NOTIFY are
 * gone; so every event is also remembered here until its fate is known, and those that were rolled back go to the outbox, whose
 * worker writes them in a transaction of its own with committed = false.
 */
#include "outbox.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define VC_EVENT_CHANNEL "vectorcoll_events"

/* An event of the current transaction, whose fate is open. */
typedef struct VcPendingEvent
{
	VcEvent event;
	SubTransactionId subxact;
	bool lost; /* its subtransaction was rolled back */
} VcPendingEvent;

/* Grows by doubling, at emission only. */
static VcPendingEvent *pending = NULL;
static int pending_count = 0;
static int pending_size = 0;

static void
end_of_transaction(XactEvent event, void *arg)
{
	bool aborted = event == XACT_EVENT_ABORT;

	if (pending_count == 0 || (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE))
		return;
	for (int i = 0; i < pending_count; i++)
		if (aborted || pending[i].lost)
			vc_outbox_put_event(&pending[i].event);
	pending_count = 0;
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

/* Writes the row and the NOTIFY in the current transaction, as the registry's owner. SPI is not connected. */
void
vc_event_write(const VcEvent *event, const char *details, bool committed)
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
	vc_outbox_open();
	if (pending == NULL)
	{
		RegisterXactCallback(end_of_transaction, NULL);
		RegisterSubXactCallback(end_of_subtransaction, NULL);
	}
	if (pending_count == pending_size)
	{
		int size = Max(16, pending_size * 2);

		pending = pending ? repalloc_huge(pending, sizeof(VcPendingEvent) * size)
						  : MemoryContextAlloc(TopMemoryContext, sizeof(VcPendingEvent) * size);
		pending_size = size;
	}
	memset(&pending[pending_count], 0, sizeof(VcPendingEvent));
	pending[pending_count].subxact = GetCurrentSubTransactionId();
	event = &pending[pending_count].event;
	event->at = GetCurrentTimestamp();
	event->role = GetUserId();
	event->pid = MyProcPid;
	event->xact = GetTopFullTransactionId();
	strlcpy(event->event, name, sizeof(event->event));
	snprintf(event->collection, sizeof(event->collection), "%s.%s", nspname, relname);
	strlcpy(event->details, strlen(details) < VC_EVENT_DETAILS ? details : "{}", sizeof(event->details));
	pending_count++;
	vc_event_write(event, details, true);
	PG_RETURN_VOID();
}
