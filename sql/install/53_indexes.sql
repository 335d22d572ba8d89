-- 53_indexes.sql: vector indexes in Milvus's terms over CREATE INDEX, and indexes on scalar fields.

-- Metrics by dtype, with the suffix of the operator class's name.
CREATE FUNCTION vectorcoll._metrics(OUT dtype text, OUT metric text, OUT opclass text) RETURNS SETOF record
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    VALUES ('float_vector', 'L2', 'vector_l2_ops'), ('float_vector', 'IP', 'vector_ip_ops'),
           ('float_vector', 'COSINE', 'vector_cosine_ops'), ('float_vector', 'L1', 'vector_l1_ops'),
           ('float16_vector', 'L2', 'halfvec_l2_ops'), ('float16_vector', 'IP', 'halfvec_ip_ops'),
           ('float16_vector', 'COSINE', 'halfvec_cosine_ops'), ('float16_vector', 'L1', 'halfvec_l1_ops'),
           ('sparse_float_vector', 'L2', 'sparsevec_l2_ops'), ('sparse_float_vector', 'IP', 'sparsevec_ip_ops'),
           ('sparse_float_vector', 'COSINE', 'sparsevec_cosine_ops'), ('sparse_float_vector', 'L1', 'sparsevec_l1_ops'),
           ('binary_vector', 'HAMMING', 'bit_hamming_ops'), ('binary_vector', 'JACCARD', 'bit_jaccard_ops')
$$;

CREATE FUNCTION vectorcoll._check_metric(dtype text, metric text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM vectorcoll._metrics() m WHERE m.dtype = _check_metric.dtype
            AND m.metric = upper(_check_metric.metric)) THEN
        PERFORM vectorcoll._raise('VC110', format('unknown metric_type "%s" for dtype %s', metric, dtype), 'Each type of vector has its metrics.',
            'Use one of: ' || (SELECT string_agg(m.metric,
                    ', ') FROM vectorcoll._metrics() m WHERE m.dtype = _check_metric.dtype) || '.');
    END IF;
END $$;

-- The field object of a collection's field, or VC120.
CREATE FUNCTION vectorcoll._field(relid oid, field text) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result jsonb;
BEGIN
    PERFORM vectorcoll._require(field, 'field');
    SELECT e.value INTO result FROM vectorcoll.collections c, jsonb_array_elements(c.schema->'fields') e
     WHERE c.relid = _field.relid AND e.value->>'name' = field;
    IF result IS NULL THEN
        PERFORM vectorcoll._raise('VC120', format('collection "%s" has no field "%s"', vectorcoll._qualified(relid),
                field),
            coalesce('Its fields are: ' || (SELECT string_agg(e.value->>'name', ', ' ORDER BY e.ordinality)
                FROM vectorcoll.collections c,
                        jsonb_array_elements(c.schema->'fields') WITH ORDINALITY e WHERE c.relid = _field.relid) || '.',
                'You have no privilege on its table.'),
            'vectorcoll.describe_collection shows the schema.');
    END IF;
    RETURN result;
END $$;

-- Indexes of a collection on its fields: those of the server, and FLAT, which is the absence of one.
CREATE FUNCTION vectorcoll._indexes(relid oid)
    RETURNS TABLE (index_name text, field_name text, index_type text, metric_type text, params jsonb, is_vector bool,
        index_relid oid)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT i.relname::text, a.attname::text,
           CASE am.amname WHEN 'vc_hnsw' THEN 'HNSW' WHEN 'vc_ivf' THEN 'IVF' ELSE upper(am.amname) END,
           m.metric,
           (SELECT coalesce(jsonb_object_agg(split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)),
                   '{}') FROM unnest(i.reloptions) o),
           m.metric IS NOT NULL, i.oid
      FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am am ON am.oid = i.relam
           JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = x.indkey[0]
           JOIN pg_opclass oc ON oc.oid = x.indclass[0]
           LEFT JOIN vectorcoll._metrics() m ON m.opclass = oc.opcname AND am.amname IN ('vc_hnsw', 'vc_ivf', 'hnsw',
                   'ivfflat')
     WHERE x.indrelid = relid AND NOT x.indisprimary AND a.attname NOT IN ('$partition')
    UNION ALL
    SELECT o.key || '_flat', o.key, 'FLAT', o.value->>'metric_type', '{}', true, NULL
      FROM vectorcoll.collections c, jsonb_each(c.field_options) o
     WHERE c.relid = _indexes.relid AND o.value->>'index_type' = 'FLAT'
     ORDER BY 1
