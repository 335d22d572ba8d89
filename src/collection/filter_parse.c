/*
 * filter_parse.c
 *		The expression language's parser: precedence climbing over filter_lex.c's tokens. Grammar: docs/filters.md.
 *		Also what both parsers share: nodes, errors, the choice of language. No server headers; see filter.h.
 */
#include "filter_lex.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Binding strength, weakest first. A comparison does not associate, except a < b < c, which is a range. */
enum
{
	PREC_OR = 1,
	PREC_AND,
	PREC_NOT,
	PREC_COMPARE,
	PREC_ADD,
	PREC_MULTIPLY,
	PREC_UNARY,
	PREC_POWER
};

static const struct
{
	const char *name;
	VcFilterFunction function;
	int args;           /* how many */
	const char *option; /* name of a further integer argument that may follow */
} functions[] = {
	{"json_contains", VCF_FN_JSON_CONTAINS, 2, NULL},
	{"json_contains_all", VCF_FN_JSON_CONTAINS_ALL, 2, NULL},
	{"json_contains_any", VCF_FN_JSON_CONTAINS_ANY, 2, NULL},
	{"array_contains", VCF_FN_ARRAY_CONTAINS, 2, NULL},
	{"array_contains_all", VCF_FN_ARRAY_CONTAINS_ALL, 2, NULL},
	{"array_contains_any", VCF_FN_ARRAY_CONTAINS_ANY, 2, NULL},
	{"array_length", VCF_FN_ARRAY_LENGTH, 1, NULL},
	{"text_match", VCF_FN_TEXT_MATCH, 2, "minimum_should_match"},
	{"phrase_match", VCF_FN_PHRASE_MATCH, 2, "slop"},
	{"random_sample", VCF_FN_RANDOM_SAMPLE, 1, NULL},
};

typedef struct Parser
{
	VcLexer lex;
	int depth; /* of the C stack, so that a thousand "(" are refused before they become nodes */
} Parser;

static VcFilterNode *parse_expression(Parser *p, int weakest);

/* ---- shared helpers ---- */

VcFilterNode *
vc_filter_node(VcFilterArena *arena, VcFilterKind kind, size_t pos)
{
	VcFilterNode *node = arena->alloc(arena->context, sizeof(*node));

	memset(node, 0, sizeof(*node));
	node->kind = kind;
	node->pos = pos;
	node->depth = 1;
	node->text = "";
	return node;
}

void
vc_filter_append(VcFilterArena *arena, VcFilterNode *parent, VcFilterNode *child)
{
	if (parent->nargs == parent->room)
	{
		int room = parent->room ? parent->room * 2 : 2;
		VcFilterNode **args = arena->alloc(arena->context, sizeof(*args) * room);

		if (parent->nargs > 0)
			memcpy(args, parent->args, sizeof(*args) * parent->nargs);
		parent->args = args;
		parent->room = room;
	}
	parent->args[parent->nargs++] = child;
	if (child->depth >= parent->depth)
		parent->depth = child->depth + 1;
}

const char *
vc_filter_copy(VcFilterArena *arena, const char *text, size_t length)
{
	char *copy = arena->alloc(arena->context, length + 1);

	memcpy(copy, text, length);
	copy[length] = '\0';
	return copy;
}

void
vc_filter_fail(VcFilterError *error, size_t pos, const char *hint, const char *format, ...)
{
	va_list args;

	error->position = pos;
	va_start(args, format);
	vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
	snprintf(error->hint, sizeof(error->hint), "%s", hint);
}

int
vc_filter_utf8(uint32_t code, char *out)
{
	if (code < 0x80)
	{
		out[0] = (char)code;
		return 1;
	}
	if (code < 0x800)
	{
		out[0] = (char)(0xC0 | code >> 6);
		out[1] = (char)(0x80 | (code & 0x3F));
		return 2;
	}
	if (code < 0x10000)
	{
		out[0] = (char)(0xE0 | code >> 12);
		out[1] = (char)(0x80 | (code >> 6 & 0x3F));
		out[2] = (char)(0x80 | (code & 0x3F));
		return 3;
	}
	out[0] = (char)(0xF0 | code >> 18);
	out[1] = (char)(0x80 | (code >> 12 & 0x3F));
	out[2] = (char)(0x80 | (code >> 6 & 0x3F));
	out[3] = (char)(0x80 | (code & 0x3F));
	return 4;
}

