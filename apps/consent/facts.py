"""What somebody tells at a form, and how it reached us."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Trace:
    """How something reached us, as it came; what is kept of it is less."""

    ip: str = ""
    agent: str = ""
    source_url: str = ""


@dataclass(frozen=True)
class Entry:
    """What somebody filled into a form."""

    email: str
    texts: Mapping[str, str] = field(default_factory=dict)
    topics: Sequence[str] | None = None
    trace: Trace = field(default_factory=Trace)
