-- vectorcoll install script. One file per subsystem under sql/install, concatenated by make in name order.
\echo Use "CREATE EXTENSION vectorcoll" to load this file. \quit

-- Types, operators and operator classes go to the schema named at CREATE EXTENSION (@extschema@); everything else
-- goes to schema vectorcoll.
CREATE SCHEMA vectorcoll;
GRANT USAGE ON SCHEMA vectorcoll TO PUBLIC;
COMMENT ON SCHEMA vectorcoll IS 'vectorcoll: collections API, settings and index functions';
