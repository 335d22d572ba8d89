-- Aliases: views and rows change together, writes go through, every operation and error.
SELECT plan(49);
SET client_min_messages = error;
SELECT vectorcoll.create_collection('blue', 3), vectorcoll.create_collection('green', 5), vectorcoll.create_index('blue', 'vector', 'HNSW', 'L2') \gset
INSERT INTO blue SELECT i, ARRAY[i, 1, 1]::real[] FROM generate_series(1, 500) i;

SELECT lives_ok($$SELECT vectorcoll.create_alias('blue', 'live')$$, 'create_alias');
SELECT lives_ok($$SELECT vectorcoll.create_alias('blue', 'live')$$, 'again is no error');
SELECT throws_ok($$SELECT vectorcoll.create_alias('green', 'live')$$, 'VC705', NULL, 'taken by another collection');
SELECT throws_ok($$SELECT vectorcoll.create_alias('green', 'blue')$$, 'VC706', NULL, 'taken by a collection');
SELECT throws_ok($$SELECT vectorcoll.create_collection('live', 3)$$, 'VC706', NULL, 'nor can a collection take it');
SELECT throws_ok($$SELECT vectorcoll.create_alias('nope', 'x')$$, 'VC100', NULL, 'no collection');
SELECT throws_ok($$SELECT vectorcoll.create_alias('live', 'x')$$, 'VC706', NULL, 'alias of an alias');
SELECT throws_ok($$SELECT vectorcoll.create_alias('blue', NULL)$$, 'VC111', NULL, 'null');
SELECT throws_ok($$SELECT vectorcoll.create_alias('blue', 'a"b')$$, 'VC110', NULL, 'hostile name');
CREATE SCHEMA elsewhere;
SELECT throws_ok($$SELECT vectorcoll.create_alias('blue', 'elsewhere.x')$$, 'VC110', NULL, 'another namespace');

SELECT is(vectorcoll.describe_alias('live')->>'collection', 'blue', 'describe_alias');
SELECT throws_ok($$SELECT vectorcoll.describe_alias('nope')$$, 'VC704', NULL, 'describe_alias: none');
SELECT throws_ok($$SELECT vectorcoll.describe_alias('blue')$$, 'VC704', NULL, 'describe_alias: a collection');
SELECT results_eq($$SELECT alias, collection_name FROM vectorcoll.list_aliases()$$, $$VALUES ('live', 'blue')$$, 'list_aliases');
SELECT is_empty($$SELECT FROM vectorcoll.list_aliases('green')$$, 'list_aliases of one collection');
SELECT is(vectorcoll.describe_collection('live')->>'name', 'blue', 'functions resolve it');
SELECT is((SELECT id FROM vectorcoll.search('live', '[7.1,1,1]', top_k => 1)), '7', 'search through it');
SELECT throws_ok($$SELECT vectorcoll.drop_collection('live')$$, 'VC706', NULL, 'but a definition is not changed through it');
SELECT is((SELECT reloptions FROM pg_class WHERE relname = 'live'), '{security_invoker=true}', 'security_invoker');

