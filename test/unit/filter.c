/*
 * filter.c
 *		The two filter parsers without a server: what each construct becomes, where each fault is found, and that
 *hostile input is refused before it costs stack or time. Trees are compared as text, in prefix form.
 */
#include "collection/filter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int tests = 0;
static int failures = 0;

/* ---- an arena that gives everything back at once ---- */

typedef struct Block
{
	struct Block *next;
} Block;

static Block *blocks = NULL;
static size_t allocated = 0;

static void *
block_alloc(void *context, size_t bytes)
{
	Block *block = malloc(sizeof(Block) + bytes + 16);

	(void)context;
	if (block == NULL)
		abort();
	block->next = blocks;
	blocks = block;
	allocated += bytes;
	return block + 1;
}

static void
free_blocks(void)
{
	while (blocks)
	{
		Block *next = blocks->next;

		free(blocks);
		blocks = next;
	}
	allocated = 0;
}

static VcFilterArena arena = {block_alloc, NULL};

/* ---- trees as text ---- */

static char text[1 << 16];
static size_t used;

static void
put(const char *string)
{
	size_t length = strlen(string);

	if (used + length + 1 < sizeof(text))
	{
		memcpy(text + used, string, length + 1);
		used += length;
	}
}

static void
show(const VcFilterNode *node)
{
	static const char *const kinds[] = {
		[VCF_NULL] = "null",
		[VCF_LIST] = "list",
		[VCF_OBJECT] = "object",
		[VCF_NEGATE] = "neg",
		[VCF_AND] = "and",
		[VCF_OR] = "or",
		[VCF_NOT] = "not",
		[VCF_IN] = "in",
		[VCF_LIKE] = "like",
		[VCF_IS_NULL] = "null?",
		[VCF_EXISTS] = "exists",
		[VCF_MATCH] = "match",
		[VCF_MATCH_ANY] = "any",
		[VCF_MATCH_EXCEPT] = "except",
		[VCF_MATCH_TEXT] = "text",
		[VCF_RANGE] = "range",
		[VCF_VALUES_COUNT] = "count",
		[VCF_IS_EMPTY] = "empty",
		[VCF_HAS_ID] = "has_id",
		[VCF_HAS_VECTOR] = "has_vector",
		[VCF_NESTED] = "nested",
		[VCF_AT_LEAST] = "at_least",
		[VCF_WILDCARD] = "*",
	};
	static const char *const ops[] = {
		"", "+", "-", "*", "/", "%", "**", "==", "!=", "<", "<=", ">", ">=", "all", "any", "phrase"};
	char number[32];

	switch (node->kind)
	{
	case VCF_BOOL:
		put(node->negated ? "true" : "false");
		return;
	case VCF_INT:
		snprintf(number, sizeof(number), "%lld", (long long)node->i);
		put(number);
		return;
	case VCF_FLOAT:
		put(node->text);
		return;
	case VCF_STRING:
		put("'");
		put(node->text);
		put("'");
		return;
	case VCF_TEMPLATE:
		put("{");
		put(node->text);
		put("}");
		return;
	case VCF_TIMESTAMP:
		put("iso:");
		put(node->text);
		return;
	case VCF_INTERVAL:
		put("interval:");
		put(node->text);
		return;
	case VCF_WILDCARD:
		put("*");
		return;
	case VCF_FIELD:
		put(node->text);
		for (int i = 0; i < node->nargs; i++)
		{
			put(".");
			show(node->args[i]);
		}
		return;
	default:
		break;
	}
	put("(");
	if (node->negated)
		put("not-");
	if (node->kind == VCF_CALL)
		put(node->text);
	else if (node->kind == VCF_ARITH || node->kind == VCF_COMPARE || node->kind == VCF_BOUND)
		put(ops[node->op]);
	else
		put(kinds[node->kind]);
	if (node->kind == VCF_MATCH_TEXT)
		put(ops[node->op]);
	if ((node->kind == VCF_CALL && node->i >= 0) || node->kind == VCF_AT_LEAST)
	{
		snprintf(number, sizeof(number), ":%lld", (long long)node->i);
		put(number);
	}
	for (int i = 0; i < node->nargs; i++)
	{
		put(" ");
		show(node->args[i]);
	}
	put(")");
}

static void
result(bool good, const char *name)
{
	printf("%s %d - %s\n", good ? "ok" : "not ok", ++tests, name);
	failures += !good;
}

/* The filter parses to this tree. */
static void
parses(const char *filter, const char *expected)
{
	VcFilterError error = {0};
	VcFilterNode *node = vc_filter_parse(&arena, filter, strlen(filter), &error);

	used = 0;
	text[0] = '\0';
	if (node)
		show(node);
	result(node && strcmp(text, expected) == 0, filter);
	if (node == NULL)
		printf("# error at %zu: %s\n", error.position, error.message);
	else if (strcmp(text, expected) != 0)
		printf("# got      %s\n# expected %s\n", text, expected);
	free_blocks();
}

