"""What the columns of a file mean, both ways: cells become what is known of a contact, and back."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from import_export.fields import Field
from import_export.resources import Resource
from import_export.widgets import Widget

from apps.contacts import fields, registry
from apps.contacts.addresses import normalize_email
from apps.contacts.blocked import is_blocked
from apps.contacts.models import Contact, ContactField
from apps.contacts.registry import BadCell, Column, ColumnSet
from apps.contacts.traits import MAX_NAME, RESERVED
from apps.core.sheets import is_text

MAX_CELL = 10_000
MAX_USER_ID = 200
# Before the name of something that no field is declared for.
ATTRIBUTE = "attribute:"

EMAIL = Column("email", "E-mail address", ("mail", "e-mail", "email address"))
USER_ID = Column("user_id", "User ID", ("customer id", "external id", "contact id"))
COLUMNS = {
    column.key: column
    for column in (
        EMAIL,
        USER_ID,
        Column("first_name", "First name", ("given name", "forename")),
        Column("last_name", "Last name", ("surname", "family name")),
        Column("name", "Full name"),
        Column("phone", "Phone", ("phone number", "telephone", "mobile")),
        Column("country", "Country", ("country code",)),
        Column("locale", "Locale", ("language",)),
        Column("time_zone", "Time zone"),
    )
}
# Where a contact keeps what these columns tell, and how much it holds.
_HELD = {
    "email": ("email", 254),
    "user_id": ("external_id", MAX_USER_ID),
    "first_name": ("first_name", 150),
    "last_name": ("last_name", 150),
    "name": ("name", 150),
    "phone": ("phone", 40),
    "country": ("country", 2),
    "locale": ("locale", 20),
    "time_zone": ("time_zone", 64),
}
CREATED_AT = Column("created_at", "Known since")
_SPACES = re.compile(r"[\W_]+")


class BadMapping(Exception):
    """The columns can't be used like that; the text says why, in one sentence."""


@dataclass
class Draft:
    """What one row tells: of the contact itself, and to the floors above."""

    values: dict[str, Any] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)

    @property
    def traits(self) -> dict[str, Any]:
        names = {EMAIL.key, USER_ID.key}
        known = {key: value for key, value in self.values.items() if key not in names}
        return {key.removeprefix(ATTRIBUTE): value for key, value in known.items()}


# --- one cell -------------------------------------------------------------------------------------


