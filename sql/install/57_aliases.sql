-- 57_aliases.sql: names that stand for a collection and can be moved to another in one step.
--
-- An alias is a view, so that any SQL can use it, and a row, so that the functions resolve it without locking. Both
-- change in one transaction. The view casts every column to its type without modifier: then CREATE OR REPLACE VIEW
-- can move it from vector(384) to vector(768), and grants, dependent objects and prepared statements stay. It is
-- security_invoker, so it lends nobody the rights of its owner. A cast column is not updatable by itself, hence the
-- INSTEAD OF trigger.

CREATE FUNCTION vectorcoll._set_alias(view oid, relid oid) RETURNS void
    AS 'MODULE_PATHNAME', 'vc_set_alias' LANGUAGE C STRICT;

-- Writes through an alias go to its collection with the caller's rights. A null in a column that has a default, or is
-- an identity, stands for the default, as the view cannot tell null from not given.
CREATE FUNCTION vectorcoll._alias_write() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid;
    given jsonb;
    columns text;
    vals text;
    assignments text;
    returned text;
    match text;
    n bigint;
BEGIN
    SELECT a.collection_relid INTO STRICT rel FROM vectorcoll.aliases a WHERE a.relid = TG_RELID;
    SELECT string_agg(format('%I = ($2).%1$I', k.attname), ' AND ' ORDER BY k.attnum) INTO match
      FROM pg_index i JOIN pg_attribute k ON k.attrelid = i.indrelid AND k.attnum = ANY (i.indkey)
     WHERE i.indrelid = rel AND i.indisprimary;
    IF TG_OP = 'DELETE' THEN
        EXECUTE format('DELETE FROM %s WHERE %s', vectorcoll._ident(rel), match) USING NULL::text, OLD;
        GET DIAGNOSTICS n = ROW_COUNT;
        RETURN CASE WHEN n > 0 THEN OLD END;
    END IF;
    given := jsonb_strip_nulls(to_jsonb(NEW));
    SELECT string_agg(format('%I', t.attname), ', ' ORDER BY v.attnum) FILTER (WHERE w.writes),
           string_agg(format('($1).%I', t.attname), ', ' ORDER BY v.attnum) FILTER (WHERE w.writes),
           string_agg(format('%I = ($1).%1$I', t.attname), ', ' ORDER BY v.attnum) FILTER (WHERE w.writes),
           string_agg(format('%I', t.attname), ', ' ORDER BY v.attnum)
      INTO columns, vals, assignments, returned
      FROM pg_attribute v JOIN pg_attribute t ON t.attrelid = rel AND t.attname = v.attname AND NOT t.attisdropped,
           LATERAL (SELECT t.attgenerated = '' AND (TG_OP = 'UPDATE' OR given ? t.attname OR NOT (t.atthasdef
                   OR t.attidentity <> '')) AS writes) w
     WHERE v.attrelid = TG_RELID AND v.attnum > 0;
    IF TG_OP = 'INSERT' THEN
        EXECUTE format('INSERT INTO %s (%s) VALUES (%s) RETURNING %s', vectorcoll._ident(rel), columns, vals,
                returned) INTO NEW USING NEW;
        RETURN NEW;
    END IF;
    EXECUTE format('UPDATE %s SET %s WHERE %s', vectorcoll._ident(rel), assignments, match) USING NEW, OLD;
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN CASE WHEN n > 0 THEN NEW END;
END $$;

