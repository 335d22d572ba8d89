/*
 * batch.c
 *		vectorcoll.knn_batch: the nearest rows of many queries in one call.
 *
 * Where a vc_hnsw or vc_ivf index can answer, it is asked directly, by parallel workers too (batch_index.c).
 *
 * Otherwise a SELECT is prepared once and executed for each query. That is so without an index, for partitioned and inherited
 * tables, where row level security applies, and for an index the snapshot must not use; the planner does then what it does for
 * any SELECT. Privileges are checked beforehand, for both ways alike, as the executor checks them.
 */
#include "am/batch.h"

#include "am/metric.h"
#include "am/plan.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "parser/parse_relation.h"
#include "utils/acl.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rls.h"
#include "utils/ruleutils.h"
#include "utils/snapmgr.h"
#include "utils/selfuncs.h"
#include "utils/syscache.h"

VcBatchAnswer *
vc_batch_add(VcBatch *batch, int query)
{
	if (batch->counts[query] == batch->rooms[query])
	{
		int room = (int) Min((int64) batch->k, Max((int64) batch->rooms[query] * 4, 16));

		if (batch->rooms[query] == 0)
			batch->answers[query] = MemoryContextAlloc(batch->context, sizeof(VcBatchAnswer) * room);
		else
			batch->answers[query] = repalloc_huge(batch->answers[query], sizeof(VcBatchAnswer) * (Size) room);
		batch->rooms[query] = room;
	}
	return &batch->answers[query][batch->counts[query]++];
}

/* ---- what is asked for ---- */

/* The metric of an operator class, and the operator it orders by. */
static VcMetricKind
metric_of_opclass(Oid family, Oid type, Oid *operator)
{
	Oid proc = get_opfamily_proc(family, type, type, VC_METRIC_PROC);

	*operator = get_opfamily_member(family, type, type, 1);
	if (!OidIsValid(proc) || !OidIsValid(*operator))
		return 0;
	return ((const VcMetric *) DatumGetPointer(OidFunctionCall1(proc, PointerGetDatum(NULL))))->kind;
}

/* The operator by which values of a type have a metric, or where none is named, that of the default operator class. */
static Oid
find_operator(Oid type, VcMetricKind wanted)
{
	CatCList *classes = SearchSysCacheList1(CLAAMNAMENSP, ObjectIdGetDatum(get_am_oid("vc_hnsw", false)));
	Oid		  found = InvalidOid;

	for (int i = 0; i < classes->n_members && !OidIsValid(found); i++)
	{
		Form_pg_opclass class = (Form_pg_opclass) GETSTRUCT(&classes->members[i]->tuple);
		Oid				operator;
		VcMetricKind	kind;

		if (class->opcintype != type || (wanted == 0 && !class->opcdefault))
			continue;
		kind = metric_of_opclass(class->opcfamily, type, &operator);
		if (kind != 0 && (wanted == 0 || kind == wanted))
			found = operator;
	}
	ReleaseSysCacheList(classes);
	if (!OidIsValid(found) && wanted == 0)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("there are no distances between values of type %s", format_type_be(type)),
						errhint("Queries are an array of vector, halfvec, sparsevec or bit.")));
	if (!OidIsValid(found))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("values of type %s have no metric %s", format_type_be(type), vc_metric_kind_name(wanted))));
	return found;
}

/* A named index: locked with its table, the table first. */
static void
target_index(VcBatchTarget *target, Oid relation, Oid type, bool extra_arguments)
{
	Relation index;

	target->table = IndexGetRelation(relation, false);
	LockRelationOid(target->table, AccessShareLock);
	index = index_open(relation, AccessShareLock);
	if (!vc_plan_is_our_method(index->rd_rel->relam))
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("\"%s\" is not a vc_hnsw or vc_ivf index", RelationGetRelationName(index))));
	if (!index->rd_index->indisvalid)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("index \"%s\" is not valid", RelationGetRelationName(index))));
	if (extra_arguments)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("column and metric are those of index \"%s\"", RelationGetRelationName(index)),
						errhint("Name the table, or leave both arguments away.")));
	if (index->rd_opcintype[0] != type)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("index \"%s\" is searched with values of type %s, not %s",
							   RelationGetRelationName(index), format_type_be(index->rd_opcintype[0]),
							   format_type_be(type))));
	target->index = relation;
	target->whole_index = true;
	target->type = type;
	target->attno = index->rd_index->indkey.values[0];
	(void) metric_of_opclass(index->rd_opfamily[0], type, &target->operator);
	target->value = TextDatumGetCString(
		DirectFunctionCall3(pg_get_indexdef_ext, ObjectIdGetDatum(relation), Int32GetDatum(1), BoolGetDatum(true)));
	index_close(index, NoLock);
}

