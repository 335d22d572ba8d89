/*
 * keys.c
 *		See keys.h.
 */
#include "am/keys.h"

#include <math.h>

#include "access/genam.h"
#include "access/stratnum.h"
#include "am/metric.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

/* ---- columns ---- */

/* Bytes of a key of a type that is kept by its value; 0 for other types. */
static uint8
width_of(Oid type)
{
	switch (type)
	{
		case BOOLOID:
			return 1;
		case INT2OID:
			return 2;
		case INT4OID:
		case DATEOID:
			return 4;
		case INT8OID:
		case FLOAT4OID:
		case FLOAT8OID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return 8;
		default:
			return 0;
	}
}

bool
vc_keys_can_hold(Oid type)
{
	return width_of(type) > 0;
}

static void
describe_column(VcKeyColumn *column, Relation index, int attno)
{
	Oid type = index->rd_opcintype[attno - 1];

	column->hashed = OidIsValid(index_getprocid(index, attno, VC_KEY_HASH_PROC));
	column->width = column->hashed ? sizeof(int64) : width_of(type);
	if (column->width == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("column %d of index \"%s\" cannot be a key column", attno, RelationGetRelationName(index)),
				 errdetail("Its type is %s.", format_type_be(type)),
				 errhint("An index is searched by the distance of its first column; the others are for conditions on "
						 "numbers, times, texts and the like.")));
}

/* Where everything lies: first the bits that tell nulls, then the values. Returns the bytes of a block. */
static Size
place_columns(VcKeyLayout *layout)
{
	Size at = 0;

	for (int i = 0; i < layout->columns; i++)
	{
		layout->column[i].nulls = at;
		at += (layout->capacity + 7) / 8;
	}
	/* Wide ones first, so that each is aligned once the first is. */
	for (uint8 width = sizeof(int64); width > 0; width /= 2)
		for (int i = 0; i < layout->columns; i++)
			if (layout->column[i].width == width)
			{
				at = TYPEALIGN(width, at);
				layout->column[i].values = at;
				at += (Size) width * layout->capacity;
			}
	return TYPEALIGN(sizeof(int64), at);
}

void
vc_keys_layout(VcKeyLayout *layout, Relation index, uint32 capacity)
{
	memset(layout, 0, sizeof(*layout));
	if (!OidIsValid(index_getprocid(index, 1, VC_METRIC_PROC)))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("first column of index \"%s\" cannot be searched by distance", RelationGetRelationName(index)),
				 errdetail("Its type is %s.", format_type_be(index->rd_opcintype[0])),
				 errhint("Put the vector first, and columns for conditions after it.")));
	layout->columns = IndexRelationGetNumberOfKeyAttributes(index) - 1;
	layout->capacity = capacity;
	for (int i = 0; i < layout->columns; i++)
		describe_column(&layout->column[i], index, i + 2);
	if (layout->columns > 0)
		layout->bytes = place_columns(layout);
}

uint32
vc_keys_capacity(Relation index, Size bytes, Size row_bytes)
{
	VcKeyLayout layout;
	Size		row_bits;

	vc_keys_layout(&layout, index, 1);
	row_bits = row_bytes * 8;
	for (int i = 0; i < layout.columns; i++)
		row_bits += 1 + layout.column[i].width * 8;
	/* A little less than the bits would allow, because columns are aligned. */
	layout.capacity = Min(bytes * 8 / row_bits, VC_KEYS_MAX_CAPACITY);
	while (layout.columns > 0 && layout.capacity > 0 && place_columns(&layout) + layout.capacity * row_bytes > bytes)
		layout.capacity--;
	return layout.capacity;
}

/* ---- values ---- */

/* An integer that orders as PostgreSQL orders floating-point numbers: -0 equals 0, NaN equals itself and is the
 * largest. */
static int64
key_of_float(double x)
{
	int64 bits;

	if (isnan(x))
		return PG_INT64_MAX;
	if (x == 0)
		return 0;
	memcpy(&bits, &x, sizeof(bits));
	return bits < 0 ? PG_INT64_MIN - bits : bits;
}

static int64
key_of_datum(Datum value, Oid type)
{
	switch (type)
	{
		case BOOLOID:
			return DatumGetBool(value);
		case INT2OID:
			return DatumGetInt16(value);
		case INT4OID:
			return DatumGetInt32(value);
		case INT8OID:
			return DatumGetInt64(value);
		case DATEOID:
			return DatumGetDateADT(value);
		case TIMESTAMPOID:
			return DatumGetTimestamp(value);
		case TIMESTAMPTZOID:
			return DatumGetTimestampTz(value);
		case FLOAT4OID:
			return key_of_float(DatumGetFloat4(value));
		case FLOAT8OID:
			return key_of_float(DatumGetFloat8(value));
		default:
			elog(ERROR, "type %s cannot be compared with a key", format_type_be(type));
	}
}

