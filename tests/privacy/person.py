"""One person who leaves traces everywhere, told through the public edges."""

from datetime import timedelta
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.utils import timezone

from apps.consent import rights, signups
from apps.consent.models import AnonymousConsent, MailPreference, PrivacyRequest
from apps.consent.registry import Subject
from apps.contacts import merging
from apps.contacts.models import Contact, Identity
from apps.core import services as core
from apps.core.pseudonyms import hide_browser
from apps.events import services as events
from apps.workflows import services as workflows
from tests.factories.accounts import StaffFactory
from tests.factories.consent import SignupFormFactory
from tests.factories.contacts import ContactFactory, ImportRowFactory
from tests.factories.events import RejectedEventFactory

EMAIL = "ada.lovelace@example.com"
USER_ID = "customer-8151"
BROWSER = "browser-of-ada-1815"
PHONE = "+44 20 7946 0815"
# Whatever of these stands anywhere afterwards is a trace.
WORDS = (EMAIL, "Lovelace", USER_ID, BROWSER, hide_browser, PHONE, "Analytical Lane")

CONSENT = {
    "categoryPreferences": {"tracking": True, "email_marketing": True, "open_tracking": True},
    "method": "form",
    "note": f"asked by phone {PHONE}",
}


def words() -> list[str]:
    return [word(BROWSER) if callable(word) else word for word in WORDS]


def leave_traces(client: Any) -> Contact:
    """Browse, identify, leave a cart, get the reminder, order something else, fail once more."""
    now = timezone.now()
    _, key = events.create_source(name="Shop", now=now)
    workflows.go_live(workflow=workflows.install_recipe(key="cart-recovery-demo", now=now), now=now)
    context = {
        "consent": CONSENT,
        "ip": "198.51.100.7",
        "page": {"url": f"https://s.example/?e={EMAIL}"},
    }
    who = {"userId": USER_ID, "anonymousId": BROWSER, "context": context, "writeKey": key}
    traits = {
        "email": EMAIL,
        "firstName": "Ada",
        "lastName": "Lovelace",
        "phone": PHONE,
        "address": {"street": "1 Analytical Lane"},
        "plan": "gold",
    }
    cup = {"product_id": "cup", "name": "Cup", "price": 11, "quantity": 1, "currency": "EUR"}
    post(client, "track", {**who, "userId": None, "event": "Product Viewed", "properties": cup})
    post(client, "identify", {**who, "traits": traits})
    cart = {**cup, "cart_id": f"cart-{USER_ID}"}
    post(client, "track", {**who, "event": "Product Added", "properties": cart})
    core.tick(now=timezone.now())
    core.tick(now=timezone.now() + timedelta(minutes=2))
    order = {
        "order_id": f"{USER_ID}-1",
        "total": 22,
        "currency": "EUR",
        "ship_to": "1 Analytical Lane",
    }
    message_id = f"{USER_ID}-order"
    post(
        client,
        "track",
        {**who, "event": "Order Completed", "messageId": message_id}
        | {"properties": {**order, "products": [{**cup, "engraving": "For Ada Lovelace"}]}},
    )
    core.tick(now=timezone.now())
    contact = Contact.objects.get(external_id=USER_ID)
    # A second order waits in the inbox, a third could not be used.
    post(client, "track", {**who, "event": "Order Completed", "properties": {"order_id": "o2"}})
    RejectedEventFactory(payload={"userId": USER_ID, "traits": traits}, person_keys=[])
    AnonymousConsent.objects.create(
        browser=hide_browser(BROWSER),
        choice={"tracking": True},
        action="custom",
        page=f"/account/{USER_ID}",
        recorded_at=now,
    )
    ImportRowFactory(cells=[EMAIL, "Lovelace"])
    rights.ask(contact=contact, kind="correct", by=rights.PERSON, now=now, details=f"Call {PHONE}.")
    refused = rights.ask(contact=contact, kind="object", by="staff", now=now)
    PrivacyRequest.objects.filter(pk=refused.pk).update(outcome=f"{EMAIL} takes it back.")
    twin = ContactFactory(last_name="Lovelace", email="twin@example.com", phone=PHONE)
    merging.merge(survivor_id=contact.pk, merged_id=twin.pk, by="staff", now=now)
    MailPreference.objects.create(contact=contact, frequency="weekly", changed_at=now)
    form = SignupFormFactory()
    entry = signups.Entry(
        email=EMAIL, texts={"first_name": "Ada"}, topics=[], trace=signups.Trace()
    )
    signups.sign_up(form=form, entry=entry, now=now)
    LogEntry.objects.create(
        user=StaffFactory(),
        content_type=ContentType.objects.get_for_model(Contact),
        object_id=str(contact.pk),
        object_repr="Ada Lovelace",
        action_flag=CHANGE,
        change_message=f"Changed the address to {EMAIL}.",
    )
    return contact


def post(client: Any, call: str, body: dict[str, Any]) -> None:
    response = client.post(f"/v1/{call}", body, content_type="application/json")
    assert response.status_code == 200, response.content


def subject_of(contact: Contact) -> Subject:
    names = Identity.objects.filter(contact=contact).values_list("kind", "value")
    of = lambda kind: tuple(value for one, value in names if one == kind)  # noqa: E731
    return Subject(contact.pk, of("email"), of("user_id"), of("anonymous_id"), (contact.name,))


def traces() -> list[str]:
    """Every row of the database, of each schema that is not PostgreSQL's own, that has a trace."""
    found = []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
        for (table,) in cursor.fetchall():
            for word in words():
                cursor.execute(
                    f"SELECT row::text FROM {table} AS row"  # noqa: S608 -- the catalog's names
                    " WHERE position(lower(%s) IN lower(row::text)) > 0",
                    [word],
                )
                found += [f"{table} has {word}: {row[:300]}" for (row,) in cursor.fetchall()]
    return found
