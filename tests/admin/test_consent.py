"""Purposes, topics, wordings, jurisdictions and silent addresses, as staff edit them."""

from hashlib import sha256

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.db.utils import ProgrammingError
from django.urls import reverse

from apps.consent import policy
from apps.consent.models import (
    ConsentRecord,
    Jurisdiction,
    JurisdictionRule,
    LiftedSuppression,
    Purpose,
    Suppression,
    Topic,
    WordingVersion,
)
from apps.consent.services import find_suppression, suppress
from apps.core.pages import object_url
from tests.admin.conftest import at_browser
from tests.admin.test_pages import model_url
from tests.factories.accounts import StaffFactory
from tests.factories.consent import TopicFactory, say
from tests.factories.contacts import ContactFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db

TEXT = "Yes, send me news."
LIFT = "admin:consent_suppression_lift"


# --- what people are asked ------------------------------------------------------------------------


def test_a_wording_is_kept_with_its_hash_and_only_goes_out_of_use(staff):
    told = {"purpose": "email_marketing", "version": "1", "language": "en", "text": TEXT}

    staff.post(model_url(WordingVersion, "add"), told)
    wording = WordingVersion.objects.get()
    staff.post(object_url(wording), {"text": "Something else", "is_active": ""})

    wording.refresh_from_db()
    assert (wording.text, wording.is_active) == (TEXT, False)
    assert wording.text_hash == sha256(TEXT.encode()).hexdigest()


@pytest.mark.parametrize("change", [{"text": "Other"}, {"version": "2"}, {"text_hash": "0" * 64}])
def test_database_keeps_a_wording_as_it_is(staff, change):
    told = {"purpose": "email_marketing", "version": "1", "language": "en", "text": TEXT}
    staff.post(model_url(WordingVersion, "add"), told)

    with pytest.raises(ProgrammingError, match="Cannot update"), transaction.atomic():
        WordingVersion.objects.update(**change)
    with pytest.raises(ProgrammingError, match="Cannot delete"), transaction.atomic():
        WordingVersion.objects.all().delete()


def test_a_topic_is_not_called_like_a_purpose(staff):
    told = {"name": "News", "key": "tracking", "purpose": "email_marketing", "order": "1"}

    refused = staff.post(model_url(Topic, "add"), told)
    staff.post(model_url(Topic, "add"), {**told, "key": "news"})

    assert "A purpose is called so already." in refused.content.decode()
    assert list(Topic.objects.values_list("key", flat=True)) == ["news"]


def test_a_purpose_gets_a_validity(staff):
    purpose = Purpose.objects.get(key="email_marketing")
    told = {"name": purpose.name, "description": "", "order": "1", "lawful_basis": "consent"}

    staff.post(object_url(purpose), {**told, "validity_months": "24"})

    purpose.refresh_from_db()
    assert purpose.validity_months == 24


def rules(*modes: tuple[str, str]) -> dict[str, str]:
    """The rows of the form for these purposes."""
    fields = {"rules-TOTAL_FORMS": str(len(modes)), "rules-INITIAL_FORMS": "0"}
    for number, (purpose, mode) in enumerate(modes):
        fields |= {f"rules-{number}-purpose": purpose, f"rules-{number}-mode": mode}
    return fields


def test_a_new_jurisdiction_counts_at_once(staff):
    contact = ContactFactory(country="JP")
    told = {"name": "Japan", "key": "JP", "countries": "jp ", "regions": ""}

    staff.post(model_url(Jurisdiction, "add"), told | rules(("email_marketing", "opt_out")))

    assert Jurisdiction.objects.get(key="JP").countries == ["JP"]
    decision = policy.allows(contact, "email_marketing", NOON)
    assert (decision.is_allowed, decision.values["jurisdiction"]) == (True, "JP")


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        ({"countries": "FR"}, "EU and EEA holds for FR already."),
        ({"regions": "us-ca"}, "California holds for US-CA already."),
        ({"is_fallback": "on"}, "Another jurisdiction already holds for everybody else."),
    ],
)
def test_each_place_has_one_law(staff, told, problem):
    count = Jurisdiction.objects.count()

    page = staff.post(
        model_url(Jurisdiction, "add"),
        {"name": "X", "key": "X", "countries": "", "regions": "", **told} | rules(),
    )

    assert problem in page.content.decode()
    assert Jurisdiction.objects.count() == count


