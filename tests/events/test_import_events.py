"""`manage.py import_events`, as somebody types it."""

import csv
import gzip
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.utils import timezone

from apps.commerce.models import Cart, Order
from apps.contacts.models import Contact
from apps.events import importing, registry
from apps.events.models import Event, InboxEvent, RejectedEvent, Source
from apps.events.registry import Batch, Projection
from tests.events.messages import consent, identify, track
from tests.factories.events import SourceFactory

pytestmark = pytest.mark.django_db

SAMPLE = Path(__file__).resolve().parents[3] / "shared" / "data" / "rees46_sample"
HEADER = "when,who,what,item,price"
PLAN = [
    *("--source", "Old shop", "--map", "occurred_at=when", "--map", "user_id=who"),
    *("--map", "event=what", "--rename", "view=Product Viewed"),
    *("--map", "properties.product_id=item", "--map", "properties.price:number=price"),
]


@pytest.fixture
def write(tmp_path):
    def write(*lines, name="events.csv"):
        path = tmp_path / name
        content = "\n".join(lines) + "\n" if lines and isinstance(lines[0], str) else lines[0]
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def run(*arguments, stderr=None):
    out = StringIO()
    call_command("import_events", *arguments, stdout=out, stderr=stderr or StringIO())
    lines = out.getvalue().splitlines()
    return [line.partition("; ")[0] if line.startswith("Rows:") else line for line in lines]


