"""Files as people have them: any encoding, any delimiter, workbooks, and what is no table."""

import zipfile
from contextlib import suppress
from datetime import date, time
from functools import cache
from io import BytesIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.contacts import files
from apps.contacts.files import BadFile, Shape
from tests.contacts.sheets import xlsx
from tests.instants import NOON

TABLE = "email;first_name\nzoe@example.com;Zoë\n"


@pytest.fixture
def write(tmp_path):
    def write(content: bytes):
        path = tmp_path / "file.upload"
        path.write_bytes(content)
        return path

    return write


def read(path):
    return files.read_header(path, files.detect(path))


@pytest.mark.parametrize(
    ("encoding", "found"),
    [
        ("utf-8", "utf-8-sig"),
        ("utf-8-sig", "utf-8-sig"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("cp1252", "cp1252"),
    ],
)
def test_the_encoding_is_found(write, encoding, found):
    path = write(TABLE.encode(encoding))

    shape = files.detect(path)

    assert shape == Shape("csv", found, ";")
    assert files.read_header(path, shape) == (
        ["email", "first_name"], [(2, ["zoe@example.com", "Zoë"])],
    )  # fmt: skip


def test_bytes_that_no_western_text_has_are_read_all_the_same(write):
    path = write(b"email,name\na@example.com,\x81\x8d\n")

    assert files.detect(path).encoding == "latin-1"


def test_an_encoding_that_changes_far_behind_is_noticed(write):
    text = "email,name\n" + "a@example.com,Ada\n" * 20_000 + "z@example.com,Zo\xeb\n"

    assert files.detect(write(text.encode("latin-1"))).encoding == "cp1252"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_though_cells_hold_others(write, delimiter):
    row = delimiter.join(["a@example.com", '"one, two; three"', "x"])
    path = write(delimiter.join(["email", "note", "more"]).encode() + f"\n{row}\n{row}\n".encode())

    header, rows = read(path)

    assert header == ["email", "note", "more"]
    assert rows[0] == (2, ["a@example.com", "one, two; three", "x"])


def test_one_column_needs_no_delimiter(write):
    assert read(write(b"email\na@example.com\n")) == (["email"], [(2, ["a@example.com"])])


def test_lines_within_cells_and_empty_rows_keep_the_numbers(write, tmp_path):
    path = write(b'\r\nemail,note\r\na@example.com,"two\r\nlines"\r\n,\r\n\r\nb@example.com,x\r\n')
    target = tmp_path / "file.rows"

    count = files.convert(path, files.detect(path), target)

    assert count == 2
    assert files.read_lines(target, 0, 10)[0] == [
        (3, ["a@example.com", "two\r\nlines"]),
        (6, ["b@example.com", "x"]),
    ]


def test_lines_are_read_on_from_any_place(write, tmp_path):
    path = write(b"email\n" + b"".join(b"%d@example.com\n" % n for n in range(5)))
    target = tmp_path / "file.rows"
    files.convert(path, files.detect(path), target)

    first, offset = files.read_lines(target, 0, 3)
    second, end = files.read_lines(target, offset, 3)

    assert [number for number, _ in first + second] == [2, 3, 4, 5, 6]
    assert files.read_lines(target, end, 3) == ([], end)


def test_a_workbook_is_read_as_it_is_shown(write):
    path = write(
        xlsx(
            ["email", "since", "seen", "at", "sum", "count", "ok", "text", "none"],
            [
                "a@example.com", date(2026, 1, 31), NOON.replace(tzinfo=None), time(9, 15),
                3.5, 4.0, True, "=1+1", None,
            ],
        )
    )  # fmt: skip

    _, rows = read(path)

    # A formula without a stored result is empty.
    cells = "a@example.com 2026-01-31 2026-03-02T12:00:00 09:15:00 3.5 4 yes"
    assert rows == [(2, cells.split())]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "The file is empty."),
        (b"\n \n", "The file is empty."),
        (b"\xff\xfe", "The file is empty."),
        (b"email,name\n", "The file has no rows below the names of its columns."),
        (b"a@example.com\nb@example.com\n", "The first row has to name the columns; it holds"),
        (b"a," * 201 + b"\n1\n", "The file has more than 200 columns."),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "This is neither a CSV nor an XLSX file."),
        (b"%PDF-1.7\n", "This is neither a CSV nor an XLSX file."),
        (bytes(range(256)) * 50, "This is neither a CSV nor an XLSX file."),
        (b"email\n\x01\x02\x03\x04@x", "This is neither a CSV nor an XLSX file."),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "This is an old or a protected Excel file; save it"),
        (b"PK\x03\x04 and nothing more", "The XLSX file is damaged."),
        (b'email,note\na@example.com,"' + b"x" * 1_000_000, "The file can't be read from row 2 on"),
    ],
)
def test_what_is_no_table_is_refused_with_a_sentence(write, content, problem):
    with pytest.raises(BadFile) as raised:
        read(write(content))

    assert str(raised.value).startswith(problem)