/* The key of a value, or of a constant that a column is compared with. */
static int64
key_of(const VcKeyColumn *column, Relation index, int attno, Datum value, Oid type)
{
	if (column->hashed)
		return DatumGetInt64(FunctionCall2Coll(index_getprocinfo(index, attno, VC_KEY_HASH_PROC),
											   index->rd_indcollation[attno - 1], value, Int64GetDatum(0)));
	return key_of_datum(value, type);
}

void
vc_keys_row(const VcKeyLayout *layout, Relation index, const Datum *values, const bool *isnull, VcKeyRow *row)
{
	row->nulls = 0;
	for (int i = 0; i < layout->columns; i++)
	{
		row->value[i] = 0;
		if (isnull[i + 1])
			row->nulls |= (uint32) 1 << i;
		else
			row->value[i] = key_of(&layout->column[i], index, i + 2, values[i + 1], index->rd_opcintype[i + 1]);
	}
}

bool
vc_keys_equal(const VcKeyLayout *layout, const VcKeyRow *a, const VcKeyRow *b)
{
	return a->nulls == b->nulls && memcmp(a->value, b->value, sizeof(int64) * layout->columns) == 0;
}

static inline bool
is_null(const VcKeyColumn *column, const void *block, uint32 slot)
{
	return (((const uint8 *) block + column->nulls)[slot / 8] >> slot % 8) & 1;
}

static inline int64
load(const VcKeyColumn *column, const void *block, uint32 slot)
{
	const char *at = (const char *) block + column->values + (Size) slot * column->width;
	int16		two;
	int32		four;
	int64		eight;

	/* Copied, because not every block is aligned. */
	switch (column->width)
	{
		case 1:
			return *(const int8 *) at;
		case 2:
			memcpy(&two, at, sizeof(two));
			return two;
		case 4:
			memcpy(&four, at, sizeof(four));
			return four;
		default:
			memcpy(&eight, at, sizeof(eight));
			return eight;
	}
}

void
vc_keys_put(const VcKeyLayout *layout, void *block, uint32 slot, const VcKeyRow *row)
{
	Assert(slot < layout->capacity);
	for (int i = 0; i < layout->columns; i++)
	{
		const VcKeyColumn *column = &layout->column[i];
		char			  *at = (char *) block + column->values + (Size) slot * column->width;
		uint8			  *nulls = (uint8 *) block + column->nulls + slot / 8;
		uint8			   bit = 1 << slot % 8;
		int16			   two = row->value[i];
		int32			   four = row->value[i];

		*nulls = (row->nulls >> i) & 1 ? *nulls | bit : *nulls & ~bit;
		switch (column->width)
		{
			case 1:
				*(int8 *) at = row->value[i];
				break;
			case 2:
				memcpy(at, &two, sizeof(two));
				break;
			case 4:
				memcpy(at, &four, sizeof(four));
				break;
			default:
				memcpy(at, &row->value[i], sizeof(int64));
				break;
		}
	}
}

void
vc_keys_get(const VcKeyLayout *layout, const void *block, uint32 slot, VcKeyRow *row)
{
	Assert(slot < layout->capacity);
	row->nulls = 0;
	for (int i = 0; i < layout->columns; i++)
	{
		row->nulls |= (uint32) is_null(&layout->column[i], block, slot) << i;
		row->value[i] = load(&layout->column[i], block, slot);
	}
}

/* ---- conditions ---- */

/* What `column OP constant` asks for; false where nothing can be so. */
static bool
range_of(StrategyNumber strategy, int64 key, VcKeyRange *range)
{
	*range = (VcKeyRange){PG_INT64_MIN, PG_INT64_MAX};
	switch (strategy)
	{
		case BTLessStrategyNumber:
			if (key == PG_INT64_MIN)
				return false;
			range->high = key - 1;
			return true;
		case BTLessEqualStrategyNumber:
			range->high = key;
			return true;
		case BTEqualStrategyNumber:
			*range = (VcKeyRange){key, key};
			return true;
		case BTGreaterEqualStrategyNumber:
			range->low = key;
			return true;
		case BTGreaterStrategyNumber:
			if (key == PG_INT64_MAX)
				return false;
			range->low = key + 1;
			return true;
		default:
			elog(ERROR, "unknown strategy number %d of a key column", strategy);
	}
}

