-- vc_ivf: inverted lists with one-bit codes. Operator classes carry pgvector's names, so DDL written for ivfflat works
-- with USING vc_ivf.
CREATE FUNCTION vectorcoll.ivf_handler(internal) RETURNS index_am_handler
    AS 'MODULE_PATHNAME', 'vc_ivf_handler' LANGUAGE C;
CREATE ACCESS METHOD vc_ivf TYPE INDEX HANDLER vectorcoll.ivf_handler;
COMMENT ON ACCESS METHOD vc_ivf IS 'inverted-list index with quantised vectors for nearest-neighbour search';

CREATE OPERATOR CLASS vector_l2_ops DEFAULT FOR TYPE vector USING vc_ivf AS
    OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 vectorcoll.metric_vector_l2(internal);
CREATE OPERATOR CLASS vector_ip_ops FOR TYPE vector USING vc_ivf AS
    OPERATOR 1 <#> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 vectorcoll.metric_vector_ip(internal);
CREATE OPERATOR CLASS vector_cosine_ops FOR TYPE vector USING vc_ivf AS
    OPERATOR 1 <=> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 vectorcoll.metric_vector_cosine(internal);

CREATE OPERATOR CLASS halfvec_l2_ops FOR TYPE halfvec USING vc_ivf AS
    OPERATOR 1 <-> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 vectorcoll.metric_halfvec_l2(internal);
CREATE OPERATOR CLASS halfvec_ip_ops FOR TYPE halfvec USING vc_ivf AS
    OPERATOR 1 <#> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 vectorcoll.metric_halfvec_ip(internal);
CREATE OPERATOR CLASS halfvec_cosine_ops FOR TYPE halfvec USING vc_ivf AS
    OPERATOR 1 <=> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 vectorcoll.metric_halfvec_cosine(internal);

CREATE OPERATOR CLASS bit_hamming_ops FOR TYPE bit USING vc_ivf AS
    OPERATOR 1 <~> (bit, bit) FOR ORDER BY float_ops,
    FUNCTION 1 vectorcoll.metric_bit_hamming(internal);

CREATE FUNCTION vectorcoll.ivf_check(index regclass, heapallindexed boolean DEFAULT false) RETURNS void
    AS 'MODULE_PATHNAME', 'vc_ivf_check' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION vectorcoll.ivf_check IS
    'raise an error unless everything in a vc_ivf index is as it should be; optionally that all rows of the table are in it';

CREATE FUNCTION vectorcoll.ivf_stats(index regclass, OUT rows bigint, OUT lists integer, OUT trained_on bigint,
        OUT built_rows bigint, OUT pages bigint, OUT free_pages bigint, OUT list_sizes bigint[], OUT imbalance float8,
        OUT free_share float8, OUT tail_share float8, OUT dead_share float8, OUT mean_error float8, OUT error_growth float8,
        OUT advice text) RETURNS record
    AS 'MODULE_PATHNAME', 'vc_ivf_stats' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vectorcoll.ivf_stats IS 'how the lists of a vc_ivf index look, and whether a REINDEX would pay';
