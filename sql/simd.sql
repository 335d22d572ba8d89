-- vectorcoll.simd and vectorcoll.simd_level(). What the best set is depends on the machine; that it is known does not.
SELECT vectorcoll.simd_level() IN ('sse2', 'neon', 'baseline', 'avx2', 'avx512') AS known;
SHOW vectorcoll.simd;

SET vectorcoll.simd = 'scalar';
SELECT vectorcoll.simd_level();
SET vectorcoll.simd = 'baseline';
SELECT vectorcoll.simd_level() IN ('sse2', 'neon', 'baseline') AS baseline;
SHOW vectorcoll.simd;

-- the setting follows the transaction and the function it is attached to
BEGIN;
SET LOCAL vectorcoll.simd = 'scalar';
SELECT vectorcoll.simd_level();
ROLLBACK;
SELECT vectorcoll.simd_level() <> 'scalar' AS restored;
CREATE FUNCTION simd_inside() RETURNS text LANGUAGE sql SET vectorcoll.simd = 'scalar'
	AS 'SELECT vectorcoll.simd_level()';
SELECT simd_inside(), vectorcoll.simd_level() <> 'scalar' AS outside;
DROP FUNCTION simd_inside();

-- each set is either in use once chosen, or refused with 0A000, after which the one before is still in use;
-- x86 and arm sets never are there together
DO $$
DECLARE
	wanted text;
	before text;
	hint text;
	refused int := 0;
BEGIN
	FOREACH wanted IN ARRAY ARRAY['sse2', 'neon', 'avx2', 'avx512']
	LOOP
		before := vectorcoll.simd_level();
		BEGIN
			PERFORM set_config('vectorcoll.simd', wanted, false);
			IF vectorcoll.simd_level() <> wanted THEN
				RAISE EXCEPTION 'asked for %, got %', wanted, vectorcoll.simd_level();
			END IF;
		EXCEPTION WHEN feature_not_supported THEN
			GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
			refused := refused + 1;
			IF hint NOT LIKE '%"auto"%' OR vectorcoll.simd_level() <> before THEN
				RAISE EXCEPTION '%: hint "%", now %', wanted, hint, vectorcoll.simd_level();
			END IF;
		END;
	END LOOP;
	IF refused = 0 THEN
		RAISE EXCEPTION 'no set was refused';
	END IF;
END $$;

-- not a set at all; the hint lists what this architecture has
\set VERBOSITY terse
SET vectorcoll.simd = 'mmx';
\set VERBOSITY default

RESET vectorcoll.simd;
SHOW vectorcoll.simd;
