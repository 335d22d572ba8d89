-- 56_namespaces.sql: a namespace is a schema.

-- Returns whether it was created; false: it was there.
CREATE FUNCTION vectorcoll.create_namespace(name text, timeout interval = NULL) RETURNS bool
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM vectorcoll._check_namespace(name);
    FOR attempt IN 1 .. 10 LOOP
        BEGIN
            PERFORM vectorcoll._timeout_start(timeout, attempt);
            PERFORM vectorcoll._lock('namespace', name);
            IF EXISTS (SELECT FROM pg_namespace n WHERE n.nspname = name) THEN
                RETURN false;
            END IF;
            EXECUTE format('CREATE SCHEMA %I', name);
            EXIT;
        EXCEPTION WHEN query_canceled OR deadlock_detected THEN
            IF NOT vectorcoll._again('create_namespace', SQLSTATE, attempt) THEN
                RAISE;
            END IF;
        WHEN unique_violation OR duplicate_schema THEN -- made by hand meanwhile
            RETURN false;
        END;
    END LOOP;
    RETURN true;
END $$;

CREATE FUNCTION vectorcoll._check_namespace(name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM vectorcoll._require(name, 'name');
    IF name !~ '^[A-Za-z_][A-Za-z0-9_]*$' OR octet_length(name) > 63 OR name ~ '^pg_' OR name IN ('information_schema',
            'vectorcoll') THEN
        PERFORM vectorcoll._raise('VC110', format('invalid namespace name "%s"', name),
            'A name is a letter or underscore followed by letters, digits or underscores, at most 63 bytes, and not one of the system''s.', 'Choose another name.');
    END IF;
END $$;

-- Schemas the caller may use, with the number of collections in each.
CREATE FUNCTION vectorcoll.list_namespaces() RETURNS TABLE (namespace text, collections bigint)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT n.nspname::text, (SELECT count(*) FROM vectorcoll.collections c WHERE c.namespace = n.nspname)
      FROM pg_namespace n
     WHERE has_schema_privilege(n.oid, 'USAGE') AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema',
             'vectorcoll')
     ORDER BY 1
$$;

-- Keeps everything out of a schema that is about to be dropped, by its owner, before any lock on what is in it. Whoever creates
-- or changes a collection holds its schema's lock until it commits.
CREATE FUNCTION vectorcoll._lock_namespace(name text) RETURNS void AS 'MODULE_PATHNAME', 'vc_lock_namespace' LANGUAGE C STRICT;

-- Drops a namespace with its collections and aliases. Anything else in the schema stops it. Takes the lease and the
-- local flag of every collection, so that no loader writes into what goes away. Returns the number of collections
-- dropped.
CREATE FUNCTION vectorcoll.delete_namespace(name text, confirm bool = false, timeout interval = NULL) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c record;
    n bigint;
    keys text[];
BEGIN
    PERFORM vectorcoll._check_namespace(name);
    IF confirm IS NOT TRUE THEN
        PERFORM vectorcoll._raise('VC110', format('deleting namespace "%s" was not confirmed', name),
                'All its collections would be dropped.',
                                  'Pass confirm => true.');
    END IF;
    IF NOT EXISTS (SELECT FROM pg_namespace s WHERE s.nspname = name) THEN
        RAISE invalid_schema_name USING MESSAGE = format('namespace "%s" does not exist', name),
                DETAIL = 'A namespace is a schema of this database.',
            HINT = 'vectorcoll.list_namespaces() shows the namespaces there are.';
    END IF;
    FOR attempt IN 1 .. 10 LOOP
        BEGIN
            PERFORM vectorcoll._timeout_start(timeout, attempt);
            n := 0;
            PERFORM vectorcoll._lock('namespace', name);
            PERFORM vectorcoll._lock_namespace(name);
            SELECT array_agg(x.namespace || '.' || x.name) INTO keys FROM vectorcoll.collections x
                    WHERE x.namespace = delete_namespace.name;
            PERFORM vectorcoll._lock('definition', VARIADIC coalesce(keys, '{}'));
            SELECT array_agg(x.namespace || '.' || x.alias) INTO keys FROM vectorcoll.aliases x
                    WHERE x.namespace = delete_namespace.name;
            PERFORM vectorcoll._lock('alias', VARIADIC coalesce(keys, '{}'));
            FOR c IN SELECT x.relid FROM vectorcoll.collections x
                    WHERE x.namespace = delete_namespace.name ORDER BY x.relid LOOP
                PERFORM vectorcoll._take_lease(c.relid);
                PERFORM vectorcoll._drop(c.relid, false);
                n := n + 1;
            END LOOP;
            EXECUTE format('DROP SCHEMA %I', name);
            EXIT;
        EXCEPTION WHEN query_canceled OR deadlock_detected THEN
            IF NOT vectorcoll._again('delete_namespace', SQLSTATE, attempt) THEN
                RAISE;
            END IF;
        WHEN dependent_objects_still_exist THEN
            PERFORM vectorcoll._raise('VC903', format('namespace "%s" is in use', name), SQLERRM || '.',
                    'Drop or move what is left in the schema.');
        END;
    END LOOP;
    RETURN n;
END $$;
