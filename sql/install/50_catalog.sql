-- 50_catalog.sql: the registry of collections, and the internal functions every other file of the collections API uses.
-- src/collection/README.md is the contract for code that reads it; collection.h is the C side.
--
-- The tables are written only by the functions of src/collection/catalog.c, which check the caller's rights, and by the
-- event triggers of 59_event_triggers.sql. The views beside them show a caller the rows of relations they may use.

CREATE TABLE vectorcoll.collection_def (
    id            uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
    -- The table at run time. Null: its table did not come along in a restore.
    relid         oid UNIQUE,
    -- The same table by name, kept true by event triggers; pg_dump carries these, and _restore_relid reads them.
    nspname       name NOT NULL,
    relname       name NOT NULL,
    -- As given, with every optional key filled in: {"fields": [...], "enable_dynamic_field", "shard_num", ...}
    schema        jsonb NOT NULL,
    schema_hash   text NOT NULL,
    -- The user's own key-value pairs.
    properties    jsonb NOT NULL DEFAULT '{}',
    -- Per vector field what no catalogue of the server holds: {"vector": {"metric_type": "L2", "index_type": "FLAT"}}
    field_options jsonb NOT NULL DEFAULT '{}',
    created_at    timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
CREATE INDEX collection_def_name ON vectorcoll.collection_def (nspname, relname);
COMMENT ON TABLE vectorcoll.collection_def IS 'registry of collections; read it through the view vectorcoll.collections';

CREATE TABLE vectorcoll.alias_def (
    relid         oid UNIQUE,
    nspname       name NOT NULL,
    relname       name NOT NULL,
    -- A collection_def.id. No foreign key: pg_restore fills the tables of an extension in any order when it works in parallel.
    collection_id uuid NOT NULL,
    changed_at    timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (nspname, relname)
);
CREATE INDEX alias_def_collection ON vectorcoll.alias_def (collection_id);
CREATE FUNCTION vectorcoll._forget_aliases() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM vectorcoll.alias_def WHERE collection_id = OLD.id;
    RETURN NULL;
END $$;
CREATE TRIGGER forget_aliases AFTER DELETE ON vectorcoll.collection_def
    FOR EACH ROW EXECUTE FUNCTION vectorcoll._forget_aliases();
COMMENT ON TABLE vectorcoll.alias_def IS 'registry of aliases; read it through the view vectorcoll.aliases';

-- Oids do not survive a dump. COPY during a restore fires this, after all tables and views have been made.
CREATE FUNCTION vectorcoll._restore_relid() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.relid := (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                   WHERE n.nspname = NEW.nspname AND c.relname = NEW.relname);
    IF TG_TABLE_NAME = 'collection_def' THEN
        NEW.schema_hash := vectorcoll.schema_hash(NEW.schema); -- which refuses an illegal one
        BEGIN
            PERFORM vectorcoll._check_definition(NEW.relid, NEW.schema);
        EXCEPTION WHEN SQLSTATE 'VC904' OR SQLSTATE 'VC110' THEN
            NEW.relid := NULL; -- another table than the row tells of, as if its own had not come along
        END;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER restore_relid BEFORE INSERT ON vectorcoll.collection_def
    FOR EACH ROW EXECUTE FUNCTION vectorcoll._restore_relid();
CREATE TRIGGER restore_relid BEFORE INSERT ON vectorcoll.alias_def
    FOR EACH ROW EXECUTE FUNCTION vectorcoll._restore_relid();
ALTER TABLE vectorcoll.collection_def ENABLE ALWAYS TRIGGER restore_relid;
ALTER TABLE vectorcoll.alias_def ENABLE ALWAYS TRIGGER restore_relid;

SELECT pg_catalog.pg_extension_config_dump('vectorcoll.collection_def', '');
SELECT pg_catalog.pg_extension_config_dump('vectorcoll.alias_def', '');

-- pg_dump reads and pg_restore writes them with the rights of whoever runs it; the owner of the extension may do both
-- without being a superuser.
GRANT SELECT, INSERT ON vectorcoll.collection_def, vectorcoll.alias_def TO @extowner@;

-- True when the current user could read something of the relation: what decides whether they see its registry row.
CREATE FUNCTION vectorcoll._visible(relid oid) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM pg_class c
                    WHERE c.oid = relid AND has_schema_privilege(c.relnamespace, 'USAGE')
                      AND (has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')
                           OR has_any_column_privilege(c.oid, 'SELECT, INSERT, UPDATE')))
$$;

CREATE VIEW vectorcoll.collections WITH (security_barrier) AS
    SELECT id, relid, nspname AS namespace, relname AS name, schema, schema_hash, properties, field_options, created_at
      FROM vectorcoll.collection_def WHERE vectorcoll._visible(relid);
CREATE VIEW vectorcoll.aliases WITH (security_barrier) AS
    SELECT a.relid, a.nspname AS namespace, a.relname AS alias, d.relid AS collection_relid,
           d.nspname AS collection_namespace, d.relname AS collection, a.changed_at
      FROM vectorcoll.alias_def a JOIN vectorcoll.collection_def d ON d.id = a.collection_id
     WHERE vectorcoll._visible(a.relid);
