-- What vectorcoll.hnsw_check and hnsw_stats say of whole indexes, and to whom.
CREATE TABLE checked (id int, v vector(12), h halfvec(12), b bit(64)) WITH (autovacuum_enabled = off);
INSERT INTO checked
    SELECT i, w, w::vector(12)::halfvec(12), (i * 2654435761)::bit(64)
    FROM (SELECT i, array(SELECT sin(i * s) FROM generate_series(1, 12) s)::vector AS w FROM generate_series(1, 2000) i) x;
INSERT INTO checked SELECT 5000 + i, v, h, b FROM checked, generate_series(1, 900) i WHERE id = 7; -- overflow pages
INSERT INTO checked VALUES (6000, NULL, NULL, NULL);
INSERT INTO checked SELECT i, array_fill(0, ARRAY[12])::vector FROM generate_series(6001, 6100) i;
CREATE INDEX checked_l2 ON checked USING vc_hnsw (v vector_l2_ops);
CREATE INDEX checked_ip ON checked USING vc_hnsw (v vector_ip_ops) WITH (m = 4, ef_construction = 20);
CREATE INDEX checked_cos ON checked USING vc_hnsw (v vector_cosine_ops) WITH (m = 40, ef_construction = 100);
CREATE INDEX checked_l1 ON checked USING vc_hnsw (v vector_l1_ops);
CREATE INDEX checked_half ON checked USING vc_hnsw (h halfvec_l2_ops) WHERE id < 5000;
CREATE INDEX checked_compact_l2 ON checked USING vc_hnsw (v vector_l2_ops) WITH (storage = compact);
CREATE INDEX checked_compact_ip ON checked USING vc_hnsw (v vector_ip_ops) WITH (storage = compact, m = 4, ef_construction = 20);
CREATE INDEX checked_compact_cos ON checked USING vc_hnsw (v vector_cosine_ops) WITH (storage = compact, m = 40, ef_construction = 100);
CREATE INDEX checked_compact_half ON checked USING vc_hnsw (h halfvec_l2_ops) WITH (storage = compact) WHERE id < 5000;
CREATE INDEX checked_hamming ON checked USING vc_hnsw (b bit_hamming_ops);
CREATE INDEX checked_jaccard ON checked USING vc_hnsw (b bit_jaccard_ops);
SET client_min_messages = error; -- whether a node is left unreached depends on the levels drawn
CREATE FUNCTION check_all() RETURNS TABLE (index name, rows bigint, apart bigint) LANGUAGE sql AS $$
    SELECT relname, (s).rows, (s).apart
    FROM (SELECT relname, vectorcoll.hnsw_check(c.oid, true), vectorcoll.hnsw_stats(c.oid) AS s
          FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid WHERE i.indrelid = 'checked'::regclass) x
    ORDER BY relname COLLATE "C" $$;
SELECT * FROM check_all();

-- the same through inserts, updates, deletes and vacuum
INSERT INTO checked SELECT id + 10000, v + v, h, ~b FROM checked WHERE id % 3 = 0;
UPDATE checked SET v = v - (v + v) WHERE id % 5 = 0;
DELETE FROM checked WHERE id % 4 = 0 OR id BETWEEN 5100 AND 5890;
SELECT * FROM check_all();
VACUUM (INDEX_CLEANUP ON) checked;
SELECT * FROM check_all();
INSERT INTO checked SELECT id + 20000, v, h, b FROM checked WHERE id % 7 = 0;
SELECT * FROM check_all();
DELETE FROM checked WHERE id < 30000;
VACUUM (INDEX_CLEANUP ON) checked;
SELECT * FROM check_all();
SELECT nodes, dead, unreachable < 5 AS reached, pages = 1 + node_pages + tail_pages + tid_pages + unused_pages AS adds_up
    FROM vectorcoll.hnsw_stats('checked_l2');
INSERT INTO checked SELECT i, array(SELECT sin(i * s) FROM generate_series(1, 12) s)::vector FROM generate_series(1, 100) i;
SELECT rows, nodes, dead, unreachable < 5 AS reached FROM vectorcoll.hnsw_stats('checked_l2');
SELECT * FROM check_all();

-- zero vectors fill pages up
CREATE TABLE zeros (v vector(12));
CREATE INDEX zeros_v ON zeros USING vc_hnsw (v vector_cosine_ops);
CREATE INDEX zeros_compact ON zeros USING vc_hnsw (v vector_cosine_ops) WITH (storage = compact);
INSERT INTO zeros SELECT array_fill(0, ARRAY[12])::vector FROM generate_series(1, 500);
SELECT apart, pages < 100 AS dense FROM vectorcoll.hnsw_stats('zeros_v');
SELECT apart, pages < 100 AS dense FROM vectorcoll.hnsw_stats('zeros_compact');
SELECT vectorcoll.hnsw_check('zeros_v', true), vectorcoll.hnsw_check('zeros_compact', true);

-- nodes of several pages, of more pages than one WAL record takes
CREATE TABLE large (id int, v vector(16000)) WITH (autovacuum_enabled = off);
CREATE INDEX large_v ON large USING vc_hnsw (v vector_l2_ops);
CREATE INDEX large_compact ON large USING vc_hnsw (v vector_l2_ops) WITH (storage = compact);
INSERT INTO large SELECT i, array(SELECT sin(i * s) FROM generate_series(1, 16000) s)::vector FROM generate_series(1, 24) i;
SELECT vectorcoll.hnsw_check('large_v', true), vectorcoll.hnsw_check('large_compact', true);
DELETE FROM large WHERE id % 2 = 0;
VACUUM (INDEX_CLEANUP ON) large;
SELECT vectorcoll.hnsw_check('large_v', true), vectorcoll.hnsw_check('large_compact', true);
CREATE TEMP TABLE before AS SELECT pg_relation_size('large_v') AS size;
INSERT INTO large SELECT i, array(SELECT cos(i * s) FROM generate_series(1, 16000) s)::vector FROM generate_series(1, 12) i;
SELECT vectorcoll.hnsw_check('large_v', true), vectorcoll.hnsw_check('large_compact', true);
-- each value's levels are drawn anew: an upper node more or less
SELECT pg_relation_size('large_v') < size * 1.3 AS reused FROM before;
REINDEX INDEX large_v;
SELECT vectorcoll.hnsw_check('large_v', true), vectorcoll.hnsw_check('large_compact', true);

-- not for others, not for other things
\set VERBOSITY sqlstate
CREATE INDEX checked_id ON checked (id);
SELECT vectorcoll.hnsw_check('checked_id');
SELECT vectorcoll.hnsw_check('checked');
SELECT vectorcoll.hnsw_check(1::regclass);
SELECT vectorcoll.hnsw_stats('checked_id');
SELECT vectorcoll.hnsw_check(NULL);
CREATE ROLE regress_hnsw_reader;
GRANT SELECT ON checked TO regress_hnsw_reader;
SET ROLE regress_hnsw_reader;
SELECT vectorcoll.hnsw_check('checked_l2');
SELECT vectorcoll.hnsw_stats('checked_l2');
RESET ROLE;
DROP TABLE checked, zeros, large;
DROP FUNCTION check_all;
DROP ROLE regress_hnsw_reader;
