# vc_hnsw through crashes at any moment: under writers, during CREATE INDEX and during VACUUM; unlogged tables; a standby that
# answers the same, with every WAL record's result compared.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use IPC::Run;
use Time::HiRes qw(sleep time);

my $seed = $ENV{VC_TEST_SEED} || 1 + int rand 1_000_000;
srand $seed;
diag "VC_TEST_SEED=$seed";

my $node = PostgreSQL::Test::Cluster->new('primary');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', "wal_consistency_checking = 'all'\nautovacuum = off\nmax_parallel_maintenance_workers = 2\ncheckpoint_timeout = 30s\nmax_wal_size = 64MB\nwal_keep_size = 4GB\n");
$node->start;
# Nodes of which several fit a page, nodes of more pages than a WAL record takes (w), and nodes of differing size (s).
$node->safe_psql('postgres', q{
	CREATE EXTENSION vectorcoll;
	CREATE FUNCTION point(i int, d int) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
		SELECT array_agg(sin(i::float8 * s * s) + (i % 7) / 2.0 ORDER BY s)::vector FROM generate_series(1, d) s $$;
	CREATE FUNCTION sparse_point(i int, d int) RETURNS sparsevec LANGUAGE sql IMMUTABLE AS $$
		SELECT array_agg(CASE WHEN (i + s) % (1 + i % 5) = 0 THEN sin(i::float8 * s * s) ELSE 0 END ORDER BY s)::vector::sparsevec
		FROM generate_series(1, d) s $$;
	CREATE TABLE s (id int, v sparsevec(200));
	CREATE INDEX s_v ON s USING vc_hnsw (v sparsevec_l2_ops) WITH (m = 8, ef_construction = 40);
	INSERT INTO s SELECT i, sparse_point(i, 200) FROM generate_series(1, 500) i;
	CREATE TABLE t (id int, v vector(24));
	CREATE TABLE w (id int, v vector(9000));
	CREATE INDEX t_v ON t USING vc_hnsw (v vector_l2_ops, id) WITH (m = 8, ef_construction = 40);
	CREATE INDEX w_v ON w USING vc_hnsw (v vector_l2_ops) WITH (m = 8, ef_construction = 40);
	CREATE UNLOGGED TABLE u (id int, v vector(24));
	CREATE INDEX u_v ON u USING vc_hnsw (v vector_cosine_ops, id);
	INSERT INTO t SELECT i, point(i, 24) FROM generate_series(1, 1500) i;
	INSERT INTO w SELECT i, point(i, 9000) FROM generate_series(1, 30) i;
	INSERT INTO u SELECT i, point(i, 24) FROM generate_series(1, 100) i;
});
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;

my $nearest = q{SET enable_seqscan = off; SELECT q, array(SELECT id FROM t ORDER BY v <-> point(q, 24), id LIMIT 10) FROM generate_series(2000000, 2000019) q};
my $all = q{SET enable_seqscan = off; SELECT count(*), count(DISTINCT id), sum(id::int8) FROM (SELECT id FROM %s ORDER BY v <-> %s(5, %d) LIMIT 1000000) s};
my $table = q{SET enable_indexscan = off; SELECT count(*), count(DISTINCT id), sum(id::int8) FROM %s};

# End the server without warning: its processes are killed all at once, or told to quit without cleaning up.
sub crash
{
	my ($round) = @_;
	return $node->stop('immediate') if $round % 2;
	my ($postmaster) = split /\n/, slurp_file($node->data_dir . '/postmaster.pid');
	my @children = split ' ', `ps -o pid= --ppid $postmaster`;
	kill 'KILL', $postmaster, @children;
	my $until = time + 30;
	sleep 0.02 while time < $until && grep { kill 0, $_ } $postmaster, @children;
	$node->{_pid} = undef;
}

# A writer acknowledges each committed id on its standard output.
sub writer
{
	my ($from, $table, $d, $point) = @_;
	my ($in, $out, $err) = ('', '', '');
	my $sql = join '', map { my $id = $from + $_; "INSERT INTO $table VALUES ($id, $point($id, $d)) RETURNING id;\n" . ($_ % 3 == 2 ? 'DELETE FROM ' . $table . ' WHERE id = ' . ($id - 1) . ";\n\\echo gone " . ($id - 1) . "\n" : '') } 0 .. 3000;
	my $handle = IPC::Run::start(['psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', '-'], '<', \$sql, '>', \$out, '2>', \$err);
	return { handle => $handle, out => \$out, from => $from, table => $table };
}

