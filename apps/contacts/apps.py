from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.apps import AppConfig

from apps.contacts.registry import Action, register_action
from apps.core.registry import (
    PeriodicTask,
    Report,
    Stage,
    register_periodic_task,
    register_report,
    register_stage,
)
from apps.core.roles import Role, register_roles
from apps.core.wording import counted

if TYPE_CHECKING:
    from apps.contacts.models import Contact


class ContactsConfig(AppConfig):
    name = "apps.contacts"

    def ready(self) -> None:
        from apps.contacts import (  # noqa: PLC0415 -- models are ready only now
            comparison,
            merging,
            services,
            suggestions,
        )

        merging.register()

        def merge_due(now: datetime) -> int:
            return suggestions.merge_due(now=now)

        register_stage(Stage("merges", 35, merge_due))
        register_periodic_task(
            PeriodicTask("Go on with imports", "contacts.work_on_imports", timedelta(seconds=15))
        )
        register_periodic_task(
            PeriodicTask("Forget imported files", "contacts.forget_files", timedelta(hours=1))
        )
        register_report(
            Report(
                "duplicates",
                "attention",
                40,
                "contacts.view_mergesuggestion",
                comparison.report_open,
            )
        )

        def mark(contacts: "Sequence[Contact]", now: datetime, by: str) -> str:
            ids = [contact.pk for contact in contacts]
            count = services.mark_test(contact_ids=ids, is_test=True, now=now)
            return f"{counted(count, 'contact')} marked as test contacts."

        def unmark(contacts: "Sequence[Contact]", now: datetime, by: str) -> str:
            ids = [contact.pk for contact in contacts]
            count = services.mark_test(contact_ids=ids, is_test=False, now=now)
            return f"{counted(count, 'contact')} count like everybody else again."

        register_action(
            Action(
                name="mark_test",
                label="Mark as test contact",
                icon="science",
                question="Test contacts get test mails and are left out of every count.",
                permission="contacts.change_contact",
                run=mark,
                applies=lambda contact: not contact.is_test,
            )
        )
        register_action(
            Action(
                name="unmark_test",
                label="No test contact any more",
                icon="science_off",
                question="The contact counts like everybody else again.",
                permission="contacts.change_contact",
                run=unmark,
                applies=lambda contact: contact.is_test,
            )
        )
        register_roles(
            "contacts",
            {
                "contact": {
                    Role.MARKETER: "view add change view_personal_data",
                    Role.ANALYST: "view",
                    Role.PRIVACY_OFFICER: "view change view_personal_data export_contact",
                },
                "contactfield": {
                    Role.MARKETER: "view add change delete",
                    Role.ANALYST: "view",
                    Role.PRIVACY_OFFICER: "view",
                },
                "importjob": {
                    Role.MARKETER: "view add change",
                    Role.PRIVACY_OFFICER: "view",
                },
                "mergesuggestion": {
                    Role.MARKETER: "view",
                    Role.PRIVACY_OFFICER: "view merge_contact",
                },
                "mergelog": {Role.MARKETER: "view", Role.PRIVACY_OFFICER: "view"},
            },
        )
