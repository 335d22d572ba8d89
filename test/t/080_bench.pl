# The benchmark measures honestly: exact neighbours are exact, recall counts what it should, a plan without the index
# meant is refused, and the report interpolates as it says.
use strict;
use warnings;
use File::Temp qw(tempdir);
use List::Util qw(sum);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($rows, $dim) = (2000, 16);
my $dir = tempdir(CLEANUP => 1);
my $config = $ENV{PG_CONFIG} || 'pg_config';
my @flags = qw(-std=gnu11 -O2 -Wall -Wextra -Werror -Wno-sign-compare -pthread);
chomp(my ($include, $lib) = map { scalar `$config $_` } '--includedir', '--libdir');

my @client = glob 'test/bench/vcbench*.c';
ok(system('cc', @flags, 'test/bench/vcdata.c', 'test/bench/bench.c', '-o', "$dir/vcdata", '-lm') == 0, 'vcdata compiles');
ok( system('cc', @flags, "-I$include", @client, 'test/bench/bench.c', '-o', "$dir/vcbench", "-L$lib", '-lpq', '-lm') == 0,
	'vcbench compiles');

sub slurp
{
	my ($path) = @_;
	open my $in, '<:raw', $path or die "$path: $!";
	local $/;
	return scalar <$in>;
}

# ---- data ----

my @base = ("$dir/base.f32", "$dir/query.f32");
command_ok(["$dir/vcdata", 'clustered', $rows, $dim, 7, @base], 'generates');
is(-s $base[0], $rows * $dim * 4, 'as many rows as asked for');
is(-s $base[1], 1000 * $dim * 4, '1,000 queries');
my @again = ("$dir/base2.f32", "$dir/query2.f32");
command_ok(["$dir/vcdata", 'clustered', $rows, $dim, 7, @again], 'generates again');
ok(slurp($base[0]) eq slurp($again[0]), 'the same seed gives the same rows');

