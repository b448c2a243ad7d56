"""The jurisdictions that come with the product, and what their laws ask for.

This is where a shop starts, not legal advice: staff changes what its lawyers see otherwise. Each
row errs towards asking first.
"""

from typing import Any

from apps.consent.models import Jurisdiction, JurisdictionRule, Purpose

OPT_IN = JurisdictionRule.Mode.OPT_IN
OPT_OUT = JurisdictionRule.Mode.OPT_OUT

_EU = (
    "AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE "
    # The European Economic Area, and the parts of member states that have codes of their own.
    "IS LI NO AX GF GP MF MQ RE YT"
)
# With a comprehensive privacy law in force: a right to opt out of sale and targeted advertising.
_STATES = {
    "CO": "Colorado", "CT": "Connecticut", "DE": "Delaware", "FL": "Florida", "IA": "Iowa",
    "IN": "Indiana", "KY": "Kentucky", "MD": "Maryland", "MN": "Minnesota", "MT": "Montana",
    "NE": "Nebraska", "NH": "New Hampshire", "NJ": "New Jersey", "OR": "Oregon",
    "RI": "Rhode Island", "TN": "Tennessee", "TX": "Texas", "UT": "Utah", "VA": "Virginia",
}  # fmt: skip

_ASK_FIRST = dict.fromkeys(
    (
        Purpose.EMAIL_MARKETING,
        Purpose.TRACKING,
        Purpose.PERSONALISATION,
        Purpose.OPEN_TRACKING,
        Purpose.SALE_OR_SHARING,
    ),
    OPT_IN,
)
# CAN-SPAM lets marketing mail go until somebody opts out; the state laws do so for the rest.
_UNTIL_A_NO = dict.fromkeys(_ASK_FIRST, OPT_OUT)


def _state_names(states: dict[str, str]) -> list[str]:
    """As shops write them, by code or by name."""
    return [f"US-{name.upper()}" for state in states.items() for name in state]


# Key, name, law, countries, states, rules.
_ROWS: list[tuple[str, str, str, list[str], list[str], dict[str, JurisdictionRule.Mode]]] = [
    ("EU", "EU and EEA", "GDPR, ePrivacy Directive", _EU.split(), [], _ASK_FIRST),
    ("UK", "United Kingdom", "UK GDPR, PECR", ["GB", "GG", "IM", "JE"], [], _ASK_FIRST),
    ("CH", "Switzerland", "FADP, UCA", ["CH"], [], _ASK_FIRST),
    ("BR", "Brazil", "LGPD", ["BR"], [], _ASK_FIRST),
    (
        "US-CA",
        "California",
        "CCPA as amended by CPRA, CAN-SPAM",
        [],
        _state_names({"CA": "California"}),
        _UNTIL_A_NO,
    ),
    (
        "US-STATES",
        "US states with a privacy law",
        "State privacy laws, CAN-SPAM",
        [],
        _state_names(_STATES),
        _UNTIL_A_NO,
    ),
    ("US", "Other United States", "CAN-SPAM", ["US"], [], _UNTIL_A_NO),
    ("UNKNOWN", "Everybody else", "The strictest rules", [], [], _ASK_FIRST),
]


def install(**_: Any) -> None:
    """Lay the first rows, after the migrations; as soon as there are any, they are staff's."""
    if Jurisdiction.objects.exists():
        return
    Jurisdiction.objects.bulk_create(
        Jurisdiction(
            key=key,
            name=name,
            law=law,
            countries=countries,
            regions=regions,
            is_fallback=key == "UNKNOWN",
        )
        for key, name, law, countries, regions, _ in _ROWS
    )
    JurisdictionRule.objects.bulk_create(
        JurisdictionRule(jurisdiction_id=row[0], purpose_id=purpose, mode=mode)
        for row in _ROWS
        for purpose, mode in row[-1].items()
    )
