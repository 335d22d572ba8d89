# Load and release are real: residency is what pg_buffercache sees, nothing is lost by a release, a restart forgets. And loaders:
# a killed one's lease is taken over, a stale one cannot write, rivals load once, and events of failed transactions arrive.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use IPC::Run;
use Time::HiRes qw(usleep);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "shared_buffers = 64MB\nautovacuum = off");
$node->start;

sub sql { return $node->safe_psql('postgres', shift); }

# The SQLSTATE a statement fails with, or 00000.
sub sqlstate
{
	my ($statement, $setting) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY sqlstate\n" . ($setting || '') . ";\n$statement");
	return $err =~ /ERROR:\s+(\w{5})/ ? $1 : $err eq '' ? '00000' : $err;
}

sql(<<'END');
CREATE EXTENSION vectorcoll;
SELECT vectorcoll.create_collection('docs', 200);
INSERT INTO docs SELECT i, (SELECT array_agg(i + j) FROM generate_series(1, 200) j)::real[], jsonb_build_object('long', repeat(md5(i::text), 200))
    FROM generate_series(1, 3000) i;
SELECT vectorcoll.create_index('docs', 'vector', 'HNSW', 'L2');
SELECT vectorcoll.create_collection('parts', 3);
SELECT vectorcoll.create_partition('parts', 'hot');
INSERT INTO parts (id, vector, "$partition") SELECT i, '[1,2,3]', CASE WHEN i % 2 = 0 THEN 'hot' ELSE '_default' END FROM generate_series(1, 5000) i;
END

# ---- residency, by the server's own account ----

my $has_buffercache = $node->psql('postgres', 'CREATE EXTENSION pg_buffercache') == 0;
my $independent = q{SELECT count(*) * 8192 FROM pg_buffercache b JOIN pg_class c ON b.relfilenode = pg_relation_filenode(c.oid)
	WHERE b.reldatabase = (SELECT oid FROM pg_database WHERE datname = current_database()) AND b.relforknumber = 0 AND c.oid IN (
		SELECT 'docs'::regclass::oid UNION SELECT indexrelid FROM pg_index WHERE indrelid = 'docs'::regclass
		UNION SELECT reltoastrelid FROM pg_class WHERE oid = 'docs'::regclass
		UNION SELECT indexrelid FROM pg_index WHERE indrelid = (SELECT reltoastrelid FROM pg_class WHERE oid = 'docs'::regclass))};
my $progress = q{SELECT progress, resident_bytes = total_bytes, resident_bytes FROM vectorcoll.get_load_progress('docs')};

sub agrees
{
	my ($what) = @_;
  SKIP: {
		skip 'no pg_buffercache', 1 unless $has_buffercache;
		is(sql($independent), sql(q{SELECT resident_bytes FROM vectorcoll.get_load_progress('docs')}), "$what: pg_buffercache counts the same");
	}
}

$node->restart;
is(sql(q{SELECT vectorcoll.get_load_state('docs'), vectorcoll.get_load_state('nope')}), 'NotLoad|NotExist', 'states before');
agrees('after a restart');
sql(q{SELECT vectorcoll.load_collection('docs', wait => true)});
like(sql($progress), qr/^100\|t\|[1-9]/, 'every block is resident after load');
agrees('after load');
is(sql(q{SELECT vectorcoll.get_load_state('docs')}), 'Loaded', 'Loaded');
is(sqlstate(q{SELECT vectorcoll.drop_collection('docs')}), 'VC903', 'a loaded collection is not dropped');
my $bytes = sql(q{SELECT resident_bytes FROM vectorcoll.get_load_progress('docs')});
sql(q{UPDATE docs SET "$meta" = '{}' WHERE id <= 100}); # dirty buffers
my $before = sql(q{SELECT count(*), sum(id), md5(string_agg(vector::text, ',' ORDER BY id)) FROM docs});
cmp_ok(sql(q{SELECT vectorcoll.release_collection('docs')}), '>=', $bytes, 'release tells the bytes');
like(sql($progress), qr/^0\|f\|0$/, 'no block is resident after release');
agrees('after release');
is(sql(q{SELECT vectorcoll.get_load_state('docs')}), 'NotLoad', 'NotLoad');
$node->stop('immediate');
$node->start;
is(sql(q{SELECT count(*), sum(id), md5(string_agg(vector::text, ',' ORDER BY id)) FROM docs}), $before, 'a release and a crash lose nothing');

