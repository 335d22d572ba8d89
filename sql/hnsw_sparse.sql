-- vc_hnsw over sparsevec: all metrics, narrow and wide indices, values of every size, space used again, refusals.
-- What no link leads to is not what is tested here.
SET client_min_messages = error;
-- Twelve of 80 words, more often from the document's own topic; weights without ties. `spread` sets words apart.
CREATE FUNCTION document(i int, dim int, spread int) RETURNS sparsevec LANGUAGE sql IMMUTABLE AS $$
    SELECT ('{' || string_agg(word * spread || ':' || weight, ',' ORDER BY word) || '}/' || dim)::sparsevec
    FROM (SELECT word, max(((i * 7919 + word * 104729 + n) % 1009 + 1) / 1009.0)::numeric(8, 6) AS weight
          FROM (SELECT n, CASE WHEN n < 8 THEN i % 5 * 16 + hashint4(i * 31 + n) & 15 ELSE abs(hashint4(i * 37 + n)) % 80 END + 1 AS word
                FROM generate_series(1, 12) n) w GROUP BY word) s $$;
CREATE TABLE docs (id int, s sparsevec(81), w sparsevec(1000000));
INSERT INTO docs SELECT i, document(i, 81, 1), document(i, 1000000, 12000) FROM generate_series(1, 3000) i;

