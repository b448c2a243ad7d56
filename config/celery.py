"""The Celery application: workers and beat only wake the product up, they hold no truth."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.dev")

app = Celery("cuepost")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
