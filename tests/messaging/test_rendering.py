"""Liquid within its limits: what is shown, what is refused, and how fast."""

import threading
import time
from datetime import date
from decimal import Decimal

import pytest

from apps.messaging import rendering
from apps.messaging.rendering import TemplateError


def html(source: str, **values: object) -> str:
    return rendering.render(rendering.compile_html(source), values)


def line(source: str, **values: object) -> str:
    return rendering.render_line(rendering.compile_line(source), values)


def reason(source: str, **values: object) -> tuple[str, dict]:
    with pytest.raises(TemplateError) as caught:
        html(source, **values)
    return caught.value.reason, caught.value.values


def test_html_escapes_values_also_in_addresses():
    shown = html('<a href="{{ url }}">{{ name }}</a>', name="<b>Shoe</b>", url='https://x/?"&a')

    assert shown == '<a href="https://x/?&#34;&amp;a">&lt;b&gt;Shoe&lt;/b&gt;</a>'


def test_html_escapes_a_value_once_even_with_the_escape_filter():
    assert html("{{ name | escape }}", name="<b>") == "&lt;b&gt;"


def test_line_stays_one_line_and_unescaped():
    assert (
        line("Hi {{ name }}", name="A & B\r\nBcc: x@example.com") == "Hi A & B Bcc: x@example.com"
    )


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("{{ price | money: 'EUR' }}", "€1,299.00"),
        ("{{ price | money }}", "1,299.00"),
        ("{{ price | money: 'chf' }}", "1,299.00 CHF"),
        ("{{ missing | default: 'you' }}", "you"),
        ("{{ contact.missing | default: 'you' }}", "you"),
        ("{% if contact.missing %}a{% else %}b{% endif %}", "b"),
        ("{{ '2026-03-02T12:00:00+00:00' | date: '%d %B %Y' }}", "02 March 2026"),
        ("{{ 'now' | date: '%Y' }}", "now"),
        ("{% for i in (1..3) reversed %}{{ i }}{% endfor %}", "321"),
        ("{% for i in (1..count) %}{{ i }}{% endfor %}", "12"),
        ("{% for i in (1..word) %}{{ i }}{% else %}none{% endfor %}", "none"),
        ("{% capture x %}{{ word }}!{% endcapture %}{{ x }}", "x!"),
        ("{{ words | join: ', ' }}", "a, b"),
        ("{{ 'a-b' | replace: '-', '+' }}", "a+b"),
        ("{{ 20 | times: 2 | plus: 1.5 }}", "41.5"),
        ("{% comment %}{{ nothing }}{% endcomment %}{# x #}", "{# x #}"),
    ],
)
def test_html_shows(source, shown):
    values = {"price": "1299", "contact": {}, "count": 2, "words": ["a", "b"], "word": "x"}

    assert html(source, **values) == shown


@pytest.mark.parametrize(
    ("source", "variable"),
    [
        ("{{ shoe }}", "shoe"),
        ("{{ contact.shoe }}", "contact.shoe"),
        ("{{ contact.shoe.size }}", "contact.shoe"),
        ("{{ contact.__class__ }}", "contact.__class__"),
        ("{{ name.upper }}", "name.upper"),
        ("{{ contact.shoe | upcase }}", "contact.shoe"),
        ("{{ shoe | money }}", "shoe"),
    ],
)
def test_a_missing_value_is_named(source, variable):
    assert reason(source, contact={}, name="a") == ("undefined_variable", {"variable": variable})


@pytest.mark.parametrize(
    "source",
    [
        "{{ x",
        "{% if %}",
        "{% if x %}",
        "{% include 'x' %}",
        "{% render 'x' %}",
        "{% tablerow i in x %}{% endtablerow %}",
        "{{ x | safe }}",
        "{{ x | nosuch }}",
        "{{ x | money }}",
        "{{ '1' | divided_by: 0 }}",
        "{{ '2026-01-01' | date: '%999999999d' }}",
        "{% if 1 < 'a' %}{% endif %}",
    ],
)
def test_what_liquid_does_not_know_is_a_syntax_error(source):
    assert reason(source, x="a")[0] == "template_syntax"


