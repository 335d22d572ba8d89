-- What every function does with a name that is missing, null, malformed or out of reach, and with fields, partitions and indexes that are not
-- there. One call a function, the name left open as %1$L; a function that is not listed fails the first test.
SELECT plan(24);
CREATE TABLE calls (call text PRIMARY KEY, unknown text DEFAULT 'VC100', nothing text DEFAULT 'VC111', malformed text DEFAULT 'VC110', refused text DEFAULT '42501');
INSERT INTO calls (call) VALUES
    ('describe_collection(%1$L)'), ('get_collection_stats(%1$L)'), ('collection_status(%1$L)'), ('describe_index(%1$L, ''vector'')'), ('get_index_state(%1$L, ''vector'')'),
    ('list_indexes(%1$L)'), ('list_partitions(%1$L)'), ('get_partition_stats(%1$L, ''_default'')'), ('has_partition(%1$L, ''_default'')'), ('get_load_progress(%1$L)'),
    ('rename_collection(%1$L, ''other'')'), ('truncate_collection(%1$L)'), ('drop_collection(%1$L)'), ('alter_collection_properties(%1$L, ''{}'')'),
    ('add_collection_field(%1$L, ''{"name": "f", "dtype": "int32", "nullable": true}'')'), ('drop_collection_field(%1$L, ''spare'')'),
    ('create_index(%1$L, ''vector'')'), ('drop_index(%1$L, ''vector'')'), ('create_payload_index(%1$L, ''$meta'')'), ('drop_payload_index(%1$L, ''spare'')'),
    ('load_collection(%1$L, wait => true)'), ('refresh_load(%1$L, wait => true)'), ('release_collection(%1$L)'), ('load_partitions(%1$L, ''{_default}'', wait => true)'), ('release_partitions(%1$L, ''{_default}'')'),
    ('create_partition(%1$L, ''p'')'), ('drop_partition(%1$L, ''p'')'), ('create_alias(%1$L, ''new_alias'')'), ('alter_alias(%1$L, ''live'')'),
    ('load_records(%1$L, ''source'')'), ('rebuild_collection(%1$L, ''source'')'), ('upsert_or_load(%1$L, ''{"id": 9, "vector": [1, 2]}'', ''source'')'), ('remove_records(%1$L, ''{1}'')'),
    ('acquire_lease(%1$L)'), ('renew_lease(%1$L, 1)'), ('release_lease(%1$L, 1)'),
    ('insert(%1$L, ''{"id": 9, "vector": [1, 2]}'')'), ('insert(%1$L, ''{9}'', ''{"[1,2]"}'', NULL)'), ('insert_returning(%1$L, ''{"id": 9, "vector": [1, 2]}'')'), ('upsert(%1$L, ''{"id": 9, "vector": [1, 2]}'')'),
    ('delete(%1$L, ''{1}'')'), ('set_payload(%1$L, ''{"k": 1}'', ''{1}'')'), ('overwrite_payload(%1$L, ''{"k": 1}'', ''{1}'')'), ('delete_payload(%1$L, ''{k}'', ''{1}'')'), ('clear_payload(%1$L, ''{1}'')'),
    ('get(%1$L, ''{1}'')'), ('query(%1$L)'), ('query(%1$L, ''{}''::jsonb)'), ('scroll(%1$L)'), ('count(%1$L)'), ('count(%1$L, ''{}''::jsonb)'), ('facet(%1$L, ''k'')'),
    ('search(%1$L, ''[1,0]'')'), ('search(%1$L, ''[1,0]'', 10, ''{}''::jsonb)'), ('search_sparse(%1$L, ''{1:1}/9'')'), ('search_binary(%1$L, B''10101010'')'), ('search_batch(%1$L, ''{"[1,0]"}'')'), ('range_search(%1$L, ''[1,0]'', 0.5)'),
    ('search_text(%1$L, ''a'', ''words'')'), ('explain_search(%1$L, ''[1,0]'')'), ('hybrid_search(%1$L, ''[{"anns_field": "vector", "data": [1, 0]}]'')'), ('search_groups(%1$L, ''[1,0]'', ''k'')'), ('search_iterator(%1$L, ''[1,0]'')'),
    ('recommend(%1$L, ''{1}'')');
-- Those that make something, ask whether something is there, or are about aliases and namespaces.
INSERT INTO calls VALUES ('create_collection(%1$L, 2)', '00000', 'VC111', 'VC110', '42501'), ('create_collection(%1$L, schema => definition())', '00000', 'VC111', 'VC110', '42501'),
    ('create_collection(%1$L, definition()::text)', '00000', 'VC111', 'VC110', '42501'), ('has_collection(%1$L)', '00000', 'VC111', 'VC110', '00000'), ('get_load_state(%1$L)', '00000', 'VC111', 'VC110', '00000'),
    ('list_collections(%1$L)', '00000', '00000', '00000', '00000'), ('list_aliases(%1$L)', 'VC100', '00000', 'VC110', '00000'),
    ('describe_alias(%1$L)', 'VC704', 'VC111', 'VC110', 'VC704'), ('drop_alias(%1$L)', 'VC704', 'VC111', 'VC110', 'VC704'),
    ('create_namespace(%1$L)', '00000', 'VC111', 'VC110', '42501'), ('delete_namespace(%1$L, confirm => true)', '3F000', 'VC111', 'VC110', '3F000');

