-- Writing and reading points: every mode, every documented error, and that an error changes nothing.
SELECT plan(96);
SELECT lives_ok($$SELECT vectorcoll.create_collection('docs', 3, metric_type => 'L2')$$, 'a collection in quick form');
SELECT is(vectorcoll.insert('docs', '[{"id": 1, "vector": [1, 2, 3], "color": "red"}, {"id": 2, "vector": "[1,2,4]"}]'), 2::bigint, 'insert an array');
SELECT is(vectorcoll.insert('docs', '{"id": 3, "vector": [0, 0, 1], "$meta": {"n": 1}}'), 1::bigint, 'insert an object');
SELECT results_eq($$SELECT id, vector::text, "$meta" FROM docs ORDER BY id$$,
    $$VALUES (1::bigint, '[1,2,3]', '{"color": "red"}'::jsonb), (2, '[1,2,4]', '{}'), (3, '[0,0,1]', '{"n": 1}')$$, 'rows are there');
SELECT is(vectorcoll.insert('docs', '{4,5}'::bigint[], '{"[1,1,1]","[2,2,2]"}'::vector[], ARRAY['{"a": 1}', '{}']::jsonb[]), 2::bigint, 'typed arrays');
SELECT is(vectorcoll.insert('docs', '{6}'::bigint[], '{"[1,1,1]"}'::vector[], NULL), 1::bigint, 'typed arrays without payload');
SELECT is(vectorcoll.insert('docs', '[]'), 0::bigint, 'no rows');
SELECT is((SELECT "$meta" FROM docs WHERE id = 4), '{"a": 1}', 'payload is stored');

-- what is refused, and that nothing of it stays
SELECT throws_ok(format('SELECT vectorcoll.insert(%L, %L::jsonb)', name, data), code, NULL, what) FROM (VALUES
    ('docs', '[{"id": 10, "vector": [1,2,3]}, {"id": 11, "vector": [1,2]}]', 'VC110', 'wrong dimension'),
    ('docs', '{"id": 10, "vector": [1,2,"NaN"]}', 'VC110', 'NaN as string'),
    ('docs', '{"id": 10, "vector": "[1,NaN,3]"}', 'VC110', 'NaN in text'),
    ('docs', '{"id": 10, "vector": [1,2,1e39]}', 'VC110', 'overflow'),
    ('docs', '{"id": 10, "vector": [1,2,null]}', 'VC110', 'null in a vector'),
    ('docs', '{"id": 10, "vector": 5}', 'VC110', 'number as vector'),
    ('docs', '{"id": 10, "vector": null}', 'VC110', 'null as vector'),
    ('docs', '{"id": 1.5, "vector": [1,2,3]}', 'VC110', 'fraction as id'),
    ('docs', '{"id": "10", "vector": [1,2,3]}', 'VC110', 'string as id'),
    ('docs', '{"id": 9223372036854775808, "vector": [1,2,3]}', 'VC110', 'id out of range'),
    ('docs', '{"id": 10}', 'VC111', 'no vector'),
    ('docs', '{"vector": [1,2,3]}', 'VC111', 'no id'),
    ('docs', '5', 'VC110', 'a scalar'),
    ('docs', '[5]', 'VC110', 'an array of scalars'),
    ('docs', '{"id": 10, "vector": [1,2,3], "$meta": 5}', 'VC110', '$meta that is no object'),
    ('docs', '[{"id": 10, "vector": [1,2,3]}, {"id": 1, "vector": [1,2,3]}]', '23505', 'duplicate key'),
    ('nope', '{}', 'VC100', 'unknown collection'),
    ('a"; drop table docs; --', '{}', 'VC110', 'hostile name')) t(name, data, code, what);
