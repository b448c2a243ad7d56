"""What real processes print, at their most talkative, while people come and go."""

import json
import socket
import subprocess
import sys
import time
from base64 import b64encode
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from django.conf import settings

from config.postgres import free_port
from tests.faults.installation import Installation

EMAIL, NAME, PHONE, BROWSER = (
    "zephyrine@quackenbush.example",
    "Zephyrine",
    "+4915112345678",
    "b-77441",
)
TRACES = ["quackenbush", NAME, PHONE[1:], BROWSER]
NEW_SOURCE = """
from django.utils import timezone
from apps.events.services import create_source
print(create_source(name="Logs", now=timezone.now())[1])
"""


def call(port: int, path: str, body: object = None, key: str = "") -> None:
    """Ask, and don't mind the answer."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Basic {b64encode(f'{key}:'.encode()).decode()}"} if key else {}
    try:
        urlopen(Request(f"http://127.0.0.1:{port}{path}", data, headers), timeout=10).close()
    except HTTPError as problem:
        problem.close()


def test_no_process_prints_who_somebody_is(installation: Installation, tmp_path):
    *_, key = installation.manage("shell", "-c", NEW_SOURCE).split()
    environment = {**installation.environment, "LOG_LEVEL": "DEBUG"}
    consent = {"consent": {"categoryPreferences": {"tracking": True, "email_marketing": True}}}
    person = {"userId": EMAIL, "anonymousId": BROWSER, "context": consent}
    traits = {"email": EMAIL, "firstName": NAME, "phone": PHONE}
    port = free_port()
    web = ["-m", "granian", "--interface", "wsgi", "--port", str(port), "config.wsgi:application"]
    with (tmp_path / "log").open("wb") as log:
        shared = {"cwd": settings.BASE_DIR, "env": environment, "stdout": log, "stderr": log}
        server = subprocess.Popen([sys.executable, *web], start_new_session=True, **shared)
        try:
            wait_for(port)
            call(port, "/v1/identify", {**person, "traits": traits}, key)
            call(port, "/v1/track", {**person, "event": "Product Added"}, key)
            call(port, "/v1/track", {**person, "event": {"email": EMAIL}}, key)
            call(port, "/v1/track", person, f"sk_{NAME}")
            for path in ("/nobody/", "/preferences/", "/e/c/", "/admin/contacts/contact/?q="):
                call(port, f"{path}{EMAIL}")
            call(port, f"/track?event=x&user_id={EMAIL}&anonymous_id={BROWSER}")
            tick = [sys.executable, "manage.py", "tick"]
            subprocess.run(tick, check=True, timeout=60, **shared)
        finally:
            server.terminate()
            server.wait(20)

    text = (tmp_path / "log").read_text()
    assert "Not Found" in text or "Bad Request" in text or "Started" in text
    assert [trace for trace in [*TRACES, key] if trace in text] == []
    stored = installation.query("SELECT count(*) FROM contacts_contact WHERE email = %s", EMAIL)
    assert stored == [(1,)]


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return
