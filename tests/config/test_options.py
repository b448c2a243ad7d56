"""What the environment says is read, and what is malformed is named before anything starts."""

import socket
from dataclasses import replace

import pytest

from config.options import (
    BASE_DIR,
    OptionError,
    read_choice,
    read_count,
    read_email_url,
    read_hosts,
    read_log_level,
    read_options,
    read_patterns,
    require_free_port,
)


def test_everything_has_a_default():
    options = read_options({})

    assert options.home == BASE_DIR / "var"
    assert (options.host, options.port) == ("127.0.0.1", 8000)
    assert options.base_url == "http://127.0.0.1:8000"
    assert (options.database_url, options.redis_url) == ("", "")
    assert options.is_demo


@pytest.mark.parametrize(
    ("environ", "base_url"),
    [
        ({"PORT": "8123"}, "http://127.0.0.1:8123"),
        ({"PORT": "8123", "HOST": "0.0.0.0"}, "http://127.0.0.1:8123"),  # noqa: S104
        ({"HOST": "::1"}, "http://[::1]:8000"),
        ({"HOST": "192.0.2.7", "PORT": "80"}, "http://192.0.2.7:80"),
        ({"BASE_URL": "https://mail.shop.example/"}, "https://mail.shop.example"),
        ({"BASE_URL": "", "PORT": ""}, "http://127.0.0.1:8000"),
    ],
)
def test_base_url_follows_host_and_port(environ, base_url):
    assert read_options(environ).base_url == base_url


@pytest.mark.parametrize(
    ("text", "is_demo"), [("0", False), ("no", False), ("1", True), ("", True)]
)
def test_demo_is_on_unless_it_is_refused(text, is_demo):
    options = read_options({"DEMO": text})

    assert options.is_demo is is_demo
    assert options.environment()["DEMO"] == ("1" if is_demo else "0")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "abc"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", "80.0"),
        ("PORT", "²"),
        ("BASE_URL", "shop.example"),
        ("BASE_URL", "ftp://shop.example"),
        ("BASE_URL", "http://"),
        ("BASE_URL", "http://shop.example:port"),
        ("DATABASE_URL", "cuepost"),
        ("DATABASE_URL", "mysql://user@host/name"),
        ("DATABASE_URL", "postgres://user:secret@host:port/name"),
        ("DATABASE_URL", "postgres://user:secret@host"),
        ("DATABASE_URL", "postgres://user:secret@[host/name"),
        ("REDIS_URL", "localhost"),
        ("REDIS_URL", "http://localhost"),
    ],
)
def test_a_malformed_variable_is_named_and_a_password_is_not(name, value):
    with pytest.raises(OptionError) as refusal:
        read_options({name: value})

    sentence = str(refusal.value)
    assert sentence.startswith(f"{name} must ")
    assert sentence.endswith(".")
    assert "secret" not in sentence


def test_the_settings_name_their_malformed_variables():
    with pytest.raises(OptionError, match=r"^EMAIL_URL must look like smtp://"):
        read_email_url("mailto:somebody")
    with pytest.raises(OptionError, match=r"^GATE_BATCH must be a whole number from 1 up"):
        read_count("GATE_BATCH", "0")
    with pytest.raises(OptionError, match=r"^SHOP_HOSTS must be hosts .*, not 'https://a.b'"):
        read_hosts("SHOP_HOSTS", "shop.example, https://a.b")
    with pytest.raises(OptionError, match=r"^BLOCKED_IDS must be words .*, not 'a\*b'"):
        read_patterns("BLOCKED_IDS", "test@*, A*b")
    with pytest.raises(OptionError, match=r"^LOG_LEVEL must be one of DEBUG, INFO"):
        read_log_level("loud")
    with pytest.raises(OptionError, match=r"^KEEP must be one of all, none, not 'some'"):
        read_choice("KEEP", "some", {"none", "all"})


def test_well_formed_settings_are_taken():
    url = "smtp://user:password@host:587?tls=True"

    assert read_email_url(url) == url
    assert read_email_url("") == ""
    assert read_count("GATE_BATCH", "20") == 20
    assert read_hosts("SHOP_HOSTS", " Shop.example,www.shop.example,") == [
        "shop.example",
        "www.shop.example",
    ]
    assert read_hosts("SHOP_HOSTS", "") == []
    assert read_patterns("BLOCKED_IDS", " Test@*, till,") == ("test@*", "till")
    assert read_log_level("debug") == "DEBUG"
    assert read_choice("KEEP", "All", {"none", "all"}) == "all"


def test_a_port_in_use_is_told_with_another_one(monkeypatch):
    monkeypatch.setattr("config.options.SECONDS_TO_WAIT_FOR_PORT", 0.0)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        options = replace(read_options({}), port=port)

        with pytest.raises(OptionError, match=rf"^Port {port} .*PORT={port + 1}\.$"):
            require_free_port(options)

    require_free_port(options)


@pytest.mark.parametrize("host", ["nowhere.invalid", "203.0.113.7"])
def test_a_host_that_is_not_of_this_machine_is_named(host):
    with pytest.raises(OptionError, match=rf"^HOST must be an address .* not '{host}'\.$"):
        require_free_port(replace(read_options({}), host=host))
