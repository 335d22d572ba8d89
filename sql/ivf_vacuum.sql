-- vc_ivf: what VACUUM leaves: no dead rows, short lists, pages that are used again, the same recall.
SET client_min_messages = warning;
CREATE FUNCTION place(i int) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
    SELECT ('[' || string_agg(((i % 20 * s * 7) % 5 + (i * s) % 1)::numeric(8, 6)::text, ',' ORDER BY s) || ']')::vector
    FROM unnest(ARRAY[0.414214, 0.732051, 0.236068, 0.645751, 0.316625, 0.605551, 0.123106, 0.358899]) s $$;
CREATE FUNCTION recall(tab text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE hits int := 0; exact int[]; found int[];
BEGIN
    FOR i IN 1..30 LOOP
        SET LOCAL enable_indexscan = off; SET LOCAL enable_seqscan = on;
        EXECUTE format('SELECT array(SELECT id FROM %I ORDER BY v <-> place(%s) LIMIT 10)', tab, 1000000 + i * 3) INTO exact;
        SET LOCAL enable_indexscan = on; SET LOCAL enable_seqscan = off;
        EXECUTE format('SELECT array(SELECT id FROM %I ORDER BY v <-> place(%s) LIMIT 10)', tab, 1000000 + i * 3) INTO found;
        hits := hits + (SELECT count(*) FROM unnest(exact) e WHERE e = ANY (found));
    END LOOP;
    RETURN round(hits / 300.0, 3);
END $$;

-- Pages of lists that most rows were deleted from are used again, whatever a row is made of.
CREATE TABLE a (id int, v vector(8), k int);
INSERT INTO a SELECT i, place(i), i FROM generate_series(1, 12000) i;
CREATE TABLE b (LIKE a);
INSERT INTO b SELECT * FROM a;
CREATE TABLE w (id int, v vector(2500));
INSERT INTO w SELECT i, (SELECT array_agg((i * j * 0.618034) % 1) FROM generate_series(1, 2500) j)::vector FROM generate_series(1, 300) i;
CREATE INDEX a_v ON a USING vc_ivf (v, k) WITH (lists = 4);
CREATE INDEX b_v ON b USING vc_ivf (v) WITH (lists = 4, storage = float, bits = 3);
CREATE INDEX w_v ON w USING vc_ivf (v) WITH (lists = 2, storage = float, bits = 2);
CREATE TABLE h (LIKE a);
INSERT INTO h SELECT * FROM a;
CREATE INDEX h_v ON h USING vc_ivf (v) WITH (lists = 4, storage = half, quantization = none);
SELECT pg_relation_size('a_v') AS a_size, pg_relation_size('b_v') AS b_size, pg_relation_size('w_v') AS w_size, pg_relation_size('h_v') AS h_size \gset
DELETE FROM a WHERE id / 20 % 4 <> 0;
DELETE FROM b WHERE id / 20 % 4 <> 0;
DELETE FROM w WHERE id % 4 <> 0;
DELETE FROM h WHERE id / 20 % 4 <> 0;
VACUUM (PARALLEL 0) a, b, h, w;
SELECT i, rows, free_share < 0.5 AS packed FROM unnest(ARRAY['a_v', 'b_v', 'h_v', 'w_v']) i, vectorcoll.ivf_stats(i::regclass);
SELECT vectorcoll.ivf_check(i::regclass, true) FROM unnest(ARRAY['a_v', 'b_v', 'h_v', 'w_v']) i;
SELECT recall('a') >= 0.95 AS a, recall('b') >= 0.95 AS b, recall('h') >= 0.95 AS h;
SET enable_seqscan = off;
SELECT array(SELECT id FROM a WHERE k < 20 ORDER BY v <-> place(8) LIMIT 20);
SELECT array(SELECT id FROM w ORDER BY v <-> (SELECT v FROM w WHERE id = 80) LIMIT 1), (SELECT count(*) FROM (SELECT id FROM w ORDER BY v <-> (SELECT v FROM w WHERE id = 80) LIMIT 1000) s);
RESET enable_seqscan;
-- All rows of other lists than before: only pages of another list can have been used.
INSERT INTO a SELECT i, place(i), i FROM generate_series(20000, 60000, 20) i, generate_series(1, 4);
INSERT INTO b SELECT i, place(i), i FROM generate_series(20000, 60000, 20) i, generate_series(1, 4);
INSERT INTO h SELECT i, place(i), i FROM generate_series(20000, 60000, 20) i, generate_series(1, 4);
INSERT INTO w SELECT 1000 + i, (SELECT v FROM w WHERE id = 80) FROM generate_series(1, 200) i;
SELECT pg_relation_size('a_v') <= :a_size * 1.05 AS a, pg_relation_size('b_v') <= :b_size * 1.05 AS b, pg_relation_size('h_v') <= :h_size * 1.05 AS h, pg_relation_size('w_v') <= :w_size * 1.05 AS w;
SELECT vectorcoll.ivf_check(i::regclass, true) FROM unnest(ARRAY['a_v', 'b_v', 'h_v', 'w_v']) i;
DROP TABLE a, b, h, w;

-- Twenty rounds of deletions and insertions.
CREATE TABLE cycled (id int, v vector(8));
INSERT INTO cycled SELECT i, place(i) FROM generate_series(1, 6000) i;
CREATE INDEX cycled_v ON cycled USING vc_ivf (v);
SELECT pg_relation_size('cycled_v') AS size \gset
SELECT unnest(ARRAY[format('DELETE FROM cycled WHERE id / 20 %% 3 = %s', r % 3), 'VACUUM cycled',
    format('INSERT INTO cycled SELECT i, place(i) FROM generate_series(%s, %s) i WHERE i / 20 %% 3 = %s', r * 6000, r * 6000 + 5999, r % 3)])
FROM generate_series(1, 20) r \gexec
SELECT count(*) FROM cycled;
SELECT pg_relation_size('cycled_v') <= :size * 1.3 AS size, recall('cycled') >= 0.95 AS recall, rows, advice FROM vectorcoll.ivf_stats('cycled_v');
SELECT vectorcoll.ivf_check('cycled_v', true);

-- The lists that an index had before it trained itself are freed, too.
CREATE TABLE fresh (LIKE cycled);
CREATE INDEX fresh_v ON fresh USING vc_ivf (v);
INSERT INTO fresh SELECT i, place(i) FROM generate_series(1, 16000) i;
SELECT free_pages FROM vectorcoll.ivf_stats('fresh_v');
VACUUM fresh;
SELECT free_pages BETWEEN 10 AND 100 AS freed, pages FROM vectorcoll.ivf_stats('fresh_v') \gset
SELECT :'freed' AS freed;
INSERT INTO fresh SELECT i, place(i) FROM generate_series(1, 20000, 20) i;
SELECT pages = :pages AS no_larger FROM vectorcoll.ivf_stats('fresh_v');
SELECT vectorcoll.ivf_check('fresh_v', true);
SELECT recall('fresh') >= 0.95 AS recall;

-- All rows deleted.
DELETE FROM fresh;
VACUUM fresh;
SELECT rows, free_share, advice FROM vectorcoll.ivf_stats('fresh_v');
SELECT vectorcoll.ivf_check('fresh_v', true);
INSERT INTO fresh SELECT i, place(i) FROM generate_series(1, 17000) i;
SELECT pages <= :pages * 1.05 AS size, recall('fresh') >= 0.95 AS recall FROM vectorcoll.ivf_stats('fresh_v');

-- What ivf_stats advises: nothing, until rows come from elsewhere, most rows are gone, or there are many more.
CREATE TABLE drifting (id int, v vector(8));
INSERT INTO drifting SELECT i, place(i) FROM generate_series(1, 10000) i;
CREATE INDEX drifting_v ON drifting USING vc_ivf (v);
SELECT advice, round(error_growth::numeric, 1) AS growth, cardinality(list_sizes) AS sizes, round((tail_share + dead_share - free_share)::numeric, 6) AS rest FROM vectorcoll.ivf_stats('drifting_v');
INSERT INTO drifting SELECT i, place(i) FROM generate_series(10001, 15000) i;
SELECT advice FROM vectorcoll.ivf_stats('drifting_v');
-- Rows where none were before: far from all centroids.
INSERT INTO drifting SELECT i, place(i) + array_fill(20 + i % 7, ARRAY[8])::vector FROM generate_series(15001, 18000) i;
SELECT advice, error_growth > 1.25 AS growth FROM vectorcoll.ivf_stats('drifting_v');
REINDEX INDEX drifting_v;
SELECT advice FROM vectorcoll.ivf_stats('drifting_v');
-- Many rows in one place.
INSERT INTO drifting SELECT i, place(7) + array_fill(i % 10 / 1000.0, ARRAY[8])::vector FROM generate_series(20001, 36000) i;
SELECT advice, imbalance > 6 AS imbalance FROM vectorcoll.ivf_stats('drifting_v');
REINDEX INDEX drifting_v;
SELECT advice FROM vectorcoll.ivf_stats('drifting_v');
-- Four times as many rows.
DELETE FROM drifting WHERE id > 3000;
VACUUM drifting;
REINDEX INDEX drifting_v;
INSERT INTO drifting SELECT i, place(i) FROM generate_series(3001, 14000) i;
SELECT advice FROM vectorcoll.ivf_stats('drifting_v');
REINDEX INDEX drifting_v;
-- Few rows left; the ends of many lists take more than they do.
DELETE FROM drifting WHERE id / 20 % 10 > 0;
VACUUM drifting;
SELECT rows, advice FROM vectorcoll.ivf_stats('drifting_v');
DROP TABLE cycled, fresh, drifting;
DROP FUNCTION place, recall;
