"""The mail itself: headers, parts, links, and what both ways to its bytes make of it."""

import re
from email import message_from_bytes, policy
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from apps.core import tokens
from apps.messaging import composition, context, links
from apps.messaging.composition import BadText, Composed
from apps.messaging.mime import TwoPartMail
from apps.messaging.models import Message
from apps.messaging.plaintext import plain_text
from apps.messaging.rendering import TemplateError
from tests.factories.contacts import ContactFactory
from tests.factories.messaging import MessageFactory, TemplateVersionFactory
from tests.instants import NOON

ID = UUID("11111111-2222-3333-4444-555555555555")


def compose(message: Message) -> Composed:
    message.email = message.contact.email
    version_id = message.template_version_id
    [text] = composition.load_texts([version_id]).values()
    values = context.build(message, carts=context.load_carts([message]))
    return composition.compose(message, text=text, values=values, now=NOON)


def a_mail(**fields: object) -> TwoPartMail:
    given = {
        "public_id": ID,
        "subject": "Hello",
        "text": "Text\n",
        "html": "<p>Text</p>",
        "sender": "Shop <hello@shop.example>",
        "to": "a@example.com",
        "headers": {"Message-ID": "<1@shop.example>"},
        "at": NOON,
    }
    return TwoPartMail(**{**given, **fields})


def parsed(wire: bytes):
    return message_from_bytes(wire, policy=policy.SMTP)


@pytest.mark.django_db
def test_a_mail_carries_its_identity_and_a_way_out(settings):
    settings.DEFAULT_FROM_EMAIL = "Shop <hello@shop.example>"
    message = MessageFactory(public_id=ID, contact__first_name="Ann")

    composed = compose(message)

    mail = parsed(composed.mail.as_wire())
    assert mail["Message-ID"] == f"<{ID}@shop.example>"
    assert mail["Date"] == "Mon, 02 Mar 2026 12:00:00 +0000"
    assert mail["Subject"] == "Hello Ann"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    address = mail["List-Unsubscribe"].strip("<>")
    token = address.removeprefix(f"{settings.BASE_URL}/e/u/")
    assert tokens.read("unsubscribe", token) == [message.contact.uuid.hex, ID.hex]
    assert composed.mail.metadata == {"message_id": str(ID)}


@pytest.mark.django_db
def test_links_lead_through_us_with_campaign_parameters(settings):
    version = TemplateVersionFactory(
        template__key="spring",
        html='<body><a href="https://a.example/x?b=1&amp;utm_source=me">A</a>'
        '<a href="mailto:x@example.com">B</a><a href="{{ links.unsubscribe }}">C</a></body>',
    )
    composed = compose(MessageFactory(public_id=ID, template_version=version))

    target = "https://a.example/x?b=1&utm_source=me&utm_medium=email&utm_campaign=spring"
    assert composed.links == [target]
    assert composed.html.count(f"{settings.BASE_URL}/e/c/") == 1
    assert 'href="mailto:x@example.com"' in composed.html
    assert composed.html.endswith('border="0"></body>')
    assert f"A ({target})" in composed.text
    assert "B (x@example.com)" in composed.text


@pytest.mark.django_db
def test_context_tells_contact_event_order_and_sender(settings):
    settings.DEFAULT_FROM_EMAIL, settings.POSTAL_ADDRESS = "hello@shop.example", "Street 1"
    contact = ContactFactory(attributes={"shoe": 42, "email": "other"}, last_name="Lee")
    event = {"name": "Order Completed", "properties": {"order_id": "7"}}
    message = MessageFactory(contact=contact, context={"event": event})

    values = context.build(message, carts={})

    assert (values["contact"]["shoe"], values["contact"]["email"]) == (42, contact.email)
    assert (values["contact"]["name"], values["last_name"]) == ("Lee", "Lee")
    assert (values["event"], values["order"], values["cart"]) == (event, {"order_id": "7"}, {})
    assert values["sender"] == {
        "name": "hello@shop.example",
        "email": "hello@shop.example",
        "postal_address": "Street 1",
    }


@pytest.mark.parametrize(
    "event", [{}, {"name": "Order Completed"}, {"name": "Product Viewed", "properties": {"a": 1}}]
)
def test_only_an_order_event_tells_an_order(event):
    assert context._order_of(event) == {}


@pytest.mark.django_db
def test_a_version_that_does_not_compile_names_the_reason():
    version = TemplateVersionFactory(html="{% if %}")

    [text] = composition.load_texts([version.pk]).values()

    assert isinstance(text, BadText)
    with pytest.raises(TemplateError):
        composition.compose(MessageFactory(), text=text, values={}, now=NOON)


