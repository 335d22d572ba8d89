-- 60_points_plain.sql: insert and search in their plainest form, over the collection's own table.

-- data: one object or an array of them. Keys that are no field go to the dynamic field. Returns the number of rows.
CREATE FUNCTION vectorcoll.insert(name text, data jsonb) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid := vectorcoll._resolve(name);
    def jsonb;
    columns text;
    casts text;
    names text[];
    dynamic bool;
    n bigint;
BEGIN
    PERFORM vectorcoll._require(data, 'data');
    SELECT c.schema INTO def FROM vectorcoll.collections c WHERE c.relid = rel;
    dynamic := (def->>'enable_dynamic_field')::bool;
    IF jsonb_typeof(data) = 'object' THEN
        data := jsonb_build_array(data);
    END IF;
    SELECT string_agg(format('%I', f->>'name'), ', ' ORDER BY o),
           string_agg(CASE WHEN f->>'dtype' = 'json' THEN format('(e.value->%L)', f->>'name')
                           WHEN f->>'dtype' = 'array' THEN format('(SELECT array_agg(x) FROM jsonb_array_elements_text(e.value->%L) x)::%s',
                                                                  f->>'name', vectorcoll._sql_type(f))
                           ELSE format('(e.value->>%L)::%s', f->>'name', vectorcoll._sql_type(f)) END, ', ' ORDER BY o),
           array_agg(f->>'name')
      INTO columns, casts, names
      FROM jsonb_array_elements(def->'fields') WITH ORDINALITY AS e(f, o) WHERE f->'auto_id' = 'false';
    EXECUTE format('INSERT INTO %s (%s) SELECT %s FROM jsonb_array_elements($1) e', vectorcoll._ident(rel),
                   columns || CASE WHEN dynamic THEN ', "$meta"' ELSE '' END, casts || CASE WHEN dynamic THEN ', e.value - $2' ELSE '' END)
        USING data, names;
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END $$;

CREATE FUNCTION vectorcoll.search(name text, query @extschema@.vector, top_k int = 10, filter text = NULL, search_params jsonb = '{}',
                                  output_fields text[] = NULL, anns_field text = NULL, partition_names text[] = NULL, skip int = 0)
    RETURNS TABLE (id text, distance float8, score float8, entity jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid := vectorcoll._resolve(name);
    c record;
    f jsonb;
    key text;
    metric text;
    op text;
BEGIN
    IF filter IS NOT NULL OR partition_names IS NOT NULL THEN
        PERFORM vectorcoll._raise('VC110', 'filter and partition_names are not supported here', NULL, 'Query the table itself.');
    END IF;
    IF top_k NOT BETWEEN 1 AND 16384 OR skip < 0 THEN
        PERFORM vectorcoll._raise('VC110', 'top_k or skip is out of range', format('top_k is %s, skip is %s.', top_k, skip),
                                  'Use top_k from 1 to 16384 and skip from 0.');
    END IF;
    SELECT x.schema, x.field_options INTO c FROM vectorcoll.collections x WHERE x.relid = rel;
    SELECT e.value INTO f FROM jsonb_array_elements(c.schema->'fields') WITH ORDINALITY e
     WHERE e.value->>'dtype' = 'float_vector' AND (anns_field IS NULL OR e.value->>'name' = anns_field) ORDER BY e.ordinality LIMIT 1;
    SELECT e.value->>'name' INTO key FROM jsonb_array_elements(c.schema->'fields') e WHERE e.value->'is_primary' = 'true';
    metric := coalesce(search_params->>'metric_type', c.field_options->(f->>'name')->>'metric_type', 'COSINE');
    op := CASE upper(metric) WHEN 'L2' THEN '<->' WHEN 'IP' THEN '<#>' WHEN 'L1' THEN '<+>' ELSE '<=>' END;
    RETURN QUERY EXECUTE format(
        'SELECT s.%1$I::text, s.d, CASE %6$L WHEN ''IP'' THEN -s.d WHEN ''COSINE'' THEN 1 - s.d ELSE s.d END, e.e
           FROM (SELECT t.*, t.%2$I OPERATOR(@extschema@.%3$s) $1 AS d FROM %4$s t ORDER BY t.%2$I OPERATOR(@extschema@.%3$s) $1 LIMIT $2 OFFSET $3) s,
                LATERAL (SELECT coalesce(jsonb_object_agg(k.key, k.value), ''{}'') AS e FROM jsonb_each(%5$s) k
                          WHERE $4 IS NULL AND k.key <> %2$L OR k.key = ANY ($4)) e
          ORDER BY s.d', key, f->>'name', op, vectorcoll._ident(rel),
        CASE WHEN c.schema->'enable_dynamic_field' = 'true' THEN '(to_jsonb(s) - ''{d,$meta}''::text[]) || s."$meta"' ELSE 'to_jsonb(s) - ''d''' END,
        upper(metric)) USING query, top_k, skip, output_fields;
END $$;
