# Damage: what the tests of both access methods' resilience share: cancelling statements, and damaging pages of an index.
package Damage;
use strict;
use warnings;
use Exporter 'import';
use IPC::Run;
use Test::More;
use Time::HiRes qw(sleep time);

our @EXPORT = qw(cancelled damage_index slurp_binary spill);

# cancelled($node, $what, $setup, $sql): a statement that takes long answers a request to stop.
sub cancelled
{
	my ($node, $what, $setup, $sql) = @_;
	$node->safe_psql('postgres', $setup) if $setup;
	my ($in, $out, $err) = ("SELECT pg_backend_pid();\n$sql;\n", '', '');
	my $handle = IPC::Run::start(['psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres')], '<', \$in, '>', \$out, '2>', \$err);
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

# damage_index($node, $table, $index, $kinds, $sql): damages pages of each kind, one at a time and in each of five ways, and
# runs $sql: nothing may crash or hang, and errors must say what is wrong. $kinds are names for the kinds of pages, in the order of
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
