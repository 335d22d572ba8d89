#!/usr/bin/perl
# report.pl: turns vcbench's records into a report: ratios on standard output, benchmarks.md and a curve for each set.
#
# usage: report.pl RESULTS.ltsv FOLDER
#
# A point of a curve is the median over rounds of one index at one setting. Queries a second at a fixed recall lie
# between two points, interpolated in log(qps) over log(1 - recall), where such curves are nearly straight; an index
# whose fastest setting is already better than that recall counts with that setting, and one that never reaches it has
# no figure. Of several indexes that differ in options only ("pgvector hnsw: 16/64", ...: one family) the best at each
# recall counts.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use List::Util qw(max min);
use Goals;
use Records;

my ($results, $folder) = @ARGV;
die "usage: report.pl RESULTS.ltsv FOLDER\n" unless @ARGV == 2;

my @RECALLS = (0.90, 0.95, 0.98, 0.99, 0.995, 0.998);

read_records($results);
my ($machine) = records(kind => 'machine');
die "$results does not say which machine it is from\n" unless $machine;

# With more to run than there are cores and the two clients, the clock measures the other work.
my $load = max 0, map { $_->{load} } records(kind => 'pace');
my $busy = $load > $machine->{cores} + 1;

# ---- text ----

sub figure
{
	my ($value) = @_;
	return '-' unless defined $value;
	return sprintf '%.0f', $value if abs $value >= 99.95;
	return sprintf '%.1f', $value if abs $value >= 9.995;
	return sprintf '%.2f', $value if abs $value >= 1;
	return sprintf '%.3f', $value;
}

sub ratio { my ($a, $b) = @_; return defined $a && $b ? figure($a / $b) . 'x' : '-'; }

