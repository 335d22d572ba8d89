-- Row level security against a caller who tries to see more: for every way to read, over every type of vector, by name and by alias, the answer is that
-- of a collection which has the visible rows only, scores included; errors tell nothing of hidden rows; and what the caller plants (operators,
-- functions, casts to a type of their own) is never asked, so it is shown no row at all.
SELECT plan(75);
SET client_min_messages = error;
DROP ROLE IF EXISTS vc_leak_owner, vc_leak_thief; -- of a run that was cut short
CREATE ROLE vc_leak_owner;
CREATE ROLE vc_leak_thief;
GRANT ALL ON SCHEMA public TO vc_leak_thief; -- the worst case: they may plant beside the vector types too
CREATE SCHEMA vault AUTHORIZATION vc_leak_owner;
CREATE SCHEMA lair AUTHORIZATION vc_leak_thief;
GRANT USAGE ON SCHEMA vault TO vc_leak_thief;
CREATE FUNCTION public.make(name text, rows int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM vectorcoll.create_collection(name, '{"enable_dynamic_field": true, "fields": [{"name": "id", "dtype": "int64", "is_primary": true}, {"name": "title", "dtype": "text"},
        {"name": "secret", "dtype": "int32"}, {"name": "v", "dtype": "float_vector", "dim": 3}, {"name": "h", "dtype": "float16_vector", "dim": 3},
        {"name": "s", "dtype": "sparse_float_vector"}, {"name": "b", "dtype": "binary_vector", "dim": 8}]}'::jsonb,
        '[{"field_name": "v", "index_type": "HNSW", "metric_type": "L2"}, {"field_name": "h", "index_type": "HNSW", "metric_type": "COSINE"},
          {"field_name": "s", "index_type": "HNSW", "metric_type": "IP"}, {"field_name": "b", "index_type": "HNSW", "metric_type": "HAMMING"}]');
    EXECUTE format('INSERT INTO %s SELECT i, ''word '' || i, i * 100, ARRAY[i, 1, 1]::real[], format(''[%%s,1,1]'', i)::public.halfvec, format(''{1:%%s,%%s:1}/1000000000'', i, i + 1)::public.sparsevec,
        i::bit(8), jsonb_build_object(''k'', i, ''parity'', i %% 2) FROM generate_series(1, %s) i', name, rows);
END $$;
SET ROLE vc_leak_owner;
SELECT public.make('vault.docs', 20), vectorcoll.create_alias('vault.docs', 'live') \gset
ALTER TABLE vault.docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON vault.docs TO vc_leak_thief USING (id <= 3);
GRANT SELECT, INSERT, UPDATE, DELETE ON vault.docs, vault.live TO vc_leak_thief;

-- What is planted. Everything tells a sequence, which a rollback does not take back, and a table.
SET ROLE vc_leak_thief;
SELECT public.make('lair.seen', 3) \gset
CREATE SEQUENCE lair.hits;
CREATE TABLE lair.loot (what text, a text, b text);
CREATE FUNCTION lair.take(what text, a text, b text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_catalog.nextval('lair.hits'); INSERT INTO lair.loot VALUES (what, a, b); END $$;
CREATE TYPE lair.thing AS (x text);
SET search_path = pg_catalog, public, lair;
DO $do$
DECLARE
    t text; op text; n int := 0;
BEGIN
    FOREACH t IN ARRAY ARRAY['vector', 'halfvec', 'sparsevec', 'bit', 'varbit', 'text', 'varchar', 'bigint', 'integer', 'numeric', 'real', 'double precision', 'jsonb', 'boolean', 'tsvector', 'tsquery', 'lair.thing'] LOOP
        FOREACH op IN ARRAY ARRAY['<->', '<#>', '<=>', '<+>', '<~>', '<%>'] LOOP
            n := n + 1;
            EXECUTE format('CREATE FUNCTION lair.f%s(a %s, b %2$s) RETURNS float8 LANGUAGE plpgsql AS $$ BEGIN PERFORM lair.take(%3$L, a::text, b::text); RETURN 0; END $$', n, t, t || op);
            EXECUTE format('CREATE OPERATOR lair.%s (LEFTARG = %s, RIGHTARG = %2$s, FUNCTION = lair.f%3$s)', op, t, n);
        END LOOP;
        FOREACH op IN ARRAY ARRAY['=', '<>', '<', '<=', '>', '>=', '@>', '~~', '@@'] LOOP
            n := n + 1;
            EXECUTE format('CREATE FUNCTION lair.f%s(a %s, b %2$s) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN PERFORM lair.take(%3$L, a::text, b::text); RETURN true; END $$', n, t, t || op);
            EXECUTE format('CREATE OPERATOR lair.%s (LEFTARG = %s, RIGHTARG = %2$s, FUNCTION = lair.f%3$s)', op, t, n);
        END LOOP;
        FOREACH op IN ARRAY ARRAY['->', '->>', '#>', '#>>', '||', '+', '-', '*', '/', '%'] LOOP
            n := n + 1;
            EXECUTE format('CREATE FUNCTION lair.f%s(a %s, b %2$s) RETURNS %2$s LANGUAGE plpgsql AS $$ BEGIN PERFORM lair.take(%3$L, a::text, b::text); RETURN a; END $$', n, t, t || op);
            EXECUTE format('CREATE OPERATOR lair.%s (LEFTARG = %s, RIGHTARG = %2$s, FUNCTION = lair.f%3$s)', op, t, n);
        END LOOP;
        FOREACH op IN ARRAY ARRAY['count', 'to_jsonb', 'jsonb_typeof', 'jsonb_array_length', 'length', 'cardinality', 'to_tsvector', 'plainto_tsquery', 'vector_dims', 'l2_norm', 'abs', 'float8', 'round'] LOOP
            n := n + 1;
            EXECUTE format('CREATE FUNCTION lair.%s(a %s) RETURNS %2$s LANGUAGE plpgsql AS $$ BEGIN PERFORM lair.take(%3$L, a::text, NULL); RETURN a; END $$', op, t, t || op);
        END LOOP;
        FOREACH op IN ARRAY ARRAY['l2_distance', 'inner_product', 'cosine_distance', 'ts_rank_cd', 'power', 'jsonb_extract_path'] LOOP
            n := n + 1;
            EXECUTE format('CREATE FUNCTION lair.%s(a %s, b %2$s) RETURNS float8 LANGUAGE plpgsql AS $$ BEGIN PERFORM lair.take(%3$L, a::text, b::text); RETURN 0; END $$', op, t, t || op);
        END LOOP;
        IF t IN ('vector', 'halfvec', 'sparsevec', 'jsonb', 'text', 'bigint') THEN
            EXECUTE format('CREATE FUNCTION lair.c%s(a %s) RETURNS lair.thing LANGUAGE plpgsql AS $$ BEGIN PERFORM lair.take(%3$L, a::text, NULL); RETURN ROW(a::text)::lair.thing; END $$', n, t, t || ' cast');
            EXECUTE format('CREATE CAST (%s AS lair.thing) WITH FUNCTION lair.c%s(%1$s) AS IMPLICIT', t, n);
        END IF;
    END LOOP;
END $do$;
-- Beside the types as well, where the names are still free.
CREATE FUNCTION public.spy(a public.vector, b lair.thing) RETURNS float8 LANGUAGE plpgsql AS $$ BEGIN PERFORM lair.take('public', a::text, b::text); RETURN 0; END $$;
CREATE OPERATOR public.<-> (LEFTARG = public.vector, RIGHTARG = lair.thing, FUNCTION = public.spy);
RESET search_path;
RESET ROLE;
SELECT cmp_ok((SELECT count(*) FROM pg_operator WHERE oprnamespace = 'lair'::regnamespace), '>', 400::bigint, 'much is planted');
-- A call along a path on which theirs come first, in the functions below alone, since pgTAP itself would not survive it: its answer, or the error it ends with.
SET ROLE vc_leak_thief;
CREATE FUNCTION lair.answer(q text) RETURNS text LANGUAGE plpgsql SET search_path = lair, pg_catalog, public AS $$
DECLARE result text; m text; d text; h text;
BEGIN
    EXECUTE pg_catalog.concat('SELECT pg_catalog.string_agg(x::pg_catalog.text, E''\n'') FROM vectorcoll.', q, ' x') INTO result;
    RETURN result;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
    RETURN pg_catalog.concat_ws(' | ', 'ERROR', SQLSTATE, m, d, h);
END $$;
CREATE FUNCTION lair.bitten() RETURNS float8 LANGUAGE sql SET search_path = lair, pg_catalog, public AS $$ SELECT '[1,2,3]'::public.vector <-> '[1,2,3]'::public.vector $$;
SELECT lair.bitten() AS zero \gset
SELECT results_eq('SELECT what, a FROM lair.loot', $$VALUES ('vector<->', '[1,2,3]')$$, 'and is found along the path');
SELECT setval('lair.hits', 1, false) \gset
TRUNCATE lair.loot;

-- Every read, as the thief. The answer over the rows they may see, in a collection of their own, is all they get.
CREATE TABLE lair.reads (q text);
INSERT INTO lair.reads VALUES
    ($$get('NAME', '{1,2,3,4,20}')$$), ($$get('NAME', '{1,10}', '{v,h,s,b,secret}')$$), ($$query('NAME')$$), ($$query('NAME', 'secret > 150 or k in [10, 11]', '{*}')$$), ($$query('NAME', '{"must": [{"key": "k", "range": {"gte": 2}}]}'::jsonb)$$),
    ($$scroll('NAME', 5)$$), ($$scroll('NAME', after => '2')$$), ($$scroll('NAME', 20, filter => 'title like "word%"')$$), ($$count('NAME')$$), ($$count('NAME', 'secret > 0')$$), ($$facet('NAME', 'title')$$), ($$facet('NAME', 'parity')$$),
    ($$search('NAME', '[20,1,1]', 20, anns_field => 'v')$$), ($$search('NAME', '[20,1,1]', 20, anns_field => 'v', filter => 'secret >= 200 and text_match(title, "word")', output_fields => '{*}')$$),
    ($$search('NAME', '[20,1,1]', 20, '{"must_not": [{"has_id": [1]}]}'::jsonb, anns_field => 'v')$$), ($$search('NAME', '[20,1,1]', 20, anns_field => 'h')$$), ($$search('NAME', '[20,1,1]'::public.halfvec::public.vector, 20, anns_field => 'h', search_params => '{"exact": true}')$$),
    ($$search('NAME', '[20,1,1]', 2, anns_field => 'v', skip => 2)$$), ($$search_sparse('NAME', '{1:1,5:9}/1000000000', 20)$$), ($$search_sparse('NAME', '{1:1,5:9}/1000000000', 20, search_params => '{"exact": true}', filter => 'k > 1')$$),
    ($$search_binary('NAME', B'00001010', 20)$$), ($$search_binary('NAME', B'00001010', 20, search_params => '{"exact": true}', output_fields => '{b}')$$),
    ($$search_batch('NAME', ARRAY['[20,1,1]', '[1,1,1]']::public.vector[], 20, anns_field => 'v')$$), ($$search_batch('NAME', ARRAY['[20,1,1]', '[2,1,1]']::public.vector[], 20, anns_field => 'h', filter => 'secret > 100')$$),
    ($$range_search('NAME', '[20,1,1]', radius => 1000, anns_field => 'v')$$), ($$range_search('NAME', '[20,1,1]', radius => 0.5, range_filter => 1, anns_field => 'h')$$), ($$search_text('NAME', 'word 10', 'title', 20)$$),
    ($$search_groups('NAME', '[20,1,1]', 'parity', group_size => 5, anns_field => 'v')$$), ($$search_groups('NAME', '[20,1,1]', 'title', anns_field => 'h', strict_group_size => true)$$), ($$search_iterator('NAME', '[20,1,1]', anns_field => 'v')$$),
    ($$search_iterator('NAME', '[20,1,1]', 2, anns_field => 'h')$$), ($$recommend('NAME', positive => '{1}', anns_field => 'v')$$), ($$recommend('NAME', positive => '{1}', negative => '{2}', strategy => 'best_score', anns_field => 'v')$$),
    ($$recommend('NAME', negative => '{1}', strategy => 'best_score', anns_field => 'h')$$), ($$recommend('NAME', positive_vectors => ARRAY['[20,1,1]']::public.vector[], top_k => 20, anns_field => 'h')$$);
INSERT INTO lair.reads SELECT format($$hybrid_search('NAME', '[{"anns_field": "v", "data": [20,1,1], "limit": 20}, {"anns_field": "h", "data": [20,1,1], "limit": 20}, {"anns_field": "s", "data": {"0": 1, "4": 9}, "limit": 20},
    {"anns_field": "b", "data": "00001010", "limit": 20}, {"anns_field": "title", "data": "word", "limit": 20, "filter": "secret > 0"}]', %L, 20)$$, rerank) FROM unnest(ARRAY['rrf', 'weighted', 'dbsf']) rerank;
-- The session has run all of them for one who sees every row, so their plans are there to be mistaken for the thief's.
RESET ROLE;
CREATE FUNCTION public.rows_of(q text) RETURNS bigint LANGUAGE plpgsql AS $$ DECLARE n bigint; BEGIN EXECUTE 'SELECT count(*) FROM vectorcoll.' || q INTO n; RETURN n; END $$;
SELECT cmp_ok((SELECT sum(public.rows_of(replace(q, 'NAME', 'vault.docs')) + public.rows_of(replace(q, 'NAME', 'vault.live'))) FROM lair.reads), '>', 800::numeric, 'who may see all rows sees them');
SET ROLE vc_leak_thief;
SELECT is(lair.answer(replace(q, 'NAME', 'vault.docs')) || E'\n' || lair.answer(replace(q, 'NAME', 'vault.live')), lair.answer(replace(q, 'NAME', 'lair.seen')) || E'\n' || lair.answer(replace(q, 'NAME', 'lair.seen')), q) FROM lair.reads;
SELECT is_empty($$SELECT q, lair.answer(replace(q, 'NAME', 'lair.seen')) FROM lair.reads WHERE coalesce(lair.answer(replace(q, 'NAME', 'lair.seen')), 'ERROR') ~ '^ERROR'$$, 'each of them is an answer, and no error');

-- Errors as a way to see: a condition that fails on hidden rows only does not fail, and a hidden example is one that is not there.
SELECT unalike(lair.answer(q), 'ERROR%', q) FROM unnest(ARRAY[
    $$query('vault.docs', '1 / (secret - 1000) > -9')$$, $$count('vault.docs', 'k / (k - 10) > -9')$$, $$search('vault.docs', '[10,1,1]', 20, '1 / (secret - 1000) > -9', anns_field => 'v')$$,
    $$search_sparse('vault.docs', '{1:1}/1000000000', 20, '1 / (secret - 1000) > -9')$$, $$search_binary('vault.docs', B'00001010', 20, '1 / (secret - 1000) > -9')$$,
    $$search_batch('vault.docs', ARRAY['[10,1,1]']::public.vector[], 20, '1 / (secret - 1000) > -9', anns_field => 'h')$$, $$search_groups('vault.docs', '[10,1,1]', 'parity', 20, '1 / (secret - 1000) > -9', anns_field => 'v')$$,
    $$search_iterator('vault.docs', '[10,1,1]', 20, '1 / (secret - 1000) > -9', anns_field => 'v')$$, $$recommend('vault.docs', '{1}', '{}', 20, '1 / (secret - 1000) > -9', anns_field => 'v')$$,
    $$hybrid_search('vault.docs', '[{"anns_field": "v", "data": [10,1,1]}, {"anns_field": "s", "data": {"0": 1}}, {"anns_field": "title", "data": "word"}]', filter => '1 / (secret - 1000) > -9')$$,
    $$range_search('vault.docs', '[10,1,1]', 100, filter => '1 / (secret - 1000) > -9', anns_field => 'v')$$, $$scroll('vault.docs', 20, filter => '1 / (secret - 1000) > -9')$$, $$facet('vault.docs', 'k', 20, '1 / (secret - 1000) > -9')$$]) q;
SELECT alike(lair.answer($$query('vault.docs', '1 / (secret - 200) > -9')$$), 'ERROR | 22012%', 'as it would on a row that is seen');
SELECT is(lair.answer($$recommend('vault.docs', '{10}', anns_field => 'v')$$), lair.answer($$recommend('vault.docs', '{99}', anns_field => 'v')$$), 'a hidden example is told as one that is not there');
SELECT alike(lair.answer($$recommend('vault.docs', '{10}', anns_field => 'v')$$), 'ERROR | VC110%', 'as an error');

-- A walk that another role began in this transaction goes on with the rows the next one may see.
BEGIN;
SET ROLE vc_leak_owner;
CREATE TEMP TABLE steps AS SELECT * FROM vectorcoll.search_iterator('vault.docs', '[1,1,1]', 2, anns_field => 'v');
GRANT SELECT ON steps TO PUBLIC;
SET ROLE vc_leak_thief;
SELECT is(lair.answer(format($$search_iterator('vault.docs', '[1,1,1]', 20, anns_field => 'v', state => %L, output_fields => '{}')$$, (SELECT state_after FROM steps OFFSET 1))) ~ '^\(3,2,2,{},"?2:3"?\)$', true, 'a state taken over from another role shows no more');
ROLLBACK;
SET ROLE vc_leak_thief;

-- Writes reach no hidden row, and take nothing from one.
SELECT is(lair.answer(q), '0', q) FROM unnest(ARRAY[$$delete('vault.docs', '{10}')$$, $$set_payload('vault.docs', '{"k": 0}', '{10}')$$, $$clear_payload('vault.live', '{10}')$$, $$delete_payload('vault.docs', '{k}', filter => 'k > 3')$$,
    $$overwrite_payload('vault.docs', '{"secret": 0, "title": "x"}', '{10}')$$, $$delete('vault.live', filter => 'secret > 300')$$, $$remove_records('vault.docs', '{10}')$$,
    $$upsert('vault.docs', '{"id": 10, "title": "x", "secret": 0, "v": [1,1,1], "h": [1,1,1], "s": {}, "b": "00000000"}', 'update_only')$$]) q;
SELECT alike(lair.answer(q), 'ERROR | 42501%', q) FROM unnest(ARRAY[
    $$upsert('vault.docs', '{"id": 10, "title": "x", "secret": 0, "v": [1,1,1], "h": [1,1,1], "s": {}, "b": "00000000"}')$$,
    $$upsert('vault.docs', '{"id": 10, "title": "x", "secret": 0, "v": [1,1,1], "h": [1,1,1], "s": {}, "b": "00000000"}', 'insert_only')$$,
    $$insert('vault.live', '{"id": 99, "title": "x", "secret": 0, "v": [1,1,1], "h": [1,1,1], "s": {}, "b": "00000000"}')$$]) q;
SELECT alike(lair.answer($$upsert('vault.docs', '{"id": 10, "title": "x"}', partial_update => true)$$), 'ERROR | VC111%', 'a hidden row is not there to be completed');
SELECT is(lair.answer($$upsert('vault.live', '{"id": 2, "title": "word 2"}', partial_update => true)$$), '1', 'as one that is seen is');

SELECT is((SELECT is_called FROM lair.hits), false, 'and nothing planted was ever asked');
SELECT is_empty('SELECT * FROM lair.loot', 'so it has seen nothing');
SET ROLE vc_leak_owner;
SELECT is((SELECT count(*)::text || ' ' || sum(secret) || ' ' || sum(("$meta"->>'k')::int) FROM vault.docs), '20 21000 210', 'the rows are as they were');
RESET ROLE;
DROP SCHEMA lair CASCADE;
DROP SCHEMA vault CASCADE;
DROP OWNED BY vc_leak_owner, vc_leak_thief CASCADE;
DROP ROLE vc_leak_owner, vc_leak_thief;
SELECT finish();
