"""Who is meant: claims about people, resolved to contacts set by set.

A secret key is believed: its calls find, make, link and change contacts. A public key speaks from a
browser that anybody may hold: it may make a contact that nobody knows yet, and speak for one that
its anonymous ID is already linked to. Anything more stays anonymous and is noted as unverified.

Several workers may resolve at once. Whoever wants to write first takes advisory locks on all names
involved and then the rows of the contacts, each in one order, so that nobody waits in a circle.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

import msgspec
from django.db import connection

from apps.contacts import traits as trait_reader
from apps.contacts.models import Contact, Identity
from apps.core.database import number_array, text_array

Name = tuple[str, str]

UNVERIFIED = "unverified"
EMAIL_TAKEN = "email_taken"
EMAIL_KEPT = "email_kept"

_KINDS = (
    (Identity.Kind.USER_ID.value, "user_id"),
    (Identity.Kind.EMAIL.value, "email"),
    (Identity.Kind.ANONYMOUS_ID.value, "anonymous_id"),
    (Identity.Kind.ANONYMOUS_ID.value, "previous_id"),
)

# The contact's own columns count as well: staff and imports may have made it without identities.
_FIND = """
WITH wanted AS (SELECT * FROM unnest(%s::text[], %s::text[]) AS wanted (kind, value))
SELECT wanted.kind, wanted.value, contact.id, contact.external_id, contact.email
FROM wanted
CROSS JOIN LATERAL (
    SELECT contact_id AS id FROM contacts_identity AS identity
    WHERE identity.kind = wanted.kind AND identity.value = wanted.value
    UNION ALL
    SELECT id FROM contacts_contact WHERE wanted.kind = 'email' AND email = wanted.value
    UNION ALL
    SELECT id FROM contacts_contact WHERE wanted.kind = 'user_id' AND external_id = wanted.value
    LIMIT 1
) AS named
JOIN contacts_contact AS contact ON contact.id = named.id
"""
_LOCK = """
SELECT pg_advisory_xact_lock(hashtext('contacts.identity'), hash)
FROM (SELECT DISTINCT hashtext(name) AS hash FROM unnest(%s::text[]) AS name ORDER BY 1) AS names
"""
_COLUMNS = (
    "email",
    "external_id",
    "first_name",
    "last_name",
    "phone",
    "locale",
    "time_zone",
    "country",
)
_CHANGE = f"""
UPDATE contacts_contact AS contact SET
    {", ".join(f"{name} = new.{name}" for name in _COLUMNS)},
    attributes = new.attributes, updated_at = %s
FROM jsonb_to_recordset(%s)
    AS new (id bigint, {", ".join(f"{name} text" for name in _COLUMNS)}, attributes jsonb)
WHERE contact.id = new.id
"""  # noqa: S608 -- column names are ours
_NAME = """
INSERT INTO contacts_identity (contact_id, kind, value, linked_at)
SELECT contact_id, kind, value, %s
FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS new (contact_id, kind, value)
ON CONFLICT (kind, value) DO UPDATE
    SET contact_id = excluded.contact_id, linked_at = excluded.linked_at
"""
_FORGET = """
DELETE FROM contacts_identity AS identity
USING unnest(%s::text[], %s::text[]) AS old (kind, value)
WHERE identity.kind = old.kind AND identity.value = old.value
"""


class Mode(Enum):
    """What a claim is there for."""

    IDENTIFY = "identify"
    TRACK = "track"
    ALIAS = "alias"
    FIND = "find"


@dataclass(slots=True)
class Claim:
    """One event's word on whom it is about."""

    mode: Mode
    is_trusted: bool
    user_id: str | None = None
    email: str | None = None
    anonymous_id: str | None = None
    previous_id: str | None = None
    traits: dict[str, Any] | None = None


@dataclass(slots=True)
class Resolution:
    """Whom a claim means. `linked` are browsers that belong to the contact from now on."""

    contact_id: int | None = None
    linked: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Person:
    id: int | None
    external_id: str | None
    email: str | None
    row: Contact | None = None
    is_changed: bool = False


class Directory:
    """The people whom a set of claims names, as the tables hold them."""

    def __init__(self, claims: Iterable[Claim]) -> None:
        names = {name for claim in claims for name in _names(claim)}
        self.people: dict[Name, _Person] = {}
        self._by_id: dict[int, _Person] = {}
        if names:
            self._load(sorted(names))

    def _load(self, names: list[Name]) -> None:
        kinds, values = zip(*names, strict=True)
        with connection.cursor() as cursor:
            cursor.execute(_FIND, [text_array(kinds), text_array(values)])
            for kind, value, pk, external_id, email in cursor.fetchall():
                person = self._by_id.setdefault(pk, _Person(pk, external_id, email))
                self.people[kind, value] = person

    def find(self, claim: Claim) -> int | None:
        """Whom the claim means as things stand, without changing anything."""
        person = _find_trusted(claim, self.people) if claim.is_trusted else None
        if not claim.is_trusted:
            person = _find_public(claim, self.people)
        return person.id if person else None

    def load_rows(self, claims: Iterable[Claim]) -> None:
        """Lock and read the contacts that these claims may change."""
        named = [self.people.get(name) for claim in claims for name in _names(claim)]
        ids = {person.id for person in named if person and person.id is not None}
        rows = Contact.objects.filter(pk__in=ids).order_by("pk")
        for row in rows.select_for_update(no_key=True):
            person = self._by_id[row.pk]
            person.row, person.email, person.external_id = row, row.email, row.external_id


