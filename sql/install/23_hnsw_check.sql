-- vc_hnsw: looking into an index.
CREATE FUNCTION vectorcoll.hnsw_check(index regclass, heapallindexed boolean DEFAULT false) RETURNS void
    AS 'MODULE_PATHNAME', 'vc_hnsw_check' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION vectorcoll.hnsw_check IS
    'raise an error unless everything in a vc_hnsw index is as it should be; optionally that all rows of the table are in it';

CREATE FUNCTION vectorcoll.hnsw_stats(index regclass, OUT rows bigint, OUT nodes bigint, OUT dead bigint, OUT apart bigint,
        OUT unreachable bigint, OUT upper_nodes bigint, OUT levels integer, OUT average_links float8, OUT free_slots bigint,
        OUT pages bigint, OUT node_pages bigint, OUT tail_pages bigint, OUT tid_pages bigint, OUT unused_pages bigint,
        OUT bytes_per_row float8) RETURNS record
    AS 'MODULE_PATHNAME', 'vc_hnsw_stats' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION vectorcoll.hnsw_stats IS 'what a vc_hnsw index consists of';