def test_a_file_that_is_too_large_is_refused(write, monkeypatch):
    monkeypatch.setattr(files, "MAX_BYTES", 2**20)

    with pytest.raises(BadFile, match="larger than 1 MB"):
        files.detect(write(b"x" * (2**20 + 1)))


def test_too_many_rows_are_refused(write, monkeypatch, tmp_path):
    monkeypatch.setattr(files, "MAX_ROWS", 2)
    path = write(b"email\na@example.com\nb@example.com\nc@example.com\n")

    with pytest.raises(BadFile, match="more than 2 rows"):
        files.convert(path, files.detect(path), tmp_path / "file.rows")


def test_a_wrong_encoding_or_none_that_we_know_is_told(write):
    path = write("email\nZo\xeb@example.com\n".encode("latin-1"))

    with pytest.raises(BadFile, match="not written in UTF-8; choose another"):
        files.read_header(path, Shape("csv", "utf-8-sig", ","))
    with pytest.raises(BadFile, match="Say how the file is written"):
        files.read_header(path, Shape("csv", "utf-7", ","))


def packed(**members: bytes) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as package:
        for name, data in members.items():
            package.writestr(name.replace("__", "/").replace("_xml", ".xml"), data)
    return file.getvalue()


def test_a_workbook_that_unpacks_to_too_much_is_refused_unread(write, monkeypatch):
    monkeypatch.setattr(files, "MAX_UNPACKED", 2**20)
    monkeypatch.setattr(files, "MAX_STRINGS", 2**18)
    bombs = [
        packed(xl__worksheets__sheet1_xml=b" " * 2**21),
        packed(xl__sharedStrings_xml=b" " * 2**19),
    ]

    for bomb in bombs:
        assert len(bomb) < 10_000
        with pytest.raises(BadFile, match="unpacks to too much"):
            read(write(bomb))


def test_a_package_that_is_no_workbook_is_refused(write):
    with pytest.raises(BadFile, match="neither a CSV nor an XLSX"):
        read(write(packed(word__document_xml=b"<x/>")))


def test_a_sheet_that_lies_of_its_size_and_has_far_cells_stays_small(write, tmp_path):
    sheet = (
        b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        b'<dimension ref="A1:XFD1048576"/><sheetData>'
        b'<row r="1"><c r="A1" t="inlineStr"><is><t>email</t></is></c></row>'
        b'<row r="5"><c r="A5" t="inlineStr"><is><t>a@example.com</t></is></c>'
        b'<c r="XFD5" t="inlineStr"><is><t>far</t></is></c></row></sheetData></worksheet>'
    )
    whole = BytesIO(xlsx(["email"], ["x"]))
    file = BytesIO()
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(file, "w") as new:
        for member in old.infolist():
            is_sheet = member.filename.endswith("sheet1.xml")
            new.writestr(member.filename, sheet if is_sheet else old.read(member))
    path = write(file.getvalue())

    _, rows = read(path)

    assert [(number, len(cells) <= files.MAX_COLUMNS + 1) for number, cells in rows] == [(5, True)]


@cache
def _workbook() -> bytes:
    """Made once: its own time stamps would make each example another file."""
    return xlsx(["email", "since"], ["a@example.com", date(2026, 1, 31)])


@given(damage=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_damaged_workbook_is_read_or_refused_and_never_more(damage, tmp_path):
    data = bytearray(_workbook())
    for _ in range(damage.draw(st.integers(1, 8))):
        place = damage.draw(st.integers(4, len(data) - 1))
        data[place] = damage.draw(st.integers(0, 255))
    path = tmp_path / "file.upload"
    path.write_bytes(bytes(data))

    with suppress(BadFile):
        read(path)


@given(data=st.binary(max_size=300))
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_bytes_are_read_or_refused_and_never_more(data, tmp_path):
    path = tmp_path / "file.upload"
    path.write_bytes(data)

    with suppress(BadFile):
        files.convert(path, files.detect(path), tmp_path / "file.rows")
