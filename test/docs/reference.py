"""docs/reference.md lists every function of the collections: its signature as the server has it, and an example that runs;
and the tests try each error it documents for a function. A function or a pair of function and error that is not there
fails. The functions on indexes and the CPU may be on a page of their own instead.

A pair counts as tried when one statement of the tests names both, or an example marked error=CODE calls the function.
Output is TAP.
"""
import collections
import glob
import os
import re
import subprocess
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
ELSEWHERE = re.compile(r"^(hnsw|ivf)_|^(index_recall|knn_batch|scan_stats|simd_level)$")
# What any function may raise is tried for every function from one table: test/pgtap/function_errors.sql. VC905 has
# test/t/055_collection_timeouts.pl.
GENERAL = {"VC100", "VC110", "VC111", "VC905"}


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def functions():
    """{name: [argument names of each overload]} for what a user may call."""
    psql = ["psql", "-X", "-q", "-d"]
    subprocess.run([*psql, "postgres", "-c", "DROP DATABASE IF EXISTS docs", "-c", "CREATE DATABASE docs"], check=True)
    subprocess.run([*psql, "docs", "-c", "CREATE EXTENSION vectorcoll"], check=True)
    rows = subprocess.run([*psql, "docs", "-At", "-c", """
        SELECT p.proname, array_to_string(p.proargnames[:p.pronargs], ',') FROM pg_proc p
         WHERE p.pronamespace = 'vectorcoll'::regnamespace AND p.proname !~ '^_' AND p.prokind = 'f'
           AND p.prorettype NOT IN ('index_am_handler'::regtype, 'trigger'::regtype, 'event_trigger'::regtype, 'cstring'::regtype, 'internal'::regtype)
           AND NOT 'internal'::regtype = ANY (p.proargtypes)
           AND NOT EXISTS (SELECT FROM pg_type t WHERE p.oid IN (t.typinput, t.typoutput, t.typreceive, t.typsend))
         ORDER BY 1, 2"""], check=True, text=True, stdout=subprocess.PIPE).stdout
    found = collections.defaultdict(list)
    for line in rows.splitlines():
        name, arguments = line.split("|")
        found[name].append([argument for argument in arguments.split(",") if argument])
    return found


def sections(text):
    """(names in a ### heading, body) of each section."""
    for part in re.split(r"^### ", text, flags=re.M)[1:]:
        heading, body = part.split("\n", 1)
        yield re.findall(r"\w+", heading), re.split(r"^## ", body, flags=re.M)[0]


def statements():
    """Every statement of the tests that could try an error."""
    for path in [*glob.glob(os.path.join(ROOT, "test", "pgtap", "*.sql")), *glob.glob(os.path.join(ROOT, "test", "t", "*.pl"))]:
        yield from re.split(r";[ \t]*(?:--[^\n]*)?\n", read(path))
    for path in glob.glob(os.path.join(ROOT, "docs", "*.md")):
        for code, block in re.findall(r"^```sql error=(\w+)\n(.*?)^```", read(path), flags=re.M | re.S):
            yield code + " " + block


def tried_pairs(names):
    """(function, code) that one statement names, or one row of a list of calls."""
    tried = set()
    for statement in statements():
        units = [statement]
        if "VALUES" in statement:
            units += re.split(r"\),\s*\(", statement)
        for unit in units:
            codes = re.findall(r"VC\d{3}", unit)
            if codes:
                called = {name for name in re.findall(r"(\w+)\(", unit) if name in names}
                tried.update((name, code) for name in called for code in codes)
    return tried


def main():
    known = functions()
    text = read(os.path.join(ROOT, "docs", "reference.md"))
    described = collections.defaultdict(str)
    for names, body in sections(text):
        for name in {*names, *re.findall(r"^`(\w+)\(", body, flags=re.M)}:
            described[name] += body
    tried = tried_pairs(known)
    pages = "".join(read(path) for path in [os.path.join(ROOT, "README.md"), *glob.glob(os.path.join(ROOT, "docs", "*.md"))])
    number = failed = 0
    for name, overloads in sorted(known.items()):
        body = described.get(name, "")
        if not body and ELSEWHERE.search(name) and name + "(" in pages:
            continue
        faults = [] if body else ["no section of docs/reference.md is about it"]
        signatures = re.findall(r"^`" + name + r"\((.*?)\)(?: →|`)", body, flags=re.M)
        for overload in overloads if body else []:
            if not any("..." in signature or "as search" in signature or
                       all(re.search(r"\b" + argument + r"\b", signature) for argument in overload) for signature in signatures) and \
                    not re.search(r"`" + name + r"\([^`]*\.\.\.[^`]*\)`", body):
                faults.append(f"no signature with {', '.join(overload)}")
        if body and not re.search(r"```sql[^`]*vectorcoll\." + name + r"\(", body, flags=re.S):
            faults.append("no example")
        prose = re.sub(r"```.*?```", "", body, flags=re.S)
        # "VC200 (get_partition_stats)": of the functions of a section, only that one raises it.
        others = {code for code, whose in re.findall(r"(VC\d{3}) \(([a-z_, ]+)\)", prose) if name not in whose.split(", ")}
        for code in sorted(set(re.findall(r"VC\d{3}", prose)) - GENERAL - others):
            if (name, code) not in tried:
                faults.append(f"{code} is documented and not tried")
        number += 1
        failed += bool(faults)
        print(f"{'not ok' if faults else 'ok'} {number} - {name}")
        for fault in faults:
            print("# " + fault)
    print(f"1..{number}")
    return failed > 0


sys.exit(main())
