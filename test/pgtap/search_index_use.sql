-- Every way to search takes its rows from the vector index: asserted by the server's own counts of scans, which see inside the functions, and
-- by EXPLAIN where there is a statement to explain. Alike through aliases and over partitions, whose rows come merged in order.
SELECT plan(33);
SELECT setseed(0.25);
CREATE FUNCTION fill(name text, named text DEFAULT NULL) RETURNS bigint LANGUAGE sql AS $$
    SELECT vectorcoll.insert(name, array_agg(i), array_agg(v), array_agg(jsonb_build_object('n', i, 'color', 'c' || i % 500, 'kind', i % 7)), named)
      FROM (SELECT i + CASE WHEN named IS NULL THEN 0 ELSE 10000 END, array_agg(random()::real)::vector
              FROM generate_series(1::bigint, 4000) i, generate_series(1, 16) d GROUP BY i) AS r(i, v)
$$;
SELECT vectorcoll.create_collection('one', 16, metric_type => 'L2'), vectorcoll.create_collection('two', 16, metric_type => 'L2');
SELECT fill('one'), vectorcoll.create_index('one', 'vector', 'HNSW'), vectorcoll.create_payload_index('one', '$meta'), vectorcoll.create_alias('one', 'alias_one');
SELECT vectorcoll.create_partition('two', 'p1');
SELECT fill('two'), fill('two', 'p1'), vectorcoll.create_index('two', 'vector', 'HNSW');
ANALYZE one, two;
-- Of a few thousand rows the planner may rightly read all; what is asked is that nothing keeps it from the index.
SET enable_seqscan = off;
CREATE FUNCTION query() RETURNS vector LANGUAGE sql IMMUTABLE AS $$ SELECT array_fill(0.5::real, ARRAY[16])::vector $$;

-- Scans of vector indexes and of whole tables while a statement runs.
CREATE FUNCTION scans(statement text, OUT vector_index bigint, OUT whole_table bigint) LANGUAGE plpgsql AS $$
DECLARE
    before record;
    again record;
BEGIN
    FOR i IN 0 .. 1 LOOP
        SELECT sum(pg_stat_get_xact_numscans(c.oid)) FILTER (WHERE a.amname = 'vc_hnsw') AS v, sum(pg_stat_get_xact_numscans(c.oid)) FILTER (WHERE c.relkind = 'r') AS t
          INTO again FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'i');
        IF i = 0 THEN
            before := again;
            EXECUTE statement;
        END IF;
    END LOOP;
    vector_index := again.v - before.v;
    whole_table := again.t - before.t;
END $$;

SELECT results_eq(format('SELECT * FROM scans(%L)', 'SELECT * FROM ' || call), format('VALUES (%s::bigint, 0::bigint)', n), what) FROM (VALUES
    ('search', 1, $$vectorcoll.search('one', query())$$),
    ('search through an alias', 1, $$vectorcoll.search('alias_one', query())$$),
    ('search with a weak filter', 1, $$vectorcoll.search('one', query(), 10, 'n > 100')$$),
    ('search for top_k of 1,000', 1, $$vectorcoll.search('one', query(), 1000)$$),
    ('search with skip', 1, $$vectorcoll.search('one', query(), 5, skip => 50)$$),
    ('search_batch', 3, $$vectorcoll.search_batch('one', ARRAY[query(), query(), query()])$$),
    ('range_search', 1, $$vectorcoll.range_search('one', query(), 0.9)$$),
    ('range_search with both bounds', 1, $$vectorcoll.range_search('one', query(), 0.9, 0.5)$$),
    ('hybrid_search', 2, $$vectorcoll.hybrid_search('one', jsonb_build_array(jsonb_build_object('anns_field', 'vector', 'data', query()::text::jsonb),
        jsonb_build_object('anns_field', 'vector', 'data', query()::text::jsonb, 'filter', 'n > 100')))$$),
    ('search_groups', 1, $$vectorcoll.search_groups('one', query(), 'kind', 3)$$),
    ('search_groups with a filter', 1, $$vectorcoll.search_groups('one', query(), 'kind', 3, 'n > 100')$$),
    ('search_iterator', 1, $$vectorcoll.search_iterator('one', query(), 10)$$),
    ('search_iterator with a filter', 1, $$vectorcoll.search_iterator('one', query(), 10, 'n > 100')$$),
    ('recommend', 1, $$vectorcoll.recommend('one', '{1,2}')$$),
    ('recommend through an alias', 1, $$vectorcoll.recommend('alias_one', '{1,2}')$$),
    ('search over partitions', 2, $$vectorcoll.search('two', query())$$),
    ('search in one of them', 1, $$vectorcoll.search('two', query(), partition_names => '{p1}')$$),
    ('search over partitions with a filter', 2, $$vectorcoll.search('two', query(), 10, 'n > 100')$$),
    ('search_iterator over partitions', 2, $$vectorcoll.search_iterator('two', query(), 10)$$),
    ('search_groups over partitions', 2, $$vectorcoll.search_groups('two', query(), 'kind', 3)$$),
    ('range_search over partitions', 2, $$vectorcoll.range_search('two', query(), 0.9)$$)) t(what, n, call);

