"""A server's word in the mouth of a browser: what the identity signature proves, and what not."""

import json
from urllib.parse import urlencode

import pytest
from django.test import Client

from apps.contacts.models import Contact, Identity
from apps.core.pages import model_url, object_url
from apps.core.pseudonyms import hide_browser
from apps.events import pipeline, services, signatures
from apps.events.models import Event, InboxEvent, Source
from tests.factories.accounts import StaffFactory, make_viewer
from tests.factories.contacts import ContactFactory, IdentityFactory
from tests.factories.events import SourceFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db

ALLOWED = {"consent": {"categoryPreferences": {"tracking": True}}}


@pytest.fixture
def source() -> Source:
    return SourceFactory()


def sign(source, user_id):
    return signatures.sign(user_id, signatures.identity_secret(source))


def post(source, path, message, **context):
    context = {**ALLOWED, **({"cuepost": context} if context else {})}
    body = {"writeKey": source.public_key, "context": context, **message}
    answer = Client().post(f"/v1/{path}", json.dumps(body), content_type="text/plain")
    assert answer.status_code == 200
    pipeline.drain(now=NOON)


def owner_of(browser):
    identity = Identity.objects.filter(value=hide_browser(browser)).first()
    return identity and (identity.contact_id, identity.is_trusted)


@pytest.mark.parametrize("field", ["identitySignature", "identity_signature"])
def test_a_signed_browser_joins_the_known_contact(source, field):
    ada = ContactFactory(external_id="ada")
    call = {"userId": "ada", "anonymousId": "a1", "traits": {"first_name": "Ada"}}

    post(source, "identify", call, **{field: sign(source, "ada")})
    post(source, "track", {"event": "Product Viewed", "anonymousId": "a1"})

    ada.refresh_from_db()
    assert ada.first_name == "Ada"
    assert owner_of("a1") == (ada.pk, True)
    assert list(ada.events.values_list("name", flat=True)) == ["", "Product Viewed"]


def test_a_signature_is_kept_nowhere(source):
    ContactFactory(external_id="ada")
    signature = sign(source, "ada")

    post(source, "identify", {"userId": "ada", "anonymousId": "a1"}, identitySignature=signature)

    event = Event.objects.get()
    assert not InboxEvent.objects.exists()
    assert signature not in json.dumps([event.context, event.properties])
    assert "cuepost" not in event.context


@pytest.mark.parametrize(
    "signature", ["0" * 64, "é", "x", pytest.param(None, id="one of somebody else")]
)
def test_a_wrong_signature_is_none_and_is_noted(source, signature):
    ada = ContactFactory(external_id="ada")
    told = sign(source, "bob") if signature is None else signature
    call = {"userId": "ada", "anonymousId": "a1", "traits": {"first_name": "Eve"}}

    post(source, "identify", call, identitySignature=told)

    event = Event.objects.get()
    ada.refresh_from_db()
    assert (ada.first_name, event.contact_id, owner_of("a1")) == ("", None, None)
    assert event.context["cuepost"] == {
        "identity": "unverified",
        "user_id": "ada",
        "notes": ["wrong_signature"],
    }


@pytest.mark.parametrize("signature", [7, None, [], {"a": 1}, ""])
def test_what_is_no_text_is_no_signature(source, signature):
    ContactFactory(external_id="ada")

    post(source, "track", {"event": "Ping", "userId": "ada"}, identitySignature=signature)

    assert Event.objects.get().context["cuepost"] == {"identity": "unverified", "user_id": "ada"}


def test_a_signature_of_another_source_proves_nothing(source):
    ContactFactory(external_id="ada")
    other = SourceFactory()

    call = {"event": "Ping", "userId": "ada", "anonymousId": "a1"}
    post(source, "track", call, identitySignature=sign(other, "ada"))

    assert Event.objects.get().contact_id is None


def test_a_signature_says_nothing_about_addresses(source):
    ada = ContactFactory(external_id="ada", email="ada@example.com")
    bob = ContactFactory(email="bob@example.com")
    cleo = ContactFactory(external_id="cleo", email=None)
    mine, taken, new = (
        {"userId": user, "anonymousId": f"a-{email}", "traits": {"email": email}}
        for user, email in (
            ("ada", "new@example.com"), ("cleo", "bob@example.com"), ("cleo", "cleo@example.com"),
        )
    )  # fmt: skip

    for call in (mine, taken, new):
        post(source, "identify", call, identitySignature=sign(source, call["userId"]))

    emails = dict(Contact.objects.values_list("pk", "email"))
    assert emails == {
        ada.pk: "ada@example.com", bob.pk: "bob@example.com", cleo.pk: "cleo@example.com",
    }  # fmt: skip
    assert Identity.objects.get(value="cleo@example.com").is_trusted is False


