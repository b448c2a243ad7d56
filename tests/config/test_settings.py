"""Production settings: complete they pass Django's own check, and what is missing is named."""

import os
import subprocess
import sys

import pytest
from django.conf import settings

COMPLETE = {
    "DJANGO_SETTINGS_MODULE": "config.settings.production",
    "DATABASE_URL": "postgres://cuepost:secret@db.example/cuepost",
    "REDIS_URL": "redis://redis.example/0",
    "SECRET_KEY": "s" * 60 + "uvwxyz",
    "HASH_KEY": "h" * 60,
    "BASE_URL": "https://mail.shop.example",
    "POSTAL_ADDRESS": "Kiln & Clover, Lane 1, Dublin",
    "EMAIL_URL": "smtp://user:password@smtp.example:587?tls=True",
    "DEFAULT_FROM_EMAIL": "Kiln & Clover <hello@shop.example>",
}


CHECK = ["manage.py", "check", "--deploy", "--fail-level", "WARNING"]
LOAD = ["-c", "import config.settings.production"]


def run(arguments, **changes):
    """Run Python as a process of its own, with only these variables."""
    environment = {**COMPLETE, "PATH": os.environ["PATH"], **changes}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=settings.BASE_DIR,
        env={name: value for name, value in environment.items() if value},
        capture_output=True,
        text=True,
        check=False,
    )


def test_complete_production_settings_are_clean():
    result = run(CHECK)

    assert (result.returncode, result.stderr) == (0, "")
    assert "no issues" in result.stdout


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", ""),
        ("SECRET_KEY", "short"),
        ("HASH_KEY", ""),
        ("DATABASE_URL", ""),
        ("BASE_URL", "http://mail.shop.example"),
        ("BASE_URL", "mail.shop.example"),
        ("EMAIL_URL", ""),
        ("DEFAULT_FROM_EMAIL", ""),
        ("POSTAL_ADDRESS", ""),
    ],
)
def test_what_is_missing_is_named(name, value):
    result = run(LOAD, **{name: value})

    assert result.returncode == 1
    assert name in result.stderr.strip().splitlines()[-1]
