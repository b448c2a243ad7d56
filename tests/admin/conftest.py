"""Staff at their browsers."""

from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import User
from tests.factories.accounts import StaffFactory, make_viewer


@pytest.fixture
def boss(db: None) -> User:
    """Somebody who may do everything."""
    return StaffFactory(username="boss", is_superuser=True)


@pytest.fixture
def staff(boss: User) -> Client:
    return at_browser(boss)


@pytest.fixture
def viewer(db: None) -> Client:
    """Somebody who may see everything and change nothing."""
    return at_browser(make_viewer())


def at_browser(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client
