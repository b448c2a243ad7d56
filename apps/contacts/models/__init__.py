"""People, the names other systems know them by, and what is known of them."""

from apps.contacts.models.fields import ContactField
from apps.contacts.models.merges import UNDECIDED, MergeLog, MergeMove, MergeSuggestion
from apps.contacts.models.people import Contact, ContactQuerySet, Identity
from apps.contacts.models.transfers import ImportedName, ImportJob, ImportRow

__all__ = [
    "UNDECIDED",
    "Contact",
    "ContactField",
    "ContactQuerySet",
    "Identity",
    "ImportJob",
    "ImportRow",
    "ImportedName",
    "MergeLog",
    "MergeMove",
    "MergeSuggestion",
]
