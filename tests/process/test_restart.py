"""Exit codes, and the limit on crash loops."""

from pathlib import Path

import pytest

from bot.errors import SettingsError, StoreError
from bot.process import restart
from bot.process.restart import (
    MISCONFIGURED,
    TRY_AGAIN,
    exit_code,
    slow_down,
    told_to_stop,
)
from bot.store import Store
from catalog import CatalogError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingsError("x"), MISCONFIGURED),
        (CatalogError("x"), MISCONFIGURED),
        (StoreError("damaged", lasting=True), MISCONFIGURED),
        (StoreError("locked"), TRY_AGAIN),
    ],
)
def test_whether_another_start_may_do(error: Exception, code: int) -> None:
    assert exit_code(error) == code


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("bot.process.restart.asyncio.sleep", sleep)
    return slept


async def test_a_crash_loop_slows_down(store: Store, pauses: list[float]) -> None:
    for _ in range(10):
        await slow_down(store)
    assert pauses == [10, 30, 60, 120, 300, 300, 300]


async def test_starts_of_long_ago_do_not_count(
    store: Store, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 10**12
    monkeypatch.setattr(restart, "now_ms", lambda: now)
    for _ in range(9):
        await slow_down(store)
        now += 40 * 60 * 1000
    assert pauses == []


async def test_starts_while_the_clock_was_wrong_do_not_count(
    store: Store, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 10**12
    for ahead in (10**11, 0):
        monkeypatch.setattr(restart, "now_ms", lambda ahead=ahead: now + ahead)
        for _ in range(3):
            await slow_down(store)
    assert pauses == []


async def test_who_stops_it_need_not_wait(store: Store, pauses: list[float]) -> None:
    for _ in range(9):
        await slow_down(store)
        await told_to_stop(store)
    assert pauses == []


@pytest.fixture
async def store(tmp_path: Path):  # type: ignore[no-untyped-def]
    async with Store.open(tmp_path / "x.sqlite3") as store:
        yield store
