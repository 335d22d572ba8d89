/*
 * filter_lex.c
 *		Tokens of the expression language: names, numbers, strings, operators. No server headers; see filter.h.
 */
#include "filter_lex.h"

#include <string.h>
#include <strings.h>

static const struct
{
	const char *word;
	VcToken token;
} words[] = {
	{"and", VCT_AND}, {"or", VCT_OR},     {"not", VCT_NOT},   {"in", VCT_IN},       {"like", VCT_LIKE},
	{"is", VCT_IS},   {"null", VCT_NULL}, {"true", VCT_TRUE}, {"false", VCT_FALSE}, {"exists", VCT_EXISTS},
};

/* The longer operator stands before its own beginning. */
static const struct
{
	const char *spelling;
	VcToken token;
} operators[] = {
	{"**", VCT_POWER},   {"&&", VCT_AND},   {"||", VCT_OR},    {"==", VCT_EQ},     {"!=", VCT_NE},
	{"<>", VCT_NE},      {"<=", VCT_LE},    {">=", VCT_GE},    {"=", VCT_EQ},      {"<", VCT_LT},
	{">", VCT_GT},       {"!", VCT_BANG},   {"(", VCT_LPAREN}, {")", VCT_RPAREN},  {"[", VCT_LBRACKET},
	{"]", VCT_RBRACKET}, {"{", VCT_LBRACE}, {"}", VCT_RBRACE}, {",", VCT_COMMA},   {"+", VCT_PLUS},
	{"-", VCT_MINUS},    {"*", VCT_STAR},   {"/", VCT_SLASH},  {"%", VCT_PERCENT},
};

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Letters of other scripts (bytes above 127) may be part of a name: keys of the dynamic field are free text. */
static bool
is_name_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' || (unsigned char)c >= 128;
}

static char
peek(const VcLexer *lexer, size_t ahead)
{
	return lexer->next + ahead < lexer->length ? lexer->input[lexer->next + ahead] : '\0';
}

static VcToken
lex_name(VcLexer *lexer)
{
	const char *start = lexer->input + lexer->next;

	while (lexer->next < lexer->length && (is_name_start(peek(lexer, 0)) || is_digit(peek(lexer, 0))))
		lexer->next++;
	lexer->text_length = lexer->input + lexer->next - start;
	lexer->text = vc_filter_copy(lexer->arena, start, lexer->text_length);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasecmp(lexer->text, words[i].word) == 0)
			return words[i].token;
	return VCT_NAME;
}

/*
 * Decimal integers and fractions with exponent. A leading zero is refused rather than read as octal (as Milvus does) or
 * as decimal (as SQL does): the two answers differ and neither reader would notice.
 */
static VcToken
lex_number(VcLexer *lexer)
{
	size_t start = lexer->next;
	bool fraction = false;
	bool overflow = false;

	lexer->number = 0;
	while (is_digit(peek(lexer, 0)))
	{
		uint64_t digit = peek(lexer, 0) - '0';

		if (lexer->number > (UINT64_MAX - digit) / 10)
			overflow = true;
		lexer->number = lexer->number * 10 + digit;
		lexer->next++;
	}
	if (lexer->next - start > 1 && lexer->input[start] == '0')
	{
		vc_filter_fail(lexer->error, start, "Write the number without leading zeros.", "leading zero in number");
		return VCT_ERROR;
	}
	if (peek(lexer, 0) == '.')
	{
		fraction = true;
		lexer->next++;
		while (is_digit(peek(lexer, 0)))
			lexer->next++;
	}
	if (peek(lexer, 0) == 'e' || peek(lexer, 0) == 'E')
	{
		size_t sign = peek(lexer, 1) == '+' || peek(lexer, 1) == '-' ? 1 : 0;

		if (is_digit(peek(lexer, 1 + sign)))
		{
			fraction = true;
			lexer->next += 1 + sign;
			while (is_digit(peek(lexer, 0)))
				lexer->next++;
		}
	}
	if (is_name_start(peek(lexer, 0)))
	{
		vc_filter_fail(lexer->error, start, "", "malformed number");
		return VCT_ERROR;
	}
	lexer->text_length = lexer->next - start;
	/* The server's numeric type takes at most a few hundred digits of exponent; so much input is never meant. */
	if (lexer->text_length > 400)
	{
		vc_filter_fail(lexer->error, start, "", "number is too long");
		return VCT_ERROR;
	}
	lexer->text = vc_filter_copy(lexer->arena, lexer->input + start, lexer->text_length);
	if (fraction)
		return VCT_FLOAT;
	if (overflow || lexer->number > (uint64_t)INT64_MAX + 1)
	{
		vc_filter_fail(lexer->error, start, "Integers have 64 bits; write a larger number with a decimal point.",
					   "integer out of range");
		return VCT_ERROR;
	}
	return VCT_INT;
}

