"""How the work on files is woken up, and that two workers don't do it twice."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction

from apps.contacts import importing, tasks, uploads
from apps.contacts.models import Contact, ImportJob
from tests.contacts.sheets import check, upload
from tests.instants import NOON


@pytest.fixture(autouse=True)
def home(settings, tmp_path):
    settings.CUEPOST_HOME = tmp_path
    return tmp_path


def test_a_nudge_works_until_its_time_is_over_and_asks_for_the_next(db, monkeypatch):
    monkeypatch.setattr(tasks, "SECONDS_PER_TASK", 0)
    asked = []
    monkeypatch.setattr(tasks.work_on_imports, "delay", lambda: asked.append(1))
    job = upload("email\na@example.com\n")
    uploads.check(job=job, mapping=job.mapping, constants={})

    for _ in range(3):
        tasks.work_on_imports()

    job.refresh_from_db()
    assert (job.status, len(asked)) == ("checked", 2)


def test_old_files_are_forgotten(db, home):
    upload("email\na@example.com\n", now=NOON - timedelta(days=3650))

    tasks.forget_files()

    assert ImportJob.objects.get().status == "canceled"
    assert list((home / "imports").iterdir()) == []


@pytest.mark.django_db(transaction=True)
def test_a_file_that_somebody_has_in_hand_is_left_alone():
    job = check("email\na@example.com\n")
    uploads.run(job=job)
    answers = []

    def work() -> None:
        answers.append(importing.step(now=NOON))
        connection.close()

    with transaction.atomic():
        ImportJob.objects.select_for_update().get(pk=job.pk)
        other = threading.Thread(target=work)
        other.start()
        other.join(30)

    assert answers == [False]
    assert not Contact.objects.exists()


def test_a_database_that_gives_up_again_and_again_ends_the_import(db, monkeypatch):
    job = check("email\na@example.com\n")
    uploads.run(job=job)
    monkeypatch.setattr(importing, "_keep", _deadlock)

    steps = [importing.step(now=NOON) for _ in range(importing.MAX_FAILURES + 1)]

    job.refresh_from_db()
    assert steps == [True] * importing.MAX_FAILURES + [False]
    assert (job.status, job.problem) == ("failed", "The database gave up 5 times near row 2.")
    assert not Contact.objects.exists()


def _deadlock(*_: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40P01'; END $$")
