/*
 * filter.h
 *		Filters before they meet a table: syntax tree, limits and the two parsers.
 *
 * Two languages come in, one tree goes out: expressions as Milvus writes them (filter_parse.c) and JSON as Qdrant
 *writes it (filter_qdrant.c). docs/filters.md has the grammar. Nothing here knows the server, so that unit tests,
 *sanitizers and the fuzzer reach it; filter_compile.c turns the tree into SQL.
 *
 * Memory comes from the caller's arena and is never freed here. Input is UTF-8 or any encoding in which bytes below 128
 * are ASCII; it need not end with a zero byte. Recursion follows the depth of the tree, which VC_FILTER_MAX_DEPTH
 *bounds.
 */
#ifndef VC_FILTER_H
#define VC_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VC_FILTER_MAX_BYTES (8 * 1024 * 1024)
#define VC_FILTER_MAX_DEPTH 128

typedef enum VcFilterKind
{
	/* values */
	VCF_NULL,
	VCF_BOOL,
	VCF_INT,       /* i; text is the digits as written */
	VCF_FLOAT,     /* text is the number as written: a decimal without loss */
	VCF_STRING,    /* text, length */
	VCF_TIMESTAMP, /* ISO '...': text */
	VCF_INTERVAL,  /* INTERVAL '...': text */
	VCF_LIST,      /* args: values or templates */
	VCF_OBJECT,    /* args: key (VCF_STRING), value, key, value ...; JSON only */
	VCF_TEMPLATE,  /* {text}, replaced by a value before compiling */

	/* a field: text is its name, args the path below it (VCF_STRING key, VCF_INT index, VCF_WILDCARD for []) */
	VCF_FIELD,
	VCF_WILDCARD,

	/* expressions */
	VCF_NEGATE, /* args[0] */
	VCF_ARITH,  /* op, args[0..1] */
	VCF_COMPARE,
	VCF_AND, /* any number of args; none is true */
	VCF_OR,  /* any number of args; none is false */
	VCF_NOT,
	VCF_IN,      /* args: value, list or template */
	VCF_LIKE,    /* args: value, pattern (VCF_STRING or VCF_TEMPLATE) */
	VCF_IS_NULL, /* args[0] is a field; i = 1: a null that is there, as Qdrant means it */
	VCF_EXISTS,  /* args[0] is a field */
	VCF_CALL,    /* function, args; i is the option (minimum_should_match, slop), -1 when not given */

	/* conditions only the JSON language has; a field that holds an array matches when one of its elements does */
	VCF_MATCH,        /* args: field, value */
	VCF_MATCH_ANY,    /* args: field, list */
	VCF_MATCH_EXCEPT, /* args: field, list */
	VCF_MATCH_TEXT,   /* args: field, string; op is VCF_TEXT_* */
	VCF_RANGE,        /* args: field, then VCF_BOUND (op, args[0]) each */
	VCF_VALUES_COUNT, /* as VCF_RANGE, of the number of values */
	VCF_BOUND,
	VCF_IS_EMPTY,   /* args: field */
	VCF_HAS_ID,     /* args: list */
	VCF_HAS_VECTOR, /* args: field */
	VCF_NESTED,     /* args: field, condition that one element must meet as a whole */
	VCF_AT_LEAST    /* i of args hold */
} VcFilterKind;

typedef enum VcFilterOp
{
	VCF_OP_NONE,
	VCF_OP_ADD,
	VCF_OP_SUB,
	VCF_OP_MUL,
	VCF_OP_DIV,
	VCF_OP_MOD,
	VCF_OP_POW,
	VCF_OP_EQ,
	VCF_OP_NE,
	VCF_OP_LT,
	VCF_OP_LE,
	VCF_OP_GT,
	VCF_OP_GE,
	VCF_TEXT_ALL,   /* every word */
	VCF_TEXT_ANY,   /* one word */
	VCF_TEXT_PHRASE /* the words in a row */
} VcFilterOp;

typedef enum VcFilterFunction
{
	VCF_FN_NONE,
	VCF_FN_JSON_CONTAINS,
	VCF_FN_JSON_CONTAINS_ALL,
	VCF_FN_JSON_CONTAINS_ANY,
	VCF_FN_ARRAY_CONTAINS,
	VCF_FN_ARRAY_CONTAINS_ALL,
	VCF_FN_ARRAY_CONTAINS_ANY,
	VCF_FN_ARRAY_LENGTH,
	VCF_FN_TEXT_MATCH,
	VCF_FN_PHRASE_MATCH,
	VCF_FN_RANDOM_SAMPLE
} VcFilterFunction;

typedef struct VcFilterNode VcFilterNode;
struct VcFilterNode
{
	VcFilterKind kind;
	VcFilterOp op;
	VcFilterFunction function;
	bool negated; /* NOT IN, NOT LIKE, IS NOT NULL; VCF_BOOL: the value; VCF_NOT: unknown counts as false, as in Qdrant
				   */
	int depth;    /* 1 + the deepest argument's */
	size_t pos;   /* byte offset in the input, for messages */
	int64_t i;
	const char *text; /* zero-terminated */
	size_t length;
	VcFilterNode **args;
	int nargs;
	int room; /* allocated size of args */
};

/* Where nodes and strings are put. alloc never returns NULL (the server's raises an error instead). */
typedef struct VcFilterArena
{
	void *(*alloc)(void *context, size_t bytes);
	void *context;
} VcFilterArena;

/* The first fault found: message in PostgreSQL style, hint may be empty, position is a byte offset. */
typedef struct VcFilterError
{
	size_t position;
	char message[160];
	char hint[160];
} VcFilterError;

/*
 * Parses a filter in either language: JSON when the first character is "{" and the next a quote or "}", otherwise an
 * expression. Nothing but white space is the filter that everything passes. NULL, with *error filled, if it is no
 * filter.
 */
extern VcFilterNode *vc_filter_parse(VcFilterArena *arena, const char *input, size_t length, VcFilterError *error);

/* The parts, for tests: each takes what its language calls a filter. */
extern VcFilterNode *vc_filter_parse_expression(VcFilterArena *arena, const char *input, size_t length,
												VcFilterError *error);
extern VcFilterNode *vc_filter_parse_qdrant(VcFilterArena *arena, const char *input, size_t length,
											VcFilterError *error);

/* A value literal, or a list of them, with no field in it. */
extern bool vc_filter_is_value(const VcFilterNode *node);

/* ---- shared by the two parsers ---- */

extern VcFilterNode *vc_filter_node(VcFilterArena *arena, VcFilterKind kind, size_t pos);
extern void vc_filter_append(VcFilterArena *arena, VcFilterNode *parent, VcFilterNode *child);
extern const char *vc_filter_copy(VcFilterArena *arena, const char *text, size_t length);
extern void vc_filter_fail(VcFilterError *error, size_t pos, const char *hint, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* Writes code point `code` (1..0x10FFFF) as UTF-8; returns the bytes written, at most 4. */
extern int vc_filter_utf8(uint32_t code, char *out);

#endif /* VC_FILTER_H */
