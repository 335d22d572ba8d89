-- vectorcoll.knn_batch: the same rows as one SELECT for each query, by index and without, and who may see them.
SET client_min_messages = warning;
SET vc_hnsw.ef_search = 400;
CREATE TABLE items (id int PRIMARY KEY, grp int, v vector(4), h halfvec(4), b bit(24), s sparsevec(4));
CREATE FUNCTION item(i int) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
    SELECT ('[' || string_agg(((i * x) % 1)::numeric(8, 6)::text, ',' ORDER BY x) || ']')::vector
    FROM unnest(ARRAY[0.414214, 0.732051, 0.236068, 0.645751]) x $$;
INSERT INTO items SELECT i, i % 3, item(i), item(i)::halfvec, (i * 7919 % 16777216)::bit(24), item(i)::sparsevec FROM generate_series(1, 3000) i;
INSERT INTO items SELECT i, 0 FROM generate_series(3001, 3010) i;
DELETE FROM items WHERE id % 10 = 0;

-- What a batch returns beside what SELECTs without index return: rows that differ in query, rank or distance.
CREATE FUNCTION differences(relation regclass, col text, op text, k int, n int DEFAULT 40, cond text DEFAULT 'true', metric text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE expected bigint; differ bigint;
BEGIN
    SET LOCAL enable_indexscan = off;
    EXECUTE format('CREATE TEMP TABLE expected ON COMMIT DROP AS SELECT q::int AS query_no, x.* FROM generate_series(1, $2) q,
        LATERAL (SELECT row_number() OVER (ORDER BY d)::int AS rank, d FROM (SELECT t.%1$I %2$s (SELECT f.%1$I FROM items f WHERE f.id = 61 * q %% 3000 + 1 - (61 * q %% 10 = 9)::int) AS d FROM items t
            WHERE %3$s AND t.%1$I IS NOT NULL ORDER BY d LIMIT $1) s) x', col, op, cond) USING k, n;
    SET LOCAL enable_indexscan = on;
    EXECUTE format('SELECT count(*) FROM (SELECT query_no, rank, d FROM expected) e FULL JOIN (SELECT query_no, rank, distance, r.ctid FROM vectorcoll.knn_batch($1,
        (SELECT array_agg(f.%1$I ORDER BY q) FROM generate_series(1, $3) q JOIN items f ON f.id = 61 * q %% 3000 + 1 - (61 * q %% 10 = 9)::int), $2, %2$s) r) r
        USING (query_no, rank) WHERE abs(e.d - r.distance) < 1e-5 IS NOT TRUE', col,
        CASE WHEN (SELECT relkind FROM pg_class WHERE oid = relation) IN ('i', 'I') THEN 'NULL' ELSE format('%L, %L', col, metric) END) USING relation, k, n INTO differ;
    SELECT count(*) FROM expected INTO expected;
    DROP TABLE expected;
    RETURN CASE WHEN differ = 0 THEN 'same' ELSE format('%s of %s differ', differ, expected) END;
END $$;

-- Without an index; then with each access method, type and metric.
SELECT differences('items', 'v', '<->', 10) AS l2, differences('items', 'v', '<=>', 10, metric => 'cosine') AS cosine,
       differences('items', 'v', '<#>', 3, metric => 'IP') AS ip, differences('items', 'v', '<+>', 1, metric => 'L1') AS l1,
       differences('items', 'h', '<->', 10) AS half, differences('items', 'b', '<~>', 10) AS hamming,
       differences('items', 'b', '<%>', 10, metric => 'JACCARD') AS jaccard, differences('items', 's', '<->', 10) AS sparse;
