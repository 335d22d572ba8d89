-- 51_schema.sql: what a schema may say, its canonical form and hash, and how it becomes table columns.

-- One field's type as SQL, for CREATE TABLE and ALTER TABLE. The schema has passed validate_schema.
CREATE FUNCTION vectorcoll._sql_type(field jsonb) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE field->>'dtype'
        WHEN 'bool' THEN 'boolean' WHEN 'int8' THEN 'smallint' WHEN 'int16' THEN 'smallint'
        WHEN 'int32' THEN 'integer' WHEN 'int64' THEN 'bigint' WHEN 'float' THEN 'real'
        WHEN 'double' THEN 'double precision' WHEN 'varchar' THEN format('character varying(%s)', field->>'max_length')
        WHEN 'text' THEN 'text' WHEN 'json' THEN 'jsonb' WHEN 'timestamptz' THEN 'timestamp with time zone'
        WHEN 'uuid' THEN 'uuid'
        WHEN 'array' THEN vectorcoll._sql_type(jsonb_build_object('dtype', field->'element_type', 'max_length',
                field->'max_length'))
                          || '[]'
        WHEN 'float_vector' THEN format('@extschema@.vector(%s)', field->>'dim')
        WHEN 'float16_vector' THEN format('@extschema@.halfvec(%s)', field->>'dim')
        WHEN 'binary_vector' THEN format('bit(%s)', field->>'dim')
        -- The most there are: an index wants a number, and a schema names none.
        WHEN 'sparse_float_vector' THEN '@extschema@.sparsevec(1000000000)'
    END
$$;

-- The keys a schema and a field may have, with the jsonb types they may take.
CREATE FUNCTION vectorcoll._schema_keys(OUT level text, OUT key text, OUT json_types text[]) RETURNS SETOF record
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    VALUES ('schema', 'fields', ARRAY['array']), ('schema', 'description', ARRAY['string']),
           ('schema', 'enable_dynamic_field', ARRAY['boolean']), ('schema', 'auto_id', ARRAY['boolean']),
           ('schema', 'shard_num', ARRAY['number']), ('schema', 'num_partitions', ARRAY['number']),
           ('field', 'name', ARRAY['string']), ('field', 'dtype', ARRAY['string']), ('field', 'description',
                   ARRAY['string']),
           ('field', 'is_primary', ARRAY['boolean']), ('field', 'auto_id', ARRAY['boolean']),
           ('field', 'is_partition_key', ARRAY['boolean']), ('field', 'nullable', ARRAY['boolean']),
           ('field', 'default_value', ARRAY['string', 'number', 'boolean', 'array', 'object']),
           ('field', 'dim', ARRAY['number']), ('field', 'max_length', ARRAY['number']),
           ('field', 'element_type', ARRAY['string']), ('field', 'max_capacity', ARRAY['number'])
$$;

CREATE FUNCTION vectorcoll._is_reserved(name text) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT lower(name) IN ('like', 'exists', 'and', 'or', 'not', 'in', 'null', 'true', 'false', '$meta', '$partition',
            'ctid',
        'xmin', 'xmax', 'cmin', 'cmax', 'tableoid',
        'json_contains', 'json_contains_all', 'json_contains_any', 'array_contains', 'array_contains_all',
        'array_contains_any', 'array_length', 'text_match', 'text_match_all', 'text_match_any', 'phrase_match',
        'phrase_match_all', 'phrase_match_any', 'random_sample', 'random_sample_all', 'random_sample_any')
$$;

-- A whole number within bounds, or null.
CREATE FUNCTION vectorcoll._int_between(value jsonb, low int, high int) RETURNS int
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    n numeric;
BEGIN
    IF jsonb_typeof(value) IS DISTINCT FROM 'number' THEN
        RETURN NULL;
    END IF;
    n := value::numeric;
    IF n <> trunc(n) OR n < low OR n > high THEN
        RETURN NULL;
    END IF;
    RETURN n::int;
END $$;

