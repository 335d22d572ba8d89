-- vc_ivf: conditions on key columns, tested block by block. What each type's comparisons mean is tested in hnsw_keys.
\getenv inputdir PG_ABS_SRCDIR
SET client_min_messages = warning;
CREATE TABLE items (id int, v vector(6), b bool, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, d date, ts timestamp,
    tz timestamptz, s text, c varchar(20), u uuid);
CREATE FUNCTION place(i int) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
    SELECT ('[' || string_agg(((i * s) % 1)::numeric(8, 6)::text, ',' ORDER BY s) || ']')::vector
    FROM unnest(ARRAY[0.414214, 0.732051, 0.236068, 0.645751, 0.316625, 0.605551]) s $$;
CREATE FUNCTION fill(first int, last int) RETURNS void LANGUAGE sql AS $$
    INSERT INTO items SELECT i, place(i), i % 3 = 0, i % 7 - 3, i % 100, (i % 50) * 10000000000 - 250000000000, (i % 11) / 4.0 - 1,
        CASE i % 40 WHEN 0 THEN 'NaN' WHEN 1 THEN '-Infinity' ELSE (i % 40 - 20) / 8.0 END, date '2024-01-01' + i % 90,
        timestamp '2024-01-01' + i % 60 * interval '1h', timestamptz '2024-01-01 00:00+00' + i % 60 * interval '1h',
        's' || i % 25, repeat('long', 4) || i % 30, md5((i % 40)::text)::uuid
    FROM generate_series(first, last) i WHERE i % 13 <> 0;
    INSERT INTO items (id, v, i4) SELECT i, place(i), i FROM generate_series(first, last) i WHERE i % 13 = 0 $$;
SELECT fill(1, 4000);
INSERT INTO items (id, v, i4) VALUES (100001, NULL, 5);
ANALYZE items;
CREATE INDEX items_v ON items USING vc_ivf (v, b, i2, i4, i8, f4, f8, d, ts, tz, s, c, u) WITH (lists = 30);
SELECT vectorcoll.ivf_check('items_v', true);

\set file :inputdir '/sql/include/same.sql'
\i :file
CREATE TABLE conditions (n serial, condition text);
INSERT INTO conditions (condition) VALUES
    ('b > false'), ('i2 < -1'), ('i2 <= -1'), ('i2 = 2::int8'), ('i2 > 100000'), ('i4 >= 95'), ('i4 = 7'), ('i4 BETWEEN 10 AND 12'),
    ('i4 > 53 AND i4 < 50'), ('i8 <= 0'), ('i8 = 0::int2'), ('f4 < -0.5'), ('f4 = 0.25::float8'), ('f8 = ''NaN'''), ('f8 > 1'),
    ('f8 <= ''-Infinity'''), ('d < ''2024-01-05'''), ('ts = ''2024-01-02 03:00'''), ('tz >= ''2024-01-03 08:00+00'''),
    ('s = ''s7'''), ('s = ''nowhere'''), ('c = ''longlonglonglong11'''), ('u = md5(''5'')::uuid'), ('s IS NULL'), ('i4 IS NOT NULL'),
    ('i4 IS NULL'), ('i2 IS NULL AND i4 < 1000'), ('i2 IS NULL AND i2 = 1'), ('i4 = 5 AND s = ''s5'''),
    ('i4 IN (3, 5, 3, 99, NULL)'), ('i4 = ANY (''{}'')'), ('i4 < ANY (''{4, 9}'')'), ('s IN (''s1'', ''s2'')'),
    ('c IN (''longlonglonglong11'', ''long'')'), ('u IN (md5(''5'')::uuid, md5(''6'')::uuid)'), ('i8 IN (0, 10000000000)'),
    ('i4 IN (1,3,5,7,9,11,13,15,17,19,21,23)'), ('b'), ('NOT b'), ('b = false'), ('b IS TRUE'), ('b IS FALSE AND i2 = 1'), ('b IS NULL'),
    ('b AND i4 IN (3, 6) AND s IN (''s3'', ''s6'')'),
    ('i4 < 50 AND i8 > 0 AND d < ''2024-02-01'' AND s = ''s7''');
SELECT condition, same(condition) FROM conditions WHERE same(condition) <> 'same' ORDER BY n;
SELECT count(*) FROM conditions;

