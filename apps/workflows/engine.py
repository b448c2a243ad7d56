"""The scheduler: moves everyone who is due through their programs, in sets.

Programs only lead forward. So a turn visits each instruction of a version at most once, in
order, with everyone who has reached it; the number of queries depends on the program, not on
the number of people. Moves, messages and log are one transaction: a crash undoes all of it.
Time comes in as `now`, and what is decided goes out through Effects.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from apps.messaging.services import MessageRequest
from apps.workflows import exits, history, plan
from apps.workflows.compiler import Instruction
from apps.workflows.effects import LIVE, Effects
from apps.workflows.models import EXIT_STEP, Enrollment
from apps.workflows.plan import Plan
from apps.workflows.store import LogRow

BATCH = 1000

# How often a wait for a condition asks again by itself, for what changes by time alone. Events
# of the contact make it ask at once.
RECHECK = timedelta(hours=1)


def advance(*, now: datetime, limit: int = BATCH, effects: Effects = LIVE) -> int:
    """Move one batch of due enrollments as far as they get; return the instructions run."""
    with transaction.atomic():
        due = effects.claim(now=now, limit=limit)
        if not due:
            return 0
        plans = plan.load({row.version_id for row in due})
        turn = Turn(now)
        for version_id, group in _grouped(due):
            turn.run(plans[version_id], group)
        turn.write(due, effects)
    return turn.count


def _grouped(rows: Iterable[Enrollment]) -> Iterator[tuple[int, list[Enrollment]]]:
    groups: dict[int, list[Enrollment]] = defaultdict(list)
    for row in rows:
        groups[row.version_id].append(row)
    yield from sorted(groups.items())


class Turn:
    """One batch on its way: what has been decided and is yet to be written."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.count = 0
        self.log: list[LogRow] = []
        self.requests: list[MessageRequest] = []
        # From when the next wait counts. Somebody who arrives late, because the event came late
        # or was adopted, has already waited; after a send or a wait it is now.
        self.base: dict[int, datetime] = {}

    def run(self, plan: Plan, group: list[Enrollment]) -> None:
        """Take everyone of one version from instruction to instruction."""
        at: dict[int, list[Enrollment]] = defaultdict(list)
        for row in self._staying(plan, group):
            arrived = self.now if row.deadline_at else row.wake_at or self.now
            self.base[row.pk] = min(arrived, self.now)
            at[row.pc].append(row)
        for pc in range(len(plan.program)):
            here = at.pop(pc, [])
            if not here:
                continue
            instruction = plan.at(pc)
            self.count += len(here)
            for row in OPERATIONS[instruction["op"]](self, plan, instruction, here):
                at[row.pc].append(row)

    def write(self, rows: list[Enrollment], effects: Effects) -> None:
        effects.queue(self.requests, now=self.now)
        effects.move(rows)
        effects.log(self.log, now=self.now)

    # --- instructions: each returns those who go on in this turn --------------------------------

    def wait(self, plan: Plan, step: Instruction, rows: list[Enrollment]) -> list[Enrollment]:
        for row in rows:
            if row.deadline_at is None:
                self._begin(row, step)
                self._note(row, "wait", step, values={"until": _text(row.deadline_at)})
        done = [row for row in rows if self._is_over(row)]
        for row in done:
            self._note(row, "wake", step, outcome="time")
            self._go(row, row.pc + 1)
        return done

    def wait_until(self, plan: Plan, step: Instruction, rows: list[Enrollment]) -> list[Enrollment]:
        began = [row for row in rows if row.deadline_at is None]
        for row in began:
            self._begin(row, step)
            self._note(row, "wait", step, values={"until": _text(row.deadline_at)})
        met, values = self._met(plan, step, rows, began)
        going = [row for row in rows if row.pk in met or self._is_over(row)]
        for row in going:
            is_met = row.pk in met
            outcome = ("event" if "event" in step else "condition") if is_met else "time"
            self._note(row, "wake", step, outcome=outcome, values=values.get(row.pk))
            self._go(row, step["then"] if is_met else step["otherwise"])
        if "event" not in step:
            self._ask_again(rows)
        return going

    def send(self, plan: Plan, step: Instruction, rows: list[Enrollment]) -> list[Enrollment]:
        for row in rows:
            self.requests.append(
                MessageRequest(
                    send_key=send_key(row, step["id"]),
                    contact_id=row.contact_id,
                    template_key=step["template"],
                    context=row.context,
                    origin_type="workflow",
                    origin_id=row.pk,
                    step_id=step["id"],
                )
            )
            self._note(row, "send", step, outcome=step["template"])
            self._go(row, row.pc + 1)
        return rows

    def branch(self, plan: Plan, step: Instruction, rows: list[Enrollment]) -> list[Enrollment]:
        findings = exits.judge(plan.conditions[step["id"]], rows, now=self.now)
        for row in rows:
            found = findings[row.pk]
            outcome = "yes" if found.is_met else "no"
            self._note(row, "branch", step, outcome=outcome, values=found.as_values())
            row.pc = step["then"] if found.is_met else step["otherwise"]
        return rows

    def jump(self, plan: Plan, step: Instruction, rows: list[Enrollment]) -> list[Enrollment]:
        for row in rows:
            row.pc = step["to"]
        return rows

    def exit(self, plan: Plan, step: Instruction, rows: list[Enrollment]) -> list[Enrollment]:
        for row in rows:
            self._leave(row, EXIT_STEP, {"reason": step["reason"]}, step_id=step["id"])
        return []

    def end(self, plan: Plan, step: Instruction, rows: list[Enrollment]) -> list[Enrollment]:
        for row in rows:
            self._note(row, "complete", step)
            self._finish(row, Enrollment.Status.COMPLETED)
        return []

    # --- the parts of an instruction ------------------------------------------------------------

    def _staying(self, plan: Plan, group: list[Enrollment]) -> list[Enrollment]:
        """Let those go whose exit condition holds, before anybody moves."""
        leaving = exits.find_exits(plan, group, now=self.now)
        for row in group:
            if row.pk in leaving:
                step_id = plan.at(row.pc)["id"]
                self._leave(row, exits.REASON, leaving[row.pk], step_id=step_id)
        return [row for row in group if row.pk not in leaving]

    def _begin(self, row: Enrollment, step: Instruction) -> None:
        row.deadline_at = self.base[row.pk] + timedelta(seconds=step["seconds"])
        row.wake_at = row.deadline_at
        row.waiting_for = step.get("event", "")

    def _is_over(self, row: Enrollment) -> bool:
        return row.deadline_at is not None and row.deadline_at <= self.now

    def _met(
        self, plan: Plan, step: Instruction, rows: list[Enrollment], began: list[Enrollment]
    ) -> tuple[set[int], dict[int, dict[str, Any]]]:
        """Who has what they wait for, a condition now or an event that came before we looked; and
        what that was judged on."""
        if "event" not in step:
            findings = exits.judge(plan.conditions[step["id"]], rows, now=self.now)
            met = {pk for pk, found in findings.items() if found.is_met}
            return met, {pk: found.as_values() for pk, found in findings.items()}
        late = {row.pk: self.base[row.pk] for row in began if self.base[row.pk] < self.now}
        awaited = [row for row in began if row.pk in late]
        values = history.find_awaited(plan, step, awaited, late)
        return set(values), values

    def _ask_again(self, rows: list[Enrollment]) -> None:
        for row in rows:
            if row.deadline_at is not None:
                row.wake_at = min(row.deadline_at, self.now + RECHECK)

    def _go(self, row: Enrollment, pc: int) -> None:
        row.pc = pc
        row.deadline_at = None
        row.waiting_for = ""
        row.wake_at = self.base[row.pk] = self.now

    def _leave(self, row: Enrollment, reason: str, values: dict[str, Any], *, step_id: str) -> None:
        self.log.append(LogRow(row.pk, "exit", step_id, reason, values))
        row.exit_reason = reason
        row.exit_values = values
        self._finish(row, Enrollment.Status.EXITED)

    def _finish(self, row: Enrollment, status: Enrollment.Status) -> None:
        row.status = status
        row.finished_at = self.now
        row.wake_at = row.deadline_at = None
        row.waiting_for = ""

    def _note(
        self,
        row: Enrollment,
        action: str,
        step: Instruction,
        *,
        outcome: str = "",
        values: dict[str, Any] | None = None,
    ) -> None:
        self.log.append(LogRow(row.pk, action, step["id"], outcome, values or {}))


def send_key(row: Enrollment, step_id: str) -> str:
    """Names the one occasion of this mail; a step runs once per enrollment."""
    return f"workflow:{row.workflow_id}:enrollment:{row.pk}:step:{step_id}"


def _text(instant: datetime | None) -> str:
    return instant.isoformat() if instant else ""


_Operation = Callable[[Turn, Plan, Instruction, list[Enrollment]], list[Enrollment]]
OPERATIONS: dict[str, _Operation] = {
    "wait": Turn.wait,
    "wait_until": Turn.wait_until,
    "send": Turn.send,
    "branch": Turn.branch,
    "jump": Turn.jump,
    "exit": Turn.exit,
    "end": Turn.end,
}
