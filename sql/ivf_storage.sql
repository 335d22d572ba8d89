-- vc_ivf: what lists hold, codes or values alone, and by what rows are compared in the end.
SET client_min_messages = warning;
CREATE TABLE rows (id int, v vector(12));
CREATE FUNCTION point(i int) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
    SELECT ('[' || string_agg((((i % 40) * s * 7) % 5 + (i * s) % 1)::numeric(8, 6)::text, ',' ORDER BY s) || ']')::vector
    FROM unnest(ARRAY[0.414214, 0.732051, 0.236068, 0.645751, 0.316625, 0.605551, 0.123106, 0.358899, 0.795832, 0.385165,
                      0.567764, 0.082763]) s $$;
INSERT INTO rows SELECT i, point(i) FROM generate_series(1, 4000) i;

-- How many of the k nearest an index finds, over some queries, and whether they come as a sorted table scan has them.
CREATE FUNCTION answers(op text, k int, columns text = 'v', tab text = 'rows', OUT recall numeric, OUT ordered bool)
LANGUAGE plpgsql AS $$
DECLARE exact int[]; found int[]; command text; hits int := 0; distances float8[];
BEGIN
    ordered := true;
    FOR i IN 1..20 LOOP
        command := format('SELECT array_agg(id), array_agg(d) FROM (SELECT id, %2$s %3$s point(%4$s)%6$s AS d FROM %1$s ORDER BY 2 LIMIT %5$s) s',
            tab, columns, op, 100000 + i * 3, k, substring(columns FROM '::.*'));
        SET LOCAL enable_indexscan = off; SET LOCAL enable_seqscan = on;
        EXECUTE command INTO exact, distances;
        SET LOCAL enable_indexscan = on; SET LOCAL enable_seqscan = off;
        EXECUTE command INTO found, distances;
        hits := hits + (SELECT count(*) FROM unnest(exact) e WHERE e = ANY (found));
        ordered := ordered AND distances = (SELECT array_agg(d ORDER BY d) FROM unnest(distances) d);
    END LOOP;
    recall := hits / (20.0 * k);
END $$;

