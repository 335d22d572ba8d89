-- Type vector: text and binary form, operators, functions, comparison, B-tree. Errors show their SQLSTATE.
\set VERBOSITY terse

-- Text in, shortest text out.
SELECT '[1,2,3]'::vector;
SELECT ' [ 1 ,	2.50 , -3e0 ] '::vector;
SELECT '[+1,.5,5.,1E2,1e+2,-0]'::vector;
SELECT '[0.1,1e-05,1e-45,3.4028235e38,16777217,123456789]'::vector;
-- Rounds to zero, to the smallest subnormal, to the largest finite value.
SELECT '[1e-46,7.1e-46,3.40282356e38,-1e-99999]'::vector;
-- More digits than fit in 64 bits, and a tie that only the last digit breaks.
SELECT '[0.100000001490116119384765625,0.12345678901234567890123456789,16777217.00000000000000000000000001]'::vector;
SELECT '[1,2]'::vector(2);

-- What is refused. The server's wording of a syntax error carries the whole literal.
\set VERBOSITY default
SELECT '1,2'::vector;
SELECT '[1,2'::vector;
SELECT '[1,2]]'::vector;
SELECT '[1,2] x'::vector;
SELECT '[1,,2]'::vector;
SELECT '[1,2,]'::vector;
SELECT '[,1]'::vector;
SELECT '[a]'::vector;
SELECT '[1e]'::vector;
SELECT '[1 2]'::vector;
SELECT '[0x10]'::vector;
SELECT '[--1]'::vector;
SELECT '[.]'::vector;
SELECT ''::vector;
\set VERBOSITY sqlstate
SELECT '[1'::vector;
SELECT '[NaN]'::vector;
SELECT '[-infinity]'::vector;
SELECT '[3.5e38]'::vector;
SELECT '[]'::vector;
SELECT '[1,2]'::vector(3);
SELECT '[1]'::vector(0);
SELECT '[1]'::vector(16001);
SELECT '[1]'::vector(1, 2);
SELECT '[1]'::vector('a');
\set VERBOSITY terse
SELECT '[NaN]'::vector;
SELECT '[Infinity]'::vector;
SELECT '[1,4e38,2]'::vector;
SELECT '[ ]'::vector;
SELECT '[1,2]'::vector(3);
SELECT '[1]'::vector(0);
SELECT '[1]'::vector(16001);
SELECT ('[' || repeat('1,', 15999) || '1]')::vector IS NOT NULL AS most_dimensions;
SELECT ('[' || repeat('1,', 16000) || '1]')::vector;

-- The input function leaves its argument alone: the same cstring read twice is the same vector.
CREATE FUNCTION pg_temp.twice(literal text) RETURNS bool LANGUAGE plpgsql AS
$$ BEGIN RETURN literal::vector = literal::vector AND literal = ' [1.5 , 2]'; END $$;
SELECT pg_temp.twice(' [1.5 , 2]');

-- Soft errors, which the server has from 16 on; on 15 the answer is given by hand.
CREATE FUNCTION pg_temp.is_vector(literal text) RETURNS bool LANGUAGE plpgsql AS $$
DECLARE valid bool;
BEGIN
    IF current_setting('server_version_num')::int < 160000 THEN
        RETURN literal = '[1]';
    END IF;
    EXECUTE 'SELECT pg_input_is_valid($1, ''vector(1)'')' INTO valid USING literal;
    RETURN valid;
END $$;
SELECT literal, pg_temp.is_vector(literal)
  FROM unnest(ARRAY['[1]', '[1,2]', '[]', '[x]', '[NaN]', '[inf]', '[1e99]', '1', '[1]]']) literal;

-- The stored form: header, dim, zero, elements; dimensions read from a slice.
SELECT pg_column_size('[1,2,3]'::vector), encode(vector_send('[1,-2]'), 'hex');
SELECT typname, typstorage, typalign, typlen, typsend::text FROM pg_type WHERE oid = 'vector'::regtype;
SELECT format_type('vector'::regtype, 3);

-- Distances.
SELECT l2_distance('[0,0]'::vector, '[3,4]'), '[0,0]'::vector <-> '[3,4]' AS op, vector_l2_squared_distance('[0,0]', '[3,4]');
SELECT inner_product('[1,2]'::vector, '[3,4]'), '[1,2]'::vector <#> '[3,4]' AS op, vector_negative_inner_product('[1,2]', '[3,4]');
SELECT cosine_distance('[1,2]'::vector, '[2,4]'), '[1,1]'::vector <=> '[1,-1]' AS op, '[1,1]'::vector <=> '[-1.1,-1.1]' AS opposite;
SELECT l1_distance('[0,0]'::vector, '[3,-4]'), '[0,0]'::vector <+> '[3,-4]' AS op;
SELECT round(vector_spherical_distance('[1,0]', '[0,1]')::numeric, 12);
SELECT vector_spherical_distance('[2,0]', '[2,0]') AS clamped;
-- A zero vector has no direction; NaN sorts last.
SELECT v, v <=> '[1,0]' AS distance FROM unnest(ARRAY['[0,0]', '[-1,0]', '[1,0]']::vector[]) v ORDER BY v <=> '[1,0]';
-- Sums beyond float's range, and below it, are right all the same.
SELECT l2_distance('[3e38,3e38]'::vector, '[-3e38,0]'), l1_distance('[3e38,3e38]'::vector, '[-3e38,0]');
SELECT inner_product('[3e38,3e38]'::vector, '[3e38,-3e38]'), inner_product('[3e38]'::vector, '[1e38]');
SELECT cosine_distance('[3e38,0]'::vector, '[1e38,0]'), cosine_distance('[1e-40,0]'::vector, '[1e-40,1e-40]') BETWEEN 0.2928 AND 0.2929 AS tiny;
SELECT l2_distance('[1e-30]'::vector, '[0]') BETWEEN 0.9999e-30 AND 1.0001e-30 AS tiny, l2_norm('[3e38,3e38]'::vector) > 4e38 AS large;
\set VERBOSITY default
SELECT '[1,2,3]'::vector <-> '[1,2,3,4]';
\set VERBOSITY sqlstate
SELECT '[1,2]'::vector <-> '[1]';
SELECT '[1,2]'::vector <#> '[1]';
SELECT '[1,2]'::vector <=> '[1]';
SELECT '[1,2]'::vector <+> '[1]';
SELECT vector_spherical_distance('[1,2]', '[1]');
SELECT vector_l2_squared_distance('[1,2]', '[1]');
\set VERBOSITY terse

