"""Messages as clients send them."""

from typing import Any


def track(event: str = "Product Viewed", **fields: Any) -> dict[str, Any]:
    return {"type": "track", "event": event, **fields}


def identify(**fields: Any) -> dict[str, Any]:
    return {"type": "identify", **fields}


def consent(**preferences: Any) -> dict[str, Any]:
    """The context in which Segment's clients tell what somebody allows."""
    return {"consent": {"categoryPreferences": preferences}}
