# vc_hnsw under sessions that insert, delete, search and vacuum at the same time: into an empty index, equal values, indexes made
# concurrently. Afterwards the index is whole and holds just the table's rows.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use Test::More;
use IPC::Run;
use Time::HiRes qw(time);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "autovacuum = off\nfsync = off\n");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION vectorcoll;
	CREATE FUNCTION point(i int, d int) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
		SELECT array_agg(sin(i::float8 * s * s) + (i % 7) / 2.0 ORDER BY s)::vector FROM generate_series(1, d) s $$});

# Run scripts side by side; every one must end well.
sub together
{
	my ($what, @sql) = @_;
	my (@handles, @err, @in, @out);
	for my $i (0 .. $#sql)
	{
		($in[$i], $out[$i], $err[$i]) = ("SET enable_seqscan = off; SET statement_timeout = '60s';\n$sql[$i]", '', '');
		push @handles, IPC::Run::start(['psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres')], '<', \$in[$i], '>', \$out[$i], '2>', \$err[$i]);
	}
	my $bad = grep { !$_->finish } @handles;
	is($bad, 0, "$what: all sessions ended well") or diag join '', @err;
}

sub whole
{
	my ($what, $index, $table, $d) = @_;
	is($node->psql('postgres', "SET client_min_messages = error; SELECT vectorcoll.hnsw_check('$index', true)"), 0, "$what: $index is whole");
	is($node->safe_psql('postgres', "SET enable_seqscan = off; SELECT count(*), sum(id::int8) FROM (SELECT id FROM $table ORDER BY v <-> point(3, $d)) s"),
		$node->safe_psql('postgres', "SET enable_indexscan = off; SELECT count(*), sum(id::int8) FROM $table"), "$what: the index gives each row once");
	my $lost = $node->safe_psql('postgres', "SELECT unreachable FROM vectorcoll.hnsw_stats('$index')");
	# With m = 4 and vacuum at work links may miss some; rows are not lost by it, as was just seen.
	note "$what: links lead to all values but $lost";
}

for my $case (['narrow', 16], ['wide', 9000])
{
	my ($t, $d) = @$case;
	my $n = $t eq 'wide' ? 15 : 300;
	my $rows = sub { my ($from) = @_; return "DO \$\$ BEGIN FOR i IN $from .. $from + $n LOOP INSERT INTO $t VALUES (i, point(i, $d)); COMMIT; END LOOP; END \$\$;" };
	$node->safe_psql('postgres', "CREATE TABLE $t (id int, v vector($d)); CREATE INDEX ${t}_v ON $t USING vc_hnsw (v vector_l2_ops) WITH (m = 4, ef_construction = 16)");
	together("$t, empty", map { $rows->($_ * 10000) } 1 .. 4);
	whole("$t, empty", "${t}_v", $t, $d);
	together("$t, equal", map { "DO \$\$ BEGIN FOR i IN 1 .. $n LOOP INSERT INTO $t VALUES (${_}00000 + i, point(1000000 + i % 5, $d)); COMMIT; END LOOP; END \$\$;" } 1 .. 4);
	whole("$t, equal", "${t}_v", $t, $d);

	my $vacuum = "VACUUM (INDEX_CLEANUP ON) $t;\n" x ($t eq 'wide' ? 4 : 8);
	my $delete = "DO \$\$ BEGIN FOR i IN 0 .. 9 LOOP DELETE FROM $t WHERE id % 10 = i AND id < 50000; COMMIT; PERFORM pg_sleep(0.02); END LOOP; END \$\$;";
	my $search = "SELECT count(*) FROM generate_series(1, $n) q, LATERAL (SELECT id FROM $t ORDER BY v <-> point(q, $d) LIMIT 5) s;\n" x 2;
	together("$t, vacuum", $rows->(60000), $rows->(70000), $delete, $vacuum, $search);
	$node->safe_psql('postgres', "VACUUM (INDEX_CLEANUP ON) $t");
	whole("$t, vacuum", "${t}_v", $t, $d);

	# All rows go while others come.
	together("$t, all deleted", "DELETE FROM $t WHERE id < 10000000; VACUUM (INDEX_CLEANUP ON) $t;" x 3, $rows->(80000), $rows->(90000), $search);
	$node->safe_psql('postgres', "VACUUM (INDEX_CLEANUP ON) $t");
	whole("$t, all deleted", "${t}_v", $t, $d);

	together("$t, concurrently", $rows->(110000), $rows->(120000), "CREATE INDEX CONCURRENTLY ${t}_c ON $t USING vc_hnsw (v vector_l2_ops);\nREINDEX INDEX CONCURRENTLY ${t}_v;", "DELETE FROM $t WHERE id % 3 = 0;");
	$node->safe_psql('postgres', "VACUUM (INDEX_CLEANUP ON) $t");
	whole("$t, reindexed concurrently", "${t}_v", $t, $d);
	$node->safe_psql('postgres', "DROP INDEX ${t}_v");
	whole("$t, created concurrently", "${t}_c", $t, $d);
}
$node->stop;
done_testing();
