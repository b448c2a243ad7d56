"""What each person allowed, with proof, and whom we never write to."""

from apps.consent.models.jurisdictions import Jurisdiction, JurisdictionRule
from apps.consent.models.purposes import Purpose, Topic, WordingVersion
from apps.consent.models.records import ConsentRecord, ConsentState, Status
from apps.consent.models.suppressions import LiftedSuppression, Suppression

__all__ = [
    "ConsentRecord",
    "ConsentState",
    "Jurisdiction",
    "JurisdictionRule",
    "LiftedSuppression",
    "Purpose",
    "Status",
    "Suppression",
    "Topic",
    "WordingVersion",
]
