"""Quiet hours: when they are, that nothing starts in them, and that the forecast waits them out."""

import asyncio
import re
import sqlite3
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import InvalidRequest
from bot.queue.quiet import QuietHours
from bot.queue.stillness import QUIET
from bot.store import ActKind, Store
from tests.queue.lanes import ORIGINS, entered, lanes, next_of, of, queue_of
from tests.queue.test_forecast import WARM, lined_up, taught

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Chatham")
HOUR = 3600.0
ROOT = Path(__file__).resolve().parents[2]
TIMES = st.times().map(lambda at: at.replace(second=0, microsecond=0))
MOMENTS = st.integers(0, 4_000_000_000).map(float)


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


class Clock:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


NIGHT = QuietHours.of("22:30", "07:00", "UTC")


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-01-05T22:29:59", None),
        ("2026-01-05T22:30:00", "2026-01-06T07:00:00"),
        ("2026-01-06T00:00:00", "2026-01-06T07:00:00"),
        ("2026-01-06T06:59:59", "2026-01-06T07:00:00"),
        ("2026-01-06T07:00:00", None),
        ("2026-01-06T12:00:00", None),
    ],
)
def test_they_last_past_midnight(now: str, until: str | None) -> None:
    assert NIGHT.until(at(now)) == (None if until is None else at(until))


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25", "2026-06-01"])
def test_the_clock_on_the_wall_counts_when_it_is_changed(day: str) -> None:
    quiet = QuietHours.of("01:00", "06:00", "Europe/Berlin")
    zone = ZoneInfo("Europe/Berlin")
    five = datetime.fromisoformat(f"{day}T05:59:00").replace(tzinfo=zone)
    end = five.replace(hour=6, minute=0)
    assert quiet.until(five.timestamp()) == end.timestamp()
    assert quiet.until(end.timestamp()) is None


@given(TIMES, TIMES, st.sampled_from(ZONES), MOMENTS)
def test_they_are_quiet_exactly_as_the_clock_says(
    start: time, end: time, zone: str, now: float
) -> None:
    if start == end:
        with pytest.raises(InvalidRequest):
            QuietHours.of(f"{start:%H:%M}", f"{end:%H:%M}", zone)
        return
    quiet = QuietHours.of(f"{start:%H:%M}", f"{end:%H:%M}", zone)
    assert QuietHours.of(*quiet.clock) == quiet
    wall = datetime.fromtimestamp(now, ZoneInfo(zone))
    offsets = {
        (wall + timedelta(hours=hours)).astimezone(ZoneInfo(zone)).utcoffset()
        for hours in range(-26, 27)
    }
    if len(offsets) == 1:  # away from a change of the clocks
        clock = wall.time()
        inside = start <= clock < end if start < end else clock >= start or clock < end
        assert (quiet.until(now) is not None) == inside
    assert quiet.until(quiet.open_at(now)) is None
    assert quiet.changes_at(now) > now


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (("25:00", "07:00", None), "quiet.time"),
        (("10pm", "07:00", None), "quiet.time"),
        (("22:00", "7", None), "quiet.time"),
        (("22:00", "22:00", None), "quiet.same"),
        (("22:00", "07:00", "Mars/Olympus"), "quiet.zone"),
        (("22:00", "07:00", "../../etc/passwd"), "quiet.zone"),
        (("22:00", "07:00", "/etc/passwd"), "quiet.zone"),
    ],
)
def test_what_is_wrong_is_named(given: tuple[str, str, str | None], code: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        QuietHours.of(*given)
    assert error.value.code == code


OWNER = "discord:1"


async def test_they_change_with_their_act_or_not_at_all(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    still = queue_of(store).still

    def broken(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as failing:
        failing.setattr("bot.store.acts.insert_act", broken)
        with pytest.raises(sqlite3.OperationalError):
            await still.keep_quiet(NIGHT, OWNER)
    hours = still.quiet
    assert hours is None
    await still.restore()
    await still.keep_quiet(NIGHT, OWNER)
    await still.restore()
    assert still.quiet == NIGHT
    [act] = await store.acts.untold()
    assert (act.kind, act.actor) == (ActKind.QUIET_HOURS, OWNER)


async def test_nothing_starts_in_them_even_after_a_restart(store: Store) -> None:
    clock = Clock(at("2026-01-05T23:00:00"))
    queue = queue_of(store, clock=clock)
    await queue.still.keep_quiet(NIGHT, OWNER)
    [job_id] = await entered(queue, of(1))
    place = queue.places()[job_id]
    assert (place.paused, place.resumes_at) == (False, at("2026-01-06T07:00:00"))
    queue = queue_of(store, clock=clock)
    await queue.restore(ORIGINS)
    await queue.line_up([await store.job(job_id)])
    moved: list[None] = []
    queue.subscribe(lambda: moved.append(None))
    waiting = asyncio.create_task(next_of(queue))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not waiting.done()
    await queue.still.keep_quiet(None, OWNER)
    assert (await waiting).id == job_id
    assert moved


@pytest.mark.parametrize(
    "kept", ['["22:00", "06:00", "Europe/Atlantis"]', '["22:00"]', "7", "{", '["22:00", "22:00"]']
)
async def test_those_that_cannot_be_read_are_told_of_and_keep_nothing_from_starting(
    store: Store, caplog: pytest.LogCaptureFixture, kept: str
) -> None:
    await store.set_setting(QUIET, kept)
    queue = queue_of(store)
    await queue.restore(ORIGINS)
    assert queue.still.quiet is None
    [told] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert kept in told.getMessage()
    assert await store.setting(QUIET) == kept  # for a start that can read them


@pytest.fixture
def no_zones_of_the_system() -> Iterator[None]:
    """As on Windows, which has none."""
    zoneinfo.reset_tzpath(to=[])
    ZoneInfo.clear_cache()
    yield
    zoneinfo.reset_tzpath()
    ZoneInfo.clear_cache()


@pytest.mark.usefixtures("no_zones_of_the_system")
def test_a_zone_needs_nothing_of_the_system() -> None:
    assert QuietHours.of("22:00", "06:00", "Europe/Kyiv").clock[2] == "Europe/Kyiv"


def test_so_the_zones_are_a_requirement() -> None:
    assert re.search("^tzdata==", (ROOT / "requirements.txt").read_text("utf-8"), re.MULTILINE)


async def test_the_queue_goes_on_when_they_end(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.queue.stillness.LOOK", 0.01)
    clock = Clock(at("2026-01-06T06:59:59"))
    queue = queue_of(store, clock=clock)
    await queue.still.keep_quiet(NIGHT, OWNER)
    watching = asyncio.create_task(queue.still.watch())
    [job_id] = await entered(queue, of(1))
    waiting = asyncio.create_task(next_of(queue))
    await asyncio.sleep(0)
    assert not waiting.done()
    clock.now += 2
    assert (await waiting).id == job_id
    watching.cancel()


def test_the_forecast_waits_them_out() -> None:
    forecast, now = taught(), at("2026-01-05T22:29:45")
    places = forecast.places(lined_up(forecast, 3), lanes(WARM), now, paused=False, quiet=NIGHT)
    ready = [place.ready_at for _, place in places]
    # The second begins just before them, and is finished.
    morning = at("2026-01-06T07:00:00")
    assert ready == pytest.approx([now + 10, now + 20, morning + 10], abs=2)