CREATE FUNCTION recall(col text, op text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE q sparsevec; hits int := 0; exact int[]; found int[];
BEGIN
    SET LOCAL vc_hnsw.ef_search = 40;
    FOR i IN 1..20 LOOP
        q := CASE col WHEN 's' THEN document(100000 + i, 81, 1) ELSE document(100000 + i, 1000000, 12000) END;
        SET LOCAL enable_indexscan = off; SET LOCAL enable_seqscan = on;
        EXECUTE format('SELECT array(SELECT id FROM docs ORDER BY %I %s $1 LIMIT 10)', col, op) INTO exact USING q;
        SET LOCAL enable_indexscan = on; SET LOCAL enable_seqscan = off;
        EXECUTE format('SELECT array(SELECT id FROM docs ORDER BY %I %s $1 LIMIT 10)', col, op) INTO found USING q;
        hits := hits + (SELECT count(*) FROM unnest(exact) e WHERE e = ANY (found));
    END LOOP;
    RETURN hits / 200.0;
END $$;

CREATE INDEX docs_s ON docs USING vc_hnsw (s sparsevec_l2_ops);
EXPLAIN (COSTS OFF) SELECT id FROM docs ORDER BY s <-> '{1:1}/81' LIMIT 3;
SELECT recall('s', '<->') >= 0.95 AS l2;
SELECT vectorcoll.hnsw_check('docs_s', true);
DROP INDEX docs_s;
CREATE INDEX docs_s ON docs USING vc_hnsw (s sparsevec_ip_ops);
SELECT recall('s', '<#>') >= 0.9 AS ip;
SELECT vectorcoll.hnsw_check('docs_s', true);
DROP INDEX docs_s;
CREATE INDEX docs_s ON docs USING vc_hnsw (s sparsevec_l1_ops);
SELECT recall('s', '<+>') >= 0.95 AS l1;
DROP INDEX docs_s;
CREATE INDEX docs_s ON docs USING vc_hnsw (s sparsevec_cosine_ops);
SELECT recall('s', '<=>') >= 0.95 AS cosine;
CREATE INDEX docs_w ON docs USING vc_hnsw (w sparsevec_l2_ops);
SELECT recall('w', '<->') >= 0.95 AS wide;

-- In order; and every row is returned, those without a direction too.
INSERT INTO docs SELECT i, '{}/81', '{}/1000000' FROM generate_series(9001, 9003) i;
SET enable_seqscan = off;
SELECT bool_and(d >= before - 1e-6) AS ordered FROM (SELECT d, lag(d, 1, 0) OVER () AS before
    FROM (SELECT s <=> document(7, 81, 1) AS d FROM docs ORDER BY s <=> document(7, 81, 1) LIMIT 500) s) s;
SELECT count(DISTINCT id), count(*) FILTER (WHERE d = 'NaN') AS without_direction
    FROM (SELECT id, s <=> document(7, 81, 1) AS d FROM docs ORDER BY s <=> document(7, 81, 1) LIMIT 5000) s;
SELECT array(SELECT id FROM docs ORDER BY w <-> '{}/1000000' LIMIT 3) AS empty;

-- Values of other sizes in the place of those deleted.
SELECT pg_relation_size('docs_w') AS size \gset
DELETE FROM docs WHERE id % 3 = 0;
VACUUM docs;
SELECT recall('s', '<=>') >= 0.95 AS after_vacuum;
INSERT INTO docs SELECT i, document(i, 81, 1), document(i, 1000000, 12000) FROM generate_series(1, 3000) i WHERE i % 3 = 0;
SELECT pg_relation_size('docs_w') <= :size * 1.1 AS reused;
SELECT recall('w', '<->') >= 0.95 AS after_refill;
SELECT vectorcoll.hnsw_check('docs_s', true), vectorcoll.hnsw_check('docs_w', true);
-- Many rows of one value.
INSERT INTO docs SELECT 20000 + i, document(7, 81, 1), document(7, 1000000, 12000) FROM generate_series(1, 3000) i;
SELECT count(*) FROM (SELECT id FROM docs ORDER BY w <-> document(7, 1000000, 12000) LIMIT 3001) s WHERE id > 20000 OR id = 7;
DELETE FROM docs WHERE id > 20000;
VACUUM docs;
SELECT vectorcoll.hnsw_check('docs_s', true), vectorcoll.hnsw_check('docs_w', true);

-- The largest value that goes into a page, one more, and the wrong dimensions.
CREATE FUNCTION filled(n int, dim int, value real DEFAULT 1) RETURNS sparsevec LANGUAGE sql IMMUTABLE AS $$
    SELECT ('{' || string_agg(i || ':' || i + value, ',' ORDER BY i) || '}/' || dim)::sparsevec FROM generate_series(1, n) i $$;
CREATE TABLE large (v sparsevec(65536), w sparsevec(65537));
CREATE INDEX large_v ON large USING vc_hnsw (v sparsevec_l2_ops);
CREATE INDEX large_w ON large USING vc_hnsw (w sparsevec_l2_ops);
\set VERBOSITY terse
INSERT INTO large (v) VALUES (filled(1310, 65536));
INSERT INTO large (v) VALUES (filled(1320, 65536));
INSERT INTO large (w) VALUES (filled(982, 65537));
INSERT INTO large (w) VALUES (filled(990, 65537));
\set VERBOSITY default
INSERT INTO large (v, w) SELECT filled(n, 65536, n), filled(n, 65537, n) FROM generate_series(1, 960, 7) n;
SELECT array(SELECT v = filled(1310, 65536) FROM large ORDER BY v <-> filled(1310, 65536) LIMIT 1) AS found;
-- Two bytes an index instead of four.
SELECT pg_relation_size('large_v') < pg_relation_size('large_w') AS narrower;
SELECT vectorcoll.hnsw_check('large_v', true), vectorcoll.hnsw_check('large_w', true);
DELETE FROM large WHERE ctid = ANY (ARRAY(SELECT ctid FROM large OFFSET 30));
VACUUM large;
INSERT INTO large (v, w) SELECT filled(n, 65536, n), filled(n, 65537, n) FROM generate_series(1, 960, 9) n ORDER BY hashint4(n);
SELECT vectorcoll.hnsw_check('large_v', true), vectorcoll.hnsw_check('large_w', true);
SELECT id FROM docs ORDER BY s <=> '{1:1}/5' LIMIT 1;
CREATE TABLE anything (v sparsevec);
CREATE INDEX ON anything USING vc_hnsw (v sparsevec_l2_ops);
DROP TABLE docs, large, anything;
DROP FUNCTION document, recall, filled;
