"""What people ask for, and what staff does about it."""

import re
import zipfile
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import AccessRecord
from apps.consent import links, policy, rights, selectors
from apps.consent import services as consent
from apps.consent.models import PrivacyRequest, PrivacyRequestStep, Restriction
from apps.contacts import merging
from apps.contacts.models import Contact
from apps.core import services as core
from apps.core.roles import Role
from apps.segments.compiler import contacts_matching
from apps.segments.conditions import parse
from apps.workflows.models import Enrollment, EntryRefusal
from tests.accounts.crawling import in_role
from tests.factories.accounts import StaffFactory
from tests.factories.consent import grant
from tests.factories.contacts import ContactFactory
from tests.factories.messaging import MessageFactory
from tests.privacy import person

pytestmark = pytest.mark.django_db(transaction=True)

State = PrivacyRequest.Status


@pytest.fixture(autouse=True)
def home(settings: Any, tmp_path: Any) -> None:
    settings.CUEPOST_HOME = tmp_path


def ask(client: Any, contact: Contact, kind: str) -> Any:
    page = links.preferences_url(contact.uuid).partition("/preferences/")[2]
    return client.post(f"/privacy/ask/{page}", {"kind": kind})


def deliver() -> None:
    core.tick(now=timezone.now() + timedelta(seconds=5))


def link_in_mail(path: str) -> str:
    text = "\n".join(str(letter.body) for letter in mail.outbox)
    found = re.findall(rf"https?://[^/]+({path}[\w:.=-]+)", text)
    assert found, text
    return str(found[-1])


def test_a_copy_comes_by_mail_after_proof(client):
    contact = ContactFactory(email="ada@example.com", first_name="Ada")

    page = ask(client, contact, "export")
    deliver()
    confirm = link_in_mail("/privacy/confirm/")
    shown = client.get(confirm)
    before = PrivacyRequest.objects.get().status
    client.post(confirm)
    rights.go_on(now=timezone.now())
    deliver()
    copy = client.get(link_in_mail("/privacy/copy/"))

    assert "Look into your mail" in page.content.decode()
    assert (shown.status_code, before) == (200, State.UNVERIFIED)
    archive = zipfile.ZipFile(BytesIO(b"".join(copy.streaming_content)))
    assert "ada@example.com" in archive.read("summary.html").decode()
    assert [letter.to for letter in mail.outbox] == [["ada@example.com"]] * 2
    steps = PrivacyRequestStep.objects.order_by("pk").values_list("what", "by")
    assert list(steps) == [
        ("received", "the person"),
        ("identity proved", "mail"),
        ("done", "Cuepost"),
    ]


def test_the_copy_is_gone_after_its_time(client):
    request = rights.ask(contact=ContactFactory(), kind="export", by="staff", now=timezone.now())
    rights.go_on(now=timezone.now())
    path = links.privacy_download_url(request.uuid).partition("/privacy/")[2]
    early = client.get(f"/privacy/{path}")
    early.close()

    rights.go_on(now=timezone.now() + timedelta(days=15))

    assert early.status_code == 200
    assert client.get(f"/privacy/{path}").status_code == 404
    assert not rights.path_of(request).exists()


def test_an_erasure_by_the_person_themselves(client):
    contact = person.leave_traces(client)

    ask(client, contact, "erase")
    deliver()
    client.post(link_in_mail("/privacy/confirm/"))
    rights.erasure.finish_all(now=timezone.now())

    assert person.traces() == []
    assert PrivacyRequest.objects.get(kind="erase").status == State.DONE


def test_who_can_not_be_mailed_waits_for_staff_and_not_for_a_link(client):
    now = timezone.now()
    contact = ContactFactory(email="ada@example.com")
    consent.suppress(emails=[contact.email], reason="complained", now=now)

    page = ask(client, contact, "export")
    rights.go_on(now=now + rights.PROOF_LIFETIME * 2)
    deliver()

    request = PrivacyRequest.objects.get()
    assert "one of us will look at it" in page.content.decode()
    assert (request.status, mail.outbox) == (State.UNVERIFIED, [])
    client.force_login(StaffFactory(is_superuser=True))
    PrivacyRequest.objects.update(received_at=now - timedelta(days=8))
    assert "To be checked" in client.get("/admin/").content.decode()
    client.post(reverse("admin:consent_privacyrequest_prove", args=[request.pk]))
    request.refresh_from_db()
    assert request.status == State.OPEN


