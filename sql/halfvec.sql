-- Type halfvec. It shares its code with vector, so this goes once over everything and dwells on what is its own: the
-- element's range, rounding and text.
\set VERBOSITY terse

-- Text: read correctly rounded, written as the shortest decimal that reads back.
SELECT '[1,2.5,-3]'::halfvec;
SELECT '[0.1,3.14159,1e-5,6e-8,65504,-0,1000,0.0001]'::halfvec;
-- Ties go to the even neighbour; a hair above goes up; below half the smallest subnormal is zero.
SELECT '[2049,2051,2049.0000000000000000000000001,2.98e-8,2.99e-8]'::halfvec;
SELECT '[65519.99]'::halfvec;
SELECT '[1,2]'::halfvec(2);
\set VERBOSITY default
SELECT '[1,2'::halfvec;
SELECT '[65520]'::halfvec;
SELECT '[nan]'::halfvec;
\set VERBOSITY sqlstate
SELECT '1'::halfvec;
SELECT '[]'::halfvec;
SELECT '[inf]'::halfvec;
SELECT '[-1e5]'::halfvec;
SELECT '[1,2]'::halfvec(3);
SELECT '[1]'::halfvec(0);
SELECT '[1]'::halfvec(16001);
SELECT '[1]'::halfvec(1, 2);
\set VERBOSITY terse
SELECT pg_column_size(('[' || repeat('1,', 15999) || '1]')::halfvec);
SELECT ('[' || repeat('1,', 16000) || '1]')::halfvec;

-- Binary form: two bytes an element.
SELECT encode(halfvec_send('[1,-2,65504,6e-8]'), 'hex'), pg_column_size('[1,2,3]'::halfvec);
SELECT typstorage, typalign, format_type(oid, 3) FROM pg_type WHERE oid = 'halfvec'::regtype;

-- Distances.
SELECT l2_distance('[0,0]'::halfvec, '[3,4]'), '[0,0]'::halfvec <-> '[3,4]' AS op, halfvec_l2_squared_distance('[0,0]', '[3,4]');
SELECT inner_product('[1,2]'::halfvec, '[3,4]'), '[1,2]'::halfvec <#> '[3,4]' AS op, halfvec_negative_inner_product('[1,2]', '[3,4]');
SELECT cosine_distance('[1,2]'::halfvec, '[2,4]'), '[1,1]'::halfvec <=> '[1,-1]' AS op, '[0]'::halfvec <=> '[1]' AS zero;
SELECT l1_distance('[0,0]'::halfvec, '[3,-4]'), '[0,0]'::halfvec <+> '[3,-4]' AS op;
SELECT round(halfvec_spherical_distance('[1,0]', '[0,1]')::numeric, 12);
SELECT '[65504,65504]'::halfvec <-> '[-65504,-65504]' AS far, '[6e-8]'::halfvec <-> '[0]' AS near, '[6e-8]'::halfvec <=> '[-6e-8]' AS tiny;
-- As long as a kernel's every path: the sums are exact.
SELECT n, v <-> w AS l2, v <#> w AS ip, v <+> w AS l1
  FROM unnest(ARRAY[1, 7, 8, 15, 16, 31, 32, 33, 100]) n,
       LATERAL (SELECT ('[' || string_agg(i::text, ',') || ']')::halfvec AS v, ('[' || string_agg((i + 2)::text, ',') || ']')::halfvec AS w
                  FROM generate_series(1, n) i) s ORDER BY n;
\set VERBOSITY default
SELECT '[1,2,3]'::halfvec <-> '[1,2,3,4]';
\set VERBOSITY sqlstate
SELECT '[1,2]'::halfvec <-> '[1]';
SELECT '[1,2]'::halfvec <#> '[1]';
SELECT '[1,2]'::halfvec <=> '[1]';
SELECT '[1,2]'::halfvec <+> '[1]';
\set VERBOSITY terse
PREPARE nearest_half AS SELECT '[1,2]'::halfvec <=> $1, '[1,2]'::halfvec <-> $1;
SELECT parameter_types FROM pg_prepared_statements WHERE name = 'nearest_half';

-- Arithmetic and functions.
SELECT '[1,2]'::halfvec + '[3,4]', '[1,2]'::halfvec - '[3,5]', '[1,2]'::halfvec * '[3,4]', '[1,2]'::halfvec || '[3]';
\set VERBOSITY sqlstate
SELECT '[65504]'::halfvec + '[65504]';
SELECT '[65504]'::halfvec - '[-65504]';
SELECT '[1000]'::halfvec * '[1000]';
SELECT '[1e-5]'::halfvec * '[1e-5]';
SELECT '[1]'::halfvec + '[1,2]';
SELECT ('[' || repeat('1,', 15999) || '1]')::halfvec || '[1]';
\set VERBOSITY terse
SELECT vector_dims('[1,2,3]'::halfvec), l2_norm('[3,4]'::halfvec), l2_normalize('[3,4]'::halfvec), l2_normalize('[0]'::halfvec);
SELECT binary_quantize('[1,0,-1,0.5,2,-3,4,5,6e-8]'::halfvec), subvector('[1,2,3,4,5]'::halfvec, 2, 3);
SELECT subvector('[1,2,3]'::halfvec, 4, 1);

-- Comparison and B-tree.
SELECT '[1,2]'::halfvec < '[1,3]', '[1]'::halfvec <= '[1,0]', '[-0]'::halfvec = '[0]', '[1]'::halfvec <> '[1,0]',
       '[2]'::halfvec >= '[1,9]', '[2]'::halfvec > '[2]', halfvec_cmp('[-1]', '[1]');
CREATE TABLE halfvec_btree (v halfvec PRIMARY KEY);
INSERT INTO halfvec_btree SELECT ('[' || i % 7 || ',' || i || ']')::halfvec FROM generate_series(1, 200) i;
INSERT INTO halfvec_btree VALUES ('[1,1]');
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT * FROM halfvec_btree WHERE v > '[6,180]' ORDER BY v DESC;
SELECT * FROM halfvec_btree WHERE v > '[6,180]' ORDER BY v DESC;
DROP TABLE halfvec_btree;
