"""Beat's timetable: what is missing is added, what staff have changed stays."""

from django_celery_beat.models import PeriodicTask

from apps.core import schedule


def test_every_registered_task_is_on_the_timetable(db):
    schedule.install()

    tick = PeriodicTask.objects.get(name="Tick")
    partitions = PeriodicTask.objects.get(name="Make event partitions")
    assert (tick.task, tick.schedule.run_every.total_seconds()) == ("core.tick", 0.5)
    assert tick.expire_seconds == schedule.EXPIRE_SECONDS
    assert partitions.schedule.run_every.days == 1


def test_what_staff_changed_stays(db):
    schedule.install()
    PeriodicTask.objects.filter(name="Tick").update(enabled=False)
    PeriodicTask.objects.filter(name="Make event partitions").delete()

    schedule.install()

    assert not PeriodicTask.objects.get(name="Tick").enabled
    assert PeriodicTask.objects.filter(name="Make event partitions").count() == 1
