# Damage: what the tests of both access methods' resilience share: cancelling statements, killing servers, and damaging pages of an index.
package Damage;
use strict;
use warnings;
use Exporter 'import';
use IPC::Run;
use Test::More;
use Time::HiRes qw(sleep time);

our @EXPORT = qw(cancelled damage_index init_unguarded kill_server slurp_binary spill);

# How long a backend goes on after a request to stop, as another one sees it: starting programs takes time on a busy machine. With a phase the
# request waits for a build to be in it.
my $answer = q{
	CREATE FUNCTION pg_temp.answer(asked int, awaited text) RETURNS float8 LANGUAGE plpgsql AS $$
	DECLARE began timestamptz;
	BEGIN
		WHILE awaited <> '' LOOP
			PERFORM pg_stat_clear_snapshot();
			EXIT WHEN EXISTS (SELECT FROM pg_stat_progress_create_index WHERE pid = asked AND phase = 'building index: ' || awaited);
			EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = asked AND state = 'active');
			PERFORM pg_sleep(0.002);
		END LOOP;
		began := clock_timestamp();
		PERFORM pg_cancel_backend(asked);
		LOOP
			PERFORM pg_stat_clear_snapshot();
			EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = asked AND state = 'active');
			PERFORM pg_sleep(0.005);
		END LOOP;
		RETURN extract(epoch FROM clock_timestamp() - began);
	END $$;
};

# cancelled($node, $what, $setup, $sql, $phase): a statement that takes long answers a request to stop within half a second, a build in that phase.
# Where the machine was too busy for that, it is tried again.
sub cancelled
{
	my ($node, $what, $setup, $sql, $phase) = @_;
	my ($stopped, $least);
	$node->safe_psql('postgres', $setup) if $setup;
	for my $attempt (1 .. 4)
	{
		my ($in, $out, $err) = ("SELECT pg_backend_pid();\n$sql;\n", '', '');
		my $handle = IPC::Run::start(['psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres')], '<', \$in, '>', \$out, '2>', \$err);
		$handle->pump until $out =~ /(\d+)\n/;
		my $pid = $1;
		sleep 0.3 + rand 0.5 unless $phase;
		$handle->pump_nb;
		my $took = $node->safe_psql('postgres', $answer . "SELECT pg_temp.answer($pid, '" . ($phase // '') . "')");
		$handle->finish;
		$stopped = $err;
		$least = $took if !defined $least || $took < $least;
		last if $least < 0.5 || $err !~ /canceling statement/;
	}
	like($stopped, qr/canceling statement/, "$what: was cancelled");
	cmp_ok($least, '<', 0.5, sprintf '%s: answered in %.2f s', $what, $least);
}

# A process's state, a letter, and its parent; '' and 0 where there is no such process.
sub state_and_parent
{
	my ($pid) = @_;
	open my $file, '<', "/proc/$pid/stat" or return ('', 0);
	return (<$file> // '') =~ /\) (\S) (\d+) [^)]*$/ ? ($1, $2) : ('', 0);
}

# init_unguarded($node): without checksums, the default from PostgreSQL 18 on. With them the server itself finds every damage, and nothing of
# ours is tried.
sub init_unguarded
{
	my ($node) = @_;
	$node->init(extra => $node->pg_version >= 18 ? ['--no-data-checksums'] : []);
}

# kill_server($node): all of its processes at once, by kill -9. The postmaster is stopped first, so that it starts no more meanwhile. A signal
# comes back before the process has stopped, and a builder's workers are started in just that moment: one that is not seen would go on without
# its server, and keep the next one from starting.
sub kill_server
{
	my ($node) = @_;
	open my $file, '<', $node->data_dir . '/postmaster.pid' or die "no server: $!";
	chomp(my $postmaster = <$file>);
	close $file;
	kill 'STOP', $postmaster;
	my $until = time + 30;
	sleep 0.001 while time < $until && (state_and_parent($postmaster))[0] ne 'T';
	my @children = grep { (state_and_parent($_))[1] == $postmaster } map { m{(\d+)$} } glob '/proc/[0-9]*';
	die "the server has no processes" unless @children;
	kill 'KILL', $postmaster, @children;
	sleep 0.02 while time < $until && grep { kill 0, $_ } $postmaster, @children;
	$node->{_pid} = undef;
}

# damage_index($node, $table, $index, $kinds, $sql): damages pages of each kind, one at a time and in each of five ways, and
# runs $sql: nothing may crash or hang, and errors must say what is wrong, and where. $kinds are names for the kinds of pages, in the order of
# their numbers. Returns how often corruption was reported, and of how many tries.
sub damage_index
{
	my ($node, $t, $index, $kinds, $sql) = @_;
	my ($corrupted, $tries) = (0, 0);
	my $path = $node->data_dir . '/' . $node->safe_psql('postgres', "SELECT pg_relation_filepath('$index')");
	my @heap = map { $node->data_dir . "/$_" } split /\n/, $node->safe_psql('postgres', "SELECT pg_relation_filepath(o) FROM pg_class c LEFT JOIN pg_index i ON i.indrelid = c.reltoastrelid, LATERAL (VALUES (c.oid), (reltoastrelid), (indexrelid)) AS x (o) WHERE c.oid = '$t'::regclass AND o > 0");
	$node->stop;
	my %kept = map { $_ => slurp_binary($_) } $path, @heap;
	my $good = $kept{$path};
	my $blocks = length($good) / 8192;
	my %kind = kinds($good, $kinds);
	is(scalar(keys %kind), grep({ $_ } @$kinds), "$t: the index has pages of every kind") or diag join ' ', sort keys %kind;
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
			my ($status, undef, $stderr) = $node->psql('postgres', "SET statement_timeout = '20s'; SET client_min_messages = error; \\set VERBOSITY verbose\n$sql", on_error_stop => 0, timeout => 60);
			$tries++;
			$corrupted++ if $stderr =~ /XX00[12]/;
			unlike($stderr, qr/terminat|server closed|timeout|57014|PANIC/, "$what: no crash and no hang") or diag $stderr;
			unlike($stderr, qr/^.*ERROR:  (?!XX00[12]|22\d\d\d|54000)/m, "$what: an error that says so, or none") or diag $stderr;
			unlike($stderr, qr/^.*ERROR:  XX00[12](?!.*(blocks? \d+|lacks row \(|format version))/m, "$what: an error names the block") or diag $stderr;
			$node->stop;
		}
	}
	spill($_, $kept{$_}) for keys %kept;
	$node->start;
	return ($corrupted, $tries);
}

# Blocks by what they are: the kind is at the page's end.
sub kinds
{
	my ($file, $names) = @_;
	my %blocks;
	for my $block (0 .. length($file) / 8192 - 1)
	{
		my (undef, $kind) = unpack 'Vv', substr($file, ($block + 1) * 8192 - 8, 8);
		my $name = $kind == 0 ? 'unused' : $names->[$kind - 1] || "kind $kind";
		push @{ $blocks{$name} }, $block;
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

1;
