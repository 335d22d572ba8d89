# vc_hnsw on damaged pages, on cancelled statements and over many rescans: an error that says what is wrong, or an answer; never a
# crash, never a hang, never a backend that grows.
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
# d: values of many rows, so that there are pages of row pointers, and keys; c: the same, compact; w: nodes of several pages;
# s: nodes of differing size.
$node->safe_psql('postgres', q{
	CREATE EXTENSION vectorcoll;
	CREATE FUNCTION point(i int, d int) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
		SELECT array_agg(sin(i::float8 * s * s) + (i % 7) / 2.0 ORDER BY s)::vector FROM generate_series(1, d) s $$;
	CREATE FUNCTION sparse_point(i int, d int) RETURNS sparsevec LANGUAGE sql IMMUTABLE AS $$
		SELECT array_agg(CASE WHEN (i + s) % (1 + i % 5) = 0 THEN sin(i::float8 * s * s) ELSE 0 END ORDER BY s)::vector::sparsevec
		FROM generate_series(1, d) s $$;
	CREATE TABLE d (id int, v vector(24));
	CREATE TABLE c (id int, v vector(24));
	CREATE TABLE w (id int, v vector(3000));
	INSERT INTO d SELECT i, point(i, 24) FROM generate_series(1, 600) i;
	INSERT INTO d SELECT 1000 + i, point(i % 3, 24) FROM generate_series(1, 6000) i;
	INSERT INTO c SELECT * FROM d;
	INSERT INTO w SELECT i, point(i, 3000) FROM generate_series(1, 40) i;
	CREATE TABLE s (id int, v sparsevec(300));
	INSERT INTO s SELECT i, sparse_point(i, 300) FROM generate_series(1, 400) i;
	CREATE INDEX s_v ON s USING vc_hnsw (v sparsevec_l2_ops) WITH (m = 8, ef_construction = 40);
	CREATE INDEX d_v ON d USING vc_hnsw (v vector_l2_ops, id) WITH (m = 8, ef_construction = 40);
	CREATE INDEX c_v ON c USING vc_hnsw (v vector_l2_ops, id) WITH (m = 8, ef_construction = 40, storage = compact);
	CREATE INDEX w_v ON w USING vc_hnsw (v vector_l2_ops) WITH (m = 8, ef_construction = 40);
});

# ---- cancel answers within half a second ----

$node->safe_psql('postgres', q{
	CREATE TABLE big (id int, v vector(64));
	INSERT INTO big SELECT i, array(SELECT random() FROM generate_series(1, 64) WHERE i > 0)::vector FROM generate_series(1, 20000) i;
	CREATE TABLE big2 (LIKE big); CREATE INDEX ON big2 USING vc_hnsw (v vector_l1_ops)});
cancelled($node, 'serial build', undef, 'SET max_parallel_maintenance_workers = 0; CREATE INDEX big_v ON big USING vc_hnsw (v vector_l2_ops) WITH (ef_construction = 300)');
cancelled($node, 'parallel build', undef, 'SET min_parallel_table_scan_size = 0; CREATE INDEX big_v ON big USING vc_hnsw (v vector_l2_ops) WITH (ef_construction = 300)');
cancelled($node, 'build out of memory', undef, "SET maintenance_work_mem = '1MB'; CREATE INDEX big_v ON big USING vc_hnsw (v vector_l2_ops) WITH (ef_construction = 300)");
# Values of 64 kB make a graph that is soon built and long to write.
$node->safe_psql('postgres', 'CREATE TABLE bulky (v vector(16000)); INSERT INTO bulky SELECT array_fill(i, ARRAY[16000])::vector FROM generate_series(1, 4500) i');
cancelled($node, 'writing', undef, q{SET maintenance_work_mem = '600MB'; SET max_parallel_maintenance_workers = 0;
	CREATE INDEX bulky_v ON bulky USING vc_hnsw (v vector_l2_ops) WITH (m = 2, ef_construction = 4)}, 'writing index');
$node->safe_psql('postgres', 'DROP TABLE bulky');
cancelled($node, 'insert', undef, 'INSERT INTO big2 SELECT * FROM big');
$node->safe_psql('postgres', 'CREATE INDEX big_v ON big USING vc_hnsw (v vector_l2_ops) WITH (m = 8, ef_construction = 16)');
cancelled($node, 'scan', undef, 'SET enable_seqscan = off; SELECT count(*) FROM generate_series(1, 100000) q, LATERAL (SELECT id FROM big ORDER BY v <-> (SELECT v FROM big LIMIT 1) LIMIT 20000 OFFSET q) s');
cancelled($node, 'batch', undef, "SELECT count(*) FROM vectorcoll.knn_batch('big_v', (SELECT array_agg(v) FROM big), 2000)");
cancelled($node, 'batch by SELECT', undef, "SELECT count(*) FROM vectorcoll.knn_batch('big', (SELECT array_agg(v) FROM big), 10, metric => 'L1')");
cancelled($node, 'calibration', undef, "SELECT vectorcoll.hnsw_calibrate('big_v') FROM generate_series(1, 200)");
cancelled($node, 'check', undef, 'SELECT vectorcoll.hnsw_check(\'big_v\') FROM generate_series(1, 100)');
# One index is vacuumed too soon.
$node->safe_psql('postgres', q{DO $$ BEGIN FOR i IN 1 .. 10 LOOP EXECUTE format('CREATE INDEX big_v%s ON big USING vc_hnsw (v vector_l2_ops) WITH (m = 8, ef_construction = 16)', i);
	END LOOP; END $$});
