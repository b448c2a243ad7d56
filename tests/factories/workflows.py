"""Workflows as they come out of the service, and contacts inside them."""

from typing import Any

import factory

from apps.messaging.models import TemplateVersion
from apps.workflows import compiler, reading
from apps.workflows.definition import Send
from apps.workflows.models import Enrollment, StepLog, Workflow, WorkflowVersion
from tests.factories.contacts import ContactFactory
from tests.factories.messaging import TemplateVersionFactory
from tests.instants import NOON


def make_definition(**changes: Any) -> dict[str, Any]:
    """A small workflow: wait an hour after a cart event, then send one mail."""
    return {
        "key": "cart",
        "name": "Cart",
        "trigger": {"event": "Product Added"},
        "steps": [{"wait": "1 hour"}, {"send": "cart-reminder"}],
        **changes,
    }


class WorkflowFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Workflow

    key = factory.Sequence(lambda number: f"workflow-{number}")
    name = factory.LazyAttribute(lambda workflow: workflow.key.replace("-", " ").capitalize())


class WorkflowVersionFactory(factory.django.DjangoModelFactory):
    """A published version of a live workflow, with a published text for each mail it sends."""

    class Meta:
        model = WorkflowVersion
        skip_postgeneration_save = True

    workflow = factory.SubFactory(WorkflowFactory)
    number = 1
    definition = factory.LazyAttribute(
        lambda version: make_definition(key=version.workflow.key, name=version.workflow.name)
    )
    program = factory.LazyAttribute(
        lambda version: compiler.compile_program(reading.parse(version.definition))
    )
    created_at = NOON
    published_at = NOON

    @factory.post_generation
    def live(self, create: bool, extracted: bool | None, **_: Any) -> None:
        publish_mails(self.definition)
        if extracted is not False:
            self.workflow.live_version = self
            self.workflow.status = Workflow.Status.LIVE
            self.workflow.save()


def publish_mails(data: dict[str, Any]) -> None:
    """A published text for each mail that a definition sends."""
    for step in reading.parse(data).walk():
        is_missing = isinstance(step, Send) and not (
            TemplateVersion.objects.filter(template__key=step.template).exists()
        )
        if is_missing:
            TemplateVersionFactory(template__key=step.template)


class EnrollmentFactory(factory.django.DjangoModelFactory):
    """Somebody who entered at noon and has not moved yet."""

    class Meta:
        model = Enrollment

    version = factory.SubFactory(WorkflowVersionFactory)
    workflow = factory.SelfAttribute("version.workflow")
    contact = factory.SubFactory(ContactFactory)
    status = Enrollment.Status.LIVE
    started_at = NOON
    entered_at = NOON
    wake_at = factory.LazyAttribute(
        lambda enrollment: enrollment.entered_at if enrollment.status == "live" else None
    )


class StepLogFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = StepLog

    enrollment = factory.SubFactory(EnrollmentFactory)
    action = "enter"
    logged_at = NOON


def steps_of(enrollment: Enrollment) -> list[tuple[str, str, str]]:
    """What has happened to an enrollment: (action, step, outcome), oldest first."""
    log = enrollment.log.order_by("id")
    return list(log.values_list("action", "step_id", "outcome"))
