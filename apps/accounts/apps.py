from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate

from apps.core.roles import Role, register_roles


class AccountsConfig(AppConfig):
    name = "apps.accounts"

    def ready(self) -> None:
        from apps.accounts import receivers  # noqa: PLC0415 -- models are ready only now

        # Migrations are told of for apps that have models only.
        *_, last = (app for app in apps.get_app_configs() if app.models_module)
        post_migrate.connect(
            receivers.install_roles, sender=last, dispatch_uid="accounts.install_roles"
        )
        register_roles("accounts", {"accessrecord": {Role.PRIVACY_OFFICER: "view"}})
