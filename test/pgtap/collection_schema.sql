-- Schemas: every fault at once, the canonical hash, differences, and the columns that come of them.
SELECT plan(69);

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
SELECT s AS sample FROM sample \gset
\setenv VC_SCHEMA :sample
\set python `python3 test/pgtap/schema_hash.py`
SELECT is((SELECT vectorcoll.schema_hash(s) FROM sample), :'python', 'schema_hash is what Python computes');
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
SELECT throws_ok($$SELECT vectorcoll.create_collection('bad', '{"fields": [{"name": "id"}, {"name": "and", "dtype": "float_vector"}]}')$$, 'VC105', 'illegal schema: 4 faults',
                 'create raises all faults as one error');
SELECT finish();
