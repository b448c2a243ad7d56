"""What each backend knows after a hand-over: taken, surely not taken, or unknown."""

import email
import socket
import ssl
from email import policy
from uuid import UUID

import pytest
import requests
from anymail.exceptions import (
    AnymailAPIError,
    AnymailConfigurationError,
    AnymailRecipientsRefused,
    AnymailRequestsAPIError,
)
from anymail.message import AnymailRecipientStatus
from django.core.mail import EmailMessage

from apps.messaging import transport as transport_module
from apps.messaging.backends import (
    ConnectionFailed,
    OutboxBackend,
    Refused,
    SmtpBackend,
    UnknownOutcome,
)
from apps.messaging.mime import TwoPartMail
from apps.messaging.transport import Answer, Outcome, judge, transport
from tests.instants import NOON
from tests.messaging.sink import free_port, scripted_server, smtp_server

ID = UUID("11111111-2222-3333-4444-555555555555")
OK, GO_ON = b"250 ok\r\n", b"354 go on\r\n"


def a_mail(to: str = "a@example.com", text: str = "Text\n") -> TwoPartMail:
    return TwoPartMail(
        public_id=ID,
        subject="Hello",
        text=text,
        html="<p>Text</p>",
        sender="Shop <hello@shop.example>",
        to=to,
        headers={"Message-ID": f"<{ID}@shop.example>"},
        at=NOON,
    )


def send_to(port: int, mail: EmailMessage) -> None:
    backend = SmtpBackend(host="127.0.0.1", port=port, timeout=2)
    try:
        backend.send_messages([mail])
    finally:
        backend.drop()


# --- files ----------------------------------------------------------------------------------------


def test_the_outbox_holds_each_mail_in_a_file_that_sorts_by_time(settings, tmp_path):
    settings.OUTBOX_DIR = tmp_path / "outbox"

    OutboxBackend().send_messages([a_mail()])

    [file] = settings.OUTBOX_DIR.iterdir()
    assert file.name == f"20260302T120000000000Z-{ID}.eml"
    found = email.message_from_bytes(file.read_bytes(), policy=policy.SMTP)
    assert (found["To"], found["Subject"]) == ("a@example.com", "Hello")


def test_the_outbox_takes_mails_of_others_too(settings, tmp_path):
    settings.OUTBOX_DIR = tmp_path

    OutboxBackend().send_messages([EmailMessage("Hi", "Text", "a@example.com", ["b@example.com"])])

    [file] = tmp_path.iterdir()
    assert b"Subject: Hi\r\n" in file.read_bytes()


def test_an_outbox_that_can_not_be_written_is_no_mail_s_fault(settings, tmp_path):
    blocked = tmp_path / "file"
    blocked.touch()
    settings.OUTBOX_DIR = blocked

    with pytest.raises(ConnectionFailed, match="The outbox folder: FileExistsError"):
        OutboxBackend().send_messages([a_mail()])


# --- SMTP -----------------------------------------------------------------------------------------


def test_a_real_server_takes_the_mail_whole():
    text = "First\n.\n..dots\nÄrger\n"
    with smtp_server() as sink:
        send_to(sink.port, a_mail(text=text))

    [taken] = sink.mails
    assert taken["Message-ID"] == f"<{ID}@shop.example>"
    assert (
        taken.get_body(("plain",)).get_content().replace("\r\n", "\n").rstrip("\n") + "\n" == text
    )
    assert taken.get_body(("html",)).get_content().strip() == "<p>Text</p>"


def test_a_mail_of_another_kind_goes_through_as_well():
    with smtp_server() as sink:
        send_to(sink.port, EmailMessage("Hi", "Text", "a@example.com", ["b@example.com"]))

    assert [taken["Subject"] for taken in sink.mails] == ["Hi"]


