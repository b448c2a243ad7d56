"""The product as processes, on a database server of its own."""

import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings

from config.postgres import Server, free_port


@dataclass
class Installation:
    """Commands and servers that share one database and one home."""

    home: Path
    url: str = ""
    server: Server = field(init=False)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server = Server(self.home / "postgres")

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "DJANGO_SETTINGS_MODULE": "config.settings.dev",
            "CUEPOST_HOME": str(self.home),
            "DATABASE_URL": self.url,
            "DEMO": "1",
        }

    def start_database(self) -> None:
        self.url = self.server.start()

    def manage(self, *arguments: str, **changes: str) -> str:
        """Run a command to its end and return what it prints."""
        result = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=settings.BASE_DIR,
            env={**self.environment, **changes},
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    def spawn(self, *arguments: str, **changes: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=settings.BASE_DIR,
            env={**self.environment, **changes},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def serve(self) -> int:
        """Start the web server; return its port once it answers."""
        port = free_port()
        arguments = ["--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)]
        arguments += ["--blocking-threads", "4", "--workers-kill-timeout", "5"]
        process = self.spawn("-m", "granian", *arguments, "config.wsgi:application")
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            assert process.poll() is None
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return port
        raise TimeoutError("The web server does not answer.")

    def query(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else []

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.server.stop()
