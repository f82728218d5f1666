"""What keeps the bot's process running, and what ends it."""

import asyncio
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, cast

import pytest

from bot import supervision
from bot.backoff import Backoff
from bot.errors import EngineLost, Loss, StoreError
from bot.process import signals
from bot.queue.limits import Limits
from bot.serve import core
from bot.settings import Settings


class LostWorkers:
    async def lost(self) -> EngineLost:
        return EngineLost(Loss.DEVICE, "the GPU failed")


class Workers:
    async def lost(self) -> EngineLost:
        await asyncio.Event().wait()
        raise AssertionError("an event without end has ended")


async def nothing() -> None: ...


class TestServingUntilTheEngineIsLost:
    async def test_what_swallows_a_cancellation_is_cancelled_again(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(core, "CANCEL_AGAIN", 0.0)
        monkeypatch.setattr(core, "at_the_latest", lambda _: None)
        swallowed = 0

        async def serving() -> None:
            nonlocal swallowed
            while swallowed < 3:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    swallowed += 1

        with pytest.raises(EngineLost):
            await core._unless_lost(
                cast("Any", LostWorkers()), serving(), nothing(), cast("Any", None)
            )
        assert swallowed == 3

    async def test_what_never_ends_is_ended(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(core, "CANCEL_AGAIN", 0.0)
        monkeypatch.setattr(signals, "CLOSE_WITHIN", 0.01)
        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        async def serving() -> None:
            while not ended.is_set():
                try:
                    await ended.wait()
                except asyncio.CancelledError:
                    continue

        def anew() -> None:
            loop.call_soon_threadsafe(ended.set)

        with pytest.raises(EngineLost):
            await core._unless_lost(
                cast("Any", LostWorkers()), serving(), nothing(), cast("Any", anew)
            )

    @pytest.mark.parametrize("damaged", [True, False])
    async def test_what_is_found_out_later_ends_it_only_if_it_is_an_error(
        self, damaged: bool
    ) -> None:
        stopped = asyncio.Event()

        async def serving() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                stopped.set()

        async def looking() -> None:
            if damaged:
                raise StoreError("the database is damaged", lasting=True)

        workers = Workers() if damaged else LostWorkers()
        with pytest.raises(StoreError if damaged else EngineLost):
            await core._unless_lost(
                cast("Any", workers), serving(), looking(), cast("Any", lambda: None)
            )
        assert stopped.is_set()


def test_the_limits_are_what_the_owner_set() -> None:
    plain = Settings(_env_file=None)
    assert core.limits_of(plain) == Limits(size=50, per_user=3, per_key=10)
    strict = Settings(IMAGEN_BLOCKED_USERS="7, 8", IMAGEN_COOLDOWN=30, _env_file=None)
    limits = core.limits_of(strict)
    assert (limits.blocked, limits.cooldown) == (frozenset({"discord:7", "discord:8"}), 30.0)


async def test_a_task_beside_that_fails_is_told_of_at_once_and_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervision, "PAUSES", Backoff(0))
    data, models = tmp_path / "data", tmp_path / "models"
    settings = Settings(
        IMAGEN_DATA_DIR=data, IMAGEN_MODELS_DIR=models, IMAGEN_DEVICES="cpu", _env_file=None
    )
    begun = 0
    working, ended = asyncio.Event(), asyncio.Event()

    async def failing() -> None:
        nonlocal begun
        begun += 1
        if begun < 3:
            raise ValueError("a bug")
        working.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with core.Core.build(settings, preview_interval=1, demos="default") as built:
        serving = asyncio.create_task(
            built.run((), nullcontext(), asyncio.Event().wait, asyncio.Event(), {"a": failing})  # type: ignore[arg-type]
        )
        async with asyncio.timeout(60):
            await working.wait()
        assert caplog.text.count("a: failed") == 2
        assert "ValueError: a bug" in caplog.text
        assert not serving.done()
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
    assert ended.is_set()
