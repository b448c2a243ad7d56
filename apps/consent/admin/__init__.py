"""The ledger of consents, what people are asked for, and where they are asked."""

from apps.consent.admin.banners import AnonymousConsentAdmin, BannerAdmin
from apps.consent.admin.platforms import CmpConnectionAdmin, ForeignSignalAdmin
from apps.consent.admin.purposes import (
    JurisdictionAdmin,
    PurposeAdmin,
    TopicAdmin,
    WordingVersionAdmin,
)
from apps.consent.admin.records import ConsentRecordAdmin
from apps.consent.admin.retention import RetentionAdmin
from apps.consent.admin.rights import PrivacyRequestAdmin
from apps.consent.admin.signups import PendingSignupAdmin, SignupFormAdmin
from apps.consent.admin.suppressions import LiftedSuppressionAdmin, SuppressionAdmin

__all__ = [
    "AnonymousConsentAdmin",
    "BannerAdmin",
    "CmpConnectionAdmin",
    "ConsentRecordAdmin",
    "ForeignSignalAdmin",
    "JurisdictionAdmin",
    "LiftedSuppressionAdmin",
    "PendingSignupAdmin",
    "PrivacyRequestAdmin",
    "PurposeAdmin",
    "RetentionAdmin",
    "SignupFormAdmin",
    "SuppressionAdmin",
    "TopicAdmin",
    "WordingVersionAdmin",
]
