"""Traffic: what is on its way to each channel that people wait for, and what has to wait for it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from bot.errors import AnsweredElsewhere
from bot.store import Discord, Job

ELSEWHERE_MAX: Final = 256
"""Jobs that another copy of the bot has answered and that are remembered: each ends at its next
step."""


class Traffic:
    """Acknowledgements, results and failures on their way.

    A job's result follows its acknowledgement; refusals in a channel follow everything else.
    """

    def __init__(self) -> None:
        self._under_way: dict[int, int] = {}
        self._clear: dict[int, asyncio.Event] = {}
        self._told: dict[str, asyncio.Future[Discord | None]] = {}
        self._elsewhere: dict[str, None] = {}

    @contextmanager
    def to(self, channel_id: int) -> Iterator[None]:
        """Something that people wait for is on its way to the channel while the block lasts."""
        self._under_way[channel_id] = self._under_way.get(channel_id, 0) + 1
        try:
            yield
        finally:
            self._under_way[channel_id] -= 1
            if not self._under_way[channel_id]:
                del self._under_way[channel_id]
                if (clear := self._clear.pop(channel_id, None)) is not None:
                    clear.set()

    async def clear(self, channel_id: int) -> None:
        """Wait until nothing is on its way to the channel."""
        while channel_id in self._under_way:
            await self._clear.setdefault(channel_id, asyncio.Event()).wait()

    @contextmanager
    def acknowledging(self, job: Job) -> Iterator[asyncio.Future[Discord | None]]:
        """The acknowledgement of `job` is on its way while the block lasts.

        Set the future to the job's origin once that knows the message: of this, only the message is
        taken, since the rest is as it was when the job was accepted.
        """
        told: asyncio.Future[Discord | None] = asyncio.get_running_loop().create_future()
        self._told[job.id] = told
        try:
            with self.to(Discord.of(job.origin).channel_id or 0):
                yield told
        except AnsweredElsewhere:
            self._elsewhere[job.id] = None
            if len(self._elsewhere) > ELSEWHERE_MAX:
                del self._elsewhere[next(iter(self._elsewhere))]
            raise
        finally:
            del self._told[job.id]
            if not told.done():
                told.set_result(None)

    async def acknowledged(self, job: Job) -> Job | None:
        """Wait until the acknowledgement of `job` has arrived or failed; returns the job with its
        message, and else as it is.

        Returns at once when none is on its way, and None when another copy of the bot has answered.
        """
        told = self._told.get(job.id)
        answered = await asyncio.shield(told) if told is not None else None
        if job.id in self._elsewhere:
            return None
        if answered is None or answered.message_id is None:
            return job
        origin = replace(
            Discord.of(job.origin),
            channel_id=answered.channel_id,
            message_id=answered.message_id,
        )
        return replace(job, origin=origin)
