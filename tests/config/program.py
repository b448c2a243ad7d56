"""A program for the supervisor's tests: `python -m tests.config.program WHAT`."""

import os
import signal
import sys
import time


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(what: str) -> None:
    if what == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = os.fork()
        if child:
            say(f"child {child}")
    if what == "dying":
        sys.stdout.write("last words")
        sys.exit(3)
    say("ready")
    time.sleep(60)


if __name__ == "__main__":
    main(sys.argv[1])
