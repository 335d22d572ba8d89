# Sixteen sessions create, index, fill, load, release, rename, alias, search and drop the same ten collections, and load them from a source. No deadlock error
# escapes, every error is one the reference documents, and registry and tables agree at the end.
# VC_STRESS_SECONDS (10) sets how long; a minute is what the design asks for.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use IPC::Run;

my $seconds = $ENV{VC_STRESS_SECONDS} || 10;
my $sessions = 16;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nshared_buffers = 64MB\nmax_worker_processes = 16\ndeadlock_timeout = 100ms\nlog_min_messages = fatal");
$node->start;
$node->safe_psql('postgres', <<'END');
CREATE EXTENSION vectorcoll;
CREATE SCHEMA s;
CREATE TABLE outcome (op text, sqlstate text, message text, at timestamptz DEFAULT clock_timestamp());
CREATE FUNCTION source() RETURNS SETOF jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('id', i, 'vector', '[1,2,3]') FROM generate_series(1, 3) i $$;
CREATE PROCEDURE churn(seed float8, seconds float8, by_hand bool) LANGUAGE plpgsql AS $$
DECLARE
    until timestamptz := clock_timestamp() + seconds * interval '1 second';
    ops text[] := ARRAY['create', 'create', 'create', 'create_other', 'index', 'index', 'drop_index', 'insert', 'insert', 'insert', 'load', 'load_wait',
                        'state', 'release', 'release', 'rename', 'drop', 'drop_unsafe', 'truncate', 'alias', 'move_alias', 'drop_alias',
                        'search', 'search', 'describe', 'list', 'add_field', 'partition', 'load_records', 'rebuild', 'upsert_or_load', 'remove', 'upsert', 'stats', 'adopt'];
    op text; c text; c2 text; a text; state text; message text; detail text;
BEGIN
    IF by_hand THEN
        ops := ops || ARRAY['hand_drop', 'hand_drop_cascade', 'hand_rename', 'hand_rename', 'hand_set_schema', 'hand_set_schema', 'hand_drop_schema',
                            'hand_drop_view', 'to_s', 'to_s', 'alias'];
    END IF;
    PERFORM setseed(seed);
    WHILE clock_timestamp() < until LOOP
        op := ops[1 + floor(random() * cardinality(ops))];
        c := 'c' || floor(random() * 10); c2 := 'c' || floor(random() * 10); a := 'a' || floor(random() * 3);
        IF by_hand AND random() < 0.3 THEN
            c := 's.' || c; c2 := 's.' || c2; a := 's.' || a;
        END IF;
        state := '00000'; message := NULL;
        BEGIN
            CASE op
                WHEN 'create' THEN PERFORM vectorcoll.create_collection(c, 3);
                WHEN 'create_other' THEN PERFORM vectorcoll.create_collection(c, 4);
                WHEN 'index' THEN PERFORM vectorcoll.create_index(c, 'vector', 'HNSW', 'L2');
                WHEN 'drop_index' THEN PERFORM vectorcoll.drop_index(c, 'vector');
                WHEN 'insert' THEN PERFORM vectorcoll.insert(c, jsonb_build_object('id', floor(random() * 1e9), 'vector', '[1,2,3]'));
                WHEN 'load' THEN PERFORM vectorcoll.load_collection(c);
                WHEN 'load_wait' THEN PERFORM vectorcoll.load_collection(c, wait => true);
                WHEN 'state' THEN PERFORM vectorcoll.get_load_state(c);
                WHEN 'release' THEN PERFORM vectorcoll.release_collection(c);
                WHEN 'rename' THEN PERFORM vectorcoll.rename_collection(c, c2);
                WHEN 'drop' THEN PERFORM vectorcoll.drop_collection(c);
                WHEN 'drop_unsafe' THEN PERFORM vectorcoll.drop_collection(c, safe => false);
                WHEN 'truncate' THEN PERFORM vectorcoll.truncate_collection(c);
                WHEN 'alias' THEN PERFORM vectorcoll.create_alias(c, a);
                WHEN 'move_alias' THEN PERFORM vectorcoll.alter_alias(c, a);
                WHEN 'drop_alias' THEN PERFORM vectorcoll.drop_alias(a);
                WHEN 'search' THEN PERFORM vectorcoll.search(CASE WHEN random() < 0.5 THEN c ELSE a END, '[1,2,3]', top_k => 3);
                WHEN 'describe' THEN PERFORM vectorcoll.describe_collection(c);
                WHEN 'list' THEN PERFORM vectorcoll.list_collections();
                WHEN 'add_field' THEN PERFORM vectorcoll.add_collection_field(c, '{"name": "extra", "dtype": "int64", "nullable": true}');
                WHEN 'load_records' THEN PERFORM vectorcoll.load_records(c, 'source');
                WHEN 'rebuild' THEN PERFORM vectorcoll.rebuild_collection(c, 'source');
                WHEN 'upsert_or_load' THEN PERFORM vectorcoll.upsert_or_load(c, '{"id": 5, "vector": [1,2,3]}', 'source');
                WHEN 'remove' THEN PERFORM vectorcoll.remove_records(c, '{1,2}');
                WHEN 'upsert' THEN PERFORM vectorcoll.upsert(c, '[{"id": 1, "vector": [1,2,3]}, {"id": 2, "vector": [1,2,3]}]');
                WHEN 'stats' THEN PERFORM vectorcoll.get_collection_stats(c);
                WHEN 'adopt' THEN PERFORM vectorcoll.adopt_table(to_regclass(c)) WHERE to_regclass(c) IS NOT NULL;
                WHEN 'partition' THEN PERFORM vectorcoll.create_partition(c, 'p1');
                WHEN 'to_s' THEN PERFORM vectorcoll.rename_collection(c, split_part(c2, '.', -1), new_namespace => 's');
                WHEN 'hand_drop' THEN EXECUTE format('DROP TABLE IF EXISTS %s', c);
                WHEN 'hand_drop_cascade' THEN EXECUTE format('DROP TABLE IF EXISTS %s CASCADE', c);
                WHEN 'hand_rename' THEN EXECUTE format('ALTER TABLE IF EXISTS %s RENAME TO %I', c, split_part(c2, '.', -1));
                WHEN 'hand_set_schema' THEN EXECUTE format('ALTER TABLE IF EXISTS %s SET SCHEMA %I', c, CASE WHEN c LIKE 's.%' THEN 'public' ELSE 's' END);
                WHEN 'hand_drop_schema' THEN EXECUTE 'DROP SCHEMA IF EXISTS s CASCADE'; EXECUTE 'CREATE SCHEMA s';
                WHEN 'hand_drop_view' THEN EXECUTE format('DROP VIEW IF EXISTS %s', a);
            END CASE;
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
            IF state = '40P01' THEN
                message := message || ': ' || detail; -- its processes are this run's, so it says who waited for what
            END IF;
        END;
        INSERT INTO outcome VALUES (op, state, message);
        COMMIT;
    END LOOP;
