from datetime import datetime

from django.apps import AppConfig
from django.db.models.signals import post_migrate

from apps.contacts.registry import TimelineSource, register_timeline
from apps.core.registry import (
    Lag,
    Probe,
    Report,
    Stage,
    register_probe,
    register_report,
    register_stage,
)
from apps.core.roles import Role, register_roles
from apps.events.registry import Projection, register_projection


class MessagingConfig(AppConfig):
    name = "apps.messaging"

    def ready(self) -> None:
        from apps.messaging import (  # noqa: PLC0415 -- models are ready only now
            delivery,
            merging,
            personal,
            projection,
            receivers,
            retention,
            selectors,
            servicemail,
            wording,
        )

        merging.register()
        personal.register()
        retention.register()

        def send(now: datetime) -> int:
            return delivery.reap(now=now) + delivery.deliver(now=now)

        def send_service_mails(now: datetime) -> int:
            return servicemail.reap(now=now) + servicemail.deliver(now=now)

        def measure(now: datetime) -> Lag:
            return selectors.measure_outbox(now)

        post_migrate.connect(
            receivers.install_texts, sender=self, dispatch_uid="messaging.service_texts"
        )
        register_projection(Projection("messaging", 80, projection.apply))
        # People wait for these, so they don't stand behind a broadcast.
        register_stage(Stage("service mails", 79, send_service_mails))
        register_stage(Stage("messaging", 80, send))
        register_probe(Probe("outbox", "Mails waiting", measure))
        register_probe(Probe("service_mails", "Confirmation mails waiting", servicemail.measure))
        register_report(
            Report(
                "attention", "attention", 10, "messaging.view_message", selectors.report_attention
            )
        )
        register_report(Report("day", "day", 20, "messaging.view_message", selectors.report_day))
        register_timeline(
            TimelineSource(
                name="mails",
                label="Mails",
                order=20,
                permission="messaging.view_message",
                rows=lambda contact: contact.messages.select_related(
                    "content", "reading", "template_version__template"
                ).defer("context", "gate", "content__html", "content__text"),
                at="queued_at",
                tell=wording.tell,
            )
        )
        register_roles(
            "messaging",
            {
                "message": {
                    Role.MARKETER: "view change",
                    Role.ANALYST: "view",
                    Role.PRIVACY_OFFICER: "view",
                },
                "template": {Role.MARKETER: "view add change", Role.ANALYST: "view"},
                "servicemail": {
                    Role.MARKETER: "view",
                    Role.ANALYST: "view",
                    Role.PRIVACY_OFFICER: "view",
                },
            },
        )