def refused(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


# ---- What comes in -------------------------------------------------------------------------------


def test_rows_become_events_of_the_past(write):
    path = write(HEADER, "2019-10-01 00:00:07 UTC,u1,view,cup,35.79", "2019-10-02,u2,Paid,,")
    began = timezone.now()

    report = run(path, *PLAN, "--set", "properties.currency=EUR", "--set", "context.locale=en")

    assert report == [
        "Made the source “Old shop”; make a new secret key to send with it.",
        "Rows: 2 read, 2 stored, 0 there already, 0 refused",
    ]
    first, second = Event.objects.order_by("occurred_at")
    assert (first.name, first.type, first.contact.external_id) == ("Product Viewed", "track", "u1")
    assert first.properties == {"product_id": "cup", "price": 35.79, "currency": "EUR"}
    assert first.context == {"locale": "en"}
    assert first.occurred_at == datetime(2019, 10, 1, 0, 0, 7, tzinfo=UTC)
    assert (first.source.name, first.is_trusted, first.is_backfill) == ("Old shop", True, True)
    assert began <= first.received_at <= timezone.now()
    assert (second.name, second.properties) == ("Paid", {"currency": "EUR"})
    assert not InboxEvent.objects.exists()


def test_the_same_file_again_adds_nothing(write):
    lines = [HEADER, *(f"2019-10-01,u{n % 3},view,cup,1" for n in range(7))]
    run(write(*lines), *PLAN)

    assert run(write(*lines), *PLAN) == ["Rows: 7 read, 0 stored, 7 there already, 0 refused"]
    assert run(write(*lines, "2019-10-01,u1,view,cup,1"), *PLAN) == [
        "Rows: 8 read, 1 stored, 7 there already, 0 refused"
    ]
    assert Event.objects.count() == 8


def test_a_file_is_read_chunk_by_chunk(write, monkeypatch):
    monkeypatch.setattr(importing, "CHUNK", 3)
    lines = [f"2019-10-01,u{n},view,cup,{'x' if n == 4 else n}" for n in range(8)]

    assert run(write(HEADER, *lines), *PLAN)[1:] == [
        "Rows: 8 read, 7 stored, 0 there already, 1 refused", "  bad_number: 1",
    ]  # fmt: skip


def test_a_shops_own_message_ids_count(write):
    path = write("when,who,what,id", *("2019-10-01,u1,view,m1", "2019-10-02,u1,view,m1") * 2)
    plan = [*PLAN[:8], "--map", "message_id=id"]

    assert run(path, *plan)[1:] == ["Rows: 4 read, 1 stored, 3 there already, 0 refused"]
    assert Event.objects.get().message_id == "m1"


def test_other_kinds_of_calls_can_be_imported(write):
    path = write(
        "mail;first;since", "Ada@Example.com;Ada;1569888007", "bob@example.com;;2019-10-01"
    )
    plan = ["--source", "S", "--set", "type=identify", "--map", "occurred_at=since"]

    run(
        path,
        *plan,
        "--map",
        "traits.email=mail",
        "--map",
        "traits.firstName=first",
        "--delimiter=;",
    )

    people = Contact.objects.order_by("email").values_list("email", "first_name")
    assert list(people) == [("ada@example.com", "Ada"), ("bob@example.com", "")]
    assert Event.objects.filter(
        type="identify", occurred_at=datetime(2019, 10, 1, 0, 0, 7, tzinfo=UTC)
    )


@pytest.mark.parametrize(("option", "is_backfill"), [("--backfill", True), ("--live", False)])
def test_history_starts_nothing_unless_it_is_live(write, monkeypatch, option, is_backfill):
    seen: list[Batch] = []
    monkeypatch.setattr(registry, "_projections", {"test": Projection("test", 1, seen.append)})

    run(write(HEADER, "2019-10-01,u1,view,cup,1"), *PLAN, option)

    assert [event.is_backfill for batch in seen for event in batch.events] == [is_backfill]


def test_a_source_that_is_there_is_used(write):
    source = SourceFactory(name="Old shop")

    assert len(run(write(HEADER, "2019-10-01,u1,view,cup,1"), *PLAN)) == 1
    assert Event.objects.get().source == source


def test_packed_files_and_byte_order_marks_are_read(write):
    content = gzip.compress(f"\ufeff{HEADER}\r\n2019-10-01,u1,view,cup,1\r\n".encode())

    assert run(write(content), *PLAN)[1:] == ["Rows: 1 read, 1 stored, 0 there already, 0 refused"]


# ---- What is refused -----------------------------------------------------------------------------


def test_refused_rows_are_given_back_with_their_number_and_reason(write, tmp_path):
    path = write(
        HEADER,
        "2019-10-01,u1,view,cup,1",
        "yesterday,u1,view,cup,1",
        "",
        '2019-10-01,,view,"cup, large",1',
        "2019-10-01,u1,view,cup,1,more",
        "2019-10-01,u1,view",
    )
    rejected = tmp_path / "rejected.csv"

    report = run(path, *PLAN, "--rejected", str(rejected))

    assert report[1:] == [
        "Rows: 5 read, 2 stored, 0 there already, 3 refused",
        "  bad_time: 1", "  no_identifier: 1", "  too_many_cells: 1",
    ]  # fmt: skip
    assert refused(rejected) == [
        ["row", "reason", "detail", "when", "who", "what", "item", "price"],
        ["3", "bad_time", "when", "yesterday", "u1", "view", "cup", "1"],
        ["5", "no_identifier", "Give userId or anonymousId.", "2019-10-01", "", "view",
         "cup, large", "1"],
        ["6", "too_many_cells", "more", "2019-10-01", "u1", "view", "cup", "1", "more"],
    ]  # fmt: skip
    assert not RejectedEvent.objects.exists()


LATER = (timezone.now() + timedelta(days=400)).isoformat()


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2019-13-01,u1,view,cup,1", "bad_time"),
        ("99999999999999,u1,view,cup,1", "bad_time"),
        ("0001-01-01T00:00:00+14:00,u1,view,cup,1", "bad_time"),
        pytest.param(f"{LATER},u1,view,cup,1", "future_time", id="in-400-days"),
        ("4000000000,u1,view,cup,1", "future_time"),
        ("2019-10-01,u1,view,cup,NaN", "bad_number"),
        ("2019-10-01,u1,view,cup,1e999", "bad_number"),
        ('2019-10-01,u1,view,cup,"1,5"', "bad_number"),
        ("2019-10-01,u1,,cup,1", "no_event_name"),
        ("2019-10-01,undefined,view,cup,1", "no_identifier"),
        (f"2019-10-01,{'u' * 201},view,cup,1", "id_too_long"),
        (f"2019-10-01,u1,{'v' * 201},cup,1", "name_too_long"),
        (f"2019-10-01,u1,view,{'c' * 40_000},1", "too_large"),
        ("2019-10-01,u1,view,a\x00b,1", "not_text"),
    ],
)
def test_a_bad_row_spoils_no_other(write, row, reason):
    good = "2019-10-01,u1,view,cup,1"

    assert run(write(HEADER, good, row, good), *PLAN)[1:] == [
        "Rows: 3 read, 2 stored, 0 there already, 1 refused", f"  {reason}: 1",
    ]  # fmt: skip


