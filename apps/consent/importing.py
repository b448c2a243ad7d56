"""What consent has to do with files of contacts."""

from apps.consent.registry import Fate, Holding, register_holding


def register() -> None:
    register_holding(
        Holding(
            name="contact files",
            label="Files of contacts",
            order=55,
            fates={"contacts.ContactField": {Fate.IMPERSONAL: "key label help_text choices"}},
            erase=lambda subject, now, limit: 0,
        )
    )
