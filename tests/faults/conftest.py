"""An installation of its own, whose parts can be killed without harming other tests."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.installation import Installation


@pytest.fixture(scope="package")
def installation(tmp_path_factory: Any) -> Iterator[Installation]:
    """A database server that keeps what it acknowledges, migrated, with the demo's settings."""
    home = tmp_path_factory.mktemp("installation")
    # PostgreSQL runs as somebody else where root tests; pytest's folders are for their owner only.
    for folder in (home, *home.parents[:3]):
        if not folder.stat().st_mode & 0o011:
            folder.chmod(0o711)
    made = Installation(home)
    made.start_database()
    made.manage("migrate", "--verbosity=0")
    yield made
    made.stop()
