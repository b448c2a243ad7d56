"""Claims about people, and whom they name as things stand."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from django.db import connection

from apps.contacts.models import Contact, Identity
from apps.core.database import number_array, text_array

Name = tuple[str, str]

_KINDS = (
    (Identity.Kind.USER_ID.value, "user_id"),
    (Identity.Kind.USER_ID.value, "previous_user_id"),
    (Identity.Kind.EMAIL.value, "email"),
    (Identity.Kind.ANONYMOUS_ID.value, "anonymous_id"),
    (Identity.Kind.ANONYMOUS_ID.value, "previous_id"),
)

# The contact's own columns count as well: staff and imports may have made it without identities.
_FIND = """
WITH wanted AS (SELECT * FROM unnest(%s::text[], %s::text[]) AS wanted (kind, value))
SELECT wanted.kind, wanted.value, named.is_trusted, contact.id, contact.external_id, contact.email,
    EXISTS (
        SELECT FROM contacts_identity AS browser WHERE browser.contact_id = contact.id
            AND browser.kind = 'anonymous_id' AND NOT browser.is_trusted
    )
FROM wanted
CROSS JOIN LATERAL (
    SELECT contact_id AS id, is_trusted FROM contacts_identity AS identity
    WHERE identity.kind = wanted.kind AND identity.value = wanted.value
    UNION ALL
    SELECT id, true FROM contacts_contact WHERE wanted.kind = 'email' AND email = wanted.value
    UNION ALL
    SELECT id, true FROM contacts_contact
    WHERE wanted.kind = 'user_id' AND external_id = wanted.value
    LIMIT 1
) AS named
JOIN contacts_contact AS contact ON contact.id = named.id
"""
_COUNT = """
SELECT contact_id, kind, count(*) FROM contacts_identity
WHERE contact_id = ANY(%s::bigint[]) GROUP BY contact_id, kind
"""


class Mode(Enum):
    """What a claim is there for."""

    IDENTIFY = "identify"
    TRACK = "track"
    ALIAS = "alias"
    FIND = "find"


@dataclass(slots=True)
class Claim:
    """One event's word on whom it is about.

    Without `may_link` its browser helps to find the person, and is not linked to them. With
    `is_signed` a browser brings a server's word that it is this user ID's. `previous_id` is a
    browser; a server may mean a user ID by the same text, which is `previous_user_id`.
    """

    mode: Mode
    is_trusted: bool
    user_id: str | None = None
    email: str | None = None
    anonymous_id: str | None = None
    previous_id: str | None = None
    previous_user_id: str | None = None
    traits: dict[str, Any] | None = None
    may_link: bool = True
    is_signed: bool = False

    @property
    def is_proof(self) -> bool:
        """Whether a server says by name whom it means, itself or by its signature."""
        if self.is_trusted:
            return bool(self.user_id or self.email)
        return self.is_signed and bool(self.user_id)

    def proves(self, name: "Name") -> bool:
        """Whether this name of the claim is beyond doubt; a signature says nothing of addresses."""
        return self.is_proof and (self.is_trusted or name[0] != Identity.Kind.EMAIL)


@dataclass(slots=True, eq=False)
class Person:
    """A contact whom claims name; `id` is None until it is made.

    `counts` are its names of each kind, and are read together with its row.
    """

    id: int | None
    external_id: str | None = None
    email: str | None = None
    has_public_browsers: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    row: Contact | None = None
    is_changed: bool = False


class Directory:
    """The people whom a set of claims names, as the tables hold them.

    `unproven` are the names that only a browser has told.
    """

    def __init__(self, claims: Iterable[Claim]) -> None:
        names = {name for claim in claims for name in names_of(claim)}
        self.people: dict[Name, Person] = {}
        self.unproven: set[Name] = set()
        self._by_id: dict[int, Person] = {}
        if names:
            self._load(sorted(names))

    def _load(self, names: list[Name]) -> None:
        kinds, values = zip(*names, strict=True)
        with connection.cursor() as cursor:
            cursor.execute(_FIND, [text_array(kinds), text_array(values)])
            for kind, value, is_trusted, pk, *person in cursor.fetchall():
                self.people[kind, value] = self._by_id.setdefault(pk, Person(pk, *person))
                if not is_trusted:
                    self.unproven.add((kind, value))

    def find(self, claim: Claim) -> int | None:
        """Whom the claim means as things stand, without changing anything."""
        person = find(claim, self.people)
        return person.id if person else None

    def load_rows(self, claims: Iterable[Claim]) -> None:
        """Lock and read the contacts that these claims may change."""
        named = [self.people.get(name) for claim in claims for name in names_of(claim)]
        ids = {person.id for person in named if person and person.id is not None}
        rows = Contact.objects.filter(pk__in=ids).order_by("pk")
        for row in rows.select_for_update(no_key=True):
            person = self._by_id[row.pk]
            person.row, person.email, person.external_id = row, row.email, row.external_id
        with connection.cursor() as cursor:
            cursor.execute(_COUNT, [number_array(ids)])
            for pk, kind, count in cursor.fetchall():
                self._by_id[pk].counts[kind] = count

    def wants_to_write(self, claim: Claim) -> bool:
        """Whether a claim may change anything; a track call mostly repeats what is known."""
        if claim.mode is not Mode.TRACK:
            return claim.mode is not Mode.FIND
        if not claim.is_proof:
            return False
        person = find(claim, self.people)
        return (
            person is None
            or person.has_public_browsers
            or self._is_open(Identity.Kind.USER_ID, claim.user_id)
            or (claim.may_link and self._is_open(Identity.Kind.ANONYMOUS_ID, claim.anonymous_id))
            or (
                (person.email is None or (claim.is_trusted and person.email == claim.email))
                and self._is_open(Identity.Kind.EMAIL, claim.email)
            )
        )

    def _is_open(self, kind: Identity.Kind, value: str | None) -> bool:
        name = (kind.value, value or "")
        return bool(value) and (name not in self.people or name in self.unproven)


def names_of(claim: Claim) -> list[Name]:
    return [(kind, value) for kind, attribute in _KINDS if (value := getattr(claim, attribute))]


def get_person(people: dict[Name, Person], kind: Identity.Kind, value: str | None) -> Person | None:
    return people.get((kind.value, value)) if value else None


def by_user_id(claim: Claim, people: dict[Name, Person]) -> Person | None:
    return get_person(people, Identity.Kind.USER_ID, claim.user_id)


def by_email(claim: Claim, people: dict[Name, Person]) -> Person | None:
    return get_person(people, Identity.Kind.EMAIL, claim.email)


def by_browser(claim: Claim, people: dict[Name, Person]) -> Person | None:
    return get_person(people, Identity.Kind.ANONYMOUS_ID, claim.anonymous_id)


def find(claim: Claim, people: dict[Name, Person]) -> Person | None:
    """Whom a claim means, as far as it is believed."""
    if claim.is_trusted:
        return find_trusted(claim, people)
    return (claim.is_signed and by_user_id(claim, people)) or find_public(claim, people)


def find_trusted(claim: Claim, people: dict[Name, Person]) -> Person | None:
    """The user ID counts most, then the address, then the browser.

    A new user ID is that of the browser's person, if they have none: a guest who opens an account.
    """
    if person := by_user_id(claim, people):
        return person
    person = by_email(claim, people)
    if person and not (claim.user_id and person.external_id):
        return person
    person = by_browser(claim, people)
    if claim.email or (claim.user_id and person and person.external_id):
        return None
    return person


def find_public(claim: Claim, people: dict[Name, Person]) -> Person | None:
    """Only the person whom the browser is linked to, and only if the claim fits them."""
    person = by_browser(claim, people)
    if person is None or not _fits(claim, person, people):
        return None
    return person


def _fits(claim: Claim, person: Person, people: dict[Name, Person]) -> bool:
    if claim.user_id and person.external_id:
        return claim.user_id == person.external_id
    if claim.user_id and by_user_id(claim, people) not in (None, person):
        return False
    if claim.mode is not Mode.IDENTIFY or not claim.email:
        return True
    if person.email:
        return claim.email == person.email
    return by_email(claim, people) is None
