from io import StringIO
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command

from apps.messaging.models import Message
from tests.factories.contacts import ContactFactory
from tests.factories.messaging import MessageFactory
from tests.factories.workflows import EnrollmentFactory, StepLogFactory, WorkflowVersionFactory
from tests.workflows.passing import after, happen, project

pytestmark = pytest.mark.django_db


def explain(name):
    out = StringIO()
    call_command("explain", name, stdout=out)
    return out.getvalue()


def test_explain_prints_workflow_by_workflow_what_happened_and_why():
    row = EnrollmentFactory(entry_key="c1", workflow__name="Carts")
    StepLogFactory(enrollment=row, outcome="Product Added", values={"price": 5})
    MessageFactory(
        origin_type="workflow",
        origin_id=row.pk,
        contact=row.contact,
        template_version__template__key="reminder",
        status=Message.Status.SKIPPED,
        reason="no_consent",
        gate=[{"check": "consent", "allowed": False}],
    )

    assert explain(str(row.contact.uuid)).splitlines() == [
        f"{row.workflow.name} (live)",
        "  in the workflow with c1",
        '    2026-03-02 12:00:00  enter Product Added {"price": 5}',
        "    2026-03-02 12:00:00  mail reminder is skipped: no_consent",
        '      gate: {"check": "consent", "allowed": false}',
        "",
    ]


def test_explain_prints_refusals():
    WorkflowVersionFactory()
    contact = ContactFactory()
    project(happen(contact, received_at=after(48)))

    assert "2026-03-04 12:00:00  not let in: too_old" in explain(contact.email.upper())


def test_explain_says_so_where_nothing_happened():
    WorkflowVersionFactory()

    assert "No event of this contact has started it." in explain(ContactFactory().email)


@pytest.mark.parametrize("name", ["nobody@example.com", str(UUID(int=7))])
def test_explain_knows_no_strangers(name):
    with pytest.raises(CommandError, match="No contact has the address or uuid"):
        explain(name)
