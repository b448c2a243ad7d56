"""For the internet: every secret comes from the environment, nothing is defaulted."""

from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from config.logs import without_texts

from .base import *  # noqa: F403
from .base import BASE_DIR, BASE_URL, HASH_KEY, POSTAL_ADDRESS, SECRET_KEY, env

MIN_SECRET = 32

# What has to be there; each is named, so that one sentence tells what to do.
for _name, _value, _why in (
    ("SECRET_KEY", SECRET_KEY, "it signs sessions and links"),
    ("HASH_KEY", HASH_KEY, "it turns addresses into pseudonyms; never change it"),
):
    if len(_value) < MIN_SECRET:
        raise ImproperlyConfigured(
            f"{_name} must be set to at least {MIN_SECRET} random characters: {_why}."
        )
if not env.str("DATABASE_URL", default=""):
    raise ImproperlyConfigured("DATABASE_URL must be set, for example postgres://user:…@host/name.")
if not BASE_URL.startswith("https://"):
    raise ImproperlyConfigured("BASE_URL must be set to the https:// address of this installation.")
if not env.str("EMAIL_URL", default="") and not env.str("EMAIL_BACKEND", default=""):
    raise ImproperlyConfigured(
        "EMAIL_URL must be set to a mail server, or EMAIL_BACKEND to one of Anymail's providers."
    )
if not env.str("DEFAULT_FROM_EMAIL", default=""):
    raise ImproperlyConfigured(
        "DEFAULT_FROM_EMAIL must be set to who writes, for example Shop <hello@shop.example>."
    )
if not POSTAL_ADDRESS:
    raise ImproperlyConfigured(
        "POSTAL_ADDRESS must be set: the law wants a postal address in each marketing mail."
    )

# Only over HTTPS, also behind a proxy that ends TLS
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[urlsplit(BASE_URL).hostname])
CSRF_TRUSTED_ORIGINS = [BASE_URL]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=True)
# Load balancers ask for their health check without TLS.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
WHITENOISE_USE_FINDERS = False
STATIC_ROOT = BASE_DIR / "static_root"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# Errors
if _dsn := env.str("SENTRY_DSN", default=""):
    import sentry_sdk

    # Local variables and the texts of exceptions hold what people have told us.
    sentry_sdk.init(
        dsn=_dsn,
        send_default_pii=False,
        max_request_body_size="never",
        include_local_variables=False,
        max_breadcrumbs=0,
        before_send=without_texts,
    )
