"""Settings that every environment shares; each block is one concern."""

import os
from pathlib import Path

import environ
from csp.constants import NONE, SELF
from django.templatetags.static import static

from config import home, options
from config.celery import app as celery_app
from config.celery import pgmq_address

BASE_DIR = Path(__file__).resolve().parent.parent.parent
env = environ.Env()

# What is on
DEBUG = False
DEMO = env.bool("DEMO", default=False)
CUEPOST_HOME = Path(env.str("CUEPOST_HOME", default=str(BASE_DIR / "var"))).resolve()
BASE_URL = options.read_base_url(
    env.str("BASE_URL", default="") or home.read_base_url(CUEPOST_HOME) or "http://127.0.0.1:8000"
)

# Applications, from the top floor down to the tools they stand on
INSTALLED_APPS = [
    *(["apps.demo"] if DEMO else []),
    "apps.workflows",
    "apps.messaging",
    "apps.segments",
    "apps.commerce",
    "apps.events",
    "apps.consent",
    "apps.contacts",
    "apps.accounts",
    "apps.core",
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "csp",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "pgtrigger",
    "django_celery_beat",
    "anymail",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "config.proxies.ClientAddress",
    "config.shortcut.ShortWay",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "apps.core.middleware.WatchPersonalData",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "config.policy.ContentPolicy",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

# Database: the environment's, or the embedded server that `make run` started
DATABASE_URL = options.read_database_url(env.str("DATABASE_URL", default=""))
DATABASE_URL = DATABASE_URL or home.read_database_url(CUEPOST_HOME)
DATABASES = {
    "default": {
        **env.db_url_config(DATABASE_URL or "postgres://postgres@127.0.0.1:5432/cuepost"),
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
    }
}

# How many proxies of ours stand between visitors and this server; the outermost tells who asks.
PROXY_COUNT = options.read_count("PROXY_COUNT", env.str("PROXY_COUNT", default="0"), least=0)

# Log-in and sessions
AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"

# Security headers
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "strict-origin-when-cross-origin"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

# Admin
UNFOLD = {
    "SITE_TITLE": "Cuepost",
    "SITE_HEADER": "Cuepost",
    "SITE_SYMBOL": "forward_to_inbox",
    "SITE_URL": "/demo/" if DEMO else "",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda _: static("admin/cuepost.svg")}
    ],
    "SHOW_HISTORY": True,
    "BORDER_RADIUS": "8px",
    # Each step is dark or light enough to be read on its background (WCAG 2.2, 4.5 to 1).
    "COLORS": {
        "primary": {
            "50": "#f0fdfa",
            "100": "#ccfbf1",
            "200": "#99f6e4",
            "300": "#5eead4",
            "400": "#2dd4bf",
            "500": "#14b8a6",
            "600": "#0f766e",
            "700": "#115e59",
            "800": "#134e4a",
            "900": "#113f3c",
            "950": "#042f2e",
        },
    },
    "DASHBOARD_CALLBACK": "apps.core.admin.prepare_index",
    "STYLES": [lambda _: static("admin/cuepost.css")],
    "SCRIPTS": [lambda _: static("admin/cuepost.js")],
    "SIDEBAR": {"show_search": False, "navigation": "config.sidebar.navigation"},
}

# Keys: SECRET_KEY signs sessions and links; HASH_KEY turns personal data into pseudonyms
SECRET_KEY = env.str("SECRET_KEY", default="")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
HASH_KEY = env.str("HASH_KEY", default="")

# Language and time
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
FORMAT_MODULE_PATH = "config.formats"

# What the preference page offers: by the code that templates see in contact.locale
MAIL_LANGUAGES = {
    "en": "English",
    "de": "Deutsch",
    "fr": "Français",
    "es": "Español",
    "it": "Italiano",
    "nl": "Nederlands",
}

# Files
STATIC_URL = "static/"
# Served from where they lie; production collects them first.
WHITENOISE_USE_FINDERS = True
STATICFILES_DIRS = [BASE_DIR / "static"]

