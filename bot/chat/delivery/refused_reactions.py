"""Refused reactions: tells people in a channel why, but not a whole crowd."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import discord

from bot.chat.delivery.posts import mention, only
from bot.chat.delivery.refusals import refusal, short
from bot.chat.delivery.traffic import Traffic
from bot.supervision import supervised

log = logging.getLogger(__name__)

K = TypeVar("K")
V = TypeVar("V")
AGAIN_AFTER = 60.0
"""Seconds within which a person is told only once about the same message."""
SHOWN = 30.0
"""Seconds before a refusal is deleted from the channel: after a reaction it cannot be private."""
SHOWN_AT_ONCE = 3
"""Refusals that a channel gets in that time. Discord takes about five messages in five seconds."""
PATIENCE = 10.0
"""Seconds that a refusal waits for what is more important; then it is not worth telling."""
REMEMBERED = 10_000
"""People and messages, and channels, that are remembered."""


@dataclass(frozen=True, slots=True)
class Told:
    """Whom to tell what: `text`, about the reaction of `user_id` to `message_id`."""

    user_id: int
    message_id: int
    text: str


@dataclass(slots=True)
class _Channel:
    """recent: when the latest refusals were due. turn: one is sent at a time."""

    recent: deque[float] = field(default_factory=lambda: deque(maxlen=SHOWN_AT_ONCE))
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Refusals:
    """A refusal must not be cheaper to cause than to bear: most reactions of a crowd that is
    refused get no answer, and none that gets one goes ahead of what others wait for.

    clock: returns seconds; only differences matter. sleep: waits for some.
    """

    def __init__(
        self,
        traffic: Traffic,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._traffic = traffic
        self._clock = clock
        self._sleep = sleep
        self._deleting: set[asyncio.Task[None]] = set()
        self._people: dict[tuple[int, int], float] = {}
        self._channels: dict[int, _Channel] = {}

    async def tell(self, channel: discord.PartialMessageable, told: Told) -> bool:
        """Tell it in the channel for a while, or say nothing; returns whether it was told."""
        if not self._is_due(channel.id, told):
            log.debug("a refused reaction in channel %d gets no answer", channel.id)
            return False
        async with self._channels[channel.id].turn:
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._traffic.clear(channel.id)
                sent = await channel.send(
                    content=f"{mention(told.user_id)} {told.text}",
                    allowed_mentions=only(told.user_id),
                )
            except Exception as error:
                if refusal(error) is None:
                    raise
                log.info("a refused reaction gets no answer: %s", short(error))
                return False
        work = partial(self._delete, sent)
        deleting = asyncio.create_task(supervised("deleting a refusal", work, again=False))
        self._deleting.add(deleting)
        deleting.add_done_callback(self._deleting.discard)
        return True

    async def _delete(self, sent: discord.Message) -> None:
        """Delete it in a while. discord.py would do it, but not expect a connection that fails."""
        await self._sleep(SHOWN)
        try:
            await sent.delete()
        except Exception as error:
            if refusal(error) is None:
                raise
            log.info("a refused reaction's answer stays: %s", short(error))

    def _is_due(self, channel_id: int, told: Told) -> bool:
        """Whether neither the person nor the channel has had too many; counts it if so."""
        now = self._clock()
        person = (told.user_id, told.message_id)
        if now - self._people.get(person, float("-inf")) < AGAIN_AFTER:
            return False
        recent = self._channels.setdefault(channel_id, _Channel()).recent
        if len(recent) == SHOWN_AT_ONCE and now - recent[0] < SHOWN:
            return False
        recent.append(now)
        self._people.pop(person, None)
        self._people[person] = now
        _forget_oldest(self._people)
        _forget_oldest(self._channels)
        return True


def _forget_oldest(remembered: dict[K, V]) -> None:
    if len(remembered) > REMEMBERED:
        del remembered[next(iter(remembered))]
