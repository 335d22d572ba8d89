# What builds of vc_hnsw and vc_ivf take of memory, which is maintenance_work_mem and a tenth more at most, alone and with a parallel worker; and
# that what was built, in memory or beyond it, is whole, also after a crash.
#
# Memory is what the statement adds: anonymous memory of the session's process, shared memory that it allocates, and anonymous memory
# of its workers beyond what a process has by itself. Linux only: it is read in /proc.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

plan skip_all => 'needs /proc of Linux' unless -r '/proc/self/status' && slurp_file('/proc/self/status') =~ /RssAnon/;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "autovacuum = off\nshared_buffers = 128MB\nmax_wal_size = 4GB\n");
$node->start;

# 32 MB of values: a graph of them takes 87 MB, a sample for as many lists all of them.
my ($memory, $rows, $dim) = (32, 32000, 256);
$node->safe_psql('postgres', qq{
	CREATE EXTENSION vectorcoll;
	CREATE TABLE t (id int, v vector($dim)) WITH (parallel_workers = 1);
	ALTER TABLE t ALTER v SET STORAGE plain;
	INSERT INTO t SELECT i, array(SELECT hashint8(i::int8 * $dim + s)::real / 2147483648 FROM generate_series(1, $dim) s)::vector FROM generate_series(1, $rows) i;
	ANALYZE t});

sub anonymous
{
	my $status = eval { slurp_file("/proc/$_[0]/status") } || '';
	return $status =~ /^RssAnon:\s+(\d+) kB/m ? $1 / 1024 : 0;
}

# Of the segments that a process has mapped, the pages in use.
sub shared
{
	my ($pid) = @_;
	my %file = map { $_ => 1 } (eval { slurp_file("/proc/$pid/maps") } || '') =~ m{(/dev/shm/PostgreSQL\.\S+)}g;
	my $blocks = 0;
	$blocks += (stat $_)[12] || 0 for keys %file;
	return $blocks * 512 / 1048576;
}

sub workers
{
	my ($pid) = @_;
	my @workers;
	for my $file (glob '/proc/[0-9]*/cmdline')
	{
		push @workers, $1 if (eval { slurp_file($file) } || '') =~ /parallel worker for PID $pid\b/ && $file =~ m{/proc/(\d+)/};
	}
	return @workers;
}

# Run a statement that may have so many workers in a session of its own; returns how many MB it added at most, and how many it had.
sub peak
{
	my ($settings, $may_have, $sql) = @_;
	my @workers;
	my ($in, $out, $err) = (join('', map { "SET $_;\n" } @$settings) . "SELECT v <-> v FROM t LIMIT 1;\nSELECT 'pid ' || pg_backend_pid();\n", '', '');
	my $psql = IPC::Run::start(['psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres')], '<', \$in, '>', \$out, '2>', \$err, IPC::Run::timeout(600));
	my $peak = 0;

	$psql->pump until $out =~ /pid (\d+)\n/;
	my $pid = $1;
	my ($own, $had) = (anonymous($pid), shared($pid));
	$in .= "$sql;\n\\echo done\n";
	until ($out =~ /done/ || !$psql->pumpable)
	{
		@workers = workers($pid) if @workers < $may_have;
		my $now = anonymous($pid) - $own + shared($pid) - $had;
		for (@workers)
		{
			my $more = anonymous($_) - $own;
			$now += $more if $more > 0;
		}
		$peak = $now if $now > $peak;
		usleep(20_000);
		$psql->pump_nb;
	}
	$psql->finish;
	is($err, '', $sql);
	return (sprintf('%.1f', $peak), scalar @workers);
}

my %options = (vc_hnsw => '', vc_ivf => 'WITH (lists = 1000)');
my %check = (vc_hnsw => 'hnsw_check', vc_ivf => 'ivf_check');
my @built;
for my $am ('vc_hnsw', 'vc_ivf')
{
	for my $workers (0, 1)
	{
		my $index = "${am}_$workers";
		my ($peak, $had) = peak(["maintenance_work_mem = '${memory}MB'", "max_parallel_maintenance_workers = $workers"], $workers,
			"CREATE INDEX $index ON t USING $am (v vector_l2_ops) $options{$am}");
		is($had, $workers, "$am: $workers workers");
		cmp_ok($peak, '<=', 1.1 * $memory, "$am, $workers workers: a build within $memory MB takes $peak MB");
		cmp_ok($peak, '>=', 0.4 * $memory, 'and that was not for want of data');
		push @built, [$index, $check{$am}];
	}
}
# Lists that would want a sample of a gigabyte of a table that has 32 MB.
my ($peak) = peak(["maintenance_work_mem = '1GB'", 'max_parallel_maintenance_workers = 1'], 1, "CREATE INDEX many ON t USING vc_ivf (v vector_l2_ops) WITH (lists = 15000)");
cmp_ok($peak, '<=', 350, "a sample is no larger than the table: $peak MB");
push @built, ['many', 'ivf_check'];
# A graph that stays in memory to the end is written otherwise than one that does not.
for my $workers (0, 1)
{
	$node->safe_psql('postgres', "SET maintenance_work_mem = '256MB'; SET max_parallel_maintenance_workers = $workers; CREATE INDEX whole_$workers ON t USING vc_hnsw (v vector_l2_ops, id)");
	push @built, ["whole_$workers", 'hnsw_check'];
}

for my $when ('built', 'after a crash')
{
	for (@built)
	{
		my ($index, $check) = @$_;
		is($node->psql('postgres', "SET client_min_messages = error; SELECT vectorcoll.$check('$index', true)"), 0, "$when: $index is whole");
	}
	$node->stop('immediate');
	$node->start if $when eq 'built';
}
done_testing();
