"""Reads of the ledger for the health page and the admin's index."""

from collections import Counter
from datetime import datetime, timedelta

from django.db.models import Count, Min, QuerySet

from apps.core.pages import model_url
from apps.core.registry import Finding, Lag
from apps.core.selectors import count_up_to
from apps.core.wording import up_to
from apps.messaging import wording
from apps.messaging.models import Message

# Counting for the index stops here, so that it costs the same on a busy day.
MAX_COUNTED = 10_000
DAY = timedelta(days=1)
WEEK = timedelta(days=7)
WENT_OUT = ("sent", "delivered", "bounced", "complained")


def measure_outbox(now: datetime) -> Lag:
    """Messages that are due and not taken up, and how long the oldest of them waits."""
    due = Message.objects.due(now).aggregate(count=Count("pk"), oldest=Min("due_at"))
    oldest = due["oldest"]
    return Lag(due_count=due["count"], oldest_age=now - oldest if oldest else timedelta(0))


def report_attention(now: datetime) -> list[Finding]:
    """Mails that somebody should look at."""
    doubtful = count_up_to(Message.objects.filter(status=Message.Status.IN_DOUBT), MAX_COUNTED)
    failed = count_up_to(_since(now - WEEK, Message.Status.FAILED), MAX_COUNTED)
    findings = []
    if doubtful:
        note = "They may have gone out. Find out with your mail provider, then settle them by hand."
        findings.append(_finding("Mails in doubt", doubtful, note, "warning", "in_doubt"))
    if failed:
        note = "In the last 7 days. Each says why."
        findings.append(_finding("Failed mails", failed, note, "danger", "failed"))
    return findings


def report_day(now: datetime) -> list[Finding]:
    """How many of the mails asked for in the last 24 hours went out, and why the others did not."""
    since = now - DAY
    sent = count_up_to(_since(since, *WENT_OUT), MAX_COUNTED)
    skipped = _reasons_of_skipped(since)
    findings = []
    if sent or skipped:
        findings.append(_finding("Mails sent", sent, "", "good", "sent"))
    for reason, count in skipped:
        words = f"Not sent: {wording.reason_in_words(reason)}"
        url = model_url(Message, status__exact="skipped", reason=reason)
        findings.append(Finding(words, up_to(count, MAX_COUNTED), url=url))
    return findings


def _finding(label: str, count: int, note: str, tone: str, status: str) -> Finding:
    url = model_url(Message, status__exact=status)
    return Finding(label, up_to(count, MAX_COUNTED), note, tone, url)


def _since(since: datetime, *statuses: str) -> QuerySet[Message]:
    return Message.objects.filter(status__in=statuses, queued_at__gte=since)


def _reasons_of_skipped(since: datetime) -> list[tuple[str, int]]:
    """The reasons of the newest skipped mails, the most frequent first."""
    newest = _since(since, Message.Status.SKIPPED).order_by("-queued_at")[:MAX_COUNTED]
    return Counter(newest.values_list("reason", flat=True)).most_common()