/* The filter is refused, at this byte, with a message that contains this. */
static void
refused(const char *filter, size_t position, const char *message)
{
	VcFilterError error = {0};
	VcFilterNode *node = vc_filter_parse(&arena, filter, strlen(filter), &error);

	result(node == NULL && error.position == position && strstr(error.message, message), filter);
	if (node)
		printf("# it was accepted\n");
	else if (error.position != position || !strstr(error.message, message))
		printf("# got \"%s\" at %zu\n", error.message, error.position);
	free_blocks();
}

static void
test_expressions(void)
{
	parses("", "(and)");
	parses("  \n ", "(and)");
	parses("id > 10000 and name like \"abc%\"", "(and (> id 10000) (like name 'abc%'))");
	/* precedence */
	parses("a == 1 or b == 2 and c == 3", "(or (== a 1) (and (== b 2) (== c 3)))");
	parses("not a == 1 and b", "(and (not (== a 1)) b)");
	parses("a + 2 * b ** 3 - 1 > 0", "(> (- (+ a (* 2 (** b 3))) 1) 0)");
	parses("a ** b ** c == 1", "(== (** a (** b c)) 1)");
	parses("-a ** 2 < 1", "(< (neg (** a 2)) 1)");
	parses("-2 ** 2 < a", "(< (neg (** 2 2)) a)");
	parses("a - b - c > 1", "(> (- (- a b) c) 1)");
	parses("2 ** -1 < a", "(< (** 2 -1) a)");
	parses("!a && !(b || c)", "(and (not a) (not (or b c)))");
	parses("(a or b) and c", "(and (or a b) c)");
	parses("not not a", "(not (not a))");
	/* ranges */
	parses("1 < a <= 5", "(and (< 1 a) (<= a 5))");
	parses("5 > a >= 1 and b", "(and (and (> 5 a) (>= a 1)) b)");
	refused("1 < a > 5", 6, "chained");
	refused("a == b == c", 7, "chained");
	refused("1 < a < 2 < 3", 10, "chained");
	/* lists */
	parses("a in [1, -2, 3.5]", "(in a (list 1 -2 3.5))");
	parses("a NOT IN ['x', \"y\",]", "(not-in a (list 'x' 'y'))");
	parses("a in []", "(in a (list))");
	parses("a in {ids} and b > {low}", "(and (in a {ids}) (> b {low}))");
	refused("a in [b]", 6, "constants");
	refused("a in 5", 5, "expected a list");
	refused("a in [1 2]", 8, "expected \",\"");
	/* numbers */
	parses("a == -9223372036854775808", "(== a -9223372036854775808)");
	parses("a == 9223372036854775807", "(== a 9223372036854775807)");
	refused("a == 9223372036854775808", 5, "out of range");
	refused("a == 99999999999999999999999", 5, "out of range");
	refused("a == 007", 5, "leading zero");
	refused("a == 12abc", 5, "malformed number");
	parses("a > 1e3 and b < .5", "(and (> a 1e3) (< b .5))");
	/* strings */
	parses("a == \"it's \\\"so\\\"\"", "(== a 'it's \"so\"')");
	parses("a == 'tab\\tnew\\n\\x41\\u00e9\\ud83d\\ude00'", "(== a 'tab\tnew\nA\xc3\xa9\xf0\x9f\x98\x80')");
	parses("a like '100\\%\\_x'", "(like a '100\\%\\_x')");
	parses("a like '100\\\\%'", "(like a '100\\%')");
	parses("\xc3\xbc"
		   "ber == '\xe6\x97\xa5\xe6\x9c\xac'",
		   "(== \xc3\xbc"
		   "ber '\xe6\x97\xa5\xe6\x9c\xac')");
	refused("a == 'open", 5, "unterminated");
	refused("a == 'x\\q'", 7, "escape");
	refused("a == '\\u0000'", 6, "escape");
	refused("a == '\\ud800x'", 6, "escape");
	refused("a == 'x''y'", 8, "unexpected input");
	/* fields and paths */
	parses("$meta[\"a\"]['b'][0] > 1", "(> $meta.'a'.'b'.0 1)");
	parses("exists j['k'] and j['n'] is not null", "(and (exists j.'k') (not-null? j.'n'))");
	parses("a IS NULL or TRUE", "(or (null? a) true)");
	refused("a.b == 1", 1, "unexpected character");
	refused("a[b] == 1", 2, "subscript");
	refused("1 is null", 0, "expected a field");
	refused("a == null", 5, "null can only");
	/* functions */
	parses("json_contains(a['t'], 5) and JSON_CONTAINS_ALL(a, [1,2])",
		   "(and (json_contains a.'t' 5) (json_contains_all a (list 1 2)))");
	parses("array_length(a) > 2", "(> (array_length a) 2)");
	parses("text_match(a, 'x y', minimum_should_match=2)", "(text_match:2 a 'x y')");
	parses("PHRASE_MATCH(a, 'x y', 1)", "(phrase_match:1 a 'x y')");
	parses("random_sample(0.1)", "(random_sample 0.1)");
	refused("pg_sleep(5)", 0, "unknown function");
	refused("array_length(a, 1)", 14, "expected \")\"");
	refused("json_contains(a)", 15, "expected \",\"");
	refused("text_match(a, 'x', slop=2)", 19, "minimum_should_match");
	/* time */
	parses("t + INTERVAL 'P1D' > ISO '2025-01-01T00:00:00Z'", "(> (+ t interval:P1D) iso:2025-01-01T00:00:00Z)");
	/* the rest */
	refused("a == 1; drop table x", 6, "unexpected character");
	refused("a == 1 b", 7, "unexpected input");
	refused("a ==", 4, "ends where a value");
	refused("(a == 1", 7, "expected \")\"");
	refused("a not b", 6, "expected \"in\"");
	refused("1 + not a", 4, "cannot stand here");
	refused("a like 5", 7, "expected a string");
	refused("exists exists a", 7, "expected a field");
	refused("{x", 2, "expected \"}\"");
}

