"""Staff who work in the admin."""

from django.contrib.auth.models import AbstractUser


class User(AbstractUser):
    """One member of staff."""
