/*
 * explain.h
 *		What scans cost, in EXPLAIN; see explain.c.
 */
#ifndef VC_EXPLAIN_H
#define VC_EXPLAIN_H

#include "vectorcoll.h"

/* Installs a hook where the server has one; called from _PG_init. */
extern void vc_explain_init(void);

#endif /* VC_EXPLAIN_H */
