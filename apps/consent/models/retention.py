"""How long each kind of data is kept."""

from django.core.validators import MinValueValidator
from django.db import models


class Retention(models.Model):
    """One kind of data, and after how many days it goes."""

    key = models.SlugField("data", primary_key=True, max_length=40, editable=False)
    keep_days = models.PositiveIntegerField(
        "kept for days",
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="What is older goes, each night. Empty: it stays until its person is erased.",
    )

    class Meta:
        verbose_name = "rule for how long data is kept"
        verbose_name_plural = "rules for how long data is kept"

    def __str__(self) -> str:
        return self.key.replace("_", " ").capitalize()
