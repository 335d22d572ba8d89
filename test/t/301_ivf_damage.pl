# vc_ivf where things go wrong: cancelled statements, damaged pages of every kind.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use lib 'test/t';
use Damage;

my $seed = $ENV{VC_TEST_SEED} || 1 + int rand 1_000_000;
srand $seed;
diag "VC_TEST_SEED=$seed";

my $node = PostgreSQL::Test::Cluster->new('main');
init_unguarded($node);
# The server answers no cancel while it compiles an expression.
$node->append_conf('postgresql.conf', "autovacuum = off\nfsync = off\njit = off\nmax_parallel_maintenance_workers = 2\n");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION vectorcoll;
	CREATE FUNCTION point(i int, d int) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
		SELECT array_agg(sin(i::float8 * s * s) + (i % 7) / 2.0 ORDER BY s)::vector FROM generate_series(1, d) s $$;
});

# ---- cancel answers within half a second ----

$node->safe_psql('postgres', q{
	CREATE TABLE big (id int, v vector(256));
	ALTER TABLE big ALTER v SET STORAGE plain;
	INSERT INTO big SELECT i, array(SELECT random() FROM generate_series(1, 256) WHERE i > 0)::vector FROM generate_series(1, 30000) i;
	CREATE TABLE big2 (LIKE big); CREATE INDEX ON big2 USING vc_ivf (v) WITH (lists = 20000);
	CREATE TABLE big3 (LIKE big); CREATE INDEX ON big3 USING vc_ivf (v) WITH (bits = 8);
	INSERT INTO big3 SELECT * FROM big LIMIT 1100});
cancelled($node, "k-means with $_ workers", undef, qq{SET maintenance_work_mem = '2GB'; SET max_parallel_maintenance_workers = $_; CREATE INDEX ON big USING vc_ivf (v) WITH (lists = 15000)}, 'finding centroids')
	for 0, 1;
for my $workers (0, 2)
{
	cancelled($node, "build with $workers workers", undef, qq{SET max_parallel_maintenance_workers = $workers; SET min_parallel_table_scan_size = 0;
		DO \$\$ BEGIN LOOP CREATE INDEX built ON big USING vc_ivf (v) WITH (bits = 8, lists = 40); DROP INDEX built; END LOOP; END \$\$});
}
cancelled($node, 'insert', undef, 'INSERT INTO big3 SELECT b.* FROM big b, generate_series(1, 20)');
cancelled($node, 'training', undef, 'INSERT INTO big2 SELECT b.* FROM generate_series(1, 20), big b');
$node->safe_psql('postgres', 'CREATE INDEX big_v ON big USING vc_ivf (v) WITH (lists = 4, storage = float, bits = 4)');
cancelled($node, 'scan', undef, 'SET enable_seqscan = off; SET enable_sort = off; SELECT count(*) FROM generate_series(1, 100000) q, LATERAL (SELECT id FROM big ORDER BY v <-> (SELECT v FROM big LIMIT 1) LIMIT 20000 OFFSET q) s');
cancelled($node, 'check', undef, q{SELECT vectorcoll.ivf_check('big_v', true) FROM generate_series(1, 100)});
cancelled($node, 'stats', undef, q{SELECT vectorcoll.ivf_stats('big_v') FROM generate_series(1, 100000)});
$node->safe_psql('postgres', 'DELETE FROM big WHERE id % 5 > 0');
cancelled($node, 'vacuum', undef, q{SET vacuum_cost_delay = 2; SET vacuum_cost_limit = 1; VACUUM (INDEX_CLEANUP ON) big});
$node->safe_psql('postgres', q{SET client_min_messages = error; VACUUM (INDEX_CLEANUP ON) big; SELECT vectorcoll.ivf_check('big_v', true)});
is($node->safe_psql('postgres', q{SELECT free_pages > 0, rows FROM vectorcoll.ivf_stats('big_v')}), 't|6000', 'what was cancelled is done by the next vacuum');

# ---- damage ----

# d: codes with keys, values, and free pages of both kinds; w: segments of several pages; s: second copies without codes;
# b: a root with branches.
$node->safe_psql('postgres', q{
	CREATE TABLE d (id int, v vector(24));
	CREATE TABLE w (id int, v vector(3000));
	CREATE TABLE s (id int, v vector(4));
	CREATE TABLE b (id int, v vector(4));
	INSERT INTO s SELECT i, point(i, 4) FROM generate_series(1, 3000) i;
	INSERT INTO b SELECT i, point(i, 4) FROM generate_series(1, 9000) i;
	INSERT INTO d SELECT i, point(i, 24) FROM generate_series(1, 9000) i;
	INSERT INTO w SELECT i, point(i, 3000) FROM generate_series(1, 80) i;
	CREATE INDEX d_v ON d USING vc_ivf (v, id) WITH (lists = 3, storage = float);
	CREATE INDEX w_v ON w USING vc_ivf (v) WITH (lists = 2, bits = 2, storage = half);
	CREATE INDEX s_v ON s USING vc_ivf (v) WITH (lists = 5, spill = on, quantization = none, storage = half);
	CREATE INDEX b_v ON b USING vc_ivf (v) WITH (lists = 5000);
	DELETE FROM d WHERE id % 5 > 0});
$node->safe_psql('postgres', 'VACUUM d');
# A meta page that names fewer dimensions than the rows have, by one bit: there would be no room for their values.
{
	my $path = $node->data_dir . '/' . $node->safe_psql('postgres', "SELECT pg_relation_filepath('w_v')");
	$node->stop;
	my $good = slurp_binary($path);
	my $bad = $good;
	substr($bad, index($bad, pack('V', 3000), 24), 4) = pack 'V', 2744;
	spill($path, $bad);
	$node->start;
	my (undef, undef, $stderr) = $node->psql('postgres', q{SELECT vectorcoll.ivf_check('w_v', true)});
	like($stderr, qr/corrupted at block 0: it says that values have 2744 dimensions/, 'values that have more dimensions than the index');
	$node->stop;
	spill($path, $good);
	$node->start;
}
my %kinds = (
	d => ['meta', 'segments', undef, 'values', 'free pages'],
	w => ['meta', 'segments', 'codes', 'values'],
	s => ['meta', 'segments', undef, 'values'],
	b => ['meta', 'segments', undef, 'values']);
my ($corrupted, $tries) = (0, 0);
my %dim = (d => 24, w => 3000, s => 4, b => 4);
for my $t ('d', 'w', 's', 'b')
{
	my $d = $dim{$t};
	my ($found, $of) = damage_index($node, $t, "${t}_v", $kinds{$t}, "SET enable_seqscan = off; SELECT count(*) FROM (SELECT id FROM $t ORDER BY v <-> point(1, $d) LIMIT 10) s;
		SELECT count(*) FROM (SELECT id FROM $t WHERE id < 50 ORDER BY v <-> point(1, $d) LIMIT 1000) s; SELECT count(*) FROM (SELECT id FROM $t ORDER BY v <-> point(2, $d) LIMIT 100000) s;
		INSERT INTO $t SELECT -i, point(i, $d) FROM generate_series(1, 2000) i WHERE $d < 100 OR i < 50; DELETE FROM $t WHERE id % 3 <> 0; VACUUM (INDEX_CLEANUP ON) $t;
		SELECT vectorcoll.ivf_check('${t}_v', true); SELECT vectorcoll.ivf_stats('${t}_v')");
	$corrupted += $found;
	$tries += $of;
}
cmp_ok($corrupted, '>', $tries / 2, "most damage was reported as such ($corrupted of $tries)");
$node->stop;
done_testing();
