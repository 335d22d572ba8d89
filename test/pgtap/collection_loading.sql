-- Loads from a source, leases, and memory, as far as one session can tell; 053_collection_load.pl does the rest.
SELECT plan(51);
SET client_min_messages = error;
SELECT vectorcoll.create_collection('cache', 2) \gset
CREATE TABLE source_rows (id bigint, vector text);
INSERT INTO source_rows SELECT i, '[1,2]' FROM generate_series(1, 2500) i;
CREATE FUNCTION source() RETURNS SETOF jsonb LANGUAGE sql AS 'SELECT to_jsonb(s) FROM source_rows s ORDER BY id';
CREATE FUNCTION broken() RETURNS SETOF jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN NEXT '{"id": 1, "vector": [1,2]}'; RAISE 'source is down'; END $$;
CREATE FUNCTION picky(int) RETURNS jsonb LANGUAGE sql AS $$ SELECT '{}'::jsonb $$;
CREATE FUNCTION nothing() RETURNS SETOF jsonb LANGUAGE sql AS 'SELECT NULL::jsonb WHERE false';

-- upsert_or_load.
SELECT is(vectorcoll.upsert_or_load('cache', '{"id": 1, "vector": [1,2]}', 'source'), 'loaded', 'empty: loads');
SELECT is((SELECT count(*) FROM cache), 2500::bigint, 'everything');
SELECT is(vectorcoll.upsert_or_load('cache', '{"id": 1, "vector": [7,7]}', 'source'), 'upserted', 'not empty: upserts');
SELECT is((SELECT vector::text FROM cache WHERE id = 1), '[7,7]', 'the record');
SELECT results_eq('SELECT event FROM vectorcoll.events ORDER BY id', $$VALUES ('UPSERT_OR_LOAD__START'), ('UPSERT_OR_LOAD__LOAD__SUBSCRIBED'), ('LOAD_RECORDS__START_EMBEDDING'),
    ('UPSERT_OR_LOAD__LOAD__SUCCEEDED'), ('UPSERT_OR_LOAD__LOAD__ENDED'), ('UPSERT_OR_LOAD__START'), ('UPSERT_OR_LOAD__UPSERT__SUBSCRIBED'),
    ('UPSERT_OR_LOAD__UPSERT__SUCCEEDED'), ('UPSERT_OR_LOAD__UPSERT__ENDED')$$, 'with their events');
SELECT throws_ok($$SELECT vectorcoll.upsert_or_load('cache', NULL, 'source')$$, 'VC111', NULL, 'no record');
SELECT throws_ok($$SELECT vectorcoll.upsert_or_load('cache', '{}', NULL)$$, 'VC111', NULL, 'no loader');
SELECT throws_ok($$SELECT vectorcoll.upsert_or_load('nope', '{}', 'source')$$, 'VC100', NULL, 'no collection');

-- load_records: a record is a unit; the others stay.
UPDATE source_rows SET vector = '[1,2,3]' WHERE id IN (3, 1200);
SELECT is(vectorcoll.load_records('cache', 'source', batch_size => 500) - 'failures', '{"state": "loaded", "loaded": 2498, "failed": 2}', 'two of 2500 fail');
SELECT is((SELECT array_agg(f->>'record') FROM jsonb_array_elements(vectorcoll.rebuild_collection('cache', 'source')->'failures') f), '{3,1200}', 'and are told');
SELECT is((SELECT count(*) FROM cache), 2498::bigint, 'rebuild_collection replaces all');
SELECT is(vectorcoll.load_records('cache', 'source', if_empty => true)->>'state', 'skipped', 'if_empty');
SELECT is((SELECT count(*) FROM vectorcoll.events WHERE event = 'LOAD_RECORDS__FAILED' AND details ? 'record'), 4::bigint, 'each failure is an event');
SELECT throws_ok($$SELECT vectorcoll.load_records('cache', 'broken')$$, 'VC000', 'loader public.broken failed', 'a loader that raises');
SELECT throws_ok($$SELECT vectorcoll.rebuild_collection('cache', 'broken')$$, 'VC000', NULL, 'likewise');
SELECT is((SELECT count(*) FROM cache), 2498::bigint, 'changes nothing');
SELECT is(vectorcoll.load_records('cache', 'nothing')->>'loaded', '0', 'a loader without records');
SELECT throws_ok($$SELECT vectorcoll.load_records('cache', 'picky')$$, 'VC110', NULL, 'a loader with arguments');
SELECT throws_ok($$SELECT vectorcoll.load_records('cache', 'now')$$, 'VC110', NULL, 'of another type');
SELECT throws_ok($$SELECT vectorcoll.load_records('cache', 'source', batch_size => 0)$$, 'VC110', NULL, 'batch_size');
SELECT throws_ok($$SELECT vectorcoll.load_records('cache', 'source', token => 99)$$, 'VC902', NULL, 'a token of nobody');
CREATE FUNCTION slow() RETURNS SETOF jsonb LANGUAGE sql AS $$ SELECT '{}'::jsonb FROM pg_sleep(5) $$;
SELECT throws_ok($$SELECT vectorcoll.load_records('cache', 'slow', timeout => '100 ms')$$, 'VC905', NULL, 'timeout');
SELECT throws_ok($$SELECT vectorcoll.rebuild_collection('cache', 'slow', timeout => '100 ms')$$, 'VC905', NULL, 'timeout of rebuild_collection');

