"""What a batch of events does to workflows: leave, wake, restart, enter, in this order."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from apps.events.models import Event
from apps.events.registry import Batch, ProcessedEvent
from apps.workflows import entry, exits, history, plan, store
from apps.workflows.entry import Applicant, Refusals
from apps.workflows.models import Enrollment
from apps.workflows.plan import Plan
from apps.workflows.store import Entry, LogRow, entry_of

# So often a wait may begin anew; somebody who never stops clicking is written to in the end.
MAX_RESTARTS = 100

Chapter = list[ProcessedEvent]


def apply(batch: Batch) -> None:
    """Let the workflows react to what is new; runs inside the pipeline's transaction."""
    events = [
        event
        for event in batch.all_events()
        if event.contact_id is not None and not event.is_backfill and event.name
    ]
    returns = _returns(batch)
    if not events and not returns:
        return
    doors = entry.doors()
    contacts = {event.contact_id for event in [*events, *returns] if event.contact_id is not None}
    inside = _lock_inside(contacts)
    if not doors and not inside:
        return
    plans = plan.load(
        {row.version_id for row in inside}
        | {door.plan.version_id for group in doors.values() for door in group}
    )
    passage = Passage(batch.now, doors, plans, inside)
    for chapter in _chapters(events, _exit_events(plans), doors.keys()):
        passage.read(chapter)
    passage.renew(returns)
    passage.close()


def _returns(batch: Batch) -> list[ProcessedEvent]:
    """Of what is told again: who is back at the same thing. It keeps a wait for quiet waiting."""
    return [
        replace(event, type=Event.Type.TRACK.value)
        for event in batch.repeats
        if event.id in batch.again and event.contact_id is not None and not event.is_backfill
    ]


def _lock_inside(contacts: Iterable[int]) -> list[Enrollment]:
    """Everyone of this batch who is inside, locked in one order so that two batches can't cross."""
    rows = Enrollment.objects.live().filter(contact_id__in=contacts).defer("context")
    return list(rows.order_by("id").select_for_update(of=("self",)))


def _exit_events(plans: dict[int, Plan]) -> set[str]:
    return {name for plan in plans.values() for name in plan.exit_events}


def _chapters(
    events: list[ProcessedEvent], exit_events: set[str], triggers: Iterable[str]
) -> list[Chapter]:
    """Cut the batch so that what follows an exit event can start anew after it.

    Nearly always it is one chapter. A contact who adds, orders and adds again makes two.
    """
    starting = frozenset(triggers)
    chapters: list[Chapter] = [[]]
    at: dict[int | None, int] = defaultdict(int)
    has_started: set[int | None] = set()
    for event in events:
        if event.name in exit_events and event.contact_id in has_started:
            at[event.contact_id] += 1
            has_started.discard(event.contact_id)
        if event.name in starting:
            has_started.add(event.contact_id)
        number = at[event.contact_id]
        if number == len(chapters):
            chapters.append([])
        chapters[number].append(event)
    return chapters


