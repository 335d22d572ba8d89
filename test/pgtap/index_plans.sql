-- Which plans the planner makes of vc_hnsw and vc_ivf: the index where it is the best way, and never where it is no way at all.
-- Sizes and costs are those of real tables; that the choices are the fastest ones, make bench BENCH="--parts plans" measures.
SELECT plan(88);
SET client_min_messages = warning;
SET max_parallel_workers_per_gather = 0;
SET maintenance_work_mem = '256MB';
SELECT setseed(0.5);

-- The scan at the bottom of a plan, and the nodes above it.
CREATE FUNCTION plan_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE plan json; node json; above text := '';
BEGIN
    EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
    node := plan -> 0 -> 'Plan';
    WHILE node -> 'Plans' IS NOT NULL LOOP
        above := above || (node ->> 'Node Type') || ' < ';
        node := node -> 'Plans' -> 0;
    END LOOP;
    RETURN above || CASE WHEN node ->> 'Index Name' LIKE '%\_v' THEN (SELECT amname::text FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE relname = node ->> 'Index Name') WHEN node ->> 'Index Name' IS NOT NULL THEN 'btree' ELSE node ->> 'Node Type' END;
END $$;
CREATE FUNCTION scan_of(query text) RETURNS text LANGUAGE sql AS $$ SELECT regexp_replace(plan_of(query), '.* < ', '') $$;

CREATE FUNCTION plan_lines(query text, options text DEFAULT '') RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF' || options || ') ' || query;
END $$;

CREATE PROCEDURE make(name text, size int) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TABLE %I (id int, f int, v vector(24))', name);
    EXECUTE format('INSERT INTO %I SELECT i, random() * 99999, array(SELECT random() FROM generate_series(1, 24) d WHERE i > 0)::vector FROM generate_series(1, %s) i', name, size);
    EXECUTE format('CREATE INDEX ON %I (f)', name);
    EXECUTE format('CREATE INDEX %I ON %I USING vc_hnsw (v) WITH (m = 8, ef_construction = 16)', name || '_v', name);
    EXECUTE format('ANALYZE %I', name);
END $$;
CALL make('tiny', 100);
CALL make('small', 1000);
CALL make('middle', 10000);
CALL make('large', 40000);

CREATE FUNCTION choice(name text, share float8, rows int) RETURNS text LANGUAGE sql AS $$
    SELECT scan_of(format('SELECT id FROM %I WHERE f < %s ORDER BY v <-> %L LIMIT %s', name, 100000 * share, array_fill(0.5, ARRAY[24])::vector, rows)) $$;
CREATE TABLE cases (name text, share float8, rows int, expected text);
INSERT INTO cases VALUES
    ('tiny', 1, 1, 'Seq Scan'), ('tiny', 1, 10, 'Seq Scan'), ('tiny', 1, 100, 'Seq Scan'), ('tiny', 0.1, 10, 'Seq Scan'),
    ('small', 1, 1000, 'Seq Scan'), ('small', 0.01, 10, 'btree'), ('small', 0.001, 1, 'btree'),
    ('middle', 1, 1, 'vc_hnsw'), ('middle', 1, 10, 'vc_hnsw'), ('middle', 1, 10000, 'Seq Scan'), ('middle', 0.01, 10, 'btree'), ('middle', 0.001, 1, 'btree'), ('middle', 0.0001, 10000, 'btree'),
    ('large', 1, 1, 'vc_hnsw'), ('large', 1, 10, 'vc_hnsw'), ('large', 1, 100, 'vc_hnsw'), ('large', 1, 10000, 'Seq Scan'),
    ('large', 0.1, 1, 'vc_hnsw'), ('large', 0.1, 10, 'vc_hnsw'), ('large', 0.1, 1000, 'btree'), ('large', 0.1, 10000, 'btree'),
    ('large', 0.01, 1, 'vc_hnsw'), ('large', 0.01, 100, 'btree'), ('large', 0.001, 10, 'btree'), ('large', 0.0001, 10, 'btree'), ('large', 0.00001, 10, 'btree');
SELECT is(choice(name, share, rows), expected, format('%s table, share %s, LIMIT %s', name, share, rows)) FROM cases;

