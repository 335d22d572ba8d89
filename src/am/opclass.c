/*
 * opclass.c
 *		See opclass.h.
 */
#include "am/opclass.h"

#include "access/amvalidate.h"
#include "access/htup_details.h"
#include "am/metric.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_type.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

static bool
invalid(const char *opclass, const char *method, const char *what)
{
	ereport(INFO, (errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				   errmsg("operator class \"%s\" of access method %s %s", opclass, method, what)));
	return false;
}

bool
vc_opclass_validate(Oid opclass, const char *method)
{
	HeapTuple		tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(opclass));
	Form_pg_opclass form;
	char		   *name;
	CatCList	   *operators;
	CatCList	   *procs;
	bool			valid = true;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator class %u", opclass);
	form = (Form_pg_opclass) GETSTRUCT(tuple);
	name = pstrdup(NameStr(form->opcname));
	operators = SearchSysCacheList1(AMOPSTRATEGY, ObjectIdGetDatum(form->opcfamily));
	procs = SearchSysCacheList1(AMPROCNUM, ObjectIdGetDatum(form->opcfamily));

	if (operators->n_members != 1)
		valid = invalid(name, method, "must have one operator");
	for (int i = 0; i < operators->n_members; i++)
	{
		Form_pg_amop op = (Form_pg_amop) GETSTRUCT(&operators->members[i]->tuple);

		if (op->amopstrategy != 1 || op->amoppurpose != AMOP_ORDER || op->amoplefttype != form->opcintype ||
			op->amoprighttype != form->opcintype || get_op_rettype(op->amopopr) != FLOAT8OID ||
			!opfamily_can_sort_type(op->amopsortfamily, FLOAT8OID))
			valid = invalid(name, method, "has an operator that is not a distance for ORDER BY with strategy number 1");
	}
	if (procs->n_members != 1)
		valid = invalid(name, method, "must have one support function");
	for (int i = 0; i < procs->n_members; i++)
	{
		Form_pg_amproc proc = (Form_pg_amproc) GETSTRUCT(&procs->members[i]->tuple);

		if (proc->amprocnum != VC_METRIC_PROC ||
			!check_amproc_signature(proc->amproc, INTERNALOID, true, 1, 1, INTERNALOID))
			valid = invalid(name, method, "has a support function that does not name a metric");
	}
	ReleaseCatCacheList(procs);
	ReleaseCatCacheList(operators);
	ReleaseSysCache(tuple);
	return valid;
}
