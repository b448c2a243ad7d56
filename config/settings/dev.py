"""On one machine: what `make run` uses. Secrets are made at first start, in CUEPOST_HOME."""

from urllib.parse import urlsplit

from config import home

from .base import *  # noqa: F403
from .base import BASE_URL, CUEPOST_HOME, DEMO, HASH_KEY, POSTAL_ADDRESS, SECRET_KEY, env

SECRET_KEY = SECRET_KEY or home.read_secret(CUEPOST_HOME, "SECRET_KEY")
HASH_KEY = HASH_KEY or home.read_secret(CUEPOST_HOME, "HASH_KEY")
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]", urlsplit(BASE_URL).hostname or "localhost"]
if DEMO and not POSTAL_ADDRESS:
    # The demo shop's own; a real one names itself.
    DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Kiln & Clover <hello@shop.example>")
    POSTAL_ADDRESS = "Kiln & Clover, 12 Harbour Lane, Sampletown"