def test_somebody_s_rules_hold_for_everybody_else(staff):
    fallback = Jurisdiction.objects.get(is_fallback=True)
    told = {"name": "X", "countries": "", "regions": ""}

    page = staff.post(object_url(fallback), told | rules())
    deleted = staff.post(f"{object_url(fallback).removesuffix('change/')}delete/", {"post": "yes"})

    assert "have to hold for everybody else" in page.content.decode()
    assert deleted.status_code == 403
    assert JurisdictionRule.objects.filter(jurisdiction=fallback).exists()


def test_staff_records_what_somebody_said_of_one_topic(staff):
    contact, topic = ContactFactory(), TopicFactory(key="news")
    told = {
        "contact": contact.pk, "purpose": "email_marketing", "topic": topic.pk,
        "status": "denied", "source": "phone", "note": "no news please",
    }  # fmt: skip

    staff.post(model_url(ConsentRecord, "add"), told)

    record = ConsentRecord.objects.get()
    assert (record.topic, record.status) == (topic, "denied")


def test_a_contact_s_page_shows_topics_and_the_law(staff):
    contact = ContactFactory(country="DE")
    topic = TopicFactory(key="news", name="Tea news")
    say(contact, "email_marketing", "denied", NOON, topic=topic.key)

    page = staff.get(object_url(contact)).content.decode()

    assert "Topic: Tea news" in page
    assert "left out" in page
    assert "EU and EEA" in page
    assert "Refused E-mail marketing: Tea news" in page


# --- who is never written to ----------------------------------------------------------------------


def silent(reason: str) -> Suppression:
    suppress(emails=["ada@example.com"], reason=reason, now=NOON)
    return Suppression.objects.get()


def lift(client, suppression, explanation="They called."):
    return client.post(reverse(LIFT, args=[suppression.pk]), {"explanation": explanation})


def test_staff_lets_an_address_go_with_a_reason(staff):
    lift(staff, silent("bounced"))

    lifted = LiftedSuppression.objects.get()
    assert find_suppression("ada@example.com") is None
    assert (lifted.reason, lifted.lifted_by, lifted.explanation) == (
        "bounced", "boss", "They called.",
    )  # fmt: skip
    suppressed_again = silent("manual")
    assert "They called." in staff.get(object_url(suppressed_again)).content.decode()


def test_without_a_reason_it_stays_silent(staff):
    answer = lift(staff, silent("bounced"), explanation=" ")

    assert "This field is required." in answer.content.decode()
    assert Suppression.objects.exists()


@pytest.mark.parametrize(
    ("permissions", "reason", "is_lifted"),
    [
        (["lift_suppression"], "bounced", True),
        (["lift_suppression"], "unsubscribed", True),
        (["lift_suppression"], "complained", False),
        (["lift_suppression", "lift_complaint"], "complained", True),
        ([], "bounced", False),
    ],
)
def test_who_may_let_an_address_go(permissions, reason, is_lifted):
    names = [f"consent.{name}" for name in ["view_suppression", *permissions]]
    client = at_browser(StaffFactory(permissions=["contacts.view_personal_data", *names]))
    suppression = silent(reason)

    lift(client, suppression)

    assert Suppression.objects.exists() is not is_lifted


def test_a_list_from_elsewhere_is_kept_silent(staff):
    content = b"name,Email\nAda,ADA@example.com\nBob,bob@example.com\nCid,none\n"

    answer = staff.post(
        reverse("admin:consent_suppression_import"),
        {"file": SimpleUploadedFile("list.csv", content)},
        follow=True,
    )

    assert "2 addresses are silent from now on, 0 were so already, 1 rows hold no address." in (
        answer.content.decode()
    )
    assert find_suppression("ada@example.com").reason == "imported"


def test_a_file_that_is_no_list_is_told(staff):
    answer = staff.post(
        reverse("admin:consent_suppression_import"),
        {"file": SimpleUploadedFile("list.csv", b"\xff\xfe\x00")},
    )

    assert "The file is not UTF-8 text." in answer.content.decode()
    assert not Suppression.objects.exists()


def test_only_who_may_add_imports(viewer):
    assert viewer.get(reverse("admin:consent_suppression_import")).status_code == 403
