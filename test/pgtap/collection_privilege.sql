-- No function gives a caller more than their own rights; the registry is written only through the functions; names and paths of hostile
-- callers do nothing.
SELECT plan(43);
SET client_min_messages = error;
DROP ROLE IF EXISTS vc_pgtap_owner, vc_pgtap_reader, vc_pgtap_stranger; -- of a run that was cut short
CREATE ROLE vc_pgtap_owner;
CREATE ROLE vc_pgtap_reader;
CREATE ROLE vc_pgtap_stranger;
CREATE SCHEMA app AUTHORIZATION vc_pgtap_owner;
GRANT USAGE ON SCHEMA app TO vc_pgtap_reader;
GRANT ALL ON SCHEMA public TO vc_pgtap_owner, vc_pgtap_reader, vc_pgtap_stranger;

SET ROLE vc_pgtap_owner;
SELECT vectorcoll.create_collection('app.docs', 3), vectorcoll.create_alias('app.docs', 'live') \gset
INSERT INTO app.docs SELECT i, ARRAY[i, 1, 1]::real[] FROM generate_series(1, 10) i;
GRANT SELECT ON app.docs, app.live TO vc_pgtap_reader;

SET ROLE vc_pgtap_stranger;
SELECT is_empty('SELECT FROM vectorcoll.list_collections()', 'a role without USAGE sees no collection');
SELECT is_empty('SELECT FROM vectorcoll.list_aliases()', 'no alias');
SELECT ok(NOT vectorcoll.has_collection('app.docs'), 'has none');
SELECT is(vectorcoll.get_load_state('app.docs'), 'NotExist', 'loads none');
SELECT throws_ok($$SELECT vectorcoll.describe_collection('app.docs')$$, 'VC100', NULL, 'describes none');
SELECT throws_ok($$SELECT * FROM vectorcoll.search('app.docs', '[1,2,3]')$$, 'VC100', NULL, 'searches none');
SELECT throws_ok($$SELECT vectorcoll.drop_collection('app.docs')$$, 'VC100', NULL, 'drops none');

SET ROLE vc_pgtap_reader;
SELECT results_eq('SELECT name FROM vectorcoll.list_collections()', $$VALUES ('docs')$$, 'a reader sees it');
SELECT is((SELECT count(*) FROM vectorcoll.search('app.live', '[1,2,3]')), 10::bigint, 'and searches it, by alias too');
SELECT throws_ok(q, '42501', NULL, q) FROM unnest(ARRAY[
    $$SELECT vectorcoll.drop_collection('app.docs')$$, $$SELECT vectorcoll.truncate_collection('app.docs')$$,
    $$SELECT vectorcoll.rename_collection('app.docs', 'x')$$, $$SELECT vectorcoll.add_collection_field('app.docs', '{"name": "a", "dtype": "text", "nullable": true}')$$,
    $$SELECT vectorcoll.alter_collection_properties('app.docs', '{"a": 1}')$$, $$SELECT vectorcoll.create_index('app.docs', 'vector')$$,
    $$SELECT vectorcoll.create_alias('app.docs', 'mine')$$, $$SELECT vectorcoll._set_alias('app.live'::regclass, 'app.docs'::regclass)$$,
    $$SELECT vectorcoll.drop_alias('app.live')$$, $$SELECT vectorcoll.create_partition('app.docs', 'p')$$, $$SELECT vectorcoll.release_collection('app.docs')$$,
    $$SELECT vectorcoll.acquire_lease('app.docs')$$, $$SELECT vectorcoll.insert('app.docs', '{"id": 99, "vector": [1,2,3]}')$$,
    $$SELECT vectorcoll.remove_records('app.docs', '{1}')$$, $$SELECT vectorcoll._lock_relation('app.docs'::regclass, 'ACCESS EXCLUSIVE')$$]) q;
SELECT throws_ok(q, '42501', NULL, q) FROM unnest(ARRAY[
    'SELECT FROM vectorcoll.collection_def', 'DELETE FROM vectorcoll.alias_def', 'SELECT FROM vectorcoll.lease', 'UPDATE vectorcoll.load_state SET state = $$Loaded$$',
    'SELECT FROM vectorcoll.event_log', $$DELETE FROM vectorcoll.collections$$,
    $$SELECT vectorcoll._redefine('app.docs'::regclass, NULL, '{"forged": true}')$$,
    $$SELECT vectorcoll._set_load_state('app.docs'::regclass, 'Loaded')$$,
    $$SELECT vectorcoll._emit('app.docs'::regclass, 'FORGED', '{}')$$]) q;
