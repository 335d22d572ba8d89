-- Conditions on key columns are tested inside the index: rows that they reject are neither fetched from the table nor compared.
SET client_min_messages = warning;
CREATE TABLE places (id int, v vector(8), k int, note int);
SELECT setseed(0.5);
INSERT INTO places SELECT i, array(SELECT random() FROM generate_series(1, 8) WHERE i > 0)::vector, i % 500, i % 500 FROM generate_series(1, 10000) i;
SET enable_seqscan = off;
SET enable_sort = off;
SET enable_bitmapscan = off;
-- What ten queries take: rows that they return, blocks of the table, exact distances.
CREATE FUNCTION effort(condition text, OUT returned bigint, OUT blocks bigint, OUT compared bigint) LANGUAGE plpgsql AS $$
DECLARE
    blocks_before bigint := pg_stat_get_xact_blocks_fetched('places'::regclass);
    compared_before bigint := (SELECT distances FROM vectorcoll.scan_stats());
    n bigint;
BEGIN
    returned := 0;
    FOR i IN 1 .. 10 LOOP
        EXECUTE format('SELECT count(*) FROM (SELECT id FROM places WHERE %s ORDER BY v <-> array_fill(%s, ARRAY[8])::vector LIMIT 10) s', condition, i / 10.0) INTO n;
        returned := returned + n;
    END LOOP;
    blocks := pg_stat_get_xact_blocks_fetched('places'::regclass) - blocks_before;
    compared := (SELECT distances FROM vectorcoll.scan_stats()) - compared_before;
END $$;

-- Of vc_hnsw the table is asked for the rows returned, and nothing else; where the condition is not on a key, for many more.
CREATE INDEX places_hnsw ON places USING vc_hnsw (v, k);
SELECT returned, blocks <= returned AS rows_returned_only FROM effort('k = 3');
SELECT returned, blocks <= returned AS rows_returned_only FROM effort('k < 50');
SELECT returned, blocks <= returned AS rows_returned_only FROM effort('k IN (1, 100, 400)');
SELECT returned, blocks, compared < 1000 AS few FROM effort('k = 1000');
SELECT returned, blocks > 20 * returned AS many_more FROM effort('note = 3');
DROP INDEX places_hnsw;

-- Compact vc_hnsw and vc_ivf compare rows by their values in the table: those that pass, twenty of each k, and no others.
CREATE INDEX places_compact ON places USING vc_hnsw (v, k) WITH (storage = compact);
SELECT returned, blocks <= 10 * 20 + returned AS passing_only FROM effort('k = 3');
SELECT returned, blocks FROM effort('k = 1000');
SELECT returned, compared > 20 * returned AS many_more FROM effort('note = 3');
DROP INDEX places_compact;
CREATE INDEX places_ivf ON places USING vc_ivf (v, k) WITH (lists = 20);
SELECT returned, compared <= 10 * 20 AS passing_only FROM effort('k = 3');
SELECT returned, compared <= 10 * 60 AS passing_only FROM effort('k IN (1, 100, 400)');
SELECT returned, compared, blocks FROM effort('k = 1000');
SELECT returned, compared > 20 * returned AS many_more FROM effort('note = 3');
DROP TABLE places;
DROP FUNCTION effort;
