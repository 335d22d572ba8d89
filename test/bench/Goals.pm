# Goals.pm: what the project set out to reach, in one table, and whether a run reached it.
#
# A goal is [sets, what, sense, wanted, unit, measure]. `sets` is a pattern for the names of the sets that it is about.
# `measure` is called with a set and returns (figure) or (figure, of): what is judged is figure, or figure / of. It returns
# nothing where the run did not measure it, and undef for what was measured but never got there, a recall for
# instance: then the goal is missed, or, if only the other side never got there, met. A part of a set's rows (wink@50k) is
# judged like the set, and named.
package Goals;
use strict;
use warnings;
use Exporter 'import';
use List::Util qw(max min);
use Records;

our @EXPORT = qw(judged_goals);

my $GRAPH = "$PEER: 16/64";       # the peer's build that times and sizes are compared with
my $LISTS = 'pgvector ivfflat';
my ($FM, $WINK) = (qr/^fm$/, qr/^wink$/);
my $BOTH = qr/^(fm|wink)$/;

# ---- ways to measure; each returns (figure, of), or nothing ----

# Queries a second of two families at a recall. `part` where it is not plain search, and then of indexes.
sub qps
{
	my ($recall, $ours, $theirs) = @_;
	return sub {
		my ($set) = @_;
		my %searched = map { (family($_) => 1) } indexes_of($set, 'search');
		return unless $searched{$ours} && $searched{$theirs};
		return map { family_qps_at($recall, $set, $_) } $ours, $theirs;
	};
}

# In a part that asks what plain search asks, but few queries: at the set's main recall, as all queries found it.
sub qps_in_part
{
	my ($part, $ours, $theirs) = @_;
	return sub {
		my ($set) = @_;
		my @points = map { [curve_with_recall(set => $set, index => $_, part => $part)] } $ours, $theirs;
		return unless @{$points[0]} && @{$points[1]};
		return map { qps_at(main_recall($set), @$_) } @points;
	};
}

# In a part that asks something else than plain search does, and so has a recall of its own at each setting.
sub qps_of_part
{
	my ($part, $recall, $ours, $theirs) = @_;
	return sub {
		my ($set) = @_;
		my @points = map { [curve(set => $set, index => $_, part => $part)] } $ours, $theirs;
		return unless @{$points[0]} && @{$points[1]};
		return map { qps_at($recall, @$_) } @points;
	};
}

sub processor
{
	my ($measure) = @_;
	return sub { return by_processor($measure, @_); };
}

# A label of two records of the same part.
sub label_of
{
	my ($label, $part, $ours, $theirs) = @_;
	return sub {
		my ($set) = @_;
		my @now = $label eq 'seconds' ? (reused => '') : ();    # times of an earlier run are not compared
		my @both = map { one($label, set => $set, index => $_, part => $part, @now) } $ours, $theirs;
		return (grep { !defined } @both) ? () : @both;
	};
}

