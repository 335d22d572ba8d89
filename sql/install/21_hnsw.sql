-- vc_hnsw: the graph index. Operator classes carry pgvector's names, so DDL written for it works with USING vc_hnsw.
CREATE FUNCTION vectorcoll.hnsw_handler(internal) RETURNS index_am_handler
    AS 'MODULE_PATHNAME', 'vc_hnsw_handler' LANGUAGE C;
CREATE ACCESS METHOD vc_hnsw TYPE INDEX HANDLER vectorcoll.hnsw_handler;
COMMENT ON ACCESS METHOD vc_hnsw IS 'graph index for nearest-neighbour search';

CREATE OPERATOR CLASS vector_l2_ops DEFAULT FOR TYPE vector USING vc_hnsw AS
    OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 vectorcoll.metric_vector_l2(internal);
CREATE OPERATOR CLASS vector_ip_ops FOR TYPE vector USING vc_hnsw AS
    OPERATOR 1 <#> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 vectorcoll.metric_vector_ip(internal);
CREATE OPERATOR CLASS vector_cosine_ops FOR TYPE vector USING vc_hnsw AS
    OPERATOR 1 <=> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 vectorcoll.metric_vector_cosine(internal);
CREATE OPERATOR CLASS vector_l1_ops FOR TYPE vector USING vc_hnsw AS
    OPERATOR 1 <+> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 vectorcoll.metric_vector_l1(internal);
