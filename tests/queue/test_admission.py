"""Who gets a place: refused before anything is done, and never more than the limits allow."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import pytest

from bot.errors import Refused, StoreError
from bot.queue import JobQueue
from bot.queue.limits import Limits
from bot.store import Job, JobState, NewJob, Store, Usage
from bot.store.acts import NewAct
from bot.store.usage import DAY
from tests.queue.lanes import ORIGINS, next_of, of, queue_of
from tests.request.test_compare import compared
from tests.store.factories import new_job, request


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


async def refusal(queue: JobQueue, new: NewJob) -> str:
    with pytest.raises(Refused) as refused:
        await queue.accept(new)
    return refused.value.code


@pytest.mark.parametrize(
    ("users", "limits", "taken"),
    [
        (50, Limits(7, 3), 7),
        (1, Limits(50, 3), 3),
        (2, Limits(50, 4), 8),
        (5, Limits(9, 2), 9),
        (5, Limits(per_guild=6), 6),
        (2, Limits(quota=4), 8),
        (3, Limits(cooldown=60), 3),
    ],
)
async def test_the_limits_hold_when_fifty_ask_at_once(
    store: Store, users: int, limits: Limits, taken: int
) -> None:
    queue = queue_of(store, limits=limits)
    asked = await asyncio.gather(
        *(queue.accept(new_job(user_id=n % users, guild_id=1)) for n in range(50)),
        return_exceptions=True,
    )
    assert {type(answer) for answer in asked if isinstance(answer, Exception)} == {Refused}
    assert len(await store.jobs_in(JobState.PENDING, ORIGINS)) == taken == len(queue)


class Untouchable(Store):
    """As if the database were locked: whatever asks it waits forever."""

    def __init__(self) -> None: ...

    async def accept(
        self,
        new: NewJob,
        check: Callable[[Usage], None] | None = None,
        acts: Sequence[NewAct] = (),
    ) -> Job:
        raise AssertionError

    async def usage(self, person: str, now: float, noticed: float | None = None) -> Usage:
        raise AssertionError

    async def last_served(self, people: object) -> dict[str, float]:
        raise AssertionError


class TestRefusals:
    async def test_a_full_queue_needs_no_database(self) -> None:
        queue = queue_of(Untouchable(), limits=Limits(size=2, per_user=1))
        async with queue.reserving(of(1)):
            assert await refusal(queue, of(1)) == "queue.user_full"
            async with queue.reserving(of(2)):
                assert await refusal(queue, of(3)) == "queue.full"

    async def test_nor_does_who_may_not_ask_at_all(self) -> None:
        limits = Limits(blocked=frozenset({"discord:1"}), roles=(50,), cooldown=60, quota=9)
        queue = queue_of(Untouchable(), limits=limits)
        assert await refusal(queue, of(1)) == "queue.blocked"
        assert await refusal(queue, of(2)) == "queue.role"
        for person, roles, code in (("discord:1", {50}, "blocked"), ("discord:2", {9}, "role")):
            with pytest.raises(Refused, match=code):
                queue.screen(person, frozenset(roles))
            with pytest.raises(Refused, match=code):
                queue.check_person(person, frozenset(roles))
        with pytest.raises(Refused, match="blocked"):
            queue.check_not_blocked("discord:1")
        queue.check_not_blocked("discord:2")
        queue.screen("discord:2", frozenset({50}))
        queue.check_person("discord:2", frozenset({50}))

    async def test_without_limits_nobody_is_turned_away(self, store: Store) -> None:
        queue = queue_of(store)
        queue.screen("discord:1", frozenset())
        queue.check_person("discord:1", frozenset())
        queue.check_not_blocked("discord:1")


class TestReserving:
    """A picture is fetched only for a job that will be accepted."""

    @pytest.mark.parametrize(
        ("limits", "code"),
        [
            (Limits(per_user=1), "queue.user_full"),
            (Limits(per_guild=1), "queue.guild_full"),
            (Limits(size=1), "queue.full"),
            (Limits(cooldown=60), "queue.cooldown"),
            (Limits(quota=2), "queue.quota"),
        ],
    )
    async def test_what_is_reserved_counts_and_is_given_back(
        self, store: Store, limits: Limits, code: str
    ) -> None:
        queue = queue_of(store, limits=limits)
        two = new_job(guild_id=1, request=request(count=2))
        with suppress(OSError):
            async with queue.reserving(two):
                assert await refusal(queue, new_job(guild_id=1)) == code
                raise OSError("the picture is gone")
        assert (await queue.accept(new_job(guild_id=1))).position == 1

    async def test_the_job_takes_the_place_reserved_for_it(self, store: Store) -> None:
        queue = queue_of(store, limits=Limits(size=1, per_user=1, cooldown=60, quota=1))
        new = of(1)
        async with queue.reserving(new):
            ticket = await queue.accept(new)
            assert await refusal(queue, of(2)) == "queue.full"
        assert await refusal(queue, of(2)) == "queue.full"
        queue.leave(ticket.job.id)
        await queue.accept(of(2))

    async def test_a_reservation_is_no_job(self, store: Store) -> None:
        queue = queue_of(store)
        async with queue.reserving(of(1)):
            assert queue.places() == {}
            assert len(queue) == 0
        assert await store.jobs_in(JobState.PENDING, ORIGINS) == []

    async def test_what_cannot_be_stored_takes_no_place(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def full(*_: object) -> Job:
            raise StoreError("the disk is full")

        queue = queue_of(store, limits=Limits(size=1))
        with monkeypatch.context() as patched:
            patched.setattr(store, "accept", full)
            with pytest.raises(StoreError):
                await queue.accept(of(1))
        await queue.accept(of(1))


async def test_what_waited_before_a_restart_counts(store: Store) -> None:
    await queue_of(store).accept(of(1))
    queue = queue_of(store, limits=Limits(size=2, per_user=1))
    await queue.line_up(await store.jobs_in(JobState.PENDING, ORIGINS))
    assert await refusal(queue, of(1)) == "queue.user_full"
    running = await next_of(queue)
    assert await refusal(queue, of(1)) == "queue.user_full"
    queue.leave(running.id)
    await queue.accept(of(1))


class TestCooldown:
    @pytest.mark.parametrize("restarted", [False, True])
    async def test_cancelling_gives_back_the_quota_but_not_the_cooldown(
        self, store: Store, restarted: bool
    ) -> None:
        limits, clock = Limits(cooldown=60, quota=1), Clock()
        queue = queue_of(store, limits=limits, clock=clock)
        ticket = await queue.accept(of(1))
        clock.now = ticket.job.created_at / 1000
        await queue.abandon(ticket)
        if restarted:
            queue = queue_of(store, limits=limits, clock=clock)
        assert await refusal(queue, of(1)) == "queue.cooldown"
        clock.now += 60
        await queue.accept(of(1))

    @pytest.mark.parametrize("limits", [Limits(cooldown=60), Limits(quota=1)])
    @pytest.mark.parametrize("restarted", [False, True])
    async def test_who_starts_over_may_ask_once_more(
        self, store: Store, limits: Limits, restarted: bool
    ) -> None:
        queue = queue_of(store, limits=limits)
        await queue.accept(of(1))
        assert not await queue.start_over("discord:1", "discord:9", actor="discord:2")
        await refusal(queue, of(1))
        assert await queue.start_over("discord:1", None, actor="discord:2")
        if restarted:
            queue = queue_of(store, limits=limits)
        queue.screen("discord:1", frozenset())
        await queue.accept(of(1))
        await refusal(queue, of(1))

    async def test_after_the_clock_was_set_back_it_lasts_no_longer(self, store: Store) -> None:
        clock = Clock()
        clock.now = time.time()
        queue = queue_of(store, limits=Limits(cooldown=60), clock=clock)
        await queue.accept(of(1))
        clock.now -= 5 * DAY
        assert await refusal(queue, of(1)) == "queue.cooldown"
        clock.now += 59
        assert await refusal(queue, of(1)) == "queue.cooldown"
        clock.now += 2
        await queue.accept(of(1))


async def test_what_is_stored_between_the_check_and_the_job_counts(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = queue_of(store, limits=Limits(quota=1))
    await queue.accept(of(1))

    async def as_before(*_: object) -> Usage:
        return Usage()

    monkeypatch.setattr(store, "usage", as_before)
    assert await refusal(queue, of(1)) == "queue.quota"
    assert len(queue) == 1


class TestSlowness:
    async def test_a_long_wait_is_told_once(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("bot.queue.queue.SLOW", 0.0)
        told, go_on = [], asyncio.Event()
        accept = store.accept

        async def slowly(*arguments: object) -> Job:
            await go_on.wait()
            return await accept(*arguments)  # type: ignore[arg-type]

        async def tell() -> None:
            told.append("postponed")
            go_on.set()

        monkeypatch.setattr(store, "accept", slowly)
        queue = queue_of(store)
        async with queue.accepting(of(1), tell) as ticket:
            assert told == ["postponed"]
        assert (await next_of(queue)).id == ticket.job.id

    async def test_a_short_wait_is_not_told(self, store: Store) -> None:
        async def tell() -> None:
            raise AssertionError

        await queue_of(store).accept(of(1), tell)


async def test_the_cells_of_a_comparison_count_as_images(store: Store) -> None:
    sheet = compared("a fox", ("seed", "1,2,3"), ("steps", "20, 30"))
    queue = queue_of(store, limits=Limits(quota=13))
    await queue.accept(new_job(request=sheet, kind="compare"))
    assert len((await store.usage("discord:7", time.time())).images) == 6
    await queue.accept(new_job(request=sheet, kind="compare"))
    await queue.accept(new_job())
    assert await refusal(queue, new_job()) == "queue.quota"
    alone = queue_of(store, limits=Limits(quota=5))
    assert await refusal(alone, new_job(request=sheet, user_id=8)) == "queue.quota_small"


async def test_a_place_is_kept_for_all_cells_before_they_are_stored(store: Store) -> None:
    sheet = compared("a fox", ("seed", "1,2,3"), ("steps", "20, 30"))
    queue = queue_of(store, limits=Limits(quota=6))
    async with queue.reserving(new_job(request=sheet)):
        with pytest.raises(Refused) as refused:
            async with queue.reserving(new_job()):
                pass
    assert refused.value.code == "queue.quota"


async def test_a_comparison_takes_a_turn_for_every_four_images(store: Store) -> None:
    queue = queue_of(store)
    sixteen = compared("a fox", ("seed", ",".join(map(str, range(16)))))
    for new in (new_job(request=sixteen), new_job(), *(new_job(user_id=8) for _ in range(5))):
        ticket = await queue.accept(new)
        queue.release(ticket.job.id)
    order = []
    for _ in range(7):
        job = await next_of(queue)
        order.append((job.person, job.request.images))
        queue.leave(job.id)
    assert order[0] == ("discord:7", 16)
    assert order.index(("discord:7", 1)) == 5
