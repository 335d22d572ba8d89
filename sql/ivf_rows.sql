-- vc_ivf: which rows come back, how many, in what order, whatever the table has been through.
SET client_min_messages = warning;
CREATE FUNCTION place(i int) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
    SELECT ('[' || string_agg(((i % 30 * s * 7) % 5 + (i * s) % 1)::numeric(8, 6)::text, ',' ORDER BY s) || ']')::vector
    FROM unnest(ARRAY[0.414214, 0.732051, 0.236068, 0.645751, 0.316625, 0.605551, 0.123106, 0.358899]) s $$;
CREATE TABLE halves (id int, v vector(8));
INSERT INTO halves SELECT i, place(i) FROM generate_series(1, 10000) i;
CREATE INDEX halves_v ON halves USING vc_ivf (v);
CREATE FUNCTION recall(probes int) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE hits int := 0; exact int[]; found int[];
BEGIN
    FOR i IN 1..100 LOOP
        SET LOCAL enable_indexscan = off; SET LOCAL enable_seqscan = on;
        SELECT array(SELECT id FROM halves ORDER BY v <-> place(1000000 + i * 7) LIMIT 10) INTO exact;
        SET LOCAL enable_indexscan = on; SET LOCAL enable_seqscan = off;
        PERFORM set_config('vc_ivf.probes', probes::text, true);
        SELECT array(SELECT id FROM halves ORDER BY v <-> place(1000000 + i * 7) LIMIT 10) INTO found;
        hits := hits + (SELECT count(*) FROM unnest(exact) e WHERE e = ANY (found));
    END LOOP;
    RETURN hits / 1000.0;
END $$;

-- Inserts double the table: at equal probes an index finds as much as one built on all rows.
INSERT INTO halves SELECT i, place(i) FROM generate_series(10001, 20000) i;
SELECT recall(2) AS inserted_2, recall(4) AS inserted_4, recall(0) AS inserted \gset
DROP INDEX halves_v;
CREATE INDEX halves_v ON halves USING vc_ivf (v) WITH (lists = 20); -- as many as it had
SELECT :inserted_2 >= recall(2) - 0.02 AS two, :inserted_4 >= recall(4) - 0.02 AS four, :inserted >= 0.95 AS automatic;

-- The index is for the first rows, however many rows the table has; most of them, or all, a sort gives sooner.
ANALYZE halves;
CREATE FUNCTION plan_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
    plan := plan -> 0 -> 'Plan';
    WHILE plan -> 'Plans' IS NOT NULL LOOP
        plan := plan -> 'Plans' -> -1;
    END LOOP;
    RETURN plan ->> 'Node Type';
END $$;
SELECT wanted, plan_of('SELECT id FROM halves ORDER BY v <-> ''[1,2,3,4,5,6,7,8]'' LIMIT ' || wanted)
FROM unnest(ARRAY['1', '10', '100', '15000', 'ALL', '(SELECT 10)']) wanted;

-- LIMIT gets its rows in order, whatever the condition; the server tests this one on what comes back. Where all rows are asked for,
-- those found too late come after the others, in order, too.
SET enable_seqscan = off;
SELECT share, wanted, count(*) = least(wanted, 20000 / share) AS all, count(*) FILTER (WHERE d < before) <= (wanted * share > 20000)::int AS in_order
FROM unnest(ARRAY[1, 10, 100, 1000, 10000]) share, unnest(ARRAY[1, 10, 1000]) wanted,
    LATERAL (SELECT d, lag(d, 1, d) OVER () AS before FROM (SELECT v <-> place(7) AS d FROM halves WHERE id % share = 0 ORDER BY v <-> place(7) LIMIT wanted) s) t
GROUP BY 1, 2 ORDER BY 1, 2;

-- Ten thousand equal vectors beside others, inserted and built; nulls are skipped.
CREATE TABLE equals (id int, v vector(8));
INSERT INTO equals SELECT i, place(i) FROM generate_series(1, 3000) i;
CREATE INDEX equals_v ON equals USING vc_ivf (v);
INSERT INTO equals SELECT i, place(17) FROM generate_series(10001, 20000) i;
INSERT INTO equals SELECT i, NULL FROM generate_series(20001, 20100) i;
SELECT count(*), count(DISTINCT id), count(*) FILTER (WHERE id > 10000) AS equal FROM (SELECT id FROM equals ORDER BY v <-> place(17) LIMIT 10001) s;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM equals ORDER BY v <-> place(3) LIMIT 100000) s;
REINDEX INDEX equals_v;
SELECT count(*), count(DISTINCT id), count(*) FILTER (WHERE id > 10000) AS equal FROM (SELECT id FROM equals ORDER BY v <-> place(17) LIMIT 10001) s;
CREATE TABLE all_equal (v vector(8));
INSERT INTO all_equal SELECT place(17) FROM generate_series(1, 10000);
CREATE INDEX all_equal_v ON all_equal USING vc_ivf (v);
SELECT count(*) FROM (SELECT 1 FROM all_equal ORDER BY v <-> place(3) LIMIT 100000) s;

-- A hundred thousand rescans leave the session's memory as it was.
DO $$
DECLARE before bigint; after bigint; n bigint; times int;
BEGIN
    -- The first few make the plans and what else is kept.
    FOREACH times IN ARRAY ARRAY[1, 20, 2000] LOOP
        before := after;
        SELECT count(*) INTO n FROM (SELECT place(q) AS p FROM generate_series(1, 50) q) p, generate_series(1, times) q, LATERAL (SELECT id FROM halves ORDER BY v <-> p LIMIT 2) s;
        SELECT sum(total_bytes) INTO after FROM pg_backend_memory_contexts;
    END LOOP;
    IF n <> 200000 OR after > before + 100000 THEN
        RAISE EXCEPTION '% rows, % bytes before, % after', n, before, after;
    END IF;
END $$;
DROP TABLE halves, equals, all_equal;
DROP FUNCTION place, recall, plan_of;