@pytest.mark.parametrize("pipelining", [False, True])
@pytest.mark.parametrize(
    ("script", "error", "said"),
    [
        ([OK, OK, GO_ON, b"250 taken\r\n"], None, ""),
        ([OK, OK, GO_ON, b"252 taken, perhaps\r\n"], None, ""),
        ([OK, OK, GO_ON, b"OK whatever\r\n"], UnknownOutcome, "-1"),
        ([OK, OK, GO_ON, b"354 more\r\n", b"\r\n"], UnknownOutcome, "354"),
        ([OK, OK, GO_ON, b"600 what\r\n"], UnknownOutcome, "600"),
        ([OK, OK, GO_ON, b"452 full\r\n"], Refused, "452 full"),
        ([OK, OK, GO_ON, b"554 spam\r\n"], Refused, "554 spam"),
        ([OK, OK, GO_ON, None], UnknownOutcome, "SMTPServerDisconnected"),
        ([OK, None], ConnectionFailed, "SMTPServerDisconnected"),
        ([None], ConnectionFailed, "SMTPServerDisconnected"),
        ([b"421 closing\r\n", OK, OK], ConnectionFailed, "421"),
        ([b"530 log in first\r\n", OK, OK], ConnectionFailed, "530"),
    ],
)
def test_smtp_tells_what_is_known(script, error, said, pipelining):
    with scripted_server(list(script), pipelining=pipelining) as port:
        if error is None:
            send_to(port, a_mail())
            return
        with pytest.raises(error, match=said):
            send_to(port, a_mail())


def test_a_refused_recipient_leaves_the_connection_usable():
    with smtp_server() as sink:
        sink.answer_rcpt = {"no@example.com": "550 no such user"}
        backend = SmtpBackend(host="127.0.0.1", port=sink.port, timeout=2)
        with pytest.raises(Refused, match="550 no such user") as caught:
            backend.send_messages([a_mail("no@example.com")])
        backend.send_messages([a_mail("yes@example.com")])
        backend.close()

    assert caught.value.is_permanent
    assert [taken["To"] for taken in sink.mails] == ["yes@example.com"]


@pytest.mark.parametrize(
    "last", [[GO_ON, b"554 no valid recipients\r\n"], [b"503 no recipient\r\n"]]
)
def test_a_recipient_refused_in_a_pipeline_gets_no_body(last):
    script = [OK, b"550 no such user\r\n", *last, b"250 reset\r\n"]
    with (
        scripted_server(script, pipelining=True) as port,
        pytest.raises(Refused, match="550 no such user"),
    ):
        send_to(port, a_mail())


@pytest.mark.parametrize("reset", [b"500 what\r\n", None])
def test_a_server_that_can_not_start_over_is_left(reset):
    with scripted_server([b"450 busy\r\n", reset]) as port:
        backend = SmtpBackend(host="127.0.0.1", port=port, timeout=2)
        with pytest.raises(Refused):
            backend.send_messages([a_mail()])

    assert backend.connection is None


def test_a_mail_without_a_form_is_refused_before_anything_is_said():
    with smtp_server() as sink, pytest.raises(Refused) as caught:
        send_to(sink.port, a_mail(to="a@example.com\r\nRCPT TO:<b@example.com>"))

    assert caught.value.is_permanent
    assert sink.mails == []


def test_no_server_is_a_failed_connection():
    with pytest.raises(ConnectionFailed, match="ConnectionRefusedError"):
        send_to(free_port(), a_mail())


def test_closing_a_connection_that_answers_nonsense_is_no_error():
    with scripted_server([b"221 " + b"x" * 10_000 + b"\r\n"]) as port:
        backend = SmtpBackend(host="127.0.0.1", port=port, timeout=2)
        backend.open()
        backend.connection.ehlo()
        backend.close()

    assert backend.connection is None


def test_closing_what_the_server_closed_is_no_error():
    with scripted_server([]) as port:
        backend = SmtpBackend(host="127.0.0.1", port=port, timeout=2)
        backend.open()
        backend.connection.ehlo()
    backend.close()
    backend.drop()

    assert backend.connection is None


# --- the connection of a worker -------------------------------------------------------------------


@pytest.fixture
def smtp(settings):
    settings.EMAIL_BACKEND = "apps.messaging.backends.SmtpBackend"
    settings.EMAIL_HOST = "127.0.0.1"
    with smtp_server() as sink:
        settings.EMAIL_PORT = sink.port
        yield sink