bool
vc_filter_is_value(const VcFilterNode *node)
{
	return node->kind <= VCF_LIST || node->kind == VCF_TEMPLATE;
}

/* ---- the parser ---- */

static VcFilterNode *
fail(Parser *p, const char *hint, const char *message)
{
	/* A lexical error is what happened first, whatever the parser was looking for. */
	if (p->lex.token != VCT_ERROR)
		vc_filter_fail(p->lex.error, p->lex.pos, hint, "%s", message);
	return NULL;
}

static bool
expect(Parser *p, VcToken token, const char *message)
{
	if (p->lex.token != token)
		return fail(p, "", message) != NULL;
	vc_lex(&p->lex);
	return true;
}

static VcFilterNode *
node_here(Parser *p, VcFilterKind kind)
{
	return vc_filter_node(p->lex.arena, kind, p->lex.pos);
}

static VcFilterNode *
with_args(Parser *p, VcFilterNode *node, VcFilterNode *a, VcFilterNode *b)
{
	vc_filter_append(p->lex.arena, node, a);
	if (b)
		vc_filter_append(p->lex.arena, node, b);
	if (node->depth > VC_FILTER_MAX_DEPTH)
	{
		vc_filter_fail(p->lex.error, node->pos, "", "filter is nested deeper than %d levels", VC_FILTER_MAX_DEPTH);
		return NULL;
	}
	return node;
}

/* Takes the current token's text as the node's and moves on. */
static VcFilterNode *
take_text(Parser *p, VcFilterKind kind)
{
	VcFilterNode *node = node_here(p, kind);

	node->text = p->lex.text;
	node->length = p->lex.text_length;
	vc_lex(&p->lex);
	return node;
}

/* Integers are at most 2^63 as the lexer gives them; only behind a minus sign may they be so large. */
static VcFilterNode *
parse_number(Parser *p, bool negative)
{
	VcFilterNode *node = node_here(p, p->lex.token == VCT_INT ? VCF_INT : VCF_FLOAT);
	uint64_t magnitude = p->lex.number;

	if (node->kind == VCF_INT)
	{
		if (!negative && magnitude > INT64_MAX)
			return fail(p, "Integers have 64 bits; write a larger number with a decimal point.",
						"integer out of range");
		node->i = negative ? -(int64_t)(magnitude - (magnitude > 0)) - (magnitude > 0) : (int64_t)magnitude;
	}
	if (negative)
	{
		char *text = p->lex.arena->alloc(p->lex.arena->context, p->lex.text_length + 2);

		text[0] = '-';
		memcpy(text + 1, p->lex.text, p->lex.text_length + 1);
		node->text = text;
		node->length = p->lex.text_length + 1;
	}
	else
	{
		node->text = p->lex.text;
		node->length = p->lex.text_length;
	}
	vc_lex(&p->lex);
	return node;
}

static VcFilterNode *
parse_template(Parser *p)
{
	VcFilterNode *node;

	vc_lex(&p->lex);
	if (p->lex.token != VCT_NAME)
		return fail(p, "A template is written {name}.", "expected a template name after \"{\"");
	node = take_text(p, VCF_TEMPLATE);
	if (!expect(p, VCT_RBRACE, "expected \"}\" after template name"))
		return NULL;
	return node;
}

static VcFilterNode *
parse_list(Parser *p)
{
	VcFilterNode *list = node_here(p, VCF_LIST);

	vc_lex(&p->lex);
	while (p->lex.token != VCT_RBRACKET)
	{
		VcFilterNode *item = parse_expression(p, PREC_ADD);

		if (item == NULL)
			return NULL;
		if (!vc_filter_is_value(item))
		{
			vc_filter_fail(p->lex.error, item->pos, "", "a list may hold only constants");
			return NULL;
		}
		if (!with_args(p, list, item, NULL))
			return NULL;
		if (p->lex.token == VCT_COMMA)
			vc_lex(&p->lex);
		else if (p->lex.token != VCT_RBRACKET)
			return fail(p, "", "expected \",\" or \"]\" in list");
	}
	vc_lex(&p->lex);
	return list;
}

