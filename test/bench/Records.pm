# Records.pm: the records of a benchmark run, and what is computed from them: medians, curves of recall and speed,
# queries a second at a fixed recall. What counts as what is said at the head of report.pl.
package Records;
use strict;
use warnings;
use Exporter 'import';
use List::Util qw(max);

our @EXPORT = qw(read_records records one median median_of values_of indexes_of family curve curve_with_recall qps_at
	family_qps_at by_processor rows_of dim_of raw_mb main_recall $PEER);

our $PEER = 'pgvector hnsw';    # the family that ratios are relative to

our @records;

# Of several records of a set, or of the machine, which each piece of a run writes anew, the last one holds.
sub read_records
{
	my ($path) = @_;
	my @read;
	open my $in, '<', $path or die "could not open $path: $!\n";
	while (my $line = <$in>)
	{
		chomp $line;
		push @read, {map { split /:/, $_, 2 } split /\t/, $line};
	}
	close $in;
	my %last;
	$last{join ' ', $_->{kind}, $_->{set} // ''} = $_ for @read;
	@records = grep { $_->{kind} !~ /^(machine|set)$/ || $last{join ' ', $_->{kind}, $_->{set} // ''} == $_ } @read;
	return;
}

# Records whose labels have these values; '' is a label that is not there.
sub records
{
	my %want = @_;
	return grep {
		my $record = $_;
		!grep { ($record->{$_} // '') ne $want{$_} } keys %want
	} @records;
}

# One label of the last such record, or undef.
sub one
{
	my ($label, %of) = @_;
	my @found = records(%of);
	return @found ? $found[-1]{$label} : undef;
}

sub median
{
	my @sorted = sort { $a <=> $b } grep { defined } @_;
	return undef unless @sorted;
	return ($sorted[$#sorted / 2] + $sorted[@sorted / 2]) / 2;
}

sub median_of
{
	my ($label, @from) = @_;
	return median(map { $_->{$label} } @from);
}

# Distinct values of a label in order of appearance.
sub values_of
{
	my ($label, @from) = @_;
	my %seen;
	return grep { !$seen{$_}++ } map { $_->{$label} // () } @from;
}

# Indexes that a part of a set was measured on.
sub indexes_of
{
	my ($set, @parts) = @_;
	return values_of('index', map { records(set => $set, part => $_) } @parts);
}

sub family { return $_[0] =~ s/:.*//r; }

sub rows_of { return one('rows', kind => 'set', set => $_[0]); }
sub dim_of { return one('dim', kind => 'set', set => $_[0]); }
sub raw_mb { return rows_of($_[0]) * dim_of($_[0]) * 4e-6; }

# The recall at which two indexes of a set are compared where only one setting is measured.
sub main_recall { return $_[0] =~ /^wink/ ? 0.95 : 0.99; }

# ---- curves ----

# Points of an index in one part, by recall: [{recall, qps, p50_ms, p99_ms, setting}]
sub curve
{
	my %of = @_;
	my @from = records(kind => 'search', %of);
	my @points;
	for my $setting (values_of('setting', @from))
	{
		my @same = grep { $_->{setting} eq $setting } @from;
		push @points, {
			setting => $setting,
			recall => $same[0]{recall},
			short => $same[0]{short},
			map { ($_ => median_of($_, @same)) } qw(qps p50_ms p99_ms cpu_ms)
		};
	}
	return sort { $a->{recall} <=> $b->{recall} || $b->{qps} <=> $a->{qps} } @points;
}

# The same, with the recall that each setting had over all queries: for parts that ask few.
sub curve_with_recall
{
	my %of = @_;
	my %recall = map { ($_->{setting} => $_->{recall}) } curve(%of, part => 'search');
	return sort { $a->{recall} <=> $b->{recall} } map { {%$_, recall => $recall{$_->{setting}} // $_->{recall}} } curve(%of);
}

sub qps_at
{
	my ($recall, @points) = @_;
	my $best;
	for my $i (0 .. $#points)
	{
		my ($low, $high) = ($i ? $points[$i - 1] : undef, $points[$i]);
		next if $high->{recall} < $recall;
		my $qps = $high->{qps};
		if ($low && $low->{recall} < $recall && $low->{qps} > $qps)
		{
			my ($x0, $x1, $x) = map { log(max(1 - $_, 1e-5)) } $low->{recall}, $high->{recall}, $recall;
			$qps = exp(log($low->{qps}) + (log($qps) - log($low->{qps})) * ($x - $x0) / ($x1 - $x0));
		}
		$best = $qps if !defined $best || $qps > $best;
	}
	return $best;
}

# Best of a family's indexes, or undef.
sub family_qps_at
{
	my ($recall, $set, $family) = @_;
	return max grep { defined } map { qps_at($recall, curve(set => $set, index => $_, part => 'search')) }
		grep { family($_) eq $family } indexes_of($set, 'search');
}

# Calls a function with queries a second at the pace of the server's processor time: what the clock would show on a
# machine with nothing else to do.
sub by_processor
{
	my ($function, @arguments) = @_;
	local @records = map { ($_->{kind} // '') ne 'search' ? $_ : $_->{cpu_ms} ? {%$_, qps => 1000 / $_->{cpu_ms}} : () } @records;
	return $function->(@arguments);
}

1;
