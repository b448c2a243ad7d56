"""The live debugger: the newest events as they come, and what one of them did, or why nothing."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Max, Q, QuerySet

from apps.core.pages import model_url, object_url
from apps.core.wording import roughly
from apps.events import selectors, wording
from apps.events.counting import LATE
from apps.events.models import Event, RejectedEvent
from apps.events.registry import Effect, effect_sources

SHOWN = 50
# So many of the newest events a filter looks through, so that it costs the same in any log.
LOOKED_THROUGH = 100_000
LOOKED_THROUGH_REJECTED = 10_000
# Two workers may finish in another order than they began: ids so far back may still be new.
OVERLAP = 500
# Less than that is the way through the network.
IN_STEP = timedelta(seconds=30)

May = Callable[[str], bool]


@dataclass(frozen=True)
class Wish:
    """What staff wants to see; empty means everything."""

    source_id: int | None = None
    name: str = ""
    person: str = ""


@dataclass(frozen=True)
class Row:
    """One line of the list."""

    kind: str
    pk: int
    at: datetime
    title: str
    source: str
    person: str = ""
    tone: str = "neutral"
    notes: list[str] = field(default_factory=list)


def newest(wish: Wish, *, after: int = 0, known: Collection[str] = ()) -> list[Row]:
    """The newest events and rejected ones, newest first; without those that are known.

    `after` is the highest id of an event that was shown before; `known` are marks as in “e17”.
    """
    events = _event_ids(wish, after)
    rejected = _rejected_ids(wish)
    wanted_events = [pk for pk in events if f"e{pk}" not in known]
    wanted_rejected = [pk for pk in rejected if f"r{pk}" not in known]
    rows: list[Row] = []
    if wanted_events:
        found = Event.objects.filter(pk__in=wanted_events).select_related("contact", "source")
        rows += [_row(event) for event in found]
    if wanted_rejected:
        unused = RejectedEvent.objects.filter(pk__in=wanted_rejected).select_related("source")
        rows += [_rejected_row(one) for one in unused]
    return sorted(rows, key=lambda row: (row.at, row.pk), reverse=True)[:SHOWN]


def _event_ids(wish: Wish, after: int) -> list[int]:
    last = Event.objects.order_by("-id").values_list("pk", flat=True)[:1]
    newest_id = next(iter(last), None)
    if newest_id is None:
        return []
    events: QuerySet[Event] = Event.objects.all()
    if wish.person:
        events = selectors.events_of(wish.person)
    else:
        events = events.filter(pk__gt=newest_id - LOOKED_THROUGH)
    if after:
        events = events.filter(pk__gt=after - OVERLAP)
    if wish.source_id:
        events = events.filter(source_id=wish.source_id)
    if wish.name:
        events = events.filter(name=wish.name)
    return list(events.order_by("-id").values_list("pk", flat=True)[:SHOWN])


def _rejected_ids(wish: Wish) -> list[int]:
    newest_id = RejectedEvent.objects.aggregate(newest=Max("pk"))["newest"]
    if newest_id is None:
        return []
    rows = RejectedEvent.objects.filter(pk__gt=newest_id - LOOKED_THROUGH_REJECTED)
    if wish.source_id:
        rows = rows.filter(source_id=wish.source_id)
    if wish.name:
        rows = rows.filter(payload__event=wish.name)
    if wish.person:
        rows = rows.filter(_is_about(wish.person))
    return list(rows.order_by("-id").values_list("pk", flat=True)[:SHOWN])


def _is_about(person: str) -> Q:
    return Q(person_keys__overlap=selectors.keys_of(person))


def _row(event: Event) -> Row:
    notes = notes_of(event)
    is_quiet = event.type in (Event.Type.DROPPED, Event.Type.DUPLICATE)
    return Row(
        kind="event",
        pk=event.pk,
        at=event.received_at,
        title=event.name or wording.headline(event),
        source=event.source.name,
        person=str(event.contact) if event.contact else event.anonymous_id,
        tone="quiet" if is_quiet else "warning" if notes else "neutral",
        notes=[_KINDS[event.type]] if event.type == Event.Type.DUPLICATE else notes,
    )


def _rejected_row(one: RejectedEvent) -> Row:
    payload = one.payload if isinstance(one.payload, dict) else {}
    name = payload.get("event") or payload.get("type")
    return Row(
        kind="rejected",
        pk=one.pk,
        at=one.rejected_at,
        title=str(name)[:200] if isinstance(name, str) else "Unreadable",
        source=one.source.name,
        tone="danger",
        notes=[wording.reason_in_words(one.reason), *filter(None, [one.detail[:200]])],
    )


# --- one event ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Clock:
    """When it was, by whose clock."""

    label: str
    at: datetime | None
    note: str = ""


@dataclass(frozen=True)
class Group:
    """What one floor did because of an event."""

    label: str
    effects: list[Effect]


@dataclass(frozen=True)
class Detail:
    """All that is known of one event."""

    title: str
    facts: list[tuple[str, str, str]]
    clocks: list[Clock]
    notes: list[str]
    payload: dict[str, Any]
    groups: list[Group]
    url: str
    nothing: list[str] = field(default_factory=list)


def look_into(event: Event, *, may: May) -> Detail:
    """One event with its effects, each by a fixed number of questions."""
    groups = [
        Group(source.label, effects)
        for source in effect_sources()
        if may(source.permission) and (effects := source.read(event))
    ]
    person = object_url(event.contact) if event.contact and may("contacts.view_contact") else ""
    return Detail(
        title=event.name or wording.headline(event),
        facts=[
            ("Type", event.type, ""),
            ("Source", event.source.name, ""),
            ("Key", "secret (a server)" if event.is_trusted else "public (a browser)", ""),
            ("Person", str(event.contact or "nobody we know"), person),
            ("Browser", event.anonymous_id or "–", ""),
            ("Message ID", event.message_id, ""),
        ],
        clocks=clocks_of(event),
        notes=notes_of(event),
        payload={"properties": event.properties, "context": event.context},
        groups=groups,
        nothing=why_nothing(event),
        url=object_url(event),
    )


def look_into_rejected(one: RejectedEvent) -> Detail:
    return Detail(
        title="Rejected",
        facts=[
            ("Source", one.source.name, ""),
            ("Key", "secret (a server)" if one.is_secret else "public (a browser)", ""),
            ("Message ID", one.message_id or "–", ""),
        ],
        clocks=[Clock("Received", one.received_at), Clock("Rejected", one.rejected_at)],
        notes=[wording.reason_in_words(one.reason), *filter(None, [one.detail])],
        payload=one.payload,
        groups=[],
        nothing=[
            "It was rejected, so nothing came of it."
            if one.replayed_at is None
            else "It was replayed: look for the event itself."
        ],
        url=object_url(one),
    )


def clocks_of(event: Event) -> list[Clock]:
    """The client's clock, ours, and what was made of both."""
    clocks = [
        Clock("Happened, by the client’s clock", event.original_at),
        Clock("Sent, by the client’s clock", event.sent_at, skew_in_words(event)),
        Clock("Received, by ours", event.received_at),
    ]
    late = event.received_at - event.occurred_at
    note = f"it came {roughly(late)} later" if late > LATE and not event.is_backfill else ""
    return [*clocks, Clock("Counts as of", event.occurred_at, note)]


