"""Mail servers for tests: a real one that keeps what it takes, and one that misbehaves."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Sink:
    """What a server has taken; `answer_data` and `answer_rcpt` let it refuse, `delay` slows it."""

    port: int
    mails: list[EmailMessage] = field(default_factory=list)
    answer_data: str = "250 OK"
    answer_rcpt: dict[str, str] = field(default_factory=dict)
    delay: float = 0

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.answer_rcpt.get(address, "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.answer_data.startswith("250"):
            content = envelope.original_content or b""
            self.mails.append(message_from_bytes(content, policy=policy.SMTP))  # type: ignore[arg-type]
        return self.answer_data


@contextmanager
def smtp_server(port: int | None = None, *, delay: float = 0) -> Iterator[Sink]:
    sink = Sink(port or free_port(), delay=delay)
    controller = Controller(sink, hostname="127.0.0.1", port=sink.port)
    controller.start()
    try:
        yield sink
    finally:
        controller.stop()


@contextmanager
def scripted_server(script: list[bytes | None], *, pipelining: bool = False) -> Iterator[int]:
    """Answer each line, or body, with the next of the script; None hangs up instead."""
    listener = socket.create_server(("127.0.0.1", 0))
    hello = b"250-test\r\n250 PIPELINING\r\n" if pipelining else b"250 test\r\n"

    def serve() -> None:
        answers = iter([b"220 test\r\n", hello, *script])
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection, connection.makefile("rb") as lines:
            connection.sendall(next(answers))
            for answer in answers:
                if not _read_one(lines):
                    return
                if answer is None:
                    return
                connection.sendall(answer)
                if answer.startswith(b"354"):
                    _read_body(lines)
                    last = next(answers)
                    if last is None:
                        return
                    connection.sendall(last)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()
        thread.join(5)


def _read_one(lines: object) -> bytes:
    return lines.readline()  # type: ignore[attr-defined, no-any-return]


def _read_body(lines: object) -> None:
    while (line := _read_one(lines)) and line != b".\r\n":
        pass
