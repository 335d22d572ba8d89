# vc_ivf where things go wrong: crashes at any moment, a standby, damaged pages, cancelled statements.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = PostgreSQL::Test::Cluster->new('primary');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', "wal_consistency_checking = 'all'\nfsync = off\nautovacuum = off\nmax_parallel_maintenance_workers = 2\nmin_parallel_table_scan_size = 0\nwal_keep_size = 4GB\n");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION vectorcoll;
	CREATE FUNCTION point(i int) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
		SELECT array_agg((i % 37 * s * 7) % 5 + (i * s) % 1 ORDER BY s)::vector
		FROM unnest(ARRAY[0.414214, 0.732051, 0.236068, 0.645751, 0.316625, 0.605551, 0.123106, 0.358899]) s $$;
	CREATE TABLE t (id int, v vector(8));
	CREATE UNLOGGED TABLE u (id int, v vector(8));
	CREATE TABLE i (id int, v vector(8));
});
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;

my $nearest = q{
	SET enable_seqscan = off; SET vc_ivf.probes = 100; SET vc_ivf.epsilon = 6;
	SELECT q, array(SELECT id FROM %s ORDER BY v <-> point(q) LIMIT 10) FROM generate_series(100001, 100020) q};
my $exact = q{
	SET enable_indexscan = off;
	SELECT q, array(SELECT id FROM %s ORDER BY v <-> point(q) LIMIT 10) FROM generate_series(100001, 100020) q};
my $check = "SELECT vectorcoll.ivf_check('%s', true)";

# Whatever was done, the index is whole, answers as the table does, and the standby as the primary.
sub agrees
{
	my ($what) = @_;
	$node->wait_for_catchup($standby);
	for my $table ('t', 'i')
	{
		$node->safe_psql('postgres', sprintf($check, "${table}_v"));
		my $want = $node->safe_psql('postgres', sprintf($exact, $table));
		is($node->safe_psql('postgres', sprintf($nearest, $table)), $want, "$what: index and table agree ($table)");
		is($standby->safe_psql('postgres', sprintf($nearest, $table)), $want, "$what: the standby agrees ($table)");
	}
}

# ---- a standby follows every kind of change ----

$node->safe_psql('postgres', q{
	INSERT INTO t SELECT i, point(i) FROM generate_series(1, 3000) i;
	INSERT INTO i SELECT * FROM t;
	CREATE INDEX t_v ON t USING vc_ivf (v vector_l2_ops) WITH (lists = 20);
	CREATE INDEX i_v ON i USING vc_ivf (v vector_l2_ops) WITH (lists = 20, storage = half);
});
agrees('after a build');
my (undef, undef, $messages) = $node->psql('postgres', 'SET client_min_messages = debug1; REINDEX INDEX t_v');
like($messages, qr/building index "t_v" with [1-9] parallel workers/, 'workers take part in a build');
agrees('after a build by several processes');
$node->safe_psql('postgres', 'INSERT INTO t SELECT i, point(i) FROM generate_series(3001, 6000) i; INSERT INTO i SELECT * FROM t WHERE id > 3000');
agrees('after inserts');
$node->safe_psql('postgres', 'DELETE FROM t WHERE id % 3 = 0; DELETE FROM i WHERE id % 3 = 0');
$node->safe_psql('postgres', 'VACUUM t, i');
agrees('after vacuum');
$node->safe_psql('postgres', 'INSERT INTO t SELECT i, point(i) FROM generate_series(1, 6000, 3) i; INSERT INTO i SELECT i, point(i) FROM generate_series(1, 6000, 3) i');
agrees('after reuse');
$node->safe_psql('postgres', 'REINDEX INDEX CONCURRENTLY t_v; TRUNCATE i; INSERT INTO i SELECT * FROM t');
agrees('after reindex and truncate');

# ---- an unlogged index is empty after a crash, and works ----

$node->safe_psql('postgres', 'INSERT INTO u SELECT * FROM t; CREATE INDEX u_v ON u USING vc_ivf (v vector_l2_ops)');
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', 'SET enable_seqscan = off; SELECT count(*) FROM (SELECT 1 FROM u ORDER BY v <-> point(1) LIMIT 5) s'),
	0, 'an unlogged index is empty after a crash');
