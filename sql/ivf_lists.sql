-- vc_ivf with more lists than are looked through one by one: the root has branches.
SET client_min_messages = warning;
CREATE TABLE spots (id int, v vector(4));
INSERT INTO spots SELECT i, ARRAY[(i * 0.414214) % 1, (i * 0.732051) % 1, (i * 0.236068) % 1, (i * 0.645751) % 1]::vector
    FROM generate_series(1, 30000) i;
CREATE INDEX spots_v ON spots USING vc_ivf (v vector_l2_ops) WITH (lists = 6000);
SELECT lists > 4096 AS many, rows, advice FROM vectorcoll.ivf_stats('spots_v');
SELECT vectorcoll.ivf_check('spots_v', true);
CREATE FUNCTION spots_recall() RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE hits int := 0; exact int[]; found int[]; q vector;
BEGIN
    FOR i IN 1..40 LOOP
        q := ARRAY[(i * 0.11) % 1, (i * 0.23) % 1, (i * 0.37) % 1, (i * 0.53) % 1]::vector;
        SET LOCAL enable_indexscan = off; SET LOCAL enable_seqscan = on;
        exact := array(SELECT id FROM spots ORDER BY v <-> q LIMIT 10);
        SET LOCAL enable_indexscan = on; SET LOCAL enable_seqscan = off;
        found := array(SELECT id FROM spots ORDER BY v <-> q LIMIT 10);
        hits := hits + (SELECT count(*) FROM unnest(exact) e WHERE e = ANY (found));
    END LOOP;
    RETURN hits / 400.0;
END $$;
SELECT spots_recall() >= 0.9 AS recall;
SET vc_ivf.target_recall = 0.999;
SELECT spots_recall() >= 0.98 AS more;
-- All rows come, in order, whatever branch they are in.
SET enable_seqscan = off;
SELECT count(*), count(DISTINCT id), bool_and(d >= before) AS ordered FROM
    (SELECT id, d, lag(d, 1, 0) OVER () AS before FROM
        (SELECT id, v <-> '[0.1,0.2,0.3,0.4]' AS d FROM spots ORDER BY v <-> '[0.1,0.2,0.3,0.4]' LIMIT 3000) s) s;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM spots ORDER BY v <-> '[0.1,0.2,0.3,0.4]' LIMIT 100000) s;
-- Vacuum and inserts reach every list.
DELETE FROM spots WHERE id % 2 = 0;
VACUUM spots;
SELECT rows FROM vectorcoll.ivf_stats('spots_v');
INSERT INTO spots SELECT i, ARRAY[(i * 0.414214) % 1, (i * 0.732051) % 1, (i * 0.236068) % 1, (i * 0.645751) % 1]::vector
    FROM generate_series(30001, 45000) i;
SELECT vectorcoll.ivf_check('spots_v', true);
SELECT rows FROM vectorcoll.ivf_stats('spots_v');
SELECT spots_recall() >= 0.98 AS later;
DROP TABLE spots;
DROP FUNCTION spots_recall();

-- Lists that several processes look for together, in a table where some blocks have fewer rows than others, or none: no list is made of anything but
-- rows, so none is empty.
SET min_parallel_table_scan_size = 0;
SET max_parallel_maintenance_workers = 2;
CREATE TABLE gaps (id int, v vector(64));
INSERT INTO gaps SELECT i, CASE WHEN i < 16000 OR i % 3 = 0 THEN array(SELECT 10 + random() FROM generate_series(1, 64) WHERE i > 0)::vector END
    FROM generate_series(1, 24000) i;
DELETE FROM gaps WHERE id BETWEEN 4000 AND 6000;
VACUUM ANALYZE gaps;
CREATE INDEX gaps_v ON gaps USING vc_ivf (v) WITH (lists = 60);
CREATE FUNCTION gaps_made(OUT lists bigint, OUT sampled bool, OUT rows bigint, OUT no_empty_list bool, OUT balanced bool) LANGUAGE sql AS $$
    SELECT lists, trained_on BETWEEN 8000 AND 10000, rows, list_sizes[1] > 0, imbalance < 3 FROM vectorcoll.ivf_stats('gaps_v') $$;
SELECT * FROM gaps_made();
SELECT vectorcoll.ivf_check('gaps_v', true);
REINDEX INDEX CONCURRENTLY gaps_v;
SELECT * FROM gaps_made();
SELECT vectorcoll.ivf_check('gaps_v', true);
-- Too little memory for all to have their own: one process trains, and the others put rows into lists.
SET maintenance_work_mem = '64MB';
CREATE INDEX gaps_2 ON gaps USING vc_ivf (v) WITH (lists = 16000);
SELECT lists > 10000 AS lists, rows FROM vectorcoll.ivf_stats('gaps_2');
DROP TABLE gaps;
DROP FUNCTION gaps_made();
-- Nor does an insert fail whose index is due for more lists than there is memory to look for: it makes fewer.
SET maintenance_work_mem = '1MB';
CREATE TABLE many (id int, v vector(256));
CREATE INDEX many_v ON many USING vc_ivf (v) WITH (lists = 2000);
INSERT INTO many SELECT i, array(SELECT random() FROM generate_series(1, 256) WHERE i > 0)::vector FROM generate_series(1, 2000) i;
INSERT INTO many SELECT i, array(SELECT random() FROM generate_series(1, 256) WHERE i > 0)::vector FROM generate_series(2001, 4000) i;
SELECT lists > 1 AND lists < 2000 AS fewer, rows FROM vectorcoll.ivf_stats('many_v');
SELECT vectorcoll.ivf_check('many_v', true);
DROP TABLE many;