-- Every metric, with and without codes, with values in full and in half precision.
CREATE PROCEDURE try(op text, opclass text, options text, columns text = 'v') LANGUAGE plpgsql AS $$
DECLARE fresh record; later record; all_rows bool; enough numeric := CASE op WHEN '<#>' THEN 0.9 ELSE 0.95 END;
BEGIN
    EXECUTE format('CREATE INDEX tried ON rows USING vc_ivf ((%s) %s) WITH (lists = 20, %s)', columns, opclass, options);
    PERFORM vectorcoll.ivf_check('tried', true);
    PERFORM set_config('vc_ivf.target_recall', '0.99', true);
    fresh := answers(op, 10, columns);
    INSERT INTO rows SELECT i, point(i) FROM generate_series(4001, 5000) i;
    DELETE FROM rows WHERE id % 4 = 1;
    later := answers(op, 10, columns);
    PERFORM vectorcoll.ivf_check('tried', true);
    SET LOCAL enable_seqscan = off;
    EXECUTE format('SELECT count(*) = count(DISTINCT id) AND count(*) = (SELECT count(*) FROM rows) FROM
        (SELECT id FROM rows ORDER BY %s %s point(7)%s LIMIT 100000) s', columns, op, substring(columns FROM '::.*')) INTO all_rows;
    RAISE INFO '% %: fresh %, later %, in order %, all rows %', opclass, options, fresh.recall >= enough, later.recall >= enough,
        fresh.ordered AND later.ordered, all_rows;
    DROP INDEX tried;
    ROLLBACK;
END $$;
CALL try('<->', 'vector_l2_ops', 'storage = half');
CALL try('<#>', 'vector_ip_ops', 'storage = half');
CALL try('<=>', 'vector_cosine_ops', 'storage = half, bits = 4');
CALL try('<->', 'vector_l2_ops', 'storage = float, bits = 2');
CALL try('<->', 'vector_l2_ops', 'bits = 5');
CALL try('<=>', 'vector_cosine_ops', 'bits = 6');
CALL try('<#>', 'vector_ip_ops', 'storage = half, bits = 7');
CALL try('<->', 'vector_l2_ops', 'bits = 8, spill = on');
CALL try('<->', 'vector_l2_ops', 'quantization = none');
CALL try('<#>', 'vector_ip_ops', 'quantization = none');
CALL try('<=>', 'vector_cosine_ops', 'quantization = none, storage = ''float''');
CALL try('<->', 'vector_l2_ops', 'quantization = none, storage = half');
CALL try('<#>', 'vector_ip_ops', 'quantization = none, storage = half');
CALL try('<=>', 'vector_cosine_ops', 'quantization = none, storage = half');
CALL try('<->', 'halfvec_l2_ops', 'quantization = none', 'v::halfvec(12)');
CALL try('<=>', 'halfvec_cosine_ops', 'storage = half', 'v::halfvec(12)');
CALL try('<#>', 'halfvec_ip_ops', 'storage = float', 'v::halfvec(12)');
SELECT count(*) FROM rows;

-- Vacuum, slots used again, a rebuild, one list over few rows.
CREATE INDEX rows_v ON rows USING vc_ivf (v vector_l2_ops) WITH (lists = 20, storage = half, quantization = none);
DELETE FROM rows WHERE id % 3 = 0;
VACUUM rows;
INSERT INTO rows SELECT i, point(i) FROM generate_series(1, 4000) i WHERE i % 3 = 0;
SELECT vectorcoll.ivf_check('rows_v', true);
SELECT recall >= 0.95 AS recall, ordered FROM answers('<->', 10);
SET vc_ivf.target_recall = 1;
SELECT * FROM answers('<->', 100);
RESET vc_ivf.target_recall;
SELECT rows, lists, mean_error > 0 AS error, advice FROM vectorcoll.ivf_stats('rows_v');
ALTER INDEX rows_v SET (storage = float, quantization = rabitq);
REINDEX INDEX rows_v;
SELECT vectorcoll.ivf_check('rows_v', true);
SELECT recall >= 0.95 AS recall, ordered FROM answers('<->', 10);
CREATE TABLE empty (LIKE rows);
CREATE INDEX empty_v ON empty USING vc_ivf (v vector_l2_ops) WITH (quantization = none);
SELECT count(*) FROM (SELECT id FROM empty ORDER BY v <-> point(1) LIMIT 5) s;
INSERT INTO empty SELECT * FROM rows;
SELECT rows, lists > 1 AS trained FROM vectorcoll.ivf_stats('empty_v');
SELECT vectorcoll.ivf_check('empty_v', true);
SELECT recall >= 0.95 AS recall, ordered FROM answers('<->', 10, 'v', 'empty');

-- Without codes the build measures as well how many lists hold what is asked for, and no more are compared.
CREATE TABLE plain (id int, v vector(12));
INSERT INTO plain SELECT i, point(i * 17) FROM generate_series(1, 10000) i;
CREATE INDEX plain_v ON plain USING vc_ivf (v vector_l2_ops) WITH (lists = 60, quantization = none);
CREATE FUNCTION asked(target float8, OUT share numeric, OUT compared float8) LANGUAGE plpgsql AS $$
DECLARE before bigint := (SELECT distances FROM vectorcoll.scan_stats());
BEGIN
    PERFORM set_config('vc_ivf.target_recall', target::text, true);
    share := recall FROM answers('<->', 10, 'v', 'plain');
    compared := ((SELECT distances FROM vectorcoll.scan_stats()) - before) / 20.0 / 10000;
END $$;
SELECT target, share >= target AS enough, compared < most AS few FROM (VALUES (0.5, 0.15), (0.8, 0.25), (0.95, 0.5), (0.99, 0.8)) t (target, most), asked(target);
SELECT round(share, 2) AS share, compared FROM asked(1);
DROP TABLE plain;
DROP FUNCTION asked;

-- Values that half precision cannot tell apart, or has no number for: the table's decide.
CREATE TABLE close (id int, v vector(3));
INSERT INTO close SELECT i, ARRAY[1 + i * 1.2e-7, 1, 0]::vector FROM generate_series(0, 99) i;
INSERT INTO close SELECT 100 + i, ARRAY[0, i, 7e4 + i]::vector FROM generate_series(1, 20) i;
INSERT INTO close VALUES (200, '[3e38,-3e38,3e38]'), (201, '[1e-38,1e-45,0]'), (202, '[0,0,0]'), (203, '[65520,0,1e-8]');
CREATE PROCEDURE compare(op text, opclass text, options text, tolerance float8 = 0) LANGUAGE plpgsql AS $$
DECLARE same bool;
BEGIN
    EXECUTE format('CREATE INDEX tried ON close USING vc_ivf (v %s) WITH (storage = half, %s)', opclass, options);
    PERFORM vectorcoll.ivf_check('tried', true);
    SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off;
    EXECUTE format('SELECT bool_and(abs(a - b) <= %2$s OR a = b) FROM unnest(ARRAY[''[1,0,0]'', ''[-1,3,2]'', ''[1.00001,1,0]'', ''[70000,1,70000]'']::vector[]) q,
        LATERAL (SELECT array_agg(d) AS found FROM (SELECT v %1$s q AS d FROM close ORDER BY v %1$s q LIMIT 115) s) f,
        LATERAL (SELECT array_agg(d) AS exact FROM (SELECT d FROM (SELECT v %1$s q AS d FROM close OFFSET 0) t ORDER BY d LIMIT 115) s) e,
        unnest(found, exact) pair(a, b)', op, tolerance) INTO same;
    RAISE INFO '% %: %', opclass, options, same;
    DROP INDEX tried;
END $$;
CALL compare('<->', 'vector_l2_ops', 'lists = 1');
CALL compare('<->', 'vector_l2_ops', 'quantization = none, lists = 1');
CALL compare('<#>', 'vector_ip_ops', 'quantization = none, lists = 1');
CALL compare('<=>', 'vector_cosine_ops', 'quantization = none, lists = 1', 1e-6);

-- Values larger than a page, bits, nulls.
CREATE TABLE wide (id int, v vector(5001));
INSERT INTO wide SELECT i, (SELECT array_agg((i * j * 0.618034) % 1) FROM generate_series(1, 5001) j)::vector FROM generate_series(1, 60) i;
CREATE INDEX wide_v ON wide USING vc_ivf (v vector_l2_ops) WITH (lists = 2, quantization = none, storage = half);
SET enable_seqscan = off;
SELECT w.id, array(SELECT id FROM wide ORDER BY v <-> w.v LIMIT 1) FROM wide w WHERE id IN (1, 33, 60) ORDER BY 1;
SELECT vectorcoll.ivf_check('wide_v', true);
CREATE TABLE bits (id int, v bit(64));
INSERT INTO bits SELECT i, (i * 104729 * 7919::bigint)::bit(64) FROM generate_series(1, 2000) i;
INSERT INTO bits VALUES (0, NULL);
CREATE INDEX bits_v ON bits USING vc_ivf (v bit_hamming_ops) WITH (lists = 5, quantization = none);
SELECT array(SELECT v <~> 77::bigint::bit(64) FROM bits ORDER BY v <~> 77::bigint::bit(64) LIMIT 2000) =
       array(SELECT d FROM (SELECT v <~> 77::bigint::bit(64) AS d FROM bits WHERE v IS NOT NULL OFFSET 0) s ORDER BY d) AS hamming;
SELECT vectorcoll.ivf_check('bits_v', true);
SELECT count(*) FROM (SELECT id FROM bits ORDER BY v <~> NULL::bit LIMIT 10000) s;

-- What cannot be.
CREATE INDEX ON rows USING vc_ivf (v) WITH (storage = moon);
CREATE INDEX ON rows USING vc_ivf (v) WITH (quantization = moon);
CREATE INDEX ON rows USING vc_ivf (v) WITH (quantization = none, storage = heap);
CREATE INDEX ON rows USING vc_ivf (v) WITH (quantization = none, bits = 4);
DROP TABLE rows, empty, close, wide, bits;
DROP FUNCTION point(int), answers;
DROP PROCEDURE try, compare;
