"""Uploaded files as rows of text: CSV in any common encoding, and XLSX.

Rows are read one by one and kept as lines of JSON, so that work on them can go on from any place in
flat memory, whatever the file was.
"""

import codecs
import csv
import io
import json
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time
from itertools import islice
from pathlib import Path
from typing import Any

MAX_BYTES = 100 * 2**20
MAX_ROWS = 1_000_000
MAX_COLUMNS = 200
# What a packed workbook may become, and its table of texts, which is held in memory.
MAX_UNPACKED = 300 * 2**20
MAX_STRINGS = 100 * 2**20
HEAD = 64 * 1024
SAMPLED_ROWS = 20

CSV, XLSX = "csv", "xlsx"
ENCODINGS = {
    "utf-8-sig": "UTF-8",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16, little-endian",
    "utf-16-be": "UTF-16, big-endian",
    "cp1252": "Western (Windows-1252)",
    "latin-1": "Western (Latin-1)",
    "cp1250": "Central European (Windows-1250)",
    "cp1251": "Cyrillic (Windows-1251)",
    "shift_jis": "Japanese (Shift JIS)",
    "gb18030": "Chinese (GB 18030)",
}
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_PACKED = b"PK\x03\x04"
_OLD_OFFICE = b"\xd0\xcf\x11\xe0"
_NO_TABLES = (b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"\x1f\x8b", b"\x7fELF", b"Rar!")

Row = tuple[int, list[str]]


class BadFile(Exception):
    """The file can't be used; the text says why, in one sentence."""


@dataclass(frozen=True)
class Shape:
    """How a file is to be read; an XLSX has neither encoding nor delimiter."""

    format: str
    encoding: str = ""
    delimiter: str = ""


def detect(path: Path) -> Shape:
    """Look into a file; raise BadFile where it holds no table."""
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise BadFile(f"The file is larger than {MAX_BYTES // 2**20} MB; divide it.")
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head.strip():
        raise BadFile("The file is empty.")
    if head.startswith(_PACKED):
        return Shape(XLSX)
    if head.startswith(_OLD_OFFICE):
        raise BadFile(
            "This is an old or a protected Excel file; save it as XLSX without a password."
        )
    if head.startswith(_NO_TABLES):
        raise BadFile("This is neither a CSV nor an XLSX file.")
    encoding = _detect_encoding(path, head)
    return Shape(CSV, encoding, _detect_delimiter(head, encoding))


def read_header(path: Path, shape: Shape) -> tuple[list[str], list[Row]]:
    """The names of the columns, and the first rows."""
    with _open_rows(path, shape) as rows:
        _, names = next(rows, (0, []))
        sample = list(islice(rows, SAMPLED_ROWS))
    if not names:
        raise BadFile("The file is empty.")
    if len(names) > MAX_COLUMNS:
        raise BadFile(f"The file has more than {MAX_COLUMNS} columns.")
    if any("@" in name for name in names):
        raise BadFile("The first row has to name the columns; it holds an address.")
    if not sample:
        raise BadFile("The file has no rows below the names of its columns.")
    while names and not names[-1].strip():
        names.pop()
    return [name.strip()[:100] or f"Column {place}" for place, name in enumerate(names, 1)], sample


def convert(path: Path, shape: Shape, target: Path) -> int:
    """Write the rows below the header as lines of JSON; answer how many. Raise BadFile."""
    count = 0
    unfinished = target.with_suffix(".part")
    with _open_rows(path, shape) as rows, unfinished.open("w", encoding="utf-8") as file:
        next(rows, None)
        for row in rows:
            count += 1
            if count > MAX_ROWS:
                raise BadFile(f"The file has more than {MAX_ROWS:,} rows; divide it.")
            file.write(json.dumps(row))
            file.write("\n")
    unfinished.rename(target)
    return count


def read_lines(path: Path, offset: int, limit: int) -> tuple[list[Row], int]:
    """Up to so many rows from this place on, and the place after them."""
    with path.open("rb") as file:
        file.seek(offset)
        found = [json.loads(line) for line in islice(iter(file.readline, b""), limit)]
        return [(number, cells) for number, cells in found], file.tell()


# --- what kind of text it is ----------------------------------------------------------------------


def _detect_encoding(path: Path, head: bytes) -> str:
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return encoding
    zeros = head.count(b"\x00")
    if zeros:
        # Every other byte of Latin letters in UTF-16 is zero.
        in_front = head[::2].count(b"\x00")
        if zeros < len(head) // 4 or 0 < min(in_front, zeros - in_front) * 4 > zeros:
            raise BadFile("This is neither a CSV nor an XLSX file.")
        return "utf-16-be" if in_front * 2 > zeros else "utf-16-le"
    found = next((one for one in ("utf-8-sig", "cp1252") if _decodes(path, one)), "latin-1")
    text = head.decode(found, errors="replace")
    if sum(character < " " and character not in "\t\n\r\f\v" for character in text) > 1:
        raise BadFile("This is neither a CSV nor an XLSX file.")
    return found


