"""The text part of a mail, made from its HTML in one pass."""

import re
from collections.abc import Callable
from html import unescape

_TOKEN = re.compile(
    r'<!--.*?-->|<![^>]*>|<(?P<end>/?)(?P<tag>[a-zA-Z][a-zA-Z0-9]*)(?P<rest>(?:[^>"]|"[^"]*")*)>'
    r"|(?P<text>[^<]+|<)",
    re.DOTALL,
)
_ATTRIBUTE = r'(?<=\s){}="([^"]*)"'
_HREF = re.compile(_ATTRIBUTE.format("href"), re.IGNORECASE)
_ALT = re.compile(_ATTRIBUTE.format("alt"), re.IGNORECASE)
_SPACE = re.compile(r"[ \t\r\n\f\xa0]+")
_SPACES = re.compile(r" {2,}")
_EDGES = re.compile(r" *\n *")
_GAPS = re.compile(r"\n{3,}")

UNSEEN = {"head", "style", "script", "title", "textarea"}
PARAGRAPHS = {"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table", "blockquote", "hr"}
LINES = {"div", "tr", "li", "br", "section", "article", "header", "footer", "center"}
CELLS = {"td", "th"}


class _Writer:
    """Collects the text; a link's address follows the words that it is on."""

    def __init__(self, address: Callable[[str], str]) -> None:
        self.address = address
        self.parts: list[str] = []
        self.hidden = ""
        self.link = ""
        self.link_start = 0

    def text(self, text: str) -> None:
        if not self.hidden:
            self.parts.append(_SPACE.sub(" ", unescape(text)))

    def tag(self, name: str, rest: str, *, is_end: bool) -> None:
        if self.hidden or name in UNSEEN:
            self._hide(name, is_end=is_end)
        elif name == "a":
            self._end_link() if is_end else self._start_link(rest)
        elif name == "img":
            alt = _ALT.search(rest)
            self.text(alt[1] if alt else "")
        else:
            self._layout(name, is_end=is_end)

    def _hide(self, name: str, *, is_end: bool) -> None:
        if not self.hidden and not is_end:
            self.hidden = name
        elif self.hidden == name and is_end:
            self.hidden = ""

    def _layout(self, name: str, *, is_end: bool) -> None:
        if name in PARAGRAPHS:
            self.parts.append("\n\n")
        elif name in CELLS:
            self.parts.append(" ")
        elif name in LINES:
            self.parts.append("\n- " if name == "li" and not is_end else "\n")

    def _start_link(self, rest: str) -> None:
        href = _HREF.search(rest)
        self.link = self.address(unescape(href[1])) if href else ""
        self.link_start = len(self.parts)

    def _end_link(self) -> None:
        words = "".join(self.parts[self.link_start :]).strip()
        if words and self.link and self.link not in ("#", words):
            self.parts.append(f" ({self.link.removeprefix('mailto:')})")
        self.link = ""


def plain_text(html: str, address: Callable[[str], str]) -> str:
    """Write the HTML as text; `address` says what is shown for a link."""
    writer = _Writer(address)
    for token in _TOKEN.finditer(html):
        if token["text"]:
            writer.text(token["text"])
        elif token["tag"]:
            writer.tag(token["tag"].lower(), token["rest"], is_end=bool(token["end"]))
    lines = _EDGES.sub("\n", _SPACES.sub(" ", "".join(writer.parts)))
    return _GAPS.sub("\n\n", lines).strip() + "\n"
