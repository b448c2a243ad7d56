"""What is exported and imported again is the same, whatever it is."""

from contextlib import contextmanager

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.contacts import export, fields, tables
from apps.contacts.fields import Misfit
from apps.contacts.models import Contact, Identity
from tests.contacts.sheets import counts, take_in
from tests.factories.contacts import ContactFactory, ContactFieldFactory

TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20
).map(str.strip)
# What neither a workbook nor XML can hold.
VISIBLE = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=20
).map(str.strip)
KINDS = ["text", "number", "boolean", "date", "datetime", "list", "url"]
NAMES = ["email", "user_id", "first_name", "last_name", "phone", "country", "locale", "time_zone"]


def fitting(declared, strategy):
    def keep(value):
        try:
            return fields.fit(declared, value)
        except Misfit:
            return None

    return strategy.map(keep)


def values_of(declared, texts):
    told = {
        "text": texts,
        "number": st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, width=32),
        "boolean": st.booleans(),
        "date": st.dates().map(str),
        "datetime": st.datetimes().map(str),
        "list": st.lists(texts, max_size=3),
        "url": st.sampled_from(["https://shop.example/a?b=1", "http://x.example"]),
    }
    return fitting(declared, told[declared.kind])


@st.composite
def people(draw, declared, texts):
    attributes = {
        key: value
        for key, field in declared.items()
        if (value := draw(values_of(field, texts))) not in (None, "", [])
    }
    return {
        "first_name": draw(texts),
        "last_name": draw(texts),
        "phone": draw(texts),
        "country": draw(st.sampled_from(["", "DE", "GB"])),
        "attributes": attributes,
    }


@contextmanager
def undone():
    """Whatever is done within is as if it had never been."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def state():
    columns = ["email", "external_id", *NAMES[2:], "attributes"]
    identities = Identity.objects.order_by("kind", "value").values_list("kind", "value")
    return list(Contact.objects.order_by("email").values(*columns)), list(identities)


@pytest.mark.django_db
@pytest.mark.parametrize(("file_format", "texts"), [("csv", TEXT), ("xlsx", VISIBLE)])
def test_an_exported_file_makes_the_same_contacts(file_format, texts, settings_of_files):
    for kind in KINDS:
        ContactFieldFactory(key=kind, label=kind, kind=kind)
    declared = fields.declared()
    keys = [*NAMES, *declared]

    @given(everybody=st.lists(people(declared, texts), min_size=1, max_size=4))
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    def check(everybody):
        with undone():
            for number, one in enumerate(everybody):
                ContactFactory(email=f"{number}@example.com", external_id=f"u-{number}", **one)
            before = state()
            file = b"".join(
                export.write(people=Contact.objects.all(), keys=keys, file_format=file_format)
            )
            again = take_in(file)
            Contact.objects.all().delete()

            job = take_in(file)

            assert counts(again) == (0, 0, len(everybody), 0)
            assert counts(job) == (len(everybody), 0, 0, 0)
            assert state() == before

    check()


@pytest.fixture
def settings_of_files(settings, tmp_path):
    settings.CUEPOST_HOME = tmp_path


@given(st.text())
def test_a_guard_is_taken_away_again(text):
    assert tables.unguarded(tables.guarded(text)) == text