-- What is wrong with a default_value, or null: it must be what insert would take for the field. Types and bounds of the
-- field have been found good.
CREATE FUNCTION vectorcoll._default_fault(f jsonb) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    value jsonb := f->'default_value';
    dtype text := f->>'dtype';
    element jsonb;
    fault text;
    wanted text := CASE WHEN dtype = 'bool' THEN 'boolean' WHEN dtype IN ('int8', 'int16', 'int32', 'int64', 'float', 'double') THEN 'number'
                        WHEN dtype IN ('varchar', 'text', 'timestamptz', 'uuid') THEN 'string' WHEN dtype = 'array' THEN 'array' END;
BEGIN
    IF wanted IS NOT NULL AND jsonb_typeof(value) <> wanted THEN
        RETURN format('default_value of %s is of JSON type %s, not %s', dtype, jsonb_typeof(value), wanted);
    ELSIF dtype LIKE 'int%' AND vectorcoll._int_between(value, CASE dtype WHEN 'int8' THEN -128 WHEN 'int16' THEN -32768 ELSE -2147483648 END,
                                                        CASE dtype WHEN 'int8' THEN 127 WHEN 'int16' THEN 32767 ELSE 2147483647 END) IS NULL
          AND (dtype <> 'int64' OR value::numeric <> trunc(value::numeric)) THEN
        RETURN format('default_value %s is not a whole number in the range of %s', value, dtype);
    ELSIF dtype = 'varchar' AND octet_length(f->>'default_value') > (f->>'max_length')::int THEN
        RETURN format('default_value has %s bytes, max_length is %s', octet_length(f->>'default_value'), f->>'max_length');
    ELSIF dtype = 'array' THEN
        IF jsonb_array_length(value) > (f->>'max_capacity')::int THEN
            RETURN format('default_value has %s elements, max_capacity is %s', jsonb_array_length(value), f->>'max_capacity');
        END IF;
        FOR element IN SELECT e.value FROM jsonb_array_elements(value) e LOOP
            fault := vectorcoll._default_fault(jsonb_build_object('dtype', f->'element_type', 'max_length', f->'max_length', 'default_value', element));
            IF fault IS NOT NULL THEN
                RETURN 'element of default_value: ' || fault;
            END IF;
        END LOOP;
    END IF;
    EXECUTE 'SELECT ' || vectorcoll._default_literal(f);
    RETURN NULL;
EXCEPTION WHEN data_exception THEN
    RETURN 'default_value: ' || SQLERRM;
END $$;