-- The candidates' neighbours come from the index; the candidates themselves are fetched as the planner likes best.
SELECT is((SELECT vector_index FROM scans($$SELECT * FROM vectorcoll.recommend('one', '{1,2}', '{3}', strategy => 'best_score')$$)), 2::bigint,
    'recommend by best_score');
SELECT matches((SELECT string_agg(l, E'\n') FROM vectorcoll.explain_search('one', query(), search_params => '{"radius": 0.5}') l), 'Index Scan using one_vector_idx',
    'explain_search of a range');

-- A walk is one scan, however small its batches.
CREATE FUNCTION walk(size int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    total bigint := 0; n bigint; st text;
BEGIN
    LOOP
        SELECT count(*), (array_agg(b.state_after))[count(*)] INTO n, st FROM vectorcoll.search_iterator('one', query(), size, state => st) b;
        total := total + n;
        EXIT WHEN n < size;
    END LOOP;
    RETURN total;
END $$;
SELECT results_eq($$SELECT * FROM scans('SELECT walk(30)')$$, $$VALUES (1::bigint, 0::bigint)$$, 'a walk of 134 batches is one scan');
SELECT is(walk(30), 4000::bigint, 'and sees every row');

-- Strong filters take the payload's index instead; nothing scans the table.
SELECT results_eq(format('SELECT * FROM scans(%L)', call), 'VALUES (0::bigint, 0::bigint)', what) FROM (VALUES
    ('a strong filter', $$SELECT * FROM vectorcoll.search('one', query(), 10, 'color == "c7"')$$),
    ('in the JSON language, through an alias', $$SELECT * FROM vectorcoll.search('alias_one', query(), 10, '{"key": "color", "match": {"value": "c7"}}'::jsonb)$$),
    ('for an iterator', $$SELECT * FROM vectorcoll.search_iterator('one', query(), 5, 'color == "c7"')$$),
    ('for groups', $$SELECT * FROM vectorcoll.search_groups('one', query(), 'kind', 2, 'color == "c7"')$$)) t(what, call);

CREATE FUNCTION plan_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text; result text := '';
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || statement LOOP
        result := result || line || E'\n';
    END LOOP;
    RETURN result;
END $$;
SELECT matches(plan_of($$SELECT id FROM alias_one ORDER BY vector <-> query() LIMIT 5$$), 'Index Scan using one_vector_idx', 'SQL through the alias uses the index');
SELECT matches((SELECT string_agg(l, E'\n') FROM vectorcoll.explain_search('alias_one', query()) l), 'Index Scan using one_vector_idx', 'explain_search through the alias too');
SELECT matches((SELECT string_agg(l, E'\n') FROM vectorcoll.explain_search('two', query()) l), 'Merge Append.*Index Scan.*Index Scan', 'partitions merge in order, each from its index');
SELECT is((SELECT array_agg(distance) FROM vectorcoll.search('two', query(), 20)), (SELECT array_agg(distance ORDER BY distance) FROM vectorcoll.search('two', query(), 20)),
    'and come in order');
SELECT * FROM finish();
