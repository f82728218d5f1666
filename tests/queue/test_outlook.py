"""A long queue: places are told without forecasting everybody for each request."""

import asyncio
from dataclasses import replace

import pytest

from bot.queue import JobQueue
from bot.queue.forecast import Forecast
from bot.queue.outlook import FEW, PART, Outlook
from bot.queue.policy import InPlace, Line, Waiting
from bot.store import Store
from tests.queue.lanes import entered, next_of, of, queue_of
from tests.store.factories import any_job, running


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


async def taught(store: Store, clock: Clock) -> JobQueue:
    """A queue that has seen jobs take ten seconds each."""
    queue = queue_of(store, loaded=lambda: "demo", clock=clock)
    for _ in range(20):
        await entered(queue, of(1))
        job = await next_of(queue)
        queue.painted(replace(job, started_at=0, painted_at=10_000))
        queue.leave(job.id)
    return queue


def count_forecasts(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """A list that gets longer with each forecast from now on."""
    forecasts: list[None] = []
    places = Forecast.places

    def counted(self: Forecast, *arguments: object, **named: object) -> object:
        forecasts.append(None)
        return places(self, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Forecast, "places", counted)
    return forecasts


@pytest.mark.long
async def test_a_rush_is_not_forecast_for_each_of_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    queue = await taught(store, clock)
    await entered(queue, *(of(n) for n in range(FEW)))
    forecasts = count_forecasts(monkeypatch)
    clock.now += 30
    tickets = []
    for number in range(30):
        ticket = await queue.accept(of(number + 10 if number % 2 else number + 1_000))
        if number % 3:
            queue.release(ticket.job.id)
        tickets.append(ticket)
        assert ticket in await queue.standings()
    assert len(forecasts) == 1
    now = queue.places()
    for number, ticket in enumerate(tickets):
        # Others that have come since may go before it: those who ask for the first time.
        later = sum(other % 2 == 0 for other in range(number + 1, 30)) if number % 2 else 0
        place = now[ticket.job.id]
        assert ticket.position == place.position - later
        assert ticket.place.ready_at is not None
        assert place.ready_at is not None
        assert ticket.place.ready_at == pytest.approx(place.ready_at - 10 * later, abs=15)
    clock.now += 30
    assert [ticket.job.id for ticket in await queue.standings()] == [*now]
    assert len(forecasts) == 3  # one by `places`


@pytest.mark.long
async def test_who_has_left_is_not_listed_any_more(store: Store) -> None:
    clock = Clock()
    queue = queue_of(store, clock=clock)
    ids = await entered(queue, *(of(n) for n in range(FEW + 2)))
    assert [ticket.job.id for ticket in await queue.standings()] == ids
    queue.leave(ids[5])
    assert [ticket.job.id for ticket in await queue.standings()] == ids[:5] + ids[6:]


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
    order = [*line.rounds()]
    assert [line.ahead(job) for job in order] == [*range(300)]


@pytest.mark.parametrize("people", [1, 3, 40, 300])
def test_it_takes_those_into_account_who_will_join(people: int) -> None:
    """Each person's last jobs were accepted, but not yet released."""
    jobs = [waiting(n, n % people) for n in range(300)]
    line, held = Line(jobs[: 300 - people // 3]), jobs[300 - people // 3 :]
    whole = [*Line(jobs).rounds()]
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
            queue.painted(replace(job, started_at=0, painted_at=seconds * 1_000))
            queue.leave(job.id)
        [job_id] = await entered(queue, of(1))
        assert queue.places()[job_id].ready_at == pytest.approx(clock.now + 10, abs=1)


class TestTurns:
    """In a long queue, other tasks have their turn while all places are forecast."""

    async def long_queue(self, store: Store, clock: Clock) -> tuple[JobQueue, list[str]]:
        queue = queue_of(store, clock=clock)
        jobs = [any_job(id=f"job{n}", user_id=n, attempt=0) for n in range(2 * PART + 50)]
        await queue.line_up(jobs)
        return queue, [job.id for job in jobs]

    async def test_they_are_the_same_as_in_one_go(self, store: Store) -> None:
        queue, _ = await self.long_queue(store, Clock())
        parts = list(queue.parts())
        assert [len(part) for part in parts] == [PART, PART, 50]
        assert [item for part in parts for item in part.items()] == [*queue.places().items()]

    async def test_who_leaves_meanwhile_is_left_out(self, store: Store) -> None:
        queue, ids = await self.long_queue(store, Clock())
        parts = queue.parts()
        first = next(parts)
        queue.leave(ids[0])
        queue.leave(ids[PART])
        assert [*first, *(job_id for part in parts for job_id in part)] == [
            job_id for job_id in ids if job_id != ids[PART]
        ]
        assert [ticket.job.id for ticket in await queue.standings()] == [
            job_id for job_id in ids if job_id not in (ids[0], ids[PART])
        ]

    async def test_who_comes_meanwhile_is_listed(self, store: Store) -> None:
        clock = Clock()
        queue, ids = await self.long_queue(store, clock)
        await queue.standings()
        parts = queue.parts()
        next(parts)
        ticket = await queue.accept(of(9_999))
        assert ticket.position == len(ids) + 1
        assert not any(ticket.job.id in part for part in parts)
        assert ticket in await queue.standings()

    async def test_many_who_ask_at_once_share_one_forecast(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        queue, ids = await self.long_queue(store, Clock())
        looks = count_forecasts(monkeypatch)
        found = await asyncio.gather(*(queue.standings() for _ in range(10)))
        assert len(looks) == 1
        assert all([ticket.job.id for ticket in each] == ids for each in found)

    async def test_while_one_forecasts_the_others_are_told_the_last(self, store: Store) -> None:
        clock = Clock()
        queue, ids = await self.long_queue(store, clock)
        before = await queue.standings()
        clock.now += 1.5 * queue._lookout._outlook._kept
        first, second = (asyncio.create_task(queue.standings()) for _ in range(2))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert second.done()
        assert not first.done()
        assert await second == before
        assert [ticket.job.id for ticket in await first] == ids

    async def test_one_who_gives_up_does_not_keep_the_others_waiting(self, store: Store) -> None:
        queue, ids = await self.long_queue(store, Clock())
        impatient = asyncio.create_task(queue.standings())
        patient = asyncio.create_task(queue.standings())
        await asyncio.sleep(0)
        impatient.cancel()
        assert [ticket.job.id for ticket in await patient] == ids

    async def test_none_starts_before_all_have_been_lined_up(self, store: Store) -> None:
        """The first in the fair order may be the last in the list."""
        queue = queue_of(store)
        ids = [(await store.accept(of(0))).id for _ in range(PART + 1)]
        first = await store.accept(of(1))
        await running(store, of(0))  # they were served before
        taking = asyncio.create_task(next_of(queue))
        await asyncio.sleep(0)
        turns: list[int] = []

        async def look() -> None:
            while len(queue) < len(ids) + 1:
                turns.append(len(queue))
                await asyncio.sleep(0)

        looking = asyncio.create_task(look())
        await queue.line_up([*[await store.job(job_id) for job_id in ids], first])
        await looking
        assert PART in turns
        assert (await taking).id == first.id
