-- After a deadlock, which DDL by hand can bring about, every function that changes something starts again by itself: ten attempts at
-- most, within one timeout. The deadlocks are made up: whatever an attempt does first meets a trigger, or a loader, that raises one
-- until it has been met often enough. A sequence counts, since a rollback does not take it back.
SELECT plan(14);
SET client_min_messages = error;
CREATE SEQUENCE turns;
SET test.deadlocks = 0;
SET test.pause = 0;
CREATE FUNCTION meet_deadlock() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF pg_catalog.nextval('public.turns') <= pg_catalog.current_setting('test.deadlocks')::int THEN
        PERFORM pg_catalog.pg_sleep(pg_catalog.current_setting('test.pause')::float8);
        RAISE deadlock_detected USING MESSAGE = 'made up';
    END IF;
END $$;
CREATE FUNCTION meet_in_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM public.meet_deadlock(); END $$;
CREATE FUNCTION meet_in_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM public.meet_deadlock(); RETURN coalesce(NEW, OLD); END $$;
CREATE FUNCTION source() RETURNS SETOF jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('id', i, 'vector', '[1,2]') FROM generate_series(1, 5) i $$;
CREATE FUNCTION meet_in_loader() RETURNS SETOF jsonb LANGUAGE plpgsql AS $$ BEGIN PERFORM public.meet_deadlock(); RETURN QUERY SELECT * FROM public.source(); END $$;

SELECT vectorcoll.create_collection('docs', 2), vectorcoll.create_collection('parts', 2), vectorcoll.create_collection('empty', 2), vectorcoll.create_collection('loaded', 2) \gset
SELECT vectorcoll.create_partition('parts', 'p'), vectorcoll.create_partition('parts', 'q'), vectorcoll.insert('docs', '[{"id": 1, "vector": [1, 2]}, {"id": 2, "vector": [1, 2]}]'), vectorcoll.insert('parts', '{"id": 1, "vector": [1, 2]}'),
    vectorcoll.add_collection_field('docs', '{"name": "f", "dtype": "int32", "nullable": true}'), vectorcoll.create_index('docs', 'vector', 'HNSW', 'L2'),
    vectorcoll.create_payload_index('docs', 'f'), vectorcoll.create_alias('docs', 'live'), vectorcoll.create_namespace('spare'), vectorcoll.create_collection('spare.docs', 2) \gset
CREATE TABLE plain (id int PRIMARY KEY, v vector(2));
SELECT vectorcoll.load_collection('loaded', wait => true), vectorcoll.load_partitions('parts', '{p}', wait => true) \gset

CREATE TABLE calls (call text);
INSERT INTO calls VALUES
    ($$create_collection('fresh', 3)$$), ($$create_collection('fresh', '{"fields": [{"name": "id", "dtype": "int64", "is_primary": true}, {"name": "v", "dtype": "float_vector", "dim": 2}]}'::jsonb)$$),
    ($$rename_collection('docs', 'papers')$$), ($$truncate_collection('docs')$$), ($$drop_collection('docs', safe => false)$$), ($$alter_collection_properties('docs', '{"a": 1}')$$),
    ($$add_collection_field('docs', '{"name": "g", "dtype": "int32", "nullable": true}')$$), ($$drop_collection_field('docs', 'f')$$), ($$adopt_table('plain')$$),
    ($$create_index('parts', 'vector', 'HNSW', 'L2')$$), ($$drop_index('docs', 'vector')$$), ($$create_payload_index('docs', '$meta')$$), ($$drop_payload_index('docs', 'f')$$),
    ($$load_collection('docs', wait => true)$$), ($$refresh_load('loaded', wait => true)$$), ($$release_collection('loaded')$$), ($$load_partitions('parts', '{q}', wait => true)$$),
    ($$release_partitions('parts', '{p}')$$), ($$create_partition('parts', 'r')$$), ($$drop_partition('parts', 'q')$$), ($$create_namespace('fresh_space')$$), ($$delete_namespace('spare', confirm => true)$$),
    ($$create_alias('docs', 'second')$$), ($$alter_alias('parts', 'live')$$), ($$drop_alias('live')$$), ($$update_aliases('[{"delete_alias": {"alias_name": "live"}}]')$$),
    ($$load_records('docs', 'meet_in_loader')$$), ($$rebuild_collection('docs', 'meet_in_loader')$$), ($$upsert_or_load('empty', '{"id": 1, "vector": [2, 2]}', 'meet_in_loader')$$),
    ($$upsert_or_load('docs', '{"id": 1, "vector": [2, 2]}', 'source')$$), ($$remove_records('docs', '{1}')$$);
SELECT is_empty($$SELECT proname FROM pg_proc WHERE pronamespace = 'vectorcoll'::regnamespace AND proname !~ '^_' AND 'timeout' = ANY (proargnames)
    AND proname NOT IN (SELECT substring(call FROM '^\w+') FROM calls)$$, 'every function with a timeout is listed');

