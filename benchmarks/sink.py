"""A small asyncio SMTP sink: takes mail as fast as it comes and forgets it.

Run as `python -m benchmarks.sink PORT [LOG]`; with LOG it appends one line a mail: the time by the
monotonic clock, and the recipient. Python's own SMTP servers take about a fifth of this rate and
would be the limit.
"""

import asyncio
import contextlib
import sys
import time
from pathlib import Path
from typing import TextIO


class Sink(asyncio.Protocol):
    """One SMTP conversation (RFC 5321) with PIPELINING, as every mail server of today offers it."""

    log: TextIO | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.buffer = b""
        self.recipient = b""
        self.in_data = False
        self.answers: list[bytes] = []
        self.answer(b"220 sink")
        self._write_answers()

    def answer(self, line: bytes) -> None:
        self.answers.append(line + b"\r\n")

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (self.in_data and self._take_body()) or (not self.in_data and self._take_line()):
            pass
        self._write_answers()

    def _write_answers(self) -> None:
        """All at once: commands that came together are answered together."""
        self.transport.write(b"".join(self.answers))  # type: ignore[attr-defined]
        self.answers.clear()

    def _take_body(self) -> bool:
        _, dot, rest = self.buffer.partition(b"\r\n.\r\n")
        if not dot:
            return False
        self.buffer, self.in_data = rest, False
        if self.log:
            self.log.write(f"{time.monotonic()} {self.recipient.decode()}\n")
        self.answer(b"250 taken")
        return True

    def _take_line(self) -> bool:
        line, end, rest = self.buffer.partition(b"\r\n")
        if not end:
            return False
        self.buffer = rest
        verb = line[:4].upper()
        if verb == b"EHLO":
            self.answer(b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME")
        elif verb == b"DATA":
            self.in_data = True
            self.answer(b"354 go on")
        elif verb == b"QUIT":
            self.answer(b"221 bye")
            self._write_answers()
            self.transport.close()
        else:
            if verb == b"RCPT":
                self.recipient = line[9:-1].partition(b">")[0]
            self.answer(b"250 ok")
        return True


async def serve(port: int, log: Path | None) -> None:
    if log:
        Sink.log = log.open("a", buffering=1)
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None))
