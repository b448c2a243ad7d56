"""Events as people would tell them."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from apps.contacts.registry import Entry
from apps.core.pages import model_url, object_url
from apps.core.registry import Finding
from apps.core.wording import roughly
from apps.events.models import Event, RejectedEvent

Properties = dict[str, Any]

# A browser may tell anything; nobody looks at a page for longer than a day.
MAX_SECONDS = 86_400

REASONS = {
    "not_an_object": "It was no JSON object.",
    "unreadable": "It could not be read as JSON.",
    "too_large": "It was larger than 32 KB.",
    "too_deep": "Its objects were nested too deep.",
    "null_character": "It held a null character, which the database can't store.",
    "unknown_type": "Its type is none that Cuepost knows.",
    "wrong_type": "A field had a value of the wrong kind.",
    "no_identifier": "It named nobody: neither a user ID nor an anonymous ID.",
    "no_event_name": "It was a track call without the name of an event.",
    "id_too_long": "One of its IDs was too long.",
    "processing_failed": "Working it in failed.",
    "schema_violated": "It broke the rules of its definition.",
}


def tell(events: Sequence[Event]) -> list[Entry]:
    """Put events into words; their sources have to be loaded."""
    return [_entry(event) for event in events]


def headline(event: Event) -> str:
    """What somebody did, in a few words."""
    properties = event.properties if isinstance(event.properties, dict) else {}
    if event.type == Event.Type.TRACK:
        phrase = _PHRASES.get(event.name)
        return phrase[1](properties) if phrase else event.name
    if event.type == Event.Type.DUPLICATE:
        return f"{event.name}, told once more"
    return _OTHERS[event.type](event, properties)


def reason_in_words(reason: str) -> str:
    """Why an event was rejected."""
    return REASONS.get(reason, reason.replace("_", " "))


def report_rejected(count: int) -> list[Finding]:
    """What the index page says of events that could not be used."""
    if not count:
        return []
    return [
        Finding(
            label="Rejected events",
            value=f"{count:,}",
            note="They could not be used. Once the cause is mended they can be replayed.",
            tone="warning",
            url=model_url(RejectedEvent, state="open"),
        )
    ]


def _entry(event: Event) -> Entry:
    return Entry(
        title=headline(event),
        note=" · ".join(filter(None, [event.name or event.type, event.source.name])),
        icon=_icon(event),
        url=object_url(event),
        values=event.properties if isinstance(event.properties, dict) else {},
    )


def _icon(event: Event) -> str:
    if event.type == Event.Type.TRACK:
        return _PHRASES[event.name][0] if event.name in _PHRASES else "bolt"
    return "badge" if event.type in (Event.Type.IDENTIFY, Event.Type.ALIAS) else "web"


def _named(properties: Properties) -> str:
    """The product that an event is about: its name, else its ID."""
    name = properties.get("name") or properties.get("product_id") or properties.get("sku")
    return f"“{name}”" if isinstance(name, str | int) else "a product"


def _amount(properties: Properties) -> str:
    for field in ("total", "revenue", "value"):
        if isinstance(amount := properties.get(field), int | float | str):
            return f" for {amount} {properties.get('currency') or ''}".rstrip()
    return ""


def _where(properties: Properties) -> str:
    for field in ("title", "path", "url"):
        if isinstance(place := properties.get(field), str) and place:
            return place[:120]
    return "a page"


def _span(properties: Properties) -> str:
    seconds = properties.get("engaged_seconds")
    if type(seconds) is int and 0 < seconds < MAX_SECONDS:
        return roughly(timedelta(seconds=seconds))
    return "some time"


_PHRASES: dict[str, tuple[str, Callable[[Properties], str]]] = {
    "Product List Viewed": ("storefront", lambda _: "Looked around in the shop"),
    "Product Viewed": ("visibility", lambda p: f"Looked at {_named(p)}"),
    "Product Added": ("add_shopping_cart", lambda p: f"Put {_named(p)} into the cart"),
    "Product Removed": (
        "remove_shopping_cart",
        lambda p: f"Took {_named(p)} out of the cart",
    ),
    "Cart Viewed": ("shopping_cart", lambda p: f"Looked at the cart{_amount(p)}"),
    "Checkout Started": ("point_of_sale", lambda p: f"Started the checkout{_amount(p)}"),
    "Order Completed": ("shopping_bag", lambda p: f"Ordered{_amount(p)}"),
    "Order Refunded": ("undo", lambda p: f"Got an order refunded{_amount(p)}"),
    "Page Engaged": ("timer", lambda p: f"Spent {_span(p)} on {_where(p)}"),
    "Email Opened": ("drafts", lambda _: "Opened a mail"),
    "Email Clicked": ("ads_click", lambda p: f"Followed a link in a mail: {_where(p)}"),
}
_OTHERS: dict[str, Callable[[Event, Properties], str]] = {
    Event.Type.IDENTIFY: lambda _, __: "Said who they are",
    Event.Type.PAGE: lambda event, p: f"Visited {event.name or _where(p)}",
    Event.Type.SCREEN: lambda event, p: f"Opened the screen {event.name or _where(p)}",
    Event.Type.GROUP: lambda _, __: "Was put into a group",
    Event.Type.ALIAS: lambda _, __: "Was recognized under a second ID",
    Event.Type.DROPPED: lambda _, __: "Refused tracking: nothing was kept",
}


VIOLATIONS = {
    "missing": "is missing",
    "wrong_type": "is of the wrong kind",
    "not_allowed": "has a value that is not allowed",
    "out_of_range": "is too small or too large",
    "wrong_length": "is too short or too long",
    "unknown_property": "is not in the plan",
    "invalid": "breaks a rule",
}


def violation_in_words(property_name: str, reason: str) -> str:
    """Which rule was broken."""
    what = f"“{property_name}”" if property_name else "The whole"
    return f"{what} {VIOLATIONS.get(reason, 'breaks a rule')}"