SELECT is_empty($$SELECT DISTINCT p.proname FROM pg_proc p WHERE p.pronamespace = 'vectorcoll'::regnamespace AND p.proname !~ '^_' AND p.proargnames[1] IN ('name', 'collection', 'alias', 'namespace') AND p.pronargs > 0
    AND p.proname NOT IN (SELECT substring(call FROM '^\w+') FROM calls)$$, 'every function that takes a name is listed');

CREATE FUNCTION definition() RETURNS jsonb LANGUAGE sql AS $$ SELECT '{"fields": [{"name": "id", "dtype": "int64", "is_primary": true}, {"name": "vector", "dtype": "float_vector", "dim": 2}]}'::jsonb $$;
CREATE FUNCTION source() RETURNS SETOF jsonb LANGUAGE sql AS $$ SELECT '{"id": 7, "vector": [7, 7]}'::jsonb $$;
SELECT vectorcoll.create_collection('docs', '{"enable_dynamic_field": true, "fields": [{"name": "id", "dtype": "int64", "is_primary": true}, {"name": "words", "dtype": "text", "nullable": true},
    {"name": "spare", "dtype": "int32", "nullable": true}, {"name": "vector", "dtype": "float_vector", "dim": 2}, {"name": "terms", "dtype": "sparse_float_vector", "nullable": true}, {"name": "bits", "dtype": "binary_vector", "dim": 8, "nullable": true}]}'::jsonb) IS NOT NULL AS created;
SELECT vectorcoll.insert('docs', '[{"id": 1, "vector": [1, 0], "k": 1}, {"id": 2, "vector": [0, 1], "k": 2}]'), vectorcoll.create_alias('docs', 'live');
SELECT vectorcoll.create_collection('required', '{"fields": [{"name": "id", "dtype": "int64", "is_primary": true}, {"name": "n", "dtype": "int32"}, {"name": "vector", "dtype": "float_vector", "dim": 2}]}'::jsonb) IS NOT NULL AS created;
SELECT vectorcoll.create_namespace('hidden'), vectorcoll.create_collection('hidden.docs', 2) IS NOT NULL AS created;

-- The SQLSTATE a call ends with; it is always taken back. An error of class VC has a DETAIL and a HINT, or it is told as bare.
CREATE FUNCTION state_of(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    message text; detail text; hint text;
BEGIN
    EXECUTE 'SELECT * FROM vectorcoll.' || call;
    RAISE EXCEPTION USING ERRCODE = 'TF000';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN CASE WHEN SQLSTATE = 'TF000' THEN '00000' WHEN SQLSTATE LIKE 'VC%' AND (detail = '' OR hint = '') THEN SQLSTATE || ' bare: ' || message ELSE SQLSTATE END;
END $$;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO PUBLIC;
CREATE VIEW everything AS SELECT (SELECT jsonb_agg(to_jsonb(d) ORDER BY id) FROM docs d) AS rows, (SELECT jsonb_agg(to_jsonb(c) ORDER BY id) FROM vectorcoll.collections c) AS collections,
    (SELECT jsonb_agg(to_jsonb(a) ORDER BY a.relid) FROM vectorcoll.aliases a) AS aliases, (SELECT count(*) FROM pg_class WHERE relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname !~ '^pg_')) AS relations,
    (SELECT count(*) FROM pg_namespace WHERE nspname !~ '^pg_') AS namespaces;
CREATE TEMP TABLE before AS SELECT * FROM everything;

SELECT is_empty($$SELECT call, unknown, state_of(format(call, 'nope')) FROM calls WHERE state_of(format(call, 'nope')) <> unknown$$, 'a name that stands for nothing');
SELECT is_empty($$SELECT call, nothing, state_of(format(call, NULL)) FROM calls WHERE state_of(format(call, NULL)) <> nothing$$, 'a name that is null');
SELECT is_empty($$SELECT call, n, malformed, state_of(format(call, n)) FROM calls, unnest(ARRAY['', 'a.b.c', 'a b', '1a', 'ü', 'docs; DROP TABLE docs; --', '"docs"', '.docs', 'docs.', repeat('x', 64), E'a\nb', 'a''b']) n
    WHERE state_of(format(call, n)) <> malformed$$, 'a name that cannot be one');
SELECT results_eq('SELECT * FROM everything', 'SELECT * FROM before', 'nothing changed');

