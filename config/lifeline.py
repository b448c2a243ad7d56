"""A child ends with the process that started it, also where that one was killed without warning."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

# Set by the supervisor for its children; elsewhere a process manager of its own may be at work.
SUPERVISED = "CUEPOST_SUPERVISED"
_PR_SET_PDEATHSIG = 1


def held_by_parent(last_signal: signal.Signals = signal.SIGKILL) -> Callable[[], None]:
    """Return what a new child has to call before it runs its program (`preexec_fn`).

    The kernel sends the signal when the thread that made the child ends: make it in the main one.
    """
    parent = os.getpid()
    prctl = _find_prctl()

    def hold() -> None:
        if prctl:
            prctl(_PR_SET_PDEATHSIG, int(last_signal), 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)

    return hold


def hold_to_leader() -> None:
    """For the children of our children: end with the one that leads the session.

    granian's and Celery's main processes start their workers themselves and may be killed, too.
    """
    prctl = _find_prctl()
    if prctl and os.environ.get(SUPERVISED):
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != os.getsid(0):
            os._exit(1)


def _find_prctl() -> Callable[..., int] | None:
    """Linux has it; elsewhere a killed supervisor leaves children, which the next start meets."""
    if not sys.platform.startswith("linux"):
        return None
    found: Callable[..., int] = ctypes.CDLL(None).prctl
    return found
