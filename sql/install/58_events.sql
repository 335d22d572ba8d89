-- 58_events.sql: what happened to collections that are loaded from a source. events.c tells how rows of failed
-- transactions get here: a background worker writes them, with committed = false.

CREATE TABLE vectorcoll.event_log (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL,
    event      text NOT NULL,
    collection text NOT NULL, -- schema.name at that time
    details    jsonb NOT NULL,
    pid        int NOT NULL,
    role       text NOT NULL,
    xact       xid8 NOT NULL,
    committed  bool NOT NULL  -- false: the transaction that raised it was rolled back
);
CREATE INDEX event_log_at ON vectorcoll.event_log (at);
GRANT SELECT, DELETE ON vectorcoll.event_log TO @extowner@;
COMMENT ON TABLE vectorcoll.event_log IS 'events of loads and writes; the owner of the extension may delete old ones; not dumped';

-- Events of collections the caller may use, oldest first. The channel vectorcoll_events carries them as well.
CREATE VIEW vectorcoll.events WITH (security_barrier) AS
    SELECT e.id, e.at, e.event, e.collection, e.details, e.pid, e.role, e.xact, e.committed
      FROM vectorcoll.event_log e
     WHERE e.role = CURRENT_USER
        OR EXISTS (SELECT FROM vectorcoll.collection_def d
                    WHERE e.collection = d.nspname || '.' || d.relname AND vectorcoll._visible(d.relid));
GRANT SELECT ON vectorcoll.events TO PUBLIC;

CREATE FUNCTION vectorcoll._emit(relid oid, event text, details jsonb = '{}') RETURNS void
    AS 'MODULE_PATHNAME', 'vc_emit' LANGUAGE C STRICT;
