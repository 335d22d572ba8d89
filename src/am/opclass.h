/*
 * opclass.h
 *		The check that both access methods make of an operator class.
 */
#ifndef VC_OPCLASS_H
#define VC_OPCLASS_H

#include "vectorcoll.h"

/*
 * An operator class of vectors has one strategy, the distance operator that ORDER BY uses, and one support function,
 * which names the metric (am/metric.h). One of keys has the strategies of btree, or, with a hash function as support
 * function 2, equality alone (am/keys.h). Reports each fault as INFO, as amvalidate functions do; false if there was
 * one.
 */
extern bool vc_opclass_validate(Oid opclass, const char *method);

#endif /* VC_OPCLASS_H */
