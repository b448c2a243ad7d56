"""Who is meant: claims about people, resolved to contacts set by set.

A secret key is believed: its calls find, make, link and change contacts. A public key speaks from a
browser that anybody may hold: it may make a contact that nobody knows yet, and speak for one that
its anonymous ID is already linked to. Anything more stays anonymous and is noted as unverified.
With the signature of the shop's server for a user ID its word for that ID counts like the server's.

What only a browser has told is unproven and yields to a server's word. Once a server names a
contact, the browsers that made or joined it on their own word are unlinked, except the one that the
server names with it; an unproven address goes to whomever the server gives it.

Several workers may resolve at once. Whoever wants to write first takes advisory locks on all names
involved and then the rows of the contacts, each in one order, so that nobody waits in a circle.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from django.conf import settings
from django.db import connection

from apps.contacts import fields
from apps.contacts import traits as trait_reader
from apps.contacts.directory import (
    Claim,
    Directory,
    Mode,
    Name,
    Person,
    by_browser,
    by_email,
    by_user_id,
    find,
    get_person,
    names_of,
)
from apps.contacts.models import Contact, Identity
from apps.core.database import number_array, text_array

UNVERIFIED = "unverified"
EMAIL_TAKEN = "email_taken"
EMAIL_KEPT = "email_kept"
# One person doesn't have so many: a shared till, or a placeholder that nobody has blocked yet.
TOO_MANY = {
    Identity.Kind.USER_ID: "too_many_user_ids",
    Identity.Kind.EMAIL: "too_many_addresses",
    Identity.Kind.ANONYMOUS_ID: "too_many_browsers",
}

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
INSERT INTO contacts_identity (contact_id, kind, value, is_trusted, linked_at)
SELECT contact_id, kind, value, is_trusted, %s
FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::boolean[])
    AS new (contact_id, kind, value, is_trusted)
ON CONFLICT (kind, value) DO UPDATE
    SET contact_id = excluded.contact_id, is_trusted = excluded.is_trusted,
        linked_at = excluded.linked_at
"""
_FORGET = """
DELETE FROM contacts_identity AS identity
USING unnest(%s::text[], %s::text[]) AS old (kind, value)
WHERE identity.kind = old.kind AND identity.value = old.value
"""
_UNLINK = """
DELETE FROM contacts_identity
WHERE contact_id = ANY(%s::bigint[]) AND kind = 'anonymous_id' AND NOT is_trusted
"""


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two contacts whom a server takes for one; `is_due` where the other was a guest so far."""

    contact_id: int
    other_id: int
    reason: str
    is_due: bool = False


@dataclass(slots=True)
class Resolution:
    """Whom a claim means. `linked` are browsers that belong to the contact from now on."""

    contact_id: int | None = None
    linked: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    conflict: Conflict | None = None


def resolve(
    *, claims: list[Claim], now: datetime, directory: Directory | None = None
) -> list[Resolution]:
    """Find, make, link and change the contacts that the claims mean; answers in their order.

    Call inside a transaction. `directory` may be one that was just made from the same claims.
    """
    directory = directory or Directory(claims)
    writers = [claim for claim in claims if directory.wants_to_write(claim)]
    if writers:
        lock_names(name for claim in writers for name in names_of(claim))
        # Read again: whoever held the locks has committed.
        directory = Directory(claims)
        directory.load_rows(writers)
    session = _Session(directory)
    answers = [session.answer(claim) for claim in claims]
    if writers:
        session.save(now)
    # A browser that was linked by a later claim of this set is known to the earlier ones too.
    return [session.resolution(*answer) for answer in answers]


def is_guest_of(other: Contact | Person, contact: Contact | Person) -> bool:
    """Whether one of two has no user ID and no other address, so that they can be one person."""
    return not other.external_id and (
        not other.email or not contact.email or other.email == contact.email
    )


def lock_names(names: Iterable[Name]) -> None:
    """Let nobody else make, link or change whoever has these names until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [text_array("\x1f".join(name) for name in names)])


