-- Partitions, namespaces and indexes: each function's success, effect and errors.
SELECT plan(64);
SET client_min_messages = error;

-- Named partitions.
SELECT vectorcoll.create_collection('docs', '{"fields": [{"name": "id", "dtype": "int64", "is_primary": true, "auto_id": true},
    {"name": "cat", "dtype": "varchar", "max_length": 9, "default_value": "none"}, {"name": "vector", "dtype": "float_vector", "dim": 3}]}'),
    vectorcoll.create_index('docs', 'vector', 'HNSW', 'L2'), vectorcoll.create_payload_index('docs', 'cat'), vectorcoll.create_alias('docs', 'live') \gset
INSERT INTO docs (vector) SELECT ARRAY[i, 0, 0]::real[] FROM generate_series(1, 300) i;
COMMENT ON TABLE docs IS 'kept';
GRANT SELECT ON docs TO PUBLIC;
SELECT results_eq($$SELECT partition_name, kind FROM vectorcoll.list_partitions('docs')$$, $$VALUES ('_default', 'table')$$, 'a plain table is its default partition');
SELECT pg_relation_filenode('docs') AS filenode \gset
SELECT lives_ok($$SELECT vectorcoll.create_partition('docs', 'hot')$$, 'create_partition');
SELECT lives_ok($$SELECT vectorcoll.create_partition('docs', 'hot')$$, 'again is no error');
SELECT results_eq($$SELECT partition_name, kind, relation::text FROM vectorcoll.list_partitions('docs')$$,
                  $$VALUES ('_default', 'named', 'docs__default'), ('hot', 'named', 'docs_hot')$$, 'list_partitions');
SELECT is(pg_relation_filenode('docs__default')::text, (SELECT :'filenode'), 'no row was copied');
SELECT is(obj_description('docs'::regclass), 'kept', 'the comment stays');
SELECT ok(has_table_privilege('public', 'docs', 'SELECT'), 'grants stay');
SELECT is((SELECT count(*) FROM live), 300::bigint, 'the alias follows');
SELECT results_eq($$SELECT index_name FROM vectorcoll.list_indexes('docs')$$, $$VALUES ('docs_cat_idx'), ('docs_vector_idx')$$, 'indexes stay');
INSERT INTO docs (vector, "$partition") SELECT ARRAY[i + 0.5, 0, 0]::real[], 'hot' FROM generate_series(1, 300) i;
SELECT is((SELECT max(id) FROM docs), 600::bigint, 'keys go on');
SELECT results_eq($$SELECT entity->>'id' FROM vectorcoll.search('docs', '[10.2,0,0]', top_k => 4, output_fields => '{id}')$$, $$VALUES ('10'), ('310'), ('309'), ('11')$$, 'both are searched as one');
CREATE FUNCTION plan_of(q text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE line text; result text := ''; BEGIN FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || q LOOP result := result || line || E'\n'; END LOOP; RETURN result; END $$;
SET enable_seqscan = off; -- which would be faster for so few rows
SELECT matches(plan_of($$SELECT id FROM docs ORDER BY vector <-> '[1,2,3]' LIMIT 5$$), 'Merge Append(.*Index Scan){2}', 'by merging their indexes');
RESET enable_seqscan;
SELECT ok(vectorcoll.has_partition('docs', 'hot') AND NOT vectorcoll.has_partition('docs', 'cold'), 'has_partition');
SELECT is(vectorcoll.get_partition_stats('docs', 'hot')->>'row_count', '300', 'get_partition_stats');
SELECT is(vectorcoll.get_collection_stats('docs')->>'row_count', '600', 'get_collection_stats counts all');
SELECT throws_ok($$SELECT vectorcoll.get_partition_stats('docs', 'cold')$$, 'VC200', NULL, 'stats: none');
SELECT throws_ok($$SELECT vectorcoll.create_partition('docs', 'a b')$$, 'VC110', NULL, 'create: illegal name');
SELECT throws_ok($$SELECT vectorcoll.create_partition('docs', NULL)$$, 'VC111', NULL, 'create: null');
SELECT throws_ok($$SELECT vectorcoll.create_partition('nope', 'x')$$, 'VC100', NULL, 'create: no collection');
SELECT throws_ok($$SELECT vectorcoll.drop_partition('docs', 'cold')$$, 'VC200', NULL, 'drop: none');
SELECT throws_ok($$SELECT vectorcoll.drop_partition('docs', '_default')$$, 'VC110', NULL, 'drop: the default');
SELECT throws_ok($$SELECT vectorcoll.load_partitions('docs', '{cold}')$$, 'VC200', NULL, 'load: none');
SELECT throws_ok($$SELECT vectorcoll.release_partitions('docs', '{cold}')$$, 'VC200', NULL, 'release: none');
SELECT throws_ok($$SELECT vectorcoll.load_partitions('docs', NULL)$$, 'VC111', NULL, 'load: null');
SELECT lives_ok($$SELECT vectorcoll.drop_partition('docs', 'hot')$$, 'drop_partition');
SELECT is((SELECT count(*) FROM docs), 300::bigint, 'its rows are gone');
-- Partitions by hand: what they hold is gone, and writes are told what is missing.
SELECT vectorcoll.create_collection('halved', 3), vectorcoll.create_partition('halved', 'p') \gset
DROP TABLE halved__default;
SELECT throws_ok($$SELECT vectorcoll.insert('halved', '{"id": 1, "vector": [1,2,3]}')$$, 'VC200', NULL, 'insert where the default partition was dropped by hand');
SELECT throws_ok($$SELECT vectorcoll.upsert('halved', '{"id": 1, "vector": [1,2,3]}')$$, 'VC200', NULL, 'likewise upsert');
SELECT is(vectorcoll.insert('halved', '{"id": 1, "vector": [1,2,3]}', 'p') + vectorcoll.insert('halved', '{2}', '{"[1,2,3]"}', NULL, 'p'), 2::bigint, 'the other partition is there');
SELECT vectorcoll.create_collection('watched', 3) \gset
CREATE VIEW on_watched AS SELECT * FROM watched;
SELECT throws_like($$SELECT vectorcoll.create_partition('watched', 'x')$$, '%cannot be partitioned%', 'dependants are named, not broken');
DROP VIEW on_watched;

-- Hash partitions.
SELECT vectorcoll.create_collection('tenants', '{"num_partitions": 4, "fields": [{"name": "id", "dtype": "int64", "is_primary": true},
    {"name": "tenant", "dtype": "varchar", "max_length": 9, "is_partition_key": true}, {"name": "vector", "dtype": "float_vector", "dim": 3}]}') \gset
