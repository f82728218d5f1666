"""A crowd reacting to one result, a channel that takes few messages, and the bot between them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self, cast
from unittest.mock import create_autospec

import discord

from bot.chat.here import FindHere
from bot.chat.known_roles import KnownRoles
from bot.chat.ui.reactions import NEW_SEED
from bot.levels import Levels
from bot.queue import JobQueue
from bot.queue.limits import Limits
from bot.store import Job
from catalog import Catalog, ModelEntry
from cogs.reroll import Reroll
from tests.catalog.fixed import fixed
from tests.chat.delivery.desk import Desk
from tests.chat.delivery.discord_fakes import CHANNEL, Call, FakeClient
from tests.chat.found import ANYWHERE
from tests.language import TEXTS
from tests.queue.lanes import queue_of
from tests.store.factories import in_channel, request

GUILD = 1
DEMO = Catalog({"demo": ModelEntry(key="demo", name="Demo", path="a/b")}, {}, "demo")


@dataclass
class Bucket:
    """A channel's rate limit: messages to it wait in order until the test lets them through."""

    waiting: list[tuple[Call, asyncio.Future[None]]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, call: Call) -> None:
        if call.way != "send":
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append((call, turn))
        self.news.set()
        await turn

    def let_through(self) -> Call:
        call, turn = self.waiting.pop(0)
        turn.set_result(None)
        return call

    async def until(self, count: int) -> None:
        """Wait until `count` messages wait."""
        async with asyncio.timeout(30):
            while len(self.waiting) < count:
                self.news.clear()
                await self.news.wait()


@dataclass
class Crowd:
    """cog: what handles reactions. shown: the result that everybody reacts to."""

    desk: Desk
    queue: JobQueue
    cog: Reroll
    shown: Job
    message_id: int
    bucket: Bucket
    permissions: discord.Permissions

    @classmethod
    @asynccontextmanager
    async def gathered(
        cls, folder: Path, limits: Limits | None = None, **of_queue: Any
    ) -> AsyncIterator[Self]:
        async with Desk.open(folder) as desk:
            done = await desk.asked_and_painted(in_channel(request=request(adapters=())))
            await desk.delivery.finished(done)
            queue = queue_of(desk.store, limits=limits, **of_queue)
            bucket = Bucket()
            desk.world.calls.clear()
            desk.world.before = bucket.take
            guild = SimpleNamespace(filesize_limit=10_000_000, me=None)
            client: Any = FakeClient(desk.world)
            client.get_guild = lambda _: guild
            permissions = discord.Permissions.all()
            channel = create_autospec(discord.TextChannel, instance=True)
            channel.permissions_for = lambda _: permissions
            channel.is_nsfw = lambda: False
            guild.get_channel_or_thread = lambda _: channel
            find_here = FindHere(
                TEXTS,
                Levels(desk.store),
                ANYWHERE,
                KnownRoles(client, ()),
                desk.queue.blocked,
            )
            cog = Reroll(
                client, TEXTS, find_here, ANYWHERE, fixed(DEMO), desk.store, queue, desk.delivery
            )
            yield cls(desk, queue, cog, done, 400, bucket, permissions)

    def event(self, user_id: int, emoji: str = NEW_SEED) -> Any:
        guild = self.cog._bot.get_guild(GUILD)
        return SimpleNamespace(
            emoji=SimpleNamespace(name=emoji),
            guild_id=GUILD,
            channel_id=CHANNEL,
            message_id=self.message_id,
            user_id=user_id,
            burst=False,
            member=cast("Any", SimpleNamespace(bot=False, guild=guild, roles=[])),
        )

    async def react(self, user_id: int) -> None:
        await self.cog.on_raw_reaction_add(self.event(user_id))

    async def unreact(self, user_id: int) -> None:
        await self.cog.on_raw_reaction_remove(self.event(user_id))