# ---- in the background ----

sql(q{SELECT vectorcoll.load_collection('docs')});
ok($node->poll_query_until('postgres', q{SELECT vectorcoll.get_load_state('docs') = 'Loaded'}), 'a worker loads');
like(sql($progress), qr/^100\|t/, 'all of it');
$node->restart;
is(sql(q{SELECT vectorcoll.get_load_state('docs')}), 'NotLoad', 'a restart forgets');
is(sqlstate(q{SELECT vectorcoll.refresh_load('docs')}), 'VC101', 'nothing to refresh');
is(sqlstate(q{SELECT * FROM vectorcoll.search('docs', array_fill(1::real, ARRAY[200])::vector)}, 'SET vectorcoll.require_loaded = on'), 'VC101', 'require_loaded');
sql(q{SELECT vectorcoll.load_collection('docs', wait => true)});
is(sqlstate(q{SELECT * FROM vectorcoll.search('docs', array_fill(1::real, ARRAY[200])::vector)}, 'SET vectorcoll.require_loaded = on'), '00000', 'loaded');
sql(q{SELECT vectorcoll.release_collection('docs')});
is(sqlstate(q{SELECT vectorcoll.load_collection('docs')}, 'SET vectorcoll.load_max_share = 0.01'), 'VC906', 'too large is refused');
like(($node->psql('postgres', q{SET vectorcoll.load_max_share = 0.01; SELECT vectorcoll.load_collection('docs', wait => true)}))[2],
	qr/of the 64 MB of shared_buffers/, 'with the sizes');

# A worker that cannot load says why; one that is asked for in a transaction which is rolled back never starts.
sql(q{SELECT vectorcoll.create_collection('grown', 2000); BEGIN; SELECT vectorcoll.load_collection('grown');
	INSERT INTO grown SELECT i, array_fill(i::real, ARRAY[2000]) FROM generate_series(1, 8000) i; COMMIT});
ok($node->poll_query_until('postgres', q{SELECT state = 'Failed' FROM vectorcoll.loads WHERE relid = 'grown'::regclass}), 'a load that outgrew its memory while it waited for the commit fails');
like(sql(q{SELECT failure FROM vectorcoll.loads WHERE relid = 'grown'::regclass}), qr/too large to load/, 'with the reason');
is(sql(q{SELECT vectorcoll.get_load_state('grown')}), 'NotLoad', 'and is no load');
sql(q{TRUNCATE grown; SELECT vectorcoll.load_collection('grown', wait => true)});
is(sql(q{SELECT vectorcoll.get_load_state('grown')}), 'Loaded', 'smaller again, it loads');
sql(q{SELECT vectorcoll.release_collection('grown'); BEGIN; SELECT vectorcoll.load_collection('grown'); ROLLBACK});
is(sql(q{SELECT vectorcoll.get_load_state('grown'), pg_sleep(1)}) . sql(q{SELECT vectorcoll.get_load_state('grown')}), 'NotLoad|NotLoad', 'a load that was rolled back');

# ---- an index being built ----

sql(q{SELECT vectorcoll.create_collection('big', 100); INSERT INTO big SELECT i, (SELECT array_agg(random()) FROM generate_series(1, 100)
	WHERE i > 0)::real[] FROM generate_series(1, 15000) i});
my ($in, $out, $err) = ('', '', '');
my $builder = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', q{SELECT vectorcoll.create_index('big', 'vector', 'HNSW', 'L2')} ],
	'<', \$in, '>', \$out, '2>', \$err);
ok( $node->poll_query_until('postgres', q{SELECT state = 'InProgress' AND percent BETWEEN 0 AND 100 AND (vectorcoll.collection_status('big')).status = 'yellow'
	FROM vectorcoll.get_index_state('big', 'vector')}), 'an index build is told while it lasts');
$builder->finish;
is(sql(q{SELECT state FROM vectorcoll.get_index_state('big', 'vector')}), 'Finished', 'and when it is done');

# ---- partitions ----

sql(q{SELECT vectorcoll.load_partitions('parts', '{hot}', wait => true)});
is(sql(q{SELECT vectorcoll.get_load_state('parts', 'hot'), vectorcoll.get_load_state('parts', '_default'), vectorcoll.get_load_state('parts')}),
	'Loaded|NotLoad|NotLoad', 'a partition loads by itself');
