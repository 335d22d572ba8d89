/*
 * points.h
 *		What the functions on points share: which rows are meant.
 *
 *   points_batch.c    rows given as JSON: checked, completed, gathered by the set of columns they give
 *   points_write.c    insert, upsert, delete, payload operations
 *   points_read.c     get, query, scroll, count, facet
 */
#ifndef VC_POINTS_H
#define VC_POINTS_H

#include "statement.h"

#include "utils/array.h"
#include "utils/jsonb.h"

/* Ids given as text, as an array of the primary key's type. Raises VC110 for one that is none, VC111 for a null. */
extern Datum vc_points_ids(const VcCollection *coll, ArrayType *ids, Oid *arraytype, int *count);

/* Raises VC110 unless the collection has a primary key. */
extern const VcField *vc_points_primary(const VcCollection *coll);

/* SQL for a field's or a json path's value as jsonb; *array: it may be an array. Raises as a filter on it would. */
extern char *vc_points_value_sql(VcStatement *st, const VcCollection *coll, text *key, bool *array);

/*
 * Rows to write, by column: fields of the collection in the model's order, then "$meta". What is absent takes the
 * column's default in an insert and stays in a partial update.
 */
typedef struct VcColumn
{
	Datum *values;
	bool *nulls;
	bool *present;
} VcColumn;

typedef struct VcBatch
{
	const VcCollection *coll;
	int nrows;
	int ncolumns; /* fields, and one for "$meta" */
	VcColumn *columns;
	int *order; /* rows to write, those of one shape together; nrows of them unless some were merged */
} VcBatch;

/*
 * Reads rows from JSON, an object or an array of them, and checks every value. partial: fields may be missing; else
 * raises VC111 for a missing one that has no default.
 */
extern VcBatch *vc_batch_read(const VcCollection *coll, Jsonb *data, bool partial);

/* Raises VC111 for a row that lacks a field it must have. */
extern void vc_batch_check_complete(VcBatch *batch, int row);

/* The array with every element cast. */
extern ArrayType *vc_cast_array(ArrayType *array, Oid typid);

/* Of rows with one key the later counts; in a partial batch it adds to the earlier. */
extern void vc_batch_merge_duplicates(VcBatch *batch, bool partial);

/* Orders rows so that those that give the same columns are together. */
extern void vc_batch_group(VcBatch *batch);

/* How many rows from order[first] on give the same columns. */
extern int vc_batch_run(VcBatch *batch, int first);

/*
 * Adds the column's values of order[first .. first + n) as a parameter and appends what unnests them. Arrays travel as
 * text, because an array of arrays would unnest into their elements.
 */
extern void vc_batch_append_unnest(VcBatch *batch, int column, int first, int n, VcStatement *st);

/* Appends the quoted name of a column. */
extern void vc_batch_append_column(VcBatch *batch, int column, StringInfo sql);

#endif /* VC_POINTS_H */
