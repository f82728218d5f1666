"""How long a job may take, and when it is given up."""

from typing import Any

import pytest

from bot.errors import PaintStopped, StopReason
from bot.progress import Progress, Stage
from bot.request import Hires
from bot.worker.attempt import GRACE, STEP_FACTOR, STEP_MIN, Attempt, seconds_for
from tests.chat.ui.test_messages import job
from tests.request.test_compare import compared
from tests.store.factories import request


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("bot.worker.attempt.time", clock)
    return clock


def painting(step: int, steps: int = 30, **fields: Any) -> Progress:
    return Progress(Stage.PAINTING, step=step, steps=steps, **fields)


@pytest.mark.parametrize(
    ("steps", "count", "seconds"), [(30, 1, 600), (100, 1, 600), (50, 4, 1200), (100, 4, 2400)]
)
def test_many_steps_have_more_time(steps: int, count: int, seconds: float) -> None:
    assert seconds_for(request(steps=steps, count=count), 600) == seconds


def test_a_second_pass_has_time_for_its_pixels() -> None:
    larger = request(steps=50, count=2, hires=Hires(scale=2.0, strength=0.5, steps=50))
    assert seconds_for(larger, 600) == 3 * 600


def test_the_deadline_is_its_own(clock: Clock) -> None:
    attempt = Attempt(job(request(steps=100, count=2)), 600)
    clock.now += 1199
    attempt.check()
    clock.now += 2
    with pytest.raises(PaintStopped) as stopped:
        attempt.check()
    assert stopped.value.reason is StopReason.TIMEOUT
    assert attempt.hung() is None


def test_waiting_for_the_engine_does_not_count(clock: Clock) -> None:
    attempt = Attempt(job(), 600)
    clock.now += 700
    attempt.waited(500)
    attempt.check()
    clock.now += 401
    with pytest.raises(PaintStopped):
        attempt.check()


def test_what_does_not_stop_past_its_deadline_hangs(clock: Clock) -> None:
    attempt = Attempt(job(), 600)
    clock.now += 600 + GRACE - 1
    assert attempt.hung() is None
    clock.now += 2
    assert "deadline" in (attempt.hung() or "")


def test_a_step_hangs_when_none_before_took_that_long(clock: Clock) -> None:
    attempt = Attempt(job(request(steps=30)), 100_000)
    clock.now += 5000  # loading the model
    for step in (1, 2, 3):
        clock.now += 30
        attempt.heard(painting(step))
    clock.now += STEP_FACTOR * 30 - 1
    assert attempt.hung() is None
    clock.now += 2
    assert "a step takes longer" in (attempt.hung() or "")


def test_a_quick_step_may_still_take_two_minutes(clock: Clock) -> None:
    attempt = Attempt(job(), 600)
    for step in (1, 2):
        clock.now += 0.01
        attempt.heard(painting(step))
    clock.now += STEP_MIN - 1
    assert attempt.hung() is None


def test_a_report_may_come_in_the_midst_of_the_look(clock: Clock) -> None:
    looks = iter([clock.now, None, None])

    class Racing(Attempt):
        _step_at = property(lambda _: next(looks), lambda *_: None)

    attempt = Racing(job(), 600)
    attempt._longest = 0.01
    clock.now += STEP_MIN - 1
    assert attempt.hung() is None


@pytest.mark.parametrize("last", [painting(30), Progress(Stage.DECODING)])
def test_what_comes_after_the_steps_may_take_its_time(clock: Clock, last: Progress) -> None:
    attempt = Attempt(job(), 100_000)
    for step in (28, 29):
        clock.now += 0.01
        attempt.heard(painting(step))
    attempt.heard(last)
    clock.now += 10_000
    assert attempt.hung() is None


def test_a_comparison_has_time_for_all_of_its_cells() -> None:
    sheet = compared("a fox", ("steps", "40, 60"), ("seed", "1,2,3,4"))
    assert seconds_for(sheet, 600) == 600 * (40 + 60) * 4 / 100


@pytest.mark.parametrize("stage", [Stage.STARTING, Stage.DOWNLOADING])
def test_the_time_starts_once_it_begins_and_has_its_files(clock: Clock, stage: Stage) -> None:
    attempt = Attempt(job(), 600)
    clock.now += 599
    attempt.heard(Progress(stage))
    clock.now += 599
    attempt.check()
    clock.now += 2
    with pytest.raises(PaintStopped) as stopped:
        attempt.check()
    assert stopped.value.reason is StopReason.TIMEOUT
