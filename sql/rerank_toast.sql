-- Values that are stored out of line and compared in the table: the same rows in the same order as without an index, wherever
-- updates, vacuum and rewriting have put the chunks.
SET client_min_messages = warning;
CREATE TABLE wide (id int, v vector(600));
CREATE FUNCTION wide(i int) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg(((i * x * 0.618034) % 1)::float4 + (i % 7) ORDER BY x)::vector FROM generate_series(1, 600) x $$;
ALTER TABLE wide ALTER v SET STORAGE EXTERNAL;
INSERT INTO wide SELECT i, wide(i) FROM generate_series(1, 500) i;
CREATE INDEX wide_ivf ON wide USING vc_ivf (v) WITH (lists = 4);
CREATE TABLE other (id int, v vector(600));
ALTER TABLE other ALTER v SET STORAGE EXTERNAL;
INSERT INTO other SELECT * FROM wide;
CREATE INDEX other_compact ON other USING vc_hnsw (v) WITH (storage = compact);
SET vc_ivf.target_recall = 1;
SET vc_hnsw.ef_search = 1000;
CREATE TABLE query AS SELECT q, wide(q * 37) AS v FROM generate_series(1, 12) q;
-- Queries whose answer by an index differs from that of an exact search.
CREATE FUNCTION differ(relation regclass) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE exact text[]; found text[];
    query text := format('SELECT array_agg(near ORDER BY q) FROM (SELECT q, (SELECT string_agg(id::text, '','') FROM
        (SELECT t.id FROM %s t ORDER BY t.v <-> query.v LIMIT 10) s) AS near FROM query) t', relation);
BEGIN
    SET LOCAL enable_seqscan = on;
    SET LOCAL enable_indexscan = off;
    EXECUTE query INTO exact;
    SET LOCAL enable_indexscan = on;
    SET LOCAL enable_seqscan = off;
    EXECUTE query INTO found;
    RETURN (SELECT count(*) FROM unnest(exact, found) x (e, f) WHERE e IS DISTINCT FROM f);
END $$;
-- What the values compared take: how many of them the TOAST table's index was asked for, and blocks of the TOAST table for each.
-- The server's counts are of the transaction, and of what has not been reported yet: their difference is the function's.
CREATE FUNCTION fetching(relation regclass, OUT compared bigint, OUT asked bigint, OUT blocks numeric) LANGUAGE plpgsql AS $$
DECLARE
    toast oid := (SELECT reltoastrelid FROM pg_class WHERE oid = relation);
    toast_index oid := (SELECT indexrelid FROM pg_index WHERE indrelid = toast);
    asked_before bigint := pg_stat_get_xact_numscans(toast_index);
    blocks_before bigint := pg_stat_get_xact_blocks_fetched(toast);
    compared_before bigint := (SELECT distances FROM vectorcoll.scan_stats());
BEGIN
    SET LOCAL enable_seqscan = off;
    EXECUTE format('SELECT count(*) FROM query, LATERAL (SELECT id FROM %s t ORDER BY t.v <-> query.v LIMIT 10) s', relation);
    compared := (SELECT distances FROM vectorcoll.scan_stats()) - compared_before;
    asked := pg_stat_get_xact_numscans(toast_index) - asked_before;
    blocks := round((pg_stat_get_xact_blocks_fetched(toast) - blocks_before)::numeric / compared, 1);
END $$;
SELECT differ('wide') AS ivf, differ('other') AS compact;
SELECT r, asked * 50 <= compared AS without_index, blocks <= 2.2 AS one_look FROM unnest('{wide,other}'::regclass[]) r, fetching(r);
-- Chunks of new versions lie where there is room, not in the order of their ids.
DELETE FROM wide WHERE id % 5 = 0;
DELETE FROM other WHERE id % 5 = 0;
VACUUM wide, other;
UPDATE wide SET v = wide(id + 3000) WHERE id % 3 = 0;
UPDATE other SET v = wide(id + 3000) WHERE id % 3 = 0;
SELECT differ('wide') AS ivf, differ('other') AS compact;
SELECT asked < 0.75 * compared AS without_index FROM fetching('wide');
-- Many misses in turn, then hits again.
SELECT sum(differ('wide')) AS ivf, sum(differ('other')) AS compact FROM generate_series(1, 3);
VACUUM FULL wide, other;
SELECT differ('wide') AS ivf, differ('other') AS compact;
-- Rows that came after the scan's first look; rows of a transaction that was rolled back are not seen.
INSERT INTO wide SELECT i, wide(i) FROM generate_series(501, 600) i;
BEGIN;
INSERT INTO wide SELECT i, wide(i) FROM generate_series(601, 700) i;
SELECT differ('wide') AS ivf;
ROLLBACK;
INSERT INTO other SELECT i, wide(i) FROM generate_series(501, 600) i;
SELECT differ('wide') AS ivf, differ('other') AS compact;
TRUNCATE wide;
INSERT INTO wide SELECT i, wide(i) FROM generate_series(1, 200) i;
SELECT differ('wide') AS ivf;
-- Compressed values, and some in line.
ALTER TABLE wide ALTER v SET STORAGE EXTENDED;
INSERT INTO wide SELECT i, array_fill(i / 100.0, ARRAY[600])::vector FROM generate_series(201, 300) i;
ALTER TABLE wide SET (toast_tuple_target = 8160);
INSERT INTO wide SELECT i, wide(i) FROM generate_series(301, 400) i;
SELECT differ('wide') AS ivf;
DROP TABLE wide, other, query;
DROP FUNCTION differ, fetching, wide;
