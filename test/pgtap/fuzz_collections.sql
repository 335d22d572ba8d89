-- Mutated schemas, filters, rows and parameters: whatever comes in, the answer is a result or an error that says what is wrong with it, and nothing
-- else changes. The parsers of filters have a fuzz target of their own (test/fuzz/filter.c); this goes on to the server, where filters are compiled
-- and run, and schemas become tables. A few seconds by default; for longer:
--     PGOPTIONS='-c fuzz.seconds=600 -c fuzz.seed=0.7' make pgtap
SET client_min_messages = warning;
SELECT plan(8);
CREATE FUNCTION setting(name text, fallback float8) RETURNS float8 LANGUAGE sql AS $$ SELECT coalesce(nullif(current_setting('fuzz.' || name, true), '')::float8, fallback) $$;
SELECT setseed(setting('seed', 2 * extract(epoch FROM clock_timestamp())::numeric % 1)) IS NULL AS seeded;
SELECT vectorcoll.create_collection('f', '{"enable_dynamic_field": true, "fields": [{"name": "id", "dtype": "int64", "is_primary": true},
    {"name": "name", "dtype": "varchar", "max_length": 50, "nullable": true}, {"name": "x", "dtype": "double", "nullable": true}, {"name": "ok", "dtype": "bool", "nullable": true},
    {"name": "n", "dtype": "int32", "nullable": true}, {"name": "tags", "dtype": "array", "element_type": "varchar", "max_length": 9, "max_capacity": 4, "nullable": true},
    {"name": "doc", "dtype": "json", "nullable": true}, {"name": "at", "dtype": "timestamptz", "nullable": true}, {"name": "u", "dtype": "uuid", "nullable": true},
    {"name": "v", "dtype": "float_vector", "dim": 2}, {"name": "s", "dtype": "sparse_float_vector", "nullable": true}, {"name": "b", "dtype": "binary_vector", "dim": 8, "nullable": true}]}'::jsonb) IS NOT NULL AS created;
SELECT vectorcoll.insert('f', '[{"id": 1, "v": [1, 0], "name": "lamp", "x": 1.5, "ok": true, "n": 7, "tags": ["a", "b"], "doc": {"k": [1, {"z": "q"}]}, "at": "2025-01-01T00:00:00Z", "free": 5},
    {"id": 2, "v": [0, 1], "free": "text", "doc": [1, 2]}, {"id": 3, "v": [1, 1], "name": "", "tags": [], "free": null, "b": "10101010", "s": {"3": 1}}]');

