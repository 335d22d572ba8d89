-- avg and sum of vector and halfvec.
\set VERBOSITY terse
SELECT avg(v), sum(v) FROM unnest(ARRAY['[1,2,3]', '[3,5,7]']::vector[]) v;
SELECT avg(v), sum(v) FROM unnest(ARRAY['[1,2,3]', '[3,5,7]']::halfvec[]) v;
SELECT avg(v), sum(v) FROM unnest(ARRAY['[1,2,3]', NULL, '[3,5,7]']::vector[]) v;
-- Zero rows, and rows of nothing but null.
SELECT avg(v), sum(v) FROM unnest(ARRAY[]::vector[]) v;
SELECT avg(v), sum(v) FROM unnest(ARRAY[]::halfvec[]) v;
SELECT avg(v), sum(v) FROM unnest(ARRAY[NULL, NULL]::vector[]) v;
SELECT g, avg(v), count(v) FROM (VALUES (1, '[1]'::vector), (1, '[2]'), (2, NULL)) t (g, v) GROUP BY g ORDER BY g;
-- Sums in double: what cancels leaves no trace; a mean never overflows, a sum may.
SELECT sum(v) FROM unnest(ARRAY['[3e38]', '[3e38]', '[-3e38]', '[-3e38]', '[1]']::vector[]) v;
SELECT avg(v) FROM unnest(ARRAY['[3e38]', '[3e38]']::vector[]) v;
SELECT avg(v) FROM unnest(ARRAY['[65504]', '[65504]']::halfvec[]) v;
SELECT sum(v) FROM unnest(ARRAY['[3e38]', '[3e38]']::vector[]) v;
SELECT sum(v) FROM unnest(ARRAY['[65504]', '[65504]']::halfvec[]) v;
SELECT avg(v) FROM unnest(ARRAY['[1,2]', '[1]']::vector[]) v;
SELECT sum(v) FROM unnest(ARRAY['[1,2]', '[1]']::halfvec[]) v;
SELECT avg(DISTINCT v), sum(v) FILTER (WHERE v > '[1]') FROM unnest(ARRAY['[1]', '[1]', '[4]']::vector[]) v;
SELECT i, sum(v) OVER (ORDER BY i ROWS 1 PRECEDING) FROM unnest(ARRAY['[1]', '[2]', '[4]']::vector[]) WITH ORDINALITY u (v, i);

-- In parallel: the plan is, and the result the same as without.
CREATE TABLE agg_parallel (v vector(400), h halfvec(400));
INSERT INTO agg_parallel
    SELECT v, v FROM generate_series(1, 3000) n, LATERAL (SELECT array_agg((n * i) % 17 - 8)::vector AS v FROM generate_series(1, 400) i) s;
INSERT INTO agg_parallel VALUES (NULL, NULL);
ANALYZE agg_parallel;
SET max_parallel_workers_per_gather = 0;
SELECT avg(v) AS avg_v, sum(v) AS sum_v, avg(h) AS avg_h FROM agg_parallel \gset
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT avg(v), sum(v), avg(h) FROM agg_parallel;
SELECT avg(v) = :'avg_v' AS avg_v, sum(v) = :'sum_v' AS sum_v, avg(h) = :'avg_h' AS avg_h, subvector(sum(v), 1, 5) FROM agg_parallel;
SELECT avg(v), sum(h) FROM agg_parallel WHERE v IS NULL;
DROP TABLE agg_parallel;