def test_a_link_in_the_mail_of_a_merged_contact_is_about_the_one_who_stayed(client):
    kept, merged = ContactFactory(email="ada@example.com"), ContactFactory()
    path = links.preferences_url(merged.uuid).partition("/preferences/")[2]
    merging.merge(survivor_id=kept.pk, merged_id=merged.pk, by="staff", now=timezone.now())

    client.post(f"/privacy/ask/{path}", {"kind": "opt_out"})
    asked = PrivacyRequest.objects.get().contact
    rights.erasure.begin(contact=kept, by="staff", now=timezone.now())

    assert asked == kept
    assert client.post(f"/privacy/ask/{path}", {"kind": "opt_out"}).status_code == 404


def test_what_somebody_asked_for_before_is_closed_when_they_are_erased():
    now = timezone.now()
    contact = ContactFactory(email="ada@example.com")
    rights.ask(contact=contact, kind="export", by="staff", now=now)
    rights.go_on(now=now)
    correct = rights.ask(contact=contact, kind="correct", by="staff", now=now, details="Ada!")
    copy = PrivacyRequest.objects.get(kind="export")

    rights.ask(contact=contact, kind="erase", by="staff", now=now)
    rights.erasure.finish_all(now=now)

    correct.refresh_from_db()
    assert (correct.status, correct.details) == (State.EXPIRED, "")
    assert correct.steps.last().what == "expired"
    assert not rights.path_of(copy).exists()


def test_a_file_that_a_dead_writer_left_is_removed(tmp_path):
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "1.zip.x.part").touch()

    rights.go_on(now=timezone.now())
    was_left_alone = list(folder.iterdir()) != []
    rights.go_on(now=timezone.now() + timedelta(days=2))

    assert was_left_alone
    assert list(folder.iterdir()) == []


def test_nothing_happens_by_looking(client):
    contact = ContactFactory(email="ada@example.com")
    ask(client, contact, "erase")
    deliver()

    for _ in range(2):
        client.get(link_in_mail("/privacy/confirm/"))

    contact.refresh_from_db()
    assert contact.erased_at is None


def test_a_stale_link_proves_nothing(client):
    now = timezone.now()
    contact = ContactFactory(email="ada@example.com")
    request = rights.ask(
        contact=contact, kind="erase", by=rights.PERSON, now=now - rights.PROOF_LIFETIME * 2
    )
    path = links.privacy_confirm_url(request.uuid).partition("/privacy/")[2]

    answer = client.post(f"/privacy/{path}")
    rights.go_on(now=now)

    assert answer.status_code == 404
    request.refresh_from_db()
    assert request.status == State.EXPIRED


@pytest.mark.parametrize("path", ["ask", "confirm", "copy"])
@pytest.mark.parametrize("token", ["x", "a:b:c", "%00", "Ü"])
def test_a_made_up_link_leads_nowhere(client, path, token):
    answer = client.post(f"/privacy/{path}/{token}", {"kind": "erase"})

    assert answer.status_code in (404, 405)


def test_an_unknown_wish_is_refused(client):
    answer = ask(client, ContactFactory(), "everything")

    assert answer.status_code == 404
    assert not PrivacyRequest.objects.exists()


def test_asking_twice_is_one_request_and_one_mail(client):
    contact = ContactFactory(email="ada@example.com")

    for _ in range(3):
        ask(client, contact, "export")
    deliver()

    assert PrivacyRequest.objects.count() == 1
    assert len(mail.outbox) == 1


def test_staff_proves_what_the_person_has_asked_for_themselves(client):
    contact = ContactFactory(email="ada@example.com")
    ask(client, contact, "restrict")

    rights.ask(contact=contact, kind="restrict", by="staff", now=timezone.now())

    request = PrivacyRequest.objects.get()
    assert (request.status, request.verified_by) == (State.DONE, "staff")
    assert Restriction.objects.filter(contact=contact).exists()


