from datetime import timedelta

from django.apps import AppConfig

from apps.core.registry import PeriodicTask, register_periodic_task


class CoreConfig(AppConfig):
    name = "apps.core"

    def ready(self) -> None:
        register_periodic_task(PeriodicTask("Tick", "core.tick", timedelta(seconds=0.5)))
