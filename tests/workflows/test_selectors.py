import pytest

from apps.core.registry import Lag
from apps.workflows import reading, selectors
from apps.workflows.models import EntryRefusal
from apps.workflows.selectors import Branch, Node
from tests.factories.messaging import MessageFactory
from tests.factories.workflows import (
    EnrollmentFactory,
    StepLogFactory,
    WorkflowFactory,
    WorkflowVersionFactory,
    make_definition,
)
from tests.instants import NOON
from tests.workflows.passing import HOUR, advance, after

pytestmark = pytest.mark.django_db

STEPS = [
    {"wait": "1 hour", "restart_on_trigger": True},
    {
        "wait_until": {"event": "Email Clicked", "same_key": True},
        "at_most": "2 days",
        "then": [{"exit": "clicked"}],
        "else": [{"send": "again"}],
    },
]


def test_get_lag_counts_who_is_due_and_since_when():
    assert selectors.get_lag(NOON) == Lag(0, 0 * HOUR)
    EnrollmentFactory()
    EnrollmentFactory(wake_at=after(1))
    EnrollmentFactory(wake_at=after(3))

    assert selectors.get_lag(after(2)) == Lag(2, 2 * HOUR)


def test_step_counts_adds_up_over_versions():
    old = EnrollmentFactory()
    changed = make_definition(key=old.workflow.key, steps=[{"wait": "1 hour"}])
    EnrollmentFactory(
        version=WorkflowVersionFactory(workflow=old.workflow, number=2, definition=changed)
    )
    EnrollmentFactory(status="completed", version=old.version)

    assert selectors.step_counts(old.workflow) == {"wait-1-hour": 2}


def test_get_tree_tells_a_version_in_words():
    data = make_definition(
        steps=STEPS, entry_key="cart", re_entry={"again": "once_per_key", "after": "7 days"}
    )
    row = EnrollmentFactory(version=WorkflowVersionFactory(definition=data), entry_key="c1")
    advance(row.entered_at)

    tree = selectors.get_tree(row.version)

    assert tree.triggers == ["Product Added"]
    assert tree.rules == [
        "Once at a time for each cart.",
        "Only once for the same one.",
        "Again only 7 days after getting through.",
        "Events older than 1 day start nothing.",
    ]
    assert tree.nodes == [
        Node("wait-1-hour", "wait", "Wait 1 hour", ["Begins anew with each trigger."], 1),
        Node(
            "wait-until-email-clicked",
            "wait_until",
            "Wait until Email Clicked",
            ["At most 2 days.", "For the same one only."],
            branches=[
                Branch("When it comes", [Node("exit-clicked", "exit", "Leave: clicked")]),
                Branch("When time is up", [Node("send-again", "send", "Send “again”")]),
            ],
        ),
    ]


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({}, "Once at a time for each contact."),
        ({"entry_key": "properties.order.id"}, "Once at a time for each order.id."),
        ({"re_entry": "never"}, "Never again."),
    ],
)
def test_the_rules_name_what_the_author_chose(changes, rule):
    version = WorkflowVersionFactory(definition=make_definition(**changes))

    assert rule in selectors.get_tree(version).rules


def test_get_tree_draws_a_fork_and_the_exit_condition():
    fork = {"if": {"did": "A"}, "then": [{"send": "a"}]}
    data = make_definition(steps=[fork], exit_when={"did": "Order Completed"})

    tree = selectors.get_tree(WorkflowVersionFactory(definition=data))

    assert tree.rules[-1].startswith("Leaves at any time if ")
    assert "Order Completed" in tree.rules[-1]
    assert [branch.label for branch in tree.nodes[0].branches] == ["Yes", "No"]
    assert tree.nodes[0].label.startswith("If ")


def test_get_tree_tells_a_wait_for_a_condition():
    step = {"wait_until": {"condition": {"attribute": "country", "is": "DE"}}, "at_most": "1 day"}

    tree = selectors.get_tree(WorkflowVersionFactory(definition=make_definition(steps=[step])))

    assert "country" in tree.nodes[0].label


def test_get_yaml_can_be_read_back():
    version = WorkflowVersionFactory(definition=make_definition(steps=STEPS))

    from_yaml = reading.load(selectors.get_yaml(version))

    assert from_yaml == version.definition


def test_explain_joins_what_was_decided_about_one_contact():
    old = EnrollmentFactory(status="completed")
    new = EnrollmentFactory(version=old.version, contact=old.contact, entered_at=after(1))
    EnrollmentFactory(version=old.version)
    line = StepLogFactory(enrollment=old)
    mail = MessageFactory(origin_type="workflow", origin_id=old.pk, contact=old.contact)
    refusal = EntryRefusal.objects.create(
        workflow=old.workflow, contact=old.contact, event_id=1, reason="re_entry", refused_at=NOON
    )

    explanation = selectors.explain(old.contact, old.workflow)

    assert [row.enrollment for row in explanation.passages] == [new, old]
    assert [row.log for row in explanation.passages] == [[], [line]]
    assert [row.messages for row in explanation.passages] == [[], [mail]]
    assert explanation.refusals == [refusal]


def test_explain_has_nothing_to_say_where_nothing_happened():
    explanation = selectors.explain(EnrollmentFactory().contact, WorkflowFactory())

    assert (explanation.passages, explanation.refusals) == ([], [])
