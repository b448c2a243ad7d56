"""What other floors ask about people."""

from apps.contacts.addresses import normalize_email
from apps.contacts.identification import Claim, Directory, Mode, Resolution, resolve

__all__ = ["Claim", "Directory", "Mode", "Resolution", "normalize_email", "resolve"]
