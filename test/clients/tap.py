"""What the tests of client libraries share: TAP on stdout. A test is a function; it fails by raising."""
import sys
import traceback


def run(*tests):
    """Runs the tests, prints a result for each, and ends the program."""
    failed = 0
    print(f"1..{len(tests)}")
    for number, test in enumerate(tests, 1):
        name = test.__name__.replace("_", " ")
        try:
            test()
            print(f"ok {number} - {name}", flush=True)
        except Exception:
            failed += 1
            print(f"not ok {number} - {name}", *traceback.format_exc().splitlines(), sep="\n# ", flush=True)
    sys.exit(failed > 0)


def equal(found, expected):
    """Asserts equality, showing both sides."""
    assert found == expected, f"found {found!r}, expected {expected!r}"


def raises(sqlstate, action):
    """Asserts that action fails with this SQLSTATE, whatever the driver calls it."""
    try:
        action()
    except Exception as error:
        error = getattr(error, "orig", error)
        equal(getattr(error, "sqlstate", None) or getattr(error, "pgcode", None), sqlstate)
        return
    raise AssertionError(f"no error where {sqlstate} was expected")
