"""Permits: what is asked before a job is generated, since much may change while it waits."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from bot.store import Job

Permit: TypeAlias = Callable[[Job], Awaitable[Job]]
"""Returns the job as it is to be generated and shown by now. Raises JobFailed if it may not be
generated any more."""
Check: TypeAlias = Callable[[Job], Awaitable[Job | None]]
"""The same, but may return None for a job that stays as it is."""


Screen: TypeAlias = Callable[[Job, str], Awaitable[None]]
"""Is told the words for an image. Raises JobFailed if they may not be shown."""


async def unscreened(job: Job, words: str) -> None:
    """For words that nothing is asked of."""


async def permitted(job: Job) -> Job:
    """For jobs that nothing is asked of."""
    return job


class Permits:
    """A Permit that asks several, one after another: each is given what the one before returned."""

    def __init__(self) -> None:
        self._checks: list[Check] = []

    def add(self, check: Check) -> None:
        self._checks.append(check)

    async def __call__(self, job: Job) -> Job:
        for check in self._checks:
            job = await check(job) or job
        return job