sub table
{
	my ($head, @rows) = @_;
	return '' unless @rows;
	return join '', map { '| ' . join(' | ', @$_) . " |\n" } $head, ['---', ('---:') x $#$head], @rows;
}

# The same cells for a terminal, in columns.
sub columns
{
	my ($head, @rows) = @_;
	my @width = map { my $i = $_; max map { length $_->[$i] } $head, @rows } 0 .. $#$head;
	return join '', map {
		my $row = $_;
		join('  ', map { sprintf $_ ? '%*s' : '%-*s', $width[$_], $row->[$_] } 0 .. $#$head) . "\n"
	} $head, @rows;
}

sub title
{
	my ($set) = @_;
	my ($of) = records(kind => 'set', set => $set);
	my $name = {fm => 'Fashion-MNIST', wink => 'English word vectors'}->{$set =~ s/@.*//r} // 'generated clusters';
	my $rows = $of->{rows} =~ s/(?<=\d)(?=(\d{3})+$)/,/gr;
	return "$name, $rows x $of->{dim}, " . ($of->{metric} eq 'l2' ? 'L2' : $of->{metric});
}

# ---- tables of one set; each returns [head, rows...] ----

sub table_processor { return by_processor(\&table_recall, @_); }

sub table_recall
{
	my ($set) = @_;
	my @rows;
	my %seen;
	for my $family (grep { !$seen{$_}++ } map { family($_) } indexes_of($set, 'search'))
	{
		push @rows, [$family, map {
			my $qps = family_qps_at($_, $set, $family);
			my $peer = family_qps_at($_, $set, $PEER);
			defined $qps ? figure($qps) . ($family ne $PEER && $peer ? ' (' . ratio($qps, $peer) . ')' : '') : '-';
		} @RECALLS];
	}
	return [['QPS at recall@10', map { $_ =~ s/^0//r } @RECALLS], @rows];
}

sub table_build
{
	my ($set) = @_;
	my ($peer) = reverse records(kind => 'time', set => $set, part => 'build', index => "$PEER: 16/64");
	my @rows = map {
		[
			$_->{index}, $_->{options} || 'defaults', figure($_->{seconds}) . ($_->{reused} ? ' (earlier run)' : ''), ratio($_->{seconds}, $peer && $peer->{seconds}),
			figure($_->{mb}), ratio($_->{mb}, $peer && $peer->{mb}), figure($_->{mb} / raw_mb($set)),
			figure($_->{mb} * 1e6 / rows_of($set)), figure($_->{peak_mb})
		]
	} records(kind => 'time', set => $set, part => 'build');
	return [
		[
			'index', 'options', 'build s', 'of pgvector 16/64', 'MB', 'of pgvector 16/64', 'of raw vectors', 'bytes a row',
			'peak memory MB'
		],
		@rows
	];
}

# vc_ivf with its options: what each costs in space and gains in time. The table of docs/ivf.md.
sub table_options
{
	my ($set) = @_;
	my @rows;
	my @indexes = grep { /^vc_ivf/ } indexes_of($set, 'search');
	for my $index (@indexes > 1 ? @indexes : ())
	{
		my ($built) = reverse records(kind => 'time', set => $set, part => 'build', index => $index);
		push @rows, [
			$index, $built ? ($built->{options} || 'defaults', figure($built->{seconds}), figure($built->{mb}), figure($built->{mb} / raw_mb($set))) : ('-') x 4,
			map {
				my $recall = $_;
				my $qps = by_processor(sub { family_qps_at($recall, $set, $index) });
				defined $qps ? figure(1000 / $qps) : '-';
			} 0.95, 0.98, 0.99
		];
	}
	return [['index', 'options', 'build s', 'MB', 'of raw vectors', 'ms of server CPU at recall .95', '.98', '.99'], @rows];
}

sub table_baseline
{
	my ($set) = @_;
	my @rows;
	for my $index (values_of('index', records(kind => 'search', set => $set)))
	{
		my $who = $index =~ /^pgvector/ ? 'pgvector' : 'vectorcoll';
		for my $part (['floor', 'round trip: SELECT 1, same parameter'], ['exact', 'exact search, no index, one process'])
		{
			my @same = records(kind => 'search', set => $set, index => $index, part => $part->[0]) or next;
			push @rows, ["$part->[1] ($who)", map { figure(median_of($_, @same)) } qw(qps p50_ms p99_ms)];
		}
	}
	return [['baseline', 'QPS', 'median ms', 'p99 ms'], @rows];
}

sub table_points
{
	my ($set) = @_;
	my @rows;
	for my $index (indexes_of($set, 'search'))
	{
		push @rows, [$index, $_->{setting}, sprintf('%.4f', $_->{recall}), map { figure($_) } @$_{qw(qps p50_ms p99_ms cpu_ms)}]
			for curve(set => $set, index => $index, part => 'search');
	}
	return [['index', 'setting', 'recall@10', 'QPS', 'median ms', 'p99 ms', 'server CPU ms'], @rows];
}

sub table_clients
{
	my ($set) = @_;
	my @rows;
	for my $index (indexes_of($set, 'clients'))
	{
		my %of = (set => $set, index => $index, part => 'clients');
		my ($one, $two) = map { [records(%of, clients => $_)] } 1, 2;
		my @qps = map { median_of('qps', @$_) } $one, $two;
		my @tail = map { ratio(median_of('p99_ms', @$_), median_of('p50_ms', @$_)) } $one, $two;
		push @rows, [$index, $one->[0]{setting}, figure($qps[0]), figure($qps[1]), ratio($qps[1], $qps[0]), @tail];
	}
	return [['index', 'setting', '1 client QPS', '2 clients QPS', 'scaling', 'p99 / median, 1 client', '2 clients'], @rows];
}

sub table_batch
{
	my ($set) = @_;
	my @rows;
	for my $index (indexes_of($set, 'batch100'))
	{
		my %of = (set => $set, index => $index);
		my @qps = map { median_of('qps', records(%of, part => "batch$_")) } 1, 100, 1000;
		my ($first) = records(%of, part => 'batch100');
		push @rows, [$index, $first->{setting}, map({ figure($_) } @qps), map { ratio($_, $qps[0]) } @qps[1, 2]];
	}
	return [['index', 'setting', 'QPS, single statements', 'batches of 100', 'of 1,000', 'gain, 100', 'gain, 1,000'], @rows];
}

sub table_asked
{
	my ($set) = @_;
	my @rows;
	for my $index (indexes_of($set, 'recall'))
	{
		for my $record (records(set => $set, index => $index, part => 'recall'))
		{
			my ($asked) = $record->{setting} =~ /=(.*)/;
			push @rows, [$index, $asked, sprintf('%.4f', $record->{recall}), figure($record->{qps})];
		}
	}
	return [['index', 'recall asked for', 'found', 'QPS'], @rows];
}

# How the planner chooses: how often it takes the fastest plan, and what its choices cost, as ratios and in milliseconds where they are wrong;
# then the worst of them.
sub table_plans
{
	my @summary;
	for my $index (values_of('index', records(kind => 'plan')))
	{
		for my $group ([0, 0], [0, 1], [1, 0], [1, 1])
		{
			my ($keyed, $ordered) = @$group;
			my @cases = sort { $b->{regret} <=> $a->{regret} } records(kind => 'plan', index => $index, keyed => $keyed, ordered => $ordered);
			next unless @cases;
			my $log = 0;
			$log += log $_->{regret} for @cases;
			my @wrong = grep { $_->{regret} > 1.5 } @cases;
			push @summary, [
				$index, $keyed ? 'key column' : 'not in the index', $ordered ? 'together' : 'anywhere', scalar(@cases), scalar(@wrong),
				sprintf('%.2f', exp($log / @cases)), $cases[0]{regret}, @wrong ? max(map { $_->{chosen_ms} - $_->{best_ms} } @wrong) : 0,
				join ', ', map { "$_->{rows} rows, share $_->{share}, LIMIT $_->{limit}: $_->{chosen} $_->{chosen_ms} ms for $_->{best} $_->{best_ms} ms" } @wrong[0 .. min(2, $#wrong)]
			];
		}
	}
	return [['index', 'condition on', 'rows lie', 'cases', 'regret above 1.5', 'mean regret', 'largest', 'lost by those above 1.5 at most, ms', 'the worst'], @summary];
}

sub table_filter
{
	my ($set) = @_;
	my %share = (100 => '10 %', 10 => '1 %', 1 => '0.1 %');
	my @rows;
	for my $limit (100, 10, 1)
	{
		for my $index (indexes_of($set, "filter$limit"))
		{
			my @points = curve(set => $set, index => $index, part => "filter$limit");
			my $top = $points[-1];
			push @rows, [
				$share{$limit}, $index, figure(qps_at(0.95, @points)), sprintf('%.3f at %s QPS', $top->{recall}, figure($top->{qps})),
				$top->{short}
			];
		}
	}
	return [['rows that pass', 'index', 'QPS at recall .95', 'best recall', 'answers short of 10 rows'], @rows];
}

sub table_little_memory
{
	my ($set, $part) = @_;
	my @rows = map {
		my $index = $_;
		my @from = records(set => $set, index => $index, part => $part);
		my $qps = qps_at(main_recall($set), curve_with_recall(set => $set, index => $index, part => $part));
		my $warm = qps_at(main_recall($set), curve(set => $set, index => $index, part => 'search'));
		[$index, $from[0]{shared_buffers}, figure($qps), figure($warm), ratio($qps, $warm)]
	} indexes_of($set, $part);
	return [['index', 'shared_buffers', 'QPS', 'QPS with 2 GB', 'share'], @rows];
}

sub table_memory { return table_little_memory($_[0], 'memory'); }
sub table_cold { return table_little_memory($_[0], 'cold'); }

sub table_writes
{
	my ($set) = @_;
	my @rows;
	for my $index (indexes_of($set, qw(insert insert8 vacuum)))
	{
		my ($one) = records(kind => 'insert', set => $set, index => $index, part => 'insert');
		my ($eight) = records(kind => 'insert', set => $set, index => $index, part => 'insert8');
		my $copy = one('rows_s', kind => 'load', set => $set, index => $index, part => 'copy');
		my ($vacuum) = records(kind => 'time', set => $set, index => $index, part => 'vacuum');
		my ($after) = map { curve(set => $set, index => $index, part => $_) } qw(after_vacuum after_insert);
		my @recall = map {
			my ($point) = $after && grep { $_->{setting} eq $after->{setting} } curve(set => $set, index => $index, part => $_);
			$point ? sprintf '%.4f', $point->{recall} : '-'
		} qw(search after_insert after_vacuum);
		push @rows, [
			$index, figure($one && $one->{rows_s}), figure($eight && $eight->{rows_s}), figure($copy), figure($vacuum && $vacuum->{seconds}),
			@recall
		];
	}
	return [
		[
			'index', 'inserts/s, 1 client', '8 clients', 'COPY', 'vacuum of 20 % dead, s', 'recall of a fresh build', 'half of it inserted',
			'after delete and vacuum'
		],
		@rows
	];
}

sub table_workers
{
	my ($set) = @_;
	my @rows = map { [$_->{index}, $_->{how}, figure($_->{seconds}), figure($_->{peak_mb})] }
		records(kind => 'time', set => $set, part => 'workers');
	return [['index', 'build with', 'seconds', 'peak memory MB'], @rows];
}

sub table_cycles
{
	my ($set) = @_;
	my @rows = map {
		my $index = $_;
		my ($before, $after) = map { one('mb', kind => 'time', set => $set, index => $index, part => "${_}_cycles") } qw(before after);
		my @recall = map { map { sprintf '%.4f', $_->{recall} } curve(set => $set, index => $index, part => "${_}_cycles") } qw(before after);
		my $vacuum = median_of('seconds', records(set => $set, index => $index, part => 'cycle_vacuum'));
		[$index, figure($before), figure($after), ratio($after, $before), @recall[0, 1], figure($vacuum)]
	} indexes_of($set, 'after_cycles');
	return [['index', 'MB', 'MB after', 'growth', 'recall', 'recall after', 'one vacuum, s'], @rows];
}

# ---- tables over all sets ----

# The generated sets side by side: what a vector costs, and how that grows with dimensions and rows.
sub table_generated
{
	my @rows;
	for my $set (grep { /^c/ } @_)
	{
		for my $index (indexes_of($set, 'build'))
		{
			my ($seconds, $mb) = map { one($_, kind => 'time', set => $set, index => $index, part => 'build') } qw(seconds mb);
			next unless defined $mb;
			my @points = curve(set => $set, index => $index, part => 'search');
			push @rows, [$set, $index, figure($seconds), figure($mb * 1e6 / rows_of($set)), figure($mb / raw_mb($set)),
				map { figure(qps_at($_, @points)) } 0.90, 0.95, 0.99];
		}
	}
	return [['set', 'index', 'build s', 'bytes a vector', 'of raw vectors', 'QPS at recall .90', '.95', '.99'], @rows];
}

# Goals of everything that this run measured, and how many there are of each verdict.
sub table_goals
{
	my @rows;
	for my $goal (grep { $_->[6] ne 'not measured' } judged_goals(@_))
	{
		my ($set, $what, $sense, $wanted, $is, $unit, $verdict) = @$goal;
		push @rows, ["$set: $what", "$sense " . figure($wanted) . $unit, defined $is ? figure($is) . $unit : '-', $verdict];
	}
	return [['goal', 'wanted', 'measured', 'verdict'], @rows];
}

sub count_goals
{
	my %count = (met => 0, missed => 0, 'not measured' => 0);
	$count{$_->[6]}++ for judged_goals(@_);
	return "$count{met} goals met, $count{missed} missed, $count{'not measured'} not measured";
}

# ---- curves as SVG ----

sub svg
{
	my ($set) = @_;
	my @colour = map { "#$_" } qw(c0392b e67e22 f1b40f 8e44ad 1f4e9c 2e86c1 5dade2 7f8c8d 27ae60);
	my @dash = ('', '6 3', '2 3');
	my ($width, $height, $left, $right, $top, $bottom) = (820, 480, 70, 210, 40, 50);
	my @index = indexes_of($set, 'search');
	my %points = map { ($_ => [grep { $_->{recall} >= 0.7 } curve(set => $set, index => $_, part => 'search')]) } @index;
	my @all = map { @$_ } values %points;
	return '' unless @all;
	my ($x0, $x1) = (-log(1 - max(0.7, min(map { $_->{recall} } @all))), -log(1 - 0.9995));
	my ($y0, $y1) = map { log } min(map { $_->{qps} } @all) / 1.2, max(map { $_->{qps} } @all) * 1.2;
	my $x = sub { sprintf '%.1f', $left + ($width - $left - $right) * (-log(1 - min($_[0], 0.9995)) - $x0) / ($x1 - $x0) };
	my $y = sub { sprintf '%.1f', $height - $bottom - ($height - $top - $bottom) * (log($_[0]) - $y0) / ($y1 - $y0) };
	my @out = (
		qq(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 $width $height" font-family="sans-serif" font-size="12">),
		qq(<rect width="$width" height="$height" fill="#ffffff"/>),
		qq(<text x="$left" y="22" font-size="14">@{[title($set)]}: queries a second@{[$busy ? ' of server processor time' : '']}, k = 10</text>)
	);
	for my $recall (0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)
	{
		next if -log(1 - $recall) < $x0 - 1e-9;
		my $at = $x->($recall);
		push @out, sprintf '<line x1="%s" x2="%s" y1="%d" y2="%d" stroke="#dddddd"/><text x="%s" y="%d" text-anchor="middle">%s</text>',
			$at, $at, $top, $height - $bottom, $at, $height - $bottom + 18, $recall;
	}
	for my $power (0 .. 5)
	{
		for my $qps (map { $_ * 10**$power } 1, 2, 5)
		{
			next if log($qps) < $y0 || log($qps) > $y1;
			my $at = $y->($qps);
			push @out, sprintf '<line x1="%d" x2="%d" y1="%s" y2="%s" stroke="#dddddd"/><text x="%d" y="%s" text-anchor="end">%d</text>',
				$left, $width - $right, $at, $at, $left - 6, $at + 4, $qps;
		}
	}
	for my $i (0 .. $#index)
	{
		my ($colour, $dash) = ($colour[$i % @colour], $dash[int($i / @colour)]);
		my @at = map { [$x->($_->{recall}), $y->($_->{qps})] } @{$points{$index[$i]}};
		my ($key, $word) = ($width - $right + 14, $top + 12 + 20 * $i);
		push @out, sprintf '<polyline fill="none" stroke="%s" stroke-width="2" stroke-dasharray="%s" points="%s"/>',
			$colour, $dash, join ' ', map { "$_->[0],$_->[1]" } @at;
		push @out, map { qq(<circle cx="$_->[0]" cy="$_->[1]" r="3" fill="$colour"/>) } @at;
		push @out, sprintf '<line x1="%d" x2="%d" y1="%d" y2="%d" stroke="%s" stroke-width="2"/><text x="%d" y="%d">%s</text>',
			$key, $key + 22, $word, $word, $colour, $key + 28, $word + 4, $index[$i];
	}
	push @out, sprintf '<text x="%d" y="%d" text-anchor="middle">recall@10</text>', ($left + $width - $right) / 2, $height - 10;
	return join("\n", @out, '</svg>') . "\n";
}

# ---- the report ----

sub section
{
	my ($title, $text, $table) = @_;
	my ($head, @rows) = @$table;
	return @rows ? "### $title\n\n" . ($text ? "$text\n\n" : '') . table($head, @rows) . "\n" : '';
}

my @SECTIONS = (
	['Queries a second at fixed recall', "In brackets: how many times $PEER, the best of its builds.", \&table_recall],
	['Queries a second of server processor time', 'Other work on the machine disturbs these least.', \&table_processor],
	['Build time and size', '', \&table_build],
	['Options of vc_ivf', '', \&table_options],
	['Baselines', '', \&table_baseline],
	['Two clients', '', \&table_clients],
	['Batches', 'Many queries in one call of vectorcoll.knn_batch.', \&table_batch],
	['Recall asked for', '', \&table_asked],
	['Filters', 'WHERE f < n, f unrelated to the vectors.', \&table_filter],
	['Larger than memory', 'shared_buffers at an eighth of the smaller index, page cache warm.', \&table_memory],
	['From disk', 'The same, without the page cache (debug_io_direct).', \&table_cold],
	['Writes', '', \&table_writes],
	['Twenty rounds of deletes and inserts', 'Each deletes 5 % of the rows, vacuums, and inserts them again.', \&table_cycles],
	['Build under other settings', '', \&table_workers],
	['All points', '', \&table_points],
);

mkdir $folder unless -d $folder;
my @sets = values_of('set', records(kind => 'set'));
my $warning = $busy ? <<'END' : '';
**The machine was busy with other work during this run.** Figures by the clock and latencies are worth little then; those by
the server's processor time hold better, and curves are drawn by it.
END
my $text = <<"END";
# Benchmarks

Written by `test/bench/report.pl` from one run of the benchmark; edits by hand are lost.
[test/bench](../test/bench/README.md) says how to run it and what each figure means. Every index of a set held the
same rows on the same server; k = 10, prepared statements, binary parameters. Ratios travel between machines better than
figures.

- processor: $machine->{cpu}, $machine->{cores} cores, $machine->{memory_gb} GB of memory, $machine->{kernel}
- server: PostgreSQL $machine->{server} with $machine->{extensions}; vectorcoll at @{[join ', ', values_of('commit', records(kind => 'search'))]}; $machine->{date}
- highest load average at the end of a piece of the run: $load

$warning
END

my $sections = '';
for my $set (@sets)
{
	my $curve = $busy ? by_processor(\&svg, $set) : svg($set);
	if ($curve)
	{
		open my $out, '>', "$folder/benchmarks-@{[$set =~ tr/@/-/r]}.svg" or die "could not write $folder: $!\n";
		print $out $curve;
		close $out or die "could not write $folder: $!\n";
	}
	$sections .= "## $set: @{[title($set)]}\n\n";
	$sections .= "![recall and queries a second](benchmarks-@{[$set =~ tr/@/-/r]}.svg)\n\n" if $curve;
	print "$set: @{[title($set)]}\n\n";
	for my $section (@SECTIONS)
	{
		my ($title, $note, $make) = @$section;
		my $table = $make->($set);
		$sections .= section($title, $note, $table);
		print "$title\n", columns(@$table), "\n" if @$table > 1 && $make != \&table_points;
	}
}
my $goals = table_goals(@sets);
my $generated = table_generated(@sets);
$text .= section('Goals', count_goals(@sets) . '. Compared with one build of the peer where times and sizes are, with the best of its builds where QPS is.', $goals) =~ s/^###/##/r;
$text .= section('Generated sets', 'Named by dimensions and thousands of rows.', $generated) =~ s/^###/##/r . $sections;
if (my @failed = records(kind => 'failed'))
{
	$text .= "## Failed measurements\n\n" . join('', map { "- $_->{set}, $_->{index}: $_->{message}\n" } @failed) . "\n";
}
my $plans = table_plans();
$text .= section('Plans', 'Time of the plan chosen over that of the fastest one, ORDER BY distance LIMIT with a WHERE clause; rows that pass it lie anywhere in the table, or together.', $plans) =~ s/^###/##/r;
print "Plans\n", columns(@$plans), "\n" if @$plans > 1;
print "Generated sets\n", columns(@$generated), "\n" if @$generated > 1;
print columns(@$goals), "\n", count_goals(@sets), "\n";
print "failed: $_->{set}, $_->{index}: $_->{message}\n" for records(kind => 'failed');
open my $out, '>', "$folder/benchmarks.md" or die "could not write $folder: $!\n";
print $out $text =~ s/\n+\z/\n/r;
close $out or die "could not write $folder: $!\n";
