-- vectorcoll.index_recall: how many of the true nearest neighbours an index finds, measured on a sample of the table's own rows.

-- The k nearest distances to a query, as the planner finds them under the settings of the function that asks, whatever those of the session.
CREATE FUNCTION vectorcoll._nearest_by_scan(query text, q anyelement, k int) RETURNS float8[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = on SET enable_sort = on SET enable_indexscan = off SET enable_indexonlyscan = off SET enable_bitmapscan = off AS $$
DECLARE nearest float8[];
BEGIN
    EXECUTE query INTO nearest USING q, k;
    RETURN nearest;
END $$;

CREATE FUNCTION vectorcoll._nearest_by_index(query text, q anyelement, k int) RETURNS float8[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
    SET enable_indexscan = on SET enable_seqscan = off SET enable_sort = off AS $$
DECLARE nearest float8[];
BEGIN
    EXECUTE query INTO nearest USING q, k;
    RETURN nearest;
END $$;

CREATE FUNCTION vectorcoll.index_recall(index regclass, sample int DEFAULT 100, k int DEFAULT 10) RETURNS float8
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    i record;
    query text;
    q record;
    rows float8;
    hits bigint := 0;
    wanted bigint := 0;
BEGIN
    IF index IS NULL OR sample IS NULL OR sample < 1 OR k IS NULL OR k < 1 THEN
        RAISE EXCEPTION 'index, sample and k must be given, sample and k at least 1' USING ERRCODE = '22023';
    END IF;
    SELECT x.indrelid::regclass AS tab, pg_get_indexdef(x.indexrelid, 1, true) AS value, am.amname,
           format('OPERATOR(%I.%s)', n.nspname, o.oprname) AS operator,
           pg_get_expr(x.indpred, x.indrelid) AS predicate, c.relname, t.reltuples
        INTO i
        FROM pg_index x
        JOIN pg_class c ON c.oid = x.indexrelid
        JOIN pg_class t ON t.oid = x.indrelid
        JOIN pg_am am ON am.oid = c.relam
        JOIN pg_opclass oc ON oc.oid = x.indclass[0]
        JOIN pg_amop ao ON ao.amopfamily = oc.opcfamily AND ao.amoppurpose = 'o' AND ao.amopstrategy = 1
        JOIN pg_operator o ON o.oid = ao.amopopr
        JOIN pg_namespace n ON n.oid = o.oprnamespace
        WHERE x.indexrelid = index;
    IF NOT FOUND OR i.amname NOT IN ('vc_hnsw', 'vc_ivf') THEN
        RAISE EXCEPTION '"%" is not a vc_hnsw or vc_ivf index', index USING ERRCODE = '42809';
    END IF;

    -- The index must be one that queries on its table can use, whatever else the planner could choose.
    query := format('SELECT array(SELECT (%1$s) %2$s $1 FROM %3$s WHERE %4$s ORDER BY (%1$s) %2$s $1 LIMIT $2)',
                    i.value, i.operator, i.tab, coalesce(i.predicate, '(' || i.value || ') IS NOT NULL'));
    EXECUTE format('SELECT count(*) FROM %s', i.tab) INTO rows;
    -- One more than k, because the sampled row itself is among them and would always be found. Values do not come out of the statement: what
    -- PL/pgSQL has planned for those of one type fails for those of another.
    FOR q IN EXECUTE format('SELECT vectorcoll._nearest_by_scan($1, s.v, $2) AS exact, vectorcoll._nearest_by_index($1, s.v, $2) AS nearest
                               FROM (SELECT (%s) AS v FROM %s TABLESAMPLE BERNOULLI (%s) WHERE %s LIMIT %s) s', i.value, i.tab,
                            least(100, 100.0 * 1.5 * sample / greatest(rows, 1)),
                            coalesce(i.predicate, '(' || i.value || ') IS NOT NULL'), sample) USING query, k + 1 LOOP
        wanted := wanted + cardinality(q.exact) - 1;
        -- A neighbour is found when its distance is at most the last true one's; of equal ones any will do.
        hits := hits + (SELECT count(*) FROM unnest(q.nearest) d WHERE d <= q.exact[cardinality(q.exact)]) - 1;
    END LOOP;
    RETURN CASE WHEN wanted > 0 THEN hits / wanted::float8 END;
END $$;
COMMENT ON FUNCTION vectorcoll.index_recall(regclass, int, int) IS
    'share of the k nearest neighbours that searches through the index find, over a sample of the table''s rows';
