-- Search in all its forms: order, scores, ranges, parameters, errors.
SELECT plan(103);
SELECT lives_ok($$SELECT vectorcoll.create_collection('p', '{"enable_dynamic_field": true, "fields": [
    {"name": "id", "dtype": "int64", "is_primary": true}, {"name": "body", "dtype": "text", "nullable": true},
    {"name": "v", "dtype": "float_vector", "dim": 2}, {"name": "s", "dtype": "sparse_float_vector", "nullable": true}]}'::jsonb,
    '{"field_name": "v", "index_type": "FLAT", "metric_type": "L2"}')$$, 'a collection with dense, sparse and text fields');
SELECT vectorcoll.insert('p', (SELECT jsonb_agg(jsonb_build_object('id', i, 'v', jsonb_build_array(i, 0), 'kind', (ARRAY['a','b','c'])[i % 3 + 1],
    'body', CASE i WHEN 3 THEN 'quick brown fox' WHEN 4 THEN 'lazy dog' WHEN 5 THEN 'the quick dog' ELSE 'nothing here' END,
    's', CASE WHEN i <= 10 THEN jsonb_build_object(i % 4, i) END)) FROM generate_series(1, 30) i));
SELECT results_eq($$SELECT id, distance, score FROM vectorcoll.search('p', '[1,0]', 3)$$,
    $$VALUES ('1', 0::float8, 0::float8), ('2', 1, 1), ('3', 2, 2)$$, 'L2: score is the distance');
SELECT results_eq($$SELECT id FROM vectorcoll.search('p', '[1,0]', 2, skip => 3)$$, $$VALUES ('4'), ('5')$$, 'skip');
SELECT is((SELECT entity FROM vectorcoll.search('p', '[3,0]', 1)), '{"id": 3, "kind": "a", "body": "quick brown fox"}', 'entity without vectors by default');
SELECT is((SELECT entity FROM vectorcoll.search('p', '[3,0]', 1, output_fields => '{v,kind,nope}')), '{"v": [3, 0], "kind": "a"}', 'output_fields');
SELECT results_eq($$SELECT id FROM vectorcoll.search('p', '[1,0]', 2, 'kind == "a" and id > 3')$$, $$VALUES ('6'), ('9')$$, 'filter');
SELECT results_eq($$SELECT id FROM vectorcoll.search('p', '[1,0]', 2, '{"must": [{"key": "kind", "match": {"value": "a"}}]}'::jsonb)$$, $$VALUES ('3'), ('6')$$, 'filter in jsonb');
SELECT results_eq($$SELECT id FROM vectorcoll.search('p', '[1,0]', 2, search_params => '{"exact": true}')$$, $$VALUES ('1'), ('2')$$, 'exact');
SELECT results_eq($$SELECT distance FROM vectorcoll.search('p', '[0.5,0.5]', 1, search_params => '{"round_decimal": 2}')$$, $$VALUES (0.71::float8)$$, 'round_decimal');
SELECT is((SELECT count(*) FROM vectorcoll.search('p', '[1,0]', 16384)), 30::bigint, 'top_k above the number of rows');

-- range: range_filter <= distance < radius
SELECT results_eq($$SELECT id FROM vectorcoll.range_search('p', '[1,0]', 3)$$, $$VALUES ('1'), ('2'), ('3')$$, 'radius is outside');
SELECT results_eq($$SELECT id FROM vectorcoll.range_search('p', '[1,0]', 3, 1)$$, $$VALUES ('2'), ('3')$$, 'range_filter is inside');
SELECT results_eq($$SELECT id FROM vectorcoll.search('p', '[1,0]', 2, search_params => '{"params": {"radius": 10, "range_filter": 2}}')$$,
    $$VALUES ('3'), ('4')$$, 'range in search_params');
SELECT throws_ok($$SELECT * FROM vectorcoll.range_search('p', '[1,0]', 1, 3)$$, 'VC110', NULL, 'no range');
SELECT throws_ok($$SELECT * FROM vectorcoll.range_search('p', '[1,0]', NULL)$$, 'VC111', NULL, 'no radius');
SELECT throws_ok($$SELECT * FROM vectorcoll.search('p', '[1,0]', search_params => '{"range_filter": 2}')$$, 'VC111', NULL, 'range_filter alone');

