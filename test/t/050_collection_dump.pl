# Collections outlive a dump: pg_dump | pg_restore into the same server, where oids are others, and into a fresh one, where
# they may be the same by chance; in parallel, as SQL, as definitions alone; the types in public and in a schema of their own. Then logical replication of a collection's table to a server that has the same
# collection, in text and in binary.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $source = PostgreSQL::Test::Cluster->new('source');
$source->init(allows_streaming => 'logical');
$source->start;
my $target = PostgreSQL::Test::Cluster->new('target');
$target->init;
$target->start;

# A database with collections of every kind, the types in a schema.
sub make_app
{
	my ($db, $schema) = @_;
	$source->safe_psql('postgres', "CREATE DATABASE $db; ALTER DATABASE $db SET search_path = public, $schema");
	$source->safe_psql($db, <<"END" . <<'END');
CREATE SCHEMA IF NOT EXISTS $schema;
CREATE EXTENSION vectorcoll SCHEMA $schema;
END
SELECT vectorcoll.create_namespace('tenant');
CREATE TABLE filler AS SELECT 1 AS x; -- so that oids differ from a restore's
SELECT vectorcoll.create_collection('docs', '{"description": "papers", "fields": [
    {"name": "id", "dtype": "int64", "is_primary": true, "auto_id": true}, {"name": "title", "dtype": "varchar", "max_length": 50},
    {"name": "tags", "dtype": "array", "element_type": "varchar", "max_length": 20, "max_capacity": 8, "nullable": true},
    {"name": "v", "dtype": "float_vector", "dim": 4}, {"name": "h", "dtype": "float16_vector", "dim": 3, "nullable": true},
    {"name": "b", "dtype": "binary_vector", "dim": 8, "nullable": true},
    {"name": "s", "dtype": "sparse_float_vector", "nullable": true}], "enable_dynamic_field": true}');
INSERT INTO docs (title, tags, v, h, b, s, "$meta")
    SELECT 'title ' || i, ARRAY['a', 'b'], ARRAY[i, i * 2, 1, 0.5]::real[], '[1,2,3]', B'10101010', '{1:1.5,3:2}/1000000000', jsonb_build_object('n', i)
      FROM generate_series(1, 500) i;
SELECT vectorcoll.create_index('docs', 'v', 'HNSW', 'L2'), vectorcoll.create_index('docs', 'h', 'IVF', 'COSINE'), vectorcoll.create_index('docs', 's'), vectorcoll.create_payload_index('docs', '$meta');
SELECT vectorcoll.create_alias('docs', 'live');
SELECT vectorcoll.alter_collection_properties('docs', '{"owner": "search team"}');
SELECT vectorcoll.create_collection('tenant.parts', 3);
INSERT INTO tenant.parts SELECT i, ARRAY[i, 1, 2]::real[] FROM generate_series(1, 100) i;
SELECT vectorcoll.create_partition('tenant.parts', 'hot'), vectorcoll.create_alias('tenant.parts', 'current');
INSERT INTO tenant.parts (id, vector, "$partition") SELECT i, ARRAY[i, 1, 2]::real[], 'hot' FROM generate_series(101, 150) i;
SELECT vectorcoll.create_collection('sharded', '{"fields": [{"name": "id", "dtype": "varchar", "max_length": 10, "is_primary": true},
    {"name": "v", "dtype": "float_vector", "dim": 2}], "shard_num": 4}');
SELECT vectorcoll.create_collection('tenant.keyed', '{"num_partitions": 3, "fields": [{"name": "id", "dtype": "int64", "is_primary": true},
    {"name": "owner", "dtype": "varchar", "max_length": 10, "is_partition_key": true}, {"name": "v", "dtype": "float_vector", "dim": 2}]}');
SELECT vectorcoll.insert('tenant.keyed', '[{"id": 1, "owner": "x", "v": [1, 2]}, {"id": 2, "owner": "y", "v": [3, 4]}]');
CREATE TABLE adopted (key uuid PRIMARY KEY, v vector(2));
INSERT INTO adopted VALUES ('00000000-0000-0000-0000-000000000001', '[1,2]');
SELECT vectorcoll.adopt_table('adopted', 'as it was');
END
}
make_app('app', 'public');
make_app('app_types', 'types');

# What must be the same on the other side: what collections are, and what they hold.
my @definitions = (
	(map { "SELECT vectorcoll.describe_collection('$_')" } 'docs', 'tenant.parts', 'sharded', 'tenant.keyed', 'adopted'),
	q{SELECT * FROM vectorcoll.list_collections()},
	q{SELECT * FROM vectorcoll.list_namespaces() WHERE namespace <> 'types'},
	q{SELECT alias, namespace, collection_name FROM vectorcoll.list_aliases()},
	(map { "SELECT * FROM vectorcoll.list_indexes('$_')" } 'docs', 'tenant.parts'),
	(map { "SELECT * FROM vectorcoll.list_partitions('$_')" } 'tenant.parts', 'sharded', 'tenant.keyed'));