/* The subscripts behind a field name. */
static VcFilterNode *
parse_path(Parser *p, VcFilterNode *field)
{
	while (p->lex.token == VCT_LBRACKET)
	{
		VcFilterNode *step;

		vc_lex(&p->lex);
		if (p->lex.token == VCT_STRING)
			step = take_text(p, VCF_STRING);
		else if (p->lex.token == VCT_INT)
		{
			if ((step = parse_number(p, false)) == NULL)
				return NULL;
			if (step->i > INT32_MAX - 1)
			{
				vc_filter_fail(p->lex.error, step->pos, "", "subscript out of range");
				return NULL;
			}
		}
		else
			return fail(p, "", "expected a string or a number as subscript");
		if (!expect(p, VCT_RBRACKET, "expected \"]\" after subscript"))
			return NULL;
		vc_filter_append(p->lex.arena, field, step);
		if (field->nargs > VC_FILTER_MAX_DEPTH)
		{
			vc_filter_fail(p->lex.error, step->pos, "", "path is longer than %d steps", VC_FILTER_MAX_DEPTH);
			return NULL;
		}
	}
	return field;
}

/* The option behind a text function's arguments: an integer, or name = integer. */
static bool
parse_option(Parser *p, VcFilterNode *call, const char *name)
{
	if (p->lex.token == VCT_NAME)
	{
		if (strcasecmp(p->lex.text, name) != 0)
		{
			vc_filter_fail(p->lex.error, p->lex.pos, "", "expected option \"%s\"", name);
			return false;
		}
		vc_lex(&p->lex);
		if (!expect(p, VCT_EQ, "expected \"=\" after option name"))
			return false;
	}
	if (p->lex.token != VCT_INT || p->lex.number > 1000)
		return fail(p, "", "expected an integer from 0 to 1000 as option") != NULL;
	call->i = (int64_t)p->lex.number;
	vc_lex(&p->lex);
	return true;
}

/* name "(" ..., the name read. */
static VcFilterNode *
parse_call(Parser *p, VcFilterNode *name)
{
	VcFilterNode *call = vc_filter_node(p->lex.arena, VCF_CALL, name->pos);
	int known = -1;

	for (int i = 0; i < (int)(sizeof(functions) / sizeof(functions[0])); i++)
		if (strcasecmp(name->text, functions[i].name) == 0)
			known = i;
	if (known < 0)
	{
		vc_filter_fail(p->lex.error, name->pos,
					   "There are json_contains, array_contains (each also _all, _any), array_length, text_match, "
					   "phrase_match and random_sample.",
					   "unknown function \"%.60s\"", name->text);
		return NULL;
	}
	call->function = functions[known].function;
	call->text = functions[known].name;
	call->i = -1;
	vc_lex(&p->lex);
	for (int i = 0; i < functions[known].args; i++)
	{
		VcFilterNode *arg;

		if (i > 0 && !expect(p, VCT_COMMA, "expected \",\" between arguments"))
			return NULL;
		if ((arg = parse_expression(p, PREC_ADD)) == NULL || !with_args(p, call, arg, NULL))
			return NULL;
	}
	if (p->lex.token == VCT_COMMA && functions[known].option)
	{
		vc_lex(&p->lex);
		if (!parse_option(p, call, functions[known].option))
			return NULL;
	}
	if (!expect(p, VCT_RPAREN, "expected \")\" after arguments"))
		return NULL;
	return call;
}

static VcFilterNode *
parse_name(Parser *p)
{
	VcFilterNode *field = take_text(p, VCF_FIELD);

	if (p->lex.token == VCT_LPAREN)
		return parse_call(p, field);
	if (p->lex.token == VCT_STRING && (strcasecmp(field->text, "iso") == 0 || strcasecmp(field->text, "interval") == 0))
		return take_text(p, strcasecmp(field->text, "iso") == 0 ? VCF_TIMESTAMP : VCF_INTERVAL);
	return parse_path(p, field);
}

