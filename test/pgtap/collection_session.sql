-- What a call leaves behind in its session: no setting changed, no timer armed, and no memory for collections that are gone.
SELECT plan(10);
SET client_min_messages = error;
SELECT vectorcoll.create_collection('docs', '{"enable_dynamic_field": true, "fields": [{"name": "id", "dtype": "int64", "is_primary": true}, {"name": "words", "dtype": "text", "nullable": true},
    {"name": "spare", "dtype": "int32", "nullable": true}, {"name": "vector", "dtype": "float_vector", "dim": 2}, {"name": "terms", "dtype": "sparse_float_vector", "nullable": true},
    {"name": "bits", "dtype": "binary_vector", "dim": 8, "nullable": true}]}'::jsonb), vectorcoll.create_collection('parts', 2), vectorcoll.create_collection('other', 2), vectorcoll.create_collection('empty', 2) \gset
SELECT vectorcoll.insert('docs', '[{"id": 1, "vector": [1, 0], "k": 1, "words": "a b", "terms": {"1": 1}, "bits": "10101010"}, {"id": 2, "vector": [0, 1], "k": 2}]'), vectorcoll.create_index('docs', 'vector', 'HNSW', 'L2'),
    vectorcoll.create_payload_index('docs', 'spare'), vectorcoll.create_alias('docs', 'live'), vectorcoll.create_partition('parts', 'p'), vectorcoll.create_partition('parts', 'q'), vectorcoll.create_namespace('spare_space'),
    vectorcoll.create_index('parts', 'vector', 'IVF', 'L2'), vectorcoll.load_collection('other', wait => true), vectorcoll.load_partitions('parts', '{p}', wait => true) \gset
CREATE TABLE plain (id int PRIMARY KEY, v vector(2));
CREATE FUNCTION source() RETURNS SETOF jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('id', i, 'vector', '[1,2]') FROM generate_series(1, 5) i $$;
CREATE FUNCTION definition() RETURNS jsonb LANGUAGE sql AS $$ SELECT '{"fields": [{"name": "id", "dtype": "int64", "is_primary": true}, {"name": "vector", "dtype": "float_vector", "dim": 2}]}'::jsonb $$;

