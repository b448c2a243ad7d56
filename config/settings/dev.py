"""On one machine: what `make run` uses."""

from .base import *  # noqa: F403
