"""What all benchmarks stand on: a source with its key, people who allow e-mail, and a mail."""

from dataclasses import dataclass
from datetime import UTC, datetime

from django.core.management import call_command
from django.db import connection

from apps.events import pipeline
from apps.events import services as events
from apps.events.models import Source
from apps.workflows import services as workflows

PEOPLE = 2000
# A mail of the product: 6 KB of HTML, with a picture, a price and three links.
MAIL = "browse-reminder"
RECIPE = "cart-recovery"

PRODUCT = {
    "product_id": "house-blend",
    "name": "House blend, 250 g",
    "price": 12.5,
    "quantity": 1,
    "currency": "EUR",
    "category": "Coffee",
    "url": "https://shop.example/products/house-blend",
    "image_url": "https://shop.example/images/house-blend.png",
}


# So that each mail bears its pixel and its counted links, as the bare counterpart does.
AGREED = {"email_marketing": True, "open_tracking": True}


@dataclass(frozen=True)
class Ground:
    source: Source
    secret_key: str


def lay() -> Ground:
    """Make the tables and the people; cart recovery is live, as in a shop that uses it."""
    call_command("migrate", verbosity=0)
    now = datetime.now(UTC)
    source, secret_key = events.create_source(name="Benchmark", is_consent_settled=True, now=now)
    for start in range(0, PEOPLE, 500):
        who = [_identify(number) for number in range(start, start + 500)]
        events.accept(source=source, is_secret=True, messages=who, received_at=now)
    drain(now)
    workflows.install_recipe(key="browse-abandonment", now=now)
    workflows.go_live(workflow=workflows.install_recipe(key=RECIPE, now=now), now=now)
    return Ground(source, secret_key)


def drain(now: datetime) -> int:
    """Process all that the inbox holds."""
    done = 0
    while count := pipeline.drain(now=now):
        done += count
    return done


def settle() -> None:
    """Between two measurements: nothing is left to clean up or to learn about the tables."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE events_inboxevent")
        cursor.execute("VACUUM ANALYZE")


def address(number: int) -> str:
    return f"customer-{number}@example.com"


def _identify(number: int) -> dict[str, object]:
    return {
        "type": "identify",
        "userId": f"customer-{number}",
        "messageId": f"who-{number}",
        "traits": {"email": address(number), "firstName": "Ada", "lastName": "Example"},
        "context": {"consent": {"categoryPreferences": AGREED}},
    }
