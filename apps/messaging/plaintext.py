"""The text part of a mail, made from its HTML in one pass."""

import re
from collections.abc import Callable
from html import escape, unescape

_TOKEN = re.compile(
    r'<!--.*?-->|<![^>]*>|<(/?)([a-zA-Z][a-zA-Z0-9]*)((?:[^>"]++|"[^"]*")*+)>|([^<]++|<)', re.DOTALL
)
_UNSEEN = re.compile(r"<(head|style|script|title|textarea)\b.*?</\1\s*>", re.DOTALL | re.I)
_ATTRIBUTE = r'(?<=\s){}="([^"]*)"'
_HREF = re.compile(_ATTRIBUTE.format("href"), re.IGNORECASE)
_ALT = re.compile(_ATTRIBUTE.format("alt"), re.IGNORECASE)
_SPACES = re.compile(r"[ \xa0]{2,}|\xa0")
_EDGES = re.compile(r" *\n *")
_GAPS = re.compile(r"\n{3,}")

_PARAGRAPHS = {"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table", "blockquote", "hr"}
_LINES = {"div", "tr", "li", "br", "section", "article", "header", "footer", "center"}
SPACES = {
    **dict.fromkeys(_PARAGRAPHS, "\n\n"),
    **dict.fromkeys(_LINES, "\n"),
    **dict.fromkeys(("td", "th"), " "),
}


class _Writer:
    """Collects the text; a link's address follows the words that it is on."""

    def __init__(self, address: Callable[[str], str]) -> None:
        self.address = address
        self.parts: list[str] = []
        self.link = ""
        self.link_start = 0

    def tag(self, name: str, rest: str, *, is_end: bool) -> None:
        if space := SPACES.get(name):
            self.parts.append("\n- " if name == "li" and not is_end else space)
        elif name == "a":
            self._end_link() if is_end else self._start_link(rest)
        elif name == "img":
            alt = _ALT.search(rest)
            self.parts.append(alt[1] if alt else "")

    def _start_link(self, rest: str) -> None:
        href = _HREF.search(rest)
        self.link = self.address(unescape(href[1])) if href else ""
        self.link_start = len(self.parts)

    def _end_link(self) -> None:
        words = "".join(self.parts[self.link_start :]).strip()
        if words and self.link and self.link not in ("#", words):
            self.parts.append(f" ({escape(self.link.removeprefix('mailto:'), quote=False)})")
        self.link = ""


def plain_text(html: str, address: Callable[[str], str]) -> str:
    """Write the HTML as text; `address` says what is shown for a link."""
    writer = _Writer(address)
    # Line breaks of the source mean nothing; those that are wanted are put in by the tags.
    seen = " ".join(_UNSEEN.sub("", html).split())
    for is_end, name, rest, text in _TOKEN.findall(seen):
        if name:
            writer.tag(name.lower(), rest, is_end=bool(is_end))
        elif text:
            writer.parts.append(text)
    lines = _EDGES.sub("\n", _SPACES.sub(" ", unescape("".join(writer.parts))))
    return _GAPS.sub("\n\n", lines).strip() + "\n"
