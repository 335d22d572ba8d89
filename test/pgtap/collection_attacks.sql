-- What a caller with bad intentions tries: forged rows of the registry, names full of quotes, operators, casts, triggers and defaults
-- that would run with another's rights, locks on what is not theirs, and rows that row level security hides.
SELECT plan(48);
SET client_min_messages = error;
DROP ROLE IF EXISTS vc_pgtap_victim, vc_pgtap_attacker, vc_pgtap_dba; -- of a run that was cut short
CREATE ROLE vc_pgtap_victim;
CREATE ROLE vc_pgtap_attacker;
CREATE SCHEMA vault AUTHORIZATION vc_pgtap_victim;
CREATE SCHEMA lair AUTHORIZATION vc_pgtap_attacker;
SET ROLE vc_pgtap_victim;
SELECT vectorcoll.create_collection('vault.docs', '{"enable_dynamic_field": true, "fields": [{"name": "id", "dtype": "int64", "is_primary": true},
    {"name": "title", "dtype": "text"}, {"name": "v", "dtype": "float_vector", "dim": 3}]}')->>'name' AS name, vectorcoll.create_alias('vault.docs', 'live') \gset
INSERT INTO vault.docs SELECT i, 'word ' || i, ARRAY[i, 1, 1]::real[], jsonb_build_object('k', i) FROM generate_series(1, 20) i;

SELECT 'vault.docs'::regclass::oid AS docs, 'vault.live'::regclass::oid AS live \gset

-- Without USAGE on the schema: no lock, no event, no lease, no flag in somebody's way.
SET ROLE vc_pgtap_attacker;
SELECT throws_ok(q, '42501', NULL, q) FROM unnest(ARRAY[
    $$SELECT vectorcoll._lock('definition', 'vault.docs')$$, $$SELECT vectorcoll._lock('alias', 'vault.live')$$, $$SELECT vectorcoll._lock('namespace', 'vault')$$,
    $$SELECT vectorcoll._lock_namespace('vault')$$]) q;
RESET ROLE;
SELECT format('SELECT vectorcoll.%s', replace(replace(q, 'DOCS', :'docs'), 'LIVE', :'live')) AS statement INTO TEMP attempts FROM unnest(ARRAY[
    $$_lock('load', 'DOCS')$$, $$_lock_relation(DOCS, 'ACCESS EXCLUSIVE')$$, $$_lease_acquire(DOCS, 'me', '1 hour', true)$$, $$_lease_block(DOCS)$$,
    $$_lease_use(DOCS, 1, '1 hour')$$, $$_lease_renew(DOCS, 1, '1 hour')$$, $$_lease_release(DOCS, 1)$$, $$_emit(DOCS, 'LOAD_RECORDS__FAILED', '{}')$$,
    $$_register(DOCS, '{}', '{}', '{}')$$, $$_redefine(DOCS, '{}')$$, $$_set_alias(LIVE, DOCS)$$, $$_retarget(DOCS, DOCS)$$, $$_load_now(DOCS)$$,
    $$_release_blocks(DOCS)$$, $$_set_load_state(DOCS, 'Loaded')$$, $$_start_load_worker(DOCS)$$, $$_drop(DOCS, false)$$, $$_move_alias(LIVE, DOCS, 'live')$$]) q;
GRANT SELECT ON attempts TO PUBLIC;
SET ROLE vc_pgtap_attacker;
SELECT throws_ok(statement, '42501', NULL, statement) FROM attempts;

-- Forged rows: not even COPY by the owner of the extension points the registry at a table that the row does not tell of.
RESET ROLE;
CREATE ROLE vc_pgtap_dba;
GRANT SELECT, INSERT ON vectorcoll.collection_def TO vc_pgtap_dba; -- what the script grants its owner
GRANT USAGE ON SCHEMA vault TO vc_pgtap_dba;
CREATE TABLE lair.numbers (id bigint PRIMARY KEY, v int);
SET ROLE vc_pgtap_dba;
INSERT INTO vectorcoll.collection_def (relid, nspname, relname, schema, schema_hash) VALUES (1, 'lair', 'numbers', vectorcoll._normalise_schema(
    '{"fields": [{"name": "id", "dtype": "int64", "is_primary": true}, {"name": "v", "dtype": "float_vector", "dim": 3}]}'), 'x');
