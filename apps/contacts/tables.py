"""Tables written as files, piece by piece, so that their length costs no memory."""

import csv
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from xml.sax.saxutils import escape

Rows = Iterable[Sequence[Any]]

# What a spreadsheet takes for the beginning of a formula (OWASP, CSV Injection), also as wide
# characters; and what we have guarded ourselves, so that unguarded() finds every text again.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
_GUARDED = re.compile(r"'+[=+\-@\t\r\n＝＋－＠]")
_NOT_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
# As a workbook allows it.
MAX_TEXT = 32_767
MAX_ROWS = 1_048_576
# So many pieces of a file are handed over at once.
PIECES = 64 * 1024

_TYPES = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" '
    'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Override PartName="/xl/workbook.xml" ContentType="application/'
    'vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
    '<Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/'
    'vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>'
)
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_RELATION = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/{{kind}}" Target="{{target}}"/></Relationships>'
)
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_BOOK = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">'
    '<sheets><sheet name="Contacts" sheetId="1" r:id="rId1"/></sheets></workbook>'
)
_PARTS = {
    "[Content_Types].xml": _TYPES,
    "_rels/.rels": _RELATION.format(kind="officeDocument", target="xl/workbook.xml"),
    "xl/workbook.xml": _BOOK,
    "xl/_rels/workbook.xml.rels": _RELATION.format(
        kind="worksheet", target="worksheets/sheet1.xml"
    ),
}


def guarded(cell: Any) -> Any:
    """Text that no spreadsheet calculates with; numbers are none."""
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell


def unguarded(cell: str) -> str:
    """The text as it was before guarded()."""
    return cell[1:] if _GUARDED.match(cell) else cell


def write_csv(rows: Rows) -> Iterator[bytes]:
    """UTF-8 with a mark at the beginning, by which spreadsheets know it."""
    sink = _Sink()
    writer = csv.writer(sink)
    sink.write("\ufeff")
    for row in rows:
        writer.writerow([guarded(cell) for cell in row])
        if sink.size >= PIECES:
            yield sink.take()
    yield sink.take()


def write_xlsx(rows: Rows) -> Iterator[bytes]:
    """A workbook with one sheet. Texts are marked as such, so that none is a formula."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as package:  # type: ignore[call-overload]
        for name, text in _PARTS.items():
            package.writestr(name, text)
        with package.open("xl/worksheets/sheet1.xml", "w") as sheet:
            sheet.write(f'<worksheet xmlns="{_MAIN}"><sheetData>'.encode())
            for row in rows:
                sheet.write(f"<row>{''.join(map(_xml, row))}</row>".encode())
                if sink.size >= PIECES:
                    yield sink.take()
            sheet.write(b"</sheetData></worksheet>")
    yield sink.take()


def _xml(cell: Any) -> str:
    if isinstance(cell, int | float):
        return f"<c><v>{cell!r}</v></c>"
    text = _NOT_XML.sub("", str(cell))[:MAX_TEXT]
    if not text:
        return "<c/>"
    return f'<c t="inlineStr"><is><t xml:space="preserve">{escape(text)}</t></is></c>'


class _Sink:
    """What writers write to, until it is taken away. It can't be wound back."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.size = 0

    def write(self, piece: str | bytes) -> int:
        data = piece.encode("utf-8", "replace") if isinstance(piece, str) else bytes(piece)
        self.pieces.append(data)
        self.size += len(data)
        return len(piece)

    def flush(self) -> None:
        """There is nothing behind it."""

    def take(self) -> bytes:
        data = b"".join(self.pieces)
        self.pieces, self.size = [], 0
        return data
