"""What the pages and the command line show of workflows."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import yaml
from django.db.models import Count, Min, Q

from apps.contacts.models import Contact
from apps.core.registry import Lag
from apps.messaging.models import Message
from apps.segments.conditions import describe
from apps.workflows import plan as plans
from apps.workflows.definition import (
    Definition,
    EventFilter,
    Exit,
    If,
    Send,
    Step,
    Wait,
    WaitUntil,
    in_words,
)
from apps.workflows.models import (
    Enrollment,
    EnrollmentQuerySet,
    EntryRefusal,
    StepLog,
    Workflow,
    WorkflowVersion,
)
from apps.workflows.reading import KEYS, VERBS, parse


@dataclass(frozen=True)
class Branch:
    """One way out of a fork."""

    label: str
    nodes: "list[Node]"


@dataclass(frozen=True)
class Node:
    """One step as the workflow page draws it."""

    step_id: str
    kind: str
    label: str
    notes: list[str] = field(default_factory=list)
    waiting_count: int = 0
    branches: list[Branch] = field(default_factory=list)


@dataclass(frozen=True)
class Tree:
    """A version, in words."""

    triggers: list[str]
    rules: list[str]
    nodes: list[Node]


def get_lag(now: datetime) -> Lag:
    """How far the engine is behind."""
    due = Enrollment.objects.due(now).aggregate(count=Count("pk"), oldest=Min("wake_at"))
    age = now - due["oldest"] if due["oldest"] else timedelta(0)
    return Lag(due_count=due["count"], oldest_age=age)


def step_counts(workflow: Workflow) -> dict[str, int]:
    """How many are at each step now, over all versions."""
    rows = _inside(workflow).order_by().values_list("version_id", "pc")
    counted = list(rows.annotate(count=Count("*")))
    loaded = plans.load({version_id for version_id, _, _ in counted})
    counts: Counter[str] = Counter()
    for version_id, pc, count in counted:
        counts[loaded[version_id].at(pc)["id"]] += count
    return dict(counts)


def enrollments_at(workflow: Workflow, step_id: str) -> EnrollmentQuerySet:
    """Who is at a step now, over all versions."""
    places = list(_inside(workflow).order_by().values_list("version_id", "pc").distinct())
    loaded = plans.load({version_id for version_id, _ in places})
    here = Q(pk=None)
    for version_id, pc in places:
        if loaded[version_id].at(pc)["id"] == step_id:
            here |= Q(version=version_id, pc=pc)
    return _inside(workflow).filter(here)


def _inside(workflow: Workflow) -> EnrollmentQuerySet:
    """Who is inside now; asked by version, as the index by step is."""
    return Enrollment.objects.live().filter(version__in=workflow.versions.values("pk"))


def get_tree(version: WorkflowVersion) -> Tree:
    """The version as people read it, with how many of its workflow are at each step."""
    return _tree(parse(version.definition), step_counts(version.workflow))


def get_outline(definition: Definition) -> Tree:
    """A definition that is not installed, as people read it."""
    return _tree(definition, {})


def _tree(definition: Definition, counts: dict[str, int]) -> Tree:
    return Tree(
        triggers=[_event(trigger) for trigger in definition.triggers],
        rules=list(_rules(definition)),
        nodes=_nodes(definition.steps, counts),
    )


def get_yaml(version: WorkflowVersion) -> str:
    """The definition as text, to read and to edit, in the order in which people write it."""
    data = dict(version.definition)
    data["steps"] = [_in_order(step) for step in data["steps"]]
    ordered = {name: data[name] for name in KEYS if name in data}
    return yaml.safe_dump(ordered, sort_keys=False, allow_unicode=True, width=80)


def _in_order(step: dict[str, Any]) -> dict[str, Any]:
    """The database keeps no order: first the name, then what the step does, its ways last."""
    verb = next(name for name in VERBS if name in step)
    ways = [name for name in ("then", "else") if name in step]
    rest = [name for name in step if name not in ("id", verb, *ways)]
    named = ["id"] if "id" in step else []
    ordered: dict[str, Any] = {name: step[name] for name in (*named, verb, *rest)}
    return ordered | {name: [_in_order(one) for one in step[name]] for name in ways}


def _rules(tree: Definition) -> Iterator[str]:
    if tree.entry_key:
        yield f"Once at a time for each {tree.entry_key.removeprefix('properties.')}."
    else:
        yield "Once at a time for each contact."
    again = tree.re_entry.again
    if again != "always":
        yield "Never again." if again == "never" else "Only once for the same one."
    if tree.re_entry.after:
        yield f"Again only {in_words(tree.re_entry.after)} after getting through."
    yield f"Events older than {in_words(tree.trigger_window)} start nothing."
    if tree.exit_when is not None:
        yield f"Leaves at any time if {describe(tree.exit_when)}."


def _nodes(steps: Iterable[Step], counts: dict[str, int]) -> list[Node]:
    return [_node(step, counts) for step in steps]


def _node(step: Step, counts: dict[str, int]) -> Node:
    count = counts.get(step.id, 0)
    match step:
        case Wait():
            notes = ["Begins anew with each trigger."] if step.restart_on_trigger else []
            return Node(step.id, "wait", f"Wait {in_words(step.duration)}", notes, count)
        case Send():
            return Node(step.id, "send", f"Send “{step.template}”", [], count)
        case Exit():
            return Node(step.id, "exit", f"Leave: {step.reason}", [], count)
        case If():
            ways = _ways("Yes", "No", step, counts)
            return Node(step.id, "if", f"If {describe(step.condition)}", [], count, ways)
        case WaitUntil():
            notes = [f"At most {in_words(step.at_most)}."]
            if step.same_key:
                notes.append("For the same one only.")
            ways = _ways("When it comes", "When time is up", step, counts)
            return Node(step.id, "wait_until", f"Wait until {_awaited(step)}", notes, count, ways)


def _ways(yes: str, no: str, step: If | WaitUntil, counts: dict[str, int]) -> list[Branch]:
    return [Branch(yes, _nodes(step.then, counts)), Branch(no, _nodes(step.otherwise, counts))]


def _awaited(step: WaitUntil) -> str:
    if step.event is not None:
        return _event(step.event)
    return describe(step.condition) if step.condition is not None else ""


def _event(wanted: EventFilter) -> str:
    return describe(wanted.did).removeprefix("did ")


# --- why was this sent, or not ------------------------------------------------------------------


@dataclass(frozen=True)
class Passage:
    """One enrollment, all that was decided about it, and the mails it asked for."""

    enrollment: Enrollment
    log: list[StepLog]
    messages: list[Message]


@dataclass(frozen=True)
class Explanation:
    """Everything between one contact and one workflow, newest first."""

    workflow: Workflow
    passages: list[Passage]
    refusals: list[EntryRefusal]


def explain(contact: Contact, workflow: Workflow, *, limit: int = 20) -> Explanation:
    """Why mails of this workflow went to this contact, or did not."""
    rows = workflow.enrollments.filter(contact=contact).order_by("-entered_at", "-id")
    enrollments = list(rows.prefetch_related("log")[:limit])
    messages = Message.objects.filter(
        origin_type="workflow", origin_id__in=[row.pk for row in enrollments]
    )
    by_origin: dict[int, list[Message]] = {}
    for message in messages.select_related("template_version__template").order_by("id"):
        by_origin.setdefault(message.origin_id, []).append(message)
    refusals = workflow.refusals.filter(contact=contact).order_by("-refused_at", "-id")
    return Explanation(
        workflow=workflow,
        passages=[
            Passage(row, sorted(row.log.all(), key=lambda line: line.pk), by_origin.get(row.pk, []))
            for row in enrollments
        ],
        refusals=list(refusals[:limit]),
    )
