/*
 * collection.h
 *		What every file of the collections room shares: the errors of class VC, name resolution, the model of a
 *		collection that inserts and searches are compiled against, and the locks and timeouts of definition changes.
 *
 * The registry is the table vectorcoll.collection_def; sql/install/50_catalog.sql documents its rows. Nothing here
 * reads it more often than once per collection, backend and definition change: models are cached by table oid and
 * dropped when the server invalidates that table's relation cache entry, which every definition change causes.
 */
#ifndef VC_COLLECTION_H
#define VC_COLLECTION_H

#include "vectorcoll.h"

#include "access/attnum.h"
#include "nodes/pg_list.h"
#include "utils/errcodes.h"

/*---------------------------------------------------------------- errors ----*/

/* ereport(ERROR, (vc_errcode(VC_E_NOT_FOUND), errmsg(...), errdetail(...), errhint(...))): SQLSTATE VCnnn. */
typedef enum VcErrorCode
{
	VC_E_GENERIC = 0,
	VC_E_NOT_FOUND = 100,		 /* collection not found */
	VC_E_NOT_LOADED = 101,		 /* collection not loaded, and vectorcoll.require_loaded is on */
	VC_E_ILLEGAL_SCHEMA = 105,
	VC_E_INVALID_PARAMETER = 110,
	VC_E_MISSING_PARAMETER = 111,
	VC_E_FIELD_NOT_FOUND = 120,
	VC_E_PARTITION_NOT_FOUND = 200,
	VC_E_INDEX_NOT_FOUND = 700,
	VC_E_ALIAS_NOT_FOUND = 704,
	VC_E_ALIAS_EXISTS = 705,
	VC_E_NAME_TAKEN = 706,		 /* name taken by another kind of object */
	VC_E_CIRCUIT_OPEN = 901,
	VC_E_LEASE_HELD = 902,
	VC_E_IN_USE = 903,
	VC_E_SCHEMA_MISMATCH = 904,
	VC_E_TIMED_OUT = 905,
	VC_E_LIMIT = 906
} VcErrorCode;

#define VC_SQLSTATE(code)                                                                                              \
	MAKE_SQLSTATE('V', 'C', (char) ('0' + (code) / 100 % 10), (char) ('0' + (code) / 10 % 10), (char) ('0' + (code) % 10))
#define vc_errcode(code) errcode(VC_SQLSTATE(code))

/*----------------------------------------------------------------- model ----*/

typedef enum VcDtype
{
	VC_DT_NONE = 0, /* unset element_type, or a column added by hand whose type has no dtype */
	VC_DT_BOOL,
	VC_DT_INT8,
	VC_DT_INT16,
	VC_DT_INT32,
	VC_DT_INT64,
	VC_DT_FLOAT,
	VC_DT_DOUBLE,
	VC_DT_VARCHAR,
	VC_DT_TEXT,
	VC_DT_JSON,
	VC_DT_ARRAY,
	VC_DT_TIMESTAMPTZ,
	VC_DT_UUID,
	VC_DT_FLOAT_VECTOR,
	VC_DT_FLOAT16_VECTOR,
	VC_DT_BINARY_VECTOR,
	VC_DT_SPARSE_FLOAT_VECTOR
} VcDtype;

#define VC_DTYPE_IS_VECTOR(dt) ((dt) >= VC_DT_FLOAT_VECTOR)

typedef enum VcMetric
{
	VC_METRIC_NONE = 0, /* not a vector field */
	VC_METRIC_L2,		/* <->  score = distance */
	VC_METRIC_IP,		/* <#>  negative inner product */
	VC_METRIC_COSINE,	/* <=> */
	VC_METRIC_L1,		/* <+> */
	VC_METRIC_HAMMING,	/* <~>  bit only */
	VC_METRIC_JACCARD	/* <%>  bit only */
} VcMetric;

typedef struct VcField
{
	NameData name;
	VcDtype dtype;
	VcDtype element_type; /* of an array */
	VcMetric metric;	  /* of a vector: the one create_index or the quick form named, else the type's default */
	AttrNumber attnum;	  /* in the collection's table; a partition may number its columns otherwise */
	Oid typid;
	int32 typmod;
	int32 dim;			/* dense vectors, else 0 */
	int32 max_length;	/* varchar, else 0 */
	int32 max_capacity; /* array, else 0 */
	bool is_primary;
	bool auto_id;
	bool is_partition_key;
	bool nullable;
	bool has_default;
} VcField;

typedef struct VcCollection
{
	Oid relid;
	Oid relnamespace;
	NameData nspname;
	NameData relname;
	char id[37];			/* the registry's uuid as text: survives rename, dump and restore */
	bool enable_dynamic;	/* column "$meta" jsonb is there */
	bool named_partitions;	/* list partitioned by column "$partition" */
	bool partitioned;		/* the table is partitioned in any way */
	bool loaded;			/* load_collection brought all of it into memory since the server started */
	int32 nfields;
	int32 primary;			/* index into fields, or -1 (an adopted table without a primary key) */
	int32 first_vector;		/* index into fields */
	VcField fields[FLEXIBLE_ARRAY_MEMBER];
} VcCollection;

