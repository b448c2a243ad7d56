"""The texts that are sent, and the outbox: every mail with what became of it and why."""

from apps.messaging.admin.outbox import MessageAdmin
from apps.messaging.admin.servicemail import ServiceMailAdmin
from apps.messaging.admin.templates import TemplateAdmin

__all__ = ["MessageAdmin", "ServiceMailAdmin", "TemplateAdmin"]
