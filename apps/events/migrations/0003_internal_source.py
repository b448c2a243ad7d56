from django.db import migrations


def add_internal_source(apps, schema_editor):
    """The sender of our own events, such as an opened mail. Its keys hash nothing, so none fits."""
    apps.get_model("events", "Source").objects.create(
        name="Cuepost",
        public_key="internal",
        secret_key_hash="internal",
        secret_key_hint="none",
        is_internal=True,
    )


class Migration(migrations.Migration):
    dependencies = [("events", "0002_shards")]

    operations = [migrations.RunPython(add_internal_source, migrations.RunPython.noop)]