CREATE INDEX v_l2 ON items USING vc_hnsw (v vector_l2_ops);
CREATE INDEX v_cosine ON items USING vc_hnsw (v vector_cosine_ops);
CREATE INDEX v_ip ON items USING vc_hnsw (v vector_ip_ops);
CREATE INDEX v_l1 ON items USING vc_hnsw (v vector_l1_ops);
CREATE INDEX h_cosine ON items USING vc_hnsw (h halfvec_cosine_ops) WITH (storage = compact);
CREATE INDEX b_hamming ON items USING vc_hnsw (b bit_hamming_ops);
CREATE INDEX b_jaccard ON items USING vc_hnsw (b bit_jaccard_ops);
CREATE INDEX s_l2 ON items USING vc_hnsw (s sparsevec_l2_ops);
SELECT differences('v_l2', 'v', '<->', 10) AS l2, differences('v_cosine', 'v', '<=>', 10) AS cosine,
       differences('v_ip', 'v', '<#>', 3) AS ip, differences('v_l1', 'v', '<+>', 1) AS l1,
       differences('h_cosine', 'h', '<=>', 10) AS half, differences('b_hamming', 'b', '<~>', 10) AS hamming,
       differences('b_jaccard', 'b', '<%>', 10) AS jaccard, differences('s_l2', 's', '<->', 10) AS sparse;
SELECT differences('v_l2', 'v', '<->', 5000, 3) AS all_rows;
-- Naming the table means the same index.
SELECT scans FROM vectorcoll.scan_stats() \gset before_
SELECT differences('items', 'v', '<=>', 10, metric => 'COSINE') AS cosine;
SELECT scans - :before_scans AS scans, last_index, last_searches FROM vectorcoll.scan_stats();
DROP INDEX v_l2, v_cosine, v_ip, v_l1, h_cosine, b_hamming, b_jaccard, s_l2;
SET vc_ivf.target_recall = 1;
CREATE INDEX v_l2 ON items USING vc_ivf (v) WITH (lists = 20);
CREATE INDEX v_cosine ON items USING vc_ivf (v vector_cosine_ops) WITH (lists = 20, storage = float);
CREATE INDEX b_hamming ON items USING vc_ivf (b bit_hamming_ops) WITH (lists = 20);
SELECT differences('v_l2', 'v', '<->', 10) AS l2, differences('v_cosine', 'v', '<=>', 10) AS cosine, differences('b_hamming', 'b', '<~>', 10) AS hamming;
DROP INDEX v_l2, v_cosine, b_hamming;

-- A small work_mem makes several chunks of it.
CREATE INDEX v_l2 ON items USING vc_hnsw (v);
SET work_mem = '64kB';
SELECT differences('v_l2', 'v', '<->', 100, 200) AS chunks;
RESET work_mem;

-- Workers take a share of many queries: the same answers, all work counted, rows of this transaction seen. How soon they are worth while
-- is a matter of time, unless they cost nothing.
SET parallel_setup_cost = 0;
CREATE FUNCTION workers(relation regclass, n int) RETURNS SETOF int LANGUAGE sql AS $$
    SELECT query_no FROM vectorcoll.knn_batch($1, (SELECT array_agg(item(q)) FROM generate_series(1, $2) q), 1) $$;
SELECT differences('v_l2', 'v', '<->', 10, 400) AS workers;
SELECT last_index, last_searches, last_distances > 400 * 10 AS distances FROM vectorcoll.scan_stats();
-- One that is asked for may come when all is done; of some tries it has a share in one.
DO $$
DECLARE result text; shares bigint := 0;
BEGIN
    FOR i IN 1 .. 50 LOOP
        result := differences('v_l2', 'v', '<->', 10, 600);
        SELECT last_workers INTO shares FROM vectorcoll.scan_stats();
        EXIT WHEN shares > 0 OR result <> 'same';
    END LOOP;
    RAISE INFO 'with a worker: %, %', shares BETWEEN 1 AND 5, result;
END $$;
SET max_parallel_workers_per_gather = 0;
SELECT differences('v_l2', 'v', '<->', 10, 400) AS alone;
SELECT last_searches, last_workers FROM vectorcoll.scan_stats();
RESET max_parallel_workers_per_gather;
BEGIN;
INSERT INTO items SELECT i, 0, item(i) FROM generate_series(6001, 6300) i;
UPDATE items SET grp = 9 WHERE id % 7 = 0;
SELECT count(*), count(*) FILTER (WHERE i.id = 6000 + query_no AND distance = 0) AS new
    FROM vectorcoll.knn_batch('v_l2', (SELECT array_agg(item(6000 + q)) FROM generate_series(1, 300) q), 1) r JOIN items i ON i.ctid = r.ctid;
