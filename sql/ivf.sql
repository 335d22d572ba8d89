-- vc_ivf: building, searching, inserting, deleting, refusing.
SET client_min_messages = warning;
CREATE TABLE rows (id int, v vector(12));
-- A fixed set in 40 clusters without ties: multiples of irrational steps, modulo 1.
CREATE FUNCTION point(i int) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
    SELECT ('[' || string_agg((((i % 40) * s * 7) % 5 + (i * s) % 1)::numeric(8, 6)::text, ',' ORDER BY s) || ']')::vector
    FROM unnest(ARRAY[0.414214, 0.732051, 0.236068, 0.645751, 0.316625, 0.605551, 0.123106, 0.358899, 0.795832, 0.385165,
                      0.567764, 0.082763]) s $$;
INSERT INTO rows SELECT i, point(i) FROM generate_series(1, 5000) i;
CREATE INDEX rows_v ON rows USING vc_ivf (v vector_l2_ops) WITH (lists = 40);
\d rows_v

-- What an index returns against what a sequential scan returns: the share of the k nearest found, over some queries.
CREATE FUNCTION ivf_recall(op text, k int, query text = 'point', columns text = 'v', tab text = 'rows') RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE hits int := 0; exact int[]; found int[]; command text;
BEGIN
    FOR i IN 1..20 LOOP
        command := format('SELECT array(SELECT id FROM %s ORDER BY %s %s %s(%s) LIMIT %s)', tab, columns, op, query, 100000 + i * 3, k);
        SET LOCAL enable_indexscan = off; SET LOCAL enable_seqscan = on;
        EXECUTE command INTO exact;
        SET LOCAL enable_indexscan = on; SET LOCAL enable_seqscan = off;
        EXECUTE command INTO found;
        hits := hits + (SELECT count(*) FROM unnest(exact) e WHERE e = ANY (found));
    END LOOP;
    RETURN hits / (20.0 * k);
END $$;
SELECT ivf_recall('<->', 10) >= 0.95 AS l2;
SET vc_ivf.probes = 40;
SELECT ivf_recall('<->', 10) >= 0.99 AS l2_all_lists;
SET vc_ivf.epsilon = 8;
SELECT ivf_recall('<->', 50) AS certain;
-- Bounds as narrow as these miss rows whatever lists are probed; those chosen by themselves suit the recall wanted.
SET vc_ivf.epsilon = 1;
SELECT ivf_recall('<->', 50) < 0.99 AS too_narrow;
RESET vc_ivf.epsilon;
SELECT ivf_recall('<->', 50) >= 0.999 AS wide_enough_for_all_lists;
RESET vc_ivf.probes;
SET vc_ivf.target_recall = 0.999;
SELECT ivf_recall('<->', 50) >= 0.995 AS target;
SET vc_ivf.target_recall = 1;
SELECT ivf_recall('<->', 50) AS exact;
RESET vc_ivf.target_recall;

-- The planner takes the index for ORDER BY distance LIMIT, and for nothing else.
ANALYZE rows;
EXPLAIN (COSTS OFF) SELECT id FROM rows ORDER BY v <-> point(1) LIMIT 3;
EXPLAIN (COSTS OFF) SELECT count(*) FROM rows;
EXPLAIN (COSTS OFF) SELECT id FROM rows ORDER BY v <=> point(1) LIMIT 3;

-- Any LIMIT gives as many rows as there are, each once, in order.
SET enable_seqscan = off;
SET vc_ivf.probes = 1;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM rows ORDER BY v <-> point(7) LIMIT 700) s;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM rows ORDER BY v <-> point(7) LIMIT 100000) s;
SELECT bool_and(d >= before) AS ordered FROM (SELECT d, lag(d, 1, 0) OVER () AS before
    FROM (SELECT v <-> point(7) AS d FROM rows ORDER BY v <-> point(7) LIMIT 700) s) s;
SELECT count(*) FROM (SELECT id FROM rows WHERE id % 1000 = 3 ORDER BY v <-> point(7) LIMIT 20) s;
SET vc_ivf.max_scan_tuples = 500;
SELECT count(*) < 5000 AS capped FROM (SELECT id FROM rows ORDER BY v <-> point(7) LIMIT 100000) s;
RESET vc_ivf.max_scan_tuples;
RESET vc_ivf.probes;
-- A rescan starts over; a null query has no order but all rows.
SELECT q, (SELECT id FROM rows ORDER BY v <-> point(q) LIMIT 1) FROM generate_series(1, 4000, 1000) q;
SELECT count(*) FROM (SELECT id FROM rows ORDER BY v <-> NULL::vector LIMIT 100000) s;