$node->safe_psql('postgres', 'INSERT INTO u SELECT * FROM t WHERE id < 2000');
$node->safe_psql('postgres', sprintf($check, 'u_v'));
is($node->safe_psql('postgres', sprintf($nearest, 'u')), $node->safe_psql('postgres', sprintf($exact, 'u')),
	'and can be filled again');

# ---- kill -9 at random moments of insert, vacuum and build ----

my $acknowledged = 0;
for my $round (1 .. 6)
{
	my @work = (
		q{INSERT INTO t SELECT i, point(i) FROM generate_series(1, 20000) i; },
		q{DELETE FROM t WHERE id % 7 = } . $round % 7 . q{; VACUUM t; INSERT INTO t SELECT i, point(i) FROM generate_series(1, 3000) i; },
		q{REINDEX INDEX t_v; REINDEX INDEX i_v; });
	my ($out, $err) = ('', '');
	my $psql = IPC::Run::start(
		[$node->installed_command('psql'), '-XAtq', '-d', $node->connstr('postgres'), '-f', '-'],
		'<', \($work[$round % 3] x 20), '>', \$out, '2>', \$err);
	for my $n (1 .. 20)
	{
		$acknowledged++;
		$node->safe_psql('postgres', "INSERT INTO i VALUES (100000 + $acknowledged, point(100000 + $acknowledged))");
		sleep(rand(0.03));
	}
	$node->stop('immediate');
	$psql->finish;
	$node->start;
	$node->safe_psql('postgres', sprintf($check, 't_v'));
	$node->safe_psql('postgres', sprintf($check, 'i_v'));
	is($node->safe_psql('postgres', 'SET enable_seqscan = off; SELECT count(DISTINCT id) FROM (SELECT id FROM i ORDER BY v <-> point(1) LIMIT 1000000) s WHERE id > 100000'),
		$acknowledged, "round $round: the indexes are whole, and every acknowledged row is there");
}
agrees('after crashes');

# ---- many at once, into an index that has no lists yet: each finds what it put in, whoever trains it meanwhile ----
# (points repeat after 37,000,000)

$node->safe_psql('postgres', q{
	CREATE TABLE c (id int, v vector(8));
	CREATE INDEX c_v ON c USING vc_ivf (v vector_l2_ops);
});
my $script = $node->basedir . '/many.sql';
append_to_file($script, q{
\set id random(1, 30000000)
INSERT INTO c VALUES (:id, point(:id));
SELECT 1 / count(*) FROM (SELECT id FROM c ORDER BY v <-> point(:id) LIMIT 1) s WHERE id = :id;
UPDATE c SET v = point(:id + 1), id = :id + 1 WHERE ctid = (SELECT ctid FROM c ORDER BY v <-> point(:id) LIMIT 1);
SELECT 1 / count(*) FROM (SELECT id FROM c ORDER BY v <-> point(:id + 1) LIMIT 1) s WHERE id = :id + 1;
});
{
	local $ENV{PGOPTIONS} = '-c enable_seqscan=off -c enable_sort=off';
	my ($out, $err) = ('', '');
	my $pgbench = IPC::Run::start([$node->installed_command('pgbench'), '-n', '-c', '4', '-t', '1500', '-f', $script, $node->connstr('postgres')],
		'>', \$out, '2>', \$err);
	for (1 .. 20)
	{
		$node->safe_psql('postgres', 'VACUUM c');
		sleep 0.2;
	}
	ok($pgbench->finish, 'inserts, updates and searches by four clients beside vacuum') or diag $err;
}
$node->safe_psql('postgres', sprintf($check, 'c_v'));
is($node->safe_psql('postgres', q{SELECT rows >= 6000, lists > 1, advice FROM vectorcoll.ivf_stats('c_v')}), 't|t|', 'the index trained itself');
is($node->safe_psql('postgres', sprintf($nearest, 'c')), $node->safe_psql('postgres', sprintf($exact, 'c')), 'and answers as the table does');
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', sprintf($nearest, 'c')), $node->safe_psql('postgres', sprintf($exact, 'c')), 'so does the standby');

# ---- cancelled ----