my @vector = map { [unpack 'f*', $_] } unpack "(a@{[$dim * 4]})*", slurp($base[0]);
my @query = map { [unpack 'f*', $_] } unpack "(a@{[$dim * 4]})*", slurp($base[1]);
my %distance = (
	l2 => sub { my ($a, $b) = @_; sum map { ($a->[$_] - $b->[$_])**2 } 0 .. $#$a },
	l1 => sub { my ($a, $b) = @_; sum map { abs($a->[$_] - $b->[$_]) } 0 .. $#$a },
	ip => sub { my ($a, $b) = @_; -sum map { $a->[$_] * $b->[$_] } 0 .. $#$a },
	cosine => sub {
		my ($a, $b) = @_;
		my $dot = sub { my ($x, $y) = @_; sum map { $x->[$_] * $y->[$_] } 0 .. $#$x };
		return -$dot->($a, $b) / sqrt($dot->($a, $a) * $dot->($b, $b));
	});
for my $metric (sort keys %distance)
{
	command_ok(["$dir/vcdata", 'truth', @base, $dim, $metric, "$dir/$metric.i32"], "exact neighbours by $metric");
	my @truth = unpack 'l*', slurp("$dir/$metric.i32");
	my $wrong = 0;
	for my $q (0, 500, 999)
	{
		my @by = map { $distance{$metric}->($vector[$_], $query[$q]) } 0 .. $rows - 1;
		my @want = sort { $by[$a] <=> $by[$b] || $a <=> $b } 0 .. $rows - 1;
		$wrong += grep { $truth[$q * 100 + $_] != $want[$_] } 0 .. 99;
	}
	is($wrong, 0, "neighbours by $metric are those of a full sort");
}
command_ok(["$dir/vcdata", 'truth', @base, $dim, 'l2', "$dir/few.i32", 0, 10], 'exact neighbours among few rows');
my @few = unpack 'l*', slurp("$dir/few.i32");
my @passing = grep { $_ >= 0 } @few[0 .. 99];
ok(@passing > 5 && @passing < 60 && $few[99] == -1, 'a filter leaves its share of the rows, and -1 beyond them');
command_fails_like(["$dir/vcdata", 'truth', @base, $dim + 1, 'l2', "$dir/x"], qr/does not hold whole rows of 17 dimensions/, 'wrong dimension');
command_fails_like(["$dir/vcdata", 'truth', @base, $dim, 'l3', "$dir/x"], qr/unknown metric "l3"/, 'unknown metric');

# ---- client ----

my $node = PostgreSQL::Test::Cluster->new('bench');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE SCHEMA vc; CREATE EXTENSION vectorcoll SCHEMA vc');
my @connect = ('--dsn', $node->connstr('postgres'), '--set', 'search_path=vc,public', '--tag', 'set:small');
my @column = (qw(--type vector --dim), $dim);
my @files = ('--query', $base[1], '--base', $base[0], '--truth', "$dir/l2.i32", qw(--queries 100 --seconds 0.1));

sub record
{
	my ($out) = @_;
	chomp $out;
	return map { split /:/, $_, 2 } split /\t/, $out;
}

sub vcbench
{
	my ($out, $err) = run_command(["$dir/vcbench", @_]);
	is($err, '', "$_[0] says nothing on standard error");
	return map { {record($_)} } split /\n/, $out;
}

my ($load) = vcbench('load', @connect, @column, '--table', 'public.t', '--base', $base[0], '--rows', 1500);
is("$load->{kind} $load->{set} $load->{rows}", 'load small 1500', 'loads the rows asked for, and tags its record');
my ($insert) = vcbench('insert', @connect, @column, '--table', 'public.t', '--base', $base[0], '--first', 1500, '--clients', 3);
is("$insert->{rows} $insert->{clients}", '500 3', 'three clients insert the others');
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT id), max(id) FROM t'), "$rows|$rows|1999", 'each row once');
is( $node->safe_psql('postgres', "SELECT v::text FROM t WHERE id = 3"),
	$node->safe_psql('postgres', sprintf "SELECT '[%s]'::vc.vector", join ',', map { sprintf '%.9g', $_ } @{$vector[3]}),
	'a vector arrives bit for bit');

my @some = vcbench('insert', @connect, @column, '--table', 'public.t', '--base', $base[0], '--filter', '0-100');
is( $node->safe_psql('postgres', 'SELECT count(*), max(f) < 100 FROM (SELECT id, f FROM t GROUP BY id, f HAVING count(*) = 2) s'),
	"$some[0]{rows}|t", 'rows by filter value');
$node->safe_psql('postgres', 'DELETE FROM t a USING t b WHERE a.id = b.id AND a.ctid > b.ctid');

my $nearest = 'SELECT id FROM t ORDER BY v <-> $1::vector LIMIT 10';
my @points = vcbench('search', @connect, @column, @files, '--sql', $nearest, '--sweep', 'work_mem=1MB,2MB');
is(scalar @points, 2, 'a record for each value swept');
is(join(' ', map { "$_->{recall} $_->{short} $_->{setting}" } @points), '1.00000 0 work_mem=1MB 1.00000 0 work_mem=2MB', 'exact search has recall 1');
ok($points[0]{qps} > 0 && $points[0]{p99_ms} >= $points[0]{p50_ms}, 'speed and latencies');
@points = vcbench('search', @connect, @column, @files, '--sql', 'SELECT id FROM t WHERE id % 2 = 0 ORDER BY v <-> $1::vector LIMIT 10');
ok($points[0]{recall} > 0.4 && $points[0]{recall} < 0.6, 'half the rows have half the recall');
@points = vcbench('search', @connect, @column, @files, '--sql', 'SELECT id FROM t ORDER BY v <-> $1::vector LIMIT 7', '--clients', 2);
is("$points[0]{recall} $points[0]{short}", '0.70000 100', 'short answers are counted');
command_fails_like(["$dir/vcbench", 'search', @connect, @column, @files, '--sql', $nearest, '--expect-index', 't_v'],
	qr/the plan does not use index t_v/, 'a plan without the index is refused');
command_fails_like(["$dir/vcbench", 'search', @connect, @column, @files, '--sql', $nearest, '--set', 'no_such_setting=1'],
	qr/unrecognized configuration parameter/, 'an unknown setting is refused');
my ($time) = vcbench('time', @connect, '--sql', 'CREATE INDEX t_id ON t (id)', '--relation', 't_id');
ok($time->{seconds} > 0 && $time->{mb} > 0, 'a statement is timed and its relation measured');

# ---- report ----

open my $out, '>', "$dir/results.ltsv" or die $!;
print $out "kind:machine\tcpu:c\tcores:1\tmemory_gb:1\tkernel:k\tserver:s\textensions:e\tcommit:c\tdate:d\n";
print $out "kind:set\tset:fm\trows:60000\tdim:784\tmetric:l2\n";
for (['vc_hnsw', 1, 0.90, 10_000], ['vc_hnsw', 2, 0.99, 1_000], ['pgvector hnsw: 16/64', 1, 0.90, 2_000], ['pgvector hnsw: 16/64', 2, 0.99, 100],
	['pgvector hnsw: 24/200', 1, 0.95, 900], ['vc_hnsw', 2, 0.99, 3_000], ['vc_hnsw', 2, 0.99, 1_000])
{
	my ($index, $setting, $recall, $qps) = @$_;
	print $out "kind:search\tset:fm\tpart:search\tindex:$index\tsetting:ef=$setting\trecall:$recall\tqps:$qps\tp50_ms:1\tp99_ms:2\tshort:0\tclients:1\n";
}
print $out "kind:search\tset:fm\tpart:after_insert\tindex:vc_hnsw\tsetting:ef=2\trecall:0.97\tqps:1\tp50_ms:1\tp99_ms:2\tshort:0\tclients:1\n";
# Conditions have recalls of their own: plain search has .90 at the first setting.
for (['vc_hnsw', 1, 0.96, 500], ['vc_hnsw', 2, 0.98, 400], ['pgvector hnsw: 16/64', 1, 0.94, 130], ['pgvector hnsw: 16/64', 2, 0.95, 100])
{
	my ($index, $setting, $recall, $qps) = @$_;
	print $out "kind:search\tset:fm\tpart:filter100\tindex:$index\tsetting:ef=$setting\trecall:$recall\tqps:$qps\tp50_ms:1\tp99_ms:2\tshort:0\tclients:1\n";
}
print $out "kind:time\tset:fm\tpart:build\tindex:vc_hnsw\toptions:\tseconds:1\tmb:500\n";
print $out "kind:time\tset:fm\tpart:build\tindex:pgvector hnsw: 16/64\toptions:\tseconds:10\tmb:200\treused:yes\n";
close $out;
command_ok(['perl', 'test/bench/report.pl', "$dir/results.ltsv", "$dir/report"], 'report');
my $report = slurp("$dir/report/benchmarks.md");
like($report, qr/^\| vc_hnsw \| 10000 \(5\.00x\) \| 5000 \(5\.56x\) \|.* \| 1000 \(10\.0x\) \| - \| - \|$/m,
	'medians of rounds, interpolation between settings, the best of the peer\'s builds');
like($report, qr/^\| fm: vc_hnsw, QPS at recall \.99 of pgvector hnsw \| at least 4\.00x \| 10\.0x \| met \|$/m, 'a goal that is met');
like($report, qr/^\| fm: vc_hnsw, QPS at recall \.998 of pgvector hnsw \| at least 6\.00x \| - \| missed \|$/m, 'a recall that is never reached');
like($report, qr/^\| fm: vc_hnsw, size of pgvector hnsw: 16\/64 \| at most 2\.20x \| 2\.50x \| missed \|$/m, 'a goal that is missed');
like($report, qr/^\| fm: vc_hnsw, recall lost with half of the rows inserted \| at most 0\.010 \| 0\.020 \| missed \|$/m, 'a loss of recall');
like($report, qr/^\| fm: vc_hnsw, QPS at recall \.95 where 10 % pass of pgvector hnsw \| at least 4\.00x \| 5\.00x \| met \|$/m,
	'the recall of a search with a condition is its own');
unlike($report, qr/build time of pgvector hnsw: 16\/64/, 'the build of an earlier run is not judged');
like($report, qr/\b3 goals met, 3 missed/, 'verdicts are counted');
like(slurp("$dir/report/benchmarks-fm.svg"), qr/<polyline .*<\/svg>/s, 'a curve');

$node->stop;
done_testing();