def test_a_signed_new_customer_is_made_and_proven(source):
    post(
        source, "track", {"event": "Ping", "userId": "ada", "anonymousId": "a1"},
        identitySignature=sign(source, "ada"),
    )  # fmt: skip

    ada = Contact.objects.get(external_id="ada")
    assert Identity.objects.get(value="ada").is_trusted
    assert owner_of("a1") == (ada.pk, True)


def test_a_signature_ends_what_others_claimed_without_one(source):
    post(source, "identify", {"userId": "ada", "anonymousId": "eve"})

    signed = {"userId": "ada", "anonymousId": "a1"}
    post(source, "identify", signed, identitySignature=sign(source, "ada"))

    assert owner_of("eve") is None
    assert owner_of("a1") == (Contact.objects.get().pk, True)


def test_a_signed_alias_hands_over_its_own_browser_only(source):
    ada = ContactFactory(external_id="ada")
    IdentityFactory(contact=ContactFactory(external_id="bob"), value="b1")
    signature = sign(source, "ada")

    for previous in ("a1", "b1"):
        call = {"userId": "ada", "previousId": previous, "anonymousId": "a1"}
        post(source, "alias", call, identitySignature=signature)

    assert owner_of("a1") == (ada.pk, True)
    assert owner_of("b1") == (Contact.objects.get(external_id="bob").pk, True)


def test_a_batch_has_no_signature_for_all_its_events(source):
    ContactFactory(external_id="ada")
    body = {
        "writeKey": source.public_key,
        "context": {**ALLOWED, "cuepost": {"identitySignature": sign(source, "ada")}},
        "batch": [{"type": "track", "event": "Ping", "userId": "ada"}],
    }

    Client().post("/v1/batch", json.dumps(body), content_type="application/json")
    pipeline.drain(now=NOON)

    assert Event.objects.get().context["cuepost"] == {"identity": "unverified", "user_id": "ada"}


@pytest.mark.parametrize("is_right", [True, False])
def test_a_pixel_is_believed_with_a_signature(source, is_right):
    ada = ContactFactory(external_id="XYZ")
    signature = sign(source, "XYZ") if is_right else "f" * 64
    told = {"event": "cart_abandonment", "user_id": "XYZ", "signature": signature, "consent": "1"}

    answer = Client().get(f"/track?{urlencode({**told, 'key': source.public_key})}")
    pipeline.drain(now=NOON)

    event = Event.objects.get()
    assert answer.status_code == 200
    assert event.contact_id == (ada.pk if is_right else None)
    assert event.properties == {}
    assert signature not in json.dumps(event.context)


def test_a_signed_event_is_no_servers_event(source):
    ContactFactory(external_id="ada")

    call = {"event": "Ping", "userId": "ada"}
    post(source, "track", call, identitySignature=sign(source, "ada"), identity="server")

    event = Event.objects.get()
    assert (event.is_trusted, "cuepost" in event.context) == (False, False)


# --- in the admin ---


def staff_at(client, **permissions):
    client.force_login(StaffFactory(**permissions))
    return client


def test_the_secret_is_shown_to_whoever_may_change_the_source(client, source):
    secret = signatures.identity_secret(source)

    page = staff_at(client, is_superuser=True).get(object_url(source)).content.decode()

    assert secret in page
    assert "hash_hmac" in page


def test_another_secret_ends_the_old_signatures(client, source):
    ContactFactory(external_id="ada")
    old = sign(source, "ada")
    url = f"{model_url(Source)}{source.pk}/rotate_identity_secret/"
    boss = staff_at(client, is_superuser=True)

    question = boss.get(url).content.decode()
    assert signatures.is_valid(old, user_id="ada", source=Source.objects.get(pk=source.pk))
    boss.post(url)

    assert "prove nothing from then on" in question
    post(source, "track", {"event": "Ping", "userId": "ada"}, identitySignature=old)
    assert Event.objects.get().contact_id is None


def test_each_source_has_a_secret_of_its_own_even_without_salt():
    one, other = SourceFactory(), SourceFactory()
    made, _ = services.create_source(name="Third", now=NOON)

    secrets = {signatures.identity_secret(source) for source in (one, other, made)}

    assert (one.identity_salt, len(made.identity_salt) > 20, len(secrets)) == ("", True, 3)


def test_a_viewer_does_not_see_the_secret(client, source):
    client.force_login(make_viewer())

    page = client.get(object_url(source)).content.decode()

    assert signatures.identity_secret(source) not in page
    assert "Identity secret" not in page