-- Insert and delete.
INSERT INTO rows SELECT i, point(i) FROM generate_series(5001, 10000) i;
SELECT ivf_recall('<->', 10) >= 0.95 AS after_insert;
SELECT vectorcoll.ivf_check('rows_v', true);
DELETE FROM rows WHERE id % 5 = 0;
SELECT ivf_recall('<->', 10) >= 0.95 AS after_delete;
VACUUM rows;
SELECT ivf_recall('<->', 10) >= 0.95 AS after_vacuum;
SELECT vectorcoll.ivf_check('rows_v', true);
SELECT count(*), bool_and(id % 5 <> 0) FROM (SELECT id FROM rows ORDER BY v <-> point(7) LIMIT 100000) s;
-- Freed slots are used again.
SELECT pg_relation_size('rows_v') AS size \gset
INSERT INTO rows SELECT i, point(i) FROM generate_series(1, 10000) i WHERE i % 5 = 0;
SELECT pg_relation_size('rows_v') <= :size * 1.05 AS reused;
SELECT ivf_recall('<->', 10) >= 0.95 AS after_refill;
DELETE FROM rows;
VACUUM rows;
SELECT count(*) FROM (SELECT id FROM rows ORDER BY v <-> point(7) LIMIT 10) s;
INSERT INTO rows SELECT i, point(i) FROM generate_series(1, 3000) i;
SELECT ivf_recall('<->', 10) >= 0.95 AS refilled;
DROP INDEX rows_v;

-- Every operator class, both kinds of storage.
CREATE INDEX rows_v ON rows USING vc_ivf (v vector_ip_ops) WITH (lists = 20);
SELECT ivf_recall('<#>', 10) >= 0.9 AS ip;
DROP INDEX rows_v;
CREATE INDEX rows_v ON rows USING vc_ivf (v vector_cosine_ops) WITH (lists = 20, storage = float);
SELECT ivf_recall('<=>', 10) >= 0.9 AS cosine_from_index;
INSERT INTO rows SELECT i, point(i) FROM generate_series(3001, 4000) i;
DELETE FROM rows WHERE id % 3 = 0;
VACUUM rows;
INSERT INTO rows SELECT i, point(i) FROM generate_series(4001, 5000) i;
SELECT ivf_recall('<=>', 10) >= 0.9 AS cosine_from_index_later;
SELECT vectorcoll.ivf_check('rows_v', true);
SELECT count(*) = (SELECT count(*) FROM rows) AS all FROM (SELECT id FROM rows ORDER BY v <=> point(7) LIMIT 100000) s;
DROP INDEX rows_v;
CREATE INDEX rows_v ON rows USING vc_ivf (v vector_l2_ops) WITH (lists = 20, bits = 4);
SELECT ivf_recall('<->', 10) >= 0.9 AS four_bits;
INSERT INTO rows SELECT i, point(i) FROM generate_series(5001, 5500) i;
DELETE FROM rows WHERE id > 5000;
VACUUM rows;
SELECT count(*) = (SELECT count(*) FROM rows) AS all, count(*) = count(DISTINCT id) AS once FROM (SELECT id FROM rows ORDER BY v <-> point(7) LIMIT 100000) s;
SELECT vectorcoll.ivf_check('rows_v', true);
DROP INDEX rows_v;
CREATE INDEX rows_v ON rows USING vc_ivf (v vector_ip_ops) WITH (lists = 20, bits = 8, storage = float);
SELECT ivf_recall('<#>', 10) >= 0.9 AS eight_bits;
SELECT vectorcoll.ivf_check('rows_v', true);
DROP INDEX rows_v;
CREATE INDEX rows_v ON rows USING vc_ivf ((v::halfvec(12)) halfvec_l2_ops) WITH (lists = 20);
SELECT ivf_recall('<->', 10, 'point', 'v::halfvec(12)') >= 0.9 AS halfvec_expression;
SELECT vectorcoll.ivf_check('rows_v', true);
DROP INDEX rows_v;
CREATE TABLE halves AS SELECT id, v::halfvec(12) AS v FROM rows;
CREATE INDEX ON halves USING vc_ivf (v halfvec_cosine_ops) WITH (storage = float, lists = 20);
SELECT ivf_recall('<=>', 10, 'point', 'v', 'halves') >= 0.9 AS halfvec_cosine;
CREATE INDEX ON halves USING vc_ivf (v halfvec_ip_ops) WITH (lists = 20);
SELECT ivf_recall('<#>', 10, 'point', 'v', 'halves') >= 0.9 AS halfvec_ip;
SELECT vectorcoll.ivf_check(indexrelid, true) FROM pg_index WHERE indrelid = 'halves'::regclass;
CREATE TABLE bits (id int, v bit(64));
CREATE FUNCTION bits_of(i int) RETURNS bit LANGUAGE sql IMMUTABLE AS $$
    SELECT (i % 40 * 104729 * 7919::bigint + hashint4extended(i, 0) % 65536)::bit(64) $$;
