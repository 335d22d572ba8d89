/*
 * value.h
 *		Values on their way in: JSON to a column's type, with every check the field's declaration asks for.
 */
#ifndef VC_VALUE_H
#define VC_VALUE_H

#include "collection.h"

#include "utils/jsonb.h"

/*
 * Text through the input function of a type whose input function touches nothing but its argument (timestamps, uuid,
 * numbers, vectors). NULL and *value on success, else what is wrong with the text.
 */
extern char *vc_value_input(Oid typid, const char *text, int32 typmod, Datum *value);

/*
 * A field's value from JSON, not null. Raises VC110 when it is of another type, too long, out of range or of the wrong
 * dimension; row (from 1) says in the message which one, 0 where there is only one.
 */
extern Datum vc_value_from_json(const VcField *field, JsonbValue *value, int row);

/* Raises VC110 for a value of a field. */
extern void vc_value_error(const VcField *field, int row, const char *hint, const char *format, ...)
	__attribute__((format(printf, 4, 5), noreturn));

/* A number as text that is a whole number ("3", "3.00") to an integer; false when it is not or too large. */
extern bool vc_value_integer(const char *number, int64 *value);

/* An id given as text to a datum of the primary key's type; raises VC110. */
extern Datum vc_value_id(const VcField *primary, const char *id);

#endif /* VC_VALUE_H */
