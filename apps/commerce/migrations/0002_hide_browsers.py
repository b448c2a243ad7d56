from django.db import migrations

from apps.core.pseudonyms import hide_column


def hide(apps, schema_editor):
    """Browsers' IDs become pseudonyms; what is one already stays."""
    hide_column(table="commerce_cart", column="anonymous_id")
    hide_column(table="commerce_order", column="anonymous_id")


class Migration(migrations.Migration):

    # Batch by batch: it can be broken off, and goes on where it was.
    atomic = False

    dependencies = [
        ('commerce', '0001_initial'),
    ]

    operations = [migrations.RunPython(hide, migrations.RunPython.noop, elidable=True)]
