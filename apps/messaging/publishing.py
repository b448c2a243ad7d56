"""Turn what somebody wrote into a text that can be sent: footer added, styles inlined, checked."""

import re
from collections.abc import Iterator

import css_inline

from apps.messaging import rendering
from apps.messaging.context import KNOWN

FOOTER = """
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"><tbody><tr>
<td align="center" style="padding:24px 16px;font:13px/1.5 Helvetica,Arial,sans-serif;color:#6b6b6b">
You get this mail because you agreed to hear from {{ sender.name }}.<br>
<a href="{{ links.preferences }}" style="color:#6b6b6b">Preferences</a> ·
<a href="{{ links.unsubscribe }}" style="color:#6b6b6b">Unsubscribe</a>
{% if sender.postal_address != "" %}<br>{{ sender.postal_address | newline_to_br }}{% endif %}
</td></tr></tbody></table>
"""
SERVICE_FOOTER = """
<p style="text-align:center;font:13px/1.5 Helvetica,Arial,sans-serif;color:#6b6b6b">
You get this mail because somebody gave this address to {{ sender.name }}. If it wasn’t you, there
is nothing to do.{% if sender.postal_address != "" %}<br>
{{ sender.postal_address | newline_to_br }}{% endif %}</p>
"""
ADDRESS = """
{% if sender.postal_address != "" %}
<p style="text-align:center;font:13px/1.5 Helvetica,Arial,sans-serif;color:#6b6b6b">
{{ sender.postal_address | newline_to_br }}</p>
{% endif %}
"""
_TOKEN = re.compile(
    r"\{%-?\s*comment\s*-?%\}.*?\{%-?\s*endcomment\s*-?%\}"
    r"|\{%-?\s*raw\s*-?%\}.*?\{%-?\s*endraw\s*-?%\}"
    r"|\{%.*?%\}|\{\{.*?\}\}",
    re.DOTALL,
)
# Where a mask may not become a comment: inside tags, comments, and elements that hold no markup.
_CLOSED = re.compile(
    r"<!--.*?-->|<(style|script|title|textarea)\b.*?</\1\s*>"
    r"|<[a-zA-Z/!](?:[^>\"']|\"[^\"]*\"|'[^']*')*>",
    re.DOTALL | re.IGNORECASE,
)
# What a service mail is there for.
_SERVICE_LINK = re.compile(r"\blinks\.(confirm|download)\b")
_END_OF_BODY = re.compile(r"</body\s*>", re.IGNORECASE)
_INLINER = css_inline.CSSInliner(load_remote_stylesheets=False, keep_at_rules=True)


def prepare(*, subject: str, html: str, is_service: bool = False) -> str:
    """Check a text and answer the HTML to store; raise TemplateError with the reason."""
    if is_service and not _SERVICE_LINK.search(html):
        detail = "Write {{ links.confirm }} or {{ links.download }}, whichever this mail is for."
        raise rendering.TemplateError("template_without_link", detail=detail)
    rendering.check(rendering.compile_line(subject), known=KNOWN)
    rendering.check(rendering.compile_html(html), known=KNOWN)
    prepared = inline_styles(with_service_footer(html) if is_service else with_footer(html))
    rendering.check(rendering.compile_html(prepared), known=KNOWN)
    return prepared


def with_footer(html: str) -> str:
    """Add what each mail has to say, where the text doesn't say it itself."""
    footer = ""
    if "links.unsubscribe" not in html:
        footer = FOOTER
    elif "sender.postal_address" not in html:
        footer = ADDRESS
    return _at_the_end(html, footer)


def with_service_footer(html: str) -> str:
    """Say why a stranger gets this, and who writes, where the text doesn't."""
    return _at_the_end(html, "" if "sender.postal_address" in html else SERVICE_FOOTER)


def _at_the_end(html: str, footer: str) -> str:
    end = _END_OF_BODY.search(html)
    at = end.start() if end else len(html)
    return html[:at] + footer + html[at:]


def inline_styles(html: str) -> str:
    """Move style sheets into the elements, which is all that many mail programs read.

    The inliner knows no Liquid, so each piece of it is masked before and put back after: as a word
    inside tags, as a comment between them, where words would be moved out of tables.
    """
    pieces: list[str] = []
    mark = _unused_mark(html)

    def mask(match: re.Match[str]) -> str:
        pieces.append(match[0])
        return f"{mark}{len(pieces) - 1}z"

    masked = _with_table_bodies(_TOKEN.sub(mask, html), mark)
    masked = _comment_out(masked, pieces, mark)
    try:
        inlined = _INLINER.inline(masked)
    except css_inline.InlineError as problem:
        raise rendering.TemplateError("template_styles", detail=str(problem)[:200]) from problem
    if found := re.search(rf'{mark}(\d+)z=""', inlined):
        detail = f"Write {pieces[int(found[1])]} inside the quotes of an attribute."
        raise rendering.TemplateError("template_syntax", detail=detail)
    return re.sub(rf"<!--{mark}(\d+)z-->|{mark}(\d+)z", lambda at: pieces[_number(at)], inlined)


def _number(match: re.Match[str]) -> int:
    return int(match[1] or match[2])


def _unused_mark(html: str) -> str:
    mark = "lqd"
    while mark in html.lower():
        mark += "q"
    return mark


def _with_table_bodies(masked: str, mark: str) -> str:
    """Write the <tbody> that HTML implies, lest it appears inside a loop over rows."""
    table = rf'(<table\b(?:[^>"]|"[^"]*")*>)((?:\s|{mark}\d+z)*)(?=<tr\b)'
    return re.sub(table, r"\1<tbody>\2", masked, flags=re.IGNORECASE)


def _comment_out(masked: str, pieces: list[str], mark: str) -> str:
    """Make a comment of each masked tag that stands between the elements."""
    word = re.compile(rf"{mark}(\d+)z")

    def comment(match: re.Match[str]) -> str:
        is_output = pieces[int(match[1])].startswith("{{")
        return match[0] if is_output else f"<!--{match[0]}-->"

    return "".join(
        part if is_closed else word.sub(comment, part) for part, is_closed in _parts(masked)
    )


def _parts(html: str) -> Iterator[tuple[str, bool]]:
    """Cut into what lies between tags and what doesn't."""
    at = 0
    for match in _CLOSED.finditer(html):
        yield html[at : match.start()], False
        yield match[0], True
        at = match.end()
    yield html[at:], False