class Passage:
    """The enrollments of one batch, and what becomes of them."""

    def __init__(
        self,
        now: datetime,
        doors: dict[str, list[entry.Door]],
        plans: dict[int, Plan],
        inside: list[Enrollment],
    ) -> None:
        self.now = now
        self.doors = doors
        self.plans = plans
        self.inside: dict[Entry, Enrollment] = {entry_of(row): row for row in inside}
        self.refusals = Refusals(now)
        self.log: list[LogRow] = []
        self.moved: dict[int, Enrollment] = {}
        self.restarted: dict[int, Enrollment] = {}

    def read(self, chapter: Chapter) -> None:
        self._leave(chapter)
        rows: dict[int | None, list[Enrollment]] = defaultdict(list)
        for row in self.inside.values():
            rows[row.contact_id].append(row)
        for event in chapter:
            for row in rows[event.contact_id]:
                self._wake(row, event)
                self._restart(row, event)
        self._enter(chapter)

    def renew(self, returns: Chapter) -> None:
        """Let waits begin anew, and nothing else, for what is told again."""
        for event in returns:
            for row in [row for row in self.inside.values() if row.contact_id == event.contact_id]:
                self._restart(row, event)

    def close(self) -> None:
        """Write what was decided; rows that have left meanwhile are not moved any more."""
        live = {row.pk for row in self.inside.values()}
        moved = [row for pk, row in self.moved.items() if pk in live and pk not in self.restarted]
        store.write_moves(moved)
        restarted = [row for pk, row in self.restarted.items() if pk in live]
        store.write_moves(restarted, with_context=True)
        store.write_log(self.log, now=self.now)
        store.refuse(list(self.refusals.rows.values()))

    # --- leave ----------------------------------------------------------------------------------

    def _leave(self, chapter: Chapter) -> None:
        names: dict[int | None, set[str]] = defaultdict(set)
        for event in chapter:
            names[event.contact_id].add(event.name)
        self._leave_if(lambda row, plan: bool(plan.exit_events & names[row.contact_id]))

    def _leave_if(self, is_asked: Callable[[Enrollment, Plan], bool]) -> None:
        """Ask the exit condition of some of those inside; one query per version."""
        asked: dict[int, list[Enrollment]] = defaultdict(list)
        for row in self.inside.values():
            if is_asked(row, self.plans[row.version_id]):
                asked[row.version_id].append(row)
        values: dict[int, dict[str, Any]] = {}
        for version_id, rows in sorted(asked.items()):
            values |= exits.find_exits(self.plans[version_id], rows, now=self.now)
        left = store.leave(values, reason=exits.REASON, now=self.now)
        self.inside = {key: row for key, row in self.inside.items() if row.pk not in left}

    # --- wake -----------------------------------------------------------------------------------

    def _wake(self, row: Enrollment, event: ProcessedEvent) -> None:
        plan = self.plans[row.version_id]
        step = plan.at(row.pc)
        if step["op"] != "wait_until" or row.deadline_at is None:
            return
        if "event" not in step:
            row.wake_at = min(row.deadline_at, self.now)
        elif history.is_awaited(plan, step, row, event):
            self.log.append(LogRow(row.pk, "wake", step["id"], "event", history.cite(event)))
            row.pc = step["then"]
            row.wake_at = min(event.occurred_at, self.now)
            row.deadline_at = None
            row.waiting_for = ""
        else:
            return
        self.moved[row.pk] = row

    # --- restart --------------------------------------------------------------------------------

    def _restart(self, row: Enrollment, event: ProcessedEvent) -> None:
        """Begin the wait anew, counted from the event; never so that it ends earlier."""
        plan = self.plans[row.version_id]
        step = plan.at(row.pc)
        if not step.get("restart") or row.restart_count >= MAX_RESTARTS:
            return
        if not plan.is_triggered_by(event) or plan.entry_key(event) != row.entry_key:
            return
        began = min(event.occurred_at, self.now)
        # Before the engine has seen it, the wait has not begun: then `wake_at` is its base.
        length = timedelta(seconds=step["seconds"]) if row.deadline_at else timedelta(0)
        ends = began + length
        if row.wake_at is None or ends <= row.wake_at:
            return
        row.wake_at = ends
        row.deadline_at = ends if row.deadline_at else None
        row.restart_count += 1
        row.context = entry.context_of(event)
        values = {**history.cite(event), "count": row.restart_count}
        self.log.append(LogRow(row.pk, "restart", step["id"], event.name, values))
        self.restarted[row.pk] = row

    # --- enter ----------------------------------------------------------------------------------

    def _enter(self, chapter: Chapter) -> None:
        found = entry.applicants(self.doors, chapter, self.refusals)
        outside = [one for one in found if one.entry not in self.inside]
        admitted = entry.admitted(outside, self.refusals)
        applied = {one.entry: one for one in admitted}
        entered = store.enter([one.enrollment(self.now) for one in admitted], now=self.now)
        for row in entered:
            applicant = applied.pop(entry_of(row))
            self.inside[entry_of(row)] = row
            self.log.append(_entered(row, applicant))
        if entered:
            new = {row.pk for row in entered}
            self._write_log()
            self._leave_if(lambda row, plan: row.pk in new and bool(plan.definition.exit_when))
        self._overtaken(list(applied.values()))

    def _write_log(self) -> None:
        """Write what is known, so that the line of an exit comes after it."""
        store.write_log(self.log, now=self.now)
        self.log.clear()

    def _overtaken(self, applicants: list[Applicant]) -> None:
        """Another worker let them in between our look and our insert: their events restart."""
        if not applicants:
            return
        wanted = {one.entry: one for one in applicants}
        for row in _lock_inside({one.contact_id for one in applicants}):
            one = wanted.get(entry_of(row))
            if one is None:
                continue
            self.inside[entry_of(row)] = row
            self.plans |= plan.load({row.version_id} - self.plans.keys())
            for event in one.events:
                self._restart(row, event)


def _entered(row: Enrollment, applicant: Applicant) -> LogRow:
    first = applicant.events[0]
    values = history.cite(first)
    if row.entry_key:
        values["entry_key"] = row.entry_key
    return LogRow(row.pk, "enter", outcome=first.name, values=values)
