-- hnsw_check and ivf_check say so where the table has a row that the index has not, if they are asked to look.
SET client_min_messages = warning;
CREATE TABLE halfway (id int, v vector(3));
INSERT INTO halfway SELECT i, ARRAY[i, i % 7, 1]::vector FROM generate_series(1, 50) i;
CREATE INDEX halfway_hnsw ON halfway USING vc_hnsw (v);
CREATE INDEX halfway_compact ON halfway USING vc_hnsw (v) WITH (storage = compact);
CREATE INDEX halfway_ivf ON halfway USING vc_ivf (v);
UPDATE pg_index SET indisready = false WHERE indrelid = 'halfway'::regclass;
INSERT INTO halfway VALUES (51, '[1,2,3]');
UPDATE pg_index SET indisready = true WHERE indrelid = 'halfway'::regclass;
SELECT vectorcoll.hnsw_check('halfway_hnsw'), vectorcoll.hnsw_check('halfway_compact'), vectorcoll.ivf_check('halfway_ivf');
SELECT vectorcoll.hnsw_check('halfway_hnsw', true);
SELECT vectorcoll.hnsw_check('halfway_compact', true);
SELECT vectorcoll.ivf_check('halfway_ivf', true);
REINDEX TABLE halfway;
SELECT vectorcoll.hnsw_check('halfway_hnsw', true), vectorcoll.hnsw_check('halfway_compact', true), vectorcoll.ivf_check('halfway_ivf', true);
DROP TABLE halfway;
