"""Wake a worker soon, without making the caller wait for the broker.

One daemon thread per process publishes; calls that come while it works are one nudge. A broker that
is down costs nothing but time: beat's next sweep finds the due rows.
"""

import logging
import threading
import time

from celery import current_app

logger = logging.getLogger(__name__)

DEBOUNCE = 0.005
# The tick that a nudge starts takes turns until nothing is left: a stream of events needs few.
SPACING = 0.05
PAUSE_AFTER_FAILURE = 5.0

_wanted = threading.Event()
_start_lock = threading.Lock()
_thread: threading.Thread | None = None


def nudge() -> None:
    """Ask for one tick; returns at once and never raises."""
    if _thread is None or not _thread.is_alive():
        _start()
    _wanted.set()


def _start() -> None:
    global _thread
    with _start_lock:
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_publish_forever, name="nudge", daemon=True)
            _thread.start()


def _publish_forever() -> None:
    while True:
        _wanted.wait()
        time.sleep(DEBOUNCE)
        _wanted.clear()
        try:
            current_app.send_task("core.tick", expires=10, retry=False)
            time.sleep(SPACING)
        except Exception as problem:
            logger.warning(
                "The broker took no nudge (%s); beat will sweep.", type(problem).__name__
            )
            time.sleep(PAUSE_AFTER_FAILURE)