-- Conditions that arrive with the execution, in a join and in a prepared statement.
SET enable_seqscan = off;
SELECT k, near.ids FROM (VALUES (3), (NULL), (77)) keys (k),
    LATERAL (SELECT array(SELECT id FROM items WHERE i4 = k ORDER BY v <-> place(k) LIMIT 2) AS ids) near;
SET plan_cache_mode = force_generic_plan;
PREPARE nearest (int, text) AS SELECT id FROM items WHERE i4 = $1 AND s = $2 ORDER BY v <-> '[0,0,0,0,0,0]' LIMIT 1;
EXPLAIN (COSTS OFF) EXECUTE nearest(3, 's3');
EXECUTE nearest(3, 's3');
EXECUTE nearest(3, NULL);
EXECUTE nearest(28, 's3');
RESET plan_cache_mode;
\set file :inputdir '/sql/include/nodes.sql'
\i :file
-- A query with conditions alone is not for this index, nor one for rows without a vector; by no distance at all, conditions still hold.
SELECT nodes($$SELECT id FROM items WHERE i4 = 3$$);
SELECT id FROM items WHERE v IS NULL ORDER BY v <-> '[0,0,0,0,0,0]' LIMIT 3;
SELECT count(*), bool_and(i4 = 5) FROM (SELECT i4 FROM items WHERE i4 = 5 AND v IS NOT NULL ORDER BY v <-> (SELECT NULL::vector) LIMIT 1000) s;
RESET enable_seqscan;

-- Inserts, updates of keys alone, deletes, vacuum, reindex; an index that trains itself takes the keys along.
SELECT fill(4001, 6000);
UPDATE items SET i4 = i4 + 1, s = NULL WHERE id % 10 = 0;
SELECT vectorcoll.ivf_check('items_v', true);
SELECT condition, same(condition) FROM conditions WHERE n % 3 = 0 AND same(condition) <> 'same' ORDER BY n;
DELETE FROM items WHERE id % 3 = 1;
VACUUM items;
SELECT vectorcoll.ivf_check('items_v', true);
SELECT condition, same(condition) FROM conditions WHERE n % 3 = 1 AND same(condition) <> 'same' ORDER BY n;
SELECT fill(6001, 7000);
SELECT vectorcoll.ivf_check('items_v', true);
SELECT condition, same(condition) FROM conditions WHERE n % 3 = 2 AND same(condition) <> 'same' ORDER BY n;
DELETE FROM items;
VACUUM items;
DROP INDEX items_v;
CREATE INDEX items_v ON items USING vc_ivf (v, b, i2, i4, i8, f4, f8, d, ts, tz, s, c, u) WITH (storage = half, bits = 3);
SELECT fill(1, 900);
SELECT condition, same(condition) FROM conditions WHERE n % 3 = 0 AND same(condition) <> 'same' ORDER BY n;
SELECT fill(901, 2500);
SELECT vectorcoll.ivf_check('items_v', true);
SELECT lists > 1 AS trained FROM vectorcoll.ivf_stats('items_v');
SELECT condition, same(condition) FROM conditions WHERE same(condition) <> 'same' ORDER BY n;

-- The fewer rows pass, the more lists are probed, by the share that the lists show: recall stays what is asked for.
CREATE TABLE many (id int, v vector(6), k int);
INSERT INTO many SELECT i, place(i), i % 1000 FROM generate_series(1, 20000) i;
CREATE FUNCTION filtered_recall(bound int, k int) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE hits int := 0; exact int[]; found int[]; wanted int := 0;
BEGIN
    FOR i IN 1..40 LOOP
        SET LOCAL enable_indexscan = off;
        SELECT array(SELECT id FROM many WHERE many.k < bound ORDER BY v <-> place(100000 + i * 3) LIMIT filtered_recall.k) INTO exact;
        SET LOCAL enable_indexscan = on; SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off;
        SELECT array(SELECT id FROM many WHERE many.k < bound ORDER BY v <-> place(100000 + i * 3) LIMIT filtered_recall.k) INTO found;
        SET LOCAL enable_seqscan = on; SET LOCAL enable_sort = on;
        IF cardinality(found) <> least(filtered_recall.k, 20 * bound) THEN RAISE EXCEPTION '% rows', cardinality(found); END IF;
        hits := hits + (SELECT count(*) FROM unnest(exact) e WHERE e = ANY (found));
        wanted := wanted + cardinality(exact);
    END LOOP;
    RETURN round(hits::numeric / wanted, 3);
