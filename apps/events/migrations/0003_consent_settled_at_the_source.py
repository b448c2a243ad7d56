from django.db import migrations, models

FIELD = {
    "verbose_name": "consent is settled at the source",
    "help_text": "On: this website or server sends only what people have allowed, so an event that says nothing about consent is kept. Off: such an event is kept only where the person has allowed tracking, or lives where the law waits for a no.",
}


class Migration(migrations.Migration):

    dependencies = [
        ('events', '0002_hide_browsers'),
    ]

    operations = [
        # The sources that are there go on as they did.
        migrations.AddField("source", "is_consent_settled", models.BooleanField(default=True, **FIELD)),
        migrations.AlterField("source", "is_consent_settled", models.BooleanField(default=False, **FIELD)),
    ]
