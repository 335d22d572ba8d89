/*
 * filter_lex.h, tokens of the expression language. See filter.h.
 */
#ifndef VC_FILTER_LEX_H
#define VC_FILTER_LEX_H

#include "filter.h"

typedef enum VcToken
{
	VCT_ERROR, /* the lexer's error is filled */
	VCT_END,
	VCT_NAME, /* text, length */
	VCT_INT,  /* magnitude in number; text as written */
	VCT_FLOAT,
	VCT_STRING,
	VCT_LPAREN,
	VCT_RPAREN,
	VCT_LBRACKET,
	VCT_RBRACKET,
	VCT_LBRACE,
	VCT_RBRACE,
	VCT_COMMA,
	VCT_PLUS,
	VCT_MINUS,
	VCT_STAR,
	VCT_SLASH,
	VCT_PERCENT,
	VCT_POWER,
	VCT_EQ,
	VCT_NE,
	VCT_LT,
	VCT_LE,
	VCT_GT,
	VCT_GE,
	/* words, in any case */
	VCT_AND, /* also && */
	VCT_OR,  /* also || */
	VCT_NOT,
	VCT_BANG,
	VCT_IN,
	VCT_LIKE,
	VCT_IS,
	VCT_NULL,
	VCT_TRUE,
	VCT_FALSE,
	VCT_EXISTS
} VcToken;

typedef struct VcLexer
{
	VcFilterArena *arena;
	VcFilterError *error;
	const char *input;
	size_t length;
	size_t next; /* offset of the first byte not yet read */

	/* the current token */
	VcToken token;
	size_t pos;
	const char *text; /* zero-terminated, decoded */
	size_t text_length;
	uint64_t number;
} VcLexer;

/* Reads the next token into the lexer and returns it. */
extern VcToken vc_lex(VcLexer *lexer);

#endif /* VC_FILTER_LEX_H */
