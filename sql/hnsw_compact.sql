-- vc_hnsw with storage = compact: codes in place of values, rows ranked by the distances of the values in the table.
\getenv inputdir PG_ABS_SRCDIR
CREATE TABLE small (id int, grp int, v vector(60), h halfvec(60)) WITH (autovacuum_enabled = off);
INSERT INTO small SELECT i, i % 100, w, w::vector(60)::halfvec(60)
    FROM (SELECT i, array(SELECT sin(i * s * 0.37 + s * s) + cos(i / 7.0 * s) / 3 FROM generate_series(1, 60) s)::vector AS w
          FROM generate_series(1, 6000) i) x;
SET enable_seqscan = off;
SET jit = off; -- or costs of a disabled scan have each statement compiled, which takes longer than all else here

-- The order is that of exact distances and nothing is twice or missing, whatever the metric, the type and the number of rows.
-- (When all rows are asked for, a few may have been found too late and come last.)
CREATE FUNCTION compare(value text, operator text, query text, n int, filter text DEFAULT 'true', OUT hits bigint, OUT in_order boolean,
                        OUT recall numeric, OUT by_index boolean)
    LANGUAGE plpgsql AS $$
DECLARE
    plan text;
BEGIN
    EXECUTE format('EXPLAIN (FORMAT json) SELECT id FROM small WHERE %s ORDER BY %I %s %s LIMIT %s', filter, value, operator, query, n) INTO plan;
    by_index := plan LIKE '%Index Scan%';
    EXECUTE format('WITH got AS MATERIALIZED (SELECT id, %2$I %3$s %4$s AS d, row_number() OVER () AS place
                                              FROM (SELECT * FROM small WHERE %1$s ORDER BY %2$I %3$s %4$s LIMIT %5$s) x),
                         exact AS MATERIALIZED (SELECT %2$I %3$s %4$s AS d FROM (SELECT * FROM small WHERE %1$s OFFSET 0) x ORDER BY 1 LIMIT %5$s)
                    SELECT count(DISTINCT id), (SELECT coalesce(bool_and(d >= before - 1e-6 * abs(before)), true) FROM (SELECT d, lag(d) OVER (ORDER BY place) AS before FROM got) y),
                           (SELECT count(*) FROM got WHERE d <= (SELECT max(d) + 1e-6 FROM exact))::numeric / greatest((SELECT count(*) FROM exact), 1)
                    FROM got', filter, value, operator, query, n) INTO hits, in_order, recall;
END $$;
CREATE FUNCTION compare_all(value text, operator text, OUT n int, OUT filter text, OUT good boolean) RETURNS SETOF record
    LANGUAGE sql AS $$
    SELECT n, filter, bool_and(by_index AND (in_order OR n >= 6000) AND hits = least(n, (SELECT count(*) FROM small WHERE CASE filter WHEN 'grp = 3' THEN grp = 3 WHEN 'id = 4711' THEN id = 4711 ELSE true END)))
                      AND avg(recall) >= CASE WHEN n >= 6000 THEN 1 ELSE 0.95 END
    FROM (VALUES (10, 'true'), (300, 'true'), (10000, 'true'), (10, 'grp = 3'), (5, 'id = 4711')) t (n, filter),
         generate_series(1, 5) q,
         LATERAL compare(value, operator, format('(SELECT %I FROM small WHERE id = %s)', value, q * 1013), n, filter)
    GROUP BY n, filter ORDER BY n, filter $$;

CREATE INDEX i ON small USING vc_hnsw (v vector_l2_ops) WITH (storage = compact);
SELECT * FROM compare_all('v', '<->');
-- Nothing but values takes room: there are hubs in place of upper levels, one in 128 (the chance of fewer or more than this is one in a million).
SELECT nodes, levels, free_slots < 30 AS full, pages - 1 = node_pages AS no_others, upper_nodes BETWEEN 14 AND 90 AS hubs FROM vectorcoll.hnsw_stats('i');
SELECT vectorcoll.index_recall('i', 40) > 0.95 AS recall;
-- By compiled expressions, too.
SET jit = on;
SELECT count(*), array_agg(id) FILTER (WHERE d = 0) AS itself
    FROM (SELECT id, v <-> (SELECT v FROM small WHERE id = 1013) AS d FROM small WHERE grp = 13 ORDER BY d LIMIT 20) x;
