/*
 * conditions.h
 *		Conditions that our indexes can test, but that the planner would test on what they return.
 */
#ifndef VC_CONDITIONS_H
#define VC_CONDITIONS_H

/* Installs a hook into the planner; called from _PG_init. */
extern void vc_conditions_init(void);

#endif /* VC_CONDITIONS_H */
