"""What a merge of two contacts means for what they allow.

Sealed records stay with whom they were made for. What holds for the survivor is said anew: a no of
either is a no of both, and a yes of the merged contact counts where the survivor has said nothing.
Each such record points at the one it rests on. A yes that ends some day is not prolonged by a
merge, so it stays behind.

Undone, what the survivor had said before holds again, by one more record: none is ever taken out of
the ledger. Where they had said nothing, that record says so.
"""

from datetime import datetime
from typing import Any

from apps.consent import services
from apps.consent.models import (
    ConsentRecord,
    ConsentState,
    MailPreference,
    PrivacyRequest,
    Purpose,
    Restriction,
    Status,
)
from apps.consent.services import Statement
from apps.contacts import merging
from apps.contacts.registry import (
    Belonging,
    Merge,
    MergeLock,
    Moved,
    NotNow,
    register_belonging,
    register_merge_lock,
)
from apps.core.wording import spelled

SOURCE = "merge"
_WISH = ("frequency", "paused_until")

Key = tuple[str, str | None]


# ---- Consents ----


def merge_states(job: Merge) -> Moved:
    own, theirs = _states(job.survivor_id), _states(job.merged_id)
    ending = set(Purpose.objects.exclude(validity_months=None).values_list("key", flat=True))
    statements = [
        _repeat(job.survivor_id, state, merged=job.merged_id)
        for key, state in theirs.items()
        if _counts(state, own.get(key), is_ending=key[0] in ending)
    ]
    services.record_consents(statements=statements, now=job.now)
    for key, state in theirs.items():
        _keep_the_later_no(job.survivor_id, key, state.denied_at)
    after = _states(job.survivor_id)
    return Moved(values={"states": _changes(own, after)} if _changes(own, after) else {})


def tell_states(contact_id: int) -> str:
    """What holds for somebody, in words."""
    return ", ".join(
        f"{spelled(topic or purpose)}: {state.get_status_display()}"
        for (purpose, topic), state in _states(contact_id).items()
    )


def undo_states(job: Merge, moved: Moved) -> None:
    """What was said since then stays."""
    states = _states(job.survivor_id)
    statements: list[Statement] = []
    for change in moved.values.get("states", []):
        state = states.get((change["purpose"], change["topic"]))
        if state is None or state.record_id != change["record"]:
            continue
        before = change["before"]
        # The limit that the merge had set for a yes that comes late goes too.
        ConsentState.objects.filter(pk=state.pk).update(
            denied_at=before["denied_at"] if before else None
        )
        status = before["status"] if before else Status.UNSAID
        if status != state.status:
            statements.append(_take_back(state, status, before))
    services.record_consents(statements=statements, now=job.now)


def _states(contact_id: int) -> dict[Key, ConsentState]:
    rows = ConsentState.objects.filter(contact=contact_id).select_related("record")
    return {(row.purpose_id, row.topic_id): row for row in rows.order_by("pk")}


def _counts(state: ConsentState, own: ConsentState | None, *, is_ending: bool) -> bool:
    if state.status == Status.DENIED:
        return own is None or own.status != Status.DENIED
    is_silent = own is None or own.status == Status.UNSAID
    return state.status == Status.GRANTED and is_silent and not is_ending


def _repeat(survivor_id: int, state: ConsentState, *, merged: int) -> Statement:
    record = state.record
    return Statement(
        contact_id=survivor_id,
        purpose=state.purpose_id,
        topic=state.topic_id,
        status=state.status,
        method=ConsentRecord.Method.MERGE,
        source=SOURCE,
        wording_version=record.wording_version,
        jurisdiction=record.jurisdiction,
        evidence={"contact": merged, "record": record.pk, "record_hash": record.record_hash},
        is_explicit=False,
    )


def _take_back(state: ConsentState, status: str, before: dict[str, Any] | None) -> Statement:
    rests_on = {"rests_on": before["record"]} if before else {}
    return Statement(
        contact_id=state.contact_id,
        purpose=state.purpose_id,
        topic=state.topic_id,
        status=status,
        method=ConsentRecord.Method.MERGE,
        source="merge undone",
        evidence={"undone_record": state.record_id, **rests_on},
        is_explicit=False,
    )


def _keep_the_later_no(survivor_id: int, key: Key, denied_at: datetime | None) -> None:
    """A yes that comes late is judged by the last no of either."""
    rows = ConsentState.objects.filter(contact=survivor_id, purpose=key[0], topic=key[1])
    if denied_at is not None:
        rows.filter(denied_at=None).update(denied_at=denied_at)
        rows.filter(denied_at__lt=denied_at).update(denied_at=denied_at)


