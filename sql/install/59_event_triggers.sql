-- 59_event_triggers.sql: DDL by hand keeps the registry true.
--
-- These run with the rights of the extension's owner, since whoever may drop or rename a table need not be able to write
-- the registry. They take nothing from the caller but what the server says was done.

CREATE FUNCTION vectorcoll._on_drop() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM vectorcoll.alias_def a USING pg_event_trigger_dropped_objects() d
     WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0 AND a.relid = d.objid;
    DELETE FROM vectorcoll.collection_def c USING pg_event_trigger_dropped_objects() d
     WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0 AND c.relid = d.objid;
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
END $$;

CREATE EVENT TRIGGER vectorcoll_drop ON sql_drop EXECUTE FUNCTION vectorcoll._on_drop();
CREATE EVENT TRIGGER vectorcoll_alter ON ddl_command_end
    WHEN TAG IN ('ALTER TABLE', 'ALTER VIEW', 'ALTER SCHEMA')
    EXECUTE FUNCTION vectorcoll._on_alter();
