-- What vc_ivf tells of its searches: pages and distances by EXPLAIN where the server lets us, by scan_stats everywhere, and how much is found by
-- index_recall.
SELECT plan(32);
SET client_min_messages = warning;
SET max_parallel_workers_per_gather = 0;
SET enable_seqscan = off;
SET jit = off;
SELECT setseed(0.5);
CREATE TABLE rows (id int, f int, v vector(24));
INSERT INTO rows SELECT i, i % 10, array(SELECT random() FROM generate_series(1, 24) d WHERE i > 0)::vector FROM generate_series(1, 4000) i;
CREATE INDEX rows_v ON rows USING vc_ivf (v) WITH (lists = 40);
CREATE TABLE parts (id int, v vector(24)) PARTITION BY HASH (id);
CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES WITH (MODULUS 3, REMAINDER 2);
INSERT INTO parts SELECT id, v FROM rows WHERE id <= 3000;
CREATE INDEX parts_v ON parts USING vc_ivf (v);
ANALYZE rows, parts;
CREATE FUNCTION q() RETURNS vector LANGUAGE sql IMMUTABLE AS 'SELECT array_fill(0.5, ARRAY[24])::vector';

-- EXPLAIN. Without ANALYZE nothing has been searched; before PostgreSQL 18 nothing can be said.
SELECT current_setting('server_version_num')::int >= 180000 AS is_new \gset
CREATE FUNCTION explained(query text, options text DEFAULT ', ANALYZE', OUT plan text, OUT said bigint, OUT pages bigint, OUT distances bigint) LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
    plan := '';
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF' || options || ') ' || query LOOP
        plan := plan || line || E'\n';
    END LOOP;
    SELECT count(*) INTO said FROM regexp_matches(plan, 'Pages Visited: \d+\s+Distances Computed: \d+', 'g');
    pages := substring(plan FROM 'Pages Visited: (\d+)');
    distances := substring(plan FROM 'Distances Computed: (\d+)');
END $$;
SELECT alike(plan, '%Index Scan using rows_v%', 'the index is scanned') FROM explained('SELECT id FROM rows ORDER BY v <-> q() LIMIT 1');
SELECT is(said, :'is_new'::bool::int::bigint, 'EXPLAIN (ANALYZE) tells of pages and distances from PostgreSQL 18 on') FROM explained('SELECT id FROM rows ORDER BY v <-> q() LIMIT 1');
SELECT is(said, 0::bigint, 'EXPLAIN alone does not') FROM explained('SELECT id FROM rows ORDER BY v <-> q() LIMIT 1', '');
SELECT is(said, CASE WHEN :'is_new'::bool THEN 3 ELSE 0 END::bigint, 'each partition has its own') FROM explained('SELECT id FROM parts ORDER BY v <-> q() LIMIT 10');
SELECT is(said, 0::bigint, 'a scan that was not needed has none') FROM explained('SELECT a.id FROM parts_0 a LEFT JOIN LATERAL (SELECT id FROM rows ORDER BY v <-> q() LIMIT 1) n ON true WHERE a.id < 0');
\o /dev/null
SELECT id FROM rows ORDER BY v <-> q() LIMIT 1;
\o
SELECT last_pages, last_distances FROM vectorcoll.scan_stats() \gset
SELECT ok(pages = :last_pages AND distances = :last_distances OR NOT :'is_new'::bool, 'the figures are those of scan_stats') FROM explained('SELECT id FROM rows ORDER BY v <-> q() LIMIT 1');
SELECT ok(pages = 5 * :last_pages OR NOT :'is_new'::bool, 'of all loops') FROM explained('SELECT n.id FROM generate_series(1, 5) i, LATERAL (SELECT id FROM rows ORDER BY v <-> (q() + array_fill(0 * i, ARRAY[24])::vector) LIMIT 1) n');

