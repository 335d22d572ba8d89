-- What a session remembers of indexes: it forgets those that are gone, and what is no longer so of the others.
SET client_min_messages = warning;
CREATE FUNCTION point(i int) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg((i * s) % 1 ORDER BY s)::vector FROM unnest(ARRAY[0.414214, 0.732051, 0.236068, 0.645751]) s $$;
CREATE TABLE rows AS SELECT i AS id, point(i)::vector(4) AS v FROM generate_series(1, 100) i;
CREATE TABLE others AS SELECT * FROM rows;
CREATE INDEX others_v ON others USING vc_hnsw (v);
SET enable_seqscan = off;
CREATE FUNCTION nearest(tab regclass, i int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE found int;
BEGIN
    EXECUTE format('SELECT id FROM %s ORDER BY v <-> point(%s) LIMIT 1', tab, i) INTO found;
    RETURN found;
END $$;

-- Indexes and tables that come and go leave nothing behind: by DROP, by a new file, and where the transaction is rolled back.
CREATE FUNCTION remembered(OUT entries bigint, OUT bytes bigint) LANGUAGE sql AS $$
    SELECT count(*) FILTER (WHERE name = 'vectorcoll index'), sum(total_bytes) FROM pg_backend_memory_contexts WHERE name LIKE 'vectorcoll index%' $$;
CREATE PROCEDURE come_and_go(n int) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. n LOOP
        EXECUTE format('CREATE INDEX rows_v ON rows USING %s (v)', (ARRAY['vc_hnsw', 'vc_ivf'])[i % 2 + 1]);
        IF nearest('rows', i) <> i OR nearest('others', i) <> i THEN
            RAISE 'row % is not found', i;
        END IF;
        COMMIT;
        REINDEX INDEX rows_v;
        IF nearest('rows', i) <> i THEN
            RAISE 'row % is not found after REINDEX', i;
        END IF;
        ROLLBACK;
        IF nearest('rows', i) <> i THEN
            RAISE 'row % is not found after ROLLBACK', i;
        END IF;
        DROP INDEX rows_v;
        CREATE TABLE brief (LIKE rows);
        CREATE INDEX brief_v ON brief USING vc_hnsw (v) WITH (storage = compact);
        INSERT INTO brief SELECT * FROM rows LIMIT 20;
        IF nearest('brief', i % 20 + 1) <> i % 20 + 1 THEN
            RAISE 'row % is not found in a table about to go', i % 20 + 1;
        END IF;
        IF i % 3 = 0 THEN
            DROP TABLE brief;
        END IF;
        IF i % 3 = 1 THEN
            ROLLBACK;
            DROP INDEX rows_v;
        ELSE
            COMMIT;
            DROP TABLE IF EXISTS brief;
        END IF;
        COMMIT;
    END LOOP;
END $$;
CALL come_and_go(10);
SELECT entries AS entries_before, bytes AS bytes_before FROM remembered() \gset
CALL come_and_go(60);
SELECT entries <= :entries_before + 2 AS as_many_entries, bytes <= :bytes_before + 32768 AS as_many_bytes FROM remembered();

-- What a scan uses stays while it goes on, whatever else is dropped and looked up meanwhile.
CREATE INDEX rows_v ON rows USING vc_hnsw (v) WITH (storage = compact);
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM rows ORDER BY v <-> point(7);
FETCH 1 FROM c;
DROP INDEX others_v;
CREATE INDEX others_ivf ON others USING vc_ivf (v);
SELECT nearest('others', 9);
ANALYZE rows;
SELECT nearest('rows', 11), nearest('others', 10);
SELECT count(*) FROM (SELECT nearest('rows', i) AS found, i FROM generate_series(1, 50) i) s WHERE found = i;
MOVE 48 FROM c;
FETCH 1 FROM c \gset
SELECT :id = (SELECT id FROM (SELECT id, row_number() OVER (ORDER BY v <-> point(7)) AS rank FROM rows) s WHERE rank = 50) AS fiftieth;
-- What is dropped or written anew in a part of a transaction that is rolled back is as it was.
CLOSE c;
SAVEPOINT part;
TRUNCATE rows;
INSERT INTO rows VALUES (1000, point(7));
SELECT nearest('rows', 7), nearest('others', 7);
ROLLBACK TO part;
SELECT nearest('rows', 7), nearest('others', 7);
DROP INDEX rows_v;
CREATE INDEX rows_v ON rows USING vc_hnsw (v);
SELECT nearest('rows', 7), nearest('others', 7);
ROLLBACK TO part;
SELECT nearest('rows', 8), nearest('others', 8);
COMMIT;
SELECT nearest('rows', 9), nearest('others', 9);
VACUUM FULL rows;
SELECT nearest('rows', 10), nearest('others', 10);
DROP TABLE rows, others;
DROP PROCEDURE come_and_go;
DROP FUNCTION nearest, remembered, point(int);