INSERT INTO bits SELECT i, bits_of(i) FROM generate_series(1, 3000) i;
CREATE INDEX ON bits USING vc_ivf (v bit_hamming_ops) WITH (lists = 20);
-- Ties are many: what counts is the distances found.
SELECT array(SELECT v <~> bits_of(9) FROM bits ORDER BY v <~> bits_of(9) LIMIT 20) =
       array(SELECT d FROM (SELECT v <~> bits_of(9) AS d FROM bits OFFSET 0) s ORDER BY d LIMIT 20) AS hamming;
SELECT vectorcoll.ivf_check('bits_v_idx', true);

-- Empty and tiny tables, nulls, zero vectors, duplicates, extreme values.
CREATE TABLE tiny (id int, v vector(3));
CREATE INDEX tiny_v ON tiny USING vc_ivf (v vector_cosine_ops);
SELECT count(*) FROM (SELECT id FROM tiny ORDER BY v <=> '[1,2,3]' LIMIT 10) s;
INSERT INTO tiny VALUES (1, '[1,0,0]'), (2, NULL), (3, '[0,0,0]'), (4, '[0,1,0]'), (5, '[1,1,0]');
SELECT id, round((v <=> '[1,0.1,0]')::numeric, 4) AS d FROM tiny ORDER BY v <=> '[1,0.1,0]' LIMIT 10;
SELECT count(*) FROM (SELECT id FROM tiny ORDER BY v <=> '[0,0,0]' LIMIT 10) s;
TRUNCATE tiny;
INSERT INTO tiny SELECT i, '[1,2,3]' FROM generate_series(1, 3000) i;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM tiny ORDER BY v <=> '[3,2,1]' LIMIT 10000) s;
REINDEX INDEX tiny_v;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM tiny ORDER BY v <=> '[3,2,1]' LIMIT 10000) s;
DROP INDEX tiny_v;
CREATE INDEX tiny_v ON tiny USING vc_ivf (v vector_l2_ops) WITH (lists = 5);
INSERT INTO tiny VALUES (-1, '[3e38,-3e38,3e38]'), (-2, '[1e-38,1e-45,0]'), (-3, '[1e20,1e20,1e20]');
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM tiny ORDER BY v <-> '[3,2,1]' LIMIT 10000) s;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM tiny ORDER BY v <-> '[3e38,2,1]' LIMIT 10000) s;
SELECT id FROM tiny ORDER BY v <-> '[0,0,0]' LIMIT 1;
SELECT vectorcoll.ivf_check('tiny_v', true);

-- Codes larger than a page, values larger than a page.
CREATE TABLE wide (id int, v vector(5001));
INSERT INTO wide SELECT i, (SELECT array_agg((i * j * 0.618034) % 1) FROM generate_series(1, 5001) j)::vector FROM generate_series(1, 80) i;
CREATE INDEX wide_v ON wide USING vc_ivf (v vector_l2_ops) WITH (lists = 2, storage = float, bits = 3);
SELECT w.id, array(SELECT id FROM wide ORDER BY v <-> w.v LIMIT 1) FROM wide w WHERE id IN (1, 33, 80) ORDER BY 1;
DELETE FROM wide WHERE id <= 40;
VACUUM wide;
INSERT INTO wide SELECT i, (SELECT array_agg((i * j * 0.618034) % 1) FROM generate_series(1, 5001) j)::vector FROM generate_series(1, 40) i;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM wide ORDER BY v <-> (SELECT v FROM wide WHERE id = 5) LIMIT 100) s;
SELECT vectorcoll.ivf_check('wide_v', true);
DROP TABLE wide;

-- Concurrent and unlogged builds, clusters of lists chosen from the number of rows.
CREATE INDEX CONCURRENTLY rows_v ON rows USING vc_ivf (v vector_l2_ops);
SELECT ivf_recall('<->', 10) >= 0.95 AS concurrently;
REINDEX INDEX CONCURRENTLY rows_v;
SELECT ivf_recall('<->', 10) >= 0.95 AS reindexed;
CREATE UNLOGGED TABLE unlogged_rows AS SELECT * FROM rows;
CREATE INDEX ON unlogged_rows USING vc_ivf (v vector_l2_ops);
SELECT ivf_recall('<->', 10, 'point', 'v', 'unlogged_rows') >= 0.95 AS unlogged;
-- In parallel.
SET min_parallel_table_scan_size = 0;
SET max_parallel_maintenance_workers = 2;
DROP INDEX rows_v;
CREATE INDEX rows_v ON rows USING vc_ivf (v vector_l2_ops) WITH (lists = 30);
SELECT ivf_recall('<->', 10) >= 0.95 AS parallel;
SELECT count(*) = (SELECT count(*) FROM rows), count(*) = count(DISTINCT id) FROM (SELECT id FROM rows ORDER BY v <-> point(7) LIMIT 100000) s;
SELECT reltuples FROM pg_class WHERE relname = 'rows_v';
SELECT vectorcoll.ivf_check('rows_v', true);