-- One to four edits: a stretch dropped, doubled, or replaced by a piece of something else.
CREATE FUNCTION mutated(good text, pieces text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    s text := good; a int; b int; piece text;
BEGIN
    FOR i IN 1 .. 1 + floor(random() * 4) LOOP
        a := 1 + floor(random() * (length(s) + 1));
        b := floor(random() * random() * 12);
        piece := pieces[1 + floor(random() * cardinality(pieces))];
        s := CASE floor(random() * 4) WHEN 0 THEN left(s, a - 1) || substr(s, a + b) WHEN 1 THEN left(s, a - 1 + b) || substr(s, a)
                 ELSE left(s, a - 1) || piece || substr(s, a + b) END;
    END LOOP;
    RETURN s;
END $$;

-- Runs mutations of the good ones in the template until time is up, though on a busy machine as many as it takes to see some refused and some
-- not. Returns what was raised beyond the codes expected, and how many ran.
CREATE FUNCTION fuzz(template text, good text[], pieces text[], expected text, seconds float8, OUT faults text, OUT runs bigint, OUT refused bigint) LANGUAGE plpgsql AS $$
DECLARE
    stop timestamptz := clock_timestamp() + make_interval(secs => seconds);
    bad text;
BEGIN
    runs := 0;
    refused := 0;
    WHILE clock_timestamp() < stop OR (runs <= 20 OR refused IN (0, runs)) AND runs < 2000 LOOP
        bad := mutated(good[1 + floor(random() * cardinality(good))], pieces);
        runs := runs + 1;
        BEGIN
            EXECUTE template USING bad;
            RAISE EXCEPTION USING ERRCODE = 'TF000'; -- it worked: take it back
        EXCEPTION
            WHEN SQLSTATE 'TF000' THEN NULL;
            WHEN OTHERS THEN
                refused := refused + 1;
                IF SQLSTATE !~ expected THEN
                    faults := concat_ws(E'\n', faults, format('%s %s: %s', SQLSTATE, SQLERRM, bad));
                END IF;
        END;
        EXIT WHEN length(faults) > 2000;
    END LOOP;
END $$;

CREATE FUNCTION pieces() RETURNS text[] LANGUAGE sql AS $$
    SELECT ARRAY['(', ')', '[', ']', '{', '}', '"', '''', ',', ':', '\', '%', '_', '.', '-', '*', '/', '**', '==', '<', '>=', '!=', ' and ', ' or ', ' not ', ' in ', ' like ', ' is null', 'exists ',
        'null', 'true', '0', '1', '-1', '1e400', '99999999999999999999', '0.1', '9223372036854775807', '-2147483648', 'NaN', '$meta', '$meta["k"]', 'id', 'name', 'x', 'ok', 'n', 'tags', 'doc', 'at', 'u',
        'v', 's', 'b', 'free', 'doc["k"][0]', '\u0000', '\ud800', 'ü', '漢', '😀', E'\n', 'ISO ', 'INTERVAL ', '"2025-01-01"', 'json_contains(', 'array_contains_any(', 'array_length(', 'text_match(',
        'phrase_match(', 'random_sample(', '"must": [', '"should": ', '"must_not": ', '"key": "', '"match": {"value": ', '"any": [', '"range": {"gt": ', '"is_empty": ', '"values_count": ', '"nested": ',
        '"has_id": [', '"name": ', '"dtype": ', '"int64"', '"varchar"', '"array"', '"float_vector"', '"dim": ', '"max_length": ', '"nullable": true', '"default_value": ', '"is_primary": true', '"shard_num": ',
        '"element_type": ', '"fields": [', 'select', '--', ';', '"; drop table f; --']
$$;

CREATE TABLE outcome AS
SELECT 'filters' AS what, o.* FROM fuzz($t$ SELECT vectorcoll.count('f', $1) $t$, ARRAY['id > 1 and name like "a%" or not ok', 'n in [1, 2, 3] and free == 5', 'doc["k"][1]["z"] == "q" or doc["k"][0] + 1 > 1.5',
    'json_contains(doc["k"], 1) and array_contains_any(tags, ["a", "b"])', 'at > ISO "2025-01-01T00:00:00Z" + INTERVAL "P1D"', '1 < x <= 5 and n % 2 == 1 and x ** 2 > -3', 'u == "00000000-0000-0000-0000-000000000000"',
    'text_match(name, "lamp red", minimum_should_match=1) and phrase_match(name, "a b", slop=2)', 'exists free and free is not null and array_length(tags) in [0, 2]'], -- arithmetic on a row's values that overflows or divides by zero is PostgreSQL's error
    pieces(), '^VC1[12]0|VC111|VC906|22003|22012', setting('seconds', 6) / 6) o
UNION ALL
SELECT 'json filters', o.* FROM fuzz($t$ SELECT vectorcoll.count('f', $1) $t$, ARRAY['{"must": [{"key": "n", "range": {"gt": 1, "lte": 9.5}}], "must_not": {"has_id": [1, 2]}}',
    '{"should": [{"key": "tags", "match": {"any": ["a", "b"]}}, {"key": "doc.k[]", "match": {"value": 1}}, {"key": "free", "match": {"except": [5, "x"]}}]}',
    '{"nested": {"key": "doc", "filter": {"must": [{"key": "k", "values_count": {"gte": 1}}]}}}', '{"min_should": {"min_count": 1, "conditions": [{"is_null": {"key": "x"}}, {"is_empty": {"key": "doc.k"}}, {"key": "ok", "match": {"value": true}}]}}',
    '{"must": [{"key": "name", "match": {"text": "lamp"}}, {"key": "at", "range": {"lt": "2026-01-01T00:00:00Z"}}, {"has_vector": "s"}]}'], pieces(), '^VC1[12]0|VC111|VC906', setting('seconds', 6) / 6) o
UNION ALL
SELECT 'rows', o.* FROM fuzz($t$ SELECT vectorcoll.insert('f', $1::jsonb) $t$, ARRAY['[{"id": 9, "v": [1, 0.5], "name": "a", "x": 1e3, "ok": false, "n": -7, "tags": ["a", null], "doc": {"k": []}, "at": "2025-01-01T00:00:00Z", "free": 5}]',
    '{"id": 8, "v": [1, 2], "u": "00000000-0000-0000-0000-000000000000", "b": [1,0,1,0,1,0,1,0], "s": {"indices": [1, 5], "values": [0.5, 2]}}', '[{"id": 5, "v": "[1,2]", "s": {"17": 0.5}, "b": "00001111", "$meta": {"q": 1}}]'],
    -- not JSON at all, and text that jsonb cannot hold, are PostgreSQL's own errors; so is a key that exists
    pieces(), '^VC1[12]0|VC111|22P02|22P05|22003|23505', setting('seconds', 6) / 6) o
UNION ALL
SELECT 'search_params', o.* FROM fuzz($t$ SELECT count(*) FROM vectorcoll.search('f', '[1,0]', search_params => $1::jsonb) $t$, ARRAY['{"metric_type": "COSINE", "ef": 64, "params": {"nprobe": 8, "radius": 0.1, "range_filter": 0.9}}',
    '{"vc_hnsw.ef_search": 50, "vc_ivf.probes": 3, "exact": true, "round_decimal": 3}', '{"hints": "iterative_filter", "vc_ivf.target_recall": 0.9}'], pieces(), '^VC110|VC111|22P02|22P05|22003', setting('seconds', 6) / 6) o
UNION ALL
SELECT 'hybrid requests', o.* FROM fuzz($t$ SELECT count(*) FROM vectorcoll.hybrid_search('f', $1::jsonb) $t$, ARRAY['[{"anns_field": "v", "data": [1, 0], "limit": 3, "filter": "id > 1"}, {"anns_field": "s", "data": {"3": 1}, "weight": 0.5}]',
    '[{"anns_field": "name", "data": "lamp"}, {"anns_field": "b", "data": "10101010", "search_params": {"ef": 10}}]'], pieces(), '^VC1[12]0|VC111|VC906|22P02|22P05|22003', setting('seconds', 6) / 6) o
UNION ALL
-- What validate_schema finds no fault in must make a collection; what it does must be VC105.
SELECT 'schemas', o.* FROM fuzz($t$ SELECT CASE WHEN (SELECT count(*) FROM vectorcoll.validate_schema($1::jsonb)) = 0 THEN vectorcoll.create_collection('made', $1::jsonb)->>'name'
                                     ELSE vectorcoll.schema_hash($1::jsonb) END $t$, ARRAY[
    '{"enable_dynamic_field": true, "shard_num": 2, "fields": [{"name": "id", "dtype": "int64", "is_primary": true, "auto_id": true}, {"name": "v", "dtype": "float_vector", "dim": 8}, {"name": "n", "dtype": "int32", "default_value": 5}]}',
    '{"description": "d", "num_partitions": 3, "fields": [{"name": "k", "dtype": "varchar", "max_length": 9, "is_primary": true}, {"name": "p", "dtype": "int64", "is_partition_key": true}, {"name": "b", "dtype": "binary_vector", "dim": 16}, {"name": "a", "dtype": "array", "element_type": "varchar", "max_length": 5, "max_capacity": 3, "default_value": ["x"]}]}',
    '{"fields": [{"name": "id", "dtype": "int64", "is_primary": true}, {"name": "s", "dtype": "sparse_float_vector", "nullable": true}, {"name": "h", "dtype": "float16_vector", "dim": 4}, {"name": "t", "dtype": "timestamptz", "default_value": "2025-01-01"}, {"name": "j", "dtype": "json", "default_value": {"a": 1}}]}'],
    pieces(), '^VC105|22P02|22P05|22003', setting('seconds', 6) / 6) o;
SELECT is(faults, NULL, format('%s: every fault is told as one', what)) FROM outcome;
SELECT ok(bool_and(runs > 20 AND refused > 0 AND refused < runs), string_agg(format('%s: %s mutations, %s refused', what, runs, refused), '; ')) FROM outcome;
SELECT is((SELECT jsonb_agg(entity ORDER BY id) FROM vectorcoll.query('f'))::text || (SELECT count(*) FROM vectorcoll.list_collections()),
    (SELECT jsonb_agg(entity ORDER BY id) FROM vectorcoll.get('f', '{1,2,3}'))::text || '1', 'and nothing else changed');
SELECT * FROM finish();
