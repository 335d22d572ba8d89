-- 61_search.sql: search by vector, by text, and both. src/collection/search.h has the C side.
--
-- All of them run as the caller, read the caller's snapshot, and return (id, distance, score, entity): id is the primary
-- key as text; distance orders the rows, smaller is nearer; score is what Milvus and Qdrant report, the similarity for IP
-- and COSINE and the distance for the other metrics; entity holds the fields asked for. They have no SET clause, so that a
-- collection's name is looked up along the caller's search_path; every name in the statements they run is qualified.

-- What a full-text condition needs beyond tsquery.
CREATE FUNCTION vectorcoll._matched_words(tsvector, tsquery) RETURNS int
    AS 'MODULE_PATHNAME', 'vc_matched_words' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vectorcoll._phrase_within(tsvector, tsquery, slop int) RETURNS bool
    AS 'MODULE_PATHNAME', 'vc_phrase_within' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE FUNCTION vectorcoll.search(name text, query @extschema@.vector, top_k int = 10, filter text = NULL, search_params jsonb = '{}',
                                  output_fields text[] = NULL, anns_field text = NULL, partition_names text[] = NULL, skip int = 0,
                                  filter_params jsonb = NULL)
    RETURNS TABLE (id text, distance float8, score float8, entity jsonb)
    AS 'MODULE_PATHNAME', 'vc_search' LANGUAGE C STABLE PARALLEL RESTRICTED COST 100 ROWS 10;

-- The same for a filter that is jsonb already. top_k has no default here, so that no call can mean both.
CREATE FUNCTION vectorcoll.search(name text, query @extschema@.vector, top_k int, filter jsonb, search_params jsonb = '{}',
                                  output_fields text[] = NULL, anns_field text = NULL, partition_names text[] = NULL, skip int = 0,
                                  filter_params jsonb = NULL)
    RETURNS TABLE (id text, distance float8, score float8, entity jsonb)
    AS 'MODULE_PATHNAME', 'vc_search' LANGUAGE C STABLE PARALLEL RESTRICTED COST 100 ROWS 10;

-- Queries of another type have names of their own: beside `query vector`, a plain literal could be either.
CREATE FUNCTION vectorcoll.search_sparse(name text, query @extschema@.sparsevec, top_k int = 10, filter text = NULL,
                                         search_params jsonb = '{}', output_fields text[] = NULL, anns_field text = NULL,
                                         partition_names text[] = NULL, skip int = 0, filter_params jsonb = NULL)
    RETURNS TABLE (id text, distance float8, score float8, entity jsonb)
    AS 'MODULE_PATHNAME', 'vc_search' LANGUAGE C STABLE PARALLEL RESTRICTED COST 100 ROWS 10;
CREATE FUNCTION vectorcoll.search_binary(name text, query varbit, top_k int = 10, filter text = NULL, search_params jsonb = '{}',
                                         output_fields text[] = NULL, anns_field text = NULL, partition_names text[] = NULL, skip int = 0,
                                         filter_params jsonb = NULL)
    RETURNS TABLE (id text, distance float8, score float8, entity jsonb)
    AS 'MODULE_PATHNAME', 'vc_search' LANGUAGE C STABLE PARALLEL RESTRICTED COST 100 ROWS 10;

-- query_no counts the queries from 1.
CREATE FUNCTION vectorcoll.search_batch(name text, queries @extschema@.vector[], top_k int = 10, filter text = NULL, search_params jsonb = '{}',
                                        output_fields text[] = NULL, anns_field text = NULL, partition_names text[] = NULL, skip int = 0,
                                        filter_params jsonb = NULL)
    RETURNS TABLE (query_no int, id text, distance float8, score float8, entity jsonb)
    AS 'MODULE_PATHNAME', 'vc_search_batch' LANGUAGE C STABLE PARALLEL RESTRICTED COST 1000 ROWS 100;

-- L2 and other distances: range_filter <= distance < radius. IP and COSINE: radius < score <= range_filter.
CREATE FUNCTION vectorcoll.range_search(name text, query @extschema@.vector, radius float8, range_filter float8 = NULL, filter text = NULL,
                                        search_params jsonb = '{}', output_fields text[] = NULL, anns_field text = NULL,
                                        partition_names text[] = NULL, top_k int = 16384, skip int = 0, filter_params jsonb = NULL)
    RETURNS TABLE (id text, distance float8, score float8, entity jsonb)
    AS 'MODULE_PATHNAME', 'vc_range_search' LANGUAGE C STABLE PARALLEL RESTRICTED COST 100 ROWS 100;