/* The column of a table that is meant: the one named, or else the only one of the type. */
static AttrNumber
find_column(Relation table, const char *name, Oid type)
{
	TupleDesc  desc = RelationGetDescr(table);
	AttrNumber found = InvalidAttrNumber;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attisdropped || (name ? strcmp(NameStr(att->attname), name) != 0 : att->atttypid != type))
			continue;
		if (att->atttypid != type)
			ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
							errmsg("column \"%s\" is searched with values of type %s, not %s", name,
								   format_type_be(att->atttypid), format_type_be(type))));
		if (found != InvalidAttrNumber)
			ereport(ERROR, (errcode(ERRCODE_AMBIGUOUS_COLUMN),
							errmsg("table \"%s\" has several columns of type %s", RelationGetRelationName(table),
								   format_type_be(type)),
							errhint("Name one, as in \"column\" => '%s'.", NameStr(att->attname))));
		found = att->attnum;
	}
	if (found == InvalidAttrNumber && name)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN), errmsg("column \"%s\" of relation \"%s\" does not exist", name,
																  RelationGetRelationName(table))));
	if (found == InvalidAttrNumber)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("table \"%s\" has no column of type %s", RelationGetRelationName(table),
							   format_type_be(type))));
	return found;
}

/* Of a table's indexes, a complete one on this column and, where one is named, with this metric. */
static void
find_index(VcBatchTarget *target, Relation table, VcMetricKind metric)
{
	List	 *indexes = RelationGetIndexList(table);
	ListCell *lc;

	foreach (lc, indexes)
	{
		Relation	 index = index_open(lfirst_oid(lc), AccessShareLock);
		Oid			 operator;
		VcMetricKind kind;

		if (vc_plan_is_our_method(index->rd_rel->relam) && index->rd_index->indisvalid &&
			index->rd_index->indkey.values[0] == target->attno && heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL))
		{
			kind = metric_of_opclass(index->rd_opfamily[0], target->type, &operator);
			if (kind != 0 && (metric == 0 || kind == metric))
			{
				target->index = RelationGetRelid(index);
				target->operator = operator;
			}
		}
		index_close(index, NoLock);
		if (OidIsValid(target->index))
			break;
	}
}

static void
target_table(VcBatchTarget *target, Oid relation, Oid type, const char *column, const char *metric)
{
	Relation	 table = table_open(relation, AccessShareLock);
	char		 kind = table->rd_rel->relkind;
	VcMetricKind wanted = 0;

	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE && kind != RELKIND_MATVIEW)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("\"%s\" is not a table or an index", RelationGetRelationName(table))));
	if (metric && (wanted = vc_metric_kind_named(metric)) == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("there is no metric \"%s\"", metric),
						errhint("Metrics are L2, IP, COSINE, L1, HAMMING and JACCARD.")));
	target->table = relation;
	target->type = type;
	target->operator = find_operator(type, wanted);
	target->attno = find_column(table, column, type);
	target->value = pstrdup(quote_identifier(NameStr(TupleDescAttr(RelationGetDescr(table), target->attno - 1)->attname)));
	find_index(target, table, wanted);
	table_close(table, NoLock);
}

/* ---- privileges ---- */

/* Raise what a SELECT of the tableoid, the ctid and the distance would. */
static void
check_privileges(const VcBatchTarget *target)
{
	Bitmapset	  *columns = NULL;
	RangeTblEntry *rte = makeNode(RangeTblEntry);

	columns = bms_add_member(columns, SelfItemPointerAttributeNumber - FirstLowInvalidHeapAttributeNumber);
	columns = bms_add_member(columns, TableOidAttributeNumber - FirstLowInvalidHeapAttributeNumber);
	if (target->attno != 0)
		columns = bms_add_member(columns, target->attno - FirstLowInvalidHeapAttributeNumber);
	if (target->whole_index)
	{
		Relation index = index_open(target->index, AccessShareLock);

		pull_varattnos((Node *) RelationGetIndexExpressions(index), 1, &columns);
		pull_varattnos((Node *) RelationGetIndexPredicate(index), 1, &columns);
		index_close(index, NoLock);
	}
	rte->rtekind = RTE_RELATION;
	rte->relid = target->table;
	rte->relkind = get_rel_relkind(target->table);
	rte->rellockmode = AccessShareLock;
#if PG_VERSION_NUM >= 160000
	{
		RTEPermissionInfo *info = makeNode(RTEPermissionInfo);

		info->relid = target->table;
		info->requiredPerms = ACL_SELECT;
		info->selectedCols = columns;
		rte->perminfoindex = 1;
		(void) ExecCheckPermissions(list_make1(rte), list_make1(info), true);
	}
#else
	rte->requiredPerms = ACL_SELECT;
	rte->selectedCols = columns;
	(void) ExecCheckRTPerms(list_make1(rte), true);
#endif
}