SELECT is((SELECT count(*) FROM vectorcoll.list_partitions('tenants') WHERE kind = 'hash'), 4::bigint, 'a partition key makes hash partitions');
INSERT INTO tenants SELECT i, 't' || i % 7, ARRAY[i, 1, 1]::real[] FROM generate_series(1, 100) i;
SELECT matches(plan_of($$SELECT * FROM tenants WHERE tenant = 't1'$$), '^((?!Append).)*$', 'a tenant is in one of them');
SELECT results_eq($$SELECT id FROM vectorcoll.search('tenants', '[50.1,1,1]', top_k => 1)$$, $$VALUES ('50')$$, 'searched as one');
SELECT throws_ok($$SELECT vectorcoll.create_partition('tenants', 'x')$$, 'VC110', NULL, 'no named ones beside');
SELECT vectorcoll.create_collection('sharded', '{"shard_num": 3, "fields": [{"name": "id", "dtype": "int64", "is_primary": true}, {"name": "vector", "dtype": "float_vector", "dim": 3}]}') \gset
INSERT INTO sharded SELECT i, ARRAY[i, 1, 1]::real[] FROM generate_series(1, 100) i;
SELECT is((SELECT count(DISTINCT tableoid) FROM sharded), 3::bigint, 'shards');
SELECT throws_ok($$INSERT INTO sharded VALUES (5, '[1,1,1]')$$, '23505', NULL, 'with one key for all');
SELECT lives_ok($$SELECT vectorcoll.rename_collection('sharded', 'shards', new_namespace => 'public')$$, 'renamed');

