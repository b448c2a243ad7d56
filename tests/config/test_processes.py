"""One process of the product: its output is passed on, its death is told, nothing survives it."""

import os
import time
from pathlib import Path

import pytest

from config.processes import Process, Program


@pytest.fixture
def said():
    return []


def start(what, said, *, seconds_to_stop=5.0):
    program = Program("program", ["tests.config.program", what], seconds_to_stop)
    process = Process(program, {}, said.append)
    process.start()
    return process


def wait_for(is_true, process=None):
    deadline = time.monotonic() + 20
    while not is_true():
        assert time.monotonic() < deadline
        if process:
            process.pass_on_output()
        time.sleep(0.01)


def stop(process, *, is_hurried=False):
    process.ask_to_end()
    process.end(time.monotonic() + process.program.seconds_to_stop, is_hurried=lambda: is_hurried)


def is_alive(pid):
    """A zombie that nobody has taken away yet is not."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except OSError:
        return False


def test_output_is_passed_on_line_by_line(said):
    process = start("quiet", said)
    wait_for(lambda: said == ["ready"], process)

    stop(process)

    assert process.output is None
    assert said == ["ready"]


@pytest.mark.parametrize(("seconds", "is_hurried"), [(0.2, False), (60.0, True)])
def test_one_that_refuses_to_end_is_killed_with_its_children(said, seconds, is_hurried):
    process = start("stubborn", said, seconds_to_stop=seconds)
    wait_for(lambda: said.count("ready") == 2, process)
    # Either may be ready first.
    (told,) = [line for line in said if line.startswith("child ")]
    child = int(told.removeprefix("child "))
    began = time.monotonic()

    stop(process, is_hurried=is_hurried)

    wait_for(lambda: not is_alive(child))
    assert time.monotonic() - began < 10


def test_a_death_is_told_and_each_next_start_waits_longer(said):
    process = start("dying", said)
    wait_for(process.is_over)
    process.bury()
    first = process.starts_at - time.monotonic()
    process.start()
    wait_for(process.is_over)
    process.bury()
    second = process.starts_at - time.monotonic()

    assert said == [
        "last words",
        "ended by itself (exit code 3); it is started again in 0.5 s.",
        "last words",
        "ended by itself (exit code 3); it is started again in 1 s.",
    ]
    assert 0 < first <= 0.5 < second <= 1


def test_a_killed_one_is_told_by_its_signal(said):
    process = start("quiet", said)
    wait_for(lambda: said == ["ready"], process)
    os.kill(process._popen.pid, 9)
    wait_for(process.is_over)

    process.bury()

    assert said[-1] == "ended by itself (killed by SIGKILL); it is started again in 0.5 s."