def test_one_connection_serves_mail_after_mail(smtp):
    answers = [transport.hand_over(a_mail(), now=NOON)]
    first = transport._connection
    answers.append(transport.hand_over(a_mail(), now=NOON))

    assert answers == [Answer(Outcome.ACCEPTED)] * 2
    assert transport._connection is first
    assert len(smtp.mails) == 2


def test_a_connection_that_was_idle_or_meant_for_another_server_is_replaced(
    smtp, settings, monkeypatch
):
    transport.hand_over(a_mail(), now=NOON)
    first = transport._connection
    monkeypatch.setattr(transport_module, "IDLE_SECONDS", -1)
    transport.hand_over(a_mail(), now=NOON)
    second = transport._connection
    monkeypatch.undo()
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    transport.hand_over(a_mail(), now=NOON)

    assert first is not second
    assert len(smtp.mails) == 2


def test_a_server_that_hung_up_between_two_mails_is_asked_again(smtp):
    transport.hand_over(a_mail(), now=NOON)
    transport._connection.connection.sock.shutdown(socket.SHUT_RDWR)

    assert transport.hand_over(a_mail(), now=NOON) == Answer(Outcome.ACCEPTED)
    assert len(smtp.mails) == 2


def test_a_refusal_keeps_the_connection(smtp):
    smtp.answer_data = "452 full"
    answer = transport.hand_over(a_mail(), now=NOON)

    assert answer == Answer(Outcome.TRY_LATER, "452 full")
    assert transport._connection is not None


def test_batches_start_with_one_mail_and_shrink_with_a_slow_server():
    assert transport.batch_size(20, seconds=0.5) == 1
    transport.hand_over(a_mail(), now=NOON)
    assert transport.batch_size(20, seconds=0.5) == 20
    transport._seconds_per_mail = 0.1
    assert transport.batch_size(20, seconds=0.5) == 5
    transport._seconds_per_mail = 3
    assert transport.batch_size(20, seconds=0.5) == 1


