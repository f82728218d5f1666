"""The order in which the queue will probably be served."""

from dataclasses import replace

import pytest

from bot.queue.estimate import needs
from bot.queue.fleet import Fleet
from bot.queue.forecast import EXACT, IDLE, TIMED, Forecast
from bot.queue.policy import AT_ONCE, InPlace, Line, Waiting
from bot.store import Job, Painted
from tests.queue.lanes import lanes
from tests.store.factories import any_job, request

SECOND = 1_000
WARM = needs(request())


def taught() -> Forecast:
    """Ten seconds per job, and five more to load a model."""
    forecast = Forecast()
    history, at = [], 0
    for model in ("demo", "other"):
        for n in range(6):
            seconds = 15 if n == 0 and at else 10
            history.append(Painted(request(model=model), at, at + seconds * SECOND))
            at += (seconds + 1) * SECOND
    forecast.remember(history)
    return forecast


def lined_up(forecast: Forecast, count: int, *, model: str = "demo", users: int = 7) -> Line:
    line = Line()
    for n in range(count):
        job = job_of(f"job{n}", model)
        wanted = forecast.expect(job)
        line.add(Waiting(job.id, f"u{n % users}", n, model, wanted.adapters))
    return line


def job_of(job_id: str, model: str = "demo") -> Job:
    return any_job(request(model=model), id=job_id)


def test_each_is_ready_after_those_before_it() -> None:
    forecast = taught()
    places = dict(forecast.places(lined_up(forecast, 3), lanes(WARM), 1_000, paused=False))
    assert [place.position for place in places.values()] == [1, 2, 3]
    times = [place.ready_at for place in places.values()]
    assert times == pytest.approx([1_010, 1_020, 1_030], abs=2)


def test_bringing_another_model_takes_its_time() -> None:
    forecast = taught()
    places = dict(
        forecast.places(lined_up(forecast, 1, model="other"), lanes(WARM), 1_000, paused=False)
    )
    assert places["job0"].ready_at == pytest.approx(1_015, abs=2)


def test_the_end_of_a_long_line_is_told_too() -> None:
    forecast, count = taught(), EXACT + TIMED + 50
    places = [
        *dict(forecast.places(lined_up(forecast, count), lanes(WARM), 0, paused=False)).values()
    ]
    assert [place.position for place in places] == [*range(1, count + 1)]
    times = [place.ready_at or 0 for place in places]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(10 * count, rel=0.05)


def test_looking_ahead_changes_nothing() -> None:
    forecast = taught()
    line = lined_up(forecast, 5)
    first = dict(forecast.places(line.copy(), lanes(WARM), 0, paused=False))
    assert dict(forecast.places(line.copy(), lanes(WARM), 0, paused=False)) == first
    assert len(line) == 5


def test_what_was_in_place_long_ago_is_not_taken_to_be_still() -> None:
    """As after a restart: such a job tells little about one whose model is loaded."""
    forecast = Forecast()
    apart = IDLE + 100 * SECOND
    seldom = [Painted(request(), n * apart, n * apart + 90 * SECOND) for n in range(9)]
    forecast.remember(seldom)
    line = lined_up(forecast, 1)
    places = dict(forecast.places(line, lanes(WARM), 0, paused=False))
    assert places["job0"].ready_at == pytest.approx(90, abs=5)

    forecast = Forecast()
    last = seldom[-1].painted_at
    often = [Painted(request(), last + n, last + n + 10 * SECOND) for n in range(3)]
    forecast.remember([*seldom, *often])
    line = lined_up(forecast, 1)
    places = dict(forecast.places(line, lanes(WARM), 0, paused=False))
    assert places["job0"].ready_at == pytest.approx(10, abs=1)


def test_who_has_left_is_forgotten() -> None:
    forecast = taught()
    job = job_of("job0")
    forecast.expect(job)
    forecast.begin(job, InPlace(), 0)
    [busy] = lanes(WARM)
    busy.running = job
    assert [*dict(forecast.places(Line(), [busy], 1, paused=False))] == ["job0"]
    forecast.forget("job0")
    assert forecast.jobs == {}
    assert dict(forecast.places(Line(), [busy], 1, paused=False)) == {}
    forecast.learn(replace(job, started_at=0, painted_at=1))  # too late to be learned from
    line = lined_up(forecast, 1)
    places = dict(forecast.places(line, lanes(WARM), 0, paused=False))
    assert places["job0"].ready_at == pytest.approx(10, abs=1)


def test_a_slow_lane_is_known_to_be_slow() -> None:
    """Ten seconds a job on one, forty on the other, which both work all the time."""
    forecast = taught()
    fast, slow = lanes(WARM, WARM)
    fast.name, slow.name = "fast", "slow"
    for number in range(60):
        lane, seconds = (slow, 40) if number % 5 == 0 else (fast, 10)
        job = job_of(f"past{number}")
        forecast.begin(job, WARM, 0.0, lane.name)
        forecast.learn(replace(job, started_at=0, painted_at=seconds * SECOND))
        forecast.forget(job.id)
    line = lined_up(forecast, 10)
    places = dict(forecast.places(line, [fast, slow], 0.0, paused=False))
    times = sorted(place.ready_at or 0 for place in places.values())
    assert times == pytest.approx([10, 20, 30, 40, 40, 50, 60, 70, 80, 80], rel=0.15)
    forecast.begin(job_of("job0"), WARM, 0.0, "slow")
    slow.running = job_of("job0")
    running = dict(forecast.places(Line(), [fast, slow], 5.0, paused=False))["job0"]
    assert running.ready_at == pytest.approx(40, rel=0.15)


def test_a_thousand_lanes_share_the_line() -> None:
    forecast, count = taught(), EXACT + TIMED + 2_000
    line = lined_up(forecast, count)
    places = dict(forecast.places(line, lanes(*[WARM] * 1_000), 0.0, paused=False))
    assert [place.position for place in places.values()] == [*range(1, count + 1)]
    times = sorted(place.ready_at or 0 for place in places.values())
    # Two full rounds of ten seconds each, and what is left.
    assert times[:1_000] == pytest.approx([10] * 1_000, abs=1)
    assert times[1_000:2_000] == pytest.approx([20] * 1_000, abs=1)
    assert times[2_000:] == pytest.approx([30] * (count - 2_000), abs=1)


def test_very_many_that_no_lane_is_able_to_run_are_not_gone_through_at_once() -> None:
    forecast, [lane] = taught(), lanes(WARM)
    lane.able = lambda job: job.model == "other"
    line = lined_up(forecast, 3 * AT_ONCE)
    job = job_of("able", "other")
    line.add(Waiting(job.id, "last", 3 * AT_ONCE, "other", forecast.expect(job).adapters))
    fleet = Fleet([lane], lambda: None)
    places = dict(forecast.places(line, [lane], 0, paused=False, fleet=fleet))
    assert [place.position for place in places.values()] == [*range(1, 3 * AT_ONCE + 2)]
    assert 0 < line.aside <= AT_ONCE + 7  # one head of each person more
