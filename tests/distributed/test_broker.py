"""Where a broker may be, what it takes to be trusted with that, and that its password is shown
nowhere."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from bot import log
from bot.distributed.broker import Broker, broker_of
from bot.errors import SettingsError
from bot.settings import Settings
from tests.distributed.processes import ROOT

SECRET = "kept-secret"


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://127.0.0.1:6380/3",
        "redis://[::1]:6379",
        f"redis://:{SECRET}@127.0.0.8",
        f"rediss://:{SECRET}@broker.example.org",
        f"rediss://imagen-worker-one:{SECRET}@203.0.113.7:6380/0",
    ],
)
def test_what_is_allowed(url: str) -> None:
    broker = Broker.at(url)
    assert SECRET not in f"{broker} {broker!r}"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "must be a URL such as"),
        ("localhost:6379", "must be a URL such as"),
        ("http://localhost", "must be a URL such as"),
        ("unix:///run/redis.sock", "must be a URL such as"),
        ("redis://localhost/x", "must be a URL such as"),
        ("redis://localhost:99999", "must be a URL such as"),
        (f"redis://:{SECRET}@:6379", "must be a URL such as"),
        (f"rediss://:{SECRET}@h?ssl_cert_reqs=none", "must have no options"),
        (f"rediss://:{SECRET}@h#x", "must have no options"),
        ("rediss://broker.example.org", "needs a password"),
        ("redis://10.0.0.1", "needs a password"),
        ("rediss://user@broker.example.org", "needs a password"),
        (f"redis://:{SECRET}@broker.example.org", "must begin with rediss://"),
        (f"redis://:{SECRET}@10.0.0.1", "must begin with rediss://"),
        (f"redis://:{SECRET}@0.0.0.0", "must begin with rediss://"),
        (f"redis://:{SECRET}@127.0.0.1.example.org", "must begin with rediss://"),
        (f"redis://:half@{SECRET}@broker.example.org", "must begin with rediss://"),
    ],
)
def test_what_is_refused(url: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why) as refused:
        Broker.at(url)
    assert str(refused.value).startswith("IMAGEN_BROKER: ")
    assert SECRET not in str(refused.value)


def test_a_tunnel_takes_the_place_of_tls_and_of_nothing_else() -> None:
    assert not Broker.at(f"redis://:{SECRET}@10.0.0.1", tunnel=True).tls
    with pytest.raises(SettingsError, match="needs a password"):
        Broker.at("redis://10.0.0.1", tunnel=True)


def test_certificates_are_checked(tmp_path: Path) -> None:
    from bot.distributed.pace import Pace

    authority = tmp_path / "ca.pem"
    with pytest.raises(SettingsError, match=r"IMAGEN_BROKER_CA: must be a file, got .*ca\.pem"):
        Broker.at("rediss://localhost", authority=authority)
    authority.write_text("")
    client = Broker.at("rediss://localhost", authority=authority).client(Pace())
    options = client.connection_pool.connection_kwargs
    assert options["ssl_cert_reqs"] == "required"
    assert options["ssl_check_hostname"] is True
    assert options["ssl_ca_certs"] == str(authority)


def test_the_url_of_another_login() -> None:
    broker = Broker.at("rediss://:x@broker.example.org:6380/2")
    assert broker.url("one", "y") == "rediss://one:y@broker.example.org:6380/2"


def test_the_password_is_in_no_log_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IMAGEN_BROKER", "rediss://:kept%2Dsecret@broker.example.org")
    settings = Settings.load()
    assert SECRET not in repr(settings)
    formatter = log.RedactingFormatter(settings.secrets())
    record = logging.LogRecord(
        "saq", 40, "", 1, "rediss://:kept%%2Dsecret@broker.example.org, %s", (SECRET,), None
    )
    assert "secret" not in formatter.format(record)
    assert broker_of(settings).password == SECRET


def test_without_a_broker_nothing_of_it_is_imported() -> None:
    script = """
import sys
import main
from bot.backend import Backend
from bot.serve import core, discord_bot, http, serving
names = ("saq", "redis", "bot.distributed.elsewhere", "bot.distributed.fetching")
print([name for name in names if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_broker_without_its_packages_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bot.distributed.broker.PACKAGES", ("no_such_package",))
    with pytest.raises(SettingsError, match=r"pip install -r requirements-distributed\.txt"):
        Broker.at("redis://localhost").demand_packages()
