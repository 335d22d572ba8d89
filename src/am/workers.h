/*
 * workers.h
 *		How many parallel workers a build of an index may have, and whether there is shared memory for what they do.
 */
#ifndef VC_WORKERS_H
#define VC_WORKERS_H

#include "vectorcoll.h"

#include "utils/rel.h"

/* As many as the planner allows for an index of this table; none for a small one. */
extern int vc_workers_for_build(Relation heap, Relation index);

/*
 * Whether dynamic shared memory has room for so many bytes: where it lies in a file system, that may be a small one, and a build that
 * would fail for it is better done by one process.
 */
extern bool vc_workers_have_memory(double bytes);

#endif /* VC_WORKERS_H */
