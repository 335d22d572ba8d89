# Every function that takes a timeout ends with VC905 when what it needs stays locked, and leaves nothing half done. One call a function; a
# function that is not listed fails the test.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "autovacuum = off");
$node->start;

sub sql { return $node->safe_psql('postgres', shift); }

sql(<<'END');
CREATE EXTENSION vectorcoll;
SELECT vectorcoll.create_collection('docs', 2), vectorcoll.create_collection('parts', 2), vectorcoll.create_collection('other', 2);
SELECT vectorcoll.create_partition('parts', 'p');
SELECT vectorcoll.insert('docs', '{"id": 1, "vector": [1, 2]}'), vectorcoll.add_collection_field('docs', '{"name": "f", "dtype": "int32", "nullable": true}'), vectorcoll.create_index('docs', 'vector');
SELECT vectorcoll.create_payload_index('docs', 'f'), vectorcoll.create_alias('docs', 'live'), vectorcoll.create_namespace('spare');
CREATE TABLE plain (id int PRIMARY KEY, v vector(2));
CREATE FUNCTION source() RETURNS SETOF jsonb LANGUAGE sql AS $$ SELECT '{"id": 7, "vector": [7, 7]}'::jsonb $$;
END

my %calls = (
	create_collection => [ q{'fresh', 3}, q{'fresh', schema => '{"fields": [{"name": "id", "dtype": "int64", "is_primary": true}, {"name": "v", "dtype": "float_vector", "dim": 2}]}'::jsonb} ],
	rename_collection => [q{'docs', 'fresh'}], truncate_collection => [q{'docs'}], drop_collection => [q{'docs', safe => false}],
	alter_collection_properties => [q{'docs', '{"a": 1}'}], add_collection_field => [q{'docs', '{"name": "g", "dtype": "int32", "nullable": true}'}],
	drop_collection_field => [q{'docs', 'f'}], adopt_table => [q{'plain'}],
	create_index => [q{'docs', 'vector'}], drop_index => [q{'docs', 'vector'}], create_payload_index => [q{'docs', '$meta'}], drop_payload_index => [q{'docs', 'f'}],
	load_collection => [q{'docs', wait => true}], refresh_load => [q{'other', wait => true}], release_collection => [q{'docs'}],
	load_partitions => [q{'parts', '{p}', wait => true}], release_partitions => [q{'parts', '{p}'}],
	create_partition => [q{'docs', 'q'}], drop_partition => [q{'parts', 'p'}],
	create_namespace => [q{'fresh_space'}], delete_namespace => [q{'spare', confirm => true}],
	create_alias => [q{'docs', 'second'}], alter_alias => [q{'other', 'live'}], drop_alias => [q{'live'}], update_aliases => [q{'[{"delete_alias": {"alias_name": "live"}}]'}],
	load_records => [q{'docs', 'source'}], rebuild_collection => [q{'docs', 'source'}], upsert_or_load => [q{'docs', '{"id": 1, "vector": [2, 2]}', 'source'}],
	remove_records => [q{'docs', '{1}'}]);

is( sql(q{SELECT string_agg(DISTINCT proname, ' ') FROM pg_proc WHERE pronamespace = 'vectorcoll'::regnamespace AND proname !~ '^_' AND 'timeout' = ANY (proargnames)
	AND proname NOT IN (} . join(', ', map { "'$_'" } sort keys %calls) . ')'), '', 'every function with a timeout is listed');

sql(q{SELECT vectorcoll.load_collection('other', wait => true)});
my $state = q{SELECT (SELECT jsonb_agg(to_jsonb(d)) FROM docs d), (SELECT jsonb_agg(to_jsonb(c) ORDER BY id) FROM vectorcoll.collections c),
	(SELECT jsonb_agg(to_jsonb(a) ORDER BY a.relid) FROM vectorcoll.aliases a), (SELECT jsonb_agg(l.relid || l.state ORDER BY l.relid) FROM vectorcoll.loads l), (SELECT count(*) FROM pg_class WHERE relnamespace <> 'pg_toast'::regnamespace), (SELECT count(*) FROM pg_namespace),
	(SELECT count(*) FROM pg_locks WHERE locktype NOT IN ('virtualxid', 'relation', 'transactionid'))};
# Locks of a worker that is about to leave do not count.
my $no_workers = q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type LIKE 'vectorcoll%'};
$node->poll_query_until('postgres', $no_workers);
my $before = sql($state);
my $holder = $node->background_psql('postgres', on_error_stop => 0);
$holder->query(q{BEGIN;
	SELECT vectorcoll._lock('definition', 'public.fresh'), vectorcoll._lock('alias', 'public.second', 'public.live'), vectorcoll._lock('namespace', 'spare', 'fresh_space');
	LOCK TABLE docs, parts, plain, other, live});
for my $function (sort keys %calls)
{
	for my $arguments (@{ $calls{$function} })
	{
		my ($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY sqlstate\nSELECT vectorcoll.$function($arguments, timeout => '100 ms')", timeout => 30);
		my ($code) = $err =~ /ERROR:\s+(\w{5})/;
		is($code // $err, 'VC905', "$function times out");
	}
}
$holder->query('ROLLBACK');
$holder->quit;
$node->poll_query_until('postgres', $no_workers);
is(sql($state), $before, 'and nothing was done');
done_testing();