/* ---- by index ---- */

/* Whether a scan of the index alone answers as a SELECT would. */
static bool
index_suffices(const VcBatchTarget *target)
{
	Relation index;
	char	 kind = get_rel_relkind(target->table);
	bool	 suffices;

	if (!OidIsValid(target->index) || (kind != RELKIND_RELATION && kind != RELKIND_MATVIEW) ||
		check_enable_rls(target->table, InvalidOid, false) == RLS_ENABLED)
		return false;
	if (!target->whole_index && has_subclass(target->table))
		return false;

	/* As the planner does: rows may have older versions whose values the index does not have. */
	index = index_open(target->index, AccessShareLock);
	suffices = !index->rd_index->indcheckxmin ||
			   TransactionIdPrecedes(HeapTupleHeaderGetXmin(index->rd_indextuple->t_data), TransactionXmin);
	index_close(index, NoLock);
	return suffices;
}

/* ---- by SELECT ---- */

static char *
select_nearest(const VcBatchTarget *target)
{
	StringInfoData sql;
	char		  *operator= get_opname(target->operator);
	Oid			   schema;
	HeapTuple	   tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(target->operator));

	schema = ((Form_pg_operator) GETSTRUCT(tuple))->oprnamespace;
	ReleaseSysCache(tuple);
	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT tableoid, ctid, (%s) OPERATOR(%s.%s) $1 FROM %s%s WHERE (%s) IS NOT NULL",
					 target->value, quote_identifier(get_namespace_name(schema)), operator,
					 target->whole_index && get_rel_relkind(target->table) != RELKIND_PARTITIONED_TABLE ? "ONLY " : "",
					 quote_qualified_identifier(get_namespace_name(get_rel_namespace(target->table)),
												get_rel_name(target->table)),
					 target->value);
	if (target->whole_index)
	{
		Relation index = index_open(target->index, AccessShareLock);
		List	*predicate = RelationGetIndexPredicate(index);
		List	*context = deparse_context_for(get_rel_name(target->table), target->table);

		if (predicate != NIL)
			appendStringInfo(&sql, " AND (%s)",
							 deparse_expression((Node *) make_ands_explicit(predicate), context, false, false));
		index_close(index, NoLock);
	}
	appendStringInfo(&sql, " ORDER BY (%s) OPERATOR(%s.%s) $1 LIMIT $2", target->value,
					 quote_identifier(get_namespace_name(schema)), operator);
	return sql.data;
}

static void
answer_by_select(VcBatch *batch)
{
	Oid		   types[2] = {batch->target.type, INT8OID};
	char	  *sql = select_nearest(&batch->target);
	SPIPlanPtr plan;

	SPI_connect();
	plan = SPI_prepare(sql, 2, types);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	for (int i = 0; i < batch->n; i++)
	{
		Datum values[2] = {batch->queries[i], Int64GetDatum(batch->k)};
		int	  result = SPI_execute_plan(plan, values, NULL, true, batch->k);

		if (result != SPI_OK_SELECT)
			elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(result));
		for (uint64 row = 0; row < SPI_processed; row++)
		{
			VcBatchAnswer	 *answer = vc_batch_add(batch, i);
			HeapTuple tuple = SPI_tuptable->vals[row];
			TupleDesc desc = SPI_tuptable->tupdesc;
			bool	  isnull;

			answer->table = DatumGetObjectId(SPI_getbinval(tuple, desc, 1, &isnull));
			answer->tid = *(ItemPointer) DatumGetPointer(SPI_getbinval(tuple, desc, 2, &isnull));
			answer->distance = DatumGetFloat8(SPI_getbinval(tuple, desc, 3, &isnull));
			answer->isnull = isnull;
		}
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_finish();
}

/* ---- the functions ---- */

