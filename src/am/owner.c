/*
 * owner.c
 *		See owner.h.
 */
#include "am/owner.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/xlog.h"
#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"

static void
check_owner(Oid index_oid)
{
	bool owner;

#if PG_VERSION_NUM >= 160000
	owner = object_ownercheck(RelationRelationId, index_oid, GetUserId());
#else
	owner = pg_class_ownercheck(index_oid, GetUserId());
#endif
	if (!owner)
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_INDEX, get_rel_name(index_oid));
}

void
vc_owner_open(Oid index_oid, const char *method, LOCKMODE mode, Relation *table, Relation *index)
{
	char *name = get_rel_name(index_oid);
	Oid	  table_oid;

	if (name == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("relation with OID %u does not exist", index_oid)));
	table_oid = get_rel_relkind(index_oid) == RELKIND_INDEX ? IndexGetRelation(index_oid, true) : InvalidOid;
	if (!OidIsValid(table_oid))
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("\"%s\" is not an index", name)));
	check_owner(index_oid);

	if (RecoveryInProgress())
		mode = AccessShareLock;
	/* The table first, as everywhere. */
	*table = table_open(table_oid, mode);
	*index = index_open(index_oid, mode);
	if ((*index)->rd_rel->relam != get_am_oid(method, false))
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("index \"%s\" is not a %s index", RelationGetRelationName(*index), method)));
	if (RELATION_IS_OTHER_TEMP(*index))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot look into temporary indexes of other sessions")));
	if (!(*index)->rd_index->indisvalid)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("index \"%s\" is not valid", RelationGetRelationName(*index))));
}

void
vc_owner_close(Relation table, Relation index)
{
	index_close(index, NoLock);
	table_close(table, NoLock);
}
