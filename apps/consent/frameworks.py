"""What the signals of others say about our purposes: IAB TCF strings and Google Consent Mode."""

import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from apps.consent import tcf
from apps.consent.models import ForeignSignal, Purpose

SECONDS_KEPT = 5.0
_WORDS = {"granted": True, "denied": False, True: True, False: False}

# What stands for what in a new installation.
DEFAULTS: dict[str, dict[str, tuple[str, ...]]] = {
    ForeignSignal.Framework.TCF: {
        Purpose.TRACKING: ("1", "8"),
        Purpose.PERSONALISATION: ("5", "6"),
        Purpose.SALE_OR_SHARING: ("3", "4"),
    },
    ForeignSignal.Framework.GOOGLE: {
        Purpose.TRACKING: ("analytics_storage",),
        Purpose.PERSONALISATION: ("personalization_storage",),
        Purpose.SALE_OR_SHARING: ("ad_storage", "ad_user_data", "ad_personalization"),
    },
}

Meanings = dict[str, dict[str, set[str]]]
_kept: tuple[float, Meanings] | None = None


def install(**_: Any) -> None:
    """Lay the default meanings after the migrations, where there are none at all."""
    if ForeignSignal.objects.exists():
        return
    ForeignSignal.objects.bulk_create(
        ForeignSignal(framework=framework, signal=signal, purpose_id=purpose)
        for framework, purposes in DEFAULTS.items()
        for purpose, signals in purposes.items()
        for signal in signals
    )
    forget()


def forget() -> None:
    """Read the meanings anew."""
    global _kept
    _kept = None


def read(consent: Mapping[str, Any]) -> dict[str, bool]:
    """What `tcString` and `googleConsentMode` of an event's consent say; unreadable ones nothing.

    Where both speak of a purpose, the no counts.
    """
    said = said_by_google(consent.get("googleConsentMode"))
    for purpose, is_allowed in said_by_tcf(consent.get("tcString")).items():
        said[purpose] = is_allowed and said.get(purpose, True)
    return said


def said_by_tcf(text: object) -> dict[str, bool]:
    if not isinstance(text, str) or not text:
        return {}
    try:
        allowed = tcf.decode(text).purpose_consents
    except tcf.BadTcString:
        return {}
    told = {str(number): number in allowed for number in range(1, 25)}
    return _translate(ForeignSignal.Framework.TCF, told)


def said_by_google(modes: object) -> dict[str, bool]:
    if not isinstance(modes, dict):
        return {}
    told = {
        name: _WORDS[value]
        for name, value in modes.items()
        if isinstance(value, str | bool) and value in _WORDS
    }
    return _translate(ForeignSignal.Framework.GOOGLE, told)


def _translate(framework: str, told: Mapping[str, bool]) -> dict[str, bool]:
    """Yes where every signal of a purpose says yes, no where one says no, else nothing."""
    said = {}
    for purpose, signals in _meanings().get(framework, {}).items():
        answers = [told.get(signal) for signal in signals]
        if False in answers:
            said[purpose] = False
        elif None not in answers:
            said[purpose] = True
    return said


def _meanings() -> Meanings:
    """By framework and purpose, the signals that stand for it; asked of the table now and then."""
    global _kept
    if _kept is None or _kept[0] < time.monotonic():
        found: Meanings = defaultdict(lambda: defaultdict(set))
        for row in ForeignSignal.objects.all():
            found[row.framework][row.purpose_id].add(row.signal)
        _kept = (time.monotonic() + SECONDS_KEPT, found)
    return _kept[1]
