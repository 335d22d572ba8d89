-- What vc_hnsw promises of its answers, for each type and metric: exact order, as many rows as there are, each once, NULLs left out,
-- whatever WHERE says; the cap on work; dimensions from one to the most.
SELECT plan(119);
SET client_min_messages = warning;
SELECT setseed(0.5);
CREATE TABLE data AS SELECT i AS id, i % 10 AS tenth, i % 100 AS hundredth, i % 1000 AS thousandth, x::vector(20) AS v, x::vector(20)::halfvec(20) AS h,
        (SELECT string_agg((y > 0)::int::text, '' ORDER BY o) FROM unnest(x || x[2:20] || x[1:1]) WITH ORDINALITY u (y, o))::bit(40) AS b,
        array(SELECT CASE WHEN o % 3 = i % 3 THEN y ELSE 0 END FROM unnest(x) WITH ORDINALITY u (y, o))::vector(20)::sparsevec(20) AS s
    FROM (SELECT i, array(SELECT random() - 0.5 + (i % 7) / 10.0 * (d % 2) FROM generate_series(1, 20) d WHERE i > 0)::float4[] AS x FROM generate_series(1, 4000) i) d;
INSERT INTO data (id, tenth, hundredth, thousandth) SELECT 5000 + i, 1, 1, 1 FROM generate_series(1, 30) i;
SET enable_seqscan = off;
SET enable_sort = off;
SET enable_bitmapscan = off;
SET vc_hnsw.ef_search = 20;

CREATE FUNCTION check_answers(col text, opclass text, op text, options text DEFAULT '') RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    what text := opclass || options;
    q text := format('(SELECT %I FROM data WHERE id = 77)', col);
    r record; share text; passing bigint;
BEGIN
    EXECUTE format('CREATE INDEX data_idx ON data USING vc_hnsw (%I %s) %s', col, opclass, options);
    RETURN NEXT ok((SELECT bool_or(l ~ 'data_idx') FROM plan_lines(format('SELECT id FROM data ORDER BY %I %s %s LIMIT 500', col, op, q)) l), what || ': the index answers');
    EXECUTE format('SELECT count(*), count(DISTINCT id) AS ids, bool_and(d >= before - 1e-6) AS ordered FROM (SELECT id, d, lag(d, 1, d) OVER (ORDER BY n) AS before
        FROM (SELECT id, d, row_number() OVER () AS n FROM (SELECT id, %1$I %2$s %3$s AS d FROM data ORDER BY %1$I %2$s %3$s LIMIT 500) a) b) c', col, op, q) INTO r;
    RETURN NEXT is(r.count || ' ' || r.ids || ' ' || r.ordered, '500 500 true', what || ': LIMIT 500 is 500 rows in order');
    EXECUTE format('SELECT count(*), count(DISTINCT id) AS ids FROM (SELECT id FROM data ORDER BY %I %s %s LIMIT 100000) a', col, op, q) INTO r;
    RETURN NEXT is(r.count || ' ' || r.ids, '4000 4000', what || ': all rows but NULLs, each once');
    FOREACH share IN ARRAY ARRAY['tenth', 'hundredth', 'thousandth'] LOOP
        EXECUTE format('SELECT count(*) FROM data WHERE %I = 3 AND %I IS NOT NULL', share, col) INTO passing;
        EXECUTE format('SELECT count(*), bool_and(id %% 10 = 3) AS allowed FROM (SELECT id FROM data WHERE %I = 3 ORDER BY %I %s %s LIMIT 50) a', share, col, op, q) INTO r;
        RETURN NEXT is(r.count || ' ' || r.allowed, least(passing, 50) || ' true', format('%s: where a %s passes, as many rows as wanted or as exist', what, share));
    END LOOP;
    DROP INDEX data_idx;
