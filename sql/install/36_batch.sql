-- vectorcoll.knn_batch: the nearest rows of many queries in one call; vectorcoll.scan_stats: what scans took.
CREATE FUNCTION vectorcoll._knn_batch_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'vc_knn_batch_support' LANGUAGE C STRICT;

CREATE FUNCTION vectorcoll.knn_batch(relation regclass, queries anyarray, k int DEFAULT 10, "column" name DEFAULT NULL,
        metric text DEFAULT NULL, OUT query_no int, OUT rank int, OUT tableoid oid, OUT ctid tid, OUT distance float8)
    RETURNS SETOF record AS 'MODULE_PATHNAME', 'vc_knn_batch' LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000
    SUPPORT vectorcoll._knn_batch_support SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION vectorcoll.knn_batch IS
    'the k rows of a table, or of a vc_hnsw or vc_ivf index, nearest to each of many queries, to be joined by ctid';

CREATE FUNCTION vectorcoll.scan_stats(OUT scans bigint, OUT pages bigint, OUT distances bigint, OUT last_index regclass,
        OUT last_searches bigint, OUT last_pages bigint, OUT last_distances bigint, OUT last_workers bigint) RETURNS record
    AS 'MODULE_PATHNAME', 'vc_scan_stats' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION vectorcoll.scan_stats IS
    'index pages visited and exact distances computed by this session, and by its vc_hnsw or vc_ivf scan that ended last';
