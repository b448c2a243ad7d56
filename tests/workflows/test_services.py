import pytest

from apps.consent.signals import consent_withdrawn
from apps.workflows import services
from apps.workflows.definition import DefinitionError
from apps.workflows.models import Workflow, WorkflowVersion
from tests.factories.messaging import TemplateVersionFactory
from tests.factories.workflows import EnrollmentFactory, WorkflowFactory, make_definition, steps_of
from tests.instants import NOON
from tests.workflows.passing import after

pytestmark = pytest.mark.django_db


def save(**changes):
    return services.save_definition(source=make_definition(**changes), now=NOON)


def test_save_definition_makes_a_workflow_and_its_first_version():
    version = save()

    assert (version.number, version.workflow.key, version.workflow.status) == (1, "cart", "draft")
    assert [step["op"] for step in version.program] == ["wait", "send", "end"]


def test_save_definition_reads_yaml():
    source = "key: hi\nname: Hi\ntrigger: {event: A}\nsteps:\n  - send: hello\n"

    version = services.save_definition(source=source, now=NOON)

    assert version.definition["steps"] == [{"send": "hello"}]


def test_save_definition_makes_a_version_only_of_what_changed():
    assert save() == save()
    assert save(name="New").number == 2
    assert WorkflowVersion.objects.count() == 2


def test_save_definition_stores_nothing_that_is_wrong():
    with pytest.raises(DefinitionError):
        save(steps=[])

    assert not Workflow.objects.exists()


def test_save_definition_refuses_another_workflow_s_key():
    with pytest.raises(services.WrongKey):
        services.save_definition(
            source=make_definition(key="other"), now=NOON, workflow=WorkflowFactory()
        )

    assert not WorkflowVersion.objects.exists()


def test_go_live_publishes_the_newest_version():
    TemplateVersionFactory(template__key="cart-reminder")
    save()
    newest = save(name="Newer")

    workflow = services.go_live(workflow=newest.workflow, now=NOON)

    newest.refresh_from_db()
    assert (workflow.status, workflow.live_version, workflow.name) == ("live", newest, "Newer")
    assert newest.published_at == NOON


def test_go_live_needs_published_mails():
    version = save()

    with pytest.raises(services.MissingTemplate, match="cart-reminder"):
        services.go_live(workflow=version.workflow, now=NOON)

    version.workflow.refresh_from_db()
    assert version.workflow.status == "draft"


def test_go_live_needs_the_segments_that_it_speaks_of():
    version = save(
        exit_when={"did": "A"},
        steps=[{"if": {"in_segment": "gone"}, "then": [{"exit": "bye"}]}],
    )

    with pytest.raises(DefinitionError, match="there is no segment “gone”"):
        services.go_live(workflow=version.workflow, now=NOON)

    version.workflow.refresh_from_db()
    assert version.workflow.status == "draft"


def test_go_live_needs_a_version():
    with pytest.raises(services.NoVersion):
        services.go_live(workflow=WorkflowFactory(), now=NOON)


def test_pause_and_resume_refuse_what_makes_no_sense():
    draft = WorkflowFactory()

    with pytest.raises(services.NotLive):
        services.pause(workflow=draft)
    with pytest.raises(services.NotPaused):
        services.resume(workflow=draft)

    draft.refresh_from_db()
    assert draft.status == "draft"


def test_exit_enrollments_lets_only_those_out_who_are_in():
    row = EnrollmentFactory()
    services.exit_enrollments(ids=[row.pk], now=NOON)

    assert services.exit_enrollments(ids=[row.pk], now=after(1), reason="again") == 0

    row.refresh_from_db()
    assert (row.exit_reason, row.finished_at) == ("manual", NOON)
    assert steps_of(row) == [("exit", "", "manual")]


@pytest.mark.parametrize(
    ("purpose", "status"),
    [("email_marketing", "exited"), ("tracking", "exited"), ("phone", "live")],
)
def test_who_withdraws_consent_leaves_everything(purpose, status):
    row, other = EnrollmentFactory.create_batch(2)

    consent_withdrawn.send(sender=None, contact_ids=[row.contact_id], purpose=purpose, now=NOON)

    row.refresh_from_db()
    other.refresh_from_db()
    assert (row.status, other.status) == (status, "live")
    assert row.exit_reason == ("consent_withdrawn" if status == "exited" else "")