def _changes(own: dict[Key, ConsentState], after: dict[Key, ConsentState]) -> list[dict[str, Any]]:
    return [
        {
            "purpose": key[0],
            "topic": key[1],
            "record": state.record_id,
            "before": _told(own.get(key)),
        }
        for key, state in after.items()
        if _told(own.get(key)) != _told(state)
    ]


def _told(state: ConsentState | None) -> dict[str, Any] | None:
    if state is None:
        return None
    denied_at = state.denied_at and state.denied_at.isoformat()
    return {"status": state.status, "record": state.record_id, "denied_at": denied_at}


# ---- How often they want mail ----


def merge_wishes(job: Merge) -> Moved:
    """Who wants mail more rarely is heard."""
    theirs = MailPreference.objects.filter(contact=job.merged_id).first()
    if theirs is None:
        return Moved()
    own = MailPreference.objects.select_for_update().filter(contact=job.survivor_id).first()
    before = _wish(own)
    frequency = theirs.frequency
    if own and MailPreference.Frequency.WEEKLY in (own.frequency, theirs.frequency):
        frequency = MailPreference.Frequency.WEEKLY
    pauses = [wish.paused_until for wish in (own, theirs) if wish and wish.paused_until]
    merged = MailPreference(
        contact_id=job.survivor_id,
        frequency=frequency,
        paused_until=max(pauses, default=None),
        changed_at=own.changed_at if own else theirs.changed_at,
    )
    merged.save()
    return Moved(values={"before": before, "after": _wish(merged)})


def undo_wishes(job: Merge, moved: Moved) -> None:
    rows = MailPreference.objects.filter(contact=job.survivor_id)
    if _wish(rows.first()) != moved.values["after"]:
        return
    if before := moved.values["before"]:
        rows.update(**before)
    else:
        rows.delete()


def _wish(wish: MailPreference | None) -> dict[str, Any] | None:
    if wish is None:
        return None
    paused_until = wish.paused_until and wish.paused_until.isoformat()
    return {"frequency": wish.frequency, "paused_until": paused_until}


# ---- What they asked for under privacy law ----


def merge_requests(job: Merge) -> Moved:
    """Each is answered, but not two of the same kind for one person."""
    theirs = PrivacyRequest.objects.filter(contact=job.merged_id)
    waiting = ["unverified", "open"]
    own = PrivacyRequest.objects.filter(contact=job.survivor_id, status__in=waiting)
    if theirs.filter(status__in=waiting, kind__in=own.values("kind")).exists():
        raise NotNow("Both have asked for the same about their data. Answer one request first.")
    return merging.move_all(job, "consent.PrivacyRequest")


def merge_restrictions(job: Merge) -> Moved:
    """What may not be used of one may not be used of both."""
    theirs = Restriction.objects.filter(contact=job.merged_id).first()
    if theirs is None:
        return Moved()
    _, is_new = Restriction.objects.get_or_create(
        contact_id=job.survivor_id, defaults={"since": theirs.since}
    )
    return Moved(values={"since": theirs.since.isoformat()} if is_new else {})


def undo_restrictions(job: Merge, moved: Moved) -> None:
    rows = Restriction.objects.filter(contact=job.survivor_id, since=moved.values["since"])
    rows.delete()


def hold_ledgers(job: Merge) -> None:
    """What is said meanwhile waits, and is the survivor's word then."""
    services.lock_ledgers({job.survivor_id, job.merged_id})


def register() -> None:
    register_merge_lock(MergeLock("consent", 15, hold_ledgers))
    register_belonging(
        Belonging(
            "consent.ConsentRecord",
            50,
            label="Consent records",
            stays="each stays where it was sealed",
        )
    )
    register_belonging(
        Belonging(
            "consent.ConsentState",
            51,
            label="What they allow",
            merge=merge_states,
            undo=undo_states,
            tell=tell_states,
            note="a no of either counts",
        )
    )
    register_belonging(
        Belonging("consent.MailPreference", 52, merge=merge_wishes, undo=undo_wishes)
    )
    register_belonging(Belonging("consent.PendingSignup", 53))
    register_belonging(
        Belonging("consent.PrivacyRequest", 54, label="Privacy requests", merge=merge_requests)
    )
    register_belonging(
        Belonging("consent.Restriction", 55, merge=merge_restrictions, undo=undo_restrictions)
    )