for my $statement ('REINDEX INDEX t_v', 'SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> point(1) LIMIT 10000000) s',
	'INSERT INTO i SELECT i, point(i) FROM generate_series(1, 1000000) i')
{
	my $began = time;
	my ($status, undef, $stderr) = $node->psql('postgres', "SET enable_seqscan = off; SET statement_timeout = 60; $statement");
	ok($status == 0 || $stderr =~ /statement timeout/, "cancelled: $statement");
	cmp_ok(time - $began, '<', 3, 'soon');
}
$node->safe_psql('postgres', sprintf($check, 't_v'));

# ---- damaged pages give an error that names them, or an answer, never a crash ----

$standby->stop;
$node->safe_psql('postgres', q{
	ALTER SYSTEM SET zero_damaged_pages = off;
	CREATE TABLE w (id int, v vector(3000));
	INSERT INTO w SELECT i, (SELECT array_agg((i * j * 0.618) % 1) FROM generate_series(1, 3000) j)::vector FROM generate_series(1, 40) i;
	CREATE INDEX w_v ON w USING vc_ivf (v vector_l2_ops) WITH (lists = 2, quantization = none, storage = half);
	TRUNCATE i; INSERT INTO i SELECT i, point(i) FROM generate_series(1, 2000) i; REINDEX INDEX i_v;
});
my %query = (
	i_v => 'SET enable_seqscan = off; SELECT count(*) FROM (SELECT id FROM i ORDER BY v <-> point(1) LIMIT 10000) s; BEGIN; INSERT INTO i VALUES (-1, point(5)); ROLLBACK; SELECT vectorcoll.ivf_check(\'i_v\', true)',
	w_v => 'SET enable_seqscan = off; SELECT count(*) FROM (SELECT id FROM w ORDER BY v <-> (SELECT v FROM w LIMIT 1) LIMIT 10000) s; BEGIN; INSERT INTO w SELECT -1, v FROM w LIMIT 1; ROLLBACK; SELECT vectorcoll.ivf_check(\'w_v\', true)');
my ($errors, $corrupted, $tries) = (0, 0, 0);
srand(4);
for my $index (sort keys %query)
{
	my $path = $node->data_dir . '/' . $node->safe_psql('postgres', "SELECT pg_relation_filepath('$index')");
	my $blocks = $node->safe_psql('postgres', "SELECT pg_relation_size('$index') / 8192");
	$node->stop;
	open my $in, '<:raw', $path or die "$path: $!";
	my $good = do { local $/; <$in> };
	close $in;
	for my $try (1 .. 12)
	{
		my $bad = $good;
		my $block = $try <= 6 ? $try - 1 : int rand $blocks;
		my $kind = $try % 4;
		if ($kind == 0) { substr($bad, $block * 8192, 8192) = "\0" x 8192 }
		elsif ($kind == 1) { substr($bad, $block * 8192 + 24 + int rand 600, 4) = pack 'V', int rand 2**32 }
		elsif ($kind == 2) { substr($bad, $block * 8192, 8192) = substr($good, (int rand $blocks) * 8192, 8192) }
		else { $bad = substr($bad, 0, $block * 8192) }
		open my $file, '>:raw', $path or die "$path: $!";
		print $file $bad;
		close $file;
		$node->start;
		my ($status, undef, $stderr) = $node->psql('postgres', "SET statement_timeout = '20s'; SET client_min_messages = error; \\set VERBOSITY verbose\n$query{$index}");
		$tries++;
		$errors++ if $status != 0;
		$corrupted++ if $stderr =~ /XX00[12]/;
		unlike($stderr, qr/terminat|server closed|timeout|58P01/, "$index, block $block, damage $kind: no crash and no hang");
		like($stderr, qr/^$|XX00[0-9]|block \d+|22\d\d\d|54000/, 'an error that says what is wrong, or none') or diag $stderr;
		is($node->safe_psql('postgres', 'SELECT 1'), 1, 'the server is alive');
		$node->stop;
	}
	open my $file, '>:raw', $path or die "$path: $!";
	print $file $good;
	close $file;
	$node->start;
}
cmp_ok($corrupted, '>', $tries / 2, "most damage was found and reported as such ($corrupted of $tries; errors: $errors)");
$node->stop;
done_testing();
