-- Operator classes of key columns, the same for both access methods: conditions on them are tested inside an index
-- (src/am/keys.h). Those with a support function keep hashes, which serve equality.
DO $$
DECLARE
    method text;
    family text;
    types text[];
    a text;
    b text;
BEGIN
    FOREACH method IN ARRAY ARRAY['vc_hnsw', 'vc_ivf'] LOOP
        -- Types of one family are compared with each other, too.
        FOR family, types IN VALUES ('bool_ops', '{bool}'::text[]), ('integer_ops', '{int2,int4,int8}'),
            ('float_ops', '{float4,float8}'), ('date_ops', '{date}'), ('timestamp_ops', '{timestamp}'),
            ('timestamptz_ops', '{timestamptz}')
        LOOP
            EXECUTE format('CREATE OPERATOR FAMILY %I USING %I', family, method);
            FOREACH a IN ARRAY types LOOP
                EXECUTE format('CREATE OPERATOR CLASS %I DEFAULT FOR TYPE %s USING %I FAMILY %I AS
                    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >',
                    a || '_ops', a::regtype, method, family);
            END LOOP;
            FOREACH a IN ARRAY types LOOP
                FOREACH b IN ARRAY types LOOP
                    CONTINUE WHEN a = b;
                    EXECUTE format('ALTER OPERATOR FAMILY %I USING %I ADD OPERATOR 1 < (%s, %s), OPERATOR 2 <= (%3$s, %4$s),
                        OPERATOR 3 = (%3$s, %4$s), OPERATOR 4 >= (%3$s, %4$s), OPERATOR 5 > (%3$s, %4$s)',
                        family, method, a::regtype, b::regtype);
                END LOOP;
            END LOOP;
        END LOOP;
        EXECUTE format('CREATE OPERATOR CLASS text_ops DEFAULT FOR TYPE text USING %I AS
            OPERATOR 3 =, FUNCTION 2 hashtextextended(text, int8)', method);
        EXECUTE format('CREATE OPERATOR CLASS uuid_ops DEFAULT FOR TYPE uuid USING %I AS
            OPERATOR 3 =, FUNCTION 2 uuid_hash_extended(uuid, int8)', method);
    END LOOP;
END $$;
