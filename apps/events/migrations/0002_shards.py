from django.db import migrations

SHARDS = 16


def add_shards(apps, schema_editor):
    shard = apps.get_model("events", "Shard")
    shard.objects.bulk_create([shard(number=number) for number in range(SHARDS)])


class Migration(migrations.Migration):
    dependencies = [("events", "0001_initial")]

    operations = [migrations.RunPython(add_shards, migrations.RunPython.noop)]
