"""For the internet: every secret comes from the environment, nothing is defaulted."""

from .base import *  # noqa: F403
from .base import BASE_URL, HASH_KEY, SECRET_KEY, env