class TextWidget(Widget):
    """Text that a column of the contact has room for."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit

    def clean(self, value: Any, row: Any = None, **kwargs: Any) -> str | None:
        text = str(value).strip()
        if len(text) > self.limit:
            raise BadCell(f"longer than {self.limit} characters")
        return text or None

    def render(self, value: Any, obj: Any = None, **kwargs: Any) -> str:
        return "" if value is None else str(value)


class EmailWidget(TextWidget):
    def clean(self, value: Any, row: Any = None, **kwargs: Any) -> str | None:
        text = super().clean(value)
        if text is None:
            return None
        email = normalize_email(text)
        if email is None:
            raise BadCell("not an e-mail address")
        if is_blocked(email):
            raise BadCell("an address that nobody has")
        return email


class UserIdWidget(TextWidget):
    def clean(self, value: Any, row: Any = None, **kwargs: Any) -> str | None:
        text = super().clean(value)
        if text is not None and is_blocked(text):
            raise BadCell("a placeholder, and no ID")
        return text


class CountryWidget(TextWidget):
    def clean(self, value: Any, row: Any = None, **kwargs: Any) -> str | None:
        text = str(value).strip().upper()
        if text and not (len(text) == self.limit and text.isascii() and text.isalpha()):
            raise BadCell("not a country of two letters such as DE")
        return text or None


class DeclaredWidget(Widget):
    """The type that staff has declared."""

    def __init__(self, declared: ContactField) -> None:
        super().__init__()
        self.declared = declared

    def clean(self, value: Any, row: Any = None, **kwargs: Any) -> Any:
        return fields.fit(self.declared, value)

    def render(self, value: Any, obj: Any = None, **kwargs: Any) -> Any:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value
        return fields.write(self.declared, value)


class TimeWidget(Widget):
    def render(self, value: Any, obj: Any = None, **kwargs: Any) -> str:
        return value.isoformat(timespec="seconds") if isinstance(value, datetime) else ""


_WIDGETS = {"email": EmailWidget, "user_id": UserIdWidget, "country": CountryWidget}


class Cell(Field):
    """One column: written into a draft, read from a contact. An empty cell says nothing."""

    def __init__(self, column: Column, widget: Widget, held_in: Sequence[str] = ()) -> None:
        super().__init__(attribute=column.label, column_name=column.key, widget=widget)
        self.held_in = held_in

    def save(self, instance: Draft, row: Any, is_m2m: bool = False, **kwargs: Any) -> None:
        value = self.clean(row)
        if value is not None:
            instance.values[self.column_name] = value

    def get_value(self, instance: Any) -> Any:
        name, *path = self.held_in
        value = getattr(instance, name)
        for key in path:
            value = value.get(key)
        return value


# --- a row ----------------------------------------------------------------------------------------


class ContactResource(Resource):
    """The columns of one file."""

    def __init__(self, keys: Iterable[str]) -> None:
        super().__init__()
        self.keys = [key for key in keys if key]
        self.sets = [(one, [column.key for column in one.columns()]) for one in column_sets()]
        elsewhere = {key for _, keys in self.sets for key in keys}
        declared = fields.declared()
        own = [key for key in self.keys if key not in elsewhere]
        self.fields = {key: _cell(key, declared) for key in own}

    def get_import_fields(self) -> list[Cell]:
        return list(self.fields.values())

    def read(self, row: Mapping[str, str], now: datetime) -> Draft:
        """What a row tells, or BadCell with all that is wrong with it."""
        draft, wrong = Draft(), []
        try:
            self.import_instance(draft, row)
        except ValidationError as problem:
            wrong = [f"{name}: {', '.join(texts)}" for name, texts in problem.message_dict.items()]
        for one, keys in self.sets:
            cells = {key: row[key].strip() for key in keys if row.get(key, "").strip()}
            if cells:
                try:
                    answer = one.read(cells, now)
                except BadCell as problem:
                    wrong.append(str(problem))
                    continue
                if answer is not None:
                    draft.told[one.name] = answer
        if wrong:
            raise BadCell("; ".join(wrong))
        if not draft.values.get(EMAIL.key) and not draft.values.get(USER_ID.key):
            raise BadCell("neither an e-mail address nor a user ID")
        return draft

    def write(self, contacts: Sequence[Contact]) -> Iterator[list[Any]]:
        """The cells of contacts, in the order of the keys."""
        ids = [contact.pk for contact in contacts]
        wanted = set(self.keys)
        told = [one.tell(ids) for one, keys in self.sets if wanted.intersection(keys)]
        for contact in contacts:
            cells = {
                key: value for answers in told for key, value in answers.get(contact.pk, {}).items()
            }
            cells |= {key: cell.export(contact) for key, cell in self.fields.items()}
            yield [cells.get(key, "") for key in self.keys]


def _cell(key: str, declared: Mapping[str, ContactField]) -> Cell:
    if key in declared:
        column = Column(key, declared[key].label)
        return Cell(column, DeclaredWidget(declared[key]), ("attributes", key))
    if key == CREATED_AT.key:
        return Cell(CREATED_AT, TimeWidget(), (key,))
    if key.startswith(ATTRIBUTE):
        name = key.removeprefix(ATTRIBUTE)
        return Cell(Column(key, name), TextWidget(MAX_CELL), ("attributes", name))
    held_in, limit = _HELD[key]
    return Cell(COLUMNS[key], _WIDGETS.get(key, TextWidget)(limit), (held_in,))


# --- which columns there are ----------------------------------------------------------------------


def column_sets() -> list[ColumnSet]:
    return registry.column_sets()


def declared_columns() -> list[Column]:
    return [Column(key, one.label) for key, one in fields.declared().items()]


def groups(*, is_export: bool = False) -> list[tuple[str, list[Column]]]:
    """All columns that a file may have, by what they are about."""
    own, elsewhere = list(COLUMNS.values()), [(one.label, one.columns()) for one in column_sets()]
    if is_export:
        own = [column for column in own if column.key != "name"] + [CREATED_AT]
        elsewhere = [
            (label, [column for column in columns if not column.may_be_constant])
            for label, columns in elsewhere
        ]
    found = [("Contact", own), ("Your fields", declared_columns()), *elsewhere]
    return [(label, columns) for label, columns in found if columns]


def guess(headers: Sequence[str]) -> list[str]:
    """What each column of a file seems to be, as it is called; nothing where it isn't clear."""
    known: dict[str, str] = {}
    for _, columns in groups():
        for column in columns:
            for name in (column.key, column.label, *column.names):
                known.setdefault(_plain(name), column.key)
    found: list[str] = []
    for header in headers:
        key = known.get(_plain(header), "")
        own = f"{ATTRIBUTE}{header.removeprefix(ATTRIBUTE)}" if ATTRIBUTE in header else ""
        key = key or own
        found.append("" if key in found else key)
    return found


def check_mapping(mapping: Sequence[str], constants: Mapping[str, str]) -> None:
    """Raise BadMapping where the columns don't say whom a row is about, or say something twice."""
    known = {column.key: column for _, columns in groups() for column in columns}
    used = [key for key in [*mapping, *constants] if key]
    for key in used:
        label = known[key].label if key in known else key.removeprefix(ATTRIBUTE)
        if key not in known and not is_attribute(key):
            raise BadMapping(f"“{key}” is nothing that is known of contacts.")
        if used.count(key) > 1:
            raise BadMapping(f"“{label}” is matched twice.")
        if key in constants and not (key in known and known[key].may_be_constant):
            raise BadMapping(f"“{label}” can't be the same for all rows.")
    if not {EMAIL.key, USER_ID.key}.intersection(mapping):
        raise BadMapping("Say which column has the e-mail address, or the user ID.")


def check_text(cells: Sequence[str]) -> None:
    """Raise BadCell for what can't be stored."""
    if any(len(cell) > MAX_CELL for cell in cells):
        raise BadCell(f"a cell has more than {MAX_CELL:,} characters")
    if not all(map(is_text, cells)):
        raise BadCell("a cell has characters that no text can have")


def is_attribute(key: str) -> bool:
    name = key.removeprefix(ATTRIBUTE)
    is_free = name not in RESERVED and name not in fields.declared() and "." not in name
    return key.startswith(ATTRIBUTE) and is_free and 0 < len(name) <= MAX_NAME


def _plain(name: str) -> str:
    return _SPACES.sub("", name).casefold()
