"""What happened in workflows, as people read it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from apps.contacts.registry import Entry
from apps.core.pages import object_url
from apps.core.wording import told
from apps.messaging.models import Message
from apps.messaging.registry import Origin
from apps.workflows.models import EXIT_STEP, Enrollment, EntryRefusal, StepLog

Values = dict[str, Any]

EXITS = {
    "exit_condition": "the reason to leave came true",
    EXIT_STEP: "a step of the workflow ended it",
    "consent_withdrawn": "the consent was taken back",
    "erased": "the person was erased",
    "merged": "two contacts became one, which goes on in its other passage",
    "manual": "staff took them out",
}
REFUSALS = {
    "too_old": "the event was too old",
    "restricted": "their data may be kept, and not used",
    "paused": "the workflow was paused",
    "no_entry_key": "the event did not say what it was about",
    "re_entry": "they have been through it before",
}
# For the gate, whose checks and reasons the floor below shows.
GATE = {
    "check:workflow": "The workflow still wants it to go out",
    "exit_condition": "the reason to leave the workflow came true first",
    "enrollment_gone": "the passage through the workflow is gone",
    "workflow_paused": "the workflow is paused",
    "too_soon": "the mail before it was late, and the two keep their distance",
    "manual": "staff took them out of the workflow",
}


@dataclass(frozen=True)
class Line:
    """One decision in words."""

    text: str
    icon: str


def line_of(log: StepLog) -> Line:
    """What one line of an enrollment's log says."""
    phrase = _LINES.get(log.action)
    if phrase is None:
        return Line(f"{log.action} {log.outcome}".strip(), "circle")
    icon, tell = phrase
    return Line(tell(log, log.values), icon)


def exit_in_words(reason: str) -> str:
    return EXITS.get(reason) or reason.replace("_", " ")


def refusal_in_words(reason: str) -> str:
    return REFUSALS.get(reason) or reason.replace("_", " ")


def state_of(enrollment: Enrollment) -> str:
    """Where an enrollment is, or how it ended."""
    if enrollment.status == Enrollment.Status.EXITED:
        return f"left early: {exit_in_words(enrollment.exit_reason)}"
    return enrollment.get_status_display()


def tell_decisions(rows: Sequence[StepLog]) -> list[Entry]:
    """Put log lines into words; their enrollments and workflows have to be loaded."""
    entries = []
    for row in rows:
        line = line_of(row)
        workflow = row.enrollment.workflow
        entries.append(
            Entry(
                title=f"{workflow}: {line.text[:1].lower()}{line.text[1:]}",
                note=f"Step {row.step_id}" if row.step_id else "",
                icon=line.icon,
                url=object_url(row.enrollment),
                values=row.values,
            )
        )
    return entries


def tell_refusals(rows: Sequence[EntryRefusal]) -> list[Entry]:
    """Put refusals into words; their workflows have to be loaded."""
    return [
        Entry(
            title=f"{row.workflow} did not start: {refusal_in_words(row.reason)}",
            icon="do_not_disturb_on",
            url=object_url(row.workflow),
            values=row.values,
        )
        for row in rows
    ]


def find_origin(message: Message) -> Origin | None:
    """The step that asked for a message."""
    row = Enrollment.objects.select_related("workflow").filter(pk=message.origin_id).first()
    if row is None:
        return None
    return Origin(f"Step {message.step_id} of {row.workflow}", object_url(row))


def _entered(log: StepLog, values: Values) -> str:
    return f"Entered because of {log.outcome}"


def _waiting(log: StepLog, values: Values) -> str:
    return f"Waits until {told(values.get('until'))}"


def _woken(log: StepLog, values: Values) -> str:
    if log.outcome == "event":
        return f"What it waited for came: {values.get('event', 'the event')}"
    if log.outcome == "condition":
        return "What it waited for came true"
    return "The wait is over"


def _left(log: StepLog, values: Values) -> str:
    detail = values.get("event") or values.get("reason") or ""
    why = exit_in_words(log.outcome)
    return f"Left: {why} ({detail})" if detail else f"Left: {why}"


def _branched(log: StepLog, values: Values) -> str:
    return f"Asked if {values.get('condition', 'something holds')}: {log.outcome}"


_LINES: dict[str, tuple[str, Callable[[StepLog, Values], str]]] = {
    "enter": ("login", _entered),
    "wait": ("hourglass_top", _waiting),
    "wake": ("alarm", _woken),
    "restart": ("restart_alt", lambda log, _: f"The wait began anew because of {log.outcome}"),
    "send": ("outgoing_mail", lambda log, _: f"Asked for the mail {log.outcome}"),
    "branch": ("alt_route", _branched),
    "exit": ("logout", _left),
    "complete": ("flag", lambda _, __: "Went through to the end"),
}
