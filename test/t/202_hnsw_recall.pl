# How many of the true nearest rows vc_hnsw finds, by type and metric: after a build, after as many inserts again, after deletions and
# vacuum, after rounds of deletions and insertions, and among thousands of nearly equal values,
# and far from the origin.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "autovacuum = off\nfsync = off\nmax_parallel_maintenance_workers = 1\n");
$node->start;
# Values lie around 100 centres, in turn, as embeddings do; queries are drawn likewise. setseed makes the data the same in each run.
$node->safe_psql('postgres', q{
	CREATE EXTENSION vectorcoll;
	SELECT setseed(0.5);
	CREATE FUNCTION normal() RETURNS float8 LANGUAGE sql AS 'SELECT sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())';
	CREATE TABLE centre AS SELECT i, array(SELECT normal() FROM generate_series(1, 48) g WHERE i >= 0) AS c FROM generate_series(0, 99) i;
	CREATE TABLE raw AS SELECT row_number() OVER () AS id, i AS cluster, array(SELECT (x + normal())::real FROM unnest(c) x WHERE n > 0) AS a
		FROM (SELECT n, i, c FROM generate_series(1, 12200) n JOIN centre ON i = n * 7919 % 100) s;
	CREATE TABLE data AS SELECT id, a::vector(48) AS v, a::vector(48)::halfvec(48) AS h,
		(SELECT string_agg((x > y)::int::text, '' ORDER BY o) FROM unnest(a, a[7:48] || a[1:6]) WITH ORDINALITY AS u (x, y, o))::bit(48) AS b,
		(SELECT '{' || string_agg(o || ':' || x, ',' ORDER BY o) || '}/48' FROM unnest(a) WITH ORDINALITY AS u (x, o) WHERE abs(x) > 1.5 OR o = 1)::sparsevec(48) AS s FROM raw;
	CREATE TABLE query AS SELECT id, v, h, b, s FROM data WHERE id > 12000;
	CREATE TABLE t (id int, v vector(48), h halfvec(48), b bit(48), s sparsevec(48));
	INSERT INTO t SELECT * FROM data WHERE id <= 6000});

my %case = (
	l2 => ['v', 'vector_l2_ops', '<->'], ip => ['v', 'vector_ip_ops', '<#>'], cosine => ['v', 'vector_cosine_ops', '<=>'], l1 => ['v', 'vector_l1_ops', '<+>'],
	half_l2 => ['h', 'halfvec_l2_ops', '<->'], half_ip => ['h', 'halfvec_ip_ops', '<#>'], half_cosine => ['h', 'halfvec_cosine_ops', '<=>'], half_l1 => ['h', 'halfvec_l1_ops', '<+>'],
	hamming => ['b', 'bit_hamming_ops', '<~>'], jaccard => ['b', 'bit_jaccard_ops', '<%>'],
	sparse_l2 => ['s', 'sparsevec_l2_ops', '<->'], sparse_ip => ['s', 'sparsevec_ip_ops', '<#>'], sparse_cosine => ['s', 'sparsevec_cosine_ops', '<=>'], sparse_l1 => ['s', 'sparsevec_l1_ops', '<+>']);

