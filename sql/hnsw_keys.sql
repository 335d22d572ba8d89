-- vc_hnsw: conditions on key columns, tested inside the index.
\getenv inputdir PG_ABS_SRCDIR
SET client_min_messages = warning;
CREATE TABLE items (id int, v vector(4), b bool, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, d date, ts timestamp,
    tz timestamptz, s text, c varchar(20), u uuid);
CREATE FUNCTION place(i int) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
    SELECT ('[' || string_agg(((i * s) % 1)::numeric(8, 6)::text, ',' ORDER BY s) || ']')::vector
    FROM unnest(ARRAY[0.414214, 0.732051, 0.236068, 0.645751]) s $$;
-- Every tenth row shares its vector with nine others, so that one node has rows with different keys; every 13th has nulls.
CREATE FUNCTION fill(first int, last int) RETURNS void LANGUAGE sql AS $$
    INSERT INTO items SELECT i, place(CASE WHEN i % 10 = 0 THEN i % 1000 ELSE i END), i % 3 = 0, i % 7 - 3, i % 100,
        (i % 50) * 10000000000 - 250000000000, (i % 11) / 4.0 - 1,
        CASE i % 40 WHEN 0 THEN 'NaN' WHEN 1 THEN 'Infinity' WHEN 2 THEN '-Infinity' WHEN 3 THEN '-0'
            ELSE (i % 40 - 20) / 8.0 END,
        CASE WHEN i % 90 = 0 THEN 'infinity' ELSE date '2024-01-01' + i % 90 END, timestamp '2024-01-01' + i % 60 * interval '1h',
        timestamptz '2024-01-01 00:00+00' + i % 60 * interval '1h', 's' || i % 25, repeat('long', 4) || i % 30,
        md5((i % 40)::text)::uuid
    FROM generate_series(first, last) i WHERE i % 13 <> 0;
    INSERT INTO items (id, v, i4) SELECT i, place(i), i FROM generate_series(first, last) i WHERE i % 13 = 0 $$;
SELECT fill(1, 2500);
INSERT INTO items (id, v, i4) VALUES (100001, NULL, 5);
ANALYZE items;
CREATE INDEX items_v ON items USING vc_hnsw (v, b, i2, i4, i8, f4, f8, d, ts, tz, s, c, u);
SELECT vectorcoll.hnsw_check('items_v', true);

