-- vc_hnsw: measuring how wide searches must be for a recall.
CREATE FUNCTION vectorcoll.hnsw_calibrate(index regclass, OUT target_recall float8, OUT ef_for_10 int, OUT ef_for_100 int)
    RETURNS SETOF record AS 'MODULE_PATHNAME', 'vc_hnsw_calibrate_index' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE ROWS 8;
COMMENT ON FUNCTION vectorcoll.hnsw_calibrate IS
    'measure anew what ef searches of a vc_hnsw index need for a recall, which vc_hnsw.target_recall goes by';
