-- avg and sum, over a state in double that both types share. Null without rows; nulls are passed over.
CREATE FUNCTION vector_accum(internal, vector) RETURNS internal
    AS 'MODULE_PATHNAME', 'vc_vector_accum' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION halfvec_accum(internal, halfvec) RETURNS internal
    AS 'MODULE_PATHNAME', 'vc_halfvec_accum' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION vector_agg_combine(internal, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'vc_agg_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION vector_agg_serialize(internal) RETURNS bytea
    AS 'MODULE_PATHNAME', 'vc_agg_serialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vector_agg_deserialize(bytea, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'vc_agg_deserialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vector_avg(internal) RETURNS vector
    AS 'MODULE_PATHNAME', 'vc_vector_avg' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vector_sum(internal) RETURNS vector
    AS 'MODULE_PATHNAME', 'vc_vector_sum' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION halfvec_avg(internal) RETURNS halfvec
    AS 'MODULE_PATHNAME', 'vc_halfvec_avg' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION halfvec_sum(internal) RETURNS halfvec
    AS 'MODULE_PATHNAME', 'vc_halfvec_sum' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE AGGREGATE avg(vector) (
    SFUNC = vector_accum, STYPE = internal, FINALFUNC = vector_avg, COMBINEFUNC = vector_agg_combine,
    SERIALFUNC = vector_agg_serialize, DESERIALFUNC = vector_agg_deserialize, PARALLEL = SAFE
);

CREATE AGGREGATE sum(vector) (
    SFUNC = vector_accum, STYPE = internal, FINALFUNC = vector_sum, COMBINEFUNC = vector_agg_combine,
    SERIALFUNC = vector_agg_serialize, DESERIALFUNC = vector_agg_deserialize, PARALLEL = SAFE
);

CREATE AGGREGATE avg(halfvec) (
    SFUNC = halfvec_accum, STYPE = internal, FINALFUNC = halfvec_avg, COMBINEFUNC = vector_agg_combine,
    SERIALFUNC = vector_agg_serialize, DESERIALFUNC = vector_agg_deserialize, PARALLEL = SAFE
);

CREATE AGGREGATE sum(halfvec) (
    SFUNC = halfvec_accum, STYPE = internal, FINALFUNC = halfvec_sum, COMBINEFUNC = vector_agg_combine,
    SERIALFUNC = vector_agg_serialize, DESERIALFUNC = vector_agg_deserialize, PARALLEL = SAFE
);