SET jit = off;
DROP INDEX i;
CREATE INDEX i ON small USING vc_hnsw (v vector_ip_ops) WITH (storage = compact);
SELECT * FROM compare_all('v', '<#>');
DROP INDEX i;
CREATE INDEX i ON small USING vc_hnsw (v vector_cosine_ops) WITH (storage = compact);
SELECT * FROM compare_all('v', '<=>');
DROP INDEX i;
CREATE INDEX i ON small USING vc_hnsw (h halfvec_l2_ops) WITH (storage = compact);
SELECT * FROM compare_all('h', '<->');
DROP INDEX i;

-- Through inserts, updates with and without a new version in the index, deletes and vacuum; an index built concurrently.
CREATE INDEX CONCURRENTLY i ON small USING vc_hnsw (v vector_l2_ops) WITH (storage = compact);
INSERT INTO small SELECT id + 10000, grp, v + v, h FROM small WHERE id % 2 = 0;
UPDATE small SET grp = grp + 0 WHERE id % 5 = 0;
UPDATE small SET v = v + v + v WHERE id % 7 = 0;
DELETE FROM small WHERE id % 11 = 0;
SELECT * FROM compare_all('v', '<->') WHERE filter <> 'id = 4711';
VACUUM (INDEX_CLEANUP ON) small;
SET client_min_messages = error; -- whether a node is left unreached depends on the levels drawn
SELECT vectorcoll.hnsw_check('i', true);
SELECT * FROM compare_all('v', '<->') WHERE filter <> 'id = 4711';
SELECT rows = (SELECT count(*) FROM small) AS all_rows, dead FROM vectorcoll.hnsw_stats('i');

-- What a transaction has not committed, or has taken back, is not to be seen.
BEGIN;
INSERT INTO small SELECT 99999, 0, v, h FROM small WHERE id = 1;
SAVEPOINT s;
DELETE FROM small WHERE id = 1;
SELECT array_agg(id) FROM (SELECT id FROM small ORDER BY v <-> (SELECT v FROM small WHERE id = 99999) LIMIT 1) x;
ROLLBACK TO s;
SELECT array_agg(id ORDER BY id) FROM (SELECT id FROM small ORDER BY v <-> (SELECT v FROM small WHERE id = 99999) LIMIT 2) x;
ROLLBACK;
SELECT array_agg(id) FROM (SELECT id FROM small ORDER BY v <-> (SELECT v FROM small WHERE id = 1) LIMIT 1) x;

-- Values that many rows share, and versions of one row: few nodes, no page for each.
CREATE TABLE shared (id int, note int, v vector(60)) WITH (autovacuum_enabled = off);
CREATE INDEX shared_v ON shared USING vc_hnsw (v vector_l2_ops) WITH (storage = compact);
CREATE INDEX ON shared (note);
INSERT INTO shared SELECT i, 0, (SELECT v FROM small WHERE id = 1) FROM generate_series(1, 3000) i;
SELECT rows, nodes < 20 AS few_nodes, tid_pages < 10 AS few_pages FROM vectorcoll.hnsw_stats('shared_v');
SELECT count(DISTINCT id), count(*) FROM (SELECT id FROM shared ORDER BY v <-> (SELECT v FROM small WHERE id = 2) LIMIT 5000) x;
TRUNCATE shared;
INSERT INTO shared SELECT i, 0, v FROM small, generate_series(1, 1) i WHERE id <= 500;
UPDATE shared SET note = 1;
UPDATE shared SET note = 2;
UPDATE shared SET note = 3;
SELECT rows, tid_pages FROM vectorcoll.hnsw_stats('shared_v');
VACUUM (INDEX_CLEANUP ON) shared;
SELECT rows, dead, vectorcoll.hnsw_check('shared_v', true) FROM vectorcoll.hnsw_stats('shared_v');

\set file :inputdir '/sql/include/nodes.sql'
\i :file
-- A value is fetched by an expression where the index is on one; partial indexes; NULLs.
CREATE INDEX e ON small USING vc_hnsw (((v + v)::vector(60)) vector_l2_ops) WITH (storage = compact) WHERE grp < 50;
SELECT bool_and(d >= before) AS in_order, count(*) FROM (SELECT d, lag(d) OVER () AS before FROM
    (SELECT (v + v)::vector(60) <-> (SELECT v FROM small WHERE id = 8) AS d FROM small WHERE grp < 50 ORDER BY 1 LIMIT 100) x) y;
