"""What commerce lets go of with time."""

from datetime import datetime

from django.db.models import QuerySet

from apps.commerce.models import Cart
from apps.consent.registry import Store, register_store


def _carts(before: datetime) -> QuerySet[Cart]:
    """Of browsers that nobody has identified in."""
    return Cart.objects.filter(contact=None, changed_at__lt=before)


def _drop(before: datetime, now: datetime, limit: int) -> int:
    ids = list(_carts(before).values_list("pk", flat=True)[:limit])
    Cart.objects.filter(pk__in=ids).delete()
    return len(ids)


def register() -> None:
    register_store(
        Store(
            "anonymous_carts",
            "Carts of unknown browsers",
            "What visitors put into a cart whom nobody knows. Who identifies brings it along.",
            90,
            lambda before: _carts(before).count(),
            _drop,
            least_days=30,
        )
    )