-- scan_stats.
CREATE TABLE before AS SELECT * FROM vectorcoll.scan_stats();
SELECT id FROM rows ORDER BY v <-> q() LIMIT 1 \g /dev/null
SELECT is(s.scans - b.scans, 1::bigint, 'one scan more') FROM vectorcoll.scan_stats() s, before b;
SELECT is(last_index, 'rows_v'::regclass, 'of that index') FROM vectorcoll.scan_stats();
SELECT ok(last_searches = 1 AND last_workers = 0 AND last_pages BETWEEN 3 AND 2 * pg_relation_size('rows_v') / 8192 AND last_distances BETWEEN 1 AND 4040, 'with what it took: ' || s) FROM vectorcoll.scan_stats() s;
SELECT ok(s.pages - b.pages = s.last_pages AND s.distances - b.distances = s.last_distances, 'the totals have it') FROM vectorcoll.scan_stats() s, before b;
SELECT n.id FROM generate_series(1, 7) i, LATERAL (SELECT id FROM rows ORDER BY v <-> (q() + array_fill(0 * i, ARRAY[24])::vector) LIMIT 1) n \g /dev/null
SELECT ok(last_searches = 7 AND last_pages = 7 * :last_pages AND last_distances = 7 * :last_distances, 'seven searches are seven times the work') FROM vectorcoll.scan_stats();
SELECT id FROM parts_1 ORDER BY v <-> q() LIMIT 1 \g /dev/null
SELECT is(last_index, 'parts_1_v_idx'::regclass, 'the next scan is of another') FROM vectorcoll.scan_stats();
SELECT count(*) FROM vectorcoll.knn_batch('rows_v', (SELECT array_agg(v) FROM rows WHERE id <= 20), 5) \g /dev/null
SELECT ok(last_index = 'rows_v'::regclass AND last_searches = 20 AND last_pages > 0 AND last_distances > 0, 'a batch is told as one') FROM vectorcoll.scan_stats();
SELECT throws_ok('SELECT id FROM rows ORDER BY v <-> ''[1,2]'' LIMIT 1', '22000', NULL, 'a search that fails');
SELECT id FROM rows ORDER BY v <-> q() LIMIT 1 \g /dev/null
SELECT ok(last_searches = 1 AND last_pages = :last_pages, 'leaves nothing to the next') FROM vectorcoll.scan_stats();

-- The more lists are probed, the more pages; without codes every row of all lists is compared.
CREATE FUNCTION work(probes int, OUT pages bigint, OUT distances bigint) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('vc_ivf.probes', probes::text, true);
    PERFORM id FROM (SELECT id FROM rows ORDER BY v <-> q() LIMIT 1) s;
    SELECT last_pages, last_distances INTO pages, distances FROM vectorcoll.scan_stats();
END $$;
SELECT ok(a.pages < b.pages AND b.pages < c.pages, format('pages of 1, 10 and 40 lists: %s, %s, %s', a.pages, b.pages, c.pages)) FROM work(1) a, work(10) b, work(40) c;
DROP INDEX rows_v;
CREATE INDEX rows_v ON rows USING vc_ivf (v) WITH (lists = 40, quantization = none);
SELECT ok(a.distances < b.distances / 5, format('values of 1 and 40 lists: %s, %s', a.distances, b.distances)) FROM work(1) a, work(40) b;
SELECT ok(distances BETWEEN 4000 AND 4040, 'that is all of them') FROM work(40);
DROP INDEX rows_v;

-- index_recall.
CREATE INDEX rows_v ON rows USING vc_ivf (v vector_cosine_ops) WITH (lists = 40);
SELECT ok(vectorcoll.index_recall('rows_v', 40) BETWEEN 0.9 AND 1, 'by the settings there are');
SET vc_ivf.target_recall = 1;
SELECT is(vectorcoll.index_recall('rows_v', 40), 1::float8, 'all are found where all are wanted');
SELECT is(vectorcoll.index_recall('rows_v', 40, 100), 1::float8, 'a hundred, too');
RESET vc_ivf.target_recall;
SET vc_ivf.probes = 1;
SELECT cmp_ok(vectorcoll.index_recall('rows_v', 40), '<', 0.6::float8, 'few are in one list of forty');
SET enable_indexscan = off;
SELECT cmp_ok(vectorcoll.index_recall('rows_v', 40), '<', 0.6::float8, 'whatever the session has switched off');
RESET enable_indexscan;
RESET vc_ivf.probes;
SELECT is((SELECT last_index FROM vectorcoll.scan_stats()), 'rows_v'::regclass, 'the index was searched');
DROP INDEX rows_v;
CREATE INDEX rows_v ON rows USING vc_ivf (((v + v)::halfvec(24)) halfvec_ip_ops) WITH (lists = 20) WHERE f < 5;
SET vc_ivf.target_recall = 1;
SELECT is(vectorcoll.index_recall('rows_v', 20), 1::float8, 'an expression, some rows, another type');
SELECT is((SELECT last_index FROM vectorcoll.scan_stats()), 'rows_v'::regclass, 'the index was searched');
DROP INDEX rows_v;
CREATE TABLE nothing (v bit(8));
CREATE INDEX nothing_v ON nothing USING vc_ivf (v bit_hamming_ops);
SELECT is(vectorcoll.index_recall('nothing_v'), NULL, 'nothing to be found');
INSERT INTO nothing VALUES (NULL), (NULL);
SELECT is(vectorcoll.index_recall('nothing_v'), NULL, 'nor among NULLs');
INSERT INTO nothing SELECT (i % 256)::bit(8) FROM generate_series(1, 600) i;
SELECT is(vectorcoll.index_recall('nothing_v', 30), 1::float8, 'values that many rows share');
SELECT throws_ok($$SELECT vectorcoll.index_recall('nothing_v', 0)$$, '22023', NULL, 'no sample');
SELECT throws_ok($$SELECT vectorcoll.index_recall('nothing_v', 10, NULL)$$, '22023', NULL, 'no k');
SELECT * FROM finish();