GRANT SELECT ON vectorcoll.collections, vectorcoll.aliases TO PUBLIC;
COMMENT ON VIEW vectorcoll.collections IS 'collections whose tables the current user may use';
COMMENT ON VIEW vectorcoll.aliases IS 'aliases whose views the current user may use';

----------------------------------------------------------------------------------------------------- C functions ----

-- Raises an error of class VC.
CREATE FUNCTION vectorcoll._raise(sqlstate text, message text, detail text, hint text) RETURNS void
    AS 'MODULE_PATHNAME', 'vc_raise' LANGUAGE C;

-- The table a name stands for; see collection.h. Call it once, in the outermost function.
CREATE FUNCTION vectorcoll._resolve(name text, namespace text = NULL, alias_ok bool = true, missing_ok bool = false)
    RETURNS oid AS 'MODULE_PATHNAME', 'vc_resolve' LANGUAGE C VOLATILE;
-- The same with ACCESS SHARE on the table.
CREATE FUNCTION vectorcoll._resolve_read(name text, namespace text = NULL) RETURNS oid
    AS 'MODULE_PATHNAME', 'vc_resolve_read' LANGUAGE C VOLATILE;
-- The same under the definition lock and, by the owner, with the table locked in the mode given; aliases are refused.
CREATE FUNCTION vectorcoll._resolve_locked(name text, namespace text = NULL, lockmode text = NULL) RETURNS oid
    AS 'MODULE_PATHNAME', 'vc_resolve_locked' LANGUAGE C VOLATILE;
-- Any relation of that name.
CREATE FUNCTION vectorcoll._lookup(name text, namespace text = NULL) RETURNS oid
    AS 'MODULE_PATHNAME', 'vc_lookup' LANGUAGE C VOLATILE;
-- Where a new object of that name goes.
CREATE FUNCTION vectorcoll._target(name text, namespace text = NULL, OUT nspname name, OUT relname name)
    AS 'MODULE_PATHNAME', 'vc_target' LANGUAGE C VOLATILE;

-- Locks of a kind ('namespace', 'definition', 'alias', 'load', taken in this order) on names, held to the
-- end of the transaction.
CREATE FUNCTION vectorcoll._lock(kind text, VARIADIC keys text[]) RETURNS void
    AS 'MODULE_PATHNAME', 'vc_lock' LANGUAGE C STRICT;

-- Locks one relation; whether it is there.
CREATE FUNCTION vectorcoll._lock_relation(relid oid, lockmode text) RETURNS bool
    AS 'MODULE_PATHNAME', 'vc_lock_relation' LANGUAGE C STRICT;

-- The timeout argument of a function, and its new start after a deadlock with DDL by hand. What changes something works in a
-- subtransaction of its own, so that an attempt that fails gives back its locks and leaves nothing:
--
--     FOR attempt IN 1 .. 10 LOOP
--         BEGIN
--             PERFORM vectorcoll._timeout_start(timeout, attempt);
--             ...
--             EXIT;
--         EXCEPTION WHEN query_canceled OR deadlock_detected THEN
--             IF NOT vectorcoll._again('name_of_the_function', SQLSTATE, attempt) THEN
--                 RAISE;
--             END IF;
--         END;
--     END LOOP;
--
-- The timeout is one for all attempts. _again raises VC905 when it has passed; false: the error is the caller's.
CREATE FUNCTION vectorcoll._timeout_start(timeout interval, attempt int) RETURNS void
    AS 'MODULE_PATHNAME', 'vc_timeout_start' LANGUAGE C;
CREATE FUNCTION vectorcoll._again(function text, sqlstate text, attempt int) RETURNS bool
    AS 'MODULE_PATHNAME', 'vc_again' LANGUAGE C STRICT;

-- Registry writes; the caller must own the table.
CREATE FUNCTION vectorcoll._register(relid oid, schema jsonb, properties jsonb, field_options jsonb) RETURNS void
    AS 'MODULE_PATHNAME', 'vc_register' LANGUAGE C STRICT;
CREATE FUNCTION vectorcoll._redefine(relid oid, schema jsonb, properties jsonb = NULL, field_options jsonb = NULL)
    RETURNS void AS 'MODULE_PATHNAME', 'vc_redefine' LANGUAGE C;

---------------------------------------------------------------------------------------------- helpers in PL/pgSQL ----

-- "schema.name" without quotes: the key of definition locks, and what messages show. Null when the relation is gone.
CREATE FUNCTION vectorcoll._qualified(relid oid) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.oid = relid
$$;

-- The same, quoted for a statement.
CREATE FUNCTION vectorcoll._ident(relid oid) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%I.%I', n.nspname, c.relname)
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = relid
$$;

-- Raises VC111 when a required argument is null.
CREATE FUNCTION vectorcoll._require(value anyelement, parameter text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF value IS NULL THEN
        PERFORM vectorcoll._raise('VC111', format('parameter "%s" is missing', parameter), 'The parameter is null.',
                                  format('Pass a value for %s.', parameter));
    END IF;
END $$;