def test_what_is_asked_again_while_it_is_open_is_done_once():
    contact, now = ContactFactory(), timezone.now()

    for details in ("Ada!", "Ada, please!"):
        rights.ask(contact=contact, kind="correct", by="staff", now=now, details=details)

    request = PrivacyRequest.objects.get()
    assert (request.details, request.steps.count()) == ("Ada!", 1)


def test_a_link_that_came_late_proves_nothing_though_nobody_has_ended_it_yet(client):
    late = timezone.now() - rights.PROOF_LIFETIME - timedelta(minutes=1)
    contact = ContactFactory(email="ada@example.com")
    request = rights.ask(contact=contact, kind="erase", by=rights.PERSON, now=late)
    path = links.privacy_confirm_url(request.uuid).partition("/privacy/")[2]

    answer = client.post(f"/privacy/{path}")

    request.refresh_from_db()
    assert (answer.status_code, request.status) == (404, State.UNVERIFIED)


def test_a_proof_twice_is_as_good_as_once(client):
    contact = ContactFactory(email="ada@example.com")
    request = rights.ask(contact=contact, kind="export", by=rights.PERSON, now=timezone.now())
    path = links.privacy_confirm_url(request.uuid).partition("/privacy/")[2]

    answers = [client.post(f"/privacy/{path}").status_code for _ in range(2)]

    assert answers == [303, 303]
    assert request.steps.filter(what="identity proved").count() == 1


def test_a_copy_that_can_not_be_written_is_tried_again(settings, tmp_path):
    settings.CUEPOST_HOME = tmp_path / "home"
    settings.CUEPOST_HOME.touch()
    request = rights.ask(contact=ContactFactory(), kind="export", by="staff", now=timezone.now())

    first = rights.go_on(now=timezone.now())
    settings.CUEPOST_HOME = tmp_path
    second = rights.go_on(now=timezone.now())

    request.refresh_from_db()
    assert (first, second, request.status) == (0, 1, State.DONE)


def test_a_copy_that_somebody_else_is_writing_is_left_to_them():
    contact = ContactFactory()
    rights.ask(contact=contact, kind="export", by="staff", now=timezone.now())
    other = connection.copy()
    with other.cursor() as cursor:
        name = f"consent.export:{contact.pk}"
        cursor.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [name])
        done = rights.go_on(now=timezone.now())
    other.close()

    assert done == 0
    assert PrivacyRequest.objects.get().status == State.OPEN


@pytest.mark.parametrize(
    ("kind", "purpose"), [("object", "email_marketing"), ("opt_out", "sale_or_sharing")]
)
def test_a_no_needs_no_proof_and_holds_at_once(client, kind, purpose):
    contact = ContactFactory(email="ada@example.com")
    grant(contact, purpose, timezone.now() - timedelta(days=1))

    ask(client, contact, kind)

    now = timezone.now()
    assert not policy.decide(contacts=[contact.pk], purpose=purpose, at=now)[contact.pk].is_allowed


def test_whose_data_is_restricted_gets_no_mail_and_enters_nothing(client):
    contact = person.leave_traces(client)
    deliver()
    rights.ask(contact=contact, kind="restrict", by="staff", now=timezone.now())
    message = MessageFactory(contact=contact, due_at=timezone.now())
    key = person.events.create_source(name="Again", now=timezone.now())[1]
    sent = len(mail.outbox)
    who = {"userId": person.USER_ID, "writeKey": key, "context": {"consent": person.CONSENT}}
    cup = {"product_id": "cup", "price": 11, "cart_id": "next"}
    person.post(client, "track", {**who, "event": "Product Added", "properties": cup})

    deliver()

    message.refresh_from_db()
    assert (message.status, message.reason) == ("skipped", "restricted")
    assert not Enrollment.objects.live().exists()
    assert EntryRefusal.objects.filter(reason="restricted").exists()
    assert len(mail.outbox) == sent
    assert Restriction.objects.filter(contact=contact).exists()
    everybody = parse({"did_not": "Something Else"})
    assert not contacts_matching(everybody, as_of=timezone.now()).exists()