\set file :inputdir '/sql/include/same.sql'
\i :file
CREATE TABLE conditions (n serial, condition text);
INSERT INTO conditions (condition) VALUES
    ('i2 < -1'), ('i2 <= -1'), ('i2 = -1'), ('i2 >= 2'), ('i2 > 2'), ('i2 = 2::int4'), ('i2 < 40000'), ('i2 > -100000'),
    ('i2 > 100000'), ('i2 = 1::int8'),
    ('i4 < 5'), ('i4 <= 5'), ('i4 = 5'), ('i4 >= 95'), ('i4 > 95'), ('i4 = 7::int2'), ('i4 = 7::int8'), ('i4 < 5000000000'),
    ('i4 > 5000000000'), ('i4 BETWEEN 10 AND 12'), ('i4 > 50 AND i4 < 53'), ('i4 > 53 AND i4 < 50'),
    ('i8 < -200000000000'), ('i8 <= 0'), ('i8 = 0'), ('i8 >= 200000000000'), ('i8 > 9223372036854775807'), ('i8 = 0::int2'),
    ('i8 < (-9223372036854775808)::int8'), ('i8 >= (-9223372036854775808)::int8'),
    ('f4 < -0.5'), ('f4 <= -0.5'), ('f4 = 0'), ('f4 >= 1.5::float8'), ('f4 > 1.5'), ('f4 = 0.25::float4'),
    ('f8 < -1'), ('f8 <= ''-Infinity'''), ('f8 = 0'), ('f8 = ''-0'''), ('f8 >= 0'), ('f8 > ''Infinity'''), ('f8 = ''NaN'''),
    ('f8 < ''NaN'''), ('f8 > 1 AND f8 < ''Infinity'''), ('f8 = 0.5::float4'),
    ('d < ''2024-01-05'''), ('d = ''2024-02-05'''), ('d > ''2024-03-25'''), ('d = ''infinity'''),
    ('ts < ''2024-01-01 03:00'''), ('ts = ''2024-01-02 03:00'''), ('ts >= ''2024-01-03 08:00'''),
    ('tz < ''2024-01-01 03:00+00'''), ('tz = ''2024-01-02 03:00+00'''), ('tz >= ''2024-01-03 08:00+00'''),
    ('s = ''s7'''), ('s = ''nowhere'''), ('c = ''longlonglonglong11'''), ('u = md5(''5'')::uuid'),
    ('s IS NULL'), ('s IS NOT NULL'), ('i4 IS NULL'), ('i4 IS NOT NULL'), ('b IS NULL'), ('i2 IS NULL AND i4 < 1000'),
    ('i2 IS NULL AND i2 = 1'), ('f8 IS NOT NULL AND f8 = 0.5'),
    ('b'), ('NOT b'), ('b IS TRUE'), ('b = false AND i2 = 1'), ('i4 IN (3, 5, 3, 99, NULL)'), ('i4 = ANY (''{}'')'),
    ('s IN (''s1'', ''s2'')'), ('b AND i4 IN (3, 6) AND s IN (''s3'', ''s6'')'),
    ('b > false'), ('b <= false'),
    ('i4 = 5 AND s = ''s5'''), ('i4 < 50 AND i8 > 0 AND d < ''2024-02-01'' AND s = ''s7''');
SELECT condition, same(condition) FROM conditions WHERE same(condition) <> 'same' ORDER BY n;
SELECT count(*) FROM conditions;

-- Conditions that arrive with the execution, in a join and in a prepared statement.
SET enable_seqscan = off;
SELECT k, near.ids FROM (VALUES (3), (NULL), (77)) keys (k),
    LATERAL (SELECT array(SELECT id FROM items WHERE i4 = k ORDER BY v <-> place(k) LIMIT 2) AS ids) near;
SET plan_cache_mode = force_generic_plan;
PREPARE nearest (int, text) AS SELECT id FROM items WHERE i4 = $1 AND s = $2 ORDER BY v <-> '[0,0,0,0]' LIMIT 1;
EXPLAIN (COSTS OFF) EXECUTE nearest(3, 's3');
EXECUTE nearest(3, 's3');
EXECUTE nearest(3, NULL);
EXECUTE nearest(28, 's3');
RESET plan_cache_mode;
\set file :inputdir '/sql/include/nodes.sql'
\i :file
-- A query with conditions alone is not for this index, nor one for rows without a vector.
SELECT nodes($$SELECT id FROM items WHERE i4 = 3$$);
SELECT id FROM items WHERE v IS NULL ORDER BY v <-> '[0,0,0,0]' LIMIT 3;
-- By no distance at all, conditions still hold.
SELECT count(*), bool_and(i4 = 5) FROM (SELECT i4 FROM items WHERE i4 = 5 AND v IS NOT NULL ORDER BY v <-> (SELECT NULL::vector) LIMIT 1000) s;
RESET enable_seqscan;

-- The planner prefers it to an index of the vector alone, and a very selective condition goes to a B-tree.
CREATE INDEX items_alone ON items USING vc_hnsw (v);
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM items WHERE i4 = 3 ORDER BY v <-> '[0,0,0,0]' LIMIT 10;
RESET enable_seqscan;
DROP INDEX items_alone;
CREATE INDEX items_id ON items (id);
EXPLAIN (COSTS OFF) SELECT id FROM items WHERE i4 = 3 AND id = 17 ORDER BY v <-> '[0,0,0,0]' LIMIT 10;
DROP INDEX items_id;

