"""Celery's queue on our own PostgreSQL, for installations without Redis."""

from typing import Any

from celery import current_app
from django.conf import settings
from django.db import connection, transaction
from pgmq.install import get_embedded_install_sql

_IS_THERE = "SELECT to_regclass('pgmq.meta') IS NOT NULL"
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('core.broker'))"


def install(**_: Any) -> None:
    """Install pgmq's tables and functions and our queue, where they are missing and wanted.

    Runs after the migrations, before any worker starts: the package's SQL works once only.
    """
    if not settings.CELERY_BROKER_URL.startswith("pgmq:"):
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_LOCK)
        cursor.execute(_IS_THERE)
        if not cursor.fetchone()[0]:
            cursor.execute(get_embedded_install_sql())
        # Nothing in it needs to outlive a crash: the due rows do, and beat finds them.
        cursor.execute("SELECT pgmq.create_unlogged(%s)", [current_app.conf.task_default_queue])
