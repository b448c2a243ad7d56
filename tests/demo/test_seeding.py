"""seed_demo on an empty installation, twice, and with parts missing."""

import json
import stat
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.core import mail
from django.core.management import call_command

from apps.commerce.models import Order, Product
from apps.consent.models import ConsentRecord
from apps.contacts.models import Contact
from apps.core.hashing import keyed_hash
from apps.demo import seeding
from apps.demo.services import find_source
from apps.demo.visitor import MAIL_WORDING, MAIL_WORDING_VERSION
from apps.events.models import Event, InboxEvent
from apps.messaging.models import Message
from apps.workflows.models import Enrollment, Workflow
from tests.instants import NOON

KEYS = {"base_url", "admin_username", "admin_password", "public_key", "secret_key", "outbox"}


@pytest.fixture(autouse=True)
def home(db: None, settings: Any, tmp_path: Any) -> Any:
    settings.CUEPOST_HOME = tmp_path
    return tmp_path


def counts() -> dict[str, int]:
    models = [Contact, Event, Enrollment, InboxEvent, Message, Order, Product, Workflow]
    return {model.__name__: model.objects.count() for model in models}


def outcomes() -> set[tuple[str, str, str, str]]:
    """Who was written to, or why not."""
    messages = Message.objects.select_related("contact", "template_version__template")
    return {
        (
            message.contact.first_name,
            message.template_version.template.key,
            message.status,
            message.reason,
        )
        for message in messages
    }


def test_seed_writes_down_all_that_is_needed_for_its_owner_only(home):
    call_command("seed_demo", verbosity=0)

    file = home / "demo.json"
    notes = json.loads(file.read_text())
    assert set(notes) == KEYS
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert authenticate(username=notes["admin_username"], password=notes["admin_password"])
    assert find_source().public_key == notes["public_key"]
    assert find_source().secret_key_hash == keyed_hash(notes["secret_key"])


def test_seeding_twice_changes_nothing():
    first = seeding.seed(now=NOON)
    before = counts()
    second = seeding.seed(now=NOON + timedelta(hours=1))

    assert second == first
    assert counts() == before
    assert (before["Contact"], before["Product"], before["Workflow"]) == (12, 12, 4)
    assert before["InboxEvent"] == 0


def test_lost_notes_bring_a_new_secret_and_password(home):
    first = seeding.seed(now=NOON)
    seeding.notes_file().unlink()
    second = seeding.seed(now=NOON)

    assert second["public_key"] == first["public_key"]
    assert second["secret_key"] != first["secret_key"]
    assert find_source().secret_key_hash == keyed_hash(second["secret_key"])
    assert authenticate(username="admin", password=second["admin_password"])


def test_history_shows_mails_sent_and_mails_held_back():
    seeding.seed(now=NOON)

    found = outcomes()
    assert ("Jonas", "cart-reminder-1", "sent", "") in found
    assert ("Jonas", "cart-reminder-2", "sent", "") in found
    assert ("Ines", "order-thanks", "sent", "") in found
    assert ("Mateusz", "cart-reminder-1", "skipped", "no_consent") in found
    assert not [outcome for outcome in found if outcome[0] == "Theo" and "cart" in outcome[1]]
    assert len(mail.outbox) == Message.objects.filter(status="sent").count()


def test_history_shows_opens_and_proof_of_the_words_that_were_shown():
    seeding.seed(now=NOON)

    said = ConsentRecord.objects.filter(purpose="email_marketing", method="form")
    assert said.exists()
    assert set(said.values_list("wording_version", "wording_hash")) == {
        (MAIL_WORDING_VERSION, sha256(MAIL_WORDING.encode()).hexdigest())
    }
    sent = Message.objects.filter(status="sent")
    assert all("/e/o/" in message.content.html for message in sent)


def test_history_leaves_somebody_waiting_in_every_live_workflow():
    seeding.seed(now=NOON)

    waiting = Enrollment.objects.live().values_list("workflow__key", flat=True)
    assert set(waiting) == set(seeding.LIVE_RECIPES)


def test_history_sends_nothing_through_a_real_provider(settings):
    settings.EMAIL_BACKEND = "apps.messaging.backends.SmtpBackend"
    seeding.seed(now=NOON)

    assert Event.objects.exists()
    assert not Message.objects.exists()
