-- Casts between arrays and the vector types, and among the vector types.
\set VERBOSITY terse

-- Arrays to vectors: on assignment and by name, of every element type that clients send.
SELECT ARRAY[1,2]::vector, ARRAY[1.5,2]::real[]::vector, ARRAY[1.5,2]::float8[]::vector, ARRAY[1.5,2]::numeric[]::vector;
SELECT ARRAY[1,2]::halfvec, ARRAY[1.5,2]::real[]::halfvec, ARRAY[1.5,2]::float8[]::halfvec, ARRAY[1.5,2]::numeric[]::halfvec;
SELECT ARRAY[0,2]::sparsevec, ARRAY[0,2]::real[]::sparsevec, ARRAY[0,2]::float8[]::sparsevec, ARRAY[0,1e-99,2]::numeric[]::sparsevec;
SELECT CAST(ARRAY[1,2] AS vector(2)), '[2:3]={4,5}'::int[]::vector AS lower_bound, ARRAY[0.1, 16777217]::numeric[]::vector AS rounded;
CREATE TEMP TABLE assigned (v vector(2), h halfvec(2), s sparsevec(2));
INSERT INTO assigned VALUES (ARRAY[1,2], ARRAY[1,2]::float8[], ARRAY[0,2]::numeric[]);
INSERT INTO assigned SELECT ARRAY[1.5,2]::real[], ARRAY[1.5,2]::numeric[], ARRAY[1.5,0]::real[];
SELECT * FROM assigned;
PREPARE assign(float8[]) AS INSERT INTO assigned (v) VALUES ($1);
EXECUTE assign(ARRAY[3, 4]);
-- Assignment only: an operator does not take an array for a vector by itself.
SELECT v <-> ARRAY[1,2] FROM assigned;
SELECT min(v <-> ARRAY[3,4]::vector) FROM assigned;
\set VERBOSITY default
SELECT ARRAY[1,NULL]::vector;
SELECT ARRAY[[1],[2]]::vector;
SELECT ARRAY[]::int[]::vector;
SELECT ARRAY[1,2]::vector(3);
SELECT ARRAY['NaN'::float8]::vector;
SELECT ARRAY[1e39::float8]::vector;
SELECT ARRAY[1e39::numeric]::vector;
SELECT ARRAY[65520]::halfvec;
SELECT array_fill(1, ARRAY[16001])::vector;
SELECT ARRAY['a']::text[]::vector;
\set VERBOSITY sqlstate
SELECT ARRAY[1,NULL]::halfvec;
SELECT ARRAY[[1],[2]]::sparsevec;
SELECT ARRAY[]::real[]::sparsevec;
SELECT ARRAY[1,2]::halfvec(3);
SELECT ARRAY[1,2]::sparsevec(3);
SELECT ARRAY['NaN'::real]::halfvec;
SELECT ARRAY['-Infinity'::real]::vector;
SELECT ARRAY['NaN'::numeric]::vector;
SELECT ARRAY['-Infinity'::numeric]::vector;
SELECT array_fill(1, ARRAY[16001])::halfvec;
SELECT array_fill(1, ARRAY[16001])::sparsevec;
INSERT INTO assigned (v) VALUES (ARRAY[1,2,3]);
\set VERBOSITY terse
SELECT vector_dims(array_fill(0.5, ARRAY[16000])::vector), array_fill(0, ARRAY[16001])::sparsevec;

-- Vectors to arrays: implicitly for vector.
SELECT '[1,2]'::vector::real[], '[1,2]'::halfvec::real[], '[1,0.1]'::vector::float8[];
SELECT array_agg(e) FROM unnest('[3,1,2]'::vector::real[]) e;

-- Among the vector types.
SELECT '[1,0.1]'::vector::halfvec, '[1,0.1]'::halfvec::vector, '[1,0,2]'::vector::sparsevec, '{1:1,3:2}/3'::sparsevec::vector,
       '[1,0,2]'::halfvec::sparsevec, '{1:1,3:2}/3'::sparsevec::halfvec;
SELECT '[1,2]'::vector::halfvec(2), '[1,2]'::halfvec::vector(2), '[1,2]'::vector::sparsevec(2), '{1:1}/2'::sparsevec::vector(2);
SELECT '[1,2]'::halfvec <-> '[1,4]'::vector AS implicit, '{1:1}/2'::sparsevec <-> '[1,4]'::vector AS implicit_sparse;
SELECT castsource::regtype, casttarget::regtype, castcontext
  FROM pg_cast
 WHERE (castsource IN ('vector'::regtype, 'halfvec'::regtype, 'sparsevec'::regtype)
        OR casttarget IN ('vector'::regtype, 'halfvec'::regtype, 'sparsevec'::regtype))
 ORDER BY castsource::regtype::text COLLATE "C", casttarget::regtype::text COLLATE "C";
\set VERBOSITY default
SELECT '[1e5]'::vector::halfvec;
SELECT '[1,2]'::vector::halfvec(3);
SELECT '{1:1}/16001'::sparsevec::vector;
\set VERBOSITY sqlstate
SELECT '[1,2]'::halfvec::vector(3);
SELECT '[1,2]'::vector::sparsevec(3);
SELECT '[1,2]'::halfvec::sparsevec(3);
SELECT '{1:1}/2'::sparsevec::vector(3);
SELECT '{1:1}/2'::sparsevec::halfvec(3);
SELECT '{1:1e5}/2'::sparsevec::halfvec;
SELECT '{1:1}/1000000000'::sparsevec::halfvec;
