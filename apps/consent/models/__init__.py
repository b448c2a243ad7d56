"""What each person allowed, with proof, and whom we never write to."""

from apps.consent.models.banners import AnonymousConsent, Banner
from apps.consent.models.erasures import Erasure
from apps.consent.models.jurisdictions import Jurisdiction, JurisdictionRule
from apps.consent.models.platforms import CmpConnection, CmpReceipt, ForeignSignal
from apps.consent.models.purposes import Purpose, Topic, WordingVersion
from apps.consent.models.records import ConsentRecord, ConsentState, Status
from apps.consent.models.retention import Retention
from apps.consent.models.rights import PrivacyRequest, PrivacyRequestStep, Restriction
from apps.consent.models.signups import PendingSignup, SignupForm
from apps.consent.models.suppressions import LiftedSuppression, Suppression
from apps.consent.models.wishes import MailPreference

__all__ = [
    "AnonymousConsent",
    "Banner",
    "CmpConnection",
    "CmpReceipt",
    "ConsentRecord",
    "ConsentState",
    "Erasure",
    "ForeignSignal",
    "Jurisdiction",
    "JurisdictionRule",
    "LiftedSuppression",
    "MailPreference",
    "PendingSignup",
    "PrivacyRequest",
    "PrivacyRequestStep",
    "Purpose",
    "Restriction",
    "Retention",
    "SignupForm",
    "Status",
    "Suppression",
    "Topic",
    "WordingVersion",
]