my $next = 10000;
for my $round (1 .. 4)
{
	my @writers = map { $next += 10000; writer($next, @$_) } ['t', 24, 'point'], ['t', 24, 'point'], ['w', 9000, 'point'], ['s', 200, 'sparse_point'];
	my $other;
	my ($in, $out, $err) = ('', '', '');
	if ($round % 2 == 0)
	{
		$node->safe_psql('postgres', 'DELETE FROM t WHERE id < 10000 AND id % 7 = ' . $round);
		$other = 'VACUUM (INDEX_CLEANUP ON) t; DELETE FROM s WHERE id % 3 = 0; VACUUM (INDEX_CLEANUP ON) s; VACUUM (INDEX_CLEANUP ON) w; DELETE FROM t WHERE id % 5 = 0 AND id < 10000; VACUUM (INDEX_CLEANUP ON) t';
	}
	elsif ($round > 1)
	{
		$other = 'CREATE INDEX CONCURRENTLY t_again ON t USING vc_hnsw (v vector_ip_ops); REINDEX INDEX CONCURRENTLY w_v; SELECT pg_sleep(10)';
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
	for my $case (['t', 24, 'point'], ['w', 9000, 'point'], ['s', 200, 'sparse_point'])
	{
		my ($name, $d, $point) = @$case;
		is($node->psql('postgres', "SET client_min_messages = error; SELECT vectorcoll.hnsw_check('${name}_v', true)"), 0, "round $round: $name is whole");
		is($node->safe_psql('postgres', sprintf $all, $name, $point, $d), $node->safe_psql('postgres', sprintf $table, $name), "round $round: the index of $name has just the table's rows");
	}
	is($node->safe_psql('postgres', 'SELECT count(*) FROM u'), 0, 'an unlogged table is empty');
	$node->safe_psql('postgres', q{
		SELECT vectorcoll.hnsw_check('u_v', true); INSERT INTO u SELECT i, point(i, 24) FROM generate_series(1, 100) i; SELECT vectorcoll.hnsw_check('u_v', true);
		DROP INDEX IF EXISTS t_again;});
	$node->wait_for_catchup($standby);
	is($standby->safe_psql('postgres', $nearest), $node->safe_psql('postgres', $nearest), "round $round: the standby answers the same");
	is($standby->psql('postgres', "SET client_min_messages = error; SELECT vectorcoll.hnsw_check('t_v', true), vectorcoll.hnsw_check('w_v', true), vectorcoll.hnsw_check('s_v', true)"), 0, "round $round: and is whole");
}

# What an interrupted vacuum leaves is taken up by the next.
$node->safe_psql('postgres', 'DELETE FROM t WHERE id % 2 = 0; VACUUM (INDEX_CLEANUP ON) t; VACUUM (INDEX_CLEANUP ON) w');
is($node->safe_psql('postgres', "SET client_min_messages = error; SELECT vectorcoll.hnsw_check('t_v', true); SELECT dead FROM vectorcoll.hnsw_stats('t_v')"), "\n0", 'a vacuum to the end leaves no dead nodes');
$node->wait_for_catchup($standby);
unlike(slurp_file($standby->logfile), qr/inconsistent page|PANIC|TRAP/, 'every record left the standby the same page');

# The standby takes over.
$standby->promote;
$standby->safe_psql('postgres', "SET client_min_messages = error; INSERT INTO t SELECT i, point(i, 24) FROM generate_series(1, 200) i; DELETE FROM t WHERE id % 3 = 0; VACUUM (INDEX_CLEANUP ON) t; SELECT vectorcoll.hnsw_check('t_v', true)");
is($standby->safe_psql('postgres', sprintf $all, 't', 'point', 24), $standby->safe_psql('postgres', sprintf $table, 't'), 'a promoted standby goes on');
$node->stop;
$standby->stop;
done_testing();