-- Inserts, updates of keys alone, deletes, vacuum.
SELECT fill(2501, 4000);
UPDATE items SET i4 = i4 + 1, s = NULL WHERE id % 10 = 0;
SELECT vectorcoll.hnsw_check('items_v', true);
SELECT condition, same(condition) FROM conditions WHERE n % 3 = 0 AND same(condition) <> 'same' ORDER BY n;
DELETE FROM items WHERE id % 3 = 1;
VACUUM items;
SELECT vectorcoll.hnsw_check('items_v', true);
SELECT condition, same(condition) FROM conditions WHERE n % 3 = 1 AND same(condition) <> 'same' ORDER BY n;
SELECT pg_relation_size('items_v') AS size \gset
INSERT INTO items SELECT 10000 + id, v, b, i2, i4, i8, f4, f8, d, ts, tz, s, c, u FROM items WHERE id % 3 = 2 LIMIT 1000;
SELECT pg_relation_size('items_v') <= :size * 1.05 AS reused;
SELECT vectorcoll.hnsw_check('items_v', true);
SELECT condition, same(condition) FROM conditions WHERE n % 3 = 2 AND same(condition) <> 'same' ORDER BY n;
REINDEX INDEX items_v;
SELECT condition, same(condition) FROM conditions WHERE n % 3 = 0 AND same(condition) <> 'same' ORDER BY n;
DELETE FROM items;
VACUUM items;
SELECT fill(1, 50);
SELECT vectorcoll.hnsw_check('items_v', true);
SELECT condition, same(condition) FROM conditions WHERE n % 3 = 1 AND same(condition) <> 'same' ORDER BY n;

-- A value that thousands of rows have, each with a key of its own.
CREATE TABLE many (id int, v vector(3), k int, t text);
CREATE INDEX many_v ON many USING vc_hnsw (v, k, t);
INSERT INTO many SELECT i, '[1,2,3]', i % 1000, 't' || i % 3 FROM generate_series(1, 6000) i;
INSERT INTO many SELECT i, ('[1,2,' || i || ']')::vector, i % 1000, 't' || i % 3 FROM generate_series(6001, 6400) i;
SET enable_seqscan = off;
SELECT array_agg(id ORDER BY id) FROM (SELECT id FROM many WHERE k = 7 ORDER BY v <-> '[1,2,3]' LIMIT 100) s;
SELECT array_agg(id ORDER BY id) FROM (SELECT id FROM many WHERE k = 7 AND t = 't2' ORDER BY v <-> '[1,2,3]' LIMIT 100) s;
SELECT count(*), bool_and(k >= 100 AND k < 600) FROM (SELECT k FROM many WHERE k >= 100 AND k < 600 ORDER BY v <-> '[1,2,3]' LIMIT 10000) s;
DELETE FROM many WHERE id % 2 = 1;
VACUUM many;
SELECT array_agg(id ORDER BY id) FROM (SELECT id FROM many WHERE k IS NOT NULL AND k = 8 ORDER BY v <-> '[1,2,3]' LIMIT 100) s;
SELECT vectorcoll.hnsw_check('many_v', true);
-- The list of keys answers for few rows, the graph for many: LIMIT gets its rows from both.
SET vc_hnsw.ef_search = 10;
SELECT count(*), bool_and(k < 4) FROM (SELECT k FROM many WHERE k < 4 ORDER BY v <-> '[1,2,6300]' LIMIT 12) s;
SELECT count(*) FROM (SELECT k FROM many WHERE k < 900 ORDER BY v <-> '[1,2,6300]' LIMIT 2000) s;
-- A cap on the work ends a scan early: of 201 values it finds some.
SET vc_hnsw.max_scan_tuples = 50;
SELECT count(DISTINCT v) BETWEEN 10 AND 150 AS capped FROM (SELECT v FROM many WHERE k < 900 ORDER BY v <-> '[1,2,6300]' LIMIT 2000) s;
RESET vc_hnsw.max_scan_tuples;
RESET vc_hnsw.ef_search;
RESET enable_seqscan;
DROP TABLE many;