def skew_in_words(event: Event) -> str:
    """How far the client's clock is from ours, by when it says it sent the event."""
    if event.sent_at is None:
        return "not told, so its clock could not be corrected" if event.original_at else ""
    skew = event.sent_at - event.received_at
    if abs(skew) < IN_STEP:
        return "in step with ours"
    return f"{roughly(abs(skew))} {'ahead of' if skew > timedelta() else 'behind'} ours"


def notes_of(event: Event) -> list[str]:
    """What the pipeline noted, in words."""
    context = event.context if isinstance(event.context, dict) else {}
    noted = context.get("cuepost")
    noted = noted if isinstance(noted, dict) else {}
    notes = []
    if noted.get("identity") == "unverified":
        notes.append("A browser named a person that it may not speak for")
    if clock := noted.get("clock"):
        notes.append(_CLOCKS.get(clock, str(clock)))
    for name in ("notes", "violations"):
        told = noted.get(name)
        notes += [str(one) for one in told] if isinstance(told, list) else []
    return notes


def why_nothing(event: Event) -> list[str]:
    """Why an event by its kind has no effect, or not all of it."""
    if event.type in _KINDS:
        return [f"{_KINDS[event.type]}."]
    reasons = []
    if event.is_backfill:
        reasons.append("It is imported history, which starts no workflow.")
    if event.contact_id is None:
        reasons.append(
            "It is nobody’s yet. Workflows see it once its browser is known to be somebody’s."
        )
    return reasons


_KINDS = {
    Event.Type.DROPPED.value: "Tracking was refused: nothing was kept but that it came",
    Event.Type.DUPLICATE.value: "A duplicate: another event tells the same, and that one counts",
}
_CLOCKS = {
    "future": "The client’s clock is ahead; our time counts",
    "unreadable": "Its time could not be read; our time counts",
}


def original_url(event: Event) -> str:
    """The page of the event that counts in place of a duplicate."""
    noted = event.context.get("cuepost") if isinstance(event.context, dict) else None
    told = noted.get("duplicate_of") if isinstance(noted, dict) else None
    if not isinstance(told, dict):
        return ""
    row = (
        Event.objects.filter(
            source_id=told.get("source_id") or 0,
            message_id=told.get("message_id") or "",
            received_at__gte=event.received_at - timedelta(days=90),
        )
        .values_list("pk", flat=True)
        .first()
    )
    return model_url(Event, "change", row) if row else ""