-- The view's select list: columns the view has already first and in their order, then the others of the table.
-- Null when a column of the view is not in the table with the same type: then the view must be made anew.
CREATE FUNCTION vectorcoll._alias_columns(view oid, relid oid, without_field text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN NOT EXISTS (
                    SELECT FROM pg_attribute v WHERE v.attrelid = view AND v.attnum > 0 AND NOT EXISTS (
                        SELECT FROM pg_attribute t WHERE t.attrelid = relid AND t.attname = v.attname
                                AND t.atttypid = v.atttypid
                           AND t.attnum > 0 AND NOT t.attisdropped AND t.attname IS DISTINCT FROM without_field))
           THEN string_agg(CASE WHEN t.atttypmod >= 0 THEN format('%I::%s AS %1$I', t.attname, format_type(t.atttypid,
                   -1))
                                ELSE quote_ident(t.attname) END, ', ' ORDER BY v.attnum NULLS LAST, t.attnum) END
      FROM pg_attribute t LEFT JOIN pg_attribute v ON v.attrelid = view AND v.attname = t.attname AND v.attnum > 0
     WHERE t.attrelid = relid AND t.attnum > 0 AND NOT t.attisdropped AND t.attname IS DISTINCT FROM without_field
$$;

-- Makes the view nspname.relname, which does not exist, over a collection.
CREATE FUNCTION vectorcoll._make_alias(nspname text, relname text, relid oid, without_field text = NULL) RETURNS oid
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    view oid;
BEGIN
    EXECUTE format('CREATE VIEW %I.%I WITH (security_invoker = true) AS SELECT %s FROM %s', nspname, relname,
                   vectorcoll._alias_columns(0, relid, without_field), vectorcoll._ident(relid));
    EXECUTE format('CREATE TRIGGER vectorcoll_alias_write INSTEAD OF INSERT OR UPDATE OR DELETE ON %I.%I'
                   ' FOR EACH ROW EXECUTE FUNCTION vectorcoll._alias_write()', nspname, relname);
    view := vectorcoll._relid(nspname, relname);
    PERFORM vectorcoll._set_alias(view, relid);
    RETURN view;
END $$;

-- Points an alias that exists at a collection. Replaces the view in place if its columns allow, else makes it anew with
-- the same grants and comment.
CREATE FUNCTION vectorcoll._point_alias(view oid, relid oid, without_field text = NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    columns text := vectorcoll._alias_columns(view, relid, without_field);
    old record;
    g record;
    new_view oid;
BEGIN
    IF columns IS NOT NULL THEN
        EXECUTE format('CREATE OR REPLACE VIEW %s WITH (security_invoker = true) AS SELECT %s FROM %s',
                vectorcoll._ident(view), columns,
                       vectorcoll._ident(relid));
        PERFORM vectorcoll._set_alias(view, relid);
        RETURN;
    END IF;
    SELECT n.nspname, c.relname, c.relacl, c.relowner, obj_description(c.oid, 'pg_class') AS comment INTO old
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = view;
    BEGIN
        EXECUTE format('DROP VIEW %I.%I', old.nspname, old.relname);
    EXCEPTION WHEN dependent_objects_still_exist THEN
        PERFORM vectorcoll._raise('VC903', format('alias "%s.%s" is used by other objects', old.nspname, old.relname),
            'The columns of the collection differ, so the view must be made anew: ' || SQLERRM || '.',
                    'Drop the dependent objects first.');
    END;
    new_view := vectorcoll._make_alias(old.nspname, old.relname, relid, without_field);
    FOR g IN SELECT CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END AS grantee,
            x.privilege_type, x.is_grantable
               FROM aclexplode(old.relacl) x WHERE x.grantee <> old.relowner LOOP
        EXECUTE format('GRANT %s ON %I.%I TO %s', g.privilege_type, old.nspname, old.relname, g.grantee)
                || CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END;
    END LOOP;
    IF old.comment IS NOT NULL THEN
        EXECUTE format('COMMENT ON VIEW %I.%I IS %L', old.nspname, old.relname, old.comment);
    END IF;
END $$;

CREATE FUNCTION vectorcoll._alias_not_found(alias text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM vectorcoll._raise('VC704', format('alias "%s" does not exist', alias),
            'There is no alias of that name that you may use.',
                              'vectorcoll.list_aliases() shows the aliases there are.');
END $$;

-- _qualified of a collection, or VC100 if it was dropped since its name was looked up.
CREATE FUNCTION vectorcoll._name_of(relid oid, name text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result text := vectorcoll._qualified(relid);
BEGIN
    IF result IS NULL THEN
        PERFORM vectorcoll._gone(name);
    END IF;
    RETURN result;
END $$;

-- nspname and relname of an alias to be made for a collection: in its namespace.
CREATE FUNCTION vectorcoll._alias_target(alias text, relid oid, OUT nspname text, OUT relname text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    collection text := vectorcoll._name_of(relid, alias);
BEGIN
    SELECT t.nspname, t.relname INTO nspname, relname
      FROM vectorcoll._target(alias, CASE WHEN strpos(alias, '.') = 0 THEN split_part(collection, '.', 1) END) t;
    IF nspname <> split_part(collection, '.', 1) THEN
        PERFORM vectorcoll._raise('VC110', format('alias "%s" is not in the namespace of collection "%s"', alias,
                collection),
                                  'An alias lives in the namespace of the collection it stands for.',
                                          'Leave the namespace of the alias out.');
    END IF;
END $$;

-- Creates an alias; locks are held. One that stands for the collection already is left alone.
CREATE FUNCTION vectorcoll._create_alias(rel oid, nspname text, relname text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    existing oid := vectorcoll._relid(nspname, relname);
    current oid;
BEGIN
    IF existing IS NULL THEN
        IF NOT vectorcoll._lock_relation(rel, 'ACCESS SHARE') THEN
            PERFORM vectorcoll._gone(NULL);
        END IF;
        PERFORM vectorcoll._make_alias(nspname, relname, rel);
        RETURN;
    END IF;
    SELECT a.collection_relid INTO current FROM vectorcoll.aliases a WHERE a.relid = existing;
    IF NOT FOUND THEN
        PERFORM vectorcoll._raise('VC706', format('name "%s.%s" is taken', nspname, relname),
                'There is a relation of that name that is not an alias.',
                                  'Choose another name.');
    ELSIF current <> rel THEN
        PERFORM vectorcoll._raise('VC705', format('alias "%s.%s" exists', nspname, relname),
                                  format('It stands for collection "%s".', vectorcoll._qualified(current)),
                                          'Move it with vectorcoll.alter_alias.');
    END IF;
END $$;

CREATE FUNCTION vectorcoll.create_alias(collection text, alias text, timeout interval = NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid := vectorcoll._resolve(collection, NULL, false);
    target record;
BEGIN
    PERFORM vectorcoll._require(alias, 'alias');
    target := vectorcoll._alias_target(alias, rel);
    FOR attempt IN 1 .. 10 LOOP
        BEGIN
            PERFORM vectorcoll._timeout_start(timeout, attempt);
            PERFORM vectorcoll._lock('definition', vectorcoll._name_of(rel, collection));
            PERFORM vectorcoll._lock('alias', target.nspname || '.' || target.relname);
            PERFORM vectorcoll._same(rel, collection);
            PERFORM vectorcoll._create_alias(rel, target.nspname, target.relname);
            EXIT;
        EXCEPTION WHEN query_canceled OR deadlock_detected THEN
            IF NOT vectorcoll._again('create_alias', SQLSTATE, attempt) THEN
                RAISE;
            END IF;
        END;
    END LOOP;
END $$;

-- After waiting for a lock: the collection is still what the name stood for. Locks no table, as the alias's view
-- comes first.
CREATE FUNCTION vectorcoll._same(relid oid, name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF vectorcoll._schema(relid) IS NULL THEN
        PERFORM vectorcoll._gone(name);
    END IF;
END $$;

-- Moves an alias. With expected, only if it stands for that collection now.
CREATE FUNCTION vectorcoll.alter_alias(collection text, alias text, expected text = NULL,
    timeout interval = NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid := vectorcoll._resolve(collection, NULL, false);
    view oid;
    wanted oid;
    target record;
    current oid;
BEGIN
    PERFORM vectorcoll._require(alias, 'alias');
    target := vectorcoll._alias_target(alias, rel);
    IF expected IS NOT NULL THEN
        wanted := vectorcoll._resolve(expected, NULL, false);
    END IF;
    FOR attempt IN 1 .. 10 LOOP
        BEGIN
            PERFORM vectorcoll._timeout_start(timeout, attempt);
            PERFORM vectorcoll._lock('definition', vectorcoll._name_of(rel, collection));
            PERFORM vectorcoll._lock('alias', target.nspname || '.' || target.relname);
            PERFORM vectorcoll._same(rel, collection);
            view := vectorcoll._relid(target.nspname, target.relname);
            SELECT a.collection_relid INTO current FROM vectorcoll.aliases a WHERE a.relid = view;
            IF NOT FOUND THEN
                PERFORM vectorcoll._alias_not_found(alias);
            ELSIF wanted IS NOT NULL AND current <> wanted THEN
                PERFORM vectorcoll._raise('VC903', format('alias "%s" does not stand for "%s"', alias, expected),
                                          format('It stands for collection "%s".', vectorcoll._qualified(current)),
                                          'Another session moved it; look again and decide.');
            ELSIF current <> rel THEN
                PERFORM vectorcoll._move_alias(view, rel, alias);
            END IF;
            EXIT;
        EXCEPTION WHEN query_canceled OR deadlock_detected THEN
            IF NOT vectorcoll._again('alter_alias', SQLSTATE, attempt) THEN
                RAISE;
            END IF;
        END;
    END LOOP;
END $$;

CREATE FUNCTION vectorcoll.drop_alias(alias text, timeout interval = NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    view oid := vectorcoll._lookup(alias);
    old_name text := vectorcoll._qualified(view);
BEGIN
    PERFORM vectorcoll._require(alias, 'alias');
    IF NOT EXISTS (SELECT FROM vectorcoll.aliases a WHERE a.relid = view) THEN
        PERFORM vectorcoll._alias_not_found(alias);
    END IF;
    FOR attempt IN 1 .. 10 LOOP
        BEGIN
            PERFORM vectorcoll._timeout_start(timeout, attempt);
            PERFORM vectorcoll._lock('alias', old_name);
            IF NOT vectorcoll._lock_relation(view, 'ACCESS EXCLUSIVE')
               OR NOT EXISTS (SELECT FROM vectorcoll.aliases a WHERE a.relid = view) THEN
                PERFORM vectorcoll._alias_not_found(alias);
            END IF;
            EXECUTE format('DROP VIEW %s', vectorcoll._ident(view));
            EXIT;
        EXCEPTION WHEN query_canceled OR deadlock_detected THEN
            IF NOT vectorcoll._again('drop_alias', SQLSTATE, attempt) THEN
                RAISE;
            END IF;
        WHEN dependent_objects_still_exist THEN
            PERFORM vectorcoll._raise('VC903', format('alias "%s" is used by other objects', alias), SQLERRM || '.',
                    'Drop the dependent objects first.');
        END;
    END LOOP;
END $$;

CREATE FUNCTION vectorcoll.describe_alias(alias text) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    view oid := vectorcoll._lookup(alias);
    result jsonb;
BEGIN
    SELECT jsonb_build_object('alias', a.alias, 'namespace', a.namespace, 'collection', a.collection,
                              'collection_namespace', a.collection_namespace, 'changed_at', a.changed_at)
      INTO result FROM vectorcoll.aliases a WHERE a.relid = view;
    IF NOT FOUND THEN
        PERFORM vectorcoll._alias_not_found(alias);
    END IF;
    RETURN result;
END $$;

-- Aliases of a collection, or all there are.
CREATE FUNCTION vectorcoll.list_aliases(collection text = NULL)
    RETURNS TABLE (alias text, namespace text, collection_name text, changed_at timestamptz)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid := CASE WHEN $1 IS NOT NULL THEN vectorcoll._resolve($1) END;
BEGIN
    RETURN QUERY SELECT a.alias::text, a.namespace::text, a.collection::text, a.changed_at FROM vectorcoll.aliases a
                  WHERE $1 IS NULL OR a.collection_relid = rel ORDER BY a.namespace, a.alias;
END $$;

-- Several alias operations in one transaction, in order, as Qdrant words them: [{"create_alias": {"collection_name":
-- c, "alias_name": a}}, {"delete_alias": {"alias_name": a}},  {"rename_alias": {"old_alias_name": a,
-- "new_alias_name": b}}, {"alter_alias": {"collection_name": c, "alias_name": a}}]
CREATE FUNCTION vectorcoll.update_aliases(operations jsonb, timeout interval = NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    op record;
    steps jsonb := '[]';
    collections text[] := '{}';
    names text[] := '{}';
    rel oid;
    view oid;
    target record;
BEGIN
    PERFORM vectorcoll._require(operations, 'operations');
    IF jsonb_typeof(operations) <> 'array' THEN
        PERFORM vectorcoll._raise('VC110', 'operations is not a JSON array', format('Got %s.',
                jsonb_typeof(operations)),
                                  'Write [{"create_alias": {"collection_name": "docs_v2", "alias_name": "docs"}}].');
    END IF;
    FOR op IN SELECT o.ordinality AS n, o.value FROM jsonb_array_elements(operations) WITH ORDINALITY o LOOP
        IF (CASE jsonb_typeof(op.value) WHEN 'object' THEN (SELECT count(*) FROM jsonb_object_keys(op.value)) <> 1 ELSE true END) THEN
            PERFORM vectorcoll._raise('VC110', format('operation %s is not an object with one key', op.n), format('Got %s.', op.value),
                                      'Write {"create_alias": {...}}, or delete_alias, rename_alias or alter_alias.');
        END IF;
    END LOOP;
    -- Names first, as the caller's path says, then every lock in one order, then the work.
    FOR op IN SELECT o.ordinality AS n, e.key AS kind, e.value AS args
                FROM jsonb_array_elements(operations) WITH ORDINALITY o,
                        jsonb_each(CASE jsonb_typeof(o.value) WHEN 'object' THEN o.value ELSE '{}' END) e
               ORDER BY o.ordinality LOOP
        IF op.kind NOT IN ('create_alias', 'delete_alias', 'rename_alias',
                'alter_alias') OR jsonb_typeof(op.args) <> 'object' THEN
            PERFORM vectorcoll._raise('VC110', format('unknown alias operation %s', op.kind), format('Operation %s is %s.', op.n, op.args),
                                      'Use create_alias, delete_alias, rename_alias or alter_alias with an object.');
        END IF;
        IF op.args - (CASE op.kind WHEN 'rename_alias' THEN ARRAY['old_alias_name', 'new_alias_name'] WHEN 'delete_alias' THEN ARRAY['alias_name']
                          ELSE ARRAY['collection_name', 'alias_name'] END) <> '{}' THEN
            PERFORM vectorcoll._raise('VC110', format('unknown key in alias operation %s', op.kind), format('Operation %s is %s.', op.n, op.args),
                                      'create_alias and alter_alias take collection_name and alias_name, delete_alias takes alias_name, rename_alias old_alias_name and new_alias_name.');
        END IF;
        IF op.kind IN ('create_alias', 'alter_alias') THEN
            PERFORM vectorcoll._require(op.args->>'collection_name', 'collection_name'),
                    vectorcoll._require(op.args->>'alias_name', 'alias_name');
            rel := vectorcoll._resolve(op.args->>'collection_name', NULL, false);
            target := vectorcoll._alias_target(op.args->>'alias_name', rel);
            collections := collections || vectorcoll._name_of(rel, op.args->>'collection_name');
            names := names || (target.nspname || '.' || target.relname);
            steps := steps || jsonb_build_object('kind', op.kind, 'rel', rel, 'nspname', target.nspname, 'relname',
                    target.relname);
        ELSIF op.kind = 'delete_alias' THEN
            PERFORM vectorcoll._require(op.args->>'alias_name', 'alias_name');
            SELECT a.namespace AS nspname,
                    a.alias AS relname INTO target FROM vectorcoll.aliases a
                    WHERE a.relid = vectorcoll._lookup(op.args->>'alias_name');
            IF NOT FOUND THEN
                target := vectorcoll._target(op.args->>'alias_name'); -- an operation before this one may make it
            END IF;
            names := names || (target.nspname || '.' || target.relname);
            steps := steps || jsonb_build_object('kind', op.kind, 'nspname', target.nspname, 'relname', target.relname);
        ELSE
            PERFORM vectorcoll._require(op.args->>'old_alias_name', 'old_alias_name'),
                    vectorcoll._require(op.args->>'new_alias_name', 'new_alias_name');
            SELECT a.namespace AS nspname,
                    a.alias AS relname INTO target FROM vectorcoll.aliases a
                    WHERE a.relid = vectorcoll._lookup(op.args->>'old_alias_name');
            IF NOT FOUND THEN
                target := vectorcoll._target(op.args->>'old_alias_name');
            END IF;
            PERFORM vectorcoll._target(op.args->>'new_alias_name', target.nspname);
            names := names || (target.nspname || '.' || target.relname) || (target.nspname || '.'
                    || (op.args->>'new_alias_name'));
            steps := steps || jsonb_build_object('kind', op.kind, 'nspname', target.nspname, 'relname', target.relname,
                                                 'new', op.args->>'new_alias_name');
        END IF;
    END LOOP;
    FOR attempt IN 1 .. 10 LOOP
        BEGIN
            PERFORM vectorcoll._timeout_start(timeout, attempt);
            PERFORM vectorcoll._lock('definition', VARIADIC collections);
            PERFORM vectorcoll._lock('alias', VARIADIC names);
            FOR op IN SELECT s.value->>'kind' AS kind, (s.value->>'rel')::oid AS rel, s.value->>'nspname' AS nspname,
                    s.value->>'relname' AS relname,
                             s.value->>'new' AS new
                                     FROM jsonb_array_elements(steps) WITH ORDINALITY s ORDER BY s.ordinality LOOP
                view := vectorcoll._relid(op.nspname, op.relname);
                IF op.kind <> 'create_alias' AND NOT EXISTS (SELECT FROM vectorcoll.aliases a WHERE a.relid = view) THEN
                    PERFORM vectorcoll._alias_not_found(op.nspname || '.' || op.relname);
                END IF;
                CASE op.kind
                    WHEN 'create_alias' THEN
                        PERFORM vectorcoll._same(op.rel, NULL);
                        PERFORM vectorcoll._create_alias(op.rel, op.nspname, op.relname);
                    WHEN 'alter_alias' THEN
                        PERFORM vectorcoll._same(op.rel, NULL);
                        PERFORM vectorcoll._move_alias(view, op.rel, op.nspname || '.' || op.relname);
                    WHEN 'delete_alias' THEN
                        EXECUTE format('DROP VIEW %I.%I', op.nspname, op.relname);
                    ELSE
                        IF vectorcoll._relid(op.nspname, op.new) IS NOT NULL THEN
                            PERFORM vectorcoll._raise('VC706', format('name "%s.%s" is taken', op.nspname, op.new),
                                    'There is a relation of that name.',
                                    'Choose another name.');
                        END IF;
                        EXECUTE format('ALTER VIEW %I.%I RENAME TO %I', op.nspname, op.relname, op.new);
                END CASE;
            END LOOP;
            EXIT;
        EXCEPTION WHEN query_canceled OR deadlock_detected THEN
            IF NOT vectorcoll._again('update_aliases', SQLSTATE, attempt) THEN
                RAISE;
            END IF;
        END;
    END LOOP;
END $$;

-- Points an alias, whose name is locked, at a collection: the view first, then the table, as their readers lock them.
CREATE FUNCTION vectorcoll._move_alias(view oid, relid oid, name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT vectorcoll._lock_relation(view, 'ACCESS EXCLUSIVE') THEN
        PERFORM vectorcoll._alias_not_found(name);
    ELSIF NOT vectorcoll._lock_relation(relid, 'ACCESS SHARE') THEN
        PERFORM vectorcoll._gone(NULL);
    END IF;
    PERFORM vectorcoll._point_alias(view, relid);
END $$;
