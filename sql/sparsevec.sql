-- Type sparsevec: the elements that are not zero.
\set VERBOSITY terse

-- Text: indices from one, in any order, zeros dropped.
SELECT '{1:1.5,3:2}/5'::sparsevec;
SELECT ' { 3 : 2 , 1 : 1.50 , 2 : 0 } / 5 '::sparsevec;
SELECT '{}/5'::sparsevec, '{1:-0,2:1e-99}/2'::sparsevec AS zeros, '{1000000000:-1e-5}/1000000000'::sparsevec;
SELECT '{1:1}/2'::sparsevec(2);
\set VERBOSITY default
SELECT '[1,2]'::sparsevec;
SELECT '{1:1}'::sparsevec;
SELECT '{1:1,}/2'::sparsevec;
SELECT '{1:1 2:2}/2'::sparsevec;
SELECT '{1}/2'::sparsevec;
SELECT '{1:}/2'::sparsevec;
SELECT '{:1}/2'::sparsevec;
SELECT '{1:1}/'::sparsevec;
SELECT '{1:1}/2x'::sparsevec;
SELECT '{1.5:1}/2'::sparsevec;
SELECT '{0:1}/2'::sparsevec;
SELECT '{3:1}/2'::sparsevec;
SELECT '{2:1,1:1,2:1}/2'::sparsevec;
SELECT '{1:4e38}/2'::sparsevec;
SELECT '{1:nan}/2'::sparsevec;
\set VERBOSITY sqlstate
SELECT ''::sparsevec;
SELECT '{'::sparsevec;
SELECT '{-1:1}/2'::sparsevec;
SELECT '{99999999999999999999:1}/2'::sparsevec;
SELECT '{1:1}/0'::sparsevec;
SELECT '{1:1}/-1'::sparsevec;
SELECT '{1:1}/1000000001'::sparsevec;
SELECT '{1:1}/99999999999999999999'::sparsevec;
SELECT '{1:inf}/2'::sparsevec;
SELECT '{1:1,1:1}/2'::sparsevec;
SELECT '{1:1}/2'::sparsevec(3);
SELECT '{1:1}/2'::sparsevec(0);
SELECT '{1:1}/2'::sparsevec(1000000001);
SELECT '{1:1}/2'::sparsevec(1, 2);
\set VERBOSITY terse
SELECT ('{' || string_agg(i || ':1', ',') || '}/20000')::sparsevec <-> '{}/20000' AS most_elements FROM generate_series(1, 16000) i;
SELECT ('{' || string_agg(i || ':1', ',') || '}/20000')::sparsevec FROM generate_series(1, 16001) i;

-- The stored form.
SELECT pg_column_size('{1:1.5,3:2}/5'::sparsevec), encode(sparsevec_send('{1:1,3:-2}/5'), 'hex');
SELECT typstorage, typalign, format_type(oid, 3) FROM pg_type WHERE oid = 'sparsevec'::regtype;

-- Distances, against the same vectors as type vector.
SELECT l2_distance('{1:3}/2'::sparsevec, '{2:4}/2'), '{1:3}/2'::sparsevec <-> '{2:4}/2' AS op, sparsevec_l2_squared_distance('{1:3}/2', '{2:4}/2');
SELECT inner_product('{1:1,2:2}/2'::sparsevec, '{2:4}/2'), '{1:1,2:2}/2'::sparsevec <#> '{2:4}/2' AS op, sparsevec_negative_inner_product('{1:1}/2', '{1:1}/2');
SELECT cosine_distance('{1:1}/2'::sparsevec, '{1:2}/2'), '{1:1}/2'::sparsevec <=> '{2:1}/2' AS op, '{}/2'::sparsevec <=> '{1:1}/2' AS zero;
SELECT l1_distance('{1:3}/2'::sparsevec, '{2:-4}/2'), '{1:3}/2'::sparsevec <+> '{2:-4}/2' AS op;
SELECT '{1:3e38}/1'::sparsevec <-> '{1:-3e38}/1' AS far, '{1:1e-45}/1'::sparsevec <=> '{1:1e-45}/1' AS tiny;
CREATE TEMP TABLE sparse_pair AS
    SELECT n, a, b
      FROM generate_series(1, 300) n,
           LATERAL (SELECT array_agg(CASE WHEN (i * 7 + n * 3) % 10 < n % 10 THEN i * n % 9 - 4 ELSE 0 END)::vector AS a,
                           array_agg(CASE WHEN (i * 5 + n) % 7 < n % 7 THEN i * (n + 1) % 9 - 4 ELSE 0 END)::vector AS b
                      FROM generate_series(1, n) i) v;