SELECT nodes($$SELECT id FROM small WHERE grp < 50 ORDER BY (v + v)::vector(60) <-> (SELECT v FROM small WHERE id = 8) LIMIT 100$$);
INSERT INTO small VALUES (77777, 1, NULL, NULL);
SELECT count(*) FROM (SELECT id FROM small WHERE id = 77777 ORDER BY v <-> (SELECT v FROM small WHERE id = 8)) x;

-- The ends of float's range: whatever a code cannot say is looked up.
CREATE TABLE wide (id int, v vector(4));
CREATE INDEX wide_v ON wide USING vc_hnsw (v vector_l2_ops) WITH (storage = compact);
INSERT INTO wide SELECT i, ('[' || x || ',0,' || x || ',1]')::vector
    FROM unnest('{0,1e-45,1e-30,1e-20,1e-3,1,1e3,1e15,1e18,1e19,3e19,1e30,3e38}'::float4[]) WITH ORDINALITY AS t (x, i);
-- The first three are at the same distance, as far as float can tell.
SELECT array_agg(greatest(id, 3)) FROM (SELECT id FROM wide WHERE id <= 10 ORDER BY v <-> '[0,0,0,1]') x;
SELECT count(*) FROM (SELECT id FROM wide ORDER BY v <-> '[3e38,0,0,1]') x;
SELECT vectorcoll.hnsw_check('wide_v', true);

-- Dimensions from one up.
CREATE TABLE dims (id int, a vector(1), b vector(2), c vector(3), d vector(5), e vector(17));
INSERT INTO dims SELECT i, ARRAY[i]::vector, ARRAY[i, -i]::vector, ARRAY[i, i % 7, 1]::vector, array_fill(i, ARRAY[5])::vector,
    array(SELECT sin(i * s) FROM generate_series(1, 17) s)::vector FROM generate_series(1, 500) i;
CREATE INDEX da ON dims USING vc_hnsw (a vector_l2_ops) WITH (storage = compact);
CREATE INDEX db ON dims USING vc_hnsw (b vector_l2_ops) WITH (storage = compact);
CREATE INDEX dc ON dims USING vc_hnsw (c vector_l2_ops) WITH (storage = compact);
CREATE INDEX dd ON dims USING vc_hnsw (d vector_ip_ops) WITH (storage = compact);
CREATE INDEX de ON dims USING vc_hnsw (e vector_cosine_ops) WITH (storage = compact);
SELECT array_agg(id) FROM (SELECT id FROM dims ORDER BY a <-> '[100.4]' LIMIT 4) x;
SELECT array_agg(id) FROM (SELECT id FROM dims ORDER BY b <-> '[250.4,-250.4]' LIMIT 4) x;
SELECT array_agg(id) FROM (SELECT id FROM dims ORDER BY c <-> '[77,0,1]' LIMIT 1) x;
SELECT array_agg(id) FROM (SELECT id FROM dims ORDER BY d <#> '[1,1,1,1,1]' LIMIT 4) x;
SELECT array_agg(id) FROM (SELECT id FROM dims ORDER BY e <=> (SELECT e FROM dims WHERE id = 99) LIMIT 1) x;
SELECT bool_and(vectorcoll.hnsw_check(i::regclass, true) IS NOT NULL) FROM unnest('{da,db,dc,dd,de}'::text[]) i;

-- Smaller than the same nodes with their values; not for what has no codes.
CREATE INDEX f ON small USING vc_hnsw (v vector_l2_ops);
SELECT pg_relation_size('i') < pg_relation_size('f') AS smaller;
ALTER INDEX f SET (storage = compact);
REINDEX INDEX f;
SELECT pg_relation_size('i') * 1.2 > pg_relation_size('f') AS as_small;
\set VERBOSITY sqlstate
CREATE INDEX ON small USING vc_hnsw (v vector_l1_ops) WITH (storage = compact);
CREATE INDEX ON small USING vc_hnsw (v vector_l2_ops) WITH (storage = tiny);
DROP TABLE small, shared, wide, dims;
DROP FUNCTION compare, compare_all, nodes;
