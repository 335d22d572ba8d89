# On a standby collections are read as on the primary: found, described, searched by alias; what was changed there is seen here, and a load
# of the primary's memory is not taken for one of ours.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', "wal_keep_size = 1GB\n");
$primary->start;
$primary->safe_psql('postgres', <<'END');
CREATE EXTENSION vectorcoll;
SELECT vectorcoll.create_collection('docs', 3), vectorcoll.create_collection('next', 5);
INSERT INTO docs SELECT i, ARRAY[i, 1, 1]::real[] FROM generate_series(1, 100) i;
INSERT INTO next VALUES (7, '[1,2,3,4,5]');
SELECT vectorcoll.create_index('docs', 'vector', 'HNSW', 'L2'), vectorcoll.create_alias('docs', 'live');
SELECT vectorcoll.load_collection('docs', wait => true);
END
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);

is($standby->safe_psql('postgres', $_), $primary->safe_psql('postgres', $_), $_)
	for q{SELECT vectorcoll.describe_collection('docs')}, q{SELECT * FROM vectorcoll.list_collections()}, q{SELECT * FROM vectorcoll.list_aliases()},
	q{SELECT id FROM vectorcoll.search('live', '[50.1,1,1]', top_k => 3)}, q{SELECT vectorcoll.get_collection_stats('docs')};
is($primary->safe_psql('postgres', q{SELECT vectorcoll.get_load_state('docs')}), 'Loaded', 'loaded on the primary');
is($standby->safe_psql('postgres', q{SELECT vectorcoll.get_load_state('docs')}), 'NotLoad', 'not here');
like(($standby->psql('postgres', "\\set VERBOSITY sqlstate\nSELECT vectorcoll.drop_collection('docs')"))[2], qr/25006/, 'and nothing is changed here');

# One session stays, so that it is the server's invalidations that tell it of the move.
my $session = $standby->background_psql('postgres');
is($session->query(q{SELECT count(*) FROM vectorcoll.search('live', '[1,1,1]', top_k => 5)}), 5, 'a session searches');
$primary->safe_psql('postgres', q{SELECT vectorcoll.alter_alias('next', 'live'); SELECT vectorcoll.rename_collection('docs', 'old')});
$primary->wait_for_catchup($standby);
is($session->query(q{SELECT id FROM vectorcoll.search('live', '[1,2,3,4,5]')}), 7, 'and follows the alias');
is($session->query(q{SELECT vectorcoll.has_collection('docs'), vectorcoll.has_collection('old')}), 'f|t', 'and the name');
$session->quit;
done_testing();
