"""Make .venv and fill it with pinned packages, wheels only: `python3 -I config/bootstrap.py base`.

Runs before anything is installed, perhaps under a Python that is too old: the standard library
only, and no syntax that is newer than what it has to refuse. The second run finds its stamp and
is over at once.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOG = VENV / "install.log"
OLDEST = (3, 11)
KNOWN_GOOD = ["python3.13", "python3.12", "python3.11", "python3.14"]
# What each kind of use installs; packages of the second file may refer to the first.
SETS = {"base": ["base"], "dev": ["base", "dev"]}
WHEELS_ONLY = ["--require-hashes", "--only-binary", ":all:"]


def main(kind: str) -> None:
    if sys.version_info < OLDEST:
        _run_under_newer_python()
    # One at a time: `make test` may be called while `make run` still installs.
    with _opened(ROOT) as folder:
        fcntl.flock(folder, fcntl.LOCK_EX)
        if not any(_is_installed(known) for known in SETS if set(SETS[kind]) <= set(SETS[known])):
            _install(kind)


@contextlib.contextmanager
def _opened(folder):  # type: ignore[no-untyped-def]
    descriptor = os.open(str(folder), os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _run_under_newer_python() -> None:
    """Go on under one that this machine has besides, or say what is missing."""
    probe = "import sys; sys.exit(sys.version_info < (3, 11))"
    for name in KNOWN_GOOD:
        path = shutil.which(name)
        if path and _succeeds([path, "-I", "-c", probe]):
            os.execv(path, [path, "-I", *sys.argv])  # noqa: S606 -- the same script again
    found = ".".join(str(part) for part in sys.version_info[:3])
    sys.exit(
        f"Cuepost needs Python 3.11 or newer, and {sys.executable} is {found}:"
        " install one, or name one with PYTHON=/path/to/python."
    )


# --- what is there -------------------------------------------------------------------------------


def _files(kind: str) -> "list[Path]":
    return [ROOT / "requirements" / f"{name}.txt" for name in SETS[kind]]


def _stamp(kind: str) -> Path:
    return VENV / f".installed-{kind}"


def _fingerprint(kind: str) -> str:
    """Changes with the pins, and with the place: a virtual environment can't be moved."""
    content = b"".join(path.read_bytes() for path in _files(kind))
    return hashlib.sha256(str(VENV).encode() + content).hexdigest()


def _is_installed(kind: str) -> bool:
    try:
        return PYTHON.exists() and _stamp(kind).read_text() == _fingerprint(kind)
    except OSError:
        return False


def _is_usable() -> bool:
    """Whether .venv is whole, ours and new enough, so that packages may be added to it."""
    probe = (
        "import pathlib, pip, sys; sys.exit("
        f"sys.version_info < (3, 11) or pathlib.Path(sys.prefix) != pathlib.Path({str(VENV)!r}))"
    )
    return PYTHON.exists() and _succeeds([str(PYTHON), "-I", "-c", probe])


# --- making it -----------------------------------------------------------------------------------


def _install(kind: str) -> None:
    if not _is_usable():
        _make_venv()
    print("Installing packages into .venv, once.", flush=True)  # noqa: T201 -- for who waits
    LOG.write_bytes(b"")
    requirements = [part for path in _files(kind) for part in ("-r", str(path))]
    if not (_install_with_uv(requirements) or _install_with_pip(requirements)):
        sys.exit(_explain(LOG.read_text(errors="replace")))
    _stamp(kind).write_text(_fingerprint(kind))


def _make_venv() -> None:
    command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    if not _succeeds([sys.executable, "-I", "-c", "import ensurepip, venv"]):
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        sys.exit(
            f"This Python can't make virtual environments: install python{version}-venv"
            f" (as root: apt-get install python{version}-venv) and run it again."
        )
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)  # noqa: S603
    if done.returncode:
        reason = done.stdout.decode(errors="replace").strip().split("\n")[-1]
        sys.exit(f"{VENV} can't be made ({reason}): put that right and run it again.")


def _install_with_uv(requirements: "list[str]") -> bool:
    """Three times as fast as pip; only where its own wheel fits this machine."""
    own = ["-r", str(ROOT / "requirements" / "uv.txt")]
    if not _logged([str(PYTHON), "-m", "pip", "install", "--quiet", *WHEELS_ONLY, *own]):
        return False
    command = [str(PYTHON), "-m", "uv", "pip", "install", "--quiet", "--python", str(PYTHON)]
    environment = dict(os.environ)
    mirror = _mirror_of_pip()
    if mirror and "UV_DEFAULT_INDEX" not in environment:
        environment["UV_DEFAULT_INDEX"] = mirror
    return _logged([*command, "--compile-bytecode", *WHEELS_ONLY, *requirements], environment)


def _install_with_pip(requirements: "list[str]") -> bool:
    return _logged([str(PYTHON), "-m", "pip", "install", "--quiet", *WHEELS_ONLY, *requirements])


def _mirror_of_pip() -> str:
    """The index that pip was told to use; uv doesn't read pip's configuration."""
    command = [str(PYTHON), "-m", "pip", "config", "get", "global.index-url"]
    found = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)  # noqa: S603
    return os.environ.get("PIP_INDEX_URL") or found.stdout.decode().strip()


def _explain(log: str) -> str:
    """One sentence for what went wrong most likely; the log has the rest."""
    if any(sign in log for sign in ("No space left", "os error 28", "Disk quota")):
        return "The packages can't be installed because the disk is full: free space, run it again."
    if any(sign in log for sign in ("no wheels", "No matching distribution", "no usable wheels")):
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        return (
            f"A package has no ready-made wheel for Python {version} on this machine, {LOG} names"
            " it: name another Python with PYTHON=/path/to/python, best 3.11 to 3.13."
        )
    return f"The packages can't be installed, {LOG} says why: check the network and run it again."


# --- running -------------------------------------------------------------------------------------


def _succeeds(command: "list[str]") -> bool:
    try:
        return subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0  # noqa: S603
    except OSError:
        return False


def _logged(command: "list[str]", environment: "dict[str, str] | None" = None) -> bool:
    with LOG.open("ab") as log:
        return subprocess.call(command, stdout=log, stderr=log, env=environment) == 0  # noqa: S603


if __name__ == "__main__":
    main(sys.argv[1])
