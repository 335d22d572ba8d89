-- vc_ivf with spill: each row is in a second list, too, and comes once.
SET client_min_messages = warning;
CREATE TABLE rows (id int, k int, v vector(12));
CREATE FUNCTION point(i int) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg((i % 40 * s * 7) % 5 + (i * s) % 1 ORDER BY s)::vector
    FROM unnest(ARRAY[0.414214, 0.732051, 0.236068, 0.645751, 0.316625, 0.605551, 0.123106, 0.358899, 0.795832, 0.385165,
                      0.567764, 0.082763]) s $$;
INSERT INTO rows SELECT i, i % 10, point(i) FROM generate_series(1, 5000) i;
CREATE FUNCTION recall(op text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE hits int := 0; exact int[]; found int[]; command text;
BEGIN
    FOR i IN 1..40 LOOP
        command := format('SELECT array(SELECT id FROM rows ORDER BY v %s point(%s) LIMIT 10)', op, 100000 + i * 3);
        SET LOCAL enable_indexscan = off; SET LOCAL enable_seqscan = on;
        EXECUTE command INTO exact;
        SET LOCAL enable_indexscan = on; SET LOCAL enable_seqscan = off;
        EXECUTE command INTO found;
        ASSERT (SELECT count(DISTINCT f) FROM unnest(found) f) = 10;
        hits := hits + (SELECT count(*) FROM unnest(exact) e WHERE e = ANY (found));
    END LOOP;
    RETURN hits / 400.0;
END $$;
-- What one list finds, without and with second copies.
SET vc_ivf.probes = 1;
CREATE INDEX rows_v ON rows USING vc_ivf (v vector_l2_ops) WITH (lists = 100);
SELECT recall('<->') AS plain \gset
DROP INDEX rows_v;
CREATE INDEX rows_v ON rows USING vc_ivf (v vector_l2_ops, k) WITH (lists = 100, spill = on);
SELECT recall('<->') > :plain AS more;
RESET vc_ivf.probes;
SELECT recall('<->') >= 0.95 AS recall;
SELECT vectorcoll.ivf_check('rows_v', true);
SELECT rows, lists, free_share BETWEEN 0 AND 1 AS free, advice FROM vectorcoll.ivf_stats('rows_v');
-- All rows, each once, in order.
SET enable_seqscan = off;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM rows ORDER BY v <-> point(7) LIMIT 100000) s;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM rows WHERE k = 3 ORDER BY v <-> point(7) LIMIT 100000) s;
SELECT bool_and(d >= before) AS ordered FROM (SELECT d, lag(d, 1, 0) OVER () AS before
    FROM (SELECT v <-> point(7) AS d FROM rows ORDER BY v <-> point(7) LIMIT 4000) s) s;
-- Inserts and deletes reach both copies; vacuum repacks them.
INSERT INTO rows SELECT i, i % 10, point(i) FROM generate_series(5001, 7000) i;
DELETE FROM rows WHERE id % 10 < 6;
VACUUM rows;
SELECT vectorcoll.ivf_check('rows_v', true);
SELECT rows FROM vectorcoll.ivf_stats('rows_v');
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM rows ORDER BY v <-> point(7) LIMIT 100000) s;
INSERT INTO rows SELECT i, i % 10, point(i) FROM generate_series(1, 5000) i WHERE i % 10 < 6;
SELECT vectorcoll.ivf_check('rows_v', true);
SELECT recall('<->') >= 0.95 AS recall;
SELECT reltuples FROM pg_class WHERE relname = 'rows_v';
VACUUM rows;
SELECT count(*) = (SELECT reltuples FROM pg_class WHERE relname = 'rows_v') AS counted FROM rows;
DROP INDEX rows_v;
-- With values in place of codes, other metrics, one list, an index that trains itself.
CREATE INDEX rows_v ON rows USING vc_ivf (v vector_cosine_ops) WITH (lists = 50, spill = on, quantization = none, storage = half);
SELECT recall('<=>') >= 0.95 AS recall;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM rows ORDER BY v <=> point(7) LIMIT 100000) s;
SELECT vectorcoll.ivf_check('rows_v', true);
DROP INDEX rows_v;
CREATE INDEX rows_v ON rows USING vc_ivf (v vector_ip_ops) WITH (lists = 50, spill = on, storage = float, bits = 2);
SELECT recall('<#>') >= 0.9 AS recall;
SELECT vectorcoll.ivf_check('rows_v', true);
DROP INDEX rows_v;
CREATE TABLE fresh (LIKE rows);
CREATE INDEX fresh_v ON fresh USING vc_ivf (v vector_l2_ops) WITH (spill = on);
INSERT INTO fresh SELECT * FROM rows;
SELECT rows = (SELECT count(*) FROM fresh) AS all, lists > 1 AS trained FROM vectorcoll.ivf_stats('fresh_v');
SELECT vectorcoll.ivf_check('fresh_v', true);
SELECT count(*) = count(DISTINCT id) AS once FROM (SELECT id FROM fresh ORDER BY v <-> point(7) LIMIT 100000) s;
DROP TABLE rows, fresh;
DROP FUNCTION point(int), recall;
