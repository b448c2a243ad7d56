"""The index page of the admin, and the schedules of Celery beat in its dress."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django_celery_beat import admin as beat
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from apps.core import registry, selectors
from apps.core.backoffice import ReadOnlyInline, StaffAdmin, has_perm
from apps.core.views import MAX_LAG

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin as BeatPeriodicTaskAdmin
else:
    BeatPeriodicTaskAdmin = beat.PeriodicTaskAdmin

admin.site.unregister(
    [PeriodicTask, IntervalSchedule, CrontabSchedule, SolarSchedule, ClockedSchedule]
)


# An event's way, in which the index tells of the queues.
WAY = ["inbox", "engine", "outbox"]


def _way(probe: registry.Probe) -> int:
    return WAY.index(probe.name) if probe.name in WAY else len(WAY)


def prepare_index(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What the index page shows: how the queues are doing, and what the apps have to tell."""
    now = timezone.now()

    def may(permission: str) -> bool:
        return has_perm(request, permission)

    lags = selectors.measure_lags(now=now)
    return {
        **context,
        "heading": "Overview",
        "title": "Overview",
        "queues": [
            (probe.label, lags[probe.name]) for probe in sorted(registry.probes(), key=_way)
        ],
        "max_lag": MAX_LAG,
        "boards": selectors.read_boards(now=now, may=may),
        "first_steps": selectors.find_first_steps(may=may),
    }


class TaskSelect(UnfoldAdminSelectWidget, beat.TaskSelectWidget):  # type: ignore[misc]
    """The tasks that are there, in the admin's dress."""


class PeriodicTaskForm(beat.PeriodicTaskForm):  # type: ignore[misc]
    """The same form with the admin's fields."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "regtask" in self.fields:
            self.fields["regtask"].widget = TaskSelect()
            self.fields["task"].widget = UnfoldAdminTextInputWidget()


class TaskInline(ReadOnlyInline):
    """What runs by a schedule."""

    model = PeriodicTask
    fields = ["name", "task", "enabled"]
    readonly_fields = ["name", "task", "enabled"]
    verbose_name_plural = "tasks that run by this schedule"
    show_change_link = True


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(StaffAdmin, BeatPeriodicTaskAdmin):
    """What beat wakes up, and how often."""

    heading = "Periodic tasks"
    form = PeriodicTaskForm
    date_hierarchy = None
    list_display = ["name", "enabled", "scheduler", "last_run_at"]
    list_filter = ["enabled"]
    ordering = ["name"]
    # The package's own page writes a script into the HTML, which the admin's policy forbids.
    change_form_template = None

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """The package asks for no permission; whoever may only look runs and stops nothing."""
        may_change = self.has_change_permission(request)
        return super().get_actions(request) if may_change else {}


class ScheduleAdmin(StaffAdmin):
    inlines = [TaskInline]


@admin.register(IntervalSchedule)
class IntervalScheduleAdmin(ScheduleAdmin):
    """Every so many seconds."""

    list_display = ["__str__", "every", "period"]


@admin.register(CrontabSchedule)
class CrontabScheduleAdmin(ScheduleAdmin):
    """At these minutes of these hours of these days."""

    list_display = ["__str__", "human_readable"]
    readonly_fields = ["human_readable"]


@admin.register(SolarSchedule)
class SolarScheduleAdmin(ScheduleAdmin):
    """At sunrise, for example."""


@admin.register(ClockedSchedule)
class ClockedScheduleAdmin(ScheduleAdmin):
    """Once, at a given time."""

    list_display = ["clocked_time"]
