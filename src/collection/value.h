/*
 * value.h
 *		Values on their way in and out: JSON to a column's type with every check a field's declaration asks for, and a
 *		row's columns to the jsonb entity that reads return.
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

#endif /* VC_VALUE_H */
