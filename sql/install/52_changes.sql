-- 52_changes.sql: changes to a collection that exists, adoption of tables, and what a collection's state is.

CREATE FUNCTION vectorcoll.rename_collection(name text, new_name text, namespace text = NULL, new_namespace text = NULL,
                                             timeout interval = NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid := vectorcoll._resolve(name, namespace, false);
    old_name text := vectorcoll._name_of(rel, name);
    target record;
    child record;
BEGIN
    target := vectorcoll._target(new_name, coalesce(new_namespace,
                  CASE WHEN strpos(new_name, '.') = 0 THEN split_part(old_name, '.', 1) END));
    FOR attempt IN 1 .. 10 LOOP
        BEGIN
            PERFORM vectorcoll._timeout_start(timeout, attempt);
            PERFORM vectorcoll._lock('definition', old_name, target.nspname || '.' || target.relname);
            PERFORM vectorcoll._lock('alias', target.nspname || '.' || target.relname);
            PERFORM vectorcoll._lock_collection(rel);
            IF vectorcoll._resolve(name, namespace,
                    false) <> rel OR vectorcoll._qualified(rel) IS DISTINCT FROM old_name THEN
                PERFORM vectorcoll._raise('VC903', format('collection "%s" was replaced meanwhile', old_name),
                                          'Another session renamed or replaced it while this one waited.', 'Try again.');
            END IF;
            IF old_name = target.nspname || '.' || target.relname THEN
                RETURN;
            END IF;
            IF vectorcoll._relid(target.nspname, target.relname) IS NOT NULL THEN
                PERFORM vectorcoll._taken(target.nspname, target.relname);
            END IF;
            IF split_part(old_name, '.', 1) <> target.nspname THEN
                FOR child IN SELECT t.relid FROM pg_partition_tree(rel) t WHERE t.level > 0 LOOP
                    EXECUTE format('ALTER TABLE %s SET SCHEMA %I', vectorcoll._ident(child.relid), target.nspname);
                END LOOP;
                -- The old name could be taken there, so rename first; the new one is free in both only if it is here too.
                IF vectorcoll._relid(split_part(old_name, '.', 1), target.relname) IS NULL THEN
                    EXECUTE format('ALTER TABLE %s RENAME TO %I', vectorcoll._ident(rel), target.relname);
                    EXECUTE format('ALTER TABLE %s SET SCHEMA %I', vectorcoll._ident(rel), target.nspname);
                ELSE
                    EXECUTE format('ALTER TABLE %s SET SCHEMA %I', vectorcoll._ident(rel), target.nspname);
                END IF;
            END IF;
            IF split_part(vectorcoll._qualified(rel), '.', 2) <> target.relname THEN
                EXECUTE format('ALTER TABLE %s RENAME TO %I', vectorcoll._ident(rel), target.relname);
            END IF;
            EXIT;
        EXCEPTION WHEN query_canceled OR deadlock_detected THEN
            IF NOT vectorcoll._again('rename_collection', SQLSTATE, attempt) THEN
                RAISE;
            END IF;
        WHEN unique_violation OR duplicate_table OR duplicate_object THEN
            PERFORM vectorcoll._taken(target.nspname, target.relname);
        END;
    END LOOP;
END $$;

CREATE FUNCTION vectorcoll.truncate_collection(name text, namespace text = NULL, timeout interval = NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid;
BEGIN
    FOR attempt IN 1 .. 10 LOOP
        BEGIN
            PERFORM vectorcoll._timeout_start(timeout, attempt);
            rel := vectorcoll._resolve_locked(name, namespace);
            PERFORM vectorcoll._hold(rel, name);
            EXECUTE format('TRUNCATE %s', vectorcoll._ident(rel));
            EXIT;
        EXCEPTION WHEN query_canceled OR deadlock_detected THEN
            IF NOT vectorcoll._again('truncate_collection', SQLSTATE, attempt) THEN
                RAISE;
            END IF;
        END;
    END LOOP;
END $$;

-- Sets the keys given; a key whose value is null is removed. Returns all properties.
CREATE FUNCTION vectorcoll.alter_collection_properties(name text, properties jsonb, namespace text = NULL,
    timeout interval = NULL)
    RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid;
    result jsonb;
BEGIN
    PERFORM vectorcoll._check_properties(properties);
    FOR attempt IN 1 .. 10 LOOP
        BEGIN
            PERFORM vectorcoll._timeout_start(timeout, attempt);
            rel := vectorcoll._resolve_locked(name, namespace, 'SHARE UPDATE EXCLUSIVE');
            SELECT coalesce(jsonb_object_agg(p.key, p.value), '{}') INTO result
              FROM vectorcoll.collections c, jsonb_each(c.properties || alter_collection_properties.properties) p
             WHERE c.relid = rel AND p.value <> 'null';
            PERFORM vectorcoll._redefine(rel, NULL, result);
            EXIT;
        EXCEPTION WHEN query_canceled OR deadlock_detected THEN
            IF NOT vectorcoll._again('alter_collection_properties', SQLSTATE, attempt) THEN
                RAISE;
            END IF;
        END;
    END LOOP;
    RETURN result;
END $$;

CREATE FUNCTION vectorcoll._schema(relid oid) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.schema FROM vectorcoll.collections c WHERE c.relid = $1
$$;

-- A field of a collection with rows must be nullable or have a default_value, since old rows need something to show.
CREATE FUNCTION vectorcoll.add_collection_field(name text, field jsonb, namespace text = NULL,
    timeout interval = NULL) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid;
    new_schema jsonb;
BEGIN
    PERFORM vectorcoll._require(field, 'field');
    FOR attempt IN 1 .. 10 LOOP
        BEGIN
            PERFORM vectorcoll._timeout_start(timeout, attempt);
            rel := vectorcoll._resolve_locked(name, namespace, 'ACCESS EXCLUSIVE');
            new_schema := jsonb_insert(vectorcoll._schema(rel), '{fields,-1}', field, true);
            PERFORM vectorcoll._require_valid_schema(new_schema);
            new_schema := vectorcoll._normalise_schema(new_schema);
            IF field->'is_primary' = 'true' OR field->'is_partition_key' = 'true' THEN
                PERFORM vectorcoll._raise('VC110', 'cannot add a key field', 'The table is laid out by its keys.',
                        'Create a new collection and move an alias.');
            END IF;
            BEGIN
                EXECUTE format('ALTER TABLE %s ADD COLUMN %s', vectorcoll._ident(rel),
                        vectorcoll._column_definition(new_schema#>'{fields,-1}'));
            EXCEPTION WHEN not_null_violation THEN
                PERFORM vectorcoll._raise('VC110', format('field "%s" must be nullable or have a default_value',
                        field->>'name'),
                                          'The collection has rows, which have no value for it.',
                                                  'Set nullable or default_value.');
            WHEN invalid_text_representation OR numeric_value_out_of_range OR datetime_field_overflow
                    OR invalid_datetime_format
                 OR string_data_right_truncation OR check_violation THEN
                PERFORM vectorcoll._raise('VC105', format('default_value of field "%s" is not of its dtype',
                        field->>'name'), SQLERRM || '.',
                                          'Give a value of the field''s dtype.');
            END;
            PERFORM vectorcoll._redefine(rel, new_schema);
            EXIT;
        EXCEPTION WHEN query_canceled OR deadlock_detected THEN
            IF NOT vectorcoll._again('add_collection_field', SQLSTATE, attempt) THEN
                RAISE;
            END IF;
        END;
    END LOOP;
    RETURN vectorcoll._describe(rel);
END $$;

CREATE FUNCTION vectorcoll.drop_collection_field(name text, field text, namespace text = NULL,
    timeout interval = NULL) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid;
    def jsonb;
    f jsonb;
    a record;
BEGIN
    PERFORM vectorcoll._require(field, 'field');
    FOR attempt IN 1 .. 10 LOOP
        BEGIN
            PERFORM vectorcoll._timeout_start(timeout, attempt);
            rel := vectorcoll._resolve_locked(name, namespace);
            def := vectorcoll._schema(rel);
            f := vectorcoll._field(rel, field);
            IF f->'is_primary' = 'true' OR f->'is_partition_key' = 'true' THEN
                PERFORM vectorcoll._raise('VC110', format('cannot drop key field "%s"', field),
                        'The table is laid out by its keys.',
                                          'Create a new collection and move an alias.');
            END IF;
            def := jsonb_set(def, '{fields}',
                    (SELECT jsonb_agg(e.value ORDER BY e.ordinality)
                    FROM jsonb_array_elements(def->'fields') WITH ORDINALITY e
                                                WHERE e.value->>'name' <> field));
            PERFORM vectorcoll._require_valid_schema(def);
            -- Alias views list the column. They are made again without it.
            PERFORM vectorcoll._lock_collection(rel, with_aliases => true);
            FOR a IN SELECT x.relid FROM vectorcoll.aliases x WHERE x.collection_relid = rel ORDER BY 1 LOOP
                PERFORM vectorcoll._point_alias(a.relid, rel, field);
            END LOOP;
            EXECUTE format('ALTER TABLE %s DROP COLUMN %I', vectorcoll._ident(rel), field);
            EXIT;
        EXCEPTION WHEN query_canceled OR deadlock_detected THEN
            IF NOT vectorcoll._again('drop_collection_field', SQLSTATE, attempt) THEN
                RAISE;
            END IF;
        END;
    END LOOP;
    RETURN vectorcoll._describe(rel);
END $$;

-- Makes a table a collection as it stands. Columns of types without a dtype stay in the table and are no fields.
CREATE FUNCTION vectorcoll.adopt_table(relation regclass, description text = '', timeout interval = NULL) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    new_schema jsonb;
    key_columns smallint[];
    partition_columns smallint[];
    name text;
    bad text;
BEGIN
    PERFORM vectorcoll._require(relation, 'relation');
    PERFORM vectorcoll._target(c.relname,
            n.nspname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = relation;
    IF NOT FOUND THEN
        PERFORM vectorcoll._raise('VC100', format('table %s does not exist', relation::oid), 'No relation has this oid.',
                                  'Name a table.');
    END IF;
    FOR attempt IN 1 .. 10 LOOP
        BEGIN
            PERFORM vectorcoll._timeout_start(timeout, attempt);
            name := vectorcoll._qualified(relation);
            IF name IS NULL THEN
                PERFORM vectorcoll._gone(NULL);
            END IF;
            PERFORM vectorcoll._lock('definition', name);
            -- DDL by hand asks the registry what it must follow: none may be under way while the table is not in it yet.
            IF NOT vectorcoll._lock_relation(relation, 'SHARE UPDATE EXCLUSIVE') THEN
                PERFORM vectorcoll._gone(name);
            ELSIF vectorcoll._qualified(relation) <> name THEN -- renamed while we waited, which it cannot be any more
                PERFORM vectorcoll._lock('definition', vectorcoll._qualified(relation));
            END IF;
            IF vectorcoll._schema(relation) IS NOT NULL THEN
                RETURN vectorcoll._describe(relation);
            END IF;
            SELECT i.indkey::smallint[] INTO key_columns FROM pg_index i WHERE i.indrelid = relation AND i.indisprimary;
            SELECT p.partattrs::smallint[] INTO partition_columns FROM pg_partitioned_table p WHERE p.partrelid = relation;
            -- A partition key is part of the primary key without being what identifies a row.
            SELECT array_agg(k) INTO key_columns FROM unnest(key_columns) k WHERE cardinality(key_columns) = 1
                    OR k <> ALL (coalesce(partition_columns, '{}'));
            IF key_columns IS NULL OR cardinality(key_columns) <> 1 THEN
                PERFORM vectorcoll._raise('VC105', format('table "%s" has no primary key of one column',
                        vectorcoll._qualified(relation)),
                    'A collection identifies a point by one field.',
                            'Add a primary key on a bigint, integer, varchar, text or uuid column.');
            END IF;
            SELECT format('column "%s" is of type %s without dimensions', a.attname, format_type(a.atttypid,
                    a.atttypmod)) INTO bad
              FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid JOIN pg_extension x ON x.extname = 'vectorcoll'
                      AND x.extnamespace = t.typnamespace
             WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND t.typname IN ('vector',
                     'halfvec') AND a.atttypmod < 0;
            IF bad IS NOT NULL THEN
                PERFORM vectorcoll._raise('VC105', bad, 'A vector field has a fixed number of dimensions.',
                        'Run ALTER TABLE ... ALTER COLUMN ... TYPE vector(n) first.');
            END IF;
            SELECT jsonb_build_object('description', description, 'enable_dynamic_field', bool_or(a.attname = '$meta'),
                       'fields', jsonb_agg(f.field || jsonb_build_object('name', a.attname, 'nullable',
                               NOT a.attnotnull AND a.attnum <> key_columns[1],
                                      'is_primary', a.attnum = key_columns[1],
                                      'auto_id', a.attnum = key_columns[1] AND (a.attidentity <> '' OR a.atthasdef))
                                  ORDER BY a.attnum) FILTER (WHERE a.attname <> '$meta'))
              INTO new_schema
              FROM pg_attribute a CROSS JOIN LATERAL (SELECT vectorcoll._field_of_column(relation, a.attnum,
                      a.attnum = key_columns[1]) AS field) f
             WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND (f.field IS NOT NULL
                     OR a.attname = '$meta');
            PERFORM vectorcoll._require_valid_schema(new_schema);
            PERFORM vectorcoll._register(relation, vectorcoll._normalise_schema(new_schema), '{}', '{}');
            EXIT;
        EXCEPTION WHEN query_canceled OR deadlock_detected THEN
            IF NOT vectorcoll._again('adopt_table', SQLSTATE, attempt) THEN
                RAISE;
            END IF;
        END;
    END LOOP;
    RETURN vectorcoll._describe(relation);
END $$;

-- The tables that hold a collection's rows: its own, or its leaf partitions.
CREATE FUNCTION vectorcoll._leaves(relid oid) RETURNS SETOF oid
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT t.relid::oid FROM pg_partition_tree(relid) t WHERE t.isleaf
    UNION ALL
    SELECT c.oid FROM pg_class c WHERE c.oid = relid AND c.relkind = 'r' AND NOT c.relispartition
$$;

-- Rows exactly, as the caller sees them, and bytes on disk.
CREATE FUNCTION vectorcoll._stats(relid oid) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    n bigint;
    result jsonb;
BEGIN
    EXECUTE format('SELECT count(*) FROM %s', vectorcoll._ident(relid)) INTO n;
    SELECT jsonb_build_object('row_count', n, 'table_bytes', coalesce(sum(pg_relation_size(l)), 0),
               'toast_bytes', coalesce(sum(pg_table_size(l) - pg_relation_size(l)), 0),
               'index_bytes', coalesce(sum(pg_indexes_size(l)), 0), 'total_bytes',
                       coalesce(sum(pg_total_relation_size(l)), 0))
      INTO result FROM vectorcoll._leaves(relid) l;
    RETURN result;
END $$;

CREATE FUNCTION vectorcoll.get_collection_stats(name text, namespace text = NULL) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid := vectorcoll._resolve_read(name, namespace);
BEGIN
    RETURN vectorcoll._stats(rel);
END $$;

-- green: searchable and indexed; yellow: an index is being built or the collection loaded; grey: rows without a vector
-- index; red: an index is invalid. percent is of the work in progress.
CREATE FUNCTION vectorcoll.collection_status(name text, namespace text = NULL, OUT status text, OUT reason text,
    OUT percent float8)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid := vectorcoll._resolve_read(name, namespace);
    item record;
BEGIN
    SELECT i.relname INTO item FROM vectorcoll._leaves(rel) l JOIN pg_index x ON x.indrelid = l
            JOIN pg_class i ON i.oid = x.indexrelid
     WHERE NOT x.indisvalid AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p
             WHERE p.index_relid = x.indexrelid) LIMIT 1;
    IF FOUND THEN
        status := 'red'; reason := format('index "%s" is invalid; REINDEX it', item.relname);
        RETURN;
    END IF;
    SELECT * INTO item FROM vectorcoll._build_progress(rel);
    IF FOUND THEN
        status := 'yellow'; reason := item.phase; percent := item.percent;
        RETURN;
    END IF;
    IF vectorcoll._load_state(rel) = 'Loading' THEN
        status := 'yellow'; reason := 'loading'; percent := 100 * vectorcoll._residency(rel);
        RETURN;
    END IF;
    SELECT e.value->>'name' AS field INTO item FROM jsonb_array_elements(vectorcoll._schema(rel)->'fields') e
     WHERE e.value->>'dtype' LIKE '%\_vector' AND NOT EXISTS (
         SELECT FROM vectorcoll._indexes(rel) i WHERE i.is_vector AND i.field_name = e.value->>'name') LIMIT 1;
    IF FOUND AND EXISTS (SELECT FROM vectorcoll._leaves(rel) l WHERE pg_relation_size(l) > 0) THEN
        status := 'grey'; reason := format('field "%s" has rows and no index; search is exact', item.field);
        RETURN;
    END IF;
    status := 'green'; reason := 'ready'; percent := 100;
END $$;
