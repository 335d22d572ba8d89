-- Reading points: get, query, scroll, count, facet; row level security through every read; the caller's own rights.
SELECT plan(36);
SELECT lives_ok($$SELECT vectorcoll.create_collection('docs', 2, metric_type => 'L2')$$, 'a collection');
SELECT vectorcoll.insert('docs', (SELECT jsonb_agg(jsonb_build_object('id', i, 'vector', jsonb_build_array(i, 0), 'color', (ARRAY['red','green','blue'])[i % 3 + 1],
    'tags', jsonb_build_array(i % 2, 't'), 'n', i)) FROM generate_series(1, 20) i));
SELECT results_eq($$SELECT id, entity->>'color' FROM vectorcoll.get('docs', '{3,99,1}')$$, $$VALUES ('3', 'red'), ('1', 'green')$$, 'get, in the order of ids');
SELECT results_eq($$SELECT entity FROM vectorcoll.get('docs', ARRAY[2], '{n,vector}')$$, $$VALUES ('{"n": 2, "vector": [2, 0]}'::jsonb)$$, 'output_fields');
SELECT results_eq($$SELECT entity FROM vectorcoll.get('docs', ARRAY['2'], '{}')$$, $$VALUES ('{}'::jsonb)$$, 'no output_fields');
SELECT results_eq($$SELECT entity FROM vectorcoll.get('docs', ARRAY[2], '{*}')$$,
    $$VALUES ('{"id": 2, "n": 2, "color": "blue", "tags": [0, "t"], "vector": [2, 0]}'::jsonb)$$, 'all output_fields');
SELECT throws_ok($$SELECT * FROM vectorcoll.get('docs', NULL)$$, 'VC111', NULL, 'get without ids');
SELECT throws_ok($$SELECT * FROM vectorcoll.get('docs', '{a}')$$, 'VC110', NULL, 'get with a wrong id');
SELECT throws_ok($$SELECT * FROM vectorcoll.get('docs', ARRAY[1], ARRAY[NULL])$$, 'VC110', NULL, 'null in output_fields');
SELECT results_eq($$SELECT id FROM vectorcoll.query('docs', 'n > 15 and color == "red"')$$, $$VALUES ('18')$$, 'query');
SELECT results_eq($$SELECT id FROM vectorcoll.query('docs', 'n > 15', top_k => 2, skip => 1)$$, $$VALUES ('17'), ('18')$$, 'query with top_k and skip');
SELECT results_eq($$SELECT id FROM vectorcoll.query('docs', '{"must": [{"key": "n", "range": {"gt": 19}}]}'::jsonb)$$, $$VALUES ('20')$$, 'query with jsonb');
SELECT throws_ok($$SELECT * FROM vectorcoll.query('docs', top_k => 0)$$, 'VC110', NULL, 'query of nothing');
SELECT throws_ok($$SELECT * FROM vectorcoll.query('docs', skip => -1)$$, 'VC110', NULL, 'negative skip');
SELECT throws_ok($$SELECT * FROM vectorcoll.query('docs', 'n ==')$$, 'VC110', NULL, 'malformed filter');
SELECT throws_ok($$SELECT * FROM vectorcoll.query('docs', 'n == {x}')$$, 'VC111', NULL, 'template without value');
SELECT throws_ok($$SELECT * FROM vectorcoll.query('nope')$$, 'VC100', NULL, 'unknown collection');
SELECT results_eq($$SELECT id FROM vectorcoll.scroll('docs', 2)$$, $$VALUES ('1'), ('2')$$, 'first page');
SELECT results_eq($$SELECT id FROM vectorcoll.scroll('docs', 2, after => '9')$$, $$VALUES ('10'), ('11')$$, 'a page behind a key, by number');
SELECT results_eq($$SELECT id FROM vectorcoll.scroll('docs', 2, '9', 'color == "red"')$$, $$VALUES ('12'), ('15')$$, 'a filtered page');
SELECT throws_ok($$SELECT * FROM vectorcoll.scroll('docs', 0)$$, 'VC110', NULL, 'page of nothing');
SELECT throws_ok($$SELECT * FROM vectorcoll.scroll('docs', 1, 'x')$$, 'VC110', NULL, 'page behind no id');
SELECT is(vectorcoll.count('docs'), 20::bigint, 'count');
SELECT is(vectorcoll.count('docs', 'color in ["red", "blue"]'), 13::bigint, 'count with filter');
SELECT is(vectorcoll.count('docs', '{"must_not": [{"key": "color", "match": {"value": "red"}}]}'::jsonb), 14::bigint, 'count with jsonb');
SELECT throws_ok($$SELECT vectorcoll.count('docs', partition_names => '{p}')$$, 'VC200', NULL, 'unknown partition');
SELECT results_eq($$SELECT value, count FROM vectorcoll.facet('docs', 'color')$$,
    $$VALUES ('"blue"'::jsonb, 7::bigint), ('"green"', 7), ('"red"', 6)$$, 'facet');
SELECT results_eq($$SELECT value, count FROM vectorcoll.facet('docs', 'tags', 2, 'n > 10')$$,
    $$VALUES ('"t"'::jsonb, 10::bigint), ('0', 5)$$, 'facet over arrays, with filter');
SELECT throws_ok($$SELECT * FROM vectorcoll.facet('docs', 'n > 1')$$, 'VC110', NULL, 'facet of a condition');
SELECT throws_ok($$SELECT * FROM vectorcoll.facet('docs', 'color', 0)$$, 'VC110', NULL, 'facet of nothing');

-- row level security and privileges
CREATE ROLE reader;
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON docs TO reader USING (id <= 2);
SET ROLE reader;
SELECT throws_ok($$SELECT vectorcoll.count('docs')$$, '42501', NULL, 'no privilege, no rows');
RESET ROLE;
GRANT SELECT ON docs TO reader;
SET ROLE reader;
SELECT is(vectorcoll.count('docs'), 2::bigint, 'count sees what the policy lets through');
SELECT results_eq($$SELECT id FROM vectorcoll.search('docs', '[20, 0]', 5)$$, $$VALUES ('2'), ('1')$$, 'so does search');
SELECT results_eq($$SELECT id FROM vectorcoll.query('docs') UNION ALL SELECT id FROM vectorcoll.get('docs', '{2,3}')
    UNION ALL SELECT id FROM vectorcoll.scroll('docs', after => '1')$$, $$VALUES ('1'), ('2'), ('2'), ('2')$$, 'query, get, scroll');
SELECT is((SELECT sum(count) FROM vectorcoll.facet('docs', 'color')), 2::numeric, 'facet');
SELECT throws_ok($$SELECT vectorcoll.delete('docs', '{1}')$$, '42501', NULL, 'no privilege to delete');
RESET ROLE;
SELECT is(vectorcoll.count('docs'), 20::bigint, 'the plan of one role does not serve another');
DROP OWNED BY reader;
DROP ROLE reader;
SELECT * FROM finish();
