"""What systems say where they know nobody: taken as a name, it would make one person of many."""

from functools import lru_cache

from django.conf import settings

NO_VALUES = frozenset(
    {
        "", "0", "-1", "null", "none", "nil", "nan", "undefined", "anonymous", "guest", "unknown",
        "true", "false", "n/a", "[object object]", "00000000-0000-0000-0000-000000000000",
    }
)  # fmt: skip


def is_blocked(name: str) -> bool:
    """Whether a user ID, address or browser ID is nobody's; BLOCKED_IDS adds to what never is."""
    text = name.strip().lower()
    exact, beginnings = _read(settings.BLOCKED_IDS)
    return text in NO_VALUES or text in exact or text.startswith(beginnings)


@lru_cache(maxsize=2)
def _read(patterns: tuple[str, ...]) -> tuple[frozenset[str], tuple[str, ...]]:
    exact = frozenset(text for text in patterns if not text.endswith("*"))
    return exact, tuple(text[:-1] for text in patterns if text.endswith("*"))