-- Other metrics and types of vectors; zero vectors under cosine; a node of several pages; a build that spills; an unlogged table.
CREATE TABLE others (id int, h halfvec(4), bits bit(16), big vector(3000), k int2);
INSERT INTO others SELECT i, CASE WHEN i % 50 = 0 THEN '[0,0,0,0]' ELSE place(i)::halfvec END, (i * 40503 % 65536)::bit(16),
    array_fill(i % 17, ARRAY[3000])::vector, i % 10 FROM generate_series(1, 300) i;
CREATE INDEX ON others USING vc_hnsw (h halfvec_cosine_ops, k);
CREATE INDEX ON others USING vc_hnsw (bits bit_jaccard_ops, k);
CREATE INDEX others_big ON others USING vc_hnsw (big, k);
SET enable_seqscan = off;
SELECT count(*), bool_and(k = 0) FROM (SELECT k FROM others WHERE k = 0 ORDER BY h <=> '[1,0,0,0]' LIMIT 1000) s;
SELECT count(*), bool_and(k = 4) FROM (SELECT k FROM others WHERE k = 4 ORDER BY bits <%> '1111000011110000' LIMIT 1000) s;
SELECT count(*), bool_and(k > 7) FROM (SELECT k FROM others WHERE k > 7 ORDER BY big <-> array_fill(3, ARRAY[3000])::vector LIMIT 1000) s;
SELECT vectorcoll.hnsw_check('others_big', true);
SET maintenance_work_mem = '1MB';
CREATE UNLOGGED TABLE spilled (id int, v vector(4), k int);
CREATE INDEX spilled_v ON spilled USING vc_hnsw (v, k);
INSERT INTO spilled SELECT i, place(i), i % 500 FROM generate_series(1, 6000) i;
SELECT vectorcoll.hnsw_check('spilled_v', true);
REINDEX INDEX spilled_v;
SELECT vectorcoll.hnsw_check('spilled_v', true);
SELECT count(*) FROM (SELECT id FROM spilled WHERE k = 3 ORDER BY v <-> '[0,0,0,0]' LIMIT 100) s;
RESET maintenance_work_mem;
RESET enable_seqscan;
DROP TABLE others, spilled;

-- Equality under a collation in which different texts are equal.
DO $$
DECLARE n int;
BEGIN
    CREATE COLLATION ignoring_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    CREATE TABLE words (v vector(1), w text COLLATE ignoring_case);
    INSERT INTO words VALUES ('[1]', 'Word'), ('[2]', 'WORD'), ('[3]', 'word'), ('[4]', 'sword');
    CREATE INDEX ON words USING vc_hnsw (v, w);
    SET LOCAL enable_seqscan = off;
    SELECT count(*) INTO n FROM (SELECT w FROM words WHERE w = 'wOrd' ORDER BY v <-> '[1]' LIMIT 10) s;
    IF n <> 3 THEN
        RAISE EXCEPTION '% rows', n;
    END IF;
EXCEPTION WHEN feature_not_supported THEN
    NULL; -- a server without ICU
END $$;

-- What cannot be.
CREATE INDEX ON items USING vc_hnsw (i4, v);
CREATE INDEX ON items USING vc_hnsw (i4);
\set VERBOSITY terse
CREATE INDEX ON items USING vc_hnsw (v, v vector_cosine_ops); -- the type's name in DETAIL has a schema on some servers
\set VERBOSITY default
CREATE TABLE odd (v vector(2), p point);
CREATE INDEX ON odd USING vc_hnsw (v, p);
SELECT opcname FROM pg_opclass WHERE opcmethod = (SELECT oid FROM pg_am WHERE amname = 'vc_hnsw') AND NOT amvalidate(oid);
DROP TABLE odd, items;
DROP TABLE conditions;
DROP FUNCTION place, fill, same, nodes;
