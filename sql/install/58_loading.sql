-- 58_loading.sql: collections as a cache of data that lives elsewhere. Leases say who loads; lease.c tells how they
-- are kept.

CREATE TABLE vectorcoll.lease (
    relid       oid PRIMARY KEY,
    holder      text,             -- null: released
    token       bigint NOT NULL,  -- rises with every holder
    acquired_at timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL
);
COMMENT ON TABLE vectorcoll.lease IS 'who may load a collection; not dumped';

CREATE VIEW vectorcoll.leases WITH (security_barrier) AS
    SELECT l.relid, n.nspname AS namespace, c.relname AS collection, l.holder, l.token, l.acquired_at, l.expires_at
      FROM vectorcoll.lease l JOIN pg_catalog.pg_class c ON c.oid = l.relid
              JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE l.holder IS NOT NULL AND vectorcoll._visible(l.relid);
GRANT SELECT ON vectorcoll.leases TO PUBLIC;

CREATE FUNCTION vectorcoll._lease_acquire(relid oid, holder text, ttl interval, for_load bool) RETURNS bigint
    AS 'MODULE_PATHNAME', 'vc_lease_acquire' LANGUAGE C STRICT;
CREATE FUNCTION vectorcoll._lease_use(relid oid, token bigint, ttl interval) RETURNS bool
    AS 'MODULE_PATHNAME', 'vc_lease_use' LANGUAGE C STRICT;
CREATE FUNCTION vectorcoll._lease_keep(relid oid) RETURNS void
    AS 'MODULE_PATHNAME', 'vc_lease_keep' LANGUAGE C STRICT;
CREATE FUNCTION vectorcoll._lease_block(relid oid) RETURNS bool
    AS 'MODULE_PATHNAME', 'vc_lease_block' LANGUAGE C STRICT;
CREATE FUNCTION vectorcoll._lease_renew(relid oid, token bigint, ttl interval) RETURNS bool
    AS 'MODULE_PATHNAME', 'vc_lease_renew' LANGUAGE C STRICT;
CREATE FUNCTION vectorcoll._lease_release(relid oid, token bigint) RETURNS bool
    AS 'MODULE_PATHNAME', 'vc_lease_release' LANGUAGE C STRICT;
CREATE FUNCTION vectorcoll._local_flag(relid oid) RETURNS bool AS 'MODULE_PATHNAME', 'vc_local_flag' LANGUAGE C STRICT;
CREATE FUNCTION vectorcoll._set_local_flag(relid oid, seconds int) RETURNS void
    AS 'MODULE_PATHNAME', 'vc_set_local_flag' LANGUAGE C;
CREATE FUNCTION vectorcoll._call_loader(relid oid, loader regproc, path text) RETURNS SETOF jsonb
    AS 'MODULE_PATHNAME', 'vc_call_loader' LANGUAGE C;
CREATE FUNCTION vectorcoll._caller_path() RETURNS text AS 'MODULE_PATHNAME', 'vc_caller_path' LANGUAGE C;

CREATE FUNCTION vectorcoll._lease_time() RETURNS interval
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT current_setting('vectorcoll.lease_time')::interval
$$;

