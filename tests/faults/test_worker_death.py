"""A worker is killed while it sends: nothing goes out twice, and what can't be known is shown."""

import time
from collections import Counter
from datetime import UTC, datetime, timedelta

from tests.faults.installation import Installation
from tests.messaging.sink import smtp_server

MAILS = 200
SEED = """
from datetime import datetime, UTC
from apps.consent import services as consent
from apps.contacts.models import Contact
from apps.messaging import services as messaging
from apps.messaging.models import Template
now = datetime.now(UTC)
html = '<p>Hello</p><a href="{{{{ links.unsubscribe }}}}">Unsubscribe</a>'
template = Template.objects.create(key="hello", name="Hello")
messaging.publish(template=template, subject="Hello", html=html, now=now)
people = Contact.objects.bulk_create(
    Contact(email=f"person-{{number}}@example.com") for number in range({count})
)
statements = [
    consent.Statement(
        contact_id=person.pk, purpose="email_marketing", status="granted", method="form"
    )
    for person in people
]
consent.record_consents(statements=statements, now=now)
requests = [
    messaging.MessageRequest(
        send_key=f"test:{{person.pk}}",
        contact_id=person.pk,
        template_key="hello",
        origin_type="test",
        origin_id=1,
    )
    for person in people
]
messaging.queue_messages(requests=requests, now=now)
"""


def statuses(installation: Installation) -> Counter[str]:
    return Counter(
        dict(installation.query("SELECT status, count(*) FROM messaging_message GROUP BY status"))
    )


def wait_for_mails(sink, count: int) -> None:
    deadline = time.monotonic() + 30
    while len(sink.mails) < count:
        assert time.monotonic() < deadline, "the worker sends nothing"
        time.sleep(0.01)


def test_three_killed_workers_send_nothing_twice_and_lose_nothing(installation):
    installation.manage("shell", "--verbosity=0", "-c", SEED.format(count=MAILS))
    with smtp_server(delay=0.01) as sink:
        mail = f"smtp://127.0.0.1:{sink.port}"
        for killed in range(3):
            worker = installation.spawn("manage.py", "tick", EMAIL_URL=mail)
            wait_for_mails(sink, 5 + 20 * killed)
            worker.kill()
            worker.wait()
        # After the leases have run out, everything that may still go does.
        later = datetime.now(UTC) + timedelta(minutes=2)
        while statuses(installation).keys() & {"queued", "claimed", "sending"}:
            later += timedelta(seconds=1)
            installation.manage("tick", "--now", later.isoformat(), EMAIL_URL=mail)
        arrived = Counter(taken["Message-ID"] for taken in sink.mails)

    found = statuses(installation)
    assert set(arrived.values()) == {1}
    assert found["sent"] + found["in_doubt"] == MAILS
    assert found["sent"] <= len(arrived) <= MAILS
    assert 1 <= found["in_doubt"] <= 3 * 20