-- the other metrics
SELECT vectorcoll.create_collection('c', 2, metric_type => 'COSINE'), vectorcoll.create_collection('i', 2, metric_type => 'IP');
SELECT vectorcoll.insert(n, '[{"id": 1, "vector": [1, 0]}, {"id": 2, "vector": [3, 4]}, {"id": 3, "vector": [0, 2]}, {"id": 4, "vector": [-1, 0]}]') FROM unnest('{c,i}'::text[]) n;
SELECT results_eq($$SELECT id, round(distance::numeric, 4), round(score::numeric, 4) FROM vectorcoll.search('c', '[1,0]')$$,
    $$VALUES ('1', 0.0000, 1.0000), ('2', 0.4, 0.6), ('3', 1, 0), ('4', 2, -1)$$, 'COSINE: score is the similarity');
SELECT results_eq($$SELECT id, distance, score FROM vectorcoll.search('i', '[1,0]')$$,
    $$VALUES ('2', -3::float8, 3::float8), ('1', -1, 1), ('3', 0, 0), ('4', 1, -1)$$, 'IP: score is the inner product');
SELECT results_eq($$SELECT id FROM vectorcoll.range_search('c', '[1,0]', 0.5, 0.9)$$, $$VALUES ('2')$$, 'COSINE: radius < score <= range_filter');
SELECT results_eq($$SELECT id FROM vectorcoll.range_search('i', '[1,0]', 0, 3)$$, $$VALUES ('2'), ('1')$$, 'IP: bounds');
SELECT throws_ok($$SELECT * FROM vectorcoll.range_search('c', '[1,0]', 0.9, 0.5)$$, 'VC110', NULL, 'COSINE: bounds the wrong way round');

-- parameters
SELECT throws_ok(format('SELECT * FROM vectorcoll.search(''p'', ''[1,0]'', search_params => %L)', params), 'VC110', NULL, params)
  FROM unnest(ARRAY['{"metric_type": "IP"}', '{"metric_type": 1}', '{"ef": 0}', '{"ef": "x"}', '{"ef": 1.5}', '{"nprobe": -1}', '{"unknown": 1}', '[1]',
                    '{"exact": 1}', '{"hints": "x"}', '{"params": 1}', '{"vc_hnsw.ef_search": -5}']) params;
SELECT lives_ok($$SELECT * FROM vectorcoll.search('p', '[1,0]', search_params => '{"metric_type": "l2", "ef": 77, "nprobe": 3, "hints": "iterative_filter"}')$$, 'known parameters');
SELECT isnt(current_setting('vc_hnsw.ef_search', true), '77', 'settings do not leak');
SELECT throws_ok(format('SELECT * FROM vectorcoll.search(''p'', ''[1,0]'', %s)', top_k), 'VC110', NULL, 'top_k ' || top_k) FROM unnest('{0,-1,16385}'::int[]) top_k;
SELECT throws_ok($$SELECT * FROM vectorcoll.search('p', '[1,0]', NULL)$$, 'VC111', NULL, 'top_k null');
SELECT throws_ok($$SELECT * FROM vectorcoll.search('p', NULL)$$, 'VC111', NULL, 'query null');
SELECT throws_ok($$SELECT * FROM vectorcoll.search(NULL, '[1,0]')$$, 'VC111', NULL, 'name null');
SELECT throws_ok($$SELECT * FROM vectorcoll.search('p', '[1,0]', skip => -1)$$, 'VC110', NULL, 'negative skip');
SELECT throws_ok($$SELECT * FROM vectorcoll.search('p', '[1,0,0]')$$, 'VC110', NULL, 'other dimension');
SELECT throws_ok($$SELECT * FROM vectorcoll.search('nope', '[1,0]')$$, 'VC100', NULL, 'unknown collection');
SELECT throws_ok($$SELECT * FROM vectorcoll.search('p', '[1,0]', anns_field => 'nope')$$, 'VC120', NULL, 'unknown field');
SELECT throws_ok($$SELECT * FROM vectorcoll.search('p', '[1,0]', anns_field => 's')$$, 'VC110', NULL, 'field of another kind');
SELECT throws_ok($$SELECT * FROM vectorcoll.search('p', '[1,0]', partition_names => '{x}')$$, 'VC200', NULL, 'unknown partition');
SELECT throws_ok($$SELECT * FROM vectorcoll.search('i', '[1,0]', output_fields => ARRAY[NULL])$$, 'VC110', NULL, 'null field');

