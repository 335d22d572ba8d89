/*
 * filter_qdrant.c
 *		The JSON language's parser: JSON text to a tree of values, then Qdrant's clauses and conditions to the same
 *nodes the expression language uses. Grammar: docs/filters.md. No server headers; see filter.h.
 *
 * An unknown key is a fault, never ignored: a filter that silently loses a condition returns rows it should not.
 */
#include "filter.h"

#include <string.h>

typedef struct Reader
{
	VcFilterArena *arena;
	VcFilterError *error;
	const char *input;
	size_t length;
	size_t next;
} Reader;

typedef VcFilterNode Node;

static Node *read_value(Reader *r, int depth);
static Node *build_filter(Reader *r, const Node *object);
static Node *build_condition(Reader *r, const Node *object);

static Node *
fail_at(Reader *r, size_t pos, const char *hint, const char *message)
{
	vc_filter_fail(r->error, pos, hint, "%s", message);
	return NULL;
}

/* ---- JSON ---- */

static char
peek(const Reader *r)
{
	return r->next < r->length ? r->input[r->next] : '\0';
}

static void
skip_spaces(Reader *r)
{
	while (peek(r) == ' ' || peek(r) == '\t' || peek(r) == '\r' || peek(r) == '\n')
		r->next++;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four hexadecimal digits, or -1. */
static long
read_hex4(Reader *r)
{
	long value = 0;

	for (int i = 0; i < 4; i++)
	{
		int digit = hex_digit(peek(r));

		if (digit < 0)
			return -1;
		value = value * 16 + digit;
		r->next++;
	}
	return value;
}

/* One escape, its backslash read. */
static bool
read_escape(Reader *r, char **out)
{
	static const char plain[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
	char c = peek(r);
	long code;

	if (r->next >= r->length)
		return false;
	r->next++;
	for (size_t i = 0; i + 1 < sizeof(plain); i += 2)
		if (plain[i] == c)
		{
			*(*out)++ = plain[i + 1];
			return true;
		}
	if (c != 'u' || (code = read_hex4(r)) <= 0)
		return false;
	if (code >= 0xD800 && code <= 0xDFFF)
	{
		long low;

		if (code > 0xDBFF || r->length - r->next < 6 || memcmp(r->input + r->next, "\\u", 2) != 0)
			return false;
		r->next += 2;
		low = read_hex4(r);
		if (low < 0xDC00 || low > 0xDFFF)
			return false;
		code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
	}
	*out += vc_filter_utf8((uint32_t)code, *out);
	return true;
}

static Node *
read_string(Reader *r)
{
	Node *node = vc_filter_node(r->arena, VCF_STRING, r->next);
	size_t end = r->next + 1;
	char *buffer;
	char *out;

	while (end < r->length && r->input[end] != '"')
		end += r->input[end] == '\\' ? 2 : 1;
	if (end >= r->length)
		return fail_at(r, node->pos, "", "unterminated string");
	/* An escape never writes more bytes than it is long. */
	buffer = out = r->arena->alloc(r->arena->context, end - r->next + 1);
	r->next++;
	while (peek(r) != '"')
	{
		size_t at = r->next++;

		if ((unsigned char)r->input[at] < ' ')
			return fail_at(r, at, "", "control character in string");
		if (r->input[at] != '\\')
			*out++ = r->input[at];
		else if (!read_escape(r, &out))
			return fail_at(r, at, "", "invalid escape in string");
	}
	r->next++;
	*out = '\0';
	node->text = buffer;
	node->length = out - buffer;
	return node;
}

static bool
read_digits(Reader *r)
{
	size_t start = r->next;

	while (peek(r) >= '0' && peek(r) <= '9')
		r->next++;
	return r->next > start;
}

static Node *
read_number(Reader *r)
{
	Node *node = vc_filter_node(r->arena, VCF_INT, r->next);
	size_t start = r->next;
	uint64_t magnitude = 0;
	bool negative = peek(r) == '-';

	if (negative)
		r->next++;
	if (peek(r) == '0' && r->next + 1 < r->length && r->input[r->next + 1] >= '0' && r->input[r->next + 1] <= '9')
		return fail_at(r, start, "", "leading zero in number");
	if (!read_digits(r))
		return fail_at(r, start, "", "malformed number");
	for (size_t i = start + negative; i < r->next; i++)
	{
		uint64_t digit = r->input[i] - '0';

		if (magnitude > (UINT64_MAX - digit) / 10)
			node->kind = VCF_FLOAT;
		magnitude = magnitude * 10 + digit;
	}
	if (peek(r) == '.')
	{
		node->kind = VCF_FLOAT;
		r->next++;
		if (!read_digits(r))
			return fail_at(r, start, "", "malformed number");
	}
	if (peek(r) == 'e' || peek(r) == 'E')
	{
		node->kind = VCF_FLOAT;
		r->next++;
		if (peek(r) == '+' || peek(r) == '-')
			r->next++;
		if (!read_digits(r))
			return fail_at(r, start, "", "malformed number");
	}
	/* Beyond 64 bits an integer is still an exact decimal. */
	if (magnitude > (uint64_t)INT64_MAX + negative)
		node->kind = VCF_FLOAT;
	if (node->kind == VCF_INT)
		node->i = negative && magnitude > 0 ? -(int64_t)(magnitude - 1) - 1 : (int64_t)magnitude;
	node->length = r->next - start;
	if (node->length > 400)
		return fail_at(r, start, "", "number is too long");
	node->text = vc_filter_copy(r->arena, r->input + start, node->length);
	return node;
}

static Node *
read_word(Reader *r)
{
	static const char *const word[] = {"null", "true", "false"};

	for (int i = 0; i < 3; i++)
		if (r->length - r->next >= strlen(word[i]) && memcmp(r->input + r->next, word[i], strlen(word[i])) == 0)
		{
			Node *node = vc_filter_node(r->arena, i == 0 ? VCF_NULL : VCF_BOOL, r->next);

			node->negated = i == 1;
			r->next += strlen(word[i]);
			return node;
		}
	return fail_at(r, r->next, "", r->next < r->length ? "invalid JSON" : "JSON ends too early");
}

/* An array or an object, whose members lie as key, value, key, value in args. */
static Node *
read_collection(Reader *r, int depth)
{
	bool object = peek(r) == '{';
	char close = object ? '}' : ']';
	Node *node = vc_filter_node(r->arena, object ? VCF_OBJECT : VCF_LIST, r->next);

	r->next++;
	skip_spaces(r);
	if (peek(r) == close && r->next < r->length)
	{
		r->next++;
		return node;
	}
	for (;;)
	{
		Node *item;

		skip_spaces(r);
		if (object)
		{
			if (peek(r) != '"')
				return fail_at(r, r->next, "", "expected a key in JSON object");
			if ((item = read_string(r)) == NULL)
				return NULL;
			vc_filter_append(r->arena, node, item);
			skip_spaces(r);
			if (peek(r) != ':')
				return fail_at(r, r->next, "", "expected \":\" after key");
			r->next++;
		}
		if ((item = read_value(r, depth + 1)) == NULL)
			return NULL;
		vc_filter_append(r->arena, node, item);
		skip_spaces(r);
		if (peek(r) == ',')
			r->next++;
		else if (peek(r) == close)
			break;
		else
			return fail_at(r, r->next, "", object ? "expected \",\" or \"}\"" : "expected \",\" or \"]\"");
	}
	r->next++;
	return node;
}

static Node *
read_value(Reader *r, int depth)
{
	if (depth > VC_FILTER_MAX_DEPTH)
	{
		vc_filter_fail(r->error, r->next, "", "filter is nested deeper than %d levels", VC_FILTER_MAX_DEPTH);
		return NULL;
	}
	skip_spaces(r);
	if (peek(r) == '{' || peek(r) == '[')
		return read_collection(r, depth);
	if (peek(r) == '"')
		return read_string(r);
	if (peek(r) == '-' || (peek(r) >= '0' && peek(r) <= '9'))
		return read_number(r);
	return read_word(r);
}

/* ---- clauses and conditions ---- */

/* The value of a key, NULL if there is none. Of a key given twice the last counts, as in jsonb. */
static const Node *
member(const Node *object, const char *key)
{
	for (int i = object->nargs - 2; i >= 0; i -= 2)
		if (strcmp(object->args[i]->text, key) == 0)
			return object->args[i + 1];
	return NULL;
}

/* Fails if the object has a key outside the list (NULL-terminated). */
static bool
only_keys(Reader *r, const Node *object, const char *const *keys, const char *hint)
{
	for (int i = 0; i < object->nargs; i += 2)
	{
		int k = 0;

		while (keys[k] && strcmp(keys[k], object->args[i]->text) != 0)
			k++;
		if (keys[k] == NULL)
		{
			vc_filter_fail(r->error, object->args[i]->pos, hint, "unknown key \"%.60s\" in filter",
						   object->args[i]->text);
			return false;
		}
	}
	return true;
}

static Node *
with_arg(Reader *r, Node *node, Node *arg)
{
	if (arg)
		vc_filter_append(r->arena, node, arg);
	if (node->depth > VC_FILTER_MAX_DEPTH)
	{
		vc_filter_fail(r->error, node->pos, "", "filter is nested deeper than %d levels", VC_FILTER_MAX_DEPTH);
		return NULL;
	}
	return node;
}

/*
 * A key: name, then .name, [3] or [] steps; a name with dots in it is written in double quotes. `[]` says what the
 * semantics of arrays say anyway, so it only matters inside a path.
 */
static Node *
build_path(Reader *r, const Node *key)
{
	Node *field = vc_filter_node(r->arena, VCF_FIELD, key->pos);
	const char *at = key->text;
	bool first = true;

	if (key->kind != VCF_STRING || key->length == 0)
		return fail_at(r, key->pos, "", "key must be a string that is not empty");
	while (*at)
	{
		Node *step;

		if (*at == '[' && !first)
		{
			step = vc_filter_node(r->arena, at[1] == ']' ? VCF_WILDCARD : VCF_INT, key->pos);
			for (at++; *at >= '0' && *at <= '9' && step->i < INT32_MAX / 10 - 1; at++)
				step->i = step->i * 10 + (*at - '0');
			if (*at != ']' || (at[-1] == '[' && step->kind != VCF_WILDCARD))
				return fail_at(r, key->pos, "", "malformed subscript in key");
			at++;
		}
		else
		{
			bool quoted;
			size_t length;

			if (!first && *at++ != '.')
				return fail_at(r, key->pos, "", "malformed key");
			if ((quoted = (*at == '"')))
				at++;
			length = strcspn(at, quoted ? "\"" : ".[\"");
			if (length == 0 || (quoted && at[length] != '"'))
				return fail_at(r, key->pos, "", "malformed key");
			step = vc_filter_node(r->arena, VCF_STRING, key->pos);
			step->text = vc_filter_copy(r->arena, at, length);
			step->length = length;
			at += length + quoted;
		}
		if (first)
		{
			field->text = step->text;
			field->length = step->length;
			first = false;
		}
		else
			vc_filter_append(r->arena, field, step);
		if (field->nargs > VC_FILTER_MAX_DEPTH)
			return fail_at(r, key->pos, "", "key has too many steps");
	}
	return field;
}

/* The one-key objects {"key": path} that is_empty, is_null take. */
static Node *
build_inner_path(Reader *r, const Node *object)
{
	static const char *const keys[] = {"key", NULL};
	const Node *key = object->kind == VCF_OBJECT ? member(object, "key") : NULL;

	if (key == NULL)
		return fail_at(r, object->pos, "Write {\"key\": \"name\"}.", "expected an object with \"key\"");
	return only_keys(r, object, keys, "") ? build_path(r, key) : NULL;
}

static bool
is_scalar(const Node *node)
{
	return node->kind == VCF_BOOL || node->kind == VCF_INT || node->kind == VCF_FLOAT || node->kind == VCF_STRING;
}

static Node *
build_match(Reader *r, Node *field, const Node *match)
{
	static const struct
	{
		const char *key;
		VcFilterKind kind;
		VcFilterOp op;
	} forms[] = {
		{"value", VCF_MATCH, VCF_OP_NONE},          {"any", VCF_MATCH_ANY, VCF_OP_NONE},
		{"except", VCF_MATCH_EXCEPT, VCF_OP_NONE},  {"text", VCF_MATCH_TEXT, VCF_TEXT_ALL},
		{"text_any", VCF_MATCH_TEXT, VCF_TEXT_ANY}, {"phrase", VCF_MATCH_TEXT, VCF_TEXT_PHRASE},
	};
	static const char hint[] = "A match has one of value, any, except, text, text_any, phrase.";

	if (match->kind != VCF_OBJECT || match->nargs != 2)
		return fail_at(r, match->pos, hint, "match must be an object with one key");
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
	{
		Node *value = match->args[1];
		Node *node;

		if (strcmp(match->args[0]->text, forms[i].key) != 0)
			continue;
		if (forms[i].kind == VCF_MATCH && !is_scalar(value))
			return fail_at(r, value->pos, "", "match value must be a string, a number or a boolean");
		if (forms[i].kind == VCF_MATCH_TEXT && value->kind != VCF_STRING)
			return fail_at(r, value->pos, "", "match text must be a string");
		if (forms[i].kind == VCF_MATCH_ANY || forms[i].kind == VCF_MATCH_EXCEPT)
		{
			if (value->kind != VCF_LIST)
				return fail_at(r, value->pos, "", "match any and except take a list");
			for (int k = 0; k < value->nargs; k++)
				if (!is_scalar(value->args[k]))
					return fail_at(r, value->args[k]->pos, "",
								   "a list to match may hold only strings, numbers and booleans");
		}
		node = vc_filter_node(r->arena, forms[i].kind, match->pos);
		node->op = forms[i].op;
		vc_filter_append(r->arena, node, field);
		return with_arg(r, node, value);
	}
	return fail_at(r, match->args[0]->pos, hint, "unknown kind of match");
}

/* {"gt": x, "lte": y} as range or values_count. A bound of null is no bound, as Qdrant's clients send them. */
static Node *
build_range(Reader *r, Node *field, const Node *range, VcFilterKind kind)
{
	static const char *const keys[] = {"lt", "lte", "gt", "gte", NULL};
	static const VcFilterOp ops[] = {VCF_OP_LT, VCF_OP_LE, VCF_OP_GT, VCF_OP_GE};
	Node *node = vc_filter_node(r->arena, kind, range->pos);

	if (range->kind != VCF_OBJECT)
		return fail_at(r, range->pos, "", "range must be an object");
	if (!only_keys(r, range, keys, "Bounds are lt, lte, gt, gte."))
		return NULL;
	vc_filter_append(r->arena, node, field);
	for (int i = 0; i < 4; i++)
	{
		const Node *value = member(range, keys[i]);
		Node *bound;

		if (value == NULL || value->kind == VCF_NULL)
			continue;
		if (kind == VCF_VALUES_COUNT ? value->kind != VCF_INT
									 : value->kind != VCF_INT && value->kind != VCF_FLOAT && value->kind != VCF_STRING)
			return fail_at(r, value->pos, "",
						   kind == VCF_VALUES_COUNT ? "bounds of values_count are integers"
													: "bounds of a range are numbers or timestamps");
		bound = vc_filter_node(r->arena, VCF_BOUND, value->pos);
		bound->op = ops[i];
		vc_filter_append(r->arena, bound, (Node *)value);
		vc_filter_append(r->arena, node, bound);
	}
	return with_arg(r, node, NULL);
}

/* {"key": path, match | range | values_count | is_empty | is_null}: all that are given must hold. */
static Node *
build_field_condition(Reader *r, const Node *object)
{
	static const char *const keys[] = {"key", "match", "range", "values_count", "is_empty", "is_null", NULL};
	Node *field = build_path(r, member(object, "key"));
	Node *all = vc_filter_node(r->arena, VCF_AND, object->pos);

	for (int i = 0; i < object->nargs; i += 2)
		if (strncmp(object->args[i]->text, "geo_", 4) == 0)
			return fail_at(r, object->args[i]->pos, "Use PostGIS on the table itself.",
						   "geo conditions are not supported");
	if (field == NULL ||
		!only_keys(r, object, keys, "A condition has key and match, range, values_count, is_empty or is_null."))
		return NULL;
	for (int i = 0; i < object->nargs; i += 2)
	{
		const char *key = object->args[i]->text;
		Node *value = object->args[i + 1];
		Node *condition;

		if (strcmp(key, "key") == 0 || value->kind == VCF_NULL)
			continue;
		if (strcmp(key, "match") == 0)
			condition = build_match(r, field, value);
		else if (strcmp(key, "range") == 0)
			condition = build_range(r, field, value, VCF_RANGE);
		else if (strcmp(key, "values_count") == 0)
			condition = build_range(r, field, value, VCF_VALUES_COUNT);
		else
		{
			if (value->kind != VCF_BOOL)
				return fail_at(r, value->pos, "", "is_empty and is_null take true or false here");
			condition = vc_filter_node(r->arena, strcmp(key, "is_null") == 0 ? VCF_IS_NULL : VCF_IS_EMPTY, value->pos);
			condition->negated = !value->negated;
			condition->i = 1;
			vc_filter_append(r->arena, condition, field);
		}
		if (condition == NULL || !with_arg(r, all, condition))
			return NULL;
	}
	if (all->nargs == 0)
		return fail_at(r, object->pos, "", "condition has a key but nothing to test");
	return all->nargs == 1 ? all->args[0] : all;
}

static Node *
build_nested(Reader *r, const Node *value)
{
	static const char *const keys[] = {"key", "filter", NULL};
	Node *node = vc_filter_node(r->arena, VCF_NESTED, value->pos);
	const Node *filter = value->kind == VCF_OBJECT ? member(value, "filter") : NULL;
	Node *part;

	if (filter == NULL || member(value, "key") == NULL)
		return fail_at(r, value->pos, "", "nested must be an object with \"key\" and \"filter\"");
	if (!only_keys(r, value, keys, "") || (part = build_path(r, member(value, "key"))) == NULL)
		return NULL;
	vc_filter_append(r->arena, node, part);
	if ((part = build_filter(r, filter)) == NULL)
		return NULL;
	return with_arg(r, node, part);
}

static Node *
build_condition(Reader *r, const Node *object)
{
	Node *node = NULL;
	Node *arg;

	if (object->kind != VCF_OBJECT)
		return fail_at(r, object->pos, "", "a condition must be an object");
	if (member(object, "key"))
		return build_field_condition(r, object);
	if (object->nargs != 2 || strcmp(object->args[0]->text, "must") == 0 ||
		strcmp(object->args[0]->text, "should") == 0 || strcmp(object->args[0]->text, "must_not") == 0 ||
		strcmp(object->args[0]->text, "min_should") == 0)
		return build_filter(r, object);

	arg = object->args[1];
	if (strcmp(object->args[0]->text, "is_empty") == 0 || strcmp(object->args[0]->text, "is_null") == 0)
	{
		node = vc_filter_node(r->arena, object->args[0]->text[3] == 'n' ? VCF_IS_NULL : VCF_IS_EMPTY, object->pos);
		node->i = 1;
		arg = build_inner_path(r, arg);
	}
	else if (strcmp(object->args[0]->text, "has_id") == 0)
	{
		if (arg->kind != VCF_LIST)
			return fail_at(r, arg->pos, "", "has_id takes a list of ids");
		for (int i = 0; i < arg->nargs; i++)
			if (arg->args[i]->kind != VCF_INT && arg->args[i]->kind != VCF_STRING)
				return fail_at(r, arg->args[i]->pos, "", "an id is an integer or a string");
		node = vc_filter_node(r->arena, VCF_HAS_ID, object->pos);
	}
	else if (strcmp(object->args[0]->text, "has_vector") == 0)
	{
		node = vc_filter_node(r->arena, VCF_HAS_VECTOR, object->pos);
		arg = build_path(r, arg);
	}
	else if (strcmp(object->args[0]->text, "nested") == 0)
		return build_nested(r, arg);
	else if (strcmp(object->args[0]->text, "filter") == 0)
		return build_filter(r, arg);
	else
	{
		vc_filter_fail(
			r->error, object->args[0]->pos,
			"Conditions are key, has_id, has_vector, is_empty, is_null, nested, filter, and the clauses must, should, "
			"must_not, min_should.",
			"unknown condition \"%.60s\"", object->args[0]->text);
		return NULL;
	}
	return arg ? with_arg(r, node, arg) : NULL;
}

/* The conditions of one clause, a list or a single one, appended to `node`. */
static Node *
build_conditions(Reader *r, Node *node, const Node *conditions, bool negate)
{
	int n = conditions->kind == VCF_LIST ? conditions->nargs : 1;

	for (int i = 0; i < n; i++)
	{
		Node *condition = build_condition(r, conditions->kind == VCF_LIST ? conditions->args[i] : conditions);

		if (condition && negate)
		{
			Node *not = vc_filter_node(r->arena, VCF_NOT, condition->pos);

			not ->negated = true;
			condition = with_arg(r, not, condition);
		}
		if (condition == NULL || !with_arg(r, node, condition))
			return NULL;
	}
	return node;
}

static Node *
build_min_should(Reader *r, const Node *clause)
{
	static const char *const keys[] = {"conditions", "min_count", NULL};
	Node *node = vc_filter_node(r->arena, VCF_AT_LEAST, clause->pos);
	const Node *count = clause->kind == VCF_OBJECT ? member(clause, "min_count") : NULL;
	const Node *conditions = clause->kind == VCF_OBJECT ? member(clause, "conditions") : NULL;

	if (count == NULL || conditions == NULL || count->kind != VCF_INT || count->i < 0 || conditions->kind != VCF_LIST)
		return fail_at(r, clause->pos, "", "min_should takes a list \"conditions\" and a \"min_count\" of at least 0");
	node->i = count->i;
	return only_keys(r, clause, keys, "") ? build_conditions(r, node, conditions, false) : NULL;
}

/* {must, should, must_not, min_should}: all clauses given must hold. */
static Node *
build_filter(Reader *r, const Node *object)
{
	static const char *const keys[] = {"must", "should", "must_not", "min_should", NULL};
	Node *all = vc_filter_node(r->arena, VCF_AND, object->pos);

	if (object->kind != VCF_OBJECT)
		return fail_at(r, object->pos, "", "a filter must be an object");
	if (!only_keys(r, object, keys, "A filter has must, should, must_not and min_should."))
		return NULL;
	for (int k = 0; keys[k]; k++)
	{
		const Node *clause = member(object, keys[k]);
		Node *part;

		/* A clause without conditions asks for nothing: `"should": []` must not turn into "none of these". */
		if (clause == NULL || clause->kind == VCF_NULL || (clause->kind == VCF_LIST && clause->nargs == 0))
			continue;
		if (k == 0 || k == 2)
		{
			if (!build_conditions(r, all, clause, k == 2))
				return NULL;
			continue;
		}
		part = k == 1 ? build_conditions(r, vc_filter_node(r->arena, VCF_OR, clause->pos), clause, false)
					  : build_min_should(r, clause);
		if (part == NULL || !with_arg(r, all, part))
			return NULL;
	}
	return with_arg(r, all, NULL);
}

VcFilterNode *
vc_filter_parse_qdrant(VcFilterArena *arena, const char *input, size_t length, VcFilterError *error)
{
	Reader r = {.arena = arena, .error = error, .input = input, .length = length};
	Node *json = read_value(&r, 0);

	if (json == NULL)
		return NULL;
	skip_spaces(&r);
	if (r.next < r.length)
		return fail_at(&r, r.next, "", "unexpected input after the JSON");
	/* Any single condition is a filter too. */
	return build_condition(&r, json);
}