@pytest.mark.django_db
def test_texts_are_compiled_once_and_forgotten_when_there_are_many(
    monkeypatch, django_assert_num_queries
):
    first, second = TemplateVersionFactory(), TemplateVersionFactory()
    composition.load_texts([first.pk])
    with django_assert_num_queries(0):
        kept = composition.load_texts([first.pk])

    monkeypatch.setattr(composition, "MAX_COMPILED", 1)
    both = composition.load_texts([first.pk, second.pk])

    assert both[first.pk] is kept[first.pk]
    assert both.keys() == {first.pk, second.pk}
    assert list(composition._compiled) == [second.pk]


@pytest.mark.parametrize(
    ("sender", "base_url", "domain"),
    [
        ("Shop <hello@shop.example>", "https://cuepost.example", "shop.example"),
        ("nobody", "https://cuepost.example", "cuepost.example"),
        ("nobody", "", "localhost"),
    ],
)
def test_message_domain(settings, sender, base_url, domain):
    settings.DEFAULT_FROM_EMAIL, settings.BASE_URL = sender, base_url

    assert composition.message_domain() == domain


@pytest.mark.parametrize(
    ("address", "leads_to"),
    [
        (
            "https://a.example",
            "https://a.example?utm_source=cuepost&utm_medium=email&utm_campaign=k",
        ),
        (
            " HTTP://A.example/#x ",
            "http://A.example/?utm_source=cuepost&utm_medium=email&utm_campaign=k#x",
        ),
        ("mailto:a@example.com", "mailto:a@example.com"),
        ("tel:+49", "tel:+49"),
        ("#top", "#top"),
        ("javascript:alert(1)", "#"),
        ("data:text/html,x", "#"),
        ("/relative", "#"),
        ("http://[broken", "#"),
        ("", "#"),
    ],
)
def test_destination(address, leads_to):
    assert links.destination(address, "k") == leads_to


def test_track_leaves_what_is_no_link_and_adds_the_pixel_at_the_end():
    html = '<a name="x">x</a><a href="">y</a><img src="https://a.example/i.png">'

    tracked, targets = links.track(html, public_id=ID, campaign="k", hosts=frozenset())

    assert tracked.startswith(
        '<a name="x">x</a><a href="#">y</a><img src="https://a.example/i.png">'
    )
    assert targets == []


def test_track_uses_one_address_for_the_same_link_twice():
    html = '<a href="https://a.example/">1</a><a class="b" href="https://a.example/">2</a>'

    hosts = frozenset({"a.example"})
    tracked, targets = links.track(html, public_id=ID, campaign="k", hosts=hosts)

    assert len(targets) == 1
    first, second = (part.partition('"')[0] for part in tracked.split('href="')[1:])
    assert first == second
    assert tokens.read("click", first.rpartition("/")[2]) == [ID.hex, targets[0]]


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/phish",
        "https://shop.example.evil.example/",
        "https://shop.example@evil.example/",
        "https://evil.example\\@shop.example/",
        "https://evil.example/@shop.example/",
        "https://shop.example:80@evil.example/",
        "https:///evil.example",
        "https://evil.example#https://shop.example/",
        "http://[evil",
        "//evil.example/",
    ],
)
@pytest.mark.django_db
def test_a_value_never_gets_a_link_on_our_domain_to_a_host_that_we_do_not_know(settings, address):
    settings.SHOP_HOSTS = ["shop.example"]
    version = TemplateVersionFactory(html='<a href="{{ event.url }}">{{ event.url }}</a>')
    context_ = {"event": {"url": address}}

    composed = compose(MessageFactory(template_version=version, context=context_))

    assert "/e/c/" not in composed.html
    assert composed.links == []


@pytest.mark.parametrize(
    "address",
    ["https://shop.example/x?a=1", "HTTPS://SHOP.example:8443", "{base}/demo/", "http://b.example"],
)
@pytest.mark.django_db
def test_a_value_that_leads_to_a_shop_is_tracked(settings, address):
    settings.SHOP_HOSTS = ["shop.example", "b.example"]
    version = TemplateVersionFactory(html='<a href="{{ event.url }}">x</a>')
    context_ = {"event": {"url": address.format(base=settings.BASE_URL)}}

    composed = compose(MessageFactory(template_version=version, context=context_))

    assert composed.html.count(f"{settings.BASE_URL}/e/c/") == len(composed.links) == 1