def test_a_backend_that_can_not_be_opened_is_unreachable(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()

    answer = transport.hand_over(a_mail(), now=NOON)

    assert answer == Answer(Outcome.UNREACHABLE, "ConnectionRefusedError")
    assert transport.is_resting(NOON)


# --- Anymail --------------------------------------------------------------------------------------


def http(status: int, **headers: str) -> AnymailRequestsAPIError:
    response = requests.Response()
    response.status_code = status
    response.headers.update(headers)
    return AnymailRequestsAPIError(response=response)


def caused_by(cause: Exception) -> AnymailRequestsAPIError:
    problem = AnymailRequestsAPIError("posting")
    problem.__cause__ = cause
    return problem


class NewConnectionError(Exception):
    """As urllib3 names it."""


class MaxRetryError(Exception):
    def __init__(self, reason: Exception) -> None:
        self.reason = reason


@pytest.mark.parametrize(
    ("problem", "answer"),
    [
        (http(400), Answer(Outcome.TRY_LATER, "HTTP 400")),
        (http(401), Answer(Outcome.UNREACHABLE, "HTTP 401")),
        (http(403), Answer(Outcome.UNREACHABLE, "HTTP 403")),
        (http(429, **{"Retry-After": "30"}), Answer(Outcome.THROTTLED, "HTTP 429", retry_after=30)),
        (http(429, **{"Retry-After": "0"}), Answer(Outcome.THROTTLED, "HTTP 429", retry_after=1)),
        (
            http(429, **{"Retry-After": "soon"}),
            Answer(Outcome.THROTTLED, "HTTP 429", retry_after=60),
        ),
        (
            http(429, **{"Retry-After": "99999"}),
            Answer(Outcome.THROTTLED, "HTTP 429", retry_after=3600),
        ),
        (http(408), Answer(Outcome.UNKNOWN, "HTTP 408")),
        (http(502), Answer(Outcome.UNKNOWN, "HTTP 502")),
        (http(200), Answer(Outcome.UNKNOWN, "HTTP 200")),
        (caused_by(requests.ConnectTimeout()), Answer(Outcome.UNREACHABLE, "ConnectTimeout")),
        (caused_by(requests.exceptions.ProxyError()), Answer(Outcome.UNREACHABLE, "ProxyError")),
        (caused_by(requests.exceptions.SSLError()), Answer(Outcome.UNKNOWN, "SSLError")),
        (
            caused_by(requests.exceptions.SSLError(MaxRetryError(Exception(ssl.SSLEOFError())))),
            Answer(Outcome.UNKNOWN, "SSLError"),
        ),
        (
            caused_by(requests.ConnectionError(MaxRetryError(NewConnectionError()))),
            Answer(Outcome.UNREACHABLE, "NewConnectionError"),
        ),
        (
            caused_by(requests.ConnectionError("aborted")),
            Answer(Outcome.UNKNOWN, "ConnectionError"),
        ),
        (caused_by(requests.ReadTimeout()), Answer(Outcome.UNKNOWN, "ReadTimeout")),
        (AnymailRequestsAPIError("no cause"), Answer(Outcome.UNKNOWN, "NoneType")),
        (AnymailAPIError("ses"), Answer(Outcome.UNKNOWN, "AnymailAPIError")),
        (AnymailRecipientsRefused(), Answer(Outcome.REJECTED, "AnymailRecipientsRefused")),
        (AnymailConfigurationError(), Answer(Outcome.UNREACHABLE, "AnymailConfigurationError")),
        (UnknownOutcome("timeout"), Answer(Outcome.UNKNOWN, "timeout")),
        (RuntimeError("?"), Answer(Outcome.UNKNOWN, "RuntimeError")),
    ],
)
def test_only_a_definite_no_is_taken_for_one(problem, answer):
    assert judge(problem) == answer


@pytest.fixture
def postmark(settings):
    settings.EMAIL_BACKEND = "anymail.backends.postmark.EmailBackend"

    def at(address: str) -> None:
        settings.ANYMAIL = {"POSTMARK_SERVER_TOKEN": "secret", "POSTMARK_API_URL": address}

    return at


@pytest.mark.parametrize(
    ("address", "detail"),
    [
        ("http://127.0.0.1:{closed}/", "NewConnectionError"),
        ("http://no-such-host.invalid/", "NameResolutionError"),
        ("https://127.0.0.1:{smtp}/", "SSLError"),
    ],
)
def test_a_provider_that_can_not_be_reached_stops_the_batch(postmark, address, detail):
    with smtp_server() as sink:
        postmark(address.format(closed=free_port(), smtp=sink.port))
        answer = transport.hand_over(a_mail(), now=NOON)

    assert answer == Answer(Outcome.UNREACHABLE, detail)
    assert transport.is_resting(NOON)


@pytest.mark.parametrize(
    ("backend", "detail"),
    [
        ("anymail.backends.postmark.EmailBackend", "AnymailConfigurationError"),
        ("anymail.backends.postmrak.EmailBackend", "ModuleNotFoundError"),
    ],
)
def test_a_mistake_in_the_settings_costs_no_message(settings, backend, detail):
    settings.EMAIL_BACKEND = backend

    assert transport.hand_over(a_mail(), now=NOON) == Answer(Outcome.UNREACHABLE, detail)


def test_a_backend_that_raises_anything_leaves_doubt_and_a_fresh_connection(settings):
    settings.EMAIL_BACKEND = "anymail.backends.test.EmailBackend"
    mail = a_mail()
    mail.anymail_test_response = AnymailAPIError("what now?")

    answer = transport.hand_over(mail, now=NOON)

    assert answer == Answer(Outcome.UNKNOWN, "AnymailAPIError")
    assert transport._connection is None


def test_the_provider_s_own_id_is_kept(settings):
    settings.EMAIL_BACKEND = "anymail.backends.test.EmailBackend"

    mail = a_mail()
    status = AnymailRecipientStatus(message_id="esp-1", status="sent")
    mail.anymail_test_response = {"recipient_status": {"a@example.com": status}}

    answer = transport.hand_over(mail, now=NOON)

    assert answer == Answer(Outcome.ACCEPTED, provider_id="esp-1")


def test_console_works(settings, capsys):
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"

    assert transport.hand_over(a_mail(), now=NOON) == Answer(Outcome.ACCEPTED)
    assert "Subject: Hello" in capsys.readouterr().out