-- batch, sparse, text
SELECT results_eq($$SELECT query_no, id FROM vectorcoll.search_batch('p', ARRAY['[1,0]', '[9,0]']::vector[], 2)$$,
    $$VALUES (1, '1'), (1, '2'), (2, '9'), (2, '8')$$, 'search_batch');
SELECT is((SELECT count(*) FROM vectorcoll.search_batch('p', '{}'::vector[])), 0::bigint, 'no queries');
SELECT throws_ok($$SELECT * FROM vectorcoll.search_batch('p', ARRAY['[1,0]', NULL]::vector[])$$, 'VC111', NULL, 'a null query');
SELECT throws_ok($$SELECT * FROM vectorcoll.search_batch('p', ARRAY['[1,0]', '[1]']::vector[])$$, 'VC110', NULL, 'a query of another dimension');
SELECT results_eq($$SELECT id, score FROM vectorcoll.search_sparse('p', '{4:1}/1000000000', 2)$$, $$VALUES ('7', 7::float8), ('3', 3)$$, 'search_sparse');
SELECT is((SELECT count(*) FROM vectorcoll.search_sparse('p', '{4:1}/1000000000', 100)), 10::bigint, 'rows without a vector do not turn up');
SELECT results_eq($$SELECT id, score FROM vectorcoll.search_sparse('p', '{4:1}/5', 2)$$, $$VALUES ('7', 7::float8), ('3', 3)$$, 'a sparse query of few dimensions');
SELECT lives_ok($$SELECT vectorcoll.create_index('p', 's')$$, 'sparse fields have an index');
CREATE TABLE few (id int PRIMARY KEY, s sparsevec(5));
SELECT vectorcoll.adopt_table('few') IS NOT NULL AS adopted, vectorcoll.insert('few', '[{"id": 1, "s": {"4": 2}}, {"id": 2, "s": "{1:1}/5"}]');
SELECT results_eq($$SELECT id, score FROM vectorcoll.search_sparse('few', '{5:1}/100')$$, $$VALUES ('1', 2::float8), ('2', 0)$$, 'an adopted column keeps its dimensions');
SELECT throws_ok($$SELECT * FROM vectorcoll.search_sparse('few', '{6:1}/100')$$, 'VC110', NULL, 'a query beyond them');
SELECT throws_ok($$SELECT vectorcoll.insert('few', '{"id": 3, "s": {"5": 2}}')$$, 'VC110', NULL, 'a value beyond them');
SELECT results_eq($$SELECT id, score FROM vectorcoll.search_sparse('p', '{4:1}/5', search_params => '{"radius": 3, "range_filter": 7}')$$, $$VALUES ('7', 7::float8)$$, 'a range of a sparse search');
SELECT results_eq($$SELECT id FROM vectorcoll.search_text('p', 'quick fox', 'body')$$, $$VALUES ('3'), ('5')$$, 'search_text, by relevance');
SELECT throws_ok($$SELECT * FROM vectorcoll.search_text('p', 'x', 'v')$$, 'VC110', NULL, 'no text field');

-- text in filters
SELECT results_eq($$SELECT id FROM vectorcoll.query('p', 'text_match(body, "quick lazy")')$$, $$VALUES ('3'), ('4'), ('5')$$, 'text_match: any word');
SELECT results_eq($$SELECT id FROM vectorcoll.query('p', 'text_match(body, "quick dog", minimum_should_match=2)')$$, $$VALUES ('5')$$, 'minimum_should_match');
SELECT results_eq($$SELECT id FROM vectorcoll.query('p', 'phrase_match(body, "quick fox")')$$, 'SELECT NULL::text WHERE false', 'phrase_match');
SELECT results_eq($$SELECT id FROM vectorcoll.query('p', 'phrase_match(body, "quick fox", 1)')$$, $$VALUES ('3')$$, 'phrase_match with slop');

