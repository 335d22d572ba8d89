-- What the planner is told of distances: how long values are, and whether they have to be fetched from where they lie out of line.
SELECT plan(13);
SET client_min_messages = warning;
SELECT setseed(0.5);

-- The simple operators that an expression over a table's rows is thought to be worth.
SET seq_page_cost = 0;
SET cpu_tuple_cost = 0;
SET cpu_operator_cost = 1;
SET max_parallel_workers_per_gather = 0;
CREATE FUNCTION operators(expression text, name text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
    EXECUTE format('EXPLAIN (FORMAT JSON) SELECT %s FROM %I', expression, name) INTO plan;
    RETURN round(((plan -> 0 -> 'Plan' ->> 'Total Cost')::numeric / (plan -> 0 -> 'Plan' ->> 'Plan Rows')::numeric), 1);
END $$;
CREATE FUNCTION random_vector(dim int) RETURNS vector LANGUAGE sql VOLATILE AS $$ SELECT array_agg(random())::vector FROM generate_series(1, dim) $$;
CREATE FUNCTION q(dim int) RETURNS text LANGUAGE sql AS $$ SELECT quote_literal(array_fill(0.5, ARRAY[dim])::vector) $$;

CREATE TABLE narrow (v vector(32));
CREATE TABLE middle (v vector(400));
CREATE TABLE wide (v vector(768), w vector, h halfvec(1536), b bit(64000), s sparsevec(100000));
INSERT INTO narrow SELECT random_vector(32) FROM generate_series(1, 100);
INSERT INTO middle SELECT random_vector(400) FROM generate_series(1, 100);
INSERT INTO wide SELECT random_vector(768), random_vector(768), random_vector(1536)::halfvec, (SELECT string_agg((random() > 0.5)::int::text, '') FROM generate_series(1, 64000) d WHERE i > 0)::bit(64000), '{1:1,7:2}/100000'
    FROM generate_series(1, 20) i;
CREATE TABLE unknown AS SELECT v FROM wide;
ALTER TABLE unknown ALTER v TYPE vector(768);
ANALYZE narrow, middle, wide;

SELECT is(operators('v <-> ' || q(32), 'narrow'), 10.5::float8, 'a short value costs little more than the call');
SELECT is(operators('v <-> ' || q(400), 'middle'), 16.3::float8, 'a longer one more');
SELECT is(operators('v <-> ' || q(768), 'wide'), 342.0::float8, 'one that is stored out of line much more');
SELECT is(operators('v <=> ' || q(768), 'wide'), 342.0::float8, 'by any distance');
SELECT is(operators(q(768) || ' <#> v', 'wide'), 342.0::float8, 'on any side');
SELECT is(operators('l1_distance(v, ' || q(768) || ')', 'wide'), 342.0::float8, 'called as a function');
SELECT is(operators('v <-> NULL', 'wide'), 0::float8, 'not where it is never computed');
SELECT is(operators('w <-> ' || q(768), 'wide'), 342.0::float8, 'a column without dimensions has those of what it is compared with');
SELECT is(operators('v <-> w', 'wide'), 662.0::float8, 'both are fetched');
SELECT is(operators('h <-> ' || q(1536) || '::halfvec', 'wide'), 342.0::float8, 'halves count by their bytes');
SELECT is(operators('b <~> (SELECT b FROM wide LIMIT 1)', 'wide') > 500, true, 'bits too');
SELECT is(operators('s <-> ''{1:1,7:2}/100000''', 'wide') BETWEEN 10 AND 11, true, 'sparse values by what they have');
SELECT is(operators('v <-> ' || q(768), 'unknown'), 342.0::float8, 'before ANALYZE the dimensions tell where values lie');
SELECT * FROM finish();