def test_a_name_that_is_not_utf8_costs_one_row(write, tmp_path):
    good = "2019-10-01,u1,view,cup,1\n"
    rejected = tmp_path / "rejected.csv"
    path = write(f"{HEADER}\n{good}".encode() + b"2019-10-01,u1,view,caf\xe9,1\n" + good.encode())

    assert run(path, *PLAN, "--rejected", str(rejected))[2:] == ["  not_text: 1"]
    assert rejected.read_bytes().endswith(b"3,not_text,,2019-10-01,u1,view,caf\xe9,1\r\n")
    assert Event.objects.count() == 2


@pytest.mark.parametrize(
    "when",
    ["2019-10-01T00:00:07Z", "2019-10-01 02:00:07+02:00", "2019-10-01 00:00:07 GMT",
     "20191001T000007", "1569888007", "1569888007.0", "1569888007000"],
)  # fmt: skip
def test_times_may_be_written_in_many_ways(write, when):
    run(write(HEADER, f"{when},u1,view,cup,1"), *PLAN)

    assert Event.objects.get().occurred_at == datetime(2019, 10, 1, 0, 0, 7, tzinfo=UTC)


def test_what_the_pipeline_cannot_process_is_told(write, monkeypatch):
    def choke(batch: Batch) -> None:
        if any(event.properties.get("product_id") == "poison" for event in batch.events):
            raise KeyError

    monkeypatch.setattr(registry, "_projections", {"choke": Projection("choke", 1, choke)})
    rows = (f"2019-10-01,u1,view,{item},1" for item in ("cup", "poison", "pot"))

    assert run(write(HEADER, *rows), *PLAN)[1:] == [
        "Rows: 3 read, 2 stored, 0 there already, 1 refused", "  processing_failed: 1",
    ]  # fmt: skip


def test_who_has_refused_tracking_gets_no_history(write, send):
    send(identify(userId="u1"), track(userId="u1", context=consent(tracking=False)))
    rows = ["2019-10-01,u1,view,cup,1", "2019-10-01,u2,view,cup,1"]

    assert run(write(HEADER, *rows), *PLAN)[1:] == [
        "Rows: 2 read, 1 stored, 0 there already, 1 refused", "  tracking_refused: 1",
    ]  # fmt: skip


class Flaky:
    """A projection that gets in another transaction's way so many times."""

    def __init__(self, failures: int) -> None:
        self.failures = failures

    def __call__(self, batch: Batch) -> None:
        if self.failures:
            self.failures -= 1
            raise OperationalError("deadlock detected")


@pytest.mark.parametrize("failures", [importing.MAX_FAILURES, importing.MAX_FAILURES + 1])
def test_a_batch_that_the_database_gives_up_on_is_taken_again(write, monkeypatch, failures):
    projection = Projection("flaky", 1, Flaky(failures))
    monkeypatch.setattr(registry, "_projections", {"flaky": projection})
    path = write(HEADER, "2019-10-01,u1,view,cup,1")

    if failures > importing.MAX_FAILURES:
        with pytest.raises(OperationalError):
            run(path, *PLAN)
        assert InboxEvent.objects.count() == 1
    else:
        assert run(path, *PLAN)[1:] == ["Rows: 1 read, 1 stored, 0 there already, 0 refused"]


