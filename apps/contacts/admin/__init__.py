"""People: the list, the page with all that is known, and who may be one person."""

from apps.contacts.admin.contacts import ContactAdmin
from apps.contacts.admin.fields import ContactFieldAdmin
from apps.contacts.admin.imports import ImportJobAdmin
from apps.contacts.admin.merges import MergeLogAdmin, MergeSuggestionAdmin

__all__ = [
    "ContactAdmin",
    "ContactFieldAdmin",
    "ImportJobAdmin",
    "MergeLogAdmin",
    "MergeSuggestionAdmin",
]
