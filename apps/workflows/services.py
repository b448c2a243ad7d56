"""What staff and the other parts do with workflows."""

from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import Max

from apps.messaging import services as messaging
from apps.messaging.models import Template
from apps.segments import services as segments
from apps.segments.conditions import ConditionError
from apps.workflows import compiler, reading, store
from apps.workflows.definition import Definition, DefinitionError, If, Send, WaitUntil
from apps.workflows.models import Enrollment, Workflow, WorkflowVersion

RECIPES = Path(__file__).parent / "recipes"
MANUAL = "manual"


class WrongKey(Exception):
    """The definition names another workflow than the one it is saved for."""


class NoVersion(Exception):
    """There is nothing to switch on yet."""


class NotLive(Exception):
    """The workflow is not running."""


class NotPaused(Exception):
    """The workflow is not paused."""


class MissingTemplate(Exception):
    """A step would send a mail that has not been published."""


class UnknownRecipe(Exception):
    """There is no recipe of this name."""


@transaction.atomic
def save_definition(
    *, source: str | dict[str, Any], now: datetime, workflow: Workflow | None = None
) -> WorkflowVersion:
    """Check and store a definition as a new version; an unchanged one is the same version.

    Raises DefinitionError with the place and the fix. What is live stays live until the new
    version is published.
    """
    data = reading.load(source) if isinstance(source, str) else source
    tree = reading.parse(data)
    if workflow and workflow.key != tree.key:
        raise WrongKey(f"The definition is for “{tree.key}”, not for “{workflow.key}”.")
    defaults = {"name": tree.name, "description": tree.description}
    Workflow.objects.get_or_create(key=tree.key, defaults=defaults)
    saved = Workflow.objects.select_for_update().get(key=tree.key)
    newest = saved.versions.order_by("-number").first()
    if newest and newest.definition == data:
        return newest
    return saved.versions.create(
        number=newest.number + 1 if newest else 1,
        definition=data,
        program=compiler.compile_program(tree),
        created_at=now,
    )


@transaction.atomic
def publish(*, version: WorkflowVersion, now: datetime) -> Workflow:
    """Let a version be the one that people enter; who is inside goes on with their own.

    Raises MissingTemplate where a step would send a mail that is not published, and
    DefinitionError where a condition names a segment that can't be used.
    """
    tree = reading.parse(version.definition)
    _check_templates({step.template for step in tree.walk() if isinstance(step, Send)})
    _check_segments(tree)
    workflow = Workflow.objects.select_for_update().get(pk=version.workflow_id)
    if version.published_at is None:
        version.published_at = now
        version.save(update_fields=["published_at"])
    workflow.live_version = version
    workflow.name, workflow.description = tree.name, tree.description
    workflow.save(update_fields=["live_version", "name", "description", "updated_at"])
    return workflow


def _check_templates(keys: set[str]) -> None:
    published = Template.objects.filter(key__in=keys, versions__published_at__isnull=False)
    missing = sorted(keys - set(published.values_list("key", flat=True)))
    if missing:
        raise MissingTemplate(f"Publish these mails first: {', '.join(missing)}.")


def _check_segments(tree: Definition) -> None:
    forks = [step for step in tree.walk() if isinstance(step, If | WaitUntil)]
    for condition in [tree.exit_when, *(step.condition for step in forks)]:
        if condition is None:
            continue
        try:
            segments.check_segments(condition)
        except ConditionError as problem:
            raise DefinitionError("", str(problem)) from problem


@transaction.atomic
def go_live(*, workflow: Workflow, now: datetime) -> Workflow:
    """Publish the newest version and switch the workflow on."""
    newest = workflow.versions.order_by("-number").first()
    if newest is None:
        raise NoVersion(f"{workflow} has no version yet.")
    workflow = publish(version=newest, now=now)
    workflow.status = Workflow.Status.LIVE
    workflow.save(update_fields=["status", "updated_at"])
    return workflow


def pause(*, workflow: Workflow) -> None:
    """Stop for a while: nobody enters, nobody moves on, nothing is sent."""
    _switch(workflow, Workflow.Status.LIVE, Workflow.Status.PAUSED, NotLive("It is not running."))


def resume(*, workflow: Workflow) -> None:
    """Go on. Waits that ended during the pause are over; exit conditions are asked first."""
    _switch(workflow, Workflow.Status.PAUSED, Workflow.Status.LIVE, NotPaused("It is not paused."))


def _switch(workflow: Workflow, before: str, after: str, problem: Exception) -> None:
    if not Workflow.objects.filter(pk=workflow.pk, status=before).update(status=after):
        raise problem
    workflow.status = after


def exit_enrollments(
    *,
    ids: Collection[int],
    now: datetime,
    reason: str = MANUAL,
    values: dict[str, Any] | None = None,
) -> int:
    """Let these enrollments leave; return how many were still inside."""
    with transaction.atomic():
        return len(store.leave({pk: values or {} for pk in ids}, reason=reason, now=now))


def exit_contacts(
    *, contact_ids: Collection[int], reason: str, values: dict[str, Any], now: datetime
) -> int:
    """Let these contacts leave every workflow they are in."""
    inside = Enrollment.objects.live().filter(contact_id__in=contact_ids)
    ids = list(inside.values_list("pk", flat=True))
    return exit_enrollments(ids=ids, now=now, reason=reason, values=values)


# --- recipes ------------------------------------------------------------------------------------


def recipes() -> list[Definition]:
    """What comes with the product, ready to install."""
    files = sorted(RECIPES.glob("*.yaml"), key=lambda file: file.stem)
    return [reading.parse(reading.load(file.read_text())) for file in files]


@transaction.atomic
def install_recipe(*, key: str, now: datetime) -> Workflow:
    """Install a recipe and its mails, not yet live. What is installed already stays as it is."""
    file = RECIPES / f"{key}.yaml"
    if key not in {path.stem for path in RECIPES.glob("*.yaml")}:
        raise UnknownRecipe(f"There is no recipe “{key}”.")
    data = reading.load(file.read_text())
    for step in reading.parse(data).walk():
        if isinstance(step, Send):
            _install_template(step.template, now)
    found = Workflow.objects.filter(key=key, versions__isnull=False).first()
    return found or save_definition(source=data, now=now).workflow


def _install_template(key: str, now: datetime) -> None:
    subject = (RECIPES / "templates" / f"{key}.subject").read_text().strip()
    html = (RECIPES / "templates" / f"{key}.html").read_text()
    name = key.replace("-", " ").capitalize()
    template, _ = Template.objects.get_or_create(key=key, defaults={"name": name})
    if not template.versions.aggregate(newest=Max("number"))["newest"]:
        messaging.publish(template=template, subject=subject, html=html, now=now)
