# vc_hnsw through crashes at any moment: under writers, during CREATE INDEX and during VACUUM; unlogged tables; a standby that
# answers the same, with every WAL record's result compared.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use IPC::Run;
use lib 'test/t';
use Damage;
use Time::HiRes qw(sleep time);

my $seed = $ENV{VC_TEST_SEED} || 1 + int rand 1_000_000;
srand $seed;
diag "VC_TEST_SEED=$seed";

my $node = PostgreSQL::Test::Cluster->new('primary');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', "wal_consistency_checking = 'all'\nautovacuum = off\nmax_parallel_maintenance_workers = 2\ncheckpoint_timeout = 30s\nmax_wal_size = 64MB\nwal_keep_size = 4GB\n");
$node->start;
# Nodes of which several fit a page, with values (t) and without (c), nodes of more pages than a WAL record takes (w), and nodes of differing size (s):
# columns, points, key, options, and how many rows there are at first. t has two writers, for they meet.
my %tables = (
	t => { type => 'vector', d => 24, point => 'point', key => 'v vector_l2_ops, id', options => '', rows => 1500, writers => 2 },
	c => { type => 'vector', d => 24, point => 'point', key => 'v vector_l2_ops, id', options => ', storage = compact', rows => 1500, writers => 1 },
	w => { type => 'vector', d => 9000, point => 'point', key => 'v vector_l2_ops', options => '', rows => 30, writers => 1 },
	s => { type => 'sparsevec', d => 200, point => 'sparse_point', key => 'v sparsevec_l2_ops', options => '', rows => 500, writers => 1 });
my @names = sort keys %tables;
$node->safe_psql('postgres', q{
	CREATE EXTENSION vectorcoll;
	CREATE FUNCTION point(i int, d int) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
		SELECT array_agg(sin(i::float8 * s * s) + (i % 7) / 2.0 ORDER BY s)::vector FROM generate_series(1, d) s $$;
	CREATE FUNCTION sparse_point(i int, d int) RETURNS sparsevec LANGUAGE sql IMMUTABLE AS $$
		SELECT array_agg(CASE WHEN (i + s) % (1 + i % 5) = 0 THEN sin(i::float8 * s * s) ELSE 0 END ORDER BY s)::vector::sparsevec
		FROM generate_series(1, d) s $$;
	CREATE UNLOGGED TABLE u (id int, v vector(24));
	CREATE INDEX u_v ON u USING vc_hnsw (v vector_cosine_ops, id);
	INSERT INTO u SELECT i, point(i, 24) FROM generate_series(1, 100) i;
});
for my $name (@names)
{
	my $t = $tables{$name};
	$node->safe_psql('postgres', qq{
		CREATE TABLE $name (id int, v $t->{type}($t->{d}));
		CREATE INDEX ${name}_v ON $name USING vc_hnsw ($t->{key}) WITH (m = 8, ef_construction = 40$t->{options});
		INSERT INTO $name SELECT i, $t->{point}(i, $t->{d}) FROM generate_series(1, $t->{rows}) i});
}
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;

# What queries find, and all rows by the index and by the table.
sub nearest
{
	my ($name, $explain) = (@_, '');
	my $t = $tables{$name};
	return "SET enable_seqscan = off; $explain SELECT q, array(SELECT id FROM $name ORDER BY v <-> $t->{point}(q, $t->{d}) LIMIT 10) FROM generate_series(2000000, 2000019) q";
}

sub all_rows
{
	my ($name, $setting) = @_;
	my $t = $tables{$name};
	my $rows = $setting eq 'seqscan' ? "SELECT id FROM $name ORDER BY v <-> $t->{point}(5, $t->{d}) LIMIT 1000000" : "SELECT id FROM $name";
	return "SET enable_$setting = off; SELECT count(*), count(DISTINCT id), sum(id::int8) FROM ($rows) s";
}

# End the server without warning: its processes are killed all at once, or told to quit without cleaning up.
sub crash
{
	my ($round) = @_;
	return $round % 2 ? $node->stop('immediate') : kill_server($node);
}

# A writer acknowledges each committed id on its standard output.
sub writer
{
	my ($from, $table) = @_;
	my ($d, $point) = @{ $tables{$table} }{ 'd', 'point' };
	my ($in, $out, $err) = ('', '', '');
	my $sql = join '', map { my $id = $from + $_; "INSERT INTO $table VALUES ($id, $point($id, $d)) RETURNING id;\n" . ($_ % 3 == 2 ? 'DELETE FROM ' . $table . ' WHERE id = ' . ($id - 1) . ";\n\\echo gone " . ($id - 1) . "\n" : '') } 0 .. 3000;
	my $handle = IPC::Run::start(['psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', '-'], '<', \$sql, '>', \$out, '2>', \$err);
	return { handle => $handle, out => \$out, from => $from, table => $table };
}

