-- Operator classes of key columns, for both access methods: conditions on them are tested inside an index
-- (src/am/keys.h). Those with a support function keep hashes, which serve equality.

-- vc_hnsw
CREATE OPERATOR CLASS bool_ops DEFAULT FOR TYPE bool USING vc_hnsw AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >;
CREATE OPERATOR FAMILY integer_ops USING vc_hnsw;
CREATE OPERATOR CLASS int2_ops DEFAULT FOR TYPE int2 USING vc_hnsw FAMILY integer_ops AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >;
CREATE OPERATOR CLASS int4_ops DEFAULT FOR TYPE int4 USING vc_hnsw FAMILY integer_ops AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >;
CREATE OPERATOR CLASS int8_ops DEFAULT FOR TYPE int8 USING vc_hnsw FAMILY integer_ops AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >;
ALTER OPERATOR FAMILY integer_ops USING vc_hnsw ADD
    OPERATOR 1 < (int2, int4), OPERATOR 2 <= (int2, int4), OPERATOR 3 = (int2, int4),
    OPERATOR 4 >= (int2, int4), OPERATOR 5 > (int2, int4);
ALTER OPERATOR FAMILY integer_ops USING vc_hnsw ADD
    OPERATOR 1 < (int2, int8), OPERATOR 2 <= (int2, int8), OPERATOR 3 = (int2, int8),
    OPERATOR 4 >= (int2, int8), OPERATOR 5 > (int2, int8);
ALTER OPERATOR FAMILY integer_ops USING vc_hnsw ADD
    OPERATOR 1 < (int4, int2), OPERATOR 2 <= (int4, int2), OPERATOR 3 = (int4, int2),
    OPERATOR 4 >= (int4, int2), OPERATOR 5 > (int4, int2);
ALTER OPERATOR FAMILY integer_ops USING vc_hnsw ADD
    OPERATOR 1 < (int4, int8), OPERATOR 2 <= (int4, int8), OPERATOR 3 = (int4, int8),
    OPERATOR 4 >= (int4, int8), OPERATOR 5 > (int4, int8);
ALTER OPERATOR FAMILY integer_ops USING vc_hnsw ADD
    OPERATOR 1 < (int8, int2), OPERATOR 2 <= (int8, int2), OPERATOR 3 = (int8, int2),
    OPERATOR 4 >= (int8, int2), OPERATOR 5 > (int8, int2);
ALTER OPERATOR FAMILY integer_ops USING vc_hnsw ADD
    OPERATOR 1 < (int8, int4), OPERATOR 2 <= (int8, int4), OPERATOR 3 = (int8, int4),
    OPERATOR 4 >= (int8, int4), OPERATOR 5 > (int8, int4);
CREATE OPERATOR FAMILY float_ops USING vc_hnsw;
CREATE OPERATOR CLASS float4_ops DEFAULT FOR TYPE float4 USING vc_hnsw FAMILY float_ops AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >;
CREATE OPERATOR CLASS float8_ops DEFAULT FOR TYPE float8 USING vc_hnsw FAMILY float_ops AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >;
ALTER OPERATOR FAMILY float_ops USING vc_hnsw ADD
    OPERATOR 1 < (float4, float8), OPERATOR 2 <= (float4, float8), OPERATOR 3 = (float4, float8),
    OPERATOR 4 >= (float4, float8), OPERATOR 5 > (float4, float8);
ALTER OPERATOR FAMILY float_ops USING vc_hnsw ADD
    OPERATOR 1 < (float8, float4), OPERATOR 2 <= (float8, float4), OPERATOR 3 = (float8, float4),
    OPERATOR 4 >= (float8, float4), OPERATOR 5 > (float8, float4);
CREATE OPERATOR CLASS date_ops DEFAULT FOR TYPE date USING vc_hnsw AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >;
CREATE OPERATOR CLASS timestamp_ops DEFAULT FOR TYPE timestamp USING vc_hnsw AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >;
CREATE OPERATOR CLASS timestamptz_ops DEFAULT FOR TYPE timestamptz USING vc_hnsw AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >;
CREATE OPERATOR CLASS text_ops DEFAULT FOR TYPE text USING vc_hnsw AS
    OPERATOR 3 =, FUNCTION 2 hashtextextended(text, int8);
CREATE OPERATOR CLASS uuid_ops DEFAULT FOR TYPE uuid USING vc_hnsw AS
    OPERATOR 3 =, FUNCTION 2 uuid_hash_extended(uuid, int8);
