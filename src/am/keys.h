/*
 * keys.h
 *		Key columns: what conditions are put on inside an index, besides the vector that it is searched by.
 *
 * All columns of a multicolumn index but the first are keys. A key is kept as an integer whose order is that of the
 *type: numbers and times by their value, floating point by a map of their bits, and, where an operator class has a hash
 *function (support function 2), as the hash of the value, which serves equality alone and is rechecked by the executor,
 *because two values may share it. The hash function gets the column's collation, so that what is equal under a
 *nondeterministic collation has the same hash.
 *
 * On disk keys lie in key blocks: those of up to `capacity` rows, column by column, so that a condition is tested on
 *many rows by one loop. A column is a bit for each row, set where the key is null, and, further on in the block, the
 *values in as many bytes as the type needs.
 *
 * A scan compiles its conditions to a filter: for each column with any, a set of ranges, or that it be null.
 */
#ifndef VC_KEYS_H
#define VC_KEYS_H

#include "vectorcoll.h"

#include "access/skey.h"
#include "utils/rel.h"

#define VC_KEY_HASH_PROC 2 /* support function number */
#define VC_KEYS_MAX (INDEX_MAX_KEYS - 1)
#define VC_KEYS_MAX_CAPACITY 1400 /* rows of a key block */

typedef struct VcKeyColumn
{
	bool   hashed;
	uint8  width; /* bytes of a value: 1, 2, 4 or 8 */
	uint32 nulls; /* offsets in a key block */
	uint32 values;
} VcKeyColumn;

/* The key columns of an index, and where they lie in blocks of one capacity. */
typedef struct VcKeyLayout
{
	int			columns;
	uint32		capacity;
	Size		bytes; /* of a block, a multiple of 8 */
	VcKeyColumn column[VC_KEYS_MAX];
} VcKeyLayout;

/* The keys of one row. */
typedef struct VcKeyRow
{
	uint32 nulls; /* a bit for each column */
	int64  value[VC_KEYS_MAX];
} VcKeyRow;

/*
 * The layout of an index's keys in blocks of `capacity` rows; columns = 0 where it has none. Raises 0A000 for an index
 * whose first column is not of a type with distances, or whose others cannot be keys.
 */
extern void vc_keys_layout(VcKeyLayout *layout, Relation index, uint32 capacity);

/* The most rows whose keys, and `row_bytes` more for each, fit into `bytes`. */
extern uint32 vc_keys_capacity(Relation index, Size bytes, Size row_bytes);

/* Whether values of a type are kept as they are. */
extern bool vc_keys_can_hold(Oid type);

/* The keys of a row, given what an access method is given to insert: values[0] is the vector. */
extern void vc_keys_row(const VcKeyLayout *layout, Relation index, const Datum *values, const bool *isnull,
						VcKeyRow *row);
extern bool vc_keys_equal(const VcKeyLayout *layout, const VcKeyRow *a, const VcKeyRow *b);

/* Rows of a key block. */
extern void vc_keys_put(const VcKeyLayout *layout, void *block, uint32 slot, const VcKeyRow *row);
extern void vc_keys_get(const VcKeyLayout *layout, const void *block, uint32 slot, VcKeyRow *row);

typedef struct VcKeyRange
{
	int64 low; /* both included */
	int64 high;
} VcKeyRange;

typedef struct VcKeyTest
{
	int			column;
	bool		wants_null;
	int			nranges; /* in order and apart from each other */
	VcKeyRange *ranges;
} VcKeyTest;

typedef struct VcKeyFilter
{
	bool	  never;   /* no row can pass */
	bool	  recheck; /* what passes may still fail */
	int		  ntests;
	VcKeyTest tests[VC_KEYS_MAX];
} VcKeyFilter;

/* The conditions of a scan, compiled into the current context; null where all rows pass. */
extern VcKeyFilter *vc_keys_filter(const VcKeyLayout *layout, Relation index, const ScanKeyData *keys, int nkeys);

/* Whether a row of a block passes. */
extern bool vc_keys_pass(const VcKeyFilter *filter, const VcKeyLayout *layout, const void *block, uint32 slot);

/* The same for the first n rows: pass[i] is 1 or 0. */
extern void vc_keys_pass_all(const VcKeyFilter *filter, const VcKeyLayout *layout, const void *block, uint32 n,
							 uint8 *pass);

#endif /* VC_KEYS_H */
