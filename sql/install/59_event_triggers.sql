-- 59_event_triggers.sql: DDL by hand keeps the registry true.
--
-- These run with the rights of the extension's owner, since whoever may drop or rename a table need not be able to
-- write the registry. They take nothing from the caller but what the server says was done.

CREATE FUNCTION vectorcoll._on_drop() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM vectorcoll.alias_def a USING pg_event_trigger_dropped_objects() d
     WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0 AND a.relid = d.objid;
    DELETE FROM vectorcoll.load_state l USING pg_event_trigger_dropped_objects() d
     WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0 AND l.relid = d.objid;
    DELETE FROM vectorcoll.lease l USING pg_event_trigger_dropped_objects() d
     WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0 AND l.relid = d.objid;
    DELETE FROM vectorcoll.collection_def c USING pg_event_trigger_dropped_objects() d
     WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0 AND c.relid = d.objid;
END $$;

-- Makes the definition of a collection agree with its table after ALTER TABLE. renamed: the column that was given a
-- new name, if that is what was done. A table left without a legal schema is a collection no more.
CREATE FUNCTION vectorcoll._follow_columns(relid oid, renamed smallint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    def record;
    old_name text;
    new_name text;
    fields jsonb;
    options jsonb;
    new_schema jsonb;
BEGIN
    SELECT d.schema, d.field_options INTO def FROM vectorcoll.collection_def d WHERE d.relid = _follow_columns.relid;
    fields := def.schema->'fields';
    options := def.field_options;
    IF renamed > 0 THEN
        SELECT a.attname INTO new_name FROM pg_attribute a WHERE a.attrelid = _follow_columns.relid
                AND a.attnum = renamed;
        SELECT f->>'name' INTO old_name FROM jsonb_array_elements(fields) f
         WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = _follow_columns.relid
                 AND a.attname = f->>'name' AND NOT a.attisdropped);
        IF old_name IS NOT NULL THEN
            SELECT jsonb_agg(CASE WHEN f->>'name' = old_name THEN f || jsonb_build_object('name',
                    new_name) ELSE f END ORDER BY n)
              INTO fields FROM jsonb_array_elements(fields) WITH ORDINALITY AS e(f, n);
            IF options ? old_name THEN
                options := (options - old_name) || jsonb_build_object(new_name, options->old_name);
            END IF;
        END IF;
    END IF;
    -- A field stays as it was declared while the column has its type; otherwise its type is read off the column.
    SELECT jsonb_agg(CASE WHEN n IS NULL THEN jsonb_build_object('description', '', 'is_primary', false, 'auto_id',
            false, 'is_partition_key', false)
                                              || c.seen || jsonb_build_object('name', a.attname, 'nullable',
                                                      NOT a.attnotnull)
                          WHEN c.seen - 'max_capacity' = (f - ARRAY['name', 'description', 'is_primary', 'auto_id',
                                  'is_partition_key', 'nullable',
                                                                    'default_value', 'max_capacity'])
                               OR f->>'dtype' = 'int8' AND c.seen->>'dtype' = 'int16' OR f->>'element_type' = 'int8'
                                       AND c.seen->>'element_type' = 'int16'
                          THEN f || jsonb_build_object('nullable', NOT a.attnotnull)
                          ELSE (f - ARRAY['dim', 'max_length', 'element_type', 'max_capacity',
                                  'default_value']) || c.seen
                               || jsonb_build_object('nullable', NOT a.attnotnull) END
                     ORDER BY n NULLS LAST, a.attnum)
      INTO fields
      FROM pg_attribute a LEFT JOIN jsonb_array_elements(fields) WITH ORDINALITY AS e(f, n) ON f->>'name' = a.attname,
           LATERAL (SELECT vectorcoll._field_of_column(_follow_columns.relid, a.attnum,
                   f->'is_primary' = 'true') AS seen) c
     WHERE a.attrelid = _follow_columns.relid AND a.attnum > 0 AND NOT a.attisdropped AND a.attname NOT IN ('$meta',
             '$partition') AND c.seen IS NOT NULL
       AND (n IS NOT NULL OR a.attname ~ '^[A-Za-z_][A-Za-z0-9_]*$' AND NOT vectorcoll._is_reserved(a.attname));
    new_schema := def.schema || jsonb_build_object('fields', coalesce(fields, '[]'), 'enable_dynamic_field', EXISTS (
        SELECT FROM pg_attribute a WHERE a.attrelid = _follow_columns.relid AND a.attname = '$meta'
                AND NOT a.attisdropped));
    SELECT coalesce(jsonb_object_agg(o.key, o.value), '{}') INTO options FROM jsonb_each(options) o
     WHERE o.key IN (SELECT f->>'name' FROM jsonb_array_elements(fields) f);
    IF new_schema = def.schema AND options = def.field_options THEN
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM vectorcoll.validate_schema(new_schema)) THEN
        RAISE WARNING USING MESSAGE = format('table "%s" is no longer a collection', vectorcoll._qualified(relid)),
            DETAIL = (SELECT string_agg(v.message, '; ') FROM vectorcoll.validate_schema(new_schema) v),
            HINT = 'Give it a vector field and a primary key and call vectorcoll.adopt_table.';
        DELETE FROM vectorcoll.collection_def d WHERE d.relid = _follow_columns.relid;
        RETURN;
    END IF;
    UPDATE vectorcoll.collection_def d SET schema = new_schema, schema_hash = vectorcoll.schema_hash(new_schema),
            field_options = options
     WHERE d.relid = _follow_columns.relid;
END $$;

CREATE FUNCTION vectorcoll._on_alter() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE vectorcoll.collection_def d SET nspname = n.nspname, relname = c.relname
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.oid = d.relid AND (n.nspname <> d.nspname OR c.relname <> d.relname);
    UPDATE vectorcoll.alias_def d SET nspname = n.nspname, relname = c.relname
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.oid = d.relid AND (n.nspname <> d.nspname OR c.relname <> d.relname);
    PERFORM vectorcoll._follow_columns(d.relid, max(e.objsubid)::smallint)
       FROM pg_event_trigger_ddl_commands() e JOIN vectorcoll.collection_def d ON d.relid = e.objid
      WHERE e.classid = 'pg_class'::regclass GROUP BY d.relid;
    PERFORM vectorcoll._forget(e.objid) FROM pg_event_trigger_ddl_commands() e WHERE e.classid = 'pg_class'::regclass;
END $$;

CREATE FUNCTION vectorcoll._forget(relid oid) RETURNS void AS 'MODULE_PATHNAME', 'vc_forget_relation' LANGUAGE C STRICT;

CREATE EVENT TRIGGER vectorcoll_drop ON sql_drop EXECUTE FUNCTION vectorcoll._on_drop();
CREATE EVENT TRIGGER vectorcoll_alter ON ddl_command_end
    WHEN TAG IN ('ALTER TABLE', 'ALTER VIEW', 'ALTER SCHEMA')
    EXECUTE FUNCTION vectorcoll._on_alter();
