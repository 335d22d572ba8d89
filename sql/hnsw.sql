-- vc_hnsw: building, searching, inserting, deleting, refusing.
\getenv inputdir PG_ABS_SRCDIR
SET client_min_messages = warning;
CREATE TABLE points (id int, v vector(6));
-- A fixed set without ties: multiples of irrational steps, modulo 1.
CREATE FUNCTION point(i int) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
    SELECT ('[' || string_agg(((i * s) % 1)::numeric(8, 6)::text, ',' ORDER BY s) || ']')::vector
    FROM unnest(ARRAY[0.414214, 0.732051, 0.236068, 0.645751, 0.316625, 0.605551]) s $$;
INSERT INTO points SELECT i, point(i) FROM generate_series(1, 2000) i;
CREATE INDEX points_v ON points USING vc_hnsw (v vector_l2_ops) WITH (m = 8, ef_construction = 40);
\d points_v

-- What an index returns against what a sequential scan returns: the share of the k nearest found, over some queries.
CREATE FUNCTION recall(op text, k int) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE q vector; hits int := 0; exact int[]; found int[];
BEGIN
    FOR i IN 1..20 LOOP
        q := point(100000 + i);
        SET LOCAL enable_indexscan = off; SET LOCAL enable_seqscan = on;
        EXECUTE format('SELECT array(SELECT id FROM points ORDER BY v %s $1 LIMIT $2)', op) INTO exact USING q, k;
        SET LOCAL enable_indexscan = on; SET LOCAL enable_seqscan = off;
        EXECUTE format('SELECT array(SELECT id FROM points ORDER BY v %s $1 LIMIT $2)', op) INTO found USING q, k;
        hits := hits + (SELECT count(*) FROM unnest(exact) e WHERE e = ANY (found));
    END LOOP;
    RETURN hits / (20.0 * k);
END $$;
SELECT recall('<->', 10) >= 0.95 AS l2;

-- The planner takes the index for ORDER BY distance LIMIT, and for nothing else.
EXPLAIN (COSTS OFF) SELECT id FROM points ORDER BY v <-> '[0,0,0,0,0,0]' LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id FROM points ORDER BY v <-> '[0,0,0,0,0,0]';
EXPLAIN (COSTS OFF) SELECT count(*) FROM points;
EXPLAIN (COSTS OFF) SELECT id FROM points ORDER BY v <=> '[0,0,0,0,0,1]' LIMIT 3;

-- The hidden distance column is not computed, the visible one is, and WITH TIES still compares.
EXPLAIN (COSTS OFF, VERBOSE) SELECT id FROM points ORDER BY v <-> '[0,0,0,0,0,0]' LIMIT 3;
EXPLAIN (COSTS OFF, VERBOSE) SELECT id, v <-> '[0,0,0,0,0,0]' AS d FROM points ORDER BY d LIMIT 3;
SELECT count(*) FROM (SELECT id FROM points ORDER BY v <-> point(7) FETCH FIRST 3 ROWS WITH TIES) s;
SELECT array(SELECT id FROM points ORDER BY v <-> point(7) LIMIT 1);

-- Any LIMIT gives as many rows as there are, each once, in order.
SET enable_seqscan = off;
SET vc_hnsw.ef_search = 10;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM points ORDER BY v <-> point(7) LIMIT 500) s;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM points ORDER BY v <-> point(7) LIMIT 100000) s;
SELECT bool_and(d >= before) AS ordered FROM (SELECT d, lag(d, 1, 0) OVER () AS before
    FROM (SELECT v <-> point(7) AS d FROM points ORDER BY v <-> point(7) LIMIT 500) s) s;
SELECT count(*) FROM (SELECT id FROM points WHERE id % 100 = 3 ORDER BY v <-> point(7) LIMIT 20) s;
RESET vc_hnsw.ef_search;

\set file :inputdir '/sql/include/nodes.sql'
\i :file
-- Not for what it cannot do, however strongly it is suggested.
CREATE INDEX points_part ON points USING vc_hnsw (v vector_l2_ops) WHERE id < 1000;
SELECT count(*) FROM points WHERE id < 1000;
SELECT nodes($$SELECT id FROM points WHERE id < 1000 ORDER BY v <-> '[0,0,0,0,0,0]', v <-> '[1,1,1,1,1,1]' LIMIT 3$$);
SELECT count(*), max(id) < 1000 FROM (SELECT id FROM points WHERE id < 1000 ORDER BY v <-> point(7) LIMIT 2000) s;
DROP INDEX points_part;

