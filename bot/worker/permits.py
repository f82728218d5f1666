"""Permits: what is asked before a job is generated, since much may change while it waits."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from bot.store import Job

Permit: TypeAlias = Callable[[Job], Awaitable[Job | None]]
"""Returns the job as it is to be generated and shown by now, None for as it is. Raises JobFailed if
it may not be generated any more."""


async def permitted(job: Job) -> None:
    """For jobs that nothing is asked of."""


class Permits:
    """A Permit that asks several, one after another."""

    def __init__(self) -> None:
        self._permits: list[Permit] = []

    def add(self, permit: Permit) -> None:
        self._permits.append(permit)

    async def __call__(self, job: Job) -> Job:
        for permit in self._permits:
            job = await permit(job) or job
        return job
