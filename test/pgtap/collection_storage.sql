-- Where a collection keeps its vectors: beside the row while a page holds it, out of line beyond.
SELECT plan(3);

SELECT vectorcoll.create_collection('narrow', dimension => 784) -> 'name' \g /dev/null
SELECT vectorcoll.create_collection('wide', dimension => 4000) -> 'name' \g /dev/null
SELECT vectorcoll.create_collection('sharded', '{"shard_num": 2, "fields": [{"name": "id", "dtype": "int64", "is_primary": true},
    {"name": "v", "dtype": "float_vector", "dim": 784}]}'::jsonb) -> 'name' \g /dev/null

CREATE FUNCTION pg_temp.toasted(relation regclass) RETURNS bigint LANGUAGE sql AS $$
    SELECT sum(pg_relation_size(c.reltoastrelid))::bigint FROM pg_class c
     WHERE c.oid = relation OR c.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = relation)
$$;

INSERT INTO narrow (id, vector) SELECT i, array_agg(random())::vector FROM generate_series(1, 20) i, generate_series(1, 784) GROUP BY i;
INSERT INTO wide (id, vector) SELECT i, array_agg(random())::vector FROM generate_series(1, 20) i, generate_series(1, 4000) GROUP BY i;
INSERT INTO sharded (id, v) SELECT i, array_agg(random())::vector FROM generate_series(1, 20) i, generate_series(1, 784) GROUP BY i;

SELECT is(pg_temp.toasted('narrow'), 0::bigint, 'vectors of 784 dimensions stay in the row');
SELECT is(pg_temp.toasted('sharded'), 0::bigint, 'in shards too');
SELECT cmp_ok(pg_temp.toasted('wide'), '>=', 20 * 16000::bigint, 'vectors of 4,000 dimensions are stored out of line');

SELECT * FROM finish();