static void
test_qdrant(void)
{
	parses("{}", "(and)");
	parses("{\"must\": [{\"key\": \"city\", \"match\": {\"value\": \"Oslo\"}}]}", "(and (match city 'Oslo'))");
	parses("{\"must\":{\"key\":\"n\",\"range\":{\"gte\":1,\"lt\":5.5}},\"must_not\":[{\"has_id\":[1,\"a\"]}]}",
		   "(and (range n (< 5.5) (>= 1)) (not-not (has_id (list 1 'a'))))");
	parses("{\"should\":[{\"key\":\"a\",\"match\":{\"any\":[1,2]}},{\"key\":\"b\",\"match\":{\"except\":[\"x\"]}}]}",
		   "(and (or (any a (list 1 2)) (except b (list 'x'))))");
	parses("{\"min_should\":{\"min_count\":2,\"conditions\":[{\"is_empty\":{\"key\":\"a\"}},{\"is_null\":{\"key\":"
		   "\"b\"}}]}}",
		   "(and (at_least:2 (empty a) (null? b)))");
	parses("{\"key\":\"a.b[].c[2]\",\"match\":{\"text\":\"x y\"}}", "(textall a.'b'.*.'c'.2 'x y')");
	parses("{\"key\":\"\\\"a.b\\\".c\",\"match\":{\"phrase\":\"x\"}}", "(textphrase a.b.'c' 'x')");
	parses("{\"nested\":{\"key\":\"d\",\"filter\":{\"must\":[{\"key\":\"x\",\"match\":{\"value\":true}}]}}}",
		   "(nested d (and (match x true)))");
	parses("{\"key\":\"t\",\"values_count\":{\"gt\":2,\"lt\":null}}", "(count t (> 2))");
	parses("{\"has_vector\":\"v\"}", "(has_vector v)");
	parses("{\"must\":[],\"should\":null}", "(and)");
	parses("{\"must\":[{\"must_not\":[{\"key\":\"a\",\"match\":{\"value\":-1}}]}]}",
		   "(and (and (not-not (match a -1))))");
	parses("{\"key\":\"a\",\"match\":{\"value\":\"\\u00e9\\ud83d\\ude00\\n\"}}",
		   "(match a '\xc3\xa9\xf0\x9f\x98\x80\n')");
	parses("{\"key\":\"a\",\"range\":{\"gt\":123456789012345678901234567890}}",
		   "(range a (> 123456789012345678901234567890))");
	refused("{\"must\":[{\"key\":\"a\",\"mach\":{\"value\":1}}]}", 20, "unknown key");
	refused("{\"mast\":[]}", 1, "unknown condition");
	refused("{\"must\":[],\"mast\":[]}", 11, "unknown key");
	refused("{\"key\":\"a\"}", 0, "nothing to test");
	refused("{\"key\":\"a\",\"match\":{\"value\":[1]}}", 28, "match value");
	refused("{\"key\":\"a\",\"match\":{\"value\":1,\"any\":[1]}}", 19, "one key");
	refused("{\"key\":\"a\",\"geo_radius\":{}}", 11, "geo");
	refused("{\"key\":\"a..b\",\"is_null\":true}", 7, "malformed key");
	refused("{\"key\":\"\",\"is_null\":true}", 7, "not empty");
	refused("{\"has_id\":[1.5]}", 11, "an id is");
	refused("{\"min_should\":{\"conditions\":[]}}", 14, "min_count");
	refused("{\"must\":[1]}", 9, "must be an object");
	refused("{\"a\":1", 6, "expected \",\" or \"}\"");
	refused("{\"a\":01}", 5, "leading zero");
	refused("{\"a\":nul}", 5, "invalid JSON");
	refused("{\"a\":\"\\x\"}", 6, "invalid escape");
	refused("{} {}", 3, "unexpected input");
}

