#!/usr/bin/env python
"""Run a management command."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

from config.home import HomeError
from config.options import OptionError

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.dev")
    try:
        execute_from_command_line(sys.argv)
    except (ImproperlyConfigured, HomeError, OptionError) as problem:
        sys.exit(str(problem))
