/*
 * owner.h
 *		Opening an index for the administrative functions of its access method, which only its owner may call.
 */
#ifndef VC_OWNER_H
#define VC_OWNER_H

#include "vectorcoll.h"

#include "storage/lockdefs.h"
#include "utils/rel.h"

/*
 * Lock the index's table and the index in `mode`, and open both. Errors: 42809 for what is not an index of this access
 * method, 42501 for one that is not the caller's (found before any lock is taken), 0A000 for another session's temporary one.
 * During recovery the lock is a weaker one: there is nobody else who could change the index but recovery itself.
 */
extern void vc_owner_open(Oid index_oid, const char *method, LOCKMODE mode, Relation *table, Relation *index);

/* Close both; locks are kept until the end of the transaction. */
extern void vc_owner_close(Relation table, Relation index);

#endif /* VC_OWNER_H */