-- One call a function that works, and one that fails where settings could be left behind.
CREATE TABLE calls (call text, state text DEFAULT '00000');
INSERT INTO calls (call) VALUES
    ('validate_schema(definition())'), ('schema_hash(definition())'), ('schema_diff(definition(), definition())'), ('create_collection(''fresh'', 3, timeout => ''1 min'')'), ('create_collection(''fresh'', definition())'),
    ('create_collection(''fresh'', definition()::text)'), ('describe_collection(''docs'')'), ('has_collection(''docs'')'), ('list_collections()'), ('rename_collection(''docs'', ''papers'')'), ('truncate_collection(''docs'')'),
    ('alter_collection_properties(''docs'', ''{"a": 1}'')'), ('add_collection_field(''docs'', ''{"name": "g", "dtype": "int32", "nullable": true}'')'), ('drop_collection_field(''docs'', ''spare'')'), ('adopt_table(''plain'')'),
    ('get_collection_stats(''docs'')'), ('collection_status(''docs'')'), ('drop_collection(''docs'', safe => false)'), ('create_index(''other'', ''vector'', ''HNSW'', ''L2'')'), ('create_index(''other'', ''vector'', ''IVF'', ''L2'')'),
    ('describe_index(''docs'', ''vector'')'), ('list_indexes(''docs'')'), ('get_index_state(''docs'', ''vector'')'), ('drop_index(''docs'', ''vector'')'), ('create_payload_index(''docs'', ''$meta'')'), ('drop_payload_index(''docs'', ''spare'')'),
    ('load_collection(''docs'', wait => true)'), ('load_collection(''docs'', wait => false)'), ('refresh_load(''other'', wait => true)'), ('release_collection(''other'')'), ('get_load_state(''docs'')'), ('get_load_progress(''docs'')'),
    ('load_partitions(''parts'', ''{q}'', wait => true)'), ('release_partitions(''parts'', ''{p}'')'), ('create_partition(''parts'', ''r'')'), ('drop_partition(''parts'', ''q'')'), ('has_partition(''parts'', ''p'')'), ('list_partitions(''parts'')'),
    ('get_partition_stats(''parts'', ''p'')'), ('create_namespace(''fresh_space'')'), ('list_namespaces()'), ('delete_namespace(''spare_space'', confirm => true)'), ('create_alias(''docs'', ''second'')'), ('alter_alias(''other'', ''live'')'),
    ('drop_alias(''live'')'), ('describe_alias(''live'')'), ('list_aliases()'), ('update_aliases(''[{"delete_alias": {"alias_name": "live"}}]'')'), ('load_records(''docs'', ''source'')'), ('rebuild_collection(''docs'', ''source'')'),
    ('upsert_or_load(''empty'', ''{"id": 1, "vector": [2, 2]}'', ''source'')'), ('remove_records(''docs'', ''{1}'')'), ('acquire_lease(''docs'')'), ('insert(''docs'', ''{"id": 9, "vector": [1, 2]}'')'),
    ('insert(''docs'', ''{9}'', ''{"[1,2]"}'', NULL)'), ('insert_returning(''docs'', ''{"id": 9, "vector": [1, 2]}'')'), ('upsert(''docs'', ''{"id": 9, "vector": [1, 2]}'')'), ('delete(''docs'', ''{1}'')'), ('set_payload(''docs'', ''{"k": 1}'', ''{1}'')'),
    ('overwrite_payload(''docs'', ''{"k": 1}'', ''{1}'')'), ('delete_payload(''docs'', ''{k}'', ''{1}'')'), ('clear_payload(''docs'', ''{1}'')'), ('get(''docs'', ''{1}'')'), ('query(''docs'')'), ('query(''docs'', ''{}''::jsonb)'), ('scroll(''docs'')'),
    ('count(''docs'')'), ('facet(''docs'', ''k'')'), ('search(''docs'', ''[1,0]'', anns_field => ''vector'', search_params => ''{"ef": 77, "nprobe": 9, "hints": "iterative_filter", "vc_hnsw.target_recall": 0.9}'')'),
    ('search(''docs'', ''[1,0]'', 10, ''{}''::jsonb, search_params => ''{"exact": true}'')'), ('search_sparse(''docs'', ''{1:1}/9'', search_params => ''{"ef": 77}'')'), ('search_binary(''docs'', B''10101010'', search_params => ''{"ef": 77}'')'),
    ('search_batch(''docs'', ''{"[1,0]"}'', search_params => ''{"ef": 77}'')'), ('range_search(''docs'', ''[1,0]'', 0.5, search_params => ''{"ef": 77}'')'), ('search_text(''docs'', ''a'', ''words'')'),
    ('explain_search(''docs'', ''[1,0]'', search_params => ''{"ef": 77}'', execute => true)'), ('hybrid_search(''docs'', ''[{"anns_field": "vector", "data": [1, 0], "search_params": {"ef": 77}}]'')'),
    ('search_groups(''docs'', ''[1,0]'', ''k'', search_params => ''{"ef": 77}'')'), ('search_iterator(''docs'', ''[1,0]'', search_params => ''{"ef": 77}'')'), ('recommend(''docs'', ''{1}'', search_params => ''{"ef": 77}'')'),
    ('hnsw_check(''docs_vector_idx'')'), ('hnsw_stats(''docs_vector_idx'')'), ('hnsw_calibrate(''docs_vector_idx'')'), ('ivf_check(''parts_p_vector_idx'')'), ('ivf_stats(''parts_p_vector_idx'')'), ('index_recall(''docs_vector_idx'')'),
    ('knn_batch(''docs'', ARRAY[''[1,0]'']::vector[], 1, ''vector'')'), ('scan_stats()'), ('simd_level()');
INSERT INTO calls VALUES ('renew_lease(''docs'', 1)', 'VC902'), ('release_lease(''docs'', 1)', 'VC902'), ('search(''docs'', ''[1,0]'', search_params => ''{"ef": 77, "nprobe": -1}'')', 'VC110'),
    ('search(''docs'', ''[1,0]'', filter => ''id / (id - 2) > 1'', search_params => ''{"ef": 77}'')', '22012'), ('search_iterator(''docs'', ''[1,0]'', filter => ''id / (id - 1) > 1'', search_params => ''{"ef": 77}'')', '22012'),
    ('load_records(''docs'', ''source'', token => 5)', 'VC902'), ('create_index(''other'', ''vector'', ''HNSW'', ''L2'', ''{"m": 100000}'')', 'VC110');
SELECT is_empty($$SELECT proname FROM pg_proc WHERE pronamespace = 'vectorcoll'::regnamespace AND proname !~ '^(_|ids_|metric_|\w+_handler)' AND proname NOT IN (SELECT substring(call FROM '^\w+') FROM calls)$$, 'every function is listed');

-- Runs a call, twice if it works: in a transaction that goes on, and taken back. Returns how it ended and which settings are others afterwards.
CREATE FUNCTION leaves(call text, OUT state text, OUT changed text) LANGUAGE plpgsql AS $$
DECLARE
    before jsonb := (SELECT jsonb_object_agg(name, setting) FROM pg_settings);
