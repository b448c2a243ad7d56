"""For pytest: real PostgreSQL, mail kept in memory, weak but fast password hashes."""

import os

os.environ.setdefault("DEMO", "1")

from .base import *  # noqa: F403

SECRET_KEY = "only-for-tests"  # noqa: S105 -- signs nothing that leaves a test
HASH_KEY = "only-for-tests"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
CELERY_BROKER_URL = "memory://"
# The live server's threads keep no connection that would outlive the database.
DATABASES["default"]["CONN_MAX_AGE"] = 0  # noqa: F405
