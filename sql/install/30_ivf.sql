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
