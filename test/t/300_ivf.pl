# vc_ivf through crashes at any moment, on a standby, and with many writers.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use lib 'test/t';
use Damage;
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
	CREATE INDEX t_v ON t USING vc_ivf (v vector_l2_ops, id) WITH (lists = 20);
	CREATE INDEX i_v ON i USING vc_ivf (v vector_l2_ops) WITH (lists = 20, storage = half, spill = on);
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
$node->safe_psql('postgres', 'DELETE FROM t WHERE id % 10 > 0; DELETE FROM i WHERE id % 10 > 0');
$node->safe_psql('postgres', 'VACUUM t, i');
is($node->safe_psql('postgres', q{SELECT free_pages > 0 FROM vectorcoll.ivf_stats('t_v')}), 't', 'vacuum packs lists');
agrees('after packing');
$node->safe_psql('postgres', 'INSERT INTO t SELECT i, point(i) FROM generate_series(1, 6000) i WHERE i % 10 > 0; INSERT INTO i SELECT i, point(i) FROM generate_series(1, 6000) i WHERE i % 10 > 0');
agrees('after free pages are used');

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
for my $round (1 .. 10)
{
	my @work = (
		q{INSERT INTO t SELECT i, point(i) FROM generate_series(1, 20000) i; },
		q{DELETE FROM t WHERE id % 7 = } . $round % 7 . q{; VACUUM t; INSERT INTO t SELECT i, point(i) FROM generate_series(1, 3000) i; },
		q{REINDEX INDEX t_v; REINDEX INDEX i_v; },
		q{DROP TABLE IF EXISTS f; CREATE TABLE f (id int, v vector(8)); CREATE INDEX f_v ON f USING vc_ivf (v); INSERT INTO f SELECT i, point(i) FROM generate_series(1, 900) i; INSERT INTO f SELECT i, point(i) FROM generate_series(1, 15000) i; },
		q{DELETE FROM t WHERE id % 10 > } . $round % 5 . q{; VACUUM t; INSERT INTO t SELECT i, point(i) FROM generate_series(1, 20000) i; });
	my ($out, $err) = ('', '');
	my $psql = IPC::Run::start(
		[$node->installed_command('psql'), '-XAtq', '-d', $node->connstr('postgres'), '-f', '-'],
		'<', \($work[$round % 5] x 20), '>', \$out, '2>', \$err);
	for my $n (1 .. 20)
	{
		$acknowledged++;
		$node->safe_psql('postgres', "INSERT INTO i VALUES (100000 + $acknowledged, point(100000 + $acknowledged))");
		sleep(rand(0.03));
	}
	$round % 3 ? kill_server($node) : $node->stop('immediate');
	$psql->finish;
	$node->start;
	$node->safe_psql('postgres', sprintf($check, 't_v'));
	$node->safe_psql('postgres', sprintf($check, 'i_v'));
	$node->safe_psql('postgres', sprintf($check, 'f_v')) if $node->safe_psql('postgres', q{SELECT to_regclass('f_v')});
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

# ---- indexes are made and made again while rows come and go ----

{
	my $writes = $node->basedir . '/writes.sql';
	append_to_file($writes, q{
\set id random(1, 30000000)
INSERT INTO c VALUES (:id, point(:id));
DELETE FROM c WHERE ctid = (SELECT ctid FROM c ORDER BY v <-> point(:id + 7) LIMIT 1);
UPDATE c SET id = id WHERE ctid = (SELECT ctid FROM c ORDER BY v <-> point(:id + 8) LIMIT 1);
});
	my ($out, $err) = ('', '');
	my $pgbench = IPC::Run::start([$node->installed_command('pgbench'), '-n', '-c', '3', '-T', '10', '-f', $writes, $node->connstr('postgres')],
		'>', \$out, '2>', \$err);
	for (1 .. 3)
	{
		$node->safe_psql('postgres', 'CREATE INDEX CONCURRENTLY c_new ON c USING vc_ivf (v, id)');
		$node->safe_psql('postgres', 'REINDEX INDEX CONCURRENTLY c_v');
		$node->safe_psql('postgres', sprintf($check, $_)) for 'c_v', 'c_new';
		$node->safe_psql('postgres', 'DROP INDEX CONCURRENTLY c_new');
	}
	ok($pgbench->finish, 'indexes are made concurrently under writes') or diag $err;
	$node->safe_psql('postgres', sprintf($check, 'c_v'));
	is($node->safe_psql('postgres', sprintf($nearest, 'c')), $node->safe_psql('postgres', sprintf($exact, 'c')), 'and have every row');
}
$standby->stop;
$node->stop;
done_testing();
