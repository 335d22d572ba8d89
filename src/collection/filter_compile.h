/*
 * filter_compile.h
 *		A filter's tree to a SQL condition over one collection's fields.
 *
 * The condition refers to the table by alias t. Constants become parameters of the statement; names and the keys of
 *json paths, which must be constants for an expression index to match, are quoted.
 *
 *   filter_compile.c    fields, arithmetic, comparisons, functions: what the expression language has
 *   filter_match.c      conditions only the JSON language has
 *   filter_literal.c    constants to values of a column's type, to jsonb, to arrays; templates
 *   filter_text.c       full text
 */
#ifndef VC_FILTER_COMPILE_H
#define VC_FILTER_COMPILE_H

#include "filter.h"
#include "statement.h"

#include "utils/jsonb.h"

/* A parsed filter. */
extern VcFilterNode *vc_filter_read(const text *filter);

/*
 * Appends the filter to the statement as one condition in parentheses. filter: an expression or JSON. templates: an
 * object with the value of every {name} the filter uses, or NULL. Raises VC110 for a malformed filter or operands that
 * do not go together, VC111 for a template without a value, VC120 for an unknown field.
 */
extern void vc_filter_compile(VcStatement *st, const VcCollection *coll, const text *filter, Jsonb *templates);

/* ---- shared by the files above ---- */

typedef enum VcValueClass
{
	VCX_LITERAL, /* a constant whose type the other side decides; node is set */
	VCX_BOOL,
	VCX_NUMBER,
	VCX_STRING,
	VCX_TIME,
	VCX_INTERVAL,
	VCX_UUID,
	VCX_ARRAY,
	VCX_JSON /* jsonb: a json field, the dynamic field, or a path into one */
} VcValueClass;

/* A compiled operand. */
typedef struct VcOperand
{
	VcValueClass class;
	Oid typid;
	const char *sql;
	const VcFilterNode *node;
	const char *base; /* VCX_JSON: the jsonb the path starts from */
	List *path;       /* VCX_JSON: VcFilterNode keys, indexes, wildcards */
} VcOperand;

typedef struct VcFilterContext
{
	VcStatement *st;
	const VcCollection *coll;
	Jsonb *templates;
	const char *source;  /* the filter's text, for messages */
	const char *element; /* inside "nested": the jsonb whose keys are the fields; else NULL */
	int nested;          /* how many "nested" are open: numbers their aliases */
} VcFilterContext;

/* Raises VC110 pointing at the node. */
extern void vc_filter_error(VcFilterContext *c, const VcFilterNode *node, const char *detail, const char *format, ...)
	__attribute__((format(printf, 4, 5), noreturn));

extern char *vc_filter_condition(VcFilterContext *c, const VcFilterNode *node);
extern VcOperand vc_filter_field(VcFilterContext *c, const VcFilterNode *node);
extern char *vc_filter_compare(VcFilterContext *c, const VcFilterNode *at, VcFilterOp op, VcOperand left,
							   VcOperand right);
extern VcOperand vc_filter_literal_operand(const VcFilterNode *node);

/* `x IN list` for a scalar or json operand. */
extern char *vc_filter_in(VcFilterContext *c, VcOperand left, const VcFilterNode *list, bool negated);

/* Array and json containment: function says which of contains, contains_all, contains_any. */
extern char *vc_filter_contains(VcFilterContext *c, VcOperand array, const VcFilterNode *value,
								VcFilterFunction function);

extern char *vc_filter_match(VcFilterContext *c, const VcFilterNode *node);

/* The number of elements: of an array, of a json array (null when it is none). */
extern char *vc_filter_array_length(VcFilterContext *c, VcOperand array);

/* Text in the tokens of `words`: all, any (at least `minimum` of them when above 1), or as a phrase. */
extern char *vc_filter_text(VcFilterContext *c, const char *text_sql, const VcFilterNode *words, VcFilterOp op,
							int minimum, int slop);
/* A json operand as SQL text, null where it is no string; a string column as it is. */
extern char *vc_filter_as_text(VcFilterContext *c, VcOperand operand);
/* A json operand as numeric, null where it is no number. */
extern char *vc_filter_json_number(const char *sql);

/* The node, or what the template stands for. */
extern const VcFilterNode *vc_filter_resolve(VcFilterContext *c, const VcFilterNode *node);

/* "$n" for a constant as a value of the type; raises VC110 if it is none. */
extern char *vc_filter_value(VcFilterContext *c, const VcFilterNode *node, Oid typid);
/*
 * "$n" for a list as an array of the type. Numbers that no value of the type can equal are left out, and counted in
 * *dropped where that is not NULL.
 */
extern char *vc_filter_value_array(VcFilterContext *c, const VcFilterNode *list, Oid typid, Oid arraytype,
								   int *dropped);
/* "$n" for a constant as jsonb, wrapped in the objects of `path` from its outermost key; array: in an array first. */
extern char *vc_filter_jsonb(VcFilterContext *c, const VcFilterNode *node, List *path, bool array);
/* "$n" for a list as jsonb[]. */
extern char *vc_filter_jsonb_array(VcFilterContext *c, const VcFilterNode *list);

extern VcValueClass vc_filter_class(Oid typid);

#endif /* VC_FILTER_COMPILE_H */
