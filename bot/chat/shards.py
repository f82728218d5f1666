"""ShardedBot: a client of several gateway connections, each of which is kept on its own.

discord.py 2.7.1 by itself begins one shard every five seconds however many Discord allows at once,
looks after none until all are connected, and then reconnects one at a time: a shard that Discord
leaves hanging keeps all others waiting. After a failed attempt it gives up the session, and with it
all that happened meanwhile. Its first connection recurses inside its own `except`, so that the log
grows with the square of the failures. Here, each shard has a task that begins, reads and resumes.
"""

import asyncio
import gc
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import aiohttp
import discord
import yarl
from discord.ext import commands
from discord.gateway import ReconnectWebSocket

from bot.chat.connection import CLOSED_WELL, connected
from bot.chat.turns import Turns

log = logging.getLogger(__name__)

MANY: Final = 500
"""With more servers, garbage is no longer looked for among them. To go through the channels and
roles of 2,000 takes 50 ms, during which no thread does anything else."""
TURN: Final = 0.002
"""Seconds for which one shard's events are read before other tasks have their turn."""
LOST = (
    OSError,
    discord.HTTPException,
    discord.GatewayNotFound,
    discord.ConnectionClosed,
    aiohttp.ClientError,
    TimeoutError,
)
"""What discord.py raises when a connection is lost."""


class ShardedBot(commands.AutoShardedBot):
    """Has as many shards as Discord recommends at its start.

    online: set once the first shard is ready, when its people can ask. complete: set once all are,
    when all servers are known.
    """

    def __init__(self, command_prefix: Any, **options: Any) -> None:
        super().__init__(command_prefix, **options)
        self.online = asyncio.Event()
        self.complete = asyncio.Event()
        self._turns = Turns()
        self._up: set[int] = set()
        self._known: set[int] = set()

    async def connect(self, *, reconnect: bool = True) -> None:
        """Connect all shards and keep them connected until cancelled.

        Raises discord.ConnectionClosed if Discord closes one permanently.
        """
        self._reconnect = reconnect
        count, url, limits = await self.http.get_bot_gateway()
        self.shard_count = self._connection.shard_count = count
        self._connection.shard_ids = range(count)
        self._turns.learn(discord.SessionStartLimits(**limits))
        if count > 1:
            log.info("%d shards, %d at once", count, limits["max_concurrency"])
        keeping = [
            asyncio.create_task(self._keep(shard_id, yarl.URL(url))) for shard_id in range(count)
        ]
        try:
            done, _ = await asyncio.wait(keeping, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in keeping:
                task.cancel()
            await asyncio.wait(keeping)

    async def _keep(self, shard_id: int, gateway: yarl.URL) -> None:
        """Keep one shard connected until cancelled or closed."""
        socket = await connected(self, self._turns, shard_id, gateway)
        shard = discord.shard.Shard(socket, self, lambda _: None)
        # Where discord.py looks for what the shard's connection is and how it is.
        vars(self)["_AutoShardedClient__shards"][shard_id] = shard
        while True:
            await self._read(shard)
            if self.is_closed():
                return
            self.dispatch("disconnect")
            self.dispatch("shard_disconnect", shard_id)
            shard.ws = await connected(self, self._turns, shard_id, None, before=shard.ws)

    async def _read(self, shard: discord.shard.Shard) -> None:
        """Read events until the connection is lost. It has no session then if that is invalid."""
        turn = self.loop.time()
        try:
            while True:
                await shard.ws.poll_event()
                # It waits for nothing while there are more, as at the start those of every server.
                if self.loop.time() - turn > TURN:
                    await asyncio.sleep(0)
                    turn = self.loop.time()
        except ReconnectWebSocket:
            return
        except LOST as error:
            if isinstance(error, discord.ConnectionClosed) and error.code != CLOSED_WELL:
                raise
            log.warning("shard %d: connection lost (%s)", shard.id, type(error).__name__)
            with suppress(*LOST):
                await shard.ws.close()

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """discord.py's own sleeps; here, it was waited for before connecting."""
        self._turns.identified(shard_id or 0)

    async def on_shard_connect(self, shard_id: int) -> None:
        """READY: the shard has a new session, and its servers are known."""
        if shard_id in self._known:
            gc.unfreeze()  # what they were before is garbage, in cycles
        self._up.add(shard_id)
        self._known.add(shard_id)

    async def on_shard_resumed(self, shard_id: int) -> None:
        self._up.add(shard_id)

    async def on_shard_disconnect(self, shard_id: int) -> None:
        self._up.discard(shard_id)

    async def on_shard_ready(self, shard_id: int) -> None:
        self.online.set()

    async def on_ready(self) -> None:
        """Once at the start, and in a bot of one shard with each of its sessions."""
        if not self.complete.is_set() and len(self.guilds) > MANY:
            gc.freeze()
        self.complete.set()

    @property
    def knows_its_servers(self) -> bool:
        """Whether every shard has said which servers it has: until then, `guilds` lacks some."""
        return self.shard_count is not None and len(self._known) == self.shard_count

    @property
    def sockets(self) -> Mapping[int, discord.gateway.DiscordWebSocket]:
        """Those of the shards that are connected, by number."""
        held = vars(self)["_AutoShardedClient__shards"]
        return {
            number: shard.ws
            for number, shard in held.items()
            if number in self._up and not self.shards[number].is_closed()
        }

    @property
    def heartbeats(self) -> Mapping[int, float | None]:
        """Seconds of the latest heartbeat's round trip, by shard; None for one that is not
        connected. Empty before the number of shards is known."""
        shards = self.shards
        return {
            number: shards[number].latency
            if number in self._up and not shards[number].is_closed()
            else None
            for number in range(self.shard_count or 0)
        }