SELECT throws_ok($$SELECT vectorcoll.insert('docs', NULL::jsonb)$$, 'VC111', NULL, 'null data');
SELECT throws_ok($$SELECT vectorcoll.insert('docs', '{10,11}'::bigint[], '{"[1,2,3]"}'::vector[], NULL)$$, 'VC110', NULL, 'arrays of unequal length');
SELECT throws_ok($$SELECT vectorcoll.insert('docs', '{10}'::bigint[], '{"[1,2]"}'::vector[], NULL)$$, 'VC110', NULL, 'typed: wrong dimension');
SELECT throws_ok($$SELECT vectorcoll.insert('docs', '{10}'::bigint[], '{NULL}'::vector[], NULL)$$, 'VC110', NULL, 'typed: null vector');
SELECT throws_ok($$SELECT vectorcoll.insert('docs', NULL::bigint[], '{"[1,2,3]"}'::vector[], NULL)$$, 'VC111', NULL, 'typed: no ids');
SELECT throws_ok($$SELECT vectorcoll.insert('docs', '{"id": 10, "vector": [1,2,3]}', partition_name => 'p')$$, 'VC200', NULL, 'unknown partition');
SELECT is((SELECT count(*) FROM docs), 6::bigint, 'nothing of it stayed');

-- upsert
SELECT is(vectorcoll.upsert('docs', '[{"id": 1, "vector": [9,9,9], "b": 2}, {"id": 7, "vector": [7,7,7]}, {"id": 7, "vector": [7,7,8]}]'), 2::bigint,
    'upsert: of rows with one key the later counts');
SELECT results_eq($$SELECT id, vector::text, "$meta" FROM docs WHERE id IN (1, 7) ORDER BY id$$,
    $$VALUES (1::bigint, '[9,9,9]', '{"b": 2}'::jsonb), (7, '[7,7,8]', '{}')$$, 'upsert replaces the row');
SELECT is(vectorcoll.upsert('docs', '[{"id": 1, "c": 3}, {"id": 1, "d": 4}]', partial_update => true), 1::bigint, 'partial update');
SELECT results_eq($$SELECT vector::text, "$meta" FROM docs WHERE id = 1$$, $$VALUES ('[9,9,9]', '{"b": 2, "c": 3, "d": 4}'::jsonb)$$, 'it merges');
SELECT throws_ok($$SELECT vectorcoll.upsert('docs', '{"id": 100, "c": 3}', partial_update => true)$$, 'VC111', NULL, 'partial row that does not exist');
SELECT is(vectorcoll.upsert('docs', '[{"id": 1, "vector": [0,0,0]}, {"id": 8, "vector": [8,8,8]}]', 'insert_only'), 1::bigint, 'insert_only');
SELECT is(vectorcoll.upsert('docs', '[{"id": 3, "vector": [5,5,5]}, {"id": 9, "vector": [8,8,8]}]', 'update_only'), 1::bigint, 'update_only');
SELECT results_eq($$SELECT id, vector::text FROM docs WHERE id IN (1, 3, 9) ORDER BY id$$, $$VALUES (1::bigint, '[9,9,9]'), (3, '[5,5,5]')$$, 'modes do what they say');
SELECT throws_ok($$SELECT vectorcoll.upsert('docs', '{}', 'replace')$$, 'VC110', NULL, 'unknown mode');