cancelled($node, 'vacuum', 'DELETE FROM big WHERE id % 2 = 0', 'SET vacuum_cost_delay = 0; SET max_parallel_maintenance_workers = 0; VACUUM (INDEX_CLEANUP ON) big');
$node->safe_psql('postgres', q{DO $$ BEGIN FOR i IN 1 .. 10 LOOP EXECUTE format('DROP INDEX big_v%s', i); END LOOP; END $$});
$node->safe_psql('postgres', "SET client_min_messages = error; VACUUM (INDEX_CLEANUP ON) big; SELECT vectorcoll.hnsw_check('big_v', true)");

# ---- memory ----

my $grown = $node->safe_psql('postgres', q{
	SET enable_seqscan = off;
	CREATE FUNCTION used() RETURNS bigint LANGUAGE sql AS 'SELECT sum(total_bytes) FROM pg_backend_memory_contexts';
	DO $$
	DECLARE before bigint; after bigint; n bigint;
	BEGIN
		FOR round IN 1 .. 3 LOOP
			SELECT count(*) INTO n FROM generate_series(1, 10000) q, LATERAL (SELECT id FROM d ORDER BY v <-> point(q % 50, 24) LIMIT 3) s;
			IF n <> 30000 THEN RAISE 'rows: %', n; END IF;
			before := after; after := used();
		END LOOP;
		CREATE TEMP TABLE grown AS SELECT after - before AS bytes;
	END $$;
	SELECT bytes FROM grown});
cmp_ok($grown, '<', 20_000, "10,000 more rescans leave the backend as it was ($grown bytes)");

# ---- dump, restore, move ----

$node->run_log(['pg_dump', '-Fc', '-f', $node->basedir . '/dump', '-d', $node->connstr('postgres'), '-t', 'd', '-t', 'w']);
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->safe_psql('restored', 'CREATE EXTENSION vectorcoll');
$node->command_ok(['pg_restore', '-d', $node->connstr('restored'), $node->basedir . '/dump'], 'a dump restores');
is($node->safe_psql('restored', "SET client_min_messages = error; SELECT vectorcoll.hnsw_check('d_v', true), (s).rows FROM vectorcoll.hnsw_stats('d_v') s"), '|6600', 'with its index');
like($node->safe_psql('restored', "SELECT indexdef FROM pg_indexes WHERE indexname = 'd_v'"), qr/vc_hnsw.*m='?8/, 'and its options');

# ---- damage ----

my %query = map {
	my ($t, $d, $point) = @$_;
	($t => "SET enable_seqscan = off; SELECT count(*) FROM (SELECT id FROM $t ORDER BY v <-> $point(1, $d) LIMIT 10) s;
		SELECT count(*) FROM (SELECT id FROM $t WHERE id < 50 ORDER BY v <-> $point(1, $d) LIMIT 1000) s; SELECT count(*) FROM (SELECT id FROM $t ORDER BY v <-> $point(2, $d) LIMIT 100000) s;
		INSERT INTO $t VALUES (-1, $point(77777, $d)), (-2, $point(1, $d)); DELETE FROM $t WHERE id % 3 = 0; VACUUM (INDEX_CLEANUP ON) $t;
		SELECT vectorcoll.hnsw_check('${t}_v', true); SELECT vectorcoll.hnsw_stats('${t}_v')")
} ['d', 24, 'point'], ['c', 24, 'point'], ['w', 3000, 'point'], ['s', 300, 'sparse_point'];
my ($corrupted, $tries) = (0, 0);
my %kinds = (
	d => ['meta', 'nodes', undef, 'row pointers', 'keys'],
	c => ['meta', 'nodes', undef, 'row pointers', 'keys'],
	w => ['meta', 'nodes', 'tail'],
	s => ['meta', 'nodes']);
for my $t ('d', 'c', 'w', 's')
{
	my ($found, $of) = damage_index($node, $t, "${t}_v", $kinds{$t}, $query{$t});
	$corrupted += $found;
	$tries += $of;
}
cmp_ok($corrupted, '>', $tries / 2, "most damage was reported as such ($corrupted of $tries)");
$node->stop;
done_testing();
