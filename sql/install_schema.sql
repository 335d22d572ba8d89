-- Where the extension can be installed, and what it says where it cannot.
-- In a database of its own, because the other tests' tables depend on the extension.
\set VERBOSITY default
\set SHOW_CONTEXT never
SELECT current_database() AS home \gset
CREATE DATABASE vectorcoll_install_schema;
\c vectorcoll_install_schema

-- Another extension's type of the same name. No other extension need be there: an object is made a member of one.
CREATE TYPE halfvec AS (x int);
CREATE EXTENSION vectorcoll;
ALTER EXTENSION plpgsql ADD TYPE halfvec;
CREATE EXTENSION vectorcoll;
\set VERBOSITY sqlstate
CREATE EXTENSION vectorcoll;
\set VERBOSITY default

-- Another schema, beside that type.
CREATE SCHEMA elsewhere;
CREATE EXTENSION vectorcoll SCHEMA elsewhere;
SELECT '[1,2]'::elsewhere.vector OPERATOR(elsewhere.<->) '[1,4]';
SELECT elsewhere.l2_distance('[1]'::elsewhere.vector, '[3]'::elsewhere.vector);
SET search_path = elsewhere, public;
SELECT avg(v), ARRAY[1,2]::vector FROM unnest(ARRAY['[1,2]']::vector[]) v;
SELECT '[1]'::halfvec;
RESET search_path;
-- Nothing of it is in public.
SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND probin LIKE '%vectorcoll%';
DROP EXTENSION vectorcoll;
DROP SCHEMA elsewhere;
ALTER EXTENSION plpgsql DROP TYPE halfvec;
DROP TYPE halfvec;
CREATE EXTENSION vectorcoll;
SELECT '[1]'::vector;

-- Every function of the types may run in a parallel worker and is safe to fold; none is leakproof.
SELECT proname, proparallel, provolatile, proleakproof
  FROM pg_proc
 WHERE pronamespace = 'public'::regnamespace AND probin LIKE '%vectorcoll%' AND prokind = 'f'
   AND (proparallel <> 's' OR provolatile <> 'i' OR proleakproof OR NOT proisstrict AND proname !~ '_(accum|combine)$')
   AND (proargtypes::oid[] && ARRAY['vector'::regtype, 'halfvec'::regtype, 'sparsevec'::regtype, 'bit'::regtype]::oid[]
        OR prorettype IN ('vector'::regtype, 'halfvec'::regtype, 'sparsevec'::regtype))
   AND proname !~ '^vc_';

\c :home
DROP DATABASE vectorcoll_install_schema;