# A label of one record, as it is, relative to `by`.
sub label
{
	my ($label, $by, %of) = @_;
	return sub {
		my ($set) = @_;
		my $is = one($label, set => $set, %of);
		return defined $is ? ($is, ref $by ? $by->($set) : $by // ()) : ();
	};
}

# Median of a label among some records by that of a label among others.
sub medians
{
	my ($label, $of, $by_label, $by) = @_;
	return sub {
		my ($set) = @_;
		my @both = (median_of($label, records(set => $set, %$of)), median_of($by_label, records(set => $set, %$by)));
		return (grep { !defined } @both) ? () : @both;
	};
}

# How much less recall one part has than another at the same setting.
sub loss
{
	my ($index, $before, $after) = @_;
	return sub {
		my ($set) = @_;
		my ($point) = curve(set => $set, index => $index, part => $after) or return;
		my ($was) = grep { $_->{setting} eq $point->{setting} } curve(set => $set, index => $index, part => $before) or return;
		return $was->{recall} - $point->{recall};
	};
}

sub best_recall
{
	my ($index, $part) = @_;
	return sub {
		my ($set) = @_;
		my @recalls = map { $_->{recall} } curve(set => $set, index => $index, part => $part);
		return @recalls ? max @recalls : ();
	};
}

# A label of the same index and part in a set and in a smaller one.
sub growth
{
	my ($label, $index, $smaller) = @_;
	return sub {
		my ($set) = @_;
		my @both = map { one($label, set => $_, index => $index, part => 'build') } $set, $smaller;
		return (grep { !defined } @both) ? () : @both;
	};
}

# ---- goals of either access method alike ----

sub writing
{
	my ($index, $points) = @_;
	return (
		[$BOTH, "$index, recall lost with half of the rows inserted", 'at most', $points, '', loss($index, 'search', 'after_insert')],
		[$BOTH, "$index, vacuum time of $GRAPH", 'at most', 0.1, 'x', label_of('seconds', 'vacuum', $index, $GRAPH)],
		[$BOTH, "$index, recall lost by deletes and vacuum", 'at most', 0.01, '', loss($index, 'search', 'after_vacuum')],
		[$BOTH, "$index, eight inserting clients of one", 'at least', 1.5, 'x',
			medians('rows_s', {index => $index, part => 'insert8'}, 'rows_s', {index => $index, part => 'insert'})],
		[$BOTH, "$index, size after 20 cycles of before", 'at most', 1.3, 'x',
			medians('mb', {index => $index, part => 'after_cycles'}, 'mb', {index => $index, part => 'before_cycles'})],
		[$BOTH, "$index, recall lost in 20 cycles", 'at most', 0.01, '', loss($index, 'before_cycles', 'after_cycles')],
	);
}

sub clients
{
	my ($index) = @_;
	my %one = (index => $index, part => 'clients', clients => 1);
	return (
		[$BOTH, "$index, two clients of one", 'at least', 1.8, 'x', medians('qps', {%one, clients => 2}, 'qps', \%one)],
		[$BOTH, "$index, p99 of median latency", 'at most', 2.5, 'x', medians('p99_ms', \%one, 'p50_ms', \%one)],
	);
}

my @GOALS = (
	# vc_hnsw: search
	[$FM, "vc_hnsw, QPS at recall .99 of $PEER", 'at least', 4, 'x', qps(0.99, 'vc_hnsw', $PEER)],
	[$FM, 'the same by server processor time', 'at least', 4, 'x', processor(qps(0.99, 'vc_hnsw', $PEER))],
	[$FM, "vc_hnsw, QPS at recall .998 of $PEER", 'at least', 6, 'x', qps(0.998, 'vc_hnsw', $PEER)],
	[$FM, 'the same by server processor time', 'at least', 6, 'x', processor(qps(0.998, 'vc_hnsw', $PEER))],
	[$WINK, "vc_hnsw, QPS at recall .95 of $PEER", 'at least', 8, 'x', qps(0.95, 'vc_hnsw', $PEER)],
	[$WINK, 'the same by server processor time', 'at least', 8, 'x', processor(qps(0.95, 'vc_hnsw', $PEER))],
	[$WINK, "vc_hnsw, QPS at recall .98 of $PEER", 'at least', 10, 'x', qps(0.98, 'vc_hnsw', $PEER)],
	[$WINK, 'the same by server processor time', 'at least', 10, 'x', processor(qps(0.98, 'vc_hnsw', $PEER))],
	clients('vc_hnsw'),
	[$FM, 'vc_hnsw half, QPS at recall .99 of vector', 'at least', 0.9, 'x', qps(0.99, 'vc_hnsw half', 'vc_hnsw')],
	[$WINK, 'vc_hnsw half, QPS at recall .95 of vector', 'at least', 0.9, 'x', qps(0.95, 'vc_hnsw half', 'vc_hnsw')],
	[$FM, 'vc_hnsw, knn_batch of 1,000 queries, QPS of one at a time', 'at least', 2, 'x',
		medians('qps', {index => 'vc_hnsw', part => 'batch1000'}, 'qps', {index => 'vc_hnsw', part => 'batch1'})],
	(map {
		my ($limit, $share) = @$_;
		([$BOTH, "vc_hnsw, recall where $share pass", 'at least', 0.95, '', best_recall('vc_hnsw', "filter$limit")],
			[$BOTH, "vc_hnsw, QPS at recall .95 where $share pass of $PEER", 'at least', 4, 'x',
				qps_of_part("filter$limit", 0.95, 'vc_hnsw', $GRAPH)],
			[$BOTH, 'the same by server processor time', 'at least', 4, 'x', processor(qps_of_part("filter$limit", 0.95, 'vc_hnsw', $GRAPH))])
	} [100, '10 %'], [10, '1 %'], [1, '0.1 %']),
	[$BOTH, "vc_hnsw, QPS with little memory of $PEER", 'at least', 3, 'x', qps_in_part('memory', 'vc_hnsw', $GRAPH)],
	# vc_hnsw: size and builds
	[$BOTH, "vc_hnsw, size of $GRAPH", 'at most', 2.2, 'x', label_of('mb', 'build', 'vc_hnsw', $GRAPH)],
	[$BOTH, "vc_hnsw compact, size of $GRAPH", 'at most', 1, 'x', label_of('mb', 'build', 'vc_hnsw compact', $GRAPH)],
	[$BOTH, 'vc_hnsw compact, QPS at recall .95 of default', 'at least', 0.8, 'x', qps(0.95, 'vc_hnsw compact', 'vc_hnsw')],
	[$BOTH, "vc_hnsw, build time of $GRAPH", 'at most', 1 / 3, 'x', label_of('seconds', 'build', 'vc_hnsw', $GRAPH)],
	[$BOTH, 'vc_hnsw, build by one process of by two', 'at least', 1.7, 'x',
		medians('seconds', {index => 'vc_hnsw', how => 'max_parallel_maintenance_workers=0'},
			'seconds', {index => 'vc_hnsw', how => 'max_parallel_maintenance_workers=1'})],
	[$WINK, 'vc_hnsw, build in 64 MB of in ample memory', 'at most', 3, 'x',
		medians('seconds', {index => 'vc_hnsw', how => 'maintenance_work_mem=64MB'}, 'seconds', {index => 'vc_hnsw', part => 'build'})],
	(map {
		[$BOTH, "$_, peak memory of 64 MB allowed", 'at most', 1.1, 'x', label('peak_mb', 67.108864, index => $_, how => 'maintenance_work_mem=64MB')]
	} 'vc_hnsw', 'vc_ivf'),
	# vc_hnsw: writes
	[$BOTH, "vc_hnsw, inserts/s of $PEER", 'at least', 5, 'x', label_of('rows_s', 'insert', 'vc_hnsw', $GRAPH)],
	writing('vc_hnsw', 0.01),
	# vc_ivf
	[$FM, 'vc_ivf, size of raw vectors', 'at most', 1 / 18, 'x', label('mb', \&raw_mb, index => 'vc_ivf', part => 'build')],
	[$WINK, 'vc_ivf, size of raw vectors', 'at most', 1 / 9, 'x', label('mb', \&raw_mb, index => 'vc_ivf', part => 'build')],
	[$BOTH, 'vc_ivf, best recall at that size', 'at least', 0.96, '', best_recall('vc_ivf', 'search')],
	[$BOTH, "vc_ivf, build time of $LISTS", 'at most', 0.25, 'x', label_of('seconds', 'build', 'vc_ivf', $LISTS)],
	[$BOTH, "vc_ivf, build time of $GRAPH", 'at most', 0.05, 'x', label_of('seconds', 'build', 'vc_ivf', $GRAPH)],
	[qr/^c128x1000k$/, 'vc_ivf, build time of that for a tenth of the rows', 'at most', 12, 'x',
		growth('seconds', 'vc_ivf', 'c128x1000k@100k')],
	(map { [$BOTH, "vc_ivf, QPS at recall $_ of $LISTS", 'at least', 5, 'x', qps($_, 'vc_ivf', $LISTS)] } 0.95, 0.99),
	(map { [$FM, "vc_ivf, QPS at recall $_ of $PEER", 'at least', 1.5, 'x', qps($_, 'vc_ivf', $PEER)] } 0.95, 0.99),
	clients('vc_ivf'),
	[$BOTH, "vc_ivf, QPS from disk of $PEER", 'at least', 5, 'x', qps_in_part('cold', 'vc_ivf', $GRAPH)],
	[$WINK, 'vc_ivf, inserts/s, one client, a statement for a row', 'at least', 10_000, '', label('rows_s', undef, index => 'vc_ivf', part => 'insert')],
	[$WINK, 'vc_ivf, inserts/s, one client, COPY', 'at least', 10_000, '', label('rows_s', undef, index => 'vc_ivf', part => 'copy')],
	writing('vc_ivf', 0.02),
);

# (figure judged or undef, verdict) of a goal for a set; nothing where it was not measured
sub judge
{
	my ($set, $sense, $wanted, $measure) = @_;
	my ($figure, $of) = my @measured = $measure->($set) or return;
	return (undef, 'missed') unless defined $figure;    # never got there
	return (undef, 'met') if @measured == 2 && !defined $of;
	my $is = defined $of ? $figure / $of : $figure;
	return ($is, ($sense eq 'at least' ? $is >= $wanted : $is <= $wanted) ? 'met' : 'missed');
}

# [set, what, sense, wanted, measured or undef, unit, verdict] of all goals that these sets have; the verdict is
# "not measured" where the run has no answer.
sub judged_goals
{
	my @sets = @_;
	my @rows;
	for my $set (@sets)
	{
		my $whole = $set =~ /^c/ ? $set : $set =~ s/@.*//r;
		for my $goal (grep { $whole =~ $_->[0] } @GOALS)
		{
			my (undef, $what, $sense, $wanted, $unit, $measure) = @$goal;
			my ($is, $verdict) = judge($set, $sense, $wanted, $measure);
			push @rows, [$set, $what, $sense, $wanted, $is, $unit, $verdict // 'not measured'];
		}
	}
	return @rows;
}

1;
