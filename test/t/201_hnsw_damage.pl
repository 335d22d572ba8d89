# vc_hnsw on damaged pages, on cancelled statements and over many rescans: an error that says what is wrong, or an answer; never a
# crash, never a hang, never a backend that grows.
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

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "autovacuum = off\nfsync = off\nmax_parallel_maintenance_workers = 2\n");
$node->start;
# d: values of many rows, so that there are pages of row pointers, and keys; w: nodes of several pages; s: nodes of differing size.
$node->safe_psql('postgres', q{
	CREATE EXTENSION vectorcoll;
	CREATE FUNCTION point(i int, d int) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
		SELECT array_agg(sin(i::float8 * s * s) + (i % 7) / 2.0 ORDER BY s)::vector FROM generate_series(1, d) s $$;
	CREATE FUNCTION sparse_point(i int, d int) RETURNS sparsevec LANGUAGE sql IMMUTABLE AS $$
		SELECT array_agg(CASE WHEN (i + s) % (1 + i % 5) = 0 THEN sin(i::float8 * s * s) ELSE 0 END ORDER BY s)::vector::sparsevec
		FROM generate_series(1, d) s $$;
	CREATE TABLE d (id int, v vector(24));
	CREATE TABLE w (id int, v vector(3000));
	INSERT INTO d SELECT i, point(i, 24) FROM generate_series(1, 600) i;
	INSERT INTO d SELECT 1000 + i, point(i % 3, 24) FROM generate_series(1, 6000) i;
	INSERT INTO w SELECT i, point(i, 3000) FROM generate_series(1, 40) i;
	CREATE TABLE s (id int, v sparsevec(300));
	INSERT INTO s SELECT i, sparse_point(i, 300) FROM generate_series(1, 400) i;
	CREATE INDEX s_v ON s USING vc_hnsw (v sparsevec_l2_ops) WITH (m = 8, ef_construction = 40);
	CREATE INDEX d_v ON d USING vc_hnsw (v vector_l2_ops, id) WITH (m = 8, ef_construction = 40);
	CREATE INDEX w_v ON w USING vc_hnsw (v vector_l2_ops) WITH (m = 8, ef_construction = 40);
});

# ---- cancel answers within half a second ----

sub cancelled
{
	my ($what, $setup, $sql) = @_;
	$node->safe_psql('postgres', $setup) if $setup;
	my ($in, $out, $err) = ("SELECT pg_backend_pid();\n$sql;\n", '', '');
	my $handle = IPC::Run::start(['psql', '-XAtq', '-d', $node->connstr('postgres')], '<', \$in, '>', \$out, '2>', \$err);
	$handle->pump until $out =~ /(\d+)\n/;
	my $pid = $1;
	sleep 0.3 + rand 0.5;
	$handle->pump_nb;
	my $start = time;
	$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
	$handle->finish;
	my $took = time - $start;
	like($err, qr/canceling statement/, "$what: was cancelled");
	# Half a second is what is promised; the machine may be busy.
	cmp_ok($took, '<', 2, sprintf '%s: answered in %.2f s', $what, $took);
}

$node->safe_psql('postgres', q{
	CREATE TABLE big (id int, v vector(64));
	INSERT INTO big SELECT i, array(SELECT random() FROM generate_series(1, 64) WHERE i > 0)::vector FROM generate_series(1, 20000) i;
	CREATE TABLE big2 (LIKE big); CREATE INDEX ON big2 USING vc_hnsw (v vector_l1_ops)});
