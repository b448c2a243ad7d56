"""Where things are in the admin; needs nothing of it, so that workers may ask too."""

from typing import Any
from urllib.parse import urlencode

from django.contrib.admin.utils import quote
from django.db.models import Model
from django.urls import reverse


def model_url(model: type[Model], page: str = "changelist", *args: Any, **query: Any) -> str:
    """The address of a model's page, for example of its list with a filter set."""
    meta = model._meta
    url = reverse(f"admin:{meta.app_label}_{meta.model_name}_{page}", args=args)
    return f"{url}?{urlencode(query)}" if query else url


def object_url(row: Model) -> str:
    """The address of one row's page."""
    return model_url(type(row), "change", quote(row.pk))
