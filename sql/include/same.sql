-- Whether the index of items gives, in order, what a sequential scan gives: all rows that meet a condition, and no fewer than are asked for.
CREATE FUNCTION same(condition text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    near text := format('v <-> array_fill(0.5, ARRAY[%s])::vector', (SELECT atttypmod FROM pg_attribute WHERE attrelid = 'items'::regclass AND attname = 'v'));
    query text := format('SELECT id, %s AS d FROM items WHERE v IS NOT NULL AND (%s)', near, condition);
    line text; cond bool := false; filter bool := false; expected int[]; got int[]; few int; ordered bool;
BEGIN
    SET LOCAL enable_seqscan = on; SET LOCAL enable_indexscan = off;
    EXECUTE format('SELECT coalesce(array_agg(id ORDER BY id), ''{}'') FROM (%s) s', query) INTO expected;
    SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = on; SET LOCAL enable_sort = off;
    query := query || ' ORDER BY ' || near;
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        cond := cond OR line ~ 'Index Cond';
        filter := filter OR line ~ 'Filter';
    END LOOP;
    EXECUTE format('SELECT coalesce(array_agg(id ORDER BY id), ''{}'') FROM (%s LIMIT 100000) s', query) INTO got;
    EXECUTE format('SELECT count(*), coalesce(bool_and(d >= before), true) FROM (SELECT d, lag(d, 1, d) OVER () AS before FROM (%s LIMIT 10) s) s',
        query) INTO few, ordered;
    RETURN CASE WHEN NOT cond THEN 'no Index Cond' WHEN filter THEN 'Filter' WHEN got <> expected THEN
        format('%s rows instead of %s', cardinality(got), cardinality(expected)) WHEN few <> least(10, cardinality(expected))
        THEN few || ' rows' WHEN NOT ordered THEN 'wrong order' ELSE 'same' END;
END $$;
