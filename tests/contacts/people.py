"""Two people with everything that a contact may have, and a way to compare what is whose."""

from datetime import timedelta
from typing import Any

from django.apps import apps
from django.db import models

from apps.contacts import registry
from apps.contacts.models import Contact
from tests.instants import NOON

LATER = NOON + timedelta(hours=1)
# Only ever appended to, or written when staff decides; not part of what an undo restores.
_HISTORY = {"contacts.MergeSuggestion", "contacts.MergeLog", "consent.ConsentRecord"}
_CHANGING = {"id", "updated_at", "record_id", "changed_at"}
COLUMNS = (
    "id", "email", "external_id", "first_name", "last_name", "phone", "country", "attributes",
    "merged_into_id",
)  # fmt: skip


def contact_keys() -> list[tuple[type[models.Model], str]]:
    """Every foreign key to a contact, in all tables."""
    return [
        (model, field.name)
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if isinstance(field, models.ForeignKey) and field.related_model is Contact
    ]


def everything() -> dict[str, Any]:
    """All that belongs to anybody, row by row."""
    found: dict[str, Any] = {
        "contacts": list(Contact.objects.order_by("pk").values(*COLUMNS)),
    }
    for model, name in contact_keys():
        label = f"{model._meta.label}.{name}"
        if model._meta.label not in _HISTORY and model is not Contact:
            found[label] = _rows(model)
    found["items"] = sorted(
        apps.get_model("commerce.CartItem").objects.values_list(
            "cart_id", "product_key", "quantity", "added_at"
        )
    )
    return found


def whose(model: str, field: str = "contact") -> set[tuple[int, int]]:
    """The rows of a table, each with the number of its contact."""
    return set(apps.get_model(model).objects.values_list("pk", f"{field}_id"))


def _rows(model: type[models.Model]) -> list[dict[str, Any]]:
    skipped = _CHANGING if model._meta.label == "consent.ConsentState" else {"updated_at"}
    rows = [
        {name: value for name, value in row.items() if name not in skipped}
        for row in model._default_manager.order_by("pk").values()
        # As if nothing had been said: there is no way back to no row at all.
        if row.get("status") != "unsaid"
    ]
    return sorted(rows, key=str)


def registered() -> set[tuple[str, str]]:
    return {(one.model, one.field) for one in registry.belongings()}