RESET ROLE;
SELECT results_eq($$SELECT relid, schema_hash <> 'x' FROM vectorcoll.collection_def WHERE nspname = 'lair'$$, 'VALUES (NULL::oid, true)', 'a forged row has no table');
SELECT throws_ok($$SELECT * FROM vectorcoll.search('lair.numbers', '[1,2,3]')$$, 'VC100', NULL, 'and is no collection');
DELETE FROM vectorcoll.collection_def WHERE nspname = 'lair';

-- Triggers, defaults, policies and planted operators run as whoever writes or reads, never as the owner of the extension.
CREATE TABLE public.caught (who text, what text);
GRANT INSERT ON public.caught TO PUBLIC;
GRANT USAGE ON SCHEMA lair TO vc_pgtap_victim;
SET ROLE vc_pgtap_attacker;
SELECT vectorcoll.create_collection('lair.trap', 3)->>'name' AS name \gset
CREATE FUNCTION lair.spring() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.caught VALUES (current_user, tg_op); RETURN coalesce(NEW, OLD); END $$;
CREATE FUNCTION lair.note(what text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.caught VALUES (current_user, what); RETURN true; END $$;
CREATE TRIGGER spring BEFORE INSERT OR UPDATE OR DELETE ON lair.trap FOR EACH ROW EXECUTE FUNCTION lair.spring();
ALTER TABLE lair.trap ADD COLUMN flag bool DEFAULT lair.note('default');
CREATE FUNCTION lair.equal(text, text) RETURNS bool LANGUAGE sql AS $$ SELECT lair.note('operator') $$;
CREATE OPERATOR lair.= (LEFTARG = text, RIGHTARG = text, FUNCTION = lair.equal);
CREATE FUNCTION lair.jsonb_build_object(VARIADIC text[]) RETURNS jsonb LANGUAGE sql AS $$ SELECT to_jsonb(lair.note('function')) $$;
SET search_path = lair, pg_catalog, public;
SELECT vectorcoll.insert('trap', '{"id": 1, "vector": [1,2,3]}'), vectorcoll.upsert('trap', '{"id": 1, "vector": [1,2,4]}') \gset
SELECT vectorcoll.create_alias('trap', 'trap_alias'), vectorcoll.create_index('trap', 'vector') \gset
INSERT INTO trap_alias (id, vector) VALUES (2, '[1,2,3]');
RESET search_path;
RESET ROLE;
TRUNCATE public.caught;
-- What a superuser looks at or manages runs nothing of the table's owner.
SELECT vectorcoll.describe_collection('lair.trap'), vectorcoll.get_collection_stats('lair.trap'), vectorcoll.collection_status('lair.trap'),
    vectorcoll.load_collection('lair.trap', wait => true), vectorcoll.get_load_progress('lair.trap'), vectorcoll.release_collection('lair.trap'),
    (SELECT count(*) FROM vectorcoll.list_collections()) AS c, (SELECT count(*) FROM vectorcoll.search('lair.trap', '[1,2,3]')) AS s, vectorcoll.rename_collection('lair.trap', 'trap2') \gset
SELECT is_empty('SELECT * FROM public.caught', 'reading and managing run no code of the owner');
SET ROLE vc_pgtap_attacker;
SELECT vectorcoll.delete('lair.trap2', ids => '{1}') AS n \gset
RESET ROLE;
SELECT is((SELECT string_agg(DISTINCT who, ',') FROM public.caught), 'vc_pgtap_attacker', 'triggers run as the writer');

-- Names full of quotes.
SET ROLE vc_pgtap_attacker;
CREATE TABLE lair."x'; DROP TABLE vault.docs; --" (id bigint PRIMARY KEY, v vector(3));
SELECT throws_ok($$SELECT vectorcoll.adopt_table('lair."x''; DROP TABLE vault.docs; --"'::regclass)$$, 'VC110', NULL, 'adopt_table: a hostile table');
CREATE TABLE lair.odd (id bigint PRIMARY KEY, v vector(3), "a""b'; --" text);
SELECT throws_ok($$SELECT vectorcoll.adopt_table('lair.odd')$$, 'VC105', NULL, 'a hostile column is not adopted');
ALTER TABLE lair.odd DROP COLUMN "a""b'; --";
SELECT lives_ok($$SELECT vectorcoll.adopt_table('lair.odd')$$, 'without it the table is');
ALTER TABLE lair.odd ADD COLUMN "a""b'; --" text;
CREATE INDEX "i"";'--" ON lair.odd USING vc_hnsw (v vector_l2_ops);
SELECT is((SELECT index_name FROM vectorcoll.list_indexes('lair.odd')), 'i";''--', 'a hostile index');
SELECT lives_ok($$SELECT vectorcoll.drop_index('lair.odd', 'v')$$, 'is dropped');
ALTER TABLE lair.odd RENAME COLUMN "a""b'; --" TO "$(x)";
SELECT lives_ok($$SELECT vectorcoll.insert('lair.odd', '{"id": 1, "v": [1,2,3]}'), vectorcoll.rename_collection('lair.odd', 'even')$$, 'and the rest works');
SELECT throws_ok(format('SELECT vectorcoll.%s', q), 'VC110', NULL, q) FROM unnest(ARRAY[$$create_namespace('a"; DROP SCHEMA vault; --')$$,
    $$create_partition('lair.even', 'p''; --')$$, $$rename_collection('lair.even', 'a;b')$$]) q;
RESET ROLE;

-- Row level security, through every way to read, by the collection's name and by its alias.
ALTER TABLE vault.docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON vault.docs TO vc_pgtap_attacker USING (id <= 3);
GRANT USAGE ON SCHEMA vault TO vc_pgtap_attacker;
GRANT SELECT ON vault.docs, vault.live TO vc_pgtap_attacker;
SET ROLE vc_pgtap_victim;
SELECT vectorcoll.create_index('vault.docs', 'v', 'HNSW', 'L2') \gset
SET ROLE vc_pgtap_attacker;
CREATE FUNCTION lair.seen(q text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint; hidden bigint; BEGIN EXECUTE 'SELECT count(*), count(*) FILTER (WHERE x::text ~ ''word ([4-9]|1[0-9]|20)'') FROM (' || q || ') x' INTO n, hidden;
    IF hidden > 0 THEN RAISE 'hidden rows: %', hidden; END IF; RETURN n; END $$;
SELECT is((SELECT sum(lair.seen(replace(q, 'NAME', name))) FROM unnest(ARRAY['vault.docs', 'vault.live']) name), 2 * n, q) FROM (VALUES
    ($$SELECT * FROM vectorcoll.get('NAME', '{1,2,3,4,20}')$$, 3::numeric), ($$SELECT * FROM vectorcoll.query('NAME')$$, 3), ($$SELECT * FROM vectorcoll.scroll('NAME')$$, 3),
    ($$SELECT generate_series(1, vectorcoll.count('NAME'))$$, 3), ($$SELECT * FROM vectorcoll.facet('NAME', 'title')$$, 3),
    ($$SELECT * FROM vectorcoll.search('NAME', '[20,1,1]', top_k => 20)$$, 3), ($$SELECT * FROM vectorcoll.search_batch('NAME', ARRAY['[20,1,1]', '[1,1,1]']::vector[])$$, 6),
    ($$SELECT * FROM vectorcoll.range_search('NAME', '[20,1,1]', radius => 1000)$$, 3), ($$SELECT * FROM vectorcoll.search_text('NAME', 'word', 'title')$$, 3),
    ($$SELECT * FROM vectorcoll.search_groups('NAME', '[20,1,1]', 'title')$$, 3), ($$SELECT * FROM vectorcoll.search_iterator('NAME', '[20,1,1]')$$, 3),
    ($$SELECT * FROM vectorcoll.recommend('NAME', positive => '{1}')$$, 2)) t(q, n);
RESET ROLE;
DROP SCHEMA lair CASCADE;
DROP SCHEMA vault CASCADE;
SELECT is((SELECT count(*) FROM vectorcoll.collection_def), 0::bigint, 'nothing is left');
DROP OWNED BY vc_pgtap_victim, vc_pgtap_attacker, vc_pgtap_dba;
DROP ROLE vc_pgtap_victim, vc_pgtap_attacker, vc_pgtap_dba;
SELECT finish();
