/*
 * workers.h
 *		How many parallel workers a build of an index may have.
 */
#ifndef VC_WORKERS_H
#define VC_WORKERS_H

#include "vectorcoll.h"

#include "utils/rel.h"

/* As many as the planner allows for an index of this table; none for a small one. */
extern int vc_workers_for_build(Relation heap, Relation index);

#endif /* VC_WORKERS_H */
