# vc_hnsw under sessions that insert, delete, search and vacuum at the same time: into an empty index, equal values, indexes made
# concurrently. Afterwards the index is whole and holds just the table's rows. And both access methods under eight writers.
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

# Eight sessions want a page for each node: whoever waited takes one that another session made, and few are left over.
$node->safe_psql('postgres', 'CREATE TABLE crowd (id int, v vector(784)); CREATE INDEX crowd_v ON crowd USING vc_hnsw (v vector_l2_ops)');
together('a crowd', map { "DO \$\$ BEGIN FOR i IN 1 .. 60 LOOP INSERT INTO crowd VALUES (${_}000 + i, point(${_}000 + i, 784)); COMMIT; END LOOP; END \$\$;" } 1 .. 8);
whole('a crowd', 'crowd_v', 'crowd', 784);
my $left = $node->safe_psql('postgres', "SELECT pg_relation_size('crowd_v') / 8192 - 1 - nodes FROM vectorcoll.hnsw_stats('crowd_v')");
cmp_ok($left, '<=', 64, "a crowd: $left pages are left over");
$node->safe_psql('postgres', 'DROP TABLE crowd');

# What eight writers make of an index together, of one that trains itself meanwhile too, is as good as one built afterwards.
$node->safe_psql('postgres', q{
	CREATE FUNCTION found(name text) RETURNS numeric LANGUAGE plpgsql SET jit = off AS $$
	DECLARE q vector; exact float8[]; hits bigint := 0;
		query text := format('SELECT array(SELECT v <-> $1 FROM %I ORDER BY v <-> $1 LIMIT 10)', name);
		nearest float8[];
	BEGIN
		-- Few candidates, as all are found with as many as are usual; and a recall beside which it makes little of a difference when a vc_ivf index was trained.
		-- A seed that no writer has, or queries are rows.
		PERFORM setseed(0.95), set_config('vc_hnsw.ef_search', '20', true), set_config('vc_ivf.target_recall', '0.99', true);
		FOR i IN 1 .. 500 LOOP
			q := array(SELECT random() FROM generate_series(1, 24) WHERE i > 0);
			SET LOCAL enable_seqscan = on; SET LOCAL enable_indexscan = off;
			EXECUTE query INTO exact USING q;
			SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = on;
			EXECUTE query INTO nearest USING q;
			hits := hits + (SELECT count(*) FROM unnest(nearest) d WHERE d <= exact[10]);
		END LOOP;
		RETURN hits / 50.0;
	END $$});
for my $case (['vc_hnsw', 'hnsw_check', 1, ''], ['vc_hnsw', 'hnsw_check', 1, 'WITH (storage = compact)'], ['vc_ivf', 'ivf_check', 2, 'WITH (lists = 30)'], ['vc_ivf', 'ivf_check', 2, ''])
{
	my ($am, $check, $points, $options) = @$case;
	my $what = "eight writers, $am $options";
	# A compact index of a few rows knows about where the data lie, as one that is built afterwards does.
	my $first = $options =~ /compact/ ? 100 : 0;
	$node->safe_psql('postgres', "CREATE TABLE many (id int, v vector(24));
		INSERT INTO many SELECT i, array(SELECT random() FROM generate_series(1, 24) WHERE i > 0)::vector FROM generate_series(1, $first) i; CREATE INDEX many_v ON many USING $am (v vector_l2_ops) $options");
	# Half of them a row at a time, half many in a statement, for the whole of which it keeps what it knows of the index.
	together($what, map {
		my ($times, $rows) = $_ % 2 ? (300, 1) : (4, 75);
		"DO \$\$ BEGIN PERFORM setseed($_ / 10.0); FOR i IN 1 .. $times LOOP INSERT INTO many SELECT ${_}000 + i * $rows + j, array(SELECT random() FROM generate_series(1, 24) WHERE j > 0)::vector FROM generate_series(1, $rows) j; COMMIT; END LOOP; END \$\$;"
	} 1 .. 8);
	is($node->psql('postgres', "SET client_min_messages = error; SELECT vectorcoll.$check('many_v', true)"), 0, "$what: the index is whole");
	is($node->safe_psql('postgres', "SET enable_seqscan = off; SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM many ORDER BY v <-> array_fill(0.5, ARRAY[24])::vector) s"), join('|', (2400 + $first) x 2), "$what: and gives every row once");
	my $together = $node->safe_psql('postgres', "SELECT found('many')");
	my $built = $node->safe_psql('postgres', "REINDEX INDEX many_v; SELECT found('many')");
	cmp_ok($together, '>=', $built - $points, sprintf '%s: %.2f %% of the nearest are found, by a fresh one %.2f %%', $what, $together, $built);
	$node->safe_psql('postgres', 'DROP TABLE many');
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
