"""The whole product on one machine."""

import os
import sys
from typing import Any

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Start PostgreSQL, web, worker and beat under one supervisor, until Ctrl-C."
    # The supervisor looks at what it starts; there may be no database yet.
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        # The supervisor takes this process over: it needs no Django, and a tenth of the memory.
        os.execv(sys.executable, [sys.executable, "-m", "config.supervisor"])  # noqa: S606
