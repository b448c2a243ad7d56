"""Somebody whose traces are in as many tables as possible, and what to look for on pages."""

from apps.consent import services as consents
from apps.consent.models import ConsentRecord, PendingSignup, Status, Suppression
from apps.contacts.models import Contact
from apps.messaging.models import ServiceMail, Template
from tests.factories.commerce import CartItemFactory, OrderFactory
from tests.factories.consent import SignupFormFactory
from tests.factories.contacts import ContactFactory, IdentityFactory
from tests.factories.events import EventFactory, RejectedEventFactory
from tests.factories.messaging import MessageContentFactory
from tests.factories.workflows import EnrollmentFactory, StepLogFactory
from tests.instants import NOON

EMAIL = "zephyrine@quackenbush.example"
FIRST_NAME, LAST_NAME = "Zephyrine", "Quackenbush"
PHONE = "+4915112345678"
USER_ID = "customer-77441"
SECRETS = ["a-taste-for-marzipan", "delivered-to-the-lighthouse", "written-in-the-mail", "said-so"]
ALL = [EMAIL, FIRST_NAME, LAST_NAME, PHONE, PHONE[1:], USER_ID, *SECRETS]
TOLD = {
    "email": EMAIL, "name": f"{FIRST_NAME} {LAST_NAME}", "phone": PHONE, "note": SECRETS[1],
    "products": [{"name": SECRETS[1], "price": 3}],
}  # fmt: skip

JUDGED = {
    "condition": "The first name is one of ours", "is_met": True, "email": EMAIL, "phone": PHONE,
    "parts": [{"first_name": FIRST_NAME, "values": [USER_ID]}],
}  # fmt: skip


def make_person() -> Contact:
    """One row of each kind, each with something that is theirs."""
    contact: Contact = ContactFactory(
        email=EMAIL,
        first_name=FIRST_NAME,
        last_name=LAST_NAME,
        phone=PHONE,
        external_id=USER_ID,
        attributes={"likes": SECRETS[0], "sizes": [SECRETS[0]]},
    )
    IdentityFactory(contact=contact)
    context = {"traits": TOLD, "page": {"url": f"https://shop.example/?who={EMAIL}"}}
    for kind, name in (("track", "Product Viewed"), ("track", "Order Completed"), ("page", "")):
        EventFactory(contact=contact, type=kind, name=name, properties=TOLD, context=context)
    EventFactory(contact=contact, type="identify", name="", properties=TOLD)
    EventFactory(anonymous_id="browser", properties=TOLD)
    RejectedEventFactory(
        payload={"type": "track", "properties": TOLD}, detail=f"Key (email)=({EMAIL})"
    )
    CartItemFactory(cart__contact=contact, cart__url=f"https://shop.example/cart?who={USER_ID}")
    OrderFactory(contact=contact)
    _write_to(contact)
    _speak_for(contact)
    return contact


def _write_to(contact: Contact) -> None:
    enrollment = EnrollmentFactory(contact=contact, context={"event": {"properties": TOLD}})
    StepLogFactory(enrollment=enrollment, outcome="Product Added", values=JUDGED)
    MessageContentFactory(
        message__contact=contact,
        message__email=EMAIL,
        message__origin_type="workflow",
        message__origin_id=enrollment.pk,
        message__context={"event": TOLD},
        message__gate=[{"check": "address", "outcome": "passed", "values": JUDGED}],
        message__reason_values=JUDGED,
        subject=f"{FIRST_NAME}, your cart",
        html=f"<p>Hello {FIRST_NAME} {LAST_NAME}, {SECRETS[2]}</p>",
        text=f"Hello {FIRST_NAME}, {SECRETS[2]}",
        links=[f"https://shop.example/?who={USER_ID}"],
    )
    ServiceMail.objects.create(
        send_key="sign-up:1",
        template=Template.objects.get(key="confirm-signup"),
        email=EMAIL,
        values={"first_name": FIRST_NAME},
        due_at=NOON,
        queued_at=NOON,
    )


def _speak_for(contact: Contact) -> None:
    statement = consents.Statement(
        contact_id=contact.pk,
        purpose="email_marketing",
        status=Status.GRANTED,
        method=ConsentRecord.Method.FORM,
        source=f"form of {LAST_NAME}",
        evidence={"told": SECRETS[3], "email": EMAIL},
    )
    consents.record_consents(statements=[statement], now=NOON)
    consents.suppress(emails=[EMAIL], reason=Suppression.Reason.BOUNCED, now=NOON)
    PendingSignup.objects.create(
        form=SignupFormFactory(),
        email_hash="0" * 64,
        details={"email": EMAIL, "first_name": FIRST_NAME},
        asked_at=NOON,
        expires_at=NOON,
        contact=contact,
    )