def _decodes(path: Path, encoding: str) -> bool:
    try:
        with path.open(encoding=encoding, newline="") as file:
            while file.read(HEAD):
                pass
    except UnicodeError:
        return False
    return True


def _detect_delimiter(head: bytes, encoding: str) -> str:
    """The one that divides most rows into the same number of cells, and most cells of those."""
    text = codecs.getincrementaldecoder(encoding)("replace").decode(head)
    return max(DELIMITERS, key=lambda one: _score(text, one))


def _score(text: str, delimiter: str) -> tuple[int, int]:
    try:
        rows = list(islice(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), 20))
    except csv.Error:
        return (0, 0)
    widths = [len(row) for row in rows if row]
    width = max(set(widths), key=widths.count) if widths else 0
    return (widths.count(width) if width > 1 else 0, width)


# --- rows -----------------------------------------------------------------------------------------


@contextmanager
def _open_rows(path: Path, shape: Shape) -> Iterator[Iterator[Row]]:
    """All rows that hold something, each with its number as a spreadsheet counts."""
    opened = _open_xlsx(path) if shape.format == XLSX else _open_csv(path, shape)
    with opened as cells:
        yield (
            (number, row)
            for number, row in enumerate(cells, start=1)
            if any(cell.strip() for cell in row)
        )


@contextmanager
def _open_csv(path: Path, shape: Shape) -> Iterator[Iterator[list[str]]]:
    if shape.encoding not in ENCODINGS or shape.delimiter not in DELIMITERS:
        raise BadFile("Say how the file is written and what divides its columns.")
    with path.open(encoding=shape.encoding, newline="") as file:
        yield _guarded(csv.reader(file, delimiter=shape.delimiter), ENCODINGS[shape.encoding])


def _guarded(rows: Iterator[list[str]], encoding: str) -> Iterator[list[str]]:
    number = 0
    while True:
        number += 1
        try:
            row = next(rows, None)
        except UnicodeError as problem:
            raise BadFile(f"The file is not written in {encoding}; choose another.") from problem
        except csv.Error as problem:
            raise BadFile(
                f"The file can't be read from row {number} on: {problem}. Maybe a quotation mark "
                "is never closed."
            ) from problem
        if row is None:
            return
        yield row


@contextmanager
def _open_xlsx(path: Path) -> Iterator[Iterator[list[str]]]:
    import openpyxl  # noqa: PLC0415 -- costs memory that few processes need

    _check_package(path)
    # It warns of styles and of times that no calendar has; neither changes what is read.
    warnings.filterwarnings("ignore", module="openpyxl")
    with path.open("rb") as file:
        book = _tried(
            lambda: openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
        )
        sheet = next(iter(book.worksheets), None)
        if sheet is None:
            raise BadFile("The workbook has no sheet.")
        # What a sheet says of its size may be wrong.
        sheet.reset_dimensions()
        rows = sheet.iter_rows(max_col=MAX_COLUMNS + 1, values_only=True)
        yield (_trimmed([_in_words(cell) for cell in row]) for row in _all(rows))


def _trimmed(cells: list[str]) -> list[str]:
    """Without the empty cells behind the last one; a row is filled up with them."""
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _check_package(path: Path) -> None:
    """A small file may unpack to anything: the sizes it states are the most that is read of it."""
    try:
        with zipfile.ZipFile(path) as package:
            members = package.infolist()
    except (zipfile.BadZipFile, OSError, ValueError) as problem:
        raise BadFile("The XLSX file is damaged.") from problem
    strings = sum(one.file_size for one in members if "sharedstrings" in one.filename.lower())
    if sum(one.file_size for one in members) > MAX_UNPACKED or strings > MAX_STRINGS:
        raise BadFile("The XLSX file unpacks to too much; save it as CSV, or divide it.")
    if not any(one.filename == "[Content_Types].xml" for one in members):
        raise BadFile("This is neither a CSV nor an XLSX file.")


def _all(rows: Iterator[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    end = object()
    while (row := _tried(lambda: next(rows, end))) is not end:
        yield row


def _tried(read: Callable[[], Any]) -> Any:
    """What the library raises on a damaged workbook is not documented, and may be anything."""
    try:
        return read()
    except BadFile:
        raise
    except Exception as problem:
        raise BadFile("The XLSX file is damaged, or is no workbook.") from problem


def _in_words(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float() if value.is_integer():
            return str(int(value))
        case datetime() if value.time() == time():
            return value.date().isoformat()
        case datetime() | date() | time():
            return value.isoformat()
        case _:
            return str(value)
