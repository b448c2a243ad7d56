"""What events did about consent, for the live debugger."""

from datetime import timedelta

from apps.consent.models import ConsentRecord, Status
from apps.core.pages import object_url
from apps.events import privacy
from apps.events.models import Event
from apps.events.registry import Effect, EffectSource, register_effect_source

# By then the pipeline has worked it in.
SOON = timedelta(minutes=10)


def read_consents(event: Event) -> list[Effect]:
    """What the event says about consent, and whether that was news."""
    said = privacy.preferences(event.context if isinstance(event.context, dict) else None)
    if not said:
        return []
    if event.contact_id is None:
        words = ", ".join(f"{purpose}: {_word(is_yes)}" for purpose, is_yes in said.items())
        return [Effect(f"It says {words}; nobody’s consent yet")]
    rows = ConsentRecord.objects.filter(
        contact_id=event.contact_id,
        recorded_at__gte=event.received_at,
        recorded_at__lte=event.received_at + SOON,
    )
    records = {
        (row.topic_id or row.purpose_id, row.status): row for row in rows.order_by("-id")[:50]
    }
    effects = []
    for purpose, is_yes in said.items():
        record = records.get((purpose, Status.GRANTED if is_yes else Status.DENIED))
        if record:
            tone = "good" if is_yes else "danger"
            effects.append(Effect(f"{purpose}: {_word(is_yes)} recorded", tone, object_url(record)))
        else:
            effects.append(Effect(f"{purpose}: {_word(is_yes)}, which changed nothing"))
    return effects


def _word(is_yes: bool) -> str:
    return "yes" if is_yes else "no"


def register() -> None:
    register_effect_source(
        EffectSource("consent", "Consent", 20, "consent.view_consentrecord", read_consents)
    )