def test_staff_works_through_the_queue(client):
    client.force_login(StaffFactory(is_superuser=True))
    contact = ContactFactory(email="ada@example.com")
    queue = "/admin/consent/privacyrequest/"
    told = {"contact": contact.pk, "kind": "correct", "details": "My name is Ada."}

    client.post(f"{queue}add/", told)
    request = PrivacyRequest.objects.get()
    page = client.get(f"{queue}{request.pk}/change/").content.decode()
    for action, reason in (("extend", "Many systems."), ("done", "Corrected.")):
        client.post(
            reverse(f"admin:consent_privacyrequest_{action}", args=[request.pk]), {"reason": reason}
        )

    assert "My name is Ada." in page
    request.refresh_from_db()
    assert (request.status, request.is_extended, request.outcome) == ("done", True, "Corrected.")
    assert "privacy requests" in client.get(queue).content.decode().lower()


def test_staff_hands_over_the_copy_of_whom_no_mail_reaches():
    officer, browser = in_role(Role.PRIVACY_OFFICER)
    _, other = in_role(Role.MARKETER)
    contact = ContactFactory(email=None, first_name="Ada")
    request = rights.ask(contact=contact, kind="export", by="staff", now=timezone.now())
    rights.go_on(now=timezone.now())
    url = reverse("admin:consent_privacyrequest_take", args=[request.pk])

    page = browser.get(f"/admin/consent/privacyrequest/{request.pk}/change/").content.decode()
    copy = b"".join(browser.get(url).streaming_content)
    refused = other.get(url)

    assert "Download the copy" in page
    assert "Ada" in zipfile.ZipFile(BytesIO(copy)).read("summary.html").decode()
    assert refused.status_code == 403
    assert AccessRecord.objects.filter(user=officer, kind="export").exists()


def test_staff_refuses_for_a_reason(client):
    client.force_login(StaffFactory(is_superuser=True))
    request = rights.ask(contact=ContactFactory(), kind="correct", by="staff", now=timezone.now())
    url = reverse("admin:consent_privacyrequest_refuse", args=[request.pk])

    question = client.get(url).content.decode()
    nothing = client.post(url, {"reason": ""}).content.decode()
    before = PrivacyRequest.objects.get().status
    answers = [client.post(url, {"reason": "Art. 12 (5)"}, follow=True) for _ in range(2)]

    assert "on which ground" in question
    assert "This field is required" in nothing
    assert before == State.OPEN
    assert ["Noted." in answer.content.decode() for answer in answers] == [True, False]
    assert "It is closed already." in answers[1].content.decode()


def test_a_copy_that_is_gone_can_not_be_taken(client):
    client.force_login(StaffFactory(is_superuser=True))
    request = rights.ask(contact=ContactFactory(), kind="export", by="staff", now=timezone.now())

    answer = client.get(reverse("admin:consent_privacyrequest_take", args=[request.pk]))

    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("due", "shown"), [("open", "Olga"), ("check", "Chloe"), ("closed", "Dora"), ("overdue", "")]
)
def test_the_queue_is_filtered_by_what_is_due(client, due, shown):
    client.force_login(StaffFactory(is_superuser=True))
    now = timezone.now()
    for name, kind, by in (
        ("Olga", "correct", "staff"),
        ("Chloe", "restrict", rights.PERSON),
        ("Dora", "object", "staff"),
    ):
        rights.ask(contact=ContactFactory(first_name=name), kind=kind, by=by, now=now)

    page = client.get(f"/admin/consent/privacyrequest/?due={due}").content.decode()

    assert [name for name in ("Olga", "Chloe", "Dora") if name in page] == [shown] * bool(shown)


def test_the_way_from_a_contact_to_their_request(client):
    client.force_login(StaffFactory(is_superuser=True))
    contact = ContactFactory(first_name="Ada", last_name="Lovelace")
    url = f"/admin/consent/privacyrequest/add/?contact={contact.pk}"

    page = client.get(f"/admin/contacts/contact/{contact.pk}/change/").content.decode()
    form = client.get(url).content.decode()

    assert url in page
    assert f'<option value="{contact.pk}" selected>Ada Lovelace</option>' in form


