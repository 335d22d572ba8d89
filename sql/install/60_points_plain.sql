-- 60_points_plain.sql: insert and upsert in their plainest form, over the collection's own table.

CREATE FUNCTION vectorcoll._write_points(rel oid, data jsonb, replace bool) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    def jsonb;
    columns text[];
    casts text;
    keys text;
    dynamic bool;
    n bigint;
BEGIN
    PERFORM vectorcoll._require(data, 'data');
    SELECT c.schema INTO def FROM vectorcoll.collections c WHERE c.relid = rel;
    dynamic := (def->>'enable_dynamic_field')::bool;
    IF jsonb_typeof(data) = 'object' THEN
        data := jsonb_build_array(data);
    END IF;
    SELECT string_agg(CASE WHEN f->>'dtype' = 'json' THEN format('(e.value->%L)', f->>'name')
                           WHEN f->>'dtype' = 'array' THEN format('(SELECT array_agg(x) FROM jsonb_array_elements_text(e.value->%L) x)::%s',
                                                                  f->>'name', vectorcoll._sql_type(f))
                           ELSE format('(e.value->>%L)::%s', f->>'name', vectorcoll._sql_type(f)) END, ', ' ORDER BY o),
           array_agg(f->>'name' ORDER BY o)
      INTO casts, columns
      FROM jsonb_array_elements(def->'fields') WITH ORDINALITY AS e(f, o) WHERE f->'auto_id' = 'false';
    SELECT string_agg(quote_ident(a.attname), ', ') INTO keys
      FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) WHERE i.indrelid = rel AND i.indisprimary;
    EXECUTE format('INSERT INTO %s (%s) SELECT %s FROM jsonb_array_elements($1) e', vectorcoll._ident(rel),
                   (SELECT string_agg(quote_ident(c), ', ' ORDER BY o) FROM unnest(columns || CASE WHEN dynamic THEN '{$meta}' ELSE '{}'::text[] END)
                           WITH ORDINALITY AS u(c, o)), casts || CASE WHEN dynamic THEN ', e.value - $2' ELSE '' END)
            || CASE WHEN replace THEN format(' ON CONFLICT (%s) DO UPDATE SET %s', keys,
                   (SELECT string_agg(format('%I = excluded.%1$I', c), ', ') FROM unnest(columns || CASE WHEN dynamic THEN '{$meta}' ELSE '{}'::text[] END) c))
               ELSE '' END
        USING data, columns;
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END $$;

-- data: one object or an array of them. Keys that are no field go to the dynamic field. Returns the number of rows.
CREATE FUNCTION vectorcoll.insert(name text, data jsonb) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid := vectorcoll._resolve_read(name);
BEGIN
    RETURN vectorcoll._write_points(rel, data, false);
END $$;

CREATE FUNCTION vectorcoll.upsert(name text, data jsonb) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid := vectorcoll._resolve_read(name);
BEGIN
    RETURN vectorcoll._write_points(rel, data, true);
END $$;
