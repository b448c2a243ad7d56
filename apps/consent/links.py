"""The personal addresses that lead to the pages of this floor."""

from uuid import UUID

from django.conf import settings

from apps.core import tokens

PREFERENCES = "preferences"
CONFIRM = "signup-confirm"
RESEND = "signup-resend"
PRIVACY_CONFIRM = "privacy-confirm"
PRIVACY_COPY = "privacy-copy"

PREFERENCES_PATH = "/preferences/"


def preferences_url(contact_uuid: UUID) -> str:
    return f"{settings.BASE_URL}{PREFERENCES_PATH}{tokens.sign(PREFERENCES, contact_uuid.hex)}"


def confirm_url(signup_uuid: UUID) -> str:
    return f"{settings.BASE_URL}/signup/confirm/{tokens.sign(CONFIRM, signup_uuid.hex)}"


def sent_url(signup_uuid: UUID) -> str:
    """The page after signing up, where the mail can be asked for again."""
    return f"{settings.BASE_URL}/signup/sent/{tokens.sign(RESEND, signup_uuid.hex)}"


def signup_url(key: str) -> str:
    """Where scripts send what a form asks for."""
    return f"{settings.BASE_URL}/v1/signup/{key}"


def cmp_url(key: str) -> str:
    """Where a consent platform sends what people told it."""
    return f"{settings.BASE_URL}/webhooks/cmp/{key}/"


def form_url(key: str) -> str:
    return f"{settings.BASE_URL}/forms/{key}"


def privacy_confirm_url(request_uuid: UUID) -> str:
    return f"{settings.BASE_URL}/privacy/confirm/{tokens.sign(PRIVACY_CONFIRM, request_uuid.hex)}"


def privacy_download_url(request_uuid: UUID) -> str:
    return f"{settings.BASE_URL}/privacy/copy/{tokens.sign(PRIVACY_COPY, request_uuid.hex)}"


def read_uuid(purpose: str, token: str) -> UUID:
    """The one that a token of this purpose names, or BadToken."""
    try:
        return UUID(tokens.read(purpose, token))
    except (AttributeError, TypeError, ValueError) as problem:
        raise tokens.BadToken("This link is not valid.") from problem