is(sqlstate(q{SELECT vectorcoll.drop_partition('parts', 'hot')}), 'VC903', 'a loaded partition is not dropped');
sql(q{SELECT vectorcoll.load_collection('parts', wait => true)});
is(sql(q{SELECT vectorcoll.get_load_state('parts', '_default'), vectorcoll.get_load_state('parts')}), 'Loaded|Loaded', 'the collection loads its partitions');
cmp_ok(sql(q{SELECT vectorcoll.release_partitions('parts', '{_default}')}), '>', 0, 'a partition is released');
is( sql(q{SELECT vectorcoll.get_load_state('parts', 'hot'), vectorcoll.get_load_state('parts', '_default'), vectorcoll.get_load_state('parts')}),
	'Loaded|NotLoad|NotLoad', 'the others stay');
is(sql(q{SELECT resident_bytes FROM vectorcoll.get_load_progress('parts', '_default')}), 0, 'its blocks are gone');

# ---- timeout ----

my $holder = $node->background_psql('postgres', on_error_stop => 0);
$holder->query('BEGIN; LOCK TABLE docs');
is(sqlstate(q{SELECT vectorcoll.load_collection('docs', wait => true, timeout => '200 ms')}), 'VC905', 'load times out');
is(sqlstate(q{SELECT vectorcoll.drop_collection('docs', timeout => '200 ms')}), 'VC905', 'drop times out');
is(sqlstate(q{SELECT vectorcoll.drop_collection('docs')}, q{SET lock_timeout = '200 ms'}), '55P03', 'lock_timeout keeps its code');
$holder->query('ROLLBACK');
is(sql(q{SELECT vectorcoll.get_load_state('docs'), count(*) FROM docs}), 'NotLoad|3000', 'and nothing was done');

# ---- loaders ----

sql(<<'END');
SELECT vectorcoll.create_collection('cache', 2);
CREATE FUNCTION source() RETURNS SETOF jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('id', i, 'vector', '[1,2]') FROM generate_series(1, 100) i $$;
CREATE FUNCTION slow_source() RETURNS SETOF jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('id', 1, 'vector', '[1,2]') FROM pg_sleep(60) $$;
END
$holder->query(q{LISTEN vectorcoll_events});
my $idle = q{SELECT count(*) = 0 FROM vectorcoll.leases};
my $expired = q{SELECT expires_at < clock_timestamp() FROM vectorcoll.leases};
($in, $out, $err) = ('', '', '');
my $loader = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', q{SELECT vectorcoll.upsert_or_load('cache', '{"id": 1}', 'slow_source')} ],
	'<', \$in, '>', \$out, '2>', \$err);
ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'}), 'a slow load is under way');
is(sql(q{SELECT collection, holder ~ '^upsert_or_load \d+$', expires_at - acquired_at = '5 minutes' FROM vectorcoll.leases}), 'cache|t|t',
	'its lease is seen at once, for five minutes');
is( sql(q{SELECT vectorcoll.upsert_or_load('cache', '{"id": 1}', 'source'); SELECT vectorcoll.upsert_or_load('cache', '{"id": 1}', 'source')}),
	"skipped\nskipped", 'rivals skip');
is( sql(q{SELECT string_agg(event, ' ' ORDER BY at, id) FROM vectorcoll.events WHERE committed}),
	'UPSERT_OR_LOAD__START DISTRIBUTED_LOCK_DETECTED UPSERT_OR_LOAD__START UPSERT_OR_LOAD__LOCAL_LOAD_IN_PROGRESS',
	'the second time without asking');
