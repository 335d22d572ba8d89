/*
 * literal.h
 *		The text format that vector and halfvec share: [1,2.5,-3e-2], white space allowed anywhere outside a number.
 *
 * Reading takes three calls: open the literal, read its elements with vc_decimal_list_*, close it with what that
 * returned. Text is only read, never written to. Faults are 22P02 for syntax, 22003 for an element beyond the type's
 * range, 22000 and 54000 for too few and too many elements; DETAIL says where.
 */
#ifndef VC_LITERAL_H
#define VC_LITERAL_H

#include "vectorcoll.h"

#include "nodes/nodes.h"
#include "types/decimal.h"

typedef struct VcLiteral
{
	const char *type_name;
	const char *text;
	const char *end;	  /* the terminating zero */
	const char *elements; /* past the opening bracket */
	int capacity;		  /* at least the number of elements; 1 to VC_MAX_DIM */
	Node *escontext;
} VcLiteral;

/* Both return false after a soft error. */
extern bool vc_literal_open(VcLiteral *literal, const char *text, const char *type_name, Node *escontext);
extern bool vc_literal_close(const VcLiteral *literal, VcDecimalEnd why, const char *stop);

#endif /* VC_LITERAL_H */
