"""From what somebody wrote to what can be sent."""

import css_inline
import pytest

from apps.messaging import publishing, rendering, services
from apps.messaging.rendering import TemplateError
from tests.factories.messaging import TemplateFactory
from tests.instants import NOON

WITH_ALL = '<a href="{{ links.unsubscribe }}">no</a>{{ sender.postal_address }}'


def test_styles_move_into_elements_and_liquid_stays_where_it_was():
    inlined = publishing.inline_styles(
        "<style>td { color: red } @media (max-width: 9px) { td { color: blue } }</style>"
        "<table>{% for item in cart.items %}"
        '<tr class="{% if forloop.first %}top{% endif %}"><td>{{ item.name | default: "x>y" }}'
        "</td></tr>{% else %}<tr><td>none</td></tr>{% endfor %}</table>"
    )

    assert "{% for item in cart.items %}<tr" in inlined
    assert (
        '<table><tbody>{% for item in cart.items %}<tr class="{% if forloop.first %}top{% endif'
        in inlined
    )
    assert '<td style="color: red;">{{ item.name | default: "x>y" }}</td></tr>{% else %}' in inlined
    assert "{% endfor %}</tbody></table>" in inlined
    assert "@media (max-width: 9px)" in inlined


def test_a_loop_over_rows_renders_one_table():
    inlined = publishing.inline_styles(
        "<table>{% for n in list %}<tr><td>{{ n }}</td></tr>{% endfor %}</table>"
    )

    shown = rendering.render(rendering.compile_html(inlined), {"list": [1, 2]})

    rows = "<tr><td>1</td></tr><tr><td>2</td></tr>"
    assert f"<table><tbody>{rows}</tbody></table>" in shown


@pytest.mark.parametrize(
    "piece",
    [
        "{% comment %}<b>{% endcomment %}",
        "{% raw %}{{ <i> }}{% endraw %}",
        "<title>{{ cart.name }}</title>",
        "<style>@media print { .a { color: {{ cart.color }} } } </style>",
        "<!-- {{ lqd0z }} -->",
    ],
)
def test_pieces_of_liquid_survive(piece):
    assert piece in publishing.inline_styles(piece)


def test_a_tag_among_attributes_is_refused_with_advice():
    with pytest.raises(TemplateError) as caught:
        publishing.inline_styles("<p {% if x %}class='a'{% endif %}>x</p>")

    assert caught.value.reason == "template_syntax"
    assert "inside the quotes" in caught.value.values["detail"]


def test_a_style_sheet_on_the_net_is_not_fetched():
    source = '<link rel="stylesheet" href="http://127.0.0.1:9/a.css"><p>x</p>'

    assert "<p>x</p>" in publishing.inline_styles(source)


@pytest.mark.parametrize(
    ("html", "added"),
    [
        ("<body><p>x</p></body>", f"<body><p>x</p>{publishing.FOOTER}</body>"),
        ("<p>x</p>", f"<p>x</p>{publishing.FOOTER}"),
        ("{{ links.unsubscribe }}", "{{ links.unsubscribe }}" + publishing.ADDRESS),
        (WITH_ALL, WITH_ALL),
    ],
)
def test_the_footer_adds_only_what_is_missing(html, added):
    assert publishing.with_footer(html) == added


@pytest.mark.django_db
def test_publish_numbers_the_versions_of_a_template():
    template = TemplateFactory()

    first = services.publish(template=template, subject="A", html=WITH_ALL, now=NOON)
    second = services.publish(template=template, subject="B", html=WITH_ALL, now=NOON)

    assert (first.number, second.number, second.published_at) == (1, 2, NOON)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("subject", "html", "reason"),
    [
        ("{{ x", "x", "template_syntax"),
        ("x", "{% if %}", "template_syntax"),
        ("{{ nobody }}", "x", "undefined_variable"),
        ("x", "{{ nobody.name }}", "undefined_variable"),
        ("x", "{{ email | shout }}", "template_syntax"),
    ],
)
def test_publish_refuses_what_could_not_be_sent(subject, html, reason):
    template = TemplateFactory()

    with pytest.raises(TemplateError) as caught:
        services.publish(template=template, subject=subject, html=html, now=NOON)

    assert caught.value.reason == reason
    assert not template.versions.exists()


def test_styles_that_can_not_be_read_are_named(monkeypatch):
    # The inliner of the product follows no link, and so has nothing to fail of.
    monkeypatch.setattr(publishing, "_INLINER", css_inline.CSSInliner())

    with pytest.raises(TemplateError) as caught:
        publishing.inline_styles('<link rel="stylesheet" href="file:///no/such.css"><p>x</p>')

    assert caught.value.reason == "template_styles"