cancelled('serial build', undef, 'SET max_parallel_maintenance_workers = 0; CREATE INDEX big_v ON big USING vc_hnsw (v vector_l2_ops) WITH (ef_construction = 300)');
cancelled('parallel build', undef, 'SET min_parallel_table_scan_size = 0; CREATE INDEX big_v ON big USING vc_hnsw (v vector_l2_ops) WITH (ef_construction = 300)');
cancelled('build out of memory', undef, "SET maintenance_work_mem = '1MB'; CREATE INDEX big_v ON big USING vc_hnsw (v vector_l2_ops) WITH (ef_construction = 300)");
cancelled('insert', undef, 'INSERT INTO big2 SELECT * FROM big');
$node->safe_psql('postgres', 'CREATE INDEX big_v ON big USING vc_hnsw (v vector_l2_ops) WITH (m = 8, ef_construction = 16)');
cancelled('scan', undef, 'SET enable_seqscan = off; SELECT count(*) FROM generate_series(1, 100000) q, LATERAL (SELECT id FROM big ORDER BY v <-> (SELECT v FROM big LIMIT 1) LIMIT 20000 OFFSET q) s');
cancelled('check', undef, 'SELECT vectorcoll.hnsw_check(\'big_v\') FROM generate_series(1, 100)');
cancelled('vacuum', 'DELETE FROM big WHERE id % 2 = 0', "SET vacuum_cost_delay = 0; VACUUM (INDEX_CLEANUP ON) big; VACUUM (FULL) big");
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
} ['d', 24, 'point'], ['w', 3000, 'point'], ['s', 300, 'sparse_point'];
my ($corrupted, $tries) = (0, 0);
for my $t ('d', 'w', 's')
{
	my $path = $node->data_dir . '/' . $node->safe_psql('postgres', "SELECT pg_relation_filepath('${t}_v')");
	my @heap = map { $node->data_dir . "/$_" } split /\n/, $node->safe_psql('postgres', "SELECT pg_relation_filepath(o) FROM pg_class c LEFT JOIN pg_index i ON i.indrelid = c.reltoastrelid, LATERAL (VALUES (c.oid), (reltoastrelid), (indexrelid)) AS x (o) WHERE c.oid = '$t'::regclass AND o > 0");
	$node->stop;
	my %kept = map { $_ => slurp_binary($_) } $path, @heap;
	my $good = $kept{$path};
	my $blocks = length($good) / 8192;
	my %kind = kinds($good);
	# Each damage to a page of each kind.
	for my $kind (sort keys %kind)
	{
		for my $damage ('zeroed', 'flipped', 'header', 'swapped', 'truncated')
		{
			my $block = $kind{$kind}[rand @{ $kind{$kind} }];
			my $bad = $good;
			my $what = "$t, $kind in block $block, $damage";
			if ($damage eq 'zeroed') { substr($bad, $block * 8192, 8192) = "\0" x 8192 }
			elsif ($damage eq 'flipped') { for (1 .. 20) { my $at = $block * 8192 + 24 + int rand 8000; substr($bad, $at, 1) ^= chr(1 << int rand 8) } }
			elsif ($damage eq 'header') { substr($bad, $block * 8192 + 24 + int(rand 40), 4) = pack 'V', rand() < .5 ? $block : int rand 2**32 }
			elsif ($damage eq 'swapped') { substr($bad, $block * 8192, 8192) = substr($good, int(rand $blocks) * 8192, 8192) }
			else { $bad = substr($bad, 0, $block * 8192 + (rand() < .5 ? 4096 : 0)) }
			spill($path, $bad);
			for my $heap (@heap)
			{
				spill($heap, $kept{$heap});
				unlink "${heap}_vm", "${heap}_fsm";
			}
			$node->start;
			my ($status, undef, $stderr) = $node->psql('postgres', "SET statement_timeout = '20s'; SET client_min_messages = error; \\set VERBOSITY verbose\n$query{$t}", on_error_stop => 0, timeout => 60);
			$tries++;
			$corrupted++ if $stderr =~ /XX00[12]/;
			unlike($stderr, qr/terminat|server closed|timeout|57014|PANIC/, "$what: no crash and no hang") or diag $stderr;
			unlike($stderr, qr/^.*ERROR:  (?!XX00[12]|22\d\d\d|54000)/m, "$what: an error that says so, or none") or diag $stderr;
			$node->stop;
		}
	}
	spill($_, $kept{$_}) for keys %kept;
	$node->start;
}
cmp_ok($corrupted, '>', $tries / 2, "most damage was reported as such ($corrupted of $tries)");
$node->stop;
done_testing();

# Blocks by what they are: the kind is at the page's end.
sub kinds
{
	my ($file) = @_;
	my @name = ('unused', 'meta', 'nodes', 'tail', 'row pointers', 'keys');
	my %blocks;
	for my $block (0 .. length($file) / 8192 - 1)
	{
		my (undef, $kind) = unpack 'Vv', substr($file, ($block + 1) * 8192 - 8, 8);
		push @{ $blocks{ $name[$kind] } }, $block;
	}
	return %blocks;
}

sub slurp_binary
{
	my ($path) = @_;
	open my $file, '<:raw', $path or die "$path: $!";
	local $/;
	return scalar <$file>;
}

sub spill
{
	my ($path, $bytes) = @_;
	open my $file, '>:raw', $path or die "$path: $!";
	print $file $bytes;
	close $file;
}
