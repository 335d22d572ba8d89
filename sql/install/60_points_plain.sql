-- 60_points_plain.sql: insert in its plainest form, over the collection's own table.

-- data: one object or an array of them. Keys that are no field go to the dynamic field. Returns the number of rows.
CREATE FUNCTION vectorcoll.insert(name text, data jsonb) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid := vectorcoll._resolve_read(name);
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