class _Session:
    """One set of claims at work: changes happen in memory, in order, and are saved at once."""

    def __init__(self, directory: Directory) -> None:
        self.people = directory.people
        self.unproven = directory.unproven
        self.created: list[Person] = []
        self.changed: list[Person] = []
        self.named: dict[Name, Person] = {}
        self.forgotten: set[Name] = set()
        # Who lost an address to somebody else, and whom a server has named for the first time.
        self.released: list[Person] = []
        self.confirmed: list[Person] = []
        # By the place of a claim: whom an alias takes for one.
        self.joined: dict[int, tuple[Person, Person]] = {}

    def answer(self, claim: Claim) -> tuple[Claim, Person | None, Resolution]:
        resolution = Resolution()
        handlers: dict[Mode, Callable[[Claim, Resolution], Person | None]] = {
            Mode.IDENTIFY: self._identify,
            Mode.TRACK: self._track,
            Mode.ALIAS: self._alias,
            Mode.FIND: self._find,
        }
        person = handlers[claim.mode](claim, resolution)
        if person is None and not claim.is_proof and (claim.user_id or claim.email):
            resolution.notes.append(UNVERIFIED)
        return claim, person, resolution

    def resolution(self, claim: Claim, person: Person | None, resolution: Resolution) -> Resolution:
        if person is None and not (claim.user_id or claim.email):
            person = by_browser(claim, self.people)
        resolution.contact_id = person.id if person else None
        resolution.conflict = self._conflict(claim, person)
        kind = Identity.Kind.ANONYMOUS_ID
        resolution.linked = [
            browser
            for browser in resolution.linked
            if get_person(self.people, kind, browser) is person
        ]
        return resolution

    def save(self, now: datetime) -> None:
        self._release()
        self._create()
        self._change(now)
        self._name(now)

    # ---- What each kind of claim does ----

    def _find(self, claim: Claim, resolution: Resolution) -> Person | None:
        return find(claim, self.people)

    def _identify(self, claim: Claim, resolution: Resolution) -> Person | None:
        person = self._find(claim, resolution)
        if person is None and (claim.is_proof or not self._is_known(claim)):
            person = self._make(claim)
        if person is None:
            return None
        self._take_user_id(person, claim)
        self._take_email(person, claim, resolution)
        self._take_traits(person, claim, resolution)
        self._link(person, claim, claim.anonymous_id, resolution)
        return person

    def _track(self, claim: Claim, resolution: Resolution) -> Person | None:
        person = self._find(claim, resolution)
        if not claim.is_proof:
            return person
        person = person or self._make(claim)
        # Without its row a contact wasn't locked: the claim has nothing new to say.
        if person and person.row is not None:
            self._take_user_id(person, claim)
            if not person.email:
                self._take_email(person, claim, resolution)
            self._link(person, claim, claim.anonymous_id, resolution)
        return person

    def _alias(self, claim: Claim, resolution: Resolution) -> Person | None:
        """`previousId` is a browser that turns out to be this user."""
        linked = get_person(self.people, Identity.Kind.ANONYMOUS_ID, claim.previous_id)
        known = by_user_id(claim, self.people)
        if not claim.is_trusted and linked is not known:
            is_own = claim.previous_id == claim.anonymous_id
            if (known and not claim.is_signed) or not is_own:
                return None
        named = get_person(self.people, Identity.Kind.USER_ID, claim.previous_user_id)
        guest = linked if linked and not linked.external_id else None
        person = known or named or guest or self._make(claim)
        if person:
            self._join(person, named or linked, claim)
            self._take_user_id(person, claim)
            self._take_second_id(person, claim, resolution)
            self._link(person, claim, None if named else claim.previous_id, resolution)
        return person

    def _join(self, person: Person, other: Person | None, claim: Claim) -> None:
        if claim.is_trusted and other is not None and other is not person:
            self.joined[id(claim)] = (person, other)

    def _conflict(self, claim: Claim, person: Person | None) -> Conflict | None:
        """Whom a server takes for one person, though they are two; names that yield say nothing."""
        pair, reason = self.joined.get(id(claim)), "alias"
        if pair is None and claim.is_trusted and claim.user_id and person:
            other = by_email(claim, self.people)
            is_proven = (Identity.Kind.EMAIL.value, claim.email) not in self.unproven
            if other not in (None, person) and other is not None and is_proven:
                pair, reason = (person, other), "user_id_and_email"
        if pair is None or pair[0].id is None or pair[1].id is None:
            return None
        is_due = reason == "alias" and is_guest_of(pair[1], pair[0])
        return Conflict(pair[0].id, pair[1].id, reason, is_due)

    # ---- Changes in memory ----

    def _is_known(self, claim: Claim) -> bool:
        return bool(by_user_id(claim, self.people) or by_email(claim, self.people))

    def _make(self, claim: Claim) -> Person | None:
        if not claim.user_id and not claim.email:
            return None
        person = Person(None, row=Contact())
        self.created.append(person)
        return person

    def _take_user_id(self, person: Person, claim: Claim) -> None:
        if claim.user_id and not person.external_id and not by_user_id(claim, self.people):
            self._set(person, "external_id", claim.user_id)
            person.external_id = claim.user_id
            self._call(person, (Identity.Kind.USER_ID.value, claim.user_id), claim)

    def _take_second_id(self, person: Person, claim: Claim, resolution: Resolution) -> None:
        """An alias of somebody who has a user ID: from now on they go by either."""
        name = (Identity.Kind.USER_ID.value, claim.user_id or "")
        if not claim.user_id or name in self.people:
            return
        if self._has_room(person, name):
            self._call(person, name, claim)
        else:
            resolution.notes.append(TOO_MANY[Identity.Kind.USER_ID])

    def _take_email(self, person: Person, claim: Claim, resolution: Resolution) -> None:
        if not claim.email or claim.email == person.email:
            return
        name = (Identity.Kind.EMAIL.value, claim.email)
        holder = self.people.get(name)
        if holder not in (None, person) and not (claim.is_trusted and name in self.unproven):
            resolution.notes.append(EMAIL_TAKEN)
            return
        if person.email and not claim.is_trusted:
            resolution.notes.append(EMAIL_KEPT)
            return
        if not person.email and not self._has_room(person, name):
            resolution.notes.append(TOO_MANY[Identity.Kind.EMAIL])
            return
        if holder and holder is not person:
            self._set(holder, "email", None)
            holder.email = None
            self.released.append(holder)
        if person.email:
            self._forget((Identity.Kind.EMAIL.value, person.email))
        self._set(person, "email", claim.email)
        person.email = claim.email
        self._call(person, name, claim)

    def _take_traits(self, person: Person, claim: Claim, resolution: Resolution) -> None:
        if not claim.traits or person.row is None:
            return
        reading = trait_reader.read(claim.traits, fields.declared())
        for column, value in reading.columns.items():
            self._set(person, column, value)
        if reading.attributes:
            self._set(person, "attributes", trait_reader.merge(person.row.attributes, reading))
        resolution.notes.extend(f"dropped {dropped}" for dropped in reading.dropped)

    def _link(
        self, person: Person, claim: Claim, browser: str | None, resolution: Resolution
    ) -> None:
        """Link the browser, unless somebody else has it and the claim merely mentions it."""
        if browser and claim.may_link:
            name = (Identity.Kind.ANONYMOUS_ID.value, browser)
            holder = self.people.get(name)
            yields = claim.mode is not Mode.TRACK or name in self.unproven
            if holder is not person and (holder is None or yields):
                if self._has_room(person, name):
                    self._call(person, name, claim)
                    resolution.linked.append(browser)
                else:
                    resolution.notes.append(TOO_MANY[Identity.Kind.ANONYMOUS_ID])
            elif holder is person and claim.is_proof and name in self.unproven:
                self._call(person, name, claim)
        if claim.is_proof:
            self._confirm(person, claim)

    def _confirm(self, person: Person, claim: Claim) -> None:
        """A server has named them: what only a browser's word has linked is theirs no more."""
        for name in names_of(claim):
            is_browser = name[0] == Identity.Kind.ANONYMOUS_ID
            is_open = name in self.unproven and claim.proves(name)
            if is_open and not is_browser and self.people.get(name) is person:
                self._call(person, name, claim)
        if not person.has_public_browsers:
            return
        person.has_public_browsers = False
        self.confirmed.append(person)
        for name in self.unproven.intersection(self.people):
            if name[0] == Identity.Kind.ANONYMOUS_ID and self.people[name] is person:
                self._forget(name)

    def _has_room(self, person: Person, name: Name) -> bool:
        """Whether somebody may get one more name of this kind."""
        is_browser = name[0] == Identity.Kind.ANONYMOUS_ID
        limit = settings.MAX_BROWSERS_PER_CONTACT if is_browser else settings.MAX_NAMES_PER_CONTACT
        return person.counts[name[0]] < limit

    def _call(self, person: Person, name: Name, claim: Claim) -> None:
        holder = self.people.get(name)
        if holder is not person:
            person.counts[name[0]] += 1
            if holder:
                holder.counts[name[0]] -= 1
        self.people[name] = self.named[name] = person
        self.forgotten.discard(name)
        if claim.proves(name):
            self.unproven.discard(name)
            return
        self.unproven.add(name)
        if name[0] == Identity.Kind.ANONYMOUS_ID:
            person.has_public_browsers = True

    def _forget(self, name: Name) -> None:
        if holder := self.people.pop(name, None):
            holder.counts[name[0]] -= 1
        self.named.pop(name, None)
        self.forgotten.add(name)

    def _set(self, person: Person, column: str, value: Any) -> None:
        if person.row is not None and getattr(person.row, column) != value:
            setattr(person.row, column, value)
            if not person.is_changed:
                self.changed.append(person)
            person.is_changed = True

    # ---- Saving ----

    def _release(self) -> None:
        """Before somebody else gets their address: it is unique."""
        ids = [person.id for person in self.released if person.id is not None]
        if ids:
            Contact.objects.filter(pk__in=ids).update(email=None)

    def _create(self) -> None:
        rows = [person.row for person in self.created if person.row]
        Contact.objects.bulk_create(rows)
        for person in self.created:
            person.id = person.row.pk if person.row else None
            person.is_changed = False

    def _change(self, now: datetime) -> None:
        people = {person.id: person for person in self.changed if person.is_changed}
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
                names = sorted(self.named)
                kinds, values = zip(*names, strict=True)
                ids = number_array(self.named[name].id for name in names)
                trust = [name not in self.unproven for name in names]
                cursor.execute(_NAME, [now, ids, text_array(kinds), text_array(values), trust])
            if self.confirmed:
                ids = number_array(person.id for person in self.confirmed)
                cursor.execute(_UNLINK, [ids])