static VcFilterNode *
parse_minus(Parser *p)
{
	VcFilterNode *node = node_here(p, VCF_NEGATE);
	VcFilterNode *operand;
	size_t after;

	vc_lex(&p->lex);
	after = p->lex.next;
	if (p->lex.token == VCT_INT || p->lex.token == VCT_FLOAT)
	{
		/* A constant, unless it is the base of a power: -2 ** 2 is -(2 ** 2). */
		while (after < p->lex.length && strchr(" \t\r\n\f\v", p->lex.input[after]) && p->lex.input[after] != '\0')
			after++;
		if (p->lex.length - after < 2 || memcmp(p->lex.input + after, "**", 2) != 0)
			return parse_number(p, true);
	}
	operand = parse_expression(p, PREC_UNARY);
	return operand ? with_args(p, node, operand, NULL) : NULL;
}

static VcFilterNode *
parse_prefix(Parser *p, int weakest)
{
	VcFilterNode *node;
	VcFilterNode *operand;

	switch (p->lex.token)
	{
	case VCT_INT:
	case VCT_FLOAT:
		return parse_number(p, false);
	case VCT_STRING:
		return take_text(p, VCF_STRING);
	case VCT_TRUE:
	case VCT_FALSE:
		node = node_here(p, VCF_BOOL);
		node->negated = p->lex.token == VCT_TRUE;
		vc_lex(&p->lex);
		return node;
	case VCT_NULL:
		return fail(p, "Write \"field is null\".", "null can only follow \"is\" or \"is not\"");
	case VCT_NAME:
		return parse_name(p);
	case VCT_LBRACKET:
		return parse_list(p);
	case VCT_LBRACE:
		return parse_template(p);
	case VCT_PLUS:
		vc_lex(&p->lex);
		return parse_expression(p, PREC_UNARY);
	case VCT_MINUS:
		return parse_minus(p);
	case VCT_LPAREN:
		vc_lex(&p->lex);
		node = parse_expression(p, PREC_OR);
		return node && expect(p, VCT_RPAREN, "expected \")\"") ? node : NULL;
	case VCT_EXISTS:
		node = node_here(p, VCF_EXISTS);
		vc_lex(&p->lex);
		if (p->lex.token != VCT_NAME)
			return fail(p, "", "expected a field after \"exists\"");
		if ((operand = parse_name(p)) == NULL)
			return NULL;
		if (operand->kind != VCF_FIELD)
		{
			vc_filter_fail(p->lex.error, operand->pos, "", "expected a field after \"exists\"");
			return NULL;
		}
		return with_args(p, node, operand, NULL);
	case VCT_NOT:
	case VCT_BANG:
		if (p->lex.token == VCT_NOT && weakest > PREC_NOT)
			return fail(p, "Put the negation in parentheses.", "\"not\" cannot stand here");
		node = node_here(p, VCF_NOT);
		weakest = p->lex.token == VCT_NOT ? PREC_NOT : PREC_UNARY;
		vc_lex(&p->lex);
		operand = parse_expression(p, weakest);
		return operand ? with_args(p, node, operand, NULL) : NULL;
	case VCT_END:
		return fail(p, "", "filter ends where a value is expected");
	default:
		return fail(p, "", "expected a value, a field or a condition");
	}
}

static VcFilterOp
token_op(VcToken token)
{
	switch (token)
	{
	case VCT_PLUS:
		return VCF_OP_ADD;
	case VCT_MINUS:
		return VCF_OP_SUB;
	case VCT_STAR:
		return VCF_OP_MUL;
	case VCT_SLASH:
		return VCF_OP_DIV;
	case VCT_PERCENT:
		return VCF_OP_MOD;
	case VCT_POWER:
		return VCF_OP_POW;
	case VCT_EQ:
		return VCF_OP_EQ;
	case VCT_NE:
		return VCF_OP_NE;
	case VCT_LT:
		return VCF_OP_LT;
	case VCT_LE:
		return VCF_OP_LE;
	case VCT_GT:
		return VCF_OP_GT;
	case VCT_GE:
		return VCF_OP_GE;
	default:
		return VCF_OP_NONE;
	}
}

