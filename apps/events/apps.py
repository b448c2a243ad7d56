from datetime import datetime, timedelta

from django.apps import AppConfig
from django.db.models.signals import post_migrate

from apps.contacts.registry import TimelineSource, register_timeline
from apps.core.registry import (
    Finding,
    FirstStep,
    Lag,
    PeriodicTask,
    Probe,
    Report,
    Stage,
    register_first_step,
    register_periodic_task,
    register_probe,
    register_report,
    register_stage,
)
from apps.core.roles import Role, register_roles


class EventsConfig(AppConfig):
    name = "apps.events"

    def ready(self) -> None:
        from apps.events import (  # noqa: PLC0415 -- models are ready only now
            definitions,
            health,
            lanes,
            merging,
            personal,
            pipeline,
            receivers,
            retention,
            selectors,
            traces,
            wording,
        )
        from apps.events.models import Source  # noqa: PLC0415 -- models are ready only now

        def drain(now: datetime) -> int:
            return pipeline.drain(now=now)

        def measure(now: datetime) -> Lag:
            return selectors.inbox_lag(now)

        merging.register()
        personal.register()
        retention.register()
        traces.register()
        assert receivers  # noqa: S101 -- importing it connects them
        post_migrate.connect(lanes.install, sender=self, dispatch_uid="events.lanes")
        post_migrate.connect(definitions.install, sender=self, dispatch_uid="events.definitions")
        register_stage(Stage("events", 30, drain))
        register_probe(Probe("inbox", "Events waiting", measure))
        register_periodic_task(
            PeriodicTask("Make event partitions", "events.make_partitions", timedelta(days=1))
        )
        register_periodic_task(
            PeriodicTask("Drop old tracking numbers", "events.drop_numbers", timedelta(days=1))
        )
        register_timeline(
            TimelineSource(
                name="events",
                label="Events",
                order=40,
                permission="events.view_event",
                rows=lambda contact: contact.events.select_related("source"),
                at="occurred_at",
                tell=wording.tell,
            )
        )

        def report(now: datetime) -> list[Finding]:
            return wording.report_rejected(selectors.count_open_rejected())

        register_report(Report("rejected", "attention", 30, "events.view_rejectedevent", report))
        register_report(
            Report("tracking", "attention", 35, "events.view_eventdefinition", health.report)
        )
        register_first_step(
            FirstStep(
                name="source",
                order=10,
                title="Make a source",
                text="A source is a website or server that sends events. It comes with two keys.",
                url_name="admin:events_source_add",
                permission="events.add_source",
                is_done=lambda: Source.objects.sending().exists(),
            )
        )
        register_first_step(
            FirstStep(
                name="event",
                order=20,
                title="Send the first event",
                text="The page of your source has a snippet for websites and examples for servers.",
                url_name="admin:events_source_changelist",
                permission="events.view_source",
                is_done=selectors.has_events,
            )
        )
        register_roles(
            "events",
            {
                "event": {
                    Role.MARKETER: "view",
                    Role.ANALYST: "view",
                    Role.PRIVACY_OFFICER: "view",
                },
                "eventdefinition": {
                    Role.MARKETER: "view add change delete",
                    Role.ANALYST: "view",
                    Role.PRIVACY_OFFICER: "view",
                },
                "rejectedevent": {
                    Role.MARKETER: "view",
                    Role.ANALYST: "view",
                    Role.PRIVACY_OFFICER: "view",
                },
            },
        )
