/*
 * outbox.h
 *		What a session wants written whatever becomes of its transaction: events of failed transactions, and leases.
 *
 * PostgreSQL has no autonomous transactions, so a background worker writes these, in order, each batch in a transaction
 * of its own. Items have a fixed size, so that putting one in cannot fail.
 */
#ifndef VC_OUTBOX_H
#define VC_OUTBOX_H

#include "collection.h"

#include "access/transam.h"
#include "datatype/timestamp.h"

#define VC_EVENT_DETAILS 400 /* bytes of details that survive a rollback; longer ones are dropped whole */

typedef struct VcEvent
{
	TimestampTz at;
	Oid role;
	int32 pid;
	FullTransactionId xact;
	char event[NAMEDATALEN];
	char collection[2 * NAMEDATALEN];
	char details[VC_EVENT_DETAILS]; /* a JSON object */
} VcEvent;

typedef enum VcLeaseVerb
{
	VC_LEASE_ACQUIRE,
	VC_LEASE_RENEW,
	VC_LEASE_RELEASE
} VcLeaseVerb;

typedef struct VcLeaseOrder
{
	VcLeaseVerb verb;
	Oid relid;
	int64 token;   /* renew, release; 0: the one that the order before this got, whose answer nobody waited for */
	Interval ttl;  /* acquire, renew */
	char holder[2 * NAMEDATALEN]; /* acquire */
} VcLeaseOrder;

typedef struct VcLeaseReply
{
	int64 token; /* 0: refused, or lost */
	TimestampTz expires_at;
} VcLeaseReply;

/* Makes the session's outbox unless it is there. Call it where errors are allowed, before the other two. */
extern void vc_outbox_open(void);

/* Puts an event in, never failing; one that finds no slot is counted, and the count becomes an event EVENTS_LOST. */
extern void vc_outbox_put_event(const VcEvent *event);

/* Puts an order in whose answer nobody waits for; never fails. */
extern void vc_outbox_put_order(const VcLeaseOrder *order);

/* Sees to it that a worker comes for what is in the outbox; never fails. */
extern void vc_outbox_wake(void);

/* Puts an order in and waits until it is carried out. VC906 when no background worker can be had. */
extern VcLeaseReply vc_outbox_order(const VcLeaseOrder *order);

/* What the worker does with items; events.c and lease.c. */
extern void vc_event_write(const VcEvent *event, const char *details, bool committed);
extern VcLeaseReply vc_lease_perform(const VcLeaseOrder *order);

#endif /* VC_OUTBOX_H */
