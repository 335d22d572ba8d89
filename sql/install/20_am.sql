-- Support functions of operator classes: each names an element type and a metric (src/am/metric.h). They take and return
-- internal, so they cannot be called from SQL. Both access methods use them.
CREATE FUNCTION vectorcoll.metric_vector_l2(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'vc_metric_l2_f32' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION vectorcoll.metric_vector_ip(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'vc_metric_ip_f32' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION vectorcoll.metric_vector_cosine(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'vc_metric_cosine_f32' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION vectorcoll.metric_vector_l1(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'vc_metric_l1_f32' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION vectorcoll.metric_halfvec_l2(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'vc_metric_l2_f16' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION vectorcoll.metric_halfvec_ip(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'vc_metric_ip_f16' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION vectorcoll.metric_halfvec_cosine(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'vc_metric_cosine_f16' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION vectorcoll.metric_halfvec_l1(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'vc_metric_l1_f16' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION vectorcoll.metric_bit_hamming(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'vc_metric_hamming_bit' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION vectorcoll.metric_bit_jaccard(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'vc_metric_jaccard_bit' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION vectorcoll.metric_sparsevec_l2(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'vc_metric_l2_sparse' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION vectorcoll.metric_sparsevec_ip(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'vc_metric_ip_sparse' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION vectorcoll.metric_sparsevec_cosine(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'vc_metric_cosine_sparse' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION vectorcoll.metric_sparsevec_l1(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'vc_metric_l1_sparse' LANGUAGE C IMMUTABLE PARALLEL SAFE;
