"""KnownRoles: which of the roles that the owner's settings name a person has, wherever they are.

Discord sends a person's roles with what they do in a server. In direct messages, and where a person
brings the app along, the bot has to ask for them.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from typing import Final

import aiohttp
import discord

log = logging.getLogger(__name__)

ASK_AGAIN: Final = 600.0
"""Seconds for which an answer holds."""
PATIENCE: Final = 1.5
"""Seconds for which an answer is waited for, of the three that Discord allows for its own."""
FAILED_FOR: Final = 10.0
"""Seconds for which nobody is asked again after no answer came."""
REMEMBERED: Final = 10_000
"""People whose roles are remembered."""


class KnownRoles:
    """Asks each server that has one of the roles. What is not known is not granted.

    wanted: the roles that matter. clock: returns seconds.
    """

    def __init__(
        self,
        client: discord.Client,
        wanted: Collection[int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._wanted = frozenset(wanted)
        self._clock = clock
        self._known: dict[int, tuple[float, frozenset[int]]] = {}  # until when

    async def of(self, user_id: int) -> frozenset[int]:
        """Those that the person has in the bot's servers; none if Discord does not say in time."""
        if not self._wanted:
            return frozenset()
        until, roles = self._known.get(user_id, (float("-inf"), frozenset()))
        if self._clock() < until:
            return roles
        try:
            async with asyncio.timeout(PATIENCE):
                roles = await self._ask(user_id)
        except (discord.HTTPException, aiohttp.ClientError, OSError, TimeoutError) as error:
            log.warning("a person's roles are not known: %s", type(error).__name__)
            return self._remember(user_id, frozenset(), FAILED_FOR)
        return self._remember(user_id, roles, ASK_AGAIN)

    def _remember(self, user_id: int, roles: frozenset[int], seconds: float) -> frozenset[int]:
        self._known[user_id] = self._clock() + seconds, roles
        if len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]
        return roles

    async def _ask(self, user_id: int) -> frozenset[int]:
        found: set[int] = set()
        for guild in self._client.guilds:
            here = {role.id for role in guild.roles} & self._wanted
            if not here:
                continue
            try:
                member = await guild.fetch_member(user_id)
            except discord.NotFound:
                continue
            found |= {role.id for role in member.roles} & here
        return frozenset(found)
