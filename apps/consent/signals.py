"""What the consent ledger announces."""

from django.dispatch import Signal

# Sent in the transaction of the withdrawal, with contact_ids, purpose and now.
consent_withdrawn = Signal()

# Sent in the transaction that asks for a mail to somebody who may be no contact yet, with send_key
# (the occasion), template_key, email, values and now. The floor that writes mails answers.
mail_wanted = Signal()

# Sent in the transaction from which on somebody's data is kept and not used, with contact_ids, now.
restricted = Signal()

# Sent in the transaction in which somebody became a contact by a form, with signup, contact, topics
# and now.
signed_up = Signal()
