"""A nudge never makes its caller wait, and never fails."""

import time

from celery import current_app

from apps.core import nudge
from tests.brokers import use_broker


def wait_until(is_true, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def queued():
    with current_app.connection_for_read() as connection:
        queue = connection.SimpleQueue(current_app.conf.task_default_queue)
        return queue.qsize()


def clear():
    with current_app.connection_for_read() as connection:
        connection.SimpleQueue(current_app.conf.task_default_queue).clear()


def test_a_burst_of_nudges_becomes_few_tasks():
    clear()
    for _ in range(500):
        nudge.nudge()

    wait_until(lambda: queued() > 0)

    assert 1 <= queued() < 50


def test_a_dead_broker_costs_the_caller_nothing():
    with use_broker("redis://127.0.0.1:1/0"):
        began = time.monotonic()
        nudge.nudge()
        took = time.monotonic() - began

    assert took < 1