static int
token_precedence(VcToken token)
{
	switch (token)
	{
	case VCT_OR:
		return PREC_OR;
	case VCT_AND:
		return PREC_AND;
	case VCT_EQ:
	case VCT_NE:
	case VCT_LT:
	case VCT_LE:
	case VCT_GT:
	case VCT_GE:
	case VCT_IN:
	case VCT_LIKE:
	case VCT_IS:
	case VCT_NOT: /* not in, not like */
		return PREC_COMPARE;
	case VCT_PLUS:
	case VCT_MINUS:
		return PREC_ADD;
	case VCT_STAR:
	case VCT_SLASH:
	case VCT_PERCENT:
		return PREC_MULTIPLY;
	case VCT_POWER:
		return PREC_POWER;
	default:
		return 0;
	}
}

/* is [not] null, [not] in list, [not] like pattern; the current token is the first of them. */
static VcFilterNode *
parse_predicate(Parser *p, VcFilterNode *left)
{
	VcFilterNode *node = vc_filter_node(p->lex.arena, VCF_IN, left->pos);
	VcFilterNode *right;

	if (p->lex.token == VCT_IS)
	{
		node->kind = VCF_IS_NULL;
		vc_lex(&p->lex);
		if (p->lex.token == VCT_NOT)
		{
			node->negated = true;
			vc_lex(&p->lex);
		}
		if (!expect(p, VCT_NULL, "expected \"null\" or \"not null\" after \"is\""))
			return NULL;
		if (left->kind != VCF_FIELD)
		{
			vc_filter_fail(p->lex.error, left->pos, "", "expected a field before \"is null\"");
			return NULL;
		}
		return with_args(p, node, left, NULL);
	}
	if (p->lex.token == VCT_NOT)
	{
		node->negated = true;
		vc_lex(&p->lex);
	}
	if (p->lex.token == VCT_LIKE)
		node->kind = VCF_LIKE;
	else if (p->lex.token != VCT_IN)
		return fail(p, "", "expected \"in\" or \"like\" after \"not\"");
	vc_lex(&p->lex);
	if ((right = parse_prefix(p, PREC_ADD)) == NULL)
		return NULL;
	if (node->kind == VCF_LIKE && right->kind != VCF_STRING && right->kind != VCF_TEMPLATE)
	{
		vc_filter_fail(p->lex.error, right->pos, "", "expected a string after \"like\"");
		return NULL;
	}
	if (node->kind == VCF_IN && right->kind != VCF_LIST && right->kind != VCF_TEMPLATE)
	{
		vc_filter_fail(p->lex.error, right->pos, "Write a list as [1, 2, 3].", "expected a list after \"in\"");
		return NULL;
	}
	return with_args(p, node, left, right);
}

static bool
same_direction(VcFilterOp a, VcFilterOp b)
{
	bool less_a = a == VCF_OP_LT || a == VCF_OP_LE;
	bool less_b = b == VCF_OP_LT || b == VCF_OP_LE;
	bool greater_a = a == VCF_OP_GT || a == VCF_OP_GE;
	bool greater_b = b == VCF_OP_GT || b == VCF_OP_GE;

	return (less_a && less_b) || (greater_a && greater_b);
}

/* left op right, and the range left op right op2 third. */
static VcFilterNode *
parse_comparison(Parser *p, VcFilterNode *left)
{
	VcFilterNode *node = vc_filter_node(p->lex.arena, VCF_COMPARE, p->lex.pos);
	VcFilterNode *second;
	VcFilterNode *range;
	VcFilterNode *right;

	node->op = token_op(p->lex.token);
	vc_lex(&p->lex);
	if ((right = parse_expression(p, PREC_ADD)) == NULL || !with_args(p, node, left, right))
		return NULL;
	if (token_precedence(p->lex.token) != PREC_COMPARE)
		return node;
	if (!same_direction(node->op, token_op(p->lex.token)))
		return fail(p, "Only ranges such as 1 < a <= 5 chain; otherwise use parentheses.",
					"comparisons cannot be chained like this");
	second = vc_filter_node(p->lex.arena, VCF_COMPARE, p->lex.pos);
	second->op = token_op(p->lex.token);
	vc_lex(&p->lex);
	range = vc_filter_node(p->lex.arena, VCF_AND, left->pos);
	if ((left = parse_expression(p, PREC_ADD)) == NULL || !with_args(p, second, right, left))
		return NULL;
	if (token_precedence(p->lex.token) == PREC_COMPARE)
		return fail(p, "A range has two bounds.", "comparisons cannot be chained like this");
	return with_args(p, range, node, second);
}

