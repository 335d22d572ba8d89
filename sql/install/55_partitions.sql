-- 55_partitions.sql: named partitions over list partitioning by the column "$partition".
--
-- A collection is a plain table until its first named partition: then its table becomes partition _default of a
-- partitioned table that takes its name, without copying a row. Rows that name no partition go to _default. The
-- primary key becomes (key, "$partition"), as PostgreSQL asks the partition column to be part of it, so a key is
-- unique within its partition. Collections with shards or a partition key are hash partitioned from the start and
-- have no named partitions.

CREATE FUNCTION vectorcoll._retarget(old oid, new oid) RETURNS void
    AS 'MODULE_PATHNAME', 'vc_retarget' LANGUAGE C STRICT;

-- Whether a table is partitioned by name; null when it is not partitioned at all.
CREATE FUNCTION vectorcoll._has_named_partitions(relid oid) RETURNS bool
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT p.partstrat = 'l' AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = relid AND a.attnum = p.partattrs[0] AND a.attname = '$partition')
      FROM pg_partitioned_table p WHERE p.partrelid = relid
$$;

-- Partitions of a collection: named ones by their name, those by hash, and by whatever an adopted table has, by that of their table, a
-- plain table as _default.
CREATE FUNCTION vectorcoll._partitions(relid oid) RETURNS TABLE (partition_name text, partition_relid oid, kind text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN n.named THEN substring(pg_get_expr(c.relpartbound,
            c.oid) FROM '^FOR VALUES IN \(''(.*)''\)$') ELSE c.relname END,
           c.oid, CASE WHEN n.named THEN 'named' WHEN p.partstrat = 'l' THEN 'list' WHEN p.partstrat = 'r' THEN 'range' ELSE 'hash' END
      FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_partitioned_table p ON p.partrelid = i.inhparent
           CROSS JOIN vectorcoll._has_named_partitions(relid) AS n(named)
     WHERE i.inhparent = relid
    UNION ALL
    SELECT '_default', c.oid, 'table' FROM pg_class c WHERE c.oid = relid AND c.relkind = 'r'
$$;

-- The table of a partition, or VC200.
CREATE FUNCTION vectorcoll._partition(relid oid, partition_name text) RETURNS oid
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result oid;
BEGIN
    PERFORM vectorcoll._require(partition_name, 'partition_name');
    SELECT p.partition_relid INTO result FROM vectorcoll._partitions(relid) p
            WHERE p.partition_name = _partition.partition_name;
    IF NOT FOUND THEN
        PERFORM vectorcoll._raise('VC200', format('collection "%s" has no partition "%s"',
                vectorcoll._qualified(relid), partition_name), format('It has %s, whose names are taken as they are.',
                (SELECT CASE count(*) WHEN 1 THEN 'one partition' ELSE count(*) || ' partitions' END FROM vectorcoll._partitions(relid))),
                                  'vectorcoll.list_partitions shows the partitions there are.');
    END IF;
    RETURN result;
END $$;

-- What stands in the way of giving a table a partitioned parent; null when nothing does.
CREATE FUNCTION vectorcoll._partitioning_obstacle(relid oid) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(o.what, ', ' ORDER BY o.what) FROM (
        SELECT format('foreign key %s',
                conname) FROM pg_constraint WHERE (confrelid = $1 OR conrelid = $1) AND contype = 'f'
        UNION ALL SELECT format('policy %s', polname) FROM pg_policy WHERE polrelid = $1
        UNION ALL SELECT 'row level security' FROM pg_class WHERE oid = $1 AND relrowsecurity
        UNION ALL SELECT format('trigger %s', tgname) FROM pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal
        UNION ALL SELECT format('publication %s',
                p.pubname) FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = $1
        UNION ALL SELECT format('child table %s', vectorcoll._qualified(inhrelid)) FROM pg_inherits WHERE inhparent = $1
        UNION ALL SELECT DISTINCT format('view %s',
                vectorcoll._qualified(r.ev_class)) FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
                   WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
                           AND d.refobjid = $1 AND r.ev_class <> $1
                     AND NOT EXISTS (SELECT FROM vectorcoll.aliases a WHERE a.relid = r.ev_class)) o(what)
$$;

-- Gives a plain collection table a list partitioned parent; the definition lock is held. Returns the parent.
CREATE FUNCTION vectorcoll._make_partitioned(relid oid) RETURNS oid
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    old record;
    obstacle text;
    child_name text;
    parent oid;
    key text;
    identity record;
    last_value bigint;
    item record;
    prefix text;
BEGIN
    -- Views before their table, as their readers lock them.
    PERFORM vectorcoll._lock_collection(relid, with_aliases => true);
    obstacle := vectorcoll._partitioning_obstacle(relid);
    IF obstacle IS NOT NULL THEN
        PERFORM vectorcoll._raise('VC110', format('collection "%s" cannot be partitioned by name',
                vectorcoll._qualified(relid)),
            format('Objects depend on its table as it is: %s.', obstacle),
                    'Drop them, create the partition, and make them again on the partitioned table.');
    END IF;
    SELECT n.nspname, c.relname, c.relowner, c.relacl, obj_description(c.oid, 'pg_class') AS comment INTO old
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = relid;
    EXECUTE format('ALTER TABLE %s ADD COLUMN "$partition" text NOT NULL DEFAULT ''_default''',
            vectorcoll._ident(relid));
    SELECT x.conname, a.attname INTO item FROM pg_constraint x JOIN pg_attribute a ON a.attrelid = x.conrelid
            AND a.attnum = x.conkey[1]
     WHERE x.conrelid = relid AND x.contype = 'p';
    key := item.attname;
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', vectorcoll._ident(relid), item.conname);
    SELECT a.attname, a.attidentity, pg_get_serial_sequence(vectorcoll._ident(relid),
            a.attname) AS sequence INTO identity
      FROM pg_attribute a WHERE a.attrelid = relid AND a.attidentity <> '' AND NOT a.attisdropped;
    IF identity.attname IS NOT NULL THEN
        EXECUTE format('SELECT CASE WHEN is_called THEN last_value END FROM %s', identity.sequence) INTO last_value;
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I DROP IDENTITY', vectorcoll._ident(relid), identity.attname);
    END IF;
    child_name := vectorcoll._free_name(old.nspname, old.relname, '__default');
    EXECUTE format('ALTER TABLE %s RENAME TO %I', vectorcoll._ident(relid), child_name);
    EXECUTE format('CREATE TABLE %I.%I (LIKE %I.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING STORAGE'
                   ' INCLUDING COMPRESSION INCLUDING COMMENTS) PARTITION BY LIST ("$partition")', old.nspname,
                           old.relname, old.nspname, child_name);
    parent := vectorcoll._relid(old.nspname, old.relname);
    IF identity.attname IS NOT NULL THEN
        EXECUTE format('ALTER TABLE %I.%I ALTER COLUMN %I ADD GENERATED BY DEFAULT AS IDENTITY', old.nspname,
                old.relname, identity.attname);
        IF last_value IS NOT NULL THEN
            PERFORM setval(pg_get_serial_sequence(vectorcoll._ident(parent), identity.attname), last_value);
        END IF;
    END IF;
    -- Indexes of the same definition on the empty parent; ATTACH finds them and takes the child's over.
    FOR item IN SELECT i.oid, i.relname, x.indisunique,
            pg_get_indexdef(i.oid) AS definition FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
                 WHERE x.indrelid = _make_partitioned.relid LOOP
        prefix := format('CREATE %sINDEX %I ON %I.%I ', CASE WHEN item.indisunique THEN 'UNIQUE ' ELSE '' END,
                item.relname, old.nspname, child_name);
        IF item.indisunique OR NOT starts_with(item.definition, prefix) THEN
            PERFORM vectorcoll._raise('VC110', format('index "%s" cannot be carried over', item.relname),
                    'It is unique without the partition column.',
                                      'Drop it, create the partition, and make it again.');
        END IF;
        EXECUTE format('ALTER INDEX %I.%I RENAME TO %I', old.nspname, item.relname, vectorcoll._free_name(old.nspname,
                child_name, '_idx'));
        EXECUTE format('CREATE INDEX %I ON %I.%I ', item.relname, old.nspname, old.relname) || substr(item.definition,
                length(prefix) + 1);
    END LOOP;
    EXECUTE format('ALTER TABLE %I.%I ADD PRIMARY KEY (%I, "$partition")', old.nspname, child_name, key);
    EXECUTE format('ALTER TABLE %I.%I ADD PRIMARY KEY (%I, "$partition")', old.nspname, old.relname, key);
    EXECUTE format('ALTER TABLE %I.%I ATTACH PARTITION %I.%I FOR VALUES IN (''_default'')', old.nspname, old.relname,
            old.nspname, child_name);
    FOR item IN SELECT CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END AS grantee,
            x.privilege_type, x.is_grantable
                  FROM aclexplode(old.relacl) x WHERE x.grantee <> old.relowner LOOP
        EXECUTE format('GRANT %s ON %I.%I TO %s', item.privilege_type, old.nspname, old.relname, item.grantee)
                || CASE WHEN item.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END;
    END LOOP;
    IF old.comment IS NOT NULL THEN
        EXECUTE format('COMMENT ON TABLE %I.%I IS %L', old.nspname, old.relname, old.comment);
    END IF;
    PERFORM vectorcoll._retarget(relid, parent);
    FOR item IN SELECT a.relid AS view FROM vectorcoll.aliases a WHERE a.collection_relid = parent ORDER BY 1 LOOP
        PERFORM vectorcoll._point_alias(item.view, parent);
    END LOOP;
    IF old.relowner <> (SELECT c.relowner FROM pg_class c WHERE c.oid = parent) THEN
        EXECUTE format('ALTER TABLE %I.%I OWNER TO %I', old.nspname, old.relname, pg_get_userbyid(old.relowner));
    END IF;
    RETURN parent;
END $$;

-- Creates a named partition; one that exists is left alone.
CREATE FUNCTION vectorcoll.create_partition(name text, partition_name text, namespace text = NULL,
    timeout interval = NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid;
    named bool;
    n int;
BEGIN
    PERFORM vectorcoll._require(partition_name, 'partition_name');
    IF partition_name !~ '^[A-Za-z_][A-Za-z0-9_]*$' OR octet_length(partition_name) > 63 THEN
        PERFORM vectorcoll._raise('VC110', format('invalid partition name "%s"', partition_name),
            'A name is a letter or underscore followed by letters, digits or underscores, at most 63 bytes.',
                    'Choose another name.');
    END IF;
    FOR attempt IN 1 .. 10 LOOP
        BEGIN
            PERFORM vectorcoll._timeout_start(timeout, attempt);
            rel := vectorcoll._resolve_locked(name, namespace);
            IF EXISTS (SELECT FROM pg_partitioned_table p WHERE p.partrelid = rel) THEN
                PERFORM vectorcoll._lock_collection(rel); -- else _make_partitioned locks the aliases first
            END IF;
            named := vectorcoll._has_named_partitions(rel);
            IF NOT named THEN
                PERFORM vectorcoll._raise('VC110', format('collection "%s" is not partitioned by name',
                        vectorcoll._qualified(rel)),
                    'Its rows are spread by partition key, by shards, or by what its table was adopted with.',
                            'Create a collection without them to partition it by name.');
            END IF;
            IF EXISTS (SELECT FROM vectorcoll._partitions(rel) p
                    WHERE p.partition_name = create_partition.partition_name) THEN
                RETURN;
            END IF;
            SELECT count(*) INTO n FROM vectorcoll._partitions(rel);
            IF n >= 1024 THEN
                PERFORM vectorcoll._raise('VC906', format('collection "%s" has %s partitions', vectorcoll._qualified(rel),
                        n), 'At most 1024 are allowed.',
                                          'Use a partition key for many tenants.');
            END IF;
            IF named IS NULL THEN
                rel := vectorcoll._make_partitioned(rel);
            END IF;
            EXECUTE format('CREATE TABLE %I.%I PARTITION OF %s FOR VALUES IN (%L)', split_part(vectorcoll._qualified(rel),
                    '.', 1),
                vectorcoll._free_name(split_part(vectorcoll._qualified(rel), '.', 1),
                        split_part(vectorcoll._qualified(rel), '.', 2), '_' || left(partition_name, 40)),
                vectorcoll._ident(rel), partition_name);
            EXIT;
        EXCEPTION WHEN query_canceled OR deadlock_detected THEN
            IF NOT vectorcoll._again('create_partition', SQLSTATE, attempt) THEN
                RAISE;
            END IF;
        END;
    END LOOP;
END $$;

-- Drops a partition and its rows. One that is loaded must be released first.
CREATE FUNCTION vectorcoll.drop_partition(name text, partition_name text, namespace text = NULL,
    timeout interval = NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid;
    part oid;
BEGIN
    FOR attempt IN 1 .. 10 LOOP
        BEGIN
            PERFORM vectorcoll._timeout_start(timeout, attempt);
            rel := vectorcoll._resolve_locked(name, namespace, 'ACCESS EXCLUSIVE');
            part := vectorcoll._partition(rel, partition_name);
            IF partition_name = '_default' OR vectorcoll._has_named_partitions(rel) IS NOT TRUE THEN
                PERFORM vectorcoll._raise('VC110', format('partition "%s" cannot be dropped', partition_name),
                    'It is the default partition, or one that no name was given to.',
                            'Delete its rows, or drop the collection.');
            END IF;
            IF vectorcoll._load_state(part) IN ('Loading', 'Loaded') THEN
                PERFORM vectorcoll._raise('VC903', format('partition "%s" is loaded', partition_name),
                        'A loaded partition is in use.',
                                          'Call vectorcoll.release_partitions first.');
            END IF;
            EXECUTE format('DROP TABLE %s', vectorcoll._ident(part));
            EXIT;
        EXCEPTION WHEN query_canceled OR deadlock_detected THEN
            IF NOT vectorcoll._again('drop_partition', SQLSTATE, attempt) THEN
                RAISE;
            END IF;
        END;
    END LOOP;
END $$;

CREATE FUNCTION vectorcoll.has_partition(name text, partition_name text, namespace text = NULL) RETURNS bool
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid := vectorcoll._resolve_read(name, namespace);
BEGIN
    PERFORM vectorcoll._require(partition_name, 'partition_name');
    RETURN EXISTS (SELECT FROM vectorcoll._partitions(rel) p WHERE p.partition_name = has_partition.partition_name);
END $$;

CREATE FUNCTION vectorcoll.list_partitions(name text, namespace text = NULL) RETURNS TABLE (partition_name text,
    kind text, relation regclass)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid := vectorcoll._resolve_read(name, namespace);
BEGIN
    RETURN QUERY SELECT p.partition_name, p.kind,
            p.partition_relid::regclass FROM vectorcoll._partitions(rel) p ORDER BY p.partition_name COLLATE "C";
END $$;

CREATE FUNCTION vectorcoll.get_partition_stats(name text, partition_name text, namespace text = NULL) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid := vectorcoll._resolve_read(name, namespace);
BEGIN
    RETURN vectorcoll._stats(vectorcoll._partition(rel, partition_name));
END $$;
