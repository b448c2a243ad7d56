"""The ledger of what people said, and what holds now."""

import pgtrigger
from django.db import models

from apps.consent.models.purposes import Purpose, Topic
from apps.core.models import Personal

# Written with the record and readable until they are forgotten; the seal covers their salted hash.
PERSONAL = ("source", "source_url", "ip_network", "user_agent", "evidence")
# Never changed by anybody.
LASTING = (
    "id",
    "contact",
    "purpose",
    "topic",
    "status",
    "method",
    "wording_version",
    "wording_hash",
    "jurisdiction",
    "recorded_at",
    "seal_version",
    "previous_hash",
    "record_hash",
)

# One way of changing a record is left open: to forget its personal part, once and as a whole.
_ONLY_FORGETTING = """
IF TG_OP = 'UPDATE' AND OLD.forgotten_at IS NULL AND NEW.forgotten_at IS NOT NULL
    AND ROW({new}) IS NOT DISTINCT FROM ROW({old})
    AND (NEW.personal_hash = OLD.personal_hash OR OLD.seal_version = 1)
    AND NEW.salt = '' AND NEW.source = '' AND NEW.source_url = '' AND NEW.ip_network = ''
    AND NEW.user_agent = '' AND NEW.evidence = '{{}}'::jsonb
THEN
    RETURN NEW;
END IF;
RAISE EXCEPTION 'Cannot update or delete rows of the consent ledger';
"""


class Status(models.TextChoices):
    GRANTED = "granted", "granted"
    DENIED = "denied", "denied"
    # Only where a merge that had said something was undone: as if nothing had been said.
    UNSAID = "unsaid", "nothing said"


def _lasting_columns(row: str) -> str:
    columns = (
        f"{name}_id" if name in ("contact", "purpose", "topic") else name for name in LASTING
    )
    return ", ".join(f"{row}.{column}" for column in columns)


class ConsentRecord(Personal):
    """One statement of one person about one purpose; kept as proof and never changed.

    The records of a contact form a chain: `record_hash` covers the content and the hash before it,
    so a changed or missing record shows. The personal part is covered by `personal_hash`, which is
    salted: it can be forgotten, and the chain still holds.
    """

    personal_fields = ("source", "source_url", "ip_network", "user_agent", "evidence")

    class Method(models.TextChoices):
        API = "api", "API"
        BANNER = "banner", "cookie banner"
        CMP = "cmp", "consent platform"
        COMPLAINT = "complaint", "spam complaint"
        DOUBLE_OPT_IN = "double_opt_in", "double opt-in"
        FORM = "form", "form"
        GPC = "gpc", "Global Privacy Control"
        IMPORT = "import", "import"
        MERGE = "merge", "merge of two contacts"
        ONE_CLICK = "one_click", "one-click unsubscribe"
        PREFERENCE_CENTER = "preference_center", "preference center"
        STAFF = "staff", "staff"
        UNSUBSCRIBE_PAGE = "unsubscribe_page", "unsubscribe page"

    # Who said what
    contact = models.ForeignKey("contacts.Contact", models.PROTECT, related_name="consent_records")
    purpose = models.ForeignKey(Purpose, models.PROTECT, related_name="+")
    topic = models.ForeignKey(Topic, models.PROTECT, null=True, blank=True, related_name="+")
    status = models.CharField(max_length=16, choices=Status)

    # How it is known
    method = models.CharField(max_length=20, choices=Method)
    wording_version = models.CharField(max_length=40, blank=True)
    wording_hash = models.CharField(
        max_length=64, blank=True, help_text="SHA-256 of the text that was shown."
    )
    jurisdiction = models.CharField(max_length=10, blank=True)
    recorded_at = models.DateTimeField()

    # What of it is personal
    source = models.CharField(max_length=200, blank=True)
    source_url = models.CharField(
        "page", max_length=500, blank=True, help_text="Where it was said, without its query."
    )
    ip_network = models.CharField(
        "network", max_length=45, blank=True, help_text="The address, cut to /24 or /48."
    )
    user_agent = models.CharField(
        "browser", max_length=80, blank=True, help_text="Its kind, such as Chrome on Android."
    )
    evidence = models.JSONField(default=dict, blank=True)
    salt = models.CharField(max_length=32, blank=True, editable=False)
    personal_hash = models.CharField(max_length=64, blank=True, editable=False)
    forgotten_at = models.DateTimeField(
        null=True, blank=True, help_text="When the personal part was erased."
    )

    # The chain
    seal_version = models.PositiveSmallIntegerField(
        default=1, editable=False, help_text="By which rule the record is sealed."
    )
    previous_hash = models.CharField(max_length=64, blank=True)
    record_hash = models.CharField(max_length=64, unique=True)

    class Meta:
        indexes = [
            # Read by the contact page, services.record_consents() and policy.decide().
            models.Index(fields=["contact", "-id"], name="consent_record_by_contact"),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="consent_record_is_append_only",
                when=pgtrigger.Before,
                operation=pgtrigger.Update | pgtrigger.Delete,
                func=_ONLY_FORGETTING.format(
                    new=_lasting_columns("NEW"), old=_lasting_columns("OLD")
                ),
            )
        ]

    def __str__(self) -> str:
        return f"{self.topic_id or self.purpose_id} {self.status}"


class ConsentState(models.Model):
    """What holds now for one contact and purpose, or one topic of it: the newest record."""

    contact = models.ForeignKey("contacts.Contact", models.CASCADE, related_name="consents")
    purpose = models.ForeignKey(Purpose, models.PROTECT, related_name="+")
    topic = models.ForeignKey(Topic, models.PROTECT, null=True, blank=True, related_name="+")
    status = models.CharField(max_length=16, choices=Status)
    record = models.ForeignKey(ConsentRecord, models.PROTECT, related_name="+")
    changed_at = models.DateTimeField()
    denied_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="The last no; a yes said before it comes too late.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["contact", "purpose", "topic"],
                nulls_distinct=False,
                name="consent_state_one_per_purpose_and_topic",
            )
        ]

    def __str__(self) -> str:
        return f"{self.topic_id or self.purpose_id} {self.status}"
