"""Signing up: nobody is a contact before they have confirmed, and nobody learns whom we know."""

from datetime import timedelta
from typing import Any

import pytest

from apps.consent import services, signups
from apps.consent.facts import Entry, Trace
from apps.consent.models import (
    ConsentRecord,
    ConsentState,
    PendingSignup,
    Purpose,
    SignupForm,
    Status,
    Suppression,
    WordingVersion,
)
from apps.contacts.models import Contact, Identity
from apps.events import pipeline
from apps.events.models import Event
from apps.messaging.models import ServiceMail
from tests.factories.consent import SignupFormFactory, deny, grant
from tests.factories.contacts import ContactFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db

HERE = Trace(ip="203.0.113.77", agent="Mozilla/5.0", source_url="https://shop.example/tea?x=ada")
DAY = timedelta(days=1)


def ask(form: SignupForm, email: str = "ada@example.com", **changes: Any) -> PendingSignup:
    now = changes.pop("now", NOON)
    entry = Entry(email=email, trace=HERE, **changes)
    return signups.sign_up(form=form, entry=entry, now=now)


def states_of(contact: Contact) -> dict[str, str]:
    rows = ConsentState.objects.filter(contact=contact)
    return {row.topic_id or row.purpose_id: row.status for row in rows}


def mail_count() -> int:
    return ServiceMail.objects.count()


def test_asking_makes_no_contact_and_one_mail():
    form = SignupFormFactory()

    signup = ask(form, " Ada@Example.COM ")

    mail = ServiceMail.objects.get()
    assert not Contact.objects.exists()
    assert (mail.email, mail.values["signup"]["form"]) == ("ada@example.com", form.name)
    assert signup.uuid.hex not in mail.values["links"]["confirm"]
    assert signup.details["network"] == "203.0.113.0/24"
    assert signup.details["source_url"] == "https://shop.example/tea"
    assert "203.0.113.77" not in str(vars(signup))


def test_confirming_makes_a_contact_with_proof():
    form = SignupFormFactory(topics=["tea", "offers"], extra_fields=["first_name"])
    signup = ask(form, texts={"first_name": "Ada\x00\n", "phone": "1"}, topics=["tea"])
    later = NOON + timedelta(hours=1)

    signups.confirm(signup_uuid=signup.uuid, trace=Trace(ip="198.51.100.9"), now=later)

    contact = Contact.objects.get()
    record = ConsentRecord.objects.get(contact=contact, topic=None)
    assert (contact.email, contact.first_name, contact.phone) == ("ada@example.com", "Ada", "")
    assert Identity.objects.get(contact=contact, kind="email").is_trusted
    assert states_of(contact) == {
        "email_marketing": "granted",
        "tea": "granted",
        "offers": "denied",
    }
    assert (record.method, record.ip_network) == ("double_opt_in", "198.51.100.0/24")
    assert record.source_url == "https://shop.example/tea"
    assert record.evidence == {
        "form": form.key,
        "form_name": form.name,
        "asked_at": NOON.isoformat(),
        "asked_network": "203.0.113.0/24",
        "confirmed_at": later.isoformat(),
        "confirmed_network": "198.51.100.0/24",
    }
    assert services.verify_chain(contact) == []


def test_confirming_forgets_what_the_row_knew_and_works_twice():
    signup = ask(SignupFormFactory())

    for _ in range(2):
        signups.confirm(signup_uuid=signup.uuid, trace=HERE, now=NOON)

    signup.refresh_from_db()
    assert (signup.status, signup.details, signup.ip_hash) == ("confirmed", {}, "")
    assert signup.contact == Contact.objects.get()
    assert ConsentRecord.objects.count() == 1


def test_the_wording_that_was_shown_is_named():
    WordingVersion.objects.create(
        purpose_id=Purpose.EMAIL_MARKETING,
        version="2026-03",
        text="Yes, write to me.",
        text_hash="a" * 64,
        created_at=NOON,
    )
    signup = ask(SignupFormFactory())

    signups.confirm(signup_uuid=signup.uuid, trace=HERE, now=NOON)

    record = ConsentRecord.objects.get()
    assert (record.wording_version, record.wording_hash) == ("2026-03", "a" * 64)