-- Catalogue facts the server shows anyone are no secret here; what the registry holds is, so that a table not to be used is as good as none.
UPDATE calls SET refused = '00000' WHERE call ~ '^(collection_status|list_indexes|list_partitions|has_partition|get_load_progress)';
UPDATE calls SET refused = 'VC120' WHERE call ~ '^(describe_index|get_index_state|drop_collection_field)';
UPDATE calls SET refused = 'VC100' WHERE call ~ '^(create_alias|alter_alias)';
UPDATE calls SET refused = 'VC101' WHERE call ~ '^refresh_load';
UPDATE calls SET refused = 'VC706' WHERE call ~ '^create_collection';
-- Whoever may not use the schema does not learn what is in it; whoever may use it, but not the table, is told so.
CREATE ROLE fe_stranger;
GRANT SELECT ON calls TO fe_stranger;
SET ROLE fe_stranger;
SELECT is_empty($$SELECT call, unknown, state_of(format(call, 'hidden.docs')) FROM calls WHERE call !~ '^(create_collection|create_namespace|delete_namespace|list_collections)' AND state_of(format(call, 'hidden.docs')) <> unknown$$, 'no USAGE on the schema');
SELECT is_empty($$SELECT call, refused, state_of(format(call, 'docs')) FROM calls WHERE call !~ '^(create_namespace|delete_namespace|(describe|drop)_alias)' AND state_of(format(call, 'docs')) <> refused$$, 'no right on the table');
RESET ROLE;
SELECT results_eq('SELECT * FROM everything', 'SELECT * FROM before', 'nothing changed');

-- Parts that are not there.
SELECT is_empty($$SELECT call, code, state_of(call) FROM (VALUES
    ('describe_index(''docs'', ''nope'')', 'VC120'), ('describe_index(''docs'', ''vector'')', 'VC700'), ('get_index_state(''docs'', ''nope'')', 'VC120'), ('drop_index(''docs'', ''nope'')', 'VC120'), ('drop_index(''docs'', ''vector'')', 'VC700'),
    ('create_index(''docs'', ''nope'')', 'VC120'), ('create_index(''docs'', ''spare'')', 'VC110'), ('create_payload_index(''docs'', ''nope'')', 'VC120'), ('create_payload_index(''docs'', ''vector'')', 'VC110'), ('drop_payload_index(''docs'', ''nope'')', 'VC120'), ('drop_payload_index(''docs'', ''spare'')', 'VC700'),
    ('drop_collection_field(''docs'', ''nope'')', 'VC120'), ('drop_collection_field(''docs'', ''id'')', 'VC110'), ('add_collection_field(''docs'', ''{"name": "x"}'')', 'VC105'), ('add_collection_field(''docs'', ''{"name": "x", "dtype": "int32"}'')', 'VC110'),
    ('get_load_state(''docs'', ''nope'')', 'VC200'), ('get_load_progress(''docs'', ''nope'')', 'VC200'), ('load_partitions(''docs'', ''{nope}'')', 'VC200'), ('release_partitions(''docs'', ''{nope}'')', 'VC200'), ('drop_partition(''docs'', ''nope'')', 'VC200'), ('get_partition_stats(''docs'', ''nope'')', 'VC200'),
    ('insert(''docs'', ''{"id": 9, "vector": [1, 2]}'', ''nope'')', 'VC200'), ('insert(''docs'', ''{9}'', ''{"[1,2]"}'', NULL, ''nope'')', 'VC200'), ('insert_returning(''docs'', ''{"id": 9, "vector": [1, 2]}'', ''nope'')', 'VC200'), ('upsert(''docs'', ''{"id": 9, "vector": [1, 2]}'', partition_name => ''nope'')', 'VC200'),
    ('delete(''docs'', ''{1}'', partition_name => ''nope'')', 'VC200'), ('set_payload(''docs'', ''{}'', ''{1}'', partition_name => ''nope'')', 'VC200'), ('overwrite_payload(''docs'', ''{}'', ''{1}'', partition_name => ''nope'')', 'VC200'), ('delete_payload(''docs'', ''{k}'', ''{1}'', partition_name => ''nope'')', 'VC200'), ('clear_payload(''docs'', ''{1}'', partition_name => ''nope'')', 'VC200'),
    ('get(''docs'', ''{1}'', partition_names => ''{nope}'')', 'VC200'), ('query(''docs'', partition_names => ''{nope}'')', 'VC200'), ('scroll(''docs'', partition_names => ''{nope}'')', 'VC200'), ('count(''docs'', partition_names => ''{nope}'')', 'VC200'), ('facet(''docs'', ''k'', partition_names => ''{nope}'')', 'VC200'),
    ('search_sparse(''docs'', ''{1:1}/9'', partition_names => ''{nope}'')', 'VC200'), ('search_batch(''docs'', ''{"[1,0]"}'', partition_names => ''{nope}'')', 'VC200'), ('range_search(''docs'', ''[1,0]'', 0.5, partition_names => ''{nope}'')', 'VC200'), ('search_text(''docs'', ''a'', ''words'', partition_names => ''{nope}'')', 'VC200'),
    ('hybrid_search(''docs'', ''[{"anns_field": "vector", "data": [1, 0]}]'', partition_names => ''{nope}'')', 'VC200'), ('search_groups(''docs'', ''[1,0]'', ''k'', partition_names => ''{nope}'')', 'VC200'), ('search_iterator(''docs'', ''[1,0]'', partition_names => ''{nope}'')', 'VC200'), ('recommend(''docs'', ''{1}'', partition_names => ''{nope}'')', 'VC200'),
    ('search(''docs'', ''[1,NaN]'')', '22P02'), ('search(''docs'', ''[1,0]'', 10, ''nope =='')', 'VC110'), ('search(''docs'', ''[1,0]'', 10, output_fields => ''{}'', skip => 1000000)', 'VC110'), ('search(''docs'', ''[1,0]'', anns_field => ''words'')', 'VC110'),
    ('search_batch(''docs'', ''{"[1,0]"}'', 0)', 'VC110'), ('search_batch(''docs'', ''{"[1,0]"}'', 16385)', 'VC110'), ('search_groups(''docs'', ''[1,0]'', ''k'', -1)', 'VC110'), ('search_iterator(''docs'', ''[1,0]'', 0)', 'VC110'), ('search_iterator(''docs'', ''[1,0]'', 16385)', 'VC110'), ('hybrid_search(''docs'', ''[{"anns_field": "vector", "data": [1, 0]}]'', top_k => 0)', 'VC110'),
    ('recommend(''docs'', ''{1}'', top_k => 16385)', 'VC110'), ('range_search(''docs'', ''[1,0]'', ''NaN'')', 'VC110'), ('scroll(''docs'', 0)', 'VC110'), ('query(''docs'', top_k => -1)', 'VC110'), ('facet(''docs'', ''k'', 0)', 'VC110'), ('facet(''docs'', ''vector'')', 'VC110'),
    ('insert(''docs'', ''{9,10}'', ''{"[1,2]"}'', NULL)', 'VC110'), ('insert(''docs'', ''{9}'', ''{"[1,2,3]"}'', NULL)', 'VC110'), ('insert(''docs'', ''{9}'', ''{NULL}'', NULL)', 'VC110'), ('insert(''docs'', NULL, ''{"[1,2]"}'', NULL)', 'VC111'), ('insert(''docs'', ''{9}'', ''{"[1,2]"}'', ''{"[1]"}'')', 'VC110'),
    ('insert(''docs'', ''{1}'', ''{"[1,2]"}'', NULL)', '23505'), ('insert(''docs'', ''{"id": 9, "vector": [1, "NaN"]}'')', 'VC110'), ('insert(''docs'', ''{"id": 9}'')', 'VC111'), ('insert(''docs'', ''{"id": "x", "vector": [1, 2]}'')', 'VC110'), ('insert(''docs'', ''5'')', 'VC110'),
    ('insert(''required'', ''{1}'', ''{"[1,2]"}'', NULL)', 'VC111'), ('insert(''required'', ''{1}'', ''{"[1,2]"}'', ''{"{\"n\": 1}"}'')', '00000'), ('insert(''required'', ''{1}'', ''{"[1,2]"}'', ''{"{\"x\": 1}"}'')', 'VC120'),
    ('upsert(''docs'', ''{}'', ''nope'')', 'VC110'), ('delete(''docs'')', 'VC111'), ('delete(''docs'', ''{1}'', ''id > 0'')', 'VC110'), ('delete(''docs'', filter => '' '')', 'VC110'), ('set_payload(''docs'', ''{"id": 5}'', ''{1}'')', 'VC110'), ('set_payload(''docs'', ''5'', ''{1}'')', 'VC110'),
    ('get(''docs'', ''{x}'')', 'VC110'), ('get(''docs'', ''{NULL}'')', 'VC111'), ('recommend(''docs'', ''{x}'')', 'VC110'), ('remove_records(''docs'', ''{x}'')', 'VC110')) t(call, code) WHERE state_of(call) <> code$$, 'parts and values that are not what they should be');
