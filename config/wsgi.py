"""The WSGI entry point that granian serves."""

import os

from django.core.wsgi import get_wsgi_application

from config.lifeline import hold_to_leader

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.dev")
hold_to_leader()
application = get_wsgi_application()
