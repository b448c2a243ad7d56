"""Two contacts side by side, for whoever decides if they are one."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.apps import apps
from django.contrib.admin.utils import label_for_field
from django.utils.text import capfirst

from apps.contacts import merging, registry
from apps.contacts.models import Contact, MergeLog, MergeSuggestion
from apps.contacts.registry import Belonging
from apps.core.pages import model_url
from apps.core.registry import Finding
from apps.core.selectors import count_up_to
from apps.core.wording import up_to

MAX_COUNTED = 1000


def report_open(now: datetime) -> list[Finding]:
    """What the index page says of pairs that wait for a decision."""
    rows = MergeSuggestion.objects.filter(status=MergeSuggestion.Status.OPEN)
    count = count_up_to(rows, MAX_COUNTED)
    if not count:
        return []
    return [
        Finding(
            label="Possible duplicates",
            value=up_to(count, MAX_COUNTED),
            note="Two contacts who may be one person. Nobody is merged before you have decided.",
            tone="neutral",
            url=model_url(MergeSuggestion, state="open"),
        )
    ]


@dataclass(frozen=True)
class Line:
    """One thing that is known of either, and what is known afterwards."""

    label: str
    own: str
    other: str
    after: str


@dataclass(frozen=True)
class Count:
    """How many rows of a kind either has, or what they say."""

    label: str
    own: str
    other: str
    note: str


def compare(survivor: Contact, merged: Contact) -> list[Line]:
    own, other = merging.values_of(survivor), merging.values_of(merged)
    return _lines(own, other, merging.combined(own, other))


def read_log(log: MergeLog) -> list[Line]:
    """The same as it was when they were merged; nothing where the person was erased since."""
    before = log.before
    return _lines(before["survivor"], before["merged"], log.after) if before else []


def count_belongings(survivor: Contact, merged: Contact) -> list[Count]:
    return [
        Count(
            one.label,
            _tell(one, survivor.pk),
            _tell(one, merged.pk),
            one.note or one.stays or "all",
        )
        for one in registry.belongings()
        if one.label
    ]


def count_moved(log: MergeLog) -> list[tuple[str, int]]:
    """How many rows of each kind have moved."""
    counts = {move.table: len(move.row_ids) for move in log.moves.all()}
    return [
        (one.label, counts[one.name])
        for one in registry.belongings()
        if one.label and counts.get(one.name)
    ]


def _tell(one: Belonging, contact_id: int) -> str:
    if one.tell:
        return one.tell(contact_id)
    rows = apps.get_model(one.model)._default_manager.filter(**{one.field: contact_id})
    return up_to(count_up_to(rows, MAX_COUNTED), MAX_COUNTED)


def _lines(own: dict[str, Any], other: dict[str, Any], after: dict[str, Any]) -> list[Line]:
    names = [column for column in merging.COLUMNS if column != "attributes"]
    labels = {name: capfirst(str(label_for_field(name, Contact))) for name in names}
    plain = [Line(labels[name], *_texts(name, own, other, after)) for name in labels]
    sides = (own["attributes"], other["attributes"], after["attributes"])
    others = sorted({name for side in sides for name in side})
    told = [Line(name, *_texts(name, *sides)) for name in others]
    return [line for line in [*plain, *told] if line.own or line.other]


def _texts(name: str, *sides: dict[str, Any]) -> Iterable[str]:
    return [str(value) if (value := side.get(name)) not in (None, "") else "" for side in sides]
