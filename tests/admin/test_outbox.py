"""The outbox: what became of each mail, how it looks, and mails in doubt."""

from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from django.urls import reverse

from apps.core.pages import model_url, object_url
from apps.events.models import InboxEvent
from apps.messaging import links, preview
from apps.messaging.models import Message, MessageContent
from tests.factories.consent import grant
from tests.factories.contacts import ContactFactory
from tests.factories.messaging import MessageContentFactory, MessageFactory
from tests.factories.workflows import EnrollmentFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db

GATE = [
    {"check": "address", "is_allowed": True, "reason": "", "values": {"email": "ada@example.com"}},
    {
        "check": "consent",
        "is_allowed": False,
        "reason": "no_consent",
        "values": {"status": "denied"},
    },
]


def doubtful(**fields):
    """A mail whose outcome nobody knows."""
    contact = ContactFactory()
    record = grant(contact, "email_marketing", NOON)
    return MessageFactory(
        contact=contact,
        status="in_doubt",
        reason="outcome_unknown",
        consent_record=record,
        gated_at=NOON,
        **fields,
    )


def frame_url(message):
    return reverse("admin:messaging_message_frame", args=[message.pk])


class Addresses(HTMLParser):
    """Everything in a page that a browser would load or follow."""

    def __init__(self, html):
        super().__init__()
        self.found = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found += [
            value
            for name, value in attrs
            if name in ("href", "src", "action", "srcset", "background")
        ]


# --- the list ---


def test_the_newest_mail_stands_on_top_with_its_subject_and_fate(staff):
    MessageFactory(status="skipped", reason="no_consent")
    newest = MessageContentFactory(subject="Your cart is still here").message

    page = staff.get(model_url(Message))

    assert page.context["cl"].result_list.first() == newest
    assert page.context["heading"] == "Outbox"
    assert "Your cart is still here" in page.content.decode()
    assert "was not sent: there is no consent to this kind of mail" in page.content.decode()


@pytest.mark.parametrize(
    "query",
    [
        {"status__exact": "skipped"},
        {"reason": "too_late"},
        {"q": "Ada@example.com"},
        {"reason": "exit_condition"},
    ],
)
def test_mails_are_found_by_state_reason_and_address(staff, query):
    reason = query.get("reason", "too_late")
    wanted = MessageFactory(contact__email="ada@example.com", status="skipped", reason=reason)
    MessageFactory()

    found = staff.get(model_url(Message), query).context["cl"]

    assert list(found.result_list) == [wanted]


# --- the page ---


def test_the_page_tells_who_asked_what_allowed_it_and_what_was_judged(staff):
    enrollment = EnrollmentFactory()
    message = doubtful(origin_type="workflow", origin_id=enrollment.pk, step_id="quiet", gate=GATE)

    page = staff.get(object_url(message)).content.decode()

    assert f"Step quiet of {enrollment.workflow}" in page
    assert object_url(enrollment) in page
    assert object_url(message.consent_record) in page
    assert "There is an e-mail address" in page
    assert "no: no consent" in page
    assert "denied" in page
    assert "may have gone out" in page


def test_a_mail_without_text_says_so(staff):
    message = MessageFactory(
        template_version=None, status="skipped", reason="no_published_template"
    )

    page = staff.get(object_url(message)).content.decode()

    assert "the template has no published text" in page
    assert "Nothing was written" in page


def test_the_mail_is_shown_in_a_frame_that_allows_nothing(staff):
    message = MessageContentFactory().message

    page = staff.get(object_url(message)).content.decode()

    frame = page[page.index("<iframe") : page.index("</iframe>")]
    assert 'sandbox=""' in frame
    assert f'src="{frame_url(message)}"' in frame


def test_nothing_can_run_in_the_frame(staff):
    message = MessageContentFactory(html="<script>alert(1)</script>").message

    answer = staff.get(frame_url(message))

    policy = dict(
        part.strip().partition(" ")[::2]
        for part in answer.headers["Content-Security-Policy"].split(";")
    )
    assert policy["sandbox"] == ""
    assert policy["default-src"] == "'none'"
    assert "script-src" not in policy
    assert policy["form-action"] == "'none'"
    assert policy["frame-ancestors"] == "'self'"
    assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert "no-store" in answer.headers["Cache-Control"]


def test_looking_is_neither_an_open_nor_a_click(staff, client):
    content = MessageContentFactory()
    html = staff.get(frame_url(content.message)).content.decode()

    for address in Addresses(html).found:
        client.get(urlsplit(address).path or "/demo/")

    assert "/e/" not in html
    assert not InboxEvent.objects.exists()
    assert "https://shop.example/sale" in html


