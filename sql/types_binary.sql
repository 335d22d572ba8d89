-- Binary COPY of every type: values there and back, and byte strings that no client would send.
--
-- copied(hex, type): the value that COPY reads from a field of these bytes, or the error. The bytes reach COPY through the
-- shell's printf, so no file is left behind.
CREATE FUNCTION pg_temp.copied(field text, type text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    -- signature, flags, no header extension, one column; the field and its length; the trailer
    stream constant bytea := decode('5047434f50590aff0d0a00' || '00000000' || '00000000' || '0001'
                                    || lpad(to_hex(length(field) / 2), 8, '0') || field || 'ffff', 'hex');
    program text := 'printf ''';
    result text;
BEGIN
    FOR i IN 0 .. length(stream) - 1 LOOP
        program := program || '\' || lpad(div(get_byte(stream, i), 64)::text || div(get_byte(stream, i) % 64, 8)
                                          || get_byte(stream, i) % 8, 3, '0');
    END LOOP;
    EXECUTE format('CREATE TEMP TABLE copied (v %s)', type);
    BEGIN
        EXECUTE format('COPY copied FROM PROGRAM %L (FORMAT binary)', program || '''');
        SELECT v INTO result FROM copied;
    EXCEPTION WHEN OTHERS THEN
        result := SQLSTATE || ' ' || SQLERRM;
    END;
    DROP TABLE copied;
    RETURN result;
END $$;

SELECT v, pg_temp.copied(encode(vector_send(v), 'hex'), 'vector') = v::text AS same
  FROM unnest(ARRAY['[1,2,3]', '[-0,1e-45,3.4028235e38]', '[0.1]']::vector[]) v;
SELECT v, pg_temp.copied(encode(halfvec_send(v), 'hex'), 'halfvec') = v::text AS same
  FROM unnest(ARRAY['[1,2,3]', '[-0,6e-8,65504]', '[0.1]']::halfvec[]) v;
SELECT v, pg_temp.copied(encode(sparsevec_send(v), 'hex'), 'sparsevec') = v::text AS same
  FROM unnest(ARRAY['{1:1,3:-2.5}/3', '{}/1', '{1000000000:1e-45}/1000000000']::sparsevec[]) v;

-- And the whole of COPY's own output.
CREATE TEMP TABLE sent (v vector, h halfvec, s sparsevec);
INSERT INTO sent VALUES ('[1,2]', '[1,2]', '{1:1}/2'), (NULL, NULL, NULL);
COPY sent TO PROGRAM 'cat > /dev/null' (FORMAT binary);

SELECT what, pg_temp.copied(field, type) FROM (VALUES
    ('good', '000200003f80000040000000', 'vector'),
    ('good, typed', '000200003f80000040000000', 'vector(2)'),
    ('other dimensions than the column', '000200003f80000040000000', 'vector(3)'),
    ('empty field', '', 'vector'),
    ('half a header', '000200', 'vector'),
    ('no elements', '00020000', 'vector'),
    ('one element short', '000200003f800000', 'vector'),
    ('a byte short', '000200003f800000400000', 'vector'),
    ('a byte too many', '000200003f8000004000000000', 'vector'),
    ('zero dimensions', '00000000', 'vector'),
    ('negative dimensions', 'ffff0000', 'vector'),
    ('too many dimensions', '3e810000', 'vector'),
    ('unused not zero', '000100013f800000', 'vector'),
    ('NaN', '000100007fc00000', 'vector'),
    ('infinity', '00010000ff800000', 'vector')) AS c (what, field, type);
SELECT what, pg_temp.copied(field, type) FROM (VALUES
    ('good', '000200003c00c000', 'halfvec'),
    ('good, typed', '000200003c00c000', 'halfvec(2)'),
    ('other dimensions than the column', '000200003c00c000', 'halfvec(3)'),
    ('empty field', '', 'halfvec'),
    ('a byte short', '000200003c00c0', 'halfvec'),
    ('a byte too many', '000200003c00c00000', 'halfvec'),
    ('zero dimensions', '00000000', 'halfvec'),
    ('negative dimensions', '80000000', 'halfvec'),
    ('too many dimensions', '3e810000', 'halfvec'),
    ('unused not zero', '0001ffff3c00', 'halfvec'),
    ('NaN', '000100007e00', 'halfvec'),
    ('infinity', '00010000fc00', 'halfvec')) AS c (what, field, type);
SELECT what, pg_temp.copied(field, type) FROM (VALUES
    ('good', '00000003000000020000000000000000000000023f800000c0000000', 'sparsevec'),
    ('good, typed', '000000030000000000000000', 'sparsevec(3)'),
    ('other dimensions than the column', '000000030000000000000000', 'sparsevec(4)'),
    ('empty field', '', 'sparsevec'),
    ('no elements', '000000030000000200000000', 'sparsevec'),
    ('one value short', '00000003000000020000000000000000000000023f800000', 'sparsevec'),
    ('a byte too many', '00000003000000000000000000', 'sparsevec'),
    ('zero dimensions', '000000000000000000000000', 'sparsevec'),
    ('negative dimensions', '800000000000000000000000', 'sparsevec'),
    ('too many dimensions', '3b9aca010000000000000000', 'sparsevec'),
    ('negative count', '00000003ffffffff00000000', 'sparsevec'),
    ('more elements than dimensions', '000000030000000400000000', 'sparsevec'),
    ('too many elements', '3b9aca0000003e8100000000', 'sparsevec'),
    ('unused not zero', '000000030000000000000001', 'sparsevec'),
    ('indices descending', '00000003000000020000000000000002000000003f800000c0000000', 'sparsevec'),
    ('index twice', '00000003000000020000000000000001000000013f800000c0000000', 'sparsevec'),
    ('index negative', '000000030000000100000000ffffffff3f800000', 'sparsevec'),
    ('index beyond', '000000030000000100000000000000033f800000', 'sparsevec'),
    ('value zero', '0000000300000001000000000000000100000000', 'sparsevec'),
    ('value minus zero', '0000000300000001000000000000000180000000', 'sparsevec'),
    ('NaN', '000000030000000100000000000000017fc00000', 'sparsevec'),
    ('infinity', '000000030000000100000000000000017f800000', 'sparsevec')) AS c (what, field, type);
