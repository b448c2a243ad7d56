"""The banner on your websites, and what visitors answered whom nobody knows."""

import pgtrigger
from django.db import models

from apps.consent.models.purposes import Purpose
from apps.core.models import Personal, TimeStamped


class Banner(TimeStamped):
    """What the banner says and asks for; there is one of them."""

    title = models.CharField(max_length=120, default="May we remember what you look at?")
    text = models.TextField(
        default=(
            "We would like to store an ID in this browser and note what you view, to improve our "
            "shop and to make our mails fit you. Everything works just as well without."
        ),
        help_text="What happens if they agree, in a few sentences.",
    )
    policy_url = models.CharField(
        "privacy page",
        max_length=300,
        blank=True,
        help_text="Where the details stand: /privacy or https://shop.example/privacy.",
    )
    purposes = models.ManyToManyField(
        Purpose,
        blank=True,
        related_name="+",
        help_text=(
            "What is asked for, each with its own choice. Marketing by e-mail is asked for by a "
            "form, since a browser is no address."
        ),
    )

    class Meta:
        verbose_name = "cookie banner"

    def __str__(self) -> str:
        return self.title


class AnonymousConsent(Personal):
    """One answer to a banner, kept as proof and never changed.

    The browser stands in it as a pseudonym, and only where it may be told from others: after a yes,
    or when it takes a yes back. A plain no names nobody.
    """

    personal_fields = ("browser", "page", "user_agent", "ip_network")

    class Action(models.TextChoices):
        ACCEPT_ALL = "accept_all", "accepted all"
        REJECT_ALL = "reject_all", "rejected all"
        CUSTOM = "custom", "chose one by one"

    browser = models.CharField(
        max_length=40, blank=True, help_text="A pseudonym of its ID, as in the event log."
    )
    choice = models.JSONField(help_text="Each purpose, allowed or not.")
    action = models.CharField(max_length=12, choices=Action)
    has_gpc = models.BooleanField(
        "GPC", default=False, help_text="Whether the browser sent Global Privacy Control."
    )
    wording = models.JSONField(
        default=dict, help_text="The version of the text that was shown, for each purpose."
    )
    page = models.CharField(max_length=500, blank=True, help_text="Where, without its query.")
    user_agent = models.CharField("browser kind", max_length=80, blank=True)
    ip_network = models.CharField("network", max_length=45, blank=True)
    recorded_at = models.DateTimeField()

    class Meta:
        verbose_name = "answer to the banner"
        verbose_name_plural = "answers to the banner"
        indexes = [
            # Read by banners.adopt(), when a browser's person identifies.
            models.Index(fields=["browser", "id"], name="anonymous_consent_by_browser"),
            # Read by the admin's list and by retention.
            models.Index(fields=["-recorded_at"], name="anonymous_consent_newest"),
        ]
        triggers = [pgtrigger.Protect(name="anonymous_consent_is_kept", operation=pgtrigger.Update)]

    def __str__(self) -> str:
        return f"{self.get_action_display()}, {self.recorded_at:%Y-%m-%d}"