SELECT results_eq('SELECT * FROM everything', 'SELECT * FROM before', 'nothing changed');

-- How many, in every function that can be asked for a number of rows.
SELECT is_empty($$SELECT format(call, n), code, state_of(format(call, n)) FROM unnest(ARRAY['search(''docs'', ''[1,0]'', %s)', 'search(''docs'', ''[1,0]'', %s, ''{}''::jsonb)', 'search_sparse(''docs'', ''{1:1}/9'', %s)', 'search_binary(''docs'', B''10101010'', %s)',
    'search_batch(''docs'', ''{"[1,0]"}'', %s)', 'range_search(''docs'', ''[1,0]'', 0.5, top_k => %s)', 'search_text(''docs'', ''a'', ''words'', %s)', 'explain_search(''docs'', ''[1,0]'', %s)', 'hybrid_search(''docs'', ''[{"anns_field": "vector", "data": [1, 0]}]'', top_k => %s)',
    'search_groups(''docs'', ''[1,0]'', ''k'', %s)', 'search_iterator(''docs'', ''[1,0]'', %s)', 'recommend(''docs'', ''{1}'', top_k => %s)', 'scroll(''docs'', %s)', 'facet(''docs'', ''k'', %s)']) call,
    (VALUES ('0', 'VC110'), ('-1', 'VC110'), ('16385', 'VC110'), ('2147483647', 'VC110'), ('NULL', 'VC111'), ('16384', '00000'), ('1', '00000')) v(n, code) WHERE state_of(format(call, n)) <> code$$, 'top_k of 0, below, above 16,384, null, and at its limits');
