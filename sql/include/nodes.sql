-- The nodes of a plan: what else EXPLAIN says of them differs between versions of the server.
CREATE FUNCTION nodes(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE line text; result text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        IF result IS NULL OR line ~ '^ *->' THEN
            result := concat_ws(' / ', result, regexp_replace(line, '^[ >-]+', ''));
        END IF;
    END LOOP;
    RETURN result;
END $$;
