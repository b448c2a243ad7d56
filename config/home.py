"""What an installation on one machine keeps in CUEPOST_HOME: secrets, and where its database is."""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

SECRETS_FILE = "secrets.json"
# While it runs: what other commands need to know of it.
DATABASE_FILE = "database-url"
BASE_URL_FILE = "base-url"
LOCK_FILE = "lock"
SECRET_BYTES = 48


class HomeError(Exception):
    """The folder can't be used; the text says why and what to do, in one sentence."""


def lock(home: Path) -> IO[str]:
    """Take the folder for one supervisor; it is free again when the file is closed."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        file = (home / LOCK_FILE).open("a")
    except OSError as problem:
        raise _unusable(home, problem) from problem
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as problem:
        file.close()
        raise HomeError(
            f"Cuepost runs already on {home}: stop it first, or set CUEPOST_HOME to another folder."
        ) from problem
    return file


def read_secret(home: Path, name: str) -> str:
    """Return the secret of that name; made at first use, readable by the owner only."""
    path = home / SECRETS_FILE
    try:
        home.mkdir(parents=True, exist_ok=True)
        # Two commands may be the first at once; both have to get the same secret.
        with _locked(home):
            known = json.loads(path.read_text()) if path.exists() else {}
            if name not in known:
                known[name] = secrets.token_urlsafe(SECRET_BYTES)
                write_private(path, json.dumps(known, indent=2))
    except OSError as problem:
        raise _unusable(home, problem) from problem
    except ValueError as problem:
        raise HomeError(
            f"{path} is damaged: put its backup back, or remove it, which ends all sessions and"
            " makes every link in mails already sent invalid."
        ) from problem
    return str(known[name])


def read_database_url(home: Path) -> str:
    """Where `make run` has PostgreSQL; empty if it does not run."""
    return _read_note(home / DATABASE_FILE)


def read_base_url(home: Path) -> str:
    """Where `make run` answers; empty if it does not run."""
    return _read_note(home / BASE_URL_FILE)


def write_private(path: Path, text: str) -> None:
    """Replace a file in one move, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def _read_note(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _unusable(home: Path, problem: OSError) -> HomeError:
    return HomeError(
        f"{home} can't be used ({problem.strerror}): make it writable, or set CUEPOST_HOME to"
        " another folder."
    )
