-- Schemas: every fault at once, the canonical hash, differences, and the columns that come of them.
SELECT plan(128);

-- A legal schema to break in one place at a time.
CREATE FUNCTION good(change jsonb = '{}', field jsonb = NULL) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('fields', '[{"name": "id", "dtype": "int64", "is_primary": true}, {"name": "v", "dtype": "float_vector", "dim": 4}]'::jsonb
                              || CASE WHEN field IS NULL THEN '[]' ELSE jsonb_build_array(field) END) || change
$$;
CREATE FUNCTION faults(s jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(coalesce(field, '-') || ' ' || code || ' ' || message, '; '), 'none') FROM vectorcoll.validate_schema(s)
$$;

SELECT is(faults(good()), 'none', 'a good schema has no fault');
SELECT is(faults(NULL), '- VC105 schema is not a JSON object', 'null');
SELECT is(faults('[]'), '- VC105 schema is not a JSON object', 'an array');
SELECT is(faults('{}'), '- VC111 schema has no fields', 'no fields');
SELECT is(faults('{"fields": 3}'), '- VC105 fields is not of JSON type array', 'fields of the wrong type');
SELECT is(faults('{"fields": []}'), '- VC105 schema has no vector field; - VC105 schema has no primary key', 'empty fields');
SELECT is(faults('{"fields": [7]}'), '#1 VC105 field is not a JSON object; - VC105 schema has no vector field; - VC105 schema has no primary key', 'a field that is no object');
SELECT is(faults(good('{"colour": 1}')), '- VC105 unknown key "colour" in schema', 'unknown key');
SELECT is(faults(good(field => '{"name": "a", "dtype": "text", "siz": 1}')), 'a VC105 unknown key "siz"', 'unknown key of a field');
SELECT is(faults(good('{"enable_dynamic_field": "yes"}')), '- VC105 enable_dynamic_field is not of JSON type boolean', 'a boolean as text');
SELECT is(faults(good(field => f)), e, e) FROM (VALUES
    ('{"dtype": "text"}'::jsonb, '#3 VC111 field has no name'),
    ('{"name": "a"}', 'a VC111 field has no dtype'),
    ('{"name": "a", "dtype": "blob"}', 'a VC105 unknown dtype "blob"'),
    ('{"name": "a b", "dtype": "text"}', 'a b VC105 invalid field name "a b"'),
    ('{"name": "LIKE", "dtype": "text"}', 'LIKE VC105 field name "LIKE" is reserved'),
    ('{"name": "Json_Contains_Any", "dtype": "text"}', 'Json_Contains_Any VC105 field name "Json_Contains_Any" is reserved'),
    ('{"name": "v", "dtype": "text"}', 'v VC105 field name "v" is used 2 times'),
    ('{"name": "a", "dtype": "int64", "is_primary": true}', '- VC105 schema has 2 primary keys'),
    ('{"name": "a", "dtype": "int64", "auto_id": true}', 'a VC105 auto_id is for the primary key only'),
    ('{"name": "a", "dtype": "varchar"}', 'a VC111 varchar needs max_length'),
    ('{"name": "a", "dtype": "varchar", "max_length": 0}', 'a VC105 max_length 0 is out of range'),
    ('{"name": "a", "dtype": "varchar", "max_length": 65536}', 'a VC105 max_length 65536 is out of range'),
    ('{"name": "a", "dtype": "text", "max_length": 5}', 'a VC105 text takes no max_length'),
    ('{"name": "a", "dtype": "array"}', 'a VC111 array needs element_type; a VC111 array needs max_capacity'),
    ('{"name": "a", "dtype": "array", "element_type": "float_vector", "max_capacity": 5}', 'a VC105 array cannot have element_type "float_vector"'),
    ('{"name": "a", "dtype": "array", "element_type": "int8", "max_capacity": 4097}', 'a VC105 max_capacity 4097 is out of range'),
    ('{"name": "a", "dtype": "array", "element_type": "varchar", "max_capacity": 5}', 'a VC111 array of varchar needs max_length'),
    ('{"name": "a", "dtype": "float_vector"}', 'a VC111 float_vector needs dim'),
    ('{"name": "a", "dtype": "float_vector", "dim": 0}', 'a VC105 dim 0 is out of range'),
    ('{"name": "a", "dtype": "float16_vector", "dim": 16001}', 'a VC105 dim 16001 is out of range'),
    ('{"name": "a", "dtype": "float_vector", "dim": 2.5}', 'a VC105 dim 2.5 is out of range'),
    ('{"name": "a", "dtype": "float_vector", "dim": 1e30}', 'a VC105 dim 1000000000000000000000000000000 is out of range'),
    ('{"name": "a", "dtype": "binary_vector", "dim": 12}', 'a VC105 dim 12 of a binary_vector is not a multiple of 8'),
    ('{"name": "a", "dtype": "sparse_float_vector", "dim": 12}', 'a VC105 sparse_float_vector takes no dim'),
    ('{"name": "a", "dtype": "bool", "is_partition_key": true}', 'a VC105 partition key cannot be of dtype bool'),
    ('{"name": "a", "dtype": "int64", "is_partition_key": true, "nullable": true}', 'a VC105 partition key cannot be nullable')) AS t(f, e);
