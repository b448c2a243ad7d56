from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.urls import reverse

from apps.consent.registry import PreferenceSection, register_preference_section
from apps.contacts.registry import (
    Action,
    Link,
    Panel,
    TimelineSource,
    register_action,
    register_link,
    register_panel,
    register_timeline,
)
from apps.core.registry import (
    PeriodicTask,
    Report,
    register_periodic_task,
    register_report,
)
from apps.core.roles import Role, register_roles
from apps.core.wording import counted

if TYPE_CHECKING:
    from apps.contacts.models import Contact

ADD = "consent.add_consentrecord"
VIEW = "consent.view_consentrecord"


class ConsentConfig(AppConfig):
    name = "apps.consent"

    def ready(self) -> None:
        from apps.consent import (  # noqa: PLC0415 -- models are ready only now
            banners,
            frameworks,
            importing,
            jurisdictions,
            merging,
            personal,
            purposes,
            retention,
            selectors,
            selfservice,
            services,
            wording,
        )
        from apps.consent.models import (  # noqa: PLC0415 -- models are ready only now
            ConsentRecord,
        )

        def unsubscribe(contacts: "Sequence[Contact]", now: datetime, by: str) -> str:
            for contact in contacts:
                services.unsubscribe(
                    contact=contact,
                    method=ConsentRecord.Method.STAFF,
                    source=f"staff: {by}",
                    now=now,
                )
            return f"{counted(len(contacts), 'contact')} unsubscribed."

        merging.register()
        personal.register()
        importing.register()
        register_periodic_task(
            PeriodicTask(
                "Forget unconfirmed sign-ups", "consent.expire_signups", timedelta(minutes=10)
            )
        )
        register_preference_section(
            PreferenceSection("rights", 90, "public/privacy_section.html", selfservice.read_section)
        )
        register_periodic_task(
            PeriodicTask(
                "Answer privacy requests", "consent.go_on_with_requests", timedelta(minutes=1)
            )
        )
        register_report(
            Report(
                "privacy", "attention", 5, "consent.view_privacyrequest", selectors.report_requests
            )
        )
        register_periodic_task(
            PeriodicTask("Let old data go", "consent.apply_retention", timedelta(days=1))
        )
        # Which stores there are is known once every app is ready.
        post_migrate.connect(retention.install, sender=self, dispatch_uid="consent.retention")
        register_periodic_task(
            PeriodicTask("Finish erasures", "consent.finish_erasures", timedelta(minutes=1))
        )
        post_migrate.connect(purposes.install, sender=self, dispatch_uid="consent.purposes")
        post_migrate.connect(banners.install, sender=self, dispatch_uid="consent.banners")
        post_migrate.connect(frameworks.install, sender=self, dispatch_uid="consent.frameworks")
        post_migrate.connect(
            jurisdictions.install, sender=self, dispatch_uid="consent.jurisdictions"
        )
        register_timeline(
            TimelineSource(
                name="consents",
                label="Consents",
                order=30,
                permission=VIEW,
                rows=lambda contact: contact.consent_records.select_related("purpose", "topic"),
                at="recorded_at",
                tell=wording.tell,
            )
        )
        register_panel(
            Panel("consents", 10, VIEW, "admin/consent/contact_panel.html", wording.read_panel)
        )
        register_link(
            Link(
                name="record_consent",
                label="Record a consent",
                icon="approval",
                order=10,
                permission=ADD,
                url=lambda contact: (
                    f"{reverse('admin:consent_consentrecord_add')}?contact={contact.pk}"
                ),
            )
        )
        register_link(
            Link(
                name="privacy_request",
                label="Take in a privacy request",
                icon="shield_person",
                order=20,
                permission="consent.add_privacyrequest",
                url=lambda contact: (
                    f"{reverse('admin:consent_privacyrequest_add')}?contact={contact.pk}"
                ),
            )
        )
        register_action(
            Action(
                name="unsubscribe",
                label="Unsubscribe",
                icon="unsubscribe",
                question=(
                    "Takes back the consent to marketing mail, as if they had unsubscribed "
                    "themselves, and keeps their address silent. They leave every workflow."
                ),
                permission=ADD,
                run=unsubscribe,
                applies=lambda contact: bool(contact.email),
                is_danger=True,
            )
        )
        register_roles(
            "consent",
            {
                "consentrecord": {
                    Role.MARKETER: "view add",
                    Role.ANALYST: "view",
                    Role.PRIVACY_OFFICER: "view add",
                },
                "suppression": {
                    Role.MARKETER: "view add lift_suppression",
                    Role.ANALYST: "view",
                    Role.PRIVACY_OFFICER: "view add lift_suppression",
                },
                "liftedsuppression": {Role.MARKETER: "view", Role.PRIVACY_OFFICER: "view"},
                "purpose": {
                    Role.MARKETER: "view",
                    Role.ANALYST: "view",
                    Role.PRIVACY_OFFICER: "view add change",
                },
                "topic": {
                    Role.MARKETER: "view add change",
                    Role.ANALYST: "view",
                    Role.PRIVACY_OFFICER: "view add change",
                },
                "wordingversion": {
                    Role.MARKETER: "view add",
                    Role.ANALYST: "view",
                    Role.PRIVACY_OFFICER: "view add change",
                },
                "jurisdiction": {
                    Role.MARKETER: "view",
                    Role.ANALYST: "view",
                    Role.PRIVACY_OFFICER: "view add change",
                },
                "jurisdictionrule": {
                    Role.MARKETER: "view",
                    Role.ANALYST: "view",
                    Role.PRIVACY_OFFICER: "view add change delete",
                },
                "retention": {Role.PRIVACY_OFFICER: "view change"},
                "privacyrequest": {Role.PRIVACY_OFFICER: "view add change"},
                "signupform": {
                    Role.MARKETER: "view add change",
                    Role.ANALYST: "view",
                    Role.PRIVACY_OFFICER: "view",
                },
                "pendingsignup": {
                    Role.MARKETER: "view",
                    Role.ANALYST: "view",
                    Role.PRIVACY_OFFICER: "view",
                },
                "banner": {
                    Role.MARKETER: "view change",
                    Role.ANALYST: "view",
                    Role.PRIVACY_OFFICER: "view change",
                },
                "cmpconnection": {Role.PRIVACY_OFFICER: "view add change"},
                "foreignsignal": {
                    Role.MARKETER: "view",
                    Role.ANALYST: "view",
                    Role.PRIVACY_OFFICER: "view add change delete",
                },
                "anonymousconsent": {
                    Role.MARKETER: "view",
                    Role.ANALYST: "view",
                    Role.PRIVACY_OFFICER: "view",
                },
            },
        )
