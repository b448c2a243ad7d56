"""Each field of each table that could hold something personal says what becomes of it."""

from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.db import models

from apps.consent.registry import Fate, holdings

FREE = (
    models.CharField,
    models.TextField,
    models.JSONField,
    models.UUIDField,
    models.BinaryField,
    models.FileField,
    models.GenericIPAddressField,
    ArrayField,
)


def free_fields() -> set[str]:
    """Fields into which anything may be written; a choice of ours is no such field."""
    return {
        f"{model._meta.label}.{field.name}"
        for model in apps.get_models()
        for field in model._meta.concrete_fields
        if isinstance(field, FREE) and not field.choices and not field.is_relation
    }


def declared(*fates: Fate) -> set[str]:
    return {
        f"{model}.{name}"
        for holding in holdings()
        for model, by_fate in holding.fates.items()
        for fate, names in by_fate.items()
        if fate in fates
        for name in names.split()
    }


def test_every_field_has_a_declared_fate():
    assert free_fields() - declared(*Fate) == set()


def test_no_fate_is_declared_for_a_field_that_is_gone():
    assert declared(*Fate) - free_fields() == set()


def test_a_field_has_one_fate():
    assert not declared(Fate.IMPERSONAL) & declared(Fate.ERASED, Fate.HASHED)


def test_what_is_masked_in_the_admin_is_never_called_impersonal():
    masked = {
        f"{model._meta.label}.{name}"
        for model in apps.get_models()
        for name in getattr(model, "personal_fields", ())
    }

    assert masked & declared(Fate.IMPERSONAL) == set()


def test_whatever_points_to_a_contact_belongs_to_a_holding():
    pointing = {
        model._meta.label
        for model in apps.get_models()
        for field in model._meta.concrete_fields
        if field.is_relation and field.related_model._meta.label == "contacts.Contact"
    }
    held = {model for holding in holdings() for model in holding.fates}
    # They have no field of their own in which something could stand.
    bare = {
        label for label in pointing if not any(f.startswith(f"{label}.") for f in free_fields())
    }

    assert pointing - held - bare == set()