my @facts = (
	@definitions,
	q{SELECT count(*), sum((v <-> '[1,2,3,4]')::numeric(20,4)) FROM live},
	q{SELECT id, distance FROM vectorcoll.search('live', '[7.1,14,1,0.5]', top_k => 3, anns_field => 'v')},
	q{SELECT id FROM vectorcoll.search('live', '[1,2,3]', top_k => 3, anns_field => 'h', search_params => '{"exact": true}') ORDER BY id},
	q{SELECT count(*) FROM vectorcoll.search_sparse('live', '{1:1}/1000000000', 1000)},
	q{SELECT id FROM vectorcoll.search('tenant.parts', '[120,1,2]', top_k => 3)},
	q{SELECT id FROM vectorcoll.search('tenant.current', '[120,1,2]', top_k => 3, partition_names => '{_default}')},
	q{SELECT vectorcoll.count('tenant.keyed', 'owner == "x"'), vectorcoll.count('docs', 'n < 10')},
	q{SELECT id FROM vectorcoll.search('adopted', '[1,2]')},
);

# How a restored database compares, what its collections can do, and that nothing is left of them in the end.
sub agrees
{
	my ($node, $db, $app, $where) = @_;
	is($node->safe_psql($db, $_), $source->safe_psql($app, $_), "$where: $_") for @facts;
	is( $node->safe_psql($db, q{SELECT count(*) FROM vectorcoll.collection_def d JOIN pg_class c ON c.oid = d.relid
		JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relname = d.relname AND n.nspname = d.nspname}),
		5, "$where: rows point at their tables");
	is( $node->safe_psql($db, q{INSERT INTO live (title, v) VALUES ('new', '[9,9,9,9]') RETURNING id}),
		501, "$where: the alias takes writes and keys go on");
	is( $node->safe_psql($db, q{SELECT vectorcoll.insert('tenant.parts', '{"id": 900, "vector": [900, 1, 2]}', 'hot'); SELECT vectorcoll.create_partition('tenant.parts', 'cold');
		SELECT id FROM vectorcoll.search('tenant.current', '[900,1,2]', top_k => 1)}), "1\n\n900", "$where: partitions go on");
	$node->safe_psql($db, q{SELECT vectorcoll.alter_alias('sharded', 'live'), vectorcoll.rename_collection('sharded', 'shards')});
	is($node->safe_psql($db, q{SELECT collection_name FROM vectorcoll.list_aliases() WHERE alias = 'live'}), 'shards', "$where: aliases move");
	$node->safe_psql($db, q{SELECT vectorcoll.drop_collection(name, safe => false) FROM unnest(ARRAY['docs', 'shards', 'adopted']) name; SELECT vectorcoll.delete_namespace('tenant', confirm => true)});
	is( $node->safe_psql($db, q{SELECT count(*) FROM vectorcoll.collection_def; SELECT count(*) FROM vectorcoll.alias_def}),
		"0\n0", "$where: dropping leaves nothing");
}

sub new_database
{
	my ($node, $db) = @_;
	$node->safe_psql('postgres', "DROP DATABASE IF EXISTS $db");
	$node->safe_psql('postgres', "CREATE DATABASE $db; ALTER DATABASE $db SET search_path = public, types");
}

my $dump = $source->basedir . '/app.dump';
my $plain = $source->basedir . '/app.sql';
for my $app ('app', 'app_types')
{
	$source->command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-d', $source->connstr($app) ], "pg_dump $app");
	for my $place ([ $source, 'same server' ], [ $target, 'fresh server' ])
	{
		my ($node, $where) = @$place;
		new_database($node, 'restored');
		$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('restored'), $dump ], "pg_restore $app, $where");
		agrees($node, 'restored', $app, "$app, $where");
	}
	new_database($target, 'restored');
	$target->command_ok([ 'pg_restore', '--exit-on-error', '-j', 3, '-d', $target->connstr('restored'), $dump ], "pg_restore $app, three jobs");
	agrees($target, 'restored', $app, "$app, three jobs");
	new_database($target, 'restored');
	$source->command_ok([ 'pg_dump', '--inserts', '-f', $plain, '-d', $source->connstr($app) ], "pg_dump $app as SQL");
	$target->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $plain, '-d', $target->connstr('restored') ], "psql $app");
	agrees($target, 'restored', $app, "$app, SQL");

	# The definitions alone: the registry's rows are data to pg_dump, so they are asked for by name.
	new_database($target, 'restored');
	$source->command_ok([ 'pg_dump', '--schema-only', '-f', $plain, '-d', $source->connstr($app) ], "pg_dump --schema-only $app");
	$target->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $plain, '-d', $target->connstr('restored') ], "psql --schema-only $app");
	is($target->safe_psql('restored', 'SELECT count(*) FROM vectorcoll.list_collections(); SELECT count(*) FROM docs'), "0\n0", "$app, schema only: tables, and no collections");
	$source->command_ok([ 'pg_dump', '--data-only', '-t', 'vectorcoll.collection_def', '-t', 'vectorcoll.alias_def', '-f', $plain, '-d', $source->connstr($app) ], "the registry of $app");
	$target->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $plain, '-d', $target->connstr('restored') ], 'goes after it');
	is($target->safe_psql('restored', $_), $source->safe_psql($app, $_), "$app, schema only: $_") for @definitions;
	is( $target->safe_psql('restored', q{SELECT vectorcoll.insert('docs', '{"title": "first", "v": [1, 2, 3, 4]}'); SELECT id FROM vectorcoll.search('live', '[1,2,3,4]', anns_field => 'v')}),
		"1\n1", "$app, schema only: and an empty collection to begin with");
}

