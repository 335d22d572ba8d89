-- The expression language against rows whose answers are known: each filter and the ids it must return.
SELECT plan(93);

SELECT lives_ok($q$SELECT vectorcoll.create_collection('f', '{"enable_dynamic_field": true, "fields": [
    {"name": "id", "dtype": "int64", "is_primary": true},
    {"name": "name", "dtype": "varchar", "max_length": 100, "nullable": true},
    {"name": "age", "dtype": "int32", "nullable": true},
    {"name": "small", "dtype": "int8", "nullable": true},
    {"name": "price", "dtype": "float", "nullable": true},
    {"name": "exact", "dtype": "double", "nullable": true},
    {"name": "flag", "dtype": "bool", "nullable": true},
    {"name": "tags", "dtype": "array", "element_type": "varchar", "max_length": 20, "max_capacity": 10, "nullable": true},
    {"name": "nums", "dtype": "array", "element_type": "int32", "max_capacity": 10, "nullable": true},
    {"name": "doc", "dtype": "json", "nullable": true},
    {"name": "at", "dtype": "timestamptz", "nullable": true},
    {"name": "u", "dtype": "uuid", "nullable": true},
    {"name": "v", "dtype": "float_vector", "dim": 2}]}'::jsonb)$q$, 'collection of every scalar type');

INSERT INTO f (id, name, age, small, price, exact, flag, tags, nums, doc, at, u, "$meta", v) VALUES
 (1, 'abc', 10, 1, 0.1, 0.1, true, '{red,green}', '{1,2,3}', '{"a": 1, "s": "x", "l": [1, 2], "o": {"k": "v"}}', '2025-01-01Z',
  '00000000-0000-0000-0000-000000000001', '{"color": "red", "n": 5, "deep": {"x": [10, 20]}}', '[1,0]'),
 (2, 'ab%d', 20, -1, 0.5, 2.5, false, '{blue}', '{3}', '{"a": "1", "s": "y", "l": []}', '2025-06-01Z', NULL, '{"color": "blue", "n": 7.5}', '[2,0]'),
 (3, 'Ünïcödé 日本', 30, 5, -1, -2, NULL, '{}', '{}', '{"a": null, "l": [[1, 2]]}', '2026-01-01Z', NULL, '{"color": null, "n": "5"}', '[3,0]'),
 (4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{}', '[4,0]'),
 (5, 'it''s "quoted" \ back', 9, 100, 9.99, 1e10, true, '{red}', '{5,6}', '{"b": true}', '2024-12-31Z', NULL, '{"ok": true, "t": ["a", "b"]}', '[5,0]');

CREATE FUNCTION ids(filter text, params jsonb = NULL) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(id, ',' ORDER BY id), '-') FROM vectorcoll.search('f', '[0,0]', 100, filter, '{}', '{}', filter_params => params)
$$;

SELECT is(ids(f), expected, f) FROM (VALUES
    ('', '1,2,3,4,5'),
    ('true', '1,2,3,4,5'), ('false', '-'), ('not false', '1,2,3,4,5'),
    -- comparison and precedence
    ('age > 10', '2,3'), ('age >= 10', '1,2,3'), ('age == 10', '1'), ('age = 10', '1'), ('age != 10', '2,3,5'), ('10 < age', '2,3'),
    ('9 < age <= 20', '1,2'), ('30 > age >= 10', '1,2'),
    ('age == 10 or age == 20 and name == "nope"', '1'), ('(age == 10 or age == 20) and name == "nope"', '-'),
    ('not age == 10 and flag', '5'), ('not (age == 10) and not (age == 20)', '3,5'),
    ('!flag', '2'), ('flag == false', '2'), ('flag', '1,5'),
    ('age + 5 * 2 == 20', '1'), ('(age + 5) * 2 == 30', '1'), ('age % 3 == 1', '1'), ('age ** 2 == 100', '1'), ('-age < -20', '3'),
    ('age / 3 == 3', '1,5'), ('age - small > 20', '2,3'), ('age > 9.5', '1,2,3'), ('age == 10.0', '1'), ('small == 1000', '-'), ('small < 1000', '1,2,3,5'),
    ('price == 0.1', '1'), ('exact == 0.1', '1'), ('exact > 1e9', '5'), ('price + exact == 3', '2'),
    -- strings
    ('name == "abc"', '1'), ('name > ''abc''', '3,5'), ('name like "ab%"', '1,2'), ('name like "ab\%%"', '2'), ('name like "ab\\%%"', '2'),
    ('name like "a_c"', '1'), ('name not like "ab%"', '3,5'), ('name == "it''s \"quoted\" \\ back"', '5'), ('name like "%日本"', '3'),
    ('name in ["abc", ''x'']', '1'), ('name not in ["abc"]', '2,3,5'), ('name == ""', '-'),
    -- lists
    ('id in [1, 2, 99]', '1,2'), ('id not in [1, 2]', '3,4,5'), ('id in []', '-'), ('age in [10.0, 20.5]', '1'), ('small in [5, 100000]', '3'),
    -- null
    ('name is null', '4'), ('name is not null', '1,2,3,5'), ('color is null', '3,4,5'), ('color is not null', '1,2'), ('exists color', '1,2,3'),
    -- the dynamic field and json
    ('color == "red"', '1'), ('color != "red"', '2'), ('$meta["color"] == "red"', '1'), ('color in ["red", "blue", 5]', '1,2'),
    ('n > 5', '2'), ('n >= 5', '1,2'), ('n == 5', '1'), ('n == "5"', '3'), ('n + 1 == 6', '1'), ('color like "r%"', '1'),
    ('ok', '5'), ('ok == true', '5'), ('deep["x"][1] == 20', '1'), ('$meta["deep"]["x"][0] > 9', '1'), ('array_length(deep["x"]) == 2', '1'),
    ('doc["a"] == 1', '1'), ('doc["a"] == "1"', '2'), ('doc["o"]["k"] == "v"', '1'), ('doc["b"]', '5'), ('doc["s"] > "x"', '2'),
    ('json_contains(doc["l"], 1)', '1'), ('json_contains(doc["l"], [1, 2])', '3'), ('json_contains_all(doc["l"], [1, 2])', '1'),
    ('json_contains_any(doc["l"], [2, 9])', '1'), ('json_contains(t, "a")', '5'),
    -- arrays
    ('array_contains(tags, "red")', '1,5'), ('array_contains_all(nums, [1, 3])', '1'), ('array_contains_any(nums, [3, 5])', '1,2,5'),
    ('array_length(tags) == 0', '3'), ('nums[0] == 1', '1'), ('tags == ["blue"]', '2'), ('array_contains_any(nums, [])', '-'),
    -- time and uuid
    ('at > "2025-05-01T00:00:00Z"', '2,3'), ('at + INTERVAL ''1 day'' > ISO ''2026-01-01T12:00:00Z''', '3')
) t(f, expected);
SELECT is(ids('u == "00000000-0000-0000-0000-000000000001"'), '1', 'uuid');
SELECT is(ids('age > {low} and name in {names}', '{"low": 5, "names": ["abc", "x"]}'), '1', 'templates');
SELECT * FROM finish();
