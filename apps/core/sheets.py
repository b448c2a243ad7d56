"""CSV files as people export them: read row by row, with a sentence for each that can't be read."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

# Under this name a row keeps the cells for which there is no column, as csv.DictReader has it.
SURPLUS = None
# As a spreadsheet counts: the names of the columns are row 1.
FIRST_ROW = 2

_GZIP = b"\x1f\x8b"
# What comes of a file that ends early, or isn't what it seems.
_UNREADABLE = (csv.Error, OSError, EOFError, zlib.error)
_DELIMITERS = {";": "“;”", "\t": "a tab", "|": "“|”"}

Row = dict[str | None, str]


class BadSheet(Exception):
    """The file can't be used; the text says why, in one sentence."""


@dataclass
class Sheet:
    """An open file: its columns, and its rows one after the other.

    What is not UTF-8 stays in the cells as lone surrogates, so that one bad name costs one row.
    """

    name: str
    columns: list[str]
    size: int
    _reader: Iterator[list[str]]
    _raw: IO[bytes]

    def rows(self) -> Iterator[Row]:
        """Every row as text by column. An empty row between others is an empty dictionary."""
        empty_count = 0
        for cells in self._cells():
            if not any(cell.strip() for cell in cells):
                empty_count += 1
                continue
            yield from ({} for _ in range(empty_count))
            empty_count = 0
            yield self._row(cells)

    def position(self) -> int:
        """How many bytes of the file have been read, of `size`."""
        return min(self._raw.tell(), self.size)

    def need(self, column: str) -> None:
        """Raise BadSheet unless there is exactly one column of that name."""
        count = self.columns.count(column)
        if count > 1:
            raise BadSheet(f"{self.name} has {count} columns named “{column}”.")
        if not count:
            names = ", ".join(self.columns)
            raise BadSheet(f"{self.name} has no column “{column}”; it has {names}.")

    def _cells(self) -> Iterator[list[str]]:
        number = FIRST_ROW
        while True:
            try:
                cells = next(self._reader, None)
            except _UNREADABLE as problem:
                raise BadSheet(
                    f"{self.name} can't be read at row {number}: {problem}."
                ) from problem
            if cells is None:
                return
            yield cells
            number += 1

    def _row(self, cells: list[str]) -> Row:
        row: Row = dict.fromkeys(self.columns, "")
        row.update(zip(self.columns, cells, strict=False))
        if any(surplus := cells[len(self.columns) :]):
            row[SURPLUS] = " ".join(surplus)
        return row


@contextmanager
def open_sheet(path: str, *, delimiter: str = ",") -> Iterator[Sheet]:
    """Open a CSV file, packed with gzip or not; raise BadSheet where that is none."""
    name = Path(path).name
    if len(delimiter) != 1:
        raise BadSheet("The delimiter is one character.")
    try:
        raw = Path(path).open("rb")  # noqa: SIM115 -- closed below, with what is built on it
    except OSError as problem:
        raise BadSheet(f"{path} can't be opened: {problem.strerror}.") from problem
    with raw:
        is_packed = raw.read(2) == _GZIP
        size = raw.seek(0, io.SEEK_END)
        raw.seek(0)
        binary = cast(IO[bytes], gzip.GzipFile(fileobj=raw)) if is_packed else raw
        text = io.TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape", newline="")
        reader = csv.reader(text, delimiter=delimiter)
        yield Sheet(name, _read_columns(reader, name, delimiter), size, reader, raw)


def _read_columns(reader: Iterator[list[str]], name: str, delimiter: str) -> list[str]:
    try:
        columns = [column.strip() for column in next(reader, [])]
    except _UNREADABLE as problem:
        raise BadSheet(f"{name} can't be read: {problem}.") from problem
    if not any(columns):
        raise BadSheet(f"{name} is empty; its first row has to name the columns.")
    try:
        "".join(columns).encode()
    except UnicodeEncodeError as problem:
        raise BadSheet(f"{name} is not UTF-8; save it in that encoding.") from problem
    for other, word in _DELIMITERS.items():
        if len(columns) == 1 and other != delimiter and other in columns[0]:
            raise BadSheet(f"{name} has one column only; is it divided by {word}? Say --delimiter.")
    return columns


def is_text(value: str) -> bool:
    """Whether a cell is text that can be stored: UTF-8, and without null characters."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in value
