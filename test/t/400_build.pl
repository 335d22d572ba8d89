# Builds of vc_hnsw and vc_ivf: the progress they report, kill -9 in their phases, and the training of a vc_ivf index beside writers.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use IPC::Run;
use lib 'test/t';
use Damage;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "autovacuum = off\nfsync = off\nmin_parallel_table_scan_size = 0\n");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION vectorcoll;
	CREATE TABLE t (id int, v vector(64));
	INSERT INTO t SELECT i, array(SELECT random() FROM generate_series(1, 64) WHERE i > 0)::vector FROM generate_series(1, 12000) i;
	ANALYZE t;
	-- Takes its time now and then, so that a quick build does not go by between two looks.
	CREATE FUNCTION slow(v vector) RETURNS vector LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
		BEGIN IF random() < 0.1 THEN PERFORM pg_sleep(0.0005); END IF; RETURN v; END $$;
	CREATE TABLE seen (n serial, phase text, done bigint, total bigint);
	-- What a build reports, until it is over or in this phase.
	CREATE PROCEDURE watch(until text DEFAULT NULL) LANGUAGE plpgsql AS $$
	DECLARE now record; begun bool := false;
	BEGIN
		FOR i IN 1 .. 20000 LOOP
			PERFORM pg_stat_clear_snapshot();
			SELECT phase, tuples_done, tuples_total INTO now FROM pg_stat_progress_create_index;
			EXIT WHEN NOT FOUND AND begun OR now.phase LIKE '%' || until;
			IF FOUND THEN
				begun := true;
				INSERT INTO seen (phase, done, total) VALUES (now.phase, now.tuples_done, now.tuples_total);
			END IF;
			PERFORM pg_sleep(0.002);
		END LOOP;
	END $$;
});

