"""Liquid, made safe for texts that others write and values that strangers send.

Only listed tags and filters exist, values are plain data, and each thing a template can make larger
has a cap: the source, ranges, loop turns, numbers, each text that a filter makes, and the output.
"""

import re
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from liquid import BoundTemplate, Environment, FalsyStrictUndefined, RenderContext
from liquid.ast import Node
from liquid.builtin import content, illegal, output
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.builtin.tags import (
    assign_tag,
    capture_tag,
    case_tag,
    comment_tag,
    cycle_tag,
    for_tag,
    if_tag,
    inline_comment_tag,
    unless_tag,
)
from liquid.exceptions import LiquidError, ResourceLimitError, UndefinedError
from liquid.expression import Expression

from apps.messaging import filters

MAX_SOURCE = 256 * 1024
MAX_MARKUP = 2_000
MAX_OUTPUT = 1024 * 1024
MAX_LOOP_TURNS = 10_000
MAX_SECONDS = 2.0

TAGS: list[Any] = [
    content.Literal,
    output.Output,
    illegal.Illegal,
    assign_tag.AssignTag,
    capture_tag.CaptureTag,
    case_tag.CaseTag,
    comment_tag.CommentTag,
    cycle_tag.CycleTag,
    for_tag.BreakTag,
    for_tag.ContinueTag,
    for_tag.ForTag,
    if_tag.IfTag,
    inline_comment_tag.InlineCommentTag,
    unless_tag.UnlessTag,
]
_QUOTED = re.compile(r"'([^']+)'")


class TemplateError(Exception):
    """A text can't be used; `reason` and `values` are stored with the message it was for."""

    def __init__(self, reason: str, **values: Any) -> None:
        super().__init__(f"{reason}: {values}" if values else reason)
        self.reason = reason
        self.values = values


class _OutOfTime(ResourceLimitError):
    """The template took too long."""


class _Missing(FalsyStrictUndefined):
    """A variable without a value: it may be asked for and given a default, but not shown."""

    force_liquid_default = True


class _Context(RenderContext):
    """Counts all loop turns of a rendering together, and watches the time."""

    __slots__ = ("deadline", "turns")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.turns = 0
        self.deadline = time.monotonic() + MAX_SECONDS

    def raise_for_loop_limit(self, length: int = 1) -> None:
        self._check_time()
        self.turns += length
        if self.turns > MAX_LOOP_TURNS:
            raise ResourceLimitError("loop iteration limit reached", token=None)

    def filter(self, name: str, token: Any) -> Callable[..., object]:
        self._check_time()
        return super().filter(name, token)

    def get_buffer(self, buf: Any = None) -> Any:
        self._check_time()
        return super().get_buffer(buf)

    def _check_time(self) -> None:
        if time.monotonic() > self.deadline:
            raise _OutOfTime("time limit reached", token=None)


class _Template(BoundTemplate):
    context_class = _Context


class _Environment(Environment):
    """A Liquid that knows nothing but what is listed here."""

    block_nesting_limit = 20
    context_depth_limit = 20
    local_namespace_limit = MAX_OUTPUT
    output_stream_limit = MAX_OUTPUT
    template_class = _Template

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        for tag in TAGS:
            self.add_tag(tag)
        for name, function in filters.FILTERS.items():
            self.add_filter(name, function)


_HTML = _Environment(undefined=_Missing, autoescape=True)
_PLAIN = _Environment(undefined=_Missing)


class _Bounded(Expression):
    """An end of a range: it may not lie so far out that walking the range takes long."""

    __slots__ = ("end",)

    def __init__(self, end: Expression) -> None:
        super().__init__(end.token)
        self.end = end

    def evaluate(self, context: RenderContext) -> object:
        value = self.end.evaluate(context)
        try:
            too_far = abs(int(value)) > MAX_LOOP_TURNS  # type: ignore[call-overload]
        except (TypeError, ValueError):
            too_far = False  # Liquid itself counts such a value as 0.
        if too_far:
            raise ResourceLimitError("range limit reached", token=None)
        return value

    def children(self) -> list[Expression]:
        return [self.end]