-- What the lists look like. An index that is made on an empty table trains itself when there are rows.
SELECT rows, lists, trained_on, built_rows, list_sizes[1] > 0 AS no_empty_list, imbalance BETWEEN 1 AND 3 AS balanced,
    free_share BETWEEN 0 AND 0.9 AS free, mean_error > 0 AS error, round(error_growth::numeric, 3) AS error_growth, advice FROM vectorcoll.ivf_stats('rows_v');
CREATE TABLE fresh (LIKE rows);
CREATE INDEX fresh_v ON fresh USING vc_ivf (v vector_l2_ops);
SELECT rows, lists, trained_on, advice FROM vectorcoll.ivf_stats('fresh_v');
INSERT INTO fresh SELECT * FROM rows LIMIT 900;
SELECT rows, lists, trained_on, advice FROM vectorcoll.ivf_stats('fresh_v');
SELECT ivf_recall('<->', 10, 'point', 'v', 'fresh') AS exact;
INSERT INTO fresh SELECT * FROM rows OFFSET 900;
SELECT rows, lists, trained_on, built_rows, advice FROM vectorcoll.ivf_stats('fresh_v');
SELECT vectorcoll.ivf_check('fresh_v', true);
SELECT ivf_recall('<->', 10, 'point', 'v', 'fresh') >= 0.95 AS trained;
INSERT INTO fresh SELECT i, point(i) FROM generate_series(10001, 18000) i;
SELECT rows, lists, trained_on, built_rows, advice FROM vectorcoll.ivf_stats('fresh_v');
SELECT vectorcoll.ivf_check('fresh_v', true);
SELECT ivf_recall('<->', 10, 'point', 'v', 'fresh') >= 0.95 AS trained_again;
SELECT count(*) = (SELECT count(*) FROM fresh) AS all, count(*) = count(DISTINCT id) AS once FROM (SELECT id FROM fresh ORDER BY v <-> point(7) LIMIT 100000) s;
-- Rows deleted meanwhile, values in the index, lists as asked for.
DROP INDEX fresh_v;
CREATE TABLE fresh2 (LIKE rows);
CREATE INDEX fresh2_v ON fresh2 USING vc_ivf (v vector_cosine_ops) WITH (lists = 7, storage = float, bits = 2);
INSERT INTO fresh2 SELECT * FROM rows LIMIT 800;
DELETE FROM fresh2 WHERE id % 2 = 0;
INSERT INTO fresh2 SELECT * FROM rows OFFSET 800;
VACUUM fresh2;
SELECT rows = (SELECT count(*) FROM fresh2) AS all, lists, advice FROM vectorcoll.ivf_stats('fresh2_v');
SELECT vectorcoll.ivf_check('fresh2_v', true);
SELECT ivf_recall('<=>', 10, 'point', 'v', 'fresh2') >= 0.9 AS trained;
CREATE INDEX fresh_v ON fresh USING vc_ivf (v vector_l2_ops) WITH (lists = 1);
SELECT rows, lists, trained_on, advice FROM vectorcoll.ivf_stats('fresh_v');
SELECT vectorcoll.ivf_check('pg_class_oid_index');
SELECT vectorcoll.ivf_check('rows');
CREATE ROLE regress_ivf_other;
GRANT USAGE ON SCHEMA public TO regress_ivf_other;
SET ROLE regress_ivf_other;
SELECT vectorcoll.ivf_check('rows_v');
SELECT vectorcoll.ivf_stats('rows_v');
RESET ROLE;
REVOKE USAGE ON SCHEMA public FROM regress_ivf_other;
DROP ROLE regress_ivf_other;

-- What cannot be.
SELECT id FROM rows ORDER BY v <-> '[1,2]' LIMIT 1;
INSERT INTO tiny VALUES (1, '[1,2]');
CREATE TABLE loose (v vector);
CREATE INDEX ON loose USING vc_ivf (v);
CREATE INDEX ON rows USING vc_ivf (v) WITH (lists = 100000);
CREATE INDEX ON rows USING vc_ivf (v) WITH (storage = moon);
CREATE INDEX ON rows USING vc_ivf (v vector_l1_ops);
CREATE INDEX ON rows USING vc_ivf (id);
CREATE UNIQUE INDEX ON rows USING vc_ivf (v);
SET vc_ivf.probes = -1;
SET vc_ivf.nonsense = 1;
DROP TABLE rows, fresh, fresh2, halves, bits, tiny, loose, unlogged_rows;
DROP FUNCTION point(int), ivf_recall, bits_of;
