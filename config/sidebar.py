"""The menu of the admin, in the order of a marketer's work; each sees what they may see."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

# Group, then: what it is called, its icon, its model, and its page where that isn't the list.
MENU: list[tuple[str, list[tuple[str, ...]]]] = [
    ("", [("Overview", "home", "")]),
    (
        "People",
        [
            ("Contacts", "person", "contacts.contact"),
            ("Imports", "upload_file", "contacts.importjob"),
            ("Contact fields", "tune", "contacts.contactfield"),
            ("Possible duplicates", "join_inner", "contacts.mergesuggestion"),
            ("Merged contacts", "merge", "contacts.mergelog"),
        ],
    ),
    (
        "Mail",
        [
            ("Outbox", "outbox", "messaging.message"),
            ("Templates", "edit_note", "messaging.template"),
            ("Service mails", "mark_email_read", "messaging.servicemail"),
        ],
    ),
    (
        "Workflows",
        [
            ("Workflows", "account_tree", "workflows.workflow"),
            ("People in workflows", "directions_walk", "workflows.enrollment"),
        ],
    ),
    (
        "Shop",
        [
            ("Carts", "shopping_cart", "commerce.cart"),
            ("Orders", "receipt_long", "commerce.order"),
            ("Products", "sell", "commerce.product"),
        ],
    ),
    ("Audience", [("Segments", "groups", "segments.segment")]),
    (
        "Consent",
        [
            ("Privacy requests", "shield_person", "consent.privacyrequest"),
            ("How long data is kept", "auto_delete", "consent.retention"),
            ("Sign-up forms", "contact_mail", "consent.signupform"),
            ("Sign-ups", "how_to_reg", "consent.pendingsignup"),
            ("Cookie banner", "cookie", "consent.banner"),
            ("Banner answers", "fact_check", "consent.anonymousconsent"),
            ("Consent platforms", "hub", "consent.cmpconnection"),
            ("Signals of others", "translate", "consent.foreignsignal"),
            ("Consent records", "verified_user", "consent.consentrecord"),
            ("Suppressions", "do_not_disturb_on", "consent.suppression"),
            ("Purposes", "rule", "consent.purpose"),
            ("Topics", "topic", "consent.topic"),
            ("Wordings", "history_edu", "consent.wordingversion"),
            ("Jurisdictions", "gavel", "consent.jurisdiction"),
        ],
    ),
    (
        "Data",
        [
            ("Sources", "sensors", "events.source"),
            ("Live", "stream", "events.event", "live"),
            ("Tracking health", "monitor_heart", "events.eventdefinition", "health"),
            ("Tracking plan", "rule_folder", "events.eventdefinition"),
            ("Events", "bolt", "events.event"),
            ("Rejected events", "report", "events.rejectedevent"),
        ],
    ),
    (
        "Settings",
        [
            ("Staff", "badge", "accounts.user"),
            ("Roles", "admin_panel_settings", "auth.group"),
            ("Access log", "policy", "accounts.accessrecord"),
            ("Periodic tasks", "schedule", "django_celery_beat.periodictask"),
            ("Intervals", "timer", "django_celery_beat.intervalschedule"),
        ],
    ),
]


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The groups of the menu with what this member of staff may open."""
    groups = []
    for title, entries in MENU:
        items = [_item(*entry) for entry in entries if _may_open(request, entry[2])]
        _mark_present(request, items)
        if items:
            groups.append({"title": title, "separator": False, "items": items})
    return groups


def _item(title: str, icon: str, model: str, page: str = "changelist") -> dict[str, Any]:
    name = f"{model.replace('.', '_')}_{page}" if model else "index"
    return {"title": title, "icon": icon, "link": reverse(f"admin:{name}")}


def _mark_present(request: HttpRequest, items: list[dict[str, Any]]) -> None:
    """Of pages that lie below one another only the nearest is the present one."""
    inside = [item for item in items if request.path.startswith(item["link"])]
    nearest = max((item["link"] for item in inside), key=len, default="")
    for item in inside:
        if item["link"] != nearest:
            item["active"] = False


def _may_open(request: HttpRequest, model: str) -> bool:
    if not model:
        return True
    app, _, name = model.partition(".")
    return any(request.user.has_perm(f"{app}.{verb}_{name}") for verb in ("view", "change"))
