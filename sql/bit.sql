-- Distances of type bit.
\set VERBOSITY terse
SELECT hamming_distance(B'1100', B'1010'), B'1100' <~> B'1010' AS op, B'' <~> B'' AS empty;
SELECT jaccard_distance(B'1100', B'1010'), B'1100' <%> B'1110' AS op, B'0000' <%> B'0000' AS nothing_set, B'1' <%> B'1' AS same;
-- Every length past the kernels' longest step, against counting ones in text.
SELECT count(*), bool_and(a <~> b = length(replace((a # b)::text, '0', ''))) AS hamming,
       bool_and(abs((a <%> b) - (1 - length(replace((a & b)::text, '0', ''))::float8 / length(replace((a | b)::text, '0', '')))) < 1e-12)
           AS jaccard
  FROM generate_series(1, 1100) n,
       LATERAL (SELECT string_agg(CASE (i * 7 + n) % 3 WHEN 1 THEN '1' ELSE '0' END, '' ORDER BY i)::varbit AS a,
                       string_agg(CASE WHEN i = 1 OR (i * 5 + n) % 4 < 2 THEN '1' ELSE '0' END, '' ORDER BY i)::varbit AS b
                  FROM generate_series(1, n) i) v;
\set VERBOSITY default
SELECT B'11' <~> B'111';
\set VERBOSITY sqlstate
SELECT B'11' <%> B'111';
\set VERBOSITY terse
SELECT binary_quantize('[1,-1,2]'::vector) <~> B'111';
SELECT b FROM unnest(ARRAY[B'111', B'000', B'110']) b ORDER BY b <~> B'100', b;