END $$;
CREATE INDEX many_v ON many USING vc_ivf (v, k);
SELECT bound, filtered_recall(bound, 10) >= 0.95 AS found, filtered_recall(bound, 50) >= 0.93 AS found_50
FROM unnest(ARRAY[1000, 100, 10, 1]) bound;
-- A cap on the work ends a scan early.
SET enable_seqscan = off;
SET vc_ivf.max_scan_tuples = 3000;
SELECT count(*) BETWEEN 1 AND 19 AS capped FROM (SELECT k FROM many WHERE k = 7 ORDER BY v <-> place(7) LIMIT 20) s;
RESET vc_ivf.max_scan_tuples;
SELECT count(*) FROM (SELECT k FROM many WHERE k = 7 ORDER BY v <-> place(7) LIMIT 100) s;
RESET enable_seqscan;

-- Other metrics and types of vectors; blocks that fill a page with their keys, segments of several pages; a parallel build; unlogged.
CREATE TABLE others (id int, h halfvec(6), bits bit(16), big vector(3000), k int2, t text);
INSERT INTO others SELECT i, CASE WHEN i % 50 = 0 THEN '[0,0,0,0,0,0]' ELSE place(i)::halfvec END, (i * 40503 % 65536)::bit(16),
    array_fill(i % 17, ARRAY[3000])::vector, i % 10, 't' || i % 7 FROM generate_series(1, 1500) i;
SET min_parallel_table_scan_size = 0;
CREATE INDEX others_h ON others USING vc_ivf (h halfvec_cosine_ops, k);
RESET min_parallel_table_scan_size;
CREATE INDEX others_bits ON others USING vc_ivf (bits bit_hamming_ops, k);
CREATE INDEX others_big ON others USING vc_ivf (big, k, t) WITH (lists = 3, bits = 2);
CREATE INDEX others_wide ON others USING vc_ivf (h halfvec_l2_ops, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t);
SELECT vectorcoll.ivf_check(i::regclass, true) FROM unnest(ARRAY['others_h', 'others_bits', 'others_big', 'others_wide']) i;
SET enable_seqscan = off;
SELECT count(*), bool_and(k = 0) FROM (SELECT k FROM others WHERE k = 0 ORDER BY h <=> '[1,0,0,0,0,0]' LIMIT 1000) s;
SELECT count(*), bool_and(k = 4) FROM (SELECT k FROM others WHERE k = 4 ORDER BY bits <~> '1111000011110000' LIMIT 1000) s;
SELECT count(*), bool_and(k > 7 AND t = 't3') FROM (SELECT k, t FROM others WHERE k > 7 AND t = 't3' ORDER BY big <-> array_fill(3, ARRAY[3000])::vector LIMIT 1000) s;
SELECT count(*) FROM (SELECT t FROM others WHERE t = 't3' ORDER BY h <-> '[1,0,0,0,0,0]' LIMIT 1000) s;
CREATE UNLOGGED TABLE unlogged_items (id int, v vector(6), k int);
CREATE INDEX unlogged_items_v ON unlogged_items USING vc_ivf (v, k);
INSERT INTO unlogged_items SELECT i, place(i), i % 500 FROM generate_series(1, 6000) i;
SELECT vectorcoll.ivf_check('unlogged_items_v', true);
SELECT count(*) FROM (SELECT id FROM unlogged_items WHERE k = 3 ORDER BY v <-> '[0,0,0,0,0,0]' LIMIT 100) s;
RESET enable_seqscan;

-- What cannot be.
CREATE INDEX ON others USING vc_ivf (k, h);
CREATE INDEX ON others USING vc_ivf (big, bits bit_hamming_ops);
CREATE INDEX ON others USING vc_ivf (h halfvec_l2_ops, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t);
SELECT opcname FROM pg_opclass WHERE opcmethod = (SELECT oid FROM pg_am WHERE amname = 'vc_ivf') AND NOT amvalidate(oid);
DROP TABLE items, many, others, unlogged_items, conditions;
DROP FUNCTION place, fill, same, filtered_recall, nodes;
