-- A collection's definition through its life: changes by function and by hand, adoption of tables, state, drop.
SELECT plan(71);
SET client_min_messages = error;

SELECT lives_ok($$SELECT vectorcoll.create_collection('docs', '{"fields": [{"name": "id", "dtype": "int64", "is_primary": true},
    {"name": "title", "dtype": "varchar", "max_length": 20}, {"name": "v", "dtype": "float_vector", "dim": 3}], "enable_dynamic_field": true}',
    index_params => '[{"field_name": "v", "index_type": "HNSW", "metric_type": "L2", "params": {"M": 8}}]', properties => '{"team": "search"}')$$, 'create with everything');
SELECT results_eq($$SELECT index_name, field_name, index_type, metric_type, params FROM vectorcoll.list_indexes('docs')$$,
                  $$VALUES ('docs_v_idx', 'v', 'HNSW', 'L2', '{"m": "8"}'::jsonb)$$, 'its index is there');
SELECT is(vectorcoll.describe_collection('docs')->'properties', '{"team": "search"}', 'and its properties');
SELECT throws_ok($$SELECT vectorcoll.create_collection('x', '{"fields": []}')$$, 'VC105', NULL, 'create: illegal schema');
SELECT throws_ok($$SELECT vectorcoll.create_collection('x', NULL::jsonb)$$, 'VC111', NULL, 'create: no schema');
SELECT throws_ok($$SELECT vectorcoll.create_collection('x', 4, namespace => 'nowhere')$$, '3F000', NULL, 'create: no such namespace');
SELECT throws_ok($$SELECT vectorcoll.create_collection('public.x', 4, namespace => 'pg_catalog')$$, 'VC110', NULL, 'create: two namespaces');
SELECT throws_ok($$SELECT vectorcoll.create_collection('x', 4, id_type => 'float')$$, 'VC110', NULL, 'create: id_type');
SELECT throws_ok($$SELECT vectorcoll.create_collection('x', 16001)$$, 'VC105', NULL, 'create: dimension');
SELECT throws_ok($$SELECT vectorcoll.create_collection('x', vectorcoll._schema('docs'::regclass), properties => '[]')$$, 'VC110', NULL, 'create: properties');
SELECT throws_ok($$SELECT vectorcoll.create_collection('x', vectorcoll._schema('docs'::regclass), index_params => '[{"field_name": "v", "kind": 1}]')$$, 'VC110', NULL, 'create: index_params');
SELECT throws_ok($$SELECT vectorcoll.create_collection('x', vectorcoll._schema('docs'::regclass), index_params => '{"field_name": "w"}')$$, 'VC120', NULL, 'create: index on no field');
SELECT hasnt_table('x', 'and nothing is left of it');
SELECT throws_ok($$SELECT vectorcoll.create_collection('x', 4, timeout => '0')$$, 'VC110', NULL, 'create: timeout');
CREATE TABLE plain (a int);
SELECT throws_ok($$SELECT vectorcoll.create_collection('plain', 4)$$, 'VC706', NULL, 'create: name of a table');
SELECT throws_ok($$SELECT vectorcoll.describe_collection('plain')$$, 'VC100', NULL, 'a table is no collection');
SELECT is((vectorcoll.create_collection('auto', 2, auto_id => true, id_type => 'varchar', primary_field_name => 'key'))#>>'{fields,0,auto_id}', 'true', 'quick form, auto_id');
INSERT INTO auto (vector) VALUES ('[1,2]');
SELECT matches((SELECT key FROM auto), '^[0-9a-f-]{36}$', 'keys are made');

-- Fields.
INSERT INTO docs VALUES (1, 'one', '[1,2,3]'), (2, 'two', '[4,5,6]');
SELECT is(vectorcoll.add_collection_field('docs', '{"name": "n", "dtype": "int32", "default_value": 7}')#>>'{fields,3,name}', 'n', 'add_collection_field');
SELECT results_eq('SELECT DISTINCT n FROM docs', 'VALUES (7)', 'old rows have the default');
SELECT throws_ok($$SELECT vectorcoll.add_collection_field('docs', '{"name": "m", "dtype": "int32"}')$$, 'VC110', NULL, 'add: no value for old rows');
SELECT throws_ok($$SELECT vectorcoll.add_collection_field('docs', '{"name": "m", "dtype": "int32", "default_value": "x"}')$$, 'VC105', NULL, 'add: default of another type');
SELECT throws_ok($$SELECT vectorcoll.add_collection_field('docs', '{"name": "n", "dtype": "int32", "nullable": true}')$$, 'VC105', NULL, 'add: name taken');
SELECT throws_ok($$SELECT vectorcoll.add_collection_field('docs', '{"name": "k", "dtype": "int64", "is_partition_key": true}')$$, 'VC110', NULL, 'add: a key');
SELECT throws_ok($$SELECT vectorcoll.add_collection_field('docs', NULL)$$, 'VC111', NULL, 'add: null');
SELECT throws_ok($$SELECT vectorcoll.add_collection_field('nope', '{"name": "k", "dtype": "int64"}')$$, 'VC100', NULL, 'add: no collection');
SELECT is(jsonb_array_length(vectorcoll.drop_collection_field('docs', 'n')->'fields'), 3, 'drop_collection_field');
SELECT hasnt_column('docs', 'n', 'its column is gone');
SELECT throws_ok($$SELECT vectorcoll.drop_collection_field('docs', 'n')$$, 'VC120', NULL, 'drop field: none');
SELECT throws_ok($$SELECT vectorcoll.drop_collection_field('docs', 'id')$$, 'VC110', NULL, 'drop field: the key');
SELECT throws_ok($$SELECT vectorcoll.drop_collection_field('docs', 'v')$$, 'VC105', NULL, 'drop field: the last vector');

-- Properties.
SELECT is(vectorcoll.alter_collection_properties('docs', '{"a": 1, "team": null}'), '{"a": 1}', 'alter_collection_properties');
SELECT throws_ok($$SELECT vectorcoll.alter_collection_properties('docs', '3')$$, 'VC110', NULL, 'properties: no object');

-- Rename.
SELECT lives_ok($$SELECT vectorcoll.rename_collection('docs', 'papers')$$, 'rename_collection');
SELECT ok(vectorcoll.has_collection('papers') AND NOT vectorcoll.has_collection('docs'), 'renamed');
CREATE SCHEMA other;
SELECT lives_ok($$SELECT vectorcoll.rename_collection('papers', 'docs', new_namespace => 'other')$$, 'to another namespace');
SELECT ok(vectorcoll.has_collection('other.docs'), 'moved');
SELECT throws_ok($$SELECT vectorcoll.rename_collection('other.docs', 'public.auto')$$, 'VC706', NULL, 'rename: name taken');
SELECT throws_ok($$SELECT vectorcoll.rename_collection('other.docs', 'a b')$$, 'VC110', NULL, 'rename: illegal name');
SELECT throws_ok($$SELECT vectorcoll.rename_collection('nope', 'x')$$, 'VC100', NULL, 'rename: no collection');
SELECT lives_ok($$SELECT vectorcoll.rename_collection('other.docs', 'public.docs')$$, 'and back');

-- By hand.
ALTER TABLE docs RENAME COLUMN v TO embedding;
SELECT is(vectorcoll.describe_collection('docs')#>>'{fields,2,name}', 'embedding', 'a renamed column');
SELECT is(vectorcoll.describe_collection('docs')#>>'{fields,2,metric_type}', 'L2', 'keeps its metric');
ALTER TABLE docs ADD COLUMN stars smallint, ADD COLUMN odd numeric;
SELECT is(vectorcoll.describe_collection('docs')#>>'{fields,3,dtype}', 'int16', 'an added column is a field');
SELECT is(jsonb_array_length(vectorcoll.describe_collection('docs')->'fields'), 4, 'unless its type has no dtype');
ALTER TABLE docs ALTER COLUMN stars TYPE bigint, DROP COLUMN "$meta";
SELECT is(vectorcoll.describe_collection('docs')#>>'{fields,3,dtype}', 'int64', 'a column of another type');
SELECT is(vectorcoll.describe_collection('docs')->>'enable_dynamic_field', 'false', 'the dynamic field dropped');
SELECT is((SELECT schema_hash FROM vectorcoll.collections WHERE name = 'docs'), vectorcoll.schema_hash(vectorcoll._schema('docs'::regclass)), 'the hash follows');
ALTER SCHEMA other RENAME TO another;
ALTER TABLE docs SET SCHEMA another;
SELECT ok(vectorcoll.has_collection('another.docs'), 'SET SCHEMA');
ALTER SCHEMA another RENAME TO third;
SELECT results_eq($$SELECT nspname::text COLLATE "default" FROM vectorcoll.collection_def WHERE relname = 'docs'$$, $$VALUES ('third')$$, 'ALTER SCHEMA RENAME');
DROP SCHEMA third CASCADE;
SELECT is_empty($$SELECT FROM vectorcoll.collection_def WHERE relname = 'docs'$$, 'DROP SCHEMA CASCADE');
ALTER TABLE auto DROP COLUMN vector;
SELECT is_empty($$SELECT FROM vectorcoll.collection_def$$, 'a table without a vector is a collection no more');

-- Adoption.
CREATE TABLE items (item_id serial PRIMARY KEY, name text, price numeric, embedding vector(3), flags bit(8), tags text[], made timestamptz NOT NULL DEFAULT now());
INSERT INTO items (name, embedding) VALUES ('a', '[1,2,3]');
SELECT pg_relation_filenode('items') AS filenode \gset
SELECT is((SELECT string_agg(f->>'name' || ' ' || (f->>'dtype'), ', ') FROM jsonb_array_elements(vectorcoll.adopt_table('items', 'shop')->'fields') f),
          'item_id int64, name text, embedding float_vector, flags binary_vector, tags array, made timestamptz', 'adopt_table');
SELECT is(pg_relation_filenode('items')::text, :'filenode', 'rewrites nothing');
SELECT lives_ok($$SELECT vectorcoll.adopt_table('items')$$, 'again is no error');
SELECT is((SELECT id FROM vectorcoll.search('items', '[1,2,3]', anns_field => 'embedding')), '1', 'it is searched');
CREATE TABLE nokey (v vector(3));
SELECT throws_ok($$SELECT vectorcoll.adopt_table('nokey')$$, 'VC105', NULL, 'adopt: no primary key');
CREATE TABLE nodim (id bigint PRIMARY KEY, v vector);
SELECT throws_ok($$SELECT vectorcoll.adopt_table('nodim')$$, 'VC105', NULL, 'adopt: no dimensions');
CREATE TEMPORARY TABLE temporary_one (id bigint PRIMARY KEY, v vector(3));
SELECT throws_ok($$SELECT vectorcoll.adopt_table('temporary_one')$$, 'VC110', NULL, 'adopt: temporary');
SELECT throws_ok($$SELECT vectorcoll.adopt_table('pg_class')$$, NULL, NULL, 'adopt: a system table');
SELECT throws_ok($$SELECT vectorcoll.adopt_table(NULL)$$, 'VC111', NULL, 'adopt: null');

-- State.
SELECT is(vectorcoll.get_collection_stats('items')->>'row_count', '1', 'get_collection_stats');
SELECT is((SELECT sum((vectorcoll.get_collection_stats('items')->>k)::bigint) FROM unnest(ARRAY['table_bytes', 'toast_bytes', 'index_bytes']) k)::bigint,
          pg_total_relation_size('items'), 'sizes add up');
SELECT is((vectorcoll.collection_status('items')).status, 'grey', 'collection_status without an index');
SELECT vectorcoll.create_index('items', 'embedding', 'HNSW', 'L2'), vectorcoll.create_index('items', 'flags', 'FLAT') \gset
SELECT is((vectorcoll.collection_status('items')).status, 'green', 'and with');
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'items_embedding_idx'::regclass;
SELECT is((vectorcoll.collection_status('items')).status, 'red', 'and with a broken one');
SELECT is((vectorcoll.get_index_state('items', 'embedding')).state, 'Failed', 'whose state says so');
SELECT lives_ok($$SELECT vectorcoll.truncate_collection('items')$$, 'truncate_collection');
SELECT is_empty('SELECT FROM items', 'it is empty');
SELECT lives_ok($$SELECT vectorcoll.drop_collection('items')$$, 'drop_collection');
SELECT throws_ok($$SELECT vectorcoll.drop_collection('items')$$, 'VC100', NULL, 'twice');
SELECT finish();