def compile_html(source: str) -> BoundTemplate:
    """Parse a body; values are escaped as they are put in. Raise TemplateError."""
    return _compile(_HTML, source)


def compile_line(source: str) -> BoundTemplate:
    """Parse a subject or other plain text; raise TemplateError."""
    return _compile(_PLAIN, source)


def check(template: BoundTemplate, *, known: frozenset[str]) -> None:
    """Raise TemplateError if the template uses a filter or a variable that doesn't exist."""
    analysis = template.analyze()
    for name in analysis.filters:
        if name not in filters.FILTERS:
            raise TemplateError("template_syntax", detail=f"There is no filter “{name}”.")
    for name in analysis.globals:
        if name not in known:
            raise TemplateError("undefined_variable", variable=name)


def render(template: BoundTemplate, values: Mapping[str, Any]) -> str:
    """Put values into a template; raise TemplateError with the reason and what was missing."""
    with _named_errors(), _alarm(MAX_SECONDS):
        return template.render(**values)


def render_line(template: BoundTemplate, values: Mapping[str, Any]) -> str:
    """Render to one line, as a header needs it: no value can start another header."""
    return " ".join(render(template, values).split())


def plain(value: Any) -> Any:
    """Copy into data a template may see: text, numbers, lists and dictionaries."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Iterable):
        return [plain(item) for item in value]
    return str(value)


def _compile(environment: Environment, source: str) -> BoundTemplate:
    if len(source) > MAX_SOURCE or source.count("{{") + source.count("{%") > MAX_MARKUP:
        raise TemplateError("template_limit", detail="The template is too long.")
    with _named_errors(), _alarm(MAX_SECONDS):
        template = environment.from_string(source)
        static_context = RenderContext(template)
        for node in template.nodes:
            _bound_ranges(node, static_context)
    return template


def _bound_ranges(node: Node, static_context: RenderContext) -> None:
    for expression in node.expressions():
        for found in _ranges(expression):
            found.start, found.stop = _Bounded(found.start), _Bounded(found.stop)
    for child in node.children(static_context):
        _bound_ranges(child, static_context)


def _ranges(expression: Expression) -> Iterator[RangeLiteral]:
    for child in expression.children():
        yield from _ranges(child)
    if isinstance(expression, RangeLiteral):
        yield expression


@contextmanager
def _named_errors() -> Iterator[None]:
    """Turn whatever Liquid raises into one of our reasons."""
    try:
        yield
    except UndefinedError as problem:
        raise TemplateError("undefined_variable", variable=_missing_name(problem)) from problem
    except (ResourceLimitError, filters.TooMuch, RecursionError, TimeoutError) as problem:
        raise TemplateError("template_limit", detail=_first_line(problem)) from problem
    except LiquidError as problem:
        reason = "template_limit" if _is_deep(problem) else "template_syntax"
        raise TemplateError(reason, detail=_first_line(problem)) from problem
    except (TypeError, ValueError, ArithmeticError, AttributeError, LookupError) as problem:
        # Values of a kind that a tag or operator doesn't expect.
        raise TemplateError("template_values", detail=_first_line(problem)) from problem


def _is_deep(problem: LiquidError) -> bool:
    """Whether the parser gave up on nesting; Liquid wraps that in an error of its own."""
    return isinstance(problem.__cause__, RecursionError | TimeoutError)


def _missing_name(problem: UndefinedError) -> str:
    message = str(problem.message).removesuffix(" is undefined")
    quoted = _QUOTED.fullmatch(message)
    return quoted[1] if quoted else message


def _first_line(problem: Exception) -> str:
    message = problem.message if isinstance(problem, LiquidError) else problem
    return str(message).partition("\n")[0][:200]


def _on_alarm(signum: int, frame: object) -> None:
    raise TimeoutError("time limit reached")


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Interrupt what takes longer; only the main thread can, and only if nobody else does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    if signal.getsignal(signal.SIGALRM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGALRM, _on_alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