-- The planner sees through the casts. So few rows are faster read than found, so it is asked which index it could take.
SET enable_seqscan = off;
CREATE FUNCTION plan_of(q text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE line text; result text := ''; BEGIN FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || q LOOP result := result || line || E'\n'; END LOOP; RETURN result; END $$;
SELECT matches(plan_of($$SELECT id FROM live ORDER BY vector <-> '[1,2,3]' LIMIT 5$$), 'Index Scan using blue_vector_idx', 'ORDER BY through the view uses the index');
SELECT matches(plan_of($$SELECT * FROM live WHERE id = 3$$), 'Index Scan using blue_pkey', 'as does the key');
RESET enable_seqscan;

-- Writes.
INSERT INTO live (id, vector) VALUES (1000, '[9,9,9]');
SELECT is((SELECT "$meta" FROM blue WHERE id = 1000), '{}', 'INSERT, with defaults');
UPDATE live SET vector = '[8,8,8]', "$meta" = '{"a": 1}' WHERE id = 1000;
SELECT results_eq($$SELECT vector::text, "$meta" FROM blue WHERE id = 1000$$, $$VALUES ('[8,8,8]', '{"a": 1}'::jsonb)$$, 'UPDATE');
SELECT throws_ok($$UPDATE live SET vector = '[1,2]' WHERE id = 1000$$, '22000', NULL, 'sizes are checked');
SELECT throws_ok($$INSERT INTO live (id, vector) VALUES (1000, '[1,2,3]')$$, '23505', NULL, 'keys are checked');
DELETE FROM live WHERE id = 1000;
SELECT is_empty('SELECT FROM blue WHERE id = 1000', 'DELETE');
PREPARE through_alias AS SELECT count(*) FROM live;
SELECT results_eq('through_alias', 'VALUES (500::bigint)', 'a prepared statement');

-- Moves: in place where the columns allow, with the view's oid and grants.
CREATE ROLE vc_pgtap_alias_reader;
GRANT SELECT ON live TO vc_pgtap_alias_reader WITH GRANT OPTION;
SELECT 'live'::regclass::oid AS view \gset
SELECT throws_ok($$SELECT vectorcoll.alter_alias('green', 'live', expected => 'green')$$, 'VC903', NULL, 'alter_alias: expected another');
SELECT throws_ok($$SELECT vectorcoll.alter_alias('green', 'nope')$$, 'VC704', NULL, 'alter_alias: none');
SELECT throws_ok($$SELECT vectorcoll.alter_alias('nope', 'live')$$, 'VC100', NULL, 'alter_alias: no collection');
SELECT lives_ok($$SELECT vectorcoll.alter_alias('green', 'live', expected => 'blue')$$, 'alter_alias');
SELECT is('live'::regclass::oid::text, :'view', 'the same view');
SELECT results_eq('through_alias', 'VALUES (0::bigint)', 'the prepared statement follows');
SELECT lives_ok($$INSERT INTO live (id, vector) VALUES (1, '[1,2,3,4,5]')$$, 'writes go to the other side');
SELECT vectorcoll.create_collection('red', 2, primary_field_name => 'key', id_type => 'varchar') \gset
SELECT lives_ok($$SELECT vectorcoll.alter_alias('red', 'live')$$, 'to other columns');
SELECT ok(has_table_privilege('vc_pgtap_alias_reader', 'live', 'SELECT WITH GRANT OPTION'), 'grants stay');
CREATE VIEW on_top AS SELECT key FROM live;
SELECT throws_ok($$SELECT vectorcoll.alter_alias('blue', 'live')$$, 'VC903', NULL, 'unless something depends on columns that go');
SELECT throws_ok($$SELECT vectorcoll.drop_alias('live')$$, 'VC903', NULL, 'drop_alias likewise');
DROP VIEW on_top;

SELECT throws_ok($$SELECT vectorcoll.update_aliases('[{"rename_alias": {"old_alias_name": "live", "new_alias_name": "online"}}, {"delete_alias": {"alias_name": "nope"}}]')$$,
                 'VC704', NULL, 'update_aliases: all or nothing');
SELECT lives_ok($$SELECT vectorcoll.update_aliases('[{"delete_alias": {"alias_name": "live"}}, {"create_alias": {"collection_name": "blue", "alias_name": "live"}},
    {"create_alias": {"collection_name": "green", "alias_name": "test"}}, {"rename_alias": {"old_alias_name": "test", "new_alias_name": "next"}},
    {"alter_alias": {"collection_name": "red", "alias_name": "next"}}]')$$, 'update_aliases');
SELECT results_eq($$SELECT alias, collection_name FROM vectorcoll.list_aliases()$$, $$VALUES ('live', 'blue'), ('next', 'red')$$, 'in order');
SELECT throws_ok($$SELECT vectorcoll.update_aliases('[{"swap": {}}]')$$, 'VC110', NULL, 'update_aliases: unknown operation');

SELECT throws_ok($$SELECT vectorcoll.drop_collection('blue')$$, 'VC903', NULL, 'a collection with an alias is not dropped');
SELECT lives_ok($$SELECT vectorcoll.drop_collection('blue', safe => false)$$, 'unless told to');
SELECT lives_ok($$SELECT vectorcoll.drop_alias('next')$$, 'drop_alias');
SELECT is((SELECT count(*) FROM vectorcoll.alias_def), 0::bigint, 'none is left');

-- A table that stops being a collection takes its aliases' rows along, and their views are views.
SELECT vectorcoll.create_collection('brown', 3), vectorcoll.create_alias('brown', 'earthen') \gset
ALTER TABLE brown RENAME COLUMN id TO "a key";
SELECT is((SELECT count(*) FROM vectorcoll.alias_def), 0::bigint, 'no row of an alias outlives its collection''s');
SELECT has_view('earthen', 'its view does');
SELECT throws_ok($$SELECT * FROM vectorcoll.search('earthen', '[1,2,3]')$$, 'VC100', NULL, 'and stands for no collection');
DROP OWNED BY vc_pgtap_alias_reader;
DROP ROLE vc_pgtap_alias_reader;
SELECT finish();