-- The same with f in the index.
DROP INDEX large_v;
CREATE INDEX large_v ON large USING vc_hnsw (v, f) WITH (m = 8, ef_construction = 16);
TRUNCATE cases;
INSERT INTO cases VALUES ('large', 1, 10, 'vc_hnsw'), ('large', 1, 10000, 'Seq Scan'), ('large', 0.1, 10, 'vc_hnsw'), ('large', 0.0001, 10, 'btree'), ('large', 0.00001, 1, 'btree');
SELECT is(choice(name, share, rows), expected, format('f in the index: %s table, share %s, LIMIT %s', name, share, rows)) FROM cases;
-- A LIMIT that is not known yet is a small one, where it is one of the rows themselves.
PREPARE nearest (vector, int) AS SELECT id FROM large ORDER BY v <-> $1 LIMIT $2;
SET plan_cache_mode = force_generic_plan;
SELECT is(scan_of(format('EXECUTE nearest(%L, 10)', array_fill(0.5, ARRAY[24])::vector)), 'vc_hnsw', 'a plan made before LIMIT is known');
RESET plan_cache_mode;
DEALLOCATE nearest;
SELECT isnt(scan_of('SELECT count(*) OVER (), id FROM large ORDER BY v <-> ''' || array_fill(0.5, ARRAY[24])::vector::text || ''' LIMIT (SELECT 10)'), 'vc_hnsw', 'not where all rows are needed whatever LIMIT is');
DROP INDEX large_f_idx;
SELECT is(choice('large', 0.01, 10), 'vc_hnsw', 'f in the index, without a B-tree');
SELECT is(choice('large', 0.0001, 10), 'vc_hnsw', 'the same for few rows');

-- Never where it cannot answer.
CREATE FUNCTION q() RETURNS vector LANGUAGE sql IMMUTABLE AS 'SELECT array_fill(0.5, ARRAY[24])::vector';
SET enable_seqscan = off;
SET enable_sort = off;
SELECT isnt(scan_of('SELECT count(*) FROM large'), 'vc_hnsw', 'not without ORDER BY');
SELECT isnt(scan_of('SELECT id FROM large LIMIT 10'), 'vc_hnsw', 'nor with LIMIT alone');
SELECT isnt(scan_of('SELECT id FROM large WHERE f = 17'), 'vc_hnsw', 'nor for a condition on a key column alone');
SELECT isnt(scan_of('SELECT id FROM large WHERE f IS NULL'), 'vc_hnsw', 'nor IS NULL');
SELECT isnt(scan_of('SELECT id FROM large ORDER BY v <-> q() DESC LIMIT 10'), 'vc_hnsw', 'not for the farthest');
SELECT isnt(scan_of('SELECT id FROM large ORDER BY v <-> q() NULLS FIRST LIMIT 10'), 'vc_hnsw', 'not where NULLs come first');
SELECT isnt(scan_of('SELECT id FROM large ORDER BY v <=> q() LIMIT 10'), 'vc_hnsw', 'not for another distance');
SELECT isnt(scan_of('SELECT id FROM large ORDER BY v <-> v LIMIT 10'), 'vc_hnsw', 'not for a distance between columns');
SELECT isnt(scan_of('SELECT id FROM large ORDER BY f, v <-> q() LIMIT 10'), 'vc_hnsw', 'not where the distance comes second');
SELECT isnt(scan_of('SELECT id FROM large WHERE v IS NULL ORDER BY v <-> q() LIMIT 10'), 'vc_hnsw', 'not for NULLs, which it does not have');
SELECT isnt(scan_of('SELECT max(v <-> q()) FROM large'), 'vc_hnsw', 'not for a maximum');
RESET enable_seqscan;
RESET enable_sort;
SELECT is(plan_of('SELECT id FROM large ORDER BY v <-> q(), id LIMIT 10'), CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'Limit < Incremental Sort < vc_hnsw' ELSE 'Limit < Sort < Seq Scan' END,
    'by a second column, what the index returns is sorted, from PostgreSQL 16 on');
CREATE TABLE tied AS SELECT s.id * 3 + n AS id, s.v FROM small s, generate_series(0, 2) n;
CREATE INDEX tied_v ON tied USING vc_hnsw (v);
ANALYZE tied;
SET enable_seqscan = off;
SET vc_hnsw.ef_search = 400;
SELECT results_eq('SELECT id FROM tied ORDER BY v <-> q(), id DESC LIMIT 10', 'SELECT id FROM tied ORDER BY (v <-> q()) + 0, id DESC LIMIT 10', 'in the right order, and of rows at one distance those that it asks for');
RESET enable_seqscan;
RESET vc_hnsw.ef_search;

-- Joins: from the nearest rows to what belongs to them; and the nearest rows of each of many.
SELECT is(plan_of('SELECT l.id, s.f FROM large l JOIN small s ON s.id = l.id % 1000 ORDER BY l.v <-> q() LIMIT 5') LIKE 'Limit < Nested Loop < vc_hnsw', true, 'a join starts from the nearest');
SELECT ok(EXISTS (SELECT FROM plan_lines('SELECT s.id, n.id FROM small s CROSS JOIN LATERAL (SELECT id FROM large ORDER BY v <-> s.v LIMIT 3) n') line
    WHERE line ~ 'Index Scan using large_v'), 'a lateral join searches for each row');

-- Partitions: the nearest of each are merged, without a sort.
CREATE TABLE parts (id int, v vector(24)) PARTITION BY HASH (id);
CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES WITH (MODULUS 3, REMAINDER 2);
INSERT INTO parts SELECT id, v FROM large WHERE id <= 12000;
CREATE INDEX parts_v ON parts USING vc_hnsw (v);
ANALYZE parts;
SELECT is((SELECT string_agg(substring(line from '(Limit|Merge Append|Append|Sort|Index Scan|Seq Scan)'), ' ' ORDER BY n) FROM plan_lines('SELECT id FROM parts ORDER BY v <-> q() LIMIT 10') WITH ORDINALITY AS l (line, n)
    WHERE line ~ '->  |^Limit'), 'Limit Merge Append Index Scan Index Scan Index Scan', 'partitions are merged');
SET vc_hnsw.ef_search = 400;
SELECT is((SELECT array_agg(id) FROM (SELECT id FROM parts ORDER BY v <-> q() LIMIT 20) s), (SELECT array_agg(id) FROM (SELECT id FROM parts ORDER BY (v <-> q()) + 0 LIMIT 20) s), 'and give what a sort gives');
SELECT is((SELECT count(*) FROM (SELECT id FROM parts ORDER BY v <-> q() LIMIT 100000) s), 12000::bigint, 'all of it');
RESET vc_hnsw.ef_search;

-- What a scan took: by EXPLAIN where the server lets us, by a function everywhere.
SELECT current_setting('server_version_num')::int >= 180000 AS is_new \gset
CREATE FUNCTION explained(query text, options text) RETURNS text LANGUAGE sql AS $$ SELECT string_agg(line, ' ') FROM plan_lines(query, options) line $$;
SELECT is(explained('SELECT id FROM middle ORDER BY v <-> q() LIMIT 1', ', ANALYZE') ~ 'Pages Visited: [1-9].*Distances Computed: [1-9]', :'is_new'::bool, 'EXPLAIN (ANALYZE) tells of pages and distances from PostgreSQL 18 on');
SELECT ok(explained('SELECT id FROM middle ORDER BY v <-> q() LIMIT 1', '') !~ 'Pages Visited', 'EXPLAIN alone does not');
SELECT is((SELECT count(*) FROM regexp_matches(explained('SELECT id FROM parts ORDER BY v <-> q() LIMIT 10', ', ANALYZE'), 'Pages Visited', 'g')), CASE WHEN :'is_new'::bool THEN 3 ELSE 0 END::bigint, 'each partition has its own');
SELECT scans AS before_scans, pages AS before_pages, distances AS before_distances FROM vectorcoll.scan_stats() \gset
SELECT id FROM middle ORDER BY v <-> q() LIMIT 1 \g /dev/null
SELECT is(scans - :before_scans, 1::bigint, 'one scan more') FROM vectorcoll.scan_stats();
SELECT ok(last_index = 'middle_v'::regclass AND last_searches = 1 AND last_pages BETWEEN 20 AND 5000 AND last_distances BETWEEN 20 AND last_pages, 'of that index, with what it took') FROM vectorcoll.scan_stats();
SELECT ok(pages - :before_pages >= last_pages AND distances - :before_distances = last_distances, 'and the totals have it') FROM vectorcoll.scan_stats();

-- The same of vc_ivf.
DROP INDEX large_v, middle_v, small_v, tiny_v;
CREATE INDEX large_f_idx ON large (f);
CREATE INDEX tiny_v ON tiny USING vc_ivf (v);
CREATE INDEX small_v ON small USING vc_ivf (v);
CREATE INDEX middle_v ON middle USING vc_ivf (v);
CREATE INDEX large_v ON large USING vc_ivf (v);
TRUNCATE cases;
INSERT INTO cases VALUES
    ('tiny', 1, 1, 'Seq Scan'), ('tiny', 1, 100, 'Seq Scan'), ('tiny', 0.1, 10, 'Seq Scan'),
    ('small', 1, 1, 'vc_ivf'), ('small', 1, 10, 'vc_ivf'), ('small', 1, 1000, 'Seq Scan'), ('small', 0.1, 100, 'btree'), ('small', 0.001, 1, 'btree'),
    ('middle', 1, 100, 'vc_ivf'), ('middle', 1, 10000, 'Seq Scan'), ('middle', 0.1, 10, 'vc_ivf'), ('middle', 0.01, 100, 'btree'), ('middle', 0.001, 1, 'btree'),
    ('large', 1, 1, 'vc_ivf'), ('large', 1, 100, 'vc_ivf'), ('large', 0.1, 10, 'vc_ivf'), ('large', 0.1, 1000, 'btree'), ('large', 0.01, 1, 'vc_ivf'),
    ('large', 0.01, 10, 'btree'), ('large', 0.001, 1, 'btree'), ('large', 0.0001, 10, 'btree'), ('large', 0.00001, 10, 'btree');
SELECT is(choice(name, share, rows), expected, format('vc_ivf: %s table, share %s, LIMIT %s', name, share, rows)) FROM cases;
DROP INDEX large_v;
CREATE INDEX large_v ON large USING vc_ivf (v, f);
TRUNCATE cases;
INSERT INTO cases VALUES ('large', 1, 10, 'vc_ivf'), ('large', 0.1, 10, 'vc_ivf'), ('large', 0.1, 100, 'vc_ivf'), ('large', 0.01, 10, 'vc_ivf'), ('large', 0.001, 1, 'btree'), ('large', 0.001, 10, 'btree'), ('large', 0.0001, 1, 'btree');
SELECT is(choice(name, share, rows), expected, format('vc_ivf, f in the index: %s table, share %s, LIMIT %s', name, share, rows)) FROM cases;
SELECT * FROM finish();
