"""Runs the SQL in README.md and docs/, so that what a reader pastes works.

Each page gets a fresh database with the extension, except that README.md creates it itself, and its ```sql blocks run
there in order, in one psql session. A block must raise no error. The words after ```sql say otherwise: error=SQLSTATE,
the block must raise that error; skip, it is not run. A ```result block right after it must equal psql's output of that
block. Output is TAP, one result a block.
"""
import glob
import os
import re
import subprocess
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
FENCE = re.compile(r"^```(.*)$")
ERROR = re.compile(r"^psql:<stdin>:\d+: (?:ERROR|FATAL):  (\w{5}):", re.M)


def blocks(page):
    """Yields (line, words after sql, text, expected output or None) for each sql block of a page."""
    found, words, start, text = [], None, 0, []
    with open(page, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            fence = FENCE.match(line)
            if words is None and fence:
                words, start, text = fence.group(1).split(), number, []
            elif words is not None and line.rstrip() == "```":
                if words[:1] == ["sql"]:
                    found.append([start, words[1:], "".join(text), None])
                elif words == ["result"] and found:
                    found[-1][3] = "".join(text)
                words = None
            elif words is not None:
                text.append(line)
    return found


def run(script, prepare):
    """Runs a script in a fresh database; returns psql's output with errors in their places."""
    psql = ["psql", "-X", "-q", "-d"]
    subprocess.run([*psql, "postgres", "-c", "DROP DATABASE IF EXISTS docs", "-c", "CREATE DATABASE docs"], check=True)
    if prepare:
        subprocess.run([*psql, "docs", "-c", "CREATE EXTENSION vectorcoll"], check=True)
    return subprocess.run([*psql, "docs", "-P", "pager=off", "-v", "VERBOSITY=verbose", "-f", "-"], input=script, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False).stdout


def fault(words, expected, output):
    """What is wrong with a block's output, or None."""
    wanted = [word[6:] for word in words if word.startswith("error=")]
    raised = ERROR.findall(output)
    if raised != wanted:
        return f"raised {raised or 'nothing'}, expected {wanted or 'nothing'}"
    if expected is not None and [line.rstrip() for line in expected.strip().splitlines()] != \
            [line.rstrip() for line in output.strip().splitlines()]:
        return "printed something else"
    return None


def main():
    number = failed = 0
    for page in [os.path.join(ROOT, "README.md"), *sorted(glob.glob(os.path.join(ROOT, "docs", "**", "*.md"), recursive=True))]:
        found = [block for block in blocks(page) if "skip" not in block[1]]
        if not found:
            continue
        output = run("".join(f"\\echo <<block {i}>>\n{block[2]}\n" for i, block in enumerate(found)),
                     os.path.basename(page) != "README.md")
        parts = re.split(r"^<<block \d+>>\n", output, flags=re.M)[1:] + [""] * len(found)
        for (line, words, _, expected), part in zip(found, parts):
            number += 1
            wrong = fault(words, expected, part)
            failed += wrong is not None
            print(f"{'not ok' if wrong else 'ok'} {number} - {os.path.relpath(page, ROOT)} line {line}")
            if wrong:
                print(f"# {wrong}", *part.splitlines(), sep="\n# ")
    print(f"1..{number}" if number else "1..0 # SKIP no examples yet")
    return failed > 0


sys.exit(main())
