"""How tracking is doing: the day's numbers of a month, and what should alarm somebody.

An event has dropped silently when yesterday (in UTC) brought less than half of what the quietest of
the same weekdays of the four weeks before brought, and so few that chance alone explains it less
than once in a thousand. A source has stopped when nothing has come for a day from one that had
brought enough the week before that a whole day of silence is as improbable.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from math import sqrt
from typing import Any

from django.db.models import Count, Max, Sum
from django.urls import reverse

from apps.core.registry import Finding
from apps.core.wording import roughly
from apps.events import counting, wording
from apps.events.models import EventCount, EventViolation, RejectedEvent, Source

DAYS = 30
WEEK = 7
WEEKS_COMPARED = 4
# With fewer same weekdays to compare there is no alarm yet.
LEAST_WEEKS = 2
HALF = 0.5
# Standard deviations of a Poisson count: less than once in a thousand by chance.
IMPROBABLE = 3.0
SILENT_AFTER = timedelta(days=1)
# With so many a day, a day without any has a chance of less than one in a thousand.
BUSY_A_DAY = 7
SHOWN_NAMES = 25
SHOWN_VIOLATIONS = 15
COUNTED_REJECTED = 10_000

WHAT_PEOPLE_DO = ("track", "page", "screen", "identify", "group", "alias")
_SUMS = [
    "event", "identified", "server", "late", "campaign", "allowed", "refused", "violation",
    "browser_key", "server_key", "browser_joined", "server_joined",
]  # fmt: skip


@dataclass(frozen=True)
class Bar:
    """One day of a chart; `height` in hundredths of the highest."""

    day: date
    count: int
    height: float
    is_alarm: bool = False
    is_now: bool = False


@dataclass(frozen=True)
class Drop:
    """An event of which yesterday brought far too few."""

    name: str
    day: date
    count: int
    usual: int


@dataclass(frozen=True)
class Line:
    """One event of the table; shares are of the last seven days."""

    name: str
    bars: list[Bar]
    week: int
    yesterday: int
    usual: int | None
    identified: int
    server: int
    violations: int
    drop: Drop | None = None


@dataclass(frozen=True)
class Overlap:
    """By natural key: what both told, and what only one side did. In the last 30 days."""

    name: str
    total: int
    both: int
    only_browser: int
    only_server: int

    @property
    def share(self) -> int:
        return percent(self.both, self.total)


@dataclass(frozen=True)
class SourceState:
    """When a source was heard last, and whether that is too long ago."""

    name: str
    pk: int
    last_at: datetime | None
    week: int
    has_stopped: bool
    silence: str = ""


@dataclass
class Health:
    """All that the page shows."""

    is_empty: bool
    bars: list[Bar] = field(default_factory=list)
    totals: dict[str, int] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    overlaps: list[Overlap] = field(default_factory=list)
    sources: list[SourceState] = field(default_factory=list)
    violations: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[tuple[str, int]] = field(default_factory=list)
    drops: list[Drop] = field(default_factory=list)

    @property
    def stopped(self) -> list[SourceState]:
        return [source for source in self.sources if source.has_stopped]


def percent(part: int, whole: int) -> int:
    return round(100 * part / whole) if whole else 0


def read(now: datetime) -> Health:
    """The page's numbers; only the small table of the days' numbers is read."""
    today = now.astimezone(UTC).date()
    rows = _rows(today)
    sources = _sources(now, today)
    rejected = _rejected(now)
    if not rows and not rejected:
        return Health(is_empty=True, sources=sources)
    drops = find_drops(_series(rows), today)
    recent = [row for row in rows if row["day"] > today - timedelta(days=WEEK)]
    return Health(
        is_empty=False,
        bars=_bars(_by_day(row for row in rows if row["type"] in WHAT_PEOPLE_DO), today),
        totals=_totals(recent),
        lines=_lines(rows, recent, {drop.name: drop for drop in drops}, today),
        overlaps=_overlaps(row for row in rows if row["day"] > today - timedelta(days=DAYS)),
        sources=sources,
        violations=_violations(today),
        rejected=rejected,
        drops=drops,
    )


def report(now: datetime) -> list[Finding]:
    """What the admin's index says: what has dropped, and who has stopped."""
    today = now.astimezone(UTC).date()
    url = reverse("admin:events_eventdefinition_health")
    findings = [
        Finding(
            label=f"Fewer “{drop.name}” than usual",
            value=f"{drop.count:,}",
            note=f"Yesterday. On such a weekday there are usually {drop.usual:,}.",
            tone="danger",
            url=url,
        )
        for drop in find_drops(_series(_rows(today)), today)
    ]
    return findings + [
        Finding(
            label=f"{source.name} is silent",
            value=source.silence,
            note="It sent events every day until then. Look whether its snippet or key is gone.",
            tone="danger",
            url=url,
        )
        for source in _sources(now, today)
        if source.has_stopped
    ]


