-- Distances and aggregates fetch values stored out of line by looking first where the last one ended. Whatever the order of
-- rows and the state of the TOAST table, the value must be the one the server fetches: a cast to real[] goes through the
-- server, so the distance of a value to its own copy made that way is zero only if every element is right.
CREATE TABLE toasted (id int, v vector);
-- One to eight chunks a value, some of them exactly full, and some values in line.
CREATE FUNCTION pg_temp.fill(first int, last int) RETURNS void LANGUAGE sql AS $$
    INSERT INTO toasted
        SELECT n, (SELECT array_agg((n * 31 + i * 7) % 1000 - 500 + n / 8.0)::vector
                     FROM generate_series(1, (ARRAY[100, 497, 498, 600, 784, 996, 997, 1500, 3990])[n % 9 + 1]) i)
          FROM generate_series(first, last) n;
$$;
SELECT pg_temp.fill(1, 400);
CREATE INDEX ON toasted (id);
CREATE FUNCTION pg_temp.wrong(condition text DEFAULT 'true', ordering text DEFAULT '') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    total int;
    wrong int;
BEGIN
    EXECUTE format('SELECT count(*), count(*) FILTER (WHERE v <-> v::real[]::vector <> 0 OR v <+> v <> 0)
                      FROM (SELECT v FROM toasted WHERE %s %s) s', condition, ordering) INTO total, wrong;
    RETURN format('%s of %s', wrong, total);
END $$;
SET max_parallel_workers_per_gather = 0;
SELECT pg_temp.wrong() AS in_order;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET enable_sort = off;
SELECT pg_temp.wrong('id > 0', 'ORDER BY id DESC') AS backwards;
RESET enable_seqscan;
RESET enable_bitmapscan;
RESET enable_sort;
SELECT pg_temp.wrong('id > 0', 'ORDER BY id * 7919 % 401') AS scattered;
-- Chunks of rows that were never committed, were deleted, and were overwritten lie between the others.
BEGIN;
SELECT pg_temp.fill(401, 450);
ROLLBACK;
SELECT pg_temp.fill(451, 500);
DELETE FROM toasted WHERE id % 5 = 0;
UPDATE toasted SET v = v || '[1]' WHERE id % 7 = 0;
SELECT pg_temp.wrong() AS after_changes;
-- Their space is used again, out of order.
VACUUM toasted;
SELECT pg_temp.fill(501, 700);
SELECT pg_temp.wrong() AS after_vacuum;
VACUUM FULL toasted;
SELECT pg_temp.wrong() AS after_rewrite;
-- Compressed out of line, which is the server's alone.
ALTER TABLE toasted ALTER v SET STORAGE extended;
INSERT INTO toasted SELECT 1000 + n, (SELECT array_agg(CASE WHEN i % 3 = 0 THEN i * n % 97 ELSE 0 END)::vector FROM generate_series(1, 16000) i)
  FROM generate_series(1, 8) n;
SELECT pg_temp.wrong('id > 1000') AS compressed, pg_temp.wrong() AS beside_others;
ALTER TABLE toasted ALTER v SET STORAGE external;

-- In parallel, and through the aggregates.
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SELECT count(*) FILTER (WHERE v <-> v::real[]::vector <> 0) AS wrong_in_parallel FROM toasted;
SELECT count(*) FROM (SELECT vector_dims(v), sum(v) = sum(v::real[]::vector) AND avg(v) = avg(v::real[]::vector) AS same
                        FROM toasted GROUP BY 1) s WHERE NOT same;
SET max_parallel_workers_per_gather = 0;
-- halfvec, and a function whose state outlives rows of several tables.
CREATE TABLE toasted_half AS SELECT id, v::halfvec AS v FROM toasted;
SELECT count(*) FILTER (WHERE v <-> v::real[]::halfvec <> 0) AS wrong_half FROM toasted_half;
SELECT count(*) FILTER (WHERE v <-> v::real[]::vector <> 0) AS wrong_in_two_tables
  FROM (SELECT v FROM toasted UNION ALL (SELECT v FROM toasted ORDER BY id DESC) UNION ALL SELECT v::vector FROM toasted_half) s;

-- In order, the server's index is asked but a few times.
CREATE TABLE toasted_plain (v vector(784));
INSERT INTO toasted_plain SELECT (SELECT array_agg(n + i)::vector FROM generate_series(1, 784) i) FROM generate_series(1, 500) n;
SELECT i.indexrelid AS toast_index FROM pg_class c JOIN pg_index i ON i.indrelid = c.reltoastrelid WHERE c.relname = 'toasted_plain' \gset
SELECT array_agg(i)::vector AS query FROM generate_series(1, 784) i \gset
BEGIN;
SELECT pg_stat_get_xact_numscans(:toast_index) AS before \gset
SELECT count(v <-> :'query') FROM toasted_plain;
SELECT pg_stat_get_xact_numscans(:toast_index) - :before < 10 AS few_lookups;
COMMIT;
DROP TABLE toasted, toasted_half, toasted_plain;
