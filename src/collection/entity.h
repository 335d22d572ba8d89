/*
 * entity.h
 *		Rows on their way out: the select list that output_fields asks for, and the jsonb object made of it.
 */
#ifndef VC_ENTITY_H
#define VC_ENTITY_H

#include "statement.h"

#include "executor/tuptable.h"
#include "utils/array.h"
#include "utils/jsonb.h"

typedef struct VcEntity
{
	const VcCollection *coll;
	int nfields;
	const VcField **fields; /* the columns selected, in this order */
	bool *as_json;          /* selected through to_jsonb */
	bool meta;              /* column "$meta" selected after them */
	bool all_keys;          /* of "$meta"; else only those named */
	int nkeys;
	char **keys;
} VcEntity;

/*
 * What output_fields asks for: NULL for every field but vectors, with the keys of the dynamic field; "*" for vectors
 * too; a name for a field or a key of the dynamic field; "$meta" for all its keys. Raises VC120 for a name that is
 * neither.
 */
extern VcEntity *vc_entity_plan(const VcCollection *coll, ArrayType *output_fields);

/* Appends ", t.column" for each column the entity needs. */
extern void vc_entity_append_columns(VcEntity *entity, StringInfo sql);

/* The entity of a row whose entity columns begin at attribute `first` (from 0) of the slot. */
extern Jsonb *vc_entity_build(VcEntity *entity, TupleTableSlot *slot, int first);

/* A value of any type a field may have, pushed as value or element. */
extern void vc_entity_push(JsonbParseState **state, JsonbIteratorToken token, Oid typid, Datum value, bool isnull);

/* The text of a primary key. */
extern text *vc_entity_id(Oid typid, Datum value);

#endif /* VC_ENTITY_H */