$$;

-- Access method parameters: the names of Milvus, and our own. Null: not one of ours.
CREATE FUNCTION vectorcoll._index_option(param text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE param WHEN 'M' THEN 'm' WHEN 'efConstruction' THEN 'ef_construction' WHEN 'nlist'
            THEN 'lists' ELSE lower(param) END
$$;

-- Creates the index a definition lock is held for; returns its name. An equal index that exists is left alone.
CREATE FUNCTION vectorcoll._create_index(relid oid, field text, index_type text, metric_type text, params jsonb,
    index_name text = NULL)
    RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    f jsonb := vectorcoll._field(relid, field);
    dtype text := f->>'dtype';
    kind text := upper(index_type);
    options jsonb;
    wanted text;
    opclass_name text;
    am_name text;
    old record;
    with_clause text;
    nspname text;
BEGIN
    SELECT c.field_options, c.namespace INTO options,
            nspname FROM vectorcoll.collections c WHERE c.relid = _create_index.relid;
    IF dtype NOT LIKE '%\_vector' THEN
        PERFORM vectorcoll._raise('VC110', format('field "%s" is not a vector field', field),
                format('Its dtype is %s.', dtype),
                                  'Use vectorcoll.create_payload_index for scalar fields.');
    END IF;
    IF kind NOT IN ('AUTOINDEX', 'HNSW', 'IVF', 'IVF_FLAT', 'FLAT') THEN
        PERFORM vectorcoll._raise('VC110', format('unknown index_type "%s"', index_type), 'There is no such index.',
                'Use AUTOINDEX, HNSW, IVF or FLAT.');
    END IF;
    IF jsonb_typeof(params) <> 'object' THEN
        PERFORM vectorcoll._raise('VC110', 'params is not a JSON object', format('Got %s.', jsonb_typeof(params)),
                'Write {"m": 16}.');
    END IF;
    wanted := upper(coalesce(metric_type, options->field->>'metric_type',
                             CASE dtype WHEN 'binary_vector' THEN 'HAMMING' WHEN 'sparse_float_vector'
                                     THEN 'IP' ELSE 'COSINE' END));
    PERFORM vectorcoll._check_metric(dtype, wanted);
    SELECT m.opclass INTO opclass_name FROM vectorcoll._metrics() m WHERE m.dtype = f->>'dtype' AND m.metric = wanted;

    SELECT a.amname INTO am_name
      FROM pg_am a JOIN pg_opclass oc ON oc.opcmethod = a.oid JOIN pg_extension x ON x.extname = 'vectorcoll'
              AND x.extnamespace = oc.opcnamespace
     WHERE oc.opcname = opclass_name
       AND a.amname = ANY (CASE kind WHEN 'HNSW' THEN ARRAY['vc_hnsw'] WHEN 'IVF'
               THEN ARRAY['vc_ivf'] WHEN 'IVF_FLAT' THEN ARRAY['vc_ivf']
                                     WHEN 'AUTOINDEX' THEN ARRAY['vc_hnsw', 'vc_ivf'] ELSE '{}'::text[] END)
     ORDER BY a.amname = 'vc_hnsw' DESC LIMIT 1;
    IF am_name IS NULL AND kind = 'AUTOINDEX' THEN
        kind := 'FLAT'; -- exact search is what is left for types that no access method indexes
    END IF;
    IF am_name IS NULL AND kind <> 'FLAT' THEN
        PERFORM vectorcoll._raise('VC110', format('index_type %s does not support metric_type %s on dtype %s', kind,
                wanted, dtype),
            format('There is no operator class %s for it.', opclass_name),
                    'Use another index_type, or FLAT for exact search.');
    END IF;

    FOR old IN SELECT i.* FROM vectorcoll._indexes(relid) i WHERE i.field_name = field AND i.is_vector LOOP
        IF old.metric_type = wanted AND old.index_type = (CASE am_name WHEN 'vc_hnsw' THEN 'HNSW' WHEN 'vc_ivf'
                THEN 'IVF' ELSE 'FLAT' END)
           AND (index_name IS NULL OR index_name = old.index_name)
           AND old.params = (SELECT coalesce(jsonb_object_agg(vectorcoll._index_option(p.key), p.value),
                   '{}') FROM jsonb_each_text(params) p) THEN
            RETURN old.index_name;
        END IF;
        IF old.index_type <> 'FLAT' THEN
            PERFORM vectorcoll._raise('VC110', format('field "%s" already has index "%s"', field, old.index_name),
                format('It is %s with metric_type %s and params %s.', old.index_type, old.metric_type, old.params),
                'Drop it with vectorcoll.drop_index first.');
        END IF;
    END LOOP;

    IF kind = 'FLAT' THEN
        IF params <> '{}' THEN
            PERFORM vectorcoll._raise('VC110', 'index_type FLAT takes no params', format('Got %s.', params),
                    'Drop params.');
        END IF;
        index_name := field || '_flat';
    ELSE
        IF index_name IS NULL THEN
            index_name := vectorcoll._free_name(nspname,
                    (SELECT c.relname FROM pg_class c WHERE c.oid = relid) || '_' || field, '_idx');
        ELSIF octet_length(index_name) > 63 OR vectorcoll._relid(nspname, index_name) IS NOT NULL THEN
            PERFORM vectorcoll._raise('VC706', format('index name "%s" is taken or too long', index_name),
                    'Relations of a schema share their names, of at most 63 bytes.',
                    'Choose another name, or leave it out.');
        END IF;
        SELECT string_agg(format('%I = %L', vectorcoll._index_option(p.key), p.value),
                ', ') INTO with_clause FROM jsonb_each_text(params) p;
        BEGIN
            EXECUTE format('CREATE INDEX %I ON %s USING %I (%I @extschema@.%I)', index_name, vectorcoll._ident(relid),
                    am_name, field, opclass_name)
                    || coalesce(' WITH (' || with_clause || ')', '');
        EXCEPTION WHEN invalid_parameter_value OR syntax_error THEN
            PERFORM vectorcoll._raise('VC110', 'invalid params for ' || kind, SQLERRM || '.',
                    'See the options of the access method in the reference.');
        END;
    END IF;
    PERFORM vectorcoll._redefine(relid, NULL, NULL, options || jsonb_build_object(field,
        jsonb_build_object('metric_type',
                wanted) || CASE kind WHEN 'FLAT' THEN '{"index_type": "FLAT"}' ELSE '{}'::jsonb END));
    RETURN index_name;
END $$;

CREATE FUNCTION vectorcoll.create_index(name text, field text, index_type text = 'AUTOINDEX', metric_type text = NULL,
                                        params jsonb = '{}', index_name text = NULL, namespace text = NULL,
                                                timeout interval = NULL)
    RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relid oid;
    result text;
BEGIN
    PERFORM vectorcoll._require(field, 'field'), vectorcoll._require(index_type, 'index_type'),
            vectorcoll._require(params, 'params');
    FOR attempt IN 1 .. 10 LOOP
        BEGIN
            PERFORM vectorcoll._timeout_start(timeout, attempt);
            relid := vectorcoll._resolve_locked(name, namespace, 'SHARE');
            result := vectorcoll._create_index(relid, field, index_type, metric_type, params, index_name);
            EXIT;
        EXCEPTION WHEN query_canceled OR deadlock_detected THEN
            IF NOT vectorcoll._again('create_index', SQLSTATE, attempt) THEN
                RAISE;
            END IF;
        END;
    END LOOP;
    RETURN result;
END $$;

-- Drops the vector index of a field. The metric stays remembered for exact search.
CREATE FUNCTION vectorcoll.drop_index(name text, field text, namespace text = NULL,
    timeout interval = NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid;
    idx record;
    options jsonb;
BEGIN
    PERFORM vectorcoll._require(field, 'field');
    FOR attempt IN 1 .. 10 LOOP
        BEGIN
            PERFORM vectorcoll._timeout_start(timeout, attempt);
            rel := vectorcoll._resolve_locked(name, namespace, 'ACCESS EXCLUSIVE');
            PERFORM vectorcoll._field(rel, field);
            idx := vectorcoll._vector_index(rel, field);
            IF idx.index_relid IS NOT NULL THEN
                EXECUTE format('DROP INDEX %s', vectorcoll._ident(idx.index_relid));
            ELSE
                SELECT c.field_options INTO options FROM vectorcoll.collections c WHERE c.relid = rel;
                PERFORM vectorcoll._redefine(rel, NULL, NULL, options #- ARRAY[field, 'index_type']);
            END IF;
            EXIT;
        EXCEPTION WHEN query_canceled OR deadlock_detected THEN
            IF NOT vectorcoll._again('drop_index', SQLSTATE, attempt) THEN
                RAISE;
            END IF;
        END;
    END LOOP;
END $$;

-- The vector index of a field, or VC700.
CREATE FUNCTION vectorcoll._vector_index(relid oid, field text) RETURNS record
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    idx record;
BEGIN
    SELECT i.* INTO idx FROM vectorcoll._indexes(relid) i WHERE i.field_name = field
            AND i.is_vector ORDER BY i.index_relid NULLS LAST LIMIT 1;
    IF NOT FOUND THEN
        PERFORM vectorcoll._raise('VC700', format('field "%s" of collection "%s" has no index', field,
                vectorcoll._qualified(relid)),
                                  'Search on it is exact.', 'Create one with vectorcoll.create_index.');
    END IF;
    RETURN idx;
END $$;

CREATE FUNCTION vectorcoll.list_indexes(name text, namespace text = NULL)
    RETURNS TABLE (index_name text, field_name text, index_type text, metric_type text, params jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid := vectorcoll._resolve_read(name, namespace);
BEGIN
    RETURN QUERY SELECT i.index_name, i.field_name, i.index_type, i.metric_type,
            i.params FROM vectorcoll._indexes(rel) i;
END $$;

-- A running build of an index on the collection or a partition of it; no row when there is none. Only the builder's own
-- role and members of pg_read_all_stats see the numbers.
CREATE FUNCTION vectorcoll._build_progress(relid oid) RETURNS TABLE (phase text, percent float8)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT p.phase, 100.0 * CASE WHEN p.tuples_total > 0 THEN p.tuples_done::float8 / p.tuples_total
                                 WHEN p.blocks_total > 0 THEN p.blocks_done::float8 / p.blocks_total ELSE 0 END
      FROM pg_stat_progress_create_index p WHERE p.relid IN (SELECT vectorcoll._leaves($1)) LIMIT 1
$$;

CREATE FUNCTION vectorcoll.describe_index(name text, field text, namespace text = NULL) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid := vectorcoll._resolve_read(name, namespace);
    idx record;
BEGIN
    PERFORM vectorcoll._field(rel, field);
    idx := vectorcoll._vector_index(rel, field);
    RETURN to_jsonb(idx) - ARRAY['is_vector', 'index_relid']
        || jsonb_build_object('state', (vectorcoll._index_state(rel, field)).state, 'total_bytes', coalesce(
               (SELECT sum(pg_relation_size(t.relid)) FROM pg_partition_tree(idx.index_relid) t WHERE t.isleaf),
                       pg_relation_size(idx.index_relid), 0));
END $$;

CREATE FUNCTION vectorcoll._index_state(relid oid, field text, OUT state text, OUT percent float8)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    idx record;
BEGIN
    SELECT i.index_relid, x.indisvalid INTO idx FROM vectorcoll._indexes(relid) i LEFT
            JOIN pg_index x ON x.indexrelid = i.index_relid
     WHERE i.field_name = field AND i.is_vector ORDER BY x.indisvalid LIMIT 1;
    IF FOUND AND idx.indisvalid IS NOT FALSE THEN
        state := 'Finished'; percent := 100;
        RETURN;
    END IF;
    SELECT 'InProgress', p.percent INTO state, percent FROM vectorcoll._build_progress(relid) p;
    IF NOT FOUND THEN
        state := CASE WHEN idx.indisvalid IS NULL THEN 'NotExist' ELSE 'Failed' END; percent := 0;
    END IF;
END $$;

-- NotExist, InProgress, Finished or Failed (an invalid index that nobody is building), and per cent.
CREATE FUNCTION vectorcoll.get_index_state(name text, field text, namespace text = NULL, OUT state text,
    OUT percent float8)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid := vectorcoll._resolve_read(name, namespace);
BEGIN
    PERFORM vectorcoll._field(rel, field);
    SELECT s.state, s.percent INTO state, percent FROM vectorcoll._index_state(rel, field) s;
END $$;

-- Index on a scalar field, or on the whole dynamic field as "$meta": btree for what has an order, gin for json and
-- arrays.
CREATE FUNCTION vectorcoll.create_payload_index(name text, field text, index_name text = NULL, namespace text = NULL,
                                                timeout interval = NULL) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid;
    dtype text;
    nspname text;
    old text;
BEGIN
    PERFORM vectorcoll._require(field, 'field');
    FOR attempt IN 1 .. 10 LOOP
        BEGIN
            PERFORM vectorcoll._timeout_start(timeout, attempt);
            rel := vectorcoll._resolve_locked(name, namespace, 'SHARE');
            dtype := CASE WHEN field = '$meta' AND vectorcoll._schema(rel)->'enable_dynamic_field' = 'true' THEN 'json'
                          ELSE vectorcoll._field(rel, field)->>'dtype' END;
            IF dtype LIKE '%\_vector' THEN
                PERFORM vectorcoll._raise('VC110', format('field "%s" is a vector field', field), format('Its dtype is %s.', dtype),
                        'Use vectorcoll.create_index for vector fields.');
            END IF;
            SELECT i.index_name INTO old FROM vectorcoll._indexes(rel) i WHERE i.field_name = field AND NOT i.is_vector;
            IF FOUND THEN
                RETURN old;
            END IF;
            nspname := split_part(vectorcoll._qualified(rel), '.', 1);
            IF index_name IS NULL THEN
                index_name := vectorcoll._free_name(nspname, split_part(vectorcoll._qualified(rel), '.',
                        2) || '_' || replace(field, '$', ''), '_idx');
            ELSIF octet_length(index_name) > 63 OR vectorcoll._relid(nspname, index_name) IS NOT NULL THEN
                PERFORM vectorcoll._raise('VC706', format('index name "%s" is taken or too long', index_name),
                    'Relations of a schema share their names, of at most 63 bytes.',
                        'Choose another name, or leave it out.');
            END IF;
            EXECUTE format('CREATE INDEX %I ON %s USING %s (%I%s)', index_name, vectorcoll._ident(rel),
                           CASE WHEN dtype IN ('json', 'array') THEN 'gin' ELSE 'btree' END, field,
                           CASE dtype WHEN 'json' THEN ' pg_catalog.jsonb_path_ops' ELSE '' END);
            EXIT;
        EXCEPTION WHEN query_canceled OR deadlock_detected THEN
            IF NOT vectorcoll._again('create_payload_index', SQLSTATE, attempt) THEN
                RAISE;
            END IF;
        END;
    END LOOP;
    RETURN index_name;
END $$;

CREATE FUNCTION vectorcoll.drop_payload_index(name text, field text, namespace text = NULL,
    timeout interval = NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid;
    idx oid;
BEGIN
    PERFORM vectorcoll._require(field, 'field');
    FOR attempt IN 1 .. 10 LOOP
        BEGIN
            PERFORM vectorcoll._timeout_start(timeout, attempt);
            rel := vectorcoll._resolve_locked(name, namespace, 'ACCESS EXCLUSIVE');
            IF field <> '$meta' THEN
                PERFORM vectorcoll._field(rel, field);
            END IF;
            SELECT i.index_relid INTO idx FROM vectorcoll._indexes(rel) i WHERE i.field_name = field AND NOT i.is_vector;
            IF NOT FOUND THEN
                PERFORM vectorcoll._raise('VC700', format('field "%s" of collection "%s" has no index', field,
                        vectorcoll._qualified(rel)), 'Vector indexes are not meant.',
                                          'Create one with vectorcoll.create_payload_index.');
            END IF;
            EXECUTE format('DROP INDEX %s', vectorcoll._ident(idx));
            EXIT;
        EXCEPTION WHEN query_canceled OR deadlock_detected THEN
            IF NOT vectorcoll._again('drop_payload_index', SQLSTATE, attempt) THEN
                RAISE;
            END IF;
        END;
    END LOOP;
END $$;