my $next = 10000;
for my $round (1 .. 4)
{
	my @writers = map { $next += 10000; writer($next, $_) } map { ($_) x $tables{$_}{writers} } @names;
	my $other;
	my ($in, $out, $err) = ('', '', '');
	if ($round % 2 == 0)
	{
		$node->safe_psql('postgres', 'DELETE FROM t WHERE id < 10000 AND id % 7 = ' . $round);
		$other = 'VACUUM (INDEX_CLEANUP ON) t; ' . join('', map { "DELETE FROM $_ WHERE id < 10000 AND id % 5 = $round; VACUUM (INDEX_CLEANUP ON) $_; " } 'c', 's') . 'VACUUM (INDEX_CLEANUP ON) w; DELETE FROM t WHERE id % 5 = 0 AND id < 10000; VACUUM (INDEX_CLEANUP ON) t';
	}
	elsif ($round > 1)
	{
		$other = 'CREATE INDEX CONCURRENTLY t_again ON t USING vc_hnsw (v vector_ip_ops); REINDEX INDEX CONCURRENTLY c_v; REINDEX INDEX CONCURRENTLY w_v; SELECT pg_sleep(10)';
	}
	my $busy = $other && IPC::Run::start(['psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', '-'], '<', \$other, '>', \$out, '2>', \$err);
	my $until = time + 0.4 + rand 1.5;
	while (time < $until) { $_->{handle}->pump_nb for @writers; sleep 0.01 }
	crash($round);
	for my $w (@writers) { eval { $w->{handle}->finish } }
	eval { $busy->finish } if $busy;
	$node->start;
	my $acknowledged = 0;
	for my $w (@writers)
	{
		my %here = map { $_ => 1 } split /\n/, $node->safe_psql('postgres', "SELECT id FROM $w->{table} WHERE id BETWEEN $w->{from} AND $w->{from} + 9999");
		my @said = split /\n/, ${ $w->{out} };
		pop @said if ${ $w->{out} } !~ /\n\z/;
		my %gone = map { /gone (\d+)/ ? ($1 => 1) : () } @said;
		my @want = grep { /^\d+$/ && !$gone{$_} } @said;
		$acknowledged += @want;
		# The last deletion may have been done without being acknowledged.
		my @lost = grep { !$here{$_} } @want;
		cmp_ok(scalar @lost, '<=', 1, "round $round: acknowledged rows of $w->{table} are there") or diag "lost @lost[0 .. 1]";
		ok(!(grep { $here{$_} } keys %gone), "round $round: acknowledged deletions of $w->{table} too");
	}
	cmp_ok($acknowledged, '>', 0, "round $round: writers were at work ($acknowledged rows)");
	for my $name (@names)
	{
		is($node->psql('postgres', "SET client_min_messages = error; SELECT vectorcoll.hnsw_check('${name}_v', true)"), 0, "round $round: $name is whole");
		is($node->safe_psql('postgres', all_rows($name, 'seqscan')), $node->safe_psql('postgres', all_rows($name, 'indexscan')), "round $round: the index of $name has just the table's rows");
	}
	is($node->safe_psql('postgres', 'SELECT count(*) FROM u'), 0, 'an unlogged table is empty');
	$node->safe_psql('postgres', q{
		SELECT vectorcoll.hnsw_check('u_v', true); INSERT INTO u SELECT i, point(i, 24) FROM generate_series(1, 100) i; SELECT vectorcoll.hnsw_check('u_v', true);
		DROP INDEX IF EXISTS t_again;});
	$node->wait_for_catchup($standby);
	for my $name (@names)
	{
		is($standby->safe_psql('postgres', nearest($name)), $node->safe_psql('postgres', nearest($name)), "round $round: the standby answers the same of $name");
		is($standby->psql('postgres', "SET client_min_messages = error; SELECT vectorcoll.hnsw_check('${name}_v', true)"), 0, "round $round: and is whole");
	}
}

for my $name (@names)
{
	like($standby->safe_psql('postgres', nearest($name, 'EXPLAIN')), qr/Index Scan using ${name}_v/, "that was by the index of $name");
}

# What an interrupted vacuum leaves is taken up by the next.
for my $name (@names)
{
	$node->safe_psql('postgres', "DELETE FROM $name WHERE id % 2 = 0");
	$node->safe_psql('postgres', "VACUUM (INDEX_CLEANUP ON) $name");
	is($node->safe_psql('postgres', "SET client_min_messages = error; SELECT vectorcoll.hnsw_check('${name}_v', true); SELECT dead FROM vectorcoll.hnsw_stats('${name}_v')"), "\n0", "a vacuum to the end leaves no dead nodes in $name");
}
$node->wait_for_catchup($standby);
unlike(slurp_file($standby->logfile), qr/inconsistent page|PANIC|TRAP/, 'every record left the standby the same page');

# The standby takes over.
$standby->promote;
for my $name (@names)
{
	my $t = $tables{$name};
	my $rows = $t->{d} > 1000 ? 20 : 200;
	$standby->safe_psql('postgres', $_)
		for "INSERT INTO $name SELECT i, $t->{point}(i, $t->{d}) FROM generate_series(1, $rows) i", "DELETE FROM $name WHERE id % 3 = 0", "VACUUM (INDEX_CLEANUP ON) $name",
		"SET client_min_messages = error; SELECT vectorcoll.hnsw_check('${name}_v', true)";
	is($standby->safe_psql('postgres', all_rows($name, 'seqscan')), $standby->safe_psql('postgres', all_rows($name, 'indexscan')), "a promoted standby goes on with $name");
}
$node->stop;
$standby->stop;
done_testing();
