-- Which plan the planner takes for ORDER BY distance LIMIT, and which one is the fastest: a record for each case, for report.pl.
-- psql variables: method (vc_hnsw or vc_ivf), rows (of the largest table), dim. Run by bench as its part "plans".
--
-- A case is a table's size, a condition, the share of rows that it lets pass, and a LIMIT. Each possible plan is forced and its
-- execution timed, the best of two to eight; then the planner chooses. Regret is the time of what it chose over the best time.
\set QUIET on
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
SET max_parallel_workers_per_gather = 0;
SET jit = off;
SET maintenance_work_mem = '2GB';
SELECT set_config('bench.method', :'method', false), set_config('bench.rows', :'rows', false), set_config('bench.dim', :'dim', false) \g /dev/null

-- Clustered values, 200 to a centre. A condition on f is unrelated to them and to where rows lie, one on g takes rows that lie together:
-- f < 100000 * share, or g <= size * share. (Written beside ORDER BY random(), random() * 99999 would be taken from what orders the rows.)
CREATE OR REPLACE PROCEDURE plans_fill(size int) LANGUAGE plpgsql AS $$
DECLARE dim int := current_setting('bench.dim');
BEGIN
    DROP TABLE IF EXISTS plans, plans_query;
    EXECUTE format('CREATE TABLE plans (id int, f int, g int GENERATED ALWAYS AS IDENTITY, v vector(%s))', dim);
    PERFORM setseed(0.5);
    INSERT INTO plans (id, f, v) SELECT i, f, array(SELECT c + random() * 0.5 FROM unnest(centre) c WHERE i > 0)::vector
        FROM (SELECT i, centre, random() * 99999 AS f FROM generate_series(0, size / 200) n, LATERAL (SELECT array(SELECT random() FROM generate_series(1, dim) d WHERE n >= 0) AS centre OFFSET 0) c,
              LATERAL generate_series(n * 200 + 1, least(n * 200 + 200, size)) i OFFSET 0) s ORDER BY random();
    CREATE INDEX plans_f ON plans (f);
    CREATE INDEX plans_g ON plans (g);
END $$;

-- Milliseconds and kind of the plan taken under some settings; nothing where a statement would take too long.
CREATE OR REPLACE FUNCTION plans_time(query text, settings text[], OUT ms float8, OUT cost float8, OUT taken text) LANGUAGE plpgsql AS $$
DECLARE setting text; plan json; node json;
BEGIN
    FOREACH setting IN ARRAY settings LOOP
        PERFORM set_config(setting, 'off', true);
    END LOOP;
    SET LOCAL statement_timeout = '20s';
    FOR i IN 1..8 LOOP
        EXECUTE 'EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) ' || query INTO plan;
        ms := least(ms, (plan -> 0 ->> 'Execution Time')::float8);
        EXIT WHEN ms > 10 AND i > 1;
    END LOOP;
    node := plan -> 0 -> 'Plan';
    cost := node ->> 'Total Cost';
    WHILE node -> 'Plans' IS NOT NULL LOOP
        node := node -> 'Plans' -> 0;
    END LOOP;
    taken := CASE WHEN node ->> 'Index Name' = 'plans_v' THEN current_setting('bench.method') WHEN node ->> 'Index Name' IN ('plans_f', 'plans_g') THEN 'btree' ELSE 'seqscan' END;
    FOREACH setting IN ARRAY settings LOOP
        PERFORM set_config(setting, 'on', true);
    END LOOP;
END $$;

CREATE OR REPLACE PROCEDURE plans_measure(keyed bool) LANGUAGE plpgsql AS $$
DECLARE
    size int := (SELECT count(*) FROM plans);
    method text := current_setting('bench.method');
    ordered bool; share float8; rows int; query text; t record; costs jsonb; chosen text; best record; own float8;
    ways jsonb;
BEGIN
    FOREACH ordered IN ARRAY ARRAY[false, true] LOOP
        FOREACH share IN ARRAY ARRAY[1, 0.1, 0.01, 0.001, 0.0001, 0.00001]::float8[] LOOP
            CONTINUE WHEN share * size < 0.5;
            FOREACH rows IN ARRAY ARRAY[1, 10, 100, 1000, 10000] LOOP
                CONTINUE WHEN rows > size;
                query := format('SELECT id FROM plans WHERE %s ORDER BY v <-> %L LIMIT %s', CASE WHEN ordered THEN 'g <= ' || (size * share)::int ELSE 'f < ' || (100000 * share)::int END,
                    (SELECT v FROM plans_query), rows);
                ways := '{}';
                costs := '{}';
                -- An index scan that serves no order is disabled by what the others need, and the other way round.
                FOR t IN SELECT w.* FROM (VALUES (ARRAY['enable_sort', 'enable_seqscan']), (ARRAY['enable_indexscan', 'enable_bitmapscan']),
                        (ARRAY['enable_seqscan', 'enable_indexscan'])) AS s (settings), plans_time(query, settings) w LOOP
                    ways := ways || jsonb_build_object(t.taken, least(t.ms, (ways ->> t.taken)::float8));
                    costs := costs || jsonb_build_object(t.taken, t.cost);
                END LOOP;
                SELECT * FROM plans_time(query, '{}') INTO t;
                chosen := t.taken;
                own := least(t.ms, (ways ->> t.taken)::float8);
                SELECT key, value::float8 AS ms FROM jsonb_each_text(ways) ORDER BY value::float8 LIMIT 1 INTO best;
                RAISE INFO USING MESSAGE = format(E'kind:plan\tindex:%s\tkeyed:%s\tordered:%s\trows:%s\tshare:%s\tlimit:%s\tchosen:%s\tbest:%s\tchosen_ms:%s\tbest_ms:%s\tregret:%s\tms:%s\tcosts:%s',
                    method, keyed::int, ordered::int, size, share, rows, chosen, best.key, round(own::numeric, 3), round(best.ms::numeric, 3), round((own / least(best.ms, own))::numeric, 2), ways, costs);
                COMMIT;
            END LOOP;
        END LOOP;
    END LOOP;
END $$;

CREATE OR REPLACE PROCEDURE plans_all() LANGUAGE plpgsql AS $$
DECLARE size int := 100;
BEGIN
    WHILE size <= current_setting('bench.rows')::int LOOP
        CALL plans_fill(size);
        CREATE TABLE plans_query AS SELECT v FROM plans LIMIT 1;
        EXECUTE format('CREATE INDEX plans_v ON plans USING %I (v vector_l2_ops)', current_setting('bench.method'));
        ANALYZE plans;
        COMMIT;
        CALL plans_measure(false);
        DROP INDEX plans_v;
        EXECUTE format('CREATE INDEX plans_v ON plans USING %I (v vector_l2_ops, f, g)', current_setting('bench.method'));
        COMMIT;
        CALL plans_measure(true);
        size := size * 10;
    END LOOP;
    DROP TABLE plans, plans_query;
END $$;
SET client_min_messages = info;
CALL plans_all();
DROP PROCEDURE plans_all;
DROP PROCEDURE plans_measure;
DROP PROCEDURE plans_fill;
DROP FUNCTION plans_time;
