"""pgvector's Python adapter, unchanged, over psycopg, psycopg2, asyncpg and SQLAlchemy."""
import asyncio

import asyncpg
import numpy
import pgvector.asyncpg
import pgvector.psycopg
import pgvector.psycopg2
import psycopg
import psycopg2
import sqlalchemy
from pgvector import Bit, HalfVector, SparseVector, Vector
from pgvector.sqlalchemy import BIT, HALFVEC, SPARSEVEC, VECTOR
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from tap import equal, raises, run

ROWS = [[1, 1, 1], [2, 2, 2], [1, 1, 2]]


def connect():
    """A psycopg connection with the adapter's types."""
    connection = psycopg.connect(autocommit=True)
    pgvector.psycopg.register_vector(connection)
    return connection


def psycopg_finds_nearest_in_text_and_binary():
    with connect() as connection:
        connection.execute("CREATE TABLE items (id serial PRIMARY KEY, embedding vector(3))")
        for row in ROWS:
            connection.execute("INSERT INTO items (embedding) VALUES (%s)", (numpy.array(row),))
        for binary in (False, True):
            for operator, expected in (("<->", [1, 3, 2]), ("<=>", [1, 2, 3]), ("<#>", [2, 3, 1]), ("<+>", [1, 3, 2])):
                found = connection.execute(f"SELECT id FROM items ORDER BY embedding {operator} %b, id" if binary else
                                           f"SELECT id FROM items ORDER BY embedding {operator} %t, id",
                                           (Vector([1, 1, 1]),), binary=binary).fetchall()
                equal([row[0] for row in found], expected)


def psycopg_reads_arrays_back():
    with connect() as connection:
        for binary in (False, True):
            value = connection.execute("SELECT embedding FROM items WHERE id = 3", binary=binary).fetchone()[0]
            equal(numpy.asarray(value if isinstance(value, numpy.ndarray) else value.to_numpy()).tolist(), [1.0, 1.0, 2.0])
            found = connection.execute("SELECT array_agg(embedding ORDER BY id) FROM items", binary=binary).fetchone()[0]
            equal(len(found), 3)


def psycopg_copies_in_binary():
    with connect() as connection:
        connection.execute("CREATE TABLE copied (v vector(3), h halfvec(3), s sparsevec(3), b bit(3))")
        with connection.cursor().copy("COPY copied FROM STDIN WITH (FORMAT BINARY)") as copy:
            copy.set_types(["vector", "halfvec", "sparsevec", "bit"])
            for row in ROWS:
                copy.write_row([Vector(row), HalfVector(row), SparseVector(row), Bit([True, False, True])])
        equal(connection.execute("SELECT count(*), min(v::text), min(h::text), min(s::text), min(b::text) FROM copied").fetchone(),
              (3, "[1,1,1]", "[1,1,1]", "{1:1,2:1,3:1}/3", "101"))


def psycopg_gets_errors_with_sqlstate():
    with connect() as connection:
        raises("22000", lambda: connection.execute("SELECT %s <-> %s", (Vector([1, 2]), Vector([1, 2, 3]))))
        raises("22000", lambda: connection.execute("INSERT INTO items (embedding) VALUES (%s)", (Vector([1, 2]),)))
        raises("22P02", lambda: connection.execute("SELECT '[1,2'::vector"))


def psycopg_calls_the_collections():
    with connect() as connection:
        connection.execute("SELECT vectorcoll.create_collection('films', dimension => 3, metric_type => 'L2')")
        connection.execute("SELECT vectorcoll.insert('films', %s::jsonb)",
                           ('[{"id": 1, "vector": [1, 1, 1], "title": "a"}, {"id": 2, "vector": [2, 2, 2], "title": "b"}]',))
        for vector in (numpy.array([2, 2, 2.1], dtype="float32"), "[2,2,2.1]"):
            found = connection.execute("SELECT id, entity ->> 'title' FROM vectorcoll.search('films', %s, top_k => 1)",
                                       (vector,)).fetchall()
            equal(found, [("2", "b")])
        connection.execute("SELECT vectorcoll.drop_collection('films')")


