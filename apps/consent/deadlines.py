"""By when a request has to be answered.

GDPR Art. 12 (3): one month from receipt, two more where it is complex. A month ends with the day of
the same number, or the month's last; what would end at a weekend ends on the next working day
(Regulation (EEC, Euratom) 1182/71, Art. 3 (2) c and (4)). Public holidays differ from place to
place and are not counted, so the day given here is never too late.

CCPA: 45 days from receipt, 45 more once (Cal. Civ. Code §1798.130 (a) (2) (A)); a request not to
sell or share within 15 business days (Cal. Code Regs. tit. 11, §7026 (f)).
"""

import calendar
from datetime import date, timedelta

from apps.consent.models import PrivacyRequest

CCPA_DAYS = 45
OPT_OUT_BUSINESS_DAYS = 15
SATURDAY = 5
Kind, Law = PrivacyRequest.Kind, PrivacyRequest.Law


def due_on(*, law: str, kind: str, received_on: date, is_extended: bool = False) -> date:
    """The last day on which the answer is in time; days are those of UTC."""
    if law == Law.CCPA:
        if kind == Kind.OPT_OUT:
            return _business_days_after(received_on, OPT_OUT_BUSINESS_DAYS)
        return received_on + timedelta(days=CCPA_DAYS * (2 if is_extended else 1))
    return _next_working_day(_months_after(received_on, 3 if is_extended else 1))


def _months_after(day: date, months: int) -> date:
    year, month = divmod(day.month - 1 + months, 12)
    year, month = day.year + year, month + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def _next_working_day(day: date) -> date:
    while day.weekday() >= SATURDAY:
        day += timedelta(days=1)
    return day


def _business_days_after(day: date, count: int) -> date:
    while count:
        day += timedelta(days=1)
        count -= day.weekday() < SATURDAY
    return day