-- Insert and delete.
INSERT INTO points SELECT i, point(i) FROM generate_series(2001, 3000) i;
SELECT recall('<->', 10) >= 0.95 AS after_insert;
DELETE FROM points WHERE id % 5 = 0;
SELECT recall('<->', 10) >= 0.95 AS after_delete;
VACUUM points;
SELECT recall('<->', 10) >= 0.95 AS after_vacuum;
SELECT count(*), bool_and(id % 5 <> 0) FROM (SELECT id FROM points ORDER BY v <-> point(7) LIMIT 100000) s;
-- Freed space is used again.
SELECT pg_relation_size('points_v') AS size \gset
INSERT INTO points SELECT i, point(i) FROM generate_series(1, 3000) i WHERE i % 5 = 0;
SELECT pg_relation_size('points_v') <= :size * 1.1 AS reused;
SELECT recall('<->', 10) >= 0.95 AS after_refill;
DELETE FROM points;
VACUUM points;
SELECT count(*) FROM (SELECT id FROM points ORDER BY v <-> point(7) LIMIT 10) s;
INSERT INTO points SELECT i, point(i) FROM generate_series(1, 1000) i;
SELECT recall('<->', 10) >= 0.95 AS after_empty;

-- The other metrics.
DROP INDEX points_v;
CREATE INDEX points_v ON points USING vc_hnsw (v vector_ip_ops);
SELECT recall('<#>', 10) >= 0.9 AS ip;
DROP INDEX points_v;
CREATE INDEX points_v ON points USING vc_hnsw (v vector_cosine_ops);
SELECT recall('<=>', 10) >= 0.95 AS cosine;
DROP INDEX points_v;
CREATE INDEX points_v ON points USING vc_hnsw (v vector_l1_ops);
SELECT recall('<+>', 10) >= 0.95 AS l1;
DROP INDEX points_v;

