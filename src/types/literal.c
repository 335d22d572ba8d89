/*
 * literal.c
 *		The text format that vector and halfvec share. See literal.h.
 */
#include "types/literal.h"

#include "mb/pg_wchar.h"
#include "types/check.h"

/*
 * How many bytes of the text are commas. Counted in bytes a block at a time, which the compiler turns into vector
 * instructions: a pass over the text costs a few per cent of parsing it and saves growing the result.
 */
static Size
count_commas(const char *p, const char *end)
{
	Size total = 0;

	while (p < end)
	{
		Size n = Min((Size) (end - p), 255);
		uint8 commas = 0;

		for (Size i = 0; i < n; i++)
			commas += p[i] == ',';
		total += commas;
		p += n;
	}
	return total;
}

static const char *
skip_space(const char *p)
{
	while (vc_is_space(*p))
		p++;
	return p;
}

/* Does the word start at p, whatever its case and sign? */
static bool
starts_with_word(const char *p, const char *word)
{
	if (*p == '-' || *p == '+')
		p++;
	return pg_strncasecmp(p, word, strlen(word)) == 0;
}

/* Counted in characters from one, as the client sees the text. */
static int
position_of(const VcLiteral *literal, const char *p)
{
	return pg_mbstrlen_with_len(literal->text, p - literal->text) + 1;
}

bool
vc_literal_open(VcLiteral *literal, const char *text, const char *type_name, Node *escontext)
{
	const char *p = skip_space(text);

	literal->type_name = type_name;
	literal->text = text;
	literal->end = p + strlen(p);
	literal->escontext = escontext;

	if (*p != '[')
		vc_ereturn(escontext, false,
				   (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					errmsg("invalid input syntax for type %s: \"%s\"", type_name, text),
					errdetail("Vector contents must start with \"[\".")));
	p++;
	literal->elements = p;

	p = skip_space(p);
	if (*p == ']')
		return vc_check_dim(type_name, 0, VC_MAX_DIM, escontext);

	literal->capacity = 1 + (int) Min(count_commas(p, literal->end), VC_MAX_DIM);
	return vc_check_dim(type_name, literal->capacity, VC_MAX_DIM, escontext);
}

bool
vc_literal_close(const VcLiteral *literal, VcDecimalEnd why, const char *stop)
{
	const char *type_name = literal->type_name;

	if (likely(why == VC_DECIMAL_END_LIST && *stop == ']'))
	{
		if (*skip_space(stop + 1) == '\0')
			return true;
		vc_ereturn(literal->escontext, false,
				   (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					errmsg("invalid input syntax for type %s: \"%s\"", type_name, literal->text),
					errdetail("Junk after closing bracket.")));
	}

	if (why == VC_DECIMAL_END_RANGE)
	{
		int length = strcspn(stop, ",] \t\n\v\f\r");

		vc_ereturn(literal->escontext, false,
				   (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					errmsg("\"%.*s\" is out of range for type %s", length, stop, type_name)));
	}

	if (why == VC_DECIMAL_END_NOT_NUMBER && starts_with_word(stop, "nan"))
		vc_ereturn(literal->escontext, false,
				   (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("NaN not allowed in %s", type_name)));
	if (why == VC_DECIMAL_END_NOT_NUMBER && starts_with_word(stop, "inf"))
		vc_ereturn(literal->escontext, false,
				   (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					errmsg("infinite value not allowed in %s", type_name)));

	vc_ereturn(literal->escontext, false,
			   (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				errmsg("invalid input syntax for type %s: \"%s\"", type_name, literal->text),
				why == VC_DECIMAL_END_NOT_NUMBER
					? errdetail("Expected a number at character %d.", position_of(literal, stop))
					: errdetail("Expected \",\" or \"]\" at character %d.", position_of(literal, stop))));
}
