"""The wiring of `main.py playground`; tests/e2e/test_playground.py runs it."""

import errno
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

import catalog
from bot.cli.arguments import parser
from bot.cli.playground import EXAMPLES, _settings_of_the_bot, playground
from bot.cli.screen import has_screen
from bot.cli.subcommands.playground import PAGE_PORT
from bot.request import Draft, compose
from bot.settings import Settings
from catalog import read_catalog
from playground import Playground
from playground.page import PORT

SHIPPED = Path(catalog.__file__).parent


def owners(**given: object) -> Settings:
    return Settings.model_validate(given)


async def test_the_bot_has_the_owners_settings_but_none_that_lead_to_discord(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with Playground() as discord:
        mine = owners(
            DISCORD_TOKEN=SecretStr("the-real-one"),
            DISCORD_PROXY="http://127.0.0.1:1",
            DISCORD_GUILD_ID=5,
            IMAGEN_MODELS_DIR="weights",
            IMAGEN_DEVICE="cpu",
            IMAGEN_METRICS_PORT=9100,
            IMAGEN_ALLOWED_ROLES="123, 456",
            IMAGEN_PRIORITY_ROLES="5:2",
            IMAGEN_BLOCKED_USERS="7",
        )
        folder = tmp_path / "short-lived"
        given = _settings_of_the_bot(mine, discord, folder).variables()
        assert given == {
            "DISCORD_TOKEN": discord.token,
            "DISCORD_API_URL": discord.api_url,
            "IMAGEN_DATA_DIR": str(folder),
            "IMAGEN_CATALOG_DIR": str(tmp_path / "catalog"),
            "IMAGEN_MODELS_DIR": str(tmp_path / "weights"),
            "IMAGEN_DEVICE": "cpu",
            "IMAGEN_DEMO": "True",
            "IMAGEN_USER_INSTALL": "True",
            "IMAGEN_ADMIN_SERVERS": str(discord.guild.id),
            "IMAGEN_LOG_LEVEL": "WARNING",
        }
        louder = _settings_of_the_bot(owners(IMAGEN_LOG_LEVEL="INFO"), discord, folder)
        assert louder.log_level == "INFO"


@pytest.mark.parametrize(
    ("environment", "platform", "screen"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({"DISPLAY": ":0", "CI": "true"}, "linux", False),
        ({}, "darwin", True),
        ({"SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"}, "darwin", False),
        ({}, "win32", True),
        ({"CI": "1"}, "win32", False),
    ],
)
def test_a_browser_is_opened_where_somebody_sees_it(
    environment: dict[str, str], platform: str, screen: bool
) -> None:
    assert has_screen(environment, platform) is screen


def test_the_command_line_and_the_page_mean_the_same_port() -> None:
    # The grammar does not import the playground, which a listing does not need.
    assert PAGE_PORT == PORT
    options = parser().parse_args(["playground"])
    assert (options.port, options.no_open) == (PORT, False)


@pytest.mark.parametrize("port", ["65536", "-1", "x"])
def test_a_port_that_cannot_be_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        parser().parse_args(["playground", f"--port={port}"])
    assert left.value.code == 2
    assert f"must be a port from 0 to 65535, got {port!r}" in capsys.readouterr().err


async def test_a_port_that_is_not_to_be_had_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("playground.page.server.TRIED", 1)
    async with Playground() as other:
        taken = int(other.core.base_url.rsplit(":", 1)[1])
        assert await playground(owners(), port=taken, browser=False) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"--port: {taken} cannot be used: {os.strerror(errno.EADDRINUSE)}\n"


@pytest.mark.parametrize("line", EXAMPLES)
def test_what_is_proposed_can_be_done_on_the_first_day(line: str, tmp_path: Path) -> None:
    command, *rest = re.split(r" (\w+): ", line)
    given: dict[str, Any] = dict(zip(rest[::2], rest[1::2], strict=True))
    if command != "/imagine":
        assert command in {"/models", "/loras"}
        assert not given
        return
    read = read_catalog(SHIPPED, tmp_path, demos="default")
    given["seed"] = int(given.get("seed", 1))
    request = compose(Draft(**given), read, nsfw=False)
    assert read.models[request.model].demo
    assert all(read.adapters[use.key].demo for use in request.adapters)


@pytest.mark.skipif(not shutil.which("make"), reason="there is no make here")
def test_make_demo_paints_where_nobody_sees_the_terminal(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).parents[2] / "Makefile", tmp_path)
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "called: $@"\n', encoding="utf-8")
    python.chmod(0o700)
    (tmp_path / "requirements.txt").touch()
    (tmp_path / ".venv/installed").touch()
    done = subprocess.run(
        ["make", "demo"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    called = [line for line in done.stdout.splitlines() if line.startswith("called: ")]
    wanted = "main.py imagine a red star on a blue background --model demo --seed 7"
    assert called == [f"called: {wanted}"]
    assert "main.py playground" in done.stdout
