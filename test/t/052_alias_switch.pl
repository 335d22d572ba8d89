# An alias moves between a 384-d and a 768-d collection while fifty sessions search through it: no error, no empty answer, and every
# answer wholly from one side. Through the view the query vector comes from the alias itself, whatever its size; through the
# function both sides have one size.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use IPC::Run;

my $seconds = $ENV{VC_STRESS_SECONDS} || 8;
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nmax_connections = 80");
$node->start;
$node->safe_psql('postgres', <<'END');
CREATE EXTENSION vectorcoll;
SELECT vectorcoll.create_collection('docs_' || dim, format('{"fields": [{"name": "id", "dtype": "int64", "is_primary": true},
    {"name": "side", "dtype": "int32"}, {"name": "v", "dtype": "float_vector", "dim": %s}]}', dim)::jsonb) FROM unnest(ARRAY[384, 768]) dim;
INSERT INTO docs_384 SELECT i, 384, (SELECT array_agg(sin(i * j)) FROM generate_series(1, 384) j)::real[] FROM generate_series(1, 300) i;
INSERT INTO docs_768 SELECT i, 768, (SELECT array_agg(cos(i * j)) FROM generate_series(1, 768) j)::real[] FROM generate_series(1, 300) i;
SELECT vectorcoll.create_collection(name, '{"fields": [{"name": "id", "dtype": "int64", "is_primary": true}, {"name": "side", "dtype": "varchar", "max_length": 9},
    {"name": "v", "dtype": "float_vector", "dim": 3}]}'::jsonb) FROM unnest(ARRAY['blue', 'green']) name;
INSERT INTO blue SELECT i, 'blue', ARRAY[i, 1, 1]::real[] FROM generate_series(1, 100) i;
INSERT INTO green SELECT i, 'green', ARRAY[i, 1, 1]::real[] FROM generate_series(1, 100) i;
SELECT vectorcoll.create_index(name, 'v', 'HNSW', 'L2') FROM unnest(ARRAY['docs_384', 'docs_768', 'blue', 'green']) name;
SELECT vectorcoll.create_alias('docs_384', 'live'), vectorcoll.create_alias('blue', 'current');
CREATE TABLE answers (view_answers bigint, function_answers bigint, sides text[]);
CREATE PROCEDURE searcher(seconds float8) LANGUAGE plpgsql AS $$
DECLARE
    until timestamptz := clock_timestamp() + seconds * interval '1 second';
    n int; sides text[]; seen text[] := '{}'; a bigint := 0; b bigint := 0;
BEGIN
    WHILE clock_timestamp() < until LOOP
        SELECT count(*), array_agg(DISTINCT side) INTO n, sides
          FROM (SELECT side FROM live ORDER BY v <-> (SELECT v FROM live WHERE id = 1 + floor(random() * 300)::int LIMIT 1) LIMIT 5) s;
        IF n <> 5 OR cardinality(sides) <> 1 THEN
            RAISE 'view: % rows from %', n, sides;
        END IF;
        COMMIT;
        seen := ARRAY(SELECT DISTINCT unnest(seen || sides)); a := a + 1;
        SELECT count(*), array_agg(DISTINCT entity->>'side') INTO n, sides FROM vectorcoll.search('current', ARRAY[50, 1, 1]::real[]::vector, top_k => 5);
        IF n <> 5 OR cardinality(sides) <> 1 THEN
            RAISE 'function: % rows from %', n, sides;
        END IF;
        COMMIT;
        seen := ARRAY(SELECT DISTINCT unnest(seen || sides)); b := b + 1;
    END LOOP;
    INSERT INTO answers VALUES (a, b, seen);
END $$;
END

like($node->safe_psql('postgres', q{SET enable_seqscan = off; EXPLAIN (COSTS OFF) SELECT id FROM live ORDER BY v <-> (SELECT v FROM docs_384 LIMIT 1) LIMIT 5}),
	qr/Index Scan using docs_384_v_idx/, 'search through the view uses the index');

my @running;
for (1 .. 50)
{
	my ($in, $out, $err) = ('', '', '');
	push @running, [ IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', "CALL searcher($seconds)" ], '<', \$in, '>', \$out,
		'2>', \$err), \$err ];
}
my ($switches, $end) = (0, time + $seconds - 1);
while (time < $end)
{
	my ($docs, $plain) = $switches % 2 ? ('docs_384', 'blue') : ('docs_768', 'green');
	$node->safe_psql('postgres', "SELECT vectorcoll.alter_alias('$docs', 'live'); SELECT vectorcoll.alter_alias('$plain', 'current')");
	$switches++;
}
$_->[0]->finish for @running;
is(join('', map { ${ $_->[1] } } @running), '', 'no session met an error');
cmp_ok($switches, '>', 5, "$switches switches");
is($node->safe_psql('postgres', 'SELECT count(*) FROM answers'), 50, 'every session finished');
note $node->safe_psql('postgres', 'SELECT sum(view_answers), sum(function_answers) FROM answers');
is($node->safe_psql('postgres', 'SELECT string_agg(DISTINCT s, $$,$$ ORDER BY s) FROM answers, unnest(sides) s'), '384,768,blue,green', 'both sides were seen');
done_testing();
