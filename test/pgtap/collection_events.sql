-- Events and leases: every event there is, in its order, of transactions that commit and of those that fail; who sees them; and what a
-- lease keeps from whom.
SELECT plan(49);
SET client_min_messages = error;
SELECT vectorcoll.create_collection('cache', 2), vectorcoll.create_collection('empty', 2), vectorcoll.create_collection('other', 2) \gset
CREATE TABLE source_rows (id bigint, vector text);
INSERT INTO source_rows SELECT i, '[1,2]' FROM generate_series(1, 5) i;
CREATE FUNCTION source() RETURNS SETOF jsonb LANGUAGE sql AS 'SELECT to_jsonb(s) FROM source_rows s ORDER BY id';
CREATE FUNCTION broken() RETURNS SETOF jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN NEXT '{"id": 1, "vector": [1,2]}'; RAISE 'source is down'; END $$;
CREATE FUNCTION slow() RETURNS SETOF jsonb LANGUAGE sql AS $$ SELECT '{}'::jsonb FROM pg_sleep(5) $$;
CREATE FUNCTION nothing() RETURNS SETOF jsonb LANGUAGE sql AS 'SELECT NULL::jsonb WHERE false';

-- Events since the last look, those that were rolled back with a !, in order; waits for as many as are wanted, since those come by another process.
CREATE TABLE seen (id bigint);
INSERT INTO seen VALUES (0);
CREATE FUNCTION told(wanted text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    FOR i IN 1 .. 3000 LOOP
        SELECT string_agg(e.event || CASE WHEN e.committed THEN '' ELSE '!' END, ' ' ORDER BY e.at, e.id) INTO result FROM vectorcoll.events e WHERE e.id > (SELECT s.id FROM seen s);
        EXIT WHEN array_length(string_to_array(result, ' '), 1) >= array_length(string_to_array(wanted, ' '), 1);
        PERFORM pg_sleep(0.01);
    END LOOP;
    UPDATE seen SET id = (SELECT coalesce(max(e.id), 0) FROM vectorcoll.events e);
    RETURN result;
END $$;
CREATE FUNCTION tells(wanted text, what text) RETURNS text LANGUAGE sql AS $$ SELECT is(told(wanted), wanted, what) $$;

-- Loads that work.
SELECT is(vectorcoll.load_records('cache', 'source')->>'loaded', '5', 'load_records');
SELECT tells('LOAD_RECORDS__START LOAD_RECORDS__LOCK_ACQUIRED LOAD_RECORDS__START_EMBEDDING LOAD_RECORDS__SUCCEEDED LOAD_RECORDS__ENDED', 'tells its steps');
SELECT is(vectorcoll.load_records('cache', 'source', if_empty => true)->>'state', 'skipped', 'load_records into what is not empty');
SELECT tells('LOAD_RECORDS__START LOAD_RECORDS__LOCK_ACQUIRED LOAD_RECORDS__ENDED', 'takes the lease and leaves it');
SELECT is(vectorcoll.rebuild_collection('cache', 'source')->>'loaded', '5', 'rebuild_collection');
SELECT tells('LOAD_RECORDS__START LOAD_RECORDS__LOCK_ACQUIRED LOAD_RECORDS__START_EMBEDDING LOAD_RECORDS__SUCCEEDED LOAD_RECORDS__ENDED', 'tells the same');
SELECT is(vectorcoll.upsert_or_load('empty', '{"id": 1, "vector": [1, 2]}', 'source'), 'loaded', 'upsert_or_load into what is empty');
SELECT tells('UPSERT_OR_LOAD__START UPSERT_OR_LOAD__LOAD__SUBSCRIBED LOAD_RECORDS__START_EMBEDDING UPSERT_OR_LOAD__LOAD__SUCCEEDED UPSERT_OR_LOAD__LOAD__ENDED', 'loads');
SELECT is(vectorcoll.upsert_or_load('empty', '{"id": 1, "vector": [1, 2]}', 'source'), 'upserted', 'into what is not');
SELECT tells('UPSERT_OR_LOAD__START UPSERT_OR_LOAD__UPSERT__SUBSCRIBED UPSERT_OR_LOAD__UPSERT__SUCCEEDED UPSERT_OR_LOAD__UPSERT__ENDED', 'upserts');
SELECT is(vectorcoll.load_records('cache', 'nothing')->>'loaded', '0', 'a source without records');
SELECT tells('LOAD_RECORDS__START LOAD_RECORDS__LOCK_ACQUIRED LOAD_RECORDS__START_EMBEDDING LOAD_RECORDS__SUCCEEDED LOAD_RECORDS__ENDED', 'is a load too');

-- Records that fail: each is told when its own unit is rolled back, the load goes on and commits.
UPDATE source_rows SET vector = '[1,2,3]' WHERE id = 3;
SELECT is(vectorcoll.load_records('cache', 'source') - 'failures', '{"state": "loaded", "loaded": 4, "failed": 1}', 'one record of five fails');
SELECT tells('LOAD_RECORDS__START LOAD_RECORDS__LOCK_ACQUIRED LOAD_RECORDS__START_EMBEDDING LOAD_RECORDS__FAILED LOAD_RECORDS__SUCCEEDED LOAD_RECORDS__ENDED', 'and is told');
SELECT is((SELECT details - 'message' FROM vectorcoll.events WHERE event = 'LOAD_RECORDS__FAILED'), '{"record": 3, "sqlstate": "VC110"}', 'which and why');
UPDATE source_rows SET vector = '[1,2,3]';
SELECT is(vectorcoll.load_records('cache', 'source') - 'failures', '{"state": "loaded", "loaded": 0, "failed": 5}', 'all of them fail');
SELECT tells('LOAD_RECORDS__START LOAD_RECORDS__LOCK_ACQUIRED LOAD_RECORDS__START_EMBEDDING' || repeat(' LOAD_RECORDS__FAILED', 6) || ' LOAD_RECORDS__ENDED', 'and so does the load');
UPDATE source_rows SET vector = '[1,2]';

-- What fails as a whole takes its events into the log all the same.
SELECT throws_ok($$SELECT vectorcoll.load_records('cache', 'broken')$$, 'VC000', NULL, 'a loader that raises');
SELECT tells('LOAD_RECORDS__START! LOAD_RECORDS__LOCK_ACQUIRED! LOAD_RECORDS__START_EMBEDDING! LOAD_RECORDS__FAILED! LOAD_RECORDS__ENDED!', 'is told, though nothing of it was committed');
SELECT throws_ok($$SELECT vectorcoll.load_records('cache', 'slow', timeout => '100 ms')$$, 'VC905', NULL, 'a load that times out');
SELECT tells('LOAD_RECORDS__START! LOAD_RECORDS__LOCK_ACQUIRED! LOAD_RECORDS__START_EMBEDDING! LOAD_RECORDS__FAILED! LOAD_RECORDS__ENDED!', 'likewise');
TRUNCATE empty;
SELECT throws_ok($$SELECT vectorcoll.upsert_or_load('empty', '{"id": 1, "vector": [1, 2]}', 'broken')$$, 'VC000', NULL, 'upsert_or_load with such a loader');
SELECT tells('UPSERT_OR_LOAD__START! UPSERT_OR_LOAD__LOAD__SUBSCRIBED! LOAD_RECORDS__START_EMBEDDING! UPSERT_OR_LOAD__LOAD__FAILED! UPSERT_OR_LOAD__LOAD__ENDED!', 'likewise');
SELECT throws_ok($$SELECT vectorcoll.upsert_or_load('cache', '{"id": 1, "vector": [1]}', 'source')$$, 'VC110', NULL, 'upsert_or_load of a record that is refused');
SELECT tells('UPSERT_OR_LOAD__START! UPSERT_OR_LOAD__UPSERT__SUBSCRIBED! UPSERT_OR_LOAD__UPSERT__FAILED! UPSERT_OR_LOAD__UPSERT__ENDED!', 'likewise');
SELECT is((SELECT details->>'sqlstate' FROM vectorcoll.events WHERE event = 'UPSERT_OR_LOAD__UPSERT__FAILED'), 'VC110', 'with the reason');
BEGIN;
SELECT vectorcoll.upsert_or_load('cache', '{"id": 1, "vector": [1, 2]}', 'source') AS done, vectorcoll.upsert_or_load('cache', '{"id": 2, "vector": [1, 2]}', 'source') AS again \gset
ROLLBACK;
SELECT tells(rtrim(repeat('UPSERT_OR_LOAD__START! UPSERT_OR_LOAD__UPSERT__SUBSCRIBED! UPSERT_OR_LOAD__UPSERT__SUCCEEDED! UPSERT_OR_LOAD__UPSERT__ENDED! ', 2)), 'what worked and was rolled back is told as rolled back');
BEGIN;
SAVEPOINT s;
SELECT vectorcoll.upsert_or_load('cache', '{"id": 1, "vector": [1, 2]}', 'source') AS done \gset
ROLLBACK TO s;
SELECT vectorcoll.upsert_or_load('cache', '{"id": 1, "vector": [1, 2]}', 'source') AS done \gset
COMMIT;
SELECT tells('UPSERT_OR_LOAD__START! UPSERT_OR_LOAD__UPSERT__SUBSCRIBED! UPSERT_OR_LOAD__UPSERT__SUCCEEDED! UPSERT_OR_LOAD__UPSERT__ENDED! UPSERT_OR_LOAD__START UPSERT_OR_LOAD__UPSERT__SUBSCRIBED UPSERT_OR_LOAD__UPSERT__SUCCEEDED UPSERT_OR_LOAD__UPSERT__ENDED', 'of a savepoint too');

-- A lease held elsewhere: told, and remembered for a while.
SELECT vectorcoll.acquire_lease('cache', 'somebody', '1 hour') AS token, vectorcoll.acquire_lease('other', 'somebody', '1 hour') AS other_token \gset
SELECT throws_ok($$SELECT vectorcoll.load_records('cache', 'source')$$, 'VC902', NULL, 'load_records under somebody''s lease');
SELECT tells('LOAD_RECORDS__START! LOAD_RECORDS__LOCK_FAILED_TO_ACQUIRE! LOAD_RECORDS__ENDED!', 'fails to acquire it');
SELECT is(vectorcoll.load_records('cache', 'source')->>'state', 'skipped', 'the second time');
SELECT tells('LOAD_RECORDS__START LOAD_RECORDS__LOAD_IN_PROGRESS LOAD_RECORDS__ENDED', 'it does not ask');
SELECT is(vectorcoll.upsert_or_load('cache', '{"id": 1, "vector": [1, 2]}', 'source'), 'skipped', 'nor does upsert_or_load');
SELECT tells('UPSERT_OR_LOAD__START UPSERT_OR_LOAD__LOCAL_LOAD_IN_PROGRESS', 'which says so');
SELECT is(vectorcoll.upsert_or_load('other', '{"id": 1, "vector": [1, 2]}', 'source'), 'skipped', 'upsert_or_load of an empty collection under somebody''s lease');
SELECT tells('UPSERT_OR_LOAD__START DISTRIBUTED_LOCK_DETECTED', 'detects it');

-- Single writes take no lease and mind none; what takes a collection away does.
SELECT is(vectorcoll.upsert('cache', '{"id": 1, "vector": [5, 5]}') + vectorcoll.insert('cache', '{"id": 100, "vector": [5, 5]}') + vectorcoll.set_payload('cache', '{"k": 1}', '{1}') + vectorcoll.delete('cache', '{100}') + vectorcoll.remove_records('cache', '{2}'), 5::bigint,
    'single writes go on under a lease');
SELECT throws_ok(q, 'VC902', NULL, q) FROM unnest(ARRAY[$$SELECT vectorcoll.rebuild_collection('other', 'source', token => 999)$$, $$SELECT vectorcoll.drop_collection('cache', safe => false)$$, $$SELECT vectorcoll.acquire_lease('cache')$$]) q;
SELECT is(vectorcoll.load_records('other', 'source', token => :other_token)->>'loaded', '5', 'who has the token loads, whatever the session remembers');
SELECT lives_ok(format('SELECT vectorcoll.release_lease(%L, %s), vectorcoll.release_lease(%L, %s)', 'cache', :token, 'other', :other_token), 'leases are given back');
SELECT cmp_ok(vectorcoll.acquire_lease('cache', ttl => '100 ms'), '>', :token::bigint, 'tokens rise');
SELECT pg_sleep(0.15);
SELECT cmp_ok(vectorcoll.acquire_lease('cache', 'next'), '>', :token::bigint + 1, 'an expired lease is taken over');

-- Nothing is left out: the log has every event there is, each with what it needs.
SELECT set_eq('SELECT DISTINCT event FROM vectorcoll.events', ARRAY['LOAD_RECORDS__START', 'LOAD_RECORDS__LOAD_IN_PROGRESS', 'LOAD_RECORDS__LOCK_ACQUIRED', 'LOAD_RECORDS__LOCK_FAILED_TO_ACQUIRE', 'LOAD_RECORDS__START_EMBEDDING', 'LOAD_RECORDS__SUCCEEDED', 'LOAD_RECORDS__FAILED',
    'LOAD_RECORDS__ENDED', 'UPSERT_OR_LOAD__START', 'UPSERT_OR_LOAD__LOCAL_LOAD_IN_PROGRESS', 'UPSERT_OR_LOAD__LOAD__SUBSCRIBED', 'UPSERT_OR_LOAD__UPSERT__SUBSCRIBED', 'UPSERT_OR_LOAD__LOAD__SUCCEEDED', 'UPSERT_OR_LOAD__LOAD__FAILED', 'UPSERT_OR_LOAD__LOAD__ENDED',
    'UPSERT_OR_LOAD__UPSERT__SUCCEEDED', 'UPSERT_OR_LOAD__UPSERT__FAILED', 'UPSERT_OR_LOAD__UPSERT__ENDED', 'DISTRIBUTED_LOCK_DETECTED'], 'every event was seen');
SELECT is_empty($$SELECT * FROM vectorcoll.events WHERE pid <> pg_backend_pid() OR role <> current_user OR xact IS NULL OR collection !~ '^public\.' OR at > clock_timestamp()$$, 'each with its session, role, transaction, collection and time');

-- Who may not use a collection is told nothing of it; who may read it is.
CREATE ROLE vc_pgtap_listener;
SET ROLE vc_pgtap_listener;
SELECT is_empty('SELECT * FROM vectorcoll.events', 'a stranger is told nothing');
SELECT is_empty('SELECT * FROM vectorcoll.leases', 'of leases neither');
RESET ROLE;
GRANT SELECT ON cache TO vc_pgtap_listener;
SET ROLE vc_pgtap_listener;
SELECT results_eq('SELECT DISTINCT collection FROM vectorcoll.events', $$VALUES ('public.cache')$$, 'a reader of what they may read');
RESET ROLE;
DROP OWNED BY vc_pgtap_listener;
DROP ROLE vc_pgtap_listener;
SELECT finish();