# A restore that leaves the tables out leaves rows that nobody sees.
$target->safe_psql('postgres', 'CREATE DATABASE partial');
system_log('pg_restore', '-d', $target->connstr('partial'), '-L', '/dev/null', $dump);
$target->safe_psql('partial', 'CREATE EXTENSION vectorcoll');
system_log('pg_restore', '-d', $target->connstr('partial'), '--data-only', '-t', 'collection_def', $dump);
is($target->safe_psql('partial', 'SELECT count(*), count(relid) FROM vectorcoll.collection_def; SELECT count(*) FROM vectorcoll.list_collections()'),
	"5|0\n0", 'rows without a table are seen by nobody');

# ---- a database whose owner is no superuser, the types in a schema of their own ----

$target->safe_psql('postgres', 'CREATE ROLE plain_owner LOGIN; CREATE DATABASE theirs OWNER plain_owner');
$target->safe_psql('theirs', <<'END', extra_params => [ '-U', 'plain_owner' ]);
CREATE SCHEMA types;
CREATE EXTENSION vectorcoll SCHEMA types;
SELECT vectorcoll.create_collection('docs', 3);
SELECT vectorcoll.insert('docs', '{"id": 1, "vector": [1, 2, 3]}');
SELECT vectorcoll.create_alias('docs', 'live');
END
my $theirs = $target->basedir . '/theirs.dump';
$target->command_ok([ 'pg_dump', '-Fc', '-U', 'plain_owner', '-f', $theirs, '-d', $target->connstr('theirs') ], 'its owner dumps it');
$target->safe_psql('postgres', 'CREATE DATABASE theirs_again OWNER plain_owner');
$target->command_ok([ 'pg_restore', '--exit-on-error', '--no-comments', '-U', 'plain_owner', '-d', $target->connstr('theirs_again'), $theirs ],
	'and restores it');
is($target->safe_psql('theirs_again', q{SELECT id FROM vectorcoll.search('live', '[1,2,3]')}, extra_params => [ '-U', 'plain_owner' ]), 1, 'alias and all');

# ---- logical replication ----

my $create = q{SELECT vectorcoll.create_collection('docs', '{"fields": [{"name": "id", "dtype": "int64", "is_primary": true},
	{"name": "v", "dtype": "float_vector", "dim": 4}, {"name": "h", "dtype": "float16_vector", "dim": 2},
	{"name": "s", "dtype": "sparse_float_vector"}], "enable_dynamic_field": true}')};
my $rows = q{SELECT count(*), md5(string_agg(d::text, ',' ORDER BY id)) FROM docs d};
for my $binary ('false', 'true')
{
	my $db = $binary eq 'true' ? 'in_binary' : 'in_text';
	for my $node ($source, $target)
	{
		$node->safe_psql('postgres', "CREATE DATABASE $db");
		$node->safe_psql($db, "CREATE EXTENSION vectorcoll; $create");
	}
	$source->safe_psql($db, q{INSERT INTO docs SELECT i, ARRAY[i, 1, 2, 3]::real[], '[1,2]', '{1:1}/1000000000', '{"k": 1}' FROM generate_series(1, 100) i;
		CREATE PUBLICATION p FOR TABLE docs});
	(my $conn = $source->connstr($db)) =~ s,',,g;
	$target->safe_psql($db, "CREATE SUBSCRIPTION s_$db CONNECTION '$conn' PUBLICATION p WITH (binary = $binary)");
	$target->wait_for_subscription_sync($source, "s_$db", $db) if $target->can('wait_for_subscription_sync');
	$source->safe_psql($db, q{INSERT INTO docs VALUES (1000, '[9,9,9,9]', '[3,4]', '{2:5}/1000000000', '{}'); UPDATE docs SET v = '[0,0,0,1]' WHERE id < 10;
		DELETE FROM docs WHERE id BETWEEN 50 AND 60});
	$source->wait_for_catchup("s_$db");
	is($target->safe_psql($db, $rows), $source->safe_psql($db, $rows), "replicated, binary = $binary");
	is($target->safe_psql($db, q{SELECT id FROM vectorcoll.search('docs', '[9,9,9,9]', top_k => 1, anns_field => 'v')}), 1000, "searchable there, binary = $binary");
	$target->safe_psql($db, "DROP SUBSCRIPTION s_$db");
}
done_testing();
