"""Which function each subcommand runs, and how it exits on an error."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import main
from bot.cli.arguments import parser
from bot.errors import SettingsError, StoreError
from bot.process.restart import MISCONFIGURED, TRY_AGAIN
from catalog import CatalogError
from cogs import EXTENSIONS


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # It would stay for the rest of the process, and so for the tests that follow.
    monkeypatch.setattr("bot.log.set_up", lambda *_, **__: None)


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[Any, ...]]:
    """Records the calls and their arguments instead of doing the work."""
    calls: dict[str, tuple[Any, ...]] = {}

    def stub(target: str) -> Callable[..., int]:
        def call(*arguments: Any, **named: Any) -> int:
            calls[target] = (*arguments, named)
            return 7

        return call

    def stub_async(target: str) -> Callable[..., Any]:
        async def call(*arguments: Any, **named: Any) -> int:
            return stub(target)(*arguments, **named)

        return call

    for target in ("run.run", "listing.listing", "check.check", "repair.repair_database"):
        monkeypatch.setattr(f"bot.cli.{target}", stub(target))
    for target in ("imagine.imagine", "playground.playground", "sync.sync"):
        monkeypatch.setattr(f"bot.cli.{target}", stub_async(target))
    return calls


@pytest.mark.parametrize(
    ("typed", "target"),
    [
        ("", "run.run"),
        ("run", "run.run"),
        ("imagine fox", "imagine.imagine"),
        ("compare fox --axis seed", "imagine.imagine"),
        ("upscale fox.png", "imagine.imagine"),
        ("models", "listing.listing"),
        ("loras --json", "listing.listing"),
        ("playground --port 0", "playground.playground"),
        ("sync", "sync.sync"),
        ("check", "check.check"),
        ("check --repair", "repair.repair_database"),
    ],
)
def test_each_runs_its_own(typed: str, target: str, called: dict[str, tuple[Any, ...]]) -> None:
    assert main.main(typed.split()) == 7
    assert list(called) == [target]


def test_the_arguments_arrive(called: dict[str, tuple[Any, ...]]) -> None:
    for typed in ("run", "loras --json", "playground --port 5 --no-open", "sync --guild 3"):
        main.main(typed.split())
    assert called["run.run"][1] == EXTENSIONS
    assert (called["listing.listing"][0], called["listing.listing"][2]) == (
        "loras",
        {"as_json": True},
    )
    assert called["playground.playground"][1] == {"port": 5, "browser": False}
    assert called["sync.sync"][1:3] == (EXTENSIONS, 3)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingsError("wrong"), MISCONFIGURED),
        (CatalogError("wrong"), MISCONFIGURED),
        (StoreError("wrong", lasting=True), MISCONFIGURED),
        (StoreError("wrong"), TRY_AGAIN),
    ],
)
def test_a_supervisor_learns_whether_to_try_again(
    error: Exception,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: Any, **__: Any) -> int:
        raise error

    monkeypatch.setattr("bot.cli.run.run", fail)
    monkeypatch.setattr("bot.cli.listing.listing", fail)
    for typed, ended in (("", code), ("run", code), ("models", 1)):
        assert main.main(typed.split()) == ended
        assert capsys.readouterr().err == "wrong\n"


@pytest.mark.parametrize(("typed", "code"), [("run", MISCONFIGURED), ("models", 1), ("sync", 1)])
def test_a_setting_that_is_wrong_is_no_crash(
    typed: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IMAGEN_DEVICE", "toaster")
    assert main.main([typed]) == code
    assert "IMAGEN_DEVICE" in capsys.readouterr().err


def test_every_subcommand_has_something_to_run() -> None:
    subparsers = parser()._subparsers
    assert subparsers is not None
    [group] = subparsers._group_actions
    assert isinstance(group.choices, dict)
    runs = {name: sub.get_default("run") for name, sub in group.choices.items()}
    assert all(map(callable, runs.values())), runs