static void
read_arguments(FunctionCallInfo fcinfo, VcBatch *batch)
{
	const char *column = PG_ARGISNULL(3) ? NULL : NameStr(*PG_GETARG_NAME(3));
	char	   *metric = PG_ARGISNULL(4) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(4));
	ArrayType  *array;
	Oid			relation;
	Oid			type;
	char		kind;
	int16		length;
	bool		by_value;
	char		align;
	bool	   *isnull;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("relation, queries and k must not be null")));
	relation = PG_GETARG_OID(0);
	array = PG_GETARG_ARRAYTYPE_P(1);
	batch->k = PG_GETARG_INT32(2);
	type = ARR_ELEMTYPE(array);
	if (batch->k < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("k must be at least 1")));
	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR), errmsg("queries must be an array of one dimension")));

	kind = get_rel_relkind(relation);
	if (kind == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("relation with OID %u does not exist", relation)));
	if (kind == RELKIND_INDEX || kind == RELKIND_PARTITIONED_INDEX)
		target_index(&batch->target, relation, type, column || metric);
	else
		target_table(&batch->target, relation, type, column, metric);

	get_typlenbyvalalign(type, &length, &by_value, &align);
	deconstruct_array(array, type, length, by_value, align, &batch->queries, &isnull, &batch->n);
	for (int i = 0; i < batch->n; i++)
		if (isnull[i])
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("query %d is null", i + 1)));
}

static void
return_answers(FunctionCallInfo fcinfo, const VcBatch *batch, int first)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	for (int i = 0; i < batch->n; i++)
	{
		for (int rank = 0; rank < batch->counts[i]; rank++)
		{
			VcBatchAnswer *answer = &batch->answers[i][rank];
			Datum	values[5] = {Int32GetDatum(first + i + 1), Int32GetDatum(rank + 1), ObjectIdGetDatum(answer->table),
								 PointerGetDatum(&answer->tid), Float8GetDatum(answer->distance)};
			bool	isnull[5] = {false, false, false, false, answer->isnull};

			tuplestore_putvalues(result->setResult, result->setDesc, values, isnull);
		}
	}
}

PG_FUNCTION_INFO_V1(vc_knn_batch);

Datum
vc_knn_batch(PG_FUNCTION_ARGS)
{
	VcBatch		  all = {0};
	MemoryContext context;
	MemoryContext old;
	bool		  by_index;
	int			  chunk;

	InitMaterializedSRF(fcinfo, 0);
	read_arguments(fcinfo, &all);
	check_privileges(&all.target);
	by_index = index_suffices(&all.target);

	/* Answers are kept until those of a chunk of queries are there, in work_mem, but for at least one query. */
	chunk = (int) Max(1, Min((Size) work_mem * 1024 / ((Size) all.k * sizeof(VcBatchAnswer)), (Size) all.n));
	context = AllocSetContextCreate(CurrentMemoryContext, "knn_batch", ALLOCSET_DEFAULT_SIZES);
	for (int first = 0; first < all.n; first += chunk)
	{
		VcBatch batch = all;

		old = MemoryContextSwitchTo(context);
		batch.n = Min(chunk, all.n - first);
		batch.queries = all.queries + first;
		batch.counts = palloc0(sizeof(int) * batch.n);
		batch.rooms = palloc0(sizeof(int) * batch.n);
		batch.answers = palloc0(sizeof(VcBatchAnswer *) * batch.n);
		batch.context = context;
		if (by_index)
			vc_batch_by_index(&batch);
		else
			answer_by_select(&batch);
		MemoryContextSwitchTo(old);
		return_answers(fcinfo, &batch, first);
		MemoryContextReset(context);
	}
	return (Datum) 0;
}

/* How many rows knn_batch returns, for the planner. */
PG_FUNCTION_INFO_V1(vc_knn_batch_support);

Datum
vc_knn_batch_support(PG_FUNCTION_ARGS)
{
	SupportRequestRows *request = (SupportRequestRows *) PG_GETARG_POINTER(0);
	List			   *args;
	Node			   *queries;
	Node			   *k;

	if (!IsA(request, SupportRequestRows) || !is_funcclause(request->node))
		PG_RETURN_POINTER(NULL);
	args = ((FuncExpr *) request->node)->args;
	queries = estimate_expression_value(request->root, lsecond(args));
	k = estimate_expression_value(request->root, lthird(args));
	request->rows = (IsA(k, Const) && !((Const *) k)->constisnull ? Max(DatumGetInt32(((Const *) k)->constvalue), 1) : 10) *
#if PG_VERSION_NUM >= 170000
					estimate_array_length(request->root, queries);
#else
					estimate_array_length(queries);
#endif
	PG_RETURN_POINTER(request);
}
