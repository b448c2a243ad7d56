"""What `make` does before there is anything: it runs under old Pythons, and only when it must."""

import ast
import inspect
from pathlib import Path

import pytest

from config import bootstrap


@pytest.fixture
def venv(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / ".venv"
    monkeypatch.setattr(bootstrap, "VENV", folder)
    monkeypatch.setattr(bootstrap, "PYTHON", folder / "bin" / "python")
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").touch()
    return folder


def finish(kind):
    bootstrap._stamp(kind).write_text(bootstrap._fingerprint(kind))


def test_it_is_readable_for_the_pythons_it_refuses():
    ast.parse(inspect.getsource(bootstrap), feature_version=(3, 6))


def test_an_environment_is_made_once(venv, monkeypatch):
    installed = []
    monkeypatch.setattr(bootstrap, "_install", lambda kind: (installed.append(kind), finish(kind)))

    bootstrap.main("base")
    bootstrap.main("base")
    bootstrap.main("dev")
    bootstrap.main("dev")

    assert installed == ["base", "dev"]


def test_what_tests_need_holds_what_the_product_needs(venv, monkeypatch):
    monkeypatch.setattr(bootstrap, "_install", pytest.fail)
    finish("dev")

    bootstrap.main("base")


def test_other_pins_another_place_or_a_lost_python_make_it_anew(venv, monkeypatch):
    finish("base")
    assert bootstrap._is_installed("base")

    (venv / "bin" / "python").unlink()
    assert not bootstrap._is_installed("base")

    (venv / "bin" / "python").touch()
    monkeypatch.setattr(bootstrap, "VENV", venv.rename(venv.with_name("moved")))
    monkeypatch.setattr(bootstrap, "PYTHON", venv.with_name("moved") / "bin" / "python")
    assert not bootstrap._is_installed("base")


@pytest.mark.parametrize(
    ("log", "sentence"),
    [
        ("error: No space left on device (os error 28)", "the disk is full"),
        ("hint: `lxml` has no wheels with a matching Python ABI tag", "no ready-made wheel"),
        ("ERROR: No matching distribution found for lxml==6.1.3", "no ready-made wheel"),
        ("error: Failed to fetch, timed out", "check the network"),
    ],
)
def test_a_failure_is_explained_in_one_sentence(log, sentence):
    explained = bootstrap._explain(log)

    assert sentence in explained
    assert explained.count("\n") == 0
    assert explained.endswith(".")
