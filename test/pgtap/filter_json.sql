-- The JSON language against rows whose answers are known; and hostile filters in both languages.
SELECT plan(80);
SELECT vectorcoll.create_collection('q', '{"enable_dynamic_field": true, "fields": [
    {"name": "id", "dtype": "int64", "is_primary": true}, {"name": "name", "dtype": "varchar", "max_length": 50, "nullable": true},
    {"name": "age", "dtype": "int32", "nullable": true}, {"name": "tags", "dtype": "array", "element_type": "varchar", "max_length": 9, "max_capacity": 9, "nullable": true},
    {"name": "at", "dtype": "timestamptz", "nullable": true}, {"name": "flag", "dtype": "bool", "nullable": true},
    {"name": "nums", "dtype": "array", "element_type": "double", "max_capacity": 9, "nullable": true},
    {"name": "v", "dtype": "float_vector", "dim": 1}, {"name": "w", "dtype": "float_vector", "dim": 1, "nullable": true}]}'::jsonb);
INSERT INTO q (id, name, age, tags, at, flag, nums, v, w, "$meta") VALUES
 (1, 'quick brown fox', 10, '{a,b}', '2025-01-01Z', true, '{1,5}', '[1]', '[1]', '{"city": "Oslo", "n": 5, "list": [1, 20], "o": {"k": "v", "a.b": 1}, "items": [{"x": 1, "y": 1}, {"x": 2, "y": 2}]}'),
 (2, 'lazy dog', 20, '{b}', '2025-06-01Z', false, '{}', '[1]', NULL, '{"city": "Rome", "n": "5", "list": [], "items": [{"x": 1, "y": 2}], "text": ["one two", "three"]}'),
 (3, NULL, NULL, '{}', NULL, NULL, NULL, '[1]', NULL, '{"city": null, "when": "2025-03-01T00:00:00Z"}'),
 (4, 'x', 40, NULL, NULL, true, '{9}', '[1]', NULL, '{"city": ["Oslo", "Rome"], "n": 5.0}');
