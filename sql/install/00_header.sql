-- vectorcoll install script. One file per subsystem under sql/install, concatenated by make in name order.
\echo Use "CREATE EXTENSION vectorcoll" to load this file. \quit

-- Types, operators and operator classes go to the schema named at CREATE EXTENSION (@extschema@); everything else
-- goes to schema vectorcoll.
CREATE SCHEMA vectorcoll;
GRANT USAGE ON SCHEMA vectorcoll TO PUBLIC;
COMMENT ON SCHEMA vectorcoll IS 'vectorcoll: collections API, settings and index functions';

-- Without this check a name clash ends in "type "vector" already exists", which tells nobody what to do.
DO $$
DECLARE
    taken text;
    owner text;
BEGIN
    SELECT t.typname, e.extname INTO taken, owner
      FROM pg_catalog.pg_type t
      LEFT JOIN pg_catalog.pg_depend d
             ON d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.objid = t.oid AND d.deptype = 'e'
      LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
     WHERE t.typname IN ('vector', 'halfvec', 'sparsevec')
       AND t.typnamespace = '@extschema@'::pg_catalog.regnamespace
     ORDER BY t.typname DESC
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'duplicate_object',
            MESSAGE = pg_catalog.format('type %I already exists in schema %s', taken, '@extschema@'),
            DETAIL = CASE WHEN owner IS NULL THEN 'It belongs to no extension.'
                          ELSE pg_catalog.format('It belongs to extension %I.', owner) END,
            HINT = 'Choose another schema: CREATE SCHEMA vc; CREATE EXTENSION vectorcoll SCHEMA vc.';
    END IF;
END
$$;