# The share of the true ten nearest found, where what is as near as the tenth counts too.
sub recall
{
	my ($name, $table, $queries, $ef) = @_;
	my ($column, undef, $op) = @{ $case{$name} };
	$table ||= 't';
	$queries ||= 'query';
	$ef ||= 200;
	$node->safe_psql('postgres', "DROP TABLE IF EXISTS truth; SET enable_indexscan = off;
		CREATE TABLE truth AS SELECT q.id, (SELECT max(d) FROM (SELECT t.$column $op q.$column AS d FROM $table t ORDER BY 1 LIMIT 10) n) AS tenth FROM $queries q");
	my $got = $node->safe_psql('postgres', "SET enable_seqscan = off; SET enable_sort = off; SET vc_hnsw.ef_search = $ef;
		SELECT round(avg(hits) / 10, 4), min(n) FROM (SELECT (SELECT count(*) FILTER (WHERE d <= tenth + 1e-5 * abs(tenth))::numeric FROM (SELECT t.$column $op q.$column AS d FROM $table t ORDER BY t.$column $op q.$column LIMIT 10) n) AS hits,
			(SELECT count(*) FROM (SELECT 1 FROM $table t ORDER BY t.$column $op q.$column LIMIT 10) n) AS n FROM $queries q JOIN truth USING (id)) s");
	my ($recall, $rows) = split /\|/, $got;
	is($rows, 10, "$name: ten rows each") ;
	return $recall;
}

sub size { return $node->safe_psql('postgres', "SELECT pg_relation_size('$_[0]')") }
sub whole { return is($node->psql('postgres', "SET client_min_messages = error; SELECT vectorcoll.hnsw_check('$_[0]', true)"), 0, "$_[0] is whole") }

# ---- each type and metric ----

my %built;
for my $name (sort keys %case)
{
	my ($column, $opclass) = @{ $case{$name} };
	$node->safe_psql('postgres', "CREATE INDEX t_$name ON t USING vc_hnsw ($column $opclass)");
	$built{$name} = recall($name);
	cmp_ok($built{$name}, '>=', 0.95, "$name: recall after a build is $built{$name}");
	$node->safe_psql('postgres', "DROP INDEX t_$name");
}

# ---- inserts, deletions, cycling: one with codes, one without ----

for my $name ('l2', 'hamming')
{
	my ($column, $opclass) = @{ $case{$name} };
	my $index = "t_$name";
	$node->safe_psql('postgres', "TRUNCATE t; INSERT INTO t SELECT * FROM data WHERE id <= 4000; CREATE INDEX $index ON t USING vc_hnsw ($column $opclass); INSERT INTO t SELECT * FROM data WHERE id BETWEEN 4001 AND 8000");
	my $inserted = recall($name);
	whole($index);
	$node->safe_psql('postgres', "REINDEX INDEX $index");
	my $fresh = recall($name);
	my $size = size($index);
	cmp_ok($inserted, '>=', $fresh - 0.01, "$name: after inserting the second half $inserted, built at once $fresh");

	$node->safe_psql('postgres', 'DELETE FROM t WHERE id / 100 % 5 = 0; VACUUM (INDEX_CLEANUP ON) t');
	my $deleted = recall($name);
	whole($index);
	$node->safe_psql('postgres', "REINDEX INDEX $index");
	$fresh = recall($name);
	cmp_ok($deleted, '>=', $fresh - 0.01, "$name: after deleting a fifth $deleted, built without it $fresh");

	for my $round (1 .. 20)
	{
		$node->safe_psql('postgres', "DELETE FROM t WHERE id / 100 % 20 = $round % 20; VACUUM (INDEX_CLEANUP ON) t;
			INSERT INTO t SELECT d.* FROM data d WHERE d.id / 100 % 20 = $round % 20 AND d.id <= 8000 AND d.id / 100 % 5 <> 0;");
	}
	my $cycled = recall($name);
	whole($index);
	cmp_ok($cycled, '>=', $fresh - 0.01, "$name: after 20 rounds of deletions and insertions $cycled");
	cmp_ok(size($index), '<=', 1.3 * $size, "$name: and the index has not grown");
	is($node->safe_psql('postgres', "SET enable_seqscan = off; SELECT count(DISTINCT id) FROM (SELECT id FROM t ORDER BY $column $case{$name}[2] (SELECT $column FROM query LIMIT 1)) s"), 6400, "$name: a scan without LIMIT returns every row");

	$node->safe_psql('postgres', "DELETE FROM t WHERE id / 100 % 10 <> 1; VACUUM (INDEX_CLEANUP ON) t");
	my $left = recall($name);
	whole($index);
	cmp_ok($left, '>=', 0.98, "$name: after deleting nine tenths $left");
	$node->safe_psql('postgres', "DROP INDEX $index");
}

# ---- whole clusters that go and come back: nothing is left of what led to their values ----

for my $name ('l2', 'half_cosine', 'hamming', 'sparse_l2')
{
	my ($column, $opclass) = @{ $case{$name} };
	my $index = "t_$name";
	$node->safe_psql('postgres', "TRUNCATE t; INSERT INTO t SELECT * FROM data WHERE id <= 6000; CREATE INDEX $index ON t USING vc_hnsw ($column $opclass)");
	my $fresh = recall($name);
	for my $round (0 .. 2)
	{
		my $clusters = "SELECT id FROM raw WHERE cluster % 3 = $round AND id <= 6000";
		$node->safe_psql('postgres', "DELETE FROM t WHERE id IN ($clusters); VACUUM (INDEX_CLEANUP ON) t");
		$node->safe_psql('postgres', "INSERT INTO t SELECT * FROM data WHERE id IN ($clusters)");
	}
	my $returned = recall($name);
	whole($index);
	cmp_ok($returned, '>=', $fresh - 0.01, "$name: after every cluster has gone and come back $returned, built at once $fresh");
	$node->safe_psql('postgres', "DROP INDEX $index");
}

# ---- ten thousand equal values, of each type: half of them there when the index is built, half inserted ----

for my $name ('l2', 'cosine', 'half_l2', 'hamming', 'sparse_l2')
{
	my ($column, $opclass, $op) = @{ $case{$name} };
	my $index = "t_$name";
	my $equal = "(SELECT $column FROM data WHERE id = 7001)";
	my $found = sub { return $node->safe_psql('postgres', "SET enable_seqscan = off; SELECT count(DISTINCT id) FROM (SELECT id FROM t ORDER BY $column $op $equal LIMIT $_[0]) n WHERE id > 100000") };
	$node->safe_psql('postgres', "TRUNCATE t; INSERT INTO t (id, $column) SELECT id, $column FROM data WHERE id <= 2000;
		INSERT INTO t (id, $column) SELECT 100000 + i, $equal FROM generate_series(1, 5000) i;
		CREATE INDEX $index ON t USING vc_hnsw ($column $opclass);
		INSERT INTO t (id, $column) SELECT id, $column FROM data WHERE id BETWEEN 2001 AND 4000;
		INSERT INTO t (id, $column) SELECT 100000 + i, $equal FROM generate_series(5001, 10000) i");
	is($found->(10000), 10000, "$name: ten thousand equal values are found");
	my $values = $node->safe_psql('postgres', "SELECT nodes FROM vectorcoll.hnsw_stats('$index')");
	$node->safe_psql('postgres', "INSERT INTO t (id, $column) SELECT id, $column FROM t WHERE id <= 4000");
	my $twins = $node->safe_psql('postgres', "SELECT nodes FROM vectorcoll.hnsw_stats('$index')") - $values;
	cmp_ok($twins, '<=', 0.002 * $values, "$name: of $values values inserted once more, $twins were not found");
	$node->safe_psql('postgres', "DELETE FROM t WHERE id > 100000 AND id % 2 = 0; VACUUM (INDEX_CLEANUP ON) t");
	is($found->(5000), 5000, "$name: and those that are left");
	whole($index);
	$node->safe_psql('postgres', "DROP INDEX $index");
}

# ---- values without any order, the hardest to find ----

$node->safe_psql('postgres', q{
	CREATE TABLE hard_data AS SELECT n AS id, array(SELECT normal()::real FROM generate_series(1, 48) g WHERE n > 0)::vector(48) AS v FROM generate_series(1, 10200) n;
	CREATE TABLE hard_query AS SELECT * FROM hard_data WHERE id > 10000;
	CREATE TABLE hard AS SELECT * FROM hard_data WHERE id <= 5000;
	CREATE INDEX hard_v ON hard USING vc_hnsw (v vector_l2_ops);
	INSERT INTO hard SELECT * FROM hard_data WHERE id BETWEEN 5001 AND 10000});
my $hard = recall('l2', 'hard', 'hard_query', 20);
$node->safe_psql('postgres', "INSERT INTO hard SELECT id + 100000, v FROM hard_data WHERE id <= 10000");
my $hard_nodes = $node->safe_psql('postgres', "SELECT nodes FROM vectorcoll.hnsw_stats('hard_v')");
cmp_ok($hard_nodes, '<=', 10050, "of 10,000 values without any order inserted once more, " . ($hard_nodes - 10000) . " were not found");
whole('hard_v');
$node->safe_psql('postgres', 'DELETE FROM hard WHERE id > 100000; VACUUM (INDEX_CLEANUP ON) hard; REINDEX INDEX hard_v');
my $hard_fresh = recall('l2', 'hard', 'hard_query', 20);
cmp_ok($hard, '>=', $hard_fresh - 0.01, "with half of them inserted $hard are found by a narrow search, built at once $hard_fresh");
$node->safe_psql('postgres', 'DROP TABLE hard, hard_data, hard_query');

# ---- values far from the origin, beside their distances from each other, and a few beyond all measure ----

$node->safe_psql('postgres', q{
	CREATE TABLE far AS SELECT id, (SELECT array_agg((x + 100)::real ORDER BY o) FROM unnest(a) WITH ORDINALITY AS u (x, o))::vector(48) AS v FROM raw;
	CREATE TABLE far_query AS SELECT * FROM far WHERE id > 12000});
for my $storage ('full', 'compact')
{
	$node->safe_psql('postgres', "DELETE FROM far WHERE id > 4000; INSERT INTO far SELECT 100000 + i, array_fill(i * 1e12::real, ARRAY[48])::vector(48) FROM generate_series(1, 200) i; VACUUM far; CREATE INDEX far_v ON far USING vc_hnsw (v vector_l2_ops) WITH (storage = $storage);
		INSERT INTO far SELECT id, (SELECT array_agg((x + 100)::real ORDER BY o) FROM unnest(a) WITH ORDINALITY AS u (x, o))::vector(48) FROM raw WHERE id BETWEEN 4001 AND 6000");
	my $far = recall('l2', 'far', 'far_query', 40);
	cmp_ok($far, '>=', 0.97, "storage = $storage: among values far from the origin $far");
	whole('far_v');
	$node->safe_psql('postgres', 'DROP INDEX far_v');
}

# ---- equal and nearly equal values ----

$node->safe_psql('postgres', q{
	CREATE TABLE near (id int, v vector(48));
	CREATE INDEX near_v ON near USING vc_hnsw (v vector_l2_ops);
	INSERT INTO near SELECT id + 200000, v FROM data WHERE id <= 1000;
	INSERT INTO near SELECT i + 100000, v FROM data, generate_series(1, 6000) i WHERE data.id = 2;
	INSERT INTO near SELECT i, (SELECT array(SELECT x + i * 1e-6 * sin(i * o) FROM unnest(a) WITH ORDINALITY AS u (x, o))::vector FROM raw WHERE id = 1) FROM generate_series(1, 4000) i;
	CREATE TABLE near_query AS SELECT id, v FROM near WHERE id <= 4000 AND id % 40 = 0 OR id > 200000 AND id % 20 = 0});
my $near = recall('l2', 'near', 'near_query');
cmp_ok($near, '>=', 0.97, "among nearly equal values $near");
whole('near_v');
is($node->safe_psql('postgres', 'SET enable_seqscan = off; SELECT count(DISTINCT id) FROM (SELECT id FROM near ORDER BY v <-> (SELECT v FROM data WHERE id = 2) LIMIT 6001) s WHERE id BETWEEN 100001 AND 106000'), 6000, 'all equal values are found');
is($node->safe_psql('postgres', "SELECT unreachable FROM vectorcoll.hnsw_stats('near_v')"), 0, 'and links lead to every value');
is($node->safe_psql('postgres', 'SET enable_seqscan = off; SELECT count(DISTINCT id) FROM (SELECT id FROM near ORDER BY v <-> (SELECT v FROM near WHERE id = 1) LIMIT 11000) s'), 11000, 'and every row by a larger LIMIT');
my $size = size('near_v');
for (1 .. 10)
{
	$node->safe_psql('postgres', "DELETE FROM near WHERE id BETWEEN 100001 AND 106000 AND id % 2 = 0; VACUUM (INDEX_CLEANUP ON) near; INSERT INTO near SELECT 100000 + 2 * i, v FROM data, generate_series(1, 3000) i WHERE data.id = 2");
}
cmp_ok(size('near_v'), '<=', 1.3 * $size, 'rows of one value that come and go do not make the index grow');
whole('near_v');
$node->stop;
done_testing();