-- hybrid
SELECT results_eq($$SELECT id, round(score::numeric, 6) FROM vectorcoll.hybrid_search('p', '[{"anns_field": "v", "data": [5, 0], "limit": 3},
    {"anns_field": "body", "data": "quick dog"}]', top_k => 2)$$, $$VALUES ('5', round(1/61.0 + 1/61.0, 6)), ('4', round(1/62.0 + 1/62.0, 6))$$, 'rrf over vector and text');
SELECT is((SELECT array_agg(id) FROM vectorcoll.hybrid_search('p', '[{"anns_field": "v", "data": [1, 0]}, {"anns_field": "s", "data": {"3": 1}}]', 'weighted',
    top_k => 1, rerank_params => '{"weights": [0, 1]}')), '{7}', 'weighted: only the sparse list');
SELECT is((SELECT array_agg(id) FROM vectorcoll.hybrid_search('p', '[{"anns_field": "v", "data": [1, 0]}, {"anns_field": "s", "data": {"3": 1}}]', 'weighted',
    top_k => 1, rerank_params => '{"weights": [1, 0]}')), '{1}', 'weighted: only the dense list');
SELECT is((SELECT count(*) FROM vectorcoll.hybrid_search('p', '[{"anns_field": "v", "data": [1, 0]}, {"anns_field": "s", "data": {"3": 1}}]', 'dbsf', 5)), 5::bigint, 'dbsf');
SELECT is((SELECT array_agg(id ORDER BY id) FROM vectorcoll.hybrid_search('p', '[{"anns_field": "v", "data": [[1, 0]], "filter": "id > 2"}, {"anns_field": "v", "data": [2, 0], "expr": "id < 5"}]',
    filter => 'kind == "a"', output_fields => '{}') WHERE id::int < 7), '{3,6}', 'filters of all and of one');
SELECT throws_ok(format('SELECT * FROM vectorcoll.hybrid_search(''p'', %L, %L, rerank_params => %L)', requests, rerank, params), code, NULL, requests || rerank || params)
  FROM (VALUES ('[]', 'rrf', '{}', 'VC110'), ('{}', 'rrf', '{}', 'VC110'), ('[1]', 'rrf', '{}', 'VC110'), ('[{"anns_field": "v"}]', 'rrf', '{}', 'VC110'),
               ('[{"anns_field": "nope", "data": [1]}]', 'rrf', '{}', 'VC120'), ('[{"anns_field": "v", "data": [1]}]', 'rrf', '{}', 'VC110'),
               ('[{"anns_field": "v", "data": [1, 0], "x": 1}]', 'rrf', '{}', 'VC110'), ('[{"anns_field": "v", "data": [1, 0]}]', 'nope', '{}', 'VC110'),
               ('[{"anns_field": "v", "data": [1, 0]}]', 'rrf', '{"k": 0}', 'VC110'), ('[{"anns_field": "v", "data": [1, 0]}]', 'weighted', '{"weights": [1, 1]}', 'VC110'),
               ('[{"anns_field": "v", "data": [1, 0]}]', 'weighted', '{"weights": [2]}', 'VC110')) t(requests, rerank, params, code);

-- groups
SELECT results_eq($$SELECT group_value, id FROM vectorcoll.search_groups('p', '[1,0]', 'kind', top_k => 2, group_size => 2)$$,
    $$VALUES ('"b"'::jsonb, '1'), ('"b"', '4'), ('"c"', '2'), ('"c"', '5')$$, 'search_groups');
SELECT results_eq($$SELECT group_value, id FROM vectorcoll.search_groups('p', '[1,0]', 'kind', top_k => 1, skip => 2, filter => 'id > 3')$$,
    $$VALUES ('"a"'::jsonb, '6')$$, 'groups with skip and filter');
SELECT vectorcoll.insert('i', '[{"id": 5, "vector": [9, 0], "g": 5}, {"id": 6, "vector": [8, 0], "g": 5.0}, {"id": 7, "vector": [7, 0], "g": "5"}]');
SELECT results_eq($$SELECT id FROM vectorcoll.search_groups('i', '[1,0]', 'g', top_k => 5, strict_group_size => true)$$, $$VALUES ('5'), ('7')$$, 'equal numbers are one group');
SELECT throws_ok($$SELECT * FROM vectorcoll.search_groups('p', '[1,0]', 'kind', group_size => 0)$$, 'VC110', NULL, 'group_size 0');
SELECT throws_ok($$SELECT * FROM vectorcoll.search_groups('p', '[1,0]', 'v')$$, 'VC110', NULL, 'groups by vector');

-- iterator: batches join without gap or repetition, ties included
CREATE FUNCTION walk() RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    ids text[] := '{}'; batch text[]; st text;
BEGIN
    LOOP
        SELECT array_agg(b.id), (array_agg(b.state_after))[count(*)] INTO batch, st FROM vectorcoll.search_iterator('p', '[10.5,0]', 7, state => st) b;
        EXIT WHEN batch IS NULL;
        ids := ids || batch;
    END LOOP;
    RETURN ids;
END $$;
SELECT is(walk(), (SELECT array_agg(id) FROM (SELECT id::text FROM p ORDER BY v <-> '[10.5,0]', p.id) o), 'iterator: every row once, in order, ties by key');
CREATE TABLE first_batch AS SELECT * FROM vectorcoll.search_iterator('p', '[10.5,0]', 7, skip => 2);
SELECT is((SELECT array_agg(id) FROM vectorcoll.search_iterator('p', '[10.5,0]', 100, skip => 2, state => (SELECT state_after FROM first_batch OFFSET 6))),
    (SELECT array_agg(id) FROM (SELECT id::text FROM p ORDER BY v <-> '[10.5,0]', p.id OFFSET 9) o), 'a walk goes on in another transaction; skip counts once');
BEGIN;
CREATE TEMP TABLE steps AS SELECT * FROM vectorcoll.search_iterator('p', '[10.5,0]', 7, skip => 2);
DELETE FROM p WHERE id = 1;
SELECT is((SELECT array_agg(id) FROM vectorcoll.search_iterator('p', '[10.5,0]', 100, skip => 2, state => (SELECT state_after FROM steps OFFSET 6))),
    (SELECT array_agg(id) FROM (SELECT i::text AS id FROM generate_series(1, 30) i ORDER BY abs(i - 10.5), i OFFSET 9) o),
    'within a transaction a walk sees what its first batch saw');
CREATE TEMP TABLE again AS SELECT * FROM vectorcoll.search_iterator('p', '[10.5,0]', 7);
SELECT is((SELECT count(*) FROM pg_cursors), 0::bigint, 'its cursor is not seen');
SELECT lives_ok($$SELECT vectorcoll.truncate_collection('p')$$, 'functions on the collection close its walks');
SELECT is((SELECT count(*) FROM vectorcoll.search_iterator('p', '[10.5,0]', 7, state => (SELECT state_after FROM again OFFSET 6))), 0::bigint,
    'which go on without their cursor');
ROLLBACK;
SELECT throws_ok($$SELECT * FROM vectorcoll.search_iterator('p', '[1,0]', state => 'x')$$, 'VC110', NULL, 'malformed state');
SELECT throws_ok($$SELECT * FROM vectorcoll.search_iterator('p', '[1,0]', state => '1.5:x')$$, 'VC110', NULL, 'state with no id');

-- recommend
SELECT results_eq($$SELECT id FROM vectorcoll.recommend('p', '{10}', top_k => 2)$$, $$VALUES ('9'), ('11')$$, 'like one point, which is left out');
SELECT results_eq($$SELECT id FROM vectorcoll.recommend('p', '{10}', '{8}', top_k => 1)$$, $$VALUES ('12')$$, 'and away from another');
SELECT results_eq($$SELECT id FROM vectorcoll.recommend('p', positive_vectors => '{"[20,0]"}', top_k => 1)$$, $$VALUES ('20')$$, 'like a vector');
SELECT results_eq($$SELECT id FROM vectorcoll.recommend('p', '{10}', '{11}', strategy => 'best_score', top_k => 1)$$, $$VALUES ('9')$$, 'best_score');
SELECT results_eq($$SELECT id FROM vectorcoll.recommend('p', negative => '{30}', strategy => 'best_score', top_k => 1)$$, $$VALUES ('1')$$, 'only negative');
SELECT throws_ok($$SELECT * FROM vectorcoll.recommend('p', negative => '{30}')$$, 'VC111', NULL, 'an average of nothing');
SELECT throws_ok($$SELECT * FROM vectorcoll.recommend('p', '{999}')$$, 'VC110', NULL, 'an example that is not there');
SELECT throws_ok($$SELECT * FROM vectorcoll.recommend('p', '{1}', strategy => 'x')$$, 'VC110', NULL, 'unknown strategy');
SELECT * FROM finish();
