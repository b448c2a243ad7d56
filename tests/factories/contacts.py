"""People and their identities."""

from typing import Any

import factory
from factory.django import DjangoModelFactory

from apps.contacts.models import (
    Contact,
    ContactField,
    Identity,
    ImportJob,
    ImportRow,
    MergeSuggestion,
)
from apps.core.pseudonyms import as_stored
from tests.instants import NOON


class ContactFactory(DjangoModelFactory):
    """Somebody with an address; its identity rows come with it, as the service makes them."""

    class Meta:
        model = Contact
        skip_postgeneration_save = True

    email = factory.Sequence(lambda number: f"person-{number}@example.com")

    @factory.post_generation
    def identities(contact: Contact, create: bool, extracted: Any, **_: Any) -> None:
        if not create:
            return
        for kind, value in (("email", contact.email), ("user_id", contact.external_id)):
            if value:
                Identity.objects.create(contact=contact, kind=kind, value=value, linked_at=NOON)


class IdentityFactory(DjangoModelFactory):
    class Meta:
        model = Identity

    contact = factory.SubFactory(ContactFactory)
    kind = Identity.Kind.ANONYMOUS_ID
    value = factory.Sequence(lambda number: f"browser-{number}")
    linked_at = NOON

    @classmethod
    def _create(cls, model_class: Any, *args: Any, **fields: Any) -> Identity:
        """A browser is stored by its pseudonym, as the pipeline does it."""
        if fields["kind"] == Identity.Kind.ANONYMOUS_ID:
            fields["value"] = as_stored(fields["value"])
        identity: Identity = super()._create(model_class, *args, **fields)
        return identity


class ContactFieldFactory(DjangoModelFactory):
    """Something that staff wants to know of contacts: text, unless told."""

    class Meta:
        model = ContactField

    key = factory.Sequence(lambda number: f"field_{number}")
    label = factory.LazyAttribute(lambda field: field.key.replace("_", " ").capitalize())


class ImportJobFactory(DjangoModelFactory):
    """A file that was taken in."""

    class Meta:
        model = ImportJob

    file_name = factory.Sequence(lambda number: f"people-{number}.csv")
    format = "csv"
    encoding = "utf-8-sig"
    delimiter = ","
    columns = ["email"]
    mapping = ["email"]
    status = ImportJob.Status.DONE
    row_count = 1
    done_count = 1
    refused_count = 1
    uploaded_by = "ada"
    uploaded_at = NOON
    finished_at = NOON


class ImportRowFactory(DjangoModelFactory):
    """A row that was refused."""

    class Meta:
        model = ImportRow

    job = factory.SubFactory(ImportJobFactory)
    number = 2
    outcome = ImportRow.Outcome.REFUSED
    reason = "E-mail address: not an e-mail address."
    cells = ["nobody"]


class MergeSuggestionFactory(DjangoModelFactory):
    """Two contacts whom one event has taken for one."""

    class Meta:
        model = MergeSuggestion

    contact = factory.SubFactory(ContactFactory)
    other = factory.SubFactory(ContactFactory)
    reason = MergeSuggestion.Reason.USER_ID_AND_EMAIL
    event_id = 1
    first_seen_at = NOON
    last_seen_at = NOON
