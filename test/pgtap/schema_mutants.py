"""Prints mutated collection schemas for COPY, one a line: what json.loads makes a hash of (or \\N), and the schema's JSON.

VC_SEED and VC_COUNT choose them. Objects are lists of pairs here, so that a key can come twice; numbers are written as drawn.
"""
import json
import os
import random
import sys

from schema_hash import schema_hash


class Number(str):
    """A number as its text."""


GOOD = [
    '{"enable_dynamic_field": true, "shard_num": 2, "fields": [{"name": "id", "dtype": "int64", "is_primary": true, "auto_id": true},'
    ' {"name": "v", "dtype": "float_vector", "dim": 8}, {"name": "n", "dtype": "int32", "default_value": 5}]}',
    '{"description": "d", "num_partitions": 3, "fields": [{"name": "k", "dtype": "varchar", "max_length": 9, "is_primary": true},'
    ' {"name": "p", "dtype": "int64", "is_partition_key": true}, {"name": "b", "dtype": "binary_vector", "dim": 16},'
    ' {"name": "a", "dtype": "array", "element_type": "varchar", "max_length": 5, "max_capacity": 3, "default_value": ["x", "it\'s"]}]}',
    '{"auto_id": true, "fields": [{"name": "id", "dtype": "varchar", "max_length": 40, "is_primary": true}, {"name": "s", "dtype": "sparse_float_vector", "nullable": true},'
    ' {"name": "h", "dtype": "float16_vector", "dim": 4}, {"name": "t", "dtype": "timestamptz", "default_value": "2025-01-01"}]}',
    '{"fields": [{"name": "id", "dtype": "int64", "is_primary": true}, {"name": "v", "dtype": "float_vector", "dim": 3}, {"name": "j", "dtype": "json", "default_value": {"a": [1, null]}},'
    ' {"name": "x", "dtype": "double", "default_value": -1.5}, {"name": "r", "dtype": "float", "default_value": 1e3}, {"name": "o", "dtype": "bool", "default_value": false},'
    ' {"name": "i", "dtype": "int8", "default_value": -128}, {"name": "u", "dtype": "uuid", "default_value": "00000000-0000-0000-0000-000000000000"},'
    ' {"name": "w", "dtype": "array", "element_type": "double", "max_capacity": 4096, "default_value": [1, 2.5]}, {"name": "c", "dtype": "varchar", "max_length": 300, "default_value": "x"}]}',
]
KEYS = ["name", "dtype", "is_primary", "auto_id", "is_partition_key", "nullable", "default_value", "dim", "max_length", "element_type", "max_capacity",
        "description", "fields", "enable_dynamic_field", "shard_num", "num_partitions", "Name", "", "a b", "é", '"', "DIM", "\t", "k" * 10000]
NUMBERS = [Number(n) for n in ("0", "-0", "1", "-1", "2", "7", "8", "16", "17", "64", "1.0", "8.0", "16.00", "3.00e0", "0.5", "8.5", "1e1", "1E+2", "80e-1", "1e-400", "1e400", "-1e400", "127", "128",
                               "4096", "4097", "16000", "16001", "64000", "65535", "65536", "2147483647", "2147483648", "-2147483649", "9223372036854775807", "9223372036854775808",
                               "99999999999999999999", "12345678901234567890.5")]
DTYPES = ["bool", "int8", "int16", "int32", "int64", "float", "double", "varchar", "text", "json", "array", "timestamptz", "uuid", "float_vector", "float16_vector", "binary_vector",
          "sparse_float_vector", "FLOAT_VECTOR", "_vector", "vector", "int64 "]
WORDS = ["", " ", "a", "id", "v", "n", "ctid", "xmin", "XMAX", "tableoid", "oid", "$meta", "$partition", "select", "user", "table", "primary", "check", "and", "LIKE", "Not", "null",
         "json_contains_all", "text_match", "pg_toast", "é", "漢字", "😀", "e\u0301", "\u202e", 'a"b', "a'b", "a\\b", "a;b--", "%s%1$I", "%", "$1", "\n", "a\n", "\u0001", "\u001f\u007f", "x" * 63,
         "x" * 64, "é" * 40, "y" * 10000, "now", "infinity", "2025-13-45", "NaN", "true", "1", "{a,b}", "{}", "[1]", "\ufffe"]


