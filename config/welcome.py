"""Whether the product answers, and what a person reads when it does."""

import json
import os
import socket
from urllib.parse import urlsplit

from config.options import Options

SECONDS_TO_ANSWER = 2.0


def is_answering(options: Options) -> bool:
    """Whether /readyz says that requests and the database work; being behind is no obstacle."""
    question = f"GET /readyz HTTP/1.0\r\nHost: {urlsplit(options.base_url).netloc}\r\n\r\n"
    try:
        with socket.create_connection(
            (_near(options.host), options.port), timeout=SECONDS_TO_ANSWER
        ) as connection:
            connection.sendall(question.encode())
            answer = connection.makefile("rb").read()
    except OSError:
        return False
    return b" 200 " in answer.split(b"\r\n", 1)[0] or b'"database": "ok"' in answer


def welcome(options: Options) -> str:
    """Shop, admin, log-in, keys, where mails go, and how to end it."""
    lines = [("Admin", f"{options.base_url}/admin/")]
    if options.is_demo:
        notes = json.loads((options.home / "demo.json").read_text())
        lines = [
            ("Shop", f"{options.base_url}/demo/"),
            *lines,
            ("Log-in", f"{notes['admin_username']} / {notes['admin_password']}"),
            ("Keys", f"{notes['public_key']}  public, for browsers"),
            ("", f"{notes['secret_key']}  secret, for servers"),
            ("Mails", _tell_mails(notes["outbox"])),
        ]
    else:
        lines += [
            ("Log-in", ".venv/bin/python manage.py createsuperuser makes the first one"),
            ("Mails", _tell_mails(_find_outbox(options))),
        ]
    block = "\n".join(f"  {label:<8}{text}" for label, text in lines)
    return f"\nCuepost is running.\n\n{block}\n\n  Ctrl-C stops it; what it knows stays.\n"


def _near(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 -- recognized, not bound


def _find_outbox(options: Options) -> str:
    if os.environ.get("EMAIL_URL"):
        return "EMAIL_URL"
    return os.environ.get("EMAIL_BACKEND") or str(options.home / "outbox")


def _tell_mails(outbox: str) -> str:
    return f"{outbox}, one .eml file each" if outbox.startswith("/") else f"go out by {outbox}"
