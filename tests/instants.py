"""Instants that tests share."""

from datetime import UTC, datetime

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