-- An untyped parameter takes the vector's type: there is one operator with a vector on its left.
PREPARE nearest AS SELECT '[1,2]'::vector <=> $1, '[1,2]'::vector <-> $1, '[1,2]'::vector <#> $1, '[1,2]'::vector <+> $1;
SELECT parameter_types FROM pg_prepared_statements WHERE name = 'nearest';
EXECUTE nearest('[1,2]');

-- Arithmetic.
SELECT '[1,2]'::vector + '[3,4]', '[1,2]'::vector - '[3,5]', '[1,2]'::vector * '[3,4]', '[1,2]'::vector || '[3]';
\set VERBOSITY sqlstate
SELECT '[3e38]'::vector + '[3e38]';
SELECT '[-3e38]'::vector - '[3e38]';
SELECT '[3e38]'::vector * '[3e38]';
SELECT '[1e-30]'::vector * '[1e-30]';
SELECT '[1]'::vector + '[1,2]';
SELECT '[1]'::vector - '[1,2]';
SELECT '[1]'::vector * '[1,2]';
SELECT ('[' || repeat('1,', 15999) || '1]')::vector || '[1]';
\set VERBOSITY terse

-- Functions.
SELECT vector_dims('[1,2,3]'::vector), vector_norm('[3,4]'), l2_norm('[3,4]'::vector);
SELECT l2_normalize('[3,4]'::vector), l2_normalize('[0,0]'::vector), l2_normalize('[3e38]'::vector);
SELECT binary_quantize('[1,0,-1,0.5,2,-3,4,5,6]'::vector);
SELECT subvector('[1,2,3,4,5]'::vector, 2, 3), subvector('[1,2,3,4,5]'::vector, -1, 3), subvector('[1,2,3]'::vector, 3, 2147483647);
SELECT subvector('[1,2,3]'::vector, 4, 1);
SELECT subvector('[1,2,3]'::vector, 1, 0);
SELECT subvector('[1,2,3]'::vector, -2147483648, -2147483648);

-- Comparison: element by element, then by length; zeros of either sign are equal.
SELECT '[1,2]'::vector < '[1,3]', '[1,2]'::vector < '[1]', '[1]'::vector <= '[1,0]', '[-0]'::vector = '[0]',
       '[1]'::vector <> '[1,0]', '[2]'::vector >= '[1,9]', '[2]'::vector > '[2]';
SELECT vector_cmp('[1]', '[2]'), vector_cmp('[1]', '[1]'), vector_cmp('[2]', '[1]');
SELECT DISTINCT v FROM unnest(ARRAY['[2]', '[1,1]', '[1]', '[2]']::vector[]) v ORDER BY v;

-- A B-tree finds, orders and keeps unique.
CREATE TABLE vector_btree (v vector UNIQUE);
INSERT INTO vector_btree SELECT ('[' || i % 7 || ',' || i || ']')::vector FROM generate_series(1, 500) i;
INSERT INTO vector_btree VALUES ('[1,1]');
ANALYZE vector_btree;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT * FROM vector_btree WHERE v = '[3,10]';
SELECT * FROM vector_btree WHERE v = '[3,10]';
SELECT * FROM vector_btree WHERE v > '[6,485]' ORDER BY v DESC;
RESET enable_seqscan;
RESET enable_bitmapscan;
-- Values of several dimensions in one column are legal, for ANALYZE too.
INSERT INTO vector_btree VALUES ('[1]'), ('[1,2,3]');
ANALYZE vector_btree;
SELECT a.v FROM vector_btree a JOIN vector_btree b ON a.v = b.v WHERE b.v < '[1,8]' AND a.v >= '[1]' ORDER BY a.v;
DROP TABLE vector_btree;

-- Out of line and back: storage is external, so nothing tries to compress.
CREATE TABLE vector_toast (v vector(4000));
INSERT INTO vector_toast SELECT ('[' || string_agg((i % 4)::text, ',') || ']')::vector FROM generate_series(1, 4000) i;
SELECT attstorage, attcompression = '' AS uncompressed FROM pg_attribute WHERE attrelid = 'vector_toast'::regclass AND attname = 'v';
SELECT vector_dims(v), v <-> v AS itself, pg_column_size(v), v::vector(4000) = v AS same FROM vector_toast;
DROP TABLE vector_toast;