# Mail: Anymail's own settings, or EMAIL_URL (smtp://user:password@host:587?tls=True), or files
OUTBOX_DIR = CUEPOST_HOME / "outbox"
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Cuepost <hello@shop.example>")
POSTAL_ADDRESS = env.str("POSTAL_ADDRESS", default="")
EMAIL_TIMEOUT = 20
# Besides those that a template names: links to these hosts lead past us, so that clicks count.
SHOP_HOSTS = options.read_hosts("SHOP_HOSTS", env.str("SHOP_HOSTS", default=""))
# How many messages pass the gate together; a worker that dies leaves at most so many in doubt.
GATE_BATCH = options.read_count("GATE_BATCH", env.str("GATE_BATCH", default="20"))
EMAIL_BACKEND = env.str("EMAIL_BACKEND", default="apps.messaging.backends.OutboxBackend")
if url := options.read_email_url(env.str("EMAIL_URL", default="")):
    vars().update(env.email_url_config(url))
    if EMAIL_BACKEND.endswith("smtp.EmailBackend"):
        EMAIL_BACKEND = "apps.messaging.backends.SmtpBackend"
ANYMAIL = {
    name.removeprefix("ANYMAIL_"): value
    for name, value in os.environ.items()
    if name.startswith("ANYMAIL_")
}

# Celery: Redis where there is one, else queues on the same PostgreSQL
celery_app.set_default()  # Whoever loads Django has it, in every thread.
REDIS_URL = options.read_redis_url(env.str("REDIS_URL", default=""))
if REDIS_URL:
    CELERY_BROKER_URL = REDIS_URL
    CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, object] = {
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
    }
else:
    CELERY_BROKER_URL = "pgmq://postgresql"
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "conn_string": pgmq_address(DATABASE_URL),
        # apps.core.broker installs the queue with the migrations; twice at once it would fail.
        "init_extension": False,
        "pool_size": 2,
    }
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "cuepost"
# A task counts as taken until the worker's loop comes round; with few it idles though it is free.
CELERY_WORKER_PREFETCH_MULTIPLIER = 8
# Its database connection stays open from task to task; core.tick looks whether it still works.
CELERY_DB_REUSE_MAX = 10_000
# Only of tasks that are acknowledged late, and there are none; said here, or Celery warns.
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_TIME_LIMIT = 300
CELERY_BEAT_SCHEDULER = "config.beat:Scheduler"
CELERY_TIMEZONE = "UTC"

# Privacy: of an event without the consent that it needs either nothing stays, or what can be
# counted and leads to nobody
TRACKING_WITHOUT_CONSENT = options.read_choice(
    "TRACKING_WITHOUT_CONSENT",
    env.str("TRACKING_WITHOUT_CONSENT", default="drop"),
    {"drop", "anonymous"},
)

# Identity: what is nobody's name (a * stands for any end), and how many names one person may have
BLOCKED_IDS = options.read_patterns(
    "BLOCKED_IDS",
    env.str("BLOCKED_IDS", default="test@*, null@*, undefined@*, anonymous@*, no-reply@*"),
)
MAX_BROWSERS_PER_CONTACT = options.read_count(
    "MAX_BROWSERS_PER_CONTACT", env.str("MAX_BROWSERS_PER_CONTACT", default="50")
)
MAX_NAMES_PER_CONTACT = options.read_count(
    "MAX_NAMES_PER_CONTACT", env.str("MAX_NAMES_PER_CONTACT", default="10")
)
# How far back the history of a browser follows the person who identifies in it.
ADOPTED_HISTORY_DAYS = options.read_count(
    "ADOPTED_HISTORY_DAYS", env.str("ADOPTED_HISTORY_DAYS", default="30")
)

# Tracking API
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Cuepost",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": [],
    # Nothing is loaded from elsewhere.
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "PREPROCESSING_HOOKS": ["apps.events.schema.leave_out_own_descriptions"],
    "POSTPROCESSING_HOOKS": ["apps.events.schema.describe"],
}

# Logs: one line each, no personal data
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "config.logs.LineFormatter"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {
        "handlers": ["console"],
        "level": options.read_log_level(env.str("LOG_LEVEL", default="INFO")),
    },
    "loggers": {
        # A line for each task would be two a second.
        "celery": {"level": "WARNING"},
        # Django's own handlers print tracebacks and mail them.
        "django": {"handlers": [], "level": "INFO"},
        "django.request": {"level": "ERROR"},
    },
}
