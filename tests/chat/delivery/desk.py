"""A delivery for tests, with its store and the Discord that it talks to."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

import discord

from bot.chat.delivery import Delivery
from bot.files.images import save_images
from bot.progress import Notice
from bot.queue import JobQueue, Ticket
from bot.store import Job, JobState, NewJob, Store
from bot.worker.recovery import LeftBehind, tell
from catalog import Catalog
from tests.catalog.fixed import fixed
from tests.chat.delivery.discord_fakes import Call, FakeClient, FakeInteraction, World
from tests.language import TEXTS
from tests.queue.lanes import queue_of
from tests.store.factories import in_channel, painting

REQUESTER = 7


def _delivery(store: Store, world: World, images: Path, **fields: Any) -> Delivery:
    return Delivery(
        client=cast("Any", FakeClient(world)),
        store=store,
        texts=TEXTS,
        catalog=fixed(Catalog({}, {}, "")),
        images_dir=images,
        interval=0.0,
        webhook=lambda token: cast("Any", world.webhooks[token]),
        **fields,
    )


@dataclass
class Desk:
    """A delivery with its store and the Discord that it talks to."""

    store: Store
    queue: JobQueue
    delivery: Delivery
    world: World
    images: Path

    @classmethod
    @asynccontextmanager
    async def open(cls, folder: Path) -> AsyncIterator[Self]:
        world, images = World(), folder / "images"
        async with Store.open(folder / "x.sqlite3") as store:
            yield cls(store, queue_of(store), _delivery(store, world, images), world, images)

    def restarted(self, **fields: Any) -> Delivery:
        """Another delivery, as in the next process."""
        return _delivery(self.store, self.world, self.images, **fields)

    def interaction(self, **fields: Any) -> Any:
        return FakeInteraction(self.world, **fields)

    async def accepted(self, new: NewJob | None = None) -> Ticket:
        return await self.queue.accept(new or in_channel())

    async def painted(self, job_id: str, *warnings: Notice) -> Job:
        """The job as the consumer leaves it: done, with its files on disk."""
        job = await self.store.start(job_id)
        assert job is not None
        result = painting(job.request, *warnings)
        records = save_images(result, job, self.images)
        done = await self.store.finish(job, result.recipe, records, warnings)
        assert done is not None
        return done

    async def asked_and_painted(self, new: NewJob | None = None, **fields: Any) -> Job:
        """Acknowledge a job in an interaction, then finish it."""
        ticket = await self.accepted(new)
        await self.delivery.acknowledge(self.interaction(**fields), ticket)
        return await self.painted(ticket.job.id)

    async def state(self, job: Job) -> JobState:
        return (await self.store.job(job.id)).state

    def last(self, way: str) -> Call:
        return next(call for call in reversed(self.world.calls) if call.way == way)


async def until_edited(desk: Desk, count: int) -> None:
    async with asyncio.timeout(10):
        while len(desk.world.ways()) < count:
            await desk.world.called()


async def bring(delivery: Delivery, jobs: Sequence[Job]) -> None:
    """As after a restart: what was painted, and what ended untold."""
    painted = tuple(job for job in jobs if job.state is JobState.DONE)
    untold = tuple(job for job in jobs if job.state is not JobState.DONE)
    await tell(LeftBehind(painted, untold, ()), delivery, delivery)


def pinged(call: Call) -> list[int]:
    """Whom a call may ping; it must be explicit, and never everyone or a role."""
    allowed = call.sent["allowed_mentions"]
    assert isinstance(allowed, discord.AllowedMentions)
    assert not allowed.everyone
    assert not allowed.roles
    assert not allowed.replied_user
    assert isinstance(allowed.users, list)
    return [user.id for user in allowed.users]


def words(embed: discord.Embed) -> str:
    """All text in an embed."""
    said = [embed.description, *(part for one in embed.fields for part in (one.name, one.value))]
    return "\n".join(part for part in said if part)
