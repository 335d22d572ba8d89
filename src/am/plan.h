/*
 * plan.h
 *		A touch to finished plans; see plan.c.
 */
#ifndef VC_PLAN_H
#define VC_PLAN_H

#include "vectorcoll.h"

/* Whether an access method is vc_hnsw or vc_ivf. */
extern bool vc_plan_is_our_method(Oid am);

/* Installs the planner hook; called from _PG_init. */
extern void vc_plan_init(void);

#endif /* VC_PLAN_H */