SELECT is_empty($$SELECT format(call, n), code, state_of(format(call, n)) FROM unnest(ARRAY['search(''docs'', ''[1,0]'', skip => %s)', 'search_sparse(''docs'', ''{1:1}/9'', skip => %s)', 'search_binary(''docs'', B''10101010'', skip => %s)', 'search_batch(''docs'', ''{"[1,0]"}'', skip => %s)',
    'range_search(''docs'', ''[1,0]'', 0.5, skip => %s)', 'search_text(''docs'', ''a'', ''words'', skip => %s)', 'hybrid_search(''docs'', ''[{"anns_field": "vector", "data": [1, 0]}]'', skip => %s)', 'search_groups(''docs'', ''[1,0]'', ''k'', skip => %s)',
    'search_iterator(''docs'', ''[1,0]'', skip => %s)', 'recommend(''docs'', ''{1}'', skip => %s)', 'query(''docs'', skip => %s)']) call,
    (VALUES ('-1', 'VC110'), ('-2147483648', 'VC110'), ('0', '00000'), ('5', '00000')) v(n, code) WHERE state_of(format(call, n)) <> code$$, 'skip below 0');

-- Vectors of the wrong size or kind, and numbers that are none, wherever one is taken.
SELECT is_empty($$SELECT call, state_of(call) FROM unnest(ARRAY['search(''docs'', ''[1]'')', 'search(''docs'', ''[1,0,0]'', 10, ''{}''::jsonb)', 'search_batch(''docs'', ''{"[1,0]","[1]"}'')', 'range_search(''docs'', ''[1]'', 0.5)', 'explain_search(''docs'', ''[1]'')',
    'search_groups(''docs'', ''[1]'', ''k'')', 'search_iterator(''docs'', ''[1]'')', 'recommend(''docs'', positive_vectors => ''{"[1]"}'')', 'recommend(''docs'', ''{1}'', negative_vectors => ''{"[1,2,3]"}'')', 'search_binary(''docs'', B''1010'')', 'search_binary(''docs'', B'''')',
    'hybrid_search(''docs'', ''[{"anns_field": "vector", "data": [1]}]'')', 'hybrid_search(''docs'', ''[{"anns_field": "vector", "data": "x"}]'')', 'hybrid_search(''docs'', ''[{"anns_field": "bits", "data": "1010"}]'')', 'hybrid_search(''docs'', ''[{"anns_field": "terms", "data": [1]}]'')',
    'hybrid_search(''docs'', ''[{"anns_field": "terms", "data": {"-1": 1}}]'')', 'hybrid_search(''docs'', ''[{"anns_field": "words", "data": 5}]'')', 'hybrid_search(''docs'', ''[{"anns_field": "vector", "data": [1, "NaN"]}]'')', 'hybrid_search(''docs'', ''[{"anns_field": "vector", "data": [1, 1e39]}]'')',
    'insert(''docs'', ''{"id": 9, "vector": [1]}'')', 'insert(''docs'', ''{"id": 9, "vector": [1, "NaN"]}'')', 'insert(''docs'', ''{"id": 9, "vector": [1, 1e39]}'')', 'insert(''docs'', ''{"id": 9, "vector": {"1": 2}}'')', 'insert(''docs'', ''{"id": 9, "vector": [1, 2], "bits": "10"}'')',
    'insert(''docs'', ''{"id": 9, "vector": [1, 2], "bits": [1, 2, 1, 1, 1, 1, 1, 1]}'')', 'insert(''docs'', ''{"id": 9, "vector": [1, 2], "terms": {"1": "NaN"}}'')', 'insert(''docs'', ''{"id": 9, "vector": [1, 2], "terms": {"1000000000": 1}}'')', 'insert_returning(''docs'', ''{"id": 9, "vector": [1]}'')',
    'upsert(''docs'', ''{"id": 9, "vector": [1]}'')', 'upsert(''docs'', ''{"id": 1, "vector": [1]}'', partial_update => true)', 'upsert_or_load(''docs'', ''{"id": 1, "vector": [1]}'', ''source'')', 'range_search(''docs'', ''[1,0]'', ''NaN'')', 'range_search(''docs'', ''[1,0]'', 0.5, ''NaN'')']) call
    WHERE state_of(call) <> 'VC110'$$, 'vectors of the wrong size, of another kind, and NaN');

-- JSON of the wrong type, and keys that are missing or unknown.
SELECT is_empty($$SELECT call, code, state_of(call) FROM (VALUES ('insert(''docs'', ''"x"'')', 'VC110'), ('insert(''docs'', ''null'')', 'VC110'), ('insert(''docs'', ''[1]'')', 'VC110'), ('insert(''docs'', ''[null]'')', 'VC110'), ('insert(''docs'', ''[[{}]]'')', 'VC110'), ('insert(''docs'', ''{}'')', 'VC111'),
    ('insert(''docs'', ''{"id": true, "vector": [1, 2]}'')', 'VC110'), ('insert(''docs'', ''{"id": null, "vector": [1, 2]}'')', 'VC110'), ('insert(''docs'', ''{"id": 9, "vector": [1, 2], "words": 5}'')', 'VC110'), ('insert(''docs'', ''{"id": 9, "vector": [1, 2], "spare": "5"}'')', 'VC110'),
    ('insert(''docs'', ''{"id": 9, "vector": [1, 2], "spare": 1.5}'')', 'VC110'), ('insert(''docs'', ''{"id": 9, "vector": [1, 2], "spare": [5]}'')', 'VC110'), ('insert(''required'', ''{"id": 1, "vector": [1, 2]}'')', 'VC111'), ('insert(''required'', ''{"id": 1, "vector": [1, 2], "n": null}'')', 'VC110'),
    ('insert(''required'', ''{"id": 1, "vector": [1, 2], "n": 1, "other": 2}'')', 'VC120'), ('upsert(''required'', ''{"id": 1, "vector": [1, 2], "n": 1, "other": 2}'')', 'VC120'), ('upsert(''docs'', ''{"id": 1}'')', 'VC111'), ('upsert(''docs'', ''{"vector": [1, 2]}'', partial_update => true)', 'VC111'),
    ('upsert(''docs'', ''{"id": 1, "vector": [1, 2]}'', NULL)', 'VC111'), ('upsert(''docs'', ''{"id": 1, "vector": [1, 2]}'', ''UPSERT'')', 'VC110'), ('set_payload(''docs'', ''[]'', ''{1}'')', 'VC110'), ('set_payload(''required'', ''{"other": 1}'', ''{1}'')', 'VC120'), ('set_payload(''docs'', NULL, ''{1}'')', 'VC111'),
    ('set_payload(''docs'', ''{"spare": "x"}'', ''{1}'')', 'VC110'), ('overwrite_payload(''required'', ''{}'', ''{1}'')', 'VC111'), ('delete_payload(''docs'', NULL, ''{1}'')', 'VC111'), ('delete_payload(''docs'', ''{vector}'', ''{1}'')', 'VC110'), ('clear_payload(''docs'')', 'VC111'), ('clear_payload(''docs'', ''{1}'', ''id > 0'')', 'VC110'),
    ('query(''docs'', ''[]''::jsonb)', 'VC110'), ('query(''docs'', ''5''::jsonb)', 'VC110'), ('query(''docs'', ''{"must": 5}''::jsonb)', 'VC110'), ('query(''docs'', ''{"must": [{"key": 5, "match": {"value": 1}}]}''::jsonb)', 'VC110'), ('query(''docs'', ''{"must": [{"key": "k"}]}''::jsonb)', 'VC110'),
    ('query(''docs'', ''{"must": [{"key": "k", "match": {}}]}''::jsonb)', 'VC110'), ('query(''docs'', top_k => 16385)', 'VC110'), ('query(''docs'', top_k => 0)', 'VC110'), ('query(''docs'', top_k => NULL)', '00000'), ('query(''docs'', ''{"has_id": "x"}''::jsonb)', 'VC110'), ('query(''docs'', ''{"min_should": {"conditions": []}}''::jsonb)', 'VC110'),
    ('query(''required'', ''other == 1'')', 'VC120'), ('query(''required'', output_fields => ''{other}'')', 'VC120'), ('facet(''required'', ''other'')', 'VC120'), ('search_groups(''required'', ''[1,0]'', ''other'')', 'VC120'), ('search(''required'', ''[1,0]'', filter => ''other == 1'')', 'VC120'),
    ('search(''docs'', ''[1,0]'', search_params => ''[]'')', 'VC110'), ('search(''docs'', ''[1,0]'', search_params => ''{"ef": []}'')', 'VC110'), ('search(''docs'', ''[1,0]'', search_params => ''{"nope": 1}'')', 'VC110'), ('search(''docs'', ''[1,0]'', search_params => ''{"work_mem": "1GB"}'')', 'VC110'),
    ('search(''docs'', ''[1,0]'', search_params => ''{"search_path": "x"}'')', 'VC110'), ('search(''docs'', ''[1,0]'', search_params => ''{"role": "postgres"}'')', 'VC110'), ('query(''docs'', ''k == {x}'', filter_params => ''[]'')', 'VC110'), ('query(''docs'', ''k == {x}'', filter_params => ''{"y": 1}'')', 'VC111'),
    ('hybrid_search(''docs'', ''5'')', 'VC110'), ('hybrid_search(''docs'', NULL)', 'VC111'), ('hybrid_search(''docs'', ''[{"data": [1, 0]}]'')', 'VC110'), ('hybrid_search(''docs'', ''[{"anns_field": 5, "data": [1, 0]}]'')', 'VC110'), ('hybrid_search(''docs'', ''[{"anns_field": "nope", "data": [1, 0]}]'')', 'VC120'),
    ('hybrid_search(''docs'', ''[{"anns_field": "vector", "data": [1, 0], "limit": 0}]'')', 'VC110'), ('hybrid_search(''docs'', ''[{"anns_field": "vector", "data": [1, 0], "limit": 16385}]'')', 'VC110'), ('hybrid_search(''docs'', ''[{"anns_field": "vector", "data": [1, 0], "filter": 5}]'')', 'VC110'),
    ('hybrid_search(''docs'', ''[{"anns_field": "vector", "data": [1, 0], "weight": "x"}]'')', 'VC110'), ('hybrid_search(''docs'', ''[{"anns_field": "vector", "data": [1, 0]}]'', ''rrf'', rerank_params => ''[]'')', 'VC110'), ('hybrid_search(''docs'', ''[{"anns_field": "vector", "data": [1, 0]}]'', ''rrf'', rerank_params => ''{"q": 1}'')', 'VC110'),
    ('create_collection(''fresh'', ''[]''::jsonb)', 'VC105'), ('create_collection(''fresh'', ''5''::jsonb)', 'VC105'), ('create_collection(''fresh'', definition(), index_params => ''5'')', 'VC110'), ('create_collection(''fresh'', definition(), index_params => ''[5]'')', 'VC110'), ('create_collection(''fresh'', definition(), index_params => ''{}'')', 'VC111'),
    ('create_collection(''fresh'', definition(), index_params => ''{"field_name": "vector", "params": 5}'')', 'VC110'), ('create_collection(''fresh'', definition(), index_params => ''{"field_name": "vector", "metric_type": "NOPE"}'')', 'VC110'), ('create_collection(''fresh'', definition(), properties => NULL)', 'VC111'),
    ('create_index(''docs'', ''vector'', params => ''[]'')', 'VC110'), ('create_index(''docs'', ''vector'', params => NULL)', 'VC111'), ('create_index(''docs'', ''vector'', ''HNSW'', params => ''{"nope": 1}'')', 'VC110'), ('create_index(''docs'', ''vector'', ''HNSW'', params => ''{"M": "x"}'')', 'VC110'), ('create_index(''docs'', ''vector'', NULL)', 'VC111'),
    ('create_index(''docs'', ''bits'', ''HNSW'', ''L2'')', 'VC110'), ('add_collection_field(''docs'', ''5'')', 'VC105'), ('add_collection_field(''docs'', ''{}'')', 'VC105'), ('add_collection_field(''docs'', ''{"name": "f", "dtype": "int32", "nullable": true, "x": 1}'')', 'VC105'), ('alter_collection_properties(''docs'', ''[]'')', 'VC110'),
    ('alter_collection_properties(''docs'', NULL)', 'VC111'), ('upsert_or_load(''docs'', ''5'', ''source'')', 'VC110'), ('upsert_or_load(''docs'', ''{"id": 1}'', ''source'')', 'VC111'), ('load_records(''docs'', ''source'', if_empty => NULL)', 'VC111'), ('load_records(''docs'', ''source'', batch_size => 100001)', 'VC110'),
    ('load_records(''docs'', ''definition'')', '00000'), ('acquire_lease(''docs'', ttl => ''0'')', 'VC110'), ('renew_lease(''docs'', NULL)', 'VC111'), ('release_lease(''docs'', NULL)', 'VC111'), ('renew_lease(''docs'', 1, ''-1 s'')', 'VC110'),
    ('update_aliases(NULL)', 'VC111'), ('update_aliases(''{}'')', 'VC110'), ('update_aliases(''[5]'')', 'VC110'), ('update_aliases(''[{}]'')', 'VC110'), ('update_aliases(''[{"create_alias": 5}]'')', 'VC110'), ('update_aliases(''[{"create_alias": {}}]'')', 'VC111'), ('update_aliases(''[{"create_alias": {"collection_name": "docs"}}]'')', 'VC111'),
    ('update_aliases(''[{"delete_alias": {"alias_name": "live", "x": 1}}]'')', 'VC110'), ('update_aliases(''[{"rename_alias": {"old_alias_name": "live"}}]'')', 'VC111'), ('update_aliases(''[{"rename_alias": {"old_alias_name": "live", "new_alias_name": "a b"}}]'')', 'VC110'), ('update_aliases(''[{"rename_alias": {"old_alias_name": "live", "new_alias_name": "docs"}}]'')', 'VC706'),
    ('update_aliases(''[{"alter_alias": {"collection_name": "docs", "alias_name": "nope"}}]'')', 'VC704'), ('update_aliases(''[{"create_alias": {"collection_name": "nope", "alias_name": "x"}}]'')', 'VC100'), ('update_aliases(''[{"create_alias": {"collection_name": "required", "alias_name": "live"}}]'')', 'VC705'),
    ('alter_alias(''docs'', NULL)', 'VC111'), ('create_partition(''docs'', repeat(''x'', 64))', 'VC110'), ('load_partitions(''docs'', ARRAY[NULL])', 'VC111'), ('get_partition_stats(''docs'', NULL)', 'VC111'), ('delete_namespace(''hidden'', confirm => NULL)', 'VC110'), ('create_collection(''fresh'', 0)', 'VC105'), ('create_collection(''fresh'', NULL::int)', 'VC111'),
    ('create_collection(''fresh'', 2, id_type => ''uuid'')', 'VC110'), ('create_collection(''fresh'', 2, vector_field_name => ''id'')', 'VC105'), ('create_collection(''fresh'', 2, primary_field_name => ''like'')', 'VC105'), ('create_collection(''fresh'', 2, namespace => ''nope'')', '3F000'), ('rename_collection(''docs'', ''required'')', 'VC706'),
    ('rename_collection(''docs'', NULL)', 'VC111'), ('load_collection(''docs'', wait => true, timeout => ''1 year'')', 'VC110'), ('describe_alias(''docs'')', 'VC704'), ('drop_alias(''docs'')', 'VC704')) t(call, code) WHERE state_of(call) <> code$$, 'JSON of the wrong type, keys that are missing or unknown');
SELECT results_eq('SELECT * FROM everything', 'SELECT * FROM before', 'nothing changed');

-- Names and filters with intentions: an error of class VC, or no row, and nothing else.
CREATE TABLE hostile (word text);
INSERT INTO hostile VALUES ('docs"; DROP TABLE docs; --'), (''''), ('";'), ('docs''--'), ('$$'), ('docs/*'), ('pg_catalog.pg_class'), ('docs)'), ('ﬁ'), (repeat('(', 5000)), (repeat('not ', 5000) || 'true'), ('id == 1; SELECT 1'), ('id == 1 -- x'), ('id == 1) or (true'), ('pg_sleep(5) == 1'),
    ('id == (SELECT 1)'), ('id::text == "1"'), ('"id" == 1'), ('id == 1 or 1 == 1 union select'), ('k == "x'' or true --"'), ('$1 == 1'), ('{id} == 1'), ('current_user == "x"'), ('docs.id == 1'), ('xmin == 1'), ('tableoid == 1'), ('ctid == 1');
SELECT is_empty($$SELECT left(word, 40), state_of(format(call, word)) FROM hostile, unnest(ARRAY['describe_collection(%L)', 'create_collection(%L, 2)', 'create_alias(''docs'', %L)', 'create_namespace(%L)', 'create_partition(''docs'', %L)', 'rename_collection(''docs'', %L)', 'search(%L, ''[1,0]'')', 'insert(%L, ''{}'')']) call
    WHERE state_of(format(call, word)) !~ '^VC1(00|10)$' AND NOT (word = 'pg_catalog.pg_class' AND state_of(format(call, word)) IN ('VC706', '42501', 'VC100'))$$, 'hostile names');
SELECT is_empty($$SELECT left(word, 40), left(format(call, word), 60), state_of(format(call, word)) FROM hostile, unnest(ARRAY['count(''required'', %L)', 'search(''required'', ''[1,0]'', 10, %L)', 'delete(''required'', filter => %L)', 'set_payload(''required'', ''{"n": 3}'', filter => %L)', 'facet(''required'', ''n'', filter => %L)', 'facet(''required'', %L)', 'search_groups(''required'', ''[1,0]'', %L)',
    'search(''required'', ''[1,0]'', anns_field => %L)', 'query(''required'', output_fields => ARRAY[%L])', 'get(''required'', ARRAY[%L])', 'scroll(''required'', after => %L)', 'hybrid_search(''required'', ''[{"anns_field": "vector", "data": [1, 0]}]'', filter => %L)', 'recommend(''required'', positive_vectors => ''{"[1,0]"}'', filter => %L)',
    'search_iterator(''required'', ''[1,0]'', filter => %L)', 'range_search(''required'', ''[1,0]'', 0.5, filter => %L)']) call WHERE state_of(format(call, word)) !~ '^(VC110|VC120|VC111|VC906)$'$$, 'hostile filters and fields');

-- What only some functions raise, beyond the parts that are not there.
SELECT throws_ok($$SELECT vectorcoll.create_index('docs', 'vector', index_name => 'live')$$, 'VC706', NULL, 'create_index under a name that is taken');
SELECT throws_ok($$SELECT vectorcoll.create_payload_index('docs', 'spare', index_name => 'live')$$, 'VC706', NULL, 'create_payload_index under a name that is taken');
SELECT throws_ok($$SELECT vectorcoll.recommend('docs', '{}', positive_vectors => array_fill('[1,0]'::vector, ARRAY[101]))$$, 'VC906', NULL, 'recommend with too many examples');
INSERT INTO docs (id, vector, words) SELECT i, '[1,2]', (SELECT string_agg(md5((i * j)::text), '') FROM generate_series(1, 100) j) FROM generate_series(100, 2100) i;
SELECT vectorcoll.load_collection('docs', wait => true);
SET vectorcoll.load_max_share = 0.01;
SELECT throws_ok($$SELECT vectorcoll.load_partitions('docs', '{_default}')$$, 'VC906', NULL, 'load_partitions beyond the share of memory');
SELECT throws_ok($$SELECT vectorcoll.refresh_load('docs')$$, 'VC906', NULL, 'refresh_load beyond the share of memory');
RESET vectorcoll.load_max_share;
SELECT vectorcoll.release_collection('docs') >= 0 AS released, vectorcoll.acquire_lease('hidden.docs') > 0 AS leased;
SELECT throws_ok($$SELECT vectorcoll.delete_namespace('hidden', confirm => true)$$, 'VC902', NULL, 'delete_namespace under a lease');
-- A thousand empty partitions by hand, so that the function is asked for one too many.
SELECT vectorcoll.create_partition('required', 'first');
DO $$ BEGIN FOR i IN 1 .. 1022 LOOP EXECUTE format('CREATE TABLE required_x%s PARTITION OF required FOR VALUES IN (%L)', i, 'x' || i); END LOOP; END $$;
SELECT throws_ok($$SELECT vectorcoll.create_partition('required', 'last')$$, 'VC906', NULL, 'create_partition beyond 1,024');
DROP OWNED BY fe_stranger;
DROP ROLE fe_stranger;
SELECT * FROM finish();