def test_a_known_contact_is_treated_like_a_stranger_and_keeps_its_name():
    contact = ContactFactory(email="ada@example.com", first_name="Ada")
    form = SignupFormFactory(extra_fields=["first_name", "country"])
    signup = ask(form, texts={"first_name": "Mallory", "country": "ie"})

    signups.confirm(signup_uuid=signup.uuid, trace=HERE, now=NOON)

    contact.refresh_from_db()
    assert Contact.objects.count() == 1
    assert (contact.first_name, contact.country) == ("Ada", "IE")
    assert states_of(contact) == {"email_marketing": "granted"}


def test_who_unsubscribed_is_written_to_again_after_confirming():
    contact = ContactFactory(email="ada@example.com")
    services.unsubscribe(contact=contact, method="one_click", source="mail", now=NOON)
    signup = ask(SignupFormFactory())

    signups.confirm(signup_uuid=signup.uuid, trace=HERE, now=NOON + DAY)

    assert states_of(contact) == {"email_marketing": "granted"}
    assert not services.is_suppressed("ada@example.com")


@pytest.mark.parametrize(
    ("changes", "problems"),
    [
        ({"email": "ada"}, {"email"}),
        ({"email": "a\x00da@example.com"}, {"email"}),
        ({"email": ""}, {"email"}),
        ({"topics": []}, {"topics"}),
        ({"topics": ["else"]}, {"topics"}),
        ({"topics": ["\x00"]}, {"topics"}),
        ({"texts": {"country": "Ireland"}}, {"country"}),
        ({"email": "ada", "texts": {"country": "1"}}, {"email", "country"}),
    ],
)
def test_a_bad_entry_is_refused_with_its_reasons(changes, problems):
    form = SignupFormFactory(topics=["tea"], extra_fields=["country"])
    entry = {"email": "ada@example.com", **changes}

    with pytest.raises(signups.BadEntry) as caught:
        ask(form, **entry)

    assert set(caught.value.problems) == problems
    assert (PendingSignup.objects.count(), mail_count()) == (0, 0)


def test_a_closed_form_takes_nothing():
    with pytest.raises(signups.Closed):
        ask(SignupFormFactory(is_active=False))

    assert not PendingSignup.objects.exists()


def test_one_address_gets_few_mails_whoever_asks():
    forms = [SignupFormFactory(), SignupFormFactory()]

    for minute in range(10):
        ask(forms[minute % 2], now=NOON + timedelta(minutes=minute))
    within_a_day = mail_count()
    ask(forms[0], now=NOON + 2 * DAY)

    assert (within_a_day, mail_count()) == (signups.MAX_MAILS, signups.MAX_MAILS + 1)


def test_the_mail_is_sent_again_within_limits():
    signup = ask(SignupFormFactory())
    counts = []

    for minutes in (0.5, 2, 4, 6, 8):
        signups.resend(signup_uuid=signup.uuid, now=NOON + timedelta(minutes=minutes))
        counts.append(mail_count())

    assert counts == [1, 2, 3, 3, 3]


def test_one_network_can_not_sign_up_the_world():
    form = SignupFormFactory()
    for number in range(signups.MAX_PER_IP):
        ask(form, f"person-{number}@example.com")

    with pytest.raises(signups.TooMany):
        ask(form, "one-more@example.com")
    ask(form, "one-more@example.com", now=NOON + timedelta(hours=2))

    assert mail_count() == signups.MAX_PER_IP + 1


def test_who_does_not_confirm_is_forgotten():
    signup = ask(SignupFormFactory())
    too_late = NOON + signups.LIFETIME

    count = signups.expire(now=too_late)

    signup.refresh_from_db()
    with pytest.raises(signups.Expired):
        signups.confirm(signup_uuid=signup.uuid, trace=HERE, now=too_late)
    assert (count, signup.status, signup.details, signup.ip_hash) == (1, "expired", {}, "")
    assert not Contact.objects.exists()