/* and / or: operands of one chain are gathered in one node, so that a thousand of them are not a thousand deep. */
static VcFilterNode *
parse_chain(Parser *p, VcFilterNode *left)
{
	VcToken token = p->lex.token;
	VcFilterNode *node = vc_filter_node(p->lex.arena, token == VCT_AND ? VCF_AND : VCF_OR, left->pos);

	if (!with_args(p, node, left, NULL))
		return NULL;
	while (p->lex.token == token)
	{
		VcFilterNode *operand;

		vc_lex(&p->lex);
		operand = parse_expression(p, token == VCT_AND ? PREC_NOT : PREC_AND);
		if (operand == NULL || !with_args(p, node, operand, NULL))
			return NULL;
	}
	return node;
}

static VcFilterNode *
parse_arithmetic(Parser *p, VcFilterNode *left)
{
	VcFilterNode *node = vc_filter_node(p->lex.arena, VCF_ARITH, p->lex.pos);
	int precedence = token_precedence(p->lex.token);
	VcFilterNode *right;

	node->op = token_op(p->lex.token);
	vc_lex(&p->lex);
	/* All but ** group to the left; the exponent of ** may carry a sign. */
	right = parse_expression(p, precedence == PREC_POWER ? PREC_UNARY : precedence + 1);
	return right ? with_args(p, node, left, right) : NULL;
}

/* An expression of operators that bind at least as strongly as `weakest`. */
static VcFilterNode *
parse_expression(Parser *p, int weakest)
{
	VcFilterNode *left;
	int precedence;

	if (++p->depth > VC_FILTER_MAX_DEPTH)
	{
		vc_filter_fail(p->lex.error, p->lex.pos, "", "filter is nested deeper than %d levels", VC_FILTER_MAX_DEPTH);
		return NULL;
	}
	left = parse_prefix(p, weakest);
	while (left && (precedence = token_precedence(p->lex.token)) >= weakest && precedence > 0)
	{
		if (precedence <= PREC_AND)
			left = parse_chain(p, left);
		else if (precedence >= PREC_ADD)
			left = parse_arithmetic(p, left);
		else if (token_op(p->lex.token) == VCF_OP_NONE)
			left = parse_predicate(p, left);
		else
			left = parse_comparison(p, left);
	}
	p->depth--;
	return left;
}

VcFilterNode *
vc_filter_parse_expression(VcFilterArena *arena, const char *input, size_t length, VcFilterError *error)
{
	Parser p = {.lex = {.arena = arena, .error = error, .input = input, .length = length}};
	VcFilterNode *node;

	vc_lex(&p.lex);
	node = parse_expression(&p, PREC_OR);
	if (node && p.lex.token != VCT_END)
		return fail(&p, "", "unexpected input after the end of the filter");
	return node;
}

VcFilterNode *
vc_filter_parse(VcFilterArena *arena, const char *input, size_t length, VcFilterError *error)
{
	static const char spaces[] = " \t\r\n\f\v";
	size_t first = 0;
	size_t second;

	if (length > VC_FILTER_MAX_BYTES)
	{
		vc_filter_fail(error, 0, "", "filter is longer than %d bytes", VC_FILTER_MAX_BYTES);
		return NULL;
	}
	while (first < length && input[first] != '\0' && strchr(spaces, input[first]))
		first++;
	if (first == length)
	{
		VcFilterNode *everything = vc_filter_node(arena, VCF_AND, 0);

		return everything;
	}
	second = first + 1;
	while (second < length && input[second] != '\0' && strchr(spaces, input[second]))
		second++;
	if (input[first] == '{' && (second == length || input[second] == '"' || input[second] == '}'))
		return vc_filter_parse_qdrant(arena, input, length, error);
	return vc_filter_parse_expression(arena, input, length, error);
}