def test_shards_that_others_never_let_go_of_are_told(write, monkeypatch):
    monkeypatch.setattr(importing, "SECONDS_TO_WAIT", 0.1)
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("SELECT 1 FROM events_shard FOR UPDATE")

        with pytest.raises(CommandError, match="Other workers don't let go"):
            run(write(HEADER, "2019-10-01,u1,view,cup,1"), *PLAN)
    finally:
        other.close()

    assert InboxEvent.objects.count() == 1


# ---- What cannot work ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "events.csv is empty; its first row has to name the columns."),
        (b"when,who\n", "events.csv has no column “what”; it has when, who."),
        (
            b"when;who;what\n",
            "events.csv has one column only; is it divided by “;”? Say --delimiter.",
        ),
        (b"when,who,what,item,price,who\n", "events.csv has 2 columns named “who”."),
        (HEADER.encode("utf-16"), "events.csv is not UTF-8; save it in that encoding."),
        (b"\xff\xfe\x00", "events.csv is not UTF-8; save it in that encoding."),
        (
            f'{HEADER}\n"'.encode() + b"x" * 200_000,
            "events.csv can't be read at row 2: field larger",
        ),
        pytest.param(
            gzip.compress(HEADER.encode() * 999)[:-20], "events.csv can't be read: ", id="cut-gzip"
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_told_in_one_sentence(write, content, sentence):
    with pytest.raises(CommandError) as raised:
        run(write(content), *PLAN)

    assert str(raised.value).startswith(sentence)
    assert "\n" not in str(raised.value)
    assert not Event.objects.exists()


@pytest.mark.parametrize("damage", ["cut", "broken"])
def test_a_packed_file_that_is_damaged_brings_what_could_be_read(write, monkeypatch, damage):
    monkeypatch.setattr(importing, "CHUNK", 100)
    items = (sha256(str(number).encode()).hexdigest() for number in range(2000))
    rows = "".join(f"2019-10-01,u1,view,{item},1\n" for item in items)
    packed = gzip.compress(f"{HEADER}\n{rows}".encode())
    middle = len(packed) // 2
    tail = b"" if damage == "cut" else bytes(len(packed) - middle)

    with pytest.raises(CommandError, match=r"events\.csv can't be read at row \d{3,4}: "):
        run(write(packed[:middle] + tail), *PLAN)

    assert 100 <= Event.objects.count() < 2000


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--map", "user_id"], "--map user_id: write it as NAME=VALUE."),
        (["--map", "userid=who"], "“userid” is no field of an event; use event, type, "),
        (["--map", "properties.=who"], "“properties.” is no field of an event; "),
        (["--map", "properties.a:date=when"], "“properties.a:date” is no field of an event; "),
        (["--map", "user_id=who", "--map", "user_id=what"], "--map user_id is given more than"),
        (["--map", "user_id=who", "--set", "user_id=u1"], "“userId” is given more than once."),
        (["--map", "user_id=who", "--map", "properties.a=what", "--set", "properties.a.b=1"],
         "“properties.a.b” is given more than once."),
        (["--map", "event=what"], "Say who: map user_id, anonymous_id or traits.email."),
        (["--map", "user_id=who"], "Say what: map event, or set it for all rows."),
        (["--map", "user_id=who", "--map", "event=what"], "Say when: map occurred_at, or give"),
    ],
)  # fmt: skip
def test_a_plan_that_cannot_work_is_told_in_one_sentence(write, options, sentence):
    with pytest.raises(CommandError) as raised:
        run(write(HEADER, "2019-10-01,u1,view,cup,1"), "--source", "Old shop", *options)

    assert str(raised.value).startswith(sentence)
    assert not Event.objects.exists()


