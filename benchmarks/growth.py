"""Flat cost: process, advance and send, and once more when the tables have ten times the rows."""

import statistics
from collections import Counter
from datetime import UTC, datetime

from django.db import connection

from benchmarks import advance, crowd, process, send
from benchmarks.ground import Ground
from benchmarks.results import Result

ROUNDS = 3
CONTACTS = 10_000
EVENTS = 100_000
# Slower than this by growth alone would be a cost that grows with the tables.
FLAT = 0.8
# A table of a few rows is read as a whole with good reason.
FEW = 5_000
SCANS = """
SELECT relname, seq_tup_read FROM pg_stat_user_tables
WHERE n_live_tup > %s AND relname NOT LIKE 'bench%%'
"""
PATHS = ("process events", "advance enrollments", "send mails")


def run(laid: Ground) -> list[Result]:
    """Each rate is taken as a share of its bare counterpart's, which meets the same machine."""
    now = datetime.now(UTC)
    crowd.add(laid, contacts=CONTACTS, events=EVENTS, now=now, is_whole=True)
    small = _measure(laid)
    crowd.add(laid, contacts=9 * CONTACTS, events=9 * EVENTS, now=now, is_whole=True)
    before = _rows_scanned()
    large = _measure(laid)
    scanned = _rows_scanned() - before
    results = [
        Result(
            path=f"{path}, tables ten times as large",
            ours=f"{after:.0%} of bare",
            bare=f"{then:.0%} with a tenth",
            ratio=f"{after / then:.0%}",
            budget="flat",
            is_met=after / then >= FLAT,
        )
        for path, then, after in zip(PATHS, small, large, strict=True)
    ]
    told = ", ".join(sorted(scanned)) or "none"
    return [*results, Result("– tables read row by row", told, "–", "–", "none", not scanned)]


def _measure(laid: Ground) -> tuple[float, float, float]:
    with send.to_the_sink() as port:
        rounds = [_round(laid, port) for _ in range(ROUNDS)]
    processed, advanced, sent = (statistics.median(shares) for shares in zip(*rounds, strict=True))
    return processed, advanced, sent


def _round(laid: Ground, port: int) -> tuple[float, float, float]:
    processed, rows = process.compare(laid)
    advanced, written = advance.compare()
    sent, built, _ = send.compare(port)
    return processed / rows, advanced / written, sent / built


def _rows_scanned() -> Counter[str]:
    """How many rows of each large table were read without an index."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute(SCANS, [FEW])
        return Counter(dict(cursor.fetchall()))
