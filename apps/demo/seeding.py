"""Everything that the demo needs to show itself: keys, products, workflows and a week of people."""

import json
import os
import secrets
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Min
from django.urls import reverse

from apps.accounts.models import User
from apps.commerce import services as commerce
from apps.consent import services as consent
from apps.consent.models import Banner, ConsentRecord, Purpose, WordingVersion
from apps.contacts.models import Contact
from apps.core import services as core
from apps.core.hashing import keyed_hash
from apps.demo import catalog, journeys
from apps.demo.services import SOURCE_NAME, find_source
from apps.demo.visitor import MAIL_WORDING, MAIL_WORDING_VERSION
from apps.events import services as events
from apps.events.models import Source
from apps.messaging.models import Message
from apps.workflows import services as workflows
from apps.workflows.models import Enrollment, Workflow

ADMIN = "admin"
LIVE_RECIPES = ["cart-recovery-demo", "browse-abandonment", "post-purchase"]
# The same conversation in real time; ready to take the place of the hasty one.
DRAFT_RECIPES = ["cart-recovery"]
HISTORY = timedelta(days=7)
MAX_TURNS = 200
# History is told with its mails only where these stay on this machine.
LOCAL_BACKENDS = {
    "apps.messaging.backends.OutboxBackend",
    "django.core.mail.backends.locmem.EmailBackend",
}


def seed(*, now: datetime) -> dict[str, str]:
    """Make whatever of the demo is missing; return what a person needs to use it."""
    notes = _read_notes()
    notes["base_url"] = settings.BASE_URL
    notes["outbox"] = str(settings.OUTBOX_DIR) if _keeps_mail() else settings.EMAIL_BACKEND
    notes["admin_username"] = ADMIN
    notes["admin_password"] = _seed_admin(notes.get("admin_password"))
    source, notes["secret_key"] = _seed_source(notes.get("secret_key"), now=now)
    notes["public_key"] = source.public_key
    # Before the long part: the secret key is shown only once.
    _write_notes(notes)
    _seed_banner()
    _seed_wording(now=now - HISTORY)
    _seed_products(now=now)
    _seed_workflows(now=now - HISTORY)
    _seed_history(source, now=now)
    return notes


def notes_file() -> Path:
    return settings.CUEPOST_HOME / "demo.json"


def _read_notes() -> dict[str, str]:
    try:
        notes = json.loads(notes_file().read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return notes if isinstance(notes, dict) else {}


def _write_notes(notes: dict[str, str]) -> None:
    """Replace the file in one move, readable by its owner only."""
    path = notes_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(notes, file, indent=2)
    draft.replace(path)


def _keeps_mail() -> bool:
    return settings.EMAIL_BACKEND in LOCAL_BACKENDS


def _seed_admin(password: str | None) -> str:
    """Make the admin once; a password that is written down stays as it is."""
    admin = User.objects.filter(username=ADMIN).first()
    if admin and password:
        return password
    password = password or secrets.token_urlsafe(12)
    admin = admin or User(username=ADMIN, is_staff=True, is_superuser=True)
    admin.set_password(password)
    admin.save()
    return password


def _seed_source(secret_key: str | None, *, now: datetime) -> tuple[Source, str]:
    """Make the shop's keys once; a secret that was lost is replaced."""
    source = find_source()
    if source is None:
        return events.create_source(name=SOURCE_NAME, now=now)
    if secret_key and source.secret_key_hash == keyed_hash(secret_key):
        return source, secret_key
    return source, events.rotate_secret_key(source=source)


def _seed_wording(*, now: datetime) -> None:
    """Keep what the box at the checkout says, so that each consent points at it."""
    about = {"purpose": Purpose.EMAIL_MARKETING, "version": MAIL_WORDING_VERSION, "language": "en"}
    if not WordingVersion.objects.filter(**about).exists():
        consent.keep_wording(**about, text=MAIL_WORDING, now=now)


def _seed_banner() -> None:
    """Put the banner into the shop's words; once staff has changed it, it is theirs."""
    Banner.objects.filter(policy_url="").update(
        text=(
            "We would like to store an ID in this browser and note which products you view and put "
            "in your cart, and which of our mails you open, to improve the shop and to remind you "
            "of your cart. The shop works just as well without."
        ),
        policy_url=reverse("demo:privacy"),
    )


def _seed_products(*, now: datetime) -> None:
    rows: list[dict[str, Any]] = [
        {
            "product_id": product.key,
            "sku": product.sku,
            "name": product.name,
            "description": product.description,
            "category": product.category,
            "brand": product.brand,
            "price": str(product.price),
            "currency": catalog.CURRENCY,
            "url": settings.BASE_URL + product.path,
            "image_url": settings.BASE_URL + product.photo_url,
        }
        for product in catalog.all_products()
    ]
    commerce.import_products(rows=rows, now=now)


def _seed_workflows(*, now: datetime) -> None:
    """Install what is missing; what staff has switched off or changed stays so."""
    installed = set(Workflow.objects.values_list("key", flat=True))
    for key in [*LIVE_RECIPES, *DRAFT_RECIPES]:
        if key not in installed:
            workflow = workflows.install_recipe(key=key, now=now)
            if key in LIVE_RECIPES:
                workflows.go_live(workflow=workflow, now=now)


def _seed_history(source: Source, *, now: datetime) -> None:
    """Live through the shipped week as the pipeline, the workflows and the outbox would have."""
    moments = journeys.read_moments(base_url=settings.BASE_URL, now=now)
    if Contact.objects.filter(email=moments[-1].email).exists():
        return
    for moment in moments:
        _live_until(moment.at)
        if moment.is_unsubscribe:
            _unsubscribe(moment)
        events.accept(
            source=source,
            is_secret=True,
            messages=moment.messages,
            received_at=moment.at,
            is_backfill=not _keeps_mail(),
        )
        core.tick(now=moment.at)
    _live_until(now)


def _live_until(end: datetime) -> None:
    """Take a turn at each instant at which something falls due."""
    for _ in range(MAX_TURNS):
        due = _next_due()
        if due is None or due > end:
            return
        core.tick(now=due)


def _next_due() -> datetime | None:
    waking = Enrollment.objects.live().aggregate(at=Min("wake_at"))["at"]
    queued = Message.objects.filter(status=Message.Status.QUEUED).aggregate(at=Min("due_at"))["at"]
    return min((at for at in (waking, queued) if at), default=None)


def _unsubscribe(moment: journeys.Moment) -> None:
    consent.unsubscribe(
        contact=Contact.objects.get(email=moment.email),
        method=ConsentRecord.Method.UNSUBSCRIBE_PAGE,
        source="mail",
        now=moment.at,
    )
