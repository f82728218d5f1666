"""A long queue: places are told without forecasting everybody for each request."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.queue import JobQueue
from bot.queue.forecast import Forecast
from bot.queue.outlook import FEW, Outlook
from bot.queue.policy import InPlace, Line, Waiting
from bot.store import Store
from tests.queue.lanes import entered, next_of, of, queue_of
from tests.store.factories import running


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "x.sqlite3") as opened:
        yield opened


async def taught(store: Store, clock: Clock) -> JobQueue:
    """A queue that has seen jobs take ten seconds each."""
    queue = queue_of(store, loaded=lambda: "demo", clock=clock)
    for _ in range(20):
        await entered(queue, of(1))
        job = await next_of(queue)
        queue.painted(replace(job, started_at=0, finished_at=10_000))
        queue.leave(job.id)
    return queue


async def test_a_rush_is_not_forecast_for_each_of_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, forecasts = Clock(), 0
    queue = await taught(store, clock)
    await entered(queue, *(of(n) for n in range(FEW)))
    places = Forecast.places

    def counted(self: Forecast, *arguments: object, **named: object) -> object:
        nonlocal forecasts
        forecasts += 1
        return places(self, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Forecast, "places", counted)
    clock.now += 30
    tickets = []
    for number in range(60):
        ticket = await queue.accept(of(number + 10 if number % 2 else number + 1_000))
        if number % 3:
            queue.release(ticket.job.id)
        tickets.append(ticket)
        assert ticket in queue.standings()
    assert forecasts == 1
    now = queue.places()
    for number, ticket in enumerate(tickets):
        # Others that have come since may go before it: those who ask for the first time.
        later = sum(other % 2 == 0 for other in range(number + 1, 60)) if number % 2 else 0
        place = now[ticket.job.id]
        assert ticket.position == place.position - later
        assert ticket.place.ready_at is not None
        assert place.ready_at is not None
        assert ticket.place.ready_at == pytest.approx(place.ready_at - 10 * later, abs=15)
    clock.now += 30
    assert [ticket.job.id for ticket in queue.standings()] == [*now]
    assert forecasts == 3  # one by `places`


async def test_who_has_left_is_not_listed_any_more(store: Store) -> None:
    clock = Clock()
    queue = queue_of(store, clock=clock)
    ids = await entered(queue, *(of(n) for n in range(FEW + 2)))
    assert [ticket.job.id for ticket in queue.standings()] == ids
    queue.leave(ids[5])
    assert [ticket.job.id for ticket in queue.standings()] == ids[:5] + ids[6:]


def test_a_slow_forecast_is_kept_longer() -> None:
    quick, slow = Outlook({}, {}, 100.0, 0.001), Outlook({}, {}, 100.0, 0.5)
    assert [quick.fresh(now) for now in (99.0, 100.0, 100.9, 101.1)] == [False, True, True, False]
    assert [slow.fresh(now) for now in (99.0, 100.0, 109.0, 111.0)] == [False, True, True, False]


def waiting(number: int, person: int, priority: int = 0) -> Waiting:
    return Waiting(str(number), str(person), number, "m", priority=priority)


@pytest.mark.parametrize("people", [1, 3, 40, 300])
def test_the_place_in_the_fair_order_is_found_without_sorting(people: int) -> None:
    jobs = [waiting(n, n * n % people) for n in range(300)]
    line = Line(jobs, {str(person): -float(person % 7) for person in range(0, people, 2)})
    order = line.rounds()
    assert [line.ahead(job) for job in order] == [*range(300)]


@pytest.mark.parametrize("people", [1, 3, 40, 300])
def test_it_takes_those_into_account_who_will_join(people: int) -> None:
    """Each person's last jobs were accepted, but not yet released."""
    jobs = [waiting(n, n % people) for n in range(300)]
    line, held = Line(jobs[: 300 - people // 3]), jobs[300 - people // 3 :]
    whole = Line(jobs).rounds()
    assert [line.ahead(job, held) for job in held] == [whole.index(job) for job in held]


def test_a_priority_goes_before_those_without() -> None:
    jobs = [waiting(n, n, priority=int(n == 7)) for n in range(50)]
    assert Line(jobs).ahead(waiting(50, 50, priority=1)) == 1
    assert Line(jobs[8:]).ahead(waiting(50, 50, priority=1)) == 0
    assert Line(jobs).ahead(waiting(50, 50)) == 50


class TestClockSetBack:
    def test_turns_go_on_as_before(self) -> None:
        """Otherwise who was served before would not be again until the clock has caught up."""
        line, served = Line(), []
        for number in range(60):
            line.add(waiting(2 * number, 1))
            line.add(waiting(2 * number + 1, 2))
        for number in range(40):
            now = 1_000.0 + number if number < 10 else 500.0
            choice = line.choose([InPlace("m")], now)
            assert choice is not None
            line.take(choice, now)
            served.append(choice.job.person)
        assert served == ["1", "2"] * 20

    async def test_a_start_in_the_future_counts_as_now(self, store: Store) -> None:
        """Otherwise its person would come after everybody else until then."""
        clock = Clock()
        job = await running(store, of(1))
        assert job.started_at is not None
        clock.now = job.started_at / 1000 - 3_600
        queue = queue_of(store, clock=clock)
        [early] = await entered(queue, of(1))
        assert (await next_of(queue)).id == early
        clock.now += 60
        [other] = await entered(queue, of(2))
        assert (await next_of(queue)).id == other
        first, second = await entered(queue, of(1), of(2))
        assert [*queue.places()][1:] == [first, second]

    async def test_a_running_job_is_not_promised_for_the_hour_after(self, store: Store) -> None:
        clock = Clock()
        queue = await taught(store, clock)
        await entered(queue, of(1))
        job = await next_of(queue)
        clock.now -= 3_600
        assert queue.places()[job.id].ready_at == pytest.approx(clock.now + 10, abs=1)

    async def test_it_teaches_nothing(self, store: Store) -> None:
        clock = Clock()
        queue = await taught(store, clock)
        for seconds in (-3_600, 0) * 20:
            await entered(queue, of(1))
            job = await next_of(queue)
            queue.painted(replace(job, started_at=0, finished_at=seconds * 1_000))
            queue.leave(job.id)
        [job_id] = await entered(queue, of(1))
        assert queue.places()[job_id].ready_at == pytest.approx(clock.now + 10, abs=1)