static int
compare_ranges(const void *a, const void *b)
{
	const VcKeyRange *x = a;
	const VcKeyRange *y = b;

	return x->low < y->low ? -1 : x->low > y->low;
}

/* Put ranges in order, and make one of those that meet. Returns how many are left. */
static int
unite(VcKeyRange *ranges, int n)
{
	int kept = 0;

	qsort(ranges, n, sizeof(VcKeyRange), compare_ranges);
	for (int i = 0; i < n; i++)
	{
		if (kept > 0 && ranges[i].low <= ranges[kept - 1].high)
			ranges[kept - 1].high = Max(ranges[kept - 1].high, ranges[i].high);
		else
			ranges[kept++] = ranges[i];
	}
	return kept;
}

/* What a condition asks of its column, as ranges. */
static VcKeyRange *
ranges_of(const VcKeyColumn *column, Relation index, const ScanKeyData *key, int *nranges)
{
	Oid			type = OidIsValid(key->sk_subtype) ? key->sk_subtype : index->rd_opcintype[key->sk_attno - 1];
	VcKeyRange *ranges;

	*nranges = 0;
	if (key->sk_flags & SK_SEARCHARRAY)
	{
		ArrayType *array = DatumGetArrayTypeP(key->sk_argument);
		Datum	  *elements;
		bool	  *nulls;
		int		   n;
		int16	   length;
		bool	   by_value;
		char	   align;

		get_typlenbyvalalign(ARR_ELEMTYPE(array), &length, &by_value, &align);
		deconstruct_array(array, ARR_ELEMTYPE(array), length, by_value, align, &elements, &nulls, &n);
		ranges = palloc(sizeof(VcKeyRange) * Max(n, 1));
		for (int i = 0; i < n; i++)
			if (!nulls[i] &&
				range_of(key->sk_strategy, key_of(column, index, key->sk_attno, elements[i], type), &ranges[*nranges]))
				(*nranges)++;
		*nranges = unite(ranges, *nranges);
	}
	else
	{
		ranges = palloc(sizeof(VcKeyRange));
		*nranges = range_of(key->sk_strategy, key_of(column, index, key->sk_attno, key->sk_argument, type), ranges);
	}
	return ranges;
}

/* Leave of a test's ranges what is in the others, too. */
static void
intersect(VcKeyTest *test, const VcKeyRange *others, int nothers)
{
	VcKeyRange *both = palloc(sizeof(VcKeyRange) * (test->nranges + nothers + 1));
	int			n = 0;

	for (int i = 0, j = 0; i < test->nranges && j < nothers;)
	{
		int64 low = Max(test->ranges[i].low, others[j].low);
		int64 high = Min(test->ranges[i].high, others[j].high);

		if (low <= high)
			both[n++] = (VcKeyRange){low, high};
		if (test->ranges[i].high < others[j].high)
			i++;
		else
			j++;
	}
	test->ranges = both;
	test->nranges = n;
}

/* The smallest and the largest value of a column. */
static VcKeyRange
whole_range(const VcKeyColumn *column)
{
	switch (column->width)
	{
		case 1:
			return (VcKeyRange){PG_INT8_MIN, PG_INT8_MAX};
		case 2:
			return (VcKeyRange){PG_INT16_MIN, PG_INT16_MAX};
		case 4:
			return (VcKeyRange){PG_INT32_MIN, PG_INT32_MAX};
		default:
			return (VcKeyRange){PG_INT64_MIN, PG_INT64_MAX};
	}
}

VcKeyFilter *
vc_keys_filter(const VcKeyLayout *layout, Relation index, const ScanKeyData *keys, int nkeys)
{
	VcKeyFilter *filter;

	if (nkeys == 0)
		return NULL;
	filter = palloc0(sizeof(VcKeyFilter));
	for (int i = 0; i < nkeys; i++)
	{
		const ScanKeyData *key = &keys[i];
		const VcKeyColumn *column;
		VcKeyTest		  *test = filter->tests;
		VcKeyRange		   whole;

		/* A vector that is null is not in the index. */
		if (key->sk_attno == 1)
		{
			if (!(key->sk_flags & SK_SEARCHNOTNULL))
				filter->never = true;
			continue;
		}
		column = &layout->column[key->sk_attno - 2];
		whole = whole_range(column);
		while (test < filter->tests + filter->ntests && test->column != key->sk_attno - 2)
			test++;
		if (test == filter->tests + filter->ntests)
		{
			filter->ntests++;
			test->column = key->sk_attno - 2;
			if (key->sk_flags & SK_SEARCHNULL)
			{
				test->wants_null = true;
				continue;
			}
			test->ranges = palloc(sizeof(VcKeyRange));
			test->ranges[0] = whole;
			test->nranges = 1;
		}
		if (key->sk_flags & SK_SEARCHNULL)
			filter->never |= !test->wants_null;
		else if (test->wants_null)
			filter->never = true;
		else if (key->sk_flags & SK_SEARCHNOTNULL)
			continue;
		else if (key->sk_flags & SK_ISNULL)
			filter->never = true; /* comparing with null */
		else
		{
			int			n;
			VcKeyRange *ranges = ranges_of(column, index, key, &n);

			intersect(test, ranges, n);
			filter->recheck |= column->hashed;
			filter->never |= test->nranges == 0;
		}
	}
	return filter->never || filter->ntests > 0 ? filter : NULL;
}