def resolve(
    *, claims: list[Claim], now: datetime, directory: Directory | None = None
) -> list[Resolution]:
    """Find, make, link and change the contacts that the claims mean; answers in their order.

    Call inside a transaction. `directory` may be one that was just made from the same claims.
    """
    directory = directory or Directory(claims)
    writers = [claim for claim in claims if _wants_to_write(claim, directory.people)]
    if writers:
        with connection.cursor() as cursor:
            names = ["\x1f".join(name) for claim in writers for name in _names(claim)]
            cursor.execute(_LOCK, [text_array(names)])
        # Read again: whoever held the locks has committed.
        directory = Directory(claims)
        directory.load_rows(writers)
    session = _Session(directory.people)
    answers = [session.answer(claim) for claim in claims]
    if writers:
        session.save(now)
    # A browser that was linked by a later claim of this set is known to the earlier ones too.
    return [session.resolution(*answer) for answer in answers]


def _names(claim: Claim) -> list[Name]:
    return [(kind, value) for kind, attribute in _KINDS if (value := getattr(claim, attribute))]


def _get(people: dict[Name, _Person], kind: Identity.Kind, value: str | None) -> _Person | None:
    return people.get((kind.value, value)) if value else None


def _by_user_id(claim: Claim, people: dict[Name, _Person]) -> _Person | None:
    return _get(people, Identity.Kind.USER_ID, claim.user_id)


def _by_email(claim: Claim, people: dict[Name, _Person]) -> _Person | None:
    return _get(people, Identity.Kind.EMAIL, claim.email)


def _by_browser(claim: Claim, people: dict[Name, _Person]) -> _Person | None:
    return _get(people, Identity.Kind.ANONYMOUS_ID, claim.anonymous_id)


def _find_trusted(claim: Claim, people: dict[Name, _Person]) -> _Person | None:
    """The user ID counts most, then the address, then the browser."""
    if person := _by_user_id(claim, people):
        return person
    person = _by_email(claim, people)
    if person and not (claim.user_id and person.external_id):
        return person
    if claim.user_id or claim.email:
        return None
    return _by_browser(claim, people)


def _find_public(claim: Claim, people: dict[Name, _Person]) -> _Person | None:
    """Only the person whom the browser is linked to, and only if the claim fits them."""
    person = _by_browser(claim, people)
    if person is None or not _fits(claim, person, people):
        return None
    return person


def _fits(claim: Claim, person: _Person, people: dict[Name, _Person]) -> bool:
    if claim.user_id and person.external_id:
        return claim.user_id == person.external_id
    if claim.user_id and _by_user_id(claim, people) not in (None, person):
        return False
    if claim.mode is not Mode.IDENTIFY or not claim.email:
        return True
    if person.email:
        return claim.email == person.email
    return _by_email(claim, people) is None


def _wants_to_write(claim: Claim, people: dict[Name, _Person]) -> bool:
    if claim.mode is Mode.FIND:
        return False
    if claim.mode is not Mode.TRACK:
        return True
    if not claim.is_trusted or not claim.user_id:
        return False
    is_linked = not claim.anonymous_id or _by_browser(claim, people) is not None
    return _by_user_id(claim, people) is None or not is_linked


