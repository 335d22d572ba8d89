-- 54_load.sql: load and release. A loaded collection has every block in shared_buffers; load.c measures and moves them.
--
-- A load is asked for per table: the collection's, which covers its partitions, present and future, or that of a
-- partition. The request is a row; it counts only for the run of the server it was made in, since a restart empties
-- shared_buffers.

CREATE TABLE vectorcoll.load_state (
    relid        oid PRIMARY KEY,
    state        text NOT NULL CHECK (state IN ('Loading', 'Loaded', 'Failed')),
    server_start timestamptz NOT NULL,
    changed_at   timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    failure      text -- why the background worker gave up
);
COMMENT ON TABLE vectorcoll.load_state IS 'loads asked for and done; not dumped, and void after a restart';

CREATE FUNCTION vectorcoll._memory(relid oid, OUT total_bytes bigint, OUT resident_bytes bigint)
    AS 'MODULE_PATHNAME', 'vc_memory' LANGUAGE C STRICT;
CREATE FUNCTION vectorcoll._load_now(relid oid) RETURNS void AS 'MODULE_PATHNAME', 'vc_load_now' LANGUAGE C STRICT;
CREATE FUNCTION vectorcoll._release_blocks(relid oid) RETURNS bigint
    AS 'MODULE_PATHNAME', 'vc_release_blocks' LANGUAGE C STRICT;
CREATE FUNCTION vectorcoll._set_load_state(relid oid, state text) RETURNS void
    AS 'MODULE_PATHNAME', 'vc_set_load_state' LANGUAGE C;
CREATE FUNCTION vectorcoll._load_running(relid oid) RETURNS bool
    AS 'MODULE_PATHNAME', 'vc_load_running' LANGUAGE C STRICT;
CREATE FUNCTION vectorcoll._start_load_worker(relid oid) RETURNS bool
    AS 'MODULE_PATHNAME', 'vc_start_load_worker' LANGUAGE C STRICT;

-- The requests of this run of the server, for those who may use the table.
CREATE VIEW vectorcoll.loads WITH (security_barrier) AS
    SELECT l.relid, CASE WHEN l.state = 'Loading'
            AND l.changed_at < pg_catalog.clock_timestamp() - interval '10 seconds'
                              AND NOT vectorcoll._load_running(l.relid) THEN 'Failed' ELSE l.state END AS state,
                                      l.changed_at, l.failure
      FROM vectorcoll.load_state l
     WHERE l.server_start = pg_catalog.pg_postmaster_start_time() AND vectorcoll._visible(l.relid);
GRANT SELECT ON vectorcoll.loads TO PUBLIC;

-- For the model cache, which runs it as the registry's owner: all of the collection was loaded and not released.
CREATE FUNCTION vectorcoll._is_loaded(relid oid) RETURNS bool
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM vectorcoll.load_state l WHERE l.relid = $1 AND l.state = 'Loaded'
            AND l.server_start = pg_postmaster_start_time())
        OR (SELECT count(*) > 0 AND bool_and(EXISTS (SELECT FROM vectorcoll.load_state l WHERE l.relid = i.inhrelid
                AND l.state = 'Loaded'
                                                        AND l.server_start = pg_postmaster_start_time()))
              FROM pg_inherits i WHERE i.inhparent = $1)
$$;

-- NotLoad, Loading or Loaded, of a collection's table or a partition.
CREATE FUNCTION vectorcoll._load_state(relid oid) RETURNS text
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    WITH own AS (SELECT l.state FROM vectorcoll.loads l
                  WHERE l.relid = $1 OR l.relid = (SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = $1)),
         parts AS (SELECT i.inhrelid, (SELECT l.state FROM vectorcoll.loads l WHERE l.relid = i.inhrelid) AS state
                     FROM pg_inherits i WHERE i.inhparent = $1)
    SELECT CASE WHEN EXISTS (SELECT FROM own WHERE state = 'Loaded') THEN 'Loaded'
                WHEN EXISTS (SELECT FROM own WHERE state = 'Loading') OR vectorcoll._load_running($1)
                     OR EXISTS (SELECT FROM parts WHERE state = 'Loading' OR vectorcoll._load_running(inhrelid))
                             THEN 'Loading'
                WHEN EXISTS (SELECT FROM parts) AND NOT EXISTS (SELECT FROM parts WHERE state IS DISTINCT
                        FROM 'Loaded') THEN 'Loaded'
                ELSE 'NotLoad' END
$$;