-- A path of the caller's own: the loader finds its table, the functions do not care.
CREATE SCHEMA elsewhere;
CREATE TABLE elsewhere.hidden (id bigint, vector text);
INSERT INTO elsewhere.hidden VALUES (7000, '[5,5]');
CREATE FUNCTION elsewhere.from_hidden() RETURNS SETOF jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('id', 7000, 'vector', '[5,5]') $$;
CREATE FUNCTION elsewhere.late() RETURNS SETOF jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY SELECT to_jsonb(h) FROM hidden h; END $$;
SET search_path = elsewhere, public;
SELECT is(vectorcoll.load_records('cache', 'late')->>'loaded', '1', 'a loader runs along the caller''s path');
RESET search_path;

-- remove_records.
SELECT is(vectorcoll.remove_records('cache', '{1,2,999999}'), 2::bigint, 'remove_records');
SELECT throws_ok($$SELECT vectorcoll.remove_records('cache', '{one}')$$, 'VC110', NULL, 'ids of another type');
SELECT throws_ok($$SELECT vectorcoll.remove_records('cache', NULL)$$, 'VC111', NULL, 'no ids');

-- Leases.
SELECT vectorcoll.acquire_lease('cache', 'me', '1 hour') AS token \gset
SELECT results_eq('SELECT collection::text COLLATE "default", holder FROM vectorcoll.leases', $$VALUES ('cache', 'me')$$, 'acquire_lease');
SELECT throws_ok($$SELECT vectorcoll.acquire_lease('cache')$$, 'VC902', NULL, 'held');
SELECT throws_ok($$SELECT vectorcoll.load_records('cache', 'source')$$, 'VC902', NULL, 'nobody loads without it');
SELECT throws_ok($$SELECT vectorcoll.drop_collection('cache', safe => false)$$, 'VC902', NULL, 'nor drops');
SELECT is(vectorcoll.upsert_or_load('cache', '{"id": 5, "vector": [1,1]}', 'source'), 'skipped', 'the flag of the refused load makes the session skip');
SELECT lives_ok(format('SELECT vectorcoll.renew_lease(%L, %s, %L)', 'cache', :token, '2 hours'), 'renew_lease');
SELECT ok((SELECT expires_at > now() + interval '90 minutes' FROM vectorcoll.leases), 'renewed');
SELECT throws_ok(format('SELECT vectorcoll.renew_lease(%L, %s)', 'cache', :token + 1), 'VC902', NULL, 'by its token only');
SELECT throws_ok($$SELECT vectorcoll.acquire_lease('cache', ttl => '-1 s')$$, 'VC110', NULL, 'ttl');
SELECT lives_ok(format('SELECT vectorcoll.release_lease(%L, %s)', 'cache', :token), 'release_lease');
SELECT throws_ok(format('SELECT vectorcoll.release_lease(%L, %s)', 'cache', :token), 'VC902', NULL, 'twice');

-- Memory.
SELECT throws_ok($$SELECT vectorcoll.load_collection('cache', wait => NULL)$$, 'VC111', NULL, 'load_collection: null');
SELECT throws_ok($$SELECT vectorcoll.load_collection('cache', timeout => '-1 s')$$, 'VC110', NULL, 'load_collection: timeout');
SELECT throws_ok($$SELECT vectorcoll.refresh_load('cache')$$, 'VC101', NULL, 'refresh_load: not loaded');
SELECT lives_ok($$SELECT vectorcoll.load_collection('cache', wait => true)$$, 'load_collection');
SELECT is((vectorcoll.get_load_progress('cache')).progress, 100::float8, 'all of it');
SELECT vectorcoll.create_alias('cache', 'cache_alias'), vectorcoll._release_blocks('cache'::regclass) > 0 AS gone \gset
SELECT is((vectorcoll.get_load_progress('cache')).progress, 0::float8, 'pushed out, as by other traffic');
SELECT is(vectorcoll.get_load_state('cache_alias'), 'Loaded', 'it counts as loaded');
SELECT lives_ok($$SELECT vectorcoll.refresh_load('cache', wait => true)$$, 'refresh_load');
SELECT is((vectorcoll.get_load_progress('cache_alias')).progress, 100::float8, 'brings it back');
SELECT is((SELECT resident_bytes FROM vectorcoll.get_load_progress('cache')), (SELECT (vectorcoll.get_collection_stats('cache')->>'table_bytes')::bigint + sum(pg_relation_size(indexrelid))::bigint FROM pg_index WHERE indrelid = 'cache'::regclass)
    + (SELECT coalesce(pg_relation_size(reltoastrelid) + (SELECT sum(pg_relation_size(indexrelid)) FROM pg_index WHERE indrelid = reltoastrelid), 0)::bigint FROM pg_class WHERE oid = 'cache'::regclass), 'every byte of table, indexes and TOAST');
SELECT results_eq($$SELECT vectorcoll.get_load_state('cache'), vectorcoll.get_load_state('cache', '_default'), vectorcoll.get_load_state('nope')$$, $$VALUES ('Loaded', 'Loaded', 'NotExist')$$, 'states');
SELECT cmp_ok(vectorcoll.release_collection('cache'), '>', 0::bigint, 'release_collection');
SELECT is((vectorcoll.get_load_progress('cache')).resident_bytes, 0::bigint, 'none of it');
SELECT finish();