def test_a_correction_needs_words(client):
    client.force_login(StaffFactory(is_superuser=True))

    answer = client.post(
        "/admin/consent/privacyrequest/add/", {"contact": ContactFactory().pk, "kind": "correct"}
    )

    assert "Say what is wrong" in answer.content.decode()


def test_what_is_overdue_stands_on_the_front_page(client):
    client.force_login(StaffFactory(is_superuser=True))
    late = timezone.now() - timedelta(days=60)
    rights.ask(contact=ContactFactory(), kind="correct", by="staff", now=late, details="x")

    assert "Overdue" in client.get("/admin/").content.decode()
    listed = client.get("/admin/consent/privacyrequest/?due=overdue").content.decode()
    assert "days late" in listed


def test_the_queue_counts_what_was_asked_in_a_year(client):
    client.force_login(StaffFactory(is_superuser=True))
    now = timezone.now()
    asked = now - timedelta(days=40)
    for answered, is_done in ((2, True), (35, False)):
        request = rights.ask(contact=ContactFactory(), kind="correct", by="staff", now=asked)
        rights.close(
            request=request,
            is_done=is_done,
            outcome="x",
            by="staff",
            now=asked + timedelta(days=answered),
        )
    rights.ask(contact=ContactFactory(), kind="correct", by="staff", now=now - timedelta(days=400))

    (numbers,) = selectors.measure_requests(now)

    assert (numbers.received, numbers.done, numbers.refused, numbers.late) == (2, 1, 1, 1)
    assert numbers.median_days == pytest.approx(18.5)
    assert "18.5 days" in client.get("/admin/consent/privacyrequest/").content.decode()


def test_it_is_extended_once():
    now = timezone.now()
    request = rights.ask(contact=ContactFactory(), kind="correct", by="staff", now=now)
    first = request.due_on
    rights.extend(request=request, reason="Complex.", by="staff", now=now)

    with pytest.raises(rights.NotPossible):
        rights.extend(request=request, reason="Complex.", by="staff", now=now)

    request.refresh_from_db()
    assert request.due_on > first + timedelta(days=50)


def test_a_no_to_sale_can_not_wait_longer_in_california():
    contact = ContactFactory(country="US", attributes={"state": "CA"})
    now = timezone.now()
    request = rights.ask(contact=contact, kind="correct", by="staff", now=now)
    PrivacyRequest.objects.update(kind="opt_out")

    with pytest.raises(rights.NotPossible, match="no longer time"):
        rights.extend(request=request, reason="Complex.", by="staff", now=now)


def test_who_asks_has_to_be_known_before_it_is_done():
    now = timezone.now()
    request = rights.ask(contact=ContactFactory(), kind="restrict", by=rights.PERSON, now=now)

    with pytest.raises(rights.NotPossible, match="check who asks"):
        rights.close(request=request, is_done=True, outcome="x", by="staff", now=now)

    rights.close(request=request, is_done=False, outcome="Not them.", by="staff", now=now)
    with pytest.raises(rights.NotPossible, match="closed already"):
        rights.close(request=request, is_done=False, outcome="x", by="staff", now=now)
    request.refresh_from_db()
    assert (request.status, request.outcome) == (State.REFUSED, "Not them.")


def test_californians_have_their_own_law():
    contact = ContactFactory(country="US", attributes={"state": "CA"})

    request = rights.ask(contact=contact, kind="export", by="staff", now=timezone.now())

    assert request.law == "ccpa"
    assert request.due_on == timezone.now().date() + timedelta(days=45)


def test_a_restriction_is_lifted_by_staff(client):
    client.force_login(StaffFactory(is_superuser=True))
    contact = ContactFactory(email="ada@example.com")
    request = rights.ask(contact=contact, kind="restrict", by="staff", now=timezone.now())

    client.post(reverse("admin:consent_privacyrequest_lift", args=[request.pk]))

    assert not Restriction.objects.exists()
    assert request.steps.last().what == "restriction lifted"
