"""What `make run` and the settings read from the environment; a malformed value is named.

Knows nothing of Django: the supervisor is small and says what is wrong before it starts anything.
"""

import errno
import re
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

BASE_DIR = Path(__file__).resolve().parent.parent
POSTGRES = {"postgres", "postgresql"}
REDIS = {"redis", "rediss"}
# As django-environ knows them.
SMTP = {"smtp", "smtps", "smtp+tls", "smtp+ssl"}
OTHER_MAIL = {"consolemail", "filemail", "memorymail", "dummymail"}
LOG_LEVELS = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
# As django-environ reads a yes.
YES = {"true", "on", "ok", "y", "yes", "1"}
SECONDS_TO_WAIT_FOR_PORT = 2.0


class OptionError(Exception):
    """A variable is malformed; the text names it and says what it should be, in one sentence."""


@dataclass(frozen=True)
class Options:
    home: Path
    host: str
    port: int
    base_url: str
    database_url: str
    redis_url: str
    is_demo: bool

    def environment(self) -> dict[str, str]:
        """What the processes of the product are told besides the environment."""
        return {
            "CUEPOST_HOME": str(self.home),
            "BASE_URL": self.base_url,
            "DATABASE_URL": self.database_url,
            "DEMO": "1" if self.is_demo else "0",
        }


def read_options(environ: Mapping[str, str]) -> Options:
    """Read them all, or raise OptionError."""
    host = environ.get("HOST") or "127.0.0.1"
    port = _read_port(environ.get("PORT") or "8000")
    shown = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 -- recognized, not bound
    shown = f"[{shown}]" if ":" in shown else shown
    return Options(
        home=Path(environ.get("CUEPOST_HOME") or BASE_DIR / "var").resolve(),
        host=host,
        port=port,
        base_url=read_base_url(environ.get("BASE_URL") or f"http://{shown}:{port}"),
        database_url=read_database_url(environ.get("DATABASE_URL") or ""),
        redis_url=read_redis_url(environ.get("REDIS_URL") or ""),
        is_demo=(environ.get("DEMO") or "1").lower() in YES,
    )


def require_free_port(options: Options) -> None:
    """Raise OptionError if somebody listens there; one who is just ending may take a moment."""
    deadline = time.monotonic() + SECONDS_TO_WAIT_FOR_PORT
    while (problem := _bind(options.host, options.port)) and time.monotonic() < deadline:
        if problem.errno != errno.EADDRINUSE:
            break
        time.sleep(0.1)
    if isinstance(problem, socket.gaierror) or (problem and problem.errno == errno.EADDRNOTAVAIL):
        raise OptionError(f"HOST must be an address of this machine, not {options.host!r}.")
    if isinstance(problem, PermissionError):
        raise OptionError(f"Port {options.port} is for root only: start it with PORT=8000.")
    if problem:
        raise OptionError(
            f"Port {options.port} on {options.host} can't be used ({problem.strerror}): start it"
            f" with another, for example PORT={options.port + 1}."
        )


def _bind(host: str, port: int) -> OSError | None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()
    except OSError as problem:
        return problem
    return None


def _read_port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise OptionError(f"PORT must be a number from 1 to 65535, not {text!r}.")
    return int(text)


def read_base_url(text: str) -> str:
    parts = _split(text)
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise OptionError(
            f"BASE_URL must be the address of this installation, such as http://127.0.0.1:8000, not"
            f" {text!r}."
        )
    return text.rstrip("/")


def read_database_url(text: str) -> str:
    parts = _split(text)
    if text and (
        parts is None
        or parts.scheme not in POSTGRES
        or not parts.hostname
        or not parts.path.strip("/")
    ):
        # It may hold a password: never shown.
        raise OptionError("DATABASE_URL must look like postgres://user:password@host:5432/name.")
    return text


def read_redis_url(text: str) -> str:
    parts = _split(text)
    if text and (parts is None or parts.scheme not in REDIS or not parts.hostname):
        raise OptionError("REDIS_URL must look like redis://host:6379/0.")
    return text


def read_email_url(text: str) -> str:
    parts = _split(text)
    if text and (parts is None or parts.scheme not in SMTP | OTHER_MAIL):
        raise OptionError("EMAIL_URL must look like smtp://user:password@host:587?tls=True.")
    return text


def read_count(name: str, text: str, *, least: int = 1) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise OptionError(f"{name} must be a whole number from {least} up, not {text!r}.")
    return int(text)


def read_hosts(name: str, text: str) -> list[str]:
    hosts = [host.strip().lower() for host in text.split(",") if host.strip()]
    for host in hosts:
        if not re.fullmatch(r"[\w.-]+", host):
            raise OptionError(
                f"{name} must be hosts with commas between, such as shop.example, not {host!r}."
            )
    return hosts


def read_patterns(name: str, text: str) -> tuple[str, ...]:
    patterns = tuple(part.strip().lower() for part in text.split(",") if part.strip())
    for pattern in patterns:
        if "*" in pattern[:-1] or pattern == "*":
            raise OptionError(
                f"{name} must be words with commas between; only the end may be a *, as in test@*,"
                f" not {pattern!r}."
            )
    return patterns


def read_log_level(text: str) -> str:
    if text.upper() not in LOG_LEVELS:
        raise OptionError(f"LOG_LEVEL must be one of {', '.join(LOG_LEVELS)}, not {text!r}.")
    return text.upper()


def read_choice(name: str, text: str, choices: set[str]) -> str:
    if text.lower() not in choices:
        raise OptionError(f"{name} must be one of {', '.join(sorted(choices))}, not {text!r}.")
    return text.lower()


def _split(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        _ = parts.port  # Only now is it looked at.
    except ValueError:
        return None
    return parts
