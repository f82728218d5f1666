"""The two endpoints, over HTTP; health, lag and several observers."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from bot.errors import SettingsError
from bot.health import Check, Health
from bot.metrics import Metrics, exposed, measure_lag
from bot.progress import Progress, Stage
from bot.store import Job
from bot.worker.observers import Observers
from tests.e2e.home import free_port

HOST = "127.0.0.1"


def metrics() -> Metrics:
    return Metrics(
        queue_length=lambda: 2,
        outbox_length=lambda: 0,
        loaded=str,
        heartbeats=dict,
        gpu_memory=dict,
    )


async def well() -> str | None:
    return None


async def away() -> str | None:
    return "not connected"


async def raises() -> str | None:
    raise OSError("a secret place")


async def silent() -> str | None:
    await asyncio.Event().wait()
    return None


@asynccontextmanager
async def served(**checks: Check) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    port = free_port()
    async with (
        exposed(HOST, port, metrics(), Health(checks)),
        aiohttp.ClientSession() as session,
    ):
        yield session, f"http://{HOST}:{port}"


async def test_a_healthy_bot() -> None:
    async with served(discord=well, database=well) as (session, url):
        async with session.get(f"{url}/healthz") as answer:
            assert answer.status == 200
            assert await answer.json() == {"status": "ok", "discord": "ok", "database": "ok"}
        async with session.get(f"{url}/metrics") as answer:
            assert answer.status == 200
            assert answer.content_type == "text/plain"
            assert "imagen_queue_length 2.0\n" in await answer.text()


async def test_what_is_wrong_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.health.PATIENCE", 0.01)
    checks: dict[str, Check] = {"a": well, "b": away, "c": raises, "d": silent}
    async with (
        served(**checks) as (session, url),
        session.get(f"{url}/healthz") as answer,
    ):
        assert answer.status == 503
        assert await answer.json() == {
            "status": "unwell",
            "a": "ok",
            "b": "not connected",
            "c": "OSError",
            "d": "no answer in 0.01 s",
        }


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("GET", "/x"), ("POST", "/healthz")])
async def test_there_is_nothing_else(method: str, path: str) -> None:
    async with (
        served(a=well) as (session, url),
        session.request(method, url + path) as answer,
    ):
        assert answer.status in (404, 405)


async def test_a_port_that_is_taken_is_said() -> None:
    port = free_port()
    async with exposed(HOST, port, metrics(), Health({})):
        with pytest.raises(SettingsError, match=f"IMAGEN_METRICS_PORT: port {port} of 127"):
            async with exposed(HOST, port, metrics(), Health({})):
                pass
    # And the port is free again.
    async with exposed(HOST, port, metrics(), Health({})):
        pass


async def test_a_stall_of_the_loop_is_seen() -> None:
    told: asyncio.Queue[float] = asyncio.Queue()
    measuring = asyncio.create_task(measure_lag(told.put_nowait, interval=0.0))
    await told.get()
    loop = asyncio.get_running_loop()
    begun = loop.time()
    while loop.time() - begun < 0.02:
        pass
    assert max([await told.get(), await told.get()]) > 0.01
    measuring.cancel()


class Noting:
    """Records what it is told; `broken` raises instead."""

    def __init__(self, broken: bool = False) -> None:
        self.told: list[str] = []
        self._broken = broken

    def _note(self, what: str) -> None:
        if self._broken:
            raise RuntimeError(what)
        self.told.append(what)

    def moved(self, places: dict[str, Progress]) -> None:
        self._note("moved")

    def progressed(self, job: Job, progress: Progress) -> None:
        self._note("progressed")

    async def finished(self, job: Job) -> None:
        self._note("finished")

    async def failed(self, job: Job) -> None:
        self._note("failed")


async def test_one_observers_fault_is_not_the_others(caplog: pytest.LogCaptureFixture) -> None:
    first, broken, last = Noting(), Noting(broken=True), Noting()
    observers = Observers()
    for observer in (first, broken, last):
        observers.subscribe(observer)
    job: Any = None
    observers.moved({})
    observers.progressed(job, Progress(Stage.STARTING))
    await observers.finished(job)
    await observers.failed(job)
    assert first.told == last.told == ["moved", "progressed", "finished", "failed"]
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR] == [
        "an observer failed"
    ] * 4
