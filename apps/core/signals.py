"""What the floors above announce to each other, where neither may import the other."""

from django.dispatch import Signal

# Somebody saw, exported, changed or erased personal data. Arguments: user (None for a command),
# kind (view, search, export, change or erase), what (in a few words, no values), contact_ids,
# count, path, now. Who keeps the audit log listens.
personal_data_accessed = Signal()
