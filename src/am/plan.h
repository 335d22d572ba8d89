/*
 * plan.h
 *		A touch to finished plans; see plan.c.
 */
#ifndef VC_PLAN_H
#define VC_PLAN_H

#include "vectorcoll.h"

/* Installs the planner hook; called from _PG_init. */
extern void vc_plan_init(void);

#endif /* VC_PLAN_H */
