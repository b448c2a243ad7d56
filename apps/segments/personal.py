"""Segments hold conditions, not people: whom they mean is asked each time."""

from apps.consent.registry import Fate, Holding, register_holding


def register() -> None:
    register_holding(
        Holding(
            name="segments",
            label="Segments",
            order=45,
            fates={"segments.Segment": {Fate.IMPERSONAL: "key name description condition"}},
            erase=lambda subject, now, limit: 0,
        )
    )
