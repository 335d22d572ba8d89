-- vc_hnsw with storage = compact returns rows whose place the codes decide without fetching their values. Their order is exact all the same.
SET enable_seqscan = off;
SET jit = off; -- or costs of a disabled scan have each statement compiled, which takes longer than all else here
SELECT setseed(0.25);

-- What LIMIT 10 gives for values of the table as queries: whether rows come in order of their exact distances (in float), and whether
-- that took fewer distances than the same from knn_batch, which returns them and so needs all.
CREATE FUNCTION look(operator text, OUT rows bigint, OUT in_order boolean, OUT spared boolean) LANGUAGE plpgsql AS $$
DECLARE
    query record;
    d float8[];
    before bigint;
    computed bigint := 0;
BEGIN
    rows := 0;
    in_order := true;
    FOR query IN SELECT v FROM plain WHERE id % 50 = 0 ORDER BY id
    LOOP
        EXECUTE format('SELECT array_agg((SELECT v FROM plain t WHERE t.id = x.id) %1$s $1 ORDER BY place)
                        FROM (SELECT id, row_number() OVER () AS place FROM (SELECT id FROM plain ORDER BY v %1$s $1 LIMIT 10) y) x', operator)
            INTO d USING query.v;
        rows := rows + cardinality(d);
        in_order := in_order AND (SELECT bool_and(d[i] >= d[i - 1] * (1 - sign(d[i - 1]) * 1e-7)) FROM generate_series(2, cardinality(d)) i);
        computed := computed + (SELECT last_distances FROM vectorcoll.scan_stats());
    END LOOP;
    before := (SELECT distances FROM vectorcoll.scan_stats());
    PERFORM FROM (SELECT array_agg(v ORDER BY id) AS queries FROM plain WHERE id % 50 = 0) a, LATERAL vectorcoll.knn_batch('plain_v', a.queries, 10);
    spared := computed < (SELECT distances FROM vectorcoll.scan_stats()) - before - rows / 5;
END $$;

CREATE TABLE plain (id int PRIMARY KEY, v vector(96)) WITH (autovacuum_enabled = off);
INSERT INTO plain SELECT i, array(SELECT random() - 0.5 + i * 0 FROM generate_series(1, 96))::vector FROM generate_series(1, 4000) i;
CREATE INDEX plain_v ON plain USING vc_hnsw (v vector_l2_ops) WITH (storage = compact);
SELECT * FROM look('<->');
DROP INDEX plain_v;
CREATE INDEX plain_v ON plain USING vc_hnsw (v vector_cosine_ops) WITH (storage = compact);
SELECT * FROM look('<=>');
DROP INDEX plain_v;
CREATE INDEX plain_v ON plain USING vc_hnsw (v vector_ip_ops) WITH (storage = compact);
SELECT * FROM look('<#>');

-- Whoever asks for distances gets them.
SELECT count(*), bool_and(abs(k.distance - (p.v <#> q.v)) < 1e-5) AS exact
FROM (SELECT array_agg(v ORDER BY id) AS queries FROM plain WHERE id % 100 = 0) a,
     LATERAL vectorcoll.knn_batch('plain_v', a.queries, 10) k
     JOIN plain q ON q.id = 100 * k.query_no JOIN plain p ON p.ctid = k.ctid;

DROP FUNCTION look;
DROP TABLE plain;