my $patient = $node->background_psql('postgres', on_error_stop => 0);
my $one = q{SELECT vectorcoll.upsert_or_load('cache', '{"id": 7, "vector": "[9,9]"}', 'source')};
is($patient->query($one), 'skipped', 'a rival that stays skips');
my $skipped_at = time;
is(sqlstate(q{SELECT vectorcoll.load_records('cache', 'source')}), 'VC902', 'load_records says who holds it');
is(sqlstate(q{SELECT vectorcoll.drop_collection('cache', safe => false)}), 'VC902', 'so does a drop');
sql(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'});
$loader->finish;
ok( $node->poll_query_until('postgres', q{SELECT string_agg(event, ' ' ORDER BY at, id) =
	'UPSERT_OR_LOAD__START UPSERT_OR_LOAD__LOAD__SUBSCRIBED LOAD_RECORDS__START_EMBEDDING' FROM vectorcoll.events
	WHERE NOT committed AND event NOT IN ('LOAD_RECORDS__START', 'LOAD_RECORDS__ENDED') AND event NOT LIKE '%LOCK_FAILED%'}), 'events of the killed loader are there');
ok($node->poll_query_until('postgres', $idle), 'its lease is given up');
is(sql(q{SELECT vectorcoll.upsert_or_load('cache', '{"id": 1}', 'source')}), 'loaded', 'and free');
is(sql($idle), 't', 'a load that commits gives its lease up');
is(sql(q{SELECT vectorcoll.upsert_or_load('cache', '{"id": 7, "vector": "[9,9]"}', 'source'), count(*) FROM cache}), 'upserted|100', 'then single upserts');
# A listener is told after the commit that others see, so it may have to ask more than once.
my $heard = '';
sub hears
{
	my ($pattern, $what) = @_;
	for (1 .. 600)
	{
		$heard .= $holder->query('SELECT 1');
		last if $heard =~ $pattern;
		usleep(100_000);
	}
	like($heard, $pattern, $what);
}
hears(qr/"vectorcoll_events" with payload .*"event": "UPSERT_OR_LOAD__LOAD__SUCCEEDED", .*"committed": true/, 'LISTEN heard of it');
hears(qr/"event": "UPSERT_OR_LOAD__LOAD__SUBSCRIBED", .*"committed": false/, 'and of the loader that was killed');
$node->psql('postgres', q{SELECT vectorcoll.upsert_or_load('cache', '{"id": 7, "vector": "[9]"}', 'source')});
hears(qr/"event": "UPSERT_OR_LOAD__UPSERT__FAILED", .*"committed": false/, 'and of what is refused');
$holder->quit;
SKIP: {
	skip 'too slow a machine', 1 if time - $skipped_at > 7;
	is($patient->query($one), 'skipped', 'who has skipped does so for ten seconds, though the lease is free');
}
sleep(11 - (time - $skipped_at)) if time - $skipped_at < 11;
is($patient->query($one), 'upserted', 'and no longer');
$patient->quit;

# A lease across transactions: it expires, is taken over, and the old holder cannot write.
my $token = sql(q{SELECT vectorcoll.acquire_lease('cache', 'first')});
is(sqlstate(q{SELECT vectorcoll.acquire_lease('cache', 'second')}), 'VC902', 'held');
sql(qq{SELECT vectorcoll.renew_lease('cache', $token, '100 ms')});
$node->poll_query_until('postgres', $expired);
my $next = sql(q{SELECT vectorcoll.acquire_lease('cache', 'second')});
cmp_ok($next, '>', $token, 'taken over when it expired');
is(sqlstate(qq{SELECT vectorcoll.rebuild_collection('cache', 'source', token => $token)}), 'VC902', 'the old token does not write');
is(sqlstate(qq{SELECT vectorcoll.renew_lease('cache', $token)}), 'VC902', 'nor renew');
is(sql(q{SELECT count(*) FROM cache WHERE vector = '[9,9]'}), 1, 'nothing changed');
is(sql(qq{SELECT vectorcoll.rebuild_collection('cache', 'source', token => $next)->>'loaded'}), 100, 'the new one does');
sql(qq{SELECT vectorcoll.release_lease('cache', $next)});

# A lease taken in a transaction expires however long that goes on. Whoever comes next waits for the rows of the stale holder,
# whose commit fails.
sql(q{SELECT vectorcoll.create_collection('slow_cache', 2)});
my $stale = $node->background_psql('postgres', on_error_stop => 0);
$stale->query(q{\set VERBOSITY sqlstate});
$stale->query(q{SET vectorcoll.lease_time = '5s'; BEGIN; SELECT vectorcoll.load_records('slow_cache', 'source')});
is(sqlstate(q{SELECT vectorcoll.acquire_lease('slow_cache')}), 'VC902', 'held by a transaction that goes on');
is(sqlstate(q{SELECT vectorcoll.drop_collection('slow_cache', timeout => '1 s')}), 'VC902', 'nor can it be dropped');
$node->poll_query_until('postgres', $expired);
$token = sql(q{SELECT vectorcoll.acquire_lease('slow_cache', 'next')});
is($token, 2, 'taken over from a transaction that goes on');
$stale->query(q{COMMIT});
like($stale->{stderr}, qr/VC902/, 'whose commit fails');
is(sql(q{SELECT count(*) FROM slow_cache}), 0, 'so it wrote nothing');
is(sql(qq{SELECT vectorcoll.load_records('slow_cache', 'source', token => $token)->>'loaded'}), 100, 'the next holder loads');
is(sql(q{SELECT holder FROM vectorcoll.leases}), 'next', 'and keeps a lease that it took before');
$stale->{stderr} = '';
$stale->query(qq{BEGIN; SELECT vectorcoll.rebuild_collection('slow_cache', 'source', token => $token)});
$node->poll_query_until('postgres', $expired); # the use renewed it for five seconds
sql(q{SELECT vectorcoll.acquire_lease('slow_cache', 'third')});
$stale->query(q{COMMIT});
like($stale->{stderr}, qr/VC902/, 'a token used in time and lost before the commit');
sql(q{SELECT vectorcoll.release_lease('slow_cache', token) FROM vectorcoll.leases});

# A rollback gives the lease up, of a subtransaction too; a release waits for the commit of what was loaded under it.
sql(q{BEGIN; SELECT vectorcoll.acquire_lease('slow_cache'); ROLLBACK; BEGIN; SAVEPOINT s; SELECT vectorcoll.rebuild_collection('slow_cache', 'source');
	ROLLBACK TO s; COMMIT});
ok($node->poll_query_until('postgres', $idle), 'rollbacks give leases up');
$stale->{stderr} = '';
$stale->query(q{BEGIN; SELECT vectorcoll.acquire_lease('slow_cache') AS token});
$stale->query(q{COMMIT});
$token = sql(q{SELECT token FROM vectorcoll.leases});
$stale->query(qq{BEGIN; SELECT vectorcoll.load_records('slow_cache', 'source', token => $token), vectorcoll.release_lease('slow_cache', $token)});
is(sqlstate(q{SELECT vectorcoll.acquire_lease('slow_cache')}), 'VC902', 'released, but not committed');
$stale->query(q{COMMIT});
unlike($stale->{stderr}, qr/ERROR/, 'no error');
is(sql($idle), 't', 'committed and released');
is(sql(q{BEGIN; SELECT 1 FROM vectorcoll.load_records('slow_cache', 'source'); SELECT vectorcoll.drop_collection('slow_cache', safe => false); COMMIT;
	SELECT count(*) FROM vectorcoll.lease l WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = l.relid)}), "1\n\n0", 'its own drop is no obstacle');
