/*
 * statement.h
 *		SQL statements with parameters, built piece by piece, planned once per shape and run as the caller.
 *
 * Everything the functions on points and search do ends in such a statement. Values travel as parameters, never as
 *text; names are quoted; tables, types, operators and functions are written with their schema, so that the text means
 *the same under any search_path. Plans are kept per backend, keyed by table and text; the server replans them after
 *DDL.
 */
#ifndef VC_STATEMENT_H
#define VC_STATEMENT_H

#include "collection.h"

#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "tcop/dest.h"
#include "utils/portal.h"

#define VC_STATEMENT_MAX_PARAMS 65535

typedef struct VcStatement
{
	StringInfoData sql;
	int nparams;
	int room;
	Oid *types;
	Datum *values;
	bool *nulls;
	bool fast_start; /* whoever takes the rows may stop early: plan for the first ones */
	bool generic;    /* no parameter bears on the choice of plan: never plan for particular values */
} VcStatement;

extern void vc_statement_init(VcStatement *st);

/* Adds a value and returns its number n; refer to it as $n. */
extern int vc_statement_param(VcStatement *st, Oid type, Datum value);
extern int vc_statement_param_or_null(VcStatement *st, Oid type, Datum value, bool isnull);

/* Appends to the text: a quoted name; the collection's table, qualified; an operator as OPERATOR(schema.name). */
extern void vc_append_name(StringInfo out, const char *name);
extern void vc_append_table(StringInfo out, const VcCollection *coll);
extern void vc_append_vector_operator(StringInfo out, const char *operator);

/*
 * Runs the statement inside the caller's SPI connection and returns the number of rows. Rows go to `dest`, or to
 * SPI_tuptable where it is NULL. read_only statements see the caller's snapshot.
 */
extern uint64 vc_statement_run(VcStatement *st, const VcCollection *coll, bool read_only, DestReceiver *dest);

/* A cursor over the rows of the statement, in the order of one forward pass; it lives as any cursor of the transaction. */
extern Portal vc_statement_open(VcStatement *st, const VcCollection *coll);

/* Tables were changed or dropped, perhaps: plans for those that are gone are freed before the next one is made. */
extern void vc_statement_tables_changed(void);

#endif /* VC_STATEMENT_H */