ROLLBACK;
SELECT count(*) FILTER (WHERE distance = 0) AS new FROM vectorcoll.knn_batch('v_l2', (SELECT array_agg(item(6000 + q)) FROM generate_series(1, 300) q), 1);
CREATE TEMP TABLE mine AS SELECT id, v FROM items;
CREATE INDEX mine_v ON mine USING vc_hnsw (v);
SET client_min_messages = debug1;
SELECT count(*) FROM workers('v_l2', 199);
SELECT count(*) FROM workers('v_l2', 399);
SELECT count(*) FROM workers('v_l2', 1000);
SELECT count(*) FROM workers('mine_v', 1000);
SET max_parallel_workers_per_gather = 0;
SELECT count(*) FROM workers('v_l2', 1000);
RESET max_parallel_workers_per_gather;
SET client_min_messages = warning;
ALTER TABLE items SET (parallel_workers = 1);
SET client_min_messages = debug1;
SELECT count(*) FROM workers('v_l2', 1000);
SET client_min_messages = warning;
ALTER TABLE items RESET (parallel_workers);
DROP TABLE mine;

-- Rows are joined by ctid; after an update the new version is found.
UPDATE items SET grp = 7 WHERE id = 11;
SELECT r.query_no, r.rank, i.id, i.grp, r.tableoid::regclass FROM vectorcoll.knn_batch('v_l2', ARRAY[item(11), item(12)], 2) r JOIN items i ON i.ctid = r.ctid
    ORDER BY query_no, rank;
-- The statement sees its own snapshot: not the rows it inserts.
WITH new AS (INSERT INTO items VALUES (5000, 0, item(11)) RETURNING id)
    SELECT count(*) FILTER (WHERE distance = 0) AS equal FROM vectorcoll.knn_batch('v_l2', ARRAY[item(11)], 2), new;
SELECT count(*) FILTER (WHERE distance = 0) AS equal FROM vectorcoll.knn_batch('v_l2', ARRAY[item(11)], 2);
DELETE FROM items WHERE id = 5000;

-- A partial index is all that is searched, an index over an expression by its expression.
CREATE INDEX v_part ON items USING vc_hnsw (v) WHERE grp = 1;
SELECT differences('v_part', 'v', '<->', 10, cond => 't.grp = 1') AS part;
CREATE INDEX v_expression ON items USING vc_hnsw ((h::vector(4)));
SELECT i.id, r.distance < 0.001 AS near FROM vectorcoll.knn_batch('v_expression', ARRAY[item(1)], 1) r JOIN items i ON i.ctid = r.ctid;
DROP INDEX v_part, v_expression;

-- Children and partitions are searched with their parents.
CREATE TABLE child () INHERITS (items);
INSERT INTO child SELECT 9000, 0, item(11);
SELECT tableoid::regclass, distance FROM vectorcoll.knn_batch('items', ARRAY[item(11)], 3, 'v') WHERE distance = 0 ORDER BY tableoid::regclass::text;
SELECT tableoid::regclass, distance FROM vectorcoll.knn_batch('v_l2', ARRAY[item(11)], 3) WHERE distance = 0;
DROP TABLE child;
CREATE TABLE parts (id int, v vector(4)) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (1000);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (1000) TO (9000);
INSERT INTO parts SELECT id, v FROM items WHERE v IS NOT NULL;
CREATE INDEX parts_v ON parts USING vc_hnsw (v);
SELECT differences('parts', 'v', '<->', 10) AS parts, differences('parts_v', 'v', '<->', 10) AS parts_by_index;
DROP TABLE parts;

