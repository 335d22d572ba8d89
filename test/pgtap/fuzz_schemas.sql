-- Thousands of mutated schemas: validate_schema answers for each, create_collection does what it said, and nothing is left behind by a refusal.
-- The mutants are schema_mutants.py's and always the same. For others, or more of them:
--     PGOPTIONS='-c fuzz.schema_seed=7 -c fuzz.schemas=100000' make pgtap
SET client_min_messages = warning;
SET synchronous_commit = off;
SELECT plan(9);
SELECT coalesce(nullif(current_setting('fuzz.schema_seed', true), ''), '1') AS seed, coalesce(nullif(current_setting('fuzz.schemas', true), ''), '2000') AS count \gset
\setenv VC_SEED :seed
\setenv VC_COUNT :count
CREATE TABLE mutants (n int GENERATED ALWAYS AS IDENTITY, hash text, source text);
\copy mutants (hash, source) FROM PROGRAM 'python3 -B test/pgtap/schema_mutants.py' WITH (ENCODING 'UTF8')
CREATE TABLE wrong (n int, what text, got text);
CREATE TABLE outcome (n int, faults int, created bool);
CREATE SCHEMA made;

-- What is in the schema `made`, in the registry and of its sequences: a refusal must leave it as it was.
CREATE FUNCTION left_behind() RETURNS bigint LANGUAGE sql AS $$
    SELECT (SELECT count(*) FROM pg_class WHERE relnamespace = 'made'::regnamespace) + (SELECT count(*) FROM pg_type WHERE typnamespace = 'made'::regnamespace)
         + (SELECT count(*) FROM vectorcoll.collections)
$$;

CREATE PROCEDURE try_mutants() LANGUAGE plpgsql AS $$
DECLARE
    m record; s jsonb; faults int; expected text; odd text; created jsonb; again jsonb; state text; msg text; det text; hin text;
BEGIN
    FOR m IN SELECT * FROM mutants ORDER BY n LOOP
        s := m.source::jsonb;
        created := NULL; state := NULL; faults := NULL;
        BEGIN
            SELECT count(*), string_agg(format('%s: %s (%s). %s', coalesce('field "' || v.field || '"', 'schema'), v.message, v.code, v.hint), E'\n'),
                   string_agg(v::text, E'\n') FILTER (WHERE v.code NOT IN ('VC105', 'VC111') OR coalesce(v.message, '') = '' OR coalesce(v.hint, '') = '' OR v.field <> '' AND v.field !~ '^#\d+$'
                       AND NOT jsonb_path_exists(s, '$.fields[*] ? (@.name == $n)', jsonb_build_object('n', v.field)))
              INTO faults, expected, odd FROM vectorcoll.validate_schema(s) v;
        EXCEPTION WHEN OTHERS THEN
            INSERT INTO wrong VALUES (m.n, 'raises', SQLSTATE || ' ' || SQLERRM);
            faults := -1;
        END;
        IF odd IS NOT NULL THEN
            INSERT INTO wrong VALUES (m.n, 'shape', odd);
        END IF;
        IF faults = 0 AND vectorcoll.schema_hash(s) IS DISTINCT FROM m.hash THEN
            INSERT INTO wrong VALUES (m.n, 'hash', format('%s, in Python %s', vectorcoll.schema_hash(s), m.hash));
        END IF;
        CONTINUE WHEN faults = 0 AND m.n > 50 AND m.n % 3 > 0; -- making tables takes most of the time
        BEGIN
            IF m.n % 2 = 0 THEN
                created := vectorcoll.create_collection('made.c', m.source);
            ELSE
                created := vectorcoll.create_collection('c', s, namespace => 'made');
            END IF;
            -- A description is a schema again when what is not the schema's is taken away.
            SELECT jsonb_object_agg(key, value) INTO again FROM jsonb_each(created) WHERE key IN ('fields', 'description', 'enable_dynamic_field', 'auto_id', 'shard_num', 'num_partitions');
            SELECT string_agg(v::text, E'\n') INTO odd FROM vectorcoll.validate_schema(again) v;
            IF odd IS NOT NULL THEN
                INSERT INTO wrong VALUES (m.n, 'description', odd);
            ELSIF vectorcoll.schema_hash(again) <> created->>'schema_hash' OR m.hash <> created->>'schema_hash' THEN
                INSERT INTO wrong VALUES (m.n, 'hash', format('%s, of the description %s, in Python %s', created->>'schema_hash', vectorcoll.schema_hash(again), m.hash));
            END IF;
            IF vectorcoll.describe_collection('c', 'made') <> created OR vectorcoll.create_collection('made.c', again) <> created THEN
                INSERT INTO wrong VALUES (m.n, 'description', 'another the second time');
            END IF;
            PERFORM vectorcoll.drop_collection('made.c');
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, msg = MESSAGE_TEXT, det = PG_EXCEPTION_DETAIL, hin = PG_EXCEPTION_HINT;
            created := NULL;
        END;
        IF faults > 0 AND (state IS DISTINCT FROM 'VC105' OR det <> expected OR msg <> format('illegal schema: %s %s', faults, CASE faults WHEN 1 THEN 'fault' ELSE 'faults' END) OR hin = '') THEN
            INSERT INTO wrong VALUES (m.n, 'refusal', format('%s %s: %s instead of %s', state, msg, left(det, 500), left(expected, 500)));
        ELSIF faults = 0 AND state IS NOT NULL THEN
            INSERT INTO wrong VALUES (m.n, 'refusal', format('no fault, but %s %s', state, msg));
        END IF;
        IF left_behind() <> 0 THEN
            INSERT INTO wrong VALUES (m.n, 'left behind', format('%s after %s', left_behind(), coalesce(state, 'a drop')));
        END IF;
        INSERT INTO outcome VALUES (m.n, faults, created IS NOT NULL);
        IF created IS NOT NULL THEN
            COMMIT; -- locks of what was created and dropped
        END IF;
    END LOOP;
END $$;
CALL try_mutants();

CREATE FUNCTION wrongs(kind text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s: %s: %s', w.n, w.got, left(m.source, 600)), E'\n' ORDER BY w.n) FROM (SELECT * FROM wrong WHERE what = kind ORDER BY n LIMIT 5) w JOIN mutants m USING (n)
$$;
SELECT is(wrongs('raises'), NULL, 'validate_schema never raises');
SELECT is(wrongs('shape'), NULL, 'a fault has a code, a message, a hint and a field of the schema');
SELECT is(wrongs('refusal'), NULL, 'create_collection raises exactly the faults there are');
SELECT is(wrongs('description'), NULL, 'a description is a legal schema');
SELECT is(wrongs('hash'), NULL, 'with the same hash');
SELECT is(wrongs('left behind'), NULL, 'nothing is left behind');
SELECT is((SELECT count(*) FROM outcome WHERE n <= 50 AND created), 50::bigint, 'what was not mutated is created');
SELECT ok((SELECT count(*) FROM mutants) = :count AND count(*) FILTER (WHERE created) > :count / 20 AND count(*) FILTER (WHERE NOT created) > :count / 2,
    format('of %s, %s were refused; of the others, %s were created', :count, count(*) FILTER (WHERE NOT created), count(*) FILTER (WHERE created))) FROM outcome;
SELECT throws_ok($$SELECT vectorcoll.create_collection('made.c', NULL::jsonb)$$, 'VC111', NULL, 'and no schema at all is a missing parameter');
SELECT * FROM finish();