def psycopg2_finds_nearest():
    connection = psycopg2.connect("")
    pgvector.psycopg2.register_vector(connection)
    cursor = connection.cursor()
    cursor.execute("SELECT id, embedding FROM items ORDER BY embedding <-> %s LIMIT 2", (numpy.array([2, 2, 2]),))
    found = cursor.fetchall()
    equal([row[0] for row in found], [2, 3])
    equal(numpy.asarray(found[0][1] if isinstance(found[0][1], numpy.ndarray) else found[0][1].to_numpy()).tolist(), [2, 2, 2])
    connection.close()


def asyncpg_prepares_with_binary_parameters():
    async def body():
        connection = await asyncpg.connect()
        await pgvector.asyncpg.register_vector(connection)
        await connection.execute("CREATE TABLE halves (id int, h halfvec(3), s sparsevec(3))")
        await connection.executemany("INSERT INTO halves VALUES ($1, $2, $3)",
                                     [(i, HalfVector(row), SparseVector(row)) for i, row in enumerate(ROWS)])
        found = await connection.fetch("SELECT id FROM items ORDER BY embedding <-> $1 LIMIT 3", numpy.array([1, 1, 2]))
        equal([row["id"] for row in found], [3, 1, 2])
        found = await connection.fetch("SELECT id FROM halves ORDER BY h <-> $1, id", HalfVector([1, 1, 2]))
        equal([row["id"] for row in found], [2, 0, 1])
        found = await connection.fetchrow("SELECT s FROM halves ORDER BY s <-> $1, id", SparseVector([1, 1, 2]))
        equal(found["s"].to_list(), [1, 1, 2])
        await connection.close()
    asyncio.run(body())


class Base(DeclarativeBase):
    """SQLAlchemy's registry of tables."""


class Item(Base):
    """One column of each type; the index is asked for the way SQLAlchemy's users write it."""
    __tablename__ = "orm_items"
    id: Mapped[int] = mapped_column(primary_key=True)
    embedding = mapped_column(VECTOR(3))
    half = mapped_column(HALFVEC(3))
    sparse = mapped_column(SPARSEVEC(3))
    binary = mapped_column(BIT(3))


def sqlalchemy_creates_searches_and_aggregates():
    engine = sqlalchemy.create_engine("postgresql+psycopg://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all(Item(id=i, embedding=row, half=row, sparse=SparseVector(row), binary="101") for i, row in enumerate(ROWS))
        session.commit()
        for distance in (Item.embedding.l2_distance([1, 1, 2]), Item.half.l2_distance([1, 1, 2]),
                         Item.sparse.l2_distance(SparseVector([1, 1, 2])), Item.embedding.l1_distance([1, 1, 2])):
            equal(list(session.scalars(sqlalchemy.select(Item.id).order_by(distance, Item.id))), [2, 0, 1])
        equal(list(session.scalars(sqlalchemy.select(Item.id).order_by(Item.binary.hamming_distance("111"), Item.id))), [0, 1, 2])
        mean = session.scalars(sqlalchemy.select(sqlalchemy.func.avg(Item.embedding))).first()
        total = session.scalars(sqlalchemy.select(sqlalchemy.func.sum(Item.half))).first()
        equal(str(mean).replace(" ", "")[:4], "[1.3")
        assert total is not None
    columns = {column["name"]: column["type"] for column in sqlalchemy.inspect(engine).get_columns("orm_items")}
    equal((columns["embedding"].dim, columns["half"].dim), (3, 3))


def sqlalchemy_creates_an_index_of_our_access_method():
    engine = sqlalchemy.create_engine("postgresql+psycopg://")
    index = sqlalchemy.Index("orm_items_embedding", Item.embedding, postgresql_using="vc_hnsw",
                             postgresql_with={"m": 16, "ef_construction": 64},
                             postgresql_ops={"embedding": "vector_l2_ops"})
    index.create(engine)
    with Session(engine) as session:
        session.execute(sqlalchemy.text("SET enable_seqscan = off"))
        equal(list(session.scalars(sqlalchemy.select(Item.id).order_by(Item.embedding.l2_distance([1, 1, 2])).limit(5))), [2, 0, 1])


run(psycopg_finds_nearest_in_text_and_binary, psycopg_reads_arrays_back, psycopg_copies_in_binary,
    psycopg_gets_errors_with_sqlstate, psycopg_calls_the_collections, psycopg2_finds_nearest,
    asyncpg_prepares_with_binary_parameters, sqlalchemy_creates_searches_and_aggregates,
    sqlalchemy_creates_an_index_of_our_access_method)
