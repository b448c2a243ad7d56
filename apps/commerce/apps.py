from django.apps import AppConfig

from apps.contacts.registry import Panel, register_panel
from apps.core.roles import Role, register_roles
from apps.events.registry import Projection, register_projection


class CommerceConfig(AppConfig):
    name = "apps.commerce"

    def ready(self) -> None:
        from apps.commerce import (  # noqa: PLC0415 -- models are ready only now
            merging,
            panel,
            personal,
            projection,
            retention,
            traces,
        )

        merging.register()
        personal.register()
        retention.register()
        traces.register()
        register_projection(Projection("commerce", 40, projection.apply))
        register_panel(
            Panel(
                "commerce", 30, "commerce.view_cart", "admin/commerce/contact_panel.html",
                panel.read_panel,
            )
        )  # fmt: skip
        register_roles(
            "commerce",
            {
                "cart": {Role.MARKETER: "view", Role.ANALYST: "view", Role.PRIVACY_OFFICER: "view"},
                "order": {
                    Role.MARKETER: "view",
                    Role.ANALYST: "view",
                    Role.PRIVACY_OFFICER: "view",
                },
                "product": {Role.MARKETER: "view add change delete", Role.ANALYST: "view"},
            },
        )