-- Who may: as for SELECT, with column privileges and policies.
CREATE ROLE knn_reader;
GRANT USAGE ON SCHEMA vectorcoll TO knn_reader;
SET ROLE knn_reader;
SELECT count(*) FROM vectorcoll.knn_batch('v_l2', ARRAY[item(1)], 3);
SELECT count(*) FROM vectorcoll.knn_batch('items', ARRAY[item(1)], 3);
RESET ROLE;
GRANT SELECT (v) ON items TO knn_reader;
SET ROLE knn_reader;
SELECT count(*) FROM vectorcoll.knn_batch('v_l2', ARRAY[item(1)], 3);
RESET ROLE;
GRANT SELECT (v, ctid, tableoid) ON items TO knn_reader;
SET ROLE knn_reader;
SELECT count(*) FROM vectorcoll.knn_batch('v_l2', ARRAY[item(1)], 3);
RESET ROLE;
GRANT SELECT ON items TO knn_reader;
ALTER TABLE items ENABLE ROW LEVEL SECURITY;
CREATE POLICY group_one ON items USING (grp = 1);
SET ROLE knn_reader;
SELECT count(*), bool_and(i.grp = 1) AS allowed FROM vectorcoll.knn_batch('v_l2', ARRAY[item(1), item(2)], 30) r LEFT JOIN items i ON i.ctid = r.ctid;
SELECT count(*), bool_and(i.grp = 1) AS allowed FROM vectorcoll.knn_batch('items', ARRAY[item(1), item(2)], 30) r LEFT JOIN items i ON i.ctid = r.ctid;
SET row_security = off;
SELECT count(*) FROM vectorcoll.knn_batch('v_l2', ARRAY[item(1)], 3);
RESET row_security;
RESET ROLE;
SELECT count(*) FROM vectorcoll.knn_batch('v_l2', ARRAY[item(1), item(2)], 30);
ALTER TABLE items DISABLE ROW LEVEL SECURITY;

-- No queries, no rows; and what is refused.
SELECT count(*) FROM vectorcoll.knn_batch('v_l2', ARRAY[]::vector[], 3);
SELECT * FROM vectorcoll.knn_batch('v_l2', ARRAY[item(1)], 0);
SELECT * FROM vectorcoll.knn_batch('v_l2', ARRAY[item(1)], NULL);
SELECT * FROM vectorcoll.knn_batch('v_l2', ARRAY[item(1), NULL], 1);
SELECT * FROM vectorcoll.knn_batch('v_l2', ARRAY[ARRAY[item(1)]], 1);
SELECT * FROM vectorcoll.knn_batch('v_l2', ARRAY[item(1), '[1,2]'], 1);
SELECT * FROM vectorcoll.knn_batch('items', ARRAY[item(1), '[1,2]'], 1, metric => 'l1');
SELECT * FROM vectorcoll.knn_batch('v_l2', ARRAY[item(1)::halfvec], 1);
SELECT * FROM vectorcoll.knn_batch('v_l2', ARRAY[1, 2], 1);
SELECT * FROM vectorcoll.knn_batch('items', ARRAY[1, 2], 1);
SELECT * FROM vectorcoll.knn_batch('v_l2', ARRAY[item(1)], 1, metric => 'L2');
SELECT * FROM vectorcoll.knn_batch('items_pkey', ARRAY[item(1)], 1);
SELECT * FROM vectorcoll.knn_batch('items', ARRAY[item(1)], 1, 'grp');
SELECT * FROM vectorcoll.knn_batch('items', ARRAY[item(1)], 1, 'none');
SELECT * FROM vectorcoll.knn_batch('items', ARRAY[item(1)], 1, metric => 'HAMMING');
SELECT * FROM vectorcoll.knn_batch('items', ARRAY[item(1)], 1, metric => 'MANHATTAN');
SELECT * FROM vectorcoll.knn_batch('pg_tables', ARRAY[item(1)], 1);
SELECT * FROM vectorcoll.knn_batch(0, ARRAY[item(1)], 1);
ALTER TABLE items ADD COLUMN w vector(4);
SELECT * FROM vectorcoll.knn_batch('items', ARRAY[item(1)], 1);
DROP TABLE items;
DROP FUNCTION differences, item;
REVOKE USAGE ON SCHEMA vectorcoll FROM knn_reader;
DROP ROLE knn_reader;
