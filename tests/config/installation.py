"""`make run` as a process of its own, watched as its owner would watch it."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil
from django.conf import settings

SECONDS_TO_START = 90.0
SECONDS_TO_STOP = 30.0


class Installation:
    """One home and one port; started, stopped and killed again and again."""

    def __init__(self, home: Path, port: int, **environment: str) -> None:
        self.home = home
        self.port = port
        self.environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            "CUEPOST_HOME": str(home),
            "PORT": str(port),
            **environment,
        }
        self.process: subprocess.Popen[str] | None = None
        self.log = home.with_suffix(".log")

    def start(self) -> psutil.Process:
        """Start it and wait until it says that it runs."""
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "config.supervisor"],
                cwd=settings.BASE_DIR,
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        self.wait_for("Cuepost is running.")
        return psutil.Process(self.process.pid)

    def refuse(self, *command: str, **changes: str) -> tuple[int, str]:
        """Start it where it can't; return its exit code and what it says."""
        done = subprocess.run(
            [sys.executable, *(command or ("-m", "config.supervisor"))],
            cwd=settings.BASE_DIR,
            env={**self.environment, **changes},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, (done.stdout + done.stderr).strip()

    def wait_for(self, words: str) -> None:
        deadline = time.monotonic() + SECONDS_TO_START
        while words not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def stop(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(SECONDS_TO_STOP)

    def notes(self) -> dict[str, str]:
        return json.loads((self.home / "demo.json").read_text())

    def get(self, path: str) -> tuple[int, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return answer.status, answer.read()


def living(processes: list[psutil.Process], *, seconds: float = 10.0) -> list[str]:
    """Which of them are still there after a moment; a zombie is nobody."""
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    return [" ".join(one.cmdline()) for one in alive if one.status() != psutil.STATUS_ZOMBIE]
