/*
 * opclass.c
 *		See opclass.h.
 */
#include "am/opclass.h"

#include "access/amvalidate.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "am/keys.h"
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

static bool
has_key_hash(CatCList *procs)
{
	for (int i = 0; i < procs->n_members; i++)
		if (((Form_pg_amproc) GETSTRUCT(&procs->members[i]->tuple))->amprocnum == VC_KEY_HASH_PROC)
			return true;
	return false;
}

/* A class of vectors: the operator that orders by distance, and the function that names the metric. */
static bool
validate_metric(const char *name, const char *method, Form_pg_opclass form, CatCList *operators, CatCList *procs)
{
	bool valid = true;

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
	return valid;
}

/* A class of keys. Its family may serve other types, too, and compare the class's with them. */
static bool
validate_key(const char *name, const char *method, Form_pg_opclass form, CatCList *operators, CatCList *procs)
{
	bool valid = true;
	bool hashed = false;
	bool equality = false;

	for (int i = 0; i < procs->n_members; i++)
	{
		Form_pg_amproc proc = (Form_pg_amproc) GETSTRUCT(&procs->members[i]->tuple);

		if (proc->amproclefttype != form->opcintype)
			continue;
		hashed = true;
		if (proc->amprocnum != VC_KEY_HASH_PROC || proc->amprocrighttype != form->opcintype ||
			!check_amproc_signature(proc->amproc, INT8OID, false, 2, 2, form->opcintype, INT8OID))
			valid = invalid(name, method, "has a support function that is no hash function with a seed");
	}
	for (int i = 0; i < operators->n_members; i++)
	{
		Form_pg_amop op = (Form_pg_amop) GETSTRUCT(&operators->members[i]->tuple);

		if (op->amoplefttype != form->opcintype)
			continue;
		equality |= op->amopstrategy == BTEqualStrategyNumber && op->amoprighttype == form->opcintype;
		if (op->amoppurpose != AMOP_SEARCH || op->amopstrategy < 1 || op->amopstrategy > BTMaxStrategyNumber ||
			get_op_rettype(op->amopopr) != BOOLOID)
			valid = invalid(name, method, "has an operator that is not a comparison with a strategy number of btree");
		if (hashed && op->amopstrategy != BTEqualStrategyNumber)
			valid = invalid(name, method, "keeps hashes, but has an operator other than equality");
	}
	if (!equality)
		valid = invalid(name, method, "has no operator for equality");
	return valid;
}

bool
vc_opclass_validate(Oid opclass, const char *method)
{
	HeapTuple       tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(opclass));
	Form_pg_opclass form;
	char           *name;
	CatCList       *operators;
	CatCList       *procs;
	bool            valid;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator class %u", opclass);
	form = (Form_pg_opclass) GETSTRUCT(tuple);
	name = pstrdup(NameStr(form->opcname));
	operators = SearchSysCacheList1(AMOPSTRATEGY, ObjectIdGetDatum(form->opcfamily));
	procs = SearchSysCacheList1(AMPROCNUM, ObjectIdGetDatum(form->opcfamily));
	if (vc_keys_can_hold(form->opcintype) || has_key_hash(procs))
		valid = validate_key(name, method, form, operators, procs);
	else
		valid = validate_metric(name, method, form, operators, procs);
	ReleaseCatCacheList(procs);
	ReleaseCatCacheList(operators);
	ReleaseSysCache(tuple);
	return valid;
}