/*
 * The collection a name stands for: "docs", "tenant_a.docs" or an alias of either, looked up along the current
 * search_path. C functions that SQL calls without a SET clause thereby see the caller's path. Leaves ACCESS SHARE on the
 * table, as a statement on it would, so the collection neither goes nor changes before the statement that follows.
 * Raises VC_E_NOT_FOUND, or VC_E_INVALID_PARAMETER for a malformed name, or VC_E_MISSING_PARAMETER for NULL.
 * The model stays valid until the end of the transaction.
 */
extern const VcCollection *vc_collection_by_name(const char *name);

/* The model of a table, or NULL when it is not a registered collection. An alias view's oid gives its collection's. */
extern const VcCollection *vc_collection_by_relid(Oid relid);

/* The field of that name, or NULL. */
extern const VcField *vc_collection_field(const VcCollection *coll, const char *name);

/*
 * Oid of the relation behind a name, collection or not. path: the search_path to use for an unqualified name, or NULL
 * for the current one. InvalidOid when there is none or the caller has no USAGE on its schema.
 */
extern Oid vc_name_lookup(const char *name, const char *namespace, const char *path);

/* Raises VC101 when vectorcoll.require_loaded is on and the collection has not been loaded. */
extern void vc_collection_require_loaded(const VcCollection *coll);

/* What the functions of the install script pin search_path to. */
#define VC_PINNED_PATH "pg_catalog, pg_temp"

/* Sets search_path until the level returned is given to pop; -1 when path is NULL and nothing was done. */
extern int vc_push_search_path(const char *path);
extern void vc_pop_search_path(int level);

extern VcDtype vc_dtype_from_name(const char *name); /* VC_DT_NONE when unknown */
extern const char *vc_dtype_name(VcDtype dtype);
extern VcMetric vc_metric_from_name(const char *name); /* any case; VC_METRIC_NONE when unknown */
extern const char *vc_metric_name(VcMetric metric);
extern const char *vc_metric_operator(VcMetric metric); /* "<->" ... */

/* Oid of the schema the types and operators were installed in. */
extern Oid vc_extension_schema(void);

/*--------------------------------------------------------------- catalog ----*/

/* Runs one statement as the registry's owner with search_path pinned; returns SPI's row count. Callers check the caller's rights first. */
extern uint64 vc_catalog_exec(const char *sql, int nargs, Oid *argtypes, Datum *values, const char *nulls);

/*
 * Reads the registry as its owner under the latest snapshot, whatever the transaction's isolation level: what goes into
 * a cache must be at least as new as the last invalidation that was processed.
 */
extern uint64 vc_catalog_read(const char *sql, int nargs, Oid *argtypes, Datum *values);

/* The same for a statement that writes, and must see rows newer than the transaction's snapshot. */
extern uint64 vc_catalog_write_latest(const char *sql, int nargs, Oid *argtypes, Datum *values);

/* Oid of a table in schema vectorcoll, error when it is not there. */
extern Oid vc_catalog_relid(const char *relname);

/* Raises VC100: the table went away between two steps. */
pg_noreturn extern void vc_collection_gone(void);

/* Locks a table; for who holds no other lock on one. Deadlocks of others that we only stand in line for are waited out. */
extern void vc_lock_table(Oid relid, int lockmode);

/* The same on a schema, in ACCESS SHARE as CREATE takes it, so that it is not dropped. Before any lock on a table in it. */
extern void vc_lock_schema(Oid nspoid);

/* ACCESS SHARE on the table until the transaction ends, or VC100. */
extern void vc_lock_existing(Oid relid);

/* Tells every backend, this one included, to forget what it cached about a relation. */
extern void vc_forget(Oid relid);

/* Raises 42501 unless the current user may insert, update or delete rows of the table. */
extern void vc_check_writable(Oid relid);

/* Raises 42501 unless the current user owns the relation. */
extern void vc_check_owner(Oid relid);

/* "ACCESS SHARE" and so on, as LOCK TABLE writes them. */
extern int vc_lockmode(const char *name);

/* Fills the tag of a lock of ours; kind keeps the key spaces of definitions, loads and leases apart. */
struct LOCKTAG;
extern void vc_set_locktag(struct LOCKTAG *tag, const char *kind, const char *key);

/* Takes the definition lock of "schema.name" until the end of the transaction, then catches up with invalidations. */
extern void vc_definition_lock(const char *qualified);

/*-------------------------------------------------------------- settings ----*/

extern bool vc_require_loaded;	 /* vectorcoll.require_loaded */
extern double vc_load_max_share; /* vectorcoll.load_max_share: of shared_buffers */
extern int vc_lease_seconds;	 /* vectorcoll.lease_time */


#endif /* VC_COLLECTION_H */
