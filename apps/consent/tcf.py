"""The core of an IAB transparency and consent string, version 2: who may do what, bit by bit.

Read after the IAB's "Consent string and vendor list formats v2". Only the core segment counts for
us; the segments behind it tell of vendors and publishers.
"""

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

VERSION = 2
# No real string comes near; a longer one is not worth the work.
MAX_LENGTH = 20_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DECISECOND = timedelta(milliseconds=100)

_PURPOSES = 24
_SPECIAL_FEATURES = 12
_URL_SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


class BadTcString(ValueError):
    """The text is no consent string that we can read."""


@dataclass(frozen=True)
class TcString:
    """What the core segment says. Purposes and vendors are the numbers that the IAB gives them."""

    created_at: datetime
    updated_at: datetime
    cmp_id: int
    cmp_version: int
    consent_screen: int
    language: str
    vendor_list_version: int
    policy_version: int
    is_service_specific: bool
    special_features: frozenset[int]
    purpose_consents: frozenset[int]
    purpose_legitimate_interests: frozenset[int]
    is_purpose_one_treated: bool
    publisher_country: str
    vendor_consents: frozenset[int]
    vendor_legitimate_interests: frozenset[int]


class _Bits:
    """Reads numbers, most significant bit first, and never beyond the end."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def number(self, width: int) -> int:
        if width > self._left:
            raise BadTcString("The string ends too early.")
        self._left -= width
        return (self._value >> self._left) & ((1 << width) - 1)

    def flag(self) -> bool:
        return bool(self.number(1))

    def instant(self) -> datetime:
        """Tenths of a second since 1970, in 36 bits."""
        return EPOCH + self.number(36) * DECISECOND

    def letters(self) -> str:
        """Two letters of six bits each, A being 0."""
        return "".join(chr(ord("A") + self.number(6)) for _ in range(2))

    def numbers(self, width: int) -> frozenset[int]:
        """The places that are set in a field of this many bits, the first being 1."""
        field = self.number(width)
        return frozenset(place for place in range(1, width + 1) if field >> (width - place) & 1)

    def vendors(self) -> frozenset[int]:
        """A set of vendors: one bit for each up to the largest, or ranges of them."""
        largest = self.number(16)
        if not self.flag():
            return self.numbers(largest)
        found: set[int] = set()
        for _ in range(self.number(12)):
            is_range = self.flag()
            first = self.number(16)
            last = self.number(16) if is_range else first
            if not 0 < first <= last <= largest:
                raise BadTcString("A range of vendors is out of order.")
            found.update(range(first, last + 1))
        return frozenset(found)


def decode(text: str) -> TcString:
    """Read the core segment, or raise BadTcString."""
    bits = _Bits(_core_of(text))
    if (version := bits.number(6)) != VERSION:
        raise BadTcString(f"Version {version} is not supported.")
    created_at, updated_at = bits.instant(), bits.instant()
    cmp_id, cmp_version, consent_screen = bits.number(12), bits.number(12), bits.number(6)
    language, vendor_list_version = bits.letters(), bits.number(12)
    policy_version, is_service_specific = bits.number(6), bits.flag()
    # Whether the publisher tells purposes in words of its own.
    bits.flag()
    return TcString(
        created_at=created_at,
        updated_at=updated_at,
        cmp_id=cmp_id,
        cmp_version=cmp_version,
        consent_screen=consent_screen,
        language=language,
        vendor_list_version=vendor_list_version,
        policy_version=policy_version,
        is_service_specific=is_service_specific,
        special_features=bits.numbers(_SPECIAL_FEATURES),
        purpose_consents=bits.numbers(_PURPOSES),
        purpose_legitimate_interests=bits.numbers(_PURPOSES),
        is_purpose_one_treated=bits.flag(),
        publisher_country=bits.letters(),
        vendor_consents=bits.vendors(),
        vendor_legitimate_interests=bits.vendors(),
    )


def _core_of(text: str) -> bytes:
    """The bytes of the first segment: base64 for addresses, without padding."""
    if not isinstance(text, str) or len(text) > MAX_LENGTH:
        raise BadTcString("This is no consent string.")
    core = text.strip().partition(".")[0]
    if not core or not _URL_SAFE.issuperset(core):
        raise BadTcString("This is no consent string.")
    try:
        return base64.urlsafe_b64decode(core + "=" * (-len(core) % 4))
    except (binascii.Error, ValueError) as problem:
        raise BadTcString("This is no consent string.") from problem