-- Inner product: short values are far from everything, and yet what some queries ask for. Nearly all are reached, and queries in
-- all directions find what is there.
CREATE TABLE positive (id int, v vector(8));
SELECT setseed(0.25);
INSERT INTO positive SELECT i, array(SELECT random() FROM generate_series(1, 8) g WHERE i > 0)::vector FROM generate_series(1, 6000) i;
CREATE TABLE directions AS SELECT i, array(SELECT random() - 0.5 FROM generate_series(1, 8) g WHERE i > 0)::vector AS v FROM generate_series(1, 50) i;
CREATE INDEX positive_v ON positive USING vc_hnsw (v vector_ip_ops);
SET client_min_messages = error;
SELECT vectorcoll.hnsw_check('positive_v', true);
SET client_min_messages = warning;
SELECT unreachable < 600 AS reached FROM vectorcoll.hnsw_stats('positive_v');
SET vc_hnsw.ef_search = 100;
CREATE TABLE found AS SELECT i, (SELECT array_agg(id) FROM (SELECT id FROM positive p ORDER BY p.v <#> d.v LIMIT 10) s) AS ids FROM directions d;
RESET vc_hnsw.ef_search;
SET enable_indexscan = off;
SELECT avg((SELECT count(*) FROM (SELECT id FROM positive p ORDER BY p.v <#> d.v LIMIT 10) s WHERE id = ANY (ids))) >= 9.5 AS found FROM directions d JOIN found USING (i);
RESET enable_indexscan;
-- How long a query is changes nothing about the order of inner products, nor about the way to the largest.
CREATE FUNCTION pages(direction vector, length float8) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    query vector := ARRAY(SELECT x * length FROM unnest(direction::real[]) x);
BEGIN
    PERFORM id FROM positive ORDER BY v <#> query LIMIT 10;
    RETURN (SELECT last_pages FROM vectorcoll.scan_stats());
END $$;
SELECT count(*), sum(pages(v, 1)) > 1000 AS searched, sum(abs(pages(v, 1) - pages(v, 2 ^ -10))) AS shorter, sum(abs(pages(v, 1) - pages(v, 2 ^ 10))) AS longer
FROM directions;
DROP TABLE positive, directions, found;
DROP FUNCTION pages;

-- NULLs are not indexed; zero vectors under cosine are, and come last.
CREATE TABLE odd (id int, v vector(2));
CREATE INDEX odd_v ON odd USING vc_hnsw (v vector_cosine_ops);
INSERT INTO odd VALUES (1, '[1,0]'), (2, '[0,0]'), (3, NULL), (4, '[0,1]'), (5, '[1,1]');
SELECT id, v <=> '[1,0]' AS distance FROM odd ORDER BY v <=> '[1,0]' LIMIT 10;
SELECT count(*) FROM (SELECT id FROM odd ORDER BY v <=> '[0,0]' LIMIT 10) s;
SELECT count(*) FROM (SELECT id FROM odd ORDER BY v <=> (SELECT NULL::vector) LIMIT 10) s;
DROP TABLE odd;

-- Many equal values stay reachable, and can be deleted.
CREATE TABLE equals (id int, v vector(3));
CREATE INDEX equals_v ON equals USING vc_hnsw (v);
INSERT INTO equals SELECT i, '[1,2,3]' FROM generate_series(1, 4000) i;
INSERT INTO equals SELECT 4000 + i, format('[%s,1,1]', i)::vector FROM generate_series(1, 1000) i;
SELECT count(DISTINCT id), max(id) FROM (SELECT id FROM equals ORDER BY v <-> '[1,2,3]' LIMIT 4000) s;
DELETE FROM equals WHERE id <= 3999;
VACUUM equals;
SELECT id FROM equals ORDER BY v <-> '[1,2,3]' LIMIT 2;
DROP TABLE equals;

-- halfvec and bit.
CREATE TABLE halves (id int, v halfvec(6));
INSERT INTO halves SELECT i, point(i)::halfvec FROM generate_series(1, 2000) i;
CREATE INDEX halves_v ON halves USING vc_hnsw (v);
SELECT id FROM halves ORDER BY v <-> point(700)::halfvec LIMIT 1;
DROP INDEX halves_v;
CREATE INDEX halves_v ON halves USING vc_hnsw (v halfvec_cosine_ops);
SELECT id FROM halves ORDER BY v <=> point(700)::halfvec LIMIT 1;
DROP INDEX halves_v;
CREATE INDEX halves_v ON halves USING vc_hnsw (v halfvec_ip_ops);
SELECT count(*) FROM (SELECT id FROM halves ORDER BY v <#> point(700)::halfvec LIMIT 100) s;
DROP INDEX halves_v;
CREATE INDEX halves_v ON halves USING vc_hnsw (v halfvec_l1_ops);
SELECT id FROM halves ORDER BY v <+> point(700)::halfvec LIMIT 1;
DROP TABLE halves;
CREATE TABLE bits (id int, v bit(40));
INSERT INTO bits SELECT i, (i * 2654435761 % 1099511627776)::bit(40) FROM generate_series(1, 2000) i;
CREATE INDEX bits_v ON bits USING vc_hnsw (v bit_hamming_ops);
SELECT id, v <~> (SELECT v FROM bits WHERE id = 700) AS distance FROM bits ORDER BY v <~> (SELECT v FROM bits WHERE id = 700) LIMIT 1;
DROP INDEX bits_v;
CREATE INDEX bits_v ON bits USING vc_hnsw (v bit_jaccard_ops);
SELECT id, v <%> (SELECT v FROM bits WHERE id = 700) AS distance FROM bits ORDER BY v <%> (SELECT v FROM bits WHERE id = 700) LIMIT 1;
DROP TABLE bits;

-- Values larger than a page, and the largest.
CREATE TABLE wide (id int, v vector(16000));
INSERT INTO wide SELECT i, ('[' || repeat(i || ',', 15999) || i || ']')::vector FROM generate_series(1, 40) i;
CREATE INDEX wide_v ON wide USING vc_hnsw (v);
INSERT INTO wide SELECT i, ('[' || repeat(i || ',', 15999) || i || ']')::vector FROM generate_series(41, 80) i;
SELECT array_agg(id) FROM (SELECT id FROM wide ORDER BY v <-> (SELECT v FROM wide WHERE id = 33) LIMIT 3) s;
DELETE FROM wide WHERE id = 33;
VACUUM wide;
SELECT array_agg(id ORDER BY id) FROM (SELECT id FROM wide ORDER BY v <-> (SELECT v FROM wide WHERE id = 34) LIMIT 2) s;
DROP TABLE wide;

-- A build with less memory than the graph needs.
SET maintenance_work_mem = '1MB';
CREATE TABLE spill (id int, v vector(6));
INSERT INTO spill SELECT i, point(i) FROM generate_series(1, 6000) i;
CREATE INDEX spill_v ON spill USING vc_hnsw (v);
RESET maintenance_work_mem;
SELECT count(*) FROM (SELECT id FROM spill ORDER BY v <-> point(7) LIMIT 6000) s;
DROP TABLE spill;

-- Unlogged tables.
CREATE UNLOGGED TABLE quick (id int, v vector(6));
INSERT INTO quick SELECT i, point(i) FROM generate_series(1, 500) i;
CREATE INDEX quick_v ON quick USING vc_hnsw (v);
INSERT INTO quick SELECT i, point(i) FROM generate_series(501, 1000) i;
SELECT id FROM quick ORDER BY v <-> point(700) LIMIT 1;
DROP TABLE quick;
RESET enable_seqscan;

-- Refusals.
\set VERBOSITY sqlstate
CREATE INDEX ON points USING vc_hnsw (v) WITH (m = 1);
CREATE INDEX ON points USING vc_hnsw (v) WITH (m = 101);
CREATE INDEX ON points USING vc_hnsw (v) WITH (ef_construction = 3);
CREATE INDEX ON points USING vc_hnsw (v) WITH (m = 40, ef_construction = 64);
CREATE INDEX ON points USING vc_hnsw (v) WITH (lists = 3);
CREATE INDEX ON points USING vc_hnsw (id);
CREATE UNIQUE INDEX ON points USING vc_hnsw (v);
CREATE TABLE untyped (v vector);
CREATE INDEX ON untyped USING vc_hnsw (v);
INSERT INTO points VALUES (0, '[1,2]');
SET vc_hnsw.ef_search = 0;
SET vc_hnsw.nonsense = 1;
\set VERBOSITY default
CREATE INDEX ON untyped USING vc_hnsw (v);
CREATE INDEX points_v ON points USING vc_hnsw (v);
SET enable_seqscan = off;
SELECT id FROM points ORDER BY v <-> '[1,2]' LIMIT 1;
RESET enable_seqscan;
DROP TABLE points, untyped;
DROP FUNCTION point(int), recall(text, int), nodes;
SELECT opcname, amvalidate(oid) FROM pg_opclass WHERE opcmethod = (SELECT oid FROM pg_am WHERE amname = 'vc_hnsw') ORDER BY 1;

-- Recall, measured by the extension itself.
CREATE TABLE measured (id int, v vector(3));
INSERT INTO measured SELECT i, format('[%s,%s,%s]', i % 17, i % 101, i % 613)::vector FROM generate_series(1, 3000) i;
CREATE INDEX measured_v ON measured USING vc_hnsw (v);
SELECT vectorcoll.index_recall('measured_v', 50) BETWEEN 0.97 AND 1 AS recall;
CREATE INDEX measured_id ON measured (id);
\set VERBOSITY sqlstate
SELECT vectorcoll.index_recall('measured_id', 50);
SELECT vectorcoll.index_recall('measured_v', 0);
DROP TABLE measured;

-- Vectors without any order, the hardest there are. A search ends after 16 visits for each of ef and 384 more, however hard, beside those on
-- upper levels; it does not take having left neighbours out for having seen all. Codes take the room that a page of six nodes has.
CREATE TABLE hard (id int, v vector(100));
INSERT INTO hard SELECT i, array(SELECT random() - 0.5 FROM generate_series(1, 100) WHERE i > 0)::vector(100) FROM generate_series(1, 15000) i;
CREATE INDEX hard_v ON hard USING vc_hnsw (v vector_l2_ops);
CREATE FUNCTION most_visits(ef int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE q vector; most bigint := 0;
BEGIN
    SET LOCAL enable_seqscan = off;
    PERFORM set_config('vc_hnsw.ef_search', ef::text, true);
    FOR i IN 1..100 LOOP
        q := array(SELECT random() - 0.5 FROM generate_series(1, 100) WHERE i > 0)::vector;
        PERFORM id FROM (SELECT id FROM hard ORDER BY v <-> q LIMIT 1) x;
        most := greatest(most, (SELECT last_distances FROM vectorcoll.scan_stats()));
    END LOOP;
    RETURN most;
END $$;
SELECT ef, most_visits(ef) BETWEEN ef AND 16 * ef + 384 + 300 AS bounded FROM unnest(ARRAY[1, 40, 160]) ef;
CREATE EXTENSION pageinspect;
SELECT lower > 24 + 6 * 1300 AS filled, lower <= special AS fits FROM page_header(get_raw_page('hard_v', 1));
DROP EXTENSION pageinspect;
DROP TABLE hard;
DROP FUNCTION most_visits;

-- Rows as queries, of which index_recall asks: they find as much as others do, with a small ef, too.
CREATE TABLE own (id int, v vector(24));
INSERT INTO own SELECT i, array(SELECT random() FROM generate_series(1, 24) WHERE i > 0)::vector(24) FROM generate_series(1, 2500) i;
CREATE INDEX own_v ON own USING vc_hnsw (v vector_l2_ops);
SET vc_hnsw.ef_search = 10;
SELECT vectorcoll.index_recall('own_v', 200) > 0.97 AS recall;
RESET vc_hnsw.ef_search;
DROP TABLE own;

-- Without codes a visit is of every neighbour seen: there the end after so many visits would come long before most are.
CREATE TABLE wide (id int, v vector(100));
INSERT INTO wide SELECT i, array(SELECT random() FROM generate_series(1, 100) WHERE i > 0)::vector FROM generate_series(1, 6000) i;
CREATE INDEX wide_v ON wide USING vc_hnsw (v vector_l1_ops) WITH (m = 50, ef_construction = 100);
SET vc_hnsw.ef_search = 10;
SELECT vectorcoll.index_recall('wide_v', 200) > 0.95 AS recall;
RESET vc_hnsw.ef_search;
DROP TABLE wide;
