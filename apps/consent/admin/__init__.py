"""The ledger of consents, what people are asked for, and where they are asked."""

from apps.consent.admin.banners import AnonymousConsentAdmin, BannerAdmin
from apps.consent.admin.records import ConsentRecordAdmin, PurposeAdmin, SuppressionAdmin
from apps.consent.admin.signups import PendingSignupAdmin, SignupFormAdmin

__all__ = [
    "AnonymousConsentAdmin",
    "BannerAdmin",
    "ConsentRecordAdmin",
    "PendingSignupAdmin",
    "PurposeAdmin",
    "SignupFormAdmin",
    "SuppressionAdmin",
]
