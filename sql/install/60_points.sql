-- 60_points.sql: writing and reading points. src/collection/points.h has the C side.
--
-- All of them run as the caller. They have no SET clause, so that a collection's name is looked up along the caller's
-- search_path; every name in the statements they run is qualified. Writes return the number of rows they wrote.

-- A list of ids of whatever type: text inside, and every array an id may come in casts to it. One parameter type serves
-- '{1,2}', ARRAY[1,2] and ARRAY['a','b'] alike; overloads would make the plain literal ambiguous.
CREATE TYPE vectorcoll.ids;
CREATE FUNCTION vectorcoll.ids_in(cstring) RETURNS vectorcoll.ids AS 'MODULE_PATHNAME', 'vc_ids_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vectorcoll.ids_out(vectorcoll.ids) RETURNS cstring AS 'array_out' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vectorcoll.ids_recv(internal) RETURNS vectorcoll.ids AS 'MODULE_PATHNAME', 'vc_ids_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vectorcoll.ids_send(vectorcoll.ids) RETURNS bytea AS 'array_send' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE TYPE vectorcoll.ids (INPUT = vectorcoll.ids_in, OUTPUT = vectorcoll.ids_out, RECEIVE = vectorcoll.ids_recv, SEND = vectorcoll.ids_send,
                            STORAGE = extended);
CREATE CAST (text[] AS vectorcoll.ids) WITH INOUT AS IMPLICIT;
CREATE CAST (varchar[] AS vectorcoll.ids) WITH INOUT AS IMPLICIT;
CREATE CAST (bigint[] AS vectorcoll.ids) WITH INOUT AS IMPLICIT;
CREATE CAST (int[] AS vectorcoll.ids) WITH INOUT AS IMPLICIT;
CREATE CAST (smallint[] AS vectorcoll.ids) WITH INOUT AS IMPLICIT;
CREATE CAST (uuid[] AS vectorcoll.ids) WITH INOUT AS IMPLICIT;

---------------------------------------------------------------------------------------------------------- writes ----

-- data: one object or an array of them. Keys that are no field go to the dynamic field.
CREATE FUNCTION vectorcoll.insert(name text, data jsonb, partition_name text = NULL) RETURNS bigint
    AS 'MODULE_PATHNAME', 'vc_insert' LANGUAGE C VOLATILE;

-- The same, returning the ids in the order of data: for keys the collection makes itself.
CREATE FUNCTION vectorcoll.insert_returning(name text, data jsonb, partition_name text = NULL) RETURNS SETOF text
    AS 'MODULE_PATHNAME', 'vc_insert_returning' LANGUAGE C VOLATILE;

-- Typed arrays, one element per row, for speed. payload may be null but has no default: insert('c', '[...]', 'p') must mean a partition.
CREATE FUNCTION vectorcoll.insert(collection text, ids bigint[], vectors @extschema@.vector[], payload jsonb[], partition_name text = NULL)
    RETURNS bigint AS 'MODULE_PATHNAME', 'vc_insert_arrays' LANGUAGE C VOLATILE;

-- mode: upsert, insert_only (rows that exist stay as they are), update_only (rows that do not exist are left out).
-- partial_update: fields that are not given stay as they are; keys of the dynamic field are merged.
CREATE FUNCTION vectorcoll.upsert(name text, data jsonb, mode text = 'upsert', partial_update bool = false, partition_name text = NULL)
    RETURNS bigint AS 'MODULE_PATHNAME', 'vc_upsert' LANGUAGE C VOLATILE;

-- Exactly one of ids and filter says which points, here and in the functions on payload.
CREATE FUNCTION vectorcoll.delete(name text, ids vectorcoll.ids = NULL, filter text = NULL, partition_name text = NULL, filter_params jsonb = NULL)
    RETURNS bigint AS 'MODULE_PATHNAME', 'vc_delete' LANGUAGE C VOLATILE;

-- Payload is every field but the keys and the vectors, and the keys of the dynamic field.
CREATE FUNCTION vectorcoll.set_payload(name text, payload jsonb, ids vectorcoll.ids = NULL, filter text = NULL, partition_name text = NULL,
                                       filter_params jsonb = NULL)
    RETURNS bigint AS 'MODULE_PATHNAME', 'vc_set_payload' LANGUAGE C VOLATILE;
