/*
 * search.h
 *		One nearest-neighbour search: what is asked for, and running it. Every search function fills a VcSearch and
 *gives its rows to a sink of its own.
 *
 *   search.c          the request, the statement, running it; search, search_batch, range_search and the like
 *   search_params.c   search_params and the settings it changes for one statement
 *   search_fuse.c     hybrid_search: several searches fused by rank or score
 *   search_iterator.c search_iterator: batches of one search, continued
 *   search_more.c     search_groups, recommend
 */
#ifndef VC_SEARCH_H
#define VC_SEARCH_H

#include "entity.h"
#include "statement.h"

#define VC_SEARCH_MAX_TOP_K 16384
#define VC_SEARCH_MAX_SETTINGS 8

typedef struct VcSearchSetting
{
	char name[NAMEDATALEN];
	char value[32];
} VcSearchSetting;

typedef struct VcSearch
{
	const VcCollection *coll;
	const VcField *field;
	VcMetric metric;
	Oid query_type;
	Datum query; /* of the field's type */
	int top_k;   /* 0: no limit, the sink says when to stop */
	int skip;
	text *filter;
	Jsonb *filter_params;
	ArrayType *partition_names;
	VcEntity *entity;

	/* Full text instead of a vector: field is the text field, metric is VC_METRIC_NONE. */
	text *words;

	/* search_params */
	bool exact; /* do not use an index */
	bool has_radius;
	bool has_range_filter;
	double radius;
	double range_filter;
	int round_decimal; /* -1: not */
	int nsettings;
	VcSearchSetting settings[VC_SEARCH_MAX_SETTINGS];

	/* Set by functions that need more. The statement is theirs then, and extra_* may refer to its parameters. */
	text *second_filter;         /* must hold too */
	const char *extra_column;    /* a select-list item after the entity */
	const char *extra_condition; /* a condition on t */
	bool resume;                 /* rows behind this one, in the order of distance and key */
	double resume_distance;
	Datum resume_id;
	bool order_by_id; /* among rows of one distance */
	VcStatement *st;
} VcSearch;

/* A row found. Memory lasts until the sink returns. */
typedef struct VcHit
{
	Datum id; /* of the primary key's type */
	double distance;
	double score;
	TupleTableSlot *slot;
	int entity_column; /* where in the slot the entity's columns begin */
	int extra_column;
} VcHit;

/* False stops the search. */
typedef bool (*VcHitSink)(void *arg, VcSearch *search, VcHit *hit);

/*
 * Starts a request: the collection by name and the vector field that anns_field names, or the only one the query's type
 * fits. Raises VC1xx for whatever is wrong with the arguments.
 */
extern void vc_search_init(VcSearch *search, const char *name, const char *anns_field, Oid query_type);
/* Makes it a search in the words of a string field; words are to be set. */
extern void vc_search_text_field(VcSearch *search, const char *name);
extern void vc_search_query(VcSearch *search, Datum query, Oid query_type);
extern void vc_search_params(VcSearch *search, Jsonb *params);
extern void vc_search_limits(VcSearch *search, bool top_k_null, int top_k, bool skip_null, int skip);

/* Reads top_k, filter, search_params, output_fields, anns_field, partition_names, skip, filter_params, which begin at
 * `at`. */
extern void vc_search_arguments(VcSearch *search, FunctionCallInfo fcinfo, int at);

/* Runs it in the caller's SPI connection. */
extern void vc_search_run(VcSearch *search, VcHitSink sink, void *arg);

/*
 * The same in steps. build writes the statement to search->st; open gives a cursor over its rows, which outlives the SPI
 * connection; fetch gives the next ones to the sink, and says whether the cursor may have more.
 */
extern void vc_search_build(VcSearch *search);
extern Portal vc_search_open(VcSearch *search);
extern bool vc_search_fetch(VcSearch *search, Portal portal, int count, VcHitSink sink, void *arg);

/* Closes the cursors that search_iterator left open on a collection; its walks go on without. */
extern void vc_search_close_walks(Oid relid);

/* A primary key as the type its parameters have: text for varchar. */
extern Oid vc_search_id_type(const VcCollection *coll);

/* Appends the conditions every statement over a collection may carry: " WHERE ..." or nothing. */
extern void vc_append_where(VcStatement *st, const VcCollection *coll, text *filter, Jsonb *filter_params,
							ArrayType *partition_names, const char *more);

/* Raises VC200 unless every name is a partition. */
extern void vc_check_partitions(const VcCollection *coll, ArrayType *partition_names);

/* The score a distance stands for: similarity for IP and COSINE, else the distance itself. */
extern double vc_search_score(VcMetric metric, double distance);

/* ---- arguments and results of SQL functions ---- */

/* An argument that must not be null; raises VC111 naming it. */
extern char *vc_arg_name(FunctionCallInfo fcinfo, int n, const char *name);
extern void vc_arg_required(FunctionCallInfo fcinfo, int n, const char *name);

#define VC_ARG_TEXT(n) (PG_NARGS() <= (n) || PG_ARGISNULL(n) ? NULL : PG_GETARG_TEXT_PP(n))
#define VC_ARG_CSTRING(n) (PG_NARGS() <= (n) || PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n)))
#define VC_ARG_JSONB(n) (PG_NARGS() <= (n) || PG_ARGISNULL(n) ? NULL : PG_GETARG_JSONB_P(n))
#define VC_ARG_ARRAY(n) (PG_NARGS() <= (n) || PG_ARGISNULL(n) ? NULL : PG_GETARG_ARRAYTYPE_P(n))

/* A filter: text, or jsonb where the function is declared so; NULL when there is none. */
extern text *vc_arg_filter(FunctionCallInfo fcinfo, int n);

/* A set-returning function's result. */
typedef struct VcResult
{
	Tuplestorestate *store;
	TupleDesc desc;
	MemoryContext row; /* reset after each row */
} VcResult;

extern void vc_result_start(VcResult *result, FunctionCallInfo fcinfo);
extern void vc_result_put(VcResult *result, Datum *values, bool *nulls);

#endif /* VC_SEARCH_H */