@pytest.mark.parametrize("field", [{"is_active": False}, {"name": "Cuepost"}])
def test_a_source_that_takes_no_events_is_told(write, field):
    name = field.get("name") or SourceFactory(**field).name
    name = Source.objects.get(is_internal=True).name if "name" in field else name

    with pytest.raises(CommandError, match="takes no events"):
        run(write(HEADER), *PLAN, "--source", name)


def test_the_file_of_refused_rows_is_another_one(write, tmp_path):
    path = write(HEADER, "2019-10-01,u1,view,cup,1")

    with pytest.raises(CommandError, match="names the file itself"):
        run(path, *PLAN, "--rejected", path)
    with pytest.raises(CommandError, match="can't be written"):
        run(path, *PLAN, "--rejected", str(tmp_path / "nowhere" / "rejected.csv"))

    assert Path(path).read_text().startswith(HEADER)


# ---- How far it is -------------------------------------------------------------------------------


class Terminal(StringIO):
    def isatty(self):
        return True


def test_progress_is_a_bar_on_a_terminal_and_lines_elsewhere(write, monkeypatch):
    monkeypatch.setattr(importing, "CHUNK", 1000)
    rows = [f"2019-10-01,u1,view,cup,{n}" for n in range(4000)]
    path = write(HEADER, *rows)
    terminal, elsewhere = Terminal(), StringIO()

    run(path, *PLAN, stderr=terminal)
    run(path, *PLAN, stderr=elsewhere)

    assert terminal.getvalue().count("\r") == 4
    assert terminal.getvalue().endswith("█" * 30 + " 100% 4,000 rows, 0 refused\n")
    assert elsewhere.getvalue().splitlines()[-1] == "100% 4,000 rows, 0 refused"
    assert "\r" not in elsewhere.getvalue()


# ---- A real file ---------------------------------------------------------------------------------


@pytest.mark.skipif(
    not SAMPLE.is_dir(), reason="The sample of REES46 is not beside the repository."
)
def test_a_real_shops_file_comes_in(tmp_path):
    (path,) = SAMPLE.glob("*.csv.gz")
    rejected = tmp_path / "rejected.csv"
    plan = [
        *("--source", "REES46", "--map", "occurred_at=event_time", "--map", "user_id=user_id"),
        *("--map", "event=event_type", "--rename", "view=Product Viewed"),
        *("--rename", "cart=Product Added", "--rename", "purchase=Order Completed"),
        *("--map", "properties.product_id=product_id", "--map", "properties.price:number=price"),
        *("--map", "properties.category=category_code", "--map", "properties.brand=brand"),
        *("--map", "properties.cart_id=user_session", "--set", "properties.currency=USD"),
        *("--rejected", str(rejected)),
    ]

    report = run(str(path), *plan)

    assert report[1] == "Rows: 1,000 read, 1,000 stored, 0 there already, 0 refused"
    assert len(refused(rejected)) == 1
    names = dict.fromkeys(Event.objects.values_list("name", flat=True))
    assert {name: Event.objects.filter(name=name).count() for name in names} == {
        "Product Viewed": 987, "Product Added": 3, "Order Completed": 10,
    }  # fmt: skip
    assert Event.objects.order_by("occurred_at").first().properties == {
        "product_id": "44600062", "price": 35.79, "brand": "shiseido", "currency": "USD",
        "cart_id": "72d76fde-8bb3-4e00-8c23-a032dfed738c",
    }  # fmt: skip
    assert Event.objects.earliest("occurred_at").occurred_at == datetime(2019, 10, 1, tzinfo=UTC)
    assert Contact.objects.count() == len({row["user_id"] for row in sample_rows(path)})
    assert Cart.objects.filter(status=Cart.Status.ORDERED).exists()
    assert not Order.objects.exists()  # They have no IDs.
    assert run(str(path), *plan) == ["Rows: 1,000 read, 0 stored, 1,000 there already, 0 refused"]


def sample_rows(path):
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
