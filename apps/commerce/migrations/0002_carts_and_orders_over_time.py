from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("commerce", "0001_initial")]

    operations = [
        migrations.RemoveConstraint("cart", "cart_one_open_without_key_per_contact"),
        migrations.RemoveConstraint("cart", "cart_one_open_without_key_per_browser"),
        migrations.RemoveIndex("cart", "cart_by_anonymous"),
        migrations.AddField(
            "cart",
            "url",
            models.CharField(
                "page",
                blank=True,
                default="",
                help_text="Where this cart is, if the shop tells.",
                max_length=2000,
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            "cart",
            "is_trusted",
            models.BooleanField(
                default=False, help_text="Whether only the shop's server has filled it, no browser."
            ),
        ),
        migrations.AddField(
            "cart",
            "settled_at",
            models.DateTimeField(
                blank=True,
                help_text=(
                    "When the shop last told the whole cart, or its order. Changes from before "
                    "that time are contained in it, even if they are reported later."
                ),
                null=True,
            ),
        ),
        migrations.AlterField(
            "cartitem",
            "added_at",
            models.DateTimeField(help_text="When it was last put in or listed."),
        ),
        migrations.AddField(
            "order",
            "is_trusted",
            models.BooleanField(
                default=False,
                help_text="Whether the shop's server has reported it, not only a browser.",
            ),
            preserve_default=False,
        ),
        migrations.AlterField(
            "order",
            "status",
            models.CharField(
                choices=[
                    ("completed", "completed"),
                    ("canceled", "canceled"),
                    ("refunded", "refunded"),
                ],
                default="completed",
                max_length=16,
            ),
        ),
        migrations.AddIndex(
            "cart",
            models.Index(
                condition=Q(contact=None),
                fields=["anonymous_id", "-changed_at"],
                name="cart_by_anonymous",
            ),
        ),
        migrations.AddConstraint(
            "cart",
            models.UniqueConstraint(
                condition=~Q(status="ordered") & Q(is_keyed_by_shop=False) & ~Q(contact=None),
                fields=("contact",),
                name="cart_one_without_key_per_contact",
            ),
        ),
        migrations.AddConstraint(
            "cart",
            models.UniqueConstraint(
                condition=~Q(status="ordered") & Q(is_keyed_by_shop=False, contact=None),
                fields=("anonymous_id",),
                name="cart_one_without_key_per_browser",
            ),
        ),
        migrations.AddIndex(
            "order",
            models.Index(
                condition=Q(contact=None),
                fields=["anonymous_id", "-ordered_at"],
                name="order_by_anonymous",
            ),
        ),
    ]
