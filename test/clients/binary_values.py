"""Values in binary and in text, thousands of them, against what numpy says is right; and messages with bytes flipped, cut and
added, each of which the server must refuse or have understood exactly."""
import random
import struct

import numpy
import psycopg

from tap import equal, run

SEED = 20261120
REFUSALS = {"08P01", "22P03", "22000", "22003", "54000"}


def connect():
    """A connection of the lowest level, which sends the bytes it is given."""
    return psycopg.connect(autocommit=True)


def oid_of(connection, name):
    return connection.execute("SELECT %s::regtype::oid", (name,)).fetchone()[0]


def execute(connection, query, oid, *messages):
    """Runs a query over binary parameters of one type; returns its first row in binary, or an SQLSTATE."""
    result = connection.pgconn.exec_params(query, list(messages), [oid] * len(messages), [1] * len(messages), 1)
    if result.status != psycopg.pq.ExecStatus.TUPLES_OK:
        return result.error_field(psycopg.pq.DiagnosticField.SQLSTATE).decode()
    return [result.get_value(0, column) for column in range(result.nfields)]


def vector(values):
    return struct.pack(f">hh{len(values)}f", len(values), 0, *values)


def halfvec(values):
    return struct.pack(f">hh{len(values)}e", len(values), 0, *values)


def sparsevec(values):
    found = [(i, value) for i, value in enumerate(values) if value]
    return struct.pack(f">iii{len(found)}i{len(found)}f", len(values), len(found), 0, *(i for i, _ in found), *(v for _, v in found))


MAKERS = {"vector": vector, "halfvec": halfvec, "sparsevec": sparsevec}


def damaged(message, chance):
    """The message with a bit flipped, a byte replaced, its end cut off, bytes added, or an edge value put in a field."""
    message = bytearray(message)
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randrange(len(message)) if message else 0
        kind = chance.randrange(5)
        if kind == 0 and message:
            message[at] ^= 1 << chance.randrange(8)
        elif kind == 1 and message:
            message[at] = chance.randrange(256)
        elif kind == 2:
            del message[at:]
        elif kind == 3:
            message += chance.randbytes(chance.randrange(1, 9))
        else:
            edge = chance.choice((b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00",
                                  b"\x7f\x80\x00\x00", b"\x7f\xc0\x00\x00", b"\x3b\x9a\xca\x00", b"\x00\x00\x3e\x80"))
            message[at:at + 4] = edge
    return bytes(message)


def damaged_messages_are_refused_or_understood():
    chance = random.Random(SEED)
    with connect() as connection:
        for name, make in MAKERS.items():
            oid = oid_of(connection, name)
            query = f"SELECT {name}_send($1), {name}_send(({name}_out($1))::text::{name}), $1 = $1".encode()
            understood = 0
            for _ in range(3000):
                values = [chance.choice((0, 1, -2.5, 0.1, 1e-4, chance.uniform(-9, 9))) for _ in range(chance.randrange(1, 12))]
                message = damaged(make(values), chance)
                answer = execute(connection, query, oid, message)
                if isinstance(answer, str):
                    assert answer in REFUSALS, f"{name} {message.hex()}: {answer}"
                    continue
                understood += 1
                assert answer == [message, message, b"\x01"], f"{name} {message.hex()}: {answer}"
            assert understood > 100, f"only {understood} messages of {name} were understood"


def distances_are_what_numpy_computes_in_double():
    chance = numpy.random.default_rng(SEED)
    with connect() as connection:
        for name, make in MAKERS.items():
            oid = oid_of(connection, name)
            dtype = numpy.float16 if name == "halfvec" else numpy.float32
            for dim in (*range(1, 70), 127, 128, 129, 768, 1536, 1999, 4100):
                a, b = (chance.standard_normal((2, dim)) * (chance.random((2, dim)) < (0.3 if name == "sparsevec" else 1))).astype(dtype)
                x, y = a.astype(numpy.float64), b.astype(numpy.float64)
                answer = execute(connection, b"SELECT $1 <-> $2, $1 <#> $2, $1 <=> $2, $1 <+> $2, l2_norm($1)", oid, make(a), make(b))
                found = [struct.unpack(">d", value)[0] for value in answer]
                norms = numpy.linalg.norm(x) * numpy.linalg.norm(y)
                expected = [numpy.linalg.norm(x - y), -(x @ y), 1 - x @ y / norms if norms else numpy.nan, abs(x - y).sum(),
                            numpy.linalg.norm(x)]
                bounds = [expected[0], abs(x * y).sum(), 1, expected[3], expected[4]]
                for value, right, bound in zip(found, expected, bounds):
                    assert abs(value - right) <= 1e-5 * bound or (numpy.isnan(value) and numpy.isnan(right)), \
                        f"{name} {dim}: {found}, expected {expected}"


def numbers_read_from_text_are_the_nearest():
    chance = random.Random(SEED)
    with connect() as connection:
        for name, dtype in (("vector", numpy.float32), ("halfvec", numpy.float16)):
            for _ in range(20):
                values = [chance.uniform(-1, 1) * 10 ** chance.randrange(-8, 5) for _ in range(1536)]
                for style in ("%.9g", "%.17g", "%.6f", "%r"):
                    text = "[" + ",".join(style % value for value in values) + "]"
                    right = numpy.array([float(style % value) for value in values]).astype(dtype)
                    sent = connection.execute(f"SELECT {name}_send(%s::text::{name})", (text,)).fetchone()[0]
                    found = numpy.frombuffer(sent[4:], dtype=numpy.dtype(dtype).newbyteorder(">"))
                    equal(int((found != right).sum()), 0)


def a_shortest_text_reads_back():
    chance = numpy.random.default_rng(SEED)
    with connect() as connection:
        for name, dtype, bits in (("vector", numpy.float32, numpy.uint32), ("halfvec", numpy.float16, numpy.uint16)):
            for _ in range(20):
                values = chance.integers(0, numpy.iinfo(bits).max, 4000, dtype=bits, endpoint=True).view(dtype)
                values = values[numpy.isfinite(values)]
                answer = execute(connection, f"SELECT {name}_out($1)::text, {name}_send({name}_out($1)::text::{name})".encode(),
                                 oid_of(connection, name), MAKERS[name](values))
                equal(answer[1], MAKERS[name](values))
                if dtype == numpy.float32:
                    texts = answer[0].decode()[1:-1].split(",")
                    equal([numpy.float32(text) for text in texts], list(values))


run(damaged_messages_are_refused_or_understood, distances_are_what_numpy_computes_in_double,
    numbers_read_from_text_are_the_nearest, a_shortest_text_reads_back)