CREATE FUNCTION vectorcoll.overwrite_payload(name text, payload jsonb, ids vectorcoll.ids = NULL, filter text = NULL,
                                             partition_name text = NULL, filter_params jsonb = NULL)
    RETURNS bigint AS 'MODULE_PATHNAME', 'vc_overwrite_payload' LANGUAGE C VOLATILE;
CREATE FUNCTION vectorcoll.delete_payload(name text, keys text[], ids vectorcoll.ids = NULL, filter text = NULL, partition_name text = NULL,
                                          filter_params jsonb = NULL)
    RETURNS bigint AS 'MODULE_PATHNAME', 'vc_delete_payload' LANGUAGE C VOLATILE;
CREATE FUNCTION vectorcoll.clear_payload(name text, ids vectorcoll.ids = NULL, filter text = NULL, partition_name text = NULL,
                                         filter_params jsonb = NULL)
    RETURNS bigint AS 'MODULE_PATHNAME', 'vc_clear_payload' LANGUAGE C VOLATILE;

----------------------------------------------------------------------------------------------------------- reads ----

-- In the order of ids. Ids that are not there are left out.
CREATE FUNCTION vectorcoll.get(name text, ids vectorcoll.ids, output_fields text[] = NULL, partition_names text[] = NULL)
    RETURNS TABLE (id text, entity jsonb)
    AS 'MODULE_PATHNAME', 'vc_get' LANGUAGE C STABLE PARALLEL RESTRICTED COST 100 ROWS 10;

-- All rows that pass the filter, by primary key; top_k null is no limit.
CREATE FUNCTION vectorcoll.query(name text, filter text = NULL, output_fields text[] = NULL, top_k int = NULL, skip int = 0,
                                 partition_names text[] = NULL, filter_params jsonb = NULL)
    RETURNS TABLE (id text, entity jsonb)
    AS 'MODULE_PATHNAME', 'vc_query' LANGUAGE C STABLE PARALLEL RESTRICTED COST 1000 ROWS 1000;

-- One page by primary key: pass the last id of a page as `after` of the next.
CREATE FUNCTION vectorcoll.scroll(name text, top_k int = 10, after text = NULL, filter text = NULL, output_fields text[] = NULL,
                                  partition_names text[] = NULL, filter_params jsonb = NULL)
    RETURNS TABLE (id text, entity jsonb)
    AS 'MODULE_PATHNAME', 'vc_scroll' LANGUAGE C STABLE PARALLEL RESTRICTED COST 100 ROWS 10;

CREATE FUNCTION vectorcoll.count(name text, filter text = NULL, partition_names text[] = NULL, filter_params jsonb = NULL) RETURNS bigint
    AS 'MODULE_PATHNAME', 'vc_count' LANGUAGE C STABLE PARALLEL RESTRICTED COST 1000;

-- The commonest values of a field or of a key of the dynamic field; of an array each element counts.
CREATE FUNCTION vectorcoll.facet(name text, key text, top_k int = 10, filter text = NULL, partition_names text[] = NULL, filter_params jsonb = NULL)
    RETURNS TABLE (value jsonb, count bigint)
    AS 'MODULE_PATHNAME', 'vc_facet' LANGUAGE C STABLE PARALLEL RESTRICTED COST 1000 ROWS 10;

-- The same for filters that are jsonb already.
CREATE FUNCTION vectorcoll.query(name text, filter jsonb, output_fields text[] = NULL, top_k int = NULL, skip int = 0,
                                 partition_names text[] = NULL, filter_params jsonb = NULL)
    RETURNS TABLE (id text, entity jsonb)
    AS 'MODULE_PATHNAME', 'vc_query' LANGUAGE C STABLE PARALLEL RESTRICTED COST 1000 ROWS 1000;
CREATE FUNCTION vectorcoll.count(name text, filter jsonb, partition_names text[] = NULL, filter_params jsonb = NULL) RETURNS bigint
    AS 'MODULE_PATHNAME', 'vc_count' LANGUAGE C STABLE PARALLEL RESTRICTED COST 1000;
