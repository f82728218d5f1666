"""Presence: the bot's status on Discord, kept up to date on every shard."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

import discord

from bot.chat.shards import LOST, ShardedBot

log = logging.getLogger(__name__)

INTERVAL: Final = 15.0
"""Seconds between two looks at what it should say. Discord takes five changes in 20 seconds."""


class Presence:
    """Tells Discord `text()` on each connection, when it has changed or the connection is new.

    A connection that was resumed is told again: whether Discord kept the status is not documented.
    """

    def __init__(
        self, client: ShardedBot, text: Callable[[], Awaitable[str]], interval: float = INTERVAL
    ) -> None:
        self._client = client
        self._text = text
        self._interval = interval
        self._told: dict[int, tuple[discord.gateway.DiscordWebSocket, str]] = {}

    async def run(self) -> None:
        """Keep telling until cancelled."""
        await self._client.online.wait()
        while True:
            await self._tell(await self._text())
            await asyncio.sleep(self._interval)

    async def _tell(self, text: str) -> None:
        activity = discord.CustomActivity(name=text)
        for shard_id, socket in self._client.sockets.items():
            if self._told.get(shard_id) == (socket, text):
                continue
            try:
                await socket.change_presence(activity=activity, status="online")
            except LOST as error:
                log.info("shard %d: status not told (%s)", shard_id, type(error).__name__)
                continue
            self._told[shard_id] = socket, text