$node->psql('postgres', q{BEGIN; SELECT vectorcoll.create_collection('never', 2); SELECT vectorcoll.load_records('never', 'source'); ROLLBACK});
ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM vectorcoll.lease l WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = l.relid)}),
	'no lease is left of a table that never was');
is( sqlstate(q{BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT count(*) FROM cache; SELECT vectorcoll.rebuild_collection('cache', 'source'); COMMIT}), '00000',
	'a load in a serializable transaction');

# A load that takes longer than the lease renews it.
sql(q{SELECT vectorcoll.create_collection('long', 2); CREATE FUNCTION long_source() RETURNS SETOF jsonb LANGUAGE sql AS
	$$ SELECT jsonb_build_object('id', i, 'vector', '[1,2]') FROM generate_series(1, 6000) i WHERE pg_sleep(0.0005) IS NOT NULL $$});
($in, $out, $err) = ('', '', '');
$loader = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', q{SET vectorcoll.lease_time = '2s'},
	'-c', q{SELECT vectorcoll.load_records('long', 'long_source')->>'loaded'} ], '<', \$in, '>', \$out, '2>', \$err);
ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM vectorcoll.leases WHERE expires_at > acquired_at + interval '2.5 s'}), 'renewed');
is(sqlstate(q{SELECT vectorcoll.load_records('long', 'source')}), 'VC902', 'and still held');
$loader->finish;
is($out . $err, "6000\n", 'all loaded');

# A server that crashes under a load: the lease stays until it expires.
$stale->query(q{SET vectorcoll.lease_time = '20s'; BEGIN; SELECT vectorcoll.load_records('long', 'source')});
$node->stop('immediate');
$node->start;
is(sqlstate(q{SELECT vectorcoll.acquire_lease('long')}), 'VC902', 'the lease of a crashed holder is not free before it expires');
ok($node->poll_query_until('postgres', $expired), 'it expires');
is(sqlstate(q{SELECT vectorcoll.load_records('long', 'source', if_empty => true)}), '00000', 'and is taken over');