/* Reads `digits` hexadecimal digits; -1 if they are not there. */
static int64_t
lex_hex(VcLexer *lexer, int digits)
{
	int64_t value = 0;

	for (int i = 0; i < digits; i++)
	{
		char c = peek(lexer, 0);

		if (is_digit(c))
			value = value * 16 + (c - '0');
		else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
			value = value * 16 + ((c | 0x20) - 'a' + 10);
		else
			return -1;
		lexer->next++;
	}
	return value;
}

/* The code point of \uXXXX (its "u" already read), joined with its second half if it is a surrogate; -1 if malformed.
 */
static int64_t
lex_unicode_escape(VcLexer *lexer)
{
	int64_t high = lex_hex(lexer, 4);
	int64_t low;

	if (high < 0xD800 || high > 0xDFFF)
		return high == 0 ? -1 : high;
	if (high > 0xDBFF || peek(lexer, 0) != '\\' || peek(lexer, 1) != 'u')
		return -1;
	lexer->next += 2;
	low = lex_hex(lexer, 4);
	if (low < 0xDC00 || low > 0xDFFF)
		return -1;
	return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
}

/*
 * One escape, its backslash already read: writes what it stands for at *out and moves it on. An escape never writes
 * more bytes than it is long. \% and \_ keep their backslash, so that a LIKE pattern needs no doubled one.
 */
static bool
lex_escape(VcLexer *lexer, char **out)
{
	static const char plain[] = "\\\\''\"\"//b\bf\fn\nr\rt\tv\va\a";
	char c = peek(lexer, 0);
	int64_t code;

	if (lexer->next >= lexer->length)
		return false;
	lexer->next++;
	for (size_t i = 0; i + 1 < sizeof(plain); i += 2)
		if (plain[i] == c)
		{
			*(*out)++ = plain[i + 1];
			return true;
		}
	switch (c)
	{
	case '%':
	case '_':
		*(*out)++ = '\\';
		*(*out)++ = c;
		return true;
	case 'x':
		code = lex_hex(lexer, 2);
		break;
	case 'u':
		code = lex_unicode_escape(lexer);
		break;
	default:
		return false;
	}
	/* \x80 and above would be half a character in UTF-8, so it means the code point. Its two bytes fit in four. */
	if (code <= 0)
		return false;
	*out += vc_filter_utf8((uint32_t)code, *out);
	return true;
}

static VcToken
lex_string(VcLexer *lexer)
{
	char quote = peek(lexer, 0);
	size_t end = lexer->next + 1;
	char *buffer;
	char *out;

	while (end < lexer->length && lexer->input[end] != quote)
		end += lexer->input[end] == '\\' ? 2 : 1;
	buffer = lexer->arena->alloc(lexer->arena->context, end - lexer->next + 1);
	out = buffer;
	lexer->next++;
	for (;;)
	{
		size_t at = lexer->next;

		if (at >= lexer->length)
		{
			vc_filter_fail(lexer->error, lexer->pos, "", "unterminated string");
			return VCT_ERROR;
		}
		lexer->next++;
		if (lexer->input[at] == quote)
			break;
		if (lexer->input[at] == '\0')
		{
			vc_filter_fail(lexer->error, at, "", "zero byte in string");
			return VCT_ERROR;
		}
		if (lexer->input[at] != '\\')
			*out++ = lexer->input[at];
		else if (!lex_escape(lexer, &out))
		{
			vc_filter_fail(lexer->error, at,
						   "Escapes are \\\\ \\' \\\" \\n \\r \\t \\xHH \\uXXXX, and \\% \\_ for LIKE.",
						   "invalid escape in string");
			return VCT_ERROR;
		}
	}
	*out = '\0';
	lexer->text = buffer;
	lexer->text_length = out - buffer;
	return VCT_STRING;
}

static VcToken
lex_operator(VcLexer *lexer)
{
	for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++)
	{
		size_t length = strlen(operators[i].spelling);

		if (lexer->length - lexer->next >= length &&
			memcmp(lexer->input + lexer->next, operators[i].spelling, length) == 0)
		{
			lexer->next += length;
			return operators[i].token;
		}
	}
	vc_filter_fail(lexer->error, lexer->next, peek(lexer, 0) == '.' ? "Write a path as field[\"key\"][\"key\"]." : "",
				   "unexpected character");
	return VCT_ERROR;
}

VcToken
vc_lex(VcLexer *lexer)
{
	char c;

	while (lexer->next < lexer->length && strchr(" \t\r\n\f\v", peek(lexer, 0)) && peek(lexer, 0) != '\0')
		lexer->next++;
	lexer->pos = lexer->next;
	lexer->text = "";
	lexer->text_length = 0;
	c = peek(lexer, 0);
	if (lexer->next >= lexer->length)
		lexer->token = VCT_END;
	else if (is_name_start(c))
		lexer->token = lex_name(lexer);
	else if (is_digit(c) || (c == '.' && is_digit(peek(lexer, 1))))
		lexer->token = lex_number(lexer);
	else if (c == '\'' || c == '"')
		lexer->token = lex_string(lexer);
	else
		lexer->token = lex_operator(lexer);
	return lexer->token;
}