-- Resident part of the blocks, 0 to 1; nothing to load counts as all of it.
CREATE FUNCTION vectorcoll._residency(relid oid) RETURNS float8
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE m.total_bytes WHEN 0 THEN 1 ELSE m.resident_bytes::float8 / m.total_bytes END
            FROM vectorcoll._memory(relid) m
$$;

-- Refused with VC906 when the blocks exceed the share of shared_buffers; the same test as the loader's, before
-- anything starts.
CREATE FUNCTION vectorcoll._check_fits(relids oid[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    total bigint;
    buffers bigint := pg_size_bytes(current_setting('shared_buffers'));
    share float8 := current_setting('vectorcoll.load_max_share')::float8;
BEGIN
    SELECT sum(m.total_bytes) INTO total FROM unnest(relids) r, vectorcoll._memory(r) m;
    IF total > share * buffers THEN
        PERFORM vectorcoll._raise('VC906', 'collection is too large to load',
            format('It has %s, and vectorcoll.load_max_share allows %s of the %s of shared_buffers.',
                    pg_size_pretty(total),
                   pg_size_pretty((share * buffers)::bigint), pg_size_pretty(buffers)),
            'Raise shared_buffers, or load some of its partitions.');
    END IF;
END $$;

-- Loads tables. wait: in this session, after any load of them that is under way; that is a lock, taken before any
-- table's, so that cancel, timeout and the deadlock detector know of it.
CREATE FUNCTION vectorcoll._load(relids oid[], wait bool) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    r oid;
BEGIN
    IF wait THEN
        PERFORM vectorcoll._lock('load', VARIADIC relids::text[]);
    END IF;
    PERFORM vectorcoll._check_fits(relids);
    FOREACH r IN ARRAY relids LOOP
        IF wait THEN
            PERFORM vectorcoll._load_now(r);
        ELSIF NOT vectorcoll._load_running(r) THEN
            IF NOT vectorcoll._start_load_worker(r) THEN
                PERFORM vectorcoll._raise('VC906', 'no background worker is free to load the collection',
                        'All max_worker_processes are taken.',
                                          'Pass wait => true to load in this session, or raise max_worker_processes.');
            END IF;
        END IF;
    END LOOP;
END $$;

-- Brings every block of a collection into shared_buffers. wait => false: a background worker does, once this
-- transaction commits.
CREATE FUNCTION vectorcoll.load_collection(name text, wait bool = false, timeout interval = NULL,
    namespace text = NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid := vectorcoll._resolve(name, namespace);
BEGIN
    PERFORM vectorcoll._require(wait, 'wait');
    FOR attempt IN 1 .. 10 LOOP
        BEGIN
            PERFORM vectorcoll._timeout_start(timeout, attempt);
            PERFORM vectorcoll._load(ARRAY[rel], wait);
            EXIT;
        EXCEPTION WHEN query_canceled OR deadlock_detected THEN
            IF NOT vectorcoll._again('load_collection', SQLSTATE, attempt) THEN
                RAISE;
            END IF;
        END;
    END LOOP;
END $$;

CREATE FUNCTION vectorcoll.load_partitions(name text, partition_names text[], wait bool = false,
    timeout interval = NULL, namespace text = NULL)
    RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid := vectorcoll._resolve(name, namespace);
    parts oid[];
BEGIN
    PERFORM vectorcoll._require(partition_names, 'partition_names'), vectorcoll._require(wait, 'wait');
    FOR attempt IN 1 .. 10 LOOP
        BEGIN
            PERFORM vectorcoll._timeout_start(timeout, attempt);
            SELECT array_agg(DISTINCT vectorcoll._partition(rel, p)) INTO parts FROM unnest(partition_names) p;
            PERFORM vectorcoll._load(coalesce(parts, '{}'), wait);
            EXIT;
        EXCEPTION WHEN query_canceled OR deadlock_detected THEN
            IF NOT vectorcoll._again('load_partitions', SQLSTATE, attempt) THEN
                RAISE;
            END IF;
        END;
    END LOOP;
END $$;

-- Brings back what other traffic has pushed out of a loaded collection, and what was added since.
CREATE FUNCTION vectorcoll.refresh_load(name text, wait bool = false, timeout interval = NULL,
    namespace text = NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid := vectorcoll._resolve(name, namespace);
BEGIN
    PERFORM vectorcoll._require(wait, 'wait');
    IF vectorcoll._load_state(rel) = 'NotLoad' THEN
        PERFORM vectorcoll._raise('VC101', format('collection "%s" is not loaded', vectorcoll._qualified(rel)),
                'There is no load to refresh.',
                                  'Call vectorcoll.load_collection.');
    END IF;
    FOR attempt IN 1 .. 10 LOOP
        BEGIN
            PERFORM vectorcoll._timeout_start(timeout, attempt);
            PERFORM vectorcoll._load(ARRAY[rel], wait);
            EXIT;
        EXCEPTION WHEN query_canceled OR deadlock_detected THEN
            IF NOT vectorcoll._again('refresh_load', SQLSTATE, attempt) THEN
                RAISE;
            END IF;
        END;
    END LOOP;
END $$;

-- Throws a collection's blocks out of shared_buffers, dirty ones written first. Returns the bytes that left.
CREATE FUNCTION vectorcoll.release_collection(name text, timeout interval = NULL, namespace text = NULL) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid;
    r oid;
    result bigint;
BEGIN
    FOR attempt IN 1 .. 10 LOOP
        BEGIN
            PERFORM vectorcoll._timeout_start(timeout, attempt);
            rel := vectorcoll._resolve(name, namespace);
            result := vectorcoll._release_blocks(rel);
            FOR r IN SELECT l.relid FROM vectorcoll.loads l WHERE l.relid = rel OR l.relid IN (SELECT i.inhrelid
                    FROM pg_inherits i WHERE i.inhparent = rel)
                      ORDER BY 1 LOOP
                PERFORM vectorcoll._set_load_state(r, NULL);
            END LOOP;
            EXIT;
        EXCEPTION WHEN query_canceled OR deadlock_detected THEN
            IF NOT vectorcoll._again('release_collection', SQLSTATE, attempt) THEN
                RAISE;
            END IF;
        END;
    END LOOP;
    RETURN result;
END $$;

CREATE FUNCTION vectorcoll.release_partitions(name text, partition_names text[], timeout interval = NULL,
    namespace text = NULL) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid := vectorcoll._resolve(name, namespace);
    parts oid[];
    r oid;
    result bigint;
BEGIN
    PERFORM vectorcoll._require(partition_names, 'partition_names');
    FOR attempt IN 1 .. 10 LOOP
        BEGIN
            PERFORM vectorcoll._timeout_start(timeout, attempt);
            result := 0;
            SELECT array_agg(DISTINCT vectorcoll._partition(rel, p)) INTO parts FROM unnest(partition_names) p;
            -- A load of the whole collection becomes one of its other partitions.
            IF EXISTS (SELECT FROM vectorcoll.loads l WHERE l.relid = rel AND rel <> ALL (parts)) THEN
                FOR r IN SELECT p.partition_relid FROM vectorcoll._partitions(rel) p
                        WHERE p.partition_relid <> ALL (parts) ORDER BY 1 LOOP
                    PERFORM vectorcoll._set_load_state(r, 'Loaded');
                END LOOP;
                PERFORM vectorcoll._set_load_state(rel, NULL);
            END IF;
            FOREACH r IN ARRAY coalesce(parts, '{}') LOOP
                result := result + vectorcoll._release_blocks(r);
                PERFORM vectorcoll._set_load_state(r, NULL);
            END LOOP;
            EXIT;
        EXCEPTION WHEN query_canceled OR deadlock_detected THEN
            IF NOT vectorcoll._again('release_partitions', SQLSTATE, attempt) THEN
                RAISE;
            END IF;
        END;
    END LOOP;
    RETURN result;
END $$;

-- NotExist, NotLoad, Loading or Loaded.
CREATE FUNCTION vectorcoll.get_load_state(name text, partition_name text = NULL, namespace text = NULL) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid := vectorcoll._resolve(name, namespace, true, true);
BEGIN
    IF rel IS NULL THEN
        RETURN 'NotExist';
    END IF;
    RETURN vectorcoll._load_state(CASE WHEN partition_name IS NULL THEN rel ELSE vectorcoll._partition(rel,
            partition_name) END);
END $$;

-- Measured now: per cent of the blocks that are in shared_buffers, and the bytes behind it.
CREATE FUNCTION vectorcoll.get_load_progress(name text, partition_name text = NULL, namespace text = NULL,
                                             OUT progress float8, OUT resident_bytes bigint, OUT total_bytes bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid := vectorcoll._resolve_read(name, namespace);
BEGIN
    IF partition_name IS NOT NULL THEN
        rel := vectorcoll._partition(rel, partition_name);
    END IF;
    SELECT CASE m.total_bytes WHEN 0 THEN 100 ELSE 100.0 * m.resident_bytes / m.total_bytes END, m.resident_bytes,
            m.total_bytes
      INTO progress, resident_bytes, total_bytes FROM vectorcoll._memory(rel) m;
END $$;
