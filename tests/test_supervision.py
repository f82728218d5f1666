"""Background tasks that fail: each says so, and is begun again."""

import asyncio

import pytest

from bot import supervision
from bot.backoff import Backoff
from bot.supervision import supervised


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(supervision, "PAUSES", Backoff(1, 5))
    return waited


class Work:
    """Fails so often, then returns. took: seconds, each time."""

    def __init__(self, failures: int, error: BaseException | None = None) -> None:
        self.failures = failures
        self.error = error or ValueError("a bug")
        self.begun = 0

    async def __call__(self) -> None:
        self.begun += 1
        if self.begun <= self.failures:
            raise self.error


async def test_it_is_begun_again_after_longer_and_longer_pauses(
    pauses: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    work = Work(3)
    await supervised("counting sheep", work)
    assert (work.begun, pauses) == (4, [1, 5, 5])
    failed = [record for record in caplog.records if record.levelname == "ERROR"]
    assert [record.getMessage() for record in failed] == ["counting sheep: failed"] * 3
    assert "ValueError: a bug" in caplog.text


async def test_one_that_was_well_for_long_begins_with_the_first_pause(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "WELL", -1.0)
    await supervised("counting sheep", Work(3))
    assert pauses == [1, 1, 1]


async def test_one_that_may_not_be_begun_twice_only_says_so(
    pauses: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    work = Work(3)
    await supervised("counting sheep", work, again=False)
    assert (work.begun, pauses) == (1, [])
    assert "ValueError: a bug" in caplog.text


async def test_what_is_cancelled_ends(caplog: pytest.LogCaptureFixture) -> None:
    begun = asyncio.Event()

    async def work() -> None:
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(supervised("counting sheep", work))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert caplog.records == []


async def test_so_does_what_is_cancelled_between_two_tries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervision, "PAUSES", Backoff(3600))
    begun, work = asyncio.Event(), Work(1)

    async def failing() -> None:
        begun.set()
        await work()

    task = asyncio.create_task(supervised("counting sheep", failing))
    await begun.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.begun == 1


async def test_what_waits_for_something_cancelled_goes_on(
    pauses: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    work = Work(1, asyncio.CancelledError())
    await supervised("counting sheep", work)
    assert work.begun == 2
    assert "counting sheep: cancelled from within" in caplog.text
