"""Who is never written to: reasons, lists from elsewhere, and letting go."""

import io
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from apps.consent import services, suppressions
from apps.consent.models import LiftedSuppression, Suppression
from apps.consent.suppressions import BadList, Report
from tests.instants import NOON

pytestmark = pytest.mark.django_db


def import_list(content: bytes) -> Report:
    return suppressions.import_list(io.BytesIO(content), now=NOON)


@pytest.mark.parametrize(
    ("content", "report"),
    [
        (b"email\na@x.example\nB@X.example\n", Report(added=2)),
        (b"\xef\xbb\xbfname,E-Mail\nAda,a@x.example\n", Report(added=1)),
        (b"a@x.example\r\nb@x.example\r\n", Report(added=2)),
        (b"email\na@x.example\na@x.example\n", Report(added=1)),
        (b'email\nnobody\n\n""\n', Report(bad=2)),
        (b"name,email\nAda\n", Report(bad=1)),
    ],
)
def test_a_list_is_read_whatever_it_looks_like(content, report):
    assert import_list(content) == report


def test_a_long_list_is_taken_in_parts(monkeypatch):
    monkeypatch.setattr(suppressions, "BATCH", 2)
    services.suppress(emails=["c1@x.example"], reason="bounced", now=NOON)
    content = "".join(f"c{number}@x.example\n" for number in range(5))

    assert import_list(content.encode()) == Report(added=4, known=1)
    assert services.find_suppression("c1@x.example").reason == "bounced"


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"email\n" + b"x" * 200_000])
def test_what_is_no_list_is_told(content):
    with pytest.raises(BadList):
        import_list(content)


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        ("unsubscribed", "imported", "imported"),
        ("imported", "unsubscribed", "imported"),
        ("manual", "complained", "complained"),
        ("complained", "bounced", "complained"),
        ("bounced", "complained", "complained"),
    ],
)
def test_the_stronger_reason_stays(first, second, kept):
    for reason in (first, second):
        services.suppress(emails=["a@x.example"], reason=reason, now=NOON)

    assert Suppression.objects.get().reason == kept


def test_what_is_gone_or_unexplained_is_not_lifted():
    services.suppress(emails=["a@x.example"], reason="bounced", now=NOON)
    row = Suppression.objects.get()

    for pk, explanation in ((row.pk, "  "), (row.pk + 1, "They called.")):
        with pytest.raises(services.NotLifted):
            services.lift_suppression(
                suppression_id=pk, explanation=explanation, by="ada", now=NOON
            )

    assert Suppression.objects.get() == row
    assert not LiftedSuppression.objects.exists()


def test_the_command_takes_a_file(tmp_path):
    file = tmp_path / "list.csv"
    file.write_text("email\na@x.example\nx\n")
    out = StringIO()

    call_command("import_suppressions", str(file), stdout=out)

    assert out.getvalue() == (
        "1 addresses are silent from now on, 0 were so already, 1 rows hold no address.\n"
    )


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_the_command_tells_what_is_wrong_with_the_file(tmp_path, content):
    file = tmp_path / "list.csv"
    if content:
        file.write_bytes(content)

    with pytest.raises(CommandError, match="The file"):
        call_command("import_suppressions", str(file))