-- every mode, whole and partial, over a row that exists and one that does not
SELECT vectorcoll.create_collection('modes', 2) IS NOT NULL AS created \gset
CREATE FUNCTION after_upsert(mode text, partial bool, data jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE n bigint; rows text; BEGIN
    TRUNCATE modes;
    INSERT INTO modes VALUES (1, '[1,1]', '{"a": 1, "b": 1}');
    n := vectorcoll.upsert('modes', data, mode, partial);
    SELECT string_agg(id || vector::text || "$meta", ' ' ORDER BY id) INTO rows FROM modes;
    RETURN n || ': ' || rows;
EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE; END $$;
SELECT is(after_upsert(mode, partial, data::jsonb), expected, mode || CASE WHEN partial THEN ' partial ' ELSE ' ' END || data) FROM (VALUES
    ('upsert', false, '[{"id": 1, "vector": [2,2], "b": 2}, {"id": 2, "vector": [3,3]}]', '2: 1[2,2]{"b": 2} 2[3,3]{}'), ('upsert', true, '[{"id": 1, "vector": [2,2], "b": 2}, {"id": 2, "vector": [3,3]}]', '2: 1[2,2]{"a": 1, "b": 2} 2[3,3]{}'),
    ('insert_only', false, '[{"id": 1, "vector": [2,2], "b": 2}, {"id": 2, "vector": [3,3]}]', '1: 1[1,1]{"a": 1, "b": 1} 2[3,3]{}'), ('insert_only', true, '[{"id": 1, "vector": [2,2], "b": 2}, {"id": 2, "vector": [3,3]}]', 'VC110'),
    ('update_only', false, '[{"id": 1, "vector": [2,2], "b": 2}, {"id": 2, "vector": [3,3]}]', '1: 1[2,2]{"b": 2}'), ('update_only', true, '[{"id": 1, "vector": [2,2], "b": 2}, {"id": 2, "vector": [3,3]}]', '1: 1[2,2]{"a": 1, "b": 2}'),
    ('upsert', true, '{"id": 1, "b": null}', '1: 1[1,1]{"a": 1, "b": null}'), ('update_only', true, '{"id": 2, "b": 5}', '0: 1[1,1]{"a": 1, "b": 1}'), ('upsert', true, '{"id": 2, "b": 5}', 'VC111'), ('insert_only', true, '{"id": 2, "b": 5}', 'VC110'),
    ('insert_only', false, '[{"id": 2, "vector": [3,3]}, {"id": 2, "vector": [4,4]}]', '1: 1[1,1]{"a": 1, "b": 1} 2[4,4]{}'), ('update_only', false, '[{"id": 1, "vector": [3,3]}, {"id": 1, "vector": [4,4]}]', '1: 1[4,4]{}'),
    ('upsert', false, '{"id": 1}', 'VC111'), ('update_only', false, '{"id": 1}', 'VC111'), ('upsert', false, '[]', '0: 1[1,1]{"a": 1, "b": 1}')) t(mode, partial, data, expected);

-- delete
SELECT is(vectorcoll.delete('docs', '{1,2,99}'), 2::bigint, 'delete by ids');
SELECT is(vectorcoll.delete('docs', ARRAY[3]) + vectorcoll.delete('docs', filter => 'id > 7'), 2::bigint, 'delete by array and by filter');
SELECT throws_ok($$SELECT vectorcoll.delete('docs')$$, 'VC111', NULL, 'delete of nothing');
SELECT throws_ok($$SELECT vectorcoll.delete('docs', '{4}', 'id > 1')$$, 'VC110', NULL, 'delete by both');
SELECT throws_ok($$SELECT vectorcoll.delete('docs', filter => '  ')$$, 'VC110', NULL, 'delete by a blank filter');
SELECT throws_ok($$SELECT vectorcoll.delete('docs', '{x}')$$, 'VC110', NULL, 'id of another type');

-- payload
SELECT is(vectorcoll.set_payload('docs', '{"z": [1], "a": 2}', '{4}'), 1::bigint, 'set_payload');
SELECT is((SELECT "$meta" FROM docs WHERE id = 4), '{"a": 2, "z": [1]}', 'it merges');
SELECT is(vectorcoll.overwrite_payload('docs', '{"y": 1}', filter => 'id == 4'), 1::bigint, 'overwrite_payload');
SELECT is((SELECT "$meta" FROM docs WHERE id = 4), '{"y": 1}', 'it replaces');
SELECT is(vectorcoll.delete_payload('docs', '{y}', '{4}'), 1::bigint, 'delete_payload');
SELECT is((SELECT "$meta" FROM docs WHERE id = 4), '{}', 'it removes the key');
SELECT is(vectorcoll.set_payload('docs', '{"k": 1}', filter => 'true'), 4::bigint, 'set_payload on all');
SELECT is(vectorcoll.clear_payload('docs', filter => 'true'), 4::bigint, 'clear_payload');
SELECT is((SELECT count(*) FROM docs WHERE "$meta" = '{}'), 4::bigint, 'it clears');
SELECT throws_ok($$SELECT vectorcoll.set_payload('docs', '{"vector": [1,2,3]}', '{4}')$$, 'VC110', NULL, 'a vector is no payload');
SELECT throws_ok($$SELECT vectorcoll.set_payload('docs', '[1]', '{4}')$$, 'VC110', NULL, 'payload that is no object');
SELECT throws_ok($$SELECT vectorcoll.delete_payload('docs', '{id}', '{4}')$$, 'VC110', NULL, 'the key cannot be deleted');

-- a declared schema without dynamic field, with a key of its own making
SELECT lives_ok($$SELECT vectorcoll.create_collection('s', '{"fields": [
    {"name": "id", "dtype": "int64", "is_primary": true, "auto_id": true},
    {"name": "title", "dtype": "varchar", "max_length": 5, "nullable": true},
    {"name": "n", "dtype": "int32", "default_value": 7},
    {"name": "small", "dtype": "int8", "nullable": true},
    {"name": "tags", "dtype": "array", "element_type": "int32", "max_capacity": 2, "nullable": true},
    {"name": "sp", "dtype": "sparse_float_vector"}, {"name": "bv", "dtype": "binary_vector", "dim": 8},
    {"name": "hv", "dtype": "float16_vector", "dim": 2}]}'::jsonb)$$, 'every vector type');
SELECT results_eq($$SELECT * FROM vectorcoll.insert_returning('s', '[{"title": "a", "sp": {"3": 0.5}, "bv": "01010101", "hv": [1, 2.5], "tags": [1, 2]},
    {"sp": {"indices": [0], "values": [1]}, "bv": [1,1,1,1,0,0,0,0], "hv": [0, 1], "n": 1}]')$$, $$VALUES ('1'), ('2')$$, 'insert_returning gives the keys made');
SELECT results_eq($$SELECT id, title, n, tags, sp::text, bv::text, hv::text FROM s ORDER BY id$$,
    $$VALUES (1::bigint, 'a'::varchar, 7, '{1,2}'::int[], '{4:0.5}/1000000000', '01010101', '[1,2.5]'), (2, NULL, 1, NULL, '{1:1}/1000000000', '11110000', '[0,1]')$$,
    'values of every type, defaults and nulls');
SELECT throws_ok(format('SELECT vectorcoll.insert(%L, %L::jsonb)', 's', '{"sp": {}, "bv": "00000000", "hv": [0,0]}'::jsonb || extra::jsonb), code, NULL, extra)
  FROM (VALUES ('{"x": 1}', 'VC120'), ('{"title": "toolong"}', 'VC110'), ('{"title": 5}', 'VC110'), ('{"small": 128}', 'VC110'), ('{"n": 2147483648}', 'VC110'),
               ('{"tags": [1,2,3]}', 'VC110'), ('{"tags": [1, null]}', 'VC110'), ('{"tags": ["a"]}', 'VC110'), ('{"bv": "0101"}', 'VC110'),
               ('{"bv": "0101010x"}', 'VC110'), ('{"hv": [1]}', 'VC110'), ('{"hv": [1, 70000]}', 'VC110'), ('{"sp": {"-1": 1}}', 'VC110'),
               ('{"sp": {"a": 1}}', 'VC110'), ('{"sp": [1]}', 'VC110')) t(extra, code);
SELECT throws_ok($$SELECT vectorcoll.delete_payload('s', '{nope}', '{1}')$$, 'VC120', NULL, 'unknown key of a payload');
SELECT is(vectorcoll.clear_payload('s', '{1}'), 1::bigint, 'clear_payload on declared fields');
SELECT results_eq($$SELECT title, n, tags FROM s WHERE id = 1$$, $$VALUES (NULL::varchar, 7, NULL::int[])$$, 'nullable fields are null, others have their default');
SELECT * FROM finish();