/* `count` times the same text, between a head and a tail. */
static char *
repeated(const char *head, const char *unit, int count, const char *tail)
{
	size_t length = strlen(unit);
	char *filter = malloc(strlen(head) + length * count + strlen(tail) + 1);
	char *out = filter + sprintf(filter, "%s", head);

	for (int i = 0; i < count; i++, out += length)
		memcpy(out, unit, length);
	strcpy(out, tail);
	return filter;
}

static void
refuses_deep(const char *name, char *filter)
{
	VcFilterError error = {0};
	VcFilterNode *node = vc_filter_parse(&arena, filter, strlen(filter), &error);

	result(node == NULL && (strstr(error.message, "nested") || strstr(error.message, "longer")), name);
	if (node || error.position == 0)
		printf("# %s at %zu\n", node ? "accepted" : error.message, error.position);
	free_blocks();
	free(filter);
}

static void
test_hostile(void)
{
	static const char name[] = "a list of 10,000 is read in linear time and space";
	VcFilterError error = {0};
	VcFilterNode *node;
	char *filter;
	clock_t start;

	refuses_deep("a million parentheses", repeated("", "(", 1000000, "a"));
	refuses_deep("a million minus signs", repeated("", "- ", 1000000, "a > 1"));
	refuses_deep("a million nots", repeated("", "not ", 1000000, "a"));
	refuses_deep("a million bangs", repeated("", "!", 1000000, "a"));
	refuses_deep("a million plus signs", repeated("", "+", 1000000, "1 > a"));
	refuses_deep("a million brackets", repeated("a in ", "[", 1000000, ""));
	refuses_deep("a sum of a million terms", repeated("1", "+1", 1000000, "> a"));
	refuses_deep("powers of powers", repeated("1", "**1", 1000000, "> a"));
	refuses_deep("a path of a million steps", repeated("a", "[0]", 1000000, " > 1"));
	refuses_deep("a million JSON arrays", repeated("{\"must\":", "[", 1000000, ""));
	refuses_deep("a million JSON filters", repeated("", "{\"must\":", 1000000, ""));
	refuses_deep("more bytes than allowed", repeated("", "a == 1 or ", 1000000, "b"));

	filter = repeated("a", " or a", 100000, "");
	node = vc_filter_parse(&arena, filter, strlen(filter), &error);
	result(node && node->nargs == 100001 && node->depth == 2, "a chain of 100,000 is flat");
	free_blocks();
	free(filter);

	filter = repeated("a in ['x'", ", 'abcdefgh'", 9999, "]");
	start = clock();
	node = vc_filter_parse(&arena, filter, strlen(filter), &error);
	result(node && node->args[1]->nargs == 10000 && allocated < 8 * 1024 * 1024 &&
			   clock() - start < CLOCKS_PER_SEC / 10,
		   name);
	free_blocks();
	free(filter);

	/* Every beginning of a good filter is a filter or an error, never a crash; so is every one with a byte changed. */
	{
		static const char good[] =
			"1 < a['k'][0] ** 2 <= -5 and b not in ['x\\u00e9', {t}] or not exists c && text_match(d, \"x\", slop=1)";
		char copy[sizeof(good)];
		bool sane = true;

		for (size_t length = 0; length < sizeof(good); length++)
		{
			vc_filter_parse(&arena, good, length, &error);
			free_blocks();
		}
		for (size_t i = 0; i + 1 < sizeof(good); i++)
			for (int byte = 0; byte < 256; byte++)
			{
				memcpy(copy, good, sizeof(good));
				copy[i] = (char)byte;
				if (vc_filter_parse(&arena, copy, sizeof(good) - 1, &error) == NULL && error.position > sizeof(good))
					sane = false;
				free_blocks();
			}
		result(sane, "faults of every damaged filter lie within it");
	}
}

int
main(void)
{
	test_expressions();
	test_qdrant();
	test_hostile();
	printf("1..%d\n", tests);
	return failures > 0;
}