CREATE TABLE public.decoy (id bigint PRIMARY KEY, v vector(3));
SELECT throws_ok($$SELECT vectorcoll._register('public.decoy'::regclass, '{"fields": [{"name": "id", "dtype": "int64", "is_primary": true},
    {"name": "elsewhere", "dtype": "float_vector", "dim": 3}]}', '{}', '{}')$$, 'VC904', NULL, 'a definition must be true of its table');
SELECT throws_ok($$SELECT vectorcoll._set_alias('app.live'::regclass, 'public.decoy'::regclass)$$, '42501', NULL, 'no alias of others is redirected');
SELECT lives_ok($$SELECT vectorcoll.load_collection('app.docs', wait => true)$$, 'who may read may load');

-- A path full of traps: an operator and a function of the caller's that would run with the owner's rights if any path were left open.
SET ROLE vc_pgtap_stranger;
CREATE TABLE public.trapped (who text);
GRANT INSERT ON public.trapped TO PUBLIC;
CREATE FUNCTION public.trap(oid, oid) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.trapped VALUES (current_user); RETURN true; END $$;
CREATE OPERATOR public.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = public.trap);
CREATE FUNCTION public.format(text, VARIADIC text[]) RETURNS text LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.trapped VALUES (current_user); RETURN ''; END $$;
SET search_path = public, pg_catalog;
SELECT vectorcoll.create_collection('bait', 3) IS NOT NULL AS a, vectorcoll.create_alias('bait', 'bait_alias') AS b \gset
SELECT count(*) AS c FROM vectorcoll.search('bait_alias', '[1,2,3]') \gset
SELECT vectorcoll.load_collection('bait', wait => true) AS a, vectorcoll.release_collection('bait') AS b, vectorcoll.acquire_lease('bait') AS token \gset
SELECT vectorcoll.release_lease('bait', :token) AS a, vectorcoll.drop_collection('bait', safe => false) AS b \gset
RESET search_path;
RESET ROLE;
DROP OPERATOR public.= (oid, oid);
DROP FUNCTION public.format(text, text[]);
SELECT is((SELECT count(*) FROM public.trapped WHERE who <> 'vc_pgtap_stranger'), 0::bigint, 'no trap ran with other rights');

-- Row level security holds through functions and aliases.
ALTER TABLE app.docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON app.docs TO vc_pgtap_reader USING (id <= 3);
SET ROLE vc_pgtap_reader;
SELECT is((SELECT count(*) FROM vectorcoll.search('app.docs', '[1,2,3]')), 3::bigint, 'search');
SELECT is((SELECT count(*) FROM vectorcoll.search('app.live', '[1,2,3]')), 3::bigint, 'search by alias');
SELECT is((SELECT count(*) FROM app.live), 3::bigint, 'the alias as a view');
SELECT is(vectorcoll.get_collection_stats('app.docs')->>'row_count', '3', 'counts');
RESET ROLE;

-- Every function pins its path or is in C, or passes the caller's on with every name in it qualified; and none but the event triggers' runs with its owner's rights.
SELECT is_empty($$SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass
    AND d.deptype = 'e' WHERE p.pronamespace = 'vectorcoll'::regnamespace AND l.lanname NOT IN ('c', 'internal') AND coalesce(p.proconfig::text, '') NOT LIKE '%search_path=pg_catalog, pg_temp%'
    AND NOT (p.proname = 'search' AND p.prosrc LIKE '%vectorcoll.search(%pg_catalog.text%')$$,
    'search_path is pinned everywhere');
SELECT results_eq($$SELECT proname::text COLLATE "C" FROM pg_proc WHERE pronamespace = 'vectorcoll'::regnamespace AND prosecdef ORDER BY 1$$,
                  $$VALUES ('_on_alter' COLLATE "C"), ('_on_drop' COLLATE "C")$$, 'SECURITY DEFINER only in event triggers');

SELECT vectorcoll.drop_collection('app.docs', safe => false) \gset
DROP OWNED BY vc_pgtap_owner, vc_pgtap_reader, vc_pgtap_stranger;
DROP ROLE vc_pgtap_owner;
DROP ROLE vc_pgtap_reader;
DROP ROLE vc_pgtap_stranger;
SELECT finish();