# A session on its own. Builds are watched from before they begin.
sub background
{
	my ($sql) = @_;
	return IPC::Run::start(['psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $sql], '<', \undef, '>', \my $out, '2>', \my $err);
}

sub watched
{
	my ($until, $sql) = @_;
	my $watch = background("CALL watch($until)");
	my $build = background($sql);
	$watch->finish;
	return $build;
}

# ---- phases, and how far they are ----

my %phases = (
	vc_hnsw => ['initializing', 'sampling table', 'building graph', 'measuring searches', 'writing index'],
	vc_ivf => ['initializing', 'sampling table', 'finding centroids', 'assigning rows to lists', 'writing index']);
my %long = (vc_hnsw => ['building graph'], vc_ivf => ['finding centroids', 'assigning rows to lists']);
# K-means takes its time by itself where there are more dimensions.
my %value = (vc_hnsw => 'v', vc_ivf => '(slow(v || v || v || v || v || v || v || v)::vector(512))');
my %options = (vc_hnsw => 'm = 8, ef_construction = 100', vc_ivf => 'lists = 1500, bits = 8');
for my $am ('vc_hnsw', 'vc_ivf')
{
	for my $workers (0, 1)
	{
		my $what = "$am with $workers workers";
		$node->safe_psql('postgres', 'TRUNCATE seen');
		watched('', "SET max_parallel_maintenance_workers = $workers; CREATE INDEX t_v ON t USING $am ($value{$am}) WITH ($options{$am})")->finish;
		my @rows = map { [split /\|/] } split /\n/, $node->safe_psql('postgres', q{SELECT substring(phase FROM 'building index: (.*)'), done, total FROM seen ORDER BY n});
		my %order = map { $phases{$am}[$_] => $_ } 0 .. $#{ $phases{$am} };
		my @named = grep { $_->[0] ne '' } @rows;
		is(scalar(grep { !exists $order{ $_->[0] } } @named), 0, "$what: phases have names");
		is(scalar(grep { $order{ $named[$_][0] } < $order{ $named[$_ - 1][0] } } 1 .. $#named), 0, "$what: they follow each other");
		for my $phase (@{ $long{$am} })
		{
			my @in = grep { $_->[0] eq $phase && $_->[2] > 0 } @named;
			my @parts = map { $_->[1] / $_->[2] } @in;
			my %different = map { $_ => 1 } @parts;
			cmp_ok(scalar(keys %different), '>=', 4, "$what, $phase: tells how far it is (" . join(' ', map { sprintf '%.2f', $_ } (sort { $a <=> $b } keys %different)[0, -1]) . ')');
			is(scalar(grep { $parts[$_] < $parts[$_ - 1] } 1 .. $#parts), 0, "$what, $phase: never less than before");
			is(scalar(grep { $_ > 1.05 } @parts), 0, "$what, $phase: nor more than all");
		}
		$node->safe_psql('postgres', 'DROP INDEX t_v');
	}
}

# ---- kill -9 in a build: the index that was there is as it was, the one that was not is not, and a build anew works ----
# (Its transaction goes on after the build, so that nothing is committed where the kill comes late.)

my $exact = q{SET enable_indexscan = off; SELECT array(SELECT id FROM t ORDER BY v <-> (SELECT v FROM t WHERE id = 77) LIMIT 5)};
my %quick = (vc_hnsw => 'm = 8, ef_construction = 20', vc_ivf => 'lists = 20');
for my $case (['vc_hnsw', 'building graph', '64MB', ''], ['vc_hnsw', 'building graph', '1MB', ''], ['vc_hnsw', 'measuring searches', '64MB', ''],
	['vc_hnsw', 'building graph', '64MB', ', storage = compact'], ['vc_hnsw', 'building graph', '1MB', ', storage = compact'],
	['vc_ivf', 'finding centroids', '64MB', ''], ['vc_ivf', 'assigning rows to lists', '64MB', ''])
{
	my ($am, $phase, $memory, $more) = @$case;
	my $what = "$am$more, $phase, $memory";
	my $check = $am eq 'vc_hnsw' ? 'hnsw_check' : 'ivf_check';
	$node->safe_psql('postgres', "DROP INDEX IF EXISTS t_v; CREATE INDEX t_v ON t USING $am (v) WITH ($quick{$am}$more)");
	for my $command ('REINDEX INDEX t_v', "CREATE INDEX t_new ON t USING $am (v) WITH ($options{$am}$more)")
	{
		my $build = watched("'$phase'", "SET maintenance_work_mem = '$memory'; SET max_parallel_maintenance_workers = 1; $command; SELECT pg_sleep(600)");
		kill_server($node);
		eval { $build->finish };
		$node->start;
		my $kept = $node->safe_psql('postgres', "SET client_min_messages = error; SELECT vectorcoll.$check('t_v', true), to_regclass('t_new') IS NULL");
		is($kept, '|t', "$what: after $command was killed the index is as it was");
		is($node->safe_psql('postgres', 'SET enable_seqscan = off; SET vc_hnsw.ef_search = 1000; SET vc_ivf.target_recall = 1; SELECT array(SELECT id FROM t ORDER BY v <-> (SELECT v FROM t WHERE id = 77) LIMIT 5)'),
			$node->safe_psql('postgres', $exact), "$what: and answers");
	}
	$node->safe_psql('postgres', "SET client_min_messages = error; REINDEX INDEX t_v; SELECT vectorcoll.$check('t_v', true)");
}

# ---- an index trains itself: the writer whose row it was does it, the other goes on ----

$node->safe_psql('postgres', q{
	CREATE TABLE source AS SELECT i AS id, array(SELECT random() FROM generate_series(1, 512) WHERE i > 0)::vector(512) AS v FROM generate_series(1, 9600) i;
	CREATE INDEX ON source (id);
	CREATE TABLE f (LIKE source);
	CREATE INDEX f_v ON f USING vc_ivf (v);
	CREATE TABLE waited (longest float8);
	CREATE PROCEDURE write(first int) LANGUAGE plpgsql AS $$
	DECLARE began timestamptz; longest float8 := 0;
	BEGIN
		FOR i IN 0 .. 999 LOOP
			began := clock_timestamp();
			INSERT INTO f SELECT * FROM source WHERE id = first + i;
			COMMIT;
			longest := greatest(longest, extract(epoch FROM clock_timestamp() - began));
		END LOOP;
		INSERT INTO waited VALUES (longest);
	END $$;
});
my ($trained, $beside);
# On a busy machine a writer may wait for the CPU alone.
for my $attempt (1 .. 4)
{
	$node->safe_psql('postgres', 'TRUNCATE f, waited; INSERT INTO f SELECT * FROM source WHERE id <= 7600');
	my $lists = $node->safe_psql('postgres', q{SELECT lists FROM vectorcoll.ivf_stats('f_v')});
	$_->finish for map { background("CALL write($_)") } 7601, 8601;
	isnt($node->safe_psql('postgres', q{SELECT lists FROM vectorcoll.ivf_stats('f_v')}), $lists, 'the index has trained itself while two wrote');
	($trained, $beside) = split /\|/, $node->safe_psql('postgres', 'SELECT max(longest), min(longest) FROM waited');
	last if $beside < $trained / 2;
}
cmp_ok($beside, '<', $trained / 2, sprintf 'training took %.3f s, the other writer waited for %.3f s at most', $trained, $beside);
is($node->safe_psql('postgres', q{SELECT vectorcoll.ivf_check('f_v', true); SELECT rows FROM vectorcoll.ivf_stats('f_v')}), "\n9600", 'and no row was lost');
$node->stop;
done_testing();
