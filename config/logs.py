"""How a log line looks: one line, and nothing of what people have told us.

The text of an exception may quote a row (PostgreSQL's DETAIL does), so only its type and the places
in our code are written. What others write, such as a mail server's answer or an address that was
not found, may name somebody or hold a key all the same: that is taken out of each line.
"""

import copy
import logging
import re
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

BASE_DIR = Path(__file__).resolve().parent.parent
MAX_PLACES = 3
MAX_CHARACTERS = 600
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
MASK = "•••"

_PERSONAL = re.compile(
    r"""
    (?<=://)[^/\s@]+(?=@)                              # the password of an address
    | (?<![\w.+-])[\w.+-]+(?:@|%40)[\w-]+(?:\.[\w-]+)+  # an e-mail address
    | \bsk_[\w-]+                                      # a secret write key
    | (?<![\w-])[\w.-]+:(?:[\w-]+:)?[\w-]{27,}         # a signed token, as links carry them
    | (?<![\w+])\+\d[\d()\ /-]{6,}\d                  # a telephone number
    """,
    re.VERBOSE | re.ASCII,
)


class LineFormatter(logging.Formatter):
    """“… (UniqueViolation in apps/events/log.py:88 < apps/events/pipeline.py:70)”."""

    def __init__(self) -> None:
        super().__init__(FORMAT)

    def format(self, record: logging.LogRecord) -> str:
        line = copy.copy(record)
        line.exc_text = line.stack_info = None
        problem, line.exc_info = _problem(line), None
        if problem and isinstance(line.args, dict) and "exc" in line.args:
            # Celery puts the exception's text into the message as well.
            line.args = {**line.args, "exc": type(problem).__name__, "traceback": ""}
        text = redact(" ".join(super().format(line).split()))[:MAX_CHARACTERS]
        return f"{text} ({_describe(problem)})" if problem else text


def redact(text: str) -> str:
    """The text without addresses, telephone numbers, tokens and secret keys."""
    return _PERSONAL.sub(MASK, text)


def without_texts(event: dict[str, Any], hint: dict[str, Any]) -> dict[str, Any]:
    """What an error service may hear of an error: its type and places, as our log has it."""
    for problem in event.get("exception", {}).get("values", []):
        problem["value"] = ""
    if "logentry" in event:
        event["logentry"] = {"message": redact(str(event["logentry"].get("message", "")))}
    if "request" in event:
        request = event["request"]
        url = redact(str(request.get("url", "")))
        event["request"] = {"method": request.get("method", ""), "url": url}
    for name in ("user", "breadcrumbs", "extra"):
        event.pop(name, None)
    return event


def _problem(record: logging.LogRecord) -> BaseException | None:
    return record.exc_info[1] if isinstance(record.exc_info, tuple) else None


def _describe(problem: BaseException) -> str:
    kind = type(problem)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    places = _places(problem.__traceback__)
    return f"{name} in {' < '.join(places)}" if places else name


def _places(trace: TracebackType | None) -> list[str]:
    """Where it happened in our code, the innermost place first."""
    ours = [
        f"{Path(frame.filename).relative_to(BASE_DIR)}:{frame.lineno}"
        for frame in traceback.extract_tb(trace)
        if Path(frame.filename).is_relative_to(BASE_DIR) and "site-packages" not in frame.filename
    ]
    return ours[::-1][:MAX_PLACES]