CREATE FUNCTION ids(filter text) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(id, ','), '-') FROM vectorcoll.query('q', filter)
$$;
SELECT is(ids(f), expected, f) FROM (VALUES
    ('{}', '1,2,3,4'),
    ('{"key": "city", "match": {"value": "Oslo"}}', '1,4'), ('{"key": "city", "match": {"any": ["Rome", "Bonn"]}}', '2,4'),
    ('{"key": "city", "match": {"except": ["Oslo"]}}', '2,3,4'), ('{"key": "n", "match": {"value": 5}}', '1,4'), ('{"key": "n", "match": {"value": "5"}}', '2'),
    ('{"must_not": [{"key": "city", "match": {"value": "Oslo"}}]}', '2,3'), ('{"must_not": [{"key": "nope", "match": {"value": 1}}]}', '1,2,3,4'),
    ('{"must_not": [{"key": "age", "match": {"value": 10}}]}', '2,3,4'),
    ('{"must": [{"key": "age", "range": {"gte": 10, "lt": 40}}]}', '1,2'), ('{"key": "list", "range": {"gt": 5, "lt": 15}}', '-'), ('{"key": "list", "range": {"gt": 15}}', '1'),
    ('{"key": "nums", "range": {"gt": 1, "lt": 9}}', '1'), ('{"key": "nums", "match": {"value": 9}}', '4'), ('{"key": "nums", "match": {"except": [1, 5]}}', '4'),
    ('{"key": "tags", "match": {"value": "a"}}', '1'), ('{"key": "tags", "match": {"any": ["a", "b"]}}', '1,2'), ('{"key": "tags", "match": {"except": ["b"]}}', '1'),
    ('{"key": "tags", "match": {"any": []}}', '-'), ('{"key": "city", "match": {"any": []}}', '-'),
    ('{"key": "name", "match": {"text": "fox quick"}}', '1'), ('{"key": "name", "match": {"text_any": "dog fox"}}', '1,2'), ('{"key": "name", "match": {"phrase": "brown fox"}}', '1'),
    ('{"key": "name", "match": {"phrase": "quick fox"}}', '-'), ('{"key": "text", "match": {"text": "two one"}}', '2'), ('{"key": "text", "match": {"text": "one three"}}', '-'),
    ('{"key": "at", "range": {"gte": "2025-05-01T00:00:00Z"}}', '2'), ('{"key": "when", "range": {"gt": "2025-01-01", "lt": "2026"}}', '3'),
    ('{"key": "flag", "match": {"value": true}}', '1,4'), ('{"key": "o.k", "match": {"value": "v"}}', '1'), ('{"key": "o.\"a.b\"", "match": {"value": 1}}', '1'),
    ('{"key": "list[1]", "match": {"value": 20}}', '1'), ('{"key": "items[].x", "match": {"value": 2}}', '1'), ('{"key": "items.x", "match": {"value": 1}}', '1,2'),
    ('{"nested": {"key": "items", "filter": {"must": [{"key": "x", "match": {"value": 1}}, {"key": "y", "match": {"value": 2}}]}}}', '2'),
    ('{"must": [{"key": "items[].x", "match": {"value": 1}}, {"key": "items[].y", "match": {"value": 2}}]}', '1,2'),
    ('{"is_null": {"key": "city"}}', '3'), ('{"is_null": {"key": "age"}}', '3'), ('{"is_empty": {"key": "list"}}', '2,3,4'), ('{"is_empty": {"key": "tags"}}', '3,4'),
    ('{"key": "list", "is_empty": false}', '1'), ('{"key": "list", "values_count": {"gte": 2}}', '1'), ('{"key": "city", "values_count": {"lt": 1}}', '3'),
    ('{"key": "tags", "values_count": {"gt": 1}}', '1'), ('{"has_id": [1, 3, 99]}', '1,3'), ('{"has_id": []}', '-'), ('{"has_vector": "w"}', '1'),
    ('{"should": [{"has_id": [1]}, {"key": "age", "match": {"value": 20}}]}', '1,2'), ('{"should": [], "must": [{"has_id": [2]}]}', '2'),
    ('{"min_should": {"min_count": 2, "conditions": [{"has_id": [1, 2]}, {"has_id": [2, 3]}, {"key": "flag", "match": {"value": true}}]}}', '1,2'),
    ('{"must": [{"should": [{"has_id": [1, 2]}]}, {"must_not": {"has_id": [1]}}]}', '2'), ('{"filter": {"must": {"has_id": [4]}}}', '4'),
    ('{"key": "name", "match": {"value": "x\u0027; drop table q; --"}}', '-')) t(f, expected);
SELECT is(ids(format('{"key": "n", "match": {"any": [%s]}}', (SELECT string_agg(i::text, ',') FROM generate_series(1, 10000) i))), '1,4', 'match any of 10,000');
SELECT is(ids(format('id in [%s]', (SELECT string_agg(i::text, ',') FROM generate_series(2, 10001) i))), '2,3,4', 'in of 10,000');
SELECT is(ids(format('n in [%s]', (SELECT string_agg('"' || i || '"', ',') FROM generate_series(1, 10000) i))), '2', 'in of 10,000 on the dynamic field');

SELECT throws_ok(format('SELECT ids(%L)', f), code, NULL, f) FROM (VALUES
    ('{"must": [{"key": "age", "match": {"value": "x"}}]}', 'VC110'), ('{"key": "v", "match": {"value": 1}}', 'VC110'), ('{"has_vector": "nope"}', 'VC120'),
    ('{"key": "age", "match": {"text": "x"}}', 'VC110'), ('{"nested": {"key": "tags", "filter": {}}}', 'VC110'), ('{"key": "at", "range": {"gt": "soon"}}', 'VC110'),
    ('{"bad": 1}', 'VC110'), ('{"must": ', 'VC110'),
    ('age == "x"', 'VC110'), ('name > 5', 'VC110'), ('name + 1 == 2', 'VC110'), ('flag > true', 'VC110'), ('age / 0 == 1', 'VC110'), ('age like "x"', 'VC110'),
    ('name like "x\\"', 'VC110'), ('age', 'VC110'), ('5', 'VC110'), ('age in ["x"]', 'VC110'), ('array_contains(age, 1)', 'VC110'), ('random_sample(2)', 'VC110'),
    ('at > "soon"', 'VC110'), ('age > 1e999', 'VC110'), ('1; DROP TABLE q', 'VC110'), ('age == 1)', 'VC110')) t(f, code);
SELECT * FROM finish();
