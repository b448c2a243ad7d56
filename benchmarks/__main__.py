"""`make bench`, or `python -m benchmarks [NAME …]`: measure, and print one table."""

import importlib
import os
import platform
import signal
import sys
import time

import django

from benchmarks import database, results

# In this order, when none is named.
USUAL = ["accept", "process", "advance", "send", "latency"]
# These fill a large database first, so only on request.
LONG = ["segments", "growth"]


def main() -> None:
    names = sys.argv[1:] or USUAL
    if unknown := [name for name in names if name not in USUAL + LONG]:
        sys.exit(f"There is no benchmark {unknown[0]!r}; choose from {', '.join(USUAL + LONG)}.")
    began = time.monotonic()
    # As Ctrl-C does: what was started is stopped, and the database removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with database.prepared():
        django.setup()
        ground = importlib.import_module("benchmarks.ground")
        laid = ground.lay()
        rows: list[results.Result] = []
        try:
            for name in names:
                ground.settle()
                _say(f"{name} …")
                found = importlib.import_module(f"benchmarks.{name}").run(laid)
                _say("".join(f"  {row.path}: {row.ours} ({row.ratio})\n" for row in found))
                rows += found
        finally:
            # Also of a run that was broken off.
            print(results.table(rows))
        print(f"\n{_machine()} Took {time.monotonic() - began:.0f} s.")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _machine() -> str:
    connection = importlib.import_module("django.db").connection
    major, minor = divmod(connection.pg_version, 10000)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, "
        f"PostgreSQL {major}.{minor}; load average in the end {load}."
    )


if __name__ == "__main__":
    main()