-- Rows whose text has one of the words, by relevance (ts_rank_cd), which is the score.
CREATE FUNCTION vectorcoll.search_text(name text, query text, text_field text, top_k int = 10, filter text = NULL,
                                       output_fields text[] = NULL, partition_names text[] = NULL, skip int = 0, filter_params jsonb = NULL)
    RETURNS TABLE (id text, distance float8, score float8, entity jsonb)
    AS 'MODULE_PATHNAME', 'vc_search_text' LANGUAGE C STABLE PARALLEL RESTRICTED COST 100 ROWS 10;

-- The plan of the statement a search with these arguments runs. execute => true runs it too.
CREATE FUNCTION vectorcoll.explain_search(name text, query @extschema@.vector, top_k int = 10, filter text = NULL, search_params jsonb = '{}',
                                          output_fields text[] = NULL, anns_field text = NULL, partition_names text[] = NULL, skip int = 0,
                                          filter_params jsonb = NULL, execute bool = false)
    RETURNS SETOF text
    AS 'MODULE_PATHNAME', 'vc_explain_search' LANGUAGE C VOLATILE;

-- Several searches fused into one order. requests: [{"anns_field", "data", "limit", "search_params", "filter", "weight"}, ...]; the
-- field may be a vector of any type or a text field, whose data are words. score is the fused score, distance its negative.
CREATE FUNCTION vectorcoll.hybrid_search(name text, requests jsonb, rerank text = 'rrf', top_k int = 10, filter text = NULL,
                                         rerank_params jsonb = NULL, output_fields text[] = NULL, partition_names text[] = NULL, skip int = 0,
                                         filter_params jsonb = NULL)
    RETURNS TABLE (id text, distance float8, score float8, entity jsonb)
    AS 'MODULE_PATHNAME', 'vc_hybrid_search' LANGUAGE C STABLE PARALLEL RESTRICTED COST 1000 ROWS 10;

-- The group_size nearest rows of each of the top_k nearest groups. Without strict_group_size a group may come back smaller
-- although it has more rows, when they are far behind the others.
CREATE FUNCTION vectorcoll.search_groups(name text, query @extschema@.vector, group_by text, top_k int = 10, filter text = NULL,
                                         search_params jsonb = '{}', output_fields text[] = NULL, anns_field text = NULL,
                                         partition_names text[] = NULL, skip int = 0, filter_params jsonb = NULL, group_size int = 1,
                                         strict_group_size bool = false)
    RETURNS TABLE (group_value jsonb, id text, distance float8, score float8, entity jsonb)
    AS 'MODULE_PATHNAME', 'vc_search_groups' LANGUAGE C STABLE PARALLEL RESTRICTED COST 1000 ROWS 10;

-- A batch of rows in order, each with the state that continues behind it: pass the last one's to get the next batch.
CREATE FUNCTION vectorcoll.search_iterator(name text, query @extschema@.vector, batch_size int = 1000, filter text = NULL,
                                           search_params jsonb = '{}', output_fields text[] = NULL, anns_field text = NULL,
                                           partition_names text[] = NULL, skip int = 0, filter_params jsonb = NULL, state text = NULL)
    RETURNS TABLE (id text, distance float8, score float8, entity jsonb, state_after text)
    AS 'MODULE_PATHNAME', 'vc_search_iterator' LANGUAGE C STABLE PARALLEL RESTRICTED COST 1000 ROWS 1000;

-- Points like the positive examples and unlike the negative ones, which are points or vectors. The examples are left out.
CREATE FUNCTION vectorcoll.recommend(name text, positive vectorcoll.ids = '{}', negative vectorcoll.ids = '{}', top_k int = 10, filter text = NULL,
                                     search_params jsonb = '{}', output_fields text[] = NULL, anns_field text = NULL,
                                     partition_names text[] = NULL, skip int = 0, filter_params jsonb = NULL,
                                     strategy text = 'average_vector', positive_vectors @extschema@.vector[] = NULL,
                                     negative_vectors @extschema@.vector[] = NULL)
    RETURNS TABLE (id text, distance float8, score float8, entity jsonb)
    AS 'MODULE_PATHNAME', 'vc_recommend' LANGUAGE C STABLE PARALLEL RESTRICTED COST 1000 ROWS 10;
