-- Searches use the indexes there are, their plans follow DDL, and aliases and partitions are searched as one.
SELECT plan(25);
SELECT vectorcoll.create_collection('big', 16, metric_type => 'L2');
SELECT setseed(0.5);
INSERT INTO big SELECT i, array_agg(random()::real)::vector, jsonb_build_object('n', i, 'color', 'c' || i % 500)
  FROM generate_series(1, 5000) i, generate_series(1, 16) d GROUP BY i;
SELECT vectorcoll.create_index('big', 'vector', 'HNSW', 'L2');
SELECT vectorcoll.create_payload_index('big', '$meta');
ANALYZE big;
CREATE FUNCTION plan_of(search_filter text, params jsonb = '{}') RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(line, E'\n') FROM vectorcoll.explain_search('big', (SELECT vector FROM big WHERE id = 1), 10, search_filter, params) line
$$;
SELECT matches(plan_of(NULL), 'Index Scan using big_vector_idx', 'search uses the vector index');
SELECT doesnt_match(plan_of(NULL, '{"exact": true}'), 'big_vector_idx', 'exact does not');
SELECT matches(plan_of('n > 10'), 'Index Scan using big_vector_idx', 'a weak filter keeps the vector index');
SELECT matches(plan_of('id in [1, 2, 3]'), 'big_pkey', 'a strong one on the key uses the key');
SELECT matches(plan_of('color == "c7"'), 'big_meta_idx', 'equality on the dynamic field uses its GIN index');
SELECT matches(plan_of('{"key": "color", "match": {"value": "c7"}}'), 'big_meta_idx', 'so does the JSON language');
SELECT is((SELECT count(*) FROM vectorcoll.search('big', (SELECT vector FROM big WHERE id = 1), 10, 'color == "c7"')), 10::bigint, 'filtered search fills top_k');
SELECT is((SELECT count(*) FROM vectorcoll.search('big', (SELECT vector FROM big WHERE id = 1), 300)), 300::bigint, 'top_k beyond ef_search is filled');
SELECT is((SELECT array_agg(id) FROM vectorcoll.search('big', (SELECT vector FROM big WHERE id = 9), 1)), '{9}', 'the row itself is nearest');
SELECT is((SELECT array_agg(id) FROM vectorcoll.search('big', (SELECT vector FROM big WHERE id = 9), 5, search_params => '{"exact": true}')),
    (SELECT array_agg(id) FROM (SELECT id::text FROM big ORDER BY (vector <-> (SELECT vector FROM big WHERE id = 9)) + 0 LIMIT 5) o), 'exact search is the statement');

-- plans follow DDL
PREPARE s AS SELECT id FROM vectorcoll.search('big', '[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]', 3, output_fields => '{extra}');
SELECT lives_ok('EXECUTE s', 'before');
ALTER TABLE big ADD COLUMN later int;
ALTER TABLE big DROP COLUMN later;
SELECT lives_ok('EXECUTE s', 'after a column came and went');
SELECT vectorcoll.drop_index('big', 'vector');
SELECT doesnt_match(plan_of(NULL), 'big_vector_idx', 'the index is gone from the plan');
SELECT lives_ok('EXECUTE s', 'after the index was dropped');
SELECT vectorcoll.rename_collection('big', 'large');
SELECT throws_ok('EXECUTE s', 'VC100', NULL, 'the old name is gone');
SELECT is((SELECT count(*) FROM vectorcoll.search('large', '[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]', 3)), 3::bigint, 'the new one is there');
SELECT vectorcoll.create_collection('big', 16, metric_type => 'L2');
SELECT is((SELECT count(*) FROM vectorcoll.search('big', '[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]', 3)), 0::bigint, 'another collection of the old name is another');
SELECT vectorcoll.create_alias('large', 'live');
SELECT is((SELECT count(*) FROM vectorcoll.search('live', '[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]', 3)), 3::bigint, 'an alias');
SELECT vectorcoll.alter_alias('big', 'live');
SELECT is((SELECT count(*) FROM vectorcoll.search('live', '[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]', 3)), 0::bigint, 'an alias that moved');

-- hostile paths: nothing is looked up along search_path but the collection
CREATE SCHEMA evil;
CREATE FUNCTION evil.trap(jsonb, jsonb) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
CREATE OPERATOR evil.@> (LEFTARG = jsonb, RIGHTARG = jsonb, FUNCTION = evil.trap);
CREATE FUNCTION evil.count(text, text) RETURNS bigint LANGUAGE sql AS 'SELECT -1::bigint';
SET search_path = evil, public, pg_catalog;
SELECT public.is(vectorcoll.count('large', 'color == "c7"'), 10::bigint, 'operators of the caller''s path are not used');
RESET search_path;

-- partitions: named ones and a partition key
SELECT vectorcoll.create_collection('parts', 1, metric_type => 'L2');
SELECT vectorcoll.create_partition('parts', 'p1');
SELECT vectorcoll.insert('parts', '[{"id": 1, "vector": [1]}, {"id": 3, "vector": [3]}]') + vectorcoll.insert('parts', '[{"id": 2, "vector": [2]}, {"id": 4, "vector": [4]}]', 'p1');
SELECT results_eq($$SELECT id FROM vectorcoll.search('parts', '[0]')$$, $$VALUES ('1'), ('2'), ('3'), ('4')$$, 'partitions search as one');
SELECT results_eq($$SELECT id FROM vectorcoll.search('parts', '[0]', partition_names => '{p1}')$$, $$VALUES ('2'), ('4')$$, 'or one by one');
SELECT is(vectorcoll.upsert('parts', '{"id": 2, "vector": [9]}', partition_name => 'p1') + vectorcoll.delete('parts', '{4}', partition_name => 'p1'), 2::bigint, 'writes to one');
SELECT vectorcoll.create_collection('keyed', '{"num_partitions": 4, "fields": [{"name": "id", "dtype": "int64", "is_primary": true},
    {"name": "tenant", "dtype": "varchar", "max_length": 9, "is_partition_key": true}, {"name": "v", "dtype": "float_vector", "dim": 1}]}'::jsonb);
SELECT vectorcoll.insert('keyed', (SELECT jsonb_agg(jsonb_build_object('id', i, 'tenant', 't' || i % 3, 'v', jsonb_build_array(i))) FROM generate_series(1, 9) i));
SELECT is(vectorcoll.upsert('keyed', '{"id": 1, "tenant": "t2", "v": [0]}'), 1::bigint, 'upsert that changes the partition key');
SELECT results_eq($$SELECT id FROM vectorcoll.query('keyed', 'tenant == "t2"')$$, $$VALUES ('1'), ('2'), ('5'), ('8')$$, 'moves the row');
SELECT * FROM finish();
