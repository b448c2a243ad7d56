from datetime import timedelta

from django.apps import AppConfig
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate

from apps.core.registry import PeriodicTask, register_periodic_task


class CoreConfig(AppConfig):
    name = "apps.core"

    def ready(self) -> None:
        from apps.core import broker, database, schedule  # noqa: PLC0415 -- models are ready only now

        register_periodic_task(PeriodicTask("Tick", "core.tick", timedelta(seconds=0.5)))
        connection_created.connect(database.prepare_connection, dispatch_uid="core.database")
        # Core migrates last, so all tables are there by then.
        post_migrate.connect(broker.install, sender=self, dispatch_uid="core.broker")
        post_migrate.connect(schedule.install, sender=self, dispatch_uid="core.schedule")
