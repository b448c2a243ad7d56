from django.db import migrations

PURPOSES = [
    ("email_marketing", "E-mail marketing", "Reminders, news and offers by e-mail."),
    ("tracking", "Tracking", "What you look at and buy is recorded to make mails fit you."),
]


def add_purposes(apps, schema_editor):
    purpose = apps.get_model("consent", "Purpose")
    purpose.objects.bulk_create(
        [purpose(key=key, name=name, description=text) for key, name, text in PURPOSES]
    )


class Migration(migrations.Migration):
    dependencies = [("consent", "0001_initial")]

    operations = [migrations.RunPython(add_purposes, migrations.RunPython.noop)]