# Rivals on an empty collection, all at once: one loads.
sql(q{SELECT vectorcoll.truncate_collection('cache')});
my @rivals = map {
	my ($i, $o, $e) = ('', '', '');
	[ IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c',
		q{SELECT vectorcoll.upsert_or_load('cache', '{"id": 500, "vector": "[1,1]"}', 'source')} ], '<', \$i, '>', \$o, '2>', \$e), \$o, \$e ]
} 1 .. 8;
$_->[0]->finish for @rivals;
is(join('', map { ${ $_->[2] } } @rivals), '', 'no rival failed');
is(scalar(grep { ${ $_->[1] } eq "loaded\n" } @rivals), 1, 'one of them loaded');

# A transaction that fails is told of, however it fails.
my $marker = sql('SELECT coalesce(max(id), 0) FROM vectorcoll.events');
$node->psql('postgres', q{BEGIN; SELECT vectorcoll.upsert_or_load('cache', '{"id": 3, "vector": "[1,1]"}', 'source'); SELECT 1/0;});
ok( $node->poll_query_until('postgres', qq{SELECT string_agg(event, ' ' ORDER BY at, id) = 'UPSERT_OR_LOAD__START UPSERT_OR_LOAD__UPSERT__SUBSCRIBED '
	'UPSERT_OR_LOAD__UPSERT__SUCCEEDED UPSERT_OR_LOAD__UPSERT__ENDED' FROM vectorcoll.events WHERE id > $marker AND NOT committed}), 'events of a rolled back upsert');
$node->psql('postgres', q{SELECT vectorcoll.upsert_or_load('cache', '{"id": 3, "vector": "[1]"}', 'source')});
ok( $node->poll_query_until('postgres', qq{SELECT count(*) = 1 FROM vectorcoll.events WHERE id > $marker AND event = 'UPSERT_OR_LOAD__UPSERT__FAILED'
	AND NOT committed AND details ? 'sqlstate'}), 'and of a refused one');

# Lease after lease taken and given up: a worker that leaves makes no room for two at once, which would carry out the same orders.
sql(q{SELECT vectorcoll.create_collection('often' || i, 2) FROM generate_series(1, 4) i;
	CREATE FUNCTION take_often(name text) RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
		FOR i IN 1 .. 300 LOOP
			BEGIN
				PERFORM vectorcoll.acquire_lease(name);
				RAISE 'given up';
			EXCEPTION WHEN raise_exception THEN NULL;
			WHEN SQLSTATE 'VC902' THEN RETURN 'held at turn ' || i;
			END;
		END LOOP;
		RETURN 'never held';
	END $$});
my @often = map {
	my ($i, $o, $e) = ('', '', '');
	[ IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', "SELECT take_often('often$_')" ], '<', \$i, '>', \$o, '2>', \$e), \$o, \$e ]
} 1 .. 4;
$_->[0]->finish for @often;
is(join('', map { ${ $_->[1] } . ${ $_->[2] } } @often), "never held\n" x 4, 'a lease that is given up is free for the next');
my $no_workers = q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type LIKE 'vectorcoll%'};
ok($node->poll_query_until('postgres', $no_workers), 'workers leave');

# Where no worker is free at a rollback, the session's next transaction hands over what the outbox holds.
$node->append_conf('postgresql.conf', 'max_worker_processes = 2'); # the server's launcher takes one
$node->restart;
my $keeper = $node->background_psql('postgres');
my $hog = $node->background_psql('postgres');
$keeper->query(q{BEGIN; SELECT vectorcoll.acquire_lease('cache')});
$node->poll_query_until('postgres', $no_workers);
$hog->query(q{BEGIN; SELECT vectorcoll.load_collection('docs')});
$keeper->query('ROLLBACK');
is(sql($idle), 'f', 'a lease given up where no worker is free');
$hog->query('ROLLBACK');
$node->poll_query_until('postgres', $no_workers);
for (1 .. 300)
{
	$keeper->query('SELECT 1');
	last if sql($idle) eq 't';
	usleep(100_000);
}
is(sql($idle), 't', 'is written down after the next transaction that finds one');
$hog->quit;
$keeper->quit;
done_testing();