class _Session:
    """One set of claims at work: changes happen in memory, in order, and are saved at once."""

    def __init__(self, people: dict[Name, _Person]) -> None:
        self.people = people
        self.created: list[_Person] = []
        self.named: dict[Name, _Person] = {}
        self.forgotten: set[Name] = set()

    def answer(self, claim: Claim) -> tuple[Claim, _Person | None, Resolution]:
        resolution = Resolution()
        handlers: dict[Mode, Callable[[Claim, Resolution], _Person | None]] = {
            Mode.IDENTIFY: self._identify,
            Mode.TRACK: self._track,
            Mode.ALIAS: self._alias,
            Mode.FIND: self._find,
        }
        person = handlers[claim.mode](claim, resolution)
        if person is None and not claim.is_trusted and (claim.user_id or claim.email):
            resolution.notes.append(UNVERIFIED)
        return claim, person, resolution

    def resolution(
        self, claim: Claim, person: _Person | None, resolution: Resolution
    ) -> Resolution:
        if person is None and not (claim.user_id or claim.email):
            person = _by_browser(claim, self.people)
        resolution.contact_id = person.id if person else None
        return resolution

    def save(self, now: datetime) -> None:
        self._create()
        self._change(now)
        self._name(now)

    # ---- What each kind of claim does ----

    def _find(self, claim: Claim, resolution: Resolution) -> _Person | None:
        find = _find_trusted if claim.is_trusted else _find_public
        return find(claim, self.people)

    def _identify(self, claim: Claim, resolution: Resolution) -> _Person | None:
        person = self._find(claim, resolution)
        if person is None and (claim.is_trusted or not self._is_known(claim)):
            person = self._make(claim)
        if person is None:
            return None
        self._take_user_id(person, claim)
        self._take_email(person, claim, resolution)
        self._take_traits(person, claim, resolution)
        self._link(person, claim.anonymous_id, resolution, may_move=True)
        return person

    def _track(self, claim: Claim, resolution: Resolution) -> _Person | None:
        person = self._find(claim, resolution)
        if not claim.is_trusted or not claim.user_id:
            return person
        person = person or self._make(claim)
        if person:
            self._take_user_id(person, claim)
            self._link(person, claim.anonymous_id, resolution, may_move=False)
        return person

    def _alias(self, claim: Claim, resolution: Resolution) -> _Person | None:
        """`previousId` is a browser that turns out to be this user."""
        if claim.is_trusted:
            person = _by_user_id(claim, self.people) or self._make(claim)
        else:
            linked = _get(self.people, Identity.Kind.ANONYMOUS_ID, claim.previous_id)
            known = _by_user_id(claim, self.people)
            if known and known is not linked:
                return None
            person = known or self._make(claim)
        if person:
            self._take_user_id(person, claim)
            self._link(person, claim.previous_id, resolution, may_move=True)
        return person

    # ---- Changes in memory ----

    def _is_known(self, claim: Claim) -> bool:
        return bool(_by_user_id(claim, self.people) or _by_email(claim, self.people))

    def _make(self, claim: Claim) -> _Person | None:
        if not claim.user_id and not claim.email:
            return None
        person = _Person(None, None, None, Contact())
        self.created.append(person)
        return person

    def _take_user_id(self, person: _Person, claim: Claim) -> None:
        if claim.user_id and not person.external_id and not _by_user_id(claim, self.people):
            self._set(person, "external_id", claim.user_id)
            person.external_id = claim.user_id
            self._call(person, Identity.Kind.USER_ID, claim.user_id)

    def _take_email(self, person: _Person, claim: Claim, resolution: Resolution) -> None:
        if not claim.email or claim.email == person.email:
            return
        if _by_email(claim, self.people) not in (None, person):
            resolution.notes.append(EMAIL_TAKEN)
            return
        if person.email and not claim.is_trusted:
            resolution.notes.append(EMAIL_KEPT)
            return
        if person.email:
            old = (Identity.Kind.EMAIL.value, person.email)
            self.people.pop(old, None)
            self.named.pop(old, None)
            self.forgotten.add(old)
        self._set(person, "email", claim.email)
        person.email = claim.email
        self._call(person, Identity.Kind.EMAIL, claim.email)

    def _take_traits(self, person: _Person, claim: Claim, resolution: Resolution) -> None:
        if not claim.traits or person.row is None:
            return
        reading = trait_reader.read(claim.traits)
        for column, value in reading.columns.items():
            self._set(person, column, value)
        if reading.attributes:
            self._set(person, "attributes", trait_reader.merge(person.row.attributes, reading))
        resolution.notes.extend(f"dropped {dropped}" for dropped in reading.dropped)

    def _link(
        self, person: _Person, browser: str | None, resolution: Resolution, *, may_move: bool
    ) -> None:
        if not browser:
            return
        holder = _get(self.people, Identity.Kind.ANONYMOUS_ID, browser)
        if holder is person or (holder and not may_move):
            return
        self._call(person, Identity.Kind.ANONYMOUS_ID, browser)
        resolution.linked.append(browser)

    def _call(self, person: _Person, kind: Identity.Kind, value: str) -> None:
        name = (kind.value, value)
        self.people[name] = self.named[name] = person
        self.forgotten.discard(name)

    def _set(self, person: _Person, column: str, value: Any) -> None:
        if person.row is not None and getattr(person.row, column) != value:
            setattr(person.row, column, value)
            person.is_changed = True

    # ---- Saving ----

    def _create(self) -> None:
        rows = [person.row for person in self.created if person.row]
        Contact.objects.bulk_create(rows)
        for person in self.created:
            person.id = person.row.pk if person.row else None
            person.is_changed = False

    def _change(self, now: datetime) -> None:
        people = {person.id: person for person in self.people.values() if person.is_changed}
        changes = [
            {
                "id": pk,
                "attributes": person.row.attributes,
                **{column: getattr(person.row, column) for column in _COLUMNS},
            }
            for pk, person in sorted(people.items())
            if person.row
        ]
        if changes:
            with connection.cursor() as cursor:
                cursor.execute(_CHANGE, [now, msgspec.json.encode(changes).decode()])

    def _name(self, now: datetime) -> None:
        with connection.cursor() as cursor:
            if self.forgotten:
                kinds, values = zip(*sorted(self.forgotten), strict=True)
                cursor.execute(_FORGET, [text_array(kinds), text_array(values)])
            if self.named:
                kinds, values = zip(*sorted(self.named), strict=True)
                ids = [self.named[name].id for name in sorted(self.named)]
                cursor.execute(
                    _NAME, [now, number_array(ids), text_array(kinds), text_array(values)]
                )