END $$;
END


# Runs the sessions, then holds the registry against the server's catalogue.
sub churn
{
	my ($by_hand, $seconds) = @_;
	my $what = $by_hand eq 'true' ? 'with DDL by hand' : 'through the functions';
	my @running;
	for my $i (1 .. $sessions)
	{
		my ($in, $out, $err) = ('', '', '');
		my $seed = $i / 100;
		push @running, [ IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c',
			"SET client_min_messages = error", '-c', "CALL churn($seed, $seconds, $by_hand)" ], '<', \$in, '>', \$out, '2>', \$err), \$err ];
	}
	for my $r (@running)
	{
		$r->[0]->finish;
		is(${ $r->[1] }, '', "$what: a session ended without an error of its own");
	}
	# What sessions gave up at their end, workers may still be at.
	$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type LIKE 'vectorcoll%'});
	is( $node->safe_psql('postgres', q{SELECT d.nspname, d.relname, d.relid FROM vectorcoll.collection_def d
		WHERE NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE c.oid = d.relid AND c.relname = d.relname AND n.nspname = d.nspname)}), '', "$what: no row without its table");
	is( $node->safe_psql('postgres', q{SELECT c.relname FROM pg_class c WHERE c.relnamespace::regnamespace::text IN ('public', 's') AND c.relname ~ '^c[0-9]'
		AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND NOT EXISTS (SELECT FROM vectorcoll.collection_def d WHERE d.relid = c.oid)}),
		'', "$what: no table without its row");
	is( $node->safe_psql('postgres', q{SELECT a.relname FROM vectorcoll.alias_def a FULL JOIN (SELECT * FROM pg_class WHERE relkind = 'v'
		AND relnamespace::regnamespace::text IN ('public', 's')) c ON c.oid = a.relid WHERE c.oid IS NULL OR a.relid IS NULL OR c.relname <> a.relname
			OR a.nspname <> c.relnamespace::regnamespace::text}),
		'', "$what: aliases and views agree");
	is( $node->safe_psql('postgres', q{SELECT 'load', relid FROM vectorcoll.load_state WHERE relid NOT IN (SELECT oid FROM pg_class)
		UNION ALL SELECT 'lease', relid FROM vectorcoll.lease WHERE relid NOT IN (SELECT oid FROM pg_class)}), '', "$what: no load or lease without its table");
	is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}), 0, "$what: no lock left");
	$node->safe_psql('postgres', q{SELECT vectorcoll.describe_collection(namespace || '.' || name) FROM vectorcoll.list_collections()});
	note $node->safe_psql('postgres', 'SELECT op, sqlstate, count(*), min(message) FROM outcome GROUP BY 1, 2 ORDER BY 1, 2');
}

churn('false', $seconds);
sub check_outcome
{
	my ($what, @more) = @_;
	my $more = join('', map { ", '$_'" } @more);
	my $count = $node->safe_psql('postgres', q{SELECT count(*) FROM outcome WHERE sqlstate = '00000' AND op NOT LIKE 'hand%'});
	cmp_ok($count, '>', 200, "$what: operations that succeeded: $count");
	# What the reference documents for these functions; 22000 is a vector of the wrong size, 3F000 a schema that is not there.
	is( $node->safe_psql('postgres', qq{SELECT op, sqlstate, min(message), count(*) FROM outcome WHERE op NOT LIKE 'hand%'
		AND sqlstate NOT IN ('00000', 'VC100', 'VC105', 'VC110', 'VC700', 'VC704', 'VC705', 'VC706', 'VC902', 'VC903', 'VC904', 'VC906', '22000', '3F000'$more)
		GROUP BY 1, 2 ORDER BY 1, 2}), '', "$what: every error is documented, and none is a deadlock");
}
check_outcome('through the functions');

# DDL by hand takes its locks in orders of its own. Where that is a deadlock, one of the statements by hand may be told, no function.
$node->safe_psql('postgres', 'TRUNCATE outcome');
churn('true', $seconds);
# Moved by hand, a table leaves its partitions behind, for DROP SCHEMA to take: then the partition is not found.
check_outcome('with DDL by hand', 'VC200');
is($node->safe_psql('postgres', q{SELECT op, sqlstate, min(message) FROM outcome WHERE op LIKE 'hand%'
	AND sqlstate NOT IN ('00000', '40P01', '2BP01', '23505', '42P07', '42P01', '3F000', '42P06') GROUP BY 1, 2}), '', 'DDL by hand meets the errors of DDL');
done_testing();