CREATE FUNCTION vectorcoll._lease_held(relid oid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM vectorcoll._raise('VC902', format('lease of collection "%s" is held elsewhere',
            vectorcoll._qualified(relid)),
        coalesce((SELECT format('Holder is %s since %s, until %s.', l.holder, l.acquired_at,
                l.expires_at) FROM vectorcoll.leases l WHERE l.relid = _lease_held.relid),
                 'A transaction in progress holds it.'),
        'Wait until it is released or expires; vectorcoll.leases shows it.');
END $$;

-- Takes lease and local flag for the rest of the transaction, or raises VC902. For what deletes a collection.
CREATE FUNCTION vectorcoll._take_lease(relid oid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT vectorcoll._lease_block(relid) THEN
        PERFORM vectorcoll._lease_held(relid);
    END IF;
    PERFORM vectorcoll._set_local_flag(relid, NULL);
END $$;

-- How long a lease is asked for.
CREATE FUNCTION vectorcoll._ttl(ttl interval) RETURNS interval
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF ttl <= interval '0' THEN
        PERFORM vectorcoll._raise('VC110', 'ttl must be positive', format('Got %s.', ttl),
                'Leave it null for vectorcoll.lease_time.');
    END IF;
    RETURN coalesce(ttl, vectorcoll._lease_time());
END $$;

-- Takes the lease of a collection across transactions, for a loader that works in several. Others see it at once; a
-- rollback gives it up. Returns its token.
CREATE FUNCTION vectorcoll.acquire_lease(name text, holder text = NULL, ttl interval = NULL,
    namespace text = NULL) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid := vectorcoll._resolve(name, namespace);
    token bigint;
BEGIN
    ttl := vectorcoll._ttl(ttl);
    token := vectorcoll._lease_acquire(rel, coalesce(holder, 'session ' || pg_backend_pid()), ttl,
            false);
    IF token IS NULL THEN
        PERFORM vectorcoll._lease_held(rel);
    END IF;
    RETURN token;
END $$;

CREATE FUNCTION vectorcoll.renew_lease(name text, token bigint, ttl interval = NULL, namespace text = NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid := vectorcoll._resolve(name, namespace);
BEGIN
    PERFORM vectorcoll._require(token, 'token');
    IF NOT vectorcoll._lease_renew(rel, token, vectorcoll._ttl(ttl)) THEN
        PERFORM vectorcoll._lost_lease(rel, token);
    END IF;
END $$;

CREATE FUNCTION vectorcoll.release_lease(name text, token bigint, namespace text = NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid := vectorcoll._resolve(name, namespace);
BEGIN
    PERFORM vectorcoll._require(token, 'token');
    IF NOT vectorcoll._lease_release(rel, token) THEN
        PERFORM vectorcoll._lost_lease(rel, token);
    END IF;
END $$;

CREATE FUNCTION vectorcoll._lost_lease(relid oid, token bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM vectorcoll._raise('VC902', format('lease of collection "%s" was lost', vectorcoll._qualified(relid)),
        format('Token %s is not that of the lease.', token),
                'Another holder took it over after it expired; acquire it again and start over.');
END $$;

CREATE FUNCTION vectorcoll._check_loader(loader regproc) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM vectorcoll._require(loader, 'loader');
    IF NOT EXISTS (SELECT FROM pg_proc p WHERE p.oid = loader AND p.pronargs - p.pronargdefaults = 0
            AND p.prorettype = 'jsonb'::regtype
                                           AND p.prokind = 'f') THEN
        PERFORM vectorcoll._raise('VC110', format('%s is not a loader', loader),
            'A loader is a function that can be called without arguments and returns jsonb or setof jsonb, a record each.', 'Name such a function.');
    END IF;
END $$;

CREATE FUNCTION vectorcoll._is_empty(relid oid) RETURNS bool
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result bool;
BEGIN
    EXECUTE format('SELECT NOT EXISTS (SELECT FROM %s)', vectorcoll._ident(relid)) INTO result;
    RETURN result;
END $$;

-- Upserts the records of a batch each on its own and adds to the counts; the first hundred failures are told in full.
CREATE FUNCTION vectorcoll._load_singly(relid oid, batch jsonb[], first bigint, INOUT loaded bigint,
    INOUT failed bigint, INOUT failures jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    state text;
    message text;
    failure jsonb;
BEGIN
    FOR i IN 1 .. cardinality(batch) LOOP
        BEGIN
            PERFORM vectorcoll.upsert(vectorcoll._qualified(relid), batch[i]);
            loaded := loaded + 1;
        EXCEPTION WHEN deadlock_detected THEN -- no fault of the record's; the load starts again
            RAISE;
        WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
            failure := jsonb_build_object('record', first + i, 'sqlstate', state, 'message', left(message, 200));
            failed := failed + 1;
            IF failed <= 100 THEN
                failures := failures || failure;
                PERFORM vectorcoll._emit(relid, 'LOAD_RECORDS__FAILED', failure);
            END IF;
        END;
    END LOOP;
END $$;

-- The two events that end what failed.
CREATE FUNCTION vectorcoll._emit_failure(relid oid, step text, state text, message text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM vectorcoll._emit(relid, step || '__FAILED',
            jsonb_build_object('sqlstate', state, 'message', left(message, 200)));
    PERFORM vectorcoll._emit(relid, step || '__ENDED');
END $$;

-- Runs a loader and upserts what it returns; lease and flag are held. Records are taken in order, each its own unit:
-- one that fails is reported and the others stay. They go in batches for speed; a batch that fails is done again
-- record by record.
CREATE FUNCTION vectorcoll._run_load(relid oid, loader regproc, path text, batch_size int, OUT loaded bigint,
    OUT failed bigint, OUT failures jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    name text := vectorcoll._qualified(relid);
    record jsonb;
    batch jsonb[] := '{}';
    seen bigint := 0;
    records refcursor;
    state text;
    message text;
BEGIN
    loaded := 0;
    failed := 0;
    failures := '[]';
    PERFORM vectorcoll._emit(relid, 'LOAD_RECORDS__START_EMBEDDING', jsonb_build_object('loader', loader));
    BEGIN
        OPEN records FOR SELECT r FROM vectorcoll._call_loader(relid, loader, path) r;
        FETCH records INTO record;
    EXCEPTION WHEN SQLSTATE 'VC902' OR deadlock_detected THEN -- a lost lease; a deadlock with DDL by hand
        RAISE;
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
        PERFORM vectorcoll._raise('VC000', format('loader %s failed', loader), format('%s: %s', state, message),
                'Nothing was loaded.');
    END;
    LOOP
        IF FOUND THEN
            batch := batch || record;
        END IF;
        IF cardinality(batch) > 0 AND (NOT FOUND OR cardinality(batch) >= batch_size) THEN
            PERFORM vectorcoll._lease_keep(relid);
            BEGIN
                PERFORM vectorcoll.upsert(name, to_jsonb(batch));
                loaded := loaded + cardinality(batch);
            EXCEPTION WHEN OTHERS THEN
                SELECT s.* INTO loaded, failed, failures FROM vectorcoll._load_singly(relid, batch, seen, loaded,
                        failed, failures) s;
            END;
            seen := seen + cardinality(batch);
            EXIT WHEN cardinality(batch) < batch_size;
            batch := '{}';
        ELSIF cardinality(batch) = 0 THEN
            EXIT;
        END IF;
        FETCH records INTO record;
    END LOOP;
    CLOSE records;
END $$;

-- Lease, flag and load, with their events. Null token: takes the lease, which ends with the transaction; else uses the
-- caller's. Raises VC902 when it cannot.
CREATE FUNCTION vectorcoll._load_leased(relid oid, loader regproc, path text, batch_size int, if_empty bool,
    token bigint, clear bool = false)
    RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    lease bigint := token;
    result record;
BEGIN
    PERFORM vectorcoll._emit(relid, 'LOAD_RECORDS__START');
    IF token IS NULL AND vectorcoll._local_flag(relid) THEN -- who has a token knows better than a memory of ten seconds
        PERFORM vectorcoll._emit(relid, 'LOAD_RECORDS__LOAD_IN_PROGRESS');
        PERFORM vectorcoll._emit(relid, 'LOAD_RECORDS__ENDED');
        RETURN '{"state": "skipped", "loaded": 0, "failed": 0, "failures": []}';
    END IF;
    IF token IS NULL THEN
        lease := vectorcoll._lease_acquire(relid, format('load %s', pg_backend_pid()), vectorcoll._lease_time(),
                true);
    ELSIF NOT vectorcoll._lease_use(relid, token, vectorcoll._lease_time()) THEN
        PERFORM vectorcoll._emit(relid, 'LOAD_RECORDS__LOCK_FAILED_TO_ACQUIRE', jsonb_build_object('token', token));
        PERFORM vectorcoll._emit(relid, 'LOAD_RECORDS__ENDED');
        PERFORM vectorcoll._lost_lease(relid, token);
    END IF;
    IF lease IS NULL THEN
        PERFORM vectorcoll._set_local_flag(relid, 10);
        PERFORM vectorcoll._emit(relid, 'LOAD_RECORDS__LOCK_FAILED_TO_ACQUIRE');
        PERFORM vectorcoll._emit(relid, 'LOAD_RECORDS__ENDED');
        PERFORM vectorcoll._lease_held(relid);
    END IF;
    PERFORM vectorcoll._set_local_flag(relid, NULL);
    PERFORM vectorcoll._emit(relid, 'LOAD_RECORDS__LOCK_ACQUIRED', jsonb_build_object('token', lease));
    IF if_empty AND NOT vectorcoll._is_empty(relid) THEN
        SELECT 0::bigint AS loaded, 0::bigint AS failed, '[]'::jsonb AS failures INTO result;
    ELSE
        BEGIN
            IF clear THEN
                EXECUTE format('DELETE FROM %s', vectorcoll._ident(relid));
            END IF;
            SELECT r.* INTO result FROM vectorcoll._run_load(relid, loader, path, batch_size) r;
        EXCEPTION WHEN query_canceled OR OTHERS THEN
            PERFORM vectorcoll._emit_failure(relid, 'LOAD_RECORDS', SQLSTATE, SQLERRM);
            RAISE;
        END;
        PERFORM vectorcoll._emit(relid,
                CASE WHEN result.loaded = 0 AND result.failed > 0
                THEN 'LOAD_RECORDS__FAILED' ELSE 'LOAD_RECORDS__SUCCEEDED' END,
                                 jsonb_build_object('loaded', result.loaded, 'failed', result.failed));
    END IF;
    PERFORM vectorcoll._set_local_flag(relid, 0);
    PERFORM vectorcoll._emit(relid, 'LOAD_RECORDS__ENDED');
    RETURN jsonb_build_object('state',
            CASE WHEN if_empty AND result.loaded = 0 AND result.failed = 0 THEN 'skipped' ELSE 'loaded' END,
                              'loaded', result.loaded, 'failed', result.failed, 'failures', result.failures);
END $$;

CREATE FUNCTION vectorcoll._check_batch_size(batch_size int) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM vectorcoll._require(batch_size, 'batch_size');
    IF batch_size NOT BETWEEN 1 AND 100000 THEN
        PERFORM vectorcoll._raise('VC110', format('batch_size %s is out of range', batch_size), 'So many records are written by one statement.',
                'Use 1 to 100000.');
    END IF;
END $$;

-- Upserts every record a loader returns. With if_empty, only into an empty collection. With token, under a lease
-- acquired before. Returns {"state": loaded|skipped, "loaded", "failed", "failures": [{"record", "sqlstate",
-- "message"}]}, failures being the first hundred.
CREATE FUNCTION vectorcoll.load_records(collection text, loader regproc, batch_size int = 1000, if_empty bool = false,
    token bigint = NULL,
                                        timeout interval = NULL) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid := vectorcoll._resolve(collection);
    path text := vectorcoll._caller_path();
    result jsonb;
BEGIN
    PERFORM vectorcoll._check_loader(loader), vectorcoll._check_batch_size(batch_size), vectorcoll._require(if_empty,
            'if_empty');
    FOR attempt IN 1 .. 10 LOOP
        BEGIN
            PERFORM vectorcoll._timeout_start(timeout, attempt);
            result := vectorcoll._load_leased(rel, loader, path, batch_size, if_empty, token);
            EXIT;
        EXCEPTION WHEN query_canceled OR deadlock_detected THEN
            IF NOT vectorcoll._again('load_records', SQLSTATE, attempt) THEN
                RAISE;
            END IF;
        END;
    END LOOP;
    RETURN result;
END $$;

-- Replaces all rows by what the loader returns. Readers see the old rows until it commits.
CREATE FUNCTION vectorcoll.rebuild_collection(collection text, loader regproc, batch_size int = 1000,
    token bigint = NULL,
                                              timeout interval = NULL) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid := vectorcoll._resolve(collection);
    path text := vectorcoll._caller_path();
    result jsonb;
BEGIN
    PERFORM vectorcoll._check_loader(loader), vectorcoll._check_batch_size(batch_size);
    FOR attempt IN 1 .. 10 LOOP
        BEGIN
            PERFORM vectorcoll._timeout_start(timeout, attempt);
            result := vectorcoll._load_leased(rel, loader, path, batch_size, false, token, true);
            EXIT;
        EXCEPTION WHEN query_canceled OR deadlock_detected THEN
            IF NOT vectorcoll._again('rebuild_collection', SQLSTATE, attempt) THEN
                RAISE;
            END IF;
        END;
    END LOOP;
    RETURN result;
END $$;

-- What upsert_or_load does, once.
CREATE FUNCTION vectorcoll._upsert_or_load(rel oid, record jsonb, loader regproc, path text, batch_size int) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    lease bigint;
    result record;
BEGIN
    PERFORM vectorcoll._hold(rel, NULL);
    PERFORM vectorcoll._emit(rel, 'UPSERT_OR_LOAD__START');
    IF vectorcoll._local_flag(rel) THEN
        PERFORM vectorcoll._emit(rel, 'UPSERT_OR_LOAD__LOCAL_LOAD_IN_PROGRESS');
        RETURN 'skipped';
    END IF;
    IF vectorcoll._is_empty(rel) THEN
        lease := vectorcoll._lease_acquire(rel, format('upsert_or_load %s', pg_backend_pid()),
                vectorcoll._lease_time(), true);
        IF lease IS NULL THEN
            PERFORM vectorcoll._set_local_flag(rel, 10);
            PERFORM vectorcoll._emit(rel, 'DISTRIBUTED_LOCK_DETECTED');
            RETURN 'skipped';
        END IF;
        -- Whoever had the lease before may have loaded it.
        IF vectorcoll._is_empty(rel) THEN
            PERFORM vectorcoll._emit(rel, 'UPSERT_OR_LOAD__LOAD__SUBSCRIBED', jsonb_build_object('token', lease));
            PERFORM vectorcoll._set_local_flag(rel, NULL);
            BEGIN
                SELECT r.* INTO result FROM vectorcoll._run_load(rel, loader, path, batch_size) r;
                PERFORM vectorcoll._emit(rel, 'UPSERT_OR_LOAD__LOAD__SUCCEEDED',
                                         jsonb_build_object('loaded', result.loaded, 'failed', result.failed));
            EXCEPTION WHEN query_canceled OR OTHERS THEN
                PERFORM vectorcoll._emit_failure(rel, 'UPSERT_OR_LOAD__LOAD', SQLSTATE, SQLERRM);
                RAISE;
            END;
            PERFORM vectorcoll._set_local_flag(rel, 0);
            PERFORM vectorcoll._emit(rel, 'UPSERT_OR_LOAD__LOAD__ENDED');
            RETURN 'loaded';
        END IF;
        PERFORM vectorcoll._lease_release(rel, lease);
    END IF;
    PERFORM vectorcoll._emit(rel, 'UPSERT_OR_LOAD__UPSERT__SUBSCRIBED');
    BEGIN
        PERFORM vectorcoll.upsert(vectorcoll._qualified(rel), record);
        PERFORM vectorcoll._emit(rel, 'UPSERT_OR_LOAD__UPSERT__SUCCEEDED');
    EXCEPTION WHEN query_canceled OR OTHERS THEN
        PERFORM vectorcoll._emit_failure(rel, 'UPSERT_OR_LOAD__UPSERT', SQLSTATE, SQLERRM);
        RAISE;
    END;
    PERFORM vectorcoll._emit(rel, 'UPSERT_OR_LOAD__UPSERT__ENDED');
    RETURN 'upserted';
END $$;

-- One record into a collection that is a cache. Empty: loads everything instead, under the lease. Lease held
-- elsewhere: skips, and for ten seconds does not even ask. Not empty: one upsert, no lock. Returns upserted, loaded
-- or skipped.
CREATE FUNCTION vectorcoll.upsert_or_load(collection text, record jsonb, loader regproc, batch_size int = 1000,
                                          timeout interval = NULL) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid := vectorcoll._resolve(collection);
    path text := vectorcoll._caller_path();
    result text;
BEGIN
    PERFORM vectorcoll._require(record, 'record'), vectorcoll._check_loader(loader),
            vectorcoll._check_batch_size(batch_size);
    FOR attempt IN 1 .. 10 LOOP
        BEGIN
            PERFORM vectorcoll._timeout_start(timeout, attempt);
            result := vectorcoll._upsert_or_load(rel, record, loader, path, batch_size);
            EXIT;
        EXCEPTION WHEN query_canceled OR deadlock_detected THEN
            IF NOT vectorcoll._again('upsert_or_load', SQLSTATE, attempt) THEN
                RAISE;
            END IF;
        END;
    END LOOP;
    RETURN result;
END $$;

-- Deletes records by primary key, without lease or flag. Returns how many there were.
CREATE FUNCTION vectorcoll.remove_records(collection text, ids text[], timeout interval = NULL) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rel oid := vectorcoll._resolve(collection);
    key text;
    n bigint;
BEGIN
    PERFORM vectorcoll._require(ids, 'ids');
    FOR attempt IN 1 .. 10 LOOP
        BEGIN
            PERFORM vectorcoll._timeout_start(timeout, attempt);
            PERFORM vectorcoll._hold(rel, collection);
            SELECT f->>'name' INTO key FROM jsonb_array_elements(vectorcoll._schema(rel)->'fields') f
                    WHERE f->'is_primary' = 'true';
            IF key IS NULL THEN
                EXECUTE format('DELETE FROM %s WHERE false', vectorcoll._ident(rel)); -- not a table the caller sees: the server says why
                PERFORM vectorcoll._gone(collection);
            END IF;
            EXECUTE format('DELETE FROM %s WHERE %I = ANY ($1::%s[])', vectorcoll._ident(rel), key,
                (SELECT format_type(a.atttypid,
                        NULL) FROM pg_attribute a WHERE a.attrelid = rel AND a.attname = key)) USING ids;
            GET DIAGNOSTICS n = ROW_COUNT;
            EXIT;
        EXCEPTION WHEN query_canceled OR deadlock_detected THEN
            IF NOT vectorcoll._again('remove_records', SQLSTATE, attempt) THEN
                RAISE;
            END IF;
        WHEN invalid_text_representation OR numeric_value_out_of_range THEN
            PERFORM vectorcoll._raise('VC110', 'ids are not of the type of the primary key', SQLERRM || '.',
                    format('Field "%s" identifies a record.', key));
        END;
    END LOOP;
    RETURN n;
END $$;