SELECT is(faults(good('{"shard_num": 17}')), '- VC105 shard_num 17 is out of range', 'too many shards');
SELECT is(faults(good('{"num_partitions": 4}')), '- VC105 num_partitions without a partition key', 'partitions without a key');
SELECT is(faults(good('{"num_partitions": 1025}', '{"name": "k", "dtype": "int64", "is_partition_key": true}')), '- VC105 num_partitions 1025 is out of range', 'too many partitions');
SELECT is(faults(jsonb_build_object('fields', good()->'fields' || (SELECT jsonb_agg(jsonb_build_object('name', 'f' || i, 'dtype', 'text')) FROM generate_series(1, 63) i))),
          '- VC105 schema has 65 fields', '65 fields');
SELECT is(faults(jsonb_build_object('fields', good()->'fields' || (SELECT jsonb_agg(jsonb_build_object('name', 'f' || i, 'dtype', 'float_vector', 'dim', 2)) FROM generate_series(1, 10) i))),
          '- VC105 schema has 11 vector fields', '11 vector fields');

SELECT is(faults(good(field => f)), e, e) FROM (VALUES
    ('{"name": "a", "dtype": "int64", "is_partition_key": true, "is_primary": true}'::jsonb, 'a VC105 partition key cannot be the primary key; - VC105 schema has 2 primary keys'),
    ('{"name": "a", "dtype": "int32", "is_primary": true}', 'a VC105 primary key cannot be of dtype int32; - VC105 schema has 2 primary keys'),
    ('{"name": "a", "dtype": "uuid", "is_primary": true}', 'a VC105 primary key cannot be of dtype uuid; - VC105 schema has 2 primary keys'),
    ('{"name": "a", "dtype": "int64", "is_primary": true, "nullable": true}', 'a VC105 primary key cannot be nullable; - VC105 schema has 2 primary keys'),
    ('{"name": "a", "dtype": "int64", "is_primary": true, "default_value": 5}', 'a VC105 primary key cannot have a default_value; - VC105 schema has 2 primary keys'),
    ('{"name": "a", "dtype": "float_vector", "dim": 3, "default_value": [1,2,3]}', 'a VC105 vector field cannot have a default_value'),
    ('{"name": "a", "dtype": "binary_vector"}', 'a VC111 binary_vector needs dim'), ('{"name": "a", "dtype": "binary_vector", "dim": 64008}', 'a VC105 dim 64008 is out of range'),
    ('{"name": "a", "dtype": "binary_vector", "dim": 0}', 'a VC105 dim 0 is out of range'), ('{"name": "a", "dtype": "float_vector", "dim": 16001}', 'a VC105 dim 16001 is out of range'),
    ('{"name": "a", "dtype": "float_vector", "dim": -1}', 'a VC105 dim -1 is out of range'), ('{"name": "a", "dtype": "float_vector", "dim": "3"}', 'a VC105 dim is not of JSON type number'),
    ('{"name": "a", "dtype": "text", "dim": 3}', 'a VC105 text takes no dim'), ('{"name": "a", "dtype": "text", "element_type": "int8"}', 'a VC105 text takes neither element_type nor max_capacity'),
    ('{"name": "a", "dtype": "array", "element_type": "int8", "max_capacity": 0}', 'a VC105 max_capacity 0 is out of range'), ('{"name": "a", "dtype": "array", "element_type": "json", "max_capacity": 5}', 'a VC105 array cannot have element_type "json"'),
    ('{"name": "a", "dtype": "array", "element_type": "int8", "max_capacity": 5, "max_length": 5}', 'a VC105 array takes no max_length'),
    ('{"name": "1a", "dtype": "text"}', '1a VC105 invalid field name "1a"'), ('{"name": "", "dtype": "text"}', ' VC105 invalid field name ""'), ('{"name": 5, "dtype": "text"}', '#3 VC105 name is not of JSON type string'),
    ('{"name": "a", "dtype": "vector"}', 'a VC105 unknown dtype "vector"'), ('{"name": "a", "dtype": "INT64"}', 'a VC105 unknown dtype "INT64"'),
    ('{"name": "a", "dtype": "text", "nullable": 1}', 'a VC105 nullable is not of JSON type boolean')) AS t(f, e);