def test_an_expired_sign_up_can_not_be_confirmed_before_it_is_swept():
    signup = ask(SignupFormFactory())

    with pytest.raises(signups.Expired):
        signups.confirm(signup_uuid=signup.uuid, trace=HERE, now=NOON + signups.LIFETIME)

    signups.resend(signup_uuid=signup.uuid, now=NOON + signups.LIFETIME)
    assert (Contact.objects.count(), mail_count()) == (0, 1)


def test_what_is_left_of_it_goes_a_month_later():
    ask(SignupFormFactory())
    signups.expire(now=NOON + signups.LIFETIME)

    signups.expire(now=NOON + signups.LIFETIME + signups.KEPT)

    assert not PendingSignup.objects.exists()


def test_without_double_opt_in_a_stranger_is_a_contact_at_once():
    form = SignupFormFactory(is_double_opt_in=False, extra_fields=["first_name"])

    signup = ask(form, texts={"first_name": "Ada"})

    contact = Contact.objects.get()
    record = ConsentRecord.objects.get()
    assert (signup.status, mail_count()) == ("confirmed", 0)
    assert (contact.first_name, record.method) == ("Ada", "form")
    assert not Identity.objects.get(contact=contact, kind="email").is_trusted


@pytest.mark.parametrize("way", ["denied", "suppressed"])
def test_without_double_opt_in_a_no_still_needs_its_owner_to_lift_it(way):
    contact = ContactFactory(email="ada@example.com")
    if way == "denied":
        deny(contact, Purpose.EMAIL_MARKETING, NOON - DAY)
    else:
        reason = Suppression.Reason.UNSUBSCRIBED
        services.suppress(emails=["ada@example.com"], reason=reason, now=NOON)

    signup = ask(SignupFormFactory(is_double_opt_in=False))

    assert (signup.status, mail_count()) == ("pending", 1)
    assert Status.GRANTED not in states_of(contact).values()


def test_without_double_opt_in_a_known_contact_is_not_changed():
    contact = ContactFactory(email="ada@example.com", first_name="")
    grant(contact, Purpose.TRACKING, NOON)

    ask(
        SignupFormFactory(is_double_opt_in=False, extra_fields=["first_name"]),
        texts={"first_name": "Mallory"},
    )

    contact.refresh_from_db()
    assert contact.first_name == ""
    assert states_of(contact) == {"tracking": "granted", "email_marketing": "granted"}


def test_a_topic_that_was_said_before_stays_as_it_is():
    form = SignupFormFactory(topics=["tea", "offers"])
    contact = ContactFactory(email="ada@example.com")
    yes = services.Statement(contact.pk, Purpose.EMAIL_MARKETING, "granted", "form", topic="offers")
    services.record_consents(statements=[yes], now=NOON)
    signup = ask(form, topics=["tea"])

    signups.confirm(signup_uuid=signup.uuid, trace=HERE, now=NOON)

    assert states_of(contact) == {
        "email_marketing": "granted",
        "tea": "granted",
        "offers": "granted",
    }


@pytest.mark.parametrize(
    ("origins", "origin", "may"),
    [
        ([], "https://any.example", True),
        (["https://shop.example"], "https://shop.example", True),
        (["https://shop.example"], "", True),
        (["https://shop.example"], "http://127.0.0.1:8000", True),
        (["https://shop.example"], "https://other.example", False),
        (["https://shop.example"], "null", False),
    ],
)
def test_a_form_may_come_from_its_websites(settings, origins, origin, may):
    settings.BASE_URL = "http://127.0.0.1:8000"
    form = SignupForm(allowed_origins=origins)

    assert signups.may_come_from(form, origin) is may


def test_a_confirmed_sign_up_is_an_event_that_a_welcome_can_start_with():
    form = SignupFormFactory(topics=["tea"])
    signup = ask(form)
    signups.confirm(signup_uuid=signup.uuid, trace=HERE, now=NOON)

    pipeline.drain(now=NOON)

    event = Event.objects.get()
    assert (event.name, event.contact, event.is_trusted) == (
        "Signed Up",
        Contact.objects.get(),
        True,
    )
    assert event.properties == {"form": form.key, "form_name": form.name, "topics": ["tea"]}