SELECT count(*), bool_and(a::sparsevec <-> b::sparsevec = a <-> b) AS l2, bool_and(a::sparsevec <#> b::sparsevec = a <#> b) AS ip,
       bool_and(a::sparsevec <+> b::sparsevec = a <+> b) AS l1, bool_and(abs((a::sparsevec <=> b::sparsevec) - (a <=> b)) < 1e-6
       OR (a::sparsevec <=> b::sparsevec)::text = 'NaN') AS cosine, bool_and(sparsevec_cmp(a, b) = vector_cmp(a, b)) AS cmp
  FROM sparse_pair;
-- One list much longer than the other is searched instead of merged.
WITH v AS (SELECT ('{' || string_agg(3 * i || ':' || i, ',') || '}/10000')::sparsevec AS many FROM generate_series(1, 3000) i)
SELECT many <#> '{3:1,4:7,300:2,8999:1,9000:1}/10000' AS found, '{1:1,9001:1}/10000' <#> many AS none, many <#> '{}/10000' AS empty FROM v;
\set VERBOSITY default
SELECT '{1:1}/2'::sparsevec <-> '{1:1}/3';
\set VERBOSITY sqlstate
SELECT '{1:1}/2'::sparsevec <#> '{1:1}/3';
SELECT '{1:1}/2'::sparsevec <=> '{1:1}/3';
SELECT '{1:1}/2'::sparsevec <+> '{1:1}/3';
\set VERBOSITY terse
PREPARE nearest_sparse AS SELECT '{1:1}/2'::sparsevec <=> $1, '{1:1}/2'::sparsevec <-> $1;
SELECT parameter_types FROM pg_prepared_statements WHERE name = 'nearest_sparse';

-- Norms.
SELECT l2_norm('{1:3,2:4}/9'::sparsevec), l2_normalize('{1:3,2:4}/9'::sparsevec), l2_normalize('{}/9'::sparsevec);
-- What vanishes beside the norm is not stored.
SELECT l2_normalize('{1:3e38,2:1e-45}/2'::sparsevec);

-- Comparison: as the same vectors of type vector compare.
SELECT '{1:1}/2'::sparsevec < '{1:2}/2', '{}/2'::sparsevec <= '{}/2', '{1:1}/2'::sparsevec = '{1:1}/2', '{1:1}/2'::sparsevec <> '{1:1}/3',
       '{1:-1}/2'::sparsevec >= '{}/2', '{2:1}/2'::sparsevec > '{}/2', sparsevec_cmp('{3:1}/3', '{}/2'), sparsevec_cmp('{3:-1}/3', '{}/2');
CREATE TABLE sparsevec_btree (v sparsevec PRIMARY KEY);
INSERT INTO sparsevec_btree SELECT format('{%s:%s}/9', i % 9 + 1, i)::sparsevec FROM generate_series(1, 100) i;
INSERT INTO sparsevec_btree VALUES ('{2:1}/9');
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT * FROM sparsevec_btree WHERE v >= '{1:90}/9' ORDER BY v;
SELECT * FROM sparsevec_btree WHERE v >= '{1:90}/9' ORDER BY v;
DROP TABLE sparsevec_btree;
