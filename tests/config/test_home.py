"""What lies in CUEPOST_HOME is made once, for its owner only, and for one supervisor at a time."""

import stat

import pytest

from config import home
from config.home import HomeError


def test_a_secret_is_made_once_and_for_its_owner_only(tmp_path):
    secret = home.read_secret(tmp_path / "new", "SECRET_KEY")
    other = home.read_secret(tmp_path / "new", "HASH_KEY")

    assert home.read_secret(tmp_path / "new", "SECRET_KEY") == secret
    assert home.read_secret(tmp_path / "new", "HASH_KEY") == other
    assert other != secret
    assert len(secret) >= 50
    assert stat.S_IMODE((tmp_path / "new" / "secrets.json").stat().st_mode) == 0o600


def test_damaged_secrets_are_not_made_anew(tmp_path):
    (tmp_path / "secrets.json").write_text('{"SECRET_KEY": ')

    with pytest.raises(HomeError, match=r"secrets\.json is damaged"):
        home.read_secret(tmp_path, "SECRET_KEY")


def test_a_folder_is_for_one_supervisor_at_a_time(tmp_path):
    with home.lock(tmp_path), pytest.raises(HomeError, match=r"runs already on .*: stop it first"):
        home.lock(tmp_path)

    home.lock(tmp_path).close()


def test_a_folder_that_can_not_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(HomeError, match="set CUEPOST_HOME to another folder"):
        home.lock(tmp_path / "file")
    with pytest.raises(HomeError, match="set CUEPOST_HOME to another folder"):
        home.read_secret(tmp_path / "file", "SECRET_KEY")


def test_notes_are_empty_while_nothing_runs(tmp_path):
    assert home.read_database_url(tmp_path) == ""
    assert home.read_base_url(tmp_path) == ""

    home.write_private(tmp_path / home.DATABASE_FILE, "postgres://host/name\n")

    assert home.read_database_url(tmp_path) == "postgres://host/name"