SELECT is(faults(good(field => jsonb_build_object('name', repeat('x', 64), 'dtype', 'text'))), repeat('x', 64) || ' VC105 invalid field name "' || repeat('x', 64) || '"', 'a name of 64 bytes');
SELECT is(faults(good('{"shard_num": 0}')), '- VC105 shard_num 0 is out of range', 'no shard');
SELECT is(faults(good('{"num_partitions": 0}', '{"name": "k", "dtype": "int64", "is_partition_key": true}')), '- VC105 num_partitions 0 is out of range', 'no partition');
SELECT is(faults(jsonb_build_object('fields', good()->'fields' || '[{"name": "k", "dtype": "int64", "is_partition_key": true}, {"name": "l", "dtype": "varchar", "max_length": 5, "is_partition_key": true}]')), '- VC105 schema has 2 partition keys', 'two partition keys');
SELECT is((SELECT count(*) FROM unnest(string_to_array('like exists and or not in null true false $meta json_contains json_contains_all json_contains_any array_contains array_contains_all array_contains_any array_length text_match text_match_all text_match_any
    phrase_match phrase_match_all phrase_match_any random_sample random_sample_all random_sample_any', ' ')) word, unnest(ARRAY[word, upper(word), initcap(word)]) name WHERE faults(good(field => jsonb_build_object('name', trim(E'\n' FROM name), 'dtype', 'text'))) ~ 'is reserved'), 78::bigint, 'every reserved name, in any case');

-- At their limits all of these are legal.
SELECT is(faults(good(c, f)), 'none', coalesce(f::text, c::text)) FROM (VALUES
    ('{}'::jsonb, '{"name": "a", "dtype": "float_vector", "dim": 1}'::jsonb), ('{}', '{"name": "a", "dtype": "float_vector", "dim": 16000}'), ('{}', '{"name": "a", "dtype": "float16_vector", "dim": 16000}'), ('{}', '{"name": "a", "dtype": "binary_vector", "dim": 8}'),
    ('{}', '{"name": "a", "dtype": "binary_vector", "dim": 64000}'), ('{}', '{"name": "a", "dtype": "varchar", "max_length": 1}'), ('{}', '{"name": "a", "dtype": "varchar", "max_length": 65535}'),
    ('{}', '{"name": "a", "dtype": "array", "element_type": "varchar", "max_length": 65535, "max_capacity": 4096}'), ('{}', '{"name": "a", "dtype": "array", "element_type": "uuid", "max_capacity": 1}'), ('{"shard_num": 1}', NULL), ('{"shard_num": 16}', NULL),
    ('{"num_partitions": 1}', '{"name": "k", "dtype": "varchar", "max_length": 9, "is_partition_key": true}'), ('{"num_partitions": 1024}', '{"name": "k", "dtype": "int64", "is_partition_key": true}'), ('{"auto_id": true}', NULL), ('{"description": "x"}', NULL),
    ('{}', jsonb_build_object('name', repeat('x', 63), 'dtype', 'text'))) AS t(c, f);
SELECT is(faults(jsonb_build_object('fields', good()->'fields' || (SELECT jsonb_agg(jsonb_build_object('name', 'f' || i, 'dtype', 'text')) FROM generate_series(1, 62) i))), 'none', '64 fields');
SELECT is(faults(jsonb_build_object('fields', good()->'fields' || (SELECT jsonb_agg(jsonb_build_object('name', 'f' || i, 'dtype', 'float_vector', 'dim', 2)) FROM generate_series(1, 9) i))), 'none', '10 vector fields');
SELECT lives_ok($$SELECT vectorcoll.create_collection('limits', '{"shard_num": 16, "fields": [{"name": "id", "dtype": "varchar", "max_length": 65535, "is_primary": true}, {"name": "f", "dtype": "float_vector", "dim": 16000}, {"name": "h", "dtype": "float16_vector", "dim": 16000, "nullable": true},
    {"name": "b", "dtype": "binary_vector", "dim": 64000, "nullable": true}]}'::jsonb)$$, 'and are made');
SELECT is(vectorcoll.insert('limits', jsonb_build_object('id', 'x', 'f', (SELECT jsonb_agg(i % 7) FROM generate_series(1, 16000) i), 'b', repeat('10', 32000))), 1::bigint, 'and hold what they say');

-- Whatever comes, validation answers; it never fails. Random values are put in random places of a good schema.
SELECT setseed(0.5);
SELECT lives_ok($$
    SELECT count(*) FROM generate_series(1, 3000) i, LATERAL (
        SELECT jsonb_set(good('{"shard_num": 2}', '{"name": "x", "dtype": "array", "element_type": "varchar", "max_length": 5, "max_capacity": 9}'),
                         CASE WHEN random() < 0.2 THEN ARRAY[(ARRAY['fields', 'shard_num', 'num_partitions', 'auto_id', 'description', 'é"'])[1 + floor(random() * 6)]]
                              ELSE ARRAY['fields', floor(random() * 4)::text, (ARRAY['name', 'dtype', 'dim', 'max_length', 'element_type', 'max_capacity',
                                  'is_primary', 'auto_id', 'nullable', 'is_partition_key', 'default_value', 'zz'])[1 + floor(random() * 12)]] END,
                         (ARRAY['null', '{}', '[]', 'true', '-1', '1e400', '0.5', '""', '"int64"', '"\u00e9"', '[[[[]]]]', '"float_vector"', '"binary_vector"', '"varchar"',
                                '99999999999999999999'])[1 + floor(random() * 15 + 0 * i)]::jsonb) AS s) m, vectorcoll.validate_schema(m.s) v
$$, 'validation survives 3000 mutants');

-- The hash, byte for byte what Python makes of the canonical JSON.
CREATE TABLE sample (s jsonb);
INSERT INTO sample VALUES ('{"description": "does not count", "shard_num": 3, "enable_dynamic_field": true, "fields": [
    {"name": "zeta", "dtype": "float_vector", "dim": 128, "description": "nor does this"},
    {"name": "Id", "dtype": "int64", "is_primary": true, "auto_id": true},
    {"name": "_tags", "dtype": "array", "element_type": "varchar", "max_length": 32, "max_capacity": 7},
    {"name": "tenant", "dtype": "varchar", "max_length": 64, "is_partition_key": true},
    {"name": "bits", "dtype": "binary_vector", "dim": 64.0, "nullable": true}]}');
-- And 200 made at random, of fields with every dtype and every option that goes with it.
SELECT setseed(0.25);
CREATE TABLE samples AS SELECT 0 AS n, s FROM sample UNION ALL
SELECT i, jsonb_strip_nulls(jsonb_build_object('enable_dynamic_field', CASE WHEN random() < 0.6 THEN random() < 0.5 END, 'shard_num', CASE WHEN random() < 0.6 THEN 1 + floor(random() * 16)::int END, 'auto_id', CASE WHEN random() < 0.4 THEN random() < 0.5 END,
        'description', CASE WHEN random() < 0.5 THEN 'é"' || i END, 'fields', (SELECT jsonb_agg(f ORDER BY random()) FROM (
            SELECT jsonb_build_object('name', 'P_' || i, 'dtype', 'int64', 'is_primary', true) || CASE WHEN random() < 0.4 THEN '{"auto_id": true}' ELSE '{}'::jsonb END AS f
            UNION ALL SELECT jsonb_build_object('name', 'v' || i, 'dtype', 'float_vector', 'dim', 1 + floor(random() * 16000)::int)
            UNION ALL SELECT jsonb_build_object('name', (ARRAY['a', 'B', '_', 'zZ', 'Zz', 'x1'])[k] || k || (i % 7), 'nullable', random() < 0.5) || CASE WHEN random() < 0.2 THEN '{"description": "no"}' ELSE '{}'::jsonb END
                || (ARRAY['{"dtype": "bool"}', '{"dtype": "int8"}', '{"dtype": "int16", "default_value": 3}', '{"dtype": "double"}', '{"dtype": "varchar", "max_length": 65535}', '{"dtype": "varchar", "max_length": 7.0}', '{"dtype": "text", "default_value": "x"}', '{"dtype": "json"}',
                    '{"dtype": "array", "element_type": "varchar", "max_length": 20, "max_capacity": 9}', '{"dtype": "array", "element_type": "float", "max_capacity": 4096}', '{"dtype": "timestamptz"}', '{"dtype": "uuid"}', '{"dtype": "float16_vector", "dim": 16}',
                    '{"dtype": "binary_vector", "dim": 64.0}', '{"dtype": "sparse_float_vector"}', '{"dtype": "int64", "is_partition_key": false}'])[1 + floor(random() * 16)::int]::jsonb
              FROM generate_series(1, 1 + i % 6) k WHERE i > 0) g))) FROM generate_series(1, 200) i;
SELECT is_empty('SELECT n, v.* FROM samples, vectorcoll.validate_schema(s) v', 'the samples are legal');
SELECT jsonb_agg(s ORDER BY n) AS samples FROM samples \gset
\setenv VC_SCHEMAS :samples
\set python `python3 test/pgtap/schema_hash.py`
SELECT is((SELECT string_agg(vectorcoll.schema_hash(s), E'\n' ORDER BY n) FROM samples), :'python', 'schema_hash is what Python computes');
SELECT cmp_ok((SELECT count(DISTINCT vectorcoll.schema_hash(s)) FROM samples), '>', 190::bigint, 'of each another');
SELECT is((SELECT vectorcoll.schema_hash(s) FROM sample), (SELECT vectorcoll.schema_hash(s - 'description' || jsonb_build_object('fields',
           (SELECT jsonb_agg(f - 'description' ORDER BY f->>'dtype') FROM jsonb_array_elements(s->'fields') f))) FROM sample), 'order and descriptions do not count');
SELECT isnt(vectorcoll.schema_hash(good()), vectorcoll.schema_hash(good('{"shard_num": 2}')), 'shards do');
SELECT throws_ok($$SELECT vectorcoll.schema_hash('{}')$$, 'VC105', 'illegal schema: 1 fault', 'schema_hash of an illegal schema');

SELECT results_eq($$SELECT * FROM vectorcoll.schema_diff(good(), good('{"shard_num": 2}', '{"name": "k", "dtype": "int64"}'))$$,
    $$VALUES (NULL, 'shard_num', '1', '2'), ('k', 'auto_id', NULL, 'false'), ('k', 'dtype', NULL, 'int64'), ('k', 'is_partition_key', NULL, 'false'), ('k', 'is_primary', NULL, 'false')$$,
    'schema_diff');
SELECT is_empty($$SELECT * FROM vectorcoll.schema_diff(good(), good('{"description": "x"}'))$$, 'schema_diff of equals');
SELECT throws_ok($$SELECT * FROM vectorcoll.schema_diff(good(), '{}')$$, 'VC105', NULL, 'schema_diff of an illegal schema');

-- Every dtype as a column.
SELECT lives_ok($$SELECT vectorcoll.create_collection('every', '{"fields": [{"name": "id", "dtype": "varchar", "max_length": 9, "is_primary": true, "auto_id": true},
    {"name": "a", "dtype": "bool", "default_value": true}, {"name": "b", "dtype": "int8"}, {"name": "c", "dtype": "int16"}, {"name": "d", "dtype": "int32"},
    {"name": "e", "dtype": "int64"}, {"name": "f", "dtype": "float"}, {"name": "g", "dtype": "double", "default_value": 1.5}, {"name": "h", "dtype": "text", "default_value": "it''s"},
    {"name": "i", "dtype": "json", "default_value": {"a": 1}}, {"name": "j", "dtype": "array", "element_type": "text", "max_capacity": 2, "default_value": ["a", "b,\"c"]},
    {"name": "k", "dtype": "timestamptz"}, {"name": "l", "dtype": "uuid", "nullable": true}, {"name": "m", "dtype": "float16_vector", "dim": 3},
    {"name": "n", "dtype": "binary_vector", "dim": 16}, {"name": "o", "dtype": "sparse_float_vector"}], "enable_dynamic_field": true}')$$, 'every dtype');
SELECT results_eq($$SELECT attname::text COLLATE "default", format_type(atttypid, atttypmod), attnotnull FROM pg_attribute WHERE attrelid = 'every'::regclass AND attnum > 0 ORDER BY attnum$$,
    $$VALUES ('id', 'character varying(9)', true), ('a', 'boolean', true), ('b', 'smallint', true), ('c', 'smallint', true), ('d', 'integer', true), ('e', 'bigint', true),
             ('f', 'real', true), ('g', 'double precision', true), ('h', 'text', true), ('i', 'jsonb', true), ('j', 'text[]', true),
             ('k', 'timestamp with time zone', true), ('l', 'uuid', false), ('m', 'halfvec(3)', true), ('n', 'bit(16)', true), ('o', 'sparsevec(1000000000)', true), ('$meta', 'jsonb', true)$$,
    'as columns');
SELECT throws_ok($$INSERT INTO every (id, b, c, d, e, f, k, m, n, o) VALUES ('1', 128, 1, 1, 1, 1, now(), '[1,2,3]', repeat('1', 16)::bit(16), '{}/1000000000')$$, '23514', NULL, 'int8 has its bounds');
INSERT INTO every (id, b, c, d, e, f, k, m, n, o) VALUES ('x', 127, 1, 1, 1, 1, now(), '[1,2,3]', repeat('1', 16)::bit(16), '{}/1000000000');
SELECT results_eq('SELECT a, g, h, i, j FROM every', $$VALUES (true, 1.5::float8, 'it''s', '{"a": 1}'::jsonb, ARRAY['a', 'b,"c'])$$, 'defaults');
SELECT throws_ok($$UPDATE every SET j = '{a,b,c}'$$, '23514', NULL, 'max_capacity');
SELECT throws_ok($$UPDATE every SET id = 'ünïcödé'$$, '23514', NULL, 'max_length counts bytes');
SELECT is((SELECT string_agg(message, '; ') FROM vectorcoll.validate_schema(format('{"fields": [{"name": "id", "dtype": "int64", "is_primary": true},
    {"name": "v", "dtype": "float_vector", "dim": 2}, {"name": "f", %s}]}', f)::jsonb)), fault, 'default: ' || f) FROM (VALUES
    ('"dtype": "int32", "default_value": "x"', 'default_value of int32 is of JSON type string, not number'),
    ('"dtype": "int32", "default_value": 1.5', 'default_value 1.5 is not a whole number in the range of int32'),
    ('"dtype": "int32", "default_value": 5.0', NULL), ('"dtype": "array", "element_type": "int8", "max_capacity": 2.0, "default_value": [1.0, -128]', NULL),
    ('"dtype": "varchar", "max_length": 3.0, "default_value": "abc"', NULL),
    ('"dtype": "sparse_float_vector", "default_value": {"1": 1}', 'vector field cannot have a default_value'),
    ('"dtype": "int8", "default_value": 128', 'default_value 128 is not a whole number in the range of int8'),
    ('"dtype": "int64", "default_value": 9223372036854775808', 'default_value: value "9223372036854775808" is out of range for type bigint'),
    ('"dtype": "int64", "default_value": -9223372036854775808', NULL),
    ('"dtype": "bool", "default_value": 1', 'default_value of bool is of JSON type number, not boolean'),
    ('"dtype": "varchar", "max_length": 3, "default_value": "über"', 'default_value has 5 bytes, max_length is 3'),
    ('"dtype": "timestamptz", "default_value": "soon"', 'default_value: invalid input syntax for type timestamp with time zone: "soon"'),
    ('"dtype": "uuid", "default_value": "1"', 'default_value: invalid input syntax for type uuid: "1"'),
    ('"dtype": "array", "element_type": "int16", "max_capacity": 2, "default_value": [1, 2, 3]', 'default_value has 3 elements, max_capacity is 2'),
    ('"dtype": "array", "element_type": "int16", "max_capacity": 2, "default_value": [1, "x"]', 'element of default_value: default_value of int16 is of JSON type string, not number'),
    ('"dtype": "array", "element_type": "varchar", "max_length": 2, "max_capacity": 2, "default_value": ["abc"]', 'element of default_value: default_value has 3 bytes, max_length is 2'),
    ('"dtype": "json", "default_value": "anything"', NULL)) t(f, fault);
-- JSON does not tell 8.0 from 8.
SELECT is(vectorcoll.create_collection('whole', '{"num_partitions": 2.0, "shard_num": 1.0, "fields": [{"name": "id", "dtype": "int64", "is_primary": true}, {"name": "p", "dtype": "int64", "is_partition_key": true},
    {"name": "v", "dtype": "float_vector", "dim": 3.0}, {"name": "n", "dtype": "int32", "default_value": 5.0}, {"name": "a", "dtype": "array", "element_type": "int16", "max_capacity": 2.00, "default_value": [1.0]},
    {"name": "s", "dtype": "varchar", "max_length": 9.0, "default_value": "x"}]}'::jsonb)->>'num_partitions', '2', 'whole numbers with a fraction of zero');
SELECT is(vectorcoll.insert('whole', '{"id": 1, "p": 1, "v": [1, 2, 3]}'), 1::bigint, 'make a table');
SELECT results_eq('SELECT n, a, s FROM whole', $$VALUES (5, '{1}'::smallint[], 'x'::varchar)$$, 'and defaults');
SELECT throws_ok($$SELECT vectorcoll.create_collection('bad', '{"fields": [{"name": "id"}, {"name": "and", "dtype": "float_vector"}]}')$$, 'VC105', 'illegal schema: 4 faults',
                 'create raises all faults as one error');
CREATE FUNCTION detail_of(q text) RETURNS text LANGUAGE plpgsql AS $$ DECLARE d text; BEGIN EXECUTE q; RETURN NULL; EXCEPTION WHEN OTHERS THEN GET STACKED DIAGNOSTICS d = PG_EXCEPTION_DETAIL; RETURN d; END $$;
SELECT is((SELECT array_agg(regexp_replace(line, ' \(VC\d+\)\. .*', '') ORDER BY n) FROM string_to_table(detail_of($$SELECT vectorcoll.create_collection('bad', '{"fields": [{"name": "id"}, {"name": "and", "dtype": "float_vector"}]}')$$), E'\n') WITH ORDINALITY t(line, n)),
    (SELECT array_agg(coalesce('field "' || field || '"', 'schema') || ': ' || message ORDER BY n) FROM vectorcoll.validate_schema('{"fields": [{"name": "id"}, {"name": "and", "dtype": "float_vector"}]}') WITH ORDINALITY v(field, code, message, hint, n)),
    'and DETAIL has each of them, a line each');
SELECT vectorcoll.create_collection('both', good()) IS NOT NULL AS created \gset
SELECT is(detail_of($$SELECT vectorcoll.create_collection('both', good('{"shard_num": 2}', '{"name": "k", "dtype": "varchar", "max_length": 5}'))$$),
    E'schema: shard_num is 1, asked for 2\nfield "k": auto_id is not set, asked for false\nfield "k": dtype is not set, asked for varchar\nfield "k": is_partition_key is not set, asked for false\nfield "k": is_primary is not set, asked for false\nfield "k": max_length is not set, asked for 5',
    'a schema that differs is told field by field');
SELECT finish();
