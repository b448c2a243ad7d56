"""How a log line looks: one line, and nothing of what people have told us.

The text of an exception may quote a row (PostgreSQL's DETAIL does), so only its type and the places
in our code are written.
"""

import copy
import logging
import traceback
from pathlib import Path
from types import TracebackType

BASE_DIR = Path(__file__).resolve().parent.parent
MAX_PLACES = 3
MAX_CHARACTERS = 600
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


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
        text = " ".join(super().format(line).split())[:MAX_CHARACTERS]
        return f"{text} ({_describe(problem)})" if problem else text


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
