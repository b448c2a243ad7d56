from datetime import datetime

from django.apps import AppConfig

from apps.contacts.registry import (
    Link,
    Panel,
    TimelineSource,
    register_link,
    register_panel,
    register_timeline,
)
from apps.core.registry import (
    FirstStep,
    Lag,
    Probe,
    Report,
    Stage,
    register_first_step,
    register_probe,
    register_report,
    register_stage,
)
from apps.core.roles import Role, register_roles
from apps.events.registry import Projection, register_projection
from apps.messaging.registry import GateCheck, register_check, register_origin, register_words

VIEW = "workflows.view_workflow"


class WorkflowsConfig(AppConfig):
    name = "apps.workflows"

    def ready(self) -> None:
        from apps.workflows import (  # noqa: PLC0415 -- models are ready only now
            engine,
            gate,
            merging,
            panel,
            personal,
            projection,
            receivers,
            retention,
            selectors,
            traces,
            wording,
        )
        from apps.workflows.models import (  # noqa: PLC0415 -- models are ready only now
            EntryRefusal,
            StepLog,
        )

        merging.register()
        personal.register()
        retention.register()
        traces.register()

        def advance(now: datetime) -> int:
            return engine.advance(now=now)

        def measure(now: datetime) -> Lag:
            return selectors.get_lag(now)

        assert receivers  # noqa: S101 -- importing it connects them
        register_projection(Projection("workflows", 90, projection.apply))
        # Between the events and the outbox: what a workflow asks for leaves in the same turn.
        register_stage(Stage("workflows", 60, advance))
        register_check(GateCheck("workflow", 90, gate.ask))
        register_probe(Probe("engine", "Steps waiting", measure))
        register_words(wording.GATE)
        register_origin("workflow", wording.find_origin)
        register_report(Report("workflows", "workflows", 40, VIEW, panel.report))
        register_panel(
            Panel("workflows", 20, VIEW, "admin/workflows/contact_panel.html", panel.read_panel)
        )
        register_link(Link("why", "Why did they get this?", "help", 5, VIEW, panel.why_url))
        register_timeline(
            TimelineSource(
                name="workflows",
                label="Workflows",
                order=10,
                permission=VIEW,
                rows=lambda contact: StepLog.objects.filter(
                    enrollment__contact=contact
                ).select_related("enrollment__workflow"),
                at="logged_at",
                tell=wording.tell_decisions,
            )
        )
        register_timeline(
            TimelineSource(
                name="refusals",
                label="Not let in",
                order=15,
                permission=VIEW,
                rows=lambda contact: EntryRefusal.objects.filter(contact=contact).select_related(
                    "workflow"
                ),
                at="refused_at",
                tell=wording.tell_refusals,
            )
        )
        register_first_step(
            FirstStep(
                name="recipe",
                order=30,
                title="Install a recipe",
                text="Cart recovery, browse abandonment and others are ready to use, with mails.",
                url_name="admin:workflows_workflow_recipes",
                permission="workflows.add_workflow",
                is_done=panel.is_installed,
            )
        )
        register_first_step(
            FirstStep(
                name="live",
                order=40,
                title="Go live",
                text="Look the workflow and its mails over, then switch it on.",
                url_name="admin:workflows_workflow_changelist",
                permission="workflows.change_workflow",
                is_done=panel.has_been_live,
            )
        )
        register_roles(
            "workflows",
            {
                "workflow": {Role.MARKETER: "view add change", Role.ANALYST: "view"},
                "enrollment": {
                    Role.MARKETER: "view change",
                    Role.ANALYST: "view",
                    Role.PRIVACY_OFFICER: "view",
                },
            },
        )