-- Namespaces.
SELECT ok(vectorcoll.create_namespace('tenant_a'), 'create_namespace');
SELECT ok(NOT vectorcoll.create_namespace('tenant_a'), 'which was there');
SELECT throws_ok($$SELECT vectorcoll.create_namespace('pg_x')$$, 'VC110', NULL, 'system name');
SELECT throws_ok($$SELECT vectorcoll.create_namespace('a.b')$$, 'VC110', NULL, 'illegal name');
SELECT throws_ok($$SELECT vectorcoll.create_namespace(NULL)$$, 'VC111', NULL, 'null');
SELECT vectorcoll.create_collection('docs', 3, namespace => 'tenant_a'), vectorcoll.create_alias('tenant_a.docs', 'live'), vectorcoll.rename_collection('shards', 'moved', new_namespace => 'tenant_a') \gset
SELECT is((SELECT count(*) FROM pg_class WHERE relnamespace = 'tenant_a'::regnamespace AND relispartition AND relkind = 'r'), 3::bigint, 'partitions move with their collection');
SELECT results_eq($$SELECT namespace, collections FROM vectorcoll.list_namespaces() WHERE namespace IN ('tenant_a')$$, $$VALUES ('tenant_a', 2::bigint)$$, 'list_namespaces');
SELECT results_eq($$SELECT name FROM vectorcoll.list_collections('tenant_a')$$, $$VALUES ('docs'), ('moved')$$, 'list_collections of one');
SELECT throws_ok($$SELECT vectorcoll.delete_namespace('tenant_a')$$, 'VC110', NULL, 'delete: not confirmed');
SELECT throws_ok($$SELECT vectorcoll.delete_namespace('nowhere', confirm => true)$$, '3F000', NULL, 'delete: none');
CREATE TABLE tenant_a.mine (a int);
SELECT throws_ok($$SELECT vectorcoll.delete_namespace('tenant_a', confirm => true)$$, 'VC903', NULL, 'delete: something else is in it');
SELECT ok(vectorcoll.has_collection('tenant_a.docs'), 'and nothing is gone');
DROP TABLE tenant_a.mine;
SELECT is(vectorcoll.delete_namespace('tenant_a', confirm => true), 2::bigint, 'delete_namespace');
SELECT hasnt_schema('tenant_a', 'it is gone');

-- Indexes.
SELECT throws_ok($$SELECT vectorcoll.create_index('docs', 'nope')$$, 'VC120', NULL, 'index: no field');
SELECT throws_ok($$SELECT vectorcoll.create_index('docs', 'cat')$$, 'VC110', NULL, 'index: a scalar');
SELECT throws_ok($$SELECT vectorcoll.create_index('watched', 'vector', 'BTREE')$$, 'VC110', NULL, 'index: unknown type');
SELECT throws_ok($$SELECT vectorcoll.create_index('watched', 'vector', metric_type => 'HAMMING')$$, 'VC110', NULL, 'index: metric of another type');
SELECT throws_ok($$SELECT vectorcoll.create_index('watched', 'vector', 'HNSW', params => '{"m": 100000}')$$, 'VC110', NULL, 'index: params out of range');
SELECT throws_ok($$SELECT vectorcoll.create_index('watched', 'vector', 'HNSW', params => '{"x\" = 1); DROP TABLE docs; --": 1}')$$, 'VC110', NULL, 'index: hostile params');
SELECT throws_ok($$SELECT vectorcoll.create_index('docs', 'vector', 'HNSW', 'COSINE')$$, 'VC110', NULL, 'index: there is another');
SELECT is(vectorcoll.create_index('watched', 'vector', 'IVF', 'L2', '{"nlist": 4}', index_name => 'mine'), 'mine', 'an IVF index with a name of its own');
SELECT is(vectorcoll.describe_index('watched', 'vector')->>'index_type', 'IVF', 'describe_index');
SELECT lives_ok($$SELECT vectorcoll.drop_index('watched', 'vector')$$, 'drop_index');
SELECT throws_ok($$SELECT vectorcoll.drop_index('watched', 'vector')$$, 'VC700', NULL, 'twice');
SELECT throws_ok($$SELECT vectorcoll.describe_index('watched', 'vector')$$, 'VC700', NULL, 'describe: none');
SELECT is((vectorcoll.get_index_state('watched', 'vector')).state, 'NotExist', 'get_index_state');
SELECT finish();