@pytest.mark.parametrize("source", ["{{ name | compact: 9 }}", "{{ names | compact: 9 }}"])
def test_a_value_of_the_wrong_kind_is_named(source):
    assert reason(source, name="abc", names=["abc"]) == (
        "template_values",
        {"detail": "string index out of range"},
    )


@pytest.mark.parametrize(
    "source",
    [
        "{{ (1..99999999) | join }}",
        "{% for i in (1..99999999) reversed %}{% endfor %}",
        "{% if (1..9999999999) contains 'a' %}{% endif %}",
        "{% for i in (1..200) %}{% for j in (1..200) %}{% endfor %}{% endfor %}",
        "{% for i in ((1..2)..(1..99999999)) %}{% endfor %}",
        "{% for i in (1..9000) %}{% endfor %}{% for i in (1..9000) %}{% endfor %}",
        "{% assign x = 'a' %}{% for i in (1..99) %}{% assign x = x | append: x %}{% endfor %}",
        "{% assign x = 'aaaa' %}{% for i in (1..99) %}{% assign x = x | replace: 'a', x %}"
        "{% endfor %}",
        "{% assign x = 9 %}{% for i in (1..99) %}{% assign x = x | times: x %}{% endfor %}",
        "{{ big | upcase }}",
        "{{ many | join: big_separator }}",
        "{% for i in (1..9999) %}{{ kilobyte }}{% endfor %}",
        "{% if a %}" * 50,
        "{{ a" + "[a" * 5000 + "]" * 5000 + "}}",
        "{% if a" + " and a" * 20000 + " %}{% endif %}",
        "{{" * 5000,
        "x" * (rendering.MAX_SOURCE + 1),
        "{{ 'a' | append: b" + " | append: b" * 100 + "}}",
    ],
)
def test_a_greedy_template_is_stopped_soon(source):
    values = {
        "big": "x" * 300_000,
        "many": list(range(1000)),
        "big_separator": "x" * 1000,
        "kilobyte": "x" * 1000,
        "a": 1,
        "b": "x" * 9000,
    }
    began = time.monotonic()

    assert reason(source, **values)[0] == "template_limit"
    assert time.monotonic() - began < rendering.MAX_SECONDS + 1


SLOW = (
    "{% for i in (1..9999) %}{% assign x = text | upcase | downcase | upcase | downcase | upcase "
    "| downcase | upcase | downcase | upcase | downcase | upcase | downcase %}{% endfor %}"
)


def test_a_slow_template_is_interrupted(monkeypatch):
    monkeypatch.setattr(rendering, "MAX_SECONDS", 0.1)

    assert reason(SLOW, text="ä" * 200_000)[0] == "template_limit"


def test_a_slow_template_stops_by_itself_where_no_alarm_can_ring(monkeypatch):
    monkeypatch.setattr(rendering, "MAX_SECONDS", 0.1)
    found = []
    thread = threading.Thread(target=lambda: found.append(reason(SLOW, text="ä" * 200_000)))

    thread.start()
    thread.join(20)

    assert found == [("template_limit", {"detail": "time limit reached"})]


def test_an_alarm_of_somebody_else_is_left_alone():
    import signal

    handler = lambda *_: None  # noqa: E731
    signal.signal(signal.SIGALRM, handler)
    try:
        assert html("a") == "a"
        assert signal.getsignal(signal.SIGALRM) is handler
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


def test_check_names_unknown_filters_and_variables():
    known = frozenset({"contact"})

    with pytest.raises(TemplateError, match="no filter “shout”"):
        rendering.check(rendering.compile_html("{{ contact.name | shout }}"), known=known)
    for source in ("{{ person.name }}", "{% for i in (1..person.age) %}{% endfor %}"):
        with pytest.raises(TemplateError, match="person"):
            rendering.check(rendering.compile_html(source), known=known)
    rendering.check(
        rendering.compile_html("{% for x in contact.list %}{{ x | upcase }}{% endfor %}"),
        known=known,
    )


def test_plain_makes_data_of_values():
    class Odd:
        def __str__(self) -> str:
            return "odd"

    found = rendering.plain(
        {1: Decimal("1.50"), "at": date(2026, 3, 2), "list": (1, None, True), "odd": Odd()}
    )

    assert found == {"1": "1.50", "at": "2026-03-02", "list": [1, None, True], "odd": "odd"}
