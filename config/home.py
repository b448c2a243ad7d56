"""What one machine keeps in CUEPOST_HOME: its own secrets, and where its database is."""

import json
import os
import secrets
from pathlib import Path

SECRETS_FILE = "secrets.json"
DATABASE_FILE = "database-url"
SECRET_BYTES = 48


def read_secret(home: Path, name: str) -> str:
    """Return the secret of that name; made at first use, readable by the owner only."""
    path = home / SECRETS_FILE
    known = json.loads(path.read_text()) if path.exists() else {}
    if name not in known:
        known[name] = secrets.token_urlsafe(SECRET_BYTES)
        write_private(path, json.dumps(known, indent=2))
    return str(known[name])


def read_database_url(home: Path) -> str:
    """Where `make run` started PostgreSQL last; empty if it never did."""
    try:
        return (home / DATABASE_FILE).read_text().strip()
    except OSError:
        return ""


def write_private(path: Path, text: str) -> None:
    """Replace a file in one move, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)