def value(depth=0):
    kind = random.random()
    if kind < 0.30:
        return random.choice(NUMBERS)
    if kind < 0.50:
        return random.choice(WORDS)
    if kind < 0.65:
        return random.choice(DTYPES)
    if kind < 0.85 or depth > 3:
        return random.choice([True, False, None])
    if kind < 0.92:
        return [value(depth + 1) for _ in range(random.choice([0, 1, 2, 3, 5]))]
    if kind < 0.98:
        return Pairs((random.choice(KEYS), value(depth + 1)) for _ in range(random.randrange(3)))
    if kind < 0.99:
        return [random.choice(NUMBERS)] * random.choice([4096, 4097])
    deep = random.choice([[], "x"])
    for _ in range(random.choice([10, 500])):
        deep = [deep]
    return deep


class Pairs(list):
    """An object."""


def containers(node):
    """Every object and array, at least one below another."""
    yield node
    for child in node:
        child = child[1] if isinstance(node, Pairs) else child
        if isinstance(child, list):
            yield from containers(child)


def mutate(schema):
    places = [c for c in containers(schema) if c]
    if not places:
        return
    c = random.choice(places)
    i = random.randrange(len(c))
    what = random.random()
    if isinstance(c, Pairs):
        key, old = c[i]
        if what < 0.12:
            del c[i]
        elif what < 0.20:
            c[i] = (random.choice(KEYS), old)
        elif what < 0.28:  # twice, the last one counts
            c.insert(random.randrange(len(c) + 1), (key, value()))
        elif what < 0.40:
            c.append((random.choice(KEYS), value()))
        elif what < 0.44:
            c[i] = (key, [old])
        elif what < 0.48:
            c[i] = (key, Pairs([(key, old)]))
        elif isinstance(old, Number):
            c[i] = (key, random.choice(NUMBERS + [Number(old + ".0"), value()]) if "." not in old and "e" not in old else value())
        elif key == "dtype" or key == "element_type":
            c[i] = (key, random.choice(DTYPES))
        elif isinstance(old, bool):
            c[i] = (key, random.choice([True, False, value()]))
        elif isinstance(old, str):
            c[i] = (key, random.choice([random.choice(WORDS), value()]))
        elif not isinstance(old, list) or what > 0.95:
            c[i] = (key, value())
        else:
            c.append(("description", value()))
    elif what < 0.15:
        del c[i]
    elif what < 0.45:
        c.insert(random.randrange(len(c) + 1), c[i])
    elif what < 0.6:
        random.shuffle(c)
    elif what < 0.65:
        c[i] = [c[i]]
    elif what < 0.7:
        c.extend(Pairs([("name", f"f{n}"), ("dtype", random.choice(["text", "float_vector"])), ("dim", Number("2"))]) for n in range(random.choice([9, 60, 70])))
    else:
        name = random.choice(["z", random.choice(WORDS)])
        c.append(random.choice([value(), Pairs([("name", name), ("dtype", random.choice(DTYPES)), ("nullable", True)]),
                                Pairs([("name", name), ("dtype", random.choice(DTYPES)), ("default_value", value())])]))


def text(node):
    if isinstance(node, Number):
        return str(node)
    if isinstance(node, Pairs):
        return "{" + ", ".join(json.dumps(k, ensure_ascii=random.random() < 0.5) + ": " + text(v) for k, v in node) + "}"
    if isinstance(node, list):
        return "[" + ", ".join(map(text, node)) + "]"
    return json.dumps(node, ensure_ascii=random.random() < 0.5)


def digest(schema):
    try:
        return schema_hash(json.loads(schema))
    except Exception:  # it is not legal then, and has no hash
        return r"\N"


sys.setrecursionlimit(20000)
random.seed(os.environ["VC_SEED"])
for n in range(int(os.environ["VC_COUNT"])):
    whole = random.random()
    schema = json.loads(random.choice(GOOD), object_pairs_hook=Pairs, parse_int=Number, parse_float=Number)
    for _ in range(0 if n < 50 else random.choice([1, 1, 1, 2, 3])):
        mutate(schema)
    if n >= 50 and whole < 0.02:
        schema = value()
    line = text(schema)
    print(digest(line), line.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n"), sep="\t")