def test_the_links_of_a_mail_tell_where_they_lead(staff):
    message = MessageContentFactory().message

    html = staff.get(frame_url(message)).content.decode()

    sale = "https://shop.example/sale?utm_source=cuepost&amp;utm_medium=email&amp;utm_campaign=test"
    assert f'<a href="#" title="{sale}">Look</a>' in html


@pytest.mark.parametrize(
    ("html", "shown"),
    [
        (
            '<a href="https://shop.example/?a=1&amp;b=2">x</a>',
            'title="https://shop.example/?a=1&amp;b=2"',
        ),
        ("<a href='https://shop.example'>x</a>", 'href="#" title="https://shop.example"'),
        ('<a href="http://old.example/e/u/a:b">x</a>', 'title="Unsubscribe"'),
        ('<a href="http://old.example/e/c/forged">x</a>', 'title="a tracked link"'),
        ("<td background=http://old.example/e/o/abc>x</td>", "background=data:image/gif"),
        ("<p>http://old.example/e/c/abc</p>", "<p>#</p>"),
    ],
)
def test_defused_html_leads_nowhere_and_counts_nothing(html, shown):
    assert shown in preview.defused(html)


def test_an_own_link_of_an_earlier_address_is_read_as_well(settings):
    settings.BASE_URL = "https://earlier.example"
    public_id = MessageFactory().public_id
    html = f'<a href="{links.click_url(public_id=public_id, target="https://a.example")}">x</a>'
    settings.BASE_URL = "https://later.example"

    assert preview.defused(html) == '<a href="#" title="https://a.example">x</a>'


def test_a_mail_that_was_never_written_leaves_the_frame_empty(staff):
    answer = staff.get(frame_url(MessageFactory()))

    assert "There is nothing to show." in answer.content.decode()


@pytest.mark.parametrize("pk", ["0", "x", "99999999999999999999"])
def test_a_mail_that_is_not_there_is_not_found(staff, pk):
    answers = [
        staff.get(reverse("admin:messaging_message_frame", args=[pk])),
        staff.get(f"{model_url(Message)}{pk}/settle_as_sent/"),
    ]

    assert {answer.status_code for answer in answers} == {404}


def test_the_frame_is_for_staff_who_may_see_mails(client, viewer):
    message = MessageContentFactory().message

    assert viewer.get(frame_url(message)).status_code == 200
    assert client.get(frame_url(message)).status_code == 302
    assert MessageContent.objects.exists()


# --- mails in doubt ---


def test_a_mail_that_needed_no_yes_says_so(staff):
    message = MessageFactory(status="sent", legal_basis="opt_out")

    page = staff.get(object_url(message)).content.decode()

    assert "the law where they live, until they say no" in page


@pytest.mark.parametrize(
    ("action", "status", "reason"),
    [
        ("settle_as_sent", "sent", "settled_as_sent"),
        ("settle_as_not_sent", "failed", "settled_as_not_sent"),
    ],
)
def test_staff_settles_a_mail_in_doubt(staff, action, status, reason):
    message = doubtful()
    url = f"{model_url(Message)}{message.pk}/{action}/"

    question = staff.get(url)
    before = Message.objects.get().status
    staff.post(url)

    message.refresh_from_db()
    assert "Only if you know" in question.content.decode()
    assert before == "in_doubt"
    assert (message.status, message.reason, message.reason_values) == (
        status,
        reason,
        {"by": "boss"},
    )
    assert message.sent_at == (NOON if status == "sent" else None)
    assert message.closed_at is not None


def test_many_are_settled_and_only_those_in_doubt(staff):
    ours = [doubtful(), doubtful()]
    waiting = MessageFactory()
    action = {
        "action": "settle_selected_as_not_sent",
        "_selected_action": [message.pk for message in [*ours, waiting]],
        "is_confirmed": "1",
    }

    answer = staff.post(model_url(Message), action, follow=True)

    assert "2 mails in doubt settled as not sent." in answer.content.decode()
    assert set(Message.objects.values_list("status", flat=True)) == {"failed", "queued"}
    assert Message.objects.get(status="queued") == waiting


def test_only_what_is_in_doubt_is_offered_to_be_settled(staff):
    settle = "settle_as_sent"

    assert settle in staff.get(object_url(doubtful())).content.decode()
    assert settle not in staff.get(object_url(MessageFactory())).content.decode()


def test_whoever_may_only_look_settles_nothing(viewer):
    message = doubtful()

    page = viewer.get(object_url(message)).content.decode()
    answer = viewer.post(f"{model_url(Message)}{message.pk}/settle_as_sent/")

    assert "settle_as_sent" not in page
    assert answer.status_code == 403
    assert Message.objects.get().status == "in_doubt"