BEGIN
    BEGIN
        EXECUTE 'SELECT count(*) FROM ' || call;
        state := '00000';
        SELECT string_agg(s.name, ', ') INTO changed FROM pg_settings s WHERE before->>s.name IS DISTINCT FROM s.setting;
        RAISE EXCEPTION USING ERRCODE = 'TF000';
    EXCEPTION WHEN SQLSTATE 'TF000' THEN NULL;
    WHEN OTHERS THEN state := SQLSTATE;
    END;
    changed := concat_ws(', ', changed, (SELECT string_agg(s.name, ', ') FROM pg_settings s WHERE before->>s.name IS DISTINCT FROM s.setting));
END $$;
SELECT is((leaves($$set_config('vc_hnsw.ef_search', '77', true)$$)).changed, 'vc_hnsw.ef_search', 'what changes a setting is found out');
BEGIN;
CREATE TEMP TABLE outcome AS SELECT c.call, c.state AS expected, l.* FROM calls c, leaves('vectorcoll.' || c.call) l;
SELECT is_empty('SELECT call, expected, state FROM outcome WHERE state <> expected', 'the calls end as they should');
SELECT is_empty($$SELECT call, changed FROM outcome WHERE changed <> ''$$, 'no call changes a setting for what comes after it in its transaction');
ROLLBACK;
SELECT is((SELECT count(*) FROM pg_settings WHERE source = 'session' AND name NOT IN ('client_min_messages', 'application_name') AND name !~ '^(client_encoding|lc_|DateStyle|TimeZone|extra_float_digits)'), 0::bigint, 'nor in its session');

-- A timeout ends with its call, whether that worked or failed, and cancels nothing that comes after it.
SELECT lives_ok($$DO $body$ BEGIN
    PERFORM vectorcoll.create_namespace('in_time', timeout => '1 s');
    BEGIN PERFORM vectorcoll.drop_collection('nope', timeout => '1 s'); EXCEPTION WHEN SQLSTATE 'VC100' THEN NULL; END;
    PERFORM vectorcoll.search('docs', '[1,0]', anns_field => 'vector');
    PERFORM pg_sleep(1.2);
END $body$ $$, 'timeouts end with their calls');
CREATE FUNCTION canceled() RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
    PERFORM vectorcoll.create_namespace('in_time', timeout => '10 s');
    PERFORM pg_sleep(5);
    RETURN false;
EXCEPTION WHEN query_canceled THEN
    RETURN true;
END $$;
SET statement_timeout = '300 ms';
SELECT ok(canceled(), 'and leave statement_timeout armed');
RESET statement_timeout;

-- A session that makes, uses and drops collections does not grow: what it remembers of them, models and plans, goes with them. The server itself
-- keeps some 1.5 kB of negative catalogue entries for each relation that was, and there are three here, with the index and the view.
CREATE PROCEDURE cycle(n int) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. n LOOP
        PERFORM vectorcoll.create_collection('c' || i, 4), vectorcoll.create_alias('c' || i, 'a' || i);
        PERFORM vectorcoll.insert('c' || i, '[{"id": 1, "vector": [1,2,3,4]}, {"id": 2, "vector": [1,2,3,5]}]'), vectorcoll.upsert('c' || i, '{"id": 1, "vector": [1,2,3,4]}');
        PERFORM vectorcoll.search('a' || i, '[1,2,3,4]'), vectorcoll.search('a' || i, '[1,2,3,4]', filter => 'id > 0 and k == 5'), vectorcoll.query('c' || i, 'id > 0'), vectorcoll.get('c' || i, '{1}'), vectorcoll.count('c' || i);
        PERFORM vectorcoll.set_payload('c' || i, '{"k": 1}', '{1}'), vectorcoll.delete('c' || i, '{1}');
        PERFORM vectorcoll.drop_collection('c' || i, safe => false);
        COMMIT;
    END LOOP;
END $$;
CREATE FUNCTION memory(what text) RETURNS bigint LANGUAGE sql AS $$ SELECT coalesce(sum(used_bytes), 0)::bigint FROM pg_backend_memory_contexts WHERE name ~ what $$;
CALL cycle(30);
SELECT memory('.') AS all_before, memory('^CachedPlan|^SPI Plan|^vectorcoll') AS ours_before \gset
CALL cycle(60);
SELECT cmp_ok((memory('^CachedPlan|^SPI Plan|^vectorcoll') - :ours_before) / 60, '<', 100::bigint, 'plans and models of dropped collections are freed');
SELECT cmp_ok((memory('.') - :all_before) / 60, '<', 8000::bigint, 'and hardly anything else is kept');
SELECT is((SELECT count(*) FROM pg_cursors), 0::bigint, 'no cursor is left');
SELECT finish();