CREATE TRIGGER meet BEFORE INSERT OR UPDATE OR DELETE ON docs FOR EACH ROW EXECUTE FUNCTION meet_in_row();
CREATE TRIGGER meet_truncate BEFORE TRUNCATE ON docs EXECUTE FUNCTION meet_in_row();
CREATE TRIGGER meet BEFORE INSERT OR UPDATE OR DELETE ON vectorcoll.collection_def FOR EACH ROW EXECUTE FUNCTION meet_in_row();
CREATE TRIGGER meet BEFORE INSERT OR UPDATE OR DELETE ON vectorcoll.load_state FOR EACH ROW EXECUTE FUNCTION meet_in_row();
CREATE EVENT TRIGGER meet ON ddl_command_start EXECUTE FUNCTION meet_in_ddl();

-- How a call ends, and how many deadlocks it met or would have; what it did is taken back.
CREATE FUNCTION outcome(call text, deadlocks int, OUT state text, OUT met bigint) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM setval('turns', 1, false), set_config('test.deadlocks', deadlocks::text, false);
    BEGIN
        EXECUTE 'SELECT vectorcoll.' || call;
        RAISE EXCEPTION USING ERRCODE = 'TF000';
    EXCEPTION WHEN OTHERS THEN
        state := CASE SQLSTATE WHEN 'TF000' THEN '00000' ELSE SQLSTATE END;
    END;
    PERFORM set_config('test.deadlocks', '0', false);
    SELECT CASE WHEN is_called THEN last_value ELSE 0 END INTO met FROM turns;
END $$;
SELECT is_empty($$SELECT call, o.* FROM calls, outcome(call, 3) o WHERE state <> '00000' OR met <= 3$$, 'each works at the fourth attempt');
SELECT is_empty($$SELECT call, o.* FROM calls, outcome(call, 9) o WHERE state <> '00000' OR met <= 9$$, 'and at the tenth');
SELECT is_empty($$SELECT call, o.* FROM calls, outcome(call, 1000) o WHERE state <> '40P01' OR met <> 10$$, 'but does not try an eleventh time');

-- What was done in attempts that failed is undone, and done once in the end.
SET test.deadlocks = 3;
SELECT setval('turns', 1, false) \gset
SELECT is(vectorcoll.rebuild_collection('docs', 'meet_in_loader') - 'failures', '{"state": "loaded", "loaded": 5, "failed": 0}', 'a rebuild that met three deadlocks');
SET test.deadlocks = 0;
SELECT is((SELECT count(*) FROM docs), 5::bigint, 'has its rows');

-- A record that meets a deadlock is not told as a failure of its own: the load starts again.
DROP TRIGGER meet ON docs;
CREATE FUNCTION meet_at_three() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id = 3 THEN PERFORM public.meet_deadlock(); END IF; RETURN NEW; END $$;
CREATE TRIGGER meet BEFORE INSERT ON docs FOR EACH ROW EXECUTE FUNCTION meet_at_three();
SET test.deadlocks = 5;
SELECT setval('turns', 1, false) \gset
SELECT is(vectorcoll.rebuild_collection('docs', 'source'), '{"state": "loaded", "loaded": 5, "failed": 0, "failures": []}', 'a record meets deadlocks');
SELECT cmp_ok((SELECT last_value FROM turns), '>', 5::bigint, 'five of them');
SET test.deadlocks = 1000;
SELECT throws_ok($$SELECT vectorcoll.load_records('docs', 'source')$$, '40P01', NULL, 'that do not end');
SET test.deadlocks = 0;
SELECT is((SELECT count(*) FROM docs), 5::bigint, 'which changes nothing');
-- The worker that writes this down may have to wait for its turn, so the loop gives it long; each commit asks anew for one.
DO $$ BEGIN FOR i IN 1 .. 3000 LOOP EXIT WHEN NOT EXISTS (SELECT FROM vectorcoll.leases); PERFORM pg_sleep(0.01); COMMIT; END LOOP; END $$;
SELECT is((SELECT count(*) FROM vectorcoll.leases), 0::bigint, 'and leaves no lease');

-- One timeout for all attempts: with pauses of 0.4 s there is time for three of them in a second, and for ten if each had its own.
CREATE FUNCTION timed(call text, pause float8) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    o record;
BEGIN
    PERFORM set_config('test.pause', pause::text, false);
    o := outcome(call, 1000);
    PERFORM set_config('test.pause', '0', false);
    RETURN o.state || CASE WHEN o.met <= 3 THEN ' in time' ELSE ' late' END;
END $$;
SELECT is(timed($$create_collection('fresh', 3, timeout => '1 s')$$, 0.4), 'VC905 in time', 'the timeout goes on over attempts');
SELECT is(timed($$load_records('docs', 'meet_in_loader', timeout => '1 s')$$, 0.4), 'VC905 in time', 'that of a load too');
SELECT is(timed($$create_namespace('fresh', timeout => '1 s')$$, 0.4), 'VC905 in time', 'and of the others');

DROP EVENT TRIGGER meet;
SELECT finish();
