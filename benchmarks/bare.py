"""The bare counterpart of the tracking API: a Django view that does one INSERT and answers.

Served by granian as `benchmarks.bare:application`, from the database in DATABASE_URL.
"""

import os
from datetime import UTC, datetime

import environ
from django.conf import settings

settings.configure(
    SECRET_KEY="bare",  # noqa: S106 -- signs nothing
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF="benchmarks.bare",
    MIDDLEWARE=[],
    USE_TZ=True,
    DATABASES={
        "default": {**environ.Env.db_url_config(os.environ["DATABASE_URL"]), "CONN_MAX_AGE": 600}
    },
)

from django.core.wsgi import get_wsgi_application  # noqa: E402 -- needs the settings
from django.db import connection  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402

INSERT = """
INSERT INTO bench_inbox
    (source_id, is_secret, is_backfill, received_at, message_id, person_keys, shard, payload)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""


def insert_event(request: HttpRequest) -> HttpResponse:
    body = request.body.decode()
    with connection.cursor() as cursor:
        cursor.execute(INSERT, [1, True, False, datetime.now(UTC), "id", ["u:somebody"], 3, body])
    return HttpResponse(b'{"success":true}', content_type="application/json")


urlpatterns = [path("v1/track", insert_event)]
application = get_wsgi_application()
