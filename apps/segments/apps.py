from django.apps import AppConfig

from apps.core.roles import Role, register_roles


class SegmentsConfig(AppConfig):
    name = "apps.segments"

    def ready(self) -> None:
        from apps.segments import personal  # noqa: PLC0415 -- models are ready only now

        personal.register()
        register_roles(
            "segments",
            {
                "segment": {Role.MARKETER: "view add change", Role.ANALYST: "view"},
            },
        )
