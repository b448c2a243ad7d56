"""Mails for staff to look at: looking is neither an open nor a click, and no link leads away."""

import re
from dataclasses import dataclass
from decimal import Decimal
from html import escape, unescape
from typing import Any
from uuid import UUID

from apps.commerce.models import Cart, Product
from apps.consent import links as consent
from apps.contacts.models import Contact
from apps.core import tokens
from apps.events.models import Event
from apps.messaging import context, links, publishing, rendering, servicemail
from apps.messaging.models import Message, Template
from apps.messaging.plaintext import plain_text

# Whatever address this installation had when the mail was sent.
_OWN = re.compile(r"""https?://[^\s"'<>()]*?/e/(?P<kind>[ocu])/(?P<token>[\w:.~-]+)""")
_PREFERENCES = re.compile(rf"https?://[^/]+{consent.PREFERENCES_PATH}")
_HREF = re.compile(r"""(?P<before>\shref\s*=\s*)(?P<quote>["'])(?P<target>.*?)(?P=quote)""", re.S)
_NOTHING = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
_NOBODY = UUID(int=0)
# Among so many of the newest contacts a test contact is looked for.
NEWEST = 1000

# The frame: no script, no form, nothing but pictures and the mail's own styles.
POLICY = (
    "sandbox; default-src 'none'; img-src http: https: data:; style-src 'unsafe-inline'; "
    "font-src http: https: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


@dataclass(frozen=True)
class Preview:
    """How a text looks for one contact, or why it can't be shown."""

    subject: str = ""
    html: str = ""
    text: str = ""
    problem: rendering.TemplateError | None = None


def defused(html: str) -> str:
    """The same mail with the open pixel taken out; each link tells its target and leads nowhere."""
    html = _OWN.sub(lambda match: _NOTHING if match["kind"] == "o" else match[0], html)
    return _OWN.sub("#", _HREF.sub(_without_target, html))


def _without_target(match: re.Match[str]) -> str:
    target = unescape(match["target"])
    title = escape(behind(target))
    return f'{match["before"]}"#" title="{title}"'


def behind(address: str) -> str:
    """Where a tracked link leads; any other address as it is."""
    own = _OWN.fullmatch(address)
    if own is None:
        return "Preferences" if _PREFERENCES.match(address) else address
    if own["kind"] == "u":
        return "Unsubscribe"
    try:
        return str(tokens.read(links.CLICK, own["token"])[1])
    except (tokens.BadToken, IndexError, TypeError):
        return "a tracked link"


# --- before anything is sent ----------------------------------------------------------------------


def find_contact(address: str) -> Contact:
    """Who has this address, else a test contact among the newest, else the newest."""
    found = Contact.objects.filter(email=address.strip().lower()).first() if address else None
    if found:
        return found
    newest = list(Contact.objects.present().order_by("-id").values_list("pk", "is_test")[:NEWEST])
    chosen = [pk for pk, is_test in newest if is_test] or [pk for pk, _ in newest]
    return Contact.objects.get(pk=chosen[0]) if chosen else invented_contact()


def invented_contact() -> Contact:
    """Somebody to show a text to where there is nobody, or nobody that may be seen."""
    return Contact(
        first_name="Ada", last_name="Example", email="ada@example.com", country="IE", locale="en-IE"
    )


def render(*, template: Template, subject: str, html: str, contact: Contact) -> Preview:
    """Show a text, published or not, to one contact, with what this contact last did."""
    message = _sample(template, contact)
    values = context.build(message, carts=context.load_carts([message]))
    values["cart"] = values["cart"] or _invented_cart()
    if template.is_service:
        values |= servicemail.SAMPLE
    try:
        prepared = publishing.prepare(subject=subject, html=html, is_service=template.is_service)
        rendered = rendering.render(rendering.compile_html(prepared), values)
        return Preview(
            subject=rendering.render_line(rendering.compile_line(subject), values),
            html=defused(rendered),
            text=plain_text(rendered, behind),
        )
    except rendering.TemplateError as problem:
        return Preview(problem=problem)


def _invented_cart() -> dict[str, Any]:
    """Two things from the catalog, as a cart of somebody who has none."""
    products = Product.objects.filter(is_available=True).order_by("id")[:2]
    items = [
        {
            "product_id": product.key,
            "name": product.name,
            "quantity": 1,
            "price": product.price,
            "total": product.price,
            "url": product.url,
            "image_url": product.image_url,
        }
        for product in products
    ]
    cart = {
        "key": "",
        "items": items,
        "item_count": len(items),
        "total": sum((product.price for product in products), Decimal(0)),
        "currency": products[0].currency if items else "",
        "url": "",
    }
    return dict(rendering.plain(cart))


def _sample(template: Template, contact: Contact) -> Message:
    """A message that is never stored; it knows what the last one of this template knew."""
    if contact.pk is None:
        return Message(public_id=_NOBODY, contact=contact, context={})
    last = (
        Message.objects.filter(contact=contact, template_version__template=template)
        .order_by("-queued_at")
        .first()
    )
    known = last.context if last else _nearest(contact)
    return Message(public_id=_NOBODY, contact=contact, context=known)


def _nearest(contact: Contact) -> dict[str, Any]:
    """The contact's newest cart and newest order, as the context of a message holds them."""
    cart = Cart.objects.filter(contact=contact).order_by("-changed_at").first()
    order = (
        Event.objects.filter(contact=contact, name="Order Completed")
        .order_by("-occurred_at")
        .first()
    )
    nearest: dict[str, Any] = {"cart_key": cart.key} if cart else {}
    if order:
        occurred_at = order.occurred_at.isoformat()
        nearest["event"] = {
            "name": order.name, "properties": order.properties, "occurred_at": occurred_at,
        }  # fmt: skip
    return nearest
