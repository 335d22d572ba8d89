-- Distances of the server's type bit: hamming counts the bits that differ; jaccard is one less the share that common bits have
-- in the bits set in either.
-- The support function adds to a call's cost what long values cost, and fetching those that are stored out of line.
CREATE FUNCTION vectorcoll._bit_distance_cost(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'vc_bit_distance_cost' LANGUAGE C STRICT;
CREATE FUNCTION hamming_distance(bit, bit) RETURNS float8
    AS 'MODULE_PATHNAME', 'vc_bit_hamming_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    COST 5 SUPPORT vectorcoll._bit_distance_cost;
CREATE FUNCTION jaccard_distance(bit, bit) RETURNS float8
    AS 'MODULE_PATHNAME', 'vc_bit_jaccard_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    COST 5 SUPPORT vectorcoll._bit_distance_cost;

CREATE OPERATOR <~> (LEFTARG = bit, RIGHTARG = bit, FUNCTION = hamming_distance, COMMUTATOR = <~>);
CREATE OPERATOR <%> (LEFTARG = bit, RIGHTARG = bit, FUNCTION = jaccard_distance, COMMUTATOR = <%>);