/* ---- tests ---- */

static inline bool
in_ranges(const VcKeyTest *test, int64 key)
{
	int low = 0;
	int high = test->nranges;

	/* The last range that does not begin after the key. */
	while (high - low > 1)
	{
		int middle = (low + high) / 2;

		if (test->ranges[middle].low <= key)
			low = middle;
		else
			high = middle;
	}
	return key >= test->ranges[low].low && key <= test->ranges[low].high;
}

bool
vc_keys_pass(const VcKeyFilter *filter, const VcKeyLayout *layout, const void *block, uint32 slot)
{
	for (int i = 0; i < filter->ntests; i++)
	{
		const VcKeyTest	  *test = &filter->tests[i];
		const VcKeyColumn *column = &layout->column[test->column];

		if (is_null(column, block, slot) != test->wants_null ||
			(!test->wants_null && !in_ranges(test, load(column, block, slot))))
			return false;
	}
	return true;
}

/* Which values of a column lie in a range; written so that compilers compare several at once. */
#define HITS_OF(type, unsigned_type)                                                                                   \
	static void hits_##type(const type *values, uint32 n, const VcKeyRange *range, uint8 *hit)                         \
	{                                                                                                                  \
		unsigned_type low = (unsigned_type) range->low;                                                                \
		unsigned_type width = (unsigned_type) range->high - low;                                                       \
                                                                                                                       \
		for (uint32 i = 0; i < n; i++)                                                                                 \
			hit[i] |= (unsigned_type) ((unsigned_type) values[i] - low) <= width;                                      \
	}

HITS_OF(int8, uint8)
HITS_OF(int16, uint16)
HITS_OF(int32, uint32)
HITS_OF(int64, uint64)

/* Up to so many ranges are tested one after another, which costs less than searching among them for each value. */
#define FEW_RANGES 8

static void
column_hits(const VcKeyTest *test, const VcKeyColumn *column, const void *block, uint32 n, uint8 *hit)
{
	const void *values = (const char *) block + column->values;

	memset(hit, 0, n);
	if (test->nranges > FEW_RANGES)
	{
		for (uint32 i = 0; i < n; i++)
			hit[i] = in_ranges(test, load(column, block, i));
		return;
	}
	for (int i = 0; i < test->nranges; i++)
		switch (column->width)
		{
			case 1:
				hits_int8(values, n, &test->ranges[i], hit);
				break;
			case 2:
				hits_int16(values, n, &test->ranges[i], hit);
				break;
			case 4:
				hits_int32(values, n, &test->ranges[i], hit);
				break;
			default:
				hits_int64(values, n, &test->ranges[i], hit);
				break;
		}
}

void
vc_keys_pass_all(const VcKeyFilter *filter, const VcKeyLayout *layout, const void *block, uint32 n, uint8 *pass)
{
	Assert(n <= layout->capacity && n <= VC_KEYS_MAX_CAPACITY);
	memset(pass, 1, n);
	for (int i = 0; i < filter->ntests; i++)
	{
		const VcKeyTest	  *test = &filter->tests[i];
		const VcKeyColumn *column = &layout->column[test->column];
		const uint8		  *nulls = (const uint8 *) block + column->nulls;
		uint8			   hit[VC_KEYS_MAX_CAPACITY];

		if (test->wants_null)
		{
			for (uint32 j = 0; j < n; j++)
				pass[j] &= (nulls[j / 8] >> j % 8) & 1;
			continue;
		}
		column_hits(test, column, block, n, hit);
		for (uint32 j = 0; j < n; j++)
			pass[j] &= hit[j];
		for (uint32 j = 0; j < n; j += 8)
			if (nulls[j / 8] != 0)
				for (uint32 k = j; k < Min(n, j + 8); k++)
					pass[k] &= ~(nulls[j / 8] >> k % 8) & 1;
	}
}
