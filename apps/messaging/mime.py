"""A mail with a text and an HTML part, and a short way to its bytes.

Python's own generator handles every kind of mail and takes most of the time of a send. Ours
have one shape only: two parts in UTF-8, quoted-printable, under a handful of headers.
"""

import binascii
from datetime import datetime
from email.header import Header
from uuid import UUID

from django.core.mail import EmailMultiAlternatives
from django.core.mail.message import forbid_multi_line_headers

CRLF = "\r\n"
MAX_LINE = 76


class TwoPartMail(EmailMultiAlternatives):
    """One recipient, a text and an HTML body; works with every backend."""

    def __init__(
        self,
        *,
        public_id: UUID,
        subject: str,
        text: str,
        html: str,
        sender: str,
        to: str,
        headers: dict[str, str],
        at: datetime,
    ) -> None:
        super().__init__(subject, text, sender, [to], headers=headers)
        self.html = html
        self.at = at
        self.attach_alternative(html, "text/html")
        # Read by Anymail, and given back in the provider's webhooks.
        self.metadata = {"message_id": str(public_id)}
        self.boundary = f"=_{public_id.hex}"

    def as_wire(self) -> bytes:
        """The mail as it goes over the wire; raise ValueError for what no header may hold."""
        fields = {
            **self.extra_headers,
            "From": self.from_email,
            "To": self.to[0],
            "Subject": self.subject,
            "MIME-Version": "1.0",
            "Content-Type": f'multipart/alternative; boundary="{self.boundary}"',
        }
        head = "".join(_header(name, value) for name, value in fields.items())
        opening = f"--{self.boundary}{CRLF}".encode()
        return b"".join(
            [
                head.encode("ascii"),
                b"\r\n",
                opening,
                _part("plain", str(self.body)),
                opening,
                _part("html", self.html),
                f"--{self.boundary}--{CRLF}".encode(),
            ]
        )


def _header(name: str, value: str) -> str:
    """One header; ASCII of ordinary length as it is, everything else encoded by the book."""
    if value.isascii() and len(name) + len(value) + 2 <= MAX_LINE and value.isprintable():
        return f"{name}: {value}{CRLF}"
    if value.isascii() and " " not in value and value.isprintable():
        # One long word, such as an address for unsubscribing, has no place to fold.
        return f"{name}: {value}{CRLF}"
    if name in ("From", "To"):
        name, value = forbid_multi_line_headers(name, value, "utf-8")
        return f"{name}: {value}{CRLF}"
    forbid_multi_line_headers(name, value, "utf-8")
    charset = "us-ascii" if value.isascii() else "utf-8"
    folded = Header(value, charset, maxlinelen=MAX_LINE, header_name=name).encode(linesep=CRLF)
    return f"{name}: {folded}{CRLF}"


def _part(subtype: str, content: str) -> bytes:
    lines = content.replace("\r\n", "\n").replace("\r", "\n").replace("\n", CRLF)
    # With the line end that the boundary takes off again: without any, folds would end in bare LF.
    encoded = binascii.b2a_qp(f"{lines}{CRLF}".encode(), istext=True)
    head = (
        f"Content-Type: text/{subtype}; charset=utf-8{CRLF}"
        f"Content-Transfer-Encoding: quoted-printable{CRLF}{CRLF}"
    )
    return head.encode() + encoded