END $$;
CREATE FUNCTION plan_lines(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) ' || query; END $$;
SELECT check_answers(c, o, p) FROM (VALUES ('v', 'vector_l2_ops', '<->'), ('v', 'vector_ip_ops', '<#>'), ('v', 'vector_cosine_ops', '<=>'), ('v', 'vector_l1_ops', '<+>'),
    ('h', 'halfvec_l2_ops', '<->'), ('h', 'halfvec_ip_ops', '<#>'), ('h', 'halfvec_cosine_ops', '<=>'), ('h', 'halfvec_l1_ops', '<+>'), ('b', 'bit_hamming_ops', '<~>'), ('b', 'bit_jaccard_ops', '<%>'),
    ('s', 'sparsevec_l2_ops', '<->'), ('s', 'sparsevec_ip_ops', '<#>'), ('s', 'sparsevec_cosine_ops', '<=>'), ('s', 'sparsevec_l1_ops', '<+>')) k (c, o, p);
SELECT check_answers('v', 'vector_l2_ops', '<->', ' WITH (storage = compact)');
SELECT check_answers('v', 'vector_cosine_ops', '<=>', ' WITH (m = 2, ef_construction = 4)');

-- The cap on work: what was found until then is returned, in order; without it, all.
CREATE INDEX data_v ON data USING vc_hnsw (v);
CREATE FUNCTION rare() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM (SELECT id FROM data WHERE thousandth = 3 ORDER BY v <-> (SELECT v FROM data WHERE id = 77) LIMIT 4) s $$;
SELECT is(rare(), 4::bigint, 'all that exist without a cap');
SELECT last_pages AS pages_without FROM vectorcoll.scan_stats() \gset
SET vc_hnsw.max_scan_tuples = 100;
SELECT ok(rare() < 4, 'fewer with one');
SELECT ok(last_pages < :pages_without / 4, 'for less work') FROM vectorcoll.scan_stats();
SELECT is((SELECT count(*) FROM (SELECT id FROM data ORDER BY v <-> (SELECT v FROM data WHERE id = 77) LIMIT 50) s), 50::bigint, 'that does not concern searches within it');
RESET vc_hnsw.max_scan_tuples;

-- Dimensions: each value is found among others, through links, by itself, and in an index that grew by inserts as well.
CREATE FUNCTION found_by_dimension(dim int, col text, opclass text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE found int;
BEGIN
    EXECUTE format('CREATE TABLE t (id int, v %s(%s))', col, dim);
    INSERT INTO t SELECT i, array(SELECT sin(i * 1.7 + d * i * 0.37) FROM generate_series(1, dim) d)::vector FROM generate_series(1, 40) i;
    EXECUTE format('CREATE INDEX t_v ON t USING vc_hnsw (v %s)', opclass);
    INSERT INTO t SELECT i, array(SELECT sin(i * 1.7 + d * i * 0.37) FROM generate_series(1, dim) d)::vector FROM generate_series(41, 80) i;
    SET LOCAL vc_hnsw.ef_search = 8;
    SELECT count(*) FROM t WHERE id = (SELECT o.id FROM t o ORDER BY o.v <-> t.v LIMIT 1) INTO found;
    PERFORM set_config('client_min_messages', 'error', true);
    PERFORM vectorcoll.hnsw_check('t_v', true);
    DROP TABLE t;
    RETURN CASE WHEN found >= 78 THEN 'found' ELSE found || ' of 80 found' END;
END $$;
SELECT is(found_by_dimension(dim, 'vector', 'vector_l2_ops'), 'found', dim || ' dimensions') FROM unnest(ARRAY[1, 2, 3, 8, 15, 17, 33, 64, 127, 257, 1000, 2000, 2001, 16000]) dim;
SELECT is(found_by_dimension(dim, 'halfvec', 'halfvec_l2_ops'), 'found', dim || ' dimensions of halfvec') FROM unnest(ARRAY[1, 7, 129, 4001, 16000]) dim;
SELECT * FROM finish();
