"""What the consent ledger announces."""

from django.dispatch import Signal

# Sent in the transaction of the withdrawal, with contact_ids, purpose and now.
consent_withdrawn = Signal()