# --- alarms -------------------------------------------------------------------------------------

Series = dict[str, dict[date, int]]


def find_drops(series: Series, today: date) -> list[Drop]:
    """The events of which yesterday brought far fewer than any of the same weekdays before."""
    yesterday = today - timedelta(days=1)
    drops = []
    for name, by_day in sorted(series.items()):
        before = same_weekdays(by_day, yesterday)
        if before and is_drop(by_day.get(yesterday, 0), before):
            usual = sorted(before)[len(before) // 2]
            drops.append(Drop(name, yesterday, by_day.get(yesterday, 0), usual))
    return drops


def same_weekdays(by_day: dict[date, int], day: date) -> list[int]:
    """What the same weekday brought in the weeks before; days before the first event don't count.

    Empty where there are too few of them to say what is usual.
    """
    first = min(by_day, default=day)
    days = [day - timedelta(days=WEEK * week) for week in range(1, WEEKS_COMPARED + 1)]
    counts = [by_day.get(one, 0) for one in days if one >= first]
    return counts if len(counts) >= LEAST_WEEKS else []


def is_drop(count: int, before: Sequence[int]) -> bool:
    least = min(before)
    return count < HALF * least and least - count > IMPROBABLE * sqrt(least)


def _series(rows: Iterable[dict[str, Any]]) -> Series:
    series: Series = defaultdict(lambda: defaultdict(int))
    for row in rows:
        if row["type"] in ("track", "page", "identify") and (row["name"] or row["type"] != "track"):
            series[row["name"] or _KINDS[row["type"]]][row["day"]] += row["event_count"]
    return series


_KINDS = {"page": "Page views", "identify": "Log-ins and sign-ups (identify)"}


# --- the numbers --------------------------------------------------------------------------------


def _rows(today: date) -> list[dict[str, Any]]:
    """The days' numbers of as many weeks as an alarm looks back, all sources together."""
    since = today - timedelta(days=max(DAYS, WEEK * WEEKS_COMPARED + 1))
    rows = EventCount.objects.filter(day__gte=since, day__lte=today, source__is_internal=False)
    sums = {f"{name}_count": Sum(f"{name}_count") for name in _SUMS}
    grouped = rows.values("day", "type", "name").annotate(**sums).order_by("day")
    return [dict(row) for row in grouped]


def _by_day(rows: Iterable[dict[str, Any]]) -> dict[date, int]:
    by_day: dict[date, int] = defaultdict(int)
    for row in rows:
        by_day[row["day"]] += row["event_count"]
    return by_day


def _bars(by_day: dict[date, int], today: date, alarm: date | None = None) -> list[Bar]:
    days = [today - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
    highest = max((by_day.get(day, 0) for day in days), default=0) or 1
    return [
        Bar(
            day=day,
            count=(count := by_day.get(day, 0)),
            height=round(100 * count / highest, 1),
            is_alarm=day == alarm,
            is_now=day == today,
        )
        for day in days
    ]


def _totals(recent: list[dict[str, Any]]) -> dict[str, int]:
    """The tiles: the last seven days, today included."""

    def total(field: str, *types: str) -> int:
        return sum(row[f"{field}_count"] for row in recent if not types or row["type"] in types)

    events = total("event", *WHAT_PEOPLE_DO)
    pages = total("event", "page")
    answered = total("event", *WHAT_PEOPLE_DO, "dropped", "duplicate")
    allowed, refused = total("allowed"), total("refused")
    return {
        "events": events,
        "identified": percent(total("identified", *WHAT_PEOPLE_DO), events),
        "late": percent(total("late", *WHAT_PEOPLE_DO), events),
        "violations": total("violation"),
        "repeats": total("event", counting.REPEAT),
        "duplicates": total("event", "duplicate"),
        "dropped": total("event", "dropped"),
        "pages": pages,
        "campaign": percent(total("campaign", "page"), pages),
        "allowed": percent(allowed, answered),
        "refused": percent(refused, answered),
        "silent": max(0, 100 - percent(allowed, answered) - percent(refused, answered))
        if answered
        else 0,
    }


def _lines(
    rows: list[dict[str, Any]], recent: list[dict[str, Any]], drops: dict[str, Drop], today: date
) -> list[Line]:
    weeks: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in recent:
        if row["type"] in ("track", "page", "identify"):
            name = row["name"] or _KINDS.get(row["type"], "")
            for field_name in ("event", "identified", "server", "violation"):
                weeks[name][field_name] += row[f"{field_name}_count"]
    yesterday = today - timedelta(days=1)
    lines = []
    for name, by_day in _series(rows).items():
        week, before = weeks[name], same_weekdays(by_day, yesterday)
        drop = drops.get(name)
        lines.append(
            Line(
                name=name,
                bars=_bars(by_day, today, drop.day if drop else None),
                week=week["event"],
                yesterday=by_day.get(yesterday, 0),
                usual=sorted(before)[len(before) // 2] if before else None,
                identified=percent(week["identified"], week["event"]),
                server=percent(week["server"], week["event"]),
                violations=week["violation"],
                drop=drop,
            )
        )
    return sorted(lines, key=lambda line: (line.drop is None, -line.week, line.name))[:SHOWN_NAMES]


def _overlaps(rows: Iterable[dict[str, Any]]) -> list[Overlap]:
    sums: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        for name in ("browser_key", "server_key", "browser_joined", "server_joined"):
            sums[row["name"]][name] += row[f"{name}_count"]
    overlaps = []
    for name, one in sorted(sums.items()):
        total = one["browser_key"] + one["server_key"]
        if name and total:
            overlaps.append(
                Overlap(
                    name=name,
                    total=total,
                    both=min(one["browser_joined"] + one["server_joined"], total),
                    only_browser=max(0, one["browser_key"] - one["server_joined"]),
                    only_server=max(0, one["server_key"] - one["browser_joined"]),
                )
            )
    return overlaps


def _sources(now: datetime, today: date) -> list[SourceState]:
    since = today - timedelta(days=2 * WEEK)
    rows = EventCount.objects.filter(day__gte=since, source__in=Source.objects.sending())
    heard: dict[int, datetime] = {}
    by_day: dict[int, dict[date, int]] = defaultdict(dict)
    found = rows.values("source_id", "day").annotate(last=Max("last_at"), count=Sum("event_count"))
    for row in found.order_by("day"):
        pk = row["source_id"]
        heard[pk] = max(row["last"], heard.get(pk, row["last"]))
        by_day[pk][row["day"]] = row["count"]
    return [
        _state(source, heard.get(source.pk), by_day[source.pk], now)
        for source in Source.objects.sending().order_by("name")
    ]


def _state(
    source: Source, last_at: datetime | None, by_day: dict[date, int], now: datetime
) -> SourceState:
    silence = now - last_at if last_at else timedelta()
    last_day = last_at.astimezone(UTC).date() if last_at else None
    days = [last_day - timedelta(days=back) for back in range(1, WEEK + 1)] if last_day else []
    is_busy = bool(days) and min(by_day.get(day, 0) for day in days) >= BUSY_A_DAY
    today = now.astimezone(UTC).date()
    return SourceState(
        name=source.name,
        pk=source.pk,
        last_at=last_at,
        week=sum(count for day, count in by_day.items() if day > today - timedelta(days=WEEK)),
        has_stopped=is_busy and silence > SILENT_AFTER,
        silence=roughly(silence) if last_at else "",
    )


def _violations(today: date) -> list[dict[str, Any]]:
    rows = EventViolation.objects.filter(day__gt=today - timedelta(days=WEEK))
    found = rows.values("definition_id", "definition__name", "property", "reason").annotate(
        total=Sum("count")
    )
    return [
        {
            "name": row["definition__name"],
            "url": reverse("admin:events_eventdefinition_change", args=[row["definition_id"]]),
            "what": wording.violation_in_words(row["property"], row["reason"]),
            "count": row["total"],
        }
        for row in found.order_by("-total", "definition__name", "property")[:SHOWN_VIOLATIONS]
    ]


def _rejected(now: datetime) -> list[tuple[str, int]]:
    """Why events of the last seven days could not be used; of the newest ones only."""
    newest = RejectedEvent.objects.filter(rejected_at__gt=now - timedelta(days=WEEK))
    newest_ids = newest.order_by("-rejected_at").values("pk")[:COUNTED_REJECTED]
    found = RejectedEvent.objects.filter(pk__in=newest_ids).values_list("reason")
    rows = found.annotate(count=Count("pk")).order_by("-count", "reason")
    return [(wording.reason_in_words(reason), count) for reason, count in rows]