@pytest.mark.parametrize(
    ("address", "hosts"),
    [
        ("https://a.example", {"a.example"}),
        ("https://A.example:8443/x?{{ y }}", {"a.example"}),
        ("https://a.example/{{ x }}", {"a.example"}),
        ("https://a.example?{% if x %}y{% endif %}", {"a.example"}),
        ("https://a.example{{ x }}", set()),
        ("https://a.example:{{ x }}/", set()),
        ("https://{{ x }}.a.example/", set()),
        ("https://a.example@{{ x }}/", set()),
        ("{{ x }}https://a.example/", set()),
        ("{{ x | default: 'https://a.example/' }}", set()),
        ("mailto:x@a.example", set()),
        ("http://[broken/", set()),
    ],
)
def test_a_template_names_the_hosts_that_it_writes_out(address, hosts):
    assert links.written_hosts(f'<p><a class="b" href="{address}">x</a></p>') == hosts


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>a &amp; b</p><p>c<br>d</p>", "a & b\n\nc\nd\n"),
        ("<ul><li>one</li><li>two</li></ul>", "- one\n\n- two\n"),
        (
            "<head><title>t</title></head><!-- c -->a<style>p{}</style><script>if (a<b)</script>b",
            "ab\n",
        ),
        ('<a href="https://a.example/">go</a>', "go (https://a.example/)\n"),
        ('<a href="https://a.example/">https://a.example/</a>', "https://a.example/\n"),
        ('<a href="https://a.example/"></a><a>x</a><a href="#">y</a>', "xy\n"),
        ('<a href="mailto:a@example.com">write</a>', "write (a@example.com)\n"),
        ('<img alt="A > B" src="x"><img src="y">', "A > B\n"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\n\nc\n"),
        ("a&nbsp;&nbsp; b <span>c</span> 1 < 2", "a b c 1 < 2\n"),
        ("", "\n"),
    ],
)
def test_plain_text(html, text):
    assert plain_text(html, lambda address: address) == text


def test_plain_text_takes_linear_time():
    plain_text("<a " + 'x"' * 200_000, str)
    plain_text("<" * 200_000, str)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"subject": "Grüße an alle, die hier lange Betreffzeilen lesen wollen, und noch mehr"},
        {"subject": "A plain but long subject that has to be folded because it is over the limit"},
        {"subject": ""},
        {"sender": "Käseladen <hello@shop.example>", "to": "jörg@example.com"},
        {"sender": "hello@shop.example", "to": "a@bücher.example"},
        {
            "text": "ä\n.\n..two\nFrom here\n" + "long " * 300 + "\n",
            "html": "<p>ä =20 €</p>\n" * 200,
        },
        {"headers": {"List-Unsubscribe": "<https://shop.example/" + "x" * 400 + ">"}},
    ],
)
def test_the_short_way_says_what_the_long_way_says(fields):
    mail = a_mail(**fields)

    short, long = parsed(mail.as_wire()), parsed(mail.message().as_bytes(linesep="\r\n"))

    names = ["From", "To", "Subject", "MIME-Version", *mail.extra_headers]
    # The long way may put a space before a value that it had to fold.
    assert [short[name] for name in names] == [long[name].strip() for name in names]
    bodies = [
        [part.get_content().replace("\r\n", "\n").rstrip("\n") for part in found.iter_parts()]
        for found in (short, long)
    ]
    assert bodies[0] == bodies[1]
    assert [part.get_content_type() for part in short.iter_parts()] == ["text/plain", "text/html"]
    assert max(len(row) for row in mail.as_wire().split(b"\r\n")) <= 998
    assert not short.defects


WORDS = st.text(max_size=200) | st.text(st.sampled_from("a .=\t\r\n\x0bä€\u2028"), max_size=300)


@settings(deadline=None)
@given(subject=WORDS, text=WORDS, html=WORDS)
@example(subject="x", text="long " * 100, html="<p>" + "word " * 100)
def test_whatever_is_said_arrives_with_whole_line_ends(subject, text, html):
    mail = a_mail(subject=" ".join(subject.split()), text=text, html=html)

    wire = mail.as_wire()

    assert re.search(rb"(?<!\r)\n|\r(?!\n)", wire) is None
    parts = parsed(wire).iter_parts()
    contents = [part.get_payload(decode=True).decode() for part in parts]
    assert contents == [re.sub(r"\r\n|\r|\n", "\r\n", said) for said in (text, html)]
    assert max(len(row) for row in wire.split(b"\r\n")) <= 998


@pytest.mark.parametrize("field", ["subject", "sender", "to"])
def test_no_value_starts_another_header(field):
    mail = a_mail(**{field: "a@example.com\r\nBcc: b@example.com"})

    with pytest.raises(ValueError, match="newlines"):
        mail.as_wire()