-- Faults of one field, apart from what concerns several fields. label: its name, or its place when it has none.
CREATE FUNCTION vectorcoll._field_faults(f jsonb, label text)
    RETURNS TABLE (field text, code text, message text, hint text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    dtypes constant text[] := ARRAY['bool', 'int8', 'int16', 'int32', 'int64', 'float', 'double', 'varchar', 'text',
            'json',
        'array', 'timestamptz', 'uuid', 'float_vector', 'float16_vector', 'binary_vector', 'sparse_float_vector'];
    dtype text := CASE WHEN jsonb_typeof(f->'dtype') = 'string' THEN f->>'dtype' END;
    fname text := CASE WHEN jsonb_typeof(f->'name') = 'string' THEN f->>'name' END;
    max_dim int;
BEGIN
    field := label;
    code := 'VC105';
    IF f->'name' IS NULL THEN
        code := 'VC111'; message := 'field has no name'; hint := 'Give every field a name.'; RETURN NEXT; code := 'VC105';
    ELSIF fname IS NOT NULL AND (fname !~ '^[A-Za-z_][A-Za-z0-9_]*$' OR octet_length(fname) > 63) THEN
        message := format('invalid field name %s', f->'name');
        hint := 'A name is a letter or underscore followed by letters, digits or underscores, at most 63 bytes.'; RETURN NEXT;
    END IF;
    IF fname IS NOT NULL AND vectorcoll._is_reserved(fname) THEN
        message := format('field name "%s" is reserved', fname); hint := 'Choose another name.'; RETURN NEXT;
    END IF;
    IF f->'dtype' IS NULL THEN
        code := 'VC111'; message := 'field has no dtype'; hint := 'Set dtype to one of: ' || array_to_string(dtypes,
                ', ') || '.';
        RETURN NEXT; code := 'VC105';
    ELSIF dtype IS NOT NULL AND dtype <> ALL (dtypes) THEN
        message := format('unknown dtype %s', f->'dtype'); hint := 'Use one of: ' || array_to_string(dtypes,
                ', ') || '.'; RETURN NEXT;
    END IF;

    IF f->'is_primary' = 'true' AND dtype IS NOT NULL AND dtype NOT IN ('int64', 'varchar') THEN
        message := format('primary key cannot be of dtype %s', dtype); hint := 'Use int64 or varchar.'; RETURN NEXT;
    END IF;
    IF f->'is_primary' = 'true' AND f->'nullable' = 'true' THEN
        message := 'primary key cannot be nullable'; hint := 'Drop nullable.'; RETURN NEXT;
    END IF;
    IF f->'is_primary' = 'true' AND f ? 'default_value' THEN
        message := 'primary key cannot have a default_value'; hint := 'Use auto_id to have keys made.'; RETURN NEXT;
    END IF;
    IF f->'auto_id' = 'true' AND f->'is_primary' IS DISTINCT FROM 'true' THEN
        message := 'auto_id is for the primary key only'; hint := 'Drop auto_id or make the field the primary key.'; RETURN NEXT;
    END IF;
    IF f->'is_partition_key' = 'true' THEN
        IF dtype IS NOT NULL AND dtype NOT IN ('int64', 'varchar') THEN
            message := format('partition key cannot be of dtype %s',
                    dtype); hint := 'Use int64 or varchar.'; RETURN NEXT;
        END IF;
        IF f->'is_primary' = 'true' THEN
            message := 'partition key cannot be the primary key';
            hint := 'Set shard_num to spread rows by primary key.'; RETURN NEXT;
        END IF;
        IF f->'nullable' = 'true' THEN
            message := 'partition key cannot be nullable'; hint := 'Drop nullable.'; RETURN NEXT;
        END IF;
    END IF;

    IF dtype IN ('float_vector', 'float16_vector', 'binary_vector') THEN
        max_dim := CASE dtype WHEN 'binary_vector' THEN 64000 ELSE 16000 END;
        IF f->'dim' IS NULL THEN
            code := 'VC111'; message := format('%s needs dim',
                    dtype); hint := 'Set dim to the number of dimensions.'; RETURN NEXT;
            code := 'VC105';
        ELSIF jsonb_typeof(f->'dim') = 'number' AND vectorcoll._int_between(f->'dim', 1, max_dim) IS NULL THEN
            message := format('dim %s is out of range', f->'dim'); hint := format('Use a whole number from 1 to %s.',
                    max_dim); RETURN NEXT;
        ELSIF dtype = 'binary_vector' AND vectorcoll._int_between(f->'dim', 1, max_dim) % 8 <> 0 THEN
            message := format('dim %s of a binary_vector is not a multiple of 8',
                    f->'dim'); hint := 'Pad the vectors with zero bits.';
            RETURN NEXT;
        END IF;
    ELSIF f ? 'dim' AND dtype = ANY (dtypes) THEN
        message := format('%s takes no dim', dtype); hint := 'Drop dim.'; RETURN NEXT;
    END IF;
    IF dtype = ANY (dtypes) AND dtype LIKE '%\_vector' AND f ? 'default_value' THEN
        message := 'vector field cannot have a default_value'; hint := 'Make the field nullable instead.'; RETURN NEXT;
    END IF;

    IF dtype = 'varchar' AND f->'max_length' IS NULL THEN
        code := 'VC111'; message := 'varchar needs max_length'; hint := 'Set max_length from 1 to 65535, or use dtype text.'; RETURN NEXT;
        code := 'VC105';
    ELSIF jsonb_typeof(f->'max_length') = 'number' AND vectorcoll._int_between(f->'max_length', 1, 65535) IS NULL THEN
        message := format('max_length %s is out of range',
                f->'max_length'); hint := 'Use a whole number from 1 to 65535.'; RETURN NEXT;
    ELSIF f ? 'max_length' AND dtype = ANY (dtypes) AND dtype <> 'varchar'
          AND NOT (dtype = 'array' AND f->>'element_type' = 'varchar') THEN
        message := format('%s takes no max_length', dtype); hint := 'Drop max_length.'; RETURN NEXT;
    END IF;

    IF dtype = 'array' THEN
        IF f->'element_type' IS NULL THEN
            code := 'VC111'; message := 'array needs element_type'; hint := 'Set element_type to a scalar dtype.'; RETURN NEXT;
            code := 'VC105';
        ELSIF jsonb_typeof(f->'element_type') = 'string' AND f->>'element_type' NOT IN
              ('bool', 'int8', 'int16', 'int32', 'int64', 'float', 'double', 'varchar', 'text', 'timestamptz',
                      'uuid') THEN
            message := format('array cannot have element_type %s',
                    f->'element_type'); hint := 'Use a scalar dtype other than json.';
            RETURN NEXT;
        ELSIF f->>'element_type' = 'varchar' AND f->'max_length' IS NULL THEN
            code := 'VC111'; message := 'array of varchar needs max_length'; hint := 'Set max_length from 1 to 65535.'; RETURN NEXT;
            code := 'VC105';
        END IF;
        IF f->'max_capacity' IS NULL THEN
            code := 'VC111'; message := 'array needs max_capacity'; hint := 'Set max_capacity from 1 to 4096.'; RETURN NEXT;
            code := 'VC105';
        ELSIF jsonb_typeof(f->'max_capacity') = 'number' AND vectorcoll._int_between(f->'max_capacity', 1,
                4096) IS NULL THEN
            message := format('max_capacity %s is out of range',
                    f->'max_capacity'); hint := 'Use a whole number from 1 to 4096.';
            RETURN NEXT;
        END IF;
    ELSIF dtype = ANY (dtypes) AND (f ? 'element_type' OR f ? 'max_capacity') THEN
        message := format('%s takes neither element_type nor max_capacity',
                dtype); hint := 'Drop them, or use dtype array.'; RETURN NEXT;
    END IF;

    IF f ? 'default_value' AND dtype = ANY (dtypes) AND dtype NOT LIKE '%\_vector'
       AND (dtype <> 'varchar' OR vectorcoll._int_between(f->'max_length', 1, 65535) IS NOT NULL)
       AND (dtype <> 'array' OR vectorcoll._int_between(f->'max_capacity', 1, 4096) IS NOT NULL
            AND f->>'element_type' IN ('bool', 'int8', 'int16', 'int32', 'int64', 'float', 'double', 'varchar', 'text', 'timestamptz', 'uuid')
            AND (f->>'element_type' <> 'varchar' OR vectorcoll._int_between(f->'max_length', 1, 65535) IS NOT NULL)) THEN
        message := vectorcoll._default_fault(vectorcoll._whole_numbers(f, 'max_length', 'max_capacity'));
        IF message IS NOT NULL THEN
            hint := 'Write a value that insert would take for the field.'; RETURN NEXT;
        END IF;
    END IF;
END $$;

-- Every fault of a schema at once; no row: the schema is good.
CREATE FUNCTION vectorcoll.validate_schema(schema jsonb)
    RETURNS TABLE (field text, code text, message text, hint text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    fields jsonb;
    f record;
    n int;
BEGIN
    IF schema IS NULL OR jsonb_typeof(schema) <> 'object' THEN
        code := 'VC105'; message := 'schema is not a JSON object';
        hint := 'Write {"fields": [{"name": "id", "dtype": "int64", "is_primary": true}, ...]}.';
        RETURN NEXT;
        RETURN;
    END IF;

    RETURN QUERY
        SELECT NULL::text, 'VC105'::text, format('unknown key "%s" in schema', k.key), 'Known keys: ' || (
                   SELECT string_agg(s.key,
                           ', ' ORDER BY s.key COLLATE "C") FROM vectorcoll._schema_keys() s
                           WHERE s.level = 'schema') || '.'
          FROM jsonb_object_keys(schema) AS k(key)
         WHERE k.key NOT IN (SELECT s.key FROM vectorcoll._schema_keys() s WHERE s.level = 'schema')
         ORDER BY k.key COLLATE "C";
    RETURN QUERY
        SELECT NULL::text, 'VC105'::text, format('%s is not of JSON type %s', s.key, array_to_string(s.json_types,
                ' or ')),
               format('It is of type %s.', jsonb_typeof(schema->s.key))
          FROM vectorcoll._schema_keys() s
         WHERE s.level = 'schema' AND schema ? s.key AND jsonb_typeof(schema->s.key) <> ALL (s.json_types)
         ORDER BY s.key COLLATE "C";
    IF jsonb_typeof(schema->'shard_num') = 'number' AND vectorcoll._int_between(schema->'shard_num', 1, 16) IS NULL THEN
        code := 'VC105'; message := format('shard_num %s is out of range',
                schema->'shard_num'); hint := 'Use a whole number from 1 to 16.';
        RETURN NEXT;
    END IF;
    IF jsonb_typeof(schema->'num_partitions') = 'number' AND vectorcoll._int_between(schema->'num_partitions', 1,
            1024) IS NULL THEN
        code := 'VC105'; message := format('num_partitions %s is out of range', schema->'num_partitions');
        hint := 'Use a whole number from 1 to 1024.';
        RETURN NEXT;
    END IF;
    IF schema->'fields' IS NULL THEN
        code := 'VC111'; message := 'schema has no fields'; hint := 'Add "fields": an array of field objects.'; RETURN NEXT;
        RETURN;
    ELSIF jsonb_typeof(schema->'fields') <> 'array' THEN
        RETURN;
    END IF;
    fields := schema->'fields';
    IF jsonb_array_length(fields) > 64 THEN
        code := 'VC105'; message := format('schema has %s fields', jsonb_array_length(fields));
        hint := 'At most 64 are allowed; put rare ones into the dynamic field.';
        RETURN NEXT;
    END IF;

    FOR f IN SELECT e.value AS j,
            CASE WHEN jsonb_typeof(e.value->'name') = 'string' THEN e.value->>'name' ELSE '#'
            || e.ordinality END AS label
               FROM jsonb_array_elements(fields) WITH ORDINALITY e LOOP
        IF jsonb_typeof(f.j) <> 'object' THEN
            field := f.label; code := 'VC105'; message := 'field is not a JSON object'; hint := 'Write {"name": ..., "dtype": ...}.';
            RETURN NEXT;
            CONTINUE;
        END IF;
        RETURN QUERY
            SELECT f.label, 'VC105'::text, format('unknown key "%s"', k.key), 'Known keys: ' || (
                       SELECT string_agg(s.key,
                               ', ' ORDER BY s.key COLLATE "C") FROM vectorcoll._schema_keys() s
                               WHERE s.level = 'field') || '.'
              FROM jsonb_object_keys(f.j) AS k(key)
             WHERE k.key NOT IN (SELECT s.key FROM vectorcoll._schema_keys() s WHERE s.level = 'field')
             ORDER BY k.key COLLATE "C";
        RETURN QUERY
            SELECT f.label, 'VC105'::text, format('%s is not of JSON type %s', s.key, array_to_string(s.json_types,
                    ' or ')),
                   format('It is of type %s.', jsonb_typeof(f.j->s.key))
              FROM vectorcoll._schema_keys() s
             WHERE s.level = 'field' AND f.j ? s.key AND jsonb_typeof(f.j->s.key) <> ALL (s.json_types)
             ORDER BY s.key COLLATE "C";
        RETURN QUERY SELECT * FROM vectorcoll._field_faults(f.j, f.label);
    END LOOP;

    RETURN QUERY
        SELECT d.name, 'VC105'::text, format('field name "%s" is used %s times', d.name, count(*)),
                'Rename the others.'::text
          FROM (SELECT e.value->>'name' AS name FROM jsonb_array_elements(fields) e
                 WHERE jsonb_typeof(e.value) = 'object' AND jsonb_typeof(e.value->'name') = 'string') d
         GROUP BY d.name HAVING count(*) > 1 ORDER BY d.name COLLATE "C";

    field := NULL;
    code := 'VC105';
    SELECT count(*) INTO n FROM jsonb_array_elements(fields) e WHERE e.value->>'dtype' LIKE '%\_vector';
    IF n = 0 THEN
        message := 'schema has no vector field'; hint := 'Add a field of dtype float_vector, float16_vector, binary_vector or sparse_float_vector.';
        RETURN NEXT;
    ELSIF n > 10 THEN
        message := format('schema has %s vector fields', n); hint := 'At most 10 are allowed.'; RETURN NEXT;
    END IF;
    SELECT count(*) INTO n FROM jsonb_array_elements(fields) e WHERE e.value->'is_primary' = 'true';
    IF n <> 1 THEN
        message := CASE n WHEN 0 THEN 'schema has no primary key' ELSE format('schema has %s primary keys', n) END;
        hint := 'Set is_primary on exactly one int64 or varchar field.'; RETURN NEXT;
    END IF;
    SELECT count(*) INTO n FROM jsonb_array_elements(fields) e WHERE e.value->'is_partition_key' = 'true';
    IF n > 1 THEN
        message := format('schema has %s partition keys',
                n); hint := 'Set is_partition_key on at most one field.'; RETURN NEXT;
    ELSIF n = 0 AND schema ? 'num_partitions' THEN
        message := 'num_partitions without a partition key'; hint := 'Set is_partition_key on a field, or drop num_partitions.'; RETURN NEXT;
    END IF;
END $$;

-- One VC105 that lists every fault.
CREATE FUNCTION vectorcoll._require_valid_schema(schema jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    faults text;
    n int;
BEGIN
    SELECT count(*), string_agg(format('%s: %s %s', coalesce('field "' || v.field || '"', 'schema'), v.message,
                                       '(' || v.code || '). ' || v.hint), E'\n')
      INTO n, faults FROM vectorcoll.validate_schema(schema) v;
    IF n > 0 THEN
        PERFORM vectorcoll._raise('VC105', format('illegal schema: %s %s', n,
                CASE n WHEN 1 THEN 'fault' ELSE 'faults' END), faults,
                                  'vectorcoll.validate_schema(schema) returns the faults as rows.');
    END IF;
END $$;

-- The object with its whole numbers written as such: what JSON calls 8.0 is no integer to a type's modifier or a cast.
CREATE FUNCTION vectorcoll._whole_numbers(object jsonb, VARIADIC keys text[]) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT object || coalesce(jsonb_object_agg(k, trunc((object->k)::numeric)), '{}') FROM unnest(keys) k
     WHERE jsonb_typeof(object->k) = 'number'
$$;

-- The schema with every optional key of its functional part filled in; what the registry stores.
CREATE FUNCTION vectorcoll._normalise_schema(schema jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('description', coalesce(schema->'description', '""'),
                              'enable_dynamic_field', coalesce(schema->'enable_dynamic_field', 'false'),
                              'shard_num', trunc(coalesce(schema->'shard_num', '1')::numeric))
           || CASE WHEN bool_or(e.value->'is_partition_key' = 'true')
                   THEN jsonb_build_object('num_partitions', trunc(coalesce(schema->'num_partitions', '16')::numeric)) ELSE '{}' END
           || jsonb_build_object('fields', jsonb_agg(
                  '{"description": "", "is_primary": false, "auto_id": false, "is_partition_key": false, "nullable": false}'
                  || vectorcoll._whole_numbers(e.value, 'dim', 'max_length', 'max_capacity')
                  || CASE WHEN e.value->'is_primary' = 'true' AND schema->'auto_id' = 'true'
                          THEN '{"auto_id": true}' ELSE '{}'::jsonb END
                  ORDER BY e.ordinality))
      FROM jsonb_array_elements(schema->'fields') WITH ORDINALITY e
$$;

-- The functional part of a schema as Python's json.dumps(..., sort_keys=True) writes it. to_json of a name or dtype
-- needs no escapes: validation allows only ASCII letters, digits and underscores in them.
CREATE FUNCTION vectorcoll._canonical_schema(schema jsonb) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('{"enable_dynamic_field": %s, "fields": [%s], "shard_num": %s}', s->'enable_dynamic_field',
                  string_agg(format('{"auto_id": %s%s, "dtype": %s%s, "is_partition_key": %s, "is_primary": %s%s, "name": %s}',
                                    f->'auto_id', ', "dim": ' || trunc((f->'dim')::numeric), f->'dtype',
                                            ', "element_type": "' || (f->>'element_type') || '"',
                                    f->'is_partition_key', f->'is_primary',
                                            ', "max_length": ' || trunc((f->'max_length')::numeric),
                                    f->'name'), ', ' ORDER BY f->>'name' COLLATE "C"),
                  trunc((s->'shard_num')::numeric))
      FROM vectorcoll._normalise_schema(schema) s, jsonb_array_elements(s->'fields') f
     GROUP BY s
$$;

-- SHA-256 of the functional part, in hex. Descriptions and the order of fields do not count.
CREATE FUNCTION vectorcoll.schema_hash(schema jsonb) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM vectorcoll._require_valid_schema(schema);
    RETURN encode(sha256(convert_to(vectorcoll._canonical_schema(schema), 'UTF8')), 'hex');
END $$;

-- How two schemas differ in what the hash covers: a row per field and property, null where a side has none.
CREATE FUNCTION vectorcoll.schema_diff(a jsonb, b jsonb)
    RETURNS TABLE (field text, property text, a_value text, b_value text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM vectorcoll._require_valid_schema(a);
    PERFORM vectorcoll._require_valid_schema(b);
    RETURN QUERY
        WITH pa AS (SELECT x.fname, p.key, p.value FROM (
                 SELECT NULL::text AS fname,
                         c - 'fields' AS obj FROM (SELECT vectorcoll._canonical_schema(a)::jsonb) AS s(c)
                 UNION ALL
                 SELECT f->>'name', f - 'name'
                         FROM jsonb_array_elements(vectorcoll._canonical_schema(a)::jsonb->'fields') f) x,
                 jsonb_each_text(x.obj) p),
             pb AS (SELECT x.fname, p.key, p.value FROM (
                 SELECT NULL::text AS fname,
                         c - 'fields' AS obj FROM (SELECT vectorcoll._canonical_schema(b)::jsonb) AS s(c)
                 UNION ALL
                 SELECT f->>'name', f - 'name'
                         FROM jsonb_array_elements(vectorcoll._canonical_schema(b)::jsonb->'fields') f) x,
                 jsonb_each_text(x.obj) p)
        SELECT coalesce(pa.fname, pb.fname), coalesce(pa.key, pb.key), pa.value, pb.value
          FROM pa FULL JOIN pb ON coalesce(pa.fname, '') = coalesce(pb.fname, '') AND pa.key = pb.key
         WHERE pa.value IS DISTINCT FROM pb.value
         ORDER BY 1 NULLS FIRST, 2;
END $$;

-- The dtype a column's type stands for, as a field object without name; null when none does. A primary key is int64 or
-- varchar to the schema, whichever of the types that serve as such the column has.
CREATE FUNCTION vectorcoll._field_of_column(relid oid, attnum smallint, is_primary bool = false) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE
        WHEN is_primary AND t.oid IN ('smallint'::regtype, 'integer'::regtype) THEN '{"dtype": "int64"}'
        WHEN is_primary AND t.oid = 'uuid'::regtype THEN '{"dtype": "varchar", "max_length": 36}'
        WHEN is_primary AND t.oid IN ('text'::regtype, 'varchar'::regtype) AND a.atttypmod < 0
            THEN '{"dtype": "varchar", "max_length": 65535}'
        WHEN t.typelem <> 0 AND t.typcategory = 'A' THEN (
            SELECT jsonb_build_object('dtype', 'array', 'element_type', e.dtype, 'max_capacity', 4096)
                   || CASE WHEN e.dtype = 'varchar' THEN jsonb_build_object('max_length', a.atttypmod - 4) ELSE '{}' END
              FROM (VALUES ('boolean'::regtype, 'bool'), ('smallint', 'int16'), ('integer', 'int32'), ('bigint',
                      'int64'), ('real', 'float'),
                           ('double precision', 'double'), ('varchar', 'varchar'), ('text', 'text'), ('timestamptz',
                                   'timestamptz'),
                           ('uuid', 'uuid')) AS e(typ, dtype)
             WHERE e.typ = t.typelem AND (e.dtype <> 'varchar' OR a.atttypmod - 4 BETWEEN 1 AND 65535))
        WHEN t.typnamespace = x.extnamespace AND t.typname = 'vector' AND a.atttypmod > 0
            THEN jsonb_build_object('dtype', 'float_vector', 'dim', a.atttypmod)
        WHEN t.typnamespace = x.extnamespace AND t.typname = 'halfvec' AND a.atttypmod > 0
            THEN jsonb_build_object('dtype', 'float16_vector', 'dim', a.atttypmod)
        WHEN t.typnamespace = x.extnamespace AND t.typname = 'sparsevec' THEN '{"dtype": "sparse_float_vector"}'
        WHEN t.oid = 'bit'::regtype AND a.atttypmod % 8 = 0
            THEN jsonb_build_object('dtype', 'binary_vector', 'dim', a.atttypmod)
        WHEN t.oid = 'varchar'::regtype AND a.atttypmod - 4 BETWEEN 1 AND 65535
            THEN jsonb_build_object('dtype', 'varchar', 'max_length', a.atttypmod - 4)
        WHEN t.oid = 'varchar'::regtype THEN '{"dtype": "text"}'
        ELSE (SELECT jsonb_build_object('dtype', e.dtype)
                FROM (VALUES ('boolean'::regtype, 'bool'), ('smallint', 'int16'), ('integer', 'int32'), ('bigint',
                        'int64'),
                             ('real', 'float'), ('double precision', 'double'), ('text', 'text'), ('jsonb', 'json'),
                             ('timestamptz', 'timestamptz'), ('uuid', 'uuid')) AS e(typ, dtype)
               WHERE e.typ = t.oid)
    END
      FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid, pg_extension x
     WHERE a.attrelid = relid AND a.attnum = _field_of_column.attnum AND NOT a.attisdropped AND x.extname = 'vectorcoll'
$$;

-- Called by catalog.c before it writes a definition: the schema is legal and speaks of this table's columns.
CREATE FUNCTION vectorcoll._check_definition(relid oid, schema jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    f jsonb;
    actual text;
BEGIN
    PERFORM vectorcoll._require_valid_schema(schema);
    PERFORM FROM pg_class c WHERE c.oid = relid AND c.relkind IN ('r',
            'p') AND c.relpersistence <> 't' AND NOT c.relispartition;
    IF NOT FOUND THEN
        PERFORM vectorcoll._raise('VC110', format('"%s" cannot be a collection', coalesce(vectorcoll._qualified(relid),
                relid::text)),
                                  'A collection is an ordinary or partitioned table that is neither temporary nor itself a partition.',
                                  'Name such a table; of a partition, the table it belongs to.');
    END IF;
    FOR f IN SELECT value FROM jsonb_array_elements(schema->'fields') LOOP
        SELECT format_type(a.atttypid, a.atttypmod) INTO actual FROM pg_attribute a
         WHERE a.attrelid = relid AND a.attname = f->>'name' AND a.attnum > 0 AND NOT a.attisdropped;
        IF actual IS NULL THEN
            PERFORM vectorcoll._raise('VC904', format('table "%s" has no column "%s"', vectorcoll._qualified(relid),
                    f->>'name'),
                                      'The schema names a field that the table lacks.',
                                              'Add the column or drop the field.');
        ELSIF actual <> vectorcoll._sql_type(f) AND NOT (actual = 'character varying' AND f->>'dtype' = 'text')
              AND NOT (f->>'dtype' = 'sparse_float_vector' AND regexp_replace(actual, '\(\d+\)$', '') = regexp_replace(vectorcoll._sql_type(f), '\(\d+\)$', ''))
              AND NOT (f->'is_primary' = 'true' AND (f->>'dtype' = 'int64' AND actual IN ('smallint', 'integer')
                       OR f->>'dtype' = 'varchar' AND actual IN ('text', 'character varying', 'uuid'))) THEN
            PERFORM vectorcoll._raise('VC904', format('column "%s" of table "%s" is of type %s', f->>'name',
                    vectorcoll._qualified(relid), actual),
                                      format('The schema asks for %s.', vectorcoll._sql_type(f)),
                                              'Make column and schema agree.');
        END IF;
    END LOOP;
END $$;
